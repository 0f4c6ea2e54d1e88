"""What verification says about the newest wheels and sdists of popular projects.

`python benchmarks/popular_artifacts.py [DIRECTORY]` downloads them from uv's default index into DIRECTORY, and applies
every rule. Nothing is installed or built. A released file of a popular project is right, so each error is a wrong one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from releasekit.core.artifacts.verification import verify_artifacts
from releasekit.integrations import http
from releasekit.integrations.built_artifacts import built_paths, read_built
from releasekit.integrations.index import SimpleIndex
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

    from releasekit.integrations.protocols import IndexFile

PROJECTS = (
    "attrs", "black", "boto3", "certifi", "click", "cryptography", "django", "docutils", "fastapi", "flask", "grpcio",
    "hatchling", "httpx", "idna", "jinja2", "lxml", "mypy", "numpy", "packaging", "pandas", "pip", "poetry-core",
    "protobuf", "pydantic", "pydantic-core", "pytest", "pyyaml", "requests", "rich", "setuptools", "six", "sqlalchemy",
    "tqdm", "urllib3", "uv-build", "virtualenv", "wheel",
)  # fmt: skip
PLATFORMS = ("none-any", "manylinux", "musllinux", "macosx", "win")
TAGS = ("cp311-cp311", "abi3", "cp312-cp312", "py3-none", "")


def main(argv: list[str]) -> int:
    """Download what is missing, then print the findings; returns 1 if there is an error."""
    with tempfile.TemporaryDirectory(prefix="releasekit-popular-") as scratch:
        directory = Path(argv[0] if argv else scratch)
        directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(download(directory))
        return report(directory)


async def download(directory: Path) -> None:
    """Download the newest sdist and one wheel of each project into a directory of its name."""
    url = find_uv().default_index(directory)
    async with http.client(pool_size=4) as client:
        index = SimpleIndex(url, client)
        for project in PROJECTS:
            target = directory / project
            if not target.exists():
                target.mkdir()
                for file in newest(await index.files(project) or ()):
                    (target / file.name).write_bytes(await index.content(file))


def newest(files: Iterable[IndexFile]) -> list[IndexFile]:
    """Return the sdist and the most usual wheel of the latest stable version that has both, among *files*."""
    versions: dict[Version, list[IndexFile]] = {}
    for file in files:
        version = version_of(file.name)
        if version is not None and not version.is_prerelease:
            versions.setdefault(version, []).append(file)
    for version in sorted(versions, reverse=True):
        wheels = [file for file in versions[version] if file.name.endswith(".whl")]
        sdists = [file for file in versions[version] if file.name.endswith(".tar.gz")]
        if wheels and sdists:
            return [min(wheels, key=rank), sdists[0]]
    return []


def version_of(name: str) -> Version | None:
    """Return the version in the file *name*; None if it is neither wheel nor sdist."""
    try:
        return (
            parse_wheel_filename(name)[1]
            if name.endswith(".whl")
            else parse_sdist_filename(name)[1]
        )
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def rank(file: IndexFile) -> tuple[int, int, str]:
    """Return how unusual a wheel is: pure ones come first, then those for Linux."""
    platform = next(
        (number for number, platform in enumerate(PLATFORMS) if platform in file.name),
        len(PLATFORMS),
    )
    tag = next(number for number, tag in enumerate(TAGS) if tag in file.name)
    return platform, tag, file.name


def report(directory: Path) -> int:
    """Print the findings and the CPU time of each project; returns 1 if there is an error."""
    has_errors = False
    for project in sorted(directory.iterdir()):
        start = time.process_time()
        paths = built_paths(project)
        wheel = next(path for path in paths if path.suffix == ".whl")
        name, version, *_ = parse_wheel_filename(wheel.name)
        built = read_built(name, version, paths)
        findings = verify_artifacts(built)
        size = sum(member.size for archive in built.archives for member in archive.members)
        print(
            f"{name} {version}: {size / 1e6:.1f} MB unpacked, {time.process_time() - start:.2f} CPU seconds"
        )
        for finding in findings:
            print(f"  {finding.severity} {finding}")
        has_errors = has_errors or any(finding.stops for finding in findings)
    return int(has_errors)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
