"""The SBOM of a wheel (CycloneDX): the wheel itself, and the requirements that uv.lock has for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage

SBOM_SUFFIX = ".cdx.json"
"""The suffix of an SBOM, after the name of its wheel."""


def sbom_names(package: BuiltPackage) -> list[str]:
    """Return the names of the SBOMs of *package*: one for each wheel."""
    return [f"{name}{SBOM_SUFFIX}" for name in package.wheel_names]


def wheel_sbom(exported: str, package: BuiltPackage, wheel: BuiltFile) -> str:
    """Return what uv has *exported* for *package* as the SBOM of the file *wheel*.

    It has no time and no random number, so the same release always has the same one.
    """
    document: dict[str, Any] = json.loads(exported)
    document.pop("serialNumber", None)
    metadata = document.setdefault("metadata", {})
    metadata.pop("timestamp", None)
    component = metadata.setdefault("component", {})
    component.pop("properties", None)
    component |= {
        "type": "library",
        "name": package.name,
        "version": str(package.version),
        "purl": f"pkg:pypi/{package.name}@{package.version}?file_name={wheel.name}",
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
