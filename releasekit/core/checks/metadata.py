"""Checks of the metadata of packages, as indexes and users see it."""

from __future__ import annotations

import re
from collections import ChainMap, Counter, defaultdict
from fnmatch import fnmatchcase
from itertools import chain, filterfalse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from releasekit.core.checks.facts import Check, Found, Severity
from releasekit.core.checks.fixes import AddItem, DropItem, NewFile, SetKey
from releasekit.core.markdown_spans import without_code
from releasekit.core.picking import drop_named
from releasekit.core.text import summarize
from releasekit.core.workspace.dynamic_version import table_at
from releasekit.core.workspace.workspace import Kind, looks_publishable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.checks.facts import Package, WorkspaceFacts
    from releasekit.core.checks.fixes import Fix

LICENSES = ("LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*")
"""The globs that build backends use if `license-files` is not set (PEP 639)."""

_RENDERED = {"text/markdown", "text/x-rst", "text/plain"}  # core metadata, Description-Content-Type
_SUFFIXES = {".md", ".rst", ".txt"}
_PLACEHOLDERS = {"add your description here", "todo", "fixme"}  # the first is uv's own
_README = re.compile(r"readme\.(md|rst|txt)", re.IGNORECASE)
# Bounded, because an image without an end must not be searched for through the whole text.
_IMAGE = re.compile(
    r"""!\[[^\]]{0,500}\]\(\s{0,9}<?([^)\s>]+)|<img\b[^>]{0,500}?\bsrc\s{0,9}=\s{0,9}["']([^"']{1,2000})""",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)
_LICENSE_CLASSIFIER = "License ::"
PRIVATE = "Private :: Do Not Upload"


