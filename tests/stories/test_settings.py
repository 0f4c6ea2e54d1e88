"""Every key of `[tool.releasekit]` and every flag does something: the tables name the test that proves it."""

from __future__ import annotations

import ast
import base64
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from releasekit.cli.app import all_options
from releasekit.core.config.settings import Settings
from releasekit.core.errors import ErrorCode
from releasekit.core.secret_forms import secret_forms
from releasekit.integrations.process import Command, register_secret, run
from tests.support.git_scene import project
from tests.support.github import WRITER, GitHubDouble
from tests.support.world import GIT, Said, World, make_world, write_package

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from releasekit.integrations.peryx import EmbeddedIndex

    Proof = Callable[["Scene"], None]

ROOT = Path(__file__).parents[2]
RELEASE = ("publish", "--yes", "--skip-audit", "--format", "json")
DRY_RUN = ("publish", "--dry-run", "--offline")
LONG, SHORT = 60, 1
"""Seconds: for what is going to happen, and for what is not."""


@dataclass(frozen=True)
class Scene:
    """What a proof may use: *looked_at* has core at 0.1.0 with a breaking change, app with new words, and lone."""

    directory: Path
    looked_at: World
    request: pytest.FixtureRequest

    @property
    def index(self) -> EmbeddedIndex:
        """Start an index of the test's own, to which this process may upload."""
        return self.request.getfixturevalue("own_index")

    @property
    def monkeypatch(self) -> pytest.MonkeyPatch:
        """Change the environment for this proof."""
        return self.request.getfixturevalue("monkeypatch")

    def look(self, table: str, *argv: str) -> Said:
        """Run the program on the shared workspace, configured with *table*; it is put back afterwards."""
        with configured(self.looked_at, table):
            return self.looked_at.releasekit(*argv)

    def outline(self, table: str, *argv: str) -> str:
        """Return what a release would run."""
        said = self.look(table, *DRY_RUN, *argv)
        assert said.code == 0, said.err
        return said.out.partition("would run:")[2]

    def plan(self, table: str, *argv: str, key: str = "next") -> dict[str, Any]:
        """Return one column of the plan, by package."""
        return {row["name"]: row[key] for row in self.whole_plan(table, *argv)["packages"]}

    def whole_plan(self, table: str, *argv: str) -> dict[str, Any]:
        """Return the plan as JSON."""
        said = self.look(table, "plan", "--offline", "--format", "json", *argv)
        assert said.code == 0, said.err
        return json.loads(said.out)

    def world(self, graph: str, table: str = "", **modules: str) -> World:
        """Make a workspace that may be released, configured with *table*."""
        world = make_world(self.directory / "world", graph, **modules)
        configure(world, table)
        return world


def configure(world: World, table: str) -> None:
    """Write and push the settings of a workspace."""
    text = (world.root / "pyproject.toml").read_text().partition("\n[tool.releasekit]")[0]
    world.commit("chore: configure", {"pyproject.toml": f"{text}\n[tool.releasekit]\n{table}\n"})
    world.git("push", "--quiet", "origin", "main")


@contextmanager
def configured(world: World, table: str) -> Generator[None]:
    """Commit settings for the length of the block."""
    before = world.git("rev-parse", "HEAD")
    text = (world.root / "pyproject.toml").read_text()
    world.commit("chore: configure", {"pyproject.toml": f"{text}\n[tool.releasekit]\n{table}\n"})
    try:
        yield
    finally:
        world.git("reset", "--quiet", "--hard", before)


def outcomes(said: Said) -> dict[str, str]:
    """Return what became of each package."""
    return {package["name"]: package["outcome"] for package in json.loads(said.out)["packages"]}


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make the workspace that is only looked at."""
    world = make_world(tmp_path_factory.mktemp("looked-at"), "app: core; core; lone")
    for name in ("app", "core", "lone"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat!: another core", {"packages/core/src/core/__init__.py": "NEW = True\n"})
    world.commit("docs: app", {"packages/app/README.md": "words\n"})
    return world


@pytest.fixture
def scene(
    tmp_path: Path, looked_at: World, unrecorded: None, request: pytest.FixtureRequest
) -> Scene:
    """Set the scene of one proof; nothing is recorded in Prefect."""
    assert unrecorded is None
    return Scene(tmp_path, looked_at, request)


# ---- what is planned ----------------------------------------------------------------------------------------------


def test_packages_key_selects_the_members(scene: Scene) -> None:
    """Exactly these members are published."""
    assert set(scene.plan("")) == {"app", "core", "lone"}
    assert set(scene.plan('packages = ["core", "packages/lone"]')) == {"core", "lone"}


def test_exclude_key_removes_members(scene: Scene) -> None:
    """These members are never published."""
    assert set(scene.plan('exclude = ["lone"]')) == {"app", "core"}


def test_groups_key_names_a_group(scene: Scene) -> None:
    """A group can be asked for by its name."""
    assert (
        ErrorCode.WORKSPACE_UNKNOWN_PACKAGE
        in scene.look("", "plan", "--offline", "--group", "one").err
    )
    assert scene.plan('groups.one = ["lone"]', "--group", "one", key="status")["core"] == "excluded"


def test_tag_format_names_package_tags(scene: Scene) -> None:
    """Packages are tagged, and their tags found again, as configured."""
    assert scene.plan("", key="tag")["core"] == "core-v0.2.0"
    assert scene.plan('tag_format = "{name}@{version}"', key="tag")["core"] == "core@0.1.0"


def published(name: str, version: str) -> str:
    """Return the pyproject.toml of a package that is released."""
    build_system = '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
    return f"{project(name, version)}\n{build_system}"


def test_tag_format_names_directories(scene: Scene) -> None:
    """The directory of a package can stand for its name, also in a list and in a group; its own format wins."""
    keys = [
        'tag_format = ["py/{directory}-v{version}", "{name}@{version}"]',
        'groups.api = { packages = ["api"], tag_format = "group/{directory}-v{version}" }',
    ]
    world = scene.world("core; app; web; api", "\n".join(keys))
    world.git("mv", "packages/core", "packages/shop_core")
    (world.root / "uv.lock").unlink()
    own = (world.root / "packages/web/pyproject.toml").read_text()
    world.commit(
        "refactor: move core",
        {
            "packages/web/pyproject.toml": f'{own}\n[tool.releasekit]\ntag_format = "web/{{directory}}/{{version}}"\n'
        },
    )
    for tag in (
        "py/shop_core-v0.1.0",
        "app@0.1.0",
        "web/web/0.1.0",
        "group/api-v0.1.0",
        "py/core-v9.0",
    ):
        world.git("tag", tag)
    changes = ("shop_core", "app", "web", "api")
    world.commit("fix: all", {f"packages/{directory}/a.py": "" for directory in changes})
    world.lock()

    rows = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)["packages"]

    assert {row["name"]: (row["current"], row["tag"]) for row in rows} == {
        "core": ("0.1.0", "py/shop_core-v0.1.1"),
        "app": ("0.1.0", "py/app-v0.1.1"),
        "web": ("0.1.0", "web/web/0.1.1"),
        "api": ("0.1.0", "group/api-v0.1.1"),
    }
    world.git("mv", "packages/app", "packages/more")
    world.write(
        {
            "packages/app/core/pyproject.toml": published("other", "1.0"),
            "packages/app/core/x.py": "",
        }
    )
    text = (
        (world.root / "pyproject.toml")
        .read_text()
        .replace('"packages/*"', '"packages/*/core", "packages/core", "packages/api"')
    )
    world.git("mv", "packages/shop_core", "packages/core")
    world.commit("refactor: two directories of one name", {"pyproject.toml": text})
    said = world.releasekit("plan", "--offline")
    assert said.code == 2
    message = "core and other would have the same tags, because their directories have one name"
    assert f"{ErrorCode.TAG_INVALID}: {message}" in said.err


def test_root_tag_format_is_for_the_root(scene: Scene) -> None:
    """The package at the root has tags of its own form; those of the members stay."""
    root = published("top", "2.0.0")
    world = scene.world("core")
    text = (world.root / "pyproject.toml").read_text()
    world.commit(
        "feat: a root", {"pyproject.toml": f'{root}\n{text}root_tag_format = "v{{version}}"\n'}
    )
    for tag in ("v2.0.0", "core-v0.1.0"):
        world.git("tag", tag)
    world.commit("fix: both", {"a.py": "", "packages/core/a.py": ""})

    packages = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)["packages"]

    assert {row["name"]: row["tag"] for row in packages} == {"core": "core-v0.1.1", "top": "v2.0.1"}


def test_umbrella_format_names_release_tag(scene: Scene) -> None:
    """The release as a whole is tagged as configured, if it has a version; a package alone has only its own tag."""
    key = 'umbrella_tag_format = "all/{version}"\n'
    assert scene.whole_plan("")["tags"] == scene.whole_plan(key)["tags"] == ["core-v0.2.0"]
    assert scene.whole_plan('versioning = "fixed"')["tags"] == ["v0.2.0"]
    assert scene.whole_plan(f'{key}versioning = "fixed"')["tags"] == ["all/0.2.0"]
    assert scene.whole_plan(f'{key}force_unchanged = true\nlead = "app"')["tags"] == ["all/0.1.1"]


def test_label_key_fills_tag_formats(scene: Scene) -> None:
    """{label} in the tag formats stands for it."""
    formats = 'tag_format = "{name}{label}-v{version}"\numbrella_tag_format = "{label}v{version}"\n'
    assert scene.plan(formats, key="tag")["core"] == "core-v0.2.0"
    labelled = scene.whole_plan(f'{formats}label = "py"\nversioning = "fixed"')
    assert {row["name"]: row["tag"] for row in labelled["packages"]}["core"] == "corepy-v0.1.0"
    assert labelled["tags"] == ["pyv0.1.0"]


def test_lead_key_names_the_release(scene: Scene) -> None:
    """The version of the lead package names a release of several packages whose versions are independent."""
    assert scene.whole_plan("force_unchanged = true")["tags"][0].startswith("release-")
    assert scene.whole_plan('force_unchanged = true\nlead = "app"')["tags"] == ["v0.1.1"]


def test_types_key_sets_the_bump(scene: Scene) -> None:
    """A type of commit asks for the configured bump."""
    assert scene.plan("")["app"] is None
    assert scene.plan('types.docs = "minor"')["app"] == "0.2.0"


def test_major_on_zero_allows_major(scene: Scene) -> None:
    """A breaking change takes 0.x to 1.0.0."""
    assert scene.plan("")["core"] == "0.2.0"
    assert scene.plan("major_on_zero = true")["core"] == "1.0.0"


def test_versioning_scheme_follows_the_date(scene: Scene) -> None:
    """A calendar version has the year and the month of the plan; the last number alone can be raised too."""
    assert scene.plan("")["core"] == "0.2.0"
    assert scene.plan('versioning_scheme = "pep440-last"')["core"] == "0.1.1"
    months = {
        f"{day:%Y}.{day.month}.0"
        for day in (datetime.now(UTC), datetime.now(UTC) + timedelta(minutes=5))
    }
    assert scene.plan('versioning_scheme = "calver:YYYY.MM.MICRO"')["core"] in months


def test_force_unchanged_key_releases_all(scene: Scene) -> None:
    """What has no changes is released too."""
    assert scene.plan("")["lone"] is None
    assert scene.plan("force_unchanged = true")["lone"] == "0.1.1"


def test_allow_older_permits_lower_version(scene: Scene) -> None:
    """A version below the index's latest is refused unless it is allowed."""
    world = make_world(scene.directory / "world", "core")
    later = World(scene.directory / "later", world.remote)
    write_package(later, "core", [])
    package = later.root / "packages/core"
    (package / "pyproject.toml").write_text(
        (package / "pyproject.toml").read_text().replace("0.1.0", "0.3.0")
    )
    run(Command(("uv", "build", "--quiet", "--out-dir", str(package / "dist")), package))
    files = sorted(str(path) for path in (package / "dist").glob("core-*"))
    run(
        Command(
            ("uv", "publish", "--quiet", "--trusted-publishing", "never", *files),
            env=scene.index.environment,
        )
    )

    assert world.releasekit("publish", "--dry-run", "--skip-audit").code == 2
    configure(world, "allow_older = true")
    assert world.releasekit("publish", "--dry-run", "--skip-audit").code == 0


