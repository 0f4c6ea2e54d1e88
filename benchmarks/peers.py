"""The plan of releasekit beside its peers, on one synthetic repository, in CPU seconds.

`python benchmarks/peers.py [--packages 500] [--commits 10000]`. Peers come from PyPI by `uv tool run`. Each row is the
best of several runs, and its ratio is to one bare walk of the history, so that figures of two machines can be compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TYPES = ("feat", "fix", "docs", "chore", "perf", "refactor", "fix", "test")
NEEDS = 3
DEAR = 20.0
GIT_CLIFF = (find_uv_bin(), "tool", "run", "--quiet", "git-cliff")
UVR = (find_uv_bin(), "tool", "run", "--quiet", "--from", "uv-release", "uvr")
UV = find_uv_bin()
ENVIRONMENT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "NO_COLOR": "1",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One measured command."""

    what: str
    argv: tuple[str, ...]


def main() -> None:
    """Make the repository, run everything on it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=500)
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="releasekit-peers-") as scratch:
        root = Path(scratch)
        for peer in (GIT_CLIFF, UVR):
            cpu((*peer, "--help"), root)  # installs it
        make(root, asked.packages, asked.commits)
        print(
            f"{asked.packages} packages, {asked.commits} commits, best of up to {asked.runs} runs, CPU seconds\n"
        )
        measured = [(row, best(row, root, asked.runs)) for row in rows()]
    walk = measured[0][1]
    print(f"{'':58} {'CPU s':>8} {'x walk':>8}")
    for row, seconds in measured:
        print(f"{row.what:58} {seconds:8.2f} {seconds / walk:8.1f}")


def rows() -> Iterator[Row]:
    """Yield what is measured; the bare walk comes first."""
    releasekit = (sys.executable, "-m", "releasekit")
    yield Row(
        "git log --name-only (the bare walk)", ("git", "log", "--name-only", "--format=%H%n%B")
    )
    yield Row("releasekit plan --offline", (*releasekit, "plan", "--offline", "--format", "json"))
    yield Row(
        "releasekit publish --dry-run --offline",
        (*releasekit, "publish", "--dry-run", "--offline", "--skip-audit"),
    )
    yield Row("uvr status", (*UVR, "status"))
    yield Row("git-cliff --unreleased (one changelog for all)", (*GIT_CLIFF, "--unreleased"))
    one = ("--bumped-version", "--tag-pattern", "^p7-v", "--include-path", "packages/p7/**")
    yield Row("git-cliff --bumped-version (one package)", (*GIT_CLIFF, *one))


def best(row: Row, root: Path, runs: int) -> float:
    """Return the least CPU time that *row* took, its children's included; what is dear runs once."""
    measured = [cpu(row.argv, root)]
    while len(measured) < runs and measured[0] < DEAR:
        measured.append(cpu(row.argv, root))
    return min(measured)


def cpu(argv: Sequence[str], root: Path) -> float:
    """Return the CPU time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        argv, cwd=root, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        raise SystemExit(
            f"{' '.join(argv)} failed:\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
        )
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make(root: Path, packages: int, commits: int) -> None:
    """Make a workspace whose packages were all released once, and have changed at random since."""

    def git(*argv: str, given: bytes = b"") -> str:
        return subprocess.run(
            ("git", *argv), cwd=root, env=ENVIRONMENT, check=True, input=given, capture_output=True
        ).stdout.decode()

    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.invalid")
    git("remote", "add", "origin", str(root / "nowhere.git"))
    for path, text in files(packages):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    subprocess.run((UV, "lock", "--quiet", "--offline"), cwd=root, env=ENVIRONMENT, check=True)
    lock = (root / "uv.lock").read_text()
    git(
        "fast-import",
        "--quiet",
        given="".join(stream([*files(packages), ("uv.lock", lock)], packages, commits)).encode(),
    )
    git("reset", "--quiet", "--hard", "main")


def files(packages: int) -> Iterator[tuple[str, str]]:
    """Yield all files of the workspace."""
    names = [f"p{number}" for number in range(packages)]
    sources = "".join(f"{name} = {{ workspace = true }}\n" for name in names)
    yield (
        "pyproject.toml",
        f'[tool.uv.workspace]\nmembers = ["packages/*"]\n\n[tool.uv.sources]\n{sources}',
    )
    for number, name in enumerate(names):
        needs = [names[other] for other in range(max(0, number - 1), 0, -7)][:NEEDS]
        project = (
            f'[project]\nname = "{name}"\nversion = "0.1.1.dev0"\nrequires-python = ">=3.11"\n'
        )
        project += f"dependencies = {needs}\n"
        system = '\n[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
        yield f"packages/{name}/pyproject.toml", project + system
        yield f"packages/{name}/src/{name}/__init__.py", f'"""{name}"""\n'


def stream(first: Sequence[tuple[str, str]], packages: int, commits: int) -> Iterator[str]:
    """Yield what git fast-import reads: one commit with everything, tagged as each tool wants it, then changes."""
    yield f"commit refs/heads/main\nmark :1\n{who(0)}{data('chore: begin')}"
    for path, text in first:
        yield f"M 100644 inline {path}\n{data(text)}"
    for number in range(packages):
        for tag in (f"p{number}-v0.1.0", f"p{number}/v0.1.0", f"p{number}/v0.1.1.dev0-base"):
            yield f"reset refs/tags/{tag}\nfrom :1\n\n"
    for number in range(1, commits + 1):
        name = f"p{number * 7919 % packages}"
        message = f"{TYPES[number % len(TYPES)]}({name}): change {number}\n\nWhy it was done, in a line or two.\n"
        yield f"commit refs/heads/main\n{who(number)}{data(message)}"
        yield f"M 100644 inline packages/{name}/src/{name}/m{number % 5}.py\n{data(f'N = {number}' + chr(10))}"


def who(number: int) -> str:
    return f"committer Ada <ada@example.invalid> {1_700_000_000 + 60 * number} +0000\n"


def data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


if __name__ == "__main__":
    main()
