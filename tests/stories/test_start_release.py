"""A release is decided once: by `start_release`, which asks for a yes and puts the release on record."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.planning.model import Plan
from releasekit.operations.confirmation import AssumeYes, ConfirmationAnswer, Proposal
from releasekit.operations.draft import open_project
from releasekit.operations.start_release import start_release
from releasekit.options import PublishOptions
from releasekit.store.record import release_lock, unfinished_record
from tests.support.world import make_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from releasekit.operations.confirmation import Confirmation, Subject
    from tests.support.world import World

YES, NO = (
    ConfirmationAnswer(accepted=True),
    ConfirmationAnswer(accepted=False, reason="not on a Friday", hint="Wait."),
)


@dataclass
class Scripted:
    """Gives the *answers* in order, and notes what it is shown and asked, and whether the repository was locked."""

    world: World
    answers: list[ConfirmationAnswer]
    takes_hours: bool = False
    then: Callable[[], object] = bool
    shown: list[str] = field(default_factory=list[str])
    asked: list[Proposal] = field(default_factory=list[Proposal])
    locked: list[bool] = field(default_factory=list[bool])

    async def show(self, subject: Subject) -> None:
        """Note the packages of a plan."""
        assert isinstance(subject, Plan)
        self.shown.append(" ".join(step.name for step in subject.steps))

    def can_take_hours(self, proposal: Proposal) -> bool:
        """Return what the test wants, as Prefect does: a release that resumes needs no answer."""
        return self.takes_hours and not proposal.is_resumed

    async def ask(self, proposal: Proposal) -> ConfirmationAnswer:
        """Note the question, let something happen the first time, and return the next answer."""
        self.asked.append(proposal)
        try:
            with release_lock(self.world.root / ".git"):
                self.locked.append(False)
        except Refusal:
            self.locked.append(True)
        if len(self.asked) == 1:
            self.then()
        return self.answers.pop(0)


def start(world: World, confirmation: Confirmation, **given: object) -> list[str]:
    """Start a release of *world* without any index; return its packages, and drop the lock as a killed run does."""
    options = PublishOptions.model_validate(
        {"workspace": str(world.root), "offline": True, **given}
    )

    async def started() -> list[str]:
        async with AsyncExitStack() as stack:
            project, repo = open_project(options)
            release = await start_release(options, project, repo, confirmation, stack)
            with pytest.raises(Refusal), release_lock(repo.common_dir):
                pass
            return [step.name for step in release.plan.steps]

    return asyncio.run(started())


def test_terminal_asks_once_under_lock(tmp_path: Path) -> None:
    """Somebody at a terminal sees one plan and answers one question, while no other release can start."""
    world = make_world(tmp_path, "app: core; core")
    confirmation = Scripted(world, [YES])

    assert start(world, confirmation) == ["core", "app"]

    assert confirmation.shown == ["core app"]
    assert confirmation.locked == [True]
    assert confirmation.asked[0].question.startswith("Publish 2 packages to ")
    assert confirmation.asked[0].details[0] == "4 files: an sdist and a wheel of each package"
    record = unfinished_record(world.root / ".git")
    assert record
    assert record.plan() == confirmation.asked[0].subject, (
        "the plan on record is the one that was approved"
    )


def test_no_leaves_no_record(tmp_path: Path) -> None:
    """A no is a refusal with its reason and its hint; nothing is on record and nothing is locked."""
    world = make_world(tmp_path, "core")

    for takes_hours in (False, True):
        with pytest.raises(Refusal) as caught:
            start(world, Scripted(world, [NO], takes_hours))
        assert (caught.value.code, caught.value.message, caught.value.hint) == (
            ErrorCode.NOT_CONFIRMED,
            "not on a Friday",
            "Wait.",
        )
        assert unfinished_record(world.root / ".git") is None
        with release_lock(world.root / ".git"):
            pass


def test_slow_answer_holds_no_lock(tmp_path: Path) -> None:
    """While an answer can take hours nothing is locked; a plan that has not changed is not shown or asked again."""
    world = make_world(tmp_path, "app: core; core")
    confirmation = Scripted(world, [YES], takes_hours=True)

    assert start(world, confirmation) == ["core", "app"]

    assert (confirmation.shown, confirmation.locked) == (["core app"], [False])


def test_changed_plan_needs_another_yes(tmp_path: Path) -> None:
    """A yes is for the plan that was shown: if a commit changes it, or packages are left out, the new one is shown."""
    world = make_world(tmp_path, "app: core; core; tool")
    for name in ("app", "core", "tool"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit(
        "feat: all", {f"packages/{name}/src/{name}/more.py": "" for name in ("app", "core", "tool")}
    )
    without = ConfirmationAnswer(accepted=True, excluded=("tool",))
    confirmation = Scripted(
        world, [YES, without], takes_hours=True, then=lambda: world.commit("feat: more")
    )

    assert start(world, confirmation) == ["core", "app"]

    assert confirmation.shown == ["core tool app", "core tool app", "core app"]
    assert [proposal.repeat_reason for proposal in confirmation.asked] == [
        "",
        "the plan has changed since it was approved",
    ]


def test_unfinished_release_resumes(tmp_path: Path) -> None:
    """A release that has started is the one that starts again; who would wait for hours is not asked about it."""
    world = make_world(tmp_path, "app: core; core")
    start(world, AssumeYes())
    world.commit("feat: more", {"packages/core/src/core/more.py": ""})
    there, remote = Scripted(world, [YES]), Scripted(world, [YES], takes_hours=True)

    assert start(world, there) == start(world, remote) == ["core", "app"]

    assert [proposal.is_resumed for proposal in (*there.asked, *remote.asked)] == [True, True]
    assert remote.locked == [True], "the answer is there at once"


@pytest.mark.parametrize(
    "other",
    [
        {"bump": ("core=major",)},
        {"set_version": ("core=3.0",)},
        {"promote": ("core",)},
        {"prerelease": "rc"},
    ],
    ids=["bump", "set-version", "promote", "prerelease"],
)
def test_resumed_release_keeps_its_requests(tmp_path: Path, other: dict[str, object]) -> None:
    """A release that has begun cannot get other versions; with the same options, or without any, it resumes."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    world.commit("Repair the shelves", {"packages/core/src/core/__init__.py": "X = 2\n"})
    start(world, AssumeYes(), bump=("core=minor",))
    begun = unfinished_record(world.root / ".git")
    assert begun

    with pytest.raises(Refusal) as refusal:
        start(world, AssumeYes(), **other)

    assert refusal.value.code == ErrorCode.USAGE
    assert "core-v0.2.0 has begun with --bump core=minor, and --" in refusal.value.message
    assert "releasekit rollback" in refusal.value.hint
    assert start(world, AssumeYes(), bump=("core=minor",)) == start(world, AssumeYes()) == ["core"]
    assert [str(step.version) for step in begun.plan().steps] == ["0.2.0"]


