"""Real index servers, and small packages to put on them."""

from __future__ import annotations

import base64
import gc
import os
import re
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, is_hypothesis_test
from hypothesis import settings as hypothesis_settings

from releasekit.__main__ import COLLECTION_THRESHOLDS
from releasekit.integrations.peryx import EmbeddedIndex, embedded_index
from releasekit.integrations.prefect_server import configure_client
from releasekit.integrations.process import Command, background, run
from releasekit.integrations.uv import find_uv
from tests.support.worker_server import WorkerServer, stop_measuring_children

if TYPE_CHECKING:
    from collections.abc import Generator

# Property tests judge what comes out, never how long it took.
hypothesis_settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("untimed")

# pypiserver's own program reads passwords through passlib alone; its library takes a function. An empty user name
# makes it let everyone upload.
PYPI_SERVER = """
import sys, wsgiref.simple_server as wsgi
from pathlib import Path
from pypiserver import app

root, user, password = sys.argv[1:]
guard = {"authenticate": ["update"], "auther": lambda *given: given == (user, password)}
free = {"authenticate": [], "password_file": "."}
served = app(roots=[Path(root)], disable_fallback=True, **(guard if user else free))
with wsgi.make_server("127.0.0.1", 0, served) as server:
    print(f"serving on port {server.server_port}.", flush=True)
    server.serve_forever()
"""


def replace_shims(path: str) -> str:
    """Return PATH with the directory of the running Python instead of pyenv's shims.

    A shim is a shell script. uv cannot cache what it answers, and runs it again for each `uv lock`: 0.17 CPU-seconds
    instead of 0.02.
    """
    python = str(Path(sys.base_prefix) / "bin")
    directories = (
        python if Path(name).name == "shims" else name for name in path.split(os.pathsep)
    )
    return os.pathsep.join(dict.fromkeys(directories))


os.environ["PATH"] = replace_shims(os.environ.get("PATH", ""))

os.environ["RELEASEKIT_ALLOW_NEW"] = "true"
"""Most tests release packages for the first time, and are about something else."""

CACHE = tempfile.TemporaryDirectory(prefix="releasekit-cache-")
os.environ["RELEASEKIT_CACHE_DIR"] = CACHE.name
"""Tests leave nothing in the cache of whoever runs them."""

# As the program does. By default Python looks for garbage so often that this takes a twelfth of the tests' own time.
gc.set_threshold(*COLLECTION_THRESHOLDS)

# Without .pyc files each child process compiles Prefect again: 2 CPU-seconds, 4 for its server.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the whole of the slow tests be asked for."""
    parser.addoption(
        "--crash-points", choices=("few", "all"), default="few", help="where a release is killed"
    )
    parser.addoption("--browser", action="store_true", help="click through Prefect's UI")
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is seen into the files of tests/**/golden",
    )
    parser.addoption(
        "--team", action="store_true", help="start all that compose.yaml has, without containers"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests tell of how much they have tried (`record_property("tried", ...)`), also if all went well."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for text in (
            text
            for name, text in report.user_properties
            if name == "tried" and report.when == "call"
        ):
            terminalreporter.write_line(f"{report.nodeid}: {text}")


