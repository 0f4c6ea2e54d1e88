"""Real repositories and workspaces, in a few lines each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.invalid",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.invalid",
}


@dataclass(frozen=True, slots=True)
class GitScene:
    """A directory that a test uses git in, with git's own commands."""

    top: Path

    def git(self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run git here and return what it prints."""
        return run(Command(("git", *argv), self.top, env or {}, stdin=stdin)).stdout.strip()

    def write(self, path: str, text: str) -> Path:
        """Write a file, making its directories."""
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        return target

    def commit(self, message: str, files: Mapping[str, str] | None = None) -> str:
        """Write *files*, commit all there is, and return the commit."""
        for path, text in (files or {}).items():
            self.write(path, text)
        self.git("add", "--all")
        self.git(
            "commit",
            "--quiet",
            "--allow-empty",
            "--allow-empty-message",
            "--file",
            "-",
            stdin=message.encode(),
        )
        return self.git("rev-parse", "HEAD")

    def hook(self, name: str, script: str) -> None:
        """Install a hook."""
        hooks = self.top / self.git("rev-parse", "--git-common-dir") / "hooks"
        hooks.mkdir(exist_ok=True)
        (hooks / name).write_text(f"#!/bin/sh\n{script}\n")
        (hooks / name).chmod(0o755)


@pytest.fixture
def plain_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the git settings of the machine; somebody called Ada commits."""
    for name in os.environ:
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    for name, value in {
        **IDENTITY,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def empty_scene(plain_git: None, tmp_path: Path) -> GitScene:  # noqa: ARG001  needed for what it does
    """Return a repository on branch main, without a commit."""
    found = GitScene(tmp_path / "repo")
    found.top.mkdir()
    found.git("init", "--quiet", "--initial-branch=main")
    return found


@pytest.fixture
def scene(empty_scene: GitScene) -> GitScene:
    """Return a repository on branch main, with one commit that has the file `a`."""
    empty_scene.commit("first", {"a": "one\n"})
    return empty_scene


@pytest.fixture
def workspace(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a uv workspace: `workspace('members = ["packages/*"]', "packages/a")` -> root.

    Each member is named after its directory; a path that ends in "/" is an empty directory. The root is virtual.
    """

    def write(table: str, *members: str, root: str = "") -> Path:
        top = tmp_path / "ws"
        top.mkdir()
        (top / "pyproject.toml").write_text(f"{root}\n[tool.uv.workspace]\n{table}\n")
        for member in members:
            (top / member).mkdir(parents=True, exist_ok=True)
            if not member.endswith("/"):
                (top / member / "pyproject.toml").write_text(
                    project(member.rpartition("/")[2].strip("."))
                )
        return top

    return write


def project(name: str, version: str = "1.0") -> str:
    """Return a pyproject.toml that locks without any index."""
    return f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = ">=3.11"\n'
