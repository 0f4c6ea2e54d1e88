"""Our log lines, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def configure_logging(level: int, log_format: str) -> None:
    """Send our log lines to standard error, as text or as one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("releasekit")
    if level > logging.DEBUG:  # what a step's own run shows in Prefect would tear the terminal's tables
        handler.addFilter(lambda record: record.name != "releasekit.detail")
    handler.setFormatter(_JsonFormatter() if log_format == "json" else logging.Formatter("%(message)s"))
    logger = logging.getLogger("releasekit")
    # Those of others stay: Prefect's takes our lines into the flow run.
    logger.handlers[:] = [handler, *(other for other in logger.handlers if other.name != handler.name)]
    logger.setLevel(level)
    logger.propagate = False


def is_json_log() -> bool:
    """Tell whether log lines are JSON objects: then nothing else may go to standard error."""
    return any(isinstance(handler.formatter, _JsonFormatter) for handler in logging.getLogger("releasekit").handlers)


def ensure_log_level() -> None:
    """Let our lines into a run that Prefect has started by itself: it takes them, but nobody has set their level."""
    logger = logging.getLogger("releasekit")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class _JsonFormatter(logging.Formatter):
    """One object a line; what a record carries in `extra` becomes fields."""

    _STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        from releasekit.integrations.process import mask

        extra: Mapping[str, Any] = {k: v for k, v in vars(record).items() if k not in self._STANDARD_FIELDS}
        fields = {name: mask(value) if isinstance(value, str) else value for name, value in extra.items()}
        head = {"time": record.created, "level": record.levelname.lower(), "logger": record.name}
        return json.dumps({**head, "message": mask(record.getMessage()), **fields}, default=str)
