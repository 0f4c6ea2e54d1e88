"""`[tool.releasekit]`: every key, its type and its default, in one place."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import date, time
from fnmatch import fnmatchcase
from itertools import dropwhile
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_args, get_origin

from packaging.utils import canonicalize_name
from packaging.version import VERSION_PATTERN
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError, from_json

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.config.command_lines import BuildCommand, CommandLine, PackageCommands
from releasekit.core.config.message_templates import (
    DEFAULT_COMMIT_MESSAGE,
    commit_message_problem,
    tag_message_problem,
)
from releasekit.core.config.ref_names import is_tag_name
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, did_you_mean
from releasekit.core.picking import drop, drop_keys, pick, pick_keys
from releasekit.core.toml_lines import excerpt_of
from releasekit.core.user_patterns import read_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic_core import ErrorDetails

M = TypeVar("M", bound="BaseModel")

Cycles = Literal["error", "batch"]
BumpName = Literal["major", "minor", "patch", "none"]
Prerelease = Annotated[
    Literal["stay", "none", "dev", "a", "b", "rc", "alpha", "beta"],
    # PEP 440 writes the short forms.
    AfterValidator(lambda kind: {"alpha": "a", "beta": "b"}.get(kind, kind)),
]
ChangeSource = Literal["commits", "files", "both"]
PrereleaseNumbering = Literal["count", "date"]
Unconventional = Literal["none", "patch"]
Versioning = Literal["independent", "fixed", "linked"]
ForgeKind = Literal["auto", "github", "gitlab", "gitea"]
BuildIsolation = Literal["each", "shared"]
TaskRunnerName = Annotated[
    str, StringConstraints(pattern=r"^(threads|processes|dask|ray|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")
]
VersioningScheme = Annotated[
    str,
    StringConstraints(
        pattern=r"^(semver|pep440-last|calver:(YYYY|YY|0Y)(\.(MM|0M|WW|0W)(\.(DD|0D))?)?(\.MINOR)?(\.MICRO)?)$"
    ),
]
PinMode = Literal["exact", "compatible", "keep"]
Propagate = Literal["none", "out-of-range", "patch"]
SourceRequirements = Literal["raise", "always", "leave"]
ApiCheck = Literal["off", "warn", "error", "bump"]


CHANGELOG = "CHANGELOG.md"
"""The usual changelog of a package."""


NO_FORGE_CODES = frozenset(
    {
        ErrorCode.FORGE_UNKNOWN,
        ErrorCode.FORGE_NO_TOKEN,
        ErrorCode.FORGE_CREDENTIALS,
        ErrorCode.FORGE_READ_ONLY,
    }
)
"""Reasons for which a missing release on the forge is not a failure."""


CredentialName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(UV_(PUBLISH_(TOKEN|USERNAME|PASSWORD)|INDEX_[A-Z0-9_]+_(USERNAME|PASSWORD))|(GITHUB|GH|GITLAB|GITEA|FORGEJO)_TOKEN)$"
    ),
]
UploadCredentialName = Annotated[
    str, StringConstraints(pattern=r"^UV_PUBLISH_(TOKEN|USERNAME|PASSWORD)$")
]
SecretName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9-]*|[A-Z_][A-Z0-9_]*)$")]


def _path_in_package(path: str) -> str:
    return _path_inside(path, "package")


def _excluded_path(path: str) -> str:
    """Return the pattern *path* as one of a file: without "./" before it and "/" behind it."""
    inside = PurePosixPath(_path_inside(path, "directory of this pyproject.toml"))
    if not str(inside).strip("*./"):
        raise PydanticCustomError(
            "everything", "this excludes every file; to publish nothing, use `exclude`"
        )
    return str(inside)


def _included_path(path: str) -> str:
    """Return the pattern *path* as one of a file. Only at its start it may leave the directory of its file."""
    below = "/".join(dropwhile("..".__eq__, PurePosixPath(path).parts))
    _path_inside(below or (path and "."), "repository")
    return PurePosixPath(path).as_posix()


ExcludedPath = Annotated[str, AfterValidator(_excluded_path)]
IncludedPath = Annotated[str, AfterValidator(_included_path)]


def _path_in_workspace(path: str) -> str:
    return path and _path_inside(path, "workspace")


def _path_inside(path: str, what: str) -> str:
    """Return *path*, relative to the *what*; links are resolved where the file is read."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    has_root = posix.is_absolute() or windows.drive or windows.root
    has_parent = ".." in (*posix.parts, *windows.parts)
    if not path or "\0" in path or has_root or has_parent:
        raise PydanticCustomError("outside", "the path must be inside the {what}", {"what": what})
    return posix.as_posix()


def _known_language(name: str) -> str:
    if name != "python":
        message = "releasekit releases Python packages, and has no backend for {name}"
        raise PydanticCustomError("language", message, {"name": name})
    return name


_CHANGELOG_SUFFIXES = ("", ".markdown", ".md", ".txt")


def _changelog_file(path: str) -> str:
    inside = _path_in_package(path)
    file = PurePosixPath(inside)
    if path.endswith("/") or not file.name:
        raise PydanticCustomError("directory", "the path must name a file")
    if file.suffix.lower() not in _CHANGELOG_SUFFIXES:
        message = (
            "a changelog is written as Markdown, "
            "so its name must end with .md, .markdown or .txt, or have no suffix"
        )
        raise PydanticCustomError("no_markdown", message)
    return inside


def _workspace_changelog_file(path: str) -> str:
    return path and _changelog_file(_path_in_workspace(path))


