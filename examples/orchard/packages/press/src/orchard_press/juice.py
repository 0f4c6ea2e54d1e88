"""Fruits go in, juice comes out."""

from dataclasses import dataclass

from orchard_graft import graft
from orchard_store import Shelf


@dataclass(frozen=True)
class Juice:
    """What runs out of the press."""

    kind: str
    litres: float


def press(shelf: Shelf, kind: str) -> Juice:
    """Press all fruits of a kind."""
    return Juice(kind, shelf.grams(kind) * 0.7 / 1000)


def blend(shelf: Shelf, first: str, second: str) -> Juice:
    """Press two kinds together, named like the fruit that they would graft to."""
    kind = graft(shelf.basket().fruits[0], shelf.basket().fruits[-1]).kind
    return Juice(kind, press(shelf, first).litres + press(shelf, second).litres)
