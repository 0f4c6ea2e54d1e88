"""The options of each command: one typed model is the flags, the flow's parameters and the form in Prefect's UI."""

from __future__ import annotations

import inspect
import os
from copy import copy
from dataclasses import replace
from functools import wraps
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    ParamSpec,
    Self,
    TypeVar,
    cast,
)

from cyclopts import Group, Parameter, Token
from cyclopts.config import Env
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from releasekit.core.config.repository_address import RemoteWorkspace, is_address
from releasekit.core.config.settings import (
    ENVIRONMENT_PREFIX,
    KEYS_OF_FILES,
    Prerelease,
    Selection,
    Settings,
    VersionOptions,
    from_text,
    variable,
)
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.picking import map_values
from releasekit.logging import ensure_log_level

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from cyclopts import App, Argument, ArgumentCollection
    from cyclopts.completion import CompletionContext
    from pydantic import GetJsonSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from releasekit.core.release.target import Target
    from tasks.project import Project

R = TypeVar("R")
M = TypeVar("M", bound="WorkspaceOptions")
P = ParamSpec("P")
GraphFormat = Literal["levels", "json", "dot", "mermaid", "ascii", "d2", "csv", "svg"]


WORKSPACE = Group("Workspace", sort_key=0)
PACKAGES = Group("Package selection", sort_key=1)
INDEX = Group("Index", sort_key=2)
RELEASE_GROUP = Group("Release", sort_key=3)
RUN_MODE = Group("This run", sort_key=4)
GLOBAL = Group("Global options", sort_key=5)
"""The panels in which the help of a command shows its options, in this order."""

DEFAULT_PORT = 4200
"""The port of a local Prefect server. Prefect's own tools look for a server here too."""


_PANELS = (WORKSPACE, PACKAGES, INDEX, RELEASE_GROUP, RUN_MODE, GLOBAL)


def complete_packages(context: CompletionContext) -> list[str]:
    """Return the package names that a shell can complete: the members of the workspace."""
    return sorted(_completion_project(context).workspace.members)


def complete_groups(context: CompletionContext) -> list[str]:
    """Return the group names that a shell can complete: the configured groups."""
    return sorted(_completion_project(context).settings.groups)


def complete_platforms(context: CompletionContext) -> list[str]:
    """Return the names of platforms that a shell can complete: the configured ones."""
    return list(_completion_project(context).settings.platform_table)


def complete_indexes(context: CompletionContext) -> list[str]:
    """Return the names of indexes that a shell can complete: those of `publish_to` that need approval."""
    destinations = _completion_project(context).settings.publish_to
    return [destination.index for destination in destinations if destination.approve]


def complete_checks(_: CompletionContext) -> dict[str, str]:
    """Return the checks that a shell can complete: each name with its summary."""
    from releasekit.core.checks.registry import CHECKS

    return map_values(attrgetter("summary"), CHECKS)


def _completion_project(context: CompletionContext) -> Project:
    from tasks.read_workspace import read_workspace

    try:
        workspace = context["workspace"].raw or "."
    except KeyError:
        workspace = "."
    return read_workspace(Path(workspace), {})


Members = Annotated[
    tuple[str, ...], Parameter(group=PACKAGES, negative="", completer=complete_packages)
]
Groups = Annotated[
    tuple[str, ...], Parameter(group=PACKAGES, negative="", completer=complete_groups)
]
Checks = Annotated[
    tuple[str, ...], Parameter(group=RELEASE_GROUP, negative="", completer=complete_checks)
]


class Environment(Env):
    """Reads options that are not on the command line from their variables: RELEASEKIT_ and the name in capitals.

    Empty variables are ignored. Options that are also settings are left to `from_environment`, which reads them for
    all commands, and for runs that were not started by a command line.
    """

    def __init__(self) -> None:
        super().__init__(ENVIRONMENT_PREFIX, command=False)

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:  # noqa: ARG002
        """Give each argument without a value the value of its variable, if that is set."""
        for argument in arguments:
            name = option_name(argument)
            has_value = bool(argument.tokens)
            if not name or has_value or is_setting(name):
                continue
            keyword = variable(name)
            text = os.environ.get(keyword)
            if not text:
                continue
            values = _as_list(from_text(argument.hint, text))
            for index, value in enumerate(values):
                argument.append(Token(keyword=keyword, value=str(value), source="env", index=index))

    def _convert_argument(self, commands: tuple[str, ...], argument: Argument) -> str:  # noqa: ARG002
        return variable(option_name(argument))


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401  as many types as there are options
    if isinstance(value, (list, tuple)):
        return list(cast("Iterable[Any]", value))
    return [value]


