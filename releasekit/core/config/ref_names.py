"""Which names git accepts."""

from __future__ import annotations

import re

# What git refuses in a reference name (git-check-ref-format), for one below refs/tags/.
# Of its own, `git tag` refuses a leading hyphen besides.
_REFUSED = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-./]|/\.|[./]$|\.lock(/|$)")


def is_tag_name(tag: str) -> bool:
    """Tell whether git takes *tag* as the name of a tag."""
    return bool(tag) and not _REFUSED.search(tag)
