"""Releases by pull request: proposed, merged in each way with others' commits in between, tagged, published."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from releasekit.core.errors import ErrorCode
from releasekit.integrations import git
from releasekit.integrations.github import GitHub
from releasekit.integrations.uv import Uv
from tasks import pr_steps as pull_tasks
from tests.support.github import WRITER, GitHubDouble
from tests.support.world import Said, World, dated_tag, make_world, upload, write_package

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

PREPARE = ("prepare", "--skip-audit", "--format", "json")
PUBLISH = ("publish", "--yes", "--skip-smoke-test", "--format", "json", "--manifest")
HAND_ON = ("publish", "--publish-from=ci", "--format", "json")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[GitHubDouble]:
    """Run a GitHub, with a token for it; nothing is recorded in Prefect."""
    monkeypatch.setenv("GH_TOKEN", WRITER)
    monkeypatch.setenv("PREFECT_API_URL", "")
    double = GitHubDouble(tmp_path / "hub")
    with double.serving():
        yield double


@pytest.fixture
def world(tmp_path: Path, hub: GitHubDouble) -> World:
    """Make a workspace on that GitHub: app needs core; both are out as 0.1.0, and core has a new feature."""
    made = make_world(tmp_path, "app: core; core")
    world = World(made.root, hub.bare)
    world.git("remote", "set-url", "origin", hub.remote)
    text = (world.root / "pyproject.toml").read_text()
    world.commit(
        "chore: configure", {"pyproject.toml": f'{text}\n[tool.releasekit]\nforge = "github"\n'}
    )
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.git("push", "--quiet", "origin", "main", "--tags")
    hub.protect_main()
    land(world, hub, "feat: pears", core="PEARS = True\n")
    return world


def land(world: World, hub: GitHubDouble, message: str, **modules: str) -> str:
    """Let somebody's commit come to main, as by a pull request of theirs, and check it out."""
    sources = {f"packages/{name}/src/{name}/__init__.py": text for name, text in modules.items()}
    world.git("fetch", "--quiet", "--tags", "origin", "main")
    world.git("reset", "--quiet", "--hard", "FETCH_HEAD")
    commit = world.commit(message, sources)
    world.git("push", "--quiet", "origin", f"{commit}:refs/heads/work")
    hub.git("update-ref", "refs/heads/main", commit)
    hub.git("update-ref", "-d", "refs/heads/work")
    return commit


def configure(world: World, hub: GitHubDouble, table: str) -> None:
    """Let settings come to main."""
    if table:
        text = (world.root / "pyproject.toml").read_text()
        world.write({"pyproject.toml": f"{text}{table}\n"})
        world.git("commit", "--quiet", "--all", "--message", "chore: configure")
        hub.git("fetch", "--quiet", str(world.root), "+main:main")


def pull(world: World) -> None:
    """Bring the checkout to what main is, with its tags."""
    world.git("fetch", "--quiet", "--tags", "origin", "main")
    world.git("reset", "--quiet", "--hard", "FETCH_HEAD")


def told(said: Said) -> dict[str, Any]:
    """Return what a command has answered, without times; it has to have done something or found nothing to do."""
    assert said.code == 0, said.err
    answer: dict[str, Any] = json.loads(said.out)
    answer.pop("timeline", None)
    return answer


def written(hub: GitHubDouble, since: int) -> list[str]:
    """Return the requests after the first *since* that change something."""
    asked = [request for request in hub.requests[since:] if request.method != "GET"]
    return [
        f"{r.method} {r.path}" for r in asked if not r.path.endswith(("generate-notes", "graphql"))
    ]


def refs(hub: GitHubDouble) -> dict[str, str]:
    """Return all references of the remote."""
    lines = hub.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return {line.split()[0]: line.split()[1] for line in lines}


@contextmanager
def nothing_written(hub: GitHubDouble) -> Generator[None]:
    """Check that nobody changes anything inside the block."""
    asked, before = len(hub.requests), refs(hub)
    yield
    assert (refs(hub), written(hub, asked)) == (before, [])


KEYS = {
    "merge": 'publish_workflow = ""',
    "squash": "",
    "rebase": 'release_branch = "next/release"\npublish_workflow = "deploy.yml"\nsecrets.GITHUB_TOKEN = "FORGE_PASS"',
}
WORKFLOWS = {"merge": [], "squash": ["publish.yml"], "rebase": ["deploy.yml"]}


