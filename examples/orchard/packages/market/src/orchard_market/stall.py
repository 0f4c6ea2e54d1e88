"""A stall on the market."""

import idna
from orchard_almanac import season
from orchard_core import Fruit
from orchard_press import press
from orchard_store import Shelf


class Stall:
    """Fruits and juice for money."""

    def __init__(self, name: str, shelf: Shelf) -> None:
        self.name = name
        self.shelf = shelf

    @property
    def address(self) -> str:
        """Where the stall is on the network, in the letters that a network knows."""
        return idna.encode(f"{self.name}.example").decode()

    def price(self, kind: str) -> float:
        """Return the price of a litre: dearer, the later it is ripe."""
        month = season(Fruit(kind))
        return round(1.0 + month / 10, 2)

    def board(self) -> list[str]:
        """Return the lines of the board."""
        kinds = []
        for fruit in self.shelf.basket().fruits:
            if fruit.kind not in kinds:
                kinds.append(fruit.kind)
        return [f"{kind}: {press(self.shelf, kind).litres:.2f} l at {self.price(kind):.2f}" for kind in kinds]
