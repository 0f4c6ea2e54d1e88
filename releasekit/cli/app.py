"""The program: global options, all commands, and the exit code for each error."""

from __future__ import annotations

import logging
import os
import sys
from itertools import chain
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.exceptions import CycloptsError
from pydantic import ValidationError

from releasekit.cli.command_types import DONE
from releasekit.cli.render.encoding import adapt_streams
from releasekit.cli.render.long_waits import show_long_waits
from releasekit.cli.root import app
from releasekit.cli.short_help import command_names, short_help, wants_short_help
from releasekit.core.config.settings import ENVIRONMENT_PREFIX, Settings, variable
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.home import ensure_home
from releasekit.integrations.signals import enable_interrupts
from releasekit.logging import configure_logging
from releasekit.options import GLOBAL, Environment, option_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyclopts import Argument

log = logging.getLogger("releasekit")

INTERRUPTED, BROKEN_PIPE = 130, 141

_COMMANDS = (
    "publish",
    "prepare",
    "plan",
    "change",
    "manifest",
    "merge",
    "smoke-test",
    "approve",
    "status",
    "repair",
    "verify",
    "yank",
    "rollback",
    "version",
    "init",
    "discover",
    "graph",
    "check",
    "changelog",
    "notes",
    "pin",
    "server",
    "config",
    "completion",
    "help",
)
for name in _COMMANDS:
    module = name.replace("-", "_")
    # By its path: cyclopts imports the module when the command is used, or its help is shown.
    app.command(f"releasekit.cli.commands.{module}:command", name=name)
app.command("releasekit.cli.commands.explain:command", name=("explain", "--explain"))

