"""The table of the rules that built files must pass."""

from __future__ import annotations

from releasekit.core.artifacts.verification import RULES
from releasekit.core.errors import ERRORS


def rules() -> str:
    """Return one line a rule, in the order in which they are applied."""
    lines = ["| Rule | Severity | What it finds | What to do |", "|---|---|---|---|"]
    for rule in RULES:
        info = ERRORS[rule.code]
        link = f"[`{rule.code}`](errors.md#{rule.code.lower()})"
        lines.append(f"| {link} | {rule.severity} | {info.meaning} | {info.hint} |")
    return "\n".join(lines)
