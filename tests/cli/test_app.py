"""The command line without Prefect: answers, refusals, and what they must not touch."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from html import unescape
from typing import TYPE_CHECKING

import pytest

from examples.orchard_repository import WORKSPACE, make
from releasekit.cli.app import all_options
from releasekit.core.errors import ErrorCode
from releasekit.integrations.process import Command, run
from tests.support.world import GIT, Said, World, empty_world, make_world, upload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

EXPECTED = json.loads((WORKSPACE.parent / "orchard.expected.json").read_text())


@pytest.fixture(autouse=True)
def _own_prefect_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make the example workspace, for tests that only read it."""
    directory = tmp_path_factory.mktemp("orchard")
    return World(make(directory), directory / "orchard.git")


def test_discover_lists_every_member(orchard: World) -> None:
    """Every member is listed as uv has it: name, path, version, who is published."""
    rows = {
        row["name"]: row
        for row in json.loads(orchard.releasekit("discover", "--format", "json").out)
    }

    expected = EXPECTED["members"]
    assert rows.keys() == expected.keys()
    for name, member in expected.items():
        assert {key: rows[name][key] for key in ("path", "version", "dynamic", "publishable")} == {
            key: member[key] for key in ("path", "version", "dynamic", "publishable")
        }
    assert rows["orchard-market"]["external"] == [next(iter(rows["orchard-market"]["external"]))]
    assert orchard.releasekit("discover").out.count("orchard-") >= len(expected)


def test_graph_has_edges_and_levels(orchard: World) -> None:
    """The graph has the edges of each kind, the levels, and no cycle through extras."""
    graph = json.loads(orchard.releasekit("graph", "--format", "json").out)

    for row in graph["packages"]:
        member = EXPECTED["members"][row["name"]]
        assert sorted(row["needs"]) == member["needs"], row["name"]
        assert sorted(row["build_needs"]) == member["build_needs"]
    assert graph["cycles"] == []
    assert orchard.releasekit("graph").out.startswith("0: orchard-cache orchard-core orchard-hatch")
    assert orchard.releasekit("check", "--select", "cycles").code == 0


def shown(world: World, *argv: str) -> set[str]:
    """Return the packages in that part of the graph, without what all names of the example begin with."""
    said = world.releasekit("graph", "--format", "json", *argv)
    assert said.code == 0, said.err
    return {row["name"].removeprefix("orchard-") for row in json.loads(said.out)["packages"]}


def test_graph_options_select_a_part(tmp_path: Path) -> None:
    """What a package needs, what needs it, the ways between two, a group, and edges of one kind."""
    world = World(make(tmp_path), tmp_path / "orchard.git")
    text = (world.root / "pyproject.toml").read_text()
    world.write(
        {
            "pyproject.toml": text.replace(
                "[tool.releasekit]", '[tool.releasekit]\ngroups.roots = ["orchard-c*"]'
            )
        }
    )
    members = EXPECTED["members"]

    assert shown(world, "--deps", "orchard-press") >= {"press", "core"}
    assert shown(world, "--rdeps", "orchard-core") >= {"press", "store"}
    way = shown(world, "--deps", "orchard-market", "--rdeps", "orchard-core")
    assert {"market", "core"} <= way < shown(world, "--deps", "orchard-market") | {"core"}
    assert shown(world, "--group", "roots") == {
        name[8:] for name in members if name.startswith("orchard-c")
    }
    for kind, key in (("runtime", "needs"), ("build", "build_needs"), ("extra", "extra_needs")):
        rows = json.loads(world.releasekit("graph", "--format", "json", "--kind", kind).out)[
            "packages"
        ]
        found = {row["name"]: row[key] for row in rows if row[key]}
        whole = json.loads(world.releasekit("graph", "--format", "json").out)["packages"]
        assert found, kind
        assert all(
            set(found[row["name"]]) <= set(row[key]) for row in whole if row["name"] in found
        )
        assert not any(row["extra_needs"] for row in rows) or kind == "extra"
    tree = world.releasekit(
        "graph", "--format", "ascii", "--rdeps", "orchard-core", "--kind", "runtime,build"
    ).out
    assert tree.startswith("orchard-core\n|-- ")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--deps", "orchard-coer"], "did you mean orchard-core"),
        (["--group", "leaves"], "no group is named leaves"),
        (["--kind", "runtime,bild"], "unknown kind of requirement bild; did you mean build"),
    ],
)
def test_graph_refuses_unknown_names(orchard: World, argv: list[str], said: str) -> None:
    """A name that fits nothing is refused, with what was meant."""
    refused = orchard.releasekit("graph", *argv)
    assert (refused.code, said in refused.err) == (2, True), refused.err


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("levels", "0: "), ("ascii", "orchard-"), ("csv", "package,needs,kind\r\n"), ("dot", "digraph workspace {"),
        ("mermaid", "flowchart RL"), ("d2", "direction: left"), ("svg", "<"),
    ],
)  # fmt: skip
def test_graph_formats_name_every_package(orchard: World, form: str, beginning: str) -> None:
    """Each format names each package; what they look like is in `tests/formats/golden`."""
    text = unescape(orchard.releasekit("graph", "--format", form).out)  # Graphviz escapes hyphens

    assert text.startswith(beginning)
    assert all(name in text for name in EXPECTED["members"])


