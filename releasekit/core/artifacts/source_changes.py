"""What the source of a package has lost since its last release, as far as the source can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from packaging.version import Version  # noqa: TC002  pydantic reads the fields of `SourceChange`

from releasekit.core.artifacts import content_rules
from releasekit.core.artifacts.api_changes import ApiChange, rate_api_changes
from releasekit.core.artifacts.archive_facts import Archive
from releasekit.core.artifacts.differences import (
    Difference,
    Loss,
    find_losses,
    rate_losses,
    verify_reason,
)
from releasekit.core.artifacts.package_facts import public_modules, source_facts
from releasekit.core.artifacts.problems import RuleSeverity
from releasekit.core.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from releasekit.core.artifacts.archive_facts import ArchiveMember
    from releasekit.core.artifacts.package_facts import PackageFacts
    from releasekit.core.config.settings import ApiCheck, ApiWaiver, VerifyWaiver

Table = Mapping[str, Any]


class SourceTree(NamedTuple):
    """The directory of a package at a commit: the size of each file, and its parsed pyproject.toml."""

    files: Mapping[str, int]
    document: Table

    @property
    def project(self) -> Table:
        """The table [project]."""
        return _table(self.document, "project")


class Leak(NamedTuple):
    """A secret that changed files would make public, by a rule of verification. A *sample* is only a warning."""

    rule: ErrorCode
    text: str
    is_sample: bool


def find_leaks(members: Sequence[ArchiveMember]) -> tuple[Leak, ...]:
    """Return the secrets in the changed files *members*, and the files that usually hold secrets."""
    changed = Archive("", members=tuple(members))
    rules = {
        ErrorCode.VERIFY_SECRET: content_rules.secrets,
        ErrorCode.VERIFY_PRIVATE: content_rules.private_files,
    }
    return tuple(
        Leak(rule, problem.text, problem.severity is RuleSeverity.WARNING)
        for rule, find in rules.items()
        for problem in find(changed)
    )


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What the source of a package has lost since its release *since*, how its API has changed, and what it leaks."""

    since: Version
    losses: tuple[Loss, ...] = ()
    api_changes: tuple[ApiChange, ...] = ()
    leaks: tuple[Leak, ...] = ()


class Waivers(NamedTuple):
    """The findings that the settings accept."""

    verify: Sequence[VerifyWaiver] = ()
    api: Sequence[ApiWaiver] = ()


def find_source_losses(
    before: SourceTree, after: SourceTree, api_changes: Sequence[ApiChange] = ()
) -> tuple[Loss, ...]:
    """Return what the source *after* lacks of the source *before*. What only the build decides is not compared.

    *api_changes* are those between the two: a command may start a function that is gone.
    """
    old = source_facts(before.files, before.project, before.document)
    new = source_facts(after.files, after.project, after.document)
    new = _assume_unknown(old, new, after.project.get("dynamic", ()))
    lost_modules = public_modules(old.files) - public_modules(new.files)
    removed = {change.path for change in api_changes if change.is_removal}
    return (
        *find_losses(old, new, after.files),
        *_dead_scripts(after.project, lost_modules | removed),
    )


def _assume_unknown(old: PackageFacts, new: PackageFacts, dynamic: Collection[str]) -> PackageFacts:
    """Return the facts *new*, in which all that the build backend decides is as before."""
    unknown = {_FIELDS[key] for key in dynamic if key in _FIELDS}
    return replace(new, **{name: getattr(old, name) for name in unknown})


_FIELDS = {
    "scripts": "scripts",
    "entry-points": "entry_points",
    "optional-dependencies": "extras",
    "requires-python": "requires_python",
}
"""The field of the facts for each key of [project] that may be dynamic."""


def _dead_scripts(project: Table, lost: Collection[str]) -> Iterator[Loss]:
    """Find commands of [project] that start something *lost*."""
    tables = (_table(project, key) for key in ("scripts", "gui-scripts"))
    for name, target in chain.from_iterable(table.items() for table in tables):
        module, _, function = str(target).partition("[")[0].replace(" ", "").partition(":")
        dead = next((path for path in (module, f"{module}.{function}") if path in lost), "")
        if dead:
            text = f"the command {name} starts {dead}, which is gone"
            yield Loss(ErrorCode.VERIFY_ENTRY_POINT, text, breaks=True, is_fault=True)


def rate_source_change(
    package: str, change: SourceChange, target: Version, mode: ApiCheck, waivers: Waivers
) -> tuple[Difference, ...]:
    """Return what *package* loses in the release *target*, each loss with its severity; see `rate_losses`."""
    losses = rate_losses(package, change.since, target, change.losses, waivers.verify)
    is_told = {
        loss.text.split()[0] for loss in change.losses if loss.rule is ErrorCode.VERIFY_LOST_IMPORT
    }
    others = [api_change for api_change in change.api_changes if api_change.path not in is_told]
    leaks = [
        Difference(
            package=package,
            rule=leak.rule,
            text=leak.text,
            since=change.since,
            severity="warning" if leak.is_sample else "error",
            waived=verify_reason(leak.rule, package, waivers.verify),
        )
        for leak in change.leaks
    ]
    reason = verify_reason(ErrorCode.VERIFY_API_BREAK, package, waivers.verify)
    api_rows = rate_api_changes(package, change.since, target, others, mode, waivers.api)
    return (
        *leaks,
        *losses,
        *(row if row.waived else row.model_copy(update={"waived": reason}) for row in api_rows),
    )


def _table(parent: Table, key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
