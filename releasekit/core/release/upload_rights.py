"""What a CI job may upload: by trusted publishing, or with stored credentials."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, cast

from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.text import count_as, count_packages, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


def new_projects_refusal(new: Sequence[str], target: Target) -> Refusal | None:
    """Refuse a release that would make several *new* projects on PyPI by trusted publishing.

    PyPI makes a project for a pending publisher, and takes one of these at a time for a repository, workflow and
    environment (pypi/warehouse#16920). So the first upload would succeed, and the second would fail.
    """
    if len(new) <= 1 or not target.has_project_pages:
        return None
    message = (
        f"trusted publishing makes one new project at a time, and {count_as('project', new)} are new: "
        f"{summarize(new)}"
    )
    hint = (
        "Publish them once with a token in UV_PUBLISH_TOKEN, then add a trusted publisher to each "
        "project. Or add a pending publisher for one of them, publish it alone with --package, and go on with the next."
    )
    return Refusal(ErrorCode.INDEX_NO_PUBLISHER, message, target.title, hint)


def uncovered_refusal(token: str, names: Sequence[str], target: Target) -> Refusal | None:
    """Refuse a release whose *token* is for fewer projects of PyPI than the packages *names* that it uploads."""
    covered = count_projects(token)
    if covered is None or covered >= len(names):
        return None
    message = (
        f"trusted publishing covers {covered} of the projects, and this release uploads "
        f"{count_packages(names)}: {summarize(names)}"
    )
    return Refusal(ErrorCode.INDEX_NO_PUBLISHER, message, target.title)


def count_projects(token: str) -> int | None:
    """Return for how many projects PyPI made an upload *token*; None if the token does not say it.

    It is a macaroon in libmacaroons' binary format 2, with a caveat `[2, [project ids]]` as warehouse writes it.
    """
    _, _, text = token.partition("-")
    try:
        macaroon = _decode(text)
        caveats = [json.loads(field) for field in _caveats(macaroon)]
    except (IndexError, ValueError):
        return None
    counts = [len(caveat[1]) for caveat in caveats if _is_project_list(caveat)]
    return min(counts, default=None)


def _decode(text: str) -> bytes:
    """Return the bytes of base64 *text* without padding (RFC 4648, section 5); raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _is_project_list(caveat: object) -> bool:
    if not isinstance(caveat, list):
        return False
    parts = cast("list[object]", caveat)
    return parts[:1] == [_PROJECT_IDS] and isinstance(parts[-1], list)


_PROJECT_IDS = 2
"""The tag of warehouse's caveat that lists the projects."""


_IDENTIFIER = 2
"""The type of the field of a macaroon that has the text of a caveat, and before the first caveat its own name."""


def _caveats(macaroon: bytes) -> Iterator[bytes]:
    """Yield the texts of the caveats. A field is its type, its length and its content; 0 ends a group of fields."""
    position, groups = 1, 0
    while position < len(macaroon):
        kind, position = _read_number(macaroon, position)
        if kind == 0:
            groups += 1
            continue
        length, position = _read_number(macaroon, position)
        if kind == _IDENTIFIER and groups:
            yield macaroon[position : position + length]
        position += length


def _read_number(content: bytes, position: int) -> tuple[int, int]:
    """Return the number at *position*, seven bits in each byte, the lowest first, and the position after it."""
    value, shift = 0, 0
    while content[position] & 0x80:
        value |= (content[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return value | content[position] << shift, position + 1


def describe_job(identity: str) -> str:
    """Return what the *identity* of a CI job (a JSON web token, RFC 7519) says of it, after a comma; else nothing.

    These are the values that a trusted publisher names.
    """
    payload = identity.split(".")[1] if identity.count(".") > 1 else ""
    try:
        claims = json.loads(_decode(payload))
    except ValueError:
        return ""
    if not isinstance(claims, dict):
        return ""
    values = cast("Mapping[str, Any]", claims)
    named = [f"{title} {values[name]}" for name, title in _CLAIMS.items() if values.get(name)]
    return f"; the job has {', '.join(named)}" if named else ""


_CLAIMS = {
    "repository": "the repository",
    "project_path": "the project",
    "workflow_ref": "the workflow",
    "ci_config_ref_uri": "the pipeline file",
    "environment": "the environment",
}
"""The claims of GitHub and GitLab that PyPI compares with its publishers, and how we call them."""
