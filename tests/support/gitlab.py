"""A GitLab on loopback, with as much state as the conformance suite asks for."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from tests.support.github import Answer, ForgeDouble, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

WRITER, READER = "glpat-writer", "glpat-reader"
JOB = "glcbt-job"


class GitLabDouble(ForgeDouble):
    """GitLab with one project in a group."""

    def __init__(self, directory: Path, repository: str = "ada/tools/engine") -> None:
        super().__init__(directory, repository)
        self.releases: dict[str, dict[str, Any]] = {}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.files: dict[str, bytes] = {}
        self.dispatched: list[dict[str, Any]] = []
        project = f"/api/v4/projects/{re.escape(quote(repository, safe=''))}"
        self._routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", project, self._get_project),
            ("GET", "/api/v4/personal_access_tokens/self", self._get_token),
            ("GET", f"{project}/releases", self._list_releases),
            ("POST", f"{project}/releases", self._create_release),
            ("GET", f"{project}/releases/([^/]+)", self._get_release),
            ("PUT", f"{project}/releases/([^/]+)", self._update_release),
            ("DELETE", f"{project}/releases/([^/]+)", self._delete_release),
            ("GET", f"{project}/releases/([^/]+)/assets/links", self._get_links),
            ("POST", f"{project}/releases/([^/]+)/assets/links", self._create_link),
            ("PUT", rf"{project}/packages/generic/releasekit/[\w.+-]+/([^/]+)", self._put_file),
            ("GET", rf"{project}/packages/generic/releasekit/[\w.+-]+/([^/]+)", self._get_file),
            ("GET", f"{project}/merge_requests", self._list_pulls),
            ("POST", f"{project}/merge_requests", self._create_pull),
            ("PUT", f"{project}/merge_requests/([0-9]+)", self._update_pull),
            ("GET", f"{project}/merge_requests/([0-9]+)/notes", self._list_notes),
            ("POST", f"{project}/merge_requests/([0-9]+)/notes", self._create_note),
            ("PUT", f"{project}/merge_requests/([0-9]+)/notes/([0-9]+)", self._update_note),
            ("POST", f"{project}/pipeline", self._create_pipeline),
        ]

    def pull(
        self,
        title: str,
        branch: str,
        *,
        author: str = "bob",
        bot: bool = False,
        labels: Iterable[str] = (),
    ) -> int:
        """Make a merge request of *branch* into main."""
        number = len(self.pulls) + 1
        self.pulls[number] = {
            "iid": number, "title": title, "description": "", "state": "opened", "labels": list(labels),
            "author": {"username": f"{author}{'[bot]' if bot else ''}"}, "source_branch": branch,
            "target_branch": "main", "web_url": f"{self.url}/{self.repository}/-/merge_requests/{number}",
            "merged_at": None, "merge_commit_sha": None, "squash_commit_sha": None,
            "sha": self.git("rev-parse", branch),
        }  # fmt: skip
        return number

    def merge(self, number: int, how: str = "merge") -> str:
        """Merge it; only what the API says of it changes, and the tip of main."""
        pull = self._with_head(self.pulls[number])
        commit = self.git(
            "commit-tree",
            "-p",
            "main",
            "-p",
            pull["source_branch"],
            "-m",
            how,
            f"{pull['sha']}^{{tree}}",
        )
        self.git("update-ref", "refs/heads/main", commit)
        pull |= {
            "state": "merged",
            "merged_at": datetime.now(UTC).isoformat(),
            "merge_commit_sha": commit,
        }
        return commit

    def answer(self, request: Request) -> Answer:
        """Answer as GitLab does."""
        token = request.headers.get("PRIVATE-TOKEN") or request.headers.get("JOB-TOKEN")
        if token not in (WRITER, READER, JOB):
            return Answer(401, {"message": "401 Unauthorized"})
        for method, pattern, handler in self._routes:
            found = re.fullmatch(pattern, request.path, re.IGNORECASE)
            if found and method == request.method:
                if method != "GET" and token == READER:
                    return Answer(403, {"error": "insufficient_scope", "scope": "api"})
                return handler(request, *map(unquote, found.groups()))
        return Answer(404, {"message": "404 Project Not Found"})

    def _get_project(self, _request: Request) -> Answer:
        access = {"project_access": {"access_level": 40}, "group_access": None}
        return Answer(value={"path_with_namespace": self.repository, "permissions": access})

    def _get_token(self, request: Request) -> Answer:
        scopes = ["read_api"] if request.headers.get("PRIVATE-TOKEN") == READER else ["api"]
        return Answer(value={"scopes": scopes})

    def _list_releases(self, request: Request) -> Answer:
        size, page = min(2, int(request.query["per_page"])), int(request.query.get("page", 1))
        newest = list(reversed(self.releases.values()))
        more = {"Link": f'<{self.url}{request.path}?per_page={size}&page={page + 1}>; rel="next"'}
        return Answer(
            200, newest[(page - 1) * size : page * size], more if len(newest) > page * size else {}
        )

    def _create_release(self, request: Request) -> Answer:
        value = request.json
        if value["tag_name"] in self.releases:
            return Answer(409, {"message": "Release already exists"})
        if not self.git("for-each-ref", f"refs/tags/{value['tag_name']}"):
            self.git("tag", value["tag_name"], value["ref"])
        page = f"{self.url}/{self.repository}/-/releases/{quote(value['tag_name'], safe='')}"
        made = {
            "tag_name": value["tag_name"],
            "name": value["name"],
            "description": value["description"],
        }
        made |= {
            "upcoming_release": "released_at" in value,
            "assets": {"links": []},
            "_links": {"self": page},
        }
        self.releases[value["tag_name"]] = made
        return Answer(201, made)

    def _get_release(self, _request: Request, tag: str) -> Answer:
        return (
            Answer(value=self.releases[tag])
            if tag in self.releases
            else Answer(404, {"message": "404 Not Found"})
        )

    def _update_release(self, request: Request, tag: str) -> Answer:
        value = request.json
        if "released_at" in value:
            value["upcoming_release"] = value.pop("released_at") > datetime.now(UTC).isoformat()
        self.releases[tag] |= value
        return Answer(value=self.releases[tag])

    def _delete_release(self, _request: Request, tag: str) -> Answer:
        gone = self.releases.pop(tag, None)
        return Answer(value=gone) if gone else Answer(404, {"message": "404 Not Found"})

    def _get_links(self, _request: Request, tag: str) -> Answer:
        return Answer(value=self.releases[tag]["assets"]["links"])

    def _create_link(self, request: Request, tag: str) -> Answer:
        links = self.releases[tag]["assets"]["links"]
        if any(link["name"] == request.json["name"] for link in links):
            return Answer(400, {"message": {"name": ["has already been taken"]}})
        links.append(request.json)
        return Answer(201, request.json)

    def _put_file(self, request: Request, name: str) -> Answer:
        self.files[name] = request.body
        return Answer(201, {"message": "201 Created"})

    def _get_file(self, _request: Request, name: str) -> Answer:
        return Answer(value=self.files[name])

    def _list_pulls(self, request: Request) -> Answer:
        keys = ("state", "source_branch", "target_branch")
        wanted = {key: request.query[key] for key in keys if key in request.query}
        pulls = map(self._with_head, self.pulls.values())
        return Answer(value=[pull for pull in pulls if wanted.items() <= pull.items()])

    def _with_head(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Bring an open merge request to where its branch is."""
        tip = self.git(
            "for-each-ref", "--format=%(objectname)", f"refs/heads/{pull['source_branch']}"
        )
        if tip and pull["state"] == "opened":
            pull["sha"] = tip
        return pull

    def _create_pull(self, request: Request) -> Answer:
        value = request.json
        number = self.pull(
            value["title"], value["source_branch"], author="ada", labels=_split(value["labels"])
        )
        self.pulls[number]["description"] = value["description"]
        return Answer(201, self.pulls[number])

    def _update_pull(self, request: Request, number: str) -> Answer:
        value, pull = request.json, self.pulls[int(number)]
        pull |= {key: value[key] for key in ("title", "description") if key in value}
        pull["labels"] = sorted({*pull["labels"], *_split(value.get("add_labels", ""))})
        if value.get("state_event") == "close":
            pull["state"] = "closed"
        return Answer(value=pull)

    def _list_notes(self, request: Request, number: str) -> Answer:
        size, page = int(request.query["per_page"]), int(request.query.get("page", 1))
        there = self.comments.get(int(number), [])
        more = {"Link": f'<{self.url}{request.path}?per_page={size}&page={page + 1}>; rel="next"'}
        return Answer(
            200, there[(page - 1) * size : page * size], more if len(there) > page * size else {}
        )

    def _create_note(self, request: Request, number: str) -> Answer:
        return Answer(201, self.say(int(number), request.json["body"]))

    def say(self, number: int, body: str) -> dict[str, Any]:
        """Comment on a merge request, as somebody does."""
        made = {"id": 100 * number + len(self.comments.get(number, ())), "body": body}
        self.comments.setdefault(number, []).append(made)
        return made

    def _update_note(self, request: Request, number: str, key: str) -> Answer:
        (found,) = (each for each in self.comments[int(number)] if each["id"] == int(key))
        found |= request.json
        return Answer(value=found)

    def _create_pipeline(self, request: Request) -> Answer:
        self.dispatched.append(request.json)
        return Answer(201, {"id": 1})


def _split(labels: str) -> list[str]:
    return [label for label in labels.split(",") if label]
