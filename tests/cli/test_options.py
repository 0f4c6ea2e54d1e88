"""One model is the flags, the flow's parameters and the form in Prefect's UI."""

from __future__ import annotations

import asyncio
import inspect
from itertools import groupby
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from pydantic import Field

from releasekit.cli.app import app
from releasekit.core.config.settings import Settings
from releasekit.core.errors import Refusal
from releasekit.options import (
    Options,
    PlanOptions,
    PrepareOptions,
    PublishOptions,
    RollbackOptions,
    WorkspaceOptions,
    as_flow_parameters,
    flow_parameters,
)
from tasks.read_workspace import read_workspace
from tests.support.world import make_world

if TYPE_CHECKING:
    from pathlib import Path

    from prefect import Flow

MODELS: dict[str, type[WorkspaceOptions]] = {
    "publish": PublishOptions,
    "prepare": PrepareOptions,
    "plan": PlanOptions,
    "rollback": RollbackOptions,
}


HELP_GROUPS = ["Workspace", "Package selection", "Index", "Release", "This run"]


@pytest.fixture
def flows(prefect_api: str) -> dict[str, Flow[..., Any]]:
    """Import the flows, after Prefect's server is known."""
    from flows.plan import plan
    from flows.prepare import prepare
    from flows.publish import publish
    from flows.rollback import rollback

    assert prefect_api
    found: dict[str, Any] = {
        "publish": publish,
        "prepare": prepare,
        "plan": plan,
        "rollback": rollback,
    }
    return found


class Small(Options):
    """A few options more."""

    loud: bool = Field(default=True, description="Say it loudly")
    times: int = Field(3, ge=1, description="How often")


@as_flow_parameters(Small)
async def echo(options: Small) -> Small:
    """Return what it is told."""
    return options


def test_flow_parameters_mirror_the_model() -> None:
    """The parameters are the model's fields: keyword only, by group, with their types, defaults and bounds."""
    parameters = inspect.signature(echo).parameters

    assert sorted(parameters) == sorted(Small.model_fields)
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert (parameters["loud"].default, parameters["workspace"].default) == (True, ".")
    assert parameters["index"].default is None, "as configured"
    assert get_type_hints(echo)["times"] is int
    assert echo.__doc__
    assert echo.__doc__.startswith("Return what it is told.\n")
    assert "    times: How often" in echo.__doc__.splitlines()


def told(**parameters: Any) -> Small:
    """Call a flat function as Prefect does, with every parameter, given or not; returns what it is told."""
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(echo).parameters.items()
    }

    async def call() -> Small:
        return await echo(**{**defaults, **parameters})

    return asyncio.run(call())


def test_absent_parameter_keeps_file_setting() -> None:
    """A setting that is not given leaves the word to the file; one that is given wins, also as its own default."""
    assert told(loud=False).overrides() == {}
    assert told(loud=False).loud is False
    assert told(force_unchanged=False, index="").overrides() == {
        "force_unchanged": False,
        "index": "",
    }
    options = Small(loud=True, times=4, prerelease="none")
    assert flow_parameters(options) == {"loud": True, "times": 4, "prerelease": "none"}
    assert told(**flow_parameters(options)).overrides() == {"prerelease": "none"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ref": "main"}, "--ref needs the address"),
        ({"workspace": "https://ada:hunter2@host/p.git"}, "must not contain a password"),
        ({"workspace": "https://host/p.git", "git_token": "ghp_Ab1"}, "not the token itself"),
        ({"workspace": "git@host:p.git", "git_token": "TOKEN"}, "needs an https address"),
        (
            {"workspace": "ssh://host/p.git", "subdirectory": "../p"},
            "must be inside the repository",
        ),
        ({"workspace": "ssh://host/p.git", "ref": "--upload-pack=x"}, "cannot start with a hyphen"),
    ],
)
def test_invalid_source_is_refused(options: dict[str, str], said: str) -> None:
    """What does not fit together is refused before anything is cloned, and no secret is shown."""
    with pytest.raises(Refusal, match=said) as refused:
        Small.model_validate(options).source()

    assert "hunter2" not in str(refused.value)
    assert "ghp_Ab1" not in str(refused.value)


@pytest.mark.parametrize(
    ("workspace", "name"),
    [
        ("https://host/team/project.git", "project"),
        ("git@host:team/project", "project"),
        ("file:///srv/p%20q.git/", "p-20q"),
        ("C:/work", ""),
        ("../project", ""),
    ],
)
def test_clone_is_named_after_address(workspace: str, name: str) -> None:
    """Addresses are told from directories, and their clones have a readable name."""
    source = Options(workspace=workspace).source()

    assert (source.name if source else "") == name


