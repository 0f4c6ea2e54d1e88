"""GitLab, hosted or self-managed, through its REST API (version 4)."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.release.release_notes import PullRequest
from releasekit.integrations.forge import BINARY, Api, find_or_create, get_nested, non_null
from releasekit.integrations.protocols import ForgeRelease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import httpx

    from releasekit.core.history.web_links import RepositoryUrls


DEVELOPER_ACCESS = 30
"""The lowest access level that may create releases."""

# GitLab has no drafts. A release with a future date is listed as upcoming, and its date can be changed to now.
DRAFT_DATE = "2999-01-01T00:00:00Z"
MERGED_PAGES = 5


class GitLab:
    """The project *urls*, whose API is at *address*; conforms to `protocols.Forge`.

    *variable* is the environment variable that *token* comes from: the token of a CI job needs a different header.
    """

    name = "GitLab"
    body_limit = 1_000_000
    pull_request_limit = 1_000_000

    def __init__(
        self,
        urls: RepositoryUrls,
        address: str,
        variable: str,
        token: str,
        http_client: httpx.AsyncClient,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._project = f"/projects/{quote(urls.repository, safe='')}"
        self._path, self._page = urls.repository, urls.base
        self._is_job = variable == "CI_JOB_TOKEN"
        header = "JOB-TOKEN" if self._is_job else "PRIVATE-TOKEN"
        self._api = Api(address, http_client, {header: token}, sleep=sleep)

    async def check_access(self) -> None:
        """Return if the token may create releases here: its scope and the access level of its owner allow it.

        The token of a CI job always may, but cannot read permissions. Raises as `protocols.Forge` says.
        """
        if self._is_job:
            return
        project = await self._api.get(self._project)
        if project is None:
            message = f"the project {self._path} does not exist, or the token may not see it"
            raise ReleaseError(ErrorCode.FORGE_CREDENTIALS, message)
        project_level = get_nested(
            project, "permissions", "project_access", "access_level", default=0
        )
        group_level = get_nested(project, "permissions", "group_access", "access_level", default=0)
        token = await self._api.get("/personal_access_tokens/self")
        scopes = get_nested(token, "scopes") or ["api"]
        is_developer = max(project_level, group_level) >= DEVELOPER_ACCESS
        if not is_developer or "api" not in scopes:
            raise ReleaseError(
                ErrorCode.FORGE_READ_ONLY, f"the token may not create releases in {self._path}"
            )

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases, also upcoming ones, newest first."""
        return tuple(
            [
                _parse_release(release)
                async for release in self._api.paginate(f"{self._project}/releases")
            ]
        )

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the upcoming ones among the first hundred releases: their date is the latest, so they come first."""
        newest = await self._api.get_list(f"{self._project}/releases", per_page=100)
        releases = map(_parse_release, newest)
        return tuple(release for release in releases if release.draft)

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*, also an upcoming one, None if there is none."""
        value = await self._api.get(self._release_path(tag))
        return _parse_release(value) if value else None

    async def create_release(
        self,
        tag: str,
        commit: str,
        title: str,
        body: str,
        *,
        draft: bool = False,
        prerelease: bool = False,  # noqa: ARG002  GitLab has no prereleases
    ) -> ForgeRelease:
        """Create the release of *tag*; an existing one is returned unchanged."""
        value = {"tag_name": tag, "ref": commit, "name": title, "description": body}
        if draft:
            value["released_at"] = DRAFT_DATE

        async def create() -> ForgeRelease:
            return _parse_release(await self._api.send("POST", f"{self._project}/releases", value))

        return await find_or_create(lambda: self.release(tag), create)

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change title and body of *release*; None keeps them."""
        value = non_null(name=title, description=body)
        return _parse_release(await self._api.send("PUT", self._release_path(release.tag), value))

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Publish an upcoming release; any other is returned unchanged."""
        if not release.draft:
            return release
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return _parse_release(
            await self._api.send("PUT", self._release_path(release.tag), {"released_at": now})
        )

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release* but not its tag; do nothing if it no longer exists."""
        await self._api.request(
            "DELETE", self._release_path(release.tag), ok_statuses=(HTTPStatus.NOT_FOUND,)
        )

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*: upload it as a generic package of the project, and link to it."""
        path = self._asset_path(release, name)
        await self._api.request("PUT", path, content=content, headers={"Content-Type": BINARY})
        links_path = f"{self._release_path(release.tag)}/assets/links"
        links = await self._api.get_list(links_path)
        if not any(link["name"] == name for link in links):
            link = {"name": name, "url": f"{self._api.base}{path}"}
            await self._api.send("POST", links_path, link)

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*, None if there is none."""
        if name not in release.assets:
            return None
        return (await self._api.request("GET", self._asset_path(release, name))).content

    async def find_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the open merge request of *branch* into *base*, None if there is none."""
        merge_request = await self._find_open(branch, base)
        return _parse_merge_request(merge_request) if merge_request else None

    async def open_pull_request(
        self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()
    ) -> PullRequest:
        """Create or update the merge request of *branch* into *base*, and return it; labels are only added.

        GitLab creates the labels that are missing.
        """
        value = {"title": title, "description": body, "add_labels": ",".join(labels)}

        async def create() -> Any:  # noqa: ANN401  JSON
            new = {
                "source_branch": branch,
                "target_branch": base,
                "title": title,
                "description": body,
            }
            return await self._api.send(
                "POST", f"{self._project}/merge_requests", {**new, "labels": ",".join(labels)}
            )

        response = await find_or_create(lambda: self._find_open(branch, base), create)
        has_text = (response["title"], response["description"]) == (title, body)
        has_labels = set(labels) <= set(response["labels"])
        if not (has_text and has_labels):
            response = await self._api.send(
                "PUT", f"{self._project}/merge_requests/{response['iid']}", value
            )
        return _parse_merge_request(response)

    async def close_pull_request(self, pull_request: PullRequest, body: str) -> None:
        """Close *pull_request* without merging it; *body* says why."""
        value = {"state_event": "close", "description": body}
        await self._api.send("PUT", f"{self._project}/merge_requests/{pull_request.number}", value)

    async def comment(self, number: int, marker: str, body: str) -> str:
        """Create or update the note that begins with *marker* on a merge request; returns its URL."""
        path = f"{self._project}/merge_requests/{number}/notes"
        value = {"body": marker + body}
        response = await find_or_create(
            find=lambda: self._api.find_comment(path, marker),
            create=lambda: self._api.send("POST", path, value),
        )
        if response["body"] != value["body"]:
            await self._api.send("PUT", f"{path}/{response['id']}", value)
        return f"{self._page}/-/merge_requests/{number}#note_{response['id']}"

    async def merged_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the merge request of *branch* that was merged into *base* last, None if there is none."""
        merged = await self._list_merge_requests("merged", branch, base)
        if not merged:
            return None
        last = max(merged, key=lambda merge_request: merge_request["merged_at"] or "")
        return _parse_merge_request(last)

    async def pull_requests_of(self, commits: Sequence[str]) -> dict[str, PullRequest]:
        """Return the merge request of each of *commits* by sha, from the list of the last merged ones.

        One request lists a hundred merge requests; asking for each commit would need one request for each. So only
        the merge commit, the squash commit and the last commit of a merge request are recognised.
        """
        wanted = set(commits)
        by_commit: dict[str, PullRequest] = {}
        count = 0
        query = {"state": "merged", "order_by": "updated_at", "sort": "desc"}
        async for merge_request in self._api.paginate(f"{self._project}/merge_requests", **query):
            for key in ("merge_commit_sha", "squash_commit_sha", "sha"):
                if merge_request.get(key) in wanted:
                    by_commit.setdefault(merge_request[key], _parse_merge_request(merge_request))
            count += 1
            if len(by_commit) == len(wanted) or count == 100 * MERGED_PAGES:
                break
        return by_commit

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a pipeline on *ref*; its rules can use the variable RELEASEKIT_WORKFLOW."""
        all_inputs = {"RELEASEKIT_WORKFLOW": workflow, **inputs}
        variables = [{"key": key, "value": value} for key, value in all_inputs.items()]
        await self._api.send(
            "POST", f"{self._project}/pipeline", {"ref": ref, "variables": variables}
        )

    def _asset_path(self, release: ForgeRelease, name: str) -> str:
        version = re.sub(r"[^\w.+-]", "-", release.tag)
        return f"{self._project}/packages/generic/releasekit/{version}/{quote(name, safe='')}"

    def _release_path(self, tag: str) -> str:
        return f"{self._project}/releases/{quote(tag, safe='')}"

    async def _find_open(self, branch: str, base: str) -> Any:  # noqa: ANN401  JSON
        merge_requests = await self._list_merge_requests("opened", branch, base)
        return next(iter(merge_requests), None)

    async def _list_merge_requests(self, state: str, branch: str, base: str) -> list[Any]:
        query = {"state": state, "source_branch": branch, "target_branch": base}
        return await self._api.get_list(f"{self._project}/merge_requests", **query)


def _parse_release(value: Mapping[str, Any]) -> ForgeRelease:
    links = get_nested(value, "assets", "links", default=())
    return ForgeRelease(
        tag=value["tag_name"],
        title=value["name"] or "",
        body=get_nested(value, "description", default=""),
        draft=bool(value.get("upcoming_release")),
        prerelease=False,
        url=get_nested(value, "_links", "self", default=""),
        key=value["tag_name"],
        assets=tuple(link["name"] for link in links),
    )


def _parse_merge_request(value: Mapping[str, Any]) -> PullRequest:
    # A fast-forward merge creates no commit: the last commit of the branch is then the merged one.
    merged_commit = value.get("merge_commit_sha") or value.get("squash_commit_sha") or value["sha"]
    return PullRequest(
        number=value["iid"],
        title=value["title"],
        page=value["web_url"],
        author=get_nested(value, "author", "username", default=""),
        labels=tuple(value["labels"]),
        branch=value["source_branch"],
        merge_commit=merged_commit if value["merged_at"] else "",
        head_commit=value["sha"],
    )
