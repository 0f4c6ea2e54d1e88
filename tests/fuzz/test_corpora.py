"""What a fuzzer begins with, and what it has found: every parser reads it, in time, without a library's exception."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.parsers import PARSERS, run_parser

CORPUS = Path(__file__).with_name("corpus")
INPUTS = sorted(path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=str)
def test_corpus_is_read_without_fault(path: Path) -> None:
    """A parser returns, or raises an error of ours; so it does if the input is cut, or repeated."""
    content = (CORPUS / path).read_bytes()

    for changed in (content, content[: len(content) // 2], content[1:], content * 20):
        run_parser(path.parts[0], changed)


def test_every_parser_has_a_corpus() -> None:
    """Each parser of foreign bytes has a directory with something that it can read, and there is no other directory."""
    assert {path.name for path in CORPUS.iterdir()} == set(PARSERS)
    for name in PARSERS:
        errors = [
            run_parser(name, path.read_bytes()).error for path in (CORPUS / name).glob("seed-*")
        ]
        assert None in errors, (name, errors)
