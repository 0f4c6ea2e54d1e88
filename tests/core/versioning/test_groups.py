"""Versions that go together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from tests.support.builders import plan_of


def released(*lines: str, **given: Any) -> dict[str, str]:
    """Return the next version of each package that is released."""
    return {step.name: str(step.version) for step in plan_of(*lines, **given).steps}


def reasons(*lines: str, **given: Any) -> dict[str, str]:
    return {step.name: step.reason for step in plan_of(*lines, **given).steps}


def grouped(versioning: str, *patterns: str) -> dict[str, Any]:
    return {"groups": {"g": {"packages": patterns, "versioning": versioning}}}


FIXED, LINKED = {"versioning": "fixed"}, {"versioning": "linked"}
THREE = ("a:", "b:", "c:")


class TestFixed:
    """All members get the same version when any changes."""

    def test_fixed_versioning_releases_all_together(self) -> None:
        """A whole repository in lockstep is one line."""
        assert released(*THREE, changes={"b": "fix: it"}, settings=FIXED) == dict.fromkeys(
            "abc", "1.0.1"
        )
        assert (
            reasons(*THREE, changes={"b": "fix: it"}, settings=FIXED)["a"]
            == 'released together with b (versioning = "fixed")'
        )

    def test_unchanged_fixed_group_stays_unreleased(self) -> None:
        """Where nothing changes, nothing goes."""
        assert released(*THREE, changes={"b": "docs: it"}, settings=FIXED) == {}

    @pytest.mark.parametrize(("broken", "version"), [("a", "1.0.0"), ("b", "0.6")])
    def test_fixed_group_respects_own_rules(self, broken: str, version: str) -> None:
        """What a change leads to is the matter of the package that it is in: only `a` has `major_on_zero`."""
        changes = dict.fromkeys("ab", "fix: it") | {broken: "feat!: it"}
        given = {
            "settings": FIXED,
            "own": {"a": {"major_on_zero": True}},
            "tags": [f"{name}-v0.5" for name in "abc"],
        }

        found = released("a==0.5:", "b==0.5:", "c==0.5:", changes=changes, **given)

        assert {name: Version(text) for name, text in found.items()} == dict.fromkeys(
            "abc", Version(version)
        )

    def test_strongest_change_decides_fixed_version(self) -> None:
        """The strongest change of any decides, from the highest version of any."""
        changes = {"a": "fix: it", "b": "feat: it"}
        tags = ["a-v1.0", "b-v1.2", "c-v1.5"]
        lines = ("a:", "b==1.2:", "c==1.5:")

        plan = plan_of(*lines, changes=changes, tags=tags, settings=grouped("fixed", "*"))

        assert {step.name: (str(step.next), step.bump) for step in plan.steps} == {
            "a": ("1.6", "minor"),
            "b": ("1.6", "minor"),
            "c": ("1.6", "minor"),
        }
        assert plan.tags == ("v1.6",)
        assert [step.reason for step in plan.steps] == [
            "fix: it (0000000); same version as b (fixed group g)",
            "feat: it (0000000)",
            "released together with b (fixed group g)",
        ]

    def test_fixed_group_leaves_others_alone(self) -> None:
        """A group is a part of the workspace; who is not in it goes alone."""
        changes = {"a": "feat!: it", "c": "fix: it"}

        assert released(*THREE, changes=changes, settings=grouped("fixed", "a", "b")) == {
            "a": "2.0", "b": "2.0", "c": "1.0.1",
        }  # fmt: skip

    def test_independent_group_leaves_the_lockstep(self) -> None:
        """A group may be taken out of a lockstep; a group without versioning is a name for --group alone."""
        changes = {"a": "fix: it"}

        assert released(
            *THREE, changes=changes, settings={**FIXED, **grouped("independent", "c")}
        ).keys() == {"a", "b"}
        assert released(
            *THREE, changes=changes, settings={**FIXED, "groups": {"g": ["c"]}}
        ).keys() == {"a", "b", "c"}

    def test_first_fixed_release_takes_highest(self) -> None:
        """Before any release, all go out at the highest version that is declared."""
        assert released("a==0.1:", "b==0.3:", tags=["x-v1"], changes={}, settings=FIXED) == {
            "a": "0.3",
            "b": "0.3",
        }

    def test_new_member_takes_group_version(self) -> None:
        """A new package takes part; it does so alone where its files say the version that the others have."""
        assert released("a:", "b==0.1:", tags=["a-v1.0"], changes={}, settings=FIXED) == {
            "a": "1.0.1",
            "b": "1.0.1",
        }
        assert released("a:", "b:", tags=["a-v1.0"], changes={}, settings=FIXED) == {"b": "1.0"}
        assert released("a:", "b:", tags=["a-v1.0"], changes={"a": "feat: x"}, settings=FIXED) == {
            "a": "1.1",
            "b": "1.1",
        }

    def test_release_as_applies_to_group(self) -> None:
        """A Release-As in one is for all, and leads forward for all."""
        told = {"a": "docs: it\n\nRelease-As: 3.0"}

        assert released(*THREE, changes=told, settings=FIXED) == dict.fromkeys("abc", "3.0")
        plan = plan_of("a:", "b==4.0:", tags=["a-v1.0", "b-v4.0"], changes=told, settings=FIXED)
        (obstacle,) = {(obstacle.what, obstacle.where) for obstacle in plan.obstacles}
        assert obstacle == (
            "Release-As: 3.0 is not above the current version, 4.0",
            "commit 0000000, a",
        )
        assert plan.steps == ()

    def test_declared_version_applies_to_group(self) -> None:
        """A later version written into one is for all."""
        plan = plan_of("a==2.0:", "b:", tags=["a-v1.0", "b-v1.0"], changes={}, settings=FIXED)

        assert [(str(step.next), step.reason) for step in plan.steps] == [
            ("2.0", "2.0 is declared"),
            ("2.0", 'released together with a (versioning = "fixed")'),
        ]

    def test_fixed_group_shares_prerelease_number(self) -> None:
        """Prereleases are numbered for all, and promoted for all."""
        rc = {**FIXED, "prerelease": "rc"}
        tags = ["a-v1.0", "b-v1.0", "a-v1.1rc1", "b-v1.1rc1"]
        lines = ("a==1.1rc1:", "b==1.1rc1:")

        assert released("a:", "b:", changes={"b": "feat: it"}, settings=rc) == {
            "a": "1.1rc1",
            "b": "1.1rc1",
        }
        given: Any = {"changes": {"a": "fix: it"}, "old": {"b": "feat: it"}, "tags": tags}
        assert released(*lines, **given, settings=rc) == {"a": "1.1rc2", "b": "1.1rc2"}
        assert released(*lines, **given, settings=FIXED) == {"a": "1.1rc2", "b": "1.1rc2"}
        assert released(*lines, **given, settings=FIXED | {"prerelease": "none"}) == {
            "a": "1.1",
            "b": "1.1",
        }

    def test_selecting_one_selects_fixed_group(self) -> None:
        """Who asks for one gets all, with what they need; who is excluded stays home."""
        lines = ("a: lib", "b: core", "core:", "lib:", "x:")
        settings = grouped("fixed", "a", "b")

        assert released(*lines, settings=settings, selection={"package": ("a",)}).keys() == {
            "a",
            "b",
            "core",
            "lib",
        }
        only = {"package": ("a",), "exclude": ("b",)}
        assert released(*lines, settings=settings, selection=only).keys() == {"a", "lib"}


class TestLinked:
    """Those that are released get the same version."""

    def test_linked_group_skips_unchanged_members(self) -> None:
        """Who did not change stays as it is."""
        changes = {"a": "fix: it", "b": "feat: it"}

        assert released(*THREE, changes=changes, settings=LINKED) == {"a": "1.1", "b": "1.1"}

    def test_linked_version_exceeds_every_member(self) -> None:
        """The version is above what any of the group has."""
        assert released(
            "a:", "b==1.5:", tags=["a-v1.0", "b-v1.5"], changes={"a": "fix: it"}, settings=LINKED
        ) == {"a": "1.5.1"}


class TestMistakes:
    """What cannot be meant."""

    def test_two_versioning_groups_are_refused(self) -> None:
        """A package in two groups that version it is refused, with both."""
        groups = {name: {"packages": ["a*"], "versioning": "fixed"} for name in ("one", "two")}

        with pytest.raises(Refusal, match="two groups set the version of a: one and two") as caught:
            plan_of(*THREE, settings={"groups": groups})

        assert (caught.value.code, caught.value.location) == (
            ErrorCode.CONFIG_INVALID_VALUE,
            "[tool.releasekit.groups.two]",
        )

    def test_name_only_groups_may_overlap(self) -> None:
        """Groups that are only names may overlap."""
        assert plan_of(*THREE, settings={"groups": {"one": ["a"], "two": ["a", "b"]}}).steps

    @pytest.mark.parametrize("versioning", [None, "fixed"])
    def test_unmatched_group_pattern_is_refused(self, versioning: str | None) -> None:
        """A pattern that fits nobody is refused, with the nearest name, whether or not the group is asked for."""
        groups = {"g": {"packages": ["coer"], "versioning": versioning}}

        with pytest.raises(
            Refusal, match="no workspace member matches coer; did you mean core"
        ) as caught:
            plan_of("core:", settings={"groups": groups})

        assert (caught.value.code, caught.value.location) == (
            ErrorCode.WORKSPACE_UNKNOWN_PACKAGE,
            "[tool.releasekit.groups.g]",
        )

    def test_excluded_package_needs_no_decision(self) -> None:
        """What cannot be decided is in nobody's way who does not release it."""
        given: Any = {
            "tags": ["a-v1.0", "b-v1.0", "b-v1.1rc1"],
            "changes": {"a": "feat: it", "b": "fix: it"},
            "settings": {"prerelease": "a"},
        }

        with pytest.raises(Refusal, match="step back"):
            plan_of("a:", "b==1.1rc1:", **given)
        assert released("a:", "b==1.1rc1:", **given, selection={"exclude": ("b",)}) == {
            "a": "1.1a1"
        }


