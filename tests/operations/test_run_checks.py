"""`releasekit check` on real workspaces: what it finds, what it mends, and what it leaves alone."""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from releasekit.core.checks.registry import CHECKS
from releasekit.core.errors import ErrorCode
from releasekit.integrations.process import Command, run
from tests.support.world import World, empty_world, make_world, write_package

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CORE, APP = "packages/core/pyproject.toml", "packages/app/pyproject.toml"
OTHER = """\
from releasekit.checks import Check, Found, Severity

def find(facts):
    return [package.found(f"{package.name} has no changelog") for package in facts.published]

CHANGELOGS = Check("changelogs", Severity.ERROR, "A package has no changelog.", "Write one.", find)
"""

LISTED = """\
❌ error missing_license
   packages/app/pyproject.toml:2: app has no license
   packages/core/pyproject.toml:2: core has no license
   = help: Add a LICENSE file next to its pyproject.toml. One at the root of the workspace is in no package.
❌ error missing_readme
   packages/app/pyproject.toml:2: app has no README
   packages/core/pyproject.toml:2: core has no README
   = help: Write a README.md, and add `readme = "README.md"` to [project].
⚠️  warning metadata_completeness
   packages/app/pyproject.toml:2: app lacks description, urls, authors
   packages/core/pyproject.toml:2: core lacks description, urls, authors
   = help: Add what is missing to [project].
2 packages, 24 checks: 4 errors, 2 warnings; --fix fixes 2
"""


