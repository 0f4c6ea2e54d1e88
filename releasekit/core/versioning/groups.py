"""Groups of packages that share a version, and the next version of each package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import ErrorCode, Refusal, did_you_mean
from releasekit.core.picking import drop, names_of, pick, pick_keys
from releasekit.core.text import list_names
from releasekit.core.versioning.versions import (
    BumpRequest,
    Decision,
    PackageHistory,
    decide_versions,
    request_bump,
    with_release_kind,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from releasekit.core.config.bump_rules import BumpRules
    from releasekit.core.config.settings import Group, PinMode, Settings, Versioning
    from releasekit.core.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class VersionGroup:
    """Packages whose version is decided together; *fixed*: all are released when one is. *title* is for messages."""

    names: tuple[str, ...]
    fixed: bool = False
    title: str = ""

    def has_any(self, names: Container[str]) -> bool:
        """Return whether one of *names* is in the group."""
        return any(name in names for name in self.names)


@dataclass(frozen=True, slots=True)
class Decisions(Mapping[str, Decision]):
    """The decision for each publishable package, by name; *requests* and *groups* are its inputs."""

    requests: Mapping[str, BumpRequest]
    groups: tuple[VersionGroup, ...]
    by_name: Mapping[str, Decision]

    def __getitem__(self, name: str) -> Decision:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)

    def with_propagated(self, reasons: Mapping[str, str]) -> Decisions:
        """Return the decisions if the packages in *reasons* are also released, as a patch, for these reasons."""
        requests = dict(self.requests)
        for name, reason in reasons.items():
            request = requests[name]
            can_follow = not (request.wants_release or request.history.requested.is_held_back)
            if can_follow:
                requests[name] = request_bump(
                    request.history, request.rules, propagation_reason=reason
                )
        return decide_groups(requests, self.groups)

    @property
    def are_together(self) -> bool:
        """Whether the versions of all packages are decided together, because one group contains them all."""
        all_names = set(self.by_name)
        return any(set(group.names) == all_names for group in self.groups)

    def share_version(self, one: str, other: str) -> bool:
        """Return whether the versions of two packages are decided together."""
        return any(one in group.names and other in group.names for group in self.groups)

    def fixed_group_members(self, names: Container[str]) -> frozenset[str]:
        """Return all members of the fixed groups that contain any of *names*."""
        fixed_groups = [group for group in self.groups if group.fixed]
        member_names = [group.names for group in fixed_groups if group.has_any(names)]
        return frozenset[str]().union(*member_names)


def decide_all(
    histories: Mapping[str, tuple[PackageHistory, BumpRules]],
    groups: Sequence[VersionGroup],
    unreleased: Container[str],
) -> Decisions:
    """Decide the versions of all packages; a decision that is not possible has a refusal.

    *unreleased* is as `drop_reverted` has it. Raises Refusal RK-CONFIG-INVALID-VALUE for a group whose packages have
    different kinds of prereleases.
    """
    rules: dict[str, BumpRules] = {}
    for group in groups:
        rules |= with_release_kind(pick_keys(histories, group.names), group.title)
    requests: dict[str, BumpRequest] = {}
    for name, (history, _) in histories.items():
        requests[name] = request_bump(history, rules[name], unreleased)
    return decide_groups(requests, tuple(groups))


def decide_groups(
    requests: Mapping[str, BumpRequest], groups: tuple[VersionGroup, ...]
) -> Decisions:
    """Decide the versions of each group independently of the other groups."""
    decisions: dict[str, Decision] = {}
    for group in groups:
        group_requests = pick_keys(requests, group.names)
        decisions |= decide_versions(group_requests, fixed=group.fixed, title=group.title)
    in_order = pick_keys(decisions, requests)
    return Decisions(requests, groups, in_order)


def group_patterns(settings: Settings, names: Iterable[str]) -> list[str]:
    """Return the patterns of the packages in the groups *names*; raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE."""
    patterns: list[str] = []
    for name in names:
        if name not in settings.groups:
            available = list_names(settings.groups, "none is configured")
            raise Refusal(
                code=ErrorCode.WORKSPACE_UNKNOWN_PACKAGE,
                message=f"no group is named {name} ({available}){did_you_mean(name, settings.groups)}",
                hint="Define groups in [tool.releasekit.groups].",
            )
        patterns += settings.groups[name].packages
    return patterns


def pin_modes(
    workspace: Workspace, settings: Settings, own: Mapping[str, Mapping[str, Any]]
) -> dict[str, PinMode]:
    """Return how each publishable member is pinned; see `package_values`."""
    return package_values("pins", workspace, settings, own)


def package_values(
    key: str, workspace: Workspace, settings: Settings, own: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the value of *key* for each publishable member: its own, else that of its group, else of the workspace.

    Raises Refusal RK-CONFIG-INVALID-VALUE for a package in two groups with different values, if it has no own one.
    """
    values: dict[str, Any] = {
        member.name: getattr(settings, key) for member in workspace.publishable
    }
    own_values = {name: own[name][key] for name in values.keys() & own if key in own[name]}
    group_of: dict[str, str] = {}
    for title, group in settings.groups.items():
        value = getattr(group, key)
        if value is None:
            continue
        names = workspace.matching_names(group.packages) & values.keys()
        for name in sorted(names - own_values.keys()):
            other = group_of.get(name)
            if other and values[name] != value:
                raise Refusal(
                    code=ErrorCode.CONFIG_INVALID_VALUE,
                    message=f"two groups set different `{key}` for {name}: {other} and {title}",
                    location=f"[tool.releasekit.groups.{title}]",
                    hint=f"Remove `{key}` from one of them, or the package.",
                )
            group_of[name] = title
            values[name] = value
    return values | own_values


