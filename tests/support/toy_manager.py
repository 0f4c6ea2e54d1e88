"""A package manager of a few lines that works on plain files: the proof that a release needs no more than the protocol.

Its workspace has a file `members.txt` with a directory a line, and its lock file is `toy.lock`. Its program is
`toy_program.py`, beside this file.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.upload_response import UploadResponse
from releasekit.integrations.process import Command, last_lines, run, run_async
from releasekit.integrations.protocols import NO_CHANGES
from releasekit.integrations.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.integrations.process import Result

PROGRAM = str(Path(__file__).with_name("toy_program.py"))
MEMBERS, LOCK = "members.txt", "toy.lock"


@dataclass(frozen=True, slots=True)
class ToyManager:
    """The toy. *simple_url* and *publish_url* are its default index."""

    simple_url: str
    publish_url: str
    executable: str = PROGRAM
    python: str = sys.executable
    secrets: Secrets = field(default_factory=Secrets)
    build_env: tuple[str, ...] = ()
    lock_name: str = LOCK

    @property
    def import_environment(self) -> dict[str, str | None]:
        """A process that imports a package gets no token."""
        return {"UV_PUBLISH_TOKEN": None}

    @property
    def command_environment(self) -> dict[str, str | None]:
        """A command of the user gets no token."""
        return self.import_environment

    def with_changes(
        self,
        *,
        python: str | None = None,
        secrets: Secrets | None = None,
        build_env: tuple[str, ...] | None = None,
    ) -> ToyManager:
        """Return the toy with other values."""
        changes = {"python": python, "secrets": secrets, "build_env": build_env}
        given: dict[str, Any] = {name: value for name, value in changes.items() if value}
        return replace(self, **given)

    # ---- the workspace ----

    def workspace(self, path: Path) -> tuple[Path, tuple[Path, ...]]:
        """Return the next directory upwards that has members, and these."""
        for root in (path.resolve(), *path.resolve().parents):
            if (root / MEMBERS).is_file():
                lines = (root / MEMBERS).read_text().split()
                return root, (root, *(root / line for line in lines))
        raise Refusal(ErrorCode.WORKSPACE_NOT_FOUND, f"no {MEMBERS}", str(path))

    def find_python(self, root: Path) -> str:
        """Return the Python that runs the tests."""
        assert root.is_dir()
        return self.python

    def lock_is_current(self, root: Path) -> bool:
        """Return whether the lock file has the versions of all members."""
        return run(self._command("print-lock", root)).stdout == (root / LOCK).read_text()

    def lock_versions(self, text: str, versions: Mapping[str, Version]) -> str:
        """Return the *text* as it is: the toy always locks anew."""
        assert versions
        return text

    def lock_command(self, root: Path, packages: Sequence[str]) -> Command:
        """Write the lock file."""
        return self._command("lock", root, *packages)

    def export_sbom(self, root: Path, package: str) -> str:
        """Return the packages of the lock file as CycloneDX."""
        return run(self.sbom_command(root, package)).stdout

    def sbom_command(self, root: Path, package: str) -> Command:
        """Print the SBOM of *package*."""
        return self._command("sbom", root, package)

    def audit(self, root: Path) -> str:
        """Return nothing: no advisory is about toys."""
        assert root.is_dir()
        return ""

    # ---- indexes ----

    def default_index(self, root: Path) -> str:
        """Return the index of the test."""
        assert root.is_dir()
        return self.simple_url

    def default_publish_url(self) -> str:
        """Return where the index of the test takes files."""
        return self.publish_url

    def publish_command(
        self,
        files: Sequence[Path],
        publish_url: str,
        check_url: str,
        env: Mapping[str, str | None] = NO_CHANGES,
        *,
        attestations: bool = True,
    ) -> Command:
        """Upload *files*."""
        assert attestations in (True, False)
        words = (publish_url or self.publish_url, check_url or self.simple_url, *map(str, files))
        return replace(self._command("publish", *words), env=env)

    async def publish(
        self,
        root: Path,
        files: Sequence[Path],
        publish_url: str,
        check_url: str,
        seconds: float,
        *,
        attestations: bool = True,
    ) -> UploadResponse | None:
        """Upload *files*, and return what the index says if it does not take one."""
        command = self.publish_command(files, publish_url, check_url, attestations=attestations)
        codes = frozenset({0, 1})
        result = await run_async(replace(command, cwd=root, timeout=seconds, ok_codes=codes))
        if not result.code:
            return None
        status, _, text = result.stdout.strip().partition(" ")
        return UploadResponse(status=int(status), message=text)

    # ---- builds ----

    def build_command(
        self,
        package: Path,
        out: Path,
        links: Sequence[Path],
        env: Mapping[str, str],
        timeout: float,
        shared_python: Path | None = None,
        *,
        only: Literal["", "sdist", "wheel"] = "",
    ) -> Command:
        """Pack *package*; it needs nothing for that."""
        assert shared_python is None
        command = self._command("build", package, out, only, *links)
        return replace(command, cwd=package, env=env, timeout=timeout)

    def build_requirements_command(
        self, root: Path, venv: Path, requirements: Sequence[str], timeout: float
    ) -> Command:
        """Install *requirements* from the index; no package of the stories has any."""
        words = (venv, *self._sources((), ()), *requirements)
        return replace(self._command("install", *words), cwd=root, timeout=timeout)

    def own_build_command(
        self,
        words: tuple[str, ...],
        package: Path,
        links: Sequence[Path],
        env: Mapping[str, str],
        timeout: float,
    ) -> Command:
        """Run the command of the workspace."""
        assert links is not None
        return Command(words, package, {**self.import_environment, **env}, timeout)

    # ---- proofs ----

    def resolve_command(
        self,
        root: Path,
        requirements: Sequence[str],
        links: Sequence[Path],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
    ) -> Command:
        """Look for all that *requirements* need, in *links* and on the index."""
        assert fresh is not None
        return replace(
            self._command("resolve", *self._sources(links, indexes), *requirements), cwd=root
        )

    async def find_conflict(
        self,
        root: Path,
        requirements: Sequence[str],
        links: Sequence[Path],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
    ) -> str:
        """Return what is nowhere."""
        command = self.resolve_command(root, requirements, links, indexes, fresh)
        result = await run_async(replace(command, ok_codes=frozenset({0, 1})))
        return last_lines(result.stdout, command.env) if result.code else ""

    def venv_command(self, venv: Path) -> Command:
        """Make the environment *venv*."""
        return Command((sys.executable, "-m", "venv", "--without-pip", str(venv)))

    def install_command(
        self,
        root: Path,
        venv: Path,
        requirement: str,
        indexes: tuple[str, ...],
        fresh: Sequence[str],
        links: Sequence[Path] = (),
        *,
        options: Sequence[str] = (),
        refresh: bool = True,
    ) -> Command:
        """Unpack the wheel of *requirement*, and those that it needs."""
        assert fresh is not None
        assert options == ()
        assert refresh in (True, False)
        words = (str(venv), *self._sources(links, indexes), requirement)
        return replace(self._command("install", *words), cwd=root)

    async def smoke_test(
        self,
        root: Path,
        requirement: str,
        imports: Sequence[str],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
        links: Sequence[Path] = (),
        *,
        constraints: Sequence[str] = (),
        refresh: bool = True,
    ) -> Result:
        """Install *requirement* and import its modules."""
        assert constraints is not None
        async with self.temporary_environment(
            root, requirement, indexes, fresh, links, refresh=refresh
        ) as python:
            return await self.import_modules(python, imports)

    @asynccontextmanager
    async def temporary_environment(
        self,
        root: Path,
        requirement: str,
        indexes: tuple[str, ...],
        fresh: Sequence[str],
        links: Sequence[Path] = (),
        *,
        constraints: Sequence[str] = (),
        refresh: bool = True,
    ) -> AsyncGenerator[Path]:
        """Yield the Python of an environment with *requirement*."""
        with TemporaryDirectory() as directory:
            venv = Path(directory, "venv")
            await run_async(self.venv_command(venv))
            assert constraints is not None
            command = self.install_command(
                root, venv, requirement, indexes, fresh, links, refresh=refresh
            )
            await run_async(command)
            yield venv / "bin" / "python"

    async def import_modules(self, python: Path, modules: Sequence[str]) -> Result:
        """Import *modules*."""
        lines = "; ".join(f"import {module}" for module in modules)
        return await run_async(Command((str(python), "-I", "-c", lines), python.parent))

    def _sources(self, links: Sequence[Path], indexes: tuple[str, ...]) -> tuple[str, str]:
        return ":".join(map(str, links)), indexes[0] if indexes else self.simple_url

    def _command(self, verb: str, *words: object) -> Command:
        return Command((self.python, self.executable, verb, *map(str, words)))
