"""The options of each command: one typed model is the flags, the flow's parameters and the form in Prefect's UI."""

from __future__ import annotations

import inspect
import os
from copy import copy
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec, TypeVar, cast

from cyclopts import Group, Parameter, Token
from cyclopts.config import Env
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.config.repository_address import RemoteWorkspace, is_address
from releasekit.core.config.settings import ENVIRONMENT_PREFIX, Prerelease, Selection, Settings, from_text, variable
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.logging import ensure_log_level

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from cyclopts import App, Argument, ArgumentCollection
    from cyclopts.completion import CompletionContext
    from pydantic import GetJsonSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from tasks.project import Project

R = TypeVar("R")
M = TypeVar("M", bound="WorkspaceOptions")
P = ParamSpec("P")
GraphFormat = Literal["levels", "json", "dot", "mermaid", "ascii", "d2", "csv", "svg"]


WORKSPACE, PACKAGES, INDEX, RELEASE_GROUP, RUN_MODE, GLOBAL = (
    Group(title, sort_key=position)
    for position, title in enumerate(
        ("Which workspace", "Which packages", "Where it goes", "How it goes", "Here and now", "Always")
    )
)
"""The options of a command as its help has them."""

DEFAULT_PORT = 4200
"""Where Prefect's own tools look for a server; one that is kept for the day listens here."""


def complete_packages(context: CompletionContext) -> list[str]:
    """Return what a shell may complete to a package: the members of the workspace."""
    return sorted(_completion_project(context).workspace.members)


def complete_groups(context: CompletionContext) -> list[str]:
    """Return what a shell may complete to a group: those that are configured."""
    return sorted(_completion_project(context).settings.groups)


def complete_checks(_: CompletionContext) -> dict[str, str]:
    """Return what a shell may complete to a check, with what each is about."""
    from releasekit.core.checks.registry import CHECKS

    return {name: check.summary for name, check in CHECKS.items()}


def _completion_project(context: CompletionContext) -> Project:
    from tasks.read_workspace import read_workspace

    try:
        workspace = context["workspace"].raw or "."
    except KeyError:
        workspace = "."
    return read_workspace(Path(workspace), {})


Members = Annotated[tuple[str, ...], Parameter(group=PACKAGES, negative="", completer=complete_packages)]
Groups = Annotated[tuple[str, ...], Parameter(group=PACKAGES, negative="", completer=complete_groups)]
Checks = Annotated[tuple[str, ...], Parameter(group=RELEASE_GROUP, negative="", completer=complete_checks)]


class Environment(Env):
    """Takes options that are not on the command line from their variables: RELEASEKIT_ and the name in capitals.

    An empty variable is as good as none. Those that are settings are left to `from_environment`, which does the same
    for all commands and for runs that no command line has started.
    """

    def __init__(self) -> None:
        super().__init__(ENVIRONMENT_PREFIX, command=False)

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:  # noqa: ARG002
        """Give each argument that has no value yet that of its variable."""
        for argument in arguments:
            name = option_name(argument)
            if not name or argument.tokens or is_setting(name):
                continue
            if text := os.environ.get(variable(name)):
                for index, value in enumerate(_as_list(from_text(argument.hint, text))):
                    argument.append(Token(keyword=variable(name), value=str(value), source="env", index=index))

    def _convert_argument(self, commands: tuple[str, ...], argument: Argument) -> str:  # noqa: ARG002
        return variable(option_name(argument))


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401  as many types as there are options
    return list(cast("Iterable[Any]", value)) if isinstance(value, (list, tuple)) else [value]


def option_name(argument: Argument) -> str:
    """Return the name of an option, as a variable of Python; nothing if *argument* is none."""
    if argument.children or not argument.field_info.is_keyword or not argument.parse:
        return ""
    return argument.name.removeprefix("--").replace("-", "_")


def _setting_field(name: str) -> Any:  # noqa: ANN401  pydantic's Field returns Any too, so that it may stand as a default
    """Return the default and description of the setting *name*: they are written in one place."""
    return copy(Settings.model_fields[name])


