"""A Gitea on loopback, with as much state as the conformance suite asks for.

`TAKES` and `GIVES` say what Gitea's API description says of the requests and responses that releasekit uses, in the
words of this file. A request that the description does not know, or a response that lacks a field, fails the test.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.support.github import Answer, ForgeDouble, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

WRITER, READER = "gta-writer", "gta-reader"
API = "/api/v1"

TAKES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "release!tag_name": {
        "tag_name": str, "target_commitish": str, "name": str, "body": str, "draft": bool, "prerelease": bool,
    },
    "release": {"name": str, "body": str, "draft": bool, "prerelease": bool},
    "pull!head!base!title": {"head": str, "base": str, "title": str, "body": str, "labels": list},
    "pull": {"title": str, "body": str, "state": str, "base": str, "labels": list},
    "comment!body": {"body": str},
    "label!name!color": {"name": str, "color": str, "description": str},
    "labels": {"labels": list},
    "dispatch!ref": {"ref": str, "inputs": dict},
}  # fmt: skip
"""The fields of each body by its name; those after a "!" are required."""

GIVES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "release": {
        "id": int, "tag_name": str, "name": str, "body": str, "draft": bool, "prerelease": bool, "html_url": str,
        "assets": list,
    },
    "asset": {"id": int, "name": str, "uuid": str, "browser_download_url": str},
    "pull": {
        "number": int, "title": str, "body": str, "state": str, "user": dict, "labels": list, "html_url": str,
        "head": dict, "base": dict, "merged": bool, "merged_at": (str, type(None)),
        "merge_commit_sha": (str, type(None)),
    },
    "comment": {"id": int, "body": str, "html_url": str},
    "label": {"id": int, "name": str, "color": str},
}  # fmt: skip
"""The fields of each response that releasekit reads."""


class GiteaDouble(ForgeDouble):
    """Gitea with one repository."""

    def __init__(self, directory: Path, repository: str = "ada/engine") -> None:
        super().__init__(directory, repository)
        self.releases: dict[int, dict[str, Any]] = {}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.labels: dict[int, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.dispatched: list[dict[str, Any]] = []
        self._last_id = 0
        repo = f"{API}/repos/{re.escape(repository)}"
        self._routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", repo, self._get_repository),
            ("GET", f"{repo}/releases", self._list_releases),
            ("POST", f"{repo}/releases", self._create_release),
            ("GET", f"{repo}/releases/tags/([^/]+)", self._get_by_tag),
            ("GET", f"{repo}/releases/([0-9]+)", self._get_release),
            ("PATCH", f"{repo}/releases/([0-9]+)", self._update_release),
            ("DELETE", f"{repo}/releases/([0-9]+)", self._delete_release),
            ("POST", f"{repo}/releases/([0-9]+)/assets", self._create_asset),
            ("DELETE", f"{repo}/releases/([0-9]+)/assets/([0-9]+)", self._delete_asset),
            ("GET", f"/{re.escape(repository)}/attachments/([0-9a-f-]+)", self._get_file),
            ("GET", f"{repo}/pulls", self._list_pulls),
            ("POST", f"{repo}/pulls", self._create_pull),
            ("PATCH", f"{repo}/pulls/([0-9]+)", self._update_pull),
            ("GET", f"{repo}/pulls/([0-9]+)/commits", self._list_commits),
            ("GET", f"{repo}/commits/([0-9a-f]+)/pull", self._get_pull_of),
            ("GET", f"{repo}/labels", self._list_labels),
            ("POST", f"{repo}/labels", self._create_label),
            ("POST", f"{repo}/issues/([0-9]+)/labels", self._add_labels),
            ("GET", f"{repo}/issues/([0-9]+)/comments", self._list_comments),
            ("POST", f"{repo}/issues/([0-9]+)/comments", self._create_comment),
            ("PATCH", f"{repo}/issues/comments/([0-9]+)", self._update_comment),
            ("POST", f"{repo}/actions/workflows/([^/]+)/dispatches", self._dispatch),
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
        """Make a pull request of *branch* into main."""
        number = len(self.pulls) + 1
        self.pulls[number] = {
            "number": number, "title": title, "body": "", "state": "open",
            "user": {"login": f"{author}{'[bot]' if bot else ''}"},
            "labels": [self._label(name) for name in labels], "merged": False, "merged_at": None,
            "merge_commit_sha": None, "html_url": f"{self.url}/{self.repository}/pulls/{number}",
            "head": {"ref": branch, "sha": self.git("rev-parse", branch), "repo_id": 1},
            "base": {"ref": "main", "sha": self.git("rev-parse", "main"), "repo_id": 1},
        }  # fmt: skip
        return number

    def merge(self, number: int) -> str:
        """Merge it with a merge commit, which becomes the tip of main."""
        pull = self._with_head(self.pulls[number])
        sha = pull["head"]["sha"]
        tree = f"{sha}^{{tree}}"
        commit = self.git("commit-tree", "-p", "main", "-p", sha, "-m", "merge", tree)
        self.git("update-ref", "refs/heads/main", commit)
        now = datetime.now(UTC).isoformat()
        pull |= {"state": "closed", "merged": True, "merged_at": now, "merge_commit_sha": commit}
        return commit

    def say(self, number: int, body: str) -> dict[str, Any]:
        """Comment on a pull request, as somebody does."""
        key = self._new_id()
        page = f"{self.url}/{self.repository}/pulls/{number}#issuecomment-{key}"
        comment = {"id": key, "body": body, "html_url": page}
        self.comments.setdefault(number, []).append(comment)
        return comment

    def answer(self, request: Request) -> Answer:
        """Answer as Gitea does: it checks the token, then its rights, then the fields."""
        token = request.headers.get("Authorization", "").removeprefix("token ")
        if token not in (WRITER, READER):
            return Answer(401, {"message": "user does not exist [uid: 0, name: ]"})
        for method, pattern, handler in self._routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                if method != "GET" and token == READER:
                    needed = "token does not have at least one of required scope(s)"
                    return Answer(403, {"message": needed})
                return handler(request, *map(unquote, match.groups()))
        return _missing()

    def _get_repository(self, _request: Request) -> Answer:
        return Answer(value={"full_name": self.repository, "permissions": {"push": True}})

    def _list_releases(self, request: Request) -> Answer:
        newest = [self._shown(release) for release in reversed(self.releases.values())]
        if "draft" in request.query:
            wanted = request.query["draft"] == "true"
            newest = [release for release in newest if release["draft"] is wanted]
        return self._page(request, newest, most=2)

    def _create_release(self, request: Request) -> Answer:
        value = request.json
        if not value.get("tag_name"):
            return Answer(422, {"message": "[TagName]: Required"})
        _check(value, "release!tag_name", TAKES)
        if any(release["tag_name"] == value["tag_name"] for release in self.releases.values()):
            return Answer(409, {"message": "Release is has no Tag"})
        key = self._new_id()
        page = f"{self.url}/{self.repository}/releases/tag/{value['tag_name']}"
        self.releases[key] = {**value, "id": key, "html_url": page, "assets": []}
        self._make_tag(self.releases[key])
        return Answer(201, self._shown(self.releases[key]))

    def _make_tag(self, release: dict[str, Any]) -> None:
        """Make the tag of a release that is no draft, as Gitea does."""
        tag = release["tag_name"]
        if not release["draft"] and not self.git("for-each-ref", f"refs/tags/{tag}"):
            self.git("tag", tag, release["target_commitish"])

    def _get_by_tag(self, _request: Request, tag: str) -> Answer:
        for release in self.releases.values():
            if release["tag_name"] == tag:
                return Answer(value=self._shown(release))
        return _missing()

    def _get_release(self, _request: Request, key: str) -> Answer:
        release = self.releases.get(int(key))
        return Answer(value=self._shown(release)) if release else _missing()

    def _update_release(self, request: Request, key: str) -> Answer:
        value = _check(request.json, "release", TAKES)
        release = self.releases[int(key)]
        # Gitea takes an empty text for no change.
        release |= {name: new for name, new in value.items() if new != ""}
        self._make_tag(release)
        return Answer(value=self._shown(release))

    def _delete_release(self, _request: Request, key: str) -> Answer:
        return Answer(204) if self.releases.pop(int(key), None) else _missing()

    def _create_asset(self, request: Request, key: str) -> Answer:
        """Store the file of a form; a second one of the same name is stored beside the first."""
        boundary = request.headers["Content-Type"].partition("boundary=")[2]
        head, _, rest = request.body.partition(b"\r\n\r\n")
        assert b'name="attachment"' in head
        asset_id = self._new_id()
        uuid = f"{asset_id:08x}-0000-0000-0000-000000000000"
        self.files[uuid] = rest.removesuffix(f"\r\n--{boundary}--\r\n".encode())
        address = f"{self.url}/attachments/{uuid}"
        asset = {
            "id": asset_id,
            "name": request.query["name"],
            "uuid": uuid,
            "browser_download_url": address,
        }
        self.releases[int(key)]["assets"].append(_check(asset, "asset", GIVES))
        return Answer(201, asset)

    def _delete_asset(self, _request: Request, key: str, asset_id: str) -> Answer:
        release = self.releases[int(key)]
        (asset,) = (asset for asset in release["assets"] if asset["id"] == int(asset_id))
        release["assets"].remove(asset)
        del self.files[asset["uuid"]]
        return Answer(204)

    def _get_file(self, _request: Request, uuid: str) -> Answer:
        return Answer(value=self.files[uuid])

    def _list_pulls(self, request: Request) -> Answer:
        assert request.query.keys() <= {"state", "sort", "page", "limit"}
        pulls = [self._with_head(pull) for pull in reversed(self.pulls.values())]
        state = request.query["state"]
        matching = [_check(pull, "pull", GIVES) for pull in pulls if pull["state"] == state]
        return self._page(request, matching, most=2)

    def _with_head(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Bring an open pull request to where its branch is."""
        head = pull["head"]
        tip = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{head['ref']}")
        if tip and pull["state"] == "open":
            head["sha"] = tip
        return pull

    def _create_pull(self, request: Request) -> Answer:
        value = _check(request.json, "pull!head!base!title", TAKES)
        number = self.pull(value["title"], value["head"], author="ada")
        self.pulls[number]["body"] = value["body"]
        return Answer(201, self.pulls[number])

    def _update_pull(self, request: Request, number: str) -> Answer:
        value, pull = _check(request.json, "pull", TAKES), self.pulls[int(number)]
        pull |= value
        return Answer(201, _check(pull, "pull", GIVES))

    def _list_commits(self, request: Request, number: str) -> Answer:
        pull = self.pulls[int(number)]
        base = f"{pull['merge_commit_sha']}^1"
        commits = self.git("rev-list", pull["head"]["sha"], f"^{base}").split()
        return self._page(request, [{"sha": sha} for sha in commits], most=50)

    def _get_pull_of(self, _request: Request, commit: str) -> Answer:
        for pull in self.pulls.values():
            if pull["merge_commit_sha"] == commit:
                return Answer(value=_check(pull, "pull", GIVES))
        return _missing()

    def _list_labels(self, request: Request) -> Answer:
        return self._page(request, [*self.labels.values()], most=2)

    def _label(self, name: str) -> dict[str, Any]:
        for label in self.labels.values():
            if label["name"] == name:
                return label
        key = self._new_id()
        self.labels[key] = _check({"id": key, "name": name, "color": "ededed"}, "label", GIVES)
        return self.labels[key]

    def _create_label(self, request: Request) -> Answer:
        value = _check(request.json, "label!name!color", TAKES)
        return Answer(201, self._label(value["name"]))

    def _add_labels(self, request: Request, number: str) -> Answer:
        value, pull = _check(request.json, "labels", TAKES), self.pulls[int(number)]
        added = [self.labels[key] for key in value["labels"]]
        pull["labels"] += [label for label in added if label not in pull["labels"]]
        return Answer(value=pull["labels"])

    def _list_comments(self, _request: Request, number: str) -> Answer:
        """Return all comments: this list of Gitea has no pages."""
        return Answer(value=self.comments.get(int(number), []))

    def _create_comment(self, request: Request, number: str) -> Answer:
        value = _check(request.json, "comment!body", TAKES)
        return Answer(201, _check(self.say(int(number), value["body"]), "comment", GIVES))

    def _update_comment(self, request: Request, key: str) -> Answer:
        value = _check(request.json, "comment!body", TAKES)
        comments = [comment for thread in self.comments.values() for comment in thread]
        (comment,) = (comment for comment in comments if comment["id"] == int(key))
        comment |= value
        return Answer(value=comment)

    def _dispatch(self, request: Request, workflow: str) -> Answer:
        value = _check(request.json, "dispatch!ref", TAKES)
        self.dispatched.append({"workflow": workflow, **value})
        return Answer(204)

    def _shown(self, release: dict[str, Any]) -> dict[str, Any]:
        return _check({**release}, "release", GIVES)

    def _page(self, request: Request, values: list[Any], *, most: int) -> Answer:
        """Return one page, of at most *most* entries whatever the request asks for."""
        assert "per_page" not in request.query, "Gitea has `limit`"
        size, page = min(most, int(request.query["limit"])), int(request.query.get("page", 1))
        query = "&".join(f"{k}={v}" for k, v in {**request.query, "page": page + 1}.items())
        link = {"Link": f'<{self.url}{request.path}?{query}>; rel="next"'}
        has_more = len(values) > page * size
        return Answer(200, values[(page - 1) * size : page * size], link if has_more else {})

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _check(value: Any, name: str, shapes: dict[str, dict[str, Any]]) -> Any:
    """Return *value* if it has the shape *name*: a request has no other fields, a response all of them."""
    fields = shapes[name]
    required = name.split("!")[1:] if shapes is TAKES else [*fields]
    absent = [field for field in required if field not in value]
    unknown = value.keys() - fields.keys() if shapes is TAKES else ()
    wrong = [
        field for field in value.keys() & fields if not isinstance(value[field], fields[field])
    ]
    assert [*absent, *unknown, *wrong] == [], name
    return value


def _missing() -> Answer:
    return Answer(404, {"message": "The target couldn't be found.", "errors": []})
