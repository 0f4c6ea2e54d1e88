"""An attestation is sent only with the file that it attests."""

from __future__ import annotations

import json

import pytest

from releasekit.core.artifacts.attestations import attestation_problem, provenance_evidence
from tests.support.builders import attestation

NAME, DIGEST = "core-1.0.tar.gz", "ab" * 32


def test_attestation_of_file_is_accepted() -> None:
    """It names the file and its sha256; other files may be attested too."""
    assert attestation_problem(attestation((NAME, DIGEST)), NAME, DIGEST) == ""
    assert attestation_problem(attestation(("other", "0" * 64), (NAME, DIGEST)), NAME, DIGEST) == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            attestation((NAME, "0" * 64)),
            f"it attests {NAME} with sha256 {'0' * 64}, and not {NAME} with",
        ),
        (
            attestation(("core-1.1.tar.gz", DIGEST)),
            f"it attests core-1.1.tar.gz with sha256 {DIGEST}, and not",
        ),
        (attestation(), "it attests nothing, and not"),
        (
            attestation((NAME, DIGEST), version=2),
            "it is no attestation (PEP 740): ValueError('version 2 is unknown')",
        ),
        (b"{}", "it is no attestation (PEP 740): KeyError('version')"),
        (b"[]", "it is no attestation (PEP 740): TypeError"),
        (b"\xff", "it is no attestation (PEP 740): UnicodeDecodeError"),
        (
            b'{"version": 1, "envelope": {"statement": "?"}}',
            "it is no attestation (PEP 740): Error",
        ),
        (b"[" * 100_000, "it is no attestation (PEP 740): "),
    ],
    ids=range(9),
)
def test_other_attestation_is_refused(content: bytes, problem: str) -> None:
    """What attests another file, or nothing, is told with the reason."""
    assert attestation_problem(content, NAME, DIGEST).startswith(problem)


def test_provenance_names_its_publishers() -> None:
    """The provenance object of an index gives publishers, and each attestation must be one of the file."""
    statement = json.loads(attestation(("core-1.tar.gz", "1" * 64)))
    publisher = {"kind": "GitHub", "repository": "ada/engine", "workflow": "publish.yml"}
    bundle = {"publisher": publisher, "attestations": [statement]}
    content = json.dumps({"version": 1, "attestation_bundles": [bundle]}).encode()

    assert provenance_evidence(content, "core-1.tar.gz", "1" * 64) == (("GitHub ada/engine",), ())
    publishers, (problem,) = provenance_evidence(content, "core-1.tar.gz", "2" * 64)
    assert publishers == ("GitHub ada/engine",)
    assert problem.startswith("it attests core-1.tar.gz with sha256 1111")
    for broken in (b"{}", b"[]", b"no", b'{"attestation_bundles": [{}]}'):
        assert provenance_evidence(broken, "core-1.tar.gz", "")[1][0].startswith(
            "the index gives no"
        )
