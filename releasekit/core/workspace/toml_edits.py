"""Small edits of files. All other bytes of a file stay the same."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, cast

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.version_numbers import semver_text
from releasekit.core.workspace.workspace import (
    PYPROJECT,
    Kind,
    requirement_arrays,
    requirement_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableSequence, Sequence

    from packaging.version import Version

    from releasekit.core.workspace.dynamic_version import VersionLocation


def line_end(text: str) -> str:
    """Return the line ending of most lines in *text*."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def write_version(pyproject: str, version: Version) -> str:
    """Return the text *pyproject* with `project.version` set to *version*. Comments, layout and quotes stay."""
    import tomlkit  # late: it is slow to import, and commands that only read do not need it

    document: Any = tomlkit.parse(pyproject)
    project = document["project"]
    project["version"] = _in_its_quotes(project["version"], str(version))
    return tomlkit.dumps(document)


def edit_toml(text: str, edit: Callable[[Any], None]) -> str | None:
    """Return the TOML *text* after *edit* has changed its document. Comments, layout and line endings stay.

    None if the result differs from the same *edit* on the plain data: then the file has a form that cannot be edited.
    """
    import tomlkit  # late: it is slow to import, and commands that only read do not need it

    document: Any = tomlkit.parse(text)
    edit(document)
    after = tomlkit.dumps(document)
    if _has_only_crlf(text):
        after = re.sub(r"(?<!\r)\n", "\r\n", after)
    expected = tomllib.loads(text)
    edit(expected)
    return after if parses_to(after, expected) else None


def _has_only_crlf(text: str) -> bool:
    crlf_count = text.count("\r\n")
    return 0 < crlf_count == text.count("\n")


def rewrite_requirements(
    text: str, change: Callable[[str], str], file: str = PYPROJECT, *, groups: bool = False
) -> str:
    """Return the *text* of a package's *file* with each requirement replaced by the result of *change*.

    Nothing else changes. *file* is pyproject.toml, or a requirement file with one requirement a line. *groups* includes
    the requirements of dependency groups (PEP 735), which are never published.
    Raises Refusal RK-WORKSPACE-REQUIREMENT if releasekit cannot edit the form in which the file is written.
    """
    if file != PYPROJECT:
        return _rewrite_lines(text, change)

    def edit(document: Any) -> None:  # noqa: ANN401  a document of tomlkit or plain data
        for array in requirement_arrays(document):
            if groups or array.kind is not Kind.GROUP:
                _rewrite_array(cast("MutableSequence[Any]", array.items), change)

    edited = edit_toml(text, edit)
    if edited is None:
        message = "releasekit cannot edit the form in which this file writes its requirements"
        hint = 'Write each requirement as one string in an array: dependencies = ["core>=1"].'
        raise Refusal(ErrorCode.WORKSPACE_REQUIREMENT, message, file, hint)
    return edited


def _rewrite_array(array: MutableSequence[Any], change: Callable[[str], str]) -> None:
    """Replace the requirements in *array*. Other items, such as included groups, stay."""
    texts = {position: item for position, item in enumerate(array) if isinstance(item, str)}
    for position, written in texts.items():
        after = change(str(written))
        if after not in ("", written):
            array[position] = _in_its_quotes(written, after)


def _in_its_quotes(before: str, after: str) -> Any:  # noqa: ANN401  tomlkit's types do not nest
    """Return *after* in the quotes that *before* has in its file; in plain data, return it unchanged."""
    if type(before) is str:
        return after
    import tomlkit

    item: Any = before
    was_literal = item.as_string().startswith("'")
    can_be_literal = was_literal and "'" not in after
    return tomlkit.string(after, literal=can_be_literal)


def _rewrite_lines(text: str, change: Callable[[str], str]) -> str:
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        for written in requirement_lines(line):
            after = change(written) or written
            lines[number] = line.replace(written, after, 1)
    return "".join(lines)


def parses_to(text: str, document: Mapping[str, Any]) -> bool:
    """Return whether *text* is TOML that parses to *document*."""
    try:
        return tomllib.loads(text) == document
    except (ValueError, RecursionError):
        return False


def write_version_at(
    text: str, location: VersionLocation, version: Version, display_path: str
) -> str:
    """Return *text* with *version* in *location*. Nothing else changes. *display_path* names the file in messages.

    Raises Refusal RK-VERSION-PLACE if *location* matches no text, or more than one, or cannot have this version.
    """
    written = semver_text(version) if location.is_semver else str(version)
    if not written:
        message = f"Cargo has no versions such as {version}: it reads three numbers, alpha, beta, rc and dev"
        raise Refusal(ErrorCode.VERSION_PLACE, message, display_path)
    matches = list(location.pattern.finditer(text))
    if len(matches) != 1:
        result = _describe_lines(text, [match.start() for match in matches])
        message = f"the version must occur exactly once, but {result}"
        raise Refusal(ErrorCode.VERSION_PLACE, message, display_path)
    start, end = matches[0].span(location.group)
    return f"{text[:start]}{written}{text[end:]}"


def _describe_lines(text: str, starts: Sequence[int]) -> str:
    """Return how often the version occurs in *text*, with the first three lines; *starts* are its positions."""
    if not starts:
        return "was not found"
    numbers = (text.count("\n", 0, start) + 1 for start in starts[:3])
    lines = ", ".join(f"line {number}" for number in numbers)
    return f"occurs {len(starts)} times ({lines})"
