"""The packages of a release fit together. `packaging` checks what is planned, written and pinned."""

from __future__ import annotations

import json
import tomllib
from itertools import product
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.errors import ErrorCode
from releasekit.core.workspace.pins import pin_requirements
from releasekit.core.workspace.siblings import Siblings, write_raised_requirements
from tests.support.builders import plan_of, workspace_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.core.planning.model import Plan, Step

NAMES = ("a", "b", "c", "d", "e")
NEXT = {"fix: x": "1.0.1", "feat: x": "1.1", "feat!: x": "2.0"}
Documents = dict[str, dict[str, Any]]
Published = dict[str, dict[str, list[Requirement]]]
"""The requirements of each release on the index, by name and version. Those of extras have a marker."""

# Specifiers in a workspace whose packages are at 1.0. The last two are for an older release.
FORMS = ("", ">=1.0", "==1.0", "~=1.0", ">=1.0,<2", "<1.1", "==1.*", "<=1.0", "<1.0", "==0.9")


@st.composite
def workspaces(draw: st.DrawFn) -> Documents:
    """Draw packages that require each other in all forms. Only requirements of extras may be in a cycle."""
    documents: Documents = {}
    for number, name in enumerate(NAMES):
        earlier = NAMES[:number]
        needs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        extra = draw(
            st.lists(
                st.sampled_from([each for each in NAMES if each != name]), unique=True, max_size=1
            )
        )
        written = [f"{each}{draw(st.sampled_from(FORMS))}" for each in needs]
        optional = (
            {"x": [f"{each}{draw(st.sampled_from(FORMS))}" for each in extra]} if extra else {}
        )
        project = {
            "name": name,
            "version": "1.0",
            "dependencies": written,
            "optional-dependencies": optional,
        }
        documents[f"packages/{name}"] = {
            "project": project,
            "build-system": {"requires": ["backend"], "build-backend": "backend"},
        }
    return documents


settings = st.fixed_dictionaries(
    {
        "pins": st.sampled_from(["exact", "compatible", "keep"]),
        "propagate": st.sampled_from(["none", "out-of-range", "patch"]),
        "source_requirements": st.sampled_from(["raise", "raise", "always", "leave"]),
    }
)
changes = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(sorted(NEXT)), min_size=1)
everything: dict[str, tuple[str, ...]] = {}
selections = st.one_of(
    st.just(everything), st.fixed_dictionaries({"package": st.tuples(st.sampled_from(NAMES))})
)


@hypothesis.settings(max_examples=40)
@given(workspaces(), changes, changes, settings, selections)
def test_released_packages_install_together(
    documents: Documents,
    first: dict[str, str],
    second: dict[str, str],
    keys: dict[str, str],
    selection: dict[str, tuple[str, ...]],
) -> None:
    """After each of two releases, all packages can be installed, and the order follows the edges."""
    published = publish_all(documents, keys)
    tags = [f"{name}-v1.0" for name in NAMES]
    for messages in (first, second):
        plan = plan_of(
            documents=documents,
            changes=messages,
            tags=tags,
            settings=keys,
            selection=selection,
            published={name: list(versions) for name, versions in published.items()},
            requires={
                f"{name}=={version}": list(map(str, needs))
                for name, versions in published.items()
                for version, needs in versions.items()
            },
        )
        check_order(plan, documents)
        if plan.obstacles:
            event("refused")
            assert {each.code for each in plan.obstacles} <= {
                ErrorCode.PIN_CONFLICT,
                ErrorCode.SIBLING_MISSING,
            }
            sensible = without_needless(published_after(plan, documents, published))
            assert any(not can_be_installed(sensible, step) for step in plan.steps)
            return
        published = published_after(plan, documents, published)
        documents = sources_after(plan, documents)
        tags += [step.tag for step in plan.steps]
        for step in plan.steps:
            assert can_be_installed(published, step), step
            check_requirements(published, step)
        if plan.together:
            event("all together")
            assert latest_fit(documents, published)
        if keys["propagate"] == "patch" and not selection:
            left = keys["source_requirements"] == "leave" and keys["pins"] == "keep"
            assert plan.together or left or any(step.older for step in plan.packages)


