"""Work trees with submodules, with files of Git LFS, and beside a sparse checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations import whole_checkout
from releasekit.integrations.git import Repo, clone
from releasekit.integrations.process import Command, run
from releasekit.integrations.whole_checkout import (
    add_whole_worktree,
    clone_submodules,
    copy_submodules,
    lfs_options,
    missing_files,
    remove_whole_worktree,
    sparse_files,
    unavailable_submodules,
)
from tests.support.world import GIT

if TYPE_CHECKING:
    from pathlib import Path

AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.invalid")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
FILTER = 'if [ "$GIT_LFS_SKIP_SMUDGE" = 1 ]; then cat; else cat > /dev/null; printf whole; fi'


def git(directory: Path, *argv: str) -> str:
    """Run git; submodules may come from this machine."""
    return run(
        Command(("git", *AUTHOR, "-c", "protocol.file.allow=always", *argv), directory, GIT)
    ).stdout.strip()


def repository(directory: Path, files: dict[str, str]) -> Path:
    """Make a repository with one commit of *files*."""
    directory.mkdir(parents=True)
    git(directory, "init", "--quiet", "--initial-branch=main")
    commit(directory, files)
    return directory


def commit(directory: Path, files: dict[str, str]) -> None:
    """Commit *files*, and what else has changed."""
    for path, text in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "change")


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """Make a clone with the submodule `a/vendored`, which has the submodule `inner`."""
    inner = repository(tmp_path / "inner", {"deep.py": "deep = 1\n"})
    vendored = repository(tmp_path / "vendored", {"code.py": "code = 1\n"})
    git(vendored, "submodule", "--quiet", "add", str(inner), "inner")
    commit(vendored, {})
    top = repository(tmp_path / "top", {"a/__init__.py": ""})
    git(top, "submodule", "--quiet", "add", str(vendored), "a/vendored")
    git(top, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(top, {})
    return top


def test_worktree_has_nested_submodules(nested: Path, tmp_path: Path) -> None:
    """A work tree has the files of submodules and of theirs, at the recorded commits; removal leaves nothing behind."""
    # The user's checkout is further than the commit.
    commit(nested / "a/vendored", {"code.py": "code = 2\n"})
    repo, tree = Repo(nested), tmp_path / "tree"

    add_whole_worktree(repo, tree, repo.head)

    assert (tree / "a/vendored/code.py").read_text() == "code = 1\n"
    assert (tree / "a/vendored/inner/deep.py").read_text() == "deep = 1\n"
    assert missing_files(repo, tree) == []
    assert git(tree, "status", "--porcelain") == ""

    remove_whole_worktree(repo, tree)

    assert not tree.exists()
    assert git(nested / "a/vendored", "worktree", "list").count("\n") == 0
    assert git(nested / "a/vendored/inner", "worktree", "list").count("\n") == 0
    assert (nested / "a/vendored/code.py").read_text() == "code = 2\n"


def test_recorded_commit_is_fetched(nested: Path, tmp_path: Path) -> None:
    """If the user's submodule does not have the recorded commit, it comes from the submodule's origin."""
    commit(tmp_path / "vendored", {"code.py": "code = 3\n"})
    newest = git(tmp_path / "vendored", "rev-parse", "HEAD")
    git(nested, "update-index", "--cacheinfo", f"160000,{newest},a/vendored")
    git(nested, "commit", "--quiet", "--message", "move on")
    repo = Repo(nested)

    add_whole_worktree(repo, tmp_path / "tree", repo.head)

    assert (tmp_path / "tree/a/vendored/code.py").read_text() == "code = 3\n"


def test_absent_submodules_are_named(nested: Path, tmp_path: Path) -> None:
    """A clone without its submodules has no files for them, and says so before and after the checkout."""
    git(tmp_path, "clone", "--quiet", str(nested), "plain")
    repo = Repo(tmp_path / "plain")

    add_whole_worktree(repo, tmp_path / "tree", repo.head)

    assert unavailable_submodules(repo) == ["a/vendored"]
    assert missing_files(repo, tmp_path / "tree") == ["a/vendored"]
    assert unavailable_submodules(Repo(nested)) == []


def large_files(directory: Path, smudge: str) -> Repo:
    """Make a repository with one file in Git LFS; *smudge* is the command that turns a pointer into the file."""
    top = repository(
        directory, {".gitattributes": "*.bin filter=lfs\n", "note.md": f"See {POINTER}"}
    )
    git(top, "config", "filter.lfs.smudge", smudge)
    git(top, "config", "filter.lfs.clean", "cat")
    commit(top, {"model.bin": POINTER})
    return Repo(top)


def no_program(_name: str) -> None:
    """Find no program, as where git-lfs is not installed."""


@pytest.fixture
def _skips_large_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")  # the filter of an installed git-lfs would win
    monkeypatch.setattr(whole_checkout, "which", no_program)


@pytest.mark.usefixtures("_skips_large_files")
def test_worktree_has_large_files(tmp_path: Path) -> None:
    """A CI that skips large files in its checkout does not leave pointers in ours."""
    repo = large_files(tmp_path / "top", FILTER)

    add_whole_worktree(repo, tmp_path / "tree", repo.head)

    assert (tmp_path / "tree/model.bin").read_text() == "whole"
    assert missing_files(repo, tmp_path / "tree") == []


@pytest.mark.usefixtures("_skips_large_files")
def test_pointers_of_large_files_are_named(tmp_path: Path) -> None:
    """A filter that leaves the pointer is noticed; a text that only quotes one is no pointer."""
    repo = large_files(tmp_path / "top", "cat")

    add_whole_worktree(repo, tmp_path / "tree", repo.head)

    assert missing_files(repo, tmp_path / "tree") == ["model.bin"]


@pytest.mark.usefixtures("_skips_large_files")
def test_failed_filter_is_refused(tmp_path: Path) -> None:
    """If Git LFS cannot fetch a file, the file is named, and nothing is built without it."""
    repo = large_files(tmp_path / "top", "false")
    git(repo.top, "config", "filter.lfs.required", "true")

    with pytest.raises(Refusal, match=r"model\.bin: smudge filter lfs failed") as caught:
        add_whole_worktree(repo, tmp_path / "tree", repo.head)

    assert caught.value.code is ErrorCode.CHECKOUT_INCOMPLETE


def test_sparse_checkout_names_files(tmp_path: Path) -> None:
    """Files that a sparse checkout leaves out are named; our work tree has them."""
    files = {f"packages/{name}/pyproject.toml": "" for name in ("core", "app")}
    repo = Repo(repository(tmp_path / "top", files))
    assert sparse_files(repo, "pyproject.toml") == []

    git(repo.top, "sparse-checkout", "set", "packages/core")
    add_whole_worktree(repo, tmp_path / "tree", repo.head)

    assert sparse_files(repo, "pyproject.toml") == ["packages/app/pyproject.toml"]
    assert (tmp_path / "tree/packages/app/pyproject.toml").exists()


def test_copy_has_nested_submodules(nested: Path, tmp_path: Path) -> None:
    """A clone of the checkout gets its submodules from there, at the recorded commits, and asks no server."""
    commit(nested / "a/vendored", {"code.py": "code = 2\n"})
    git(tmp_path, "clone", "--quiet", str(nested), "copy")
    for name in ("vendored", "inner"):
        (tmp_path / name).rename(tmp_path / f"{name}-gone")
    copy = Repo(tmp_path / "copy")

    copy_submodules(Repo(nested), nested, copy.top)

    assert (copy.top / "a/vendored/code.py").read_text() == "code = 1\n"
    assert (copy.top / "a/vendored/inner/deep.py").read_text() == "deep = 1\n"
    assert (missing_files(copy, copy.top), copy.changed_paths()) == ([], ())


def test_copy_lacks_what_the_checkout_lacks(nested: Path, tmp_path: Path) -> None:
    """A submodule that is not initialised in the checkout stays empty in the copy, and is named."""
    git(nested, "submodule", "--quiet", "deinit", "--force", "a/vendored")
    git(tmp_path, "clone", "--quiet", str(nested), "copy")
    copy = Repo(tmp_path / "copy")

    copy_submodules(Repo(nested), nested, copy.top)

    assert unavailable_submodules(copy) == ["a/vendored"]


def test_clone_of_submodules_follows_the_commit(
    nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The submodules of a clone come from their own addresses; a later commit brings later ones."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    git(tmp_path, "clone", "--quiet", str(nested), "copy")
    copy = Repo(tmp_path / "copy")

    clone_submodules(copy)

    assert (copy.top / "a/vendored/inner/deep.py").read_text() == "deep = 1\n"
    commit(tmp_path / "vendored", {"code.py": "code = 2\n"})
    git(nested / "a/vendored", "pull", "--quiet", str(tmp_path / "vendored"), "main")
    commit(nested, {})
    copy.refresh()
    copy.check_out("main")
    clone_submodules(copy)

    assert (copy.top / "a/vendored/code.py").read_text() == "code = 2\n"
    assert copy.changed_paths() == ()


def test_submodule_that_cannot_be_cloned_stays_empty(
    nested: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may belong to no package, so a log line is enough; the others are cloned."""
    (tmp_path / "vendored").rename(tmp_path / "gone")
    git(tmp_path, "clone", "--quiet", str(nested), "copy")
    copy = Repo(tmp_path / "copy")

    clone_submodules(copy)

    assert unavailable_submodules(copy) == ["a/vendored"]
    assert "the submodule a/vendored cannot be cloned: " in caplog.text


def test_clone_finds_lfs_files_of_the_original(tmp_path: Path) -> None:
    """A clone has no files of Git LFS, so it is told where they are: `.git/lfs`, or the place in `lfs.storage`."""
    top = repository(tmp_path / "top", {"a.py": ""})
    repo = Repo(top)
    assert lfs_options(repo) == ()
    (top / ".git" / "lfs").mkdir()
    assert lfs_options(repo) == ("--config", f"lfs.storage={top / '.git' / 'lfs'}")
    (top / ".git" / "elsewhere").mkdir()
    git(top, "config", "lfs.storage", "elsewhere")
    assert lfs_options(repo) == ("--config", f"lfs.storage={top / '.git' / 'elsewhere'}")


def test_clone_leaves_large_files_to_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that no package needs must not stop a rehearsal, even if their content is nowhere."""
    config = tmp_path / "gitconfig"
    git(tmp_path, "config", "--file", str(config), "filter.lfs.smudge", FILTER)
    git(tmp_path, "config", "--file", str(config), "filter.lfs.required", "true")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    repo = large_files(tmp_path / "top", FILTER)

    clone(str(repo.top), tmp_path / "copy")

    assert (tmp_path / "copy/model.bin").read_text() == POINTER
