"""Run the proof of each key and option while the program ignores it: `python -m tests.proofs [NAME...]`.

A proof that passes all the same proves nothing. A release in another process does not ignore anything, so the proofs
in `tests/deployments` are left out, and those of options that no model of `releasekit/options.py` has. It takes half an
hour; one line for each proof, and exit code 1 if one proves nothing.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, cast

from releasekit.options import is_setting
from tests.proofs.ignored_option import models_with
from tests.stories.test_settings import COMMANDS, KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FunctionType

    from tests.stories.test_settings import Proof

_SECONDS = 180
"""The time limit of a proof: without its option, some wait for what never happens."""


def find_proofs() -> dict[tuple[str, str], None]:
    """Return what to ignore, and the test that must then fail, each pair once."""
    tables: list[tuple[str, Mapping[str, Proof | str]]] = [("key", KEYS), *COMMANDS.items()]
    proofs: dict[tuple[str, str], None] = {}
    for command, table in tables:
        for name, proof in table.items():
            is_key = command == "key" or is_setting(name)
            test = (
                proof
                if isinstance(proof, str)
                else f"{_TABLE}::{cast('FunctionType', proof).__name__}"
            )
            if (is_key or models_with(name)) and not test.startswith("tests/deployments/"):
                proofs[f"key:{name}" if is_key else name, test] = None
    return proofs


_TABLE = "tests/stories/test_settings.py"


def fails_without(option: str, test: str) -> bool:
    """Return whether *test* fails, or does not end, while the program ignores *option*."""
    plugin = ("-p", "tests.proofs.ignored_option", "--ignore-option", option)
    argv = (sys.executable, "-m", "pytest", "--quiet", "--exitfirst", *plugin, test)
    try:
        done = subprocess.run(argv, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode == 1


def main(names: list[str]) -> int:
    """Try the proofs of *names*, or all."""
    code = 0
    for option, test in find_proofs():
        if names and option.removeprefix("key:") not in names:
            continue
        fails = fails_without(option, test)
        print("fails" if fails else "PASSES", option, test, flush=True)  # noqa: T201
        code = code if fails else 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
