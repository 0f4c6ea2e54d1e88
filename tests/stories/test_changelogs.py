"""Changelogs of whole releases: what the release commit holds of them, version by version."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from releasekit.core.changelog.changelog import Section
from releasekit.core.planning.model import Plan
from releasekit.integrations.git import Repo
from releasekit.store.record import create_record
from tests.support.world import World, make_world, write_package

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("unrecorded", "own_index")

FILE = "packages/core/CHANGELOG.md"
DATE = r"\d{4}-\d\d-\d\d"


def configure(world: World, keys: str) -> None:
    """Add *keys* to the configuration."""
    text = (world.root / "pyproject.toml").read_text()
    world.commit("chore: configure", {"pyproject.toml": f"{text}\n[tool.releasekit]\n{keys}\n"})


def change(world: World, message: str, package: str = "core") -> str:
    """Commit a change of a package."""
    path = f"packages/{package}/src/{package}/__init__.py"
    return world.commit(
        message, {path: f"{(world.root / path).read_text()}# {message.splitlines()[0]}\n"}
    )


def release(world: World) -> None:
    """Push and release, to the end."""
    world.git("push", "--quiet", "origin", "HEAD")
    said = world.releasekit("publish", "--yes", "--skip-audit", "--skip-smoke-test")
    assert said.code == 0, said.err


def changelog(world: World, path: str = FILE) -> str:
    """Return the changelog as it is pushed, its shas and dates made plain."""
    text = world.git("show", f"origin/main:{path}") + "\n"
    assert (world.root / path).read_text().replace("\r\n", "\n") == text
    return re.sub(DATE, "DATE", re.sub(r"\(([0-9a-f]{7})\)", "(SHA)", text))


def test_release_adds_to_the_changelog(tmp_path: Path) -> None:
    """The first release makes the file, the next one adds to it, in the very commit that the tags are on."""
    world = make_world(tmp_path, "app: core; core")

    release(world)

    assert changelog(world) == "# Changelog\n\n## 0.1.0 - DATE\n\nFirst release.\n"
    assert changelog(world, "packages/app/CHANGELOG.md") == changelog(world)

    sha = change(world, "feat(api)!: cores are round (#7)\n\nBREAKING CHANGE: square ones are gone")
    change(world, "fix: no `core_x` is lost in List<core>")
    change(world, "docs: say so")
    change(world, "feat: oval cores")
    world.git("revert", "--no-edit", "HEAD")
    unreleased = world.releasekit("changelog", "core").out
    release(world)

    text = (world.root / FILE).read_text()
    assert f"({sha[:7]})" in text
    assert changelog(world) == (
        "# Changelog\n\n## 0.2.0 - DATE\n\n"
        "### Breaking Changes\n\n- **api:** cores are round (#7) (SHA)\n\n  square ones are gone\n\n"
        "### Bug Fixes\n\n- no `core_x` is lost in List\\<core> (SHA)\n\n"
        "## 0.1.0 - DATE\n\nFirst release.\n"
    )
    assert unreleased.removeprefix("# core\n\n") in text, "what was shown is what was written"
    assert FILE in world.git("show", "--format=", "--name-only", "core-v0.2.0").split()
    assert "0.2.0" not in changelog(world, "packages/app/CHANGELOG.md"), "app was not released"
    assert world.git("status", "--porcelain") == ""
    assert json.loads(world.releasekit("changelog", "--format", "json").out)["packages"] == []


def test_separate_mode_keeps_prerelease_sections(tmp_path: Path) -> None:
    """With `changelog_prerelease_mode = "separate"` a stable release tells its own alone, below it what went before."""
    world = make_world(tmp_path, "core")
    configure(world, 'changelog_prerelease_mode = "separate"\nprerelease = "none"')
    world.git("tag", "core-v0.1.0")
    change(world, "feat: one")
    change(world, "feat: two\n\nRelease-As: 0.2.0rc1")
    release(world)
    candidate = "## 0.2.0rc1 - DATE\n\n### Features\n\n- two (SHA)\n- one (SHA)\n"
    assert changelog(world) == f"# Changelog\n\n{candidate}"

    change(world, 'Revert "feat: two"')
    change(world, "perf: three")
    release(world)

    stable = '## 0.2.0 - DATE\n\n### Performance\n\n- three (SHA)\n\n### Reverts\n\n- Revert "feat: two" (SHA)\n'
    assert changelog(world) == f"# Changelog\n\n{stable}\n{candidate}"


def test_changelog_false_writes_no_file(tmp_path: Path) -> None:
    """With `changelog = false` no changelog is made, and one that is there is left alone."""
    world = make_world(tmp_path, "app: core; core")
    configure(world, "changelog = false")
    world.commit("docs: mine", {FILE: "# Mine\n"})

    assert "First release." in world.releasekit("changelog", "app").out, (
        "what it would be can still be seen"
    )
    release(world)

    assert changelog(world) == "# Mine\n"
    assert not (world.root / "packages/app/CHANGELOG.md").exists()


def test_changelog_path_names_the_file(tmp_path: Path) -> None:
    """`changelog_path` names the changelog of every package, or of one in its own table; the others stay."""
    world = make_world(tmp_path, "app; core")
    configure(world, 'changelog_path = "docs/NEWS.md"')
    member = world.root / "packages/app/pyproject.toml"
    key = '\n[tool.releasekit]\nchangelog_path = "CHANGES"\n'
    files = {
        "packages/app/pyproject.toml": member.read_text() + key,
        "packages/core/docs/news.md": "# News\n",
    }
    world.commit("docs: mine", files | {FILE: "# Old\n"})
    shown = {
        row["name"]: row["changelog_path"]
        for row in json.loads(world.releasekit("changelog", "--format", "json").out)["packages"]
    }
    commands = world.releasekit("publish", "--dry-run", "--offline").out

    release(world)

    assert shown == {"app": "CHANGES", "core": "docs/NEWS.md"}
    assert "packages/app/CHANGES" in commands
    assert changelog(world) == "# Old\n"
    assert (
        changelog(world, "packages/core/docs/news.md")
        == "# News\n\n## 0.1.0 - DATE\n\nFirst release.\n"
    )
    assert (
        changelog(world, "packages/app/CHANGES")
        == "# Changelog\n\n## 0.1.0 - DATE\n\nFirst release.\n"
    )
    assert not (world.root / "packages/app/CHANGELOG.md").exists()
    assert json.loads(world.releasekit("changelog", "--format", "json").out)["packages"] == [], (
        "the release is no change"
    )


def test_changelog_path_must_be_text(tmp_path: Path) -> None:
    """A release is refused if `changelog_path` names a directory, or a file that is not text; the error says where."""
    world = make_world(tmp_path, "app; core")
    configure(world, 'changelog_path = "src"')
    member = world.root / "packages/app/pyproject.toml"
    member.write_text(member.read_text() + '\n[tool.releasekit]\nchangelog_path = "wide.md"\n')
    (world.root / "packages/app/wide.md").write_bytes("# News\n".encode("utf-16"))
    world.git("add", "--all")
    world.commit("docs: news", {"NEWS.md": "# News\n"})

    said = world.releasekit("publish", "--yes", "--skip-audit")

    assert said.code == 2
    assert "changelog_path: packages/core/src is a directory" in said.err
    assert "changelog_path: packages/app/wide.md is in UTF-16 or not text" in said.err
    assert "packages/app/pyproject.toml, [tool.releasekit]" in said.err
    assert world.git("tag") == ""


def test_resume_writes_the_recorded_changelog(tmp_path: Path) -> None:
    """A release that is carried on writes what its recorded plan says, not what would be decided now."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    change(world, "fix: it")
    world.git("push", "--quiet", "origin", "HEAD")
    plan = Plan.model_validate_json(
        world.releasekit("publish", "--dry-run", "--offline", "--format", "json").out
    )
    text = re.sub(DATE, "2020-02-02", plan.changelogs["core"].text)
    shared = Section(text=text, path="HISTORY.md")
    then = plan.model_copy(
        update={"changelogs": {"core": Section(text=text)}, "workspace_changelog": shared}
    )
    create_record(Repo(world.root).common_dir, then)

    release(world)

    assert (world.root / FILE).read_text().startswith("# Changelog\n\n## 0.1.1 - 2020-02-02\n")
    assert (world.root / "HISTORY.md").read_text() == (world.root / FILE).read_text()


