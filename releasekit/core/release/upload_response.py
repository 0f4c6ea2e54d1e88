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
class Answer:
    """What an index said to the upload of *file*.

    *status* is that of HTTP, 0 if it said nothing: then *is_silence* tells whether it was asked at all. *headers* have
    names in lower case.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    file: str = ""
    is_silence: bool = False


class Meaning(Enum):
    """What an answer means for the release."""

    PASSING = auto()
    """Not now; the same upload may succeed in a moment."""
    LIMITED = auto()
    """Too much from us: nobody needs to try before the time that it names."""
    QUOTA = auto()
    """No more new projects from us for a long time; others are taken."""
    DENIED = auto()
    """It does not know us: no upload of any package would be taken."""
    DENIED_HERE = auto()
    """It knows us, and does not let us upload to this project."""
    THERE = auto()
    """It has a file of this name; with which content, only its page tells."""
    CLOSED = auto()
    """It has this version for too long to take new files for it."""
    REFUSED = auto()
    """The file itself is refused, now and later."""


_QUOTA = re.compile(r"new projects?\b", re.IGNORECASE)
_THERE = re.compile(r"already exists", re.IGNORECASE)
_HERE = re.compile(r"allowed to upload to project|not valid for project", re.IGNORECASE)
_RETIRED = re.compile(r"has already been used|previously used", re.IGNORECASE)
_CLOSED = re.compile(r"new files to releases older than", re.IGNORECASE)  # PyPI, since July 2026
_NOBODY = re.compile(r"credentials|trusted publishing|password|username", re.IGNORECASE)


def meaning_of(answer: Answer) -> Meaning:
    """Return what *answer* means; every rejection by PyPI is a 400, so there the words decide."""
    said = answer.message
    match answer.status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            meaning = Meaning.QUOTA if _QUOTA.search(said) else Meaning.LIMITED
        case HTTPStatus.UNAUTHORIZED:
            meaning = Meaning.DENIED
        case HTTPStatus.FORBIDDEN:
            meaning = Meaning.DENIED_HERE if _HERE.search(said) else Meaning.DENIED
        case HTTPStatus.BAD_REQUEST | HTTPStatus.CONFLICT if _THERE.search(said) and not _RETIRED.search(said):
            meaning = Meaning.THERE
        case HTTPStatus.BAD_REQUEST if _CLOSED.search(said):
            meaning = Meaning.CLOSED
        case 0 if not answer.is_silence:  # uv itself did not want to
            meaning = Meaning.DENIED if _NOBODY.search(said) else Meaning.REFUSED
        case status if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            meaning = Meaning.PASSING
        case _:
            meaning = Meaning.REFUSED
    return meaning


_PASSING = (0, HTTPStatus.REQUEST_TIMEOUT)
