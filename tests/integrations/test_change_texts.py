"""Change files on the disk: where they are read, and how a release edits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.change_files import change_directories
from releasekit.core.history.pending_changes import ConsumedFile
from releasekit.integrations.change_texts import consume_change_file, read_change_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DIRECTORIES = change_directories({"packages/core": "core", "packages/app": "app"})
MARKDOWN = "---\ncore: minor\napp: patch\n---\n\nText\n"


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write *files* below *root*."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def test_four_formats_are_read(tmp_path: Path) -> None:
    """Each tool's pending files are read in the order of their paths; its other files are not."""
    json = '{"type": "patch", "description": "d"}'
    write(
        tmp_path,
        {
            ".changes/b.md": MARKDOWN,
            ".changes/a.md": "---\napp: none\n---\n",
            ".changes/README.md": "How to",
            ".changeset/blue-cat.md": '---\n"core": minor\n"@acme/web": major\n---\n\nText\n',
            ".changeset/config.json": "{}",
            ".changeset/README.md": "How to",
            ".semversioner/next-release/1.json": json,
            ".semversioner/0.1.0.json": "[]",
            "packages/core/.changes/next-release/2.json": json,
            "packages/core/.changes/0.1.0.json": "{}",
        },
    )

    files = read_change_files(tmp_path, DIRECTORIES, {"core", "app"})

    assert {file.path: list(file.bumps) for file in files} == {
        ".changes/a.md": ["app"],
        ".changes/b.md": ["core", "app"],
        ".changeset/blue-cat.md": ["core"],
        ".semversioner/next-release/1.json": ["app", "core"],
        "packages/core/.changes/next-release/2.json": ["core"],
    }


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    """A file that is not UTF-8 is an error with its path, not a traceback."""
    write(tmp_path, {".changes/a.md": "---\ncore: minor\n---\n\nä".encode("latin-1")})

    with pytest.raises(Refusal) as caught:
        read_change_files(tmp_path, DIRECTORIES, {"core"})

    assert (caught.value.code, caught.value.location) == (ErrorCode.CHANGE_INVALID, ".changes/a.md")


def test_consumed_file_is_edited_or_deleted(tmp_path: Path) -> None:
    """Lines are removed, a file without others is deleted, and a missing one is left out."""
    write(tmp_path, {".changes/a.md": MARKDOWN, ".changes/b.md": MARKDOWN})

    edited, deleted = tmp_path / ".changes/a.md", tmp_path / ".changes/b.md"

    assert (
        consume_change_file(tmp_path, ConsumedFile(path=".changes/a.md", packages=("core",)))
        == edited
    )
    assert (
        consume_change_file(tmp_path, ConsumedFile(path=".changes/b.md", deleted=True)) == deleted
    )
    assert edited.read_text() == "---\napp: patch\n---\n\nText\n"
    assert not deleted.exists()
    assert consume_change_file(tmp_path, ConsumedFile(path=".changes/b.md", deleted=True)) is None


@pytest.mark.parametrize("path", ["../outside.md", ".changes/link.md"])
def test_consumption_stays_inside(tmp_path: Path, path: str) -> None:
    """A plan from another machine cannot delete a file outside the workspace, not even through a link."""
    root = tmp_path / "root"
    write(tmp_path, {"outside.md": MARKDOWN, "root/.changes/a.md": MARKDOWN})
    (root / ".changes/link.md").symlink_to(tmp_path / "outside.md")

    with pytest.raises(Refusal) as caught:
        consume_change_file(root, ConsumedFile(path=path, deleted=True))

    assert caught.value.code is ErrorCode.RECORD_INVALID
    assert (tmp_path / "outside.md").exists()
