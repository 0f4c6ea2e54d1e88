"""Files, git history and index, read into facts; nothing is changed."""

from __future__ import annotations

import asyncio
import logging
import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from releasekit.core.changelog.changelog import Since, contributors_of, entry_of, prereleases_between, section_of
from releasekit.core.changelog.note_entries import tale_of
from releasekit.core.config.settings import Selection, Settings, from_environment, own_settings, settings_of
from releasekit.core.errors import Code, Refusal, ReleaseError, nothing_changed
from releasekit.core.history.attribution import unreleased
from releasekit.core.history.commits import parse, parse_history
from releasekit.core.history.tags import baseline_on_index, baselines, umbrella_candidates, umbrellas_among
from releasekit.core.planning.make_plan import make_plan
from releasekit.core.planning.model import RELEASE_COMMIT, Plan, title_in
from releasekit.core.planning.plan_inputs import Facts, decisions
from releasekit.core.release.target import Target
from releasekit.core.toml_lines import located
from releasekit.core.version_numbers import version_of
from releasekit.core.workspace.workspace import workspace_of
from releasekit.integrations.filesystem import read_toml
from releasekit.integrations.process import mask
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.uv import find_uv
from releasekit.integrations.version_files import declared_version, declaring_place, read_requirement_files
from tasks.decorators import lazy_task, secret
from tasks.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.changelog.changelog import Entry, Section
    from releasekit.core.changelog.note_entries import Tale
    from releasekit.core.checks.facts import WorkspaceFacts
    from releasekit.core.history.attribution import Unreleased
    from releasekit.core.history.commits import Change
    from releasekit.core.history.tags import Baseline
    from releasekit.core.history.web_links import Web
    from releasekit.core.planning.model import Step
    from releasekit.core.versioning.groups import Decisions
    from releasekit.core.workspace.workspace import Declared, Member
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index

log = logging.getLogger("releasekit")


@dataclass(frozen=True, slots=True)
class History:
    """What git knows: the tags, the last release of each package, and what has come since.

    *changes* are those of each package since its last release, newest first; *unreleased* holds the shas of all of
    them. *since_stable* has, for packages whose last release is a prerelease, those since the last stable one, or
    since the first prerelease if nothing stable is out. *homes* are the directories in which each package has stood,
    from the top of the repository, *manifests* the shas of the commits that touch the pyproject.toml of a directory.
    *unheard* are changes that name a version, and touch no package that could have it. *umbrellas* are the tags of
    releases as a whole.
    """

    tags: Mapping[str, str]
    baselines: Mapping[str, Baseline]
    changes: Mapping[str, Sequence[Change]]
    unreleased: frozenset[str]
    since_stable: Mapping[str, Sequence[Change]]
    homes: Mapping[str, frozenset[str]]
    manifests: Mapping[str, Sequence[str]]
    unheard: Sequence[Change]
    umbrellas: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ToTell:
    """What there is to tell about one package's release: since when, and the *tag* that it gets, if any."""

    entry: Entry
    since: Since
    tag: str

    def section(self, web: Web) -> Section:
        """Return it as its changelog has it."""
        return section_of(self.entry, web, self.tag, self.since)


@lazy_task("read-workspace")
def read_workspace(path: Path, overrides: Mapping[str, Any]) -> Project:
    """Read the workspace that *path* lies in; *overrides* are settings that win over all others.

    Without them a setting is what its variable says (see `from_environment`), else the file, else it is the default.

    Raises Refusal with an RK-WORKSPACE-…, RK-CONFIG-…, RK-VERSION-INVALID or RK-UV-… code.
    """
    uv = find_uv()
    root, directories = uv.workspace(path)
    overrides = from_environment(os.environ) | dict(overrides)
    of_root, text = read_toml(root / "pyproject.toml", "pyproject.toml")
    settings = Settings.model_validate(settings_of(of_root, text).model_dump() | overrides)
    manifests: dict[str, tuple[Mapping[str, Any], str]] = {}
    declared: dict[str, Declared] = {}
    own: dict[str, dict[str, Any]] = {}
    for directory in directories:
        relative = os.path.relpath(directory, root).replace(os.sep, "/")
        document, text = read_toml(directory / "pyproject.toml", f"{relative}/pyproject.toml")
        manifests[relative] = document, text
        if relative != "." and (said := own_settings(document, f"{relative}/pyproject.toml", text)):
            own[relative] = {key: value for key, value in said.items() if key not in overrides}
        if found := declared_version(directory, document, relative):
            declared[relative] = found
    if settings.bump and "." not in manifests:
        what = "bump belongs to a package, and the root of the workspace is none"
        raise Refusal(Code.CONFIG_INVALID_VALUE, what, "pyproject.toml, [tool.releasekit]")
    try:
        documents = {path: document for path, (document, _) in manifests.items()}
        files = {path: read_requirement_files(root / path, document) for path, document in documents.items()}
        workspace = workspace_of(documents, settings, declared, files)
    except Refusal as error:
        raise _in_text(error, manifests) from None
    by_name = {member.name: own[member.path] for member in workspace if member.path in own}
    uv = replace(uv, secrets=Secrets(settings.secrets, secret))
    return Project(root, of_root, settings, workspace, uv, by_name, manifests)