@pytest.fixture(autouse=True)
def _own_prefect_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make a workspace of two bare packages, with a license at its root."""
    world = make_world(tmp_path_factory.mktemp("check"), "app: core; core")
    world.commit("chore: license", {"LICENSE": "Be nice.\n"})
    return world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """Lend the workspace to a test; it is put back afterwards."""
    before = shared.git("rev-parse", "HEAD")
    yield shared
    shared.git("reset", "--quiet", "--hard", before)
    shared.git("clean", "-dffqx")


def found(world: World, *argv: str, code: int | None = None) -> dict[str, list[str]]:
    """Return the places of what was found, by check."""
    said = world.releasekit("check", "--format", "json", *argv)
    assert said.code == code if code is not None else said.code in (0, 1), said.err
    places: dict[str, list[str]] = {}
    for each in json.loads(said.out)["findings"]:
        places.setdefault(each["check"], []).append(f"{each['path']}:{each['line']}")
    return places


def rewrite(world: World, path: str, *changes: tuple[str, str]) -> None:
    """Replace text in a file."""
    text = (world.root / path).read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (world.root / path).write_text(text)


def test_bare_packages_fail_the_check(world: World) -> None:
    """What no package should be published without is an error, and the exit code says so."""
    assert found(world, code=1) == {
        "missing_license": [f"{APP}:2", f"{CORE}:2"],
        "missing_readme": [f"{APP}:2", f"{CORE}:2"],
        "metadata_completeness": [f"{APP}:2", f"{CORE}:2"],
    }
    assert world.releasekit("check").out == LISTED


def test_options_select_and_ignore_checks(world: World) -> None:
    """Options choose checks and packages; what is only warned of is no failure."""
    assert found(world, "--select", "metadata_completeness", code=0).keys() == {
        "metadata_completeness"
    }
    assert found(
        world, "--ignore", "missing_license", "--ignore", "missing_readme", code=0
    ).keys() == {"metadata_completeness"}
    assert found(world, "--package", "core", "--select", "missing_readme") == {
        "missing_readme": [f"{CORE}:2"]
    }
    unknown = world.releasekit("check", "--select", "missing_readmes")
    assert (unknown.code, ErrorCode.CHECK_UNKNOWN in unknown.err) == (2, True)
    assert "did you mean missing_readme" in unknown.err


def test_keys_select_and_ignore_checks(world: World) -> None:
    """So do check_select and check_ignore; a member adds to what is ignored, and options win over check_select."""
    rewrite(
        world,
        CORE,
        (
            "[build-system]",
            '[tool.releasekit]\ncheck_ignore = ["missing_readme"]\n\n[build-system]',
        ),
    )
    table = (
        'check_select = ["missing_readme", "missing_license"]\ncheck_ignore = ["missing_license"]\n'
    )
    rewrite(
        world,
        "pyproject.toml",
        ("[tool.uv.workspace]", f"[tool.releasekit]\n{table}\n[tool.uv.workspace]"),
    )

    assert found(world) == {"missing_readme": [f"{APP}:2"]}
    assert found(world, "--select", "metadata_completeness").keys() == {"metadata_completeness"}
    rewrite(world, CORE, ('check_ignore = ["missing_readme"]', 'check_ignore = ["no_such"]'))
    refused = world.releasekit("check")
    assert (refused.code, ErrorCode.CHECK_UNKNOWN in refused.err) == (2, True)


def test_fix_writes_after_a_yes(world: World) -> None:
    """--fix shows the difference and writes nothing without a yes; with one it mends, and all of it at once."""
    rewrite(world, CORE, ('version = "0.1.0"', 'version = "0.1.0"\nlicense = "mit"  # ours'))
    world.write({"packages/app/README.md": "# App\n"})
    world.commit("chore: half of it")

    shown = world.releasekit("check", "--fix")

    assert shown.code == 1
    assert '+license = "MIT"  # ours' in shown.err
    assert '+readme = "README.md"' in shown.err
    assert "+++ b/packages/core/LICENSE" in shown.err
    assert "nothing was written" in shown.err
    assert world.git("status", "--porcelain") == ""

    mended = world.releasekit("check", "--fix", "--yes")

    changed = world.git("diff", "--stat").splitlines()[-1]
    assert "2 files changed, 2 insertions(+), 1 deletion(-)" in changed
    assert (world.root / "packages/core/LICENSE").read_text() == "Be nice.\n"
    assert mended.code == 1  # core has no README, which nobody can write for it
    assert "1 error, 2 warnings" in mended.out
    again = world.releasekit("check", "--fix", "--yes")
    assert "no finding can be fixed" in again.err


def test_fix_lists_module_with_version(world: World) -> None:
    """A module with the version, which no release would change, is added to `bump`, and a release accepts it there."""
    module = "packages/core/src/core/version.py"
    world.commit("feat: tell the version", {module: '__version__ = "0.1.0"  # ours\n'})
    only = ("--select", "version_consistency")
    assert found(world, *only, code=0) == {"version_consistency": [f"{module}:1"]}

    assert world.releasekit("check", "--fix", "--yes", *only).code == 0

    line = """bump = [{ path = "src/core/version.py", pattern = '__version__ = "{version}"' }]"""
    assert line in (world.root / CORE).read_text().splitlines()
    assert found(world, *only, code=0) == {}
    world.commit("chore: list the module")
    assert world.releasekit("publish", "--dry-run", "--offline", "--skip-audit").code == 0
    world.commit("feat: two versions", {module: '__version__ = __version__ = "0.1.0"\n' * 2})
    assert world.releasekit("publish", "--dry-run", "--offline", "--skip-audit").code == 2


@pytest.mark.parametrize("answer", ["y", "n"])
def test_fix_asks_on_a_terminal(world: World, answer: str) -> None:
    """On a terminal it asks, after it has shown the difference."""
    world.write({"packages/core/README.md": "# Core\n"})
    on_a_terminal = (
        "import os, pty, sys; raise SystemExit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    )
    program = (
        "-m",
        "releasekit",
        "check",
        "--fix",
        "--select",
        "missing_readme",
        "--package",
        "core",
    )
    argv = (sys.executable, "-c", on_a_terminal, sys.executable, *program)
    typed = f"{answer}\n".encode()

    said = run(
        Command(
            argv, world.root, {"PYTHONPATH": str(ROOT)}, ok_codes=frozenset({0, 1}), stdin=typed
        )
    )

    assert said.stdout.index('+readme = "README.md"') < said.stdout.index("Write 1 file?")
    assert (said.code, world.git("diff", "--name-only")) == (
        (0, CORE) if answer == "y" else (1, "")
    )


def test_unsafe_fix_is_refused(world: World) -> None:
    """An array that would come out wrong is refused, and no file is changed."""
    odd = (
        'version = "0.1.0"\nclassifiers = ["Typing :: Typed"  # a\n  , "Topic :: Utilities"  # b\n]'
    )
    world.write({"samples/show/pyproject.toml": ""})
    table = '[tool.releasekit]\nexclude = ["show"]\n[tool.uv.workspace]'
    rewrite(
        world,
        "pyproject.toml",
        ('["packages/*"]', '["packages/*", "samples/*"]'),
        ("[tool.uv.workspace]", table),
    )
    text = (
        (world.root / CORE)
        .read_text()
        .replace('"core"', '"show"')
        .replace('version = "0.1.0"', odd)
    )
    world.write({"samples/show/pyproject.toml": text})
    world.commit("chore: a sample")

    refused = world.releasekit("check", "--fix", "--yes")

    assert (refused.code, ErrorCode.CHECK_FIX in refused.err) == (2, True), refused.err
    assert world.git("status", "--porcelain") == ""


def test_missing_requirement_is_found_first(world: World) -> None:
    """A sibling that is imported and not required works in the workspace only; `check` shows the line."""
    world.write({"packages/core/src/core/late.py": '"""Late."""\n\nfrom app import run\n'})

    assert found(world, "--select", "undeclared_imports") == {
        "undeclared_imports": ["packages/core/src/core/late.py:3"]
    }
    rewrite(world, CORE, ("dependencies = []", 'dependencies = ["app"]'))
    assert found(world, "--select", "undeclared_imports", code=0) == {}


def test_checks_ask_git_and_uv(world: World, tmp_path: Path) -> None:
    """Ignored files, tags and the lock file are asked for, for real."""
    everything = ("--select", "ignored_files", "--select", "tag_baseline", "--select", "lock_stale")
    assert found(world, *everything, code=0) == {}
    world.write(
        {".gitignore": "lib/\n__pycache__/\n", "packages/core/src/core/lib/__init__.py": "X = 1\n"}
    )
    world.write({"packages/core/src/core/__pycache__/x.pyc": ""})
    rewrite(world, APP, ('version = "0.1.0"', 'version = "0.5.0"'))
    world.git("tag", "core-v0.1.0")

    assert found(world, *everything, code=1) == {
        "ignored_files": ["packages/core/src/core/lib/:1"],
        "tag_baseline": [f"{APP}:3"],
        "lock_stale": ["uv.lock:1"],
    }
    world.git("tag", "app-v0.1.0")
    assert "tag_baseline" not in found(world, *everything)
    world.git("tag", "--delete", "app-v0.1.0")
    world.commit("chore: begun")
    world.git("clone", "--quiet", "--depth=1", world.root.as_uri(), str(tmp_path / "shallow"))
    assert "tag_baseline" not in found(World(tmp_path / "shallow", world.remote), *everything)
    world.git("tag", "--delete", "core-v0.1.0")


def test_lock_check_says_what_uv_cannot_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """If uv cannot check the lock file, the message says what it wanted, and why that failed."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    rewrite(world, CORE, ("dependencies = []", 'dependencies = ["other"]'))
    rewrite(
        world, "pyproject.toml", ("[tool.uv.workspace]", f"{CLOSED_INDEX}\n[tool.uv.workspace]")
    )

    said = world.releasekit("check", "--select", "lock_stale")

    assert said.code == 1
    (line,) = [line for line in said.out.splitlines() if "uv.lock:1" in line]
    assert re.search(r"current: .*Failed to fetch: http://127\.0\.0\.1:9/other/: .+refused", line)


