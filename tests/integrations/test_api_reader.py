"""Breaking changes of an API, read from source alone."""

from __future__ import annotations

import pytest

from releasekit.integrations.api_reader import find_api_changes


def changes_of(before: str, after: str, path: str = "shop/__init__.py") -> list[str]:
    """Return the changes between two sources of one module."""
    return [str(change) for change in find_api_changes({path: before}, {path: after})]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("def f(): ...", "", "shop.f: removed"),
        ("class C: ...", "def C(): ...", "shop.C: the class becomes a function"),
        (
            "def f(a, b=1): ...",
            "def f(a, b): ...",
            "shop.f: the parameter b has no default any more",
        ),
        ("def f(a): ...", "def f(a, b): ...", "shop.f: the new parameter b has no default"),
        ("def f(a, b): ...", "def f(a): ...", "shop.f: the parameter b is removed"),
        ("def f(a): ...", "def f(*, a): ...", "shop.f: the parameter a becomes keyword-only"),
        (
            "class B: ...\nclass C(B): ...",
            "class B: ...\nclass C: ...",
            "shop.C: a base class is removed",
        ),
        ("class C:\n  def m(self): ...", "class C: ...", "shop.C.m: removed"),
        ("class C:\n  def __init__(self, a): ...", "class C: ...", "shop.C.__init__: removed"),
        (
            "class C:\n  def __init__(self): self.a = 1",
            "class C:\n  def __init__(self): ...",
            "shop.C.a: removed",
        ),
        ("__all__ = ['f']\ndef f(): ...", "__all__ = []\n", "shop.f: removed"),
    ],
)
def test_break_of_api_is_found(before: str, after: str, change: str) -> None:
    """Each way to break a user is one change, with the public name."""
    assert changes_of(before, after) == [change]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def _f(): ...", ""),
        ("__all__ = ['g']\ndef f(): ...\ndef g(): ...", "__all__ = ['g']\ndef g(): ..."),
        ("def f(a=1): ...", "def f(a=2): ..."),
        ("def f() -> int: ...", "def f(): ..."),
        ("def f(a): ...", "def f(a, b=1): ..."),
        ("import os", ""),
        ("class C:\n  def __repr__(self): ...", "class C: ..."),
        ("class C:\n  def __init__(self): ...", "class C: ..."),
        ("def f(): ...", "def __getattr__(name): ..."),
        ("def f(): ...", "def f(: ..."),
        ("x = " + "-" * 5000 + "1", "x = " + "(" * 500 + ")" * 500),
        ("from shop import *\nclass C(C): ...", "from shop import f as f\nclass C(shop.C): ..."),
        ("def f(): ...", "def f(): ...\n\0"),
    ],
    ids=[
        "private",
        "not listed",
        "default",
        "annotation",
        "optional",
        "import",
        "dunder",
        "init",
        "lazy",
        "broken",
        "deep",
        "circles",
        "null",
    ],
)
def test_harmless_change_is_silent(before: str, after: str) -> None:
    """What breaks nobody, and what cannot be read, is no change of the API."""
    assert changes_of(before, after) == []


@pytest.mark.parametrize(
    "before",
    [
        "from warnings import deprecated\n@deprecated('use g')\ndef f(): ...",
        "import typing_extensions as t\n@t.deprecated('use D')\nclass f: ...",
        "def f():\n    '''Do.\n\n    .. deprecated:: 1.2\n    '''",
    ],
)
def test_deprecated_object_is_marked(before: str) -> None:
    """A decorator (PEP 702) or the docstring says that an object is deprecated."""
    (change,) = find_api_changes({"shop/__init__.py": before}, {"shop/__init__.py": ""})

    assert (change.path, change.was_deprecated, change.is_removal) == ("shop.f", True, True)


def test_private_module_has_public_name() -> None:
    """An object of a private module goes by the name under which a public module offers it."""
    package = {"shop/__init__.py": "from shop._impl import total\n__all__ = ['total']\n"}
    changes = find_api_changes(
        {**package, "shop/_impl.py": "def total(cart, tax=0): ...\ndef other(a): ...\n"},
        {**package, "shop/_impl.py": "def total(cart): ...\n"},
    )

    assert list(map(str, changes)) == ["shop.total: the parameter tax is removed"]


def test_source_is_never_run(capfd: pytest.CaptureFixture[str]) -> None:
    """No line of the source runs, and what cannot be resolved prints nothing."""
    source = "import missing_package\nfrom missing_package import *\nprint('it ran')\nraise SystemExit\ndef f(): ...\n"

    assert changes_of(source, source.replace("def f", "def g")) == ["shop.f: removed"]
    assert capfd.readouterr() == ("", "")
