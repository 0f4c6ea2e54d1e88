"""What contradicts what about a release, and that there is always a way forward."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from releasekit.core.release.unfinished_release import NextCommand
from releasekit.core.repair.inconsistencies import (
    Inconsistency,
    RepairReport,
    find_inconsistencies,
)
from releasekit.core.repair.release_state import (
    ForgeState,
    RepositoryState,
    TaggedRelease,
    TagState,
    UnfinishedState,
    VersionState,
)

if TYPE_CHECKING:
    from releasekit.core.repair.release_state import FileKind, VersionKey

A, B = "a" * 40, "b" * 40
SUMS = {"core-1.tar.gz": "1" * 64, "core-1-py3-none-any.whl": "2" * 64}
BOTH: frozenset[FileKind] = frozenset({"sdist", "wheel"})
PUBLISHED = ForgeState(has_sums=True)


def version_state(text: str = "core 1", **given: Any) -> VersionState:
    """Return a version that is complete and tagged everywhere, with other values in *given*."""
    name, _, version = text.partition(" ")
    tag = TagState(f"{name}-v{version}", A, A)
    state = VersionState(name, Version(version), tag, A, SUMS, expected=SUMS)
    return replace(state, **given)


def release_of(*versions: VersionState, **given: Any) -> TaggedRelease:
    """Return the release of *versions* under an umbrella tag."""
    keys = tuple(version.key for version in versions)
    release = TaggedRelease(TagState("all-1", A, A), A, keys, PUBLISHED)
    return replace(release, **given)


def findings_of(*versions: VersionState, **given: Any) -> list[tuple[str, str, str]]:
    """Return kind, action and command of what is found."""
    state = replace(RepositoryState(versions, has_forge=True), **given)
    return [
        (finding.kind, finding.action, finding.next.command)
        for finding in find_inconsistencies(state)
        if not finding.settled
    ]


APPLY = "releasekit repair --package core --apply"
APPLY_ALL = "releasekit repair --apply"
NEXT = "releasekit publish --package core --force-unchanged"
HALF = {"core-1.tar.gz": "1" * 64}
OTHER = {**SUMS, "core-1.tar.gz": "9" * 64}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ()),
        ({"expected": {}, "kinds": BOTH}, ()),
        ({"expected": {}, "kinds": {"wheel"}, "files": {"core-1-py3-none-any.whl": ""}}, ()),
        ({"tag": TagState("t", A, None)}, ()),
        ({"files": dict.fromkeys(SUMS, "")}, ()),
        ({"files": {}}, ("tagged_not_published", "", NEXT)),
        ({"files": {}, "files_here": frozenset(SUMS)}, ("tagged_not_published", "upload", APPLY)),
        ({"files": {}, "tag": TagState("t")}, ()),
        ({"files": HALF}, ("files_incomplete", "", NEXT)),
        ({"files": HALF, "files_here": frozenset(SUMS)}, ("files_incomplete", "upload", APPLY)),
        ({"files": HALF, "expected": {}, "kinds": BOTH}, ("files_incomplete", "", NEXT)),
        ({"files": OTHER}, ("checksum_differs", "", NEXT)),
        ({"tag": TagState("t", "", "")}, ("published_not_tagged", "tag", APPLY)),
        ({"tag": TagState("t", "", ""), "commit": ""}, ("published_not_tagged", "", NEXT)),
        ({"tag": TagState("t", A, "")}, ("tag_not_pushed", "push_tag", APPLY)),
        ({"tag": TagState("t", "", A)}, ("tag_not_here", "fetch_tag", APPLY)),
        ({"tag": TagState("t", A, B)}, ("tag_moved", "", NEXT)),
        ({"lacks_entry": True}, ("changelog_missing", "write_entry", APPLY)),
    ],
)
def test_version_has_one_way(given: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Each contradiction about a version has a name and one command: complete it, or release the next one."""
    assert findings_of(version_state(**given)) == [expected][: len(expected)]


