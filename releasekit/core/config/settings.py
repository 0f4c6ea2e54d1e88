"""`[tool.releasekit]`: every key, its type and its default, in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args, get_origin

from packaging.version import VERSION_PATTERN
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError, from_json

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.config.ref_names import is_tag_name
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, did_you_mean
from releasekit.core.toml_lines import excerpt_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


Cycles = Literal["error", "batch"]
BumpName = Literal["major", "minor", "patch", "none"]
Prerelease = Annotated[
    Literal["none", "dev", "a", "b", "rc", "alpha", "beta"],
    AfterValidator(lambda kind: {"alpha": "a", "beta": "b"}.get(kind, kind)),  # PEP 440 writes the short forms
]
Versioning = Literal["independent", "fixed", "linked"]
ForgeKind = Literal["auto", "github", "gitlab"]
PinMode = Literal["exact", "compatible", "keep"]
Propagate = Literal["none", "out-of-range", "patch"]
SourceRequirements = Literal["raise", "always", "leave"]


NO_FORGE_CODES = frozenset(
    {ErrorCode.FORGE_UNKNOWN, ErrorCode.FORGE_NO_TOKEN, ErrorCode.FORGE_CREDENTIALS, ErrorCode.FORGE_READ_ONLY}
)
"""Why there may be no release on the forge without anything having failed."""


CredentialName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(UV_(PUBLISH_(TOKEN|USERNAME|PASSWORD)|INDEX_[A-Z0-9_]+_(USERNAME|PASSWORD))|G(ITHUB|H|ITLAB)_TOKEN)$"
    ),
]
SecretName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9-]*|[A-Z_][A-Z0-9_]*)$")]


class Group(BaseModel):
    """A named set of packages; in the file a list of patterns, or a table with the key `packages`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packages: tuple[str, ...] = Field(description="Names or patterns of the packages in the group")
    versioning: Versioning | None = Field(
        None, description="How the versions of the group go together; without it, the group is for --group alone"
    )
    pins: PinMode | None = Field(
        None,
        description="What the built packages of the group require of their siblings; wins over the key of the root",
    )


class BumpFile(BaseModel):
    """One more file that holds a package's version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="The file, relative to the package")
    pattern: str = Field(description="The text around the version, literally, with {version} for the version itself")

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        posix, windows = PurePosixPath(path), PureWindowsPath(path)
        outside = posix.is_absolute() or windows.drive or windows.root or ".." in (*posix.parts, *windows.parts)
        if not path or "\0" in path or outside:
            raise PydanticCustomError("outside", "the path must lie in the package")
        return posix.as_posix()

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        if pattern.count("{version}") != 1:
            raise PydanticCustomError("no_version", "the pattern must hold {what} once", {"what": "{version}"})
        return pattern


class PackageSettings(BaseModel):
    """What is read from a member's own [tool.releasekit]."""

    model_config = ConfigDict(frozen=True)

    bump: tuple[BumpFile, ...] = ()


def _as_group(value: Any) -> Any:  # noqa: ANN401  whatever the file holds; pydantic judges it afterwards
    if not isinstance(value, (list, dict, Group)):
        raise PydanticCustomError("group", "a group is a list of packages, or a table with the key `packages`")
    return {"packages": cast("list[object]", value)} if isinstance(value, list) else cast("object", value)


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise PydanticCustomError("regex", "this is no regular expression: {why}", {"why": str(error)}) from None
    return value


def _default_types() -> dict[str, BumpName]:
    # Conventional Commits names feat and fix (items 2 and 3); perf is common practice.
    return {"feat": "minor", "fix": "patch", "perf": "patch"}


