"""The README says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from releasekit.cli.app import app
from releasekit.core.checks.registry import CHECKS
from releasekit.core.config.settings import Settings
from tests import requirement_table
from tests.fault_table import table

README = Path(__file__).parents[1] / "README.md"


def keys_table() -> str:
    """Return the table of all keys as the README should have it."""
    rows = ["| key | default | |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = json.dumps(default) if not isinstance(default, tuple) else "[]"
        rows.append(f"| `{name}` | `{shown}` | {field.description} |")
    return "\n".join(rows)


def test_every_key_is_listed() -> None:
    """The table of keys has each key with its default and its description."""
    listed = re.search(r"<!-- keys -->\n(.*?)\n?<!-- /keys -->", README.read_text(), re.DOTALL)

    assert listed
    assert listed[1] == keys_table()


def test_every_fault_is_listed() -> None:
    """The table of what an index may do has each row that is tested, and no other."""
    listed = re.search(r"<!-- faults -->\n(.*?)\n?<!-- /faults -->", README.read_text(), re.DOTALL)

    assert listed
    assert listed[1] == table()


def test_every_requirement_is_listed() -> None:
    """The table of requirement forms has each row that is tested."""
    listed = re.search(r"<!-- requirements -->\n(.*?)\n?<!-- /requirements -->", README.read_text(), re.DOTALL)

    assert listed
    assert listed[1] == requirement_table.table()


def checks_table() -> str:
    """Return the table of all checks as the README should have it."""
    rows = ["| check | | |", "|---|---|---|"]
    rows += [f"| `{check.name}` | {check.severity} | {check.summary} |" for check in CHECKS.values()]
    return "\n".join(rows)


def test_every_check_is_listed() -> None:
    """The table of checks has each check with its usual severity."""
    listed = re.search(r"<!-- checks -->\n(.*?)\n?<!-- /checks -->", README.read_text(), re.DOTALL)

    assert listed
    assert listed[1] == checks_table()


def test_every_command_is_listed() -> None:
    """The table of commands has each command."""
    commands = {name for name in app if not name.startswith("-")}
    table = README.read_text().partition("| command |")[2].partition("\n\n")[0]

    assert commands == set(re.findall(r"^\| `([a-z-]+)(?: [A-Z]+| \[[A-Z]+\])?` \|", table, re.MULTILINE))
