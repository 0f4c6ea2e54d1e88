"""`releasekit explain CODE`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from releasekit.cli.render.error_page import ErrorPageView
from releasekit.core.error_pages import PAGES
from releasekit.core.errors import ErrorCode
from tests.support.world import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> World:
    """Return a directory that is no workspace: `explain` needs none."""
    return World(tmp_path, tmp_path / "none.git")


def test_explain_prints_everything(directory: World) -> None:
    """Piped, it is plain text: code, meaning, causes, example, next step and links, each on a line of its own."""
    page = PAGES[ErrorCode.PIN_CONFLICT]

    printed = directory.releasekit("explain", "pin-conflict")

    lines = printed.out.splitlines()
    assert (printed.code, printed.err) == (0, "")
    assert lines[:2] == [page.code, page.info.meaning]
    assert [line for line in lines if line and not line.startswith(" ")][2:] == [
        "Causes", "Example", "What to do", "More",
    ]  # fmt: skip
    assert [line.strip() for line in lines if line.startswith("  - ")] == [
        f"- {cause}" for cause in page.causes
    ]
    assert all(
        f"  {line}" in lines for line in (*page.example.splitlines(), page.info.hint, *page.links)
    )
    assert "\x1b" not in printed.out


@pytest.mark.parametrize("code", ErrorCode)
@pytest.mark.parametrize("width", [60, 200])
def test_explanation_fits_terminal(code: ErrorCode, width: int) -> None:
    """On a terminal sentences are wrapped, at 100 columns at most."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False
    )

    console.print(ErrorPageView(PAGES[code]))

    printed = console.file
    assert isinstance(printed, io.StringIO)
    assert max(map(len, printed.getvalue().splitlines())) <= min(width, 102)


def test_explain_refuses_unknown_code(directory: World) -> None:
    """An unknown code is an error with exit code 2 that names the similar ones."""
    printed = directory.releasekit("explain", "graph-cycles")

    assert (printed.code, printed.out) == (2, "")
    assert f"error: {ErrorCode.UNKNOWN_CODE}" in printed.err
    assert "did you mean RK-GRAPH-CYCLE?" in printed.err
