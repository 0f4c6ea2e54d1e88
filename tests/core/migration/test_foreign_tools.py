"""What the configurations of other release tools say, read from files as those tools write them."""

from __future__ import annotations

import json

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.migration.foreign_setup import ForeignKey, ForeignSetup, ForeignTool, Places
from releasekit.core.migration.foreign_tools import detect_tools, read_foreign

PLACES = Places({"packages/core": "shop-core", "packages/web": "shop-web"})


def values(keys: tuple[ForeignKey, ...]) -> dict[str, object]:
    """Return keys without their comments."""
    return {key.name: key.value for key in keys}


def leftovers(setup: ForeignSetup) -> set[str]:
    """Return what is not taken over."""
    return {left.what for left in setup.not_taken_over}


def test_release_please_options_become_keys() -> None:
    """The manifest is a baseline, components are tag formats, and options of a package win over those of the root."""
    config = {
        "$schema": "https://schema.example/config.json",
        "release-type": "python",
        "bump-minor-pre-major": True,
        "changelog-sections": [
            {"type": "feat", "section": "New"},
            {"type": "chore", "section": "Chores", "hidden": True},
        ],
        "separate-pull-requests": False,
        "plugins": [
            {
                "type": "linked-versions",
                "groupName": "the shop",
                "components": ["core", "shop-web", "ui"],
            },
            "sentence-case",
        ],
        "packages": {
            "packages/core": {
                "component": "core",
                "extra-files": ["src/core.py"],
                "exclude-paths": ["packages/core/docs/", "web", "packages"],
                "bump-minor-pre-major": False,
                "changelog-path": "NEWS.md",
            },
            "packages/web": {"component": "shop-web", "bump-patch-for-minor-pre-major": True},
            "web/ui": {"release-type": "node", "component": "ui"},
        },
    }
    manifest = {
        "packages/core": "1.2.0-rc.1",
        "packages/web": "0.0.0",
        "web/ui": "3.0.0",
        "old": "1.0.0",
    }
    texts = {
        "release-please-config.json": json.dumps(config),
        ".release-please-manifest.json": json.dumps(manifest),
    }

    setup = read_foreign("release-please", texts, PLACES)

    assert setup.baselines == {"shop-core": Version("1.2.0rc1")}
    assert values(setup.root_keys) == {
        "tag_format": "{name}-v{version}",
        "changelog_sections": {"feat": "New", "chore": ""},
        "groups": {"the-shop": {"packages": ["shop-core", "shop-web"], "versioning": "fixed"}},
    }
    assert {name: values(keys) for name, keys in setup.member_keys.items()} == {
        "shop-core": {
            "tag_format": "core-v{version}",
            "major_on_zero": True,
            "changelog_path": "NEWS.md",
            "exclude_paths": ["docs"],
        },
        "shop-web": {"types": {"feat": "patch"}},
    }
    assert leftovers(setup) == {
        'packages: "web/ui"',
        "plugins: sentence-case",
        ".release-please-manifest.json: old",
    }
    assert setup.removable == ("release-please-config.json", ".release-please-manifest.json")


@pytest.mark.parametrize(
    ("options", "tag_format"),
    [
        ({"component": "shop-core", "include-v-in-tag": False}, "{name}-{version}"),
        ({"package-name": "shop-core", "tag-separator": "/"}, "{name}/v{version}"),
        ({"component": "Shop_Core"}, "Shop_Core-v{version}"),
        ({"include-component-in-tag": False}, "v{version}"),
        ({}, None),
    ],
)
def test_release_please_tags_keep_form(options: dict[str, object], tag_format: str | None) -> None:
    """New tags look like the old ones, letter for letter; without a component, nothing is claimed."""
    texts = {"release-please-config.json": json.dumps({"packages": {"packages/core": options}})}

    setup = read_foreign("release-please", texts, PLACES)

    assert values(setup.root_keys).get("tag_format") == tag_format
    assert values(setup.root_keys)["major_on_zero"] is True


