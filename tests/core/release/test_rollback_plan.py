"""What undoing a release means."""

from __future__ import annotations

import time

import pytest
from packaging.version import Version

from releasekit.core.release.rollback_plan import (
    KeptTag,
    PublicPackage,
    Rollback,
    public_dependents,
    tag_keep_reasons,
    yank_url,
)
from releasekit.core.release.target import Target
from releasekit.core.version_numbers import next_version_after
from tests.support.builders import plan_of


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
def test_next_version_skips_spent_version(spent: str, following_one: str) -> None:
    """After a spent version comes the next of its kind, which is higher."""
    assert next_version_after(Version(spent)) == Version(following_one) > Version(spent)


def test_public_dependents_include_indirect_ones() -> None:
    """Whoever is out and needs a package, near or far, has its exact version in it."""
    plan = plan_of("app: web", "web: core", "late: core", "lone:")

    found = public_dependents(plan, {"app", "core", "lone"})

    assert (found["core"], found["web"], found["app"], found["lone"]) == (
        ("app",),
        ("app",),
        (),
        (),
    )


def test_many_dependents_are_listed_fast() -> None:
    """500 packages in a row are told of in a moment: 70 ms were measured."""
    names = [f"p{number:03}" for number in range(500)]
    plan = plan_of(*(f"{name}: {need}" for name, need in zip(names, ["", *names], strict=False)))
    begun = time.process_time()

    found = public_dependents(plan, set(names))

    assert [len(found[name]) for name in names] == list(range(499, -1, -1))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("check_url", "publish_url", "page"),
    [
        (
            "https://index.example/simple",
            "",
            "https://index.example/manage/project/core/release/1.0/",
        ),
        (
            "https://test.example/simple/",
            "https://test.example/legacy/",
            "https://test.example/manage/project/core/release/1.0/",
        ),
        (
            "http://127.0.0.1:7001/simple/",
            "http://127.0.0.1:7001/legacy/",
            "http://127.0.0.1:7001/simple/core/",
        ),
        (
            "http://127.0.0.1:80/a/simple/",
            "http://127.0.0.1:80/a/",
            "http://127.0.0.1:80/a/simple/core/",
        ),
        (
            "https://ada:secret@private.example:8443/simple",
            "https://private.example:8443/up",
            "https://private.example:8443/simple/core/",
        ),
    ],
    ids=["default", "legacy", "loopback", "other", "without secrets"],
)
def test_yank_page_follows_index_address(check_url: str, publish_url: str, page: str) -> None:
    """The page follows from the index's own address; credentials in it are not shown."""
    assert yank_url(Target(check_url, publish_url), "core", Version("1.0")) == page


def test_public_packages_need_a_fix() -> None:
    """Where nothing is public there is nothing to repair; else a fix is committed and published, without a version."""
    private = Rollback(release="r1", title="v1.0", done=True)
    package = PublicPackage(
        name="core", version=Version("1.0"), files=("a",), page="p", next=Version("1.0.1")
    )
    public = private.model_copy(
        update={"public": (package, package.model_copy(update={"index": "another"}))}
    )

    assert (private.next_steps, private.summary) == ("", "v1.0: rolled back")
    assert (
        "commit the fix for the broken package as `fix: …` and run `releasekit publish`"
        in public.next_steps
    )
    assert "uv version" not in public.next_steps
    assert public.summary == "v1.0: rolled back, 1 package stays on the index"
    assert (
        Rollback(release="", title="").summary
        == "nothing to roll back: no release is unfinished here"
    )


@pytest.mark.parametrize(
    ("tags", "complete", "kept"),
    [
        ("core-v1.1 app-v1.1 v1.1", "core", "core-v1.1"),
        ("core-v1.1 app-v1.1 v1.1", "core app", "core-v1.1 app-v1.1 v1.1"),
        ("core-v1.1 app-v1.1 v1.1", "", ""),
        ("another", "core", ""),
        ("another", "core app", "another"),
    ],
)
def test_tags_of_public_packages_stay(tags: str, complete: str, kept: str) -> None:
    """A package's tag is true if all of it is out; the umbrella tag, and one of no package, if all packages are."""
    plan = plan_of("app: core", "core:")
    places = {name: f"{name} is on PyPI" for name in complete.split()}

    reasons = tag_keep_reasons(tags.split(), plan.steps, places, plan.tags)

    assert [*reasons] == kept.split()
    assert reasons.get("core-v1.1", "core is on PyPI") == "core is on PyPI"
    assert (
        reasons.get("v1.1", "all its packages are on the index")
        == "all its packages are on the index"
    )


def test_shared_tag_follows_its_packages() -> None:
    """A tag that stands for some packages is true when these are out."""
    steps = [
        step.model_copy(update={"tag": "pair-v1.1"}) for step in plan_of("app: core", "core:").steps
    ]

    assert tag_keep_reasons(["pair-v1.1"], steps, {"core": "out"}, ()) == {}
    assert [*tag_keep_reasons(["pair-v1.1"], steps, {"core": "out", "app": "out"}, ())] == [
        "pair-v1.1"
    ]
    assert tag_keep_reasons(["pair-v1.1"], [], {}, ["pair-v1.1"]) == {}, (
        "of no package nothing is known to be out"
    )


def test_rollback_report_explains_kept_items() -> None:
    """What stays is on record as values, and told in sentences."""
    kept = KeptTag(tag="core-v1.0", places=("here", "on origin"), reason="core 1.0 is on PyPI")
    rollback = Rollback(release="r1", title="v1.0", kept_tags=(kept,))

    assert rollback.model_dump(mode="json")["kept"] == [
        "core-v1.0 here and on origin stays: core 1.0 is on PyPI"
    ]
    assert rollback.summary == "v1.0: to be rolled back, 1 tag stays"
    assert Rollback.model_validate_json(rollback.model_dump_json()) == rollback
