"""The messages of release commits and tags, and which commits are recognised by them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from releasekit.core.config.message_templates import DEFAULT_COMMIT_MESSAGE, commit_message_problem
from releasekit.core.planning.release_messages import (
    ReleaseCommits,
    commit_message,
    commit_title,
    tag_message,
)
from tests.support.builders import commit, plan_of

PLAN = plan_of("app: core", "db:", "web:").model_copy(
    update={"tags": ("v1.1",), "date": "2026.11.26"}
)
ONE = plan_of("core:").model_copy(update={"tags": (), "date": "2026.11.26"})


class TestWriting:
    """What is written."""

    def test_default_title_names_the_release(self) -> None:
        """Without the key, the message is one line."""
        assert commit_message(PLAN, DEFAULT_COMMIT_MESSAGE) == "chore(release): v1.1"

    def test_body_lists_packages_and_tags(self) -> None:
        """Each list has a line for each of its items, dependencies first."""
        message = commit_message(PLAN, "\nRelease {release} ({date})\n\n{packages}\n\n{tags}\n")

        title, empty, *body = message.split("\n")
        assert (
            title == "Release v1.1 (2026-11-26)" == commit_title(PLAN, "Release {release} ({date})")
        )
        assert (empty, body[:4]) == ("", ["core 1.1", "db 1.1", "web 1.1", "app 1.1"])
        assert body[4:] == ["", "core-v1.1", "db-v1.1", "web-v1.1", "app-v1.1", "v1.1"]

    def test_body_follows_an_empty_line(self) -> None:
        """Git takes the first paragraph as the title."""
        assert commit_message(ONE, "Release {release}\n{packages}").split("\n")[1:] == [
            "",
            "core 1.1",
        ]

    @pytest.mark.parametrize(
        ("template", "tag", "message"),
        [
            ("{tag}", "core-v1.1", "core-v1.1"),
            ("{name} {version}\n\n{release}, {date}", "core-v1.1", "core 1.1\n\nv1.1, 2026-11-26"),
            ("{name} {version}", "v1.1", "v1.1"),
            ("Release {tag} of {date}", "v1.1", "Release v1.1 of 2026-11-26"),
        ],
    )
    def test_tag_message_names_its_package(self, template: str, tag: str, message: str) -> None:
        """The umbrella tag belongs to no package: a message that needs one is the tag itself."""
        assert tag_message(PLAN, tag, template) == message

    def test_shared_tag_has_no_name(self) -> None:
        """A tag of several packages names none of them; the tag of a single package does."""
        shared = PLAN.model_copy(
            update={
                "packages": tuple(step.model_copy(update={"tag": "v1.1"}) for step in PLAN.packages)
            }
        )

        assert tag_message(shared, "v1.1", "{name} {version}") == "v1.1"
        assert tag_message(ONE, "core-v1.1", "{name} {version}") == "core 1.1"


class TestRecognising:
    """Which commits are releases."""

    @pytest.mark.parametrize(
        ("subject", "title"),
        [
            ("chore(release): v1.3.0", "v1.3.0"),
            ("chore(release): core/v1.3.0 (#12)", "core/v1.3.0"),
            ("chore(release): release-2026.11.26.2 (!7)", "release-2026.11.26.2"),
            ("ABC-12 chore(release): v1.3.0", "v1.3.0"),
            ("Release v1.3.0", ""),
            ("chore(release): speed up the script", ""),
            ("chore(release): automate", ""),
            ('Revert "chore(release): v1.3.0"', ""),
            ("chore: v1.3.0", ""),
        ],
    )
    def test_default_title_is_always_known(self, subject: str, title: str) -> None:
        """Commits from before the key was set stay releases, and a squash merge may append its number."""
        assert ReleaseCommits().title_in(subject) == title
        assert ReleaseCommits(("Ship {release}",)).title_in(subject) == title

    @pytest.mark.parametrize(
        ("template", "subject", "title"),
        [
            ("Release {release}", "Release v1.3.0", "v1.3.0"),
            ("Release {release}", "Release v1.3.0 (#12)", "v1.3.0"),
            ("Release {release}", "Release notes", ""),
            ("Release {release}", "Release 2 more streams", ""),
            ("Release {release}", "Do not Release v1.3.0", ""),
            ("Release {release}", "release v1.3.0", ""),
            ("Release {release}", 'Revert "Release v1.3.0"', ""),
            ("Release {release} ({date})", "Release v1.3.0 (2026-11-26) (!3)", "v1.3.0"),
            ("Release {release} ({date})", "Release v1.3.0 (today)", ""),
            ("{date}: release{release}.", "2026-11-26: releasev1.3.0.", "v1.3.0"),
            ("Release {release}\n\n{packages}", "Release v1.3.0", "v1.3.0"),
        ],
    )
    def test_own_title_matches_as_written(self, template: str, subject: str, title: str) -> None:
        """Only the whole title counts, with the name of a release in its place."""
        assert ReleaseCommits((template,)).title_in(subject) == title

    def test_earlier_templates_stay_known(self) -> None:
        """A list keeps the titles that were written before."""
        releases = ReleaseCommits(("Ship {release}", "Release {release}"))

        assert [releases.title_in(f"{verb} v1") for verb in ("Ship", "Release", "Publish")] == [
            "v1",
            "v1",
            "",
        ]

    def test_mark_keeps_other_commits(self) -> None:
        """Only release commits get the title of their release."""
        commits = [commit("1", message="Ship v1\n\nfeat: x"), commit("2", message="feat: Ship v1")]

        marked = list(ReleaseCommits(("Ship {release}",)).mark(commits))
        assert [one.release for one in marked] == ["v1", ""]
        assert [one.message for one in marked] == [one.message for one in commits]


WORDS = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="{}"), max_size=12)


@given(
    st.sampled_from(["", " "]),
    st.lists(WORDS, max_size=4),
    st.permutations(["{release}", "{date}", "and"]),
)
@example(" ", ["(#1)"], ["{release}", "and"])
def test_written_titles_are_always_recognised(
    between: str, words: list[str], parts: list[str]
) -> None:
    """Whatever template is accepted, its commits are found again, with the right name of the release."""
    template = between.join([*words, *parts, *words])
    if commit_message_problem(template):
        return
    title = commit_title(PLAN, template)
    assert ReleaseCommits((template,)).title_in(title) == PLAN.title
    assert ReleaseCommits((template,)).title_in(f"{title} (#12)") == PLAN.title
