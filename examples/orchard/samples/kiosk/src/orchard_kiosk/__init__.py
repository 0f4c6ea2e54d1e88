"""Cider by the glass."""

from orchard_cider import ferment
from orchard_press import Juice

__all__ = ["glasses"]


def glasses(litres: float) -> int:
    """Return how many glasses so much juice fills, once it has become cider."""
    return int(ferment(Juice("apple", litres), weeks=6).juice.litres / 0.25)
