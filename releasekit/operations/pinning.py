"""`releasekit pin`: write exact internal requirements into the user's own working tree, and restore the files."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.core.versioning.groups import pin_modes
from releasekit.core.workspace.graph import offers_of
from releasekit.core.workspace.pins import text_diff
from releasekit.core.workspace.siblings import Siblings
from releasekit.integrations.filesystem import read_text
from releasekit.integrations.git import Repo
from releasekit.integrations.process import run_in_foreground
from releasekit.integrations.version_files import pinned_texts
from releasekit.store.backup import FileBackup
from releasekit.store.record import release_lock
from tasks.read_workspace import read_workspace

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.config.settings import PinMode
    from tasks.project import Project

log = logging.getLogger("releasekit.pin")


@dataclass(frozen=True, slots=True)
class PinnedTree:
    """The workspace of *project*, to which pins can be applied; *changes* is the backup of the changed files."""

    project: Project
    changes: FileBackup

    def texts(self) -> Mapping[Path, str]:
        """Return the new texts of the files that pins would change."""
        texts: dict[Path, str] = {}
        siblings = declared_siblings(self.project)
        for member in self.project.workspace:
            pins = siblings.pins_for(member.name)
            document, _ = self.project.manifests[member.path]
            package = self.project.root / member.path
            texts |= pinned_texts(package, document, pins)
        return texts

    def diff(self) -> str:
        """Return the changes that pins would make, as a unified diff."""
        root = self.project.root
        texts = self.texts().items()
        diffs: list[str] = []
        for path, text in texts:
            display_path = path.relative_to(root).as_posix()
            diffs.append(text_diff(read_text(path), text, display_path))
        return "".join(diffs)

    def apply(self) -> None:
        """Write the pins. The next `open_tree` restores the files."""
        texts = self.texts()
        self.changes.apply(texts)
        log.info("pinned %d files; `releasekit pin --restore` restores them", len(texts))

    def run(self, command: Sequence[str]) -> int:
        """Run *command* with the pins in place, restore the files, and return its exit code."""
        with self.changes.apply_temporarily(self.texts()):
            return run_in_foreground(command, self.project.root)


def declared_siblings(
    project: Project, versions: Mapping[str, Version] = MappingProxyType({})
) -> Siblings:
    """Return the requirements between the members at their declared versions; *versions* replace them, by name."""
    workspace, settings = project.workspace, project.settings
    modes: dict[str, PinMode] = dict.fromkeys(workspace.members, settings.pins)
    modes |= pin_modes(workspace, settings, project.member_settings)
    declared = {member.name: member.version for member in workspace}
    return Siblings(
        workspace,
        offers_of(workspace),
        current={**declared, **versions},
        targets={},
        modes=modes,
        major_on_zero=frozenset(filter(project.is_major_on_zero, modes)),
    )


@contextmanager
def open_tree(workspace: Path) -> Generator[PinnedTree]:
    """Lock the user's working tree and yield it without pins: files that an earlier run left pinned are restored first.

    Raises Refusal RK-LOCK-ACQUISITION-FAILED while a release or another `releasekit pin` runs, and ReleaseError
    RK-PIN-RESTORE-FAILED.
    """
    repo = Repo(read_workspace(workspace, {}).root)
    with release_lock(repo.common_dir):
        changes = FileBackup(repo.common_dir / "releasekit" / "pins")
        if restored := changes.restore():
            log.info("restored %d files that `pin --apply` had changed", len(restored))
        yield PinnedTree(read_workspace(workspace, {}), changes)
