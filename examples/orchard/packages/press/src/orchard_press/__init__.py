"""Juice from what the store holds."""

from orchard_press.juice import Juice, blend, press

__all__ = ["Juice", "blend", "press"]
