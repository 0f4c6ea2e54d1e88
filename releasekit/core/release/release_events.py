"""The events of a release for automations, each with a name, a subject and a payload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from releasekit.core.picking import drop

if TYPE_CHECKING:
    from releasekit.core.errors import ReleaseError
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.core.release.report import PackageReport, ReleaseReport
    from releasekit.core.release.target import Target


@dataclass(frozen=True, slots=True)
class ReleaseEvent:
    """An event with this *name* about a *subject*, such as `package.core`. The server stores one event for each *id*.

    Without an *id*, each event is a new one. The payload contains no secret: addresses are without credentials.
    """

    name: str
    subject: str
    payload: dict[str, Any]
    id: UUID | None = None


def package_event(
    manifest: ReleaseManifest, plan: Plan, built: BuiltPackage, target: Target
) -> ReleaseEvent:
    """Return the event of a package that is published. A run that resumes the release gives it the same id."""
    index = target.address.check_url
    identity = "/".join((index, manifest.release_commit, built.name, str(built.version)))
    payload = {
        "package": built.name,
        "version": str(built.version),
        "tag": built.tag,
        "index": index,
        "page": target.package_url(built.name, built.version),
        "sha256": {file.name: file.sha256 for file in built.files},
        "release": plan.title,
        "commit": manifest.release_commit,
    }
    return ReleaseEvent(
        "package.published", f"package.{built.name}", payload, uuid5(NAMESPACE_URL, identity)
    )


def report_event(report: ReleaseReport, target: Target) -> ReleaseEvent:
    """Return the event of a release that has ended with *report*: published, or failed."""
    unpublished = drop(report.packages, report.confirmed_packages)
    payload: dict[str, Any] = {
        "title": report.title,
        "summary": report.summary,
        "index": target.address.check_url,
        "commit": report.commit,
        "tags": list(report.tags),
        "packages": [f"{package.name} {package.version}" for package in report.confirmed_packages],
    }
    if report.is_successful:
        return ReleaseEvent(
            "release.published", f"release.{report.title}", {**payload, "page": report.page}
        )
    payload |= {
        "failed": list(map(_describe_failure, unpublished)),
        "problems": list(report.problems),
    }
    return ReleaseEvent("release.failed", f"release.{report.title}", payload)


def _describe_failure(package: PackageReport) -> dict[str, str]:
    return {
        "package": package.name,
        "outcome": package.outcome.value,
        "error": package.error,
        "hint": package.hint,
    }


def error_event(error: ReleaseError, plan: Plan, target: Target) -> ReleaseEvent:
    """Return the event of a release that *error* has ended before it had a report."""
    payload = {
        "title": plan.title,
        "summary": str(error),
        "index": target.address.check_url,
        "code": error.code.value,
        "hint": error.hint,
    }
    return ReleaseEvent("release.failed", f"release.{plan.title}", payload)
