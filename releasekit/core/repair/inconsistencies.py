"""Find where tags, index, forge, changelogs and record contradict each other, each with a way forward.

Nothing that is public is deleted or replaced. What cannot be completed is settled by the next version of the package.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypedDict

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.release.unfinished_release import NextCommand
from releasekit.core.text import count_as, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.core.repair.release_state import (
        ForgeState,
        RepositoryState,
        TaggedRelease,
        TagState,
        UnfinishedState,
        VersionState,
    )

InconsistencyKind = Literal[
    "release_unfinished",
    "checksum_differs",
    "files_incomplete",
    "tagged_not_published",
    "published_not_tagged",
    "tag_moved",
    "tag_not_pushed",
    "tag_not_here",
    "draft_left_over",
    "release_missing",
    "release_without_assets",
    "changelog_missing",
    "not_installable_together",
]
"""The name of a finding, as programs read it."""

RepairAction = Literal[
    "", "upload", "tag", "push_tag", "fetch_tag", "create_release", "publish_draft", "attach_sums", "write_entry"
]  # fmt: skip
"""What `repair --apply` does about a finding; empty if only the command of the finding helps."""


class Inconsistency(BaseModel):
    """One finding: where it is, what is wrong, and the way forward.

    *package* and *version* are empty for a finding about a whole release; *tag* is then the tag that names it.
    *action* is what `--apply` does. *settled* findings need nothing: a later version has taken their place. *index* is
    the index of `publish_to` that it is about, empty for the first one.
    """

    model_config = ConfigDict(frozen=True)

    kind: InconsistencyKind
    package: str = ""
    version: str = ""
    tag: str = ""
    text: str
    action: RepairAction = ""
    next: NextCommand
    settled: bool = False
    index: str = ""

    @property
    def subject(self) -> str:
        """What the finding is about: a version of a package, or a release."""
        return f"{self.package} {self.version}" if self.package else self.tag


class RepairReport(BaseModel):
    """The result of `releasekit repair`.

    *compared* are the versions that were compared. *unasked* names the services that were not asked, with the reason.
    *repaired* says what `--apply` has done, *problems* what failed.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.repair/1"] = Field(default="releasekit.repair/1", alias="schema")
    compared: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    findings: tuple[Inconsistency, ...] = ()
    repaired: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def open_findings(self) -> tuple[Inconsistency, ...]:
        """The findings that need somebody."""
        return tuple(finding for finding in self.findings if not finding.settled)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.open_findings or self.problems)

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        compared = f"{count_as('version', self.compared)} compared"
        settled = len(self.findings) - len(self.open_findings)
        note = f", {settled} settled by later versions" if settled else ""
        if self.is_clean:
            return f"{compared}: all places agree{note}"
        found = count_as("finding", self.open_findings)
        repairable = sum(bool(finding.action) for finding in self.open_findings)
        offer = f"; --apply repairs {repairable}" if repairable else ""
        return f"{compared}: {found}{note}{offer}"


def find_inconsistencies(state: RepositoryState) -> tuple[Inconsistency, ...]:
    """Return the findings about *state*: unfinished releases first, then versions, releases and what fits together."""
    running = set(chain.from_iterable(release.versions for release in state.unfinished))
    ended = [version for version in state.versions if version.key not in running]
    findings = [*map(_unfinished_finding, state.unfinished)]
    for version in ended:
        findings += _version_findings(version, state)
    for release in state.releases:
        if running.isdisjoint(release.versions):
            findings += _release_findings(release, state)
    findings += (_foreign_draft(tag, draft) for tag, draft in sorted(state.drafts.items()))
    if not running:
        findings += _installation_findings(state)
    return tuple(findings)


def find_index_inconsistencies(state: RepositoryState) -> tuple[Inconsistency, ...]:
    """Return the findings about a later index with the files of *state*; the first one has those about all the rest."""
    findings = find_inconsistencies(replace(state, releases=(), drafts={}))
    return tuple(
        finding.model_copy(update={"index": state.index})
        for finding in findings
        if finding.kind in _KINDS_OF_AN_INDEX
    )


_KINDS_OF_AN_INDEX = frozenset(
    {
        "checksum_differs",
        "files_incomplete",
        "tagged_not_published",
        "not_installable_together",
    }
)


def _unfinished_finding(release: UnfinishedState) -> Inconsistency:
    return Inconsistency(
        kind="release_unfinished", tag=release.title, text=release.text, next=release.next
    )


# ---- versions -------------------------------------------------------------------------------------------------------


def _version_findings(version: VersionState, state: RepositoryState) -> Iterator[Inconsistency]:
    """Yield the findings about one version: its files first, and only what is complete is tagged and written about."""
    if version.tag.has_moved:
        yield _moved_tag(version, state)
    elif version.differing_files:
        yield _differing_files(version, state)
    elif not version.files:
        if version.tag.exists:
            yield _unpublished_tag(version, state)
    elif version.missing_files:
        yield _incomplete_files(version, state)
    elif not version.tag.exists:
        yield _untagged_version(version, state)
    else:
        yield from _misplaced_tag(version.tag, state, version)
        if version.lacks_entry:
            yield _missing_entry(version)


