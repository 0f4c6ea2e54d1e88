"""Workspaces, changelogs and graphs as the documented JSON of the commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from releasekit.core.config.bump_rules import Bump
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

    from releasekit.core.changelog.changelog import ChangelogEntry, Section
    from releasekit.core.history.change_files import FileChange
    from releasekit.core.history.commits import Change
    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_notes import ReleaseNotes
    from releasekit.core.workspace.graph import Graph, Order
    from releasekit.core.workspace.workspace import Workspace


def discover_json(workspace: Workspace) -> str:
    """Return the members, sorted by name: a list, which scripts have relied on since the first version."""
    rows = [
        {
            "name": member.name,
            "path": member.path,
            "version": _text_or_none(member.version),
            "dynamic": member.dynamic,
            "publishable": member.publishable,
            "internal": sorted(
                workspace.required_members(member, Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)
            ),
            "external": list(workspace.external_requirements(member)),
        }
        for member in workspace
    ]
    return json.dumps(rows, indent=1) + "\n"


def _text_or_none(version: Version | None) -> str | None:
    return str(version) if version else None


def changelog_json(
    rows: Iterable[tuple[Step, ChangelogEntry, Section]], workspace: Section | None = None
) -> str:
    """Return the changelog entries of all packages, as sorted data and as Markdown.

    *workspace* is the section for the changelog of the workspace.
    """
    packages = [
        {
            "name": step.name,
            "path": step.path,
            "current": _text_or_none(step.current),
            "next": str(step.version),
            "date": entry.date,
            "remark": entry.remark,
            "sections": [
                {
                    "heading": part.heading,
                    "changes": [*map(_file_change, part.files), *map(_change, part.changes)],
                }
                for part in entry.parts
            ],
            "contributors": list(entry.contributors),
            "changelog_path": section.path,
            "replaces": list(section.replaces),
            "markdown": section.text,
        }
        for step, entry, section in rows
    ]
    shared = workspace and {
        "changelog_path": workspace.path,
        "replaces": list(workspace.replaces),
        "markdown": workspace.text,
    }
    document = {"schema": "releasekit.changelog/1", "packages": packages, "workspace": shared}
    return json.dumps(document, indent=1) + "\n"


def notes_json(notes: ReleaseNotes) -> str:
    """Return the release notes as a template gets them."""
    document = {"schema": "releasekit.notes/1", **notes.model_dump(mode="json")}
    return json.dumps(document, indent=1) + "\n"


def _file_change(file: FileChange) -> dict[str, object]:
    """Return what a change file says, with the keys of a commit."""
    return {
        "sha": "",
        "file": file.path,
        "type": "",
        "scope": "",
        "description": file.text,
        "breaking": file.bump is Bump.MAJOR,
        "notes": [],
    }


def _change(change: Change) -> dict[str, object]:
    return {
        "sha": change.sha,
        "file": "",
        "type": change.type,
        "scope": change.scope,
        "description": change.description,
        "breaking": change.breaking,
        "notes": list(change.notes),
    }


def graph_json(workspace: Workspace, graph: Graph, order: Order | None) -> str:
    """Return packages with their needs, levels and cycles. *order* is None if cycles make an order impossible."""
    packages = [
        {
            "name": member.name,
            "path": member.path,
            "version": _text_or_none(member.version),
            "publishable": member.publishable,
            "needs": sorted(graph.hard[member.name]),
            "extra_needs": sorted(graph.soft[member.name]),
            "build_needs": sorted(graph.build[member.name]),
        }
        for member in workspace
        if member.name in graph.hard
    ]
    document = {
        "schema": "releasekit.graph/1",
        "packages": packages,
        "levels": list(map(list, order.levels)) if order else [],
        "cycles": list(map(list, graph.cycles())),
    }
    return json.dumps(document, indent=1) + "\n"