def _in_text(error: Refusal, manifests: Mapping[str, tuple[Mapping[str, Any], str]]) -> Refusal:
    """Return *error* with the place of the words that it quotes."""
    quoted = error.excerpt
    if not quoted or quoted.line:
        return error
    _, text = manifests.get(quoted.file.removesuffix("pyproject.toml").rstrip("/") or ".", ({}, ""))
    return Refusal(error.code, error.what, error.where, error.hint, error.output, located(quoted, text))


@lazy_task("read-history")
def read_history(repo: Repo, project: Project, released: Mapping[str, Baseline] | None = None) -> History:
    """Read tags and commits, in one walk for all packages; *released* are last releases that have no tag.

    Raises Refusal RK-PREFLIGHT-SHALLOW-CLONE: where history is cut off, every version would be a guess; and
    RK-BASELINE-UNKNOWN if nobody knows what one of *released* was made from.
    """
    _refuse_unlocated(project, released or {})
    if repo.is_shallow():
        raise Refusal(Code.PREFLIGHT_SHALLOW_CLONE, "the clone is shallow", str(repo.top))
    tags = repo.tags()
    declared = {member.name: member.version for member in project.workspace if member.publishable}
    umbrellas = umbrella_tags(repo, project, tags)
    reachable = repo.merged_tags() if None in declared.values() else None
    last = baselines(tags, project.schemes, declared, reachable, umbrellas)
    last |= released or {}
    owners = {_in_repository(repo, project.root, member.path): member.name for member in project.workspace}
    found = _walk(repo, project, last, owners)
    homes = {name: {directory} for directory, name in owners.items()}
    if layouts := layouts_of(repo, found, owners, last):
        found = _walk(repo, project, last, owners, layouts)
        for directory, name in (place for layout in layouts.values() for place in layout.items()):
            homes[name].add(directory)
    shas = {sha for shas in found.touching.values() for sha in shas}
    parsed = {each.sha: each for each in parse_history([c for c in found.commits if c.sha in shas], found.commits)}
    changes = {name: tuple(parsed[sha] for sha in shas) for name, shas in found.touching.items()}
    since_stable = {name: changes[name] for name in found.fresh}
    for name, fresh in found.fresh.items():
        changes[name] = tuple(change for change in changes[name] if change.sha in fresh)
    unreleased_now = frozenset(change.sha for mine in changes.values() for change in mine)
    stood = {name: frozenset(directories) for name, directories in homes.items()}
    unheard = [change for change in map(parse, found.unheard) if change.release_as is not None]
    return History(tags, last, changes, unreleased_now, since_stable, stood, found.manifests, unheard, umbrellas)


def umbrella_tags(
    repo: Repo, project: Project, tags: Mapping[str, str], *, in_any_format: bool = False
) -> frozenset[str]:
    """Return those of *tags* (name to commit) that stand for a release of ours as a whole.

    Only those count that the tag formats read, unless *in_any_format*: the others are mistaken for nothing.
    """
    settings = project.settings
    candidates = umbrella_candidates(tags, settings.umbrella_tag_format, settings.label)
    if not in_any_format:
        candidates = {tag: commit for tag, commit in candidates.items() if project.schemes.readings(tag)}
    subjects = repo.subjects(candidates.values())
    return umbrellas_among(candidates, {sha: {*map(title_in, those)} for sha, those in subjects.items()})


