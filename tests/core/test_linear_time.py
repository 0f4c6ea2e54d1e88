"""Texts of strangers: commits, READMEs, changelogs, TOML and answers take time in proportion to their length."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from releasekit.core.changelog.changelog import (
    Section,
    contributors_of,
    escape,
    insert_section,
    render_change_notes,
    render_file_change,
    versions_in,
)
from releasekit.core.errors import ReleaseError
from releasekit.core.history.change_files import ChangeDirectory, parse_change_file
from releasekit.core.history.commits import Commit, parse
from releasekit.core.history.web_links import repository_urls
from releasekit.core.markdown_spans import code_spans, without_code
from releasekit.core.similar_texts import calm_warnings
from releasekit.core.toml_lines import excerpt_of, line_of
from releasekit.core.version_numbers import parse_version
from releasekit.core.workspace.dynamic_version import literal_location

if TYPE_CHECKING:
    from collections.abc import Callable

URLS = repository_urls("https://github.com/owner/name")
SECTION = Section(text="## 1.0\n\n- one\n", link="https://link.example", replaces=("0.9",))
CHANGES = ChangeDirectory(".changes", ".md")
LENGTH = 25_000
SECONDS = 3.0
"""Of CPU time. Each of these takes a tenth of a second if its time is linear, and minutes if it is quadratic."""


def read_commit(message: str) -> None:
    """Read a commit as the history does, and write it into a changelog."""
    change = parse(Commit("a" * 40, (), message, ()))
    contributors_of([change], {})
    render_change_notes(change.notes, "", URLS)
    escape(change.description, URLS)


def read_note(text: str) -> None:
    """Read a commit with a breaking change."""
    read_commit(f"feat: one\n\nBREAKING CHANGE: {text}")


def read_changelog(text: str) -> None:
    """Read a changelog, and add a section."""
    versions_in(text)
    insert_section(text, Version("1.0"), SECTION)


def read_toml_lines(text: str) -> None:
    """Look for a key and an item below an array."""
    excerpt_of(f"a = [\n{text}\n]\n[tool.x]\nb = 1\n", "pyproject.toml", ("tool", "x", "b"))
    excerpt_of(f"a = {text}", "pyproject.toml", ("a",), "item")


def read_change_file(text: str) -> None:
    """Read a change file with this head, and one with this text."""
    for whole in (f"---\n{text}", f"---\ncore: patch\n---\n{text}"):
        try:
            change_file = parse_change_file(CHANGES, ".changes/one.md", whole, ["core"])
        except ReleaseError:
            continue
        render_file_change(str(change_file))


PARSERS: dict[str, Callable[[str], object]] = {
    "commit": read_commit,
    "note": read_note,
    "co-author": lambda text: read_commit(f"feat: one\n\nCo-authored-by: {text}"),
    "revert": lambda text: read_commit(f"revert: one\n\nThis reverts commit {text}"),
    "changelog": read_changelog,
    "heading": lambda text: read_changelog(f"## {text}"),
    "change-file": read_change_file,
    "markdown": lambda text: (without_code(text), list(code_spans(text)), render_file_change(text)),
    "toml": read_toml_lines,
    "warnings": lambda text: calm_warnings([f"RK-X: {text}{number}" for number in range(6)]),
    "version": parse_version,
    "address": lambda text: (repository_urls(text), repository_urls(f"https://{text}")),
    "version-file": lambda text: literal_location('v = "{version}"', "f").find(text),
}
BURDENS = (
    "![", "](", "`", "``` ", "```\n", "~~~ a\n", "~~~~ a\n~~~\n", "<!--", "<!--\n", "[", "(", "(#1) ", "a #1 ",
    '"', '"""', "'''", '\\"', "# ", "a = [\n", '"file",\n', "a.", "1.", "0", "x  ", "\n", "- a\n", "## 1.0\n",
    "## Unreleased\n", "=\n", "Release-As: 1\n", "BREAKING CHANGE: a\n", 'revert "', "this reverts commit ",
    "abcdef0, and ", "a@", "--> `a",
)  # fmt: skip


def cpu_seconds(parser: Callable[[str], object], text: str) -> float:
    """Return the CPU time that *parser* needs for *text*."""
    started = time.process_time()
    parser(text)
    return time.process_time() - started


@pytest.mark.parametrize("name", PARSERS)
def test_long_texts_take_linear_time(name: str) -> None:
    """A text of 25,000 characters that repeats what opens a structure is read soon."""
    seconds: dict[str, float] = {}
    for burden in BURDENS:
        text = (burden * LENGTH)[:LENGTH]
        seconds[burden] = cpu_seconds(PARSERS[name], text)

    assert max(seconds.values()) < SECONDS, max(seconds, key=seconds.__getitem__)


@given(st.lists(st.sampled_from(BURDENS), max_size=8), st.sampled_from(sorted(PARSERS)))
def test_mixed_texts_are_read_without_error(pieces: list[str], name: str) -> None:
    """Any mixture of what opens and closes structures is read, soon and without an error of a library."""
    text = "".join(piece * 50 for piece in pieces)

    assert cpu_seconds(PARSERS[name], text) < SECONDS


def test_array_items_keep_their_lines() -> None:
    """The line of each item in a long array is found, also behind texts in several lines."""
    items = "\n".join(f'    "file-{number}",  # "file-0"' for number in range(20_000))
    text = f'[tool.a]\nnote = """\n[tool.b]\nfiles = 1\n"""\n[tool.b]\nfiles = [\n{items}\n]\nlast = 1\n'

    lines = [
        line_of(text, ("tool", "b", "files"), f"file-{number}") for number in range(0, 20_000, 7)
    ]

    assert lines == [8 + number for number in range(0, 20_000, 7)]
    assert line_of(text, ("tool", "b", "last")) == 20_009
    assert line_of(text, ("tool", "b")) == 6


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a `b` c", ["`b`"]),
        ("``a`b`` `", ["``a`b``"]),
        ("`a ``b`", ["`a ``b`"]),
        ("`a --> b` `c`", ["` `"]),
        ("```a` b", ["`a`"]),
        ("`` a", []),
    ],
)
def test_code_spans_need_equal_backticks(text: str, spans: list[str]) -> None:
    """A code span ends at the next equal number of backticks, and contains no end of a comment."""
    assert [text[begin:end] for begin, end in code_spans(text)] == spans
