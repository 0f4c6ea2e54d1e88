"""The CI files for a release by pull request, from the templates of releasekit."""

from __future__ import annotations

import json
import logging
import os
from importlib.resources import files
from typing import TYPE_CHECKING

from releasekit.core.adoption.setup_steps import token_variable
from releasekit.core.adoption.wheel_jobs import with_wheel_jobs
from releasekit.integrations.filesystem import read_text

if TYPE_CHECKING:
    from releasekit.core.adoption.setup_steps import CiSystem
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Repo
    from tasks.project import Project

log = logging.getLogger("releasekit")

_CI_DIRECTORIES = {"github": ".github/workflows", "gitlab": ".gitlab"}
_GITLAB_FILE = ".gitlab-ci.yml"
_LAST_VARIABLE = "          GITHUB_TOKEN: ${{ github.token }}\n"


def ci_texts(
    repo: Repo, project: Project, ci: CiSystem, target: Target
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of the CI files before and after, by path relative to the workspace.

    They are the templates of releasekit, for the branch that is checked out. If *target* needs a token, the step that
    publishes gets it from a secret. On GitLab, jobs see all variables. On GitHub, each platform has a job that builds
    its wheels.
    """
    wanted = _template_texts(ci)
    if ci == "gitlab":
        wanted |= _gitlab_file(repo, include=next(iter(wanted)))
    is_main = repo.branch in ("", "main")
    branch = "main" if is_main else json.dumps(repo.branch)
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for path, text in sorted(wanted.items()):
        target_file = repo.top / path
        display_path = os.path.relpath(target_file, project.root)
        before[display_path] = read_text(target_file) if target_file.is_file() else ""
        workflow = text.replace("branches: [main]", f"branches: [{branch}]")
        publishes = path.endswith("/publish.yml")
        if publishes:
            workflow = with_wheel_jobs(workflow, project.settings.platform_table)
        needs_token = publishes and not target.is_pypi
        after[display_path] = _with_token(workflow) if needs_token else workflow
    return before, after


def _template_texts(ci: CiSystem) -> dict[str, str]:
    """Return the texts of the templates, by path in the repository."""
    templates = files("releasekit") / "templates" / ci
    directory = _CI_DIRECTORIES[ci]
    return {
        f"{directory}/{template.name}": template.read_text() for template in templates.iterdir()
    }


def _gitlab_file(repo: Repo, include: str) -> dict[str, str]:
    """Return the main file of the pipeline, which includes the file *include*; empty if the repository has one."""
    path = repo.top / _GITLAB_FILE
    if not path.exists():
        return {_GITLAB_FILE: f"include:\n  - local: {include}\n"}
    if include not in read_text(path):
        log.info("add to %s: `include: [{local: %s}]`", _GITLAB_FILE, include)
    return {}


def _with_token(workflow: str) -> str:
    """Return *workflow* with the token for uploads among the variables of its last step, which publishes."""
    before, last_variable, after = workflow.rpartition(_LAST_VARIABLE)
    name = token_variable()
    return f"{before}{last_variable}          {name}: ${{{{ secrets.{name} }}}}\n{after}"
