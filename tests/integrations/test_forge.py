"""One suite for all forges, over real HTTP; and what is GitHub's alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.history.web_links import RepositoryUrls, repository_urls
from releasekit.integrations import github as adapter
from releasekit.integrations.forge import MAX_WAIT
from releasekit.integrations.forge_factory import find_token, open_forge
from releasekit.integrations.http import client
from tests.support import gitea, github, gitlab
from tests.support.gitea import GiteaDouble
from tests.support.github import Answer, GitHubDouble
from tests.support.gitlab import GitLabDouble

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from pathlib import Path

    from releasekit.core.history.web_links import ForgeName
    from releasekit.integrations.protocols import Forge

    Double = GitHubDouble | GitLabDouble | GiteaDouble
    Story = Callable[[Forge], Awaitable[Any]]


@pytest.fixture(params=["github", "gitlab", "gitea"])
def double(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Double]:
    """Run a forge with one commit on main."""
    doubles = {"github": GitHubDouble, "gitlab": GitLabDouble, "gitea": GiteaDouble}
    found = doubles[request.param](tmp_path)
    begun(found)
    with found.serving():
        yield found


@pytest.fixture
def hub(tmp_path: Path) -> Generator[GitHubDouble]:
    """Run a GitHub with one commit on main."""
    found = GitHubDouble(tmp_path)
    begun(found)
    with found.serving():
        yield found


def begun(double: Double) -> None:
    """Make the first commit, on main and on the branch `work`."""
    tree = double.git("mktree")
    commit = double.git("commit-tree", tree, "-m", "first")
    for branch in ("main", "work"):
        double.git("update-ref", f"refs/heads/{branch}", commit)


TOKENS: dict[ForgeName, tuple[str, str]] = {
    "github": (github.WRITER, github.READER),
    "gitlab": (gitlab.WRITER, gitlab.READER),
    "gitea": (gitea.WRITER, gitea.READER),
}


def kind_of(double: Double) -> ForgeName:
    """Return which forge *double* stands for."""
    if isinstance(double, GiteaDouble):
        return "gitea"
    return "gitlab" if isinstance(double, GitLabDouble) else "github"


@asynccontextmanager
async def opened(double: Double, *, reader: bool = False, **env: str) -> AsyncGenerator[Forge]:
    """Open the forge as somebody with a token does."""
    kind = kind_of(double)
    given = env or {f"{kind.upper()}_TOKEN": TOKENS[kind][reader]}
    async with client(retry_on_429=False, sleep=double.pause) as web:
        yield open_forge(repository_urls(double.remote, kind), web, env=given, sleep=double.pause)


def told(double: Double, story: Story, *, reader: bool = False, **env: str) -> Any:
    """Return what *story* says of the forge."""

    async def tell() -> Any:
        async with opened(double, reader=reader, **env) as forge:
            return await story(forge)

    return asyncio.run(tell())


def refused(double: Double, story: Story, **how: Any) -> ReleaseError:
    """Return the error that *story* ends with."""
    with pytest.raises(ReleaseError) as caught:
        told(double, story, **how)
    return caught.value


# ---- every forge --------------------------------------------------------------------------------------------------


def test_token_needs_write_access(double: Double) -> None:
    """The token's own rights count: to write, to read, none, or no repository in sight."""
    told(double, lambda forge: forge.check_access())
    assert (
        refused(double, lambda forge: forge.check_access(), reader=True).code
        is ErrorCode.FORGE_READ_ONLY
    )

    variable = {"github": "GH_TOKEN", "gitlab": "GITLAB_TOKEN", "gitea": "FORGEJO_TOKEN"}[
        kind_of(double)
    ]
    wrong = refused(double, lambda forge: forge.check_access(), **{variable: "swordfish"})
    assert wrong.code is ErrorCode.FORGE_CREDENTIALS
    assert "swordfish" not in f"{wrong} {wrong.output}"

    async def elsewhere() -> None:
        kind = kind_of(double)
        token, _ = TOKENS[kind]
        async with client(retry_on_429=False, sleep=double.pause) as web:
            other = repository_urls(f"{double.url}/ada/other.git", kind)
            await open_forge(other, web, env={f"{kind.upper()}_TOKEN": token}).check_access()

    with pytest.raises(ReleaseError) as caught:
        asyncio.run(elsewhere())
    assert caught.value.code is ErrorCode.FORGE_CREDENTIALS


