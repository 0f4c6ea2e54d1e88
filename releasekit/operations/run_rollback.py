"""A rollback, with or without Prefect: inspect the release, ask, mark it, remove it."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from releasekit.core.errors import Refusal
from releasekit.core.release.target import recorded_targets
from releasekit.operations.confirmation import AssumeYes, Proposal
from releasekit.operations.draft import checkout_workspace, open_index, open_project
from releasekit.store.record import release_lock
from tasks import rollback_steps as tasks
from tasks.read_workspace import named_targets, target_of

if TYPE_CHECKING:
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.core.release.target import Target
    from releasekit.integrations.protocols import Index
    from releasekit.operations.confirmation import Confirmation
    from releasekit.options import RollbackOptions
    from tasks.project import Project


async def run_rollback(
    options: RollbackOptions, confirmation: Confirmation | None = None
) -> Rollback:
    """Roll a release back step by step. Each step can be repeated, so a killed rollback can be run again.

    Unless it is a dry run, *confirmation* is asked first. Without *confirmation*, the caller has the yes already.
    Raises Refusal RK-NOT-CONFIRMED.
    """
    async with AsyncExitStack() as stack:
        options = stack.enter_context(checkout_workspace(options, keep=True))
        project, repo = open_project(options)
        stack.enter_context(release_lock(repo.common_dir))
        settings, secrets = project.settings, project.uv.secrets
        proposed = await tasks.find_unpublished(repo, settings, secrets)
        rollback_target = tasks.find_release(repo, settings, options.release, proposed)
        if rollback_target is None:
            return tasks.report_nothing(repo)
        targets = _index_targets(options, project, rollback_target)
        indexes: list[tuple[Target, Index]] = []
        for target in targets:
            index = await stack.enter_async_context(open_index(project, target))
            indexes.append((target, index))
        rollback_plan = await tasks.inspect_release(
            repo, settings, rollback_target, indexes, proposed, all_tags=options.all_tags
        )
        if options.dry_run:
            return rollback_plan.rollback
        await confirm_rollback(rollback_plan.rollback, confirmation or AssumeYes())
        tasks.mark_rolling_back(rollback_plan)
        await tasks.delete_unpublished(repo, settings, secrets, rollback_plan)
        tasks.delete_remote_refs(repo, settings, rollback_plan)
        tasks.delete_local_tags(repo, rollback_plan)
        tasks.delete_record(repo, rollback_plan)
        return rollback_plan.rollback.model_copy(update={"done": True})


async def confirm_rollback(rollback: Rollback, confirmation: Confirmation) -> None:
    """Show what a rollback removes, and raise Refusal RK-NOT-CONFIRMED unless the answer is yes."""
    await confirmation.show(rollback)
    answer = await confirmation.ask(Proposal(f"Roll {rollback.title} back?", rollback))
    answer.require_yes()


def _index_targets(
    options: RollbackOptions, project: Project, rollback_target: tasks.RollbackCandidate
) -> tuple[Target, ...]:
    """Return the indexes to ask: the one in the options, else those on record, else the one in the settings."""
    if not rollback_target.may_be_public:
        return ()
    recorded = rollback_target.manifest.indexes
    if options.names_index or not recorded:
        return (target_of(project),)
    candidates: list[Target] = []
    with suppress(Refusal):  # the settings may name an index that no longer exists
        candidates.append(target_of(project))
    return recorded_targets(recorded, [*candidates, *named_targets(project)])
