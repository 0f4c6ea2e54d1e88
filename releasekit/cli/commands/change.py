"""`releasekit change`."""

from __future__ import annotations

import logging
import os
from typing import Annotated, Literal

from cyclopts import App, Parameter

from releasekit.cli.command_types import DONE, FAILED, RELEASE, Flatten, Format, RunModeOption
from releasekit.cli.help import examples
from releasekit.core.config.settings import BumpName
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.text import list_names
from releasekit.options import PACKAGES, WorkspaceOptions, complete_packages

log = logging.getLogger("releasekit")

command = App(
    name="change",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit change add",
        'releasekit change add -p core --bump minor --message "Add streaming"',
        "releasekit change status --since origin/main",
    ),
)

_BUMPS = ("major", "minor", "patch", "none")

PackageNames = Annotated[
    tuple[str, ...], Parameter(alias="-p", group=PACKAGES, completer=complete_packages)
]


@command.default
def change(
    action: Literal["add", "status"],
    /,
    *,
    options: Annotated[WorkspaceOptions, Flatten] = WorkspaceOptions(),  # noqa: B008  a frozen value
    package: PackageNames = (),
    bump: Annotated[BumpName | None, RunModeOption] = None,
    message: Annotated[str, RunModeOption] = "",
    name: Annotated[str, RunModeOption] = "",
    since: Annotated[str, RunModeOption] = "",
    format: Format = "table",  # noqa: A002
) -> int:
    """Describe changes in files, for packages whose commits do not say which release they need.

    Parameters
    ----------
    action
        `add` writes a change file and prints its path; on a terminal it asks for what is missing. `status` tells
        which packages changed on this branch; exit code 1 if no change file of the branch names one of them.
    package
        With add: the packages that change (names, patterns or paths).
    bump
        With add: the bump that the change asks for; none if it needs no release.
    message
        With add: the text for the changelog, in Markdown.
    name
        With add: the name of the file; default: two random words.
    since
        With status: compare with this branch or commit; default: the default branch of the remote.
    format
        With status: the output format.
    """
    if action == "status":
        _refuse_other_options("add", package=package, bump=bump, message=message, name=name)
        return _show_status(options, since, format)
    _refuse_other_options("status", since=since, format="" if format == "table" else format)
    from releasekit.cli.render import terminal
    from releasekit.operations.manage_changes import NewChange, add_change

    packages = package or _ask_packages(options)
    bump_name = bump or terminal.ask("Bump", "patch", _BUMPS)
    needs_text = not message and bump_name != "none"
    text = terminal.ask("Text for the changelog") if needs_text else message
    file = add_change(options, NewChange(packages, bump_name, text, name))
    terminal.write_stdout(os.path.relpath(file))
    return DONE


def _refuse_other_options(action: str, **values: object) -> None:
    """Refuse the options of the other *action*."""
    for option, value in values.items():
        if value:
            raise Refusal(ErrorCode.USAGE, f"--{option} belongs to `change {action}`")


def _ask_packages(options: WorkspaceOptions) -> tuple[str, ...]:
    """Ask which packages change; those with new commits are listed first, and are the default."""
    from releasekit.cli.render import terminal
    from releasekit.operations.manage_changes import unreleased_packages

    if not terminal.is_terminal():
        return ()
    changed, unchanged = unreleased_packages(options)
    terminal.print_parts(
        f"Changed since their last release: {_join_names(changed)}",
        f"Not changed: {_join_names(unchanged)}",
        on_stderr=True,
    )
    answer = terminal.ask("Packages that change", " ".join(changed))
    return tuple(answer.replace(",", " ").split())


def _join_names(names: tuple[str, ...]) -> str:
    return list_names(names)


def _show_status(options: WorkspaceOptions, since: str, output_format: str) -> int:
    from releasekit.cli.render import diagnostics, tables, terminal
    from releasekit.core.text import summarize
    from releasekit.operations.manage_changes import change_status

    status = change_status(options, since)
    parts = [tables.change_table(status)] if status.packages else []
    terminal.write_result(output_format, status, *parts)
    if not status.packages:
        log.info("no package has changed since %s", status.since[:12])
    if not status.missing_names:
        return DONE
    names = summarize(status.missing_names)
    message = f"no change file names {names}, changed since {status.since[:12]}"
    diagnostics.print_error(ReleaseError(ErrorCode.CHANGE_MISSING, message))
    return FAILED
