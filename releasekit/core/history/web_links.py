"""URLs of commits, pull requests and versions on GitHub or GitLab, derived from the URL of a git remote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from releasekit.core.addresses import split_address

_URL = re.compile(
    r"(?P<scheme>https?|ssh|git(?:\+ssh)?)://(?:[^/@]*@)*(?P<host>[^/:@]+)(?::(?P<port>\d+))?/(?P<path>.+)"
)
_SCP = re.compile(r"(?:[^/@]*@)*(?P<host>[^/:@]+):(?!/)(?P<path>.+)")  # git@host:owner/name.git
_PATH = re.compile(r"[\w.~-]+(?:/[\w.~-]+)+")
# Other names of the host: for ssh through another port, and aliases in ssh configurations for several keys.
_ALIAS = re.compile(r"^(?:(?:ssh|altssh)\.)?(github|gitlab)\.com(?:-.*)?\Z")


_GITHUB_PATHS = {"#": "pull"}  # GitHub redirects to the issue, if it is one
_GITLAB_PATHS = {"#": "issues", "!": "merge_requests"}


@dataclass(frozen=True, slots=True)
class RepositoryUrls:
    """The URLs of a repository on GitHub or GitLab at *base*; if *base* is empty, all URLs are empty."""

    base: str = ""
    is_gitlab: bool = False

    def commit(self, sha: str) -> str:
        """Return the URL of a commit."""
        return self._url(f"commit/{sha}")

    def reference(self, mark: str, number: str) -> str:
        """Return the URL of `#42` or `!42`: an issue or pull request, or on GitLab a merge request."""
        paths = _GITLAB_PATHS if self.is_gitlab else _GITHUB_PATHS
        if mark not in paths:
            return ""
        return self._url(f"{paths[mark]}/{number}")

    def tag(self, tag: str, since: str = "") -> str:
        """Return the URL of a tag, or of the comparison of the tag *since* with it."""
        if since:
            return self._url(f"compare/{quote(since)}...{quote(tag)}")
        tags = "tags" if self.is_gitlab else "releases/tag"
        return self._url(f"{tags}/{quote(tag)}")

    def history(self, tag: str) -> str:
        """Return the URL of the list of all commits up to *tag*."""
        return self._url(f"commits/{quote(tag)}")

    def file(self, path: str, tag: str) -> str:
        """Return the URL of the file *path* at *tag*."""
        return self._url(f"blob/{quote(tag)}/{quote(path)}")

    @property
    def host(self) -> str:
        """The host name."""
        return split_address(self.base).hostname or ""

    @property
    def repository(self) -> str:
        """The repository's name on GitHub or GitLab: "owner/name", on GitLab possibly with more groups before."""
        return split_address(self.base).path.strip("/")

    @property
    def api(self) -> str:
        """The usual URL of the REST API: of GitHub, GitHub Enterprise Server, or GitLab."""
        scheme, host = split_address(self.base)[:2]
        if self.is_gitlab:
            return f"{scheme}://{host}/api/v4"
        if _ALIAS.fullmatch(host):
            return f"{scheme}://api.{host}"
        return f"{scheme}://{host}/api/v3"

    def _url(self, path: str) -> str:
        if not self.base:
            return ""
        prefix = "-/" if self.is_gitlab else ""
        return f"{self.base}/{prefix}{path}"


def repository_urls(
    remote: str, forge: Literal["auto", "github", "gitlab"] = "auto"
) -> RepositoryUrls:
    """Return the URLs of the repository at the git URL *remote*, without user names and passwords.

    The host name, such as github.com or gitlab.example.org, shows the kind of forge, unless *forge* names it.
    """
    match = _URL.fullmatch(remote) or _SCP.fullmatch(remote)
    if not match:
        return RepositoryUrls()
    parts = match.groupdict("")
    host = _ALIAS.sub(r"\1.com", parts["host"].lower())
    path = parts["path"].rstrip("/").removesuffix(".git")
    kind = _forge_of_host(host) if forge == "auto" else forge
    is_supported = kind and _PATH.fullmatch(path)
    if not is_supported:
        return RepositoryUrls()
    scheme = "https"
    address = host
    if parts.get("scheme", "").startswith("http"):
        # The port of another protocol is not that of the web pages.
        scheme = parts["scheme"]
        address = f"{host}:{parts['port']}".removesuffix(":")
    return RepositoryUrls(f"{scheme}://{address}/{path}", kind == "gitlab")


def _forge_of_host(host: str) -> str:
    words = re.split(r"[.-]", host)
    return next(filter(words.__contains__, ("github", "gitlab")), "")
