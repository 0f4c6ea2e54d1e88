"""Trusted publishing: whether uv will get a token from the index is known before anything is built."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.upload_rights import count_projects
from releasekit.integrations import http
from releasekit.integrations.index import SimpleIndex
from releasekit.integrations.uv import find_uv
from tests.support.trusted_index import CI_TOKEN, TrustedIndex, trusted_index

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[TrustedIndex]:
    """Run an index that trusts this process as a job on GitHub; nobody has stored credentials."""
    with trusted_index(tmp_path) as index:
        index.publishers = {"core", "lone"}
        for name, value in index.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("NETRC", "UV_CREDENTIALS_DIR"):
            monkeypatch.setenv(name, os.devnull)
        yield index


def get_token(index: TrustedIndex) -> str:
    """Return the token that the index gives, as preflight asks for it."""

    async def answer() -> str:
        async with http.client(attempts=1, timeout=10) as web:
            found = SimpleIndex(index.simple_url, web)
            audience = await found.trusted_audience(index.publish_url)
            return audience and await found.try_trusted_publishing(index.publish_url, audience)

    return asyncio.run(answer())


def refusal(index: TrustedIndex) -> Refusal:
    """Return why the index gives no token."""
    with pytest.raises(Refusal) as caught:
        get_token(index)
    return caught.value


def test_token_is_asked_for_as_uv_does(
    trusted: TrustedIndex,
    built: Callable[..., tuple[Path, ...]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The requests are those of uv in their order; the token ends at once, and no log has it."""
    caplog.set_level(logging.DEBUG)
    token = get_token(trusted)
    ours, trusted.asked = trusted.asked, []

    rejected = asyncio.run(
        find_uv().publish(tmp_path, built("core")[:1], trusted.publish_url, trusted.simple_url, 60)
    )

    assert rejected is None
    assert [upload.stored for upload in trusted.uploads] == [True]
    assert ours == trusted.asked == [
        "/_/oidc/audience", "/ci/token", "/_/oidc/mint-token", "/_/oidc/burn-token",
    ]  # fmt: skip
    assert count_projects(token) == 2
    assert trusted.live == set(), "our token has ended, and uv's"
    said = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "::add-mask::***" in said, "uv has printed its token"
    assert not [secret for secret in (*trusted.minted, CI_TOKEN) if secret in said]


def test_missing_publisher_names_the_job(trusted: TrustedIndex) -> None:
    """What the index says is told with the values of the job that a publisher must have."""
    trusted.publishers.clear()

    error = refusal(trusted)

    assert error.code is ErrorCode.INDEX_NO_PUBLISHER
    assert error.message == (
        "the index gives this CI job no token: invalid-publisher: valid token, but no corresponding publisher; "
        "the job has the repository shelf/fruit, "
        "the workflow shelf/fruit/.github/workflows/publish.yml@refs/heads/main, the environment pypi"
    )


def test_index_without_trust_needs_credentials(trusted: TrustedIndex) -> None:
    """An index that has no trusted publishing is told by name, because uv would find no credentials."""
    trusted.trusting = False

    error = refusal(trusted)

    assert error.code is ErrorCode.INDEX_CREDENTIALS
    assert error.message == "there are no credentials, and the index has no trusted publishing"
    assert trusted.asked == ["/_/oidc/audience"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "expired"},
            "GitHub gives this job no identity for pypi (401)",
        ),
        (
            {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "", "TESTPYPI_ID_TOKEN": "x"},
            "the index wants an identity for pypi, and PYPI_ID_TOKEN is not set",
        ),
    ],
)
def test_job_without_identity_is_refused(
    trusted: TrustedIndex,
    changes: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A CI that gives no identity, or one for another index, is told before the index is asked for a token."""
    for name, value in changes.items():
        monkeypatch.setenv(name, value)

    error = refusal(trusted)

    assert (error.code, error.message) == (ErrorCode.INDEX_NO_PUBLISHER, message)
    assert "/_/oidc/mint-token" not in trusted.asked


def test_gitlab_identity_is_a_variable(
    trusted: TrustedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On GitLab the identity is in the variable of the audience."""
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")
    monkeypatch.setenv("PYPI_ID_TOKEN", "a.b.c")

    assert count_projects(get_token(trusted)) == 2
    assert "/ci/token" not in trusted.asked


def test_stored_credentials_ask_for_nothing(
    trusted: TrustedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where uv finds other credentials, a missing publisher stops nothing; nor where only uv knows how to ask."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert get_token(trusted) == ""

    monkeypatch.setenv("NETRC", os.devnull)
    own_protocol = TrustedIndex(url="https://api.pyx.dev")
    assert get_token(own_protocol) == ""
    assert trusted.asked == []


def test_broken_index_is_no_answer(trusted: TrustedIndex) -> None:
    """An index that does not answer is told as every index that does not."""
    trusted.url = trusted.url.rpartition(":")[0] + ":9"

    assert refusal(trusted).code is ErrorCode.INDEX_UNREACHABLE
