"""Errors that no story comes to by itself: what somebody built, and the plan, are made so that they must."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from releasekit.core.config.settings import Selection
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage
from releasekit.core.release.target import Target
from releasekit.integrations.git import Repo
from tasks import ask_index, decide, preflight, read_history, read_workspace
from tests.support.world import make_world

if TYPE_CHECKING:
    from pathlib import Path


def test_different_rebuild_is_refused(
    prefect_client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on the index in part is not mixed with what another build made: the file is named, exit code 2."""
    assert prefect_client
    from flows import release_phases

    names = {"core-1.tar.gz": "a" * 64, "core.whl": "b" * 64}
    files = tuple(BuiltFile(name=name, sha256=sha256, size=1) for name, sha256 in names.items())
    recorded = BuiltPackage(name="core", version=Version("1"), tag="core-v1", files=files)
    other = recorded.model_copy(
        update={"files": (files[0].model_copy(update={"sha256": "c" * 64}), files[1])}
    )

    async def done(*_: object) -> BuiltPackage:
        return other

    monkeypatch.setattr(release_phases, "stage_again", done)
    release: Any = SimpleNamespace(record=SimpleNamespace(fsync_files=list))
    core: Any = SimpleNamespace(name="core", version=Version("1"))

    with pytest.raises(ReleaseError) as caught:
        asyncio.run(
            release_phases.rebuild_package(
                release, core, {"core": recorded}, {"core.whl": "b" * 64}
            )
        )

    assert (caught.value.code, caught.value.status) == (ErrorCode.REBUILD_DIFFERS, 2)
    assert caught.value.message.endswith(": core-1.tar.gz")
    assert (
        asyncio.run(release_phases.rebuild_package(release, core, {"core": recorded}, {})) is other
    ), "nothing of it is public"


def test_many_new_projects_cause_warning(tmp_path: Path) -> None:
    """More new projects than PyPI lets a user create in a day are a warning, on PyPI alone."""
    world = make_world(tmp_path, "a; b; c; d; e")
    project, repo = read_workspace.read_workspace(world.root, {"audit": False}), Repo(world.root)
    unknown: dict[str, frozenset[Version]] = dict.fromkeys("abcde", frozenset())
    plan = decide.plan(
        project,
        repo,
        read_history.read_history(repo, project),
        Selection(),
        ask_index.IndexAnswers(unknown),
    )

    def warnings(url: str, published: dict[str, frozenset[Version]]) -> list[str]:
        checked = preflight.workspace(
            project, repo, plan, Target("https://index.invalid/simple", url), published
        )
        return [text for text in checked.warnings if ErrorCode.PREFLIGHT_NEW_PROJECTS in text]

    (warning,) = warnings("", unknown)
    assert warning.startswith(
        f"{ErrorCode.PREFLIGHT_NEW_PROJECTS}: 5 projects are new to the index"
    )
    assert warnings("https://index.invalid/upload", unknown) == []
    assert warnings("", unknown | {"a": frozenset({Version("0.0.1")})}) == []


def test_unchanged_files_need_no_pr(tmp_path: Path) -> None:
    """A release that changes no file, as one whose versions only tags tell, makes no pull request."""
    from tasks.pr_steps import push_branch

    plan = SimpleNamespace(commit="1a2b3c4", title="v1.0.0")
    release, nobody = SimpleNamespace(commit="1a2b3c4", plan=plan), SimpleNamespace(top=tmp_path)

    with pytest.raises(ReleaseError) as caught:
        call(push_branch, release, nobody, nobody)

    assert (caught.value.code, caught.value.status) == (ErrorCode.PULL_EMPTY, 2)


def call(step: Any, *given: Any) -> Any:
    """Call a step with as little as it looks at."""
    return step(*given)
