"""What becomes of uploads when the index goes wrong: real uv, a real Prefect, and an index that fails by script."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import repeat
from threading import Event
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.release_manifest import BuiltPackage
from releasekit.core.release.report import PackageOutcome
from releasekit.core.release.target import Target
from releasekit.integrations import http
from releasekit.integrations.filesystem import describe_file
from releasekit.integrations.index import SimpleIndex
from releasekit.integrations.process import run
from releasekit.integrations.uv import find_uv
from releasekit.store.record import Record
from tests.conftest import write_package
from tests.support.builders import attestation, plan_of, settings_of
from tests.support.fault_index import (
    ALL,
    ERROR,
    HIDDEN,
    INVALID,
    QUOTA,
    SILENT,
    STORED,
    FaultIndex,
    fault_index,
)
from tests.tables.fault_table import CASES, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from releasekit.core.release.report import PackageReport
    from tasks.context import ReleaseContext
    from tests.support.fault_index import Fault

    Faulty = Callable[[FaultIndex], object]

pytestmark = pytest.mark.usefixtures("unrecorded")


@pytest.fixture
def faulty() -> Generator[FaultIndex]:
    """Run an index of the test's own."""
    with fault_index() as index:
        yield index


@dataclass(frozen=True)
class Scene:
    """A release that is built, and the index that it goes to."""

    release: ReleaseContext
    built: Mapping[str, BuiltPackage]
    index: FaultIndex

    def publish(
        self,
        *,
        delay: float = 0,
        ends: Event | None = None,
        legacy: bool = False,
        **settings: object,
    ) -> dict[str, PackageReport]:
        """Publish it, with these settings, as one run does; but all delays between attempts are *delay* seconds.

        It is cancelled when *ends* is set. With *legacy* the upload address is like that of PyPI.
        """
        from flows.event_flush import without_server
        from flows.scheduling import publish_all
        from tasks import upload

        chosen = settings_of(**{"smoke_test": False, "confirm_timeout": 30, **settings})
        upload_url = f"{self.index.url}/legacy/" if legacy else self.index.publish_url
        target = Target(self.index.simple_url, upload_url)
        release = replace(self.release, settings=chosen, target=target)
        reports: list[PackageReport] = []

        async def story() -> None:
            async with http.client(sleep=_at_once) as web:
                reports.extend(
                    await publish_all(release, self.built, SimpleIndex(target.check_url, web))
                )

        async def main() -> None:
            running = asyncio.ensure_future(story())
            if ends:
                await asyncio.to_thread(ends.wait, 60)
                running.cancel()
            await running

        with pytest.MonkeyPatch.context() as patch, without_server():
            patch.setattr(upload, "upload", upload.upload.with_options(retry_delay_seconds=delay))
            asyncio.run(main())
        return {report.name: report for report in reports}


async def _at_once(_: float) -> None:
    """Don't wait."""


@pytest.fixture
def scene(
    tmp_path: Path,
    faulty: FaultIndex,
    ready: Callable[[str, Path], BuiltPackage],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Scene]:
    """Return a function that sets the scene for a graph such as "app: core; core"."""
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "opensesame")

    def make(graph: str) -> Scene:
        from tasks.context import ReleaseContext

        # Named after the test, for Prefect keeps what a release has done.
        plan = plan_of(*graph.split("; ")).model_copy(
            update={"release": sha256(bytes(tmp_path)).hexdigest()[:12]}
        )
        record = Record(tmp_path / "record")
        record.worktree.mkdir(parents=True)
        built = {step.name: ready(step.name, record.dist(step.name)) for step in plan.steps}
        uv = replace(find_uv(), python=sys.executable)
        nowhere = Target("http://127.0.0.1:9", "http://127.0.0.1:9")
        return Scene(
            ReleaseContext(plan, record, settings_of(), nowhere, uv, ".", "main"), built, faulty
        )

    return make


@pytest.fixture(scope="session")
def ready(built: Callable[..., tuple[Path, ...]]) -> Callable[[str, Path], BuiltPackage]:
    """Return a function that puts the files of a package into a release record, built once."""
    kept: dict[str, tuple[Path, ...]] = {}

    def put(name: str, place: Path) -> BuiltPackage:
        if name not in kept:
            kept[name] = built(name, "1.1")
        place.mkdir(parents=True)
        for file in kept[name]:
            shutil.copy(file, place)
        described = tuple(describe_file(place / file.name) for file in kept[name])
        return BuiltPackage(name=name, version=Version("1.1"), tag=f"{name}-v1.1", files=described)

    return put


