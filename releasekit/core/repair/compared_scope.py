"""Choose which versions and releases are compared, and name the files that they must have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, canonicalize_name
from packaging.version import InvalidVersion, Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.version_numbers import parse_version
from releasekit.core.workspace.built_files import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from releasekit.core.repair.inconsistencies import Inconsistency
    from releasekit.core.repair.release_state import (
        RepositoryState,
        TaggedRelease,
        VersionKey,
        VersionState,
    )


@dataclass(frozen=True, slots=True)
class ComparedScope:
    """The versions and the tags of releases to report about; the others only show what is superseded.

    *is_whole* says that the workspace as it is now is compared, not an earlier release.
    """

    keys: frozenset[VersionKey]
    tags: frozenset[str]
    is_whole: bool

    def covers(self, finding: Inconsistency) -> bool:
        """Return whether *finding* is to be reported."""
        if finding.kind == "not_installable_together":
            return self.is_whole
        if finding.package and finding.kind != "release_unfinished":
            return (finding.package, Version(finding.version)) in self.keys
        return self.is_whole or finding.tag in self.tags

    def releases(self, state: RepositoryState) -> list[TaggedRelease]:
        """Return the releases of *state* to report about."""
        return [release for release in state.releases if release.tag.name in self.tags]


def choose_scope(
    state: RepositoryState, packages: Collection[str], release: str = "", *, everything: bool
) -> ComparedScope:
    """Return the last version of each of *packages* with its release; or the *release* of this tag; or *everything*.

    It is empty if there is no such *release*.
    """
    candidates = [version for version in state.versions if version.name in packages]
    if release:
        named = [item for item in state.releases if item.tag.name == release]
        keys = {key for item in named for key in item.versions}
        keys |= {version.key for version in candidates if version.tag.name == release}
    elif everything:
        keys = {version.key for version in candidates}
    else:
        keys = _last_keys(candidates)
    tags = {
        item.tag.name
        for item in state.releases
        if item.tag.name == release or (not release and not keys.isdisjoint(item.versions))
    }
    return ComparedScope(frozenset(keys), frozenset(tags), is_whole=not release)


def _last_keys(versions: Iterable[VersionState]) -> set[VersionKey]:
    """Return package and version of the last version of each package that has a tag or a file."""
    last: dict[str, Version] = {}
    for version in versions:
        is_traced = version.tag.exists or version.files
        if is_traced and version.version >= last.get(version.name, version.version):
            last[version.name] = version.version
    return set(last.items())


def parse_version_key(name: str, text: str) -> VersionKey:
    """Return the package *name* and the version *text* of a command line; raises Refusal RK-USAGE for no version."""
    version = parse_version(text)
    if version is None:
        raise Refusal(ErrorCode.USAGE, f"{text!r} is not a version")
    return canonicalize_name(name), version


def files_by_version(name: str, sums: Mapping[str, str]) -> dict[Version, dict[str, str]]:
    """Return those of *sums* (sha256 by file name) that are files of the package *name*, by version."""
    by_version: dict[Version, dict[str, str]] = {}
    for file, digest in sums.items():
        try:
            project, version = parse_file_name(file)
        except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
            continue
        if project == name:
            by_version.setdefault(version, {})[file] = digest
    return by_version


def parse_sums(text: str) -> dict[str, str]:
    """Return the sha256 of each file in a SHA256SUMS *text*, by file name; lines of another form are passed over."""
    sums: dict[str, str] = {}
    for line in text.splitlines():
        digest, _, path = line.partition(" ")
        name = path.lstrip(" *").rpartition("/")[2]
        if name:
            sums[name] = digest
    return sums


def with_sums(version: VersionState, sums: Mapping[str, str]) -> VersionState:
    """Return *version* with the *sums* of its release's assets among the expected files.

    Where two sources differ, the one that contradicts the index counts: somebody has to look.
    """
    own_sums = files_by_version(version.name, sums).get(version.version, {})
    expected = dict(version.expected)
    for file, digest in own_sums.items():
        agrees = version.files.get(file) == expected.get(file)
        expected[file] = digest if agrees else expected.get(file, digest)
    return replace(version, expected=expected)
