"""What git and files have to do for changelogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.filesystem import (
    changelog_path,
    find_changelog_problem,
    read_text,
    write_atomic,
)
from releasekit.integrations.git import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.git_scene import GitScene


def test_remote_address_is_as_given(scene: GitScene) -> None:
    """The address of a remote is the one that it was given; one that is not there has none."""
    scene.git("remote", "add", "origin", "git@github.com:ada/engine.git")

    assert Repo(scene.top).address("origin") == "git@github.com:ada/engine.git"
    assert Repo(scene.top).address("upstream") == ""


def test_mailmap_names_commit_authors(scene: GitScene) -> None:
    """Authors are named as .mailmap has it, for exactly the commits that are asked for."""
    scene.commit("names", {".mailmap": "Ada Lovelace <ada@example.invalid>\n"})
    one = scene.git("rev-parse", "HEAD")
    scene.git(
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "b\n\nc",
        "--author",
        "A. <ada@example.invalid>",
    )
    two = scene.git("rev-parse", "HEAD")
    scene.git(
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "d",
        "--author",
        "Zoë <zoe@example.invalid>",
    )
    three = scene.git("rev-parse", "HEAD")
    repo = Repo(scene.top)

    assert repo.authors([three, two]) == {three: "Zoë", two: "Ada Lovelace"}
    assert repo.authors([one]).keys() == {one}
    assert repo.authors([]) == {}


def test_add_commits_only_named_files(scene: GitScene) -> None:
    """New files are in the next commit, unless git is told to ignore them; others are left out."""
    scene.commit("ignore", {".gitignore": "ignored.md\n", "known.md": "old\n"})
    # What was written has line ends that git would not check out here.
    for key in (
        "core.autocrlf",
        "core.safecrlf",
    ):
        scene.git("config", key, "true")
    repo = Repo(scene.top)
    for name in ("new.md", "[x]*.md", "ignored.md", "known.md", "stray.md"):
        (scene.top / name).write_text("new\n")

    repo.add(scene.top, ["new.md", "[x]*.md", "ignored.md", "known.md"])
    repo.commit(scene.top, "all", ["new.md", "[x]*.md", "ignored.md", "known.md"], hooks=False)

    changed = scene.git("show", "--format=", "--name-only", "-z", "HEAD").split("\0")
    assert {name for name in changed if name} == {"new.md", "[x]*.md", "known.md"}


def test_add_without_paths_stages_nothing(scene: GitScene) -> None:
    """No path is none, and not all."""
    (scene.top / "stray.md").write_text("new\n")

    Repo(scene.top).add(scene.top, [])

    assert scene.git("status", "--porcelain") == "?? stray.md"


@pytest.mark.parametrize(
    ("names", "path", "found"),
    [
        ((), "CHANGELOG.md", "CHANGELOG.md"),
        (("Changelog.md",), "CHANGELOG.md", "Changelog.md"),
        (("changelog.md", "CHANGELOG.md", "CHANGELOG.rst"), "CHANGELOG.md", "CHANGELOG.md"),
        (("changelog.md", "CHANGELOG.md"), "changelog.md", "changelog.md"),
        (("CHANGELOG.md", "Changes.md"), "CHANGES.md", "Changes.md"),
        (("CHANGELOG.md",), "docs/news/CHANGELOG.md", "docs/news/CHANGELOG.md"),
    ],
)
def test_changelog_name_ignores_case(
    tmp_path: Path, names: tuple[str, ...], path: str, found: str
) -> None:
    """A changelog is found in whatever case somebody has written it."""
    for name in names:
        (tmp_path / name).touch()

    assert changelog_path(tmp_path, path) == tmp_path / found


def test_changelog_must_be_writable_text(tmp_path: Path) -> None:
    """A changelog is a text file, which may not exist yet: no directory, no link, nothing below a file or a link."""
    package = tmp_path / "core"
    (package / "docs").mkdir(parents=True)
    (package / "out").symlink_to(tmp_path)
    (package / "news.md").symlink_to("docs/news.md")
    (package / "file").touch()
    (package / "wide.md").write_bytes("# News\n".encode("utf-16"))

    problems = {
        path: find_changelog_problem(package, package / path)
        for path in (
            "docs",
            "file/a.md",
            "out/a.md",
            "wide.md",
            "docs/a.md",
            "new/deep/a.md",
            "news.md",
        )
    }

    assert problems == {
        "docs": "is a directory",
        "file/a.md": "is below a file",
        "out/a.md": "is a symbolic link, or below one",
        "wide.md": "is in UTF-16 or not text",
        "docs/a.md": "",
        "new/deep/a.md": "",
        "news.md": "is a symbolic link, or below one",
    }


def test_undecodable_bytes_survive_a_rewrite(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are written as they were read."""
    (tmp_path / "a").write_bytes(b"ge\xe4ndert \xff\xc3\xa4\n")

    text = read_text(tmp_path / "a", "surrogateescape")
    write_atomic(tmp_path / "a", f"new ä\n{text}")

    assert (tmp_path / "a").read_bytes() == b"new \xc3\xa4\nge\xe4ndert \xff\xc3\xa4\n"
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "a")
