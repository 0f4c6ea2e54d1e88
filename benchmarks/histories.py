"""How many decisions of maintainers `releasekit plan` makes too, on rebuilt histories of public workspaces.

`python benchmarks/histories.py FOLDER --make make_history.py` reads each shape (`*.json`) in FOLDER: the facts of one
history, and what was released at each of its last release points. For each point the maker rebuilds the repository as
it was just before the release. An index on this machine has the versions that were published before it. Then the script
runs `releasekit init --yes`, makes the edits of `HAND_EDITS`, commits, runs `releasekit plan`, and compares.

`--list` prints each difference with its class, `--json` all of them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import tomlkit
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from releasekit.cli.app import main as releasekit  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

    Shape = Mapping[str, Any]
    Facts = Mapping[str, Any]
    Published = Mapping[str, Mapping[str, Sequence[str]]]

WORKERS = 2
NICENESS = 10
RELEASING = frozenset(("feat", "fix", "perf", "revert"))
"""The types of commits that trigger a release without any configuration."""


@dataclass(frozen=True, slots=True)
class HandEdit:
    """Keys that the maintainer adds to `[tool.releasekit]` in *directory* after `init`, and why."""

    keys: Mapping[str, object]
    reason: str
    directory: str = ""


HAND_EDITS: dict[str, tuple[HandEdit, ...]] = {}
"""The edits that a workspace needs beyond `init --yes`, by the name of its shape."""


# ---- the truth ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """What the commits since a package's last release contain: all of them, those with a type, and which trigger."""

    commits: int = 0
    typed: int = 0
    releasing: int = 0
    minor: bool = False
    breaking: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """One package just before a release point.

    *last* is its last release, None if it has none. *declared* is the version in its file, None if the version comes
    from tags. *released* is what the maintainers released at this point, None if they left it.
    """

    name: str
    last: Version | None = None
    declared: Version | None = None
    released: Version | None = None
    work: Work = Work()
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Point:
    """One release point: its *packages*, and the requirements of all versions *published* before, by package."""

    number: int
    packages: Mapping[str, Package]
    published: Published

    @property
    def released(self) -> dict[str, Version]:
        """What the maintainers released."""
        return {
            name: package.released for name, package in self.packages.items() if package.released
        }


def read_points(shape: Shape) -> list[Point]:
    """Return the release points of *shape*, in their order."""
    history = History(shape)
    return [history.point(number) for number in range(len(shape["releases"]))]


@dataclass(frozen=True, slots=True)
class TaggedRelease:
    """A release that a tag names, and the facts at the tag. *is_reachable*: whether the branch has its commit."""

    tag: str
    date: int
    is_reachable: bool
    version: Version
    facts: Facts


