"""Unfinished releases: the progress of each package, and which command to run next."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.picking import by_name, true_keys
from releasekit.core.release.release_manifest import EMPTY_MANIFEST
from releasekit.core.text import count_as, count_packages
from releasekit.core.version_numbers import PyVersion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage, ReleaseManifest

TraceSource = Literal["record", "remote", "copy", "pull", "draft"]
LockState = Literal["unasked", "none", "mine", "other"]
IndexState = Literal["unasked", "absent", "listed", "same", "differs"]
UploadProgress = Literal["planned", "built", "partly_uploaded", "uploaded", "confirmed", "differs"]
ReleaseStage = Literal[
    "running", "begun", "staged", "undoing", "taken_over", "importing", "damaged", "orphaned", "elsewhere",
    "proposed", "closed", "merged", "draft",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReleaseTraces:
    """The traces of one unfinished release, here, on the remote, on the index, and on the forge.

    *source* says where the release was found, *location* is the path, reference or URL there. *damage* says why the
    record cannot be read. Then *plan* and *manifest* come from the copy in git or on the remote, None without a copy.
    *has_plan* is false if the record lacks its plan. *lock* says which release has the lock on the *remote*.
    *tags_here* and *tags_there* map tags to commits, locally and on the remote. *index_files* has by package the sha256
    of each file that the index lists, by file name. *tags_there* and *index_files* are None if nothing was asked.
    *missing_files* are built files that this machine does not have with their original content. *moved* says that the
    branch on the remote has new commits and lacks the release commit. *ahead* is the number of checked-out commits that
    the release lacks. *page* and *pull_state* belong to the pull request or the draft.
    """

    source: TraceSource
    release: str
    location: str
    plan: Plan | None = None
    manifest: ReleaseManifest | None = None
    damage: str = ""
    has_plan: bool = True
    remote: str = ""
    lock: LockState = "unasked"
    tags_here: Mapping[str, str] = field(default_factory=dict[str, str])
    tags_there: Mapping[str, str] | None = None
    index_files: Mapping[str, Mapping[str, str]] | None = None
    missing_files: Collection[str] = ()
    moved: bool = False
    ahead: int = 0
    page: str = ""
    pull_state: Literal["", "open", "closed", "merged"] = ""

    @property
    def title(self) -> str:
        """The title of the release, or its id where the plan is unknown."""
        return self.plan.title if self.plan else self.release

    @property
    def packages(self) -> tuple[BuiltPackage, ...]:
        """The built packages; empty before all are built."""
        return self.manifest_or_empty.packages

    @property
    def manifest_or_empty(self) -> ReleaseManifest:
        """The manifest; one with empty fields where it is unknown."""
        return self.manifest or EMPTY_MANIFEST


class FileStatus(BaseModel):
    """One built file. *here* says whether this machine has it, *index* compares it with the file on the index."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    here: bool
    index: IndexState

    @property
    def is_unrecoverable(self) -> bool:
        """Whether the file is neither on this machine nor on the index, if the index was asked."""
        return not self.here and self.index == "absent"

    @property
    def is_listed(self) -> bool:
        """Whether the index has the file, as far as a checksum shows."""
        return self.index in ("same", "listed")