JSON_COMMANDS: Mapping[str, Sequence[Sequence[str]]] = {
    "change": [["status", "--since", "HEAD~1"]],
    "config": [[], ["publish", "--no-push"]],
    "notes": [["--offline"]],
    "plan": [["--offline"]],
    "publish": [["--dry-run", "--offline"]],
    "rollback": [["--dry-run"]],
    "version": [[], ["orchard-core", "--explain"]],
}
"""The words that a command with JSON output gets here; none if it is not in the table."""


def test_every_json_carries_warnings(orchard: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The JSON of each command has its schema and all warnings, those that were only logged too."""
    monkeypatch.setenv("RELEASEKIT_OF_ANOTHER_TOOL", "1")
    warning = "RK-CONFIG-INVALID-KEY: unknown environment variable RELEASEKIT_OF_ANOTHER_TOOL"
    with_format = {command for command, option in all_options() if option == "format"}
    schemas: dict[str, str] = {}
    for command in with_format:
        for words in JSON_COMMANDS.get(command, [[]]):
            said = orchard.releasekit(command, *words, "--format", "json")
            if not said.out:
                assert said.code == 2, (command, said.err)
                continue
            assert f"warning {warning}" in said.err, command
            document = json.loads(said.out)
            if command == "discover":
                continue
            schemas[command] = document["schema"]
            assert warning in document["warnings"], command
    assert schemas.keys() >= {
        *JSON_COMMANDS,
        "changelog",
        "check",
        "graph",
        "init",
        "status",
    }
    assert all(re.fullmatch(r"releasekit\.[a-z-]+/\d+", schema) for schema in schemas.values())


def test_csv_logs_lost_warnings(orchard: World) -> None:
    """A format without a place for warnings leaves them to standard error; JSON and Markdown have the same ones."""
    document, csv_text, markdown = (
        orchard.releasekit("plan", "--offline", "--format", name)
        for name in ("json", "csv", "markdown")
    )
    codes = [warning.partition(": ")[0] for warning in json.loads(document.out)["warnings"]]

    assert codes == [ErrorCode.PIN_OLD, ErrorCode.BASELINE_INDEX]
    for code in codes:
        assert f"warning {code}: " in csv_text.err
        assert f"- {code}: " in markdown.out
    assert document.err == markdown.err == ""


def test_tables_export_csv_and_markdown(orchard: World) -> None:
    """A plan as CSV and Markdown has what its JSON has; so have `version`, `discover` and a dry run."""
    names = {name for name, member in EXPECTED["members"].items() if member["publishable"]}
    for argv in (
        ["plan", "--offline"],
        ["publish", "--dry-run", "--offline"],
        ["version"],
        ["discover"],
    ):
        said = orchard.releasekit(*argv, "--format", "csv").out
        assert {row["name"] for row in csv.DictReader(io.StringIO(said, newline=""))} >= names
        if "--offline" in argv:
            page = orchard.releasekit(*argv, "--format", "html").out
            assert page.startswith("<!doctype html>")
            assert all(name in page for name in names)
        if argv != ["discover"]:
            assert (
                "| package | from | to | bump | because |"
                in orchard.releasekit(*argv, "--format", "markdown").out
            )


def test_plan_compares_with_earlier_plan(tmp_path: Path) -> None:
    """`plan --since-last` keeps its plan and compares the next with it, `--diff` with a file; else none is kept."""
    world = make_world(tmp_path, "app: core; core")
    before = world.state()
    (tmp_path / "before.json").write_text(
        world.releasekit("plan", "--offline", "--format", "json").out
    )
    assert world.state() == before

    first = world.releasekit("plan", "--offline", "--since-last")
    assert "no earlier plan is known" in first.err
    assert "since " not in first.out
    world.git("tag", "core-v0.1.0")
    world.commit("feat: it", {"packages/core/src/core/new.py": ""})
    for argv in (["--diff", str(tmp_path / "before.json")], ["--since-last"]):
        said = world.releasekit("plan", "--offline", *argv)
        assert (
            "since an earlier plan from today: core first -> minor because feat: it (" in said.out
        )
        assert "~ core gets 0.2.0 instead of 0.1.0: first -> minor because feat: it (" in said.out
    told = json.loads(world.releasekit("plan", "--offline", "--since-last", "--format", "json").out)
    assert told["since"]["changes"] == []
    assert "since" not in json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    other = world.releasekit("plan", "--offline", "--since-last", "--package", "core")
    assert "no earlier plan is known" in other.err, "which asks for something else"
    text = world.releasekit(
        "plan", "--offline", "--diff", str(tmp_path / "before.json"), "--format", "csv"
    ).out
    assert [row["change"] for row in csv.DictReader(io.StringIO(text, newline=""))] == [
        "changed, was 0.1.0",
        "",
    ]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--since-last", "--diff", "x"], "RK-USAGE"),
        (["--diff", "uv.lock"], "RK-USAGE"),
        (["--diff", "nowhere.json"], "RK-FILE-SYSTEM"),
        (["--since-last", "--workspace", "https://forge.invalid/a/b.git"], "RK-USAGE"),
    ],
)
def test_plan_refuses_impossible_comparisons(orchard: World, argv: list[str], code: str) -> None:
    """What cannot be compared with is refused."""
    said = orchard.releasekit("plan", "--offline", *argv)
    assert (said.code, code in said.err) == (2, True), said.err


def test_plan_follows_the_history(orchard: World) -> None:
    """The plan has the versions that the history asks for, and the contract's keys."""
    plan = json.loads(orchard.releasekit("plan", "--offline", "--format", "json").out)

    assert {row["name"]: row["next"] for row in plan["packages"]} == {
        name: member["next"]
        for name, member in EXPECTED["members"].items()
        if member["publishable"]
    }
    assert {row["name"]: row["bump"] for row in plan["packages"]} == {
        name: member["bump"]
        for name, member in EXPECTED["members"].items()
        if member["publishable"]
    }
    assert plan.keys() >= {"schema", "commit", "release", "tags", "warnings", "packages"}
    assert plan["schema"] == "releasekit.plan/1"
    table = orchard.releasekit("plan", "--offline").out
    assert "feat(store)!: shelves hand fruits out one by one" in table


def test_version_shows_bump_and_reason(orchard: World) -> None:
    """`version` says old, new, bump and reason of each package, or of those that are named, as table and JSON."""
    rows = {
        row["name"]: row
        for row in json.loads(orchard.releasekit("version", "--format", "json").out)["packages"]
    }

    members = {
        name: member for name, member in EXPECTED["members"].items() if member["publishable"]
    }
    assert {name: (row["next"], row["bump"]) for name, row in rows.items()} == {
        name: (member["next"], member["bump"]) for name, member in members.items()
    }
    assert {name for name, row in rows.items() if row["skipped"]} == {
        name for name, member in members.items() if member["next"] is None
    }
    assert {name for name, row in rows.items() if row["counted"]} == {
        name for name, row in rows.items() if row["bump"] not in ("none", "first")
    }
    table = orchard.releasekit("version", "orchard-c*", "packages/store").out
    assert ("orchard-core" in table, "orchard-store" in table, "orchard-press" in table) == (
        True,
        True,
        False,
    )
    refused = orchard.releasekit("version", "orchard-coer")
    assert (refused.code, "did you mean orchard-core" in refused.err) == (2, True)


def test_version_explains_each_commit(tmp_path: Path) -> None:
    """`--explain` lists each commit since the last release with the rule that it met, or why it does not count."""
    world = make_world(tmp_path, "core")
    for tag in ("core-v0.1.0",):
        world.git("tag", tag)
    file = "packages/core/src/core/__init__.py"
    messages = [
        "feat!: a",
        "fix: b",
        "docs: c",
        "feat: d",
        'Revert "feat: d"',
        "whatever",
        "x\n\nBREAKING CHANGE: y",
    ]
    for number, message in enumerate(messages):
        world.commit(message, {file: f"N = {number}\n"})
    world.commit("feat: elsewhere", {"README.md": "elsewhere\n"})
    nowhere = world.commit("chore: nowhere\n\nRelease-As: 2.0.0")

    said = world.releasekit("version", "core", "--explain")
    text = re.sub(r"\b[0-9a-f]{7}\b", "SHA", said.out)
    (row,) = json.loads(world.releasekit("version", "--format", "json").out)["packages"]

    assert text.splitlines() == [
        "core 0.1.0 -> 0.2.0 (minor): x (SHA), +2 more",
        "  + SHA x  [a BREAKING CHANGE footer is minor on 0.x]",
        "  + SHA fix: b  [fix is patch]",
        "  + SHA feat!: a  [! after the type is minor on 0.x]",
        "  - SHA whatever  [not a conventional commit]",
        '  - SHA Revert "feat: d"  [reverts SHA]',
        "  - SHA feat: d  [reverted by SHA]",
        "  - SHA docs: c  [type docs triggers no release]",
    ]
    assert [each["title"] for each in row["counted"]] == ["x", "fix: b", "feat!: a"]
    assert row["ignored"][0]["why"] == "not a conventional commit"
    assert world.releasekit("version", "--explain", "--format", "csv").code == 2, (
        "a row has no room for commits"
    )
    assert (
        f"{ErrorCode.VERSION_UNHEARD}: Release-As: 2.0.0 ({nowhere[:7]}) touches no package"
        in said.err
    )


def test_dry_run_changes_nothing(orchard: World) -> None:
    """A dry run shows plan and commands; no file, reference or record is touched, and the checkout may be read-only."""
    before = orchard.state()

    said = orchard.releasekit("--verbose", "publish", "--dry-run", "--offline")

    assert said.code == 0, said.err
    place = 0
    for effect in EFFECTS:
        assert effect in said.out[place:], said.out
        place = said.out.index(effect, place)
    assert orchard.state() == before


EFFECTS = (
    "would run:\n  # RELEASE: ",
    "git worktree add --quiet --detach RELEASE/tree",
    "# write the new versions of ",
    "# write these versions into uv.lock; lock anew only if it does not fit then:",
    "uv lock --upgrade-package",
    "git commit --message 'chore(release): ",
    "uv build --no-sources --out-dir RELEASE/dist/orchard-core",
    "uv pip install --dry-run",
    " origin LOCK:refs/releasekit/running",
    "uv publish --check-url",
    "# wait until the index lists the files of orchard-core ",
    "uv venv --quiet VENV",
    "uv pip install --python VENV",
    "# import the modules of orchard-core in VENV",
    "git tag --annotate --message orchard-core-v",
    "git push --atomic --no-follow-tags origin COMMIT:refs/heads/main",
    " :refs/releasekit/running",
    "git merge --quiet --ff-only COMMIT",
    "git worktree remove --force --force RELEASE/tree",
)
"""What a dry run tells of, in the order in which it would happen."""


@pytest.mark.parametrize(
    ("argv", "included"),
    [
        (["--package", "orchard-almanac"], {"almanac": "included", "core": "dependency_only"}),
        (["-p", "packages/graft"], {"graft": "included", "core": "dependency_only"}),
        (["--package", "orchard-c*", "--exclude", "orchard-cider"], {"cache": "included", "core": "included"}),
        (["-p", "orchard-scarecrow", "--force-unchanged"], {"scarecrow": "included", "core": "dependency_only"}),
        (["--group", "roots"], {"core": "included", "hatch": "included"}),
    ],
)  # fmt: skip
def test_selection_includes_its_dependencies(
    tmp_path: Path, argv: list[str], included: dict[str, str]
) -> None:
    """A selection brings what it needs along; the rest is named as excluded."""
    world = World(make(tmp_path), tmp_path / "orchard.git")
    text = (world.root / "pyproject.toml").read_text()
    text = text.replace(
        "[tool.releasekit]", '[tool.releasekit]\ngroups.roots = ["orchard-core", "tools/hatch"]'
    )
    world.write({"pyproject.toml": text})

    plan = json.loads(world.releasekit("plan", "--offline", "--format", "json", *argv).out)

    released = {row["name"]: row["status"] for row in plan["packages"] if row["order"] >= 0}
    assert released == {f"orchard-{name}": status for name, status in included.items()}
    assert {row["status"] for row in plan["packages"] if row["order"] < 0} <= {
        "excluded",
        "skipped",
    }


def in_child(*argv: str, cwd: Path) -> Said:
    """Run the program in a process of its own, and add which of the dear modules it has imported."""
    code = (
        "import sys\nfrom releasekit.cli.app import main\ncode = main(sys.argv[1:])\n"
        "print([name for name in ('prefect', 'httpx', 'tomlkit') if name in sys.modules], file=sys.stderr)\n"
        "raise SystemExit(code)"
    )
    root = str(WORKSPACE.parent.parent)
    env: dict[str, str | None] = {"PYTHONPATH": root}
    result = run(
        Command((sys.executable, "-c", code, *argv), cwd, env, ok_codes=frozenset({0, 1, 2}))
    )
    return Said(result.code, result.stdout, result.stderr)


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"], ["publish", "--help"], ["discover"], ["graph"], ["explain", "RK-GRAPH-CYCLE"],
        ["plan", "--offline"], ["changelog"], ["changelog", "--format", "json"], ["publish", "--dry-run", "--offline"],
        ["version", "--explain"], ["check"],
    ],
)  # fmt: skip
def test_quick_commands_avoid_prefect(orchard: World, argv: list[str]) -> None:
    """What somebody waits for at a terminal imports neither Prefect nor an HTTP client."""
    said = in_child(*argv, cwd=orchard.root)

    assert said.code == 0, said.err
    assert said.err.splitlines()[-1] == "[]"


