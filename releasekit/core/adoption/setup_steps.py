"""The steps that you do by hand before the CI workflows can release, with the exact values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from releasekit.core.adoption.findings import SetupStep
from releasekit.core.picking import true_keys
from releasekit.core.text import join_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.core.history.web_links import RepositoryUrls
    from releasekit.core.release.target import Target

CiSystem = Literal["github", "gitlab"]
ENVIRONMENT = "pypi"
"""The environment of the job that uploads, in the workflows of releasekit."""
_UNKNOWN = "?"


def setup_steps(
    ci: CiSystem, urls: RepositoryUrls, target: Target, projects: Mapping[str, bool], workflow: str
) -> tuple[SetupStep, ...]:
    """Return what you set up by hand for *ci*, in order.

    *projects* are the packages to publish; the value says whether the index has the project. *workflow* is the file
    that publishes.
    """
    steps = _github_steps() if ci == "github" else _gitlab_steps()
    if target.is_pypi:
        return (*steps, *_publisher_steps(ci, urls, projects, workflow))
    return (*steps, _token_step(ci, target))


def _github_steps() -> list[SetupStep]:
    return [
        SetupStep(
            what="turn on `Allow GitHub Actions to create and approve pull requests`",
            where="Settings > Actions > General",
        ),
        SetupStep(
            what="create the environment; add reviewers if a person approves each upload",
            where="Settings > Environments",
            values={"name": ENVIRONMENT, "deployment tags": "*"},
        ),
        SetupStep(
            what="protect the tags, so that only people and workflows who release can create them",
            where="Settings > Rules > Rulesets",
            values={"target": "tags"},
        ),
    ]


def _gitlab_steps() -> list[SetupStep]:
    return [
        SetupStep(
            what="create a project access token with the scope `api`, and store it as a masked, protected variable",
            where="Settings > Access tokens, then Settings > CI/CD > Variables",
            values={"variable": "GITLAB_TOKEN", "environment scope": ENVIRONMENT},
        ),
        SetupStep(
            what="protect the tags; a protected variable is missing in the pipeline of other tags",
            where="Settings > Repository > Protected tags",
        ),
        SetupStep(
            what="protect the environment, and choose who may deploy to it",
            where="Settings > CI/CD > Protected environments",
            values={"name": ENVIRONMENT},
        ),
    ]


def _publisher_steps(
    ci: CiSystem, urls: RepositoryUrls, projects: Mapping[str, bool], workflow: str
) -> list[SetupStep]:
    """Return the trusted publishers to add: a pending one for a new project, ordinary ones for the others.

    PyPI takes one pending publisher at a time for a repository, workflow and environment. So several new projects need
    a token once.
    """
    parts = urls.repository.rpartition("/")
    owner, _, repository = (part or _UNKNOWN for part in parts)
    if ci == "github":
        values = {
            "owner": owner,
            "repository": repository,
            "workflow": workflow,
            "environment": ENVIRONMENT,
        }
    else:
        values = {
            "namespace": owner,
            "project": repository,
            "top-level pipeline file": ".gitlab-ci.yml",
            "environment": ENVIRONMENT,
        }
    new = tuple(name for name, exists in projects.items() if not exists)
    known = tuple(true_keys(projects))
    project_page = "PyPI: the project > Manage > Publishing"
    steps: list[SetupStep] = []
    if len(new) == 1:
        what = "add a pending trusted publisher for the new project"
        where = "PyPI: your account > Publishing"
        steps.append(SetupStep(what=what, where=where, values=values, packages=new))
    elif new:
        steps += [
            SetupStep(
                what="publish the new projects once from your machine, with a token of your account",
                where="PyPI: your account > Account settings > API tokens",
                values={"variable": token_variable()},
                packages=new,
            ),
            SetupStep(
                what="then add a trusted publisher to each new project, and delete the token",
                where=project_page,
                values=values,
                packages=new,
            ),
        ]
    if known:
        what = "add a trusted publisher to each project"
        steps.append(SetupStep(what=what, where=project_page, values=values, packages=known))
    return steps


def _token_step(ci: CiSystem, target: Target) -> SetupStep:
    """Return the secret for an index that takes a token: trusted publishing is for PyPI only."""
    places = {
        "github": f"Settings > Environments > {ENVIRONMENT} > Environment secrets",
        "gitlab": "Settings > CI/CD > Variables",
    }
    name = join_texts(" ", "the index", target.name)
    what = f"store a token for {name} as a secret, and pass it to the step that publishes"
    return SetupStep(what=what, where=places[ci], values={"secret": token_variable()})


def token_variable() -> str:
    """Return the variable from which uv reads the token for uploads."""
    return "UV_PUBLISH_TOKEN"


def describe_step(step: SetupStep, packages: Sequence[str] | None = None) -> str:
    """Return *step* as one line of a checklist; *packages* replaces the names of all its packages."""
    names = step.packages if packages is None else packages
    what = f"{step.what} ({', '.join(names)})" if names else step.what
    values = "".join(f"; {name}: {value}" for name, value in step.values.items())
    return f"{what} - {step.where}{values}"
