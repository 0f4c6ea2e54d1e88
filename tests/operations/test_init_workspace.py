"""The command `init`: what it finds of earlier releases, and what it writes."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode
from tests.support.world import World, make_world, upload, write_package

if TYPE_CHECKING:
    from releasekit.integrations.peryx import EmbeddedIndex

ON_A_TERMINAL = (
    "import os, pty, sys; raise SystemExit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
)


def init(world: World, *argv: str) -> dict[str, Any]:
    """Return what `init` has found and done."""
    said = world.releasekit("init", "--format", "json", *argv)
    assert said.code == 0, said.err
    return json.loads(said.out)


def root(world: World) -> str:
    """Return the root's pyproject.toml."""
    return (world.root / "pyproject.toml").read_text()


def statuses(world: World) -> dict[str, str]:
    """Return what the plan says of each package."""
    said = world.releasekit("plan", "--offline", "--format", "json")
    unfinished = {obstacle["code"] for obstacle in json.loads(said.out)["obstacles"]}
    assert unfinished <= {ErrorCode.PREFLIGHT_DIRTY_WORKTREE, ErrorCode.PREFLIGHT_LOCK_STALE}, (
        "what init writes is to be committed"
    )
    return {row["name"]: row["status"] for row in json.loads(said.out)["packages"]}


@pytest.mark.parametrize(
    ("tags", "formats", "more"),
    [
        (["core-v0.1.0", "app-v0.1.0"], ["{name}-v{version}"], '\npins = "exact"\n'),
        (["core==0.1.0", "app==0.1.0"], ["{name}=={version}"], ""),
        (["core==0.1.0", "app@0.1.0", "app==0.1.0"], ["{name}=={version}", "{name}@{version}"], ""),
        (
            ["py/core-v0.1.0", "py/app-v0.1.0", "js/core-v9.0"],
            ["{label}/{name}-v{version}"],
            'label = "py"',
        ),
        (["v0.1.0", "v0.0.9-docs"], ["v{version}"], 'versioning = "fixed"'),
        (["V0.1.0"], ["V{version}"], 'versioning = "fixed"'),
        (["release-0.1.0"], ["release-{version}"], 'versioning = "fixed"'),
        (["python-v0.1.0"], ["python-v{version}"], 'versioning = "fixed"'),
        (["v0.1.0", "core-v0.1.0"], ["{name}-v{version}", "v{version}"], ""),
        (["v7.0", "nightly", "core-v0.1.0", "app-v0.1.0"], ["{name}-v{version}"], ""),
    ],
)
def test_init_finds_the_tag_formats(
    tmp_path: Path, tags: list[str], formats: list[str], more: str
) -> None:
    """The tags of the field are found, whatever their form, and the configuration that is written reads them."""
    world = make_world(tmp_path, "app: core; core")
    for tag in tags:
        world.git("tag", tag)

    found = init(world, "--offline", "--yes")

    assert found["tag_format"] == formats
    rows = {row["name"]: row for row in found["packages"]}
    assert {row["baseline"] for row in rows.values()} == {"tag"}, rows
    assert {row["next"] for row in rows.values()} == {None}
    assert rows["core"]["commit"] == world.git("rev-parse", "HEAD")
    assert more in root(world)
    assert statuses(world) == {"core": "skipped", "app": "skipped"}
    again = init(world, "--offline", "--yes")
    assert (again["diffs"], again["written"]) == ({}, False)


def test_init_names_directories_in_tags(tmp_path: Path) -> None:
    """If most packages are tagged with the names of their directories, one format is for all, and the next one too."""
    world = make_world(tmp_path, "shop-core; shop-web; shop-api; shop-cli")
    names = ("core", "web", "api", "cli")
    for name in names:
        world.git("mv", f"packages/shop-{name}", f"packages/{name}")
    (world.root / "uv.lock").unlink()
    world.commit("refactor: short names", {})
    world.lock()
    old_tags = [f"cli-{version}" for version in ("0.0.8", "0.0.9")]
    for tag in [*(f"py/{name}/v0.1.0" for name in names), *old_tags]:
        world.git("tag", tag)

    found = init(world, "--offline", "--yes")

    assert (found["tag_format"], found["label"]) == (["py/{directory}/v{version}"], "")
    assert found["own_tag_formats"] == {}
    assert 'tag_format = "py/{directory}/v{version}"' in root(world)
    assert {row["baseline"] for row in found["packages"]} == {"tag"}
    assert set(statuses(world).values()) == {"skipped"}
    again = init(world, "--offline", "--yes")
    assert (again["diffs"], again["written"]) == ({}, False)


def set_version(world: World, name: str, version: str) -> None:
    """Commit another version of a package."""
    path = f"packages/{name}/pyproject.toml"
    text = re.sub(r'(?m)^version = ".*"', f'version = "{version}"', (world.root / path).read_text())
    world.commit(f"chore: {name} {version}", {path: text})


def test_calendar_versions_are_releases(tmp_path: Path) -> None:
    """Tags with a date as their version are read, with the zeros that a version does not have."""
    world = make_world(tmp_path, "app; core")
    for name in ("app", "core"):
        set_version(world, name, "2026.1.5")
    world.git("tag", "2026.01.05")

    found = init(world, "--offline", "--yes")

    assert found["tag_format"] == ["{version}"]
    assert {(row["tag"], row["version"]) for row in found["packages"]} == {
        ("2026.01.05", "2026.1.5")
    }


