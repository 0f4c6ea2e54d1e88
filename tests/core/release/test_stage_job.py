"""The value from which a package is staged, and the key of its result."""

from __future__ import annotations

import pickle

import pytest
from packaging.version import Version

from releasekit.core.config.settings import VerifyWaiver
from releasekit.core.release.stage_job import StageJob

JOB = StageJob(
    release="0123456789ab",
    commit="c" * 40,
    epoch=1,
    path="packages/app",
    name="app",
    version=Version("1.1"),
    tag="app-v1.1",
    pins="exact",
    versions={"core": Version("2")},
    limits={},
    build_needs=("core",),
    need_sums=("a" * 64,),
    record="/here/record",
    build_timeout=10,
)


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "d" * 40},
        {"epoch": 2},
        {"version": Version("1.2")},
        {"pins": "compatible"},
        {"versions": {"core": Version("3")}},
        {"limits": {"core": Version("3")}},
        {"older": ("core<2",)},
        {"need_sums": ("b" * 64,)},
        {"platform": "linux-x86_64"},
        {"siblings": ("core",)},
        {"verify_ignore": (VerifyWaiver(rule="mode", package="app", reason="x"),)},
    ],
)
def test_key_covers_the_build(change: dict[str, object]) -> None:
    """Whatever decides what is built gives another key, within the directory of the release."""
    other = JOB.model_copy(update=change)

    assert other.key != JOB.key
    assert other.key.startswith("0123456789ab/")


def test_key_ignores_the_machine() -> None:
    """The same package staged elsewhere has the same key; the job survives a pickle and JSON on its way there."""
    elsewhere = {
        "record": "/there",
        "uv": "/bin/uv",
        "python": "3.12",
        "secrets": {"UV_INDEX_X": "X"},
    }

    assert JOB.model_copy(update=elsewhere).key == JOB.key
    assert pickle.loads(pickle.dumps(JOB)) == JOB  # noqa: S301  our own value
    assert StageJob.model_validate_json(JOB.model_dump_json()) == JOB
