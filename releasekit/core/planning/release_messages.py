"""Writes the messages of release commits and tags, and recognises release commits by their titles."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from releasekit.core.config.message_templates import (
    DEFAULT_COMMIT_MESSAGE,
    PLACEHOLDER,
    fill_template,
    join_message,
    split_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from releasekit.core.history.commits import Commit
    from releasekit.core.planning.model import Plan

_VALUE_PATTERNS = {
    "release": r"(?P<release>\S*\d\S*)",  # a tag has no spaces, and its version or date has a digit
    "date": r"\d{4}-\d\d-\d\d",
}
_PULL_REQUEST = r"(?: \([#!]\d+\))?"
"""What a squash merge appends to the title: the number of the pull request."""


@dataclass(frozen=True)
class ReleaseCommits:
    """Recognises release commits by their titles, which *templates* made; the default template is always one of them.

    A trailer would not do: a squash merge keeps only the title of the pull request.
    """

    templates: tuple[str, ...] = ()

    @cached_property
    def _titles(self) -> tuple[re.Pattern[str], ...]:
        patterns = dict.fromkeys(map(_title_pattern, self.templates))
        # Somebody may have put words before the default title when the pull request was merged.
        default = rf'(?:[^"“]*\s)?{_title_pattern(DEFAULT_COMMIT_MESSAGE)}'
        return tuple(map(re.compile, [*patterns, default]))

    def title_in(self, subject: str) -> str:
        """Return the title of the release in the *subject* of a release commit, empty for other commits."""
        matches = (title.fullmatch(subject) for title in self._titles)
        return next((match["release"] for match in matches if match), "")

    def mark(self, commits: Iterable[Commit]) -> Iterator[Commit]:
        """Yield *commits*, and set in each release commit the title of its release."""
        for commit in commits:
            title = self.title_in(commit.message.partition("\n")[0].rstrip())
            yield replace(commit, release=title) if title else commit


def _title_pattern(template: str) -> str:
    title, _ = split_message(template)
    literals = PLACEHOLDER.split(title)  # every other one is the name of a placeholder
    patterns = [
        _VALUE_PATTERNS[text] if index % 2 else re.escape(text)
        for index, text in enumerate(literals)
    ]
    return "".join(patterns) + _PULL_REQUEST


def commit_title(plan: Plan, template: str) -> str:
    """Return the title of the release commit of *plan*."""
    title, _ = split_message(template)
    return fill_template(title, _plan_values(plan))


def commit_message(plan: Plan, template: str) -> str:
    """Return the message of the release commit of *plan*. A list has one line for each package or tag."""
    _, body = split_message(template)
    packages = [f"{step.name} {step.version}" for step in plan.steps]
    values = {
        **_plan_values(plan),
        "packages": "\n".join(packages),
        "tags": "\n".join(plan.all_tags),
    }
    return join_message(commit_title(plan, template), fill_template(body, values))


def tag_message(plan: Plan, tag: str, template: str) -> str:
    """Return the message of *tag*, one of the tags of *plan*.

    A tag of several packages has neither a name nor a version. If *template* needs one, the message is the tag itself.
    """
    tagged = [step for step in plan.steps if step.tag == tag]
    values = {**_plan_values(plan), "tag": tag}
    if len(tagged) == 1:
        values |= {"name": tagged[0].name, "version": str(tagged[0].version)}
    title, body = split_message(template)
    message = join_message(title, body)
    is_complete = values.keys() >= set(PLACEHOLDER.findall(message))
    return fill_template(message, values) if is_complete else tag


def _plan_values(plan: Plan) -> dict[str, str]:
    return {"release": plan.title, "date": plan.date.replace(".", "-")}
