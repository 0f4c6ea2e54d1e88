"""Every implementation of a protocol offers all of it; the type checkers compare the signatures below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.github import GitHub
from releasekit.integrations.gitlab import GitLab
from releasekit.integrations.index import SimpleIndex
from releasekit.integrations.protocols import Forge, Index

if TYPE_CHECKING:
    _GITHUB: type[Forge] = GitHub
    _GITLAB: type[Forge] = GitLab
    _INDEX: type[Index] = SimpleIndex


@pytest.mark.parametrize(
    ("protocol", "implementation"),
    [(Index, SimpleIndex), (Forge, GitHub), (Forge, GitLab)],
    ids=lambda c: c.__name__,
)
def test_adapters_conform_to_protocols(protocol: type, implementation: type) -> None:
    """Nothing that a protocol promises is missing, and an asynchronous promise is kept as one."""
    promised = {
        name: value
        for name, value in vars(protocol).items()
        if callable(value) and not name.startswith("_")
    }

    assert promised
    for name, value in promised.items():
        offered = getattr(implementation, name)
        assert offered.__code__.co_flags & 0x80 == value.__code__.co_flags & 0x80, name
