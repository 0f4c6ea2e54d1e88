"""The command `orchard-market`."""

import sys

from orchard_core import Fruit
from orchard_store import Shelf

from orchard_market.stall import Stall


def main() -> int:
    """Show the board of a stall that sells the kinds named on the command line."""
    shelf = Shelf()
    shelf.put(*(Fruit(kind, 1000) for kind in sys.argv[1:]))
    stall = Stall("bäume", shelf)
    print(stall.address)
    print("\n".join(stall.board()))
    return 0
