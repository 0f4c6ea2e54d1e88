"""What a yank affects: who requires the version, and what installers choose without it (PEP 592)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.repair.release_state import latest_version
from releasekit.core.text import count_as

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.repair.release_state import VersionKey


class YankDependent(BaseModel):
    """A version on the index whose *requirement* allows the yanked version.

    *alternative* is the version that installers choose instead, empty if there is none. With *keeps_it*, the
    requirement is an exact pin: installers still take the yanked version, and warn.
    """

    model_config = ConfigDict(frozen=True)

    package: str
    version: str
    requirement: str
    alternative: str = ""
    keeps_it: bool = False

    @property
    def effect(self) -> str:
        """What the yank changes for users who install this version."""
        if self.keeps_it:
            return "still installs it, with a warning: the requirement is an exact pin"
        if self.alternative:
            return f"installs {self.alternative} instead"
        return "can no longer be installed"


class YankPlace(BaseModel):
    """An index that has the version.

    *page* is where a maintainer can yank it; with *can_yank*, the index has an interface for that. *is_yanked* says
    what the index shows now.
    """

    model_config = ConfigDict(frozen=True)

    index: str
    page: str
    can_yank: bool = False
    is_yanked: bool = False


class YankReport(BaseModel):
    """The yank of one version: what it affects, what was done, and what is left to do.

    *fixed* is the version that should be released first: the later one that installers choose, empty without one.
    *fallback* is the version that installers choose instead. *dependents* are on the index, *requirements* are those in
    the sources of the workspace; all are those of the first index. *places* are the indexes that have the version.
    *page* is that of the first one; *can_yank* and *is_yanked* say whether all of them can, and have. *done* and
    *remaining* are sentences.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.yank/1"] = Field(default="releasekit.yank/1", alias="schema")
    package: str
    version: str
    reason: str
    fixed: str = ""
    fallback: str = ""
    dependents: tuple[YankDependent, ...] = ()
    requirements: tuple[str, ...] = ()
    places: tuple[YankPlace, ...] = ()
    page: str = ""
    can_yank: bool = False
    is_yanked: bool = False
    done: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()

    def with_places(self, places: Sequence[YankPlace]) -> YankReport:
        """Return the report with *places*, and with what they say together."""
        update = {
            "places": tuple(places),
            "page": places[0].page,
            "can_yank": all(place.can_yank for place in places),
            "is_yanked": all(place.is_yanked for place in places),
        }
        return self.model_copy(update=update)

    @property
    def broken(self) -> tuple[YankDependent, ...]:
        """The dependents that cannot be installed without the version."""
        return tuple(
            dependent
            for dependent in self.dependents
            if not (dependent.keeps_it or dependent.alternative)
        )

    @property
    def advice(self) -> str:
        """What should come before the yank; empty if nothing should."""
        if self.fixed:
            return ""
        command = f"releasekit publish --package {self.package}"
        without = "no version at all" if not self.fallback else f"{self.fallback}, which is older"
        return f"release a fixed version first (`{command}`): without it, installers get {without}"

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        subject = f"{self.package} {self.version}"
        state = "is yanked" if self.is_yanked else "is not yanked"
        return f"{subject} {state}: {count_as('published dependent', self.dependents)}, {len(self.broken)} broken"


def find_dependents(
    subject: VersionKey,
    offered: Collection[Version],
    requires: Mapping[VersionKey, tuple[Requirement, ...]],
) -> tuple[YankDependent, ...]:
    """Return the versions whose requirements allow *subject*, in the order of *requires*.

    *offered* are the versions of its package that are not yanked, without it.
    """
    name, version = subject
    dependents: list[YankDependent] = []
    for (package, package_version), requirements in requires.items():
        for requirement in requirements:
            is_about_it = canonicalize_name(requirement.name) == name
            if not is_about_it or not requirement.specifier.contains(version, prereleases=True):
                continue
            alternative = choose_version(requirement, offered)
            dependent = YankDependent(
                package=package,
                version=str(package_version),
                requirement=str(requirement),
                alternative=str(alternative or ""),
                keeps_it=is_exact_pin(requirement),
            )
            dependents.append(dependent)
    return tuple(dependents)


def choose_version(requirement: Requirement, offered: Collection[Version]) -> Version | None:
    """Return the version among *offered* that installers choose for *requirement*; None if there is none."""
    allowed = [*requirement.specifier.filter(offered)]
    return latest_version(allowed) if allowed else None


def is_exact_pin(requirement: Requirement) -> bool:
    """Return whether *requirement* names one version with `==` or `===`: then installers take it even if yanked."""
    return any(
        clause.operator in ("==", "===") and not clause.version.endswith(".*")
        for clause in requirement.specifier
    )


def yank_note(reason: str, day: str, package: str = "") -> str:
    """Return the line of a changelog that says that the version above it is yanked, since *day*.

    *package* is needed if the changelog has several packages.
    """
    subject = f"{package} yanked" if package else "Yanked"
    return f"**{subject} on {day}:** {_one_line(reason)}"


def with_yank_note(body: str, package: str, version: Version, reason: str) -> str:
    """Return the text of a release on the forge with a first line about the yank; once only for a version."""
    start = f"> **{package} {version} is yanked:**"
    if start in body:
        return body
    return f"{start} {_one_line(reason)}\n\n{body}"


def _one_line(reason: str) -> str:
    return " ".join(reason.split())