class Group(BaseModel):
    """A named set of packages; in the file a list of patterns, or a table with the key `packages`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packages: tuple[str, ...] = Field(description="Names or patterns of the packages in the group")
    versioning: Versioning | None = Field(
        None,
        description="How the packages of the group share a version; without it, the group does not affect versions",
    )
    pins: PinMode | None = Field(
        None,
        description="What the built packages of the group require of their siblings; overrides `pins` of the root",
    )
    prerelease: Prerelease | None = Field(
        None,
        description="Which kind of prereleases the group makes; overrides `prerelease` of the root",
    )
    prerelease_numbering: PrereleaseNumbering | None = Field(
        None,
        description="How the prereleases of the group are numbered; overrides `prerelease_numbering` of the root",
    )
    tag_format: str | tuple[str, ...] | None = Field(
        None,
        description="The tags of the packages of the group, in one form or a list; overrides `tag_format` of the root",
    )


class BumpFile(BaseModel):
    """One more file that contains a package's version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="The file, relative to the package")
    pattern: str = Field(
        description="The literal text around the version, with {version} in place of the version"
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        return _path_in_package(path)

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        if pattern.count("{version}") != 1:
            raise PydanticCustomError(
                "no_version", "the pattern must contain {what} exactly once", {"what": "{version}"}
            )
        return pattern


Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Why somebody accepts a finding."""


VERIFY_PREFIX = "RK-VERIFY-"
_NO_RULES = frozenset({ErrorCode.VERIFY_FAILED, ErrorCode.VERIFY_WAIVER})
VERIFY_RULES = tuple(
    code for code in ErrorCode if code.startswith(VERIFY_PREFIX) and code not in _NO_RULES
)
"""The codes of the rules that built files must pass."""


class VerifyWaiver(BaseModel):
    """A rule of verification that does not stop the release of a package, and the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str = Field(description="The code of the rule, with or without `RK-VERIFY-`")
    package: str = Field(description="The name or a pattern of the packages")
    reason: Reason = Field(description="Why the rule does not count here; shown with each finding")

    @field_validator("rule")
    @classmethod
    def _check_rule(cls, rule: str) -> str:
        code = VERIFY_PREFIX + rule.strip().upper().replace("_", "-").removeprefix(VERIFY_PREFIX)
        if code not in VERIFY_RULES:
            similar = did_you_mean(code, VERIFY_RULES)
            raise PydanticCustomError(
                "rule", "there is no rule {code}{similar}", {"code": code, "similar": similar}
            )
        return code

    @field_validator("package")
    @classmethod
    def _normalize_package(cls, package: str) -> str:
        is_pattern = not {"*", "?", "["}.isdisjoint(package)
        return package if is_pattern else canonicalize_name(package)

    @property
    def code(self) -> ErrorCode:
        """The code of the rule."""
        return ErrorCode(self.rule)

    def covers(self, package: str) -> bool:
        """Return whether it counts for *package* (a normalised name)."""
        return matches_package(self.package, package)


class ApiWaiver(BaseModel):
    """One breaking change of an API that you accept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        description="The public name, such as `shop.cart.total`, or a pattern; also covers what is below"
    )
    reason: Reason = Field(description="Why you accept it; the plan shows it")
    package: str = Field("*", description="The name of the package, or a pattern")

    def covers(self, path: str, package: str) -> bool:
        """Return whether it accepts a change of the public name *path* in *package* (a normalised name)."""
        ends = (match.start() for match in re.finditer(r"[.(]|$", path))
        is_covered = any(fnmatchcase(path[:end], self.path) for end in ends)
        return is_covered and matches_package(self.package, package)


def matches_package(pattern: str, package: str) -> bool:
    """Return whether *package* (a normalised name) is the one that a waiver names, or matches its *pattern*."""
    return fnmatchcase(package, re.sub("[-_.]+", "-", pattern).lower())


class PackageSettings(BaseModel):
    """The keys that name files, from a member's own [tool.releasekit]."""

    model_config = ConfigDict(frozen=True)

    bump: tuple[BumpFile, ...] = ()


def _as_group(value: Any) -> Any:  # noqa: ANN401  any value of the file; pydantic validates it afterwards
    if isinstance(value, (list, tuple)):
        return {"packages": tuple(cast("Sequence[object]", value))}
    if not isinstance(value, (dict, Group)):
        raise PydanticCustomError(
            "group", "a group is a list of packages, or a table with the key `packages`"
        )
    return cast("object", value)


def _as_tuple(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of a key that is one text or a list."""
    return (value,) if isinstance(value, str) else value


def _regex(value: str) -> str:
    try:
        read_pattern(value)
    except re.error as error:
        raise PydanticCustomError(
            "regex", "not a regular expression: {why}", {"why": str(error)}
        ) from None
    return value


def _default_types() -> dict[str, BumpName]:
    # Conventional Commits names feat and fix (items 2 and 3); perf is common practice.
    return {"feat": "minor", "fix": "patch", "perf": "patch"}


def _as_patterns(value: Any) -> Any:  # noqa: ANN401  any value of the file; pydantic validates it afterwards
    # A variable of the environment contains text.
    is_yes = value is True or value in (
        "true",
        ("true",),
    )
    if is_yes:
        return ("all",)
    is_no = value is False or value in ("false", ("false",))
    return () if is_no else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(_as_patterns, bool | tuple[str, ...])]
"""Names, patterns or paths of packages; `true` in the file stands for all, and `false` for none."""


class Platform(BaseModel):
    """A kind of machine that builds wheels, such as `linux-x86_64`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue: str = Field(
        "",
        description="The work queue of the Prefect workers that build its wheels; empty: the platform's name",
    )
    runner: str = Field(
        "",
        description="The label of the GitHub runner that builds its wheels (`runs-on`); empty: guessed from the name",
    )
    packages: Patterns = Field(
        (),
        description="The packages whose wheels are built on it (names, patterns or paths), except those that name "
        "their platforms themselves; true: every package",
    )


def _destination_problem(destination: Destination, earlier: Sequence[str]) -> str:
    """Return what is wrong with *destination*, which comes after the indexes *earlier*; empty if nothing is."""
    name = destination.index
    if name in earlier:
        return f"{name} is named twice"
    gets_all = "all" in destination.packages
    is_plain = gets_all and not destination.after and not destination.approve
    if not (earlier or is_plain):
        return f"{name} comes first, so it gets every package, and has no `packages`, `after` and `approve`"
    if destination.after and destination.after not in earlier:
        return f"{name} comes after {destination.after}, which is no index before it"
    return ""


PlatformName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_PLATFORM_TABLE, _PLATFORM_LIST = "a table of platforms", "a list of platforms"
"""How pydantic names the two forms of `platforms` in the place of an error."""


def _form_of_platforms(value: object) -> str:
    return _PLATFORM_TABLE if isinstance(value, dict) else _PLATFORM_LIST


Platforms = Annotated[
    Annotated[dict[PlatformName, Platform], Tag(_PLATFORM_TABLE)]
    | Annotated[Patterns, Tag(_PLATFORM_LIST)],
    Discriminator(_form_of_platforms),
]
"""In the root a table of all platforms, by name; in a member the names of its own."""


class Destination(BaseModel):
    """One of several indexes that a release is published to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: str = Field(
        min_length=1,
        description="The name of a [[tool.uv.index]] with a `publish-url`; `pypi` is the default index of `uv publish` "
        "if no index has this name",
    )
    packages: Patterns = Field(
        ("all",),
        description="The packages that are published there (names, patterns or paths); the first index gets every one",
    )
    after: str = Field(
        "",
        description="The earlier index on which all packages of this one must be confirmed and smoke-tested first; "
        "empty: the index before it",
    )
    approve: bool = Field(
        default=False,
        description="Stop before this index; the next `publish` asks, and continues after a yes or with --allow-index",
    )
    secrets: dict[UploadCredentialName, SecretName] = Field(
        default_factory=dict[str, str],
        description="The credentials for uploads to this index, as in the key `secrets` of the root; it gets no others",
    )


class Settings(BaseModel):
    """How this workspace is released. Options of the same name override these keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    packages: tuple[str, ...] = Field(
        (), description="Publish exactly these members (names, patterns or paths)"
    )
    exclude: tuple[str, ...] = Field(
        (), description="Never publish these members (names, patterns or paths)"
    )
    groups: dict[str, Annotated[Group, BeforeValidator(_as_group, Group | tuple[str, ...])]] = (
        Field(
            default_factory=dict[str, Group],
            description="Named sets of packages, for --group, `versioning`, `pins` and `tag_format`",
        )
    )
    language: Annotated[str, AfterValidator(_known_language)] = Field(
        "python",
        description='The language of a package; only "python" has a backend, so that another one is refused by name',
    )
    cycles: Cycles = Field(
        "error",
        description="How a cycle of hard requirements is treated: as an error, or as one batch",
    )
    versioning: Versioning = Field(
        "independent",
        description='Whether packages share a version; "fixed": when one package changes, all are released with one '
        'version; "linked": the packages that are released share one version',
    )
    propagate: Propagate = Field(
        "out-of-range",
        description="Which packages are also released, as a patch, when a sibling that they require is released: those "
        "whose source does not allow the new version; all that need it; or none",
    )
    pins: PinMode = Field(
        "exact",
        description="What a built package requires of its siblings: the exact version, a compatible range, or the "
        "requirement in its source",
    )
    source_requirements: SourceRequirements = Field(
        "raise",
        description="How the release commit changes requirements on siblings in your files: it raises those that the "
        "new version does not satisfy; it raises all lower bounds; or it changes nothing",
    )
    versioning_scheme: VersioningScheme = Field(
        "semver",
        description="How the next version is computed. semver: the changes decide which number is raised. "
        "pep440-last: the last number is raised. calver with a format, such as calver:YYYY.MM.MICRO: the date, with "
        "counters that begin at 0 (fields: YYYY, YY, MM, WW, DD, MINOR, MICRO)",
    )
    prerelease: Prerelease = Field(
        "stay",
        description='Make prereleases of this kind, or "none": stable releases; "stay": a package whose last release '
        "is a prerelease gets the next one of its kind, until you promote it",
    )
    prerelease_numbering: PrereleaseNumbering = Field(
        "count",
        description='How prereleases are numbered: "count" from 1, or by "date", as in 1.0.0b260730; a second one on '
        "the same day gets the next number",
    )
    tag_format: str | tuple[str, ...] = Field(
        "{name}-v{version}",
        description="The tag of a package, with {version} and perhaps {name}, {directory} and {label}; in a list, new "
        "tags use the first format, and tags of all formats are read",
    )
    root_tag_format: str | tuple[str, ...] = Field(
        "",
        description="The tag of the package at the root, if its form is not `tag_format`; a list as there",
    )
    umbrella_tag_format: str = Field(
        "v{version}",
        description="The tag of a release of several packages, if all packages share one version or `lead` is set",
    )
    label: str = Field("", description="The value of {label} in the tag formats")
    commit_message: str | tuple[str, ...] = Field(
        DEFAULT_COMMIT_MESSAGE,
        description="The message of the release commit, a title and optionally a body, with {release}, {date}, "
        "{packages} and {tags}; in a list, new commits use the first message, and commits with all of them are "
        "recognised",
    )
    tag_message: str = Field(
        "{tag}",
        description="The message of the tags, with {tag}, {name}, {version}, {release} and {date}",
    )
    lead: str = Field(
        "",
        description="The package whose version names a release of several packages with independent versions",
    )
    types: dict[str, BumpName] = Field(
        default_factory=_default_types,
        description="The bump that each Conventional Commits type triggers; other types trigger none",
    )
    changes: ChangeSource = Field(
        "both",
        description="What decides the versions and the changelogs: the commits, the change files, or the larger bump "
        "of both",
    )
    unconventional: Unconventional = Field(
        "none",
        description="The bump that a commit without a Conventional Commits type triggers, unless it changes only the "
        "changelog or the documentation of the package",
    )
    exclude_paths: tuple[ExcludedPath, ...] = Field(
        (),
        description="Files and directories whose changes do not count: paths or patterns, relative to the "
        "pyproject.toml that names them",
    )
    include_paths: tuple[IncludedPath, ...] = Field(
        (),
        description="Files and directories outside of a package whose changes count for it, such as ../../crates: "
        "paths or patterns, relative to the pyproject.toml that names them; in the root, for all packages",
    )
    first_version: str = Field(
        "", description="The first version of packages whose version comes from tags only"
    )
    bump: tuple[BumpFile, ...] = Field(
        (),
        description="More files that contain the package's version; set in the package's own [tool.releasekit]",
    )
    major_on_zero: bool = Field(
        default=False, description="A breaking change on 0.x leads to 1.0.0"
    )
    force_unchanged: bool = Field(
        default=False, description="Also release packages without changes, as a patch"
    )
    changelog: bool = Field(
        default=True, description="Keep a changelog in each package, in the file `changelog_path`"
    )
    changelog_path: Annotated[str, AfterValidator(_changelog_file)] = Field(
        CHANGELOG,
        description="The changelog of a package, relative to the package; found in any letter case",
    )
    workspace_changelog: Annotated[str, AfterValidator(_workspace_changelog_file)] = Field(
        "",
        description="One more changelog, with the changes of all packages: a path relative to the workspace. The "
        "packages must share their versions (`versioning`)",
    )
    changelog_prerelease_mode: Literal["rollup", "separate"] = Field(
        "rollup",
        description="What the entry of a stable release contains: all changes since the last stable release, in place "
        "of the entries of its prereleases; or only the changes since the last prerelease",
    )
    changelog_sections: dict[str, str] = Field(
        default_factory=dict[str, str],
        description='The heading for each commit type; "" hides a type, and `other` stands for all other types',
    )
    changelog_exclude: tuple[Annotated[str, AfterValidator(_regex)], ...] = Field(
        (), description="Leave out commits whose title matches one of these regular expressions"
    )
    changelog_contributors: bool = Field(
        default=False, description="Name the authors of the changes"
    )
    allow_branches: tuple[str, ...] = Field(
        (),
        description="The branches that may be released (names or patterns); empty: the default branch of the remote "
        "and maintenance branches such as `1.x` and `release/1.2`, or any branch if the default is unknown",
    )
    allow_missing_wheels: Patterns = Field(
        (),
        description="The packages that may have fewer wheels than in their last release (names or patterns); true or "
        "`all`: every package",
    )
    allow_older: bool = Field(
        default=False,
        description="Allow a version below the latest on the index, for example from a maintenance branch",
    )
    allow_new: Patterns = Field(
        (),
        description="The packages that may be released for the first time without a question of their own (names, "
        "patterns or paths); true or `all`: every package",
    )
    api_check: ApiCheck = Field(
        "warn",
        description="What happens to changes of the Python API that break users, in a release that promises not to: "
        'nothing; the plan shows them; "error": the release also stops before anything is public; "bump": they raise '
        "the version",
    )
    api_ignore: tuple[ApiWaiver, ...] = Field(
        (), description="The breaking changes of the API that you accept, each with a reason"
    )
    verify_ignore: tuple[VerifyWaiver, ...] = Field(
        (), description="The findings about built files that you accept, each with a reason"
    )
    check_select: tuple[str, ...] = Field((), description="Run only these checks; empty: all")
    check_ignore: tuple[str, ...] = Field(
        (), description="Skip these checks; those of a member add to those of the root"
    )
    publish_from: Literal["local", "ci"] = Field(
        "local",
        description='Who uploads: "local", this machine; or "ci", a workflow, after the release pull request is merged',
    )
    release_branch: str = Field(
        "releasekit/release",
        description="The branch of the release pull request; only releasekit may push to it",
    )
    publish_workflow: str = Field(
        "publish.yml",
        description='The workflow to start after a release is merged, to publish it; "": start none',
    )
    commit_back: bool = Field(
        default=False,
        description="After a release, make a pull request with the next development versions",
    )
    index: str = Field(
        "", description="The [[tool.uv.index]] to publish to; empty: uv's default index"
    )
    publish_url: str = Field("", description="The URL to upload files to; overrides `index`")
    check_url: str = Field(
        "",
        description="The root of the simple index on which uploads are confirmed; overrides `index`",
    )
    publish_to: tuple[Destination, ...] = Field(
        (),
        description="Several indexes to publish to, in this order, each a table with `index`, `packages`, `after`, "
        "`approve` and `secrets`; every index gets the same files. An option or variable that names an index replaces "
        "them all",
    )
    remote: str = Field("origin", description="The git remote to push to")
    record: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether Prefect records a release. auto: yes if a Prefect API is configured, if a local server "
        "runs, or on a terminal; always: without a server, start one for the release; never: the record on disk and "
        "the report are all there is",
    )
    concurrency: int = Field(
        5, ge=1, description="How many packages are uploaded or smoke-tested at the same time"
    )
    fail_fast: bool = Field(
        default=False, description="After the first failure, start nothing else"
    )
    tag: bool = Field(default=True, description="Create tags")
    push: bool = Field(default=True, description="Push the release commit and the tags")
    release: bool = Field(
        default=True, description="Create a release with notes on GitHub, GitLab or Gitea"
    )
    forge: ForgeKind = Field(
        "auto",
        description="Whether the remote is on GitHub, GitLab or Gitea (also Forgejo); auto: detect it from the address",
    )
    forge_url: str = Field(
        "",
        description="The URL of the API of GitHub, GitLab or Gitea, if it is not the usual one on the remote's host",
    )
    forge_required: bool = Field(
        default=False,
        description="Refuse to start, instead of continuing, if no release can be created on the forge",
    )
    notes_template: Annotated[str, AfterValidator(_path_in_workspace)] = Field(
        "",
        description="A Jinja2 template for the release notes, relative to the workspace; empty: the built-in one",
    )
    notes_command: tuple[str, ...] = Field(
        (),
        description="A command that reads the release notes from standard input and prints the notes to use",
    )
    smoke_test: bool = Field(
        default=True, description="Install and import each package from the index"
    )
    overlay: Literal["resolve", "install", "off"] = Field(
        "install",
        description="The proof, before the first upload, that each built package can be installed: uv resolves the "
        'package and its extras; with "install" it also installs and imports the package, unless `smoke_test` is false',
    )
    reproducible: Literal["off", "check"] = Field(
        "off",
        description='With "check", build each package a second time, in another directory, before anything is public, '
        "and stop if the files differ",
    )
    sbom: bool = Field(
        default=False,
        description="Write an SBOM (CycloneDX) for each wheel from uv.lock; it lies beside the wheel and is attached "
        "to the release on the forge",
    )
    audit: bool = Field(
        default=True, description="Run `uv audit` before the release; findings are warnings"
    )
    strict_audit: bool = Field(
        default=False, description="Stop the release if `uv audit` has findings"
    )
    pre_release: tuple[CommandLine, ...] = Field(
        (),
        description="Commands that run before the release commit, without a shell (texts or lists of words); the "
        "commit contains what they change",
    )
    pre_build: tuple[CommandLine, ...] = Field(
        (),
        description="Commands that run in the directory of a package before each build of it, without a shell; the "
        "build finds what they write, and the release commit does not contain it. {root} stands for the root of the "
        "workspace",
    )
    hooks: bool = Field(
        default=False, description="Run the repository's git hooks on the release commit"
    )
    http_pool_size: int = Field(10, ge=1, description="How many connections to the index stay open")
    platforms: Platforms = Field(
        default_factory=dict[PlatformName, Platform],
        description="In the root, the machines that build wheels, by name, each a table with `queue`, `runner` and "
        "`packages`; in a member, the names of the platforms on which its wheels are built, or true for all. Packages "
        "without platforms are built once, anywhere",
    )
    build_command: BuildCommand = Field(
        (),
        description="The command that builds the wheels of a package in place of `uv build`, without a shell; it "
        "writes them into the directory {output}, and {platform} stands for the platform",
    )
    stage_storage: str = Field(
        "",
        description="Where builds on other machines leave their files, on workers of Prefect, Dask or Ray: a URL that "
        "fsspec knows, such as file:///srv/wheels or s3://bucket/wheels",
    )
    build_concurrency: int = Field(
        0, ge=0, description="How many packages are built at the same time; 0: one per CPU core"
    )
    task_runner: TaskRunnerName = Field(
        "threads",
        description='What runs the builds: "threads" of this process, "processes" of this machine, the workers of '
        '"dask" or "ray", or the import path of a Prefect task runner, such as "company.runners:ClusterTaskRunner"',
    )
    task_runner_options: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="The arguments of the task runner, such as `address`, the scheduler of Dask",
    )
    build_isolation: BuildIsolation = Field(
        "each",
        description='Where packages are built: "each" in a new environment of its own, or "shared": packages with the '
        "same build requirements use one environment, each build in a process of its own",
    )
    confirm_timeout: float = Field(
        600, gt=0, description="Seconds to wait until the index lists an upload"
    )
    confirm_interval: float = Field(
        10,
        gt=0,
        description="Maximum seconds between two requests that ask whether the index lists an upload; the first ones "
        "follow each other sooner",
    )
    build_timeout: float = Field(
        1800,
        gt=0,
        description="Maximum seconds for one build, or one `pre_release` or `pre_build` command",
    )
    build_env: tuple[str, ...] = Field(
        (),
        description="More environment variables (names or patterns) that builds, installations and imports get; they "
        "always get what compilers, proxies, certificates and the locale need",
    )
    upload_timeout: float = Field(
        600, gt=0, description="Maximum seconds for the upload of one package"
    )
    upload_retries: int = Field(
        4,
        ge=0,
        description="How often an upload is tried again after a failure that may pass, with growing delays",
    )
    approval_timeout: float = Field(
        86400, gt=0, description="Seconds that `publish --approve` waits until the plan is approved"
    )
    rate_limit: int = Field(
        0, ge=0, description="How many files are uploaded per minute; 0: unlimited"
    )
    attestations: bool = Field(
        default=True,
        description="Upload the attestations (PEP 740) next to the built files, named *.publish.attestation",
    )
    secrets: dict[CredentialName, SecretName] = Field(
        default_factory=dict[str, str],
        description="Where credentials come from. The key is the variable that uv reads, or the one with the token of "
        "the forge (`GITHUB_TOKEN`, `GITLAB_TOKEN`, `GITEA_TOKEN`). The value is the name of a Prefect Secret block "
        "(lower case) or of an environment variable (upper case)",
    )

    @field_validator("publish_to")
    @classmethod
    def _check_destinations(cls, destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
        earlier: list[str] = []
        for destination in destinations:
            problem = _destination_problem(destination, earlier)
            if problem:
                raise PydanticCustomError("destination", "{why}", {"why": problem})
            earlier.append(destination.index)
        return destinations

    @field_validator("release_branch")
    @classmethod
    def _check_branch(cls, name: str) -> str:
        if not is_tag_name(name):  # git has one rule for both
            raise PydanticCustomError("branch", "not a branch name that git accepts")
        return name

    @field_validator("commit_message")
    @classmethod
    def _check_commit_message(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        templates = _as_tuple(value)
        if not templates:
            raise PydanticCustomError("template", "the list is empty")
        for problem in filter(None, map(commit_message_problem, templates)):
            raise PydanticCustomError("template", "{why}", {"why": problem})
        return value

    @field_validator("tag_message")
    @classmethod
    def _check_tag_message(cls, template: str) -> str:
        if problem := tag_message_problem(template):
            raise PydanticCustomError("template", "{why}", {"why": problem})
        return template

    @field_validator("first_version")
    @classmethod
    def _check_version(cls, text: str) -> str:
        if text and not re.fullmatch(rf"(?ix)\s*{VERSION_PATTERN}\s*", text):
            raise PydanticCustomError("version", "not a version (PEP 440)")
        return text

    @property
    def commit_templates(self) -> tuple[str, ...]:
        """All messages that release commits have or had; the first one is written."""
        return _as_tuple(self.commit_message)

    @property
    def package_commands(self) -> PackageCommands:
        """The commands that build packages, except those of packages with their own."""
        return PackageCommands(self.build_command, self.pre_build)

    @property
    def platform_table(self) -> Mapping[str, Platform]:
        """The platforms of the workspace, by name."""
        return self.platforms if isinstance(self.platforms, dict) else {}

    @property
    def creates_forge_release(self) -> bool:
        """Whether to create a release on the forge: this needs a pushed tag."""
        return self.release and self.tag and self.push

    def stops_at(self, error: ReleaseError) -> bool:
        """Whether *error*, which prevents the release on the forge, is a failure and not only a remark (D-10)."""
        return self.forge_required or error.code not in NO_FORGE_CODES

    def expects_no_forge(self, error: ReleaseError) -> bool:
        """Whether *error* only says that the remote is on no forge, and `forge` does not name one."""
        return error.code is ErrorCode.FORGE_UNKNOWN and self.forge == "auto"

    def bumps(self) -> dict[str, Bump]:
        """Return the bump that each commit type, in lower case, triggers; "" is the type of a commit without one."""
        bumps = {name.lower(): Bump[bump.upper()] for name, bump in self.types.items()}
        if self.unconventional != "none":
            bumps[""] = Bump[self.unconventional.upper()]
        return bumps

    def rules(self, today: str = "") -> BumpRules:
        """Return the settings that decide versions; *today*, "YYYY.MM.DD", counts if they ask for dates."""
        is_dated = self.prerelease_numbering == "date" and today
        first_number = int(today.replace(".", "")[2:]) if is_dated else 1
        return BumpRules(
            types=self.bumps(),
            major_on_zero=self.major_on_zero,
            force=self.force_unchanged,
            prerelease=self.prerelease,
            first_number=first_number,
            scheme=self.versioning_scheme,
            today=date.fromisoformat(today.replace(".", "-")) if today else None,
            commits_count=self.changes != "files",
        )


@dataclass(frozen=True, slots=True)
class VersionOptions:
    """The options that request versions, as the user wrote them."""

    bump: tuple[str, ...] = ()
    set_version: tuple[str, ...] = ()
    promote: tuple[str, ...] = ()
    prerelease: str = ""

    @property
    def recorded(self) -> tuple[str, ...]:
        """The options that a release puts on record: a run that resumes it cannot have others."""
        options = {
            "--bump": self.bump,
            "--set-version": self.set_version,
            "--promote": self.promote,
        }
        options["--prerelease"] = (self.prerelease,) if self.prerelease else ()
        texts: dict[str, None] = {}
        for flag, values in options.items():
            texts |= dict.fromkeys(f"{flag} {value}" for value in values)
        return tuple(texts)

    def with_names(self, names: Sequence[str]) -> VersionOptions:
        """Return the options with the packages *names* in each bump that names none, if there are any."""
        bumps: list[str] = []
        for bump in self.bump:
            is_nameless = "=" not in bump and bool(names)
            bumps += [f"{name}={bump}" for name in names] if is_nameless else [bump]
        return replace(self, bump=tuple(bumps))

    @classmethod
    def from_recorded(cls, texts: Iterable[str]) -> VersionOptions:
        """Return the options that a release has put on record as *texts*."""
        values: dict[str, list[str]] = {}
        for text in texts:
            flag, _, value = text.partition(" ")
            values.setdefault(flag, []).append(value)
        return cls(
            bump=tuple(values.get("--bump", ())),
            set_version=tuple(values.get("--set-version", ())),
            promote=tuple(values.get("--promote", ())),
            prerelease="".join(values.get("--prerelease", ())),
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """The packages that the user selects: names, patterns or paths; empty means all.

    *versions* requests versions of them.
    """

    package: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    versions: VersionOptions = VersionOptions()


def settings_of(pyproject: Mapping[str, Any], text: str = "") -> Settings:
    """Return the settings in the parsed root *pyproject*; *text* is its source, for the lines in errors.

    Raises Refusal RK-CONFIG-INVALID-KEY or RK-CONFIG-INVALID-VALUE.
    """
    settings = _validate(Settings, _table_of(pyproject), text)
    _refuse_form_of_platforms(settings.platforms, tuple, "pyproject.toml", text)
    return settings


def _refuse_form_of_platforms(platforms: object, form: type, display_path: str, text: str) -> None:
    """Refuse *platforms* in the *form* that belongs into another file: tables into the root, lists into members."""
    is_misplaced = isinstance(platforms, form) and bool(platforms)
    if not is_misplaced:
        return
    excerpt = excerpt_of(text, display_path, (*TABLE, "platforms"), of_key=True)
    location = f"{display_path}:{excerpt.line}, [tool.releasekit]"
    message = "platforms: the root has one table for each platform, and a member lists the names of its platforms"
    hint = (
        'Write [tool.releasekit.platforms.linux-x86_64] in the root, and platforms = ["linux-x86_64"] in the member. A '
        "package at the root is named by the key `packages` of a platform."
    )
    raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, location, hint, excerpt=excerpt)


def bump_files(
    pyproject: Mapping[str, Any], display_path: str, text: str = ""
) -> tuple[BumpFile, ...]:
    """Return the files that `bump` names in a package's own *pyproject*; *display_path* and *text* are for errors.

    Raises Refusal RK-CONFIG-INVALID-KEY or RK-CONFIG-INVALID-VALUE.
    """
    return _validate(PackageSettings, _table_of(pyproject), text, display_path).bump


MEMBER_KEYS = (
    "api_check",
    "language",
    "types",
    "unconventional",
    "exclude_paths",
    "include_paths",
    "versioning_scheme",
    "major_on_zero",
    "prerelease",
    "prerelease_numbering",
    "tag_format",
    "changelog",
    "changelog_path",
    "smoke_test",
    "check_ignore",
    "bump",
    "pins",
    "platforms",
    "build_command",
    "pre_build",
)
"""The keys that a member can set in its own [tool.releasekit]."""


def parse_member_settings(
    pyproject: Mapping[str, Any], display_path: str, text: str = ""
) -> dict[str, Any]:
    """Return the keys that the parsed *pyproject* of a member sets; *display_path* and *text* are for errors.

    Raises Refusal RK-CONFIG-INVALID-KEY or RK-CONFIG-INVALID-VALUE.
    """
    table = _table_of(pyproject)
    settings = _validate(Settings, table, text, display_path, MEMBER_KEYS)
    _refuse_form_of_platforms(settings.platforms, dict, display_path, text)
    root_keys = drop(table, MEMBER_KEYS)
    for key in root_keys:
        excerpt = excerpt_of(text, display_path, (*TABLE, key), of_key=True)
        location = f"{display_path}:{excerpt.line}, [tool.releasekit]"
        hint = f"A member can set {', '.join(MEMBER_KEYS)}. Set all other keys in the root's pyproject.toml."
        message = f"{key} can only be set in the root"
        raise Refusal(ErrorCode.CONFIG_INVALID_KEY, message, location, hint, excerpt=excerpt)
    return _values_of(settings, table)


def commands_of(
    of_root: PackageCommands, pyproject: Mapping[str, Any], display_path: str, *, is_root: bool
) -> PackageCommands:
    """Return the commands of a package: its own, and those *of_root* that it does not set itself.

    *pyproject* is the package's own; *is_root* says that it is the root's, too. Raises Refusal RK-CONFIG-….
    """
    own: dict[str, Any] = {} if is_root else parse_member_settings(pyproject, display_path)
    return replace(of_root, **pick_keys(own, pick(own, ("build_command", "pre_build"))))


def merge_member_settings(
    settings: Mapping[str, Mapping[str, Any]], overrides: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the *settings* of members by name, with *overrides* put over them."""
    names = {**settings, **overrides}
    return {name: {**settings.get(name, {}), **overrides.get(name, {})} for name in names}


NEEDLESS_KEYS = {"verify_checksums": "the checksums of all files are always compared"}
"""Keys of earlier plans for releasekit, each with the reason why it has no effect."""
RENAMED_KEYS = {"umbrella_tag": "umbrella_tag_format"}
"""Keys of earlier plans for releasekit that have another name now."""


def outdated_keys(pyproject: Mapping[str, Any]) -> list[str]:
    """Return what to say about each needless or renamed key of a parsed *pyproject*."""
    table = pyproject.get("tool", {}).get("releasekit", {})
    remarks = {key: f"{key} has no effect: {why}" for key, why in NEEDLESS_KEYS.items()}
    remarks |= {key: f"{key} is called {name} now" for key, name in RENAMED_KEYS.items()}
    return [remark for key, remark in remarks.items() if key in table]


def _table_of(pyproject: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the table of the settings, with the keys of today; what is no table is for pydantic to refuse."""
    table = pyproject.get("tool", {}).get("releasekit", {})
    if not isinstance(table, dict):
        return cast("Mapping[str, Any]", table)
    values = cast("dict[str, Any]", table)
    renamed = {RENAMED_KEYS[key]: value for key, value in values.items() if key in RENAMED_KEYS}
    return renamed | drop_keys(values, {*NEEDLESS_KEYS, *RENAMED_KEYS})


def _values_of(settings: Settings, keys: Iterable[str]) -> dict[str, Any]:
    return {key: getattr(settings, key) for key in keys}


def _validate(
    model: type[M],
    table: object,
    text: str,
    display_path: str = "pyproject.toml",
    keys: Iterable[str] = Settings.model_fields,
) -> M:
    """Return *table* as *model*; *text*, *display_path* and the allowed *keys* are for errors.

    TOML has types, so a value of another type is an error: `push = "no"` would not mean what it says.
    """
    try:
        return model.model_validate(_with_tuples(table), strict=True)
    except ValidationError as error:
        raise _refusal(error, text, display_path, keys) from None


def _with_tuples(value: Any) -> Any:  # noqa: ANN401  any value of the file
    """Return *value* with a tuple in place of each list: the keys are tuples, and pydantic is strict."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in cast("dict[str, Any]", value).items()}
    return tuple(map(_with_tuples, cast("list[Any]", value))) if isinstance(value, list) else value


def _with_lists(value: Any) -> Any:  # noqa: ANN401  any value of the file
    """Return *value* as the file has it, for a message."""
    return (
        list(map(_with_lists, cast("tuple[Any, ...]", value)))
        if isinstance(value, tuple)
        else value
    )


def _refusal(error: ValidationError, text: str, display_path: str, keys: Iterable[str]) -> Refusal:
    # An unknown key first: it may explain why another is missing.
    problem = min(error.errors(), key=lambda detail: detail["type"] != _UNKNOWN)
    is_unknown = problem["type"] == _UNKNOWN
    path = [str(part) for part in problem["loc"] if part not in _UNION]
    name = ".".join(path) or "tool.releasekit"
    value: Any = problem["input"]
    item = ""
    is_list_item = len(path) > 1 and path[-1].isdecimal()
    if is_list_item:
        path.pop()
        item = value if isinstance(value, str) else ""
    key_path = path[:-1] if problem["type"] == "missing" else path
    excerpt = excerpt_of(text, display_path, (*TABLE, *key_path), item, of_key=is_unknown)
    location = f"{display_path}:{excerpt.line}, [tool.releasekit]"
    if is_unknown:
        message = _unknown_key_message(path, keys)
        return Refusal(ErrorCode.CONFIG_INVALID_KEY, message, location, excerpt=excerpt)
    if "secrets" in path:  # the value may be a secret, so no message shows it
        return Refusal(ErrorCode.CONFIG_INVALID_VALUE, f"{name}: {problem['msg']}", location)
    message = f"{name} = {_toml_text(value)}: {_reason(problem)}"
    return Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, location, excerpt=excerpt)


def _toml_text(value: object) -> str:
    """Return a *value* as TOML has it."""
    if isinstance(value, (date, time)):
        return value.isoformat()
    return json.dumps(_with_lists(value), ensure_ascii=False, default=str)


def _reason(problem: ErrorDetails) -> str:
    """Return why pydantic refuses a value, with TOML's name for a tuple."""
    return problem["msg"].replace("valid tuple", "list")


def _unknown_key_message(path: Sequence[str], keys: Iterable[str]) -> str:
    *tables, key = path
    allowed = keys
    if tables:
        model = _TABLE_MODELS.get(tables[0], Settings)
        allowed = model.model_fields
    return f"unknown key {key}{did_you_mean(key, allowed)}"


_TABLE_MODELS: Mapping[str, type[BaseModel]] = {
    "groups": Group,
    "bump": BumpFile,
    "platforms": Platform,
    "api_ignore": ApiWaiver,
    "verify_ignore": VerifyWaiver,
    "publish_to": Destination,
}
"""The models of the tables inside the table of settings."""


_UNKNOWN = "extra_forbidden"
"""The type that pydantic gives to an unknown key."""


TABLE = ("tool", "releasekit")
"""The path of the settings in a pyproject.toml."""
_UNION = ("str", "tuple[str, ...]", _PLATFORM_TABLE, _PLATFORM_LIST)
"""How pydantic names the types of a key that is one value or a list, or a table or a list."""


ENVIRONMENT_PREFIX = "RELEASEKIT_"
"""The prefix of the variables that set options and settings."""


KEYS_OF_FILES = frozenset({"build_command", "bump", "platforms", "pre_build", "publish_to"})
"""The keys that no variable sets: each package has its own value, or an option with another meaning has their name."""


def variable(name: str) -> str:
    """Return the environment variable of the key or option *name*."""
    return ENVIRONMENT_PREFIX + name.upper().replace("-", "_")


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings in *environ*, each from the variable of its key; empty variables are ignored.

    A list or a table is written as JSON; a list of one value also as the plain value.

    Raises Refusal RK-CONFIG-INVALID-VALUE.
    """
    overrides: dict[str, Any] = {}
    for key, field in Settings.model_fields.items():
        text = "" if key in KEYS_OF_FILES else environ.get(variable(key))
        if text:
            overrides[key] = from_text(field.annotation, text)
    try:
        settings = Settings.model_validate(overrides)
    except ValidationError as error:
        raise _environment_refusal(error, environ) from None
    return _values_of(settings, overrides)


def _environment_refusal(error: ValidationError, environ: Mapping[str, str]) -> Refusal:
    problem = error.errors()[0]
    key = str(problem["loc"][0])
    name = variable(key)
    is_secret = key == "secrets"  # no message shows its value
    value = "" if is_secret else f" = {environ[name]!r}"
    message = f"{name}{value}: {problem['msg']}"
    return Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, "the environment")


_JSON_KINDS: Mapping[str, set[Any]] = {"[": {tuple}, "{": {dict}}
"""The types of the values that a JSON text with this first character may stand for."""


def from_text(kind: Any, text: str) -> Any:  # noqa: ANN401  types as values, a different one for each key
    """Return *text*, from an environment variable, as input for a value of the type *kind*.

    JSON of a list or table is parsed; pydantic converts the rest: it reads "5" as 5 and "yes" as true.
    """
    kinds = {get_origin(candidate) for candidate in (kind, *get_args(kind))}
    start = text.lstrip()[:1]
    if kinds & _JSON_KINDS.get(start, set()):
        try:
            return from_json(text)
        except ValueError:
            return text  # pydantic refuses it, and says what it expects
    return (text,) if get_origin(kind) is tuple else text


def schema() -> dict[str, Any]:
    """Return the JSON schema of `[tool.releasekit]` in a pyproject.toml, for editors.

    It describes the whole file, because editors apply a schema to a file; `$defs/Settings` is the table alone.
    """
    settings = Settings.model_json_schema()
    definitions = settings.pop("$defs") | {"Settings": settings}
    table = {"type": "object", "properties": {"releasekit": {"$ref": "#/$defs/Settings"}}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",  # the draft that TOML editors support
        "title": "[tool.releasekit] in pyproject.toml",
        "type": "object",
        "properties": {"tool": table},
        "$defs": definitions,
    }
