"""What commits say, and which of them stand."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.core.config.bump_rules import Bump
from releasekit.core.history.commits import (
    Change,
    Commit,
    Reverts,
    Subject,
    parse,
    parse_history,
    subject_of,
)
from releasekit.core.history.reverts import drop_reverted

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B, C, D, E = (letter * 40 for letter in "abcde")


def commit(message: str, sha: str = A, *parents: str) -> Commit:
    return Commit(sha, parents or ("0" * 40,), message, ("pkg/file.py",))


def read(message: str) -> Change:
    return parse(commit(message))


def history(*messages: tuple[str, str]) -> list[Change]:
    """Parse (sha, message) pairs that are written oldest first; return them newest first."""
    return [parse(commit(message, sha)) for sha, message in reversed(messages)]


def counted(changes: Sequence[Change]) -> list[str]:
    return [change.title for change in drop_reverted(changes).effective]


def ignored(changes: Sequence[Change]) -> dict[str, str]:
    return {item.change.title: item.reason for item in drop_reverted(changes).ignored}


# ---- the examples of the specification ------------------------------------------------------------------------------

SPECIFICATION: list[tuple[str, str, dict[str, Any]]] = [
    (
        "description and breaking change footer",
        (
            "feat: allow provided config object to extend other configs\n\n"
            "BREAKING CHANGE: `extends` key in config file is now used for extending other config files"
        ),
        {
            "type": "feat",
            "scope": "",
            "description": "allow provided config object to extend other configs",
            "breaking": True,
            "notes": ("`extends` key in config file is now used for extending other config files",),
        },
    ),
    (
        "! to draw attention to breaking change",
        "refactor!: drop support for Node 6",
        {
            "type": "refactor",
            "description": "drop support for Node 6",
            "breaking": True,
            "notes": (),
        },
    ),
    (
        "scope and !",
        "refactor(runtime)!: drop support for Node 6",
        {
            "type": "refactor",
            "scope": "runtime",
            "description": "drop support for Node 6",
            "breaking": True,
        },
    ),
    (
        "both ! and BREAKING CHANGE footer",
        (
            "refactor!: drop support for Node 6\n\n"
            "BREAKING CHANGE: refactor to use JavaScript features not available in Node 6."
        ),
        {
            "breaking": True,
            "notes": ("refactor to use JavaScript features not available in Node 6.",),
        },
    ),
    (
        "no body",
        "docs: correct spelling of CHANGELOG",
        {
            "type": "docs",
            "description": "correct spelling of CHANGELOG",
            "breaking": False,
            "reverts": None,
        },
    ),
    (
        "scope",
        "feat(lang): add polish language",
        {"type": "feat", "scope": "lang", "description": "add polish language", "breaking": False},
    ),
    (
        "multi-paragraph body and multiple footers",
        "fix: correct minor typos in code\n\nsee the issue for details\n\non typos fixed.\n\nReviewed-by: Z\nRefs #133",
        {
            "type": "fix",
            "description": "correct minor typos in code",
            "breaking": False,
            "release_as": None,
        },
    ),
    (
        "revert of several commits by Refs",
        "revert: let us never again speak of the noodle incident\n\nRefs: 676104e, a215868",
        {
            "type": "revert",
            "reverts": Reverts(
                shas=("676104e", "a215868"),
                subject=Subject("let us never again speak of the noodle incident", 0),
            ),
        },
    ),
    (
        "item 5: a description with several colons",
        "fix: array parsing issue when multiple spaces: were contained in string",
        {"description": "array parsing issue when multiple spaces: were contained in string"},
    ),
    (
        "item 12: a breaking footer of any type",
        "chore: tidy\n\nBREAKING CHANGE: environment variables now take precedence over config files",
        {
            "breaking": True,
            "notes": ("environment variables now take precedence over config files",),
        },
    ),
    (
        "item 15: any case",
        "FEAT(Lang): add polish",
        {"type": "feat", "scope": "Lang", "description": "add polish"},
    ),
    (
        "item 16: the synonym",
        "feat: x\n\nBREAKING-CHANGE: gone",
        {"breaking": True, "notes": ("gone",)},
    ),
]


@pytest.mark.parametrize(
    ("message", "expected"),
    [row[1:] for row in SPECIFICATION],
    ids=[row[0] for row in SPECIFICATION],
)
def test_specification_examples_parse_correctly(message: str, expected: dict[str, Any]) -> None:
    """Every example of Conventional Commits 1.0.0 is read as it is meant."""
    change = read(message)

    assert {name: getattr(change, name) for name in expected} == expected


@pytest.mark.parametrize(
    "title",
    [
        "add streaming",
        "feat add streaming",
        "feat:add streaming",
        "feat : add streaming",
        "feat!(api): add streaming",
        "feat:",
        "feat: ",
        "(api): add streaming",
        ": add streaming",
        "std::vector is gone",
        "Merge branch 'main' into topic",
        "",
        "   \n\n",
    ],
)
def test_unconventional_title_becomes_description(title: str) -> None:
    """A message of another form has no type, asks for nothing, and keeps its title as description."""
    change = read(title)

    assert (change.type, change.scope, change.breaking) == ("", "", False)
    assert change.description == title.strip()


@pytest.mark.parametrize(
    ("title", "kind", "scope", "description"),
    [
        ("feat(a, b): x", "feat", "a, b", "x"),
        ("feat(@scope/pkg): x", "feat", "@scope/pkg", "x"),
        ("fix(parse()): x", "fix", "parse()", "x"),
        ("feat(): x", "feat", "", "x"),
        ("fix:   x", "fix", "", "x"),
        ("fix:\tx", "fix", "", "x"),
        ("bug-fix: x", "bug-fix", "", "x"),
        ("feat: x (#12)", "feat", "", "x (#12)"),
        ("\n\n  feat: x  \n\nbody", "feat", "", "x"),
        ("\ufefffeat: x", "feat", "", "x"),
        ("feat: x\r\n\r\nbody\r\n", "feat", "", "x"),
        ("feat: größer → ⚡", "feat", "", "größer → ⚡"),
        ("fe\x00at: x\x1b[2J\x9b1A\u202ey\tz", "feat", "", "x[2J1Ay\tz"),
    ],
)
def test_real_titles_parse_correctly(title: str, kind: str, scope: str, description: str) -> None:
    """Scopes, spaces, line ends and alphabets of real histories do not get in the way, nor what steers a terminal."""
    change = read(title)

    assert (change.type, change.scope, change.description) == (kind, scope, description)


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ("BREAKING CHANGE: gone", ["gone"]),
        (
            "why\n\nBREAKING CHANGE: gone\nand never\n  coming back",
            ["gone\nand never\n  coming back"],
        ),
        ("BREAKING CHANGE: gone\n\nsecond paragraph", ["gone\n\nsecond paragraph"]),
        ("BREAKING CHANGE: one\nBREAKING-CHANGE: two", ["one", "two"]),
        ("BREAKING CHANGE: gone\nReviewed-by: Z\nRefs #133", ["gone"]),
        ("BREAKING CHANGE: gone\n\nSigned-off-by: A <a@b.c>\nCo-authored-by: D <d@e.f>", ["gone"]),
        ("Signed-off-by: A <a@b.c>\nBREAKING CHANGE: gone", ["gone"]),
        ("BREAKING CHANGE:\ngone", ["gone"]),
        ("BREAKING CHANGE:gone", ["gone"]),
        ("a paragraph that ends\nBREAKING CHANGE: gone", ["gone"]),
        ("BREAKING CHANGE: gone\r\nfor good\r\n\r\nRefs #1", ["gone\nfor good"]),
        (
            "BREAKING CHANGE: see\n\n```toml\nname: old\n```\nthat is all",
            ["see\n\n```toml\nname: old\n```\nthat is all"],
        ),
        (
            "* feat: a\n\n* fix: b\n\nBREAKING CHANGE: gone\n\n---------\n\nCo-authored-by: D <d@e.f>",
            ["gone"],
        ),
        ("* feat: a\n\nBREAKING CHANGE: gone\n\n* fix: b\n\nmore", ["gone"]),
        ("* BREAKING CHANGE: gone", ["gone"]),
        ("BREAKING CHANGE:", []),
    ],
)
def test_breaking_footer_counts_anywhere(body: str, notes: list[str]) -> None:
    """A BREAKING CHANGE footer counts wherever a body holds it, with all of its value and nothing after it."""
    change = read(f"feat: x\n\n{body}")

    assert change.breaking
    assert list(change.notes) == notes


@pytest.mark.parametrize(
    "body",
    [
        "breaking change: nothing",
        "Breaking Change: nothing",
        "breaking-change: nothing",
        "No BREAKING CHANGE: here",
        "BREAKING CHANGES are coming",
        "BREAKING CHANGE #12",
        "```\nBREAKING CHANGE: as an example\n```",
        "        BREAKING CHANGE: as an example",
        "* feat!: a\n\n* fix: b",
    ],
)
def test_lookalike_footers_do_not_break(body: str) -> None:
    """Only the upper-case token at the start of a line breaks; of a squash merge the title decides."""
    assert not read(f"feat: x\n\n{body}").breaking


def test_breaking_change_title_is_breaking() -> None:
    """Where the footer has become the title, it is not overlooked."""
    change = read("BREAKING CHANGE: the old API is gone")

    assert (change.breaking, change.notes) == (True, ("the old API is gone",))


@pytest.mark.parametrize(
    ("message", "version"),
    [
        ("chore: x\n\nRelease-As: 2.0.0", "2.0.0"),
        ("chore: x\n\nrelease-as: 2.0.0", "2.0.0"),
        (
            "chore: x\n\nwhy\n\nSigned-off-by: A <a@b.c>\nRelease-As: 2.0.0rc1\nCo-authored-by: D <d@e.f>",
            "2.0.0rc1",
        ),
        ("chore: x\n\nRelease-As: 2.0.0\n\n(cherry picked from commit abcdef1)", "2.0.0"),
        ("chore: x\r\n\r\nRelease-As: 2.0.0\r\n", "2.0.0"),
        ("chore: x\n\nRelease-As: one\nRelease-As: two", "two"),
        ("chore: x\n\nRelease-As:", ""),
        ("Release-As: 2.0.0", "2.0.0"),
        ("chore: x\n\na paragraph with\nRelease-As: 2.0.0\nin it", None),
        ("chore: x\n\nwhy Release-As: 2.0.0", None),
        ("chore: x\n\n```\n\nRelease-As: 2.0.0\n```", None),
        ("chore: x", None),
    ],
)
def test_release_as_is_a_trailer(message: str, version: str | None) -> None:
    """A Release-As footer is found among other trailers, and not in prose."""
    assert read(message).release_as == version


@pytest.mark.parametrize("prefix", ["fixup! ", "squash! ", "amend! ", "fixup! fixup! "])
def test_fixup_takes_only_the_type(prefix: str) -> None:
    """A stray fixup has the type of the commit that it amends; what that one's title promises is not its own."""
    change = read(f"{prefix}feat(api)!: x")

    assert (change.type, change.scope, change.description) == ("feat", "api", "x")
    assert change.fixup
    assert not change.breaking
    assert read(f"{prefix}feat: x\n\nBREAKING CHANGE: gone").breaking


