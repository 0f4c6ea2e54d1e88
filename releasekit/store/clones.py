"""A workspace that lies in a repository elsewhere, on this machine for the length of a run."""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.filesystem import make_directory, remove_tree, wrap_os_errors
from releasekit.integrations.git import Repo, clone, credentials
from releasekit.integrations.prefect_server import data_home
from releasekit.store.record import release_lock

if TYPE_CHECKING:
    from collections.abc import Generator

    from releasekit.core.config.repository_address import RemoteWorkspace

log = logging.getLogger("releasekit.checkout")


@contextmanager
def workspace_clone(source: RemoteWorkspace, token: str, *, keep: bool) -> Generator[Path]:
    """Yield the directory of the workspace, with all of the history; git has the *token*, if any, inside the block.

    What changes nothing gets a clone of its own, which is gone afterwards. What releases gets, with *keep*, the one
    clone that this machine has of the repository: a release that is killed there is carried on by the next run from
    its record, with the very files. That clone serves one run at a time.

    Raises Refusal RK-REPOSITORY-UNREACHABLE, RK-LOCK-ACQUISITION-FAILED.
    """
    with ExitStack() as stack:
        if token:
            stack.enter_context(credentials(source.address, token))
        if keep:
            home = clone_directory(source)
            stack.enter_context(release_lock(home))
        else:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="releasekit-clone-"))).resolve()
        try:
            directory = _update_clone(source, home)
        except ReleaseError as error:
            if error.code not in _UNREACHABLE:
                raise
            message = error.message if error.code is ErrorCode.REPOSITORY_UNREACHABLE else "it cannot be cloned"
            raise Refusal(ErrorCode.REPOSITORY_UNREACHABLE, message, source.address, output=error.output) from None
        yield directory / source.subdirectory


_UNREACHABLE = {
    ErrorCode.COMMAND_FAILED,
    ErrorCode.COMMAND_TIMEOUT,
    ErrorCode.REMOTE_UNREACHABLE,
    ErrorCode.REPOSITORY_UNREACHABLE,
}


def clone_directory(source: RemoteWorkspace) -> Path:
    """Return where this machine keeps its clone of *source*: one for each address."""
    key = sha256(source.address.encode()).hexdigest()[:12]
    return data_home() / "releasekit" / "clones" / f"{source.name}-{key}"


def _update_clone(source: RemoteWorkspace, home: Path) -> Path:
    directory = home / source.name
    if directory.exists():
        Repo(directory).refresh()
    else:
        scratch = home / "cloning"
        remove_tree(scratch)  # what a killed run has left of it
        make_directory(home)
        log.info("cloning %s", source.address)
        clone(source.address, scratch, "--no-checkout")
        with wrap_os_errors(directory):
            scratch.rename(directory)
    Repo(directory).check_out(source.ref)
    return directory
