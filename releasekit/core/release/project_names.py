"""Names of new projects that PyPI's software, warehouse, refuses (warehouse: `ultranormalize_name`, PEP 541)."""

from __future__ import annotations

import re
import sys
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAX_VARIANTS = 16
"""How many other spellings of a name an index is asked for."""


def fold_name(name: str) -> str:
    """Return the form of *name* in which warehouse compares it: without separators, and "l", "i", "o" as digits."""
    plain = re.sub(r"[-._]", "", name.lower())
    return re.sub("[li]", "1", plain).replace("o", "0")


_STANDARD = frozenset(map(fold_name, sys.stdlib_module_names))


def is_of_standard_library(name: str) -> bool:
    """Return whether warehouse refuses *name* because a module of the standard library has it."""
    return fold_name(name) in _STANDARD


def similar_pairs(names: Iterable[str], others: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each of *names* with the one of *others* that warehouse takes for too similar."""
    by_form = {fold_name(other): other for other in others}
    for name in names:
        other = by_form.get(fold_name(name), name)
        if other != name:
            yield name, other


def spellings(name: str) -> tuple[str, ...]:
    """Return other names (normalised) that are too similar to *name*: without separators, or with one letter changed.

    There can be more, because a separator can be anywhere.
    """
    plain = name.replace("-", "")
    found = dict.fromkeys(
        (
            plain,
            *_without_one_separator(name),
            *_with_one_lookalike(name),
            *_with_one_lookalike(plain),
        )
    )
    found.pop(name, None)
    return tuple(islice(found, _MAX_VARIANTS))


def _without_one_separator(name: str) -> Iterator[str]:
    """Yield *name* without one of its separators."""
    for match in re.finditer("-", name):
        yield name[: match.start()] + name[match.end() :]


def _with_one_lookalike(name: str) -> Iterator[str]:
    """Yield *name* with one letter in place of a digit that looks like it, or the other way round."""
    for position, character in enumerate(name):
        for other in _LOOKALIKES.get(character, ""):
            yield name[:position] + other + name[position + 1 :]


_LOOKALIKES = {"o": "0", "0": "o", "l": "1i", "i": "1l", "1": "li"}
