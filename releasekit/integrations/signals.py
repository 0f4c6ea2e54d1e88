"""Signals that end the program: handle all of them as Ctrl-C, at once or after a block that must not be interrupted."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


def is_main_thread() -> bool:
    """Return whether this thread may set signal handlers: in Python, only the main thread may."""
    return threading.current_thread() is threading.main_thread()


def enable_interrupts() -> None:
    """React to Ctrl-C even if the parent process ignores it, as a shell's `&` and some CI runners do.

    Otherwise SIGTERM would be lost too, because it becomes a Ctrl-C.
    """
    if is_main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def handle_termination() -> None:
    """Treat SIGTERM as Ctrl-C from now on; also SIGHUP (the terminal closes), unless `nohup` makes us ignore it."""
    if is_main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _interrupt)


def _interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


@contextmanager
def termination_as_interrupt() -> Generator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C inside the block, so that each of them ends the program cleanly."""
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
    """Let Ctrl-C interrupt the block at once: an event loop would see it only after the command that blocks it."""
    if not is_main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def delay_interrupt() -> Generator[None]:
    """Hold back Ctrl-C until the end of the block. Processes that start in the block react to it at once.

    A process inherits the signals that `defer_signals` blocks, so that one is not for blocks that start processes.
    """
    if not is_main_thread():
        yield
        return
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if received:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def defer_signals() -> Generator[None]:
    """Delay signals that would end the program until the end of the block."""
    deferred = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, deferred)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