Golden = Callable[[str, str], None]
"""Compares a text with the file of that name in `golden/` beside the test."""


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return what compares a text with a file, byte for byte; `pytest --update-golden` writes the file instead."""

    def compare(name: str, text: str) -> None:
        path = request.path.parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, newline="")
        with path.open(newline="") as file:
            assert file.read() == text, f"{path} is another; --update-golden takes this for right"

    return compare


SERVED = pytest.StashKey[AbstractSet[Path]]()
"""The files with tests that ask for the Prefect server of their worker."""

SLOW = ("deployments", "crash", "stories", "tasks", "flows", "cli", "operations", "integrations")
"""The rooms whose files take longest; they go first, so that short ones fill the end, when one worker is through."""

WAITING = "deployments"
"""The room whose files mostly wait, for workers and servers."""
BESIDE_WAITING = 3
"""How many files the other workers take while one works on a file that waits."""


WHOLE_RELEASES = ("deployments", "crash", "stories")
COUNTED_RELEASES = (
    "test_forge.py",
    "test_pull_request.py",
    "test_resume.py",
    "test_rollback.py",
    "test_stage.py",
)
"""The files with whole releases whose lines are counted for coverage: together they reach what the others do."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files in order, and tell which tests count lines.

    Counting lines makes a test half as long again, so it is left out where other tests reach the same lines: for most
    whole releases, and for property tests; a line that only random values reach deserves an example.
    """
    config.stash[SERVED] = {item.path for item in items if needs_server(item)}
    order = order_files(items, config.stash[SERVED])
    places = {path: place for place, path in enumerate(order)}
    items.sort(key=lambda item: places[item.path])
    for item in items:
        is_whole_release = (
            item.path.parent.name in WHOLE_RELEASES and item.path.name not in COUNTED_RELEASES
        )
        if is_whole_release or (isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)):
            item.add_marker(pytest.mark.no_cover)


def order_files(items: Sequence[pytest.Item], served: AbstractSet[Path]) -> Sequence[Path]:
    """Return the files of *items* in the order in which the workers get them with `--no-loadscope-reorder`.

    The files in *served* need the Prefect server. They come first, so that it can end early. Among these, files that
    wait are spread, so that others keep the cores busy meanwhile. Then long files come before short ones.
    """
    rooms = {name: number for number, name in enumerate(SLOW)}
    paths = dict.fromkeys(item.path for item in items)
    waiting = [path for path in paths if path in served and path.parent.name == WAITING]
    others = sorted(
        (path for path in paths if path not in waiting),
        key=lambda path: (path not in served, rooms.get(path.parent.name, len(SLOW))),
    )
    for number, path in enumerate(waiting):
        others.insert(number * (BESIDE_WAITING + 1), path)
    return others


def needs_server(item: pytest.Item) -> bool:
    """Tell whether a test asks for the Prefect server of its worker."""
    return isinstance(item, pytest.Function) and "prefect_api" in item.fixturenames


def pytest_xdist_auto_num_workers() -> int:
    """Run three workers on two cores: tests often wait, for a server, an index or git."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


