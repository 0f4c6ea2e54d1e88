"""Pin, build and verify one package; then prove that it can be installed. Nothing is uploaded here."""

from __future__ import annotations

import logging
import shutil
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from prefect import task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy

from releasekit.core.artifacts.content_rules import modules_by_project, own_import_names
from releasekit.core.config.command_lines import wheel_command
from releasekit.core.config.settings import commands_of
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.picking import names_of
from releasekit.core.release.progress import PackageStage
from releasekit.core.release.release_manifest import BuiltPackage
from releasekit.core.release.stage_job import StageJob
from releasekit.core.text import summarize
from releasekit.core.workspace.build_requirements import shareable_requirements
from releasekit.core.workspace.dynamic_version import table_at, text_at, version_environment
from releasekit.core.workspace.wheel_tags import foreign_wheels
from releasekit.integrations.build_environments import SharedEnvironments
from releasekit.integrations.built_artifacts import built_paths
from releasekit.integrations.filesystem import (
    copy_files,
    has_module,
    make_directory,
    read_text,
    read_toml,
    write_atomic,
)
from releasekit.integrations.package_managers import find_package_manager
from releasekit.integrations.pre_build import pre_build_commands
from releasekit.integrations.process import run
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.storage import Storage
from releasekit.integrations.uv import failure
from releasekit.integrations.verify_files import verified_package
from releasekit.integrations.version_files import pinned_texts
from releasekit.store import bundle
from releasekit.store.record import Record
from releasekit.store.stage_exchange import StageExchange
from tasks.context import explain_failure, retry_if_request_failed, retry_unless_refused
from tasks.decorators import flow_task, read_secret
from tasks.run_logs import send_logs_to_prefect

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Callable,
        Generator,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from prefect.context import TaskRunContext

    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.integrations.git import Repo
    from releasekit.integrations.process import Command
    from releasekit.integrations.protocols import PackageManager
    from tasks.context import ReleaseContext


detail = logging.getLogger("releasekit.detail")


@dataclass(frozen=True, slots=True)
class Stager:
    """How the releases of this process stage: with its uv, and with a call for each stage that a package reaches."""

    uv: PackageManager
    on_stage: Callable[[str, PackageStage], None]


_stagers: dict[str, Stager] = {}  # by the directory of the release record


@contextmanager
def stage_with(record: Record, stager: Stager) -> Generator[None]:
    """Let the tasks that stage packages of *record* in threads of this process use *stager*.

    They are not parameters of the tasks, which may run elsewhere.
    """
    directory = str(record.directory)
    _stagers[directory] = stager
    try:
        yield
    finally:
        del _stagers[directory]


def _stager_of(job: StageJob) -> Stager:
    """Return what stages *job* here: that of the release in its own process, another one elsewhere."""
    return _stagers.get(job.record) or _stager_elsewhere(
        job.uv, job.python, frozenset(job.secrets.items()), job.build_env
    )


@cache
def _stager_elsewhere(
    uv: str, python: str, secrets: frozenset[tuple[str, str]], build_env: tuple[str, ...]
) -> Stager:
    """Return what another process than that of the release stages with.

    Paths of the machine of the release count only if this one has them too.
    """
    is_foreign = Path(python).is_absolute() and not Path(python).exists()
    own_python = "" if is_foreign else python
    send_logs_to_prefect()
    manager = find_package_manager(uv).with_changes(
        python=own_python, secrets=Secrets(dict(secrets), read_secret), build_env=build_env
    )
    return Stager(manager, _tell_nobody)


def _tell_nobody(_package: str, _stage: PackageStage) -> None:
    """Do nothing: the process of the release sees only how the task ends."""


def _owners(release: ReleaseContext, step: Step) -> Iterator[Step]:
    """Yield the other packages, whose modules *step* must not have.

    A package that requires *step* and has no module of its own is only another name for it, and may share its module.
    """
    workspace = release.record.worktree / release.workspace
    for package in release.plan.packages:
        is_other_name = step.name in package.needs and not has_module(
            workspace / package.path, own_import_names(package.name)
        )
        if package.name != step.name and not is_other_name:
            yield package


