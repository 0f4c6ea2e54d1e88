"""Unfinished releases: the progress of each package, and which command to run next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.text import count_packages
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
    """The traces of one unfinished release, here, on the remote, on the index, and on GitHub or GitLab.

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
        return self.manifest.packages if self.manifest else ()


class FileStatus(BaseModel):
    """One built file. *here* says whether this machine has it, *index* compares it with the file on the index."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    here: bool
    index: IndexState


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
    *umbrella_there* say whether the umbrella tags exist locally and on the remote, None if the remote was not asked.
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
            return f"{len(self.releases)} unfinished release{'' if len(self.releases) == 1 else 's'}"
        if self.running:
            return f"No release is unfinished; releasekit is running here: {self.running}."
        where = "on this machine" if self.unasked else "here or on the remote"
        return f"No release is unfinished {where}."


def describe_release(traces: ReleaseTraces, running: str = "", holder_elsewhere: str = "") -> UnfinishedRelease:
    """Return the status of the release of *traces*.

    *running* is the process that has the lock of this repository. *holder_elsewhere* is a process of another machine
    that may have it.
    """
    plan, manifest = traces.plan, traces.manifest
    packages = tuple(_package_status(step, traces) for step in plan.steps) if plan else ()
    is_index_asked = traces.index_files is not None or not traces.packages
    published = sum(package.is_published for package in packages) if is_index_asked else None
    stage = _release_stage(traces, running)
    first, *others = _commands(stage, traces, packages)
    umbrella = plan.tags if plan else ()
    commit = manifest.release_commit if manifest else ""
    return UnfinishedRelease(
        release=traces.release,
        title=traces.title,
        stage=stage,
        what=_describe_stage(stage, traces, packages, published, running),
        by=manifest.by if manifest else "",
        host=manifest.host if manifest else "",
        since=manifest.begun if manifest else "",
        where=traces.location,
        commit=commit,
        branch=manifest.branch if manifest else "",
        packages=packages,
        published=published,
        umbrella_here=bool(umbrella) and all(_is_tag_at(traces.tags_here, tag, commit) for tag in umbrella),
        umbrella_there=_are_tags_on_remote(traces, umbrella, commit),
        next=first,
        others=tuple(others),
        notes=tuple(_notes(stage, traces, packages, holder_elsewhere)),
    )


def unfinished_note(release: UnfinishedRelease) -> str:
    """Return the line that `plan` prints about the unfinished release."""
    count = len(release.packages)
    progress = (
        f" ({release.published} of {count_packages(release.packages)} published)" if count and release.published else ""
    )
    return f"note: release {release.title} is unfinished{progress}; `releasekit status` shows it"


# ---- the progress of each package -----------------------------------------------------------------------------------


def _package_status(step: Step, traces: ReleaseTraces) -> PackageStatus:
    built_package = next((package for package in traces.packages if package.name == step.name), None)
    files = tuple(_file_status(file, step.name, traces) for file in built_package.files) if built_package else ()
    commit = traces.manifest.release_commit if traces.manifest else ""
    return PackageStatus(
        name=step.name,
        version=step.version,
        progress=_upload_progress(files) if built_package else "planned",
        tag=step.tag,
        tagged_here=_is_tag_at(traces.tags_here, step.tag, commit),
        tagged_there=_are_tags_on_remote(traces, (step.tag,), commit),
        files=files,
    )


def _file_status(file: BuiltFile, package: str, traces: ReleaseTraces) -> FileStatus:
    on_index: IndexState = "unasked"
    if traces.index_files is not None:
        listed = traces.index_files.get(package, {})
        if file.name not in listed:
            on_index = "absent"
        elif not listed[file.name]:
            on_index = "listed"  # without a checksum
        else:
            on_index = "same" if listed[file.name] == file.sha256 else "differs"
    here = traces.source == "record" and file.name not in traces.missing_files
    return FileStatus(name=file.name, sha256=file.sha256, here=here, index=on_index)


def _upload_progress(files: tuple[FileStatus, ...]) -> UploadProgress:
    states = {file.index for file in files}
    if "differs" in states:
        return "differs"
    if states == {"same"}:
        return "confirmed"
    if states <= {"same", "listed"}:
        return "uploaded"
    return "partly_uploaded" if states & {"same", "listed"} else "built"


def _is_tag_at(tags: Mapping[str, str], tag: str, commit: str) -> bool:
    return bool(commit) and tags.get(tag) == commit


def _are_tags_on_remote(traces: ReleaseTraces, tags: tuple[str, ...], commit: str) -> bool | None:
    """Return whether the remote has all *tags* on the release commit, None if it was not asked."""
    if traces.tags_there is None:
        return None
    return bool(tags) and all(_is_tag_at(traces.tags_there, tag, commit) for tag in tags)


# ---- the stage of the release ---------------------------------------------------------------------------------------


def _release_stage(traces: ReleaseTraces, running: str) -> ReleaseStage:
    manifest = traces.manifest
    if traces.source != "record":
        return _stage_without_record(traces)
    is_lock_lost = bool(manifest and manifest.held) and traces.lock in ("none", "other")
    possible: dict[ReleaseStage, bool] = {
        "damaged": bool(traces.damage),
        "running": bool(running),
        "importing": not traces.has_plan,
        "undoing": bool(manifest and manifest.undoing),
        "taken_over": is_lock_lost,
        "staged": bool(manifest and manifest.staged),
        "begun": True,
    }
    return next(stage for stage, applies in possible.items() if applies)


def _stage_without_record(traces: ReleaseTraces) -> ReleaseStage:
    match traces.source:
        case "remote":
            return "elsewhere"
        case "copy":
            return "orphaned"
        case "pull" if traces.pull_state == "merged":
            return "merged"
        case "pull" if traces.pull_state == "closed":
            return "closed"
        case "pull":
            return "proposed"
        case _:
            return "draft"


def _describe_stage(
    stage: ReleaseStage, traces: ReleaseTraces, packages: tuple[PackageStatus, ...], published: int | None, running: str
) -> str:
    release = f"Release {traces.title}"
    progress = _describe_progress(traces, packages, published)
    is_undone = bool(traces.manifest and traces.manifest.undoing)
    sentences = {
        "running": f"{release} is being {'rolled back' if is_undone else 'made'} now by {running}: {progress}.",
        "begun": f"{release} is unfinished: {progress}.",
        "staged": f"{release} is staged: everything is built and verified, and nothing is public.",
        "undoing": f"The rollback of release {traces.title} is unfinished.",
        "taken_over": f"{release} was begun here, but this clone no longer has its lock on {traces.remote}: "
        "another clone has taken it over, finished it or rolled it back.",
        "importing": f"{release} was imported from a manifest, but its record here is incomplete: the plan is missing.",
        "damaged": f"The record of release {traces.title} is damaged: {traces.damage}.",
        "orphaned": f"The record of release {traces.title} is lost; git has a copy of it."
        if traces.plan
        else f"{traces.location} keeps the commit of a release whose record is lost.",
        "elsewhere": f"{release} is being made by another clone: {progress}.",
        "proposed": f"{release} has an open pull request, which waits to be merged.",
        "closed": f"{release} had a pull request, which was closed without being merged.",
        "merged": f"{release} is merged, but not tagged yet.",
        "draft": f"{release} is tagged; its draft waits to be published.",
    }
    return sentences[stage]


def _describe_progress(traces: ReleaseTraces, packages: tuple[PackageStatus, ...], published: int | None) -> str:
    if not traces.packages:
        return f"{count_packages(packages)} planned, none built" if packages else "its progress is unknown"
    if published is None:
        return f"{count_packages(packages)} built, the index was not asked"
    if published == len(packages):
        return f"all {count_packages(packages)} published, final steps left" if published > 1 else "1 package published"
    return f"{published} of {count_packages(packages)} published"


def _notes(
    stage: ReleaseStage, traces: ReleaseTraces, packages: tuple[PackageStatus, ...], holder_elsewhere: str
) -> Iterator[str]:
    if unrecoverable := _unrecoverable_files(packages):
        yield f"missing or damaged on this machine, and not on the index: {', '.join(unrecoverable)}"
    for package in packages:
        differing = [file.name for file in package.files if file.index == "differs"]
        if differing:
            yield f"{package.name}: the index has different content for {', '.join(differing)}"
    branch = traces.manifest.branch if traces.manifest else ""
    if traces.moved:
        yield f"{branch} on {traces.remote} has new commits, but not the release commit"
    if traces.ahead and stage in ("begun", "staged"):
        commits = "1 commit" if traces.ahead == 1 else f"{traces.ahead} commits"
        yield f"{commits} since then {'is' if traces.ahead == 1 else 'are'} not in this release"
    if holder_elsewhere and traces.source == "record":
        yield f"the release lock names {holder_elsewhere}; this machine cannot see whether that process still runs"
    if traces.page:
        yield traces.page


def _unrecoverable_files(packages: tuple[PackageStatus, ...]) -> list[str]:
    """Return the built files that are neither on this machine nor on the index, if the index was asked."""
    return [file.name for package in packages for file in package.files if not file.here and file.index == "absent"]


# ---- the next command -----------------------------------------------------------------------------------------------

_RESUME = NextCommand(command="releasekit publish", effect="resumes it")
_ABANDON = NextCommand(command="releasekit rollback", effect="abandons it")
_RECOVER = "releasekit publish --resume-from-registry"

_COMMANDS: dict[ReleaseStage, tuple[NextCommand, ...]] = {
    "running": (NextCommand(command="releasekit status", effect="shows its progress; wait until it has finished"),),
    "staged": (
        NextCommand(command="releasekit publish", effect="publishes these files"),
        NextCommand(command="releasekit publish --stage-only", effect="discards it, and stages it again"),
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
    return (NextCommand(command=forget, effect="removes that commit; nothing else is left of the release"),)


def _commands_elsewhere(stage: ReleaseStage, traces: ReleaseTraces) -> tuple[NextCommand, ...]:
    match stage:
        case "elsewhere":
            effect = "takes it over if that clone is lost; otherwise wait until it has finished"
            return (NextCommand(command=_RECOVER, effect=effect),)
        case "proposed":
            update = NextCommand(command="releasekit prepare", effect="updates the pull request")
            return (NextCommand(command="", effect="merge the pull request"), update)
        case "closed":
            effect = "opens a new pull request with all unreleased changes"
            return (NextCommand(command="releasekit prepare", effect=effect),)
        case "merged":
            effect = "tags the merged commit, and starts the workflow that publishes it"
            return (NextCommand(command="releasekit publish --publish-from ci", effect=effect),)
        case _:
            return (NextCommand(command=f"releasekit publish --manifest {traces.title}", effect="publishes it"),)


def _commands_to_continue(traces: ReleaseTraces, packages: tuple[PackageStatus, ...]) -> tuple[NextCommand, ...]:
    if any(package.progress == "differs" for package in packages):
        effect = "abandons it: `releasekit publish` refuses a release whose files differ on the index"
        return (NextCommand(command="releasekit rollback", effect=effect),)
    if _unrecoverable_files(packages):
        return (
            NextCommand(command=_RECOVER, effect="builds the lost files again, compares them, and resumes it"),
            _ABANDON,
        )
    if traces.moved and packages and all(package.is_published for package in packages):
        effect = "gets the new commits; then `git push` and `releasekit publish` finish the release"
        return (NextCommand(command="git pull", effect=effect), _ABANDON)
    return (_RESUME, _ABANDON)
