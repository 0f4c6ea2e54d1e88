"""The jobs of a GitHub workflow that build native wheels, one for each platform."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from releasekit.core.config.platforms import system_and_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.config.settings import Platform

_RUNNERS: Mapping[tuple[str, str], str] = {
    ("linux", "arm64"): "ubuntu-24.04-arm",
    ("macos", "arm64"): "macos-latest",
    ("macos", "x86_64"): "macos-15-intel",
    ("macos", ""): "macos-latest",
    ("windows", "arm64"): "windows-11-arm",
    ("windows", "x86_64"): "windows-latest",
    ("windows", ""): "windows-latest",
}
_DEFAULT_RUNNER = "ubuntu-latest"

_STAGE_JOB, _PUBLISH_JOB = "\n  stage:\n", "\n  publish:\n"
_STAGE_HEAD = "\n  stage:\n    needs: manifest\n    runs-on: ubuntu-latest\n"
_STAGE_COMMAND = "publish --stage-only --manifest planned/manifest.json --output staged"
_PART_COMMAND = (
    'publish --stage-only --platform "$PLATFORM" --manifest staged/manifest.json --output part'
)
_PUBLISH_COMMAND = '      - run: uvx "$RELEASEKIT" publish --yes --manifest staged/manifest.json'
_STAGED_ARTIFACT = "          name: staged\n          path: staged\n"
_PLANNED_ARTIFACT = "          name: planned\n          path: planned\n"
_PART_ARTIFACT = "          name: part-${{ matrix.platform }}\n          path: part\n"
_ALL_PARTS = "          pattern: part-*\n          path: parts\n"


def runner_of(name: str, platform: Platform) -> str:
    """Return the label of the GitHub runner for the *platform* with this *name*: its own, or one that fits the name."""
    return platform.runner or _RUNNERS.get(system_and_machine(name), _DEFAULT_RUNNER)


def with_wheel_jobs(workflow: str, platforms: Mapping[str, Platform]) -> str:
    """Return the publishing *workflow* with a job that builds the wheels of each of *platforms*, if there are any.

    The job is like the one that stages the release. The last job merges the parts before it publishes.
    """
    if not platforms:
        return workflow
    before, stage_name, rest = workflow.partition(_STAGE_JOB)
    stage_job, publish_name, publish_job = rest.partition(_PUBLISH_JOB)
    stage_text = f"{stage_name}{stage_job}"
    return "".join(
        (
            before,
            stage_text,
            _wheel_job(stage_text, platforms),
            publish_name,
            _merging_job(publish_job, platforms),
        )
    )


def _wheel_job(stage_job: str, platforms: Mapping[str, Platform]) -> str:
    rows = "".join(
        f"          - platform: {json.dumps(name)}\n            runner: {json.dumps(runner_of(name, platform))}\n"
        for name, platform in platforms.items()
    )
    head = (
        "\n  wheels:\n    needs: stage\n    strategy:\n      matrix:\n        include:\n"
        f"{rows}    runs-on: ${{{{ matrix.runner }}}}\n"
        "    env:\n      PLATFORM: ${{ matrix.platform }}\n"
        "    defaults:\n      run:\n        shell: bash\n"
    )
    return (
        stage_job.replace(_STAGE_HEAD, head)
        .replace(_STAGED_ARTIFACT, _PART_ARTIFACT)
        .replace(_PLANNED_ARTIFACT, _STAGED_ARTIFACT)
        .replace(_STAGE_COMMAND, _PART_COMMAND)
    )


def _merging_job(publish_job: str, platforms: Mapping[str, Platform]) -> str:
    before, _, after = publish_job.partition(_STAGED_ARTIFACT)
    download = before[before.rindex("      - uses:") :]
    parts = " ".join(f"parts/part-{name}" for name in platforms)
    merge = f'      - run: uvx "$RELEASEKIT" merge staged {parts} --output merged\n'
    publish = _PUBLISH_COMMAND.replace("staged/", "merged/")
    after = after.replace(_PUBLISH_COMMAND, f"{download}{_ALL_PARTS}{merge}{publish}")
    return f"{before}{_STAGED_ARTIFACT}{after}".replace(
        "    needs: stage\n", "    needs: [stage, wheels]\n", 1
    )
