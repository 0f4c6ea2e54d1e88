"""Write names and numbers into a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Sized
    from datetime import datetime


def count_packages(packages: Sized) -> str:
    """Return how many *packages* there are: "1 package", "3 packages"."""
    return count_as("package", packages)


def count_as(noun: str, things: Sized) -> str:
    """Return how many *things* there are, as a number with this *noun*: "1 tag", "3 tags"."""
    number = len(things)
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def list_names(names: Iterable[str], empty: str = "none") -> str:
    """Return *names* separated by commas; the text *empty* if there are none."""
    return ", ".join(names) or empty


def join_texts(separator: str, *texts: object) -> str:
    """Return those of *texts* that are not empty, with *separator* between them."""
    return separator.join(str(text) for text in texts if text)


def join_lines(lines: Iterable[object]) -> str:
    """Return *lines* as a text; each of them ends with a newline."""
    return "".join(f"{line}\n" for line in lines)


_MAX_NAMES = 3


def summarize(names: Sequence[str], limit: int = _MAX_NAMES) -> str:
    """Return the first *limit* of *names*, and how many more there are: "core, web, api and 4 more"."""
    listed = ", ".join(names[:limit])
    more = len(names) - limit
    return f"{listed} and {more} more" if more > 0 else listed


def minute_text(when: datetime) -> str:
    """Return *when*, a time in UTC, to the minute."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


_CAUSE_MARK = re.compile(r"^(?:error|cause): |^[├╰]─▶ ")


def summarize_causes(output: str) -> str:
    """Return in one line what failed in the *output* of uv: what it wanted to do, and the first and the last cause.

    uv lists the causes of an error, each on its line, after its warnings.
    """
    told = re.split(r"^(?=error: )", output.strip(), maxsplit=1, flags=re.MULTILINE)[-1]
    lines = [_CAUSE_MARK.sub("", line.strip()) for line in told.splitlines()]
    return ": ".join(dict.fromkeys((*lines[:2], *lines[-1:])))
