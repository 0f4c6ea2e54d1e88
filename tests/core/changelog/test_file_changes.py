"""The text of change files in changelogs and release notes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from packaging.version import Version

from releasekit.core.changelog.changelog import (
    PreviousRelease,
    changelog_entry,
    insert_section,
    parts_of,
    render_file_change,
    render_section,
    versions_in,
)
from releasekit.core.changelog.note_entries import package_notes
from releasekit.core.config.bump_rules import Bump
from releasekit.core.history.change_files import FileChange
from releasekit.core.history.commits import parse
from releasekit.core.history.web_links import RepositoryUrls
from tests.support.builders import commit, settings_of

SINCE = PreviousRelease(Version("1.0"), "core-v1.0")
OLD = "# Changelog\n\n## 1.0 - 2026-01-01\n\n- Old\n"


def file_of(text: str, bump: Bump = Bump.MINOR, heading: str = "") -> FileChange:
    return FileChange("a.md", bump, text, heading)


def section_of(*files: FileChange, since: PreviousRelease = SINCE) -> str:
    """Return the changelog entry with *files* and one fix."""
    fix = parse(commit("f" * 40, message="fix: mend"))
    entry = changelog_entry(Version("1.1"), "2026-11-22", [fix], since, settings_of(), files=files)
    return render_section(entry, RepositoryUrls(), "", since).text


def test_files_stand_before_commits() -> None:
    """The text stands under the heading of its bump, above the commits; none has no text."""
    text = section_of(
        file_of("Break **it**"),
        file_of("Drop it", Bump.MAJOR),
        file_of("Repair it\nfor all", Bump.PATCH),
        file_of("Nobody reads this", Bump.NONE),
    )

    assert text == (
        "## 1.1 - 2026-11-22\n\n### Breaking Changes\n\n- Drop it\n\n### Features\n\n- Break **it**\n\n"
        "### Bug Fixes\n\n- Repair it\n  for all\n- mend (fffffff)\n"
    )


def test_own_heading_joins_others() -> None:
    """A heading that the file chooses is the one of the changelog, in any case, or a new one."""
    text = section_of(file_of("A", heading="bug fixes"), file_of("B", heading="Upgrade notes"))

    assert text.endswith("### Bug Fixes\n\n- A\n- mend (fffffff)\n\n### Upgrade notes\n\n- B\n")


def test_hidden_type_hides_no_file() -> None:
    """`changelog_sections` renames the heading of a bump, but a text that somebody wrote is never hidden."""
    settings = settings_of(changelog_sections={"feat": "", "fix": "Fixed", "breaking": "Broken"})
    files = [file_of("A"), file_of("B", Bump.PATCH), file_of("C", Bump.MAJOR)]

    assert {part.heading: part.files for part in parts_of((), settings, files)} == {
        "Broken": (files[2],),
        "Features": (files[0],),
        "Fixed": (files[1],),
    }


def test_first_release_has_texts() -> None:
    """The entry of a first release lists no commits, but the texts of change files."""
    assert section_of(file_of("A"), since=PreviousRelease()) == (
        "## 1.1 - 2026-11-22\n\nFirst release.\n\n### Features\n\n- A\n"
    )


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("one", "- one\n"),
        ("one\n\ntwo", "- one\n\n  two\n\n"),
        ("- one\n- two\n  more", "- one\n- two\n  more\n"),
        ("- one\n\nafter", "- - one\n\n  after\n\n"),
        ("one\n```\ncode", "- one\n  ```\n  code\n  ```\n"),
        ("one\n\n<!-- open", "- one\n\n  <!-- open\n  -->\n\n"),
    ],
)
def test_text_is_one_item(text: str, item: str) -> None:
    """A text is one item, a list stays a list, and what is left open is closed."""
    assert render_file_change(text) == item


@given(
    st.lists(
        st.sampled_from(
            ["# 0.9", "## 2.0", "a", "", "```", "~~~", "- b", "  c", "<!--", "-->", "[x]: y", "==="]
        )
    )
)
def test_text_stays_in_its_item(lines: list[str]) -> None:
    """Whatever Markdown a file has, the older versions stay headings, and it adds none to the file."""
    text = "\n".join(lines).strip("\n")
    section = render_section(
        changelog_entry(
            Version("1.1"), "2026-11-22", [], SINCE, settings_of(), files=[file_of(text)]
        ),
        RepositoryUrls(),
        "",
        SINCE,
    )

    written = insert_section(OLD, Version("1.1"), section)

    assert versions_in(written) == (Version("1.1"), Version("1.0"))
    tokens = MarkdownIt().parse(written)
    titles = [
        tokens[number + 1].content
        for number, token in enumerate(tokens)
        if token.type == "heading_open" and not token.level
    ]
    assert titles[-1] == "1.0 - 2026-01-01"
    assert "2.0" not in titles


def test_notes_have_file_texts() -> None:
    """The plan stores the text with the path of the file, and no commit."""
    entry = changelog_entry(
        Version("1.1"), "2026-11-22", [], SINCE, settings_of(), files=[file_of("A", Bump.MAJOR)]
    )

    (note,) = package_notes(entry, SINCE, {}).changes

    assert (note.sha, note.file, note.heading, note.text, note.breaking) == (
        "",
        "a.md",
        "Breaking Changes",
        "A",
        True,
    )
