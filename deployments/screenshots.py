"""Take the pictures of the documentation: a release that waits for approval, in Prefect's UI.

`uv run python -m deployments.screenshots` needs a Chromium or Chrome on the PATH (Debian: `apt install chromium`), and
leaves only the pictures behind. Server, worker, index, workspace and release are real.

`uv run python -m deployments.screenshots live` draws the pictures of the guides with rich: a terminal in the middle of
a release of the same workspace, and at the end of a failed one. The plan and the drawing code are real; the progress
of each package is made up.
"""

from __future__ import annotations

import asyncio
import io
import re
import socket
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console
from rich.terminal_theme import MONOKAI

from examples.orchard_repository import make
from releasekit.cli.render.live_table import LiveTable
from releasekit.cli.render.tables import report_table
from releasekit.cli.runner import plan as decide
from releasekit.core.config.settings import Settings
from releasekit.core.release.progress import BUILD_STAGES, PROOF_STAGES, UPLOAD_STAGES, PackageStage
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.integrations.peryx import embedded_index
from releasekit.integrations.prefect_server import SERVER_SETTINGS
from releasekit.integrations.process import Command, background, run
from releasekit.options import PlanOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from playwright.sync_api import Page
    from rich.console import RenderableType

    from releasekit.core.planning.model import Plan

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 180.0
"""Seconds that any step may take."""


def find_browser() -> str | None:
    """Return the path of a Chromium or Chrome."""
    return next((path for name in BROWSERS if (path := which(name))), None)


