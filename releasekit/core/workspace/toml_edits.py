"""Small edits of files: all that they don't mean to change is kept byte for byte."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace.workspace import PYPROJECT, requirement_lines, requirement_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableSequence

    from packaging.version import Version

    from releasekit.core.workspace.dynamic_version import VersionLocation


def line_end(text: str) -> str:
    """Return what most lines of *text* end with."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def write_version(pyproject: str, version: Version) -> str:
    """Return the text of *pyproject* with `project.version` set; comments, layout and quotes stay."""
    import tomlkit  # late: who only asks what would be released need not pay for it

    document: Any = tomlkit.parse(pyproject)
    literal = document["project"]["version"].as_string().startswith("'")
    document["project"]["version"] = tomlkit.string(str(version), literal=literal)
    return tomlkit.dumps(document)


def edit_toml(text: str, edit: Callable[[Any], None]) -> str | None:
    """Return the TOML *text* with what *edit* does to its document; comments, layout and ends of lines stay.

    None if that comes out as anything else than what *edit* does to the plain data: nobody foresaw how it is written.
    """
    import tomlkit  # late: who only looks need not pay for it

    document: Any = tomlkit.parse(text)
    edit(document)
    after = tomlkit.dumps(document)
    if "\r\n" in text and text.count("\n") == text.count("\r\n"):
        after = re.sub(r"(?<!\r)\n", "\r\n", after)
    expected = tomllib.loads(text)
    edit(expected)
    return after if parses_to(after, expected) else None


def rewrite_requirements(
    text: str, change: Callable[[str], str], file: str = PYPROJECT, *, groups: bool = False
) -> str:
    """Return the *text* of a package's *file* with each requirement as *change* has it; all else stays.

    *file* is pyproject.toml, or a requirement file with one a line. Requirements of dependency groups (PEP 735), which
    are never published, are changed if *groups* says so.
    Raises Refusal RK-WORKSPACE-REQUIREMENT if the file is written in a way that cannot be edited.
    """
    if file != PYPROJECT:
        return _rewrite_lines(text, change)

    def edit(document: Any) -> None:  # noqa: ANN401  tomlkit's document, or the plain one
        for array in _requirement_arrays(document, groups=groups):
            for position, written in enumerate(list(array)):
                after = change(str(written)) if isinstance(written, str) else ""
                if after and after != written:
                    array[position] = _in_its_quotes(written, after)

    edited = edit_toml(text, edit)
    if edited is None:
        message = "the requirements of this file are written in a way that cannot be edited"
        hint = 'Write each requirement as one string in an array: dependencies = ["core>=1"].'
        raise Refusal(ErrorCode.WORKSPACE_REQUIREMENT, message, file, hint)
    return edited


def _in_its_quotes(before: str, after: str) -> Any:  # noqa: ANN401  tomlkit's types do not nest
    """Return the text *after* in the quotes that *before* has in its file; in plain data it is a text."""
    if type(before) is str:
        return after
    import tomlkit

    item: Any = before
    return tomlkit.string(after, literal=item.as_string().startswith("'") and "'" not in after)


def _requirement_arrays(document: Any, *, groups: bool) -> Iterator[MutableSequence[Any]]:  # noqa: ANN401
    for table in requirement_tables(document):
        yield from (table["dependencies"],) if "dependencies" in table else ()
        yield from table.get("optional-dependencies", {}).values()
    yield from (document["build-system"]["requires"],) if "requires" in document.get("build-system", {}) else ()
    yield from document.get("dependency-groups", {}).values() if groups else ()


def _rewrite_lines(text: str, change: Callable[[str], str]) -> str:
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        written = next(requirement_lines(line), "")
        after = change(written) if written else ""
        lines.append(line.replace(written, after, 1) if after else line)
    return "".join(lines)


def parses_to(text: str, document: Mapping[str, Any]) -> bool:
    """Tell whether *text* is the TOML of *document*."""
    try:
        return tomllib.loads(text) == document
    except tomllib.TOMLDecodeError:
        return False


def write_version_at(text: str, location: VersionLocation, version: Version, display_path: str) -> str:
    """Return *text* with *version* in *location*, all else kept; *display_path* names the file for people.

    Raises Refusal RK-VERSION-PLACE if the version stands there not at all, or more than once.
    """
    matches = list(location.pattern.finditer(text))
    if len(matches) != 1:
        lines = ", ".join(f"line {text.count(chr(10), 0, match.start()) + 1}" for match in matches[:3])
        times = f"{len(matches)} times ({lines})" if matches else "nowhere"
        raise Refusal(
            ErrorCode.VERSION_PLACE, f"the version should stand in one place, and stands {times}", display_path
        )
    start, end = matches[0].span(location.group)
    return f"{text[:start]}{version}{text[end:]}"