class History:
    """The facts of a shape, by commit."""

    def __init__(self, shape: Shape) -> None:
        """Replay the changes of the facts."""
        self.shape = shape
        self.states: list[dict[int, Facts]] = _replay(shape)
        self.tagged: dict[str, list[TaggedRelease]] = self._find_tagged()

    def point(self, number: int) -> Point:
        """Return the release point *number*."""
        release = self.shape["releases"][number]
        before: int = release["before"]
        released: dict[str, Version] = {
            canonicalize_name(name): Version(version)
            for name, (version, _) in release["released"].items()
        }
        packages: dict[str, Package] = {}
        published: dict[str, dict[str, tuple[str, ...]]] = {}
        for member, facts in self.states[before].items():
            name = _name(facts)
            if not name or not (facts.get("b") or name in released):
                continue
            last, since = self._last_release(number, member, name, released.get(name))
            work = self._work(member, since, before)
            needs = frozenset(_needs(facts))
            packages[name] = Package(name, last, _declared(facts), released.get(name), work, needs)
            if last is not None:
                published[name] = self._published(number, member, name, last)
        return Point(number, packages, published)

    def _find_tagged(self) -> dict[str, list[TaggedRelease]]:
        """Return the releases that tags name, by package.

        A tag without a name belongs to a package with a dynamic version that was released by such tags.
        """
        bare_owners: set[str] = set()
        for release in self.shape["releases"]:
            bare_owners.update(
                canonicalize_name(name)
                for name, (_, how) in release["released"].items()
                if how == "r"
            )
        found: dict[str, list[TaggedRelease]] = {}
        for tag, date, state, is_reachable in self._tags():
            by_name = {_name(facts): facts for facts in state.values() if _name(facts)}
            owners = [
                (name, version)
                for name in by_name
                if (version := _tag_version(tag, name)) is not None
            ]
            bare = _version(tag)
            if bare is not None:
                owners += [(name, bare) for name in bare_owners & by_name.keys()]
            for name, version in owners:
                found.setdefault(name, []).append(
                    TaggedRelease(tag, date, is_reachable, version, by_name[name])
                )
        return found

    def _tags(self) -> Iterable[tuple[str, int, Mapping[int, Facts], bool]]:
        """Yield all tags with their dates, the facts that are declared there, and whether they are on the branch."""
        state: dict[int, Facts] = {}
        for date, names, groups in self.shape["old"]:
            state = _apply(state, groups)
            for tag in names:
                yield tag, date, state, True
        for tag, index, *_ in self.shape["tags"]:
            yield tag, self.shape["commits"][index]["d"], self.states[int(index)], True
        for index, date, names, groups in self.shape["side"]:
            for tag in names:
                yield tag, date, _apply(self.states[int(index)], groups), False

    def _last_release(
        self, number: int, member: int, name: str, released: Version | None
    ) -> tuple[Version | None, int]:
        """Return the last release of a package before the point *number*, and the index of its commit.

        If the version comes from tags, tags on other branches count only if there is none on this one.
        """
        releases = self.shape["releases"]
        before: int = releases[number]["before"]
        is_dynamic = _declared(self.states[before][member]) is None
        candidates: dict[Version, int] = {}
        if is_dynamic or self._is_tagged_package(name):
            releases_with_tag = self._tagged_before(number, name)
            reachable = [tagged for tagged in releases_with_tag if tagged.is_reachable]
            for tagged in reachable if is_dynamic and reachable else releases_with_tag:
                candidates[tagged.version] = self._index_at(tagged.date)
        for earlier in releases[:number]:
            for other, (version, _) in earlier["released"].items():
                if canonicalize_name(other) == name:
                    candidates[Version(version)] = earlier["at"]
        earlier_versions = [
            version for version in candidates if released is None or version < released
        ]
        if not earlier_versions:
            return self._last_declared(number, member, name)
        last = max(earlier_versions)
        return last, candidates[last]

    def _tagged_before(self, number: int, name: str) -> list[TaggedRelease]:
        """Return the releases of a package that have a tag just before the point *number*."""
        releases = self.shape["releases"]
        date = self.shape["commits"][releases[number]["before"]]["d"]
        later = {tag for release in releases[number:] for tag in release["tags"]}
        return [
            release
            for release in self.tagged.get(name, ())
            if release.date <= date and release.tag not in later
        ]

    def _is_tagged_package(self, name: str) -> bool:
        """Return whether tags name the package's releases in the window."""
        for release in self.shape["releases"]:
            for other, (_, how) in release["released"].items():
                if canonicalize_name(other) == name and "t" in how:
                    return True
        return False

    def _last_declared(self, number: int, member: int, name: str) -> tuple[Version | None, int]:
        """Return the last declared version that was not to be released at this point or later, and its first commit.

        A package whose version never changed, and that was never released, has no release.
        """
        later = self._later_release(number, name)
        index: int = self.shape["releases"][number]["before"]
        versions = [
            _declared(state[member]) if member in state else None
            for state in self.states[: index + 1]
        ]
        distinct = {version for version in versions if version is not None}
        if later is None and len(distinct) < 2 and name not in self.tagged:  # noqa: PLR2004
            return None, -1
        while index >= 0 and (versions[index] is None or versions[index] == later):
            index -= 1
        if index < 0:
            return None, -1
        last = versions[index]
        while index > 0 and versions[index - 1] == last:
            index -= 1
        return last, index

    def _later_release(self, number: int, name: str) -> Version | None:
        """Return the first version of a package that is released at the point *number* or later."""
        for release in self.shape["releases"][number:]:
            for other, (version, _) in release["released"].items():
                if canonicalize_name(other) == name:
                    return Version(version)
        return None

    def _index_at(self, date: int) -> int:
        """Return the index of the last commit at *date* or before."""
        dates = [commit["d"] for commit in self.shape["commits"]]
        return max((index for index, when in enumerate(dates) if when <= date), default=-1)

    def _work(self, member: int, since: int, before: int) -> Work:
        """Return what the commits after *since* up to *before* contain for a member."""
        touching = [
            commit
            for commit in self.shape["commits"][since + 1 : before + 1]
            if _touches(commit, member)
        ]
        typed = [commit for commit in touching if "k" in commit]
        breaking = [commit for commit in typed if commit.get("b")]
        releasing = [
            commit for commit in typed if commit["k"].lower() in RELEASING or commit in breaking
        ]
        minor = any(commit["k"].lower() == "feat" for commit in typed)
        return Work(len(touching), len(typed), len(releasing), minor, bool(breaking))

    def _published(
        self, number: int, member: int, name: str, last: Version
    ) -> dict[str, tuple[str, ...]]:
        """Return the requirements of each version of a package that an index has before the point *number*."""
        before: int = self.shape["releases"][number]["before"]
        date = self.shape["commits"][before]["d"]
        versions: dict[Version, Facts] = {}
        for index, state in enumerate(self.states[: before + 1]):
            declared = _declared(state[member]) if member in state else None
            if declared is not None and declared <= last and not declared.is_devrelease:
                versions.setdefault(declared, self.states[index][member])
        for release in self._tagged_before(number, name):
            versions.setdefault(release.version, release.facts)
        for index, when, _, groups in self.shape["side"]:
            facts = _apply(self.states[int(index)], groups).get(member)
            declared = _declared(facts) if facts and when <= date else None
            if facts and declared is not None:
                versions.setdefault(declared, facts)
        versions.setdefault(last, self.states[before][member])
        return {
            str(version): _requirements(facts, version)
            for version, facts in sorted(versions.items())
            if not version.local
        }


