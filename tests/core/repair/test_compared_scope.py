"""Which versions are compared, and which files they must have."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.repair.compared_scope import (
    choose_scope,
    parse_sums,
    parse_version_key,
    with_sums,
)
from releasekit.core.repair.release_state import (
    RepositoryState,
    TaggedRelease,
    TagState,
    VersionState,
)

A = "a" * 40
V1, V2 = Version("1"), Version("2")


def test_scope_follows_the_question() -> None:
    """By default the last version of each package is compared; a tag chooses a release; all history is on request."""
    first = VersionState("core", V1, TagState("core-v1", A), files={"core-1.tar.gz": ""})
    second = VersionState("core", V2, TagState("core-v2", A))
    unknown = VersionState("core", Version("3"), TagState("core-v3"))
    app = VersionState("app", V1, TagState("app-v1", A))
    releases = (
        TaggedRelease(TagState("all-1", A), A, (("core", V1), ("app", V1))),
        TaggedRelease(TagState("core-v2", A), A, (("core", V2),)),
    )
    state = RepositoryState((first, second, unknown, app), releases)
    names = {"core", "app"}

    last = choose_scope(state, names, everything=False)
    assert (last.keys, last.tags) == ({("core", V2), ("app", V1)}, {"all-1", "core-v2"})
    only = choose_scope(state, {"core"}, everything=False)
    assert (only.keys, only.tags) == ({("core", V2)}, {"core-v2"})
    release = choose_scope(state, names, "all-1", everything=False)
    assert (release.keys, release.tags) == ({("core", V1), ("app", V1)}, {"all-1"})
    assert choose_scope(state, names, "core-v1", everything=False).keys == {("core", V1)}
    assert choose_scope(state, names, "v9", everything=False).keys == frozenset()
    assert len(choose_scope(state, names, everything=True).keys) == 4


def test_contradicting_sum_counts() -> None:
    """Of record and assets, the sum that contradicts the index is expected; files of other versions are left out."""
    files = {"core-1.tar.gz": "1", "core-1-py3-none-any.whl": "2"}
    version = VersionState("core", V1, TagState("core-v1", A), files=files, expected=files)
    text = "1  core-1.tar.gz\n9 *dist/core/core-1-py3-none-any.whl\n5  core-2.tar.gz\n\nnonsense\n"

    sums = parse_sums(text)

    assert sums == {"core-1.tar.gz": "1", "core-1-py3-none-any.whl": "9", "core-2.tar.gz": "5"}
    assert with_sums(version, sums).differing_files == ("core-1-py3-none-any.whl",)
    recorded = {**files, "core-1.tar.gz": "8"}
    other = VersionState("core", V1, TagState("core-v1", A), files=files, expected=recorded)
    assert with_sums(other, sums).differing_files == ("core-1-py3-none-any.whl", "core-1.tar.gz")
    unrecorded = VersionState("core", V1, TagState("core-v1", A), files={})
    assert with_sums(unrecorded, sums).missing_files == (
        "core-1-py3-none-any.whl",
        "core-1.tar.gz",
    )


def test_version_key_is_normalized() -> None:
    """A command line names the package and the version in any spelling."""
    assert parse_version_key("My_Core", "v1.0") == ("my-core", Version("1.0"))


@pytest.mark.parametrize("text", ["one", "", "1." + "9" * 5000], ids=["word", "empty", "long"])
def test_wrong_version_is_refused(text: str) -> None:
    """What is no version is refused, also a number that is too long for Python."""
    with pytest.raises(Refusal, match="is not a version") as refused:
        parse_version_key("core", text)

    assert refused.value.code == ErrorCode.USAGE
