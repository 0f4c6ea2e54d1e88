"""Two fruits become one."""

from orchard_core import Fruit

__all__ = ["graft"]


def graft(stock: Fruit, scion: Fruit) -> Fruit:
    """Return the fruit of *scion* grown on *stock*."""
    return Fruit(f"{stock.kind}-{scion.kind}", (stock.grams + scion.grams) // 2)
