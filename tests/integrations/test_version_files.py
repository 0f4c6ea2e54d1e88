"""The files of a package that hold its version."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations.filesystem import read_text, write_atomic
from releasekit.integrations.process import run
from releasekit.integrations.uv import find_uv
from releasekit.integrations.version_files import cargo_lock_text, declared_version, new_texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STATIC = '[project]\nname = "it"\nversion = "1.0"\n'
DYNAMIC = '[project]\nname = "it"\ndynamic = ["version"]\n'
NEW = Version("1.1")


def scene(directory: Path, pyproject: str, files: Mapping[str, bytes]) -> Path:
    """Write a package of these files."""
    package = directory / "it"
    package.mkdir()
    (package / "pyproject.toml").write_text(pyproject)
    for name, raw in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return package


def write(package: Path) -> None:
    """Write the new version, as a release does."""
    document = tomllib.loads((package / "pyproject.toml").read_text())
    for path, text in new_texts(package, document, NEW, "it").items():
        write_atomic(path, text)


def refusal(package: Path) -> Refusal:
    before = {path: path.read_bytes() for path in package.rglob("*") if path.is_file()}
    with pytest.raises(Refusal) as caught:
        write(package)
    assert {path: path.read_bytes() for path in package.rglob("*") if path.is_file()} == before
    return caught.value


def bump(*entries: tuple[str, str]) -> str:
    """Return the table that names these paths and patterns."""
    named = ", ".join(f"{{ path = '{path}', pattern = '{pattern}' }}" for path, pattern in entries)
    return f"[tool.releasekit]\nbump = [{named}]\n"


def test_every_named_file_gets_version(tmp_path: Path) -> None:
    """Every file that is named gets the version, besides pyproject.toml; two places of one file as well."""
    entries = (
        ("src/it.py", 'A = "{version}"'),
        ("src/it.py", "B = ({version})"),
        ("pyproject.toml", "# now {version}"),
    )
    package = scene(
        tmp_path,
        f"{STATIC}{bump(*entries)}# now 1.0\n",
        {"src/it.py": b'A = "1.0"\r\nB = (1.0)\r\n'},
    )

    write(package)

    assert (package / "src/it.py").read_bytes() == b'A = "1.1"\r\nB = (1.1)\r\n'
    assert 'version = "1.1"' in read_text(package / "pyproject.toml")
    assert "# now 1.1" in read_text(package / "pyproject.toml")


def test_version_write_keeps_other_bytes(tmp_path: Path) -> None:
    """A file in another encoding keeps every byte but the version's."""
    raw = b'\xef\xbb\xbfNAME = "J\xfcrgen"\rA = "1.0"\x00\n'
    package = scene(tmp_path, STATIC + bump(("it.py", 'A = "{version}"')), {"it.py": raw})

    write(package)

    assert (package / "it.py").read_bytes() == raw.replace(b"1.0", b"1.1")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (("it.py", 'B = "{version}"'), "the version must occur exactly once, but was not found"),
        (
            ("it.py", "{version}"),
            "the version must occur exactly once, but occurs 2 times (line 1, line 2)",
        ),
        (("other.py", "{version}"), "the file does not exist"),
        (("src", "{version}"), "the file does not exist"),
        (("link.py", 'A = "{version}"'), "the file is outside the package"),
        (("way/out.py", 'A = "{version}"'), "the file is outside the package"),
    ],
)
def test_unwritable_version_place_is_refused(
    tmp_path: Path, entry: tuple[str, str], what: str
) -> None:
    """What cannot be written is refused with its file, before any file is touched."""
    package = scene(
        tmp_path, STATIC + bump(entry), {"it.py": b'A = "1.0"\nC = "1.0"\n', "src/a.py": b""}
    )
    (tmp_path / "out.py").write_text('A = "1.0"')
    (package / "link.py").symlink_to(tmp_path / "out.py")
    (package / "way").symlink_to(tmp_path)

    refused = refusal(package)

    assert (refused.code, refused.message) == (ErrorCode.VERSION_PLACE, what)
    assert refused.location == f"it/{entry[0]}"
    assert (tmp_path / "out.py").read_text() == 'A = "1.0"'


