"""Small scenes: workspaces, graphs and plans from one line a package, histories from one line a commit."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.config.settings import Selection, Settings
from releasekit.core.history.baselines import find_baselines, package_tags
from releasekit.core.history.commits import Commit, parse
from releasekit.core.history.tags import schemes_of
from releasekit.core.planning.make_plan import make_plan
from releasekit.core.planning.plan_inputs import PlanInputs, VersionFacts, decisions
from releasekit.core.planning.selection import named_packages
from releasekit.core.versioning.version_requests import version_requests
from releasekit.core.versioning.versions import decide_versions, request_bump, with_release_kind
from releasekit.core.workspace import graph as core_graph
from releasekit.core.workspace import workspace as core_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.core.config.bump_rules import BumpRules
    from releasekit.core.history.commits import Change
    from releasekit.core.planning.model import Plan
    from releasekit.core.versioning.versions import Decision, PackageHistory
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace

_LINE = re.compile(r"([\w.-]+)(?:==([\w.!+]+))?(?:\[([\w.-]+)\])?(?: \((build|group)\))?:(.*)")

SHA = "c0ffee" * 6 + "cafe"
"""The commit that plans are made from."""


def documents_of(*lines: str) -> dict[str, dict[str, Any]]:
    """Return the pyproject.toml of each package that *lines* name, keyed by path, at version 1.0 unless told.

    `app: web db>=1` are requirements at run time, `app (build): tool` and `app (group): lint` those to build and of a
    group, `app[fast]: cache` those of an extra; `app==2.0: web` gives the version. What is only required exists too.
    """
    documents: dict[str, dict[str, Any]] = {}

    def document(name: str) -> dict[str, Any]:
        path = f"packages/{canonicalize_name(name)}"
        project: dict[str, Any] = {
            "name": name,
            "version": "1.0",
            "dependencies": [],
            "optional-dependencies": {},
        }
        system: dict[str, Any] = {"requires": [], "build-backend": "backend"}
        return documents.setdefault(
            path, {"project": project, "build-system": system, "dependency-groups": {}}
        )

    for line in lines:
        found = _LINE.fullmatch(line)
        assert found, line
        name, version, extra, kind, written = found.groups()
        it, needs = document(name), written.split()
        if version:
            it["project"]["version"] = version
        if extra:
            it["project"]["optional-dependencies"].setdefault(extra, []).extend(needs)
        elif kind == "group":
            it["dependency-groups"].setdefault("dev", []).extend(needs)
        else:
            (
                it["build-system"]["requires"] if kind == "build" else it["project"]["dependencies"]
            ).extend(needs)
        for need in needs:
            document(Requirement(need).name)
    return documents


def settings_of(**given: object) -> Settings:
    """Return the default settings, but for those *given*."""
    return Settings.model_validate(given)


def decide(past: PackageHistory, rules: BumpRules | None = None) -> Decision:
    """Decide the next version of one package by itself; raises what stands in the way."""
    resolved = with_release_kind({"": (past, rules or settings_of().rules())})[""]
    decision = decide_versions({"": request_bump(past, resolved)})[""]
    if decision.refusal:
        raise decision.refusal
    return decision


def workspace_of(*lines: str, **settings: object) -> Workspace:
    """Return the workspace of the packages in *lines*."""
    return core_workspace.workspace_of(documents_of(*lines), settings_of(**settings))


def graph_of(*lines: str) -> Graph:
    """Return the graph of the packages in *lines*."""
    return graph_and_warnings(*lines)[0]


def graph_and_warnings(*lines: str) -> tuple[Graph, list[str]]:
    """Return the graph of the packages in *lines*, and its warnings as text."""
    workspace = workspace_of(*lines)
    graph, warnings = core_graph.graph_of(workspace, core_graph.offers_of(workspace))
    return graph, list(map(str, warnings))


def commit(sha: str, *parents: str, message: str = "feat: it", files: Sequence[str] = ()) -> Commit:
    """Return a commit with the words that a test is not about filled in."""
    return Commit(sha, parents, message, tuple(files))


def plan_of(
    *lines: str,
    changes: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    selection: Mapping[str, Any] | None = None,
    published: Mapping[str, Sequence[str]] | None = None,
    requires: Mapping[str, Sequence[str]] | None = None,
    sha: str = SHA,
    documents: Mapping[str, Mapping[str, Any]] | None = None,
    old: Mapping[str, str] | None = None,
    own: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Plan:
    """Return the plan for the packages in *lines*, where each of *changes* is one commit since the package's tag.

    Without *changes*, each package has a feature; without *tags*, each has a tag at 1.0. Commits of *old*, likewise one
    for each package, lie between its last stable tag and a later prerelease's.
    *own* are the settings that packages have for themselves.
    """
    chosen = settings_of(**{"allow_new": True, **(settings or {})})
    workspace = core_workspace.workspace_of(documents or documents_of(*lines), chosen)
    messages = dict.fromkeys(workspace.members, "feat: it") if changes is None else changes
    commits: dict[str, tuple[Change, ...]] = {
        name: (parse(commit(f"{number:040x}", message=message)),)
        for number, (name, message) in enumerate(messages.items())
    }
    since_stable = {
        name: (*commits.get(name, ()), parse(commit(f"01d{number:037x}", message=message)))
        for number, (name, message) in enumerate((old or {}).items())
    }
    schemes = schemes_of(chosen, own)
    known = dict.fromkeys(
        tags or [schemes.of(name).tag(name, Version("1.0")) for name in workspace.members], "a" * 40
    )
    declared = {member.name: member.version for member in workspace}
    last, _ = find_baselines(package_tags(known, schemes, declared))
    selected = Selection(**(selection or {}))
    named = named_packages(workspace, selected, chosen)
    requested = VersionFacts(version_requests(selected.versions, workspace, named), "2026.11.22")
    decided = decisions(
        workspace, last, commits, chosen, since_stable=since_stable, own=own, facts=requested
    )
    listed = {
        name: frozenset(map(Version, versions)) for name, versions in (published or {}).items()
    }
    needs: dict[str, dict[Version, tuple[Requirement, ...]]] = {}
    for key, texts in (requires or {}).items():  # "app", its last release; or "app==0.9"
        name, _, version = key.partition("==")
        released = Version(version) if version else last[name].version
        needs.setdefault(name, {})[released] = tuple(map(Requirement, texts))
    asked = None if published is None else listed
    facts = PlanInputs(commit=sha, date="2026.11.22", tags=known, published=asked, requires=needs)
    plan = make_plan(workspace, decided, last, selected, chosen, facts, own)
    return plan.model_copy(update={"unread": ()})  # is written nowhere


def attestation(*subjects: tuple[str, str], version: int = 1) -> bytes:
    """Return an attestation of files (name, sha256), without a signature."""
    rows = [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects]
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": rows}
    envelope = {"statement": b64encode(json.dumps(statement).encode()).decode(), "signature": ""}
    return json.dumps(
        {"version": version, "verification_material": {}, "envelope": envelope}
    ).encode()