# ---- where it goes ------------------------------------------------------------------------------------------------

INNER = """\

[[tool.uv.index]]
name = "inner"
url = "http://127.0.0.1:9/inner/simple"
publish-url = "http://127.0.0.1:9/inner/upload"
explicit = true
"""


def test_index_key_chooses_the_index(scene: Scene) -> None:
    """Uploads go to, and are confirmed on, the index of that name."""
    assert "9/inner" not in scene.outline(INNER)
    outline = scene.outline(f'index = "inner"{INNER}')
    assert (
        "--publish-url http://127.0.0.1:9/inner/upload --check-url http://127.0.0.1:9/inner/simple"
        in outline
    )


def test_publish_url_key_redirects_uploads(scene: Scene) -> None:
    """Files are uploaded there, whatever the index says."""
    outline = scene.outline(f'index = "inner"\npublish_url = "http://127.0.0.1:9/else"{INNER}')
    assert (
        "--publish-url http://127.0.0.1:9/else --check-url http://127.0.0.1:9/inner/simple"
        in outline
    )


def test_check_url_key_redirects_confirmation(scene: Scene) -> None:
    """Uploads are confirmed there, whatever the index says."""
    outline = scene.outline(f'index = "inner"\ncheck_url = "http://127.0.0.1:9/else"{INNER}')
    assert (
        "--publish-url http://127.0.0.1:9/inner/upload --check-url http://127.0.0.1:9/else"
        in outline
    )


def test_tag_key_turns_off_tags(scene: Scene) -> None:
    """Without it no tag is made or pushed."""
    assert "git tag --annotate --message core-v0.2.0" in scene.outline("")
    assert "git tag" not in scene.outline("tag = false")


def test_push_key_turns_off_pushes(scene: Scene) -> None:
    """Without it nothing is pushed."""
    assert "git push" in scene.outline("")
    assert "git push" not in scene.outline("push = false")


def test_attestations_flag_wins_over_file(scene: Scene) -> None:
    """With it uv is told to send none, unless the file says so and the flag does not."""
    assert "--no-attestations" not in scene.outline("")
    assert "--no-attestations" in scene.outline("", "--no-attestations")
    assert "--no-attestations" not in scene.outline("attestations = false", "--attestations")


def test_remote_key_chooses_the_remote(scene: Scene) -> None:
    """Commit and tags are pushed to that remote, and nothing to another."""
    world = scene.world("core", 'remote = "upstream"')
    bare = scene.directory / "upstream.git"
    run(Command(("git", "init", "--quiet", "--bare", str(bare)), env=GIT))
    world.git("remote", "add", "upstream", str(bare))
    assert scene.index

    assert world.releasekit(*RELEASE).code == 0

    assert set(World(world.root, bare).tags()) == {"core-v0.1.0"}
    assert world.tags() == {}


def test_publish_from_accepts_known_values(scene: Scene) -> None:
    """With "ci" only what was merged is handed on (see test_pull_request.py); any other value is refused by name."""
    for said in (
        scene.look('publish_from = "ci"', *DRY_RUN),
        scene.look("", *DRY_RUN, "--publish-from", "ci"),
    ):
        assert said.code == 2
        assert "--publish-from=ci tags, pushes and drafts in one step" in said.err
    for said in (
        scene.look('publish_from = "here"', *DRY_RUN),
        scene.look("", *DRY_RUN, "--publish-from", "here"),
    ):
        assert (said.code, "local" in said.err) == (2, True)
    assert scene.outline('publish_from = "ci"', "--publish-from", "local")


