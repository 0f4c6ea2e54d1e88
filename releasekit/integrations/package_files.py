"""The files that `check` examines, read from the disk, and the checks that other packages offer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from importlib.metadata import entry_points
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from releasekit.core.artifacts.package_facts import files_to_pack
from releasekit.core.checks.contents import modules_of
from releasekit.core.checks.facts import CRATE, Package
from releasekit.core.checks.metadata import readme_file
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.version_numbers import VERSION_MODULES
from releasekit.integrations.archives import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from releasekit.core.workspace.workspace import Member

    MemberDocuments = Sequence[tuple[Member, Mapping[str, Any], str]]

GROUP = "releasekit.checks"
_LICENSES = ("LICENSE", "LICENCE", "COPYING")


def read_packages(
    root: Path,
    members: MemberDocuments,
    included: Iterable[str],
    ignored: Iterable[str],
    *,
    render: bool,
    scan: bool,
) -> dict[str, Package]:
    """Read the files beside the pyproject.toml of all *members* below *root*; returns the packages by name.

    *included* and *ignored* are the two results of `Repo.list_files`. READMEs are rendered only if *render* is true,
    and all files are read only if *scan* is.
    """
    paths = [member.path for member, _, _ in members]
    files = _by_member(paths, included)
    hidden = _by_member(paths, ignored)
    packages: dict[str, Package] = {}
    for member, document, text in members:
        directory = root / member.path
        own_files = frozenset(files[member.path])
        own_hidden = frozenset(hidden[member.path])
        package = Package(
            member, text, document, own_files, own_hidden, _names_in(directory / "dist")
        )
        if member.publishable:
            package = _with_texts(package, directory, render=render)
            if scan:
                packed = files_to_pack(own_files, document, member.name)
                package = replace(package, tree=read_tree(directory, sorted(packed)))
        packages[member.name] = package
    return packages


def read_license(root: Path) -> tuple[str, str]:
    """Return name and text of the license file in *root*; both are empty if there is none that can be read."""
    licenses = (path.name for path in sorted(root.iterdir()) if _is_license(path))
    texts = _read_texts(root, islice(licenses, 1))
    return next(iter(texts.items()), ("", ""))


def _is_license(path: Path) -> bool:
    return path.name.upper().startswith(_LICENSES) and path.is_file()


def plugin_checks() -> Iterator[tuple[str, object]]:
    """Yield the source and the object of each check that other packages offer; raises Refusal RK-CHECK-PLUGIN."""
    for entry in entry_points(group=GROUP):
        distribution = entry.dist.name if entry.dist else entry.group
        source = f"{distribution}, {entry.value}"
        try:
            yield source, entry.load()
        except Exception as error:
            message = f"{entry.name} cannot be loaded: {type(error).__name__}: {error}"
            raise Refusal(ErrorCode.CHECK_PLUGIN, message, source) from error


def _by_member(members: Iterable[str], paths: Iterable[str]) -> dict[str, set[str]]:
    """Return the *paths* of each member, relative to its directory; a file belongs to the deepest member around it."""
    by_member: dict[str, set[str]] = {path: set() for path in members}
    for path in paths:
        parent = _parent(path.rstrip("/"))
        while parent and parent not in by_member:
            parent = _parent(parent)
        if parent:
            by_member[parent].add(path[len(parent) + 1 :])
        elif "." in by_member:
            by_member["."].add(path)
    return by_member


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _names_in(directory: Path) -> frozenset[str]:
    """Return the names of all entries of *directory*, empty if it does not exist."""
    if not directory.is_dir():
        return frozenset()
    return frozenset(path.name for path in directory.iterdir())


def _with_texts(package: Package, directory: Path, *, render: bool) -> Package:
    """Return *package* with the texts of the files that checks read, and how its README renders."""
    readme = readme_file(package)
    modules = product(modules_of(package.files), VERSION_MODULES)
    version_modules = map("/".join, modules)
    to_read = package.files.intersection([readme, CRATE, *version_modules])
    texts = _read_texts(directory, to_read)
    if readme not in package.files:
        return replace(package, texts=texts)
    rendering = _readme_problem(texts.get(readme), readme, render=render)
    return replace(package, texts=texts, rendering=rendering)


def _readme_problem(text: str | None, readme: str, *, render: bool) -> str | None:
    """Return what is wrong with the README's *text*, empty if nothing, None if the renderer is not installed."""
    if text is None:
        return "it does not exist, or is not UTF-8"
    if render and readme.lower().endswith(".rst"):
        return rst_problem(text)
    return ""


def _read_texts(directory: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the text of each of *paths* in *directory* that can be read as UTF-8."""
    texts: dict[str, str] = {}
    for path in paths:
        with suppress(OSError, UnicodeDecodeError):
            texts[path] = (directory / path).read_text("utf-8")
    return texts


def rst_problem(text: str) -> str | None:
    """Return the error of PyPI's own renderer for the reStructuredText *text*, empty if none.

    None if the renderer is not installed.
    """
    try:
        from readme_renderer import rst
    except ImportError:
        return None
    import io

    output = io.StringIO()
    if rst.render(text, stream=output) is not None:
        return ""
    lines = filter(str.strip, output.getvalue().splitlines())
    first = next(lines, "it is not valid reStructuredText")
    return first.removeprefix("<string>:")
