"""All checks by name, and the functions that select and run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from releasekit.core.checks import (
    contents,
    dependencies,
    imports,
    metadata,
    outside_sources,
    source_verification,
)
from releasekit.core.checks.facts import Check, Finding, Severity
from releasekit.core.errors import ErrorCode, Refusal, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from releasekit.core.checks.facts import Found, WorkspaceFacts

CHECKS: Mapping[str, Check] = {
    check.name: check for check in (
        *dependencies.CHECKS,
        *imports.CHECKS,
        *metadata.CHECKS,
        *contents.CHECKS,
        *outside_sources.CHECKS,
        *source_verification.CHECKS,
    )
}  # fmt: skip


def with_plugins(others: Iterable[tuple[str, object]]) -> dict[str, Check]:
    """Return the built-in checks and those of plugins, by name.

    Each of *others* is a source (for error messages) and what it provides: a Check, or a list or tuple of them.
    Raises Refusal RK-CHECK-PLUGIN for a value that is not a Check, and for a name that exists already.
    """
    by_name = dict(CHECKS)
    for source, value in others:
        for check in _as_sequence(value):
            if not isinstance(check, Check):
                message = f"{type(check).__name__} is not a Check"
                raise Refusal(ErrorCode.CHECK_PLUGIN, message, source)
            if check.name in by_name:
                message = f"a check named {check.name} already exists"
                raise Refusal(ErrorCode.CHECK_PLUGIN, message, source)
            by_name[check.name] = check
    return by_name


def _as_sequence(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)


def select_checks(
    by_name: Mapping[str, Check], select: Collection[str], ignore: Collection[str]
) -> dict[str, Check]:
    """Return the checks of *by_name* in *select* but not in *ignore*; an empty *select* means all.

    Raises Refusal RK-CHECK-UNKNOWN for a name that no check has.
    """
    for name in (*select, *ignore):
        if name not in by_name:
            message = f"there is no check {name}{did_you_mean(name, by_name)}"
            hint = f"The checks are {', '.join(by_name)}."
            raise Refusal(ErrorCode.CHECK_UNKNOWN, message, hint=hint)
    selected = set(select or by_name).difference(ignore)
    return {name: check for name, check in by_name.items() if name in selected}


def collect_findings(
    facts: WorkspaceFacts, checks: Iterable[Check], is_wanted: Callable[[str, str], bool]
) -> tuple[Finding, ...]:
    """Return the findings of *checks*: the most severe first, then by check, file and line.

    *is_wanted* returns whether findings of a check (its name) about a package (its name) count.
    Raises Refusal RK-CHECK-PLUGIN if a check of a plugin fails; a failure of a built-in check is a bug and is raised.
    """
    reported: list[Finding] = []
    for check in checks:
        problems = _run_check(check, facts)
        wanted = [problem for problem in problems if is_wanted(check.name, problem.package)]
        reported += [_make_finding(check, problem) for problem in wanted]
    return tuple(sorted(reported, key=_sort_key))


def _run_check(check: Check, facts: WorkspaceFacts) -> list[Found]:
    """Return what *check* finds; see `collect_findings` for its failures."""
    try:
        return list(check.find(facts))
    except Exception as error:
        is_built_in = check.name in CHECKS
        if is_built_in:
            raise
        message = f"the check {check.name} failed: {type(error).__name__}: {error}"
        raise Refusal(ErrorCode.CHECK_PLUGIN, message) from error


def _make_finding(check: Check, problem: Found) -> Finding:
    return Finding(
        check=check.name,
        severity=problem.severity or check.severity,
        package=problem.package,
        what=problem.what,
        path=problem.file,
        line=problem.line,
        hint=problem.hint or check.hint,
        fix=problem.fix,
    )


def _sort_key(finding: Finding) -> tuple[int, str, str, int]:
    rank = list(Severity).index(finding.severity)
    return rank, finding.check, finding.path, finding.line
