"""Which of our variables uv, builds, imports and servers get: other people's code in them must find no secret.

git has its own table, in `git_environment`.
"""

from __future__ import annotations

import os
import re
from fnmatch import translate
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BUILD_VARIABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "the user and the system": (
            "HOME", "LOGNAME", "PATH", "PWD", "SHELL", "TEMP", "TMP", "TMPDIR", "TZ", "USER", "XDG_*_DIR",
            "XDG_*_HOME",
        ),
        "the locale": ("LANG", "LANGUAGE", "LC_*", "PYTHONCOERCECLOCALE", "PYTHONIOENCODING", "PYTHONUTF8"),
        "proxies and certificates": (
            "ALL_PROXY", "all_proxy", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY",
            "http_proxy", "NETRC", "NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR",
            "SSL_CERT_FILE", "SSL_CLIENT_CERT",
        ),
        "git and ssh, for dependencies from repositories": (
            "GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH",
            "GIT_HTTP_*", "GIT_PROXY_*", "GIT_SSH", "GIT_SSH_*", "GIT_SSL_*", "GIT_TERMINAL_PROMPT",
            "SSH_AUTH_SOCK",
        ),
        "the keyring, for indexes": ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND"),
        "compilers": (
            "AR", "ARCHFLAGS", "AS", "CC", "CFLAGS", "CL", "CPATH", "CPP", "CPPFLAGS", "CXX", "CXXFLAGS",
            "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "DEVELOPER_DIR", "DYLD_*", "F77", "F90", "FC", "FFLAGS",
            "FORTRAN*", "LD", "LDFLAGS", "LDSHARED", "LD_LIBRARY_PATH", "LD_RUN_PATH", "LIBRARY_PATH",
            "MACOSX_DEPLOYMENT_TARGET", "NM", "RANLIB", "SDKROOT", "STRIP", "_PYTHON_HOST_PLATFORM",
            "_PYTHON_SYSCONFIGDATA_NAME",
        ),
        "build tools": (
            "AUDITWHEEL_*", "BAZEL*", "CARGO*", "CCACHE_*", "CIBW_*", "CMAKE_*", "CONDA_PREFIX", "CUDA_*", "CYTHON_*",
            "DISTUTILS_*", "DOCKER_HOST", "GOCACHE", "GOFLAGS", "GOMODCACHE", "GOPATH", "GOPROXY", "GOROOT",
            "HATCH_*", "JAVA_HOME", "MAKEFLAGS", "MATURIN_*", "MESON*", "MYPYC_*", "NINJA*", "NODE_PATH",
            "NPM_CONFIG_CACHE", "OPENSSL_*", "PDM_BUILD_*", "PKG_CONFIG*", "PYO3_*", "PYTHONDONTWRITEBYTECODE",
            "PYTHONHASHSEED", "PYTHONNOUSERSITE", "PYTHONPYCACHEPREFIX", "RUSTC*", "RUSTFLAGS", "RUSTUP_*",
            "SCCACHE_DIR", "SCIKIT_BUILD_*", "SETUPTOOLS_*", "SKBUILD_*", "SOURCE_DATE_EPOCH", "VIRTUAL_ENV",
        ),
        "Windows": (
            "ALLUSERSPROFILE", "APPDATA", "COMMONPROGRAMFILES*", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "INCLUDE",
            "LIB", "LIBPATH", "LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "OS", "PATHEXT", "PROCESSOR_*",
            "PROGRAMDATA", "PROGRAMFILES*", "SYSTEMDRIVE", "SYSTEMROOT", "USERPROFILE", "VC*", "VS*", "WINDIR",
            "WINDOWSSDK*",
        ),
        "which machine it is": ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "RUNNER_OS", "RUNNER_ARCH"),
    }
)  # fmt: skip
"""The variables that builds, installations and imports get, by what they are for; `build_env` adds names.

A variable whose name looks like a secret is left out, although a pattern fits it.
"""

