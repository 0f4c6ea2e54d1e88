"""Signals that end us: one way to hear them, at once, in order, or after a block that must not be broken off."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


def is_main_thread() -> bool:
    """Tell whether this thread may decide about signals: Python lets only the main one."""
    return threading.current_thread() is threading.main_thread()


def enable_interrupts() -> None:
    """Hear Ctrl-C also where whoever started us had it ignored: a shell's `&`, some runners of CI.

    SIGTERM, which becomes a Ctrl-C, would else be lost there too.
    """
    if is_main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def handle_termination() -> None:
    """Take SIGTERM for a Ctrl-C from now on; and SIGHUP, of a closed terminal, unless `nohup` has it ignored."""
    if is_main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _interrupt)


def _interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


@contextmanager
def termination_as_interrupt() -> Generator[None]:
    """Take SIGTERM and SIGHUP inside the block for a Ctrl-C, so that one thing ends us, and in order."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    handle_termination()
    try:
        yield
    finally:
        if is_main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def immediate_interrupt() -> Generator[None]:
    """Let Ctrl-C be felt at once: a loop would hear of it only after the command that holds it up."""
    if not is_main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def defer_signals() -> Generator[None]:
    """Let signals that would end us wait for the end of the block."""
    deferred = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, deferred)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
