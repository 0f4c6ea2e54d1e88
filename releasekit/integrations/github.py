"""GitHub and GitHub Enterprise Server, through their REST and GraphQL APIs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from releasekit.core.errors import Code, ReleaseError
from releasekit.core.release.release_notes import Pull
from releasekit.integrations.forge import Api, inner, look_then_make
from releasekit.integrations.protocols import ForgeRelease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import httpx

    from releasekit.core.history.web_links import Web

log = logging.getLogger("releasekit.forge")

VERSION = "2022-11-28"
"""The version of the API that the hosted GitHub and all supported Enterprise Servers speak."""

COMMITS_A_QUERY = 50

_COMMIT = """
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
    """The repository of *web*, whose API is at *address*; conforms to `interface.Forge`."""

    name = "GitHub"
    body_limit = 125_000
    pull_limit = 65_536

    def __init__(
        self,
        web: Web,
        address: str,
        token: str,
        connections: httpx.AsyncClient,
        *,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._repository = f"/repos/{web.repository}"
        self._owner, _, self._name = web.repository.rpartition("/")
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": VERSION,
        }
        self._api = Api(address, connections, headers, pause=pause)

    async def check_access(self) -> None:
        """Return if the token may make releases here.

        What a repository says of permissions is the user's, not the token's, so GitHub is asked for something that
        only those who may make releases are given and that changes nothing: the notes that it would write.
        """
        asked = f"{self._repository}/releases/generate-notes"
        try:
            await self._api.send("POST", asked, {"tag_name": "releasekit-may-i"})
        except ReleaseError as error:
            if error.code not in (Code.FORGE_READ_ONLY, Code.FORGE_CREDENTIALS) or _is_unauthorized(error):
                raise
            if await self._api.get(self._repository):
                what = f"the token may not make releases in {self._owner}/{self._name}"
                raise ReleaseError(Code.FORGE_READ_ONLY, what, output=error.output) from None
            raise

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases, drafts too, newest first."""
        return tuple([_release(each) async for each in self._api.each(f"{self._repository}/releases")])

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the drafts among the last hundred releases."""
        newest = await self._api.get(f"{self._repository}/releases", per_page=100) or ()
        return tuple(_release(each) for each in newest if each["draft"])

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*; a draft is not found by its tag, so the list is read up to it."""
        found = await self._api.get(f"{self._repository}/releases/tags/{quote(tag, safe='')}")
        if found:
            return _release(found)
        async for each in self._api.each(f"{self._repository}/releases"):
            if each["tag_name"] == tag:
                return _release(each)
        return None

    async def create_release(
        self, tag: str, commit: str, title: str, body: str, *, draft: bool = False, prerelease: bool = False
    ) -> ForgeRelease:
        """Make the release of *tag*; one that is there already is returned as it is."""
        said = {"tag_name": tag, "target_commitish": commit, "name": title, "body": body}
        # "legacy": a release of an older line, made later, is not taken for the latest one.
        value = {**said, "draft": draft, "prerelease": prerelease, "make_latest": "legacy"}

        async def make() -> ForgeRelease:
            return _release(await self._api.send("POST", f"{self._repository}/releases", value))

        return await look_then_make(lambda: self.release(tag), make)

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change what *release* says."""
        given = {"name": title, "body": body}
        return await self._change(release, {key: value for key, value in given.items() if value is not None})

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Announce a draft."""
        return await self._change(release, {"draft": False}) if release.draft else release

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release*, not its tag; fine if it is gone already."""
        await self._api.ask("DELETE", self._at(release), fine=(HTTPStatus.NOT_FOUND,))

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*, in the place of one of this name.

        An upload that was cut off leaves an empty asset behind, which is in the way like any other.
        """
        there = await self._api.get(self._at(release))
        for asset in there["assets"]:
            if asset["name"] == name:
                if asset.get("digest") == f"sha256:{hashlib.sha256(content).hexdigest()}":
                    return
                await self._api.ask("DELETE", f"{self._repository}/releases/assets/{asset['id']}", fine=(404,))
        address = there["upload_url"].partition("{")[0]
        await self._api.ask("POST", address, query={"name": name}, content=content)

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*; GitHub leads on to where it is kept."""
        there = await self._api.get(self._at(release))
        for asset in inner(there, "assets") or ():
            if asset["name"] == name:
                path = f"{self._repository}/releases/assets/{asset['id']}"
                return (await self._api.ask("GET", path, accept="application/octet-stream")).content
        return None

    async def find_pull(self, branch: str, base: str) -> Pull | None:
        """Return the open pull request of *branch* into *base*."""
        found = await self._pulls("open", branch, base)
        return _pull(found[0]) if found else None

    async def open_pull(self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()) -> Pull:
        """Return the open pull request of *branch* into *base*, made or brought up to date; labels are only added."""
        value = {"title": title, "body": body}

        async def look() -> Any:  # noqa: ANN401  JSON
            return next(iter(await self._pulls("open", branch, base)), None)

        async def make() -> Any:  # noqa: ANN401  JSON
            return await self._api.send("POST", f"{self._repository}/pulls", {**value, "head": branch, "base": base})

        found = await look_then_make(look, make)
        if (found["title"], found["body"]) != (title, body):
            found = await self._api.send("PATCH", f"{self._repository}/pulls/{found['number']}", value)
        pull = _pull(found)
        if missing := [label for label in labels if label not in pull.labels]:
            for label in missing:
                await self._ensure_label(label)
            await self._api.send("POST", f"{self._repository}/issues/{pull.number}/labels", {"labels": missing})
        return pull

    async def close_pull(self, pull: Pull, body: str) -> None:
        """Close *pull* without merging it; *body* says why."""
        await self._api.send("PATCH", f"{self._repository}/pulls/{pull.number}", {"state": "closed", "body": body})

    async def comment(self, number: int, mark: str, body: str) -> str:
        """Make the comment on a pull request that begins with *mark*, or bring it up to date; returns its page."""
        path = f"{self._repository}/issues/{number}/comments"

        async def look() -> Any:  # noqa: ANN401  JSON
            there = [each async for each in self._api.each(path)]
            return next((each for each in there if (each.get("body") or "").startswith(mark)), None)

        found = await look_then_make(look, lambda: self._api.send("POST", path, {"body": mark + body}))
        if found["body"] != mark + body:
            value = {"body": mark + body}
            found = await self._api.send("PATCH", f"{self._repository}/issues/comments/{found['id']}", value)
        return found["html_url"]

    async def merged_pull(self, branch: str, base: str) -> Pull | None:
        """Return the pull request of *branch* that was merged into *base* last."""
        merged = [pull for pull in await self._pulls("closed", branch, base) if pull["merged_at"]]
        return _pull(max(merged, key=lambda pull: pull["merged_at"])) if merged else None

    async def pulls_of(self, commits: Sequence[str]) -> dict[str, Pull]:
        """Return the merged pull request that each of *commits* came with, by GraphQL: fifty commits a request."""
        found: dict[str, Pull] = {}
        for start in range(0, len(commits), COMMITS_A_QUERY):
            some = commits[start : start + COMMITS_A_QUERY]
            declared = "".join(f", $c{n}: GitObjectID!" for n in range(len(some)))
            objects = " ".join(f"c{n}: object(oid: $c{n}) {{ ...pulls }}" for n in range(len(some)))
            query = f"query($owner: String!, $name: String!{declared}) {{ repository(owner: $owner, name: $name) {{"
            variables = {"owner": self._owner, "name": self._name, **{f"c{n}": sha for n, sha in enumerate(some)}}
            asked = {"query": f"{query} {objects} }} }}\n{_COMMIT}", "variables": variables}
            address = f"{self._api.base.removesuffix('/v3')}/graphql"
            answer = await self._api.send("POST", address, asked)
            if trouble := answer.get("errors"):
                log.debug("GraphQL: %s", trouble)  # such as a commit that was never pushed; the others are told
            for n, sha in enumerate(some):
                nodes = inner(answer, "data", "repository", f"c{n}", "associatedPullRequests", "nodes") or ()
                if merged := [node for node in nodes if node["mergedAt"]]:
                    found[sha] = _pull_of_graph(min(merged, key=lambda node: node["mergedAt"]))
        return found

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start *workflow* (the name of its file) on *ref*; never repeated by itself."""
        path = f"{self._repository}/actions/workflows/{quote(workflow, safe='')}/dispatches"
        await self._api.send("POST", path, {"ref": ref, "inputs": dict(inputs)})

    def _at(self, release: ForgeRelease) -> str:
        return f"{self._repository}/releases/{release.key}"

    async def _change(self, release: ForgeRelease, value: Mapping[str, object]) -> ForgeRelease:
        return _release(await self._api.send("PATCH", self._at(release), value))

    async def _pulls(self, state: str, branch: str, base: str) -> list[Any]:
        query = {"state": state, "head": f"{self._owner}:{branch}", "base": base, "sort": "updated"}
        return await self._api.get(f"{self._repository}/pulls", direction="desc", per_page=30, **query) or []

    async def _ensure_label(self, label: str) -> None:
        async def look() -> Any:  # noqa: ANN401  JSON
            return await self._api.get(f"{self._repository}/labels/{quote(label, safe='')}")

        await look_then_make(look, lambda: self._api.send("POST", f"{self._repository}/labels", {"name": label}))


def _is_unauthorized(error: ReleaseError) -> bool:
    return error.what.startswith(str(HTTPStatus.UNAUTHORIZED.value))


def _release(value: Mapping[str, Any]) -> ForgeRelease:
    return ForgeRelease(
        tag=value["tag_name"],
        title=value["name"] or "",
        body=value.get("body") or "",
        draft=value["draft"],
        prerelease=value["prerelease"],
        page=value["html_url"],
        key=str(value["id"]),
        assets=tuple(asset["name"] for asset in value["assets"]),
    )


def _pull(value: Mapping[str, Any]) -> Pull:
    return Pull(
        number=value["number"],
        title=value["title"],
        page=value["html_url"],
        author=inner(value, "user", "login") or "",
        labels=tuple(label["name"] for label in value["labels"]),
        branch=value["head"]["ref"],
        commit=(value["merge_commit_sha"] or "") if value["merged_at"] else "",
        head=value["head"]["sha"],
    )


def _pull_of_graph(node: Mapping[str, Any]) -> Pull:
    author = inner(node, "author", "login") or ""  # somebody who has left GitHub is nobody
    bot = "[bot]" if inner(node, "author", "__typename") == "Bot" else ""
    return Pull(
        number=node["number"],
        title=node["title"],
        page=node["url"],
        author=f"{author}{bot}",
        labels=tuple(label["name"] for label in inner(node, "labels", "nodes") or ()),
        branch=node["headRefName"],
        commit=inner(node, "mergeCommit", "oid") or "",
    )
