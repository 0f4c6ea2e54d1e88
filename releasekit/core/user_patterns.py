"""Regular expressions that people write into files of the workspace, searched within a limit of time.

Some patterns take hours on a short text, such as `(a+)+$` on 40 letters. `re` cannot be stopped; the package `regex`
reads the same syntax, and can.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regex import Match, Pattern

TIME_LIMIT = 2.0
"""Seconds for one search; a usual one takes some microseconds."""
MAX_COPIES = 1_000_000
"""How often `regex` may copy a part of a pattern: it writes `(a{100}){100}` out 10,000 times, which needs memory."""

_COUNTS = re.compile(r"\{(\d+)")


@dataclass(frozen=True, slots=True)
class UserPattern:
    """The regular expression *text*; *source* says where it is written. With *multiline*, `^` fits at each line.

    All methods raise Refusal RK-CONFIG-INVALID-VALUE if a search takes longer than TIME_LIMIT.
    """

    text: str
    source: str
    multiline: bool = False

    def search(self, text: str) -> Match[str] | None:
        """Return the first match anywhere in *text*."""
        return next(self.finditer(text), None)

    def match(self, text: str) -> Match[str] | None:
        """Return the match at the beginning of *text*."""
        pattern = self._pattern()
        try:
            return pattern.match(text, timeout=TIME_LIMIT)
        except TimeoutError:
            raise self._too_slow(text) from None

    def finditer(self, text: str) -> Iterator[Match[str]]:
        """Yield all matches in *text*."""
        pattern = self._pattern()
        try:
            yield from pattern.finditer(text, timeout=TIME_LIMIT)
        except TimeoutError:
            raise self._too_slow(text) from None

    def _pattern(self) -> Pattern[str]:
        if _copies(self.text) > MAX_COPIES:
            raise self._too_large()
        try:
            return _compile(self.text, multiline=self.multiline)
        except re.error as error:
            message = f"the pattern {self.text!r} is not a regular expression: {error}"
            raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, self.source) from None

    def _too_large(self) -> Refusal:
        message = f"the pattern {self.text!r} repeats more than {MAX_COPIES:,} times"
        hint = "Write smaller counts, or `+` and `*` instead of counts such as `{1000}`."
        return Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, self.source, hint)

    def _too_slow(self, text: str) -> Refusal:
        message = (
            f"the pattern {self.text!r} takes more than {TIME_LIMIT:g} s on {len(text)} characters"
        )
        hint = "Write it without a repetition inside a repetition, such as `(a+)+` or `(.*,)*`."
        return Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, self.source, hint)


def read_pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return the regular expression *text* to look at its groups; raises re.error for whatever is wrong with it."""
    try:
        return re.compile(text, flags)
    except (OverflowError, RecursionError, ValueError) as error:
        raise re.error(str(error)) from None


def _copies(pattern: str) -> int:
    """Return an upper bound of how often a part of *pattern* is copied, as if all its counts were nested."""
    copies = 1
    for digits in _COUNTS.findall(pattern):
        # A count of more than ten digits is too large anyway, and slow to read as a number.
        copies *= max(int(digits[:10]), 1)
        if copies > MAX_COPIES:
            break
    return copies


@lru_cache(maxsize=256)
def _compile(text: str, *, multiline: bool) -> Pattern[str]:
    import regex  # 15 ms, which few workspaces need

    flags = regex.MULTILINE if multiline else regex.V0
    try:
        return regex.compile(text, flags)
    except regex.error as error:
        raise re.error(str(error)) from None
