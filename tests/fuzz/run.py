"""Let atheris look for bytes that a parser cannot read.

`uv run --with atheris python -m tests.fuzz.run commit -max_total_time=60` runs one parser, with options of libFuzzer.
It begins with the corpus of the parser, and keeps what else it finds interesting in a directory for temporary files. An
input that breaks the parser is written to `crash-…`: correct the parser, and move the file into the corpus, where
`test_corpora.py` reads it from then on.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir

CORPUS = Path(__file__).with_name("corpus")


def main() -> None:
    """Run the fuzzer for the parser that the first argument names."""
    atheris = import_module("atheris")
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["releasekit"]):
        parsers = import_module("tests.fuzz.parsers")
    found = Path(gettempdir(), "releasekit-fuzz", name)
    found.mkdir(parents=True, exist_ok=True)
    directories = [str(found), str(CORPUS / name)]

    def read(content: bytes) -> None:
        parsers.run_parser(name, content)

    atheris.Setup([*sys.argv, *directories], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
