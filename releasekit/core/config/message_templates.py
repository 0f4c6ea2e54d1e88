"""The templates of the messages of release commits and tags: check them, and fill them in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from releasekit.core.picking import drop
from releasekit.core.text import join_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLACEHOLDER = re.compile(r"\{(\w*)\}")
DEFAULT_COMMIT_MESSAGE = "chore(release): {release}"
COMMIT_PLACEHOLDERS = ("release", "date", "packages", "tags")
TAG_PLACEHOLDERS = ("tag", "name", "version", "release", "date")
TITLE_LENGTH = 100
"""The maximum length of a title, without the values of its placeholders. GitHub allows 256 characters with them."""
_TITLE_PLACEHOLDERS = ("release", "date")

# Characters that move a terminal's cursor, colour its text or change the reading direction; a body has lines and tabs.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_WORD = re.compile(r"[^\W\d_]{2}")


def split_message(template: str) -> tuple[str, str]:
    """Return the title and the body of *template*, without empty lines around them."""
    title, _, body = template.strip().partition("\n")
    return title.rstrip(), body.strip("\n").rstrip()


def join_message(title: str, body: str) -> str:
    """Return *title* and *body* as one message, with the empty line that git wants between them."""
    return join_texts("\n\n", title, body)


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """Return *template* with each placeholder replaced by its value."""
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)


def commit_message_problem(template: str) -> str:
    """Return why *template* cannot be the message of release commits; empty if it can.

    releasekit finds its commits by their titles. So a title must contain the name of the release and a word of its own,
    and no list, whose end nobody could find.
    """
    problem = _message_problem(template, COMMIT_PLACEHOLDERS)
    if problem:
        return problem
    title, _ = split_message(template)
    placeholders = PLACEHOLDER.findall(title)
    if placeholders.count("release") != 1:
        return "the title must contain {release} exactly once"
    lists = drop(placeholders, _TITLE_PLACEHOLDERS)
    if lists:
        return f"{{{lists[0]}}} is a list, which only the body can contain; the body is the text after the first line"
    text_beside_placeholders = PLACEHOLDER.sub(" ", title)
    if not _WORD.search(text_beside_placeholders):
        return "the title needs a word beside its placeholders; without one, other commits look like release commits"
    return ""


def tag_message_problem(template: str) -> str:
    """Return why *template* cannot be the message of tags; empty if it can."""
    return _message_problem(template, TAG_PLACEHOLDERS)


def _message_problem(template: str, placeholders: Sequence[str]) -> str:
    title, _ = split_message(template)
    if not title:
        return "the title is empty"
    text = template.replace("\r\n", "\n")
    has_controls = "\t" in title or _CONTROLS.search(text) is not None
    if has_controls:
        return "control characters are not allowed"
    title_without_placeholders = PLACEHOLDER.sub("", title)
    if len(title_without_placeholders) > TITLE_LENGTH:
        return f"the title is longer than {TITLE_LENGTH} characters; text after the first line is the body"
    known = ", ".join(f"{{{name}}}" for name in placeholders)
    unknown = drop(PLACEHOLDER.findall(template), placeholders)
    if unknown:
        return f"{{{unknown[0]}}} is unknown; the placeholders are {known}"
    text_without_placeholders = PLACEHOLDER.sub("", template)
    if re.search("[{}]", text_without_placeholders):
        return f"braces are only for placeholders: {known}"
    return ""
