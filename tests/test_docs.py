"""The documentation says what the program does, and all of its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from releasekit.cli.app import app
from tests.support.world import make_world
from tests.tables.blocks import BLOCKS, DOCS, ROOT, Block
from tests.tables.command_reference import documented_commands
from tests.tables.navigation import SECTIONS, pages

PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "deployments/README.md"])
REWRITE = "run `uv run python -m tests.tables --write`"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_generated_block_is_current(block: Block) -> None:
    """Each generated table is what the program says now."""
    assert block.documented() == block.generated(), REWRITE


def test_every_command_is_documented() -> None:
    """Each command has a section in the reference, and no other command has one."""
    assert documented_commands() == {name for name in app if not name.startswith("-")}


def test_every_json_schema_is_documented() -> None:
    """Each `schema` that the program prints is on the page about JSON, with its version."""
    sources = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "releasekit").rglob("*.py")
    )
    page = (DOCS / "reference/exit-codes-and-json.md").read_text(encoding="utf-8")
    assert set(re.findall(r"releasekit\.[a-z]+/\d+", page)) == set(
        re.findall(r'"(releasekit\.[a-z]+/\d+)"', sources)
    )


def test_every_page_is_in_navigation() -> None:
    """No page hides: each one is the start page or in a section of the site."""
    assert {page.partition("/")[0] for page in pages()} <= {"index.md", *SECTIONS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_page_exist(page: Path) -> None:
    """Each relative link and picture names a file of the repository, and each anchor a heading of that page."""
    broken = [
        target
        for target, file, anchor in _links(page)
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file))
    ]
    assert broken == []


def test_site_builds_without_warnings(tmp_path: Path) -> None:
    """`zensical build --strict` builds the site as it is in CI."""
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    zensical = Path(sys.executable).with_name("zensical")
    built = subprocess.run(
        [zensical, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site/reference/errors/index.html").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_page_exist(page: Path) -> None:
    """Each `releasekit` command in a code block has a command and options that the program knows."""
    for line in _commands(page):
        words = shlex.split(line, comments=True)[1:]
        command, *rest = [word for word in words if word != "…"] or ["--help"]
        assert command.startswith("-") or command in app, line
        if not command.startswith("-") and "|" not in rest:
            app.parse_args(
                [command, *rest[: _redirection(rest)]], exit_on_error=False, print_error=False
            )


def test_quick_start_works_as_pasted(tmp_path: Path) -> None:
    """The quick start of the README sets up a workspace and shows its plan; the rest of it is tested by stories."""
    world = make_world(tmp_path, "app: core; core")
    world.commit("feat: begin")
    block = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Quick start")[2]
    lines = block.partition("```bash\n")[2].partition("```")[0].splitlines()
    for program, *words in (shlex.split(line, comments=True) for line in lines):
        if program == "git":
            world.git(*words)
        elif words[0] != "publish":
            assert world.releasekit(*words).code == 0, words
    assert [line.split()[1] for line in lines] == ["init", "commit", "plan", "publish"]


def test_readme_is_short_and_tested() -> None:
    """The README stays an entrance; `.ci/run` and newcomers run its marked blocks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    assert re.findall(r"<!-- (\w+) -->\n```bash\n", text) == ["rehearse", "test"]


def _commands(page: Path) -> list[str]:
    """Return the lines of *page* that run releasekit, from its code blocks, without prompt."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    blocks = [
        token.content
        for token in tokens
        if token.type == "fence" and token.info in {"bash", "console"}
    ]
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("releasekit ")]


def _redirection(words: list[str]) -> int:
    """Return how many of *words* come before the shell's own."""
    return next((index for index, word in enumerate(words) if word in {">", "--"}), len(words))


@cache
def _anchors(page: Path) -> frozenset[str]:
    """Return the anchors of the headings of *page*, as GitHub and the site make them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    headings = [
        tokens[index + 1].content
        for index, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    )


def _links(page: Path) -> list[tuple[str, Path, str]]:
    """Return each relative link of *page*: as it is written, its file, its anchor."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    children = [child for token in tokens for child in token.children or ()]
    targets = [
        str(child.attrs[key]) for child in children for key in ("href", "src") if key in child.attrs
    ]
    relative = [target for target in targets if not re.match(r"[a-z]+:", target)]
    parted = [(target, *target.partition("#")[::2]) for target in relative]
    return [
        (target, page.parent / path if path else page, anchor) for target, path, anchor in parted
    ]