class Settings(BaseModel):
    """How this workspace is released. Options of the same name win over these keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    packages: tuple[str, ...] = Field((), description="Publish exactly these members (names, patterns or paths)")
    exclude: tuple[str, ...] = Field((), description="Never publish these members (names, patterns or paths)")
    groups: dict[str, Annotated[Group, BeforeValidator(_as_group, Group | tuple[str, ...])]] = Field(
        default_factory=dict[str, Group], description="Named sets of packages, for --group and for `versioning`"
    )
    cycles: Cycles = Field("error", description="What a cycle of hard dependencies is: an error, or one batch")
    versioning: Versioning = Field(
        "independent",
        description='Whether packages share a version; "fixed": all do, when any changes; "linked": those released do',
    )
    propagate: Propagate = Field(
        "out-of-range",
        description="Which packages are released, as a patch, because a sibling that they require is: those whose "
        "source no longer allows the new version; all that need it; or none",
    )
    pins: PinMode = Field(
        "exact",
        description="What a built package requires of its siblings: the exact version, a compatible range, or what its "
        "source says",
    )
    source_requirements: SourceRequirements = Field(
        "raise",
        description="What the release commit does to requirements on siblings in your files: raises those that the new "
        "version does not satisfy; raises all lower bounds; or leaves them",
    )
    prerelease: Prerelease = Field("none", description="Make prereleases of this kind instead of stable releases")
    tag_format: str | tuple[str, ...] = Field(
        "{name}-v{version}", description="The tag of a package; of a list, the first is written and all are read"
    )
    umbrella_tag_format: str = Field("v{version}", description="The tag of the release as a whole")
    label: str = Field("", description="What {label} stands for in the tag formats")
    lead: str = Field("", description="The package whose version names the release when the versions differ")
    types: dict[str, BumpName] = Field(
        default_factory=_default_types,
        description="Which bump each Conventional Commits type asks for; types not named ask for none",
    )
    first_version: str = Field("", description="The first version of packages whose version only a tag can tell")
    bump: tuple[BumpFile, ...] = Field(
        (), description="More files that hold the package's version; stands in the package's own [tool.releasekit]"
    )
    major_on_zero: bool = Field(default=False, description="A breaking change takes 0.x to 1.0.0")
    force_unchanged: bool = Field(default=False, description="Release packages without changes too, as a patch")
    changelog: bool = Field(default=True, description="Keep a CHANGELOG.md beside each package's pyproject.toml")
    changelog_prerelease_mode: Literal["rollup", "separate"] = Field(
        "rollup",
        description="A stable release tells all changes since the last stable one, in place of its prereleases; "
        "or only its own",
    )
    changelog_sections: dict[str, str] = Field(
        default_factory=dict[str, str],
        description='Headings of commit types, to show or rename them; "" hides one, `other` is all the rest',
    )
    changelog_exclude: tuple[Annotated[str, AfterValidator(_regex)], ...] = Field(
        (), description="Commits whose title one of these regular expressions matches are not told"
    )
    changelog_contributors: bool = Field(default=False, description="Name those who made the changes")
    allow_older: bool = Field(
        default=False, description="Release a version below the index's latest, as from a maintenance branch"
    )
    check_select: tuple[str, ...] = Field((), description="Make only these checks; none: all")
    check_ignore: tuple[str, ...] = Field((), description="Leave these checks out; a member's own add to the root's")
    publish_from: Literal["local", "ci"] = Field(
        "local", description='Who uploads: this machine; or "ci", a workflow, once the release pull request is merged'
    )
    release_branch: str = Field(
        "releasekit/release", description="The branch of the release pull request; it is releasekit's alone"
    )
    publish_workflow: str = Field(
        "publish.yml", description='The workflow that is started to publish a merged release; "": none is'
    )
    commit_back: bool = Field(
        default=False, description="After a release, make a pull request with the next development versions"
    )
    index: str = Field("", description="The [[tool.uv.index]] to publish to; none: uv's default index")
    publish_url: str = Field("", description="Where files are uploaded to; wins over `index`")
    check_url: str = Field("", description="The simple root on which uploads are confirmed; wins over `index`")
    remote: str = Field("origin", description="The git remote to push to")
    concurrency: int = Field(5, ge=1, description="How many packages are uploaded or smoke-tested at the same time")
    fail_fast: bool = Field(default=False, description="Start nothing more after the first failure")
    tag: bool = Field(default=True, description="Make tags")
    push: bool = Field(default=True, description="Push the release commit and the tags")
    release: bool = Field(default=True, description="Make a release with notes on the forge")
    forge: ForgeKind = Field("auto", description="What the remote is on; by itself it is told from the address")
    forge_url: str = Field("", description="Where the forge's API is, if not where it usually is on the remote's host")
    forge_required: bool = Field(
        default=False, description="Refuse to begin without a forge to make the release on, instead of going on without"
    )
    notes_template: str = Field(
        "", description="A Jinja2 template for the release notes, relative to the workspace; none: our own"
    )
    notes_command: tuple[str, ...] = Field(
        (), description="A command that gets the release notes on standard input and prints those to be used"
    )
    smoke_test: bool = Field(default=True, description="Install and import each package from the index")
    overlay: Literal["resolve", "install", "off"] = Field(
        "install",
        description="How it is proven, before the first upload, that each built package can be installed: uv resolves "
        'it and its extras; with "install" it is also installed and imported, unless `smoke_test` is false',
    )
    audit: bool = Field(default=True, description="Run `uv audit` before the release; findings are warnings")
    strict_audit: bool = Field(default=False, description="Findings of `uv audit` stop the release")
    hooks: bool = Field(default=False, description="Run the repository's git hooks on the release commit")
    http_pool_size: int = Field(10, ge=1, description="Connections kept open to the index")
    build_concurrency: int = Field(0, ge=0, description="How many packages build at the same time; 0: one a core")
    confirm_timeout: float = Field(600, gt=0, description="Seconds to wait until the index lists an upload")
    build_timeout: float = Field(1800, gt=0, description="Seconds that one build may take")
    upload_timeout: float = Field(600, gt=0, description="Seconds that the upload of one package may take")
    approval_timeout: float = Field(
        86400, gt=0, description="Seconds that `publish --approve` waits for somebody to approve the plan"
    )
    rate_limit: int = Field(0, ge=0, description="How many files are uploaded a minute; 0: as fast as it goes")
    attestations: bool = Field(
        default=True,
        description="Send the attestations (PEP 740) beside the built files, named *.publish.attestation",
    )
    secrets: dict[CredentialName, SecretName] = Field(
        default_factory=dict[str, str],
        description="Where credentials come from, by the variable that uv reads, or that holds the forge's token "
        "(`GITHUB_TOKEN`, `GITLAB_TOKEN`): the Prefect Secret block (lower case) or environment variable (upper case) "
        "of that name",
    )

    @field_validator("release_branch")
    @classmethod
    def _check_branch(cls, name: str) -> str:
        if not is_tag_name(name):  # git has one rule for both
            raise PydanticCustomError("branch", "git takes no branch of this name")
        return name

    @field_validator("first_version")
    @classmethod
    def _check_version(cls, text: str) -> str:
        if text and not re.fullmatch(rf"(?ix)\s*{VERSION_PATTERN}\s*", text):
            raise PydanticCustomError("version", "this is no PEP 440 version")
        return text

    @property
    def creates_forge_release(self) -> bool:
        """Whether a release is to be made on the forge: it is one of a tag that is there."""
        return self.release and self.tag and self.push

    def stops_at(self, error: ReleaseError) -> bool:
        """Whether it is a failure, and no remark, that *error* keeps the release from the forge (D-10)."""
        return self.forge_required or error.code not in NO_FORGE_CODES

    def expects_no_forge(self, error: ReleaseError) -> bool:
        """Whether *error* says no more than that the remote is on no forge, and nobody has said that it is."""
        return error.code is ErrorCode.FORGE_UNKNOWN and self.forge == "auto"

    def bumps(self) -> dict[str, Bump]:
        """Return the bump that each commit type asks for."""
        return {name.lower(): Bump[bump.upper()] for name, bump in self.types.items()}

    def rules(self) -> BumpRules:
        """Return what the settings say of the next version."""
        return BumpRules(self.bumps(), self.major_on_zero, self.force_unchanged, self.prerelease)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which packages somebody asked for: names, patterns or paths; nothing means all."""

    package: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def settings_of(pyproject: Mapping[str, Any], text: str = "") -> Settings:
    """Return the settings in the parsed root *pyproject*; *text* is its source, to name lines in errors.

    Raises Refusal RK-CONFIG-INVALID-KEY or RK-CONFIG-INVALID-VALUE.
    """
    table: object = pyproject.get("tool", {}).get("releasekit", {})
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        raise _refusal(error, text) from None