def test_link_inside_package_is_followed(tmp_path: Path) -> None:
    """A link to a file of the same package is followed, and stays a link."""
    package = scene(
        tmp_path, STATIC + bump(("link.py", 'A = "{version}"')), {"src/it.py": b'A = "1.0"'}
    )
    (package / "link.py").symlink_to("src/it.py")

    write(package)

    assert (package / "link.py").is_symlink()
    assert (package / "src/it.py").read_text() == 'A = "1.1"'


class TestDynamic:
    """A dynamic version is written where its backend reads it, and pyproject.toml stays as it is."""

    @pytest.mark.parametrize("file", ["src/it/__init__.py", "src/it.py", "it/__init__.py", "it.py"])
    def test_setuptools_module_is_found_anywhere(self, tmp_path: Path, file: str) -> None:
        """The module is found wherever it is, whatever else is there."""
        attr = '[tool.setuptools.dynamic]\nversion = { attr = "it.VERSION" }\n'
        package = scene(tmp_path, DYNAMIC + attr, {file: b'VERSION = "1.0"\n', "src/x.py": b""})
        document = tomllib.loads(DYNAMIC + attr)
        (path,) = new_texts(package, document, NEW, "it")

        write(package)

        assert path == package / file
        assert path.read_bytes() == b'VERSION = "1.1"\n'
        assert declared_version(package, document, "it") == ("1.1", file)
        assert read_text(package / "pyproject.toml") == DYNAMIC + attr

    def test_imported_version_needs_bump_entry(self, tmp_path: Path) -> None:
        """An attribute that a module only imports is nobody's to guess: `bump` tells, and declares the version."""
        attr = '[tool.setuptools.dynamic]\nversion = { attr = "it.__version__" }\n'
        files = {
            "src/it/__init__.py": b"from it.about import __version__\n",
            "src/it/about.py": b"__version__ = '1.0'\n",
        }
        package = scene(tmp_path, DYNAMIC + attr, files)
        refused = refusal(package)
        assert (
            "[tool.setuptools.dynamic] version = {'attr': 'it.__version__'} means src/it.py"
            in refused.message
        )

        told = (
            DYNAMIC
            + attr
            + '[tool.releasekit]\nbump = [{ path = "src/it/about.py", pattern = "\'{version}\'" }]'
        )
        (package / "pyproject.toml").write_text(told)
        assert declared_version(package, tomllib.loads(told), "it") == ("1.0", "src/it/about.py")
        write(package)

        assert (package / "src/it/about.py").read_bytes() == b"__version__ = '1.1'\n"

    def test_double_version_declaration_is_refused(self, tmp_path: Path) -> None:
        """A file that declares it twice is refused: the other place would be left behind."""
        package = scene(
            tmp_path,
            f'{DYNAMIC}[tool.hatch.version]\npath = "it.py"',
            {"it.py": b'VERSION = "1.0"\n__version__ = "1.0"\n'},
        )

        assert refusal(package).message.endswith("occurs 2 times (line 1, line 2)")

    def test_version_file_outside_is_refused(self, tmp_path: Path) -> None:
        """A backend may read a file elsewhere, but nothing is written there."""
        (tmp_path / "VERSION.py").write_text('VERSION = "1.0"')
        package = scene(tmp_path, f'{DYNAMIC}[tool.hatch.version]\npath = "../VERSION.py"', {})

        assert refusal(package).message == "the file is outside the package"

    def test_tag_version_writes_only_bump(self, tmp_path: Path) -> None:
        """Where a tag decides nothing is written but what `bump` names."""
        vcs = f'{DYNAMIC}[tool.hatch.version]\nsource = "vcs"\n'
        package = scene(tmp_path, vcs + bump(("it.py", "{version}")), {"it.py": b"1.0"})

        assert new_texts(package, tomllib.loads(vcs), NEW, "it") == {}
        assert (
            declared_version(package, tomllib.loads(vcs + bump(("it.py", "{version}"))), "it")
            is None
        )
        write(package)

        assert (package / "it.py").read_bytes() == b"1.1"