MESSAGES = st.dictionaries(
    st.sampled_from("abcd"), st.sampled_from(["feat: x", "fix: x", "feat!: x", "docs: x"])
)


@given(
    MESSAGES,
    st.dictionaries(
        st.sampled_from("abcd"), st.sampled_from(["0.9", "1.0", "1.2rc1", "2.3"]), min_size=1
    ),
    st.sampled_from(["fixed", "linked"]),
    st.sampled_from(["none", "rc"]),
)
def test_group_shares_one_higher_version(
    changes: dict[str, str], tagged: dict[str, str], versioning: str, prerelease: str
) -> None:
    """Whatever happened, what goes out of a group has one version, above all that it had, of the kind asked for."""
    lines = [f"{name}=={tagged.get(name, '0.1')}:" for name in "abcd"]
    tags = [f"{name}-v{version}" for name, version in tagged.items()]

    plan = plan_of(
        *lines,
        changes=changes,
        tags=tags,
        settings={"versioning": versioning, "prerelease": prerelease},
    )

    targets = {step.version for step in plan.steps}
    assert len(targets) <= 1
    for target in targets:
        assert target > max(map(Version, tagged.values()))
        assert target.is_prerelease == (prerelease == "rc")
    if versioning == "fixed" and targets:
        assert len(plan.steps) == 4
    news = {
        name for name in "abcd" if name not in tagged or changes.get(name, "docs: x") != "docs: x"
    }
    assert news <= {step.name for step in plan.steps}