@dataclass(frozen=True)
class Prefect:
    """A Prefect server with its UI at *address*, and the environment for programs that use it."""

    address: str
    env: Mapping[str, str | None]

    def command(self, *argv: str) -> Command:
        """Return a command of Prefect's command line."""
        return Command(
            (sys.executable, "-m", "prefect", "--no-prompt", *argv),
            ROOT,
            self.env,
            timeout=PATIENCE,
        )

    def ask(self, kind: str, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401  JSON
        """Return the objects of a kind on the server: `POST /KIND/filter`."""
        answer = httpx.post(f"{self.address}/api/{kind}/filter", json=query, timeout=30)
        return answer.raise_for_status().json()

    def start(self, deployment: str, *parameters: str) -> str:
        """Start a run of a deployment; return its id."""
        arguments = (word for parameter in parameters for word in ("-p", parameter))
        output = run(self.command("deployment", "run", deployment, *arguments)).stdout
        return re.findall(r"UUID: (\S+)", output)[0]

    def await_state(self, run_id: str, *states: str) -> dict[str, Any]:
        """Wait until the state of a run is of one of these types; return the run."""
        flow_run: dict[str, Any] = {}

        def has_state() -> bool:
            (row,) = self.ask("flow_runs", flow_runs={"id": {"any_": [run_id]}})
            flow_run.update(row)
            return row["state_type"] in states

        wait_for(has_state, f"run {run_id} to be {' or '.join(states)}")
        return flow_run


@contextmanager
def prefect_with_ui(home: Path) -> Generator[Prefect]:
    """Run a Prefect server with its UI inside the block."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    env: dict[str, str | None] = {
        **SERVER_SETTINGS,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_SERVER_UI_ENABLED": "true",
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",  # else the page searches for its server at port 4200
    }
    prefect = Prefect(address, env)
    output = home / "server.log"
    with background(
        prefect.command("server", "start", "--host", "127.0.0.1", "--port", str(port)), output
    ) as alive:
        wait_for(lambda: answers(f"{address}/api/health") or not alive(), "Prefect's server")
        yield prefect


@contextmanager
def browser_page(executable: str) -> Generator[Page]:
    """Open a page in a headless browser, in the size of a laptop screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.set_default_timeout(60_000)
        try:
            yield page
        finally:
            browser.close()


def answers(address: str) -> bool:
    """Return whether *address* answers with status 200."""
    try:
        return httpx.get(address, timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def wait_for(condition: Callable[[], bool], description: str) -> None:
    """Wait until *condition* returns true; raise TimeoutError after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(description)
        time.sleep(0.2)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def look(page: Page, address: str, picture: Path | None, sign: str) -> None:
    """Open a page, wait for its *sign*, and take a *picture* of it."""
    page.goto(address)
    page.get_by_text(sign).first.wait_for()
    if picture:
        page.wait_for_timeout(3000)  # nothing else shows that the graphs are drawn
        page.screenshot(path=picture)


def approve_in(page: Page, prefect: Prefect, run_id: str, picture: Path | None = None) -> None:
    """Approve a release that waits, like a user of the UI."""
    look(page, f"{prefect.address}/runs/flow-run/{run_id}", None, "Resume")
    page.get_by_role("button", name="Resume").first.click()
    answer, choice = (
        page.locator(".p-modal .p-select").first,
        page.get_by_text("approve", exact=True).last,
    )
    answer.wait_for()
    # It opens on a key press once it has the focus; the form needs some time to be ready.
    for _ in range(5):
        page.wait_for_timeout(1500)
        if choice.is_visible():
            break
        answer.click()
        page.wait_for_timeout(1500)
        if not choice.is_visible():
            page.keyboard.press("Space")
    choice.wait_for()
    if picture:
        page.screenshot(path=picture)
    choice.click()
    page.get_by_role("button", name="Submit").click()


def retry_in(page: Page, prefect: Prefect, run_id: str) -> None:
    """Retry a failed run, like a user of the UI."""
    look(page, f"{prefect.address}/runs/flow-run/{run_id}", None, "Retry")
    page.get_by_role("button", name="Retry").first.click()
    page.locator(".p-modal").get_by_role("button", name="Retry").click()


@contextmanager
def team(directory: Path, browser: str) -> Generator[tuple[Page, Prefect]]:
    """Run everything that a release in the UI needs inside the block: an index, a server, a worker and a browser."""
    with ExitStack() as stack:
        (directory / "prefect").mkdir()
        (directory / "index").mkdir()
        index = stack.enter_context(embedded_index(directory / "index"))
        prefect = stack.enter_context(prefect_with_ui(directory / "prefect"))
        run(prefect.command("work-pool", "create", "releasekit", "--type", "process"))
        # The form shows the variable as the default.
        run(
            prefect.command(
                "variable", "set", "releasekit_workspace", "https://example.org/orchard.git"
            )
        )
        run(prefect.command("deploy", "--all"))
        worker = prefect.command("worker", "start", "--pool", "releasekit")
        worker = Command(worker.argv, directory, {**worker.env, **index.environment})
        stack.enter_context(background(worker, directory / "worker.log"))
        yield stack.enter_context(browser_page(browser)), prefect


def main(pictures: Path) -> dict[str, Any]:
    """Release the example workspace and take pictures of it; return its run."""
    browser = find_browser()
    if browser is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is on the PATH")
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        directory = Path(scratch)
        run(Command((sys.executable, str(ROOT / "examples" / "orchard_repository.py"), scratch)))
        with team(directory, browser) as (page, prefect):
            return photograph(page, prefect, directory / "orchard", pictures)


def photograph(page: Page, prefect: Prefect, orchard: Path, pictures: Path) -> dict[str, Any]:
    """Take all pictures of one release; return its run."""
    (deployment,) = prefect.ask("deployments", deployments={"name": {"any_": ["publish"]}})
    form = f"{prefect.address}/deployments/deployment/{deployment['id']}/run"
    look(page, form, pictures / "form.png", "workspace")
    options = ("approve=true", "audit=false", "allow_new=true")
    run_id = prefect.start("releasekit/publish", f"workspace={orchard}", *options)
    prefect.await_state(run_id, "PAUSED", "FAILED", "CRASHED")
    approve_in(page, prefect, run_id, pictures / "approval.png")
    ended = prefect.await_state(run_id, "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    look(page, f"{prefect.address}/runs/flow-run/{run_id}", pictures / "run.png", "Completed")
    artifacts = prefect.ask("artifacts", flow_runs={"id": {"any_": [run_id]}}, sort="ID_DESC")
    ids = {artifact["key"]: artifact["id"] for artifact in artifacts}
    for name in ("plan", "report"):
        address = f"{prefect.address}/artifacts/artifact/{ids[f'releasekit-{name}']}"
        look(page, address, pictures / f"{name}.png", "Flow Run")
    return ended


FAILED, NOW = "orchard-press", 29.0
"""The package that fails, and the second of the release that the picture shows."""


def live_pictures(pictures: Path) -> None:
    """Draw a running release, and a failed one."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as directory:
        workspace = make(Path(directory))
        plan = asyncio.run(decide(PlanOptions(workspace=str(workspace), offline=True)))
    console = Console(record=True, width=100, height=60, file=io.StringIO(), force_terminal=True)
    draw(console, "releasekit publish", half_way(plan, console), pictures / "live.svg")
    draw(console, "releasekit publish", report_table(failed(plan)), pictures / "failed.svg")


def half_way(plan: Plan, console: Console) -> RenderableType:
    """Return the live table in the middle of a release."""
    table, began = LiveTable(plan, Settings.model_validate({}), console), time.monotonic()
    published_at: dict[str, float] = {}
    for number, step in enumerate(plan.steps):
        now = 0.9 * number
        for stage in (*BUILD_STAGES, PackageStage.BUILT, *PROOF_STAGES, PackageStage.PROVEN):
            table.progress.set_stage(step.name, stage, began + now)
            now += 0.8 + number % 3 * 0.3
        # A package is published after the packages that it needs.
        now = max((published_at[need] for need in step.needs), default=16 + number)
        for stage in (*UPLOAD_STAGES, PackageStage.PUBLISHED):
            if now < NOW:
                table.progress.set_stage(step.name, stage, began + now)
            now += 2.1 + number % 4 * 0.4 if stage is not PackageStage.PUBLISHED else 0
        published_at[step.name] = now
    table.on_phase("publishing")
    return table.frame(began + NOW)


def failed(plan: Plan) -> ReleaseReport:
    """Return the report of a release in which one package cannot be imported."""
    blocked = {step.name for step in plan.steps if FAILED in plan.install_closure(step.name)} - {
        FAILED
    }
    out = [step for step in plan.steps if step.name != FAILED and step.name not in blocked]
    error = f"RK-SMOKE-TEST-FAILED: {FAILED} was installed from the index and cannot be imported"
    output = "ModuleNotFoundError: No module named 'orchard_press.barrel'"
    hint = "Fix it, run `releasekit rollback`, and release the next version."
    outcomes = {step.name: PackageOutcome.CONFIRMED for step in out} | {
        FAILED: PackageOutcome.FAILED
    }
    packages = [
        PackageReport(
            name=step.name,
            version=step.version,
            tag=step.tag,
            outcome=outcomes.get(step.name, PackageOutcome.BLOCKED),
            error=error
            if step.name == FAILED
            else ""
            if step in out
            else f"needs {FAILED}, which is not out",
            hint=hint if step.name == FAILED else "",
            output=output if step.name == FAILED else "",
        )
        for step in plan.steps
    ]
    tags = tuple(step.tag for step in out)
    return ReleaseReport(
        release=plan.release, title=plan.title, tags=tags, packages=tuple(packages)
    )


def draw(console: Console, title: str, content: RenderableType, picture: Path) -> None:
    """Draw *content* in a window with a *title*, without web fonts: the fonts are those of the reader's machine."""
    console.print(content)
    text = console.export_svg(title=title, theme=MONOKAI, unique_id=picture.stem)
    picture.write_text(re.sub(r"\s*@font-face {.*?}", "", text, flags=re.DOTALL))


if __name__ == "__main__":
    if sys.argv[1:] == ["live"]:
        live_pictures(PICTURES)
    else:
        main(PICTURES)
