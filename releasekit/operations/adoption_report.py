"""The table of `init`: the last release of each package, its evidence, and what would be next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from releasekit.core.adoption.configuration import missing_tags
from releasekit.core.adoption.findings import AdoptedPackage
from releasekit.core.config.settings import Selection, Settings, merge_member_settings
from releasekit.core.errors import Refusal
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


def apply_keys(
    project: Project, keys: Iterable[MissingKey], tagging: Tagging, excluded: Collection[str]
) -> Project:
    """Return *project* as if the *keys* of the root were set, with the *tagging* and without packages *excluded*."""
    update = {key.name: key.value for key in keys if key.name != "exclude"}
    settings = Settings.model_validate(project.settings.model_dump() | update)
    formats = {name: {"tag_format": own} for name, own in tagging.formats_by_package.items()}
    published = frozenset(project.workspace.publishable_names).difference(excluded)
    return replace(
        project,
        settings=settings,
        member_settings=merge_member_settings(project.member_settings, formats),
        workspace=project.workspace.with_publishable(published),
    )


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
    known_versions = with_baselines(published or {}, manifest)
    untagged = ask_index.baselines_on_index(repo, project, history, known_versions)
    releases = _LastReleases(
        project, history.tags, {**history.baselines, **untagged}, published, manifest
    )
    rows = [releases.row_of(member) for member in project.workspace]
    missing = missing_tags((row.missing_tag, row.commit) for row in rows if row.missing_tag)
    reasons = _evidence_by_tag(evidence)
    next_versions, notes = _next_versions(repo, project, history, untagged, published)
    packages: list[AdoptedPackage] = []
    for row in rows:
        update = {
            "evidence": reasons.get(row.tag, ""),
            "next": next_versions.get(row.name),
            "missing_tag": row.missing_tag if row.missing_tag in missing else "",
        }
        packages.append(row.model_copy(update=update))
    return AdoptionRows(tuple(packages), missing, notes)


@dataclass(frozen=True, slots=True)
class _LastReleases:
    """The last releases by package that are *known*: from tags, from an index, or from a *manifest*.

    *published* has the versions on the index, None if it was not asked.
    """

    project: Project
    tags: Mapping[str, str]
    known: Mapping[str, Baseline]
    published: PublishedVersions | None
    manifest: Mapping[str, Version]

    def row_of(self, member: Member) -> AdoptedPackage:
        """Return the row of *member*, without evidence and next version."""
        name = member.name
        if not member.publishable:
            return _make_row(member, "home")
        last = self.known.get(name)
        if last and last.tag:
            row = self._tagged_row(member, last)
        elif last:
            row = self._untagged_row(member, last)
        else:
            baseline = "unasked" if self.published is None else "first"
            row = _unreleased_row(member, baseline, self._versions_on_index(name))
        return row.model_copy(update={"published": self._is_published(name)})

    def _versions_on_index(self, name: str) -> frozenset[Version]:
        return (self.published or {}).get(name, frozenset())

    def _is_published(self, name: str) -> bool | None:
        """Return whether the index has the package *name*, None if it was not asked."""
        if self.published is None:
            return None
        return bool(self._versions_on_index(name))

    def _tagged_row(self, member: Member, last: Baseline) -> AdoptedPackage:
        later = max(self._versions_on_index(member.name), default=last.version)
        note = f"the index has {later}" if later > last.version else ""
        if self._is_published(member.name) is False:
            note = "tagged, but not on the index; add it to `exclude` if it stays private"
        return _released_row(member, "tag", last, note)

    def _untagged_row(self, member: Member, last: Baseline) -> AdoptedPackage:
        name = member.name
        tag = self.project.schemes.of(name).tag(name, last.version)
        other_commit = self.tags.get(tag, "")
        notes = [
            f"{tag} is at {other_commit[:7]}, with another version"
            if other_commit
            else f"no tag {tag}"
        ]
        if last.since or not last.commit:
            notes.append(f", and no commit here sets the version {last.version}")
        if last.since:
            notes.append(f", so the changes count from {last.since}")
        is_missing_on_index = (
            self.published is not None and last.version not in self._versions_on_index(name)
        )
        if is_missing_on_index:
            notes.append("; not on the index: use --tag-baselines")
        source = "manifest" if self.manifest.get(name) == last.version else "index"
        row = _released_row(member, source, last, "".join(notes))
        can_be_tagged = last.commit and not (last.since or other_commit)
        return row.model_copy(update={"missing_tag": tag}) if can_be_tagged else row


def _evidence_by_tag(evidence: Iterable[FormEvidence]) -> dict[str, str]:
    """Return how many tags of its form support each of the newest tags."""
    reasons: dict[str, str] = {}
    for weighed in evidence:
        reason = f"{weighed.matching} of {weighed.recent} newest tags"
        tags = [tag.parsed.tag for tag in weighed.form.tags]
        reasons |= dict.fromkeys(tags, reason)
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


def _unreleased_row(
    member: Member, baseline: BaselineSource, published: Collection[Version]
) -> AdoptedPackage:
    later = max(published, default=None)
    note = f"the index has {later}, which is above the declared version" if later else ""
    return _make_row(member, baseline, note)


def _released_row(
    member: Member, baseline: BaselineSource, last: Baseline, note: str
) -> AdoptedPackage:
    row = _make_row(member, baseline, note)
    return row.model_copy(update={"version": last.version, "tag": last.tag, "commit": last.commit})


def _make_row(member: Member, baseline: BaselineSource, note: str = "") -> AdoptedPackage:
    return AdoptedPackage(
        name=member.name,
        path=member.path,
        declared=member.version,
        baseline=baseline,
        note=note,
    )
