"""Checks of built files before they are uploaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.core.workspace.built_files import Wheel, built_file_problems, extras_of, import_names, metadata_of
from releasekit.core.workspace.pins import Pins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WHEEL = "fps_auth-1.0-py3-none-any.whl"
SDIST = "fps_auth-1.0.tar.gz"
NEXT, LOCAL = "fps_auth-1.1-py3-none-any.whl", "fps_auth-1.0+g1a2b3c4-py3-none-any.whl"
EXPECTED = "expected one sdist and a wheel, found: "
BY_GIT = ": the build backend derived another version from the state of git"
INFO = "fps_auth-1.0.dist-info"
FILES = ("fps_auth/__init__.py", f"{INFO}/METADATA", f"{INFO}/RECORD")


def wheel(
    *requires: str,
    name: str = "fps-auth",
    version: str = "1.0",
    files: Sequence[str] = FILES,
    record: Mapping[str, str] | None = None,
) -> Wheel:
    """Return a correct wheel, changed by the arguments. *record* changes lines of its RECORD."""
    lines = [
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {need}" for need in requires),
    ]
    hashes = {file: f"hash-{number}" for number, file in enumerate(files)}
    listed = {file: "" if file.endswith("RECORD") else f"sha256={digest}" for file, digest in hashes.items()}
    return Wheel(WHEEL, "\n".join([*lines, "\nA readme.\nName: no field\n"]), hashes, {**listed, **(record or {})})


def said(*wheels: Wheel, names: Sequence[str] = (SDIST, WHEEL)) -> list[str]:
    """Return the problems, without the name of the wheel in front."""
    pins = Pins("exact", {"fps-auth": Version("1.0"), "core": Version("2.0")}, older=frozenset({"core<2"}))
    return [
        said.removeprefix(f"{WHEEL}: ") for said in built_file_problems("fps-auth", Version("1.0"), names, wheels, pins)
    ]


def test_correct_wheel_has_no_problems() -> None:
    """A package that is as planned has no problems."""
    needs = ("core==2.0", 'core[x]==2.0; extra == "all"', "core<2", "httpx>=0.27")

    assert said(wheel(*needs, name="Fps.Auth")) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], f"{EXPECTED}nothing"),
        ([WHEEL], f"{EXPECTED}{WHEEL}"),
        ([SDIST], f"{EXPECTED}{SDIST}"),
        ([SDIST, "fps-auth-1.0.tar.gz", WHEEL], f"{EXPECTED}{SDIST}, fps-auth-1.0.tar.gz, {WHEEL}"),
        (["other-1.0.tar.gz", WHEEL], "other-1.0.tar.gz is named after other, not fps-auth"),
        ([SDIST, "other-1.0-py3-none-any.whl"], "other-1.0-py3-none-any.whl is named after other, not fps-auth"),
        (["fps_auth-0.9.tar.gz", WHEEL], "fps_auth-0.9.tar.gz has the version 0.9, but 1.0 is planned"),
        ([SDIST, NEXT], f"{NEXT} has the version 1.1, but 1.0 is planned"),
        ([SDIST, LOCAL], f"{LOCAL} has the version 1.0+g1a2b3c4, but 1.0 is planned{BY_GIT}"),
    ],
)
def test_file_names_match_the_plan(names: Sequence[str], expected: str) -> None:
    """The names must be one sdist and at least one wheel of the project and planned version, without a local part."""
    assert said(wheel(), names=names) == [expected]


@pytest.mark.parametrize("names", [(SDIST, "fps_auth-1.0.whl"), ("fps_auth-x.tar.gz", WHEEL), ("fps.tar.gz", WHEEL)])
def test_invalid_file_name_is_problem(names: Sequence[str]) -> None:
    """A name that installers cannot parse is a problem, with the message of packaging."""
    (only,) = said(wheel(), names=names)

    assert ": Invalid " in only


def test_additional_platform_wheels_are_fine() -> None:
    """A second wheel for another platform is fine. Files that are neither sdist nor wheel are ignored."""
    assert said(wheel(), names=[SDIST, WHEEL, "fps_auth-1.0-cp311-cp311-win32.whl", "fps_auth-1.0.zip"]) == []


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (wheel(name="other"), "METADATA names other, not fps-auth"),
        (wheel(version="0.9"), "METADATA has the version 0.9, but 1.0 is planned"),
        (wheel(version="1.0+g1a2b3c4"), f"METADATA has the version 1.0+g1a2b3c4, but 1.0 is planned{BY_GIT}"),
        (wheel(version="1.1.dev3"), f"METADATA has the version 1.1.dev3, but 1.0 is planned{BY_GIT}"),
        (wheel("core>=1"), "requires core>=1, but ==2.0 is planned"),
        (wheel("Core"), "requires Core, but ==2.0 is planned"),
        (wheel('core>=1; extra == "x"'), 'requires core>=1; extra == "x", but ==2.0 is planned'),
        (wheel("core @ file:///core.whl"), "requires core @ file:///core.whl by URL, which PyPI refuses"),
        (wheel("httpx @ file:///httpx"), "requires httpx @ file:///httpx by URL, which PyPI refuses"),
        (wheel("core >< 1"), "Requires-Dist 'core >< 1' is not a valid requirement"),
        (wheel(files=FILES[1:]), "has no module"),
        (wheel(files=("README.py.txt", *FILES[1:])), "has no module"),
    ],
)
def test_wheel_metadata_matches_the_plan(built: Wheel, expected: str) -> None:
    """METADATA must be as planned, with exact pins and no URLs, and the wheel must have something to import."""
    assert said(built) == [expected]


def test_metadata_extras_are_normalised() -> None:
    """Each extra in METADATA is listed once, with its normalised name (PEP 685)."""
    built = wheel("core==2.0; extra == 'Fast_Path'")
    offered = "Provides-Extra: Fast_Path\nProvides-Extra: all\nProvides-Extra: fast-path\n"

    assert extras_of(built) == ()
    assert extras_of(replace(built, metadata=offered + built.metadata)) == ("all", "fast-path")


def test_local_version_is_a_problem() -> None:
    """An intended local version is refused too: no public index accepts it."""
    local = Version("1.0+ours")
    built = wheel(version="1.0+ours")

    (only,) = built_file_problems(
        "fps-auth", local, ["fps_auth-1.0+ours.tar.gz", LOCAL.replace("g1a2b3c4", "ours")], [built], Pins("exact", {})
    )

    assert only == "1.0+ours is a local version, which PyPI refuses"


class TestMetaPackages:
    """A package may have only requirements and no code."""

    @pytest.mark.parametrize(
        "sources",
        [
            "pyproject.toml PKG-INFO README.md",
            "pyproject.toml setup.py tests/test_install.py docs/conf.py .github/x.py src/notes.txt noxfile.py",
        ],
    )
    def test_sdist_without_code_permits_metapackage(self, sources: str) -> None:
        """A wheel without a module is fine if the sdist has no code either and the wheel has requirements."""
        bare = wheel("core==2.0", files=FILES[1:])

        assert (
            built_file_problems("fps-auth", Version("1.0"), [SDIST, WHEEL], [bare], Pins("exact", {}), sources.split())
            == ()
        )

    @pytest.mark.parametrize(
        "code", ["fps_auth/__init__.py", "src/fps_auth/a.py", "fps_auth.py", "src/lib.rs", "a/b.pyx", "tests.py"]
    )
    def test_wheel_must_keep_sdist_modules(self, code: str) -> None:
        """A wheel without modules is an error if the sdist has code."""
        bare = wheel("core==2.0", files=FILES[1:])

        said = built_file_problems(
            "fps-auth", Version("1.0"), [SDIST, WHEEL], [bare], Pins("exact", {}), ["pyproject.toml", code]
        )

        assert said == (f"{WHEEL}: has no module",)

    def test_wheel_needs_modules_or_requirements(self) -> None:
        """A wheel without modules and requirements is an error."""
        bare = wheel(files=FILES[1:])

        said = built_file_problems(
            "fps-auth", Version("1.0"), [SDIST, WHEEL], [bare], Pins("exact", {}), ["pyproject.toml"]
        )

        assert said == (f"{WHEEL}: has no module",)


@pytest.mark.parametrize(
    ("record", "files", "expected"),
    [
        ({"fps_auth/__init__.py": "sha256=other"}, FILES, "fps_auth/__init__.py does not match its hash in RECORD"),
        ({"fps_auth/__init__.py": ""}, FILES, "fps_auth/__init__.py does not match its hash in RECORD"),
        ({"fps_auth/gone.py": "sha256=x"}, FILES, "RECORD lists fps_auth/gone.py, which is not in the wheel"),
    ],
)
def test_record_must_match_the_wheel(record: dict[str, str], files: Sequence[str], expected: str) -> None:
    """RECORD must list exactly the files of the wheel, with their hashes."""
    assert said(wheel(files=files, record=record)) == [expected]


def test_record_must_list_every_file() -> None:
    """A file that RECORD does not list is a problem. RECORD and its signatures need no entry."""
    signed = wheel(files=(*FILES, f"{INFO}/RECORD.jws", f"{INFO}/RECORD.p7s", "fps_auth/late.py"))
    listed = {name: digest for name, digest in signed.record.items() if not name.endswith((".jws", ".p7s", "late.py"))}

    assert said(Wheel(WHEEL, signed.metadata, signed.hashes, listed)) == ["fps_auth/late.py is not in RECORD"]


def test_all_wheel_problems_appear_together() -> None:
    """All problems of all wheels are reported at once."""
    assert len(said(wheel("core", version="2"), wheel("core"), names=[WHEEL])) == 4


def test_metadata_needs_a_name() -> None:
    """METADATA without a name is a problem."""
    nameless = Wheel(WHEEL, "Metadata-Version: 2.4\nVersion: 1.0\n", wheel().hashes, wheel().record)

    assert said(nameless) == ["METADATA names None, not fps-auth"]


def test_metadata_stops_before_the_readme() -> None:
    """Only the lines above the readme are fields."""
    assert metadata_of(wheel("a", "b")).get_all("Requires-Dist") == ["a", "b"]
    assert metadata_of(wheel()).get_all("Name") == ["fps-auth"]


@pytest.mark.parametrize(
    "file",
    ["fps_auth-1.0.data/purelib/x.py", "fps_auth-1.0.data/scripts/x", "fps_auth-stubs/__init__.pyi", "ns/py.typed"],
)
def test_wheel_without_imports_is_fine(file: str) -> None:
    """A wheel with only scripts, data or stubs is fine, although it has nothing to import."""
    assert said(wheel(files=(file, *FILES[1:]))) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("pkg/__init__.py pkg/a.py pkg/sub/__init__.py", "pkg"),
        ("one.py two/__init__.py", "one two"),
        # namespace packages (PEP 420)
        ("ns/a/__init__.py ns/b/__init__.py ns/b/c/__init__.py ns/d.py", "ns.a ns.b ns.d"),
        ("ns/deep/er/__init__.py", "ns.deep.er"),
        ("pkg/__init__.py pkg/data/run.py", "pkg"),
        # C extensions
        ("fast.cpython-311-x86_64-linux-gnu.so", "fast"),
        ("fast.abi3.so slow.pyd", "fast slow"),
        ("pkg/__init__.cpython-311-x86_64-linux-gnu.so pkg/a.so", "pkg"),
        ("ns/_fast.abi3.so", "ns._fast"),
        # files that cannot or should not be imported
        ("pkg/__init__.py pkg/__init__.pyi pkg/py.typed", "pkg"),
        ("pkg-stubs/__init__.pyi", ""),
        ("__main__.py ns/__main__.py", ""),
        ("pkg-1.0.data/purelib/pkg/__init__.py", ""),
        ("pkg-1.0.dist-info/extra.py", ""),
        ("pkg.libs/libz-1a2b.so scripts-old/run.py 2to3.py", ""),
        ("docs/index.html readme.txt", ""),
        # included by mistake, by backends that take the whole directory
        ("__init__.py pkg/__init__.py one.py", "one pkg"),
    ],
)
def test_import_names_come_from_files(files: str, expected: str) -> None:
    """The import names come from the files, not from the name of the project."""
    assert import_names(files.split()) == tuple(expected.split())
