"""Which version comes next."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.commits import Change, Commit, parse
from releasekit.core.version_numbers import bump_between, next_version, semver_text
from releasekit.core.versioning.version_requests import VersionRequest
from releasekit.core.versioning.versions import Decision, PackageHistory, bump_of
from tests.support.builders import decide, settings_of

NONE, PATCH, MINOR, MAJOR = Bump

RELEASED = "-- the last prerelease --"
"""Stands between messages that came after it and those that came before."""


def changes_of(*messages: str) -> list[Change]:
    """Parse messages that are written newest first; the shas are 0000000, 1111111 and so on."""
    return [
        parse(Commit(f"{place:x}" * 40, ("f" * 40,), message, ("a.py",)))
        for place, message in enumerate(messages)
    ]


def decided(
    current: str,
    *messages: str,
    tagged: bool = True,
    force: bool = False,
    major_on_zero: bool = False,
    prerelease: str = "stay",
    request: VersionRequest = VersionRequest(),  # noqa: B008  a frozen value
) -> Decision:
    return decide(
        replace(past_of(current, *messages, tagged=tagged), requested=request),
        settings_of(
            force_unchanged=force, major_on_zero=major_on_zero, prerelease=prerelease
        ).rules(),
    )


def past_of(current: str, *messages: str, tagged: bool = True) -> PackageHistory:
    """Return what is out: *current*, and before it, where that is a prerelease, what stands after a space."""
    versions = [Version(version) for version in current.split()]
    last = versions[0] if tagged else None
    stable = next((version for version in versions if tagged and not version.is_prerelease), None)
    changes = changes_of(*(message for message in messages if message != RELEASED))
    new = messages.index(RELEASED) if RELEASED in messages else len(messages)
    fresh = frozenset(change.sha for change in changes[:new])
    return PackageHistory(
        versions[0], last, stable, changes, fresh if versions[0].is_prerelease else None, versions
    )


def summary(decision: Decision) -> tuple[str, str | None, str]:
    return decision.label, str(decision.target) if decision.target else None, decision.reason


# ---- the next version -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "patch", "minor", "major"),
    [
        ("1.2.3", "1.2.4", "1.3.0", "2.0.0"),
        ("0.5.1", "0.5.2", "0.6.0", "0.6.0"),
        ("0.0.0", "0.0.1", "0.1.0", "0.1.0"),
        # one, two, four and more segments
        ("5", "5.0.1", "5.1", "6"),
        ("1.2", "1.2.1", "1.3", "2.0"),
        ("1.2.3.4", "1.2.4", "1.3.0", "2.0.0"),
        ("1.2.3.0", "1.2.4.0", "1.3.0.0", "2.0.0.0"),
        ("1.2.3.4.5", "1.2.4", "1.3.0", "2.0.0"),
        ("2026.11", "2026.11.1", "2026.12", "2027.0"),
        # epochs
        ("1!1.2.3", "1!1.2.4", "1!1.3.0", "1!2.0.0"),
        ("1!0.2.3", "1!0.2.4", "1!0.3.0", "1!0.3.0"),
        # prereleases announce a version, and that is the next one if it is enough
        ("1.3.0rc2", "1.3.0", "1.3.0", "2.0.0"),
        ("1.3.0a1", "1.3.0", "1.3.0", "2.0.0"),
        ("1.3.0.dev5", "1.3.0", "1.3.0", "2.0.0"),
        ("1.3.0rc1.dev2", "1.3.0", "1.3.0", "2.0.0"),
        ("1.3.0rc1.post2", "1.3.0", "1.3.0", "2.0.0"),
        ("1.3.1rc1", "1.3.1", "1.4.0", "2.0.0"),
        ("2.0.0b1", "2.0.0", "2.0.0", "2.0.0"),
        ("1.0.0rc1", "1.0.0", "1.0.0", "1.0.0"),
        ("2rc1", "2", "2", "2"),
        ("1.3rc1", "1.3", "1.3", "2.0"),
        ("1.2.3.4rc1", "1.2.3.4", "1.3.0", "2.0.0"),
        ("0.9.0rc1", "0.9.0", "0.9.0", "0.9.0"),
        ("0.0.0.dev0", "0.0.1", "0.1.0", "0.1.0"),
        ("1!1.3.0rc2", "1!1.3.0", "1!1.3.0", "1!2.0.0"),
        # post releases and local versions come after their release
        ("1.2.3.post1", "1.2.4", "1.3.0", "2.0.0"),
        ("1.2.3.post1.dev2", "1.2.4", "1.3.0", "2.0.0"),
        ("1.2.3+local.1", "1.2.4", "1.3.0", "2.0.0"),
        ("1.3.0rc1+local", "1.3.0", "1.3.0", "2.0.0"),
    ],
)
def test_each_bump_has_next_version(current: str, patch: str, minor: str, major: str) -> None:
    """Each bump leads to the next stable version."""
    assert [str(next_version(Version(current), bump)) for bump in (PATCH, MINOR, MAJOR)] == [
        patch,
        minor,
        major,
    ]
    assert next_version(Version(current), NONE) is None


def test_major_on_zero_is_minor() -> None:
    """On 0.x a breaking change is a minor bump, unless one wants otherwise."""
    assert str(next_version(Version("0.5.0"), MAJOR)) == "0.6.0"
    assert str(next_version(Version("0.5.0"), MAJOR, major_on_zero=True)) == "1.0.0"
    assert str(next_version(Version("0.9.0rc1"), MAJOR, major_on_zero=True)) == "1.0.0"
    assert str(next_version(Version("0.5.0"), MINOR, major_on_zero=True)) == "0.6.0"


NUMBERS = st.integers(0, 30)


@st.composite
def versions(draw: st.DrawFn) -> Version:
    release = ".".join(str(number) for number in draw(st.lists(NUMBERS, min_size=1, max_size=5)))
    suffixes = [["a0", "b1", "rc2"], [".post0", ".post3"], [".dev0", ".dev4"], ["+local.1"]]
    suffix = "".join(draw(st.sampled_from(["", "", *some])) for some in suffixes)
    return Version(f"{draw(st.integers(0, 2))}!{release}{suffix}")


@given(versions())
def test_semantic_form_is_read_back(version: Version) -> None:
    """Semantic Versioning writes a version so that PEP 440 reads the same, or has no such version."""
    text = semver_text(version)

    is_unknown = (
        version.epoch or len(version.release) > 3 or version.is_postrelease or version.local
    )
    assert bool(text) is not bool(is_unknown)
    if text:
        assert Version(text) == version
        assert re.fullmatch(r"\d+\.\d+\.\d+(-[a-z]+\.\d+(\.dev\.\d+)?)?", text)


def test_semantic_form_of_prereleases() -> None:
    """Each letter of PEP 440 is a word there, and the version has three numbers."""
    versions = ["1", "1.2a1", "1.2b2", "1.2.3rc4", "1.2.dev5", "1.2rc1.dev2"]

    assert [semver_text(Version(text)) for text in versions] == [
        "1.0.0", "1.2.0-alpha.1", "1.2.0-beta.2", "1.2.3-rc.4", "1.2.0-dev.5", "1.2.0-rc.1.dev.2",
    ]  # fmt: skip


@given(versions(), st.sampled_from([PATCH, MINOR, MAJOR]), st.booleans())
def test_next_version_is_always_higher(current: Version, bump: Bump, major_on_zero: bool) -> None:
    """The next version is greater than the current one, valid, stable, and of the same epoch."""
    version = next_version(current, bump, major_on_zero=major_on_zero)

    assert version is not None
    assert version > current
    assert Version(str(version)) == version
    assert str(version) == version.base_version
    assert version.epoch == current.epoch
    assert len(version.release) >= min(len(current.release), 3)


@given(versions(), st.booleans())
def test_stronger_bumps_lead_further(current: Version, major_on_zero: bool) -> None:
    """A stronger bump never leads to a lower version."""
    steps = [
        next_version(current, bump, major_on_zero=major_on_zero) for bump in (PATCH, MINOR, MAJOR)
    ]

    assert steps == sorted(step for step in steps if step)


# ---- what one change asks for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "bump"),
    [
        ("feat: x", MINOR),
        ("Feat: x", MINOR),
        ("fix: x", PATCH),
        ("perf: x", PATCH),
        ("docs: x", NONE),
        ("chore(deps): x", NONE),
        ("x", NONE),
        ("docs!: x", MAJOR),
        ("chore: x\n\nBREAKING CHANGE: gone", MAJOR),
        ("x\n\nBREAKING-CHANGE: gone", MAJOR),
        ('Revert "feat: x"', PATCH),
        ('Revert "docs: x"', PATCH),
        ("revert: feat!: x", PATCH),
        ("revert!: feat: x", MAJOR),
        ("chore: back out\n\nThis reverts commit 676104e.", PATCH),
        ("feat: old API again\n\nThis reverts commit 676104e.", MINOR),
        ("docs: y (#30)\n\n* docs: y\n\n* oops\n\nThis reverts commit 676104e.", NONE),
        ("fixup! feat!: x", PATCH),
        ("fixup! docs: x", NONE),
        ("squash! feat: x\n\nBREAKING CHANGE: gone", MAJOR),
    ],
)
def test_commit_type_decides_the_bump(message: str, bump: Bump) -> None:
    """A feature is minor, a fix or a revert is a patch, a breaking change of any type is major."""
    assert bump_of(changes_of(message)[0], settings_of().bumps()) is bump


def test_bump_types_are_configurable() -> None:
    """Which types count is configurable, and so is what a revert is; a breaking change stays major."""
    types = {"feat": PATCH, "docs": MINOR, "revert": NONE}
    messages = ["feat: x", "Docs: x", "fix: x", "fix!: x", 'Revert "feat: x"']

    assert [bump_of(change, types) for change in changes_of(*messages)] == [
        PATCH,
        MINOR,
        NONE,
        MAJOR,
        NONE,
    ]
    assert decide(past_of("1.0.0", "docs: x"), BumpRules(types)).label == "minor"


# ---- the decision ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["feat: x"], ("minor", "1.3.0", "feat: x (0000000)")),
        (["fix: x"], ("patch", "1.2.4", "fix: x (0000000)")),
        (["docs: x", "perf: y"], ("patch", "1.2.4", "perf: y (1111111)")),
        (["feat!: x"], ("major", "2.0.0", "feat!: x (0000000)")),
        (
            ["fix: a", "feat: b", "docs: c", "feat: d"],
            ("minor", "1.3.0", "feat: b (1111111), +2 more"),
        ),
        (["docs: x", "y"], ("none", None, "none of its 2 commits triggers a release")),
        ([], ("none", None, "no commits since the last release")),
        (
            ['Revert "feat: x"', "feat: x"],
            ("none", None, "none of its 2 commits triggers a release"),
        ),
        (['Revert "feat: x"'], ("patch", "1.2.4", 'Revert "feat: x" (0000000)')),
        (
            ['Reapply "feat: x"', 'Revert "feat: x"', "feat: x"],
            ("minor", "1.3.0", "feat: x (2222222)"),
        ),
        (["feat: x\n\nRelease-As: 4.0"], ("major", "4.0", "Release-As: 4.0 (0000000)")),
        (
            ["chore: x\n\nRelease-As: 1.2.9", "feat: y"],
            ("patch", "1.2.9", "Release-As: 1.2.9 (0000000)"),
        ),
        (["chore: x\n\nRelease-As: 1.5.0"], ("minor", "1.5.0", "Release-As: 1.5.0 (0000000)")),
        (
            ["chore: x\n\nRelease-As: 1.2.3.1"],
            ("patch", "1.2.3.1", "Release-As: 1.2.3.1 (0000000)"),
        ),
        (
            ["chore: x\n\nRelease-As: 1.2.3.post1"],
            ("patch", "1.2.3.post1", "Release-As: 1.2.3.post1 (0000000)"),
        ),
        (["chore: x\n\nRelease-As: 1!0.1"], ("major", "1!0.1", "Release-As: 1!0.1 (0000000)")),
        (
            ["chore: x\n\nRelease-As: v2.0.0-rc.1"],
            ("prerelease", "2.0.0rc1", "Release-As: 2.0.0rc1 (0000000)"),
        ),
        (
            ["chore: new\n\nRelease-As: 2.0.0", "chore: old\n\nRelease-As: 3.0.0"],
            ("major", "2.0.0", "Release-As: 2.0.0 (0000000)"),
        ),
    ],
)
def test_strongest_change_decides_the_version(
    messages: list[str], expected: tuple[str, str | None, str]
) -> None:
    """From 1.2.3 the strongest change that stands decides, and a Release-As footer over all."""
    assert summary(decided("1.2.3", *messages)) == expected


def test_decision_on_zero_says_minor() -> None:
    """On 0.x a breaking change is a minor bump and called so, unless major_on_zero."""
    assert summary(decided("0.5.0", "feat!: x"))[:2] == ("minor", "0.6.0")
    assert summary(decided("0.5.0", "feat!: x", major_on_zero=True))[:2] == ("major", "1.0.0")
    assert decided("0.5.0", "fix: y", "feat!: x").reason == "feat!: x (1111111), +1 more"


def test_first_release_ignores_the_history() -> None:
    """Without a tag, the version that stands in pyproject.toml is released, whatever happened before."""
    for version in ("0.1.0", "1.0.0rc1"):
        assert summary(decided(version, "feat!: x", tagged=False)) == (
            "first",
            version,
            "first release",
        )
    assert summary(decided("0.1.0", tagged=False, force=True)) == (
        "first",
        "0.1.0",
        "first release",
    )


@pytest.mark.parametrize(
    ("declared", "released"), [("0.1.0.dev0", "0.1.0"), ("0.66b0.dev3", "0.66b0")]
)
def test_first_release_drops_development(declared: str, released: str) -> None:
    """A development version in the files says what comes next, and is not published itself."""
    assert summary(decided(declared, "feat: x", tagged=False))[1] == released


def test_first_release_as_may_decrease() -> None:
    """For a first release a Release-As footer may name any version, also a lower one."""
    decision = decided("1.0.0", "feat: x\n\nRelease-As: 0.1.0", tagged=False)

    assert summary(decision) == ("first", "0.1.0", "first release, Release-As: 0.1.0 (0000000)")


def test_first_release_as_accepts_prerelease() -> None:
    """A Release-As that names a prerelease is taken as it stands, also below the version that a first release has."""
    for version in ("1.0.0rc1", "0.9.0b2"):
        for kind in ("none", "rc"):
            decision = decided(
                "1.0.0", f"feat: x\n\nRelease-As: {version}", tagged=False, prerelease=kind
            )
            assert summary(decision) == (
                "first",
                version,
                f"first release, Release-As: {version} (0000000)",
            )
    # What a prerelease announces comes next, unless the file was not lowered with it.
    promotion = VersionRequest(promote=True)
    assert summary(decided("0.9.0b2", request=promotion)) == ("minor", "0.9.0", "promotes 0.9.0b2")
    last = Version("0.9.0b2")
    assert decide(PackageHistory(Version("1.0.0"), last, tagged={last})).target == Version("1.0.0")


def test_force_gives_at_least_patch() -> None:
    """Forced, a package with nothing to release gets a patch; one with changes gets what they ask for."""
    assert summary(decided("1.2.3", "docs: x", force=True)) == ("patch", "1.2.4", "forced")
    assert summary(decided("1.3.0rc2 1.2.3", force=True, prerelease="rc")) == (
        "prerelease",
        "1.3.0rc3",
        "forced",
    )
    assert summary(decided("1.2.3", "feat: x", force=True)) == (
        "minor",
        "1.3.0",
        "feat: x (0000000)",
    )


@pytest.mark.parametrize(
    ("current", "target", "bump"),
    [
        ("1.2.3", "2.0.0", MAJOR),
        ("1.2.3", "1.3", MINOR),
        ("1.2.3", "1.2.4", PATCH),
        ("1.2.3", "1.2.3.1", PATCH),
        ("1.3.0rc1", "1.3.0", PATCH),
        ("1.2", "1.2.0.post1", PATCH),
        ("9.9", "1!0.1", MAJOR),
    ],
)
def test_first_different_segment_names_bump(current: str, target: str, bump: Bump) -> None:
    """A step between two versions is called after the first segment that changes."""
    assert bump_between(Version(current), Version(target)) is bump


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("text", ["soon", "", "1.2.x"])
def test_release_as_needs_a_version(text: str, tagged: bool) -> None:
    """A Release-As footer that names no version is refused, and the commit is named."""
    with pytest.raises(Refusal, match="0000000") as refused:
        decided("1.2.3", f"feat: x\n\nRelease-As: {text}", tagged=tagged)

    assert refused.value.code is ErrorCode.VERSION_INVALID


@pytest.mark.parametrize("text", ["1.2.3", "1.2.2", "1.2.3rc1"])
def test_release_as_must_lead_forward(text: str) -> None:
    """A Release-As footer that does not lead forward is refused."""
    with pytest.raises(Refusal, match=r"not above the current version, 1\.2\.3") as refused:
        decided("1.2.3", f"feat: x\n\nRelease-As: {text}")

    assert refused.value.code is ErrorCode.VERSION_INVALID


@pytest.mark.parametrize("messages", [["fix: y"], ["fix: y\n\nRelease-As: 1.3.0rc2"]])
def test_newer_release_as_hides_older(messages: list[str]) -> None:
    """A footer that names no version is no obstacle once a newer one has won, also after the prerelease of that."""
    older = ["fix: b\n\nRelease-As: 1.3.0rc1", "fix: a\n\nRelease-As: soon"]

    assert str(decided("1.2.3", *messages, *older).target) in {"1.3.0rc1", "1.3.0rc2"}
    assert (
        str(decided("1.3.0rc1 1.2.3", *messages, RELEASED, *older, prerelease="rc").target)
        == "1.3.0rc2"
    )


def test_local_version_is_no_target() -> None:
    """No index takes a local version, so nobody goes there; in the files it is only a mark."""
    for current, told in (("1.2.3", "2.0.0+x"), ("1.2.3", "1.3.0rc1+x")):
        with pytest.raises(Refusal, match="0000000") as refused:
            decided(current, f"feat: x\n\nRelease-As: {told}")
        assert refused.value.code is ErrorCode.VERSION_INVALID
    with pytest.raises(Refusal, match="local version"):
        decided("1.2.3+x", "feat: x", tagged=False)
    marked = PackageHistory(
        Version("1.2.3+x"), Version("1.2.3"), Version("1.2.3"), changes_of("fix: x")
    )
    assert str(decide(marked).target) == "1.2.4"
    assert decide(replace(marked, changes=())).target is None


def test_revert_drops_the_release_as() -> None:
    """A Release-As footer goes with the commit that it stands in."""
    messages = [
        f"Back out\n\nThis reverts commit {'1' * 40}.",
        "chore: x\n\nRelease-As: 9.0",
        "fix: y",
    ]

    assert summary(decided("1.2.3", *messages)) == ("patch", "1.2.4", "fix: y (2222222)")


def test_every_change_has_a_reason() -> None:
    """Every change is either counted or ignored for a reason, in the order of the history."""
    decision = decided("1.2.3", 'Revert "feat: x"', "docs: d", "feat: x", "feat: y", "whatever")

    assert [change.title for change in decision.triggers] == ["feat: y"]
    assert [(item.change.title, item.reason) for item in decision.ignored] == [
        ('Revert "feat: x"', "reverts 2222222"),
        ("docs: d", "type docs triggers no release"),
        ("feat: x", "reverted by 0000000"),
        ("whatever", "not a conventional commit"),
    ]


def test_reason_shortens_long_title() -> None:
    """The reason keeps to one short line."""
    reason = decided("1.2.3", f"feat: {'long ' * 40}").reason

    assert reason.endswith("… (0000000)")
    assert len(reason) <= 72 + len(" (0000000)")


# ---- prereleases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "kind", "messages", "expected"),
    [
        # the first of a kind
        ("1.2.3", "rc", ["feat: x"], ("prerelease", "1.3.0rc1", "feat: x (0000000)")),
        ("1.2.3", "dev", ["fix: x"], ("prerelease", "1.2.4.dev1", "fix: x (0000000)")),
        ("1.2.3", "a", ["feat!: x"], ("prerelease", "2.0.0a1", "feat!: x (0000000)")),
        ("0.5", "b", ["feat!: x"], ("prerelease", "0.6b1", "feat!: x (0000000)")),
        ("1!1.2", "rc", ["feat: x"], ("prerelease", "1!1.3rc1", "feat: x (0000000)")),
        ("1.2.3", "rc", ["docs: x"], ("none", None, "its only commit triggers no release")),
        # the next one
        ("1.3.0rc1 1.2.3", "rc", ["fix: y", RELEASED, "feat: x"], ("prerelease", "1.3.0rc2", "fix: y (0000000)")),
        ("1.3.0rc9 1.2.3", "rc", ["fix: y", RELEASED, "feat: x"], ("prerelease", "1.3.0rc10", "fix: y (0000000)")),
        ("1.3.0.dev1 1.2.3", "dev", ["fix: y", RELEASED, "feat: x"], ("prerelease", "1.3.0.dev2", "fix: y (0000000)")),
        ("1.3.0rc1 1.2.3", "rc", [RELEASED, "feat: x"], ("none", None, "no commits since the last release")),
        (
            *("1.3.0rc1 1.2.3", "rc", ["docs: y", RELEASED, "feat: x"]),
            ("none", None, "its only commit triggers no release"),
        ),
        # the bump is counted since the last stable release
        ("1.3.0rc1 1.2.3", "rc", ["feat!: y", RELEASED, "feat: x"], ("prerelease", "2.0.0rc1", "feat!: y (0000000)")),
        ("1.2.4rc1 1.2.3", "rc", ["feat: y", RELEASED, "fix: x"], ("prerelease", "1.3.0rc1", "feat: y (0000000)")),
        ("2.0.0rc1 1.2.3", "rc", ["feat!: y", RELEASED, "feat!: x"], ("prerelease", "2.0.0rc2", "feat!: y (0000000)")),
        # what is undone was out in a prerelease
        (
            "1.3.0rc1 1.2.3",
            "rc",
            ['Revert "feat: x"', RELEASED, "feat: x"],
            ("prerelease", "1.3.0rc2", 'Revert "feat: x" (0000000)'),
        ),
        # a later kind promotes
        ("1.3.0a2 1.2.3", "b", ["fix: y", RELEASED, "feat: x"], ("prerelease", "1.3.0b1", "fix: y (0000000)")),
        ("1.3.0a2 1.2.3", "rc", [RELEASED, "feat: x"], ("prerelease", "1.3.0rc1", "promotes 1.3.0a2")),
        ("1.3.0.dev7 1.2.3", "a", [RELEASED, "feat: x"], ("prerelease", "1.3.0a1", "promotes 1.3.0.dev7")),
        # and so does the stable release
        ("1.3.0rc2 1.2.3", "none", [RELEASED, "feat: x"], ("minor", "1.3.0", "promotes 1.3.0rc2")),
        ("1.3.0.dev2 1.2.3", "none", [RELEASED, "feat: x"], ("minor", "1.3.0", "promotes 1.3.0.dev2")),
        ("1.3.0rc2 1.2.3", "none", ["fix: y", RELEASED, "feat: x"], ("minor", "1.3.0", "feat: x (1111111), +1 more")),
        ("1.3.0rc2 1.2.3", "none", ["feat!: y", RELEASED], ("major", "2.0.0", "feat!: y (0000000)")),
        ("1.3.0rc1 1.2.3", "none", ['Revert "feat: x"', RELEASED, "feat: x"],
         ("minor", "1.3.0", 'Revert "feat: x" (0000000)')),
        # where nothing stable is out, nothing can be broken
        ("0.1.0rc1", "rc", ["feat!: x", RELEASED, "feat: y"], ("prerelease", "0.1.0rc2", "feat!: x (0000000)")),
        ("1.3.0rc1", "none", ["feat!: x", RELEASED, "feat: y"], ("minor", "1.3.0", "feat!: x (0000000), +1 more")),
        ("0.1.0rc1", "none", [RELEASED, "feat: x"], ("minor", "0.1.0", "promotes 0.1.0rc1")),
        # no way back to an earlier kind, but for the next version
        ("1.3.0rc1 1.2.3", "a", [RELEASED, "feat: x"], ("none", None, "no commits since the last release")),
        ("1.3.0rc1 1.2.3", "a", ["feat!: y", RELEASED], ("prerelease", "2.0.0a1", "feat!: y (0000000)")),
        # odd numbers of other tools
        ("1.3.0rc2.dev1 1.2.3", "rc", ["fix: y", RELEASED], ("prerelease", "1.3.0rc2", "fix: y (0000000)")),
        ("1.3.0a1.post1 1.2.3", "a", ["fix: y", RELEASED], ("prerelease", "1.3.0a2", "fix: y (0000000)")),
        ("1.3rc1 1.2", "rc", ["fix: y", RELEASED], ("prerelease", "1.3rc2", "fix: y (0000000)")),
        # Release-As
        ("1.2.3", "rc", ["docs: x\n\nRelease-As: 4.0"], ("prerelease", "4.0rc1", "Release-As: 4.0 (0000000)")),
        ("1.2.3", "rc", ["x\n\nRelease-As: 4.0b2"], ("prerelease", "4.0b2", "Release-As: 4.0b2 (0000000)")),
        ("1.2", "rc", ["x\n\nRelease-As: 1.2.post1"], ("patch", "1.2.post1", "Release-As: 1.2.post1 (0000000)")),
        ("4.0rc1 1.2.3", "none", [RELEASED, "x\n\nRelease-As: 4.0"], ("major", "4.0", "Release-As: 4.0 (0000000)")),
        ("4.0rc1 1.2.3", "rc", [RELEASED, "x\n\nRelease-As: 4.0"], ("none", None, "no commits since the last release")),
        ("4.0b2 1.2.3", "none", [RELEASED, "x\n\nRelease-As: 4.0b2"], ("major", "4.0", "promotes 4.0b2")),
        ("4.0b3 1.2.3", "b", ["fix: y", RELEASED, "x\n\nRelease-As: 4.0b2"],
         ("prerelease", "4.0b4", "fix: y (0000000)")),
        ("1.2.3.post1", "none", ["fix: x"], ("patch", "1.2.4", "fix: x (0000000)")),
    ],
)  # fmt: skip
def test_prerelease_announces_next_stable_version(
    current: str, kind: str, messages: list[str], expected: tuple[str, str | None, str]
) -> None:
    """A prerelease announces what the changes since the last stable release lead to; an option asks for it now."""
    request = VersionRequest(prerelease=kind)

    assert summary(decided(current, *messages, request=request)) == expected


@pytest.mark.parametrize("kind", ["none", "rc"])
def test_settings_promote_with_next_change(kind: str) -> None:
    """A later kind in the settings waits for the next change: nothing is promoted unasked."""
    unchanged = summary(decided("1.3.0b2 1.2.3", RELEASED, "feat: x", prerelease=kind))
    changed = decided("1.3.0b2 1.2.3", "fix: y", RELEASED, "feat: x", prerelease=kind)

    assert unchanged == ("none", None, "no commits since the last release")
    assert str(changed.target) == {"none": "1.3.0", "rc": "1.3.0rc1"}[kind]


@pytest.mark.parametrize(
    ("declared", "kind", "expected"),
    [
        ("0.1.0", "rc", "0.1.0rc1"),
        ("0.1.0", "dev", "0.1.0.dev1"),
        # what stands there is of the kind already
        ("0.1.0rc3", "rc", "0.1.0rc3"),
        ("0.1.0.dev0", "dev", "0.1.0.dev0"),
        # nothing is out, so no kind is behind another
        ("0.1.0rc3", "a", "0.1.0a1"),
        ("0.1.0a3", "rc", "0.1.0rc1"),
    ],
)
def test_first_release_may_be_prerelease(declared: str, kind: str, expected: str) -> None:
    """A first release can be a prerelease of the version that is declared."""
    assert summary(decided(declared, tagged=False, prerelease=kind)) == (
        "first",
        expected,
        "first release",
    )


@pytest.mark.parametrize(
    ("current", "kind", "messages", "said"),
    [
        (
            "1.3.0rc1 1.2.3",
            "a",
            ["fix: y", RELEASED, "feat: x"],
            r"1\.3\.0rc1 is already released, and 1\.3\.0a1 would be a step back",
        ),
        (
            "1.3.0a1 1.2.3",
            "dev",
            ["fix: y", RELEASED, "feat: x"],
            r"1\.3\.0\.dev1 would be a step back",
        ),
        (
            "2.0.0",
            "rc",
            ["x\n\nRelease-As: 2.0.0"],
            r"Release-As: 2\.0\.0 is not above the current version, 2\.0\.0",
        ),
    ],
)
def test_earlier_prerelease_kind_is_refused(
    current: str, kind: str, messages: list[str], said: str
) -> None:
    """An earlier kind of what is out already is refused: installers would never see it."""
    with pytest.raises(Refusal, match=said) as refused:
        decided(current, *messages, prerelease=kind)

    assert refused.value.code is ErrorCode.VERSION_INVALID


def test_prerelease_number_avoids_taken_tags() -> None:
    """A number that is taken on another branch is not taken again."""
    past = PackageHistory(Version("1.2.3"), Version("1.2.3"), Version("1.2.3"), changes_of("feat: x"), tagged=[
        Version(text) for text in ("1.3.0rc1", "1.3rc4", "1.3.0b9", "1.4.0rc7", "1.3.0.dev8", "1!1.3.0rc6")
    ])  # fmt: skip

    assert str(decide(past, settings_of(prerelease="rc").rules()).target) == "1.3.0rc5"


def test_prerelease_announces_the_declared_version() -> None:
    """A later version that was written by hand is what a prerelease announces."""
    past = PackageHistory(Version("2.0"), Version("1.2.3"), Version("1.2.3"), changes_of("fix: x"))

    assert summary(decide(past, settings_of(prerelease="b").rules())) == (
        "prerelease",
        "2.0b1",
        "fix: x (0000000)",
    )
    assert summary(decide(past)) == ("major", "2.0", "2.0 is declared")


def test_prerelease_lists_only_new_changes() -> None:
    """A prerelease tells what is new since the last; the stable release tells all of it."""
    messages = ["fix: b", "docs: c", RELEASED, "feat: x", "chore: y"]

    rc, stable = (decided("1.3.0rc1 1.2.3", *messages, prerelease=kind) for kind in ("rc", "none"))

    assert [change.title for change in rc.triggers] == ["fix: b"]
    assert [item.change.title for item in rc.ignored] == ["docs: c"]
    assert [change.title for change in stable.triggers] == ["fix: b", "feat: x"]
    assert [item.change.title for item in stable.ignored] == ["docs: c", "chore: y"]


KINDS = st.sampled_from(["dev", "a", "b", "rc"])
RANK = {"dev": 0, "a": 1, "b": 2, "rc": 3, "none": 4}


def kind_of(version: Version) -> str:
    return version.pre[0] if version.pre else "dev" if version.dev is not None else "none"


@given(
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(["none", "none", "dev", "a", "b", "rc"]),
            st.lists(st.sampled_from(["feat: x", "fix: x", "feat!: x", "docs: x"]), max_size=3),
        ),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_any_release_sequence_moves_forward(
    release: list[int], runs: list[tuple[str, list[str]]], major_on_zero: bool
) -> None:
    """In any course of releases each is valid, above the last, and of the kind asked for; the stable one follows."""
    declared = Version(".".join(map(str, release)))
    last: Version | None = None
    stable: Version | None = None
    taken: list[Version] = []
    since: list[str] = []
    for kind, messages in runs:
        since = [*messages, *since]
        changes = [
            parse(Commit(f"{len(taken):x}{place:039x}", ("f",), text, ()))
            for place, text in enumerate(since)
        ]
        fresh = frozenset(change.sha for change in changes[: len(messages)])
        past = PackageHistory(
            last or declared,
            last,
            stable,
            changes,
            fresh if last and last.is_prerelease else None,
            taken,
        )
        past = replace(past, requested=VersionRequest(prerelease=kind))
        rules = settings_of(major_on_zero=major_on_zero).rules()
        try:
            target = decide(past, rules).target
        except Refusal:
            assert last is not None
            assert RANK[kind] < RANK[kind_of(last)] < RANK["none"]
            since = since[len(messages) :]
            continue
        asked = any(text != "docs: x" for text in messages)
        promoted = last is not None and RANK[kind_of(last)] < RANK[kind]
        assert (target is not None) == (last is None or asked or promoted)
        if target is None:
            since = since[len(messages) :]  # nobody would count them later either
            continue
        assert Version(str(target)) == target
        assert kind_of(target) == kind
        assert last is None or target > last
        assert target not in taken
        if kind != "none":
            after = PackageHistory(target, target, stable, changes, (), [*taken, target])
            assert decide(after, rules).target is None, "nothing is promoted unasked"
            after = replace(after, requested=VersionRequest(promote=True))
            following = decide(after, settings_of(major_on_zero=major_on_zero).rules()).target
            assert following is not None
            assert following == Version(target.base_version) > target
        else:
            stable, since = target, []
        last = target
        taken.append(target)


# ---- what files and maintainers say ---------------------------------------------------------------------------------


def written(declared: str, current: str, *messages: str, **fields: Any) -> Decision:
    """Decide for a package whose files say *declared*, while *current* is out."""
    history = replace(past_of(current, *messages), declared=Version(declared))
    return decide(replace(history, **fields))


@pytest.mark.parametrize(
    ("current", "declared", "messages", "expected"),
    [
        ("1.0.0b1", "1.0.0b2", ["feat: x", RELEASED], "1.0.0b2"),
        ("1.0.0b1", "1.0.0b2", [RELEASED], "1.0.0b2"),
        ("1.0.0b1 0.9.0", "1.0.0b2", ["feat!: x", RELEASED], "1.0.0b2"),
        ("1.2.3", "2.0.0a1", [], "2.0.0a1"),
        ("1.2.3", "1.2.4", ["feat: x"], "1.2.4"),
        ("0.5.16a329.post1", "0.5.16", [RELEASED], "0.5.16"),
        ("0.5.16a329.post1", "0.5.16a328", ["fix: x", RELEASED], "0.5.16a330"),
        ("1.2.3", "1.3.0.dev0", ["fix: x"], "1.3.0"),
        ("1.2.3", "1.3.0.dev0", ["feat!: x"], "2.0.0"),
        ("1.2.3", "1.2.3.dev0", ["fix: x"], "1.2.4"),
        ("1.2.3", "1.3.0+local", ["fix: x"], "1.2.4"),
        ("1.2.3", "1.3.0.dev0", ["fix: x\n\nRelease-As: 1.2.9"], "1.2.9"),
        ("1.3.0rc1 1.2.3", "1.4.0.dev0", ["fix: x", RELEASED], "1.4.0rc1"),
        ("0.59b0", "0.60b0.dev0", ["fix: x", RELEASED], "0.60b1"),
        ("1.2.3", "1.3.0.dev7", [], None),
        ("1.0.0b1", "1.0.0b2.dev0", ["fix: x", RELEASED], "1.0.0b2"),
    ],
)
def test_version_in_files_is_next(
    current: str, declared: str, messages: list[str], expected: str | None
) -> None:
    """A version written by hand is the version, with or without commits; a development version is the least one."""
    target = written(declared, current, *messages).target

    assert (None if target is None else str(target)) == expected


def test_development_version_is_told() -> None:
    """The reason names it if the changes alone lead to less. A requested bump wins, and so does a calendar version."""
    assert (
        written("1.3.0.dev0", "1.2.3", "fix: x").reason
        == "fix: x (0000000); 1.3.0.dev0 is declared"
    )
    assert written("1.3.0.dev0", "1.2.3", "feat: x").reason == "feat: x (0000000)"
    exact = VersionRequest(version=Version("1.3.0"))
    assert written("1.3.0.dev0", "1.2.3", "fix: x", requested=exact).reason == "--set-version 1.3.0"
    footer = written("1.3.0.dev0", "1.2.3", "fix: x\n\nRelease-As: 1.3.0")
    assert footer.reason == "Release-As: 1.3.0 (0000000)"
    patch = VersionRequest(bump=Bump.PATCH)
    assert str(written("1.3.0.dev0", "1.2.3", "feat: x", requested=patch).target) == "1.2.4"
    dated = replace(
        settings_of(versioning_scheme="calver:YYYY.MM.MICRO").rules(), today=date(2026, 11, 27)
    )
    history = replace(past_of("2026.10.1", "fix: x"), declared=Version("2027.1.0.dev0"))
    assert str(decide(history, dated).target) == "2026.11.0"


def test_low_written_version_is_reported() -> None:
    """The decision says what the commits ask for if the written version covers less."""
    decision = written("1.3.0", "1.2.3", "feat!: x")

    assert (str(decision.target), decision.reason, str(decision.changes_target)) == (
        "1.3.0",
        "1.3.0 is declared",
        "2.0.0",
    )
    assert written("2.0.0", "1.2.3", "feat!: x").changes_target is None


def test_proposed_version_is_a_minimum() -> None:
    """A version that a release commit has written was not written by hand, so later commits can ask for more."""
    proposed = Version("1.3.0")

    assert (
        str(written("1.3.0", "1.2.3", "feat!: y", "feat: x", proposed=proposed).target) == "2.0.0"
    )
    assert str(written("1.3.0", "1.2.3", "feat: x", proposed=proposed).target) == "1.3.0"
    assert str(written("1.3.0", "1.2.3", proposed=proposed).target) == "1.3.0"


def test_published_written_version_is_history() -> None:
    """A version that the index has already is no wish: the next one follows."""
    assert (
        str(written("1.2.4", "1.2.3", "fix: x", consumed=frozenset({Version("1.2.4")})).target)
        == "1.2.5"
    )


def test_new_release_as_promotes_beta() -> None:
    """A stable version in a new footer promotes a package that stays in prereleases; an old one does not."""
    assert str(decided("1.0.0b3", "fix: x\n\nRelease-As: 1.0.0", RELEASED).target) == "1.0.0"
    assert (
        str(decided("1.0.0b3", "fix: y", RELEASED, "fix: x\n\nRelease-As: 1.0.0").target)
        == "1.0.0b4"
    )


@pytest.mark.parametrize(
    ("current", "request_", "expected"),
    [
        ("1.2.3", VersionRequest(bump=MINOR), ("minor", "1.3.0", "--bump minor")),
        ("0.5.0", VersionRequest(bump=MAJOR), ("major", "1.0.0", "--bump major")),
        ("1.0.0b3", VersionRequest(bump=MINOR), ("prerelease", "1.0.0b4", "--bump minor")),
        ("1.2.3", VersionRequest(version=Version("1.9")), ("minor", "1.9", "--set-version 1.9")),
        (
            "1.0.0b3",
            VersionRequest(version=Version("1.0.0")),
            ("major", "1.0.0", "--set-version 1.0.0"),
        ),
        ("1.2.3", VersionRequest(bump=NONE), ("none", None, "--bump none")),
        (
            "1.2.3",
            VersionRequest(promote=True),
            ("none", None, "no commits since the last release"),
        ),
    ],
)
def test_maintainer_decides_without_commits(
    current: str, request_: VersionRequest, expected: tuple[str, str | None, str]
) -> None:
    """A request decides alone, and is the reason."""
    assert summary(decided(current, request=request_)) == expected


@pytest.mark.parametrize(
    ("declared", "request_", "problem"),
    [
        (
            "1.2.3",
            VersionRequest(version=Version("1.2.3")),
            "--set-version 1.2.3 is not above the last release, 1.2.3",
        ),
        (
            "3.0.0",
            VersionRequest(version=Version("2.0.0")),
            "is below the version in the files, 3.0.0",
        ),
        (
            "3.0.0",
            VersionRequest(bump=MINOR),
            "--bump minor leads to 1.3.0, which is below the version in the files",
        ),
        ("1.2.3", VersionRequest(version=Version("2.0+x")), "is a local version"),
    ],
)
def test_low_requests_are_refused(declared: str, request_: VersionRequest, problem: str) -> None:
    """A request below the last release or the files is refused."""
    with pytest.raises(Refusal, match=problem) as refused:
        written(declared, "1.2.3", requested=request_)

    assert refused.value.code is ErrorCode.VERSION_INVALID


def test_dates_number_the_prereleases() -> None:
    """Prereleases are numbered by date; a second one on a day gets the next number."""
    monday = settings_of(prerelease="b", prerelease_numbering="date").rules("2026.07.30")
    stable, first = Version("1.0"), Version("1.1b260730")
    history = PackageHistory(stable, stable, stable, changes_of("feat: x"), tagged=[stable])
    after = PackageHistory(first, first, stable, changes_of("fix: y"), tagged=[stable, first])
    tuesday = settings_of(prerelease_numbering="date").rules("2026.07.31")

    assert str(decide(history, monday).target) == "1.1b260730"
    assert str(decide(after, monday).target) == "1.1b260731"
    assert str(decide(after, tuesday).target) == "1.1b260731"


def test_untyped_documentation_triggers_nothing() -> None:
    """With a bump for commits without a type, those of documentation alone still trigger nothing, nor do fixups."""
    rules = settings_of(unconventional="patch").rules()
    history = past_of("1.2.3", "fixup! whatever", "Tell more", "docs: d")
    documented = replace(history, documents={"1" * 40})

    assert summary(decide(history, rules)) == ("patch", "1.2.4", "Tell more (1111111)")
    assert decide(documented, rules).target is None


@given(
    versions(),
    versions(),
    st.lists(st.sampled_from(["feat: x", "fix: x", "feat!: x", "docs: x"]), max_size=3),
    st.sampled_from(["stay", "none"]),
)
def test_plan_is_never_below_files(
    last: Version, declared: Version, messages: list[str], kind: str
) -> None:
    """The next version is above the last and not below the files, and nothing is promoted unasked."""
    stable = None if last.is_prerelease else last
    history = PackageHistory(declared, last, stable, changes_of(*messages), tagged=[last])

    target = decide(history, settings_of(prerelease=kind).rules()).target

    is_marker = declared.is_devrelease or declared.local is not None
    has_changes = any(message != "docs: x" for message in messages)
    if target is None:
        assert not has_changes
        assert is_marker or declared <= last
        return
    assert target > last
    assert is_marker or target >= declared
    is_written = not is_marker and declared > last
    if not is_written:
        assert has_changes
        assert kind_of(target) == (kind_of(last) if kind == "stay" else "none")
