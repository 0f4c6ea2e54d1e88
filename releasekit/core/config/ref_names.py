"""Which names git accepts."""

from __future__ import annotations

import re

# What git refuses in the name of a reference below refs/tags/ (git-check-ref-format).
# A leading hyphen is refused by `git tag` only.
_REFUSED = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-./]|/\.|[./]$|\.lock(/|$)")


def is_tag_name(tag: str) -> bool:
    """Return whether git accepts *tag* as the name of a tag."""
    return bool(tag) and not _REFUSED.search(tag)
