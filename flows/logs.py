"""Our log lines, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from tasks.adapters.process import mask

if TYPE_CHECKING:
    from collections.abc import Mapping


def start_logging(level: int, form: str) -> None:
    """Send our log lines to standard error, as text or as one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("releasekit")
    handler.setFormatter(_JsonLines() if form == "json" else logging.Formatter("%(message)s"))
    logger = logging.getLogger("releasekit")
    # Those of others stay: Prefect's takes our lines into the flow run.
    logger.handlers[:] = [handler, *(other for other in logger.handlers if other.name != handler.name)]
    logger.setLevel(level)
    logger.propagate = False


def let_through() -> None:
    """Let our lines into a run that Prefect has started by itself: it takes them, but nobody has set their level."""
    logger = logging.getLogger("releasekit")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class _JsonLines(logging.Formatter):
    """One object a line; what a record carries in `extra` becomes fields."""

    _PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        fields: Mapping[str, Any] = {k: v for k, v in vars(record).items() if k not in self._PLAIN}
        head = {"time": record.created, "level": record.levelname.lower(), "logger": record.name}
        return json.dumps({**head, "message": mask(record.getMessage()), **fields}, default=str)
