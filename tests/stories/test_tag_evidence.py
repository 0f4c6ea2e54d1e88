"""Only a tag whose package declared the version is a release: real repositories, and the plan that follows."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from releasekit.core.errors import ErrorCode
from releasekit.core.history.baselines import find_baselines, package_tags, stray_tags
from releasekit.core.history.tag_evidence import TagReading, objection
from releasekit.core.history.tags import TagScheme, TagSchemes
from releasekit.core.workspace.declarations import Declaration
from releasekit.integrations.git import Repo
from tasks.ask_index import baselines_on_index
from tasks.read_history import read_history
from tasks.read_workspace import read_workspace
from tests.support.git_scene import project
from tests.support.world import World, make_world, upload

if TYPE_CHECKING:
    from releasekit.integrations.peryx import EmbeddedIndex

BUILD = '\n[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a workspace of core and app, both at 0.1.0 and tagged."""
    world = make_world(tmp_path, "core; app")
    for name in ("core", "app"):
        world.git("tag", f"{name}-v0.1.0")
    return world


def plan(world: World) -> dict[str, Any]:
    """Return the plan of what git says."""
    return json.loads(world.releasekit("plan", "--offline", "--format", "json").out)


def next_versions(world: World) -> dict[str, str]:
    """Return the next version of each package."""
    return {row["name"]: row["next"] or "-" for row in plan(world)["packages"]}


def declare(world: World, name: str, version: str, place: str = "") -> None:
    """Commit a version of a package."""
    world.commit(
        f"chore: {name} {version}",
        {f"{place or f'packages/{name}'}/pyproject.toml": project(name, version) + BUILD},
    )


def test_stray_tag_is_warned_about(world: World) -> None:
    """A tag on a commit with another version is no release; the plan says so once, with the reason."""
    world.git("tag", "core-v0.2.0")
    declare(world, "core", "0.2.0")
    world.commit("fix: core", {"packages/core/a.py": ""})

    warnings = [text for text in plan(world)["warnings"] if ErrorCode.TAG_STRAY in text]

    reason = "core-v0.2.0 (core declared 0.1.0 there)"
    assert warnings == [
        f"{ErrorCode.TAG_STRAY}: 1 tag looks like a release, but does not count: {reason}"
    ]


def test_unread_tag_format_is_told(world: World) -> None:
    """A tag format without the prefix that the build reads is told by plan, check and init; one with it is not."""
    text = """
        [project]
        name = "core"
        dynamic = ["version"]
        requires-python = ">=3.11"

        [build-system]
        requires = ["hatchling", "uv-dynamic-versioning"]
        build-backend = "hatchling.build"

        [tool.hatch.version]
        source = "uv-dynamic-versioning"

        [tool.uv-dynamic-versioning]
        pattern-prefix = "core-"

        [tool.releasekit]
        tag_format = "{name}@{version}"
        """
    world.git("rm", "--quiet", "--cached", "uv.lock")
    world.commit(
        "build(core): take the version from the tag", {"packages/core/pyproject.toml": text}
    )
    problem = "core: its build does not read tags such as core@1.2.3: pattern-prefix is 'core-'"

    warnings = [warning for warning in plan(world)["warnings"] if ErrorCode.TAG_UNREAD in warning]
    checked = world.releasekit("check", "--select", "build_tags")
    adopted = world.releasekit("init", "--offline")

    assert warnings == [f"{ErrorCode.TAG_UNREAD}: {problem} (packages/core/pyproject.toml)"]
    assert (checked.code, f"packages/core/pyproject.toml:4: {problem}" in checked.out) == (0, True)
    assert f"note {warnings[0]}" in adopted.out
    world.commit("build(core): tag as it reads", {
        "packages/core/pyproject.toml": text.replace("{name}@{version}", "core-{version}")
    })  # fmt: skip
    assert str(ErrorCode.TAG_UNREAD) not in str(plan(world)["warnings"])
    assert problem not in world.releasekit("check", "--select", "build_tags").out


def test_undeclared_version_is_told(world: World) -> None:
    """A file that declares more than the last known release is told once, for all packages."""
    for name in ("core", "app"):
        declare(world, name, "0.3.0")

    warnings = [text for text in plan(world)["warnings"] if ErrorCode.VERSION_AHEAD in text]

    (warning,) = warnings
    assert "2 packages declare more than the last known release" in warning
    assert "core 0.3.0 (after 0.1.0)" in warning


