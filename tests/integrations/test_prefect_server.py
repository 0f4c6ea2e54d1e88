"""Prefect's server: found where one is configured, else started and stopped by us."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import sys
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from releasekit.cli.app import main
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations import prefect_server as server
from releasekit.integrations.prefect_server import (
    CLIENT_SETTINGS,
    NO_SERVER_SETTINGS,
    client_settings,
    configure_client,
    configured_api,
    is_listening,
    prefect_server,
    running_server,
    start_server,
    stop_server,
)
from releasekit.integrations.process import Command, run
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

HANGS = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1]))):
    time.sleep(600)
"""
PROFILES = """\
active = "team"

[profiles.ephemeral]
PREFECT_SERVER_ALLOW_EPHEMERAL_MODE = "true"

[profiles.team]
PREFECT_API_URL = "http://team.invalid/api"

[profiles.cloud]
PREFECT_API_URL = "http://cloud.invalid/api"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide the machine's own Prefect: PREFECT_HOME is a directory of the test."""
    for name in os.environ:
        if name.startswith("PREFECT_"):
            monkeypatch.delenv(name)
    found = tmp_path / "prefect"
    found.mkdir()
    monkeypatch.setenv("PREFECT_HOME", str(found))
    return found


@pytest.fixture(scope="module")
def lived_in(prefect_home: Callable[[str], Path]) -> Path:
    """Make a directory for servers, one after the other: the first start in it takes longest."""
    return prefect_home("lived-in")


