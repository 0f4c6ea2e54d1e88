"""What grows, and what it is carried in."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fruit:
    """One fruit."""

    kind: str
    grams: int = 150


class Basket:
    """Some fruits, carried together."""

    def __init__(self, fruits: Iterable[Fruit] = ()) -> None:
        self.fruits = tuple(fruits)

    @property
    def grams(self) -> int:
        """What the basket weighs."""
        return sum(fruit.grams for fruit in self.fruits)
