"""Checks of the files around a package: leftover, missing and outdated files."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import chain, filterfalse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename
from packaging.version import Version

from releasekit.core.checks.facts import Check, Found, Severity
from releasekit.core.checks.fixes import AddVersionFile, NewFile
from releasekit.core.checks.metadata import LICENSES, license_globs, matches_any, readme_file
from releasekit.core.config.settings import bump_files
from releasekit.core.errors import ERRORS, ErrorCode
from releasekit.core.picking import drop_named, names_of
from releasekit.core.text import summarize
from releasekit.core.version_numbers import CODE_VERSION, parse_version
from releasekit.core.versioning.groups import version_groups
from releasekit.core.workspace.built_files import parse_file_name
from releasekit.core.workspace.dynamic_version import table_at, version_source
from releasekit.core.workspace.uv_lock import LOCK_HINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from releasekit.core.checks.facts import Package, WorkspaceFacts
    from releasekit.core.versioning.groups import VersionGroup
    from releasekit.core.workspace.dynamic_version import Table

_ASIDE = frozenset(
    (
        "bench",
        "benchmarks",
        "build",
        "doc",
        "docs",
        "example",
        "examples",
        "samples",
        "scripts",
        "test",
        "testing",
    )
) | {"tests", "tools"}
"""Top-level directories of a package that hold no code of it."""
_CACHES = re.compile(
    r"(^|/)(\.[^/]*|__pycache__|node_modules|[^/]*\.egg-info)(/|$)|\.(py[cod]|so|dylib|dll|log|orig|rej|swp)$|~$"
)
_BACKUPS = re.compile(r"(^|/)(pyproject\.toml\.(bak|orig)|\.pyproject\.toml\.releasekit)$")
_BUILD_OUTPUT = re.compile(
    r"(^|/)(dist/[^/]+\.(whl|tar\.gz)|[^/]+\.egg-info/PKG-INFO|build/lib/.+)$"
)
_TYPED = "Typing :: Typed"
_FIRST_VERSIONS = frozenset(map(Version, ("0", "0.0.1", "0.1", "1.0")))
"""Usual versions of packages that have no release yet."""


def stale_artifacts(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find leftovers of earlier builds and edits: other versions in dist/, build output in git, backups."""
    return chain.from_iterable(map(_check_leftovers, facts))


def _check_leftovers(package: Package) -> Iterator[Found]:
    stale = sorted(name for name in package.built if _is_stale(name, package))
    is_root = package.member.path == "."
    if stale and not is_root:
        yield Found(
            package.name,
            f"{package.name} has builds of other versions in dist/: {summarize(stale)}",
            file=package.at(f"dist/{stale[0]}"),
            hint="Remove dist/. Otherwise a manual upload of everything in it includes them.",
        )
    tracked = sorted(filter(_BUILD_OUTPUT.search, package.files))
    if tracked:
        yield Found(
            package.name,
            f"{package.name} has build output that git does not ignore: {summarize(tracked)}",
            file=package.at(tracked[0]),
            hint="Remove it from git (`git rm -r --cached`) and ignore it. Otherwise a release may include it.",
        )
    backups = sorted(filter(_BACKUPS.search, (*package.files, *package.ignored)))
    if backups:
        yield Found(
            package.name,
            f"{package.name} has leftover backup files: {summarize(backups)}",
            file=package.at(backups[0]),
        )


