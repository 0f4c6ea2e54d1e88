"""Where options and settings come from, what shells and editors are told of them, and how errors in them read."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest

from releasekit.cli.app import NON_OPTION_VARIABLES, all_options, app
from releasekit.core.config.settings import Settings, from_environment, settings_of, variable
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations.process import Command, run
from releasekit.operations.show_config import schema_text
from releasekit.options import is_setting, option_name
from tests.support.world import Said, World, make_world

if TYPE_CHECKING:
    from cyclopts import Argument

ROOT = Path(__file__).parents[2]
DOCUMENTATION = "\n".join(
    page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md"))
)


@pytest.fixture(autouse=True)
def _own_prefect_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make a workspace that is only looked at, with a setting, a group and a member that has a setting for itself."""
    world = make_world(tmp_path_factory.mktemp("config"), "app: core; core; lone")
    text = (world.root / "pyproject.toml").read_text()
    table = (
        '[tool.releasekit]\nconcurrency = 2\nrate_limit = 7\npush = false\ngroups.web = ["app"]\n'
    )
    world.commit("chore: configure", {"pyproject.toml": f"{text}\n{table}"})
    text = (world.root / "packages/core/pyproject.toml").read_text()
    member = f"{text}\n[tool.releasekit]\nsmoke_test = false\n"
    world.commit("chore: core", {"packages/core/pyproject.toml": member})
    return world


def told(world: World, *argv: str) -> dict[str, tuple[Any, str]]:
    """Return value and source of each setting, those of members as "key of package"."""
    said = world.releasekit("config", "--format", "json", *argv)
    assert said.code == 0, said.err
    rows = json.loads(said.out)["settings"]
    return {
        f"{row['key']} of {row['package']}".removesuffix(" of "): (row["value"], row["source"])
        for row in rows
    }


# ---- the order ----------------------------------------------------------------------------------------------------


def test_setting_sources_have_an_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line wins over the environment, that over the file, that over the default; `config` tells which."""
    lines = (world.root / "pyproject.toml").read_text().splitlines()
    line = {name: f"pyproject.toml:{lines.index(text) + 1}" for name, text in
            {"concurrency": "concurrency = 2", "rate": "rate_limit = 7", "push": "push = false"}.items()}  # fmt: skip
    monkeypatch.setenv("RELEASEKIT_CONCURRENCY", "3")
    monkeypatch.setenv("RELEASEKIT_PUSH", "yes")
    monkeypatch.setenv("RELEASEKIT_LABEL", "")

    settings = told(world, "publish", "--no-push", "--fail-fast")

    assert settings["push"] == (False, "--push")
    assert settings["fail_fast"] == (True, "--fail-fast")
    assert settings["concurrency"] == (3, "RELEASEKIT_CONCURRENCY")
    assert settings["rate_limit"] == (7, line["rate"])
    assert settings["label"] == ("", "default"), "an empty variable is as good as none"
    assert told(world)["push"] == (True, "RELEASEKIT_PUSH")
    monkeypatch.delenv("RELEASEKIT_PUSH")
    monkeypatch.delenv("RELEASEKIT_CONCURRENCY")
    settings = told(world)
    assert (settings["push"], settings["concurrency"]) == (
        (False, line["push"]),
        (2, line["concurrency"]),
    )


def test_variable_wins_over_member_setting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a member says for itself is shown with its file; a variable wins over it, as an option does."""
    row = told(world)["smoke_test of core"]
    assert (row[0], row[1].partition(":")[0]) == (False, "packages/core/pyproject.toml")
    assert "smoke_test of core" not in told(world, "publish", "--smoke-test")
    monkeypatch.setenv("RELEASEKIT_SMOKE_TEST", "true")
    assert "smoke_test of core" not in told(world)


