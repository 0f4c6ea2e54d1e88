"""`[tool.releasekit]`, and what is said of mistakes in it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from releasekit.core.config.bump_rules import Bump
from releasekit.core.config.settings import (
    BumpFile,
    Group,
    Settings,
    bump_files,
    outdated_keys,
    parse_member_settings,
    settings_of,
)
from releasekit.core.errors import ErrorCode, Refusal

if TYPE_CHECKING:
    from pydantic import BaseModel


def settings(table: str) -> Settings:
    """Return the settings in a file whose [tool.releasekit] begins on line 4."""
    text = f'[project]\nname = "root"\n\n[tool.releasekit]\n{table}\n'
    return settings_of(tomllib.loads(text), text)


def refusal(table: str) -> tuple[ErrorCode, str, str]:
    with pytest.raises(Refusal) as caught:
        settings(table)
    return caught.value.code, caught.value.message, caught.value.location


def test_settings_need_no_configuration() -> None:
    """Nothing has to be configured."""
    assert (
        settings_of({}) == settings_of({"tool": {}}) == settings("") == Settings.model_validate({})
    )


def test_defaults_match_the_documentation() -> None:
    """The defaults are those that the documentation promises."""
    given = settings_of({}).model_dump()

    assert {key: value for key, value in given.items() if value not in (False, "", (), {})} == {
        "cycles": "error",
        "versioning": "independent",
        "propagate": "out-of-range",
        "pins": "exact",
        "source_requirements": "raise",
        "prerelease": "stay",
        "prerelease_numbering": "count",
        "changes": "both",
        "tag_format": "{name}-v{version}",
        "umbrella_tag_format": "v{version}",
        "api_check": "warn",
        "reproducible": "off",
        "commit_message": "chore(release): {release}",
        "tag_message": "{tag}",
        "types": {"feat": "minor", "fix": "patch", "perf": "patch"},
        "unconventional": "none",
        "changelog": True,
        "changelog_path": "CHANGELOG.md",
        "changelog_prerelease_mode": "rollup",
        "publish_from": "local",
        "release_branch": "releasekit/release",
        "publish_workflow": "publish.yml",
        "remote": "origin",
        "record": "auto",
        "concurrency": 5,
        "tag": True,
        "push": True,
        "release": True,
        "forge": "auto",
        "smoke_test": True,
        "overlay": "install",
        "audit": True,
        "attestations": True,
        "http_pool_size": 10,
        "approval_timeout": 86400,
        "confirm_timeout": 600,
        "task_runner": "threads",
        "language": "python",
        "versioning_scheme": "semver",
        "confirm_interval": 10,
        "upload_retries": 4,
        "build_isolation": "each",
        "build_timeout": 1800,
        "upload_timeout": 600,
    }


@pytest.mark.parametrize("model", [Settings, Group, BumpFile])
def test_every_settings_key_is_described(model: type[BaseModel]) -> None:
    """Every key says what it is for, as a sentence without its full stop."""
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description[0].isupper(), name
        assert not field.description.endswith("."), name


def test_release_branch_must_be_valid() -> None:
    """A name that git takes for no branch is refused, also an empty one."""
    assert settings('release_branch = "next/release"').release_branch == "next/release"
    for name in ("", "a b", "-x", "a..b", "x.lock"):
        code, what, _ = refusal(f'release_branch = "{name}"')
        assert (code, what) == (
            ErrorCode.CONFIG_INVALID_VALUE,
            f'release_branch = "{name}": not a branch name that git accepts',
        )


def test_secrets_name_only_known_variables() -> None:
    """The token of a forge can be named like the credentials of an index; any other variable cannot."""
    assert settings('secrets.GITHUB_TOKEN = "forge"').secrets == {"GITHUB_TOKEN": "forge"}
    assert settings('secrets.GITLAB_TOKEN = "FORGE"').secrets == {"GITLAB_TOKEN": "FORGE"}
    assert refusal('secrets.PATH = "forge"')[0] is ErrorCode.CONFIG_INVALID_VALUE


def test_settings_cannot_be_changed() -> None:
    """Settings are a value."""
    with pytest.raises(ValidationError):
        setattr(settings_of({}), "concurrency", 3)  # noqa: B010  the type checkers know it too


class TestGroups:
    """Named sets of packages."""

    def test_group_is_list_or_table(self) -> None:
        """A group is a list of patterns, or a table that holds one."""
        found = settings(
            'groups.web = ["app", "web-*"]\n[tool.releasekit.groups.core]\npackages = ["core"]'
        )

        assert {name: group.packages for name, group in found.groups.items()} == {
            "web": ("app", "web-*"),
            "core": ("core",),
        }

    def test_dumped_settings_are_read_again(self) -> None:
        """Settings that were dumped, to lay options over them, are read again."""
        found = settings('groups.web = ["app"]')

        assert Settings.model_validate(found.model_dump()) == found

    def test_unknown_group_key_has_suggestion(self) -> None:
        """A key that a group does not have is named, with the nearest of a group's own."""
        code, what, where = refusal(
            'concurrency = 2\n[tool.releasekit.groups.core]\npackges = ["core"]'
        )

        assert (code, what) == (
            ErrorCode.CONFIG_INVALID_KEY,
            "unknown key packges; did you mean packages?",
        )
        assert where == "pyproject.toml:7, [tool.releasekit]"