def test_pool_size_limits_index_requests(scene: Scene) -> None:
    """So many questions are put to the index at the same time, and no more."""
    world = make_world(scene.directory / "world", "one; two; three; four")
    peaks: dict[int, int] = {}
    for size, patience in ((1, SHORT), (3, LONG)):
        with slow_index(size + 1, patience) as (url, peak):
            configure(world, f'publish_from = "ci"\nhttp_pool_size = {size}\ncheck_url = "{url}"')
            assert world.releasekit("plan").code == 0
            peaks[size] = peak()

    assert peaks == {1: 1, 3: 3}


@contextmanager
def slow_index(too_many: int, patience: float) -> Generator[tuple[str, Callable[[], int]]]:
    """Run an index that knows no package and says so late; yields how many it served at once.

    It answers when one less than *too_many* ask, or after so many seconds, and a little later.
    """
    lock, now, most = threading.Lock(), 0, 0

    class Slow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            until = time.monotonic() + patience
            while most < too_many - 1 and time.monotonic() < until:
                time.sleep(0.02)
            time.sleep(0.3)
            with lock:
                now -= 1
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that it has
            """Keep standard error for the program."""

    with serving(Slow) as url:
        yield f"{url}/simple", lambda: most


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Generator[str]:
    """Serve inside the block; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# ---- how it runs --------------------------------------------------------------------------------------------------

MEET = """\
import pathlib, time

place, mine = pathlib.Path({place!r}), pathlib.Path({place!r}) / "{name}.here"
mine.touch()
until = time.monotonic() + {patience}
while time.monotonic() < until and not (place / "met").exists():
    if len(list(place.glob("*.here"))) == 2:
        (place / "met").touch()
    time.sleep(0.02)
mine.unlink()
"""
"""Code that finds out whether it runs in two packages at the same time."""


def meeting(scene: Scene, patience: float) -> dict[str, str]:
    """Return two modules whose imports wait so many seconds for each other, and a place to leave word."""
    place = scene.directory / "place"
    place.mkdir()
    return {
        name: MEET.format(place=str(place), name=name, patience=patience)
        for name in ("left", "right")
    }


def met(scene: Scene) -> bool:
    """Tell whether the two did meet."""
    return (scene.directory / "place" / "met").exists()


@pytest.mark.usefixtures("whole_proofs")
def test_concurrency_key_limits_smoke_tests(scene: Scene) -> None:
    """With 1 no two smoke tests run at the same time."""
    world = scene.world(
        "left; right", 'concurrency = 1\noverlay = "resolve"', **meeting(scene, SHORT)
    )
    assert scene.index

    assert world.releasekit(*RELEASE).code == 0
    assert not met(scene)


@pytest.mark.usefixtures("whole_proofs")
def test_concurrency_flag_wins_over_file(scene: Scene) -> None:
    """With 5 they do, also when the file says 1 and the flag only repeats the default.

    So it is with the rate limit: by that of the file, the second would go out two minutes after the first.
    """
    world = scene.world(
        "left; right",
        'concurrency = 1\nrate_limit = 1\noverlay = "resolve"',
        **meeting(scene, LONG),
    )
    assert scene.index

    assert world.releasekit(*RELEASE, "--concurrency", "5", "--rate-limit", "0").code == 0
    assert met(scene)


BACKEND = """\
from uv_build import *
from uv_build import build_sdist as _build_sdist


def build_sdist(*given):
    exec({code!r})
    return _build_sdist(*given)
"""


def own_backend(world: World, name: str, code: str) -> None:
    """Let a package run *code* when it is built."""
    path = f"packages/{name}/pyproject.toml"
    text = (world.root / path).read_text()
    backend = 'build-backend = "backend"\nbackend-path = ["."]\n'
    backend += '[tool.uv.build-backend]\nsource-include = ["backend.py"]'
    text = text.replace('build-backend = "uv_build"', backend)
    world.commit(
        "build: own backend", {path: text, f"packages/{name}/backend.py": BACKEND.format(code=code)}
    )
    world.git("push", "--quiet")


def test_build_concurrency_limits_the_builds(scene: Scene) -> None:
    """So many packages build at the same time, and no more."""
    world = scene.world("left; right", "build_concurrency = 1")
    assert scene.index
    for name, code in meeting(scene, SHORT).items():
        own_backend(world, name, code)
    assert world.releasekit(*RELEASE, "--skip-smoke-test").code == 0
    assert not met(scene)

    configure(world, "build_concurrency = 2\nforce_unchanged = true")
    for name in ("left", "right"):
        path = world.root / f"packages/{name}/backend.py"
        path.write_text(path.read_text().replace(f"+ {SHORT}", f"+ {LONG}"))
    world.commit("fix: patience")
    world.git("push", "--quiet")
    assert world.releasekit(*RELEASE, "--skip-smoke-test").code == 0
    assert met(scene)


def test_build_isolation_key_shares_environments(scene: Scene) -> None:
    """Packages with the same build requirements are built in one environment, which is then deleted."""
    world = scene.world("left; right", 'build_isolation = "shared"')
    for name in ("left", "right"):
        path = f"packages/{name}/pyproject.toml"
        text = (world.root / path).read_text().replace('"uv_build"', '"flit_core.buildapi"')
        text = text.replace("[project]", '[project]\ndescription = "Words."')
        world.commit(
            "build: flit", {path: re.sub(r"requires = .*", 'requires = ["flit_core>=3.11"]', text)}
        )
    world.git("push", "--quiet")
    assert scene.index

    said = world.releasekit("-v", *RELEASE, "--skip-smoke-test")

    assert outcomes(said) == {"left": "confirmed", "right": "confirmed"}
    pythons = set(
        re.findall(r"uv build --no-sources --no-build-isolation --python (\S+)", said.err)
    )
    assert len(pythons) == 1
    assert not Path(pythons.pop()).exists()


def test_build_timeout_ends_the_build(scene: Scene) -> None:
    """A build that takes longer is killed, and the release dropped."""
    world = scene.world("core", "build_timeout = 2")
    own_backend(world, "core", "import time; time.sleep(600)")
    before = world.state()
    assert scene.index

    said = world.releasekit(*RELEASE)

    assert (said.code, outcomes(said)) == (1, {"core": "failed"})
    assert json.loads(said.out)["packages"][0]["error"].startswith(ErrorCode.COMMAND_TIMEOUT)
    assert world.state() == before


def test_build_env_reaches_the_build(scene: Scene) -> None:
    """A build gets the variables of this name, but no others, and none that holds a credential."""
    world = scene.world(
        "core", 'build_env = ["CORP_*", "MY_*"]\nsecrets.UV_PUBLISH_TOKEN = "MY_UPLOAD"'
    )
    seen = scene.request.getfixturevalue("tmp_path") / "seen"
    own_backend(
        world,
        "core",
        f"import os, pathlib; pathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))",
    )
    for name in ("CORP_FLAG", "MY_UPLOAD", "OTHER"):
        scene.monkeypatch.setenv(name, f"canary-of-{name}")
    assert scene.index

    said = world.releasekit(*RELEASE, "--skip-smoke-test")

    assert outcomes(said) == {"core": "confirmed"}
    text = seen.read_text()
    assert [
        name for name in ("CORP_FLAG", "MY_UPLOAD", "OTHER") if f"canary-of-{name}" in text
    ] == ["CORP_FLAG"]
    assert scene.index.environment["UV_PUBLISH_TOKEN"] not in text


TELL_TALE = """
import base64, json, pathlib, sys, urllib.parse
for secret in pathlib.Path({file!r}).read_text().splitlines():
    print(secret, json.dumps(secret), urllib.parse.quote(secret, safe=""), repr(secret), file=sys.stderr)
    for user in ("__token__", "me", ""):
        print(base64.b64encode((user + ":" + secret).encode()).decode(), file=sys.stderr)
