"""A release that loses something stops before anything is public, and its pull request says what is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.world import make_world, upload

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

STAGE = ("publish", "--stage-only", "--yes", "--skip-audit", "--format", "json")
SCRIPT = '\n[project.scripts]\napp = "app.cli:main"\n'
EXCLUDE = '\n[tool.uv.build-backend]\nwheel-exclude = ["rates.json"]\n'
BACKEND = """
import pathlib
import uuid

from uv_build import *
from uv_build import build_wheel as build_plain_wheel


def build_wheel(directory, settings=None, metadata=None):
    pathlib.Path("src/lone/stamp.txt").write_text(uuid.uuid4().hex)
    return build_plain_wheel(directory, settings, metadata)
"""
DEAD_MODULE = '{ rule = "ENTRY-POINT", package = "app", reason = "this story looks at what the comparison finds" }'
OWN_BUILD = "echo made > src/app/made.txt && uv build --quiet --wheel --out-dir $1"
OWN_COMMAND = json.dumps(["sh", "-c", OWN_BUILD, "sh", "{output}"])
KEYS = f'api_check = "error"\nverify_ignore = [{DEAD_MODULE}]'
ACCEPTED = """
[tool.releasekit]
api_check = "error"
reproducible = "check"
api_ignore = [{ path = "core.shade", reason = "only app calls it" }]
verify_ignore = [
    { rule = "ENTRY-POINT", package = "app", reason = "the next release has it" },
    { rule = "LOST-FILES", package = "lone", reason = "the rates come from a server" },
    { rule = "LOST-IMPORT", package = "*", reason = "nobody imports it" },
]
"""


@pytest.mark.usefixtures("unrecorded")
def test_losses_stop_until_accepted(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A broken API, a lost module and a file that the build leaves out: each stops, is shown, and can be accepted.

    Then a package whose builds differ is all that stops; one with its own build command is built by it both times.
    """
    world = make_world(
        tmp_path,
        "app; core; lone",
        f'api_check = "error"\nverify_ignore = [{DEAD_MODULE}]',
        core="def shade(leaf): ...\n",
    )
    app_project = (world.root / "packages/app/pyproject.toml").read_text() + SCRIPT
    lone_project = (world.root / "packages/lone/pyproject.toml").read_text()
    root_project = (world.root / "pyproject.toml").read_text().partition("\n[tool.releasekit]")[0]
    files = {
        "packages/app/pyproject.toml": app_project,
        "packages/app/src/app/cli.py": "def main(): ...\n",
        "packages/lone/src/lone/rates.json": "{}\n",
    }
    world.commit("feat: release by hand", files)
    upload(world, own_index, "app", "core", "lone")
    for name in ("app", "core", "lone"):
        world.git("tag", f"{name}-v0.1.0")
    (world.root / "packages/app/src/app/cli.py").unlink()
    losses = {
        "packages/core/src/core/__init__.py": "def tint(leaf): ...\n",
        "packages/lone/pyproject.toml": lone_project + EXCLUDE,
    }
    world.commit("fix: lose things", losses)
    world.git("push", "--quiet", "origin", "main")

    plan = world.releasekit("plan", "--format", "json")
    table = world.releasekit("plan", "--format", "markdown").out
    explained = world.releasekit("version", "core", "--explain").out
    stopped = world.releasekit(*STAGE)
    odd_project = (lone_project + EXCLUDE).replace(
        '"uv_build"\n', '"backend"\nbackend-path = ["."]\n'
    )
    accepted = {
        "pyproject.toml": root_project + ACCEPTED,
        "packages/lone/pyproject.toml": f'{odd_project}source-include = ["backend.py"]\n',
        "packages/lone/backend.py": BACKEND,
        "packages/app/pyproject.toml": f"{app_project}\n[tool.releasekit]\nbuild_command = {OWN_COMMAND}\n",
    }
    world.commit("chore: accept the losses", accepted)
    world.git("push", "--quiet", "origin", "main")
    staged = world.releasekit(*STAGE)

    rules = {
        (row["package"], row["rule"], row["severity"])
        for row in json.loads(plan.out)["differences"]
    }
    assert rules == {
        ("app", "RK-VERIFY-LOST-IMPORT", "error"),
        ("app", "RK-VERIFY-ENTRY-POINT", "error"),
        ("core", "RK-VERIFY-API-BREAK", "error"),
        ("lone", "RK-VERIFY-LOST-FILES", "error"),
    }
    assert "| error | core 0.1.0 | core.shade: removed | RK-VERIFY-API-BREAK |" in table
    assert "3 differences would stop the release" in table
    assert "! RK-VERIFY-API-BREAK: core.shade: removed (since core 0.1.0)  [error]" in explained
    assert stopped.code == 1, stopped.err
    errors = {
        row["name"]: f"{row['error']}\n{row['output']}"
        for row in json.loads(stopped.out)["packages"]
    }
    assert "app.cli can no longer be imported" in errors["app"]
    assert "the command app starts app.cli, which is gone" in table
    assert "core.shade: removed" in errors["core"]
    assert "lone/rates.json: in the source, but no longer in the wheel" in errors["lone"]
    assert "error, accepted: the rates come from a server" in staged.err
    outcomes = {row["name"]: row["outcome"] for row in json.loads(staged.out)["packages"]}
    assert outcomes == {"app": "built", "core": "built", "lone": "failed"}, staged.err
    assert (
        "RK-VERIFY-NOT-REPRODUCIBLE: lone-0.1.1-py3-none-any.whl: other content in lone-0.1.1.dist"
        in staged.out
    )
    assert "lone/stamp.txt" in staged.out


