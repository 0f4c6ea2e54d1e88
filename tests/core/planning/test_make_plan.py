"""What is released, why, in what order and under which tags."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.planning.model import Obstacle, Plan, PlanRefusal, Status, unique_obstacles
from tests.support.builders import SHA, documents_of, plan_of

DIAMOND = ("app: web db", "web: core", "db: core")
BOTH = {"app": "feat: it", "core": "feat: it"}
FIXED = {"versioning": "fixed"}
TOOL = {"packages": ["tool"], "versioning": "independent"}
TWO = {"packages": ["app", "core"], "versioning": "fixed"}
X = {"packages": ["x"], "versioning": "independent"}


def row(plan: Plan, name: str) -> Any:
    return next(step for step in plan.packages if step.name == name)


def statuses(plan: Plan) -> dict[str, str]:
    return {step.name: step.status.value for step in plan.packages}


class TestRows:
    """Each publishable package has a row."""

    def test_changed_packages_release_in_order(self) -> None:
        """What changed is released, dependencies first, each with its version, reason and tag."""
        plan = plan_of(*DIAMOND)

        assert [(step.order, step.level, step.name) for step in plan.packages] == [
            (0, 0, "core"),
            (1, 1, "db"),
            (2, 1, "web"),
            (3, 2, "app"),
        ]
        assert plan.steps == plan.packages
        core = row(plan, "core")
        assert (str(core.current), str(core.next), core.bump, core.tag) == (
            "1.0",
            "1.1",
            "minor",
            "core-v1.1",
        )
        assert (core.path, core.reason) == ("packages/core", "feat: it (0000000)")
        assert core.version == Version("1.1")
        assert row(plan, "app").needs == ("db", "web")

    def test_unchanged_package_has_no_version(self) -> None:
        """What did not change has a row without a version, after all others; it gates nobody."""
        plan = plan_of(*DIAMOND, changes={"app": "fix: it", "core": "docs: it"})

        assert [step.name for step in plan.packages] == ["app", "core", "db", "web"]
        assert [step.name for step in plan.steps] == ["app"]
        assert statuses(plan) == {
            "app": "included",
            "core": "skipped",
            "db": "skipped",
            "web": "skipped",
        }
        core = row(plan, "core")
        assert (core.order, core.level, core.next, core.tag, core.bump) == (
            -1,
            -1,
            None,
            "",
            "none",
        )
        assert row(plan, "app").needs == ()

    def test_every_plan_status_is_reachable(self) -> None:
        """Each status can be reached."""
        plan = plan_of(
            "app: core done kept",
            "other:",
            changes=dict.fromkeys(("app", "core", "done", "other", "left"), "feat: it"),
            selection={"package": ("app",), "exclude": ("kept",)},
            published={"core": ["1.0"], "done": ["1.0", "1.1"]},
        )

        assert statuses(plan) == {
            "app": "included",
            "core": "dependency_only",
            "done": "already_published",
            "kept": "excluded",
            "other": "excluded",
        }
        assert set(Status) == {"skipped", *statuses(plan).values()}
        assert [step.name for step in plan.steps] == ["core", "app"]

    def test_missing_first_release_warns(self) -> None:
        """What somebody needs and was never released should not be left out."""
        (never,) = plan_of(
            "app: core", selection={"exclude": ("core",)}, tags=("app-v1.0",)
        ).warnings
        again = plan_of("app: core", selection={"exclude": ("core",)})

        assert "app requires core, which was never released and is not in this release" in never
        assert not again.warnings

    @pytest.mark.parametrize("line", ["app: sample", "app (build): sample", "app[x]: sample"])
    def test_requirement_on_private_member_warns(self, line: str) -> None:
        """What is never published has no row; that somebody needs it is a warning."""
        plan = plan_of(line, "web:", settings={"exclude": ["sample"]})

        assert statuses(plan) == {"app": "included", "web": "included"}
        assert plan.warnings == (
            "RK-WORKSPACE-REQUIREMENT: app requires sample, which is never published (packages/app/pyproject.toml)",
        )

    def test_private_group_requirement_is_silent(self) -> None:
        """A group is never published, so it can miss nothing."""
        assert plan_of("app (group): sample", settings={"exclude": ["sample"]}).warnings == ()

    def test_skipped_row_has_no_version(self) -> None:
        """Only what is released has a version to be released."""
        with pytest.raises(AssertionError, match="app"):
            _ = row(plan_of("app:", changes={}), "app").version


class TestEdges:
    """What gates a package of this release, and what it merely follows."""

    def test_edge_kinds_stay_separate(self) -> None:
        """Hard needs gate, soft ones order, and those to build are known apart."""
        plan = plan_of("app: web", "app (build): tool", "app[x]: zeta")

        app = row(plan, "app")
        assert (app.needs, app.build_needs, app.after, app.batch) == (
            ("tool", "web"),
            ("tool",),
            ("zeta",),
            (),
        )

    def test_build_needs_are_transitive(self) -> None:
        """To build, all that a build requirement needs must be there, for its pins name unreleased versions."""
        plan = plan_of("app (build): plugin", "plugin: core", "core: base", "app: web")

        assert row(plan, "app").build_needs == ("base", "core", "plugin")
        assert row(plan, "app").needs == ("plugin", "web")

    def test_build_needs_skip_unchanged_packages(self) -> None:
        """What is not released now is on the index already, with pins of its own."""
        changes = {"app": "feat: it", "core": "feat: it"}

        assert (
            row(plan_of("app (build): plugin", "plugin: core", changes=changes), "app").build_needs
            == ()
        )

    def test_required_extra_adds_needs(self) -> None:
        """Who requires an extra at run time waits for what the extra requires."""
        assert row(plan_of("press: store[fast]", "store[fast]: cache"), "press").needs == (
            "cache",
            "store",
        )

    def test_cycle_members_share_a_batch(self) -> None:
        """Members of a cycle are partners, and an outsider waits for all of them."""
        plan = plan_of("a: b", "b: a", "app: a", settings={"cycles": "batch"})

        assert {step.name: (step.needs, step.batch) for step in plan.steps} == {
            "a": ((), ("b",)),
            "b": ((), ("a",)),
            "app": (("a", "b"), ()),
        }

    def test_plan_lists_names_alphabetically(self) -> None:
        """Names stand in the order of the alphabet, so that one plan is one text."""
        lines = ("app: a b c d e", "app (build): p q r s t", "app[x]: k l m n o")
        ring = ("u: v w x y z", "v: w", "w: x", "x: y", "y: z", "z: u")

        plan = plan_of(*lines, *ring, settings={"cycles": "batch"})

        app, u = row(plan, "app"), row(plan, "u")
        assert [*map("".join, (app.needs, app.build_needs, app.after, u.batch))] == [
            "abcdepqrst",
            "pqrst",
            "klmno",
            "vwxyz",
        ]

    def test_exact_pins_release_whole_cycle(self) -> None:
        """Where only one of a cycle changes, the other comes along: with exact pins neither installs without it."""
        given: dict[str, Any] = {"changes": {"a": "fix: it"}}

        plan = plan_of("a: b", "b: a", settings={"cycles": "batch"}, **given)

        assert [(step.name, step.batch) for step in plan.steps] == [("a", ("b",)), ("b", ("a",))]
        assert (
            row(plan, "b").reason
            == "b 1.0 requires a==1.0, and a 1.0.1 is released (assumed, not read from an index)"
        )
        kept = plan_of("a: b", "b: a", settings={"cycles": "batch", "pins": "compatible"}, **given)
        assert [(step.name, step.needs, step.batch) for step in kept.steps] == [("a", (), ())]

    def test_unchanged_cycle_is_refused_too(self) -> None:
        """A cycle is refused also where none of it is released now: it would strike at the worst time."""
        with pytest.raises(Refusal, match="a -> b -> a"):
            plan_of("a: b", "b: a", "app:", changes={"app": "fix: it"})

    def test_older_requirement_does_not_gate(self) -> None:
        """The version that is declared now decides who gates whom: an older one is left to those who ask for it."""
        plan = plan_of("app: core<1", changes={"app": "feat: it", "core": "feat!: it"})

        assert (row(plan, "app").needs, row(plan, "app").older) == ((), ("core<1",))
        said = "app requires core<1, but the workspace has 1.0: the requirement is for an older release"
        assert plan.warnings == (f"RK-WORKSPACE-REQUIREMENT: {said} (packages/app/pyproject.toml)",)

    def test_declared_version_keeps_the_edge(self) -> None:
        """A requirement that fits the declared version gates, whatever version comes next."""
        plan = plan_of("app: core<2", changes={"app": "feat: it", "core": "feat!: it"})

        assert (row(plan, "app").needs, row(plan, "app").older) == (("core",), ())
        assert [(each.before, each.after) for each in plan.raises] == [("core<2", "core<3")]
        assert plan.warnings == ()

    def test_requirement_on_next_version_gates(self) -> None:
        """One that only the next version satisfies was written for it."""
        plan = plan_of("app: core>=1.1", changes={"app": "feat: it", "core": "feat: it"})

        assert (row(plan, "app").needs, plan.raises, plan.warnings) == (("core",), (), ())

    def test_excluded_major_causes_no_warning(self) -> None:
        """Where that major release is not part of this one, the old version is what the workspace has."""
        changes = {"app": "feat: it", "core": "feat!: it"}
        plan = plan_of("app: core<2", changes=changes, selection={"exclude": ("core",)})

        assert plan.warnings == ()


class TestSelection:
    """Only these packages."""

    def test_selected_package_brings_changed_dependencies(self) -> None:
        """Those that were asked for, and the changed ones that they need, near and far."""
        plan = plan_of(*DIAMOND, "other: core", selection={"package": ("web",)})

        assert statuses(plan) == {
            "core": "dependency_only",
            "web": "included",
            "app": "excluded",
            "db": "excluded",
            "other": "excluded",
        }

    def test_group_and_package_selections_combine(self) -> None:
        """A group is a name for patterns; with packages, they add up."""
        settings = {"groups": {"data": ["d*"]}}
        plan = plan_of(
            *DIAMOND, settings=settings, selection={"group": ("data",), "package": ("core",)}
        )

        assert [step.name for step in plan.steps] == ["core", "db"]

    @pytest.mark.parametrize(
        ("groups", "known"),
        [({"data": ["db"], "all": ["*"]}, "data, all"), ({}, "none is configured")],
    )
    def test_unknown_selection_group_is_refused(
        self, groups: dict[str, list[str]], known: str
    ) -> None:
        """An unknown group is refused, with those that there are."""
        with pytest.raises(Refusal) as caught:
            plan_of(*DIAMOND, settings={"groups": groups}, selection={"group": ("web",)})

        assert caught.value.code is ErrorCode.WORKSPACE_UNKNOWN_PACKAGE
        assert caught.value.message == f"no group is named web ({known})"
        assert "[tool.releasekit.groups]" in caught.value.hint

    def test_excluded_dependency_gates_nobody(self) -> None:
        """What is excluded is not released, also if a selected package needs it, and gates nobody."""
        plan = plan_of(*DIAMOND, selection={"package": ("web",), "exclude": ("core",)})

        assert [step.name for step in plan.steps] == ["web"]
        assert row(plan, "web").needs == ()

    @pytest.mark.parametrize("key", ["package", "exclude"])
    def test_unknown_selected_package_is_refused(self, key: str) -> None:
        """A name that fits nobody is refused: a typing mistake must not release everything, or nothing."""
        with pytest.raises(Refusal, match="did you mean core"):
            plan_of(*DIAMOND, selection={key: ("coer",)})


class TestVersions:
    """Which version a package goes to; the rules of history have tests of their own."""

    def test_first_release_keeps_declared_version(self) -> None:
        """Without a tag it is the first release, at the declared version, as it stands."""
        plan = plan_of("app==0.3:", "core:", tags=["core-v1.0"], changes={})

        assert (str(row(plan, "app").next), row(plan, "app").bump) == ("0.3", "first")
        assert [step.name for step in plan.steps] == ["app"]

    @pytest.mark.parametrize(
        ("declared", "message", "expected"),
        [
            ("2.0", "feat: it", ("2.0", "major", "2.0 is declared")),
            ("2.0", "docs: it", ("2.0", "major", "2.0 is declared")),
            ("1.0.5", "docs: it", ("1.0.5", "patch", "1.0.5 is declared")),
            # also where the history asks for as much or more
            ("1.1", "feat: it", ("1.1", "minor", "1.1 is declared")),
            ("1.0.5", "feat: it", ("1.0.5", "patch", "1.0.5 is declared")),
            ("1.1b2", "feat: it", ("1.1b2", "prerelease", "1.1b2 is declared")),
            ("1.0", "feat: it", ("1.1", "minor", "feat: it (0000000)")),
            # a development version asks for no release, and is the least that comes next
            ("2.0.dev0", "fix: it", ("2.0", "major", "fix: it (0000000); 2.0.dev0 is declared")),
            ("2.0", "fix: it\n\nRelease-As: 1.5", ("2.0", "major", "2.0 is declared")),
        ],
    )
    def test_later_declared_version_wins(
        self, declared: str, message: str, expected: tuple[str, str, str]
    ) -> None:
        """A later version that somebody wrote by hand wins."""
        app = row(plan_of(f"app=={declared}:", tags=["app-v1.0"], changes={"app": message}), "app")

        assert (str(app.next), app.bump, app.reason) == expected

    def test_waiver_of_nobody_is_reported(self) -> None:
        """A waiver that names no package of the workspace is a warning; a pattern that matches one is not."""
        names = ("lib", "l*", "lbi", "x-*")
        waivers = [{"rule": "MODE", "package": name, "reason": "a test"} for name in names]
        accepted = [{"path": "lib.gone", "package": "libx", "reason": "a test"}]

        plan = plan_of("lib:", settings={"verify_ignore": waivers, "api_ignore": accepted})

        warnings = [text for text in plan.warnings if "no package" in text]
        assert [text.rpartition(": ")[2] for text in warnings] == [
            "verify_ignore is for lbi, and no package has this name; did you mean lib?",
            "verify_ignore is for x-*, and no package has this name",
            "api_ignore is for libx, and no package has this name; did you mean lib?",
        ]

    @pytest.mark.parametrize("text", ["banana", "0.9", "1.5+local"])
    def test_bad_footer_stops_its_package(self, text: str) -> None:
        """A Release-As that cannot be released is an obstacle with its commit; without its package there is none."""
        changes = {"app": f"fix: it\n\nRelease-As: {text}", "lib": "fix: it"}
        tags = ["app-v1.0", "lib-v1.0"]

        plan = plan_of("app:", "lib:", tags=tags, changes=changes)
        alone = plan_of("app:", "lib:", tags=tags, changes=changes, selection={"exclude": ["app"]})

        (obstacle,) = plan.obstacles
        assert (obstacle.code, obstacle.where) == (ErrorCode.VERSION_INVALID, "commit 0000000, app")
        assert [step.name for step in plan.steps] == ["lib"]
        assert alone.obstacles == ()
        assert [step.name for step in alone.steps] == ["lib"]

    def test_dynamic_version_continues_from_tag(self) -> None:
        """A version that only the tag knows goes on from there."""
        documents = {
            "app": {"build-system": {}, "project": {"name": "app", "dynamic": ["version"]}}
        }

        plan = plan_of(documents=documents, tags=["app-v1.4.2"])

        assert str(row(plan, "app").next) == "1.5.0"

    def test_untagged_dynamic_version_blocks_one_package(self) -> None:
        """A dynamic version without a tag is an obstacle of that package; the plan has all others."""
        app = {"build-system": {}, "project": {"name": "app", "dynamic": ["version"]}}
        user = {
            "build-system": {},
            "project": {"name": "user", "version": "1.0", "dependencies": ["app"]},
        }
        documents = {"app": app, "user": user, **documents_of("lone:")}

        plan = plan_of(documents=documents, tags=["lone-v1.0", "user-v1.0"])

        (obstacle,) = plan.obstacles
        assert (obstacle.code, obstacle.where) == (ErrorCode.VERSION_UNKNOWN, "app/pyproject.toml")
        assert obstacle.what == "app has a dynamic version and no tag"
        assert {step.name: str(step.next) for step in plan.packages} == {
            "app": "None",
            "lone": "1.1",
            "user": "1.1",
        }
        assert not plan_of(
            documents=documents, tags=["lone-v1.0"], selection={"package": ("lone",)}
        ).obstacles

    def test_release_as_starts_dynamic_version(self) -> None:
        """A first release of such a package begins where a footer says; once there is a tag, only that counts."""
        documents = {
            "app": {"build-system": {}, "project": {"name": "app", "dynamic": ["version"]}}
        }
        changes = {"app": "feat: begin\n\nRelease-As: 2.0.0rc1"}

        app = row(plan_of(documents=documents, tags=["other-v1.0"], changes=changes), "app")

        assert (app.current, str(app.next), app.bump, app.tag) == (
            None,
            "2.0.0rc1",
            "first",
            "app-v2.0.0rc1",
        )
        assert app.reason == "first release, Release-As: 2.0.0rc1 (0000000)"

    @pytest.mark.parametrize(
        ("tags", "expected"), [(["other-v1.0"], "0.5"), (["app-v1.4.2"], "1.5.0")]
    )
    def test_first_version_applies_without_tag(self, tags: list[str], expected: str) -> None:
        """The configured start is for packages without a tag; a footer wins over it, a declared version too."""
        documents = {
            "app": {"build-system": {}, "project": {"name": "app", "dynamic": ["version"]}}
        }
        first = {"first_version": "0.5"}

        assert (
            str(row(plan_of(documents=documents, tags=tags, settings=first), "app").next)
            == expected
        )
        told = plan_of(
            documents=documents,
            tags=tags,
            settings=first,
            changes={"app": "fix: it\n\nRelease-As: 3.0"},
        )
        assert str(row(told, "app").next) == "3.0"
        assert str(row(plan_of("web: ", tags=["other-v1.0"], settings=first), "web").next) == "1.0"

    def test_pins_use_next_or_current(self) -> None:
        """Internal pins say the new version of what is released, and the current one of what is not."""
        plan = plan_of(
            *DIAMOND,
            "sample:",
            changes=dict.fromkeys(("app", "web", "db"), "feat: it"),
            settings={"exclude": ["sample"]},
            selection={"exclude": ("db",)},
        )

        assert {name: str(version) for name, version in plan.versions.items()} == {
            "app": "1.1",
            "web": "1.1",
            "core": "1.0",
            "db": "1.0",
        }

    def test_bump_settings_apply_to_plan(self) -> None:
        """What the settings say of bumps holds."""
        settings = {"types": {"docs": "minor"}, "major_on_zero": True, "force_unchanged": True}
        changes = {"docs": "docs: it", "zero": "feat!: it", "idle": "chore: it"}
        lines = ("docs:", "zero==0.3:", "idle:")

        plan = plan_of(
            *lines, settings=settings, changes=changes, tags=["docs-v1.0", "zero-v0.3", "idle-v1.0"]
        )

        assert {step.name: str(step.next) for step in plan.steps} == {
            "docs": "1.1",
            "zero": "1.0",
            "idle": "1.0.1",
        }


class TestDependents:
    """What needs a released package and has not changed itself."""

    CHAIN = ("app: web", "web: core", "core:", "other:")

    def next(self, *lines: str, **given: Any) -> dict[str, str]:
        settings = {"propagate": "patch", **given.pop("settings", {})}
        return {
            step.name: str(step.next) for step in plan_of(*lines, settings=settings, **given).steps
        }

    @pytest.mark.parametrize("message", ["fix: it", "feat!: it"])
    def test_dependents_release_as_patch(self, message: str) -> None:
        """They are released too, near and far, and never as more than a patch."""
        plan = plan_of(*self.CHAIN, changes={"core": message}, settings={"propagate": "patch"})

        assert [(step.name, step.reason) for step in plan.steps[1:]] == [
            ("web", f"needs core {plan.steps[0].next}"),
            ("app", "needs web 1.0.1"),
        ]
        assert {step.bump for step in plan.steps[1:]} == {"patch"}
        assert plan.warnings == ()

    def test_build_requirement_propagates_like_runtime(self) -> None:
        """To build counts as much as to run, and so does an extra that is asked for; other extras and groups do not."""
        lines = (
            "a (build): core",
            "b: store[fast]",
            "store[fast]: core",
            "c[x]: core",
            "d (group): core",
        )

        assert self.next(*lines, changes={"core": "fix: it"}).keys() == {"core", "a", "b"}

    def test_excluded_packages_do_not_propagate(self) -> None:
        """What stays home pulls nobody, and nobody who stays home is pulled."""
        given: Any = {"changes": {"core": "fix: it"}}

        assert self.next(*self.CHAIN, **given, selection={"exclude": ("core",)}) == {}
        assert self.next(*self.CHAIN, **given, selection={"exclude": ("web",)}).keys() == {"core"}
        assert self.next(*self.CHAIN, **given, selection={"package": ("web",)}).keys() == {
            "core",
            "web",
        }

    def test_propagation_releases_the_fixed_group(self) -> None:
        """A fixed group goes with a member that is pulled, and pulls on."""
        groups = {"g": {"packages": ["web", "other"], "versioning": "fixed"}}

        found = self.next(
            *self.CHAIN, "last: other", changes={"core": "feat: it"}, settings={"groups": groups}
        )

        assert found == {
            "core": "1.1",
            "other": "1.0.1",
            "web": "1.0.1",
            "app": "1.0.1",
            "last": "1.0.1",
        }

    def test_propagated_release_is_prerelease_too(self) -> None:
        """In a prerelease they are prereleases."""
        found = self.next("web: core", changes={"core": "feat: it"}, settings={"prerelease": "rc"})

        assert found == {"core": "1.1rc1", "web": "1.0.1rc1"}

    def test_old_pins_give_one_warning(self) -> None:
        """Where they are not, one line says who still requires the old version, and the whole command that ends it."""
        lines = [f"{name}: core" for name in ("a", "b", "c", "d", "e")]

        plan = plan_of(*lines, "other:", changes={"core": "fix: it", "other": "fix: it"})

        assert plan.warnings == (
            (
                "RK-PIN-OLD: 5 packages still require old versions (assumed, not read from an index): "
                "a 1.0 requires core==1.0, not 1.0.1, b 1.0 requires core==1.0, not 1.0.1, "
                "c 1.0 requires core==1.0, not 1.0.1 and 2 more "
                "(`releasekit publish --force-unchanged -p a -p b -p c -p d -p e` releases them; "
                '`propagate = "patch"` does so in every release)'
            ),
        )

    def test_prerelease_gives_no_pin_warning(self) -> None:
        """A prerelease is for those who ask for it, so nobody stays behind it."""
        plan = plan_of("app: core", changes={"core": "feat: it"}, settings={"prerelease": "rc"})

        assert [str(step.version) for step in plan.steps] == ["1.1rc1"]
        assert plan.warnings == ()

    @pytest.mark.parametrize(
        ("requires", "told"),
        [
            (
                {},
                "still require old versions (assumed, not read from an index): a 1.0 requires core==1.0, not 1.0.1, b",
            ),
            (
                {"a": ["core>=1"], "b": ["other==2", "Core==1.0"]},
                "1 package still requires old versions: b 1.0 requires Core==1.0",
            ),
            ({"a": ["core<2"], "b": ["core!=1.1"]}, ""),
            (
                {"a": [], "b": ["core>=1", 'core<1.0.1; extra == "old"']},
                "b[old] 1.0 requires core<1.0.1",
            ),
        ],
        ids=["unknown", "exact", "bounds", "none"],
    )
    def test_index_pins_decide_the_warning(self, requires: dict[str, list[str]], told: str) -> None:
        """Where the index says what a last release requires, only a pin that excludes the new version counts."""
        plan = plan_of("a: core", "b: core", changes={"core": "fix: it"}, requires=requires)

        assert plan.warnings == () if not told else told in plan.warnings[0]
        assert len(plan.warnings) == bool(told)

    def test_irrelevant_dependents_give_no_warning(self) -> None:
        """Who was never published, is told to stay, or needs a first release, is not spoken of."""
        assert (
            plan_of(
                "new: core", tags=["core-v1.0"], changes={"core": "fix: it"}, published={}
            ).warnings
            == ()
        )
        quiet = plan_of("app: core", changes={"core": "fix: it"}, selection={"package": ("core",)})
        assert quiet.warnings == ()
        assert plan_of("app: core", tags=["app-v1.0"], changes={}, published={}).warnings == ()

    @pytest.mark.parametrize("selection", [{}, {"exclude": ("web",)}])
    def test_pin_conflict_releases_the_dependent(
        self, selection: dict[str, tuple[str, ...]]
    ) -> None:
        """Who needs the new version and, through one that stays, the old one, cannot be installed: that one comes."""
        changes = {"app": "feat: it", "core": "feat: it"}
        lines = ("app: core web", "web: core")

        plan = plan_of(*lines, changes=changes, selection=selection)
        alone = plan_of(
            *lines, changes=changes, selection=selection, settings={"propagate": "none"}
        )

        what = "app 1.1 cannot be installed: web 1.0 requires core==1.0, not 1.1 (assumed, not read from an index)"
        hint = "Release web too: `releasekit publish --force-unchanged -p app -p core -p web`."
        refused = [(ErrorCode.PIN_CONFLICT, what, "packages/app/pyproject.toml", hint)]
        obstacles = [
            [(each.code, each.what, each.where, each.hint) for each in p.obstacles]
            for p in (plan, alone)
        ]
        if selection:
            assert obstacles == [refused, refused]
        else:
            assert obstacles == [[], refused]
            assert (
                row(plan, "web").reason
                == "web 1.0 requires core==1.0, and core 1.1 is released (assumed, not read from an index)"
            )
            assert row(plan, "web").bump == "patch"

    def test_conflict_counts_requirements_of_extras(self) -> None:
        """An extra counts: `core[plug]` brings app, which needs core in one version alone."""
        lines = ("core[plug]: app", "app: core")

        assert [step.name for step in plan_of(*lines, changes={"core": "fix: it"}).steps] == [
            "core",
            "app",
        ]
        alone = plan_of(*lines, changes={"core": "fix: it"}, settings={"propagate": "none"})
        assert [each.what for each in alone.obstacles] == [
            (
                "core[plug] 1.0.1 cannot be installed: app 1.0 requires core==1.0, not 1.0.1 "
                "(assumed, not read from an index)"
            )
        ]
        loose = plan_of(*lines, changes={"core": "fix: it"}, settings={"pins": "compatible"})
        assert ([step.name for step in loose.steps], loose.obstacles) == (["core"], ())

    def test_transitive_old_pin_still_installs(self) -> None:
        """Who needs it through the one that stays alone gets the old version, and that installs."""
        plan = plan_of("app: web", "web: core", changes={"app": "feat: it", "core": "feat: it"})

        assert [warning.split(":")[0] for warning in plan.warnings] == ["RK-PIN-OLD"]


class TestTags:
    """Under which names it is remembered."""

    def test_package_tag_follows_configured_format(self) -> None:
        """Each package has a tag of the configured form."""
        plan = plan_of("app:", settings={"tag_format": "{label}-{name}=={version}", "label": "py"})

        assert row(plan, "app").tag == "py-app==1.1"

    def test_nameless_tag_serves_all_packages(self) -> None:
        """Where tags name no package, one tag is that of each package and of the release."""
        settings = {"tag_format": ["v{version}", "{name}-v{version}"], "versioning": "fixed"}

        plan = plan_of(
            "app:", "core:", tags=["v1.0"], changes={"app": "feat: it"}, settings=settings
        )

        assert ({step.tag for step in plan.steps}, plan.tags) == ({"v1.1"}, ("v1.1",))

    def test_nameless_tag_needs_one_version(self) -> None:
        """One tag cannot stand for two versions."""
        changes = {"app": "feat: it", "core": "fix: it"}

        with pytest.raises(
            Refusal, match=r"one tag would stand for the versions 1\.0\.1, 1\.1"
        ) as caught:
            plan_of(
                "app:",
                "core:",
                tags=["v1.0"],
                changes=changes,
                settings={"tag_format": "v{version}"},
            )

        assert (caught.value.code, "fixed" in caught.value.hint) == (ErrorCode.TAG_INVALID, True)

    def test_existing_tag_is_an_obstacle(self) -> None:
        """A tag that exists already is an obstacle, for tags are never moved; one for all packages is said once."""
        tags = ["app-v1.0", "app-v1.1"]
        (taken,) = plan_of("app==1.0:", tags=tags).obstacles
        lockstep = {"tag_format": "v{version}", "versioning": "fixed"}
        (shared,) = plan_of(
            "a==1.0:", "b==1.0:", tags=["v1.0", "v1.1"], settings=lockstep
        ).obstacles

        assert (taken.code, taken.what, taken.where) == (
            ErrorCode.TAG_EXISTS,
            "app-v1.1 exists already, at aaaaaaaaaaaa",
            "app",
        )
        assert (shared.code, shared.where) == (ErrorCode.TAG_EXISTS, "a")

    def test_excluded_package_tag_may_exist(self) -> None:
        """A tag of a package that stays home is nobody's trouble."""
        tags = ["app-v1.0", "app-v1.1", "core-v1.0"]

        assert plan_of("app:", "core:", tags=tags, selection={"package": ("core",)}).steps

    @pytest.mark.parametrize(
        ("lines", "changes", "settings", "tag"),
        [
            # the version of all packages, which one group decides
            (("app:", "core:"), BOTH, FIXED, "v1.1"),
            (("app:", "core:"), BOTH, {"versioning": "linked"}, "v1.1"),
            (("app:", "core:", "x:"), BOTH, {"versioning": "linked"}, "v1.1"),
            (
                ("app:", "core:"),
                BOTH,
                {"groups": {"all": {"packages": ["*"], "versioning": "linked"}}},
                "v1.1",
            ),
            (("app:", "core:", "x:"), BOTH, {**FIXED, "exclude": ["x"]}, "v1.1"),
            # independent versions are equal by chance
            (("app:", "core:"), BOTH, {}, "release-2026.11.22"),
            (("app:", "core:", "x:"), BOTH, {"groups": {"two": TWO}}, "release-2026.11.22"),
            (("app:", "core:", "x:"), BOTH, {**FIXED, "groups": {"x": X}}, "release-2026.11.22"),
            # the version of the lead package, whose name can be spelled in any way
            (
                ("Fps_App:", "core:"),
                {"fps-app": "feat: it", "core": "fix: it"},
                {"lead": "fps.APP"},
                "v1.1",
            ),
            # neither: the date
            (("app:", "core:"), {"app": "feat: it", "core": "fix: it"}, {}, "release-2026.11.22"),
            # the lead package is not released
            (
                ("app:", "core:", "x:"),
                {"app": "feat: it", "core": "fix: it"},
                {"lead": "x"},
                "release-2026.11.22",
            ),
            # the umbrella tag would be the tag of a package
            (
                ("app:", "core:"),
                BOTH,
                {**FIXED, "umbrella_tag_format": "app-v{version}"},
                "release-2026.11.22",
            ),
            (
                ("app:", "core:"),
                BOTH,
                {**FIXED, "umbrella_tag_format": "{label}@{version}", "label": "py"},
                "py@1.1",
            ),
            # a package that is released alone has no umbrella tag
            (("app:",), {"app": "feat: it"}, {}, "app-v1.1"),
            (("app:",), {"app": "feat: it"}, {**FIXED, "lead": "app"}, "app-v1.1"),
            (("app:", "core:"), {"app": "feat: it"}, {"lead": "app"}, "app-v1.1"),
            (("app:", "core:"), {"app": "feat: it"}, {"versioning": "linked"}, "app-v1.1"),
            (
                ("app:", "core:"),
                {"app": "feat: it"},
                {"tag_format": "{name}/v{version}"},
                "app/v1.1",
            ),
            # nothing is released
            (("app:",), {}, {}, None),
        ],
    )
    def test_one_tag_names_whole_release(
        self,
        lines: tuple[str, ...],
        changes: dict[str, str],
        settings: dict[str, Any],
        tag: str | None,
    ) -> None:
        """One tag names the release as a whole."""
        plan = plan_of(*lines, changes=changes, settings=settings)

        assert plan.tags == ((tag,) if tag else ())
        assert plan.title == (tag or f"release-{plan.release}")

    @pytest.mark.parametrize(
        ("tags", "tag"),
        [
            ((), "v1.1"),
            (("v1.0",), "v1.1"),
            (("v2.0",), "release-2026.11.22"),
            (("v1.1rc1", "v1.1.1"), "release-2026.11.22"),
            (("v2.0", "app-v2.0"), "v1.1"),
        ],
    )
    def test_lead_never_steps_back(self, tags: tuple[str, ...], tag: str) -> None:
        """A lead below the umbrella tags of others gives no version; on a maintenance branch it is below its own."""
        plan = plan_of(
            "app:",
            "core:",
            changes={"app": "feat: it", "core": "fix: it"},
            tags=("app-v1.0", "core-v1.0", *tags),
            settings={"lead": "app"},
        )

        assert plan.tags == (tag,)

    def test_second_umbrella_gets_a_number(self) -> None:
        """A second release on one day has a number."""
        tags = ["app-v1.0", "core-v1.0", "release-2026.11.22"]

        plan = plan_of("app:", "core:", tags=tags, changes={"app": "feat: it", "core": "fix: it"})

        assert plan.tags == ("release-2026.11.22.2",)

    def test_unknown_lead_package_is_refused(self) -> None:
        """A lead that is no member is refused, with the nearest name."""
        with pytest.raises(Refusal, match="did you mean core"):
            plan_of("core:", settings={"lead": "coer"})

    def test_umbrella_avoids_own_tag_format(self) -> None:
        """A package may have tags of its own form, and the release as a whole is never called like one of them."""
        own = {"app": {"tag_format": "v{version}"}}
        plan = plan_of(
            "app:", "core:", tags=["v1.0", "core-v1.0"], own=own, settings={"lead": "core"}
        )

        assert {step.name: step.tag for step in plan.steps} == {"app": "v1.1", "core": "core-v1.1"}
        assert plan.tags == ("release-2026.11.22",)

    def test_own_format_stays_outside_lockstep(self) -> None:
        """Where one tag stands for all, those with a format of their own stand aside."""
        settings = {"tag_format": "v{version}", "versioning": "fixed", "groups": {"t": TOOL}}
        own = {"tool": {"tag_format": ("{name}@{version}", "{name}-{version}")}}

        def plan(**changes: str) -> Plan:
            tags = ["v1.0", "tool-1.0"]
            return plan_of(
                "app:", "core:", "tool:", changes=changes, tags=tags, own=own, settings=settings
            )

        both = plan(app="feat: it", tool="fix: it")
        assert {step.name: step.tag for step in both.steps} == {
            "app": "v1.1",
            "core": "v1.1",
            "tool": "tool@1.0.1",
        }
        assert both.tags == ("v1.1",)
        assert plan(tool="fix: it").tags == ("tool@1.0.1",)

    def test_tag_needs_free_place(self) -> None:
        """A tag above or below another one is found before the release: git cannot have both."""
        settings = {"tag_format": "{name}/v{version}"}
        tags = ["core/v1.0", "app", "web/v1.1/old", "other/v9"]
        plan = plan_of(
            "app:", "core:", "web:", tags=tags, settings=settings, changes={"web": "feat: it"}
        )

        assert {(obstacle.code, obstacle.what) for obstacle in plan.obstacles} == {
            (ErrorCode.TAG_INVALID, "git cannot have the tag app/v1.0 beside the tag app"),
        }

    def test_two_packages_cannot_share_tag(self) -> None:
        """Two packages cannot share a tag unless all do."""
        own = {name: {"tag_format": "v{version}"} for name in ("app", "core")}
        with pytest.raises(Refusal, match=r"app and core would both be tagged v1\.1") as caught:
            plan_of("app:", "core:", tags=["v1.0"], own=own)
        assert caught.value.code is ErrorCode.TAG_INVALID

    def test_fixed_group_shares_own_tag(self) -> None:
        """Packages of one fixed group may share a tag, if they write it in the same format; one may read others too."""
        own = {
            "app": {"tag_format": "py-v{version}"},
            "core": {"tag_format": ("py-v{version}", "{version}")},
        }
        group = {"packages": ["app", "core"], "versioning": "fixed"}
        lines = ("app:", "core:", "tool:")

        def plan(**changes: str) -> Plan:
            tags = ["py-v1.0", "tool-v1.0"]
            return plan_of(
                *lines, changes=changes, tags=tags, own=own, settings={"groups": {"py": group}}
            )

        both = plan(app="feat: it", tool="feat: it")

        assert {step.name: step.tag for step in both.steps} == {
            "app": "py-v1.1", "core": "py-v1.1", "tool": "tool-v1.1",
        }  # fmt: skip
        assert both.all_tags[-1:] == both.tags == ("release-2026.11.22",)
        group_alone = plan(core="feat: it")
        assert group_alone.all_tags == group_alone.tags == ("py-v1.1",)

    def test_invalid_own_format_names_package(self) -> None:
        """A format that makes no tag is refused with the package's name."""
        with pytest.raises(Refusal, match="must contain") as caught:
            plan_of("app:", own={"app": {"tag_format": "all"}})
        assert caught.value.location == "[tool.releasekit] of app"

    def test_new_packages_need_permission(self) -> None:
        """What neither a tag nor the index knows is new; `allow_new` takes names, patterns, true and `all`."""

        def unallowed(allow_new: object, **published: list[str]) -> tuple[str, ...]:
            lines = ("app: core", "core:", "new-one:", "new-two:")
            plan = plan_of(
                *lines,
                tags=["core-v1.0"],
                settings={"allow_new": allow_new},
                published=published or None,
            )
            named = [
                warning for warning in plan.warnings if warning.startswith(ErrorCode.FIRST_RELEASE)
            ]
            assert bool(named) is bool(plan.unallowed_new)
            return plan.unallowed_new

        assert set(unallowed(())) == {"app", "new-one", "new-two"}
        assert set(unallowed((), app=["0.1"])) == {"new-one", "new-two"}
        assert set(unallowed(["new-*"])) == {"app"}
        assert [unallowed(value) for value in (True, ["all"], ["app", "new-*"])] == [(), (), ()]

    def test_missing_tags_without_index_warn(self) -> None:
        """Where no index is asked, it is said of whom nobody knows whether it is out."""
        (warning,) = plan_of("app:", "core:", "new:", tags=["core-v1.0"]).warnings
        assert (
            warning
            == "RK-BASELINE-INDEX: app, new have no tag, and no index was asked for earlier releases"
        )
        assert plan_of("app:", tags=["x"], published={}).warnings == ()


