"""`flows` and `tasks` are ours in this process, whatever the directory that you stand in calls so.

Both names are everybody's: invoke reads a `tasks.py`, and many repositories have a `flows/`. Python looks into the
current directory (`python -m`) and into PYTHONPATH before it looks where releasekit is installed.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

INSTALL_ROOT = Path(__file__).resolve().parents[1]
"""The directory that holds `flows`, `tasks` and `releasekit`."""

FLOW_MODULES = ("check", "plan", "prepare", "publish", "rollback")
"""The modules of `flows` that you can start with `python -m`."""


def prefer_own_packages() -> None:
    """Move the directories of the caller behind all others on the module search path, unless they hold releasekit.

    They stay on it, so that a plugin in PYTHONPATH is still found.
    """
    caller_paths = [path for path in _caller_directories() if Path(path).resolve() != INSTALL_ROOT]
    other_paths = [path for path in sys.path if path not in caller_paths]
    sys.path[:] = [*other_paths, *dict.fromkeys(caller_paths)]


def _caller_directories() -> list[str]:
    entries = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    absolute = [os.path.abspath(path) for path in entries]  # noqa: PTH100  as Python writes them, links unresolved
    current = os.getcwd()  # noqa: PTH109  `python -m` writes it in one of these forms
    return [path for path in sys.path if path in {"", current, *entries, *absolute}]


def claim_flows() -> None:
    """Let `python -m flows.plan` find ours where the current directory has another `flows` without a `plan`.

    The file releasekit.pth calls this when Python starts, before it looks for the module that it is to run.
    """
    command = requested_flow(sys.orig_argv)
    local_module = Path("flows", f"{command.removeprefix('flows.')}.py")
    if command and not local_module.exists():
        sys.meta_path.insert(0, FlowsFinder())


def requested_flow(argv: list[str]) -> str:
    """Return the module of ours that the command line *argv* starts with `-m`, or nothing."""
    words = iter(argv[1:])
    for option in words:
        if not option.startswith("-"):
            break
        if option.endswith("m"):
            module = next(words, "")
            return module if module in {f"flows.{name}" for name in FLOW_MODULES} else ""
        if option in {"-X", "-W"}:
            next(words, None)
    return ""


class FlowsFinder:
    """Finds our package `flows`, and nothing else."""

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where `flows` is; see importlib.abc.MetaPathFinder."""
        del path, target
        return PathFinder.find_spec(name, [str(INSTALL_ROOT)]) if name == "flows" else None
