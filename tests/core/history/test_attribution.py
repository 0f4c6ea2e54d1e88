"""Which commits belong to which package."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from releasekit.core.history.attribution import attribute_commits
from tests.support.builders import commit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.core.history.commits import Commit

OWNERS = {"": "root", "packages/core": "core", "packages/core/plugins/x": "x", "web": "web"}


def touching(walk: Sequence[Commit], since: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the shas of each package as one string, with the newest commit as head; packages without any left out."""
    found = attribute_commits(walk, walk[0].sha, since or {}, OWNERS)
    return {package: "".join(shas) for package, shas in found.by_package.items() if shas}


def line_of(**files: str) -> list[Commit]:
    """Return commits without branches, written newest first: `line_of(c="web/a.py", b="…")`."""
    shas = list(files)
    return [
        commit(sha, *shas[place + 1 : place + 2], files=touched.split())
        for place, (sha, touched) in enumerate(files.items())
    ]


def test_released_commits_need_no_memory() -> None:
    """What is released everywhere is not kept, however long ago it began."""

    def peak(length: int) -> int:
        body = "x" * 1000
        walk = (
            commit(
                f"{number:040x}",
                f"{number - 1:040x}",
                message=f"{body}{number}",
                files=[f"web/{number % 7}/a"],
            )
            for number in range(length, 0, -1)
        )
        tracemalloc.start()
        found = attribute_commits(walk, f"{length:040x}", {"web": f"{length - 5:040x}"}, OWNERS)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found.by_package["web"]) == 5
        return size

    # Bytes: the messages alone would be 20 MB. What other threads of this process do meanwhile counts as well, hence
    # the best of three.
    assert min(peak(20_000) for _ in range(3)) < peak(1_000) + 500_000


def test_unmatched_release_as_is_reported() -> None:
    """A version that is named where no package is touched is nobody's, until there is a release."""
    told = {"message": "chore: x\n\nrelease-as: 2.0"}
    walk = [
        commit("d", "c", "s", **told),
        commit("s", "b", files=["web/a"]),
        commit("c", "b", **told),
    ]
    walk += [commit("b", "a", files=["web/a"], **told), commit("a", **told)]

    def unheard(**since: str) -> list[str]:
        return [
            each.sha
            for each in attribute_commits(walk, "d", since, {"web": "web"}).unmatched_release_as
        ]

    assert (unheard(), unheard(web="a"), unheard(web="c"), unheard(web="d")) == (
        ["d", "c", "a"],
        ["d", "c"],
        ["d"],
        [],
    )


class TestPrereleases:
    """Where a prerelease is the last release."""

    WALK = line_of(d="web/a", c="web/a packages/core/a", b="web/a", a="web/a")

    def test_commits_since_prerelease_are_marked(self) -> None:
        """What has come since the stable release is told, and what of it has come since the prerelease."""
        found = attribute_commits(
            self.WALK, "d", {"web": "a", "core": "b"}, OWNERS, latest={"web": "c"}
        )

        assert (found.by_package["web"], found.since_prerelease) == (
            ["d", "c", "b"],
            {"web": {"d"}},
        )
        assert found.by_package["core"] == ["c"]

    def test_prerelease_alone_keeps_all_history(self) -> None:
        """Without a stable release it is all of the history."""
        found = attribute_commits(self.WALK, "d", {}, OWNERS, latest={"web": "b"})

        assert (found.by_package["web"], found.since_prerelease) == (
            ["d", "c", "b", "a"],
            {"web": {"d", "c"}},
        )


class TestLayouts:
    """Which package stood where, at each commit."""

    def test_ignored_files_have_no_owner(self) -> None:
        """A file that is nobody's counts for nobody, alone or beside others."""
        walk = line_of(c="uv.lock", b="uv.lock README.md", a="web/uv.lock")

        found = attribute_commits(walk, "c", {}, OWNERS, ignored=frozenset(["uv.lock"]))

        assert (found.by_package["root"], found.by_package["web"]) == (["b"], ["a"])

    def test_included_files_count_for_more_packages(self) -> None:
        """A file counts for the package around it, unless it is ignored, and for those that include it."""
        walk = line_of(d="crates/a.rs", c="crates/b.rs", b="web/a.py", a="docs/a.md")
        included = {"crates/a.rs": {"web", "core"}, "web/a.py": {"core"}, "docs/a.md": {"core"}}

        found = attribute_commits(
            walk,
            "d",
            {},
            OWNERS,
            ignored=frozenset(["crates/a.rs"]),
            included_by=lambda path: included.get(path, ()),
        )

        assert found.by_package["root"] == ["c", "a"]
        assert found.by_package["web"] == ["d", "b"]
        assert found.by_package["core"] == ["d", "b", "a"]
        assert found.documents == {"root": {"a"}, "core": {"a"}}

    def test_submodule_path_belongs_to_package(self) -> None:
        """A package that is a submodule is one path to git."""
        assert touching(line_of(a="packages/core")) == {"core": "a"}

    def test_pyproject_changes_list_their_commits(self) -> None:
        """It is told which commits touch a pyproject.toml, and where."""
        walk = line_of(
            c="web/pyproject.toml x/pyproject.toml", b="web/xpyproject.toml", a="pyproject.toml"
        )

        assert attribute_commits(walk, "c", {}, {"": "root"}).pyproject_changes == {
            "web": ["c"],
            "x": ["c"],
            "": ["a"],
        }

    def test_package_keeps_commits_before_move(self) -> None:
        """From where it is said that things stood elsewhere, they did, back to the beginning; the move is of both."""
        walk = line_of(d="new/a", c="new/a old/a", b="old/a", a="old/a new/a")
        now, before = {"new": "it", "old": "other"}, {"old": "it", "new": "other"}

        found = attribute_commits(walk, "d", {}, now, layouts={"b": before})

        assert found.by_package == {"it": ["d", "c", "b", "a"], "other": ["c", "a"]}