@lazy_task("ask-index")
async def ask_index(index: Index, names: Sequence[str]) -> dict[str, frozenset[Version]]:
    """Return the versions of each of *names* that the index has; raises Refusal RK-INDEX-…."""
    with nothing_changed():
        found = await asyncio.gather(*(index.versions(name) for name in names))
    return dict(zip(names, found, strict=True))


@dataclass(frozen=True, slots=True)
class IndexAnswers:
    """What indexes have of packages, by name: *published* the index of the release, *elsewhere* the default one.

    *requires* is what releases require, by version, where that could be read. *spent* are versions that are published
    and have no tag anywhere: nobody can release them again.
    """

    published: Mapping[str, frozenset[Version]] = field(default_factory=dict[str, "frozenset[Version]"])
    elsewhere: Mapping[str, frozenset[Version]] = field(default_factory=dict[str, "frozenset[Version]"])
    requires: Mapping[str, Mapping[Version, tuple[Requirement, ...]]] = field(
        default_factory=dict[str, "Mapping[Version, tuple[Requirement, ...]]"]
    )
    spent: Mapping[str, frozenset[Version]] = field(default_factory=dict[str, "frozenset[Version]"])

    def has(self, name: str, version: Version) -> bool:
        """Return whether an index that was asked has this *version*."""
        return version in self.published.get(name, ()) or version in self.elsewhere.get(name, ())


@lazy_task("ask-requirements")
async def ask_requirements(
    indexes: Sequence[Index], releases: Sequence[tuple[str, Version]], known: IndexAnswers
) -> IndexAnswers:
    """Return *known* with what each of *releases* requires, as the first of *indexes* that has it tells.

    Raises Refusal RK-INDEX-….
    """

    async def ask(name: str, version: Version) -> tuple[Requirement, ...] | None:
        here = version in known.published.get(name, ())
        index = indexes[0] if here or len(indexes) == 1 else indexes[1]
        return await index.requirements(name, version)

    with nothing_changed():
        answers = await asyncio.gather(*(ask(name, version) for name, version in releases))
    requires = {name: dict(versions) for name, versions in known.requires.items()}
    for (name, version), answer in zip(releases, answers, strict=True):
        if answer is not None:
            requires.setdefault(name, {})[version] = answer
    return replace(known, requires=requires)


async def ask_versions(
    indexes: Sequence[Index], names: Sequence[str], known: IndexAnswers, *, here: Container[str] = ()
) -> IndexAnswers:
    """Return *known* with the versions that the first of *indexes* has of each of *names*.

    What it does not have at all, installers look for on the second one, so that is asked too; not for what is released
    *here*. One that does not answer has nothing. Raises Refusal RK-INDEX-… for the first.
    """
    published = await ask_index(indexes[0], names)
    elsewhere = dict(known.elsewhere)
    absent = [name for name in names if not published[name] and name not in here]
    for index in indexes[1:]:
        try:
            elsewhere |= await ask_index(index, absent)
        except ReleaseError as error:
            log.info("the default index is not asked for what %s lacks: %s", indexes[0].url, error)
    return replace(known, published={**known.published, **published}, elsewhere=elsewhere)


def spent_versions(
    project: Project, repo: Repo, history: History, published: Mapping[str, frozenset[Version]]
) -> dict[str, frozenset[Version]]:
    """Return the versions that the index has and no tag names, here or on the remote: a release was given up, or lost.

    Only versions above the last release count. The remote is asked once, and only if there are such versions.
    """
    spent: dict[str, frozenset[Version]] = {}
    for name, versions in published.items():
        last = history.baselines.get(name)
        untagged = frozenset(v for v in versions if last and v > last.version and v not in last.taken)
        if untagged:
            spent[name] = untagged
    if not spent:
        return {}
    settings, tags = project.settings, dict[str, object]()
    if settings.remote in repo.remotes():
        with suppress(ReleaseError):  # who cannot be asked is an obstacle elsewhere
            tags = dict(repo.refs_at(settings.remote))
    return {
        name: frozenset(v for v in versions if f"refs/tags/{project.schemes.of(name).tag(name, v)}" not in tags)
        for name, versions in spent.items()
    }


