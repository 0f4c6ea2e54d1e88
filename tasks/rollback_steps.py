"""What one release has left behind, looked at and taken away again, so far as it can be."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal, ReleaseError, nearest, nothing_changed
from releasekit.core.release.pr_status import pull_ref
from releasekit.core.release.release_manifest import exported_of
from releasekit.core.release.rollback_plan import (
    KeptTag,
    PublicPackage,
    Rollback,
    dependents_of,
    reasons_to_keep,
    yank_page,
)
from releasekit.core.version_numbers import following
from releasekit.integrations.forge_factory import forge_of
from releasekit.integrations.git import RUNNING
from releasekit.integrations.index import on_index
from releasekit.store.record import MANIFEST, Record, records, sweep
from releasekit.store.remote_lock import Held, held_alone, held_here, held_in, held_there
from tasks.decorators import lazy_task

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.release_manifest import PackageVersion, ReleaseManifest
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import ForgeRelease, Index
    from releasekit.integrations.secrets import Secrets

log = logging.getLogger("releasekit.undo")


@dataclass(frozen=True, slots=True)
class Doomed:
    """The release to roll back. *record* is None if it is another clone's, or lost; *plan* and *manifest* if unknown.

    *held* is what the remote holds of it, if anything. *intact* says that the record itself could be read.
    """

    release: str
    record: Record | None = None
    plan: Plan | None = None
    manifest: ReleaseManifest | None = None
    held: Held | None = None
    intact: bool = True

    @property
    def may_be_public(self) -> bool:
        """Whether files of the release may be on an index; not if its own record says that none is built yet."""
        return not (self.record and self.intact) or bool(self.manifest and self.manifest.packages)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A release that is not published yet: by a pull request, or by a *draft* on the forge.

    *refs* are what the remote has of the pull request that may go: the object of each, by name.
    """

    plan: Plan
    manifest: ReleaseManifest
    draft: ForgeRelease | None = None
    refs: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to undo, for people; and the objects that the tags name now, so that no other is deleted."""

    doomed: Doomed
    rollback: Rollback
    local: Mapping[str, str]
    remote: Mapping[str, str]
    proposed: tuple[Proposed, ...] = ()


@lazy_task("find-proposed")
async def find_proposed(repo: Repo, settings: Settings, secrets: Secrets) -> tuple[Proposed, ...]:
    """Return the releases that are not published yet: one of a pull request, and those that are drafts.

    What cannot be asked is said and no more: most releases are neither.
    """
    found: list[Proposed] = []
    if not (settings.push and settings.remote in repo.remotes()):
        return ()
    try:
        found += _proposed_at(repo, settings)
        async with forge_of(repo.address(settings.remote), settings, secrets) as forge:
            for draft in await forge.drafts():
                if content := await forge.asset(draft, MANIFEST):
                    manifest, plan = exported_of(content.decode("utf-8", "replace"), draft.page)
                    found.append(Proposed(plan, manifest, draft))
    except ReleaseError as error:
        level = logging.DEBUG if settings.expects_no_forge(error) else logging.INFO
        log.log(level, "no draft of a release is looked for: %s", error)
    return tuple(found)


def _proposed_at(repo: Repo, settings: Settings) -> Iterator[Proposed]:
    ref, branch = pull_ref(settings.release_branch), f"refs/heads/{settings.release_branch}"
    there = repo.refs_at(settings.remote, ref, branch)
    if ref in there:
        if not repo.has(there[ref].commit):
            repo.fetch(settings.remote, ref)
        held = held_in(repo, there[ref].commit)
        unmoved = branch in there and there[branch].commit == held.manifest.release_commit
        refs = {name: there[name].object for name in (ref, *([branch] if unmoved else []))}
        yield Proposed(held.plan, held.manifest, refs=refs)


@lazy_task("find-release")
def find(repo: Repo, settings: Settings, name: str, proposed: Sequence[Proposed] = ()) -> Doomed | None:
    """Return the release called *name*: its id, or the beginning of it, or its title.

    Without a name it is the one of this clone that has not ended, None if all have; what another clone is in the middle
    of must be named, and so must what is *proposed* and not begun to be published.

    Raises Refusal RK-RELEASE-UNKNOWN, RK-RELEASE-ELSEWHERE.
    """
    sweep(repo)
    there = _held(repo, settings)
    here = [_read(record, repo, there) for record in records(repo.common_dir)]
    if lost := held_alone(repo):
        mine = there if there and there.plan.release == lost.plan.release else None
        here.append(Doomed(lost.plan.release, None, lost.plan, lost.manifest, mine))
    others = there and all(doomed.release != there.plan.release for doomed in here)
    if name:
        known = {doomed.release: doomed for doomed in here}
        if there and others:
            known[there.plan.release] = Doomed(there.plan.release, None, there.plan, there.manifest, there)
        for each in reversed(proposed):  # a draft knows the merged commit, a pull request its own
            known.setdefault(each.plan.release, Doomed(each.plan.release, None, each.plan, each.manifest))
        return _called(name, [*known.values()])
    unfinished = max((doomed for doomed in here if not _has_ended(doomed)), key=_begun, default=None)
    if there and others and unfinished is None:
        error = there.elsewhere(settings.remote)
        hint = f"`releasekit rollback {there.plan.release}` rolls it back; or name the release that you mean."
        raise Refusal(error.code, error.what, error.where, hint)
    return unfinished


def report_nothing(repo: Repo) -> Rollback:
    """Return that there is nothing to roll back, and how to name the last release that has ended, if there is one."""
    finished = [_read(record, repo, None) for record in records(repo.common_dir)]
    latest = max((doomed for doomed in finished if doomed.plan), key=_begun, default=None)
    if latest is None or latest.plan is None:
        return Rollback(release="", title="")
    name = latest.plan.title
    return Rollback(
        release="", title="", notes=(f"{name} is finished; `releasekit rollback {name}` rolls a finished release back",)
    )


def _held(repo: Repo, settings: Settings) -> Held | None:
    try:
        return held_there(repo, settings)
    except ReleaseError as error:
        unreachable = "Try again when it answers; or leave the remote alone with --no-push."
        hint = unreachable if error.code is Code.REMOTE_UNREACHABLE else error.hint
        raise Refusal(error.code, error.what, error.where, hint, error.output) from None


def _read(record: Record, repo: Repo, there: Held | None) -> Doomed:
    """Return the release of *record*; what is damaged is taken from what git keeps of it."""
    mine = there if there and there.plan.release == record.release else None
    doomed = Doomed(record.release, record, held=mine)
    try:
        return replace(doomed, plan=record.plan(), manifest=record.manifest())
    except ReleaseError:
        copy = held_here(repo, record.release) or mine
        doomed = replace(doomed, intact=False)
    if copy:
        return replace(doomed, plan=copy.plan, manifest=copy.manifest)
    with suppress(ReleaseError):
        doomed = replace(doomed, plan=record.plan())
    with suppress(ReleaseError):
        doomed = replace(doomed, manifest=record.manifest())
    return doomed


def _begun(doomed: Doomed) -> tuple[str, str]:
    """Return when a release was begun, to find the latest."""
    return (doomed.manifest.begun if doomed.manifest else "", doomed.plan.date if doomed.plan else "")


def _has_ended(doomed: Doomed) -> bool:
    return doomed.intact and doomed.manifest is not None and doomed.manifest.finished


def _called(name: str, known: list[Doomed]) -> Doomed:
    titles = {doomed.release: doomed.plan.title if doomed.plan else "" for doomed in known}
    found = [d for d in known if name == titles[d.release]] or [d for d in known if d.release.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{name} may be {' or '.join(f'{d.release} ({titles[d.release]})' for d in found)}"
        raise Refusal(Code.RELEASE_UNKNOWN, what)
    words = [word for pair in titles.items() for word in pair if word]
    raise Refusal(Code.RELEASE_UNKNOWN, f"no release is called {name}{nearest(name, words)}")


@lazy_task("look")
async def look(
    repo: Repo,
    settings: Settings,
    doomed: Doomed,
    indexes: Sequence[tuple[Target, Index]],
    proposed: Sequence[Proposed] = (),
    *,
    all_tags: bool = False,
) -> Found:
    """Return what is to be undone of the release, and what stays; changes nothing.

    Tags of packages that are on one of the *indexes* stay, unless *all_tags* are to go.
    Raises Refusal RK-INDEX-… if nobody can say what is public.
    """
    plan, manifest = doomed.plan, doomed.manifest
    commit = manifest.release_commit if manifest else ""
    remote = settings.remote if settings.push and settings.remote in repo.remotes() else ""
    there = repo.refs_at(remote) if remote else {}
    public = await _ask(doomed, indexes)
    here = Tags("here", repo.tag_refs(), _tag_names(doomed), commit)
    remotely = Tags(
        f"on {remote}",
        {name.removeprefix(_TAGS): ref for name, ref in there.items() if name.startswith(_TAGS)},
        here.names,
        commit,
    )
    true = {} if all_tags else _true_tags(doomed, here.names, public)
    going, going_there = here.without(true), remotely.without(true)
    left = {*(here.refs.keys() - going.keys()), *(remotely.refs.keys() - going_there.keys())}
    tag_of = {package.name: package.tag for package in _packages(doomed)}
    tagged = tuple(
        package.model_copy(update={"tag": tag_of[package.name] if tag_of[package.name] in left else ""})
        for package in public
    )
    ours = tuple(each for each in proposed if each.plan.release == doomed.release)
    rollback = Rollback(
        draft=next((each.draft.page for each in ours if each.draft), ""),
        pull=next((settings.release_branch for each in ours if each.refs), ""),
        release=doomed.release,
        title=plan.title if plan else doomed.release,
        commit=commit,
        finished=bool(manifest and manifest.finished),
        tags=tuple(going),
        remote_tags=tuple(going_there),
        kept_tags=(*_kept(true, here, remotely), *here.moved(), *remotely.moved()),
        held=_is_ours(doomed, there.get(RUNNING)),
        public=tagged,
        notes=(
            *_where_it_is(repo, manifest, remote, there, public=bool(public)),
            *_unpushed(true, here, remotely, remote),
            *_untagged(tagged),
            *_unasked(manifest, indexes),
            *_unknown(doomed),
        ),
    )
    return Found(doomed, rollback, going, going_there, ours)


_TAGS = "refs/tags/"


@dataclass(frozen=True, slots=True)
class Tags:
    """All tags at one *place*, as *refs*; those of these *names* are the release's if they are on its *commit*."""

    place: str
    refs: Mapping[str, Ref]
    names: tuple[str, ...]
    commit: str

    def own(self) -> dict[str, str]:
        """Return the object of each tag of the release that is still where the release has made it."""
        known = {name: self.refs[name] for name in self.names if name in self.refs}
        return {name: ref.object for name, ref in known.items() if ref.commit == self.commit}

    def without(self, kept: Container[str]) -> dict[str, str]:
        """Return the object of each tag of the release but those *kept*."""
        return {name: sha for name, sha in self.own().items() if name not in kept}

    def moved(self) -> tuple[KeptTag, ...]:
        """Return the tags of the release's names that are on another commit now."""
        own = self.own()
        return tuple(
            KeptTag(tag=name, places=(self.place,), reason=f"it is on {self.refs[name].commit[:12]} now")
            for name in self.names
            if name in self.refs and name not in own
        )


