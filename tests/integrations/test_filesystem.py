"""Files: replaced whole or not at all, hashed, and read as wheels."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
import stat
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.workspace.built_files import built_file_problems, import_names
from releasekit.core.workspace.pins import Pins
from releasekit.integrations.filesystem import (
    describe_file,
    read_sdist,
    read_text,
    read_toml,
    read_wheel,
    resolve_inside,
    write_atomic,
)
from releasekit.integrations.process import run
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

METADATA = "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n"
INFO = "pkg-1.0.dist-info"


def wheel(path: Path, files: Mapping[str, str]) -> Path:
    """Write a zip file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


class TestResolveInside:
    """Paths that a workspace names lead to no other file of this machine."""

    def test_links_out_of_root_are_refused(self, tmp_path: Path) -> None:
        """A path that leads out of the root by "..", as an absolute path or through a link is none of its files."""
        root = tmp_path / "root"
        (root / "docs").mkdir(parents=True)
        (tmp_path / "secret").write_text("canary")
        (root / "notes.md").write_text("notes")
        (root / "inner").symlink_to("docs/../notes.md")
        (root / "outer").symlink_to(tmp_path / "secret")
        (root / "outside").symlink_to(tmp_path)
        (root / "circle").symlink_to("circle")

        refused = ["../secret", "/etc/passwd", str(tmp_path / "secret"), "outer", "outside/secret", "docs/../../secret"]

        assert [resolve_inside(root, path) for path in refused] == [None] * len(refused)
        assert resolve_inside(root, "null\0byte") is None
        assert resolve_inside(root, "inner") == (root / "notes.md").resolve()
        assert resolve_inside(root, "new/file") == root.resolve() / "new/file"

    def test_endless_file_is_refused(self) -> None:
        """A file without an end, such as a device, is not read into memory."""
        with pytest.raises(ReleaseError, match="larger than 64 MB") as caught:
            read_text(Path("/dev/zero"))

        assert caught.value.code is ErrorCode.FILE_SYSTEM

    def test_deep_toml_is_refused(self, tmp_path: Path) -> None:
        """Values that are nested too deeply for the parser are refused like any other broken file."""
        (tmp_path / "pyproject.toml").write_text(f"a = {'[' * 20_000}{']' * 20_000}")

        with pytest.raises(Refusal, match="nested too deeply") as caught:
            read_toml(tmp_path / "pyproject.toml", "pyproject.toml")

        assert caught.value.code is ErrorCode.WORKSPACE_TOML


class TestReplaceText:
    """A crash leaves the old text or the new."""

    def test_write_leaves_no_scratch_file(self, tmp_path: Path) -> None:
        """The text is there afterwards, and no other file is."""
        write_atomic(tmp_path / "a", "one\n")
        write_atomic(tmp_path / "a", "two ä\n")

        assert (tmp_path / "a").read_bytes() == "two ä\n".encode()
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

    def test_write_keeps_line_ends(self, tmp_path: Path) -> None:
        """What was read is what is written, whatever its line ends are."""
        (tmp_path / "a").write_bytes(b"one\r\ntwo\rthree\n")

        write_atomic(tmp_path / "a", read_text(tmp_path / "a"))

        assert (tmp_path / "a").read_bytes() == b"one\r\ntwo\rthree\n"

    @pytest.mark.parametrize("mode", [0o755, 0o600, 0o644])
    def test_write_keeps_file_mode(self, tmp_path: Path, mode: int) -> None:
        """A script stays executable, a private file private."""
        (tmp_path / "a").write_text("one\n")
        (tmp_path / "a").chmod(mode)

        write_atomic(tmp_path / "a", "two\n")

        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode

    def test_open_reader_keeps_old_file(self, tmp_path: Path) -> None:
        """Whoever has the file open reads the old text to its end: it is replaced, not overwritten."""
        (tmp_path / "a").write_text("one\n")

        with (tmp_path / "a").open() as reader:
            write_atomic(tmp_path / "a", "other\n")

            assert reader.read() == "one\n"

    def test_failed_write_keeps_old_file(self, tmp_path: Path) -> None:
        """When it fails, the old file is as it was and no scratch file is left behind."""
        (tmp_path / "a").write_text("one\n")
        (tmp_path / "directory").mkdir()

        with pytest.raises(UnicodeEncodeError):
            write_atomic(tmp_path / "a", "\ud800")
        with pytest.raises(ReleaseError, match="RK-FILE-SYSTEM: Is a directory"):
            write_atomic(tmp_path / "directory", "text")

        assert (tmp_path / "a").read_text() == "one\n"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "directory"]


