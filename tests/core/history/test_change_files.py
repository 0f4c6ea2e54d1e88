"""Change files as text: what is read, what is refused, and what is removed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.core.config.bump_rules import Bump
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.change_files import (
    ChangeDirectory,
    ChangeFile,
    change_directories,
    packages_in,
    parse_change_file,
    remove_packages,
    render_change_file,
)
from releasekit.core.history.change_names import readable_name

OURS, CHANGESETS, SEMVERSIONER, *MEMBERS = change_directories(
    {"packages/core": "core", "packages/app": "app"}
)
NAMES = frozenset({"app", "core", "web-ui"})
BUMPS = st.dictionaries(st.sampled_from(sorted(NAMES)), st.sampled_from(Bump), max_size=3)
LINES = st.lists(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30),
    max_size=5,
)


def parse(text: str, directory: ChangeDirectory = OURS) -> ChangeFile:
    """Parse a file of this directory."""
    return parse_change_file(directory, f"{directory.path}/x{directory.suffix}", text, NAMES)


def refusal_of(text: str, directory: ChangeDirectory = OURS) -> tuple[str, str]:
    """Return location and message of the refusal of a file."""
    with pytest.raises(Refusal) as caught:
        parse(text, directory)
    assert caught.value.code is ErrorCode.CHANGE_INVALID
    return caught.value.location, caught.value.message


@pytest.mark.parametrize(
    "head",
    [
        "core: minor\nweb-ui: none",
        "\"core\": minor\n'web-ui': none",
        "# why\n\ncore:   'minor'  # as agreed\nWeb_UI: none",
        "core: minor\r\nweb-ui: none\r",
    ],
)
def test_plain_lines_name_bumps(head: str) -> None:
    """Quotes, comments, blank lines, other line ends and other spellings of a name change nothing."""
    file = parse(f"\ufeff\n---\n{head}\n---\n\nAdd streaming.  \n\n- a\n\n")

    assert file.bumps == {"core": Bump.MINOR, "web-ui": Bump.NONE}
    assert (file.text, file.heading) == ("Add streaming.\n\n- a", "")


def test_first_heading_is_chosen() -> None:
    """A text that begins with a heading of any level chooses its heading in the changelog."""
    file = parse("---\ncore: patch\n---\n### Known issues ##\n\nNone.\n\n## Later\n")

    assert (file.heading, file.text) == ("Known issues", "None.\n\n## Later")
    assert file.change_of("core").title == "None."


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the first line must be `---`"),
        ("core: minor\n", 1, "the first line must be `---`"),
        ("\n\n---\ncore: minor\n", 3, "no second line `---`"),
        ("---\ncore minor\n---\n", 2, "not a line of the form `name: bump`: core minor"),
        ("---\n\ncore:minor\n---\n", 3, "not a line of the form `name: bump`"),
        ("---\n- core\n---\n", 2, "not a line of the form"),
        ('---\n"core: minor\n---\n', 2, "not a line of the form"),
        ("---\n  core: minor\n---\n", 2, "not a line of the form"),
        ("---\ncore: { a: b }\n---\n", 2, "not a line of the form"),
        (
            "---\ncore: mino\n---\n",
            2,
            "mino is not one of major, minor, patch, none; did you mean minor?",
        ),
        ("---\ncore: Minor\n---\n", 2, "Minor is not one of"),
        ("---\ncore: patch\nCore: minor\n---\n", 3, "Core is named twice"),
        (
            "---\ncore: patch\nweb_iu: minor\n---\n",
            3,
            "no member of the workspace is named web_iu; did you mean web-ui?",
        ),
    ],
)
def test_other_lines_are_refused(text: str, line: int, message: str) -> None:
    """Anything else is an error with file and line."""
    location, refused = refusal_of(text)

    assert location == f".changes/x.md:{line}"
    assert refused.startswith(message)


def test_changesets_name_others_too() -> None:
    """In `.changeset`, a name outside the workspace belongs to another tool."""
    file = parse('---\n"core": patch\n"@acme/button": major\n---\n', CHANGESETS)

    assert file.bumps == {"core": Bump.PATCH}
    assert file.foreign_names == ("@acme/button",)


@pytest.mark.parametrize(
    ("kind", "bump", "heading"),
    [
        ("major", Bump.MAJOR, ""),
        ("patch", Bump.PATCH, ""),
        ("breaking", Bump.MAJOR, ""),
        ("feature", Bump.MINOR, ""),
        ("enhancement", Bump.PATCH, "Enhancements"),
        ("dependency", Bump.PATCH, "Dependencies"),
    ],
)
def test_json_types_are_bumps(kind: str, bump: Bump, heading: str) -> None:
    """Semversioner's files are for all packages, those of a member for it alone; other fields do not matter."""
    text = f'{{"type": "{kind}", "description": " Add it.\\n", "issue": 4}}'

    shared = parse(text, SEMVERSIONER)
    assert shared.bumps == {"app": bump, "core": bump}
    assert (shared.text, shared.heading, shared.names_packages) == ("Add it.", heading, False)
    assert [list(parse(text, member).bumps) for member in MEMBERS] == [
        ["app", "core"],
        ["app"],
        ["core"],
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{\n"type": "minor"\n"description"', ":3", "not valid JSON: "),
        ('["minor"]', "", "the file needs the texts `type` and `description`"),
        ('{"type": "minor"}', "", "the file needs the texts"),
        (
            '{"type": "fix", "description": "a"}',
            "",
            "the type fix is not one of major, minor, patch, breaking",
        ),
    ],
)
def test_broken_json_is_refused(text: str, line: str, message: str) -> None:
    """Damaged JSON, a missing field and an unknown type are errors with the file."""
    location, refused = refusal_of(text, SEMVERSIONER)

    assert location == f".semversioner/next-release/x.json{line}"
    assert refused.startswith(message)