def test_later_version_settles_earlier() -> None:
    """What cannot be completed needs nothing once installers choose a later version; wrong files are yanked then."""
    lost = version_state(files={})
    wrong = version_state(files=OTHER)
    later = version_state("core 2")

    assert findings_of(lost, later) == []
    assert [
        finding.settled for finding in find_inconsistencies(RepositoryState((lost, later)))
    ] == [True]
    assert findings_of(wrong, later) == [
        ("checksum_differs", "", 'releasekit yank core 1 --reason "its files differ"')
    ]
    assert findings_of(replace(wrong, is_yanked=True), later) == []
    for not_chosen in (
        version_state("core 2rc1"),
        version_state("core 2", is_yanked=True),
        version_state("core 0.9"),
        version_state("other 2"),
    ):
        assert findings_of(lost, not_chosen) == [("tagged_not_published", "", NEXT)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ()),
        ({"on_forge": None}, ("release_missing", "create_release", APPLY_ALL)),
        ({"on_forge": ForgeState()}, ("release_without_assets", "attach_sums", APPLY_ALL)),
        ({"on_forge": ForgeState(is_draft=True)}, ("draft_left_over", "publish_draft", APPLY_ALL)),
        ({"tag": TagState("all-1")}, ("published_not_tagged", "tag", APPLY_ALL)),
        ({"tag": TagState("all-1", A, "")}, ("tag_not_pushed", "push_tag", APPLY_ALL)),
        ({"tag": TagState("core-v1")}, ()),
    ],
)
def test_published_release_is_whole(given: dict[str, Any], expected: tuple[str, ...]) -> None:
    """A release whose packages are published has its tag, and a page with the sums of its files."""
    version = version_state()
    release = release_of(version, **given)

    assert findings_of(version, releases=(release,)) == [expected][: len(expected)]
    assert not [
        kind
        for kind, _, _ in findings_of(version, releases=(release,), has_forge=False)
        if kind.startswith(("release", "draft"))
    ]


@pytest.mark.parametrize(
    ("manifest", "later", "command"),
    [
        (True, False, "releasekit publish --manifest all-1"),
        (False, False, "releasekit rollback all-1"),
        (True, True, "releasekit rollback all-1"),
    ],
)
def test_unpublished_draft_goes_on(*, manifest: bool, later: bool, command: str) -> None:
    """The draft of what is not published is published from its manifest, or removed if a later version is out."""
    waiting = version_state(files={}, tag=TagState("core-v1"))
    draft = release_of(waiting, on_forge=ForgeState(is_draft=True, has_manifest=manifest))
    versions = (waiting, version_state("core 2")) if later else (waiting,)

    assert findings_of(*versions, releases=(draft,)) == [("draft_left_over", "", command)]
    foreign = {"v9": ForgeState(is_draft=True)}
    assert findings_of(version_state(), drafts=foreign) == [], "a person has begun it"


def test_unfinished_release_comes_first() -> None:
    """The packages of a release that has not ended are left to the command that continues it."""
    version = version_state(files={})
    command = NextCommand(command="releasekit publish", effect="resumes it")
    unfinished = UnfinishedState("all-1", "Release all-1 is unfinished.", (version.key,), command)

    found = findings_of(
        version, unfinished=(unfinished,), releases=(release_of(version, on_forge=None),)
    )

    assert found == [("release_unfinished", "", "releasekit publish")]


def test_latest_versions_fit_together() -> None:
    """A package whose latest version excludes the latest version of a sibling is released again."""
    core, app = version_state("core 2"), version_state("app 1")
    requires = {"app": (Requirement("Core==1"), Requirement("six<0"))}

    assert findings_of(core, app, requires=requires) == [
        ("not_installable_together", "", "releasekit publish --package app --force-unchanged")
    ]
    assert findings_of(core, app, requires={"app": (Requirement("core>=1"),)}) == []


def test_report_counts_open_findings() -> None:
    """The headline counts what needs somebody, and what a later version has settled."""
    lost, later = version_state(files={}), version_state("core 2", lacks_entry=True)
    found = find_inconsistencies(RepositoryState((lost, later)))
    report = RepairReport(compared=("core 1", "core 2"), findings=found)

    assert report.headline == (
        "2 versions compared: 1 finding, 1 settled by later versions; --apply repairs 1"
    )
    assert not report.is_clean
    settled = RepairReport(compared=("core 1", "core 2"), findings=found[:1])
    assert settled.headline == "2 versions compared: all places agree, 1 settled by later versions"
    assert RepairReport(problems=("no",)).is_clean is False


