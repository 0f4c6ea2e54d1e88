"""Rules about what is inside: secrets, left-overs, and what does not belong to the package."""

from __future__ import annotations

import re
import sys
from functools import partial
from itertools import chain, filterfalse
from typing import TYPE_CHECKING

from releasekit.core.artifacts.problems import Problem, RuleSeverity, list_problem
from releasekit.core.artifacts.secret_patterns import UNCERTAIN_KIND
from releasekit.core.text import summarize
from releasekit.core.workspace.built_files import import_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from releasekit.core.artifacts.archive_facts import Archive, BuiltArtifacts

_SUPPORT_DIRECTORY = re.compile(
    r"""(?xi) (?:unit_?|functional_?|integration_?)?tests? | testing | docs? | examples? | fixtures | samples? | demos?
    | bench(?:marks?)? | tests?[-_].* | .*[-_]tests? | testdata | (?:dummy|mock|fake).*
    """
)
_SUPPORT_FILE = re.compile(r"(?i)(?:tests?_.*|.*[-_.]tests?)\.[a-z]+|conftest\.py")


def is_support_path(path: str) -> bool:
    """Return whether *path* belongs to tests, documentation or examples, which may contain samples."""
    *directories, name = path.split("/")
    return (
        any(map(_SUPPORT_DIRECTORY.fullmatch, directories))
        or _SUPPORT_FILE.fullmatch(name) is not None
    )


def secrets(archive: Archive) -> Iterator[Problem]:
    """Find private keys and tokens in the content of files. In tests and documentation they are probably samples."""
    uncertain = [path for path, member in archive.files.items() if UNCERTAIN_KIND in member.secrets]
    message = f"files with a {UNCERTAIN_KIND}, which may be a secret"
    shipped = _by_severity(uncertain, archive)[RuleSeverity.ERROR]
    yield from list_problem(archive.name, message, shipped, RuleSeverity.WARNING)
    holders = {
        path: summarize(kinds)
        for path, member in archive.files.items()
        if (kinds := sorted({*member.secrets} - {UNCERTAIN_KIND}))
    }
    for severity, paths in _by_severity(holders, archive).items():
        named = [f"{holders[path]} in {path}" for path in paths]
        yield from list_problem(archive.name, "secrets", named, severity)


def _by_severity(paths: Iterable[str], archive: Archive) -> dict[RuleSeverity, list[str]]:
    """Return *paths* of *archive* apart: the samples of tests and documentation give a warning only."""
    everything = tuple(paths)
    is_sample = partial(_is_sample, archive)
    return {
        RuleSeverity.ERROR: list(filterfalse(is_sample, everything)),
        RuleSeverity.WARNING: list(filter(is_sample, everything)),
    }


