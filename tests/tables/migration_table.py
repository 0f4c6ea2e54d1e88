"""The table of what `init --from` takes over."""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from releasekit.core.config.settings import Settings
from releasekit.core.migration import (
    bump_entries,
    bump_my_version,
    changesets_setup,
    commitizen_setup,
    release_please,
    semantic_release,
    semversioner_setup,
)
from releasekit.core.migration.foreign_setup import ForeignKey, ForeignTool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType


@dataclass(frozen=True)
class Source:
    """Where a tool keeps its configuration: the *module* that reads it, its *files*, and what names *last releases*."""

    module: ModuleType
    files: tuple[str, ...]
    last_releases: str


SOURCES: Mapping[ForeignTool, Source] = {
    "release-please": Source(release_please, release_please.FILES, "the manifest"),
    "changesets": Source(
        changesets_setup,
        (changesets_setup.CONFIG, f"{changesets_setup.NEIGHBOUR}` beside `pyproject.toml"),
        "the versions in `package.json`",
    ),
    "python-semantic-release": Source(semantic_release, ("[tool.semantic_release]",), "tags"),
    "commitizen": Source(
        commitizen_setup, ("[tool.commitizen]", *commitizen_setup.NAMES[1:]), "`version`"
    ),
    "semversioner": Source(
        semversioner_setup,
        (f"{semversioner_setup.DIRECTORY}/*{semversioner_setup.SUFFIX}",),
        "the highest version",
    ),
    "bump-my-version": Source(
        bump_my_version, ("[tool.bumpversion]", *bump_my_version.NAMES[1:]), "`current_version`"
    ),
}


def migration_table() -> str:
    """Return the table of the tools, with their files and the keys that they set, in the order of the settings."""
    assert SOURCES.keys() == set(get_args(ForeignTool))
    rows = ["| `--from` | files | last releases | keys that it sets |", "|---|---|---|---|"]
    for tool, source in SOURCES.items():
        names = set(_keys_in(source.module))
        keys = ", ".join(f"`{name}`" for name in Settings.model_fields if name in names)
        files = ", ".join(f"`{file}`" for file in source.files)
        rows.append(f"| `{tool}` | {files} | {source.last_releases} | {keys} |")
    return "\n".join(rows)


def _keys_in(module: ModuleType) -> Iterator[str]:
    """Yield the keys that the code of *module* makes, also through what it calls in its room."""
    todo: list[object] = [value for name, value in vars(module).items() if name.startswith("read_")]
    seen: list[object] = [ForeignKey]
    while todo:
        code: Any = todo.pop()
        if code in seen or not getattr(code, "__module__", "").startswith(
            ForeignKey.__module__.rpartition(".")[0]
        ):
            continue
        seen.append(code)
        names = vars(sys.modules[code.__module__])
        for node in ast.walk(ast.parse(inspect.getsource(code))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "ForeignKey"
            ):
                yield ast.literal_eval(node.args[0])
            value = names.get(node.id) if isinstance(node, ast.Name) else None
            if inspect.isroutine(value) or inspect.isclass(value):
                todo.append(value)
    if bump_entries.locate_file in seen:
        yield "bump"
