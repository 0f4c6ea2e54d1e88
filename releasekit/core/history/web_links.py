"""Where a forge shows commits, pull requests and versions on the web, told from the address of a git remote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

_URL = re.compile(
    r"(?P<scheme>https?|ssh|git(?:\+ssh)?)://(?:[^/@]*@)*(?P<host>[^/:@]+)(?::(?P<port>\d+))?/(?P<path>.+)"
)
_SCP = re.compile(r"(?:[^/@]*@)*(?P<host>[^/:@]+):(?!/)(?P<path>.+)")  # git@host:owner/name.git
_PATH = re.compile(r"[\w.~-]+(?:/[\w.~-]+)+")
# What stands for the host itself: where ssh goes through another port, and the aliases that people give their keys.
_ALIAS = re.compile(r"(?:(?:ssh|altssh)\.)?(github|gitlab)\.com(?:-.*)?")


@dataclass(frozen=True, slots=True)
class RepositoryUrls:
    """A repository on the web at *base*, of GitHub or GitLab; without a base there is nothing to link to."""

    base: str = ""
    is_gitlab: bool = False

    def commit(self, sha: str) -> str:
        """Return the page of a commit."""
        return self._url(f"commit/{sha}")

    def reference(self, mark: str, number: str) -> str:
        """Return the page of `#42` or `!42`: an issue or pull request, on GitLab a merge request."""
        if not self.is_gitlab:
            return self._url(f"pull/{number}") if mark == "#" else ""  # leads on to the issue, if it is one
        return self._url(f"{'issues' if mark == '#' else 'merge_requests'}/{number}")

    def tag(self, tag: str, since: str = "") -> str:
        """Return the page of a tag, or of what has come between the tag *since* and it."""
        if since:
            return self._url(f"compare/{quote(since)}...{quote(tag)}")
        return self._url(f"{'tags' if self.is_gitlab else 'releases/tag'}/{quote(tag)}")

    def history(self, tag: str) -> str:
        """Return the page of all commits up to *tag*."""
        return self._url(f"commits/{quote(tag)}")

    def file(self, path: str, tag: str) -> str:
        """Return the page of the file *path* as it is at *tag*."""
        return self._url(f"blob/{quote(tag)}/{quote(path)}")

    @property
    def host(self) -> str:
        """The name of the host."""
        return urlsplit(self.base).hostname or ""

    @property
    def repository(self) -> str:
        """The repository as the forge calls it: "owner/name", on GitLab also with groups before."""
        return urlsplit(self.base).path.strip("/")

    @property
    def api(self) -> str:
        """Where the forge's REST API usually is: GitHub's, GitHub Enterprise Server's, or GitLab's."""
        scheme, host = urlsplit(self.base)[:2]
        if self.is_gitlab:
            return f"{scheme}://{host}/api/v4"
        return f"{scheme}://api.{host}" if _ALIAS.fullmatch(host) else f"{scheme}://{host}/api/v3"

    def _url(self, path: str) -> str:
        return f"{self.base}/{'-/' if self.is_gitlab else ''}{path}" if self.base else ""


def repository_urls(remote: str, forge: Literal["auto", "github", "gitlab"] = "auto") -> RepositoryUrls:
    """Return where the repository at the address *remote* is seen on the web; user names and passwords are left out.

    A forge is known by its host's name, such as github.com or gitlab.example.org, unless *forge* says what it is.
    """
    match = _URL.fullmatch(remote) or _SCP.fullmatch(remote)
    if not match:
        return RepositoryUrls()
    parts = match.groupdict()
    host = parts["host"].lower()
    if alias := _ALIAS.fullmatch(host):
        host = f"{alias[1]}.com"
    path = parts["path"].rstrip("/").removesuffix(".git")
    host_kind = next((name for name in ("github", "gitlab") if name in re.split(r"[.-]", host)), "")
    kind = host_kind if forge == "auto" else forge
    if not kind or not _PATH.fullmatch(path):
        return RepositoryUrls()
    scheme = parts.get("scheme") or "ssh"
    is_web = scheme.startswith("http")
    port = f":{parts['port']}" if is_web and parts["port"] else ""
    return RepositoryUrls(f"{scheme if is_web else 'https'}://{host}{port}/{path}", kind == "gitlab")
