"""Prereleases on a real index, up to the stable release."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from examples.orchard_repository import make
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("unrecorded")


STORE, CORE, CACHE = (f"packages/{name}/CHANGELOG.md" for name in ("store", "core", "cache"))
FIRST = "# Changelog\n\n"


def test_candidates_lead_to_stable_release(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """The example workspace goes from rc1 to rc2 to stable, and each changelog tells what is new, then all of it."""
    world = World(make(tmp_path), tmp_path / "orchard.git")
    versions = {
        "core": "1.3.0",
        "hatch": "0.2.1",
        "almanac": "0.5.0",
        "graft": "0.5.1",
        "store": "0.4.0",
    }
    stable = {**versions, "press": "2.0.0", "market": "0.9.1", "cache": "0.1.0", "cider": "0.1.0"}
    rc = ("--prerelease", "rc", "--skip-smoke-test")

    assert published(world, *rc) == {
        f"orchard-{name}": f"{version}rc1" for name, version in stable.items()
    }
    one = "## 0.4.0rc1 - DATE\n\n### Breaking Changes\n\n- **store:** shelves hand fruits out one by one (SHA)\n"
    assert told(world, STORE).startswith(FIRST + one)
    assert told(world, CACHE) == f"{FIRST}## 0.1.0rc1 - DATE\n\nFirst release.\n"
    assert "nothing to release" in world.releasekit("publish", "--yes", "--skip-audit", *rc).out

    shelf = "packages/store/src/orchard_store/shelf.py"
    world.commit(
        "fix(store): shelves are level",
        {shelf: (world.root / shelf).read_text() + "\nLEVEL = True\n"},
    )
    assert published(world, *rc) == {"orchard-store": "0.4.0rc2"}
    two = "## 0.4.0rc2 - DATE\n\n### Bug Fixes\n\n- **store:** shelves are level (SHA)\n"
    assert told(world, STORE).startswith(f"{FIRST}{two}\n{one}")

    assert published(world, "--skip-smoke-test") == {}, "nothing is promoted unasked"
    assert published(world, "--skip-smoke-test", "--promote", "all") == {
        f"orchard-{name}": version for name, version in stable.items()
    }
    assert told(world, STORE).startswith(
        f"{FIRST}{one.replace('rc1', '')}\n### Bug Fixes\n\n- **store:** shelves are level (SHA)\n"
    )
    assert told(world, CACHE) == f"{FIRST}## 0.1.0 - DATE\n\nFirst stable release.\n"
    assert "## 1.3.0 - DATE\n\n### Features\n" in told(world, CORE)
    assert "rc" not in "".join(told(world, path) for path in (STORE, CORE, CACHE))

    uploads = [request.uploaded_file for request in own_index.requests() if request.uploaded_file]
    assert (len(uploads), len(set(uploads))) == (38, 38)
    tags = world.tags().keys()
    assert tags >= {
        f"orchard-{name}-v{version}{end}" for name, version in stable.items() for end in ("rc1", "")
    }
    assert {tag for tag in tags if tag.endswith("rc2")} == {"orchard-store-v0.4.0rc2"}


def told(world: World, path: str) -> str:
    """Return a changelog as it is pushed, its shas and dates made plain."""
    text = world.git("show", f"origin/main:{path}") + "\n"
    return re.sub(r"\d{4}-\d\d-\d\d", "DATE", re.sub(r"\(([0-9a-f]{7})\)", "(SHA)", text))


def test_lockstep_release_has_one_tag(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A repository in lockstep has one tag, made when all is out, and its next release begins there.

    A package may say for itself that it cannot be imported just so.
    """
    world = make_world(tmp_path, "app: core; core; util", util="raise SystemExit('not here')\n")
    own = "packages/util/pyproject.toml"
    world.commit(
        "chore: set",
        {own: (world.root / own).read_text() + "\n[tool.releasekit]\nsmoke_test = false\n"},
    )
    text = (world.root / "pyproject.toml").read_text()
    table = '[tool.releasekit]\nversioning = "fixed"\ntag_format = "v{version}"\n'
    world.commit("chore: lockstep", {"pyproject.toml": f"{table}{text}"})

    assert published(world) == dict.fromkeys(("core", "util", "app"), "0.1.0")
    assert world.tags().keys() == {"v0.1.0"}
    world.commit(
        "fix: util", {"packages/util/src/util/__init__.py": "raise SystemExit('nor here')\n"}
    )
    assert published(world) == dict.fromkeys(("core", "util", "app"), "0.1.1")
    assert world.tags().keys() == {"v0.1.0", "v0.1.1"}
    assert own_index.requests()