@given(BUMPS, LINES)
def test_rendered_file_reads_back(bumps: dict[str, Bump], lines: list[str]) -> None:
    """What is written is read again, whatever the text."""
    body = "\n".join(line.rstrip() for line in lines).strip("\n")
    if re.match(r"\s*#{1,6}[ \t]", body):
        body = f"- {body}"

    file = parse(render_change_file(bumps, body))

    assert file.bumps == bumps
    assert file.text == body.strip("\n")


@given(BUMPS, LINES, st.sets(st.sampled_from(sorted(NAMES))))
def test_removal_keeps_the_rest(bumps: dict[str, Bump], lines: list[str], names: set[str]) -> None:
    """Only the lines of the packages go. A line of that form in the text stays."""
    body = "\n".join(["Text", *lines, "core: minor", "---", "app: major"])
    text = render_change_file(bumps, body)

    shorter = remove_packages(text, names)

    assert shorter == render_change_file(
        {name: bump for name, bump in bumps.items() if name not in names}, body
    )
    assert packages_in(OURS, ".changes/x.md", shorter) == bumps.keys() - names


def test_removal_keeps_every_byte() -> None:
    """Quotes, comments and line ends of the other lines stay, and other spellings of the name are removed."""
    text = "---\r\n# c\r\n'Web.UI': minor\r\n\"core\" : odd\r\napp: patch # a\r\n---\r\n\r\nT \r\n"

    assert remove_packages(text, {"web-ui"}) == text.replace("'Web.UI': minor\r\n", "")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".changes/a.md", [OURS]),
        (".changes/README.md", []),
        (".changes/.hidden.md", []),
        (".changes/deep/a.md", []),
        (".changeset/config.json", []),
        (".changeset/a.md", [CHANGESETS]),
        (".semversioner/1.0.0.json", []),
        ("packages/core/.changes/next-release/a.json", [MEMBERS[2]]),
        ("packages/core/.changes/1.0.0.json", []),
    ],
)
def test_directories_know_their_files(path: str, expected: list[ChangeDirectory]) -> None:
    """Only the pending files of each tool count; its configuration and its released files do not."""
    assert [
        directory
        for directory in (OURS, CHANGESETS, SEMVERSIONER, *MEMBERS)
        if directory.contains(path)
    ] == expected


def test_root_package_has_own_files() -> None:
    """At the root, JSON files are for the package there; without one, for all."""
    directories = {
        directory.path: directory for directory in change_directories({".": "top", "lib": "core"})
    }

    assert directories[".changes/next-release"].packages == ("top",)
    assert directories[".semversioner/next-release"].packages == ("core", "top")


def test_unreadable_history_names_nobody() -> None:
    """A file that could not be read at an earlier commit named no package there."""
    assert packages_in(OURS, ".changes/x.md", "core: minor") == frozenset()


def test_random_names_avoid_others() -> None:
    """A name that is taken gets one more word."""
    words = iter([0, 0, 1])

    name = readable_name(lambda choices: choices[next(words)], {"amber-apple"})

    assert name == "amber-apple-badger"
