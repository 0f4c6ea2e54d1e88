"""What a release has lost since the last one, and whether that stops it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import BaseModel, ConfigDict

from releasekit.core.artifacts.package_facts import (
    is_public_module,
    is_source_of,
    outermost,
    public_modules,
)
from releasekit.core.config.bump_rules import Bump
from releasekit.core.errors import ErrorCode
from releasekit.core.picking import drop
from releasekit.core.text import count_as, summarize
from releasekit.core.version_numbers import PyVersion, bump_between

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from packaging.version import Version

    from releasekit.core.artifacts.package_facts import PackageFacts
    from releasekit.core.config.settings import VerifyWaiver

Weight = Literal["error", "warning", "note"]
"""How severe a difference is: an error stops the release before anything is public."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that the last release has and the next one lacks.

    *breaks*: users of the last release may fail without it. *is_fault*: no release loses it on purpose.
    """

    rule: ErrorCode
    text: str
    breaks: bool = False
    is_fault: bool = False


class Difference(BaseModel):
    """A loss of *package* since its release *since*. *waived* is the reason of the waiver that covers it, if any."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    package: str
    rule: ErrorCode
    text: str
    since: PyVersion
    severity: Weight
    waived: str = ""

    @property
    def stops(self) -> bool:
        """Whether the release stops before anything is public."""
        return self.severity == "error" and not self.waived

    @property
    def verdict(self) -> str:
        """Its severity, and the reason if it is accepted: "error", "error, accepted: nobody uses it"."""
        return f"{self.severity}, accepted: {self.waived}" if self.waived else self.severity

    def __str__(self) -> str:
        return f"{self.rule}: {self.text} (since {self.package} {self.since})"


# ---- losses ---------------------------------------------------------------------------------------------------------


def find_losses(
    before: PackageFacts, after: PackageFacts, sources: Collection[str] = ()
) -> tuple[Loss, ...]:
    """Return what *after* lacks of *before*. *sources* are the files of the source tree or of the sdist of *after*."""
    lost_modules = public_modules(before.files) - public_modules(after.files)
    losses = chain(
        _lost_imports(lost_modules),
        _lost_names(ErrorCode.VERIFY_LOST_SCRIPT, "command", before.scripts, after.scripts),
        _lost_names(
            ErrorCode.VERIFY_LOST_ENTRY_POINT,
            "entry point",
            before.entry_points,
            after.entry_points,
        ),
        _lost_names(ErrorCode.VERIFY_LOST_EXTRA, "extra", before.extras, after.extras),
        _lost_types(before.files, after.files),
        _raised_python(before.requires_python, after.requires_python),
        _lost_files(before, after, sources),
        _lost_bytes(before, after),
    )
    return tuple(losses)


def _lost_imports(lost: Iterable[str]) -> Iterator[Loss]:
    names = sorted(lost)
    for top in outermost(names):
        inner = [name for name in names if name.startswith(f"{top}.")]
        remark = f", nor {count_as('module', inner)} below it" if inner else ""
        text = f"{top} can no longer be imported{remark}"
        yield Loss(ErrorCode.VERIFY_LOST_IMPORT, text, breaks=True)


def _lost_names(
    rule: ErrorCode, noun: str, before: frozenset[str], after: frozenset[str]
) -> Iterator[Loss]:
    for name in sorted(before - after):
        yield Loss(rule, f"the {noun} {name} is gone", breaks=True)


def _lost_types(before: Collection[str], after: Collection[str]) -> Iterator[Loss]:
    """Find type markers that are gone, if the package that has them is still there."""
    tops = {path.partition("/")[0] for path in after}
    for path in sorted(set(before).difference(after)):
        is_marker = path.endswith(f"/{_TYPE_MARKER}") and path.partition("/")[0] in tops
        if is_marker:
            yield Loss(
                ErrorCode.VERIFY_LOST_TYPES,
                f"{path} is gone, so type checkers ignore the types",
                breaks=True,
            )


_TYPE_MARKER = "py.typed"


def _raised_python(before: str, after: str) -> Iterator[Loss]:
    dropped = [
        version for version in _python_versions(before) if version not in _python_versions(after)
    ]
    if dropped:
        text = (
            f"it no longer supports Python {summarize(dropped)}: {before or 'any'} becomes {after}"
        )
        yield Loss(ErrorCode.VERIFY_RAISED_PYTHON, text)


