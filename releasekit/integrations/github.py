"""GitHub and GitHub Enterprise Server, through their REST and GraphQL APIs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.picking import drop
from releasekit.core.release.release_notes import PullRequest
from releasekit.integrations.forge import BINARY, Api, find_or_create, get_nested, non_null
from releasekit.integrations.protocols import ForgeRelease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import httpx

    from releasekit.core.history.web_links import RepositoryUrls

log = logging.getLogger("releasekit.forge")

VERSION = "2022-11-28"
"""The version of the API that the hosted GitHub and all supported Enterprise Servers have."""

COMMITS_PER_QUERY = 50

_PULL_REQUESTS_FRAGMENT = """
fragment pulls on Commit {
  associatedPullRequests(first: 5) {
    nodes {
      number title url mergedAt headRefName
      author { __typename login }
      labels(first: 20) { nodes { name } }
      mergeCommit { oid }
    }
  }
}
"""


class GitHub:
    """The repository *urls*, whose API is at *address*; conforms to `protocols.Forge`."""

    name = "GitHub"
    body_limit = 125_000
    pull_request_limit = 65_536

    def __init__(
        self,
        urls: RepositoryUrls,
        address: str,
        token: str,
        http_client: httpx.AsyncClient,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._repository = f"/repos/{urls.repository}"
        self._owner, _, self._name = urls.repository.rpartition("/")
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": VERSION,
        }
        self._api = Api(address, http_client, headers, sleep=sleep)

    async def check_access(self) -> None:
        """Return if the token may create releases in this repository.

        The permissions of a repository are those of the user, not of the token. So this asks for generated release
        notes: that changes nothing, and needs the permission to create releases. Raises as `protocols.Forge` says.
        """
        path = f"{self._repository}/releases/generate-notes"
        try:
            await self._api.send("POST", path, {"tag_name": "releasekit-may-i"})
        except ReleaseError as error:
            is_denied = error.code in (ErrorCode.FORGE_READ_ONLY, ErrorCode.FORGE_CREDENTIALS)
            if not is_denied or _is_unauthorized(error):
                raise
            if await self._api.get(self._repository):
                message = f"the token may not create releases in {self._owner}/{self._name}"
                raise ReleaseError(
                    ErrorCode.FORGE_READ_ONLY, message, output=error.output
                ) from None
            raise

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases and drafts, newest first."""
        return tuple(
            [
                _parse_release(release)
                async for release in self._api.paginate(f"{self._repository}/releases")
            ]
        )

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the drafts among the last hundred releases."""
        newest = await self._api.get_list(f"{self._repository}/releases", per_page=100)
        return tuple(_parse_release(release) for release in newest if release["draft"])

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*; GitHub does not find a draft by its tag, so this looks through the list."""
        published = await self._api.get(f"{self._repository}/releases/tags/{quote(tag, safe='')}")
        if published:
            return _parse_release(published)
        async for release in self._api.paginate(f"{self._repository}/releases"):
            if release["tag_name"] == tag:
                return _parse_release(release)
        return None

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
        fields = {"tag_name": tag, "target_commitish": commit, "name": title, "body": body}
        # "legacy": a later release of an older version does not become the latest one.
        value = {**fields, "draft": draft, "prerelease": prerelease, "make_latest": "legacy"}

        async def create() -> ForgeRelease:
            return _parse_release(
                await self._api.send("POST", f"{self._repository}/releases", value)
            )

        return await find_or_create(lambda: self.release(tag), create)

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change title and body of *release*; None keeps them."""
        return await self._patch_release(release, non_null(name=title, body=body))

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Publish a draft; a release that is no draft is returned unchanged."""
        if not release.draft:
            return release
        return await self._patch_release(release, {"draft": False})

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release* but not its tag; do nothing if it no longer exists."""
        await self._api.request(
            "DELETE", self._release_path(release), ok_statuses=(HTTPStatus.NOT_FOUND,)
        )

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*, and replace a file of this name.

        An interrupted upload leaves an empty asset, which must be replaced too.
        """
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        details = await self._api.get(self._release_path(release))
        for asset in details["assets"]:
            if asset["name"] != name:
                continue
            if asset.get("digest") == digest:
                return
            path = f"{self._repository}/releases/assets/{asset['id']}"
            await self._api.request("DELETE", path, ok_statuses=(HTTPStatus.NOT_FOUND,))
        address = details["upload_url"].partition("{")[0]
        headers = {"Content-Type": BINARY}
        await self._api.request(
            "POST", address, query={"name": name}, content=content, headers=headers
        )

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*, None if there is none; GitHub redirects to it."""
        details = await self._api.get(self._release_path(release))
        for asset in get_nested(details, "assets", default=()):
            if asset["name"] == name:
                path = f"{self._repository}/releases/assets/{asset['id']}"
                response = await self._api.request("GET", path, headers={"Accept": BINARY})
                return response.content
        return None

    async def find_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the open pull request of *branch* into *base*, None if there is none."""
        pull_request = await self._find_open(branch, base)
        return _parse_pull_request(pull_request) if pull_request else None

    async def open_pull_request(
        self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()
    ) -> PullRequest:
        """Create or update the pull request of *branch* into *base*, and return it; labels are only added."""
        value = {"title": title, "body": body}
        new = {**value, "head": branch, "base": base}
        response = await find_or_create(
            find=lambda: self._find_open(branch, base),
            create=lambda: self._api.send("POST", f"{self._repository}/pulls", new),
        )
        if (response["title"], response["body"]) != (title, body):
            response = await self._api.send(
                "PATCH", f"{self._repository}/pulls/{response['number']}", value
            )
        pull_request = _parse_pull_request(response)
        missing_labels = drop(labels, pull_request.labels)
        if missing_labels:
            await self._add_labels(pull_request.number, missing_labels)
        return pull_request

    async def _add_labels(self, number: int, labels: Sequence[str]) -> None:
        for label in labels:
            await self._ensure_label(label)
        await self._api.send(
            "POST", f"{self._repository}/issues/{number}/labels", {"labels": labels}
        )

    async def close_pull_request(self, pull_request: PullRequest, body: str) -> None:
        """Close *pull_request* without merging it; *body* says why."""
        await self._api.send(
            "PATCH",
            f"{self._repository}/pulls/{pull_request.number}",
            {"state": "closed", "body": body},
        )

    async def comment(self, number: int, marker: str, body: str) -> str:
        """Create or update the comment that begins with *marker* on a pull request; returns its URL."""
        path = f"{self._repository}/issues/{number}/comments"
        value = {"body": marker + body}
        response = await find_or_create(
            find=lambda: self._api.find_comment(path, marker),
            create=lambda: self._api.send("POST", path, value),
        )
        if response["body"] != value["body"]:
            response = await self._api.send(
                "PATCH", f"{self._repository}/issues/comments/{response['id']}", value
            )
        return response["html_url"]

    async def merged_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the pull request of *branch* that was merged into *base* last, None if there is none."""
        closed = await self._list_pull_requests("closed", branch, base)
        merged = [pull_request for pull_request in closed if pull_request["merged_at"]]
        if not merged:
            return None
        last = max(merged, key=lambda pull_request: pull_request["merged_at"])
        return _parse_pull_request(last)

    async def pull_requests_of(self, commits: Sequence[str]) -> dict[str, PullRequest]:
        """Return the merged pull request of each of *commits* by sha, with GraphQL: fifty commits a request."""
        by_commit: dict[str, PullRequest] = {}
        for start in range(0, len(commits), COMMITS_PER_QUERY):
            batch = {
                f"c{n}": sha for n, sha in enumerate(commits[start : start + COMMITS_PER_QUERY])
            }
            objects = await self._query_commits(batch)
            for key, sha in batch.items():
                nodes = get_nested(objects, key, "associatedPullRequests", "nodes", default=())
                merged = [node for node in nodes if node["mergedAt"]]
                if merged:
                    first = min(merged, key=lambda node: node["mergedAt"])
                    by_commit[sha] = _parse_graphql_pull_request(first)
        return by_commit

    async def _query_commits(self, commits: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON
        """Return the GraphQL objects of *commits*, which maps a name in the query to a sha, by these names."""
        parameters = "".join(f", ${key}: GitObjectID!" for key in commits)
        objects = " ".join(f"{key}: object(oid: ${key}) {{ ...pulls }}" for key in commits)
        query = f"query($owner: String!, $name: String!{parameters}) {{ repository(owner: $owner, name: $name) {{"
        variables = {"owner": self._owner, "name": self._name, **commits}
        body = {
            "query": f"{query} {objects} }} }}\n{_PULL_REQUESTS_FRAGMENT}",
            "variables": variables,
        }
        address = f"{self._api.base.removesuffix('/v3')}/graphql"
        response = await self._api.send("POST", address, body)
        if errors := response.get("errors"):
            # Such as a commit that was never pushed; the response has the others.
            log.debug("GraphQL: %s", errors)
        return get_nested(response, "data", "repository")

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start *workflow* (the name of its file) on *ref*; the request is never retried."""
        path = f"{self._repository}/actions/workflows/{quote(workflow, safe='')}/dispatches"
        await self._api.send("POST", path, {"ref": ref, "inputs": dict(inputs)})

    def _release_path(self, release: ForgeRelease) -> str:
        return f"{self._repository}/releases/{release.key}"

    async def _patch_release(
        self, release: ForgeRelease, value: Mapping[str, object]
    ) -> ForgeRelease:
        return _parse_release(await self._api.send("PATCH", self._release_path(release), value))

    async def _find_open(self, branch: str, base: str) -> Any:  # noqa: ANN401  JSON
        pull_requests = await self._list_pull_requests("open", branch, base)
        return next(iter(pull_requests), None)

    async def _list_pull_requests(self, state: str, branch: str, base: str) -> list[Any]:
        query = {"state": state, "head": f"{self._owner}:{branch}", "base": base, "sort": "updated"}
        return await self._api.get_list(
            f"{self._repository}/pulls", direction="desc", per_page=30, **query
        )

    async def _ensure_label(self, label: str) -> None:
        async def find() -> Any:  # noqa: ANN401  JSON
            return await self._api.get(f"{self._repository}/labels/{quote(label, safe='')}")

        await find_or_create(
            find, lambda: self._api.send("POST", f"{self._repository}/labels", {"name": label})
        )