def missing_license(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages without a license or without the license text."""
    for package in drop_named(facts.presented, facts.prepared):
        globs = license_globs(package)
        if _has_license_text(package, globs):
            continue
        if globs:
            message = f"no file matches the license-files of {package.name}: {', '.join(globs)}"
            yield package.project_finding("license-files", message)
        elif not table_at(package.project, "license"):  # the table has the text, or names its file
            yield _no_license_finding(package, facts)


def _no_license_finding(package: Package, facts: WorkspaceFacts) -> Found:
    fix = _root_license(facts, package)
    if _names_license(package):
        return package.project_finding(
            "license",
            f"{package.name} names its license, but the license text is missing",
            severity=Severity.WARNING,
            fix=fix,
        )
    return package.found(f"{package.name} has no license", fix=fix)


def license_expression(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find licenses not written as PEP 639 requires: an index or a build backend refuses them."""
    for package in facts.presented:
        license_value = package.project.get("license")
        if isinstance(license_value, str):
            yield from _check_expression(package, license_value)
            yield from _check_license_classifiers(package)
        elif license_value is not None:
            yield package.project_finding(
                "license",
                f"{package.name} has its license in a table, which PEP 639 deprecates",
                hint='Write the SPDX expression, such as `license = "MIT"`, and `license-files = ["LICENSE"]`.',
                severity=Severity.NOTE,
            )


def _check_license_classifiers(package: Package) -> Iterator[Found]:
    """Yield a finding for each license classifier of *package*, which has a license expression too."""
    path = ("project", "classifiers")
    for text in package.classifiers(_LICENSE_CLASSIFIER):
        yield package.found(
            f"{package.name} has both a license expression and the classifier {text}",
            *path,
            item=text,
            hint="Remove the classifier: the expression replaces it (PEP 639), and some backends refuse both.",
            severity=Severity.WARNING,
            fix=DropItem(package.file, path, text),
        )


def missing_readme(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose page on an index would be empty, or whose README does not exist."""
    for package in facts.presented:
        file = readme_file(package)
        is_missing = file and file not in package.files and package.name not in facts.prepared
        if is_missing:
            problem = "git ignores" if file in package.ignored else "is not in its directory"
            yield package.project_finding(
                "readme",
                f"the readme of {package.name} is {file}, which {problem}",
                hint="Write it there, let a `pre_build` command do so, or fix the name: no build works without it.",
            )
        elif not package.says("readme"):
            yield _undeclared_readme_finding(package)


def _undeclared_readme_finding(package: Package) -> Found:
    readmes = _readmes(package.files)
    if not readmes:
        return package.found(f"{package.name} has no README")
    readme = readmes[0]
    message = f'{package.name} has a {readme} that no index shows: `readme = "{readme}"` is missing'
    fix = SetKey(package.file, ("project", "readme"), readme)
    return package.found(message, fix=fix)


def readme_rendering(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find READMEs that an index refuses, or does not show as their repository does."""
    yield from chain.from_iterable(map(_check_readme, facts.presented))
    untried = [package for package in facts.presented if package.rendering is None]
    if untried:
        names = ", ".join(package.name for package in untried)
        yield untried[0].project_finding(
            "readme",
            f"not checked: whether an index can render the README of {names}",
            hint="Install releasekit with its extra `rst`, which includes readme_renderer.",
            severity=Severity.NOTE,
        )


def _check_readme(package: Package) -> Iterator[Found]:
    """Yield the problems that an index has with the README of *package*."""
    file, kind = readme_file(package), _content_type(package)
    if not _can_render(file, kind):
        yield package.project_finding(
            "readme",
            f"no index can show the readme of {package.name}: {kind or file}",
            hint="Use .md, .rst or .txt, or write `readme = { file = …, content-type = … }` with their types.",
        )
    if package.rendering:
        message = f"{file} cannot be rendered: {package.rendering}"
        yield package.project_finding("readme", message)
    shown_as_markdown = kind == "text/markdown" if kind else _is_markdown(file)
    if shown_as_markdown:
        yield from _check_images(package, file)


def _can_render(file: str, kind: str) -> bool:
    """Return whether indexes render the content type *kind*; without one, the suffix of *file* decides."""
    if kind:
        return kind in _RENDERED
    suffix = PurePosixPath(file).suffix.lower()
    return not file or suffix in _SUFFIXES


def metadata_completeness(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages without the metadata that people look for on an index."""
    for package in facts.presented:
        missing = _missing_keys(package)
        description = package.project.get("description", "")
        if missing:
            severity = Severity.NOTE if missing == ["urls"] else None
            message = f"{package.name} lacks {', '.join(missing)}"
            yield package.found(message, severity=severity)
        elif description.strip(" .!").lower() in _PLACEHOLDERS:
            message = f'the description of {package.name} is "{description}"'
            yield package.project_finding("description", message)


def _missing_keys(package: Package) -> list[str]:
    """Return the keys of [project] that people look for and *package* lacks."""
    missing = list(filterfalse(package.says, ("description", "requires-python", "urls")))
    has_people = package.says("authors") or package.says("maintainers")
    if not has_people:
        missing.append("authors")
    has_text = _has_license_text(package, globs=None)
    if has_text and not _names_license(package):
        missing.append("license")  # if the text is missing too, missing_license reports it
    return missing


def normalized_names(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find names that are not normalized (PEP 503), as indexes, file names and release tags have them."""
    for package in facts.published:
        raw = package.member.raw_name
        if raw != package.name:
            backend = table_at(package.document, "build-system").get("build-backend", "")
            is_module = "flit_core" in str(backend)
            message = f"indexes and installers call {raw} {package.name}"
            fix = None if is_module else SetKey(package.file, ("project", "name"), package.name)
            yield package.project_finding("name", message, fix=fix)


def naming_convention(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose name does not follow from their directory as the names of their neighbours do."""
    for parent, packages in _packages_by_parent(facts).items():
        pattern = _common_name_pattern(packages)
        if pattern:
            yield from _check_names(packages, pattern, parent or "the root")


def _packages_by_parent(facts: WorkspaceFacts) -> dict[str, list[Package]]:
    """Return the packages by the directory that they are in, without the one at the root."""
    neighbours: defaultdict[str, list[Package]] = defaultdict(list)
    for package in facts:
        if package.member.path != ".":
            parent, _ = _split_path(package)
            neighbours[parent].append(package)
    return neighbours


def _split_path(package: Package) -> tuple[str, str]:
    """Return the parent directory of *package*, and the name of its directory."""
    parent, _, directory = package.member.path.rpartition("/")
    return parent, directory


def _check_names(packages: Sequence[Package], pattern: str, parent: str) -> Iterator[Found]:
    """Yield a finding for each of *packages* in the directory *parent* whose name does not follow *pattern*."""
    for package in packages:
        _, directory = _split_path(package)
        name = pattern.format(canonicalize_name(directory))
        if package.name != name:
            message = f"{package.name} is in {directory}; the pattern of most names in {parent} gives {name}"
            yield package.project_finding("name", message)


def direct_references(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find published requirements on a URL, which indexes refuse, and ones that only this workspace redirects."""
    shared = _uv_sources(facts.document)
    for package in facts.published:
        sources = ChainMap(_uv_sources(package.document), shared)
        for need in package.written:
            if need.kind is Kind.BUILD:
                continue  # only builds fetch it, and it is not in the published metadata
            source_kind = _source_kind(sources.get(need.name))
            if need.requirement.url:
                message = f"{package.name} requires a URL: {need.text}"
                yield package.requirement_finding(need, message)
            elif source_kind and need.name not in facts.packages:
                origin = f"from {source_kind} in development"
                yield package.requirement_finding(
                    need,
                    f"{package.name} uses {need.name} {origin}, but its users get it from the index",
                    hint="Publish the version that you need, or make sure that the published one works.",
                    severity=Severity.WARNING,
                )


def _uv_sources(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the entries of `tool.uv.sources` in *document*, by normalized name."""
    sources = table_at(document, "tool", "uv", "sources")
    return {canonicalize_name(name): source for name, source in sources.items()}


def private_classifier(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find samples that could be uploaded by accident."""
    for package in facts:
        is_unprotected_sample = package.is_sample and looks_publishable(package.document)
        if not is_unprotected_sample:
            continue
        if not package.member.publishable:
            yield package.found(
                f"only the settings exclude {package.name}; a manual upload would succeed",
                severity=Severity.NOTE,
                fix=AddItem(package.file, ("project", "classifiers"), PRIVATE),
            )
        elif not facts.settings.packages:  # `packages` lists it on purpose
            message = f"{package.name} looks like a sample, but would be published"
            yield package.found(message)


def readme_file(package: Package) -> str:
    """Return the path of the README that [project] of *package* names; empty if it names none."""
    readme = package.project.get("readme", "")
    if isinstance(readme, str):
        return readme
    return str(readme.get("file", ""))


def license_globs(package: Package) -> Sequence[str] | None:
    """Return the globs in `license-files` (PEP 639); None if it is not set as a list."""
    globs: object = package.project.get("license-files")
    return cast("list[str]", globs) if isinstance(globs, list) else None


def matches_any(path: str, globs: Collection[str]) -> bool:
    """Return whether *path* matches one of *globs*; their `*` matches "/" too."""
    return _any_matches([path], globs)


def _any_matches(paths: Iterable[str], globs: Collection[str]) -> bool:
    """Return whether one of *paths* matches one of *globs*."""
    return any(fnmatchcase(path, glob) for path in paths for glob in globs)


def _has_license_text(package: Package, globs: Sequence[str] | None) -> bool:
    """Return whether *package* has a file that matches *globs*; None means the globs of the build backends."""
    if globs is None:
        top_level = [path.upper() for path in package.files if "/" not in path]
        return _any_matches(top_level, LICENSES)
    at_top = [glob.replace("**/", "") for glob in globs]
    return _any_matches(package.files, (*globs, *at_top))


def _names_license(package: Package) -> bool:
    return package.says("license") or bool(package.classifiers(_LICENSE_CLASSIFIER))


def _root_license(facts: WorkspaceFacts, package: Package) -> Fix | None:
    """Return the fix that copies the root's license into *package*; None if the package has another license."""
    if not facts.license_file:
        return None
    shared = table_at(facts.document, "project").get("license")
    own = package.project.get("license")
    are_expressions = isinstance(own, str) and isinstance(shared, str)
    if are_expressions and own != shared:
        return None
    return NewFile(package.at(facts.license_file), facts.license_text)


def _check_expression(package: Package, expression: str) -> Iterator[Found]:
    try:
        canonical = canonicalize_license_expression(expression)
    except InvalidLicenseExpression as error:
        hint = "Use identifiers from the SPDX list, or LicenseRef-Something, joined by AND, OR and WITH."
        # Other errors only repeat the expression.
        why = f": {error}" if str(error).startswith("Unknown") else ""
        yield package.project_finding(
            "license", f"{expression!r} is not a license expression{why}", hint=hint
        )
        return
    if canonical != expression:
        yield package.project_finding(
            "license",
            f"the canonical form of the license expression {expression!r} is {canonical}",
            severity=Severity.NOTE,
            fix=SetKey(package.file, ("project", "license"), canonical),
        )


def _readmes(files: frozenset[str]) -> list[str]:
    """Return the top-level READMEs among *files*, Markdown first."""
    by_name = sorted(filter(_README.fullmatch, files))
    return sorted(by_name, key=_is_markdown, reverse=True)


def _is_markdown(file: str) -> bool:
    return file.lower().endswith(".md")


def _content_type(package: Package) -> str:
    """Return the content type that `readme` of *package* names, without parameters; empty if it names none."""
    readme = table_at(package.project, "readme")
    kind, _, _ = str(readme.get("content-type", "")).partition(";")
    return kind.strip().lower()


def _check_images(package: Package, file: str) -> Iterator[Found]:
    """Yield one finding for all images in the README that only the repository can show."""
    text = without_code(package.texts.get(file, ""))
    images = [(image[1] or image[2], image.start()) for image in _IMAGE.finditer(text)]
    lost = [(name, start) for name, start in images if not _ELSEWHERE.match(name)]
    if not lost:
        return
    names, starts = zip(*lost, strict=True)
    yield Found(
        package.name,
        f"no index shows {summarize(names, 1)} in the README of {package.name}",
        file=package.at(file),
        line=text.count("\n", 0, starts[0]) + 1,
        hint="Use the full URL of the image: an index has only the text of a README.",
        severity=Severity.WARNING,
    )


def _name_pattern(package: Package) -> str:
    """Return the name with "{}" in place of the directory's name; empty if the name does not contain it."""
    _, directory = _split_path(package)
    before, separator, after = package.name.partition(canonicalize_name(directory))
    return f"{before}{{}}{after}" if separator else ""


def _common_name_pattern(packages: Sequence[Package]) -> str:
    """Return the name pattern that enough *packages* share to be a convention; empty if there is none."""
    patterns = Counter(map(_name_pattern, packages))
    del patterns[""]
    if not patterns:
        return ""
    pattern, count = patterns.most_common(1)[0]
    is_convention = count >= _MIN_PACKAGES and count >= _MIN_SHARE * len(packages)
    return pattern if is_convention else ""


# A convention needs this many packages, and this share of the directory.
_MIN_PACKAGES, _MIN_SHARE = (
    3,
    0.75,
)


def _source_kind(source: object) -> str:
    """Return where a `tool.uv.sources` entry takes a package from: "git", "url" or "path"; empty for an index."""
    entries = cast("list[object]", source) if isinstance(source, list) else [source]
    tables = map(table_at, entries)
    kinds = (key for table in tables for key in ("git", "url", "path") if key in table)
    return next(kinds, "")


CHECKS = (
    Check(
        "missing_license",
        Severity.ERROR,
        "A package lacks a license, or the license text.",
        "Add a LICENSE file next to its pyproject.toml. One at the root of the workspace is in no package.",
        missing_license,
    ),
    Check(
        "license_expression",
        Severity.ERROR,
        "A license is not written as PEP 639 requires.",
        "Write a valid SPDX expression.",
        license_expression,
    ),
    Check(
        "missing_readme",
        Severity.ERROR,
        "A package's page on the index would be empty, or its build would fail.",
        'Write a README.md, and add `readme = "README.md"` to [project].',
        missing_readme,
    ),
    Check(
        "readme_rendering",
        Severity.ERROR,
        "An index cannot show a README, or shows it differently.",
        "Fix the markup; `python -m readme_renderer FILE` shows how an index renders it.",
        readme_rendering,
        frozenset({"rendering"}),
    ),
    Check(
        "metadata_completeness",
        Severity.WARNING,
        "A package lacks metadata that people look for on an index.",
        "Add what is missing to [project].",
        metadata_completeness,
    ),
    Check(
        "normalized_names",
        Severity.NOTE,
        "A name is not normalized (PEP 503).",
        "Write the normalized name, or ignore this check for the package: both names work.",
        normalized_names,
    ),
    Check(
        "naming_convention",
        Severity.WARNING,
        "A package is not named like its neighbours.",
        "Rename the directory, or ignore this check for the package: a published name cannot change.",
        naming_convention,
    ),
    Check(
        "direct_references",
        Severity.ERROR,
        "A package requires a URL, which PyPI refuses, or a source that its users do not get.",
        "Require a published version by its name; [tool.uv.sources] may still redirect it for development.",
        direct_references,
    ),
    Check(
        "private_classifier",
        Severity.WARNING,
        "A sample could be uploaded.",
        f'Add "{PRIVATE}" to its classifiers, or list what is published in `packages`.',
        private_classifier,
    ),
)
