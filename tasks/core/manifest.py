"""The release record: what one release is, what it has built, and how far it has come."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.core.errors import Code, ReleaseError
from tasks.core.plan import PyVersion  # noqa: TC001  pydantic reads the annotation


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

    *packages* is empty until all are built, verified and proven to fit together. From then on files may be public:
    the release is carried on with these very files and never dropped by itself.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.manifest/1"] = Field(default="releasekit.manifest/1", alias="schema")
    release: str
    commit: str
    release_commit: str
    branch: str
    packages: tuple[PackageVersion, ...] = ()
    finished: bool = False


def manifest_of(text: str, where: str) -> ReleaseManifest:
    """Return the manifest in the JSON *text* of the file *where*.

    Raises ReleaseError RK-RECORD-INVALID if it is damaged, incomplete or of another schema version.
    """
    try:
        return ReleaseManifest.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        what = ": ".join(filter(None, (".".join(map(str, problem["loc"])), problem["msg"])))
        raise ReleaseError(Code.RECORD_INVALID, what, where) from None
