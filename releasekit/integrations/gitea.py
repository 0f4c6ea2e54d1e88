"""Gitea and Forgejo, hosted (codeberg.org) or on your own server, through their common REST API (version 1)."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.release.release_notes import PullRequest
from releasekit.integrations.forge import Api, PageSize, find_or_create, get_nested, non_null
from releasekit.integrations.protocols import ForgeRelease

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    import httpx

    from releasekit.core.history.web_links import RepositoryUrls


PAGE_SIZE = PageSize("limit", 50)
"""A server gives 50 entries a page, unless its administrator allows more."""

CLOSED_PULLS = 250
"""How many closed pull requests are read to find the one that was merged last."""

_AT_ONCE = 8
_LABEL_COLOR = "#ededed"


class Gitea:
    """The repository *urls*, whose API is at *address*; conforms to `protocols.Forge`.

    Forgejo answers to the same requests.
    """

    name = "Gitea"
    body_limit = 1_000_000
    pull_request_limit = 1_000_000

    def __init__(
        self,
        urls: RepositoryUrls,
        address: str,
        token: str,
        http_client: httpx.AsyncClient,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._repository, self._path = f"/repos/{urls.repository}", urls.repository
        # Not the address that the API gives for a file: it can be on another host, which must not get the token.
        self._files = f"{address.removesuffix('/api/v1')}/{urls.repository}/attachments"
        headers = {"Authorization": f"token {token}", "Accept": "application/json"}
        self._api = Api(address, http_client, headers, sleep=sleep, page_size=PAGE_SIZE)

    async def check_access(self) -> None:
        """Return if the token may create releases here; raises as `protocols.Forge` says.

        No request tells the scopes of a token. So this asks for a release without a tag: who may create releases gets
        422, anybody else 403, and nothing is created.
        """
        repository = await self._api.get(self._repository)
        if repository is None:
            message = f"the repository {self._path} does not exist, or the token may not see it"
            raise ReleaseError(ErrorCode.FORGE_CREDENTIALS, message)
        try:
            await self._api.request(
                "POST",
                f"{self._repository}/releases",
                json={},
                ok_statuses=(HTTPStatus.UNPROCESSABLE_ENTITY,),
            )
        except ReleaseError as error:
            # The repository is visible, so a 404 means that its releases are off, or not for this token.
            if error.code not in (ErrorCode.FORGE_READ_ONLY, ErrorCode.FORGE_CREDENTIALS):
                raise
            message = f"the token may not create releases in {self._path}"
            raise ReleaseError(ErrorCode.FORGE_READ_ONLY, message, output=error.output) from None

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases and drafts, newest first."""
        values = self._api.paginate(f"{self._repository}/releases")
        return tuple([_parse_release(value) async for value in values])

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the newest drafts; older ones belong to no running release."""
        query = {"draft": "true", PAGE_SIZE.name: PAGE_SIZE.count}
        values = await self._api.get_list(f"{self._repository}/releases", **query)
        # Servers that do not know the parameter list every release.
        releases = map(_parse_release, values)
        return tuple(release for release in releases if release.draft)

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*, also a draft, None if there is none."""
        value = await self._api.get(f"{self._repository}/releases/tags/{quote(tag, safe='')}")
        return _parse_release(value) if value else None

    async def create_release(
        self,
        tag: str,
        commit: str,
        title: str,
        body: str,
        *,
        draft: bool = False,
        prerelease: bool = False,
    ) -> ForgeRelease:
        """Create the release of *tag*; an existing one is returned unchanged."""
        value = {
            "tag_name": tag,
            "target_commitish": commit,
            "name": title,
            "body": body,
            "draft": draft,
            "prerelease": prerelease,
        }

        async def create() -> ForgeRelease:
            path = f"{self._repository}/releases"
            return _parse_release(await self._api.send("POST", path, value))

        return await find_or_create(lambda: self.release(tag), create)

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change title and body of *release*; None keeps them."""
        value = non_null(name=title, body=body)
        return _parse_release(await self._api.send("PATCH", self._release_path(release), value))

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Publish a draft; a release that is no draft is returned unchanged."""
        if not release.draft:
            return release
        path = self._release_path(release)
        return _parse_release(await self._api.send("PATCH", path, {"draft": False}))

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release* but not its tag; do nothing if it no longer exists."""
        path = self._release_path(release)
        await self._api.request("DELETE", path, ok_statuses=(HTTPStatus.NOT_FOUND,))

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*, and replace a file of this name.

        Gitea accepts two files of one name. So the old ones are deleted first.
        """
        path = f"{self._release_path(release)}/assets"
        for asset in await self._assets(release, name):
            asset_path = f"{path}/{asset['id']}"
            await self._api.request("DELETE", asset_path, ok_statuses=(HTTPStatus.NOT_FOUND,))
        await self._api.request(
            "POST", path, query={"name": name}, files={"attachment": (name, content)}
        )

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*, None if there is none."""
        assets = await self._assets(release, name)
        if not assets:
            return None
        response = await self._api.request("GET", f"{self._files}/{assets[-1]['uuid']}")
        return response.content

    async def find_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the open pull request of *branch* into *base*, None if there is none."""
        value = await self._find_open(branch, base)
        return _parse_pull_request(value) if value else None

    async def open_pull_request(
        self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()
    ) -> PullRequest:
        """Create or update the pull request of *branch* into *base*, and return it; labels are only added."""
        text = {"title": title, "body": body}

        async def create() -> Any:  # noqa: ANN401  JSON
            new = {"head": branch, "base": base, **text}
            return await self._api.send("POST", f"{self._repository}/pulls", new)

        value = await find_or_create(lambda: self._find_open(branch, base), create)
        number = value["number"]
        if (value["title"], value["body"]) != (title, body):
            value = await self._api.send("PATCH", f"{self._repository}/pulls/{number}", text)
        if not set(labels) <= set(_label_names(value)):
            label_ids = await self._label_ids(labels)
            path = f"{self._repository}/issues/{number}/labels"
            value["labels"] = await self._api.send("POST", path, {"labels": label_ids})
        return _parse_pull_request(value)

    async def close_pull_request(self, pull_request: PullRequest, body: str) -> None:
        """Close *pull_request* without merging it; *body* says why."""
        path = f"{self._repository}/pulls/{pull_request.number}"
        await self._api.send("PATCH", path, {"state": "closed", "body": body})

    async def comment(self, number: int, marker: str, body: str) -> str:
        """Create or update the comment that begins with *marker* on a pull request; returns its URL."""
        path = f"{self._repository}/issues/{number}/comments"
        value = {"body": marker + body}
        comment = await find_or_create(
            find=lambda: self._api.find_comment(path, marker),
            create=lambda: self._api.send("POST", path, value),
        )
        if comment["body"] != value["body"]:
            comment_path = f"{self._repository}/issues/comments/{comment['id']}"
            await self._api.send("PATCH", comment_path, value)
        return comment["html_url"]

    async def merged_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the pull request of *branch* that was merged into *base* last, None if there is none.

        It is looked for among the pull requests that were changed last.
        """
        last: Any = None
        count = 0
        async for value in self._list_pulls("closed"):
            count += 1
            if _is_between(value, branch, base) and value["merged_at"]:
                last = max(last or value, value, key=lambda pull: pull["merged_at"])
            if count == CLOSED_PULLS:
                break
        return _parse_pull_request(last) if last else None

    async def pull_requests_of(self, commits: Sequence[str]) -> dict[str, PullRequest]:
        """Return the merged pull request of each of *commits* by sha.

        Gitea only knows the pull request of the commit that merged it. The commits that it merged are asked for next.
        """
        limit = asyncio.Semaphore(_AT_ONCE)

        async def ask(commit: str) -> Any:  # noqa: ANN401  JSON
            async with limit:
                return await self._api.get(f"{self._repository}/commits/{commit}/pull")

        values = await asyncio.gather(*map(ask, commits))
        pairs = zip(commits, values, strict=True)
        merged = {sha: _parse_pull_request(value) for sha, value in pairs if value}
        wanted = set(commits)
        by_commit = dict(merged)
        for pull_request in merged.values():
            path = f"{self._repository}/pulls/{pull_request.number}/commits"
            async for commit in self._api.paginate(path):
                if commit["sha"] in wanted:
                    by_commit.setdefault(commit["sha"], pull_request)
        return by_commit

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start *workflow* on the branch or tag *ref*."""
        path = f"{self._repository}/actions/workflows/{quote(workflow, safe='')}/dispatches"
        await self._api.send("POST", path, {"ref": ref, "inputs": dict(inputs)})

    def _release_path(self, release: ForgeRelease) -> str:
        return f"{self._repository}/releases/{release.key}"

    async def _assets(self, release: ForgeRelease, name: str) -> list[Any]:
        details = await self._api.get(self._release_path(release))
        assets = get_nested(details, "assets", default=())
        return [asset for asset in assets if asset["name"] == name]

    async def _find_open(self, branch: str, base: str) -> Any:  # noqa: ANN401  JSON
        async for value in self._list_pulls("open"):
            if _is_between(value, branch, base):
                return value
        return None

    def _list_pulls(self, state: str) -> AsyncGenerator[Any]:
        query = {"state": state, "sort": "recentupdate"}
        return self._api.paginate(f"{self._repository}/pulls", **query)

    async def _label_ids(self, names: Sequence[str]) -> list[int]:
        """Return the ids of the labels *names*; those that the repository lacks are created."""
        path = f"{self._repository}/labels"
        ids = {label["name"]: label["id"] async for label in self._api.paginate(path)}
        for name in names:
            if name not in ids:
                label = {"name": name, "color": _LABEL_COLOR}
                ids[name] = (await self._api.send("POST", path, label))["id"]
        return [ids[name] for name in names]


