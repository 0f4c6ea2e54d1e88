"""How `--help` is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.options import is_setting

if TYPE_CHECKING:
    from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions


class HelpFormatter:
    """Help as cyclopts prints it, with the keys of those options that are settings.

    Of the others that are off by default, the opposite goes without saying.
    """

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a group of options or commands."""
        self._formatter()(console, options, panel.copy(entries=[_format_entry(entry) for entry in panel.entries]))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print the first line."""
        self._formatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """Print what the command is for."""
        self._formatter().render_description(console, options, description)

    @staticmethod
    def _formatter() -> DefaultFormatter:
        from cyclopts.help import DefaultFormatter

        return DefaultFormatter()


def _format_entry(entry: HelpEntry) -> HelpEntry:
    if entry.positional_label:
        return entry.copy(env_var=None)  # what stands by its place alone has no variable
    name = next(iter(entry.positive_names), "")
    key = name.removeprefix("--").replace("-", "_")
    if name.startswith("--") and is_setting(key):  # a command may be called as a key is
        return entry.copy(default=f"{entry.default}, key: {key}")
    if entry.default == "True":
        return entry
    return entry.copy(negative_names=(), default=None if entry.default in _EMPTY_DEFAULTS else entry.default)


_EMPTY_DEFAULTS = ("False", '""', "()", "None")
"""Defaults that say nothing."""


def examples(*lines: str) -> str:
    """Return what stands below a command's help."""
    return "\n".join(["Examples:", "", *(f"  {line}" for line in lines)])
