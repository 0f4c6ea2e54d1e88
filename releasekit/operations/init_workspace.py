"""Taking over a workspace: find what was released before, and write what is missing, if told to."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from releasekit.core.adoption import (
    Adoption,
    Key,
    Row,
    choose_pins,
    configured_text,
    groups_of,
    highest,
    in_common,
    keys_of,
    missing_tags,
    samples_of,
    spoken,
    tagging_of,
)
from releasekit.core.workspace.pins import changed
from releasekit.integrations.filesystem import make_directory, read_text, replace_text
from releasekit.integrations.git import Repo
from releasekit.operations.confirmation import Proposal
from releasekit.operations.draft import open_index
from tasks import ask_index, read_history, read_workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.version import Version

    from releasekit.core.adoption import Found, Spoken, Tagging
    from releasekit.core.history.tags import Baseline
    from releasekit.core.workspace.workspace import Member
    from releasekit.operations.confirmation import Confirmation
    from releasekit.options import InitOptions
    from tasks.project import Project

    Published = Mapping[str, frozenset[Version]]

log = logging.getLogger("releasekit")

ROOT = "pyproject.toml"
HOME = {"exclude", "packages"}
"""The keys that say who is never published: where one is there, somebody has thought about it."""


async def adopt(
    options: InitOptions, confirmation: Confirmation, *, tag_baselines: bool, ci: Ci | None = None
) -> Adoption:
    """Find earlier releases and what is missing, show it, and write it after a yes; return all of it."""
    project = read_workspace.read_workspace(options.directory, options.overrides())
    repo = Repo(project.root)
    found, texts = look(repo, project, None if options.offline else await _published(project))
    if ci:
        workflows, diffs = pipelines(repo, project, ci)
        found, texts = found.model_copy(update={"diffs": {**found.diffs, **diffs}}), {**texts, **workflows}
    await confirmation.show(found)
    tags = found.missing if tag_baselines else {}
    if not (texts or tags):
        log.info("nothing is to be written")
        return found
    names = _enumerate([*texts, *(f"the tag {tag}" for tag in tags)])
    answer = await confirmation.ask(Proposal(f"Write {names}?", found))
    if not answer.accepted:
        if not answer.asked:
            log.info("nothing was written; --yes writes %s", names)
        return found
    if tags:
        repo.committer()  # refuses here what git would refuse when half is done
    for path, text in texts.items():
        make_directory((project.root / path).parent)
        replace_text(project.root / path, text)
    for tag, commit in tags.items():
        repo.make_tag(tag, commit)
    on = "; commit that, then see what `releasekit check` finds" if texts else ""
    log.info("written: %s%s", ", ".join([*texts, *tags]), on)
    return found.model_copy(update={"written": bool(texts), "made": tuple(tags)})


Ci = Literal["github", "gitlab"]
_PLACES = {"github": ".github/workflows", "gitlab": ".gitlab"}
_GITLAB = ".gitlab-ci.yml"


def pipelines(repo: Repo, project: Project, ci: Ci) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files of a CI that releases by pull request, and their differences, by path from the workspace.

    They are those in deployments/, for the branch that is checked out. What is there already is brought up to date.
    """
    wanted = {
        f"{_PLACES[ci]}/{each.name}": each.read_text() for each in (files("releasekit") / "templates" / ci).iterdir()
    }
    if ci == "gitlab":
        include = next(iter(wanted))
        if not (repo.top / _GITLAB).exists():
            wanted[_GITLAB] = f"include:\n  - local: {include}\n"
        elif include not in read_text(repo.top / _GITLAB):
            log.info("%s has to include it: `include: [{local: %s}]`", _GITLAB, include)
    texts: dict[str, str] = {}
    diffs: dict[str, str] = {}
    branch = json.dumps(repo.branch) if repo.branch not in ("", "main") else "main"
    for path, text in sorted(wanted.items()):
        place = repo.top / path
        before = read_text(place) if place.is_file() else ""
        after = text.replace("branches: [main]", f"branches: [{branch}]")
        shown = os.path.relpath(place, project.root)
        if diff := changed(before, after, shown):
            texts[shown], diffs[shown] = after, diff
    return texts, diffs


