"""A release that goes to several indexes: the same files, one index after the other, each with its own credentials."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from releasekit.integrations.peryx import embedded_index
from releasekit.operations import smoke_tests
from tests.stories.test_resume import another_clone
from tests.support.fault_index import INVALID, FaultIndex, fault_index
from tests.support.world import Said, World, dated_tag, make_world, upload

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("unrecorded")

PUBLISH = ("publish", "--yes", "--skip-audit", "--format", "json")
GRAPH = "app: core; core; tool: app"
HEADERS = {"Accept": "application/vnd.pypi.simple.v1+json"}


@pytest.fixture
def internal() -> Generator[FaultIndex]:
    """Run the first index, which tells what came and can go wrong."""
    with fault_index() as index:
        yield index


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[EmbeddedIndex]:
    """Run the second index, whose token is in a variable of its own."""
    (tmp_path / "public").mkdir()
    with embedded_index(tmp_path / "public") as index:
        monkeypatch.setenv("PUBLIC_TOKEN", str(index.environment["UV_PUBLISH_TOKEN"]))
        yield index


def two_indexes(
    directory: Path,
    internal: FaultIndex,
    public: EmbeddedIndex | FaultIndex,
    keys: str = "",
    graph: str = GRAPH,
) -> World:
    """Make a workspace whose packages go to *internal*, then to *public*; *keys* are more keys of the second one."""
    world = make_world(directory, graph, "allow_new = true")
    path = world.root / "pyproject.toml"
    destinations = (
        '[{ index = "internal", secrets = { UV_PUBLISH_USERNAME = "INTERNAL_USER", '
        'UV_PUBLISH_PASSWORD = "INTERNAL_PASSWORD" } },\n'
        f'  {{ index = "public", secrets = {{ UV_PUBLISH_TOKEN = "PUBLIC_TOKEN" }}{keys} }}]'
    )
    text = f"{path.read_text()}\npublish_to = {destinations}\n"
    for name, index in (("internal", internal), ("public", public)):
        text += (
            f'\n[[tool.uv.index]]\nname = "{name}"\nurl = "{index.simple_url}"\n'
            f'publish-url = "{index.publish_url}"\nexplicit = true\n'
        )
    path.write_text(text)
    world.lock()
    world.git("push", "--quiet")
    return world


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials of the first index, and a token that must go to none of the two."""
    monkeypatch.setenv("INTERNAL_USER", "ada")
    monkeypatch.setenv("INTERNAL_PASSWORD", "opensesame")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "pypi-of-somebody-else")


def outcomes(said: Said) -> dict[str, tuple[str, Sequence[str]]]:
    """Return the outcome of each package in the report, and the indexes on which it is confirmed."""
    packages: list[dict[str, Any]] = json.loads(said.out)["packages"]
    return {row["name"]: (row["outcome"], row["indexes"]) for row in packages}


def files_on(simple_url: str, *names: str) -> dict[str, str]:
    """Return the sha256 of each file that the index lists for the packages *names*."""
    listed: dict[str, str] = {}
    for name in names:
        page = httpx.get(f"{simple_url.rstrip('/')}/{name}/", headers=HEADERS)
        files: list[dict[str, Any]] = page.json()["files"] if page.is_success else []
        listed |= {file["filename"]: file["hashes"]["sha256"] for file in files}
    return listed


ALL = ("core", "app", "tool")


