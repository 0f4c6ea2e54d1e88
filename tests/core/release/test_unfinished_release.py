"""How a release stands: from what there is to see, to how far each package is and the next command."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage, ReleaseManifest
from releasekit.core.release.unfinished_release import (
    ReleaseStatus,
    ReleaseTraces,
    describe_release,
    unfinished_note,
)
from tests.support.builders import SHA, plan_of

COMMIT = "beef" * 10
WHEEL, SDIST = "core-1.1-py3-none-any.whl", "core-1.1.tar.gz"
RECOVER = "releasekit publish --resume-from-registry"

DATED = "release-2026.11.22"
"""The umbrella tag of the release of core and app."""


def traces_of(**changes: Any) -> ReleaseTraces:
    """Return the traces of a release of core and app in which only core is built."""
    plan = plan_of("app: core", "core:")
    files = tuple(BuiltFile(name=name, sha256=f"sha of {name}", size=1) for name in (WHEEL, SDIST))
    package = BuiltPackage(name="core", version=Version("1.1"), tag="core-v1.1", files=files)
    fields = {
        name: changes.pop(name) for name in tuple(changes) if name in ReleaseManifest.model_fields
    }
    told: dict[str, Any] = {"by": "Ada", "host": "laptop", "packages": (package,), **fields}
    manifest = ReleaseManifest(
        release=plan.release, commit=SHA, release_commit=COMMIT, branch="main", **told
    )
    traces = ReleaseTraces("record", plan.release, "/record", plan, manifest, remote="origin")
    return replace(traces, **changes)


def commands(traces: ReleaseTraces, running: str = "") -> list[str]:
    """Return the next command, then what else can be done."""
    release = describe_release(traces, running)
    return [each.command for each in (release.next, *release.others)]


@pytest.mark.parametrize(
    ("listed", "progress", "published"),
    [
        (None, "built", None),
        ({}, "built", 0),
        ({WHEEL: f"sha of {WHEEL}"}, "partly_uploaded", 0),
        ({WHEEL: ""}, "partly_uploaded", 0),
        ({WHEEL: f"sha of {WHEEL}", SDIST: ""}, "uploaded", 1),
        ({WHEEL: f"sha of {WHEEL}", SDIST: f"sha of {SDIST}"}, "confirmed", 1),
        ({WHEEL: f"sha of {WHEEL}", SDIST: "another"}, "differs", 0),
    ],
)
def test_progress_compares_files_with_index(
    listed: dict[str, str] | None, progress: str, published: int | None
) -> None:
    """A package is confirmed when the index lists each file with its sha256; what is not built is planned."""
    release = describe_release(traces_of(index_files=None if listed is None else {"core": listed}))

    assert {package.name: package.progress for package in release.packages} == {
        "core": progress,
        "app": "planned",
    }
    assert release.published == published
    if progress == "differs":
        assert (release.next.command, release.others) == ("releasekit rollback", ())


def test_tags_count_on_release_commit() -> None:
    """A tag counts where it is on the release commit, and nowhere else."""
    release = describe_release(
        traces_of(tags_here={"core-v1.1": COMMIT, "app-v1.1": SHA}, tags_there={DATED: COMMIT})
    )

    assert {p.name: (p.tagged_here, p.tagged_there) for p in release.packages} == {
        "core": (True, False),
        "app": (False, False),
    }
    assert (release.umbrella_here, release.umbrella_there) == (False, True)
    unasked = describe_release(traces_of())
    assert (unasked.umbrella_there, unasked.packages[0].tagged_there) == (None, None)


@pytest.mark.parametrize(
    ("changes", "stage", "wanted"),
    [
        ({}, "begun", ["releasekit publish", "releasekit rollback"]),
        ({"packages": ()}, "begun", ["releasekit publish", "releasekit rollback"]),
        ({"missing_files": {WHEEL}, "index_files": {"core": {}}}, "begun", [RECOVER, "releasekit rollback"]),
        ({"missing_files": {WHEEL}, "index_files": {"core": {WHEEL: f"sha of {WHEEL}"}}}, "begun",
         ["releasekit publish", "releasekit rollback"]),
        ({"moved": True}, "begun", ["releasekit publish", "releasekit rollback"]),
        ({"staged": True}, "staged",
         ["releasekit publish", "releasekit publish --stage-only", "releasekit rollback"]),
        ({"undoing": True}, "undoing", ["releasekit rollback"]),
        ({"held": SHA, "lock": "none"}, "taken_over", ["git fetch --tags", "releasekit rollback"]),
        ({"held": SHA, "lock": "other"}, "taken_over", ["git fetch --tags", "releasekit rollback"]),
        ({"held": SHA, "lock": "mine"}, "begun", ["releasekit publish", "releasekit rollback"]),
        ({"held": SHA, "lock": "unasked"}, "begun", ["releasekit publish", "releasekit rollback"]),
        ({"has_plan": False}, "importing", ["releasekit publish --manifest FILE", "releasekit rollback"]),
        ({"damage": "it is torn"}, "damaged", [RECOVER, "releasekit rollback"]),
        ({"damage": "it is torn", "plan": None, "manifest": None}, "damaged", ["releasekit rollback"]),
        ({"source": "copy"}, "orphaned", [RECOVER, "releasekit rollback"]),
        ({"source": "copy", "plan": None, "manifest": None}, "orphaned", ["git update-ref -d /record"]),
    ],
)  # fmt: skip
def test_each_stage_has_its_commands(
    changes: dict[str, Any], stage: str, wanted: list[str]
) -> None:
    """Each kind of unfinished release has its name and its commands."""
    traces = traces_of(**changes)

    assert (describe_release(traces).stage, commands(traces)) == (stage, wanted)


@pytest.mark.parametrize(
    ("changes", "stage", "first"),
    [
        ({"source": "remote", "lock": "other"}, "elsewhere", RECOVER),
        ({"source": "pull"}, "proposed", ""),
        ({"source": "pull", "pull_state": "open"}, "proposed", ""),
        ({"source": "pull", "pull_state": "closed"}, "closed", "releasekit prepare"),
        (
            {"source": "pull", "pull_state": "merged"},
            "merged",
            "releasekit publish --publish-from ci",
        ),
        ({"source": "draft"}, "draft", f"releasekit publish --manifest {DATED}"),
    ],
)
def test_release_elsewhere_needs_its_id(changes: dict[str, Any], stage: str, first: str) -> None:
    """What is not on record here is abandoned by its id."""
    traces = traces_of(**changes)
    found = commands(traces)

    assert (describe_release(traces).stage, found[0]) == (stage, first)
    assert found[-1] == f"releasekit rollback {traces.release}"
    assert not any(
        file.here for package in describe_release(traces).packages for file in package.files
    )


def test_running_release_allows_only_status() -> None:
    """A process that runs is waited for, whatever it does; of one on another machine nobody can be sure."""
    holder = "process 12 on laptop since noon"

    assert (
        commands(traces_of(), holder)
        == commands(traces_of(undoing=True), holder)
        == ["releasekit status"]
    )
    assert describe_release(traces_of(undoing=True), holder).what.startswith(
        f"Release {DATED} is being rolled back now by process 12 on laptop"
    )
    perhaps = describe_release(traces_of(), "", holder)
    assert (perhaps.stage, holder in perhaps.notes[0]) == ("begun", True)


def test_unfinished_release_has_one_sentence() -> None:
    """One sentence says how far it is, and the plan has one line."""
    half = traces_of(index_files={"core": {WHEEL: f"sha of {WHEEL}", SDIST: f"sha of {SDIST}"}})
    release = describe_release(half)

    assert release.what == f"Release {DATED} is unfinished: 1 of 2 packages published."
    so = "is unfinished (1 of 2 packages published); `releasekit status` shows it"
    assert unfinished_note(release) == f"note: release {DATED} {so}"
    unknown = unfinished_note(describe_release(traces_of()))
    assert unknown == f"note: release {DATED} is unfinished; `releasekit status` shows it"
    assert describe_release(traces_of(packages=())).what == (
        f"Release {DATED} is unfinished: 2 packages planned, none built."
    )
    ahead = describe_release(traces_of(ahead=2))
    assert ahead.notes == ("2 commits since then are not in this release",)
    running = ReleaseStatus(running="process 12")
    assert running.headline == "No release is unfinished; releasekit is running here: process 12."
    assert ReleaseStatus(releases=(release,)).headline == "1 unfinished release"