@pytest.mark.parametrize(("name", "model"), MODELS.items(), ids=MODELS)
def test_parameters_are_the_options(
    flows: dict[str, Flow[..., Any]], name: str, model: type[Options]
) -> None:
    """Each option is a parameter of the flow with the same default, or none if it is a setting; no other is."""
    parameters = inspect.signature(flows[name].fn).parameters

    assert {parameter.name: parameter.default for parameter in parameters.values()} == {
        option: None
        if option in Settings.model_fields and option not in {"exclude", "bump"}
        else field.get_default(call_default_factory=True)
        for option, field in model.model_fields.items()
    }


@pytest.mark.parametrize(("name", "model"), MODELS.items(), ids=MODELS)
def test_prefect_form_describes_every_parameter(
    flows: dict[str, Flow[..., Any]], name: str, model: type[Options]
) -> None:
    """In Prefect's form parameters are grouped as in the help; each has a title, a type, its choices and a text."""
    from prefect.utilities.callables import parameter_schema

    for schema in (flows[name].parameters, parameter_schema(flows[name].fn)):
        assert not schema.required
        assert schema.properties.keys() == model.model_fields.keys()
        for option, shown in schema.properties.items():
            assert shown["description"].startswith(model.model_fields[option].description)
            assert (shown["title"].partition(": ")[2], bool(shown["type"])) == (
                option.replace("_", " "),
                True,
            )
        properties = sorted(schema.properties.values(), key=lambda shown: shown["position"])
        groups = [
            group for group, _ in groupby(shown["title"].partition(": ")[0] for shown in properties)
        ]
        assert groups == [group for group in HELP_GROUPS if group in groups]
        if "prerelease" in schema.properties:
            assert schema.properties["prerelease"]["enum"] == [
                "stay",
                "none",
                "dev",
                "a",
                "b",
                "rc",
                "alpha",
                "beta",
            ]


def test_flow_refuses_numbers_outside_bounds(flows: dict[str, Flow[..., Any]]) -> None:
    """A number out of its bounds is refused before the flow begins, and the form shows the bounds."""
    from prefect.exceptions import ParameterTypeError

    publish = flows["publish"]
    assert publish.parameters.properties["concurrency"]["minimum"] == 1
    with pytest.raises(ParameterTypeError, match="concurrency"):
        publish.validate_parameters({"concurrency": 0})


def test_text_becomes_values(flows: dict[str, Flow[..., Any]]) -> None:
    """`-p dry_run=true` and its like, which come as text, become what they say."""
    from prefect.exceptions import ParameterTypeError

    publish = flows["publish"]
    texts = {
        "dry_run": "true",
        "tag": "false",
        "concurrency": "2",
        "workspace": "/somewhere",
        "package": ["core"],
    }

    values = publish.validate_parameters(texts)

    assert {name: values[name] for name in texts} == {
        "dry_run": True, "tag": False, "concurrency": 2, "workspace": "/somewhere", "package": ("core",),
    }  # fmt: skip
    with pytest.raises(ParameterTypeError, match="dry_run"):
        publish.validate_parameters({"dry_run": "perhaps"})


@pytest.mark.parametrize("model", [PlanOptions, PublishOptions])
def test_settings_and_options_agree(model: type[Options]) -> None:
    """An option that is a key too has its default and its description; all of them have a description."""
    for name, field in model.model_fields.items():
        assert field.description, name
        key = Settings.model_fields.get(name)
        if key and name not in {"exclude", "bump"}:  # options of another meaning, and they say so
            assert (field.default, field.description, field.annotation) == (
                key.default, key.description, key.annotation,
            )  # fmt: skip


def test_only_given_flags_are_overrides() -> None:
    """Only the flags that stand on the command line count as given, whatever their values are."""
    _, bound, _ = app.parse_args(
        ["publish", "--tag", "--concurrency", "5"], exit_on_error=False, print_error=False
    )

    options: PublishOptions = bound.arguments["options"]
    assert options == PublishOptions()
    assert options.overrides() == {"tag": True, "concurrency": 5}


def test_explicit_options_win(tmp_path: Path) -> None:
    """An option that was given wins over the file, also as its default; one that was not leaves the file alone."""
    world = make_world(tmp_path, "core; lone")
    table = 'tag = false\nconcurrency = 2\nremote = "upstream"\nexclude = ["lone"]'
    text = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": f"{text}\n[tool.releasekit]\n{table}\n"})

    def settings(options: Options) -> Settings:
        return read_workspace(world.root, options.overrides()).settings

    assert settings(PublishOptions()).concurrency == 2
    found = settings(PublishOptions(tag=True, concurrency=5))
    assert (found.tag, found.concurrency, found.remote) == (True, 5, "upstream")


def test_exclude_option_adds_to_file(tmp_path: Path) -> None:
    """What is excluded by option is excluded besides what the file excludes."""
    world = make_world(tmp_path, "core; lone")
    text = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": f'{text}\n[tool.releasekit]\nexclude = ["lone"]\n'})
    options = PublishOptions(exclude=("core",))

    project = read_workspace(world.root, options.overrides())

    assert project.settings.exclude == ("lone",)
    assert options.selection().exclude == ("core",)
    assert [member.name for member in project.workspace if member.publishable] == ["core"]