def _python_versions(specifier: str) -> list[str]:
    """Return the versions of Python that *specifier* allows; all if it cannot be read."""
    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        allowed = SpecifierSet()
    # Only an odd specifier names the last number, and then any of them counts.
    return [
        minor for minor in _PYTHON_VERSIONS if any(map(allowed.contains, (minor, f"{minor}.99")))
    ]


_PYTHON_VERSIONS = ("2.7", *(f"3.{number}" for number in range(5, 21)))


def _lost_files(
    before: PackageFacts, after: PackageFacts, sources: Collection[str]
) -> Iterator[Loss]:
    lost = sorted(before.files.keys() - after.files.keys())
    if len(lost) >= _FEW_FILES and len(lost) * 2 > len(before.files):
        text = f"{len(lost)} of {count_as('file', before.files)} are gone: {summarize(lost)}"
        yield Loss(ErrorCode.VERIFY_LOST_FILES, text, is_fault=True)
        return
    named_elsewhere = [
        path for path in lost if is_public_module(path) or path.endswith(f"/{_TYPE_MARKER}")
    ]
    rest = drop(lost, named_elsewhere)
    left_out = [path for path in rest if _is_in_sources(path, sources)]
    removed = drop(rest, left_out)
    if left_out:
        text = f"{summarize(left_out)}: in the source, but no longer in the wheel"
        yield Loss(ErrorCode.VERIFY_LOST_FILES, text, is_fault=True)
    if removed:
        text = f"{count_as('file', removed)} of {len(before.files)} gone: {summarize(removed)}"
        yield Loss(ErrorCode.VERIFY_LOST_FILES, text)


_FEW_FILES = 3
"""Below this number, a share of lost files says nothing."""


def _is_in_sources(path: str, sources: Collection[str]) -> bool:
    return any(is_source_of(source, path) for source in sources)


def _lost_bytes(before: PackageFacts, after: PackageFacts) -> Iterator[Loss]:
    old, new = sum(before.files.values()), sum(after.files.values())
    if old - new >= _FEW_BYTES and new * 2 < old:
        text = f"the files have {new:,} bytes, after {old:,}"
        yield Loss(ErrorCode.VERIFY_LOST_BYTES, text, is_fault=True)


_FEW_BYTES = 10_000
"""Below this number, a share of lost bytes says nothing."""


# ---- what stops -----------------------------------------------------------------------------------------------------


def rate_losses(
    package: str,
    since: Version,
    target: Version,
    losses: Iterable[Loss],
    waivers: Sequence[VerifyWaiver] = (),
) -> tuple[Difference, ...]:
    """Return *losses* of the release *target* as differences from the release *since*, each with its severity."""
    may_break = allows_breaking(since, target)
    differences: list[Difference] = []
    for loss in losses:
        difference = Difference(
            package=package,
            rule=loss.rule,
            text=loss.text,
            since=since,
            severity=_severity_of(loss, may_break=may_break),
            waived=verify_reason(loss.rule, package, waivers),
        )
        differences.append(difference)
    return tuple(differences)


def verify_reason(rule: ErrorCode, package: str, waivers: Iterable[VerifyWaiver]) -> str:
    """Return the reason of the first of *waivers* that accepts what *rule* finds in *package*; empty if none does."""
    reasons = (
        waiver.reason for waiver in waivers if waiver.code is rule and waiver.covers(package)
    )
    return next(reasons, "")


def replace_losses(
    in_source: Iterable[Difference], in_wheel: Iterable[Difference]
) -> tuple[Difference, ...]:
    """Return the differences *in_wheel*, and those *in_source* that no wheel shows: of the API, and dead commands."""
    shown = [
        difference for difference in in_source if difference.rule is ErrorCode.VERIFY_API_BREAK
    ]
    shown += [
        difference for difference in in_source if difference.rule is ErrorCode.VERIFY_ENTRY_POINT
    ]
    return (*in_wheel, *shown)


def _severity_of(loss: Loss, *, may_break: bool) -> Weight:
    if loss.is_fault:
        return "error"
    if may_break:
        return "note"
    return "error" if loss.breaks else "warning"


def allows_breaking(since: Version, target: Version) -> bool:
    """Return whether the release *target* may break users of the release *since*.

    A major release may; on 0.x also a minor one (SemVer, item 4). A prerelease promises nothing to its users.
    """
    bump = bump_between(since, target)
    is_minor_on_zero = since.major == 0 and bump is Bump.MINOR
    return since.is_prerelease or bump is Bump.MAJOR or is_minor_on_zero