class PackageStatus(BaseModel):
    """The progress of one package. *tagged_there* is None if the remote was not asked."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    progress: UploadProgress
    tag: str
    tagged_here: bool = False
    tagged_there: bool | None = None
    files: tuple[FileStatus, ...] = ()

    @property
    def is_published(self) -> bool:
        """Whether the index lists all files."""
        return self.progress in ("uploaded", "confirmed")

    @property
    def differing_files(self) -> tuple[str, ...]:
        """The names of the files that have different content on the index."""
        return tuple(file.name for file in self.files if file.index == "differs")


class NextCommand(BaseModel):
    """A *command* to run and its *effect*. Without a command, *effect* says what else to do."""

    model_config = ConfigDict(frozen=True)

    command: str
    effect: str

    def __str__(self) -> str:
        return f"`{self.command}` {self.effect}" if self.command else self.effect


class UnfinishedRelease(BaseModel):
    """One unfinished release.

    *what* describes its *stage* in a sentence. *next* is the recommended command, *others* are alternatives.
    *by*, *host* and *since* say who began it, where and when. *where* is the record, the reference or the URL.
    *published* counts the packages whose files the index lists, None if the index was not asked. *umbrella_here* and
    *umbrella_there* say whether the tag that names the release exists locally and on the remote, None if the remote was
    not asked.
    """

    model_config = ConfigDict(frozen=True)

    release: str
    title: str
    stage: ReleaseStage
    what: str
    by: str = ""
    host: str = ""
    since: str = ""
    where: str = ""
    commit: str = ""
    branch: str = ""
    packages: tuple[PackageStatus, ...] = ()
    published: int | None = None
    umbrella_here: bool = False
    umbrella_there: bool | None = None
    next: NextCommand
    others: tuple[NextCommand, ...] = ()
    notes: tuple[str, ...] = ()


class ReleaseStatus(BaseModel):
    """The result of `releasekit status`.

    *running* names the process that has the release lock of this repository. *unasked* names the services that were
    not asked, each with the reason.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.status/1"] = Field(default="releasekit.status/1", alias="schema")
    running: str = ""
    offline: bool = False
    unasked: tuple[str, ...] = ()
    releases: tuple[UnfinishedRelease, ...] = ()

    @property
    def headline(self) -> str:
        """One sentence that summarizes the status."""
        if self.releases:
            return count_as("unfinished release", self.releases)
        if self.running:
            return f"No release is unfinished; releasekit is running here: {self.running}."
        where = "on this machine" if self.unasked else "here or on the remote"
        return f"No release is unfinished {where}."


def describe_release(
    traces: ReleaseTraces, running: str = "", holder_elsewhere: str = ""
) -> UnfinishedRelease:
    """Return the status of the release of *traces*.

    *running* is the process that has the lock of this repository. *holder_elsewhere* is a process of another machine
    that may have it.
    """
    steps = traces.plan.steps if traces.plan else ()
    umbrella = traces.plan.tags if traces.plan else ()
    built = by_name(traces.packages)
    packages = tuple(_package_status(step, built.get(step.name), traces) for step in steps)
    is_index_asked = traces.index_files is not None or not traces.packages
    published = sum(package.is_published for package in packages) if is_index_asked else None
    stage = _release_stage(traces, running)
    first, *others = _commands(stage, traces, packages)
    manifest = traces.manifest_or_empty
    return UnfinishedRelease(
        release=traces.release,
        title=traces.title,
        stage=stage,
        what=_describe_stage(stage, traces, packages, published, running),
        by=manifest.by,
        host=manifest.host,
        since=manifest.begun,
        where=traces.location,
        commit=manifest.release_commit,
        branch=manifest.branch,
        packages=packages,
        published=published,
        umbrella_here=_are_tags_here(traces, umbrella),
        umbrella_there=_are_tags_on_remote(traces, umbrella),
        next=first,
        others=tuple(others),
        notes=tuple(_notes(stage, traces, packages, holder_elsewhere)),
    )


def unfinished_note(release: UnfinishedRelease) -> str:
    """Return the line that `plan` prints about the unfinished release."""
    progress = ""
    if release.published:
        progress = f" ({release.published} of {count_packages(release.packages)} published)"
    return f"note: release {release.title} is unfinished{progress}; `releasekit status` shows it"


# ---- the progress of each package -----------------------------------------------------------------------------------