def test_some_packages_share_label_tags(tmp_path: Path) -> None:
    """Packages that declared each version of `python-vX` become a fixed group; the others keep tags with names."""
    world = make_world(tmp_path, "app: core; core; tool")
    for version in ("0.2.0", "0.3.0"):
        set_version(world, "app", version)
        set_version(world, "core", version)
        world.git("tag", f"python-v{version}")
    world.git("tag", "dotnet-v9.0")

    found = init(world, "--offline", "--yes")

    own = {"app": ["python-v{version}"], "core": ["python-v{version}"]}
    assert (found["tag_format"], found["own_tag_formats"]) == (["{name}-v{version}"], own)
    group = 'lockstep = { packages = ["app", "core"], versioning = "fixed", tag_format = "python-v{version}" }'
    assert group in root(world)
    assert "releasekit" not in (world.root / "packages/core/pyproject.toml").read_text()
    (unread,) = found["unread"]
    assert (unread["form"], unread["reason"]) == (
        "dotnet-v{version}",
        "no package declared 9.0 at dotnet-v9.0",
    )
    world.lock()
    world.commit("fix: core", {"packages/core/src/core/new.py": "NEW = 1\n"})
    plan = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    tags = {row["name"]: row["tag"] for row in plan["packages"] if row["status"] == "included"}
    assert (tags["app"], tags["core"]) == ("python-v0.3.1", "python-v0.3.1")


def test_prerelease_branch_decides_nothing(tmp_path: Path) -> None:
    """A tag on another branch, above what this branch declares, is no evidence about the packages here."""
    world = make_world(tmp_path, "app; core")
    world.git("tag", "v0.1.0")
    world.git("switch", "--quiet", "--create", "next")
    set_version(world, "app", "1.0.0a1")
    world.git("tag", "v1.0.0a1")
    world.git("switch", "--quiet", "main")

    found = init(world, "--offline", "--yes")

    assert (found["tag_format"], found["own_tag_formats"]) == (["v{version}"], {})
    assert {row["tag"] for row in found["packages"]} == {"v0.1.0"}


def test_root_package_has_own_tags(tmp_path: Path) -> None:
    """The package at the root may have tags without a name, beside members with names."""
    world = make_world(tmp_path, "core")
    project = '[project]\nname = "top"\nversion = "2.0.0"\nrequires-python = ">=3.11"\n\n'
    system = '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n\n'
    world.commit(
        "feat: top", {"pyproject.toml": project + system + root(world), "src/top/__init__.py": ""}
    )
    for tag in ("v2.0.0", "core-v0.1.0"):
        world.git("tag", tag)

    found = init(world, "--offline", "--yes")

    assert 'root_tag_format = "v{version}"' in root(world)
    assert "\ntag_format" not in root(world)
    assert {row["name"]: row["tag"] for row in found["packages"]} == {
        "core": "core-v0.1.0",
        "top": "v2.0.0",
    }


def test_directory_tags_get_own_format(tmp_path: Path) -> None:
    """A package that is tagged by another word than its name gets that form in its own file."""
    world = make_world(tmp_path, "acme-core; acme-app")
    for tag in ("core-v0.1.0", "acme-app-v0.1.0"):
        world.git("tag", tag)

    found = init(world, "--offline", "--yes")

    assert found["own_tag_formats"] == {"acme-core": ["core-v{version}"]}
    assert (
        'tag_format = "core-v{version}"'
        in (world.root / "packages/acme-core/pyproject.toml").read_text()
    )
    assert {row["tag"] for row in found["packages"]} == {"core-v0.1.0", "acme-app-v0.1.0"}


def world_in_lockstep(tmp_path: Path) -> World:
    """Return a world whose packages had one version, at last 0.3.0, at each of their releases."""
    world = make_world(tmp_path, "app; core")
    for version in ("0.2.0", "0.3.0"):
        set_version(world, "app", version)
        set_version(world, "core", version)
        for name in ("app", "core"):
            world.git("tag", f"{name}-v{version}")
    return world


def test_equal_releases_propose_fixed_versions(tmp_path: Path) -> None:
    """If all packages had one version at each of the last releases, `versioning = "fixed"` is proposed."""
    world = world_in_lockstep(tmp_path)
    world.commit("docs: history", {"CHANGELOG.md": "# Changelog\n\n## 0.3.0\n\nNew.\n"})

    init(world, "--offline", "--yes")

    assert '\nworkspace_changelog = "CHANGELOG.md"\n' in root(world)
    assert "\nchangelog = false\n" in root(world)
    assert (
        "# One version for all packages. At each of the last 2 releases, all packages had one version."
        in root(world)
    )
    assert '\nversioning = "fixed"\n' in root(world)


@pytest.mark.parametrize("file", ["link", "old", "own"])
def test_unsure_changelog_is_not_taken_over(tmp_path: Path, file: str) -> None:
    """A changelog at the root that a release could not write, or that ended long ago, is left; members keep theirs."""
    world = world_in_lockstep(tmp_path)
    version = "0.2.0" if file == "old" else "0.3.0"
    history = f"# Changelog\n\n## {version}\n\nNew.\n"
    world.write({"packages/core/CHANGELOG.md" if file == "own" else "HISTORY.md": history})
    world.write({"CHANGELOG.md": history})
    if file == "link":
        (world.root / "CHANGELOG.md").unlink()
        (world.root / "CHANGELOG.md").symlink_to("HISTORY.md")
    world.commit("docs: history")

    init(world, "--offline", "--yes")

    assert ("workspace_changelog" in root(world)) is (file == "own")
    assert "changelog = false" not in root(world)