def test_changesets_groups_name_python_packages() -> None:
    """Names of npm lead to the Python package beside that package.json; its version is the last release."""
    config = {
        "changelog": ["@changesets/changelog-github", {"repo": "shop/shop"}],
        "commit": False,
        "fixed": [["@shop/*"]],
        "linked": [["shop-ui"]],
        "access": "public",
        "baseBranch": "origin/main",
        "updateInternalDependencies": "patch",
        "ignore": [],
    }
    texts = {
        ".changeset/config.json": json.dumps(config),
        "packages/core/package.json": json.dumps({"name": "@shop/core", "version": "2.1.0"}),
        "packages/web/package.json": json.dumps(
            {"name": "@shop/web", "version": "2.1.0", "private": True}
        ),
    }

    setup = read_foreign("changesets", texts, PLACES)

    assert setup.baselines == {"shop-core": Version("2.1.0"), "shop-web": Version("2.1.0")}
    assert values(setup.root_keys) == {
        "changes": "files",
        "groups": {"fixed": {"packages": ["shop-core", "shop-web"], "versioning": "fixed"}},
        "source_requirements": "always",
        "allow_branches": ["main"],
    }
    assert leftovers(setup) == {"linked: shop-ui", "changelog", "access"}


def test_semantic_release_tables_of_packages() -> None:
    """Each package has its table: its tag format with its name, its types, and its rule below 1.0."""
    table = '[tool.semantic_release]\ntag_format = "shop-core-v{version}"\nmajor_on_zero = false\n'
    table += 'version_toml = ["pyproject.toml:project.version"]\nversion_variables = ["src/a.py:__version__"]\n'
    table += '[tool.semantic_release.commit_parser_options]\nminor_tags = ["feat"]\npatch_tags = ["fix", "perf"]\n'
    table += 'path_filters = [".", "!tests/**", "!../web", "../../proto/**/*", "../shared/*.py", "../../uv.lock"]\n'
    table += '[tool.semantic_release.branches.main]\nmatch = "(main|master)"\n'
    table += '[tool.semantic_release.branches.next]\nmatch = "next"\nprerelease = true\n'
    other = '[tool.semantic_release]\ntag_format = "web@{version}"\nallow_zero_version = false\n'
    texts = {"packages/core/pyproject.toml": table, "packages/web/pyproject.toml": other}

    setup = read_foreign("python-semantic-release", texts, PLACES)

    assert values(setup.root_keys) == {
        "tag_format": "{name}-v{version}",
        "allow_branches": ["main", "master"],
    }
    assert {name: values(keys) for name, keys in setup.member_keys.items()} == {
        "shop-core": {
            "types": {"perf": "patch", "fix": "patch", "feat": "minor"},
            "include_paths": ["../../proto", "../shared/*.py"],
            "exclude_paths": ["tests"],
        },
        "shop-web": {"tag_format": "web@{version}", "major_on_zero": True},
    }
    assert leftovers(setup) == {
        "branches.next.prerelease in packages/core/pyproject.toml",
        "allow_zero_version in packages/web/pyproject.toml",
    }


CZ_TOML = """\
[tool.commitizen]
version = "1.4.0"
tag_format = "v$version"
major_version_zero = true
version_files = ["src/a.py"]
bump_map = { "^feat" = "MINOR", "^.+!$" = "MAJOR" }
"""
CZ_JSON = """\
{"commitizen": {"version": "1.4.0", "tag_format": "v$version", "major_version_zero": true,
"version_files": ["src/a.py"], "bump_map": {"^feat": "MINOR", "^.+!$": "MAJOR"}}}
"""
CZ_YAML = """\
---
commitizen:
  version: 1.4.0  # by cz
  tag_format: 'v$version'
  major_version_zero: true
  version_files:
    - src/a.py
  customize:
    schema: a
"""


@pytest.mark.parametrize(
    ("path", "text"), [("pyproject.toml", CZ_TOML), (".cz.json", CZ_JSON), (".cz.yaml", CZ_YAML)]
)
def test_commitizen_files_say_the_same(path: str, text: str) -> None:
    """One version and one tag are for all packages, in each of the formats that commitizen has."""
    setup = read_foreign("commitizen", {path: text}, PLACES)

    assert setup.baselines == dict.fromkeys(("shop-core", "shop-web"), Version("1.4.0"))
    keys = values(setup.root_keys)
    assert (keys["tag_format"], keys["versioning"], keys.get("major_on_zero")) == (
        "v{version}",
        "fixed",
        None,
    )
    assert keys.get("types") == (None if path == ".cz.yaml" else {"feat": "minor"})
    assert leftovers(setup) == set()
    assert [file.what for file in setup.version_files] == [f"version_files: src/a.py in {path}"]


