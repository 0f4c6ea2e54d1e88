"""Release notes and the outside: the template that is shipped, and the command that may rewrite them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit.core.config.settings import Settings
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_notes import ReleaseNotes
from releasekit.integrations.git import Repo
from releasekit.integrations.notes_sources import render_notes, rewrite_notes
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from tests.support.git_scene import GitScene


NO_NOTES = ReleaseNotes(
    title="core 1.0",
    date="2026-11-27",
    packages=(),
    breaking=(),
    contributors=(),
    newcomers=(),
    all="",
)


def test_wheel_has_the_template(tmp_path: Path) -> None:
    """What is installed from a wheel has the template, and what its types are known by."""
    root = Path(__file__).parents[2]
    build = (
        "uv",
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--offline",
        "--out-dir",
        str(tmp_path),
    )
    run(Command(build, root))
    (wheel,) = tmp_path.glob("*.whl")

    assert "releasekit/templates/notes.md.jinja" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (
            "{% set ns = namespace(x='a') %}{% for _ in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
            "memory",
        ),
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "longer than 1 s",
        ),
        ("{% for %}", "expression"),
        ("{{ undefined_name }}", "undefined_name"),
    ],
    ids=["doubling", "loops", "syntax", "undefined"],
)
def test_endless_template_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, reason: str
) -> None:
    """A template that needs too much time or memory ends, and is refused like one with a mistake."""
    seconds = 1 if "longer" in reason else 60
    monkeypatch.setattr("releasekit.integrations.notes_renderer.LONGEST_RENDERING", seconds)
    (tmp_path / "notes.md").write_text(template)

    with pytest.raises(Refusal, match=reason) as caught:
        render_notes(
            NO_NOTES, tmp_path, Settings.model_validate({"notes_template": "notes.md"}), 1000
        )

    assert caught.value.code is ErrorCode.NOTES_TEMPLATE
    assert caught.value.location.startswith("notes.md")


def test_own_template_shapes_the_notes(tmp_path: Path) -> None:
    """A template in the workspace gets the values of the notes."""
    (tmp_path / "notes.md").write_text("# {{ title }} of {{ date }} é")
    settings = Settings.model_validate({"notes_template": "notes.md"})

    assert render_notes(NO_NOTES, tmp_path, settings, 1000) == "# core 1.0 of 2026-11-27 é\n"


@pytest.mark.parametrize("template", ["link.md", "outside/notes.md"])
def test_template_behind_link_is_refused(tmp_path: Path, template: str) -> None:
    """The text of a file outside the workspace does not get into the notes, also not through a link."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "notes.md").write_text("canary")
    (workspace / "link.md").symlink_to(tmp_path / "notes.md")
    (workspace / "outside").symlink_to(tmp_path)

    with pytest.raises(Refusal, match="outside the workspace") as caught:
        render_notes(
            NO_NOTES, workspace, Settings.model_validate({"notes_template": template}), 1000
        )

    assert caught.value.code is ErrorCode.NOTES_TEMPLATE


def test_notes_command_rewrites_and_shortens(tmp_path: Path) -> None:
    """A command gets the notes on standard input, and what it prints is cut where it is too long."""
    assert rewrite_notes("notes\n", tmp_path, (), 100, "there") == "notes\n"
    assert rewrite_notes(
        "notes: pêches\n", tmp_path, ("tr", "a-z", "A-Z"), 100, "there"
    ).startswith("NOTES: P")
    long = rewrite_notes("notes\n", tmp_path, ("seq", "1000"), 60, "there")
    assert (len(long) <= 60, long.endswith("\n\n… shortened; full text: there\n")) == (True, True)


@pytest.mark.parametrize("command", [("false",), ("true",), ("no-such-program",)])
def test_failed_notes_command_is_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A command that fails, prints nothing or is not there is an error with a name."""
    with pytest.raises(ReleaseError) as caught:
        rewrite_notes("notes\n", tmp_path, command, 100, "")
    assert caught.value.code is ErrorCode.NOTES_COMMAND


def test_newcomers_have_no_released_commit(scene: GitScene) -> None:
    """Somebody is new whose name and address stand in no commit that was released; .mailmap has the last word."""
    first = scene.git("rev-parse", "HEAD")
    people = [
        ("Bea", "bea@example.invalid"),
        ("Ada L.", "ADA@example.invalid"),
        ("Old", "old@example.invalid"),
    ]
    scene.commit("map", {".mailmap": "Ada <ada@example.invalid> Old <old@example.invalid>\n"})
    shas: list[str] = []
    for name, mail in people:
        author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail}
        scene.git("commit", "--quiet", "--allow-empty", "--message", "feat: x", env=author)
        shas.append(scene.git("rev-parse", "HEAD"))
    repo = Repo(scene.top)

    assert repo.newcomers(shas, [first]) == {"Bea"}
    assert repo.newcomers(shas, []) == frozenset(), "of a first release everybody is"
    assert repo.newcomers([], [first]) == frozenset()
    assert repo.newcomers(shas[:1], [shas[0]]) == frozenset()
