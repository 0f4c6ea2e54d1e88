"""The only module that calls uv: its commands as values, and what its output means."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import tomllib
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.release.upload_response import UploadResponse
from releasekit.core.toml_lines import parse_error_excerpt
from releasekit.core.version_numbers import allows_from
from releasekit.core.workspace.uv_lock import LOCK_HINT, lock_versions
from releasekit.integrations import module_importer
from releasekit.integrations.process import Command, last_lines, mask, run, run_async
from releasekit.integrations.protocols import NO_CHANGES
from releasekit.integrations.scratch import scratch_directory
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.tool_environment import (
    PROOF_VARIABLES,
    build_variables,
    command_variables,
    uv_variables,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from releasekit.integrations.process import Result

_ERROR_PATTERNS = (
    (
        re.compile(
            r"No `(?:pyproject\.toml` found|project` table found)|The project is marked as unmanaged"
        ),
        ErrorCode.WORKSPACE_NOT_FOUND,
    ),
    (re.compile(r"are both named"), ErrorCode.WORKSPACE_DUPLICATE),
    (re.compile(r"Required uv version"), ErrorCode.UV_VERSION),
    (re.compile(r"TOML parse error at line"), ErrorCode.WORKSPACE_TOML),
)
_TOML_POSITION = re.compile(
    r"Failed to parse: (?P<file>.+?)\n(?:.*\n)*?.*at line (?P<line>\d+), column (?P<column>\d+)"
)
log = logging.getLogger("releasekit")

# The commands that create or verify something.
_LOGGED_COMMANDS = (("build",), ("publish",), ("lock",), ("audit",), ("pip", "install"))
# Without a network uv would try for 7 s, and for 52 s if nothing answers. A failed audit is only a warning.
_AUDIT_LIMITS = {"UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "3", "UV_HTTP_TIMEOUT": "10"}
_OIDC = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "PYPI_ID_TOKEN", "TESTPYPI_ID_TOKEN")


@dataclass(frozen=True, slots=True)
class Uv:
    """The uv command line. *python* is the interpreter for builds and installs; if it is given, uv need not search.

    *secrets* are the credentials that the configuration names; they go only into the environment of uv. *build_env*
    are names or patterns of more variables for builds.
    """

    executable: str
    python: str = ""
    secrets: Secrets = field(default_factory=Secrets)
    build_env: tuple[str, ...] = ()

    @property
    def lock_name(self) -> str:
        """The name of its lock file, at the root of a workspace."""
        return "uv.lock"

    def with_changes(
        self,
        *,
        python: str | None = None,
        secrets: Secrets | None = None,
        build_env: tuple[str, ...] | None = None,
    ) -> Uv:
        """Return uv with another interpreter, other credentials, or other variables for builds."""
        changes = {"python": python, "secrets": secrets, "build_env": build_env}
        given: dict[str, Any] = {
            name: value for name, value in changes.items() if value is not None
        }
        return replace(self, **given)

    def command(
        self,
        *argv: str,
        cwd: Path | None = None,
        env: Mapping[str, str | None] = NO_CHANGES,
        timeout: float = 600,
        ok_codes: frozenset[int] = frozenset({0}),
    ) -> Command:
        """Return the uv command *argv* as a value; only an upload gets the credentials for uploads."""
        uploads = argv[:1] == ("publish",)
        own_env = uv_variables(self.build_env, self.secrets.sources, uploads=uploads)
        full_env = {**own_env, **self.secrets.environment("UV_INDEX_"), **env}
        log_output = argv[:1] in _LOGGED_COMMANDS or argv[:2] in _LOGGED_COMMANDS
        return Command(
            (self.executable, *argv), cwd, full_env, timeout, ok_codes, log_output=log_output
        )

    @property
    def import_environment(self) -> dict[str, str | None]:
        """The changes to our environment for a process that imports a package: it gets what a build gets."""
        return build_variables(self.build_env, self.secrets.sources)

    @property
    def command_environment(self) -> dict[str, str | None]:
        """The changes to our environment for a command of the user: no credentials, except those to read indexes."""
        return {**command_variables(self.secrets.sources), **self.secrets.environment("UV_INDEX_")}

    def workspace(self, path: Path) -> tuple[Path, tuple[Path, ...]]:
        """Return the root of the workspace that contains *path*, and all member directories, as uv reads them.

        Raises Refusal RK-WORKSPACE-NOT-FOUND, RK-WORKSPACE-INVALID, RK-WORKSPACE-TOML, RK-WORKSPACE-DUPLICATE,
        RK-WORKSPACE-OUTSIDE, RK-UV-VERSION.
        """
        if not path.is_dir():
            raise Refusal(ErrorCode.WORKSPACE_NOT_FOUND, "no such directory", str(path))
        root = Path(self._run_workspace(path, "dir").strip()).resolve()
        lines = self._run_workspace(path, "list", "--paths").splitlines()
        members = tuple(Path(os.path.normpath(line)) for line in lines)
        for member in members:
            if not member.resolve().is_relative_to(root):  # by "../…", or through a symlink
                location = os.path.relpath(member, root)
                raise Refusal(
                    ErrorCode.WORKSPACE_OUTSIDE, "a member is outside the workspace", location
                )
        return root, members

    def lock_is_current(self, root: Path) -> bool:
        """Return whether uv.lock is up to date with the pyproject.toml files.

        Raises Refusal RK-WORKSPACE-INVALID if uv cannot lock the workspace.
        """
        ok_codes = frozenset({0, 1, 2})  # 2: uv.lock cannot be read
        result = run(
            self.command("lock", "--check", *self._with_python(root), cwd=root, ok_codes=ok_codes)
        )
        if result.code and "needs to be updated" not in result.stderr:
            output = last_lines(result.stderr)
            raise Refusal(
                ErrorCode.WORKSPACE_INVALID,
                "uv cannot lock the workspace",
                str(root),
                LOCK_HINT,
                output=output,
            )
        return result.code == 0

    def lock_versions(self, text: str, versions: Mapping[str, Version]) -> str:
        """Return the *text* of a uv.lock with new *versions* of members; see `PackageManager.lock_versions`."""
        return lock_versions(text, versions)

    def lock_command(self, root: Path, packages: Sequence[str]) -> Command:
        """Lock once for all *packages* that have a new version; other entries may change too."""
        upgrades = (word for name in packages for word in ("--upgrade-package", name))
        return self.command("lock", *self._with_python(root), *upgrades, cwd=root)

    def export_sbom(self, root: Path, package: str) -> str:
        """Return what uv.lock has for *package* and its requirements as CycloneDX (JSON); nothing is resolved anew."""
        return run(self.sbom_command(root, package)).stdout

    def sbom_command(self, root: Path, package: str) -> Command:
        """Print the SBOM of *package* from uv.lock."""
        words = ("--quiet", "--frozen", "--no-dev", "--preview-features", "sbom-export")
        form = ("--format", "cyclonedx1.5")
        return self.command("export", *form, *words, "--package", package, cwd=root)

    def find_python(self, root: Path) -> str:
        """Return the interpreter that uv uses in the project at *root* (UV_PYTHON, .python-version, requires-python).

        Each command of uv that has to search takes ten times as long, so the answer is kept.
        """
        # Every command of uv follows this variable but `uv python find`.
        return _find_python(self.executable, root, os.environ.get("UV_PYTHON", ""))

    def default_index(self, root: Path) -> str:
        """Return the simple root of uv's default index (from the environment, uv.toml or pyproject.toml).

        Raises Refusal RK-INDEX-UNKNOWN if it has none, and RK-COMMAND-FAILED if uv cannot work here, for example
        without a directory for its cache.
        """
        command = self.command(
            "pip", "compile", "-", "--emit-index-url", "--no-header", "--quiet", cwd=root
        )
        with as_refusal():
            output = run(command).stdout
        match = re.search(r"^--(?:default-)?index-url (\S+)", output, re.MULTILINE)
        if not match:
            raise Refusal(ErrorCode.INDEX_UNKNOWN, "uv has no default index", str(root))
        return match[1]

    def default_publish_url(self) -> str:
        """Return the URL that uv uploads to by default, from its help; raises Refusal RK-INDEX-UNKNOWN."""
        match = re.search(
            r"Defaults to PyPI's publish URL \(<(\S+)>\)",
            run(self.command("help", "publish")).stdout,
        )
        if not match:
            raise Refusal(
                ErrorCode.INDEX_UNKNOWN, "the help of this uv does not show its default publish URL"
            )
        return match[1]

    def audit(self, root: Path) -> str:
        """Return the findings of `uv audit` for the locked dependencies, empty if there are none.

        Raises ReleaseError RK-COMMAND-FAILED, RK-COMMAND-TIMEOUT if the audit fails.
        """
        argv = ("audit", "--preview", "--frozen")
        env = {name: value for name, value in _AUDIT_LIMITS.items() if name not in os.environ}
        ok_codes = frozenset({0, 1})  # 1: findings, 2: it failed
        result = run(self.command(*argv, cwd=root, env=env, timeout=60, ok_codes=ok_codes))
        return mask(result.stdout + result.stderr).strip() if result.code else ""

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
        """Build sdist and wheel of *package*, or *only* one of them, into *out*, as if there were no workspace (D-3).

        Build requirements may also come from the directories *links*, which contain its siblings as just built. With
        *shared_python*, the build runs in the environment of this Python, otherwise in a new one.
        """
        kind = (f"--{only}",) if only else ()
        where = (
            ("--no-build-isolation", "--python", str(shared_python))
            if shared_python
            else self._with_python()
        )
        argv = ("build", *kind, "--no-sources", *where, "--out-dir", str(out), *_find_links(links))
        return self.command(*argv, cwd=package, env=env, timeout=timeout)

    def build_requirements_command(
        self, root: Path, venv: Path, requirements: Sequence[str], timeout: float
    ) -> Command:
        """Install the build *requirements* into the environment *venv*."""
        options = ("--quiet", "--no-sources", "--python", str(venv))
        return self.command("pip", "install", *options, *requirements, cwd=root, timeout=timeout)

    def own_build_command(
        self,
        words: tuple[str, ...],
        package: Path,
        links: Sequence[Path],
        env: Mapping[str, str],
        timeout: float,
    ) -> Command:
        """Build wheels of *package* with the command *words* of the workspace, which gets no credentials for uploads.

        If it uses uv or pip, these find the siblings in the directories *links* too, and do not see the workspace.
        """
        directories = [path.as_uri() for path in links]
        own_env = {
            **uv_variables(self.build_env, self.secrets.sources, uploads=False),
            **self.secrets.environment("UV_INDEX_"),
            "UV_NO_SOURCES": "1",
            "UV_FIND_LINKS": ",".join(directories) or None,
            "PIP_FIND_LINKS": " ".join(directories) or None,
            **env,
        }
        return Command(words, package, own_env, timeout, log_output=True)

    def publish_command(
        self,
        files: Sequence[Path],
        publish_url: str,
        check_url: str,
        env: Mapping[str, str | None] = NO_CHANGES,
        *,
        attestations: bool = True,
    ) -> Command:
        """Upload *files* (uv silently ignores a directory), except those that the index already has (D-7).

        Attestations are among *files*: uv sends each one with the file that it belongs to, and finds none itself (D-8).
        """
        attestation_options = () if attestations else ("--no-attestations",)
        publish_options, publish_env = _url_option("--publish-url", "UV_PUBLISH_URL", publish_url)
        check_options, check_env = _url_option("--check-url", "UV_PUBLISH_CHECK_URL", check_url)
        return self.command(
            "publish", *publish_options, *check_options, "--trusted-publishing", trusted_publishing(self.secrets),
            *attestation_options, *map(str, files),
            env={**publish_env, **check_env, **env},
        )  # fmt: skip

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
        """Upload *files*, each at most once; returns the index's response to a file that it rejects, else None.

        The files after the rejected one are not tried. uv runs in the workspace at *root*, where it finds the index's
        name and so its credentials for reading. *seconds* is the time limit for all uploads.

        Raises ReleaseError RK-COMMAND-TIMEOUT, RK-COMMAND-FAILED.
        """
        # uv shows response headers only in its trace. And it must not retry an upload that may have arrived: the caller
        # first looks at the index.
        env: dict[str, str | None] = {
            "RUST_LOG": "uv_publish=trace",
            "UV_HTTP_RETRIES": "0",
            "UV_UPLOAD_HTTP_TIMEOUT": f"{seconds + 1:.0f}",
            # uv looks at the page before each file, and would remember it without the files that follow.
            "UV_NO_CACHE": "1",
        }
        env |= self.secrets.upload_environment()
        command = self.publish_command(
            files, publish_url, check_url, env, attestations=attestations
        )
        result = await run_async(
            replace(command, cwd=root, timeout=seconds, ok_codes=frozenset({0, 2}))
        )
        return parse_response(result.stderr) if result.code else None

    def resolve_command(
        self,
        root: Path,
        requirements: Sequence[str],
        links: Sequence[Path],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
    ) -> Command:
        """Check whether *requirements* can be installed together, from *links* and the indexes (D-9).

        *fresh* names the packages that may have just been published.
        """
        # A directory without packages, so that uv sees none as installed; uv leaves only its lock there.
        target = Path(tempfile.gettempdir()) / f"releasekit-resolves-only-{os.getuid()}"
        index_options, secret = _index_options(indexes)
        return self.command(
            "pip", "install", "--dry-run", "--no-sources", *self._with_python(), "--target", str(target),
            *_find_links(links), *index_options, *_fresh_options(fresh), *requirements,
            cwd=root, env={**PROOF_VARIABLES, **secret},
        )  # fmt: skip

    async def find_conflict(
        self,
        root: Path,
        requirements: Sequence[str],
        links: Sequence[Path],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
    ) -> str:
        """Return why *requirements* cannot be installed together, in uv's words; empty if they can.

        Raises ReleaseError RK-COMMAND-FAILED, RK-COMMAND-TIMEOUT if uv cannot decide, for example without a network.
        """
        command = self.resolve_command(root, requirements, links, indexes, fresh)
        # 1: no solution, 2: it failed.
        result = await run_async(replace(command, ok_codes=frozenset({0, 1})))
        return last_lines(result.stderr, command.env) if result.code else ""

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
        """Install *requirement* from *links* and the index into a fresh environment, and import its *imports*.

        See `temporary_environment` for the rest.
        """
        async with self.temporary_environment(
            root, requirement, indexes, fresh, links, constraints=constraints, refresh=refresh
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
        """Yield the Python of a fresh environment with *requirement* from *links* and the index; it is then deleted.

        If both have a file of the same version, the one in *links* is installed. Without *refresh*, uv uses what it
        heard of the packages *fresh* some moments ago. *constraints* are lines of a constraints file.
        Raises ReleaseError RK-COMMAND-FAILED, RK-COMMAND-TIMEOUT.
        """
        with scratch_directory() as scratch:
            venv = scratch / "venv"
            await run_async(self.venv_command(venv))
            command = self.install_command(
                root,
                venv,
                requirement,
                indexes,
                fresh,
                links,
                options=_write_constraints(scratch, constraints),
                refresh=refresh,
            )
            await run_async(command)
            yield next(
                path
                for path in (venv / "bin" / "python", venv / "Scripts" / "python.exe")
                if path.exists()
            )

    async def import_modules(self, python: Path, modules: Sequence[str]) -> Result:
        """Import *modules* in a process of *python* without our credentials; raises as `run_async` does.

        A module that cannot be imported is only a warning if its error names an extra of the package, such as
        `name[extra]`; or if it is not named like its package, others can be imported, and the package has extras.
        """
        # In the directory of the environment, so that nothing of the workspace can be imported.
        result = await run_async(self.import_command(python, modules, python.parents[2]))
        for line in re.findall(f"^{module_importer.NOT_IMPORTED}.*", result.stderr, re.MULTILINE):
            log.warning("%s", line)
        return result

    def import_command(self, python: Path, modules: Sequence[str], directory: Path) -> Command:
        """Import *modules* in a process of *python* without our credentials, in *directory*, outside the workspace."""
        argv = (str(python), "-I", module_importer.__file__, *modules)
        return Command(argv, directory, self.import_environment, timeout=120)

    def venv_command(self, venv: Path) -> Command:
        """Create the fresh environment *venv*."""
        return self.command("venv", "--quiet", *self._with_python(), str(venv), cwd=venv.parent)

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
        """Install *requirement* into the environment *venv*, as a user would; see `resolve_command` for the rest."""
        index_options, secret = _index_options(indexes)
        words = (
            "--python",
            str(venv),
            "--no-sources",
            *_find_links(links),
            *options,
            *index_options,
            *_fresh_options(fresh, refresh=refresh),
            requirement,
        )
        return self.command("pip", "install", *words, cwd=root, env={**PROOF_VARIABLES, **secret})

    def _with_python(self, root: Path | None = None) -> tuple[str, ...]:
        """Return the option that names the interpreter; with *root*, uv is asked which one if none is known yet."""
        python = self.python
        if root and not python:
            with suppress(ReleaseError):  # no interpreter fits: the command itself says so
                python = self.find_python(root)
        return ("--python", python) if python else ()

    def _run_workspace(self, path: Path, *argv: str) -> str:
        result = run(self.command("workspace", *argv, cwd=path, ok_codes=frozenset({0, 1, 2})))
        if result.code:
            raise _refusal(result.stderr, path)
        return result.stdout


@cache
def _find_python(executable: str, root: Path, wanted: str) -> str:
    argv = ("python", "find", *filter(None, (wanted,)))
    return run(Uv(executable).command(*argv, cwd=root)).stdout.strip()


NEEDED_UV = "0.13"
"""The oldest uv that has all commands and options that a release uses."""


def find_uv(needed: str = NEEDED_UV) -> Uv:
    """Return the uv on the PATH, or the one installed with releasekit if that is missing or older than *needed*.

    Raises Refusal RK-UV-MISSING if there is neither.
    """
    minimum = Version(needed)
    for candidate in (which("uv"), _bundled_uv()):
        if candidate and _version(candidate) >= minimum:
            return Uv(candidate)
    raise Refusal(ErrorCode.UV_MISSING, f"uv {needed} or later was not found")


def trusted_publishing(secrets: Secrets) -> str:
    """Return uv's option for trusted publishing; "never" if the CI has no token: uv would try for up to 50 s."""
    can_get_token = not os.environ.keys().isdisjoint(_OIDC)
    return "automatic" if can_get_token and not secrets.has_upload_credentials() else "never"