def test_tag_follows_the_moved_package(world: World) -> None:
    """A package that was elsewhere at its tag was still there."""
    world.git("tag", "--delete", "core-v0.1.0")
    world.git("mv", "packages/core", "old")
    world.commit("chore: move")
    declare(world, "core", "0.4.0", "old")
    world.git("tag", "core-v0.4.0")
    world.git("mv", "old", "packages/core")
    world.commit("fix: core back", {"packages/core/a.py": ""})

    assert next_versions(world)["core"] == "0.4.1"


@pytest.mark.parametrize(
    ("published", "expected", "commit"),
    [
        ("0.1.0 0.3.0", "0.3.0", "set"),
        ("0.1.0 0.2.0", "0.2.0", "tag"),
        ("0.1.0 9.0", None, ""),
        ("0.1.0", None, ""),
    ],
    ids=["a commit set it", "no commit set it", "above the declared one", "not later than the tag"],
)
def test_later_index_version_beats_tags(
    world: World, published: str, expected: str | None, commit: str
) -> None:
    """Where tags are stale, the index has the last release; its commit is the one that set it, else that of the tag."""
    commits = {"tag": world.git("rev-parse", "HEAD")}
    declare(world, "core", "0.3.0")
    commits["set"] = world.git("rev-parse", "HEAD")
    declare(world, "core", "0.4.0")
    repo, workspace = Repo(world.root), read_workspace(world.root, {})
    on_index = {"core": frozenset(map(Version, published.split()))}

    found = baselines_on_index(repo, workspace, read_history(repo, workspace), on_index)

    since = "core-v0.1.0" if commit == "tag" else ""
    assert {name: (str(last.version), last.commit, last.since) for name, last in found.items()} == (
        {"core": (expected, commits[commit], since)} if expected else {}
    )


def test_release_branch_shows_what_its_tag_releases(world: World) -> None:
    """A team sets versions on a release branch only, and tags two packages there with one tag, named for core.

    The commit that first had the version of app is where its release is from.
    """
    world.git("tag", "--delete", "app-v0.1.0")
    declare(world, "app", "0.9.0.dev0")
    world.git("checkout", "--quiet", "-b", "release/1.0")
    declare(world, "core", "1.0.0")
    declare(world, "app", "0.8.0")
    first = world.git("rev-parse", "HEAD")
    world.commit("fix: core", {"packages/core/b.py": ""})
    world.git("tag", "core-v1.0.0")
    world.git("checkout", "--quiet", "-b", "release/2.0", "main")
    declare(world, "app", "0.7.0")
    world.git("checkout", "--quiet", "main")
    declare(world, "core", "1.1.0.dev0")
    repo, workspace = Repo(world.root), read_workspace(world.root, {})
    on_index = {"app": frozenset(map(Version, ("0.7.0", "0.8.0")))}

    found = baselines_on_index(repo, workspace, read_history(repo, workspace), on_index)

    assert {name: (str(last.version), last.commit) for name, last in found.items()} == {
        "app": ("0.8.0", first)
    }


def released(world: World, published: dict[str, str]) -> dict[str, tuple[str, str, str]]:
    """Return tag, version and commit of the last releases that an index with *published* versions shows."""
    repo, workspace = Repo(world.root), read_workspace(world.root, {})
    on_index = {
        name: frozenset(map(Version, versions.split())) for name, versions in published.items()
    }
    found = baselines_on_index(repo, workspace, read_history(repo, workspace), on_index)
    return {name: (last.tag, str(last.version), last.commit) for name, last in found.items()}