sys.exit("-".join(["all", "is", "told"]))
"""


def test_failed_build_tells_no_secret(scene: Scene, tmp_path: Path) -> None:
    """What a build says is masked, in all encodings: credentials from variables, addresses and netrc."""
    canaries = [f'canary/{way}+"9876543210' for way in ("variable", "secrets", "address", "netrc")]
    world = scene.world("core", 'secrets.GITHUB_TOKEN = "MY_FORGE"')
    (tmp_path / "canaries").write_text("\n".join(canaries))
    own_backend(world, "core", TELL_TALE.format(file=str(tmp_path / "canaries")))
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {canaries[3]}\n")
    (tmp_path / "netrc").chmod(0o600)
    address = f"https://me:{quote(canaries[2], safe='')}@other.example/simple"
    variables = {
        "MY_TOKEN": canaries[0],
        "MY_FORGE": canaries[1],
        "MY_INDEX": address,
        "NETRC": str(tmp_path / "netrc"),
    }
    for name, value in variables.items():
        scene.monkeypatch.setenv(name, value)
    register_secret(canaries[1])  # as it is when a release asks the forge; this remote is on none
    assert scene.index

    said = world.releasekit(*RELEASE, "-v")

    told = said.out + said.err
    assert "all-is-told" in told, told
    for canary in canaries:
        forms = [form for form in secret_forms(canary) if form in told]
        assert forms == [], "one of these would be seen by everybody"
        assert base64.b64encode(f"me:{canary}".encode()).decode()[4:-6] not in told
    assert told.count("***") >= len(canaries), told


def test_approval_timeout_ends_the_wait(scene: Scene) -> None:
    """A release that nobody approves in that time is not begun."""
    world = scene.world("unheard", "approval_timeout = 1")
    before, _ = world.state(), scene.index
    scene.monkeypatch.setenv("PREFECT_API_URL", scene.request.getfixturevalue("prefect_api"))

    said = world.releasekit("publish", "--approve", "--skip-audit")

    assert said.code == 2, said.err
    assert "RK-NOT-CONFIRMED: nobody answered within 1 s" in said.err
    assert world.state() == before


def test_confirm_timeout_fails_the_package(scene: Scene) -> None:
    """An index that does not list an upload within that time ends the wait, as a failure."""
    world = scene.world("never-listed", "confirm_timeout = 1")
    elsewhere: EmbeddedIndex = scene.request.getfixturevalue("index")
    begun = time.monotonic()

    said = world.releasekit(
        *RELEASE, "--publish-url", scene.index.publish_url, "--check-url", elsewhere.simple_url
    )

    assert time.monotonic() - begun < 120, "it waited for the default, of ten minutes"
    assert (said.code, outcomes(said)) == (1, {"never-listed": "failed"})
    assert json.loads(said.out)["packages"][0]["error"].startswith(ErrorCode.PUBLISH_TIMEOUT)
    assert world.tags() == {}


def test_fail_fast_key_blocks_builds(scene: Scene) -> None:
    """After a build has failed no other is begun, and what was not begun is blocked."""
    world = scene.world("bad; good", "build_concurrency = 1")
    own_backend(world, "bad", "raise RuntimeError('no')")
    assert scene.index
    assert outcomes(world.releasekit(*RELEASE)) == {"bad": "failed", "good": "built"}

    configure(world, "build_concurrency = 1\nfail_fast = true")
    said = world.releasekit(*RELEASE)

    assert (said.code, outcomes(said)) == (1, {"bad": "failed", "good": "blocked"})
    assert json.loads(said.out)["packages"][1]["error"] == "blocked by --fail-fast"


@pytest.mark.usefixtures("whole_proofs")
def test_fail_fast_flag_blocks_uploads(scene: Scene) -> None:
    """After a package has failed no other is uploaded, though its own needs are out."""
    place = scene.directory / "place"
    place.mkdir()
    # The second attempt is the last: slow is not done before it, so late comes after the failure.
    bad = f"import pathlib\np = pathlib.Path({str(place)!r})\n(p / str(len(list(p.iterdir())))).touch()\nraise OSError"
    slow = f"import pathlib, time\nwhile not pathlib.Path({str(place / '1')!r}).exists(): time.sleep(0.1)\n"
    slow += "time.sleep(3)"
    world = scene.world("bad; late: slow; slow", 'overlay = "resolve"', bad=bad, slow=slow)
    index = scene.index

    said = world.releasekit(*RELEASE, "--fail-fast")

    assert (said.code, outcomes(said)) == (
        1,
        {"bad": "failed", "slow": "confirmed", "late": "blocked"},
    )
    assert "late is blocked by --fail-fast" in said.err
    assert not [request for request in index.requests() if request.uploaded_file.startswith("late")]


def test_smoke_test_key_prevents_import(scene: Scene) -> None:
    """Without it nothing is imported, unless the flag asks for it although the file does not."""
    table = 'smoke_test = false\noverlay = "resolve"'
    world = scene.world("core", table, core="raise RuntimeError('does not import')")
    assert scene.index
    assert world.releasekit(*RELEASE).code == 0

    world.commit("fix: core", {"packages/core/README.md": "words"})
    world.git("push", "--quiet")
    assert outcomes(world.releasekit(*RELEASE, "--smoke-test")) == {"core": "failed"}


def test_hooks_key_runs_git_hooks(scene: Scene) -> None:
    """The repository's hooks run on the release commit, in the scratch worktree, only if they are asked to."""
    world = scene.world("core")
    marker = scene.directory / "marker"
    hook = world.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\npwd >> {marker}\n")
    hook.chmod(0o755)
    assert scene.index
    assert world.releasekit(*RELEASE).code == 0
    assert not marker.exists()

    configure(world, "hooks = true\nforce_unchanged = true")
    marker.unlink()
    assert world.releasekit(*RELEASE).code == 0
    assert [Path(line).name for line in marker.read_text().splitlines()] == ["tree"]


# ---- audit --------------------------------------------------------------------------------------------------------


class Advisories(BaseHTTPRequestHandler):
    """A vulnerability service that has something to say of every package."""

    def do_POST(self) -> None:
        """Answer a batch of questions: which advisories."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self._answer(
            {
                "results": [
                    {"vulns": [{"id": "GHSA-0", "modified": "2026-01-01T00:00:00Z"}]} for _ in asked
                ]
            }
        )

    def do_GET(self) -> None:
        """Tell of an advisory."""
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
        affected = [{"package": {"name": "idna", "ecosystem": "PyPI"}, "ranges": ranges}]
        self._answer(
            {
                "id": "GHSA-0",
                "modified": "2026-01-01T00:00:00Z",
                "summary": "no",
                "affected": affected,
            }
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that it has
        """Keep standard error for the program."""

    def _answer(self, value: object) -> None:
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def audited(scene: Scene, *, found: bool) -> Generator[World]:
    """Make a workspace with a dependency on which uv's audit has findings, or cannot look."""
    real = which("uv")
    assert scene.index
    world = make_world(scene.directory / "world", "core: idna")
    with serving(Advisories) as url:
        service = url if found else "http://127.0.0.1:9"
        path = scene.directory / "path"
        path.mkdir()
        (path / "uv").write_text(
            f'#!/bin/sh\n[ "$1" = audit ] && set -- "$@" --service-url {service}\nexec {real} "$@"'
        )
        (path / "uv").chmod(0o755)
        scene.monkeypatch.setenv("PATH", str(path), prepend=":")
        scene.monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        yield world


def test_audit_key_turns_off_audit(scene: Scene) -> None:
    """Findings are told in the plan unless nobody looks."""
    with audited(scene, found=True) as world:
        (warning,) = warnings(world)
        assert warning.startswith(f"{ErrorCode.PREFLIGHT_VULNERABLE}: Found 1 known vulnerability")
        configure(world, "audit = false")
        assert warnings(world) == []
        assert len(warnings(world, "--audit")) == 1, "the flag wins over the file"


def test_unavailable_audit_is_a_warning(scene: Scene) -> None:
    """--skip-audit doesn't look; that it could not look is a warning, and with --strict-audit it stops the release."""
    with audited(scene, found=False) as world:
        assert warnings(world, "--skip-audit") == []
        said = world.releasekit("publish", "--dry-run", "--strict-audit")
        assert (said.code, f"{ErrorCode.PREFLIGHT_VULNERABLE}: uv audit failed" in said.err) == (
            2,
            True,
        ), said.err
        (warning,) = warnings(world)
        assert warning.startswith(f"{ErrorCode.COMMAND_FAILED}: uv audit failed: ")