def test_semversioner_history_names_last_release() -> None:
    """The highest version among the releases is the last one of all packages; waiting changes are no releases."""
    texts = {".semversioner/1.9.0.json": "", ".semversioner/1.10.0.json": ""}

    setup = read_foreign("semversioner", texts, PLACES)

    assert setup.baselines == dict.fromkeys(("shop-core", "shop-web"), Version("1.10.0"))
    assert values(setup.root_keys) == {"changes": "files", "versioning": "fixed"}
    assert setup.removable == (".semversioner/1.9.0.json", ".semversioner/1.10.0.json")


BUMP_TOML = """\
[tool.bumpversion]
current_version = "1.2.0"
tag_name = "core/{new_version}"
parse = "x"
[[tool.bumpversion.files]]
filename = "src/a.py"
search = "VERSION = {current_version}"
[[tool.bumpversion.files]]
filename = "README.md"
[[tool.bumpversion.files]]
filename = "pyproject.toml"
"""
BUMP_CFG = """\
[bumpversion]
current_version = 1.2.0
tag_name = core/{new_version}
commit = True
parse = x
[bumpversion:file:src/a.py]
search = VERSION = {current_version}
[bumpversion:file:README.md]
[bumpversion:file:pyproject.toml]
"""


@pytest.mark.parametrize(
    ("name", "text"), [(".bumpversion.toml", BUMP_TOML), (".bumpversion.cfg", BUMP_CFG)]
)
def test_bump_my_version_formats_are_equal(name: str, text: str) -> None:
    """TOML and the older INI files say the same."""
    path = f"packages/core/{name}"
    setup = read_foreign("bump-my-version", {path: text}, PLACES)

    assert setup.baselines == {"shop-core": Version("1.2.0")}
    assert values(setup.root_keys) == {"tag_format": "core/{version}"}
    assert [(file.package, file.path) for file in setup.version_files] == [
        ("shop-core", "src/a.py"),
        ("shop-core", "README.md"),
    ]
    assert leftovers(setup) == {f"parse in {path}"}


@pytest.mark.parametrize(
    ("tool", "path", "text", "location"),
    [
        (
            "release-please",
            ".release-please-manifest.json",
            '{\n  "a": 1,,\n}',
            ".release-please-manifest.json:2",
        ),
        ("changesets", ".changeset/config.json", "[]", ".changeset/config.json:1"),
        ("commitizen", ".cz.toml", "[tool.commitizen]\nversion =\n", ".cz.toml:2"),
        ("bump-my-version", ".bumpversion.cfg", "[bumpversion]\nno key\n", ".bumpversion.cfg:2"),
    ],
)
def test_broken_foreign_file_names_line(
    tool: ForeignTool, path: str, text: str, location: str
) -> None:
    """A broken file is refused with its line, and does not stop `init` from looking for tools."""
    with pytest.raises(Refusal) as refusal:
        read_foreign(tool, {path: text}, PLACES)

    assert (refusal.value.code, refusal.value.location) == (ErrorCode.CONFIG_FOREIGN, location)
    detect_tools({path: text})


def test_missing_configuration_names_others() -> None:
    """A tool that is not used here is refused, and the one that is used is named."""
    texts = {".changeset/config.json": "{}", "packages/core/package.json": '{"name": "a"}'}

    assert detect_tools(texts) == ("changesets",)
    with pytest.raises(Refusal, match="no configuration of commitizen") as refusal:
        read_foreign("commitizen", texts, PLACES)
    assert "changesets" in refusal.value.hint


def test_unknown_keys_are_left_out() -> None:
    """A key that releasekit does not have, or not for a member, is not written, but said."""
    keys = (
        ForeignKey("tag_format", "v{version}", "Tags."),
        ForeignKey("colour", "red", "The colour."),
    )

    setup = ForeignSetup("changesets", root_keys=keys, member_keys={"core": keys}).only_known(
        ["tag_format"], []
    )

    assert (values(setup.root_keys), setup.member_keys) == ({"tag_format": "v{version}"}, {})
    assert leftovers(setup) == {"The colour", "The colour of core", "Tags of core"}