def bump_files(pyproject: Mapping[str, Any], display_path: str, text: str = "") -> tuple[BumpFile, ...]:
    """Return the files that a package's own *pyproject* names with `bump`; *display_path* and *text* are for errors.

    Raises Refusal RK-CONFIG-INVALID-KEY or RK-CONFIG-INVALID-VALUE.
    """
    table: object = pyproject.get("tool", {}).get("releasekit", {})
    try:
        return PackageSettings.model_validate(table).bump
    except ValidationError as error:
        raise _refusal(error, text, display_path) from None


MEMBER_KEYS = ("types", "major_on_zero", "tag_format", "changelog", "smoke_test", "check_ignore", "bump", "pins")
"""What a member may say for itself, in its own [tool.releasekit]."""


def parse_member_settings(pyproject: Mapping[str, Any], display_path: str, text: str = "") -> dict[str, Any]:
    """Return what the parsed *pyproject* of a member says for itself; *display_path* and *text* are for errors.

    Raises Refusal RK-CONFIG-INVALID-KEY or RK-CONFIG-INVALID-VALUE.
    """
    table: Any = pyproject.get("tool", {}).get("releasekit", {})
    try:
        read = Settings.model_validate(table)
    except ValidationError as error:
        raise _refusal(error, text, display_path, MEMBER_KEYS) from None
    for key in table:
        if key not in MEMBER_KEYS:
            excerpt = excerpt_of(text, display_path, (*TABLE, key), of_key=True)
            location = f"{display_path}:{excerpt.line}, [tool.releasekit]"
            hint = (
                f"A member may set {', '.join(MEMBER_KEYS)} for itself; all else stands in the root's pyproject.toml."
            )
            raise Refusal(ErrorCode.CONFIG_INVALID_KEY, f"{key} is a key of the root", location, hint, excerpt=excerpt)
    return {key: getattr(read, key) for key in table}


