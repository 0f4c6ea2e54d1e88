"""What a person sees, at several widths, on a terminal and off it; `--update-golden` takes what is seen for right."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.world import World, make_world

if TYPE_CHECKING:
    from tests.conftest import Golden

ROOT = Path(__file__).parents[2]
INDEX = (
    'publish_url = "https://index.invalid/upload/"\ncheck_url = "https://index.invalid/simple/"\n'
)
PROGRAM = (sys.executable, "-m", "tests.cli.session")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make a workspace with long and short names, wide letters, reasons that are long, and one that stays home."""
    graph = "storefront: storefront-core, storefront-plugin-recommendations; storefront-core; "
    graph += (
        "storefront-plugin-recommendations: storefront-core; storefront-samples: storefront; idle"
    )
    world = make_world(tmp_path_factory.mktemp("golden"), graph)
    text = (world.root / "pyproject.toml").read_text()
    table = f'[tool.releasekit]\n{INDEX}exclude = ["storefront-samples"]\npins = "exact"\nprerelease = "rc"\n'
    world.write(
        {
            "pyproject.toml": f'{text}\n{table}umbrella_tag_format = "all-{{version}}"\nlead = "storefront-core"\n'
        }
    )
    world.commit("chore: configure")
    for name in ("storefront-core", "storefront-plugin-recommendations", "idle"):
        world.git("tag", f"{name}-v0.1.0")
    (world.root / ".git" / "info" / "exclude").write_text("before.json\n")
    (world.root / "before.json").write_text(
        world.releasekit("plan", "--offline", "--format", "json").out
    )
    titles = {
        "storefront-core": "feat(store): shelves hand fruits out one by one, and say which are ripe, 例えば林檎",
        "storefront-plugin-recommendations": "fix!: what others have bought is told to nobody, but to their friends",
    }
    for name, title in titles.items():
        world.commit(
            title, {f"packages/{name}/src/{name.replace('-', '_')}/new.py": "NEW = True\n"}
        )
    return world


def said(
    directory: Path, *words: str, width: int = 0, terminal: bool = False, colour: bool = True
) -> str:
    """Return what the session says in a window so many columns wide, or without any; without colours."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "LINES", "CI", "NO_COLOR")
    }
    env |= {} if colour else {"NO_COLOR": "1"}
    env |= {"PYTHONPATH": str(ROOT), "TERM": "xterm", "PREFECT_API_URL": ""}
    if width and not terminal:
        env["COLUMNS"] = str(width)
    if not terminal:
        done = subprocess.run(
            (*PROGRAM, *words), cwd=directory, env=env, check=True, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if words else None,
        )  # fmt: skip
        return done.stdout
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    child = subprocess.Popen(
        (*PROGRAM, *words), cwd=directory, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    heard = bytearray()
    while True:
        try:
            chunk = os.read(ours, 1 << 16)
        except OSError:  # so Linux says that nobody is at the other end any more
            break
        if not chunk:
            break
        heard += chunk
        if heard.endswith(b"[y/n] (n): "):
            os.write(ours, b"n\n")
    os.close(ours)
    assert child.wait() == 0, heard.decode()
    return heard.decode().replace("\r\n", "\n")


def stable(text: str) -> str:
    """Return *text* without what is another in every run: colours, commits, days, where uv is."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    text = re.sub(r"(?m)^  \S*/uv ", "  uv ", re.sub(r"(?m) +$", "", text))
    text = re.sub(r"\b[0-9a-f]{12}\b", "1a2b3c4d5e6f", re.sub(r"\b[0-9a-f]{7}\b", "1a2b3c4", text))
    text = re.sub(r"\(([0-9a-f]{1,6})…", lambda cut: f"({'1a2b3c'[: len(cut[1])]}…", text)
    return re.sub(r"\d{4}([.-])\d\d\1\d\d", r"2026\g<1>11\g<1>22", text)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_output_fits_the_terminal(world: World, golden: Golden, width: int) -> None:
    """On a terminal nothing is wider than it, and of the tables nothing is cut but reasons."""
    text = stable(said(world.root, width=width, terminal=True))

    golden(f"terminal-{width}.txt", text)


@pytest.mark.parametrize("width", [0, 60])
def test_piped_output_follows_columns(world: World, golden: Golden, width: int) -> None:
    """What is read by a program is as wide as it is, unless COLUMNS says how wide it may be."""
    golden(f"piped-{width or 'wide'}.txt", stable(said(world.root, width=width)))


FILES = {
    "key": '[tool.releasekit]\ntag_fromat = "{name}@{version}"  # as npm has it\n',
    "value": "[tool.releasekit]\npush = true\nconcurrency = 0  # none\n",
    "item": '[tool.releasekit]\nchangelog_exclude = [\n    "typo",\n    "(oops",\n]\n',
    "table": '[tool.releasekit.types]\nfeat = "minor"\ndocs = "tiny"\n',
    "long": "[tool.releasekit]\n"
    'groups.web = { packages = ["storefront", "storefront-core", "storefront-samples"], versioning = "toghether" }\n',
    "toml": '[tool.releasekit]\ntag_format = "{name}@{version}\n',
    "inline": "[tool.releasekit]\nbump = [{ path = 'a.py', patern = '{version}' }]\n",
    "requirement": "",
}
"""What stands in a pyproject.toml of each directory beside its project."""


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with a workspace for each mistake."""
    directory = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        needs = ["six>=1", "idna >>> 3"] if name == "requirement" else []
        place = directory / name
        place.mkdir()
        project = f'[project]\nname = "{name}"\nversion = "1"\ndependencies = {json.dumps(needs)}\n'
        (place / "pyproject.toml").write_text(f"{project}\n{text}")
    return directory


@pytest.mark.parametrize("width", [60, 80, 200])
def test_error_shows_line_and_caret(mistakes: Path, golden: Golden, width: int) -> None:
    """An error has its code, the line with a caret below what is meant, a reason and a next step, at any width."""
    text = said(mistakes, "mistakes", width=width, terminal=True)

    assert "\x1b[1;31merror\x1b[0m" in text
    golden(f"mistakes-{width}.txt", stable(text))


def test_piped_errors_are_not_wrapped(mistakes: Path, golden: Golden) -> None:
    """Off a terminal nothing is wrapped, so that it can be searched for; and no colour is in it."""
    text = said(mistakes, "mistakes")

    assert "\x1b" not in text
    golden("mistakes-piped.txt", stable(text))


def test_colour_can_be_turned_off(mistakes: Path) -> None:
    """On a terminal NO_COLOR and --no-color are respected."""
    for words, colour in ((("mistakes",), False), (("mistakes", "--no-color"), True)):
        text = said(mistakes, *words, width=80, terminal=True, colour=colour)
        assert "error" in text
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)
