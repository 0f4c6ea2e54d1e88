"""Hostile texts and careless tools: what a workspace says stays text, and what tools repeat of secrets is masked."""

from __future__ import annotations

import base64
import json
import os
import re
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr

from releasekit.core.secret_forms import secret_forms
from tests.support.fault_index import Fault, FaultIndex, fault_index
from tests.support.github import WRITER, GitHubDouble
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

SHELL = "$(touch pwned) `touch pwned` ; touch pwned & | touch pwned"
TEMPLATE = "{{ 7 * 191 }} {% for x in range(9) %}looped{% endfor %} {name} %s ${HOME}"
MARKUP = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) | cell | ***"
)
TERMINAL = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \x08\x7f"
ORDER = "\u202egnp.exe\u202c \u2066hidden\u2069 \u200b"
LINE = f"{SHELL} {TEMPLATE} {MARKUP} {TERMINAL} {ORDER}"
LONG = f"{LINE} {'very long ' * 800}"
BODY = f"## [9.9.9] - 2026-01-01\n\n- forged entry\n\n<!-- releasekit plan -->\n\n```\n{LINE}\n"
BRANCH = "main-$(touch${IFS}pwned);{{7+7}}`id`<b>"
ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, or what shows text in another order."""


@pytest.fixture
def hub(tmp_path: Path) -> Generator[GitHubDouble]:
    """Run a GitHub with an empty repository."""
    double = GitHubDouble(tmp_path / "hub")
    with double.serving():
        yield double


def hostile_world(directory: Path, hub: GitHubDouble) -> World:
    """Make a workspace of two packages in which every text that somebody else may write is hostile."""
    made = make_world(directory, "app: core; core")
    world = World(made.root, hub.bare)
    world.git("remote", "set-url", "origin", hub.remote)
    world.git("branch", "--move", "main", BRANCH)
    quoted = json.dumps(f"{MARKUP} {TEMPLATE} {SHELL}")
    path = "packages/core/pyproject.toml"
    described = (
        f'name = "core"\ndescription = {quoted}\nreadme = "README.md"\nkeywords = [{quoted}]'
    )
    project = (world.root / path).read_text().replace('name = "core"', described, 1)
    table = f'\n[tool.releasekit]\nforge = "github"\nchanges = "both"\nallow_branches = [{json.dumps(BRANCH)}]\n'
    root = (world.root / "pyproject.toml").read_text() + table
    files = {path: project, "packages/core/README.md": LINE, "pyproject.toml": root}
    world.commit("chore: begin", files)
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.git("tag", "core-v$(touch)-{{7}}<b>")
    world.git("config", "user.name", f"{SHELL} {TEMPLATE} {ORDER}")
    world.commit(f"feat: {LONG}\n\n{BODY}\nBREAKING CHANGE: {LINE}", {"packages/core/a.txt": "a"})
    world.commit(f"fix({LINE}): {LINE}", {"packages/app/$(touch pwned) {{ 7 }}.txt": "b"})
    world.commit(f"fix: {LINE}", {"packages/app/b.txt": "b"})
    change = f"---\ncore: minor\n---\n\n{LINE}\n\n{BODY}"
    world.commit("docs: tell", {".changes/$(touch pwned).md": change})
    world.git("push", "--quiet", "--tags", "origin", BRANCH)
    world.git("fetch", "--quiet", "origin")
    world.git("branch", "--quiet", f"--set-upstream-to=origin/{BRANCH}")
    return world


@pytest.mark.usefixtures("unrecorded")
def test_hostile_texts_stay_texts(
    tmp_path: Path, hub: GitHubDouble, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a workspace says is run, rendered, obeyed by a terminal, or taken for a heading of ours."""
    world = hostile_world(tmp_path, hub)
    monkeypatch.setenv("GH_TOKEN", WRITER)

    shown = {
        command: world.releasekit(*command.split())
        for command in ("plan", "plan --format markdown", "changelog", "notes", "version --explain")
    }
    plan = json.loads(world.releasekit("plan", "--format", "json").out)
    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    for command, text in shown.items():
        assert text.code == 0, (command, text.err)
        assert not ACTIVE.search(text.out + text.err), (command, ACTIVE.findall(text.out)[:5])
    assert {step["name"]: step["next"] for step in plan["packages"]} == {
        "app": "0.1.1",
        "core": "0.2.0",
    }
    assert said.code == 0, said.err
    assert not ACTIVE.search(said.err), ACTIVE.findall(said.err)
    assert list(tmp_path.rglob("pwned")) == []
    (release,) = hub.releases.values()
    changelog = (world.root / "packages/core/CHANGELOG.md").read_text()
    headings = re.findall(r"(?m)^## .*", release["body"])
    assert headings == ["## Packages", "## core 0.2.0", "## app 0.1.1"]
    for text in (release["body"], changelog, shown["plan --format markdown"].out):
        assert "1337" not in text
        assert "loopedlooped" not in text
        # A change file is Markdown on purpose, as an indented item; the title of a commit is not.
        titles = [line for line in text.splitlines() if line.startswith("- ") and "***" not in line]
        assert not re.search(r"(?<!\\)<(?:script|img)", "\n".join(titles))
        assert "\n## [9.9.9]" not in text
        assert "\n<!-- releasekit" not in text
        assert not ACTIVE.search(text), ACTIVE.findall(text)[:5]
    assert "very long" in changelog
    assert [line[:10] for line in re.findall(r"(?m)^## .*", changelog)] == ["## [0.2.0]"]
    with zipfile.ZipFile(next(tmp_path.rglob("core-0.2.0*.whl"))) as wheel:
        assert wheel.testzip() is None
    assert own_index.requests()