def _group_problems(archive: Archive, message: str, paths: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem with *paths* of *archive*, and another one with those that are probably samples."""
    for severity, group in _by_severity(paths, archive).items():
        yield from list_problem(archive.name, message, group, severity)


def _is_sample(archive: Archive, path: str) -> bool:
    """Return whether *path* of *archive* belongs to tests or documentation. The package itself may be named so."""
    own_names = {archive.top, archive.name.split("-", maxsplit=1)[0]}
    names = [name for name in path.split("/") if name not in own_names]
    return is_support_path("/".join(names))


_PRIVATE_DIRECTORIES = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".bzr",
        ".jj",
        "_darcs",
        "cvs",
        ".ssh",
        ".gnupg",
        ".aws",
        ".azure",
        ".kube",
        ".terraform",
    }
)
_PRIVATE_FILE = re.compile(
    r"""(?xi) \.env(?:\.(?!example|sample|template|dist|defaults?|tpl|test|ci)[^/]+)?
    | [._]netrc | \.authinfo(?:\.gpg)? | \.pypirc | \.git-credentials | \.htpasswd | \.pgpass
    | \.my\.cnf | \.dockercfg | \.vault-token | \.s3cfg | \.boto | \.[a-z]*_history
    | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?
    | .*\.(?:p12|pfx|jks|keystore|kdbx?|ppk|agekey|tfstate(?:\.backup)?|ovpn|mobileprovision|p8)
    | credentials\.json | client_secrets?(?:_.*)?\.json | service[-_]account(?:[-_]key)?\.json
    | secrets\.toml | master\.key | secring\.gpg
    """
)
_PRIVATE_PATH = re.compile(
    r"(?i)(?:^|/)\.docker/config\.json$|(?:^|/)\.config/(?:gcloud|gh|hub)(?:/|$)|(?:^|/)\.cargo/credentials"
)


def private_files(archive: Archive) -> Iterator[Problem]:
    """Find files that hold passwords or keys by their name, and the directories of version control."""
    message = "files that usually hold secrets or the history"
    yield from _group_problems(archive, message, filter(_is_private, archive.files))
    repositories = sorted(_bare_repositories(archive.files))
    yield from _group_problems(archive, "repositories of git", repositories)


def _bare_repositories(paths: Collection[str]) -> set[str]:
    """Return the directories among *paths* that git takes for repositories; git runs what their settings name."""
    parents = {path.removesuffix("HEAD") for path in paths if path.endswith("/HEAD")}
    with_settings = {parent for parent in parents if f"{parent}config" in paths}
    return {
        parent
        for parent in with_settings
        if any(path.startswith(f"{parent}objects/") for path in paths)
        and not _is_private(f"{parent}HEAD")
    }


def _is_private(path: str) -> bool:
    *directories, name = path.split("/")
    in_private_directory = not _PRIVATE_DIRECTORIES.isdisjoint(map(str.lower, directories))
    is_private_name = (
        _PRIVATE_FILE.fullmatch(name) is not None or _PRIVATE_PATH.search(path) is not None
    )
    # A work tree of git has a file of this name, not a directory.
    return in_private_directory or is_private_name or name == ".git"


_LFS_POINTER = b"version https://git-lfs."


def pointers(archive: Archive) -> Iterator[Problem]:
    """Find pointers of Git LFS in place of files: the checkout that was built did not fetch them."""
    message = "pointers of Git LFS instead of the files"
    paths = [path for path, member in archive.files.items() if member.head.startswith(_LFS_POINTER)]
    return _group_problems(archive, message, paths)


_LEFTOVER_DIRECTORY = re.compile(
    r"__pycache__|node_modules|bower_components|\.venv|\.tox|\.nox|\.eggs|__MACOSX|htmlcov|\.idea|\.vscode|\.vs"
    r"|\.ipynb_checkpoints|\.hypothesis|\.[a-z]+[_-]?cache|\.cache|\.pyre|\.pytype|\.cpcache|\.direnv"
)
_LEFTOVER_FILE = re.compile(
    r"(?i).*\.(?:py[co]|orig|rej|bak|old|swp|swo|swn|tmp|temp|log|pid|prof|lprof|dmp|un~|rs\.bk)|.*~|\.?#.*#?|\.ds_store|thumbs\.db|desktop\.ini"
    r"|\._.*|db\.sqlite3(?:-journal)?|\.coverage(?:\..*)?|coverage\.xml|pyvenv\.cfg|core\.\d+|nohup\.out|\.envrc|.*\.(?:sublime-workspace|code-workspace)"
    r"|.*_(?:backup|base|local|remote)_\d+\..*"
)


def leftovers(archive: Archive) -> Iterator[Problem]:
    """Find caches, files of editors, and what earlier builds and merges have left."""
    paths = [path for path in archive.files if _is_leftover(path, archive)]
    yield from list_problem(archive.name, "left-over files", paths)
    conflicts = [path for path, member in archive.files.items() if member.has_conflict]
    yield from list_problem(archive.name, "files with markers of a merge conflict", conflicts)


_CONFLICT_MARKERS = (b"\n<<<<<<< ", b"\n=======\n", b"\n>>>>>>> ")


def has_merge_conflict(content: bytes) -> bool:
    """Return whether git has left the two sides of a merge in *content*."""
    start = (
        0 if content.startswith(_CONFLICT_MARKERS[0][1:]) else content.find(_CONFLICT_MARKERS[0])
    )
    if start < 0:
        return False
    middle = content.find(_CONFLICT_MARKERS[1], start)
    return middle >= 0 and content.find(_CONFLICT_MARKERS[2], middle) >= 0


def _is_leftover(path: str, archive: Archive) -> bool:
    *directories, name = path.split("/")
    is_in_leftover = any(map(_LEFTOVER_DIRECTORY.fullmatch, directories))
    is_egg_info = archive.is_wheel and any(
        part.endswith(".egg-info") for part in (*directories, name)
    )
    is_leftover_file = _LEFTOVER_FILE.fullmatch(name) is not None and name not in _ORIGINALS
    is_build_output = not archive.is_wheel and BUILD_OUTPUT.fullmatch(
        path.removeprefix(f"{archive.top}/")
    )
    is_from_installer = archive.is_wheel and path.removeprefix(f"{archive.info}/") in _INSTALLED
    return any((is_in_leftover, is_egg_info, is_leftover_file, is_build_output, is_from_installer))


BUILD_OUTPUT = re.compile(r"(?:.*/)?(?:dist/[^/]+\.(?:whl|tar\.gz)|build/lib/.+)")
"""What an earlier build has left in a source tree."""
_INSTALLED = frozenset({"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
"""What installers write into `.dist-info`; a wheel with it was copied from an environment."""


_ORIGINALS = frozenset({"pyproject.toml.orig", "Cargo.toml.orig"})
"""What uv_build and cargo put beside the file that they normalize."""


_COMMON_DIRECTORIES = frozenset(
    {
        "test",
        "tests",
        "testing",
        "doc",
        "docs",
        "example",
        "examples",
        "sample",
        "samples",
        "script",
        "scripts",
        "tool",
        "tools",
    }
) | {
    "bench",
    "benchmark",
    "benchmarks",
    "build",
    "dist",
    "bin",
    "src",
    "lib",
    "data",
    "utils",
    "config",
    "assets",
    "site-packages",
    "pip",
    "setuptools",
    "pkg_resources",
    "_distutils_hack",
}
_COMMON_MODULES = frozenset(
    (
        "__init__.py",
        "setup.py",
        "conftest.py",
        "noxfile.py",
        "tasks.py",
        "manage.py",
        "conf.py",
        "test.py",
        "tests.py",
    )
) | {
    "fabfile.py",
    "dodo.py",
    "version.py",
    "utils.py",
    "config.py",
    "example.py",
    "run.py",
    "main.py",
    "__main__.py",
}


def common_names(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find names at the top of a wheel that many packages would share, and names of the standard library."""
    own = built.project.replace("-", "_")
    for wheel in built.wheels:
        common = _common_tops(wheel, own)
        yield from list_problem(wheel.name, "names at the top that other packages use, too", common)
        modules = import_names(wheel.installed_paths)
        standard = sorted(
            {name for name in modules if name in sys.stdlib_module_names and name != own}
        )
        yield from list_problem(wheel.name, "modules of the standard library", standard)
        scripts = {path.rpartition("/")[2] for path in wheel.files if ".data/scripts/" in path}
        commands = scripts | {entry.name for entry in wheel.entry_points if entry.is_script}
        common = _COMMON_COMMANDS.intersection(commands)
        foreign = sorted(name for name in common if name.rstrip("3") != built.project)
        yield from list_problem(wheel.name, "commands that other programs have", foreign)


_COMMON_COMMANDS = frozenset(
    [
        "python",
        "python3",
        "pip",
        "pip3",
        "uv",
        "pytest",
        "sh",
        "bash",
        "git",
        "ssh",
        "sudo",
        "make",
        "test",
        "activate",
    ]
)


def _common_tops(wheel: Archive, own: str) -> list[str]:
    """Return the files and directories at the top of *wheel* that many packages would share, without the name *own*."""
    tops = {path.split("/")[0]: "/" in path for path in wheel.installed_paths}
    return [
        top
        for top, is_directory in tops.items()
        if _is_common(top, is_directory=is_directory) and top != own
    ]


def names_to_import(built: BuiltArtifacts) -> tuple[str, ...]:
    """Return the names under which a test imports the wheels of *built*.

    A name that many packages would share is left out if there are others: it is there by mistake, such as tests or a
    build script, and may need what users do not have.
    """
    own = built.project.replace("-", "_")
    names: set[str] = set()
    common: set[str] = set()
    for wheel in built.wheels:
        names.update(import_names(wheel.installed_paths))
        common.update(top.removesuffix(".py") for top in _common_tops(wheel, own))
    without_common = {name for name in names if name.split(".")[0] not in common}
    return tuple(sorted(without_common or names))


def _is_common(top: str, *, is_directory: bool) -> bool:
    return top in (_COMMON_DIRECTORIES if is_directory else _COMMON_MODULES) or (
        not is_directory and top in _TOP_TEXTS
    )


_TOP_TEXTS = frozenset(
    {
        "README.md",
        "README.rst",
        "README.txt",
        "README",
        "LICENSE",
        "LICENSE.txt",
        "LICENSE.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "setup.cfg",
    }
)


def startup_files(wheel: Archive) -> Iterator[Problem]:
    """Find files that run code each time Python starts."""
    names = list(filter(_runs_at_start, wheel.installed_paths))
    by_detour = {path: match[1] for path in wheel.files if (match := _DATA_SITE.fullmatch(path))}
    names += [path for path, name in by_detour.items() if _runs_at_start(name)]
    yield from list_problem(wheel.name, "files that Python reads at each start", names)


def _runs_at_start(path: str) -> bool:
    is_at_top = "/" not in path
    return is_at_top and (path.endswith(".pth") or path in _STARTUP_MODULES)


_STARTUP_MODULES = frozenset({"sitecustomize.py", "usercustomize.py"})
_DATA_SITE = re.compile(r"[^/]+\.data/data/(?:.*/)?site-packages/([^/]+)")


def sibling_modules(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find modules that belong to another package of the workspace, by its name."""
    own = own_import_names(built.project)
    for wheel in built.wheels:
        owners = {
            name: built.siblings[name]
            for name in import_names(wheel.installed_paths)
            if name in built.siblings
        }
        foreign = [f"{name} of {owner}" for name, owner in owners.items() if name not in own]
        yield from list_problem(wheel.name, "modules that belong to another package", foreign)


def own_import_names(project: str) -> frozenset[str]:
    """Return the names under which Python usually imports *project*: one module, or a module in namespaces."""
    return frozenset({project.replace("-", "_"), project.replace("-", ".")})


def modules_by_project(projects: Iterable[str]) -> dict[str, str]:
    """Return each of *projects* by the names under which Python usually imports it."""
    return dict(
        chain.from_iterable(
            ((name, project) for name in own_import_names(project)) for project in projects
        )
    )
