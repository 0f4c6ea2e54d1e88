"""Writes every generated block of the documentation: `uv run python -m tests.tables --write`."""

from __future__ import annotations

import sys

from tests.tables.blocks import BLOCKS, ROOT


def main(argv: list[str]) -> int:
    """Write the blocks that differ from the program, or list them; returns 1 if some differ and none is written."""
    stale = [block for block in BLOCKS if block.documented() != block.generated()]
    for block in stale:
        print(f"{block.path.relative_to(ROOT)}: {block.name}")  # noqa: T201  the answer
        if "--write" in argv:
            block.write()
    return 1 if stale and "--write" not in argv else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