def test_strict_audit_key_stops_release(scene: Scene) -> None:
    """Findings stop the release."""
    with audited(scene, found=True) as world:
        configure(world, "strict_audit = true")
        refused(world)


def test_strict_audit_flag_stops_release(scene: Scene) -> None:
    """Findings stop the release."""
    with audited(scene, found=True) as world:
        refused(world, "--strict-audit")


def test_verify_ignore_waives_one_rule(scene: Scene) -> None:
    """A leaked key and a dead command stop the release with one code each; each can be waived with a reason."""
    table = 'overlay = "off"\n'
    world = scene.world("core", table)
    assert scene.index
    manifest = (world.root / "packages/core/pyproject.toml").read_text()
    project = manifest.replace(
        "[build-system]", '[project.scripts]\nshop = "core.gone:main"\n\n[build-system]'
    )
    files = {"packages/core/pyproject.toml": project, "packages/core/src/core/.env": "TOKEN=1\n"}
    world.commit("fix: a command", files)
    world.git("push", "--quiet")

    stopped = world.releasekit(*RELEASE, "--stage-only")
    waived = [
        f'{{ rule = "{rule}", package = "core", reason = "a sample" }}'
        for rule in ("private", "entry-point")
    ]
    configure(world, f"{table}verify_ignore = [{', '.join(waived)}]")
    passed = world.releasekit(*RELEASE, "--stage-only")

    (row,) = json.loads(stopped.out)["packages"]
    rules = [ErrorCode.VERIFY_PRIVATE, ErrorCode.VERIFY_PRIVATE, ErrorCode.VERIFY_ENTRY_POINT]
    assert (stopped.code, passed.code) == (1, 0), passed.err
    assert row["error"].startswith(
        f"{ErrorCode.VERIFY_PRIVATE}: core-0.1.0-py3-none-any.whl: files that usually hold"
    )
    assert [finding["rule"] for finding in row["findings"]] == rules
    (row,) = json.loads(passed.out)["packages"]
    assert [finding["rule"] for finding in row["findings"]] == rules
    assert {finding["waived"] for finding in row["findings"]} == {"a sample"}


def warnings(world: World, *argv: str) -> list[str]:
    """Return the warnings of a dry run."""
    said = world.releasekit("publish", "--dry-run", "--format", "json", *argv)
    assert said.code == 0, said.err
    return json.loads(said.out)["warnings"]


def refused(world: World, *argv: str) -> None:
    """Assert that a dry run shows findings as an obstacle; so does a plan where the settings make them one."""
    for command in (["publish", "--dry-run", *argv], *([] if argv else [["plan"]])):
        said = world.releasekit(*command)
        assert (said.code, f"error: {ErrorCode.PREFLIGHT_VULNERABLE}" in said.err) == (2, True), (
            said.err
        )
        assert "GHSA-0" in said.err


# ---- flags --------------------------------------------------------------------------------------------------------


def commands(scene: Scene, *argv: str, table: str = "") -> Iterator[dict[str, str]]:
    """Yield the status of each package in `plan` and in the dry run of `publish`."""
    for command in (("plan", "--offline"), DRY_RUN):
        said = scene.look(table, *command, "--format", "json", *argv)
        assert said.code == 0, said.err
        yield {row["name"]: row["status"] for row in json.loads(said.out)["packages"]}


def test_workspace_flag_names_the_path(scene: Scene) -> None:
    """The workspace is found from any directory in it, and from outside by its path."""
    elsewhere = World(scene.directory, scene.looked_at.remote)
    assert elsewhere.releasekit("plan", "--offline").code == 2
    for command in (("plan", "--offline"), DRY_RUN):
        for path in ("", "packages/core"):
            assert (
                "core-v0.2.0"
                in elsewhere.releasekit(
                    *command, "--format", "json", "--workspace", str(scene.looked_at.root / path)
                ).out
            )
    for command in ("discover", "graph", "pin", "config"):
        assert elsewhere.releasekit(command, "--workspace", str(scene.looked_at.root)).code == 0
        assert elsewhere.releasekit(command).code == 2


def test_ref_flag_chooses_the_commit(scene: Scene) -> None:
    """Of a repository elsewhere, the workspace at that branch, tag or commit is meant."""
    world = scene.looked_at
    before = world.git("rev-parse", "main^")  # where only core has changed
    world.git("push", "--quiet", str(world.remote), f"{before}:refs/heads/maint/before", "--tags")
    world.git("push", "--quiet", str(world.remote), "main")
    there = ("--workspace", f"file://{world.remote}")
    for role in ("AUTHOR", "COMMITTER"):  # a clone knows nobody
        scene.monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        scene.monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.invalid")
    assert scene.plan("", *there, "--force-unchanged")["core"] == "0.2.0"
    assert scene.whole_plan("", *there)["commit"] == world.git("rev-parse", "main")
    assert scene.whole_plan("", *there, "--ref", "maint/before")["commit"] == before
    assert (
        ErrorCode.REPOSITORY_UNREACHABLE
        in scene.look("", "plan", "--offline", *there, "--ref", "nowhere").err
    )


def test_subdirectory_flag_finds_the_workspace(scene: Scene) -> None:
    """Of a repository elsewhere, the workspace that lies there is meant."""
    there = ("version", "--workspace", f"file://{scene.looked_at.remote}", "--subdirectory")
    assert scene.look("", *there, "packages/core").code == 0
    assert ErrorCode.WORKSPACE_NOT_FOUND in scene.look("", *there, "packages/none").err


def test_git_token_names_a_secret(scene: Scene) -> None:
    """The secret of that name opens the repository; see tests/store/test_clones.py for what is done with it."""
    there = (
        "plan",
        "--offline",
        "--workspace",
        "http://127.0.0.1:9/team/project.git",
        "--git-token",
        "FORGE_PASS",
    )
    assert ErrorCode.SECRET_UNKNOWN in scene.look("", *there).err
    scene.monkeypatch.setenv("FORGE_PASS", "swordfish")
    said = scene.look("", *there)
    assert ErrorCode.REPOSITORY_UNREACHABLE in said.err
    assert "swordfish" not in said.err


def test_package_flag_excludes_the_rest(scene: Scene) -> None:
    """What was not asked for is excluded."""
    for status in commands(scene, "--package", "lone"):
        assert status == {"app": "excluded", "core": "excluded", "lone": "skipped"}


def test_group_flag_excludes_the_rest(scene: Scene) -> None:
    """What is not in the group is excluded."""
    for status in commands(scene, "--group", "one", table='groups.one = ["lone"]'):
        assert status == {"app": "excluded", "core": "excluded", "lone": "skipped"}


def test_exclude_flag_extends_the_key(scene: Scene) -> None:
    """It is added to what the file excludes."""
    for status in commands(scene, "--exclude", "core", table='exclude = ["lone"]'):
        assert status == {"app": "skipped", "core": "excluded"}


def test_force_unchanged_flag_releases_all(scene: Scene) -> None:
    """What has no changes is released too."""
    for status in commands(scene, "--force-unchanged"):
        assert status["lone"] == "included"


def test_index_flag_wins_over_file(scene: Scene) -> None:
    """It wins over the file; an index that is not there is refused."""
    assert "inner/upload" in scene.outline(f'index = "outer"{INNER}', "--index", "inner")
    assert ErrorCode.INDEX_UNKNOWN in scene.look(INNER, "plan", "--offline", "--index", "outer").err


def test_publish_url_needs_check_url(scene: Scene) -> None:
    """It wins over the file; alone it is refused, for then nothing could be confirmed."""
    assert "http://127.0.0.1:9/else" in scene.outline(
        f'index = "inner"{INNER}', "--publish-url=http://127.0.0.1:9/else"
    )
    said = scene.look("", "plan", "--offline", "--publish-url", "http://127.0.0.1:9/else")
    assert (said.code, "--check-url" in said.err) == (2, True)