def _kept(reasons: Mapping[str, str], here: Tags, remotely: Tags) -> Iterator[KeptTag]:
    for name, reason in reasons.items():
        if places := tuple(tags.place for tags in (here, remotely) if name in tags.own()):
            yield KeptTag(tag=name, places=places, reason=reason)


def _packages(doomed: Doomed) -> Sequence[PackageVersion | Step]:
    """Return the packages of the release, as they were built if that is known."""
    if doomed.manifest and doomed.manifest.packages:
        return doomed.manifest.packages
    return doomed.plan.steps if doomed.plan else ()


def _true_tags(doomed: Doomed, names: tuple[str, ...], public: Sequence[PublicPackage]) -> dict[str, str]:
    complete = {
        package.name: f"{package.name} {package.version} is on {package.index}"
        for package in public
        if package.complete
    }
    return reasons_to_keep(names, _packages(doomed), complete, doomed.plan.tags if doomed.plan else ())


def _unpushed(reasons: Mapping[str, str], here: Tags, remotely: Tags, remote: str) -> Iterator[str]:
    """Say which true tags the remote does not have, and how it gets them."""
    if names := [name for name in reasons if name in here.own() and name not in remotely.refs and remote]:
        refs = " ".join(f"{_TAGS}{name}" for name in names)
        yield f"{remote} does not have {', '.join(names)}: `git push {remote} {refs}`"


