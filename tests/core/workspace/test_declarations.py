"""What a pyproject.toml of any time declares."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from releasekit.core.workspace.declarations import project_name

TEXTS = {
    '[project]\nname = "Core_A"\n': "core-a",
    "[project] # it\n\nversion = '1'\nname='core.b' # hers\n[tool.x]\nname = 'no'\n": "core-b",
    'name = "no"\n[tool.x]\nname = "no"\n': "",
    'project = { name = "inline" }\n': "inline",
    'project.name = "dotted"\n': "dotted",
    '[project]\n"name" = "quoted"\n': "quoted",
    '[project]\ndescription = """\nname = "no"\n"""\nname = "core"\n': "core",
    "[project]\ndescription = '''\nname = \"no\"\n'''\nname = \"core\"\n": "core",
    '[project]\nauthors = [\n  { name = "Ada" },\n]\nname = "core"\n': "core",
    '[[project]]\nname = "no"\n': "",
    '[project]\nname = "core"\r\n[tool.x]\r\n': "core",
    "[project]\nname = 7\n": "7",
    '[ project ]\nname = "spaced"\n': "spaced",
    "": "",
    "[project\n": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_name_of_project_is_found(text: str) -> None:
    """However the name is written, it is the one that a parser of TOML finds."""
    assert project_name(text) == TEXTS[text]


LINES = st.sampled_from(
    [
        "[project]", "[project.scripts]", "[tool.x]", 'name = "a"', "name = 'b'", 'name = "c" # d', "x = 1", "",
        "# name", 'y = """', '"""', "z = [", "]", '  name = "e"', 'names = "f"', 'name.x = "g"', "[[t]]",
    ]
)  # fmt: skip


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_quick_reading_equals_parsing(text: str) -> None:
    """The name is the one that a parser finds, if it finds that the text is TOML."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    project = document.get("project", {})
    name = project.get("name", "")

    assert project_name(text) == canonicalize_name(str(name))
