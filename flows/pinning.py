"""`releasekit pin`: exact internal requirements in the user's own tree, and the way back."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.adapters.files import read_text
from tasks.adapters.pinned import Changes
from tasks.adapters.process import hand_over
from tasks.adapters.record import only_release
from tasks.adapters.repo import Repo
from tasks.core.pins import changed, pin
from tasks.survey import read_workspace

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from tasks.project import Project

log = logging.getLogger("releasekit.pin")


@dataclass(frozen=True, slots=True)
class PinnedTree:
    """The workspace of *project* with and without pins; *changes* are those that are in place."""

    project: Project
    changes: Changes

    def texts(self) -> Mapping[Path, str]:
        """Return the pyproject.toml files that pins would change, as they would be."""
        versions = {member.name: member.version for member in self.project.workspace if member.version}
        paths = [self.project.root / member.path / "pyproject.toml" for member in self.project.workspace]
        before = {path: read_text(path) for path in paths}
        after = {path: pin(text, versions) for path, text in before.items()}
        return {path: text for path, text in after.items() if text != before[path]}

    def diff(self) -> str:
        """Return what pins would change."""
        root = self.project.root
        texts = self.texts().items()
        return "".join(changed(read_text(path), text, path.relative_to(root).as_posix()) for path, text in texts)

    def apply(self) -> None:
        """Pin, until the tree is next asked for."""
        texts = self.texts()
        self.changes.apply(texts)
        log.info("pinned %d files; `releasekit pin --restore` puts them back", len(texts))

    def run(self, command: Sequence[str]) -> int:
        """Run *command* with the pins in place and return its exit code; then everything is as it was."""
        with self.changes.during(self.texts()):
            return hand_over(command, self.project.root)


@contextmanager
def pinned_tree(workspace: Path) -> Generator[PinnedTree]:
    """Hold the user's tree, as it is without pins: what an earlier run has left is put back first.

    Raises Refusal RK-LOCK-ACQUISITION-FAILED while a release or another `pin` runs, ReleaseError RK-PIN-RESTORE-FAILED.
    """
    repo = Repo(read_workspace(workspace, {}).root)
    with only_release(repo.common_dir):
        changes = Changes(repo.common_dir / "releasekit" / "pins")
        if restored := changes.restore():
            log.info("put back %d files that `pin --apply` had changed", len(restored))
        yield PinnedTree(read_workspace(workspace, {}), changes)
