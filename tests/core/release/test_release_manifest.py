"""The release record."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.release.release_manifest import (
    BuiltFile,
    BuiltPackage,
    ReleaseManifest,
    manifest_text,
    parse_manifest,
    parse_staged_manifest,
    sums_text,
)
from releasekit.core.release.target import IndexAddress
from tests.support.builders import plan_of


def manifest(*versions: str) -> ReleaseManifest:
    packages = tuple(
        BuiltPackage(
            name="core",
            version=Version(version),
            tag=f"core-v{version}",
            files=(BuiltFile(name=f"core-{version}.tar.gz", sha256="ab" * 32, size=7),),
            imports=("core",),
        )
        for version in versions
    )
    return ReleaseManifest(
        release="1a2b3c", commit="a" * 40, release_commit="b" * 40, branch="main", packages=packages
    )


@pytest.mark.parametrize("versions", [(), ("1.0",), ("1!1.0rc1.post2.dev3+local", "2.0")])
def test_manifest_round_trip_is_exact(versions: tuple[str, ...]) -> None:
    """A record that was written is read as it was, to the byte."""
    written = manifest(*versions)

    read = parse_manifest(written.model_dump_json(), "manifest.json")

    assert read == written
    assert read.model_dump_json() == written.model_dump_json()
    assert json.loads(written.model_dump_json())["schema"] == "releasekit.manifest/1"


def test_sums_list_each_file() -> None:
    """The sums are what `sha256sum --check` reads, in the order of the names."""
    assert (
        sums_text(manifest("2.0", "1.0"))
        == f"{'ab' * 32}  core-1.0.tar.gz\n{'ab' * 32}  core-2.0.tar.gz\n"
    )


def test_requirements_cover_each_extra() -> None:
    """A package is asked for by itself, with each extra, and with all; a record from before has no extras."""
    (before,) = manifest("1.0").packages
    text = before.model_dump_json(exclude={"extras"})
    package = before.model_copy(update={"extras": ("all", "fast")})

    assert BuiltPackage.model_validate_json(text).requirement_with_extras == "core==1.0"
    assert before.separate_requirements == ("core==1.0",)
    assert package.requirement_with_extras == "core[all,fast]==1.0"
    assert package.separate_requirements == ("core==1.0", "core[all]==1.0", "core[fast]==1.0")


def changed(**values: object) -> str:
    document: dict[str, Any] = json.loads(manifest("1.0").model_dump_json())
    return json.dumps(
        {key: value for key, value in {**document, **values}.items() if value is not None}
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON"),
        (manifest("1.0").model_dump_json()[:-40], "Invalid JSON"),
        ("\0" * 100, "Invalid JSON"),
        ("[]", "Input should be an object"),
        (
            changed(schema="releasekit.manifest/2"),
            "schema: Input should be 'releasekit.manifest/1'",
        ),
        (changed(release=None), "release: Field required"),
        (changed(packages=[{"name": "core"}]), "packages.0.version: Field required"),
        (
            manifest("1.0").model_dump_json().replace('"1.0"', '"x"'),
            "packages.0.version: Value error, Invalid",
        ),
        (changed(finished="perhaps"), "finished: Input should be a valid boolean"),
    ],
)
def test_invalid_manifest_is_refused(text: str, said: str) -> None:
    """A record that is damaged, incomplete or of a newer form is refused, with its file and what is wrong."""
    with pytest.raises(ReleaseError) as caught:
        parse_manifest(text, "release/manifest.json")

    assert caught.value.code is ErrorCode.RECORD_INVALID
    assert caught.value.message.startswith(said)
    assert caught.value.location == "release/manifest.json"


def exported(**changes: object) -> ReleaseManifest:
    """Return the manifest of core and app, all built, with its plan inside; *changes* are to the plan."""
    plan = plan_of("app: core").model_copy(update=changes)
    packages = tuple(
        BuiltPackage(
            name=step.name,
            version=step.version,
            tag=step.tag,
            files=tuple(
                BuiltFile(name=f"{step.name}-{step.version}{end}", sha256="ab" * 32, size=7)
                for end in (".tar.gz", "-py3-none-any.whl")
            ),
        )
        for step in plan.steps
    )
    made = ReleaseManifest(
        release=plan.release, commit=plan.commit, release_commit="b" * 40, branch="main", held="x"
    )
    return made.model_copy(update={"packages": packages}).with_plan(plan)


def test_exported_manifest_contains_its_plan() -> None:
    """A manifest that leaves its record says everything, and nothing that was so only there."""
    written = exported()

    read, plan = parse_staged_manifest(manifest_text(written), "manifest.json")

    assert (read, plan) == (written, plan_of("app: core"))
    assert (read.held, read.tags) == ("", ())
    bare = written.model_copy(update={"packages": ()})
    assert parse_staged_manifest(manifest_text(bare), "manifest.json")[0] == bare
    assert json.loads(read.lock_text())["plan"] is None, "it stands beside it"


OWN = IndexAddress(
    name="own", check_url="https://a.example/simple/", publish_url="https://a.example/up"
)
OTHER = IndexAddress(check_url="https://b.example/simple/")


def test_manifest_records_each_index_once() -> None:
    """Each index comes on record once, the latest last, and what the remote holds says it too, each time the same."""
    first = manifest("1.0").with_index(OWN)

    assert first.with_index(OWN) == first
    assert first.with_index(OTHER).indexes == (OWN, OTHER)
    assert first.with_index(OTHER).with_index(OTHER).indexes == (OWN, OTHER)
    named = OTHER.model_copy(update={"name": "other"})
    assert first.with_index(OTHER).with_index(named).indexes == (OWN, named)
    assert json.loads(first.lock_text())["indexes"] == [OWN.model_dump()]
    assert first.lock_text() == manifest("1.0").with_index(OWN).lock_text()


def test_old_manifest_has_no_index() -> None:
    """A record from before indexes were put on record is read, and says none."""
    old = json.loads(manifest_text(manifest("1.0")))
    del old["indexes"]

    assert parse_manifest(json.dumps(old), "manifest.json").indexes == ()


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        ('"plan": {', '"plan": null, "was": {', "it contains no plan"),
        (
            '"branch": "main"',
            '"branch": "--force"',
            "'--force' is not a valid name of a tag or branch",
        ),
        (
            '"tag": "core-v1.1"',
            '"tag": "--delete"',
            "'--delete' is not a valid name of a tag or branch",
        ),
        ('"release_commit": "bbb', '"release_commit": "--b', "release_commit: '--bbbbbb"),
        ('"path": "packages/core"', '"path": "/etc"', "'/etc' leads out of the workspace"),
        (
            '"path": "packages/core"',
            '"path": "packages/../../x"',
            "'packages/../../x' leads out of the workspace",
        ),
        (
            '"needs": ["core"]',
            '"needs": ["../core"]',
            "app needs ../core, which the plan does not release",
        ),
        ('"name": "core-1.1.tar.gz"', '"name": "../core-1.1.tar.gz"', "../core-1.1.tar.gz"),
        ('"name": "core-1.1.tar.gz"', '"name": "/x/core-1.1.tar.gz"', "/x/core-1.1.tar.gz"),
        (
            '"name": "core-1.1.tar.gz"',
            '"name": "core-1.2.tar.gz"',
            "core-1.2.tar.gz has the version 1.2, but 1.1 is",
        ),
        ('"name": "core-1.1-py3', '"name": "core-1.1-../py3', "core-1.1-../py3-none-any.whl"),
        ('"sha256": "abab', '"sha256": "--ab', "or its sha256 is not valid"),
        (
            '"indexes": []',
            '"indexes": [{"check_url": "file:///etc"}]',
            "an address is not http or https",
        ),
        (
            '"indexes": []',
            '"indexes": [{"check_url": "https://ada:pw@a.example"}]',
            "more than host and path",
        ),
        ('"version": "1.1"', '"version": "1.2"', "its packages differ from those of its plan"),
    ],
)
def test_exported_manifest_is_not_trusted(here: str, there: str, said: str) -> None:
    """What a manifest from elsewhere names is no option of a program, and leads out of no directory."""
    text = json.dumps(json.loads(manifest_text(exported())))
    assert here in text, text

    with pytest.raises(ReleaseError) as caught:
        parse_staged_manifest(text.replace(here, there), "manifest.json")

    assert caught.value.code is ErrorCode.RECORD_INVALID
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("release", "../../etc", "release: '../../etc' is not valid"),
        ("commit", "HEAD", "commit: 'HEAD' is not valid"),
        ("packages", (), "its plan releases no package"),
    ],
)
def test_exported_manifest_fields_are_validated(field: str, value: object, said: str) -> None:
    """So it is with what manifest and plan agree on."""
    text = manifest_text(exported(**{field: value}))

    with pytest.raises(ReleaseError, match=re.escape(said)):
        parse_staged_manifest(text, "manifest.json")


def test_plan_must_match_its_manifest() -> None:
    """A plan that was put into the manifest of another release is refused."""
    text = manifest_text(exported().model_copy(update={"release": "0" * 12}))

    with pytest.raises(ReleaseError, match="its plan belongs to another release"):
        parse_staged_manifest(text, "manifest.json")
