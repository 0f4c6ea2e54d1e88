"""A CI job without a stored token: whether the index trusts it is known before anything changes."""

from __future__ import annotations

import os
from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_index import INVALID
from tests.support.trusted_index import TrustedIndex, trusted_index
from tests.support.world import make_world

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.world import Said, World

pytestmark = pytest.mark.usefixtures("unrecorded")
AUDIENCE, MINT = "/_/oidc/audience", "/_/oidc/mint-token"
BOTH = {"app", "core"}


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[TrustedIndex]:
    """Run an index that knows both projects, and trusts this process as a job for them."""
    with trusted_index(tmp_path) as index:
        index.publishers = set(BOTH)
        index.files = {name: {f"{name}-0.1.0.tar.gz": b"earlier"} for name in BOTH}
        for name, value in index.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("NETRC", "UV_CREDENTIALS_DIR"):
            monkeypatch.setenv(name, os.devnull)
        monkeypatch.setenv("UV_PUBLISH_URL", index.publish_url)
        monkeypatch.setenv("UV_PUBLISH_CHECK_URL", index.simple_url)
        yield index


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a workspace whose release has two packages."""
    made = make_world(tmp_path / "world", "app: core; core", 'publish_from = "local"\n')
    for name in BOTH:
        made.git("tag", f"{name}-v0.1.0")
    made.git("push", "origin", "--tags")
    made.commit("feat: all", {f"packages/{name}/src/{name}/more.py": "" for name in BOTH})
    return made


def publish(world: World, *options: str) -> Said:
    """Publish; return the exit code and what was said."""
    return world.releasekit("publish", "--skip-audit", "--skip-smoke-test", *options)


def test_trusted_job_needs_no_secret(trusted: TrustedIndex, world: World) -> None:
    """With a publisher for each project the release goes out, and every token has ended afterwards."""
    said = publish(world, "--yes")

    assert said.code == 0, said.err
    assert {upload.project for upload in trusted.uploads if upload.stored} == BOTH
    assert trusted.asked.count(MINT) == 3, "preflight, and an upload of each package"
    assert trusted.live == set()
    assert not [token for token in trusted.minted if token in said.out + said.err]


def test_missing_publisher_stops_before_changes(trusted: TrustedIndex, world: World) -> None:
    """If a project has no publisher, nothing is built, committed, tagged or uploaded: exit code 2."""
    trusted.publishers.remove("app")
    before = world.state()

    said = publish(world, "--yes")

    assert said.code == 2
    assert (
        "RK-INDEX-NO-PUBLISHER: trusted publishing covers 1 of the projects, and this release uploads 2 packages: "
        "core, app"
    ) in said.err
    assert world.state() == before
    assert (trusted.uploads, trusted.live) == ([], set())


def test_public_version_needs_no_publisher(
    trusted: TrustedIndex, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stored token has published needs no publisher when a job completes the release by its manifest."""
    staged = tmp_path / "staged"
    assert publish(world, "--stage-only", "--output", str(staged)).code == 0
    trusted.live.add("stored")
    trusted.on_upload("app", repeat(INVALID))
    with monkeypatch.context() as patch:
        patch.setenv("UV_PUBLISH_TOKEN", "stored")
        assert publish(world, "--yes", "--manifest", str(staged / "manifest.json")).code == 1
    trusted.heal()
    trusted.publishers.remove("core")

    said = publish(world, "--yes", "--manifest", str(staged / "manifest.json"))

    assert said.code == 0, said.err
    assert {upload.project for upload in trusted.uploads if upload.stored} == BOTH


def test_other_credentials_need_no_publisher(
    trusted: TrustedIndex, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where uv falls back on a netrc file, projects without a publisher are published with it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login __token__ password stored\n")
    monkeypatch.setenv("NETRC", str(netrc))
    trusted.live.add("stored")
    trusted.publishers.clear()

    said = publish(world, "--yes")

    assert said.code == 0, said.err
    assert {upload.project for upload in trusted.uploads if upload.stored} == BOTH


@pytest.mark.parametrize(("options", "new"), [(("--dry-run",), set[str]()), (("--yes",), BOTH)])
def test_only_release_asks_for_token(
    trusted: TrustedIndex, world: World, options: tuple[str, ...], new: set[str]
) -> None:
    """A dry run asks for no token; nor does a release with a new project, which PyPI would create for it."""
    for name in new:
        del trusted.files[name]

    assert publish(world, *options).code == 0
    assert trusted.asked[0] == AUDIENCE
    assert trusted.asked.count(MINT) == len(new), "uv's own, one for each package"