def test_release_steps_may_repeat(double: Double) -> None:
    """A release is made as a draft, found by its tag, changed, given files, announced and deleted; twice is once."""

    async def story(forge: Forge) -> None:
        commit = double.git("rev-parse", "main")
        assert await forge.release("py/core@1.0") is None
        draft = await forge.create_release("py/core@1.0", commit, "core 1.0", "notes", draft=True)
        assert (draft.draft, draft.title, draft.body, draft.assets) == (
            True,
            "core 1.0",
            "notes",
            (),
        )
        assert await forge.create_release("py/core@1.0", commit, "other", "other") == draft
        assert await forge.release("py/core@1.0") == draft

        assert (await forge.update_release(draft, body="better")).body == "better"
        for content in (b"one", b"two", b"two"):
            await forge.upload_asset(draft, "manifest.json", content)
        (waiting,) = await forge.drafts()
        assert (waiting.tag, waiting.assets) == ("py/core@1.0", ("manifest.json",))
        assert await forge.asset(waiting, "manifest.json") == b"two"
        assert await forge.asset(waiting, "other.json") is None

        out = await forge.promote(draft)
        assert await forge.drafts() == ()
        assert (out.draft, out.title, out.body, out.assets) == (
            False,
            "core 1.0",
            "better",
            ("manifest.json",),
        )
        assert await forge.promote(out) == out
        assert double.git("rev-parse", "py/core@1.0") == commit
        assert [release.tag for release in await forge.releases()] == ["py/core@1.0"]

        await forge.delete_release(out)
        await forge.delete_release(out)
        assert await forge.releases() == ()
        assert double.git("tag") == "py/core@1.0", "a tag is no release"

    told(double, story)
    kept = double.assets if isinstance(double, GitHubDouble) else double.files
    assert set(kept.values()) == {b"two"}


def test_forge_lists_include_every_page(double: Double) -> None:
    """Lists are read to their end, and a draft is found on the last page."""
    if isinstance(double, GitHubDouble):
        double.releases_a_page = 2

    async def story(forge: Forge) -> None:
        for number in range(5):
            await forge.create_release(f"v{number}", "main", f"v{number}", "", draft=True)
        assert [each.tag for each in await forge.releases()] == ["v4", "v3", "v2", "v1", "v0"]
        found = await forge.release("v0")
        assert found
        assert found.draft

    told(double, story)


def test_branch_has_one_pull_request(double: Double) -> None:
    """A branch has one open pull request, which is brought up to date; the one merged last is found again."""

    async def story(forge: Forge) -> None:
        first = await forge.open_pull_request(
            "work", "main", "chore: release", "body", ["release", "automated"]
        )
        assert (first.title, first.branch, first.merge_commit) == ("chore: release", "work", "")
        again = await forge.open_pull_request(
            "work", "main", "chore: release 2", "body", ["release"]
        )
        assert (again.number, again.title) == (first.number, "chore: release 2")
        assert await forge.merged_pull_request("work", "main") is None
        work = double.git("commit-tree", "main^{tree}", "-p", "main", "-m", "feat: work")
        double.git("update-ref", "refs/heads/work", work)
        found = await forge.find_pull_request("work", "main")
        assert found
        assert found.number == first.number
        commit = double.merge(first.number)
        assert await forge.find_pull_request("work", "main") is None
        merged = await forge.merged_pull_request("work", "main")
        assert merged
        assert (merged.number, merged.merge_commit, set(merged.labels)) == (
            first.number,
            commit,
            {"release", "automated"},
        )
        assert merged.head_commit == work
        other = await forge.open_pull_request("work", "main", "chore: release 3", "body")
        await forge.close_pull_request(other, "not now")
        assert await forge.find_pull_request("work", "main") is None
        assert await forge.merged_pull_request("work", "main") == merged

    told(double, story)