def test_handwritten_changelog_keeps_every_byte(tmp_path: Path) -> None:
    """A changelog of somebody's own keeps every byte of it: line ends, old encodings, unreleased notes, references."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    head = b"# Was wurde ge\xe4ndert\r\n\r\nWords.\r\n\r\n## [Unreleased]\r\n\r\n"
    tail = b"## [0.1.0] - 2020-01-01\r\n\r\n* all  \r\n\r\n[0.1.0]: https://example.invalid/1"
    world.git("config", "core.autocrlf", "false")
    (world.root / FILE).write_bytes(head + tail)
    change(world, "fix: it")
    release(world)

    text = (world.root / FILE).read_bytes()
    assert text.startswith(head)
    assert text.endswith(tail)
    added = text.removeprefix(head).removesuffix(tail).decode()
    assert re.fullmatch(
        rf"## 0\.1\.1 - {DATE}\r\n\r\n### Bug Fixes\r\n\r\n- it \([0-9a-f]{{7}}\)\r\n\r\n", added
    )


def test_unreleased_notes_reach_the_release(tmp_path: Path) -> None:
    """What you write below an unreleased heading is part of the next stable release, once, and not of a prerelease."""
    world = make_world(tmp_path, "app; core")
    configure(world, 'prerelease = "none"')
    world.git("tag", "core-v0.1.0")
    world.git("tag", "app-v0.1.0")
    top = "# Changelog\n\n## [Unreleased]\n\n"
    notes, old = "### Added\n\n* round cores  \n\n", "## [0.1.0] - 2020-01-01\n\n- all\n"
    app = "packages/app/CHANGELOG.md"
    world.commit(
        "docs: notes", {FILE: top + notes + old, app: f"## 0.2.0 (unreleased)\n\n- mine\n\n{old}"}
    )
    change(world, "feat: one\n\nRelease-As: 0.2.0rc1")
    release(world)

    candidate = "## 0.2.0rc1 - DATE\n\n### Features\n\n- one (SHA)\n\n"
    assert changelog(world) == top + notes + candidate + old.replace("2020-01-01", "DATE")

    change(world, "fix: two")
    change(world, "feat: three", "app")
    release(world)

    entries = "### Features\n\n- one (SHA)\n\n### Bug Fixes\n\n- two (SHA)\n\n"
    old = old.replace("2020-01-01", "DATE")
    assert changelog(world) == f"{top}## 0.2.0 - DATE\n\n{notes}{entries}{old}"
    assert (
        changelog(world, app)
        == f"## 0.2.0 - DATE\n\n- mine\n\n### Features\n\n- three (SHA)\n\n{old}"
    )

    change(world, "fix: four")
    release(world)
    assert changelog(world).startswith(
        f"{top}## 0.2.1 - DATE\n\n### Bug Fixes\n\n- four (SHA)\n\n## 0.2.0 - DATE\n"
    )


def test_changelog_links_to_the_forge(tmp_path: Path) -> None:
    """Where the remote is on a forge, what is told is linked, and the password in its address is nowhere."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    sha = change(world, "fix: it (#7)")
    world.git("push", "--quiet", "origin", "HEAD")
    # What git is told to use is the remote on this machine; what the remote is called is its address on the forge.
    forge = "https://ada:swordfish@github.com/ada/engine.git"
    world.git("config", "remote.origin.url", forge)
    world.git("config", "remote.origin.pushurl", str(world.remote))

    said = world.releasekit("-v", "publish", "--dry-run", "--offline", "--format", "json")

    base = "https://github.com/ada/engine"
    section = json.loads(said.out)["changelogs"]["core"]
    assert section["link"] == f"{base}/compare/core-v0.1.0...core-v0.1.1"
    assert section["text"].endswith(
        f"- it ([#7]({base}/pull/7)) ([{sha[:7]}]({base}/commit/{sha}))\n"
    )
    assert "swordfish" not in said.out + said.err


def test_check_reports_ignored_changelogs(tmp_path: Path) -> None:
    """`check` reports a changelog that git ignores, also one that does not exist yet, and none that is tracked."""
    world = make_world(tmp_path, "app; core; off; tool")
    configure(world, 'changelog_path = "NEWS.md"')
    own = "\n[tool.releasekit]\nchangelog = false\n"
    member = world.root / "packages/off/pyproject.toml"
    member.write_text(member.read_text() + own)
    (world.root / "packages/tool/NEWS.md").write_text("# News\n")
    world.git("add", "--all")
    world.commit(
        "build: ignore news", {".gitignore": "NEWS.md\n", "packages/app/.gitignore": "!NEWS.md\n"}
    )

    report = json.loads(
        world.releasekit("check", "--select", "ignored_files", "--format", "json").out
    )

    assert [(row["path"], row["severity"], row["what"]) for row in report["findings"]] == [
        (
            "packages/core/NEWS.md",
            "warning",
            "git ignores this changelog, so release commits do not contain it",
        )
    ]


def test_unusual_changelog_is_left_alone(tmp_path: Path) -> None:
    """A changelog that git ignores is not forced into the commit; one that is a link, or in UTF-16, is left alone."""
    world = make_world(tmp_path, "app; core; tool; wide")
    (world.root / "packages/app/CHANGELOG.md").symlink_to("../../NEWS.md")
    wide = world.root / "packages/wide/CHANGELOG.md"
    wide.write_bytes("# Changelog\r\n\r\n## 0.0.9\r\n".encode("utf-16"))
    world.commit(
        "docs: news", {"NEWS.md": "# News\n", "packages/core/.gitignore": "CHANGELOG.md\n"}
    )
    configure(world, "")

    release(world)

    files = world.git("ls-files").split()
    assert FILE not in files
    assert "packages/tool/CHANGELOG.md" in files
    assert (world.root / "NEWS.md").read_text() == "# News\n"
    assert (world.root / "packages/app/CHANGELOG.md").is_symlink()
    assert wide.read_bytes().decode("utf-16") == "# Changelog\r\n\r\n## 0.0.9\r\n"


def test_hatch_build_accepts_the_changelog(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A changelog beside pyproject.toml does not trouble a backend that packs all it finds."""
    world = make_world(tmp_path, "core; other")
    write_package(world, "core", [])
    text = (world.root / "packages/core/pyproject.toml").read_text()
    text = text.replace("uv_build>=0.9", "hatchling").replace('"uv_build"', '"hatchling.build"')
    world.commit("feat: hatch", {"packages/core/pyproject.toml": text})
    release(world)
    change(world, "feat: more")
    release(world)

    assert {"core-0.2.0.tar.gz", "core-0.2.0-py3-none-any.whl"} <= {
        r.uploaded_file for r in own_index.requests()
    }


def test_workspace_changelog_has_all_changes(tmp_path: Path) -> None:
    """With `workspace_changelog`, one file has each change of all packages once; packages need not keep their own."""
    world = make_world(tmp_path, "app: core; core; lone")
    configure(
        world, 'versioning = "fixed"\nchangelog = false\nworkspace_changelog = "docs/HISTORY.md"'
    )
    world.commit("docs: ours", {"docs/HISTORY.md": "# History\n\n## 0.0.9\n\nOld.\n"})
    release(world)
    first = "## 0.1.0 - DATE\n\nFirst release.\n"
    assert changelog(world, "docs/HISTORY.md") == f"# History\n\n{first}\n## 0.0.9\n\nOld.\n"

    change(world, "feat: core is round")
    modules = ("packages/app/src/app/__init__.py", "packages/core/src/core/__init__.py")
    world.commit("fix: both are quick", dict.fromkeys(modules, "QUICK = True\n"))
    change(world, "feat: app sings", "app")
    change(world, "feat: oval cores")
    world.git("revert", "--no-edit", "HEAD")
    world.write({".changes/a.md": "---\napp: minor\nlone: patch\n---\n\nEverything is new\n"})
    world.commit("chore: describe")
    unreleased = json.loads(world.releasekit("changelog", "--format", "json").out)["workspace"]
    shown = world.releasekit("changelog").out
    release(world)

    text = (world.root / "docs/HISTORY.md").read_text()
    assert unreleased["changelog_path"] == "docs/HISTORY.md"
    assert unreleased["markdown"] in text, "what was shown is what was written"
    assert shown.startswith(f"# All packages\n\n{unreleased['markdown']}")
    assert changelog(world, "docs/HISTORY.md") == (
        "# History\n\n## 0.2.0 - DATE\n\n"
        "### Features\n\n- Everything is new\n- app sings (SHA)\n- core is round (SHA)\n\n"
        f"### Bug Fixes\n\n- both are quick (SHA)\n\n{first}\n## 0.0.9\n\nOld.\n"
    )
    assert not list(world.root.glob("packages/*/CHANGELOG.md"))


def test_workspace_changelog_rolls_up_candidates(tmp_path: Path) -> None:
    """Beside the changelogs of the packages, a stable release replaces the sections of its candidates here too."""
    world = make_world(tmp_path, "app; core")
    configure(world, 'versioning = "linked"\nworkspace_changelog = "CHANGELOG.md"')
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    change(world, "feat: one")
    world.git("push", "--quiet", "origin", "HEAD")
    rehearsed = world.releasekit("publish", "--dry-run", "--prerelease", "rc")
    assert "# write the changelog entry of the workspace into CHANGELOG.md" in rehearsed.out
    said = world.releasekit(
        "publish", "--yes", "--skip-audit", "--skip-smoke-test", "--prerelease", "rc"
    )
    assert said.code == 0, said.err
    candidate = "# Changelog\n\n## 0.2.0rc1 - DATE\n\n### Features\n\n- one (SHA)\n"
    assert changelog(world, "CHANGELOG.md") == candidate

    change(world, "fix: two", "app")
    world.git("push", "--quiet", "origin", "HEAD")
    said = world.releasekit(
        "publish", "--yes", "--skip-audit", "--skip-smoke-test", "--promote", "all"
    )
    assert said.code == 0, said.err
    assert "rc1" not in changelog(world, "CHANGELOG.md")
    assert "- one (SHA)" in changelog(world, "CHANGELOG.md")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("", "workspace_changelog needs one version for all packages"),
        (
            'versioning = "fixed"\ngroups.web = { packages = ["app"], versioning = "independent" }',
            "workspace_changelog needs one version for all packages",
        ),
        (
            'versioning = "fixed"\nchangelog_path = "../NEWS.md"',
            "the path must be inside the package",
        ),
    ],
    ids=["independent", "group", "path"],
)
def test_workspace_changelog_needs_one_version(tmp_path: Path, keys: str, problem: str) -> None:
    """Packages with different versions cannot share a file with one section a version."""
    world = make_world(tmp_path, "app; core")
    configure(world, f'workspace_changelog = "NEWS.md"\n{keys}')

    said = world.releasekit("plan", "--offline")

    assert said.code == 2
    assert problem in said.err


def test_workspace_changelog_is_not_of_a_package(tmp_path: Path) -> None:
    """The file of the package at the root cannot be that of the workspace too; neither can a link, or a directory."""
    world = make_world(tmp_path, "app; core")
    keys = 'versioning = "fixed"\nworkspace_changelog = "packages/core/CHANGELOG.md"'
    configure(world, keys)
    assert "workspace_changelog is the changelog of core too" in world.releasekit("plan").err
    text = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": text.replace("CHANGELOG.md", "changelog.md")})
    assert "workspace_changelog is the changelog of core too" in world.releasekit("plan").err

    world.write({"pyproject.toml": text.replace("packages/core/CHANGELOG.md", "packages")})
    world.commit("chore: elsewhere")
    said = world.releasekit("plan", "--offline")
    assert "workspace_changelog: packages is a directory" in said.out + said.err
