"""Checks of the metadata of packages, as indexes and users see it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from releasekit.core.checks.facts import Check, Severity
from releasekit.core.checks.fixes import AddItem, DropItem, NewFile, SetKey
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from releasekit.core.checks.facts import Found, Package, WorkspaceFacts
    from releasekit.core.checks.fixes import Fix

LICENSES = ("LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*")
"""The globs that build backends use if `license-files` is not set (PEP 639)."""

_RENDERED = {"text/markdown", "text/x-rst", "text/plain"}  # core metadata, Description-Content-Type
_SUFFIXES = {".md", ".rst", ".txt"}
_PLACEHOLDERS = {"add your description here", "todo", "fixme"}  # the first is uv's own
_IMAGE = re.compile(r"""!\[[^\]]*\]\(\s*<?([^)\s>]+)|<img\b[^>]*?\bsrc\s*=\s*["']([^"']+)""", re.IGNORECASE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)
_FENCED = re.compile(r"^(```|~~~).*?^\1|<!--.*?-->|`[^`\n]*`", re.MULTILINE | re.DOTALL)
PRIVATE = "Private :: Do Not Upload"


def missing_license(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages without a license or without the license text."""
    for package in facts.presented:
        globs = license_globs(package)
        texts = [path for path in package.files if _is_license(path, globs)]
        if texts:
            continue
        if globs:
            message = f"no file matches the license-files of {package.name}: {', '.join(globs)}"
            yield package.found(message, "project", "license-files")
            continue
        license_value: object = package.project.get("license")
        if isinstance(license_value, dict) and license_value:
            continue  # the table has the text, or names its file
        fix = _root_license(facts, package)
        if _names_license(package):
            message = f"{package.name} names its license, but the license text is missing"
            yield package.found(message, "project", "license", severity=Severity.WARNING, fix=fix)
        else:
            yield package.found(f"{package.name} has no license", fix=fix)


def license_expression(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find licenses not written as PEP 639 requires: an index or a build backend refuses them."""
    for package in facts.presented:
        license_value = package.project.get("license")
        classifiers = [text for text in package.project.get("classifiers", ()) if text.startswith("License ::")]
        if isinstance(license_value, str):
            yield from _check_expression(package, license_value)
            for text in classifiers:
                message = f"{package.name} has both a license expression and the classifier {text}"
                path = ("project", "classifiers")
                fix = DropItem(package.file, path, text)
                hint = "Remove the classifier: the expression replaces it (PEP 639), and some backends refuse both."
                yield package.found(message, *path, item=text, hint=hint, severity=Severity.WARNING, fix=fix)
        elif license_value is not None:
            message = f"{package.name} has its license in a table, which PEP 639 deprecates"
            hint = 'Write the SPDX expression, such as `license = "MIT"`, and `license-files = ["LICENSE"]`.'
            yield package.found(message, "project", "license", hint=hint, severity=Severity.NOTE)


def missing_readme(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose page on an index would be empty, or whose README does not exist."""
    for package in facts.presented:
        file = readme_file(package)
        readmes = _readmes(package.files)
        if file and file not in package.files:
            problem = "git ignores" if file in package.ignored else "does not exist"
            message = f"the readme of {package.name} is {file}, which {problem}"
            hint = "Write it, or fix the name: no build works without it."
            yield package.found(message, "project", "readme", hint=hint)
        elif package.says("readme"):
            continue
        elif readmes:
            fix = SetKey(package.file, ("project", "readme"), readmes[0])
            message = f'{package.name} has a {readmes[0]} that no index shows: `readme = "{readmes[0]}"` is missing'
            yield package.found(message, fix=fix)
        else:
            yield package.found(f"{package.name} has no README")


def readme_rendering(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find READMEs that an index refuses, or does not show as their repository does."""
    untried: list[Package] = []
    for package in facts.presented:
        file, kind = readme_file(package), _content_type(package)
        if not _can_render(file, kind):
            message = f"no index can show the readme of {package.name}: {kind or file}"
            hint = "Use .md, .rst or .txt, or write `readme = { file = …, content-type = … }` with their types."
            yield package.found(message, "project", "readme", hint=hint)
        if package.rendering is None:
            untried.append(package)
        elif package.rendering:
            yield package.found(f"{file} cannot be rendered: {package.rendering}", "project", "readme")
        if kind == "text/markdown" or (not kind and file.lower().endswith(".md")):
            yield from _check_images(package, file)
    if untried:
        names = ", ".join(package.name for package in untried)
        hint = "Install releasekit with its extra `rst`, which includes readme_renderer."
        message = f"not checked: whether an index can render the README of {names}"
        yield untried[0].found(message, "project", "readme", hint=hint, severity=Severity.NOTE)


def _can_render(file: str, kind: str) -> bool:
    """Return whether indexes render the content type *kind*; without one, the suffix of *file* decides."""
    if kind:
        return kind in _RENDERED
    return not file or PurePosixPath(file).suffix.lower() in _SUFFIXES


def metadata_completeness(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages without the metadata that people look for on an index."""
    for package in facts.presented:
        missing = [key for key in ("description", "requires-python", "urls") if not package.says(key)]
        if not (package.says("authors") or package.says("maintainers")):
            missing.append("authors")
        has_license_text = any(_is_license(path, None) for path in package.files)
        if has_license_text and not _names_license(package):
            missing.append("license")  # if the text is missing too, missing_license reports it
        description = package.project.get("description", "")
        if missing:
            severity = Severity.NOTE if missing == ["urls"] else None
            yield package.found(f"{package.name} lacks {', '.join(missing)}", severity=severity)
        elif description.strip(" .!").lower() in _PLACEHOLDERS:
            message = f'the description of {package.name} is "{description}"'
            yield package.found(message, "project", "description")


def normalized_names(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find names that are not normalized (PEP 503), as indexes, file names and release tags have them."""
    for package in facts.published:
        raw = package.member.raw_name
        if raw != package.name:
            is_module = "flit_core" in str(package.document.get("build-system", {}).get("build-backend", ""))
            fix = None if is_module else SetKey(package.file, ("project", "name"), package.name)
            yield package.found(f"indexes and installers call {raw} {package.name}", "project", "name", fix=fix)


def naming_convention(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose name does not follow from their directory as the names of their neighbours do."""
    neighbours: dict[str, list[Package]] = {}
    for package in facts:
        if package.member.path != ".":
            neighbours.setdefault(package.member.path.rpartition("/")[0], []).append(package)
    for parent, packages in neighbours.items():
        pattern = _common_name_pattern(packages)
        if not pattern:
            continue
        for package in packages:
            directory = package.member.path.rpartition("/")[2]
            name = pattern.format(canonicalize_name(directory))
            if package.name != name:
                around = parent or "the root"
                message = f"{package.name} is in {directory}; the pattern of most names in {around} gives {name}"
                yield package.found(message, "project", "name")


def direct_references(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find published requirements on a URL, which indexes refuse, and ones that only this workspace redirects."""
    shared = facts.document.get("tool", {}).get("uv", {}).get("sources", {})
    for package in facts.published:
        own = package.document.get("tool", {}).get("uv", {}).get("sources", {})
        sources: dict[str, object] = {canonicalize_name(name): source for name, source in {**shared, **own}.items()}
        for need in package.written:
            if need.kind is Kind.BUILD:
                continue  # only builds fetch it, and it is not in the published metadata
            if need.requirement.url:
                yield package.found(f"{package.name} requires a URL: {need.text}", *need.path, item=need.text)
            elif need.name in facts.workspace.members:
                continue
            elif kind := _source_kind(sources.get(need.name)):
                message = (
                    f"{package.name} uses {need.name} from {kind} in development, but its users get it from the index"
                )
                hint = "Publish the version that you need, or make sure that the published one works."
                yield package.found(message, *need.path, item=need.text, hint=hint, severity=Severity.WARNING)


def private_classifier(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find samples that could be uploaded by accident."""
    for package in facts:
        builds = "build-system" in package.document
        is_virtual = package.document.get("tool", {}).get("uv", {}).get("package") is False
        marked = any(text.startswith("Private ::") for text in package.project.get("classifiers", ()))
        if not package.is_sample or not builds or is_virtual or marked:
            continue
        if not package.member.publishable:
            fix = AddItem(package.file, ("project", "classifiers"), PRIVATE)
            message = f"only the settings exclude {package.name}; a manual upload would succeed"
            yield package.found(message, severity=Severity.NOTE, fix=fix)
        elif not facts.settings.packages:  # `packages` lists it on purpose
            message = f"{package.name} looks like a sample, but would be published"
            yield package.found(message)


def readme_file(package: Package) -> str:
    """Return the path of the README that [project] of *package* names; empty if it names none."""
    readme = package.project.get("readme", "")
    return readme if isinstance(readme, str) else str(readme.get("file", ""))


def license_globs(package: Package) -> Sequence[str] | None:
    """Return the globs in `license-files` (PEP 639); None if it is not set as a list."""
    globs: object = package.project.get("license-files")
    return cast("list[str]", globs) if isinstance(globs, list) else None


def _is_license(path: str, globs: Sequence[str] | None) -> bool:
    if globs is not None:
        at_top = [glob.replace("**/", "") for glob in globs]
        return any(fnmatchcase(path, glob) for glob in (*globs, *at_top))
    if "/" in path:
        return False
    return any(fnmatchcase(path.upper(), glob.upper()) for glob in LICENSES)


def _names_license(package: Package) -> bool:
    if package.says("license"):
        return True
    classifiers = package.project.get("classifiers", ())
    return any(text.startswith("License ::") for text in classifiers)


def _root_license(facts: WorkspaceFacts, package: Package) -> Fix | None:
    """Return the fix that copies the root's license into *package*; None if the package has another license."""
    if not facts.license_file:
        return None
    shared = facts.document.get("project", {}).get("license")
    own = package.project.get("license")
    both_known = isinstance(own, str) and isinstance(shared, str)
    if both_known and own != shared:
        return None
    return NewFile(package.at(facts.license_file), facts.license_text)


def _check_expression(package: Package, expression: str) -> Iterator[Found]:
    try:
        canonical = canonicalize_license_expression(expression)
    except InvalidLicenseExpression as error:
        hint = "Use identifiers from the SPDX list, or LicenseRef-Something, joined by AND, OR and WITH."
        why = f": {error}" if str(error).startswith("Unknown") else ""  # other errors only repeat the expression
        yield package.found(f"{expression!r} is not a license expression{why}", "project", "license", hint=hint)
        return
    if canonical != expression:
        fix = SetKey(package.file, ("project", "license"), canonical)
        message = f"the canonical form of the license expression {expression!r} is {canonical}"
        yield package.found(message, "project", "license", severity=Severity.NOTE, fix=fix)


def _readmes(files: frozenset[str]) -> list[str]:
    """Return the top-level READMEs among *files*, Markdown first."""
    readmes = [path for path in files if re.fullmatch(r"readme\.(md|rst|txt)", path, re.IGNORECASE)]
    return sorted(readmes, key=lambda path: (not path.lower().endswith(".md"), path))


def _content_type(package: Package) -> str:
    readme: Any = package.project.get("readme")
    kind = str(readme.get("content-type", "")) if isinstance(readme, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return kind.partition(";")[0].strip().lower()


def _check_images(package: Package, file: str) -> Iterator[Found]:
    """Yield one finding for all images in the README that only the repository can show."""
    text = _FENCED.sub(lambda span: re.sub(r"[^\n]", " ", span[0]), package.texts.get(file, ""))
    lost: list[tuple[str, int]] = []
    for image in _IMAGE.finditer(text):
        name = image[1] or image[2]
        if not _ELSEWHERE.match(name):
            lost.append((name, image.start()))
    if not lost:
        return
    first, start = lost[0]
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    message = f"no index shows {first}{more} in the README of {package.name}"
    hint = "Use the full URL of the image: an index has only the text of a README."
    finding = package.found(message, hint=hint, severity=Severity.WARNING)
    line = text.count("\n", 0, start) + 1
    yield replace(finding, file=package.at(file), line=line)


def _name_pattern(package: Package) -> str:
    """Return the name with "{}" in place of the directory's name; empty if the name does not contain it."""
    directory = canonicalize_name(package.member.path.rpartition("/")[2])
    before, separator, after = package.name.partition(directory)
    return f"{before}{{}}{after}" if separator else ""


def _common_name_pattern(packages: Sequence[Package]) -> str:
    """Return the name pattern that enough *packages* share to be a convention; empty if there is none."""
    patterns = Counter(_name_pattern(package) for package in packages)
    del patterns[""]
    if not patterns:
        return ""
    pattern, count = patterns.most_common(1)[0]
    is_convention = count >= _MIN_PACKAGES and count >= _MIN_SHARE * len(packages)
    return pattern if is_convention else ""


_MIN_PACKAGES, _MIN_SHARE = 3, 0.75  # a convention needs this many packages, and this share of the directory


def _source_kind(source: object) -> str:
    """Return where a `tool.uv.sources` entry takes a package from: "git", "url" or "path"; empty for an index."""
    entries: list[Any] = cast("list[Any]", source) if isinstance(source, list) else [source]
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        for key in ("git", "url", "path"):
            if key in entry:
                return key
    return ""


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
