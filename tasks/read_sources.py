"""Step: compare the source of each package with that of its last release, in git alone. Nothing is changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import accumulate, chain, product
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from releasekit.core.artifacts.api_changes import ApiChange
from releasekit.core.artifacts.archive_facts import ArchiveMember
from releasekit.core.artifacts.package_facts import files_to_pack, import_root, is_api_source
from releasekit.core.artifacts.secret_patterns import find_secrets
from releasekit.core.artifacts.source_changes import (
    Leak,
    SourceChange,
    SourceTree,
    find_leaks,
    find_source_losses,
)
from releasekit.core.artifacts.source_outline import keeps_outline
from releasekit.core.picking import drop, pick, pick_keys
from releasekit.core.workspace.declarations import parse_document
from releasekit.integrations.git_trees import blob_sizes, changed_files, list_tree, tree_shas
from releasekit.integrations.user_cache import read_cached, write_cached
from tasks.read_declarations import member_directories

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from packaging.version import Version

    from releasekit.core.history.tags import Baseline
    from releasekit.integrations.git import Repo
    from releasekit.integrations.git_trees import TreeChange, Trees
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

    def source_tree(self, repo: Repo, number: int) -> SourceTree:
        """Return the own files of the directory at its last release (0), or now (1)."""
        files = list_tree(repo, self.trees[number])
        own_files = pick_keys(files, filter(self.owns, files))
        return SourceTree(own_files, self.documents[number])


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
    leaks = _find_leaks(repo, pairs, changes)
    return {
        pair.name: replace(
            _source_change(repo, project, pair, changes[pair.trees]), leaks=leaks.get(pair.name, ())
        )
        for pair in pairs
    }


def _find_leaks(
    repo: Repo, pairs: Sequence[SourcePair], changes: Mapping[Trees, Sequence[TreeChange]]
) -> dict[str, tuple[Leak, ...]]:
    """Return what the files of each package that have changed since its last release would leak.

    Large files are left to the verification of the built files, and so is the rest if there are very many.
    """
    places: dict[str, list[Place]] = {}
    for pair in pairs:
        own = (change for change in changes[pair.trees] if pair.owns(change.path))
        places[pair.name] = [(pair.trees[1], change.path) for change in own if change.kind != "D"]
    sizes = blob_sizes(repo, list(dict.fromkeys(chain.from_iterable(places.values()))))
    small = [place for place, size in sizes.items() if size <= _MAX_SCANNED]
    totals = accumulate(sizes[place] for place in small)
    texts = repo.texts(
        [place for place, total in zip(small, totals, strict=True) if total <= _MAX_TOTAL]
    )
    leaks: dict[str, tuple[Leak, ...]] = {}
    for pair in pairs:
        members = [
            ArchiveMember(
                path, secrets=tuple(sorted(find_secrets(texts.get((tree, path), "").encode())))
            )
            for tree, path in places[pair.name]
        ]
        if find_leaks(members):
            tree = pair.source_tree(repo, 1)
            packed = files_to_pack(tree.files, tree.document, pair.name)
            leaks[pair.name] = find_leaks([member for member in members if member.path in packed])
    return leaks


_MAX_SCANNED, _MAX_TOTAL = 1 << 18, 1 << 24
"""Bytes of one changed file, and of all that are read."""


def _source_pairs(
    repo: Repo,
    project: Project,
    last: Mapping[str, Baseline],
    names: Iterable[str],
    homes: Mapping[str, AbstractSet[str]],
) -> Iterator[SourcePair]:
    directories = member_directories(repo, project)
    releases = {name: last[name].stable or last[name] for name in pick(names, last)}
    places: dict[str, list[Place]] = {}
    for name, release in releases.items():
        directory = directories[name]
        places[name] = _places_of_release(release, directory, homes.get(name, frozenset()))
    now = {name: (repo.head, directories[name]) for name in places}
    all_places = list(chain(now.values(), *places.values()))
    documents = _documents(repo, all_places)
    shas = tree_shas(repo, all_places)
    for name, candidates in places.items():
        own_places = (place for place in candidates if _name_of(documents.get(place, {})) == name)
        before, after = next(own_places, _NOWHERE), now[name]
        are_there = shas.keys() >= {before, after}
        if are_there:
            yield SourcePair(
                name=name,
                since=releases[name].version,
                trees=(shas[before], shas[after]),
                documents=(documents[before], documents.get(after, {})),
                nested=_nested_directories(directories[name], directories.values()),
            )


Place = tuple[str, str]
"""A commit, and a directory from the top of the repository."""
_NOWHERE: Place = ("", "")


def _places_of_release(release: Baseline, directory: str, homes: AbstractSet[str]) -> list[Place]:
    """Return where a package may be at the commit of *release*: in its *directory* of now first, then in its *homes*.

    There is no place if the commit is unknown.
    """
    commits = filter(None, (release.commit,))
    directories = (directory, *sorted(homes - {directory}))
    return list(product(commits, directories))


def _documents(repo: Repo, places: Sequence[Place]) -> dict[Place, Mapping[str, Any]]:
    """Return the parsed pyproject.toml of each of *places* that has one."""
    files = {place: (place[0], f"{place[1]}/pyproject.toml".lstrip("/")) for place in places}
    texts = repo.texts(list(dict.fromkeys(files.values())))
    return {place: parse_document(texts[file]) for place, file in files.items() if file in texts}


def _name_of(document: Mapping[str, Any]) -> str:
    return canonicalize_name(str(document.get("project", {}).get("name", "")))


def _nested_directories(directory: str, directories: Iterable[str]) -> tuple[str, ...]:
    """Return those of *directories* that are inside *directory*, by their path from there, with "/" at the end."""
    prefix = f"{directory}/".lstrip("/")
    inside = (other.removeprefix(prefix) for other in directories if other.startswith(prefix))
    return tuple(f"{path}/" for path in filter(None, inside))


def _source_change(
    repo: Repo, project: Project, pair: SourcePair, changes: Sequence[TreeChange]
) -> SourceChange:
    own_changes = [change for change in changes if pair.owns(change.path)]
    is_checked = project.effective_setting(pair.name, "api_check") != "off"
    api_changes = _api_changes(repo, pair, own_changes) if is_checked else ()
    old, new = pair.documents
    has_deleted_files = "D" in {change.kind for change in own_changes}
    may_lose = api_changes or old != new or has_deleted_files
    if not may_lose:
        return SourceChange(pair.since)
    before, after = pair.source_tree(repo, 0), pair.source_tree(repo, 1)
    losses = find_source_losses(before, after, api_changes)
    return SourceChange(pair.since, losses, api_changes)


def _api_changes(
    repo: Repo, pair: SourcePair, changes: Sequence[TreeChange]
) -> tuple[ApiChange, ...]:
    """Return the changes of the API that break users. They are read once for the same two directories."""
    existing = (change.path for change in changes if change.kind != "A")
    edited = list(filter(is_api_source, existing))
    if not edited:
        return ()
    from releasekit.integrations.api_reader import READER_VERSION, find_api_changes

    key = (READER_VERSION, *pair.trees, *pair.nested)
    cached = read_cached("api", *key)
    if cached is not None:
        return tuple(ApiChange(**change) for change in cached)
    texts = repo.texts(list(product(pair.trees, edited)))
    before, after = ([texts.get((tree, path), "") for path in edited] for tree in pair.trees)
    is_kept = all(map(_keeps_outline, before, after))
    api_changes = () if is_kept else find_api_changes(*_sources(repo, pair))
    write_cached([asdict(change) for change in api_changes], "api", *key)
    return api_changes


def _keeps_outline(before: str, after: str) -> bool:
    """Return whether a module keeps its outline, or is too long to be read."""
    is_small = max(len(before), len(after)) <= _MAX_SOURCE
    return not is_small or keeps_outline(before, after)


_MAX_SOURCE = 1_000_000
"""Characters of a source file; longer ones are generated, and take griffe minutes."""


def _sources(repo: Repo, pair: SourcePair) -> Iterator[dict[str, str]]:
    """Yield the Python files of both directories, by their path from the directory of the import packages."""
    sizes = [list_tree(repo, tree) for tree in pair.trees]
    too_long = {path for files in sizes for path, size in files.items() if size > _MAX_SOURCE}
    for tree, document, files in zip(pair.trees, pair.documents, sizes, strict=True):
        own = list(filter(pair.owns, drop(files, too_long)))
        root = import_root(own, document)
        paths = [path for path in filter(is_api_source, own) if path.startswith(root)]
        texts = repo.texts(list(product([tree], paths)))
        yield {path.removeprefix(root): text for (_, path), text in texts.items()}
