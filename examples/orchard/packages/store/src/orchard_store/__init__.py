"""Shelves for the harvest."""

from orchard_store.shelf import FAST, Shelf

__all__ = ["FAST", "Shelf"]
