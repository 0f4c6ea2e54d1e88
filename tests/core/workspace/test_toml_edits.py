"""Writing versions into files."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace.dynamic_version import literal_location, version_source
from releasekit.core.workspace.toml_edits import write_version, write_version_at

NEW = Version("1.3.0rc1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '# Top.\r\n[project]\r\nversion   =   "1.2"   # by hand\r\n\r\n[tool.x]\r\nversion = "1.2"\r\n',
            '# Top.\r\n[project]\r\nversion   =   "1.3.0rc1"   # by hand\r\n\r\n[tool.x]\r\nversion = "1.2"\r\n',
        ),
        (
            'project.version = "1.2"\nproject.name = "a"\n',
            'project.version = "1.3.0rc1"\nproject.name = "a"\n',
        ),
        (
            'project = { version = "1.2", name = "a" }\n',
            'project = { version = "1.3.0rc1", name = "a" }\n',
        ),
        (
            '[tool.a]\n[project]\nversion = "1.2"\n',
            '[tool.a]\n[project]\nversion = "1.3.0rc1"\n',
        ),
        ("[project]\nversion = '1.2'", "[project]\nversion = '1.3.0rc1'"),
    ],
)
def test_write_version_changes_one_value(before: str, after: str) -> None:
    """One value changes. Comments, spaces, line endings and other tables stay."""
    assert write_version(before, NEW) == after


@pytest.mark.parametrize(
    "line",
    [
        '__version__ = "{}"',
        "VERSION = '{}'  # by hand",
        '__version__: str = "v{}"',
        'MIN_VERSION = "1.2"\nVERSION="{}"',
    ],
)
def test_only_the_declared_version_changes(line: str) -> None:
    """Only the declared version changes, in all forms that hatch reads."""
    text = f'"""About 1.2."""\r\n{line}\nOTHER = "1.2"\n'
    (place,) = version_source({"tool": {"hatch": {"version": {"path": "about.py"}}}}).locations

    assert write_version_at(text.format("1.2"), place, NEW, "about.py") == text.format("1.3.0rc1")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ('__version__ = "{version}"', '# 1.2\n__version__ = "<>"  # by hand\n'),
        ("(c) {version} [x]*", "(c) <> [x]*, and (c) nobody"),
        ("{version}", "<>\n"),
        ("tag = '{version}'", "tag = 'v<>'"),
        ("version {version}", "This is version <>. It is the best."),
        (
            "[package]\nversion = '{version}'",
            "[other]\r\nversion = '1'\r\n[package]\r\nversion = '<>'\r\n",
        ),
        ("é {version} ", "é <> \udcff"),
    ],
)
@pytest.mark.parametrize("old", ["1.2", "1!2.0.0a1", "1.0.post2.dev3", "1.2.3-rc.1", "2.0+local.1"])
def test_version_pattern_is_literal_text(pattern: str, text: str, old: str) -> None:
    """A pattern is literal text around any version. Line endings stay."""
    before, after = (text.replace("<>", version) for version in (old, str(NEW)))

    assert write_version_at(before, literal_location(pattern, "x"), NEW, "x") == after


@pytest.mark.parametrize(
    ("pattern", "text", "times"),
    [
        ('V = "{version}"', "", "was not found"),
        ('V = "{version}"', "V = '1.0'", "was not found"),
        ("V = {version}", "V = one", "was not found"),
        ("V.= {version}", "V = 1", "was not found"),
        ('V = "{version}"', 'V = "1"\nW = 2\nV = "1"\n', "occurs 2 times (line 1, line 3)"),
        ("{version}", "1.0 and 2.0", "occurs 2 times (line 1, line 1)"),
        ("{version}", "python3", "was not found"),
    ],
)
def test_version_must_occur_exactly_once(pattern: str, text: str, times: str) -> None:
    """A version that occurs nowhere or twice is refused."""
    with pytest.raises(Refusal) as caught:
        write_version_at(text, literal_location(pattern, "about.py"), NEW, "src/about.py")

    assert (caught.value.code, caught.value.location) == (ErrorCode.VERSION_PLACE, "src/about.py")
    assert caught.value.message == f"the version must occur exactly once, but {times}"
