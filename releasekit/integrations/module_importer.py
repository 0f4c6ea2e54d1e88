"""A program for the interpreter of an environment: it imports the modules that its arguments name.

It runs with all versions of Python that a package may support, and imports nothing of releasekit.
"""

from __future__ import annotations

import importlib
import re
import sys

NOT_IMPORTED = "without extras, this cannot be imported: "
_EXTRAS = re.compile(r"([\w.-]+)\[([\w., -]+)\]")


def main(modules: list[str]) -> None:
    """Import *modules*; raise the first ImportError that is more than a missing extra, and report the others."""
    failures: dict[str, ImportError] = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            failures[name] = error
    if not failures:
        return
    extras = _extras_by_project(failures)
    provided = {(project, extra) for project, names in extras.items() for extra in names}
    unexplained = {
        name: error
        for name, error in failures.items()
        if provided.isdisjoint(named_extras(str(error)))
    }
    is_own = not extras.keys().isdisjoint(map(_plain, unexplained))
    if unexplained and (len(failures) == len(modules) or is_own or not provided):
        raise next(iter(unexplained.values()))
    for name, error in failures.items():
        first_line = str(error).partition("\n")[0]
        sys.stderr.write(f"{NOT_IMPORTED}{name}: {first_line}\n")


def named_extras(text: str) -> set[tuple[str, str]]:
    """Return the extras that *text* names, as in "install it with `pip install name[extra]`", with their projects."""
    return {
        (_plain(project), _plain(extra))
        for project, listed in _EXTRAS.findall(text)
        for extra in listed.replace(",", " ").split()
    }


def _extras_by_project(modules: dict[str, ImportError]) -> dict[str, list[str]]:
    """Return the extras of each project that has one of *modules*; empty before Python 3.10, which does not tell."""
    if sys.version_info < (3, 10):  # noqa: UP036  the package may support it
        return {}
    from importlib import metadata  # late: it is slow, and most packages can be imported

    owners = metadata.packages_distributions()
    extras: dict[str, list[str]] = {}
    for name in modules:
        for project in owners.get(name.partition(".")[0], ()):
            provided = metadata.metadata(project).get_all("Provides-Extra") or []
            extras[_plain(project)] = list(map(_plain, provided))
    return extras


def _plain(name: str) -> str:
    """Return *name* in the form in which names are compared (PEP 503)."""
    return re.sub("[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(sys.argv[1:])