def _replay(shape: Shape) -> list[dict[int, Facts]]:
    """Return the facts of all members after each commit."""
    states: list[dict[int, Facts]] = []
    state: dict[int, Facts] = {}
    for commit in shape["commits"]:
        state = _apply(state, commit.get("f", ()))
        states.append(state)
    return states


def _apply(state: Mapping[int, Facts], groups: Iterable[Any]) -> dict[int, Facts]:
    """Return *state* after the changes of *groups*; null removes a fact, or a member."""
    after = dict(state)
    for members, delta in groups:
        for member in members:
            if delta is None:
                after.pop(member, None)
                continue
            merged = {**after.get(member, {}), **delta}
            after[member] = {key: value for key, value in merged.items() if value is not None}
    return after


def _name(facts: Facts) -> str:
    return canonicalize_name(facts["n"]) if facts.get("n") else ""


def _declared(facts: Facts) -> Version | None:
    """Return the version that a file declares, None if there is none or it comes from tags."""
    is_dynamic = "version" in (facts.get("dyn") or ()) and not facts.get("vf")
    return None if is_dynamic else _version(facts.get("v") or "")


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _tag_version(tag: str, name: str) -> Version | None:
    """Return the version in a *tag* of the package *name*; None for other tags."""
    match = re.fullmatch(r"(?P<name>.*[A-Za-z][\w.]*?)(-v|==|@v|@|/v|/|_v|-)(?P<version>\d.*)", tag)
    if match is None or canonicalize_name(match["name"].rpartition("/")[2]) != name:
        return None
    return _version(match["version"])


