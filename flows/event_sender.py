"""Send the events of a release to Prefect, where automations listen to them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from prefect.events import emit_event

from releasekit.core.release.progress import PackageStage
from releasekit.core.release.release_events import error_event, package_event, report_event
from releasekit.core.release.report import PackageOutcome
from releasekit.integrations.process import mask
from tasks.decorators import in_flow

if TYPE_CHECKING:
    from releasekit.core.errors import ReleaseError
    from releasekit.core.release.release_events import ReleaseEvent
    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.core.release.report import ReleaseReport
    from releasekit.core.release.target import Target
    from releasekit.operations.start_release import StartedRelease
    from tasks.context import ReleaseContext


class SilentEvents:
    """Sends no event. It passes the progress of a release on to the observer that the release had before."""

    def __init__(self, release: ReleaseContext) -> None:
        self._release = release

    def on_phase(self, phase: str) -> None:
        """Pass the phase on."""
        self._release.observer.on_phase(phase)

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Pass the stage on."""
        self._release.observer.on_stage(package, stage, error)

    def send_report(self, report: ReleaseReport) -> None:
        """Send nothing."""

    def send_error(self, error: ReleaseError) -> None:
        """Send nothing."""


class SentEvents(SilentEvents):
    """Sends the events of a release.

    Each package has one event for each index that it goes to, also if the release is resumed: the record lists those
    that earlier runs have sent.
    """

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Pass the stage on, and send the event of a package that is published."""
        super().on_stage(package, stage, error)
        # Later indexes publish it again; their events follow with the report.
        if stage is PackageStage.PUBLISHED:
            self._send_package(package, self._release.target, package)

    def send_report(self, report: ReleaseReport) -> None:
        """Send what is on later indexes, and that the release is published or failed.

        A release that only stages or commits sends no success.
        """
        for later in self._release.later_indexes:
            for package in report.packages:
                if later.name in package.indexes:
                    self._send_package(package.name, later.target, f"{package.name}@{later.name}")
        has_ended_early = report.is_successful and report.goal is not PackageOutcome.CONFIRMED
        if report.packages and not has_ended_early:
            send_event(report_event(report, self._release.target))

    def send_error(self, error: ReleaseError) -> None:
        """Send that *error* has ended the release."""
        send_event(error_event(error, self._release.plan, self._release.target))

    def _send_package(self, name: str, target: Target, key: str) -> None:
        """Send that the package *name* is on *target*, unless an event with this *key* was sent before."""
        if key in self._packages_with_event:
            return
        send_event(package_event(self._manifest, self._release.plan, self._built[name], target))
        self._release.record.add_package_with_event(key)
        self._packages_with_event.add(key)

    @cached_property
    def _manifest(self) -> ReleaseManifest:
        """The manifest as it is once files may be public. The commit and the files in it stay the same."""
        return self._release.record.require_manifest()

    @cached_property
    def _built(self) -> dict[str, BuiltPackage]:
        return {package.name: package for package in self._manifest.packages}

    @cached_property
    def _packages_with_event(self) -> set[str]:
        return self._release.record.packages_with_event()


def events_of(started: StartedRelease) -> SilentEvents:
    """Return what sends the events of a release: nothing is sent outside a flow run, and of a rehearsal."""
    is_sent = in_flow() and not started.options.rehearse
    return SentEvents(started.release) if is_sent else SilentEvents(started.release)


def send_event(event: ReleaseEvent) -> None:
    """Send *event* with the run, its flow and its deployment as related resources. This does not wait."""
    resource = {"prefect.resource.id": f"releasekit.{event.subject}"}
    emit_event(
        f"releasekit.{event.name}", resource, payload=_mask_texts(event.payload), id=event.id
    )


def _mask_texts(value: object) -> Any:  # noqa: ANN401  JSON
    """Return *value* with the secrets in its texts masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _mask_texts(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return list(map(_mask_texts, cast("list[object]", value)))
    return value
