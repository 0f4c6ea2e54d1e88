"""Which tags can be the release of a package."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.history.tag_evidence import TagReading, objection
from releasekit.core.workspace.declarations import Declaration
from releasekit.core.workspace.dynamic_version import build_tag_pattern, build_tag_prefix

DYNAMIC = {"project": {"dynamic": ["version"]}}


def reading(tag: str, *, is_own: bool = True) -> TagReading:
    """Return *tag* as the release 1.2 of core."""
    return TagReading("core", tag, Version("1.2"), "c0ffee", is_own)


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        (Declaration(Version("1.2")), ""),
        (Declaration(Version("1.2.0")), ""),
        (Declaration(Version("1.2rc1")), "core declared 1.2rc1"),
        (None, "core was not there"),
        (Declaration(), ""),
    ],
)
def test_declared_version_must_match(declaration: Declaration | None, reason: str) -> None:
    """A tag is a release if the package declared its version there, or leaves the version to a build."""
    assert objection(reading("core-v1.2"), declaration) == reason


def test_release_date_is_no_version() -> None:
    """The date in an umbrella tag is the version of a package that declared it, never that of a dynamic one."""
    tag = "release-2026.11.22"
    dated = TagReading("core", tag, Version("2026.11.22"), "c0ffee")

    assert objection(dated, Declaration(), {tag}) == "the date of a release is no version"
    assert objection(dated, Declaration(Version("1.2")), {tag}) == "core declared 1.2"
    assert objection(dated, Declaration(Version("2026.11.22")), {tag}) == ""
    assert objection(dated, Declaration()) == "", "the package has such tags of its own"
    assert objection(reading("v1.2"), Declaration(), {"v1.2"}) == ""


def hatch(source: str, **table: object) -> dict[str, object]:
    """Return a pyproject.toml with this version source; *table* configures uv-dynamic-versioning, or hatch-vcs."""
    version = {"source": source, **(table if source == "vcs" else {})}
    return {**DYNAMIC, "tool": {"hatch": {"version": version}, "uv-dynamic-versioning": table}}


UV = "uv-dynamic-versioning"
PREFIX = {"pattern-prefix": "core-"}


DESCRIBE = ["git", "describe", "--tags", "--long", "--match", "core-v*"]
TWO = "git describe --match 'core/*' --match=v*"


@pytest.mark.parametrize(
    ("document", "tag", "is_read"),
    [
        (hatch(UV), "v1.2", True),
        (hatch(UV), "1.2", True),
        (hatch(UV), "core-v1.2", False),
        (hatch(UV, **PREFIX), "core-v1.2", True),
        (hatch(UV, **PREFIX), "v1.2", False),
        (hatch(UV, pattern=r"^rel-(?P<base>\d+)"), "rel-1", True),
        (hatch(UV, pattern=r"^rel-(?P<base>\d+)"), "v1.2", False),
        (hatch(UV, pattern=r"^(?P<base>\d+)", **PREFIX), "core-1", True),
        (hatch(UV, pattern="("), "v1.2", True),
        (hatch("vcs"), "v1.2", True),
        (hatch("vcs", **{"tag-pattern": r"core/(?P<version>.*)"}), "v1.2", False),
        (hatch("vcs", **{"raw-options": {"tag_regex": r"core/(?P<version>.*)"}}), "core/1.2", True),
        (hatch("vcs", **{"raw-options": {"git_describe_command": DESCRIBE}}), "core-v1.2", True),
        (hatch("vcs", **{"raw-options": {"git_describe_command": DESCRIBE}}), "other-v1", False),
        (
            hatch("vcs", **{"raw-options": {"git_describe_command": ["git", "describe"]}}),
            "v1",
            True,
        ),
        ({"tool": {"setuptools_scm": {"git_describe_command": " ".join(DESCRIBE)}}}, "v1", False),
        ({"tool": {"setuptools_scm": {"scm": {"git": {"describe_command": TWO}}}}}, "v1.2", True),
        ({"tool": {"setuptools_scm": {"scm": {"git": {"describe_command": TWO}}}}}, "x/1", False),
        ({"tool": {"setuptools_scm": {"tag_regex": "^core-"}}}, "v1.2", False),
        ({"tool": {"pdm": {"version": {"source": "scm", "tag_regex": "^core-"}}}}, "v1.2", False),
        ({"tool": {"poetry-dynamic-versioning": {"enable": True, **PREFIX}}}, "v1.2", False),
        ({}, "v1.2", True),
    ],
)
def test_build_decides_nameless_tags(document: dict[str, object], tag: str, is_read: bool) -> None:
    """A tag without a name is a release of a dynamic package only if its build reads such tags."""
    declaration = Declaration(build_tags=build_tag_pattern(document))

    assert (objection(reading(tag, is_own=False), declaration) == "") is is_read
    assert objection(reading(tag), declaration) == "", "its own form needs no other evidence"


def test_tag_prefix_of_build() -> None:
    """The prefix is that of uv-dynamic-versioning, if it decides the version."""
    assert build_tag_prefix(hatch(UV, **PREFIX)) == "core-"
    assert build_tag_prefix(hatch(UV)) == ""
    assert build_tag_prefix(hatch("vcs")) == ""
    assert build_tag_prefix({**hatch(UV, **PREFIX), "project": {"version": "1.0"}}) == ""