# ---- what a commit reverts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reverts"),
    [
        ('Revert "feat: x"', Reverts(subject=Subject("feat: x", 0))),
        (f'Revert "feat: x"\n\nThis reverts commit {B}.', Reverts((B,), (), Subject("feat: x", 0))),
        (
            f'Revert "feat: x"\n\nThis reverts\ncommit {B}.',
            Reverts((B,), (), Subject("feat: x", 0)),
        ),
        ('Revert "feat: say "hi""', Reverts(subject=Subject('feat: say "hi"', 0))),
        ('Revert "Revert "feat: x""', Reverts(subject=Subject("feat: x", 1))),
        ('Reapply "feat: x"', Reverts(subject=Subject("feat: x", 1))),
        ('Revert "Reapply "feat: x""', Reverts(subject=Subject("feat: x", 2))),
        ("revert: feat: x", Reverts(subject=Subject("feat: x", 0))),
        ('revert: "feat: x"', Reverts(subject=Subject("feat: x", 0))),
        ("Revert(api)!: feat: x", Reverts(subject=Subject("feat: x", 0))),
        ("revert: revert: feat: x", Reverts(subject=Subject("feat: x", 1))),
        ('revert: Revert "feat: x"', Reverts(subject=Subject("feat: x", 0))),
        ('revert: Reapply "feat: x"', Reverts(subject=Subject("feat: x", 1))),
        (
            "revert(api): x\n\nRefs: 676104E, a215868",
            Reverts(("676104e", "a215868"), (), Subject("x", 0)),
        ),
        ("revert: x\n\nRefs #133", Reverts(subject=Subject("x", 0))),
        ("Back out\n\nThis reverts commit 676104e.", Reverts(("676104e",))),
        (
            "chore: back out\n\nSo much for that. This reverts commit 676104e.",
            Reverts(("676104e",)),
        ),
        (
            "Back out\n\nThis reverts commits 676104e, a215868 and b3b3b3b.",
            Reverts(("676104e", "a215868", "b3b3b3b")),
        ),
        (
            "Back out\n\nThis reverts commit 676104e (feat: x, 2026-01-31).",
            Reverts(("676104e",), (), Subject("feat: x", 0)),
        ),
        (
            f"Revert \"Merge branch 'side'\"\n\nThis reverts commit {B}, reversing\nchanges made to {C}.",
            Reverts((B,), (), Subject("Merge branch 'side'", 0), C),
        ),
        (
            'Revert "feat: x (#12)" (#13)\n\nReverts owner/re.po#12',
            Reverts((), ("12",), Subject("feat: x", 0)),
        ),
        (
            'Revert "Revert "feat: x (#12)" (#13)" (#14)',
            Reverts((), ("13",), Subject("feat: x", 1)),
        ),
        ('Reapply "feat: x (#12)" (#14)', Reverts((), (), Subject("feat: x", 1))),
        ("Revert it (#13)\n\nReverts owner/repo#12", Reverts((), ("12",))),
        (
            f"feat: y (#30)\n\n* feat: y\n\n* oops\n\nThis reverts commit {B}.",
            Reverts((B,), is_partial_revert=True),
        ),
        (
            f"feat: do it better\n\nThis reverts commit {B} and starts anew.",
            Reverts((B,), is_partial_revert=True),
        ),
    ],
)
def test_revert_names_what_it_undoes(message: str, reverts: Reverts) -> None:
    """Every form of a revert says what it undoes, as exactly as it can."""
    assert read(message).reverts == reverts


