"""The server through which uploads reach the throwaway index: it leaves out what that index refuses and PyPI accepts.

peryx compares each field of an upload with the METADATA of the file. uv sends the lines of a license text as one line,
so peryx refuses each package whose License field has several lines. PyPI does not compare them. peryx also refuses a
field that appears too often, such as one for each of many extras. It reads what it serves from the file.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

log = logging.getLogger("releasekit.detail")

_LEFT_OUT = b"license"
_MAX_REPEATS = 64
_FIELD_NAME = re.compile(rb'[; ]name="([^"]*)"')
_OF_ONE_CONNECTION = frozenset({"host", "connection", "content-length", "transfer-encoding"})


@contextmanager
def relay_uploads(address: str) -> Generator[str]:
    """Pass requests on to the server at *address*, "host:port", inside the block; yields its own address."""
    handler = type("_HandlerOfOneServer", (_Handler,), {"target": address})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = Thread(
            target=server.serve_forever, args=(0.01,), name="relay-uploads", daemon=True
        )
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def without_refused_fields(body: bytes, content_type: str) -> bytes:
    """Return the form *body* without the fields that peryx refuses and PyPI accepts; any other body as it is."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        return body
    delimiter = b"--" + boundary.encode()
    fields = body.split(delimiter)
    names = list(map(_name_of, fields))
    repeated = {name for name, count in Counter(names).items() if name and count > _MAX_REPEATS}
    refused = {_LEFT_OUT, *repeated}
    return delimiter.join(
        field for field, name in zip(fields, names, strict=True) if name not in refused
    )


def _name_of(field: bytes) -> bytes:
    """Return the name of a *field* of a form, empty for what is before the first one and after the last one."""
    header, _, _ = field.partition(b"\r\n\r\n")
    found = _FIELD_NAME.search(header)
    return found[1] if found else b""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  of the base class
        """Ignore a client that goes away, such as a release that is killed."""
        log.debug("an upload broke off")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target = ""

    def _relay(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError(self.path)  # the client has gone away
        body = without_refused_fields(body, self.headers.get("Content-Type", ""))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _OF_ONE_CONNECTION
        }
        connection = HTTPConnection(self.target)
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        except OSError:
            self.close_connection = True  # as a server does that has stopped
            return
        finally:
            connection.close()
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _relay  # noqa: N815  the names that http.server looks for
