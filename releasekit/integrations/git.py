"""The only module that calls git: GitPython opens a repository that git trusts, the git command does the rest."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.core.addresses import split_address
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.history.commits import CONTROLS, Commit
from releasekit.core.picking import map_values
from releasekit.integrations.filesystem import read_text_if_exists, remove_tree
from releasekit.integrations.git_environment import (
    FILES_OF_COMMIT,
    config_variables,
    git_variables,
)
from releasekit.integrations.process import Command, Result, register_address, stream
from releasekit.integrations.process import run as run_process

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

log = logging.getLogger("releasekit.repo")

_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
# We choose the line ends; git must not object.
_ADD = (
    "-c",
    "core.safecrlf=false",
    "--literal-pathspecs",
    "add",
)
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REMOTE_COMMANDS = {"clone", "fetch", "ls-remote", "push", "remote", "submodule"}
# A context variable, because a token must reach only the git processes inside the block of `credentials`. A field of
# `Repo` would keep it as long as the object lives, and os.environ would pass it to every child process, also to builds.
_credentials: ContextVar[Mapping[str, str]] = ContextVar(
    "credentials", default=MappingProxyType({})
)
# No other credential helper is used, because git would give it the token to store. Forges accept this user name with
# any token.
_CREDENTIAL_HELPER = (
    '!f() { test "$1" = get '
    '&& echo "username=${RELEASEKIT__USERNAME}" && echo "password=${RELEASEKIT__PASSWORD}"; }; f'
)
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_NO_LEASES: Mapping[str, str] = MappingProxyType({})
LOCK_REF = "refs/releasekit/running"
"""The lock of a running release on the remote: neither a branch nor a tag, and visible to all clones."""

# Which error code git's messages mean.
_ERROR_PATTERNS = {
    ErrorCode.GIT_LOCKED: re.compile(r"\.lock': File exists"),
    ErrorCode.SIGNING_FAILED: re.compile(
        r"failed to sign|gpg failed|cannot run gpg|[Cc]ouldn't (load|find) .*key"
    ),
    ErrorCode.FILE_SYSTEM: re.compile(
        r"No space left on device|Disk quota exceeded|File too large|Read-only file system|insufficient permission"
        r"|unable to create temporary file|unable to write file"
        r"|(?:[Uu]nable to|cannot|could not|failed to) [^\n]*: Permission denied"
    ),
    ErrorCode.REMOTE_UNREACHABLE: re.compile(
        r"does not appear to be a git repository|repository '[^']*' not found|unable to access 'https?://"
        r"|Authentication failed|could not read Username|Could not resolve host|Could not read from remote repository"
        r"|cannot run ssh:"
    ),
}


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference: the object that it names, and the commit that it leads to (they differ for annotated tags)."""

    object: str
    commit: str


NO_REF = Ref("", "")
"""Stands for a reference that does not exist."""

TAGS = "refs/tags/"


def tags_among(refs: Mapping[str, Ref]) -> dict[str, Ref]:
    """Return the tags among *refs* (by full name), by the name of the tag."""
    return {name.removeprefix(TAGS): ref for name, ref in refs.items() if name.startswith(TAGS)}


def run(command: Command) -> Result:
    """Run git; its messages about locks, signatures, the file system and the remote get their own error codes."""
    try:
        return run_process(command)
    except ReleaseError as error:
        for code, pattern in _ERROR_PATTERNS.items():
            if match := pattern.search(error.output):
                line = next(line for line in error.output.splitlines() if match[0] in line)
                message = re.sub(r"^(?:fatal|error): ", "", line)
                raise ReleaseError(code, message, error.location, output=error.output) from None
        raise


def display_command(command: Command) -> str:
    """Return the git *command* as you would type it, without the settings that all our calls have."""
    words = iter(command.argv)
    argv: list[str] = []
    for word in words:
        if word == "-c":
            next(words)
        elif word != "--literal-pathspecs":
            argv.append(word)
    return str(replace(command, argv=tuple(argv)))


@dataclass(frozen=True, slots=True)
class _Addresses:
    """The address that fetches *read*, and the first one that pushes have *written* to; both may contain passwords."""

    read: str
    written: str


