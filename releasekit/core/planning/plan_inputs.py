"""The inputs of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.version import Version
from pydantic import BaseModel, ConfigDict

from releasekit.core.artifacts.source_changes import SourceChange
from releasekit.core.config.platforms import is_all, refuse_unknown_platforms
from releasekit.core.history.change_files import ChangeFile
from releasekit.core.history.pending_changes import PendingChanges
from releasekit.core.history.tags import schemes_of
from releasekit.core.picking import drop, values_at
from releasekit.core.versioning.groups import (
    Decisions,
    decide_all,
    package_values,
    pin_modes,
    version_groups,
)
from releasekit.core.versioning.version_requests import VersionRequest
from releasekit.core.versioning.versions import PackageHistory
from releasekit.core.workspace.graph import offers_of
from releasekit.core.workspace.siblings import Siblings

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from releasekit.core.config.bump_rules import BumpRules
    from releasekit.core.config.settings import PinMode, Selection, Settings
    from releasekit.core.history.commits import Change
    from releasekit.core.history.tags import Baseline, TagSchemes
    from releasekit.core.versioning.groups import VersionGroup
    from releasekit.core.workspace.workspace import Member, Workspace


class PlanInputs(BaseModel):
    """The facts that a plan is made from; *date* is "YYYY.MM.DD", *tags* maps each existing tag to its commit.

    *published* are by package the versions on the index to publish to; None if no index was asked. *elsewhere* are
    those that installers also find on their default index. *requires* are the requirements of releases, by package and
    version; those of other releases are assumed. *raised* names for a package the release that raised a requirement in
    its files, but did not publish it. *unheard* are the versions in Release-As footers of commits that touch no
    package, by short sha. *change_files* are all change files, *pending_files* by package those of no stable release.
    *strays* are tags that only look like releases, each with the reason. *is_committed*: the commit is the release
    commit of a release that has no tag yet, so `pre_release` commands have run before it. *sources* are by package what
    its source has lost since its last release.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    commit: str
    date: str
    tags: Mapping[str, str]
    published: Mapping[str, frozenset[Version]] | None = None
    elsewhere: Mapping[str, frozenset[Version]] = {}
    requires: Mapping[str, Mapping[Version, tuple[Requirement, ...]]] = {}
    raised: Mapping[str, str] = {}
    unheard: Mapping[str, str] = {}
    change_files: tuple[ChangeFile, ...] = ()
    pending_files: Mapping[str, PendingChanges] = {}
    strays: tuple[str, ...] = ()
    is_committed: bool = False
    sources: Mapping[str, SourceChange] = {}

    def installable_versions(self, name: str) -> frozenset[Version] | None:
        """Return the versions of the package *name* that an installer finds; None if no index was asked."""
        if self.published is None:
            return None
        was_asked = name in self.published or name in self.elsewhere
        if not was_asked:
            return None
        return self.published_versions(name) | self.elsewhere.get(name, frozenset())

    def published_versions(self, name: str) -> frozenset[Version]:
        """Return the versions of the package *name* on the index to publish to; none if it was not asked."""
        if self.published is None:
            return frozenset()
        return self.published.get(name, frozenset())

    def is_published(self, name: str, version: Version) -> bool:
        """Return whether the index to publish to has this version of the package *name*; False if it was not asked."""
        return version in self.published_versions(name)

    def requirements_of(self, name: str, version: Version) -> tuple[Requirement, ...] | None:
        """Return what this release of the package *name* requires; None if nobody read it."""
        return self.requires.get(name, {}).get(version)


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What decides versions besides commits and settings.

    *requests* are by package what the maintainer requests. *date*, "YYYY.MM.DD", numbers prereleases if the settings
    ask for it. *documents* are by package the shas of the commits that touch only its documentation, *proposed* the
    version that a release commit has written into its files since the last release. *api_breaks* describes the breaking
    changes of the API of those packages whose version they raise.
    """

    requests: Mapping[str, VersionRequest] = field(default_factory=dict[str, VersionRequest])
    date: str = ""
    documents: Mapping[str, Container[str]] = field(default_factory=dict[str, "Container[str]"])
    proposed: Mapping[str, Version] = field(default_factory=dict[str, Version])
    api_breaks: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class PlanBasis:
    """Everything that a plan is made from, except the decisions."""

    workspace: Workspace
    baselines: Mapping[str, Baseline]
    selection: Selection
    settings: Settings
    inputs: PlanInputs
    own: Mapping[str, Mapping[str, Any]]

    @cached_property
    def current(self) -> dict[str, Version | None]:
        """The current version of each member: that of its last release, else the declared one."""
        versions = {member.name: member.version for member in self.workspace}
        for name in versions.keys() & self.baselines.keys():
            versions[name] = self.baselines[name].version
        return versions

    @cached_property
    def modes(self) -> dict[str, PinMode]:
        """How each publishable member is pinned."""
        return pin_modes(self.workspace, self.settings, self.own)

    @cached_property
    def major_on_zero(self) -> frozenset[str]:
        """The members whose 1.0.0 is an ordinary breaking change."""
        default = self.settings.major_on_zero
        return frozenset(
            name for name in self.modes if self.own_settings(name).get("major_on_zero", default)
        )

    def own_settings(self, name: str) -> Mapping[str, Any]:
        """Return the settings that the package *name* sets for itself."""
        return self.own.get(name, {})

    def platforms_of(self, name: str) -> tuple[str, ...]:
        """Return the platforms on which the wheels of the package *name* are built; none if it is built once, anywhere.

        Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE, RK-CONFIG-INVALID-VALUE.
        """
        return platforms_of(self.workspace, self.settings, self.own_settings(name), name)

    def siblings(self, targets: Mapping[str, Version]) -> Siblings:
        """Return the requirements between the members in a release of *targets*."""
        offers = offers_of(self.workspace, self.current, targets)
        return Siblings(
            workspace=self.workspace,
            offers=offers,
            current=self.current,
            targets=targets,
            modes=self.modes,
            policy=self.settings.source_requirements,
            major_on_zero=self.major_on_zero,
        )


def platforms_of(
    workspace: Workspace, settings: Settings, own: Mapping[str, Any], name: str
) -> tuple[str, ...]:
    """Return the platforms on which the wheels of the package *name*, with its *own* settings, are built.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE, RK-CONFIG-INVALID-VALUE.
    """
    table = settings.platform_table
    own_platforms = own.get("platforms")
    if own_platforms is None:
        return tuple(
            key
            for key, platform in table.items()
            if is_all(platform.packages) or name in workspace.matching_names(platform.packages)
        )
    refuse_unknown_platforms(own_platforms, table, workspace[name].path)
    return tuple(key for key in table if is_all(own_platforms) or key in own_platforms)


def decisions(
    workspace: Workspace,
    baselines: Mapping[str, Baseline],
    changes: Mapping[str, Sequence[Change]],
    settings: Settings,
    unreleased: Container[str] = frozenset(),
    since_stable: Mapping[str, Sequence[Change]] = MappingProxyType({}),
    own: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    consumed: Mapping[str, frozenset[Version]] = MappingProxyType({}),
    files: Mapping[str, PendingChanges] = MappingProxyType({}),
    facts: VersionFacts = VersionFacts(),
) -> Decisions:
    """Return the decision for each publishable member; *unreleased* is as `drop_reverted` has it.

    *changes* are those since the last release; if that is a prerelease, *since_stable* has those since the last stable
    one. *own* are the settings that members set for themselves, *consumed* the versions that cannot be released again,
    *files* the change files, *facts* what else decides versions.

    Raises Refusal RK-VERSION-INVALID, and RK-CONFIG-INVALID-VALUE or RK-WORKSPACE-UNKNOWN-PACKAGE for wrong
    groups.
    """
    rules = _package_rules(workspace, settings, own, facts.date)
    groups = version_groups(workspace, settings)
    tagged_by_others = _versions_tagged_by_others(groups, baselines, schemes_of(settings, own))
    histories: dict[str, tuple[PackageHistory, BumpRules]] = {}
    for member in workspace.publishable:
        name = member.name
        history = _package_history(
            member,
            baselines.get(name),
            changes=changes.get(name, ()),
            since_stable=since_stable.get(name),
            first=settings.first_version,
            consumed=consumed.get(name, frozenset()) | tagged_by_others.get(name, frozenset()),
        )
        history = replace(
            history,
            files=files.get(name, PendingChanges()),
            documents=facts.documents.get(name, frozenset[str]()),
            proposed=facts.proposed.get(name),
            api_break=facts.api_breaks.get(name, ""),
            requested=facts.requests.get(name, VersionRequest()),
        )
        histories[name] = (history, rules[name])
    return decide_all(histories, groups, unreleased)


def _versions_tagged_by_others(
    groups: Iterable[VersionGroup], baselines: Mapping[str, Baseline], schemes: TagSchemes
) -> dict[str, frozenset[Version]]:
    """Return, for each new package of a group, the versions that it cannot join: their tag names no package.

    Such a tag marks a commit at which the new package was not released.
    """
    versions: dict[str, frozenset[Version]] = {}
    for group in groups:
        releases = values_at(baselines, group.names)
        for name in drop(group.names, baselines):
            scheme = schemes.of(name)
            taken = [
                last.version for last in releases if last.tag == scheme.tag(name, last.version)
            ]
            versions[name] = frozenset(taken)
    return versions


def _package_rules(
    workspace: Workspace, settings: Settings, own: Mapping[str, Mapping[str, Any]], date: str
) -> dict[str, BumpRules]:
    """Return the settings that decide the version of each publishable member."""
    kinds = package_values("prerelease", workspace, settings, own)
    numberings = package_values("prerelease_numbering", workspace, settings, own)
    rules: dict[str, BumpRules] = {}
    for name, kind in kinds.items():
        values = {**own.get(name, {}), "prerelease": kind, "prerelease_numbering": numberings[name]}
        rules[name] = settings.model_copy(update=values).rules(date)
    return rules


def _package_history(
    member: Member,
    baseline: Baseline | None,
    *,
    changes: Sequence[Change],
    since_stable: Sequence[Change] | None,
    first: str,
    consumed: frozenset[Version],
) -> PackageHistory:
    if baseline is None:
        first_version = Version(first) if first else None
        return PackageHistory(member.version or first_version, changes=changes, consumed=consumed)
    since_last = None
    if since_stable is not None:
        since_last = frozenset(change.sha for change in changes)
    return PackageHistory(
        declared=member.version,
        last=baseline.version,
        stable=baseline.stable.version if baseline.stable else None,
        changes=changes if since_stable is None else since_stable,
        since_last=since_last,
        tagged=baseline.taken,
        consumed=consumed,
    )
