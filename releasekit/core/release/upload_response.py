"""Classify the response of an index to an upload: is it worth another try or not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class UploadResponse:
    """The response of an index to the upload of *file*.

    *status* is the HTTP status, 0 without a response. Then *no_response* is true if the index was asked and did not
    answer, and false if uv did not ask it. The names of *headers* are in lower case.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    file: str = ""
    no_response: bool = False


class UploadOutcome(Enum):
    """What a response means for the release."""

    TRANSIENT = auto()
    """A temporary failure: the same upload may succeed later."""
    RATE_LIMITED = auto()
    """Too many requests: an upload before the time that the response names fails again."""
    NEW_PROJECT_QUOTA = auto()
    """The index takes no more new projects from this user for a long time. Existing projects still work."""
    UNAUTHORIZED = auto()
    """The credentials are missing or unknown: the index rejects the upload of every package."""
    FORBIDDEN_PROJECT = auto()
    """The credentials are valid, but may not upload to this project."""
    ALREADY_EXISTS = auto()
    """The index has a file of this name. Only its simple page shows whether the content is the same."""
    DIFFERENT_FILE = auto()
    """The index has a file of this name with another content."""
    VERSION_CLOSED = auto()
    """The version is too old: the index takes no new files for it."""
    REJECTED = auto()
    """The index rejects the file itself. Another try does not help."""


_NEW_PROJECT_QUOTA = re.compile(r"new projects?\b", re.IGNORECASE)
# PyPI rejects the name of a deleted file for ever. That file does not exist, whatever else the message says.
_ALREADY_EXISTS = re.compile(
    r"\A(?!.*(?:has already been used|previously used)).*already exists", re.IGNORECASE | re.DOTALL
)
_FORBIDDEN_PROJECT = re.compile(
    r"allowed to upload to project|not valid for project", re.IGNORECASE
)
# PyPI, since July 2026.
_VERSION_CLOSED = re.compile(r"new files to releases older than", re.IGNORECASE)
# PyPI compares what it has received with the digest that uv has sent: the file was damaged on its way.
_DAMAGED = re.compile(r"digest supplied does not match", re.IGNORECASE)
# uv, before it sends the file.
_DIFFERENT_FILE = re.compile(r"local file and index file do not match", re.IGNORECASE)
_MISSING_CREDENTIALS = re.compile(
    r"credentials|trusted publishing|password|username", re.IGNORECASE
)
_ANY_MESSAGE = re.compile("")
_TRANSIENT_STATUSES = (0, HTTPStatus.REQUEST_TIMEOUT)


def classify_response(response: UploadResponse) -> UploadOutcome:
    """Return what *response* means for the release.

    PyPI answers every rejection with status 400, so the text of the message decides there.
    """
    for statuses, pattern, outcome in _OUTCOMES:
        if response.status in statuses and pattern.search(response.message):
            return outcome
    is_refused_by_uv = response.status == 0 and not response.no_response
    if is_refused_by_uv:
        return _classify_refusal_by_uv(response.message)
    is_server_error = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if is_server_error or response.status in _TRANSIENT_STATUSES:
        return UploadOutcome.TRANSIENT
    return UploadOutcome.REJECTED


_OUTCOMES = (
    ((HTTPStatus.TOO_MANY_REQUESTS,), _NEW_PROJECT_QUOTA, UploadOutcome.NEW_PROJECT_QUOTA),
    ((HTTPStatus.TOO_MANY_REQUESTS,), _ANY_MESSAGE, UploadOutcome.RATE_LIMITED),
    ((HTTPStatus.UNAUTHORIZED,), _ANY_MESSAGE, UploadOutcome.UNAUTHORIZED),
    ((HTTPStatus.FORBIDDEN,), _FORBIDDEN_PROJECT, UploadOutcome.FORBIDDEN_PROJECT),
    ((HTTPStatus.FORBIDDEN,), _ANY_MESSAGE, UploadOutcome.UNAUTHORIZED),
    ((HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT), _ALREADY_EXISTS, UploadOutcome.ALREADY_EXISTS),
    ((HTTPStatus.BAD_REQUEST,), _VERSION_CLOSED, UploadOutcome.VERSION_CLOSED),
    ((HTTPStatus.BAD_REQUEST,), _DAMAGED, UploadOutcome.TRANSIENT),
)
"""The outcome for a status and a message. The first match counts."""


def _classify_refusal_by_uv(message: str) -> UploadOutcome:
    if _DIFFERENT_FILE.search(message):
        return UploadOutcome.DIFFERENT_FILE
    if _MISSING_CREDENTIALS.search(message):
        return UploadOutcome.UNAUTHORIZED
    return UploadOutcome.REJECTED