@pytest.mark.parametrize(
    "message",
    [
        "feat: revert",
        "Revert to the old parser",
        "fix: x\n\nRefs: 676104e",
        "fix: x\n\nThis reverts nothing.",
        "fix: x\n\n(cherry picked from commit 676104e)",
        "Reverting is hard: a story",
        'fixup! Revert "feat: x"',
        "revert: (#12)",
    ],
)
def test_lookalike_messages_are_no_reverts(message: str) -> None:
    """Talk about reverts is none."""
    assert read(message).reverts is None


@pytest.mark.parametrize(
    "message",
    [
        'Revert "feat!: x"',
        'Reapply "feat: x"',
        "REVERT: feat: x",
        "Back out\n\nThis reverts commit 676104e.",
    ],
)
def test_revert_has_its_own_type(message: str) -> None:
    """However it is written, a revert has the type revert and breaks nothing by quoting what did."""
    change = read(message)

    assert (change.type, change.breaking, change.is_revert) == ("revert", False, True)


def test_equal_reverts_share_a_subject() -> None:
    """A title means the same with and without pull request numbers, and however its reverts are written."""
    assert subject_of("feat: x (#12)") == ("feat: x", 0)
    assert subject_of('Revert "Revert "feat: x (#12)" (#13)" (#14)') == subject_of(
        'Reapply "feat: x"'
    )
    assert subject_of('Revert "feat: x"') == subject_of("revert: feat: x")


