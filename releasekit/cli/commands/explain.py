"""`releasekit explain`."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from releasekit.cli.command_types import DONE, LOOK
from releasekit.cli.help import examples
from releasekit.core.errors import ERRORS, explain

command = App(
    name=("explain", "--explain"),
    group=LOOK,
    help_epilogue=examples(
        "releasekit explain RK-GRAPH-CYCLE",
    ),
)


def _complete_codes(_: object) -> dict[str, str]:
    return {code: entry.meaning for code, entry in ERRORS.items()}


@command.default
def explain_code(code: Annotated[str, Parameter(completer=_complete_codes)], /) -> int:
    """Explain an error code, such as RK-GRAPH-CYCLE."""
    sys.stdout.write(explain(code))
    return DONE
