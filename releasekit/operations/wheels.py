"""Compare the wheels of a release with those of the last release on the index."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from releasekit.core.release.platform_parts import fewer_wheels_error
from releasekit.core.workspace.wheel_tags import is_native, last_release_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.protocols import Index


async def refuse_fewer_wheels(
    packages: Iterable[BuiltPackage], index: Index, allowed: Sequence[str]
) -> None:
    """Refuse *packages* that lack wheels which their last release on *index* had, except those that are *allowed*.

    Only packages with native wheels are looked up. Raises Refusal RK-WHEELS-MISSING, ReleaseError RK-INDEX-….
    """
    native = [package for package in packages if any(map(is_native, package.wheel_names))]
    pages = await asyncio.gather(*(index.files(package.name) for package in native))
    before = {
        package.name: last_release_files(
            [file.name for file in page or () if not file.yanked], package.version
        )
        for package, page in zip(native, pages, strict=True)
    }
    error = fewer_wheels_error(before, native, allowed)
    if error:
        raise error