def test_init_does_not_import_prefect(orchard: World) -> None:
    """It needs neither Prefect nor, offline, an HTTP client; to write TOML it needs one that keeps comments."""
    said = in_child("init", "--offline", cwd=orchard.root)

    assert (said.code, said.err.splitlines()[-1]) == (0, "['tomlkit']"), said.err


@pytest.mark.parametrize("flow", ["publish", "plan"])
def test_flows_are_programs(orchard: World, flow: str) -> None:
    """`python -m flows.publish --dry-run` is `releasekit publish --dry-run`."""
    argv = ("--dry-run", "--offline") if flow == "publish" else ("--offline",)
    env: dict[str, str | None] = {"PYTHONPATH": str(WORKSPACE.parent.parent)}
    result = run(Command((sys.executable, "-m", f"flows.{flow}", *argv), orchard.root, env))

    assert "orchard-press" in result.stdout


def test_json_logs_use_standard_error(orchard: World) -> None:
    """Standard output is the answer alone; with --log-format json each log line is an object."""
    said = orchard.releasekit(
        "--verbose", "--log-format", "json", "plan", "--offline", "--format", "json"
    )

    json.loads(said.out)
    lines = [json.loads(line) for line in said.err.splitlines()]
    walk = next(line for line in lines if "log" in line.get("argv", ()))
    assert walk.keys() >= {"time", "level", "message", "argv", "exit_code", "seconds"}
    assert orchard.releasekit("--quiet", "plan", "--offline").err == ""


