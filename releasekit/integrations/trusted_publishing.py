"""Trusted publishing: an index takes the identity of a CI job for credentials, as uv asks for it.

PyPI's documentation of trusted publishers, in its part on internals, describes the requests.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlunsplit

import httpx
from pydantic import BaseModel, ValidationError

from releasekit.core.addresses import split_address
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.upload_rights import describe_job
from releasekit.integrations.process import mask, register_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_OTHER_PROTOCOLS = ("pyx.dev",)
"""Hosts of indexes for which uv has a protocol of its own."""


def speaks_other_protocol(publish_url: str) -> bool:
    """Return whether uv gets its token for uploads to *publish_url* in a way that only uv knows."""
    host = split_address(publish_url).hostname or ""
    return any(host == name or host.endswith(f".{name}") for name in _OTHER_PROTOCOLS)


async def find_audience(http: httpx.AsyncClient, publish_url: str) -> str:
    """Return for whom an identity must be made out, so that the index at *publish_url* takes it.

    Raises Refusal RK-INDEX-CREDENTIALS if the index has no trusted publishing, httpx.HTTPError.
    """
    url = _endpoint(publish_url, "audience")
    response = await http.get(url)
    if response.is_server_error:
        response.raise_for_status()
    try:
        return _Audience.model_validate_json(response.content).audience
    except ValidationError:
        message = "there are no credentials, and the index has no trusted publishing"
        raise Refusal(ErrorCode.INDEX_CREDENTIALS, message, mask(url)) from None


async def get_identity(http: httpx.AsyncClient, audience: str, environ: Mapping[str, str]) -> str:
    """Return the identity of this CI job for *audience*, from GitHub Actions or from a variable that GitLab sets.

    Raises Refusal RK-INDEX-NO-PUBLISHER if the CI gives none, httpx.HTTPError.
    """
    address = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    token = environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    if address and token:
        url = httpx.URL(address).copy_merge_params({"audience": audience})
        response = await http.get(url, headers={"Authorization": f"Bearer {token}"})
        try:
            identity = _Identity.model_validate_json(response.content).value
        except ValidationError:
            message = f"GitHub gives this job no identity for {audience} ({response.status_code})"
            raise Refusal(ErrorCode.INDEX_NO_PUBLISHER, message) from None
    else:
        variable = f"{re.sub('[^A-Z0-9]', '_', audience.upper())}_ID_TOKEN"
        identity = environ.get(variable, "")
        if not identity:
            message = f"the index wants an identity for {audience}, and {variable} is not set"
            raise Refusal(ErrorCode.INDEX_NO_PUBLISHER, message)
    register_secret(identity)
    return identity


async def mint_token(http: httpx.AsyncClient, publish_url: str, identity: str) -> str:
    """Return a token for uploads to *publish_url* that the index gives to the job with this *identity*.

    On PyPI this creates the project of a pending publisher, if there is one. Raises Refusal RK-INDEX-NO-PUBLISHER if
    the index knows no publisher like this job, httpx.HTTPError.
    """
    url = _endpoint(publish_url, "mint-token")
    response = await http.post(url, json={"token": identity})
    if response.is_server_error:
        response.raise_for_status()
    try:
        token = _Token.model_validate_json(response.content).token
    except ValidationError:
        message = (
            f"the index gives this CI job no token: {_reasons(response)}{describe_job(identity)}"
        )
        raise Refusal(ErrorCode.INDEX_NO_PUBLISHER, mask(message), mask(url)) from None
    register_secret(token)
    return token


async def burn_token(http: httpx.AsyncClient, publish_url: str, token: str) -> None:
    """Tell the index that nobody needs *token* any more. If that fails, it ends by itself: on PyPI in 15 minutes."""
    with suppress(httpx.HTTPError):
        await http.post(_endpoint(publish_url, "burn-token"), json={"token": token})


def _endpoint(publish_url: str, name: str) -> str:
    """Return an address of the protocol; uv uses https whatever the address for uploads says."""
    host = split_address(publish_url).netloc.rpartition("@")[2]
    return urlunsplit(("https", host, f"/_/oidc/{name}", "", ""))


def _reasons(response: httpx.Response) -> str:
    try:
        errors = _Refused.model_validate_json(response.content).errors
    except ValidationError:
        errors = []
    reasons = [f"{error.code}: {error.description}" for error in errors]
    return "; ".join(reasons) or f"it answers {response.status_code}"


class _Audience(BaseModel):
    audience: str


class _Identity(BaseModel):
    value: str


class _Token(BaseModel):
    token: str


class _Reason(BaseModel):
    code: str
    description: str = ""


class _Refused(BaseModel):
    errors: list[_Reason]