def _package_status(step: Step, built: BuiltPackage | None, traces: ReleaseTraces) -> PackageStatus:
    progress: UploadProgress = "planned"
    files: tuple[FileStatus, ...] = ()
    if built is not None:
        files = tuple(_file_status(file, step.name, traces) for file in built.files)
        progress = _upload_progress(files)
    return PackageStatus(
        name=step.name,
        version=step.version,
        progress=progress,
        tag=step.tag,
        tagged_here=_are_tags_here(traces, (step.tag,)),
        tagged_there=_are_tags_on_remote(traces, (step.tag,)),
        files=files,
    )


def _file_status(file: BuiltFile, package: str, traces: ReleaseTraces) -> FileStatus:
    is_recorded = traces.source == "record"
    return FileStatus(
        name=file.name,
        sha256=file.sha256,
        here=is_recorded and file.name not in traces.missing_files,
        index=_index_state(file, package, traces),
    )


def _index_state(file: BuiltFile, package: str, traces: ReleaseTraces) -> IndexState:
    if traces.index_files is None:
        return "unasked"
    listed_sums = traces.index_files.get(package, {})
    states: dict[str | None, IndexState] = {
        None: "absent",
        file.sha256: "same",
        "": "listed",  # without a checksum
    }
    return states.get(listed_sums.get(file.name), "differs")


def _upload_progress(files: tuple[FileStatus, ...]) -> UploadProgress:
    states = {file.index for file in files}
    if "differs" in states:
        return "differs"
    if states == {"same"}:
        return "confirmed"
    listed_states = {"same", "listed"}
    if states <= listed_states:
        return "uploaded"
    return "partly_uploaded" if states & listed_states else "built"


def _are_tags_here(traces: ReleaseTraces, tags: tuple[str, ...]) -> bool:
    """Return whether this repository has all *tags* on the release commit; false without tags."""
    return _are_tags_on_release_commit(traces, tags, traces.tags_here)


def _are_tags_on_remote(traces: ReleaseTraces, tags: tuple[str, ...]) -> bool | None:
    """Return whether the remote has all *tags* on the release commit, None if it was not asked."""
    if traces.tags_there is None:
        return None
    return _are_tags_on_release_commit(traces, tags, traces.tags_there)


def _are_tags_on_release_commit(
    traces: ReleaseTraces, tags: tuple[str, ...], commits: Mapping[str, str]
) -> bool:
    release_commit = traces.manifest_or_empty.release_commit
    tagged_commits = set(map(commits.get, tags))
    return tagged_commits == {release_commit}


# ---- the stage of the release ---------------------------------------------------------------------------------------


def _release_stage(traces: ReleaseTraces, running: str) -> ReleaseStage:
    if traces.source == "pull":
        return _PULL_REQUEST_STAGES[traces.pull_state]
    if traces.source in _STAGES_WITHOUT_RECORD:
        return _STAGES_WITHOUT_RECORD[traces.source]
    is_lock_lost = traces.lock in ("none", "other")
    manifest = traces.manifest_or_empty
    stages: dict[ReleaseStage, bool] = {
        "damaged": bool(traces.damage),
        "running": bool(running),
        "importing": not traces.has_plan,
        "undoing": manifest.undoing,
        "taken_over": bool(manifest.held) and is_lock_lost,
        "staged": manifest.staged,
        "begun": True,
    }
    return next(true_keys(stages))


_PULL_REQUEST_STAGES: Mapping[str, ReleaseStage] = {
    "": "proposed",
    "open": "proposed",
    "closed": "closed",
    "merged": "merged",
}
_STAGES_WITHOUT_RECORD: Mapping[TraceSource, ReleaseStage] = {
    "remote": "elsewhere",
    "copy": "orphaned",
    "draft": "draft",
}