def _is_unauthorized(error: ReleaseError) -> bool:
    return error.message.startswith(str(HTTPStatus.UNAUTHORIZED.value))


def _parse_release(value: Mapping[str, Any]) -> ForgeRelease:
    return ForgeRelease(
        tag=value["tag_name"],
        title=value["name"] or "",
        body=get_nested(value, "body", default=""),
        draft=value["draft"],
        prerelease=value["prerelease"],
        url=value["html_url"],
        key=str(value["id"]),
        assets=tuple(asset["name"] for asset in value["assets"]),
    )


def _parse_pull_request(value: Mapping[str, Any]) -> PullRequest:
    return PullRequest(
        number=value["number"],
        title=value["title"],
        page=value["html_url"],
        author=get_nested(value, "user", "login", default=""),
        labels=tuple(label["name"] for label in value["labels"]),
        branch=value["head"]["ref"],
        merge_commit=(value["merge_commit_sha"] or "") if value["merged_at"] else "",
        head_commit=value["head"]["sha"],
    )


def _parse_graphql_pull_request(node: Mapping[str, Any]) -> PullRequest:
    author = get_nested(node, "author", "login", default="")  # null if the account was deleted
    bot = "[bot]" if get_nested(node, "author", "__typename") == "Bot" else ""
    return PullRequest(
        number=node["number"],
        title=node["title"],
        page=node["url"],
        author=f"{author}{bot}",
        labels=tuple(label["name"] for label in get_nested(node, "labels", "nodes", default=())),
        branch=node["headRefName"],
        merge_commit=get_nested(node, "mergeCommit", "oid", default=""),
    )