class Repo:
    """A git repository, seen from one of its work trees.

    *top* is the work tree, *common_dir* the git directory that all work trees share, *head* the commit that is
    checked out, *branch* its branch, which is empty if HEAD is detached.
    """

    def __init__(self, path: Path) -> None:
        """Open the repository that contains *path*.

        Raises Refusal RK-GIT-MISSING, RK-GIT-NOT-A-REPOSITORY, RK-GIT-UNTRUSTED or RK-GIT-NO-COMMIT.
        """
        self._remote_addresses: dict[str, _Addresses] = {}
        self.top = _work_tree(path)
        self.common_dir = _common_directory(self.top)
        if self.common_dir == self.top:
            raise _bare_refusal(self.top)
        self.head = self._sha("HEAD^{commit}")
        if not self.head:
            raise Refusal(
                ErrorCode.GIT_NO_COMMIT, "the repository has no commits yet", str(self.top)
            )
        checked_out = run(self.command("symbolic-ref", "--quiet", "HEAD", ok_codes=(0, 1))).stdout
        self.branch = checked_out.rstrip("\n").removeprefix("refs/heads/")

    def command(
        self,
        *argv: str,
        cwd: Path | None = None,
        ok_codes: Iterable[int] = (0,),
        stdin: bytes = b"",
        hooks: bool = False,
    ) -> Command:
        """Return the git command *argv* as a value; hooks are off by default."""
        files = FILES_OF_COMMIT if cwd and self._is_ours(cwd) else ()
        full_argv = ("git", *(() if hooks else _NO_HOOKS), *files, *argv)
        credential_variables = _credentials.get() if argv[0] in _REMOTE_COMMANDS else _NO_VARIABLES
        env = {**git_variables(), **credential_variables}
        return Command(
            full_argv, cwd or self.top, env, timeout=600, ok_codes=frozenset(ok_codes), stdin=stdin
        )

    def _is_ours(self, directory: Path) -> bool:
        """Return whether *directory* is in a work tree that releasekit has made, not in the user's."""
        is_scratch = directory.is_relative_to(self.common_dir)
        return is_scratch or not directory.is_relative_to(self.top)

    def check_out(self, ref: str) -> None:
        """Check out *ref* of origin: a branch, else a tag or a commit; empty means its default branch.

        All local changes are discarded, so use this only in clones that releasekit made. Raises ReleaseError
        RK-REPOSITORY-UNREACHABLE if *ref* does not exist.
        """
        branch = ref
        if not ref:
            self.git("remote", "set-head", "origin", "--auto")
            branch = (
                self.git("rev-parse", "--abbrev-ref", "origin/HEAD").strip().removeprefix("origin/")
            )
        if self._sha(f"refs/remotes/origin/{branch}^{{commit}}"):
            switch_options = ("--force-create", branch, "--track", f"refs/remotes/origin/{branch}")
        elif commit := self._sha(f"refs/tags/{ref}^{{commit}}") or self._sha(f"{ref}^{{commit}}"):
            switch_options = ("--detach", commit)
        else:
            address = self.address("origin")
            raise ReleaseError(
                ErrorCode.REPOSITORY_UNREACHABLE,
                f"no branch, tag or commit is called {ref}",
                address,
            )
        self.git("switch", "--quiet", "--discard-changes", *switch_options)
        self.git("clean", "--quiet", "--force", "--force", "-d", "-x")

    def refresh(self) -> None:
        """Fetch branches and tags, and remove those that origin no longer has."""
        self.git(
            "fetch",
            "--quiet",
            "--force",
            "--tags",
            "--prune",
            "--prune-tags",
            "--no-write-fetch-head",
            "origin",
        )

    def git(self, *argv: str, cwd: Path | None = None) -> str:
        """Run git with *argv* and return what it prints."""
        return run(self.command(*argv, cwd=cwd)).stdout

    def default_branch(self, remote: str) -> str:
        """Return the default branch of *remote*, such as "main"; empty if neither this clone nor the remote says it."""
        here = self.command(
            "symbolic-ref", "--quiet", f"refs/remotes/{remote}/HEAD", ok_codes=(0, 1, 128)
        )
        branch = run(here).stdout.strip().removeprefix(f"refs/remotes/{remote}/")
        if branch or remote not in self.remotes():
            return branch
        for line in self.git("ls-remote", "--symref", remote, "HEAD").splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.removeprefix("ref: refs/heads/").partition("\t")[0]
        return ""

    def merge_base(self, revision: str) -> str:
        """Return the newest commit that HEAD and *revision* have in common; empty if there is none."""
        commit = self._sha(f"{revision}^{{commit}}")
        if not commit:
            return ""
        return run(self.command("merge-base", self.head, commit, ok_codes=(0, 1))).stdout.strip()

    def is_shallow(self) -> bool:
        """Return whether the history is incomplete (git clone --depth)."""
        return (self.common_dir / "shallow").is_file()

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the remotes."""
        return tuple(self.git("remote").splitlines())

    def address(self, remote: str) -> str:
        """Return the address of *remote*, which may contain a password; empty if there is no such remote.

        From then on, the passwords of all its addresses are masked, also of those that git only pushes to.
        """
        return self._addresses(remote).read

    def _addresses(self, remote: str) -> _Addresses:
        """Return the addresses of *remote*, empty ones if there is no such remote. Git is asked once."""
        if remote not in self._remote_addresses:
            question = self.command("remote", "get-url", remote, ok_codes=(0, 2))
            read = register_address(run(question).stdout.strip())
            written = ""
            if read:
                push = self.command("remote", "get-url", "--push", "--all", remote, ok_codes=(0, 2))
                written, _, _ = register_address(run(push).stdout).partition("\n")
            self._remote_addresses[remote] = _Addresses(read, written)
        return self._remote_addresses[remote]

    def authors(self, shas: Sequence[str]) -> dict[str, str]:
        """Return the name of each commit's author by its sha, as .mailmap gives it."""
        return {sha: name for sha, name in self._log(shas, "%H", "%aN") if name}

    def newcomers(self, shas: Sequence[str], earlier_commits: Sequence[str]) -> frozenset[str]:
        """Return the names of the authors of *shas* who have no commit reachable from *earlier_commits*.

        Authors are the same if their name or mail address is the same, as .mailmap gives them. Without
        *earlier_commits* nobody is new.
        """
        if not shas or not earlier_commits:
            return frozenset()
        authors = self._people(shas)
        earlier_authors = self._people(earlier_commits, ancestors=True)
        names = {name for name, _ in earlier_authors}
        mails = {mail for _, mail in earlier_authors}
        return frozenset(name for name, mail in authors if name not in names and mail not in mails)

    def _people(self, commits: Sequence[str], *, ancestors: bool = False) -> set[tuple[str, str]]:
        """Return name and mail address (in lower case) of the authors of *commits*; see `_log`."""
        log_entries = self._log(commits, "%aN", "%aE", ancestors=ancestors)
        return {(name, mail.lower()) for name, mail in log_entries if name}

    def _log(
        self, commits: Iterable[str], *fields: str, ancestors: bool = False
    ) -> Iterator[list[str]]:
        """Yield the *fields* (placeholders of `git log`) of each of *commits*, and with *ancestors* of theirs too."""
        stdin = _as_lines(commits)
        if not stdin:
            return  # without a commit, git would list HEAD
        walk_options = () if ancestors else ("--no-walk=unsorted",)
        form = "%x01".join(fields)
        argv = ("log", "-z", *walk_options, "--no-show-signature", f"--format={form}", "--stdin")
        output = run(self.command(*argv, stdin=stdin)).stdout
        for entry in filter(None, output.split("\0")):
            yield entry.split("\x01", len(fields) - 1)

    def _paths(self, *argv: str, cwd: Path | None = None) -> list[str]:
        """Run git with *argv*, which must include `-z`, and return the paths that it prints."""
        return self.git(*argv, cwd=cwd).split("\0")[:-1]

    def committer(self) -> str:
        """Return the committer as "name <mail> seconds zone"; raises Refusal RK-GIT-IDENTITY if git has none."""
        try:
            return self.git("var", "GIT_COMMITTER_IDENT").strip()
        except ReleaseError as error:
            message = "git has no name and mail address for commits"
            raise Refusal(
                ErrorCode.GIT_IDENTITY, message, str(self.top), output=error.output
            ) from None

    def changed_paths(self) -> tuple[str, ...]:
        """Return the paths that `git status` lists: changed, staged and untracked ones."""
        entries = iter(self._paths("status", "--porcelain", "-z"))
        paths: list[str] = []
        for entry in entries:
            paths.append(entry[3:])
            if {"R", "C"} & set(entry[:2]):
                next(entries)  # the path that it was renamed or copied from
        return tuple(paths)

    def is_tracked(self, path: Path) -> bool:
        """Return whether git tracks the file *path*, in the work tree that contains it."""
        command = self.command(
            "ls-files", "--error-unmatch", "--", path.name, cwd=path.parent, ok_codes=(0, 1)
        )
        return run(command).code == 0

    def tracked_paths(self, directory: Path, pathspec: str) -> tuple[str, ...]:
        """Return the tracked files below *directory* that match *pathspec*, relative to it."""
        return tuple(self._paths("ls-files", "-z", "--", pathspec, cwd=directory))

    def find_untracked(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """Return the files of *paths* that git does not track in this work tree."""
        if not paths:
            return ()  # git would take no path for every path
        names = {path: path.relative_to(self.top).as_posix() for path in paths}
        argv = ("--literal-pathspecs", "ls-files", "-z", "--full-name", "--", *names.values())
        tracked = set(self._paths(*argv))
        return tuple(path for path, name in names.items() if name not in tracked)

    def find_ignored(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """Return the files of *paths* that git ignores, whether they exist or not; a tracked file is not ignored."""
        if not paths:
            return ()
        names = {path.relative_to(self.top).as_posix(): path for path in paths}
        # 128: a path in a submodule.
        command = self.command("check-ignore", "-z", "--stdin", ok_codes=(0, 1, 128))
        output = run(replace(command, stdin="\0".join(names).encode())).stdout
        return tuple(names[name] for name in filter(None, output.split("\0")))

    def local_default_branch(self, remote: str) -> str:
        """Return the default branch of *remote* as a clone notes it; empty if this clone does not know it."""
        head = f"refs/remotes/{remote}/"
        command = self.command("symbolic-ref", "--quiet", f"{head}HEAD", ok_codes=(0, 1))
        return run(command).stdout.strip().removeprefix(head)

    def list_files(self, directory: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the files below *directory* that git tracks or would add, and the paths that it ignores.

        Paths are relative to *directory*. A directory that is ignored as a whole is one entry, with "/" at the end.
        """
        included = self._paths(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=directory
        )
        options = ("--others", "--ignored", "--exclude-standard", "--directory")
        ignored = self._paths("ls-files", "-z", *options, cwd=directory)
        return tuple(dict.fromkeys(included)), tuple(ignored)

    def commit_time(self, commit: str) -> int:
        """Return the time of *commit*, in seconds since 1970."""
        return int(self.git("show", "--no-patch", "--no-show-signature", "--format=%ct", commit))

    def commit_times(self, commits: Iterable[str]) -> dict[str, int]:
        """Return the time of each of *commits*, in seconds since 1970."""
        return {sha: int(seconds) for sha, seconds in self._log(commits, "%H", "%ct")}

    def newest_commits(self, limit: int) -> list[Commit]:
        """Return at most *limit* commits of HEAD without merges, newest first, without their files."""
        form = "%H%x01%P%x01%B"
        argv = (
            "log",
            "-z",
            f"--max-count={limit}",
            "--no-merges",
            "--no-show-signature",
            f"--format={form}",
        )
        entries = filter(None, self.git(*argv, self.head).split("\0"))
        fields = (entry.split("\x01", 2) for entry in entries)
        return [
            Commit(sha, tuple(parents.split()), message, ()) for sha, parents, message in fields
        ]

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag by its name; tags that lead to no commit are left out."""
        form = (
            "%(refname:lstrip=2)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)"
        )
        commits: dict[str, str] = {}
        nested: list[str] = []
        for line in self.git("for-each-ref", f"--format={form}", "refs/tags").split("\n")[:-1]:
            tag, kind, sha, peeled_kind, peeled = line.split("\0")
            if "commit" in (kind, peeled_kind):
                commits[tag] = peeled or sha
            elif peeled_kind == "tag":  # a tag of a tag; git before 2.45 peels only one level
                nested.append(tag)
        return commits | self._peel_tags(nested)

    def _peel_tags(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the commit of each of *tags* that leads to one, through all levels."""
        if not tags:
            return {}
        stdin = _as_lines([f"refs/tags/{tag}^{{commit}}" for tag in tags])
        output = run(self.command("cat-file", "--batch-check", stdin=stdin)).stdout
        commits: dict[str, str] = {}
        for tag, line in zip(tags, output.split("\n"), strict=False):
            sha, *details = line.split()
            if details[:1] == ["commit"]:
                commits[tag] = sha
        return commits

    def history(self, tips: Sequence[str]) -> Iterator[Commit]:
        """Yield all commits reachable from *tips*, children before parents, with the files that each one changes.

        A merge has no files, because the commits that it merges are yielded too. One git process runs, and its output
        is read as it comes.
        """
        # By default git caches 96 MB of compared trees, which does not make it faster.
        slim = ("-c", "core.deltaBaseCacheLimit=16m")
        walk = self.command(
            *slim, "log", "-z", "--topo-order", "--name-only", "--no-renames",
            "--no-show-signature", "--ignore-submodules=none", "--encoding=UTF-8", "--format=%x01%H%x00%P%x00%B",
            "--stdin",
            stdin=_as_lines(tips),
        )  # fmt: skip
        record: list[str] = []
        for piece in stream(walk):
            text = piece.decode("utf-8", "replace")
            # A message can begin with \x01 too, and so can the name of a file.
            is_next_commit = text.startswith("\x01") and len(record) > 2 and _SHA.fullmatch(text, 1)  # noqa: PLR2004
            if is_next_commit:
                yield _commit(record)
                record = []
            record.append(text)
        if record:
            yield _commit(record)

    def merged_tags(self) -> frozenset[str]:
        """Return the tags that are reachable from HEAD."""
        lines = self.git(
            "for-each-ref", "--format=%(refname:lstrip=2)", f"--merged={self.head}", "refs/tags"
        )
        return frozenset(lines.split("\n")[:-1])

    def texts(self, files: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return the text of each of *files* (commit, path from the top) that exists; equal contents are read once."""
        if not files:
            return {}
        stdin = _as_lines([f"{commit}:{path}" for commit, path in files])
        form = "--batch-check=%(objecttype) %(objectname)"
        lines = run(self.command("cat-file", form, stdin=stdin)).stdout.split("\n")[:-1]
        blobs: dict[tuple[str, str], str] = {}
        for file, line in zip(files, lines, strict=True):
            kind, _, sha = line.partition(" ")
            if kind == "blob":
                blobs[file] = sha
        contents = self._blobs(tuple(dict.fromkeys(blobs.values())))
        return map_values(contents.__getitem__, blobs)

    def matching_lines(
        self, commits: Sequence[str], pattern: str, file_names: Iterable[str]
    ) -> dict[str, list[tuple[str, str]]]:
        """Return path and text of the lines of each of *commits* that match *pattern*, in files of these names.

        *pattern* is an extended regular expression of POSIX.
        """
        if not commits:
            return {}  # git would search the work tree
        pathspecs = [f":(top,glob)**/{name}" for name in file_names]
        options = (
            "--no-color",
            "--full-name",
            "-I",
            "-z",
            "-E",
            "--no-line-number",
            "--no-column",
            "-e",
            pattern,
        )
        output = run(
            self.command("grep", *options, *commits, "--", *pathspecs, ok_codes=(0, 1))
        ).stdout
        lines: dict[str, list[tuple[str, str]]] = {}
        for match in output.split("\n")[:-1]:
            file, _, text = match.partition("\0")
            commit, _, path = file.partition(":")
            lines.setdefault(commit, []).append((path, text))
        return lines

    def add_worktree(self, directory: Path, commit: str) -> None:
        """Check *commit* out into *directory*, with all its files and a detached HEAD."""
        self.git("worktree", "prune")
        run(self.add_worktree_command(directory, commit))

    def add_worktree_command(self, directory: Path, commit: str) -> Command:
        """Check *commit* out into *directory*."""
        # The new work tree would inherit a sparse checkout, and packages would be missing.
        whole = (*FILES_OF_COMMIT, "-c", "core.sparseCheckout=false")
        command = self.command(
            *whole, "worktree", "add", "--quiet", "--detach", str(directory), commit
        )
        # A CI may skip the files of Git LFS in its own checkout; ours has them.
        return replace(command, env={**command.env, "GIT_LFS_SKIP_SMUDGE": None})

    def worktrees(self) -> list[Path]:
        """Return the directories of all work trees that git knows, the one of the user first."""
        lines = self.git("worktree", "list", "--porcelain").splitlines()
        return [
            Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")
        ]

    def remove_worktree(self, directory: Path) -> None:
        """Remove the work tree in *directory*, even if it is damaged."""
        run(self.remove_worktree_command(directory))
        if directory.exists():
            remove_tree(directory)
        self.git("worktree", "prune")

    def remove_worktree_command(self, directory: Path) -> Command:
        """Remove the work tree in *directory*, if git knows it."""
        # --force twice: the work tree is locked if git died while it made it. Exit code 128: git does not know the work
        # tree, or its files are damaged.
        return self.command(
            "worktree", "remove", "--force", "--force", str(directory), ok_codes=(0, 128)
        )

    def save_ref(self, name: str, commit: str) -> None:
        """Save *commit* as refs/releasekit/*name*, so that git keeps it without showing it as a branch or tag."""
        self.git("update-ref", f"refs/releasekit/{name}", commit)

    def delete_ref(self, name: str) -> None:
        """Delete the reference that `save_ref` has written under *name*, if any."""
        self.git("update-ref", "-d", f"refs/releasekit/{name}")

    def saved_commit(self, name: str) -> str:
        """Return the commit that `save_ref` has saved under *name*, empty if there is none."""
        return self._sha(f"refs/releasekit/{name}")

    def saved_refs(self) -> tuple[str, ...]:
        """Return the names of all saved references, as they were given to `save_ref`."""
        return tuple(
            self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/releasekit").split()
        )

    def commit(self, worktree: Path, message: str, paths: Sequence[str], *, hooks: bool) -> str:
        """Commit only *paths* of *worktree*; returns the commit, or HEAD if none of them has changed.

        Files that git does not track are not added; see `add`.
        """
        changed = self._paths("diff", "--name-only", "-z", "HEAD", cwd=worktree)
        if set(paths).isdisjoint(changed):
            return self.head_of(worktree)
        self._stage(worktree, paths)
        _, commit = self.commit_commands(worktree, message, (), hooks=hooks)
        run(commit)
        return self.head_of(worktree)

    def head_of(self, worktree: Path) -> str:
        """Return the commit that is checked out in *worktree*."""
        return self.git("rev-parse", "HEAD", cwd=worktree).strip()

    def snapshot(self, worktree: Path, paths: Sequence[str]) -> str:
        """Stage *paths* of *worktree*, and return what is staged there as a tree, for `differing_paths`."""
        self._stage(worktree, paths)
        return self.git("write-tree", cwd=worktree).strip()

    def untracked_paths(self, worktree: Path) -> tuple[str, ...]:
        """Return the new files of *worktree* that git neither tracks nor ignores."""
        return tuple(self._paths("ls-files", "-z", "--others", "--exclude-standard", cwd=worktree))

    def _stage(self, worktree: Path, paths: Sequence[str]) -> None:
        """Stage those of *paths* that are tracked and not staged yet."""
        unstaged = self._paths("diff", "--name-only", "--no-renames", "-z", cwd=worktree)
        if ours := sorted(set(paths) & set(unstaged)):
            stage, _ = self.commit_commands(worktree, "", ours, hooks=False)
            run(stage)

    def commit_commands(
        self, worktree: Path, message: str, paths: Sequence[str], *, hooks: bool
    ) -> tuple[Command, Command]:
        """Stage *paths*, which git reads from standard input; then commit what is staged."""
        pathspecs = "".join(f"{path}\0" for path in paths).encode()
        pathspec_options = ("--pathspec-from-file=-", "--pathspec-file-nul")
        commit = replace(
            self.command("commit", "--message", message, cwd=worktree, hooks=hooks), log_output=True
        )
        return self.command(
            *_ADD, "--update", *pathspec_options, cwd=worktree, stdin=pathspecs
        ), commit

    def commit_files(
        self, commit: str, files: Mapping[str, str], message: str, author: str, date: str
    ) -> str:
        """Return a commit with the parent *commit* and only *files*, by *author* ("name <mail>") on *date*.

        The same arguments give the same commit. No reference leads to it yet.
        """
        blobs = {
            name: self._object(text.encode(), "hash-object", "-w", "--stdin")
            for name, text in files.items()
        }
        tree = "".join(f"100644 blob {sha}\t{name}\n" for name, sha in sorted(blobs.items()))
        name, _, mail = author.partition(" <")
        identity = {"NAME": name, "EMAIL": mail.removesuffix(">"), "DATE": date}
        env = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in identity.items()
        }
        argv = ("commit-tree", "--no-gpg-sign", "-p", commit, self._object(tree.encode(), "mktree"))
        return self._object(message.encode(), *argv, env=env)

    def _object(
        self, content: bytes, *argv: str, env: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        command = self.command(*argv, stdin=content)
        return run(replace(command, env={**command.env, **env})).stdout.strip()

    def reachable_shas(self) -> frozenset[str]:
        """Return the shas of HEAD and of all commits before it."""
        return frozenset(self.git("rev-list", "HEAD").split())

    def first_parents(self, since: str, tip: str) -> tuple[str, ...]:
        """Return the commits of the branch at *tip* that are not in the history of *since*, oldest first."""
        return tuple(self.git("rev-list", "--first-parent", "--reverse", f"{since}..{tip}").split())

    def commit_titles(self, since: str, tip: str) -> tuple[str, ...]:
        """Return short sha and subject of the commits that *tip* has and *since* has not, newest first, no merges."""
        argv = ("log", "--no-merges", "--no-show-signature", "--format=%h %s", f"{since}..{tip}")
        return tuple(CONTROLS.sub("", self.git(*argv)).split("\n")[:-1])

    def has_same_files(self, one: str, other: str) -> bool:
        """Return whether two commits have the same files."""
        return self._sha(f"{one}^{{tree}}") == self._sha(f"{other}^{{tree}}")

    def parent(self, commit: str, number: int = 1) -> str:
        """Return the parent *number* of *commit* (1 is the first), empty if it has none."""
        return self._sha(f"{commit}^{number}")

    def has_commit(self, commit: str) -> bool:
        """Return whether *commit* is in this repository."""
        return bool(self._sha(f"{commit}^{{commit}}"))

    def subject(self, commit: str) -> str:
        """Return the first line of the message of *commit*."""
        return self.git("show", "--no-patch", "--no-show-signature", "--format=%s", commit).rstrip(
            "\n"
        )

    def subjects(self, commits: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the first line of each commit's message by sha; for a merge, also that of the merged commit."""
        own = self._subjects(dict.fromkeys(commits))
        second_parents = {sha: parents[1] for sha, (_, parents) in own.items() if len(parents) > 1}
        merged = self._subjects(dict.fromkeys(second_parents.values()))
        subjects = {sha: (subject,) for sha, (subject, _) in own.items()}
        merges = {sha: (own[sha][0], merged[parent][0]) for sha, parent in second_parents.items()}
        return {**subjects, **merges}

    def _subjects(self, commits: Iterable[str]) -> dict[str, tuple[str, list[str]]]:
        """Return subject and parents of each of *commits*."""
        log_entries = self._log(commits, "%H", "%P", "%s")
        return {sha: (subject, parents.split()) for sha, parents, subject in log_entries}

    def count_commits_since(self, *commits: str) -> int:
        """Return how many commits of HEAD are in the history of none of *commits*."""
        excluded = [f"^{sha}" for sha in commits if sha]
        return int(self.git("rev-list", "--count", "HEAD", *excluded))

    def contains(self, tip: str, commit: str) -> bool:
        """Return whether *commit* is *tip* or in its history; both must be in this repository."""
        return (
            run(self.command("merge-base", "--is-ancestor", commit, tip, ok_codes=(0, 1))).code == 0
        )

    def check_signing(self) -> None:
        """Sign a temporary commit if git is configured to sign commits or tags, so that a failure shows early.

        Raises Refusal RK-SIGNING-FAILED.
        """
        keys = ("commit.gpgSign", "tag.gpgSign", "tag.forceSignAnnotated")
        if not any(map(self._is_on, keys)):
            return
        with tempfile.TemporaryDirectory() as scratch:
            scratch_env = {
                "GIT_OBJECT_DIRECTORY": scratch,
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.common_dir / "objects"),
            }
            try:
                self._object(b"", "commit-tree", "--gpg-sign", "HEAD^{tree}", env=scratch_env)
            except ReleaseError as error:
                has_reason = error.code is ErrorCode.SIGNING_FAILED
                message = f"git cannot sign: {error.message}" if has_reason else "git cannot sign"
                raise Refusal(
                    ErrorCode.SIGNING_FAILED, message, str(self.top), output=error.output
                ) from None

    def _is_on(self, key: str) -> bool:
        return (
            run(self.command("config", "--type=bool", "--get", key, ok_codes=(0, 1))).stdout.strip()
            == "true"
        )

    def add(self, worktree: Path, paths: Sequence[str]) -> None:
        """Track *paths* in *worktree* from its next commit on, except those that git ignores."""
        if not paths:
            return  # git would take no path for every path
        options = ("--literal-pathspecs", "ls-files", "-z", "--others", "--exclude-standard")
        if untracked := self._paths(*options, "--", *paths, cwd=worktree):
            run(self.add_command(worktree, untracked))

    def add_command(self, worktree: Path, paths: Sequence[str]) -> Command:
        """Track the new files *paths* of *worktree*."""
        return self.command(*_ADD, "--", *paths, cwd=worktree)

    def make_tag(self, tag: str, commit: str, message: str = "") -> None:
        """Create the annotated *tag* on *commit*, unless it exists there already. Its *message* is by default its name.

        Raises ReleaseError RK-TAG-EXISTS if it exists on another commit: tags are never moved.
        """
        existing = self._sha(f"refs/tags/{tag}")
        if not existing:
            run(self.tag_command(tag, commit, message or tag))
        elif self._sha(f"refs/tags/{tag}^{{commit}}") != commit:
            raise ReleaseError(ErrorCode.TAG_EXISTS, f"{tag} already exists, at {existing[:12]}")

    def tag_command(self, tag: str, commit: str, message: str) -> Command:
        """Create the annotated *tag* with *message* on *commit*."""
        # By default, git removes the lines of a tag's message that begin with "#".
        options = () if message == tag else ("--cleanup=whitespace",)
        return self.command("tag", "--annotate", *options, "--message", message, tag, commit)

    def tag_refs(self) -> dict[str, Ref]:
        """Return the object and commit of each local tag, by its name."""
        form = "%(refname:lstrip=2)%00%(objectname)%00%(*objectname)"
        refs: dict[str, Ref] = {}
        for line in self.git("for-each-ref", f"--format={form}", "refs/tags").splitlines():
            name, sha, peeled = line.split("\0")
            refs[name] = Ref(sha, peeled or sha)
        return refs

    def delete_tag(self, tag: str, sha: str) -> None:
        """Delete *tag* if it still names the object *sha*; otherwise git refuses."""
        self.git("update-ref", "-d", f"refs/tags/{tag}", sha)

    def push(
        self,
        remote: str,
        refspecs: Sequence[str],
        *,
        dry_run: bool = False,
        leases: Mapping[str, str] = _NO_LEASES,
    ) -> None:
        """Push exactly *refspecs*, all or none, and never by force.

        Only references in *leases* can be moved or deleted, and only if they still name the object that it gives
        (empty: if they do not exist). The remote compares and writes in one step, so two clones cannot both succeed.

        Raises ReleaseError RK-PUSH-REJECTED with git's output, RK-REMOTE-UNREACHABLE if git cannot reach the remote.
        """
        try:
            run(self.push_command(remote, refspecs, dry_run=dry_run, leases=leases))
        except ReleaseError as error:
            if error.code is ErrorCode.REMOTE_UNREACHABLE:
                raise
            location = f"{remote}: {', '.join(refspecs[:3])}"
            raise ReleaseError(
                ErrorCode.PUSH_REJECTED, "the push was rejected", location, output=error.output
            ) from None

    def push_command(
        self,
        remote: str,
        refspecs: Sequence[str],
        *,
        dry_run: bool = False,
        leases: Mapping[str, str] = _NO_LEASES,
    ) -> Command:
        """Push *refspecs*; see `push`."""
        rehearsal = ("--dry-run",) if dry_run else ()
        lease_options = tuple(f"--force-with-lease={name}:{sha}" for name, sha in leases.items())
        command = self.command(
            "push", "--atomic", "--no-follow-tags", *rehearsal, *lease_options, remote, *refspecs
        )
        return replace(command, log_output=not dry_run)

    def ls_remote(self, remote: str, *names: str) -> dict[str, Ref]:
        """Return the references of *remote* by full name, or only those with the full *names*.

        They are those of the place that `push` writes to, if the remote has another address for that (`pushurl`).
        """
        refs: dict[str, Ref] = {}
        for line in run(self._read_pushed(remote, "ls-remote", names)).stdout.splitlines():
            sha, name = line.split("\t")
            if name.endswith("^{}"):  # a peeled tag follows its tag
                name = name.removesuffix("^{}")
                refs[name] = Ref(refs[name].object, sha)
            else:
                refs[name] = Ref(sha, sha)
        return refs

    def delete_remote_refs(self, remote: str, objects: Mapping[str, str]) -> None:
        """Delete references of *remote*, all or none: those in *objects*, which gives the object that each must have.

        Raises the same errors as `push`.
        """
        if objects:
            self.push(remote, [f":{name}" for name in objects], leases=objects)

    def fetch_missing(self, remote: str, name: str, commit: str) -> None:
        """Fetch *commit*, to which the reference *name* of *remote* leads, unless it is in this repository."""
        if not self.has_commit(commit):
            self.fetch(remote, name)

    def fetch(self, remote: str, name: str) -> None:
        """Fetch the objects that the reference *name* of *remote* leads to.

        The only local reference that can change is the remote-tracking branch, if *name* is a branch. Like `ls_remote`,
        it asks the place that `push` writes to.
        """
        options = ("--no-tags", "--no-prune", "--no-write-fetch-head")
        run(self._read_pushed(remote, "fetch", [name], options))

    def _read_pushed(
        self, remote: str, verb: str, names: Iterable[str], options: Iterable[str] = ()
    ) -> Command:
        """Return the command *verb* for *names*, which reads where `push` writes to.

        A push address of its own becomes a remote in the environment: as an argument, every process could read it.
        """
        command = self.command(verb, "--quiet", *options, remote, *names)
        addresses = self._addresses(remote)
        if addresses.read == addresses.written:
            return command
        name = f"{remote} (push)"
        settings = {
            f"remote.{name}.url": addresses.written,
            f"remote.{name}.fetch": f"+refs/heads/*:refs/remotes/{remote}/*",
        }
        count = int(command.env["GIT_CONFIG_COUNT"] or 0)
        env = {**command.env, **config_variables(settings.items(), count)}
        argv = tuple(name if word == remote else word for word in command.argv)
        return replace(command, argv=argv, env=env)

    def remote_branch_contains(self, remote: str, commit: str, branch: str = "") -> bool:
        """Return whether *branch* of *remote*, or any of its branches, contains *commit* as of the last fetch."""
        pattern = f"refs/remotes/{remote}/{branch}"  # without a branch, the prefix of all of them
        return bool(self.git("for-each-ref", "--count=1", f"--contains={commit}", pattern))

    def has_on_branch(self, commit: str, remote: str, branch: str) -> bool:
        """Return whether *commit* is in the history of HEAD, or of *branch* of *remote* as of the last fetch."""
        if not self.has_commit(commit):
            return False
        if self.contains(self.head, commit):
            return True
        return bool(branch) and self.remote_branch_contains(remote, commit, branch)

    def differing_paths(self, worktree: Path, commit: str) -> tuple[str, ...]:
        """Return the paths at which *worktree* differs from *commit*; files that `add` has added count too."""
        return tuple(self._paths("diff", "--name-only", "--no-renames", "-z", commit, cwd=worktree))

    def bundle(self, file: Path, worktree: Path, since: str = "") -> None:
        """Write the commits from *since* to the HEAD of *worktree* into the bundle *file*; `fetch` can read from it.

        Without *since*, write the whole history with its tags, so that `clone` can read from it too.
        """
        commits = ("HEAD", f"^{since}") if since else ("HEAD", "--tags")
        self.git("bundle", "create", "--quiet", str(file.resolve()), *commits, cwd=worktree)

    def fast_forward(self, commit: str) -> bool:
        """Fast-forward the checked-out branch to *commit*, if that is possible and the work tree is clean.

        If an earlier fast-forward was killed, or the disk was full, it is completed.
        Returns whether *commit* is then checked out, or in the history of HEAD.
        """
        current = Repo(self.top)
        if self.contains(current.head, commit):
            return True
        moved = (current.branch, current.head) != (self.branch, self.head) or not self.branch
        if moved or not self.contains(commit, current.head):
            return False
        if not self.changed_paths():
            run(self.fast_forward_command(commit))
        elif self._is_partial_fast_forward(commit):
            self.git("reset", "--quiet", "--hard", commit)
        else:
            return False
        return True

    def fast_forward_command(self, commit: str) -> Command:
        """Fast-forward the checked-out branch to *commit*."""
        return self.command("merge", "--quiet", "--ff-only", commit)

    def _is_partial_fast_forward(self, commit: str) -> bool:
        """Return whether all local changes come from a fast-forward to *commit* that was interrupted.

        git writes files one by one and updates its index last. So nothing is staged, and each file has a beginning of
        its new text.
        """
        entries = self._paths("status", "--porcelain", "-z", "--no-renames")
        paths = {entry[3:] for entry in entries}
        is_staged = any(entry[0] not in " ?" for entry in entries)
        written = set(self._paths("diff", "--name-only", "--no-renames", "-z", "HEAD", commit))
        if is_staged or not paths <= written:
            return False
        wanted = self.texts([(commit, path) for path in sorted(paths)])
        for path in paths:
            text = read_text_if_exists(self.top / path)
            if not wanted.get((commit, path), "").startswith(text):
                return False
        return True

    def _blobs(self, shas: Sequence[str]) -> dict[str, str]:
        """Return the text of each blob by its sha, with one process; git gives sizes in bytes, so bytes are cut."""
        output = b"\0".join(
            stream(self.command("cat-file", "--batch=%(objectsize)", stdin=_as_lines(shas)))
        )
        texts: dict[str, str] = {}
        position = 0
        for sha in shas:
            begin = output.index(b"\n", position) + 1
            end = begin + int(output[position:begin])
            texts[sha] = output[begin:end].decode("utf-8", "replace")
            position = end + 1
        return texts

    def _sha(self, revision: str) -> str:
        return run(
            self.command("rev-parse", "--verify", "--quiet", revision, ok_codes=(0, 1))
        ).stdout.strip()


def _as_lines(words: Iterable[str]) -> bytes:
    """Return *words* as standard input for git, one on each line."""
    return "".join(f"{word}\n" for word in words).encode()


def clone(source: str, directory: Path, *options: str) -> None:
    """Clone *source* into *directory*; its files of Git LFS are pointers.

    The work tree of a release gets these files later, and says which ones are missing.
    """
    argv = ("git", *_NO_HOOKS, "clone", "--quiet", *options, "--", source, str(directory))
    pointers = {"GIT_LFS_SKIP_SMUDGE": "1"}
    run(Command(argv, env={**git_variables(), **_credentials.get(), **pointers}))


@contextmanager
def credentials(address: str, token: str) -> Generator[None]:
    """Inside the block, let git use *token* when the server of *address* asks for a password.

    The token is only in the environment of git processes that talk to a remote: in no argument, no file, and no
    configuration of the clone.
    """
    url = split_address(address)
    host = url.netloc.rpartition("@")[2]
    key = f"credential.{url.scheme}://{host}.helper"
    env = config_variables([(key, ""), (key, _CREDENTIAL_HELPER)])
    env |= {"RELEASEKIT__USERNAME": url.username or "x-access-token", "RELEASEKIT__PASSWORD": token}
    reset = _credentials.set(env)
    try:
        yield
    finally:
        _credentials.reset(reset)


def _work_tree(path: Path) -> Path:
    """Return the top of the work tree that contains *path*, as git says; raises Refusal, see `Repo`."""
    if which("git") is None:
        raise Refusal(ErrorCode.GIT_MISSING, "git is not on the PATH")
    if not path.is_dir():
        raise Refusal(ErrorCode.GIT_NOT_A_REPOSITORY, "not a git repository", str(path))
    argv = ("git", "rev-parse", "--show-toplevel")
    try:
        output = run(Command(argv, path, git_variables())).stdout
    except ReleaseError as error:
        raise _opening_refusal(error, path) from None
    top = Path(output.removesuffix("\n")).resolve()
    if "\N{REPLACEMENT CHARACTER}" in output and not top.exists():
        message = "the path of the repository is not UTF-8"
        hint = "Move the repository into a directory whose name is UTF-8, or clone it there."
        raise Refusal(ErrorCode.GIT_UNTRUSTED, message, str(path), hint)
    if not path.resolve().is_relative_to(top):
        message = f"the settings of the repository name another work tree: {top}"
        raise Refusal(ErrorCode.GIT_UNTRUSTED, message, str(path))
    return top


def _common_directory(top: Path) -> Path:
    """Return the git directory that all work trees of the repository share; git trusts the work tree *top*."""
    import git

    try:
        with _without_git_variables(), git.Repo(top, expand_vars=False) as repository:
            return Path(repository.common_dir).resolve()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise Refusal(ErrorCode.GIT_NOT_A_REPOSITORY, "not a git repository", str(top)) from None


@contextmanager
def _without_git_variables() -> Generator[None]:
    """Hide the variables of git from this process inside the block: GitPython would follow them elsewhere."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("GIT_")}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _opening_refusal(error: ReleaseError, path: Path) -> Refusal:
    """Return why git, which has failed with *error*, does not open the repository that contains *path*."""
    if "dubious ownership" in error.output:
        return Refusal(ErrorCode.GIT_UNTRUSTED, "the repository belongs to another user", str(path))
    if "not a git repository" in error.output:
        return Refusal(ErrorCode.GIT_NOT_A_REPOSITORY, "not a git repository", str(path))
    if "cannot use bare repository" in error.output or "must be run in a work tree" in error.output:
        return _bare_refusal(path)
    return Refusal(
        ErrorCode.GIT_UNTRUSTED, "git cannot open the repository", str(path), output=error.output
    )


def _bare_refusal(path: Path) -> Refusal:
    message = "the git repository is bare: it has no work tree"
    return Refusal(ErrorCode.GIT_NOT_A_REPOSITORY, message, str(path))


def _commit(record: Sequence[str]) -> Commit:
    sha, parents, message, *files = record
    if files:
        files[0] = files[0].removeprefix("\n")
    return Commit(sha[1:], tuple(parents.split()), message, tuple(files))