# ---- refusals -----------------------------------------------------------------------------------------------------


def edit(world: World, path: str, old: str, new: str) -> None:
    """Replace *old* in a file that has it, and commit."""
    text = (world.root / path).read_text()
    assert old in text, path
    world.commit("chore: edit", {path: text.replace(old, new)})


def no_workspace(world: World) -> None:
    """Leave a directory that is no project."""
    (world.root / "pyproject.toml").unlink()


def invalid_toml(world: World) -> None:
    """Break a member's file."""
    world.commit("chore: break", {"packages/core/pyproject.toml": '[project]\nname = "core\n'})


def unknown_key(world: World) -> None:
    """Mistype a key."""
    edit(
        world,
        "pyproject.toml",
        "[tool.uv.workspace]",
        '[tool.releasekit]\ntag_fromat = "x"\n\n[tool.uv.workspace]',
    )


def wrong_type(world: World) -> None:
    """Give a key a value of another type."""
    edit(
        world,
        "pyproject.toml",
        "[tool.uv.workspace]",
        "[tool.releasekit]\ntag_format = 42\n\n[tool.uv.workspace]",
    )


def wrong_choice(world: World) -> None:
    """Give a key a value that is not among those allowed."""
    text = '[tool.releasekit]\npublish_from = "github"\n\n[tool.uv.workspace]'
    edit(world, "pyproject.toml", "[tool.uv.workspace]", text)


