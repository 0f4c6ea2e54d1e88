"""Workspaces of any size, with a history, made in seconds."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
TITLES = (
    "feat: add {}",
    "fix({}): correct",
    "chore: tidy {}",
    "docs: describe {}",
    "perf: hurry {}",
    "refactor: turn {}",
)
BODY = "\n\nOne paragraph that says why, as people write it.\n\nCo-authored-by: Bob <bob@example.invalid>"
START = 1_740_000_000


def make_repository(directory: Path, packages: int, commits: int, layers: int = 4) -> Path:
    """Make a workspace of *packages* uv_build packages in *directory*, all released once, *commits* commits ago.

    Each package needs up to three of the layer below. Commits touch two files of one package each, every tenth those
    of a second one too, and every twentieth is a merge. Returns *directory*.
    """
    subprocess.run(
        ["git", "init", "--quiet", "--initial-branch=main", str(directory)], check=True, env=GIT
    )
    script = "".join(_script(packages, commits, layers)).encode()
    subprocess.run(
        ["git", "fast-import", "--quiet"], input=script, check=True, env=GIT, cwd=directory
    )
    for name, value in {"user.name": "Ada", "user.email": "ada@example.invalid"}.items():
        subprocess.run(["git", "config", name, value], check=True, env=GIT, cwd=directory)
    subprocess.run(["git", "reset", "--quiet", "--hard"], check=True, env=GIT, cwd=directory)
    return directory


def publishable(work: Path, remote: Path) -> Path:
    """Give the workspace *work* all that a release wants of it: a lock file, committed, and a *remote*; returns it."""
    for argv in (
        (find_uv().executable, "lock", "--quiet"),
        ("git", "add", "--all"),
        ("git", "commit", "--quiet", "--message", "chore: lock"),
        ("git", "init", "--quiet", "--bare", "--initial-branch=main", str(remote)),
        ("git", "remote", "add", "origin", str(remote)),
        ("git", "push", "--quiet", "--set-upstream", "origin", "main"),
    ):
        subprocess.run(argv, cwd=work, env=GIT, check=True)
    return work


def _name(number: int) -> str:
    return f"pkg-{number:03}"


def _script(packages: int, commits: int, layers: int) -> Iterator[str]:
    """Yield the commands of git-fast-import; marks are the numbers of commits, from 1."""
    yield _commit(1, "chore: begin", ())
    yield _file("pyproject.toml", _root(packages))
    yield _file(".gitignore", ".venv/\ndist/\n")
    for number in range(packages):
        yield _file(f"packages/{_name(number)}/pyproject.toml", _project(number, packages, layers))
        yield _file(
            f"packages/{_name(number)}/src/{_name(number).replace('-', '_')}/__init__.py", ""
        )
    for number in range(packages):
        yield f"tag {_name(number)}-v0.1.0\nfrom :1\ntagger {_who(1)}\n{_data('')}"
    for mark in range(2, commits + 2):
        about = _name(mark % packages)
        match mark % 20 if mark > 20 else 0:  # noqa: PLR2004  the first turn goes straight on
            case 1:  # beside the one before it
                yield _commit(mark, TITLES[mark % len(TITLES)].format(about) + BODY, (mark - 2,))
                yield from _changes(mark, packages)
            case 2:  # merges the two
                yield _commit(mark, f"Merge branch '{about}'", (mark - 2, mark - 1))
                yield from _changes(mark - 1, packages)
            case _:
                yield _commit(mark, TITLES[mark % len(TITLES)].format(about) + BODY, (mark - 1,))
                yield from _changes(mark, packages)


def _changes(mark: int, packages: int) -> Iterator[str]:
    for number in {mark % packages, (mark * 7 if mark % 10 == 0 else mark) % packages}:
        module = f"packages/{_name(number)}/src/{_name(number).replace('-', '_')}"
        yield _file(f"{module}/__init__.py", f"LAST = {mark}\n")
        yield _file(f"{module}/part_{mark % 5}.py", f"LAST = {mark}\n")


def _commit(mark: int, message: str, parents: tuple[int, ...]) -> str:
    kinds = ("from", "merge")
    lines = "".join(f"{kind} :{parent}\n" for kind, parent in zip(kinds, parents, strict=False))
    return f"commit refs/heads/main\nmark :{mark}\ncommitter {_who(mark)}\n{_data(message)}{lines}"


def _who(mark: int) -> str:
    return f"Ada <ada@example.invalid> {START + 60 * mark} +0000"


def _file(path: str, text: str) -> str:
    return f"M 100644 inline {path}\n{_data(text)}"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _root(packages: int) -> str:
    sources = "".join(f"{_name(number)} = {{ workspace = true }}\n" for number in range(packages))
    return f'[tool.uv.workspace]\nmembers = ["packages/*"]\n\n[tool.uv.sources]\n{sources}'


def _project(number: int, packages: int, layers: int) -> str:
    width = -(-packages // layers)
    layer, place = divmod(number, width)
    needs = (
        sorted({_name((layer - 1) * width + (place + step) % width) for step in range(3)})
        if layer
        else []
    )
    return f"""\
[project]
name = "{_name(number)}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = {needs}

[build-system]
requires = ["uv_build>=0.9"]
build-backend = "uv_build"
"""