def _is_between(value: Mapping[str, Any], branch: str, base: str) -> bool:
    """Return whether a pull request brings *branch* of this repository, not of a fork, into *base*."""
    head, target = value["head"], value["base"]
    is_here = head["repo_id"] == target["repo_id"]
    return is_here and (head["ref"], target["ref"]) == (branch, base)


def _label_names(value: Mapping[str, Any]) -> tuple[str, ...]:
    labels = get_nested(value, "labels", default=())
    return tuple(label["name"] for label in labels)


def _parse_release(value: Mapping[str, Any]) -> ForgeRelease:
    assets = get_nested(value, "assets", default=())
    return ForgeRelease(
        tag=value["tag_name"],
        title=value["name"],
        body=value["body"],
        draft=value["draft"],
        prerelease=value["prerelease"],
        url=value["html_url"],
        key=str(value["id"]),
        assets=tuple(asset["name"] for asset in assets),
    )


def _parse_pull_request(value: Mapping[str, Any]) -> PullRequest:
    return PullRequest(
        number=value["number"],
        title=value["title"],
        page=value["html_url"],
        author=get_nested(value, "user", "login", default=""),
        labels=_label_names(value),
        branch=value["head"]["ref"],
        merge_commit=(value["merge_commit_sha"] or "") if value["merged_at"] else "",
        head_commit=value["head"]["sha"],
    )
