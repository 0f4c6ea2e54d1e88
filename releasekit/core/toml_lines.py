"""Find the line of a key or a value in a TOML file; parsers return values, but no lines."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from releasekit.core.errors import Excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADER = re.compile(r"\s*(\[\[?.*\]\]?)\s*(?:#.*)?$")
_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")


class _Span(NamedTuple):
    """The header of a table, or a key with its value: its path, and its first and last line, from 0."""

    path: tuple[str, ...]
    first: int
    last: int


def line_of(text: str, path: Sequence[str], item: str = "") -> int:
    """Return the line (from 1) of the key *path* in the TOML *text*, or of the *item* in its array.

    If the key is missing, return the line of the nearest table around it, or 1 if there is none.
    """
    spans = _spans(text)
    for length in range(len(path), 0, -1):
        parent = tuple(path[:length])
        matching = [span for span in spans if span.path[:length] == parent]
        exact = next((span for span in matching if span.path == parent), None)
        if exact:
            line = _item_line(text, exact, item) if item else exact.first
            return line + 1
        if matching:  # a table without a header
            return matching[0].first + 1
    return 1


def excerpt_of(text: str, file: str, path: Sequence[str], item: str = "", *, of_key: bool = False) -> Excerpt:
    """Return the line of the TOML *text* on which `line_of` finds *path* and *item*, with the marked part of the line.

    The marked part is the item; without one, it is the value, or with *of_key* the key. For a table it is the header.
    *file* is the name of the file.
    """
    number = line_of(text, path, item)
    line = _line_at(text, number)
    key = path[-1] if path else ""
    column, length = _value_span(line, key, item, of_key=of_key)
    return Excerpt(file, number, line, column, length)


def locate_excerpt(excerpt: Excerpt, text: str) -> Excerpt | None:
    """Return *excerpt*, which only has its text, with the position in *text*; None if *text* does not contain it."""
    for number, line in enumerate(text.splitlines(), 1):
        column, length = _find_quoted(line, excerpt.text)
        if length:
            return Excerpt(excerpt.file, number, line, column, length)
    return None


def parse_error_excerpt(message: str, file: str, text: str) -> Excerpt | None:
    """Return the position in the TOML *text* that the parser error *message* names; None if it names none."""
    match = _POSITION.search(message)
    if not match:
        return None
    number, column = int(match[1]), int(match[2])
    line = _line_at(text, number)
    return Excerpt(file, number, line, min(column - 1, len(line)), 1)


def _line_at(text: str, number: int) -> str:
    """Return the line *number*, from 1, of *text*; empty after the last one."""
    lines = text.splitlines()
    return lines[number - 1] if number <= len(lines) else ""


_POSITION = re.compile(r"\bline (\d+),? column (\d+)")


def _value_span(line: str, key: str, item: str, *, of_key: bool) -> tuple[int, int]:
    """Return column and length of the marked part of *line*; see `excerpt_of`."""
    if item:
        column, length = _find_quoted(line, item)
        if length:
            return column, length
    match = _KEY.match(line)
    if not match:
        return _stripped_span(line)
    group = 1 if of_key else 2
    is_inline = key != _key_path(f"{match[1]} = 0")[-1:][0]
    inner = _inline_key_pattern(key).search(line, match.end()) if is_inline else None
    if inner:
        return inner.start(group), len(inner[group])
    if of_key and key:
        column = line.rfind(key, 0, match.end(1))
        return (column, len(key)) if column >= 0 else _stripped_span(line)
    value = _without_comment(line, match.end())
    start = match.end() + len(value) - len(value.lstrip())
    return start, len(value.strip())


def _without_comment(line: str, start: int) -> str:
    """Return the value that begins at the column *start* of *line*, without a comment behind it."""
    value = line[start:]
    if not _is_complete(line):
        return value  # the value continues on the next lines
    shorter = value.rpartition("#")[0]
    while "#" in value and _is_complete(line[:start] + shorter):
        value = shorter
        shorter = value.rpartition("#")[0]
    return value


def _inline_key_pattern(key: str) -> re.Pattern[str]:
    """Return a pattern that finds *key* and its value in an inline table."""
    return re.compile(rf"""({re.escape(key)})["']?\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|[^\s,}}]+)""")


def _stripped_span(line: str) -> tuple[int, int]:
    return len(line) - len(line.lstrip()), len(line.strip())


def _find_quoted(line: str, item: str) -> tuple[int, int]:
    """Return column and length of *item* in quotes; the length is 0 if the line does not contain it."""
    quoted = _first_form_in(line, _quoted_forms(item))
    return line.find(quoted), len(quoted)


def _first_form_in(line: str, forms: Sequence[str]) -> str:
    """Return the first of the quoted *forms* that *line* contains; empty if it contains none."""
    return next(filter(line.__contains__, forms), "")


def _quoted_forms(item: str) -> list[str]:
    """Return the ways in which TOML writes the text *item* in quotes."""
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{item}"', f"'{item}'", f'"{escaped}"', f"'{escaped}'"]


def _item_line(text: str, span: _Span, item: str) -> int:
    """Return the line in *span* that has *item* in quotes; the first line of *span* if there is none."""
    lines = text.splitlines()[span.first : span.last + 1]
    forms = _quoted_forms(item)
    numbers = (number for number, line in enumerate(lines, span.first) if _first_form_in(line, forms))
    return next(numbers, span.first)


@lru_cache(maxsize=512)
def _spans(text: str) -> tuple[_Span, ...]:
    return tuple(_scan_lines(text.splitlines()))


def _scan_lines(lines: Sequence[str]) -> Iterator[_Span]:
    table: tuple[str, ...] = ()
    number = 0
    while number < len(lines):
        line = lines[number]
        last = number
        if header := _HEADER.match(line):
            table = _key_path(header[1]) or table
            yield _Span(table, number, number)
        elif key := _KEY.match(line):
            last = _last_line(lines, number)
            yield _Span((*table, *_key_path(f"{key[1]} = 0")), number, last)
        number = last + 1


def _last_line(lines: Sequence[str], first: int) -> int:
    """Return the last line of the value that begins on the line *first*."""
    last = first
    while last + 1 < len(lines):
        if _is_complete("\n".join(lines[first : last + 1])):
            break
        last += 1
    return last


def _key_path(toml: str) -> tuple[str, ...]:
    """Return the path of the only key in *toml*."""
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


def _is_complete(toml: str) -> bool:
    try:
        tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        return False
    return True