def duplicate(world: World) -> None:
    """Give two members one name."""
    edit(world, "packages/app/pyproject.toml", 'name = "app"', 'name = "Core"')


def cycle(world: World) -> None:
    """Make two members need each other."""
    edit(world, "packages/core/pyproject.toml", "dependencies = []", 'dependencies = ["app"]')


def self_dependency(world: World) -> None:
    """Make a member need itself."""
    edit(world, "packages/core/pyproject.toml", "dependencies = []", 'dependencies = ["core"]')


def bad_requirement(world: World) -> None:
    """Write a requirement that nobody can read."""
    edit(
        world, "packages/core/pyproject.toml", "dependencies = []", 'dependencies = ["idna >>> 3"]'
    )


def bad_tag_format(world: World) -> None:
    """Choose tags that git refuses."""
    text = '[tool.releasekit]\ntag_format = "{name}~{version}"\n\n[tool.uv.workspace]'
    edit(world, "pyproject.toml", "[tool.uv.workspace]", text)


def dirty(world: World) -> None:
    """Leave a change uncommitted."""
    world.write({"packages/core/src/core/__init__.py": "CHANGED = True\n"})


def untracked(world: World) -> None:
    """Leave a new file about."""
    world.write({"packages/core/src/core/new.py": ""})


def detached(world: World) -> None:
    """Check out a commit."""
    world.git("checkout", "--quiet", "--detach")


def stale_lock(world: World) -> None:
    """Change a requirement without locking."""
    edit(world, "packages/core/pyproject.toml", "dependencies = []", 'dependencies = ["idna>=3"]')


def no_lock(world: World) -> None:
    """Ask for SBOMs without a tracked lock file."""
    world.git("rm", "--quiet", "--cached", "uv.lock")
    text = (world.root / "pyproject.toml").read_text()
    table = "\n[tool.releasekit]\nsbom = true\n"
    world.commit("chore: unlock", {".gitignore": "uv.lock\n", "pyproject.toml": text + table})


def outside(world: World) -> None:
    """Name a member beside the workspace."""
    elsewhere = world.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pyproject.toml").write_text('[project]\nname = "elsewhere"\nversion = "1"\n')
    edit(world, "pyproject.toml", '"packages/*"', '"packages/*", "../elsewhere"')


def other_uv(world: World) -> None:
    """Ask for a uv of the far future."""
    edit(
        world,
        "pyproject.toml",
        "[tool.uv.workspace]",
        '[tool.uv]\nrequired-version = ">=99"\n\n[tool.uv.workspace]',
    )


def no_identity(world: World) -> None:
    """Forget who commits."""
    world.git("config", "--unset", "user.name")
    world.git("config", "--unset", "user.email")
    world.git("config", "user.useConfigOnly", "true")


def tag_taken(world: World) -> None:
    """Put a release's tag on another commit, by hand, above the declared version."""
    world.git("tag", "core-v0.1.0")
    world.commit("fix: core", {"packages/core/src/core/__init__.py": "FIXED = True\n"})
    world.git("tag", "core-v0.1.1")
    world.git("push", "--quiet", "origin", "main")


EARLY = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "cyclopts":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


def test_interrupt_during_import_is_clean(tmp_path: Path) -> None:
    """A Ctrl-C while all is still imported is one like any other."""
    (tmp_path / "sitecustomize.py").write_text(EARLY)  # Python imports it when it starts
    for module in ("releasekit", "flows.publish"):
        said = run(
            Command(
                (sys.executable, "-m", module),
                env={"PYTHONPATH": str(tmp_path)},
                ok_codes=frozenset({130}),
            )
        )
        assert (said.stdout, said.stderr) == ("", "Interrupted.\n")


def moved_remote(world: World) -> None:
    """Let somebody else push first."""
    world.commit("fix: theirs", {"packages/core/src/core/__init__.py": "THEIRS = True\n"})
    world.git("push", "--quiet", "origin", "main")
    world.git("reset", "--quiet", "--hard", "HEAD~1")
    world.commit("fix: ours", {"packages/core/src/core/__init__.py": "OURS = True\n"})


def no_remote(world: World) -> None:
    """Have nowhere to push to."""
    world.git("remote", "remove", "origin")


def nothing(_: World) -> None:
    """Leave all as it is."""


