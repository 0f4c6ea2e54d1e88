"""Packages of a repository that are in no workspace: which count, and the patterns that add them."""

from __future__ import annotations

from typing import Any

import pytest

from releasekit.core.adoption.outside_packages import (
    find_outside,
    member_patterns,
    outside_notes,
    workspace_hint,
)

PACKAGE: dict[str, Any] = {"project": {"name": "any"}, "build-system": {}}
PRIVATE = {
    "project": {"name": "any", "classifiers": ["Private :: Do Not Upload"]},
    "build-system": {},
}
VIRTUAL = {**PACKAGE, "tool": {"uv": {"package": False}}}
ROOT = {"tool": {"uv": {"workspace": {"members": ["libs/*"], "exclude": ["old/*"]}}}}

NEW_WORKSPACE = (
    "2 packages below it are in no workspace. To release them together, write [tool.uv.workspace] with "
    'members = ["a", "b"] into a new pyproject.toml there, and run `uv lock`. For another workspace: --workspace PATH.'
)


@pytest.mark.parametrize(
    ("path", "manifest"),
    [
        ("libs/core", PACKAGE),
        ("libs/core/plugin", PACKAGE),
        ("old/core", PACKAGE),
        ("examples/app", PACKAGE),
        ("more/tests/app", PACKAGE),
        (".template/app", PACKAGE),
        ("more/{{ name }}", PACKAGE),
        ("more/private", PRIVATE),
        ("more/virtual", VIRTUAL),
        ("more/script", {"project": {"name": "any"}}),
        ("more/nameless", {"build-system": {}}),
    ],
)
def test_others_are_not_outside(path: str, manifest: dict[str, Any]) -> None:
    """Members and what is below them, excluded directories, samples, and what no index gets do not count."""
    manifests = {".": ROOT, "libs/core": PACKAGE, "more/found": PACKAGE, path: manifest}

    assert find_outside(manifests, ["libs/core"]) == ["more/found"]


def test_packages_below_packages_do_not_count() -> None:
    """Of packages inside each other, only the outer one counts; one at the root is around all."""
    manifests = {".": PACKAGE, "a": PACKAGE, "a/b": PACKAGE, "ab": PACKAGE}

    assert find_outside(manifests, ["."]) == ["a", "ab"]
    assert find_outside(manifests) == ["a", "ab"]


@pytest.mark.parametrize(
    ("directories", "patterns"),
    [
        (["libs/a", "libs/b"], ["top", "libs/*"]),
        (["libs/a", "libs/b", "libs/docs"], ["top", "libs/a", "libs/b"]),
    ],
)
def test_patterns_match_packages_only(directories: list[str], patterns: list[str]) -> None:
    """A pattern with a star is used where every directory has a package; at the top it never is."""
    assert member_patterns(["top", "libs/a", "libs/b"], lambda _: directories) == patterns


@pytest.mark.parametrize(
    ("manifests", "hint"),
    [
        ({}, ""),
        ({"examples/a": PACKAGE}, ""),
        ({"py": PACKAGE}, "Go to py, or name it: --workspace py."),
        (
            {"py": ROOT, "py/libs/a": PACKAGE, "sdk": PACKAGE},
            "Go to py, or name it: --workspace py.",
        ),
        (
            {"a": PACKAGE, "b": PACKAGE},
            NEW_WORKSPACE,
        ),
        (
            {".": {"tool": {"ruff": {}}}, "a": PACKAGE, "b": PACKAGE},
            NEW_WORKSPACE.replace("a new pyproject.toml there", "its pyproject.toml"),
        ),
    ],
)
def test_hint_names_what_is_below(manifests: dict[str, Any], hint: str) -> None:
    """Without a workspace, the hint leads to the one below, to the only package, or to a new workspace."""
    assert workspace_hint(manifests, ["a", "b"]) == hint


def test_note_shortens_long_lists() -> None:
    """Many packages and many patterns are cut off, visibly."""
    names = list("abcdef")

    (note,) = outside_notes(names, names)

    assert note.startswith("no members of the workspace: a, b, c and 3 more. ")
    assert note.endswith('members = ["a", "b", "c", "d", …]')
    assert list(outside_notes([], [])) == []
