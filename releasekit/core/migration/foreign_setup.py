"""The value that `init --from` works with: what another tool's configuration says, and what is left out of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from releasekit.core.version_numbers import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

ForeignTool = Literal[
    "bump-my-version",
    "changesets",
    "commitizen",
    "python-semantic-release",
    "release-please",
    "semversioner",
]
"""The tools whose configuration `init --from` reads."""


class LeftOut(BaseModel):
    """A part of another tool's configuration that is not taken over: *what* it is, and the *advice* what to do."""

    model_config = ConfigDict(frozen=True)

    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A key of [tool.releasekit] that another tool's configuration asks for, and the comment that says why."""

    name: str
    value: object
    comment: str


@dataclass(frozen=True, slots=True)
class ForeignSetup:
    """What the configuration of *tool* says.

    *baselines* are the last releases by package. *root_keys* are keys of the root's [tool.releasekit], *member_keys*
    those of members by package. *removable* are files that only *tool* reads.
    """

    tool: ForeignTool
    baselines: Mapping[str, Version] = field(default_factory=dict[str, "Version"])
    root_keys: tuple[ForeignKey, ...] = ()
    member_keys: Mapping[str, tuple[ForeignKey, ...]] = field(default_factory=dict[str, "tuple[ForeignKey, ...]"])
    not_taken_over: tuple[LeftOut, ...] = ()
    removable: tuple[str, ...] = ()

    def only_known(self, known_keys: Iterable[str], member_keys: Iterable[str]) -> ForeignSetup:
        """Return the setup without the keys that releasekit does not have, which are then left out aloud."""
        root_names, member_names = frozenset(known_keys), frozenset(member_keys)
        left_out = list(self.not_taken_over)
        left_out += _unknown_keys(self.root_keys, root_names)
        by_member: dict[str, tuple[ForeignKey, ...]] = {}
        for name, keys in self.member_keys.items():
            left_out += _unknown_keys(keys, member_names, f" of {name}")
            accepted = tuple(key for key in keys if key.name in member_names)
            if accepted:
                by_member[name] = accepted
        root_keys = tuple(key for key in self.root_keys if key.name in root_names)
        return replace(self, root_keys=root_keys, member_keys=by_member, not_taken_over=tuple(left_out))


def _unknown_keys(keys: Iterable[ForeignKey], known: frozenset[str], place: str = "") -> Iterator[LeftOut]:
    for key in keys:
        if key.name not in known:
            yield LeftOut(what=f"{key.comment.rstrip('.')}{place}", advice=f"releasekit has no key {key.name} here.")


@dataclass(frozen=True, slots=True)
class Places:
    """The packages of the workspace: *names* by directory, relative to the configuration, "." for its own."""

    names: Mapping[str, str]

    def at(self, path: str) -> str:
        """Return the package in the directory *path*; empty if there is none."""
        plain = path.removeprefix("./").strip("/") or "."
        return self.names.get(plain, "")

    def owner(self, path: str) -> tuple[str, str]:
        """Return the package around the file *path*, and the path relative to it; both empty if there is none."""
        parts = path.removeprefix("./").split("/")
        for depth in range(len(parts) - 1, -1, -1):
            directory = "/".join(parts[:depth]) or "."
            if directory in self.names:
                return self.names[directory], "/".join(parts[depth:])
        return "", ""

    def below(self, directory: str) -> list[str]:
        """Return the packages that a configuration in *directory* is for: its own one, or all if it has none."""
        own = self.names.get(directory)
        return [own] if own and (directory != "." or len(self.names) == 1) else sorted(self.names.values())


def with_own_name(name: str, component: str, rest: str) -> str:
    """Return the tag format of *name* whose tags say *component*; *rest* is what follows. The name is {name} if equal.

    New tags must look like the old ones, so a component in another spelling stays as it is.
    """
    same = component == canonicalize_name(name)
    return f"{{name}}{rest}" if same else f"{component}{rest}"


def common_format(formats: Mapping[str, str]) -> str:
    """Return the format that most packages of *formats*, by package, share; empty if none can be shared."""
    sharable = [form for form in formats.values() if "{name}" in form]
    if not sharable and len(formats) == 1:
        return next(iter(formats.values()))
    return max(sorted(set(sharable)), key=sharable.count, default="")


def tag_keys(
    formats: Mapping[str, str], comment: str
) -> tuple[tuple[ForeignKey, ...], dict[str, tuple[ForeignKey, ...]]]:
    """Return the key `tag_format` of the root, and those of packages with another format, for *formats* by package."""
    shared = common_format(formats)
    root_keys = (ForeignKey("tag_format", shared, comment),) if shared else ()
    other = {name: form for name, form in formats.items() if form != shared}
    return root_keys, {name: (ForeignKey("tag_format", form, comment),) for name, form in other.items()}


def version_of(value: object) -> Version | None:
    """Return *value* as a version; None if it is none, or 0.0.0, which means that nothing was released."""
    version = parse_version(value) if isinstance(value, str) else None
    return version if version and any(version.release) else None


def merge_keys(*groups: Mapping[str, Sequence[ForeignKey]]) -> dict[str, tuple[ForeignKey, ...]]:
    """Return the keys of all *groups*, by package."""
    merged: dict[str, tuple[ForeignKey, ...]] = {}
    for group in groups:
        for name, keys in group.items():
            merged[name] = (*merged.get(name, ()), *keys)
    return merged
