"""Open the forge (GitHub, GitLab or Gitea) that the remote is on, and find its token."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.history.web_links import repository_urls
from releasekit.integrations.http import client
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    import httpx

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.web_links import ForgeName, RepositoryUrls
    from releasekit.integrations.protocols import Forge
    from releasekit.integrations.secrets import Secrets

log = logging.getLogger("releasekit.forge")

TOKENS: dict[ForgeName, tuple[str, ...]] = {
    "github": ("GITHUB_TOKEN", "GH_TOKEN"),
    "gitlab": ("GITLAB_TOKEN", "CI_JOB_TOKEN"),
    "gitea": ("GITEA_TOKEN", "FORGEJO_TOKEN"),
}

ENTERPRISE_TOKENS = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")

_CI_URLS: dict[ForgeName, tuple[str, str]] = {
    "github": ("GITHUB_SERVER_URL", "GITHUB_API_URL"),
    "gitlab": ("CI_SERVER_URL", "CI_API_V4_URL"),
    "gitea": ("GITHUB_SERVER_URL", "GITHUB_API_URL"),
}
"""The variables in which the CI of a forge gives the address of its server, and that of its API."""


def open_forge(
    urls: RepositoryUrls,
    http_client: httpx.AsyncClient,
    *,
    api: str = "",
    env: Mapping[str, str] = os.environ,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Forge:
    """Return the forge that the repository *urls* is on; *api* is the address of its API, if not the usual one.

    *http_client* is a separate client (see `http.client`) that does not retry a 429. *env* replaces the environment.
    Raises ReleaseError RK-FORGE-UNKNOWN, RK-FORGE-NO-TOKEN.
    """
    from releasekit.integrations.gitea import Gitea
    from releasekit.integrations.github import GitHub
    from releasekit.integrations.gitlab import GitLab

    if not urls.base:
        message = "the address of the remote does not show whether it is on GitHub, GitLab or Gitea"
        raise ReleaseError(ErrorCode.FORGE_UNKNOWN, message)
    variable, token = find_token(urls, env)
    if not token:
        names = " or ".join(TOKENS[urls.kind])
        raise ReleaseError(ErrorCode.FORGE_NO_TOKEN, f"no token: {names} is not set", urls.host)
    address = (api or _api_from_ci(urls, env) or urls.api).rstrip("/")
    if urls.is_gitlab:
        return GitLab(urls, address, variable, token, http_client, sleep=sleep)
    if urls.kind == "gitea":
        return Gitea(urls, address, token, http_client, sleep=sleep)
    return GitHub(urls, address, token, http_client, sleep=sleep)


def pull_request_of_job(env: Mapping[str, str]) -> int:
    """Return the number of the pull request that this CI job runs for; 0 if there is none."""
    on_github = re.fullmatch(r"refs/pull/([0-9]+)/(?:merge|head)", env.get("GITHUB_REF", ""))
    number = on_github[1] if on_github else env.get("CI_MERGE_REQUEST_IID", "")
    return int(number) if number.isdecimal() else 0


def page_of_job(env: Mapping[str, str]) -> str:
    """Return the URL of the page of this CI job, where its artifacts are; "" if it is none."""
    on_github = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"
    if "GITHUB_RUN_ID" in env:
        return on_github.format_map(env)
    return env.get("CI_JOB_URL", "")


@asynccontextmanager
async def connect_forge(
    address: str, settings: Settings, secrets: Secrets
) -> AsyncGenerator[Forge]:
    """Open the forge that the remote at *address* is on; raises as `open_forge` does, and Refusal RK-SECRET-UNKNOWN.

    If the environment has no token, the one from *secrets* is used.
    """
    urls = repository_urls(address, settings.forge)
    env = dict(os.environ)
    names = _token_variables(urls)
    if not any(map(env.get, names)):
        for name in names:
            if token := secrets.value(name):
                env[name] = token
    async with client(pool_size=settings.http_pool_size, retry_on_429=False) as http_client:
        yield open_forge(urls, http_client, api=settings.forge_url, env=env)


def find_token(urls: RepositoryUrls, env: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that the token for the forge of *urls* comes from, and the token.

    If the environment has no token for GitHub, it comes from `gh auth token`, and the variable is "gh". An empty token
    means that there is none.
    """
    variable = next(filter(env.get, _token_variables(urls)), "")
    if variable:
        return variable, env[variable]
    if urls.kind != "github":
        return "", ""
    return "gh", _token_from_gh(urls.host, env)


def _token_variables(urls: RepositoryUrls) -> tuple[str, ...]:
    variables = TOKENS[urls.kind]
    # As in gh: a token for your own server is not for the hosted one.
    is_own_server = "/api/v3" in urls.api
    return (*ENTERPRISE_TOKENS, *variables) if is_own_server else variables


def _token_from_gh(host: str, env: Mapping[str, str]) -> str:
    argv = ("gh", "auth", "token", "--hostname", host)
    try:
        result = run(Command(argv, env=dict(env), timeout=20, ok_codes=frozenset({0, 1})))
    except ReleaseError as error:
        log.debug("no token from gh: %s", error.message)  # usually because it is not installed
        return ""
    return result.stdout.strip() if result.code == 0 else ""


def _api_from_ci(urls: RepositoryUrls, env: Mapping[str, str]) -> str:
    """Return the address of the API from the CI's variables, if the CI runs on the forge of *urls*; else empty."""
    server_variable, api_variable = _CI_URLS[urls.kind]
    server = env.get(server_variable, "")
    if not server:
        return ""
    runs_here = f"{urls.base}/".startswith(f"{server.rstrip('/')}/")
    return env.get(api_variable, "") if runs_here else ""
