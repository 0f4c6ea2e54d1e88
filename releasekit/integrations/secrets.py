"""Credentials that the configuration names: loaded at first use, and masked from then on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
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


UPLOADS = ("UV_PUBLISH_TOKEN", "UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD")
"""The variables from which uv reads the credentials for uploads."""
_PASSWORDS = ("UV_PUBLISH_TOKEN", "UV_PUBLISH_PASSWORD")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Credentials for child processes. *names* maps each environment variable to the name of its secret.

    *load* returns the value of a secret by its name. Values go only into the environment of that child process, never
    into our own: builds and imports run other people's code.
    """

    names: Mapping[str, str] = field(default_factory=dict[str, str])
    load: Callable[[str], str] = from_environment
    uploads_only_named: bool = False
    """Whether uploads get the credentials that *names* has, and none of our own environment."""
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

    def for_uploads(self, credentials: Mapping[str, str] | None) -> Secrets:
        """Return a copy for uploads that get these *credentials* and no others; the same object if they are None."""
        if credentials is None:
            return self
        others = {name: secret for name, secret in self.names.items() if name not in UPLOADS}
        return replace(self, names={**others, **credentials}, uploads_only_named=True)

    def upload_environment(self) -> dict[str, str | None]:
        """Return the changes to our environment for an upload; None removes a variable.

        Raises Refusal RK-SECRET-UNKNOWN.
        """
        if not self.uploads_only_named:
            return {**self.environment("UV_PUBLISH_")}
        return {variable: self.value(variable) or None for variable in UPLOADS}

    def has_upload_credentials(self) -> bool:
        """Return whether a token or password for uploads is set or named."""
        is_set = any(map(os.environ.get, _PASSWORDS)) and not self.uploads_only_named
        return is_set or not self.names.keys().isdisjoint(_PASSWORDS)

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
