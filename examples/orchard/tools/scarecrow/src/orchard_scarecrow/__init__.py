"""Keep the birds off."""

from orchard_core import Basket

__all__ = ["loss"]


def loss(basket: Basket, birds: int) -> int:
    """Return how many grams the birds would eat."""
    return min(basket.grams, 30 * birds)