def _requirements(facts: Facts, version: Version) -> tuple[str, ...]:
    """Return the requirements of one release, as its metadata has them."""
    hook: Facts = facts.get("hook") or {}
    plain: list[str] = [*(facts.get("dep") or ()), *(hook.get("dependencies") or ())]
    extras: dict[str, list[str]] = {
        **(facts.get("opt") or {}),
        **(hook.get("optional-dependencies") or {}),
    }
    for extra, texts in extras.items():
        for text in texts:
            requirement, _, marker = text.partition(";")
            condition = (
                f'({marker.strip()}) and extra == "{extra}"' if marker else f'extra == "{extra}"'
            )
            plain.append(f"{requirement.strip()} ; {condition}")
    return tuple(text.replace("{{ version }}", str(version)) for text in plain)


def _needs(facts: Facts) -> Iterable[str]:
    """Yield the names of the packages that a package requires."""
    for text in facts.get("dep") or ():
        match = re.match(r"[A-Za-z0-9][\w.-]*", text.strip())
        if match:
            yield canonicalize_name(match[0])


def _touches(commit: Facts, member: int) -> bool:
    if commit.get("rel") == 1:
        return False
    numbers = {text.rstrip("tdnkg") for text in map(str, commit.get("t", ()))}
    return str(member) in numbers or any(member in members for members, _ in commit.get("f", ()))


# ---- the comparison -------------------------------------------------------------------------------------------------


