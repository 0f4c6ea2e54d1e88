"""The release record: what one release is, what it has built, and how far it has come."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, TypeVar

from packaging.utils import is_normalized_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from releasekit.core.config.ref_names import is_tag_name
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.planning.model import Plan
from releasekit.core.release.target import IndexAddress, strip_credentials
from releasekit.core.version_numbers import PyVersion
from releasekit.core.workspace.built_files import file_name_problems

if TYPE_CHECKING:
    from collections.abc import Iterator


M = TypeVar("M", bound=BaseModel)


class BuiltFile(BaseModel):
    """One file of a package: its name, the sha256 in hexadecimal, and its size in bytes."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    size: int


class BuiltPackage(BaseModel):
    """One package as it was built: the files, the names that its wheel can be imported by, and its extras."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    tag: str
    files: tuple[BuiltFile, ...]
    imports: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """What an installer is told to install exactly this, without extras."""
        return f"{self.name}=={self.version}"

    @property
    def requirement_with_extras(self) -> str:
        """The same with all of its extras."""
        return f"{self.name}[{','.join(self.extras)}]=={self.version}" if self.extras else self.requirement

    @property
    def separate_requirements(self) -> tuple[str, ...]:
        """What must be installable each by itself: the package, and the package with each of its extras."""
        return (self.requirement, *(f"{self.name}[{extra}]=={self.version}" for extra in self.extras))


class ReleaseManifest(BaseModel):
    """A release on disk. *commit* is the frozen one that it is made from, *release_commit* the one it made.

    *by* ("name <mail>"), *host* and *begun* (UTC, ISO 8601) say who makes it, where and since when.
    *packages* is empty until all are built, verified and proven to fit together. From then on files may be public:
    the release is carried on with these very files and never dropped by itself. *tags* are those that it has made, or
    was about to make. *held* is what the remote holds for it (see `lock_text`), empty if nothing. With *undoing* it is
    being rolled back. *staged* says that nothing of it is public, though all is built: it was only to be staged.

    *indexes* are those that its files may be on, the latest last: each comes on record before the first upload to it.

    *plan* is there where the manifest has left its record (see `with_plan`), so that one file says everything.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.manifest/1"] = Field(default="releasekit.manifest/1", alias="schema")
    release: str
    commit: str
    release_commit: str
    branch: str
    by: str = ""
    host: str = ""
    begun: str = ""
    packages: tuple[BuiltPackage, ...] = ()
    tags: tuple[str, ...] = ()
    indexes: tuple[IndexAddress, ...] = ()
    held: str = ""
    undoing: bool = False
    staged: bool = False
    finished: bool = False
    plan: Plan | None = None

    def with_index(self, index: IndexAddress) -> ReleaseManifest:
        """Return the manifest with *index* on record, before anything is uploaded to it."""
        if index in self.indexes:
            return self
        others = tuple(recorded for recorded in self.indexes if recorded.check_url != index.check_url)
        return self.model_copy(update={"indexes": (*others, index)})

    def lock_identity(self) -> tuple[str, ...]:
        """Return what tells the releases of two clones apart, also if one has taken it over from the other."""
        return (self.release_commit, self.by, self.host, self.begun)

    def lock_text(self) -> str:
        """Return the manifest as the remote holds it: what is so from the first upload on, and changes no more."""
        return manifest_text(self.model_copy(update={**_RESET_FIELDS, "tags": (), "plan": None}))

    def with_plan(self, plan: Plan) -> ReleaseManifest:
        """Return the manifest with the *plan* inside, for whoever is to go on with it elsewhere."""
        return self.model_copy(update={**_RESET_FIELDS, "plan": plan})

    def __str__(self) -> str:
        return f"{self.by or 'somebody'} on {self.host or 'some machine'} since {self.begun or 'some time'}"


_RESET_FIELDS = {"held": "", "undoing": False, "staged": False, "finished": False}


def manifest_text(manifest: ReleaseManifest) -> str:
    """Return *manifest* as it is put on record."""
    return manifest.model_dump_json(indent=1) + "\n"


def parse_manifest(text: str, location: str) -> ReleaseManifest:
    """Return the manifest in the JSON *text* of the file *location*.

    Raises ReleaseError RK-RECORD-INVALID if it is damaged, incomplete or of another schema version.
    """
    return _parse(ReleaseManifest, text, location)


