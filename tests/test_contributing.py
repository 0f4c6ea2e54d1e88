"""What contributors rely on: decisions and promises are listed, CONTRIBUTING is short, our workflows are shipped."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from releasekit.integrations.process import Command, run

ROOT = Path(__file__).parents[1]
DECISIONS = ROOT / "docs/contributing/decisions"
RECORDS = sorted(path for path in DECISIONS.glob("*.md") if path.name != "index.md")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(
    path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)
PROMISES = 278
"""How many promises the first roadmap makes."""
SECTIONS = ["Context", "Decision", "Consequences", "Measurement"]
LONGEST = 1000
"""Words that CONTRIBUTING.md may have."""


def test_decisions_are_listed() -> None:
    """The index lists each record once, by the title that the record has."""
    listed = re.findall(r"^- \[(.+)\]\((.+)\)$", (DECISIONS / "index.md").read_text(), re.MULTILINE)

    titles = {path.name: path.read_text().partition("\n")[0].removeprefix("# ") for path in RECORDS}
    assert len(listed) == len(titles)
    assert {name: title for title, name in listed} == titles


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem[:4])
def test_decision_has_status_and_sections(record: Path) -> None:
    """A record has a unique number, a status, and the usual sections in the usual order."""
    text = record.read_text()

    assert [path.name[:4] for path in RECORDS].count(record.name[:4]) == 1
    assert re.match(
        rf"# {record.name[:4]}\. .+\n\nStatus: (accepted|replaced by \[\d{{4}}\]\(.+\))\n", text
    )
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections in (SECTIONS, SECTIONS[:-1])


def test_every_promise_has_a_row() -> None:
    """Each promise of the roadmap has one row, with tests that exist; a row without one has a remark."""
    page = (ROOT / "docs/contributing/promises.md").read_text()
    rows = re.findall(r"^\| (\d+) \| .+? \| (.*?) ?\| (.*?) ?\|$", page, re.MULTILINE)
    tests = re.findall(r"`(\S+\.py)::(\w+)`", page)

    assert [int(number) for number, *_ in rows] == list(range(1, PROMISES + 1))
    assert [number for number, proof, remark in rows if not (proof or remark)] == []
    files = {file for file, _ in tests}
    names = {file: _function_names(ROOT / "tests" / file) for file in files}
    assert [(file, name) for file, name in tests if name not in names[file]] == []
    assert len(tests) == page.count("::"), "a test is named in another form"


def _function_names(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_dependencies_have_their_reasons() -> None:
    """Each package that users install has a row in the table of dependencies, and no other package has one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"].values()
    required = [*project["dependencies"], *(text for texts in optional for text in texts)]
    page = (ROOT / "docs/contributing/dependencies.md").read_text()
    table = page.partition("## What users install")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([a-z0-9, -]+) \|", table, re.MULTILINE)[1:]

    assert {name for cell in cells for name in cell.split(", ")} == {
        Requirement(text).name for text in required
    }


def test_contributing_is_short() -> None:
    """Newcomers read it to the end."""
    assert len((ROOT / "CONTRIBUTING.md").read_text().split()) < LONGEST


@pytest.mark.parametrize(
    "shipped", sorted((ROOT / "deployments/github").glob("*.yml")), ids=lambda path: path.name
)
def test_own_workflows_are_shipped_ones(shipped: Path) -> None:
    """We release by what `releasekit init --ci github` writes, with a version that is published already."""
    ours = (ROOT / ".github/workflows" / shipped.name).read_text()

    version = re.compile(r"releasekit@\S+")
    assert version.sub("", ours) == version.sub("", shipped.read_text()), (
        "run `releasekit init --ci github` on main again"
    )


def test_workflows_are_secure() -> None:
    """The linter finds no security problem in our own workflows."""
    zizmor = str(Path(sys.executable).with_name("zizmor"))
    command = (zizmor, "--offline", "--no-config", "--format", "json", *map(str, WORKFLOWS))
    result = run(Command(command, ok_codes=frozenset(range(20))))

    assert json.loads(result.stdout) == [], result.stderr


def test_ci_runs_the_gate() -> None:
    """CI runs the script that contributors run, and on main the README's test command with the coverage."""
    document: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    jobs = document["jobs"]
    commands = {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }
    test_command = (
        (ROOT / "README.md")
        .read_text()
        .partition("<!-- test -->\n```bash\n")[2]
        .partition("\n```")[0]
    )

    assert commands == {
        "gate": [".ci/run"],
        "coverage": [f"{test_command} --cov --cov-fail-under=90\n"],
    }
    assert document["permissions"] == {}
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        name: {"contents": "read"} for name in jobs
    }


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_issue_forms_have_unique_fields(form: Path) -> None:
    """GitHub accepts the forms: each field has a label, and an id that no other field has."""
    document: dict[str, Any] = yaml.safe_load(form.read_text())
    fields = [field for field in document["body"] if field["type"] != "markdown"]

    assert {"name", "description", "body"} <= document.keys()
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    options = [option for field in fields for option in field["attributes"].get("options", ())]
    assert all(isinstance(option, str) for option in options), (
        "GitHub refuses yes and no without quotes"
    )