CLOSED_INDEX = '[[tool.uv.index]]\nurl = "http://127.0.0.1:9/"\ndefault = true\n'


def test_readme_in_rst_is_rendered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A README in reStructuredText is rendered as PyPI does it; where that is not installed, it says so."""
    rewrite(world, CORE, ('version = "0.1.0"', 'version = "0.1.0"\nreadme = "README.rst"'))
    world.write({"packages/core/README.rst": "Core\n====\n\nGood.\n"})
    only = ("--select", "readme_rendering")
    assert found(world, *only) == {}
    world.write(
        {"packages/core/README.rst": "Core\n====\n\n.. raw:: html\n   :file: nowhere\n\n|x|_\n"}
    )
    assert found(world, *only, code=1) == {"readme_rendering": [f"{CORE}:4"]}
    (world.root / "packages/core/README.rst").write_bytes(b"Caf\xe9\n")
    assert found(world, *only, code=1) == {"readme_rendering": [f"{CORE}:4"]}

    world.write({"packages/core/README.rst": "Core\n"})
    monkeypatch.setitem(sys.modules, "readme_renderer", None)
    said = world.releasekit("check", *only)
    assert (said.code, "releasekit with its extra `rst`" in said.out) == (0, True)


def test_entry_points_add_checks(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another package offers as an entry point is made too; one that cannot be loaded is refused by its name."""
    info = tmp_path / "speller-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: speller\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[releasekit.checks]\nchangelogs = speller_of_ours:CHANGELOGS\n"
    )
    (tmp_path / "speller_of_ours.py").write_text(OTHER)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    assert found(world, "--select", "changelogs", code=1) == {
        "changelogs": [f"{APP}:2", f"{CORE}:2"]
    }
    assert found(world, "--ignore", "changelogs").keys() <= CHECKS.keys()
    (info / "entry_points.txt").write_text(
        "[releasekit.checks]\nchangelogs = speller_of_nobody:CHANGELOGS\n"
    )
    refused = world.releasekit("check")
    assert (refused.code, ErrorCode.CHECK_PLUGIN in refused.err, "speller" in refused.err) == (
        2,
        True,
        True,
    )