UV_KEPT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "the cache": ("UV_CACHE_DIR", "UV_LINK_MODE", "UV_LOCK_TIMEOUT", "UV_NO_CACHE"),
        "the indexes and their credentials": (
            "UV_CREDENTIALS_DIR", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX",
            "UV_INDEX_*", "UV_KEYRING_PROVIDER", "UV_MALWARE_CHECK*", "UV_NO_HF_TOKEN", "UV_*_ENDPOINT_URL",
        ),
        "the network": (
            "UV_CONCURRENT_*", "UV_GITHUB_FAST_PATH_URL", "UV_GIT_LFS", "UV_HTTP_*", "UV_INSECURE_HOST",
            "UV_NATIVE_TLS", "UV_NO_GITHUB_FAST_PATH", "UV_OFFLINE", "UV_REQUEST_TIMEOUT", "UV_SYSTEM_CERTS",
            "UV_UPLOAD_HTTP_TIMEOUT",
        ),
        "the interpreter": (
            "UV_*_INSTALL_MIRROR", "UV_ASTRAL_MIRROR_URL", "UV_LIBC", "UV_MANAGED_PYTHON",
            "UV_NO_MANAGED_PYTHON", "UV_PYTHON", "UV_PYTHON_*",
        ),
        "the configuration of the user": ("UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_NO_SYSTEM_CONFIG"),
        "bounds that the user sets to build requirements": ("UV_BUILD_CONSTRAINT", "UV_EXCLUDE_NEWER"),
        "which build of PyTorch fits this machine": (
            "UV_AMD_GPU_ARCHITECTURE", "UV_CUDA_DRIVER_VERSION", "UV_TORCH_BACKEND",
        ),
    }
)  # fmt: skip
"""The variables of uv that we pass on, by what they are for. Every other UV_* variable is dropped."""

UV_SET: Mapping[str, str] = MappingProxyType(
    {
        "UV_PUBLISH_CHECK_URL": "we read it, and give it to `uv publish` as an option",
        "UV_PUBLISH_PASSWORD": "only `uv publish` gets it",
        "UV_PUBLISH_TOKEN": "only `uv publish` gets it",
        "UV_PUBLISH_URL": "we read it, and give it to `uv publish` as an option",
        "UV_PUBLISH_USERNAME": "only `uv publish` gets it",
    }
)
"""The variables of uv that we set for one call, or read ourselves."""

UV_DROPPED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "uv would do nothing, or another thing than we ask": (
            "UV_FROZEN", "UV_ISOLATED", "UV_LOCKED", "UV_NO_BUILD", "UV_NO_BUILD_PACKAGE", "UV_NO_PROJECT",
            "UV_NO_SYNC", "UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY",
        ),
        "another resolution than users get, or another lock file": (
            "UV_CONSTRAINT", "UV_EXCLUDE", "UV_FORK_STRATEGY", "UV_NO_BINARY", "UV_NO_BINARY_PACKAGE",
            "UV_NO_SOURCES", "UV_NO_SOURCES_PACKAGE", "UV_NO_VERIFY_HASHES", "UV_OVERRIDE", "UV_PRERELEASE",
            "UV_PRERELEASE_PACKAGE", "UV_REQUIRE_HASHES", "UV_RESOLUTION",
        ),
        "other built files than on another machine": ("UV_NO_BUILD_ISOLATION",),
        "contradicts an option of ours": ("UV_PUBLISH_INDEX", "UV_PUBLISH_NO_ATTESTATIONS"),
        "environments that we do not make": (
            "UV_BREAK_SYSTEM_PACKAGES", "UV_COMPILE_BYTECODE", "UV_DEV", "UV_ENV_FILE", "UV_NO_DEFAULT_GROUPS",
            "UV_NO_DEV", "UV_NO_EDITABLE", "UV_NO_ENV_FILE", "UV_NO_GROUP", "UV_NO_INSTALL_*",
            "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON", "UV_VENV_*",
        ),
        "commands that we do not call": ("UV_CUSTOM_COMPILE_COMMAND", "UV_GITHUB_TOKEN", "UV_INIT_*", "UV_TOOL_*"),
        "other output than we read": ("UV_NO_PROGRESS", "UV_PREVIEW*", "UV_SHOW_RESOLUTION"),
    }
)  # fmt: skip
"""The variables of uv that we drop although its help names them, with the reason."""