def option_name(argument: Argument) -> str:
    """Return the name of an option as a Python identifier; an empty string if *argument* is not an option."""
    is_option = argument.field_info.is_keyword and argument.parse
    if argument.children or not is_option:
        return ""
    return argument.name.removeprefix("--").replace("-", "_")


def _setting_field(name: str) -> Any:  # noqa: ANN401  pydantic's Field returns Any too, so that it can be a default
    """Return the field of the setting *name*, so that default and description are written in one place."""
    return copy(Settings.model_fields[name])


class WorkspaceOptions(BaseModel):
    """Options that choose the workspace: a directory on this machine."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    workspace: Annotated[str, Parameter(group=WORKSPACE, alias="--project")] = Field(
        default=".", description="A directory in the uv workspace"
    )

    @property
    def directory(self) -> Path:
        """The directory of the workspace; raises Refusal RK-USAGE for the address of a repository."""
        if is_address(self.workspace):
            raise Refusal(
                ErrorCode.USAGE,
                "this command needs a directory, not the address of a repository",
                self.workspace,
            )
        return Path(self.workspace)


class RemoteWorkspaceOptions(WorkspaceOptions):
    """Options that choose the workspace: a directory on this machine, or a repository to clone."""

    workspace: Annotated[str, Parameter(group=WORKSPACE, alias="--project")] = Field(
        default=".",
        description="A directory in the uv workspace, or the address of a git repository to clone",
    )
    ref: Annotated[str, Parameter(group=WORKSPACE)] = Field(
        default="",
        description="With an address: the branch, tag or commit to check out; default: the default branch",
    )
    subdirectory: Annotated[str, Parameter(group=WORKSPACE)] = Field(
        default="", description="With an address: the path of the workspace in the repository"
    )
    git_token: Annotated[str, Parameter(group=WORKSPACE)] = Field(
        default="",
        description="With an address: the Prefect Secret block (lower case) or environment variable (upper case) "
        "that contains the token for it",
    )

    def source(self) -> RemoteWorkspace | None:
        """Return the repository to clone, None for a directory.

        Raises Refusal RK-USAGE if the options do not fit together, or the address contains a password.
        """
        if is_address(self.workspace):
            return RemoteWorkspace(self.workspace, self.ref, self.subdirectory, self.git_token)
        for name in ("ref", "subdirectory", "git_token"):
            if getattr(self, name):
                message = f"{_flag(name)} needs the address of a repository"
                raise Refusal(ErrorCode.USAGE, message, self.workspace)
        return None

    _throwaway_indexes: Any = PrivateAttr(default_factory=dict[str, Any])

    @property
    def throwaway_indexes(self) -> Mapping[str, Target]:
        """The indexes of a rehearsal, by the names of those that they stand for; otherwise empty."""
        return self._throwaway_indexes

    def with_throwaway_indexes(self, indexes: Mapping[str, Target]) -> Self:
        """Return these options for a rehearsal on these *indexes*. No parameter of a flow holds them."""
        options = self.model_copy()
        options._throwaway_indexes = indexes  # noqa: SLF001  a copy of itself
        return options

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here and so win over those in the file."""
        return {name: getattr(self, name) for name in self.model_fields_set if is_setting(name)}


class IndexOptions(RemoteWorkspaceOptions):
    """Options that choose the workspace and the index."""

    index: Annotated[str, Parameter(group=INDEX)] = _setting_field("index")
    publish_url: Annotated[str, Parameter(group=INDEX)] = _setting_field("publish_url")
    check_url: Annotated[str, Parameter(group=INDEX)] = _setting_field("check_url")


