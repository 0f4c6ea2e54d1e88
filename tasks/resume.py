"""What a release is carried on from: its record here, or what the remote holds; and its files, if they are lost."""

from __future__ import annotations

import logging
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal, ReleaseError, nothing_changed
from releasekit.core.release.release_manifest import manifest_of, plan_of
from releasekit.core.release.upload_window import closing_warnings, half_published
from releasekit.integrations.filesystem import make_directory, named, read_text
from releasekit.store.bundle import read, read_manifest
from releasekit.store.record import PLAN, Record, maker, sweep, unfinished
from releasekit.store.remote_lock import Held, held_alone, held_there
from tasks.decorators import lazy_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from releasekit.core.config.settings import Settings
    from releasekit.core.errors import Warn
    from releasekit.core.release.release_manifest import PackageVersion
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index, IndexFile
    from releasekit.store.bundle import Exported

log = logging.getLogger("releasekit.resume")


@lazy_task("find-unfinished")
def to_carry_on(
    repo: Repo,
    settings: Settings,
    manifest: Path | None = None,
    handed: Path | None = None,
    *,
    adopt: bool = False,
    afresh: bool = False,
) -> Record | None:
    """Return the release that was begun and not ended; with *adopt* also one whose record is lost or damaged.

    *manifest* is the copy of a record to adopt, with its plan.json beside it. With *afresh* one that was only to be
    staged is dropped, for nothing of it is public. *handed* is a manifest that was handed over: if a run with it was
    killed while it put the release on record here, that is begun again.
    Raises Refusal RK-RECORD-INVALID, RK-ROLLBACK-UNFINISHED.
    """
    sweep(repo)
    try:
        record = unfinished(repo.common_dir)
        if record and afresh and (known := record.manifest()) and known.staged:
            record.drop(repo)
            record = None
        if record and handed and not record.has_plan() and read_manifest(handed)[0].release == record.release:
            return None
        if record:
            _refuse_unusable(record)
            return record
    except ReleaseError as error:
        found = _adopted(repo, settings, manifest) if adopt and error.code is Code.RECORD_INVALID else None
        if found is None:
            raise Refusal(*error.args) from None
        return found
    if adopt:
        with nothing_changed():
            return _adopted(repo, settings, manifest)
    _refuse_lost(repo)
    return None


@lazy_task("look-for-unfinished")
def look(repo: Repo, *, afresh: bool = False) -> Record | None:
    """Return the release that `publish` would carry on here instead of beginning one; changes nothing.

    With *afresh* one that was only to be staged does not count: `publish` would drop it.
    Raises Refusal RK-RECORD-INVALID, RK-ROLLBACK-UNFINISHED.
    """
    with nothing_changed():
        record = unfinished(repo.common_dir)
        if record and afresh and (known := record.manifest()) and known.staged:
            return None
        if record:
            _refuse_unusable(record)
        else:
            _refuse_lost(repo)
        return record


def _refuse_unusable(record: Record) -> None:
    """Refuse a record that cannot be read, or whose release is being rolled back."""
    plan, known = record.plan(), record.manifest()
    if known and known.undoing:
        raise Refusal(Code.ROLLBACK_UNFINISHED, f"{plan.title} is being rolled back", str(record.directory))


def _refuse_lost(repo: Repo) -> None:
    """Refuse to go on beside a release whose record is lost here, but not the copy that git keeps of it."""
    if lost := held_alone(repo):
        where = repo.common_dir / "releasekit" / lost.plan.release
        raise Refusal(Code.RECORD_INVALID, f"the record of {lost.plan.title} is lost", str(where))


@lazy_task("read-manifest")
def given(repo: Repo, settings: Settings, manifest: Path, begun: Record | None) -> Exported:
    """Return the release that is handed over in the file *manifest*, with its commit in this clone.

    *begun* is the release of this clone that has not ended: it must be the same, with the same files.
    Raises Refusal RK-RECORD-INVALID, RK-COMMIT-MISSING, RK-RELEASE-ELSEWHERE.
    """
    found = read(manifest)
    if begun:
        if begun.release != found.plan.release:
            raise not_ended(begun)
        known = begun.manifest()
        if known and known.packages and found.manifest.packages not in ((), known.packages):
            what = f"{begun.plan().title} was begun here with other files"
            raise Refusal(Code.RECORD_INVALID, what, str(manifest))
    found.bring_commit(repo, settings.remote)
    return found


def not_ended(begun: Record) -> Refusal:
    """Return the refusal to do something else while the release *begun* here has not ended."""
    hint = "`releasekit publish`, without more, carries it on; `releasekit rollback` gives it up."
    what = f"{begun.plan().title} was begun here, and has not ended"
    return Refusal(Code.RELEASE_ELSEWHERE, what, str(begun.directory), hint)


