"""Draw a real terminal session: the plan of the example workspace, then a rehearsal of its release.

`uv run python -m deployments.session` runs both commands in a pseudo-terminal and draws `docs/pictures/session.svg`. It
takes about a minute. With `--check` it draws nothing, and fails if the picture is stale. `tests/test_pictures.py`
compares the part that takes no minute: the plan.

Commits and dates are not compared, because they depend on the day and on the index that uv locks from.
"""

from __future__ import annotations

import argparse
import fcntl
import html
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from examples.orchard_repository import make

PICTURE = Path(__file__).parents[1] / "docs/pictures/session.svg"
WIDTH = 100
HEIGHT = 50
PLAN = ("plan", "--offline")
REHEARSAL = ("publish", "--rehearse", "--skip-audit")
TIMEOUT = 600
"""Seconds that one command may take."""

_CONTROL = re.compile(
    r"\x1b\[(?P<parameters>[?\d;]*)(?P<command>[A-Za-z])|(?P<plain>[\r\n])|(?P<text>[^\x1b\r\n]+)"
)
_CHANGING = re.compile(r"\([0-9a-f]{1,40}(?=[)…])|\b\d{4}\.\d\d\.\d\d\b")
"""What differs between two sessions: commits and dates."""


def run_in_terminal(command: tuple[str, ...], workspace: Path) -> str:
    """Run a command of releasekit in *workspace* on a pseudo-terminal, and return every byte that it writes."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    hidden = ("RELEASEKIT_", "PREFECT_", "NO_COLOR", "COLUMNS", "LINES", "CI")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    argv = (sys.executable, "-m", "releasekit", *command)
    with subprocess.Popen(
        argv, cwd=workspace, env=env, stdin=slave, stdout=slave, stderr=slave
    ) as child:
        os.close(slave)
        written = io.BytesIO()
        try:
            while chunk := os.read(master, 1 << 16):
                written.write(chunk)
        except OSError:  # Linux reports the end of the other side as an error
            pass
        finally:
            os.close(master)
        if child.wait(TIMEOUT):
            raise SystemExit(f"{' '.join(command)} failed:\n{written.getvalue().decode()}")
    return written.getvalue().decode()


def screen_of(written: str) -> list[str]:
    """Return the lines that remain on the screen, with their colours.

    It knows what releasekit uses: colours, line ends, moving up, and erasing a whole line or the rest of the screen.
    """
    lines, row = [""], 0
    for match in _CONTROL.finditer(written):
        count = int(match["parameters"]) if (match["parameters"] or "").isdigit() else 1
        if match["text"]:
            lines[row] += match["text"]
        elif match["command"] == "m":
            lines[row] += match[0]
        elif match["plain"] == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif match["command"] == "A":
            row = max(0, row - count)
        elif match["command"] == "K":
            lines[row] = ""
        elif match["command"] == "J":
            del lines[row + 1 :]
    return lines


def session(workspace: Path, commands: tuple[tuple[str, ...], ...]) -> Text:
    """Run *commands* one after the other, and return what the terminal shows; "…" stands for lines shown before."""
    text, before = Text(), list[str]()
    for command in commands:
        text.append("$ ", "bold green").append(f"releasekit {' '.join(command)}\n", "bold")
        lines = screen_of(run_in_terminal(command, workspace))
        repeated = next(
            (
                number
                for number, pair in enumerate(zip(lines, before, strict=False))
                if pair[0] != pair[1]
            ),
            0,
        )
        text.append("…\n" if repeated else "")
        text.append(Text.from_ansi("\n".join(lines[repeated:]).strip("\n"))).append("\n\n")
        before = lines
    text.rstrip()
    return text


def draw(text: Text) -> str:
    """Return *text* as a picture of a window; the fonts are those of the reader, so that nothing is fetched."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(text)
    console.print()  # the export clips the last line by a path that it does not define
    picture = console.export_svg(title="releasekit", theme=MONOKAI, unique_id="session")
    return re.sub(r"\s*@font-face {.*?}", "", picture, flags=re.DOTALL)


def compared_lines(picture: str) -> list[str]:
    """Return the lines of text in *picture*, without what differs between two sessions."""
    rows: dict[float, list[str]] = {}
    for top, text in re.findall(
        r'<text class="session-[^"]*" x="[^"]*" y="([\d.]+)"[^>]*>([^<]*)</text>', picture
    ):
        rows.setdefault(float(top), []).append(html.unescape(text).replace("\xa0", " "))
    lines = (_CHANGING.sub("*", "".join(rows[top])) for top in sorted(rows))
    return [re.sub(r"\s+", " ", line).strip() for line in lines]


def picture_of(commands: tuple[tuple[str, ...], ...]) -> str:
    """Run *commands* in a new copy of the example workspace, and return the picture."""
    with tempfile.TemporaryDirectory(prefix="session-") as directory:
        return draw(session(make(Path(directory)), commands))


def main() -> int:
    """Draw the picture, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--check", action="store_true", help="draw nothing; fail if the picture is stale"
    )
    is_check = parser.parse_args().check
    picture = picture_of((PLAN, REHEARSAL))
    if not is_check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture)
        return 0
    is_stale = compared_lines(picture) != compared_lines(PICTURE.read_text())
    if is_stale:
        print(f"{PICTURE} is stale: run `uv run python -m deployments.session`")
    return int(is_stale)


if __name__ == "__main__":
    sys.exit(main())
