"""Tell many texts that differ in one word, such as the name of a package, as one text."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.picking import drop, group_by
from releasekit.core.text import summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_SIMILAR = 3
"""So many similar texts are told one by one."""

MAX_OF_A_KIND = 5
"""So many different texts with one code are told; of the others, only the number."""


@dataclass(frozen=True, slots=True)
class SimilarTexts:
    """The text at *position* of a list, which stands for *count* texts.

    The others are equal but for one word, and *words* are these. If they are not even similar, *is_rest* is true.
    """

    position: int
    count: int = 1
    words: tuple[str, ...] = ()
    is_rest: bool = False

    def extend(self, text: str) -> str:
        """Return the *text* at the position, with the remark about the others."""
        return f"{text}; {self.remark}" if self.remark else text

    @property
    def remark(self) -> str:
        """For which words the others say the same, or how many they are; empty if there are none."""
        if self.is_rest:
            return f"{self.count} more; `--verbose` shows all of them"
        if self.words:
            return f"the same for {summarize(self.words)}"
        return f"{self.count} times" if self.count > 1 else ""


def group_similar(texts: Sequence[str]) -> list[SimilarTexts]:
    """Return the groups of *texts* that differ in one word, the largest ones possible, in the order of the texts."""
    words_by_pattern: defaultdict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for position, text in enumerate(texts):
        for pattern, word in _patterns(text):
            words_by_pattern[pattern][position] = word
    grouped: set[int] = set()
    groups: list[SimilarTexts] = []
    for words_by_position in sorted(words_by_pattern.values(), key=len, reverse=True):
        rest = {
            position: word
            for position, word in words_by_position.items()
            if position not in grouped
        }
        if len(rest) > MAX_SIMILAR:
            groups.append(_group_of(rest))
            grouped |= rest.keys()
    groups += map(SimilarTexts, drop(range(len(texts)), grouped))
    return sorted(groups, key=lambda group: group.position)


def _group_of(words_by_position: dict[int, str]) -> SimilarTexts:
    _, *others = dict.fromkeys(words_by_position.values())
    return SimilarTexts(min(words_by_position), len(words_by_position), tuple(others))


_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-.][A-Za-z0-9]+)*")
_LOCATION = re.compile(r" \([^()/]*/[^()]*\)$")
_LONGEST_COMPARED = 600  # characters


def _patterns(text: str) -> Iterable[tuple[tuple[str, str], str]]:
    """Yield *text* without each of its words, and this word. Its location, which ends it, does not count.

    A word can be a part of others: "core" is a part of "core-1.2.tar.gz". Only the beginning of a long text is searched
    for words; its end is the second part of each pattern, and never copied.
    """
    plain = _LOCATION.sub("", text).replace("_", "-")
    start, end = plain[:_LONGEST_COMPARED], plain[_LONGEST_COMPARED:]
    for word in dict.fromkeys(_WORD.findall(start)):
        yield (_word_pattern(word).sub("\0", start), end), word


@lru_cache(maxsize=4096)
def _word_pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])")


def select_texts(
    texts: Sequence[str], codes: Sequence[str], *, verbose: bool = False
) -> list[SimilarTexts]:
    """Return which of *texts* are told: of many that are similar, the first one; all if *verbose*.

    *codes* has the code of each text. Of many with the same code that still differ, the first ones are told.
    """
    if verbose:
        return list(map(SimilarTexts, range(len(texts))))
    by_code = group_by(group_similar(texts), lambda group: codes[group.position])
    selected = chain.from_iterable(map(_first_groups, by_code.values()))
    return sorted(selected, key=lambda group: group.position)


def _first_groups(groups: Sequence[SimilarTexts]) -> list[SimilarTexts]:
    """Return the first *groups*, and one for all others."""
    others = groups[MAX_OF_A_KIND:]
    if len(others) <= 1:
        return list(groups)
    count = sum(group.count for group in others)
    return [*groups[:MAX_OF_A_KIND], SimilarTexts(others[0].position, count, is_rest=True)]


def calm_warnings(warnings: Sequence[str], *, verbose: bool = False) -> list[str]:
    """Return the lines that tell *warnings*, each "CODE: message"; all of them if *verbose*."""
    codes = [warning.partition(": ")[0] for warning in warnings]
    lines: list[str] = []
    for group in select_texts(warnings, codes, verbose=verbose):
        code, warning = codes[group.position], warnings[group.position]
        lines.append(f"{code}: {group.remark}" if group.is_rest else group.extend(warning))
    return lines


def calm_commands(commands: Sequence[str], *, verbose: bool = False) -> list[str]:
    """Return the lines that tell *commands*: of many that are similar, the first one with a comment."""
    kinds = [" ".join(command.split()[:_KIND_WORDS]) for command in commands]
    lines: list[str] = []
    for group in select_texts(commands, kinds, verbose=verbose):
        command = commands[group.position]
        if group.is_rest:
            lines.append(f"# {kinds[group.position]}: {group.remark}")
        elif command.startswith("#"):
            lines.append(group.extend(command))
        else:
            lines.append(f"{command}  # {group.remark}" if group.remark else command)
    return lines


_KIND_WORDS = 3  # such as "uv pip install"
