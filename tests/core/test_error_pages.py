"""What `explain` and the reference say about each error."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest

from releasekit.cli.app import app
from releasekit.core.config.settings import settings_of
from releasekit.core.error_pages import PAGES, ErrorPage, find_page
from releasekit.core.errors import ErrorCode, Refusal
from tests.tables.error_reference import example_language

ROOT = Path(__file__).parents[2]
SOURCES = ("flows", "tasks", "releasekit")
WIDEST_EXAMPLE = 100
MIN_LITERAL = 8
"""Templates with fewer literal characters match anything, so they prove nothing."""


@pytest.fixture(params=ErrorCode)
def page(request: pytest.FixtureRequest) -> ErrorPage:
    """Return each page in turn."""
    return PAGES[request.param]


def test_every_code_has_one_page() -> None:
    """Each code has a page, and no page is left of a code that is gone."""
    assert set(PAGES) == set(ErrorCode)
    assert all(page.code == code for code, page in PAGES.items())


def test_causes_are_short_sentences(page: ErrorPage) -> None:
    """A page has one to four causes, in whole sentences."""
    assert 1 <= len(page.causes) <= 4
    assert all(cause.endswith((".", "`")) and len(cause) <= 250 for cause in page.causes)
    assert len(set(page.causes)) == len(page.causes)


def test_example_fits_terminal(page: ErrorPage) -> None:
    """An example has one to four lines, none of them too long."""
    lines = page.example.splitlines()
    assert 1 <= len(lines) <= 4
    assert max(map(len, lines)) <= WIDEST_EXAMPLE
    assert all(line == line.rstrip() for line in lines)


def test_example_commands_parse(page: ErrorPage) -> None:
    """Each command of releasekit in an example is one that the program accepts, unless the example shows that error."""
    lines = page.example.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("$ releasekit ") and not below.startswith("error: "):
            words = shlex.split(line.partition(" 2>")[0], comments=True)[2:]
            app.parse_args(
                [word for word in words if word != "--verbose"],
                exit_on_error=False,
                print_error=False,
            )


def test_example_configuration_is_valid(page: ErrorPage) -> None:
    """Each configuration in an example is TOML, and its settings are accepted."""
    if example_language(page.example) == "toml":
        settings_of(tomllib.loads(page.example), page.example)


def test_example_messages_are_real(page: ErrorPage) -> None:
    """Each error or warning in an example has the code of the page and a text that the program can print."""
    for code, message in re.findall(
        r"^(?:error:|warning) (RK-[A-Z-]+): (.+)$", page.example, re.MULTILINE
    ):
        assert code == page.code
        # The system's words, and git's.
        if code not in {
            ErrorCode.FILE_SYSTEM,
            ErrorCode.RELEASE_NOT_HELD,
        }:
            assert any(template.fullmatch(message) for template in _message_templates()), message


def test_links_of_pages_exist(page: ErrorPage) -> None:
    """Each link is a file of the repository; the first one leads to the heading of the code."""
    reference, *guides = page.links
    path, _, anchor = reference.partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    assert all((ROOT / guide).is_file() for guide in guides)


@pytest.mark.parametrize(
    "written",
    [
        "RK-GRAPH-CYCLE",
        "rk-graph-cycle",
        "GRAPH-CYCLE",
        "graph-cycle",
        "graph_cycle",
        " Rk_Graph_Cycle ",
    ],
)
def test_code_lookup_accepts_any_form(written: str) -> None:
    """Case, underscores and a missing prefix do not matter."""
    assert find_page(written).code is ErrorCode.GRAPH_CYCLE


@pytest.mark.parametrize("code", ErrorCode)
def test_code_is_found_without_prefix(code: ErrorCode) -> None:
    """Each code is found by the part that names the problem."""
    assert find_page(code.removeprefix("RK-").lower()).code is code


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("RK-GRAPH-CYCEL", "no error has the code RK-GRAPH-CYCEL; did you mean RK-GRAPH-CYCLE?"),
        ("graph-cycel", "no error has the code graph-cycel; did you mean RK-GRAPH-CYCLE?"),
        (
            "rk-git-mising",
            "no error has the code rk-git-mising; did you mean RK-GIT-MISSING or RK-COMMIT-MISSING?",
        ),
        ("42", "no error has the code 42"),
    ],
)
def test_unknown_code_names_similar_ones(written: str, message: str) -> None:
    """An unknown code is refused, with those most like it."""
    with pytest.raises(Refusal) as caught:
        find_page(written)

    assert (caught.value.code, caught.value.message) == (ErrorCode.UNKNOWN_CODE, message)


@cache
def _message_templates() -> tuple[re.Pattern[str], ...]:
    """Return each text of the program as a pattern: of an f-string, any value fits."""
    files = (path for room in SOURCES for path in (ROOT / room).rglob("*.py"))
    nodes = (
        node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    return tuple(filter(None, map(_template, nodes)))


def _template(node: ast.AST) -> re.Pattern[str] | None:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    literals = [
        part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else ""
        for part in parts
    ]
    if len("".join(literals)) < MIN_LITERAL:
        return None
    return re.compile("".join(re.escape(literal) or ".*" for literal in literals))