def parse_staged_manifest(text: str, location: str) -> tuple[ReleaseManifest, Plan]:
    """Return the manifest in the JSON *text* of the file *location*, and the plan inside.

    It may come from anywhere: so what it names is no option of a program, and leads out of no directory.
    Raises ReleaseError RK-RECORD-INVALID.
    """
    manifest = parse_manifest(text, location)
    if manifest.plan is None:
        hint = "A manifest with its plan is what `publish --stage-only --output DIR` writes, and a draft release holds."
        raise ReleaseError(ErrorCode.RECORD_INVALID, "there is no plan in it", location, hint)
    for problem in _manifest_problems(manifest, manifest.plan):
        raise ReleaseError(ErrorCode.RECORD_INVALID, problem, location)
    return manifest, manifest.plan


def _manifest_problems(manifest: ReleaseManifest, plan: Plan) -> Iterator[str]:
    if (plan.release, plan.commit) != (manifest.release, manifest.commit):
        yield f"the plan inside is of another release, {plan.release}"
    for name, value, pattern in (
        ("release", manifest.release, _RELEASE_ID),
        ("commit", manifest.commit, _SHA),
        ("release_commit", manifest.release_commit, _SHA),
    ):
        if not pattern.fullmatch(value):
            yield f"{name}: {value!r} is none"
    tags = [*plan.tags, *manifest.tags, *(step.tag for step in plan.steps), *filter(None, [manifest.branch])]
    yield from (f"{tag!r} can be the name of no tag or branch" for tag in tags if not is_tag_name(tag))
    yield from _index_problems(manifest)
    yield from _step_problems(plan)
    yield from _package_problems(manifest, plan)


_RELEASE_ID, _SHA = re.compile(r"[0-9a-f]{12}"), re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def _index_problems(manifest: ReleaseManifest) -> Iterator[str]:
    for address in (url for index in manifest.indexes for url in (index.check_url, index.publish_url) if url):
        if not _WEB_ADDRESS.match(address) or strip_credentials(address) != address:
            yield "indexes: an address is none of the web, or holds more than host and path"


_WEB_ADDRESS = re.compile(r"https?://[^/]")


def _step_problems(plan: Plan) -> Iterator[str]:
    names = {step.name for step in plan.steps}
    if not names or len(names) < len(plan.steps):
        yield "the plan inside releases no package, or one twice"
    for step in plan.steps:
        path = PurePosixPath(step.path)
        if step.next is None or not is_normalized_name(step.name):
            yield f"{step.name!r} has no version, or is no name of a package"
        if path.is_absolute() or ".." in path.parts or "\\" in step.path:
            yield f"{step.path!r} leads out of the workspace"
        if unknown := {*step.needs, *step.build_needs, *step.after, *step.batch} - names:
            yield f"{step.name} needs {', '.join(sorted(unknown))}, which the plan does not release"


def _package_problems(manifest: ReleaseManifest, plan: Plan) -> Iterator[str]:
    if not manifest.packages:
        return  # none is built yet
    planned = sorted((step.name, str(step.next), step.tag) for step in plan.steps)
    if planned != sorted((package.name, str(package.version), package.tag) for package in manifest.packages):
        yield "the packages are not those of the plan inside"
    for package in manifest.packages:
        yield from file_name_problems(package.name, package.version, [file.name for file in package.files])
        for file in package.files:
            if not (_FILE_NAME.fullmatch(file.name) and _SHA256.fullmatch(file.sha256)):
                yield f"{file.name!r} is no file of {package.name}, or its sha256 is none"


_FILE_NAME, _SHA256 = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*"), re.compile(r"[0-9a-f]{64}")


def plan_text(plan: Plan) -> str:
    """Return *plan* as it is put on record."""
    return plan.model_dump_json(indent=1) + "\n"


def parse_plan(text: str, location: str) -> Plan:
    """Return the plan in the JSON *text* of the file *location*; raises ReleaseError RK-RECORD-INVALID."""
    return _parse(Plan, text, location)


def _parse(model: type[M], text: str, location: str) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        message = ": ".join(filter(None, (".".join(map(str, problem["loc"])), problem["msg"])))
        raise ReleaseError(ErrorCode.RECORD_INVALID, message, location) from None