# ---- a thousand states ----------------------------------------------------------------------------------------------

NAMES = ("app", "core")


class Variant(NamedTuple):
    """What the places say about one version. Of each file, the sum on the index is drawn: None if it has no such file.

    One draw of the whole is four times as fast as one for each of them.
    """

    tag_here: str
    tag_there: str | None
    commit: str
    wheel: str | None
    sdist: str | None
    is_yanked: bool
    is_recorded: bool
    files_here: tuple[str, ...]
    lacks_entry: bool
    is_prerelease: bool

    def as_state(self, name: str, number: int) -> VersionState:
        """Return it as version *number* of the package *name*."""
        version = Version(f"{number}rc1" if self.is_prerelease else str(number))
        names = {"wheel": f"{name}-{version}-any.whl", "sdist": f"{name}-{version}.tar.gz"}
        listed = {names["wheel"]: self.wheel, names["sdist"]: self.sdist}
        return VersionState(
            name=name,
            version=version,
            tag=TagState(f"{name}-v{version}", self.tag_here, self.tag_there),
            commit=self.commit,
            files={file: digest for file, digest in listed.items() if digest is not None},
            is_yanked=self.is_yanked,
            expected=dict.fromkeys(names.values(), RECORDED) if self.is_recorded else {},
            kinds=BOTH,
            files_here=frozenset(names[kind] for kind in self.files_here),
            lacks_entry=self.lacks_entry,
        )


RECORDED = "1" * 64
LISTED = (None, RECORDED, "9" * 64, "")
VARIANTS = [
    Variant(*values)
    for values in product(
        ("", A, B),
        (None, "", A),
        ("", A),
        LISTED,
        LISTED,
        (False, True),
        (False, True),
        ((), ("wheel",), ("wheel", "sdist")),
        (False, True),
        (False, True),
    )
]


PAGES = [None, *(ForgeState(*flags) for flags in product((False, True), repeat=3))]
PLACES = [*product(("", A), (None, "", A), PAGES, (False, True))]
NUMBERS = st.lists(st.integers(0, len(VARIANTS) - 1), max_size=3)
PLACE, CHOICES = st.integers(0, len(PLACES) - 1), st.integers(0, 1023)


@st.composite
def repository_states(draw: st.DrawFn) -> RepositoryState:
    """Draw everything that `repair` compares."""
    versions = [
        VARIANTS[variant].as_state(name, number)
        for name in NAMES
        for number, variant in enumerate(draw(NUMBERS), 1)
    ]
    chosen = draw(CHOICES)
    keys = [version.key for number, version in enumerate(versions) if chosen >> number & 1]
    here, there, page, lacks_entry = PLACES[draw(PLACE)]
    tag = TagState("all-1", here, there)
    releases = [TaggedRelease(tag, A, tuple(keys), page, lacks_entry)] if keys else []
    command = NextCommand(command="releasekit publish", effect="resumes it")
    unfinished = UnfinishedState("all-1", "It is unfinished.", tuple(keys[:1]), command)
    return RepositoryState(
        versions=tuple(versions),
        releases=tuple(releases),
        unfinished=(unfinished,) if keys and chosen & 64 else (),
        requires={"app": (Requirement("core==2"),)} if chosen & 128 else {},
        has_forge=bool(chosen & 256),
        drafts={"v9": ForgeState(is_draft=True, has_manifest=True)} if chosen & 512 else {},
    )


def completed(version: VersionState) -> VersionState:
    """Return *version* as a release leaves it; the index takes no other content under a name that it has."""
    if version.differing_files:
        return version
    built = version.expected or {f"{version.name}-any.whl": "", f"{version.name}.tar.gz": ""}
    files = {**built, **version.files}
    commit = version.tag.commit or A
    tag = version.tag if version.tag.has_moved else replace(version.tag, here=commit, there=commit)
    return replace(version, tag=tag, files=files, lacks_entry=False)