def _refusal(
    error: ValidationError, text: str, display_path: str = "pyproject.toml", keys: Iterable[str] | None = None
) -> Refusal:
    # An unknown key first: it may explain why another is missing.
    problem = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    path = [str(part) for part in problem["loc"] if part not in _UNION]
    unknown, missing = problem["type"] == "extra_forbidden", problem["type"] == "missing"
    index = int(path.pop()) if len(path) > 1 and path[-1].isdecimal() else None
    key_path = path[:-1] if missing else path
    item = str(problem["input"]) if index is not None and isinstance(problem["input"], str) else ""
    excerpt = excerpt_of(text, display_path, (*TABLE, *key_path), item, of_key=unknown)
    location = f"{display_path}:{excerpt.line}, [tool.releasekit]"
    if unknown:
        inner = {"groups": Group, "bump": BumpFile}.get(path[0], Settings)
        allowed = inner.model_fields if len(path) > 1 else (keys or Settings.model_fields)
        message = f"unknown key {path[-1]}{did_you_mean(path[-1], allowed)}"
        return Refusal(ErrorCode.CONFIG_INVALID_KEY, message, location, excerpt=excerpt)
    name = ".".join([*path, *([str(index)] if index is not None else [])]) or "tool.releasekit"
    if path[:1] == ["secrets"]:  # nobody should write a secret there, and somebody will
        return Refusal(ErrorCode.CONFIG_INVALID_VALUE, f"{name}: {problem['msg']}", location)
    value: Any = problem["input"]
    return Refusal(ErrorCode.CONFIG_INVALID_VALUE, f"{name} = {value!r}: {problem['msg']}", location, excerpt=excerpt)


TABLE = ("tool", "releasekit")
"""Where the settings stand in a pyproject.toml."""
_UNION = ("str", "tuple[str, ...]")  # how pydantic calls the choices of a key that may be one or many


ENVIRONMENT_PREFIX = "RELEASEKIT_"
"""How the variables begin that hold options and settings."""


def variable(name: str) -> str:
    """Return the environment variable of the key or option *name*."""
    return ENVIRONMENT_PREFIX + name.upper().replace("-", "_")


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that *environ* holds, each in the variable of its key; an empty one is as good as none.

    A list or a table is written as JSON; a list of one also as it is. Raises Refusal RK-CONFIG-INVALID-VALUE.
    """
    fields = Settings.model_fields
    overrides = {key: from_text(fields[key].annotation, text) for key in fields if (text := environ.get(variable(key)))}
    try:
        read = Settings.model_validate(overrides)
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0])
        value = "" if key == "secrets" else f" = {environ[variable(key)]!r}"
        message = f"{variable(key)}{value}: {problem['msg']}"
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, "the environment") from None
    return {key: getattr(read, key) for key in overrides}


def from_text(kind: Any, text: str) -> Any:  # noqa: ANN401  types as values, and as many as there are keys
    """Return what *text*, of an environment variable, says for a value of the type *kind*.

    JSON of a list or table is parsed; the rest is left to pydantic, which takes "5" for 5 and "yes" for true.
    """
    kinds = {get_origin(candidate) for candidate in (kind, *get_args(kind))}
    if (tuple in kinds and text.lstrip().startswith("[")) or (dict in kinds and text.lstrip().startswith("{")):
        try:
            return from_json(text)
        except ValueError:
            return text  # which pydantic refuses, with what it should be
    return (text,) if get_origin(kind) is tuple else text


def schema() -> dict[str, Any]:
    """Return the JSON schema of a pyproject.toml as far as `[tool.releasekit]` goes, for editors.

    It is one of the whole file, because that is what they apply to one; the table alone is `$defs/Settings` in it.
    """
    settings = Settings.model_json_schema()
    definitions = settings.pop("$defs") | {"Settings": settings}
    table = {"type": "object", "properties": {"releasekit": {"$ref": "#/$defs/Settings"}}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",  # what editors of TOML speak; newer words do not occur
        "title": "[tool.releasekit] in pyproject.toml",
        "type": "object",
        "properties": {"tool": table},
        "$defs": definitions,
    }
