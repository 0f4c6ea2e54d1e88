"""Entry points: the lines of entry_points.txt in a wheel."""

from __future__ import annotations

from configparser import ConfigParser, Error
from typing import NamedTuple

SCRIPT_GROUPS = ("console_scripts", "gui_scripts")
"""The groups whose entry points become commands."""


class EntryPoint(NamedTuple):
    """One line of entry_points.txt: its group, its name, and what it refers to."""

    group: str
    name: str
    value: str

    @property
    def is_script(self) -> bool:
        """Whether installers make a command of it."""
        return self.group in SCRIPT_GROUPS


class _CaseSensitiveParser(ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


def parse_entry_points(text: str, *, strict: bool = True) -> list[EntryPoint] | str:
    """Return the entry points in *text*, or why it cannot be read. If *strict*, no name may occur twice."""
    parser = _CaseSensitiveParser(
        delimiters=("=",), interpolation=None, default_section="", strict=strict
    )
    try:
        parser.read_string(text)
        return [
            EntryPoint(group, *item) for group in parser.sections() for item in parser.items(group)
        ]
    except Error as error:
        return " ".join(str(error).split())
