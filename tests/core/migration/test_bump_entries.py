"""Files in which another tool raises the version: they become entries of `bump`, or are left out aloud."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.migration.bump_entries import with_bump
from releasekit.core.migration.foreign_setup import ForeignSetup, ForeignTool, Places
from releasekit.core.migration.foreign_tools import read_foreign
from releasekit.core.workspace.workspace import Member, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

CORE = Member(
    name="shop-core",
    raw_name="shop-core",
    path="packages/core",
    version=Version("1.2.0"),
    dynamic=True,
    publishable=True,
    needs=(),
    version_file="src/core/about.py",
)
WORKSPACE = Workspace.of([CORE])
PLACES = Places({CORE.path: CORE.name})


def take_over(
    tool: ForeignTool, texts: Mapping[str, str], files: Mapping[str, str]
) -> ForeignSetup:
    """Return what *tool* says in *texts* about a workspace whose package has *files*."""
    setup = read_foreign(tool, texts, PLACES)
    return with_bump(
        setup, {file: files.get(file.path, "") for file in setup.version_files}, WORKSPACE
    )


def bump(setup: ForeignSetup) -> list[tuple[str, str]]:
    """Return path and pattern of each entry of `bump`."""
    keys = {key.name: key.value for key in setup.member_keys.get(CORE.name, ())}
    entries: Any = keys.get("bump", [])
    return [(entry["path"], entry["pattern"]) for entry in entries]


def left_out(setup: ForeignSetup) -> list[str]:
    """Return what is not taken over."""
    return [left.what for left in setup.not_taken_over]


def release_please(*extra_files: object, package: str = CORE.path) -> dict[str, str]:
    """Return the configuration of release-please with these files."""
    config = {"packages": {package: {"extra-files": extra_files}}}
    return {"release-please-config.json": json.dumps(config)}


BLOCK = """\
# x-release-please-start-version
NAME = "core"
MAIN = "1.2.0"
AGENT = "core/1.2.0 (python)"
# x-release-please-end
MINIMUM = "1.2.0"
"""
JSON = '{\n  "name": "core",\n  "version": "1.2.0",\n  "requires": {"web": "1.2.0"}\n}\n'


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ('__version__ = "1.2.0"  # x-release-please-version\n', ['__version__ = "{version}"']),
        ("__version__: str = '1.2.0'  # x-release-please-version\n", ["__version__: str = '{version}'"]),
        (
            'A = "1.2.0"\nB = "1.2.0"  # x-release-please-version\n',
            ['B = "{version}"'],
        ),
        (
            "image: core:v1.2.0 # x-release-please-version\n",
            ["image: core:v{version}"],
        ),
        (BLOCK, ['MAIN = "{version}"', 'AGENT = "core/{version}']),
        (JSON, ['"version": "{version}"']),
        ("version: 1.2.0\n", ["version: {version}"]),
    ],
    ids=["comment", "annotation", "one-of-two", "no-quotes", "block", "json", "yaml"],
)  # fmt: skip
def test_marked_lines_become_patterns(text: str, patterns: list[str]) -> None:
    """The text around the version is as short as it is unique, so a marker comment can be removed later."""
    setup = take_over("release-please", release_please("src/a"), {"src/a": text})

    assert bump(setup) == [("src/a", pattern) for pattern in patterns]
    assert left_out(setup) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "VERSION = 2\n",
        '__version__ = "1.1.0"  # x-release-please-version\n',
        'A = "1.2.0"  # x-release-please-version\nM = 1  # x-release-please-major\n',
        'A = ("1.2.0", "1.2.0")  # x-release-please-version\n',
        'A = "1.2.0"  # x-release-please-version\n' * 2,
        'F = "{version} 1.2.0"  # x-release-please-version\n',
        'A = "J\udcfcrgen 1.2.0"  # x-release-please-version\n',
        "# x-release-please-start-version\n" + 'A = "1.2.0"\n' * 5000,
    ],
    ids=["none", "no-mark", "older", "major", "twice", "repeated", "template", "latin-1", "many"],
)
def test_file_without_sure_pattern_is_left_out(text: str) -> None:
    """A file that `bump` would not change as the other tool did is named, and nothing is written for it."""
    setup = take_over("release-please", release_please("src/a"), {"src/a": text})

    assert bump(setup) == []
    assert left_out(setup) == ["extra-files: src/a of packages/core"]
    assert "releasekit check --fix" in setup.not_taken_over[0].advice


def test_key_of_json_path_finds_line() -> None:
    """An entry with a JSONPath means the line with its last key; a path that begins with / begins at the root."""
    entries = (
        {"type": "json", "path": "/packages/core/server.json", "jsonpath": "$.meta.release"},
        {"type": "toml", "path": "/uv.lock", "jsonpath": "$.package[?(@.name=='core')].version"},
        {"type": "toml", "path": "pyproject.toml", "jsonpath": "$.project.version"},
        {"type": "xml", "path": "pom.xml", "xpath": "//version"},
        "/README.md",
        "src/core/about.py",
    )
    files = {
        "server.json": '{"meta": {\n"release": "1.2.0",\n"version": "1.2.0"}}',
        "pom.xml": "<version>1.2.0</version>",
        "src/core/about.py": "VERSION = '1.2.0'  # x-release-please-version",
    }

    setup = take_over("release-please", release_please(*entries), files)

    assert bump(setup) == [("server.json", '"release": "{version}"')]
    assert left_out(setup) == [
        "extra-files: pom.xml of packages/core",
        "extra-files: /README.md of packages/core",
    ]


def test_root_that_is_no_member_names_files_of_members() -> None:
    """One package at the root may have the versions of all: its files belong to the members that contain them."""
    texts = release_please("packages/core/src/version.py", "../outside.py", package=".")
    files = {"src/version.py": '__version__ = "1.2.0"  # x-release-please-version\n'}

    setup = take_over("release-please", texts, files)

    assert bump(setup) == [("src/version.py", '__version__ = "{version}"')]
    assert left_out(setup) == ['packages: "."', "extra-files: ../outside.py of ."]


def test_semantic_release_variables_become_patterns() -> None:
    """`version_variables` and `version_toml` name a key; a value may have the form of a tag."""
    table = """