_OUTPUT: Mapping[str, str | None] = MappingProxyType(
    {"NO_COLOR": "1", **dict.fromkeys(("CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "RUST_LOG"))}
)
"""We read what uv prints: without colours, traces, and lines that are wrapped at the width of a terminal."""

PROOF_VARIABLES: Mapping[str, str | None] = MappingProxyType(
    dict.fromkeys(("UV_EXCLUDE_NEWER", "UV_OFFLINE"))
)
"""What is also dropped when uv uploads, or installs what we have just built or uploaded: it would not find it."""

CREDENTIALS = frozenset(
    {
        *(f"UV_PUBLISH_{word}" for word in ("TOKEN", "USERNAME", "PASSWORD")),
        *(
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "PYPI_ID_TOKEN",
            "TESTPYPI_ID_TOKEN",
        ),
        *(
            "GITHUB_TOKEN",
            "GH_TOKEN",
            "GITLAB_TOKEN",
            "GITEA_TOKEN",
            "FORGEJO_TOKEN",
            "CI_JOB_TOKEN",
            "GH_ENTERPRISE_TOKEN",
            "GITHUB_ENTERPRISE_TOKEN",
        ),
    }
)
"""The variables with credentials for uploads and forges."""
_SECRET_WORDS = ("TOKEN", "PASSWORD", "PASSWD", "SECRET", "API_KEY", "CREDENTIAL", "AUTH_STRING")


@lru_cache(maxsize=1024)
def looks_secret(name: str) -> bool:
    """Return whether the variable *name* is called like one that holds a secret."""
    upper_name = name.upper()
    return any(word in upper_name for word in _SECRET_WORDS)


def build_variables(more: Iterable[str], hidden: Iterable[str]) -> dict[str, str | None]:
    """Return the changes to our environment for a process that runs other people's code.

    It gets BUILD_VARIABLES, and those that fit the names or patterns *more*; never those in *hidden*.
    """
    allowed = set(filter(_is_given_to_builds, os.environ))
    requested = {name for name in os.environ if _fits(name, more)}
    visible = (allowed | requested) - set(hidden) - CREDENTIALS
    return dict.fromkeys(name for name in os.environ if name not in visible)


def uv_variables(
    more: Iterable[str], hidden: Iterable[str], *, uploads: bool
) -> dict[str, str | None]:
    """Return the changes to our environment for uv, which runs builds unless it *uploads*; see `build_variables`."""
    dropped: dict[str, str | None] = {} if uploads else build_variables(more, hidden)
    kept = set(filter(_is_kept_by_uv, os.environ))
    if uploads:
        kept |= {name for name in CREDENTIALS if name.startswith("UV_")}
    others = (name for name in os.environ if name.startswith("UV_") and name not in kept)
    remaining = {
        name: value for name, value in dropped.items() if name not in kept or name in set(hidden)
    }
    offline = PROOF_VARIABLES if uploads else dict[str, str | None]()
    return {**remaining, **dict.fromkeys(others), **offline, **_OUTPUT}


def command_variables(hidden: Iterable[str]) -> dict[str, str | None]:
    """Return the changes to our environment for a command of the user: it gets no credentials, and none in *hidden*."""
    return dict.fromkeys((*CREDENTIALS, *hidden))


def server_variables() -> dict[str, str | None]:
    """Return the changes to our environment for a server that we start: it gets its settings, and no credentials."""
    return build_variables(("PREFECT_*", "PG*", "OTEL_*", "PYTHON*"), ())


def uv_class(name: str) -> str:
    """Return what happens to the variable *name* of uv: "kept", "set" or "dropped"; empty if nobody has decided."""
    if name in UV_SET:
        return "set"
    if _is_kept_by_uv(name):
        return "kept"
    return (
        "dropped"
        if _fits(name, (pattern for group in UV_DROPPED.values() for pattern in group))
        else ""
    )


@lru_cache(maxsize=1024)
def _is_given_to_builds(name: str) -> bool:
    patterns = (pattern for group in BUILD_VARIABLES.values() for pattern in group)
    return _fits(name, patterns) and not looks_secret(name)


@lru_cache(maxsize=1024)
def _is_kept_by_uv(name: str) -> bool:
    return _fits(name, (pattern for group in UV_KEPT.values() for pattern in group))


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return _one_pattern(tuple(patterns)).match(name) is not None


@lru_cache(maxsize=64)
def _one_pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or "(?!)")
