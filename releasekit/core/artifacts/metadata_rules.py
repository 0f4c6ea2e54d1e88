"""Rules about METADATA and PKG-INFO: what packaging validates, and what PyPI adds to it."""

from __future__ import annotations

import re
from email.utils import getaddresses
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from releasekit.core.addresses import split_address
from releasekit.core.artifacts.container_rules import has_hidden_characters
from releasekit.core.artifacts.problems import Problem, RuleSeverity, list_problem, printable
from releasekit.core.artifacts.wheel_rules import undecodable_metadata
from releasekit.core.picking import drop
from releasekit.core.workspace.pins import pin_mismatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from releasekit.core.artifacts.archive_facts import Archive, BuiltArtifacts


def described_archives(built: BuiltArtifacts) -> tuple[Archive, ...]:
    """Return the archives that have METADATA or PKG-INFO."""
    return tuple(archive for archive in built.archives if archive.metadata_path in archive.contents)


def invalid_metadata(archive: Archive) -> Iterator[Problem]:
    """Find fields that are not valid, and metadata that is not UTF-8."""
    undecodable = list(undecodable_metadata(archive))
    yield from list_problem(archive.name, "files that are not UTF-8", undecodable)
    has_metadata = archive.metadata_path in archive.contents
    if has_metadata and not undecodable:
        yield from (Problem(archive.name, text) for text in _metadata_problems(archive))


_FIELDS_OF_OTHER_RULES = frozenset(
    {"license-expression", "license-file", "requires-dist", "description-content-type"}
)
_MAX_SUMMARY = 512
_CONTROL = re.compile(rb"\0|\r(?!\n)")


def _metadata_problems(archive: Archive) -> Iterator[str]:
    raw = archive.contents[archive.metadata_path]
    if _CONTROL.search(raw):
        # Parsers disagree whether a bare carriage return begins a new field.
        yield "it has control characters"
    for field, text in archive.metadata_errors.items():
        if field not in _FIELDS_OF_OTHER_RULES:
            yield printable(text, limit=300)
    summary = archive.value("Summary")
    if len(summary) > _MAX_SUMMARY:
        yield f"Summary has {len(summary)} characters, and PyPI accepts {_MAX_SUMMARY}"
    for field in ("Author-email", "Maintainer-email"):
        addresses = [address for _, address in getaddresses(archive.values(field)) if address]
        faults = zip(addresses, map(_mail_fault, addresses), strict=True)
        for address, fault in filter(itemgetter(1), faults):
            yield f"{field} {printable(address)!r} is not an address that PyPI accepts: {printable(fault)}"
    if "dynamic" in map(str.lower, archive.values("Dynamic")):
        yield "Dynamic is no field that may be dynamic (PEP 643)"


def _mail_fault(address: str) -> str:
    """Return why PyPI refuses *address* as that of a person, by the library that PyPI uses; empty if it does not."""
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        return str(error)
    return ""


def hidden_text(archive: Archive) -> Iterator[Problem]:
    """Find invisible characters in the fields that an index shows in one line."""
    shown = [field for field in _SHOWN_FIELDS if any(map(_is_deceiving, archive.values(field)))]
    if _REORDERING.search(archive.description):
        shown.append("Description")
    yield from list_problem(archive.name, "fields with control or invisible characters", shown)


def reordered_sources(archive: Archive) -> Iterator[Problem]:
    """Find modules that editors show in another order than Python reads them (CVE-2021-42574)."""
    modules = [
        path
        for path, content in archive.contents.items()
        if path.endswith((".py", ".pyi")) and _REORDERING_UTF_8.search(content)
    ]
    yield from list_problem(archive.name, "modules with characters that reorder the text", modules)


_SHOWN_FIELDS = (
    "Summary",
    "Author",
    "Author-email",
    "Maintainer",
    "Maintainer-email",
    "Keywords",
    "License",
    "Project-URL",
)
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that show the text around them in another order. Marks of direction are usual in texts."""
_REORDERING_UTF_8 = re.compile(rb"\xe2(?:\x80[\xaa-\xae]|\x81[\xa6-\xa9])")


def _is_deceiving(value: str) -> bool:
    # A long field is folded into several lines, and an emoji may have a joiner.
    return has_hidden_characters(re.sub(r"[\r\n\t\u200d]", "", value))


def classifiers(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find classifiers that do not exist, that PyPI no longer accepts, or that forbid the upload."""
    valid, deprecated = _known_classifiers()
    for archive in described_archives(built):
        written = archive.values("Classifier")
        private = [text for text in written if text.startswith("Private ::")]
        unknown = [
            text
            for text in written
            if text not in valid | deprecated.keys() and text not in private
        ]
        old = [_with_replacement(text, deprecated[text]) for text in written if text in deprecated]
        yield from list_problem(archive.name, "the classifier forbids the upload", private)
        yield from list_problem(archive.name, "classifiers that do not exist", unknown)
        yield from list_problem(archive.name, "classifiers that PyPI no longer accepts", old)
        if archive.value("License-Expression"):
            licenses = list(filter(_is_license, written))
            message = "License-Expression replaces these classifiers (PEP 639)"
            yield from list_problem(archive.name, message, licenses, RuleSeverity.WARNING)


