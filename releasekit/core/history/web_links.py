"""URLs of commits, pull requests and versions on GitHub, GitLab or Gitea, derived from the URL of a git remote."""

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

ForgeName = Literal["github", "gitlab", "gitea"]
"""The kinds of forges; Forgejo counts as Gitea, because it has the same API and pages."""

_GITHUB_PATHS = {"#": "pull"}  # GitHub redirects to the issue, if it is one
_GITLAB_PATHS = {"#": "issues", "!": "merge_requests"}
_GITEA_PATHS = {"#": "issues", "!": "pulls"}  # each redirects to the other
_REFERENCE_PATHS: dict[ForgeName, dict[str, str]] = {
    "github": _GITHUB_PATHS,
    "gitlab": _GITLAB_PATHS,
    "gitea": _GITEA_PATHS,
}
_TAG_PATHS: dict[ForgeName, str] = {"github": "releases/tag", "gitlab": "tags", "gitea": "src/tag"}
_FORGE_WORDS: dict[str, ForgeName] = {
    "github": "github",
    "gitlab": "gitlab",
    "gitea": "gitea",
    "forgejo": "gitea",
    "codeberg": "gitea",
}
"""Words in the name of a host that show its forge."""


@dataclass(frozen=True, slots=True)
class RepositoryUrls:
    """The URLs of a repository on the forge *kind* at *base*; if *base* is empty, all URLs are empty."""

    base: str = ""
    kind: ForgeName = "github"

    @property
    def is_gitlab(self) -> bool:
        """Whether the repository is on GitLab."""
        return self.kind == "gitlab"

    def commit(self, sha: str) -> str:
        """Return the URL of a commit."""
        return self._url(f"commit/{sha}")

    def reference(self, mark: str, number: str) -> str:
        """Return the URL of `#42` or `!42`: an issue or pull request, or on GitLab a merge request."""
        paths = _REFERENCE_PATHS[self.kind]
        if mark not in paths:
            return ""
        return self._url(f"{paths[mark]}/{number}")

    def tag(self, tag: str, since: str = "") -> str:
        """Return the URL of a tag, or of the comparison of the tag *since* with it."""
        if since:
            return self._url(f"compare/{quote(since)}...{quote(tag)}")
        return self._url(f"{_TAG_PATHS[self.kind]}/{quote(tag)}")

    def history(self, tag: str) -> str:
        """Return the URL of the list of all commits up to *tag*."""
        commits = "commits/tag" if self.kind == "gitea" else "commits"
        return self._url(f"{commits}/{quote(tag)}")

    def file(self, path: str, tag: str) -> str:
        """Return the URL of the file *path* at *tag*."""
        blob = "src/tag" if self.kind == "gitea" else "blob"
        return self._url(f"{blob}/{quote(tag)}/{quote(path)}")

    @property
    def host(self) -> str:
        """The host name."""
        return split_address(self.base).hostname or ""

    @property
    def repository(self) -> str:
        """The repository's name on its forge: "owner/name", on GitLab possibly with more groups before."""
        path = split_address(self.base).path.strip("/")
        # A Gitea can be in a directory of its host.
        return "/".join(path.split("/")[-2:]) if self.kind == "gitea" else path

    @property
    def api(self) -> str:
        """The usual URL of the REST API: of GitHub, GitHub Enterprise Server, GitLab or Gitea."""
        if self.kind == "gitea":
            return f"{self.base.removesuffix(self.repository)}api/v1"
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


def repository_urls(remote: str, forge: ForgeName | Literal["auto"] = "auto") -> RepositoryUrls:
    """Return the URLs of the repository at the git URL *remote*, without user names and passwords.

    The host name, such as github.com, gitlab.example.org or codeberg.org, shows the kind of forge, unless *forge*
    names it.
    """
    match = _URL.fullmatch(remote) or _SCP.fullmatch(remote)
    if not match:
        return RepositoryUrls()
    parts = match.groupdict("")
    host = _ALIAS.sub(r"\1.com", parts["host"].lower())
    path = parts["path"].rstrip("/").removesuffix(".git")
    kind = _forge_of_host(host) if forge == "auto" else forge
    if not kind or not _PATH.fullmatch(path):
        return RepositoryUrls()
    scheme = "https"
    address = host
    if parts.get("scheme", "").startswith("http"):
        # The port of another protocol is not that of the web pages.
        scheme = parts["scheme"]
        address = f"{host}:{parts['port']}".removesuffix(":")
    return RepositoryUrls(f"{scheme}://{address}/{path}", kind)


def _forge_of_host(host: str) -> ForgeName | None:
    words = re.split(r"[.-]", host)
    return next((kind for word, kind in _FORGE_WORDS.items() if word in words), None)
