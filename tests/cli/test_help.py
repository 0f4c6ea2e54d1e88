"""Help: on one screen, in full, and examples that work."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from examples.orchard_repository import make
from releasekit.cli.app import app
from releasekit.cli.command_types import LOOK
from releasekit.cli.short_help import RARE_COMMANDS, flags_of, groups_of, summary_of
from releasekit.core.errors import ErrorCode
from releasekit.options import option_name
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = sorted(name for name in app if not name.startswith("-"))
LINES, COLUMNS = 24, 80


def examples_of(command: str) -> list[list[str]]:
    """Return the arguments of each `releasekit` line that the help of *command* shows."""
    lines = [
        line.partition("  #")[0].strip() for line in str(app[command].help_epilogue).splitlines()
    ]
    return [
        shlex.split(line.partition(" > ")[0])[1:]
        for line in lines
        if line.startswith("releasekit ")
    ]


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make the example workspace, for tests that only read it."""
    directory = tmp_path_factory.mktemp("orchard")
    return World(make(directory), directory / "orchard.git")


@pytest.fixture
def here(tmp_path: Path) -> World:
    """Return a directory that is no workspace."""
    return World(tmp_path, tmp_path / "none.git")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_short_help_fits_screen(here: World, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-h` fits the smallest usual terminal, says what the command does, and where the rest is."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))

    said = here.releasekit(*([command] if command else []), "-h")

    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    assert "--help`" in lines[-1]
    if command:
        assert summary_of(app[command])[:40] in said.out
    else:
        assert all(f"  {name} " in said.out for name in COMMANDS if name not in RARE_COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_full_help_has_all(here: World, command: str) -> None:
    """`--help` and `help COMMAND` print the same: every option and every example."""
    full = here.releasekit(command, "--help")

    options = [
        argument
        for argument in app[command].assemble_argument_collection()
        if option_name(argument)
    ]
    assert full.code == 0
    assert all(flags_of(option)[0] in full.out for option in options)
    assert here.releasekit("help", command).out == full.out


def test_help_refuses_unknown_command(here: World) -> None:
    """A misspelt command is refused, with the one that was meant."""
    said = here.releasekit("help", "plam")

    assert (said.code, ErrorCode.USAGE in said.err, "did you mean plan?" in said.err) == (
        2,
        True,
        True,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_in_help_parse(command: str) -> None:
    """Each example in the help is a command line that the program accepts."""
    assert examples_of(command) or command in {"completion", "help"}
    for words in examples_of(command):
        app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", [name for name in COMMANDS if LOOK in groups_of(app[name])])
def test_examples_in_help_run(
    orchard: World, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example of a command that only looks runs on a real workspace, and its names are real."""
    monkeypatch.setenv("RELEASEKIT_PUBLISH_FROM", "ci")  # then a plan needs no credentials
    for words in examples_of(command):
        known = [
            "orchard-core" if word == "core" else word.replace("plugin-*", "orchard-*")
            for word in words
        ]
        offline = (
            ["--offline"] if command in {"plan", "status"} and "--offline" not in known else []
        )

        said = orchard.releasekit(*known, *offline)

        assert said.code in {0, 1} if command == "check" else said.code == 0, (known, said.err)


def test_short_flag_prints_the_version(here: World) -> None:
    """`-V` is `--version`, as in uv."""
    assert here.releasekit("-V").out == here.releasekit("--version").out != ""


def test_directory_option_changes_directory(tmp_path: Path) -> None:
    """`-C` changes the directory for the command, wherever you stand; `--project` names the workspace alone."""
    world = make_world(tmp_path, "core")
    elsewhere = World(tmp_path, world.remote)
    listed = world.releasekit("discover", "--format", "json").out

    for words in (("-C", "work"), ("--directory", str(world.root))):
        assert elsewhere.releasekit(*words, "discover", "--format", "json").out == listed
    assert elsewhere.releasekit("discover", "--project", "work", "--format", "json").out == listed
    refused = elsewhere.releasekit("-C", "nowhere", "discover")
    assert (refused.code, ErrorCode.USAGE in refused.err, "nowhere" in refused.err) == (
        2,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("kind", "version"), [("alpha", "0.1.0a1"), ("beta", "0.1.0b1"), ("a", "0.1.0a1")]
)
def test_prerelease_kinds_have_long_names(tmp_path: Path, kind: str, version: str) -> None:
    """`alpha` and `beta` are what PEP 440 writes as `a` and `b`: as an option, in a variable and in the file."""
    world = make_world(tmp_path, "core")

    for words in (("--prerelease", kind), ()):
        if not words:
            text = (world.root / "pyproject.toml").read_text()
            (world.root / "pyproject.toml").write_text(
                f'{text}\n[tool.releasekit]\nprerelease = "{kind}"\n'
            )
        assert f'"next": "{version}"' in world.releasekit("version", *words, "--format", "json").out
