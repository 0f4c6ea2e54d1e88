"""Import releasekit's own `flows` and `tasks`, even if the current directory has modules with these names.

Both names are common: invoke reads a `tasks.py`, and many repositories have a `flows/`. Python searches the current
directory (`python -m`) and PYTHONPATH before the directory that releasekit is installed in.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

INSTALL_ROOT = Path(__file__).resolve().parents[1]
"""The directory that contains `flows`, `tasks` and `releasekit`."""

FLOW_MODULES = ("flows.check", "flows.plan", "flows.prepare", "flows.publish", "flows.rollback")
"""The modules of `flows` that you can start with `python -m`."""


def prefer_own_packages() -> None:
    """Move the caller's directories to the end of the module search path, unless they contain releasekit.

    They stay on the path, so that a plugin in PYTHONPATH is still found.
    """
    caller_paths = [path for path in _caller_directories() if Path(path).resolve() != INSTALL_ROOT]
    other_paths = [path for path in sys.path if path not in caller_paths]
    sys.path[:] = [*other_paths, *dict.fromkeys(caller_paths)]


def _caller_directories() -> list[str]:
    entries = list(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    absolute = [os.path.abspath(path) for path in entries]  # noqa: PTH100  Python writes them like this, with links unresolved
    current = os.getcwd()  # noqa: PTH109  `python -m` writes it in one of these forms
    return [path for path in sys.path if path in {"", current, *entries, *absolute}]


def claim_flows() -> None:
    """Let `python -m flows.plan` find our module if the current directory has another `flows` without a `plan`.

    The file releasekit.pth calls this when Python starts, before Python searches for the module to run.
    """
    module = requested_flow(sys.orig_argv)
    if not module:
        return
    local_file = Path(*module.split(".")).with_suffix(".py")
    if not local_file.exists():
        sys.meta_path.insert(0, FlowsFinder())


def requested_flow(argv: list[str]) -> str:
    """Return the flow module that the command line *argv* starts with `-m`, such as `flows.plan`, or ""."""
    words = iter(argv[1:])
    for option in words:
        if not option.startswith("-"):
            break
        if option.endswith("m"):
            module = next(words, "")
            return module if module in FLOW_MODULES else ""
        if option in {"-X", "-W"}:
            next(words, None)  # its value
    return ""


class FlowsFinder:
    """Finds only our package `flows`."""

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of our `flows`, else None; see importlib.abc.MetaPathFinder."""
        del path, target
        if name != "flows":
            return None
        return PathFinder.find_spec(name, [str(INSTALL_ROOT)])
