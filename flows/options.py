"""The options of each command: one typed model is the flags, the flow's parameters and the form in Prefect's UI."""

from __future__ import annotations

import inspect
from copy import copy
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec, TypeVar

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from flows.logs import let_through
from tasks.core.errors import Code, Refusal
from tasks.core.settings import Prerelease, Selection, Settings
from tasks.core.source import Source, is_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

R = TypeVar("R")
M = TypeVar("M", bound="Place")
P = ParamSpec("P")
GraphFormat = Literal["levels", "json", "dot", "mermaid", "ascii", "d2", "csv", "svg"]


def _key(name: str) -> Any:  # noqa: ANN401  pydantic's Field returns Any too, so that it may stand as a default
    """Return the default and description of the setting *name*: they are written in one place."""
    return copy(Settings.model_fields[name])


class Place(BaseModel):
    """Which workspace."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    workspace: str = Field(default=".", description="A directory in the uv workspace")

    @property
    def directory(self) -> Path:
        """The directory, on this machine; raises Refusal RK-USAGE for the address of a repository."""
        if is_address(self.workspace):
            raise Refusal(Code.USAGE, "this needs a directory, not the address of a repository", self.workspace)
        return Path(self.workspace)


class Anywhere(Place):
    """Which workspace, here or in a repository elsewhere."""

    workspace: str = Field(
        default=".", description="A directory in the uv workspace, or the address of a git repository to clone"
    )
    ref: str = Field(default="", description="With an address: the branch, tag or commit; none: the default branch")
    subdirectory: str = Field(default="", description="With an address: where in the repository the workspace lies")
    git_token: str = Field(
        default="",
        description="With an address: the Prefect Secret block (lower case) or environment variable (upper case) "
        "that holds the token for it",
    )

    def source(self) -> Source | None:
        """Return what is to be cloned, None for a directory.

        Raises Refusal RK-USAGE if the options do not fit together, or the address holds a password.
        """
        given = [name for name in ("ref", "subdirectory", "git_token") if getattr(self, name)]
        if is_address(self.workspace):
            return Source(self.workspace, self.ref, self.subdirectory, self.git_token)
        if given:
            flag = f"--{given[0].replace('_', '-')}"
            raise Refusal(Code.USAGE, f"{flag} goes with the address of a repository", self.workspace)
        return None


class Where(Anywhere):
    """Which workspace, and which index."""

    index: str = _key("index")
    publish_url: str = _key("publish_url")
    check_url: str = _key("check_url")

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here and so win over those in the file."""
        given = self.model_fields_set & Settings.model_fields.keys() - {"exclude"}  # that one is added, see selection
        return {name: getattr(self, name) for name in given}


class Options(Where):
    """Which workspace, and which of its packages."""

    package: Annotated[tuple[str, ...], Parameter(alias="-p", negative="")] = Field(
        default=(), description="Only these packages, and what they need (names, patterns or paths)"
    )
    group: Annotated[tuple[str, ...], Parameter(negative="")] = Field(
        default=(), description="Only the packages of these groups"
    )
    exclude: Annotated[tuple[str, ...], Parameter(negative="")] = Field(default=(), description="Not these packages")
    force_unchanged: Annotated[bool, Parameter(negative="")] = _key("force_unchanged")
    prerelease: Prerelease = _key("prerelease")
    offline: Annotated[bool, Parameter(negative="")] = Field(
        default=False, description="Ask no index and no forge (for plan and --dry-run)"
    )

    def selection(self) -> Selection:
        """Return which packages were asked for."""
        return Selection(package=self.package, group=self.group, exclude=self.exclude)


