"""One decision, one answer: `plan` and `--dry-run` show all that `publish` would refuse, with the same codes."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode
from releasekit.core.planning.model import Plan
from releasekit.core.release.release_manifest import ReleaseManifest
from releasekit.integrations.git import LOCK_REF, Repo
from releasekit.store.record import create_record
from releasekit.store.remote_lock import write_lock_commit
from tests.support.fault_index import fault_index
from tests.support.world import Said, World, make_world, upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

    Spoil = Callable[[World, EmbeddedIndex, pytest.MonkeyPatch], None]

NOBODY = "http://127.0.0.1:9"
"""Where nothing listens."""
PLAN = ("plan", "--format", "json")
DRY_RUN = ("publish", "--dry-run", "--skip-audit", "--format", "json")
PUBLISH = ("publish", "--yes", "--skip-audit")


pytestmark = pytest.mark.usefixtures("unrecorded")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make a workspace that would be released: app needs core, and core has a feature."""
    world = make_world(tmp_path, "app: core; core")
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat: pears", {"packages/core/src/core/pears.py": ""})
    world.git("push", "--quiet", "origin", "main", "--tags")
    return world


def configure(world: World, table: str) -> None:
    """Write, commit and push settings."""
    text = (world.root / "pyproject.toml").read_text()
    world.commit("chore: configure", {"pyproject.toml": f"{text}\n[tool.releasekit]\n{table}\n"})
    world.git("push", "--quiet", "origin", "main")


def codes(said: Said) -> list[str]:
    """Return the obstacles in the JSON of a plan; each is drawn on standard error too, with its remedy."""
    obstacles: list[dict[str, str]] = json.loads(said.out)["obstacles"]
    assert said.code == (2 if obstacles else 0), said.err
    for obstacle in obstacles:
        assert obstacle.keys() == {"code", "what", "where", "hint", "output"}
        assert f"error: {obstacle['code']}: {obstacle['what']}" in said.err
        assert f"= help: {obstacle['hint']}" in said.err
    return [obstacle["code"] for obstacle in obstacles]


# ---- each obstacle ------------------------------------------------------------------------------------------------


def dirty(world: World, *_: object) -> None:
    """Leave a change uncommitted."""
    world.write({"packages/core/src/core/__init__.py": "CHANGED = True\n"})


def detached(world: World, *_: object) -> None:
    """Check out a commit."""
    world.git("checkout", "--quiet", "--detach")


def stale_lock(world: World, *_: object) -> None:
    """Change a requirement without locking."""
    path = "packages/app/pyproject.toml"
    world.commit(
        "chore: unlocked",
        {path: (world.root / path).read_text().replace("'core'", "'core', 'idna'")},
    )
    world.git("push", "--quiet", "origin", "main")


def no_identity(world: World, *_: object) -> None:
    """Forget who commits."""
    world.git("config", "--unset", "user.email")
    world.git("config", "user.useConfigOnly", "true")


def no_key(world: World, *_: object) -> None:
    """Let git sign with a program that never does."""
    world.git("config", "commit.gpgSign", "true")
    world.git("config", "gpg.program", "false")


def no_version_file(world: World, *_: object) -> None:
    """Name a file to write the version into, which is not there."""
    path = "packages/core/pyproject.toml"
    table = (
        '\n[tool.releasekit]\nbump = [{ path = "gone.py", pattern = "VERSION = \'{version}\'" }]\n'
    )
    world.commit("chore: bump", {path: (world.root / path).read_text() + table})
    world.git("push", "--quiet", "origin", "main")


def taken_version(world: World, index: EmbeddedIndex, _: pytest.MonkeyPatch) -> None:
    """Have the next version on the index, and its tag on the remote alone, as where tags were not fetched."""
    head, path = world.git("rev-parse", "HEAD"), "packages/core/pyproject.toml"
    world.commit(
        "chore: by hand", {path: (world.root / path).read_text().replace("0.1.0", "0.2.0")}
    )
    upload(world, index, "core")
    world.git("push", "--quiet", "origin", "HEAD:refs/tags/core-v0.2.0")
    world.git("reset", "--quiet", "--hard", head)