@pytest.mark.usefixtures("unrecorded")
def test_leaked_key_stops_until_accepted(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A private key in a changed file is in the table of the plan, and stops the release, until it is accepted."""
    key = f"-----BEGIN RSA PRIVATE{' '}KEY-----\n{'MIIEowIBAAKCAQEAx' * 5}\n-----END RSA PRIVATE{' '}KEY-----\n"
    world = make_world(tmp_path, "core; lone", "allow_new = true")
    upload(world, own_index, "core")
    world.git("tag", "core-v0.1.0")
    files = {"packages/core/src/core/server.txt": key, "packages/core/notes/server.txt": key}
    world.commit("fix: deploy", files)
    world.git("push", "--quiet", "origin", "main")

    plan = json.loads(world.releasekit("plan", "-p", "core", "--format", "json").out)
    table = world.releasekit("plan", "-p", "core", "--format", "markdown").out
    stopped = world.releasekit(*STAGE, "-p", "core")
    waiver = '{ rule = "SECRET", package = "core", reason = "a sample key" }'
    root = (world.root / "pyproject.toml").read_text()
    world.commit("chore: accept", {"pyproject.toml": f"{root}verify_ignore = [{waiver}]\n"})
    world.git("push", "--quiet", "origin", "main")
    accepted = world.releasekit(*STAGE, "-p", "core")

    (row,) = plan["differences"]  # uv_build does not pack `notes`
    assert (row["rule"], row["severity"]) == ("RK-VERIFY-SECRET", "error")
    text = "secrets: private key in src/core/server.txt"
    assert row["text"] == text
    assert f"| error | core 0.1.0 | {text} | RK-VERIFY-SECRET |" in table
    assert stopped.code == 1
    assert "RK-VERIFY-SECRET" in stopped.out
    assert "KCAQEAx" not in f"{plan}{table}{stopped.out}{stopped.err}"
    assert accepted.code == 0, accepted.err
    (difference,) = json.loads(world.releasekit("plan", "-p", "core", "--format", "json").out)[
        "differences"
    ]
    assert difference["waived"] == "a sample key"