def stage_job(
    release: ReleaseContext,
    step: Step,
    built: Mapping[str, BuiltPackage],
    platform: str = "",
    storage: str = "",
) -> StageJob:
    """Return what is to be staged for *step*, on *platform* if there is one.

    *built* has the packages that its build installs, as far as this run has built them. Workers that do not see the
    record use the *storage* at this URL.
    """
    need_sums = [
        file.sha256 for name in step.build_needs if name in built for file in built[name].files
    ]
    return StageJob(
        release=release.plan.release,
        commit=release.commit,
        epoch=release.epoch,
        path=PurePosixPath(release.workspace, step.path).as_posix(),
        name=step.name,
        version=step.version,
        tag=step.tag,
        pins=step.pins,
        versions=release.plan.versions,
        limits=release.plan.limits,
        older=step.older,
        build_needs=step.build_needs,
        need_sums=tuple(need_sums),
        siblings=tuple(names_of(_owners(release, step))),
        verify_ignore=release.settings.verify_ignore,
        has_platforms=bool(step.platforms),
        platform=platform,
        commands=release.settings.package_commands,
        record=str(release.record.directory),
        storage=storage,
        uv=release.uv.executable,
        python=release.uv.python,
        secrets=release.uv.secrets.names,
        build_env=release.uv.build_env,
        workspace=release.workspace,
        build_isolation=release.settings.build_isolation,
        build_timeout=release.settings.build_timeout,
    )


