"""The release pull request: `python -m flows.prepare`, or the deployment `releasekit/prepare`."""

if __name__ == "__main__":  # before Prefect is imported: on a terminal it is not needed
    from releasekit.__main__ import main

    raise SystemExit(main("prepare"))

from prefect import flow

from flows.artifacts import record_our_lines, rename_run, show_pull
from releasekit import __version__
from releasekit.core.release.pr_status import ReleasePull
from releasekit.operations.release_pr import propose
from releasekit.options import PrepareOptions, flat


@flow(name="releasekit", version=__version__, flow_run_name="prepare")
@flat(PrepareOptions)
async def prepare(options: PrepareOptions) -> ReleasePull:
    """Make the pull request that releases what has changed when it is merged, or bring it up to date."""
    record_our_lines()
    found = await propose(options)
    await rename_run(f"prepare: {found.what}", "prepare")
    await show_pull(found)
    return found
