"""A real workspace in a real repository with a remote, and the program run on it."""

from __future__ import annotations

import io
import os
import re
import textwrap
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from releasekit.cli.app import main
from releasekit.integrations.process import Command, run
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from releasekit.integrations.peryx import EmbeddedIndex

GIT: dict[str, str | None] = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")),
}


RESOLVE_ONLY = 'overlay = "resolve"'
"""The key with which a package that cannot be imported fails only once it is published."""

LONGEST_RELEASE = timedelta(seconds=60)
"""How long the releases of one test take."""


def dated_tag() -> str:
    """Return the umbrella tag that a release of several packages gets today, if their versions are independent."""
    return f"release-{datetime.now(UTC):%Y.%m.%d}"


def wait_past_midnight() -> None:
    """Wait for the next day if it begins soon: a release that begins today must not end with the tag of tomorrow."""
    now = datetime.now(UTC)
    if (now + LONGEST_RELEASE).date() > now.date():
        time.sleep(LONGEST_RELEASE.total_seconds())


@dataclass(frozen=True)
class Said:
    """What the program said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class World:
    """A checkout at *root*, whose `origin` is the bare repository *remote*."""

    root: Path
    remote: Path

    def releasekit(self, *argv: str) -> Said:
        """Run the program in this process, as from a shell that stands at the root."""
        out, err = io.StringIO(), io.StringIO()
        with _directory(self.root), redirect_stdout(out), redirect_stderr(err):
            code = main(argv)
        return Said(code, out.getvalue(), err.getvalue())

    def git(self, *argv: str) -> str:
        """Run git in the checkout."""
        return run(Command(("git", *argv), self.root, GIT)).stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Write *files*, by path from the root."""
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(textwrap.dedent(text))

    def commit(self, message: str, files: Mapping[str, str] | None = None) -> str:
        """Commit *files*, or an addition to no file at all."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def lock(self) -> None:
        """Bring uv.lock up to date and commit it."""
        run(Command((find_uv().executable, "lock"), self.root))
        self.commit("chore: lock")

    def state(self) -> dict[str, str]:
        """Return all that a release could change here: files, refs, work trees, records, and the remote."""
        records = self.root / ".git" / "releasekit"
        return {
            "status": self.git("status", "--porcelain"),
            "tree": self.git("ls-files", "--stage"),
            "refs": self.git("for-each-ref"),
            "worktrees": self.git("worktree", "list"),
            "records": " ".join(
                sorted(path.name for path in records.glob("*") if path.name != "lock")
            ),
            "remote": self.git("ls-remote", str(self.remote)),
        }

    def tags(self) -> dict[str, str]:
        """Return the tags on the remote and the commit of each."""
        lines = (
            line.split("\t")
            for line in self.git("ls-remote", "--tags", str(self.remote)).splitlines()
        )
        return {name.removeprefix("refs/tags/").removesuffix("^{}"): sha for sha, name in lines}


def make_world(directory: Path, graph: str, keys: str = "", **modules: str) -> World:
    """Make a workspace of uv_build packages from "app: core, util; core; util", all at 0.1.0 and never released.

    *keys* are lines of [tool.releasekit]. *modules* replaces the source of a package's module, by the package's name.
    """
    world = empty_world(directory)
    packages = [part.strip() for part in graph.split(";")]
    names = [part.partition(":")[0].strip() for part in packages]
    sources = "".join(f"{name} = {{ workspace = true }}\n" for name in names)
    text = f'[tool.uv.workspace]\nmembers = ["packages/*"]\n\n[tool.uv.sources]\n{sources}'
    world.write({"pyproject.toml": f"{text}\n[tool.releasekit]\n{keys}\n" if keys else text})
    for part in packages:
        name, _, needs = part.partition(":")
        write_package(
            world,
            name.strip(),
            [need.strip() for need in needs.split(",") if need.strip()],
            **modules,
        )
    world.lock()
    world.git("push", "--quiet", "--set-upstream", "origin", "main")
    return world


def empty_world(directory: Path) -> World:
    """Make an empty repository with a bare remote, on a day that does not end during the test."""
    wait_past_midnight()
    world = World(directory / "work", directory / "remote.git")
    world.root.mkdir(parents=True)
    run(
        Command(
            ("git", "init", "--quiet", "--bare", "--initial-branch=main", str(world.remote)),
            env=GIT,
        )
    )
    world.git("init", "--quiet", "--initial-branch=main")
    world.git("config", "user.name", "Ada")
    world.git("config", "user.email", "ada@example.invalid")
    world.git("remote", "add", "origin", str(world.remote))
    return world


def write_package(world: World, name: str, needs: list[str], **modules: str) -> None:
    """Write a package of one module; *needs* are requirements as text."""
    module = re.sub(r"[-.]", "_", name)
    world.write(
        {
            f"packages/{name}/pyproject.toml": f"""\
                [project]
                name = "{name}"
                version = "0.1.0"
                requires-python = ">=3.11"
                dependencies = {needs}

                [build-system]
                requires = ["uv_build>=0.9"]
                build-backend = "uv_build"
                """,
            f"packages/{name}/src/{module}/__init__.py": modules.get(module, f'"""{name}"""\n'),
        }
    )


def write_hook(world: World, name: str, script: str) -> Path:
    """Give the remote of *world* the hook *name*; returns its file."""
    hook = world.remote / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o755)
    return hook


def upload(world: World, index: EmbeddedIndex, *names: str) -> None:
    """Put packages on the index as they stand, by hand, as before there was a tool."""
    for name in names:
        dist = world.root.parent / "dist" / world.git("rev-parse", "HEAD") / name
        run(
            Command(
                ("uv", "build", "--quiet", "--out-dir", str(dist)), world.root / "packages" / name
            )
        )
        files = [str(path) for path in sorted(dist.glob(f"{re.sub(r'[-.]', '_', name)}-*"))]
        run(
            Command(
                ("uv", "publish", "--quiet", "--trusted-publishing", "never", *files),
                env=index.environment,
            )
        )


def relatives(mark: str) -> dict[int, str]:
    """Return the processes with *mark* in their environment, whoever their parent is, with their command lines."""
    found: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is somebody else's
    return found


@contextmanager
def _directory(path: Path) -> Generator[None]:
    before = os.getcwd()  # noqa: PTH109  restored as it was
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
