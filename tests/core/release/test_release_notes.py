"""Release notes: what they tell, of whom, in how many characters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.version import Version

from releasekit.core.changelog.changelog import PreviousRelease, changelog_entry
from releasekit.core.changelog.note_entries import PackageNotes, package_notes
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.commits import parse
from releasekit.core.history.web_links import RepositoryUrls
from releasekit.core.release.release_notes import (
    PullRequest,
    ReleaseNotes,
    build_release_notes,
    render,
    truncate,
)
from releasekit.core.release.target import Target
from tests.support.builders import commit, plan_of, settings_of

PAGE = "https://github.com/ada/engine"
WEB = RepositoryUrls(PAGE)
INDEX = "https://index.example.org/simple"
TEMPLATE = (Path(__file__).parents[3] / "releasekit/templates/notes.md.jinja").read_text()
PULL = PullRequest(7, "Take <b>things</b>", f"{PAGE}/pull/7", "bea", ("fruit",))


def sha(number: int) -> str:
    """Return the sha of a tale's commit."""
    return f"{number:040x}"


def tale(*messages: str, since: str = "x-v1.0", author: str = "Ada") -> PackageNotes:
    """Return the tale of a package with these commits since its tag; their shas count up from 1."""
    changes = [
        parse(commit(sha(number), message=message)) for number, message in enumerate(messages, 1)
    ]
    before = PreviousRelease(Version("1.0") if since else None, since)
    entry = changelog_entry(Version("1.1"), "2026-11-22", changes, before, settings_of())
    return package_notes(entry, before, {change.sha: author for change in changes})


def notes(
    tales: dict[str, PackageNotes],
    *,
    pulls: dict[int, PullRequest] | None = None,
    new: tuple[str, ...] = (),
    web: RepositoryUrls = WEB,
) -> ReleaseNotes:
    """Return the notes of a release of these packages, each from 1.0 to 1.1."""
    plan = plan_of(*(f"{name}:" for name in tales)).model_copy(update={"tales": tales})
    by_sha = {sha(number): pull for number, pull in (pulls or {}).items()}
    files = {name: f"packages/{name}/CHANGELOG.md" for name in tales}
    return build_release_notes(
        plan, Target(INDEX, f"{INDEX}/"), web, pull_requests=by_sha, newcomers=new, files=files
    )


def text(found: ReleaseNotes, template: str = TEMPLATE, limit: int = 125_000) -> str:
    """Render *found*."""
    return render(found, template, limit, "notes.md")


def test_umbrella_notes_start_with_breaking() -> None:
    """What breaks comes first, then packages with links to the index, then what changed in each, then who is new."""
    core = tale(
        "feat(api)!: take all\n\nBREAKING CHANGE: call `take()`\n  twice",
        "feat: pears (#9)",
        "fix: cores",
    )

    assert text(
        notes(
            {"app": tale("fix(app): it", author="Bea"), "core": core}, pulls={1: PULL}, new=("Bea",)
        )
    ) == (
        f"""\
## Breaking changes

- **core:** **api:** take all ([#7]({PAGE}/pull/7)) by @bea

  call `take()`
  twice

## Packages

| package | version | before |
|---|---|---|
| [app]({INDEX}/app/) | 1.1 | 1.0 |
| [core]({INDEX}/core/) | 1.1 | 1.0 |

## app 1.1

### Bug Fixes

- it ([#7]({PAGE}/pull/7)) by @bea

## core 1.1

### Features

- pears ([#9]({PAGE}/pull/9)) ([0000000]({PAGE}/commit/{sha(2)})) by Ada

### Bug Fixes

- cores ([0000000]({PAGE}/commit/{sha(3)})) by Ada

## New contributors

- @bea made a first contribution in [#7]({PAGE}/pull/7)

**All changes**: {PAGE}/compare/x-v1.0...release-2026.11.22
"""
    )


def test_first_release_notes_skip_history() -> None:
    """A first release tells that it is one, and no history."""
    said = text(notes({"core": tale("feat: a", since="")}))

    assert f"| [core]({INDEX}/core/) | 1.1 | new |" in said
    assert "feat" not in said
    assert said.endswith(f"**All changes**: {PAGE}/commits/core-v1.1\n")


def test_notes_name_people_without_mentions() -> None:
    """With a pull request people are named as on the forge, else by name; programs are nobody, and nobody is called."""
    bot = PullRequest(8, "bump", f"{PAGE}/pull/8", "dependabot[bot]")
    found = notes(
        {
            "core": tale(
                "feat: @dataclass, not `@property`", "fix: b", "fix: c", author="Bo @home <b>"
            )
        },
        pulls={2: PULL, 3: bot},
    )

    assert found.contributors == ("@bea", "Bo @<!-- -->home \\<b>")
    first, second, third = [line for part in found.packages[0].parts for line in part.changes]
    assert first.text == "@<!-- -->dataclass, not `@property`"
    assert (second.by, second.title, second.labels) == (
        "@bea",
        "Take \\<b>things\\</b>",
        ("fruit",),
    )
    assert third.by == ""