def check_order(plan: Plan, documents: Documents) -> None:
    """Assert that each package comes after the packages of the same release that it requires."""
    place = {step.name: step.order for step in plan.steps}
    for step in plan.steps:
        for requirement in map(Requirement, project_of(documents, step.name)["dependencies"]):
            live = requirement.specifier.contains(
                project_of(documents, requirement.name)["version"]
            )
            if live and requirement.name in place:
                assert place[requirement.name] < step.order
                assert requirement.name in step.needs


def check_requirements(published: Published, step: Step) -> None:
    """Assert that a release on the index satisfies each requirement of the uploaded package."""
    for requirement in published[step.name][str(step.version)]:
        assert any(requirement.specifier.filter(map(Version, published[requirement.name]))), (
            step.name,
            requirement,
        )


def publish_all(documents: Documents, keys: Mapping[str, str]) -> Published:
    """Return an index with the first release of all packages, and an older release without requirements."""
    plan = plan_of(documents=documents, changes={}, tags=["none-v1.0"], settings=keys)
    assert {step.name for step in plan.steps} == set(NAMES)
    published: Published = {name: {"0.9": []} for name in NAMES}
    return published_after(plan, documents, published)


def published_after(plan: Plan, documents: Documents, published: Published) -> Published:
    """Return the index after *plan*, made with the same edits as a release."""
    sources = sources_after(plan, documents)
    after = {name: dict(versions) for name, versions in published.items()}
    for step in plan.steps:
        built = tomllib.loads(
            pin_requirements(text_of(sources[f"packages/{step.name}"]), plan.pins_of(step))
        )["project"]
        extras = built["optional-dependencies"].items()
        needs = [
            *built["dependencies"],
            *(f'{each}; extra == "{x}"' for x, those in extras for each in those),
        ]
        after[step.name][str(step.version)] = list(map(Requirement, needs))
    return after


def without_needless(published: Published) -> Published:
    """Return the index without unneeded oldest releases: no plan relies on them."""
    needs = [
        each
        for versions in published.values()
        for requires in versions.values()
        for each in requires
    ]
    asked_for = {
        each.name
        for each in needs
        if each.specifier.contains("0.9") and not each.specifier.contains("1.0")
    }
    return {
        name: {
            version: requires
            for version, requires in versions.items()
            if version != "0.9" or name in asked_for
        }
        for name, versions in published.items()
    }


def sources_after(plan: Plan, documents: Documents) -> Documents:
    """Return the files after the release commit of *plan*."""
    after: Documents = {}
    for path, document in documents.items():
        raised = [each for each in plan.raises if each.file == f"{path}/pyproject.toml"]
        text = write_raised_requirements(text_of(document), "pyproject.toml", raised)
        assert sum(
            a != b for a, b in zip(text.split("\n"), text_of(document).split("\n"), strict=True)
        ) <= len(raised)
        after[path] = tomllib.loads(text)
    for step in plan.steps:
        after[step.path]["project"]["version"] = str(step.version)
    return after


def text_of(document: Mapping[str, Any]) -> str:
    """Return the pyproject.toml of *document*, one requirement a line."""
    project = document["project"]
    lines = [
        "[project]",
        f"name = {json.dumps(project['name'])}",
        f"version = {json.dumps(project['version'])}",
    ]
    lines += ["dependencies = [", *(f"  {each!r}," for each in project["dependencies"]), "]"]
    lines += ["[project.optional-dependencies]"]
    for extra, needs in project["optional-dependencies"].items():
        lines += [f"{extra} = [", *(f"  {json.dumps(each)}," for each in needs), "]"]
    system = document["build-system"]
    lines += [
        "[build-system]",
        f"requires = {system['requires']!r}",
        f"build-backend = '{system['build-backend']}'",
    ]
    return "\n".join([*lines, ""])


def project_of(documents: Documents, name: str) -> dict[str, Any]:
    return documents[f"packages/{canonicalize_name(name)}"]["project"]


def latest_fit(documents: Documents, published: Published) -> bool:
    """Return whether the latest versions of all packages can be installed together."""
    latest = {name: project_of(documents, name)["version"] for name in NAMES}
    return all(not broken(published, latest, name, "") for name in NAMES)


