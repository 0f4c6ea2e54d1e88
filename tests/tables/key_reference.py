"""The tables of configuration keys and of checks."""

from __future__ import annotations

import json
from typing import Any, get_args, get_origin

from releasekit.core.checks.registry import CHECKS
from releasekit.core.config.settings import MEMBER_KEYS, Settings


def keys_table() -> str:
    """Return the table of all keys of [tool.releasekit], with default and description."""
    rows = ["| Key | Default | Description |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = json.dumps(default) if not isinstance(default, tuple) else "[]"
        own = " *" if name in MEMBER_KEYS else ""
        rows.append(
            f"| `{name}`{own} | `{shown}` | {cell(str(field.description))}{choices(field.annotation)} |"
        )
    return "\n".join(rows)


def checks_table() -> str:
    """Return the table of all checks, with usual severity, meaning and next step."""
    rows = ["| Check | Severity | What it finds | What to do |", "|---|---|---|---|"]
    rows += [
        f"| `{check.name}` | {check.severity} | {cell(check.summary)} | {cell(check.hint)} |"
        for check in CHECKS.values()
    ]
    return "\n".join(rows)


def cell(text: str) -> str:
    """Return *text* so that it stays in one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("[[", "\\[\\[")


def choices(annotation: Any) -> str:
    """Return the values that a key may have, if they are few: a sentence to follow its description."""
    values = [value for value in get_args(annotation) if isinstance(value, str)]
    return (
        f". One of {', '.join(f'`{json.dumps(value)}`' for value in values)}"
        if get_origin(annotation) and values
        else ""
    )
