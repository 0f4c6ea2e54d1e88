"""The health of a workspace: `python -m flows.check`, or the deployment `releasekit/check`."""

if __name__ == "__main__":  # before Prefect is imported: a check on a terminal must not pay for it
    from releasekit.__main__ import main

    raise SystemExit(main("check"))

from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from releasekit import __version__
from releasekit.formats.markdown import check_markdown
from releasekit.operations.draft import at_hand
from releasekit.operations.run_checks import examine
from releasekit.options import CheckOptions, flat


@flow(name="releasekit", version=__version__)
@flat(CheckOptions)
async def check(options: CheckOptions) -> State[Any]:
    """Look for what would go wrong in a release, or after it; changes nothing, and fails if there are errors."""
    with at_hand(options) as here:
        health = examine(here)
    await acreate_markdown_artifact(check_markdown(health.report), key="releasekit-check")
    return (Failed if health.report.failed else Completed)(message=health.report.summary, data=health)