class TestBumpFiles:
    """More files that hold a package's version."""

    def test_member_defines_its_bump_files(self) -> None:
        """A member names them in its own file; other keys there are somebody else's."""
        document = tomllib.loads(
            "[tool.releasekit]\nother = 1\nbump = [{ path = './a//b.py', pattern = '{version}' }]"
        )

        assert bump_files(document, "packages/a/pyproject.toml") == (
            BumpFile(path="a/b.py", pattern="{version}"),
        )
        assert bump_files({}, "packages/a/pyproject.toml") == ()

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ("path = '../a.py', pattern = '{version}'", "the path must be inside the package"),
            ('path = "a\\u0000", pattern = "{version}"', "the path must be inside the package"),
            ("path = 'a/../../b.py', pattern = '{version}'", "the path must be inside the package"),
            ("path = 'a\\..\\b.py', pattern = '{version}'", "the path must be inside the package"),
            ("path = '/a.py', pattern = '{version}'", "the path must be inside the package"),
            ("path = 'C:\\a.py', pattern = '{version}'", "the path must be inside the package"),
            ("path = '', pattern = '{version}'", "the path must be inside the package"),
            (
                "path = 'a.py', pattern = 'version'",
                "the pattern must contain {version} exactly once",
            ),
            (
                "path = 'a.py', pattern = '{version} {version}'",
                "the pattern must contain {version} exactly once",
            ),
            ("path = 'a.py'", "Field required"),
        ],
    )
    def test_wrong_bump_files_are_refused(self, entry: str, said: str) -> None:
        """A path out of the package and a pattern without a version are refused, with the member's file and line."""
        text = f"[project]\n[tool.releasekit]\nbump = [\n  {{ {entry} }},\n]\n"

        with pytest.raises(Refusal) as caught:
            bump_files(tomllib.loads(text), "packages/a/pyproject.toml", text)

        assert caught.value.code is ErrorCode.CONFIG_INVALID_VALUE
        assert caught.value.message.endswith(f": {said}")
        assert caught.value.location.startswith("packages/a/pyproject.toml:")

    def test_unknown_bump_key_has_suggestion(self) -> None:
        """A misspelt key is named with the nearest."""
        code, what, _ = refusal("bump = [{ path = 'a', patern = '{version}' }]")

        assert (code, what) == (
            ErrorCode.CONFIG_INVALID_KEY,
            "unknown key patern; did you mean pattern or path?",
        )


class TestBumps:
    """Which types of commits ask for what."""

    def test_default_types_ask_for_release(self) -> None:
        """Features, fixes and better performance ask for a release."""
        assert settings_of({}).bumps() == {
            "feat": Bump.MINOR,
            "fix": Bump.PATCH,
            "perf": Bump.PATCH,
        }

    def test_configured_types_replace_default_types(self) -> None:
        """Types are configurable, in any case, and take the place of the default ones."""
        found = settings('types = { Feat = "major", docs = "none" }')

        assert found.bumps() == {"feat": Bump.MAJOR, "docs": Bump.NONE}