class TestOwners:
    """A file belongs to the deepest member directory that holds it."""

    def test_deepest_member_owns_a_file(self) -> None:
        """Nested members own their files, and the top owns what is left."""
        walk = line_of(
            f="README.md docs/index.md",
            e="packages/core/plugins/x/src/x.py",
            d="packages/core/plugins/y.py",
            c="packages/core/src/core.py",
            b="packages/corelib/a.py",
            a="web/index.html packages/core/pyproject.toml",
        )

        assert touching(walk) == {"root": "fb", "core": "dca", "x": "e", "web": "a"}

    def test_files_outside_members_count_nowhere(self) -> None:
        """Where the top is no package, files outside all members count for none."""
        found = attribute_commits(line_of(b="README.md", a="web/a.py"), "b", {}, {"web": "web"})

        assert ([c.sha for c in found.commits], found.by_package) == (["a"], {"web": ["a"]})

    def test_commit_counts_once_per_package(self) -> None:
        """A commit counts once for a package, however many of its files it touches."""
        assert touching(line_of(a="web/a.py web/b.py web/c/d.py")) == {"web": "a"}

    def test_package_may_own_several_directories(self) -> None:
        """A package may own several directories: where it stands, and where it stood."""
        walk = line_of(b="new/a.py", a="old/a.py")

        assert attribute_commits(walk, "b", {}, {"old": "it", "new": "it"}).by_package == {
            "it": ["b", "a"]
        }


class TestSince:
    """What a package's last release holds is not unreleased."""

    def test_package_starts_at_own_release(self) -> None:
        """Each package begins at its own."""
        walk = line_of(
            d="web/a packages/core/a",
            c="web/a packages/core/a",
            b="web/a packages/core/a",
            a="web/a",
        )

        assert touching(walk, {"web": "c", "core": "b"}) == {"web": "d", "core": "dc"}

    def test_released_head_leaves_no_commits(self) -> None:
        """Nothing has come since a release of this very commit."""
        walk = line_of(b="web/a", a="web/a")

        assert attribute_commits(walk, "b", {"web": "b"}, {"web": "web"}).commits == ()

    def test_merged_older_branch_is_unreleased(self) -> None:
        """What a branch brings counts though it is older than the release, for that does not hold it."""
        walk = [
            commit("m", "r", "b"),
            commit("r", "a", files=["web/a"]),
            commit("b", "a", files=["web/b"]),
            commit("a", files=["web/a"]),
        ]

        assert touching(walk, {"web": "r"}) == {"web": "b"}

    def test_release_on_side_branch_counts(self) -> None:
        """A tag on a commit that is not in the history counts for what both hold, and brings nothing of its own."""
        walk = [
            commit("h", "b", files=["web/a"]),
            commit("t", "b", files=["web/version"]),
            commit("b", "a", files=["web/b"]),
            commit("a", files=["web/a"]),
        ]

        assert touching(walk, {"web": "t"}) == {"web": "h"}
        assert touching([walk[1], walk[0], *walk[2:]], {"web": "h"}) == {"web": "t"}

    def test_merges_without_files_are_kept(self) -> None:
        """Merges, and what lies between commits that count, are handed on: a revert of a merge needs them."""
        walk = [
            commit("d", "m", files=["web/a"]),
            commit("m", "b", "c"),
            commit("c", "a", files=["README.md"]),
            commit("b", "a", files=["web/a"]),
            commit("a", files=["web/a"]),
        ]

        found = attribute_commits(walk, "d", {"web": "a"}, {"web": "web"})

        assert [c.sha for c in found.commits] == ["d", "m", "c", "b"]
        assert found.by_package == {"web": ["d", "b"]}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Commit], dict[str, str]]:
    """Draw a history with branches and merges, newest first, and the last releases of some packages in it."""
    walk: list[Commit] = []
    files = st.lists(st.sampled_from(["a/1", "b/1", "b/c/1", "d/1"]), max_size=3)
    for number in range(draw(st.integers(1, 14))):
        older = [f"{place:02}" for place in range(number)]
        parents = draw(st.lists(st.sampled_from(older), max_size=3, unique=True)) if older else []
        walk.insert(0, commit(f"{number:02}", *parents, files=draw(files)))
    shas = st.sampled_from([c.sha for c in walk])
    return walk, draw(st.dictionaries(st.sampled_from("abc"), shas))


@given(histories())
def test_one_walk_matches_separate_searches(drawn: tuple[list[Commit], dict[str, str]]) -> None:
    """One walk finds what a search from each release finds, on any history."""
    walk, since = drawn
    parents = {c.sha: c.parents for c in walk}

    def ancestors(sha: str) -> set[str]:
        return {sha}.union(*map(ancestors, parents[sha]))

    from_head = ancestors(walk[0].sha)
    owners = {"a": "a", "b": "b", "b/c": "c"}
    held = {package: ancestors(sha) for package, sha in since.items()}

    found = attribute_commits(walk, walk[0].sha, since, owners)

    expected = {
        package: [
            c.sha
            for c in walk
            if c.sha in from_head - held.get(package, set())
            and any(file.rpartition("/")[0] == directory for file in c.files)
        ]
        for directory, package in owners.items()
    }
    assert found.by_package == expected
    shas = [c.sha for c in found.commits]
    everywhere = from_head.intersection(*held.values())
    counted = {sha for shas in expected.values() for sha in shas}
    assert shas == [c.sha for c in walk if c.sha in (from_head - everywhere) | counted]
