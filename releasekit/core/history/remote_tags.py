"""Tags that the remote has and this clone lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version

    from releasekit.core.history.tags import TagSchemes


def later_releases(
    tags: Mapping[str, str], schemes: TagSchemes, last: Mapping[str, Version | None]
) -> dict[str, str]:
    """Return those of *tags* (name to commit) that may be later releases of packages than their *last* ones.

    *last* has the version of each package, None for a package without an earlier release. The same version counts
    too, because this clone knows it without its tag, from the index.
    """

    def is_later(name: str, version: Version) -> bool:
        known = [last[name]] if name in last else []
        candidates = known if name else last.values()
        return any(earlier is None or version >= earlier for earlier in candidates)

    return {
        tag: commit
        for tag, commit in tags.items()
        if any(is_later(name, version) for name, version in schemes.readings(tag))
    }
