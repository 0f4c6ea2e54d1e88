"""On which line of a TOML file something stands; parsers tell values, and no lines."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADER = re.compile(r"\s*(\[\[?.*\]\]?)\s*(?:#.*)?$")
_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")


class _Span(NamedTuple):
    """A table's heading or a key with its value: its path, and the lines that it takes, from 0."""

    path: tuple[str, ...]
    first: int
    last: int


def line_of(text: str, path: Sequence[str], item: str = "") -> int:
    """Return the line (from 1) on which the key *path* stands in the TOML *text*, or the *item* in its array.

    For what is not there it is the line of the nearest table around it; 1 if there is none.
    """
    spans = _spans(text)
    for length in range(len(path), 0, -1):
        found = next((span for span in spans if span.path == tuple(path[:length])), None)
        if found is not None:
            return _of_item(text, found, item) + 1 if item else found.first + 1
        beneath = next((span for span in spans if span.path[:length] == tuple(path[:length])), None)
        if beneath is not None:  # a table that has no heading of its own
            return beneath.first + 1
    return 1


def _of_item(text: str, span: _Span, item: str) -> int:
    lines = text.splitlines()
    written = (item, item.replace("\\", "\\\\").replace('"', '\\"'))
    wanted = [f"{quote}{form}{quote}" for form in written for quote in "\"'"]
    there = (n for n in range(span.first, span.last + 1) if any(each in lines[n] for each in wanted))
    return next(there, span.first)


@lru_cache(maxsize=512)
def _spans(text: str) -> tuple[_Span, ...]:
    return tuple(_read(text.splitlines()))


def _read(lines: Sequence[str]) -> Iterator[_Span]:
    table: tuple[str, ...] = ()
    number = 0
    while number < len(lines):
        line, last = lines[number], number
        if header := _HEADER.match(line):
            table = _path(header[1]) or table
            yield _Span(table, number, number)
        elif key := _KEY.match(line):
            while last + 1 < len(lines) and not _is_whole("\n".join(lines[number : last + 1])):
                last += 1
            yield _Span((*table, *_path(f"{key[1]} = 0")), number, last)
        number = last + 1


def _path(toml: str) -> tuple[str, ...]:
    """Return the path of the one key that *toml* is about."""
    try:
        value: Any = tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while value and isinstance(value, (dict, list)):
        if isinstance(value, list):
            value = cast("list[Any]", value)[0]
            continue
        key, value = next(iter(cast("dict[str, Any]", value).items()))
        path.append(key)
    return tuple(path)


def _is_whole(toml: str) -> bool:
    try:
        tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        return False
    return True
