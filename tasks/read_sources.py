"""Step: compare the source of each package with that of its last release, in git alone. Nothing is changed."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from releasekit.core.artifacts.api_changes import ApiChange
from releasekit.core.artifacts.package_facts import import_root, is_api_source
from releasekit.core.artifacts.source_changes import (
    SourceChange,
    SourceTree,
    find_source_losses,
)
from releasekit.core.artifacts.source_outline import keeps_outline
from releasekit.integrations.git_trees import changed_files, list_tree, tree_shas
from releasekit.integrations.user_cache import read_cached, write_cached
from tasks.read_declarations import directory_in_repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from packaging.version import Version

    from releasekit.core.history.tags import Baseline
    from releasekit.integrations.git import Repo
    from releasekit.integrations.git_trees import TreeChange
    from tasks.project import Project


@dataclass(frozen=True, slots=True)
class SourcePair:
    """The directory of a package at its last release and now: the shas of both, and the parsed pyproject.toml files.

    *nested* are the directories of other packages inside it.
    """

    name: str
    since: Version
    trees: tuple[str, str]
    documents: tuple[Mapping[str, Any], Mapping[str, Any]]
    nested: tuple[str, ...] = ()

    def owns(self, path: str) -> bool:
        """Return whether the file *path* is not in a directory of another package."""
        return not path.startswith(self.nested)


def read_source_changes(
    repo: Repo,
    project: Project,
    last: Mapping[str, Baseline],
    names: Iterable[str],
    homes: Mapping[str, AbstractSet[str]],
) -> dict[str, SourceChange]:
    """Return what the packages *names* have lost since their *last* stable releases, and how their APIs have changed.

    *homes* are all directories that each package has had. A package without a last release has nothing to lose.
    """
    pairs = list(_source_pairs(repo, project, last, names, homes))
    changes = changed_files(repo, [pair.trees for pair in pairs])
    return {pair.name: _source_change(repo, project, pair, changes[pair.trees]) for pair in pairs}


def _source_pairs(
    repo: Repo,
    project: Project,
    last: Mapping[str, Baseline],
    names: Iterable[str],
    homes: Mapping[str, AbstractSet[str]],
) -> Iterator[SourcePair]:
    directories = {
        member.name: directory_in_repository(repo, project.root, member.path)
        for member in project.workspace
    }
    releases = {name: last[name].stable or last[name] for name in names if name in last}
    places: dict[str, list[tuple[str, str]]] = {}
    for name, release in releases.items():
        usual = directories[name]
        others = sorted(homes.get(name, frozenset[str]()) - {usual})
        places[name] = [
            (release.commit, directory) for directory in (usual, *others) if release.commit
        ]
    now = {name: (repo.head, directories[name]) for name in places}
    all_places = list(chain(now.values(), *places.values()))
    documents = _documents(repo, all_places)
    shas = tree_shas(repo, all_places)
    for name, candidates in places.items():
        before = next(
            (place for place in candidates if _name_of(documents.get(place, {})) == name), None
        )
        if before is None or before not in shas or now[name] not in shas:
            continue
        pair = (documents[before], documents.get(now[name], {}))
        nested = _nested_directories(directories[name], directories.values())
        yield SourcePair(
            name, releases[name].version, (shas[before], shas[now[name]]), pair, nested
        )


def _documents(
    repo: Repo, places: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the parsed pyproject.toml of each of *places* (commit, directory) that has one."""
    files = {place: (place[0], f"{place[1]}/pyproject.toml".lstrip("/")) for place in places}
    texts = repo.texts(list(dict.fromkeys(files.values())))
    return {place: _parse(texts[file]) for place, file in files.items() if file in texts}


def _parse(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _name_of(document: Mapping[str, Any]) -> str:
    return canonicalize_name(str(document.get("project", {}).get("name", "")))


def _nested_directories(directory: str, directories: Iterable[str]) -> tuple[str, ...]:
    """Return those of *directories* that are inside *directory*, by their path from there, with "/" at the end."""
    prefix = f"{directory}/" if directory else ""
    inside = (other for other in directories if other != directory and other.startswith(prefix))
    return tuple(f"{other.removeprefix(prefix)}/" for other in inside)


def _source_change(
    repo: Repo, project: Project, pair: SourcePair, changes: Sequence[TreeChange]
) -> SourceChange:
    own_changes = [change for change in changes if pair.owns(change.path)]
    is_checked = project.effective_setting(pair.name, "api_check") != "off"
    api_changes = _api_changes(repo, pair, own_changes) if is_checked else ()
    old, new = pair.documents
    may_lose = bool(api_changes) or old != new or any(change.kind == "D" for change in own_changes)
    if not may_lose:
        return SourceChange(pair.since)
    before, after = (_source_tree(repo, pair, number) for number in range(2))
    return SourceChange(pair.since, find_source_losses(before, after, api_changes), api_changes)


def _source_tree(repo: Repo, pair: SourcePair, number: int) -> SourceTree:
    files = list_tree(repo, pair.trees[number])
    return SourceTree(
        {path: size for path, size in files.items() if pair.owns(path)}, pair.documents[number]
    )


def _api_changes(
    repo: Repo, pair: SourcePair, changes: Sequence[TreeChange]
) -> tuple[ApiChange, ...]:
    """Return the changes of the API that break users. They are read once for the same two directories."""
    edited = [
        change.path for change in changes if change.kind != "A" and is_api_source(change.path)
    ]
    if not edited:
        return ()
    from releasekit.integrations.api_reader import READER_VERSION, find_api_changes

    key = (READER_VERSION, *pair.trees, *pair.nested)
    cached = read_cached("api", *key)
    if cached is not None:
        return tuple(ApiChange(**change) for change in cached)
    old, new = pair.trees
    texts = repo.texts([(tree, path) for path in edited for tree in pair.trees])
    small = [
        path
        for path in edited
        if all(len(texts.get((tree, path), "")) <= _MAX_SOURCE for tree in pair.trees)
    ]
    is_kept = all(
        keeps_outline(texts.get((old, path), ""), texts.get((new, path), "")) for path in small
    )
    api_changes = () if is_kept else find_api_changes(*_sources(repo, pair))
    write_cached([asdict(change) for change in api_changes], "api", *key)
    return api_changes


_MAX_SOURCE = 1_000_000
"""Characters of a source file; longer ones are generated, and take griffe minutes."""


def _sources(repo: Repo, pair: SourcePair) -> Iterator[dict[str, str]]:
    """Yield the Python files of both directories, by their path from the directory of the import packages."""
    sizes = [list_tree(repo, tree) for tree in pair.trees]
    too_long = {path for files in sizes for path, size in files.items() if size > _MAX_SOURCE}
    for tree, document, files in zip(pair.trees, pair.documents, sizes, strict=True):
        own = [path for path in files if pair.owns(path) and path not in too_long]
        root = import_root(own, document)
        paths = [path for path in own if path.startswith(root) and is_api_source(path)]
        texts = repo.texts([(tree, path) for path in paths])
        yield {path.removeprefix(root): text for (_, path), text in texts.items()}
