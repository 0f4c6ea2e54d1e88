"""A graph as its levels, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.core.graph import Order


def levels_text(order: Order) -> str:
    """Return one line a level: its number and its packages."""
    return "".join(f"{number}: {' '.join(names)}\n" for number, names in enumerate(order.levels))