def test_attestation_goes_with_its_file(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """What lies beside a file as its attestation is sent with it, and only with it; or not at all."""
    here = scene("core:; lone:")
    files = {name: [file.name for file in package.files] for name, package in here.built.items()}
    attestations: dict[str, bytes] = {}
    for name, package in here.built.items():
        place, file = here.release.record.dist(name), package.files[0]
        attestations[name] = attestation((file.name, file.sha256))
        (place / f"{file.name}.publish.attestation").write_bytes(attestations[name])
        (place / "other-1.0.tar.gz.publish.attestation").write_text("{}")

    without = replace(here, built={"core": here.built["core"]}, release=only(here.release, "core"))
    assert without.publish(attestations=False)["core"].outcome == "confirmed"
    assert here.publish()["lone"].outcome == "confirmed"

    sent = {upload.file: upload.attested for upload in faulty.uploads}
    attested = sent.pop(files["lone"][0])
    assert json.loads(attested) == [json.loads(attestations["lone"])]
    assert sent == dict.fromkeys([*files["core"], *files["lone"][1:]], "")


def test_smoke_test_asks_again(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """If uv remembers a page without the new version, though the package seemed new, it looks again."""
    here = scene("core:")
    faulty.files["core"] = {"core-1.0.tar.gz": b""}
    faulty.max_age = 600
    uv = here.release.uv
    remember = uv.resolve_command(
        here.release.record.worktree, ["core"], [], (faulty.simple_url,), ()
    )
    run(replace(remember, ok_codes=frozenset({0, 1, 2})))
    plan = here.release.plan.model_copy(update={"new_to_index": ("core",)})

    report = replace(here, release=replace(here.release, plan=plan)).publish(smoke_test=True)[
        "core"
    ]

    assert (report.outcome, report.error) == ("confirmed", "")


def test_smoke_test_installs_built_file(
    scene: Callable[[str], Scene], faulty: FaultIndex, tmp_path: Path
) -> None:
    """After a rollback the same version comes with other content: what uv remembers of the first one proves nothing."""
    here = scene("core:")
    faulty.max_age = 600
    plan = here.release.plan.model_copy(update={"new_to_index": ("core",)})
    first = here.built["core"].model_copy(update={"imports": ("core",)})
    here = replace(here, built={"core": first}, release=replace(here.release, plan=plan))
    assert here.publish(smoke_test=True)["core"].outcome == "confirmed"

    faulty.clear()
    place, module = here.release.record.dist("core"), tmp_path / "core/src/core/__init__.py"
    write_package(tmp_path / "core", "core", "1.1")
    module.write_text("raise RuntimeError('does not import')\n")
    run(here.release.uv.build_command(tmp_path / "core", place, [], {}, 120))
    files = tuple(describe_file(place / file.name) for file in first.files)
    second = first.model_copy(update={"files": files})
    report = replace(here, built={"core": second}).publish(smoke_test=True)["core"]

    assert "does not import" in report.output
    assert report.error.startswith(str(ErrorCode.SMOKE_TEST_FAILED))


def test_attestation_of_other_file_stops(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """An attestation that is not of the very file beside it is sent nowhere, and neither is the file."""
    here = scene("core:")
    first, second = here.built["core"].files
    path = here.release.record.dist("core") / f"{first.name}.publish.attestation"
    path.write_bytes(attestation((second.name, second.sha256)))

    report = here.publish()["core"]

    assert report.error.startswith(f"RK-RECORD-INVALID: it attests {second.name} ")
    assert faulty.uploads == []


def only(release: ReleaseContext, name: str) -> ReleaseContext:
    """Return *release* without the other packages."""
    steps = tuple(step for step in release.plan.packages if step.name == name)
    return replace(release, plan=release.plan.model_copy(update={"packages": steps}))


@pytest.mark.parametrize(
    ("row", "make"), CASES, ids=lambda it: it.fault if isinstance(it, Row) else ""
)
def test_documented_fault_has_documented_effect(
    row: Row, make: Faulty, scene: Callable[[str], Scene], faulty: FaultIndex
) -> None:
    """The documented row is so: what is sent how often, what is said, what becomes of the others, and after that.

    This is also where `upload_timeout` ends an upload.
    """
    here = scene(row.graph)
    make(faulty)

    reports = here.publish(**row.settings)

    # Of two that may begin at once, either may be the one that meets a fault of the whole index.
    hit = next((name for name in row.others if str(reports[name].outcome) == "failed"), "core")
    reports["core"], reports[hit] = reports[hit], reports["core"]
    core = reports["core"]
    assert (core.outcome == "confirmed") is (row.code is None), core
    assert core.error.startswith(row.code or ""), core
    assert row.said in core.error + core.hint, core
    assert {
        name: str(report.outcome) for name, report in reports.items() if name != "core"
    } == row.others
    first = [upload for upload in faulty.uploads if upload.project == hit][:1]
    times = [upload.at for upload in faulty.uploads if first and upload.file == first[0].file]
    assert len(times) == row.sent, faulty.uploads
    assert not row.gap or times[1] - times[0] >= row.gap
    if row.code and row.heals:
        faulty.heal()
        again = here.publish()
        assert {str(report.outcome) for report in again.values()} == {"confirmed"}, again
    if row.heals:
        stored = Counter(upload.file for upload in faulty.uploads if upload.stored)
        assert stored == dict.fromkeys(
            (file.name for it in here.built.values() for file in it.files), 1
        )


def test_quota_refusal_stops_new_projects(
    scene: Callable[[str], Scene], faulty: FaultIndex
) -> None:
    """What the index refuses to create may count against the quota, so one refusal is enough for all new projects."""
    faulty.on_upload(ALL, [QUOTA, QUOTA])

    reports = scene("one:; two:").publish(concurrency=1)

    assert len(faulty.uploads) == 1
    assert all(report.error.startswith(ErrorCode.UPLOAD_LIMITED) for report in reports.values())
    assert {report.hint for report in reports.values()} == {next(iter(reports.values())).hint}
    (retry_at,) = {report.retry_at for report in reports.values()}
    assert retry_at
    seconds = (retry_at - datetime.now(UTC)).total_seconds()
    assert 15 * 3600 < seconds < 16 * 3600, "the index names 55,569 s"


def test_lost_file_is_uploaded_again(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """A file that an earlier run has uploaded and the index has lost: that is said, and the next run sends it again."""
    here, seconds, believed = scene("core:"), 1.0, 10.0
    waiting = Event()

    def pages() -> Iterator[Fault]:
        # Before it is sent: for us, and for uv before each of the two files.
        yield from repeat(HIDDEN, 3)
        while True:
            waiting.set()
            yield HIDDEN

    faulty.on_page("core", pages())
    with pytest.raises(asyncio.CancelledError):  # it dies while it waits
        here.publish(confirm_timeout=believed, ends=waiting)
    assert len(faulty.uploads) == 2
    faulty.files.clear()

    report = here.publish(confirm_timeout=seconds)["core"]
    assert report.error.startswith(ErrorCode.PUBLISH_TIMEOUT)
    assert "uploaded in an earlier run" in report.error
    assert "uploads what the index" in report.hint
    assert len(faulty.uploads) == 2, "it was believed for a while"

    faulty.heal()
    runs = (here.publish(confirm_timeout=seconds)["core"] for _ in range(60))
    assert any(run.outcome == "confirmed" for run in runs), (
        "it is sent again once it is believed no more"
    )
    assert len(faulty.uploads) == 4


def test_closed_version_gets_no_uploads(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """A half-published version is completed on the 13th day; later nothing is sent for it, and all else goes out.

    That is so on PyPI and its like; elsewhere the index itself is asked, which says the same in its own words.
    """
    here = scene("app: core; core:; lone:")
    faulty.on_upload("core", [STORED, INVALID])
    assert here.publish(legacy=True)["core"].error.startswith(ErrorCode.UPLOAD_REFUSED)
    sent = len(faulty.uploads)
    faulty.days["core-1.1"] = 15

    late = here.publish(legacy=True)
    assert len(faulty.uploads) == sent
    refused = here.publish()

    assert [upload.status for upload in faulty.uploads[sent:]] == [400]
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    assert (
        f"core 1.1 is only partly on the index; the index has taken no new files for it since {day}"
        in (late["core"].error)
    )
    assert "releases older than 14 days" in refused["core"].error
    for reports in (late, refused):
        assert {name: str(report.outcome) for name, report in reports.items()} == {
            "core": "failed",
            "app": "blocked",
            "lone": "confirmed",
        }
        assert reports["core"].error.startswith(ErrorCode.UPLOAD_CLOSED)
        assert (
            "`releasekit rollback release-2026.11.22` abandons this release" in reports["core"].hint
        )
        assert "commit a `fix:` to packages/core" in reports["core"].hint

    faulty.days["core-1.1"] = 13
    assert {str(report.outcome) for report in here.publish(legacy=True).values()} == {"confirmed"}


def test_waiting_package_holds_no_slot(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """With one slot, another package goes out while the first waits for its next attempt, and then to be listed."""
    faulty.on_upload(ALL, [ERROR])

    def pages() -> Iterator[Fault]:
        while len({upload.project for upload in faulty.uploads if upload.stored}) < 2:
            yield HIDDEN

    faulty.on_page(ALL, pages())

    reports = scene("one:; two:").publish(concurrency=1, delay=0.7)

    assert {report.outcome.value for report in reports.values()} == {"confirmed"}
    first, *others = [upload.project for upload in faulty.uploads]
    assert others[0] != first, "it kept the slot while it waited"


def test_packages_share_the_rate_limit(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """So many files a minute are sent by all packages together: here two in one second, so six in two at least."""
    scene("one:; two:; three:").publish(rate_limit=120)

    times = [upload.at for upload in faulty.uploads]
    assert max(times) - min(times) >= 1.5, (
        "the first package goes at once, the last two seconds later"
    )


def test_silent_index_ends_the_upload(
    scene: Callable[[str], Scene], faulty: FaultIndex, caplog: pytest.LogCaptureFixture
) -> None:
    """An upload that gets no answer is ended after `upload_timeout` seconds, and the next attempt goes on."""
    faulty.on_upload("core", [SILENT])

    reports = scene("core:").publish(upload_timeout=1.5)

    assert reports["core"].outcome is PackageOutcome.CONFIRMED
    assert "killed after 1.5s: " in caplog.text


def test_upload_turns_keep_their_order() -> None:
    """Turns come in the order of asking, none before its time; what waits for one holds no slot."""
    from tasks.upload import Uploads

    async def story() -> list[tuple[str, float]]:
        uploads, begun, took = (
            Uploads(concurrency=1, rate_limit=1200),
            time.monotonic(),
            list[tuple[str, float]](),
        )

        async def send(name: str, files: int) -> None:
            async with uploads.turn(files):
                took.append((name, time.monotonic() - begun))

        async with asyncio.TaskGroup() as group:
            for name, files in (("one", 2), ("two", 1), ("three", 1)):
                group.create_task(send(name, files))
            await asyncio.sleep(0)
            assert [name for name, _ in took] == ["one"]
            assert not uploads.slots.locked()
        return took

    (one, _), (two, second), (three, third) = asyncio.run(story())
    assert (one, two, three) == ("one", "two", "three")
    assert second >= 0.1
    assert third >= 0.15


def test_stopped_upload_ends_its_wait() -> None:
    """What waits for its turn when uploads are stopped is blocked at once, and not when its time would come."""
    from tasks.upload import Uploads

    async def story() -> None:
        uploads = Uploads(concurrency=1)
        uploads.delay(3600)
        waiting = [asyncio.create_task(uploads.turn(1).__aenter__()) for _ in range(3)]
        await asyncio.sleep(0)
        uploads.stop("core: no")
        for task in waiting:
            with pytest.raises(Refusal, match="RK-BLOCKED: blocked by core: no"):
                await task
        assert not uploads.slots.locked()

    asyncio.run(asyncio.wait_for(story(), 10))


def test_keys_decide_repetitions(scene: Callable[[str], Scene], faulty: FaultIndex) -> None:
    """`upload_retries` says how often an upload is sent again, `confirm_interval` how often the index is asked."""
    here = scene("core:")
    faulty.on_upload("core", repeat(ERROR))
    assert here.publish(upload_retries=1)["core"].outcome == "failed"
    assert len(faulty.uploads) == 2

    faulty.heal()
    requests: list[Fault] = []

    def pages() -> Iterator[Fault]:
        while True:
            requests.append(HIDDEN)
            yield HIDDEN

    faulty.on_page("core", pages())
    report = here.publish(confirm_timeout=2, confirm_interval=0.05)["core"]

    assert report.error.startswith(ErrorCode.PUBLISH_TIMEOUT)
    assert len(requests) > 12, "with the default interval there are at most nine"


def test_upload_retries_have_growing_delays() -> None:
    """An upload is tried five times, after delays that grow and are never quite the same."""
    from tasks.upload import upload

    assert (upload.retries, upload.retry_delay_seconds) == (4, [2, 10, 30, 60])
    assert upload.retry_jitter_factor