MARK = "seen-by-everybody"
"""What may be seen; it proves that a secret at the same place would be found."""


def repeated(canaries: list[str]) -> str:
    """Return what a careless tool says of *canaries*, in all the forms that tools use."""
    forms = [
        form
        for canary in canaries
        for form in (
            canary,
            quote(canary, safe=""),
            json.dumps(canary),
            base64.b64encode(f"me:{canary}".encode()).decode(),
        )
    ]
    return f"{MARK} {' '.join(forms)}"


def recorded_texts(api: str) -> str:
    """Return what Prefect's server has of runs, their states, logs and artifacts."""
    tables = ("flow_runs", "task_runs", "logs", "artifacts")
    pages = [
        httpx.post(f"{api}/{table}/filter", json={"limit": 200}, timeout=60) for table in tables
    ]
    return "\n".join(page.raise_for_status().text for page in pages)


def texts_below(directory: Path) -> str:
    """Return the text of all files below *directory*."""
    return "\n".join(
        path.read_bytes().decode("utf-8", "replace")
        for path in directory.rglob("*")
        if path.is_file()
    )


def name_index(world: World, index: FaultIndex) -> None:
    """Let the workspace be released to *index*, which has a name, and credentials of its own."""
    path = world.root / "pyproject.toml"
    table = f'[[tool.uv.index]]\nname = "ours"\nurl = "{index.simple_url}"\npublish-url = "{index.publish_url}"\n'
    credentials = 'secrets = { UV_PUBLISH_TOKEN = "canary-block" }'
    later = 'secrets = { UV_PUBLISH_TOKEN = "LATER_LOGIN" }'
    key = f'publish_to = [{{ index = "ours", {credentials} }}, {{ index = "more", packages = false, {later} }}]'
    more = table.replace("ours", "more")
    path.write_text(
        f"{path.read_text()}\n{key}\n\n{table}explicit = true\n\n{more}explicit = true\n"
    )
    world.lock()
    world.git("push", "--quiet", "origin", "main")


def set_credentials(
    monkeypatch: pytest.MonkeyPatch, netrc: Path, canaries: Mapping[str, str]
) -> None:
    """Put *canaries*, by the way that they come in, into the environment and the file *netrc*."""
    netrc.write_text(f"machine 127.0.0.1 login me password {canaries['netrc']}\n")
    netrc.chmod(0o600)
    for name in [name for name in os.environ if name.startswith("UV_PUBLISH_")]:
        monkeypatch.delenv(name)
    address = quote(canaries["address"], safe="")
    variables = {
        "MY_TOKEN": canaries["variable"],
        "MY_INDEX": f"https://me:{address}@other.example/simple",
        "NETRC": str(netrc),
        "UV_INDEX_OURS_USERNAME": "me",
        "UV_INDEX_OURS_PASSWORD": canaries["reading"],
        "LATER_LOGIN": canaries["later"],  # its name does not say that it is secret
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_failures_tell_no_secret(
    tmp_path: Path, hub: GitHubDouble, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step fails with a text that repeats every secret, and none is in logs, states, artifacts or records."""
    ways = ("block", "variable", "address", "remote", "netrc", "push", "reading", "extra", "later")
    canaries = [f'canary/{way}+"9876543210' for way in ways]
    by_way: dict[str, str] = dict(zip(ways, canaries, strict=True))
    told = repeated(canaries)
    from prefect.blocks.system import Secret

    Secret(value=SecretStr(by_way["block"])).save("canary-block", overwrite=True)
    made = make_world(
        tmp_path / "world",
        "core",
        'secrets.UV_PUBLISH_TOKEN = "canary-block"\nsmoke_test = false\noverlay = "off"\nrelease = false',
    )
    world = World(made.root, hub.bare)
    host = hub.remote.partition("://")[2]
    world.git("remote", "set-url", "origin", f"http://me:{quote(by_way['remote'], safe='')}@{host}")
    pushed = f"http://me:{quote(by_way['push'], safe='')}@{host}"
    world.git("remote", "set-url", "--push", "origin", pushed)
    world.git("push", "--quiet", "origin", "main")
    world.git("fetch", "--quiet", "origin")
    hook = world.remote / "hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\ncat <<'END' >&2\n{told}\nEND\nexit 1\n")
    set_credentials(monkeypatch, tmp_path / "netrc", by_way)
    heard: dict[str, str] = {}
    with fault_index() as index:
        name_index(world, index)
        extra_url = index.simple_url.replace("://", f"://me:{quote(by_way['extra'], safe='')}@")
        monkeypatch.setenv("UV_EXTRA_INDEX_URL", extra_url)

        def release(step: str) -> None:
            said = world.releasekit("publish", "--yes", "--skip-audit", "-v")
            assert said.code, step
            heard[step] = said.out + said.err

        index.on_page("core", [Fault(400, told)] * 9)
        release("ask")
        index.heal()
        index.on_upload("core", [Fault(400, told)])
        release("upload")
        hook.chmod(0o755)
        release("push")
    heard["record"] = texts_below(world.root / ".git/releasekit")
    heard["prefect"] = recorded_texts(prefect_api)

    for step, text in heard.items():
        forms = [form for canary in canaries for form in secret_forms(canary) if form in text]
        assert forms == [], step
        assert all(
            base64.b64encode(f"me:{canary}".encode()).decode()[4:-6] not in text
            for canary in canaries
        )
    assert [step for step in ("upload", "push", "prefect") if MARK not in heard[step]] == []
