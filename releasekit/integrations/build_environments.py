"""Environments for builds that several packages share: one for each set of build requirements and each Python."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.integrations.protocols import PackageManager

# Variables that uv applies to the requirements of a build, or only to an installation.
_OWN_RULES = ("UV_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_OVERRIDE")
_READY = "ready"

# PEP 517: the source tree is not on the path. A backend may print, so the answer is the last line.
_ASK_BACKEND = """
import importlib, json, sys
sys.path[:] = [path for path in sys.path if path]
module, _, attributes = sys.argv[1].partition(":")
backend = importlib.import_module(module)
for attribute in filter(None, attributes.split(".")):
    backend = getattr(backend, attribute)
requirements = []
for name in ("get_requires_for_build_sdist", "get_requires_for_build_wheel"):
    hook = getattr(backend, name, None)
    requirements += hook() if hook else []
print()
print(json.dumps(requirements))
"""


@dataclass(frozen=True, slots=True)
class SharedEnvironments:
    """The shared environments of one release, in *directory*. uv runs in the workspace at *root*."""

    uv: PackageManager
    directory: Path
    root: Path

    def python_for(
        self,
        package: Path,
        backend: str,
        requirements: tuple[str, ...],
        env: Mapping[str, str],
        timeout: float,
    ) -> Path | None:
        """Return the Python to build *package* with, None if it needs its own environment.

        The environment has its static *requirements* and those that its *backend* names when it is asked.
        Raises ReleaseError RK-COMMAND-FAILED, RK-COMMAND-TIMEOUT.
        """
        has_own_rules = any(map(os.environ.get, _OWN_RULES))
        if has_own_rules or not requirements:
            return None
        python = self._environment(requirements, timeout)
        dynamic = _ask_backend(
            python, package, backend, {**self.uv.import_environment, **env}, timeout
        )
        everything = tuple(sorted({*requirements, *dynamic}))
        return self._environment(everything, timeout) if dynamic else python

    def _environment(self, requirements: tuple[str, ...], timeout: float) -> Path:
        """Return the Python of the environment with these *requirements*, which is made only once."""
        from filelock import FileLock

        identity = "\n".join((self.uv.python, *requirements))
        venv = self.directory / sha256(identity.encode()).hexdigest()[:12]
        self.directory.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{venv}.lock"):
            if not (venv / _READY).exists():
                shutil.rmtree(venv, ignore_errors=True)
                run(self.uv.venv_command(venv))
                run(self.uv.build_requirements_command(self.root, venv, requirements, timeout))
                (venv / _READY).touch()
        return next(
            path
            for path in (venv / "bin" / "python", venv / "Scripts" / "python.exe")
            if path.exists()
        )


def _ask_backend(
    python: Path, package: Path, backend: str, env: Mapping[str, str | None], timeout: float
) -> tuple[str, ...]:
    """Return what the *backend* requires besides the static requirements of *package*, in a process of its own."""
    command = Command((str(python), "-c", _ASK_BACKEND, backend), package, env, timeout)
    *_, answer = run(command).stdout.splitlines() or [""]
    try:
        return tuple(map(str, json.loads(answer)))
    except ValueError:
        message = f"{backend} does not name its build requirements"
        raise ReleaseError(ErrorCode.COMMAND_FAILED, message, str(command), output=answer) from None
