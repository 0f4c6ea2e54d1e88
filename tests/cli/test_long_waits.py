"""What is waited for is shown once it takes long."""

from __future__ import annotations

import io
import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from releasekit.cli.render import long_waits
from releasekit.cli.render.long_waits import WaitDisplay, show_long_waits
from releasekit.integrations.process import Command, run
from releasekit.integrations.waits import WAITS, Waits
from releasekit.logging import configure_logging

if TYPE_CHECKING:
    from collections.abc import Generator


SLEEP = (sys.executable, "-c", "import time; time.sleep(0.5)")


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@contextmanager
def impatient(*, is_terminal: bool = True) -> Generator[_Terminal]:
    """Yield a standard error where a wait counts as long after a moment."""
    terminal = _Terminal()
    logger = logging.getLogger("releasekit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_waits, "TERMINAL_PATIENCE", 0.1)
        patch.setattr(long_waits, "PIPE_PATIENCE", 0.1)
        patch.setenv("TERM", "xterm")
        patch.setattr(terminal, "isatty", lambda: is_terminal)
        patch.setattr(sys, "stderr", terminal)
        configure_logging(logging.INFO, "text")
        yield terminal
    logger.handlers[:] = [handler for handler in logger.handlers if handler.name != "releasekit"]


def test_terminal_shows_slow_command() -> None:
    """The line names the command, and is gone before anything else is written."""
    with impatient() as terminal, show_long_waits():
        run(Command(SLEEP))
        logging.getLogger("releasekit").info("next")

    shown = terminal.getvalue()
    assert "waiting for python" in shown
    assert shown.endswith("\r\x1b[2Knext\n")


def test_pipe_logs_wait_once() -> None:
    """Where nobody watches, a wait is one line."""
    with impatient(is_terminal=False) as pipe, show_long_waits():
        run(Command(SLEEP))

    assert pipe.getvalue().count("waiting for python") == 1
    assert "\x1b" not in pipe.getvalue()


def test_pipe_logs_many_requests_once() -> None:
    """Requests to one index that begin together and end one after the other are one line; a later one is another."""
    with impatient(is_terminal=False) as pipe, show_long_waits():
        requests = [WAITS.wait_for("the index") for _ in range(3)]
        for request in requests:
            request.__enter__()
        for request in requests:
            time.sleep(0.4)
            request.__exit__(None, None, None)
        assert pipe.getvalue().count("waiting for the index") == 1
        time.sleep(0.4)
        with WAITS.wait_for("the index"):
            time.sleep(0.4)

    assert pipe.getvalue().count("waiting for the index") == 2


@pytest.mark.parametrize(
    ("level", "log_format"), [(logging.WARNING, "text"), (logging.INFO, "json")]
)
def test_quiet_output_hides_waits(level: int, log_format: str) -> None:
    """With --quiet and with JSON lines nothing is shown."""
    with impatient() as terminal:
        configure_logging(level, log_format)
        with show_long_waits():
            run(Command(SLEEP))

    assert terminal.getvalue() == ""


def test_release_silences_long_waits() -> None:
    """During a release, its own table shows more; of nested waits the outer one counts."""
    waits, terminal = Waits(), _Terminal()
    display = WaitDisplay(waits, 0, terminal)
    with waits.wait_for("the index"), waits.wait_for("git fetch"):
        with waits.silence():
            display.update()
        assert terminal.getvalue() == ""
        display.update()

    assert "waiting for the index" in terminal.getvalue()
    assert WAITS.longest() is None


@pytest.mark.parametrize(
    ("argv", "title"),
    [
        (
            ("/bin/git", "-c", "a.b=c", "ls-remote", "--quiet", "origin", "x"),
            "git ls-remote origin",
        ),
        (("uv", "lock", "--check", "--python", "/usr/bin/python"), "uv lock"),
        (
            ("git", "fetch", "https://ada:secret@git.example/x"),
            "git fetch https://***@git.example/x",
        ),
    ],
)
def test_title_names_the_command(argv: tuple[str, ...], title: str) -> None:
    """A command is called by its program and first words, without options and secrets."""
    assert Command(argv).title == title
