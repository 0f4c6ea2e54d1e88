"""The value that `init --from` works with: what another tool's configuration says, and what is left out of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from releasekit.core.picking import drop_empty, drop_named, names_of
from releasekit.core.version_numbers import parse_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.migration.foreign_texts import Table

    FindParts = Callable[[str, Version], Iterator[str]]

ForeignTool = Literal[
    "bump-my-version",
    "changesets",
    "commitizen",
    "python-semantic-release",
    "release-please",
    "semversioner",
]
"""The tools whose configuration `init --from` reads."""


VERSION_FILES_ADVICE = (
    "Set `bump` in the [tool.releasekit] of the package: a path, and the text around the version. "
    "For `__version__` in a module, `releasekit check --fix` does it."
)
"""What to do about files with the version, where another tool does not say the text around it."""


class LeftOut(BaseModel):
    """A part of another tool's configuration that is not taken over: *what* it is, and the *advice* what to do."""

    model_config = ConfigDict(frozen=True)

    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class OptionGuide:
    """The options of another tool: the keys that are *read*, and what to do about the others.

    *advice* is by key; *general_advice* is for a key that has none.
    """

    read: frozenset[str]
    advice: Mapping[str, str]
    general_advice: str

    def leftovers(self, options: Table, place: str = "") -> Iterator[LeftOut]:
        """Yield the *options* that are set and not read; *place* follows the key and says where it is."""
        for key, value in options.items():
            if key not in self.read and value not in _UNSET:
                yield LeftOut(
                    what=f"{key}{place}", advice=self.advice.get(key, self.general_advice)
                )


_UNSET: tuple[object, ...] = (False, [], {}, None, "")
"""The values of options that ask for nothing."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A key of [tool.releasekit] that another tool's configuration asks for, and the comment that says why.

    An empty text, list or table asks for nothing; `stated_keys` leaves it out.
    """

    name: str
    value: object
    comment: str


def stated_keys(keys: Iterable[ForeignKey]) -> tuple[ForeignKey, ...]:
    """Return the *keys* that have a value."""
    return tuple(key for key in keys if key.value not in ("", [], {}))


def major_on_zero_key(tool: ForeignTool) -> ForeignKey:
    """Return the key for a *tool* that leaves 0.x with the first breaking change."""
    return ForeignKey(
        "major_on_zero", value=True, comment=f"{tool} makes 1.0.0 of a breaking change on 0.x."
    )


def one_version_key(tool: ForeignTool) -> ForeignKey:
    """Return the key for a *tool* that releases all packages with the same version."""
    return ForeignKey(
        "versioning", value="fixed", comment=f"{tool} has one version for all packages."
    )


@dataclass(frozen=True, slots=True)
class VersionFile:
    """A file in which another tool raises the version of *package*, which is empty if the file is in none.

    *path* is relative to the package. *find_parts* yields the parts of the file's text that contain a version, such as
    its lines; its second argument is the package's version. *what* is the part of the tool's configuration that names
    the file.
    """

    package: str
    path: str
    find_parts: FindParts
    what: str


@dataclass(frozen=True, slots=True)
class ForeignSetup:
    """What the configuration of *tool* says.

    *baselines* are the last releases by package. *root_keys* are keys of the root's [tool.releasekit], *member_keys*
    those of members by package. *removable* are files that only *tool* reads. *version_files* are those in which it
    raises the version.
    """

    tool: ForeignTool
    baselines: Mapping[str, Version] = field(default_factory=dict[str, "Version"])
    root_keys: tuple[ForeignKey, ...] = ()
    member_keys: Mapping[str, tuple[ForeignKey, ...]] = field(
        default_factory=dict[str, "tuple[ForeignKey, ...]"]
    )
    not_taken_over: tuple[LeftOut, ...] = ()
    removable: tuple[str, ...] = ()
    version_files: tuple[VersionFile, ...] = ()

    def only_known(self, known_keys: Iterable[str], member_keys: Iterable[str]) -> ForeignSetup:
        """Return the setup without the keys that releasekit does not have, which are then left out aloud."""
        root_keys, left_out = _split_known(self.root_keys, frozenset(known_keys))
        member_names = frozenset(member_keys)
        by_member: dict[str, tuple[ForeignKey, ...]] = {}
        for name, keys in self.member_keys.items():
            by_member[name], unknown = _split_known(keys, member_names, f" of {name}")
            left_out += unknown
        return replace(
            self,
            root_keys=root_keys,
            member_keys=merge_keys(by_member),
            not_taken_over=(*self.not_taken_over, *left_out),
        )


