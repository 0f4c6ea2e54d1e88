"""Sell the harvest."""

from orchard_market.stall import Stall

__all__ = ["Stall"]
