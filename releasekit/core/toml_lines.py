"""Find the line of a key or a value in a TOML file; parsers return values, but no lines."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate
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
    index = _index_spans(text)
    for length in range(len(path), 0, -1):
        parent = tuple(path[:length])
        exact = index.exact.get(parent)
        if exact:
            line = _item_line(text, exact, item) if item else exact.first
            return line + 1
        if parent in index.below:  # a table without a header
            return index.below[parent].first + 1
    return 1


def excerpt_of(
    text: str, file: str, path: Sequence[str], item: str = "", *, of_key: bool = False
) -> Excerpt:
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
    for number, line in enumerate(_lines_of(text), 1):
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
    lines = _lines_of(text)
    return lines[number - 1] if number <= len(lines) else ""


_POSITION = re.compile(r"\bline (\d+),? column (\d+)")


_LONGEST_LINE = 5_000
"""The characters of the longest line in which a key is marked."""


def _value_span(line: str, key: str, item: str, *, of_key: bool) -> tuple[int, int]:
    """Return column and length of the marked part of *line*; see `excerpt_of`."""
    if item:
        column, length = _find_quoted(line, item)
        if length:
            return column, length
    match = _KEY.match(line) if len(line) <= _LONGEST_LINE else None
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
    token = next(
        (token for token in _TOKEN.finditer(line, start) if token[0].startswith("#")), None
    )
    return line[start : token.start()] if token else line[start:]


def _inline_key_pattern(key: str) -> re.Pattern[str]:
    """Return a pattern that finds *key* and its value in an inline table."""
    return re.compile(
        rf"""({re.escape(key)})["']?\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|[^\s,}}]+)"""
    )


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
    numbers_by_text = _lines_of_texts(text)
    numbers: list[int] = []
    for form in _quoted_forms(item):
        candidates = numbers_by_text.get(form, [])
        numbers += candidates[bisect_left(candidates, span.first) :][:1]
    nearest = min(numbers, default=span.first)
    return nearest if nearest <= span.last else span.first


class _SpanIndex(NamedTuple):
    """The spans of a text by their path, and the first span below each path."""

    exact: dict[tuple[str, ...], _Span]
    below: dict[tuple[str, ...], _Span]


_DEEPEST_PATH = 12
"""The longest path that is looked for."""


# A file has thousands of lines at times, and `check` asks for the line of each problem. So a text is read once.
@lru_cache(maxsize=64)
def _index_spans(text: str) -> _SpanIndex:
    index = _SpanIndex({}, {})
    for span in _scan_lines(_lines_of(text)):
        index.exact.setdefault(span.path, span)
        for length in range(1, min(len(span.path), _DEEPEST_PATH) + 1):
            index.below.setdefault(span.path[:length], span)
    return index


@lru_cache(maxsize=64)
def _lines_of(text: str) -> tuple[str, ...]:
    """Return the lines of *text* as parsers of TOML count them."""
    return tuple(text.replace("\r\n", "\n").split("\n"))


@lru_cache(maxsize=64)
def _lines_of_texts(text: str) -> dict[str, list[int]]:
    """Return the numbers of the lines, from 0, on which each quoted text in *text* begins; with its quotes."""
    numbers: dict[str, list[int]] = {}
    number, position = 0, 0
    plain_text = "\n".join(_lines_of(text))
    for token in _TOKEN.finditer(plain_text):
        number += plain_text.count("\n", position, token.start())
        position = token.start()
        if token[0][0] in "\"'":
            numbers.setdefault(token[0], []).append(number)
    return numbers


def _scan_lines(lines: Sequence[str]) -> Iterator[_Span]:
    text = "\n".join(lines)
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    table: tuple[str, ...] = ()
    number = 0
    while number < len(lines):
        line = lines[number]
        last = number
        if header := _HEADER.match(line):
            table = _key_path(header[1]) or table
            yield _Span(table, number, number)
        elif key := _KEY.match(line):
            end = _value_end(text, starts[number] + key.end())
            last = bisect_right(starts, end) - 1
            yield _Span((*table, *_key_path(f"{key[1]} = 0")), number, last)
        number = last + 1


# A text in quotes, a comment, a bracket, or the end of a line: all that decides where a value ends. A text without an
# end is one, too: otherwise each quote in it would be tried as its start.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?(?:"{3,5}|\Z)|' + r"'''.*?(?:'{3,5}|\Z)|"
    r'"(?:[^"\\\n]|\\[^\n])*"?|' + r"'[^'\n]*'?|#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


def _value_end(text: str, start: int) -> int:
    """Return the position of the last character of the value that begins at *start*, or of the end of its line."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if token[0] == "\n" and depth <= 0:
            return token.start()
    return len(text)


@lru_cache(maxsize=1024)  # the files of a workspace have the same keys
def _key_path(toml: str) -> tuple[str, ...]:
    """Return the path of the only key in *toml*."""
    try:
        value: Any = tomllib.loads(toml)
    except (tomllib.TOMLDecodeError, RecursionError):
        return ()
    path: list[str] = []
    while value and isinstance(value, (dict, list)):
        if isinstance(value, list):
            value = cast("list[Any]", value)[0]
            continue
        key, value = next(iter(cast("dict[str, Any]", value).items()))
        path.append(key)
    return tuple(path)
