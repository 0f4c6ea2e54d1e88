"""Where fruits wait."""

from orchard_core import Basket, Fruit

try:
    from orchard_cache import Memory
except ImportError:
    Memory = None  # type: ignore[assignment, misc]

FAST = Memory is not None


class Shelf:
    """Fruits by their kind."""

    def __init__(self) -> None:
        self._fruits: list[Fruit] = []
        self._memory = Memory() if Memory else None

    def put(self, *fruits: Fruit) -> None:
        """Lay fruits down."""
        self._fruits.extend(fruits)
        if self._memory:
            self._memory.forget()

    def take(self, kind: str) -> list[Fruit]:
        """Return all fruits of a kind."""
        return [fruit for fruit in self._fruits if fruit.kind == kind]

    def basket(self) -> Basket:
        """Return everything at once."""
        return Basket(self._fruits)

    def grams(self, kind: str) -> int:
        """Return what the fruits of a kind weigh."""

        def weigh() -> int:
            return sum(fruit.grams for fruit in self._fruits if fruit.kind == kind)

        return self._memory.recall(kind, weigh) if self._memory else weigh()