class TestAgainstUv:
    """D-12: why versions are not written by `uv version --frozen`; CONTRIBUTING has the figures."""

    @pytest.mark.parametrize(
        "text",
        [
            '# Top.\n[project]\nname = "a"\nversion   =   "1.0"   # by hand\n\n[tool.x]\ny = [1,  2]\n',
            '# Top.\r\n[project]\r\nname = "a"\r\nversion = "1.0"\r\n',
            'project = { name = "a", version = "1.0" }\n',
            'project.name = "a"\nproject.version = "1.0"\n',
            "[project]\nversion = '1.0'\nname = 'a'\n[tool]\n[project.urls]\nHome = 'x'",
        ],
    )
    def test_new_version_changes_one_line(self, tmp_path: Path, text: str) -> None:
        """One line changes, whatever the layout; and it says what uv would have made it say, where uv writes at all."""
        path = tmp_path / "pyproject.toml"
        path.write_bytes(text.encode())

        (new,) = new_texts(tmp_path, tomllib.loads(text), NEW, ".").values()

        lines = zip(text.splitlines(keepends=True), new.splitlines(keepends=True), strict=True)
        assert sum(before != after for before, after in lines) == 1
        if (
            run(
                find_uv().command(
                    "version", "--frozen", str(NEW), cwd=tmp_path, ok_codes=frozenset({0, 2})
                )
            ).code
            == 0
        ):
            assert tomllib.loads(new) == tomllib.loads(path.read_text())

    def test_uv_version_changes_line_ends(self, tmp_path: Path) -> None:
        """It changes line ends, and refuses an inline table; should this test fail one day, decide again."""
        path = tmp_path / "pyproject.toml"
        path.write_bytes(b'[project]\r\nname = "a"\r\nversion = "1.0"\r\n')
        command = find_uv().command(
            "version", "--frozen", str(NEW), cwd=tmp_path, ok_codes=frozenset({0, 2})
        )

        assert run(command).code == 0
        assert path.read_bytes() == b'[project]\nname = "a"\nversion = "1.1"\n'
        path.write_text('project = { name = "a", version = "1.0" }\n')
        assert run(command).code == 2


MATURIN = '[build-system]\nrequires = ["maturin>=1.9"]\nbuild-backend = "maturin"\n'
CRATE = """\
[dependencies]
version = "9.9"

[package] # the crate
name = "it-rs"
edition = "2021"
version = "1.0.0-beta.1" # hers
"""
LOCK = """\
version = 4

[[package]]
name = "it-rs"
version = "1.0.0-beta.1"

[[package]]
name = "it-rs"
version = "0.9.0"
source = "registry"
"""


@pytest.mark.parametrize(
    ("tool", "path", "lock"),
    [
        ("", "Cargo.toml", "it/Cargo.lock"),
        ("", "Cargo.toml", "Cargo.lock"),
        ('[tool.maturin]\nmanifest-path = "./rust/Cargo.toml"\n', "rust/Cargo.toml", "Cargo.lock"),
    ],
)
def test_crate_gets_its_own_form(tmp_path: Path, tool: str, path: str, lock: str) -> None:
    """Cargo.toml has the version as Cargo reads it, and so has the Cargo.lock that goes with it."""
    package = scene(tmp_path, DYNAMIC + MATURIN + tool, {path: CRATE.encode()})
    (tmp_path / lock).write_text(LOCK)
    document = tomllib.loads((package / "pyproject.toml").read_text())
    declared = declared_version(package, document, "it")
    assert declared
    assert (Version(declared.version), declared.file) == (Version("1.0b1"), path)
    version = Version("1.1rc2")

    texts = new_texts(package, document, version, "it")
    locked = cargo_lock_text(package, document, version, tmp_path)

    assert texts == {package / path: CRATE.replace("1.0.0-beta.1", "1.1.0-rc.2")}
    assert locked == {tmp_path / lock: LOCK.replace("1.0.0-beta.1", "1.1.0-rc.2")}
    with pytest.raises(Refusal, match=r"Cargo has no versions such as 1\.0\.post1"):
        new_texts(package, document, Version("1.0.post1"), "it")
    (tmp_path / lock).write_text("version = 4\n")
    assert cargo_lock_text(package, document, version, tmp_path) == {}
    (tmp_path / lock).unlink()
    assert cargo_lock_text(package, document, version, tmp_path) == {}


def test_inherited_crate_version_is_refused(tmp_path: Path) -> None:
    """A version that a crate inherits is not in its file."""
    crate = b"[package]\nname = 'it'\nversion.workspace = true\n\n[lib]\nversion = '1'\n"
    error = refusal(scene(tmp_path, DYNAMIC + MATURIN, {"Cargo.toml": crate}))

    assert "maturin means Cargo.toml" in error.message
