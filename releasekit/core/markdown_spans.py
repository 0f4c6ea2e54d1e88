"""Where code and comments are in a Markdown text; in linear time, because strangers write commits and READMEs."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# No backtick can follow the backticks of a fence.
FENCE = re.compile(r"[ \t]{0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,}).*")
_CLOSING_FENCE = re.compile(r"[ \t]{0,3}(?P<fence>`{3,}|~{3,})[ \t\r\n]*")
_TICKS = re.compile(r"`+")
_SPAN_START = re.compile(r"^(?P<fence>```|~~~)|(?P<comment><!--)|`[^`\n]*`", re.MULTILINE)


class ClosingLines:
    """The lines of a text that can close a code fence or a comment; each is found without reading all lines again."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._comment_ends = [index for index, line in enumerate(lines) if "-->" in line]
        self._fences: dict[str, list[tuple[int, int]]] = {"`": [], "~": []}
        for index, line in enumerate(lines):
            if match := _CLOSING_FENCE.fullmatch(line):
                fence = match["fence"]
                self._fences[fence[0]].append((index, len(fence)))
        self._longest_following = {
            kind: _longest_following(fences) for kind, fences in self._fences.items()
        }

    def fence_end(self, start: int) -> int | None:
        """Return the index of the line that closes the fence opened at *start*; None if there is no closed fence."""
        opening = FENCE.fullmatch(self._lines[start].rstrip("\r\n"))
        if opening is None:
            return None
        fence = opening["fence"]
        fences = self._fences[fence[0]]
        first = bisect_right(fences, (start, len(self._lines[start])))
        if first == len(fences) or self._longest_following[fence[0]][first] < len(fence):
            return None
        following = (fences[number] for number in range(first, len(fences)))
        return next(index for index, length in following if length >= len(fence))

    def comment_end(self, start: int) -> int | None:
        """Return the index of the line that ends the comment opened at *start*; None if no comment is closed."""
        if not opens_comment(self._lines[start]):
            return None
        position = bisect_left(self._comment_ends, start)
        return self._comment_ends[position] if position < len(self._comment_ends) else None


def opens_comment(line: str) -> bool:
    """Return whether *line* begins with a comment."""
    return re.match(r" {0,3}<!--", line) is not None


def _longest_following(fences: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each of *fences* the longest length from there on."""
    longest = 0
    lengths: list[int] = []
    for _, length in reversed(fences):
        longest = max(longest, length)
        lengths.append(longest)
    return lengths[::-1]


def code_spans(line: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each code span in *line*: backticks, text without `-->`, and as many backticks.

    Backticks without a counterpart count one by one, as when the first of them is escaped.
    """
    runs = [match.span() for match in _TICKS.finditer(line)]
    arrows = [match.start() for match in re.finditer("-->", line)]
    ends_by_length: dict[int, list[int]] = {}
    for begin, end in runs:
        ends_by_length.setdefault(end - begin, []).append(end)
    position = 0
    for begin, end in runs:
        if begin < position:
            continue  # it closes the last span
        for length in range(end - begin, 0, -1):
            ends = ends_by_length.get(length, [])
            following = bisect_right(ends, end)
            arrow = bisect_left(arrows, end)
            limit = arrows[arrow] if arrow < len(arrows) else len(line)
            if following < len(ends) and ends[following] - length <= limit:
                position = ends[following]
                yield end - length, position
                break


def without_code(text: str) -> str:
    """Return *text* with spaces in place of code and comments; its line breaks stay, so lines keep their numbers."""
    parts: list[str] = []
    unclosed: set[str] = set()
    position = 0
    while match := _SPAN_START.search(text, position):
        begin = match.start()
        end = (
            match.end()
            if match[0].startswith("`") and not match["fence"]
            else _span_end(text, match, unclosed)
        )
        parts += [text[position:begin], re.sub(r"[^\n]", " ", text[begin:end])]
        position = end
    return "".join(parts) + text[position:]


def _span_end(text: str, match: re.Match[str], unclosed: set[str]) -> int:
    """Return where the fence or comment that *match* opens ends; if it is not closed, the end of what opens it.

    *unclosed* notes what has no end in the rest of the text, so that it is not searched again.
    """
    closing = "-->" if match["comment"] else f"\n{match['fence']}"
    end = -1 if closing in unclosed else text.find(closing, match.end())
    if end < 0:
        unclosed.add(closing)
        return match.end()
    return end + len(closing)
