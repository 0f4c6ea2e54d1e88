"""The release record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from packaging.version import Version

from tasks.core.errors import Code, ReleaseError
from tasks.core.manifest import BuiltFile, PackageVersion, ReleaseManifest, manifest_of


def manifest(*versions: str) -> ReleaseManifest:
    packages = tuple(
        PackageVersion(
            name="core",
            version=Version(version),
            tag=f"core-v{version}",
            files=(BuiltFile(name=f"core-{version}.tar.gz", sha256="ab" * 32, size=7),),
            imports=("core",),
        )
        for version in versions
    )
    return ReleaseManifest(release="1a2b3c", commit="a" * 40, release_commit="b" * 40, branch="main", packages=packages)


@pytest.mark.parametrize("versions", [(), ("1.0",), ("1!1.0rc1.post2.dev3+local", "2.0")])
def test_round_trip(versions: tuple[str, ...]) -> None:
    """A record that was written is read as it was, to the byte."""
    written = manifest(*versions)

    read = manifest_of(written.model_dump_json(), "manifest.json")

    assert read == written
    assert read.model_dump_json() == written.model_dump_json()
    assert json.loads(written.model_dump_json())["schema"] == "releasekit.manifest/1"


def changed(**values: object) -> str:
    document: dict[str, Any] = json.loads(manifest("1.0").model_dump_json())
    return json.dumps({key: value for key, value in {**document, **values}.items() if value is not None})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON"),
        (manifest("1.0").model_dump_json()[:-40], "Invalid JSON"),
        ("\0" * 100, "Invalid JSON"),
        ("[]", "Input should be an object"),
        (changed(schema="releasekit.manifest/2"), "schema: Input should be 'releasekit.manifest/1'"),
        (changed(release=None), "release: Field required"),
        (changed(packages=[{"name": "core"}]), "packages.0.version: Field required"),
        (manifest("1.0").model_dump_json().replace('"1.0"', '"x"'), "packages.0.version: Value error, Invalid"),
        (changed(finished="perhaps"), "finished: Input should be a valid boolean"),
    ],
)
def test_invalid(text: str, said: str) -> None:
    """A record that is damaged, incomplete or of a newer form is refused, with its file and what is wrong."""
    with pytest.raises(ReleaseError) as caught:
        manifest_of(text, "release/manifest.json")

    assert caught.value.code is Code.RECORD_INVALID
    assert caught.value.what.startswith(said)
    assert caught.value.where == "release/manifest.json"