def test_config_table_hides_credentials(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """People get a table; credentials in an address are not shown."""
    monkeypatch.setenv("RELEASEKIT_CHECK_URL", "https://ada:hunter2@index.example/simple")
    said = world.releasekit("config")

    assert said.code == 0, said.err
    assert re.search(r"rate_limit +pyproject.toml:\d+ +7", said.out)
    assert re.search(r"check_url +RELEASEKIT_CHECK_URL", said.out)
    assert "hunter2" not in said.out


# ---- variables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("4", "concurrency", 4),
        ("0.5", "confirm_timeout", 0.5),
        ("false", "push", False),
        ("0", "push", False),
        ("on", "fail_fast", True),
        ("rc", "prerelease", "rc"),
        ("{name}@{version}", "tag_format", "{name}@{version}"),
        ('["{name}@{version}", "v{version}"]', "tag_format", ("{name}@{version}", "v{version}")),
        ("core", "packages", ("core",)),
        ('["core", "plugin-*"]', "packages", ("core", "plugin-*")),
        ('{"docs": "patch"}', "types", {"docs": "patch"}),
        ('{"UV_PUBLISH_TOKEN": "upload-token"}', "secrets", {"UV_PUBLISH_TOKEN": "upload-token"}),
    ],
)
def test_variables_accept_text_and_json(text: str, key: str, value: object) -> None:
    """Switches, numbers and words are written as they are, lists and tables as JSON."""
    assert from_environment({variable(key): text}) == {key: value}


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("concurrency", "many", "RELEASEKIT_CONCURRENCY = 'many': Input should be a valid integer"),
        (
            "concurrency",
            "0",
            "RELEASEKIT_CONCURRENCY = '0': Input should be greater than or equal to 1",
        ),
        ("push", "perhaps", "RELEASEKIT_PUSH = 'perhaps': Input should be a valid boolean"),
        ("types", "docs", "RELEASEKIT_TYPES = 'docs': Input should be a valid dictionary"),
        (
            "types",
            '{"docs": "big"}',
            "RELEASEKIT_TYPES = '{\"docs\": \"big\"}': Input should be 'major'",
        ),
        ("packages", '["core"', "RELEASEKIT_PACKAGES = '[\"core\"': Input should be a valid tuple"),
        (
            "secrets",
            '{"UV_PUBLISH_TOKEN": "pypi-Ag Ei"}',
            "RELEASEKIT_SECRETS: String should match pattern",
        ),
    ],
)
def test_bad_variable_value_is_refused(key: str, text: str, said: str) -> None:
    """What a variable must not hold is refused by the variable's name; no secret is shown."""
    with pytest.raises(Refusal) as caught:
        from_environment({variable(key): text})

    assert caught.value.code is ErrorCode.CONFIG_INVALID_VALUE
    assert caught.value.message.startswith(said)
    assert "pypi-" not in str(caught.value)


def test_misplaced_secret_is_never_shown() -> None:
    """Whoever writes a secret where its name belongs does not see it again, neither in the words nor in the line."""
    with pytest.raises(Refusal) as caught:
        settings_of(
            {"tool": {"releasekit": {"secrets": {"UV_PUBLISH_TOKEN": "pypi-Ag Ei"}}}},
            "[tool.releasekit]",
        )

    assert (caught.value.excerpt, "pypi-" in str(caught.value)) == (None, False)


@pytest.mark.parametrize(
    ("name", "code"), [("RELEASEKIT_DRYRUN", 2), ("RELEASEKIT_PUHS", 2), ("RELEASEKIT_ZZZ", 0)]
)
def test_misspelt_variable_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    """A misspelt variable is refused with what was meant; one that resembles nothing may be somebody else's."""
    monkeypatch.setenv(name, "1")

    said = world.releasekit("graph")

    assert said.code == code
    assert f"{ErrorCode.CONFIG_INVALID_KEY}: unknown environment variable {name}" in said.err
    assert ("did you mean" in said.err) is bool(code)


