"""`releasekit init`: detect earlier releases, and write the missing configuration after a confirmation."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from releasekit.core.adoption import (
    AdoptedPackage,
    Adoption,
    MissingKey,
    choose_pins,
    configured_text,
    detect_tag_formats,
    highest_tag,
    missing_keys,
    missing_tags,
    parse_tags,
    sample_patterns,
    suggest_groups,
    unclaimed_tags,
)
from releasekit.core.workspace.pins import text_diff
from releasekit.integrations.filesystem import make_directory, read_text, write_atomic
from releasekit.integrations.git import Repo
from releasekit.operations.confirmation import Proposal
from releasekit.operations.draft import open_index
from tasks import ask_index, read_history, read_workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.version import Version

    from releasekit.core.adoption import BaselineSource, ParsedTag, TagFormats
    from releasekit.core.history.tags import Baseline
    from releasekit.core.workspace.workspace import Member
    from releasekit.operations.confirmation import Confirmation
    from releasekit.options import InitOptions
    from tasks.project import Project

    PublishedVersions = Mapping[str, frozenset[Version]]

log = logging.getLogger("releasekit")

ROOT = "pyproject.toml"
PUBLISH_KEYS = {"exclude", "packages"}
"""The keys that choose which packages are published. If one is set, `init` does not suggest `exclude`."""


async def init_workspace(
    options: InitOptions, confirmation: Confirmation, *, tag_baselines: bool, ci: CiSystem | None = None
) -> Adoption:
    """Find earlier releases and missing configuration, show it, and write it after a yes; return everything found."""
    project = read_workspace.read_workspace(options.directory, options.overrides())
    repo = Repo(project.root)
    published = None if options.offline else await _read_published(project)
    adoption, texts = inspect_releases(repo, project, published)
    if ci:
        workflows, diffs = ci_files(repo, project, ci)
        adoption = adoption.model_copy(update={"diffs": {**adoption.diffs, **diffs}})
        texts = {**texts, **workflows}
    await confirmation.show(adoption)
    tags = adoption.missing if tag_baselines else {}
    if not (texts or tags):
        log.info("nothing to write")
        return adoption
    tag_names = [f"the tag {tag}" for tag in tags]
    names = _enumerate([*texts, *tag_names])
    answer = await confirmation.ask(Proposal(f"Write {names}?", adoption))
    if not answer.accepted:
        if not answer.was_asked:
            log.info("nothing was written; pass --yes to write %s", names)
        return adoption
    _write_files_and_tags(repo, project, texts, tags)
    next_step = "; commit it, then run `releasekit check`" if texts else ""
    log.info("written: %s%s", ", ".join([*texts, *tags]), next_step)
    return adoption.model_copy(update={"written": bool(texts), "made": tuple(tags)})


def _write_files_and_tags(repo: Repo, project: Project, texts: Mapping[str, str], tags: Mapping[str, str]) -> None:
    if tags:
        repo.committer()  # refuse a missing identity now, before anything is written
    for path, text in texts.items():
        file = project.root / path
        make_directory(file.parent)
        write_atomic(file, text)
    for tag, commit in tags.items():
        repo.make_tag(tag, commit)


CiSystem = Literal["github", "gitlab"]
_CI_DIRECTORIES = {"github": ".github/workflows", "gitlab": ".gitlab"}
_GITLAB_FILE = ".gitlab-ci.yml"


def ci_files(repo: Repo, project: Project, ci: CiSystem) -> tuple[dict[str, str], dict[str, str]]:
    """Return the CI files for a release by pull request: their texts and diffs, by path relative to the workspace.

    They are the templates of releasekit, for the branch that is checked out. Existing files are updated.
    """
    templates = files("releasekit") / "templates" / ci
    wanted = {f"{_CI_DIRECTORIES[ci]}/{template.name}": template.read_text() for template in templates.iterdir()}
    if ci == "gitlab":
        include = next(iter(wanted))
        if not (repo.top / _GITLAB_FILE).exists():
            wanted[_GITLAB_FILE] = f"include:\n  - local: {include}\n"
        elif include not in read_text(repo.top / _GITLAB_FILE):
            log.info("add to %s: `include: [{local: %s}]`", _GITLAB_FILE, include)
    branch = json.dumps(repo.branch) if repo.branch not in ("", "main") else "main"
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for path, text in sorted(wanted.items()):
        target = repo.top / path
        display_path = os.path.relpath(target, project.root)
        before[display_path] = read_text(target) if target.is_file() else ""
        after[display_path] = text.replace("branches: [main]", f"branches: [{branch}]")
    return _changed_texts(before, after)


def _changed_texts(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of *after* that differ from those *before*, and the diffs, both by path."""
    texts: dict[str, str] = {}
    diffs: dict[str, str] = {}
    for path, text in after.items():
        diff = text_diff(before[path], text, path)
        if diff:
            texts[path] = text
            diffs[path] = diff
    return texts, diffs


