"""Reads JSON, TOML, INI and plain YAML of other tools; a mistake in them is refused with file and line."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from releasekit.core.errors import ErrorCode, Excerpt, Refusal
from releasekit.core.picking import drop_empty
from releasekit.core.toml_lines import parse_error_excerpt
from releasekit.core.workspace.dynamic_version import Table, table_at

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping


def read_table(path: str, text: str) -> Table:
    """Return the content of the file *path* with this *text*, by the end of its name.

    Raises Refusal RK-CONFIG-FOREIGN, with file and line, if it is broken or no table.
    """
    read = _READERS.get(PurePosixPath(path).suffix, _read_json)
    return read(path, text.removeprefix("\ufeff"))


def find_options(
    texts: Mapping[str, str],
    names: Container[str],
    word: str,
    options_of: Callable[[str, Table], Table],
) -> dict[str, Table]:
    """Return the options of a tool in *texts*, by the path of the file, without files that have none.

    Only files with one of *names* count, if *word* is in their text. *options_of* returns the options in the content
    of a file; its first argument is the end of the file's name.
    """
    by_path: dict[str, Table] = {}
    for path, text in texts.items():
        file = PurePosixPath(path)
        if file.name in names and word in text:
            by_path[path] = options_of(file.suffix, read_table(path, text))
    return drop_empty(by_path)


def directory_of(path: str) -> str:
    """Return the directory of the file *path*; "." at the top."""
    return str(PurePosixPath(path).parent)


def as_list(value: object) -> list[Any]:
    """Return *value* if it is a list, an empty one otherwise."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def tables_in(value: object) -> list[Table]:
    """Return the items of the list *value*; an empty table for an item that is no table."""
    return list(map(table_at, as_list(value)))


def _read_json(path: str, text: str) -> Table:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [*text.splitlines(), ""]
        excerpt = Excerpt(path, error.lineno, lines[error.lineno - 1], error.colno - 1, 1)
        raise _refusal(
            f"{path} is no valid JSON: {error.msg}", f"{path}:{error.lineno}", excerpt
        ) from None
    except (ValueError, RecursionError):
        raise _refusal(f"{path} has a value that cannot be read", path) from None
    if not isinstance(value, dict):
        raise _refusal(f"{path} must be a JSON object", f"{path}:1")
    return cast("Table", value)


def _read_toml(path: str, text: str) -> Table:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _refusal(f"{path} has values that are nested too deeply", path) from None
    except ValueError as error:
        excerpt = parse_error_excerpt(str(error), path, text)
        location = f"{path}:{excerpt.line}" if excerpt else path
        raise _refusal(f"{path} is no valid TOML: {error}", location, excerpt) from None


def _read_ini(path: str, text: str) -> Table:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text, path)
    except configparser.MissingSectionHeaderError as error:
        raise _refusal(
            f"{path} has a line before its first section", f"{path}:{error.lineno}"
        ) from None
    except configparser.ParsingError as error:
        number = error.errors[0][0] if error.errors else 1
        raise _refusal(f"{path} has a line that is no key", f"{path}:{number}") from None
    except configparser.Error as error:
        first_line = error.message.splitlines()[0]
        raise _refusal(f"{path} is no valid INI file: {first_line}", path) from None
    return {name: dict(parser[name]) for name in parser.sections()}


_NO_YAML_KEY = re.compile(r"\s*(?:#|---|\Z)")
"""A line of YAML without a key: blank, a comment, or the start of a document."""


def _read_plain_yaml(_path: str, text: str) -> Table:
    """Return the plain keys of YAML: one level of tables, texts, and lists of texts. Anything deeper is left out."""
    root: dict[str, Any] = {}
    table, key, table_indent = root, "", 0
    lines = [line for line in text.splitlines() if not _NO_YAML_KEY.match(line)]
    for line in lines:
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if content.startswith("- "):
            item = _scalar(content.removeprefix("- "))
            as_list(table.get(key)).append(item)
            continue
        if not indent:
            table = root
        elif table is root:
            root[key] = table = {}
            table_indent = indent
        elif indent > table_indent:
            continue
        name, _, value = content.partition(":")
        key = _unquote(name)
        table[key] = _scalar(value) if value.strip() else []  # the items of a list may follow
    return root


_READERS: Mapping[str, Callable[[str, str], Table]] = {
    ".toml": _read_toml,
    ".yaml": _read_plain_yaml,
    ".yml": _read_plain_yaml,
    ".cfg": _read_ini,
}
"""The functions that read a file, by the end of its name."""


def _scalar(value: str) -> str | bool:
    """Return a scalar of YAML; true and false as such."""
    text = _unquote(value)
    return {"true": True, "false": False}.get(text.lower(), text)


def _unquote(value: str) -> str:
    """Return a scalar of YAML without its quotes and its comment."""
    text = value.strip()
    if text[:1] in ("'", '"'):
        return text[1:].partition(text[0])[0]
    return text.partition(" #")[0].strip()


def _refusal(message: str, location: str, excerpt: Excerpt | None = None) -> Refusal:
    return Refusal(ErrorCode.CONFIG_FOREIGN, message, location, excerpt=excerpt)