def test_foreign_variables_cause_no_warning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that mean something elsewhere are no misspelling."""
    monkeypatch.setenv("RELEASEKIT_WORKFLOW", "publish.yml")
    monkeypatch.setenv("RELEASEKIT_GIT_TOKEN", "FORGE")
    monkeypatch.setenv("RELEASEKIT_CACHE_DIR", os.environ["RELEASEKIT_CACHE_DIR"])
    assert world.releasekit("graph").err == ""


def test_documented_variables_are_known() -> None:
    """A page names no variable that the program then calls unknown, except as an example of that."""
    options = {variable(option) for _, option in all_options()}
    known = options | set(map(variable, Settings.model_fields)) | NON_OPTION_VARIABLES
    documented = set(re.findall(r"\bRELEASEKIT_[A-Z_]+\b", DOCUMENTATION))
    assert documented - known == {"RELEASEKIT_DRYRUN"}


def arguments(command: str) -> dict[str, Argument]:
    """Return the options of *command*, of "" those of all."""
    found = (app[command] if command else app.meta).assemble_argument_collection()
    return {name: argument for argument in found if (name := option_name(argument))}


def sample(argument: Argument) -> tuple[str, Any]:
    """Return a text for a variable that is not the default, and the value that it stands for."""
    kind: Any = argument.hint
    if type(None) in get_args(kind):
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return (choice := get_args(kind)[-1]), choice
    if kind is bool:
        default = argument.field_info.default is True
        return ("false", False) if default else ("true", True)
    if get_origin(kind) is tuple:
        return '["one", "two"]', ("one", "two")
    return ("7", 7) if kind is int else ("word", kind("word") if kind in (str, Path) else "word")


WORDS = {
    "smoke-test": ["manifest.json"],
    "verify": ["core", "1.0"],
    "yank": ["core", "1.0", "--reason=other"],
    "change": ["add"],
    "server": ["status"],
    "completion": ["bash"],
    "explain": ["RK-USAGE"],
}
"""What a command must be given."""
VALUES = {"publish_from": "local", "task_runner": "dask"}
"""What an option must be given, if not every word will do."""


@pytest.mark.parametrize(("command", "option"), sorted(all_options()))
def test_every_option_has_its_variable(
    command: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option of each command can be given by its variable, and the command line wins over that."""
    argument = arguments(command)[option]
    text, value = sample(argument)
    if is_setting(option):  # read with the file, see test_variables_accept_text_and_json
        text = VALUES.get(option, text)
        assert option in from_environment({variable(option): text})
        return
    monkeypatch.setenv(variable(option), text)
    words = [command, *WORDS.get(command, [])] if command else []
    words = [word for word in words if not word.startswith(f"--{option}=")]

    def parsed(*more: str) -> Any:
        _, bound, *_ = (app if command else app.meta).parse_args(
            [*words, *more], exit_on_error=False, print_error=False
        )
        found = bound.arguments
        name = argument.field_info.name  # `--from` cannot be the name of a parameter
        return found.get(name, getattr(found.get("options"), name, None))

    assert parsed() == value
    if value is True:
        assert parsed(next(name for name in argument.names if name.startswith("--no-"))) is False


# ---- help ---------------------------------------------------------------------------------------------------------


