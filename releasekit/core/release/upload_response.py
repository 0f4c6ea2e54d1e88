"""What an index's answer to an upload means: which is tried again, and which never."""

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
    """What an index said to the upload of *file*.

    *status* is that of HTTP, 0 if it said nothing: then *no_response* tells whether it was asked at all. *headers* have
    names in lower case.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    file: str = ""
    no_response: bool = False


class UploadOutcome(Enum):
    """What an answer means for the release."""

    TRANSIENT = auto()
    """Not now; the same upload may succeed in a moment."""
    RATE_LIMITED = auto()
    """Too much from us: nobody needs to try before the time that it names."""
    NEW_PROJECT_QUOTA = auto()
    """No more new projects from us for a long time; others are taken."""
    UNAUTHORIZED = auto()
    """It does not know us: no upload of any package would be taken."""
    FORBIDDEN_PROJECT = auto()
    """It knows us, and does not let us upload to this project."""
    ALREADY_EXISTS = auto()
    """It has a file of this name; with which content, only its page tells."""
    VERSION_CLOSED = auto()
    """It has this version for too long to take new files for it."""
    REJECTED = auto()
    """The file itself is refused, now and later."""


_NEW_PROJECT_QUOTA = re.compile(r"new projects?\b", re.IGNORECASE)
_ALREADY_EXISTS = re.compile(r"already exists", re.IGNORECASE)
_FORBIDDEN_PROJECT = re.compile(r"allowed to upload to project|not valid for project", re.IGNORECASE)
_REUSED_NAME = re.compile(r"has already been used|previously used", re.IGNORECASE)
_VERSION_CLOSED = re.compile(r"new files to releases older than", re.IGNORECASE)  # PyPI, since July 2026
_MISSING_CREDENTIALS = re.compile(r"credentials|trusted publishing|password|username", re.IGNORECASE)


def classify_response(response: UploadResponse) -> UploadOutcome:
    """Return what *response* means; every rejection by PyPI is a 400, so there the words decide."""
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
        case 0 if not response.no_response:  # uv itself did not want to
            outcome = UploadOutcome.UNAUTHORIZED if _MISSING_CREDENTIALS.search(message) else UploadOutcome.REJECTED
        case status if status in _TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            outcome = UploadOutcome.TRANSIENT
        case _:
            outcome = UploadOutcome.REJECTED
    return outcome


_TRANSIENT_STATUSES = (0, HTTPStatus.REQUEST_TIMEOUT)