@lazy_task("baselines-on-index")
def baselines_on_index(
    repo: Repo, project: Project, history: History, published: Mapping[str, frozenset[Version]]
) -> dict[str, Baseline]:
    """Return the last release of each package that is *published* and has no tag, as index and history tell it.

    It is later than the last one with a tag, if there is one. Its commit is the last one that set that version where it
    is declared; empty if there is none, and then a tag counts, where there is one.
    """
    untagged: dict[str, Baseline] = {}
    for member in project.workspace:
        tagged = history.baselines.get(member.name)
        found = baseline_on_index(published.get(member.name, ()), member.version)
        later = tagged is None or (member.version is not None and found and found.version > tagged.version)
        if found and later and not (tagged and found.version in tagged.taken):
            untagged[member.name] = found
    known = _versions_set(repo, project, history, untagged)
    located = {name: _located(found, known[name]) for name, found in untagged.items()}
    return {name: found for name, found in located.items() if found.commit or name not in history.baselines}


def versions_at(repo: Repo, project: Project, commits: Mapping[str, str]) -> dict[str, Version | None]:
    """Return which version each package of *commits* declared at its commit, where it stands now; None for none."""
    place: dict[str, tuple[str, str]] = {}
    for name, commit in commits.items():
        member = project.workspace[name]
        directory = _in_repository(repo, project.root, member.path)
        place[name] = (commit, f"{directory}/{member.version_file or 'pyproject.toml'}".lstrip("/"))
    texts = repo.texts(list(place.values()))
    return {name: _reader(project, name)(texts.get(asked, "")) for name, asked in place.items()}


@lazy_task("plan")
def plan(
    project: Project,
    repo: Repo,
    history: History,
    selection: Selection,
    answers: IndexAnswers | None,
) -> Plan:
    """Decide what is released; *answers* are None if no index was asked. See `Facts` in core/planning."""
    decided = decide(project, history, answers.spent if answers else None)
    today = datetime.now(UTC).strftime("%Y.%m.%d")
    facts = Facts(
        commit=repo.head,
        date=today,
        tags=history.tags,
        published=answers.published if answers else None,
        elsewhere=answers.elsewhere if answers else {},
        requires=answers.requires if answers else {},
        raised=dict(_raised_by_releases(history)),
        unheard={change.short_sha: change.release_as or "" for change in history.unheard},
    )
    return make_plan(project.workspace, decided, history.baselines, selection, project.settings, facts, project.own)


def _raised_by_releases(history: History) -> Iterator[tuple[str, str]]:
    """Yield each package whose pyproject.toml a release has changed since its last one, and the newest such release."""
    for name, changes in history.changes.items():
        touching = {sha for home in history.homes.get(name, ()) for sha in history.manifests.get(home, ())}
        for change in changes:
            if change.sha in touching and change.title.startswith(RELEASE_COMMIT):
                yield name, change.title.removeprefix(RELEASE_COMMIT)
                break


def titled(plan: Plan, repo: Repo, history: History) -> Plan:
    """Return *plan* under the title of the release commit that it is made at, if it is made at one.

    There the versions stand in the files, and no tag says that they are out: so these are what the plan has. What was
    tagged already is not in it, and might have named the release otherwise.
    """
    _, is_release, title = repo.subject(plan.commit).rpartition(RELEASE_COMMIT)
    if not (is_release and plan.tags) or title in history.tags:
        return plan
    return plan.model_copy(update={"tags": (title,)})


def decide(project: Project, history: History, spent: Mapping[str, frozenset[Version]] | None = None) -> Decisions:
    """Return what the history asks of each package; *spent* are versions that cannot be released any more."""
    given = (history.changes, project.settings, history.unreleased, history.since_stable, project.own, spent)
    return decisions(project.workspace, history.baselines, *given)


@lazy_task("changelogs")
def entries(project: Project, repo: Repo, plan: Plan, history: History) -> dict[str, ToTell]:
    """Return what there is to tell about each package that is released, in the order of the plan.

    A stable release after prereleases tells what they told (D-4): all since the last stable one.
    """
    settings, schemes = project.settings, project.schemes
    date = plan.date.replace(".", "-")
    whole = history.unreleased | {change.sha for changes in history.since_stable.values() for change in changes}
    told: dict[str, ToTell] = {}
    for step in plan.steps:
        name, last = step.name, history.baselines.get(step.name)
        since = Since(last.version, last.tag) if last else Since()
        changes, unreleased_now = history.changes.get(name, ()), history.unreleased
        if last and _rolls_up(step, last, settings):
            after = last.stable.version if last.stable else None
            tags = schemes.of(name).without_umbrellas(history.tags, history.umbrellas)
            between = prereleases_between(tags, schemes.of(name), name, after, step.version)
            since = Since(after, last.begin.tag, between)
            changes, unreleased_now = history.since_stable[name], whole
        entry = entry_of(step.version, date, changes, since, settings, unreleased_now)
        told[name] = ToTell(entry, since, step.tag if settings.tag else "")
    if settings.changelog_contributors:
        authors = repo.authors([change.sha for tell in told.values() for change in tell.entry.changes])
        for name, tell in told.items():
            names = contributors_of(tell.entry.changes, authors)
            told[name] = replace(tell, entry=replace(tell.entry, contributors=names))
    return told


