"""What the source of a package tells about its losses, before anything is built."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from releasekit.core.artifacts.api_changes import (
    ApiChange,
    breaking_changes,
    describe_changes,
    rate_api_changes,
)
from releasekit.core.artifacts.source_changes import (
    SourceChange,
    SourceTree,
    Waivers,
    find_source_losses,
    rate_source_change,
)
from releasekit.core.artifacts.source_outline import keeps_outline
from releasekit.core.config.settings import ApiCheck, ApiWaiver
from releasekit.core.errors import ErrorCode

V1, V1_1, V2 = map(Version, ("1.0.0", "1.1.0", "2.0.0"))
FILES = {"src/shop/__init__.py": 10, "src/shop/cli.py": 10}
REMOVED = ApiChange("shop.cart.total", "removed", is_removal=True)


def tree(*gone: str, **project: Any) -> SourceTree:
    """Return the source of the shop, without the files *gone*."""
    files = {path: size for path, size in FILES.items() if path not in gone}
    return SourceTree(files, {"project": {"name": "shop", **project}})


def rules_of(before: SourceTree, after: SourceTree, *changes: ApiChange) -> list[ErrorCode]:
    """Return the rules of the losses between two sources."""
    return [loss.rule for loss in find_source_losses(before, after, changes)]


def test_tables_of_project_are_compared() -> None:
    """Scripts, entry points, extras and the Python versions are in pyproject.toml."""
    before = tree(
        **{
            "scripts": {"shop": "shop.cli:main"},
            "entry-points": {"shop.cards": {"visa": "shop:V"}},
            "optional-dependencies": {"Fast_Path": []},
            "requires-python": ">=3.10",
        }
    )
    renamed = tree(
        **{
            "scripts": {"shop": "shop.cli:run"},
            "entry-points": {"shop.cards": {"visa": "shop:W"}},
            "optional-dependencies": {"fast-path": ["x"]},
            "requires-python": ">=3.10,<4",
        }
    )

    assert rules_of(before, tree(**{"requires-python": ">=3.13"})) == [
        ErrorCode.VERIFY_LOST_SCRIPT,
        ErrorCode.VERIFY_LOST_ENTRY_POINT,
        ErrorCode.VERIFY_LOST_EXTRA,
        ErrorCode.VERIFY_RAISED_PYTHON,
    ]
    assert rules_of(before, renamed) == []


def test_dynamic_fields_are_unknown() -> None:
    """What the build backend decides cannot be lost in the source."""
    before = tree(**{"scripts": {"shop": "shop.cli:main"}, "optional-dependencies": {"fast": []}})

    assert rules_of(before, tree(dynamic=["scripts", "optional-dependencies"])) == []


def test_dead_command_is_a_fault() -> None:
    """A command that starts what is gone stops every release, whether a module or a function is gone."""
    scripts = {"shop": "shop.cli:main", "till": "shop.till:open [fast]"}
    no_function = ApiChange("shop.cli.main", "removed", is_removal=True)

    without_module = find_source_losses(
        tree(scripts=scripts), tree("src/shop/cli.py", scripts=scripts)
    )
    without_function = find_source_losses(
        tree(scripts=scripts), tree(scripts=scripts), [no_function]
    )

    assert [loss.rule for loss in without_module] == [
        ErrorCode.VERIFY_LOST_IMPORT,
        ErrorCode.VERIFY_ENTRY_POINT,
    ]
    assert [(loss.text, loss.is_fault) for loss in without_function] == [
        ("the command shop starts shop.cli.main, which is gone", True)
    ]


@pytest.mark.parametrize(
    ("mode", "target", "severities"),
    [
        ("off", V1_1, []),
        ("warn", V1_1, ["warning"]),
        ("bump", V1_1, ["warning"]),
        ("error", V1_1, ["error"]),
        ("error", V2, ["note"]),
    ],
)
def test_mode_decides_what_stops(mode: ApiCheck, target: Version, severities: list[str]) -> None:
    """Only "error" stops, and only a release that promises not to break users."""
    rows = rate_api_changes("shop", V1, target, [REMOVED], mode)

    assert [row.severity for row in rows] == severities
    assert all(row.rule is ErrorCode.VERIFY_API_BREAK for row in rows)


def test_deprecated_name_may_go() -> None:
    """Users of a deprecated name were told: its removal is a warning, and raises no version."""
    deprecated = ApiChange("shop.old", "removed", was_deprecated=True)
    (row,) = rate_api_changes("shop", V1, V1_1, [deprecated], "error")

    assert row.severity == "warning"
    assert breaking_changes([deprecated, REMOVED], "shop") == (REMOVED,)


@pytest.mark.parametrize(
    ("path", "package", "is_covered"),
    [
        ("shop.cart.total", "*", True),
        ("shop.cart", "*", True),
        ("shop.*.total", "shop", True),
        ("shop.car", "*", False),
        ("shop.cart.total.deeper", "*", False),
        ("shop.cart", "web", False),
    ],
)
def test_waiver_covers_names_below(path: str, package: str, is_covered: bool) -> None:
    """A name in `api_ignore` also covers what is below it."""
    waiver = ApiWaiver(path=path, package=package, reason="only we use it")
    (row,) = rate_api_changes("shop", V1, V1_1, [REMOVED], "error", [waiver])

    assert row.waived == ("only we use it" if is_covered else "")
    assert row.stops is not is_covered
    assert breaking_changes([REMOVED], "shop", [waiver]) == (() if is_covered else (REMOVED,))


def test_lost_module_is_told_once() -> None:
    """Griffe reports a removed module too, which the rule about imports has already said."""
    gone = ApiChange("shop.cli", "removed", is_removal=True)
    losses = find_source_losses(tree(), tree("src/shop/cli.py"), [gone])
    change = SourceChange(V1, losses, (gone, REMOVED))

    rows = rate_source_change("shop", change, V1_1, "error", Waivers())

    assert [row.rule for row in rows] == [ErrorCode.VERIFY_LOST_IMPORT, ErrorCode.VERIFY_API_BREAK]
    assert rows[1].text == "shop.cart.total: removed"


def test_reason_names_first_change() -> None:
    """The reason of a raised version names the first change, and counts the others."""
    assert describe_changes([]) == ""
    assert describe_changes([REMOVED]) == "breaks the API: shop.cart.total: removed"
    assert (
        describe_changes([REMOVED] * 3)
        == "breaks the API: shop.cart.total: removed, and 2 more changes"
    )


@pytest.mark.parametrize(
    ("before", "after", "is_kept"),
    [
        ("def f(a): return 1", "def f(a):\n    'New.'\n    return 2", True),
        ("def f(a): ...", "def f(a): ...\ndef g(): ...", True),
        (
            "class C:\n  def m(self): self.x = 1",
            "class C:\n  def m(self):\n    self.x = 2\n    self.y = 1",
            True,
        ),
        ("import os", "import os, sys", False),
        ("def f(a): ...", "def f(a, b): ...", False),
        ("class C:\n  def m(self): ...", "class D:\n  def m(self): ...", False),
        ("class C:\n  def m(self): self.x = 1", "class C:\n  def m(self): ...", False),
        ("class C(B): ...", "class C: ...", False),
        ("@deprecated\ndef f(): ...", "def f(): ...", False),
        ("def f(): ...", "", False),
        ("def f(): ...", "def f(: ...", False),
        ("x = 1", "x = " + "(" * 500 + ")" * 500, False),
    ],
)
def test_outline_tells_unchanged_apis(before: str, after: str, is_kept: bool) -> None:
    """Bodies, documentation and additions change no API. All else is for the real comparison to judge."""
    assert keeps_outline(before, after) is is_kept
