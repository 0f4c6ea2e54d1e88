"""The templates of messages, and what is said of mistakes in them."""

from __future__ import annotations

import pytest

from releasekit.core.config.message_templates import (
    DEFAULT_COMMIT_MESSAGE,
    commit_message_problem,
    split_message,
    tag_message_problem,
)


@pytest.mark.parametrize(
    "template",
    [
        DEFAULT_COMMIT_MESSAGE,
        "Release {release}",
        "{release} released on {date}",
        "🚀 release: {release} ({date})\n\n{tags}\n\tindented\n",
        "\nrelease {release}\r\n\r\n{packages}\r\n",
        "发布 {release}",
        "x" * 100 + "{release}",
    ],
)
def test_readable_commit_messages_are_accepted(template: str) -> None:
    """A title with a word and the name of the release will do, in any language, with or without a body."""
    assert commit_message_problem(template) == ""


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("", "the title is empty"),
        (" \n\n ", "the title is empty"),
        ("{release}", "the title needs a word beside its placeholders"),
        ("v {release}: {date}", "the title needs a word beside its placeholders"),
        ("🚀 {release} 1.0", "the title needs a word beside its placeholders"),
        ("Release {date}", "the title must contain {release} exactly once"),
        ("Release\n\n{release}", "the title must contain {release} exactly once"),
        ("Release {release} {release}", "the title must contain {release} exactly once"),
        ("Release {release}: {packages}", "{packages} is a list, which only the body can contain"),
        (
            "Release {version}",
            "{version} is unknown; the placeholders are {release}, {date}, {packages}, {tags}",
        ),
        ("Release {release}\n\n{}", "{} is unknown"),
        ("Release {release} {", "braces are only for placeholders"),
        ("Release {{release}}", "braces are only for placeholders"),
        ("Release {release !r}", "braces are only for placeholders"),
        ("Release \x1b[31m{release}", "control characters are not allowed"),
        ("Release\t{release}", "control characters are not allowed"),
        ("Release {release}\n\n\u202e{packages}", "control characters are not allowed"),
        ("x" * 101 + "{release}", "the title is longer than 100 characters"),
    ],
)
def test_bad_commit_message_is_named(template: str, problem: str) -> None:
    """What git or a later plan could not read is refused."""
    assert commit_message_problem(template).startswith(problem)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{tag}", ""),
        ("{name} {version}\n\nPart of {release}, {date}", ""),
        (
            "{tags}",
            "{tags} is unknown; the placeholders are {tag}, {name}, {version}, {release}, {date}",
        ),
        ("", "the title is empty"),
        ("{tag}\x07", "control characters are not allowed"),
    ],
)
def test_tag_message_needs_no_word(template: str, problem: str) -> None:
    """Nobody recognises a tag by its message, so a placeholder alone will do."""
    assert tag_message_problem(template) == problem


def test_message_splits_at_first_line() -> None:
    """Empty lines around title and body do not count."""
    assert split_message("\n  Release \n\n\n  one\ntwo\n\n") == ("Release", "  one\ntwo")
    assert split_message("Release") == ("Release", "")