@lazy_task("tales")
def tales(repo: Repo, told: Mapping[str, ToTell]) -> dict[str, Tale]:
    """Return what the release notes will tell of each package: what its changelog tells, and by whom."""
    authors = repo.authors([change.sha for tell in told.values() for change in tell.entry.changes])
    return {name: tale_of(tell.entry, tell.since, authors) for name, tell in told.items()}


def _rolls_up(step: Step, last: Baseline, settings: Settings) -> bool:
    """Tell whether the release of *step* tells what its prereleases have told already."""
    promoted = last.version.is_prerelease and not step.version.is_prerelease
    return promoted and settings.changelog_prerelease_mode == "rollup"


def _refuse_unlocated(project: Project, released: Mapping[str, Baseline]) -> None:
    for name, last in released.items():
        lost = next((each.version for each in (last, last.begin) if not each.commit), None)
        if lost:
            what = f"the index has {name} {lost}, which has no tag, and no commit here set that version"
            tag = project.schemes.of(name).tag(name, lost)
            hint = f"Tag the commit that it was made from: `git tag {tag} COMMIT`; `releasekit init` shows all of "
            hint += "them. If that project is somebody else's, this package needs another name."
            raise Refusal(Code.BASELINE_UNKNOWN, what, f"{project.workspace[name].path}/pyproject.toml", hint)


def _located(found: Baseline, commits: Mapping[Version, str]) -> Baseline:
    """Return *found* with the commits of its releases, by version; a *first* that cannot be found is not needed."""
    stable, first = (each and _located(each, commits) for each in (found.stable, found.first))
    begin = first if first and first.commit else None
    return replace(found, commit=commits.get(found.version, ""), stable=stable, first=begin)


def _versions_set(
    repo: Repo, project: Project, history: History, names: Collection[str]
) -> dict[str, dict[Version, str]]:
    """Return for each of *names*, packages without a tag, which commit was the last to set each version in its file.

    The walk has told which commits touch a pyproject.toml; only these are asked for it, and what comes before them.
    """
    files = {
        name: [f"{home}/{project.workspace[name].version_file or 'pyproject.toml'}".lstrip("/") for home in homes]
        for name, homes in history.homes.items()
        if name in names
    }
    setting = {name: tuple(_may_set(project.workspace[name], history)) for name in names}
    places = ((name, sha) for name, changes in setting.items() for sha in _with_parents(changes))
    texts = repo.texts([(sha, file) for name, sha in places for file in files[name]])
    found: dict[str, dict[Version, str]] = {}
    for name, changes in setting.items():
        read = _reader(project, name)
        at = {sha: _first(read(texts.get((sha, file), "")) for file in files[name]) for sha in _with_parents(changes)}
        found[name] = {
            version: change.sha
            for change in reversed(changes)
            if (version := at[change.sha]) and version not in {at[parent] for parent in change.commit.parents}
        }
    return found


def _may_set(member: Member, history: History) -> Iterator[Change]:
    """Yield the changes that may set the version of *member*, newest first."""
    touching = {sha for home in history.homes[member.name] for sha in history.manifests.get(home, ())}
    for change in history.changes.get(member.name, ()):
        if member.version_file or change.sha in touching:  # the walk tells of no other file, so each may touch it
            yield change


def _with_parents(changes: Sequence[Change]) -> dict[str, None]:
    return dict.fromkeys(sha for change in changes for sha in (change.sha, *change.commit.parents))


def _first(versions: Iterator[Version | None]) -> Version | None:
    return next((version for version in versions if version is not None), None)


