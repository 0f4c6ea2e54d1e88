"""Which tags are releases, and what is to be configured for a repository that has released before."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from packaging.version import Version

from releasekit.core.adoption import (
    MissingKey,
    TagFormats,
    choose_pins,
    configured_text,
    detect_tag_formats,
    missing_tags,
    parse_tags,
    sample_patterns,
    suggest_groups,
    unclaimed_tags,
)
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.tags import TagScheme
from releasekit.core.workspace.workspace import Workspace, workspace_of
from tests.support.builders import settings_of
from tests.support.builders import workspace_of as workspace_of_lines

NAMES = ("core", "my-core", "core-2", "app")


@pytest.mark.parametrize(
    ("tag", "pattern", "name", "version"),
    [
        ("core-v1.2", "{name}-v{version}", "core", "1.2"),
        ("core==1.2", "{name}=={version}", "core", "1.2"),
        ("core@1.2", "{name}@{version}", "core", "1.2"),
        ("core@v1.2", "{name}@v{version}", "core", "1.2"),
        ("core/v1.2", "{name}/v{version}", "core", "1.2"),
        ("core/1.2", "{name}/{version}", "core", "1.2"),
        ("core_v1.2", "{name}_v{version}", "core", "1.2"),
        ("core-1.2", "{name}-{version}", "core", "1.2"),
        ("My_Core-v1.2rc1", "{name}-v{version}", "my-core", "1.2rc1"),
        ("core-2-1.0", "{name}-{version}", "core-2", "1.0"),
        ("py/core-v1.2", "{label}/{name}-v{version}", "core", "1.2"),
        ("py/core/v1.2", "{label}/{name}/v{version}", "core", "1.2"),
        ("py-my-core-1.0.0a260723", "{label}-{name}-{version}", "my-core", "1.0.0a260723"),
        ("v1.2", "v{version}", "", "1.2"),
        ("1.2", "{version}", "", "1.2"),
    ],
)
def test_common_tag_formats_are_recognized(tag: str, pattern: str, name: str, version: str) -> None:
    """Every form that the field has is known, by the names of the members."""
    (read,) = parse_tags([tag], NAMES).values()

    assert (read.pattern, read.name, read.version) == (pattern, name, Version(version))


def test_tags_of_others_are_ignored() -> None:
    """What names no member, or no version, is nobody's; of labels, that of most tags is the repository's."""
    assert parse_tags(["gone-v1.0", "core-vnext", "nightly", "release-2026.11.22", "v1.x"], NAMES) == {}
    tags = ["js/core-v1.0", "js/core-v1.1", "py/core-v1.0"]
    assert set(parse_tags(tags, NAMES)) == {"js/core-v1.0", "js/core-v1.1"}
    assert set(parse_tags(tags, NAMES, "py")) == {"py/core-v1.0"}
    assert parse_tags(["v1.0"], ()).keys() == {"v1.0"}


def found(tags: str, *lines: str, at: dict[str, str] | None = None, now: str = "") -> TagFormats:
    """Return how packages are tagged; *at* is what they declared at their highest tag without a name."""
    workspace = workspace_of_lines(*lines)
    then = {name: Version(version) if version else None for name, version in (at or {}).items()}
    settings = settings_of(**({"tag_format": now} if now else {}))
    return detect_tag_formats(
        parse_tags(tags.split(), workspace.members), list(workspace), then, settings, configured=bool(now)
    )


class TestTagging:
    """The list of formats."""

    def test_most_used_format_comes_first(self) -> None:
        """The form of most last releases is written from now on, and all others are read."""
        tags = "app@1.0 core@1.0 core-v0.9 core-v0.8 core-v0.7 web==1.0"

        patterns = found(tags, "app:", "core:", "web:").patterns

        assert patterns == ("{name}@{version}", "{name}=={version}", "{name}-v{version}")

    def test_configured_tag_format_stays_first(self) -> None:
        """What is configured stays in front, and what it reads already is not added."""
        assert found("core-v1.0", "core:", now="{name}-{version}").patterns == ("{name}-{version}",)
        assert found("core@1.0", "core:", now="{name}-{version}").patterns == ("{name}-{version}", "{name}@{version}")

    def test_default_format_applies_without_tags(self) -> None:
        """Where there is no tag, it is the default."""
        assert found("", "core:") == TagFormats(("{name}-v{version}",))

    def test_bare_tags_mean_lockstep(self) -> None:
        """Tags without a name are everybody's where most packages had that version when it was made."""
        lines = ("app:", "core:", "web:")
        most = {"app": "1.0", "core": "1.0", "web": "0.3"}
        assert found("v1.0", *lines, at=most).patterns == ("v{version}",)
        assert found("v1.0 core-v0.2", *lines, at=most).patterns == ("v{version}", "{name}-v{version}")
        assert found("3.0.0 v1.0 0.9", *lines, at=most).patterns == ("v{version}", "{version}"), "some are older"
        assert found("v0.9 app-v1.0", *lines, at=dict.fromkeys(most, "0.9")).patterns == (
            "{name}-v{version}",
            "v{version}",
        )
        assert found("v1.0", *lines, at=dict.fromkeys(most, "")).patterns == ("v{version}",), "no file has ever said"
        assert found("v1.0", "core:", at={"core": "1.0"}).patterns == ("v{version}",)
        assert found("v1.0", "core:", at={"core": "0.9"}).patterns == ("v{version}",), "tagged before it was bumped"
        apart = found("v1.0", "app==1.0:", "core==1.1:", at={"app": "1.0", "core": "1.0"})
        assert apart.patterns == ("{name}-v{version}", "v{version}"), "one tag could not stand for two versions"

    def test_umbrella_tag_is_no_release(self) -> None:
        """A tag of the release as a whole is no package's release."""
        tags = "v1.0 app-v1.0 core-v1.0"
        assert found(tags, "app:", "core:", "new:", at={"app": "1.0", "core": "1.0", "new": ""}) == TagFormats(
            ("{name}-v{version}",)
        )
        assert found("v1.0 app-v0.2", "app:", "core:", at={"app": "0.2", "core": "0.3"}).patterns == (
            "{name}-v{version}",
        )

    def test_bare_tag_has_single_owner(self) -> None:
        """They are one package's where it alone had that version."""
        tagging = found("v1.0 app-v0.2", "app:", "core:", at={"app": "0.2", "core": "1.0"})

        assert tagging == TagFormats(("{name}-v{version}",), bare_owner=("core", "v{version}"))


