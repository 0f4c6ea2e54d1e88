"""Print `--help`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.options import is_setting

if TYPE_CHECKING:
    from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions


class HelpFormatter:
    """Prints help as cyclopts does, and adds the keys of options that are also settings.

    For other switches that are off by default, `--no-…` and the default are left out.
    """

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a group of options or commands."""
        entries = [_format_entry(entry) for entry in panel.entries]
        self._formatter()(console, options, panel.copy(entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print the usage line."""
        self._formatter().render_usage(console, options, usage)

    def render_description(
        self, console: Console, options: ConsoleOptions, description: object
    ) -> None:
        """Print the description of the command."""
        self._formatter().render_description(console, options, description)

    @staticmethod
    def _formatter() -> DefaultFormatter:
        from cyclopts.help import DefaultFormatter

        return DefaultFormatter()


def _format_entry(entry: HelpEntry) -> HelpEntry:
    if entry.positional_label:
        return entry.copy(env_var=None)  # a positional argument has no variable
    name = next(iter(entry.positive_names), "")
    key = name.removeprefix("--").replace("-", "_")
    if name.startswith("--") and is_setting(key):  # a command can have the name of a key
        return entry.copy(default=f"{entry.default}, key: {key}")
    if entry.default == "True":
        return entry
    default = None if entry.default in _EMPTY_DEFAULTS else entry.default
    return entry.copy(negative_names=(), default=default)


_EMPTY_DEFAULTS = ("False", '""', "()", "None")
"""Defaults that are not worth showing."""


def examples(*lines: str) -> str:
    """Return the examples below a command's help, one a line."""
    return "\n".join(["Examples:", "", *(f"  {line}" for line in lines)])
