"""What every step of one release needs. It is made once and passed on."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import Refusal, ReleaseError
from releasekit.core.release.build_faults import may_pass
from releasekit.core.release.later_index import targets_for
from releasekit.core.release.observer import LogObserver
from releasekit.integrations.storage import Storage
from releasekit.integrations.uv import failure

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from prefect.client.schemas.objects import State, TaskRun
    from prefect.context import TaskRunContext
    from prefect.tasks import Task

    from releasekit.core.config.settings import Settings
    from releasekit.core.errors import ErrorCode
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.later_index import LaterIndex
    from releasekit.core.release.observer import Observer
    from releasekit.core.release.target import Target
    from releasekit.integrations.protocols import PackageManager
    from releasekit.store.record import Record

log = logging.getLogger("releasekit.publish")


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """One plan that is carried out. *workspace* is the path of the workspace from the top of the repository.

    *commit* is the release commit, empty until it exists. *epoch* is its time, in seconds since 1970. The *observer*
    is called for every phase and stage. *target* is the index that every package goes to, before *later_indexes*.
    """

    plan: Plan
    record: Record
    settings: Settings
    target: Target
    uv: PackageManager
    workspace: str
    branch: str
    commit: str = ""
    epoch: int = 0
    observer: Observer = field(default_factory=LogObserver)
    later_indexes: tuple[LaterIndex, ...] = ()

    def for_later_index(self, later: LaterIndex) -> ReleaseContext:
        """Return the part of the release that goes to the index *later*, with the credentials for it."""
        secrets = self.uv.secrets.for_uploads(later.target.credentials)
        return replace(
            self,
            plan=later.part_of(self.plan),
            target=later.target,
            uv=self.uv.with_changes(secrets=secrets),
            later_indexes=(),
        )

    @property
    def notes_target(self) -> Target:
        """The index that the release notes link to: the last one that gets every package."""
        names = {step.name for step in self.plan.steps}
        complete = [later.target for later in self.later_indexes if names <= later.packages]
        return [self.target, *complete][-1]

    def targets_of(self, package: str) -> tuple[Target, ...]:
        """Return the indexes that *package* (its name) goes to, in this order."""
        return targets_for(package, self.target, self.later_indexes)

    @property
    def stage_storage(self) -> Storage:
        """The directory of the release commit in the storage, through which builds on other machines give files."""
        return Storage(self.settings.stage_storage).below(f"{self.plan.release}-{self.commit[:12]}")

    @property
    def staged_links(self) -> tuple[Path, ...]:
        """The directories of the built files, one for each package."""
        return tuple(self.record.dist(step.name) for step in self.plan.steps)

    def find_new_wheels(self) -> dict[str, Path]:
        """Return the built wheels of packages that are new to the index, of those that have one wheel alone."""
        found: dict[str, Path] = {}
        for name in self.plan.new_to_index:
            wheels = list(self.record.dist(name).glob("*.whl"))
            if len(wheels) == 1:
                found[name] = wheels[0]
        return found


def result_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return the cache key of a step's result, so that a later run of the same release finds it.

    The key covers the release, its commit, the index, the step, the package and its version, and the sha256 of the
    built files. It is hashed, because Prefect silently caches nothing under an over-long key. The results of a release
    are in one directory, so that they can be deleted with it.
    """
    job = parameters["job"]
    release: ReleaseContext = job.release
    parts = [
        release.plan.release,
        release.commit,
        release.target.check_url,
        context.task.name,
        job.step.name,
        str(job.step.version),
        *(file.sha256 for file in job.built.files),
    ]
    digest = sha256("\n".join(parts).encode()).hexdigest()
    return f"{release.plan.release}/{digest}"


@contextmanager
def explain_failure(code: ErrorCode, message: str, location: str) -> Generator[None]:
    """Give a command that fails inside the block the *code*, *message* and *location* of the step; see `failure`."""
    try:
        yield
    except ReleaseError as error:
        raise failure(code, error, message, location) from None


def retry_unless_refused(_task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Return whether a failed step is tried again: not if the same answer is certain to come back.

    Prefect asks only if attempts are left, so this is also the place to log that another attempt follows.
    """
    error = exception_of(state)
    if isinstance(error, Refusal):
        return False
    log.warning("%s failed; trying again: %s", run.name, error)
    return True


def retry_if_request_failed(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Return whether a package is staged again: only if uv could not fetch what the build needs."""
    error = exception_of(state)
    is_passing = isinstance(error, ReleaseError) and may_pass(error.output)
    return is_passing and retry_unless_refused(task, run, state)


def exception_of(state: State[Any]) -> object:
    """Return the exception that a failed step ended with; None if its *state* does not carry it."""
    if isinstance(state.data, BaseException):
        return state.data
    return getattr(state.data, "result", None)
