"""Many texts that differ in one word become one text; nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.core.errors import ErrorCode
from releasekit.core.planning.model import Obstacle, calm_obstacles
from releasekit.core.similar_texts import calm_commands, calm_warnings, group_similar

NAMES = [f"pkg-{number:02}" for number in range(45)]


def missing(name: str, need: str = "tool", directory: str = "") -> str:
    """Return the warning that no index has what a package requires."""
    place = f"packages/{directory or name}/pyproject.toml"
    return f"RK-WORKSPACE-REQUIREMENT: {name} requires {need}, which is never published ({place})"


def test_45_similar_warnings_are_one_line() -> None:
    """The first warning stays as it is, and names the first of the others."""
    warnings = [missing(name) for name in NAMES]

    assert calm_warnings(warnings) == [
        f"{warnings[0]}; the same for pkg-01, pkg-02, pkg-03 and 41 more"
    ]
    assert calm_warnings(warnings, verbose=True) == warnings


def test_directory_may_have_another_name() -> None:
    """Where a problem is does not count."""
    warnings = [missing(f"shop-{name}", directory=name) for name in ("app", "core", "web", "api")]

    assert calm_warnings(warnings) == [f"{warnings[0]}; the same for shop-core, shop-web, shop-api"]


def test_requirements_of_one_package_are_similar() -> None:
    """The word that differs need not be the first one."""
    warnings = [missing("app", need=name) for name in NAMES]

    assert calm_warnings(warnings) == [
        f"{warnings[0]}; the same for pkg-01, pkg-02, pkg-03 and 41 more"
    ]


def test_every_kind_of_problem_is_told() -> None:
    """Two problems of the same packages stay two lines, in their order."""
    warnings = [missing(name, need) for need in ("tool", "tests") for name in NAMES]

    lines = calm_warnings(warnings)

    assert lines == [
        f"{warnings[at]}; the same for pkg-01, pkg-02, pkg-03 and 41 more" for at in (0, 45)
    ]


def test_three_similar_warnings_stay_three() -> None:
    """A short list is easier to read than its summary."""
    warnings = [missing(name) for name in NAMES[:3]]

    assert calm_warnings(warnings) == warnings


def test_equal_warnings_are_counted() -> None:
    """Where no word differs, the number of the warnings is told."""
    assert calm_warnings(["RK-VERSION-LOW: the clock is wrong"] * 45) == [
        "RK-VERSION-LOW: the clock is wrong; 45 times"
    ]


def test_versions_are_no_words() -> None:
    """Warnings that differ in versions are all different; the first five are told, and how many more there are."""
    warnings = [
        f"RK-VERSION-LOW: {name} 1.{at} (declared), not 2.{at}" for at, name in enumerate(NAMES)
    ]

    assert calm_warnings([*warnings, "RK-TAG-STRAY: v9"]) == [
        *warnings[:5],
        "RK-VERSION-LOW: 40 more; `--verbose` shows all of them",
        "RK-TAG-STRAY: v9",
    ]


def test_similar_obstacles_are_one_obstacle() -> None:
    """The location of the first one stays, as do its hint and its output."""
    obstacles = [
        Obstacle(
            code=ErrorCode.TAG_EXISTS,
            what=f"{name}-v1.0.0 exists already, at 0123456",
            where=name,
            hint="Help.",
        )
        for name in NAMES
    ]

    first, *others = calm_obstacles(obstacles)

    assert first.what.startswith(
        "pkg-00-v1.0.0 exists already, at 0123456; the same for pkg-01-v1.0.0, pkg-02-v1.0.0"
    )
    assert (first.where, first.hint, others) == ("pkg-00", "Help.", [])
    assert calm_obstacles(obstacles, verbose=True) == tuple(obstacles)


def test_other_output_is_another_obstacle() -> None:
    """What a command printed is part of the problem."""
    obstacles = [
        Obstacle(
            code=ErrorCode.BUILD_FAILED, what=f"{name} cannot be built", output=f"line {at}" * at
        )
        for at, name in enumerate(NAMES[:4])
    ]

    assert calm_obstacles(obstacles) == tuple(obstacles)


def test_similar_commands_get_a_comment() -> None:
    """The lines can still be copied into a shell; a step that differs in each line is cut."""
    builds = [f"uv build --out-dir dist/{name}" for name in NAMES]
    pushes = [f"git push --atomic origin refs/tags/1.{at}" for at in range(9)]

    assert calm_commands([*builds, "# compare", *pushes, "git merge"]) == [
        "uv build --out-dir dist/pkg-00  # the same for pkg-01, pkg-02, pkg-03 and 41 more",
        "# compare",
        *pushes[:5],
        "# git push --atomic: 4 more; `--verbose` shows all of them",
        "git merge",
    ]


WORDS = st.sampled_from(
    ["core", "core-api", "api", "my_core", "v1.0", "1.0", "requires", "RK-TAG-STRAY:"]
)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4).map(" ".join), max_size=30))
def test_each_text_is_in_one_group(texts: list[str]) -> None:
    """No text is lost or told twice, and the texts of a group are equal but for one word."""
    groups = group_similar(texts)

    assert sum(group.count for group in groups) == len(texts)
    assert sorted({group.position for group in groups}) == [group.position for group in groups]
    for group in groups:
        similar = {texts[group.position].replace("_", "-")}
        for word in group.words:
            similar |= {text.replace("_", "-") for text in texts if word in text.replace("_", "-")}
        assert len(similar) > len(group.words)


@pytest.mark.parametrize("text", ["", "x", "RK-TAG-STRAY: v9"])
def test_single_texts_stay(text: str) -> None:
    """A warning alone is told as it is."""
    assert calm_warnings([text]) == [text]
