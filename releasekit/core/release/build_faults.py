"""Which failures of a build may pass: only those of uv's own requests, never those of the code that is built."""

from __future__ import annotations

import re

# uv lists the causes of an error, the first one last. The lines of a build backend have no such mark.
_REQUEST = re.compile(r"^\s*(?:cause:|[├╰]─▶) Failed to (?:fetch|download)\b", re.MULTILINE)
_NO_ANSWER = re.compile(
    r"error sending request|HTTP status server error|HTTP status client error \(429"
    r"|error decoding response body|request or response body error|operation timed out"
)


def may_pass(output: str) -> bool:
    """Return whether uv failed in the *output* of a build because an index or the network did not answer.

    A compiler that fails, or a package that does not exist, fails again.
    """
    request = _REQUEST.search(output)
    return request is not None and _NO_ANSWER.search(output, request.end()) is not None
