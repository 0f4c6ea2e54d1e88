"""Which variables uv, builds, imports and servers get."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.process import Command, run
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.tool_environment import (
    UV_DROPPED,
    UV_KEPT,
    UV_SET,
    build_variables,
    server_variables,
    uv_class,
    uv_variables,
)
from releasekit.integrations.uv import Uv, find_uv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CANARY = "canary-0123456789"


def seen_with(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the environment of a process with these changes to ours."""
    return Command(("true",), env=changes).environment()


def pages_of_help() -> Iterator[str]:
    """Yield the help of uv and of each of its commands."""
    commands: list[tuple[str, ...]] = [()]
    uv = find_uv()
    while commands:
        words = commands.pop()
        page = run(uv.command("help", *words, env={"PAGER": "cat"})).stdout
        section = re.search(r"^Commands:\n((?:.*\n)*?)\n", page, re.MULTILINE)
        names = re.findall(r"^  ([a-z][a-z0-9-]*)", section[1], re.MULTILINE) if section else []
        commands += [(*words, name) for name in names if name != "help"]
        yield page


def test_each_uv_variable_has_a_class() -> None:
    """Somebody has decided about each variable that the help of the installed uv names, so a new one is noticed."""
    names = {
        name for page in pages_of_help() for name in re.findall(r"\[env: (UV_[A-Z0-9_]+)", page)
    }

    assert len(names) > 50
    assert [name for name in sorted(names) if not uv_class(name)] == []


def test_uv_classes_do_not_overlap() -> None:
    """A name is kept, set or dropped, and not two of these."""
    dropped = [name.replace("*", "X") for group in UV_DROPPED.values() for name in group]
    kept = [name.replace("*", "X") for group in UV_KEPT.values() for name in group]

    assert {uv_class(name) for name in dropped} == {"dropped"}
    assert {uv_class(name) for name in kept} == {"kept"}
    assert {uv_class(name) for name in UV_SET} == {"set"}


@pytest.mark.parametrize(
    ("name", "in_build", "in_upload"),
    [
        ("UV_FROZEN", False, False),
        ("UV_PUBLISH_INDEX", False, False),
        ("UV_PUBLISH_TOKEN", False, True),
        ("UV_WORKING_DIRECTORY", False, False),
        ("UV_VARIABLE_OF_TOMORROW", False, False),
        ("UV_INDEX_CORP_PASSWORD", True, True),
        ("UV_CACHE_DIR", True, True),
        ("UV_OFFLINE", True, False),
        ("RUST_LOG", False, False),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", False, True),
        ("MY_UPLOAD", False, True),
        ("AWS_SECRET_ACCESS_KEY", False, True),
        ("CARGO_REGISTRY_TOKEN", False, True),
        ("CARGO_HOME", True, True),
        ("https_proxy", True, True),
        ("CFLAGS", True, True),
        ("LC_ALL", True, True),
    ],
)
def test_builds_get_listed_variables(
    name: str, in_build: bool, in_upload: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uv gets its own kept variables, and what compilers, proxies and the locale need; an upload also credentials."""
    monkeypatch.setenv(name, CANARY)

    assert (name in seen_with(uv_variables((), (), uploads=False))) is in_build
    assert (name in seen_with(uv_variables((), (), uploads=True))) is in_upload


def test_build_env_adds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """`build_env` adds variables by name or pattern, but none that `secrets` names, and no token of a forge."""
    for name in ("CORP_FLAG", "CORP_TOKEN", "MY_UPLOAD", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, CANARY)
    uv = Uv(
        "uv",
        secrets=Secrets({"UV_PUBLISH_TOKEN": "MY_UPLOAD"}),
        build_env=("CORP_*", "MY_*", "GITHUB_TOKEN"),
    )

    for environment in (seen_with(uv.import_environment), uv.command("build").environment()):
        assert {"CORP_FLAG", "CORP_TOKEN"} <= environment.keys()
        assert {"MY_UPLOAD", "GITHUB_TOKEN"}.isdisjoint(environment)
    assert "MY_UPLOAD" not in seen_with(uv.command_environment)
    assert "CORP_TOKEN" in seen_with(uv.command_environment)


def test_server_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that we start gets its own settings, and nothing else that may be a secret."""
    for name in ("MY_UPLOAD", "UV_PUBLISH_TOKEN", "PREFECT_API_AUTH_STRING", "PREFECT_HOME"):
        monkeypatch.setenv(name, CANARY)

    environment = seen_with(server_variables())

    assert {"PREFECT_API_AUTH_STRING", "PREFECT_HOME"} <= environment.keys()
    assert {"MY_UPLOAD", "UV_PUBLISH_TOKEN"}.isdisjoint(environment)


def test_import_sees_listed_variables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours reaches an import, unless it is on the list."""
    for number in range(20):
        monkeypatch.setenv(f"UNKNOWN_{number}", CANARY)

    environment = seen_with(build_variables((), ()))

    assert CANARY not in environment.values()
    assert environment["PATH"] == os.environ["PATH"]
