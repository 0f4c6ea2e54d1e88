"""What a changelog says of a version, and where it says it."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from packaging.version import Version

from releasekit.core.changelog.changelog import (
    ChangelogEntry,
    PreviousRelease,
    Section,
    add_note,
    changelog_entry,
    contributors_of,
    escape,
    headings_of,
    insert_section,
    parts_of,
    prereleases_between,
    render_section,
    versions_in,
)
from releasekit.core.history.commits import Change, parse, parse_history
from releasekit.core.history.web_links import RepositoryUrls
from tests.support.builders import commit, settings_of

GITHUB = RepositoryUrls("https://github.com/ada/engine")
GITLAB = RepositoryUrls("https://gitlab.com/ada/engine", kind="gitlab")
LAST = PreviousRelease(Version("0.5.0"), "core-v0.5.0")
DATE = "2026-11-22"


def changes_of(*messages: str) -> tuple[Change, ...]:
    """Parse messages that are written newest first; the shas are 0000000, 1111111 and so on."""
    return parse_history(
        [commit(f"{place:x}" * 40, "f" * 40, message=text) for place, text in enumerate(messages)]
    )


def told(
    *messages: str,
    web: RepositoryUrls = RepositoryUrls(),  # noqa: B008  a frozen value
    since: PreviousRelease = LAST,
    tag: str = "core-v0.6.0",
    **settings: object,
) -> str:
    """Return the text of 0.6.0 without its heading."""
    entry = changelog_entry(
        Version("0.6.0"), DATE, changes_of(*messages), since, settings_of(**settings)
    )
    heading, _, text = render_section(entry, web, tag, since).text.partition("\n\n")
    assert heading in (f"## 0.6.0 - {DATE}", f"## [0.6.0] - {DATE}")
    return text


def headings(*messages: str, **settings: object) -> list[str]:
    """Return the headings under which *messages* are told, in their order."""
    return [part.heading for part in parts_of(changes_of(*messages), settings_of(**settings))]


# ---- one version ----------------------------------------------------------------------------------------------------

HISTORY = (
    "docs: say how",
    "perf(core): count once",
    "fix: no ripe fruit is lost (#41)",
    (
        "feat(store)!: shelves hand fruits out one by one (#42)\n\n"
        "BREAKING CHANGE: call `take()` where you called\n`take_all()`.\n\nIt is:\n\n- simpler\n- faster"
    ),
    "feat: ripe fruits first",
    "chore(deps)!: drop Python 3.10",
    "ci: run twice",
    "no conventional commit",
)


def test_plain_section_has_no_links() -> None:
    """Without a forge, references stay as they are; sections have their order, notes stand with their change."""
    entry = changelog_entry(Version("0.6.0"), DATE, changes_of(*HISTORY), LAST, settings_of())

    assert render_section(entry, RepositoryUrls(), "core-v0.6.0", LAST) == Section(
        text=dedent("""\
            ## 0.6.0 - 2026-11-22

            ### Breaking Changes

            - **store:** shelves hand fruits out one by one (#42) (3333333)

              call `take()` where you called
              `take_all()`.

              It is:

              - simpler
              - faster

            - **deps:** drop Python 3.10 (5555555)

            ### Features

            - ripe fruits first (4444444)

            ### Bug Fixes

            - no ripe fruit is lost (#41) (2222222)

            ### Performance

            - **core:** count once (1111111)
            """)
    )


def test_github_changelog_has_links() -> None:
    """On GitHub, heading, pull requests and commits are links."""
    messages = ("fix: no ripe fruit is lost (#41)",)
    entry = changelog_entry(Version("0.6.0"), DATE, changes_of(*messages), LAST, settings_of())

    section = render_section(entry, GITHUB, "core-v0.6.0", LAST)

    assert section.link == "https://github.com/ada/engine/compare/core-v0.5.0...core-v0.6.0"
    assert section.text == dedent(f"""\
        ## [0.6.0] - 2026-11-22

        ### Bug Fixes

        - no ripe fruit is lost ([#41](https://github.com/ada/engine/pull/41)) ([0000000](https://github.com/ada/engine/commit/{"0" * 40}))
        """)  # noqa: E501  a line is an item


def test_gitlab_changelog_links_merge_requests() -> None:
    """On GitLab, `!42` is a merge request and `#42` an issue."""
    text = told("fix: lose nothing, see #7 (!41)", web=GITLAB)

    assert "see [#7](https://gitlab.com/ada/engine/-/issues/7)" in text
    assert "([!41](https://gitlab.com/ada/engine/-/merge_requests/41))" in text


def test_untagged_heading_has_no_link() -> None:
    """A heading links to nothing where no tags are made."""
    entry = ChangelogEntry(Version("0.6.0"), DATE)

    assert render_section(entry, GITHUB, "", LAST) == Section(text=f"## 0.6.0 - {DATE}\n")
    assert render_section(entry, GITHUB, "v0.6.0", PreviousRelease()).link.endswith(
        "/releases/tag/v0.6.0"
    )


def test_first_release_lists_no_changes() -> None:
    """A first release has no list."""
    assert told(*HISTORY, since=PreviousRelease()) == "First release.\n"


@pytest.mark.parametrize(
    "messages", [(), ("chore: it\n\nRelease-As: 0.6.0",), ("docs: it", "unconventional")]
)
def test_section_without_changes_says_why(messages: tuple[str, ...]) -> None:
    """A release without changes that are shown (forced, told, for a dependency) says so in one line."""
    assert told(*messages) == "No notable changes since 0.5.0.\n"


def test_unreleased_revert_pair_is_hidden() -> None:
    """A commit and its revert are not told; the revert of something released is."""
    text = told(
        'Revert "feat: b"',
        f'Revert "feat: a"\n\nThis reverts commit {"3" * 40}.',
        "fix: c",
        "feat: a",
    )

    assert "feat: a" not in text
    assert text == '### Bug Fixes\n\n- c (2222222)\n\n### Reverts\n\n- Revert "feat: b" (0000000)\n'


def test_changelog_hides_merges_and_releases() -> None:
    """Merges, release commits and fixups are not told, whatever is shown."""
    merge = parse(commit("a" * 40, "b" * 40, "c" * 40, message="feat: merged"))
    settings = settings_of(changelog_sections={"chore": "Chores", "other": "Other"})
    changes = (merge, *changes_of("chore(release): v0.5.1", "fixup! feat: x", "chore: sweep"))
    entry = changelog_entry(Version("0.6.0"), DATE, changes, LAST, settings)

    assert [change.title for change in entry.changes] == ["chore: sweep"]


# ---- what is shown --------------------------------------------------------------------------------------------------

ALL = (
    "feat: a",
    "fix: a",
    "perf: a",
    "revert: a",
    "docs: a",
    "refactor: a",
    "style: a",
    "test: a",
    "build: a",
    "ci: a",
)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, ["Features", "Bug Fixes", "Performance", "Reverts"]),
        ({"changelog_sections": {"docs": "Documentation", "Refactor": "Refactoring"}},
         ["Features", "Bug Fixes", "Performance", "Reverts", "Documentation", "Refactoring"]),
        ({"changelog_sections": {"perf": "", "feat": "Added", "revert": "Fixed", "fix": "Fixed"}}, ["Added", "Fixed"]),
        ({"changelog_sections": {"other": "Other Changes"}},
         ["Features", "Bug Fixes", "Performance", "Reverts", "Other Changes"]),
        ({"types": {"feat": "minor", "fix": "patch", "build": "patch"}},
         ["Features", "Bug Fixes", "Performance", "Reverts", "Build"]),
        ({"changelog_exclude": ["^(feat|fix)", "e.*t: a$"]}, ["Performance"]),
    ],
)  # fmt: skip
def test_configuration_decides_section_headings(
    settings: dict[str, object], shown: list[str]
) -> None:
    """Types that ask for a release are shown; others can be, under any heading, and patterns leave out titles."""
    assert headings(*ALL, **settings) == shown


def test_breaking_changes_are_always_listed() -> None:
    """No pattern and no hidden type hides a breaking change; its heading has a name too."""
    settings = {"changelog_exclude": ["drop"], "changelog_sections": {"fix": ""}}

    assert headings("chore!: drop it", "fix!: drop it", **settings) == ["Breaking Changes"]
    assert headings("feat!: a", changelog_sections={"breaking": "Look Out"}) == ["Look Out"]
    assert headings("feat!: a", changelog_sections={"breaking": ""}) == ["Breaking Changes"]


def test_configured_heading_stays_one_line() -> None:
    """A heading of the configuration is one line."""
    assert "### Docs ## x" in told("docs: a", changelog_sections={"docs": "Docs\n## x"})
    assert headings_of(settings_of(changelog_sections={"DOCS": " Docs "}))["docs"] == "Docs"


def test_contributors_are_listed_once() -> None:
    """Authors and co-authors are named once, in order, without addresses and bots."""
    changes = changes_of(
        'fix: a\n\nCo-authored-by: "Grace" <g@example.invalid>\nco-authored-by: bea',
        "feat: b",
        "feat: c",
    )
    authors = {"0" * 40: "Ada", "1" * 40: "dependabot[bot]", "2" * 40: "Ada"}

    names = contributors_of(changes, authors)

    assert names == ("Ada", "bea", "Grace")
    entry = ChangelogEntry(Version("1"), DATE, "Remark.", (), ("# Ada", "<b>_x_"))
    text = render_section(entry, RepositoryUrls(), "", PreviousRelease()).text
    assert text == f"## 1 - {DATE}\n\nRemark.\n\n### Contributors\n\n- \\# Ada\n- \\<b>\\_x\\_\n"


# ---- prereleases ----------------------------------------------------------------------------------------------------

RELEASED = frozenset(map(Version, ("1.0", "1.1a1", "1.1rc1", "1.1rc2", "0.9rc1", "1.0rc1", "1.2")))


def test_stable_release_includes_its_prereleases() -> None:
    """The prereleases that a stable release takes in are those between it and the last stable one."""
    found = prereleases_between(RELEASED, Version("1.0"), Version("1.1"))

    assert list(map(str, found)) == ["1.1a1", "1.1rc1", "1.1rc2"]
    assert list(map(str, prereleases_between(RELEASED, None, Version("1.0")))) == [
        "0.9rc1",
        "1.0rc1",
    ]


def test_first_stable_covers_its_prereleases() -> None:
    """A first stable release after prereleases tells what has come since the first of them."""
    since = PreviousRelease(None, "new-v0.5b1", (Version("0.5b1"), Version("0.5b2")))

    assert (
        told("fix: a", since=since) == "First stable release.\n\n### Bug Fixes\n\n- a (0000000)\n"
    )
    assert told(since=since) == "First stable release.\n"


# ---- Markdown -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, 100% (really)", "plain words, 100% (really)"),
        ("Map<str, int> | None", r"Map\<str, int> \| None"),
        ("<script>alert(1)</script>", r"\<script>alert(1)\</script>"),
        ("__init__ and snake_case_name", r"\_\_init\_\_ and snake_case_name"),
        ("2 * 3 ~~ [x](y)", r"2 \* 3 \~\~ \[x\](y)"),
        ("keep `a_b|<c>` as code", "keep `a_b|<c>` as code"),
        ("``a`b`` too", "``a`b`` too"),
        ("a lonely ` tick, C:\\path", r"a lonely \` tick, C:\\path"),
        ("&lt; is no & sign", r"\&lt; is no & sign"),
        ("see https://example.invalid/a_b_c?d=*e*", "see https://example.invalid/a_b_c?d=*e*"),
        ("two\nlines\r\n## [9.9.9]\u2028more\x00\x1b[0m", r"two lines ## \[9.9.9\] more\[0m"),
        ("--> <!-- no comment `-->`", r"--\> \<!-- no comment \`--\>\`"),
    ],
)
def test_escape_keeps_code_and_addresses(text: str, shown: str) -> None:
    """A title is shown as it is, in one line; code spans and addresses are left alone."""
    assert escape(text) == shown


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("fix: # 5 is alive", r"- \# 5 is alive"),
        ("fix: #5 is alive", "- #5 is alive"),
        ("fix: - 5", r"- \- 5"),
        ("fix: 1. is first", r"- 1\. is first"),
        ("fix: 1.5 is more", "- 1.5 is more"),
        ("fix: > that", r"- \> that"),
        ("fix: === x", r"- \=== x"),
        ("fix(a_b*): - 5", r"- **a_b\*:** - 5"),
    ],
)
def test_description_cannot_start_markdown_block(title: str, shown: str) -> None:
    """A description that looks like a list, heading or quotation is none."""
    assert told(title) == f"### Bug Fixes\n\n{shown} (0000000)\n"


def test_breaking_note_keeps_its_paragraphs() -> None:
    """Paragraphs, lists and code of a footer are kept; headings, rules, comments and HTML in it are shown as text."""
    note = dedent("""\
        x goes.
        ===
        ## [0.1.0] - 2020-01-01
        <!-- not hidden -->

            1. one
        * two

        ```python
        ## [0.2.0]
          x()  # -->
        ```
        ~~~
        never closed""")

    assert told(f"feat!: y\n\nBREAKING CHANGE: {note}") == dedent(r"""
        ### Breaking Changes

        - y (0000000)

          x goes.
          \===
          \## \[0.1.0\] - 2020-01-01
          \<!-- not hidden --\>

          1. one
          * two

                ## [0.2.0]
                  x()  # -- >

          \~\~\~
          never closed
        """).lstrip("\n")


def test_note_that_repeats_title_disappears() -> None:
    """A footer that repeats the title is told once."""
    assert (
        told("feat!: x goes\n\nBREAKING CHANGE: x goes")
        == "### Breaking Changes\n\n- x goes (0000000)\n"
    )
    assert told("BREAKING CHANGE: x goes") == "### Breaking Changes\n\n- x goes (0000000)\n"


# ---- the file -------------------------------------------------------------------------------------------------------

NEW = Section(text="## 0.6.0 - 2026-11-22\n\n- new\n")
LINKED = Section(text="## [0.6.0] - 2026-11-22\n\n- new\n", link="https://forge.invalid/6")


def inserted(text: str, section: Section = NEW, version: str = "0.6.0") -> str:
    return insert_section(dedent(text), Version(version), section)


@pytest.mark.parametrize("text", ["", "\n", "  \n\n"])
def test_missing_changelog_starts_with_title(text: str) -> None:
    """A missing or empty changelog begins with a title."""
    assert inserted(text) == "# Changelog\n\n## 0.6.0 - 2026-11-22\n\n- new\n"
    assert inserted(text, LINKED).endswith("- new\n\n[0.6.0]: https://forge.invalid/6\n")


def test_unreleased_notes_start_the_section() -> None:
    """What stands below `[Unreleased]` becomes the start of the section; the heading and its reference stay."""
    text = """\
        # Changelog

        All notable changes.

        ## [Unreleased]

        ### Added

        - hand-written

        ## [0.5.0] - 2026-01-01

        - old

        [unreleased]: https://forge.invalid/now
        [0.5.0]: https://forge.invalid/5
        """

    assert inserted(text, LINKED) == dedent("""\
        # Changelog

        All notable changes.

        ## [Unreleased]

        ## [0.6.0] - 2026-11-22

        ### Added

        - hand-written

        - new

        ## [0.5.0] - 2026-01-01

        - old

        [unreleased]: https://forge.invalid/now
        [0.6.0]: https://forge.invalid/6
        [0.5.0]: https://forge.invalid/5
        """)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# Changelog\n\n## 0.5.0\n", "# Changelog\n\n@## 0.5.0\n"),
        ("# Changelog\n\nWords.", "# Changelog\n\nWords.\n\n@"),
        ("# Changelog\n\nWords.\n", "# Changelog\n\nWords.\n\n@"),
        ("# Changelog\n## 0.5.0\n", "# Changelog\n\n@## 0.5.0\n"),
        ("## 0.5.0\n\n- x\n", "@## 0.5.0\n\n- x\n"),
        ("\ufeff## 0.5.0\n", "\ufeff@## 0.5.0\n"),
        # other tools' headings
        ("# 0.5.0 (2026-01-01)\n", "@1# 0.5.0 (2026-01-01)\n"),
        ("## Intro\n\n### [0.5.1](https://x.invalid)\n", "## Intro\n\n@3### [0.5.1](https://x.invalid)\n"),
        ("# News\n\nVersion 0.5.0\n=============\n", "# News\n\n@1Version 0.5.0\n=============\n"),
        ("# Log\n\n## `0.7.0`\n\n## **0.5.0**\n", "# Log\n\n## `0.7.0`\n\n@## **0.5.0**\n"),
        ('<a name="0.5.0"></a>\n## 0.5.0\n', '@<a name="0.5.0"></a>\n## 0.5.0\n'),
        ("# Log\n\n<a id='v0.5.0'/>\n\n## 0.5.0\n", "# Log\n\n@<a id='v0.5.0'/>\n\n## 0.5.0\n"),
        ("## core-v0.5.0\n", "@## core-v0.5.0\n"),
        ("# Log\n\n## 2026-01-01\n\n- x\n", "# Log\n\n@## 2026-01-01\n\n- x\n"),
        ("# Log\n\n## Unreleased\n\n## May\n", "# Log\n\n## Unreleased\n\n@## May\n"),
        # a maintenance branch, and a prerelease of the same version
        ("## 2.0.0\n\n## 0.5.0\n", "## 2.0.0\n\n@## 0.5.0\n"),
        ("## 2.0.0\n\n- x\n", "## 2.0.0\n\n- x\n\n@"),
        ("## 2.0.0\n\n[2.0.0]: https://x.invalid\n", "## 2.0.0\n\n@[2.0.0]: https://x.invalid\n"),
        ("## 0.6.0rc1\n\n## 0.5.0\n", "@## 0.6.0rc1\n\n## 0.5.0\n"),
        # what looks like a heading and is none
        ("```\n## 0.4.0\n```\n\n## 0.5.0\n", "```\n## 0.4.0\n```\n\n@## 0.5.0\n"),
        ("<!--\n## 0.6.0\n-->\n\n## 0.5.0\n", "<!--\n## 0.6.0\n-->\n\n@## 0.5.0\n"),
        ("~~~\nleft open\n\n## 0.5.0\n", "~~~\nleft open\n\n@## 0.5.0\n"),
        ("#0.6.0\n\n    ## 0.6.0\n\n## 0.5.0\n", "#0.6.0\n\n    ## 0.6.0\n\n@## 0.5.0\n"),
        ("## Unreleased\n\n### Python 3.12\n\n## 0.5.0\n", "## Unreleased\n\n### Python 3.12\n\n@## 0.5.0\n"),
        ("---\ntitle: 1.0.0\n---\n\n## Changes since 0.6.0\n", "---\ntitle: 1.0.0\n---\n\n@## Changes since 0.6.0\n"),
    ],
)  # fmt: skip
def test_section_finds_place_between_versions(before: str, after: str) -> None:
    """Place and level of the heading are found in changelogs of other hands too; all else stays as it is."""
    for mark, level in {"@1": "#", "@3": "###", "@": "##"}.items():
        text = NEW.text.replace("##", level)
        after = after.replace(mark, text if after.endswith(mark) else f"{text}\n")

    assert insert_section(before, Version("0.6.0"), NEW) == after
    assert insert_section(after, Version("0.6.0"), NEW) == after


@pytest.mark.parametrize(
    "heading",
    [
        "## 0.6.0 (unreleased)", "## [0.6.0] - Unreleased", "## 0.6.0 (TBD)", "## v0.6.0 - not yet released",
        "## [0.6.0](https://x.invalid/0.6.0) - TBA", "## Version 0.6.0 (in development)", "## 0.6.0 - YYYY-MM-DD",
        "## 0.6.0 (2026-11-XX)", "## 0.6.0 - ????-??-??", "## [0.6] \u2013 Unreleased", "## 0.6.0 (Unreleased, TBD)",
        "## **0.6.0** *(unreleased)*", "0.6.0 (unreleased)\n------------------", "## 0.5.1 (unreleased)",
        "## 0.6.0.dev0 (unreleased)", "## Unreleased", "## Unreleased changes", "## Unreleased (0.6.0)",
        "## Unreleased - TBD", "## Upcoming release", "Unreleased\n----------",
    ],
)  # fmt: skip
def test_unreleased_heading_is_finished(heading: str) -> None:
    """A heading that says that it is unreleased becomes the heading of the release; what is below it comes first."""
    text = f"# Log\n\n{heading}\n\n* mine  \n\n## 0.5.0\n\n- old\n"

    once = inserted(text)

    assert once == "# Log\n\n## 0.6.0 - 2026-11-22\n\n* mine  \n\n- new\n\n## 0.5.0\n\n- old\n"
    assert inserted(once) == once


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # the heading in brackets stays, the notes move
        ("## [Unreleased]\n\n- x\n", "## [Unreleased]\n\n@\n- x\n\n- new\n"),
        (
            "## [Unreleased](https://x.invalid)\n- x",
            "## [Unreleased](https://x.invalid)\n\n@- x\n\n- new\n",
        ),
        ("## [Unreleased]\r\n\r\n- x\r\n", "## [Unreleased]\r\n\r\n@\r\n- x\r\n\r\n- new\r\n"),
        # without notes it is a placeholder
        (
            "## [Unreleased]\n\n### Added\n\n## 0.5.0\n",
            "## [Unreleased]\n\n### Added\n\n@\n- new\n\n## 0.5.0\n",
        ),
        (
            "## Unreleased\n\n<!-- here -->\n\n## 0.5.0\n",
            "## Unreleased\n\n<!-- here -->\n\n@\n- new\n\n## 0.5.0\n",
        ),
        # a heading with a version keeps even headings and comments, and its level
        ("## 0.6.0 (TBD)\n", "@\n- new\n"),
        ("## 0.6.0 (TBD)\n\n### Added\n## 0.5.0\n", "@\n### Added\n\n- new\n\n## 0.5.0\n"),
        ("# 0.6.0 (TBD)\n\n- x\n\n# 0.5.0\n", "#1@\n- x\n\n- new\n\n# 0.5.0\n"),
        ("<a id='x'></a>\n## 0.6.0 (TBD)\n- x\n", "<a id='x'></a>\n@- x\n\n- new\n"),
        # its own heading wins, also below others
        (
            "## Unreleased\n\n- y\n\n## 0.6.0 (TBD)\n\n- x\n",
            "## Unreleased\n\n- y\n\n@\n- x\n\n- new\n",
        ),
        ("## 0.7.0\n\n## 0.6.0 (TBD)\n\n- x\n", "## 0.7.0\n\n@\n- x\n\n- new\n"),
        (
            "## Unreleased\n\n- y\n\n### 3.12\n\n## 0.5.0\n",
            "@\n- y\n\n### 3.12\n\n- new\n\n## 0.5.0\n",
        ),
    ],
)
def test_unreleased_notes_keep_every_byte(before: str, after: str) -> None:
    """Notes below an unreleased heading keep every byte; the heading of the release stands above them."""
    title = "## 0.6.0 - 2026-11-22" + ("\r\n" if "\r" in before else "\n")
    after = after.replace("#1@", title[1:]).replace("@", title)

    assert insert_section(before, Version("0.6.0"), NEW) == after
    assert insert_section(after, Version("0.6.0"), NEW) == after


@pytest.mark.parametrize(
    ("heading", "version"),
    [
        ("## Unreleased", "0.6.0rc1"),
        ("## 0.6.0 (unreleased)", "0.6.0rc1"),
        ("## 0.7.0 (unreleased)", "0.6.0"),
        ("## 1.0.0\n\n## 0.5.1 (unreleased)", "0.6.0"),
        ("## Unreleased\n\n- theirs\n\n## 1.0.0", "0.6.0"),
        ("## Unreleased features of the parser", "0.6.0"),
        ("## Next steps", "0.6.0"),
        ("## 0.5.1 (unreleased features)", "0.6.0"),
        ("## 0.5.1 - 2026-01-01", "0.6.0"),
    ],
)
def test_other_headings_are_never_finished(heading: str, version: str) -> None:
    """The heading of another version stays, and so does one with other words, or one that the release is not next to.

    A prerelease takes only a heading of its own version.
    """
    text = f"# Log\n\n{heading}\n\n- mine\n\n## 0.5.0\n"
    section = Section(text=f"## {version} - 2026-11-22\n\n- new\n")

    after = insert_section(text, Version(version), section)

    assert section.text in after
    assert after.replace(f"{section.text}\n", "", 1) == text


def test_stable_release_keeps_unreleased_prerelease() -> None:
    """Notes below an unreleased heading of a prerelease become those of the stable release that replaces it."""
    text = "## 0.6.0rc1 (unreleased)\n\n- mine\n\n## 0.5.0\n"
    stable = NEW.model_copy(update={"replaces": ("0.6.0rc1",)})

    assert inserted(text, stable) == "## 0.6.0 - 2026-11-22\n\n- mine\n\n- new\n\n## 0.5.0\n"
    assert inserted(text, Section(text="## 0.6.0rc1 - 2026-11-20\n\n- new\n"), "0.6.0rc1") == (
        "## 0.6.0rc1 - 2026-11-20\n\n- mine\n\n- new\n\n## 0.5.0\n"
    )


def test_notes_replace_remark_without_changes() -> None:
    """Where notes are written, the section does not say that there are no notable changes."""
    section = Section(
        text="## 0.6.0 - 2026-11-22\n\nNo notable changes since 0.5.0.\n\n### Contributors\n\n- Ada\n"
    )
    title, remark, people = section.text.split("\n\n", 2)

    assert inserted("## 0.6.0 (TBD)\n\n- x\n", section) == f"{title}\n\n- x\n\n{people}"
    assert inserted("## 0.6.0 (TBD)\n", section) == f"{title}\n\n{remark}\n\n{people}"


@pytest.mark.parametrize(
    "heading",
    [
        "## 0.6.0",
        "## [0.6] - 2026",
        "## `v0.6.0`",
        "## **0.6.0**",
        "# v0.6.0",
        "### Release 0.6.0",
        "0.6.0\n-----",
    ],
)
def test_present_version_is_left_alone(heading: str) -> None:
    """A version that has a heading is left alone."""
    text = f"# Changelog\n\n{heading}\n\n- by hand\n"

    assert insert_section(text, Version("0.6.0"), LINKED) == text


@pytest.mark.parametrize(
    "other", ["0.6.0rc1", "0.6.0.post1", "0.6.0.dev1", "10.6.0", "0.6.0.1", "1!0.6.0"]
)
def test_similar_version_is_another_version(other: str) -> None:
    """A version that only looks alike is another one."""
    assert "- new" in inserted(f"# Changelog\n\n## {other}\n")
    assert versions_in(inserted(f"## {other}\n")).count(Version("0.6.0")) == 1


def test_changelog_keeps_line_ends() -> None:
    """What is added has the line ends of the file."""
    text = "# Changelog\r\n\r\n## 0.5.0\r\n\r\n[0.5.0]: https://x.invalid"

    assert insert_section(text, Version("0.6.0"), LINKED) == (
        "# Changelog\r\n\r\n## [0.6.0] - 2026-11-22\r\n\r\n- new\r\n\r\n## 0.5.0\r\n\r\n"
        "[0.6.0]: https://forge.invalid/6\r\n[0.5.0]: https://x.invalid\r\n"
    )


def test_existing_link_reference_stays_unique() -> None:
    """A link that somebody has written already is not written again; other references stay first."""
    text = "## 0.5.0\n\n[0.6.0]: https://mine.invalid\n"

    assert insert_section(text, Version("0.6.0"), LINKED) == f"{LINKED.text}\n{text}"
    assert inserted("## 0.5.0\n\n[b]: https://b.invalid\n", LINKED).endswith(
        "[b]: https://b.invalid\n[0.6.0]: https://forge.invalid/6\n"
    )


def test_stable_section_replaces_its_prereleases() -> None:
    """A stable version takes the place of its prereleases; whatever else stands there stays."""
    text = """\
        # Changelog

        ## [Unreleased]

        ## [0.6.0rc2] - 2026-11-21

        - two

        ### Performance

        - three

        ## [0.6.0rc1] - 2026-11-20

        - one

        <a name="0.5.0rc1"></a>
        ## [0.5.0rc1] - 2026-01-01

        - old

        [0.6.0rc1]: https://forge.invalid/rc1
        """

    assert inserted(text, NEW.model_copy(update={"replaces": ("0.6.0rc1", "0.6.0rc2")})) == dedent("""\
        # Changelog

        ## [Unreleased]

        ## 0.6.0 - 2026-11-22

        - new

        <a name="0.5.0rc1"></a>
        ## [0.5.0rc1] - 2026-01-01

        - old

        [0.6.0rc1]: https://forge.invalid/rc1
        """)


# ---- properties -----------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "# Changelog", "## [Unreleased]", "## [0.5.0] - 2026-01-01", "## 0.6.0rc1", "## 0.7.0", "### Bug Fixes",
        "- a change", "words", "", "  ", "```", "~~~~", "   ```python", "<!-- so", "so -->", "[0.5.0]: https://x.invalid",
        "[x]: y", "1.0.0", "====", "----", "\ufeff", "\r", "\x0b", "\u2028", "## 2026-01-01", "0.5.0 (old)", "# 0.5.1",
        "10. b", "   * c", "    # d", "<a id='x'></a>", "![x](y)", "| a | b |", "|---|---|", "***",
    ]
)  # fmt: skip
UNRELEASED = st.sampled_from(
    ["## 0.6.0 (TBD)", "## Unreleased", "# 0.4.0 (unreleased)", "0.6.0rc2 (unreleased)"]
)
TITLES = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=4).map("\n".join))


@st.composite
def files(draw: st.DrawFn, pieces: st.SearchStrategy[str] = PIECES) -> str:
    """Make changelogs of any hand, with the line ends of several."""
    lines = draw(st.lists(st.tuples(pieces, st.sampled_from(["\n", "\n", "\r\n"])), max_size=25))
    text = "".join(line + end for line, end in lines)
    return text if draw(st.booleans()) else text[:-1]


@st.composite
def sections(draw: st.DrawFn) -> tuple[Version, Section]:
    """Make sections of what anybody may commit."""
    version = Version(draw(st.sampled_from(["0.6.0", "0.4.0", "0.6.0rc2", "1!0.1"])))
    notes = draw(TITLES)
    messages = [
        f"feat: x{draw(TITLES)}",
        f"feat!: {draw(TITLES)}\n\nBREAKING CHANGE: {notes}",
        "fix: y",
    ]
    entry = changelog_entry(
        version,
        DATE,
        changes_of(*messages),
        LAST,
        settings_of(changelog_sections={"other": "Other"}),
    )
    return version, render_section(
        entry, draw(st.sampled_from([RepositoryUrls(), GITHUB])), "core-v0.6.0", LAST
    )


@given(files(PIECES | UNRELEASED), sections())
def test_second_insert_changes_nothing(text: str, given_section: tuple[Version, Section]) -> None:
    """Inserting a version twice is the same as once, whatever the file and the commits hold."""
    version, section = given_section

    once = insert_section(text, version, section)

    assert version in versions_in(once)
    assert insert_section(once, version, section) == once
    assert versions_in(once).count(version) == max(1, versions_in(text).count(version))


@given(files(), sections())
def test_insert_keeps_all_other_text(text: str, given_section: tuple[Version, Section]) -> None:
    """What is inserted is one piece, and one line for its link; taken out again, the file is what it was."""
    version, section = given_section
    once = insert_section(text, version, section)
    if not text.strip("\ufeff \r\n\x0b\u2028") or once == text:
        return

    levels = [
        re.sub("^##", level, section.text, flags=re.MULTILINE) for level in ("##", "#", "###")
    ]
    forms = [form.replace("\n", ends) for ends in ("\r\n", "\n") for form in levels]
    pairs = [form.partition("\n")[::2] for form in forms]
    title, body = next(
        (title, body) for title, body in pairs if title in once and body.lstrip() in once
    )
    # Notes that were written below [Unreleased] stand between title and changes.
    head, _, rest = once.partition(f"{title}\n")
    notes, found, tail = rest.partition(body.lstrip())
    assert found
    head += notes
    link = f"[{version}]: {section.link}"
    if section.link and link in tail:
        before, _, after = tail.partition(link)
        tail = before + after.removeprefix("\r").removeprefix("\n")
    # Blank lines are set between the pieces, and a line end after a last line that has none.
    assert "".join((head + tail).split()) == "".join(text.split())
    assert without_ends(head + tail, text) == ""


def without_ends(longer: str, shorter: str) -> str:
    """Return what of *longer* is not in *shorter*, which must hold the same characters in order, but for line ends."""
    rest = iter(longer)
    extra: list[str] = []
    for wanted in shorter:
        for character in rest:
            if character == wanted:
                break
            extra.append(character)
        else:
            return f"{wanted!r} is gone"
    return "".join([*extra, *rest]).replace("\r", "").replace("\n", "")


@given(sections())
def test_commits_cannot_inject_headings(given_section: tuple[Version, Section]) -> None:
    """Whatever commits say, a section has its own headings alone, and nothing in it opens a fence, comment or list.

    What a reader of Markdown makes of it are lists, code and links to the forge.
    """
    version, section = given_section

    assert versions_in(section.text) == (version,)
    read = MarkdownIt().enable(["table", "strikethrough"]).parse(section.text)
    shown = {
        token.type.removesuffix("_open").removesuffix("_close")
        for block in read
        for token in (block, *(block.children or ()))
    }
    assert shown <= {
        "heading",
        "paragraph",
        "inline",
        "text",
        "softbreak",
        "link",
        "code_inline",
        "code_block",
        "strong",
    } | {"bullet_list", "ordered_list", "list_item"}
    assert [block.level for block in read if block.type == "heading_open"] == [
        0
    ] * section.text.count("\n##") + [0]
    for line in section.text.split("\n")[1:]:
        assert not line or line.startswith(("### ", "- ", "  ", "No notable")), line
        assert not re.match(r" {0,3}(```[^`]*$|~~~|<!--)", line), line
        assert "-->" not in line


def test_note_follows_its_heading() -> None:
    """A note goes below the heading of its version, once; every other byte stays the same."""
    text = (
        "# Changelog\r\n\r\n## [1.1.0] - 2026-11-22\r\n\r\n- new\r\n\r\n## 1.0.0\r\n\r\n- first\r\n"
    )
    note = "**Yanked on 2026-11-27:** it deletes files"

    noted = add_note(text, Version("1.1.0"), note)

    assert noted == text.replace("22\r\n", f"22\r\n\r\n{note}\r\n")
    assert add_note(noted, Version("1.1.0"), "**Yanked on 2026-11-28:** it still does") == noted
    assert add_note(text, Version("3.0.0"), note) == text
    assert add_note("## 1.0.0", Version("1.0.0"), note) == f"## 1.0.0\n\n{note}\n"
    assert add_note(noted, Version("1.0.0"), note).count(note) == 2
