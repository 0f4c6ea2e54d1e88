"""What one package needs to be staged, as one plain value that another process or machine can carry out."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.config.command_lines import PackageCommands
from releasekit.core.config.settings import BuildIsolation, PinMode, VerifyWaiver
from releasekit.core.release.release_manifest import expected_contents
from releasekit.core.version_numbers import PyVersion
from releasekit.core.workspace.pins import Pins

if TYPE_CHECKING:
    from releasekit.core.workspace.built_files import BuiltContents

_PLACE = frozenset(
    {
        *("record", "storage", "uv", "python", "secrets", "build_env"),
        *("workspace", "build_isolation", "build_timeout"),
    }
)


class StageJob(BaseModel):
    """Pin, build and verify one package of a release.

    *commit* is the release commit, *epoch* its time in seconds since 1970, *path* the directory of the package in it.
    *versions*, *limits* and *older* say with *pins* what the package requires of its siblings, as in `Pins`.
    *build_needs* are the siblings that its build installs; *need_sums* are the sha256 of their files. *siblings* are
    the other packages of the workspace, *verify_ignore* the waivers of verification. *has_platforms*: its wheels are
    built for each platform apart, so without *platform* only the sdist is built, and with one only the wheels for it.
    *commands* are those of the root that build a package; it may have its own.

    The other fields say how and where this machine works. They do not change what is built: *record* is the directory
    of the release record, *storage* the URL of the place through which a worker gets the release commit and gives its
    files, empty if it sees the record. *uv* is the program, *python* the interpreter that builds, empty for the one
    that uv finds. *secrets* are the names of the credentials for indexes, never their values. *build_env* are the names
    of more variables that builds get. *workspace* is the directory of the workspace in the commit. *build_isolation*
    says whether packages share environments. *build_timeout* is in seconds.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    release: str
    commit: str
    epoch: int
    path: str
    name: str
    version: PyVersion
    tag: str
    pins: PinMode
    versions: Mapping[str, PyVersion]
    limits: Mapping[str, PyVersion]
    older: tuple[str, ...] = ()
    build_needs: tuple[str, ...] = ()
    need_sums: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    verify_ignore: tuple[VerifyWaiver, ...] = ()
    has_platforms: bool = False
    platform: str = ""
    commands: PackageCommands = PackageCommands()
    record: str
    storage: str = ""
    uv: str = ""
    python: str = ""
    secrets: Mapping[str, str] = Field(default_factory=dict[str, str])
    build_env: tuple[str, ...] = ()
    workspace: str = "."
    build_isolation: BuildIsolation = "each"
    build_timeout: float

    @property
    def requirements(self) -> Pins:
        """What the package requires of its siblings once it is built."""
        return Pins(
            mode=self.pins, versions=self.versions, limits=self.limits, older=frozenset(self.older)
        )

    @property
    def contents(self) -> BuiltContents:
        """The files that are built."""
        return expected_contents(is_part=bool(self.platform), is_native=self.has_platforms)

    @property
    def key(self) -> str:
        """The key of the result: the release, and a sum of all that decides what is built."""
        content = self.model_dump_json(exclude=set(_PLACE))
        return f"{self.release}/{sha256(content.encode()).hexdigest()}"