def _untagged(public: Sequence[PublicPackage]) -> Iterator[str]:
    """Say which versions are on an index and have no tag."""
    if names := dict.fromkeys(f"{package.name} {package.version}" for package in public if not package.tag):
        yield f"on the index without a tag: {', '.join(names)}; the next plan counts what is there as released"


def _tag_names(doomed: Doomed) -> tuple[str, ...]:
    """Return the tags that are the release's own: those on record; of another clone's, those that its plan names."""
    if doomed.record and doomed.intact:
        return doomed.manifest.tags if doomed.manifest else ()
    return doomed.plan.all_tags if doomed.plan else ()


def _is_ours(doomed: Doomed, there: Ref | None) -> bool:
    """Tell whether what the remote holds is this release, and not one that another clone has taken over since."""
    if there is None or doomed.held is None:
        return False
    mine = doomed.manifest
    if doomed.record is None or not doomed.intact or mine is None:
        return True
    return there.object == mine.held or doomed.held.manifest.holder() == mine.holder()


def _unasked(manifest: ReleaseManifest | None, indexes: Sequence[tuple[Target, Index]]) -> Iterator[str]:
    """Say which indexes are on record and not asked, since another one was named."""
    asked = {target.address.check_url.rstrip("/") for target, _ in indexes}
    for known in manifest.indexes if manifest else ():
        if known.check_url.rstrip("/") not in asked:
            yield f"not asked, as you named another index: {known.check_url}, where this release was published"


