"""Graphviz, which draws better than we do, where it is installed."""

from __future__ import annotations

import logging
from shutil import which

from releasekit.core.errors import ReleaseError
from releasekit.integrations.process import Command, run

log = logging.getLogger("releasekit.graphviz")


def render_svg(dot: str) -> str:
    """Return the picture of a graph in Graphviz' language; nothing where there is no Graphviz, or it cannot."""
    program = which("dot")
    if program is None:
        return ""
    try:
        return run(Command((program, "-Tsvg"), stdin=dot.encode(), timeout=60)).stdout
    except ReleaseError as error:
        log.warning("Graphviz did not draw it, so it is drawn more plainly: %s", error)
        return ""
