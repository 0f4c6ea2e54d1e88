"""Which forge the remote is on, and its token."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, ReleaseError
from releasekit.core.history.web_links import web_of
from releasekit.integrations.http import client
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    import httpx

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.web_links import Web
    from releasekit.integrations.protocols import Forge
    from releasekit.integrations.secrets import Secrets

log = logging.getLogger("releasekit.forge")

TOKENS = {"github": ("GITHUB_TOKEN", "GH_TOKEN"), "gitlab": ("GITLAB_TOKEN", "CI_JOB_TOKEN")}

ENTERPRISE_TOKENS = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")


def open_forge(
    web: Web,
    connections: httpx.AsyncClient,
    *,
    api: str = "",
    env: Mapping[str, str] | None = None,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Forge:
    """Return the forge that the repository *web* is on; *api* is its address, if not the usual one.

    *connections* is a client of its own (see `http.client`), which hands on a 429. *env* stands for the environment.
    Raises ReleaseError RK-FORGE-UNKNOWN, RK-FORGE-NO-TOKEN.
    """
    from releasekit.integrations.github import GitHub
    from releasekit.integrations.gitlab import GitLab

    if not web.base:
        raise ReleaseError(Code.FORGE_UNKNOWN, "the remote is on no forge that is known by its address")
    given = os.environ if env is None else env
    variable, token = token_of(web, given)
    if not token:
        wanted = " or ".join(TOKENS["gitlab" if web.is_gitlab else "github"])
        raise ReleaseError(Code.FORGE_NO_TOKEN, f"no token: {wanted} is not set", web.host)
    address = (api or _api_of_ci(web, given) or web.api).rstrip("/")
    if web.is_gitlab:
        return GitLab(web, address, variable, token, connections, pause=pause)
    return GitHub(web, address, token, connections, pause=pause)


def pull_of_job(env: Mapping[str, str]) -> int:
    """Return the number of the pull request that the CI runs this job for; 0 if it is for none."""
    on_github = re.fullmatch(r"refs/pull/([0-9]+)/(?:merge|head)", env.get("GITHUB_REF", ""))
    number = on_github[1] if on_github else env.get("CI_MERGE_REQUEST_IID", "")
    return int(number) if number.isdecimal() else 0


@asynccontextmanager
async def forge_of(address: str, settings: Settings, secrets: Secrets) -> AsyncGenerator[Forge]:
    """Open the forge that the remote at *address* is on; raises as `open_forge` does, and Refusal RK-SECRET-UNKNOWN.

    Where the environment has no token, that of *secrets* is used.
    """
    web = web_of(address, settings.forge)
    env = dict(os.environ)
    names = _names(web)
    if not any(env.get(name) for name in names):
        env |= {name: token for name in names if (token := secrets.value(name))}
    async with client(pool_size=settings.http_pool_size, heeds_limits=False) as connections:
        yield open_forge(web, connections, api=settings.forge_url, env=env)


def token_of(web: Web, env: Mapping[str, str]) -> tuple[str, str]:
    """Return the token for the forge of *web*, and the variable that it comes from; both empty if there is none.

    For GitHub, `gh auth token` is asked where the environment has none.
    """
    for name in _names(web):
        if env.get(name):
            return name, env[name]
    return ("", "") if web.is_gitlab else ("gh", _token_of_gh(web.host, env))


def _names(web: Web) -> tuple[str, ...]:
    if web.is_gitlab:
        return TOKENS["gitlab"]
    # As gh does: what somebody keeps for their own server is not for the other one.
    return (*(ENTERPRISE_TOKENS if "/api/v3" in web.api else ()), *TOKENS["github"])


def _token_of_gh(host: str, env: Mapping[str, str]) -> str:
    try:
        asked = Command(("gh", "auth", "token", "--hostname", host), env=dict(env), timeout=20, fine=frozenset({0, 1}))
        found = run(asked)
    except ReleaseError as error:
        log.debug("gh knows no token: %s", error.what)  # it is not installed, most often
        return ""
    return found.stdout.strip() if found.code == 0 else ""


def _api_of_ci(web: Web, env: Mapping[str, str]) -> str:
    """Return the API that the CI names, if it runs on the forge of *web* itself."""
    server, api = ("CI_SERVER_URL", "CI_API_V4_URL") if web.is_gitlab else ("GITHUB_SERVER_URL", "GITHUB_API_URL")
    return env.get(api, "") if env.get(server) and f"{web.base}/".startswith(f"{env[server].rstrip('/')}/") else ""
