"""The forms in which a secret can appear in a log: as it is, and as programs encode it."""

from __future__ import annotations

import base64
import html
import json
import shlex
from urllib.parse import quote, quote_plus

_SHORTEST = 4
"""The length of the shortest secret that is masked; shorter ones would mask ordinary words."""
_SHORTEST_BASE64 = 8
"""The same for a part of a base64 text."""
_SHORTEST_LINE = 16
"""The same for a line of a secret with several lines, such as a key."""


def secret_forms(secret: str) -> frozenset[str]:
    """Return the forms of *secret* that must not appear in any output; empty if it is too short."""
    if len(secret) < _SHORTEST:
        return frozenset()
    forms = {
        secret,
        secret.strip(),
        *_base64_forms(secret),
        *_percent_forms(secret),
        *_quoted_forms(secret),
    }
    forms |= {line for line in secret.splitlines() if len(line) >= _SHORTEST_LINE}
    return frozenset(form for form in forms if len(form) >= _SHORTEST)


def _base64_forms(secret: str) -> set[str]:
    """Return the parts of base64 texts that contain *secret*, whatever is before and behind it.

    Three bytes become four characters. So the secret has one of three forms, as in the base64 of "user:secret". The
    characters at its ends that depend on its neighbours are left out.
    """
    raw = secret.encode("utf-8", "surrogateescape")
    forms: set[str] = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        first = (before * 8 + 5) // 6
        last = (before + len(raw)) * 8 // 6
        part = encoded[first:last]
        if len(part) >= _SHORTEST_BASE64:
            forms |= {part, part.replace("+", "-").replace("/", "_")}
    return forms


def _percent_forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    forms = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    return forms | {_lower_escapes(form) for form in forms}


def _lower_escapes(quoted: str) -> str:
    first, *others = quoted.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in others)])


def _quoted_forms(secret: str) -> set[str]:
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    in_html = {html.escape(secret), html.escape(secret, quote=False)}
    return {*in_json, *in_html, repr(secret)[1:-1], shlex.quote(secret)}
