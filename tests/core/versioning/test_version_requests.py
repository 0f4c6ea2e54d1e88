"""What a maintainer requests with options."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from releasekit.core.config.bump_rules import Bump
from releasekit.core.config.settings import VersionOptions
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.versioning.version_requests import VersionRequest, version_requests
from tests.support.builders import plan_of, workspace_of


def requests_of(*named: str, **options: Any) -> dict[str, VersionRequest]:
    """Return the requests for the packages core, app and web."""
    return version_requests(VersionOptions(**options), workspace_of("app: core", "web:"), named)


def test_name_counts_more_than_pattern() -> None:
    """A pattern is for all that match it, but a name is more precise."""
    requests = requests_of(bump=("*=patch", "core=minor"), promote=("all",))

    assert {name: request.bump for name, request in requests.items()} == {
        "core": Bump.MINOR,
        "app": Bump.PATCH,
        "web": Bump.PATCH,
    }
    assert all(request.promote for request in requests.values())


def test_bare_bump_needs_selected_packages() -> None:
    """A bump without a name is for the packages that -p names."""
    assert [
        name for name, request in requests_of("web", bump=("minor",)).items() if request.bump
    ] == ["web"]
    with pytest.raises(Refusal, match="--bump minor names no package"):
        requests_of(bump=("minor",))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"bump": ("core=huge",)}, ErrorCode.USAGE, "'huge' is not a bump"),
        ({"bump": ("cor=minor",)}, ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, "did you mean core"),
        (
            {"bump": ("core=minor", "core=major")},
            ErrorCode.USAGE,
            "contradicts another --bump for core",
        ),
        (
            {"set_version": ("core=1.x",)},
            ErrorCode.VERSION_INVALID,
            "'1.x' is not a PEP 440 version",
        ),
        ({"set_version": ("1.0",)}, ErrorCode.USAGE, "names no package"),
        (
            {"bump": ("core=minor",), "set_version": ("core=2.0",)},
            ErrorCode.USAGE,
            "contradict each other for core",
        ),
        (
            {"bump": ("core=none",), "promote": ("core",)},
            ErrorCode.USAGE,
            "contradict each other for core",
        ),
        ({"promote": ("cor",)}, ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, "did you mean core"),
    ],
)
def test_unusable_requests_are_refused(
    options: dict[str, tuple[str, ...]], code: ErrorCode, message: str
) -> None:
    """What cannot be read, or contradicts itself, is refused by name."""
    with pytest.raises(Refusal, match=message) as refused:
        requests_of(**options)

    assert refused.value.code is code


def test_group_has_one_prerelease_kind() -> None:
    """Packages with one version have one kind of prerelease; a promotion of one is for all; two kinds are refused."""
    lines, tags = ("a==1.1b1:", "b==1.1b1:"), ["a-v1.0", "b-v1.0", "a-v1.1b1", "b-v1.1b1"]
    fixed = {"groups": {"g": {"packages": ["*"], "versioning": "fixed"}}}
    changes = {"a": "fix: it"}

    stays = plan_of(*lines, tags=tags, changes=changes, settings=fixed, old={"b": "feat: it"})
    kinds = {"a": {"prerelease": "rc"}, "b": {"prerelease": "none"}}

    assert [str(step.next) for step in stays.steps] == ["1.1b2", "1.1b2"]
    with pytest.raises(
        Refusal, match='need one kind of prerelease: a has "rc", b has "none"'
    ) as refused:
        plan_of(*lines, tags=tags, changes=changes, settings=fixed, own=kinds)
    assert (refused.value.code, refused.value.location) == (
        ErrorCode.CONFIG_INVALID_VALUE,
        "fixed group g",
    )


def test_group_key_decides_the_kind() -> None:
    """A group has its own kind, and a member that says otherwise wins over it."""
    groups = {"groups": {"g": {"packages": ["a", "b"], "prerelease": "rc"}}}
    plan = plan_of("a:", "b:", "c:", settings=groups, own={"b": {"prerelease": "none"}})

    assert {step.name: step.version for step in plan.steps} == {
        "a": Version("1.1rc1"),
        "b": Version("1.1"),
        "c": Version("1.1"),
    }


def test_low_version_is_a_warning() -> None:
    """The plan warns where a requested version covers less than the commits ask for, and keeps the option on record."""
    requested = {"versions": VersionOptions(bump=("a=patch",))}
    plan = plan_of("a:", "b:", changes={"a": "feat: it"}, selection=requested)

    assert [(step.name, str(step.next), step.reason) for step in plan.steps] == [
        ("a", "1.0.1", "--bump patch")
    ]
    assert plan.warnings == (
        f"{ErrorCode.VERSION_LOW}: a 1.0.1 (--bump patch): its commits ask for 1.1 (packages/a)",
    )
    assert plan.requested == ("--bump a=patch",)


def test_request_outside_of_release_is_refused() -> None:
    """A version for a package that is left out is refused."""
    selection = {"package": ("b",), "versions": VersionOptions(set_version=("a=2.0",))}

    with pytest.raises(Refusal, match=r"--set-version 2\.0 is for a, which is not in this release"):
        plan_of("a:", "b:", selection=selection)
