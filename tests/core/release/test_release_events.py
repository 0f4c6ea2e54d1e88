"""What automations are told of a release."""

from __future__ import annotations

from packaging.version import Version

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.planning.model import Plan
from releasekit.core.release.release_events import error_event, package_event, report_event
from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage, ReleaseManifest
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.core.release.target import Target

PLAN = Plan(commit="c0", release="r1", tags=("v1",))
TARGET = Target(
    "https://ada:hunter2@index.example/simple/", "https://ada:hunter2@index.example/legacy/"
)
CORE = BuiltPackage(
    name="core",
    version=Version("1.0"),
    tag="core-v1.0",
    files=(BuiltFile(name="core.whl", sha256="ab", size=1),),
)


def manifest_at(commit: str) -> ReleaseManifest:
    """Return the manifest of a release whose commit is *commit*."""
    return ReleaseManifest(
        release="r1", commit="c0", release_commit=commit, branch="main", packages=(CORE,)
    )


def report_of(**outcomes: PackageOutcome) -> ReleaseReport:
    """Return the report of a release with these outcomes of packages."""
    packages = [
        PackageReport(name=name, version=Version("1.0"), tag=f"{name}-v1.0", outcome=outcome)
        for name, outcome in outcomes.items()
    ]
    return ReleaseReport(
        release="r1", title="v1", packages=tuple(packages), page="https://forge.example/v1"
    )


def test_same_publication_has_one_id() -> None:
    """A package that is published from the same commit has the same event id; another release has another."""
    first, again = (package_event(manifest_at("c1"), PLAN, CORE, TARGET) for _ in range(2))
    other = package_event(manifest_at("c2"), PLAN, CORE, TARGET)

    assert first == again
    assert first.id != other.id
    assert first.payload["sha256"] == {"core.whl": "ab"}


def test_event_addresses_have_no_credentials() -> None:
    """The index and the page in a payload are without user name and password."""
    events = [
        package_event(manifest_at("c1"), PLAN, CORE, TARGET),
        report_event(report_of(), TARGET),
    ]

    assert [event.payload["index"] for event in events] == ["https://index.example/simple/"] * 2
    assert "hunter2" not in str(events)


def test_report_gives_one_event() -> None:
    """A release is published if all packages are; if one is not, it is failed, and the event names it."""
    confirmed, blocked = PackageOutcome.CONFIRMED, PackageOutcome.BLOCKED
    published = report_event(report_of(core=confirmed), TARGET)
    failed = report_event(report_of(core=confirmed, app=blocked), TARGET)

    assert (published.name, published.subject) == ("release.published", "release.v1")
    assert published.payload["page"] == "https://forge.example/v1"
    assert (failed.name, failed.payload["packages"]) == ("release.failed", ["core 1.0"])
    assert [entry["package"] for entry in failed.payload["failed"]] == ["app"]


def test_error_fails_the_release() -> None:
    """A release that an error ends is failed, with the code and the next step."""
    event = error_event(
        ReleaseError(ErrorCode.PUSH_REJECTED, "no", "origin", "Pull."), PLAN, TARGET
    )

    assert (event.name, event.subject) == ("release.failed", "release.v1")
    assert (event.payload["code"], event.payload["hint"]) == ("RK-PUSH-REJECTED", "Pull.")
