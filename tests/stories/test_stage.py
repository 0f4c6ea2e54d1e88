"""Rights apart: one job builds without any, another uploads what it was handed and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.git import LOCK_REF
from releasekit.integrations.process import Command, run
from releasekit.operations import smoke_tests
from releasekit.store.bundle import check_output_directory, read_bundle
from tests.stories.test_resume import another_clone
from tests.support.builders import attestation
from tests.support.fault_index import INVALID as INVALID_UPLOAD
from tests.support.fault_index import FaultIndex, fault_index
from tests.support.world import Said, World, dated_tag, make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    Change = Callable[["Handed"], object]

pytestmark = pytest.mark.usefixtures("unrecorded")

ALONE = ("--skip-audit", "--skip-smoke-test", "--format", "json")
PASSWORD = "opensesame"


@pytest.fixture(scope="module")
def faulty() -> Generator[FaultIndex]:
    """Run an index that tells what came."""
    with fault_index() as index:
        yield index


class Handed:
    """What the first job has handed over, as the second one has it: in a directory of its own."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world, self.directory = world, directory
        self.manifest = directory / "manifest.json"

    @property
    def wheel(self) -> Path:
        """The wheel of core."""
        return self.directory / "dist/core/core-0.1.0-py3-none-any.whl"

    def publish(self, index: FaultIndex, *argv: str, clone: World | None = None) -> Said:
        """Publish it in a clone."""
        where = ("--publish-url", index.publish_url, "--check-url", index.simple_url)
        return (clone or self.world).releasekit(
            "publish", "--manifest", str(self.manifest), "--yes", *where, *(argv or ALONE)
        )

    def smoke_test(self, index: FaultIndex) -> tuple[int, dict[str, str]]:
        """Install and import the packages in a directory with nothing but the manifest; return how it ended."""
        alone = self.directory.with_name("alone.json")
        alone.write_bytes(self.manifest.read_bytes())
        where = ("--publish-url", index.publish_url, "--check-url", index.simple_url)
        said = self.world.releasekit("smoke-test", str(alone), *where, "--format", "json")
        tests = json.loads(said.out)["packages"]
        assert all(test["error"] for test in tests if test["outcome"] == "failed")
        return said.code, {test["name"]: test["outcome"] for test in tests}

    def edit(self, before: str, after: str, name: str = "manifest.json") -> None:
        """Change a text in one of its files."""
        text = (self.directory / name).read_text()
        assert before in text
        (self.directory / name).write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def handed(
    tmp_path_factory: pytest.TempPathFactory, prefect_client: Path, faulty: FaultIndex
) -> Handed:
    """Stage a release in a clone that has no right to anything, and hand it over."""
    directory = tmp_path_factory.mktemp("staged")
    world = make_world(directory, "app: core; core", "sbom = true")
    work = another_clone(world, directory / "staging")
    work.git("remote", "set-url", "origin", "/nowhere")  # nothing is asked of it
    before = work.state()
    where = ("--publish-url", faulty.publish_url, "--check-url", faulty.simple_url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELEASEKIT_RECORD", "never")
        staged = work.releasekit("publish", "--stage-only", "--output", "out", *where, *ALONE)

    assert staged.code == 0, (staged.err, prefect_client)
    report = json.loads(staged.out)
    assert [(package["name"], package["outcome"]) for package in report["packages"]] == [
        ("core", "built"),
        ("app", "built"),
    ]
    assert report["notes"] == ["staged in out: `releasekit publish --manifest out/manifest.json`"]
    assert work.state() == before, "neither record nor reference nor change is left"
    assert not faulty.uploads
    return Handed(world, work.root / "out")


@pytest.fixture
def mine(
    handed: Handed, tmp_path: Path, faulty: FaultIndex, monkeypatch: pytest.MonkeyPatch
) -> Handed:
    """Give the second job a copy, a fresh clone and the credentials."""
    faulty.uploads.clear()
    monkeypatch.setenv("UV_PUBLISH_TOKEN", PASSWORD)
    shutil.copytree(handed.directory, tmp_path / "handed")
    return Handed(another_clone(handed.world, tmp_path / "clone"), tmp_path / "handed")


def test_sha256sum_accepts_the_bundle(handed: Handed) -> None:
    """Whoever has it can check it with what every system has. An SBOM beside each wheel says what it brings."""
    checked = run(
        Command(("sha256sum", "--check", "--strict", "SHA256SUMS"), handed.directory)
    ).stdout

    assert sorted(line.partition(":")[0] for line in checked.splitlines()) == [
        "commit.bundle",
        "dist/app/app-0.1.0-py3-none-any.whl",
        "dist/app/app-0.1.0-py3-none-any.whl.cdx.json",
        "dist/app/app-0.1.0.tar.gz",
        "dist/core/core-0.1.0-py3-none-any.whl",
        "dist/core/core-0.1.0-py3-none-any.whl.cdx.json",
        "dist/core/core-0.1.0.tar.gz",
        "manifest.json",
    ]
    sbom = json.loads(
        (handed.directory / "dist/app/app-0.1.0-py3-none-any.whl.cdx.json").read_text()
    )
    component = sbom["metadata"]["component"]
    assert (sbom["bomFormat"], component["name"], component["version"]) == (
        "CycloneDX",
        "app",
        "0.1.0",
    )
    assert (
        f"{component['hashes'][0]['content']}  dist/app/app-0.1.0-py3"
        in (handed.directory / "SHA256SUMS").read_text()
    )
    assert [part["name"] for part in sbom["components"]] == ["core"]


def attested(file: Path) -> bytes:
    """Return an attestation of *file*, as somebody makes it after the files are staged."""
    return attestation((file.name, hashlib.sha256(file.read_bytes()).hexdigest()))


def flip(path: Path) -> None:
    """Change one byte."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def relink(path: Path) -> None:
    """Let a link to it take its place."""
    path.rename(path.with_name(f"{path.name}.real"))
    path.symlink_to(f"{path.name}.real")


def elsewhere(it: Handed) -> None:
    """Look at it from another repository."""
    it.world = make_world(it.directory.parent / "another", "core")


def older(it: Handed) -> None:
    """Let it be the manifest of a record, without a plan."""
    document = json.loads(it.manifest.read_text())
    it.manifest.write_text(json.dumps({**document, "plan": None}))


def astray(it: Handed, commits: int = 2) -> None:
    """Let its release commit be another one of the repository, that nobody has reviewed."""
    made = json.loads(it.manifest.read_text())["release_commit"]
    it.world.git("fetch", "--quiet", str(it.directory / "commit.bundle"), "HEAD")
    it.world.git("switch", "--quiet", "--create", "other", *([made] if commits > 1 else []))
    sha = it.world.commit("feat: unseen", {"packages/core/src/core/unseen.py": "import os"})
    it.world.git("switch", "--quiet", "main")
    it.edit(made, sha)
    (it.directory / "SHA256SUMS").unlink()


def begun(it: Handed) -> None:
    """Begin another release, so far that it has to be ended."""
    other = it.world.root / ".git/releasekit" / ("0" * 12)
    other.mkdir(parents=True)
    plan: dict[str, Any] = json.loads(it.manifest.read_text())["plan"]
    (other / "plan.json").write_text(json.dumps({**plan, "release": other.name}))


INVALID = ErrorCode.RECORD_INVALID
TAMPERED: list[tuple[Change, ErrorCode, str]] = [
    (lambda it: flip(it.wheel), INVALID, "the file differs from the recorded one"),
    (lambda it: it.wheel.unlink(), INVALID, "the file is missing, or is a link"),
    (lambda it: relink(it.wheel), INVALID, "the file is missing, or is a link"),
    (lambda it: relink(it.wheel.parent), INVALID, "the file is missing, or is a link"),
    (
        lambda it: it.edit('"size": ', '"size": 1'),
        INVALID,
        "the file differs from the recorded one",
    ),
    (lambda it: it.edit("  dist/app", "  dist/ap", "SHA256SUMS"), INVALID, "is not a file here"),
    (
        lambda it: it.edit("  dist/app", "  ../handed/dist/app", "SHA256SUMS"),
        INVALID,
        "is not a file here",
    ),
    (
        lambda it: it.edit("  manifest", "  ", "SHA256SUMS"),
        INVALID,
        ".json is listed, but is not a file",
    ),
    (lambda it: it.edit("  dist", "", "SHA256SUMS"), INVALID, "not a line of sha256sum"),
    (lambda it: (it.directory / "SHA256SUMS").write_text(""), INVALID, ".whl is not listed"),
    (
        lambda it: it.edit('"branch": "main"', '"branch": "prod"'),
        INVALID,
        "manifest.json has a different sha256",
    ),
    (
        lambda it: flip(it.directory / "commit.bundle"),
        INVALID,
        "commit.bundle has a different sha256",
    ),
    (lambda it: it.edit('"core-0.1.0.tar', '"../core-0.1.0.tar'), INVALID, "../core-0.1.0.tar.gz"),
    (lambda it: it.manifest.write_text("{"), INVALID, "Invalid JSON"),
    (lambda it: it.manifest.write_bytes(b"\xff"), INVALID, "can't decode"),
    (lambda it: it.manifest.unlink(), ErrorCode.FILE_SYSTEM, "No such file"),
    (older, INVALID, "it contains no plan"),
]


@pytest.mark.parametrize(("change", "code", "said"), TAMPERED, ids=range(len(TAMPERED)))
def test_tampered_bundle_is_refused(
    handed: Handed, tmp_path: Path, change: Change, code: ErrorCode, said: str
) -> None:
    """What is not as the manifest says, or leads elsewhere, is found out by reading it."""
    shutil.copytree(handed.directory, tmp_path / "handed")
    mine = Handed(handed.world, tmp_path / "handed")
    assert read_bundle(mine.manifest).manifest.packages
    change(mine)

    with pytest.raises(ReleaseError) as caught:
        read_bundle(mine.manifest)

    assert caught.value.code is code
    assert said in caught.value.message


UNFIT: list[tuple[Change, ErrorCode, str]] = [
    (lambda it: flip(it.wheel), INVALID, "the file differs from the recorded one"),
    (
        elsewhere,
        ErrorCode.COMMIT_MISSING,
        "that the release starts from is not in the history of this clone",
    ),
    (astray, ErrorCode.COMMIT_MISSING, "nor on its branch"),
    (lambda it: astray(it, 1), INVALID, "more than a release does: packages/app/CHANGELOG.md"),
    (begun, ErrorCode.RELEASE_ELSEWHERE, "has begun here and is unfinished"),
]


@pytest.mark.parametrize(("change", "code", "said"), UNFIT, ids=range(len(UNFIT)))
def test_unfit_bundle_changes_nothing(
    mine: Handed, faulty: FaultIndex, change: Change, code: ErrorCode, said: str
) -> None:
    """What does not fit is refused before anything happens."""
    change(mine)
    before = mine.world.state()

    refused = mine.publish(faulty)

    assert (refused.code, f"error: {code}" in refused.err) == (2, True), refused.err
    assert said in refused.err
    assert mine.world.state() == before
    assert not faulty.uploads


def test_missing_commit_needs_the_bundle(mine: Handed, faulty: FaultIndex) -> None:
    """Where neither clone nor bundle has the release commit, it is said how to get it."""
    (mine.directory / "commit.bundle").unlink()
    (mine.directory / "SHA256SUMS").unlink()

    refused = mine.publish(faulty)

    assert (refused.code, f"error: {ErrorCode.COMMIT_MISSING}" in refused.err) == (2, True), (
        refused.err
    )
    assert "put the `commit.bundle` next to the manifest" in refused.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--output", "x"), "--output needs --stage-only"),
        (("--stage-only", "--output", "."), "--output must be a separate directory"),
        (("--stage-only", "--version-only"), "one of --stage-only and --version-only"),
        (("--rehearse", "--stage-only"), "one of --rehearse and --stage-only"),
        (("--rehearse", "--manifest", "x"), "--manifest and --rehearse cannot be combined"),
        (("--version-only", "--manifest", "x"), "--manifest and --version-only cannot be combined"),
        (("--manifest", "x", "-p", "core"), "so it cannot be combined with --package"),
        (
            ("--stage-only", "--output", "packages"),
            "the directory is not empty, and contains no release bundle",
        ),
    ],
)
def test_publish_refuses_contradictory_options(
    mine: Handed, argv: tuple[str, ...], said: str
) -> None:
    """Options that do not go together are refused, and a directory that holds something else is left alone."""
    before = mine.world.state()

    refused = mine.world.releasekit("publish", "--yes", *argv)

    assert (refused.code, said in refused.err) == (2, True), refused.err
    assert mine.world.state() == before


@pytest.mark.usefixtures("whole_proofs")
def test_manifest_publishes_exactly_that_release(
    mine: Handed, tmp_path: Path, faulty: FaultIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is published from its own commit with its own files, whatever has come since; another clone can go on.

    The smoke test is a command of its own, which needs nothing but the manifest, and says what is not installable.
    """
    monkeypatch.setattr(smoke_tests, "_PAUSE", 0)
    mine.world.commit("feat: later", {"packages/core/later.txt": "more"})
    beside = mine.wheel.with_name(f"{mine.wheel.name}.publish.attestation")
    beside.write_bytes(attested(mine.wheel))
    dry = mine.publish(faulty, "--dry-run")
    assert dry.code == 0, dry.err
    assert "uv build" not in dry.out
    assert "git commit" not in dry.out
    assert "git tag --annotate --message core-v0.1.0" in dry.out
    faulty.on_upload("app", [INVALID_UPLOAD])

    halted = mine.publish(faulty)

    assert halted.code == 1, halted.err
    manifest = json.loads(mine.manifest.read_text())
    assert mine.world.tags() == {"core-v0.1.0": manifest["release_commit"]}
    assert mine.smoke_test(faulty) == (1, {"core": "passed", "app": "failed"})
    assert LOCK_REF in mine.world.git("ls-remote", "origin")
    before = mine.world.state()
    other = mine.world.releasekit("publish", "--version-only", "--yes", "--skip-audit")
    assert (other.code, f"{dated_tag()} has begun here and is unfinished" in other.err) == (
        2,
        True,
    ), other.err
    assert mine.world.state() == before
    sent = [upload.file for upload in faulty.uploads if upload.stored]
    mine.manifest.with_name("commit.bundle").unlink()
    (mine.directory / "SHA256SUMS").unlink()  # as a manifest that was fetched alone, with the files

    another = another_clone(mine.world, tmp_path / "another")
    # As of a run that was killed when it had begun.
    half = another.root / ".git/releasekit" / manifest["release"]
    half.mkdir(parents=True)
    (half / "manifest.json").write_text(json.dumps({**manifest, "plan": None}))
    assert ErrorCode.RECORD_INVALID in another.releasekit("publish", "--yes", "--skip-audit").err

    ended = mine.publish(faulty, clone=another)

    assert ended.code == 0, ended.err
    assert mine.smoke_test(faulty) == (0, {"core": "passed", "app": "passed"})
    assert f"taking over {dated_tag()}, begun by" in ended.err
    assert json.loads(ended.out)["commit"] == manifest["release_commit"]
    stored = [upload for upload in faulty.uploads if upload.stored]
    assert [upload.file for upload in stored][: len(sent)] == sent, "nothing is sent twice"
    assert {upload.file: upload.sha256 for upload in stored} == {
        f["name"]: f["sha256"] for package in manifest["packages"] for f in package["files"]
    }
    assert [u.file for u in stored if u.attested] == [mine.wheel.name]
    assert mine.world.tags() == dict.fromkeys(
        ("app-v0.1.0", "core-v0.1.0", dated_tag()), manifest["release_commit"]
    )
    assert LOCK_REF not in mine.world.git("ls-remote", "origin")


@pytest.mark.usefixtures("whole_proofs")
def test_smoke_test_wants_staged_files(
    mine: Handed, faulty: FaultIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the index gives out another file than the one that was staged, the smoke test fails."""
    assert mine.publish(faulty).code == 0
    assert mine.smoke_test(faulty) == (0, {"core": "passed", "app": "passed"})
    other = tmp_path / mine.wheel.name
    shutil.copy(mine.wheel, other)
    with ZipFile(other, "a") as archive:
        archive.comment = b"not what was staged"

    monkeypatch.setitem(faulty.files, "core", {other.name: other.read_bytes()})

    assert mine.smoke_test(faulty)[1]["core"] == "failed"


@pytest.mark.usefixtures("whole_proofs")
def test_trial_index_comes_first(mine: Handed) -> None:
    """The staged files go to a test index without a tag, and then, byte for byte, to the index of the release."""
    if tags := mine.world.tags():  # of the tests before this one
        mine.world.git("push", "--quiet", "origin", "--delete", *tags)
        mine.world.git("tag", "--delete", *tags)
    with fault_index() as trial, fault_index() as final:
        tried = mine.publish(trial, "--no-tag", "--no-push", *ALONE)
        assert tried.code == 0, tried.err
        assert mine.world.tags() == {}

        released = mine.publish(final)

        assert released.code == 0, released.err
        trial_files, files = (
            {upload.file: upload.sha256 for upload in index.uploads if upload.stored}
            for index in (trial, final)
        )
    assert len(files) == 4
    assert trial_files == files
    assert set(mine.world.tags()) == {"app-v0.1.0", "core-v0.1.0", dated_tag()}


def test_manifest_without_files_is_built(mine: Handed, faulty: FaultIndex) -> None:
    """A manifest without files is that of a release to be built: exactly that one, and from its commit."""
    document = json.loads(mine.manifest.read_text())
    bare = mine.directory / "bare.json"
    bare.write_text(json.dumps({**document, "packages": []}))
    (mine.directory / "SHA256SUMS").unlink()
    mine.world.commit("feat: later", {"packages/core/later.txt": "more"})
    mine.world.write({"untidy.txt": "left alone"})
    mine.manifest, out = bare, mine.directory / "built"

    said = mine.publish(faulty, "--stage-only", "--output", str(out), *ALONE)

    assert said.code == 0, said.err
    built = json.loads((out / "manifest.json").read_text())
    nobody = dict.fromkeys(("by", "host", "begun", "lock_id"), "")
    assert {**built, **nobody} == {**document, **nobody}


def test_staged_release_stays_in_clone(
    tmp_path: Path, faulty: FaultIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --output it is kept in the clone: staged anew as often as one likes, then carried on as it was staged."""
    world = make_world(tmp_path, "solo")
    where = ("--publish-url", faulty.publish_url, "--check-url", faulty.simple_url)
    assert world.releasekit("publish", "--stage-only", *where, *ALONE).code == 0
    monkeypatch.setenv("UV_PUBLISH_TOKEN", PASSWORD)
    later = world.commit("feat: later", {"packages/solo/src/solo/__init__.py": "LATER = True\n"})
    world.git("push", "--quiet", "origin", "main")
    before = world.git("for-each-ref", "refs/heads", "refs/tags")

    anew = world.releasekit("publish", "--stage-only", *where, *ALONE)

    assert anew.code == 0, anew.err
    assert "`releasekit publish` resumes it" in json.loads(anew.out)["notes"][0]
    (record,) = (path.parent for path in (world.root / ".git/releasekit").glob("*/plan.json"))
    assert json.loads((record / "manifest.json").read_text())["commit"] == later
    assert world.git("for-each-ref", "refs/heads", "refs/tags") == before
    wheel = next(record.glob("dist/solo/*.whl"))
    wheel.with_name(f"{wheel.name}.publish.attestation").write_bytes(attested(wheel))

    published = world.releasekit("publish", "--yes", *where, *ALONE)

    assert published.code == 0, published.err
    assert {u.file: u.attested for u in faulty.uploads if u.project == "solo"}[
        wheel.name
    ].startswith('[{"envelope":')


def test_version_only_commits_the_versions(tmp_path: Path, faulty: FaultIndex) -> None:
    """Versions, changelogs and lock file are committed and the branch brought there; the next release has them."""
    world = make_world(tmp_path, "app: core; core")
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat: more", {"packages/core/more.txt": "more"})
    remote = world.git("ls-remote", str(world.remote))
    where = ("--publish-url", faulty.publish_url, "--check-url", faulty.simple_url)
    argv = ("publish", "--version-only", *where, *ALONE)
    dry = world.releasekit("publish", "--version-only", "--dry-run", "--offline")
    told = [line.strip() for line in dry.out.partition("would run:")[2].splitlines()]
    assert told[-3:] == [
        "git commit --message 'chore(release): core-v0.2.0'",
        "git merge --quiet --ff-only COMMIT",
        "git worktree remove --force --force RELEASE/tree",
    ]

    said = world.releasekit(*argv, "--yes")

    assert said.code == 0, said.err
    assert json.loads(said.out)["packages"][0]["outcome"] == "versioned"
    changed = world.git("show", "--name-only", "--format=%s", "HEAD").split("\n")
    assert changed == [
        "chore(release): core-v0.2.0", "", "packages/core/CHANGELOG.md", "packages/core/pyproject.toml", "uv.lock",
    ]  # fmt: skip
    assert world.state()["status"] == ""
    assert not list((world.root / ".git/releasekit").glob("*/"))
    assert world.git("ls-remote", str(world.remote)) == remote
    plan = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    assert {row["name"]: row["next"] for row in plan["packages"]} == {"core": "0.2.0", "app": None}
    head = world.commit("fix: most", {"packages/core/most.txt": "most"})
    again = world.releasekit(*argv, "--yes")
    assert (again.code, world.git("rev-parse", "HEAD")) == (0, head), "all of it is written"
    assert (
        "packages/core/CHANGELOG.md already has a section for 0.2.0; it stays unchanged"
        in again.err
    )
    world.git("checkout", "--quiet", "--detach")
    assert ErrorCode.PREFLIGHT_DETACHED_HEAD in world.releasekit(*argv, "--yes").err


def test_foreign_directory_is_never_replaced(tmp_path: Path) -> None:
    """A directory is written into if it is empty, or holds what was handed over before, whole or cut off."""
    assert check_output_directory(tmp_path / "new") is None
    assert check_output_directory(tmp_path) is None
    for name in ("manifest.json", "dist"):  # a web site has these, too
        (tmp_path / name).mkdir()
        with pytest.raises(
            Refusal, match="the directory is not empty, and contains no release bundle"
        ):
            check_output_directory(tmp_path)
    (tmp_path / ".gitignore").write_text("*\n")
    assert check_output_directory(tmp_path) is None
    (tmp_path / "index.html").touch()
    with pytest.raises(Refusal):
        check_output_directory(tmp_path)