def _split_known(
    keys: Iterable[ForeignKey], known: frozenset[str], place: str = ""
) -> tuple[tuple[ForeignKey, ...], list[LeftOut]]:
    """Return the *keys* that releasekit has, and the others as parts that are left out."""
    accepted: list[ForeignKey] = []
    left_out: list[LeftOut] = []
    for key in keys:
        if key.name in known:
            accepted.append(key)
        else:
            what = f"{key.comment.rstrip('.')}{place}"
            left_out.append(LeftOut(what=what, advice=f"releasekit has no key {key.name} here."))
    return tuple(accepted), left_out


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
        for depth in reversed(range(len(parts))):
            directory = "/".join(parts[:depth]) or "."
            if directory in self.names:
                return self.names[directory], "/".join(parts[depth:])
        return "", ""

    def has_members_in(self, path: str) -> bool:
        """Return whether *path* is the directory of a package, or around one."""
        plain = path.removeprefix("./").rstrip("/")
        return any(f"{directory}/".startswith(f"{plain}/") for directory in self.names)

    def below(self, directory: str) -> list[str]:
        """Return the packages that a configuration in *directory* is for: its own one, or all if it has none."""
        is_member_directory = directory != "." or len(self.names) == 1
        if is_member_directory and directory in self.names:
            return [self.names[directory]]
        return sorted(self.names.values())


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file that configures the packages *names*: their last *version*, None if the file does not say it.

    *tag_format* is the form of their tags, empty if it is unknown. *rules* are keys that decide their versions.
    """

    names: Sequence[str]
    version: Version | None
    tag_format: str
    rules: tuple[ForeignKey, ...] = ()


def combine_files(tool: ForeignTool, files: Iterable[ForeignFile]) -> ForeignSetup:
    """Return what the *files* of *tool* say: a file for one package sets its keys, another file those of the root."""
    baselines: dict[str, Version] = {}
    formats: dict[str, str] = {}
    own_keys: dict[str, tuple[ForeignKey, ...]] = {}
    root_keys: list[ForeignKey] = []
    for file in files:
        if file.version:
            baselines |= dict.fromkeys(file.names, file.version)
        if len(file.names) != 1:
            shared_format = ForeignKey(
                "tag_format", value=file.tag_format, comment=_describe_tags(tool)
            )
            root_keys += stated_keys([shared_format, one_version_key(tool), *file.rules])
            continue
        name = file.names[0]
        own_keys[name] = file.rules
        if file.tag_format:
            formats[name] = with_name_field(file.tag_format, name)
    root_tags, member_tags = tag_keys(formats, tool)
    root_names = set(names_of(root_keys))
    root_keys += drop_named(root_tags, root_names)
    return ForeignSetup(
        tool=tool,
        baselines=baselines,
        root_keys=tuple(root_keys),
        member_keys=merge_keys(member_tags, own_keys),
    )


def with_name_field(tag_format: str, name: str) -> str:
    """Return *tag_format* with {name} in place of *name*, the package that it is for."""
    return tag_format.replace(name, "{name}", 1)


def with_own_name(name: str, component: str, rest: str) -> str:
    """Return the tag format of *name* whose tags say *component*; *rest* is what follows. The name is {name} if equal.

    New tags must look like the old ones, so a component in another spelling stays as it is.
    """
    is_name = component == canonicalize_name(name)
    own_name = "{name}" if is_name else component
    return f"{own_name}{rest}"


def common_format(formats: Mapping[str, str]) -> str:
    """Return the format that most packages of *formats*, by package, share; empty if none can be shared."""
    sharable = [form for form in formats.values() if "{name}" in form]
    if not sharable and len(formats) == 1:
        return next(iter(formats.values()))
    return max(sorted(set(sharable)), key=sharable.count, default="")


def tag_keys(
    formats: Mapping[str, str], tool: ForeignTool
) -> tuple[tuple[ForeignKey, ...], dict[str, tuple[ForeignKey, ...]]]:
    """Return the key `tag_format` of the root, and those of packages with another format.

    *formats* are by package; an empty one is unknown.
    """
    comment = _describe_tags(tool)
    stated = drop_empty(formats)
    shared = common_format(stated)
    root_key = ForeignKey("tag_format", value=shared, comment=comment)
    member_keys: dict[str, tuple[ForeignKey, ...]] = {
        name: (ForeignKey("tag_format", value=form, comment=comment),)
        for name, form in stated.items()
        if form != shared
    }
    return stated_keys([root_key]), member_keys


def _describe_tags(tool: ForeignTool) -> str:
    return f"The tags of {tool}."


def version_of(value: object) -> Version | None:
    """Return *value* as a version; None if it is none, or 0.0.0, which means that nothing was released."""
    if not isinstance(value, str):
        return None
    version = parse_version(value)
    is_release = version is not None and any(version.release)
    return version if is_release else None


def merge_keys(*groups: Mapping[str, Sequence[ForeignKey]]) -> dict[str, tuple[ForeignKey, ...]]:
    """Return the keys of all *groups*, by package."""
    merged: dict[str, tuple[ForeignKey, ...]] = {}
    for name, keys in chain.from_iterable(group.items() for group in groups):
        if keys:
            merged[name] = (*merged.get(name, ()), *keys)
    return merged