[tool.semantic_release]
version_toml = ["pyproject.toml:project.version", "core.toml:tool.core.release"]
version_variables = ["src/a.py:__version__", "conf.py:release:tf", "uv.lock:version"]
version_variable = "old.yaml:version"
"""
    files = {
        "core.toml": '[tool.core]\nname = "core"\nrelease = "1.2.0"\n',
        "src/a.py": 'API = "1.2.0"\n__version__ = "1.2.0"\n',
        "conf.py": 'release = "core-v1.2.0"\n',
        "old.yaml": "version: 1.2.0\napi-version: 1.2.0\n",
    }

    setup = take_over(
        "python-semantic-release", {"packages/core/pyproject.toml": table}, files
    )  # fmt: skip

    assert bump(setup) == [
        ("core.toml", 'release = "{version}"'),
        ("src/a.py", '__version__ = "{version}"'),
        ("conf.py", 'release = "core-v{version}"'),
    ]
    assert left_out(setup) == [
        "version_variable: old.yaml:version in packages/core/pyproject.toml",
    ]


def test_commitizen_files_become_patterns() -> None:
    """`version_files` name a file, or also a pattern for the line; lines without the version do not matter."""
    table = """
[tool.commitizen]
version = "1.2.0"
version_files = ["src/a.py:^__version__", "pyproject.toml:version", "README.md", "docs/*.md"]
"""
    files = {
        "src/a.py": '"""Version."""\n__version__ = "1.2.0"\nAPI = "1.2.0"\n',
        "README.md": "# Core\n\n    pip install core==1.2.0\n\nPython 3.11\n",
    }

    setup = take_over("commitizen", {"packages/core/pyproject.toml": table}, files)

    assert bump(setup) == [
        ("src/a.py", '__version__ = "{version}"'),
        ("README.md", "pip install core=={version}"),
    ]
    assert left_out(setup) == ["version_files: docs/*.md in packages/core/pyproject.toml"]


def test_broken_pattern_of_commitizen_is_refused() -> None:
    """A pattern that is no regular expression is refused with the file that has it."""
    table = '[tool.commitizen]\nversion_files = ["src/a.py:("]\n'

    with pytest.raises(Refusal) as refusal:
        take_over("commitizen", {"packages/core/pyproject.toml": table}, {"src/a.py": "1.2.0"})

    assert refusal.value.code is ErrorCode.CONFIG_INVALID_VALUE
    assert refusal.value.location == "packages/core/pyproject.toml"


def test_bump_my_version_files_become_patterns() -> None:
    """A plain search text becomes the line around it, or stays as it is if it has several lines."""
    table = """
[tool.bumpversion]
current_version = "1.2.0"
[[tool.bumpversion.files]]
filename = "src/a.py"
search = "VERSION = '{current_version}'"
[[tool.bumpversion.files]]
filename = "README.md"
[[tool.bumpversion.files]]
filename = "server.json"
search = "\\"core\\",\\n  \\"version\\": \\"{current_version}\\""
[[tool.bumpversion.files]]
filename = "b.py"
regex = true
search = "^VERSION = {current_version}"
[[tool.bumpversion.files]]
glob = "docs/*.md"
[[tool.bumpversion.files]]
filename = "pyproject.toml"
"""
    files = {
        "src/a.py": "VERSION = '1.2.0'\n",
        "README.md": "Install core==1.2.0 or web==1.2.0.\n",
        "server.json": JSON,
        "b.py": "VERSION = 1.2.0\n",
    }

    setup = take_over("bump-my-version", {"packages/core/pyproject.toml": table}, files)

    assert bump(setup) == [
        ("src/a.py", "VERSION = '{version}'"),
        ("server.json", '"core",\n  "version": "{version}"'),
    ]
    place = "in packages/core/pyproject.toml"
    assert left_out(setup) == [
        f"files: README.md {place}",
        f"files: b.py {place}",
        f"files: docs/*.md {place}",
    ]
