"""The text of a uv.lock with other versions of the members of its workspace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version

LOCK_HINT = "Make `uv lock --check` succeed: a release runs it too."

# Packages of an index or of a repository have another `source`; a dynamic version is not in the file.
_MEMBER = re.compile(
    r'^(\[\[package\]\]\r?\nname = "([^"]+)"\r?\nversion = ")[^"]+'
    r'(?="\r?\nsource = \{ (?:editable|virtual|directory) = )',
    re.MULTILINE,
)


def lock_versions(text: str, versions: Mapping[str, Version]) -> str:
    """Return the *text* of a uv.lock with the *versions* of members, by normalised name; all else stays as it is."""

    def write_version(match: re.Match[str]) -> str:
        start, name = match.groups()
        return f"{start}{versions[name]}" if name in versions else match[0]

    return _MEMBER.sub(write_version, text)