def take(repo: Repo, settings: Settings, found: Exported, begun: Record | None, *, publishing: bool = True) -> Record:
    """Put a release that was handed over on record here, with its files, unless it was *begun* or ended here before.

    What the remote holds for it is taken over, if it is for *publishing*: an earlier run with that manifest has died.
    Raises Refusal RK-RELEASE-ELSEWHERE.
    """
    record = begun or Record(repo.common_dir / "releasekit" / found.plan.release)
    known = record.manifest() if record.exists() else None
    found.bring(record)
    if begun and known and (known.packages or not found.manifest.packages):
        return record
    if known and known.finished and found.manifest.packages in ((), known.packages):
        return record  # looked at once more, and found done
    there = held_there(repo, settings) if publishing else None
    if there and there.plan.release != found.plan.release:
        raise there.elsewhere(settings.remote)
    tags = known.tags if known else found.manifest.tags
    manifest = found.manifest.model_copy(update={"tags": tags, "plan": None, "staged": True})
    return _put(repo, record, Held("", found.plan, manifest), there)


def how_it_stands(record: Record, repo: Repo) -> str:
    """Say which release is carried on, and whether the branch has moved since it was begun."""
    plan, manifest = record.plan(), record.manifest()
    text = f"carrying on with {plan.title}, begun at {plan.commit[:12]}"
    count = repo.ahead(plan.commit, manifest.release_commit if manifest else "")
    if count:
        commits = "1 commit" if count == 1 else f"{count} commits"
        where = repo.branch or "HEAD"
        text += f"; {where} has moved on by {commits} since; `releasekit rollback` gives it up"
    return text


async def find_closing(record: Record, index: Index, now: datetime) -> list[Warn]:
    """Return a warning for each version of a release on record that must be completed soon, or cannot be any more.

    Raises ReleaseError as `on_index` does.
    """
    from releasekit.integrations.index import on_index, upload_times  # late: httpx is dear, and a plan does without

    manifest = record.manifest()
    packages = manifest.packages if manifest else ()
    listed = await on_index(packages, index, strict=False)
    return closing_warnings(half_published(packages, upload_times(listed)), now)


def _adopted(repo: Repo, settings: Settings, file: Path | None) -> Record | None:
    """Put a release on record here that another clone or a lost record has begun; None if there is none."""
    there = held_there(repo, settings)
    held = _from_file(repo, file, there) if file else there or held_alone(repo)
    if held is None:
        return None
    record = _put(repo, Record(repo.common_dir / "releasekit" / held.plan.release), held, there)
    if file and (file.parent / "dist").is_dir():
        with named(file.parent):
            shutil.copytree(file.parent / "dist", record.directory / "dist", dirs_exist_ok=True)
    return record


def _put(repo: Repo, record: Record, held: Held, there: Held | None) -> Record:
    """Put *held* on *record*, as from now on made here; *there* is what the remote holds, perhaps for it."""
    log.info("taking over %s, begun by %s", held.plan.title, held.manifest)
    sha = there.sha if there and there.plan.release == held.plan.release else held.manifest.held
    repo.keep(record.release, held.sha or held.manifest.release_commit)
    make_directory(record.directory)
    # The manifest first: without its plan a record is refused, without its manifest it would be begun afresh.
    taken = {**maker(repo)._asdict(), "held": sha, "undoing": False, "finished": False}
    record.save(held.manifest.model_copy(update=taken))
    record.save_plan(held.plan)
    return record


def _from_file(repo: Repo, file: Path, there: Held | None) -> Held:
    """Return the release in the record whose manifest is *file*; what the remote holds of it may bring its commit."""
    with named(file):
        manifest = manifest_of(read_text(file), str(file))
        plan = plan_of(read_text(file.with_name(PLAN)), str(file.with_name(PLAN)))
    if plan.release != manifest.release:
        raise Refusal(Code.RECORD_INVALID, f"it is of another release, {plan.release}", str(file.with_name(PLAN)))
    if there and there.manifest.release != manifest.release:
        raise there.elsewhere("the remote")
    if not repo.has(manifest.release_commit):
        hint = "Fetch the branch, tag or reference that holds it; or use the clone that made it."
        what = f"the release commit {manifest.release_commit[:12]} is not in this clone"
        raise Refusal(Code.RECORD_INVALID, what, str(file), hint)
    return Held("", plan, manifest)


def lost_for_good(
    packages: Iterable[PackageVersion], record: Record, there: Mapping[str, Mapping[str, IndexFile]]
) -> dict[str, tuple[str, ...]]:
    """Return by package the files that are neither here as they were recorded nor on the index."""
    lost = {p.name: tuple(name for name in record.lost(p) if name not in there.get(p.name, ())) for p in packages}
    return {name: files for name, files in lost.items() if files}


async def bring(record: Record, package: PackageVersion, there: Mapping[str, IndexFile], index: Index) -> None:
    """Fetch the files of *package* that are lost here and that the index has: another one needs them to be built.

    Raises ReleaseError RK-PUBLISH-CHECKSUM-MISMATCH if it serves other bytes than it lists.
    """
    sums = {file.name: file.sha256 for file in package.files}
    for name in record.lost(package):
        content = await index.content(there[name])
        if sha256(content).hexdigest() != sums[name]:
            raise ReleaseError(Code.PUBLISH_CHECKSUM_MISMATCH, f"{name} is served with other content", index.url)
        path = record.dist(package.name) / name
        make_directory(path.parent)
        with named(path):
            path.write_bytes(content)