@pytest.mark.usefixtures("whole_proofs")
def test_each_index_gets_the_same_files(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """Every package goes to the first index, the chosen ones to the second, with the credentials of each."""
    world = two_indexes(tmp_path, internal, public, ', packages = ["core", "app"]')

    said = world.releasekit(*PUBLISH)

    assert said.code == 0, said.err
    both = ["internal", "public"]
    assert outcomes(said) == {
        "core": ("confirmed", both),
        "app": ("confirmed", both),
        "tool": ("confirmed", ["internal"]),
    }
    first = files_on(internal.simple_url, *ALL)
    assert len(first) == 6
    second = files_on(public.simple_url, *ALL)
    assert second == {name: first[name] for name in first if not name.startswith("tool")}
    assert set(world.tags()) == {"core-v0.1.0", "app-v0.1.0", "tool-v0.1.0", dated_tag()}
    assert internal.users == {"ada:opensesame"}


def test_rehearsal_has_each_index(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal publishes to a throwaway index in place of each, and needs no yes; the real ones get nothing.

    Packages that the release does not contain come from the real indexes.
    """
    world = two_indexes(tmp_path, internal, public, ', packages = ["core", "app"], approve = true')
    monkeypatch.setenv("UV_INDEX_INTERNAL_USERNAME", "ada")
    monkeypatch.setenv("UV_INDEX_INTERNAL_PASSWORD", "opensesame")
    before = world.state()
    monkeypatch.delenv("PUBLIC_TOKEN")  # nobody needs it for a rehearsal
    first = world.releasekit("publish", "--rehearse", "--skip-audit", "--format", "json")
    assert first.code == 0, first.err
    both = ["internal", "public"]
    assert outcomes(first) == {
        "core": ("confirmed", both),
        "app": ("confirmed", both),
        "tool": ("confirmed", ["internal"]),
    }
    assert (world.state(), internal.uploads) == (before, [])
    assert not files_on(public.simple_url, *ALL)

    monkeypatch.setenv("PUBLIC_TOKEN", str(public.environment["UV_PUBLISH_TOKEN"]))
    assert world.releasekit(*PUBLISH).code == 0
    assert world.releasekit(*PUBLISH, "--allow-index", "public").code == 0
    world.commit("feat: seeds", {"packages/app/src/app/seeds.py": ""})
    sent = len(internal.uploads)
    second = world.releasekit("publish", "--rehearse", "--skip-audit", "--format", "json")

    assert second.code == 0, second.err
    assert outcomes(second) == {"app": ("confirmed", both)}
    assert len(internal.uploads) == sent


def test_release_stops_before_index_with_approval(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """Nothing is public until somebody says yes; a yes in advance does not count. Then the release ends as usual."""
    world = two_indexes(tmp_path, internal, public, ", approve = true")

    stopped = world.releasekit(*PUBLISH)

    assert stopped.code == 0, stopped.err
    assert outcomes(stopped) == dict.fromkeys(ALL, ("waiting", ["internal"]))
    (note,) = json.loads(stopped.out)["notes"]
    assert "public waits for approval" in note
    assert not world.tags()
    assert not files_on(public.simple_url, *ALL)
    sent = len(internal.uploads)
    status = world.releasekit("status").out
    assert "3 packages published, public waits for approval" in status
    assert "--allow-index public" in status

    refused = world.releasekit(*PUBLISH)

    assert refused.code == 2
    assert "RK-NOT-CONFIRMED" in refused.err
    assert "--allow-index public" in refused.err
    assert not files_on(public.simple_url, *ALL)

    ended = world.releasekit(*PUBLISH, "--allow-index", "public")

    assert ended.code == 0, ended.err
    assert {outcome for outcome, _ in outcomes(ended).values()} == {"confirmed"}
    assert files_on(public.simple_url, *ALL) == files_on(internal.simple_url, *ALL)
    assert len(internal.uploads) == sent, "nothing is sent to the first index again"
    assert dated_tag() in world.tags()


def test_waiting_release_can_be_abandoned(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """What is on the first index stays there, nothing else is left, and the next release gets new versions."""
    world = two_indexes(tmp_path, internal, public, ", approve = true", graph="core")
    assert world.releasekit(*PUBLISH).code == 0

    abandoned = world.releasekit("rollback", "--yes")
    assert abandoned.code == 0, abandoned.err
    assert "1 package stays on the index" in abandoned.out
    assert "refs/releasekit" not in world.git("ls-remote", str(world.remote))

    world.commit("fix: it", {"packages/core/src/core/__init__.py": "A = 2\n"})
    world.git("push", "--quiet")
    ended = world.releasekit(*PUBLISH, "--allow-index", "public")

    assert ended.code == 0, ended.err
    assert set(world.tags()) == {"core-v0.1.1"}
    assert len(files_on(public.simple_url, "core")) == 2


def test_allowed_index_needs_no_stop(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """--allow-index is the yes also at the beginning; an index that is not in the list is refused."""
    world = two_indexes(tmp_path, internal, public, ", approve = true", graph="core")

    unknown = world.releasekit(*PUBLISH, "--allow-index", "publik")
    said = world.releasekit(*PUBLISH, "--allow-index", "public")

    assert unknown.code == 2
    assert "did you mean public" in unknown.err
    assert said.code == 0, said.err
    assert outcomes(said) == {"core": ("confirmed", ["internal", "public"])}


def test_failure_on_first_index_keeps_the_next_empty(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """If one package fails on the first index, none goes to the second; the next run completes both."""
    world = two_indexes(tmp_path, internal, public)
    internal.on_upload("app", [INVALID] * 9)

    failed = world.releasekit(*PUBLISH)

    assert failed.code == 1
    assert outcomes(failed) == {
        "core": ("blocked", ["internal"]),
        "app": ("failed", []),
        "tool": ("blocked", []),
    }
    assert "internal, which lacks app, tool" in failed.out
    assert not files_on(public.simple_url, *ALL)

    internal.heal()
    ended = world.releasekit(*PUBLISH)

    assert ended.code == 0, ended.err
    assert len(files_on(public.simple_url, *ALL)) == 6
    assert len({upload.file for upload in internal.uploads if upload.stored}) == 6


def test_second_index_can_fail_alone(
    tmp_path: Path, internal: FaultIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that fails on the second index is on the first one, as the report says; the next run goes on there."""
    monkeypatch.setenv("PUBLIC_TOKEN", "pypi-of-the-second")
    with fault_index() as second:
        world = two_indexes(tmp_path, internal, second, graph="app: core; core")
        second.on_upload("core", [INVALID] * 9)

        failed = world.releasekit(*PUBLISH)

        assert failed.code == 1
        assert outcomes(failed) == {
            "core": ("failed", ["internal"]),
            "app": ("blocked", ["internal"]),
        }
        assert not world.tags()
        sent = len(internal.uploads)
        second.heal()

        ended = world.releasekit(*PUBLISH)

        assert ended.code == 0, ended.err
        assert len(internal.uploads) == sent
        assert len([upload for upload in second.uploads if upload.stored]) == 4
        assert second.users == {"__token__:pypi-of-the-second"}
        assert internal.users == {"ada:opensesame"}


def test_package_must_be_installable_from_each_index(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """A package whose sibling stays on the first index is refused before any upload."""
    world = two_indexes(tmp_path, internal, public, ', packages = ["app"]')

    failed = world.releasekit(*PUBLISH)

    assert failed.code == 1, failed.out
    assert outcomes(failed)["app"] == ("failed", [])
    assert "core==0.1.0" in failed.out
    assert not internal.uploads
    assert not files_on(public.simple_url, *ALL)


def test_version_on_second_index_is_an_obstacle(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """A version that somebody has uploaded to the second index is found by the plan, before the first upload."""
    world = two_indexes(tmp_path, internal, public, graph="core")
    upload(world, public, "core")

    refused = world.releasekit(*PUBLISH)

    assert refused.code == 2
    assert "RK-PREFLIGHT-VERSION-EXISTS" in refused.err
    assert "public already has core 0.1.0" in refused.err
    assert not internal.uploads


def test_repair_looks_at_every_index(
    tmp_path: Path, internal: FaultIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that only the second index lacks is uploaded there; other content there needs the next version."""
    monkeypatch.setenv("PUBLIC_TOKEN", "public-token")
    with fault_index() as public:
        world = two_indexes(tmp_path, internal, public, ', packages = ["core", "app"]')
        assert world.releasekit(*PUBLISH).code == 0
        assert world.releasekit("repair").code == 0
        lost = public.files["app"].pop("app-0.1.0.tar.gz")
        sent = len(internal.uploads)

        found = world.releasekit("repair", "--format", "json")
        repaired = world.releasekit("repair", "--apply", "--yes", "--format", "json")

        (finding,) = json.loads(found.out)["findings"]
        named = (finding["kind"], finding["package"], finding["index"], finding["text"])
        assert named == ("files_incomplete", "app", "public", "public lacks app-0.1.0.tar.gz")
        assert repaired.code == 0, repaired.err
        assert json.loads(repaired.out)["repaired"] == ["files_incomplete of app 0.1.0 on public"]
        assert public.files["app"]["app-0.1.0.tar.gz"] == lost
        assert len(internal.uploads) == sent
        assert public.users == {"__token__:public-token"}

        public.files["core"]["core-0.1.0.tar.gz"] = b"other content"
        del public.files["app"]
        seen = json.loads(world.releasekit("repair", "--format", "json").out)["findings"]
        kinds = {(finding["kind"], finding["package"], finding["index"]) for finding in seen}
        assert kinds == {
            ("checksum_differs", "core", "public"),
            ("tagged_not_published", "app", "public"),
        }
        verified = world.releasekit("verify", "core", "0.1.0", "--format", "json")
        problems = {file["name"]: file["problems"] for file in json.loads(verified.out)["files"]}
        assert verified.code == 1
        assert problems["core-0.1.0.tar.gz"] == ["public has other content"]
        assert problems["core-0.1.0-py3-none-any.whl"] == []
        only = world.releasekit("repair", "--index", "internal", "--format", "json")
        assert (only.code, json.loads(only.out)["findings"]) == (0, [])


def test_yank_reaches_every_index(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """The version is yanked where an index can do that; for the others, a person is told what to open."""
    world = two_indexes(tmp_path, internal, public, ', packages = ["core"]')
    assert world.releasekit(*PUBLISH).code == 0
    words = ("yank", "core", "0.1.0", "--reason", "it deletes files", "--format", "json")

    planned = json.loads(world.releasekit(*words, "--dry-run").out)
    said = world.releasekit(*words, "--yes")
    alone = json.loads(world.releasekit("yank", "app", *words[2:], "--yes").out)

    assert [place["can_yank"] for place in planned["places"]] == [False, True]
    by_hand = f"open {internal.simple_url}/core/ and yank 0.1.0 there; give the same reason"
    assert planned["remaining"] == [by_hand]
    assert said.code == 0, said.err
    report = json.loads(said.out)
    assert [place["is_yanked"] for place in report["places"]] == [False, True]
    assert (report["remaining"], report["is_yanked"]) == ([by_hand], False)
    assert report["done"][0].startswith("core 0.1.0 is yanked on public")
    page = httpx.get(f"{public.simple_url}core/", headers=HEADERS).json()
    assert all(file["yanked"] for file in page["files"])
    assert len(alone["places"]) == 1


def test_dry_run_shows_every_index(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """The commands for both indexes are shown, and where the release stops."""
    world = two_indexes(tmp_path, internal, public, ", approve = true", graph="core")

    said = world.releasekit("publish", "--dry-run")

    assert said.code == 0, said.err
    assert said.out.count("uv publish") == 2
    proofs = [line for line in said.out.splitlines() if "pip install --dry-run" in line]
    asked = [(internal.simple_url in line, public.simple_url in line) for line in proofs]
    assert asked == [(True, False), (False, True)]
    assert "# from public too, which gets core" in said.out
    first, second = said.out.index(internal.publish_url), said.out.rindex(public.publish_url)
    assert first < said.out.index("stop here until somebody allows public") < second
    assert not internal.uploads


def test_option_replaces_all_indexes(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--index names the only index of a release, with the usual credentials."""
    world = two_indexes(tmp_path, internal, public, graph="core")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", str(public.environment["UV_PUBLISH_TOKEN"]))

    said = world.releasekit(*PUBLISH, "--index", "public")

    assert said.code == 0, said.err
    assert outcomes(said) == {"core": ("confirmed", [])}
    assert not internal.uploads
    assert len(files_on(public.simple_url, "core")) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[{ index = "nowhere" }]', "no index with a publish-url is named nowhere"),
        ('[{ index = "internal", approve = true }]', "internal comes first"),
        ('[{ index = "internal" }, { index = "internal" }]', "internal is named twice"),
        ('[{ index = "internal" }, { index = "public", after = "x" }]', "after x, which is no index before it"),
        ('[{ index = "internal" }, { index = "public", packages = ["x"] }]', "no workspace member matches x"),
        ('[{ index = "internal" }, { indx = "public" }]', "unknown key indx; did you mean index"),
        ('[{ index = "internal", secrets = { UV_PUBLISH_TOKEN = "pypi-AgEIcHl" } }]', "UV_PUBLISH_TOKEN"),
        ('[{ index = "internal" }]\nindex = "public"', "index names one index and publish_to several"),
    ],
)  # fmt: skip
def test_wrong_lists_are_refused(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex, line: str, said: str
) -> None:
    """Each mistake in `publish_to` is refused by name, without showing what may be a secret."""
    world = two_indexes(tmp_path, internal, public, graph="core")
    path = world.root / "pyproject.toml"
    before, _, rest = path.read_text().partition("publish_to = ")
    rest = rest[rest.index("}]\n") + 2 :]
    path.write_text(f"{before}publish_to = {line}{rest}")

    refused = world.releasekit("plan", "--offline")

    assert (refused.code, said in refused.err) == (2, True), refused.err
    assert "AgEIcHl" not in refused.err


def test_subset_must_be_on_earlier_index(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex
) -> None:
    """An index cannot get a package that the index before it does not get."""
    more = (
        ', packages = ["core"] }, { index = "third", packages = ["app"]'
        ', secrets = { UV_PUBLISH_TOKEN = "PUBLIC_TOKEN" }'
    )
    world = two_indexes(tmp_path, internal, public, more)
    path = world.root / "pyproject.toml"
    third = f'\n[[tool.uv.index]]\nname = "third"\nurl = "{public.simple_url}"\npublish-url = "{public.publish_url}"\n'
    path.write_text(path.read_text() + third)

    refused = world.releasekit("plan", "--offline")

    assert refused.code == 2
    assert "third gets app, but public before it does not" in refused.err


@pytest.mark.usefixtures("whole_proofs")
def test_smoke_test_asks_each_index(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of its own installs from each index what it has; an index that waits for approval has nothing yet."""
    monkeypatch.setattr(smoke_tests, "_PAUSE", 0)
    world = two_indexes(tmp_path, internal, public, ', packages = ["core", "app"], approve = true')
    staged, manifest = tmp_path / "staged", tmp_path / "staged/manifest.json"
    assert world.releasekit(*PUBLISH, "--stage-only", "--output", str(staged)).code == 0
    publish = (*PUBLISH, "--skip-smoke-test", "--manifest", str(manifest))

    def passed() -> list[tuple[str, str, str]]:
        said = world.releasekit("smoke-test", str(manifest), "--format", "json")
        tests: list[dict[str, str]] = json.loads(said.out)["packages"]
        assert said.code == 0, said.err
        return [(test["index"], test["name"], test["outcome"]) for test in tests]

    assert world.releasekit(*publish).code == 0
    first = [("internal", name, "passed") for name in ALL]
    assert passed() == first

    assert world.releasekit(*publish, "--allow-index", "public").code == 0
    assert passed() == [*first, ("public", "core", "passed"), ("public", "app", "passed")]
    table = world.releasekit("smoke-test", str(manifest)).out
    assert re.search(r"core +0\.1\.0 +public: installed and imported", table)


@pytest.mark.parametrize("is_locked", [True, False], ids=["fresh-clone", "no-lock"])
def test_lost_record_resumes_on_each_index(
    tmp_path: Path, internal: FaultIndex, public: EmbeddedIndex, *, is_locked: bool
) -> None:
    """A CI job that has only a fresh clone publishes to the second index what the first one has, and sends it no more.

    The same works without the lock on the remote, from what the clone that began still knows.
    """
    world = two_indexes(tmp_path, internal, public, ", approve = true")
    assert world.releasekit(*PUBLISH).code == 0
    sent = [upload.file for upload in internal.uploads]
    (record,) = (world.root / ".git/releasekit").glob("*/manifest.json")
    shutil.rmtree(record.parent)
    if is_locked:
        world = another_clone(world, tmp_path / "fresh")
    else:
        world.git("push", "--quiet", "origin", "--delete", "refs/releasekit/running")

    said = world.releasekit(*PUBLISH, "--resume-from-registry", "--allow-index", "public")

    assert said.code == 0, said.err
    assert outcomes(said) == dict.fromkeys(ALL, ("confirmed", ["internal", "public"]))
    assert [upload.file for upload in internal.uploads] == sent
    assert files_on(public.simple_url, *ALL) == files_on(internal.simple_url, *ALL)
    assert set(world.tags()) == {"core-v0.1.0", "app-v0.1.0", "tool-v0.1.0", dated_tag()}