# ---- what stands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "revert",
    [
        f'Revert "feat: x"\n\nThis reverts commit {A}.',
        'Revert "feat: x"',
        "revert: feat: x",
        f"revert(api): the noodle incident\n\nRefs: {A[:7]}",
        f"fix: back out\n\nThis reverts commit {A[:9]}.",
        f"Back out\n\nThis reverts commit {A}.",
        'Revert "feat: x (#12)" (#13)\n\nReverts owner/repo#12',
        f'Revert "feat: x"\n\nThis reverts commit {"9" * 40}.',
    ],
)
def test_commit_and_its_revert_cancel(revert: str) -> None:
    """A commit and its revert count for nothing, neither; a sha that rebasing has changed falls back to the title."""
    changes = history((A, "feat: x"), (B, "fix: y"), (C, revert))

    assert counted(changes) == ["fix: y"]
    assert list(ignored(changes).values()) == ["reverts aaaaaaa", "reverted by ccccccc"]


def test_revert_by_number_finds_merge() -> None:
    """A revert that names only a pull request finds the squash merge of it."""
    changes = history(
        (A, "feat: x (#12)"), (B, "feat: x (#11)"), (C, "Back out (#13)\n\nReverts owner/repo#12")
    )

    assert counted(changes) == ["feat: x (#11)"]