def _reader(project: Project, name: str) -> Callable[[str], Version | None]:
    """Return what reads the version of the package *name* in the text of the file that declares it."""
    member = project.workspace[name]
    document, _ = read_toml(project.root / member.path / "pyproject.toml", f"{member.path}/pyproject.toml")
    place = declaring_place(project.root / member.path, document, member.path)
    known: dict[str, Version | None] = {"": None}

    def read(text: str) -> Version | None:
        if text not in known:
            known[text] = version_of(place.find(text)) if place else _project_version(text, name)
        return known[text]

    return read


@lazy_task("read-facts")
def read_facts(project: Project, repo: Repo, needs: Collection[str]) -> WorkspaceFacts:
    """Read what `check` looks at; *needs* are those facts that cost something and are wanted, see `Check`.

    Raises Refusal RK-TAG-INVALID.
    """
    from releasekit.core.checks.facts import WorkspaceFacts
    from releasekit.integrations.package_files import (  # late, as all of this: no other command needs it
        read_license,
        read_packages,
    )

    kept, ignored = repo.listed(project.root)
    members = [(member, *project.manifests[member.path]) for member in project.workspace]
    lock = project.root / "uv.lock"
    license_file, license_text = read_license(project.root)
    return WorkspaceFacts(
        workspace=project.workspace,
        settings=project.settings,
        packages=read_packages(project.root, members, kept, ignored, render="rendering" in needs),
        document=project.document,
        lock=_lock_state(project, repo) if "lock" in needs else "unasked",
        locked=lock.read_text("utf-8", "replace") if lock.is_file() else "",
        tagged=_tagged(project, repo) if "tags" in needs else None,
        license_file=license_file,
        license_text=license_text,
    )


def _lock_state(project: Project, repo: Repo) -> str:
    if not repo.is_tracked(project.root / "uv.lock"):
        return "none"
    try:
        return "current" if project.uv.lock_is_current(project.root) else "stale"
    except ReleaseError as error:
        said = [line.strip() for line in mask(error.output).splitlines() if line.strip()]
        return said[-1] if said else error.what


def _tagged(project: Project, repo: Repo) -> frozenset[str] | None:
    """Return the packages whose last release has a tag; None in a shallow clone, which lacks tags."""
    if repo.is_shallow():
        return None
    declared = {member.name: member.version for member in project.workspace if member.publishable}
    tags = repo.tags()
    return frozenset(baselines(tags, project.schemes, declared, umbrellas=umbrella_tags(repo, project, tags)))


def target_of(project: Project) -> Target:
    """Return where the settings say that the release goes.

    Raises Refusal RK-INDEX-UNKNOWN if they name an index that is not there, or an upload address alone, and
    RK-CONFIG-INVALID-VALUE for credentials in an address: it is a parameter of the flow, which Prefect keeps and shows.
    """
    settings = project.settings
    for key, address in (("publish_url", settings.publish_url), ("check_url", settings.check_url)):
        if mask(address) != address:
            hint = "Set UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD; the address alone here."
            raise Refusal(Code.CONFIG_INVALID_VALUE, "credentials stand in the address", key, hint)
    uv_table: Mapping[str, Any] = project.document.get("tool", {}).get("uv", {})
    if settings.index:
        for index in uv_table.get("index", ()):
            if index.get("name") == settings.index and "publish-url" in index:
                return Target(
                    settings.check_url or index["url"],
                    settings.publish_url or index["publish-url"],
                    settings.index,
                    bool(index.get("default")),
                )
        raise Refusal(Code.INDEX_UNKNOWN, f"no index with a publish-url is named {settings.index}", "[[tool.uv.index]]")
    publish_url = settings.publish_url or os.environ.get("UV_PUBLISH_URL") or str(uv_table.get("publish-url", ""))
    check_url = settings.check_url or os.environ.get("UV_PUBLISH_CHECK_URL") or str(uv_table.get("check-url", ""))
    if publish_url and not check_url:
        what = f"uploads to {publish_url} could not be confirmed without --check-url"
        raise Refusal(Code.INDEX_UNKNOWN, what)
    default = project.uv.default_index(project.root)
    return Target(check_url or default, publish_url, is_default=check_url in ("", default))


def named_targets(project: Project) -> Iterator[Target]:
    """Yield the indexes of the workspace that have a name and an upload address."""
    for index in project.document.get("tool", {}).get("uv", {}).get("index", ()):
        if "name" in index and "publish-url" in index:
            yield Target(index["url"], index["publish-url"], index["name"], bool(index.get("default")))


