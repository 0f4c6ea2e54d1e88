"""git as it is: every repository here is a real one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.history.commits import Commit
from releasekit.integrations.git import LOCK_REF, Ref, Repo, clone
from releasekit.integrations.git import run as run_git
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.git_scene import GitScene


@pytest.fixture
def remote(scene: GitScene, tmp_path: Path) -> Path:
    """Return a bare repository that is the scene's remote `origin` and has its branch main."""
    bare = tmp_path / "remote.git"
    scene.git("clone", "--quiet", "--bare", str(scene.top), str(bare))
    scene.git("remote", "add", "origin", str(bare))
    return bare


def refs(bare: Path) -> dict[str, str]:
    """Return the references of a bare repository, tags unpeeled."""
    listed = run(Command(("git", "for-each-ref", "--format=%(refname) %(objectname)"), bare)).stdout
    return {name: sha for name, _, sha in (line.partition(" ") for line in listed.splitlines())}


def commits_at(repo: Repo) -> dict[str, str]:
    """Return the commit that each reference of the remote means, tags peeled."""
    return {name: ref.commit for name, ref in repo.ls_remote("origin").items()}


def files_of(repo: Repo, *tips: str) -> dict[str, tuple[str, ...]]:
    """Return the files that each commit touches, by its message."""
    return {commit.message.strip(): commit.files for commit in repo.history(tips or (repo.head,))}


