"""What a plan is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.version import Version
from pydantic import BaseModel, ConfigDict

from releasekit.core.versioning.groups import Decisions, decide_all, pin_modes, version_groups
from releasekit.core.versioning.versions import PackageHistory
from releasekit.core.workspace.graph import offers_of
from releasekit.core.workspace.siblings import Siblings

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from releasekit.core.config.settings import PinMode, Selection, Settings
    from releasekit.core.history.commits import Change
    from releasekit.core.history.tags import Baseline
    from releasekit.core.workspace.workspace import Member, Workspace


class PlanInputs(BaseModel):
    """All that a plan is made from; *published* is None when no index was asked, *date* is "YYYY.MM.DD".

    *published* are by package the versions on the index that the release goes to, *elsewhere* those that installers
    find on their default index besides. *requires* is what releases require, by package and version; of one that is not
    in it it is assumed. *raised* are packages that a release since their last one has changed without publishing them:
    it raised a requirement there; with its name. *unheard* are versions that commits ask for which touch no package, by
    their short shas.
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

    def installable_versions(self, name: str) -> frozenset[Version] | None:
        """Return the versions of the package *name* that an installer finds; None if nobody was asked."""
        if self.published is None or not (name in self.published or name in self.elsewhere):
            return None
        return self.published.get(name, frozenset()) | self.elsewhere.get(name, frozenset())


@dataclass(frozen=True)
class PlanBasis:
    """All that a plan is made from, beside the decisions."""

    workspace: Workspace
    baselines: Mapping[str, Baseline]
    selection: Selection
    settings: Settings
    inputs: PlanInputs
    own: Mapping[str, Mapping[str, Any]]

    @cached_property
    def current(self) -> dict[str, Version | None]:
        """The version of each member now: of its last release, else as declared."""
        return {member.name: current_version(member, self.baselines.get(member.name)) for member in self.workspace}

    @cached_property
    def modes(self) -> dict[str, PinMode]:
        """How each publishable member is pinned."""
        return pin_modes(self.workspace, self.settings, self.own)

    @cached_property
    def major_on_zero(self) -> frozenset[str]:
        """The members whose 1.0.0 is an ordinary breaking change."""
        key = "major_on_zero"
        choices = ((name, self.own.get(name, {}).get(key, self.settings.major_on_zero)) for name in self.modes)
        return frozenset(name for name, on_zero in choices if on_zero)

    def siblings(self, targets: Mapping[str, Version]) -> Siblings:
        """Return the requirements between the members in a release of *targets*."""
        offers = offers_of(self.workspace, self.current, targets)
        policy = self.settings.source_requirements
        return Siblings(self.workspace, offers, self.current, targets, self.modes, policy, self.major_on_zero)


def decisions(
    workspace: Workspace,
    baselines: Mapping[str, Baseline],
    changes: Mapping[str, Sequence[Change]],
    settings: Settings,
    unreleased: Container[str] = frozenset(),
    since_stable: Mapping[str, Sequence[Change]] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    consumed: Mapping[str, frozenset[Version]] | None = None,
) -> Decisions:
    """Return what the history asks of each publishable member; *unreleased* is as `standing` has it.

    *changes* are those since the last release; where that is a prerelease, *since_stable* has those since the last
    stable one. *own* are the settings that members have for themselves, *consumed* versions that cannot be released
    again. Raises Refusal RK-VERSION-INVALID, and RK-CONFIG-INVALID-VALUE or RK-WORKSPACE-UNKNOWN-PACKAGE for wrong
    groups.
    """
    rules, changes_since_stable = settings.rules(), since_stable or {}
    own_rules = {name: settings.model_copy(update=overrides).rules() for name, overrides in (own or {}).items()}
    histories = {
        member.name: (
            _package_history(
                member,
                baselines.get(member.name),
                changes.get(member.name, ()),
                changes_since_stable.get(member.name),
                settings.first_version,
                (consumed or {}).get(member.name, frozenset()),
            ),
            own_rules.get(member.name, rules),
        )
        for member in workspace
        if member.publishable
    }
    return decide_all(histories, version_groups(workspace, settings), unreleased)


def _package_history(
    member: Member,
    baseline: Baseline | None,
    changes: Sequence[Change],
    since_stable: Sequence[Change] | None,
    first: str,
    consumed: frozenset[Version],
) -> PackageHistory:
    if baseline is None:
        return PackageHistory(member.version or (Version(first) if first else None), changes=changes)
    return PackageHistory(
        declared=member.version,
        last=baseline.version,
        stable=baseline.stable.version if baseline.stable else None,
        changes=changes if since_stable is None else since_stable,
        since_last=None if since_stable is None else frozenset(change.sha for change in changes),
        tagged=baseline.taken,
        consumed=consumed,
    )


def current_version(member: Member, baseline: Baseline | None) -> Version | None:
    """Return the version of the last release; without one, the version that the files declare."""
    return baseline.version if baseline else member.version