HELD_BACK = "held back"
LARGER, SMALLER = "maintainers chose a larger bump", "maintainers chose a smaller bump"
PRERELEASE = "prerelease decided by hand"
LEFT_TOGETHER = "released with others by the plan"
NEEDED, TOGETHER, ALONE = (
    "untouched, a requirement was released",
    "untouched, released with others",
    "untouched, released alone",
)
PROMOTED = "promoted by the plan without being asked"
DECISIONS = frozenset((HELD_BACK, LARGER, SMALLER, PRERELEASE, TOGETHER, ALONE))
"""Classes of differences that only the maintainers decide: no fact of the history says it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a plan says about a package: its last release, the next version (None: it is not released), and why."""

    last: Version | None
    next: Version | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One package at one release point: what the maintainers did, what the plan says, and how they differ.

    *verdict* is "right", "missing", "extra", "other version" or "no plan"; *kind* is the class of the difference.
    """

    point: int
    package: str
    last: str
    planned_last: str
    released: str
    planned: str
    verdict: str
    kind: str = ""
    reason: str = ""

    @property
    def is_baseline_right(self) -> bool:
        """Whether the plan knows the last release."""
        return self.last == self.planned_last


def read_plan(document: Mapping[str, Any]) -> dict[str, Decision]:
    """Return the decisions in the output of `plan --format json`, by package."""
    decisions: dict[str, Decision] = {}
    for step in document["packages"]:
        is_released = step["status"] in ("included", "dependency_only")
        is_first = step["bump"] == "first" or step["status"] == "excluded"
        last = None if is_first or not step["current"] else Version(step["current"])
        following = Version(step["next"]) if is_released and step["next"] else None
        decisions[canonicalize_name(step["name"])] = Decision(last, following, step["reason"])
    return decisions


def compare(point: Point, plan: Mapping[str, Decision] | None, failure: str = "") -> list[Outcome]:
    """Return how *plan* differs from what was released at *point*, for each package.

    Without a plan nothing is right; *failure* says why there is none.
    """
    outcomes: list[Outcome] = []
    for name, package in sorted(point.packages.items()):
        decision = (plan or {}).get(name, Decision(None, None))
        verdict = "no plan" if plan is None else _verdict(package.released, decision.next)
        kind = "" if verdict == "right" else failure or classify(point, package, decision)
        last, planned_last = _text(package.last), _text(decision.last)
        released, planned = _text(package.released), _text(decision.next)
        outcomes.append(
            Outcome(
                point.number,
                name,
                last,
                planned_last,
                released,
                planned,
                verdict,
                kind,
                decision.reason,
            )
        )
    return outcomes


def _text(version: Version | None) -> str:
    return "" if version is None else str(version)


def _verdict(released: Version | None, planned: Version | None) -> str:
    if released == planned:
        return "right"
    if planned is None:
        return "missing"
    return "extra" if released is None else "other version"


def classify(point: Point, package: Package, decision: Decision) -> str:
    """Return the class of a difference: what the facts say about it. The first rule that fits decides."""
    if decision.last != package.last:
        return "baseline wrong"
    if package.released is None:
        return _classify_extra(package, decision.next)
    if decision.next is None:
        return _classify_missing(point, package)
    return _classify_version(point, package, decision.next)


def _classify_extra(package: Package, planned: Version | None) -> str:
    """Return why the plan releases a package that the maintainers left."""
    if package.last is None:
        return "first release of a package that stays unpublished"
    if is_promotion(package.last, planned):
        return PROMOTED
    if package.declared is not None and package.declared > package.last:
        return "version written by hand, released later"
    return HELD_BACK if package.work.commits else LEFT_TOGETHER


def _classify_missing(point: Point, package: Package) -> str:
    """Return why the plan leaves a package that the maintainers released."""
    work = package.work
    if package.last is None:
        return "first release, left by the plan"
    if work.releasing:
        return "left in spite of commits that trigger a release"
    if work.typed:
        return "commits whose types trigger no release"
    return "commits without a type" if work.commits else _classify_untouched(point, package)


def _classify_untouched(point: Point, package: Package) -> str:
    """Return why the maintainers released a package without commits."""
    twins = find_twins(point, package)
    if twins:
        triggered = any(twin.work.releasing for twin in twins)
        return (
            "lockstep that the plan does not know"
            if triggered
            else "lockstep with commits without a type"
        )
    if package.needs & point.released.keys():
        return NEEDED
    return TOGETHER if len(point.released) > 1 else ALONE


def _classify_version(point: Point, package: Package, planned: Version) -> str:
    """Return why the maintainers chose another version than the plan."""
    released = package.released
    assert released is not None  # noqa: S101  the caller has checked it
    if package.last is None:
        return "first release at another version"
    if released.is_prerelease and is_promotion(package.last, planned):
        return PROMOTED
    if released.is_prerelease != planned.is_prerelease:
        return PRERELEASE
    if package.declared == released:
        return "version written by hand, not used"
    if find_twins(point, package):
        return "lockstep: another package decides the bump"
    return LARGER if released > planned else SMALLER


def is_promotion(last: Version, planned: Version | None) -> bool:
    """Return whether *planned* makes the prerelease *last* stable."""
    return planned is not None and last.is_prerelease and not planned.is_prerelease


def find_twins(point: Point, package: Package) -> list[Package]:
    """Return the packages that share the last and the new version of *package*."""
    if package.last is None:
        return []
    versions = (package.last, package.released)
    others = (other for other in point.packages.values() if other.name != package.name)
    return [other for other in others if (other.last, other.released) == versions]


# ---- the index ------------------------------------------------------------------------------------------------------


class SmallIndex:
    """A package index with the metadata of wheels (PEP 691, PEP 658) and no wheels."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.published: Published = {}
        self.url = ""

    def page(self, name: str) -> bytes | None:
        """Return the page of the project *name*; None for an unknown one."""
        if name not in self.published:
            return None
        files = [self._entry(name, version) for version in self.published[name]]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files}).encode()

    def _entry(self, name: str, version: str) -> dict[str, object]:
        file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        return {
            "filename": file,
            "url": f"/files/{file}",
            "hashes": {"sha256": "0" * 64},
            "core-metadata": True,
        }

    def metadata(self, file: str) -> bytes | None:
        """Return the METADATA of the wheel *file*; None for an unknown one."""
        name, version = file.split("-")[:2]
        requirements = self.published.get(canonicalize_name(name), {}).get(version)
        if requirements is None:
            return None
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        return "\n".join(
            [*lines, *(f"Requires-Dist: {text}" for text in requirements), ""]
        ).encode()

    def answer(self, path: str) -> tuple[str, bytes | None]:
        """Return the type and the content of the page at *path*."""
        last = path.strip("/").rpartition("/")[2]
        if path.endswith(".whl.metadata"):
            return "text/plain", self.metadata(last.removesuffix(".metadata"))
        return "application/vnd.pypi.simple.v1+json", self.page(last)