class SelectionOptions(RemoteWorkspaceOptions):
    """Options that choose the workspace and packages of it."""

    package: Annotated[Members, Parameter(alias="-p")] = Field(
        default=(),
        description="Only these packages, and the packages that they need (names, patterns or paths)",
    )
    group: Groups = Field(default=(), description="Only the packages of these groups")
    exclude: Members = Field(
        default=(), description="Leave these packages out (names, patterns or paths)"
    )
    force_unchanged: Annotated[bool, Parameter(group=PACKAGES)] = _setting_field("force_unchanged")
    prerelease: Annotated[Prerelease, Parameter(group=PACKAGES)] = _setting_field("prerelease")

    def selection(self) -> Selection:
        """Return which packages the user selected."""
        return Selection(
            package=self.package,
            group=self.group,
            exclude=self.exclude,
            versions=self.version_options(),
        )

    def version_options(self) -> VersionOptions:
        """Return which versions the user requests."""
        requested_kind = self.prerelease if "prerelease" in self.model_fields_set else ""
        return VersionOptions(prerelease=requested_kind)


class Options(SelectionOptions, IndexOptions):
    """Options that choose the workspace, packages of it and their versions, and the index."""

    bump: Annotated[tuple[str, ...], Parameter(group=PACKAGES, negative="")] = Field(
        default=(),
        description="NAME=major|minor|patch: this bump, whatever the commits ask for; NAME=none: hold the package "
        "back. NAME can be a pattern; without it, the bump is for the packages of -p and --group",
    )
    set_version: Annotated[tuple[str, ...], Parameter(group=PACKAGES, negative="")] = Field(
        default=(), description="NAME=VERSION: exactly this version (NAME can be a pattern)"
    )
    promote: Annotated[Members, Parameter()] = Field(
        default=(),
        description="Release the stable version of these packages, or a later kind with --prerelease, also without new "
        "commits (names, patterns or paths; all)",
    )
    offline: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Don't contact the index or the forge (for plan and --dry-run)",
    )

    def version_options(self) -> VersionOptions:
        """Return which versions the user requests."""
        return replace(
            super().version_options(),
            bump=self.bump,
            set_version=self.set_version,
            promote=self.promote,
        )


