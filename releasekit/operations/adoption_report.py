"""The table of `init`: the last release of each package, its evidence, and what would be next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from releasekit.core.adoption.configuration import missing_tags
from releasekit.core.adoption.findings import AdoptedPackage
from releasekit.core.config.settings import Selection, Settings
from releasekit.core.errors import Refusal
from releasekit.core.workspace.workspace import Workspace
from releasekit.operations.take_over import with_baselines
from tasks import ask_index, decide, read_history
from tasks.ask_index import IndexAnswers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.adoption.configuration import MissingKey
    from releasekit.core.adoption.findings import BaselineSource
    from releasekit.core.adoption.form_evidence import FormEvidence
    from releasekit.core.adoption.tagging import Tagging
    from releasekit.core.history.tags import Baseline
    from releasekit.core.workspace.workspace import Member
    from releasekit.integrations.git import Repo
    from releasekit.operations.inspect_repository import PublishedVersions
    from tasks.project import Project
    from tasks.read_history import History


@dataclass(frozen=True, slots=True)
class AdoptionRows:
    """The *packages* of the table, the *missing* tags of last releases with their commits, and *notes*."""

    packages: tuple[AdoptedPackage, ...]
    missing: Mapping[str, str]
    notes: tuple[str, ...] = ()


def apply_keys(project: Project, keys: Iterable[MissingKey], tagging: Tagging, excluded: Collection[str]) -> Project:
    """Return *project* as if the *keys* of the root were set, with the *tagging* and without packages *excluded*."""
    update = {key.name: key.value for key in keys if key.name != "exclude"}
    settings = Settings.model_validate(project.settings.model_dump() | update)
    own = {name: dict(overrides) for name, overrides in project.member_settings.items()}
    for name, formats in tagging.own.items():
        own.setdefault(name, {})["tag_format"] = formats
    members = [
        replace(member, publishable=member.publishable and member.name not in excluded) for member in project.workspace
    ]
    return replace(project, settings=settings, member_settings=own, workspace=Workspace.of(members))


def collect_rows(
    repo: Repo,
    project: Project,
    published: PublishedVersions | None,
    evidence: Sequence[FormEvidence],
    manifest: Mapping[str, Version],
) -> AdoptionRows:
    """Return a row for the last release of each package. *project* has the configuration that is proposed.

    *manifest* has the last releases that another tool names.

    Raises Refusal as `read_history` does.
    """
    history = read_history.read_history(repo, project)
    versions_on_index = published or {}
    known_versions = with_baselines(versions_on_index, manifest)
    untagged = ask_index.baselines_on_index(repo, project, history, known_versions)
    reasons = _evidence_by_tag(evidence)
    rows: list[AdoptedPackage] = []
    missing: list[tuple[str, str]] = []
    for member in project.workspace:
        name = member.name
        versions = versions_on_index.get(name, frozenset())
        if not member.publishable:
            row = _make_row(member, "home")
        elif name in untagged:
            last = untagged[name]
            tag = project.schemes.of(name).tag(name, last.version)
            source = "manifest" if manifest.get(name) == last.version else "index"
            row = _untagged_row(member, last, tag, source)
            if published is not None and last.version not in versions:
                row = row.model_copy(update={"note": f"{row.note}; not on the index: use --tag-baselines"})
            if last.commit and not last.since:
                missing.append((tag, last.commit))
                row = row.model_copy(update={"missing_tag": tag})
        elif name in history.baselines:
            row = _tagged_row(member, history.baselines[name], versions)
        else:
            baseline = "unasked" if published is None else "first"
            row = _unreleased_row(member, baseline, versions)
        is_published = bool(versions) if published is not None and member.publishable else None
        rows.append(row.model_copy(update={"evidence": reasons.get(row.tag, ""), "published": is_published}))
    next_versions, notes = _next_versions(repo, project, history, untagged, published)
    tags = missing_tags(missing)
    packages: list[AdoptedPackage] = []
    for row in rows:
        missing_tag = row.missing_tag if row.missing_tag in tags else ""
        packages.append(row.model_copy(update={"next": next_versions.get(row.name), "missing_tag": missing_tag}))
    return AdoptionRows(tuple(packages), tags, notes)


def _evidence_by_tag(evidence: Iterable[FormEvidence]) -> dict[str, str]:
    """Return how many tags of its form support each of the newest tags."""
    reasons: dict[str, str] = {}
    for weighed in evidence:
        for tag in weighed.form.tags:
            reasons[tag.parsed.tag] = f"{weighed.matching} of {weighed.recent} newest tags"
    return reasons


def _next_versions(
    repo: Repo,
    project: Project,
    history: History,
    on_index: Mapping[str, Baseline],
    published: PublishedVersions | None,
) -> tuple[dict[str, Version | None], tuple[str, ...]]:
    """Return the version that a plan would release of each package, and why there is no plan."""
    located = {name: last for name, last in on_index.items() if last.commit and last.begin.commit}
    lost = on_index.keys() - located.keys()  # a plan refuses these: nobody knows what changed since
    answers = IndexAnswers(published) if published is not None else None
    try:
        if located:
            history = read_history.read_history(repo, project, located)
        plan = decide.plan(project, repo, history, Selection(), answers)
    except Refusal as error:
        return {}, (f"no plan can be made yet: {error.code}: {error.message}",)
    return {step.name: step.next for step in plan.packages if step.name not in lost}, ()


def _untagged_row(member: Member, last: Baseline, tag: str, source: BaselineSource) -> AdoptedPackage:
    note = f"no tag {tag}"
    if last.since:
        note += f", and no commit here sets the version {last.version}, so the changes count from {last.since}"
    elif not last.commit:
        note += f", and no commit here sets the version {last.version}"
    return _make_row(member, source, last, note)


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
