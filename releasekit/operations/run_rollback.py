"""A rollback, with Prefect or without: inspect the release, ask, mark it, remove it."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from releasekit.core.errors import Refusal
from releasekit.core.release.target import recorded_targets
from releasekit.operations.confirmation import AssumeYes, Proposal
from releasekit.operations.draft import at_hand, open_index, open_project
from releasekit.store.record import release_lock
from tasks import rollback_steps as tasks
from tasks.read_workspace import named_targets, target_of

if TYPE_CHECKING:
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.core.release.target import Target
    from releasekit.operations.confirmation import Confirmation
    from releasekit.options import RollbackOptions
    from tasks.project import Project


async def undo(options: RollbackOptions, confirmation: Confirmation | None = None) -> Rollback:
    """Roll a release back, one step after the other; each can be repeated, so a killed rollback is run again.

    Unless it is a dry run, *confirmation* is asked first; without one, whoever calls has the yes already.
    Raises Refusal RK-NOT-CONFIRMED.
    """
    async with AsyncExitStack() as stack:
        options = stack.enter_context(at_hand(options, keep=True))
        project, repo = open_project(options)
        stack.enter_context(release_lock(repo.common_dir))
        settings, secrets = project.settings, project.uv.secrets
        proposed = await tasks.find_proposed(repo, settings, secrets)
        doomed = tasks.find(repo, settings, options.release, proposed)
        if doomed is None:
            return tasks.report_nothing(repo)
        targets = _targets(options, project, doomed)
        indexes = [(target, await stack.enter_async_context(open_index(project, target))) for target in targets]
        found = await tasks.look(repo, settings, doomed, indexes, proposed, all_tags=options.all_tags)
        if options.dry_run:
            return found.rollback
        await ask_to_undo(found.rollback, confirmation or AssumeYes())
        tasks.mark(found)
        await tasks.delete_proposed(repo, settings, secrets, found)
        tasks.delete_remotely(repo, settings, found)
        tasks.delete_here(repo, found)
        tasks.drop(repo, found)
        return found.rollback.model_copy(update={"done": True})


async def ask_to_undo(found: Rollback, confirmation: Confirmation) -> None:
    """Show what a rollback removes, and raise Refusal RK-NOT-CONFIRMED unless the answer is yes."""
    await confirmation.show(found)
    answer = await confirmation.ask(Proposal(f"Roll {found.title} back?", found))
    answer.require_yes()


def _targets(options: RollbackOptions, project: Project, doomed: tasks.Doomed) -> tuple[Target, ...]:
    """Return the indexes to ask: the one that is named, else those on record, else where the settings publish to."""
    if not doomed.may_be_public:
        return ()
    recorded = doomed.manifest.indexes if doomed.manifest else ()
    if options.names_index or not recorded:
        return (target_of(project),)
    known: list[Target] = []
    with suppress(Refusal):  # the settings may name an index that is gone
        known.append(target_of(project))
    return recorded_targets(recorded, [*known, *named_targets(project)])