def test_unread_tags_are_listed(tmp_path: Path) -> None:
    """Tags that look like versions and that nobody declared are listed with the reason; the defaults do not "fit"."""
    world = make_world(tmp_path, "app; core")
    for tag in ("website-3.0", "website-3.1", "core-v7"):
        world.git("tag", tag)

    said = world.releasekit("init", "--offline", "--yes")
    found = init(world, "--offline")

    assert "The defaults fit" not in root(world)
    assert (
        "not read: 2 tags website-{version} (newest website-3.1): no package declared 3.1 at website-3.1."
        in said.out
    )
    reasons = {tags["form"]: tags["reason"] for tags in found["unread"]}
    assert reasons["{name}-v{version}"] == "at core-v7, core declared 0.1.0"
    assert {form["form"]: form["matching"] for form in found["forms"]} == dict.fromkeys(reasons, 0)


def test_init_keeps_comments_and_order(tmp_path: Path) -> None:
    """The file keeps its comments and its order; what is there already stays, and what is missing is added."""
    world = make_world(tmp_path, "app: core; core")
    text = f"# mine\n{root(world)}\n[tool.releasekit]  # ours\ntag_format = '{{name}}@{{version}}'  # why\n"
    text += "[tool.releasekit.groups]\nall = ['*']\n[tool.other]\nkey = 1 # odd  spaces\n"
    world.write({"pyproject.toml": text})
    world.git("tag", "core==0.1.0")
    before = world.state()

    said = world.releasekit("init", "--offline")
    assert (said.code, world.state()) == (0, before)
    assert "nothing was written; pass --yes to write pyproject.toml" in said.err
    assert "-tag_format" not in said.out
    assert 'Add "{name}=={version}" to `tag_format`.' in said.out

    assert init(world, "--offline", "--yes")["written"]
    assert root(world) == text.replace(
        "[tool.releasekit.groups]", 'pins = "exact"\n\n[tool.releasekit.groups]'
    )
    assert init(world, "--offline")["diffs"] == {}


def test_init_leaves_inline_table_alone(tmp_path: Path) -> None:
    """A table that cannot be added to safely is left alone, and what to add is said."""
    world = make_world(tmp_path, "core")
    inline = "tool = { uv = { workspace = { members = ['packages/*'] }, sources = { core = { workspace = true } } } }\n"
    world.write({"pyproject.toml": inline})
    world.git("tag", "core==0.1.0")

    said = world.releasekit("init", "--offline", "--yes")

    assert (said.code, f"error: {ErrorCode.CONFIG_INVALID_VALUE}: " in said.err) == (2, True), (
        said.err
    )
    assert 'Add by hand: tag_format = "{name}=={version}"' in said.err
    assert root(world) == inline


def test_init_excludes_samples_of_strange_projects(
    tmp_path: Path, own_index: EmbeddedIndex
) -> None:
    """A sample whose name somebody else has on the index is excluded; one whose version was published stays."""
    world = make_world(tmp_path, "core; docs-kit; old-docs; taken; taken-docs")

    def declare(name: str, version: str) -> None:
        path = f"packages/{name}/pyproject.toml"
        text = (world.root / path).read_text()
        world.commit(
            f"chore: {name}", {path: text.replace('version = "0.1.0"', f'version = "{version}"')}
        )

    upload(world, own_index, "core", "docs-kit", "old-docs", "taken", "taken-docs")
    declare("taken", "0.3.0")
    declare("taken-docs", "0.3.0")
    world.git("tag", "core-v0.1.0")
    declare("old-docs", "0.2.0")
    world.lock()

    found = init(world, "--yes")

    reason = "its name or path says docs, and the index has only versions that it never declared"
    assert {package["name"]: package["reason"] for package in found["internal"]} == {
        "taken-docs": reason
    }
    assert f'# taken-docs: {reason}\nexclude = ["taken-docs"]\n' in root(world)


