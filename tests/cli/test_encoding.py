"""What is printed where the encoding lacks some of our characters."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from releasekit.cli.render.encoding import ascii_json, plain_text
from releasekit.integrations.process import Command, run
from tests.support.world import make_world

if TYPE_CHECKING:
    from pathlib import Path

POSIX = {"LC_ALL": "POSIX", "LANG": None, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, POSIX], ids=str
)
def test_any_encoding_shows_plan(tmp_path: Path, env: dict[str, str | None]) -> None:
    """Tables keep their columns, Markdown its words, and JSON every character, in an escape."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    world.commit("feat: naïve ✨ pear → apple", {"packages/core/src/core/more.py": ""})

    def output_of(output_format: str) -> str:
        argv = (
            sys.executable,
            "-m",
            "releasekit",
            "plan",
            "--offline",
            "--format",
            output_format,
        )
        return run(Command(argv, world.root, env)).stdout

    table, markdown, plan = map(output_of, ("table", "markdown", "json"))

    header, row = table.splitlines()[1:3]
    assert header.index("Package") == row.index("core")
    assert "core" in markdown
    assert "naïve ✨ pear → apple" in json.dumps(json.loads(plan), ensure_ascii=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_replaced(closed: str) -> None:
    """A stream that a service manager closes is empty, also for programs that are started: no file gets its number."""
    code = (
        "import os, subprocess, sys; from releasekit.cli.render.encoding import adapt_streams; adapt_streams(); "
        "assert not sys.stdin.isatty(); print('out'); print('err', file=sys.stderr); sys.stdout.flush(); "
        "new = os.open(os.devnull, os.O_RDONLY); child = subprocess.run(['sh', '-c', 'true <&0 >&1 2>&2']); "
        "os._exit(child.returncode or (new < 3))"
    )
    command = Command(("sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code))

    run(command)


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("é", "e"),
        ("ﬁ", "fi"),
        ("→", "->"),
        ("╭", "+"),
        ("📦", "  "),
        ("⚠", " "),
        ("\ufe0f", ""),
        ("ж", "?"),
        ("漢", "??"),
    ],
)
def test_character_keeps_its_width(character: str, expected: str) -> None:
    """A symbol becomes as many spaces as it is wide, and a letter the one below its accent."""
    assert plain_text(character) == expected


def test_json_escapes_are_read_back() -> None:
    """Also a character beyond the first 65,536 is the same again when JSON is read."""
    text = json.dumps({"naïve": "📦 → \U0010ffff"}, ensure_ascii=False)

    assert ascii_json(text).isascii()
    assert json.loads(ascii_json(text)) == json.loads(text)