def taken_tag(world: World, *_: object) -> None:
    """Have the tag of the next version on another branch."""
    world.git("checkout", "--quiet", "-b", "elsewhere", "core-v0.1.0")
    world.git(
        "tag",
        "core-v0.2.0",
        world.commit("feat: elsewhere", {"packages/core/src/core/else.py": ""}),
    )
    world.git("checkout", "--quiet", "main")
    path = "packages/core/pyproject.toml"
    world.commit("chore: behind", {path: (world.root / path).read_text()})
    world.git("push", "--quiet", "origin", "main")


def bad_template(world: World, *_: object) -> None:
    """Name a template for the notes that nobody can render."""
    world.write({"notes.txt": "{% for %}"})
    configure(world, 'notes_template = "notes.txt"')


def wrong_token(_: World, __: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a token that the index does not take."""
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "wrong-token")


def no_token(_: World, __: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no token."""
    monkeypatch.delenv("UV_PUBLISH_TOKEN")


def plain_http(_: World, __: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upload to another machine without encryption."""
    monkeypatch.setenv("UV_PUBLISH_URL", "http://upload.example/legacy/")


def no_index(_: World, __: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing answer where the index is read."""
    monkeypatch.setenv("UV_PUBLISH_CHECK_URL", f"{NOBODY}/simple")


def no_remote(world: World, *_: object) -> None:
    """Have nowhere to push to."""
    world.git("remote", "remove", "origin")


def silent_remote(world: World, *_: object) -> None:
    """Have a remote that does not answer."""
    world.git("remote", "set-url", "origin", f"{NOBODY}/team/project.git")


def moved_remote(world: World, *_: object) -> None:
    """Let somebody else push first."""
    world.commit("fix: theirs", {"packages/core/src/core/theirs.py": ""})
    world.git("push", "--quiet", "origin", "main")
    world.git("reset", "--quiet", "--hard", "HEAD~1")
    world.commit("fix: ours", {"packages/core/src/core/ours.py": ""})


def running_elsewhere(world: World, *_: object) -> None:
    """Let another clone be in the middle of a release."""
    plan = Plan.model_validate_json(world.releasekit(*PLAN).out)
    repo = Repo(world.root)
    manifest = ReleaseManifest(
        release=plan.release,
        commit=repo.head,
        release_commit=repo.head,
        branch="main",
        by="Ada <ada@example.invalid>",
        host="elsewhere",
        begun="2026-11-22T12:00:00+00:00",
    )
    world.git("push", "--quiet", "origin", f"{write_lock_commit(repo, plan, manifest)}:{LOCK_REF}")


def sparse_checkout(world: World, *_: object) -> None:
    """Leave a member out of the checkout; uv would take it for removed, and the lock file for out of date."""
    world.git("sparse-checkout", "set", "packages/core")


def empty_submodule(world: World, *_: object) -> None:
    """Have a submodule in a package that is not checked out."""
    path = "packages/core/src/core/vendored"
    world.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(world.remote), path
    )
    world.commit("feat: vendor")
    world.git("push", "--quiet", "origin", "main")
    world.git("submodule", "--quiet", "deinit", "--force", path)


SPOILS: list[tuple[Spoil, ErrorCode]] = [
    (dirty, ErrorCode.PREFLIGHT_DIRTY_WORKTREE),
    (sparse_checkout, ErrorCode.CHECKOUT_INCOMPLETE),
    (empty_submodule, ErrorCode.CHECKOUT_INCOMPLETE),
    (detached, ErrorCode.PREFLIGHT_DETACHED_HEAD),
    (stale_lock, ErrorCode.PREFLIGHT_LOCK_STALE),
    (no_identity, ErrorCode.GIT_IDENTITY),
    (no_key, ErrorCode.SIGNING_FAILED),
    (no_version_file, ErrorCode.VERSION_PLACE),
    (taken_version, ErrorCode.PREFLIGHT_VERSION_EXISTS),
    (taken_tag, ErrorCode.TAG_EXISTS),
    (bad_template, ErrorCode.NOTES_TEMPLATE),
    (wrong_token, ErrorCode.INDEX_CREDENTIALS),
    (no_token, ErrorCode.INDEX_CREDENTIALS),
    (plain_http, ErrorCode.INDEX_UNENCRYPTED),
    (no_index, ErrorCode.INDEX_UNREACHABLE),
    (no_remote, ErrorCode.PREFLIGHT_NO_REMOTE),
    (silent_remote, ErrorCode.REMOTE_UNREACHABLE),
    (moved_remote, ErrorCode.PUSH_REJECTED),
    (running_elsewhere, ErrorCode.RELEASE_ELSEWHERE),
]
"""What spoils a release, and what it is refused for; test_forge.py and test_settings.py have more of the kind."""


@pytest.mark.parametrize(
    ("spoil", "code"), SPOILS, ids=lambda value: getattr(value, "__name__", "")
)
def test_each_obstacle_stops_the_release(
    world: World,
    own_index: EmbeddedIndex,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Spoil,
    code: ErrorCode,
) -> None:
    """The plan and the dry run show it, and the packages; the release is refused with it, and nothing is changed."""
    spoil(world, own_index, monkeypatch)
    before = world.state()

    shown, looked = world.releasekit(*PLAN), world.releasekit(*DRY_RUN)
    refused = world.releasekit(*PUBLISH)

    assert codes(shown) == codes(looked) == [code]
    assert "core" in {row["name"] for row in json.loads(shown.out)["packages"]}
    assert (refused.code, refused.out) == (2, ""), refused.err
    assert f"error: {code}: " in refused.err
    assert refused.err.endswith("1 obstacle: nothing was changed\n")
    assert world.state() == before
    assert "wrong-token" not in shown.err + shown.out + looked.err + refused.err


def test_strange_index_is_an_obstacle(
    world: World, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where something else answers than an index, the plan is what git knows as well."""
    assert own_index
    with ThreadingHTTPServer(("127.0.0.1", 0), Teapot) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("UV_PUBLISH_CHECK_URL", f"http://127.0.0.1:{server.server_port}/simple")

        assert (
            codes(world.releasekit(*PLAN))
            == codes(world.releasekit(*DRY_RUN))
            == [ErrorCode.INDEX_RESPONSE]
        )
        assert world.releasekit(*PUBLISH).code == 2
        server.shutdown()


class Teapot(BaseHTTPRequestHandler):
    """No index."""

    def do_GET(self) -> None:
        """Answer every question in one way."""
        self.send_error(418)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base
        """Keep standard error for the program."""


# ---- several at once ----------------------------------------------------------------------------------------------


def spoil_all(world: World, index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an index be down, a lock file stale and a change uncommitted, and have neither remote nor credentials."""
    stale_lock(world)
    for spoil in (dirty, no_remote, no_token, no_index):
        spoil(world, index, monkeypatch)


ALL = [
    ErrorCode.INDEX_UNREACHABLE,
    ErrorCode.PREFLIGHT_DIRTY_WORKTREE,
    ErrorCode.PREFLIGHT_LOCK_STALE,
    ErrorCode.INDEX_CREDENTIALS,
    ErrorCode.PREFLIGHT_NO_REMOTE,
]
"""In the order in which `publish` minds them."""


def test_no_obstacle_hides_another(
    world: World, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None hides another, each is said once; the plan is what git knows, and `publish` has the code of the first."""
    spoil_all(world, own_index, monkeypatch)
    before = world.state()

    shown, looked = world.releasekit(*PLAN), world.releasekit(*DRY_RUN)
    refused = world.releasekit(*PUBLISH)

    assert codes(shown) == codes(looked) == ALL
    rows = {row["name"]: row["next"] for row in json.loads(shown.out)["packages"]}
    assert rows == {"core": "0.2.0", "app": None}
    drawn = [line.split(": ")[1] for line in refused.err.splitlines() if line.startswith("error: ")]
    assert (refused.code, drawn) == (2, list(ALL)), refused.err
    assert "core-v0.2.0: 1 package\n" in refused.err
    assert refused.err.endswith("5 obstacles: nothing was changed\n")
    assert world.state() == before
    assert not [request for request in own_index.requests() if request.uploaded_file]


def test_unreachable_index_counts_once(
    world: World, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One index that does not answer is one obstacle, though it is asked twice; missing credentials are another."""
    no_index(world, own_index, monkeypatch)
    monkeypatch.setenv("UV_PUBLISH_URL", f"{NOBODY}/upload")
    assert codes(world.releasekit(*PLAN)) == [ErrorCode.INDEX_UNREACHABLE]

    no_token(world, own_index, monkeypatch)
    assert codes(world.releasekit(*PLAN)) == [
        ErrorCode.INDEX_UNREACHABLE,
        ErrorCode.INDEX_CREDENTIALS,
    ]


def test_obstacles_go_to_standard_error(
    world: World, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is on standard output, the obstacles on standard error, their number last; Markdown lists them too."""
    assert own_index
    dirty(world)
    no_token(world, own_index, monkeypatch)

    for command in (("plan",), ("publish", "--dry-run", "--skip-audit")):
        said = world.releasekit(*command)
        assert said.code == 2
        assert "core-v0.2.0: 1 package" in said.out
        assert ("would run:" in said.out) == (len(command) > 1)
        assert "RK-" not in said.out.partition("warning RK-PIN-OLD")[0]
        assert said.err.endswith("2 obstacles: publish would refuse\n")
        listed = world.releasekit(*command, "--format", "markdown").out
        assert (
            f"**2 obstacles: publish would refuse**\n\n- {ErrorCode.PREFLIGHT_DIRTY_WORKTREE}: uncommitted"
            in listed
        )
        table = world.releasekit(*command, "--format", "csv")
        assert (table.code, "RK-" in table.out, str(ErrorCode.INDEX_CREDENTIALS) in table.err) == (
            2,
            False,
            True,
        )
    lines = world.releasekit("--log-format", "json", "plan").err.splitlines()
    errors = [line for line in map(json.loads, lines) if line["level"] == "error"]
    assert [line["code"] for line in errors] == [
        ErrorCode.PREFLIGHT_DIRTY_WORKTREE,
        ErrorCode.INDEX_CREDENTIALS,
    ]


# ---- who is asked -------------------------------------------------------------------------------------------------


def test_shared_remedy_is_shown_once(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Packages that lack different siblings are released by one command, and it is printed once."""
    world = make_world(tmp_path, "app: core; web: base; core; base", 'propagate = "none"')
    upload(world, own_index, "app", "web")
    for name in ("app", "core", "web", "base"):
        world.git("tag", f"{name}-v0.1.0")
    changed = {f"packages/{name}/src/{name}/new.py": "" for name in ("app", "web")}
    world.commit("fix: repair it", changed)
    world.git("push", "--quiet", "origin", "main", "--tags")

    said = world.releasekit("plan")

    assert said.code == 2
    assert "core is tagged core-v0.1.0, but not on the index" in said.err
    assert "base is tagged base-v0.1.0, but not on the index" in said.err
    command = "releasekit publish --force-unchanged -p app -p web -p core -p base"
    assert said.err.count("  = note: ") == 1
    assert said.err.count("  = help: ") == 1
    assert f"  = help: Release core, base too: `{command}`.\n" in said.err


def test_offline_shows_local_obstacles_only(
    world: World, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --offline nobody is asked, so only what is wrong on this machine is found."""
    spoil_all(world, own_index, monkeypatch)
    asked = len(own_index.requests())

    for command in (PLAN, DRY_RUN):
        assert codes(world.releasekit(*command, "--offline")) == ALL[1:3]
    assert len(own_index.requests()) == asked


def test_stage_only_needs_no_rights(
    world: World, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends before anything is public needs no rights; nor does this place where a CI uploads."""
    for spoil in (no_token, no_remote, no_identity):
        spoil(world, own_index, monkeypatch)

    assert codes(world.releasekit(*PLAN)) == [
        ErrorCode.GIT_IDENTITY,
        ErrorCode.INDEX_CREDENTIALS,
        ErrorCode.PREFLIGHT_NO_REMOTE,
    ]
    for option in ("--stage-only", "--version-only"):
        assert codes(world.releasekit(*DRY_RUN, option)) == [ErrorCode.GIT_IDENTITY], option
    monkeypatch.setenv("RELEASEKIT_PUBLISH_FROM", "ci")
    assert codes(world.releasekit(*PLAN)) == []


def test_version_only_needs_a_branch(
    world: World, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions alone are brought to a branch, so there has to be one, in a CI as well."""
    assert own_index
    monkeypatch.setenv("CI", "true")
    detached(world)

    assert codes(world.releasekit(*DRY_RUN)) == []
    looked = world.releasekit(*DRY_RUN, "--version-only")
    assert codes(looked) == [ErrorCode.PREFLIGHT_DETACHED_HEAD]
    assert "so there is no branch to fast-forward" in looked.err


def test_unfinished_release_is_no_obstacle(world: World, own_index: EmbeddedIndex) -> None:
    """A release that has begun here is resumed, also where another one would be refused: that is no obstacle."""
    assert own_index
    plan = Plan.model_validate_json(world.releasekit(*PLAN).out)
    record = create_record(Repo(world.root).common_dir, plan)
    running_elsewhere(world)
    dirty(world)

    assert codes(world.releasekit(*PLAN)) == codes(world.releasekit(*DRY_RUN)) == []
    manifest = ReleaseManifest(
        release=plan.release,
        commit=plan.commit,
        release_commit=plan.commit,
        branch="main",
        by="Ada <ada@example.invalid>",
        host="here",
        begun="2026-11-22T12:00:00+00:00",
        undoing=True,
    )
    record.save_manifest(manifest)
    assert (
        codes(world.releasekit(*PLAN))
        == codes(world.releasekit(*DRY_RUN))
        == [ErrorCode.ROLLBACK_UNFINISHED]
    )
    (record.directory / "plan.json").write_text("{}")
    assert (
        codes(world.releasekit(*PLAN))
        == codes(world.releasekit(*DRY_RUN))
        == [ErrorCode.RECORD_INVALID]
    )


@pytest.mark.usefixtures("unrecorded")
def test_refused_names_are_obstacles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new project whose name PyPI would refuse stops the release of all packages before the first upload."""
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "pypi-of-nobody")
    world = make_world(tmp_path, "shop-core; types; lone")
    with fault_index() as index:
        index.files["shopcore"] = {"shopcore-1.0.tar.gz": b""}
        where = ("--publish-url", f"{index.url}/legacy/", "--check-url", index.simple_url)

        refused = world.releasekit("publish", "--yes", "--skip-audit", *where)
        elsewhere = world.releasekit("plan", "--publish-url", index.publish_url, *where[2:])

    assert refused.code == 2
    assert refused.err.count("error: RK-PREFLIGHT-PROJECT-NAME") == 2, refused.err
    assert "shop-core: it is too similar to shopcore, which the index has" in refused.err
    assert "types: a module of the standard library has this name" in refused.err
    assert not index.uploads
    assert "RK-PREFLIGHT-PROJECT-NAME" not in elsewhere.err, "only warehouse has this rule"
