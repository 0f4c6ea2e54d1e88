"""The platforms on which wheels are built: their names, and what a name says about the tags of the wheels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, did_you_mean
from releasekit.core.picking import drop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

ALL = ("all",)
"""The names that stand for every platform, or every package."""


def is_all(names: Iterable[str]) -> bool:
    """Return whether *names* stand for all that there are."""
    return tuple(names) == ALL


def refuse_unknown_platforms(names: Collection[str], table: Collection[str], package: str) -> None:
    """Raise Refusal RK-CONFIG-INVALID-VALUE if the *package* in this directory names a platform outside *table*."""
    unknown = [] if is_all(names) else drop(names, table)
    if unknown:
        message = f"platforms: no platform is named {unknown[0]}{did_you_mean(unknown[0], table)}"
        hint = f"Add [tool.releasekit.platforms.{unknown[0]}] to the root, or correct the name."
        location = f"{package}/pyproject.toml, [tool.releasekit]"
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, location, hint)


_SYSTEMS: Mapping[str, str] = {
    "linux": "linux",
    "manylinux": "linux",
    "musllinux": "linux",
    "macos": "macos",
    "macosx": "macos",
    "darwin": "macos",
    "osx": "macos",
    "windows": "windows",
    "win": "windows",
    "win32": "windows",
    "android": "android",
    "ios": "ios",
    "pyodide": "wasm",
    "emscripten": "wasm",
}
_MACHINES: Mapping[str, str] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "x64": "x86_64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i686": "x86",
    "x86": "x86",
    "win32": "x86",
    "armv7l": "armv7l",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "wasm32": "wasm32",
}
UNIVERSAL_MACHINES: Mapping[str, tuple[str, ...]] = {
    "universal2": ("arm64", "x86_64"),
    "universal": ("x86_64",),
    "intel": ("x86_64",),
}
"""The machines behind the tags of macOS that stand for several."""


def system_and_machine(words: str) -> tuple[str, str]:
    """Return what the name of a platform, or a platform tag, says: "linux", "arm64". What it does not say is empty.

    "linux-x86_64" and "manylinux_2_17_x86_64" say the same; "gpu" says nothing.
    """
    text = words.lower().replace("-", "_")
    return _meaning_of(text, _SYSTEMS), _meaning_of(text, _MACHINES)


def _meaning_of(text: str, table: Mapping[str, str]) -> str:
    """Return what *table* says about the first of its words in *text*, the longest first: "x86_64" before "x86"."""
    by_length = sorted(table, key=len, reverse=True)
    words = (word for word in by_length if re.search(rf"(?:^|_){re.escape(word)}\d*(?:_|$)", text))
    return table.get(next(words, ""), "")


def fits_platform(tag: str, platform: str) -> bool:
    """Return whether a wheel with this platform *tag* may come from *platform*, as far as its name says something."""
    if tag == "any":
        return True
    system, machine = system_and_machine(platform)
    tag_system, tag_machine = system_and_machine(tag)
    tag_machines = UNIVERSAL_MACHINES.get(tag.rpartition("_")[2], (tag_machine,))
    fits_machine = any(_agree(machine, name) for name in tag_machines)
    return fits_machine and _agree(system, tag_system)


def _agree(one: str, other: str) -> bool:
    """Return whether two names may mean the same: they are equal, or one of them says nothing."""
    return "" in (one, other) or one == other
