"""Graphviz, which draws better graphs than releasekit, if it is installed."""

from __future__ import annotations

import logging
from shutil import which

from releasekit.core.errors import ReleaseError
from releasekit.integrations.process import Command, run

log = logging.getLogger("releasekit.graphviz")


def render_svg(dot: str) -> str:
    """Return the graph *dot* (in Graphviz's language) as SVG; empty if Graphviz is missing or fails."""
    program = which("dot")
    if program is None:
        return ""
    try:
        return run(Command((program, "-Tsvg"), stdin=dot.encode(), timeout=60)).stdout
    except ReleaseError as error:
        log.warning("Graphviz failed, so the graph has a simpler layout: %s", error)
        return ""