class _Subject(TypedDict):
    """What a finding is about: a version of a package, or only a tag."""

    package: str
    version: str
    tag: str


def _about(version: VersionState) -> _Subject:
    """Return the fields that say which version a finding is about."""
    return {
        "package": version.name,
        "version": str(version.version),
        "tag": version.tag.name,
    }


def _moved_tag(version: VersionState, state: RepositoryState) -> Inconsistency:
    here, there = version.tag.here[:12], (version.tag.there or "")[:12]
    text = f"the tag {version.tag.name} is at {here} here, but at {there} on {state.remote}"
    return _needs_next_version("tag_moved", text, version, state)


def _differing_files(version: VersionState, state: RepositoryState) -> Inconsistency:
    """Return the finding that the index serves other files than were built. They stay: installers must avoid them."""
    names = summarize(version.differing_files)
    text = f"{state.index} serves other content than was recorded: {names}"
    if not state.is_superseded(version) or version.is_yanked:
        return _needs_next_version("checksum_differs", text, version, state)
    command = f'releasekit yank {version.name} {version.version} --reason "its files differ"'
    return Inconsistency(
        kind="checksum_differs",
        text=text,
        next=NextCommand(command=command, effect="lets installers pass it over"),
        **_about(version),
    )


def _unpublished_tag(version: VersionState, state: RepositoryState) -> Inconsistency:
    text = f"the tag {version.tag.name} exists, but {state.index} has no file of this version"
    if version.can_upload:
        return _with_upload("tagged_not_published", text, version)
    return _needs_next_version("tagged_not_published", text, version, state)


def _incomplete_files(version: VersionState, state: RepositoryState) -> Inconsistency:
    text = f"{state.index} lacks {summarize(version.missing_files)}"
    if version.can_upload:
        return _with_upload("files_incomplete", text, version)
    return _needs_next_version("files_incomplete", text, version, state)


def _untagged_version(version: VersionState, state: RepositoryState) -> Inconsistency:
    text = f"{state.index} has this version, but there is no tag {version.tag.name}"
    if not version.commit:
        text += ", and no commit of the history declares it"
        return _needs_next_version("published_not_tagged", text, version, state)
    effect = f"makes the tag at {version.commit[:12]}, and pushes it"
    return Inconsistency(
        kind="published_not_tagged",
        text=text,
        action="tag",
        next=_apply(version.name, effect),
        **_about(version),
    )


def _misplaced_tag(
    tag: TagState, state: RepositoryState, version: VersionState | None = None
) -> Iterator[Inconsistency]:
    """Yield the finding that only one of two places has *tag*, which is that of *version* or of a whole release."""
    about: _Subject = {"package": "", "version": "", "tag": tag.name}
    if version:
        about = _about(version)
    subject = version.name if version else ""
    if not tag.here:
        effect = f"fetches the tag from {state.remote}"
        text = f"{state.remote} has the tag {tag.name}, this clone has not"
        action: RepairAction = "fetch_tag"
    elif tag.there == "":
        effect = f"pushes the tag to {state.remote}"
        text = f"this clone has the tag {tag.name}, {state.remote} has not"
        action = "push_tag"
    else:
        return
    kind: InconsistencyKind = "tag_not_here" if action == "fetch_tag" else "tag_not_pushed"
    yield Inconsistency(kind=kind, text=text, action=action, next=_apply(subject, effect), **about)


def _missing_entry(version: VersionState) -> Inconsistency:
    return Inconsistency(
        kind="changelog_missing",
        text="the changelog has no section for this version",
        action="write_entry",
        next=_apply(version.name, "writes the section into the changelog, for you to commit"),
        **_about(version),
    )


def _with_upload(kind: InconsistencyKind, text: str, version: VersionState) -> Inconsistency:
    effect = f"uploads the recorded {summarize(version.missing_files)}"
    return Inconsistency(
        kind=kind,
        text=text,
        action="upload",
        next=_apply(version.name, effect),
        **_about(version),
    )


def _needs_next_version(
    kind: InconsistencyKind, text: str, version: VersionState, state: RepositoryState
) -> Inconsistency:
    """Return a finding that only the next version of the package settles; it is settled if there is one."""
    command = f"releasekit publish --package {version.name} --force-unchanged"
    is_settled = state.is_superseded(version)
    effect = "nothing to do: a later version is complete" if is_settled else "releases the next one"
    return Inconsistency(
        kind=kind,
        text=text,
        next=NextCommand(command="" if is_settled else command, effect=effect),
        settled=is_settled,
        **_about(version),
    )


