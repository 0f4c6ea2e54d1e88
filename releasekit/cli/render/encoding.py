"""Output on a terminal or into a file whose encoding lacks some of our characters."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
import unicodedata
from typing import TextIO

_HANDLER = "releasekit.plain"

_REPLACEMENTS = {
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{MIDDLE DOT}": ".",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-",
    "\N{BOX DRAWINGS LIGHT VERTICAL}": "|",
    "\N{BOX DRAWINGS HEAVY VERTICAL}": "|",
}


def adapt_streams() -> None:
    """Let standard output and standard error print every text, with replacements for what their encoding lacks.

    A standard stream that our parent has closed is opened and empty, because a program that we start gets it.
    """
    for number, (name, mode) in enumerate(_STREAM_MODES.items()):
        if getattr(sys, name) is None:
            setattr(sys, name, _open_null_device(number, mode))
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in {"strict", "surrogateescape"}:
            stream.reconfigure(errors=_HANDLER)


_STREAM_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}
"""The standard streams, in the order of their numbers."""


def _open_null_device(number: int, mode: str) -> TextIO:
    """Return the null device as a stream, under the file descriptor *number* if that is free."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    if descriptor != number and not _is_open(number):
        os.dup2(descriptor, number)
        os.close(descriptor)
        descriptor = number
    os.set_inheritable(descriptor, descriptor == number)
    return io.TextIOWrapper(
        io.FileIO(descriptor, mode, closefd=False), encoding="utf-8", write_through=True
    )


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks (an error handler, see `codecs.register_error`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(plain_text, missing)), error.end


def plain_text(character: str) -> str:
    """Return ASCII for one *character*: a letter without its accent, spaces as wide as a symbol, else `?`."""
    if character in _REPLACEMENTS:
        return _REPLACEMENTS[character]
    base = "".join(filter(str.isascii, unicodedata.normalize("NFKD", character)))
    if base:
        return base
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        return "+"
    if unicodedata.combining(character) or name.startswith("VARIATION SELECTOR"):
        return ""
    is_symbol = unicodedata.category(character).startswith("S")
    is_wide = unicodedata.east_asian_width(character) in {"W", "F"}
    replacement = " " if is_symbol else "?"
    return replacement * (1 + is_wide)


def ascii_json(text: str) -> str:
    r"""Return JSON *text* with each other character as `\uXXXX`: RFC 8259, section 7. Only strings have such ones."""
    return re.sub(r"[^\x00-\x7f]+", lambda match: _escape(match[0]), text)


def _escape(characters: str) -> str:
    units = characters.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def can_encode(text: str) -> bool:
    """Return whether standard output can print *text* as it is."""
    encoding = sys.stdout.encoding or "utf-8"  # a stream of text alone has none
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