def test_check_url_flag_chooses_index(scene: Scene) -> None:
    """That is the index which is asked."""
    url = scene.index.simple_url
    scene.monkeypatch.delenv("UV_PUBLISH_CHECK_URL")
    scene.monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    for command in (("plan",), ("publish", "--dry-run", "--skip-audit", "--no-push")):
        before = len(scene.index.requests())
        assert scene.look("", *command, "--check-url", url).code == 0
        assert len(scene.index.requests()) > before
    assert f"--check-url {url}" in scene.outline("", "--check-url", url)


def test_offline_flag_contacts_nobody(scene: Scene) -> None:
    """Nobody is asked."""
    for command in (("plan",), ("publish", "--dry-run", "--skip-audit", "--no-push")):
        asked = len(scene.index.requests())
        assert scene.look("", *command, "--offline").code == 0
        assert len(scene.index.requests()) == asked
        assert scene.look("", *command).code == 0
        assert len(scene.index.requests()) > asked


# ---- the forge ----------------------------------------------------------------------------------------------------


@contextmanager
def remote_at(scene: Scene, address: str) -> Generator[None]:
    """Let the shared workspace have its remote at *address*, where nobody is asked, inside the block."""
    before = scene.looked_at.git("remote", "get-url", "origin")
    scene.looked_at.git("remote", "set-url", "origin", address)
    try:
        yield
    finally:
        scene.looked_at.git("remote", "set-url", "origin", before)


def test_release_key_skips_forge_release(scene: Scene) -> None:
    """Without it, by key or --no-release, there is no release on the forge; nor without a tag that is there."""
    last = "# the release core-v0.2.0 on https://github.com/ada/engine"
    with remote_at(scene, "git@github.com:ada/engine.git"):
        assert last in scene.outline("")
        assert last in scene.outline("release = false", "--release")
        for table, flag in (
            ("release = false", ""),
            ("", "--no-release"),
            ("", "--no-tag"),
            ("push = false", ""),
        ):
            assert last not in scene.outline(table, *filter(None, [flag]))


def test_forge_key_names_the_forge(scene: Scene) -> None:
    """It says what the remote is on where its address does not."""
    with remote_at(scene, "https://git.example.org/ada/engine.git"):
        assert "# the release" not in scene.outline("")
        assert "on https://git.example.org/ada/engine" in scene.outline('forge = "gitlab"')


def test_forge_url_key_sets_address(scene: Scene) -> None:
    """The forge is asked there; --offline asks nobody."""
    hub = GitHubDouble(scene.directory)
    sha = scene.looked_at.git("rev-parse", "HEAD~1")
    scene.monkeypatch.setenv("GH_TOKEN", WRITER)
    with hub.serving(), remote_at(scene, "https://git.example.org/ada/engine.git"):
        number = hub.pull("feat!: another core", "work", author="bea")
        hub.pulls[number] |= {"merged_at": "2026-11-22T00:00:00Z", "merge_commit_sha": sha}
        hub.pull_of[sha] = number
        table = f'forge = "github"\nforge_url = "{hub.url}/api/v3"'
        assert "by @bea" in scene.look(table, "notes").out
        asked = len(hub.requests)
        assert "by Ada" in scene.look(table, "notes", "--offline").out
        assert len(hub.requests) == asked


def test_notes_template_shapes_the_notes(scene: Scene) -> None:
    """The notes are as one's own template has them; one that is wrong is refused before anything is done."""

    def look(template: str, *command: str) -> Said:
        scene.looked_at.write({"notes.txt": template})  # it goes with the settings
        return scene.look('notes_template = "notes.txt"', *command)

    template = (
        "{% for each in breaking %}{{ each.package }} breaks: {{ each.change.text }}{% endfor %}"
    )
    assert look(template, "notes", "--offline").out == "core breaks: another core\n"
    for command in (("notes", "--offline"), DRY_RUN):
        said = look("{{ nobody }}", *command)
        assert (said.code, f"error: {ErrorCode.NOTES_TEMPLATE}: " in said.err) == (2, True), (
            said.err
        )
    assert scene.look('notes_template = "gone.txt"', *DRY_RUN).code == 2
    assert scene.look('notes_template = "gone.txt"', *DRY_RUN, "--no-release").code == 0


def test_notes_command_rewrites_the_notes(scene: Scene) -> None:
    """What the command prints is taken; one that fails is an error of the preview."""
    assert "## Packages" in scene.look("", "notes", "--offline").out
    assert (
        "## PACKAGES"
        in scene.look('notes_command = ["tr", "a-z", "A-Z"]', "notes", "--offline").out
    )
    for command in ('["false"]', '["true"]', '["no-such-program"]'):
        said = scene.look(f"notes_command = {command}", "notes", "--offline")
        assert (said.code, f"error: {ErrorCode.NOTES_COMMAND}: " in said.err) == (1, True), said.err


def test_notes_json_has_template_data(scene: Scene) -> None:
    """As JSON the notes are what a template is given."""
    assert (
        json.loads(scene.look("", "notes", "--offline", "--format", "json").out)["title"]
        == "core-v0.2.0"
    )


# ---- the tables ---------------------------------------------------------------------------------------------------

STORIES, CLI = "tests/stories/test_release.py", "tests/cli/test_app.py"
FAULTS = "tests/tasks/test_faults.py"
CHECKS = "tests/operations/test_run_checks.py"
FORGE = "tests/stories/test_forge.py"
STAGE = "tests/stories/test_stage.py"
PLATFORMS = "tests/stories/test_platforms.py::test_platforms_are_merged_and_published"
TASK_RUNNER = "tests/stories/test_task_runner.py::test_runner_builds_from_the_storage"
PULLS = "tests/stories/test_pull_request.py"
START = "tests/stories/test_start_release.py"
LATER = "tests/stories/test_later_indexes.py"
MESSAGES = "tests/stories/test_release_messages.py"
SWITCHES = f"{STORIES}::test_flag_skips_one_step_only"