def inspect_releases(
    repo: Repo, project: Project, published: PublishedVersions | None
) -> tuple[Adoption, dict[str, str]]:
    """Return the detected releases with the suggested configuration, and the new texts of files by path.

    *published* is None if the index was not contacted. Changes nothing. Raises Refusal as `read_history` does, and
    RK-CONFIG-INVALID-VALUE.
    """
    tags = repo.tags()
    umbrellas = read_history.umbrella_tags(repo, project, tags, in_any_format=True)
    package_tags = (tag for tag in tags if tag not in umbrellas)
    common = unclaimed_tags(package_tags, project.schemes.own)
    readings = parse_tags(common, project.workspace.members, project.settings.label)
    tagging = _detect_tagging(repo, project, tags, readings)
    samples = _suggest_exclusions(project, readings, published)
    unpublished = project.workspace.matching_names(samples)
    before, after = _config_texts(project, tagging, samples)
    configured = _apply_tagging(project, tagging)
    rows, missing = _collect_rows(repo, configured, published, unpublished)
    unexplained = [tag for tag in tags if not configured.schemes.readings(tag)]
    texts, diffs = _changed_texts(before, after)
    adoption = Adoption(
        tag_format=tagging.patterns,
        label=tagging.label,
        packages=tuple(rows),
        unexplained=tuple(sorted(unexplained)),
        missing=missing,
        diffs=diffs,
    )
    return adoption, texts


def _suggest_exclusions(
    project: Project, readings: Mapping[str, ParsedTag], published: PublishedVersions | None
) -> list[str]:
    """Return patterns of members, such as samples, that were never released; none if that is not known."""
    is_configured = bool(_settings_table(project).keys() & PUBLISH_KEYS)
    if published is None or is_configured:
        return []
    tagged = {read.name for read in readings.values()}
    on_index = {name for name, versions in published.items() if versions}
    released = tagged | on_index | {*project.schemes.own}
    return sample_patterns(project.workspace, released)


def _settings_table(project: Project) -> Mapping[str, Any]:
    return project.document.get("tool", {}).get("releasekit", {})


def _detect_tagging(
    repo: Repo, project: Project, tags: Mapping[str, str], readings: Mapping[str, ParsedTag]
) -> TagFormats:
    """Return the formats that match *tags*. A tag without a name belongs to the package that had its version."""
    own = project.schemes.own
    members = [member for member in project.workspace.publishable if member.name not in own]
    nameless: dict[str, str] = {}
    for member in members:
        tag = highest_tag(readings, "", member.version)
        if tag:
            nameless[member.name] = tags[tag]
    declared = read_history.versions_at(repo, project, nameless)
    is_configured = "tag_format" in _settings_table(project)
    return detect_tag_formats(readings, members, declared, project.settings, configured=is_configured)