def test_beta_stays_beside_stable_packages(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Over three releases a package stays in beta, by hand or by commits, until somebody promotes it."""
    world = make_world(tmp_path, "app: core; core; beta")
    path = "packages/beta/pyproject.toml"
    beta, source = (world.root / path).read_text(), "packages/beta/src/beta/__init__.py"
    first = beta.replace('version = "0.1.0"', 'version = "1.0.0b1"')
    world.commit("feat: begin in beta", {path: first})
    world.lock()
    fast = "--skip-smoke-test"

    assert published(world, fast) == {"core": "0.1.0", "app": "0.1.0", "beta": "1.0.0b1"}
    world.commit("fix(core): repair", {"packages/core/src/core/__init__.py": "X = 2\n"})
    world.commit("feat(beta): more", {source: "X = 2\n"})
    assert published(world, fast) == {"core": "0.1.1", "beta": "1.0.0b2"}
    text = (world.root / path).read_text()
    world.commit(
        "Bump beta by hand", {path: text.replace('version = "1.0.0b2"', 'version = "1.0.0b7"')}
    )
    world.lock()
    assert published(world, fast) == {"beta": "1.0.0b7"}
    assert published(world, fast) == {}
    assert published(world, fast, "--promote", "beta") == {"beta": "1.0.0"}
    world.commit("feat(beta): stable now", {source: "X = 3\n"})
    assert published(world, fast) == {"beta": "1.1.0"}
    assert {"beta-v1.0.0b7", "beta-v1.0.0", "beta-v1.1.0"} <= world.tags().keys()
    assert own_index.requests()


def test_dates_number_published_prereleases(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Betas numbered by date go to the index, a second one on the same day too, and then the stable version."""
    world = make_world(
        tmp_path, "app: core; core", 'prerelease = "b"\nprerelease_numbering = "date"'
    )
    for name in ("core", "app"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat(core): pears", {"packages/core/src/core/__init__.py": "X = 2\n"})
    world.commit("fix(app): apples", {"packages/app/src/app/__init__.py": "X = 2\n"})
    today = int(datetime.now(UTC).strftime("%y%m%d"))

    first = published(world)
    world.commit("fix(core): pips", {"packages/core/src/core/__init__.py": "X = 3\n"})
    second = published(world)
    stable = published(world, "--prerelease", "none", "--promote", "all")

    day = int(first["core"].removeprefix("0.2.0b"))
    assert today <= day <= today + 8870, "midnight, or the turn of the year, may come in between"
    assert first == {"core": f"0.2.0b{day}", "app": f"0.1.1b{day}"}
    assert second["core"] in (
        f"0.2.0b{day + 1}",
        f"0.2.0b{int(datetime.now(UTC).strftime('%y%m%d'))}",
    )
    assert stable == {"core": "0.2.0", "app": "0.1.1"}
    uploads = [request.uploaded_file for request in own_index.requests() if request.uploaded_file]
    assert {
        f"core-0.2.0b{day}.tar.gz",
        f"core-{second['core']}.tar.gz",
        "core-0.2.0.tar.gz",
    } <= set(uploads)
    assert {f"core-v0.2.0b{day}", f"core-v{second['core']}", "core-v0.2.0"} <= world.tags().keys()


def test_maintainer_releases_untyped_commits(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """In a workspace without a conventional commit the maintainer decides, for one package or for all."""
    world = make_world(tmp_path, "app: core; core; util")
    fast = "--skip-smoke-test"
    assert published(world, fast) == dict.fromkeys(("core", "util", "app"), "0.1.0")
    world.commit("Repair the shelves", {"packages/core/src/core/__init__.py": "X = 2\n"})

    assert published(world, fast) == {}
    assert published(world, fast, "--bump", "core=minor", "--set-version", "util=0.5.0") == {
        "core": "0.2.0",
        "util": "0.5.0",
    }
    assert published(world, fast, "--bump", "minor", "-p", "app") == {"app": "0.2.0"}
    world.commit("Tell more", {"packages/core/README.md": "More.\n"})
    world.commit("Repair the roof", {"packages/util/src/util/__init__.py": "X = 3\n"})
    root = (world.root / "pyproject.toml").read_text()
    world.commit("Set", {"pyproject.toml": f'[tool.releasekit]\nunconventional = "patch"\n{root}'})
    assert published(world, fast) == {"util": "0.5.1"}
    assert "### Changes\n\n- Repair the roof" in told(world, "packages/util/CHANGELOG.md")
    assert own_index.requests()


def published(world: World, *argv: str) -> dict[str, str]:
    """Publish, and return what is confirmed in which version."""
    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json", *argv)
    assert said.code == 0, said.err
    report = json.loads(said.out)
    return {
        row["name"]: row["version"] for row in report["packages"] if row["outcome"] == "confirmed"
    }
