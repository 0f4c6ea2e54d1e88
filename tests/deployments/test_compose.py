"""`compose.yaml` and the worker image: what linters say, and what the services do as processes of this machine."""

from __future__ import annotations

import re
import shlex
import sys
import time
import tomllib
from contextlib import ExitStack
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from releasekit.core.errors import ReleaseError
from releasekit.integrations.prefect_server import free_port
from releasekit.integrations.process import Command, background, run
from releasekit.integrations.uv import find_uv
from tests.support.postgres import postgres, programs
from tests.support.world import dated_tag, make_world

if TYPE_CHECKING:
    from releasekit.integrations.peryx import EmbeddedIndex

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0
"""Seconds that anything may take."""


DEPLOYMENTS = ROOT / "deployments"


def program(name: str) -> str:
    """Return the path of a program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("compose-spec", DEPLOYMENTS / "compose.yaml"),
        ("gitlab-ci", ROOT / "releasekit/templates/gitlab/releasekit.gitlab-ci.yml"),
    ],
    ids=["compose", "gitlab"],
)
def test_file_fits_its_schema(schema: str, file: Path, tmp_path: Path) -> None:
    """The schema is that of the program that reads the file; with one key that it does not know, it says so."""
    check = (program("check-jsonschema"), "--builtin-schema", f"vendor.{schema}")
    run(Command((*check, "--data-transform", "gitlab-ci", str(file)), ROOT))

    wrong = tmp_path / file.name
    wrong.write_text(f"{file.read_text()}\nservices: {{ worker: {{ comand: sleep }} }}\n")
    with pytest.raises(ReleaseError):
        run(Command((*check, str(wrong)), ROOT))


def test_worker_image_passes_linter() -> None:
    """Hadolint finds nothing in the Dockerfile, and the image gets everything that the wheel is built from."""
    file = DEPLOYMENTS / "Dockerfile"
    run(Command((program("hadolint"), str(file)), ROOT))

    copies = re.findall(r"^COPY (?!--)(.+) \S+$", file.read_text(), re.MULTILINE)
    copied = set(" ".join(copies).split())
    kept = re.findall(
        r"^!(.+)$", (DEPLOYMENTS / "Dockerfile.dockerignore").read_text(), re.MULTILINE
    )
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]
    assert copied == set(kept) == {"pyproject.toml", *built["sdist"]["only-include"]}


class Composed:
    """The services of the file, each to be started as a process of this machine."""

    def __init__(self, home: Path, hosts: dict[str, str]) -> None:
        self.home, self.hosts = home, hosts
        self.services: dict[str, dict[str, Any]] = yaml.safe_load(
            (DEPLOYMENTS / "compose.yaml").read_text()
        )["services"]

    def command(self, service: str, **env: str) -> Command:
        """Return the command of a service, with its own settings and with what its image installs."""
        here = self.services[service]
        given = {name: self._here(str(value)) for name, value in here["environment"].items()}
        home = self.home / service
        home.mkdir(exist_ok=True)
        words = shlex.split(self._here(here["command"]))
        packages = [
            word
            for name in given.pop("EXTRA_PIP_PACKAGES", "").split()
            for word in ("--with", name)
        ]
        if words[0] != "uv":
            words = ["uv", "run", "--quiet", "--no-sync", *packages, *words]
        told = {**given, "PREFECT_HOME": str(home), "XDG_DATA_HOME": str(home), **env}
        return Command((find_uv().executable, *words[1:]), ROOT, told, timeout=PATIENCE)

    def _here(self, text: str) -> str:
        for name, place in self.hosts.items():
            text = text.replace(name, place)
        return text


def wait_for(address: str, log: Path) -> None:
    """Wait until *address* answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
        assert time.monotonic() < deadline, log.read_text()


def test_compose_team_releases_a_workspace(
    tmp_path: Path, request: pytest.FixtureRequest, own_index: EmbeddedIndex
) -> None:
    """Server and services apart, PostgreSQL and Redis between them, and two workers release a workspace."""
    if not request.config.getoption("--team"):
        pytest.skip("only with --team: it takes two minutes")
    redis = which("redis-server")
    if not redis or not programs():
        pytest.skip("there is no PostgreSQL or no Redis")
    world = make_world(tmp_path, "app: core; core")
    with ExitStack() as stack:
        database = urlsplit(stack.enter_context(postgres()))
        port, messages = free_port(), free_port()
        stack.enter_context(
            background(
                Command((redis, "--port", str(messages), "--save", "")), tmp_path / "redis.log"
            )
        )
        hosts = {
            "postgresql+asyncpg://prefect:${POSTGRES_PASSWORD:?}@database/prefect": database.geturl(),
            "redis://messages:6379": f"redis://127.0.0.1:{messages}",
            "messages": "127.0.0.1",
            "http://server:4200": f"http://127.0.0.1:{port}",
            "0.0.0.0": f"127.0.0.1 --port {port}",  # noqa: S104  what the file says
            "/results": str(tmp_path / "results"),
            "${GIT_AUTHOR_NAME:-releasekit}": "releasekit",
            "${GIT_AUTHOR_EMAIL:-releasekit@localhost}": "releasekit@localhost",
            "${UV_PUBLISH_TOKEN:-}": str(own_index.environment["UV_PUBLISH_TOKEN"]),
        }
        composed = Composed(tmp_path, hosts)
        own = {"PREFECT_REDIS_MESSAGING_PORT": str(messages)}
        run(composed.command("migrate", **own))
        stack.enter_context(background(composed.command("server", **own), tmp_path / "server.log"))
        wait_for(f"http://127.0.0.1:{port}/api/health", tmp_path / "server.log")
        stack.enter_context(
            background(composed.command("services", **own), tmp_path / "services.log")
        )
        client = composed.command("worker").env

        def prefect(*words: str) -> str:
            argv = (sys.executable, "-m", "prefect", "--no-prompt", *words)
            return run(Command(argv, ROOT, client, timeout=PATIENCE)).stdout

        prefect("work-pool", "create", "releasekit", "--type", "process")
        prefect("deploy", "--all")
        for name in ("one", "two"):
            stack.enter_context(background(composed.command("worker"), tmp_path / f"{name}.log"))
        given = ("-p", f"workspace={world.root}", "-p", "audit=false")
        said = prefect("deployment", "run", "releasekit/publish", *given, "--watch")
        pool = f"http://127.0.0.1:{port}/api/work_pools/releasekit/workers/filter"
        workers = httpx.post(pool, json={}, timeout=30).raise_for_status().json()

    assert [worker["status"] for worker in workers] == ["ONLINE", "ONLINE"]
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0", dated_tag()}, said