class TestRelease:
    """The id of a release."""

    def test_same_facts_give_same_plan(self) -> None:
        """The same facts make the same plan, and so the same release."""
        assert plan_of(*DIAMOND) == plan_of(*reversed(DIAMOND))

    def test_release_id_follows_released_set(self) -> None:
        """Another commit, version or set of packages is another release; what stays home does not matter."""
        plans = [
            plan_of("app:", "core:"),
            plan_of("app:", "core:", sha="b" * 40),
            plan_of("app:", "core:", changes={"app": "feat: it", "core": "fix: it"}),
            plan_of("app:", "core:", changes={"app": "feat: it"}),
        ]

        assert len({plan.release for plan in plans}) == 4
        assert (
            plans[3].release
            == plan_of("app:", "core:", "idle:", changes={"app": "feat: it"}).release
        )
        assert all(len(plan.release) == 12 for plan in plans)


class TestJson:
    """What other programs read."""

    KEYS = frozenset({"schema", "commit", "release", "tags", "warnings", "packages"})
    ROW = frozenset(
        {
            "order",
            "level",
            "name",
            "path",
            "current",
            "next",
            "bump",
            "status",
            "reason",
            "tag",
            "needs",
        }
    )

    def test_plan_json_has_promised_keys(self) -> None:
        """The promised keys are there, versions are strings, and what is not released is null."""
        given = json.loads(plan_of("app: core", changes={"app": "feat: it"}).model_dump_json())

        assert given.keys() >= self.KEYS
        assert all(package.keys() >= self.ROW for package in given["packages"])
        assert (given["schema"], given["commit"], given["tags"]) == (
            "releasekit.plan/1",
            SHA,
            ["app-v1.1"],
        )
        app, core = given["packages"]
        assert {key: app[key] for key in self.ROW} == {
            "order": 0,
            "level": 0,
            "name": "app",
            "path": "packages/app",
            "current": "1.0",
            "next": "1.1",
            "bump": "minor",
            "status": "included",
            "reason": "feat: it (0000000)",
            "tag": "app-v1.1",
            "needs": [],
        }
        assert (core["current"], core["next"], core["status"]) == ("1.0", None, "skipped")

    def test_plan_survives_json_round_trip(self) -> None:
        """A plan that was written down is read as it was."""
        lines = (*DIAMOND, "press: store[x]", "store[x]: cache", "a: b", "b: a")
        plan = plan_of(*lines, settings={"cycles": "batch"})

        assert Plan.model_validate_json(plan.model_dump_json()) == plan
        assert Plan.model_validate(plan.model_dump()) == plan