def test_empty_release_is_not_recorded(tmp_path: Path) -> None:
    """Without packages nobody is asked, and nothing is on record."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    confirmation = Scripted(world, [])

    assert start(world, confirmation) == []

    assert confirmation.shown == [""]
    assert unfinished_record(world.root / ".git") is None


def test_first_release_needs_own_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--yes` does not allow a first release: a person, `--allow-new` or the key `allow_new` does."""
    monkeypatch.delenv("RELEASEKIT_ALLOW_NEW")
    world = make_world(tmp_path, "app: core; core")
    world.git("tag", "core-v0.1.0")
    world.commit("feat: more", {"packages/core/src/core/more.py": ""})
    before = world.state()

    said = world.releasekit("publish", "--yes", "--offline", "--dry-run")
    assert (
        said.code,
        "RK-FIRST-RELEASE: first release of 1 package: app" in said.out + said.err,
    ) == (0, True)
    for allowed in ((), ("core",)):
        with pytest.raises(
            Refusal, match="first release of 1 package: app, and nothing allows it"
        ) as caught:
            start(world, AssumeYes(), **({"allow_new": allowed} if allowed else {}))
        assert caught.value.code is ErrorCode.FIRST_RELEASE
        assert "releasekit publish --allow-new app" in caught.value.hint
    assert world.state() == before
    with pytest.raises(Refusal, match="not on a Friday"):
        start(world, Scripted(world, [NO]))
    for allowed in ("app", "a*", "all"):
        assert start(world, AssumeYes(), allow_new=(allowed,)) == ["core", "app"]
        world.releasekit("rollback", "--yes")
    world.commit(
        "chore: allow", {"pyproject.toml": (world.root / "pyproject.toml").read_text() + ALLOWED}
    )
    assert start(world, AssumeYes()) == ["core", "app"]