def test_pull_request_comment_is_updated(double: Double) -> None:
    """There is one comment of ours on a pull request, among those of others, and it says what is so now."""
    work = double.git("commit-tree", "main^{tree}", "-p", "main", "-m", "feat: work")
    double.git("update-ref", "refs/heads/work", work)
    number = double.pull("feat: work", "work")
    for n in range(120):
        double.say(number, f"what about {n}?")

    pages = [
        told(double, lambda forge, says=says: forge.comment(number, "<!-- ours -->\n", says))
        for says in "aab"
    ]
    last = len(double.requests)
    told(double, lambda forge: forge.comment(number, "<!-- ours -->\n", "b"))

    assert len(set(pages)) == 1
    assert pages[0].startswith(f"{double.url}/{double.repository}/")
    assert [each["body"] for each in double.comments[number][120:]] == ["<!-- ours -->\nb"]
    assert {request.method for request in double.requests[last:]} == {"GET"}


def test_commits_lead_to_pull_requests(double: Double) -> None:
    """Each commit that came with a merged pull request leads to it: title, author, labels."""
    work = double.git("commit-tree", "main^{tree}", "-p", "main", "-m", "feat: work")
    double.git("update-ref", "refs/heads/work", work)
    number = double.pull("feat: work", "work", author="dependabot", bot=True, labels=["core"])
    commit = double.merge(number)
    open_one = double.pull("feat: more", "work")

    found = told(double, lambda forge: forge.pull_requests_of([commit, work, "0" * 40]))

    assert set(found) == {commit, work}
    assert {pull.number for pull in found.values()} == {number}
    assert number != open_one
    assert (found[commit].title, found[commit].author, found[commit].labels) == (
        "feat: work",
        "dependabot[bot]",
        ("core",),
    )


def test_dispatch_starts_one_workflow(double: Double) -> None:
    """A workflow or pipeline is started once, with its inputs."""
    told(double, lambda forge: forge.dispatch("publish.yml", "v1.0", {"manifest": "manifest.json"}))

    assert len(double.dispatched) == 1
    assert "manifest.json" in str(double.dispatched)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "answer", [Answer(cut=True), Answer(502, {"message": "no"})], ids=["cut", "502"]
)
def test_passing_faults_create_one_release(double: Double, answer: Answer, *, late: bool) -> None:
    """Whether a request had its effect before the answer was lost or not: there is one release, as it should be."""

    async def story(forge: Forge) -> None:
        double.fail("GET", "releases", answer)
        double.fail("POST", r"releases$", answer, late=late)
        release = await forge.create_release("v1", "main", "one", "notes")
        double.fail(
            "PUT" if isinstance(double, GitLabDouble) else "PATCH", "releases/", answer, late=late
        )
        assert (await forge.update_release(release, body="better")).body == "better"
        double.fail("DELETE", "releases/", answer, late=late)
        await forge.delete_release(release)

    told(double, story)
    made = [request for request in double.asked("POST", r"releases$") if request.status == 201]
    assert len(made) == (0 if late else 1)
    assert not double.releases


def test_lasting_faults_end_in_error(double: Double) -> None:
    """A forge that does not answer is an error with a name, after a few attempts; an order was given once or twice."""
    double.fail("POST", "releases$", Answer(503, {"message": "down"}), times=9)

    error = refused(double, lambda forge: forge.create_release("v1", "main", "one", "notes"))

    assert (error.code, error.output) == (ErrorCode.FORGE_UNREACHABLE, "down")
    assert len(double.asked("POST", "releases$")) == 2


# ---- rate limits --------------------------------------------------------------------------------------------------


def test_limits_are_waited_out(hub: GitHubDouble) -> None:
    """The hourly limit and the one of contents a minute are waited out as the answer says, whatever the method."""
    hub.remaining, hub.contents_a_minute = 3, 10

    async def story(forge: Forge) -> None:
        for number in range(15):
            await forge.create_release(f"v{number}", "main", "", "", draft=False)

    told(hub, story)

    assert len(hub.releases) == 15
    assert hub.limited == 2
    assert 60 < hub.passed < 120