def staged_key(_: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return the cache key of a staged package: its job decides what is built."""
    job: StageJob = parameters["job"]
    return job.key


@task(
    name="stage",
    task_run_name="stage-{job.name}",
    cache_policy=CacheKeyFnPolicy(cache_key_fn=staged_key),
    persist_result=True,
    retries=2,
    retry_delay_seconds=[1, 4],
    retry_condition_fn=retry_if_request_failed,
)
def stage(job: StageJob) -> BuiltPackage:
    """Pin, build and verify one package in a scratch worktree; returns it with the files to upload.

    It runs in a thread of the release, in another process that sees the release record, or on a machine that sees only
    the storage.
    """
    stager = _stager_of(job)
    if not job.storage:
        _require_record(job)
        return _stage_here(job, stager)
    exchange = StageExchange(Storage(job.storage))
    with exchange.checkout(job.commit) as record:
        exchange.fetch_needs(record, job.build_needs, job.need_sums)
        package = _stage_here(job.model_copy(update={"record": str(record.directory)}), stager)
        exchange.send_files(record, package)
    return package


def _require_record(job: StageJob) -> None:
    """Refuse to build on a machine that does not see the release record; raises Refusal RK-STAGE-STORAGE."""
    if not Record(Path(job.record)).worktree.is_dir():
        message = "this machine does not see the release, and stage_storage is not set"
        raise Refusal(ErrorCode.STAGE_STORAGE, message, job.record)


def _stage_here(job: StageJob, stager: Stager) -> BuiltPackage:
    stager.on_stage(job.name, PackageStage.PINNING)
    pin_package(job)
    stager.on_stage(job.name, PackageStage.BUILDING)
    build_package(job, stager.uv)
    stager.on_stage(job.name, PackageStage.VERIFYING)
    return verify_package(job)


def pin_package(job: StageJob) -> None:
    """Write the package's requirements on its siblings into its files, in the scratch worktree."""
    package, location = _directory(job), f"{job.path}/pyproject.toml"
    document, _ = read_toml(package / "pyproject.toml", location)
    texts = pinned_texts(package, document, job.requirements)
    for path, pinned in texts.items():
        before = read_text(path).splitlines()
        write_atomic(path, pinned, durable=False)
        changed = [line.strip() for line in pinned.splitlines() if line not in before]
        detail.info("pinned in %s/%s: %s", job.path, path.name, " ".join(changed))
    if not texts:
        detail.info("pinned in %s: nothing to pin", job.path)


def build_package(job: StageJob, uv: PackageManager) -> None:
    """Build a pinned package into the release record: sdist and wheel, only the sdist, or the wheels of a platform."""
    record = Record(Path(job.record))
    location = f"{job.path}/pyproject.toml"
    document, _ = read_toml(_directory(job) / "pyproject.toml", location)
    is_root = "workspace" in _uv_table(document)
    commands = commands_of(job.commands, document, location, is_root=is_root)
    own_command = commands.build_command
    out = record.dist(job.name)
    _run_pre_build(job, document, uv, commands.pre_build)
    if not job.platform:
        shutil.rmtree(out, ignore_errors=True)
        only = "sdist" if job.has_platforms or own_command else ""
        _run_build(job, partial(_uv_build, job, document, uv, out, only), out)
    builds_wheels = bool(job.platform) or (bool(own_command) and not job.has_platforms)
    if builds_wheels:
        scratch = record.wheels(job.name)
        shutil.rmtree(scratch, ignore_errors=True)
        make_directory(scratch)
        if own_command:
            words = wheel_command(own_command, str(scratch.resolve()), job.platform)
            _run_build(job, partial(uv.own_build_command, words, **_build_options(job, document)))
        else:
            _run_build(job, partial(_uv_build, job, document, uv, scratch, "wheel"))
        copy_files(sorted(scratch.glob("*.whl")), out)


def _run_pre_build(
    job: StageJob,
    document: Mapping[str, Any],
    uv: PackageManager,
    commands: Iterable[tuple[str, ...]],
) -> None:
    """Run the `pre_build` *commands* in the directory of the package; raises ReleaseError RK-BUILD-FAILED."""
    options = _build_options(job, document)
    root = Record(Path(job.record)).worktree / job.workspace
    env = {**uv.command_environment, **options["env"]}
    for command in pre_build_commands(commands, root, options["package"], env, job.build_timeout):
        try:
            run(command)
        except ReleaseError as error:
            message = f"a pre_build command failed: {error.message}"
            where = f"{job.name} {job.version}"
            raise ReleaseError(
                ErrorCode.BUILD_FAILED, message, where, output=error.output
            ) from None


def _uv_build(
    job: StageJob,
    document: Mapping[str, Any],
    uv: PackageManager,
    out: Path,
    only: Literal["", "sdist", "wheel"],
) -> Command:
    options = _build_options(job, document)
    shared_python = _shared_python(job, uv, document, options["env"])
    return uv.build_command(out=out, only=only, shared_python=shared_python, **options)


def _build_options(job: StageJob, document: Mapping[str, Any]) -> _BuildOptions:
    record = Record(Path(job.record))
    versions = version_environment(document, job.name, str(job.version))
    return {
        "package": _directory(job),
        "links": [record.dist(name) for name in job.build_needs],
        "env": {"SOURCE_DATE_EPOCH": str(job.epoch), **versions},
        "timeout": job.build_timeout,
    }


class _BuildOptions(TypedDict):
    """What every command that builds a package gets."""

    package: Path
    links: list[Path]
    env: dict[str, str]
    timeout: float


def _uv_table(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document.get("tool", {}).get("uv", {})


def _run_build(
    job: StageJob, make_command: Callable[[], Command], sdists: Path | None = None
) -> None:
    """Run the command that *make_command* returns, which may prepare an environment for it.

    If it leaves an sdist in *sdists* and fails, the hint is about the wheel that is built from this sdist.
    """
    where = f"{job.name} {job.version}"
    try:
        command = make_command()
        where = str(command)
        run(command)
    except ReleaseError as error:
        message, hint = f"{job.name} {job.version} did not build", ""
        if sdists and any(sdists.glob("*.tar.gz")):
            hint = _SDIST_HINT.format(job.path)
        raise failure(ErrorCode.BUILD_FAILED, error, message, where, hint) from None


_SDIST_HINT = (
    "Its sdist was built, but no wheel from this sdist. Let the build backend add the missing files to the sdist. "
    'Or build the wheel from the directory: `build_command = "uv build --wheel --out-dir {{output}}"` in '
    "[tool.releasekit] of {}/pyproject.toml."
)


def _shared_python(
    job: StageJob, uv: PackageManager, document: Mapping[str, Any], env: Mapping[str, str]
) -> Path | None:
    """Return the Python of the environment in which the package is built; None if it gets a new one."""
    if job.build_isolation == "each":
        return None
    record = Record(Path(job.record))
    root = record.worktree / job.workspace
    of_root, _ = read_toml(root / "pyproject.toml", "pyproject.toml")
    requirements = shareable_requirements(document, of_root, job.build_needs)
    environments = SharedEnvironments(uv, record.build_environments, root)
    backend = text_at(table_at(document, "build-system"), "build-backend")
    return environments.python_for(_directory(job), backend, requirements, env, job.build_timeout)


def verify_package(job: StageJob) -> BuiltPackage:
    """Compare the built files, or only the wheels of a platform, with the plan; returns the files to upload."""
    record = Record(Path(job.record))
    paths = built_paths(record.wheels(job.name) if job.platform else record.dist(job.name))
    unfilled = BuiltPackage(name=job.name, version=job.version, tag=job.tag, files=())
    siblings = modules_by_project(job.siblings)
    package = verified_package(
        unfilled, job.requirements, paths, job.contents, siblings, job.verify_ignore
    )
    if not job.platform:
        return package
    foreign = foreign_wheels(package.file_names, job.platform)
    if foreign:
        message = f"{', '.join(foreign)}: not for {job.platform}"
        raise Refusal(ErrorCode.WHEEL_TAG, message, f"{job.name} {job.version}")
    return package.model_copy(update={"platforms": {job.platform: package.file_names}})


def verify_again(job: StageJob, package: BuiltPackage) -> None:
    """Verify the files of *package* that a worker has built, now that they are here.

    Raises ReleaseError RK-VERIFY-FAILED if the result differs, and as `verify_package` does.
    """
    verified = verify_package(job)
    if verified.files != package.files:
        message = "the files of its worker differ from those that were verified there"
        raise ReleaseError(ErrorCode.VERIFY_FAILED, message, f"{job.name} {job.version}")


def _directory(job: StageJob) -> Path:
    return Record(Path(job.record)).worktree / job.path


@dataclass(frozen=True, slots=True)
class ResolutionJob:
    """The *built* packages of a release, which must be installable *together* if the release promises it."""

    release: ReleaseContext
    built: Sequence[BuiltPackage]
    together: bool


@task(
    name="prove-resolution",
    task_run_name="prove-resolution-{job.release.plan.title}",
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=5,
    retry_condition_fn=retry_unless_refused,
)
async def prove_resolution(job: ResolutionJob) -> bool:
    """Return whether all packages, with all extras, can be installed together; then each can be installed alone too.

    If they cannot, it is an error only if the release promises that the packages, without extras, fit together.
    Otherwise `prove` checks each package.
    Raises Refusal RK-RESOLVE-FAILED, or ReleaseError RK-RESOLVE-FAILED if uv cannot find out.
    """
    conflict = await _find_conflict(
        job.release, [package.requirement_with_extras for package in job.built]
    )
    if conflict and job.together:
        await _refuse_conflict(job.release, [package.requirement for package in job.built])
    return not conflict


async def _refuse_conflict(release: ReleaseContext, requirements: Sequence[str]) -> None:
    """Refuse a release whose packages cannot be installed together; raises Refusal RK-RESOLVE-FAILED."""
    conflict = await _find_conflict(release, requirements)
    if conflict:
        message = "the new versions of all packages cannot be installed together"
        raise Refusal(ErrorCode.RESOLVE_FAILED, message, summarize(requirements), output=conflict)


@dataclass(frozen=True, slots=True)
class ProofJob:
    """One built package to prove. With *resolve*, uv resolves it; with *install*, it is installed and imported.

    *new_wheels* are the wheels of this release that no index can know, by package.
    """

    release: ReleaseContext
    step: Step
    built: BuiltPackage
    new_wheels: Mapping[str, Path]
    resolve: bool
    install: bool


@task(
    name="prove",
    task_run_name="prove-{job.step.name}",
    cache_policy=NO_CACHE,  # the result also depends on the index and on the files of its siblings
    retries=1,
    retry_delay_seconds=5,
    retry_condition_fn=retry_unless_refused,
)
async def prove(job: ProofJob) -> None:
    """Prove that a built package can be installed from what will be on the index, before anything is uploaded.

    uv resolves it alone and with each of its extras (D-9). Raises Refusal RK-RESOLVE-FAILED or
    RK-STAGED-IMPORT-FAILED, or ReleaseError with the same codes if the problem may be temporary.
    """
    for requirement in job.built.separate_requirements if job.resolve else ():
        if conflict := await _find_conflict(job.release, [requirement]):
            message = f"{requirement} cannot be installed from the built files and the index"
            raise Refusal(ErrorCode.RESOLVE_FAILED, message, job.step.path, output=conflict)
    if job.install:
        await _install_and_import(job)


@flow_task("send-commit", "send-commit-{release.plan.title}", stage="stage")
def send_commit(release: ReleaseContext, repo: Repo, exchange: StageExchange) -> None:
    """Leave the release commit in the storage, for workers that see nothing else; raises RK-STAGE-STORAGE."""
    exchange.send_commit(repo, release.record)


@flow_task("record-files", "record-files-{release.plan.title}", stage="publish")
def save_files(release: ReleaseContext, built: Sequence[BuiltPackage]) -> None:
    """Write the built files to the disk for good, before their names and sums are on record."""
    release.record.fsync_files(built)


@flow_task("hand-over", "hand-over-{release.plan.title}", stage="stage")
def export_bundle(
    release: ReleaseContext, repo: Repo, directory: Path, part: ReleaseManifest | None = None
) -> None:
    """Write the staged release, or the *part* of one platform, into *directory*, and delete its record here.

    `publish --manifest` and `merge` read it elsewhere. The record of a release that may be public already stays, so
    that it can be resumed. Raises Refusal RK-USAGE, ReleaseError RK-FILE-SYSTEM.
    """
    bundle.write_bundle(release.record, repo, release.settings.remote, directory, part)
    if release.record.require_manifest().staged:
        release.record.discard(repo)


async def _find_conflict(release: ReleaseContext, requirements: Sequence[str]) -> str:
    """Return why *requirements* cannot be installed together, in uv's words; empty if they can."""
    root = release.record.worktree / release.workspace
    message = "uv cannot determine whether the built packages can be installed"
    with explain_failure(ErrorCode.RESOLVE_FAILED, message, summarize(requirements)):
        return await release.uv.find_conflict(
            root,
            requirements,
            links=release.staged_links,
            indexes=release.target.install_indexes,
            fresh=tuple(release.plan.versions),
        )


async def _install_and_import(job: ProofJob) -> None:
    release, step, built = job.release, job.step, job.built
    code, modules = ErrorCode.STAGED_IMPORT_FAILED, ", ".join(built.imports)
    try:
        async with _install(job) as python:
            message = f"the built {step.name} {step.version} cannot be imported"
            with as_refusal(), explain_failure(code, message, modules):  # a second import fails too
                await release.uv.import_modules(python, built.imports)
    except Refusal:
        raise
    except ReleaseError as error:
        message = f"the built {step.name} {step.version} cannot be installed"
        raise failure(code, error, message, step.path) from None


@asynccontextmanager
async def _install(job: ProofJob) -> AsyncGenerator[Path]:
    """Yield the Python of an environment with the built package; see `PackageManager.temporary_environment`.

    uv has just asked the index about all packages, to resolve them together. It asks again only if what it knows does
    not suffice, because that also makes it examine its interpreter again: 0.09 CPU-seconds a package. It does not
    remember which packages an index lacks, so it is told where these are: otherwise it asks each index about them
    again, 0.3 seconds a package.
    """
    release = job.release
    install = partial(
        release.uv.temporary_environment,
        release.record.worktree / release.workspace,
        job.built.requirement,
        indexes=release.target.install_indexes,
        # These include packages that only a published sibling requires, in an older version.
        fresh=tuple(release.plan.versions),
    )
    published = [
        release.record.dist(step.name)
        for step in release.plan.steps
        if step.name not in job.new_wheels
    ]
    bound = [f"{name} @ {wheel.as_uri()}" for name, wheel in job.new_wheels.items()]
    quick = install(links=published, constraints=bound, refresh=False)
    async with AsyncExitStack() as stack:
        try:
            python = await stack.enter_async_context(quick)
        except ReleaseError as error:
            if error.code is not ErrorCode.COMMAND_FAILED:
                raise
            python = await stack.enter_async_context(install(links=release.staged_links))
        yield python