class TestMistakes:
    """What is wrong, where, and what was probably meant."""

    @pytest.mark.parametrize(
        ("table", "key", "meant", "line"),
        [
            ('tag-format = "x"', "tag-format", "tag_format or root_tag_format", 5),
            (
                'tag_format = "{name}-v{version}"\n\nexlude = []',
                "exlude",
                "exclude or exclude_paths",
                7,
            ),
            ('  "pakages" = []', "pakages", "packages", 5),
            (
                "# concurency = 5\nconcurency = 5",
                "concurency",
                "concurrency or build_concurrency",
                6,
            ),
        ],
    )
    def test_unknown_settings_key_has_suggestion(
        self, table: str, key: str, meant: str, line: int
    ) -> None:
        """An unknown key is refused, with its line and the nearest known ones."""
        code, what, where = refusal(table)

        assert (code, what) == (
            ErrorCode.CONFIG_INVALID_KEY,
            f"unknown key {key}; did you mean {meant}?",
        )
        assert where == f"pyproject.toml:{line}, [tool.releasekit]"

    def test_strange_key_has_no_suggestion(self) -> None:
        """A key that resembles none is just unknown."""
        assert refusal("zzz = 1")[1] == "unknown key zzz"

    @pytest.mark.parametrize(
        ("table", "said", "line"),
        [
            ('cycles = "allow"', "cycles = \"allow\": Input should be 'error' or 'batch'", 5),
            ('publish_from = "me"', "publish_from = \"me\": Input should be 'local' or 'ci'", 5),
            (
                'types.feat = "major"\ntypes.fix = "tiny"',
                "types.fix = \"tiny\": Input should be 'major', 'minor',",
                6,
            ),
            (
                '[tool.releasekit.types]\nfix = "tiny"',
                "types.fix = \"tiny\": Input should be 'major', 'minor', ",
                6,
            ),
            ('packages = "core"', 'packages = "core": Input should be a list', 5),
            (
                "umbrella_tag_format = 'x'\ntag_format = 3",
                "tag_format = 3: Input should be a valid string",
                6,
            ),
            ("tag = []", "tag = []: Input should be a valid boolean", 5),
            ('concurrency = "many"', 'concurrency = "many": Input should be a valid integer', 5),
            ('first_version = "one"', 'first_version = "one": not a version (PEP 440)', 5),
            ("concurrency = 0", "concurrency = 0: Input should be greater than or equal to 1", 5),
            (
                "build_concurrency = -1",
                "build_concurrency = -1: Input should be greater than or equal to 0",
                5,
            ),
            ("confirm_timeout = 0", "confirm_timeout = 0: Input should be greater than 0", 5),
            ("groups.core = 3", "groups.core = 3: a group is a list of packages, or a table", 5),
            ("packages = []\ngroups.core = {}", "groups.core.packages = {}: Field required", 6),
            (
                'changelog_exclude = ["(typo"]',
                'changelog_exclude.0 = "(typo": not a regular expression: ',
                5,
            ),
            (
                'changelog_path = "../NEWS.md"',
                'changelog_path = "../NEWS.md": the path must be inside the package',
                5,
            ),
            (
                'changelog_path = "/NEWS.md"',
                'changelog_path = "/NEWS.md": the path must be inside the package',
                5,
            ),
            ('changelog_path = ""', 'changelog_path = "": the path must be inside the package', 5),
            ('changelog_path = "docs/"', 'changelog_path = "docs/": the path must name a file', 5),
            ('changelog_path = "."', 'changelog_path = ".": the path must name a file', 5),
            (
                'changelog_path = "NEWS.rst"',
                'changelog_path = "NEWS.rst": a changelog is written as Markdown, so ',
                5,
            ),
            (
                'exclude_paths = ["../docs"]',
                'exclude_paths.0 = "../docs": the path must be inside the directory of this pyproject.toml',
                5,
            ),
            (
                'exclude_paths = ["./"]',
                'exclude_paths.0 = "./": this excludes every file; to publish nothing, use `exclude`',
                5,
            ),
            (
                'include_paths = ["../docs/../a"]',
                'include_paths.0 = "../docs/../a": the path must be inside the repository',
                5,
            ),
            (
                'include_paths = ["/srv"]',
                'include_paths.0 = "/srv": the path must be inside the repository',
                5,
            ),
            (
                'include_paths = [""]',
                'include_paths.0 = "": the path must be inside the repository',
                5,
            ),
            ('commit_message = ""', 'commit_message = "": the title is empty', 5),
            ('pre_release = [""]', 'pre_release.0 = "": the command is empty', 5),
            ("pre_release = [[]]", "pre_release.0 = []: the command is empty", 5),
            (
                "pre_release = [\n'make', \"it's\"]",
                'pre_release.1 = "it\'s": not a command: No closing quotation',
                6,
            ),
            (
                'pre_release = ["a && b"]',
                'pre_release.0 = "a && b": no shell runs the command, so && has no effect',
                5,
            ),
            (
                'pre_release = ["a\\u0000"]',
                'pre_release.0 = "a\\u0000": a command cannot contain a null char',
                5,
            ),
            ("pre_release = [[3]]", "pre_release.0.0 = 3: Input should be a valid string", 5),
            ('pre_release = "make"', 'pre_release = "make": Input should be a list', 5),
            ("commit_message = []", "commit_message = []: the list is empty", 5),
            (
                'commit_message = "Release it"',
                'commit_message = "Release it": the title must contain {release} ',
                5,
            ),
            ('tag_message = " "', 'tag_message = " ": the title is empty', 5),
            (
                'tag_message = "{packages}"',
                'tag_message = "{packages}": {packages} is unknown; the placeholders are ',
                5,
            ),
            (
                'changelog_prerelease_mode = "merge"',
                "changelog_prerelease_mode = \"merge\": Input should be 'rollup'",
                5,
            ),
            (
                'exclude = [\n  "sample",\n  3,\n]',
                "exclude.1 = 3: Input should be a valid string",
                5,
            ),
            ("rate_limit = true", "rate_limit = true: Input should be a valid integer", 5),
            ('push = "no"', 'push = "no": Input should be a valid boolean', 5),
            ('concurrency = "7"', 'concurrency = "7": Input should be a valid integer', 5),
            ("concurrency = 7.0", "concurrency = 7.0: Input should be a valid integer", 5),
            ("changelog = 1", "changelog = 1: Input should be a valid boolean", 5),
            ('confirm_timeout = "5"', 'confirm_timeout = "5": Input should be a valid number', 5),
            ("first_version = 1.0", "first_version = 1.0: Input should be a valid string", 5),
            (
                "first_version = 2026-01-31",
                "first_version = 2026-01-31: Input should be a valid string",
                5,
            ),
            ('allow_new = "core"', 'allow_new = "core": Input should be a list', 5),
        ],
    )
    def test_wrong_value_names_allowed_values(self, table: str, said: str, line: int) -> None:
        """A wrong value is refused, with what is allowed instead."""
        code, what, where = refusal(table)

        assert code is ErrorCode.CONFIG_INVALID_VALUE
        assert what.startswith(said)
        assert where == f"pyproject.toml:{line}, [tool.releasekit]"

    def test_needless_key_changes_nothing(self) -> None:
        """A key that an earlier plan had is no mistake; the caller gets the sentence for a warning."""
        text = "[tool.releasekit]\nverify_checksums = true\n"
        document = tomllib.loads(text)

        assert settings_of(document, text) == settings("")
        assert outdated_keys(document) == [
            "verify_checksums has no effect: the checksums of all files are always compared"
        ]
        assert outdated_keys({}) == []

    def test_roadmap_configuration_loads(self) -> None:
        """Every key of the first roadmap is accepted; one that has another name now sets that, with a warning."""
        text = """[tool.releasekit]
tag_format = "{label}/{name}-v{version}"
umbrella_tag = "{label}/v{version}"
label = "py"
publish_from = "ci"
groups = { core = ["genkit"], plugins = ["genkit-plugin-*"] }
exclude = ["sample-*"]
changelog = true
changelog_prerelease_mode = "separate"
smoke_test = false
verify_checksums = true
http_pool_size = 20
"""
        document = tomllib.loads(text)

        loaded = settings_of(document, text)

        assert loaded.umbrella_tag_format == "{label}/v{version}"
        assert (loaded.publish_from, loaded.exclude, loaded.http_pool_size) == (
            "ci",
            ("sample-*",),
            20,
        )
        assert loaded.groups["plugins"].packages == ("genkit-plugin-*",)
        assert outdated_keys(document)[1:] == ["umbrella_tag is called umbrella_tag_format now"]

    def test_new_name_wins_over_old(self) -> None:
        """If a key is there with both names, the new one counts."""
        text = (
            "[tool.releasekit]\numbrella_tag = 'a{version}'\numbrella_tag_format = 'b{version}'\n"
        )

        assert settings_of(tomllib.loads(text), text).umbrella_tag_format == "b{version}"

    def test_language_other_than_python_refused(self) -> None:
        """A package says its language; one without a backend is refused by its name, in the member's own file."""
        assert settings('language = "python"') == settings("")
        text = '[tool.releasekit]\nlanguage = "rust"\n'
        with pytest.raises(Refusal) as caught:
            parse_member_settings(tomllib.loads(text), "crates/core/pyproject.toml", text)

        assert caught.value.code is ErrorCode.CONFIG_INVALID_VALUE
        assert caught.value.location.startswith("crates/core/pyproject.toml:2")
        assert "has no backend for rust" in caught.value.message

    def test_settings_must_be_a_table(self) -> None:
        """Something else than a table is refused."""
        with pytest.raises(Refusal, match=r"tool\.releasekit = 3: Input should be") as caught:
            settings_of({"tool": {"releasekit": 3}})

        assert caught.value.code is ErrorCode.CONFIG_INVALID_VALUE

    def test_same_key_elsewhere_is_ignored(self) -> None:
        """A key of the same name in another table does not lead astray; without the text it is the first line."""
        text = "[tool.other]\ntag = 1\n[tool.releasekit]\nextag = 1\ntag = []\n"

        with pytest.raises(Refusal) as caught:
            settings_of({"tool": {"releasekit": {"tag": []}}}, text)
        assert caught.value.location == "pyproject.toml:5, [tool.releasekit]"
        with pytest.raises(Refusal) as caught:
            settings_of({"tool": {"releasekit": {"tag": []}}})
        assert caught.value.location == "pyproject.toml:1, [tool.releasekit]"