def _is_license(classifier: str) -> bool:
    return classifier.startswith("License ::")


@cache
def _known_classifiers() -> tuple[frozenset[str], Mapping[str, list[str]]]:
    import trove_classifiers

    return frozenset(trove_classifiers.classifiers), trove_classifiers.deprecated_classifiers


def _with_replacement(text: str, replacements: list[str]) -> str:
    return f"{text} (now {', '.join(replacements)})" if replacements else text


_MAX_LABEL = 32


def project_urls(archive: Archive) -> Iterator[Problem]:
    """Find links whose label or address PyPI refuses, and passwords in addresses."""
    problems = [
        (f"Project-URL {entry}", _link_problem(entry)) for entry in archive.values("Project-URL")
    ]
    for field in ("Home-page", "Download-URL"):
        urls = filter(None, archive.values(field))
        problems += [(f"{field} {url}", _address_problem(url)) for url in urls]
    for link, problem in filter(itemgetter(1), problems):
        shown = re.sub(r"://[^/\s]*@", "://***@", link)
        yield Problem(archive.name, f"{printable(shown)}: {problem}")


def _link_problem(entry: str) -> str:
    label, comma, url = (part.strip() for part in entry.partition(","))
    if not all((label, comma, url)):
        return "it must be a label and an address, with a comma between them"
    if len(label) > _MAX_LABEL:
        return f"the label has {len(label)} characters, and PyPI accepts {_MAX_LABEL}"
    return _address_problem(url)


def _address_problem(url: str) -> str:
    """Return why PyPI, or its reader, must not get the address *url*; empty if they may."""
    parts = split_address(url.strip())
    if parts.password:
        return "the address has a password"
    has_space = re.search(r"\s", url.strip()) is not None
    is_of_web = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)
    if not is_of_web or has_space:
        return "it is not an address of the web"
    has_bracket = re.search(r"[][]", f"{parts.path}{parts.query}") is not None
    return "PyPI refuses it: write [ as %5B and ] as %5D (RFC 3986)" if has_bracket else ""