def _describe_stage(
    stage: ReleaseStage,
    traces: ReleaseTraces,
    packages: tuple[PackageStatus, ...],
    published: int | None,
    running: str,
) -> str:
    release = f"Release {traces.title}"
    progress = _describe_progress(traces, packages, published)
    work = "rolled back" if traces.manifest_or_empty.undoing else "made"
    orphan = f"{traces.location} keeps the commit of a release whose record is lost."
    if traces.plan:
        orphan = f"The record of release {traces.title} is lost; git has a copy of it."
    sentences = {
        "running": f"{release} is being {work} now by {running}: {progress}.",
        "begun": f"{release} is unfinished: {progress}.",
        "staged": f"{release} is staged: everything is built and verified, and nothing is public.",
        "undoing": f"The rollback of release {traces.title} is unfinished.",
        "taken_over": f"{release} was begun here, but this clone no longer has its lock on {traces.remote}: "
        "another clone has taken it over, finished it or rolled it back.",
        "importing": f"{release} was imported from a manifest, but its record here is incomplete: the plan is missing.",
        "damaged": f"The record of release {traces.title} is damaged: {traces.damage}.",
        "orphaned": orphan,
        "elsewhere": f"{release} is being made by another clone: {progress}.",
        "proposed": f"{release} has an open pull request, which waits to be merged.",
        "closed": f"{release} had a pull request, which was closed without being merged.",
        "merged": f"{release} is merged, but not tagged yet.",
        "draft": f"{release} is tagged; its draft waits to be published.",
    }
    return sentences[stage]


def _describe_progress(
    traces: ReleaseTraces, packages: tuple[PackageStatus, ...], published: int | None
) -> str:
    total = count_packages(packages)
    if not traces.packages:
        return f"{total} planned, none built" if packages else "its progress is unknown"
    if published is None:
        return f"{total} built, the index was not asked"
    if published < len(packages):
        return f"{published} of {total} published"
    waits_for = traces.manifest_or_empty.waits_for
    if waits_for:
        return f"{total} published, {waits_for} waits for approval"
    if published > 1:
        return f"all {total} published, final steps left"
    return "1 package published"


def _notes(
    stage: ReleaseStage,
    traces: ReleaseTraces,
    packages: tuple[PackageStatus, ...],
    holder_elsewhere: str,
) -> Iterator[str]:
    waits_for = traces.manifest_or_empty.waits_for
    if waits_for:
        yield f"publish asks before it goes on to {waits_for}; without a terminal, pass --allow-index {waits_for}"
    unrecoverable = ", ".join(_unrecoverable_files(packages))
    if unrecoverable:
        yield f"missing or damaged on this machine, and not on the index: {unrecoverable}"
    for package in packages:
        if package.differing_files:
            names = ", ".join(package.differing_files)
            yield f"{package.name}: the index has different content for {names}"
    if traces.moved:
        branch = traces.manifest_or_empty.branch
        yield f"{branch} on {traces.remote} has new commits, but not the release commit"
    if stage in ("begun", "staged"):
        yield from _newer_commits_note(traces.ahead)
    may_run_elsewhere = holder_elsewhere and traces.source == "record"
    if may_run_elsewhere:
        yield f"the release lock names {holder_elsewhere}; this machine cannot see whether that process still runs"
    if traces.page:
        yield traces.page


def _newer_commits_note(count: int) -> Iterator[str]:
    if count == 1:
        yield "1 commit since then is not in this release"
    elif count > 1:
        yield f"{count} commits since then are not in this release"


def _unrecoverable_files(packages: tuple[PackageStatus, ...]) -> list[str]:
    """Return the built files that are neither on this machine nor on the index, if the index was asked."""
    files = chain.from_iterable(package.files for package in packages)
    return [file.name for file in files if file.is_unrecoverable]


# ---- the next command -----------------------------------------------------------------------------------------------

_RESUME = NextCommand(command="releasekit publish", effect="resumes it")
_ABANDON = NextCommand(command="releasekit rollback", effect="abandons it")
_RECOVER = "releasekit publish --resume-from-registry"

