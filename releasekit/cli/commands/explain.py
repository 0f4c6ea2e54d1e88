"""`releasekit explain`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from releasekit.cli.command_types import DONE, LOOK
from releasekit.cli.help import examples
from releasekit.core.errors import ERRORS

command = App(
    name=("explain", "--explain"),
    group=LOOK,
    help_epilogue=examples(
        "releasekit explain RK-GRAPH-CYCLE",
        "releasekit explain graph-cycle",
    ),
)


def _complete_codes(_: object) -> dict[str, str]:
    return {code: entry.meaning for code, entry in ERRORS.items()}


@command.default
def explain_code(code: Annotated[str, Parameter(completer=_complete_codes)], /) -> int:
    """Explain an error code: what it means, its causes, an example and what to do.

    Parameters
    ----------
    code
        The code, such as RK-GRAPH-CYCLE; upper or lower case, with or without `RK-`.
    """
    from releasekit.cli.render.error_page import ErrorPageView
    from releasekit.cli.render.terminal import print_parts
    from releasekit.core.error_pages import find_page

    print_parts(ErrorPageView(find_page(code)))
    return DONE
