"""Buy at a stall and eat outdoors."""

from orchard_core import Fruit
from orchard_market import Stall
from orchard_store import Shelf

__all__ = ["menu"]


def menu() -> list[str]:
    """Return what there is."""
    shelf = Shelf()
    shelf.put(Fruit("plum", 40), Fruit("pear", 180))
    return Stall("wiese", shelf).board()
