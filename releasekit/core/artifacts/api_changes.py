"""Changes of an API that break its users, and whether they stop the release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.artifacts.differences import Difference, Weight, allows_breaking
from releasekit.core.errors import ErrorCode
from releasekit.core.text import count_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.version import Version

    from releasekit.core.config.settings import ApiCheck, ApiWaiver


@dataclass(frozen=True, slots=True)
class ApiChange:
    """A change of the public object *path* that breaks its users; *was_deprecated*: they were told before.

    *is_removal*: the object is gone.
    """

    path: str
    text: str
    was_deprecated: bool = False
    is_removal: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def breaking_changes(
    changes: Iterable[ApiChange], package: str, waivers: Sequence[ApiWaiver] = ()
) -> tuple[ApiChange, ...]:
    """Return those of the *changes* of *package* that nobody announced or accepted."""
    return tuple(
        change
        for change in changes
        if not (change.was_deprecated or waiver_reason(change, package, waivers))
    )


def waiver_reason(change: ApiChange, package: str, waivers: Iterable[ApiWaiver]) -> str:
    """Return the reason of the first of *waivers* that accepts *change* in *package*; empty if none does."""
    reasons = (waiver.reason for waiver in waivers if waiver.covers(change.path, package))
    return next(reasons, "")


def describe_changes(changes: Sequence[ApiChange]) -> str:
    """Return the first of *changes*, and how many others there are, as a reason for a version."""
    if not changes:
        return ""
    more = changes[1:]
    remark = f", and {count_as('more change', more)}" if more else ""
    return f"breaks the API: {changes[0]}{remark}"


def rate_api_changes(
    package: str,
    since: Version,
    target: Version,
    changes: Iterable[ApiChange],
    mode: ApiCheck,
    waivers: Sequence[ApiWaiver] = (),
) -> tuple[Difference, ...]:
    """Return *changes* of the release *target* as differences from the release *since*; none if *mode* is "off"."""
    if mode == "off":
        return ()
    may_break = allows_breaking(since, target)
    differences: list[Difference] = []
    for change in changes:
        reason = waiver_reason(change, package, waivers)
        severity = _severity_of(change, mode, may_break=may_break)
        difference = Difference(
            package=package,
            rule=ErrorCode.VERIFY_API_BREAK,
            text=str(change),
            since=since,
            severity=severity,
            waived=reason,
        )
        differences.append(difference)
    return tuple(differences)


def _severity_of(change: ApiChange, mode: ApiCheck, *, may_break: bool) -> Weight:
    if may_break:
        return "note"
    is_error = mode == "error" and not change.was_deprecated
    return "error" if is_error else "warning"