_COMMANDS: dict[ReleaseStage, tuple[NextCommand, ...]] = {
    "running": (
        NextCommand(
            command="releasekit status", effect="shows its progress; wait until it has finished"
        ),
    ),
    "staged": (
        NextCommand(command="releasekit publish", effect="publishes these files"),
        NextCommand(
            command="releasekit publish --stage-only", effect="discards it, and stages it again"
        ),
        _ABANDON,
    ),
    "undoing": (NextCommand(command="releasekit rollback", effect="completes the rollback"),),
    "taken_over": (
        NextCommand(command="git fetch --tags", effect="shows whether it was finished"),
        NextCommand(command="releasekit rollback", effect="removes its remains from this clone"),
    ),
    "importing": (
        NextCommand(
            command="releasekit publish --manifest FILE",
            effect="starts it again, with the same manifest.json or the tag of its draft",
        ),
        _ABANDON,
    ),
}
"""The recommended command, then alternatives, for stages where they do not depend on the release."""


def _commands(
    stage: ReleaseStage, traces: ReleaseTraces, packages: tuple[PackageStatus, ...]
) -> tuple[NextCommand, ...]:
    """Return the recommended command, then alternatives."""
    if stage in _COMMANDS:
        return _COMMANDS[stage]
    if stage == "begun":
        return _commands_to_continue(traces, packages)
    if stage in ("damaged", "orphaned"):
        return _commands_without_record(stage, traces)
    return (*_commands_elsewhere(stage, traces), _rollback_command(traces))


def _rollback_command(traces: ReleaseTraces) -> NextCommand:
    return NextCommand(command=f"releasekit rollback {traces.release}", effect="abandons it")


def _commands_without_record(stage: ReleaseStage, traces: ReleaseTraces) -> tuple[NextCommand, ...]:
    if traces.plan and traces.manifest:
        return (NextCommand(command=_RECOVER, effect="resumes it from its copy"), _ABANDON)
    if stage == "damaged":
        return (NextCommand(command="releasekit rollback", effect="removes the record"),)
    forget = f"git update-ref -d {traces.location}"
    return (
        NextCommand(
            command=forget, effect="removes that commit; nothing else is left of the release"
        ),
    )


def _commands_elsewhere(stage: ReleaseStage, traces: ReleaseTraces) -> tuple[NextCommand, ...]:
    publish_draft = NextCommand(
        command=f"releasekit publish --manifest {traces.title}", effect="publishes it"
    )
    commands = {**_COMMANDS_ELSEWHERE, "draft": (publish_draft,)}
    return commands[stage]


_COMMANDS_ELSEWHERE: Mapping[ReleaseStage, tuple[NextCommand, ...]] = {
    "elsewhere": (
        NextCommand(
            command=_RECOVER,
            effect="takes it over if that clone is lost; otherwise wait until it has finished",
        ),
    ),
    "proposed": (
        NextCommand(command="", effect="merge the pull request"),
        NextCommand(command="releasekit prepare", effect="updates the pull request"),
    ),
    "closed": (
        NextCommand(
            command="releasekit prepare",
            effect="opens a new pull request with all unreleased changes",
        ),
    ),
    "merged": (
        NextCommand(
            command="releasekit publish --publish-from ci",
            effect="tags the merged commit, and starts the workflow that publishes it",
        ),
    ),
}


def _commands_to_continue(
    traces: ReleaseTraces, packages: tuple[PackageStatus, ...]
) -> tuple[NextCommand, ...]:
    has_other_files = any(package.progress == "differs" for package in packages)
    if has_other_files:
        effect = (
            "abandons it: `releasekit publish` refuses a release whose files differ on the index"
        )
        return (NextCommand(command="releasekit rollback", effect=effect),)
    if _unrecoverable_files(packages):
        effect = "builds the lost files again, compares them, and resumes it"
        return (NextCommand(command=_RECOVER, effect=effect), _ABANDON)
    is_published = packages and all(package.is_published for package in packages)
    if traces.moved and is_published:
        effect = "gets the new commits; then `git push` and `releasekit publish` finish the release"
        return (NextCommand(command="git pull", effect=effect), _ABANDON)
    return (_RESUME, _ABANDON)
