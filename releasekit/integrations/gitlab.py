"""GitLab, hosted or of one's own, through its REST API (version 4)."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
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


DEVELOPER = 30
"""The access level from which on releases may be made."""

# GitLab has no drafts: a release whose time has not come is listed as an upcoming one, and can be moved to now.
SOME_DAY = "2999-01-01T00:00:00Z"
MERGED_PAGES = 5


class GitLab:
    """The project of *web*, whose API is at *address*; conforms to `interface.Forge`.

    *variable* names where *token* comes from: a job's own token goes into a header of its own.
    """

    name = "GitLab"
    body_limit = 1_000_000
    pull_limit = 1_000_000

    def __init__(
        self,
        web: Web,
        address: str,
        variable: str,
        token: str,
        connections: httpx.AsyncClient,
        *,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._project = f"/projects/{quote(web.repository, safe='')}"
        self._path, self._page = web.repository, web.base
        self._is_job = variable == "CI_JOB_TOKEN"
        header = "JOB-TOKEN" if self._is_job else "PRIVATE-TOKEN"
        self._api = Api(address, connections, {header: token}, pause=pause)

    async def check_access(self) -> None:
        """Return if the token may make releases here: its own scope, and the level of who has made it.

        A job's token may by definition, and may not ask.
        """
        if self._is_job:
            return
        project = await self._api.get(self._project)
        if project is None:
            raise ReleaseError(
                Code.FORGE_CREDENTIALS, f"there is no project {self._path}, or the token does not see it"
            )
        ways = ("project_access", "group_access")
        level = max(inner(project, "permissions", way, "access_level") or 0 for way in ways)
        scopes = inner(await self._api.get("/personal_access_tokens/self"), "scopes") or ["api"]
        if level < DEVELOPER or "api" not in scopes:
            raise ReleaseError(Code.FORGE_READ_ONLY, f"the token may not make releases in {self._path}")

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases, upcoming ones too, newest first."""
        return tuple([_release(each) async for each in self._api.each(f"{self._project}/releases")])

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the upcoming ones among the last hundred releases: theirs is the latest time."""
        newest = await self._api.get(f"{self._project}/releases", per_page=100) or ()
        return tuple(release for each in newest if (release := _release(each)).draft)

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*."""
        found = await self._api.get(self._at(tag))
        return _release(found) if found else None

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
            value["released_at"] = SOME_DAY

        async def make() -> ForgeRelease:
            return _release(await self._api.send("POST", f"{self._project}/releases", value))

        return await look_then_make(lambda: self.release(tag), make)

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change what *release* says."""
        given = {"name": title, "description": body}
        value = {key: text for key, text in given.items() if text is not None}
        return _release(await self._api.send("PUT", self._at(release.tag), value))

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Announce an upcoming release."""
        if not release.draft:
            return release
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return _release(await self._api.send("PUT", self._at(release.tag), {"released_at": now}))

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release*, not its tag; fine if it is gone already."""
        await self._api.ask("DELETE", self._at(release.tag), fine=(HTTPStatus.NOT_FOUND,))

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*: it goes to the project's generic packages, and is linked from there."""
        path = self._file(release, name)
        await self._api.ask("PUT", path, content=content)
        links = await self._api.get(f"{self._at(release.tag)}/assets/links") or ()
        if not any(link["name"] == name for link in links):
            link = {"name": name, "url": f"{self._api.base}{path}"}
            await self._api.send("POST", f"{self._at(release.tag)}/assets/links", link)

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*."""
        if name not in release.assets:
            return None
        return (await self._api.ask("GET", self._file(release, name))).content

    async def find_pull(self, branch: str, base: str) -> Pull | None:
        """Return the open merge request of *branch* into *base*."""
        found = await self._merge_requests("opened", branch, base)
        return _pull(found[0]) if found else None

    async def open_pull(self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()) -> Pull:
        """Return the open merge request of *branch* into *base*, made or brought up to date; labels are only added.

        GitLab makes the labels that are missing.
        """
        value = {"title": title, "description": body, "add_labels": ",".join(labels)}

        async def look() -> Any:  # noqa: ANN401  JSON
            return next(iter(await self._merge_requests("opened", branch, base)), None)

        async def make() -> Any:  # noqa: ANN401  JSON
            new = {"source_branch": branch, "target_branch": base, "title": title, "description": body}
            return await self._api.send("POST", f"{self._project}/merge_requests", {**new, "labels": ",".join(labels)})

        found = await look_then_make(look, make)
        if (found["title"], found["description"]) != (title, body) or not set(labels) <= set(found["labels"]):
            found = await self._api.send("PUT", f"{self._project}/merge_requests/{found['iid']}", value)
        return _pull(found)

    async def close_pull(self, pull: Pull, body: str) -> None:
        """Close *pull* without merging it; *body* says why."""
        value = {"state_event": "close", "description": body}
        await self._api.send("PUT", f"{self._project}/merge_requests/{pull.number}", value)

    async def comment(self, number: int, mark: str, body: str) -> str:
        """Make the note on a merge request that begins with *mark*, or bring it up to date; returns its page."""
        path = f"{self._project}/merge_requests/{number}/notes"

        async def look() -> Any:  # noqa: ANN401  JSON
            there = [each async for each in self._api.each(path)]
            return next((each for each in there if each["body"].startswith(mark)), None)

        found = await look_then_make(look, lambda: self._api.send("POST", path, {"body": mark + body}))
        if found["body"] != mark + body:
            await self._api.send("PUT", f"{path}/{found['id']}", {"body": mark + body})
        return f"{self._page}/-/merge_requests/{number}#note_{found['id']}"

    async def merged_pull(self, branch: str, base: str) -> Pull | None:
        """Return the merge request of *branch* that was merged into *base* last."""
        merged = await self._merge_requests("merged", branch, base)
        return _pull(max(merged, key=lambda each: each["merged_at"] or "")) if merged else None

    async def pulls_of(self, commits: Sequence[str]) -> dict[str, Pull]:
        """Return the merge request that each of *commits* came with, from the list of those merged last.

        So it is found by the commit that merging has made, or by its last own one, in a hundred merge requests a
        request; asking for each commit would cost a request a commit.
        """
        wanted, found, read = set(commits), dict[str, Pull](), 0
        query = {"state": "merged", "order_by": "updated_at", "sort": "desc"}
        async for each in self._api.each(f"{self._project}/merge_requests", **query):
            for key in ("merge_commit_sha", "squash_commit_sha", "sha"):
                if each.get(key) in wanted:
                    found.setdefault(each[key], _pull(each))
            read += 1
            if len(found) == len(wanted) or read == 100 * MERGED_PAGES:
                break
        return found

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a pipeline on *ref*; its rules may look at the variable RELEASEKIT_WORKFLOW."""
        given = {"RELEASEKIT_WORKFLOW": workflow, **inputs}
        variables = [{"key": key, "value": value} for key, value in given.items()]
        await self._api.send("POST", f"{self._project}/pipeline", {"ref": ref, "variables": variables})

    def _file(self, release: ForgeRelease, name: str) -> str:
        version = re.sub(r"[^\w.+-]", "-", release.tag)
        return f"{self._project}/packages/generic/releasekit/{version}/{quote(name, safe='')}"

    def _at(self, tag: str) -> str:
        return f"{self._project}/releases/{quote(tag, safe='')}"

    async def _merge_requests(self, state: str, branch: str, base: str) -> list[Any]:
        query = {"state": state, "source_branch": branch, "target_branch": base}
        return await self._api.get(f"{self._project}/merge_requests", **query) or []


def _release(value: Mapping[str, Any]) -> ForgeRelease:
    return ForgeRelease(
        tag=value["tag_name"],
        title=value["name"] or "",
        body=value.get("description") or "",
        draft=bool(value.get("upcoming_release")),
        prerelease=False,
        page=inner(value, "_links", "self") or "",
        key=value["tag_name"],
        assets=tuple(link["name"] for link in inner(value, "assets", "links") or ()),
    )


def _pull(value: Mapping[str, Any]) -> Pull:
    # Merging by fast-forward makes no commit: the last one of the branch is then the one that has landed.
    landed = value.get("merge_commit_sha") or value.get("squash_commit_sha") or value["sha"]
    return Pull(
        number=value["iid"],
        title=value["title"],
        page=value["web_url"],
        author=inner(value, "author", "username") or "",
        labels=tuple(value["labels"]),
        branch=value["source_branch"],
        commit=landed if value["merged_at"] else "",
        head=value["sha"],
    )