def _version(executable: str) -> Version:
    """Return the version of the uv *executable*; 0 if it does not run, for example a broken shim."""
    try:
        env = uv_variables((), (), uploads=False)
        return Version(run(Command((executable, "--version"), env=env)).stdout.split()[1])
    except (ReleaseError, IndexError, InvalidVersion):
        return Version("0")


def _bundled_uv() -> str | None:
    from uv import find_uv_bin

    try:
        return find_uv_bin()
    except FileNotFoundError:
        return None


def _index_options(urls: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the options and the environment that make uv look at the indexes *urls*, in this order."""
    if any(mask(url) != url for url in urls):
        return (), {"UV_INDEX": " ".join(urls)}
    return tuple(chain.from_iterable(("--index", url) for url in urls)), {}


def _url_option(option: str, variable: str, url: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the options and the environment that pass *url* to uv.

    A URL with a secret goes into *variable*, because other users can see options.
    """
    if not url:
        return (), {}
    if mask(url) != url:
        return (), {variable: url}
    return (option, url), {}


_RESPONSE = re.compile(
    r"^TRACE Response headers for .*? status: (?P<status>\d+), headers: \{(?P<headers>.*)\} \}$",
    re.MULTILINE,
)
_HEADER = re.compile(r'"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)"')
_STATUS = re.compile(r"status code (\d{3})\b")
_NOT_SENT = re.compile(
    r"Failed to send POST request|Failed to query check URL|error sending request"
)
_TAG = re.compile(r"<(style|script|head)\b.{0,20000}?</\1>|<[^<>]*>", re.DOTALL)
_LONGEST_ANSWER = 30_000  # characters of a page that are read
_LONGEST_MESSAGE = 500


def parse_response(output: str) -> UploadResponse:
    """Return the index's response to a failed upload, read from uv's *output* with its trace."""
    # Before a password such as "none" is masked in a name.
    files = re.findall(r"Failed to publish `(.+?)`", output)
    output = mask(output)
    separator = "error: " if output.startswith("error: ") else "\nerror: "
    trace, _, error = output.rpartition(separator)
    status_match = _STATUS.search(error)  # also without the trace
    status = int(status_match[1]) if status_match else 0
    html = (error.partition("Server says:")[2] or error)[:_LONGEST_ANSWER]
    message = re.sub(r"\s+", " ", _TAG.sub(" ", html)).strip()
    is_unreachable = bool(_NOT_SENT.search(error)) and "Missing credentials" not in error
    return UploadResponse(
        status,
        message[:_LONGEST_MESSAGE],
        _last_headers(trace) if status else {},
        Path(files[-1]).name if files else "",
        no_response=is_unreachable and not status,
    )


def _last_headers(trace: str) -> dict[str, str]:
    """Return the headers of the last response in uv's *trace*."""
    responses = list(_RESPONSE.finditer(trace))
    headers = _HEADER.findall(responses[-1]["headers"]) if responses else ()
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in headers}


