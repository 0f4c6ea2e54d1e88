"""Advice for a CI job that uploads without trusted publishing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.errors import ReleaseError
    from releasekit.core.release.target import Target

_SETUPS = {
    "GITHUB_ACTIONS": "give the job the permission `id-token: write`",
    "GITLAB_CI": "give the job an entry `PYPI_ID_TOKEN` in `id_tokens`, with `aud: pypi`",
}
"""How a job gets a token of its own, by the variable that the CI sets."""


def trusted_publishing_setup(environ: Mapping[str, str], target: Target) -> str:
    """Return how this CI job gets a token of its own for *target*; empty outside CI, or if the index takes none.

    Only PyPI and Test PyPI take tokens of a CI.
    """
    setups = (setup for variable, setup in _SETUPS.items() if environ.get(variable))
    return next(setups, "") if target.has_project_pages else ""


def token_warning(setup: str, target: Target) -> ReleaseWarning:
    """Warn that stored credentials upload to *target*, although the *setup* makes them unnecessary."""
    message = f"stored credentials upload to {target.title}; for trusted publishing, {setup}"
    return ReleaseWarning(ErrorCode.INDEX_STORED_TOKEN, message)


def explain_missing_token(error: ReleaseError, setup: str) -> ReleaseError:
    """Return *error* with the *setup* as its hint, if it says that there are no credentials and there is a setup."""
    if error.code is not ErrorCode.INDEX_CREDENTIALS or not setup:
        return error
    hint = f"For trusted publishing, {setup}, and add a trusted publisher to the project. Or set UV_PUBLISH_TOKEN."
    return Refusal(error.code, error.message, error.location, hint, error.output)