def test_distant_limit_is_an_error(hub: GitHubDouble) -> None:
    """A wait that no release should make is an error that says how long it would be."""
    limited = Answer(429, {"message": "slow down"}, {"Retry-After": str(int(MAX_WAIT) + 1)})
    hub.fail("GET", "releases", limited)

    error = refused(hub, lambda forge: forge.releases())

    assert error.code is ErrorCode.FORGE_RATE_LIMIT
    assert f"{MAX_WAIT + 1:.0f} s" in error.message
    assert hub.passed == 0


def test_limit_without_header_waits_minute(hub: GitHubDouble) -> None:
    """A secondary limit without any header is waited for a minute, as GitHub asks."""
    hub.fail(
        "GET", "releases", Answer(403, {"message": "You have exceeded a secondary rate limit"})
    )

    assert told(hub, lambda forge: forge.releases()) == ()
    assert hub.passed == 60


def test_unchanged_answers_are_free(hub: GitHubDouble) -> None:
    """What was asked before is asked with its ETag, which costs nothing of the hourly limit."""

    async def story(forge: Forge) -> None:
        await forge.create_release("v1", "main", "one", "notes")
        assert await forge.release("v1") == await forge.release("v1")
        before = hub.remaining
        assert await forge.release("v1")
        assert hub.remaining == before

    told(hub, story)
    assert [request.status for request in hub.asked("GET", "tags/v1$")] == [404, 200, 304, 304]


def test_prerelease_is_never_the_latest(hub: GitHubDouble) -> None:
    """A prerelease is one on GitHub too, and a release of an older line is not taken for the latest."""
    told(hub, lambda forge: forge.create_release("v1rc1", "main", "one", "notes", prerelease=True))

    (made,) = hub.releases.values()
    assert made["prerelease"]
    assert [request.json["make_latest"] for request in hub.asked("POST", "releases$")] == ["legacy"]


def test_few_requests_for_many_commits(hub: GitHubDouble) -> None:
    """Commits are asked for by the fifty."""
    commits = [f"{number:040x}" for number in range(240)]

    assert told(hub, lambda forge: forge.pull_requests_of(commits)) == {}
    assert len(hub.asked()) == 5


def test_double_protects_the_main_branch(hub: GitHubDouble, tmp_path: Path) -> None:
    """What is pushed goes into a real repository; a protected main refuses it."""
    clone = tmp_path / "clone"
    hub.git("clone", "--quiet", hub.remote, str(clone))
    hub.git("commit", "--quiet", "--allow-empty", "-m", "more", cwd=clone)
    hub.git("push", "--quiet", "origin", "HEAD:refs/heads/other", "HEAD:refs/tags/v9", cwd=clone)
    assert hub.pushes() == [["refs/heads/other", "refs/tags/v9"]]

    hub.protect_main()
    with pytest.raises(ReleaseError) as caught:
        hub.git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
    assert "GH006" in caught.value.output


# ---- who it is ----------------------------------------------------------------------------------------------------

HUB, LAB = (
    RepositoryUrls("https://github.com/ada/engine"),
    RepositoryUrls("https://gitlab.com/ada/engine", kind="gitlab"),
)
SERVER = RepositoryUrls("https://github.example.org/ada/engine")
BERG = RepositoryUrls("https://codeberg.org/ada/engine", kind="gitea")


