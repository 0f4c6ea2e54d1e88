"""Read what a repository says about its earlier releases: tags with their evidence, the index, and commits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, product
from typing import TYPE_CHECKING

from releasekit.core.adoption.commit_types import NEWEST_COMMITS, count_types
from releasekit.core.adoption.findings import CommitTypes
from releasekit.core.adoption.form_evidence import (
    DatedTag,
    find_lead_forms,
    find_placeholders,
    tags_by_form,
    weigh_form,
)
from releasekit.core.adoption.internal_packages import ReleaseFacts, find_internal
from releasekit.core.adoption.outside_packages import (
    find_outside,
    member_patterns,
    outside_notes,
)
from releasekit.core.adoption.tag_forms import package_words, parse_tags, unclaimed_tags
from releasekit.core.adoption.tagging import choose_tagging
from releasekit.core.picking import drop, drop_empty, drop_named, names_of, true_keys
from releasekit.core.text import summarize
from releasekit.integrations.manifests import find_subdirectories, read_manifests
from releasekit.operations.take_over import NO_TAKE_OVER
from tasks import read_history
from tasks.read_declarations import DeclarationReader, member_directories

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.adoption.findings import InternalPackage
    from releasekit.core.adoption.form_evidence import FormEvidence, FormTags
    from releasekit.core.adoption.tagging import Tagging
    from releasekit.core.history.tag_evidence import Declarations
    from releasekit.core.history.tags import TagScheme
    from releasekit.core.workspace.declarations import Declaration
    from releasekit.integrations.git import Repo
    from releasekit.operations.take_over import TakeOver
    from tasks.project import Project

    PublishedVersions = Mapping[str, frozenset[Version]]

_NEWEST_RELEASES = 3
PUBLISH_KEYS = {"exclude", "packages"}
"""The keys that choose which packages are published. If one is set, `init` does not suggest `exclude`."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the repository says: the evidence for each form of tags, internal packages, and types of commits.

    *published* has the versions on the index, None if it was not asked. *placeholders* has the last release of each
    package that declares a placeholder as its version. *notes* are problems of the whole repository.
    *take_over* is the configuration of another release tool.
    """

    tags: Mapping[str, str]
    forms: Sequence[FormTags]
    declarations: Declarations
    published: PublishedVersions | None
    placeholders: Mapping[str, Version] = field(default_factory=dict[str, "Version"])
    internal: tuple[InternalPackage, ...] = ()
    commits: CommitTypes = field(default_factory=CommitTypes)
    notes: tuple[str, ...] = ()
    take_over: TakeOver = NO_TAKE_OVER

    def weigh(self, names: Iterable[str]) -> list[FormEvidence]:
        """Return the evidence for each form of tags in a workspace of packages *names*."""
        ordered = sorted(names)
        return [weigh_form(form, ordered, self.declarations) for form in self.forms]


def inspect_repository(
    repo: Repo, project: Project, published: PublishedVersions | None, notes: Sequence[str] = ()
) -> Inspection:
    """Read tags, what packages declared at them, and the newest commits. Changes nothing."""
    tags = repo.tags()
    names = project.workspace.publishable_names
    forms = _read_forms(repo, project, tags)
    forms += find_lead_forms(forms, names)
    reader = DeclarationReader(repo, project, member_directories(repo, project))
    readings = chain.from_iterable(form.readings(names) for form in forms)
    declared = reader.read(reading.place for reading in readings)
    declared_now = read_history.publishable_versions(project)
    placeholders = find_placeholders(declared, forms, declared_now, published or {})
    inspection = Inspection(
        tags=tags,
        forms=forms,
        declarations={**declared, **placeholders},
        published=published,
        placeholders=_later_versions(project, placeholders),
    )
    notes = (*notes, *_placeholder_notes(inspection.placeholders), *_find_outside(repo, project))
    evidence = inspection.weigh(names)
    is_configured = bool(project.settings_table.keys() & PUBLISH_KEYS)
    internal = () if is_configured else _find_internal(project, reader, evidence, tags, published)
    commits = count_types(project.release_commits.mark(repo.newest_commits(NEWEST_COMMITS)))
    return replace(inspection, internal=internal, commits=commits, notes=notes)


def _later_versions(
    project: Project, placeholders: Mapping[tuple[str, str], Declaration]
) -> dict[str, Version]:
    """Return the newest version in *placeholders* of each package that declares a lower one now."""
    later: dict[str, Version] = {}
    for (_, name), declaration in placeholders.items():
        now, newest = project.workspace[name].version, declaration.version
        if now and newest and newest > later.get(name, now):
            later[name] = newest
    return later


def _placeholder_notes(names: Collection[str]) -> Iterator[str]:
    if names:
        packages = summarize(sorted(names))
        yield (
            f"{packages}: only the tags have the versions of the releases, so something writes them before each build. "
            "releasekit commits each version to pyproject.toml; remove that step from your workflow"
        )


def _find_outside(repo: Repo, project: Project) -> Iterator[str]:
    """Yield a note about packages of the repository that are no members of the workspace."""
    outside = find_outside(read_manifests(repo, project.root), project.manifests)
    subdirectories = partial(find_subdirectories, project.root)
    return outside_notes(outside, member_patterns(outside, subdirectories))


def _read_forms(repo: Repo, project: Project, tags: Mapping[str, str]) -> list[FormTags]:
    """Return the tags by form, without umbrella tags and those of packages that have a tag format of their own."""
    umbrellas = read_history.umbrella_tags(repo, project, tags, in_any_format=True)
    package_tags = drop(tags, umbrellas)
    common = unclaimed_tags(package_tags, project.schemes.own)
    directories = {member.name: member.path for member in project.workspace}
    parsed = parse_tags(common, package_words(directories))
    times = repo.commit_times({tags[tag] for tag in parsed})
    merged = repo.merged_tags()
    declared = (member.version for member in project.workspace if member.version)
    limit = max(declared, default=None)
    dated: list[DatedTag] = []
    for tag, reading in parsed.items():
        commit = tags[tag]
        is_above = limit is not None and reading.version > limit
        is_ahead = is_above and tag not in merged
        dated.append(DatedTag(reading, commit, times[commit], is_ahead))
    return tags_by_form(dated)


def _find_internal(
    project: Project,
    reader: DeclarationReader,
    evidence: Sequence[FormEvidence],
    tags: Mapping[str, str],
    published: PublishedVersions | None,
) -> tuple[InternalPackage, ...]:
    """Return the packages that were never released and have a sign that they never will be."""
    on_index = set(true_keys(published or {}))
    tagged, sharing = _tagged_names(evidence)
    in_own_format = {
        name for name, scheme in project.schemes.own.items() if _reads_any(scheme, name, tags)
    }
    released = tagged | in_own_format
    if not on_index:  # the index knows better who shares a tag
        released |= sharing
    commits = _newest_releases(evidence)
    unreleased = drop(project.workspace.publishable_names, released)
    declarations = reader.read(product(commits, unreleased))
    present = Counter(
        name for (_, name), declaration in declarations.items() if declaration is not None
    )
    strange = _find_strange(project, declarations, published or {}) - released
    facts = ReleaseFacts(
        released=released | on_index - strange,
        shared=sharing,
        strange=strange,
        is_index_known=published is not None,
        releases=len(commits),
        present=present,
    )
    return find_internal(project.workspace, facts)


def _find_strange(
    project: Project, declarations: Declarations, published: PublishedVersions
) -> set[str]:
    """Return the packages that are *published*, but in none of the versions that they declare now or in *declarations*.

    Somebody else may own the project of that name. A version that a build makes is not declared, so it shows nothing.
    """
    versions = {
        name: {version} for name, version in read_history.publishable_versions(project).items()
    }
    for (_, name), declaration in drop_empty(declarations).items():
        versions[name].add(declaration.version)
    on_index = versions.keys() & set(true_keys(published))
    return {name for name in on_index if versions[name].isdisjoint({None, *published[name]})}


def _tagged_names(evidence: Iterable[FormEvidence]) -> tuple[set[str], set[str]]:
    """Return the packages that tags name, and those that declared the versions of tags without a name."""
    named: set[str] = set()
    sharing: set[str] = set()
    for weighed in evidence:
        if weighed.form.name:
            named |= {*weighed.owners, *weighed.opposed}
        elif weighed.is_supported:
            sharing |= weighed.owners.keys()
    return named, sharing


def _reads_any(scheme: TagScheme, name: str, tags: Iterable[str]) -> bool:
    """Return whether *scheme* reads one of *tags* as a release of the package *name*."""
    readings = chain.from_iterable(map(scheme.readings, tags))
    return any(named in ("", name) for named, _ in readings)


def _newest_releases(evidence: Iterable[FormEvidence]) -> list[str]:
    """Return the commits of the newest releases."""
    releases = [tag for weighed in evidence if weighed.is_supported for tag in weighed.form.recent]
    newest_first = sorted(releases, key=lambda tag: tag.age_key, reverse=True)
    commits = dict.fromkeys(tag.commit for tag in newest_first)
    return list(commits)[:_NEWEST_RELEASES]


def decide_tagging(
    project: Project, inspection: Inspection, excluded: Iterable[str]
) -> tuple[Tagging, list[FormEvidence]]:
    """Return the tag formats for all packages but those *excluded*, and the evidence for each form."""
    left_out = {*excluded, *project.schemes.own}
    members = [
        replace(member, version=inspection.placeholders.get(member.name, member.version))
        for member in drop_named(project.workspace.publishable, left_out)
    ]
    evidence = inspection.weigh(names_of(members))
    is_configured = "tag_format" in project.settings_table
    tagging = choose_tagging(evidence, members, project.settings, is_configured=is_configured)
    return tagging, evidence
