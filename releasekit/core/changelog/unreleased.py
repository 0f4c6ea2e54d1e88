"""Headings of changes that are not released yet, such as `## [Unreleased]` and `## 1.3.0 (unreleased)`."""

from __future__ import annotations

import re

_DATE = r"(?:\d{4}|\d\d[x?]{2}|y{4}|x{4}|\?{4})[-./](?:\d\d|mm|xx|\?\?)[-./](?:dd|xx|\?\?)"
_MARK = (
    r"(?:un-?released|not (?:yet )?released|to be (?:announced|decided|determined|released)|tb[acd]|upcoming|next"
    rf"|(?:under|in) development|(?:work )?in progress|wip|dev(?:elopment)?|{_DATE})"
)
"""What stands in place of a date in the heading of a version."""
_NAME = r"(?:un-?released|not (?:yet )?released|upcoming|next(?= (?:release|version)))(?: (?:changes|release|version))?"
"""What stands in place of a version."""
_AFTER_VERSION = re.compile(rf"(?:(?:version|release)\b)?\W*(?:{_MARK}(?!\w)\W*)+", re.IGNORECASE)
_INSTEAD_OF_VERSION = re.compile(
    rf"\W*{_NAME}(?!\w)\W*(?:(?:{_MARK}|v?\d[\w.+]*)(?!\w)\W*)*", re.IGNORECASE
)
_LINK_TARGET = re.compile(r"\]\([^)]*\)")
_LONGEST_TITLE = 300  # characters; no title that says this is longer
_SEPARATORS = re.compile(r"""[\s\[\](){},:;*`"']+""")


def is_unreleased_title(title: str, version: str) -> bool:
    """Return whether the heading *title* says that its section is not released.

    *version* is the version in it, as written; empty if it names none. A title with any other word is another heading.
    """
    text = _LINK_TARGET.sub("]", title[:_LONGEST_TITLE])
    if version:
        text = text.replace(version, " ", 1)
    words = _SEPARATORS.sub(" ", text).strip()
    pattern = _AFTER_VERSION if version else _INSTEAD_OF_VERSION
    return pattern.fullmatch(words) is not None