class TestOwn:
    """What a member says for itself."""

    def read(self, table: str) -> dict[str, Any]:
        text = f"[project]\n[tool.releasekit]\n{table}\n"
        return parse_member_settings(tomllib.loads(text), "packages/core/pyproject.toml", text)

    def test_member_settings_hold_written_keys(self) -> None:
        """It has what is written there, and nothing else."""
        assert self.read('changelog_path = "./docs//NEWS.md"') == {"changelog_path": "docs/NEWS.md"}
        assert self.read('tag_format = "v{version}"\nchangelog = false') == {
            "tag_format": "v{version}",
            "changelog": False,
        }
        assert self.read('major_on_zero = true\ntypes = { docs = "patch" }') == {
            "major_on_zero": True,
            "types": {"docs": "patch"},
        }
        assert parse_member_settings({}, "packages/core/pyproject.toml") == {}

    @pytest.mark.parametrize(
        ("table", "code", "said", "line"),
        [
            (
                "major_on_zro = true",
                ErrorCode.CONFIG_INVALID_KEY,
                "unknown key major_on_zro; did you mean major_on_zero?",
                3,
            ),
            (
                'types = {}\nindex = "inner"',
                ErrorCode.CONFIG_INVALID_KEY,
                "index can only be set in the root",
                4,
            ),
            (
                'smoke_test = "x"',
                ErrorCode.CONFIG_INVALID_VALUE,
                'smoke_test = "x": Input should be a valid boolean',
                3,
            ),
        ],
    )
    def test_member_settings_error_names_file(
        self, table: str, code: ErrorCode, said: str, line: int
    ) -> None:
        """A mistake is named with the member's file."""
        with pytest.raises(Refusal) as caught:
            self.read(table)

        assert caught.value.code is code
        assert caught.value.message.startswith(said)
        assert caught.value.location == f"packages/core/pyproject.toml:{line}, [tool.releasekit]"
