"""The manifest of a release: its plan, commits, built files, tags and state. Parse and validate it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import filterfalse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, TypeVar

from packaging.utils import is_normalized_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from releasekit.core.artifacts.problems import ArtifactFinding
from releasekit.core.config.ref_names import is_tag_name
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.picking import names_of
from releasekit.core.planning.model import Plan
from releasekit.core.release.target import IndexAddress, strip_credentials
from releasekit.core.text import join_texts
from releasekit.core.version_numbers import PyVersion
from releasekit.core.workspace.built_files import file_name_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from releasekit.core.planning.model import Step
    from releasekit.core.workspace.built_files import BuiltContents

M = TypeVar("M", bound=BaseModel)


class BuiltFile(BaseModel):
    """One file of a package: its name, the sha256 in hexadecimal, and its size in bytes."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    size: int


class BuiltPackage(BaseModel):
    """One built package: its files, the import names of its wheel, its extras, and what verification has found.

    *platforms* are those that have built wheels of it, each with the names of these wheels. It is empty for a package
    that is built once, anywhere.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    tag: str
    files: tuple[BuiltFile, ...]
    imports: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    findings: tuple[ArtifactFinding, ...] = ()
    platforms: Mapping[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])

    @property
    def wheel_names(self) -> tuple[str, ...]:
        """The names of its wheels."""
        return tuple(name for name in self.file_names if name.endswith(".whl"))

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its files."""
        return tuple(names_of(self.files))

    @property
    def requirement(self) -> str:
        """The requirement for exactly this version, without extras."""
        return f"{self.name}=={self.version}"

    @property
    def hashed_requirement(self) -> str:
        """The requirement for exactly its files, as a line of a requirements or constraints file of pip."""
        return " ".join(
            [self.requirement, *(f"--hash=sha256:{file.sha256}" for file in self.files)]
        )

    @property
    def requirement_with_extras(self) -> str:
        """The requirement for exactly this version, with all extras."""
        if not self.extras:
            return self.requirement
        extras = ",".join(self.extras)
        return f"{self.name}[{extras}]=={self.version}"

    @property
    def separate_requirements(self) -> tuple[str, ...]:
        """The requirements that must each be installable: the package alone, and with each single extra."""
        with_extra = [f"{self.name}[{extra}]=={self.version}" for extra in self.extras]
        return (self.requirement, *with_extra)


