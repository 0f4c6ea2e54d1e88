"""The manifest of a release: its plan, commits, built files, tags and state. Parse and validate it."""

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
    """One built package: its files, the import names of its wheel, and its extras."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    tag: str
    files: tuple[BuiltFile, ...]
    imports: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """The requirement for exactly this version, without extras."""
        return f"{self.name}=={self.version}"

    @property
    def requirement_with_extras(self) -> str:
        """The requirement for exactly this version, with all extras."""
        return f"{self.name}[{','.join(self.extras)}]=={self.version}" if self.extras else self.requirement

    @property
    def separate_requirements(self) -> tuple[str, ...]:
        """The requirements that must each be installable: the package alone, and with each single extra."""
        return (self.requirement, *(f"{self.name}[{extra}]=={self.version}" for extra in self.extras))


class ReleaseManifest(BaseModel):
    """A release on disk.

    *commit* is the commit that the release starts from, *release_commit* the one that it makes.
    *by* ("name <mail>"), *host* and *begun* (UTC, ISO 8601) say who makes the release, where, and since when.

    *packages* is empty until all packages are built, verified and proven to fit together. From then on, files may be
    public: the release resumes with exactly these files, and is never discarded automatically. *staged* says that all
    packages are built, but nothing is public, because the release was only staged.

    *tags* are those that the release has made or was about to make. *held* is the lock on the remote (see `lock_text`),
    empty without one. *undoing* says that a rollback has begun, *finished* that the release has ended.
    *indexes* are those that may have files of the release, the latest last. Each is recorded before the first upload.

    *plan* is set only outside the record (see `with_plan`), so that one file contains everything.
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
        """Return the manifest with *index* as the latest index. Record it before the first upload to that index."""
        if index in self.indexes:
            return self
        others = tuple(recorded for recorded in self.indexes if recorded.check_url != index.check_url)
        return self.model_copy(update={"indexes": (*others, index)})

    def lock_identity(self) -> tuple[str, ...]:
        """Return what distinguishes the releases of two clones, even if one took it over from the other."""
        return (self.release_commit, self.by, self.host, self.begun)

    def lock_text(self) -> str:
        """Return the manifest for the lock on the remote: the fields that do not change after the first upload."""
        return manifest_text(self.model_copy(update={**_RESET_FIELDS, "tags": (), "plan": None}))

    def with_plan(self, plan: Plan) -> ReleaseManifest:
        """Return the manifest with the *plan* inside, to continue the release elsewhere."""
        return self.model_copy(update={**_RESET_FIELDS, "plan": plan})

    def __str__(self) -> str:
        owner = self.by or "an unknown user"
        host = self.host or "an unknown host"
        return f"{owner} on {host} since {self.begun or 'an unknown time'}"


_RESET_FIELDS = {"held": "", "undoing": False, "staged": False, "finished": False}


def manifest_text(manifest: ReleaseManifest) -> str:
    """Return *manifest* as the JSON text of the release record."""
    return manifest.model_dump_json(indent=1) + "\n"


def parse_manifest(text: str, location: str) -> ReleaseManifest:
    """Return the manifest in the JSON *text* of the file *location*.

    Raises ReleaseError RK-RECORD-INVALID if it is damaged, incomplete or of another schema version.
    """
    return _parse(ReleaseManifest, text, location)


def parse_staged_manifest(text: str, location: str) -> tuple[ReleaseManifest, Plan]:
    """Return the manifest in the JSON *text* of the file *location*, and the plan inside.

    The manifest is not trusted: no name in it may act as an option of a program, or lead out of a directory.
    Raises ReleaseError RK-RECORD-INVALID.
    """
    manifest = parse_manifest(text, location)
    if manifest.plan is None:
        hint = "`publish --stage-only --output DIR` writes a manifest with its plan; a draft release has one too."
        raise ReleaseError(ErrorCode.RECORD_INVALID, "it contains no plan", location, hint)
    for problem in _manifest_problems(manifest, manifest.plan):
        raise ReleaseError(ErrorCode.RECORD_INVALID, problem, location)
    return manifest, manifest.plan


def _manifest_problems(manifest: ReleaseManifest, plan: Plan) -> Iterator[str]:
    if (plan.release, plan.commit) != (manifest.release, manifest.commit):
        yield f"its plan belongs to another release, {plan.release}"
    for name, value, pattern in (
        ("release", manifest.release, _RELEASE_ID),
        ("commit", manifest.commit, _SHA),
        ("release_commit", manifest.release_commit, _SHA),
    ):
        if not pattern.fullmatch(value):
            yield f"{name}: {value!r} is not valid"
    tags = [*plan.tags, *manifest.tags, *(step.tag for step in plan.steps), *filter(None, [manifest.branch])]
    yield from (f"{tag!r} is not a valid name of a tag or branch" for tag in tags if not is_tag_name(tag))
    yield from _index_problems(manifest)
    yield from _step_problems(plan)
    yield from _package_problems(manifest, plan)


_RELEASE_ID, _SHA = re.compile(r"[0-9a-f]{12}"), re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def _index_problems(manifest: ReleaseManifest) -> Iterator[str]:
    for address in (url for index in manifest.indexes for url in (index.check_url, index.publish_url) if url):
        if not _WEB_ADDRESS.match(address) or strip_credentials(address) != address:
            yield "indexes: an address is not http or https, or contains more than host and path"


_WEB_ADDRESS = re.compile(r"https?://[^/]")


def _step_problems(plan: Plan) -> Iterator[str]:
    names = {step.name for step in plan.steps}
    if not names or len(names) < len(plan.steps):
        yield "its plan releases no package, or one package twice"
    for step in plan.steps:
        path = PurePosixPath(step.path)
        if step.next is None or not is_normalized_name(step.name):
            yield f"{step.name!r} has no version, or is not a package name"
        if path.is_absolute() or ".." in path.parts or "\\" in step.path:
            yield f"{step.path!r} leads out of the workspace"
        if unknown := {*step.needs, *step.build_needs, *step.after, *step.batch} - names:
            yield f"{step.name} needs {', '.join(sorted(unknown))}, which the plan does not release"


def _package_problems(manifest: ReleaseManifest, plan: Plan) -> Iterator[str]:
    if not manifest.packages:
        return  # not built yet
    planned = sorted((step.name, str(step.next), step.tag) for step in plan.steps)
    if planned != sorted((package.name, str(package.version), package.tag) for package in manifest.packages):
        yield "its packages differ from those of its plan"
    for package in manifest.packages:
        yield from file_name_problems(package.name, package.version, [file.name for file in package.files])
        for file in package.files:
            if not (_FILE_NAME.fullmatch(file.name) and _SHA256.fullmatch(file.sha256)):
                yield f"{file.name!r} is not a file of {package.name}, or its sha256 is not valid"


_FILE_NAME, _SHA256 = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*"), re.compile(r"[0-9a-f]{64}")


def plan_text(plan: Plan) -> str:
    """Return *plan* as the JSON text of the release record."""
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