def _in_repository(repo: Repo, root: Path, path: str) -> str:
    """Return a member's directory as git names it, from the top of the repository; empty for the top itself."""
    relative = os.path.relpath((root / path).resolve(), repo.top).replace(os.sep, "/")
    return "" if relative == "." else relative


def _walk(
    repo: Repo,
    project: Project,
    last: Mapping[str, Baseline],
    owners: Mapping[str, str],
    layouts: Mapping[str, Mapping[str, str]] | None = None,
) -> Unreleased:
    since = {name: baseline.begin.commit for name, baseline in last.items()}
    latest = {name: baseline.commit for name, baseline in last.items() if baseline.version.is_prerelease}
    lock = _in_repository(repo, project.root, "uv.lock")  # what it locks is no part of a package at the root
    walk = repo.history([repo.head, *sorted({*since.values(), *latest.values()})])
    return unreleased(walk, repo.head, since, owners, latest=latest, ignored=frozenset([lock]), layouts=layouts)


def layouts_of(
    repo: Repo, found: Unreleased, owners: Mapping[str, str], last: Mapping[str, Baseline]
) -> dict[str, Mapping[str, str]]:
    """Return at which commits packages stood elsewhere than now, and where; empty if none did since its release.

    The name in a pyproject.toml tells whose directory it is. Asked for are directories that hold no member now, and
    those of members that were not there at their last release; then, if there are any, all others that another may
    have left to who is there now.
    """
    place = {name: directory for directory, name in owners.items()}
    touched = found.manifests.keys()
    asked = {(last[name].commit, place[name]): name for name in last if name in place and place[name] in touched}
    strays = _around(found, touched - owners.keys())
    names = _names(repo, [*asked, *strays])
    contested = {path for (commit, path), name in asked.items() if names[commit, path] != name}
    contested |= {path for commit, path in strays if names[commit, path] in place}
    if not contested:
        return {}
    left = _around(found, touched & owners.keys() - contested)
    names = _names(repo, left)
    contested |= {path for commit, path in left if (name := names[commit, path]) in place and name != owners[path]}
    turning = {sha for path in contested for sha in found.manifests.get(path, ())}
    turns = [commit for commit in found.commits if commit.sha in turning or commit.is_merge]
    at = dict.fromkeys([repo.head, *(sha for commit in turns for sha in (commit.sha, *commit.parents))])
    names = _names(repo, [(sha, path) for sha in at for path in sorted(contested)])
    fixed = {directory: name for directory, name in owners.items() if directory not in contested}
    known: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    layouts: dict[str, Mapping[str, str]] = {}
    for sha in at:
        there = tuple((path, name) for path in sorted(contested) if (name := names[sha, path]) in place)
        layouts[sha] = known.setdefault(there, {**fixed, **dict(there)})
    return layouts


def _around(found: Unreleased, directories: Collection[str]) -> list[tuple[str, str]]:
    """Return with each of *directories* the commits that touch its pyproject.toml, and their parents."""
    parents = {commit.sha: commit.parents for commit in found.commits}
    return [
        (sha, path)
        for path in sorted(directories)
        for touch in found.manifests[path]
        for sha in (touch, *parents[touch])
    ]


def _names(repo: Repo, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the name of the package that stands in each of *asked* (commit, directory), empty if none does."""
    files = {(commit, path): f"{path}/pyproject.toml".lstrip("/") for commit, path in asked}
    texts = repo.texts([(commit, files[commit, path]) for commit, path in files])
    known: dict[str, str] = {}
    found: dict[tuple[str, str], str] = {}
    for (commit, path), file in files.items():
        text = texts.get((commit, file), "")
        if text not in known:
            known[text] = _project_name(text)
        found[commit, path] = known[text]
    return found


def _project_name(text: str) -> str:
    return canonicalize_name(str(_project_table(text).get("name", "")))


def _project_version(text: str, name: str) -> Version | None:
    """Return the version in the pyproject.toml *text* of the package *name*; None if it is another's."""
    table = _project_table(text)
    is_its = canonicalize_name(str(table.get("name", ""))) == name
    return version_of(str(table.get("version", ""))) if is_its else None


def _project_table(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError:
        return {}
