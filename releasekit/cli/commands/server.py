"""`releasekit server`."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from releasekit.cli.command_types import DONE, FAILED, SET_UP
from releasekit.cli.help import examples
from releasekit.options import (
    DEFAULT_PORT,
    RUN_MODE,
)

log = logging.getLogger("releasekit")

command = App(
    name="server",
    group=SET_UP,
    help_epilogue=examples(
        "releasekit server start",
        "releasekit server status --port 4201",
    ),
)


@command.default
def server(
    action: Literal["start", "status", "stop"],
    /,
    *,
    port: Annotated[
        int, Parameter(validator=Number(gte=1, lte=65535), group=RUN_MODE)
    ] = DEFAULT_PORT,
) -> int:
    """Run a local Prefect server with its web UI. It records releases and plans.

    Parameters
    ----------
    action
        `start`; `status`, with exit code 1 if no server runs; or `stop`.
    port
        The port that it listens on.
    """
    from releasekit.cli.render import terminal
    from releasekit.integrations.prefect_server import (
        configured_api,
        running_server,
        start_server,
        stop_server,
    )
    from releasekit.integrations.process import mask

    if action == "stop":
        stopped = stop_server()
        message = f"stopped {stopped.ui_url}" if stopped else "no server is running"
        log.info("%s", message)
        return DONE
    current = start_server(port) if action == "start" else running_server()
    if not current:
        log.info("no server is running")
        return FAILED
    current.wait()
    terminal.write_stdout(current.ui_url)
    if other := configured_api():
        log.warning(
            "PREFECT_API_URL or the active profile names %s; that server is used instead",
            mask(other),
        )
    elif action == "start":
        log.info(
            "releasekit finds this server by itself; for `prefect`, run: export PREFECT_API_URL=%s",
            current.url,
        )
    return DONE
