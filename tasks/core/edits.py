"""Small edits of files: all that they don't mean to change is kept byte for byte."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from tasks.core.errors import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from packaging.version import Version

    from tasks.core.dynamic import Place


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
    return after if reads_as(after, expected) else None


def reads_as(text: str, document: Mapping[str, Any]) -> bool:
    """Tell whether *text* is the TOML of *document*."""
    try:
        return tomllib.loads(text) == document
    except tomllib.TOMLDecodeError:
        return False


def write_place(text: str, place: Place, version: Version, where: str) -> str:
    """Return *text* with *version* in *place*, all else kept; *where* names the file for people.

    Raises Refusal RK-VERSION-PLACE if the version stands there not at all, or more than once.
    """
    found = list(place.pattern.finditer(text))
    if len(found) != 1:
        lines = ", ".join(f"line {text.count(chr(10), 0, one.start()) + 1}" for one in found[:3])
        times = f"{len(found)} times ({lines})" if found else "nowhere"
        raise Refusal(Code.VERSION_PLACE, f"the version should stand in one place, and stands {times}", where)
    start, end = found[0].span(place.group)
    return f"{text[:start]}{version}{text[end:]}"