def test_large_plan_keeps_its_order() -> None:
    """A plan for 500 packages has every package, after all that it needs."""
    names = [f"p{number:03}" for number in range(500)]
    lines = [
        f"{name}: {' '.join(names[max(0, place - 3) : place])}" for place, name in enumerate(names)
    ]

    plan = plan_of(documents=documents_of(*lines))

    order = {step.name: step.order for step in plan.steps}
    assert list(order.values()) == list(range(500))
    assert all(order[need] < step.order for step in plan.steps for need in step.needs)


def test_install_closure_is_transitive() -> None:
    """Installing a package brings what it needs, near and far; nothing else."""
    plan = plan_of("app: web", "web: core", "core:", "other:")

    assert set(plan.install_closure("app")) == {"app", "web", "core"}
    assert plan.install_closure("core") == ("core",)


class TestIsWhatWasSeen:
    """A yes is for the plan that was shown, and for no other."""

    def test_identical_plan_matches_approved(self) -> None:
        """The same facts give what was seen."""
        assert plan_of(*DIAMOND).matches_approved(plan_of(*DIAMOND))

    def test_plan_matches_without_a_leaf(self) -> None:
        """Without a package that nobody needs the rest is as it was."""
        seen, rest = plan_of(*DIAMOND), plan_of(*DIAMOND, selection={"exclude": ("app",)})

        assert rest.matches_approved(seen, ("app",))
        assert not rest.matches_approved(seen)
        assert not seen.matches_approved(seen, ("app",))

    def test_dropped_packages_change_umbrella_tag(self) -> None:
        """An approval without some packages covers a package that is released alone, which has no umbrella tag."""
        approved = plan_of("app:", "core:", "db:")
        rest = plan_of("app:", "core:", "db:", selection={"package": ("app",)})

        assert (approved.title, rest.title) == ("release-2026.11.22", "app-v1.1")
        assert rest.matches_approved(approved, ("core", "db"))
        assert not approved.matches_approved(rest)

    def test_approval_is_valid_overnight(self) -> None:
        """An approval covers the release on the next day too; another tag of a package needs a new approval."""
        approved = plan_of(*DIAMOND)
        next_day = approved.model_copy(update={"tags": ("release-2026.11.23",)})

        assert next_day.matches_approved(approved)
        assert not approved.model_copy(update={"tags": ("v1.1",)}).matches_approved(approved)

    def test_different_plan_is_not_approved(self) -> None:
        """Another version, another commit or a new warning is another plan."""
        seen = plan_of(*DIAMOND)

        assert not plan_of(
            *DIAMOND, changes=dict.fromkeys(("app", "core", "db", "web"), "fix: it")
        ).matches_approved(seen)
        assert not seen.model_copy(update={"commit": "f" * 40}).matches_approved(seen)
        assert not seen.model_copy(update={"warnings": ("look out",)}).matches_approved(seen)
        assert seen.matches_approved(seen.model_copy(update={"warnings": ("look out",)}))


