"""Where a forge shows things, told from the address of a remote."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import pytest

from releasekit.core.history.web_links import RepositoryUrls, repository_urls

GITHUB = "https://github.com/ada/engine"


@pytest.mark.parametrize(
    ("remote", "base"),
    [
        ("https://github.com/ada/engine.git", GITHUB),
        ("https://github.com/ada/engine", GITHUB),
        ("https://github.com/ada/engine/", GITHUB),
        ("https://ada:swordfish@github.com/ada/engine.git", GITHUB),
        ("https://x-access-token:ghs_sw0rd@fish@github.com/ada/engine", GITHUB),
        ("git@github.com:ada/engine.git", GITHUB),
        ("github.com:ada/engine", GITHUB),
        ("ssh://git@github.com/ada/engine.git", GITHUB),
        ("ssh://git@ssh.github.com:443/ada/engine.git", GITHUB),
        ("git@github.com-work:ada/engine.git", GITHUB),
        ("git://GitHub.com/ada/engine.git", GITHUB),
        (
            "https://github.example.org:8443/ada/engine.git",
            "https://github.example.org:8443/ada/engine",
        ),
        ("http://gitlab.example.org/ada/engine.git", "http://gitlab.example.org/ada/engine"),
        (
            "ssh://git@gitlab.example.org:2222/a/b/engine.git",
            "https://gitlab.example.org/a/b/engine",
        ),
        ("git@gitlab.com:ada/tools/engine.git", "https://gitlab.com/ada/tools/engine"),
        ("git@codeberg.org:ada/engine.git", "https://codeberg.org/ada/engine"),
        ("https://forgejo.example.org/ada/engine.git", "https://forgejo.example.org/ada/engine"),
        ("https://gitea.example.org/ada/engine.git", "https://gitea.example.org/ada/engine"),
        # nothing that is known
        ("", ""),
        ("/srv/git/github/engine.git", ""),
        ("../engine.git", ""),
        ("file:///srv/github.com/ada/engine.git", ""),
        ("git@example.org:ada/engine.git", ""),
        ("https://notgithub.example.org/ada/engine", ""),
        ("https://github.com/engine", ""),
        ("https://github.com/ada/eng ine", ""),
        ("https://github.com/ada/engine?token=swordfish", ""),
    ],
)
def test_forge_follows_from_remote_host(remote: str, base: str) -> None:
    """A forge is known by its host, in each form that git takes; who logs in is never part of it."""
    assert repository_urls(remote).base == base
    assert repository_urls(remote).is_gitlab is ("gitlab" in base)


def test_gitea_links_use_gitea_paths() -> None:
    """Gitea's pages: the page of a tag is there without a release."""
    web = RepositoryUrls("https://codeberg.org/ada/engine", kind="gitea")

    assert web.commit("1a2b") == "https://codeberg.org/ada/engine/commit/1a2b"
    assert web.reference("#", "42") == "https://codeberg.org/ada/engine/issues/42"
    assert web.reference("!", "42") == "https://codeberg.org/ada/engine/pulls/42"
    assert web.tag("v2", "v1") == "https://codeberg.org/ada/engine/compare/v1...v2"
    assert web.tag("v2") == "https://codeberg.org/ada/engine/src/tag/v2"
    assert web.history("v2") == "https://codeberg.org/ada/engine/commits/tag/v2"
    assert web.file("a/b.md", "v2") == "https://codeberg.org/ada/engine/src/tag/v2/a/b.md"


def test_github_links_use_github_paths() -> None:
    """GitHub's pages."""
    web = RepositoryUrls(GITHUB)

    assert web.commit("1a2b") == f"{GITHUB}/commit/1a2b"
    assert web.reference("#", "42") == f"{GITHUB}/pull/42"
    assert web.reference("!", "42") == ""
    assert web.tag("v2", "core@1.0") == f"{GITHUB}/compare/core%401.0...v2"
    assert web.tag("py/core-v1") == f"{GITHUB}/releases/tag/py/core-v1"


def test_gitlab_links_use_gitlab_paths() -> None:
    """GitLab's pages."""
    web = RepositoryUrls("https://gitlab.com/ada/engine", kind="gitlab")

    assert web.commit("1a2b") == "https://gitlab.com/ada/engine/-/commit/1a2b"
    assert web.reference("#", "42") == "https://gitlab.com/ada/engine/-/issues/42"
    assert web.reference("!", "42") == "https://gitlab.com/ada/engine/-/merge_requests/42"
    assert web.tag("v2", "v1") == "https://gitlab.com/ada/engine/-/compare/v1...v2"
    assert web.tag("v2") == "https://gitlab.com/ada/engine/-/tags/v2"


@pytest.mark.parametrize(
    ("remote", "forge", "repository", "api"),
    [
        ("git@github.com-work:ada/engine.git", "auto", "ada/engine", "https://api.github.com"),
        (
            "https://github.example.org/ada/engine",
            "auto",
            "ada/engine",
            "https://github.example.org/api/v3",
        ),
        (
            "http://git.example.org:8080/ada/engine",
            "github",
            "ada/engine",
            "http://git.example.org:8080/api/v3",
        ),
        (
            "git@gitlab.com:ada/tools/engine.git",
            "auto",
            "ada/tools/engine",
            "https://gitlab.com/api/v4",
        ),
        (
            "ssh://git@git.example.org:2222/a/b.git",
            "gitlab",
            "a/b",
            "https://git.example.org/api/v4",
        ),
        (
            "https://git.example.org/forge/ada/engine.git",
            "gitea",
            "ada/engine",
            "https://git.example.org/forge/api/v1",
        ),
    ],
)
def test_forge_api_follows_from_remote(
    remote: str, forge: Literal["auto", "github", "gitlab", "gitea"], repository: str, api: str
) -> None:
    """Where the forge can be asked, and what it calls the repository."""
    web = repository_urls(remote, forge)

    assert (web.repository, web.api) == (repository, api)
    assert web.host == (urlsplit(api).hostname or "").removeprefix("api.")


def test_no_forge_gives_no_links() -> None:
    """Without a forge there are no pages."""
    assert {
        RepositoryUrls().commit("1a2b"),
        RepositoryUrls().reference("#", "42"),
        RepositoryUrls().tag("v2", "v1"),
    } == {""}