@pytest.fixture(autouse=True)
def _count_lines_where_they_count(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measure no coverage in child processes of a test that counts no lines, and of one that starts none of ours."""
    if request.node.get_closest_marker("no_cover") or request.path.name in COUNTED_RELEASES:
        stop_measuring_children(monkeypatch)


@pytest.fixture(autouse=True)
def _nothing_of_ours(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[None]:
    """No test uses the credentials, the git configuration or the Prefect server of the machine that it runs on."""
    # Nor that of other tests: with a server a small command takes three times as long.
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    if "prefect_api" in request.fixturenames:
        monkeypatch.setenv("PREFECT_API_URL", request.getfixturevalue("prefect_api"))
    if "PREFECT_HOME" not in os.environ:
        monkeypatch.setenv("PREFECT_HOME", str(tmp_path_factory.getbasetemp() / "no-prefect"))
    for name in os.environ:
        if re.match(
            r"(UV_PUBLISH|ACTIONS_ID_TOKEN|GH|GITHUB|GITLAB|GITEA|FORGEJO|CI|RELEASEKIT(?!_ALLOW_NEW|_CACHE_DIR))_|.*PYPI_ID_TOKEN$",
            name,
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GH_CONFIG_DIR", os.devnull)  # where gh, if there is one, knows nobody
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.delenv("CI", raising=False)
    # The width of the window that the tests are run from.
    monkeypatch.delenv("COLUMNS", raising=False)
    may_import = "prefect" in sys.modules or "prefect_client" in request.fixturenames
    yield
    assert may_import or "prefect" not in sys.modules, "ask for `prefect_client` or `unrecorded`"


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedIndex]:
    """Run the index of rehearsals; tests share it, so each uses package names of its own."""
    with embedded_index(tmp_path_factory.mktemp("index")) as running:
        yield running


@pytest.fixture(scope="session")
def pypi_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedIndex]:
    """Run a pypiserver, which has neither JSON nor core metadata and answers 403 where others answer 401."""
    with pypi_server_in(tmp_path_factory.mktemp("pypiserver"), "releaser", "swordfish") as running:
        yield running


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedIndex]:
    """Run a pypiserver that lets everyone upload."""
    with pypi_server_in(tmp_path_factory.mktemp("open"), "", "") as running:
        yield running


@pytest.fixture(scope="session")
def devpi_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedIndex]:
    """Run a devpi-server, where one is installed: it takes 5 to 20 s to start, too long for every day."""
    directory, password = tmp_path_factory.mktemp("devpi"), "swordfish"
    user = "root"  # of devpi, who exists from the beginning
    where, log = ("--serverdir", str(directory / "server")), directory / "log"
    run(Command(("devpi-init", *where, "--no-root-pypi", "--root-passwd", password)))
    with background(Command(("devpi-server", *where, "--port", "0")), log) as is_alive:
        address = f"http://127.0.0.1:{_port(log, is_alive, DEVPI_SERVES)}"
        with httpx.Client(base_url=address, headers={"Accept": "application/json"}) as web:
            login = web.post("/+login", json={"user": user, "password": password}).json()["result"][
                "password"
            ]
            token = base64.b64encode(f"{user}:{login}".encode()).decode()
            index: dict[str, object] = {"type": "stage", "bases": "", "volatile": False}
            web.put(
                f"/{user}/released", json=index, headers={"X-Devpi-Auth": token}
            ).raise_for_status()
        env: dict[str, str | None] = {
            "UV_PUBLISH_URL": f"{address}/{user}/released/",
            "UV_PUBLISH_USERNAME": user,
        }
        simple = f"{address}/{user}/released/+simple/"
        yield EmbeddedIndex(
            simple, f"{address}/{user}/released/", {**env, "UV_PUBLISH_PASSWORD": password}, log
        )


DEVPI_SERVES = r"Serving on http://\S+:(\d+)"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, ...]]:
    """Return a function that builds packages: `built("core", "1.0.0", needs=("base",))` -> (wheel, sdist)."""

    def build(
        name: str, version: str = "1.0.0", *, needs: tuple[str, ...] = ()
    ) -> tuple[Path, ...]:
        directory = tmp_path_factory.mktemp(name)
        write_package(directory, name, version, needs)
        uv = find_uv()
        run(
            uv.command(
                "build", "--quiet", "--no-sources", "--python", sys.executable, cwd=directory
            )
        )
        return tuple(sorted((directory / "dist").glob("*-*")))

    return build


def write_package(directory: Path, name: str, version: str, needs: tuple[str, ...] = ()) -> None:
    """Write a package that uv builds without any other process."""
    module = directory / "src" / re.sub("[-.]", "_", name).lower()
    module.mkdir(parents=True)
    (module / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (directory / "pyproject.toml").write_text(
        textwrap.dedent(f"""\
            [build-system]
            requires = ["uv_build>=0.9"]
            build-backend = "uv_build"

            [project]
            name = "{name}"
            version = "{version}"
            requires-python = ">=3.11"
            dependencies = {list(needs)}
            """)
    )


@contextmanager
def pypi_server_in(directory: Path, user: str, password: str) -> Generator[EmbeddedIndex]:
    """Run a pypiserver inside the block, on a free port."""
    root, log = directory / "packages", directory / "log"
    root.mkdir()
    with background(
        Command((sys.executable, "-c", PYPI_SERVER, str(root), user, password)), log
    ) as is_alive:
        address = f"http://127.0.0.1:{_port(log, is_alive)}/"
        env: dict[str, str | None] = {
            "UV_PUBLISH_URL": address,
            "UV_PUBLISH_USERNAME": user or "anyone",
        }
        yield EmbeddedIndex(
            f"{address}simple/", address, {**env, "UV_PUBLISH_PASSWORD": password or "none"}, log
        )


def _port(log: Path, is_alive: Callable[[], bool], said: str = r"serving on port (\d+)\.") -> int:
    for _ in range(6000):
        if found := re.search(said, log.read_text()):
            return int(found[1])
        assert is_alive(), log.read_text()
        time.sleep(0.01)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="session")
def prefect_database(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of an empty Prefect database, in pytest's cache; the first server that starts saves it there.

    To create one takes a server 8 CPU-seconds. `pytest --cache-clear` deletes it.
    """
    # None with `-p no:cacheprovider`.
    cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)
    make = cache.mkdir if cache else tmp_path_factory.mktemp
    return make(f"prefect-{version('prefect')}") / "prefect.db"