class InitOptions(WorkspaceOptions):
    """The options of `init`."""

    check_url: Annotated[str, Parameter(group=INDEX)] = _setting_field("check_url")
    offline: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Don't contact the index; releases known only to it are not found",
    )

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here and so win over those in the file."""
        return {"check_url": self.check_url} if self.check_url else {}


class CheckOptions(RemoteWorkspaceOptions):
    """The options of `check`."""

    package: Annotated[
        tuple[str, ...],
        Parameter(group=PACKAGES, alias="-p", negative="", completer=complete_packages),
    ] = Field(
        default=(), description="Only findings about these packages (names, patterns or paths)"
    )
    select: Checks = Field(
        default=(), description="Run only these checks; overrides `check_select`"
    )
    ignore: Checks = Field(
        default=(), description="Skip these checks, in addition to those in `check_ignore`"
    )
    releases: Annotated[bool, Parameter(group=RELEASE_GROUP)] = Field(
        default=False,
        description="Also compare tags, index, forge and changelogs of the last releases, as `repair` does",
    )


class PlanOptions(Options):
    """The options of `plan`."""


class PrepareOptions(Options):
    """The options of `prepare`."""

    dry_run: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Show what the pull request would release; change nothing"
    )
    allow_new: Members = _setting_field("allow_new")
    release_branch: Annotated[str, Parameter(group=RELEASE_GROUP)] = _setting_field(
        "release_branch"
    )
    audit: Annotated[
        bool, Parameter(group=RELEASE_GROUP, negative=("--no-audit", "--skip-audit"))
    ] = _setting_field("audit")


class PublishOptions(Options):
    """The options of `publish`. What an option switches off is a parameter that is true by default."""

    dry_run: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Plan and check, and print the commands that would run; change nothing",
    )
    rehearse: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Run the complete release, with a throwaway index and a throwaway clone",
    )
    approve: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Before the release begins, wait for approval of the plan, in Prefect's UI or with `approve`",
    )
    resume_from_registry: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Resume a release whose record is lost; files on the index with the same content count as uploaded",
    )
    manifest: Annotated[Path, Parameter(group=RUN_MODE, show_default=False)] = Field(
        default=Path(),
        description="Publish exactly the release of this manifest.json, with the files beside it; or of the draft "
        "that has this tag. With --resume-from-registry: the manifest.json in a copy of the lost record",
    )
    stage_only: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Build and verify all packages and prove that they can be installed, then stop; nothing is "
        "tagged, pushed or uploaded, and no credentials are needed",
    )
    output: Annotated[Path, Parameter(group=RUN_MODE, show_default=False)] = Field(
        default=Path(),
        description="With --stage-only: the directory for the built files, SHA256SUMS and a manifest.json for "
        "`publish --manifest`",
    )
    platform: Annotated[
        str, Parameter(group=RUN_MODE, show_default=False, completer=complete_platforms)
    ] = Field(
        default="",
        description="With --stage-only and the --manifest of a staged release: build only the wheels for this "
        "platform, on a machine of it; `merge` puts the parts together",
    )
    version_only: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Write and commit versions, changelogs and uv.lock, move your branch to that commit, then stop",
    )
    allow_new: Members = _setting_field("allow_new")
    allow_index: Annotated[
        tuple[str, ...], Parameter(group=RUN_MODE, negative="", completer=complete_indexes)
    ] = Field(
        default=(),
        description="Publish to these indexes of `publish_to`, which need approval, without a question",
    )
    allow_missing_wheels: Members = _setting_field("allow_missing_wheels")
    publish_from: Annotated[Literal["local", "ci"], Parameter(group=RELEASE_GROUP)] = (
        _setting_field("publish_from")
    )
    concurrency: Annotated[int, Parameter(group=RELEASE_GROUP, alias="-j")] = _setting_field(
        "concurrency"
    )
    rate_limit: Annotated[int, Parameter(group=RELEASE_GROUP)] = _setting_field("rate_limit")
    task_runner: Annotated[str, Parameter(group=RELEASE_GROUP)] = _setting_field("task_runner")
    fail_fast: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("fail_fast")
    tag: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("tag")
    push: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("push")
    release: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("release")
    smoke_test: Annotated[
        bool, Parameter(group=RELEASE_GROUP, negative=("--no-smoke-test", "--skip-smoke-test"))
    ] = _setting_field("smoke_test")
    audit: Annotated[
        bool, Parameter(group=RELEASE_GROUP, negative=("--no-audit", "--skip-audit"))
    ] = _setting_field("audit")
    strict_audit: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("strict_audit")
    attestations: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("attestations")

    @property
    def recovery_manifest(self) -> Path | None:
        """The manifest in the copy of the lost record, if the user gave one."""
        return self._manifest_or_none if self.resume_from_registry else None

    @property
    def staged_manifest(self) -> Path | None:
        """The manifest of the release to publish, if the user gave one."""
        return None if self.resume_from_registry else self._manifest_or_none

    @property
    def _manifest_or_none(self) -> Path | None:
        return self.manifest if self.manifest.name else None

    @property
    def stops_before_publishing(self) -> bool:
        """Whether `publish` stops before anything is public. Then rights on index and remote are not checked."""
        return self.stage_only or self.version_only

    @property
    def _can_stage_part(self) -> bool:
        """Whether the options say what a part of a release is built from, and where it goes."""
        return self.stage_only and bool(self.staged_manifest) and bool(self.output.name)

    def check_conflicts(self) -> None:
        """Raise Refusal RK-USAGE for options that do not fit together."""
        conflict = self._find_conflict()
        if conflict:
            raise Refusal(ErrorCode.USAGE, conflict)

    def _find_conflict(self) -> str:
        modes = [name for name in ("rehearse", "stage_only", "version_only") if getattr(self, name)]
        mode_flags = " and ".join(map(_flag, modes))
        has_output = bool(self.output.name)
        conflicts = {
            "--offline needs --dry-run": self.offline and not self.dry_run,
            "--output needs --stage-only": has_output and not self.stage_only,
            "--output must be a separate directory": "output" in self.model_fields_set
            and not has_output,
            f"use only one of {mode_flags}": len(modes) > 1,
            "--platform needs --stage-only, --manifest and --output": bool(self.platform)
            and not self._can_stage_part,
        }
        conflict = next((message for message, applies in conflicts.items() if applies), "")
        if conflict or not self.staged_manifest:
            return conflict
        return self._find_manifest_conflict(modes)

    def _find_manifest_conflict(self, modes: list[str]) -> str:
        fits_mode = modes in ([], ["stage_only"])
        if not fits_mode:
            return f"--manifest and {_flag(modes[0])} cannot be combined"
        for name in (
            "package",
            "group",
            "exclude",
            "force_unchanged",
            "prerelease",
            "bump",
            "set_version",
            "promote",
        ):
            if name in self.model_fields_set:
                return (
                    f"--manifest selects the packages, so it cannot be combined with {_flag(name)}"
                )
        return ""


def hands_off_to_ci(options: PublishOptions, settings: Settings) -> bool:
    """Return whether `publish` hands a merged release off to a CI workflow instead of uploading files itself."""
    publishes_here = (
        options.rehearse
        or options.stops_before_publishing
        or options.resume_from_registry
        or options.manifest.name
    )
    return settings.publish_from == "ci" and not publishes_here


class StageOnOptions(RemoteWorkspaceOptions):
    """The parameters of the deployment `stage-on`, which a release fills in."""

    release_id: str = Field(default="", description="The id of the running release")
    platform: str = Field(default="", description="The platform to build wheels for")
    package: tuple[str, ...] = Field(default=(), description="The packages to build")
    storage: str = Field(
        default="", description="The URL of the directory for the wheels of this release"
    )


class MergeOptions(IndexOptions):
    """The options of `merge`."""

    output: Annotated[Path, Parameter(group=RUN_MODE, show_default=False)] = Field(
        default=Path(),
        description="The directory for the merged release: all files, SHA256SUMS and a manifest.json for "
        "`publish --manifest`",
    )
    offline: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Don't ask the index which wheels the last release had"
    )
    allow_missing_wheels: Members = _setting_field("allow_missing_wheels")


class StatusOptions(IndexOptions):
    """The options of `status`."""

    offline: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Don't contact the remote, the index or the forge"
    )


class RepairOptions(IndexOptions):
    """The options of `repair`."""

    release: Annotated[str, Parameter(parse=False)] = Field(
        default="", description="The release, by its tag; default: the last release of each package"
    )
    package: Annotated[Members, Parameter(alias="-p")] = Field(
        default=(), description="Compare only these packages (names, patterns or paths)"
    )
    all: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Compare all versions of the history, not only the last ones"
    )
    apply: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Repair what needs no decision; nothing public is deleted"
    )

    def overrides(self) -> dict[str, Any]:
        """Return the settings given as options; here `release` names a release, the key of that name is a switch."""
        overrides = super().overrides()
        overrides.pop("release", None)
        return overrides


class YankOptions(IndexOptions):
    """The options of `yank`."""

    dry_run: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Show what the yank affects; change nothing"
    )


class VerifyOptions(IndexOptions):
    """The options of `verify`."""


class RollbackOptions(IndexOptions):
    """The options of `rollback`."""

    release: Annotated[str, Parameter(parse=False)] = Field(
        default="", description="The release, by its id or title; default: the unfinished one"
    )
    dry_run: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Show what would be removed; change nothing"
    )
    push: Annotated[bool, Parameter(group=RELEASE_GROUP)] = Field(
        default=True,
        description="Delete tags on the remote too; --no-push does not change the remote",
    )
    all_tags: Annotated[bool, Parameter(group=RELEASE_GROUP)] = Field(
        default=False, description="Also delete the tags of packages that are on the index"
    )

    @property
    def names_index(self) -> bool:
        """Whether an option names an index. It is then asked instead of the indexes on record."""
        return bool({"index", "publish_url", "check_url"} & self.overrides().keys())

    def overrides(self) -> dict[str, Any]:
        """Return the settings given as options; here `release` names a release, the key of that name is a switch."""
        overrides = super().overrides()
        overrides.pop("release", None)
        return overrides


def as_flow_parameters(
    model: type[M],
) -> Callable[[Callable[[M], Awaitable[R]]], Callable[..., Awaitable[R]]]:
    """Turn a function of an options model into one whose parameters are the model's fields.

    This makes `-p dry_run=true` work, and Prefect's form shows each option with its title, description and default.
    The form has the groups of the help: options are in their order, and the titles begin with the group.
    Prefect passes all parameters, also those that the user left empty. So a parameter that is also a setting is None
    by default, which means "as configured". Any other value overrides the file, even if it is the setting's default.
    """

    def decorate(function: Callable[[M], Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        fields = sorted(
            model.model_fields.items(), key=lambda item: _PANELS.index(_group_of(item[1]))
        )
        flow_options = [_flow_option(name, field) for name, field in fields]
        defaults = {option.name: option.default for option in flow_options}

        @wraps(function)
        async def call(**parameters: Any) -> R:  # noqa: ANN401  as many types as there are options
            ensure_log_level()
            changed = {name: value for name, value in parameters.items() if value != defaults[name]}
            return await function(model(**changed))

        signature = inspect.Signature([option.as_parameter() for option in flow_options])
        setattr(call, "__signature__", signature)  # noqa: B010  read by inspect.signature; the type does not know it
        call.__annotations__ = {option.name: option.annotation for option in flow_options}
        # Prefect reads the descriptions only from the docstring.
        parameter_lines = [f"    {option.name}: {option.description}" for option in flow_options]
        call.__doc__ = "\n".join([f"{inspect.getdoc(function)}\n\nArgs:", *parameter_lines])
        return call

    return decorate


class _FlowOption(NamedTuple):
    """An option as a parameter of a flow."""

    name: str
    default: Any
    annotation: Any
    description: str

    def as_parameter(self) -> inspect.Parameter:
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=self.annotation,
        )


def flow_parameters(options: WorkspaceOptions) -> dict[str, Any]:
    """Return the parameters of the flow that does what *options* say: only those that the user gave."""
    return options.model_dump(exclude_unset=True)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class _WithoutNone:
    """Shows a parameter that may be None as an empty field of its type in Prefect's form."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json_schema = handler(schema)
        alternatives = json_schema.get("anyOf", [json_schema])
        return alternatives[0]


