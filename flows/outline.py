"""What a release would run: its commands, for a dry run, made by the code that would run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.adapters.files import changelog_path
from tasks.core.links import web_of
from tasks.core.plan import RELEASE_COMMIT
from tasks.core.tags import in_pushes

if TYPE_CHECKING:
    from flows.options import PublishOptions
    from flows.planning import Due
    from tasks.adapters.repo import Repo
    from tasks.core.plan import Plan
    from tasks.project import Project


def outline(project: Project, repo: Repo, found: Due, options: PublishOptions) -> list[str]:
    """Return the commands of a release, in order; `RELEASE` stands for its directory."""
    plan, given = found.plan, found.given
    lines: list[str] = []
    if not plan.steps:
        return lines
    if not given:
        lines += _preparing(project, repo, plan)
    if not options.version_only and not (given and given.manifest.packages):
        lines += _building(project, plan)
    return lines if options.private else lines + _publishing(project, repo, plan)


TREE, DIST = Path("RELEASE/tree"), Path("RELEASE/dist")


def _preparing(project: Project, repo: Repo, plan: Plan) -> list[str]:
    locks = repo.is_tracked(project.root / "uv.lock")
    lines = [str(project.uv.lock_command(TREE, [step.name for step in plan.steps]))] if locks else []
    members = {name: project.root / project.workspace[name].path for name in plan.changelogs}
    new = [path for member in members.values() if not (path := changelog_path(member)).exists()]
    if new:
        lines.append(f"git add {' '.join(path.relative_to(repo.top).as_posix() for path in new)}")
    return [*lines, "git add --update", f"git commit --message '{RELEASE_COMMIT}{plan.title}'"]


def _building(project: Project, plan: Plan) -> list[str]:
    links = {step.name: [DIST / name for name in step.build_needs] for step in plan.steps}
    seconds = project.settings.build_timeout
    return [
        str(project.uv.build_command(TREE / step.path, DIST / step.name, links[step.name], {}, seconds))
        for step in plan.steps
    ]


def _publishing(project: Project, repo: Repo, plan: Plan) -> list[str]:
    from tasks.survey import target_of

    settings, target = project.settings, target_of(project)
    lines: list[str] = []
    for step in plan.steps:
        stem = f"{step.name.replace('-', '_')}-{step.version}"
        files = [DIST / step.name / f"{stem}{end}" for end in (".tar.gz", "-*.whl")]
        wanted = settings.attestations
        lines.append(str(project.uv.publish_command(files, target.publish_url, target.check_url, attestations=wanted)))
    tags = plan.all_tags if settings.tag else ()
    lines += [f"git tag --annotate {tag}" for tag in tags]
    if settings.push:
        pushes = [[f"refs/tags/{tag}" for tag in group] for group in in_pushes(tags, plan.tags)] or [[]]
        pushes[0].insert(0, f"COMMIT:refs/heads/{repo.branch}")
        lines += [f"git push --atomic {settings.remote} {' '.join(refs)}" for refs in pushes]
    web = web_of(repo.address(settings.remote), settings.forge)
    if settings.on_forge and web.base:
        lines.append(f"# the release {plan.title} on {web.base}")
    return lines