def test_tags_of_placeholder_versions_are_releases(world: World) -> None:
    """The sources of core always have 0.1.0, and a workflow writes the version of the tag before it builds.

    The index shows it. A tag with a version that it does not have, and one that HEAD does not contain, do not count.
    """
    commits: dict[str, str] = {}
    for number, version in enumerate(("0.2.0", "0.3.0", "0.4.0", "0.5.0")):
        world.commit(f"fix: {number}", {f"packages/core/{number}.py": ""})
        world.git("tag", f"core-v{version}")
        commits[version] = world.git("rev-parse", "HEAD")
    world.git("checkout", "--quiet", "-b", "other")
    world.commit("fix: other", {"packages/core/other.py": ""})
    world.git("tag", "core-v0.6.0")
    world.git("checkout", "--quiet", "main")
    of_core = "0.1.0 0.2.0 0.3.0 0.4.0 0.6.0"

    assert released(world, {"core": of_core, "app": "0.1.0"}) == {
        "core": ("core-v0.4.0", "0.4.0", commits["0.4.0"])
    }
    assert released(world, {"core": "0.1.0 0.2.0"}) == {}, "one tag alone is no evidence"


def test_tags_before_their_versions_show_no_placeholder(world: World) -> None:
    """Somebody tags the commit before the one that sets the version: each tag finds another version there."""
    for version in ("0.2.0", "0.3.0", "0.4.0"):
        world.git("tag", f"core-v{version}")
        declare(world, "core", version)
    set_last = world.git("rev-parse", "HEAD")

    found = released(world, {"core": "0.1.0 0.2.0 0.3.0 0.4.0"})

    assert found == {"core": ("", "0.4.0", set_last)}


def test_lower_tags_show_no_placeholder(world: World) -> None:
    """Tags with versions that the package had earlier belong to something else."""
    declare(world, "core", "0.5.0")
    commit = world.git("rev-parse", "HEAD")
    for version in ("0.2.0", "0.3.0"):
        world.commit(f"fix: {version}", {f"packages/core/{version}.py": ""})
        world.git("tag", f"core-v{version}")

    found = released(world, {"core": "0.1.0 0.2.0 0.3.0 0.5.0"})

    assert found == {"core": ("", "0.5.0", commit)}


@pytest.mark.usefixtures("unrecorded")
def test_workspace_with_placeholders_is_released(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """`init` finds the releases of a workspace whose version is only in its tags; a release writes the next one."""
    world = make_world(tmp_path, "app: core; core")
    manifests = [f"packages/{name}/pyproject.toml" for name in ("app", "core")]
    for number, version in enumerate(("1.0.0", "1.1.0")):
        world.commit(f"feat: {number}", {f"packages/core/src/core/part{number}.py": ""})
        world.git("tag", f"v{version}")
        world.git("tag", f"chart-v{version}", "HEAD~1")
        texts = {path: (world.root / path).read_text() for path in manifests}
        for path, text in texts.items():
            world.write({path: text.replace('version = "0.1.0"', f'version = "{version}"')})
        upload(world, own_index, "app", "core")
        world.write(texts)
    world.commit("fix: core", {"packages/core/src/core/part2.py": ""})
    world.git("push", "--quiet", "--tags", "origin", "main")

    adoption = json.loads(world.releasekit("init", "--yes", "--format", "json").out)
    world.commit("chore: set up releases", {})
    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")
    after = json.loads(world.releasekit("plan", "--format", "json").out)

    rows = {
        (row["baseline"], row["tag"], row["version"], row["next"]) for row in adoption["packages"]
    }
    assert rows == {("tag", "v1.1.0", "1.1.0", "1.1.1")}
    assert adoption["tag_format"] == ["v{version}"]
    (note,) = adoption["notes"]
    assert note.startswith("app, core: only the tags have the versions of the releases")
    assert 'versioning = "fixed"' in (world.root / "pyproject.toml").read_text()
    assert said.code == 0, said.err
    assert ErrorCode.TAG_STRAY not in said.err
    assert {row["version"] for row in json.loads(said.out)["packages"]} == {"1.1.1"}
    assert 'version = "1.1.1"' in (world.root / manifests[0]).read_text()
    assert {row["next"] for row in after["packages"]} == {None}


FORMATS = (
    "{name}-v{version}",
    "{name}@{version}",
    "v{version}",
    "V{version}",
    "release-{version}",
    "py-v{version}",
)
VERSIONS = ("0.1", "0.2", "1.0", "1.0rc1", "2026.11.2")
NAMES = ("core", "app", "lone")
DECLARED = st.one_of(st.none(), st.sampled_from(VERSIONS))


@st.composite
def tagged_commits(draw: st.DrawFn) -> list[tuple[dict[str, str | None], list[str]]]:
    """Draw commits: what each package declares, None if it is not there, and the tags of the commit."""
    count = draw(st.integers(1, 5))
    tags = [
        form.replace("{name}", name).replace("{version}", version)
        for form in FORMATS
        for version in VERSIONS
        for name in (NAMES if "{name}" in form else NAMES[:1])
    ]
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from(tags), st.integers(0, count - 1)), max_size=12, unique_by=str
        )
    )
    places = dict(drawn)
    commits: list[tuple[dict[str, str | None], list[str]]] = []
    for number in range(count):
        declared = {name: draw(DECLARED) for name in NAMES}
        commits.append((declared, [tag for tag, place in places.items() if place == number]))
    return commits