COMMANDS = sorted(name for name in app if not name.startswith("-"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_groups_every_option(
    world: World, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option stands in a group, with its variable, and with its key if it is one; no line is too long."""
    monkeypatch.setenv("COLUMNS", "100")
    out = world.releasekit(command, "--help").out

    assert max(map(len, out.splitlines())) <= 100
    words = re.sub(r"[^\w\[\]:\"'.=-]+", " ", out)
    for option in arguments(command):
        assert variable(option) in words
        assert not is_setting(option) or f"key: {option}]" in words
    assert "Global options" in words
    assert "Parameters ─" not in out, "an option without a group"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(command: str) -> None:
    """Each command has examples, and they are right."""
    epilogue = app[command].help_epilogue
    assert epilogue
    for line in re.findall(r"releasekit [^)\n]+", epilogue):
        words = shlex.split(re.split(r" +#| > |$", line)[0])
        assert words[1] == command
        app.parse_args(words[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["pubish"], "publish"),
        (["plan", "--ofline"], "--offline"),
        (["plan", "--offline", "-p", "cor"], "core"),
        (["plan", "--offline", "--group", "wib"], "web"),
        (["check", "--select", "cycels"], "cycles"),
        (["explain", "RK-GRAPH-CYCEL"], "RK-GRAPH-CYCLE"),
        (["--explain", "RK-GRAPH-CYCEL"], "RK-GRAPH-CYCLE"),
        (["completion", "bahs"], "bash"),
    ],
)
def test_misspelt_word_gets_a_suggestion(world: World, argv: list[str], meant: str) -> None:
    """What is misspelt is named with what was probably meant."""
    said = world.releasekit(*argv)

    assert said.code == 2
    assert re.search(rf'[Dd]id you mean "?{meant}"?', said.err), said.err


@pytest.mark.parametrize(
    ("env", "argv", "said"),
    [
        (
            {},
            ["publish", "--concurrency", "x"],
            "--concurrency = 'x': Input should be a valid integer",
        ),
        (
            {"RELEASEKIT_OFFLINE": "x"},
            ["plan"],
            "RELEASEKIT_OFFLINE = 'x': Input should be a valid boolean",
        ),
        ({"RELEASEKIT_FORMAT": "x"}, ["plan"], 'Invalid value "x" for RELEASEKIT_FORMAT'),
        ({"RELEASEKIT_LOG_FORMAT": "x"}, ["plan"], 'Invalid value "x" for RELEASEKIT_LOG_FORMAT'),
    ],
)
def test_refusal_names_option_or_variable(
    world: World, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], argv: list[str], said: str
) -> None:
    """A value that an option does not take is refused by the option's name, or the variable's if it came from there."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    refused = world.releasekit(*argv)

    assert (refused.code, f"error: {ErrorCode.USAGE}: {said}" in refused.err) == (2, True), (
        refused.err
    )


def test_explain_works_as_an_option(world: World) -> None:
    """`--explain CODE` is `explain CODE`; that of `version` is its own."""
    assert world.releasekit("--explain", "rk-usage") == world.releasekit("explain", "RK-USAGE")
    assert world.releasekit("version", "--explain").code == 0


def test_json_log_includes_errors(world: World) -> None:
    """With --log-format json everything on standard error is an object, errors included, with their parts."""
    said = world.releasekit(
        "--log-format", "json", "publish", "--offline", "--dry-run", "-p", "cor"
    )

    objects = [json.loads(line) for line in said.err.splitlines()]
    assert (objects[-1]["code"], objects[-1]["level"]) == (
        ErrorCode.WORKSPACE_UNKNOWN_PACKAGE,
        "error",
    )
    assert objects[-1]["hint"] == "`releasekit discover` lists the members."


def test_closed_pipe_is_no_error(world: World) -> None:
    """A reader that has seen enough is no error."""
    shell = f"{shlex.quote(sys.executable)} -m releasekit graph --format json | head -n 1; exit ${{PIPESTATUS[0]}}"
    env: dict[str, str | None] = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    done = run(Command(("bash", "-c", shell), world.root, env, ok_codes=frozenset(range(256))))

    assert (done.stdout.strip(), done.stderr) == ("{", "")
    assert done.code in (0, 141)


# ---- editors ------------------------------------------------------------------------------------------------------


SCHEMA = ROOT / "releasekit" / "releasekit.schema.json"


def test_shipped_schema_matches_the_models(world: World) -> None:
    """The file that is shipped is what the models say, and what `config --schema` prints."""
    assert SCHEMA.read_text() == schema_text() == world.releasekit("config", "--schema").out
    table = json.loads(schema_text())["$defs"]["Settings"]["properties"]
    assert table.keys() == Settings.model_fields.keys()
    assert all(key["description"] for key in table.values())


def tables() -> list[str]:
    """Return all that the documentation shows of [tool.releasekit]."""
    blocks = re.findall(r"^```toml\n(.*?)^```", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "[tool.releasekit" in block]


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """Return a directory that is set up for Taplo as the documentation says."""
    rule = re.search(r"<!-- taplo -->\n```toml\n(.*?)```", DOCUMENTATION, re.DOTALL)
    assert rule
    (tmp_path / ".taplo.toml").write_text(rule[1])
    (tmp_path / "releasekit.schema.json").write_text(SCHEMA.read_text())
    return tmp_path


def lint(directory: Path, table: str) -> Said:
    """Let Taplo look at a pyproject.toml."""
    (directory / "pyproject.toml").write_text(
        f'[project]\nname = "x"\n\n[tool.other]\nx = 1\n\n{table}'
    )
    taplo = str(Path(sys.executable).with_name("taplo"))
    done = run(
        Command(
            (taplo, "lint", "--colors", "never", "pyproject.toml"),
            directory,
            ok_codes=frozenset({0, 1}),
        )
    )
    return Said(done.code, done.stdout, done.stderr)


def test_editor_accepts_documented_tables(editor: Path) -> None:
    """All that the documentation shows is right for an editor, and mistakes are underlined."""
    assert tables()
    for table in tables():
        assert (said := lint(editor, table)).code == 0, said.err
    for wrong, where in (
        ('tag_fromat = "x"', "tag_fromat"),
        ("concurrency = 0", "minimum"),
        ("push = 3", "boolean"),
    ):
        said = lint(editor, f"[tool.releasekit]\n{wrong}\n")
        assert (said.code, where in said.err + said.out) == (1, True), said


# ---- shells -------------------------------------------------------------------------------------------------------


COMPLETE = {
    "bash": 'COMP_WORDS=({}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _releasekit; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'complete -C "{}" | cut -f 1',
}
CASES = [
    ("releasekit pub", "publish"),
    ("releasekit server st", "start status stop"),
    ("releasekit publish --no-sm", "--no-smoke-test"),
    ("releasekit --log-f", "--log-format"),
    ("releasekit plan --prerelease r", "rc"),
    ("releasekit plan -p l", "lone"),
    ("releasekit plan --group w", "web"),
    ("releasekit version co", "core"),
    ("releasekit explain RK-GRAPH-CY", "RK-GRAPH-CYCLE"),
]


def shell(name: str) -> str:
    """Return a shell, or skip the test that needs it."""
    found = which(name)
    if not found:
        assert name != "bash", "it is everywhere"
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def script(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """Return the file that a shell reads for our completion; the program is on its PATH."""
    name: str = request.param
    shell(name)
    path = tmp_path / "_cyclopts_releasekit"  # zsh looks for the function by the name of the file
    path.write_text(world.releasekit("completion", name).out)
    program = tmp_path / "bin" / "releasekit"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m releasekit "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


@pytest.mark.parametrize("script", ["bash", "fish"], indirect=True)
def test_bash_and_fish_complete_words(
    world: World, script: Path, request: pytest.FixtureRequest
) -> None:
    """Bash and fish complete commands, options, values, and what only this workspace knows."""
    name: str = request.node.callspec.params["script"]
    lines = [f"source {shlex.quote(str(script))}"]
    lines += [f"{COMPLETE[name].format(typed)}; echo ." for typed, _ in CASES]

    said = run(Command((shell(name), "-c", "\n".join(lines)), world.root)).stdout

    found = [sorted(part.split()) for part in re.split(r"^\.$", said, flags=re.MULTILINE)]
    assert found[:-1] == [sorted(words.split()) for _, words in CASES]


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_completes_on_a_terminal(world: World, script: Path) -> None:
    """So does zsh, which completes nowhere but on a terminal; a key of ours writes down what Tab has made of a line."""
    (script.parent / ".zshrc").write_text(ZSHRC.format(place=script.parent))
    typed = [words for words, whole in CASES if " " not in whole]

    run(
        Command(
            (sys.executable, "-c", TYPIST, shell("zsh"), str(script.parent), *typed), world.root
        )
    )

    found = (script.parent / "told").read_text().splitlines()
    assert found == ["ready", *(whole for _, whole in CASES if " " not in whole)]


ZSHRC = """\
PS1="> "
fpath=({place} $fpath)
autoload -U compinit
compinit -u -D
tell() {{ print -r -- "${{${{BUFFER% }}##* }}" >> {place}/told; BUFFER=; }}
zle -N tell
bindkey "^X" tell
print ready >> {place}/told
"""
TYPIST = """\
import os, pathlib, pty, sys, time

zsh, home, *lines = sys.argv[1:]
pid, terminal = pty.fork()
if not pid:
    os.environ.update(TERM="dumb", ZDOTDIR=home)
    os.execv(zsh, [zsh, "-d", "-i"])
told, until = pathlib.Path(home, "told"), time.monotonic() + 120
os.set_blocking(terminal, False)

def wait(count):
    heard = b""
    while not told.exists() or len(told.read_text().splitlines()) < count:
        assert time.monotonic() < until, (told.read_text() if told.exists() else "", heard)
        try:
            heard += os.read(terminal, 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)

wait(1)
for number, line in enumerate(lines, 2):
    os.write(terminal, f"{line}\\t\\x18".encode())
    wait(number)
os.write(terminal, b"\\x04")
os.waitpid(pid, 0)
"""