def _apply(package: str, effect: str) -> NextCommand:
    selection = f" --package {package}" if package else ""
    return NextCommand(command=f"releasekit repair{selection} --apply", effect=effect)


# ---- releases -------------------------------------------------------------------------------------------------------


def _release_findings(release: TaggedRelease, state: RepositoryState) -> Iterator[Inconsistency]:
    """Yield the findings about the tag of a release and its page, once its versions are complete or settled."""
    versions = [state.by_key[key] for key in release.versions if key in state.by_key]
    complete = [version for version in versions if version.is_complete and version.tag.exists]
    waiting = [
        version
        for version in versions
        if version not in complete and not state.is_superseded(version)
    ]
    if waiting or not complete:
        yield from _waiting_draft(release, is_abandoned=not waiting)
        return
    is_own_tag = release.tag.name not in {version.tag.name for version in versions}
    if is_own_tag and not release.tag.exists:
        yield _missing_release_tag(release)
        return
    if is_own_tag:
        yield from _misplaced_tag(release.tag, state)
    if release.lacks_entry:
        yield _missing_workspace_entry(release)
    if state.has_forge:
        yield from _forge_findings(release)


def _missing_release_tag(release: TaggedRelease) -> Inconsistency:
    effect = f"makes the tag at {release.commit[:12]}, and pushes it"
    return Inconsistency(
        kind="published_not_tagged",
        tag=release.tag.name,
        text="all packages of the release are published, but the tag that names it is missing",
        action="tag",
        next=_apply("", effect),
    )


def _missing_workspace_entry(release: TaggedRelease) -> Inconsistency:
    return Inconsistency(
        kind="changelog_missing",
        tag=release.tag.name,
        text="the changelog of the workspace has no section for this release",
        action="write_entry",
        next=_apply("", "writes the section into the changelog, for you to commit"),
    )


def _waiting_draft(release: TaggedRelease, *, is_abandoned: bool) -> Iterator[Inconsistency]:
    """Yield the finding about a draft whose packages are not published."""
    draft = release.on_forge
    if draft is None or not draft.is_draft:
        return
    if is_abandoned or not draft.has_manifest:
        next_command = NextCommand(
            command=f"releasekit rollback {release.tag.name}",
            effect="removes the draft, which nobody else sees",
        )
    else:
        next_command = NextCommand(
            command=f"releasekit publish --manifest {release.tag.name}", effect="publishes it"
        )
    yield Inconsistency(
        kind="draft_left_over",
        tag=release.tag.name,
        text="a draft of this release waits on the forge, and its packages are not published",
        next=next_command,
    )


def _forge_findings(release: TaggedRelease) -> Iterator[Inconsistency]:
    """Yield what is wrong with the page of a published release."""
    on_forge = release.on_forge
    kind: InconsistencyKind
    action: RepairAction
    if on_forge is None:
        kind, action = "release_missing", "create_release"
        text, effect = "the forge has no release of this tag", "creates it, with notes and sums"
    elif on_forge.is_draft:
        kind, action = "draft_left_over", "publish_draft"
        text, effect = "its packages are published, its page is still a draft", "publishes the page"
    elif not on_forge.has_sums:
        kind, action = "release_without_assets", "attach_sums"
        text, effect = "its page has no SHA256SUMS", "attaches the sums of the published files"
    else:
        return
    yield Inconsistency(
        kind=kind, tag=release.tag.name, text=text, action=action, next=_apply("", effect)
    )


def _foreign_draft(tag: str, draft: ForgeState) -> Inconsistency:
    """Return the finding about a draft of no known release: releasekit publishes it, or a person decides."""
    if draft.has_manifest:
        next_command = NextCommand(
            command=f"releasekit publish --manifest {tag}", effect="publishes it"
        )
    else:
        next_command = NextCommand(command="", effect="nothing to do: somebody else has begun it")
    return Inconsistency(
        kind="draft_left_over",
        tag=tag,
        text="a draft on the forge belongs to no release here",
        next=next_command,
        settled=not draft.has_manifest,
    )


# ---- installation ---------------------------------------------------------------------------------------------------


def _installation_findings(state: RepositoryState) -> Iterator[Inconsistency]:
    """Yield one finding for each package whose latest version does not fit the latest version of a sibling."""
    for name, requirements in sorted(state.requires.items()):
        version = state.latest.get(name)
        if version is None:
            continue
        misfits: list[str] = []
        for requirement in requirements:
            sibling = state.latest.get(canonicalize_name(requirement.name))
            if sibling is not None and not requirement.specifier.contains(
                sibling, prereleases=True
            ):
                misfits.append(f"{requirement}, and the latest is {sibling}")
        if misfits:
            command = f"releasekit publish --package {name} --force-unchanged"
            yield Inconsistency(
                kind="not_installable_together",
                package=name,
                version=str(version),
                text=f"it requires {summarize(misfits)}",
                next=NextCommand(command=command, effect="releases it with current requirements"),
            )
