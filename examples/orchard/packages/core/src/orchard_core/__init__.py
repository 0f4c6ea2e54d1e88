"""Fruits, and baskets to carry them."""

from orchard_core.fruit import Basket, Fruit

__all__ = ["Basket", "Fruit"]
