"""The log lines of releasekit, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any


def configure_logging(level: int, log_format: str) -> None:
    """Send log lines to standard error: *log_format* "text" or "json", one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("releasekit")
    # These lines are for the task's run in Prefect; on a terminal they would break the tables.
    if level > logging.DEBUG:
        handler.addFilter(lambda record: record.name != "releasekit.detail")
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    memory = _WarningMemory()
    memory.set_name("releasekit.warnings")
    logger = logging.getLogger("releasekit")
    # Handlers of others stay: Prefect's handler copies our lines into the flow run.
    ours = {handler.name, memory.name}
    others = [other for other in logger.handlers if other.name not in ours]
    logger.handlers[:] = [handler, memory, *others]
    logger.setLevel(level)
    logger.propagate = False


def logged_warnings() -> tuple[str, ...]:
    """Return the warnings that this command has logged so far, without the word "warning"; secrets are masked."""
    handlers = logging.getLogger("releasekit").handlers
    memories = [handler for handler in handlers if isinstance(handler, _WarningMemory)]
    return tuple(dict.fromkeys(text for memory in memories for text in memory.texts))


def is_json_log() -> bool:
    """Return whether log lines are JSON objects. Then standard error contains nothing else."""
    handlers = logging.getLogger("releasekit").handlers
    return any(isinstance(handler.formatter, _JsonFormatter) for handler in handlers)


def is_verbose() -> bool:
    """Return whether `--verbose` asks for everything, so that nothing is summarized."""
    return logging.getLogger("releasekit").isEnabledFor(logging.DEBUG)


def ensure_log_level() -> None:
    """Set the log level in a run that Prefect started by itself: no command line has set it there."""
    logger = logging.getLogger("releasekit")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class _WarningMemory(logging.Handler):
    """Keeps the texts of warnings, for the JSON that a command prints at its end."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning; an error ends the command, and is not one of them."""
        from releasekit.integrations.process import mask

        if record.levelno == logging.WARNING:
            self.texts.append(mask(record.getMessage()).removeprefix("warning "))


class _TextFormatter(logging.Formatter):
    """Formats a record as its message. The first warning with a code is followed by the next step."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings: list[str] = []

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        text = super().format(record)
        prefix, _, warning = record.getMessage().partition(" ")
        if prefix != "warning":
            return text
        from releasekit.core.errors import warning_hints

        self._warnings.append(warning)
        hint = warning_hints(self._warnings)[-1]
        return f"{text}\n  = help: {hint}" if hint else text


class _JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object a line; the keys of `extra` become fields."""

    _STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {
        "message",
        "asctime",
        "taskName",
    }

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        from releasekit.integrations.process import mask

        fields: dict[str, Any] = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in self._STANDARD_FIELDS:
                fields[name] = mask(value) if isinstance(value, str) else value
        return json.dumps(fields, default=str)
