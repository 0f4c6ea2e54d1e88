"""Regular expressions of a workspace, among them those that would never end."""

from __future__ import annotations

import re

import pytest

from releasekit.core import user_patterns
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.user_patterns import UserPattern, read_pattern

ENDLESS = ("(a+)+$", "(a|aa)+$", "(.*a){25}$", r"^(([a-z])+.)+[A-Z]([a-z])+$")


@pytest.mark.parametrize("pattern", ENDLESS)
@pytest.mark.parametrize("method", ["search", "match"])
def test_endless_pattern_is_refused(
    monkeypatch: pytest.MonkeyPatch, pattern: str, method: str
) -> None:
    """A pattern that would take years is named, with the place where it is written."""
    monkeypatch.setattr(user_patterns, "TIME_LIMIT", 0.05)
    text = "a" * 5000 + "!"

    with pytest.raises(Refusal) as refused:
        getattr(UserPattern(pattern, "changelog_exclude"), method)(text)

    assert refused.value.code == ErrorCode.CONFIG_INVALID_VALUE
    assert refused.value.location == "changelog_exclude"
    assert repr(pattern) in refused.value.message
    assert "5001 characters" in refused.value.message


@pytest.mark.parametrize(
    "pattern", ["((a{1000}){1000}){1000}", "a{100000000}", f"a{{{'9' * 100_000}}}", "a{999,}{1002}"]
)
def test_large_counts_are_refused(pattern: str) -> None:
    """A pattern that needs gigabytes when it is compiled is refused before that."""
    with pytest.raises(Refusal, match="repeats more than 1,000,000 times") as refused:
        UserPattern(pattern, "changelog_exclude").search("a")

    assert refused.value.code == ErrorCode.CONFIG_INVALID_VALUE
    assert refused.value.location == "changelog_exclude"


@pytest.mark.parametrize(
    "pattern", ["a{99999999999}", f"a{{{'9' * 5000}}}", "(" * 20_000 + ")" * 20_000, "(unclosed"]
)
def test_unreadable_patterns_are_errors(pattern: str) -> None:
    """Whatever `re` says of a pattern is one kind of error, so that it is reported with its key."""
    with pytest.raises(re.error):
        read_pattern(pattern)


def test_usual_counts_are_accepted() -> None:
    """Dates, hashes and open counts are small."""
    pattern = UserPattern(
        r"^\d{4}-\d{2}-\d{2} [0-9a-f]{40} a{0,99999}b{,99999}$", "changelog_exclude"
    )

    assert pattern.search(f"2026-11-27 {'0a' * 20} aab")


def test_patterns_match_as_in_re() -> None:
    """`search` looks anywhere, `match` at the beginning, and `^` fits at each line only if that is asked for."""
    version = UserPattern(r'^VERSION = "(?P<version>.+?)"', "version.py", multiline=True)
    text = '# first\nVERSION = "1.0"\nVERSION = "2.0"\n'

    assert [match["version"] for match in version.finditer(text)] == ["1.0", "2.0"]
    assert version.match(text) is None
    assert UserPattern("^VERSION", "version.py").search(text) is None
    assert UserPattern(r"(?i)wip|\[skip\]", "changelog_exclude").search("fix: a [SKIP] of it")


def test_invalid_pattern_is_refused() -> None:
    """What is no regular expression is an error of the file, not of the program."""
    with pytest.raises(Refusal, match="not a regular expression"):
        UserPattern("(unclosed", "pattern").search("text")