@pytest.mark.parametrize(
    ("web", "env", "found"),
    [
        (HUB, {"GITHUB_TOKEN": "a", "GH_TOKEN": "b"}, ("GITHUB_TOKEN", "a")),
        (HUB, {"GH_TOKEN": "b", "GITLAB_TOKEN": "c"}, ("GH_TOKEN", "b")),
        (HUB, {"GH_ENTERPRISE_TOKEN": "e", "GH_TOKEN": "b"}, ("GH_TOKEN", "b")),
        (SERVER, {"GH_ENTERPRISE_TOKEN": "e", "GH_TOKEN": "b"}, ("GH_ENTERPRISE_TOKEN", "e")),
        (SERVER, {"GITHUB_TOKEN": "a"}, ("GITHUB_TOKEN", "a")),
        (
            LAB,
            {"GITHUB_TOKEN": "a", "CI_JOB_TOKEN": "j", "GITLAB_TOKEN": "c"},
            ("GITLAB_TOKEN", "c"),
        ),
        (LAB, {"CI_JOB_TOKEN": "j"}, ("CI_JOB_TOKEN", "j")),
        (LAB, {"GITHUB_TOKEN": "a"}, ("", "")),
        (BERG, {"FORGEJO_TOKEN": "f", "GITEA_TOKEN": "g"}, ("GITEA_TOKEN", "g")),
        (BERG, {"FORGEJO_TOKEN": "f", "GITHUB_TOKEN": "a"}, ("FORGEJO_TOKEN", "f")),
        (BERG, {"GITHUB_TOKEN": "a"}, ("", "")),
    ],
)
def test_first_variable_gives_the_token(
    web: RepositoryUrls, env: dict[str, str], found: tuple[str, str]
) -> None:
    """Each forge has its variables, the first of which counts."""
    assert find_token(web, env) == found


def test_gh_supplies_a_missing_token(tmp_path: Path) -> None:
    """Without a variable `gh` is asked for the host; that it is missing, or logged in nowhere, is no token."""
    assert find_token(HUB, {"PATH": str(tmp_path)}) == ("gh", "")
    (tmp_path / "gh").write_text(
        '#!/bin/sh\n[ "$*" = "auth token --hostname github.com" ] && echo gho_1 || exit 1\n'
    )
    (tmp_path / "gh").chmod(0o755)
    assert find_token(HUB, {"PATH": str(tmp_path)}) == ("gh", "gho_1")
    assert find_token(SERVER, {"PATH": str(tmp_path)}) == ("gh", "")


@pytest.mark.parametrize(
    ("web", "env", "api"),
    [
        (HUB, {}, "https://api.github.com"),
        (SERVER, {}, "https://github.example.org/api/v3"),
        (LAB, {}, "https://gitlab.com/api/v4"),
        (BERG, {}, "https://codeberg.org/api/v1"),
        (
            SERVER,
            {
                "GITHUB_SERVER_URL": "https://github.example.org",
                "GITHUB_API_URL": "https://api.example.org/",
            },
            "https://api.example.org",
        ),
        (
            HUB,
            {"GITHUB_SERVER_URL": "https://other", "GITHUB_API_URL": "https://api.other"},
            "https://api.github.com",
        ),
    ],
)
def test_api_address_follows_the_host(web: RepositoryUrls, env: dict[str, str], api: str) -> None:
    """The API is where it usually is on the remote's host, or where the CI says, if it runs there."""

    async def address(forge: Any) -> str:
        return forge._api.base

    async def story() -> str:
        async with client() as connections:
            return await address(
                open_forge(
                    web,
                    connections,
                    env={**env, "GITHUB_TOKEN": "a", "GITLAB_TOKEN": "b", "GITEA_TOKEN": "c"},
                )
            )

    assert asyncio.run(story()) == api


def test_missing_forge_token_is_error() -> None:
    """Without a forge or a token there is an error that says which."""

    async def story(web: RepositoryUrls, env: dict[str, str]) -> None:
        async with client() as connections:
            open_forge(web, connections, env=env)

    for web, code in (
        (RepositoryUrls(), ErrorCode.FORGE_UNKNOWN),
        (LAB, ErrorCode.FORGE_NO_TOKEN),
        (BERG, ErrorCode.FORGE_NO_TOKEN),
        (HUB, ErrorCode.FORGE_NO_TOKEN),
    ):
        with pytest.raises(ReleaseError) as caught:
            asyncio.run(story(web, {"PATH": "/nowhere"}))
        assert caught.value.code is code


def test_github_double_matches_api_version() -> None:
    """The version of the API that is spoken is the one whose description the double goes by."""
    assert f"v{adapter.VERSION.replace('-', '_')}" == github.SCHEMAS.rpartition(".")[2]