class WorkspaceOptions(BaseModel):
    """Which workspace."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    workspace: Annotated[str, Parameter(group=WORKSPACE, alias="--project")] = Field(
        default=".", description="A directory in the uv workspace"
    )

    @property
    def directory(self) -> Path:
        """The directory, on this machine; raises Refusal RK-USAGE for the address of a repository."""
        if is_address(self.workspace):
            raise Refusal(ErrorCode.USAGE, "this needs a directory, not the address of a repository", self.workspace)
        return Path(self.workspace)


class RemoteWorkspaceOptions(WorkspaceOptions):
    """Which workspace, here or in a repository elsewhere."""

    workspace: Annotated[str, Parameter(group=WORKSPACE, alias="--project")] = Field(
        default=".", description="A directory in the uv workspace, or the address of a git repository to clone"
    )
    ref: Annotated[str, Parameter(group=WORKSPACE)] = Field(
        default="", description="With an address: the branch, tag or commit; none: the default branch"
    )
    subdirectory: Annotated[str, Parameter(group=WORKSPACE)] = Field(
        default="", description="With an address: where in the repository the workspace lies"
    )
    git_token: Annotated[str, Parameter(group=WORKSPACE)] = Field(
        default="",
        description="With an address: the Prefect Secret block (lower case) or environment variable (upper case) "
        "that holds the token for it",
    )

    def source(self) -> RemoteWorkspace | None:
        """Return what is to be cloned, None for a directory.

        Raises Refusal RK-USAGE if the options do not fit together, or the address holds a password.
        """
        address_only = [name for name in ("ref", "subdirectory", "git_token") if getattr(self, name)]
        if is_address(self.workspace):
            return RemoteWorkspace(self.workspace, self.ref, self.subdirectory, self.git_token)
        if address_only:
            flag = f"--{address_only[0].replace('_', '-')}"
            raise Refusal(ErrorCode.USAGE, f"{flag} goes with the address of a repository", self.workspace)
        return None

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here and so win over those in the file."""
        names = self.model_fields_set & Settings.model_fields.keys() - {"exclude"}  # that one is added, see selection
        return {name: getattr(self, name) for name in names}


class IndexOptions(RemoteWorkspaceOptions):
    """Which workspace, and which index."""

    index: Annotated[str, Parameter(group=INDEX)] = _setting_field("index")
    publish_url: Annotated[str, Parameter(group=INDEX)] = _setting_field("publish_url")
    check_url: Annotated[str, Parameter(group=INDEX)] = _setting_field("check_url")


class SelectionOptions(RemoteWorkspaceOptions):
    """Which workspace, and which of its packages."""

    package: Annotated[Members, Parameter(alias="-p")] = Field(
        default=(), description="Only these packages, and what they need (names, patterns or paths)"
    )
    group: Groups = Field(default=(), description="Only the packages of these groups")
    exclude: Members = Field(default=(), description="Not these packages")
    force_unchanged: Annotated[bool, Parameter(group=PACKAGES)] = _setting_field("force_unchanged")
    prerelease: Annotated[Prerelease, Parameter(group=PACKAGES)] = _setting_field("prerelease")

    def selection(self) -> Selection:
        """Return which packages were asked for."""
        return Selection(package=self.package, group=self.group, exclude=self.exclude)


class Options(SelectionOptions, IndexOptions):
    """Which workspace, which of its packages, and which index."""

    offline: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Ask no index and no forge (for plan and --dry-run)"
    )


