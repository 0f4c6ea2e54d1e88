"""The release record: what one release is, what it has built, and how far it has come."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.core.errors import Code, ReleaseError
from tasks.core.plan import Plan, PyVersion

M = TypeVar("M", bound=BaseModel)


class BuiltFile(BaseModel):
    """One file of a package: its name, the sha256 in hexadecimal, and its size in bytes."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    size: int


class PackageVersion(BaseModel):
    """One package as it was built: the files, and the names that its wheel can be imported by."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    tag: str
    files: tuple[BuiltFile, ...]
    imports: tuple[str, ...] = ()


class ReleaseManifest(BaseModel):
    """A release on disk. *commit* is the frozen one that it is made from, *release_commit* the one it made.

    *by* ("name <mail>"), *host* and *begun* (UTC, ISO 8601) say who makes it, where and since when.
    *packages* is empty until all are built, verified and proven to fit together. From then on files may be public:
    the release is carried on with these very files and never dropped by itself. *tags* are those that it has made, or
    was about to make. *held* is what the remote holds for it (see `held_text`), empty if nothing. With *undoing* it is
    being rolled back.
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
    packages: tuple[PackageVersion, ...] = ()
    tags: tuple[str, ...] = ()
    held: str = ""
    undoing: bool = False
    finished: bool = False

    def holder(self) -> tuple[str, ...]:
        """Return what tells the releases of two clones apart, also if one has taken it over from the other."""
        return (self.release_commit, self.by, self.host, self.begun)

    def held_text(self) -> str:
        """Return the manifest as the remote holds it: what is so from the first upload on, and changes no more."""
        lasting = self.model_copy(update={"tags": (), "held": "", "undoing": False, "finished": False})
        return lasting.model_dump_json(indent=1) + "\n"

    def __str__(self) -> str:
        return f"{self.by or 'somebody'} on {self.host or 'some machine'} since {self.begun or 'some time'}"


def manifest_of(text: str, where: str) -> ReleaseManifest:
    """Return the manifest in the JSON *text* of the file *where*.

    Raises ReleaseError RK-RECORD-INVALID if it is damaged, incomplete or of another schema version.
    """
    return _read(ReleaseManifest, text, where)


def plan_text(plan: Plan) -> str:
    """Return *plan* as it is put on record."""
    return plan.model_dump_json(indent=1) + "\n"


def plan_of(text: str, where: str) -> Plan:
    """Return the plan in the JSON *text* of the file *where*; raises ReleaseError RK-RECORD-INVALID."""
    return _read(Plan, text, where)


def _read(model: type[M], text: str, where: str) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        what = ": ".join(filter(None, (".".join(map(str, problem["loc"])), problem["msg"])))
        raise ReleaseError(Code.RECORD_INVALID, what, where) from None