@pytest.fixture(scope="session")
def prefect_home(
    tmp_path_factory: pytest.TempPathFactory, prefect_database: Path
) -> Callable[[str], Path]:
    """Return a function that makes a directory for a Prefect server, with an empty database if one is saved."""

    def make(name: str) -> Path:
        home = tmp_path_factory.mktemp(name)
        if prefect_database.is_file():
            shutil.copy(prefect_database, home)
        return home

    return make


@pytest.fixture(scope="session")
def prefect_client(prefect_home: Callable[[str], Path]) -> Path:
    """Set up Prefect's client in this process as the program does, and return its home directory."""
    assert "prefect" not in sys.modules, "a test module imported Prefect"
    home = prefect_home("prefect")
    os.environ["PREFECT_HOME"] = str(home)
    configure_client("")
    return home


@pytest.fixture(scope="session")
def worker_server(pytestconfig: pytest.Config) -> Generator[WorkerServer]:
    """Return the Prefect server of this worker, which may not run yet."""
    server = WorkerServer()
    pytestconfig.stash[SERVER] = server
    yield server
    server.stop()


@pytest.fixture(scope="module")
def prefect_api(worker_server: WorkerServer, prefect_client: Path, prefect_database: Path) -> str:
    """Run one Prefect server for all the tests that ask for it; PREFECT_API_URL is set in these alone."""
    return worker_server.start(prefect_client, prefect_database)


SERVER = pytest.StashKey[WorkerServer]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the Prefect server before the first file that asks for none: while idle, it takes 2 CPU-seconds a minute.

    Files with deployments have a server of their own, because they give these the same names.
    """
    if SERVER not in item.config.stash or nextitem is None or nextitem.path == item.path:
        return
    is_shared = WAITING not in (item.path.parent.name, nextitem.path.parent.name)
    if nextitem.path not in item.config.stash[SERVED] or not is_shared:
        item.config.stash[SERVER].stop()


@pytest.fixture
def unrecorded(prefect_client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Release as in a CI job without a Prefect server, which takes half as long."""
    assert prefect_client
    monkeypatch.setenv("RELEASEKIT_RECORD", "never")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """Run an S3-compatible server, and return the URL of a bucket on it."""
    if not (find_spec("moto") and find_spec("s3fs")):
        pytest.skip("needs `uv run --with moto[server] --with s3fs`")
    boto3: Any = import_module("boto3")
    moto: Any = import_module("moto.server")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "ada",
        "AWS_SECRET_ACCESS_KEY": "lovelace",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="wheels")
    yield "s3://wheels/of-ours"
    server.stop()


@pytest.fixture
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a storage: a bucket where an S3-compatible server is installed, otherwise a directory."""
    if find_spec("moto") and find_spec("s3fs"):
        return request.getfixturevalue("bucket")
    return f"file://{tmp_path}/storage"


@pytest.fixture
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[EmbeddedIndex]:
    """Run an index of the test's own, and give this process the right to upload there."""
    (tmp_path / "index").mkdir()
    with embedded_index(tmp_path / "index") as running:
        for name, value in running.environment.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        yield running