class TestConfiguredApi:
    """Whether somebody runs a server already."""

    def test_no_configuration_gives_no_api(self) -> None:
        """Without variable and profiles there is none."""
        assert configured_api() == ""

    def test_active_profile_gives_the_api(self, home: Path) -> None:
        """The active profile's address counts, as for Prefect itself."""
        (home / "profiles.toml").write_text(PROFILES)

        assert configured_api() == "http://team.invalid/api"

    def test_environment_wins_over_profile(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PREFECT_API_URL wins over the profile, PREFECT_PROFILE over the active one; an empty address is none."""
        (home / "profiles.toml").write_text(PROFILES)

        monkeypatch.setenv("PREFECT_PROFILE", "cloud")
        assert configured_api() == "http://cloud.invalid/api"
        monkeypatch.setenv("PREFECT_PROFILE", "ephemeral")
        assert configured_api() == ""
        monkeypatch.setenv("PREFECT_PROFILE", "never-made")
        assert configured_api() == ""
        monkeypatch.setenv("PREFECT_API_URL", "http://env.invalid/api")
        assert configured_api() == "http://env.invalid/api"
        monkeypatch.setenv("PREFECT_API_URL", "")
        assert configured_api() == ""

    def test_profiles_file_can_move(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PREFECT_PROFILES_PATH names the file; without PREFECT_HOME it stands below the user's home."""
        (tmp_path / "elsewhere.toml").write_text(
            PROFILES.replace("team.invalid", "elsewhere.invalid")
        )
        (tmp_path / ".prefect").mkdir()
        (tmp_path / ".prefect" / "profiles.toml").write_text(
            PROFILES.replace("team.invalid", "home.invalid")
        )

        monkeypatch.setenv("HOME", str(tmp_path))
        for unset in ("", None):
            if unset is None:
                monkeypatch.delenv("PREFECT_HOME")
            else:
                monkeypatch.setenv("PREFECT_HOME", unset)
            assert configured_api() == "http://home.invalid/api"
        monkeypatch.setenv("PREFECT_HOME", str(home))
        monkeypatch.setenv("PREFECT_PROFILES_PATH", str(tmp_path / "elsewhere.toml"))
        assert configured_api() == "http://elsewhere.invalid/api"

    @pytest.mark.parametrize("raw", [b"active = ", b"\xff", b"", b'active = "gone"'])
    def test_damaged_profiles_configure_nothing(self, home: Path, raw: bytes) -> None:
        """A file that Prefect could not read either configures nothing."""
        (home / "profiles.toml").write_bytes(raw)

        assert configured_api() == ""


def test_user_settings_win_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set stays, even when it is empty; the rest gets our value."""
    ours, theirs, empty = list(CLIENT_SETTINGS)[:3]
    for name in CLIENT_SETTINGS:
        monkeypatch.setenv(name, "before")  # so that it is put back afterwards
    monkeypatch.delenv(ours)
    monkeypatch.setenv(theirs, "theirs")
    monkeypatch.setenv(empty, "")

    configure_client("")

    assert [os.environ[name] for name in (ours, theirs, empty)] == [
        CLIENT_SETTINGS[ours],
        "theirs",
        "",
    ]
    assert all(name.startswith(("PREFECT_", "DO_NOT_TRACK")) for name in CLIENT_SETTINGS)


class TestClientSettings:
    """What a client of Prefect reads for each step."""

    def test_plain_address_reads_one_certificate(self) -> None:
        """A client of an address without TLS reads one certificate; the file is written once."""
        file = Path(client_settings("http://127.0.0.1:4200/api")["PREFECT_API_SSL_CERT_FILE"])
        written = file.stat().st_mtime_ns

        assert len(ssl.create_default_context(cafile=str(file)).get_ca_certs()) == 1
        assert client_settings("")["PREFECT_API_SSL_CERT_FILE"] == str(file)
        assert file.stat().st_mtime_ns == written
        assert list(file.parent.iterdir()) == [file]

    def test_tls_address_keeps_all_certificates(self) -> None:
        """A client of an address with TLS verifies as ever."""
        assert client_settings("https://prefect.example/api") == CLIENT_SETTINGS

    def test_certificate_file_is_no_must(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no file can be written, clients read all certificates."""
        (home / "no-directory").touch()
        monkeypatch.setenv("PREFECT_HOME", str(home / "no-directory"))

        assert client_settings("http://127.0.0.1:4200/api") == CLIENT_SETTINGS

    def test_worker_without_server_prints_nothing(self) -> None:
        """A process of Dask or Ray, which gets our settings and no server, runs a task and prints no error about it."""
        sent = {name: str(value) for name, value in NO_SERVER_SETTINGS.items()}
        script = "import prefect, time\nprint(prefect.task(lambda: 41)() + 1)\ntime.sleep(1)"
        worker = Command((sys.executable, "-c", script), env={**sent, **client_settings("")})

        result = run(worker)

        assert (result.stdout.strip(), result.stderr) == ("42", "")


class TestServer:
    """A server of our own."""

    def test_prefect_server_ends_with_block(
        self, lived_in: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It answers as Prefect's server once it was waited for, keeps all in PREFECT_HOME, and is gone afterwards."""
        monkeypatch.setenv("PREFECT_HOME", str(lived_in))
        with prefect_server() as running:
            address = urlsplit(running.url)
            assert (address.scheme, address.hostname, address.path) == ("http", "127.0.0.1", "/api")
            running.wait()

            assert _get(running.url, "/health") is True
            settings = _get(running.url, "/admin/settings")
            assert settings["server"]["analytics_enabled"] is False
            assert settings["server"]["services"]["task_run_recorder"]["batch_size"] == 100
            assert (lived_in / "prefect.db").is_file()

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", address.port or 0), timeout=5)
        assert f"--port {address.port}" not in run(Command(("ps", "-eo", "args"))).stdout

    def test_started_server_outlives_its_command(
        self, lived_in: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One that is kept outlives the command that starts it, is found by others, and is stopped once.

        A file that a killed one has left is no server, whoever has its number now.
        """
        monkeypatch.setenv("PREFECT_HOME", str(lived_in))
        (lived_in / "server.pid").write_text(str(os.getpid()))
        assert running_server() is None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]

        assert main(["server", "status"]) == 1
        assert main(["server", "start", "--port", str(port)]) == 0
        page = f"http://127.0.0.1:{port}"
        said = capsys.readouterr()
        assert said.out == f"{page}\n"
        assert f"export PREFECT_API_URL={page}/api\n" in said.err

        settings = _get(f"{page}/api", "/admin/settings")["server"]
        assert settings["analytics_enabled"] is False
        assert settings["services"]["task_run_recorder"]["batch_size"] == 100
        assert settings["ui"]["api_url"] == f"{page}/api"
        assert main(["server", "start"]) == 0, "there is one"
        assert main(["server", "status"]) == 0
        assert capsys.readouterr().out == f"{page}\n{page}\n"
        kept = running_server()
        assert kept
        assert kept.count_ended_task_runs("00000000-0000-0000-0000-000000000000") == 0

        assert [main(["server", "stop"]), main(["server", "stop"]), main(["server", "status"])] == [
            0,
            0,
            1,
        ]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)

    def test_background_server_survives_its_warnings(
        self, lived_in: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An event that its task-run recorder cannot store is a line in its log file, and the server lives on."""
        monkeypatch.setenv("PREFECT_HOME", str(lived_in))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        log = lived_in / "server.log"
        run_id = "00000000-0000-0000-0000-000000000001"
        event = {
            "event": "prefect.task-run.Running",
            "occurred": datetime.now(UTC).isoformat(),
            "resource": {
                "prefect.resource.id": f"prefect.task-run.{run_id}",
                "prefect.orchestration": "client",
            },
            "payload": {"validated_state": {"type": "no such state"}},
            "id": run_id,
        }
        kept = start_server(port)
        try:
            kept.wait()
            httpx.post(f"{kept.url}/events", json=[event], timeout=60).raise_for_status()

            assert eventually(lambda: "Error flushing 1 events" in log.read_text())
            running = running_server()
            assert running
            assert running.url == kept.url
            assert _get(kept.url, "/health") is True
        finally:
            stop_server()

    def test_hanging_server_is_an_error(
        self, lived_in: Path, monkeypatch: pytest.MonkeyPatch, fake_uvicorn: Callable[[str], None]
    ) -> None:
        """A background server that listens and does not answer is an error of every use; `stop` ends it."""
        monkeypatch.setenv("PREFECT_HOME", str(lived_in))
        monkeypatch.setattr(server, "_HANG_TIMEOUT", 0.2)
        monkeypatch.setattr(server, "_STOP_TIMEOUT", 0.2)
        monkeypatch.setattr(server, "START_TIMEOUT", 5)
        fake_uvicorn(HANGS)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        start_server(port)
        assert eventually(lambda: is_listening(f"http://127.0.0.1:{port}/api"))

        with pytest.raises(Refusal) as caught:
            start_server(port)

        assert caught.value.code is ErrorCode.SERVER_UNREACHABLE
        assert "releasekit server stop" in caught.value.hint
        assert stop_server()
        assert running_server() is None

    def test_silent_server_is_not_kept(
        self, lived_in: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that does not answer in time is not left behind."""
        monkeypatch.setenv("PREFECT_HOME", str(lived_in))
        monkeypatch.setattr(server, "START_TIMEOUT", 0)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]

        assert main(["server", "start", "--port", str(port)]) == 1
        assert running_server() is None

    def test_taken_port_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A port that another program uses is an error, and nothing is left to be taken for a server."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert main(["server", "start", "--port", str(port)]) == 1

        said = capsys.readouterr().err
        assert "RK-SERVER-START" in said
        assert f"another program uses port {port}" in said
        assert running_server() is None

    def test_early_server_death_is_error(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, fake_uvicorn: Callable[[str], None]
    ) -> None:
        """A server that ends early is an error at once, with what it said last, masked."""
        monkeypatch.setenv("PREFECT_API_KEY", "opensesame")
        fake_uvicorn("import sys; print('port taken by opensesame', file=sys.stderr); sys.exit(3)")

        with pytest.raises(ReleaseError) as caught, prefect_server() as running:
            running.wait()

        assert caught.value.code is ErrorCode.SERVER_START
        assert [caught.value.location] == [str(path) for path in home.glob("server-*.log")]
        assert caught.value.output == "port taken by ***"

    @pytest.mark.parametrize(
        ("database", "reason"), [(False, "; its first start takes longest"), (True, "")]
    )
    def test_only_first_start_is_excused(
        self,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        fake_uvicorn: Callable[[str], None],
        database: bool,
        reason: str,
    ) -> None:
        """A slow start is said, with its reason only where the server has no database yet."""
        monkeypatch.setattr(server, "_SLOW_START", -1)
        monkeypatch.setattr(server, "START_TIMEOUT", 0.2)
        monkeypatch.setattr(logging.getLogger("releasekit"), "propagate", True)
        fake_uvicorn("import time; time.sleep(60)")
        if database:
            (home / "prefect.db").touch()

        with (
            caplog.at_level(logging.INFO),
            pytest.raises(ReleaseError),
            prefect_server() as running,
        ):
            running.wait()

        assert f"waiting for the Prefect server{reason}" in caplog.messages

    def test_unused_server_failure_is_harmless(self, fake_uvicorn: Callable[[str], None]) -> None:
        """A block that never waits neither hangs nor fails, whatever becomes of the server."""
        fake_uvicorn("raise SystemExit(3)")

        with prefect_server():
            pass

    def test_server_leaves_user_prefect_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_uvicorn: Callable[[str], None]
    ) -> None:
        """Its files stand in a place of ours, not in the user's Prefect."""
        fake_uvicorn(
            "import os; print(os.environ['PREFECT_HOME'], os.environ['PREFECT_API_URL'], flush=True)"
        )
        monkeypatch.delenv("PREFECT_HOME")
        expected = {}
        for data in ("", str(tmp_path / "data")):
            monkeypatch.setenv("XDG_DATA_HOME", data)
            monkeypatch.setenv("HOME", str(tmp_path))
            place = Path(data or tmp_path / ".local" / "share") / "releasekit" / "prefect"

            with pytest.raises(ReleaseError) as caught, prefect_server() as running:
                running.wait()

            expected[data] = f"{place} {running.url}"
            assert caught.value.output == expected[data]


@pytest.fixture
def fake_uvicorn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that puts a script in the place of uvicorn, for servers that do not start."""

    def put(script: str) -> None:
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / "uvicorn.py").write_text(script)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))

    return put


def _get(url: str, path: str) -> Any:
    address = urlsplit(url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=60)
    try:
        connection.request("GET", f"{address.path}{path}")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
