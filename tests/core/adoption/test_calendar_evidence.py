"""Versions that are dates: which scheme the newest tags follow."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from releasekit.core.adoption.calendar_evidence import find_calendar_scheme
from releasekit.core.adoption.form_evidence import DatedTag, FormEvidence, tags_by_form
from releasekit.core.adoption.tag_forms import package_words, parse_tags
from releasekit.core.adoption.tagging import Tagging

DIRECTORIES = {"app": "packages/app", "core": "packages/core"}


def scheme_of(lines: str, *patterns: str, owners: str = "app core") -> str:
    """Return the scheme of tags, "TAG YEAR-MONTH-DAY" one a line; packages *owners* declared their versions."""
    days = dict(line.split() for line in lines.strip().splitlines())
    parsed = parse_tags(days, package_words(DIRECTORIES))
    dated = [DatedTag(parsed[tag], tag, midnight(day)) for tag, day in days.items()]
    evidence = [
        FormEvidence(form, dict.fromkeys(owners.split(), form.tags[0]), frozenset(), 1, 1)
        for form in tags_by_form(dated)
    ]
    return find_calendar_scheme(evidence, Tagging(patterns or ("v{version}",)))


def midnight(day: str) -> int:
    """Return when *day* begins, in seconds since 1970."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        ("v2026.3.2 2026-03-02\nv2026.02.27 2026-02-27\nv2026.2.16.1 2026-02-16", "YYYY.MM.DD"),
        # Somebody in the west released in the evening, somebody in the east in the morning.
        ("v2026.3.1 2026-03-02\nv2026.2.28 2026-02-27\nv2026.2.1 2026-02-01", "YYYY.MM.DD"),
        ("v26.11.5 2026-11-05\nv26.10.30 2026-10-30\nv26.9.1 2026-09-01", "YY.MM.DD"),
        ("v2026.3.1 2026-03-18\nv2026.3.0 2026-03-02\nv2026.2.0 2026-02-12", "YYYY.MM.MICRO"),
        ("v26.3.1 2026-03-18\nv26.3.0 2026-03-02\nv25.12.0 2025-12-12", "YY.MM.MICRO"),
        ("v2026.1.1 2026-05-18\nv2026.1.0 2026-03-02\nv2025.7.0 2025-12-12", "YYYY.MINOR.MICRO"),
        ("v2026.3.2 2026-03-02\nv2026.2.27 2026-02-27", "YYYY.MM.DD"),
        ("v2026.3.2 2026-03-02\nv2026.3.1 2026-03-01", ""),
        ("v26.3.2 2026-03-18\nv26.3.1 2026-03-16\nv26.3.0 2026-03-12", ""),
        ("v2026.3.2 2026-03-02\nv2026.2.27 2026-02-27\nv5.9.1 2026-01-16", ""),
        ("v1.3.0 2026-03-02\nv1.2.0 2026-02-27\nv1.1.0 2026-01-16", ""),
        ("v2026.3 2026-03-02\nv2026.2 2026-02-27\nv2026.1 2026-01-16", ""),
    ],
)
def test_tag_dates_name_the_scheme(lines: str, scheme: str) -> None:
    """All of the newest tags, of two months at least, must have the date of their commit in their version."""
    assert scheme_of(lines) == (f"calver:{scheme}" if scheme else "")


def test_old_form_has_no_say() -> None:
    """Tags in a form that is only read may have other versions; tags that no package declared say nothing."""
    lines = "v2026.3.2 2026-03-02\nv2026.2.27 2026-02-27\nv2026.1.5 2026-01-05\nr-1.0.0 2025-01-01\nr-0.9 2024-01-01"

    assert scheme_of(lines, "v{version}", "r-{version}") == "calver:YYYY.MM.DD"
    assert scheme_of(lines, "r-{version}", "v{version}") == ""
    assert scheme_of(lines, "v{version}", owners="") == ""


def test_each_package_must_follow() -> None:
    """Where packages have tags of their own, one that counts in another way rules a scheme for all out."""
    lines = "app-v2026.3.2 2026-03-02\napp-v2026.2.27 2026-02-27\napp-v2026.1.5 2026-01-05"

    assert scheme_of(lines, "{name}-v{version}") == "calver:YYYY.MM.DD"
    assert scheme_of(f"{lines}\ncore-v1.2.0 2026-03-01", "{name}-v{version}") == ""
