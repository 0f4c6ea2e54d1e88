"""All checks by name, and the making of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from releasekit.core.checks import contents, dependencies, metadata
from releasekit.core.checks.facts import Check, Finding, Severity
from releasekit.core.errors import Code, Refusal, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from releasekit.core.checks.facts import WorkspaceFacts

CHECKS: Mapping[str, Check] = {
    check.name: check for check in (*dependencies.CHECKS, *metadata.CHECKS, *contents.CHECKS)
}  # fmt: skip


def with_others(others: Iterable[tuple[str, object]]) -> dict[str, Check]:
    """Return our checks and those of other packages; each of *others* is a Check or many, and where it comes from.

    Raises Refusal RK-CHECK-PLUGIN for what is no check, and for a name that is taken.
    """
    known = dict(CHECKS)
    for source, value in others:
        given = cast("Iterable[object]", value) if isinstance(value, (list, tuple)) else (value,)
        for check in given:
            if not isinstance(check, Check):
                raise Refusal(Code.CHECK_PLUGIN, f"{type(check).__name__} is no Check", source)
            if check.name in known:
                raise Refusal(Code.CHECK_PLUGIN, f"there is a check {check.name} already", source)
            known[check.name] = check
    return known


def chosen(known: Mapping[str, Check], select: Collection[str], ignore: Collection[str]) -> dict[str, Check]:
    """Return those of *known* that are selected, all if none is, without those that are ignored.

    Raises Refusal RK-CHECK-UNKNOWN.
    """
    for name in (*select, *ignore):
        if name not in known:
            hint = f"There are {', '.join(known)}."
            raise Refusal(Code.CHECK_UNKNOWN, f"there is no check {name}{nearest(name, known)}", hint=hint)
    return {name: check for name, check in known.items() if (not select or name in select) and name not in ignore}


def findings(
    facts: WorkspaceFacts, checks: Iterable[Check], is_wanted: Callable[[str, str], bool]
) -> tuple[Finding, ...]:
    """Return what *checks* find, the worst first, then by place; *is_wanted* tells of a check and a package.

    Raises Refusal RK-CHECK-PLUGIN if one of them fails, which none of ours does.
    """
    made: list[Finding] = []
    for check in checks:
        try:
            made += [
                Finding(
                    check=check.name,
                    severity=found.severity or check.severity,
                    package=found.package,
                    what=found.what,
                    path=found.file,
                    line=found.line,
                    hint=found.hint or check.hint,
                    fix=found.fix,
                )
                for found in check.find(facts)
                if is_wanted(check.name, found.package)
            ]
        except Exception as error:
            if check.name in CHECKS:
                raise
            what = f"the check {check.name} failed: {type(error).__name__}: {error}"
            raise Refusal(Code.CHECK_PLUGIN, what) from error
    rank = {severity: number for number, severity in enumerate(Severity)}
    return tuple(sorted(made, key=lambda found: (rank[found.severity], found.check, found.path, found.line)))