def at_paths(*paths: str) -> Workspace:
    """Return a workspace of members in *paths*, named after their directories."""
    system: dict[str, Any] = {"requires": [], "build-backend": "backend"}
    documents: dict[str, dict[str, Any]] = {
        path: {"project": {"name": path.replace("/", "-").strip("."), "version": "1.0"}, "build-system": system}
        for path in paths
    }
    return workspace_of(documents, settings_of())


def groups_of_all(workspace: Workspace) -> dict[str, list[str]]:
    """Return the groups of a workspace that publishes all its members."""
    return suggest_groups(workspace, workspace.members)


def test_each_package_directory_is_group() -> None:
    """Each directory of packages that are published is a group, as soon as there are two."""
    packages = ("py/packages/a", "py/packages/b", "py/plugins/x/y", "py/plugins/z", "py/samples/s")
    three = {name: [f"py/{name}/*"] for name in ("packages", "plugins", "samples")}
    workspace = at_paths(*packages)

    assert groups_of_all(workspace) == three
    assert suggest_groups(workspace, {"py-packages-a", "py-plugins-z"}).keys() == {"packages", "plugins"}
    assert workspace.matching_names(three["plugins"]) == {"py-plugins-x-y", "py-plugins-z"}
    assert groups_of_all(at_paths("packages/a", "packages/b")) == {}
    assert groups_of_all(at_paths("a", "b")) == {}
    assert groups_of_all(at_paths("a", "packages/b", "plugins/c")).keys() == {"packages", "plugins"}
    assert groups_of_all(at_paths()) == {}


