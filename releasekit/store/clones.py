"""A workspace that lies in a repository elsewhere, on this machine for the length of a run."""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal, ReleaseError
from releasekit.integrations.filesystem import make_directory, named, remove_tree
from releasekit.integrations.git import Repo, clone, credentials
from releasekit.integrations.prefect_server import data_home
from releasekit.store.record import release_lock

if TYPE_CHECKING:
    from collections.abc import Generator

    from releasekit.core.config.repository_address import Source

log = logging.getLogger("releasekit.checkout")


@contextmanager
def checked_out(source: Source, token: str, *, keep: bool) -> Generator[Path]:
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
            home = kept_in(source)
            stack.enter_context(release_lock(home))
        else:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="releasekit-clone-"))).resolve()
        try:
            directory = _up_to_date(source, home)
        except ReleaseError as error:
            if error.code not in _UNREACHABLE:
                raise
            what = error.what if error.code is Code.REPOSITORY_UNREACHABLE else "it cannot be cloned"
            raise Refusal(Code.REPOSITORY_UNREACHABLE, what, source.address, output=error.output) from None
        yield directory / source.subdirectory


_UNREACHABLE = {Code.COMMAND_FAILED, Code.COMMAND_TIMEOUT, Code.REMOTE_UNREACHABLE, Code.REPOSITORY_UNREACHABLE}


def kept_in(source: Source) -> Path:
    """Return where this machine keeps its clone of *source*: one for each address."""
    key = sha256(source.address.encode()).hexdigest()[:12]
    return data_home() / "releasekit" / "clones" / f"{source.name}-{key}"


def _up_to_date(source: Source, home: Path) -> Path:
    directory = home / source.name
    if directory.exists():
        Repo(directory).refresh()
    else:
        scratch = home / "cloning"
        remove_tree(scratch)  # what a killed run has left of it
        make_directory(home)
        log.info("cloning %s", source.address)
        clone(source.address, scratch, "--no-checkout")
        with named(directory):
            scratch.rename(directory)
    Repo(directory).check_out(source.ref)
    return directory
