"""Releases of packages that require each other as real workspaces do: exactly, in ranges, through extras, in files."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.integrations.peryx import embedded_index
from releasekit.integrations.process import run
from releasekit.integrations.uv import find_uv
from tests.stories.test_release import pins_of, uploads
from tests.support.world import World, make_world, upload, write_package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("unrecorded")


def publish(world: World, *options: str) -> dict[str, Any]:
    """Publish for real; returns the report."""
    world.git("push", "--quiet")
    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json", *options)
    assert said.code == 0, said.err
    assert lock_fits(world)
    return json.loads(said.out)


def lock_fits(world: World) -> bool:
    """Return whether uv.lock fits the files at the release commit."""
    return (
        run(find_uv().command("lock", "--check", cwd=world.root, ok_codes=frozenset({0, 1}))).code
        == 0
    )


def released(report: dict[str, Any]) -> dict[str, str]:
    """Return the packages of a release, with their versions."""
    return {package["name"]: package["version"] for package in report["packages"]}


def change(world: World, name: str, title: str) -> None:
    """Commit a change of one package."""
    path = world.root / f"packages/{name}/src/{name.replace('-', '_')}/__init__.py"
    path.write_text(f"{path.read_text()}# {title}\n")
    world.commit(title)


def install(index: EmbeddedIndex, directory: Path, *requirements: str) -> bool:
    """Return whether pip's way of installing finds all of *requirements* together, on the index alone."""
    command = find_uv().command(
        "pip", "install", "--no-config", "--dry-run", "--no-cache", "--quiet", "--target", str(directory / "together"),
        "--default-index", index.simple_url, *requirements, ok_codes=frozenset({0, 1}),
    )  # fmt: skip
    return run(command).code == 0


def was_listed_before(index: EmbeddedIndex, needed: str, dependent: str) -> bool:
    """Return whether the index was asked for the page of *needed* between its last upload and the first of the other.

    Both are a name and a version, such as "core-1.0".
    """
    log = index.requests()
    last = max(
        number for number, request in enumerate(log) if request.uploaded_file.startswith(needed)
    )
    first = min(
        number for number, request in enumerate(log) if request.uploaded_file.startswith(dependent)
    )
    page = f"/simple/{needed.rpartition('-')[0]}/"
    return any(request.path.endswith(page) for request in log[last:first])