class InitOptions(WorkspaceOptions):
    """What `init` can be told."""

    check_url: Annotated[str, Parameter(group=INDEX)] = _setting_field("check_url")
    offline: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Ask no index; what is only there is not found then"
    )

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here and so win over those in the file."""
        return {"check_url": self.check_url} if self.check_url else {}


class CheckOptions(RemoteWorkspaceOptions):
    """What `check` can be told."""

    package: Annotated[
        tuple[str, ...], Parameter(group=PACKAGES, alias="-p", negative="", completer=complete_packages)
    ] = Field(default=(), description="Only findings about these packages (names, patterns or paths)")
    select: Checks = Field(default=(), description="Make only these checks; wins over `check_select`")
    ignore: Checks = Field(default=(), description="Leave these checks out, besides those in `check_ignore`")


class PlanOptions(Options):
    """What `plan` can be told."""


class PrepareOptions(Options):
    """What `prepare` can be told."""

    dry_run: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Say what the pull request would release, make and change nothing"
    )
    release_branch: Annotated[str, Parameter(group=RELEASE_GROUP)] = _setting_field("release_branch")
    audit: Annotated[bool, Parameter(group=RELEASE_GROUP, negative=("--no-audit", "--skip-audit"))] = _setting_field(
        "audit"
    )


class PublishOptions(Options):
    """What `publish` can be told; what an option switches off is a parameter that is true by default."""

    dry_run: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Plan and check, print what would be run, change nothing"
    )
    rehearse: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Do all of it, against a throwaway index and a throwaway clone"
    )
    approve: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Wait, before anything is begun, until somebody approves the plan in Prefect's UI or by `approve`",
    )
    resume_from_registry: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Go on with a release whose record is lost: what is on the index with equal bytes is done",
    )
    manifest: Annotated[Path, Parameter(group=RUN_MODE, show_default=False)] = Field(
        default=Path(),
        description="Carry out exactly the release of this manifest.json, with the files beside it; or of the draft "
        "that has this tag. With --resume-from-registry, it is that of a kept copy of the record",
    )
    stage_only: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Build and verify all of it and prove that it fits, then stop: nothing is tagged, pushed or "
        "uploaded, and no credentials are needed",
    )
    output: Annotated[Path, Parameter(group=RUN_MODE, show_default=False)] = Field(
        default=Path(),
        description="With --stage-only: the directory for the files, their SHA256SUMS and a manifest.json for "
        "`publish --manifest`",
    )
    version_only: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False,
        description="Write and commit versions, changelogs and uv.lock, bring your branch to that commit, then stop",
    )
    publish_from: Annotated[Literal["local", "ci"], Parameter(group=RELEASE_GROUP)] = _setting_field("publish_from")
    concurrency: Annotated[int, Parameter(group=RELEASE_GROUP, alias="-j")] = _setting_field("concurrency")
    rate_limit: Annotated[int, Parameter(group=RELEASE_GROUP)] = _setting_field("rate_limit")
    fail_fast: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("fail_fast")
    tag: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("tag")
    push: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("push")
    release: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("release")
    smoke_test: Annotated[bool, Parameter(group=RELEASE_GROUP, negative=("--no-smoke-test", "--skip-smoke-test"))] = (
        _setting_field("smoke_test")
    )
    audit: Annotated[bool, Parameter(group=RELEASE_GROUP, negative=("--no-audit", "--skip-audit"))] = _setting_field(
        "audit"
    )
    strict_audit: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("strict_audit")
    attestations: Annotated[bool, Parameter(group=RELEASE_GROUP)] = _setting_field("attestations")

    @property
    def recovery_manifest(self) -> Path | None:
        """The manifest of the record that was kept, if one was given."""
        return self.manifest if self.manifest.name and self.resume_from_registry else None

    @property
    def staged_manifest(self) -> Path | None:
        """The manifest of the release to carry out, if one was given."""
        return self.manifest if self.manifest.name and not self.resume_from_registry else None

    @property
    def stops_before_publishing(self) -> bool:
        """Whether it ends before anything is public: so nobody outside is asked for the right to it."""
        return self.stage_only or self.version_only

    def check_conflicts(self) -> None:
        """Raise Refusal RK-USAGE for options that do not go together."""
        modes = [name for name in ("rehearse", "stage_only", "version_only") if getattr(self, name)]
        choices = ("package", "group", "exclude", "prerelease", "force_unchanged")
        selected = [name for name in choices if name in self.model_fields_set]
        conflict = ""
        if self.offline and not self.dry_run:
            conflict = "--offline goes with --dry-run"
        elif self.output.name and not self.stage_only:
            conflict = "--output goes with --stage-only"
        elif "output" in self.model_fields_set and not self.output.name:
            conflict = "--output has to be a directory of its own"
        elif len(modes) > 1:
            conflict = f"one of {' and '.join(map(_flag, modes))}"
        elif self.staged_manifest and modes not in ([], ["stage_only"]):
            conflict = f"--manifest does not go with {_flag(modes[0])}"
        elif self.staged_manifest and selected:
            conflict = f"what is released is what the manifest says, so {_flag(selected[0])} does not go with it"
        if conflict:
            raise Refusal(ErrorCode.USAGE, conflict)


def hands_off_to_ci(options: PublishOptions, settings: Settings) -> bool:
    """Tell whether `publish` is to hand a merged release on to a workflow, and not to upload anything itself."""
    publishes_here = (
        options.rehearse or options.stops_before_publishing or options.resume_from_registry or options.manifest.name
    )
    return settings.publish_from == "ci" and not publishes_here


class StatusOptions(IndexOptions):
    """What `status` can be told."""

    offline: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Ask nobody outside: no remote, no index and no forge"
    )


class RollbackOptions(IndexOptions):
    """What `rollback` can be told."""

    release: Annotated[str, Parameter(parse=False)] = Field(
        default="", description="The release, by its id or title; none: the one that has not ended"
    )
    dry_run: Annotated[bool, Parameter(group=RUN_MODE)] = Field(
        default=False, description="Show what would be undone, change nothing"
    )
    push: Annotated[bool, Parameter(group=RELEASE_GROUP)] = Field(
        default=True, description="Delete tags on the remote too; without it the remote is left alone"
    )
    all_tags: Annotated[bool, Parameter(group=RELEASE_GROUP)] = Field(
        default=False, description="Delete the tags of packages that are on the index too"
    )

    @property
    def names_index(self) -> bool:
        """Whether an index is named here, to be asked instead of those on record."""
        return bool({"index", "publish_url", "check_url"} & self.overrides().keys())

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here; `release` names one, where the key says whether to make one."""
        return {name: value for name, value in super().overrides().items() if name != "release"}