CASES: list[tuple[Callable[[World], None], list[str], ErrorCode, str]] = [
    (no_workspace, [], ErrorCode.WORKSPACE_NOT_FOUND, "--workspace"),
    (nothing, ["--workspace", "nowhere"], ErrorCode.WORKSPACE_NOT_FOUND, "nowhere"),
    (invalid_toml, [], ErrorCode.WORKSPACE_TOML, "packages/core/pyproject.toml:2"),
    (unknown_key, [], ErrorCode.CONFIG_INVALID_KEY, "did you mean tag_format"),
    (wrong_type, [], ErrorCode.CONFIG_INVALID_VALUE, "tag_format"),
    (wrong_choice, [], ErrorCode.CONFIG_INVALID_VALUE, "'local'"),
    (duplicate, [], ErrorCode.WORKSPACE_DUPLICATE, "core"),
    (cycle, [], ErrorCode.GRAPH_CYCLE, "app -> core -> app"),
    (self_dependency, [], ErrorCode.GRAPH_SELF_DEPENDENCY, "packages/core/pyproject.toml"),
    (bad_requirement, [], ErrorCode.WORKSPACE_REQUIREMENT, "idna >>> 3"),
    (bad_tag_format, [], ErrorCode.TAG_INVALID, "{name}~{version}"),
    (dirty, [], ErrorCode.PREFLIGHT_DIRTY_WORKTREE, "packages/core/src/core/__init__.py"),
    (untracked, [], ErrorCode.PREFLIGHT_DIRTY_WORKTREE, "packages/core/src/core/new.py"),
    (detached, [], ErrorCode.PREFLIGHT_DETACHED_HEAD, "branch"),
    (stale_lock, [], ErrorCode.PREFLIGHT_LOCK_STALE, "uv lock"),
    (no_lock, [], ErrorCode.SBOM_NEEDS_LOCK, "git tracks no uv.lock"),
    (outside, [], ErrorCode.WORKSPACE_OUTSIDE, "elsewhere"),
    (other_uv, [], ErrorCode.UV_VERSION, ">=99"),
    (no_identity, [], ErrorCode.GIT_IDENTITY, "user.name"),
    (nothing, ["--package", "cor"], ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, "did you mean core"),
    (nothing, ["--group", "all"], ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, "no group is named all"),
    (nothing, ["--index", "inner"], ErrorCode.INDEX_UNKNOWN, "inner"),
    (nothing, ["--publish-url", "http://me:pw@index.invalid/"], ErrorCode.CONFIG_INVALID_VALUE, "UV_PUBLISH_TOKEN"),
    (nothing, ["--tag-all"], ErrorCode.USAGE, "--tag-all"),
    (nothing, ["--concurrency", "0"], ErrorCode.USAGE, "greater than or equal to 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "argv", "code", "said"), CASES, ids=lambda value: getattr(value, "__name__", None)
)
def test_refusal_has_code_and_help(
    tmp_path: Path, spoil: Callable[[World], None], argv: list[str], code: ErrorCode, said: str
) -> None:
    """Bad input is named by its code, its place and a next step; exit 2, nothing changed."""
    world = make_world(tmp_path, "app: core; core")
    spoil(world)
    before = world.state()

    refused = world.releasekit("publish", "--dry-run", "--offline", *argv)

    assert refused.code == 2, refused.err
    assert f"error: {code}: " in refused.err
    assert said in refused.err
    assert "= help: " in refused.err
    assert "Traceback" not in refused.err
    assert world.state() == before


ONLINE: list[tuple[Callable[[World], None], dict[str, str], ErrorCode, str]] = [
    (nothing, {"UV_PUBLISH_TOKEN": "wrong-token"}, ErrorCode.INDEX_CREDENTIALS, "UV_PUBLISH_TOKEN"),
    (
        nothing,
        {"UV_PUBLISH_CHECK_URL": "http://127.0.0.1:9/simple"},
        ErrorCode.INDEX_UNREACHABLE,
        "127.0.0.1:9",
    ),
    (moved_remote, {}, ErrorCode.PUSH_REJECTED, "main"),
    (no_remote, {}, ErrorCode.PREFLIGHT_NO_REMOTE, "--no-push"),
]


@pytest.mark.parametrize(
    ("spoil", "env", "code", "said"), ONLINE, ids=lambda value: getattr(value, "__name__", None)
)
def test_publish_checks_index_and_remote(
    tmp_path: Path,
    own_index: EmbeddedIndex,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[World], None],
    env: dict[str, str],
    code: ErrorCode,
    said: str,
) -> None:
    """Index and remote are asked before the first build whether they would take the release."""
    world = make_world(tmp_path, "core")
    spoil(world)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    before = world.state()

    refused = world.releasekit("publish", "--yes", "--skip-audit")

    assert (refused.code, f"error: {code}: " in refused.err) == (2, True), refused.err
    assert said in refused.err
    assert ("no remote origin" in refused.err) == (spoil is no_remote)
    assert "on no forge" not in refused.err or spoil is not no_remote
    assert "wrong-token" not in refused.err
    assert world.state() == before
    assert not [request for request in own_index.requests() if request.uploaded_file]


