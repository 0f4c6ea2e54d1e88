"""The table of rules, and the function that applies all of them to the built files of a package."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.artifacts import (
    consistency_rules,
    container_rules,
    content_rules,
    file_set_rules,
    metadata_rules,
    wheel_rules,
)
from releasekit.core.artifacts.problems import ArtifactFinding, Problem, Rule, RuleSeverity
from releasekit.core.errors import ERRORS, ErrorCode, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from releasekit.core.artifacts.archive_facts import Archive, BuiltArtifacts
    from releasekit.core.config.settings import VerifyWaiver

_ERROR, _WARNING = RuleSeverity.ERROR, RuleSeverity.WARNING


def per_archive(
    find: Callable[[Archive], Iterator[Problem]],
) -> Callable[[BuiltArtifacts], Iterable[Problem]]:
    """Return the rule that applies *find* to each archive."""
    return lambda built: chain.from_iterable(map(find, built.archives))


def per_wheel(
    find: Callable[[Archive], Iterator[Problem]],
) -> Callable[[BuiltArtifacts], Iterable[Problem]]:
    """Return the rule that applies *find* to each wheel."""
    return lambda built: chain.from_iterable(map(find, built.wheels))


def per_described(
    find: Callable[[Archive], Iterator[Problem]],
) -> Callable[[BuiltArtifacts], Iterable[Problem]]:
    """Return the rule that applies *find* to each archive with METADATA or PKG-INFO."""
    return lambda built: chain.from_iterable(map(find, metadata_rules.described_archives(built)))


def leaked_secrets(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find secrets in files, and in the texts that an archive has beside its files."""
    yield from per_archive(content_rules.secrets)(built)
    yield from container_rules.fault_finder(ErrorCode.VERIFY_SECRET)(built)