class TestReadToml:
    """Configuration as people write it."""

    def test_toml_comes_with_its_text(self, tmp_path: Path) -> None:
        """Both the parsed document and its very text are returned."""
        (tmp_path / "a.toml").write_bytes(b"x = 1\r\n")

        assert read_toml(tmp_path / "a.toml", "a.toml") == ({"x": 1}, "x = 1\r\n")

    @pytest.mark.parametrize("raw", [b"x = = 1", b"x = '\xff'"])
    def test_toml_error_names_the_place(self, tmp_path: Path, raw: bytes) -> None:
        """The refusal says where, under the name that the user knows the file by."""
        (tmp_path / "a.toml").write_bytes(raw)

        with pytest.raises(Refusal) as caught:
            read_toml(tmp_path / "a.toml", "packages/x/a.toml")

        assert caught.value.code is ErrorCode.WORKSPACE_TOML
        assert caught.value.location == "packages/x/a.toml"
        assert "line 1, column 5" in caught.value.message or "position 5" in caught.value.message

    def test_byte_order_mark_is_named(self, tmp_path: Path) -> None:
        """A mark that no editor shows is named."""
        (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfx = 1")

        with pytest.raises(Refusal, match="begins with a byte order mark"):
            read_toml(tmp_path / "a.toml", "a.toml")


class TestDescribe:
    """Every byte uploaded is a byte recorded."""

    @pytest.mark.parametrize("size", [0, 10, 3_000_000])
    def test_description_covers_the_whole_file(self, tmp_path: Path, size: int) -> None:
        """Name, size and sha256 are those of the whole file, however large."""
        raw = random.Random(1).randbytes(size)  # noqa: S311  any bytes will do
        (tmp_path / "pkg.whl").write_bytes(raw)

        found = describe_file(tmp_path / "pkg.whl")

        assert (found.name, found.size, found.sha256) == ("pkg.whl", size, hashlib.sha256(raw).hexdigest())


ONLY_DOCS = 'only-include = ["docs/none"]\nbypass-selection = true'


class TestReadSdist:
    """What an sdist holds."""

    def test_sdist_of_uv_lists_files(self, built: Callable[..., tuple[Path, ...]]) -> None:
        """The files of a real one, from its top directory."""
        _, sdist = built("read-source", "1.5")

        assert {"PKG-INFO", "pyproject.toml", "src/read_source/__init__.py"} <= set(read_sdist(sdist))

    @pytest.mark.parametrize(("table", "wrong"), [("bypass-selection = true", ()), (ONLY_DOCS, ("has no module",))])
    def test_only_meta_package_lacks_modules(self, tmp_path: Path, table: str, wrong: tuple[str, ...]) -> None:
        """A real package of requirements alone is fine; one whose modules got lost on the way to the wheel is not."""
        project = '[project]\nname = "meta-a"\nversion = "1.0"\ndependencies = ["meta-b"]\n'
        build = f'{project}[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        (tmp_path / "pyproject.toml").write_text(f"{build}[tool.hatch.build.targets.wheel]\n{table}\n")
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "conf.py").write_text("")
        if wrong:
            (tmp_path / "src").mkdir()
            (tmp_path / "src" / "meta_a.py").write_text("")
        run(find_uv().command("build", "--quiet", "--no-sources", "--python", sys.executable, cwd=tmp_path))
        sdist, wheel = sorted((tmp_path / "dist").glob("*-*"), key=lambda path: path.suffix)

        names = [sdist.name, wheel.name]
        found = built_file_problems(
            "meta-a", Version("1.0"), names, [read_wheel(wheel)], Pins("exact", {}), read_sdist(sdist)
        )

        assert found == tuple(f"{wheel.name}: {one}" for one in wrong)

    @pytest.mark.parametrize(
        "raw",
        [b"", b"no archive", gzip.compress(b"no archive", mtime=0), gzip.compress(b"x" * 600, mtime=0)[:-9]],
        ids=["empty", "no archive", "compressed, but no archive", "cut off"],
    )
    def test_read_sdist_refuses_other_files(self, tmp_path: Path, raw: bytes) -> None:
        """Anything else is refused, by name."""
        (tmp_path / "x-1.0.tar.gz").write_bytes(raw)

        with pytest.raises(ReleaseError, match="not an sdist") as caught:
            read_sdist(tmp_path / "x-1.0.tar.gz")

        assert (caught.value.code, caught.value.location) == (ErrorCode.VERIFY_FAILED, "x-1.0.tar.gz")


