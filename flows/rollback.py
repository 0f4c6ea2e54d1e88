"""Abandon one release: `python -m flows.rollback`, or the deployment `releasekit/rollback`."""

# Before Prefect is imported: a rollback on a terminal must not pay for it.
if __name__ == "__main__":
    import sys
    from runpy import run_module

    sys.argv.insert(1, "rollback")
    run_module("releasekit", run_name="__main__")

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact

from flows.final_states import end_in_error_state
from releasekit import __version__
from releasekit.core.release.rollback_plan import Rollback
from releasekit.formats.markdown import rollback_markdown
from releasekit.operations.run_rollback import run_rollback
from releasekit.options import RollbackOptions, as_flow_parameters
from tasks.run_logs import send_logs_to_prefect


@flow(name="releasekit", version=__version__)
@as_flow_parameters(RollbackOptions)
@end_in_error_state
async def rollback(options: RollbackOptions) -> Rollback:
    """Abandon a release: delete its tags, worktree and record, and show how to continue."""
    send_logs_to_prefect()
    undone = await run_rollback(options)
    await acreate_markdown_artifact(rollback_markdown(undone), key="releasekit-rollback")
    return undone
