"""Writing versions into files, one line each, all else kept byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit

from tasks.core.errors import Code, ReleaseError

if TYPE_CHECKING:
    import re

    from packaging.version import Version


def write_version(pyproject: str, version: Version) -> str:
    """Return the text of *pyproject* with `project.version` set; comments and layout stay."""
    document: Any = tomlkit.parse(pyproject)
    document["project"]["version"] = str(version)
    return tomlkit.dumps(document)


def write_pattern(text: str, pattern: re.Pattern[str], version: Version, where: str) -> str:
    """Return *text* with the group `version` of *pattern* replaced.

    Raises ReleaseError RK-VERSION-UNKNOWN if the pattern is found nowhere, or more than once.
    """
    found = list(pattern.finditer(text))
    if len(found) != 1:
        raise ReleaseError(Code.VERSION_UNKNOWN, f"the version stands {len(found)} times, not once", where)
    start, end = found[0].span("version")
    return f"{text[:start]}{version}{text[end:]}"
