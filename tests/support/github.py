"""A GitHub on loopback, with state: repository, pull requests, releases, assets, rate limits and faults.

Every request and response is held against GitHub's published OpenAPI description, as `githubkit` has it; GraphQL is
executed against an excerpt of GitHub's published schema. The git remote is a real bare repository behind git's own
`http-backend`.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from releasekit.integrations.process import Command, run
from tests.support.world import GIT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from pathlib import Path

SCHEMAS = "githubkit_schemas.v2022_11_28"
OPERATIONS = {
    "repos": (
        "get generate_release_notes list_releases get_release_by_tag get_release create_release update_release "
        "delete_release upload_release_asset get_release_asset delete_release_asset"
    ),
    "pulls": "list create update",
    "issues": "get_label create_label add_labels list_comments create_comment update_comment",
    "actions": "create_workflow_dispatch",
}

# An excerpt of GitHub's published GraphQL schema: what is asked for, as it stands there.
GRAPHQL = """
scalar DateTime
scalar GitObjectID
scalar URI
type Query { repository(owner: String!, name: String!, followRenames: Boolean = true): Repository }
type Repository { object(expression: String, oid: GitObjectID): GitObject }
interface GitObject { oid: GitObjectID! }
type Commit implements GitObject {
  oid: GitObjectID!
  associatedPullRequests(after: String, before: String, first: Int, last: Int): PullRequestConnection
}
type PullRequestConnection { nodes: [PullRequest] }
type PullRequest {
  number: Int!
  title: String!
  url: URI!
  mergedAt: DateTime
  headRefName: String!
  author: Actor
  labels(after: String, before: String, first: Int, last: Int): LabelConnection
  mergeCommit: Commit
}
type LabelConnection { nodes: [Label] }
type Label { name: String! }
interface Actor { login: String! }
type User implements Actor { login: String! }
type Bot implements Actor { login: String! }
"""

PROTECT_MAIN = """#!/bin/sh
[ "$1" = refs/heads/main ] || exit 0
echo "error: GH006: Protected branch update failed for refs/heads/main." >&2
echo "error: Changes must be made through a pull request." >&2
exit 1
"""
NOTE_PUSH = "#!/bin/sh\n(cut -d' ' -f3 | tr '\\n' ' '; echo) >> pushes\n"


# ---- a server -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One request, and the status that it was answered with."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int = 0

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Answer:
    """What is answered: JSON unless it is bytes; nothing at all, and the connection cut, if *cut*."""

    status: int = 200
    value: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False


@dataclass
class Fault:
    """What goes wrong with the next *times* requests that fit; *late*: only after they have had their effect."""

    method: str
    path: str
    answer: Answer
    times: int = 1
    late: bool = False


class ForgeDouble:
    """What both forges have: a server, a log of requests, faults, and a bare repository behind `http-backend`."""

    def __init__(self, directory: Path, repository: str) -> None:
        self.directory, self.repository = directory, repository
        self.bare = directory / f"{repository}.git"
        self.bare.mkdir(parents=True)
        run(
            Command(
                ("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare)),
                env=GIT,
            )
        )
        self._hook("post-receive", NOTE_PUSH)
        self.url = ""
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.wrong: list[str] = []
        self.lock = threading.Lock()
        self.passed = 0.0
        """Seconds that somebody pretends to have waited."""

    @property
    def remote(self) -> str:
        """The address that git pushes to."""
        return f"{self.url}/{self.repository}.git"

    async def pause(self, seconds: float) -> None:
        """Let time pass here, and none anywhere else."""
        self.passed += seconds

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return time.time() + self.passed

    def fail(
        self, method: str, path: str, answer: Answer, *, times: int = 1, late: bool = False
    ) -> None:
        """Answer the next requests whose path fits the regular expression with *answer*."""
        self.faults.append(Fault(method, path, answer, times, late))

    def asked(self, method: str = "", path: str = "") -> list[Request]:
        """Return the requests to the API that fit."""
        fit = (r for r in self.requests if r.method == method or not method)
        return [request for request in fit if re.search(path, request.path)]

    def pushes(self) -> list[list[str]]:
        """Return the references of each push."""
        log = self.bare / "pushes"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def git(self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run git in the bare repository."""
        who = {
            f"GIT_{role}_{what}": "ada"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        return run(
            Command(("git", *argv), cwd or self.bare, {**GIT, **who, **(env or {})})
        ).stdout.strip()

    def protect_main(self) -> None:
        """Refuse every push to main."""
        self._hook("update", PROTECT_MAIN)

    def unprotect_main(self) -> None:
        """Let everybody push to main."""
        self._hook("update", "#!/bin/sh\n")

    def _hook(self, name: str, text: str) -> None:
        path = self.bare / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def answer(self, request: Request) -> Answer:
        """Answer one request to the API."""
        raise NotImplementedError

    def handle(self, request: Request) -> Answer:
        """Answer *request*, with whatever fault is due."""
        with self.lock:
            fault = next(
                (
                    f
                    for f in self.faults
                    if f.method == request.method and re.search(f.path, request.path)
                ),
                None,
            )
            if fault:
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
            answer = self._judged(request) if fault is None or fault.late else fault.answer
            answer = fault.answer if fault else answer
            self.requests.append(replace(request, status=answer.status))
            return answer

    def _judged(self, request: Request) -> Answer:
        try:
            return self.answer(request)
        except Exception as error:  # noqa: BLE001  told when the block ends, for the client sees a 500 alone
            self.wrong.append(f"{request.method} {request.path}: {type(error).__name__} {error}")
            return Answer(500, {"message": self.wrong[-1]})

    def serve_git(self, request: Request) -> Answer:
        """Hand a request of git's on to `git http-backend` (a CGI program)."""
        env = {
            **os.environ,
            **{name: value for name, value in GIT.items() if value},
            "GIT_PROJECT_ROOT": str(self.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": "&".join(f"{key}={value}" for key, value in request.query.items()),
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "ada",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=request.body, capture_output=True, env=env, check=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return Answer(int(headers.pop("Status", "200").split()[0]), body, headers)

    @contextmanager
    def serving(self) -> Generator[ForgeDouble]:
        """Answer inside the block."""
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                parts = urlsplit(self.path)
                query = {
                    key: values[0]
                    for key, values in parse_qs(parts.query, keep_blank_values=True).items()
                }
                request = Request(
                    self.command, parts.path, query, dict(self.headers.items()), self._body()
                )
                git = parts.path.startswith(f"/{double.repository}.git/")
                answer = double.serve_git(request) if git else double.handle(request)
                if answer.cut:
                    self.close_connection = True
                    return
                raw = (
                    answer.value
                    if isinstance(answer.value, bytes)
                    else json.dumps(answer.value).encode()
                )
                if answer.value is None:
                    raw = b""
                self.send_response(answer.status)
                for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts: list[bytes] = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _do  # noqa: N815  as http.server has it

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that it has
                """Keep standard error for the program."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
        assert not self.wrong, self.wrong


# ---- GitHub's own description -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """An operation as GitHub describes it: *takes* and *gives* are its models, *query* the names it knows."""

    name: str
    method: str
    path: re.Pattern[str]
    query: frozenset[str]
    takes: Any
    known: frozenset[str]
    gives: Any


@cache
def operations() -> tuple[Operation, ...]:
    """Return the operations that the double has."""
    found: list[Operation] = []
    for area, names in OPERATIONS.items():
        module = importlib.import_module(f"{SCHEMAS}.rest.{area}")
        client = getattr(module, f"{area.capitalize()}Client")
        found += [
            _operation(f"{area}.{name}", inspect.getsource(getattr(client, name)))
            for name in names.split()
        ]
    return tuple(found)


def _operation(name: str, source: str) -> Operation:
    method, path = re.findall(r"^ +(GET|POST|PUT|PATCH|DELETE) (/\S+)$", source, re.MULTILINE)[0]
    pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
    params = re.search(r"params = \{(.*?)\}", source, re.DOTALL)
    takes = re.search(r"type_validate_python\((.*?), json\b", source, re.DOTALL)
    gives = re.search(r"response_model=(.*),$", source, re.MULTILINE)
    accepted = _models(takes[1]) if takes else ()
    return Operation(
        name,
        method,
        pattern,
        frozenset(re.findall(r'"(\w+)":', params[1]) if params else ()),
        _adapter(accepted) if takes else None,
        frozenset(f.alias or key for model in accepted for key, f in model.model_fields.items()),
        _adapter(_models(gives[1]), is_list=gives[1].startswith("list[")) if gives else None,
    )


def _models(written: str) -> tuple[type[BaseModel], ...]:
    models = importlib.import_module(f"{SCHEMAS}.models")
    return tuple(getattr(models, name) for name in re.findall(r"\b(?!Union\b)[A-Z]\w+", written))


def _adapter(models: tuple[type[BaseModel], ...], *, is_list: bool = False) -> TypeAdapter[Any]:
    union: Any = Union
    one: Any = union[models]
    many: Any = list
    return TypeAdapter(many[one] if is_list else one)


@cache
def _schema() -> Any:
    import graphql

    return graphql.build_schema(GRAPHQL)


def example(model: str, **known: Any) -> dict[str, Any]:
    """Return the JSON of GitHub's *model* with what is *known*; all else that it must have is made up."""
    (found,) = _models(model)
    unknown = known.keys() - {f.alias or key for key, f in found.model_fields.items()}
    assert not unknown, f"{model} has no {unknown}"
    return _made_up(found) | known


def _made_up(kind: Any) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if NoneType in args else _made_up(args[0])
    if origin is Literal:
        return args[0]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {
            f.alias or key: _made_up(f.annotation)
            for key, f in kind.model_fields.items()
            if f.is_required()
        }
    plain: dict[Any, Any] = {
        NoneType: None,
        str: "x",
        int: 1,
        float: 1.0,
        bool: False,
        datetime: "2026-01-01T00:00:00Z",
        list: [],
    }
    return plain.get(origin or kind, {})


# ---- GitHub -------------------------------------------------------------------------------------------------------

WRITER, READER = "ghp_writer", "ghp_reader"


class GitHubDouble(ForgeDouble):
    """GitHub with one repository. It enforces the documented secondary limits: points and new contents a minute."""

    points_a_minute = 900
    contents_a_minute = 80
    releases_a_page = 100

    def __init__(self, directory: Path, repository: str = "ada/engine") -> None:
        super().__init__(directory, repository)
        self.releases: dict[int, dict[str, Any]] = {}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.pull_of: dict[str, int] = {}
        self.labels: dict[str, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.assets: dict[int, bytes] = {}
        self.dispatched: list[tuple[str, dict[str, Any]]] = []
        self.remaining = 5000
        self.limited = 0
        self._points: deque[tuple[float, int, int]] = deque()
        self._last = 0

    # ---- what is not the API

    def pull(
        self,
        title: str,
        branch: str,
        *,
        author: str = "bob",
        bot: bool = False,
        labels: Iterable[str] = (),
    ) -> int:
        """Make a pull request of *branch* into main, as somebody does on the web."""
        number = self._number()
        user = example("SimpleUser", login=author, type="Bot" if bot else "User")
        page = f"{self.url}/{self.repository}/pull/{number}"
        head = {
            **example("PullRequestPropHead"),
            "ref": branch,
            "label": f"{self.repository.split('/')[0]}:{branch}",
        }
        self.pulls[number] = {
            "number": number, "title": title, "body": None, "state": "open", "user": user, "html_url": page,
            "labels": [example("PullRequestSimplePropLabelsItems", name=name) for name in labels],
            "head": head, "base": {**example("PullRequestPropBase"), "ref": "main"},
            "merged_at": None, "merge_commit_sha": None, "updated_at": self._time(),
        }  # fmt: skip
        return number

    def merge(self, number: int, how: Literal["merge", "squash", "rebase"] = "merge") -> str:
        """Merge the pull request as the button of that name does; returns the commit that main is at then."""
        pull = self._with_head(self.pulls[number])
        branch = pull["head"]["ref"]
        own = self.git("rev-list", "--reverse", f"main..{branch}").split()
        with tempfile.TemporaryDirectory() as scratch:
            tree = self.directory / scratch
            self.git("worktree", "add", "--quiet", "--detach", str(tree), "main")
            if how == "merge":
                self.git(
                    "merge",
                    "--quiet",
                    "--no-ff",
                    "-m",
                    f"Merge pull request #{number} from {branch}",
                    branch,
                    cwd=tree,
                )
            elif how == "squash":
                self.git("merge", "--quiet", "--squash", branch, cwd=tree)
                self.git("commit", "--quiet", "-m", f"{pull['title']} (#{number})", cwd=tree)
            else:
                self.git("cherry-pick", *own, cwd=tree)
            landed = self.git(
                "rev-list", "--first-parent" if how != "merge" else "--all", "main..HEAD", cwd=tree
            ).split()
            commit = self.git("rev-parse", "HEAD", cwd=tree)
            self.git("worktree", "remove", "--force", str(tree))
        self.git("update-ref", "refs/heads/main", commit)
        pull |= {
            "state": "closed",
            "merged_at": self._time(),
            "merge_commit_sha": commit,
            "updated_at": self._time(),
        }
        self.pull_of |= dict.fromkeys([*own, *landed, commit], number)
        return commit

    # ---- the API

    def answer(self, request: Request) -> Answer:  # noqa: PLR0911  as many as there are reasons
        """Answer as GitHub does, and refuse to answer what it has never said that it would."""
        if request.path.startswith("/storage/"):  # another host, in truth
            return Answer(value=self.assets[int(request.path.rpartition("/")[2])])
        access = {f"Bearer {WRITER}": "write", f"Bearer {READER}": "read"}.get(
            request.headers.get("Authorization", "")
        )
        if access is None:
            return Answer(401, example("BasicError", message="Bad credentials"))
        if limited := self._limit(request):
            return limited
        assert request.headers.get("X-GitHub-Api-Version") == SCHEMAS.rpartition(".v")[2].replace(
            "_", "-"
        )
        if request.path == "/api/graphql":
            return self._graphql(request)
        path = re.sub(r"^/api/(v3|uploads)", "", request.path)
        operation, parts = self._route(request.method, path)
        if (parts.get("owner"), parts.get("repo")) != tuple(self.repository.split("/")):
            return Answer(404, example("BasicError", message="Not Found"))
        if request.method != "GET" and access == "read":
            return Answer(
                403,
                example("BasicError", message="Resource not accessible by personal access token"),
            )
        self._check_request(operation, request)
        handler: Callable[..., Answer] = getattr(self, f"_{operation.name.replace('.', '_')}")
        answer = handler(
            request, **{key: value for key, value in parts.items() if key not in ("owner", "repo")}
        )
        # An asset's bytes are elsewhere, and led to by a 302.
        if answer.status < 300 and operation.gives:
            operation.gives.validate_python(answer.value)
        return self._with_etag(request, answer)

    def _route(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        for operation in operations():
            found = operation.path.fullmatch(path)
            # More than one may fit: /releases/{id} and /releases/tags/{tag} do not, for {id} is one part.
            if found and operation.method == method:
                return operation, {key: unquote(value) for key, value in found.groupdict().items()}
        raise AssertionError(f"{method} {path} is no operation that the double has")

    def _check_request(self, operation: Operation, request: Request) -> None:
        unknown = request.query.keys() - operation.query
        assert not unknown, f"{operation.name} knows no {unknown}"
        if operation.takes:
            value = request.json
            assert not isinstance(value, dict) or value.keys() <= operation.known, (
                f"{operation.name}: {value.keys()}"
            )
            try:
                operation.takes.validate_python(value)
            except ValidationError as error:
                raise AssertionError(f"{operation.name}: {error}") from None

    def _limit(self, request: Request) -> Answer | None:
        """Refuse beyond the primary limit and the documented secondary ones."""
        now = self.now()
        while self._points and self._points[0][0] < now - 60:
            self._points.popleft()
        cost = 1 if request.method == "GET" or request.path.endswith("graphql") else 5
        content = int(
            request.method == "POST" and not request.path.endswith(("graphql", "generate-notes"))
        )
        headers = {
            "x-ratelimit-limit": "5000",
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": "1",
        }
        headers["x-ratelimit-reset"] = str(int(now) + 3)
        if not self.remaining:
            self.limited += 1
            self.remaining = 5000  # as it is after the reset
            return Answer(
                403,
                example("BasicError", message="API rate limit exceeded for user ID 1."),
                headers,
            )
        points, contents = (sum(entry[n] for entry in self._points) for n in (1, 2))
        if points + cost > self.points_a_minute or contents + content > self.contents_a_minute:
            self.limited += 1
            what = example("BasicError", message="You have exceeded a secondary rate limit.")
            return Answer(
                403, what, {**headers, "x-ratelimit-remaining": "4000", "retry-after": "61"}
            )
        self._points.append((now, cost, content))
        self.remaining -= 1
        return None

    def _with_etag(self, request: Request, answer: Answer) -> Answer:
        if request.method != "GET" or answer.status != 200:
            return answer
        tag = f'W/"{hashlib.sha256(json.dumps(answer.value).encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            self.remaining += 1
            return Answer(304, None, {"ETag": tag})
        return Answer(200, answer.value, {**answer.headers, "ETag": tag})

    def _repos_get(self, _request: Request) -> Answer:
        owner, name = self.repository.split("/")
        return Answer(value=example("FullRepository", name=name, full_name=f"{owner}/{name}"))

    def _repos_generate_release_notes(self, request: Request) -> Answer:
        return Answer(
            value=example("ReleaseNotesContent", name=request.json["tag_name"], body="notes")
        )

    def _repos_list_releases(self, request: Request) -> Answer:
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        size = min(size, self.releases_a_page)
        newest = sorted(self.releases.values(), key=lambda release: -release["id"])
        link = f'<{self.url}{request.path}?per_page={size}&page={page + 1}>; rel="next"'
        more = {"Link": link} if len(newest) > page * size else {}
        return Answer(200, newest[(page - 1) * size : page * size], more)

    def _repos_get_release_by_tag(self, _request: Request, tag: str) -> Answer:
        there = (
            each for each in self.releases.values() if each["tag_name"] == tag and not each["draft"]
        )
        found = next(there, None)
        return Answer(value=found) if found else self._missing()

    def _repos_get_release(self, _request: Request, release_id: str) -> Answer:
        found = self.releases.get(int(release_id))
        return Answer(value=found) if found else self._missing()

    def _repos_create_release(self, request: Request) -> Answer:
        value = request.json
        if any(
            each["tag_name"] == value["tag_name"] and not each["draft"]
            for each in self.releases.values()
        ):
            return self._invalid("Release", "tag_name", "already_exists")
        if len(value.get("body", "")) > 125_000:
            return self._invalid(
                "Release", "body", "custom", "body is too long (maximum is 125000 characters)"
            )
        if not value.get("draft"):
            self._make_tag(value["tag_name"], value.get("target_commitish", "main"))
        key = self._number()
        upload = (
            f"{self.url}/api/uploads/repos/{self.repository}/releases/{key}/assets{{?name,label}}"
        )
        known = {name: value[name] for name in ("tag_name", "name", "body") if name in value}
        self.releases[key] = example(
            "Release", id=key, **known, draft=value.get("draft", False), prerelease=value.get("prerelease", False),
            target_commitish=value.get("target_commitish", "main"), assets=[], upload_url=upload,
            html_url=f"{self.url}/{self.repository}/releases/tag/{value['tag_name']}",
        )  # fmt: skip
        return Answer(201, self.releases[key])

    def _repos_update_release(self, request: Request, release_id: str) -> Answer:
        release = self.releases.get(int(release_id))
        if release is None:
            return self._missing()
        if release["draft"] and request.json.get("draft") is False:
            self._make_tag(release["tag_name"], release["target_commitish"])
        release |= request.json
        return Answer(value=release)

    def _repos_delete_release(self, _request: Request, release_id: str) -> Answer:
        return Answer(204) if self.releases.pop(int(release_id), None) else self._missing()

    def _repos_upload_release_asset(self, request: Request, release_id: str) -> Answer:
        assert request.path.startswith("/api/uploads/"), (
            "assets go to the address that the release names"
        )
        release, name = self.releases[int(release_id)], request.query["name"]
        if any(asset["name"] == name for asset in release["assets"]):
            return self._invalid("ReleaseAsset", "name", "already_exists")
        key = self._number()
        digest = f"sha256:{hashlib.sha256(request.body).hexdigest()}"
        made = example(
            "ReleaseAsset",
            id=key,
            name=name,
            state="uploaded",
            size=len(request.body),
            digest=digest,
        )
        release["assets"].append(made)
        self.assets[key] = request.body
        return Answer(201, made)

    def _repos_get_release_asset(self, request: Request, asset_id: str) -> Answer:
        assert request.headers["Accept"] == "application/octet-stream", (
            "else it is about the file, and not the file"
        )
        return Answer(302, None, {"Location": f"{self.url}/storage/{asset_id}"})

    def _repos_delete_release_asset(self, _request: Request, asset_id: str) -> Answer:
        for release in self.releases.values():
            release["assets"] = [
                asset for asset in release["assets"] if asset["id"] != int(asset_id)
            ]
        return Answer(204) if self.assets.pop(int(asset_id), None) is not None else self._missing()

    def _pulls_list(self, request: Request) -> Answer:
        query = request.query
        found = [
            example("PullRequestSimple", **pull)
            for pull in self.pulls.values()
            if query.get("state", "open") in (self._with_head(pull)["state"], "all")
            and query.get("base", "main") == pull["base"]["ref"]
            and query.get("head", pull["head"]["label"]) == pull["head"]["label"]
        ]
        return Answer(value=found)

    def _pulls_create(self, request: Request) -> Answer:
        value = request.json
        if any(
            p["head"]["ref"] == value["head"] and p["state"] == "open" for p in self.pulls.values()
        ):
            return self._invalid(
                "PullRequest", "head", "custom", "A pull request already exists for it."
            )
        if not self.git("for-each-ref", f"refs/heads/{value['head']}"):
            return self._invalid("PullRequest", "head", "invalid")
        if len(value.get("body", "")) > 65_536:
            return self._invalid(
                "PullRequest", "body", "custom", "body is too long (maximum is 65536 characters)"
            )
        number = self.pull(value["title"], value["head"], author="ada")
        self.pulls[number]["body"] = value.get("body")
        return Answer(201, example("PullRequest", **self._with_head(self.pulls[number])))

    def _pulls_update(self, request: Request, pull_number: str) -> Answer:
        self.pulls[int(pull_number)] |= request.json
        return Answer(value=example("PullRequest", **self._with_head(self.pulls[int(pull_number)])))

    def _with_head(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Bring an open pull request to where its branch is; one without a branch is closed, as GitHub does it."""
        if pull["state"] == "open":
            tip = self.git(
                "for-each-ref", "--format=%(objectname)", f"refs/heads/{pull['head']['ref']}"
            )
            pull |= {
                "head": {**pull["head"], "sha": tip or pull["head"]["sha"]},
                "state": "open" if tip else "closed",
            }
        return pull

    def _issues_get_label(self, _request: Request, name: str) -> Answer:
        return Answer(value=self.labels[name]) if name in self.labels else self._missing()

    def _issues_create_label(self, request: Request) -> Answer:
        name = request.json["name"]
        if name in self.labels:
            return self._invalid("Label", "name", "already_exists")
        self.labels[name] = example("Label", name=name)
        return Answer(201, self.labels[name])

    def _issues_add_labels(self, request: Request, issue_number: str) -> Answer:
        pull = self.pulls[int(issue_number)]
        for name in request.json["labels"]:
            assert name in self.labels, "a label is made before it is used"
            pull["labels"].append(example("PullRequestSimplePropLabelsItems", name=name))
        return Answer(
            value=[
                self.labels[label["name"]]
                for label in pull["labels"]
                if label["name"] in self.labels
            ]
        )

    def _issues_list_comments(self, request: Request, issue_number: str) -> Answer:
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        there = self.comments.get(int(issue_number), [])
        link = f'<{self.url}{request.path}?per_page={size}&page={page + 1}>; rel="next"'
        return Answer(
            200,
            there[(page - 1) * size : page * size],
            {"Link": link} if len(there) > page * size else {},
        )

    def _issues_create_comment(self, request: Request, issue_number: str) -> Answer:
        return Answer(201, self.say(int(issue_number), request.json["body"]))

    def say(self, number: int, body: str) -> dict[str, Any]:
        """Comment on a pull request, as somebody does."""
        assert len(body) <= 65_536, "body is too long (maximum is 65536 characters)"
        key = self._number()
        page = f"{self.url}/{self.repository}/pull/{number}#issuecomment-{key}"
        made = example("IssueComment", id=key, body=body, html_url=page)
        self.comments.setdefault(number, []).append(made)
        return made

    def _issues_update_comment(self, request: Request, comment_id: str) -> Answer:
        (found,) = (
            each
            for those in self.comments.values()
            for each in those
            if each["id"] == int(comment_id)
        )
        found |= request.json
        return Answer(value=found)

    def _actions_create_workflow_dispatch(self, request: Request, workflow_id: str) -> Answer:
        self.dispatched.append((workflow_id, request.json))
        return Answer(204)

    def _graphql(self, request: Request) -> Answer:
        import graphql

        def actor(pull: dict[str, Any]) -> dict[str, Any]:
            return {"__typename": pull["user"]["type"], "login": pull["user"]["login"]}

        def commit(_info: object, oid: str) -> dict[str, Any] | None:
            pull = self.pulls.get(self.pull_of.get(oid, 0))
            nodes = [] if pull is None else [{
                "number": pull["number"], "title": pull["title"], "url": pull["html_url"],
                "mergedAt": pull["merged_at"], "headRefName": pull["head"]["ref"], "author": actor(pull),
                "labels": {"nodes": pull["labels"]}, "mergeCommit": {"oid": pull["merge_commit_sha"]},
            }]  # fmt: skip
            return {"__typename": "Commit", "oid": oid, "associatedPullRequests": {"nodes": nodes}}

        def repository(_info: object, **_: str) -> dict[str, Any]:
            return {"object": commit}

        asked = request.json
        root = {"repository": repository}
        execute: Any = getattr(graphql, "graphql_sync")  # noqa: B009  its own type is not wholly known
        done = execute(_schema(), asked["query"], root, variable_values=asked["variables"])
        assert not done.errors, done.errors
        return Answer(value=done.formatted)

    def _make_tag(self, tag: str, commit: str) -> None:
        if not self.git("for-each-ref", f"refs/tags/{tag}"):
            self.git("tag", tag, commit)

    def _missing(self) -> Answer:
        return Answer(404, example("BasicError", message="Not Found"))

    def _invalid(self, resource: str, what: str, code: str, message: str = "") -> Answer:
        errors = [
            {
                "resource": resource,
                "field": what,
                "code": code,
                **({"message": message} if message else {}),
            }
        ]
        return Answer(422, example("ValidationError", message="Validation Failed", errors=errors))

    def _number(self) -> int:
        self._last += 1
        return self._last

    def _time(self) -> str:
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
