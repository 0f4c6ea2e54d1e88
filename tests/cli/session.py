"""What `test_golden.py` runs in a window: commands that only look, and tables of what only a release would show."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.cli.app import main
from releasekit.cli.render import diagnostics, repair_tables, tables, terminal
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.core.release.rollback_plan import KeptTag, PublicPackage, Rollback
from releasekit.core.release.unfinished_release import (
    FileStatus,
    NextCommand,
    PackageStatus,
    ReleaseStatus,
    UnfinishedRelease,
)
from releasekit.core.repair.inconsistencies import RepairReport, find_inconsistencies
from releasekit.core.repair.rebuild_comparison import (
    FileComparison,
    MemberDifference,
    Verification,
)
from releasekit.core.repair.release_state import RepositoryState, TagState, VersionState
from releasekit.core.repair.yank_impact import YankDependent, YankReport

if TYPE_CHECKING:
    from releasekit.core.release.unfinished_release import IndexState, UploadProgress

COMMANDS = (
    "plan --offline --diff before.json",
    "version",
    "version storefront-core --explain",
    "discover",
    "graph --format ascii",
    "check",
    "init --offline",
    "status --offline",
)

RC = Version("1.3.0rc1")
PAGE = "https://index.invalid/simple/storefront-core/"


def package(
    name: str, outcome: PackageOutcome, error: str = "", hint: str = "", output: str = ""
) -> PackageReport:
    """Return what came of one package."""
    return PackageReport(
        name=name,
        version=RC,
        tag=f"{name}-v{RC}",
        outcome=outcome,
        error=error,
        hint=hint,
        output=output,
    )


REPORT = ReleaseReport(
    release="1a2b3c",
    title=f"v{RC}",
    tags=(f"storefront-core-v{RC}",),
    packages=(
        package("storefront-core", PackageOutcome.CONFIRMED),
        package(
            "storefront-plugin-recommendations",
            PackageOutcome.FAILED,
            f"RK-BUILD-FAILED: storefront-plugin-recommendations {RC} did not build (plugins/recommendations)",
            "Read the output above, mend it, and run publish again.",
            "error: no such file\nexit code 2",
        ),
        package(
            "storefront",
            PackageOutcome.BLOCKED,
            "needs storefront-plugin-recommendations, which is not out",
        ),
    ),
    problems=("the branch main has moved on at origin",),
    notes=("no release on the forge: there is no token",),
)

ROLLBACK = Rollback(
    release="1a2b3c4d5e6f",
    title=f"v{RC}",
    tags=(f"storefront-v{RC}",),
    remote_tags=(f"storefront-v{RC}",),
    kept_tags=(
        KeptTag(
            tag=f"storefront-core-v{RC}",
            places=("here", "on origin"),
            reason=f"storefront-core {RC} is on https://index.invalid/",
        ),
    ),
    held=True,
    public=(
        PublicPackage(
            name="storefront-core",
            version=RC,
            files=(),
            page=PAGE,
            next=Version("1.3.0rc2"),
            dependents=("storefront", "storefront-plugin-recommendations"),
            tag=f"storefront-core-v{RC}",
        ),
        PublicPackage(
            name="storefront",
            version=RC,
            files=(),
            complete=False,
            page=PAGE.replace("-core", ""),
            next=Version("1.3.0rc2"),
        ),
    ),
)


STAGES: tuple[tuple[str, UploadProgress, IndexState], ...] = (
    ("storefront-core", "confirmed", "same"),
    ("storefront-plugin-recommendations", "built", "absent"),
)
STATUS = ReleaseStatus(
    unasked=("the remote was not contacted: `push` is off",),
    releases=(
        UnfinishedRelease(
            release="1a2b3c4d5e6f",
            title=f"v{RC}",
            stage="begun",
            what=f"Release v{RC} is unfinished: 1 of 2 packages published.",
            by="Ada <ada@example.invalid>",
            host="laptop",
            since="2026-11-22T12:00:00+00:00",
            where="/home/ada/shop/.git/releasekit/1a2b3c4d5e6f",
            published=1,
            packages=tuple(
                PackageStatus(
                    name=name,
                    version=RC,
                    progress=progress,
                    tag=f"{name}-v{RC}",
                    tagged_here=progress == "confirmed",
                    files=(
                        FileStatus(name=f"{name}-{RC}.tar.gz", sha256="", here=True, index=index),
                    ),
                )
                for name, progress, index in STAGES
            ),
            next=NextCommand(command="releasekit publish", effect="resumes it"),
            others=(NextCommand(command="releasekit rollback", effect="abandons it"),),
        ),
    ),
)


SUMS = {"storefront_core-1.3.0.tar.gz": "1" * 64}
REPAIR = RepairReport(
    compared=("storefront 1.2.0", "storefront-core 1.3.0", "idle 0.1.0"),
    unasked=("the forge was not asked: `release` is off",),
    findings=find_inconsistencies(
        RepositoryState(
            (
                VersionState("idle", Version("0.1.0"), TagState("idle-v0.1.0", "a" * 40, "")),
                VersionState("idle", Version("0.2.0"), TagState("i", "a"), files=SUMS),
                VersionState(
                    "storefront-core",
                    Version("1.3.0"),
                    TagState("storefront-core-v1.3.0", "", ""),
                    commit="a" * 40,
                    files=SUMS,
                ),
                VersionState(
                    "storefront",
                    Version("1.2.0"),
                    TagState("storefront-v1.2.0", "a" * 40, "a" * 40),
                    files=SUMS,
                    expected={**SUMS, "storefront-1.2.0-py3-none-any.whl": "2" * 64},
                ),
            )
        )
    ),
    repaired=("tag_not_pushed of idle 0.2.0",),
    problems=("release_missing of all-1.2.0: RK-FORGE-REFUSED: 422 for POST",),
)
VERIFICATION = Verification(
    package="storefront-core",
    version="1.3.0",
    tag="storefront-core-v1.3.0",
    commit="1a2b3c4d5e6f" + "0" * 28,
    files=(
        FileComparison(
            name="storefront_core-1.3.0.tar.gz", published="1", rebuilt="1", sums="same"
        ),
        FileComparison(
            name="storefront_core-1.3.0-py3-none-any.whl",
            published="1",
            rebuilt="2",
            members=(
                MemberDifference(
                    member="storefront_core/__init__.py",
                    kind="content",
                    text="sha256 111111111111 published, 222222222222 rebuilt",
                ),
            ),
            sums="differs",
            attestations="same",
            publishers=("GitHub ada/storefront",),
        ),
    ),
)
YANK = YankReport(
    package="storefront-core",
    version="1.3.0",
    reason="it deletes files",
    fallback="1.2.0",
    dependents=(
        YankDependent(
            package="storefront",
            version="1.2.0",
            requirement="storefront-core==1.3.0",
            keeps_it=True,
        ),
        YankDependent(
            package="storefront-plugin-recommendations",
            version="0.9.0",
            requirement="storefront-core>=1.3,<1.4",
        ),
    ),
    requirements=("storefront: storefront-core>=1",),
    done=("packages/storefront-core/CHANGELOG.md has the reason; commit it",),
    remaining=("open https://index.invalid/simple/storefront-core/ and yank 1.3.0 there",),
)

MISTAKES = (
    "discover --workspace key",
    "discover --workspace value",
    "discover --workspace item",
    "discover --workspace table",
    "discover --workspace long",
    "discover --workspace inline",
    "discover --workspace toml",
    "discover --workspace requirement",
    "plan --ofline",
    "explain RK-GRAPH-CYCEL",
)
"""Each is told about, with the line that is meant where there is one."""

FAILURE = ReleaseError(
    ErrorCode.COMMAND_FAILED,
    "uv build failed with exit code 2",
    "storefront",
    output="error: no such file\n  at line 3",
)


def told(what: str) -> None:
    """Say what comes now, after all that was said before."""
    sys.stdout.write(f"\n$ releasekit {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:]:
        for command in MISTAKES:
            told(command)
            main([*sys.argv[2:], *command.split()])
        if not sys.argv[2:]:
            told("publish (whose build fails)")
            diagnostics.print_error(FAILURE)
        raise SystemExit
    for command in COMMANDS:
        told(command)
        main(command.split())
    told("publish (what came of it)")
    terminal.print_parts(tables.report_table(REPORT))
    told("rollback (of a part that is out)")
    terminal.print_parts(tables.rollback_table(ROLLBACK))
    told("status (of a release that has not ended)")
    terminal.print_parts(tables.status_table(STATUS))
    told("repair (of what is half done)")
    terminal.print_parts(repair_tables.repair_table(REPAIR))
    told("verify (of a file that differs)")
    terminal.print_parts(repair_tables.verification_table(VERIFICATION))
    told("yank (where the index cannot)")
    terminal.print_parts(repair_tables.yank_table(YANK))
