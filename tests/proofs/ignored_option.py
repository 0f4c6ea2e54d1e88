"""A plugin of pytest that lets the program ignore one key or option, so that its proof must fail.

`--ignore-option key:NAME` is for a key of [tool.releasekit], however it is set, and `--ignore-option NAME` for an
option of the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import pytest

from releasekit import options
from releasekit.core.config.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel


class _Fixed:
    """An attribute that has one value, whatever is written to it."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __get__(self, instance: object, owner: object = None) -> object:
        return self.value

    def __set__(self, instance: object, value: object) -> None:
        """Forget *value*."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names what is ignored."""
    parser.addoption("--ignore-option", default="", help="let the program ignore this option")


@pytest.fixture(autouse=True, scope="session")
def _ignore(request: pytest.FixtureRequest) -> None:
    name = str(request.config.getoption("--ignore-option"))
    if name.startswith("key:"):
        _fix(Settings, name.removeprefix("key:"))
    elif name:
        for model in models_with(name):
            _fix(model, name)


def _fix(model: type[BaseModel], name: str) -> None:
    default: object = model.model_fields[name].get_default(call_default_factory=True)
    setattr(model, name, _Fixed(default))


def models_with(name: str) -> list[type[BaseModel]]:
    """Return the models of options that have the field *name*."""
    models: list[object] = list(vars(options).values())
    return [model for model in models if _is_model(model) and name in model.model_fields]


def _is_model(value: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(value, type) and issubclass(value, options.WorkspaceOptions)