KEYS: dict[str, Proof | str] = {
    "packages": test_packages_key_selects_the_members,
    "exclude": test_exclude_key_removes_members,
    "groups": test_groups_key_names_a_group,
    "cycles": f"{STORIES}::test_cycle_is_released_as_batch",
    "tag_format": test_tag_format_names_package_tags,
    "root_tag_format": test_root_tag_format_is_for_the_root,
    "umbrella_tag_format": test_umbrella_format_names_release_tag,
    "label": test_label_key_fills_tag_formats,
    "language": "tests/core/config/test_settings.py::test_language_other_than_python_refused",
    "lead": test_lead_key_names_the_release,
    "types": test_types_key_sets_the_bump,
    "major_on_zero": test_major_on_zero_allows_major,
    "versioning_scheme": test_versioning_scheme_follows_the_date,
    "force_unchanged": test_force_unchanged_key_releases_all,
    "allow_older": test_allow_older_permits_lower_version,
    "allow_branches": "tests/stories/test_start_release.py::test_feature_branch_is_refused",
    "allow_new": f"{START}::test_first_release_needs_own_yes",
    "publish_to": f"{LATER}::test_each_index_gets_the_same_files",
    **dict.fromkeys(
        ("api_check", "api_ignore", "verify_ignore", "reproducible"),
        "tests/stories/test_differences.py::test_losses_stop_until_accepted",
    ),
    "sbom": "tests/stories/test_stage.py::test_sha256sum_accepts_the_bundle",
    "publish_from": test_publish_from_accepts_known_values,
    "release_branch": f"{PULLS}::test_merged_pull_request_is_published",
    "publish_workflow": f"{PULLS}::test_merged_pull_request_is_published",
    "commit_message": f"{MESSAGES}::test_templates_are_written_and_recognised",
    "tag_message": f"{MESSAGES}::test_templates_are_written_and_recognised",
    "commit_back": f"{PULLS}::test_release_proposes_next_development_versions",
    "index": test_index_key_chooses_the_index,
    "publish_url": test_publish_url_key_redirects_uploads,
    "check_url": test_check_url_key_redirects_confirmation,
    "remote": test_remote_key_chooses_the_remote,
    "record": "tests/stories/test_recorded.py::test_record_key_decides_the_server",
    "concurrency": test_concurrency_key_limits_smoke_tests,
    "fail_fast": test_fail_fast_key_blocks_builds,
    "tag": test_tag_key_turns_off_tags,
    "push": test_push_key_turns_off_pushes,
    "release": test_release_key_skips_forge_release,
    "forge": test_forge_key_names_the_forge,
    "forge_url": test_forge_url_key_sets_address,
    "forge_required": f"{FORGE}::test_missing_forge_token_is_reported",
    "notes_template": test_notes_template_shapes_the_notes,
    "notes_command": test_notes_command_rewrites_the_notes,
    "smoke_test": test_smoke_test_key_prevents_import,
    "overlay": "tests/tasks/test_overlay.py::test_failing_import_stops_the_package",
    "audit": test_audit_key_turns_off_audit,
    "strict_audit": test_strict_audit_key_stops_release,
    "platforms": PLATFORMS,
    "build_command": PLATFORMS,
    "allow_missing_wheels": PLATFORMS,
    "stage_storage": "tests/deployments/test_stage_on.py::test_workers_build_their_platform",
    "task_runner": TASK_RUNNER,
    "task_runner_options": "tests/flows/test_task_runners.py::test_unusable_runner_is_refused",
    "verify_ignore": test_verify_ignore_waives_one_rule,
    "pre_release": "tests/stories/test_pre_release.py::test_release_contains_what_commands_change",
    "pre_build": "tests/stories/test_pre_build.py::test_builds_contain_what_commands_write",
    "hooks": test_hooks_key_runs_git_hooks,
    "http_pool_size": test_pool_size_limits_index_requests,
    "build_concurrency": test_build_concurrency_limits_the_builds,
    "build_isolation": test_build_isolation_key_shares_environments,
    "approval_timeout": test_approval_timeout_ends_the_wait,
    "confirm_timeout": test_confirm_timeout_fails_the_package,
    "confirm_interval": f"{FAULTS}::test_keys_decide_repetitions",
    "upload_retries": f"{FAULTS}::test_keys_decide_repetitions",
    "build_env": test_build_env_reaches_the_build,
    "build_timeout": test_build_timeout_ends_the_build,
    "upload_timeout": f"{FAULTS}::test_silent_index_ends_the_upload",
    "rate_limit": f"{FAULTS}::test_packages_share_the_rate_limit",
    "attestations": f"{FAULTS}::test_attestation_goes_with_its_file",
    "secrets": "tests/deployments/test_deployments.py::test_deployed_release_uploads_nothing_twice",
    "versioning": "tests/stories/test_prerelease.py::test_lockstep_release_has_one_tag",
    "propagate": "tests/stories/test_siblings.py::test_sibling_keys_decide_the_release",
    "pins": "tests/stories/test_siblings.py::test_sibling_keys_decide_the_release",
    "source_requirements": "tests/stories/test_siblings.py::test_sibling_keys_decide_the_release",
    "prerelease": "tests/stories/test_prerelease.py::test_dates_number_published_prereleases",
    "changes": "tests/stories/test_change_files.py::test_changes_key_chooses_the_source",
    "prerelease_numbering": "tests/core/versioning/test_versions.py::test_dates_number_the_prereleases",
    "unconventional": "tests/stories/test_prerelease.py::test_maintainer_releases_untyped_commits",
    "exclude_paths": "tests/stories/test_change_files.py::test_excluded_files_need_no_change_file",
    "include_paths": "tests/stories/test_change_files.py::test_included_files_release_their_packages",
    "first_version": "tests/stories/test_dynamic.py::test_first_version_starts_tag_versions",
    "bump": "tests/stories/test_dynamic.py::test_bump_is_checked_first",
    "changelog": "tests/stories/test_changelogs.py::test_changelog_false_writes_no_file",
    "changelog_path": "tests/stories/test_changelogs.py::test_changelog_path_names_the_file",
    "workspace_changelog": "tests/stories/test_changelogs.py::test_workspace_changelog_has_all_changes",
    "changelog_prerelease_mode": "tests/stories/test_changelogs.py::test_separate_mode_keeps_prerelease_sections",
    "changelog_sections": "tests/core/changelog/test_changelog.py::test_configuration_decides_section_headings",
    "changelog_exclude": "tests/core/changelog/test_changelog.py::test_configuration_decides_section_headings",
    "check_select": f"{CHECKS}::test_keys_select_and_ignore_checks",
    "check_ignore": f"{CHECKS}::test_keys_select_and_ignore_checks",
    "changelog_contributors": "tests/operations/test_preview.py::test_changelog_keys_change_the_text",
}
FLAGS: dict[str, Proof | str] = {
    "workspace": test_workspace_flag_names_the_path,
    "ref": test_ref_flag_chooses_the_commit,
    "subdirectory": test_subdirectory_flag_finds_the_workspace,
    "git_token": test_git_token_names_a_secret,
    "package": test_package_flag_excludes_the_rest,
    "group": test_group_flag_excludes_the_rest,
    "exclude": test_exclude_flag_extends_the_key,
    "force_unchanged": test_force_unchanged_flag_releases_all,
    "prerelease": "tests/stories/test_prerelease.py::test_candidates_lead_to_stable_release",
    "bump": "tests/stories/test_prerelease.py::test_maintainer_releases_untyped_commits",
    "set_version": "tests/stories/test_prerelease.py::test_maintainer_releases_untyped_commits",
    "promote": "tests/stories/test_prerelease.py::test_beta_stays_beside_stable_packages",
    "index": test_index_flag_wins_over_file,
    "publish_url": test_publish_url_needs_check_url,
    "check_url": test_check_url_flag_chooses_index,
    "offline": test_offline_flag_contacts_nobody,
}
PUBLISH_FLAGS: dict[str, Proof | str] = {
    "dry_run": f"{CLI}::test_dry_run_changes_nothing",
    "rehearse": f"{STORIES}::test_rehearsal_leaves_no_trace",
    "approve": "tests/deployments/test_approval.py::test_release_waits_for_approval",
    "resume_from_registry": "tests/stories/test_resume.py::test_release_commit_suffices_to_resume",
    "manifest": f"{STAGE}::test_manifest_publishes_exactly_that_release",
    "stage_only": f"{STAGE}::test_staged_release_stays_in_clone",
    "output": f"{STAGE}::test_publish_refuses_contradictory_options",
    "platform": PLATFORMS,
    "version_only": f"{STAGE}::test_version_only_commits_the_versions",
    "attestations": test_attestations_flag_wins_over_file,
    "allow_new": f"{START}::test_first_release_needs_own_yes",
    "allow_index": f"{LATER}::test_allowed_index_needs_no_stop",
    "allow_missing_wheels": PLATFORMS,
    "publish_from": test_publish_from_accepts_known_values,
    "concurrency": test_concurrency_flag_wins_over_file,
    "rate_limit": test_concurrency_flag_wins_over_file,
    "task_runner": TASK_RUNNER,
    "fail_fast": test_fail_fast_flag_blocks_uploads,
    "tag": SWITCHES,
    "push": SWITCHES,
    "release": test_release_key_skips_forge_release,
    "smoke_test": SWITCHES,
    "audit": test_unavailable_audit_is_a_warning,
    "strict_audit": test_strict_audit_flag_stops_release,
}
ROLLBACK, STATUS = "tests/stories/test_rollback.py", "tests/stories/test_status.py"
WHERE = ("workspace", "ref", "subdirectory", "git_token")
PREPARE_FLAGS: dict[str, Proof | str] = {
    **FLAGS,
    "dry_run": f"{PULLS}::test_changed_versions_renew_pull_request",
    "allow_new": f"{PULLS}::test_prepare_refuses_first_release",
    "release_branch": f"{PULLS}::test_changed_versions_renew_pull_request",
    "audit": f"{PULLS}::test_changed_versions_renew_pull_request",
}
ROLLBACK_FLAGS: dict[str, Proof | str] = {
    **{name: FLAGS[name] for name in (*WHERE, "index", "publish_url", "check_url")},
    "dry_run": f"{ROLLBACK}::test_rollback_leaves_public_versions_only",
    "all_tags": f"{ROLLBACK}::test_finished_release_needs_its_name",
    "push": f"{ROLLBACK}::test_rollback_without_push_ignores_remote",
}
REPAIR = "tests/stories/test_repair.py::test_half_done_release_is_repaired"
INIT_FLAGS: dict[str, Proof | str] = {
    "workspace": test_workspace_flag_names_the_path,
    "check_url": "tests/operations/test_init_workspace.py::test_init_tags_baselines_when_asked",
    "offline": "tests/operations/test_init_workspace.py::test_init_tags_baselines_when_asked",
}
CHECK_FLAGS: dict[str, Proof | str] = {
    **{name: FLAGS[name] for name in WHERE},
    "package": f"{CHECKS}::test_options_select_and_ignore_checks",
    "select": f"{CHECKS}::test_options_select_and_ignore_checks",
    "ignore": f"{CHECKS}::test_options_select_and_ignore_checks",
    "releases": "tests/stories/test_repair.py::test_half_done_release_is_repaired",
}
GOLDEN, CONFIG, APPROVAL = (
    "tests/cli/test_golden.py",
    "tests/cli/test_config.py",
    "tests/deployments/test_approval.py",
)
CHANGE, CHANGELOG, INIT, PIN = (
    "tests/operations/test_manage_changes.py",
    "tests/operations/test_preview.py",
    "tests/operations/test_init_workspace.py",
    "tests/operations/test_pinning.py",
)
SELECTED = {
    name: FLAGS[name]
    for name in (*WHERE, "package", "group", "exclude", "force_unchanged", "prerelease")
}
HERE: dict[str, Proof | str] = {"workspace": test_workspace_flag_names_the_path}
LOGS = f"{CLI}::test_json_logs_use_standard_error"
COMMANDS: dict[str, dict[str, Proof | str]] = {
    "": {
        "verbose": LOGS,
        "quiet": LOGS,
        "log_format": LOGS,
        "color": f"{GOLDEN}::test_colour_can_be_turned_off",
        "directory": "tests/cli/test_help.py::test_directory_option_changes_directory",
    },
    "publish": FLAGS
    | PUBLISH_FLAGS
    | {
        "yes": f"{CLI}::test_publish_without_terminal_needs_yes",
        "format": f"{CLI}::test_tables_export_csv_and_markdown",
    },
    "plan": {
        **FLAGS,
        "comment": "tests/deployments/test_workflows.py::test_written_workflows_release_packages",
        "since_last": f"{CLI}::test_plan_compares_with_earlier_plan",
        "diff": f"{CLI}::test_plan_compares_with_earlier_plan",
        "format": f"{CLI}::test_tables_export_csv_and_markdown",
    },
    "change": {
        **HERE,
        **dict.fromkeys(
            ("package", "bump", "message", "name"), f"{CHANGE}::test_add_writes_change_file"
        ),
        "since": f"{CHANGE}::test_status_compares_with_default_branch",
        "format": f"{CHANGE}::test_status_compares_with_default_branch",
    },
    "prepare": PREPARE_FLAGS | {"format": f"{PULLS}::test_changed_versions_renew_pull_request"},
    "manifest": HERE | {"output": f"{PULLS}::test_pull_request_survives_every_kill"},
    "merge": {
        **{name: FLAGS[name] for name in (*WHERE, "index", "publish_url", "check_url")},
        **dict.fromkeys(("output", "allow_missing_wheels", "offline", "format"), PLATFORMS),
    },
    "smoke-test": {
        **{name: FLAGS[name] for name in (*WHERE, "index", "publish_url", "check_url")},
        "format": "tests/stories/test_stage.py::test_manifest_publishes_exactly_that_release",
    },
    "approve": {
        "reject": f"{APPROVAL}::test_release_waits_for_approval",
        "drop": f"{APPROVAL}::test_release_waits_for_approval",
    },
    "status": {
        **{name: FLAGS[name] for name in (*WHERE, "index", "publish_url", "check_url")},
        "offline": f"{STATUS}::test_status_says_nothing_is_unfinished",
        "format": f"{STATUS}::test_status_says_nothing_is_unfinished",
    },
    "repair": {
        **{name: FLAGS[name] for name in (*WHERE, "index", "publish_url", "check_url")},
        **dict.fromkeys(("package", "all", "apply", "yes", "format"), REPAIR),
    },
    "yank": {
        **{name: FLAGS[name] for name in (*WHERE, "index", "publish_url", "check_url")},
        **dict.fromkeys(
            ("reason", "dry_run", "yes", "format"),
            "tests/stories/test_repair.py::test_yank_is_recorded_everywhere",
        ),
    },
    "verify": {
        **{name: FLAGS[name] for name in (*WHERE, "index", "publish_url", "check_url")},
        "format": "tests/stories/test_repair.py::test_rebuilt_version_is_compared",
    },
    "rollback": ROLLBACK_FLAGS
    | {
        "yes": f"{ROLLBACK}::test_rollback_without_terminal_needs_yes",
        "format": f"{ROLLBACK}::test_rollback_leaves_public_versions_only",
    },
    "version": SELECTED
    | {
        "explain": f"{CLI}::test_version_explains_each_commit",
        "format": f"{CLI}::test_version_shows_bump_and_reason",
    },
    "init": {
        **INIT_FLAGS,
        "yes": f"{INIT}::test_init_keeps_comments_and_order",
        "ci": f"{INIT}::test_init_writes_the_shipped_workflows",
        "from": "tests/stories/test_take_over.py::test_release_please_repository_moves_over",
        "tag_baselines": f"{INIT}::test_init_tags_baselines_when_asked",
        "format": f"{INIT}::test_init_finds_the_tag_formats",
    },
    "discover": HERE | {"format": f"{CLI}::test_discover_lists_every_member"},
    "graph": {
        **HERE,
        **dict.fromkeys(
            ("deps", "rdeps", "group", "kind"), f"{CLI}::test_graph_options_select_a_part"
        ),
        "format": f"{CLI}::test_graph_formats_name_every_package",
    },
    "check": CHECK_FLAGS
    | dict.fromkeys(("fix", "yes"), f"{CHECKS}::test_fix_writes_after_a_yes")
    | {"format": f"{CHECKS}::test_sarif_paths_start_at_repository"},
    "changelog": SELECTED | {"format": f"{CHANGELOG}::test_changelog_json_lists_each_change"},
    "notes": FLAGS | {"format": test_notes_json_has_template_data},
    "pin": HERE | dict.fromkeys(("apply", "restore"), f"{PIN}::test_pins_stay_until_restore"),
    "server": {"port": "tests/integrations/test_prefect_server.py::test_taken_port_is_an_error"},
    "config": HERE
    | {
        "schema": f"{CONFIG}::test_shipped_schema_matches_the_models",
        "format": f"{CONFIG}::test_setting_sources_have_an_order",
    },
}
TABLES = {"key": KEYS, **COMMANDS}


def test_every_option_has_a_proof() -> None:
    """A new key or option needs a proof in the tables, and one that is gone needs none."""
    told = {(command, option) for command, table in COMMANDS.items() for option in table}

    assert KEYS.keys() == Settings.model_fields.keys()
    assert told == set(all_options())


def test_proofs_elsewhere_exist() -> None:
    """A test that is named as a proof is there, and it, or what it uses, speaks of what it proves."""
    for table in TABLES.values():
        for name, proof in table.items():
            if isinstance(proof, str):
                path, _, test = proof.partition("::")
                source = _source_of_test(path, test)
                assert f"def {test}(" in source, proof
                assert name in source or f"-{name.replace('_', '-')}" in source, (name, proof)


@cache
def _source_of_test(path: str, test: str) -> str:
    """Return the source of the file *path* without its tests, except for the *test*."""
    text = (ROOT / path).read_text()
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if is_function and node.name.startswith("test_") and node.name != test:
            start, end = node.lineno, node.end_lineno or node.lineno
            lines[start - 1 : end] = [""] * (end - start + 1)
    return "\n".join(lines)