def test_dry_run_respects_untracked_lock(tmp_path: Path) -> None:
    """A dry run tells of the lock file only where git tracks one, and that versions are committed, too."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    world.commit("feat: more", {"packages/core/more.txt": ""})
    staged = "  git add --update --pathspec-from-file=- --pathspec-file-nul\n"
    staged += "  git commit --message 'chore(release): core-v0.2.0'\n"

    locked = world.releasekit("publish", "--dry-run", "--offline").out
    world.git("rm", "--quiet", "--cached", "uv.lock")
    world.commit("chore: no lock file", {".gitignore": "uv.lock\n"})
    unlocked = world.releasekit("publish", "--dry-run", "--offline").out

    assert (locked.count(" lock --upgrade-package core"), unlocked.count(" lock ")) == (1, 0)
    assert (staged in locked, staged in unlocked) == (True, True)


def planned(world: World, *argv: str) -> tuple[dict[str, tuple[str, str | None]], str]:
    """Return status and next version of each package, and the warnings."""
    said = world.releasekit("plan", "--format", "json", *argv)
    assert said.code == 0, said.err
    plan = json.loads(said.out)
    return {row["name"]: (row["status"], row["next"]) for row in plan["packages"]}, "\n".join(
        plan["warnings"]
    )


def test_index_replaces_missing_tags(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Without tags, the last release is what the index has, made from the commit that set that version."""
    world = make_world(tmp_path, "app: core; core; lone; new")
    world.commit("feat!: long ago", {"packages/core/src/core/old.py": ""})
    edit(world, "packages/core/pyproject.toml", "0.1.0", "0.2.0")
    sha = world.git("rev-parse", "HEAD")
    world.lock()
    upload(world, own_index, "core", "app", "lone")
    world.commit("feat: lone", {"packages/lone/src/lone/more.py": ""})
    edit(world, "packages/lone/pyproject.toml", "0.1.0", "0.2.0rc1")
    upload(world, own_index, "lone")
    world.git("mv", "packages/core", "packages/kernel")
    world.commit("fix: core", {"packages/kernel/src/core/new.py": ""})
    world.commit("docs: app", {"packages/app/README.md": "words\n"})
    world.lock()

    rows, warnings = planned(world, "--promote", "lone")

    assert rows == {
        "core": ("included", "0.2.1"),
        "app": ("skipped", None),
        "lone": ("included", "0.2.0"),
        "new": ("included", "0.1.0"),
    }
    assert planned(world)[0]["lone"] == ("skipped", None), "nothing is promoted unasked"
    assert planned(world, "--prerelease", "rc")[0]["lone"] == ("skipped", None)
    assert planned(world, "--prerelease", "rc", "--force-unchanged")[0]["lone"] == (
        "included",
        "0.2.0rc2",
    )
    assert f"core 0.2.0 ({sha[:7]})" in warnings
    assert ErrorCode.PIN_OLD not in warnings, "the app on the index takes any core"
    told = json.loads(world.releasekit("plan", "--promote", "lone", "--format", "json").out)[
        "changelogs"
    ]
    assert ("### Bug Fixes" in told["core"]["text"], "long ago" in told["core"]["text"]) == (
        True,
        False,
    )
    assert "### Features\n\n- lone (" in told["lone"]["text"], "all since 0.1.0"
    said = world.releasekit("publish", "--dry-run", "--skip-audit", "--no-push")
    assert (said.code, "uv publish" in said.out) == (0, True), said.err

    offline, warnings = planned(world, "--offline")
    assert offline["core"] == ("included", "0.2.0"), "nobody could know"
    assert (
        "core, lone, new and 1 more have no tag, and no index was asked for earlier releases"
        in warnings
    )
    assert ErrorCode.BASELINE_INDEX in world.releasekit("version").err
    assert ErrorCode.BASELINE_INDEX in world.releasekit("changelog").err