ALLOWED = "\n[tool.releasekit]\nallow_new = true\n"


def test_person_allows_first_release_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question for a first release comes before that for the release, and a release that resumes has its answer."""
    monkeypatch.delenv("RELEASEKIT_ALLOW_NEW")
    world = make_world(tmp_path, "app: core; core")
    confirmation = Scripted(world, [YES, YES])

    assert start(world, confirmation) == ["core", "app"]

    first, second = confirmation.asked
    assert (first.question, first.needs_person) == (
        "Release 2 packages for the first time: core, app?",
        True,
    )
    assert second.question.startswith("Publish 2 packages to ")
    assert start(world, AssumeYes()) == ["core", "app"]


def test_feature_branch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch that is neither the default one, nor for maintenance, nor named in `allow_branches` is not released."""
    world = make_world(tmp_path, "core")

    def codes(branch: str) -> str:
        world.git("switch", "--quiet", "--force-create", branch)
        said = world.releasekit("plan", "--offline", "--format", "json")
        return " ".join(obstacle["code"] for obstacle in json.loads(said.out)["obstacles"])

    assert codes("feature/pears") == "", "the default branch is unknown"
    world.git("remote", "set-head", "origin", "main")
    assert codes("feature/pears") == ErrorCode.BRANCH_NOT_ALLOWED
    assert [codes(branch) for branch in ("main", "1.x", "v2", "release-1.2", "maint/old")] == [
        ""
    ] * 5
    monkeypatch.setenv("RELEASEKIT_ALLOW_BRANCHES", '["feature/*", "lts"]')
    branches = ("feature/pears", "lts", "main", "1.x")
    assert [bool(codes(branch)) for branch in branches] == [False, False, True, True]


def test_ignored_changelog_is_reported(tmp_path: Path) -> None:
    """A changelog that git ignores is a warning of the plan, unless git tracks the file or nobody wants it."""
    world = make_world(tmp_path, "core", "changelog = true")

    def warnings() -> str:
        said = world.releasekit("plan", "--offline", "--format", "json")
        return " ".join(json.loads(said.out)["warnings"])

    assert ErrorCode.CHANGELOG_IGNORED not in warnings()
    world.commit("chore: ignore", {".gitignore": "CHANGELOG.md\n"})
    assert "git ignores packages/core/CHANGELOG.md" in warnings()
    world.write({"packages/core/CHANGELOG.md": "# Changelog\n"})
    world.git("add", "--force", "packages/core/CHANGELOG.md")
    world.commit("docs: a changelog")
    assert ErrorCode.CHANGELOG_IGNORED not in warnings()


def test_unknown_allowed_package_is_refused(tmp_path: Path) -> None:
    """A name in `--allow-new` that no package has is an error, and not a permission that is never used."""
    world = make_world(tmp_path, "core")

    said = world.releasekit("publish", "--yes", "--offline", "--dry-run", "--allow-new", "cor")

    assert (said.code, ErrorCode.WORKSPACE_UNKNOWN_PACKAGE in said.err) == (2, True)


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_workspace_is_read_once(tmp_path: Path) -> None:
    """`publish` asks uv once for the members: the flow does not decide again what the terminal has decided."""
    world = make_world(tmp_path, "app: core; core")

    said = world.releasekit("publish", "--yes", "--skip-audit", "--verbose")

    assert said.code == 0, said.err
    assert [line for line in said.err.splitlines() if "workspace list" in line][1:] == []
    assert "workspace list" in said.err