def fetch(world: World, tag: str) -> None:
    """Fetch the manifest of the draft into a file, and of *tag* onto the terminal: it is the same one."""
    file = world.root.parent / "fetched" / "manifest.json"
    assert world.releasekit("manifest", "--output", str(file)).code == 0
    assert file.read_text() == world.releasekit("manifest", tag).out


@pytest.mark.usefixtures("own_index")
@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_merged_pull_request_is_published(  # noqa: PLR0915  one story is expensive, and each of its steps is looked at
    world: World,
    hub: GitHubDouble,
    how: Literal["merge", "squash", "rebase"],
    prefect_api: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is merged, in whichever way, is tagged, published and promoted; each phase finds itself done."""
    closely = how == "squash"
    if how == "rebase":
        monkeypatch.delenv("GH_TOKEN")
        monkeypatch.setenv("FORGE_PASS", WRITER)
    configure(world, hub, KEYS[how])
    branch = "next/release" if how == "rebase" else "releasekit/release"
    # Recorded once, which nothing needs.
    monkeypatch.setenv("PREFECT_API_URL", prefect_api if closely else "")
    first = told(world.releasekit(*PREPARE))
    monkeypatch.setenv("PREFECT_API_URL", "")
    (number,) = hub.pulls
    body, labels = (
        hub.pulls[number]["body"],
        [label["name"] for label in hub.pulls[number]["labels"]],
    )
    assert (first["stage"], first["changed"], first["packages"]) == ("open", True, ["core 0.2.0"])
    assert (hub.pulls[number]["title"], labels) == ("chore(release): core-v0.2.0", ["release"])
    assert "| core | 0.1.0 | 0.2.0 | minor | feat: pears" in body
    assert hub.git("diff", "--stat", f"main...{branch}").count("|") == 3, (
        "version, changelog, uv.lock"
    )
    if closely:
        with nothing_written(hub):
            assert told(world.releasekit(*PREPARE)) == {**first, "changed": False}
            assert (
                told(world.releasekit(*HAND_ON))["what"]
                == f"nothing to release: #{number} waits to be merged"
            )

    between = land(world, hub, "docs: between", app='"""words"""\n')
    merged = hub.merge(number, how)
    land(world, hub, "fix: after", app='"""more words"""\n')
    if closely:
        with nothing_written(hub):
            early, looked = (
                told(world.releasekit(*PREPARE)),
                told(world.releasekit(*HAND_ON, "--dry-run")),
            )
            assert (early["stage"], looked["stage"], looked["commit"]) == (
                "merged",
                "merged",
                merged,
            )
        monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    done = told(world.releasekit(*HAND_ON))

    assert (done["stage"], done["commit"], done["tags"]) == ("draft", merged, ["core-v0.2.0"])
    beside = "merged after the pull request was made, and missing in its changelogs"
    assert done["notes"] == [f"{beside}: {between[:7]} docs: between"]
    assert {tag: world.tags()[tag] for tag in done["tags"]} == dict.fromkeys(done["tags"], merged)
    assert [push for push in hub.pushes() if any("/tags/" in name for name in push)][-1:] == [
        ["refs/tags/core-v0.2.0"],
    ]
    (draft,) = hub.releases.values()
    assert (draft["draft"], draft["tag_name"]) == (True, "core-v0.2.0")
    assert draft["body"].startswith("> **Not published yet.**")
    started = {"ref": "core-v0.2.0", "inputs": {"release": "core-v0.2.0"}}
    assert hub.dispatched == [(workflow, started) for workflow in WORKFLOWS[how]]
    assert [name for name in refs(hub) if "release" in name] == []
    if closely:
        monkeypatch.setenv("PREFECT_API_URL", "")
        with nothing_written(hub):
            for command in (HAND_ON, PREPARE):
                assert (
                    told(world.releasekit(*command))["what"]
                    == "core-v0.2.0 is tagged, and waits to be published"
                )
            concurrent = world.releasekit("publish", "--yes", "--skip-audit")
            assert (concurrent.code, ErrorCode.PREFLIGHT_CONCURRENT_RELEASE in concurrent.err) == (
                2,
                True,
            ), concurrent.err

    if how == "merge":
        undoing = told(world.releasekit("rollback", "core-v0.2.0", "--dry-run", "--format", "json"))
        assert f"`git revert -m 1 {merged[:12]}` reverts" in "".join(undoing["notes"])
    before = refs(hub)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    report = told(world.releasekit(*PUBLISH, "draft" if closely else "core-v0.2.0"))

    assert [(p["name"], p["version"], p["outcome"]) for p in report["packages"]] == [
        ("core", "0.2.0", "confirmed")
    ]
    assert (draft["draft"], "Not published yet" in draft["body"], report["page"]) == (
        False,
        False,
        draft["html_url"],
    )
    assert refs(hub) == before, "nothing was left to push"
    if closely:
        pushed = len(hub.pushes())
        with monkeypatch.context() as patched:
            patched.setattr(Uv, "build_command", killed)
            assert told(world.releasekit(*PUBLISH, "core-v0.2.0")) == report, (
                "nothing is built again where it was released"
            )
        shutil.rmtree(world.root / ".git" / "releasekit")
        assert told(world.releasekit(*PUBLISH, "core-v0.2.0")) == report, (
            "and elsewhere it is compared"
        )
        assert len(hub.pushes()) == pushed
    if how == "merge":
        undoing = told(world.releasekit("rollback", "core-v0.2.0", "--dry-run", "--format", "json"))
        assert "stays: it contains versions that are on the index" in "".join(undoing["notes"])
        assert (undoing["tags"], undoing["remote_tags"]) == ([], [])


@pytest.mark.usefixtures("own_index")
def test_own_messages_and_commands_are_merged(world: World, hub: GitHubDouble) -> None:
    """The pull request has the title of the template, and what the commands change; after a squash nothing is left.

    Neither the job that tags the merge nor the one that publishes it runs the commands.
    """
    log = world.root.parent / "runs.txt"
    command = f"printf done > docs.txt; echo run >> {log}"
    keys = 'commit_message = "feat!: ship {release}"\ntag_message = "Tag {tag}"\n'
    keys += f'pre_release = [["sh", "-c", "{command}"]]'
    world.commit("docs: begin", {"docs.txt": "begun"})
    configure(world, hub, keys)

    first = told(world.releasekit(*PREPARE))

    (number,) = hub.pulls
    assert hub.pulls[number]["title"] == f"feat!: ship {first['title']}"
    assert "1 pre-release command: sh -c 'printf done" in hub.pulls[number]["body"]
    assert hub.git("show", "releasekit/release:docs.txt") == "done"
    merged = hub.merge(number, "squash")
    pull(world)
    done = told(world.releasekit(*HAND_ON))
    assert (done["commit"], done["title"]) == (merged, first["title"])
    pull(world)
    for tag in done["tags"]:
        assert world.git("tag", "--list", "--format=%(contents)", tag) == f"Tag {tag}"
    report = told(world.releasekit(*PUBLISH, done["title"]))
    assert [package["outcome"] for package in report["packages"]] == ["confirmed"]
    assert log.read_text() == "run\n"
    plan = told(world.releasekit("plan", "--offline", "--format", "json"))
    assert {row["name"]: row["next"] for row in plan["packages"]} == {"app": None, "core": None}


def killed(*_: object, **__: object) -> None:
    """Stand for a step that is killed."""
    raise KeyboardInterrupt


def test_pull_request_survives_every_kill(
    world: World, hub: GitHubDouble, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each phase is killed before each of its steps, and run again: the end is that of an undisturbed one."""
    assert own_index
    for door in (
        (git.Repo, "commit_files"),
        (git.Repo, "push"),
        (GitHub, "open_pull_request"),
        (GitHub, "_ensure_label"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(*door, killed)
            assert world.releasekit(*PREPARE).code == 130, door
    proposed = told(world.releasekit(*PREPARE))
    assert len(hub.pulls) == 1
    branches = [name for name in refs(hub) if name.startswith("refs/heads/releasekit")]
    assert (branches, len([push for push in hub.pushes() if branches[0] in push])) == (
        [branches[0]],
        1,
    )
    # Merged by hand, so that the forge does not know.
    hub.git("update-ref", "refs/heads/main", proposed["commit"])
    pull(world)
    world.git("checkout", "--quiet", "--detach")
    detached = world.releasekit(*HAND_ON)
    assert (detached.code, ErrorCode.PREFLIGHT_DETACHED_HEAD in detached.err) == (2, True), (
        detached.err
    )
    for name, value in (("CI", "true"), ("GITHUB_REF_TYPE", "branch"), ("GITHUB_REF_NAME", "main")):
        monkeypatch.setenv(name, value)  # which a CI does, that checks out a commit
    asked = len(hub.requests)
    doors = (
        (git.Repo, "make_tag"),
        (git.Repo, "push"),
        (GitHub, "create_release"),
        (GitHub, "upload_asset"),
    )
    for door in (*doors, (GitHub, "dispatch"), (pull_tasks, "delete_pull_request_refs")):
        with monkeypatch.context() as patched:
            patched.setattr(*door, killed)
            assert world.releasekit(*HAND_ON).code == 130, door
    assert told(world.releasekit(*PREPARE))["stage"] == "draft", (
        "another one has to wait, wherever it was killed"
    )
    done = told(world.releasekit(*HAND_ON))

    assert (done["commit"], done["tags"]) == (proposed["commit"], ["core-v0.2.0"])
    assert {world.tags()[tag] for tag in done["tags"]} == {proposed["commit"]}
    made = [request.rpartition("/")[2] for request in written(hub, asked)]
    assert made == ["releases", "assets", "dispatches", "dispatches"], (
        "only the workflow may be started twice"
    )
    assert [name for name in refs(hub) if "releasekit" in name] == []
    state = world.state()
    assert (
        state["status"],
        state["worktrees"].count("\n"),
        state["records"].replace("scratch.dropped", ""),
    ) == (
        "",
        0,
        "",
    )

    fetch(world, "core-v0.2.0")
    private = told(world.releasekit("rollback", "core-v0.2.0", "--dry-run", "--format", "json"))
    assert (private["public"], private["remote_tags"]) == ([], done["tags"])
    upload(world, own_index, "core")  # by a machine of which nothing is known here
    public = told(world.releasekit("rollback", "core-v0.2.0", "--dry-run", "--format", "json"))
    assert [package["name"] for package in public["public"]] == ["core"]
    assert [kept["tag"] for kept in public["kept_tags"]] == done["tags"]
    undone = world.releasekit("rollback", "core-v0.2.0", "--yes", "--all-tags", "--format", "json")
    assert undone.code == 0, undone.err
    assert (json.loads(undone.out)["draft"], hub.releases) == (done["page"], {})
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0"}


@pytest.mark.usefixtures("own_index")
def test_prepare_refuses_first_release(
    world: World, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked by `prepare`, so a new package needs `--allow-new`; the merged plan then asks nothing again."""
    monkeypatch.delenv("RELEASEKIT_ALLOW_NEW")
    write_package(world, "lone", [])
    world.commit("feat: lone")
    world.lock()
    hub.git("fetch", "--quiet", str(world.root), "+main:main")
    before = refs(hub)

    for argv in ((), ("--dry-run",)):
        refused = world.releasekit(*PREPARE, *argv)
        assert (refused.code, ErrorCode.FIRST_RELEASE in refused.out + refused.err) == (2, True), (
            refused.err
        )
    assert (refs(hub), hub.pulls) == (before, {})
    assert "releasekit prepare --allow-new lone" in refused.out

    proposed = told(world.releasekit(*PREPARE, "--allow-new", "lone"))
    assert proposed["packages"] == ["core 0.2.0", "lone 0.1.0"]
    assert "lone" in hub.pulls[1]["body"]


@pytest.mark.usefixtures("own_index")
def test_prepare_keeps_requested_versions(world: World, hub: GitHubDouble) -> None:
    """What a maintainer requests stays in the pull request when CI prepares again, until something else is asked."""
    asked = told(world.releasekit(*PREPARE, "--bump", "patch", "-p", "core"))
    assert asked["packages"] == ["core 0.1.1"], "the commits ask for 0.2.0"
    land(world, hub, "fix: words", app='"""words"""\n')

    again = world.releasekit(*PREPARE)

    assert (told(again)["packages"], told(again)["changed"]) == (["core 0.1.1", "app 0.1.1"], True)
    assert "kept from the release pull request: --bump core=patch\n" in again.err
    assert "--bump patch" in hub.pulls[1]["body"]
    other = told(world.releasekit(*PREPARE, "--set-version", "core=3.0.0"))
    assert other["packages"] == ["core 3.0.0", "app 0.1.1"]
    assert told(world.releasekit(*PREPARE))["packages"] == ["core 3.0.0", "app 0.1.1"]
    hub.pulls[1]["state"] = "closed"
    assert told(world.releasekit(*PREPARE))["packages"] == ["core 0.2.0", "app 0.1.1"], (
        "nobody wants it any more"
    )


@pytest.mark.usefixtures("own_index")
def test_change_files_reach_pull_request(world: World, hub: GitHubDouble) -> None:
    """Change files decide the pull request, are deleted by it, and count no more once it is merged and tagged."""
    text = "---\ncore: major\napp: patch\n---\n\nPears are ripe\n"
    land_files(world, hub, {".changes/pears.md": text})

    proposed = told(world.releasekit(*PREPARE))

    assert proposed["packages"] == ["core 0.2.0", "app 0.1.1"]
    assert ".changes/pears.md" in hub.pulls[1]["body"]
    branch = "releasekit/release"
    assert ".changes/pears.md" not in hub.git("ls-tree", "-r", "--name-only", branch)
    assert "- Pears are ripe" in hub.git("show", f"{branch}:packages/app/CHANGELOG.md")
    land_files(world, hub, {".changes/apples.md": "---\napp: minor\n---\n\nApples\n"})
    assert told(world.releasekit(*PREPARE))["packages"] == ["core 0.2.0", "app 0.2.0"]
    hub.merge(1, "squash")
    pull(world)
    assert told(world.releasekit(*HAND_ON))["stage"] == "draft"
    pull(world)
    plan = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    assert {row["name"]: row["next"] for row in plan["packages"]} == {"core": None, "app": None}


@pytest.mark.usefixtures("own_index")
def test_pull_request_has_workspace_changelog(world: World, hub: GitHubDouble) -> None:
    """The pull request adds one section for all packages, and still does after it is merged and handed on."""
    configure(
        world, hub, 'versioning = "fixed"\nchangelog = false\nworkspace_changelog = "CHANGELOG.md"'
    )

    proposed = told(world.releasekit(*PREPARE))

    assert proposed["packages"] == ["core 0.2.0", "app 0.2.0"]
    branch = "releasekit/release"
    text = hub.git("show", f"{branch}:CHANGELOG.md")
    assert text.count("\n## ") == text.count("- pears (") == 1
    assert "CHANGELOG.md" not in hub.git("ls-tree", "-r", "--name-only", branch, "packages")
    hub.merge(1, "squash")
    pull(world)
    assert told(world.releasekit(*HAND_ON))["stage"] == "draft"
    pull(world)
    assert (world.root / "CHANGELOG.md").read_text().rstrip() == text.rstrip()


def land_files(world: World, hub: GitHubDouble, files: dict[str, str]) -> None:
    """Let a commit with *files* come to main."""
    world.write(files)
    land(world, hub, "Describe it")


def test_changed_versions_renew_pull_request(
    world: World, hub: GitHubDouble, own_index: EmbeddedIndex
) -> None:
    """What lands meanwhile and asks for other versions makes another pull request; what others push is kept."""
    assert own_index
    before = refs(hub)
    world.commit("fix: only here", {"packages/core/README.md": "here"})
    unpushed = world.releasekit(*PREPARE)
    assert (unpushed.code, ErrorCode.BRANCH_UNPUSHED in unpushed.err) == (2, True), unpushed.err
    world.git("reset", "--quiet", "--hard", "HEAD~1")
    looked = told(world.releasekit(*PREPARE, "--dry-run", "--release-branch", "other"))
    assert (looked["packages"], refs(hub), hub.pulls) == (["core 0.2.0"], before, {})
    told(world.releasekit(*PREPARE))
    land(world, hub, "fix: words", app='"""words"""\n')
    moved = told(world.releasekit(*PREPARE))
    assert (moved["changed"], moved["packages"], len(hub.pulls)) == (
        True,
        ["core 0.2.0", "app 0.1.1"],
        1,
    )
    assert hub.git("rev-list", "--count", "main..releasekit/release") == "1"
    land(world, hub, "feat: more words", app='"""more words"""\n')
    hub.merge(1, "squash")
    pull(world)
    before = refs(hub)
    stale = world.releasekit(*HAND_ON)
    assert stale.code == 2
    assert f"{ErrorCode.PULL_STALE}: app would become 0.2.0 instead of 0.1.1: feat" in stale.err
    assert refs(hub) == before

    again = told(world.releasekit(*PREPARE))
    assert (again["packages"], again["what"]) == (
        ["core 0.2.0", "app 0.2.0"],
        f"#2 releases {dated_tag()} when it is merged",
    )
    theirs = hub.git(
        "commit-tree", "-p", "releasekit/release", "-m", "docs: theirs", "releasekit/release^{tree}"
    )
    hub.git("update-ref", "refs/heads/releasekit/release", theirs)
    asked = len(hub.requests)
    kept = world.releasekit(*PREPARE)
    assert (
        kept.code,
        f"{ErrorCode.PULL_MOVED}: somebody has pushed {theirs[:12]}" in kept.err,
    ) == (2, True), kept.err
    assert written(hub, asked) == []
    hub.git("update-ref", "-d", "refs/heads/releasekit/release")
    assert told(world.releasekit(*PREPARE))["what"].startswith("#3 ")
    undone = told(world.releasekit("rollback", dated_tag(), "--yes", "--format", "json"))
    assert (undone["pull"], undone["done"], hub.pulls[3]["state"]) == (
        "releasekit/release",
        True,
        "closed",
    )
    assert [name for name in refs(hub) if "releasekit" in name] == []
    assert told(world.releasekit(*PREPARE))["what"].startswith("#4 ")

    world.git(
        "push", "--quiet", "origin", "HEAD:refs/tags/core-v0.2.0", "HEAD:refs/tags/app-v0.1.1"
    )
    missing = world.releasekit(*PREPARE)
    assert (missing.code, ErrorCode.RELEASE_ELSEWHERE in missing.err) == (2, True), missing.err
    pull(world)
    closed = told(world.releasekit(*PREPARE))
    assert (closed["stage"], closed["what"]) == ("none", "nothing to release; #4 is closed")
    assert (hub.pulls[4]["state"], [name for name in refs(hub) if "releasekit" in name]) == (
        "closed",
        [],
    )
    asked = len(hub.requests)
    assert told(world.releasekit(*PREPARE))["what"] == "nothing to release"
    assert (
        told(world.releasekit(*HAND_ON))["what"]
        == "nothing to release: there is no release pull request"
    )
    assert written(hub, asked) == []


@pytest.mark.usefixtures("own_index")
def test_release_proposes_next_development_versions(
    world: World, hub: GitHubDouble, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a release a pull request begins the next development versions, which decide nothing of the next release."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    hub.unprotect_main()
    configure(world, hub, "commit_back = true")

    said = world.releasekit(
        "publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json"
    )

    (page,) = told(said)["notes"]
    (number,) = hub.pulls
    assert page == f"the next development versions: {hub.pulls[number]['html_url']}"
    assert hub.git("diff", "--name-only", "main...releasekit/release-next").split() == [
        "packages/core/pyproject.toml",
        "uv.lock",
    ]
    changed = hub.git("diff", "--unified=0", "main...releasekit/release-next", "--", "packages")
    assert [line for line in changed.splitlines() if line[0] in "+-"][2:] == [
        '-version = "0.2.0"',
        '+version = "0.2.1.dev0"',
    ]
    hub.merge(number, "squash")
    pull(world)
    assert told(world.releasekit("plan", "--format", "json"))["packages"][0]["status"] == "skipped"
    land(world, hub, "fix: pears", core="PEARS = 2\n")
    planned = told(world.releasekit("plan", "--format", "json"))["packages"][0]
    assert (planned["name"], planned["current"], planned["next"]) == ("core", "0.2.0", "0.2.1")


def test_prepare_shows_every_obstacle(world: World, hub: GitHubDouble) -> None:
    """`prepare --dry-run` shows all that `prepare` would refuse, which has the code of the first and shows all too."""
    world.commit("feat: not pushed", {"packages/core/src/core/more.py": ""})
    world.write({"packages/core/src/core/__init__.py": "CHANGED = True\n"})

    with nothing_written(hub):
        looked, refused = (
            world.releasekit(*PREPARE, "--dry-run"),
            world.releasekit("prepare", "--skip-audit"),
        )

    found = [each["code"] for each in json.loads(looked.out)["obstacles"]]
    assert (looked.code, found) == (
        2,
        [ErrorCode.BRANCH_UNPUSHED, ErrorCode.PREFLIGHT_DIRTY_WORKTREE],
    ), looked.err
    assert looked.err.endswith("2 obstacles: prepare would refuse\n")
    drawn = [line.split(": ")[1] for line in refused.err.splitlines() if line.startswith("error: ")]
    assert (refused.code, drawn) == (2, found), refused.err
