"""The entries of all packages as one."""

from __future__ import annotations

from packaging.version import Version

from releasekit.core.changelog.changelog import ChangelogEntry, PreviousRelease, parts_of
from releasekit.core.changelog.workspace_changelog import merge_entries, merge_previous
from releasekit.core.config.bump_rules import Bump
from releasekit.core.history.change_files import FileChange
from releasekit.core.history.commits import Change, parse
from tests.support.builders import commit, settings_of

SETTINGS = settings_of()
NEW = Version("1.1.0")
NEWEST_FIRST = ["e" * 40, "d" * 40, "c" * 40]
FIRST = "First release."


def parsed(digit: str, message: str) -> Change:
    """Return the change of the commit whose sha consists of *digit*."""
    return parse(commit(digit * 40, message=message))


def entry(*changes: Change, remark: str = "", people: tuple[str, ...] = ()) -> ChangelogEntry:
    """Return the entry of a package."""
    return ChangelogEntry(NEW, "2026-11-22", remark, parts_of(changes, SETTINGS), people)


def test_commits_of_several_packages_appear_once() -> None:
    """A commit that changes two packages is one item, and the newest of all packages is the first one."""
    both, core, app = parsed("c", "feat: both"), parsed("d", "feat: core"), parsed("e", "feat: app")

    merged = merge_entries(
        [entry(core, both, people=("Bo", "ada")), entry(app, both, people=("ada",))],
        SETTINGS,
        NEWEST_FIRST,
    )

    assert [change.title for change in merged.changes] == ["feat: app", "feat: core", "feat: both"]
    assert [part.heading for part in merged.parts] == ["Features"]
    assert merged.contributors == ("ada", "Bo")
    assert (merged.version, merged.date, merged.remark) == (NEW, "2026-11-22", "")


def test_change_file_stands_under_its_largest_bump() -> None:
    """A file that names several packages appears once, also if they stand in another order; equal texts are two."""
    minor, patch = (FileChange("a.md", bump, "New") for bump in (Bump.MINOR, Bump.PATCH))
    other = FileChange("b.md", Bump.PATCH, "New")

    for files in ([minor], [patch, other]), ([patch, other], [minor]):
        entries = [ChangelogEntry(NEW, "", "", parts_of((), SETTINGS, own)) for own in files]
        merged = merge_entries(entries, SETTINGS, [])
        assert [(part.heading, part.files) for part in merged.parts] == [
            ("Features", (minor,)),
            ("Bug Fixes", (other,)),
        ]


def test_remark_stays_if_it_is_true() -> None:
    """A remark about one package is not one about all; without any change there must be one."""
    feature = parsed("d", "feat: core")

    assert merge_entries([entry(remark=FIRST)] * 2, SETTINGS, []).remark == FIRST
    assert merge_entries([entry(remark=FIRST), entry(feature)], SETTINGS, NEWEST_FIRST).remark == ""
    assert merge_entries([entry(remark="A."), entry(remark="B.")], SETTINGS, []).remark == "A."


def test_latest_release_is_compared_with() -> None:
    """New packages have no release; of the others the last one counts, with the prereleases of all since then."""
    candidates = tuple(map(Version, ("1.1.0rc2", "1.1.0rc1")))
    last = PreviousRelease(Version("1.0.0"), "core-v1.0.0", candidates[:1])
    older = PreviousRelease(Version("0.9.0"), "app-v0.9.0", candidates[1:])

    merged = merge_previous([PreviousRelease(), older, last])

    assert merged == PreviousRelease(Version("1.0.0"), "core-v1.0.0", candidates[::-1])
    assert merge_previous([PreviousRelease()]) == PreviousRelease()