def test_init_excludes_internal_packages(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Packages that were never released, and whose name or path says why, are excluded with that reason."""
    world = make_world(tmp_path, "core: helper-test; helper-test; core-benchmarks: core")
    for name, place in {"plug": "plugins", "sock": "plugins", "hello": "samples"}.items():
        write_package(world, name, [])
        (world.root / place).mkdir(exist_ok=True)
        world.git("add", "--all")
        world.git("mv", f"packages/{name}", f"{place}/{name}")
    world.write(
        {
            "pyproject.toml": root(world).replace(
                '"packages/*"', '"packages/*", "plugins/*", "samples/*"'
            )
        }
    )
    world.lock()

    found = init(world, "--yes")

    rows = {row["name"]: row["baseline"] for row in found["packages"]}
    assert rows == {
        "core": "first", "core-benchmarks": "home", "hello": "home", "helper-test": "first", "plug": "first",
        "sock": "first",
    }  # fmt: skip
    assert {package["name"] for package in found["internal"]} == {"core-benchmarks", "hello"}
    assert root(world).endswith(
        "# Never released so far. Remove what you want to publish.\n"
        "# core-benchmarks: never released, and its name or path says benchmarks\n"
        "# hello: never released, and its name or path says samples\n"
        'exclude = ["samples/*", "core-benchmarks"]\n'
    )
    assert own_index.requests()


def test_init_notes_missing_build_system(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """What is on the index at its declared version, and has no build system, would silently stay unpublished."""
    world = make_world(tmp_path, "core; app: core; tool; young")
    for name, version in (
        ("core", "0.1.0"),
        ("app", "0.3.1"),
        ("tool", "0.4.2"),
        ("young", "0.1.0"),
    ):
        path = world.root / "packages" / name / "pyproject.toml"
        path.write_text(path.read_text().replace('version = "0.1.0"', f'version = "{version}"'))
    upload(world, own_index, "core", "app", "tool", "young")
    for name in ("app", "tool", "young"):
        path = world.root / "packages" / name / "pyproject.toml"
        path.write_text(path.read_text().partition("[build-system]")[0])

    notes = init(world)["notes"]

    (note,) = [note for note in notes if "build-system" in note]
    assert note.startswith("app, tool: the index has the declared version, but ")
    exclude = '\n[tool.releasekit]\nexclude = ["tool", "app"]\n'
    (world.root / "pyproject.toml").write_text(root(world) + exclude)
    assert not any("build-system" in note for note in init(world)["notes"])


@pytest.mark.usefixtures("unrecorded")
def test_init_notes_published_virtual_package(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A package that uv does not build, and that is on the index, would silently stay unpublished; `packages` helps."""
    world = make_world(tmp_path, "core; app: core; plain")
    for name in ("core", "app"):
        path = world.root / "packages" / name / "pyproject.toml"
        path.write_text(path.read_text().replace('version = "0.1.0"', 'version = "0.3.1"'))
    upload(world, own_index, "core", "app")
    for name in ("app", "plain"):
        path = world.root / "packages" / name / "pyproject.toml"
        path.write_text(f"{path.read_text()}\n[tool.uv]\npackage = false\n")
    world.lock()

    (note,) = [note for note in init(world)["notes"] if "package = false" in note]

    assert note.startswith("app: the index has the declared version, but [tool.uv] has ")
    named = '\n[tool.releasekit]\npackages = ["core", "app"]\n'
    (world.root / "pyproject.toml").write_text(root(world) + named)
    assert not any("package = false" in note for note in init(world)["notes"])
    change = {
        "packages/app/src/app/__init__.py": "LEAF = 1\n",
        "pyproject.toml": root(world),
    }
    world.commit("feat: leaf", change)
    world.git("push", "--quiet")
    released = world.releasekit(
        "publish", "--yes", "--skip-audit", "--skip-smoke-test", "-p", "app", "--format", "json"
    )
    assert released.code == 0, released.err
    (package,) = json.loads(released.out)["packages"]
    assert (package["name"], package["version"], package["outcome"]) == (
        "app",
        "0.4.0",
        "confirmed",
    )


def test_init_reads_calendar_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After releases whose versions are dates, `init` lets the date decide, and the next version is that of today."""
    world = make_world(tmp_path, "core")
    for day in ("2025-11-03", "2025-12-10", "2026-01-22"):
        version = ".".join(str(int(part)) for part in day.split("-"))
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{day}T12:00:00Z")
        write_package(world, "core", [])
        path = world.root / "packages/core/pyproject.toml"
        path.write_text(path.read_text().replace("0.1.0", version))
        world.commit(f"chore: release {version}")
        world.git("tag", f"v{day.replace('-', '.')}")
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    world.commit("fix: core", {"packages/core/src/core/__init__.py": "FIXED = True\n"})
    world.lock()

    init(world, "--offline", "--yes")

    assert (
        "# The versions of the newest releases are the dates of their commits.\n"
        'versioning_scheme = "calver:YYYY.MM.DD"\n'
    ) in root(world)
    days = [datetime.now(UTC)]
    said = world.releasekit("plan", "--offline", "--format", "json")
    days.append(datetime.now(UTC))
    (core,) = json.loads(said.out)["packages"]
    assert core["current"] == "2026.1.22"
    assert core["next"] in {f"{day.year}.{day.month}.{day.day}" for day in days}


def test_init_notes_that_defaults_fit(tmp_path: Path) -> None:
    """A workspace that needs no key gets a table that says so, once."""
    world = make_world(tmp_path, "app; core")

    assert {row["baseline"] for row in init(world, "--offline", "-y")["packages"]} == {"unasked"}
    assert root(world).endswith("\n\n[tool.releasekit]\n# The defaults fit this workspace. "
                                "`releasekit plan` shows what would be released, and why.\n")  # fmt: skip
    assert init(world, "--offline", "-y")["diffs"] == {}


def test_init_gives_package_bare_tags(tmp_path: Path) -> None:
    """Where tags without a name are one package's, that package is told so in its own file."""
    world = make_world(tmp_path, "app: core; core; util")
    path = "packages/core/pyproject.toml"
    world.commit("chore: go", {path: (world.root / path).read_text().replace("0.1.0", "0.4.0")})
    for tag in ("v0.4.0", "app-v0.1.0", "util-v0.1.0"):
        world.git("tag", tag)

    found = init(world, "--offline", "--yes")

    assert {row["name"]: row["tag"] for row in found["packages"]} == {
        "app": "app-v0.1.0",
        "core": "v0.4.0",
        "util": "util-v0.1.0",
    }
    assert 'tag_format = "v{version}"' in (world.root / path).read_text()
    assert set(statuses(world).values()) == {"skipped"}


def release_of_app(tmp_path: Path, subject: str) -> World:
    """Return a workspace whose packages have tag formats of their own, after app was released alone at v0.1.0."""
    world = make_world(tmp_path, "app; core; new")
    for name in ("app", "core"):
        path = f"packages/{name}/pyproject.toml"
        text = (world.root / path).read_text()
        world.write({path: f'{text}\n[tool.releasekit]\ntag_format = "{name[0]}-{{version}}"\n'})
    world.commit("chore: begin")
    for tag in ("c-0.1.0", "a-0.0.9", "release-2026.01.01"):
        world.git("tag", tag)
    world.commit(subject)
    for tag in ("a-0.1.0", "v0.1.0"):
        world.git("tag", "--annotate", "--message", tag, tag)
    return world


@pytest.mark.parametrize("subject", ["chore(release): v0.1.0", "chore(release): v0.1.0 (#12)"])
def test_init_ignores_the_umbrella_tag(tmp_path: Path, subject: str) -> None:
    """The tag of a release as a whole is no package's, and a package's own tag format stays as it is."""
    world = release_of_app(tmp_path, subject)

    found = init(world, "--offline", "--yes")

    assert (found["tag_format"], found["diffs"].keys()) == (
        ["{name}-v{version}"],
        {"pyproject.toml"},
    )
    assert {row["name"]: (row["tag"], row["baseline"]) for row in found["packages"]} == {
        "app": ("a-0.1.0", "tag"),
        "core": ("c-0.1.0", "tag"),
        "new": ("", "unasked"),
    }
    assert statuses(world) == {"app": "skipped", "core": "skipped", "new": "included"}

    world.write(
        {"pyproject.toml": f'{root(world)}tag_format = ["{{name}}-v{{version}}", "v{{version}}"]\n'}
    )
    world.commit("chore: read older tags")
    assert statuses(world)["new"] == "included", (
        "v0.1.0 tells nothing of it, though its format reads that"
    )
    (row,) = (row for row in init(world, "--offline")["packages"] if row["name"] == "new")
    assert row["baseline"] == "unasked"
    checked = world.releasekit("check", "--select", "tag_baseline", "--format", "json")
    assert json.loads(checked.out)["findings"] == []
    path = "packages/new/pyproject.toml"
    world.commit("chore: on", {path: (world.root / path).read_text().replace("0.1.0", "0.2.0")})
    checked = world.releasekit("check", "--select", "tag_baseline", "--format", "json")
    assert [each["what"] for each in json.loads(checked.out)["findings"]] == [
        "new has version 0.2.0, but no tag marks its last release"
    ]


def test_merge_commit_marks_umbrella_tag(tmp_path: Path) -> None:
    """It is recognised on the merge of a release pull request too; a tag of somebody else's release is not."""
    world = make_world(tmp_path, "app; core")
    world.git("switch", "--quiet", "--create", "next")
    world.commit("chore(release): v0.1.0")
    world.git("switch", "--quiet", "main")
    world.git(
        "merge", "--quiet", "--no-ff", "--message", "Merge pull request #12 from next", "next"
    )
    for tag in ("app-v0.1.0", "v0.1.0"):
        world.git("tag", tag)
    assert init(world, "--offline")["tag_format"] == ["{name}-v{version}"]

    world.git("commit", "--quiet", "--amend", "--message", "release day")
    world.git("tag", "--force", "app-v0.1.0")
    world.git("tag", "--force", "v0.1.0")
    assert init(world, "--offline")["tag_format"] == ["{name}-v{version}"], (
        "the merged commit says it"
    )
    world.commit("release day")
    world.git("tag", "--force", "app-v0.1.0")
    world.git("tag", "--force", "v0.1.0")
    assert init(world, "--offline")["tag_format"] == ["{name}-v{version}", "v{version}"]


def test_squash_merge_keeps_dated_umbrella(tmp_path: Path) -> None:
    """A dated umbrella tag is no package's, whatever the title of its commit is; a dynamic version does not take it."""
    world = make_world(tmp_path, "app; core; late")
    path = "packages/late/pyproject.toml"
    dynamic = (world.root / path).read_text().replace('version = "0.1.0"', 'dynamic = ["version"]')
    source = '\n[tool.hatch.version]\nsource = "vcs"\n'
    world.commit("build: version from tags", {path: dynamic + source})
    world.git("tag", "late-v0.0.9")
    world.commit("Release the packages (#12)")
    for tag in ("app-v0.1.0", "core-v0.1.0", "release-2026.01.31"):
        world.git("tag", tag)

    adoption = init(world, "--offline")
    assert (adoption["tag_format"], adoption["unread"]) == (["{name}-v{version}"], [])

    keys = 'allow_new = true\ntag_format = ["{name}-v{version}", "release-{version}"]\n'
    world.write({"pyproject.toml": f"{root(world)}\n[tool.releasekit]\n{keys}"})
    world.commit("feat: read older tags", {"packages/late/late.py": ""})
    planned = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    versions = {row["name"]: (row["current"], row["next"]) for row in planned["packages"]}
    assert versions == {"app": ("0.1.0", None), "core": ("0.1.0", None), "late": ("0.0.9", "0.1.0")}
    assert "release-2026.01.31" not in str(planned["warnings"])

    own = (
        dynamic
        + '\n[tool.releasekit]\ntag_format = ["release-{version}", "late-v{version}"]\n'
        + source
    )
    world.commit("build: a format like that of umbrella tags", {path: own})
    planned = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    (late,) = (row for row in planned["packages"] if row["name"] == "late")
    assert (late["current"], late["next"], late["tag"]) == ("0.0.9", "0.1.0", "release-0.1.0")


def test_bare_tag_releases_every_package(tmp_path: Path) -> None:
    """Where all packages share one tag without a name, that is the release of each, whatever else is tagged there."""
    world = make_world(tmp_path, "app: core; core")
    world.write(
        {"pyproject.toml": f'{root(world)}\n[tool.releasekit]\ntag_format = "v{{version}}"\n'}
    )
    world.commit("chore(release): v0.1.0")
    for tag in ("v0.1.0", "docker-0.1.0"):
        world.git("tag", tag)

    assert {row["tag"] for row in init(world, "--offline")["packages"]} == {"v0.1.0"}
    assert statuses(world) == {"app": "skipped", "core": "skipped"}


@pytest.mark.parametrize(
    ("requirement", "pins"),
    [("core>=0.1", "compatible"), ("core==0.1.0", "exact"), ("core", "exact")],
)
def test_init_infers_the_pins_key(tmp_path: Path, requirement: str, pins: str) -> None:
    """What the sources require of each other says how wheels are pinned; a key that is there stays."""
    world = make_world(tmp_path, f"app: {requirement}; core")

    init(world, "--offline", "--yes")

    assert re.search(
        rf'^# A built package requires .*\.\npins = "{pins}"$', root(world), re.MULTILINE
    )
    text = root(world).replace(f'"{pins}"', '"keep"')
    world.write({"pyproject.toml": text})
    assert init(world, "--offline", "--yes")["diffs"] == {}
    assert root(world) == text


def test_init_tags_baselines_when_asked(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """What is on the index without a tag is found, and tagged only when asked: here, at the commit that set it."""
    world = make_world(tmp_path, "app: core; core; new")
    sha = world.git("rev-parse", "HEAD")
    upload(world, own_index, "core", "app")
    path = "packages/app/pyproject.toml"
    world.commit("chore: on", {path: (world.root / path).read_text().replace("0.1.0", "0.2.0")})
    world.git("tag", "app-v0.0.1")  # no release: app declares 0.2.0 there
    refs = world.git("for-each-ref")

    said = world.releasekit("init", "--yes")
    found = init(world, "--yes")

    assert (
        f"--tag-baselines would tag {sha[:7]} as app-v0.1.0, {sha[:7]} as core-v0.1.0\n" in said.out
    )
    assert "on the index, no tag; set at" in said.out
    rows = {
        row["name"]: (row["baseline"], row["version"], row["commit"], row["note"])
        for row in found["packages"]
    }
    assert rows == {
        "app": ("index", "0.1.0", sha, "no tag app-v0.1.0"),
        "core": ("index", "0.1.0", sha, "no tag core-v0.1.0"),
        "new": ("first", None, "", ""),
    }
    assert (found["missing"], found["made"]) == ({"app-v0.1.0": sha, "core-v0.1.0": sha}, [])
    assert world.git("for-each-ref") == refs

    assert init(world, "--tag-baselines")["made"] == [], "nobody said yes"
    asked = world.releasekit("init", "--tag-baselines")
    (table,) = re.findall(r"Tags to make, in this repository only\n(?:.+\n){3}", asked.out)
    assert [line.split()[:3] for line in table.splitlines()[2:]] == [
        ["app", "app-v0.1.0", sha[:7]],
        ["core", "core-v0.1.0", sha[:7]],
    ]
    assert table.count("the index has 0.1.0, and this commit set it") == 2
    assert "--tag-baselines would tag" not in asked.out
    assert init(world, "--tag-baselines", "--yes")["made"] == ["app-v0.1.0", "core-v0.1.0"]
    assert world.git("rev-parse", "core-v0.1.0^{commit}") == sha
    assert world.tags() == {}, "none is pushed"
    assert init(world)["missing"] == {}
    assert init(world, "--check-url", "http://127.0.0.1:9/simple", "--offline")["missing"] == {}
    alone = world.releasekit("init", "--check-url", "http://127.0.0.1:9/simple")
    note = f"note {ErrorCode.INDEX_UNREACHABLE}: no index was reached, so the last releases are from tags alone\n"
    assert (alone.code, alone.out.count(note)) == (0, 1)


def test_init_makes_no_tag_that_exists(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """The tag of the last release is on the commit before the one that sets its version: it stays there."""
    world = make_world(tmp_path, "core")
    tagged = world.git("rev-parse", "HEAD")
    world.git("tag", "core-v0.2.0")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    commit = world.commit("chore: release", {path: text.replace("0.1.0", "0.2.0")})
    upload(world, own_index, "core")

    found = init(world, "--tag-baselines", "--yes")

    (row,) = found["packages"]
    assert (row["baseline"], row["version"], row["commit"]) == ("index", "0.2.0", commit)
    assert row["note"] == f"core-v0.2.0 is at {tagged[:7]}, with another version"
    assert (found["missing"], found["made"]) == ({}, [])


def test_init_names_tagged_packages_off_the_index(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A package that has release tags and was never uploaded may be private: its first upload must be a choice."""
    world = make_world(tmp_path, "core; image")
    upload(world, own_index, "core")
    for name in ("core", "image"):
        world.git("tag", f"{name}-v0.1.0")

    rows = {row["name"]: row for row in init(world)["packages"]}
    unasked = {row["name"]: row["note"] for row in init(world, "--offline")["packages"]}

    assert (rows["core"]["published"], rows["core"]["note"]) == (True, "")
    assert (rows["image"]["baseline"], rows["image"]["published"]) == ("tag", False)
    assert (
        rows["image"]["note"]
        == "tagged, but not on the index; add it to `exclude` if it stays private"
    )
    assert unasked == {"core": "", "image": ""}


def test_init_names_packages_outside_of_workspace(tmp_path: Path) -> None:
    """A package that is no member would be left out without a word; the advice makes it a member."""
    world = make_world(tmp_path, "app: core; core")
    manifest = (world.root / "packages/core/pyproject.toml").read_text()
    extra = {
        f"extras/{name}/{path}": text
        for name in ("one", "two")
        for path, text in (
            ("pyproject.toml", manifest.replace("core", name)),
            (f"src/{name}/__init__.py", ""),
        )
    }
    hostile = {"deep/pyproject.toml": f"a = {'[' * 5000}", "odd/pyproject.toml": "a = 1e"}
    world.commit("feat: extras", {**extra, **hostile})

    (note,) = init(world, "--offline")["notes"]

    assert note == (
        "no members of the workspace: extras/one, extras/two. A release leaves them out. To release them too, add to "
        '[tool.uv.workspace]: members = ["extras/*"]'
    )
    world.write({"pyproject.toml": root(world).replace("members = [", 'members = ["extras/*", ')})
    world.commit("build: extras are members")
    found = init(world, "--offline")
    assert found["notes"] == []
    assert {row["name"] for row in found["packages"]} == {"app", "core", "one", "two"}


def test_missing_workspace_is_explained(tmp_path: Path) -> None:
    """Without a workspace, every command says how to make one of the packages below; the advice works."""
    world = make_world(tmp_path, "app: core; core")
    world.git("rm", "--quiet", "pyproject.toml", "uv.lock")
    world.commit("build: no workspace")

    said = world.releasekit("plan", "--offline")

    assert said.code == 2
    assert "RK-WORKSPACE-NOT-FOUND" in said.err
    advice = 'write [tool.uv.workspace] with members = ["packages/*"] into'
    assert f"{advice} a new pyproject.toml there, and run `uv lock`" in said.err
    world.commit("build: settings", {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"})
    said = world.releasekit("plan", "--offline")
    assert "RK-WORKSPACE-NOT-FOUND" in said.err
    assert f"{advice} its pyproject.toml, and run `uv lock`" in said.err
    world.commit(
        "build: move", {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n'}
    )
    assert world.releasekit("plan", "--offline").out.startswith("release-")
    (world.root / "python").mkdir()
    world.git("mv", "packages", "pyproject.toml", "python")
    world.commit("build: a directory for Python")
    assert "Go to python, or name it: --workspace python." in world.releasekit("plan").err


def test_init_skips_baseline_without_commit(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Of a release that no commit here tells of, that is said; no tag is made for it."""
    world = make_world(tmp_path, "core")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    world.write({path: text.replace("0.1.0", "0.0.9")})
    upload(world, own_index, "core")
    world.write({path: text})

    (row,) = init(world, "--yes", "--tag-baselines")["packages"]
    said = world.releasekit("init", "--yes", "--tag-baselines")

    assert re.search(r"0\.0\.9 +on the index, no tag +- +yes +no tag", said.out)
    assert (row["baseline"], row["commit"]) == ("index", "")
    assert row["note"] == "no tag core-v0.0.9, and no commit here sets the version 0.0.9"
    assert world.git("tag") == ""


@pytest.mark.parametrize(
    ("keys", "written"),
    [("n\r", False), ("y\r", True), ("\r", False), ("\x04", False)],
    ids=["no", "yes", "return", "ctrl-d"],
)
def test_init_asks_on_a_terminal(tmp_path: Path, keys: str, written: bool) -> None:
    """On a terminal it asks before it writes; no answer is a no."""
    world = make_world(tmp_path, "core")
    before = root(world)
    program = (sys.executable, "-m", "releasekit", "init", "--offline")
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TERM": "xterm",
        "COLUMNS": "200",
    }

    said = subprocess.run(
        (sys.executable, "-c", ON_A_TERMINAL, *program), cwd=world.root, env=env, input=keys.encode(),
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip

    assert b"Write pyproject.toml?" in said.stdout
    assert (root(world) != before) == written


def converse(world: World, answers: dict[str, str], *argv: str) -> str:
    """Run `init` on a terminal, type the answer to each question (by a part of it), and return what is shown."""
    program = (sys.executable, "-m", "releasekit", "init", *argv)
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TERM": "dumb",
        "COLUMNS": "200",
    }
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        program, cwd=world.root, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    heard = ""
    waiting = dict(answers)
    while select.select([ours], [], [], 30)[0]:
        try:
            chunk = os.read(ours, 1 << 16)
        except OSError:  # so Linux says that nobody is at the other end any more
            break
        heard += chunk.decode()
        for question, answer in list(waiting.items()):
            if question in " ".join(heard.split()) and heard.endswith("): "):
                os.write(ours, f"{answer}\n".encode())
                del waiting[question]
                break
    os.close(ours)  # a program that still asks gets no answer, and ends
    assert (child.wait(30), waiting) == (0, {}), heard
    return heard


def many_untyped_commits(world: World) -> None:
    """Commit often, without any type."""
    for number in range(25):
        world.commit(f"change {number}", {"packages/core/src/core/new.py": f"NUMBER = {number}\n"})


def test_conversation_asks_what_it_cannot_know(tmp_path: Path) -> None:
    """On a terminal, `init` asks about internal packages, commits without types, who uploads, and the index."""
    world = make_world(tmp_path, "core; core-tests; core-dev")
    world.git("remote", "set-url", "origin", "https://github.com/shelf/fruit.git")
    index = '[[tool.uv.index]]\nname = "inner"\nurl = "https://index.example/simple/"\n'
    world.write(
        {
            "pyproject.toml": f'{root(world)}\n{index}publish-url = "https://upload.example/legacy/"\n'
        }
    )
    world.commit("chore: index")
    world.git("tag", "core-v0.1.0")
    many_untyped_commits(world)

    answers = {
        "Leave them unpublished?": "each",
        "Leave core-dev unpublished": "no",
        "Leave core-tests unpublished": "yes",
        "Let each commit without a type": "no",
        "Who uploads": "ci",
        "Which index": "inner",
        "Write ": "y",
    }
    heard = converse(world, answers, "--offline")

    table, questions, changes = (
        heard.index(text) for text in ("Last release", "Leave them", "+exclude")
    )
    assert table < questions < changes
    written = root(world)
    assert 'exclude = ["core-tests"]' in written
    assert "unconventional" not in written
    assert '\npublish_from = "ci"\n' in written
    assert '\nindex = "inner"\n' in written
    publish = (world.root / ".github/workflows/publish.yml").read_text()
    assert "          UV_PUBLISH_TOKEN: ${{ secrets.UV_PUBLISH_TOKEN }}\n" in publish
    assert "secret: UV_PUBLISH_TOKEN" in " ".join(heard.split())


def test_no_terminal_means_no_questions(tmp_path: Path) -> None:
    """With --yes and without a terminal, the proposals with evidence apply, and nobody is asked."""
    world = make_world(tmp_path, "core; core-tests")
    world.git("remote", "set-url", "origin", "https://github.com/shelf/fruit.git")
    world.git("tag", "core-v0.1.0")
    many_untyped_commits(world)

    found = init(world, "--offline", "--yes")

    assert (found["commit_types"]["total"], found["commit_types"]["typed"]) == (26, 1)
    assert 'exclude = ["core-tests"]' in root(world)
    assert '\nunconventional = "patch"\n' in root(world)
    assert "publish_from" not in root(world)


def test_checklist_has_exact_values(tmp_path: Path) -> None:
    """`init --ci` ends with what is set up by hand: for each system, the values that its forms ask for."""
    world = make_world(tmp_path, "app; core")
    world.git("remote", "set-url", "origin", "https://github.com/shelf/fruit.git")

    found = init(world, "--offline", "--ci", "github")
    said = world.releasekit("init", "--offline", "--ci", "github")

    *_, first, publishers = found["setup_steps"]
    assert first["what"].startswith("publish the new projects once from your machine, with a token")
    assert first["values"] == {"variable": "UV_PUBLISH_TOKEN"}
    assert first["packages"] == publishers["packages"] == ["app", "core"]
    assert publishers["values"] == {
        "owner": "shelf", "repository": "fruit", "workflow": "publish.yml", "environment": "pypi",
    }  # fmt: skip
    assert "[ ] turn on `Allow GitHub Actions to create and approve pull requests`" in said.out
    assert '+publish_from = "ci"' in said.out

    world.git("remote", "set-url", "origin", "https://gitlab.com/shelf/sub/fruit.git")
    *_, publishers = init(world, "--offline", "--ci", "gitlab")["setup_steps"]
    assert (publishers["values"]["namespace"], publishers["values"]["project"]) == (
        "shelf/sub",
        "fruit",
    )


def test_one_new_project_gets_pending_publisher(tmp_path: Path) -> None:
    """PyPI takes one pending publisher for a workflow: enough for one new project."""
    world = make_world(tmp_path, "core")
    world.git("remote", "set-url", "origin", "https://github.com/shelf/fruit.git")

    *_, publisher = init(world, "--offline", "--ci", "github")["setup_steps"]

    assert publisher["what"] == "add a pending trusted publisher for the new project"
    assert publisher["where"] == "PyPI: your account > Publishing"


def test_equal_rows_are_one_row(tmp_path: Path) -> None:
    """Many equal packages are one row with the first names; `--verbose` shows each."""
    world = make_world(tmp_path, "; ".join(f"p{number}" for number in range(6)))

    short = world.releasekit("init", "--offline").out
    long = world.releasekit("--verbose", "init", "--offline").out

    assert "p0, p1, p2 and 3 more" in short
    assert "p4" not in short
    assert all(f"p{number} " in long for number in range(6))


SHIPPED = Path(__file__).parents[2] / "deployments"


def test_init_writes_the_shipped_workflows(tmp_path: Path) -> None:
    """The workflows are those that are shipped, for the branch that is checked out; a second time nothing is to do."""
    world = make_world(tmp_path, "core")
    world.git("switch", "--quiet", "--create", "release/1.x")

    seen = init(world, "--offline", "--ci", "github")
    assert {path for path in seen["diffs"] if "workflows" in path} == {
        f".github/workflows/{each.name}" for each in (SHIPPED / "github").iterdir()
    }
    assert not (world.root / ".github").exists()
    said = world.releasekit("init", "--offline", "--ci", "github")
    assert ".github/workflows/publish.yml and .github/workflows/release.yml\n" in said.err
    assert said.err.count(" and ") == 1
    init(world, "--offline", "--ci", "github", "--yes")

    for path in (SHIPPED / "github").iterdir():
        wanted = path.read_text().replace("branches: [main]", 'branches: ["release/1.x"]')
        assert (world.root / ".github/workflows" / path.name).read_text() == wanted
    assert init(world, "--offline", "--ci", "github", "--yes")["diffs"] == {}
    mine = world.root / ".github/workflows/plan.yml"
    mine.write_text(mine.read_text().replace("timeout-minutes: 15", "timeout-minutes: 5"))
    assert (
        "-    timeout-minutes: 5\n+    timeout-minutes: 15\n"
        in init(world, "--offline", "--ci", "github")["diffs"][".github/workflows/plan.yml"]
    )


def test_init_includes_the_gitlab_pipeline(tmp_path: Path) -> None:
    """On GitLab the pipeline is included; a file of one's own is left as it is, and one is told what to put into it."""
    world = make_world(tmp_path, "core")
    init(world, "--offline", "--ci", "gitlab", "--yes")
    path = ".gitlab/releasekit.gitlab-ci.yml"
    assert (world.root / path).read_text() == (
        SHIPPED / "gitlab/releasekit.gitlab-ci.yml"
    ).read_text()
    assert (world.root / ".gitlab-ci.yml").read_text() == f"include:\n  - local: {path}\n"
    said = world.releasekit("init", "--offline", "--ci", "gitlab", "--yes")
    assert "add to .gitlab-ci.yml" not in said.err

    (world.root / ".gitlab-ci.yml").write_text("stages: [test]\n")
    said = world.releasekit("init", "--offline", "--ci", "gitlab", "--yes")

    assert f"add to .gitlab-ci.yml: `include: [{{local: {path}}}]`" in said.err
    assert (world.root / ".gitlab-ci.yml").read_text() == "stages: [test]\n"


def test_workflows_go_to_repository_root(tmp_path: Path) -> None:
    """They go to the top of the repository, where the CI looks for them."""
    world = make_world(tmp_path, "core")
    (world.root / "python").mkdir()
    for name in ("packages", "pyproject.toml", "uv.lock"):
        world.git("mv", name, "python")
    world.commit("chore: nested")

    init(World(world.root / "python", world.remote), "--offline", "--ci", "github", "--yes")

    assert (world.root / ".github/workflows/publish.yml").is_file()
    assert not (world.root / "python/.github").exists()