def test_sarif_paths_start_at_repository(tmp_path: Path) -> None:
    """SARIF names files from the top of the repository, wherever the workspace is in it."""
    world = empty_world(tmp_path)
    inner = World(world.root / "py", world.remote)
    inner.write({"pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n'})
    write_package(inner, "core", [])
    world.commit("feat: begin")

    said = inner.releasekit("check", "--format", "sarif")

    results: list[dict[str, Any]] = json.loads(said.out)["runs"][0]["results"]
    places = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results
    }
    assert (said.code, places) == (1, {f"py/{CORE}"})


def test_check_flow_is_a_program(world: World) -> None:
    """`python -m flows.check` is `releasekit check`."""
    argv = (sys.executable, "-m", "flows.check", "--select", "missing_readme", "--format", "json")
    said = run(Command(argv, world.root, {"PYTHONPATH": str(ROOT)}, ok_codes=frozenset({1})))

    assert len(json.loads(said.stdout)["findings"]) == 2


def test_prefect_records_the_check(world: World, prefect_api: str) -> None:
    """Where a Prefect API is configured, a check is a run of the flow: it has failed if there are errors."""
    begun = datetime.now(UTC)

    assert found(world, "--select", "missing_readme", code=1) == {
        "missing_readme": [f"{APP}:2", f"{CORE}:2"]
    }

    runs = asked(prefect_api, "flow_runs", flow_runs={"start_time": {"after_": begun.isoformat()}})
    # And not those that a schedule has yet to start.
    (made,) = (run for run in runs if run["start_time"])
    summary = "2 packages, 1 check: 2 errors"
    assert (made["state_type"], made["state"]["message"]) == ("FAILED", summary)
    assert made["parameters"]["select"] == ["missing_readme"]
    (artifact,) = asked(prefect_api, "artifacts", artifacts={"flow_run_id": {"any_": [made["id"]]}})
    assert (artifact["key"], artifact["data"].splitlines()[0]) == (
        "releasekit-check",
        f"# {summary}",
    )


def asked(api: str, what: str, **question: Any) -> list[dict[str, Any]]:
    """Return what the server has, once it has something."""
    deadline = time.monotonic() + 60
    while not (
        answer := httpx.post(f"{api}/{what}/filter", json=question, timeout=60)
        .raise_for_status()
        .json()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer
