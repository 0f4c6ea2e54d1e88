"""Where juice becomes cider."""

from dataclasses import dataclass

from orchard_press import Juice


@dataclass(frozen=True)
class Cider:
    """Juice that was left alone."""

    juice: Juice
    strength: float


def ferment(juice: Juice, weeks: int) -> Cider:
    """Return what *juice* is after some weeks."""
    return Cider(juice, min(0.8 * weeks, 6.5))
