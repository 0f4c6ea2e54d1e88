"""Checks of the files around a package: leftover, missing and outdated files."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from releasekit.core.checks.facts import Check, Found, Severity
from releasekit.core.checks.fixes import NewFile
from releasekit.core.checks.metadata import LICENSES, license_globs, readme_file
from releasekit.core.text import summarize
from releasekit.core.version_numbers import parse_version
from releasekit.core.versioning.groups import version_groups
from releasekit.core.workspace.dynamic_version import table_at, version_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from releasekit.core.checks.facts import Package, WorkspaceFacts
    from releasekit.core.versioning.groups import VersionGroup

_VERSION = re.compile(r"""^__version__(?: *: *[\w.\[\]]+)? *= *["']([^"']+)["']""", re.MULTILINE)
_ASIDE = frozenset(
    ("bench", "benchmarks", "build", "doc", "docs", "example", "examples", "samples", "scripts", "test", "testing")
) | {"tests", "tools"}
"""Top-level directories of a package that hold no code of it."""
_CACHES = re.compile(
    r"(^|/)(\.[^/]*|__pycache__|node_modules|[^/]*\.egg-info)(/|$)|\.(py[cod]|so|dylib|dll|log|orig|rej|swp)$|~$"
)
_BACKUPS = re.compile(r"(^|/)(pyproject\.toml\.(bak|orig)|\.pyproject\.toml\.releasekit)$")
_BUILD_OUTPUT = re.compile(r"(^|/)(dist/[^/]+\.(whl|tar\.gz)|[^/]+\.egg-info/PKG-INFO|build/lib/.+)$")
_TYPED = "Typing :: Typed"
_FIRST_VERSIONS = frozenset(map(Version, ("0", "0.0.1", "0.1", "1.0")))
"""Usual versions of packages that have no release yet."""


def stale_artifacts(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find leftovers of earlier builds and edits: other versions in dist/, build output in git, backups."""
    for package in facts:
        tracked = sorted(path for path in package.files if _BUILD_OUTPUT.search(path))
        backups = sorted(path for path in (*package.files, *package.ignored) if _BACKUPS.search(path))
        stale = sorted(name for name in package.built if _is_stale(name, package))
        if package.member.path != "." and stale:
            message = f"{package.name} has builds of other versions in dist/: {summarize(stale)}"
            hint = "Remove dist/. Otherwise a manual upload of everything in it includes them."
            yield Found(package.name, message, package.at(f"dist/{stale[0]}"), hint=hint)
        if tracked:
            message = f"{package.name} has build output that git does not ignore: {summarize(tracked)}"
            hint = "Remove it from git (`git rm -r --cached`) and ignore it. Otherwise a release may include it."
            yield Found(package.name, message, package.at(tracked[0]), hint=hint)
        if backups:
            message = f"{package.name} has leftover backup files: {summarize(backups)}"
            yield Found(package.name, message, package.at(backups[0]))


