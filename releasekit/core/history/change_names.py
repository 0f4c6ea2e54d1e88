"""Readable names for new change files, so that two branches rarely choose the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

_ADJECTIVES = (
    *(
        "amber",
        "blue",
        "brave",
        "bright",
        "calm",
        "clever",
        "cold",
        "cosy",
        "early",
        "fast",
        "fresh",
        "gentle",
    ),
    *(
        "golden",
        "green",
        "happy",
        "kind",
        "late",
        "light",
        "loud",
        "lucky",
        "mild",
        "neat",
        "new",
        "odd",
    ),
    *(
        "proud",
        "quick",
        "quiet",
        "red",
        "round",
        "shy",
        "silver",
        "slow",
        "small",
        "soft",
        "sunny",
        "tall",
    ),
    *("tidy", "warm", "wide", "wild", "wise", "young"),
)
_NOUNS = (
    *(
        "apple",
        "badger",
        "bee",
        "bird",
        "boat",
        "bridge",
        "cat",
        "cherry",
        "cloud",
        "crab",
        "deer",
        "dog",
    ),
    *(
        "duck",
        "eagle",
        "fern",
        "finch",
        "fish",
        "forest",
        "fox",
        "frog",
        "goat",
        "goose",
        "hare",
        "hill",
    ),
    *(
        "horse",
        "island",
        "kite",
        "lake",
        "lamp",
        "leaf",
        "lemon",
        "lion",
        "maple",
        "meadow",
        "moon",
        "moth",
    ),
    *(
        "mouse",
        "otter",
        "owl",
        "panda",
        "peach",
        "pear",
        "pine",
        "plum",
        "rabbit",
        "river",
        "robin",
        "rose",
    ),
    *(
        "seal",
        "snail",
        "sparrow",
        "star",
        "stone",
        "storm",
        "swan",
        "tiger",
        "train",
        "tulip",
        "whale",
        "wolf",
    ),
)


def readable_name(choose: Callable[[Sequence[str]], str], taken: Container[str] = ()) -> str:
    """Return a name such as `blue-cat` that is not *taken*; *choose* picks one of several words."""
    name = f"{choose(_ADJECTIVES)}-{choose(_NOUNS)}"
    while name in taken:
        name = f"{name}-{choose(_NOUNS)}"
    return name