@contextmanager
def serve(index: SmallIndex) -> Generator[str]:
    """Serve *index* on loopback inside the block; yields the address of its simple root."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = index.answer(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            thread.join()


# ---- the run --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Job:
    """One release point of one shape, and the maker that rebuilds its repository."""

    shape: Path
    maker: Path
    number: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of a job: the outcomes, what `init` wrote, and the text of a failure, empty if there was none."""

    shape: str
    number: int
    outcomes: Sequence[Outcome]
    configuration: str = ""
    failure: str = ""
    seconds: float = 0.0


def measure(job: Job) -> Result:
    """Rebuild the repository of *job*, adopt it, plan, and compare."""
    start = time.monotonic()
    shape = json.loads(job.shape.read_text())
    point = read_points(shape)[job.number]
    index = SmallIndex()
    index.published = point.published
    with (
        tempfile.TemporaryDirectory(prefix="releasekit-histories-") as scratch,
        serve(index) as url,
    ):
        repository = Path(scratch).resolve() / "work"
        made = (
            sys.executable,
            job.maker,
            job.shape,
            repository,
            "--before-release",
            str(job.number),
        )
        subprocess.run(made, check=True, capture_output=True)
        with environment(url):
            plan, configuration, failure = plan_after_init(
                repository / shape["sub"], job.shape.stem
            )
    code = re.search(r"RK-[A-Z-]+", failure)
    outcomes = compare(point, plan, code[0] if code else failure)
    return Result(
        job.shape.stem, job.number, outcomes, configuration, failure, time.monotonic() - start
    )


def plan_after_init(workspace: Path, name: str) -> tuple[dict[str, Decision] | None, str, str]:
    """Adopt *workspace* as its user does, and plan; return the decisions, what `init` wrote, and a failure."""
    code, _, errors = run("init", "--yes", "--workspace", str(workspace))
    if code:
        return None, "", f"init: {errors}"
    configuration = _git(workspace, "diff", "--unified=0")
    for edit in HAND_EDITS.get(name, ()):
        _edit(workspace / edit.directory / "pyproject.toml", edit.keys)
    _git(workspace, "add", "--all")
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.invalid")
    _git(
        workspace,
        *author,
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "chore: configure releasekit",
    )
    _, output, errors = run("plan", "--workspace", str(workspace), "--format", "json")
    try:
        return read_plan(json.loads(output)), configuration, ""
    except json.JSONDecodeError:
        return None, configuration, f"plan: {errors}"


