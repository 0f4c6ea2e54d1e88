"""The proof, before the first upload, that what was built can be installed: real uv, a real index, a real Prefect."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.release_manifest import BuiltPackage
from releasekit.core.release.target import Target
from releasekit.core.workspace.built_files import import_names
from releasekit.integrations.archives import read_archive
from releasekit.integrations.filesystem import describe_file
from releasekit.integrations.process import run
from releasekit.integrations.uv import find_uv
from releasekit.store.record import Record
from tests.support.builders import plan_of, settings_of
from tests.support.fault_index import AWAY, STORED, Fault, FaultIndex, fault_index

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from releasekit.core.release.report import PackageReport
    from tasks.context import ReleaseContext

pytestmark = pytest.mark.usefixtures("unrecorded")

BROKEN = "raise RuntimeError('does not import')"
TELLTALE = """\
import os
seen = {"UV_PUBLISH_TOKEN", "GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} & os.environ.keys()
assert not seen, seen
"""


@pytest.fixture
def faulty() -> Generator[FaultIndex]:
    """Run an index of the test's own."""
    with fault_index() as index:
        yield index


@dataclass
class Scene:
    """A release of version 1.1 of some packages, and an index that has older ones."""

    directory: Path
    index: FaultIndex
    built: list[BuiltPackage] = field(default_factory=list[BuiltPackage])

    def build(
        self,
        name: str,
        version: str,
        needs: Sequence[str] = (),
        extras: Mapping[str, Sequence[str]] | None = None,
        module: str = "",
    ) -> Path:
        """Build a package; returns its wheel."""
        place = self.directory / "sources" / f"{name}-{version}"
        (place / "src" / name).mkdir(parents=True)
        (place / "src" / name / "__init__.py").write_text(module)
        optional = "".join(
            f"{extra} = {list(needed)}\n" for extra, needed in (extras or {}).items()
        )
        (place / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = ">=3.11"\n'
            f"dependencies = {list(needs)}\n[project.optional-dependencies]\n{optional}"
            '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
        )
        out = self.record.dist(name) if version == "1.1" else place / "dist"
        run(find_uv().build_command(place, out, [], {}, 120))
        return next(out.glob("*.whl"))

    def stage(self, name: str, *needs: str, module: str = "", **extras: Sequence[str]) -> None:
        """Build version 1.1, as the stage does."""
        path = self.build(name, "1.1", needs, extras, module)
        wheel = read_archive(path)
        self.built.append(
            BuiltPackage(
                name=name,
                version=Version("1.1"),
                tag=f"{name}-v1.1",
                files=(describe_file(path),),
                imports=import_names(wheel.files),
                extras=wheel.extras,
            )
        )

    def publish(self, name: str, *needs: str) -> None:
        """Put version 1.0 on the index."""
        path = self.build(name, "1.0", needs)
        self.index.files[name] = {path.name: path.read_bytes()}

    @property
    def record(self) -> Record:
        """Where the release is on record."""
        return Record(self.directory / "record")

    def prove(
        self,
        own: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        *,
        together: bool = False,
        new: Sequence[str] = (),
        **settings: object,
    ) -> dict[str, PackageReport]:
        """Prove it as a release does; returns what became of each package if one failed.

        The plan says that the packages *new* are new to the index.
        """
        from flows.event_flush import without_server
        from flows.scheduling import prove_all
        from tasks import build
        from tasks.context import ReleaseContext

        root = self.record.worktree
        root.mkdir(parents=True, exist_ok=True)
        (root / "pyproject.toml").write_text('[tool.uv]\nexclude-newer = "2020-01-01T00:00:00Z"\n')
        plan = plan_of(*(f"{package.name}:" for package in self.built), own=own)
        versions = {**dict.fromkeys(self.index.files, Version("1.0")), **plan.versions}
        plan = plan.model_copy(update={"versions": versions, "new_to_index": tuple(new)})
        uv = replace(find_uv(), python=sys.executable)
        target = Target(self.index.simple_url, "http://127.0.0.1:9")
        release: ReleaseContext = ReleaseContext(
            plan, self.record, settings_of(**settings), target, uv, ".", "main"
        )

        with pytest.MonkeyPatch.context() as patch, without_server():
            for step in ("prove", "prove_resolution"):
                patch.setattr(build, step, getattr(build, step).with_options(retry_delay_seconds=0))
            reports = asyncio.run(prove_all(release, self.built, together=together))
        return {report.name: report for report in reports}


@pytest.fixture
def scene(tmp_path: Path, faulty: FaultIndex) -> Scene:
    """Return a release of nothing yet."""
    return Scene(tmp_path, faulty)


def test_packages_need_not_install_together(scene: Scene) -> None:
    """Two that cannot be installed together can be out together, if each can be installed: here with an older core."""
    scene.publish("core")
    scene.publish("mid", "core==1.0")
    scene.stage("core")
    scene.stage("app", "mid==1.0")

    assert scene.prove() == {}
    with pytest.raises(
        Refusal, match=r"RK-RESOLVE-FAILED: .* together \(core==1.1, app==1.1\)"
    ) as caught:
        scene.prove(together=True)
    assert "core==1.1" in caught.value.output


def test_proof_uses_newest_sibling(scene: Scene) -> None:
    """A package is imported with the newest sibling on the index, also if the workspace has `exclude-newer`."""
    scene.publish("core")
    older = scene.build("core", "0.9")
    scene.index.files["core"][older.name] = older.read_bytes()
    scene.index.days |= {"core-0.9": 9999, "core-1.0": 1}
    scene.stage("app", "core>=0.9", module=IMPORTS_NEWEST_CORE)

    assert scene.prove() == {}


IMPORTS_NEWEST_CORE = "from importlib.metadata import version\nassert version('core') == '1.0'\n"


def test_new_packages_are_not_looked_up(scene: Scene) -> None:
    """Once all are resolved together, no index is asked again about a package that it cannot have."""
    scene.stage("core")
    scene.stage("app", "core==1.1")
    looks: list[str] = []

    def count_looks() -> Iterator[Fault]:
        while True:
            looks.append("core")
            yield STORED

    scene.index.on_page("core", count_looks())
    assert scene.prove(new=("core", "app")) == {}
    resolved = len(looks)
    assert scene.prove() == {}

    assert len(looks) - resolved == resolved + 2, "once for core, and once for app"


def test_new_package_may_need_another_version(scene: Scene) -> None:
    """If the index has got an older version in the meantime, a package may be proven with that one."""
    scene.publish("core")
    scene.stage("core")
    scene.stage("app", "core<1.1")

    assert scene.prove(new=("core", "app")) == {}


def test_fitting_wheel_is_chosen_among_several(scene: Scene) -> None:
    """Of a package with a wheel for each platform, that of this machine is proven."""
    scene.stage("core")
    wheel = scene.record.dist("core") / "core-1.1-py3-none-any.whl"
    for platform in ("win32", "macosx_99_0_arm64"):
        shutil.copy(wheel, wheel.with_name(f"core-1.1-py3-none-{platform}.whl"))

    assert scene.prove(new=("core",)) == {}


def test_extra_that_cannot_install_fails(scene: Scene) -> None:
    """An extra that brings what needs the older version is found, by its name, with uv's words; the rest is proven."""
    scene.publish("core")
    scene.publish("app", "core==1.0")
    scene.stage("core", plug=["app"], fine=["lone"])
    scene.stage("lone")

    reports = scene.prove()

    assert {name: str(report.outcome) for name, report in reports.items()} == {
        "core": "failed",
        "lone": "built",
    }
    assert reports["core"].error.startswith(
        f"{ErrorCode.RESOLVE_FAILED}: core[plug]==1.1 cannot be installed "
    )
    assert "core==1.0" in reports["core"].output
    assert scene.prove(overlay="off") == {}, "nobody was asked"


def test_failing_import_stops_the_package(scene: Scene) -> None:
    """What cannot be imported is found before the upload, once; what says so for itself is not imported."""
    scene.stage("core")
    scene.stage("broken", "core==1.1", module=f"import core\nprint('tried', flush=True)\n{BROKEN}")

    reports = scene.prove()

    assert {name: str(report.outcome) for name, report in reports.items()} == {
        "core": "built",
        "broken": "failed",
    }
    assert reports["broken"].error.startswith(
        f"{ErrorCode.STAGED_IMPORT_FAILED}: the built broken 1.1 cannot be "
    )
    assert "does not import" in reports["broken"].output
    assert scene.prove(smoke_test=False) == {}
    assert scene.prove(overlay="resolve") == {}
    assert scene.prove({"broken": {"smoke_test": False}}) == {}
    assert scene.prove({"broken": {"smoke_test": True}}, smoke_test=False).keys() == {
        "broken",
        "core",
    }


def test_separately_installed_package_is_imported(scene: Scene) -> None:
    """A package that installs by itself alone is imported too."""
    scene.publish("core")
    scene.stage("core")
    scene.stage("app", "core<1.1", module=BROKEN)

    reports = scene.prove()

    assert reports["app"].error.startswith(ErrorCode.STAGED_IMPORT_FAILED)
    assert str(reports["core"].outcome) == "built"


def test_fail_fast_stops_after_failure(scene: Scene) -> None:
    """With it nothing more is tried after the first failure."""
    for name in ("one", "two"):
        scene.stage(name, module=BROKEN)

    failed = scene.prove(build_concurrency=1)
    stopped = scene.prove(build_concurrency=1, fail_fast=True)

    assert [str(report.outcome) for report in failed.values()] == ["failed", "failed"]
    assert [str(report.outcome) for report in stopped.values()] == ["failed", "blocked"]


def test_import_test_gets_no_credentials(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports run other people's code, without what it could upload or push with."""
    for name in ("UV_PUBLISH_TOKEN", "GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        monkeypatch.setenv(name, "opensesame")
    scene.stage("core", module=TELLTALE)

    assert scene.prove() == {}


def test_unavailable_index_is_asked_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that is away for a moment is asked again; if it stays away, that is no fault of the packages."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    scene.stage("core")

    for passes in ([AWAY], [STORED, AWAY]):  # when it is resolved, and when it is installed
        scene.index.on_page("core", passes)
        assert scene.prove() == {}
    scene.index.on_page("core", [AWAY] * 9)
    with pytest.raises(
        Exception, match="uv cannot determine whether the built packages can be installed"
    ) as caught:
        scene.prove()
    assert re.search(r"503|be back soon", getattr(caught.value, "output", ""))