class TestReadWheel:
    """What a wheel holds."""

    def test_wheel_of_uv_passes_checks(self, built: Callable[..., tuple[Path, ...]]) -> None:
        """A real wheel has nothing wrong: hashes and RECORD agree, its modules are found."""
        path, sdist = built("read-me", "1.5")

        found = read_wheel(path)

        assert built_file_problems("read-me", Version("1.5"), [path.name, sdist.name], [found], Pins("exact", {})) == ()
        assert import_names(found.hashes) == ("read_me",)

    def test_wheel_lists_metadata_and_hashes(self, tmp_path: Path) -> None:
        """METADATA, hashes of the real content and the rows of RECORD are told; directories are no files."""
        record = f'pkg/__init__.py,sha256=abc,3\n\n"pkg/a,\nb.py",sha256=def,1\n{INFO}/RECORD,,\n'
        files = {"pkg/": "", "pkg/__init__.py": "x=1", f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": record}

        found = read_wheel(wheel(tmp_path / "pkg-1.0-py3-none-any.whl", files))

        digest = base64.urlsafe_b64encode(hashlib.sha256(b"x=1").digest()).decode().rstrip("=")
        assert found.name == "pkg-1.0-py3-none-any.whl"
        assert found.metadata == METADATA
        assert found.hashes["pkg/__init__.py"] == digest
        assert "pkg/" not in found.hashes
        assert found.record == {"pkg/__init__.py": "sha256=abc", "pkg/a,\nb.py": "sha256=def", f"{INFO}/RECORD": ""}

    def test_wheel_ignores_vendored_metadata(self, tmp_path: Path) -> None:
        """The METADATA of a package that is carried within another is not taken for its own."""
        files = {
            "pkg/_vendor/other-2.0.dist-info/METADATA": "Name: other\n",
            "pkg/_vendor/other-2.0.dist-info/RECORD": "",
            f"{INFO}/METADATA": METADATA,
            f"{INFO}/RECORD": "",
        }

        assert read_wheel(wheel(tmp_path / "pkg.whl", files)).metadata == METADATA

    @pytest.mark.parametrize(
        "files",
        [
            {},
            {"pkg/__init__.py": ""},
            {f"{INFO}/METADATA": METADATA},
            {f"{INFO}/RECORD": ""},
            {f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": "one-column\n"},
        ],
        ids=["empty", "no metadata", "no RECORD", "RECORD alone", "RECORD of one column"],
    )
    def test_read_wheel_refuses_incomplete_archive(self, tmp_path: Path, files: dict[str, str]) -> None:
        """A zip file without what makes it a wheel is named, and not uploaded."""
        with pytest.raises(ReleaseError) as caught:
            read_wheel(wheel(tmp_path / "pkg.whl", files))

        assert caught.value.code is ErrorCode.VERIFY_FAILED
        assert caught.value.location == "pkg.whl"

    def test_read_wheel_refuses_damaged_bytes(self, tmp_path: Path) -> None:
        """A wheel is refused wherever a byte of it was changed or its end was cut off."""
        files = {"pkg/__init__.py": "x = 1\n" * 100, f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": "a,b,c\n"}
        path = wheel(tmp_path / "pkg.whl", files)
        whole = path.read_bytes()
        start = whole.index(b"__init__.py") + len("__init__.py")

        for raw in (whole[: len(whole) // 2], b"", b"no zip", *(_changed(whole, start + at) for at in range(8))):
            path.write_bytes(raw)
            with pytest.raises(ReleaseError, match="not a wheel") as caught:
                read_wheel(path)
            assert caught.value.code is ErrorCode.VERIFY_FAILED

    @pytest.mark.parametrize("name", ["METADATA", "RECORD"])
    def test_undecodable_wheel_text_is_refused(self, tmp_path: Path, name: str) -> None:
        """Text that is no UTF-8 makes no wheel."""
        path = wheel(tmp_path / "pkg.whl", {f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": ""})
        with zipfile.ZipFile(tmp_path / "bad.whl", "w") as archive, zipfile.ZipFile(path) as good:
            for entry in good.namelist():
                archive.writestr(entry, b"\xff" if entry.endswith(name) else good.read(entry))

        with pytest.raises(ReleaseError, match="not a wheel"):
            read_wheel(tmp_path / "bad.whl")


def _changed(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]