def with_version(state: RepositoryState, changed: VersionState) -> RepositoryState:
    """Return *state* with *changed* in place of the version of its name."""
    versions = [changed if version.key == changed.key else version for version in state.versions]
    return replace(state, versions=tuple(versions))


def with_next_version(state: RepositoryState, name: str) -> RepositoryState:
    """Return *state* after `publish --package NAME --force-unchanged`: a stable version above all that are taken."""
    highest = max(version.version for version in state.versions if version.name == name)
    version = version_state(f"{name} {highest.major + 1}")
    release = release_of(version, tag=version.tag)
    requires = {key: needs for key, needs in state.requires.items() if key != name}
    return replace(
        state,
        versions=(*state.versions, version),
        releases=(*state.releases, release),
        requires=requires,
    )


def follow(state: RepositoryState, finding: Inconsistency) -> RepositoryState:
    """Return *state* after what *finding* says to do."""
    if finding.action:
        return apply(state, finding)
    _, command, *words = shlex.split(finding.next.command)
    if command == "publish" and "--package" in words:
        return with_next_version(state, words[1])
    if command == "yank":
        version = state.by_key[words[0], Version(words[1])]
        return with_version(state, replace(version, is_yanked=True))
    if command == "rollback":
        removed = [
            replace(release, on_forge=None)
            for release in state.releases
            if release.tag.name == words[0]
        ]
        others = [release for release in state.releases if release.tag.name != words[0]]
        return replace(state, releases=(*others, *removed))
    keys = [key for release in state.unfinished for key in release.versions]
    if words:
        keys = [key for release in state.releases for key in release.versions]
    for key in keys:
        state = with_version(state, completed(state.by_key[key]))
    return replace(state, unfinished=(), drafts={} if words else state.drafts)


def apply(state: RepositoryState, finding: Inconsistency) -> RepositoryState:
    """Return *state* after `--apply` has done what *finding* names."""
    if finding.package:
        version = state.by_key[finding.package, Version(finding.version)]
        tag = replace(version.tag, here=version.tag.here or A, there=version.tag.here or A)
        if finding.action == "fetch_tag":
            tag = replace(version.tag, here=version.tag.commit)
        elif finding.action == "push_tag":
            tag = replace(version.tag, there=version.tag.commit)
        files = {**version.expected, **version.files}
        changes: dict[str, dict[str, Any]] = {
            "upload": {"files": files},
            "write_entry": {"lacks_entry": False},
        }
        changed = replace(version, **changes.get(finding.action, {"tag": tag}))
        return with_version(state, changed)
    releases: list[TaggedRelease] = []
    for release in state.releases:
        if release.tag.name != finding.tag:
            releases.append(release)
        elif finding.action in ("tag", "push_tag", "fetch_tag"):
            releases.append(replace(release, tag=TagState(finding.tag, A, A)))
        elif finding.action == "write_entry":
            releases.append(replace(release, lacks_entry=False))
        elif finding.action == "publish_draft" and release.on_forge:
            releases.append(replace(release, on_forge=replace(release.on_forge, is_draft=False)))
        else:
            releases.append(replace(release, on_forge=PUBLISHED))
    return replace(state, releases=tuple(releases))


def public_things(state: RepositoryState) -> set[tuple[VersionKey | str, str]]:
    """Return what others see: the files, and the pages that are no drafts."""
    pages: set[tuple[VersionKey | str, str]] = {
        (release.tag.name, "page")
        for release in state.releases
        if release.on_forge and not release.on_forge.is_draft
    }
    pages.update((version.key, file) for version in state.versions for file in version.files)
    return pages


@settings(max_examples=1000, deadline=None)
@given(repository_states())
def test_way_forward_always_ends(state: RepositoryState) -> None:
    """In any state each finding has a command, and following them ends where nothing is found; nothing public goes."""
    before = public_things(state)
    for _ in range(25):
        opened = [finding for finding in find_inconsistencies(state) if not finding.settled]
        if not opened:
            break
        assert all(finding.next.command.startswith("releasekit ") for finding in opened)
        assert all(
            bool(finding.action) == ("--apply" in finding.next.command) for finding in opened
        )
        state = follow(state, opened[0])

    assert [finding for finding in find_inconsistencies(state) if not finding.settled] == []
    assert before <= public_things(state)
