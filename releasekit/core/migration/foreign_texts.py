"""Reads JSON, TOML, INI and plain YAML of other tools; a mistake in them is refused with file and line."""

from __future__ import annotations

import configparser
import json
import tomllib
from typing import Any, TypeAlias, cast

from releasekit.core.errors import ErrorCode, Excerpt, Refusal
from releasekit.core.toml_lines import parse_error_excerpt

Table: TypeAlias = dict[str, Any]


def read_table(path: str, text: str) -> Table:
    """Return the content of the file *path* with this *text*, by the end of its name.

    Raises Refusal RK-CONFIG-FOREIGN, with file and line, if it is broken or no table.
    """
    plain = text.removeprefix("\ufeff")
    if path.endswith(".toml"):
        return _read_toml(path, plain)
    if path.endswith((".yaml", ".yml")):
        return _read_plain_yaml(plain)
    if path.endswith(".cfg"):
        return _read_ini(path, plain)
    return _read_json(path, plain)


def table_at(table: Table, *keys: str) -> Table:
    """Return the table below *keys*; empty if there is none."""
    for key in keys:
        table = as_table(table.get(key))
    return table


def as_table(value: object) -> Table:
    """Return *value* if it is a table, an empty one otherwise."""
    return cast("Table", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return *value* if it is a list, an empty one otherwise."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_texts(value: object) -> list[str]:
    """Return the texts in the list *value*; a text alone counts as a list of one."""
    if isinstance(value, str):
        return [value]
    return [item for item in as_list(value) if isinstance(item, str)]


def _read_json(path: str, text: str) -> Table:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        lines = text.splitlines()
        line = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
        excerpt = Excerpt(path, error.lineno, line, error.colno - 1, 1)
        raise _refusal(f"{path} is no valid JSON: {error.msg}", f"{path}:{error.lineno}", excerpt) from None
    if not isinstance(value, dict):
        raise _refusal(f"{path} must be a JSON object", f"{path}:1")
    return cast("Table", value)


def _read_toml(path: str, text: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        excerpt = parse_error_excerpt(str(error), path, text)
        location = f"{path}:{excerpt.line}" if excerpt else path
        raise _refusal(f"{path} is no valid TOML: {error}", location, excerpt) from None


def _read_ini(path: str, text: str) -> Table:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text, path)
    except configparser.MissingSectionHeaderError as error:
        raise _refusal(f"{path} has a line before its first section", f"{path}:{error.lineno}") from None
    except configparser.ParsingError as error:
        number = error.errors[0][0] if error.errors else 1
        raise _refusal(f"{path} has a line that is no key", f"{path}:{number}") from None
    except configparser.Error as error:
        raise _refusal(f"{path} is no valid INI file: {error.message.splitlines()[0]}", path) from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _read_plain_yaml(text: str) -> Table:
    """Return the plain keys of YAML: one level of tables, texts, and lists of texts. Anything deeper is left out."""
    root: Table = {}
    table, key, table_indent = root, "", 0
    for line in text.splitlines():
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if not content or content.startswith(("#", "---")):
            continue
        if content.startswith("- "):
            _append_item(table, key, content)
            continue
        if not indent:
            table = root
        elif table is root:
            root[key] = table = as_table(root.get(key))
            table_indent = indent
        elif indent > table_indent:
            continue
        name, _, value = content.partition(":")
        key = _unquote(name)
        table[key] = _scalar(value) if value.strip() else None
    return root


def _append_item(table: Table, key: str, content: str) -> None:
    if table.get(key) is None:
        table[key] = []
    as_list(table[key]).append(_scalar(content.removeprefix("- ")))


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
