"""Check the health of a workspace: `python -m flows.check`, or the deployment `releasekit/check`."""

if __name__ == "__main__":  # before Prefect is imported: a check on a terminal must not pay for it
    import sys
    from runpy import run_module

    sys.argv.insert(1, "check")
    run_module("releasekit", run_name="__main__")

from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.final_states import end_in_error_state
from releasekit import __version__
from releasekit.formats.markdown import check_markdown
from releasekit.operations.draft import checkout_workspace
from releasekit.operations.run_checks import check_workspace
from releasekit.options import CheckOptions, as_flow_parameters
from tasks.run_logs import send_logs_to_prefect


@flow(name="releasekit", version=__version__)
@as_flow_parameters(CheckOptions)
@end_in_error_state
async def check(options: CheckOptions) -> State[Any]:
    """Find what would go wrong in a release or after it. Nothing is changed; the run fails if there are errors."""
    send_logs_to_prefect()
    with checkout_workspace(options) as here:
        health = await check_workspace(here)
    await acreate_markdown_artifact(check_markdown(health.report), key="releasekit-check")
    return (Failed if health.report.has_errors else Completed)(
        message=health.report.summary, data=health
    )