@pytest.mark.usefixtures("whole_proofs")
def test_exact_pins_follow_the_release(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Exact requirements move with the release in files of all kinds; packages with one are released, in order."""
    world = make_world(tmp_path, "app: core==0.1.0; core; util; lone")
    pyproject = """\
        [project]
        name = "util"
        version = "0.1.0"
        requires-python = ">=3.11"
        dependencies = [
            # the core of it
            'core == 0.1.0 ; python_version >= "3.8"',  # why
            "idna>=3",
        ]
        optional-dependencies = { app = ["app[x]==0.1.0"] }

        [dependency-groups]
        dev = [{ include-group = "lint" }, "lone==0.1.0"]
        lint = ["core==0.1.0"]

        [build-system]
        requires = ["uv_build>=0.9"]
        build-backend = "uv_build"
        """
    world.write({"packages/util/pyproject.toml": pyproject})
    world.lock()
    publish(world)
    change(world, "core", "feat: a core")

    plan = json.loads(world.releasekit("plan", "--format", "json").out)
    report = publish(world)

    reasons = {row["name"]: row["reason"] for row in plan["packages"] if row["order"] >= 0}
    assert reasons["app"] == "core==0.1.0 is raised for core 0.2.0"
    assert released(report) == {"core": "0.2.0", "app": "0.1.1", "util": "0.1.1"}
    requires = pins_of(world, report["release"])
    assert requires["app"]["core"] == "core==0.2.0"
    assert requires["util"] == {
        "core": 'core==0.2.0; python_full_version >= "3.8"',
        "idna": "idna>=3",
        "app": 'app[x]==0.1.1; extra == "app"',
    }
    changed = world.git("diff", "-U0", "HEAD~1", "--", "packages/util/pyproject.toml").splitlines()
    assert [line for line in changed if re.match(r"[-+][^-+]", line)] == [
        '-version = "0.1.0"',
        '+version = "0.1.1"',
        "-    'core == 0.1.0 ; python_version >= \"3.8\"',  # why",
        "+    'core == 0.2.0 ; python_version >= \"3.8\"',  # why",
        '-optional-dependencies = { app = ["app[x]==0.1.0"] }',
        '+optional-dependencies = { app = ["app[x]==0.1.1"] }',
        '-lint = ["core==0.1.0"]',
        '+lint = ["core==0.2.0"]',
    ]
    assert was_listed_before(own_index, "core-0.2.0", "app-0.1.1")
    assert was_listed_before(own_index, "core-0.2.0", "util-0.1.1")
    assert install(own_index, tmp_path, "app==0.1.1", "core==0.2.0", "lone==0.1.0")


HOOK = """\
from importlib.metadata import version

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Hook(BuildHookInterface):
    def initialize(self, _, build_data):
        assert version("core") == self.metadata.version
"""


@pytest.mark.usefixtures("own_index")
def test_hatch_hook_builds_with_its_siblings(tmp_path: Path) -> None:
    """A build hook of hatchling gets the siblings that it asks for as they were just built, not those on the index.

    One asks for the dependencies of its package, one for those of an extra, and one for a package of its own choice.
    """
    world = make_world(tmp_path, "app: core; core; fast; tool", 'pins = "keep"')
    for name, asks in (
        ("app", "require-runtime-dependencies = true"),
        ("fast", 'require-runtime-features = ["c"]\n[project.optional-dependencies]\nc = ["core"]'),
        ("tool", 'dependencies = ["app"]'),
    ):
        path = f"packages/{name}/pyproject.toml"
        project, _, _ = (world.root / path).read_text().partition("[build-system]")
        system = 'requires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        hook = f"\n[tool.hatch.build.hooks.custom]\n{asks}\n"
        world.write(
            {
                path: f"{project}[build-system]\n{system}{hook}",
                f"packages/{name}/hatch_build.py": HOOK,
            }
        )
    world.lock()
    publish(world)
    names = ("core", "app", "fast", "tool")
    for name in names:
        change(world, name, "feat: more")

    report = publish(world)

    assert released(report) == dict.fromkeys(names, "0.2.0")


def test_requirement_files_are_raised(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Requirements that setuptools reads from files are edges, and are raised and pinned there."""
    world = make_world(tmp_path, "core; app")
    pyproject = """\
        [project]
        name = "app"
        version = "0.1.0"
        requires-python = ">=3.11"
        dynamic = ["dependencies", "optional-dependencies"]

        [build-system]
        requires = ["setuptools>=77"]
        build-backend = "setuptools.build_meta"

        [tool.setuptools.dynamic]
        dependencies = { file = ["requirements.txt"] }
        optional-dependencies.fast = { file = ["fast.txt"] }
        """
    files = {"requirements.txt": "# ours\ncore==0.1.0  # moves\n", "fast.txt": "core<0.2\n"}
    world.write({"packages/app/pyproject.toml": pyproject})
    world.write({f"packages/app/{name}": text for name, text in files.items()})
    world.lock()
    publish(world)
    change(world, "core", "feat: a core")

    report = publish(world)

    assert released(report) == {"core": "0.2.0", "app": "0.1.1"}
    texts = [(world.root / "packages/app" / name).read_text() for name in files]
    assert texts == ["# ours\ncore==0.2.0  # moves\n", "core<0.3\n"]
    assert was_listed_before(own_index, "core-0.2.0", "app-0.1.1")
    assert install(own_index, tmp_path, "app[fast]==0.1.1", "core==0.2.0")


@pytest.mark.parametrize(
    ("keys", "packages", "requires", "together"),
    [
        ('propagate = "none"', {"core": "0.2.0"}, "core==0.1.0", False),
        ('pins = "compatible"', {"core": "0.2.0", "app": "0.1.1"}, "core<0.3,>=0.2.0", True),
        ('pins = "keep"', {"core": "0.2.0", "app": "0.1.1"}, "core<0.3,>=0.2.0", True),
        ('source_requirements = "leave"', {"core": "0.2.0"}, "core==0.1.0", False),
    ],
    ids=["none", "compatible", "keep", "leave"],
)
def test_sibling_keys_decide_the_release(
    tmp_path: Path,
    own_index: EmbeddedIndex,
    keys: str,
    packages: dict[str, str],
    requires: str,
    together: bool,
) -> None:
    """What the three keys say is what is released, required and possible afterwards."""
    world = make_world(tmp_path, "app; core")
    write_package(world, "app", ["core>=0.1.0,<0.2"])
    world.lock()
    world.write(
        {
            "pyproject.toml": f"{(world.root / 'pyproject.toml').read_text()}\n[tool.releasekit]\n{keys}\n"
        }
    )
    world.commit("chore: keys")
    publish(world)
    change(world, "core", "feat: a core")

    plan = json.loads(world.releasekit("plan", "--format", "json").out)
    report = publish(world)

    assert released(report) == packages
    if "app" in packages:
        assert pins_of(world, report["release"])["app"]["core"] == requires
    source = "core>=0.1.0,<0.2" if "leave" in keys else "core>=0.2.0,<0.3"
    assert source in (world.root / "packages/app/pyproject.toml").read_text()
    latest = packages.get("app", "0.1.0")
    assert install(own_index, tmp_path, f"app=={latest}")
    assert install(own_index, tmp_path, f"app=={latest}", "core==0.2.0") is together
    said = [warning for warning in plan["warnings"] if warning.startswith("RK-PIN-OLD")]
    assert bool(said) is not together
    assert together or f"app 0.1.0 requires {requires}, not 0.2.0" in said[0]


def test_omitted_dependent_is_released_next(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A package that was left out of a release that raised its requirement is changed, and goes out with the next."""
    world = make_world(tmp_path, "app: core==0.1.0; core")
    publish(world)
    change(world, "core", "feat: a core")
    assert released(publish(world, "-p", "core")) == {"core": "0.2.0"}
    assert '"core==0.2.0"' in (world.root / "packages/app/pyproject.toml").read_text().replace(
        "'", '"'
    )

    report = publish(world)

    assert released(report) == {"app": "0.1.1"}
    assert report["packages"][0]["tag"] == "app-v0.1.1"
    assert install(own_index, tmp_path, "app==0.1.1", "core==0.2.0")


@pytest.mark.usefixtures("whole_proofs")
def test_required_extra_is_released_too(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """What an extra of a new version brings comes along; a middle that can be installed with the old one stays."""
    world = make_world(tmp_path, "core; mid: core; app: mid; plug: core")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    world.write({path: f'{text}\n[project.optional-dependencies]\nplug = ["plug"]\n'})
    world.lock()
    publish(world)
    change(world, "core", "fix: a core")
    change(world, "app", "fix: an app")

    report = publish(world)

    assert released(report) == {"core": "0.1.1", "app": "0.1.1", "plug": "0.1.1"}
    for requirement in ("app==0.1.1", "core[plug]==0.1.1", "plug==0.1.1"):
        assert install(own_index, tmp_path, requirement), requirement


def test_tagged_unpublished_sibling_is_obstacle(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A sibling that is tagged and not out is said by the plan, and the command that it names ends it."""
    world = make_world(tmp_path, "app: core; core")
    world.git("tag", "core-v0.1.0")
    change(world, "app", "feat: an app")
    world.git("push", "--quiet")

    said = world.releasekit("plan", "--format", "json")
    refused = world.releasekit("publish", "--yes", "--skip-audit")

    (obstacle,) = [
        each for each in json.loads(said.out)["obstacles"] if each["code"] == "RK-SIBLING-MISSING"
    ]
    assert (refused.code, "RK-SIBLING-MISSING" in refused.err) == (2, True)
    assert uploads(own_index) == []
    command = re.search(r"`releasekit publish (.*?)`", obstacle["hint"])
    assert command, obstacle
    assert released(publish(world, *command[1].split())) == {"app": "0.1.0", "core": "0.1.1"}


@pytest.mark.usefixtures("whole_proofs")
def test_spent_version_counts_as_released(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A version that is on the index and has no tag counts as released: one fix gives the next, without hand work."""
    world = make_world(tmp_path, "app: core; core", app="raise RuntimeError('broken')\n")
    text = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": f'{text}\n[tool.releasekit]\noverlay = "resolve"\n'})
    world.commit("chore: keys")
    world.git("push", "--quiet")
    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")
    assert said.code == 1
    assert world.releasekit("rollback", "--yes").code == 0
    world.git("pull", "--quiet")
    world.commit("fix: app can be imported", {"packages/app/src/app/__init__.py": "FIXED = True\n"})

    report = publish(world)

    assert released(report) == {"app": "0.1.1"}
    assert install(own_index, tmp_path, "app==0.1.1")


FORMS = ("", ">=0.1", "==0.1.0", "~=0.1.0", ">=0.1,<0.2", "==0.1.*", "<0.2")


def test_default_index_is_asked_when_plan_changes(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that leaves the plan may be on the default index, though the index of the release lacks it.

    At first its exact pins are assumed, so it would be released; then its wheel says that it needs no new release.
    """
    world = make_world(tmp_path, "core; app: core; web: app, core", 'pins = "exact"')
    upload(world, own_index, "core", "app", "web")
    for name in ("core", "app", "web"):
        world.git("tag", f"{name}-v0.1.0")
    changed = {f"packages/{name}/src/{name}/new.py": "" for name in ("core", "web")}
    world.commit("feat: more", changed)
    (tmp_path / "private").mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", own_index.simple_url)
    with embedded_index(tmp_path / "private") as private:
        monkeypatch.setenv("UV_PUBLISH_TOKEN", private.environment["UV_PUBLISH_TOKEN"] or "")
        where = ("--publish-url", private.publish_url, "--check-url", private.simple_url)
        said = world.releasekit("plan", "--format", "json", *where)

    assert said.code == 0, said.err
    rows = {row["name"]: row["next"] for row in json.loads(said.out)["packages"]}
    assert rows == {"core": "0.2.0", "web": "0.2.0", "app": None}


def test_wheel_shows_requirements_of_last_release(
    tmp_path: Path, open_server: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index without METADATA: the wheel of the last release says that it needs no new one, though pins are exact."""
    world = make_world(tmp_path, "shelf; book: shelf", 'pins = "exact"')
    upload(world, open_server, "shelf", "book")
    for name in ("shelf", "book"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat: more", {"packages/shelf/src/shelf/new.py": ""})
    for name in ("UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD"):
        monkeypatch.setenv(name, open_server.environment[name] or "")
    where = ("--publish-url", open_server.publish_url, "--check-url", open_server.simple_url)

    said = world.releasekit("plan", "--format", "json", *where)

    assert said.code == 0, said.err
    rows = {row["name"]: row["next"] for row in json.loads(said.out)["packages"]}
    assert rows == {"shelf": "0.2.0", "book": None}
    assert "assumed" not in said.out


@pytest.mark.parametrize("propagate", ["none", "out-of-range", "patch"])
def test_random_families_fit_together(
    tmp_path: Path, own_index: EmbeddedIndex, propagate: str
) -> None:
    """Random families of packages, pinned in all ways: two releases, after each of which everything fits together."""
    dice = random.Random(propagate)  # noqa: S311
    world, families = random_world(tmp_path, dice, propagate)
    publish(world)
    for _ in range(2):
        for name in dice.sample([name for family in families for name in family], 4):
            change(world, name, dice.choice(["fix: it", "feat: it", "feat!: it"]))
        world.git("push", "--quiet")
        said = world.releasekit("plan", "--format", "json")
        plan = json.loads(said.out)
        if plan["obstacles"]:
            # The command that is named first names all that is to be released with the package.
            assert (said.code, propagate) == (2, "none"), plan["obstacles"]
            report = publish(world, "--force-unchanged")
        else:
            report = publish(world)
        for name, version in released(report).items():
            extra = "[x]" if f"{name}[x]" in plan_extras(world, name) else ""
            assert install(own_index, tmp_path, f"{name}{extra}=={version}"), (name, version)
        latest = [f"{name}=={version_of(world, name)}" for family in families for name in family]
        assert propagate != "patch" or install(own_index, tmp_path, *latest)


def random_world(
    directory: Path, dice: random.Random, propagate: str
) -> tuple[World, Sequence[Sequence[str]]]:
    """Make a workspace of families that do not require each other; each is pinned in a way of its own."""
    modes = ("exact", "compatible", "keep", "exact")
    families = [
        [f"{propagate[0]}{number}-{letter}" for letter in "abcd"] for number in range(len(modes))
    ]
    world = make_world(directory, ";".join(name for family in families for name in family))
    for family, mode in zip(families, modes, strict=True):
        for number, name in enumerate(family):
            earlier = family[:number]
            needs = [f"{each}{dice.choice(FORMS)}" for each in earlier if dice.random() < 0.6]
            write_package(world, name, needs)
            path = world.root / "packages" / name / "pyproject.toml"
            later = dice.choice([each for each in family if each != name])
            extra = f'\n[project.optional-dependencies]\nx = ["{later}{dice.choice(FORMS)}"]\n'
            path.write_text(f'{path.read_text()}{extra}\n[tool.releasekit]\npins = "{mode}"\n')
    text = (world.root / "pyproject.toml").read_text()
    # The story installs what is published by itself, so no release imports it.
    keys = f'propagate = "{propagate}"\noverlay = "resolve"\nsmoke_test = false'
    world.write({"pyproject.toml": f"{text}\n[tool.releasekit]\n{keys}\n"})
    world.lock()
    return world, families


def plan_extras(world: World, name: str) -> str:
    """Return the extra of a package, as installers ask for it."""
    text = (world.root / "packages" / name / "pyproject.toml").read_text()
    return f"{name}[x]" if "optional-dependencies" in text else name


def version_of(world: World, name: str) -> str:
    """Return the version that a package declares."""
    text = (world.root / "packages" / name / "pyproject.toml").read_text()
    found = re.search(r'^version = "(.+)"', text, re.MULTILINE)
    assert found, name
    return found[1]


FRONT = """
[project]
name = "shelf"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["shelf-slim"]

[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
packages = []
"""


def test_front_shares_its_module(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A package without code leads to one with more in its name, which has the module; another one must not have it."""
    world = make_world(tmp_path, "shelf-slim; thief")
    shelf = world.root / "packages/shelf-slim"
    (shelf / "src/shelf_slim").rename(shelf / "src/shelf")
    manifest = shelf / "pyproject.toml"
    module = '\n[tool.uv.build-backend]\nmodule-name = "shelf"\n'
    manifest.write_text(manifest.read_text() + module)
    root = world.root / "pyproject.toml"
    sources = "[tool.uv.sources]\nshelf = { workspace = true }\n"
    root.write_text(root.read_text().replace("[tool.uv.sources]\n", sources))
    world.write({"packages/shelf/pyproject.toml": FRONT})
    world.lock()

    checked = world.releasekit("check", "--select", "verification")
    report = publish(world)

    assert "RK-VERIFY-SIBLING" not in checked.out
    assert set(released(report)) == {"shelf", "shelf-slim", "thief"}
    assert own_index

    stolen = world.root / "packages/thief/src"
    (stolen / "thief").rename(stolen / "shelf")
    thief = world.root / "packages/thief/pyproject.toml"
    thief.write_text(thief.read_text() + module)
    world.commit("feat(thief): take the shelf")
    refused = world.releasekit("publish", "--stage-only", "--skip-audit")
    assert refused.code == 1
    assert "RK-VERIFY-SIBLING" in refused.out
    assert "shelf of shelf" in world.releasekit("check", "--select", "verification").out
