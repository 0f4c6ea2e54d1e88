"""The parts of a staged release, one for each platform."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.planning.model import Plan, Status, Step
from releasekit.core.release.platform_parts import (
    StagedPart,
    WorkerWait,
    first_worker_error,
    merge_parts,
    platform_outline,
    provable_packages,
    split_jobs,
    waiting_text,
    worker_error,
)
from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage, ReleaseManifest
from tests.support.builders import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

LINUX, MACOS = "linux-x86_64", "macos-arm64"
WHEELS = {
    LINUX: "core-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
    MACOS: "core-1.0-cp311-cp311-macosx_11_0_arm64.whl",
}


def step(name: str, *needs: str, platforms: tuple[str, ...] = ()) -> Step:
    """Return a step that releases version 1.0 of *name*."""
    return Step(
        order=0,
        level=0,
        name=name,
        path=name,
        current=None,
        next=Version("1.0"),
        bump="minor",
        status=Status.INCLUDED,
        reason="",
        tag=f"{name}-v1.0",
        needs=needs,
        platforms=platforms,
    )


PLAN = Plan(
    commit="c" * 40,
    release="a" * 12,
    packages=(step("core", platforms=(LINUX, MACOS)), step("lone"), step("app", "core")),
)


def package(name: str, *files: str, platform: str = "", sha256: str = "0" * 64) -> BuiltPackage:
    """Return a built package with *files*, which *platform* has built if there is one."""
    return BuiltPackage(
        name=name,
        version=Version("1.0"),
        tag=f"{name}-v1.0",
        files=tuple(BuiltFile(name=file, sha256=sha256, size=1) for file in files),
        platforms={platform: files} if platform else {},
    )


PURE = tuple(
    package(name, f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.tar.gz") for name in ("lone", "app")
)
BASE = (package("core", "core-1.0.tar.gz"), *PURE)


def part(
    *packages: BuiltPackage, platform: str = "", plan: Plan = PLAN, **changes: Any
) -> StagedPart:
    """Return a staged release, or a part of it."""
    manifest = ReleaseManifest(
        release=plan.release,
        commit=plan.commit,
        release_commit="d" * 40,
        branch="main",
        packages=packages,
        platform=platform,
    )
    return StagedPart(platform or "base", manifest.model_copy(update=changes), plan)


def part_of(platform: str, **changes: Any) -> StagedPart:
    """Return the part with the wheel of *platform*."""
    return part(package("core", WHEELS[platform], platform=platform), platform=platform, **changes)


def test_merge_adds_all_wheels() -> None:
    """The order of the parts does not matter, and each wheel is recorded with its platform."""
    parts = [part_of(MACOS), part(*BASE), part_of(LINUX)]

    core, lone, app = merge_parts(parts).packages

    assert core.file_names == tuple(sorted((*WHEELS.values(), "core-1.0.tar.gz")))
    assert core.platforms == {platform: (name,) for platform, name in WHEELS.items()}
    assert (lone, app) == PURE


UNFIT: list[tuple[Callable[[], list[StagedPart]], ErrorCode, str]] = [
    (lambda: [part_of(LINUX), part_of(MACOS)], ErrorCode.PARTS_DIFFER, "these have it: none"),
    (lambda: [part(*BASE), part(*BASE)], ErrorCode.PARTS_DIFFER, "these have it: base, base"),
    (
        lambda: [part(*BASE), part_of(LINUX)],
        ErrorCode.PLATFORM_MISSING,
        "wheels are missing: core (macos-arm64)",
    ),
    (
        lambda: [part(*BASE), part_of(LINUX), part(platform=MACOS)],
        ErrorCode.PLATFORM_MISSING,
        "wheels are missing: core (macos-arm64)",
    ),
    (
        lambda: [part(*BASE), part_of(LINUX, release_commit="e" * 40)],
        ErrorCode.PARTS_DIFFER,
        "the release commit is not that of base",
    ),
    (
        lambda: [part(*BASE), part_of(LINUX, plan=PLAN.model_copy(update={"date": "2026.01.01"}))],
        ErrorCode.PARTS_DIFFER,
        "the plan is not that of base",
    ),
    (
        lambda: [part(*BASE), part(package("core", WHEELS[MACOS], platform=LINUX), platform=LINUX)],
        ErrorCode.WHEEL_TAG,
        "not for linux-x86_64",
    ),
    (
        lambda: [
            part(*BASE),
            part_of(LINUX),
            part(package("core", WHEELS[LINUX], platform=LINUX, sha256="1" * 64), platform=LINUX),
        ],
        ErrorCode.PARTS_DIFFER,
        "has another content than elsewhere",
    ),
]


@pytest.mark.parametrize(("parts", "code", "said"), UNFIT, ids=range(len(UNFIT)))
def test_unfit_parts_are_refused(
    parts: Callable[[], list[StagedPart]], code: ErrorCode, said: str
) -> None:
    """Parts of another release or commit, with other contents, or with wheels for another machine do not fit."""
    with pytest.raises(Refusal) as caught:
        merge_parts(parts())
    assert caught.value.code is code
    assert said in caught.value.message


def test_proof_needs_installable_closure() -> None:
    """A package is proven where it and all that it brings have a wheel."""
    core = package("core", "core-1.0.tar.gz", *WHEELS.values())
    linux, windows = frozenset({"manylinux_2_17_x86_64"}), frozenset({"win_amd64"})

    assert [built.name for built in provable_packages(PLAN, BASE, linux)] == ["lone"]
    assert [built.name for built in provable_packages(PLAN, (core, *PURE), linux)] == [
        "core",
        "lone",
        "app",
    ]
    assert [built.name for built in provable_packages(PLAN, (core, *PURE), windows)] == ["lone"]


def test_worker_error_names_the_reason() -> None:
    """The first line of what a worker says is in the message, and all of it in the output."""
    output = "core: RK-BUILD-FAILED: core 1.0 did not build\nerror: no compiler"

    error = worker_error("the worker of the queue linux could not build core", "flow run x", output)

    assert error.code is ErrorCode.STAGE_ON_FAILED
    assert error.message.endswith(
        "could not build core: core: RK-BUILD-FAILED: core 1.0 did not build"
    )
    assert error.output == output
    assert worker_error("no wheels", "s3://bucket", "").message == "no wheels"


def test_jobs_split_many_packages() -> None:
    """Each run of a worker gets so many packages, and only those that name its platform."""
    plan = PLAN.model_copy(
        update={"packages": tuple(step(f"p{number}", platforms=(LINUX,)) for number in range(5))}
    )
    assert list(split_jobs(plan, LINUX, 2)) == [("p0", "p1"), ("p2", "p3"), ("p4",)]
    assert not list(split_jobs(plan, MACOS, 2))


TWO_QUEUES = {LINUX: {"queue": "linux"}, MACOS: {}}
STORAGE = "s3://bucket/wheels"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, "stage_storage is not set"),
        ({"stage_storage": STORAGE, "push": False}, "push is off, so workers cannot fetch"),
        ({"stage_storage": STORAGE, "record": "never"}, 'record = "never", so no Prefect server'),
        ({"stage_storage": STORAGE}, ""),
    ],
)
def test_dry_run_names_builders(keys: dict[str, object], reason: str) -> None:
    """A dry run says which queue builds the wheels of each platform, and why the release would be refused."""
    settings = settings_of(platforms=TWO_QUEUES, **keys)

    linux, macos, *refused = platform_outline(PLAN, settings, stage_only=False)
    staged = list(platform_outline(PLAN, settings, stage_only=True))

    assert linux == f"the wheels of core for {LINUX} are built by workers of the queue linux"
    assert macos.endswith(f"by workers of the queue {MACOS}")
    assert [reason in line for line in refused] == ([True] if reason else [])
    assert staged[0].endswith(f"for {LINUX} are built by `publish --stage-only --platform {LINUX}`")
    assert len(staged) == 2


def test_waiting_release_names_its_queue() -> None:
    """Somebody who waits learns which queue, whether it has workers, and how to start one."""
    wait = WorkerWait(LINUX, "linux", "pool", "releasekit/stage-on", "brave-owl", has_workers=False)

    text = waiting_text(wait)

    assert "wait for the queue linux of the work pool pool, which no worker asks for work" in text
    assert "flow run brave-owl of releasekit/stage-on" in text
    assert text.endswith("`prefect worker start --pool pool --work-queue linux`")
    assert "whose workers are busy" in waiting_text(replace(wait, has_workers=True))


def test_workers_tell_all_errors() -> None:
    """If several workers fail, the error of the first one also has what the others say."""
    first = worker_error("could not build core", "flow run a", "core: RK-BUILD-FAILED: no cc")
    second = worker_error("could not build gear", "flow run b", "gear: RK-BUILD-FAILED: no ninja")

    error = first_worker_error([first, second])

    assert isinstance(error, ReleaseError)
    assert (error.code, error.message) == (ErrorCode.STAGE_ON_FAILED, first.message)
    assert "no cc" in error.output
    assert "no ninja" in error.output
    assert first_worker_error([first]) is first
    bug = ValueError("a bug")
    assert first_worker_error([bug, first]) is bug
