"""Recognise calendar versions (calver.org): the newest tags have the dates of their commits in their versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.config.bump_rules import CALENDAR
from releasekit.core.versioning.schemes import date_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from releasekit.core.adoption.form_evidence import DatedTag, FormEvidence
    from releasekit.core.adoption.tagging import Tagging


class _CalendarLayout(NamedTuple):
    """A layout of versions: fields of the date, fields that count, and how many numbers a version may have."""

    dated: tuple[str, ...]
    counters: tuple[str, ...]
    lengths: tuple[int, ...]

    @property
    def scheme(self) -> str:
        """The `versioning_scheme` with this layout."""
        return CALENDAR + ".".join(self.dated + self.counters)

    def numbers(self, day: date) -> tuple[int, ...]:
        """Return the numbers with which the versions of a *day* begin."""
        return tuple(date_number(field, day) for field in self.dated)


_LAYOUTS = (  # the most exact one first
    _CalendarLayout(("YYYY", "MM", "DD"), (), (3, 4)),
    _CalendarLayout(("YY", "MM", "DD"), (), (3, 4)),
    _CalendarLayout(("YYYY", "MM"), ("MICRO",), (3,)),
    _CalendarLayout(("YY", "MM"), ("MICRO",), (3,)),
    _CalendarLayout(("YYYY",), ("MINOR", "MICRO"), (3,)),
)
_FEWEST_MONTHS = 2
"""In how many months the tags were made, at least: in one month the numbers may agree by accident."""
_AROUND = (timedelta(-1), timedelta(0), timedelta(1))
"""Who released may live in another time zone than the clock of the commit."""


def find_calendar_scheme(evidence: Iterable[FormEvidence], tagging: Tagging) -> str:
    """Return the `versioning_scheme` of the newest releases, such as "calver:YYYY.MM.DD"; empty if there is none.

    All tags in the forms that *tagging* writes must follow it.
    """
    written = {tagging.patterns[0], *map(itemgetter(0), tagging.formats_by_package.values())}
    tags = [
        tag
        for weighed in evidence
        if weighed.owners and weighed.form.pattern in written
        for tag in weighed.form.recent
    ]
    if len(set(map(_month, tags))) < _FEWEST_MONTHS:
        return ""
    schemes = (layout.scheme for layout in _LAYOUTS if all(map(partial(_follows, layout), tags)))
    return next(schemes, "")


def _follows(layout: _CalendarLayout, tag: DatedTag) -> bool:
    """Return whether the version of *tag* begins with the date of its commit, give or take a day, in this *layout*."""
    release = tag.parsed.version.release
    dates = {layout.numbers(_date(tag) + days) for days in _AROUND}
    return len(release) in layout.lengths and release[: len(layout.dated)] in dates


def _month(tag: DatedTag) -> date:
    return _date(tag).replace(day=1)


def _date(tag: DatedTag) -> date:
    return datetime.fromtimestamp(tag.time, UTC).date()
