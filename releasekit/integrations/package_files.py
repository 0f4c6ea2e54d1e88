"""What `check` looks at, read from the disk, and the checks that other packages offer."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from releasekit.core.checks.contents import modules_of
from releasekit.core.checks.facts import Package
from releasekit.core.checks.metadata import readme_file
from releasekit.core.errors import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from releasekit.core.workspace.workspace import Member

    Manifests = Sequence[tuple[Member, Mapping[str, Any], str]]

GROUP = "releasekit.checks"
_LICENSES = ("LICENSE", "LICENCE", "COPYING")


def read_packages(
    root: Path, members: Manifests, kept: Iterable[str], ignored: Iterable[str], *, render: bool
) -> dict[str, Package]:
    """Read what stands around the pyproject.toml of all *members* below *root*.

    *kept* and *ignored* are what git says of the files there, see `Repo.listed`. READMEs are only tried on a renderer
    if *render*.
    """
    paths = [member.path for member, _, _ in members]
    files, hidden = _by_member(paths, kept), _by_member(paths, ignored)
    found: dict[str, Package] = {}
    for member, document, text in members:
        mine, dist = files[member.path], root / member.path / "dist"
        built = frozenset(path.name for path in dist.iterdir()) if dist.is_dir() else frozenset[str]()
        package = Package(member, text, document, frozenset(mine), frozenset(hidden[member.path]), built)
        found[member.name] = _with_texts(package, root / member.path, render=render) if member.publishable else package
    return found


def read_license(root: Path) -> tuple[str, str]:
    """Return name and text of the license at the *root*; empty if there is none that can be read."""
    found = sorted(path for path in root.iterdir() if path.name.upper().startswith(_LICENSES) and path.is_file())
    text = _text(found[0]) if found else None
    return (found[0].name, text) if text is not None else ("", "")


def other_checks() -> Iterator[tuple[str, object]]:
    """Yield what other packages offer as checks, and who offers it; raises Refusal RK-CHECK-PLUGIN."""
    for entry in entry_points(group=GROUP):
        source = f"{entry.dist.name if entry.dist else entry.group}, {entry.value}"
        try:
            yield source, entry.load()
        except Exception as error:
            what = f"{entry.name} cannot be loaded: {type(error).__name__}: {error}"
            raise Refusal(Code.CHECK_PLUGIN, what, source) from error


def _by_member(members: Iterable[str], paths: Iterable[str]) -> dict[str, set[str]]:
    """Return which of *paths* are whose, relative to each member's directory: the deepest one around a file owns it."""
    owned: dict[str, set[str]] = {path: set() for path in members}
    for path in paths:
        parent = path.rstrip("/").rpartition("/")[0]
        while parent and parent not in owned:
            parent = parent.rpartition("/")[0]
        if parent:
            owned[parent].add(path[len(parent) + 1 :])
        elif "." in owned:
            owned["."].add(path)
    return owned


def _with_texts(package: Package, directory: Path, *, render: bool) -> Package:
    readme = readme_file(package)
    wanted = [*({readme} & package.files), *(f"{top}/__init__.py" for top in modules_of(package.files))]
    texts = {path: text for path in wanted if (text := _text(directory / path)) is not None}
    rendering: str | None = ""
    if readme in package.files and readme not in texts:
        rendering = "it is not there, or no UTF-8"
    elif render and readme.lower().endswith(".rst") and readme in texts:
        rendering = _rst_problem(texts[readme])
    return replace(package, texts=texts, rendering=rendering)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _rst_problem(text: str) -> str | None:
    """Return what PyPI's own renderer says against the reStructuredText; None if it is not installed."""
    try:
        from readme_renderer import rst
    except ImportError:
        return None
    import io

    said = io.StringIO()
    if rst.render(text, stream=said) is not None:
        return ""
    first = next((line for line in said.getvalue().splitlines() if line.strip()), "it is no reStructuredText")
    return first.removeprefix("<string>:")
