"""What reaches our git from outside: repositories of somebody else, variables, and settings of the user."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations.git import Repo
from releasekit.integrations.git_environment import SETTINGS, git_variables
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.git_scene import GitScene

USER_SETTINGS = {
    "color.ui": "always", "commit.cleanup": "verbatim", "commit.template": "/nowhere", "core.quotePath": "true",
    "diff.autoRefreshIndex": "false", "diff.external": "false", "diff.ignoreSubmodules": "all",
    "diff.mnemonicPrefix": "true", "diff.noprefix": "true", "diff.orderFile": "/nowhere", "diff.relative": "true",
    "diff.renames": "copies", "fetch.prune": "true", "fetch.pruneTags": "true", "format.pretty": "oneline",
    "gc.auto": "1", "grep.column": "true", "grep.lineNumber": "true", "grep.patternType": "fixed",
    "i18n.commitEncoding": "ISO-8859-1", "i18n.logOutputEncoding": "ISO-8859-1", "log.date": "relative",
    "log.decorate": "full", "log.follow": "true", "log.mailmap": "false", "log.showRoot": "false",
    "log.showSignature": "true", "merge.ff": "false", "merge.verifySignatures": "true", "push.default": "nothing",
    "push.followTags": "true", "push.recurseSubmodules": "only", "status.branch": "true", "status.renames": "false",
    "status.short": "true", "status.showUntrackedFiles": "no", "submodule.recurse": "true", "tag.sort": "-refname",
}  # fmt: skip


def all_reads(repo: Repo, tree: Path) -> dict[str, object]:
    """Return what the reads of *repo* give; *tree* is a work tree with a change."""
    commits = list(repo.history([repo.head]))
    shas = [commit.sha for commit in commits]
    return {
        "history": commits,
        "newest": repo.newest_commits(5),
        "authors": repo.authors(shas),
        "newcomers": repo.newcomers(shas[:1], shas[1:]),
        "times": (repo.commit_time(repo.head), repo.commit_times(shas)),
        "subjects": (
            repo.subject(repo.head),
            repo.subjects(shas),
            repo.commit_titles(shas[-1], repo.head),
        ),
        "status": repo.changed_paths(),
        "files": repo.list_files(repo.top),
        "tags": (repo.tags(), repo.tag_refs(), repo.merged_tags()),
        "texts": repo.texts([(repo.head, "é/a.txt")]),
        "lines": repo.matching_lines([repo.head], "^on[e]", ["a.txt"]),
        "differing": (repo.differing_paths(tree, shas[-1]), repo.untracked_paths(tree)),
        "remote": (repo.remotes(), repo.ls_remote("origin"), repo.default_branch("origin")),
    }


@pytest.fixture
def busy_scene(scene: GitScene, tmp_path: Path) -> GitScene:
    """Return a repository in which each read has something to tell, with a remote and a second work tree."""
    scene.commit("feat: größer\n\nBREAKING CHANGE: yes", {"é/a.txt": "one\ntwo\n", "b": "b"})
    scene.git("mv", "b", "c")
    scene.commit("fix: rename", {"é/a.txt": "one\n"})
    scene.git("tag", "--annotate", "--message", "t", "core-v1")
    scene.git("clone", "--quiet", "--bare", str(scene.top), str(tmp_path / "remote.git"))
    scene.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    scene.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    (tmp_path / "tree/c").write_text("changed")
    scene.write("é/new", "")
    return scene


class TestOpeningAnotherRepository:
    """A directory can contain a repository that somebody else has prepared."""

    @pytest.mark.parametrize("worktree", ["worktree = .", ""], ids=["with-work-tree", "without"])
    def test_planted_repository_runs_nothing(
        self, scene: GitScene, tmp_path: Path, worktree: str
    ) -> None:
        """A directory that is itself a git repository is refused, and its settings start no program."""
        planted = tmp_path / "checkout" / "planted"
        shutil.copytree(scene.top / ".git", planted)
        marker = tmp_path / "ran"
        config = f'[core]\nrepositoryformatversion = 0\nbare = false\nfsmonitor = "touch {marker}; false"\n{worktree}\n'
        (planted / "config").write_text(config)

        with pytest.raises(Refusal, match="bare") as caught:
            Repo(planted)

        assert caught.value.code is ErrorCode.GIT_NOT_A_REPOSITORY
        assert not marker.exists()

    def test_work_tree_elsewhere_is_refused(self, scene: GitScene, tmp_path: Path) -> None:
        """A repository whose settings name a work tree that does not contain the workspace is refused."""
        (tmp_path / "elsewhere").mkdir()
        scene.git("config", "core.worktree", str(tmp_path / "elsewhere"))

        with pytest.raises(Refusal, match="elsewhere") as caught:
            Repo(scene.top)

        assert caught.value.code is ErrorCode.GIT_UNTRUSTED

    def test_repository_of_others_is_refused(
        self, scene: GitScene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A repository that belongs to another user is refused, before anything else is asked."""
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        monkeypatch.setattr(
            "releasekit.integrations.git_environment.KEPT_VARIABLES",
            {"GIT_TEST_*": "", "GIT_*": ""},
        )

        with pytest.raises(Refusal, match="another user") as caught:
            Repo(scene.top)

        assert caught.value.code is ErrorCode.GIT_UNTRUSTED


