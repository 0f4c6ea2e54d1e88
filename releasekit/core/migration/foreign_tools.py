"""The tools that `init --from` knows: which files they have, and who reads them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.migration import (
    bump_my_version,
    changesets_setup,
    commitizen_setup,
    release_please,
    semantic_release,
    semversioner_setup,
)
from releasekit.core.picking import true_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from releasekit.core.migration.foreign_setup import ForeignSetup, ForeignTool, Places

_READERS: Mapping[ForeignTool, Callable[[Mapping[str, str], Places], ForeignSetup]] = {
    "bump-my-version": bump_my_version.read_bump_my_version,
    "changesets": changesets_setup.read_changesets,
    "commitizen": commitizen_setup.read_commitizen,
    "python-semantic-release": semantic_release.read_semantic_release,
    "release-please": release_please.read_release_please,
    "semversioner": semversioner_setup.read_semversioner,
}

FILE_NAMES = tuple(
    dict.fromkeys(
        (
            *release_please.FILES,
            changesets_setup.CONFIG,
            changesets_setup.NEIGHBOUR,
            *commitizen_setup.NAMES,
            *bump_my_version.NAMES,
        )
    )
)
"""The files that a tool may have, relative to the workspace or to one of its packages."""


def detect_tools(texts: Mapping[str, str]) -> tuple[ForeignTool, ...]:
    """Return the tools that have a configuration among *texts*, which are by path. Broken files are not read."""
    signs: dict[ForeignTool, bool] = {
        "bump-my-version": _has_table(bump_my_version.bumpversion_tables, texts),
        "changesets": changesets_setup.CONFIG in texts,
        "commitizen": _has_table(commitizen_setup.commitizen_tables, texts),
        "python-semantic-release": _has_table(semantic_release.has_semantic_release, texts),
        "release-please": release_please.CONFIG in texts or release_please.MANIFEST in texts,
        "semversioner": any(
            PurePosixPath(path).parent.name == semversioner_setup.DIRECTORY for path in texts
        ),
    }
    return tuple(true_keys(signs))


def _has_table(read: Callable[[Mapping[str, str]], object], texts: Mapping[str, str]) -> bool:
    try:
        return bool(read(texts))
    except Refusal:
        return False


def read_foreign(tool: ForeignTool, texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the configuration of *tool* in *texts*, by path, says about the packages at *places*.

    Raises Refusal RK-CONFIG-FOREIGN if it is broken, or if there is none.
    """
    setup = _READERS[tool](texts, places)
    tools = detect_tools(texts)
    if tool not in tools:
        others = ", ".join(tools)
        hint = (
            f"Pass `--from` with one of: {others}."
            if others
            else "Run `releasekit init` without `--from`."
        )
        raise Refusal(ErrorCode.CONFIG_FOREIGN, f"there is no configuration of {tool}", hint=hint)
    return setup
