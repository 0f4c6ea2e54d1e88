"""What would be released, and why: `python -m flows.plan`, or the deployment `releasekit/plan`."""

if __name__ == "__main__":  # before Prefect is imported: a plan on a terminal must not pay for it
    from flows.cli import run_command

    raise SystemExit(run_command("plan"))

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact

from flows.draft import at_hand, draft, open_project
from flows.options import PlanOptions, flat
from releasekit import __version__
from tasks.core.formats.markdown import plan_markdown
from tasks.core.plan import Plan


@flow(name="releasekit", version=__version__)
@flat(PlanOptions)
async def plan(options: PlanOptions) -> Plan:
    """Decide what would be released, and leave it as an artifact; changes nothing."""
    with at_hand(options) as here:
        decided = (await draft(here, *open_project(here))).plan
    await acreate_markdown_artifact(plan_markdown(decided), key="releasekit-plan")
    return decided
