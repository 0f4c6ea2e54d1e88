"""What the files of a package say by their names."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.workspace.built_files import file_name_problems, has_no_code, import_names

WHEEL, SDIST = "fps_auth-1.0-py3-none-any.whl", "fps_auth-1.0.tar.gz"
LOCAL = "fps_auth-1.0+g1a2b3c4-py3-none-any.whl"
BY_GIT = ": the build backend derived another version from the state of git"
EXPECTED = "expected one sdist (.tar.gz) and a wheel, found: "


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], f"{EXPECTED}nothing"),
        ([WHEEL], f"{EXPECTED}{WHEEL}"),
        ([SDIST, SDIST, WHEEL], f"{EXPECTED}{SDIST}, {SDIST}, {WHEEL}"),
        (["other-1.0.tar.gz", WHEEL], "other-1.0.tar.gz is named after other, not fps-auth"),
        (
            ["fps_auth-0.9.tar.gz", WHEEL],
            "fps_auth-0.9.tar.gz has the version 0.9, but 1.0 is planned",
        ),
        (
            [SDIST, LOCAL],
            f"{LOCAL} has the version 1.0+g1a2b3c4, but 1.0 is planned{BY_GIT}",
        ),
    ],
)
def test_file_names_match_the_plan(names: list[str], expected: str) -> None:
    """The names must be one sdist and at least one wheel of the project and planned version, without a local part."""
    assert list(file_name_problems("fps-auth", Version("1.0"), names)) == [expected]


@pytest.mark.parametrize(
    "names", [(SDIST, "fps_auth-1.0.whl"), ("fps_auth-x.tar.gz", WHEEL), ("fps.tar.gz", WHEEL)]
)
def test_invalid_file_name_is_problem(names: tuple[str, ...]) -> None:
    """A name that installers cannot parse is a problem, with the message of packaging."""
    (only,) = file_name_problems("fps-auth", Version("1.0"), names)

    assert ": Invalid " in only


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("pyproject.toml PKG-INFO README.md", True),
        (
            "pyproject.toml setup.py tests/test_a.py docs/conf.py .github/x.py src/notes.txt noxfile.py",
            True,
        ),
        ("pyproject.toml fps_auth/__init__.py", False),
        ("pyproject.toml src/lib.rs", False),
        ("pyproject.toml a/b.pyx", False),
        ("pyproject.toml tests.py", False),
        ("", False),
    ],
)
def test_sdist_may_have_no_code(files: str, *, expected: bool) -> None:
    """Scripts, tests and documentation are no code of a package; an empty list is not known."""
    assert has_no_code(files.split()) is expected


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
