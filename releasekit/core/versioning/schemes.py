"""Compute the next version as `versioning_scheme` says: by SemVer, by the date, or by the last number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.config.bump_rules import CALENDAR, LAST_NUMBER, Bump
from releasekit.core.version_numbers import make_version, next_version

if TYPE_CHECKING:
    from datetime import date

    from packaging.version import Version

    from releasekit.core.config.bump_rules import BumpRules


def next_by_scheme(
    current: Version, bump: Bump, rules: BumpRules, *, major_on_zero: bool
) -> Version | None:
    """Return the stable version that *bump* leads to under the scheme of *rules*; None for no bump.

    *major_on_zero* counts for SemVer alone; see `next_version`.
    """
    if bump is Bump.NONE:
        return None
    if rules.scheme == LAST_NUMBER:
        return _raise_last_number(current)
    if rules.follows_date and rules.today:
        return _next_calendar_version(
            current, bump, rules.scheme.removeprefix(CALENDAR), rules.today
        )
    return next_version(current, bump, major_on_zero=major_on_zero)


def _raise_last_number(current: Version) -> Version:
    """Return the stable version of a prerelease; after a stable version, the one with a larger last number."""
    *first, last = current.release
    return make_version(current.epoch, (*first, last if current.is_prerelease else last + 1))


def _next_calendar_version(current: Version, bump: Bump, layout: str, today: date) -> Version:
    """Return the version for *today* in the *layout*, such as "YYYY.MM.MICRO" (calver.org); always above *current*.

    The counters MINOR and MICRO begin at 0 with each new date. MICRO counts patches, and every release if there is no
    MINOR. Without a counter, a second release on one date gets one more number: 2026.11.27.1.
    """
    fields = layout.split(".")
    dated = [date_number(field, today) for field in fields if field not in _COUNTERS]
    counters = [field for field in fields if field in _COUNTERS] or ["MICRO"]
    is_implied = "MICRO" not in fields and "MINOR" not in fields
    release = list(current.release)
    padding = [0] * (len(dated) + len(counters) - len(release))
    earlier = [*release, *padding]
    earlier_date = earlier[: len(dated)]
    if dated > earlier_date:
        return make_version(current.epoch, [*dated, *([] if is_implied else [0] * len(counters))])
    # The same date; or a later one, because clocks and time zones differ.
    counts = earlier[len(dated) : len(dated) + len(counters)]
    raises_minor = bump > Bump.PATCH or "MICRO" not in counters
    index = 0 if raises_minor else len(counters) - 1
    counts[index] += 1
    counts[index + 1 :] = [0] * len(counts[index + 1 :])
    return make_version(current.epoch, [*earlier_date, *counts])


_COUNTERS = frozenset({"MINOR", "MICRO"})


def date_number(field: str, today: date) -> int:
    """Return what *field* of a layout, such as "MM", stands for on the day *today*.

    PEP 440 writes no leading zeros, so that "0M" is the same as "MM".
    """
    numbers = {
        "YYYY": today.year,
        "YY": today.year % 100,
        "MM": today.month,
        "WW": today.isocalendar().week,
        "DD": today.day,
    }
    letter = field[-1]
    return numbers[field if field in numbers else 2 * letter]
