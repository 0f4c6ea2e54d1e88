"""Decides whether a tag can be the release of a package: the package was there, and declared that version."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.history.tags import is_dated

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from packaging.version import Version

    from releasekit.core.workspace.declarations import Declaration

    Declarations = Mapping[tuple[str, str], Declaration | None]
    """What packages declared, by commit and name; None if the package was not there."""


class TagReading(NamedTuple):
    """A tag, read as *version* of the package *name*.

    *is_own*: the tag contains the name, or only this package has its form. Otherwise other packages may read it too.
    """

    name: str
    tag: str
    version: Version
    commit: str
    is_own: bool = True

    @property
    def place(self) -> tuple[str, str]:
        """The commit and the package whose declaration decides."""
        return self.commit, self.name


def objection(
    reading: TagReading, declaration: Declaration | None, umbrellas: Container[str] = frozenset()
) -> str:
    """Return why the tag is not a release of the package, which had this *declaration* there; empty if it can be.

    *umbrellas* are tags of releases as a whole. A date in one of them is a version only if the package declared it.
    """
    if declaration is None:
        return f"{reading.name} was not there"
    if declaration.version is None and is_dated(reading.tag) and reading.tag in umbrellas:
        return "the date of a release is no version"
    if declaration.version is None:
        reads_it = reading.is_own or declaration.reads(reading.tag)
        if reads_it:
            return ""
        return f"the build of {reading.name} does not read such tags"
    if declaration.version == reading.version:
        return ""
    return f"{reading.name} declared {declaration.version}"
