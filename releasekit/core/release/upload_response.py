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
    VERSION_CLOSED = auto()
    """The version is too old: the index takes no new files for it."""
    REJECTED = auto()
    """The index rejects the file itself. Another try does not help."""


_NEW_PROJECT_QUOTA = re.compile(r"new projects?\b", re.IGNORECASE)
_ALREADY_EXISTS = re.compile(r"already exists", re.IGNORECASE)
_FORBIDDEN_PROJECT = re.compile(r"allowed to upload to project|not valid for project", re.IGNORECASE)
_REUSED_NAME = re.compile(r"has already been used|previously used", re.IGNORECASE)
_VERSION_CLOSED = re.compile(r"new files to releases older than", re.IGNORECASE)  # PyPI, since July 2026
_MISSING_CREDENTIALS = re.compile(r"credentials|trusted publishing|password|username", re.IGNORECASE)


def classify_response(response: UploadResponse) -> UploadOutcome:
    """Return what *response* means for the release.

    PyPI answers every rejection with status 400, so the text of the message decides there.
    """
    message = response.message
    match response.status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            outcome = (
                UploadOutcome.NEW_PROJECT_QUOTA if _NEW_PROJECT_QUOTA.search(message) else UploadOutcome.RATE_LIMITED
            )
        case HTTPStatus.UNAUTHORIZED:
            outcome = UploadOutcome.UNAUTHORIZED
        case HTTPStatus.FORBIDDEN:
            outcome = (
                UploadOutcome.FORBIDDEN_PROJECT if _FORBIDDEN_PROJECT.search(message) else UploadOutcome.UNAUTHORIZED
            )
        case HTTPStatus.BAD_REQUEST | HTTPStatus.CONFLICT if _ALREADY_EXISTS.search(
            message
        ) and not _REUSED_NAME.search(message):
            outcome = UploadOutcome.ALREADY_EXISTS
        case HTTPStatus.BAD_REQUEST if _VERSION_CLOSED.search(message):
            outcome = UploadOutcome.VERSION_CLOSED
        case 0 if not response.no_response:  # uv refused to upload, without asking the index
            outcome = UploadOutcome.UNAUTHORIZED if _MISSING_CREDENTIALS.search(message) else UploadOutcome.REJECTED
        case status if status in _TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            outcome = UploadOutcome.TRANSIENT
        case _:
            outcome = UploadOutcome.REJECTED
    return outcome


_TRANSIENT_STATUSES = (0, HTTPStatus.REQUEST_TIMEOUT)
