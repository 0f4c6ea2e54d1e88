"""What undoing a release means."""

from __future__ import annotations

import time

import pytest
from packaging.version import Version

from tasks.core.rollback import PublicPackage, Rollback, dependents_of, following, yank_page
from tasks.core.target import Target
from tests.builders import plan_of


@pytest.mark.parametrize(
    ("spent", "following_one"),
    [
        ("1.2.3", "1.2.4"),
        ("1.2", "1.2.1"),
        ("2", "2.0.1"),
        ("1.2.3.4", "1.2.4"),
        ("1!2.0", "1!2.0.1"),
        ("1.3.0rc9", "1.3.0rc10"),
        ("1.3.0a1", "1.3.0a2"),
        ("1.3.0.dev0", "1.3.0.dev1"),
        ("1.3.0rc1.dev2", "1.3.0rc1.dev3"),
        ("1.3.0.post1", "1.3.0.post2"),
        ("1!1.3.0.post9", "1!1.3.0.post10"),
    ],
)
def test_following(spent: str, following_one: str) -> None:
    """After a spent version comes the next of its kind, which is higher."""
    assert following(Version(spent)) == Version(following_one) > Version(spent)


def test_dependents() -> None:
    """Whoever is out and needs a package, near or far, has its exact version in it."""
    plan = plan_of("app: web", "web: core", "late: core", "lone:")

    found = dependents_of(plan, {"app", "core", "lone"})

    assert (found["core"], found["web"], found["app"], found["lone"]) == (("app",), ("app",), (), ())


def test_many_dependents() -> None:
    """500 packages in a row are told of in a moment: 70 ms were measured."""
    names = [f"p{number:03}" for number in range(500)]
    plan = plan_of(*(f"{name}: {need}" for name, need in zip(names, ["", *names], strict=False)))
    begun = time.process_time()

    found = dependents_of(plan, set(names))

    assert [len(found[name]) for name in names] == list(range(499, -1, -1))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("check_url", "publish_url", "page"),
    [
        ("https://index.example/simple", "", "https://index.example/manage/project/core/release/1.0/"),
        (
            "https://test.example/simple/",
            "https://test.example/legacy/",
            "https://test.example/manage/project/core/release/1.0/",
        ),
        ("http://127.0.0.1:80/a/simple/", "http://127.0.0.1:80/a/", "http://127.0.0.1:80/a/simple/core/"),
        (
            "https://ada:secret@private.example/simple",
            "https://private.example/up",
            "https://private.example/simple/core/",
        ),
    ],
    ids=["default", "legacy", "other", "without secrets"],
)
def test_yank_page(check_url: str, publish_url: str, page: str) -> None:
    """The page follows from the index's own address; credentials in it are not shown."""
    assert yank_page(Target(check_url, publish_url), "core", Version("1.0")) == page


def test_forward() -> None:
    """Where nothing is public there is nothing to mend; else it says how the next version is written."""
    private = Rollback(release="r1", title="v1.0", done=True)
    package = PublicPackage(name="core", version=Version("1.0"), files=("a",), page="p", next=Version("1.0.1"))
    public = private.model_copy(update={"public": (package,)})

    assert (private.forward, private.summary) == ("", "v1.0: rolled back")
    assert "`uv version --frozen --package core 1.0.1`" in public.forward
    assert public.summary == "v1.0: rolled back, 1 package stays on the index"
