"""`releasekit server`."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from releasekit.cli.command_types import DONE, FAILED, SET_UP
from releasekit.cli.help import examples
from releasekit.options import (
    HERE,
    PORT,
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
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535), group=HERE)] = PORT,
) -> int:
    """Keep a Prefect server on this machine: releases and plans are then recorded there, with pages to look at.

    Parameters
    ----------
    action
        `start`; `status`, with exit code 1 if there is none; or `stop`.
    port
        Where it listens.
    """
    from releasekit.cli.render import terminal
    from releasekit.integrations.prefect_server import configured_api, kept_server, start_server, stop_server
    from releasekit.integrations.process import mask

    if action == "stop":
        stopped = stop_server()
        log.info("%s", f"stopped {stopped.page}" if stopped else "no server is running")
        return DONE
    kept = start_server(port) if action == "start" else kept_server()
    if not kept:
        log.info("no server is running")
        return FAILED
    kept.wait()
    terminal.answer(kept.page)
    if other := configured_api():
        log.warning("PREFECT_API_URL or the active profile names %s, and that is used instead", mask(other))
    elif action == "start":
        log.info("releasekit finds it by itself; for `prefect`: export PREFECT_API_URL=%s", kept.url)
    return DONE