def run(*argv: str) -> tuple[int, str, str]:
    """Run releasekit in this process; return its exit code, its output and its errors."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = releasekit(argv)
    return code, output.getvalue(), errors.getvalue()


def _edit(path: Path, keys: Mapping[str, object]) -> None:
    document: Any = tomlkit.parse(path.read_text())
    document.setdefault("tool", tomlkit.table()).setdefault("releasekit", tomlkit.table()).update(
        keys
    )
    path.write_text(tomlkit.dumps(document))


def _git(workspace: Path, *argv: str) -> str:
    return subprocess.run(
        ("git", *argv), cwd=workspace, check=True, capture_output=True, text=True
    ).stdout


@contextmanager
def environment(url: str) -> Generator[None]:
    """Give this process the index at *url* as uv's default, and nothing of the machine's own configuration."""
    before = dict(os.environ)
    for name in before:
        if re.match(r"(UV|PREFECT|RELEASEKIT|GITHUB|GITLAB|GIT|CI)(_|$)", name):
            del os.environ[name]
    os.environ |= {
        "UV_DEFAULT_INDEX": url,
        "UV_NO_CONFIG": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "NO_COLOR": "1",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# ---- the score ------------------------------------------------------------------------------------------------------


@dataclass
class Score:
    """Counts of one shape, or of all."""

    name: str
    points: int = 0
    packages: int = 0
    baselines: int = 0
    sets: int = 0
    released: int = 0
    hits: int = 0
    right: int = 0
    decided: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])

    def add(self, result: Result) -> None:
        """Count one release point."""
        outcomes = result.outcomes
        released = [outcome for outcome in outcomes if outcome.released]
        self.points += 1
        self.packages += len(outcomes)
        self.baselines += sum(outcome.is_baseline_right for outcome in outcomes)
        self.sets += all(outcome.verdict in ("right", "other version") for outcome in outcomes)
        self.released += len(released)
        self.hits += sum(outcome.verdict == "right" for outcome in released)
        self.right += sum(outcome.verdict == "right" for outcome in outcomes)
        self.decided += sum(outcome.kind in DECISIONS for outcome in outcomes)
        self.kinds.update(
            f"{outcome.verdict}: {outcome.kind}" for outcome in outcomes if outcome.kind
        )


def score_by_shape(results: Iterable[Result]) -> list[Score]:
    """Return the score of each shape, and at the end that of all."""
    scores: dict[str, Score] = {}
    total = Score("all")
    for result in results:
        for score in (scores.setdefault(result.shape, Score(result.shape)), total):
            score.add(result)
    return [*scores.values(), total]


def show_scores(scores: Sequence[Score]) -> None:
    """Print a row for each score, and the classes of its differences."""
    width = max(len(score.name) for score in scores)
    print(
        f"{'':{width}}  points  set right  packages  baseline right  released right    right of all  decided by people"
    )
    for score in scores:
        print(
            f"{score.name:{width}}  {score.points:6}  {score.sets:9}  {score.packages:8}  {score.baselines:14}"
            f"  {f'{score.hits} of {score.released}':>14}  {f'{score.right} of {score.packages}':>14}"
            f"  {score.decided:17}"
        )
    for score in scores:
        print(f"\n{score.name}")
        for kind, count in sorted(score.kinds.items(), key=lambda item: (-item[1], item[0])):
            print(f"{count:6}  {kind}")


def show_differences(results: Iterable[Result]) -> None:
    """Print each difference, and each last release that the plan does not know."""
    for result in results:
        if result.failure:
            print(f"{result.shape} {result.number}: {result.failure}")
        for outcome in result.outcomes:
            if outcome.verdict == "right" and outcome.is_baseline_right:
                continue
            theirs = f"{outcome.last or '-'} -> {outcome.released or '-'}"
            ours = f"{outcome.planned_last or '-'} -> {outcome.planned or '-'}"
            kind = outcome.kind or "but the baseline is wrong"
            where = f"{result.shape} {outcome.point}  {outcome.package}"
            print(
                f"{where}: released {theirs}, planned {ours}: {outcome.verdict}, {kind} ({outcome.reason})"
            )
    print()


def measure_all(folder: Path, maker: Path, only: Collection[str]) -> list[Result]:
    """Return the results of all release points of the shapes in *folder*, of *only* these if any are named."""
    jobs: list[Job] = []
    for path in sorted(folder.glob("*.json")):
        if only and path.stem not in only:
            continue
        count = len(json.loads(path.read_text())["releases"])
        jobs += [Job(path.resolve(), maker.resolve(), number) for number in range(count)]
    with ProcessPoolExecutor(WORKERS, initializer=os.nice, initargs=(NICENESS,)) as workers:
        return list(workers.map(measure, jobs))


def main() -> None:
    """Measure, and print the score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the folder of the shapes")
    parser.add_argument(
        "--make", type=Path, required=True, metavar="PROGRAM", help="what rebuilds a repository"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this shape; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="print each difference")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    results = measure_all(options.folder, options.make, options.only)
    if not results:
        raise SystemExit(f"no shape in {options.folder}")
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
        return
    if options.list:
        show_differences(results)
    show_scores(score_by_shape(results))


if __name__ == "__main__":
    main()
