"""Which packages share a version, and what each of them goes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import Code, Refusal, nearest
from releasekit.core.versioning.versions import Decision, Past, Wish, settle, wish

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from releasekit.core.config.bump_rules import Rules
    from releasekit.core.config.settings import PinMode, Settings
    from releasekit.core.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Unit:
    """Packages whose version is decided together; *fixed*: all of them go when one does. *title* is for people."""

    names: tuple[str, ...]
    fixed: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Decisions(Mapping[str, Decision]):
    """What each publishable package goes to, by name; *wishes* and *units* are what that was made from."""

    wishes: Mapping[str, Wish]
    units: tuple[Unit, ...]
    made: Mapping[str, Decision]

    def __getitem__(self, name: str) -> Decision:
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.made)

    def __len__(self) -> int:
        return len(self.made)

    def pulling(self, reasons: Mapping[str, str]) -> Decisions:
        """Return the decisions where the packages in *reasons* go out too, as a patch, for these reasons."""
        wishes = dict(self.wishes)
        for name, reason in reasons.items():
            if not wishes[name].wanted:
                wishes[name] = wish(wishes[name].past, wishes[name].rules, pulled=reason)
        return settled(wishes, self.units)

    def together_with(self, names: Container[str]) -> frozenset[str]:
        """Return all members of the fixed groups that any of *names* is in."""
        return frozenset(
            name
            for unit in self.units
            if unit.fixed and any(each in names for each in unit.names)
            for name in unit.names
        )


def decided(pasts: Mapping[str, tuple[Past, Rules]], units: Sequence[Unit], unreleased: Container[str]) -> Decisions:
    """Decide for all packages; a package that cannot be decided says so in its decision."""
    return settled({name: wish(past, rules, unreleased) for name, (past, rules) in pasts.items()}, tuple(units))


def settled(wishes: Mapping[str, Wish], units: tuple[Unit, ...]) -> Decisions:
    """Settle each unit by itself."""
    made: dict[str, Decision] = {}
    for unit in units:
        made |= settle({name: wishes[name] for name in unit.names}, fixed=unit.fixed, title=unit.title)
    return Decisions(wishes, units, {name: made[name] for name in wishes})


def patterns_of(settings: Settings, names: Iterable[str]) -> list[str]:
    """Return the patterns of the packages in the groups *names*; raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE."""
    patterns: list[str] = []
    for name in names:
        if name not in settings.groups:
            known = ", ".join(settings.groups) or "none is configured"
            what = f"no group is named {name} ({known}){nearest(name, settings.groups)}"
            hint = "Groups are named in [tool.releasekit.groups]; `releasekit init` proposes one for each directory."
            raise Refusal(Code.WORKSPACE_UNKNOWN_PACKAGE, what, hint=hint)
        patterns += settings.groups[name].packages
    return patterns


def pin_modes(workspace: Workspace, settings: Settings, own: Mapping[str, Mapping[str, Any]]) -> dict[str, PinMode]:
    """Return how each publishable member is pinned: as it says itself, else its group, else the workspace.

    Raises Refusal RK-CONFIG-INVALID-VALUE for a package in two groups that differ.
    """
    modes: dict[str, PinMode] = {member.name: settings.pins for member in workspace if member.publishable}
    group_of: dict[str, str] = {}
    for title, group in settings.groups.items():
        if group.pins is None:
            continue
        for name in sorted(workspace.matching(group.packages) & modes.keys()):
            if name in group_of and modes[name] != group.pins:
                what = f"{name} is pinned differently by two groups: {group_of[name]} and {title}"
                hint = "Take it out of one of them, or give it the key `pins` of its own."
                raise Refusal(Code.CONFIG_INVALID_VALUE, what, f"[tool.releasekit.groups.{title}]", hint)
            group_of[name] = title
            modes[name] = group.pins
    return modes | {name: keys["pins"] for name, keys in own.items() if "pins" in keys and name in modes}


def units_of(workspace: Workspace, settings: Settings) -> tuple[Unit, ...]:
    """Return the units that the settings make of the publishable members; a package alone is one too.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for a pattern that fits no member, RK-CONFIG-INVALID-VALUE for a
    package in two groups that version it.
    """
    free = dict.fromkeys(member.name for member in workspace if member.publishable)
    group_of: dict[str, str] = {}
    units: list[Unit] = []
    for title, group in settings.groups.items():
        where = f"[tool.releasekit.groups.{title}]"
        try:
            names = workspace.matching(group.packages)
        except Refusal as error:
            raise Refusal(error.code, error.what, where) from None
        if group.versioning is None:
            continue
        for name in sorted(names & group_of.keys()):
            what = f"{name} has its version from two groups: {group_of[name]} and {title}"
            hint = "Take it out of one of them; a group without `versioning` may hold it besides."
            raise Refusal(Code.CONFIG_INVALID_VALUE, what, where, hint)
        group_of |= dict.fromkeys(names, title)
        mine = tuple(name for name in free if name in names)
        if group.versioning != "independent" and mine:
            units.append(Unit(mine, group.versioning == "fixed", f"{group.versioning} group {title}"))
    alone = tuple(name for name in free if name not in group_of)
    if settings.versioning != "independent" and alone:
        units.append(Unit(alone, settings.versioning == "fixed", f'versioning = "{settings.versioning}"'))
    shared = {name for unit in units for name in unit.names}
    return (*units, *(Unit((name,)) for name in free if name not in shared))
