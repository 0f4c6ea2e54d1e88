"""The release pull request: `python -m flows.prepare`, or the deployment `releasekit/prepare`."""

if __name__ == "__main__":  # before Prefect is imported: on a terminal it is not needed
    import sys
    from runpy import run_module

    sys.argv.insert(1, "prepare")
    run_module("releasekit", run_name="__main__")

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import rename_run, show_release_pr
from flows.final_states import end_in_error_state, pull_request_state
from releasekit import __version__
from releasekit.operations.release_pr import propose
from releasekit.options import PrepareOptions, as_flow_parameters
from tasks.run_logs import send_logs_to_prefect


@flow(name="releasekit", version=__version__, flow_run_name="prepare")
@as_flow_parameters(PrepareOptions)
@end_in_error_state
async def prepare(options: PrepareOptions) -> State[Any]:
    """Create or update the release pull request. When it is merged, the changed packages can be published."""
    send_logs_to_prefect()
    release_pr = await propose(options)
    await rename_run(f"prepare: {release_pr.what}", "prepare")
    await show_release_pr(release_pr)
    return pull_request_state(release_pr)
