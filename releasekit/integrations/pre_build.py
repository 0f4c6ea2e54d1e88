"""The commands that a workspace wants to run before a package is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.config.command_lines import rooted_commands
from releasekit.integrations.process import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


def pre_build_commands(
    commands: Iterable[tuple[str, ...]],
    root: Path,
    package: Path,
    env: Mapping[str, str | None],
    timeout: float,
) -> Iterator[Command]:
    """Yield *commands* to run in the directory *package* of the workspace at *root*, each for *timeout* seconds."""
    for words in rooted_commands(commands, str(root.resolve())):
        yield Command(words, package, env, timeout, log_output=True)
