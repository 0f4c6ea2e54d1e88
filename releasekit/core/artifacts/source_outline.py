"""The outline of Python source: what its users see. It tells cheaply whether an API can have changed at all."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def keeps_outline(before: str, after: str) -> bool:
    """Return whether all that *before* defines is in *after* in the same form. Bodies and docstrings do not count.

    Then no change between them breaks users. Source that cannot be parsed has no outline, and keeps none.
    """
    if before == after:
        return True
    old, new = _outline(before), _outline(after)
    if old is None or new is None:
        return False
    return old <= new


def _outline(source: str) -> frozenset[str] | None:
    """Return one text for each statement that users see; None if *source* cannot be parsed."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    try:
        return frozenset(_statements(tree.body, ""))
    except RecursionError:
        return None


def _statements(body: list[ast.stmt], scope: str) -> Iterator[str]:
    """Yield a text for each statement of a module or of the class *scope*."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            inside = f"{scope}.{statement.name}"
            yield f"{inside}: {_without_body(statement)}"
            yield from _statements(statement.body, inside)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{scope}: {_without_body(statement)}"
            # A method defines attributes: `self.name = ...`.
            if scope:
                yield from (f"{scope}: {name}" for name in _assigned_attributes(statement))
        elif not _is_docstring(statement):
            yield f"{scope}: {ast.dump(statement)}"


def _without_body(definition: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    fields = {name: value for name, value in ast.iter_fields(definition) if name != "body"}
    signature = type(definition)(**fields, body=[])
    return ast.dump(signature)


def _assigned_attributes(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield ast.dump(node)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
