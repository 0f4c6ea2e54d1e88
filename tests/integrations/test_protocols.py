"""Every implementation of a protocol offers all of it; the type checkers compare the signatures below."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.gitea import Gitea
from releasekit.integrations.github import GitHub
from releasekit.integrations.gitlab import GitLab
from releasekit.integrations.index import SimpleIndex
from releasekit.integrations.protocols import Forge, Index, PackageManager
from releasekit.integrations.uv import Uv
from tests.support.toy_manager import ToyManager

if TYPE_CHECKING:
    from collections.abc import Callable

    _GITEA: type[Forge] = Gitea
    _GITHUB: type[Forge] = GitHub
    _GITLAB: type[Forge] = GitLab
    _INDEX: type[Index] = SimpleIndex
    _UV: type[PackageManager] = Uv
    _TOY: type[PackageManager] = ToyManager


@pytest.mark.parametrize(
    ("protocol", "implementation"),
    [
        (Index, SimpleIndex),
        (Forge, GitHub),
        (Forge, GitLab),
        (Forge, Gitea),
        (PackageManager, Uv),
        (PackageManager, ToyManager),
    ],
    ids=lambda c: c.__name__,
)
def test_adapters_conform_to_protocols(protocol: type, implementation: type) -> None:
    """Each method of a protocol is there, with the same parameters, and asynchronous where the protocol says so."""
    promised = {
        name: value
        for name, value in vars(protocol).items()
        if callable(value) and not name.startswith("_")
    }

    assert promised
    for name, value in promised.items():
        offered = getattr(implementation, name)
        assert inspect.iscoroutinefunction(offered) is inspect.iscoroutinefunction(value), name
        assert _parameters(offered) == _parameters(value), name


def _parameters(method: Callable[..., object]) -> list[tuple[str, object, object]]:
    """Return name, kind and default of each parameter: callers give some of them by name, or leave them out."""
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(method).parameters.values()
    ]
