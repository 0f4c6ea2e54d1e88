"""A work tree with all files of a commit: also those of its submodules, and those that Git LFS keeps elsewhere.

`git worktree add` leaves submodules empty, and Git LFS may be told to leave pointers in place of files.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.git import clone, run
from releasekit.integrations.git_environment import FILES_OF_COMMIT
from releasekit.integrations.process import last_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.integrations.git import Repo

log = logging.getLogger("releasekit.checkout")

_POINTER = "version https://git-lfs.github.com/spec/"
_FAILED_FILTER = re.compile(r"^(?:error|fatal): (.+: smudge filter .+ failed)$", re.MULTILINE)
_GITLINK = "160000"  # the mode of a submodule in a tree


def add_whole_worktree(repo: Repo, directory: Path, commit: str) -> None:
    """Check *commit* out into *directory*, with a detached HEAD.

    Submodules come from the repositories that the user's checkout has for them, at the commits that *commit* records.
    `missing_files` says what is not there afterwards. Raises Refusal RK-CHECKOUT-INCOMPLETE if a filter fails, which
    should make a file from what git has, and ReleaseError as git does.
    """
    try:
        repo.add_worktree(directory, commit)
    except ReleaseError as error:
        if failed_filter := _FAILED_FILTER.search(error.output):
            raise Refusal(
                ErrorCode.CHECKOUT_INCOMPLETE, failed_filter[1], str(repo.top), output=error.output
            ) from None
        raise
    _link_git_directory(repo, directory)
    _add_submodules(repo, repo.top, directory, commit)
    is_short_of_files = any(_lfs_pointers(repo, directory))
    if is_short_of_files and which("git-lfs"):  # its filter may be installed with --skip-smudge
        run(repo.command("lfs", "pull", cwd=directory, ok_codes=range(256)))


def _link_git_directory(repo: Repo, tree: Path) -> None:
    """Make `.git` of the work tree *tree* a link to a directory, as it is a directory in a clone.

    In a work tree it is a file, and hatchling before 1.30 packs that file into the sdist of a package at the top. git
    follows the link. Some systems do not allow links: there, the file stays.
    """
    git_dir = repo.git("rev-parse", "--absolute-git-dir", cwd=tree).strip()
    link = tree.with_name(f"{tree.name}.git")
    with suppress(OSError):
        link.unlink(missing_ok=True)  # from a run that was killed
        link.symlink_to(git_dir, target_is_directory=True)
        link.replace(tree / ".git")


def clone_submodules(repo: Repo) -> None:
    """Clone the submodules of the checkout, and theirs, and check them out at the commits that it records.

    One that cannot be cloned stays empty. A log line says why; it may belong to no package.
    """
    update = ("submodule", "--quiet", "update", "--init", "--recursive", "--force", "--")
    for path, _ in _submodules(repo, repo.top, "HEAD"):
        result = run(repo.command(*update, path, ok_codes=range(256)))
        if result.code:
            log.warning("the submodule %s cannot be cloned: %s", path, last_lines(result.stderr))


def copy_submodules(repo: Repo, source: Path, target: Path) -> None:
    """Give *target*, a clone of *repo*, the submodules that its checkout *source* has, as clones of these."""
    for path, commit in _submodules(repo, target, "HEAD"):
        if not (source / path / ".git").exists():
            continue
        clone(str(source / path), target / path, "--no-checkout")
        git_dir = target / path / ".git"
        if _has_commit(repo, str(git_dir), commit):
            repo.git(*FILES_OF_COMMIT, "checkout", "--quiet", "--detach", commit, cwd=target / path)
            copy_submodules(repo, source / path, target / path)


def lfs_options(repo: Repo) -> tuple[str, ...]:
    """Return the options for a clone that finds the files of Git LFS where *repo* has them; none if it has none."""
    place = repo.git("config", "--default=lfs", "--get", "lfs.storage").strip()
    directory = repo.common_dir / place
    return ("--config", f"lfs.storage={directory}") if directory.is_dir() else ()


def remove_whole_worktree(repo: Repo, directory: Path) -> None:
    """Remove the work tree in *directory* with those of its submodules, even if it is damaged."""
    repo.remove_worktree(directory)
    for git_dir in _module_directories(repo.common_dir / "modules"):
        if (git_dir / "worktrees").exists():
            repo.git("--git-dir", str(git_dir), "worktree", "prune", cwd=repo.common_dir)


def missing_files(repo: Repo, tree: Path) -> list[str]:
    """Return the submodules that are empty in the work tree *tree*, and the files that are only pointers of Git LFS.

    The paths are relative to *tree*, with `/`.
    """
    submodules = [
        path for path, _ in _all_submodules(repo, tree) if not (tree / path / ".git").exists()
    ]
    return [*submodules, *_lfs_pointers(repo, tree)]


def unavailable_submodules(repo: Repo) -> list[str]:
    """Return the submodules of the user's checkout that are not initialised, so that no work tree can have them."""
    return [
        path
        for path, _ in _submodules(repo, repo.top, "HEAD")
        if not (repo.top / path / ".git").exists()
    ]