class ReleaseManifest(BaseModel):
    """A release on disk.

    *commit* is the commit that the release starts from, *release_commit* the one that it makes.
    *by* ("name <mail>"), *host* and *begun* (UTC, ISO 8601) say who makes the release, where, and since when.
    *lock_id* is random: it differs between two clones that have these three in common.

    *packages* is empty until all packages are built, verified and proven to fit together. From then on, files may be
    public: the release resumes with exactly these files, and is never discarded automatically. *staged* says that all
    packages are built, but nothing is public, because the release was only staged.

    *tags* are those that the release has made or was about to make. *held* is the lock on the remote (see `lock_text`),
    empty without one. *undoing* says that a rollback has begun, *finished* that the release has ended.
    *indexes* are those that may have files of the release, the latest last. Each is recorded before the first upload.

    *platform* is set only in a part of a staged release: its packages are then those with wheels for this platform, and
    their files are these wheels.

    *command_changes* are the files that the `pre_release` commands changed in the release commit.

    *plan* is set only outside the record (see `with_plan`), so that one file contains everything.

    *waits_for* is the name of the index before which the release has stopped, until somebody allows it;
    *allowed_indexes* are those that somebody has allowed.
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
    lock_id: str = ""
    packages: tuple[BuiltPackage, ...] = ()
    tags: tuple[str, ...] = ()
    indexes: tuple[IndexAddress, ...] = ()
    held: str = ""
    undoing: bool = False
    staged: bool = False
    finished: bool = False
    command_changes: tuple[str, ...] = ()
    platform: str = ""
    plan: Plan | None = None
    waits_for: str = ""
    allowed_indexes: tuple[str, ...] = ()

    def with_index(self, index: IndexAddress) -> ReleaseManifest:
        """Return the manifest with *index* as the latest index. Record it before the first upload to that index."""
        if index in self.indexes:
            return self
        others = [recorded for recorded in self.indexes if recorded.check_url != index.check_url]
        return self.model_copy(update={"indexes": (*others, index)})

    def allow_index(self, names: Iterable[str]) -> ReleaseManifest:
        """Return the manifest after a yes to the indexes *names*; it waits for none of them any more."""
        allowed = tuple(dict.fromkeys((*self.allowed_indexes, *names)))
        waits_for = "" if self.waits_for in allowed else self.waits_for
        return self.model_copy(update={"allowed_indexes": allowed, "waits_for": waits_for})

    def lock_identity(self) -> tuple[str, ...]:
        """Return what distinguishes the releases of two clones, even if one took it over from the other."""
        return (self.release_commit, self.by, self.host, self.begun, self.lock_id)

    def lock_text(self) -> str:
        """Return the manifest for the lock on the remote: the fields that do not change after the first upload."""
        lasting = self.model_copy(update={**_RESET_FIELDS, "tags": (), "plan": None})
        return manifest_text(lasting)

    def with_plan(self, plan: Plan) -> ReleaseManifest:
        """Return the manifest with the *plan* inside, to continue the release elsewhere."""
        return self.model_copy(update={**_RESET_FIELDS, "plan": plan})

    def __str__(self) -> str:
        owner = self.by or "an unknown user"
        host = self.host or "an unknown host"
        time = self.begun or "an unknown time"
        return f"{owner} on {host} since {time}"


EMPTY_MANIFEST = ReleaseManifest(release="", commit="", release_commit="", branch="")
"""Stands in for a manifest that is not written yet, or is unknown."""

_RESET_FIELDS = {
    "held": "",
    "undoing": False,
    "staged": False,
    "finished": False,
    "waits_for": "",
    "allowed_indexes": (),
}


def sums_text(manifest: ReleaseManifest) -> str:
    """Return the sha256 of all built files, for `sha256sum --check` in a directory that has them."""
    files = [file for package in manifest.packages for file in package.files]
    return "".join(
        f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name)
    )


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
    is_own_plan = (plan.release, plan.commit) == (manifest.release, manifest.commit)
    if not is_own_plan:
        yield f"its plan belongs to another release, {plan.release}"
    ids = (
        ("release", manifest.release, _RELEASE_ID),
        ("commit", manifest.commit, _SHA),
        ("release_commit", manifest.release_commit, _SHA),
    )
    for name, value, pattern in ids:
        if not pattern.fullmatch(value):
            yield f"{name}: {value!r} is not valid"
    package_tags = [step.tag for step in plan.steps]
    branches = [manifest.branch] if manifest.branch else []
    ref_names = [*plan.tags, *manifest.tags, *package_tags, *branches]
    for ref_name in filterfalse(is_tag_name, ref_names):
        yield f"{ref_name!r} is not a valid name of a tag or branch"
    yield from _index_problems(manifest)
    yield from _step_problems(plan)
    yield from _package_problems(manifest, plan)


_RELEASE_ID, _SHA = re.compile(r"[0-9a-f]{12}"), re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def _index_problems(manifest: ReleaseManifest) -> Iterator[str]:
    for index in manifest.indexes:
        addresses = filter(None, (index.check_url, index.publish_url))
        has_plain_addresses = all(map(_is_plain_address, addresses))
        if not has_plain_addresses:
            yield "indexes: an address is not http or https, or contains more than host and path"


def _is_plain_address(address: str) -> bool:
    has_host = _WEB_ADDRESS.match(address) is not None
    return has_host and strip_credentials(address) == address


_WEB_ADDRESS = re.compile(r"https?://[^/]")


def _step_problems(plan: Plan) -> Iterator[str]:
    names = set(names_of(plan.steps))
    has_unique_names = len(names) == len(plan.steps)
    if not (names and has_unique_names):
        yield "its plan releases no package, or one package twice"
    for step in plan.steps:
        yield from _problems_of_step(step, names)


def _problems_of_step(step: Step, names: set[str]) -> Iterator[str]:
    """Yield the problems of one *step* of a plan that releases the packages *names*."""
    is_release_of_package = step.next is not None and is_normalized_name(step.name)
    if not is_release_of_package:
        yield f"{step.name!r} has no version, or is not a package name"
    if not _is_inside_workspace(step.path):
        yield f"{step.path!r} leads out of the workspace"
    needs = {*step.needs, *step.build_needs, *step.after, *step.batch}
    unknown = sorted(needs - names)
    if unknown:
        yield f"{step.name} needs {', '.join(unknown)}, which the plan does not release"


def _is_inside_workspace(directory: str) -> bool:
    path = PurePosixPath(directory)
    has_parent = ".." in path.parts
    has_backslash = "\\" in directory  # it separates directories on Windows
    return not (path.is_absolute() or has_parent or has_backslash)


def _package_problems(manifest: ReleaseManifest, plan: Plan) -> Iterator[str]:
    if not manifest.packages:
        return  # not built yet
    planned = sorted((step.name, str(step.next), step.tag) for step in plan.steps)
    built = sorted(
        (package.name, str(package.version), package.tag) for package in manifest.packages
    )
    is_as_planned = set(built) <= set(planned) if manifest.platform else built == planned
    if not is_as_planned:
        yield "its packages differ from those of its plan"
    native = {step.name for step in plan.steps if step.platforms}
    for package in manifest.packages:
        contents = expected_contents(
            is_part=bool(manifest.platform), is_native=package.name in native
        )
        yield from file_name_problems(package.name, package.version, package.file_names, contents)
        for file in filterfalse(_is_valid_file, package.files):
            yield f"{file.name!r} is not a file of {package.name}, or its sha256 is not valid"


def expected_contents(*, is_part: bool, is_native: bool) -> BuiltContents:
    """Return which files a package must have: *is_native* says that platforms build its wheels, each in a part."""
    if is_part:
        return "wheels"
    return "sdist" if is_native else "all"


def _is_valid_file(file: BuiltFile) -> bool:
    has_valid_name = _FILE_NAME.fullmatch(file.name) is not None
    has_valid_sum = _SHA256.fullmatch(file.sha256) is not None
    return has_valid_name and has_valid_sum


_FILE_NAME, _SHA256 = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*"), re.compile(r"[0-9a-f]{64}")


def plan_text(plan: Plan) -> str:
    """Return *plan* as the JSON text of the release record."""
    return plan.model_dump_json(indent=1) + "\n"


def parse_plan(text: str, location: str) -> Plan:
    """Return the plan in the JSON *text* of the file *location*; raises ReleaseError RK-RECORD-INVALID."""
    return _parse(Plan, text, location)


def parse_built_package(text: str, location: str) -> BuiltPackage:
    """Return the built package in the JSON *text* of the file *location*, which is not trusted.

    Raises ReleaseError RK-RECORD-INVALID.
    """
    package = _parse(BuiltPackage, text, location)
    for file in filterfalse(_is_valid_file, package.files):
        raise ReleaseError(
            ErrorCode.RECORD_INVALID, f"{file.name!r} is not valid, or its sha256 is not", location
        )
    return package


def _parse(model: type[M], text: str, location: str) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        message = join_texts(": ", field, problem["msg"])
        raise ReleaseError(ErrorCode.RECORD_INVALID, message, location) from None