@pytest.mark.parametrize("message", ['Revert "feat: x"', f"Back out\n\nThis reverts commit {E}."])
def test_revert_of_released_commit_counts(message: str) -> None:
    """A revert without a partner in the range stands."""
    assert counted(history((A, "feat: y"), (B, message))) == [message.partition("\n")[0], "feat: y"]


@pytest.mark.parametrize(
    "again",
    [
        f'Reapply "feat: x"\n\nThis reverts commit {B}.',
        'Reapply "feat: x"',
        'Revert "Revert "feat: x""',
        "revert: revert: feat: x",
        f"feat: x, this time for good\n\nThis reverts commit {B}.",
    ],
)
def test_revert_of_a_revert_restores(again: str) -> None:
    """A revert of a revert restores; a third one takes away again."""
    changes = history((A, "feat: x"), (B, 'Revert "feat: x"'), (C, again))

    assert "feat: x" in counted(changes)
    assert ignored(changes)['Revert "feat: x"'] == "reverted by ccccccc"
    assert "feat: x" not in counted(
        history(
            (A, "feat: x"),
            (B, "revert: feat: x"),
            (C, again),
            (D, f"No\n\nThis reverts commit {C}."),
        )
    )


def test_revert_by_title_undoes_nearest() -> None:
    """By title a revert undoes the nearest older commit that still stands; what came after it is safe."""
    again = history((A, "feat: x"), (B, 'Revert "feat: x"'), (C, "feat: x"))
    assert [change.sha for change in drop_reverted(again).effective] == [C]

    twice = history(
        (A, "feat: x"),
        (B, "feat: x"),
        (C, f"Back out\n\nThis reverts commit {B}."),
        (D, 'Revert "feat: x"'),
    )
    assert counted(twice) == []


def test_one_revert_undoes_several_commits() -> None:
    """A revert of several commits undoes all; if one of them is released, it also counts."""
    both = f"revert: x and y\n\nRefs: {A[:7]}, {B[:7]}"
    assert counted(history((A, "feat: x"), (B, "feat: y"), (C, both))) == []

    one = history((B, "feat: y"), (C, both))
    assert counted(one) == ["revert: x and y"]
    assert [item.change.title for item in drop_reverted(one).ignored] == ["feat: y"]


def test_revert_ignores_other_packages_commits() -> None:
    """What a revert names beside a commit of this package is another package's matter."""
    changes = parse_history(
        [
            commit(f"revert: x and y\n\nRefs: {A[:7]}, {B[:7]}", C),
            commit("feat: y", B),
            commit("feat: x", A),
        ]
    )
    walk = {change.sha for change in changes}

    assert drop_reverted([changes[0], changes[2]], unreleased=walk).effective == ()


