"""Which failures of a build are tried again."""

from __future__ import annotations

import pytest

from releasekit.core.release.build_faults import may_pass

REQUIREMENTS = "error: Failed to build `/x`\n  cause: Failed to resolve requirements from `build-system.requires`\n"
FETCH = f"{REQUIREMENTS}  cause: Failed to fetch: https://simple.example/hatchling/\n"


@pytest.mark.parametrize(
    ("output", "passes"),
    [
        (
            f"{FETCH}  cause: error sending request for url (https://simple.example/hatchling/)\n",
            True,
        ),
        (
            f"{FETCH}  cause: HTTP status server error (503 Service Unavailable) for url (https://simple.example)",
            True,
        ),
        (
            f"{FETCH}  cause: HTTP status client error (429 Too Many Requests) for url (https://simple.example)",
            True,
        ),
        (
            f"{FETCH}  cause: HTTP status client error (403 Forbidden) for url (https://simple.example)",
            False,
        ),
        (
            f"{REQUIREMENTS}  ╰─▶ Failed to download `x==1`\n  ╰─▶ error decoding response body",
            True,
        ),
        (
            f"{REQUIREMENTS}  cause: Because x was not found in the package registry and you require x, …",
            False,
        ),
        (
            "  cause: Call to `backend.build_wheel` failed\nFailed to fetch: x\nerror sending request",
            False,
        ),
        ("core.c:3: error: expected ';' before '}' token", False),
        ("", False),
    ],
)
def test_only_unanswered_requests_pass(output: str, *, passes: bool) -> None:
    """A request of uv that got no answer is tried again; a wrong build or a missing package is not."""
    assert may_pass(output) is passes
