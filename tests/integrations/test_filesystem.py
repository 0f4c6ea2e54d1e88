"""Files: replaced whole or not at all, and hashed."""

from __future__ import annotations

import hashlib
import random
import stat
from pathlib import Path

import pytest

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.filesystem import (
    describe_file,
    read_text,
    read_toml,
    resolve_inside,
    write_atomic,
)


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

        refused = [
            "../secret",
            "/etc/passwd",
            str(tmp_path / "secret"),
            "outer",
            "outside/secret",
            "docs/../../secret",
        ]

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

        assert (found.name, found.size, found.sha256) == (
            "pkg.whl",
            size,
            hashlib.sha256(raw).hexdigest(),
        )
