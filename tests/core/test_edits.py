"""Writing versions into files."""

from __future__ import annotations

import pytest
from packaging.version import Version

from tasks.core.edits import write_pattern, write_version
from tasks.core.errors import Code, ReleaseError
from tasks.core.workspace import version_pattern

NEW = Version("1.3.0rc1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '# Top.\r\n[project]\r\nversion   =   "1.2"   # by hand\r\n\r\n[tool.x]\r\nversion = "1.2"\r\n',
            '# Top.\r\n[project]\r\nversion   =   "1.3.0rc1"   # by hand\r\n\r\n[tool.x]\r\nversion = "1.2"\r\n',
        ),
        ('project.version = "1.2"\nproject.name = "a"\n', 'project.version = "1.3.0rc1"\nproject.name = "a"\n'),
        ('project = { version = "1.2", name = "a" }\n', 'project = { version = "1.3.0rc1", name = "a" }\n'),
        (
            '[tool.a]\n[project]\nversion = "1.2"\n',
            '[tool.a]\n[project]\nversion = "1.3.0rc1"\n',
        ),
        ("[project]\nversion = '1.2'", '[project]\nversion = "1.3.0rc1"'),
    ],
)
def test_write_version(before: str, after: str) -> None:
    """One value changes; comments, spaces, line ends and other tables stay."""
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
def test_write_pattern(line: str) -> None:
    """Only the version changes where a file declares it, in the forms that hatch reads."""
    text = f'"""About 1.2."""\r\n{line}\nOTHER = "1.2"\n'

    assert write_pattern(text.format("1.2"), version_pattern({}), NEW, "about.py") == text.format("1.3.0rc1")


@pytest.mark.parametrize(("text", "times"), [("", 0), ('VERSION = "1"\n__version__ = "1"\n', 2)])
def test_not_once(text: str, times: int) -> None:
    """A version that stands nowhere, or twice, is nothing to be replaced."""
    with pytest.raises(ReleaseError, match=f"the version stands {times} times, not once") as caught:
        write_pattern(text, version_pattern({}), NEW, "src/about.py")

    assert (caught.value.code, caught.value.where) == (Code.VERSION_UNKNOWN, "src/about.py")
