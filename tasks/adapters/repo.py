"""The one door to git: GitPython for what it reads from files, the git command line for all else."""

from __future__ import annotations

import logging
from pathlib import Path
from shutil import rmtree, which
from typing import TYPE_CHECKING

from tasks.adapters.process import Command, run, stream
from tasks.core.commits import Commit
from tasks.core.errors import Code, Refusal, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import git

log = logging.getLogger("releasekit.repo")

# A hook or an outer git that runs us must not redirect what we do; and nothing may wait for a password.
_ENVIRONMENT: dict[str, str | None] = {
    **dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")),
    **dict.fromkeys(("GIT_COMMON_DIR", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE")),
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C.UTF-8",
}
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")


class Repo:
    """A git repository, seen from one of its work trees.

    *top* is the work tree, *common_dir* the git directory that all its work trees share, *head* the commit that is
    checked out, *branch* its branch, empty when HEAD is detached.
    """

    def __init__(self, path: Path) -> None:
        """Open the repository that *path* lies in.

        Raises Refusal RK-GIT-MISSING, RK-GIT-NOT-A-REPOSITORY or RK-GIT-NO-COMMIT.
        """
        self._repo = _open(path)
        self.top = Path(str(self._repo.working_tree_dir)).resolve()
        self.common_dir = (self.top / self.git("rev-parse", "--git-common-dir").rstrip("\n")).resolve()
        self.head = self._sha("HEAD^{commit}")
        if not self.head:
            raise Refusal(Code.GIT_NO_COMMIT, "the repository has no commit", str(self.top))
        self.branch = "" if self._repo.head.is_detached else self._repo.active_branch.name

    def command(self, *argv: str, cwd: Path | None = None, fine: Iterable[int] = (0,), stdin: bytes = b"") -> Command:
        """Return the git call *argv* as a value; hooks are off."""
        return Command(
            ("git", *_NO_HOOKS, *argv), cwd or self.top, _ENVIRONMENT, timeout=600, fine=frozenset(fine), stdin=stdin
        )

    def git(self, *argv: str, cwd: Path | None = None) -> str:
        """Run git with *argv* and return what it prints."""
        return run(self.command(*argv, cwd=cwd)).stdout

    def is_shallow(self) -> bool:
        """Tell whether history is cut off (git-clone --depth)."""
        return (self.common_dir / "shallow").is_file()

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the remotes."""
        return tuple(remote.name for remote in self._repo.remotes)

    def address(self, remote: str) -> str:
        """Return the address of *remote*, which may hold a password; empty if there is no such remote."""
        return run(self.command("remote", "get-url", remote, fine=(0, 2))).stdout.strip()

    def authors(self, shas: Sequence[str]) -> dict[str, str]:
        """Return the name of each commit's author, as .mailmap has it."""
        asked = "".join(f"{sha}\n" for sha in shas).encode()
        walk = self.command("log", "-z", "--no-walk=unsorted", "--format=%H%x01%aN", "--stdin", stdin=asked)
        lines = run(walk).stdout.split("\0") if shas else []
        return {sha: name for sha, _, name in (line.partition("\x01") for line in lines) if name}

    def committer(self) -> str:
        """Return who commits, "name <mail> seconds zone"; raises Refusal RK-GIT-IDENTITY if git does not know."""
        try:
            return self.git("var", "GIT_COMMITTER_IDENT").strip()
        except ReleaseError as error:
            raise Refusal(
                Code.GIT_IDENTITY, "git does not know who commits", str(self.top), output=error.output
            ) from None

    def changed_paths(self) -> tuple[str, ...]:
        """Return what `git status` lists: changed, staged and untracked paths."""
        entries = iter(self.git("status", "--porcelain", "-z").split("\0"))
        paths: list[str] = []
        for entry in entries:
            if entry:
                paths.append(entry[3:])
            if {"R", "C"} & set(entry[:2]):
                next(entries)  # the path that it was renamed or copied from
        return tuple(paths)

    def is_tracked(self, path: Path) -> bool:
        """Tell whether git tracks the file *path*, in whichever work tree that lies."""
        command = self.command("ls-files", "--error-unmatch", "--", path.name, cwd=path.parent, fine=(0, 1))
        return run(command).code == 0

    def untracked(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """Return those of *paths* that git does not track in this work tree."""
        asked = {path: path.relative_to(self.top).as_posix() for path in paths}
        literally = ("--literal-pathspecs", "ls-files", "-z", "--full-name", "--", *asked.values())
        tracked = set(self.git(*literally).split("\0")) if asked else set[str]()
        return tuple(path for path, name in asked.items() if name not in tracked)

    def listed(self, directory: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the files below *directory* that git has or would take, and what it is told to ignore.

        Paths are from *directory*; where all of a directory is ignored it stands for its files, with "/" at the end.
        """
        kept = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=directory)
        options = ("--others", "--ignored", "--exclude-standard", "--directory")
        ignored = self.git("ls-files", "-z", *options, cwd=directory)
        return tuple(dict.fromkeys(kept.split("\0")[:-1])), tuple(ignored.split("\0")[:-1])

    def commit_time(self, commit: str) -> int:
        """Return when *commit* was committed, in seconds since 1970."""
        return int(self.git("show", "--no-patch", "--no-show-signature", "--format=%ct", commit))

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag; tags of anything else are left out."""
        wanted = "%(refname:lstrip=2)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)"
        found: dict[str, str] = {}
        for line in self.git("for-each-ref", f"--format={wanted}", "refs/tags").split("\n")[:-1]:
            tag, kind, sha, peeled_kind, peeled = line.split("\0")
            if "commit" in (kind, peeled_kind):
                found[tag] = peeled or sha
        return found

    def history(self, tips: Sequence[str]) -> Iterator[Commit]:
        """Yield all commits reachable from *tips*, children before parents, with the files that each touches.

        A merge has no files: what it brought in counts by itself. One process, read as it goes.
        """
        walk = self.command(
            "-c", "log.showRoot=true", "log", "-z", "--topo-order", "--name-only", "--no-renames",
            "--no-show-signature", "--encoding=UTF-8", "--format=%x01%H%x00%P%x00%B", "--stdin",
            stdin="".join(f"{tip}\n" for tip in tips).encode(),
        )  # fmt: skip
        record: list[str] = []
        for piece in stream(walk):
            text = piece.decode("utf-8", "replace")
            if text.startswith("\x01") and len(record) > 2:  # noqa: PLR2004  a message may begin with \x01 too
                yield _commit(record)
                record = []
            record.append(text)
        if record:
            yield _commit(record)

    def merged_tags(self) -> frozenset[str]:
        """Return the tags that are reachable from HEAD."""
        lines = self.git("for-each-ref", "--format=%(refname:lstrip=2)", f"--merged={self.head}", "refs/tags")
        return frozenset(lines.split("\n")[:-1])

    def texts(self, files: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return the text of those of *files* (commit, path from the top) that exist; each content is read once."""
        if not files:
            return {}
        asked = "".join(f"{commit}:{path}\n" for commit, path in files).encode()
        form = "--batch-check=%(objecttype) %(objectname)"
        answer = run(self.command("cat-file", form, stdin=asked)).stdout.split("\n")[:-1]
        blobs = {
            file: line.removeprefix("blob ")
            for file, line in zip(files, answer, strict=True)
            if line.startswith("blob ")
        }
        contents = self._blobs(tuple(dict.fromkeys(blobs.values())))
        return {file: contents[sha] for file, sha in blobs.items()}

    def add_worktree(self, directory: Path, commit: str) -> None:
        """Check *commit* out into *directory*, all of it, with a detached HEAD."""
        self.git("worktree", "prune")
        whole = ("-c", "core.sparseCheckout=false")  # a sparse checkout would be inherited, and packages be missing
        self.git(*whole, "worktree", "add", "--quiet", "--detach", str(directory), commit)

    def remove_worktree(self, directory: Path) -> None:
        """Remove the work tree in *directory*, whatever state it is in."""
        # Twice: it is locked if git died while making it. 128: git does not know it, or its files are damaged.
        run(self.command("worktree", "remove", "--force", "--force", str(directory), fine=(0, 128)))
        if directory.exists():
            rmtree(directory)
        self.git("worktree", "prune")

    def keep(self, name: str, commit: str) -> None:
        """Hold *commit* under refs/releasekit/*name*, so that it is neither lost nor seen as a branch or tag."""
        self.git("update-ref", f"refs/releasekit/{name}", commit)

    def release(self, name: str) -> None:
        """Let go of what `keep` holds under *name*, if anything."""
        self.git("update-ref", "-d", f"refs/releasekit/{name}")

    def commit_all(self, worktree: Path, message: str, *, hooks: bool) -> str:
        """Commit all that changed among the tracked files of *worktree*; returns the commit, or HEAD if nothing did."""
        command = self.command("commit", "--quiet", "--all", "--message", message, cwd=worktree)
        if hooks:
            command = Command(("git", *command.argv[1 + len(_NO_HOOKS) :]), worktree, _ENVIRONMENT)
        if run(self.command("diff", "--quiet", "HEAD", cwd=worktree, fine=(0, 1))).code:
            run(command)
        return self.git("rev-parse", "HEAD", cwd=worktree).strip()

    def add(self, worktree: Path, paths: Sequence[str]) -> None:
        """Track *paths* in *worktree* from its next commit on, but for those that git is told to ignore."""
        if not paths:
            return  # to git, no path means every path
        literal = "--literal-pathspecs"
        new = self.git(literal, "ls-files", "-z", "--others", "--exclude-standard", "--", *paths, cwd=worktree)
        if found := new.split("\0")[:-1]:
            self.git(literal, "add", "--", *found, cwd=worktree)

    def make_tag(self, tag: str, commit: str) -> None:
        """Make the annotated *tag* on *commit*; one that is there already is fine.

        Raises ReleaseError RK-TAG-EXISTS if it is there on another commit: tags are never moved.
        """
        existing = self._sha(f"refs/tags/{tag}")
        if not existing:
            self.git("tag", "--annotate", "--message", tag, tag, commit)
        elif self._sha(f"refs/tags/{tag}^{{commit}}") != commit:
            raise ReleaseError(Code.TAG_EXISTS, f"{tag} exists already, at {existing[:12]}")

    def push(self, remote: str, refspecs: Sequence[str], *, dry_run: bool = False) -> None:
        """Push exactly *refspecs*, all or none, never by force.

        Raises ReleaseError RK-PUSH-REJECTED with what git says.
        """
        rehearsal = ("--dry-run",) if dry_run else ()
        try:
            run(self.command("push", "--quiet", "--atomic", "--no-follow-tags", *rehearsal, remote, *refspecs))
        except ReleaseError as error:
            where = f"{remote}: {', '.join(refspecs[:3])}"
            raise ReleaseError(Code.PUSH_REJECTED, "the push was refused", where, output=error.output) from None

    def remote_refs(self, remote: str) -> dict[str, str]:
        """Return the references of *remote* and the commit that each means (tags peeled)."""
        found: dict[str, str] = {}
        for line in self.git("ls-remote", "--quiet", remote).splitlines():
            sha, name = line.split("\t")
            found[name.removesuffix("^{}")] = sha  # a peeled tag follows its tag
        return found

    def fast_forward(self, commit: str) -> bool:
        """Bring the checked-out branch to *commit* if that is a pure step forward and the tree is clean.

        Tells whether *commit* is checked out then, or part of what is.
        """
        now = Repo(self.top)
        if self._is_ancestor(commit, now.head):
            return True
        moved = (now.branch, now.head) != (self.branch, self.head) or not self.branch
        if moved or self.changed_paths() or not self._is_ancestor(now.head, commit):
            return False
        self.git("merge", "--quiet", "--ff-only", commit)
        return True

    def _blobs(self, shas: Sequence[str]) -> dict[str, str]:
        """Return the text of each blob, in one process; sizes are in bytes, so bytes are what is cut."""
        asked = "".join(f"{sha}\n" for sha in shas).encode()
        answer = b"\0".join(stream(self.command("cat-file", "--batch=%(objectsize)", stdin=asked)))
        found: dict[str, str] = {}
        for sha in shas:
            size, _, answer = answer.partition(b"\n")
            found[sha] = answer[: int(size)].decode("utf-8", "replace")
            answer = answer[int(size) + 1 :]
        return found

    def _sha(self, revision: str) -> str:
        return run(self.command("rev-parse", "--verify", "--quiet", revision, fine=(0, 1))).stdout.strip()

    def _is_ancestor(self, commit: str, of: str) -> bool:
        return run(self.command("merge-base", "--is-ancestor", commit, of, fine=(0, 1))).code == 0


def clone(source: str, directory: Path, *options: str) -> None:
    """Clone *source* into *directory*."""
    run(Command(("git", *_NO_HOOKS, "clone", "--quiet", *options, source, str(directory)), env=_ENVIRONMENT))


def _open(path: Path) -> git.Repo:
    if which("git") is None:
        raise Refusal(Code.GIT_MISSING, "git is not on the PATH")
    import git

    try:
        found = git.Repo(path, search_parent_directories=True, expand_vars=False)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise Refusal(Code.GIT_NOT_A_REPOSITORY, "this is no git repository", str(path)) from None
    if found.bare:
        raise Refusal(Code.GIT_NOT_A_REPOSITORY, "this git repository is bare: it has no files", str(path))
    return found


def _commit(record: Sequence[str]) -> Commit:
    sha, parents, message, *files = record
    if files:
        files[0] = files[0].removeprefix("\n")
    return Commit(sha[1:], tuple(parents.split()), message, tuple(files))
