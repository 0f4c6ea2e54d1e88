"""Which packages may be built in an environment that other packages use too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement

from releasekit.core.workspace.dynamic_version import table_at, text_at, texts_in
from releasekit.core.workspace.workspace import requirement_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# Settings of uv that change an isolated build, or only the installation into an environment.
_OWN_RULES = (
    "build-constraint-dependencies",
    "config-settings",
    "config-settings-package",
    "constraint-dependencies",
    "extra-build-dependencies",
    "extra-build-variables",
    "no-build-isolation",
    "no-build-isolation-package",
    "override-dependencies",
)
_BUILT_BY_UV = "uv_build"
"""The backend that uv runs in its own process, without an environment."""


def shareable_requirements(
    document: Mapping[str, Any], of_root: Mapping[str, Any], build_needs: Sequence[str]
) -> tuple[str, ...]:
    """Return the build requirements of the package with this *document*; empty if it needs its own environment.

    It needs its own if it requires a sibling (*build_needs*) or a direct URL, if its backend is in its source tree, or
    if uv's settings in the document *of_root* treat an isolated build and an environment differently.
    """
    system = table_at(document, "build-system")
    backend = text_at(system, "build-backend")
    requirements = sorted(texts_in(system.get("requires", [])))
    rules = {**table_at(of_root, "tool", "uv"), **table_at(document, "tool", "uv")}
    has_own_rules = not rules.keys().isdisjoint(_OWN_RULES)
    has_own_backend = not backend or backend == _BUILT_BY_UV or "backend-path" in system
    if build_needs or has_own_rules or has_own_backend or any(map(_is_direct, requirements)):
        return ()
    return tuple(requirements)


def _is_direct(requirement: str) -> bool:
    """Return whether *requirement* names a place instead of versions; so does a text that nobody can parse."""
    try:
        return requirement_of(requirement).url is not None
    except InvalidRequirement:
        return True