def as_flow_parameters(model: type[M]) -> Callable[[Callable[[M], Awaitable[R]]], Callable[..., Awaitable[R]]]:
    """Turn a function of an options model into one whose parameters are the model's fields.

    So `-p dry_run=true` works, and Prefect's form shows each option with its title, description and default. Prefect
    passes all parameters, given or not: so one that is a setting too is None by default, which means "as configured",
    and any other value wins over the file, also its default.
    """

    def decorate(function: Callable[[M], Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        fields = model.model_fields
        defaults = {name: _default(name, field) for name, field in fields.items()}

        @wraps(function)
        async def call(**parameters: Any) -> R:  # noqa: ANN401  as many types as there are options
            ensure_log_level()
            changed = {name: value for name, value in parameters.items() if value != defaults[name]}
            return await function(model(**changed))

        signature = inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=defaults[name],
                    annotation=_flow_annotation(name, field),
                )
                for name, field in fields.items()
            ]
        )
        setattr(call, "__signature__", signature)  # noqa: B010  read by inspect.signature; the type does not know it
        call.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        # Prefect reads the descriptions here, and nowhere else.
        parameter_lines = (f"    {name}: {_description(name, field)}" for name, field in fields.items())
        call.__doc__ = "\n".join([f"{inspect.getdoc(function)}\n\nArgs:", *parameter_lines])
        return call

    return decorate


def flow_parameters(options: WorkspaceOptions) -> dict[str, Any]:
    """Return the parameters of a flow that is to do what *options* say: those alone that were given."""
    return options.model_dump(exclude_unset=True)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class _WithoutNone:
    """In the form, a parameter that may be None looks like any other of its type, and is empty."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json_schema = handler(schema)
        return json_schema["anyOf"][0] if "anyOf" in json_schema else json_schema


def is_setting(name: str) -> bool:
    """Tell whether the option *name* is a key of [tool.releasekit] as well."""
    return name in Settings.model_fields and name != "exclude"  # that one is added to the file's


def _default(name: str, field: FieldInfo) -> Any:  # noqa: ANN401  as many types as there are options
    return None if is_setting(name) else field.get_default(call_default_factory=True)


def _description(name: str, field: FieldInfo) -> str:
    return f"{field.description} (empty: as configured)" if is_setting(name) else str(field.description)


def _flow_annotation(name: str, field: FieldInfo) -> Any:  # noqa: ANN401  types as values
    """Return the type of *field* with its bounds, and its title in the form."""
    annotated: Any = Annotated
    kind: Any = annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    title = Field(json_schema_extra={"title": name.replace("_", " ").capitalize()})
    return annotated[kind | None, _WithoutNone(), title] if is_setting(name) else annotated[kind, title]