async def _ask(doomed: Doomed, indexes: Sequence[tuple[Target, Index]]) -> tuple[PublicPackage, ...]:
    """Return what the *indexes* have of the release; raises Refusal RK-INDEX-… if one does not say."""
    try:
        with nothing_changed():
            return await _public(doomed, indexes)
    except Refusal as error:
        hint = f"{error.hint} Or name the index to ask: `releasekit rollback --check-url URL`."
        raise Refusal(error.code, error.what, error.where, hint, error.output) from None


async def _public(doomed: Doomed, indexes: Sequence[tuple[Target, Index]]) -> tuple[PublicPackage, ...]:
    """Return what the *indexes* have of the release.

    Of a release whose files are not on record, such as one that another machine publishes, its versions are looked for.
    """
    packages = doomed.manifest.packages if doomed.manifest else ()
    steps = doomed.plan.steps if doomed.plan and not packages and doomed.may_be_public else ()
    found: list[tuple[PackageVersion | Step, Target, tuple[str, ...]]] = []
    for target, index in indexes:
        listed = await on_index(packages, index, strict=False)
        found += [(package, target, tuple(listed[package.name])) for package in packages if listed[package.name]]
        versions = await asyncio.gather(*(index.versions(step.name) for step in steps))
        found += [(step, target, ()) for step, known in zip(steps, versions, strict=True) if step.version in known]
    names = {package.name for package, _, _ in found}
    dependents = dependents_of(doomed.plan, names) if doomed.plan else {}
    sizes = {package.name: len(package.files) for package in packages}
    return tuple(
        PublicPackage(
            name=package.name,
            version=package.version,
            files=files,
            complete=len(files) == sizes.get(package.name, 0),
            index=target.title,
            page=yank_page(target, package.name, package.version),
            next=following(package.version),
            dependents=dependents.get(package.name, ()),
        )
        for package, target, files in found
    )