@pytest.mark.parametrize(
    ("lines", "pins"),
    [
        (["app: core>=1", "core:"], "compatible"),
        (["app: core~=1.0", "core:"], "compatible"),
        (["app[fast]: core<2", "core:"], "compatible"),
        (["app: core==1.0", "core:"], "exact"),
        (["app: core", "core:"], "exact"),
        (["app: core==1.0", "web: core>=1", "core:"], "exact"),
        (["app: core==1.0", "web: core>=1", "top: core>=1", "core:"], "compatible"),
        (["app (group): core>=1", "web (build): core>=1", "core:"], ""),
        (["app[all]: app[fast]>=1"], ""),
        (["app: numpy>=1", "home: app>=1", "app2: home>=1"], ""),
    ],
)
def test_most_requirements_decide_pins(lines: list[str], pins: str) -> None:
    """Most of what published packages require of each other says it; ties, and no version, mean exact."""
    workspace = workspace_of_lines(*lines)

    assert choose_pins(workspace, workspace.members.keys() - {"home", "numpy"}) == pins


def test_own_formats_claim_their_tags() -> None:
    """Tags of packages that have formats of their own explain nothing about the others."""
    own = {"app": TagScheme("a-{version}"), "web": TagScheme("{name}@{version}")}

    assert unclaimed_tags(["a-1.0", "web@1.0", "core@1.0", "v1.0"], own) == ("core@1.0", "v1.0")


def test_unreleased_samples_are_excluded() -> None:
    """Directories of samples stay home if nothing in them was ever released."""
    workspace = at_paths("packages/a", "samples/b", "samples/c/d", "py/examples/e", "example")

    assert sample_patterns(workspace, ()) == ["py/examples/*", "samples/*"]
    assert sample_patterns(workspace, {"samples-b"}) == ["py/examples/*"]


KEYS = [
    MissingKey("tag_format", ["{name}@{version}", "v{version}"], "Why."),
    MissingKey("exclude", ["samples/*"], ""),
    MissingKey("groups", {"a": ["a/*"], "b c": ["b/*"]}, "Those."),
]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[project]\nname = 'a' # it",
        "[tool.uv.workspace]\r\nmembers = ['*']\r\n",
        "[tool.releasekit]\n",
        "[tool.releasekit]\nlead = 'a'\ntag_format = 'x{version}' # old\n\n[tool.z] # end\n",
        "[tool.releasekit.types]\nfeat = 'minor'\n\n[dependency-groups]\ndev = []\n",
        "[tool.a]\n[dependency-groups]\n[tool.b]\n",
        "[tool]\nreleasekit = { lead = 'a' }\n",
        "[tool.releasekit]\r\nlead = 'a'\r\n",
    ],
)
def test_new_keys_keep_other_text(text: str) -> None:
    """Keys are added wherever the table is, all else stays, and adding them again changes nothing."""
    after = configured_text(text, KEYS)

    table = tomllib.loads(after)["tool"]["releasekit"]
    assert {key.name: table[key.name] for key in KEYS} == {key.name: key.value for key in KEYS}
    assert configured_text(after, []) == after
    if "releasekit" not in text:
        assert after.startswith(text)
    if "\r\n" in text:
        assert after.count("\n") == after.count("\r\n")


def test_inline_table_is_left_alone() -> None:
    """A table that cannot be added to is left alone, and what to add is said."""
    with pytest.raises(Refusal, match="cannot be added") as caught:
        configured_text("tool = { uv = {} }\n", KEYS[:1])

    assert caught.value.code is ErrorCode.CONFIG_INVALID_VALUE
    assert caught.value.hint == 'Add by hand: tag_format = ["{name}@{version}", "v{version}"]'


def test_ambiguous_missing_tag_is_skipped() -> None:
    """A tag that would stand for two commits is not made."""
    assert missing_tags([("v1.0", "a"), ("v1.0", "b"), ("v1.1", "c"), ("v1.1", "c")]) == {"v1.1": "c"}
