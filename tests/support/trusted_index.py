"""An index with trusted publishing as PyPI has it, and the CI that gives a job its identity, both over https."""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.support.certificates import write_certificate
from tests.support.fault_index import FaultHandler, FaultIndex, serving

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

CI_TOKEN = "ci-request-token"
JOB = {
    "repository": "shelf/fruit",
    "workflow_ref": "shelf/fruit/.github/workflows/publish.yml@refs/heads/main",
    "environment": "pypi",
}


@dataclass
class TrustedIndex(FaultIndex):
    """The projects with a *publisher* for the job, the tokens that are *live*, and what was *asked*, in order.

    If it is not *trusting*, it has no trusted publishing. *certificate* is the file that clients must trust.
    """

    publishers: set[str] = field(default_factory=set[str])
    trusting: bool = True
    certificate: str = ""
    asked: list[str] = field(default_factory=list[str])
    minted: list[str] = field(default_factory=list[str])
    live: set[str] = field(default_factory=set[str])

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a job on GitHub that trusts this index."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/ci/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": CI_TOKEN,
            "GITHUB_ACTIONS": "true",
            "SSL_CERT_FILE": self.certificate,
        }


@contextmanager
def trusted_index(directory: Path) -> Generator[TrustedIndex]:
    """Run an index inside the block; its certificate is written to *directory*."""
    certificate, tls = write_certificate(directory)
    index = TrustedIndex(certificate=str(certificate))

    class Handler(_TrustedHandler):
        served = trusted = index

    with serving(index, Handler, tls):
        yield index


def identity(claims: dict[str, str]) -> str:
    """Return a JSON web token (RFC 7519) with *claims* that nobody has signed."""
    return f"{_encode(b'{}')}.{_encode(json.dumps(claims).encode())}.{_encode(b'signature')}"


def upload_token(projects: Sequence[str], name: bytes = b"name") -> str:
    """Return a token for *projects* as PyPI writes it: a macaroon in the binary format 2 of libmacaroons.

    Another *name* makes another token.
    """
    caveats: list[list[object]] = [[4, "publisher", {"ref": "[2]"}], [2, list(projects)], [0, 9, 1]]
    groups = [_field(1, b"pypi.example") + _field(2, name)]
    groups += [_field(2, json.dumps(caveat).encode()) for caveat in caveats]
    content = b"".join(group + b"\0" for group in groups)
    return f"pypi-{_encode(bytes([2]) + content + bytes([0]) + _field(6, bytes(32)))}"


def _field(kind: int, content: bytes) -> bytes:
    length = len(content)
    digits = bytearray()
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([kind, *digits, length]) + content


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


class _TrustedHandler(FaultHandler):
    trusted: TrustedIndex

    def do_GET(self) -> None:  # noqa: N802  the name is the library's
        """Give the job its identity, or say for whom it must be; else as an index does."""
        address = urlsplit(self.path)
        if address.path == "/ci/token":
            self.trusted.asked.append(address.path)
            allowed = self.headers.get("Authorization", "").lower() == f"bearer {CI_TOKEN}"
            claims = {**JOB, "aud": parse_qs(address.query)["audience"][0]}
            self._send(200 if allowed else 401, {"value": identity(claims)} if allowed else {})
        elif address.path == "/_/oidc/audience":
            self.trusted.asked.append(address.path)
            self._send(*((200, {"audience": "pypi"}) if self.trusted.trusting else (404, {})))
        else:
            super().do_GET()

    def do_POST(self) -> None:  # noqa: N802  the name is the library's
        """Make or end a token; else take an upload if its token covers the project."""
        if self.path.startswith("/_/oidc/"):
            self.trusted.asked.append(self.path)
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["token"]
            self._send(*(self._mint() if self.path.endswith("mint-token") else self._burn(given)))
        elif self._token() in self.trusted.live:
            super().do_POST()
        else:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(403, {"message": "Invalid or non-existent authentication information."})

    def _mint(self) -> tuple[int, dict[str, object]]:
        if not self.trusted.publishers:
            reason = "valid token, but no corresponding publisher"
            error = {"code": "invalid-publisher", "description": reason}
            return 422, {"message": "Token request failed", "errors": [error]}
        token = upload_token(sorted(self.trusted.publishers), secrets.token_bytes(8))
        self.trusted.minted.append(token)
        self.trusted.live.add(token)
        return 200, {"success": True, "token": token}

    def _burn(self, token: str) -> tuple[int, dict[str, object]]:
        self.trusted.live.discard(token)
        return 200, {}

    def _token(self) -> str:
        _, _, user = self.headers.get("Authorization", "").partition(" ")
        return b64decode(user).decode().partition(":")[2]

    def _send(self, status: int, answer: Mapping[str, object]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