def _where_it_is(
    repo: Repo, manifest: ReleaseManifest | None, remote: str, there: Mapping[str, Ref], *, public: bool
) -> tuple[str, ...]:
    """Say where the release commit stays: history that others may have is never taken back."""
    if manifest is None or not repo.has(manifest.release_commit) or manifest.release_commit == manifest.commit:
        return ()
    commit, name = manifest.release_commit, f"refs/heads/{manifest.branch}"
    places: list[str] = []
    if remote and name in there:
        if not repo.has(there[name].commit):
            repo.fetch(remote, name)
        if repo.contains(there[name].commit, commit):
            places.append(f"{manifest.branch} on {remote}")
    if repo.contains(repo.head, commit):
        places.append(f"{repo.branch or 'HEAD'} here")
    if not places:
        return ()
    what = f"the release commit {commit[:12]} is part of {' and of '.join(places)}, and stays"
    if public:
        return (f"{what}: it holds versions that are on the index",)
    side = "-m 1 " if repo.parent(commit, 2) else ""  # of a merge, git wants to know which side stays
    return (f"{what}; `git revert {side}{commit[:12]}` takes versions and changelogs back",)


def _unknown(doomed: Doomed) -> tuple[str, ...]:
    if doomed.intact:
        return ()
    if doomed.plan and doomed.manifest:
        return ("the record is damaged; what git keeps of it is used instead",)
    return ("the record is damaged, so nobody can say which tags it made and what is public: look yourself",)


@lazy_task("mark")
def mark(found: Found) -> None:
    """Put on record first that the release is rolled back: from here on publish carries it on no more."""
    doomed = found.doomed
    if doomed.record and doomed.intact and doomed.manifest:
        doomed.record.amend(undoing=True, finished=False)


@lazy_task("delete-draft")
async def delete_proposed(repo: Repo, settings: Settings, secrets: Secrets, found: Found) -> None:
    """Delete the draft release, and close the pull request: the forge's part, before its tags and branch go.

    Raises ReleaseError RK-FORGE-….
    """
    if not found.proposed:
        return
    async with forge_of(repo.address(settings.remote), settings, secrets) as forge:
        for each in found.proposed:
            if each.draft and (now := await forge.release(each.draft.tag)) and now.draft:
                await forge.delete_release(now)
            if each.refs and (pull := await forge.find_pull(settings.release_branch, each.manifest.branch)):
                await forge.close_pull(pull, f"{each.plan.title} was rolled back (`releasekit rollback`).\n")


@lazy_task("delete-remote-tags")
def delete_remotely(repo: Repo, settings: Settings, found: Found) -> None:
    """Delete the release's tags and pull request on the remote, which holds it no more; nothing that has moved since.

    Raises ReleaseError RK-PUSH-REJECTED.
    """
    leases = {f"refs/tags/{name}": sha for name, sha in found.remote.items()}
    if found.rollback.held and (there := repo.refs_at(settings.remote, RUNNING).get(RUNNING)):
        leases[RUNNING] = found.doomed.held.sha if found.doomed.held else there.object
    for each in found.proposed:
        leases |= {name: sha for name, sha in each.refs.items() if name in repo.refs_at(settings.remote, name)}
    try:
        if leases:
            repo.push(settings.remote, [f":{name}" for name in leases], leases=leases)
    except ReleaseError as error:
        hint = "Let the remote delete them and run `releasekit rollback` again: it goes on; or use --no-push."
        raise ReleaseError(error.code, error.what, error.where, hint, error.output) from None


@lazy_task("delete-tags")
def delete_here(repo: Repo, found: Found) -> None:
    """Delete the release's tags here, those alone that still are what they were when they were looked at."""
    for name, sha in found.local.items():
        repo.delete_tag(name, sha)


@lazy_task("drop-record")
def drop(repo: Repo, found: Found) -> None:
    """Remove worktree, record and what git keeps of the release: the last thing, so that a rollback can go on."""
    if found.doomed.record:
        found.doomed.record.drop(repo)
    else:
        repo.release(found.doomed.release)
