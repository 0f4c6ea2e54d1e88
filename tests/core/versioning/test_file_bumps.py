"""What change files decide, alone and beside commits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.version import Version

from releasekit.core.config.bump_rules import Bump
from releasekit.core.history.change_files import FileChange
from releasekit.core.history.commits import parse
from releasekit.core.history.pending_changes import PendingChanges
from releasekit.core.versioning.version_requests import VersionRequest
from releasekit.core.versioning.versions import Decision, PackageHistory
from tests.support.builders import commit, decide, settings_of


def history_of(*files: str, commits: tuple[str, ...] = (), last: str = "1.2.3") -> PackageHistory:
    """Return the history of a package with files of these bumps, all new, and with commits."""
    changes = [
        parse(commit(f"{number:040x}", message=message)) for number, message in enumerate(commits)
    ]
    listed = tuple(
        FileChange(f"{number}.md", Bump[bump.upper()], "Add it")
        for number, bump in enumerate(files)
    )
    version = Version(last)
    return PackageHistory(version, version, version, changes, files=PendingChanges(listed, listed))


def outcome(decision: Decision) -> tuple[str | None, str]:
    return str(decision.target) if decision.target else None, decision.reason


@pytest.mark.parametrize(
    ("mode", "files", "commits", "expected"),
    [
        ("both", ("minor",), ("fix: a",), ("1.3.0", "0.md: Add it, +1 more")),
        ("both", ("patch",), ("feat: a",), ("1.3.0", "feat: a (0000000), +1 more")),
        ("both", ("patch", "major"), ("whatever",), ("2.0.0", "1.md: Add it, +1 more")),
        ("both", ("minor",), ("feat: a",), ("1.3.0", "0.md: Add it, +1 more")),
        ("both", ("none",), ("docs: a",), (None, "its only commit triggers no release")),
        ("files", ("patch",), ("feat!: a",), ("1.2.4", "0.md: Add it")),
        (
            "files",
            (),
            ("feat: a", "fix: b"),
            (None, "no change file for it; 2 commits not counted"),
        ),
        ("files", (), (), (None, "no change file for it")),
        ("files", ("none",), ("feat: a",), (None, "no change file for it; 1 commit not counted")),
        ("files", (), ("feat: a\n\nRelease-As: 4.0.0",), ("4.0.0", "Release-As: 4.0.0 (0000000)")),
        (
            "files",
            ("patch",),
            ("docs: a\n\nRelease-As: 4.0.0",),
            ("4.0.0", "Release-As: 4.0.0 (0000000)"),
        ),
    ],
)
def test_mode_decides_what_counts(
    mode: str, files: tuple[str, ...], commits: tuple[str, ...], expected: tuple[str | None, str]
) -> None:
    """The larger bump of both counts, or files alone; a Release-As counts in each mode."""
    rules = settings_of(changes=mode).rules()

    assert outcome(decide(history_of(*files, commits=commits), rules)) == expected


@pytest.mark.parametrize(("own", "expected"), [(False, "0.3.0"), (True, "1.0.0")])
def test_major_file_obeys_zero(own: bool, expected: str) -> None:
    """On 0.x a major file is a minor bump, unless `major_on_zero` is set, as for a commit."""
    rules = settings_of(major_on_zero=own).rules()

    assert str(decide(history_of("major", last="0.2.1"), rules).target) == expected


def test_candidate_has_files_once() -> None:
    """A file that the last prerelease had triggers no other one; the stable release has all of them."""
    candidate = settings_of(prerelease="rc").rules()
    first = FileChange("a.md", Bump.MINOR, "A")
    second = FileChange("b.md", Bump.PATCH, "B")
    after_rc1 = replace(
        history_of(last="1.2.3"),
        declared=Version("1.3.0rc1"),
        last=Version("1.3.0rc1"),
        since_last=frozenset(),
        files=PendingChanges((first,), ()),
    )
    with_second = replace(after_rc1, files=PendingChanges((first, second), (second,)))

    assert decide(after_rc1, candidate).target is None
    assert outcome(decide(with_second, candidate)) == ("1.3.0rc2", "b.md: B")
    stable = decide(replace(with_second, requested=VersionRequest(promote=True)))
    assert str(stable.target) == "1.3.0"
    assert [file.path for file in stable.files] == ["a.md", "b.md"]


def test_new_file_raises_candidate() -> None:
    """A breaking change after the first prerelease leads to the next major version."""
    files = (FileChange("a.md", Bump.MINOR, "A"), FileChange("b.md", Bump.MAJOR, "B"))
    history = replace(
        history_of(last="1.2.3"),
        last=Version("1.3.0rc1"),
        since_last=frozenset(),
        files=PendingChanges(files, files[1:]),
    )

    assert outcome(decide(history, settings_of(prerelease="rc").rules())) == ("2.0.0rc1", "b.md: B")