def _config_texts(project: Project, tagging: TagFormats, samples: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of the files to configure by path, before and after."""
    workspace = project.workspace
    unpublished = workspace.matching_names(samples)
    members = [member for member in workspace.publishable if member.name not in unpublished]
    names = {member.name for member in members}
    pins = choose_pins(workspace, names)
    groups = suggest_groups(workspace, names)
    root_keys = missing_keys(
        table=_settings_table(project),
        tagging=tagging,
        members=members,
        groups=groups,
        samples=samples,
        pins=pins,
    )
    keys = {ROOT: root_keys}
    if tagging.bare_owner:
        owner, tag_format = tagging.bare_owner
        path = f"{workspace[owner].path}/{ROOT}"
        keys[path] = [MissingKey("tag_format", tag_format, "Its tags contain no package name.")]
    before = {path: read_text(project.root / path) for path in keys}
    after = {path: configured_text(before[path], entries, path) for path, entries in keys.items()}
    return before, after


def _apply_tagging(project: Project, tagging: TagFormats) -> Project:
    """Return *project* as if the detected tag formats were configured."""
    settings = project.settings.model_copy(update={"tag_format": tagging.patterns, "label": tagging.label})
    own = {name: dict(overrides) for name, overrides in project.member_settings.items()}
    if tagging.bare_owner:
        owner, tag_format = tagging.bare_owner
        own.setdefault(owner, {})["tag_format"] = tag_format
    return replace(project, settings=settings, member_settings=own)


def _collect_rows(
    repo: Repo, project: Project, published: PublishedVersions | None, unpublished: Collection[str]
) -> tuple[list[AdoptedPackage], dict[str, str]]:
    """Return a row for the last release of each package, and the missing tags of these releases with their commits."""
    history = read_history.read_history(repo, project)
    versions_on_index = published or {}
    on_index = ask_index.baselines_on_index(repo, project, history, versions_on_index)
    rows: list[AdoptedPackage] = []
    missing: list[tuple[str, str]] = []
    for member in project.workspace:
        name = member.name
        versions = versions_on_index.get(name, frozenset())
        if not member.publishable or name in unpublished:
            rows.append(_make_row(member, "home"))
        elif name in history.baselines:
            rows.append(_tagged_row(member, history.baselines[name], versions))
        elif name in on_index:
            last = on_index[name]
            tag = project.schemes.of(name).tag(name, last.version)
            rows.append(_untagged_row(member, last, tag))
            if last.commit:
                missing.append((tag, last.commit))
        else:
            baseline = "unasked" if published is None else "first"
            rows.append(_unreleased_row(member, baseline, versions))
    return rows, missing_tags(missing)


def _untagged_row(member: Member, last: Baseline, tag: str) -> AdoptedPackage:
    note = f"no tag {tag}"
    if not last.commit:
        note += f", and no commit here sets the version {last.version}"
    return _make_row(member, "index", last, note)


def _unreleased_row(member: Member, baseline: BaselineSource, published: Collection[Version]) -> AdoptedPackage:
    later = max(published, default=None)
    note = f"the index has {later}, which is above the declared version" if later else ""
    return _make_row(member, baseline, note=note)


def _tagged_row(member: Member, last: Baseline, published: Collection[Version]) -> AdoptedPackage:
    later = max(published, default=last.version)
    note = f"the index has {later}" if later > last.version else ""
    return _make_row(member, "tag", last, note)


def _make_row(member: Member, baseline: BaselineSource, last: Baseline | None = None, note: str = "") -> AdoptedPackage:
    row = AdoptedPackage(name=member.name, path=member.path, declared=member.version, baseline=baseline, note=note)
    release_fields = {"version": last.version, "tag": last.tag, "commit": last.commit} if last else {}
    return row.model_copy(update=release_fields)


async def _read_published(project: Project) -> PublishedVersions:
    names = [member.name for member in project.workspace.publishable]
    async with open_index(project, read_workspace.target_of(project)) as index:
        return await ask_index.ask_index(index, names)


def _enumerate(things: list[str]) -> str:
    *first, last = things
    return f"{', '.join(first)} and {last}" if first else last
