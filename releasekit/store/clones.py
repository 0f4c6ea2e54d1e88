"""Clone the repository of a remote workspace for a run."""

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
from releasekit.integrations.whole_checkout import clone_submodules
from releasekit.store.record import release_lock

if TYPE_CHECKING:
    from collections.abc import Generator

    from releasekit.core.config.repository_address import RemoteWorkspace

log = logging.getLogger("releasekit.checkout")


@contextmanager
def workspace_clone(source: RemoteWorkspace, token: str, *, keep: bool) -> Generator[Path]:
    """Yield the directory of the workspace in a full clone. Inside the block, git uses the *token*, if there is one.

    Without *keep*, the clone is temporary: use this for commands that change nothing. With *keep*, it is the permanent
    clone that this machine has of the repository. If a release is killed there, the next run resumes it from its record
    with exactly the same files. The permanent clone serves one run at a time.

    Raises Refusal RK-REPOSITORY-UNREACHABLE, RK-LOCK-ACQUISITION-FAILED.
    """
    with ExitStack() as stack:
        if token:
            stack.enter_context(credentials(source.address, token))
        if keep:
            home = clone_directory(source)
            stack.enter_context(release_lock(home))
        else:
            home = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="releasekit-clone-"))
            ).resolve()
        try:
            directory = _update_clone(source, home)
        except ReleaseError as error:
            if error.code not in _UNREACHABLE:
                raise
            message = (
                error.message
                if error.code is ErrorCode.REPOSITORY_UNREACHABLE
                else "it cannot be cloned"
            )
            raise Refusal(
                ErrorCode.REPOSITORY_UNREACHABLE, message, source.address, output=error.output
            ) from None
        yield directory / source.subdirectory


_UNREACHABLE = {
    ErrorCode.COMMAND_FAILED,
    ErrorCode.COMMAND_TIMEOUT,
    ErrorCode.REMOTE_UNREACHABLE,
    ErrorCode.REPOSITORY_UNREACHABLE,
}


def clone_directory(source: RemoteWorkspace) -> Path:
    """Return the directory of the permanent clone of *source*. There is one for each address."""
    key = sha256(source.address.encode()).hexdigest()[:12]
    return data_home() / "releasekit" / "clones" / f"{source.name}-{key}"


def _update_clone(source: RemoteWorkspace, home: Path) -> Path:
    directory = home / source.name
    if directory.exists():
        Repo(directory).refresh()
    else:
        scratch = home / "cloning"
        remove_tree(scratch)  # the remains of a run that was killed
        make_directory(home)
        log.info("cloning %s", source.address)
        clone(source.address, scratch, "--no-checkout")
        with wrap_os_errors(directory):
            scratch.rename(directory)
    repo = Repo(directory)
    repo.check_out(source.ref)
    clone_submodules(repo)
    return directory
