"""What a maintainer requests with options: bumps, versions and promotions, by package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from packaging.utils import canonicalize_name

from releasekit.core.config.bump_rules import Bump
from releasekit.core.errors import ErrorCode, Refusal, did_you_mean
from releasekit.core.picking import pick, true_keys
from releasekit.core.version_numbers import parse_version
from releasekit.core.versioning.prereleases import kind_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from packaging.version import Version

    from releasekit.core.config.settings import VersionOptions
    from releasekit.core.workspace.workspace import Workspace

V = TypeVar("V")

EVERYTHING = "all"
"""The name that `--promote` accepts for all packages."""


@dataclass(frozen=True, slots=True)
class VersionRequest:
    """What a maintainer requests for one package; nothing by default.

    *bump* is what counts instead of the commits; `Bump.NONE` holds the package back. *version* is the exact version.
    *promote*: leave the prereleases now. *prerelease* is the kind that the option `--prerelease` names.
    """

    bump: Bump | None = None
    version: Version | None = None
    promote: bool = False
    prerelease: str = ""

    @property
    def is_held_back(self) -> bool:
        """Whether the package is not released."""
        return self.bump is Bump.NONE

    @property
    def is_promotion(self) -> bool:
        """Whether a later kind is requested now, also without changes."""
        return self.promote or self.names_kind

    @property
    def names_kind(self) -> bool:
        """Whether the option `--prerelease` names a kind."""
        return self.prerelease not in ("", "stay")

    @property
    def kind(self) -> str:
        """The kind of release that is requested, as `BumpRules` has it; empty if none is."""
        if self.version is not None:
            return kind_of(self.version)
        if self.promote and not self.names_kind:
            return "none"
        return self.prerelease

    @property
    def kind_rank(self) -> int:
        """How much its kind counts in a group: a promotion most, then an exact version."""
        return max(2 * self.promote, int(self.version is not None))

    @property
    def decides_version(self) -> bool:
        """Whether the request decides the version, and neither a commit nor a file."""
        return self.version is not None or self.bump is not None

    @property
    def reason(self) -> str:
        """The option that requests a release, as the reason in the plan; empty if there is none."""
        if self.version is not None:
            return f"--set-version {self.version}"
        if self.bump is not None:
            return f"--bump {self.bump.label}"
        return ""


def version_requests(
    options: VersionOptions, workspace: Workspace, named: Collection[str]
) -> dict[str, VersionRequest]:
    """Return what *options* request, by package. A bump without a name is for the packages *named* by other options.

    Raises Refusal RK-USAGE for an option that cannot be read, or two that contradict each other, RK-VERSION-INVALID for
    a text that is not a version, and RK-WORKSPACE-UNKNOWN-PACKAGE.
    """
    bumps = _bumps(options, workspace, named)
    versions = _versions(options, workspace)
    promoted = _packages_to_promote(options, workspace)
    requests: dict[str, VersionRequest] = {}
    for member in workspace.publishable:
        name = member.name
        requests[name] = VersionRequest(
            bump=bumps.get(name),
            version=versions.get(name),
            promote=name in promoted,
            prerelease=options.prerelease,
        )
        _refuse_contradiction(name, requests[name])
    return requests


def _refuse_contradiction(name: str, request: VersionRequest) -> None:
    """Refuse a *request* for the package *name* that is none."""
    is_prerelease = request.version is not None and request.version.is_prerelease
    prevents_promotion = request.is_held_back or is_prerelease
    conflicts = {
        "--bump and --set-version": None not in (request.bump, request.version),
        f"--promote and {request.reason}": request.promote and prevents_promotion,
    }
    for conflict in true_keys(conflicts):
        message = f"{conflict} contradict each other for {name}"
        raise Refusal(ErrorCode.USAGE, message, hint="Use only one of them.")


def _bumps(
    options: VersionOptions, workspace: Workspace, named: Collection[str]
) -> dict[str, Bump]:
    values: _ByPrecision[Bump] = _ByPrecision("--bump", workspace)
    for text in options.bump:
        pattern, has_name, label = text.rpartition("=")
        bump = _parse_bump(label, text)
        if has_name:
            values.add(pattern, bump, text)
        elif named:
            values.add_names(named, bump, text)
        else:
            raise Refusal(
                code=ErrorCode.USAGE,
                message=f"--bump {text} names no package",
                hint=f'Write --bump NAME={text}, add -p NAME, or write --bump "*={text}" for all packages.',
            )
    return values.by_package


def _parse_bump(label: str, text: str) -> Bump:
    try:
        return Bump[label.strip().upper()]
    except KeyError:
        labels = [bump.label for bump in Bump]
        message = f"--bump {text}: {label!r} is not a bump{did_you_mean(label, labels)}"
        raise Refusal(
            ErrorCode.USAGE, message, hint="Write NAME=major, minor, patch or none."
        ) from None


def _versions(options: VersionOptions, workspace: Workspace) -> dict[str, Version]:
    values: _ByPrecision[Version] = _ByPrecision("--set-version", workspace)
    for text in options.set_version:
        pattern, _, version_text = text.rpartition("=")
        if not pattern:
            raise Refusal(
                ErrorCode.USAGE, f"--set-version {text} names no package", hint="Write NAME=1.2.3."
            )
        version = parse_version(version_text)
        if version is None:
            message = f"--set-version {text}: {version_text!r} is not a PEP 440 version"
            raise Refusal(ErrorCode.VERSION_INVALID, message)
        values.add(pattern, version, text)
    return values.by_package


def _packages_to_promote(options: VersionOptions, workspace: Workspace) -> frozenset[str]:
    names: set[str] = set()
    for pattern in options.promote:
        is_all = pattern == EVERYTHING and EVERYTHING not in workspace.members
        matches = workspace.matching_names(["*" if is_all else pattern])
        names |= _publishable(workspace, matches, f"--promote {pattern}")
    return frozenset(names)


def _publishable(workspace: Workspace, names: Collection[str], option: str) -> frozenset[str]:
    """Return those of *names* that can be released; raises Refusal RK-USAGE if *option* names only others."""
    publishable = frozenset(pick(workspace.publishable_names, names))
    if not publishable:
        raise Refusal(ErrorCode.USAGE, f"{option}: {', '.join(sorted(names))} is never published")
    return publishable


class _ByPrecision(Generic[V]):
    """Collects the values that an option gives to packages. A name counts more than a pattern that matches it."""

    def __init__(self, flag: str, workspace: Workspace) -> None:
        self._flag = flag
        self._workspace = workspace
        self._by_pattern: dict[str, V] = {}
        self._by_name: dict[str, V] = {}

    @property
    def by_package(self) -> dict[str, V]:
        """The value of each package."""
        return self._by_pattern | self._by_name

    def add(self, pattern: str, value: V, text: str) -> None:
        """Add *value* for the packages that *pattern* matches; *text* is the option's value as written."""
        names = self._workspace.matching_names([pattern])
        is_name = canonicalize_name(pattern) in names
        values = self._by_name if is_name else self._by_pattern
        self._add_to(values, names, value, text)

    def add_names(self, names: Collection[str], value: V, text: str) -> None:
        """Add *value* for the packages *names*."""
        self._add_to(self._by_name, names, value, text)

    def _add_to(self, values: dict[str, V], names: Collection[str], value: V, text: str) -> None:
        for name in sorted(_publishable(self._workspace, names, f"{self._flag} {text}")):
            if values.setdefault(name, value) != value:
                message = f"{self._flag} {text} contradicts another {self._flag} for {name}"
                raise Refusal(ErrorCode.USAGE, message, hint="Give each package one value.")