def _write_constraints(directory: Path, lines: Sequence[str]) -> tuple[str, ...]:
    """Write *lines* into a file in *directory*, and return the options with which uv reads it."""
    if not lines:
        return ()
    path = directory / "constraints.txt"
    path.write_text("\n".join(lines), "utf-8")
    return ("--constraint", str(path))


def _find_links(directories: Sequence[Path]) -> tuple[str, ...]:
    """Return the options that make uv look in *directories* too; it splits paths, but not URLs, at `,` and `#`."""
    options: list[str] = []
    for path in directories:
        location = path.as_uri() if set(",#") & set(str(path)) else str(path)
        options += ("--find-links", location)
    return tuple(options)


def _fresh_options(names: Sequence[str], *, refresh: bool = True) -> tuple[str, ...]:
    """Return the options that make uv ignore `exclude-newer` for *names*, and with *refresh* ask the index again."""
    options: list[str] = []
    for name in names:
        options += ("--exclude-newer-package", f"{name}=false")
        if refresh:
            options += ("--refresh-package", name)
    return tuple(options)


def _refusal(output: str, path: Path) -> Refusal:
    code = next(
        (code for pattern, code in _ERROR_PATTERNS if pattern.search(output)),
        ErrorCode.WORKSPACE_INVALID,
    )
    # Warnings come before it.
    message = re.split(r"^error: ", mask(output).strip(), maxsplit=1, flags=re.MULTILINE)[-1]
    location, excerpt = str(path), None
    if code is ErrorCode.WORKSPACE_TOML and (position := _TOML_POSITION.search(output)):
        file = path / position["file"]
        location = f"{file}:{position['line']}:{position['column']}"
        message = message.splitlines()[-1].strip()
        with suppress(OSError):
            text = file.read_text("utf-8", "replace")
            excerpt = parse_error_excerpt(position[0], str(file), text)
            if _is_toml(text):  # then uv refuses a value
                code = ErrorCode.WORKSPACE_INVALID
    summary, _, rest = message.partition("\n")
    hint = _requirement_hint(summary) if code is ErrorCode.UV_VERSION else ""
    return Refusal(code, summary, location, hint, rest, excerpt)


def _requirement_hint(message: str) -> str:
    """Return what to do if every uv that a workspace requires is too old; empty if another uv helps."""
    required = re.findall(r"Required uv version `([^`]+)`", message)
    if allows_from(SpecifierSet(",".join(required)), Version(NEEDED_UV)):
        return ""
    return f"releasekit needs uv {NEEDED_UV} or later: allow it in `required-version`, in [tool.uv] or uv.toml."


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def failure(
    code: ErrorCode, error: ReleaseError, message: str, location: str, hint: str = ""
) -> ReleaseError:
    """Return the *error* of a command with *code*, *message* and *location* of the step, and the command's output.

    A full disk is not a fault of the package, so it becomes RK-FILE-SYSTEM. Errors other than RK-COMMAND-FAILED keep
    their own code. *hint* is for the step's own *code*.
    """
    if error.code is not ErrorCode.COMMAND_FAILED:
        code, hint = error.code, ""
    elif _DISK_FULL.search(error.output):
        code, hint = ErrorCode.FILE_SYSTEM, ""
    return ReleaseError(code, message, location, hint, output=error.output)


_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system")