def type_markers(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose types are invisible: type checkers require a file py.typed (PEP 561)."""
    coded = [package for package in facts.presented if modules_of(package.files)]
    marked = [package for package in coded if _has_type_marker(package)]
    usual = len(marked) * 2 > len(coded)
    for package in coded:
        if package in marked:
            continue
        first = modules_of(package.files)[0]
        if _TYPED in package.project.get("classifiers", ()):
            message = f"{package.name} declares that it is typed, but has no py.typed"
            fix = NewFile(package.at(f"{first}/py.typed"))
            yield package.found(message, "project", "classifiers", item=_TYPED, fix=fix)
        elif usual:
            message = f"{package.name} has no py.typed, but most of its siblings have one"
            hint = f"Add {first}/py.typed if other projects may use its types."
            yield package.found(message, hint=hint, severity=Severity.NOTE)


def version_consistency(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find contradicting versions: in the code of a package, and among packages that share a version."""
    for package in facts.published:
        yield from _check_code_versions(package)
    for group in version_groups(facts.workspace, facts.settings):
        if group.fixed:
            yield from _check_shared_version(group, facts)


def _check_code_versions(package: Package) -> Iterator[Found]:
    declared = package.member.version
    if declared is None:
        return
    for path, text in package.texts.items():
        match = _VERSION.search(text)
        if match is None or not path.endswith("__init__.py"):
            continue
        if parse_version(match[1]) != declared:
            line = text.count("\n", 0, match.start()) + 1
            message = f"{package.name} has version {declared}, but its code says {match[1]}"
            hint = "Read it with importlib.metadata.version, or list the file in `bump`."
            yield Found(package.name, message, package.at(path), line, hint)


def _check_shared_version(group: VersionGroup, facts: WorkspaceFacts) -> Iterator[Found]:
    versions = {name: facts.workspace[name].version for name in group.names}
    counts = Counter(versions.values())
    if not counts:
        return
    usual, _ = counts.most_common(1)[0]
    for name, version in versions.items():
        if version != usual:
            message = f"{name} has version {version}, but the common version is {usual} ({group.title})"
            hint = "The next release gives them one version: the highest that any of them would get."
            yield facts[name].found(message, "project", "version", hint=hint)


def ignored_files(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find files that a package needs and git ignores: a release is built from a commit, so it lacks them."""
    for package in facts.published:
        prefixes = tuple(f"{directory}/" for directory in modules_of(package.files))
        generated = tuple(_generated_patterns(package))
        named: set[str] = set()
        lost: set[str] = set()
        for path in package.ignored:
            if path == readme_file(package) or _is_named(path, package):
                named.add(path)
            elif path.startswith(prefixes) and not _is_regenerated(path, generated):
                lost.add(path)
        code = {path for path in lost if path.endswith((".py", ".typed"))}
        if named or lost:
            paths = sorted(named | lost)
            message = f"git ignores files that {package.name} needs: {summarize(paths)}"
            severity = Severity.ERROR if named or code else None
            yield Found(package.name, message, package.at(paths[0]), severity=severity)


def _is_regenerated(path: str, patterns: Iterable[str]) -> bool:
    """Return whether *path* is a cache, or matches the *patterns* of files that the build generates."""
    if _CACHES.search(path):
        return True
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def lock_stale(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find a uv.lock that no longer matches the pyproject.toml files; a release refuses it."""
    if facts.lock == "stale":
        yield Found("", "uv.lock does not match the pyproject.toml files", "uv.lock")
    elif facts.lock not in ("current", "none", "unasked"):
        hint = "Make `uv lock --check` succeed: a release runs it too."
        yield Found("", f"uv cannot check whether uv.lock is current: {facts.lock}", "uv.lock", hint=hint)


def tag_baseline(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose version shows earlier releases, but whose last release has no tag."""
    if facts.tagged is None:
        return
    no_release_yet = {None, *_FIRST_VERSIONS}
    later = [package for package in facts.published if package.member.version not in no_release_yet]
    untagged = [package for package in later if package.name not in facts.tagged]
    if untagged and not facts.tagged:
        names = summarize([package.name for package in untagged])
        message = f"there are no release tags, but these versions are probably not the first: {names}"
        yield replace(untagged[0].found(message, "project", "version"), package="")
        return
    shared: set[str] = set()
    for group in version_groups(facts.workspace, facts.settings):
        if group.fixed:
            shared.update(group.names)
    for package in untagged:
        if package.name not in shared:  # a new package starts at the shared version
            message = f"{package.name} has version {package.member.version}, but no tag marks its last release"
            yield package.found(message, "project", "version")


def modules_of(files: Iterable[str]) -> tuple[str, ...]:
    """Return the directories of the outermost import packages among *files* of a distribution."""
    packages = {path.rpartition("/")[0] for path in files if path.endswith("/__init__.py")}
    outer: list[str] = []
    for path in sorted(packages):
        top = path.split("/")[0]
        if top not in _ASIDE and packages.isdisjoint(_parents(path)):
            outer.append(path)
    return tuple(outer)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _has_type_marker(package: Package) -> bool:
    return any(path.endswith("py.typed") for path in package.files)


def _is_stale(name: str, package: Package) -> bool:
    """Return whether the file *name* is a build of a version that differs from that of *package*."""
    try:
        version = parse_wheel_filename(name)[1] if name.endswith(".whl") else parse_sdist_filename(name)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    return package.member.version not in (None, version)


def _is_named(path: str, package: Package) -> bool:
    """Return whether the build includes *path* as a license file, by pyproject.toml or by default (PEP 639)."""
    if path.endswith("/"):
        return False
    globs = license_globs(package) or LICENSES
    return any(fnmatchcase(path, glob) for glob in globs)


def _generated_patterns(package: Package) -> Iterator[str]:
    """Yield glob patterns of files that the build generates, so that they need no commit."""
    tool = table_at(package.document, "tool")
    build = table_at(tool, "hatch", "build")
    targets = [build, *(table_at(build, "targets", name) for name in table_at(build, "targets"))]
    writers = [table_at(tool, "setuptools_scm")]
    for target in targets:
        writers.append(table_at(target, "hooks", "vcs"))
        writers.append(table_at(target, "hooks", "version"))
        for pattern in target.get("artifacts", ()):
            yield pattern.lstrip("/")
    for table in writers:
        for key in ("version-file", "path", "version_file", "write_to"):
            if key in table:
                yield str(table[key])
    if write_to := table_at(tool, "pdm", "version").get("write_to"):
        yield f"*{write_to}"
    is_dynamic = "version" in package.project.get("dynamic", ())
    if is_dynamic and not package.member.version_file:
        for location in version_source(package.document).locations:
            yield location.path


CHECKS = (
    Check(
        "stale_artifacts",
        Severity.WARNING,
        "Output of an earlier build, or a backup, is left over.",
        "Remove it.",
        stale_artifacts,
    ),
    Check(
        "type_markers",
        Severity.WARNING,
        "A package has types, but type checkers ignore them.",
        "Add an empty file py.typed beside its __init__.py.",
        type_markers,
    ),
    Check(
        "version_consistency",
        Severity.WARNING,
        "Versions contradict each other.",
        "Make them the same.",
        version_consistency,
    ),
    Check(
        "ignored_files",
        Severity.WARNING,
        "Git ignores a file that the package needs, so releases lack it.",
        "Commit it (`git add --force`), or let the build generate it.",
        ignored_files,
    ),
    Check(
        "lock_stale",
        Severity.ERROR,
        "uv.lock does not match the pyproject.toml files.",
        "Run `uv lock` and commit it.",
        lock_stale,
        frozenset({"lock"}),
    ),
    Check(
        "tag_baseline",
        Severity.WARNING,
        "No tag marks the last release of a package, so the next one would count as its first.",
        "Run `releasekit init --tag-baselines`: it finds the released versions and tags them.",
        tag_baseline,
        frozenset({"tags"}),
    ),
)
