"""`releasekit init`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from releasekit.cli.command_types import DONE, SET_UP, Flatten, Format, RunModeOption, Switch, Yes
from releasekit.cli.help import examples
from releasekit.core.migration.foreign_setup import ForeignTool
from releasekit.options import RUN_MODE, InitOptions

command = App(
    name="init",
    group=SET_UP,
    help_epilogue=examples(
        "releasekit init",
        "releasekit init --yes --tag-baselines",
        "releasekit init --from release-please",
    ),
)


@command.default
def init(
    *,
    options: Annotated[InitOptions, Flatten] = InitOptions(),  # noqa: B008  a frozen value
    yes: Yes = False,
    tag_baselines: Switch = False,
    ci: Annotated[Literal["github", "gitlab"] | None, RunModeOption] = None,
    tool: Annotated[ForeignTool | None, Parameter(name="--from", group=RUN_MODE)] = None,
    format: Format = "table",  # noqa: A002
) -> int:
    """Set up releasekit: detect earlier releases and write the configuration.

    Parameters
    ----------
    yes
        Write without asking. Without --yes and without a terminal, nothing is written.
    tag_baselines
        Also make the missing tags of the last releases, in this repository only; they are not pushed.
    ci
        Also write or update the CI workflows that release by pull request.
    tool
        Also take over the configuration and the last releases of this tool.
    format
        The output format.
    """
    import asyncio

    from releasekit.cli.render import terminal
    from releasekit.cli.terminal_confirmation import TerminalConfirmation
    from releasekit.operations.init_workspace import init_workspace

    confirmation = TerminalConfirmation(yes=yes, quiet=format == "json")
    adoption = asyncio.run(
        init_workspace(options, confirmation, tag_baselines=tag_baselines, ci=ci, tool=tool)
    )
    if format == "json":
        terminal.write_result(format, adoption)
    return DONE
