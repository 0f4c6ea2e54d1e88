"""How a release changes the requirements between the packages of a workspace, in the sources and in built files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import filterfalse
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.picking import drop_empty, group_by
from releasekit.core.version_numbers import next_breaking
from releasekit.core.workspace.candidates import Candidate, ReleaseRequirement, release_requirements
from releasekit.core.workspace.graph import Offers, is_live_need
from releasekit.core.workspace.pins import Pins, pin_requirement
from releasekit.core.workspace.requirements import raise_requirement, requirement_key
from releasekit.core.workspace.toml_edits import rewrite_requirements
from releasekit.core.workspace.workspace import (
    PUBLISHED,
    Kind,
    Member,
    Need,
    Workspace,
    requirement_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.config.settings import PinMode, SourceRequirements


class RaisedRequirement(BaseModel):
    """A requirement that the release commit raises from *before* to *after*. *file* is relative to the workspace."""

    model_config = ConfigDict(frozen=True)

    package: str
    sibling: str
    file: str
    kind: Kind
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.before} -> {self.after} ({self.file})"


@dataclass(frozen=True)
class Siblings:
    """The requirements between the members of *workspace* in a release of *targets*.

    *offers* are the versions of each member in the workspace (see `offers_of`), *current* those of the last releases,
    *modes* how each package is pinned. *major_on_zero* are the packages for which a breaking change of 0.x leads to
    1.0.0.
    """

    workspace: Workspace
    offers: Offers
    current: Mapping[str, Version | None]
    targets: Mapping[str, Version]
    modes: Mapping[str, PinMode]
    policy: SourceRequirements = "raise"
    major_on_zero: Collection[str] = frozenset()

    @cached_property
    def versions(self) -> dict[str, Version]:
        """The version of each publishable member after the release."""
        return self._publishable({**self.current, **self.targets})

    @cached_property
    def limits(self) -> dict[str, Version]:
        """For each version after the release, the next version that may break its dependents."""
        return self._limits(self.versions)

    def live_needs(self, member: Member) -> Sequence[Need]:
        """Return the live requirements of *member* on siblings and on its own extras."""
        return self._live_needs[member.name]

    def older_needs(self, member: Member) -> list[Need]:
        """Return the requirements of *member* on older releases of siblings, without those of dependency groups."""
        return [need for need in self._older_needs[member.name] if need.kind is not Kind.GROUP]

    @cached_property
    def _live_needs(self) -> dict[str, list[Need]]:
        """For each member, its requirements on the siblings in the workspace."""
        return {
            member.name: list(filter(self._is_live, self.workspace.internal_needs(member)))
            for member in self.workspace
        }

    @cached_property
    def _older_needs(self) -> dict[str, list[Need]]:
        """For each member, its requirements on older releases of siblings."""
        return {
            member.name: list(filterfalse(self._is_live, self.workspace.internal_needs(member)))
            for member in self.workspace
        }

    def _is_live(self, need: Need) -> bool:
        return is_live_need(need, self.offers)

    def pins_for(self, name: str) -> Pins:
        """Return the requirements on siblings that the package *name* has once it is built."""
        older = frozenset(
            requirement_key(need.requirement) for need in self.older_needs(self.workspace[name])
        )
        limits = self.limits if self.modes[name] == "compatible" else {}
        return Pins(self.modes[name], self.versions, limits, older)

    def raised_requirements(
        self, member: Member, *, needed: bool = False
    ) -> tuple[RaisedRequirement, ...]:
        """Return the requirements of *member* that the release commit raises.

        With *needed*, only those that the new versions do not satisfy.
        """
        if self.policy == "leave":
            return ()
        always = self.policy == "always" and not needed
        requirements: dict[RaisedRequirement, None] = {}
        for need in self.live_needs(member):
            if need.name not in self.targets:
                continue
            after = self._raise_need(need, member, always=always)
            if after != need.written:
                requirements[_raised_requirement(need, member, after)] = None
        return tuple(requirements)

    def _raise_need(self, need: Need, member: Member, *, always: bool) -> str:
        """Return *need* as it is written after the release; it is the same text if it need not change."""
        strict = self.modes.get(member.name) == "keep"
        return raise_requirement(
            need.written, self.targets[need.name], always=always, strict=strict
        )

    def planned_candidate(self, name: str, older: Iterable[Need]) -> Candidate:
        """Return the release of the package *name* as an installer will find it on the index.

        *older* are the requirements on older releases to include.
        """
        member, pins = self.workspace[name], self.pins_for(name)
        raised = {change.before: change.after for change in self.raised_requirements(member)}
        requirements: list[ReleaseRequirement] = []
        for need in _wheel_needs(self.live_needs(member)):
            written = raised.get(need.written, need.written)
            pinned = pin_requirement(requirement_of(written), pins)
            requirements.append(ReleaseRequirement(pinned, need.extra))
        requirements += [
            ReleaseRequirement(need.requirement, need.extra) for need in _wheel_needs(older)
        ]
        return Candidate(name, self.targets[name], tuple(requirements), planned=True)

    def last_candidate(
        self, name: str, version: Version, metadata: Sequence[Requirement] | None
    ) -> Candidate:
        """Return the last release of the package *name*, with this *version*.

        *metadata* are its requirements (Requires-Dist). If they are None, the result has the requirements that
        releasekit would have written for that release.
        """
        if metadata is not None:
            return Candidate(name, version, release_requirements(metadata))
        pins = self._last_pins(name)
        requirements: list[ReleaseRequirement] = []
        for need in _wheel_needs(self.live_needs(self.workspace[name])):
            pinned = pin_requirement(need.requirement, pins)
            requirements.append(ReleaseRequirement(pinned, need.extra))
        return Candidate(name, version, tuple(requirements), assumed=True)

    def _last_pins(self, name: str) -> Pins:
        """Return the pins of the package *name* to the last releases of its siblings."""
        mode = self.modes[name]
        limits = self._last_limits if mode == "compatible" else {}
        return Pins(mode, self._last_versions, limits)

    @cached_property
    def _last_versions(self) -> dict[str, Version]:
        """The version of each publishable member before the release."""
        return self._publishable(self.current)

    @cached_property
    def _last_limits(self) -> dict[str, Version]:
        """For each version before the release, the next version that may break its dependents."""
        return self._limits(self._last_versions)

    def _publishable(self, versions: Mapping[str, Version | None]) -> dict[str, Version]:
        """Return those of *versions* that exist and belong to publishable members."""
        return drop_empty({name: versions.get(name) for name in self.modes})

    def _limits(self, versions: Mapping[str, Version]) -> dict[str, Version]:
        limits: dict[str, Version] = {}
        for name, version in versions.items():
            major_on_zero = name in self.major_on_zero
            limits[name] = next_breaking(version, major_on_zero=major_on_zero)
        return limits


def _raised_requirement(need: Need, member: Member, after: str) -> RaisedRequirement:
    """Return that *need* of *member* is raised to *after*."""
    return RaisedRequirement(
        package=member.name,
        sibling=need.name,
        file=f"{member.path}/{need.file}".removeprefix("./"),
        kind=need.kind,
        before=need.written,
        after=after,
    )


def _wheel_needs(needs: Iterable[Need]) -> Iterator[Need]:
    """Yield those of *needs* that the METADATA of a wheel contains."""
    return (need for need in needs if need.kind in PUBLISHED)


def group_by_file(raised: Iterable[RaisedRequirement]) -> dict[str, list[RaisedRequirement]]:
    """Return *raised* grouped by file, a path relative to the workspace."""
    return group_by(raised, lambda requirement: requirement.file)


def write_raised_requirements(text: str, file: str, raised: Collection[RaisedRequirement]) -> str:
    """Return the *text* of *file* (a path below the package) with the requirements *raised*. Nothing else changes.

    Raises Refusal RK-WORKSPACE-REQUIREMENT if releasekit cannot edit the form in which the file is written.
    """
    after = {requirement.before: requirement.after for requirement in raised}
    return rewrite_requirements(
        text, lambda written: after.get(written.strip(), written), file, groups=True
    )
