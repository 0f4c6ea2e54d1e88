"""Step: read what packages declared at earlier commits. Nothing is changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from releasekit.core.picking import drop
from releasekit.core.workspace.declarations import (
    MANIFESTS,
    NAME_LINE,
    OLD_MANIFESTS,
    PYPROJECT,
    declaration_of,
    declared_name,
    directories_by_name,
    parse_document,
    version_paths,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from releasekit.core.workspace.declarations import Declaration
    from releasekit.integrations.git import Repo
    from tasks.project import Project

    Document = Mapping[str, Any]
    Directory = tuple[str, str]
    """A commit, and a directory in it."""


_NO_MANIFEST: tuple[Mapping[str, Any], str] = ({}, "")


def directory_in_repository(repo: Repo, root: Path, path: str) -> str:
    """Return a member's directory as git names it, from the top of the repository; empty for the top itself."""
    relative = os.path.relpath((root / path).resolve(), repo.top).replace(os.sep, "/")
    return "" if relative == "." else relative


def member_directories(repo: Repo, project: Project) -> dict[str, str]:
    """Return the directory of each member as git names it, by name."""
    return {
        member.name: directory_in_repository(repo, project.root, member.path)
        for member in project.workspace
    }


class DeclarationReader:
    """Reads what packages declared at commits. It looks in the directory of now, then for the name elsewhere."""

    def __init__(self, repo: Repo, project: Project, directories: Mapping[str, str]) -> None:
        """Take the *directories* of all members, as `member_directories` returns them."""
        self._repo = repo
        self._directory_of = directories
        # Most packages have the same file now as at their last release, and it has been parsed already.
        self._parsed = {text: document for document, text in project.manifests.values()}
        self._homes: dict[str, Mapping[str, Sequence[str]]] = {}
        self._documents_now = {
            member.name: project.manifests.get(member.path, _NO_MANIFEST)[0]
            for member in project.workspace
        }

    def read(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Declaration | None]:
        """Return what each package declared at its commit (*places* are commit and name); None if it was not there.

        All places are read together: the number of git processes does not depend on how many there are.
        """
        asked = tuple(dict.fromkeys(places))
        here = {place: (place[0], self._directory_of[place[1]]) for place in asked}
        declarations = self._declarations(here)
        absent = drop(asked, declarations)
        for moved in self._moved_directories(absent):
            declarations = {**self._declarations(moved), **declarations}
        return {place: declarations.get(place) for place in asked}

    def _declarations(
        self, directories: Mapping[tuple[str, str], Directory]
    ) -> dict[tuple[str, str], Declaration]:
        """Return the declaration of each place whose package is in its directory."""
        manifests = self._read_files(dict.fromkeys(directories.values(), (PYPROJECT,)))
        documents = {
            directory: self._parse(texts.get(PYPROJECT, ""))
            for directory, texts in manifests.items()
        }
        nameless = [
            directory
            for directory, document in documents.items()
            if not declared_name(document, {})
        ]
        others = self._read_files(dict.fromkeys(nameless, OLD_MANIFESTS))
        names = {
            directory: declared_name(document, others.get(directory, {}))
            for directory, document in documents.items()
        }
        present = {
            place: directory
            for place, directory in directories.items()
            if names[directory] == place[1]
        }
        now = {place: self._documents_now[place[1]] for place in present}
        wanted = {
            directory: (*version_paths(documents[directory]), *version_paths(now[place]))
            for place, directory in present.items()
        }
        version_files = self._read_files(wanted)
        return {
            place: declaration_of(
                documents[directory],
                {**others.get(directory, {}), **version_files[directory]},
                now[place],
            )
            for place, directory in present.items()
        }

    def _read_files(
        self, wanted: Mapping[Directory, Sequence[str]]
    ) -> dict[Directory, dict[str, str]]:
        """Return the texts of the *wanted* files, by directory and path below it."""
        positions = {
            (commit, f"{directory}/{path}".lstrip("/")): ((commit, directory), path)
            for (commit, directory), paths in wanted.items()
            for path in paths
        }
        texts: dict[Directory, dict[str, str]] = {directory: {} for directory in wanted}
        for position, text in self._repo.texts(list(positions)).items():
            directory, path = positions[position]
            texts[directory][path] = text
        return texts

    def _parse(self, text: str) -> Document:
        if text not in self._parsed:
            self._parsed[text] = parse_document(text)
        return self._parsed[text]

    def _moved_directories(
        self, places: Sequence[tuple[str, str]]
    ) -> Iterator[Mapping[tuple[str, str], Directory]]:
        """Yield the other directories in which the packages of *places* may have been: first, second, ... of each."""
        self._search_homes(commit for commit, _ in places)
        homes = {place: self._homes[place[0]].get(place[1], ()) for place in places}
        for number in range(max(map(len, homes.values()), default=0)):
            yield {
                place: (place[0], directories[number])
                for place, directories in homes.items()
                if number < len(directories)
            }

    def _search_homes(self, commits: Iterable[str]) -> None:
        """Find the directories of all packages at *commits*, by name."""
        unknown = drop(dict.fromkeys(commits), self._homes)
        lines = self._repo.matching_lines(unknown, NAME_LINE, MANIFESTS)
        for commit in unknown:
            self._homes[commit] = directories_by_name(lines.get(commit, ()))
