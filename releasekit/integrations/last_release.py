"""The last release of a package on an index: what its wheel contains. Each wheel is fetched once."""

from __future__ import annotations

import io
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from pydantic import TypeAdapter

from releasekit.core.artifacts.package_facts import PackageFacts, wheel_facts
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.user_cache import read_cached, write_cached
from releasekit.integrations.wheel_texts import open_wheel, read_wheel_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from packaging.version import Version

    from releasekit.integrations.protocols import Index, IndexFile

_FACTS = TypeAdapter(PackageFacts)
_FACTS_VERSION = "1"
"""Raise it whenever the same wheel gives other facts."""


@dataclass(frozen=True, slots=True)
class IndexedRelease:
    """The last release of a package on an index: its *version*, and the facts of its wheels.

    *missing* says why there are no *facts*. *version* is None if there is no release.
    """

    version: Version | None = None
    facts: PackageFacts | None = None
    missing: str = ""


async def read_last_release(index: Index, name: str, target: Version) -> IndexedRelease:
    """Return the last stable release of the package *name* before *target* on *index*, or else the last prerelease.

    Yanked files do not count. Why nothing can be read is part of the result, never an error.
    """
    try:
        files = await index.files(name) or ()
    except ReleaseError as error:
        return IndexedRelease(missing=str(error))
    wheels = _wheels_before(files, name, target)
    version = _last_version(version for version, file in wheels if not file.yanked)
    if version is None:
        return IndexedRelease(missing="all wheels of earlier releases are yanked" if wheels else "")
    usable = [
        file for wheel_version, file in wheels if wheel_version == version and not file.yanked
    ]
    chosen = choose_wheel([file.name for file in usable])
    wheel = next(file for file in usable if file.name == chosen)
    try:
        facts = await _wheel_facts(index, wheel)
    except ReleaseError as error:
        return IndexedRelease(version, missing=str(error))
    return IndexedRelease(version, facts)


def _wheels_before(
    files: Iterable[IndexFile], name: str, target: Version
) -> list[tuple[Version, IndexFile]]:
    """Return the wheels of the package *name* among *files* that are of a version before *target*."""
    wheels: list[tuple[Version, IndexFile]] = []
    for file in files:
        try:
            project, version, _, _ = parse_wheel_filename(file.name)
        except InvalidWheelFilename:
            continue
        if project == canonicalize_name(name) and version < target:
            wheels.append((version, file))
    return wheels


def _last_version(versions: Iterable[Version]) -> Version | None:
    known = list(versions)
    stable = [version for version in known if not version.is_prerelease]
    return max(stable or known, default=None)


def choose_wheel(names: Sequence[str]) -> str:
    """Return the wheel among *names* that stands for its release: the one that every machine can install, if any."""
    return min(names, key=lambda name: (not name.endswith("-any.whl"), name))


async def _wheel_facts(index: Index, wheel: IndexFile) -> PackageFacts:
    """Return the facts of *wheel*. Raises ReleaseError if it cannot be read."""
    key = (_FACTS_VERSION, wheel.sha256)
    cached = read_cached("wheels", *key) if wheel.sha256 else None
    if cached is not None:
        return _FACTS.validate_python(cached)
    content = await index.content(wheel)
    if wheel.sha256 and sha256(content).hexdigest() != wheel.sha256:
        message = f"{wheel.name} is not the file that the index lists"
        raise ReleaseError(ErrorCode.INDEX_RESPONSE, message, index.url)
    facts = _read(io.BytesIO(content), wheel.name)
    if wheel.sha256:
        write_cached(_FACTS.dump_python(facts, mode="json"), "wheels", *key)
    return facts


def read_built_facts(paths: Iterable[Path]) -> PackageFacts | None:
    """Return the facts of the built wheels among *paths*; None without one. Raises ReleaseError RK-VERIFY-FAILED."""
    wheels = {path.name: path for path in paths if path.suffix == ".whl"}
    if not wheels:
        return None
    chosen = choose_wheel(list(wheels))
    with wheels[chosen].open("rb") as file:
        return _read(file, chosen)


def _read(file: BinaryIO, name: str) -> PackageFacts:
    with open_wheel(file, name) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
        metadata = read_wheel_text(archive, "METADATA")
        entry_points = read_wheel_text(archive, "entry_points.txt")
    return wheel_facts(sizes, metadata, entry_points)
