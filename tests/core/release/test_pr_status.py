"""What a release pull request says, and whether what was merged is what it showed."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.planning.model import Status
from releasekit.core.release.pr_status import (
    next_development_version,
    not_in_release,
    stale_reasons,
)
from releasekit.core.versioning.versions import PackageHistory
from releasekit.formats.pr_text import draft_release_body, release_pr_body
from tests.support.builders import decide, plan_of, settings_of


@pytest.mark.parametrize("packages", [1, 400, 4000])
def test_release_pr_body_fits_limit(packages: int) -> None:
    """The body is never longer than the forge takes; the graph is left out first, and how to go on never is."""
    plan = plan_of(*(f"package-{number}:" for number in range(packages)))

    body = release_pr_body(plan, 65_536)

    assert len(body) <= 65_536
    assert "| 0 | package-0 |" in body
    assert ("mermaid" in body, "too large to draw" in body, "shortened" in body) == {
        1: (True, False, False),
        400: (True, False, False),
        4000: (False, False, True),
    }[packages]
    assert (
        "Merge this pull request, with any merge method, to release the packages in the table"
        in body
    )


def test_draft_body_says_not_published() -> None:
    """A draft says first that it is not out; its notes are cut where they would be too long."""
    body = draft_release_body("line\n" * 100, 300, "https://example.org/all")

    assert len(body) <= 300
    assert body.startswith("> **Not published yet.**")
    assert body.endswith("full text: https://example.org/all\n")


def test_umbrella_tag_comes_last() -> None:
    """The umbrella tag is the last."""
    plan = plan_of("app: core", "core:")

    assert plan.all_tags[-1:] == plan.tags
    assert set(plan.all_tags) == {*plan.tags, *(step.tag for step in plan.steps)}


def test_changed_plan_makes_pr_stale() -> None:
    """A higher version, other needs and a package that is gone are not what was shown; all else is left for later."""
    pull = plan_of("app: core", "core:")
    same = plan_of("app: core", "core:", "late:")
    assert list(stale_reasons(pull, pull, same)) == []
    assert not_in_release(pull, same) == ("late",)

    higher = [step.model_copy(update={"next": Version("9")}) for step in pull.packages]
    assert list(stale_reasons(pull, pull, pull.model_copy(update={"packages": tuple(higher)}))) == [
        f"{step.name} would become 9 instead of {step.version}: {step.reason}"
        for step in pull.steps
    ]
    apart = plan_of("app:", "core:")
    assert list(stale_reasons(pull, pull, apart)) == [
        "app now needs different packages of this release"
    ]
    assert list(stale_reasons(pull, pull, plan_of("core:"))) == ["app is no longer a package"]


def test_reverted_change_keeps_pr_current() -> None:
    """What lands and takes back what asked for a release changes nothing: the version is in the files."""
    pull = plan_of("core:")
    reverted = [
        step.model_copy(update={"next": None, "status": Status.SKIPPED, "order": -1})
        for step in pull.packages
    ]

    assert (
        list(stale_reasons(pull, pull, pull.model_copy(update={"packages": tuple(reverted)}))) == []
    )


@pytest.mark.parametrize(
    ("released", "following"),
    [
        ("1.2.0", "1.2.1.dev0"),
        ("1.2", "1.2.1.dev0"),
        ("1.3.0rc1", "1.3.0rc2.dev0"),
        ("1.0.post1", "1.0.post2.dev0"),
        ("2!1.0.0", "2!1.0.1.dev0"),
        ("1.0.dev3", None),
    ],
)
def test_development_version_causes_no_release(released: str, following: str | None) -> None:
    """The next development version is above the release, and decides nothing: no release follows from it."""
    found = next_development_version(Version(released))
    assert found == (Version(following) if following else None)
    if found:
        last = Version(released)
        assert found > last
        stable = None if last.is_prerelease else last
        past = PackageHistory(
            declared=found, last=last, stable=stable, since_last=() if stable is None else None
        )
        rules = settings_of(prerelease="rc" if last.is_prerelease else "none").rules()
        assert decide(past, rules).target is None
