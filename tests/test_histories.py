"""The benchmark on real histories knows what was released, and compares a plan with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from benchmarks import histories

if TYPE_CHECKING:
    from pathlib import Path

CORE = {"n": "core", "v": "1.0.0", "b": "uv_build", "br": ["uv_build>=0.9"]}
SHAPE: dict[str, Any] = {
    "sub": "",
    "dirs": ["", "packages/core", "packages/demo"],
    "branch": "main",
    "old": [],
    "side": [],
    "tags": [["core-v1.0.0", 0], ["core-v1.0.1", 2]],
    "commits": [
        {
            "d": 1,
            "k": "feat",
            "f": [[[0], {"ws": {}}], [[1], CORE], [[2], {**CORE, "n": "demo", "v": "0.0.0"}]],
        },
        {"d": 2, "k": "fix", "t": [1]},
        {"d": 3, "rel": 1, "f": [[[1], {"v": "1.0.1"}]]},
    ],
    "releases": [
        {"before": 1, "at": 2, "tags": ["core-v1.0.1"], "released": {"core": ["1.0.1", "td"]}}
    ],
}

MAKER = """
import subprocess, sys
from pathlib import Path

def git(*argv):
    subprocess.run(("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", *argv), cwd=root, check=True)

root = Path(sys.argv[2])
root.mkdir()
git("init", "--quiet", "--initial-branch=main")
(root / "pyproject.toml").write_text('[tool.uv.workspace]\\nmembers = ["packages/*"]\\n')
for name, version in (("core", "1.0.0"), ("demo", "0.0.0")):
    source = root / "packages" / name / "src" / name
    source.mkdir(parents=True)
    (source / "__init__.py").touch()
    build = '[build-system]\\nrequires = ["uv_build>=0.9"]\\nbuild-backend = "uv_build"\\n'
    project = f'[project]\\nname = "{name}"\\nversion = "{version}"\\nrequires-python = ">=3.11"\\n'
    (root / "packages" / name / "pyproject.toml").write_text(project + build)
git("add", "--all")
git("commit", "--quiet", "--message", "feat: begin")
git("tag", "core-v1.0.0")
(root / "packages/core/src/core/__init__.py").write_text("ONE = 1\\n")
git("commit", "--quiet", "--all", "--message", "fix: change core")
"""


def test_release_points_know_the_last_release() -> None:
    """The last release is before the point. A package that was never released has none, and is not on the index."""
    point = histories.read_points(SHAPE)[0]

    assert point.packages["core"].last == Version("1.0.0")
    assert point.packages["core"].released == Version("1.0.1")
    assert point.packages["core"].work == histories.Work(commits=1, typed=1, releasing=1)
    assert point.packages["demo"].last is None
    assert point.published == {"core": {"1.0.0": ()}}


def package(
    released: Version | None = None,
    work: histories.Work | None = None,
    *,
    last: str = "1.0.0",
    declared: Version | None = None,
) -> histories.Package:
    """Return the package "core" with these facts."""
    return histories.Package("core", Version(last), declared, released, work or histories.Work())


def kind_of(core: histories.Package, following: str, *others: histories.Package, last: str) -> str:
    """Return the class of the difference if the plan says *following* for *core*, and nothing for *others*."""
    point = histories.Point(0, {one.name: one for one in (core, *others)}, {})
    decision = histories.Decision(Version(last), Version(following) if following else None)
    outcomes = histories.compare(point, {"core": decision})
    return next(outcome.kind for outcome in outcomes if outcome.package == "core")


PATCH = Version("1.0.1")
UNTYPED, RELEASING = histories.Work(commits=2), histories.Work(commits=1, typed=1, releasing=1)


@pytest.mark.parametrize(
    ("core", "following", "kind"),
    [
        (package(released=PATCH), "1.0.1", ""),
        (package(), "", ""),
        (package(released=PATCH, work=UNTYPED), "", "commits without a type"),
        (
            package(released=PATCH, work=histories.Work(1, 1)),
            "",
            "commits whose types trigger no release",
        ),
        (
            package(released=PATCH, work=RELEASING),
            "",
            "left in spite of commits that trigger a release",
        ),
        (package(released=PATCH), "", histories.ALONE),
        (package(work=RELEASING), "1.0.1", histories.HELD_BACK),
        (package(), "1.0.1", histories.LEFT_TOGETHER),
        (package(last="1.0b1", work=RELEASING), "1.0", histories.PROMOTED),
        (package(last="1.0b1", released=Version("1.0b2")), "1.0", histories.PROMOTED),
        (package(declared=PATCH), "1.0.1", "version written by hand, released later"),
        (package(released=PATCH, last="0.9"), "1.1", "baseline wrong"),
        (package(released=Version("1.1")), "1.0.1", histories.LARGER),
        (package(released=PATCH), "1.1", histories.SMALLER),
        (package(released=Version("1.1b1")), "1.1", histories.PRERELEASE),
        (
            package(released=Version("1.1"), declared=Version("1.1")),
            "1.0.1",
            "version written by hand, not used",
        ),
    ],
)
def test_differences_have_a_class(core: histories.Package, following: str, kind: str) -> None:
    """The facts of the history say why a plan differs from the release."""
    last = "1.0.0" if kind == "baseline wrong" else str(core.last)

    assert kind_of(core, following, last=last) == kind


def test_lockstep_is_seen_in_equal_versions() -> None:
    """Packages that share the last and the new version are released together."""
    untyped = histories.Package("other", Version("1.0.0"), None, PATCH, UNTYPED)
    releasing = histories.Package("other", Version("1.0.0"), None, PATCH, RELEASING)

    assert (
        kind_of(package(released=PATCH), "", untyped, last="1.0.0")
        == "lockstep with commits without a type"
    )
    assert (
        kind_of(package(released=PATCH), "", releasing, last="1.0.0")
        == "lockstep that the plan does not know"
    )
    assert (
        kind_of(package(released=PATCH), "1.1", releasing, last="1.0.0")
        == "lockstep: another package decides the bump"
    )


def test_a_refused_plan_is_never_right() -> None:
    """Without a plan, a package that nobody released is not right either."""
    point = histories.Point(0, {"core": package()}, {})

    outcomes = histories.compare(point, None, "RK-VERSION-UNKNOWN")

    assert [(outcome.verdict, outcome.kind) for outcome in outcomes] == [
        ("no plan", "RK-VERSION-UNKNOWN")
    ]


def test_the_whole_script_runs_on_a_tiny_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repository is rebuilt, adopted and planned; the score counts packages."""
    (tmp_path / "tiny.json").write_text(json.dumps(SHAPE))
    (tmp_path / "maker.py").write_text(MAKER)

    result = histories.measure(histories.Job(tmp_path / "tiny.json", tmp_path / "maker.py", 0))
    histories.show_scores(histories.score_by_shape([result]))

    core = next(outcome for outcome in result.outcomes if outcome.package == "core")
    assert (core.planned_last, core.planned, core.verdict) == ("1.0.0", "1.0.1", "right")
    assert "tiny" in capsys.readouterr().out