class TestOpening:
    """Which repository is meant."""

    def test_repository_is_found_from_below(self, scene: GitScene) -> None:
        """The repository is found from any directory in it."""
        scene.commit("more", {"packages/x/y": ""})

        repo = Repo(scene.top / "packages" / "x")

        assert repo.top == scene.top
        assert repo.common_dir == scene.top / ".git"
        assert repo.head == scene.git("rev-parse", "HEAD")
        assert repo.branch == "main"

    def test_listing_separates_ignored_files(self, scene: GitScene) -> None:
        """Files are told apart by whether git has them or would, and those that it is told to ignore."""
        scene.commit("more", {"dir/.gitignore": "out/\n*.log\n", "dir/kept é": "", "other": ""})
        for name in ("dir/new", "dir/x.log", "dir/out/deep/y"):
            (scene.top / name).parent.mkdir(parents=True, exist_ok=True)
            (scene.top / name).write_text("")

        kept, ignored = Repo(scene.top).list_files(scene.top / "dir")

        assert sorted(kept) == [".gitignore", "kept é", "new"]
        assert sorted(ignored) == ["out/", "x.log"]

    def test_detached_head_has_no_branch(self, scene: GitScene) -> None:
        """A branch keeps the slashes in its name; a detached HEAD is on none."""
        scene.git("checkout", "--quiet", "-b", "maintenance/1.x")
        assert Repo(scene.top).branch == "maintenance/1.x"

        scene.git("checkout", "--quiet", "--detach")
        assert Repo(scene.top).branch == ""

    def test_symlink_leads_to_real_paths(self, scene: GitScene, tmp_path: Path) -> None:
        """Whichever way one comes in, the paths are the real ones."""
        (tmp_path / "alias").symlink_to(scene.top)

        assert Repo(tmp_path / "alias").top == scene.top

    def test_dollar_sign_in_path_stays(self, plain_git: None, tmp_path: Path) -> None:  # noqa: ARG002
        """A dollar sign in a directory's name is a dollar sign."""
        top = tmp_path / "$HOME"
        run(Command(("git", "init", "--quiet", str(top))))
        run(Command(("git", "commit", "--quiet", "--allow-empty", "--message", "x"), top))

        assert Repo(top).top == top

    def test_linked_worktree_shares_git_directory(self, scene: GitScene, tmp_path: Path) -> None:
        """A linked work tree has its own top, head and branch, and the git directory of all."""
        scene.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
        side = tmp_path / "side"
        run(
            Command(("git", "commit", "--quiet", "--allow-empty", "--message", "on the side"), side)
        )

        repo = Repo(side)

        assert (repo.top, repo.common_dir, repo.branch) == (side, scene.top / ".git", "side")
        assert repo.head != scene.git("rev-parse", "main")

    def test_sparse_checkout_gives_whole_worktree(self, scene: GitScene, tmp_path: Path) -> None:
        """A work tree of ours is whole, also where the user's own checkout is sparse."""
        scene.commit("more", {"kept/a.txt": "a", "hidden/b.txt": "b"})
        scene.git("sparse-checkout", "set", "kept")

        Repo(scene.top).add_worktree(tmp_path / "whole", scene.git("rev-parse", "HEAD"))

        assert (tmp_path / "whole/hidden/b.txt").is_file()
        assert not (scene.top / "hidden").exists()

    @pytest.mark.parametrize("packed", [False, True])
    def test_repository_without_commit_is_refused(
        self, empty_scene: GitScene, packed: bool
    ) -> None:
        """A repository without a commit is refused, whatever other branches hold."""
        if packed:
            empty_scene.commit("x")
            empty_scene.git("pack-refs", "--all")
            empty_scene.git("checkout", "--quiet", "--orphan", "fresh")

        with pytest.raises(Refusal) as caught:
            Repo(empty_scene.top)

        assert caught.value.code is ErrorCode.GIT_NO_COMMIT

    def test_directory_outside_git_is_refused(self, plain_git: None, tmp_path: Path) -> None:  # noqa: ARG002
        """A directory outside git, and one that is not there, are refused."""
        for path in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(Refusal) as caught:
                Repo(path)

            assert caught.value.code is ErrorCode.GIT_NOT_A_REPOSITORY
            assert caught.value.location == str(path)

    def test_odd_path_is_named(self, scene: GitScene, tmp_path: Path) -> None:
        """The refusal of a path that is not UTF-8 says so, and blames no setting."""
        odd = tmp_path / os.fsdecode(b"a\xffb")
        scene.top.rename(odd)

        with pytest.raises(Refusal, match="not UTF-8") as caught:
            Repo(odd)

        assert "UTF-8" in caught.value.hint

    def test_bare_repository_is_refused(self, remote: Path) -> None:
        """A bare repository has no files to release."""
        with pytest.raises(Refusal, match="bare") as caught:
            Repo(remote)

        assert caught.value.code is ErrorCode.GIT_NOT_A_REPOSITORY

    def test_missing_git_is_named(
        self, scene: GitScene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Where git is not installed, that is what is said."""
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(Refusal) as caught:
            Repo(scene.top)

        assert caught.value.code is ErrorCode.GIT_MISSING

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("GIT_DIR", ".git"),
            ("GIT_WORK_TREE", "."),
            ("GIT_INDEX_FILE", ".git/index"),
            ("GIT_OBJECT_DIRECTORY", ".git/objects"),
            ("GIT_COMMON_DIR", ".git"),
            ("GIT_NAMESPACE", "other"),
            ("GIT_PREFIX", "packages/"),
        ],
    )
    def test_environment_does_not_redirect(
        self,
        scene: GitScene,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        value: str,
    ) -> None:
        """Run from a hook of another repository, we stay in the one that was named."""
        scene.git("tag", "here")
        other = tmp_path / "other"
        run(Command(("git", "init", "--quiet", "--initial-branch=elsewhere", str(other))))
        run(Command(("git", "commit", "--quiet", "--allow-empty", "--message", "elsewhere"), other))
        head = scene.git("rev-parse", "HEAD")
        monkeypatch.setenv(
            name, value if name in ("GIT_NAMESPACE", "GIT_PREFIX") else str(other / value)
        )

        repo = Repo(scene.top)

        assert (repo.top, repo.common_dir, repo.head, repo.branch) == (
            scene.top,
            scene.top / ".git",
            head,
            "main",
        )
        assert repo.changed_paths() == ()
        assert repo.tags() == {"here": head}
        assert repo.texts([(head, "a")]) == {(head, "a"): "one\n"}
        assert repo.commit_time(head) > 0
        assert files_of(repo) == {"first": ("a",)}
        repo.add_worktree(tmp_path / "tree", head)
        (tmp_path / "tree" / "a").write_text("two\n")
        made = repo.commit(tmp_path / "tree", "release", ["a"], hooks=True)
        repo.make_tag("v1", made)
        monkeypatch.delenv(name)
        assert scene.git("rev-list", "--count", "v1") == "2"
        assert run(Command(("git", "rev-list", "--count", "--all"), other)).stdout == "1\n"


class TestFacts:
    """What is read."""

    def test_shallow_clone_is_recognized(self, scene: GitScene, tmp_path: Path) -> None:
        """A clone with a cut-off history is told from a whole one, in its worktrees too."""
        scene.commit("second")
        clone(scene.top.as_uri(), tmp_path / "shallow", "--depth", "1")
        clone(scene.top.as_uri(), tmp_path / "whole")
        run(
            Command(
                ("git", "worktree", "add", "--quiet", str(tmp_path / "tree")), tmp_path / "shallow"
            )
        )

        assert Repo(tmp_path / "shallow").is_shallow()
        assert Repo(tmp_path / "tree").is_shallow()
        assert not Repo(tmp_path / "whole").is_shallow()

    def test_remotes_are_listed_by_name(self, scene: GitScene, remote: Path) -> None:
        """Remotes are known by their names."""
        scene.git("remote", "add", "fork", str(remote))

        assert set(Repo(scene.top).remotes()) == {"origin", "fork"}

    def test_committer_comes_from_git(self, scene: GitScene) -> None:
        """Whoever git says commits."""
        assert Repo(scene.top).committer().startswith("Ada <ada@example.invalid> ")

    def test_missing_git_identity_is_refused(
        self, scene: GitScene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Where git does not know who commits, the release is refused before it begins."""
        for name in (
            "GIT_AUTHOR_NAME",
            "GIT_AUTHOR_EMAIL",
            "GIT_COMMITTER_NAME",
            "GIT_COMMITTER_EMAIL",
        ):
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        scene.git("config", "user.useConfigOnly", "true")

        with pytest.raises(Refusal) as caught:
            Repo(scene.top).committer()

        assert caught.value.code is ErrorCode.GIT_IDENTITY
        assert "user.email" in caught.value.output

    def test_changed_paths_leave_out_ignored(self, scene: GitScene) -> None:
        """Changed, staged, renamed, deleted and untracked files are named as they are; ignored ones are not."""
        scene.commit(
            "more", {"b": "b\n" * 9, "c": "c\n" * 9, "d": "d", "e": "e", ".gitignore": "ignored"}
        )
        repo = Repo(scene.top)
        assert repo.changed_paths() == ()

        scene.write("a", "two\n")
        scene.git("mv", "b", "b renamed")
        (scene.top / "c").rename(scene.top / "c renamed")
        scene.git("add", "--intent-to-add", "c renamed")
        (scene.top / "d").unlink()
        scene.git("rm", "--quiet", "--cached", "e")
        scene.write("nää\nline", "")
        scene.write("ignored", "")

        assert sorted(repo.changed_paths()) == [
            "a",
            "b renamed",
            "c renamed",
            "d",
            "e",
            "e",
            "nää\nline",
        ]

    def test_tracked_files_are_in_git(self, scene: GitScene) -> None:
        """A file is tracked if git has it in the work tree where it lies."""
        scene.commit("lock", {"uv.lock": "", "deep/uv.lock": "", ".gitignore": "ignored"})
        scene.write("b", "")
        scene.write("ignored", "")
        repo = Repo(scene.top)
        repo.add_worktree(repo.common_dir / "releasekit" / "r" / "tree", repo.head)

        assert repo.is_tracked(scene.top / "uv.lock")
        assert repo.is_tracked(scene.top / "deep" / "uv.lock")
        assert repo.is_tracked(repo.common_dir / "releasekit" / "r" / "tree" / "uv.lock")
        for name in ("b", "ignored", "nowhere"):
            assert not repo.is_tracked(scene.top / name)

    def test_commit_time_is_the_committers(
        self, scene: GitScene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is the committer's clock that counts."""
        monkeypatch.setenv("GIT_COMMITTER_DATE", "1234567890 +0900")
        monkeypatch.setenv("GIT_AUTHOR_DATE", "1000000000 +0000")
        commit = scene.commit("then")

        assert Repo(scene.top).commit_time(commit) == 1234567890

    def test_tags_lead_to_their_commits(self, scene: GitScene) -> None:
        """Annotated and lightweight tags, and tags of tags, give their commit; one of a file or tree is no release."""
        repo = Repo(scene.top)
        assert repo.tags() == {}
        scene.git("tag", "light")
        scene.git("tag", "--annotate", "--message", "x", "core-v1.0", "HEAD")
        scene.git("tag", "--annotate", "--message", "x", "signed-off", "core-v1.0")
        scene.git("tag", "--annotate", "--message", "x", "approved", "signed-off")
        scene.git("tag", "blob", scene.git("rev-parse", "HEAD:a"))
        scene.git("tag", "--annotate", "--message", "x", "annotated-blob", "HEAD:a")
        scene.git("tag", "tree", "HEAD^{tree}")
        scene.git("tag", "with/slash\u2028and-ä")
        scene.git("branch", "v9")

        scene.git("tag", "--annotate", "--message", "x", "twice-blob", "annotated-blob")

        commits = ("light", "core-v1.0", "signed-off", "approved", "with/slash\u2028and-ä")
        assert repo.tags() == dict.fromkeys(commits, repo.head)


class TestHistory:
    """All commits in one walk."""

    def test_history_has_whole_commits(self, scene: GitScene) -> None:
        """A commit comes with its parents, its whole message and its files; the root commit too."""
        first = scene.git("rev-parse", "HEAD")
        body = "feat: x\n\nBody: \x02\n\nBREAKING CHANGE: y\n"
        second = scene.commit(body, {"b": "", "c/d": ""})
        scene.git("rm", "--quiet", "b")
        third = scene.commit("fix: z", {"a": "two"})

        assert list(Repo(scene.top).history([third])) == [
            Commit(third, (second,), "fix: z\n", ("a", "b")),
            Commit(second, (first,), body, ("b", "c/d")),
            Commit(first, (), "first\n", ("a",)),
        ]

    def test_empty_commits_shift_no_neighbours(self, scene: GitScene) -> None:
        """Commits without files or without a message do not shift their neighbours."""
        scene.commit("empty")
        scene.commit("", {"b": ""})
        scene.commit("")
        scene.commit("last", {"c": ""})

        found = list(Repo(scene.top).history(["HEAD"]))

        assert [(commit.message.strip(), commit.files) for commit in found] == [
            ("last", ("c",)),
            ("", ()),
            ("", ("b",)),
            ("empty", ()),
            ("first", ("a",)),
        ]

    def test_history_keeps_odd_file_names(self, scene: GitScene) -> None:
        """Names with spaces, quotes, new lines and any letters come as they are."""
        names = [
            "with space",
            'quo"te',
            "new\nline",
            "ä/ö",
            "日本",
            "\n",
            " ",
            "tab\t",
            "-n",
            "*",
            "\x01",
            "\x01b",
        ]
        names.sort()
        scene.commit("odd", dict.fromkeys(names, ""))

        assert sorted(files_of(Repo(scene.top))["odd"]) == names

    def test_undecodable_names_keep_their_directory(self, scene: GitScene) -> None:
        """A name that is no UTF-8 neither stops the walk nor hides the file's directory."""
        with open(os.fsencode(scene.top) + b"/\xff.py", "wb"):  # noqa: PTH123
            pass
        scene.commit("odd")

        assert files_of(Repo(scene.top))["odd"] == ("\ufffd.py",)

    def test_renames_are_both_files(self, scene: GitScene) -> None:
        """A renamed file touches the package that it left and the one that it came to."""
        scene.git("config", "diff.renames", "copies")
        (scene.top / "b").mkdir()
        scene.git("mv", "a", "b/a")
        scene.commit("move")

        assert files_of(Repo(scene.top))["move"] == ("a", "b/a")

    def test_messages_in_other_encodings(self, scene: GitScene) -> None:
        """A message in a declared encoding is read; in an undeclared one, only its odd bytes are lost."""
        scene.git("config", "i18n.logOutputEncoding", "ISO-8859-1")
        header = "author Ada <> 1 +0000\ncommitter Ada <> 1 +0000\n"
        for message, encoding in (("feat: Größe", "encoding ISO-8859-1\n"), ("fix: Maß", "")):
            tree, parent = scene.git("write-tree"), scene.git("rev-parse", "HEAD")
            raw = f"tree {tree}\nparent {parent}\n{header}{encoding}\n{message}".encode("latin-1")
            made = scene.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw)
            scene.git("reset", "--quiet", "--hard", made)
        scene.commit("fix: Übermaß 日本")

        found = [commit.message.strip() for commit in Repo(scene.top).history(["HEAD"])]

        assert found == ["fix: Übermaß 日本", "fix: Ma\ufffd", "feat: Größe", "first"]

    @pytest.mark.parametrize("message", ["\x01", "\x01deadbeef\n\nx", "x\n\n\x01"])
    def test_control_characters_split_no_commit(self, scene: GitScene, message: str) -> None:
        """No message can make two commits of one."""
        scene.commit(message, {"b": ""})

        found = list(Repo(scene.top).history(["HEAD"]))

        assert [(commit.message.strip("\n"), commit.files) for commit in found] == [
            (message, ("b",)),
            ("first", ("a",)),
        ]

    def test_merges_have_parents_without_files(self, scene: GitScene) -> None:
        """A merge has all its parents and no files, be it of two, of three or empty, and with a resolved conflict."""
        base = scene.git("rev-parse", "HEAD")
        sides: list[str] = []
        for name in ("x", "y", "z"):
            scene.git("checkout", "--quiet", "-b", name, base)
            sides.append(scene.commit(name, {name: f"{name}\n"}))
        scene.git("checkout", "--quiet", "main")
        scene.git("merge", "--quiet", "--no-ff", "--message", "octopus", "x", "y", "z")
        octopus = scene.git("rev-parse", "HEAD")
        scene.git("checkout", "--quiet", "-b", "conflict", base)
        other = scene.commit("conflict", {"x": "other"})
        scene.git("checkout", "--quiet", "main")
        run(Command(("git", "merge", "--quiet", "conflict"), scene.top, ok_codes=frozenset({1})))
        merge = scene.commit("merge", {"x": "both"})
        scene.git(
            "merge", "--quiet", "--strategy=ours", "--no-ff", "--message", "empty", base + "^{}"
        )

        found = {commit.sha: commit for commit in Repo(scene.top).history(["HEAD"])}

        assert found[octopus] == Commit(octopus, (base, *sides), "octopus\n", ())
        assert found[merge] == Commit(merge, (octopus, other), "merge\n", ())
        assert found[other].files == ("x",)
        assert [found[side].files for side in sides] == [("x",), ("y",), ("z",)]
        assert found[base].parents == ()

    def test_user_settings_change_no_merges(self, scene: GitScene) -> None:
        """The user's own settings for git-log change nothing."""
        scene.git("checkout", "--quiet", "-b", "side")
        scene.commit("side", {"b": ""})
        scene.git("checkout", "--quiet", "main")
        scene.git("merge", "--quiet", "--no-ff", "--message", "merge", "side")
        scene.git("update-index", "--add", "--cacheinfo", f"160000,{'f' * 40},sub")
        scene.git("commit", "--quiet", "--message", "a submodule")
        before = files_of(Repo(scene.top))

        for key, value in [
            ("log.diffMerges", "first-parent"), ("log.showSignature", "true"), ("log.decorate", "full"),
            ("log.follow", "true"), ("format.pretty", "oneline"), ("diff.noprefix", "true"), ("color.ui", "always"),
            ("log.showRoot", "false"), ("core.quotePath", "true"), ("core.pager", "false"), ("log.date", "relative"),
            ("diff.ignoreSubmodules", "all"),
            ("notes.displayRef", "*"), ("diff.relative", "true"), ("diff.orderFile", "a"),
        ]:  # fmt: skip
            scene.git("config", key, value)
        scene.git("notes", "add", "--message", "a note", "HEAD")

        assert files_of(Repo(scene.top)) == before == {
            "a submodule": ("sub",), "merge": (), "side": ("b",), "first": ("a",)
        }  # fmt: skip

    def test_history_lists_each_commit_once(self, scene: GitScene) -> None:
        """Commits of all tips come once each, children before parents, also those that HEAD does not reach."""
        base = scene.git("rev-parse", "HEAD")
        scene.git("checkout", "--quiet", "-b", "side")
        side = scene.commit("side", {"b": ""})
        scene.git("checkout", "--quiet", "main")
        head = scene.commit("main")

        found = [commit.sha for commit in Repo(scene.top).history([head, side, base, base])]

        assert sorted(found) == sorted([head, side, base])
        assert found[-1] == base

    def test_children_come_before_parents(self, scene: GitScene) -> None:
        """Clocks that go wrong do not turn the order round."""
        for day in ("2030", "2010", "2020"):
            date = f"{day}-01-01T00:00:00Z"
            argv = ("commit", "--quiet", "--allow-empty", "--message", day)
            scene.git(*argv, env={"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date})

        assert list(files_of(Repo(scene.top))) == ["2020", "2010", "2030", "first"]

    def test_unknown_tip_is_an_error(self, scene: GitScene) -> None:
        """A commit that git does not have is an error, not an empty history."""
        with pytest.raises(ReleaseError) as caught:
            list(Repo(scene.top).history(["0" * 39 + "1"]))

        assert caught.value.code is ErrorCode.COMMAND_FAILED


class TestFilesOfCommits:
    """Files as they were."""

    def test_texts_are_those_of_commits(self, scene: GitScene) -> None:
        """The text is that of the commit, line ends and odd bytes kept; what a commit does not have is left out."""
        first = scene.git("rev-parse", "HEAD")
        (scene.top / "odd").write_bytes(b"\xc3\xa4\r\n\xff\0z")
        second = scene.commit("more", {"b c/\u00e4": "", "d/e": "one\n"})
        scene.write("d/e", "later")
        names = ["a", "odd", "b c/\u00e4", "d/e", "d", "x\u2028y"]

        assert Repo(scene.top / "d").texts(
            [(sha, name) for sha in (first, second) for name in names]
        ) == {
            (first, "a"): "one\n",
            (second, "a"): "one\n",
            (second, "odd"): "\u00e4\r\n\ufffd\0z",
            (second, "b c/\u00e4"): "",
            (second, "d/e"): "one\n",
        }
        assert Repo(scene.top).texts([]) == {}

    def test_merged_tags_exclude_other_branches(self, scene: GitScene) -> None:
        """Tags of other branches are none of HEAD's."""
        scene.git("tag", "--annotate", "--message", "m", "mine")
        scene.git("checkout", "--quiet", "-b", "side")
        scene.commit("more")
        scene.git("tag", "theirs")
        scene.git("checkout", "--quiet", "main")

        assert Repo(scene.top).merged_tags() == {"mine"}


class TestWorktree:
    """The release's own checkout."""

    def test_worktree_leaves_nothing_behind(self, scene: GitScene, tmp_path: Path) -> None:
        """The frozen commit is checked out on no branch; afterwards nothing is left, and the user's tree is whole."""
        repo = Repo(scene.top)
        scene.commit("later", {"a": "later"})
        scene.hook("post-checkout", "exit 1")
        tree = tmp_path / "deep" / "tree"

        repo.add_worktree(tree, repo.head)
        assert (tree / "a").read_text() == "one\n"
        assert Repo(tree).branch == ""
        assert Repo(tree).head == repo.head
        (tree / "a").write_text("changed")
        (tree / "untracked").write_text("")
        repo.remove_worktree(tree)

        assert not tree.exists()
        assert scene.git("status", "--porcelain") == ""
        assert scene.git("worktree", "list").count("\n") == 0
        repo.remove_worktree(tree)  # once more changes nothing

    def test_worktree_has_committed_line_ends(self, scene: GitScene) -> None:
        """Our work trees have the line ends of the commit and its attributes, whatever the user's git makes of them."""
        scene.commit(
            "lines", {".gitattributes": "*.bat text eol=crlf\n", "a.sh": "#!\n", "b.bat": "b\n"}
        )
        scene.git("config", "core.autocrlf", "true")
        repo = Repo(scene.top)
        tree = repo.common_dir / "releasekit" / "r" / "tree"

        repo.add_worktree(tree, repo.head)

        assert (tree / "a.sh").read_bytes() == b"#!\n"
        assert (tree / "b.bat").read_bytes() == b"b\r\n"
        assert repo.differing_paths(tree, repo.head) == ()
        assert repo.changed_paths() == ()

    @pytest.mark.parametrize(
        "state", ["directory gone", "locked", "locked and gone", "link lost", "never known"]
    )
    def test_broken_worktree_can_be_replaced(
        self, scene: GitScene, tmp_path: Path, state: str
    ) -> None:
        """After any crash the worktree can be removed and made again in its place."""
        repo, tree = Repo(scene.top), tmp_path / "tree"
        repo.add_worktree(tree, repo.head)
        if "locked" in state:  # git holds this lock while it makes one
            scene.git("worktree", "lock", "--reason", "initializing", str(tree))
        if "gone" in state:
            run(Command(("rm", "-r", str(tree))))
        if state == "link lost":
            (tree / ".git").unlink()
        if state == "never known":
            run(Command(("rm", "-r", str(repo.common_dir / "worktrees"))))

        repo.remove_worktree(tree)
        assert not tree.exists()
        repo.add_worktree(tree, repo.head)

        assert (tree / "a").read_text() == "one\n"
        assert scene.git("worktree", "list").count("\n") == 1

    def test_saved_ref_keeps_the_commit(self, scene: GitScene, tmp_path: Path) -> None:
        """A kept commit outlives its worktree and a clean-up, is no branch and no tag, and can be let go."""
        repo, tree = Repo(scene.top), tmp_path / "tree"
        repo.add_worktree(tree, repo.head)
        (tree / "a").write_text("two")
        made = repo.commit(tree, "release", ["a"], hooks=False)

        repo.save_ref("r1", made)
        repo.remove_worktree(tree)
        scene.git("gc", "--quiet", "--prune=now")

        assert scene.git("cat-file", "-t", made) == "commit"
        assert (scene.git("branch", "--list", "--all"), scene.git("tag")) == ("* main", "")
        repo.delete_ref("r1")
        repo.delete_ref("r1")
        assert scene.git("for-each-ref", "refs/releasekit") == ""


class TestCommit:
    """The release commit."""

    def test_commit_has_only_named_files(self, scene: GitScene, tmp_path: Path) -> None:
        """The files that are named are committed and no others, whoever changed them; the user's branch stays."""
        scene.commit("more", {"b": "", "c": "", "[a]": ""})
        repo, tree = Repo(scene.top), tmp_path / "tree"
        repo.add_worktree(tree, repo.head)
        for name in ("a", "[a]", "c", "untracked"):
            (tree / name).write_text("two\n")
        (tree / "b").unlink()

        made = repo.commit(
            tree, "chore(release): v1\n\nBody: ä\n", ["[a]", "b", "untracked"], hooks=False
        )

        (commit, *_) = repo.history([made])
        assert commit == Commit(made, (repo.head,), "chore(release): v1\n\nBody: ä\n", ("[a]", "b"))
        assert scene.git("rev-parse", "main") == repo.head
        assert scene.git("status", "--porcelain") == ""

    def test_unchanged_files_need_no_commit(self, scene: GitScene, tmp_path: Path) -> None:
        """Where no file changes, as with versions that only tags hold, the release is made from the commit there is."""
        repo, tree = Repo(scene.top), tmp_path / "tree"
        repo.add_worktree(tree, repo.head)

        assert repo.commit(tree, "release", ["a"], hooks=False) == repo.head

    @pytest.mark.parametrize(
        "name", ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"]
    )
    def test_commit_runs_no_hooks(self, scene: GitScene, tmp_path: Path, name: str) -> None:
        """The repository's hooks, which may hang or fail, do not run on the release commit."""
        scene.hook(name, f"touch {tmp_path}/ran; exit 1")
        repo, tree = Repo(scene.top), tmp_path / "tree"
        repo.add_worktree(tree, repo.head)
        (tree / "a").write_text("two\n")

        assert repo.commit(tree, "release", ["a"], hooks=False) != repo.head
        assert not (tmp_path / "ran").exists()

    def test_commit_runs_hooks_on_request(self, scene: GitScene, tmp_path: Path) -> None:
        """Asked for, they run, and one that refuses stops the release with what it says."""
        scene.hook("commit-msg", 'echo checked >> "$1"')
        repo, tree = Repo(scene.top), tmp_path / "tree"
        repo.add_worktree(tree, repo.head)
        (tree / "a").write_text("two\n")

        made = repo.commit(tree, "release", ["a"], hooks=True)
        assert next(repo.history([made])).message == "release\nchecked\n"

        scene.hook("pre-commit", "echo not on my watch >&2; exit 1")
        (tree / "a").write_text("three\n")
        with pytest.raises(ReleaseError) as caught:
            repo.commit(tree, "release", ["a"], hooks=True)
        assert caught.value.output == "not on my watch"


class TestTags:
    """Tags say what is out."""

    def test_release_tag_is_annotated(self, scene: GitScene) -> None:
        """The tag is annotated and on the recorded commit, wherever HEAD is now; making it again changes nothing."""
        repo = Repo(scene.top)
        scene.commit("later")

        repo.make_tag("core-v1.0", repo.head)
        made = scene.git("rev-parse", "core-v1.0")
        repo.make_tag("core-v1.0", repo.head)

        assert scene.git("cat-file", "-t", "core-v1.0") == "tag"
        assert scene.git("rev-parse", "core-v1.0") == made
        assert repo.tags() == {"core-v1.0": repo.head}

    def test_lightweight_tag_of_user_counts(self, scene: GitScene) -> None:
        """A tag of the user's own on that commit is good enough."""
        repo = Repo(scene.top)
        scene.git("tag", "v1")

        repo.make_tag("v1", repo.head)

        assert scene.git("cat-file", "-t", "v1") == "commit"

    @pytest.mark.parametrize("what", ["HEAD", "HEAD:a"])
    @pytest.mark.parametrize(
        "options", [(), ("--annotate", "--message", "x")], ids=["lightweight", "annotated"]
    )
    def test_existing_tag_never_moves(
        self, scene: GitScene, what: str, options: tuple[str, ...]
    ) -> None:
        """A tag on another commit, or on no commit at all, is left where it is."""
        repo = Repo(scene.top)
        scene.commit("later")
        scene.git("tag", *options, "v1", what)
        before = scene.git("rev-parse", "v1")

        with pytest.raises(ReleaseError) as caught:
            repo.make_tag("v1", repo.head)

        assert caught.value.code is ErrorCode.TAG_EXISTS
        assert scene.git("rev-parse", "v1") == before

    def test_same_named_branch_is_harmless(self, scene: GitScene) -> None:
        """A branch of the same name is no tag."""
        repo = Repo(scene.top)
        scene.commit("later")
        scene.git("branch", "v1")

        repo.make_tag("v1", repo.head)

        assert repo.tags() == {"v1": repo.head}


class TestPush:
    """What the world gets to see."""

    def test_push_sends_only_named_refs(self, scene: GitScene, remote: Path) -> None:
        """Nothing is pushed but what is named, whatever else is there and whatever is configured."""
        scene.git("config", "push.followTags", "true")
        repo = Repo(scene.top)
        made = scene.commit("release")
        for tag in ("v1", "private"):
            repo.make_tag(tag, made)
        scene.git("branch", "private-branch")

        repo.push("origin", [f"{made}:refs/heads/main", "refs/tags/v1:refs/tags/v1"])

        assert refs(remote) == {
            "refs/heads/main": made,
            "refs/tags/v1": scene.git("rev-parse", "v1"),
        }
        assert commits_at(repo) == {"HEAD": made, "refs/heads/main": made, "refs/tags/v1": made}
        # Once more changes nothing.
        repo.push("origin", [f"{made}:refs/heads/main", "refs/tags/v1:refs/tags/v1"])

    def test_remote_refs_are_peeled(self, scene: GitScene, remote: Path) -> None:
        """Branches, lightweight and annotated tags of the remote all give a commit, also those we do not have here."""
        repo = Repo(scene.top)
        scene.git("tag", "light")
        scene.git("tag", "--annotate", "--message", "x", "annotated")
        scene.git("push", "--quiet", "--tags", "origin")
        scene.git("tag", "--delete", "light", "annotated")

        found = commits_at(repo)

        names = ["HEAD", "refs/heads/main", "refs/tags/annotated", "refs/tags/light"]
        assert found == dict.fromkeys(names, repo.head)
        assert set(refs(remote)) == set(names) - {"HEAD"}

    def test_pushed_refs_are_read_there(
        self, scene: GitScene, remote: Path, tmp_path: Path
    ) -> None:
        """With a push address of its own, references are looked for where they were pushed, also to fetch them."""
        mirror = tmp_path / "mirror.git"
        scene.git("clone", "--quiet", "--bare", str(remote), str(mirror))
        scene.git("config", "remote.origin.url", str(mirror))
        scene.git("config", "remote.origin.pushurl", str(remote))
        repo = Repo(scene.top)
        made = scene.commit("release")
        repo.push("origin", [f"{made}:refs/heads/main", f"{made}:refs/heads/other"])
        scene.git("push", "--quiet", "origin", ":refs/heads/other")
        scene.git("update-ref", "refs/remotes/origin/main", f"{made}^")

        repo.fetch("origin", "refs/heads/main")

        assert commits_at(repo) == {"HEAD": made, "refs/heads/main": made}
        assert refs(mirror)["refs/heads/main"] != made
        assert scene.git("rev-parse", "origin/main") == made
        assert scene.git("remote").split() == ["origin"], "nothing stays in the configuration"

    def test_dry_run_push_changes_nothing(self, scene: GitScene, remote: Path) -> None:
        """A dry run tells whether the branch would be taken, and takes nothing."""
        repo = Repo(scene.top)
        before = refs(remote)
        made = scene.commit("release")

        repo.push("origin", [f"{made}:refs/heads/main"], dry_run=True)
        assert refs(remote) == before

        scene.git("push", "--quiet", "origin", "main")
        scene.git("reset", "--quiet", "--hard", "HEAD^")
        other = scene.commit("another")
        with pytest.raises(ReleaseError) as caught:
            repo.push("origin", [f"{other}:refs/heads/main"], dry_run=True)
        assert caught.value.code is ErrorCode.PUSH_REJECTED

    @pytest.mark.parametrize(
        "address",
        [
            "nowhere.git",
            "https://127.0.0.1:9/ada/engine.git",
            "ssh://nobody@127.0.0.1:9/engine.git",
        ],
    )
    def test_unreachable_remote_is_no_rejection(
        self, scene: GitScene, remote: Path, address: str
    ) -> None:
        """A remote that is not there, or does not answer, has not refused anything."""
        assert remote
        scene.git("remote", "set-url", "origin", address)
        repo = Repo(scene.top)

        with pytest.raises(ReleaseError) as asked:
            repo.ls_remote("origin")
        with pytest.raises(ReleaseError) as pushed:
            repo.push("origin", ["HEAD:refs/heads/main"])

        assert asked.value.code is pushed.value.code is ErrorCode.REMOTE_UNREACHABLE

    def test_missing_ssh_is_no_rejection(
        self, scene: GitScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A machine without ssh has asked nobody, so nobody has refused anything."""
        git = shutil.which("git")
        assert git
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "git").symlink_to(git)
        scene.git("remote", "add", "origin", "ssh://nobody@127.0.0.1:9/engine.git")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))

        with pytest.raises(ReleaseError) as pushed:
            Repo(scene.top).push("origin", ["HEAD:refs/heads/main"])

        assert pushed.value.code is ErrorCode.REMOTE_UNREACHABLE
        assert "cannot run ssh" in pushed.value.output

    def test_push_never_forces_moved_branch(self, scene: GitScene, remote: Path) -> None:
        """A branch that has moved is not forced, and no tag arrives without it."""
        repo = Repo(scene.top)
        moved = scene.commit("theirs")
        scene.git("push", "--quiet", "origin", "main")
        scene.git("reset", "--quiet", "--hard", "HEAD^")
        made = scene.commit("release")
        repo.make_tag("v1", made)

        with pytest.raises(ReleaseError) as caught:
            repo.push("origin", [f"{made}:refs/heads/main", "refs/tags/v1:refs/tags/v1"])

        assert caught.value.code is ErrorCode.PUSH_REJECTED
        assert "main" in caught.value.location
        assert "non-fast-forward" in caught.value.output or "fetch first" in caught.value.output
        assert refs(remote) == {"refs/heads/main": moved}

    def test_moved_tag_blocks_the_push(self, scene: GitScene, remote: Path) -> None:
        """A tag that the remote has on another commit stays there, and the branch stays behind with it."""
        repo = Repo(scene.top)
        scene.git("tag", "v1")
        scene.git("push", "--quiet", "origin", "v1")
        scene.git("tag", "--delete", "v1")
        before = refs(remote)
        made = scene.commit("release")
        repo.make_tag("v1", made)

        with pytest.raises(ReleaseError, match="RK-PUSH-REJECTED"):
            repo.push("origin", [f"{made}:refs/heads/main", "refs/tags/v1:refs/tags/v1"])

        assert refs(remote) == before

    @pytest.mark.parametrize("hook", ["pre-receive", "update"])
    def test_rejected_push_shows_remote_message(
        self, scene: GitScene, remote: Path, hook: str
    ) -> None:
        """What a protected branch says is shown, and none of the references arrives."""
        script = 'if [ "$1" = refs/heads/main ] || [ -z "$1" ]; then echo "main is protected" >&2; exit 1; fi'
        (remote / "hooks" / hook).write_text(f"#!/bin/sh\n{script}\n")
        (remote / "hooks" / hook).chmod(0o755)
        repo, before = Repo(scene.top), refs(remote)
        made = scene.commit("release")
        repo.make_tag("v1", made)

        with pytest.raises(ReleaseError) as caught:
            repo.push("origin", ["refs/tags/v1:refs/tags/v1", f"{made}:refs/heads/main"])

        assert caught.value.code is ErrorCode.PUSH_REJECTED
        assert "main is protected" in caught.value.output
        assert refs(remote) == before

    def test_push_runs_no_hooks(self, scene: GitScene, remote: Path) -> None:
        """A pre-push hook that runs the whole test suite does not run."""
        scene.hook("pre-push", "exit 1")
        made = scene.commit("release")

        Repo(scene.top).push("origin", [f"{made}:refs/heads/main"])

        assert refs(remote)["refs/heads/main"] == made

    def test_missing_remote_shows_no_password(self, scene: GitScene) -> None:
        """A remote that is not there is named, without the password in its address."""
        scene.git("remote", "add", "gone", "file://ada:opensesame@/nowhere")

        with pytest.raises(ReleaseError) as caught:
            Repo(scene.top).push("gone", ["HEAD:refs/heads/main"])

        assert caught.value.code is ErrorCode.REMOTE_UNREACHABLE
        assert caught.value.message == "'/nowhere' does not appear to be a git repository"
        assert "opensesame" not in caught.value.output


class TestHolding:
    """What only one clone can do, and what nobody else must undo."""

    def wrapped(self, repo: Repo, who: str = "Ada <ada@example.invalid>") -> str:
        """Return a commit that holds a file on top of HEAD."""
        return repo.commit_files(
            repo.head, {"b.json": "ä", "a.json": "{}"}, "held\n", who, "2026-11-22T12:00:00+00:00"
        )

    def test_wrapped_commit_is_reproducible(self, scene: GitScene) -> None:
        """A wrapped commit has the files alone, its author and time; the same again is the same commit."""
        repo = Repo(scene.top)

        made = self.wrapped(repo)

        assert self.wrapped(repo) == made != self.wrapped(repo, "Zoë <zoe@example.invalid>")
        assert repo.texts([(made, "a.json"), (made, "b.json"), (made, "a")]) == {
            (made, "a.json"): "{}",
            (made, "b.json"): "ä",
        }
        assert repo.parent(made) == repo.head
        assert scene.git("log", "-1", "--format=%an|%ae|%cI|%s", made).startswith(
            "Ada|ada@example.invalid|2026-11-22T"
        )
        assert scene.git("for-each-ref") == f"{repo.head} commit\trefs/heads/main"
        assert scene.git("status", "--porcelain") == ""

    def test_lease_guards_the_lock_ref(self, scene: GitScene, remote: Path) -> None:
        """A reference is taken if it is not there, moved or deleted if it is where one says, and else not."""
        repo = Repo(scene.top)
        mine, other = self.wrapped(repo), self.wrapped(repo, "Zoë <zoe@example.invalid>")
        repo.push("origin", [f"{mine}:{LOCK_REF}"], leases={LOCK_REF: ""})

        for refspecs, lease in (
            ([f"{other}:{LOCK_REF}"], ""),
            ([f"{other}:{LOCK_REF}"], other),
            ([f":{LOCK_REF}"], other),
        ):
            with pytest.raises(ReleaseError) as caught:
                repo.push(
                    "origin",
                    [f"{repo.head}:refs/tags/with-it", *refspecs],
                    leases={LOCK_REF: lease},
                )
            assert caught.value.code is ErrorCode.PUSH_REJECTED
        assert repo.ls_remote("origin", LOCK_REF) == {LOCK_REF: Ref(mine, mine)}
        assert "refs/tags/with-it" not in repo.ls_remote("origin"), "all or none"

        repo.push("origin", [f"{other}:{LOCK_REF}"], leases={LOCK_REF: mine})
        repo.push("origin", [f":{LOCK_REF}"], leases={LOCK_REF: other})
        assert remote.exists()
        assert LOCK_REF not in repo.ls_remote("origin")

    def test_lease_forces_nothing_else(self, scene: GitScene, remote: Path) -> None:
        """Beside a reference that may move, a branch still only steps forward."""
        assert remote.exists()
        repo = Repo(scene.top)
        repo.push("origin", [f"{repo.head}:refs/heads/main"])
        aside = self.wrapped(repo)
        repo.push("origin", [f"{aside}:refs/heads/main"])

        with pytest.raises(ReleaseError):
            repo.push(
                "origin",
                [f"{repo.head}:refs/heads/main", f"{aside}:{LOCK_REF}"],
                leases={LOCK_REF: ""},
            )

        assert repo.ls_remote("origin")["refs/heads/main"].commit == aside
        assert LOCK_REF not in repo.ls_remote("origin")

    def test_replaced_tag_is_not_deleted(self, scene: GitScene) -> None:
        """A tag goes if it is what it was, and stays if somebody has made another of its name."""
        repo = Repo(scene.top)
        repo.make_tag("v1", repo.head)
        was = repo.tag_refs()["v1"]
        assert was.object != was.commit == repo.head
        scene.git("tag", "--force", "--annotate", "--message", "other", "v1")

        with pytest.raises(ReleaseError):
            repo.delete_tag("v1", was.object)
        repo.delete_tag("v1", repo.tag_refs()["v1"].object)

        assert repo.tags() == {}

    def test_new_commits_are_counted(self, scene: GitScene) -> None:
        """Commits are counted that nobody knew of."""
        repo = Repo(scene.top)
        made = scene.commit("two")
        scene.commit("three")

        assert (
            repo.count_commits_since(repo.head),
            repo.count_commits_since(repo.head, made),
            repo.count_commits_since(repo.head, ""),
        ) == (2, 1, 2)
        assert repo.subject(made) == "two"
        last = scene.commit("\x1b[2Jfour")
        assert [title[-4:] for title in repo.commit_titles(made, last)] == ["four", "hree"]
        assert "\x1b" not in "".join(repo.commit_titles(made, last))

    @pytest.mark.parametrize("key", ["commit.gpgSign", "tag.gpgSign", "tag.forceSignAnnotated"])
    def test_signing_failure_comes_first(self, scene: GitScene, key: str) -> None:
        """That git cannot sign, though it is told to, is found out before anything is made."""
        repo = Repo(scene.top)
        scene.git("config", "gpg.program", "false")
        repo.check_signing()
        scene.git("config", key, "true")
        objects = scene.git("count-objects", "-v")

        with pytest.raises(Refusal) as caught:
            repo.check_signing()

        assert caught.value.code is ErrorCode.SIGNING_FAILED
        scene.git(
            "config",
            "gpg.program",
            str(
                scene.write(
                    "sign",
                    "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho signed\n",
                )
            ),
        )
        (scene.top / "sign").chmod(0o755)
        repo.check_signing()
        assert scene.git("count-objects", "-v") == objects, "what was signed is gone"

    def test_git_lock_file_is_named(self, scene: GitScene, tmp_path: Path) -> None:
        """A lock file that a killed git left behind is named, and what to do about it."""
        repo = Repo(scene.top)
        repo.add_worktree(tmp_path / "tree", repo.head)
        (tmp_path / "tree" / "a").write_text("released\n")
        made = repo.commit(tmp_path / "tree", "release", ["a"], hooks=False)
        (scene.top / ".git/index.lock").touch()

        with pytest.raises(ReleaseError) as caught:
            repo.fast_forward(made)

        assert caught.value.code is ErrorCode.GIT_LOCKED
        assert caught.value.message.startswith("Unable to create"), (
            "git's own 'fatal:' or 'error:' is not said twice"
        )
        assert "index.lock': File exists" in caught.value.message

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            (
                "error: cannot lock ref 'r': Unable to create '/r/.git/r.lock': Permission denied",
                ErrorCode.FILE_SYSTEM,
            ),
            (
                "fatal: cannot create directory at 'packages': Permission denied",
                ErrorCode.FILE_SYSTEM,
            ),
            ("error: file write error: No space left on device", ErrorCode.FILE_SYSTEM),
            (
                "git@forge.example: Permission denied (publickey).\nCould not read from r",
                ErrorCode.COMMAND_FAILED,
            ),
        ],
    )
    def test_git_system_errors_are_named(self, scene: GitScene, said: str, code: ErrorCode) -> None:
        """What the system refuses to git has its name, whatever git was about; here a hook says what git would."""
        scene.hook("reference-transaction", f"cat >&2 <<'END'\n{said}\nEND\nexit 1")
        command = Repo(scene.top).command("update-ref", "refs/heads/made", "HEAD", hooks=True)

        with pytest.raises(ReleaseError) as caught:
            run_git(command)

        assert caught.value.code is code, caught.value.output


class TestFastForward:
    """The user's branch, at the end."""

    def released(self, repo: Repo, tmp_path: Path) -> str:
        """Make a release commit in a worktree and return it."""
        repo.add_worktree(tmp_path / "tree", repo.head)
        (tmp_path / "tree" / "a").write_text("released\n")
        return repo.commit(tmp_path / "tree", "release", ["a"], hooks=False)

    def test_fast_forward_brings_files_along(self, scene: GitScene, tmp_path: Path) -> None:
        """A branch that has not moved is brought along, files and all, without hooks; once more changes nothing."""
        scene.hook("post-merge", f"touch {tmp_path}/ran")
        repo = Repo(scene.top)
        made = self.released(repo, tmp_path)

        assert repo.fast_forward(made)

        assert scene.git("rev-parse", "main") == made
        assert (scene.top / "a").read_text() == "released\n"
        assert scene.git("status", "--porcelain") == ""
        assert repo.fast_forward(made)
        assert Repo(scene.top).fast_forward(made)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("reopened", [False, True])
    def test_fast_forward_leaves_moved_branch(
        self, scene: GitScene, tmp_path: Path, reopened: bool
    ) -> None:
        """A branch with commits since then is left alone, also by a later run that carries the release on."""
        repo = Repo(scene.top)
        made = self.released(repo, tmp_path)
        moved = scene.commit("mine", {"b": ""})

        assert not (Repo(scene.top) if reopened else repo).fast_forward(made)
        assert scene.git("rev-parse", "main") == moved

    def test_fast_forward_accepts_merged_release(self, scene: GitScene, tmp_path: Path) -> None:
        """A branch that holds the release commit among others is where it should be."""
        repo = Repo(scene.top)
        made = self.released(repo, tmp_path)
        scene.git("merge", "--quiet", made)
        later = scene.commit("mine", {"b": ""})

        assert repo.fast_forward(made)
        assert scene.git("rev-parse", "main") == later

    @pytest.mark.parametrize("path", ["a", "untracked"])
    def test_fast_forward_keeps_user_changes(
        self, scene: GitScene, tmp_path: Path, path: str
    ) -> None:
        """Work that the user has begun meanwhile is not touched."""
        repo = Repo(scene.top)
        made = self.released(repo, tmp_path)
        scene.write(path, "mine")

        assert not repo.fast_forward(made)
        assert (scene.top / path).read_text() == "mine"
        assert scene.git("rev-parse", "main") == repo.head

    @pytest.mark.parametrize(
        "now",
        [
            {"a": "rel"},
            {"a": None},
            {"a": "released\n", "new": ""},
            {"new": "first\n"},
            {"a": None, "new": "fi"},
        ],
    )
    def test_fast_forward_resumes_after_kill(
        self, scene: GitScene, tmp_path: Path, now: dict[str, str | None]
    ) -> None:
        """What a killed step forward has left, git's files being no transaction, is gone over again."""
        repo = Repo(scene.top)
        repo.add_worktree(tmp_path / "tree", repo.head)
        (tmp_path / "tree" / "a").write_text("released\n")
        (tmp_path / "tree" / "new").write_text("first\n")
        repo.add(tmp_path / "tree", ["new"])
        made = repo.commit(tmp_path / "tree", "release", ["a", "new"], hooks=False)
        for path, text in now.items():
            scene.write(path, text) if text is not None else (scene.top / path).unlink()
        before = scene.git("status", "--porcelain")
        scene.git("add", "--all")
        assert not repo.fast_forward(made), "somebody has staged it, so it is theirs"
        scene.git("reset", "--quiet")
        assert scene.git("status", "--porcelain") == before

        assert repo.fast_forward(made)

        assert (scene.git("rev-parse", "main"), scene.git("status", "--porcelain")) == (made, "")

    def test_fast_forward_leaves_other_branch(self, scene: GitScene, tmp_path: Path) -> None:
        """A branch that was checked out meanwhile is not the one to move."""
        repo = Repo(scene.top)
        made = self.released(repo, tmp_path)
        scene.git("checkout", "--quiet", "-b", "feature")

        assert not repo.fast_forward(made)
        assert scene.git("rev-parse", "feature") == repo.head

    def test_fast_forward_leaves_detached_head(self, scene: GitScene, tmp_path: Path) -> None:
        """A detached HEAD is no branch to bring along."""
        scene.git("checkout", "--quiet", "--detach")
        repo = Repo(scene.top)
        made = self.released(repo, tmp_path)

        assert not repo.fast_forward(made)
        assert scene.git("rev-parse", "HEAD") == repo.head


class TestClone:
    """The throwaway clone of a rehearsal."""

    def test_clone_ignores_git_environment(
        self, scene: GitScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is a repository of its own, whatever repository the environment names."""
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))

        clone(str(scene.top), tmp_path / "copy", "--no-hardlinks")

        assert Repo(tmp_path / "copy").head == Repo(scene.top).head
        assert Repo(tmp_path / "copy").remotes() == ("origin",)

    def test_clone_needs_a_repository(self, plain_git: None, tmp_path: Path) -> None:  # noqa: ARG002
        """A source that is no repository is an error with what git says."""
        with pytest.raises(ReleaseError, match="RK-COMMAND-FAILED"):
            clone(str(tmp_path), tmp_path / "copy")
