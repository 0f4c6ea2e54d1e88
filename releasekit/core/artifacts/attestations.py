"""Checks that an attestation belongs to the file beside it. The index checks the signature."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTESTATION = ".publish.attestation"
"""The suffix that `uv publish` expects for the attestation of a file (PEP 740)."""


def attestation_problem(content: bytes, name: str, sha256: str) -> str:
    """Return why *content* is no attestation (PEP 740) of the file *name* with this *sha256*; empty if it is one."""
    try:
        statement = _statement_of(json.loads(content))
        subjects = [
            (str(subject["name"]), str(subject["digest"]["sha256"]))
            for subject in statement["subject"]
        ]
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        return f"it is no attestation (PEP 740): {error!r}"
    if (name, sha256) in subjects:
        return ""
    others = ", ".join(f"{other} with sha256 {digest}" for other, digest in subjects) or "nothing"
    return f"it attests {others}, and not {name} with sha256 {sha256}"


def provenance_evidence(
    content: bytes, name: str, sha256: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the publishers that a provenance object of an index (PEP 740) names, and its problems.

    A problem is an attestation that is not one of the file *name* with this *sha256*.
    """
    try:
        bundles = json.loads(content)["attestation_bundles"]
        publishers = tuple(_publisher_name(bundle["publisher"]) for bundle in bundles)
        attestations = [item for bundle in bundles for item in bundle["attestations"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return (), (f"the index gives no provenance object (PEP 740): {error!r}",)
    texts = (json.dumps(attestation).encode() for attestation in attestations)
    problems = (attestation_problem(text, name, sha256) for text in texts)
    return publishers, tuple(filter(None, problems))


def _publisher_name(publisher: Mapping[str, Any]) -> str:
    """Return the identity that an index has verified: the kind of CI, and the repository if it has one."""
    parts = (publisher["kind"], publisher.get("repository", ""))
    return " ".join(str(part) for part in parts if part)


def _statement_of(attestation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the in-toto statement in *attestation*; raises ValueError, KeyError or TypeError if there is none."""
    if attestation["version"] != 1:
        message = f"version {attestation['version']} is unknown"
        raise ValueError(message)
    encoded = cast("str", attestation["envelope"]["statement"])
    return cast("Mapping[str, Any]", json.loads(b64decode(encoded, validate=True)))