class TestObstacles:
    """What `publish` would refuse, as values."""

    DIRTY = Obstacle(
        code=ErrorCode.PREFLIGHT_DIRTY_WORKTREE,
        what="uncommitted: a.py",
        where="/work",
        hint="Commit.",
    )
    READING, WRITING = (
        Obstacle(
            code=ErrorCode.INDEX_UNREACHABLE,
            what="the index does not answer",
            where=f"https://index.invalid/{place}",
        )
        for place in ("simple", "upload")
    )

    def test_equal_obstacles_appear_once(self) -> None:
        """Each is there once, in order; of a server that is down the first is enough, wherever it was asked."""
        other = self.DIRTY.model_copy(update={"where": "/elsewhere"})

        kept = unique_obstacles([self.READING, self.DIRTY, self.WRITING, self.DIRTY, other])

        assert kept == (self.READING, self.DIRTY, other)

    def test_plan_headline_counts_obstacles(self) -> None:
        """It says how many there are, also where nothing is released."""
        plan = plan_of("app:", changes={"app": "feat: it"})

        assert plan.headline == "1 package to release"
        assert with_obstacles(plan, self.DIRTY).headline == "1 package to release, 1 obstacle"
        nothing = plan.model_copy(update={"packages": ()})
        assert (
            with_obstacles(nothing, self.DIRTY, self.READING).headline
            == "nothing to release, 2 obstacles"
        )

    def test_plan_refusal_lists_all_obstacles(self) -> None:
        """It has the code of the first and tells of all; that survives a way through another process."""
        plan = with_obstacles(
            plan_of("app:", changes={"app": "feat: it"}), self.DIRTY, self.READING
        )

        for refusal in (PlanRefusal(plan), pickle.loads(pickle.dumps(PlanRefusal(plan)))):  # noqa: S301  our own
            assert (refusal.code, refusal.status, refusal.plan) == (
                ErrorCode.PREFLIGHT_DIRTY_WORKTREE,
                2,
                plan,
            )
            assert str(refusal) == "RK-PREFLIGHT-DIRTY-WORKTREE: uncommitted: a.py (/work)"
            assert refusal.full_text.splitlines()[:2] == [str(refusal), "Commit."]
            assert "RK-INDEX-UNREACHABLE: the index does not answer" in refusal.full_text

    def test_obstacles_survive_json_round_trip(self) -> None:
        """A plan that was written down has them as they were."""
        plan = with_obstacles(
            plan_of("app:", changes={"app": "feat: it"}), self.DIRTY, self.READING
        )

        assert Plan.model_validate_json(plan.model_dump_json()) == plan


def with_obstacles(plan: Plan, *obstacles: Obstacle) -> Plan:
    return plan.model_copy(update={"obstacles": obstacles})
