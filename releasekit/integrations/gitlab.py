"""GitLab, hosted or of one's own, through its REST API (version 4)."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.release.release_notes import PullRequest
from releasekit.integrations.forge import Api, find_or_create, get_nested
from releasekit.integrations.protocols import ForgeRelease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import httpx

    from releasekit.core.history.web_links import RepositoryUrls


DEVELOPER_ACCESS = 30
"""The access level from which on releases may be made."""

# GitLab has no drafts: a release whose time has not come is listed as an upcoming one, and can be moved to now.
DRAFT_DATE = "2999-01-01T00:00:00Z"
MERGED_PAGES = 5


class GitLab:
    """The project of *web*, whose API is at *address*; conforms to `interface.Forge`.

    *variable* names where *token* comes from: a job's own token goes into a header of its own.
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
        """Return if the token may make releases here: its own scope, and the level of who has made it.

        A job's token may by definition, and may not ask.
        """
        if self._is_job:
            return
        project = await self._api.get(self._project)
        if project is None:
            raise ReleaseError(
                ErrorCode.FORGE_CREDENTIALS, f"there is no project {self._path}, or the token does not see it"
            )
        kinds = ("project_access", "group_access")
        level = max(get_nested(project, "permissions", kind, "access_level") or 0 for kind in kinds)
        scopes = get_nested(await self._api.get("/personal_access_tokens/self"), "scopes") or ["api"]
        if level < DEVELOPER_ACCESS or "api" not in scopes:
            raise ReleaseError(ErrorCode.FORGE_READ_ONLY, f"the token may not make releases in {self._path}")

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases, upcoming ones too, newest first."""
        return tuple([_parse_release(release) async for release in self._api.paginate(f"{self._project}/releases")])

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the upcoming ones among the last hundred releases: theirs is the latest time."""
        newest = await self._api.get(f"{self._project}/releases", per_page=100) or ()
        return tuple(release for entry in newest if (release := _parse_release(entry)).draft)

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*."""
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
        prerelease: bool = False,  # noqa: ARG002  GitLab knows no prereleases
    ) -> ForgeRelease:
        """Make the release of *tag*; one that is there already is returned as it is."""
        value = {"tag_name": tag, "ref": commit, "name": title, "description": body}
        if draft:
            value["released_at"] = DRAFT_DATE

        async def create() -> ForgeRelease:
            return _parse_release(await self._api.send("POST", f"{self._project}/releases", value))

        return await find_or_create(lambda: self.release(tag), create)

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change what *release* says."""
        changes = {"name": title, "description": body}
        value = {key: text for key, text in changes.items() if text is not None}
        return _parse_release(await self._api.send("PUT", self._release_path(release.tag), value))

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Announce an upcoming release."""
        if not release.draft:
            return release
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return _parse_release(await self._api.send("PUT", self._release_path(release.tag), {"released_at": now}))

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release*, not its tag; fine if it is gone already."""
        await self._api.request("DELETE", self._release_path(release.tag), ok_statuses=(HTTPStatus.NOT_FOUND,))

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*: it goes to the project's generic packages, and is linked from there."""
        path = self._asset_path(release, name)
        await self._api.request("PUT", path, content=content)
        links = await self._api.get(f"{self._release_path(release.tag)}/assets/links") or ()
        if not any(link["name"] == name for link in links):
            link = {"name": name, "url": f"{self._api.base}{path}"}
            await self._api.send("POST", f"{self._release_path(release.tag)}/assets/links", link)

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*."""
        if name not in release.assets:
            return None
        return (await self._api.request("GET", self._asset_path(release, name))).content

    async def find_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the open merge request of *branch* into *base*."""
        merge_requests = await self._list_merge_requests("opened", branch, base)
        return _parse_merge_request(merge_requests[0]) if merge_requests else None

    async def open_pull_request(
        self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()
    ) -> PullRequest:
        """Return the open merge request of *branch* into *base*, made or brought up to date; labels are only added.

        GitLab makes the labels that are missing.
        """
        value = {"title": title, "description": body, "add_labels": ",".join(labels)}

        async def find() -> Any:  # noqa: ANN401  JSON
            return next(iter(await self._list_merge_requests("opened", branch, base)), None)

        async def create() -> Any:  # noqa: ANN401  JSON
            new = {"source_branch": branch, "target_branch": base, "title": title, "description": body}
            return await self._api.send("POST", f"{self._project}/merge_requests", {**new, "labels": ",".join(labels)})

        response = await find_or_create(find, create)
        if (response["title"], response["description"]) != (title, body) or not set(labels) <= set(response["labels"]):
            response = await self._api.send("PUT", f"{self._project}/merge_requests/{response['iid']}", value)
        return _parse_merge_request(response)

    async def close_pull_request(self, pull_request: PullRequest, body: str) -> None:
        """Close *pull_request* without merging it; *body* says why."""
        value = {"state_event": "close", "description": body}
        await self._api.send("PUT", f"{self._project}/merge_requests/{pull_request.number}", value)

    async def comment(self, number: int, marker: str, body: str) -> str:
        """Make the note on a merge request that begins with *marker*, or bring it up to date; returns its page."""
        path = f"{self._project}/merge_requests/{number}/notes"

        async def find() -> Any:  # noqa: ANN401  JSON
            notes = [note async for note in self._api.paginate(path)]
            return next((note for note in notes if note["body"].startswith(marker)), None)

        response = await find_or_create(find, lambda: self._api.send("POST", path, {"body": marker + body}))
        if response["body"] != marker + body:
            await self._api.send("PUT", f"{path}/{response['id']}", {"body": marker + body})
        return f"{self._page}/-/merge_requests/{number}#note_{response['id']}"

    async def merged_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the merge request of *branch* that was merged into *base* last."""
        merged = await self._list_merge_requests("merged", branch, base)
        return (
            _parse_merge_request(max(merged, key=lambda merge_request: merge_request["merged_at"] or ""))
            if merged
            else None
        )

    async def pull_requests_of(self, commits: Sequence[str]) -> dict[str, PullRequest]:
        """Return the merge request that each of *commits* came with, from the list of those merged last.

        So it is found by the commit that merging has made, or by its last own one, in a hundred merge requests a
        request; asking for each commit would cost a request a commit.
        """
        wanted, by_commit, count = set(commits), dict[str, PullRequest](), 0
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
        """Start a pipeline on *ref*; its rules may look at the variable RELEASEKIT_WORKFLOW."""
        all_inputs = {"RELEASEKIT_WORKFLOW": workflow, **inputs}
        variables = [{"key": key, "value": value} for key, value in all_inputs.items()]
        await self._api.send("POST", f"{self._project}/pipeline", {"ref": ref, "variables": variables})

    def _asset_path(self, release: ForgeRelease, name: str) -> str:
        version = re.sub(r"[^\w.+-]", "-", release.tag)
        return f"{self._project}/packages/generic/releasekit/{version}/{quote(name, safe='')}"

    def _release_path(self, tag: str) -> str:
        return f"{self._project}/releases/{quote(tag, safe='')}"

    async def _list_merge_requests(self, state: str, branch: str, base: str) -> list[Any]:
        query = {"state": state, "source_branch": branch, "target_branch": base}
        return await self._api.get(f"{self._project}/merge_requests", **query) or []


def _parse_release(value: Mapping[str, Any]) -> ForgeRelease:
    return ForgeRelease(
        tag=value["tag_name"],
        title=value["name"] or "",
        body=value.get("description") or "",
        draft=bool(value.get("upcoming_release")),
        prerelease=False,
        url=get_nested(value, "_links", "self") or "",
        key=value["tag_name"],
        assets=tuple(link["name"] for link in get_nested(value, "assets", "links") or ()),
    )


def _parse_merge_request(value: Mapping[str, Any]) -> PullRequest:
    # Merging by fast-forward makes no commit: the last one of the branch is then the one that has landed.
    merged_commit = value.get("merge_commit_sha") or value.get("squash_commit_sha") or value["sha"]
    return PullRequest(
        number=value["iid"],
        title=value["title"],
        page=value["web_url"],
        author=get_nested(value, "author", "username") or "",
        labels=tuple(value["labels"]),
        branch=value["source_branch"],
        merge_commit=merged_commit if value["merged_at"] else "",
        head_commit=value["sha"],
    )