def test_partial_revert_counts_by_title() -> None:
    """A squash merge that undoes something on its way counts for what its title says."""
    squash = f'feat: y (#30)\n\n* feat: y\n\n* Revert "feat: x"\n\nThis reverts commit {A}.\n\nThis reverts commit {E}.'

    assert counted(history((A, "feat: x"), (B, squash))) == ["feat: y (#30)"]


def test_merge_commit_counts_for_nothing() -> None:
    """A merge counts for nothing, whatever its message says; what it merged counts."""
    changes = parse_history(
        [commit(f"feat!: merge\n\nThis reverts commit {B}.", C, A, B), commit("fix: b", B)]
    )

    assert counted(changes) == ["fix: b"]
    assert ignored(changes) == {"feat!: merge": "merge commit"}


@pytest.mark.parametrize(
    "message",
    [
        f"Revert \"Merge branch 'side'\"\n\nThis reverts commit {D}, reversing\nchanges made to {A}.",
        'Revert "side things"\n\nReverts owner/repo#7',
    ],
)
@pytest.mark.parametrize("with_merge", [True, False])
def test_revert_of_merge_undoes_branch(message: str, with_merge: bool) -> None:
    """A revert of a merge undoes what the merge brought in, and nothing that was there before."""
    changes = parse_history(
        [
            commit(message, E, D),
            commit("Merge pull request #7 from owner/side", D, A, C),
            commit("fix: c", C, B),
            commit("feat: b", B, "f" * 40),
            commit("feat: a", A, "f" * 40),
        ]
    )

    assert counted([change for change in changes if with_merge or not change.commit.is_merge]) == [
        "feat: a"
    ]


@pytest.mark.parametrize(
    ("kept", "left"), [(A, "feat: a"), (C[:9], "feat: c"), ("9" * 7, "feat: a")]
)
def test_revert_of_merge_keeps_parent(kept: str, left: str) -> None:
    """A revert of a merge goes back to the parent that it names (`git revert --mainline`), else to the first."""
    changes = parse_history(
        [
            commit(
                f"Revert it\n\nThis reverts commit {D}, reversing\nchanges made to {kept}.", E, D
            ),
            commit("Merge side", D, A, C),
            commit("feat: c", C, B),
            commit("feat: a", A, B),
            commit("docs: b", B),
        ]
    )

    assert counted(changes) == [left, "docs: b"]


def test_revert_finds_merge_in_walk() -> None:
    """What a revert names is looked up in the whole walk, where only that knows the merge."""
    revert = commit(f"Back out\n\nThis reverts commit {D[:8]}.", E, D)
    feature = commit("feat: b", B, A)
    walk = [
        revert,
        commit("Merge side", D, A, C),
        commit("ci: c", C, B),
        feature,
        commit("ci: a", A),
    ]

    assert counted(list(parse_history([revert, feature], walk))) == ["Back out"]
    assert drop_reverted(parse_history([revert, feature], walk), unreleased={C}).effective == ()


def test_release_as_on_revert_survives() -> None:
    """An instruction on a revert is not lost with it."""
    changes = history((A, "feat: x"), (B, "revert: feat: x\n\nRelease-As: 2.0.0"))

    assert counted(changes) == ["revert: feat: x"]


def test_no_commits_give_no_changes() -> None:
    """No changes, nothing stands."""
    assert (drop_reverted([]).effective, drop_reverted([]).ignored, parse_history([])) == (
        (),
        (),
        (),
    )


# ---- against a slow reference ---------------------------------------------------------------------------------------


@dataclass
class Story:
    """A history, oldest first, that remembers what each revert was really for."""

    messages: list[str] = field(default_factory=list[str])
    targets: list[int | None] = field(default_factory=list[int | None])

    def undone(self, place: int) -> bool:
        """Whether any revert of *place* is not undone itself."""
        return any(
            target == place and not self.undone(by) for by, target in enumerate(self.targets)
        )

    def add(self, message: str, target: int | None = None) -> None:
        self.messages.append(message)
        self.targets.append(target)

    def title(self, place: int) -> str:
        return self.messages[place].partition("\n")[0]

    def standing(self) -> list[int]:
        """Return the places that count: commits, and reverts of something released, that nobody undid."""
        return [
            place
            for place, target in enumerate(self.targets)
            if target is None and not self.undone(place)
        ]

    def would_change(self, place: int) -> bool:
        """Whether a revert of *place* would have any effect; git makes no empty ones."""
        return Story([*self.messages, ""], [*self.targets, place]).standing() != self.standing()


