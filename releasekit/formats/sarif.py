"""The findings of `check` as SARIF, which GitHub and GitLab show next to the lines (OASIS SARIF 2.1.0)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from releasekit.core.checks.facts import Check, CheckReport, Finding

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif_text(report: CheckReport, checks: Iterable[Check], version: str, prefix: str = "") -> str:
    """Return *report* as JSON text with one run of releasekit *version*.

    *checks* are all checks of the run, with or without findings. *prefix* is the path of the workspace in the
    repository, empty at its root.
    """
    rules = list(checks)
    driver = {
        "name": "releasekit",
        "semanticVersion": version,
        "rules": [_rule(check) for check in rules],
    }
    index_by_name = {check.name: index for index, check in enumerate(rules)}
    results = [
        _result(finding, index_by_name[finding.check], prefix) for finding in report.findings
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.name,
        "shortDescription": {"text": check.summary},
        "help": {"text": check.hint},
        "defaultConfiguration": {"level": check.severity.value},
    }


def _result(finding: Finding, rule: int, prefix: str) -> dict[str, Any]:
    path = f"{prefix}/{finding.path}" if prefix else finding.path
    location = {"artifactLocation": {"uri": quote(path)}, "region": {"startLine": finding.line}}
    return {
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": finding.severity.value,
        "message": {"text": f"{finding.what}. {finding.hint}"},
        "locations": [{"physicalLocation": location}],
    }