def requirements(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find requirements that are not as planned, that PyPI refuses, or that are not valid."""
    for archive in described_archives(built):
        problems = (
            _requirement_problem(written, built) for written in archive.values("Requires-Dist")
        )
        yield from (Problem(archive.name, problem) for problem in problems if problem)
        named = {
            name for written in archive.values("Requires-Dist") for name in _extras_in(written)
        }
        unknown = sorted(named.difference(archive.extras))
        message = "requirements of extras that the package does not provide"
        yield from list_problem(archive.name, message, unknown, RuleSeverity.WARNING)
        for field in ("Provides-Dist", "Obsoletes-Dist"):
            invalid = [text for text in archive.values(field) if not _is_requirement(text)]
            yield from list_problem(archive.name, f"{field} is not valid", invalid)


def _extras_in(written: str) -> set[str]:
    """Return the extras that the marker of the requirement *written* names, with normalised names."""
    _, _, marker = written.partition(";")
    return set(map(canonicalize_name, _EXTRA.findall(marker)))


_EXTRA = re.compile(r"""\bextra\s{0,9}==\s{0,9}["']([^"']{1,200})["']""")


def _is_requirement(text: str) -> bool:
    try:
        return not Requirement(text).url
    except InvalidRequirement:
        return False


def _requirement_problem(written: str, built: BuiltArtifacts) -> str:
    try:
        requirement = Requirement(written)
    except InvalidRequirement:
        return f"Requires-Dist {printable(written)!r} is not a valid requirement"
    if requirement.url:
        return f"requires {printable(written)} by URL, which PyPI refuses"
    expected = pin_mismatch(requirement, built.pins)
    return f"requires {requirement}, but {expected} is planned" if expected else ""


def licenses(archive: Archive) -> Iterator[Problem]:
    """Find license expressions that are not valid (SPDX), and license files that are missing or lead out."""
    errors = archive.metadata_errors
    if "license-expression" in errors:
        yield Problem(archive.name, printable(errors["license-expression"]))
    if archive.value("License-Expression") and archive.value("License"):
        yield Problem(
            archive.name, "it has both License and License-Expression, which PyPI refuses"
        )
    files = archive.values("License-File")
    leading_out = list(filter(_is_outside, files))
    yield from list_problem(archive.name, "License-File leads out", leading_out)
    inside = drop(files, leading_out)
    missing = [file for file in inside if archive.is_readable and not _has_license(archive, file)]
    yield from list_problem(archive.name, "License-File names files that are missing", missing)


def _is_outside(file: str) -> bool:
    return (
        file.startswith("/")
        or "\\" in file
        or ".." in file.split("/")
        or re.match("[A-Za-z]:", file) is not None
    )


def _has_license(archive: Archive, file: str) -> bool:
    """Return whether *archive* has the license *file*. Before PEP 639, wheels had it beside METADATA."""
    if not archive.is_wheel:
        return f"{archive.top}/{file}" in archive.files
    is_current = _metadata_version(archive) >= (2, 4)
    name = file.rpartition("/")[2]
    places = [f"{archive.info}/licenses/{file}"]
    if not is_current:
        places += [
            f"{archive.info}/{file}",
            f"{archive.info}/{name}",
            f"{archive.info}/license_files/{file}",
        ]
    return any(place in archive.files for place in places)


def _metadata_version(archive: Archive) -> tuple[int, ...]:
    numbers = re.findall(r"\d+", archive.value("Metadata-Version"))
    return tuple(map(int, numbers[:2]))


def renders_as_rst(archive: Archive) -> bool:
    """Return whether an index renders the description of *archive* as reStructuredText, the default."""
    kind = archive.value("Description-Content-Type").partition(";")[0].strip().lower()
    return kind in {"", "text/x-rst"} and bool(archive.description.strip())


def readmes(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find descriptions that an index refuses, because it cannot render them."""
    for archive in described_archives(built):
        errors = archive.metadata_errors
        field = "description-content-type"
        if field in errors:
            yield Problem(archive.name, printable(errors[field]))
        problem = built.readmes.get(archive.name, "")
        if problem:
            yield Problem(archive.name, f"the description cannot be rendered: {printable(problem)}")
        elif problem is None:
            message = "not checked: whether the description can be rendered; install releasekit with its extra `rst`"
            yield Problem(archive.name, message, RuleSeverity.WARNING)


def same_metadata(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find fields of PKG-INFO that differ from METADATA, although the sdist does not declare them as dynamic."""
    for sdist in built.sdists:
        if _metadata_version(sdist) < (2, 2):  # before, every field could change in the build
            continue
        for wheel in built.wheels:
            if sdist.metadata_path in sdist.contents and wheel.metadata_path in wheel.contents:
                yield from _difference_problems(sdist, wheel)


def _difference_problems(sdist: Archive, wheel: Archive) -> Iterator[Problem]:
    message = f"fields of PKG-INFO that differ from {wheel.name}"
    installed = [field for field in _INSTALLER_FIELDS if _differs(field, sdist, wheel)]
    yield from list_problem(sdist.name, message, installed)
    shown = [field for field in _OTHER_FIELDS if _differs(field, sdist, wheel)]
    yield from list_problem(sdist.name, message, shown, RuleSeverity.WARNING)


_INSTALLER_FIELDS = ("Requires-Python", "Requires-Dist", "Provides-Extra")
_OTHER_FIELDS = (
    "Summary", "License-Expression", "Classifier", "Project-URL", "Home-page", "Author", "Author-email", "Maintainer",
    "Maintainer-email", "Keywords", "License", "Description-Content-Type",
)  # fmt: skip


def _differs(field: str, sdist: Archive, wheel: Archive) -> bool:
    dynamic = {name.strip().lower() for name in sdist.values("Dynamic")}
    return field.lower() not in dynamic and _comparable(field, sdist) != _comparable(field, wheel)


def _comparable(field: str, archive: Archive) -> list[Any]:
    values = [" ".join(value.split()) for value in archive.values(field)]
    normal_form = {"Requires-Dist": _normal_requirement, "Provides-Extra": canonicalize_name}.get(
        field, str
    )
    return sorted(map(normal_form, filter(None, values)))


def _normal_requirement(written: str) -> str:
    try:
        requirement = Requirement(written)
    except InvalidRequirement:
        return written
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)