def version_groups(workspace: Workspace, settings: Settings) -> tuple[VersionGroup, ...]:
    """Return the groups that the settings make of the publishable members; a single package is also a group.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for a pattern that matches no member, RK-CONFIG-INVALID-VALUE for a
    package in two groups with `versioning`.
    """
    publishable = names_of(workspace.publishable)
    group_of: dict[str, str] = {}
    groups: list[VersionGroup] = []
    for title, group in settings.groups.items():
        names = _group_members(workspace, title, group)
        if group.versioning is None:
            continue
        _refuse_second_group(names, group_of, title)
        group_of |= dict.fromkeys(names, title)
        group_names = pick(publishable, names)
        groups += _shared_group(group_names, group.versioning, f"{group.versioning} group {title}")
    ungrouped = drop(publishable, group_of)
    groups += _shared_group(ungrouped, settings.versioning, f'versioning = "{settings.versioning}"')
    with_shared_version = set(chain.from_iterable(group.names for group in groups))
    single = [VersionGroup((name,)) for name in publishable if name not in with_shared_version]
    return (*groups, *single)


def _shared_group(names: Sequence[str], versioning: Versioning, title: str) -> list[VersionGroup]:
    """Return the group of *names* in a list; an empty list without names, or if their versions are independent."""
    if versioning == "independent" or not names:
        return []
    is_fixed = versioning == "fixed"
    return [VersionGroup(tuple(names), fixed=is_fixed, title=title)]


def _group_members(workspace: Workspace, title: str, group: Group) -> frozenset[str]:
    try:
        return workspace.matching_names(group.packages)
    except Refusal as error:
        raise Refusal(error.code, error.message, f"[tool.releasekit.groups.{title}]") from None


def _refuse_second_group(names: frozenset[str], group_of: Mapping[str, str], title: str) -> None:
    """Refuse a package of the group *title* whose version another group sets."""
    for name in sorted(names & group_of.keys()):
        raise Refusal(
            code=ErrorCode.CONFIG_INVALID_VALUE,
            message=f"two groups set the version of {name}: {group_of[name]} and {title}",
            location=f"[tool.releasekit.groups.{title}]",
            hint="Remove it from one of them. A group without `versioning` can also contain it.",
        )