def sha_of(place: int) -> str:
    return f"{(place + 1) * 2654435761 % 2**32:08x}" + f"{place:032x}"


BY_TITLE = {1, 2, 5, 6}


def revert_of(title: str, sha: str, form: int, own: int) -> str:
    """Write a revert in one of the usual forms; *own*: the number of its pull request."""
    return [
        f'Revert "{title}"\n\nThis reverts commit {sha}.',
        f'Revert "{title}"',
        f"revert: {title}" if not title.startswith(("Revert", "Reapply")) else f'Revert "{title}"',
        f"Back out {sha[:12]}\n\nThis reverts commit {sha[:12]}.",
        f"revert(x): {sha[:12]}\n\nRefs: {sha[:9]}",
        f'Revert "{title}" (#{own})\n\nThis reverts commit {"0" * 40}.',
        f'Reapply "{title[8:-1]}"'
        if title.startswith('Revert "') and title.endswith('"')
        else f'Revert "{title}"',
    ][form]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    story = Story()
    for place in range(draw(st.integers(0, 14))):
        alive = [
            older for older in range(place) if not story.undone(older) and story.would_change(older)
        ]
        what = draw(st.sampled_from(["new", "revert", "revert", "revert", "released"]))
        if what == "revert" and alive:
            target, form = draw(st.sampled_from(alive)), draw(st.integers(0, 6))
            if form in BY_TITLE:  # which cannot mean any but the nearest of its title
                subject = subject_of(story.title(target))
                target = max(older for older in alive if subject_of(story.title(older)) == subject)
            story.add(revert_of(story.title(target), sha_of(target), form, place), target)
        elif what == "released":
            story.add(
                revert_of(
                    f"feat: old {place}", sha_of(1000 + place), draw(st.integers(0, 6)), place
                )
            )
        else:
            story.add(draw(st.sampled_from(["feat: a", "fix: b", "feat!: c"])))
    return story


@given(stories())
def test_effective_changes_match_slow_replay(story: Story) -> None:
    """Whatever is reverted, restored and reverted again: what stands is what a slow replay says."""
    newest_first = [commit(message, sha_of(place)) for place, message in enumerate(story.messages)][
        ::-1
    ]

    for changes in (parse_history(newest_first), [parse(item) for item in newest_first]):
        result = drop_reverted(changes)
        assert Counter(change.title for change in result.effective) == Counter(
            map(story.title, story.standing())
        )
        assert len(result.effective) + len(result.ignored) == len(changes)


@given(st.text())
def test_any_message_can_be_read(message: str) -> None:
    """No message is too odd to be read."""
    change = read(message)

    assert change.type == change.type.lower()
    assert drop_reverted([change]).effective == (change,)


def test_bumps_have_ordered_labels() -> None:
    """Bumps are ordered and have names."""
    assert [bump.label for bump in sorted(Bump)] == ["none", "patch", "minor", "major"]


def test_long_history_parses_fast() -> None:
    """10,000 commits are read in well under a second even on a slow machine, and a long chain of reverts too."""
    body = (
        "why it is so\nand what follows\n\n" * 5
        + "BREAKING CHANGE: gone\n\nCo-authored-by: D <d@e.f>\nRefs #1"
    )
    plain = [commit(f"feat(x): {place}\n\n{body}", sha_of(place)) for place in range(5_000)]
    chain = [
        commit(f"undo\n\nThis reverts commit {sha_of(place - 1)}.", sha_of(place))
        for place in range(5_000, 10_000)
    ]

    begun = time.process_time()
    result = drop_reverted(parse_history([*chain[::-1], *plain[::-1]]))

    assert time.process_time() - begun < 1.5
    assert len(result.effective) == 5_000