def test_notes_follow_forge_conventions() -> None:
    """On GitLab requests are called by `!`; where there are no pages, shas stand alone."""
    lab = RepositoryUrls("https://gitlab.com/ada/engine", kind="gitlab")
    merge = PullRequest(7, "t", f"{lab.base}/-/merge_requests/7", "bea")

    assert f"- a ([!7]({merge.page})) by @bea" in text(
        notes({"core": tale("feat: a")}, pulls={1: merge}, web=lab)
    )
    said = text(notes({"core": tale("feat: a")}, web=RepositoryUrls()))
    assert "- a (0000000) by Ada" in said
    assert "All changes" not in said


@pytest.mark.parametrize("limit", [125_000, 65_536, 9_000, 500])
def test_long_notes_fit_the_limit(limit: int) -> None:
    """However much there is to tell, it fits: fewer changes a package first, and lines are cut only at last."""
    many = tale(
        "feat!: b\n\nBREAKING CHANGE: " + "long " * 200,
        *(f"feat: number {n} " + "x" * 60 for n in range(60)),
    )
    found = notes({f"package-{number}": many for number in range(80)})

    said = text(found, limit=limit)

    assert limit * 0.8 < len(said) <= limit
    if limit > 50_000:
        assert re.search("… and [45][0-9] more: ", said)
        assert f": {PAGE}/blob/package-79-v1.1/packages/package-79/CHANGELOG.md" in said
        assert "| [package-79](" in said
    else:
        assert said.endswith(f"… shortened; full text: {found.all}\n")


def test_notes_within_limit_stay_whole() -> None:
    """What fits is told as it is."""
    found = notes({"core": tale(*(f"feat: number {n}" for n in range(300)))})

    assert text(found).count("- number") == 300
    assert "more:" not in text(found)


def test_truncate_cuts_at_line_end() -> None:
    """A text is cut at the end of a line, and says where the rest is, if that is known."""
    assert truncate("one\ntwo\n", 8, "x") == "one\ntwo\n"
    assert (
        truncate("one\ntwo\n" + "x" * 50, 40, "there")
        == "one\ntwo\n\n… shortened; full text: there\n"
    )
    assert truncate("one\ntwo\n" + "x" * 50, 25, "") == "one\ntwo\n\n… shortened\n"


@pytest.mark.parametrize(
    ("template", "where", "what"),
    [
        ("a\n{% for x in %}", "notes.md:2", "Expected an expression"),
        ("{{ missing }}", "notes.md", "'missing' is undefined"),
        ("{{ title.missing.more }}", "notes.md", "has no attribute 'missing'"),
        ("{{ ''.__class__.__mro__ }}", "notes.md", "unsafe"),
        ("{% include '/etc/passwd' %}", "notes.md", "no loader"),
        ("{{ packages.append(1) }}", "notes.md", "no attribute 'append'"),
        ("{{ 1 / 0 }}", "notes.md", "ZeroDivisionError"),
        ("{{ range(10000000) | list }}", "notes.md", "OverflowError"),
    ],
)
def test_unsafe_notes_templates_are_refused(template: str, where: str, what: str) -> None:
    """A template that is wrong, or reaches for what is none of its business, is refused by name."""
    with pytest.raises(Refusal) as caught:
        text(notes({"core": tale("feat: a")}), template)

    assert (caught.value.code, caught.value.location) == (ErrorCode.NOTES_TEMPLATE, where)
    assert what in caught.value.message


def test_notes_template_gets_documented_values() -> None:
    """A template is given all that is documented."""
    template = """\
{{ title }} {{ date }}
{% for package in packages %}
{{ package.name }} {{ package.before }} {{ package.version }} {{ package.tag }} {{ package.page }} {{ package.all }}
{% for part in package.parts %}{{ part.heading }}: {% for change in part.changes %}
{{ change.sha[:7] }} {{ change.text }} {{ change.title }} {{ change.labels | join(" ") }}
{% endfor %}{% endfor %}{% endfor %}
"""
    assert text(notes({"core": tale("feat: a")}, pulls={1: PULL}), template) == (
        f"""\
core-v1.1 2026-11-22
core 1.0 1.1 core-v1.1 {INDEX}/core/ {PAGE}/blob/core-v1.1/packages/core/CHANGELOG.md
Features: 0000000 a Take \\<b>things\\</b> fruit
"""
    )


def test_notes_link_pages_without_passwords() -> None:
    """PyPI and its like have pages for people; elsewhere the simple page is what there is. No password is shown."""
    one = Version("1.0")
    assert Target("https://ada:pw@index.example.org/simple/", "").package_url("a-b", one) == (
        "https://index.example.org/project/a-b/1.0/"
    )
    assert Target("https://ada:pw@example.org:8443/x/simple", "https://example.org/x").package_url(
        "a", one
    ) == ("https://example.org:8443/x/simple/a/")
