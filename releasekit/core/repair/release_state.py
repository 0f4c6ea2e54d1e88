"""What each place says about the releases of a workspace: plain values that the comparison works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.release.unfinished_release import NextCommand

VersionKey: TypeAlias = "tuple[str, Version]"
"""A package and its version."""

FileKind = Literal["sdist", "wheel"]
ALL_KINDS: frozenset[FileKind] = frozenset(("sdist", "wheel"))


@dataclass(frozen=True, slots=True)
class TagState:
    """A tag: its *name*, its commit in this clone (empty: it is not here), and on the remote (None: not asked)."""

    name: str
    here: str = ""
    there: str | None = None

    @property
    def exists(self) -> bool:
        """Whether this clone or the remote has it."""
        return bool(self.here or self.there)

    @property
    def commit(self) -> str:
        """The commit that it names; empty without the tag."""
        return self.here or self.there or ""

    @property
    def has_moved(self) -> bool:
        """Whether this clone and the remote have it on different commits."""
        commits = {self.here, self.there} - {"", None}
        return len(commits) > 1


@dataclass(frozen=True, slots=True)
class VersionState:
    """One version of a package.

    *commit* is the commit that released it, from the record or the history, empty if nothing shows it. *files* are the
    sha256 of the files on the index, by name. *expected* are those that the record and the assets of the release name;
    *kinds* are the kinds of files that other versions of the package have. *files_here* are the recorded files that
    this machine has with their content. *lacks_entry* says that the changelog has lost the section of the version.
    """

    name: str
    version: Version
    tag: TagState
    commit: str = ""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    is_yanked: bool = False
    expected: Mapping[str, str] = field(default_factory=dict[str, str])
    kinds: frozenset[FileKind] = frozenset()
    files_here: AbstractSet[str] = frozenset()
    lacks_entry: bool = False

    @property
    def key(self) -> VersionKey:
        """The package and the version."""
        return self.name, self.version

    @property
    def missing_files(self) -> tuple[str, ...]:
        """The files that the index lacks; a kind of file if nothing names them."""
        if self.expected:
            return tuple(sorted(self.expected.keys() - self.files.keys()))
        present_kinds = {file_kind(name) for name in self.files}
        return tuple(sorted(self.kinds - present_kinds))

    @property
    def differing_files(self) -> tuple[str, ...]:
        """The files on the index whose sha256 is not the expected one; an index may give none."""
        shared = sorted(self.expected.keys() & self.files.keys())
        return tuple(name for name in shared if self.files[name] not in ("", self.expected[name]))

    @property
    def is_complete(self) -> bool:
        """Whether the index has all its files, with their content."""
        return bool(self.files) and not (self.missing_files or self.differing_files)

    @property
    def can_upload(self) -> bool:
        """Whether this machine has the recorded content of each file that the index lacks."""
        return bool(self.expected) and self.files_here >= set(self.missing_files)


def file_kind(name: str) -> FileKind:
    """Return the kind of the package file *name*."""
    return "wheel" if name.endswith(".whl") else "sdist"


@dataclass(frozen=True, slots=True)
class ForgeState:
    """The release of a tag on the forge. *has_manifest* says that the draft can be published from its manifest."""

    is_draft: bool = False
    has_sums: bool = False
    has_manifest: bool = False


@dataclass(frozen=True, slots=True)
class TaggedRelease:
    """A release that releasekit has made: the *tag* that names it, its *commit*, and its packages.

    *on_forge* is None if the forge has no release of the tag. *lacks_entry* says that the changelog of the
    workspace has lost the section of the release.
    """

    tag: TagState
    commit: str
    versions: tuple[VersionKey, ...]
    on_forge: ForgeState | None = None
    lacks_entry: bool = False


@dataclass(frozen=True, slots=True)
class UnfinishedState:
    """A release that has not ended: its *title*, a sentence, its packages, and the command that continues it."""

    title: str
    text: str
    versions: tuple[VersionKey, ...]
    next: NextCommand


@dataclass(frozen=True)
class RepositoryState:
    """All versions and releases to compare.

    *requires* are the requirements on siblings of the latest version of each package on the index, by package.
    *has_forge* says that releases on the forge are expected and the forge has answered. *drafts* are drafts on the
    forge that belong to no release, by tag. *index* is what messages call the index that has the files.
    """

    versions: tuple[VersionState, ...]
    releases: tuple[TaggedRelease, ...] = ()
    unfinished: tuple[UnfinishedState, ...] = ()
    requires: Mapping[str, tuple[Requirement, ...]] = field(
        default_factory=dict[str, "tuple[Requirement, ...]"]
    )
    has_forge: bool = False
    drafts: Mapping[str, ForgeState] = field(default_factory=dict[str, ForgeState])
    remote: str = "origin"
    index: str = "the index"

    @cached_property
    def by_key(self) -> dict[VersionKey, VersionState]:
        """The versions by package and version."""
        return {state.key: state for state in self.versions}

    @cached_property
    def latest(self) -> dict[str, Version]:
        """The latest version of each package that installers choose: complete, not yanked, stable if there is one."""
        return {
            name: latest_version([state.version for state in offered])
            for name, offered in self._offered.items()
            if offered
        }

    def is_superseded(self, state: VersionState) -> bool:
        """Return whether installers choose a later version of the package, which is complete."""
        is_prerelease = state.version.is_prerelease
        return any(
            other.version > state.version and (is_prerelease or not other.version.is_prerelease)
            for other in self._offered[state.name]
        )

    @cached_property
    def _offered(self) -> dict[str, list[VersionState]]:
        """The versions of each package that are complete on the index and not yanked."""
        offered: dict[str, list[VersionState]] = {state.name: [] for state in self.versions}
        for state in self.versions:
            if state.is_complete and not state.is_yanked:
                offered[state.name].append(state)
        return offered


def latest_version(versions: list[Version]) -> Version:
    """Return the version among *versions* that installers choose: the highest stable one, else the highest."""
    stable = [version for version in versions if not version.is_prerelease]
    return max(stable or versions)
