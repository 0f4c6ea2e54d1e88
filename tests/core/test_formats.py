"""Plans, graphs and reports as text."""

from __future__ import annotations

import json
import re

from packaging.version import Version

from tasks.core import graph as core_graph
from tasks.core.formats.graphs import levels_text
from tasks.core.formats.json import discover_json, graph_json
from tasks.core.formats.markdown import plan_markdown, plan_summary, report_markdown
from tasks.core.formats.svg import graph_svg
from tasks.core.graph import order
from tasks.core.report import Outcome, PackageReport, Report
from tasks.core.workspace import workspace_of
from tests import builders


class TestMarkdown:
    """For artifacts and pull requests."""

    def test_plan(self) -> None:
        """A plan is a table, its warnings, and the graph of who waits for whom."""
        changes = {"web": "feat: a|b", "core": "fix: it", "app": "fix: it"}
        plan = builders.plan_of("web: core", "app: core<1", "idle:", changes=changes)

        assert plan_markdown(plan) == (
            "# release-2026.11.22: 3 packages\n\n"
            "| # | package | from | to | bump | because |\n"
            "| --- | --- | --- | --- | --- | --- |\n"
            "| 0 | app | 1.0 | 1.0.1 | patch | fix: it (0000000) |\n"
            "| 1 | core | 1.0 | 1.0.1 | patch | fix: it (0000000) |\n"
            "| 2 | web | 1.0 | 1.1 | minor | feat: a\\|b (0000000) |\n"
            "\n- RK-WORKSPACE-REQUIREMENT: app requires core\\<1, which the workspace's 1.0.1 is not"
            " (packages/app/pyproject.toml)"
            "\n\nNot released (skipped: idle)"
            "\n\nEach package is uploaded as soon as those that it needs are on the index:"
            "\n\n```mermaid\n"
            "flowchart LR\n"
            '    p0["app 1.0.1"]\n'
            '    p1["core 1.0.1"]\n'
            '    p2["web 1.1"]\n'
            "    p1 --> p2\n"
            "```\n"
        )

    def test_mermaid_words(self) -> None:
        """A package may be called what in a Mermaid graph is a word of the language."""
        text = plan_markdown(builders.plan_of("end: graph subgraph"))

        assert text.endswith('    p2["end 1.1"]\n    p0 --> p2\n    p1 --> p2\n```\n')

    def test_empty_plan(self) -> None:
        """Nothing to release is no table with rows, and no error."""
        text = plan_markdown(builders.plan_of("app:", changes={}))

        assert text == "# Nothing to release\n\nNot released (skipped: app)\n"

    def test_report(self) -> None:
        """A report says of each package what came of it and what to do next; cells stay in their row."""
        failed = PackageReport(
            name="web",
            version=Version("1.0"),
            tag="web-v1.0",
            outcome=Outcome.FAILED,
            error="a | b\nc",
            hint="Mend it.",
        )
        confirmed = PackageReport(name="core", version=Version("1.1"), tag="core-v1.1", outcome=Outcome.CONFIRMED)
        packages = (confirmed, failed)
        report = Report(release="1a2b3c", title="v1.0", packages=packages, problems=("not pushed",), notes=("Note.",))

        assert report_markdown(report) == (
            "# v1.0: 1 confirmed, 1 failed, not pushed\n\n"
            "| package | version | outcome | error | next step |\n"
            "| --- | --- | --- | --- | --- |\n"
            "| core | 1.1 | ✅ confirmed |  |  |\n"
            "| web | 1.0 | ❌ failed | a \\| b c | Mend it. |\n"
            "\n- not pushed\n- Note.\n"
        )

    def test_summary(self) -> None:
        """For a form with little room, a plan is a paragraph, and names no more packages than fit."""
        text = plan_summary(builders.plan_of(*(f"p{number}:" for number in range(32))))

        assert text.startswith("**v1.1: 32 packages.** p0 1.0 → 1.1, p1 1.0 → 1.1,")
        assert " and 2 more. Why" in text


def test_graph_svg() -> None:
    """The graph as a picture has a box for each package, an arrow for each need, and the colour of what came of it."""
    plan = builders.plan_of("web: core", "app: web core", "a-name-that-is-longer-than-its-box:")
    picture = graph_svg(plan, {"web": Outcome.FAILED})
    boxes = {name: rect for rect, name in re.findall(r"<rect ([^>]*)/><text[^>]*>(\S+) ", picture)}

    assert picture.count("<g>") == 4
    assert picture.count("<path ") == 3
    assert "a-name-that-is-longer-tha…" in picture
    assert [re.findall(r'x="(\d+)"', boxes[name])[0] for name in ("core", "web", "app")] == ["10", "290", "570"]
    assert boxes["web"].partition("fill=")[2] != boxes["core"].partition("fill=")[2]


def test_levels() -> None:
    """One line a level, with its number."""
    graph = builders.graph_of("app: web db", "web: core", "db: core")

    assert levels_text(order(graph)) == "0: core\n1: db web\n2: app\n"
    assert levels_text(order(graph.only([]))) == ""


class TestDiscover:
    """`discover --format json`."""

    def test_contract(self) -> None:
        """Each member with what it requires, inside and outside."""
        documents = builders.documents_of(
            "Fps_App: core", "fps-app[x]: extra", "fps-app (build): tool", "fps-app (group): lint"
        )
        project = documents["packages/fps-app"]["project"]
        project["dependencies"] += ["httpx>=0.27"]
        documents["."] = {"project": {"name": "root", "dynamic": ["version"]}}

        rows = json.loads(discover_json(workspace_of(documents, builders.settings_of())))

        assert [row["name"] for row in rows] == ["core", "extra", "fps-app", "lint", "root", "tool"]
        assert rows[2] == {
            "name": "fps-app",
            "path": "packages/fps-app",
            "version": "1.0",
            "dynamic": False,
            "publishable": True,
            "internal": ["core", "extra", "tool"],
            "external": ["httpx>=0.27"],
        }
        assert rows[4] == {
            "name": "root",
            "path": ".",
            "version": None,
            "dynamic": True,
            "publishable": False,
            "internal": [],
            "external": [],
        }


class TestGraph:
    """`graph --format json`."""

    def test_contract(self) -> None:
        """Nodes with their edges of each kind, and levels."""
        workspace = builders.workspace_of("app: core", "app (build): tool", "app[x]: extra", "app (group): lint")
        graph, _ = core_graph.graph_of(workspace, {})

        given = json.loads(graph_json(workspace, graph, order(graph)))

        assert given["packages"][0] == {
            "name": "app",
            "path": "packages/app",
            "version": "1.0",
            "publishable": True,
            "needs": ["core", "tool"],
            "extra_needs": ["extra"],
            "build_needs": ["tool"],
        }
        assert given["levels"] == [["core", "extra", "lint", "tool"], ["app"]]
        assert given["cycles"] == []

    def test_cycle(self) -> None:
        """Where cycles allow no order there are no levels, but the cycles."""
        workspace = builders.workspace_of("a: b", "b: a")
        graph, _ = core_graph.graph_of(workspace, {})

        given = json.loads(graph_json(workspace, graph, None))

        assert (given["levels"], given["cycles"]) == ([], [["a", "b", "a"]])

    def test_part(self) -> None:
        """A part of the graph has the nodes of that part."""
        workspace = builders.workspace_of("app: core", "web:")
        graph = core_graph.graph_of(workspace, {})[0].only(["app", "core"])

        given = json.loads(graph_json(workspace, graph, order(graph)))

        assert [package["name"] for package in given["packages"]] == ["app", "core"]
