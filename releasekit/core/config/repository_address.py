"""A workspace in a remote repository: the address of the repository, a ref and a subdirectory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from releasekit.core.addresses import split_address
from releasekit.core.errors import ErrorCode, Refusal

_URL = re.compile(r"(?:https?|ssh|git|file)://")
# git's short form of ssh, as in git@host:team/project.git.
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*|[A-Z_][A-Z0-9_]*")


def is_address(workspace: str) -> bool:
    """Return whether *workspace* is the address of a git repository, and not a directory."""
    return bool(_URL.match(workspace) or _SCP.match(workspace))


@dataclass(frozen=True, slots=True)
class RemoteWorkspace:
    """The repository at *address*, at *ref* (empty: its default branch), with the workspace in *subdirectory*.

    *token* names the secret that gives access, if one is needed. Raises Refusal RK-USAGE for an address with a
    password, a *token* that does not fit, a *ref* that git would read as an option, and a *subdirectory* outside the
    repository.
    """

    address: str
    ref: str = ""
    subdirectory: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        self._check_address()
        path = PurePosixPath(self.subdirectory)
        is_outside = path.is_absolute() or ".." in path.parts
        if is_outside:
            raise Refusal(
                ErrorCode.USAGE, "--subdirectory must be inside the repository", self.subdirectory
            )
        if self.ref.startswith("-"):
            raise Refusal(
                ErrorCode.USAGE, "a branch, tag or commit cannot start with a hyphen", self.ref
            )

    def _check_address(self) -> None:
        url = self.address if _URL.match(self.address) else ""
        parts = split_address(url)
        if parts.password is not None:
            message = "the address of a repository must not contain a password: parameters are stored and shown"
            hint = "Store it as a secret, and pass the name of the secret with --git-token."
            raise Refusal(ErrorCode.USAGE, message, parts.hostname or "", hint)
        if self.token:
            self._check_token(parts.scheme)

    def _check_token(self, scheme: str) -> None:
        if scheme not in ("http", "https"):
            raise Refusal(ErrorCode.USAGE, "--git-token needs an https address", self.address)
        if not _NAME.fullmatch(self.token):
            # The message does not show the value, because it may be the secret.
            message = "--git-token takes the name of a block or variable, not the token itself"
            raise Refusal(ErrorCode.USAGE, message)

    @property
    def name(self) -> str:
        """The last part of the address: "project" of https://host/team/project.git."""
        last = re.split(r"[/:]", self.address.rstrip("/"))[-1]
        name = re.sub(r"[^A-Za-z0-9._-]", "-", last.removesuffix(".git"))
        return name or "repository"
