"""Credentials that the configuration names: loaded at first use, and masked from then on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations.process import register_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def from_environment(name: str) -> str:
    """Return the environment variable *name*; raises Refusal RK-SECRET-UNKNOWN if it is not set."""
    if value := os.environ.get(name, ""):
        register_secret(value)
        return value
    raise Refusal(ErrorCode.SECRET_UNKNOWN, f"the environment variable {name} is not set", name)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Credentials for child processes. *names* maps each environment variable to the name of its secret.

    *load* returns the value of a secret by its name. Values go only into the environment of that child process, never
    into our own: builds and imports run other people's code.
    """

    names: Mapping[str, str] = field(default_factory=dict[str, str])
    load: Callable[[str], str] = from_environment
    _values: dict[str, str] = field(
        default_factory=dict[str, str], init=False, repr=False, compare=False
    )

    @property
    def sources(self) -> frozenset[str]:
        """The variables of our own environment that hold these credentials; no build gets them."""
        return frozenset(name for name in self.names.values() if name.isupper())

    def value(self, variable: str) -> str:
        """Return the secret for *variable*, empty if *names* has none; raises Refusal RK-SECRET-UNKNOWN."""
        if variable in self.names and variable not in self._values:
            self._values[variable] = self.load(self.names[variable])
        return self._values.get(variable, "")

    def environment(self, prefix: str) -> dict[str, str]:
        """Return the variables that begin with *prefix*, with their values; raises Refusal RK-SECRET-UNKNOWN.

        Credentials in our own environment take precedence: a rehearsal sets those of its own index there. Then the
        result is empty.
        """
        own_credentials = (f"{prefix}TOKEN", f"{prefix}USERNAME", f"{prefix}PASSWORD")
        if any(map(os.environ.get, own_credentials)):
            return {}
        return {
            variable: self.value(variable) for variable in self.names if variable.startswith(prefix)
        }


NO_SECRETS = Secrets()
"""For a configuration that names none."""
