"""The jobs of the GitHub workflow that build native wheels."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from releasekit.core.adoption.wheel_jobs import runner_of, with_wheel_jobs
from releasekit.core.config.settings import Platform

TEMPLATE = (Path(__file__).parents[3] / "releasekit/templates/github/publish.yml").read_text()


def test_each_platform_has_a_job() -> None:
    """Every platform builds on its runner from what was staged; the last job merges all parts, and publishes that."""
    platforms = {
        "linux-x86_64": Platform.model_validate({}),
        "gpu": Platform.model_validate({"runner": "self-hosted"}),
    }

    jobs = yaml.safe_load(with_wheel_jobs(TEMPLATE, platforms))["jobs"]

    assert list(jobs) == ["manifest", "stage", "wheels", "publish", "smoke-test"]
    assert jobs["wheels"]["strategy"]["matrix"]["include"] == [
        {"platform": "linux-x86_64", "runner": "ubuntu-latest"},
        {"platform": "gpu", "runner": "self-hosted"},
    ]
    assert jobs["wheels"]["permissions"] == {"contents": "read"}
    stage, wheels, publish = (
        [step.get("with", step.get("run")) for step in jobs[name]["steps"][2:]]
        for name in (
            "stage",
            "wheels",
            "publish",
        )
    )
    assert stage[0] == {"name": "planned", "path": "planned"}
    assert stage[-1] == {"name": "staged", "path": "staged", "if-no-files-found": "error"}
    command = (
        'publish --stage-only --platform "$PLATFORM" --manifest staged/manifest.json --output part'
    )
    assert wheels == [
        {"name": "staged", "path": "staged"},
        f'uvx "$RELEASEKIT" {command}',
        {"name": "part-${{ matrix.platform }}", "path": "part", "if-no-files-found": "error"},
    ]
    assert (jobs["wheels"]["needs"], jobs["publish"]["needs"]) == ("stage", ["stage", "wheels"])
    assert publish == [
        {"name": "staged", "path": "staged"},
        {"pattern": "part-*", "path": "parts"},
        'uvx "$RELEASEKIT" merge staged parts/part-linux-x86_64 parts/part-gpu --output merged',
        (
            'uvx "$RELEASEKIT" publish --yes --manifest merged/manifest.json --skip-smoke-test'
            " --format html > release.html"
        ),
        {"name": "release-report", "path": "release.html"},
    ]
    assert "GITHUB_TOKEN" in jobs["publish"]["steps"][-2]["env"]


def test_workflow_without_platforms_stays() -> None:
    """Pure packages need no more jobs."""
    assert with_wheel_jobs(TEMPLATE, {}) == TEMPLATE


@pytest.mark.parametrize(
    ("name", "runner"),
    [
        ("linux-x86_64", "ubuntu-latest"),
        ("linux-aarch64", "ubuntu-24.04-arm"),
        ("macos-arm64", "macos-latest"),
        ("macos-x86_64", "macos-15-intel"),
        ("windows-amd64", "windows-latest"),
        ("gpu", "ubuntu-latest"),
    ],
)
def test_name_suggests_the_runner(name: str, runner: str) -> None:
    """Without `runner`, the name of the platform says which machine it needs."""
    assert runner_of(name, Platform.model_validate({})) == runner
