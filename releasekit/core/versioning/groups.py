"""Groups of packages that share a version, and the next version of each package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import ErrorCode, Refusal, did_you_mean
from releasekit.core.versioning.versions import BumpRequest, Decision, PackageHistory, decide_versions, request_bump

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from releasekit.core.config.bump_rules import BumpRules
    from releasekit.core.config.settings import PinMode, Settings
    from releasekit.core.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class VersionGroup:
    """Packages whose version is decided together; *fixed*: all are released when one is. *title* is for messages."""

    names: tuple[str, ...]
    fixed: bool = False
    title: str = ""


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
            if not request.wants_release:
                requests[name] = request_bump(request.history, request.rules, propagation_reason=reason)
        return decide_groups(requests, self.groups)

    def fixed_group_members(self, names: Container[str]) -> frozenset[str]:
        """Return all members of the fixed groups that contain any of *names*."""
        members: set[str] = set()
        for group in self.groups:
            if group.fixed and any(name in names for name in group.names):
                members.update(group.names)
        return frozenset(members)


def decide_all(
    histories: Mapping[str, tuple[PackageHistory, BumpRules]],
    groups: Sequence[VersionGroup],
    unreleased: Container[str],
) -> Decisions:
    """Decide the versions of all packages; a decision that is not possible has a refusal.

    *unreleased* is as `drop_reverted` has it.
    """
    requests: dict[str, BumpRequest] = {}
    for name, (history, rules) in histories.items():
        requests[name] = request_bump(history, rules, unreleased)
    return decide_groups(requests, tuple(groups))


def decide_groups(requests: Mapping[str, BumpRequest], groups: tuple[VersionGroup, ...]) -> Decisions:
    """Decide the versions of each group independently of the other groups."""
    decisions: dict[str, Decision] = {}
    for group in groups:
        group_requests = {name: requests[name] for name in group.names}
        decisions |= decide_versions(group_requests, fixed=group.fixed, title=group.title)
    return Decisions(requests, groups, {name: decisions[name] for name in requests})


def group_patterns(settings: Settings, names: Iterable[str]) -> list[str]:
    """Return the patterns of the packages in the groups *names*; raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE."""
    patterns: list[str] = []
    for name in names:
        if name not in settings.groups:
            available = ", ".join(settings.groups) or "none is configured"
            message = f"no group is named {name} ({available}){did_you_mean(name, settings.groups)}"
            hint = "Define groups in [tool.releasekit.groups]. `releasekit init` proposes one for each directory."
            raise Refusal(ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, message, hint=hint)
        patterns += settings.groups[name].packages
    return patterns


def pin_modes(workspace: Workspace, settings: Settings, own: Mapping[str, Mapping[str, Any]]) -> dict[str, PinMode]:
    """Return how each publishable member is pinned: by its own `pins`, else by its group, else by the workspace.

    Raises Refusal RK-CONFIG-INVALID-VALUE for a package in two groups with different `pins`.
    """
    modes: dict[str, PinMode] = {member.name: settings.pins for member in workspace if member.publishable}
    group_of: dict[str, str] = {}
    for title, group in settings.groups.items():
        if group.pins is None:
            continue
        for name in sorted(workspace.matching_names(group.packages) & modes.keys()):
            if name in group_of and modes[name] != group.pins:
                message = f"two groups set different `pins` for {name}: {group_of[name]} and {title}"
                hint = "Remove it from one of them, or set `pins` in its own [tool.releasekit]."
                raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, f"[tool.releasekit.groups.{title}]", hint)
            group_of[name] = title
            modes[name] = group.pins
    for name, keys in own.items():
        if "pins" in keys and name in modes:
            modes[name] = keys["pins"]
    return modes


def version_groups(workspace: Workspace, settings: Settings) -> tuple[VersionGroup, ...]:
    """Return the groups that the settings make of the publishable members; a single package is also a group.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for a pattern that matches no member, RK-CONFIG-INVALID-VALUE for a
    package in two groups with `versioning`.
    """
    publishable = dict.fromkeys(member.name for member in workspace if member.publishable)
    group_of: dict[str, str] = {}
    groups: list[VersionGroup] = []
    for title, group in settings.groups.items():
        location = f"[tool.releasekit.groups.{title}]"
        try:
            names = workspace.matching_names(group.packages)
        except Refusal as error:
            raise Refusal(error.code, error.message, location) from None
        if group.versioning is None:
            continue
        for name in sorted(names & group_of.keys()):
            message = f"two groups set the version of {name}: {group_of[name]} and {title}"
            hint = "Remove it from one of them. A group without `versioning` can also contain it."
            raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, location, hint)
        group_of |= dict.fromkeys(names, title)
        group_names = tuple(name for name in publishable if name in names)
        if group.versioning != "independent" and group_names:
            is_fixed = group.versioning == "fixed"
            groups.append(VersionGroup(group_names, is_fixed, f"{group.versioning} group {title}"))
    ungrouped = tuple(name for name in publishable if name not in group_of)
    if settings.versioning != "independent" and ungrouped:
        is_fixed = settings.versioning == "fixed"
        groups.append(VersionGroup(ungrouped, is_fixed, f'versioning = "{settings.versioning}"'))
    alone = dict.fromkeys(publishable)
    for version_group in groups:
        for name in version_group.names:
            del alone[name]
    return (*groups, *(VersionGroup((name,)) for name in alone))
