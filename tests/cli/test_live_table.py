"""The live table, as it is drawn."""

from __future__ import annotations

import io
import logging
import time

import pytest
from rich.console import Console

from releasekit.cli.render.live_table import LiveTable, show_live_table
from releasekit.core.release.observer import LogObserver
from releasekit.core.release.progress import BUILD_STAGES, PROOF_STAGES, UPLOAD_STAGES, PackageStage
from tests.support.builders import plan_of, settings_of

GOLDEN = """\
╭──────────────────────────────────────────────────────────────────────────────╮
│ releasekit publish ─ release-2026.11.22: 4 packages across 3 levels          │
╰──────────────────────────────────────────────────────────────────────────────╯
Level  Package          Stage         Progress    Duration
0      core             ✅ published  ██████████      7.0s
0      lone             ❌ failed     █░░░░░░░░░      2.0s
1      web-application  📤 uploading  ███████░░░      5.0s
2      app              ⏳ waiting    ░░░░░░░░░░         -
╭─ lone failed ────────────────────────────────────────────────────────────────╮
│ RK-BUILD-FAILED: lone 1.0 did not build                                      │
│ no such file                                                                 │
╰──────────────────────────────────────────────────────────────────────────────╯

published: 1/4 │ waiting: 1 │ uploading: 1 │ failed: 1
publishing │ elapsed: 12s │ ETA: ~9s
"""


def drawn(table: LiveTable, console: Console, now: float) -> str:
    """Return the frame of *now* as text, without spaces at the ends of lines."""
    console.print(table.frame(now))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def console_of(width: int, height: int = 40) -> Console:
    """Return a terminal of that size."""
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None
    )


def half_way(console: Console, monkeypatch: pytest.MonkeyPatch) -> LiveTable:
    """Return the table of a release with a package at each end, one under way, and one waiting."""
    clock = {"now": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["now"])
    table = LiveTable(
        plan_of("app: web-application", "web-application: core", "core:", "lone:"),
        settings_of(),
        console,
    )
    table.on_phase("publishing")
    for clock["now"], name, stage in (
        *(
            (number, "core", stage)
            for number, stage in enumerate(
                [*BUILD_STAGES, *PROOF_STAGES, *UPLOAD_STAGES, PackageStage.PUBLISHED]
            )
        ),
        *(
            (number, "web-application", stage)
            for number, stage in enumerate([*BUILD_STAGES, *PROOF_STAGES, PackageStage.PROVEN])
        ),
        (0, "lone", PackageStage.PINNING),
        (11, "web-application", PackageStage.UPLOADING),
    ):
        table.on_stage(name, stage)
    clock["now"] = 2
    table.on_stage(
        "lone", PackageStage.FAILED, "RK-BUILD-FAILED: lone 1.0 did not build\nno such file"
    )
    return table


def test_live_table_has_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a header, a row a package, a panel for what failed, and a footer with counts, time and what is left."""
    console = console_of(80)
    assert drawn(half_way(console, monkeypatch), console, 12) == GOLDEN


@pytest.mark.parametrize("width", [60, 80, 200])
def test_live_table_fits_the_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """No line is wider than the terminal, and none is broken."""
    console = console_of(width)
    text = drawn(half_way(console, monkeypatch), console, 12)

    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) == len(GOLDEN.splitlines())
    assert ("across 3 levels" in text, "(concurrency: 5) " in text, "…" in text) == (
        width > 60,
        width > 80,
        False,
    )


@pytest.mark.parametrize(
    ("core", "count"), [("fix: it", "published: 0/1 │ waiting: 1 │ ⏭ skipped: 1"), ("", "")]
)
def test_skipped_packages_are_counted(core: str, count: str) -> None:
    """The footer counts the packages that the release leaves out; a release of all packages has no such count."""
    console = console_of(120)
    plan = plan_of("core:", "idle:", changes={"core": core} if core else None)

    footer = drawn(LiveTable(plan, settings_of(), console), console, 1)

    assert count in footer
    assert ("skipped" in footer) is bool(count)


@pytest.mark.parametrize("height", [14, 24, 50])
def test_live_table_fits_the_height(height: int) -> None:
    """It is never higher than the terminal, whatever there is to show."""
    console = console_of(80, height)
    table = LiveTable(plan_of(*(f"p{number:03}:" for number in range(500))), settings_of(), console)
    for number in range(3):
        table.on_stage(f"p00{number}", PackageStage.FAILED, "line\n" * 50)

    lines = drawn(table, console, 1).splitlines()

    assert len(lines) <= height
    assert any("more" in line for line in lines)


def test_live_table_draws_each_stage(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The block yields the table, which draws what it hears; log lines name the phases and the stages."""
    console = console_of(80)
    with show_live_table(plan_of("core:"), settings_of(), console) as table:
        table.on_stage("core", PackageStage.BUILDING)
    assert isinstance(console.file, io.StringIO)
    assert "building" in console.file.getvalue()

    monkeypatch.setattr(logging.getLogger("releasekit"), "propagate", True)
    lines = LogObserver()
    with caplog.at_level(logging.INFO):
        lines.on_phase("staging")
        lines.on_stage("core", PackageStage.BUILDING)
        lines.on_stage("core", PackageStage.BUILT)
    # Whoever else listens hears it too.
    assert list(dict.fromkeys(caplog.messages)) == [
        "staging",
        "building core",
    ]
