"""Juice with patience."""

from orchard_cider._build_info import BUILT_WITH, VERSION
from orchard_cider.barrel import Cider, ferment

__all__ = ["BUILT_WITH", "VERSION", "Cider", "ferment"]