class InitOptions(Place):
    """What `init` can be told."""

    check_url: str = _key("check_url")
    offline: Annotated[bool, Parameter(negative="")] = Field(
        default=False, description="Ask no index; what is only there is not found then"
    )

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here and so win over those in the file."""
        return {"check_url": self.check_url} if self.check_url else {}


class CheckOptions(Anywhere):
    """What `check` can be told."""

    package: Annotated[tuple[str, ...], Parameter(alias="-p", negative="")] = Field(
        default=(), description="Only findings about these packages (names, patterns or paths)"
    )
    select: Annotated[tuple[str, ...], Parameter(negative="")] = Field(
        default=(), description="Make only these checks; wins over `check_select`"
    )
    ignore: Annotated[tuple[str, ...], Parameter(negative="")] = Field(
        default=(), description="Leave these checks out, besides those in `check_ignore`"
    )


class PlanOptions(Options):
    """What `plan` can be told."""


class PublishOptions(Options):
    """What `publish` can be told; what an option switches off is a parameter that is true by default."""

    dry_run: Annotated[bool, Parameter(negative="")] = Field(
        default=False, description="Plan and check, print what would be run, change nothing"
    )
    rehearse: Annotated[bool, Parameter(negative="")] = Field(
        default=False, description="Do all of it, against a throwaway index and a throwaway clone"
    )
    approve: Annotated[bool, Parameter(negative="")] = Field(
        default=False,
        description="Wait, before anything is begun, until somebody approves the plan in Prefect's UI or by `approve`",
    )
    resume_from_registry: Annotated[bool, Parameter(negative="")] = Field(
        default=False,
        description="Go on with a release whose record is lost: what is on the index with equal bytes is done",
    )
    manifest: Path = Field(
        default=Path(), description="The manifest.json of a kept copy of the record, for --resume-from-registry"
    )
    publish_from: Literal["local"] = _key("publish_from")
    concurrency: Annotated[int, Parameter(alias="-j")] = _key("concurrency")
    rate_limit: int = _key("rate_limit")
    fail_fast: Annotated[bool, Parameter(negative="")] = _key("fail_fast")
    tag: Annotated[bool, Parameter(negative="--no-tag")] = _key("tag")
    push: Annotated[bool, Parameter(negative="--no-push")] = _key("push")
    release: Annotated[bool, Parameter(negative="--no-release")] = _key("release")
    smoke_test: Annotated[bool, Parameter(negative="--skip-smoke-test")] = _key("smoke_test")
    audit: Annotated[bool, Parameter(negative="--skip-audit")] = _key("audit")
    strict_audit: Annotated[bool, Parameter(negative="")] = _key("strict_audit")

    @property
    def kept_record(self) -> Path | None:
        """The manifest of the record that was kept, if one was given."""
        return self.manifest if self.manifest.name else None


class RollbackOptions(Where):
    """What `rollback` can be told."""

    release: Annotated[str, Parameter(parse=False)] = Field(
        default="", description="The release, by its id or title; none: the one that has not ended, else the latest"
    )
    dry_run: Annotated[bool, Parameter(negative="")] = Field(
        default=False, description="Show what would be undone, change nothing"
    )
    push: Annotated[bool, Parameter(negative="--no-push")] = Field(
        default=True, description="Delete tags on the remote too; without it the remote is left alone"
    )

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given here; `release` names one, where the key says whether to make one."""
        return {name: value for name, value in super().overrides().items() if name != "release"}


def flat(model: type[M]) -> Callable[[Callable[[M], Awaitable[R]]], Callable[..., Awaitable[R]]]:
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
            let_through()
            told = {name: value for name, value in parameters.items() if value != defaults[name]}
            return await function(model(**told))

        signature = inspect.Signature(
            [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=_annotated(name, field)
                )
                for name, field in fields.items()
            ]
        )
        setattr(call, "__signature__", signature)  # noqa: B010  read by inspect.signature; the type does not know it
        call.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        # Prefect reads the descriptions here, and nowhere else.
        described = (f"    {name}: {_description(name, field)}" for name, field in fields.items())
        call.__doc__ = "\n".join([f"{inspect.getdoc(function)}\n\nArgs:", *described])
        return call

    return decorate


def parameters_of(options: Place) -> dict[str, Any]:
    """Return the parameters of a flow that is to do what *options* say: those alone that were given."""
    return options.model_dump(exclude_unset=True)


class _AsItself:
    """In the form, a parameter that may be None looks like any other of its type, and is empty."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(schema)
        return shown["anyOf"][0] if "anyOf" in shown else shown


def _is_setting(name: str) -> bool:
    return name in Settings.model_fields and name != "exclude"  # that one is added to the file's


def _default(name: str, field: FieldInfo) -> Any:  # noqa: ANN401  as many types as there are options
    return None if _is_setting(name) else field.get_default(call_default_factory=True)


def _description(name: str, field: FieldInfo) -> str:
    return f"{field.description} (empty: as configured)" if _is_setting(name) else str(field.description)


def _annotated(name: str, field: FieldInfo) -> Any:  # noqa: ANN401  types as values
    """Return the type of *field* with its bounds, and its title in the form."""
    annotated: Any = Annotated
    kind: Any = annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    title = Field(json_schema_extra={"title": name.replace("_", " ").capitalize()})
    return annotated[kind | None, _AsItself(), title] if _is_setting(name) else annotated[kind, title]