def is_setting(name: str) -> bool:
    """Return whether the option *name* is also a key of [tool.releasekit]."""
    if name == "exclude":  # it adds to the file's
        return False
    return name in Settings.model_fields and name not in KEYS_OF_FILES


def _group_of(field: FieldInfo) -> Group:
    """Return the panel of the help that has the option of *field*."""
    groups = (entry.group for entry in field.metadata if isinstance(entry, Parameter))
    panels = chain.from_iterable(
        entry if isinstance(entry, tuple) else (entry,) for entry in groups
    )
    return next((panel for panel in panels if isinstance(panel, Group)), RELEASE_GROUP)


def _title_of(name: str, field: FieldInfo) -> str:
    words = name.replace("_", " ")
    return f"{_group_of(field).name}: {words}"


def _flow_option(name: str, field: FieldInfo) -> _FlowOption:
    """Return the option of *field*. Its annotation has the bounds, and the title in Prefect's form."""
    annotated: Any = Annotated
    kind: Any = field.annotation
    if field.metadata:
        kind = annotated[kind, *field.metadata]
    title = Field(json_schema_extra={"title": _title_of(name, field)})
    if is_setting(name):
        return _FlowOption(
            name,
            default=None,
            annotation=annotated[kind | None, _WithoutNone(), title],
            description=f"{field.description} (empty: as configured)",
        )
    return _FlowOption(
        name,
        default=field.get_default(call_default_factory=True),
        annotation=annotated[kind, title],
        description=str(field.description),
    )