def test_unexplained_index_version_is_refused(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A release on the index of which neither a tag nor a commit tells is refused, with the tag that would mend it."""
    world = make_world(tmp_path, "core; lone")
    first = world.git("rev-parse", "HEAD")
    edit(world, "packages/core/pyproject.toml", "0.1.0", "0.2.0")
    source = world.git("rev-parse", "HEAD")
    upload(world, own_index, "core")
    world.git("reset", "--quiet", "--hard", first)
    edit(world, "packages/core/pyproject.toml", "0.1.0", "0.3.0.dev0")
    world.lock()

    refused = world.releasekit("plan")

    assert (
        refused.code,
        f"error: {ErrorCode.BASELINE_UNKNOWN}: the index has core 0.2.0" in refused.err,
    ) == (2, True)
    assert "`git tag core-v0.2.0 COMMIT`" in refused.err
    assert planned(world, "-p", "lone")[0]["lone"] == ("included", "0.1.0")
    world.git("tag", "core-v0.2.0")
    again = world.releasekit("plan")
    assert "`git tag core-v0.2.0 COMMIT`" in again.err, (
        "core declares another version there, so the tag does not count"
    )
    world.git("tag", "--force", "core-v0.2.0", source)
    assert planned(world)[0]["core"] == ("skipped", None)
    world.git("tag", "--delete", "core-v0.2.0")
    assert "commit 0.2.0 as the version in packages/core/pyproject.toml" in again.err
    edit(world, "packages/core/pyproject.toml", "0.3.0.dev0", "0.2.0")
    world.lock()
    assert planned(world)[0]["core"] == ("skipped", None)


def test_existing_index_version_is_refused(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A version that the index has already, or one below its latest, is refused; the plan says which."""
    world = make_world(tmp_path, "core")
    upload(world, own_index, "core")
    edit(world, "packages/core/pyproject.toml", 'version = "0.1.0"', 'version = "0.0.9"')
    world.lock()
    world.git("tag", "core-v0.0.9")
    world.commit("feat: again\n\nRelease-As: 0.1.0", {"packages/core/a.txt": ""})

    plan = json.loads(world.releasekit("plan", "--format", "json").out)
    refused = world.releasekit("publish", "--yes", "--skip-audit")

    assert [row["status"] for row in plan["packages"]] == ["already_published"]
    assert (refused.code, ErrorCode.PREFLIGHT_VERSION_EXISTS in refused.err) == (2, True)

    world.git("tag", "--delete", "core-v0.0.9")
    world.git("reset", "--quiet", "--hard", "HEAD~1")
    older = world.releasekit("publish", "--yes", "--skip-audit")
    assert (older.code, "allow_older" in older.err) == (2, True), older.err


def test_shallow_clone_is_refused(tmp_path: Path) -> None:
    """A shallow clone is refused with the command that mends it: every version would be a guess."""
    world = make_world(tmp_path, "core")
    world.commit("fix: core", {"packages/core/src/core/__init__.py": "FIXED = True\n"})
    url = world.root.as_uri()
    run(
        Command(
            ("git", "clone", "--quiet", "--depth", "1", url, str(tmp_path / "shallow")), env=GIT
        )
    )

    refused = World(tmp_path / "shallow", world.remote).releasekit("plan", "--offline")

    assert (refused.code, ErrorCode.PREFLIGHT_SHALLOW_CLONE in refused.err) == (2, True)
    assert "git fetch --unshallow --tags" in refused.err


def test_repository_needs_a_commit(tmp_path: Path) -> None:
    """A repository without a commit, and a workspace without a repository, are refused by name."""
    world = empty_world(tmp_path)
    world.write({"pyproject.toml": '[project]\nname = "solo"\nversion = "1"\n'})
    assert ErrorCode.GIT_NO_COMMIT in world.releasekit("plan").err

    bare = World(tmp_path / "bare", world.remote)
    bare.write({"pyproject.toml": '[project]\nname = "solo"\nversion = "1"\n'})
    assert ErrorCode.GIT_NOT_A_REPOSITORY in bare.releasekit("plan").err


def test_publish_without_terminal_needs_yes(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Without a terminal and without --yes nothing is released."""
    world = make_world(tmp_path, "core")
    before = world.state()

    refused = world.releasekit("publish", "--skip-audit")

    assert (refused.code, ErrorCode.NOT_CONFIRMED in refused.err) == (2, True)
    assert world.state() == before
    assert own_index.requests()


def test_ci_accepts_a_detached_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI, where checkouts are detached, HEAD may be."""
    monkeypatch.setenv("CI", "true")
    world = make_world(tmp_path, "core")
    detached(world)

    assert world.releasekit("publish", "--dry-run", "--offline").code == 0


def test_unreachable_prefect_stops_release(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configured Prefect API that is down stops a release before it begins; a plan is only not recorded."""
    world = make_world(tmp_path, "core")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    plan, release = world.releasekit("plan"), world.releasekit("publish", "--yes", "--skip-audit")

    assert (plan.code, ErrorCode.SERVER_UNREACHABLE in plan.err) == (0, True)
    assert (release.code, ErrorCode.SERVER_UNREACHABLE in release.err) == (2, True)
    assert not [request for request in own_index.requests() if request.uploaded_file]


def test_explain_suggests_similar_code(orchard: World) -> None:
    """Every code can be explained; an unknown one names its neighbours."""
    assert "cycles = " in orchard.releasekit("explain", "rk-graph-cycle").out
    unknown = orchard.releasekit("explain", "RK-GRAPH-CYCLES")
    assert (unknown.code, "RK-GRAPH-CYCLE" in unknown.err) == (2, True)


def test_help_lists_commands_and_options(orchard: World) -> None:
    """`--version` is that of the distribution; `--help` of each command names its options."""
    from releasekit import __version__

    assert orchard.releasekit("--version").out.strip() == __version__
    assert "--dry-run" in orchard.releasekit("publish", "--help").out
    everything = orchard.releasekit("--help").out
    assert "publish" in everything
    assert "key: changelog" not in everything, "that is a command here"


def test_offline_publish_is_refused(orchard: World) -> None:
    """A release cannot be made offline."""
    refused = orchard.releasekit("publish", "--offline")
    assert (refused.code, ErrorCode.USAGE in refused.err) == (2, True)


def test_unexpected_error_has_a_code(orchard: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has thought of has a code too, and no traceback unless it is asked for."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("tasks.read_workspace.read_workspace", fail)

    failed, told = orchard.releasekit("discover"), orchard.releasekit("-v", "discover")

    assert (failed.code, "Traceback" in failed.err, "Traceback" in told.err) == (1, False, True)
    assert f"error: {ErrorCode.UNEXPECTED}: ZeroDivisionError: a mistake of ours" in failed.err
