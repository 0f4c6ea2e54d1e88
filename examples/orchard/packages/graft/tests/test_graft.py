"""Grafting, tried out."""

from orchard_core import Fruit
from orchard_graft import graft


def test_weight() -> None:
    """A grafted fruit weighs what its parents weigh on average."""
    assert graft(Fruit("apple", 100), Fruit("pear", 200)).grams == 150