def sparse_files(repo: Repo, name: str) -> list[str]:
    """Return the files called *name* that the commit has and a sparse checkout leaves out."""
    is_sparse = (
        repo.git("config", "--type=bool", "--default=false", "--get", "core.sparseCheckout").strip()
        == "true"
    )
    if not is_sparse:
        return []
    entries = repo.git("ls-files", "-t", "-z", "--", f":(top,glob)**/{name}").split("\0")
    return [entry[2:] for entry in entries if entry.startswith("S ")]


def _add_submodules(repo: Repo, source: Path, tree: Path, commit: str) -> None:
    """Check out the submodules of *commit*, and theirs, in *tree*; *source* is the user's checkout of the same."""
    for path, submodule_commit in _submodules(repo, source, commit):
        if not (source / path / ".git").exists():
            continue
        git_dir = repo.git("rev-parse", "--absolute-git-dir", cwd=source / path).strip()
        if not _has_commit(repo, git_dir, submodule_commit):
            continue
        repo.git("--git-dir", git_dir, "worktree", "prune", cwd=source)
        add = (
            "worktree",
            "add",
            "--quiet",
            "--force",
            "--detach",
            str(tree / path),
            submodule_commit,
        )
        repo.git(*FILES_OF_COMMIT, "--git-dir", git_dir, *add, cwd=source)
        _add_submodules(repo, source / path, tree / path, submodule_commit)


def _has_commit(repo: Repo, git_dir: str, commit: str) -> bool:
    """Return whether a repository has *commit*, if need be after it has fetched it."""
    question = repo.command(
        "--git-dir", git_dir, "cat-file", "-e", f"{commit}^{{commit}}", ok_codes=range(256)
    )
    if run(question).code == 0:
        return True
    try:
        repo.git("--git-dir", git_dir, "fetch", "--quiet", "--no-tags", "origin", commit)
    except ReleaseError:
        return False
    return run(question).code == 0


def _all_submodules(repo: Repo, tree: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and the commit of each submodule of the work tree *tree*, also of those in submodules."""
    for path, commit in _submodules(repo, tree, "HEAD"):
        yield path, commit
        if (tree / path / ".git").exists():
            for inner_path, inner_commit in _all_submodules(repo, tree / path):
                yield f"{path}/{inner_path}", inner_commit


def _submodules(repo: Repo, tree: Path, commit: str) -> list[tuple[str, str]]:
    """Return the path and the commit of each submodule that *commit* records, asked in the work tree *tree*."""
    if not repo.git("ls-tree", "--full-tree", commit, "--", ".gitmodules", cwd=tree):
        return []
    entries = repo.git("ls-tree", "-r", "-z", "--full-tree", commit, cwd=tree).split("\0")
    links = [entry.partition("\t") for entry in entries if entry.startswith(_GITLINK)]
    return [(path, words.split()[2]) for words, _, path in links]


def _lfs_pointers(repo: Repo, tree: Path) -> list[str]:
    """Return the files of *tree* for which Git LFS is responsible and that are still its pointers."""
    attributes = ("grep", "--quiet", "-e", "filter=lfs", "--", ":(glob)**/.gitattributes")
    if run(repo.command(*attributes, cwd=tree, ok_codes=(0, 1))).code:
        return []
    search = ("grep", "-I", "-l", "-z", "-F", "-e", _POINTER)
    candidates = run(repo.command(*search, cwd=tree, ok_codes=(0, 1))).stdout.split("\0")
    return [path for path in filter(None, candidates) if _is_pointer(tree / path)]


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER.encode()


def _module_directories(directory: Path) -> Iterator[Path]:
    """Yield the git directories of submodules below *directory*; the name of a submodule may contain `/`."""
    if not directory.is_dir():
        return
    for entry in os.scandir(directory):
        path = Path(entry.path)
        if (path / "HEAD").exists():
            yield path
            yield from _module_directories(path / "modules")
        elif entry.is_dir(follow_symlinks=False):
            yield from _module_directories(path)
