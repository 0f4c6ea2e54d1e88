"""The story of a rollback, with Prefect or without: look, ask, mark, take away."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from flows.draft import at_hand, open_index, open_project
from tasks import undo as tasks
from tasks.adapters.record import only_release
from tasks.survey import target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.options import RollbackOptions
    from tasks.core.rollback import Rollback


async def undo(options: RollbackOptions, agree: Callable[[Rollback], None] | None = None) -> Rollback:
    """Roll a release back, one step after the other; each can be repeated, so a killed rollback is run again.

    *agree* is shown what is going to be undone, and raises if somebody says no.
    """
    with ExitStack() as stack:
        options = stack.enter_context(at_hand(options, keep=True))
        project, repo = open_project(options)
        stack.enter_context(only_release(repo.common_dir))
        secrets = project.uv.secrets
        proposed = await tasks.find_proposed(repo, project.settings, secrets)
        doomed = tasks.find(repo, project.settings, options.release, proposed)
        target = target_of(project)
        async with open_index(project, target) as index:
            found = await tasks.look(repo, project.settings, target, doomed, index, proposed)
        if agree:
            agree(found.rollback)
        if options.dry_run:
            return found.rollback
        tasks.mark(found)
        await tasks.delete_proposed(repo, project.settings, secrets, found)
        tasks.delete_remotely(repo, project.settings, found)
        tasks.delete_here(repo, found)
        tasks.drop(repo, found)
        return found.rollback.model_copy(update={"done": True})
