"""Types, exit codes and helpers that several commands use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from releasekit.core.similar_texts import calm_warnings
from releasekit.logging import is_json_log, is_verbose
from releasekit.options import (
    RUN_MODE,
    complete_packages,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.planning.model import Obstacle, Plan
    from releasekit.core.release.report import ReleaseReport


LOOK, RELEASE, SET_UP = (
    Group(title, sort_key=rank) for rank, title in enumerate(("Look", "Release", "Set up"))
)
"""The panels in which the help of the program shows the commands."""

Flatten = Parameter(name="*")
RunModeOption = Parameter(group=RUN_MODE)
Format = Annotated[Literal["table", "json"], RunModeOption]
TableFormat = Annotated[Literal["table", "json", "csv", "markdown"], RunModeOption]
PageFormat = Annotated[Literal["table", "json", "csv", "markdown", "html"], RunModeOption]
Packages = Annotated[str, Parameter(completer=complete_packages)]
Switch = Annotated[bool, Parameter(group=RUN_MODE)]
Yes = Annotated[bool, Parameter(alias="-y", group=RUN_MODE)]

DONE, FAILED, REFUSED = 0, 1, 2

log = logging.getLogger("releasekit")


def report_obstacles(obstacles: Sequence[Obstacle], command: str = "publish") -> int:
    """Print the *obstacles* because of which *command* would refuse; return the exit code for a read-only command."""
    from releasekit.cli.render import diagnostics

    diagnostics.print_obstacles(obstacles, f"{command} would refuse")
    return REFUSED if obstacles else DONE


def log_lost_remarks(output_format: str, plan: Plan) -> None:
    """Log the warnings of *plan*, and what its packages lose, if *output_format* has no place for them."""
    if output_format == "csv":
        losses = [str(difference) for difference in plan.differences if not difference.waived]
        log_warnings([*plan.warnings, *losses])


def log_lost_problems(output_format: str, report: ReleaseReport) -> None:
    """Log the problems in *report* that belong to no package, if *output_format* has no place for them."""
    if output_format == "csv":
        log_warnings(report.problems)


def log_warnings(warnings: Sequence[str]) -> None:
    """Log *warnings*, one a line; many that are similar are one line."""
    for warning in calm_warnings(warnings, verbose=is_verbose() or is_json_log()):
        log.warning("warning %s", warning)