class TestUserSettings:
    """Our reads rely on the meaning of what git prints."""

    def test_settings_change_no_read(
        self, busy_scene: GitScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each read gives the same under settings and variables that change what git prints."""
        without = all_reads(Repo(busy_scene.top), tmp_path / "tree")
        assert without["status"] == ("é/new",)

        for name, value in USER_SETTINGS.items():
            busy_scene.git("config", name, value)
        for name, value in {
            "GIT_DIR": "/nowhere",
            "GIT_EXTERNAL_DIFF": "false",
            "GIT_LITERAL_PATHSPECS": "1",
        }.items():
            monkeypatch.setenv(name, value)

        assert all_reads(Repo(busy_scene.top), tmp_path / "tree") == without

    def test_settings_change_no_release(self, busy_scene: GitScene, tmp_path: Path) -> None:
        """A commit, a tag, a push and a fast-forward give the same under the user's settings."""
        for name, value in USER_SETTINGS.items():
            busy_scene.git("config", name, value)
        (busy_scene.top / "é/new").unlink()
        repo = Repo(busy_scene.top)

        commit = repo.commit(
            tmp_path / "tree", "chore(release): größer\n\n- # one", ["c"], hooks=False
        )
        repo.make_tag("core-v2", commit, "core 2\n\n# one")
        repo.push("origin", [f"{commit}:refs/heads/main", "refs/tags/core-v2"])
        repo.fetch("origin", "refs/heads/main")

        assert run(repo.command("log", "-1", "--format=%e|%B", commit)).stdout.strip() == (
            "|chore(release): größer\n\n- # one"
        )
        assert repo.ls_remote("origin")["refs/tags/core-v2"].commit == commit
        assert repo.fast_forward(commit)


class TestVariables:
    """Variables of git that a hook, an outer git or a user sets."""

    def test_redirecting_variables_are_dropped(self) -> None:
        """Each variable that git itself calls local to a repository is dropped, except its settings."""
        local = run(Command(("git", "rev-parse", "--local-env-vars"))).stdout.split()
        changes = git_variables(local)

        kept = {name for name in local if name not in changes}

        assert kept <= {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}

    @pytest.mark.parametrize(
        ("name", "is_kept"),
        [
            ("GIT_SSH_COMMAND", True),
            ("GIT_CONFIG_GLOBAL", True),
            ("GIT_AUTHOR_NAME", True),
            ("GIT_TRACE_CURL", True),
            ("GIT_EXTERNAL_DIFF", False),
            ("GIT_CONFIG", False),
            ("GIT_VARIABLE_OF_TOMORROW", False),
            ("GITHUB_TOKEN", True),
        ],
    )
    def test_known_variables_are_kept(self, name: str, is_kept: bool) -> None:
        """Variables for the network, for credentials and for who commits are kept; unknown ones are dropped."""
        assert (name not in git_variables([name])) is is_kept

    def test_settings_exist_in_git(self) -> None:
        """Each setting that we override has a name that the installed git or a newer one knows."""
        known = {
            name.lower()
            for name in run(Command(("git", "help", "--config-for-completion"))).stdout.split()
        }
        newer = {"fetch.all"}

        assert {name.lower() for name in SETTINGS} <= known | newer
