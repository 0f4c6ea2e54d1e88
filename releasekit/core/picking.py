"""Pick values from a collection, and group them: by their names, by membership, or by a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping


class Named(Protocol):
    """Anything with a name: a step of a plan, a built package, a member, a file."""

    @property
    def name(self) -> str:
        """The name."""
        ...


N = TypeVar("N", bound=Named)
K = TypeVar("K")
R = TypeVar("R")
V = TypeVar("V")


def names_of(values: Iterable[Named]) -> list[str]:
    """Return the names of *values*, in their order."""
    return [value.name for value in values]


def by_name(values: Iterable[N]) -> dict[str, N]:
    """Return *values* by their names."""
    return {value.name: value for value in values}


def pick_named(values: Iterable[N], names: Container[str]) -> list[N]:
    """Return those of *values* whose name is one of *names*."""
    return [value for value in values if value.name in names]


def drop_named(values: Iterable[N], names: Container[str]) -> list[N]:
    """Return *values* without those whose name is one of *names*."""
    return [value for value in values if value.name not in names]


def pick(values: Iterable[V], wanted: Container[V]) -> list[V]:
    """Return those of *values* that are *wanted*, in their order."""
    return [value for value in values if value in wanted]


def drop(values: Iterable[V], unwanted: Container[V]) -> list[V]:
    """Return *values* without those that are *unwanted*, in their order."""
    return [value for value in values if value not in unwanted]


def pick_keys(mapping: Mapping[K, V], keys: Iterable[K]) -> dict[K, V]:
    """Return the *keys* with the values that *mapping* has for them, in the order of the keys."""
    return {key: mapping[key] for key in keys}


def values_at(mapping: Mapping[K, V], keys: Iterable[K]) -> list[V]:
    """Return the values of those of *keys* that *mapping* has, in the order of the keys."""
    return [mapping[key] for key in keys if key in mapping]


def drop_keys(mapping: Mapping[K, V], keys: Container[K]) -> dict[K, V]:
    """Return *mapping* without *keys*."""
    return {key: value for key, value in mapping.items() if key not in keys}


def drop_empty(mapping: Mapping[K, V | None]) -> dict[K, V]:
    """Return *mapping* without the keys whose values are empty."""
    return {key: value for key, value in mapping.items() if value}


def map_values(function: Callable[[V], R], mapping: Mapping[K, V]) -> dict[K, R]:
    """Return what *function* makes of each value of *mapping*, by its key."""
    return {key: function(value) for key, value in mapping.items()}


def group_by(values: Iterable[V], key: Callable[[V], K]) -> dict[K, list[V]]:
    """Return *values* by their *key*, in the order of the first value of each."""
    groups: dict[K, list[V]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups


def true_keys(mapping: Mapping[K, object]) -> Iterator[K]:
    """Yield the keys whose values are true, not empty, or not zero."""
    return (key for key, value in mapping.items() if value)