def look(repo: Repo, project: Project, published: Published | None) -> tuple[Adoption, dict[str, str]]:
    """Return what there is of earlier releases and what is to be configured, and the new texts of files, by path.

    *published* is None if no index was asked. Changes nothing. Raises Refusal as `read_history` does, and
    RK-CONFIG-INVALID-VALUE.
    """
    tags = repo.tags()
    umbrellas = read_history.umbrella_tags(repo, project, tags, in_any_format=True)
    own = project.schemes.own
    common = in_common((tag for tag in tags if tag not in umbrellas), own)
    known = spoken(common, project.workspace.members, project.settings.label)
    tagging = _tagging(repo, project, tags, known)
    released = (
        {read.name for read in known.values()} | {*own} | {name for name, those in (published or {}).items() if those}
    )
    samples = [] if published is None or _table(project).keys() & HOME else samples_of(project.workspace, released)
    home = project.workspace.matching(samples)
    before, after = _texts(project, tagging, samples)
    configured = _as_configured(project, tagging)
    rows, missing = _rows(repo, configured, published, home)
    diffs = {path: diff for path, text in after.items() if (diff := changed(before[path], text, path))}
    found = Adoption(
        tag_format=tagging.patterns,
        label=tagging.label,
        packages=tuple(rows),
        unexplained=tuple(sorted(tag for tag in tags if not configured.schemes.readings(tag))),
        missing=missing,
        diffs=diffs,
    )
    return found, {path: after[path] for path in diffs}


def _table(project: Project) -> Mapping[str, Any]:
    return project.document.get("tool", {}).get("releasekit", {})


def _tagging(repo: Repo, project: Project, tags: Mapping[str, str], known: Mapping[str, Spoken]) -> Tagging:
    """Return what explains *tags*; what files declared at those that name no package tells whose they are."""
    members = [each for each in project.workspace if each.publishable and each.name not in project.schemes.own]
    nameless = {member.name: tags[tag] for member in members if (tag := highest(known, "", member.version))}
    at = read_history.versions_at(repo, project, nameless)
    return tagging_of(known, members, at, project.settings, configured="tag_format" in _table(project))


def _texts(project: Project, tagging: Tagging, samples: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of the files to be configured, by path, before and after."""
    workspace = project.workspace
    home = workspace.matching(samples)
    members = [member for member in workspace if member.publishable and member.name not in home]
    names = {member.name for member in members}
    pins = choose_pins(workspace, names)
    keys = {ROOT: keys_of(_table(project), tagging, members, groups_of(workspace, names), samples, pins)}
    if tagging.alone:
        path = f"{workspace[tagging.alone[0]].path}/{ROOT}"
        keys[path] = [Key("tag_format", tagging.alone[1], "Its tags name no package.")]
    before = {path: read_text(project.root / path) for path in keys}
    return before, {path: configured_text(before[path], those, path) for path, those in keys.items()}


def _as_configured(project: Project, tagging: Tagging) -> Project:
    """Return *project* as if it had the tag formats that were found."""
    settings = project.settings.model_copy(update={"tag_format": tagging.patterns, "label": tagging.label})
    own = {name: dict(said) for name, said in project.own.items()}
    if tagging.alone:
        own.setdefault(tagging.alone[0], {})["tag_format"] = tagging.alone[1]
    return replace(project, settings=settings, own=own)


def _rows(
    repo: Repo, project: Project, published: Published | None, home: Collection[str]
) -> tuple[list[Row], dict[str, str]]:
    """Return what is known of each package's last release, and the tags that these lack, with their commits."""
    history = read_history.read_history(repo, project)
    on_index = ask_index.baselines_on_index(repo, project, history, published or {})
    rows: list[Row] = []
    missing: list[tuple[str, str]] = []
    for member in project.workspace:
        name = member.name
        if not member.publishable or name in home:
            rows.append(_row(member, "home"))
        elif tagged := history.baselines.get(name):
            rows.append(_tagged(member, tagged, (published or {}).get(name, ())))
        elif last := on_index.get(name):
            tag = project.schemes.of(name).tag(name, last.version)
            missing += [(tag, last.commit)] if last.commit else []
            note = f"no tag {tag}" if last.commit else f"no tag {tag}, and no commit here set {last.version}"
            rows.append(_row(member, "index", last, note))
        else:
            later = max((published or {}).get(name, ()), default=None)
            note = f"the index has {later}, above what is declared" if later else ""
            rows.append(_row(member, "unasked" if published is None else "first", note=note))
    return rows, missing_tags(missing)


def _tagged(member: Member, last: Baseline, published: Collection[Version]) -> Row:
    later = max(published, default=last.version)
    return _row(member, "tag", last, f"the index has {later}" if later > last.version else "")


def _row(member: Member, baseline: Found, last: Baseline | None = None, note: str = "") -> Row:
    row = Row(name=member.name, path=member.path, declared=member.version, baseline=baseline, note=note)
    found = {"version": last.version, "tag": last.tag, "commit": last.commit} if last else {}
    return row.model_copy(update=found)


async def _published(project: Project) -> Published:
    names = [member.name for member in project.workspace if member.publishable]
    async with open_index(project, read_workspace.target_of(project)) as index:
        return await ask_index.ask_index(index, names)


def _enumerate(things: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(things[:-1]), things[-1])))