app.meta.config = Environment()
app.meta.group_parameters = GLOBAL
app.suppress_keyboard_interrupt = app.meta.suppress_keyboard_interrupt = False  # `main` handles it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 1 failed, 2 refused, 130 interrupted, 141 broken pipe."""
    arguments = sys.argv[1:] if argv is None else argv
    words = list(arguments)
    enable_interrupts()
    adapt_streams()
    ensure_home()
    try:
        if _shows_program_help(words):
            app.resolved_commands()  # cyclopts has the summary of a command once its module is loaded
        if wants_short_help(words):
            text = short_help(app, words, get_terminal_size().columns)
            print(text)  # noqa: T201
            return DONE
        result = app.meta(
            words, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except KeyboardInterrupt as interrupt:
        from_command = [str(sentence) for sentence in interrupt.args if sentence]
        log.warning("%s", " ".join(("Interrupted.", *from_command)))
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  no error may get past this place
        return _report_error(error)
    return result if isinstance(result, int) else DONE


def _shows_program_help(words: Sequence[str]) -> bool:
    """Return whether the help of the program may be shown: if it is asked for, or if no command is named."""
    return "--help" in words or set(_COMMANDS).difference(["help"]).isdisjoint(words)


def _report_error(error: Exception) -> int:
    from releasekit.cli.render import diagnostics, tables, terminal
    from releasekit.core.planning.model import PlanRefusal
    from releasekit.integrations.filesystem import file_error
    from releasekit.integrations.prefect_server import wrap_unexpected

    if isinstance(error, CycloptsError):
        error = Refusal(ErrorCode.USAGE, _usage_message(error))
    if isinstance(error, OSError):
        error = file_error(error)
    if not isinstance(error, ReleaseError):
        log.debug("unexpected", exc_info=error)
        error = wrap_unexpected(error)
    if isinstance(error, PlanRefusal):
        terminal.print_parts(tables.plan_table(error.plan), on_stderr=True)
        diagnostics.print_obstacles(error.plan.obstacles, "nothing was changed")
    else:
        diagnostics.print_error(error)
    return error.status


def _usage_message(error: CycloptsError) -> str:
    """Return what is wrong with the command line, or with the variable that replaces an option."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return str(error).strip()
    problem = cause.errors()[0]
    name = str(problem["loc"][0])
    option = f"--{name.replace('_', '-')}"
    is_from_variable = error.argument and _is_from_variable(error.argument, variable(name))
    source = variable(name) if is_from_variable else option
    return f"{source} = {problem['input']!r}: {problem['msg']}"


def _is_from_variable(options: Argument, variable_name: str) -> bool:
    """Return whether one of the *options* of a command got its value from the environment variable."""
    tokens = chain.from_iterable(argument.tokens for argument in options.children)
    sources = {(token.source, token.keyword) for token in tokens}
    return ("env", variable_name) in sources


@app.meta.default
def launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    verbose: Annotated[bool, Parameter(alias="-v")] = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
    log_format: Literal["text", "json"] = "text",
    color: bool = True,
    directory: Annotated[Path, Parameter(alias="-C", show_default=False)] = Path(),
) -> object:
    """Apply the global options, then run the command.

    Parameters
    ----------
    words
        The command and its options.
    verbose
        Summarize nothing, and log every command that is run and every request.
    quiet
        Log only warnings and errors.
    log_format
        Log lines as text, or as one JSON object a line; then tables and errors on standard error are JSON lines too.
    color
        Use colours on a terminal; the variable NO_COLOR switches them off too.
    directory
        Change to this directory first. Paths in other options are relative to it.
    """
    normal_level = logging.WARNING if quiet else logging.INFO
    level = logging.DEBUG if verbose else normal_level
    configure_logging(level, log_format)
    _refuse_unknown_variables()
    _change_directory(directory)
    if not color:
        os.environ["NO_COLOR"] = "1"  # for the programs that we start too
    with show_long_waits():
        return app(words, exit_on_error=False, print_error=False, result_action="return_value")


def _change_directory(directory: Path) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        message = f"cannot change to the directory: {error.strerror}"
        raise Refusal(
            ErrorCode.USAGE, message, str(directory), "Name a directory that exists."
        ) from error


def all_options() -> Iterator[tuple[str, str]]:
    """Yield the name of the command and of the option, for each option; the command is empty for global options."""
    apps = {"": app.meta} | {name: app[name] for name in command_names(app)}
    for command, command_app in apps.items():
        arguments = command_app.assemble_argument_collection()
        for name in filter(None, map(option_name, arguments)):
            yield command, name


NON_OPTION_VARIABLES = frozenset({"RELEASEKIT_CACHE_DIR", "RELEASEKIT_WORKFLOW"})
"""Variables of releasekit that are not options: RELEASEKIT_CACHE_DIR names the directory of the cache, and a GitLab
pipeline that releasekit starts gets RELEASEKIT_WORKFLOW.
"""


def _refuse_unknown_variables() -> None:
    """Refuse a variable that is probably misspelt; warn about other unknown ones, which may belong to another tool."""
    from difflib import get_close_matches

    setting_variables = set(map(variable, Settings.model_fields))
    ours = {name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)}
    candidates = ours - setting_variables - NON_OPTION_VARIABLES
    if not candidates:  # the usual case; to list all options takes a while
        return
    known_variables = setting_variables | {variable(option) for _, option in all_options()}
    known_names = {name.removeprefix(ENVIRONMENT_PREFIX) for name in known_variables}
    for name in sorted(candidates - known_variables):
        short = name.removeprefix(ENVIRONMENT_PREFIX)
        close = get_close_matches(short, known_names, 1, 0.75)
        if close:
            message = (
                f"unknown environment variable {name}; did you mean {ENVIRONMENT_PREFIX}{close[0]}?"
            )
            hint = f"Rename it, or remove it: `unset {name}`."
            raise Refusal(ErrorCode.CONFIG_INVALID_KEY, message, "the environment", hint)
        log.warning(
            "warning %s: unknown environment variable %s", ErrorCode.CONFIG_INVALID_KEY, name
        )