def type_markers(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose types are invisible: type checkers require a file py.typed (PEP 561)."""
    coded = [package for package in facts.presented if modules_of(package.sources)]
    unmarked = list(filterfalse(_has_type_marker, coded))
    marked_count = len(coded) - len(unmarked)
    most_are_marked = marked_count * 2 > len(coded)
    for package in unmarked:
        first_module = modules_of(package.sources)[0]
        marker = f"{first_module}/py.typed"
        if _TYPED in package.project.get("classifiers", ()):
            yield package.project_finding(
                "classifiers",
                f"{package.name} declares that it is typed, but has no py.typed",
                item=_TYPED,
                fix=NewFile(package.at(marker)),
            )
        elif most_are_marked:
            yield package.found(
                f"{package.name} has no py.typed, but most of its siblings have one",
                hint=f"Add {marker} if other projects may use its types.",
                severity=Severity.NOTE,
            )


def version_consistency(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find contradicting versions: in the code of a package, and among packages that share a version."""
    for package in drop_named(facts.published, facts.prepared):
        yield from _check_code_versions(package, facts)
    for group in _fixed_groups(facts):
        yield from _check_shared_version(group, facts)


def _fixed_groups(facts: WorkspaceFacts) -> list[VersionGroup]:
    """Return the groups whose packages share one version."""
    groups = version_groups(facts.workspace, facts.settings)
    return [group for group in groups if group.fixed]


def _check_code_versions(package: Package, facts: WorkspaceFacts) -> Iterator[Found]:
    declared = package.member.version
    if declared is None:
        return
    written = set(_written_paths(package))
    generated = tuple(_generated_patterns(package))
    for path, text in sorted(package.texts.items()):
        match = CODE_VERSION.search(text) if path.endswith(".py") else None
        if not match or matches_any(path, generated):
            continue
        found = Found(
            package.name,
            f"{package.name} has version {declared}, but its code says {match[1]}",
            file=package.at(path),
            line=text.count("\n", 0, match.start()) + 1,
            hint="Read it with importlib.metadata.version, or list the file in `bump`.",
        )
        if parse_version(match[1]) != declared:
            yield found
        elif path not in written and not facts.settings.pre_release:  # a command may write it
            message = (
                f"{package.name} has its version in its code too, where releases do not change it"
            )
            pattern = "{version}".join(match[0].rsplit(match[1], 1))
            is_unique = text.count(match[0]) == 1 == len(CODE_VERSION.findall(text))
            fix = AddVersionFile(package.file, path, pattern) if is_unique else None
            yield replace(found, what=message, fix=fix)


def _written_paths(package: Package) -> Iterator[str]:
    """Yield the files to which a release writes the version of *package*."""
    yield package.member.version_file
    for file in bump_files(package.document, package.file):
        yield file.path


def _check_shared_version(group: VersionGroup, facts: WorkspaceFacts) -> Iterator[Found]:
    versions = {name: facts.workspace[name].version for name in group.names}
    counts = Counter(versions.values())
    if not counts:
        return
    common_version, _ = counts.most_common(1)[0]
    for name, version in versions.items():
        if version != common_version:
            yield facts[name].project_finding(
                "version",
                f"{name} has version {version}, but the common version is {common_version} ({group.title})",
                hint="The next release gives them one version: the highest that any of them would get.",
            )


def ignored_files(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find files that a package needs and git ignores: a release is built from a commit, so it lacks them."""
    for owner, path in facts.ignored_changelogs.items():
        yield Found(
            owner,
            "git ignores this changelog, so release commits do not contain it",
            file=path,
            hint=ERRORS[ErrorCode.CHANGELOG_IGNORED].hint,
        )
    for package in drop_named(facts.published, facts.prepared):
        documents = {path for path in package.ignored if _is_document(path, package)}
        module_files = _ignored_module_files(package)
        code = {path for path in module_files if path.endswith((".py", ".typed"))}
        essential = documents | code
        paths = sorted(documents | module_files)
        if paths:
            severity = Severity.ERROR if essential else None
            yield Found(
                package.name,
                f"git ignores files that {package.name} needs: {summarize(paths)}",
                file=package.at(paths[0]),
                severity=severity,
            )


def _is_document(path: str, package: Package) -> bool:
    """Return whether the build includes *path* as the README or as a license file (PEP 639)."""
    if path == readme_file(package):
        return True
    is_directory = path.endswith("/")
    globs = license_globs(package) or LICENSES
    return not is_directory and matches_any(path, globs)


def _ignored_module_files(package: Package) -> set[str]:
    """Return the ignored files in the import packages of *package*, without caches and what the build generates."""
    prefixes = tuple(f"{directory}/" for directory in modules_of(package.files))
    generated = tuple(_generated_patterns(package))
    module_files = (path for path in package.ignored if path.startswith(prefixes))
    written_files = filterfalse(_CACHES.search, module_files)
    return {path for path in written_files if not matches_any(path, generated)}


def lock_stale(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find a uv.lock that no longer matches the pyproject.toml files; a release refuses it."""
    if facts.lock == "stale":
        yield Found("", "uv.lock does not match the pyproject.toml files", file="uv.lock")
    elif facts.lock not in ("current", "none", "unasked"):
        yield Found(
            "",
            f"uv cannot check whether uv.lock is current: {facts.lock}",
            file="uv.lock",
            hint=LOCK_HINT,
        )


def tag_baseline(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose version shows earlier releases, but whose last release has no tag."""
    if facts.tagged is None:
        return
    no_release_yet = {None, *_FIRST_VERSIONS}
    released = [
        package for package in facts.published if package.member.version not in no_release_yet
    ]
    untagged = [package for package in released if package.name not in facts.tagged]
    if untagged and not facts.tagged:
        yield _no_tags_finding(untagged)
        return
    in_fixed_group = set(chain.from_iterable(group.names for group in _fixed_groups(facts)))
    for package in untagged:
        if package.name not in in_fixed_group:  # a new package starts at the shared version
            message = f"{package.name} has version {package.member.version}, but no tag marks its last release"
            yield package.project_finding("version", message)


def build_tags(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose build reads other tags than those that releases make."""
    for name, problem in facts.unread_tags.items():
        yield facts[name].project_finding("dynamic", f"{name}: {problem}")


def _no_tags_finding(untagged: Sequence[Package]) -> Found:
    """Return one finding for the whole workspace, at the version of the first package."""
    names = summarize(names_of(untagged))
    message = f"there are no release tags, but these versions are probably not the first: {names}"
    finding = untagged[0].project_finding("version", message)
    return replace(finding, package="")


def modules_of(files: Iterable[str]) -> tuple[str, ...]:
    """Return the directories of the outermost import packages among *files* of a distribution."""
    packages = {path.rpartition("/")[0] for path in files if path.endswith("/__init__.py")}
    outermost: list[str] = []
    for path in sorted(packages):
        top = path.split("/")[0]
        parents = map(str, PurePosixPath(path).parents)
        is_outermost = packages.isdisjoint(parents)
        if is_outermost and top not in _ASIDE:
            outermost.append(path)
    return tuple(outermost)


def _has_type_marker(package: Package) -> bool:
    return any(path.endswith("py.typed") for path in package.files)


def _is_stale(name: str, package: Package) -> bool:
    """Return whether the file *name* is a build of a version that differs from that of *package*."""
    try:
        _, version = parse_file_name(name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    return package.member.version not in (None, version)


def _generated_patterns(package: Package) -> Iterator[str]:
    """Yield glob patterns of files that the build generates, so that they need no commit."""
    tool = table_at(package.document, "tool")
    yield from _version_files(table_at(tool, "setuptools_scm"))
    build = table_at(tool, "hatch", "build")
    targets = map(table_at, table_at(build, "targets").values())
    for target in (build, *targets):
        yield from _version_files(table_at(target, "hooks", "vcs"))
        yield from _version_files(table_at(target, "hooks", "version"))
        artifacts: Iterable[str] = target.get("artifacts", ())
        yield from (pattern.lstrip("/") for pattern in artifacts)
    if write_to := table_at(tool, "pdm", "version").get("write_to"):
        yield f"*{write_to}"
    is_written_by_build = package.is_dynamic("version") and not package.member.version_file
    if is_written_by_build:
        source = version_source(package.document)
        yield from (location.path for location in source.locations)


def _version_files(hook: Table) -> list[str]:
    """Return the files to which the build hook with the settings *hook* writes the version."""
    keys = ("version-file", "path", "version_file", "write_to")
    return [str(hook[key]) for key in keys if key in hook]


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
        "Versions contradict each other, or will after the next release.",
        "Make them the same.",
        version_consistency,
    ),
    Check(
        "ignored_files",
        Severity.WARNING,
        "Git ignores a file that the package needs, so releases lack it.",
        "Commit it (`git add --force`), or let the build or a `pre_build` command write it.",
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
    Check(
        "build_tags",
        Severity.WARNING,
        "The build of a package reads its version from other tags than those that releases make.",
        "Give the package a `tag_format` that its build reads, or change the setting of the build.",
        build_tags,
    ),
)
