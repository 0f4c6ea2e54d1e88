"""All checks by name, and the making of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from releasekit.core.checks import contents, dependencies, metadata
from releasekit.core.checks.facts import Check, Finding, Severity
from releasekit.core.errors import ErrorCode, Refusal, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from releasekit.core.checks.facts import WorkspaceFacts

CHECKS: Mapping[str, Check] = {
    check.name: check for check in (*dependencies.CHECKS, *metadata.CHECKS, *contents.CHECKS)
}  # fmt: skip


def with_plugins(others: Iterable[tuple[str, object]]) -> dict[str, Check]:
    """Return our checks and those of other packages; each of *others* is a Check or many, and where it comes from.

    Raises Refusal RK-CHECK-PLUGIN for what is no check, and for a name that is taken.
    """
    by_name = dict(CHECKS)
    for source, value in others:
        candidates = cast("Iterable[object]", value) if isinstance(value, (list, tuple)) else (value,)
        for check in candidates:
            if not isinstance(check, Check):
                raise Refusal(ErrorCode.CHECK_PLUGIN, f"{type(check).__name__} is no Check", source)
            if check.name in by_name:
                raise Refusal(ErrorCode.CHECK_PLUGIN, f"there is a check {check.name} already", source)
            by_name[check.name] = check
    return by_name


def select_checks(by_name: Mapping[str, Check], select: Collection[str], ignore: Collection[str]) -> dict[str, Check]:
    """Return those of *by_name* that are selected, all if none is, without those that are ignored.

    Raises Refusal RK-CHECK-UNKNOWN.
    """
    for name in (*select, *ignore):
        if name not in by_name:
            hint = f"There are {', '.join(by_name)}."
            raise Refusal(ErrorCode.CHECK_UNKNOWN, f"there is no check {name}{did_you_mean(name, by_name)}", hint=hint)
    return {name: check for name, check in by_name.items() if (not select or name in select) and name not in ignore}


def collect_findings(
    facts: WorkspaceFacts, checks: Iterable[Check], is_wanted: Callable[[str, str], bool]
) -> tuple[Finding, ...]:
    """Return what *checks* find, the worst first, then by place; *is_wanted* tells of a check and a package.

    Raises Refusal RK-CHECK-PLUGIN if one of them fails, which none of ours does.
    """
    reported: list[Finding] = []
    for check in checks:
        try:
            reported += [
                Finding(
                    check=check.name,
                    severity=finding.severity or check.severity,
                    package=finding.package,
                    what=finding.what,
                    path=finding.file,
                    line=finding.line,
                    hint=finding.hint or check.hint,
                    fix=finding.fix,
                )
                for finding in check.find(facts)
                if is_wanted(check.name, finding.package)
            ]
        except Exception as error:
            if check.name in CHECKS:
                raise
            message = f"the check {check.name} failed: {type(error).__name__}: {error}"
            raise Refusal(ErrorCode.CHECK_PLUGIN, message) from error
    rank = {severity: number for number, severity in enumerate(Severity)}
    return tuple(
        sorted(reported, key=lambda finding: (rank[finding.severity], finding.check, finding.path, finding.line))
    )
