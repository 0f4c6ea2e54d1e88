"""Advice for a CI job that uploads without trusted publishing."""

from __future__ import annotations

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.target import Target
from releasekit.core.release.upload_rights import (
    explain_missing_token,
    token_warning,
    trusted_publishing_setup,
)

PUBLIC = Target("https://index.example/simple/", "https://upload.index.example/legacy/", "public")
INTERNAL = Target("https://packages.example/team/simple/", "https://packages.example/team/")


@pytest.mark.parametrize(
    ("environ", "target", "step"),
    [
        ({"GITHUB_ACTIONS": "true"}, PUBLIC, "`id-token: write`"),
        ({"GITLAB_CI": "true"}, PUBLIC, "`PYPI_ID_TOKEN`"),
        ({"CI": "true"}, PUBLIC, ""),
        ({"GITHUB_ACTIONS": "true"}, INTERNAL, ""),
    ],
)
def test_token_in_ci_gets_advice(environ: dict[str, str], target: Target, step: str) -> None:
    """A stored token is a warning, and missing credentials have another hint, where the CI could give a token."""
    missing = Refusal(ErrorCode.INDEX_CREDENTIALS, "no credentials", "https://index.example")

    setup = trusted_publishing_setup(environ, target)

    assert (bool(setup), step in setup) == (bool(step), True)
    assert ("For trusted publishing" in explain_missing_token(missing, setup).hint) is bool(step)
    if setup:
        warning = str(token_warning(setup, target))
        assert warning.startswith(
            f"{ErrorCode.INDEX_STORED_TOKEN}: stored credentials upload to public (upload.index.example); "
        )
        assert step in warning


def test_other_index_errors_stay() -> None:
    """An index that does not answer needs another next step than missing credentials."""
    silent = Refusal(ErrorCode.INDEX_UNREACHABLE, "no answer", "https://index.example")

    assert explain_missing_token(silent, "give the job a token") is silent
