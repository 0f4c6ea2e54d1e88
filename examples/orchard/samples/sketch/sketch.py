"""Weigh a basket: `uv run --package orchard-sketch samples/sketch/sketch.py`."""

from orchard_core import Basket, Fruit

print(Basket([Fruit("apple"), Fruit("plum", 40)]).grams)
