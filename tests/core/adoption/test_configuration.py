"""The keys that `init` adds to [tool.releasekit], and the text of the file with them."""

from __future__ import annotations

import tomllib

import pytest

from releasekit.core.adoption.configuration import (
    MissingKey,
    Proposals,
    choose_pins,
    configured_text,
    find_batches,
    missing_tags,
    root_keys,
)
from releasekit.core.adoption.findings import InternalPackage
from releasekit.core.adoption.tagging import Tagging
from releasekit.core.errors import ErrorCode, Refusal
from tests.support.builders import workspace_of as workspace_of_lines


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


@pytest.mark.parametrize(
    ("lines", "cycles"),
    [
        (["app: core", "core: app", "web: app"], ("app", "core")),
        (["app: core", "core:"], ()),
        (["app: app", "app[all]: app[fast]"], ()),
        (["app (build): core", "core: app"], ()),
        (["app (group): core", "core: app"], ()),
        (["app[fast]: core", "core: app"], ()),
        (["app: home", "home: app"], ()),
    ],
)
def test_runtime_cycles_become_batches(lines: list[str], cycles: tuple[str, ...]) -> None:
    """Published packages that require each other at run time can be released together; a build needs one first."""
    workspace = workspace_of_lines(*lines)

    batches = find_batches(workspace, workspace.members.keys() - {"home"})

    assert [set(path) for path in batches] == ([set(cycles)] if cycles else [])


KEYS = [
    MissingKey("tag_format", ["{name}@{version}", "v{version}"], "Why."),
    MissingKey("exclude", ["samples/*"], ""),
    MissingKey(
        "groups", {"a": ["a/*"], "b c": {"packages": ["b/*"], "versioning": "fixed"}}, "Those."
    ),
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
    assert missing_tags([("v1.0", "a"), ("v1.0", "b"), ("v1.1", "c"), ("v1.1", "c")]) == {
        "v1.1": "c"
    }


def test_excluded_packages_have_reasons() -> None:
    """The comment of `exclude` names the reason for each package; a key that is set already is not proposed."""
    workspace = workspace_of_lines("app:", "core:", "tests:")
    internal = InternalPackage(name="tests", path="packages/tests", reason="never released")
    proposals = Proposals(Tagging(), excluded=(internal,))

    (key,) = root_keys({}, proposals, workspace)

    assert (key.name, key.value) == ("exclude", ["tests"])
    assert key.comment.splitlines()[1:] == ["tests: never released"]
    assert root_keys({"exclude": ["app"]}, proposals, workspace) == []


def test_unread_tags_end_defaults_comment() -> None:
    """A new table without keys says that the defaults fit only if all tags that look like versions are read."""
    assert "The defaults fit" in configured_text("", [])
    assert "The defaults fit" not in configured_text("", [], fits=False)