def schemes_of(written: str, own: str) -> TagSchemes:
    """Return schemes that write and read these formats; lone has one of its own."""
    others = [form for form in FORMATS if form != written]
    return TagSchemes(TagScheme((written, *others), "py"), {"lone": TagScheme(own, "py")})


@given(
    tagged_commits(),
    st.sampled_from(FORMATS),
    st.sampled_from(FORMATS),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VERSIONS)),
)
@settings(max_examples=300)
def test_no_undeclared_tag_is_read(
    commits: list[tuple[dict[str, str | None], list[str]]],
    written: str,
    own: str,
    limits: dict[str, str],
) -> None:
    """No tag is ever read for a package that did not declare it; the highest that it declared is its last release."""
    tags = {tag: str(number) for number, (_, tagged) in enumerate(commits) for tag in tagged}
    limit = {name: Version(limits[name]) if name in limits else None for name in NAMES}
    schemes = schemes_of(written, own)
    by_name = package_tags(tags, schemes, limit)
    objections: dict[TagReading, str] = {}
    rounds = 0
    while True:
        baselines, unread = find_baselines(by_name, objections)
        if not unread:
            break
        rounds += 1
        assert not objections.keys() & set(unread), "nothing is read twice"
        for reading in unread:
            version = commits[int(reading.commit)][0][reading.name]
            declaration = Declaration(Version(version)) if version else None
            objections[reading] = objection(reading, declaration)

    assert rounds <= 12
    for name, last in baselines.items():
        for release in filter(None, (last, last.stable, last.first)):
            assert commits[int(release.commit)][0][name] is not None
            assert Version(commits[int(release.commit)][0][name] or "") == release.version
        for version in last.taken:
            assert any(Version(declared[name] or "0") == version for declared, _ in commits)
    for name in NAMES:
        named = [
            version
            for declared, tagged in commits
            if (version := declared[name])
            and schemes.of(name).tag(name, Version(version)) in tagged
        ]
        reachable_versions = [
            Version(version)
            for version in named
            if name not in limits or Version(version) <= Version(limits[name])
        ]
        if reachable_versions:
            assert baselines[name].version >= max(reachable_versions)
    assert not {stray.tag for stray in stray_tags(by_name, objections, baselines)} & {
        last.tag for last in baselines.values()
    }


@given(tagged_commits())
@settings(max_examples=8)
def test_real_tags_need_their_declaration(
    commits: list[tuple[dict[str, str | None], list[str]]],
) -> None:
    """The same on a real repository, whose files are read by git."""
    with tempfile.TemporaryDirectory() as directory:
        formats = json.dumps(list(FORMATS))
        world = make_world(Path(directory), "core; app; lone", f"tag_format = {formats}")
        head = world.git("rev-parse", "HEAD")
        declared_at: dict[str, dict[str, str | None]] = {}
        for declared, tagged in commits:
            for name, version in declared.items():
                file = world.root / f"packages/{name}/pyproject.toml"
                if version:
                    world.write({f"packages/{name}/pyproject.toml": project(name, version)})
                else:
                    file.unlink(missing_ok=True)
            sha = world.commit("next")
            declared_at[sha] = declared
            for tag in tagged:
                world.git("tag", tag)
        world.git("checkout", "--quiet", "-B", "main", head)
        for name in NAMES:
            declare(world, name, "9999.0")

        baselines = read_history(Repo(world.root), read_workspace(world.root, {})).baselines

        for name, last in baselines.items():
            assert Version(declared_at[last.commit][name] or "0") == last.version
