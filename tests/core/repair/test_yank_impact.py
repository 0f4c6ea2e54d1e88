"""Who requires a version, and what installers choose once it is yanked."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from releasekit.core.repair.yank_impact import (
    YankReport,
    find_dependents,
    with_yank_note,
    yank_note,
)

V = Version
OFFERED = frozenset(map(Version, ("1.1", "1.3", "2.0rc1")))


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (
            "core==1.2",
            ("", True, "still installs it, with a warning: the requirement is an exact pin"),
        ),
        ("Core>=1", ("1.3", False, "installs 1.3 instead")),
        ("core<1.3", ("1.1", False, "installs 1.1 instead")),
        ("core==1.2.*", ("", False, "can no longer be installed")),
        ("core>=1.2,<1.3", ("", False, "can no longer be installed")),
        ("core>=1.3", None),
        ("other>=1", None),
    ],
)
def test_dependents_get_another_version(
    requirement: str, expected: tuple[str, bool, str] | None
) -> None:
    """An exact pin keeps the yanked version; a range gets another one, or nothing."""
    requires = {("app", V("1")): (Requirement("six"), Requirement(requirement))}

    found = find_dependents(("core", V("1.2")), OFFERED, requires)

    told = [(item.alternative, item.keeps_it, item.effect) for item in found]
    assert told == ([expected] if expected else [])


def test_fixed_version_comes_first() -> None:
    """Without a later version, the advice names the command that releases one, and what installers get until then."""
    report = YankReport(package="core", version="1.2", reason="broken", fallback="1.1")

    assert report.advice == (
        "release a fixed version first (`releasekit publish --package core`): without it, installers get 1.1, "
        "which is older"
    )
    assert report.headline == "core 1.2 is not yanked: 0 published dependents, 0 broken"
    alone = YankReport(package="core", version="1.2", reason="broken")
    assert alone.advice.endswith("installers get no version at all")
    assert not YankReport(package="core", version="1.2", reason="broken", fixed="1.3").advice


def test_notes_are_written_once() -> None:
    """The reason is one line, above the notes of the release, and only once for each version."""
    body = with_yank_note("## Changes\n", "core", V("1.2"), "it\ndeletes  files")

    assert body == "> **core 1.2 is yanked:** it deletes files\n\n## Changes\n"
    assert with_yank_note(body, "core", V("1.2"), "another reason") == body
    assert with_yank_note(body, "app", V("1.2"), "too").startswith(
        "> **app 1.2 is yanked:** too\n\n> "
    )
    assert (
        yank_note("it\ndeletes files", "2026-11-27") == "**Yanked on 2026-11-27:** it deletes files"
    )
