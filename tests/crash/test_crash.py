"""Killed anywhere, run again: the end is that of an undisturbed run, and nothing was sent twice.

`pytest tests/crash` tries a few points; `pytest tests/crash --crash-points=all` every one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.release.release_manifest import manifest_text, parse_staged_manifest
from releasekit.integrations.peryx import embedded_index
from tests.support.fault_index import FaultIndex, fault_index
from tests.support.world import World, make_world, relatives

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from releasekit.integrations.peryx import EmbeddedIndex

    Scenes = Callable[[], tuple[AbstractContextManager[EmbeddedIndex], World]]

ROOT = Path(__file__).parents[2]
RELEASE = ("publish", "--yes", "--skip-audit")
MOMENT = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
"""When all is committed: then two releases of the same thing make the same commits."""
TODAY, TOMORROW = "2026-01-02", "2026-01-03"
QUICK = 5
ATTEMPTS = 3


@dataclass(frozen=True)
class Run:
    """What one run did: exit code (negative when killed), the effects that it came to, and what it said."""

    code: int
    effects: tuple[str, ...]
    said: str


@dataclass(frozen=True)
class Zygote:
    """The process whose children are the runs."""

    process: subprocess.Popen[str]

    def run(
        self,
        world: World,
        env: dict[str, str],
        at: int = 0,
        after: float = 0,
        *,
        argv: tuple[str, ...] = RELEASE,
        today: str = TODAY,
    ) -> Run:
        """Run the program in *world*, killed at its effect number *at* or so many seconds *after* it."""
        output = world.root.parent / "output"
        output.unlink(missing_ok=True)
        job: dict[str, Any] = {
            "argv": argv,
            "cwd": str(world.root),
            "env": env,
            "output": str(output),
        }
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(
            json.dumps({**job, "at": at, "after": after, "today": today}) + "\n"
        )
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return Run(answer["code"], tuple(answer["effects"]), output.read_text("utf-8", "replace"))


@pytest.fixture(scope="module")
def zygote(prefect_api: str) -> Generator[Zygote]:
    """Start the process whose children are the runs."""
    script = (sys.executable, str(Path(__file__).with_name("zygote.py")))
    ours = {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    env = {**os.environ, **ours, "PREFECT_API_URL": prefect_api}
    env.pop("COVERAGE_PROCESS_CONFIG", None)  # its children end with os._exit and write no data
    with subprocess.Popen(
        script, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Zygote(process)


@dataclass(frozen=True)
class Point:
    """Where a run is killed: at its effect number *at*, or so many seconds *after* that."""

    at: int
    effect: str
    after: float = 0

    def __str__(self) -> str:
        return f"{self.at}{f' + {self.after:.3f} s' if self.after else ''}: {self.effect}"


def points(run: Run) -> list[Point]:
    """Return every point of an undisturbed *run*: before each effect, and in the middle of each program it starts."""
    parted = [line.partition(" ") for line in run.effects]
    moments = [float(moment) for moment, _, _ in parted] + [float(parted[-1][0]) + 0.1]
    found: list[Point] = []
    for at, (_, _, effect) in enumerate(parted, 1):
        found.append(Point(at, effect))
        if effect.startswith("run"):
            lasted = moments[at] - moments[at - 1]
            found += [Point(at, effect, max(lasted * share, 0.001)) for share in shares(effect)]
    return found


LOOKS = re.compile(
    r"\b(--version|workspace|version|rev-parse|log|for-each-ref|cat-file|ls-files|status|merge-base|ls-remote|var|get-url"
    r"|diff|show|--offline --check|left=)\b"
)
"""Programs that change nothing: being killed in the middle of one is being killed before it."""


def shares(effect: str) -> tuple[float, ...]:
    """Return how far into the program of *effect* it is worth being killed; the upload is where it matters most."""
    if LOOKS.search(effect):
        return ()
    return (0.2, 0.4, 0.6, 0.8, 1.0) if "uv publish" in effect else (0.5,)


def left_running(mark: str) -> list[str]:
    """Return the processes with *mark* that still run, once there was time to end; none if all is well."""
    deadline = time.monotonic() + 10
    while (found := list(relatives(mark).values())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@dataclass
class Scene:
    """A workspace that is about to be released, its index, and the mark of all processes that are begun for it.

    *fixed* are the indexes that its settings name, with the same addresses in every scene; without any, it is released
    to *index*.
    """

    world: World
    index: EmbeddedIndex
    record: str = "auto"
    fixed: Sequence[FaultIndex] = ()
    mark: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def env(self) -> dict[str, str]:
        """What the program finds in its environment."""
        given = {name: value or "" for name, value in self.index.environment.items() if value}
        ours = {"RELEASEKIT_RECORD": self.record, "TEST_OF_RELEASEKIT": self.mark}
        ours["INDEX_TOKEN"] = "pypi-of-the-indexes"
        return {**given, **MOMENT, **ours}

    def is_begun(self) -> bool:
        """Tell whether the release is on record: from then on its date is what it was."""
        return any((self.world.root / ".git" / "releasekit").glob("*/plan.json"))

    def end(self) -> dict[str, Any]:
        """Return all that a release leaves behind, here, on the remote and on the index."""
        records = self.world.root / ".git" / "releasekit"
        kept = sorted(
            path.relative_to(records).as_posix() for path in records.rglob("*") if path.is_file()
        )
        return {
            **self.world.state(),
            "head": self.world.git("rev-parse", "HEAD"),
            "unreachable": self.world.git("for-each-ref", "refs/releasekit"),
            "kept": [name for name in kept if not name.endswith("lock")],
            "manifests": [
                comparable(path.read_text(), self.index) for path in records.glob("*/manifest.json")
            ],
            "files": [
                *files_of(self.index),
                *(upload.file for index in self.fixed for upload in index.uploads if upload.stored),
            ],
            "temporary": [str(path) for path in self.world.root.rglob("*.tmp*")],
        }


def comparable(manifest: str, index: EmbeddedIndex) -> str:
    """Return the *manifest* without what differs between two scenes: the addresses of *index*, and the random id."""
    same_target = manifest.replace(index.publish_url, "http://index/upload/")
    same_index = same_target.replace(index.simple_url, "http://index/simple/")
    return re.sub(r'"lock_id": "\w{16}"', "", same_index)


def files_of(index: EmbeddedIndex) -> list[str]:
    """Return the uploads that the index took, in the order of their names: one that came twice is there twice."""
    return sorted(request.uploaded_file for request in index.requests() if request.uploaded_file)


@pytest.fixture
def scenes(tmp_path: Path) -> Scenes:
    """Return a function that makes the same scene again and again, in the same place."""
    template, place = tmp_path / "template", tmp_path / "scene"
    world = make_world(template, "app: core; core")
    world.git("remote", "set-url", "origin", str(place / "remote.git"))

    def scene() -> AbstractContextManager[EmbeddedIndex]:
        # Results of the same release elsewhere.
        for path in (
            place,
            Path(os.environ["PREFECT_HOME"], "storage"),
        ):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(template, place, symlinks=True)
        (place / "index").mkdir()
        return embedded_index(place / "index")

    return lambda: (scene(), World(place / "work", place / "remote.git"))


def tries_all(request: pytest.FixtureRequest) -> bool:
    """Tell whether every point was asked for."""
    return request.config.getoption("--crash-points") == "all"


def handed_over(zygote: Zygote, scenes: Scenes, template: Path) -> tuple[str, ...]:
    """Let the release be merged and tagged in *template*, as by a pull request; returns what publishes it from there.

    It has a manifest without files, such as a draft holds.
    """
    directory = template.parent / "handed"
    running, world = scenes()
    with running as index:
        staging = ("publish", "--stage-only", "--skip-audit", "--output", str(directory))
        assert zygote.run(world, Scene(world, index).env, argv=staging).code == 0
    manifest, plan = parse_staged_manifest((directory / "manifest.json").read_text(), "")
    tags = tuple(dict.fromkeys([*(step.tag for step in plan.steps), *plan.tags]))
    merged = World(template / "work", template / "remote.git")
    merged.git("fetch", "--quiet", str(directory / "commit.bundle"), "HEAD")
    merged.git("reset", "--quiet", "--hard", manifest.release_commit)
    for tag in tags:
        merged.git("tag", "--annotate", "--message", tag, tag)
    merged.git("push", "--quiet", str(merged.remote), "main", "--tags")
    shutil.rmtree(directory)
    directory.mkdir()
    unbuilt = manifest.model_copy(update={"packages": (), "tags": tags})
    (directory / "manifest.json").write_text(manifest_text(unbuilt))
    return ("publish", "--yes", "--skip-audit", "--manifest", str(directory / "manifest.json"))


@pytest.fixture
def two_indexes() -> Generator[Sequence[FaultIndex]]:
    """Run two indexes."""
    with fault_index() as first, fault_index() as second:
        yield first, second


def name_indexes(template: Path, indexes: Sequence[FaultIndex]) -> None:
    """Let the workspace in *template* be released to these *indexes*, one after the other."""
    world = World(template / "work", template / "remote.git")
    names = [f"number-{number}" for number, _ in enumerate(indexes)]
    given = "secrets = { UV_PUBLISH_TOKEN = 'INDEX_TOKEN' }"
    text = "".join(
        f'[[tool.uv.index]]\nname = "{name}"\nurl = "{index.simple_url}"\n'
        f'publish-url = "{index.publish_url}"\nexplicit = true\n\n'
        for name, index in zip(names, indexes, strict=True)
    )
    destinations = ", ".join(f"{{ index = '{name}', {given} }}" for name in names)
    path = world.root / "pyproject.toml"
    path.write_text(f"{path.read_text()}\n{text}[tool.releasekit]\npublish_to = [{destinations}]\n")
    world.lock()
    world.git("push", "--quiet", str(world.remote), "main")


@pytest.mark.parametrize("how", ["here", "by-manifest", "two-indexes"])
def test_next_run_completes_killed_release(
    zygote: Zygote,
    scenes: Scenes,
    tmp_path: Path,
    how: str,
    two_indexes: Sequence[FaultIndex],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """Whatever was going on, the next run ends as if nothing had happened, also on the next day."""
    argv, record, fixed = RELEASE, "auto", ()
    if how == "by-manifest":
        argv = handed_over(zygote, scenes, tmp_path / "template")
        record = "never"  # a job that publishes what was merged often has no server
    if how == "two-indexes":
        name_indexes(tmp_path / "template", two_indexes)
        record, fixed = "never", two_indexes
    running, world = scenes()
    with running as index:
        scene = Scene(world, index, record, fixed)
        undisturbed = zygote.run(world, scene.env, argv=argv)
        assert undisturbed.code == 0, undisturbed.said
        expected = scene.end()
        assert not left_running(scene.mark)
    sent: list[str] = expected["files"]
    counts = set(Counter(sent).values())
    assert (len(sent), counts) == (4 * max(len(fixed), 1), {max(len(fixed), 1)})

    every = points(undisturbed)
    few = every[:: len(every) // QUICK]
    chosen = every if tries_all(request) else few[-2:] if fixed else few
    wrong: list[str] = []
    for point in chosen:
        print(point, flush=True)  # noqa: T201
        running, world = scenes()
        with running as index:
            for each in fixed:
                each.clear()
            scene = Scene(world, index, record, fixed)
            if problem := tried(zygote, scene, point, expected, argv):
                wrong.append(f"{point}: {problem}")
    record_property(
        "tried",
        f"a release killed at {len(chosen)} of {len(every)} points, {len(wrong)} went wrong",
    )
    assert not wrong, "\n\n".join(wrong)


def tried(
    zygote: Zygote, scene: Scene, point: Point, expected: dict[str, Any], argv: tuple[str, ...]
) -> str:
    """Be killed at *point* and run again until it is done; returns what is different from an undisturbed run."""
    killed = zygote.run(scene.world, scene.env, point.at, point.after, argv=argv)
    if running := left_running(scene.mark):
        return f"still running: {running}"
    if killed.code not in (-9, 0):
        return f"ended by itself: {killed.code}\n{killed.said}"
    again = zygote.run(
        scene.world, scene.env, argv=argv, today=TOMORROW if scene.is_begun() else TODAY
    )
    if again.code:
        return f"exit {again.code}\n{again.said}"
    found = scene.end()
    return "\n".join(
        f"{key}: {found[key]} != {expected[key]}" for key in expected if found[key] != expected[key]
    )


def test_next_run_restores_pinned_files(
    zygote: Zygote,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """Killed anywhere while files are pinned or put back, the next run puts all of them back."""
    world = make_world(tmp_path, "core; app: core; util: core")
    pin = ("pin", "--apply", "--", "true")
    whole = zygote.run(world, {}, argv=pin)
    assert whole.code == 0, whole.said
    first = next(at for at, effect in enumerate(whole.effects, 1) if "pins" in effect)
    assert len(whole.effects) - first > 20

    chosen = range(first, len(whole.effects) + 1, 1 if tries_all(request) else 8)
    for at in chosen:
        assert zygote.run(world, {}, at, argv=pin).code == -9
        said = zygote.run(world, {}, argv=("pin", "--restore"))
        assert said.code == 0, said.said
        assert world.git("status", "--porcelain") == "", whole.effects[at - 1]
    assert not (world.root / ".git" / "releasekit" / "pins").exists()
    every = len(whole.effects) + 1 - first
    record_property("tried", f"pinning killed at {len(chosen)} of {every} points, none went wrong")