def can_be_installed(published: Published, step: Step) -> bool:
    """Return whether the package of *step* can be installed, alone and with its extra. Try all versions."""
    others = [name for name in NAMES if name != step.name]
    for extra in ("", "x"):
        for choice in product(
            *(sorted(published[name], key=Version, reverse=True) for name in others)
        ):
            chosen = {**dict(zip(others, choice, strict=True)), step.name: str(step.version)}
            brought = list(bring(published, chosen, step.name, extra))
            if not any(broken(published, chosen, *each) for each in brought):
                break
        else:
            return False
    return True


def bring(
    published: Published, chosen: Mapping[str, str], name: str, extra: str
) -> Iterator[tuple[str, str]]:
    """Yield all packages and extras that are installed if *chosen* are the versions."""
    seen: set[tuple[str, str]] = set()
    todo = [(name, extra)]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            yield node
            todo += [(each.name, "") for each in asked(published, chosen, *node)]


def asked(
    published: Published, chosen: Mapping[str, str], name: str, extra: str
) -> list[Requirement]:
    needs = published[name][chosen[name]]
    return [each for each in needs if each.marker is None or each.marker.evaluate({"extra": extra})]


def broken(
    published: Published, chosen: Mapping[str, str], name: str, extra: str
) -> Sequence[Requirement]:
    needs = asked(published, chosen, name, extra)
    return [
        each for each in needs if not each.specifier.contains(chosen[each.name], prereleases=True)
    ]


def test_missing_sibling_is_an_obstacle() -> None:
    """A sibling that is tagged but not on the index is reported before the build, with the full solution."""
    (obstacle,) = plan_of(
        "app: core",
        changes={"app": "fix: x"},
        published={"app": ["1.0"], "core": ["0.9"]},
        requires={"app": []},
    ).obstacles

    assert (obstacle.code, obstacle.where) == (
        ErrorCode.SIBLING_MISSING,
        "packages/app/pyproject.toml",
    )
    assert (
        obstacle.what
        == "core is tagged core-v1.0, but not on the index; app 1.0.1 requires core==1.0"
    )
    assert (
        obstacle.hint == "Release core too: `releasekit publish --force-unchanged -p app -p core`."
    )


def test_index_must_have_older_release() -> None:
    """The index must satisfy a requirement on an older release, because this release cannot."""
    published = {"app": ["1.0"], "core": ["1.0"]}
    given: dict[str, Any] = {"changes": {"app": "fix: x"}, "requires": {"app": [], "core": []}}

    (obstacle,) = plan_of("app: core<1", published=published, **given).obstacles
    fine = plan_of("app: core<1", published={**published, "core": ["0.9", "1.0"]}, **given)

    assert (
        obstacle.what == "core is tagged core-v1.0, but not on the index; app 1.0.1 requires core<1"
    )
    assert obstacle.hint.startswith("Change the requirement")
    assert fine.obstacles == ()


@pytest.mark.parametrize(
    ("keys", "pins"),
    [
        ({}, ["exact", "exact"]),
        ({"pins": "keep"}, ["keep", "keep"]),
        ({"groups": {"g": {"packages": ["app"], "pins": "compatible"}}}, ["exact", "compatible"]),
    ],
)
def test_pin_mode_applies_by_scope(keys: dict[str, Any], pins: list[str]) -> None:
    """`pins` applies to all packages, a group or one package."""
    plan = plan_of("app: core", settings=keys)

    assert [step.pins for step in plan.steps] == pins
    own = plan_of("app: core", settings=keys, own={"core": {"pins": "keep"}})
    assert [step.pins for step in own.steps] == ["keep", pins[1]]


def test_sibling_without_version_is_unpinned() -> None:
    """A sibling that is neither released now nor before has no version, so nothing is pinned to it."""
    workspace = workspace_of("app: core>=1", "core:")
    siblings = Siblings(
        workspace, {}, {"core": None}, {"app": Version("1.0")}, {"app": "exact", "core": "exact"}
    )

    last = siblings.last_candidate("app", Version("0.9"), None)

    assert siblings.versions == {"app": Version("1.0")}
    assert [str(required.requirement) for required in last.requirements] == ["core>=1"]
