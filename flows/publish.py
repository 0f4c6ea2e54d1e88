"""The whole release: `python -m flows.publish`, or the deployment `releasekit/publish`."""

if __name__ == "__main__":  # before Prefect is imported: --help and --dry-run must not pay for it
    import sys
    from runpy import run_module

    sys.argv.insert(1, "publish")
    run_module("releasekit", run_name="__main__")

from contextlib import AsyncExitStack
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.approval import PrefectConfirmation, UnattendedRun
from flows.artifacts import name_run, rename_run, show_plan, show_release_pr
from flows.final_states import end_in_error_state, final_state, pull_request_state
from flows.release_phases import run_release
from releasekit import __version__
from releasekit.operations.draft import checkout_workspace, open_project
from releasekit.operations.planning import select_release
from releasekit.operations.rehearsal import rehearsal
from releasekit.operations.release_pr import hand_off
from releasekit.operations.start_release import start_release
from releasekit.options import PublishOptions, as_flow_parameters, hands_off_to_ci
from tasks.run_logs import send_logs_to_prefect


@flow(name="releasekit", version=__version__, flow_run_name="publish")
@as_flow_parameters(PublishOptions)
@end_in_error_state
async def publish(options: PublishOptions) -> State[Any]:
    """Publish every changed package, dependencies first, and report exactly which packages were published."""
    send_logs_to_prefect()
    options.check_conflicts()
    async with AsyncExitStack() as stack:
        changes_workspace = not (options.dry_run or options.rehearse)
        options = stack.enter_context(checkout_workspace(options, keep=changes_workspace))
        options = stack.enter_context(rehearsal(options))
        project, repo = open_project(options)
        if hands_off_to_ci(options, project.settings):
            release_pr = await hand_off(options, project, repo)
            await rename_run(f"publish: {release_pr.what}", *filter(None, [release_pr.title]))
            await show_release_pr(release_pr)
            return pull_request_state(release_pr)
        if options.dry_run:
            pending = await select_release(options, project, repo)
            plan = pending.plan
            await name_run("dry run of", plan, "dry-run")
            await show_plan(plan)
            pending.refuse_obstacles()
            return Completed(message=plan.headline, data=plan)
        confirmation = PrefectConfirmation() if options.approve else UnattendedRun()
        started = await start_release(options, project, repo, confirmation, stack)
        return final_state(await run_release(started))
