"""Our log lines in the log of a run."""

from __future__ import annotations

import logging

from prefect.logging.handlers import APILogHandler

from releasekit.logging import ensure_log_level
from tasks.decorators import in_flow


def send_logs_to_prefect() -> None:
    """Send our log lines to the run, even if something else started Prefect, such as a worker."""
    if not in_flow():
        return
    ours = logging.getLogger("releasekit")
    # Adding it twice changes nothing.
    logging.getLogger("prefect.task_runs").addFilter(_is_no_thread_warning)
    sends_already = any(isinstance(handler, APILogHandler) for handler in ours.handlers)
    if not sends_already:
        ours.addHandler(APILogHandler())
    ensure_log_level()


def _is_no_thread_warning(record: logging.LogRecord) -> bool:
    """Return whether *record* is not Prefect's warning in each step that runs in a thread: commands have own limits."""
    return not str(record.msg).startswith("Timeout of %s seconds configured for this task")