def hidden_characters(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find characters that show a text, a name, or a module in another way than it reads."""
    yield from per_archive(container_rules.mixed_alphabets)(built)
    yield from per_described(metadata_rules.hidden_text)(built)
    yield from per_archive(metadata_rules.reordered_sources)(built)


RULES = (
    Rule(ErrorCode.VERIFY_FILES, _ERROR, file_set_rules.file_set),
    Rule(ErrorCode.VERIFY_FILE_NAME, _ERROR, file_set_rules.file_names),
    Rule(ErrorCode.VERIFY_ARCHIVE, _ERROR, container_rules.fault_finder(ErrorCode.VERIFY_ARCHIVE)),
    Rule(ErrorCode.VERIFY_BYTES, _ERROR, container_rules.fault_finder(ErrorCode.VERIFY_BYTES)),
    Rule(ErrorCode.VERIFY_SIZE, _ERROR, container_rules.fault_finder(ErrorCode.VERIFY_SIZE)),
    Rule(ErrorCode.VERIFY_PATH, _ERROR, per_archive(container_rules.unsafe_paths)),
    Rule(ErrorCode.VERIFY_DUPLICATE, _ERROR, per_archive(container_rules.duplicate_members)),
    Rule(ErrorCode.VERIFY_MEMBER, _ERROR, per_archive(container_rules.member_kinds)),
    Rule(ErrorCode.VERIFY_PORTABLE, _WARNING, per_archive(container_rules.unportable_paths)),
    Rule(ErrorCode.VERIFY_MODE, _WARNING, per_archive(container_rules.special_modes)),
    Rule(ErrorCode.VERIFY_TOP, _ERROR, container_rules.sdist_tops),
    Rule(ErrorCode.VERIFY_MISSING, _ERROR, wheel_rules.required_members),
    Rule(ErrorCode.VERIFY_NAME, _ERROR, file_set_rules.names_and_versions),
    Rule(ErrorCode.VERIFY_WHEEL, _ERROR, per_wheel(wheel_rules.wheel_files)),
    Rule(ErrorCode.VERIFY_PLATFORM, _ERROR, per_wheel(wheel_rules.wheel_platforms)),
    Rule(ErrorCode.VERIFY_RECORD, _ERROR, per_wheel(wheel_rules.records)),
    Rule(ErrorCode.VERIFY_METADATA, _ERROR, per_archive(metadata_rules.invalid_metadata)),
    Rule(ErrorCode.VERIFY_HIDDEN, _WARNING, hidden_characters),
    Rule(ErrorCode.VERIFY_CLASSIFIER, _ERROR, metadata_rules.classifiers),
    Rule(ErrorCode.VERIFY_URL, _ERROR, per_described(metadata_rules.project_urls)),
    Rule(ErrorCode.VERIFY_REQUIREMENT, _ERROR, metadata_rules.requirements),
    Rule(ErrorCode.VERIFY_LICENSE, _ERROR, per_described(metadata_rules.licenses)),
    Rule(ErrorCode.VERIFY_README, _ERROR, metadata_rules.readmes),
    Rule(ErrorCode.VERIFY_PKG_INFO, _ERROR, metadata_rules.same_metadata),
    Rule(ErrorCode.VERIFY_SECRET, _ERROR, leaked_secrets),
    Rule(ErrorCode.VERIFY_PRIVATE, _ERROR, per_archive(content_rules.private_files)),
    Rule(ErrorCode.VERIFY_POINTER, _ERROR, per_archive(content_rules.pointers)),
    Rule(ErrorCode.VERIFY_LEFTOVER, _WARNING, per_archive(content_rules.leftovers)),
    Rule(ErrorCode.VERIFY_COMMON, _WARNING, content_rules.common_names),
    Rule(ErrorCode.VERIFY_STARTUP, _WARNING, per_wheel(content_rules.startup_files)),
    Rule(ErrorCode.VERIFY_SIBLING, _ERROR, content_rules.sibling_modules),
    Rule(ErrorCode.VERIFY_EMPTY, _ERROR, consistency_rules.empty_wheels),
    Rule(ErrorCode.VERIFY_LOST, _WARNING, consistency_rules.lost_modules),
    Rule(ErrorCode.VERIFY_CHANGED, _WARNING, consistency_rules.changed_modules),
    Rule(ErrorCode.VERIFY_ENTRY_POINT, _ERROR, consistency_rules.entry_points),
    Rule(ErrorCode.VERIFY_SYNTAX, _ERROR, consistency_rules.syntax_errors),
)


def verify_artifacts(
    built: BuiltArtifacts, waivers: Sequence[VerifyWaiver] = ()
) -> tuple[ArtifactFinding, ...]:
    """Return all findings about the files of one package, the errors first. *waivers* are those of the workspace."""
    findings = find_problems(built, waivers, RULES)
    own = [waiver for waiver in waivers if waiver.covers(built.project)]
    unused = list(_unused_waivers(built.project, own, findings))
    return tuple(sorted([*findings, *unused], key=_rank))


def find_problems(
    built: BuiltArtifacts, waivers: Sequence[VerifyWaiver], rules: Sequence[Rule]
) -> list[ArtifactFinding]:
    """Return what *rules* find in the files of one package, with the reason of the waiver that covers it."""
    reasons = {waiver.code: waiver.reason for waiver in waivers if waiver.covers(built.project)}
    return [
        ArtifactFinding(
            rule=rule.code,
            severity=problem.severity or rule.severity,
            file=problem.file,
            text=problem.text,
            waived=reasons.get(rule.code, ""),
        )
        for rule in rules
        for problem in rule.find(built)
    ]


def verification_error(findings: Sequence[ArtifactFinding], location: str) -> ReleaseError:
    """Return the error for the built package *location*, whose *findings* stop the release. It has the first code."""
    first, *others = [finding for finding in findings if finding.stops]
    message = "; ".join(
        [f"{first.file}: {first.text}" if first.file else first.text, *map(str, others)]
    )
    hint = f"{ERRORS[first.rule].hint} Or waive the rule for this package with a reason: `verify_ignore`."
    listed = "\n".join(map(str, findings)) if len(findings) > 1 else ""
    return ReleaseError(first.rule, message, location, hint, listed, None, tuple(findings))


def _unused_waivers(
    project: str, waivers: Sequence[VerifyWaiver], findings: Sequence[ArtifactFinding]
) -> Iterator[ArtifactFinding]:
    """Yield a warning for each waiver that names *project* itself, and that no finding needs.

    Rules about differences to the last release are applied later, so nothing is known of them here.
    """
    applied = {rule.code for rule in RULES}
    unbroken = applied - {finding.rule for finding in findings}
    for waiver in waivers:
        if waiver.package == project and waiver.code in unbroken:
            text = f"no file of {project} breaks {waiver.code}, so the waiver in verify_ignore is not needed"
            yield ArtifactFinding(
                rule=ErrorCode.VERIFY_WAIVER, severity=_WARNING, file="", text=text
            )


def _rank(finding: ArtifactFinding) -> int:
    if finding.waived:
        return 2
    return 0 if finding.severity is RuleSeverity.ERROR else 1
