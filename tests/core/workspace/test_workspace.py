"""The members of a workspace, for all valid forms of their files."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace.workspace import DeclaredVersion, Kind, requirement_of, workspace_of
from tests.support import builders

if TYPE_CHECKING:
    from releasekit.core.workspace.workspace import Member


def member(
    pyproject: str, *, declared: DeclaredVersion | None = None, path: str = "packages/it"
) -> Member:
    """Return the only member, whose pyproject.toml is *pyproject*."""
    documents = {path: tomllib.loads(pyproject)}
    (only,) = workspace_of(documents, builders.settings_of(), {path: declared} if declared else {})
    return only


def publishable(documents: dict[str, dict[str, Any]], **settings: object) -> list[str]:
    """Return the names of the publishable members."""
    workspace = workspace_of(documents, builders.settings_of(**settings))
    return [member.name for member in workspace if member.publishable]


class TestNames:
    """PEP 503: case, hyphen, underscore and dot make no difference."""

    @pytest.mark.parametrize(
        "written", ["fps-auth", "fps_auth", "Fps.Auth", "FPS--auth", "fps-_.auth"]
    )
    def test_requirement_matches_every_name_spelling(self, written: str) -> None:
        """A requirement finds its member in every spelling of both names."""
        workspace = builders.workspace_of("Fps_Auth: ", f"app: {written}>=1")

        assert list(workspace.members) == ["app", "fps-auth"]
        assert workspace.required_members(workspace["app"], Kind.RUNTIME) == {"fps-auth"}
        assert workspace["fps-auth"].raw_name == "Fps_Auth"

    def test_duplicate_member_name_is_refused(self) -> None:
        """Two members with one name are refused, with the paths of both."""
        documents = {"a": {"project": {"name": "fps-auth"}}, "b": {"project": {"name": "Fps_Auth"}}}

        with pytest.raises(Refusal, match="two members are named fps-auth") as caught:
            workspace_of(documents, builders.settings_of())

        assert (caught.value.code, caught.value.location) == (ErrorCode.WORKSPACE_DUPLICATE, "a, b")

    def test_extra_names_are_normalised(self) -> None:
        """The name of an extra is normalised too (PEP 685)."""
        (need,) = builders.workspace_of("app[Fast_IO]: core")["app"].needs

        assert (need.kind, need.extra) == (Kind.EXTRA, "fast-io")


class TestRequirements:
    """Where requirements are declared."""

    def test_each_requirement_table_has_kind(self) -> None:
        """Each table has its kind. An included group is not a requirement."""
        found = member("""
            [build-system]
            requires = ["hatchling", "plugin"]
            [project]
            name = "it"
            dependencies = ["core>=1"]
            optional-dependencies = { fast = ["speedups"] }
            [dependency-groups]
            dev = ["lint", { include-group = "test" }]
            test = ["pytest"]
        """)

        assert {(need.name, need.kind.value, need.extra) for need in found.needs} == {
            ("hatchling", "build", ""),
            ("plugin", "build", ""),
            ("core", "runtime", ""),
            ("speedups", "extra", "fast"),
            ("lint", "group", ""),
            ("pytest", "group", ""),
        }

    def test_hatch_hook_adds_member_requirements(self) -> None:
        """Requirements of hatch's hook count. Their version is not known before the build."""
        found = member("""
            [project]
            name = "it"
            dynamic = ["version", "dependencies", "optional-dependencies"]
            [tool.hatch.metadata.hooks.uv-dynamic-versioning]
            dependencies = ["slim[a,b]=={{ version }}", "httpx>=0.27"]
            optional-dependencies = { cli = ["it-cli == {{version}} ; python_version >= '3.11'"] }
        """)

        assert [(need.name, need.kind.value, str(need.requirement)) for need in found.needs] == [
            ("slim", "runtime", "slim[a,b]"),
            ("httpx", "runtime", "httpx>=0.27"),
            ("it-cli", "extra", 'it-cli; python_version >= "3.11"'),
        ]

    def test_hatch_build_adds_build_requirements(self) -> None:
        """What hatchling installs for a build counts: for the build, its targets, and the hooks that run by default."""
        found = member("""
            [project]
            name = "it"
            [tool.hatch.build]
            dependencies = ["all"]
            hooks.custom = { dependencies = ["hook>=1"], require-runtime-features = ["Fast_IO"] }
            hooks.odd = { dependencies = 3 }
            hooks.off = { dependencies = ["off"], enable-by-default = false, require-runtime-dependencies = true }
            [tool.hatch.build.targets.wheel]
            dependencies = ["wheel"]
            hooks.custom.dependencies = ["both"]
        """)

        assert [(need.name, need.kind.value) for need in found.needs] == [
            ("all", "build"),
            ("hook", "build"),
            ("wheel", "build"),
            ("both", "build"),
        ]
        assert found.extras_at_build == {"fast-io"}

    def test_invalid_requirement_names_its_file(self) -> None:
        """An invalid requirement is refused, with its file."""
        with pytest.raises(Refusal, match="'core >< 1' is not a valid requirement") as caught:
            member('[project]\nname = "it"\ndependencies = ["core >< 1"]')

        assert caught.value.code is ErrorCode.WORKSPACE_REQUIREMENT
        assert caught.value.location == "packages/it/pyproject.toml"
        assert "\n" not in caught.value.message

    def test_external_requirements_appear_once(self) -> None:
        """External requirements are those at run time and of extras, each listed once."""
        workspace = workspace_of(
            {
                "it": tomllib.loads("""
                    build-system.requires = ["hatchling"]
                    dependency-groups.dev = ["pytest"]
                    [project]
                    name = "it"
                    dependencies = ["httpx>=0.27", "it[fast]"]
                    optional-dependencies = { fast = ["uvloop", "httpx >= 0.27"] }
                """)
            },
            builders.settings_of(),
        )

        assert workspace.external_requirements(workspace["it"]) == ("httpx>=0.27", "uvloop")

    @pytest.mark.parametrize(
        "template", ["=={{ version }}", "~={{version}}", ">= {{ version.base }}, <9", "==={{v}}"]
    )
    def test_version_template_allows_every_version(self, template: str) -> None:
        """A template in place of a version allows every version."""
        assert str(requirement_of(f"core[x]{template}")) == "core[x]"


class TestPublishable:
    """Which members may be published: a guess from their files, or the settings."""

    @pytest.mark.parametrize(
        ("pyproject", "expected"),
        [
            ('[build-system]\nrequires = []\n[project]\nname = "it"', True),
            ('[project]\nname = "it"', False),
            (
                '[build-system]\nrequires = []\n[project]\nname = "it"\n[tool.uv]\npackage = false',
                False,
            ),
            (
                '[build-system]\nrequires = []\n[project]\nname = "it"\n[tool.uv]\npackage = true',
                True,
            ),
            (
                '[build-system]\nrequires = []\n[project]\nname = "it"\nclassifiers = ["Private :: No"]',
                False,
            ),
            (
                '[build-system]\nrequires = []\n[project]\nname = "it"\nclassifiers = ["Typing :: Typed"]',
                True,
            ),
        ],
    )
    def test_package_files_decide_publishable(self, pyproject: str, expected: bool) -> None:
        """A publishable package has a build system, no `package = false` and no `Private ::` classifier."""
        assert member(pyproject).publishable is expected

    def test_packages_setting_decides_publishable(self) -> None:
        """If `packages` is set, exactly those members are publishable, whatever their files say."""
        documents = builders.documents_of("core:", "sample:")
        documents["."] = {"project": {"name": "Root"}, "tool": {"uv": {"package": False}}}

        assert publishable(documents) == ["core", "sample"]
        assert publishable(documents, packages=("root", "core")) == ["core", "root"]

    def test_exclude_wins_over_packages(self) -> None:
        """`exclude` wins over `packages`."""
        documents = builders.documents_of("core:", "sample-one:", "sample-two:")

        assert publishable(documents, exclude=("sample-*",)) == ["core"]
        assert publishable(documents, packages=("core", "sample-one"), exclude=("sample-one",)) == [
            "core"
        ]


class TestPatterns:
    """Names, globs and paths that match members."""

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("fps-auth", {"fps-auth"}),
            ("Fps_Auth", {"fps-auth"}),
            ("fps.*", {"fps-auth", "fps-db"}),
            ("FPS_*", {"fps-auth", "fps-db"}),
            ("fps-[a-c]*", {"fps-auth"}),
            ("*", {"fps-auth", "fps-db", "web"}),
            ("packages/web", {"web"}),
            ("packages/web/", {"web"}),
            ("packages/fps*", {"fps-auth", "fps-db"}),
        ],
    )
    def test_pattern_matches_name_or_path(self, pattern: str, expected: set[str]) -> None:
        """A pattern with a slash is a path, any other is a name in any spelling. Both may be globs."""
        workspace = builders.workspace_of("Fps_Auth:", "fps.db:", "web:")

        assert workspace.matching_names([pattern]) == expected

    def test_several_patterns_form_a_union(self) -> None:
        """The result is the union of all patterns; without patterns it is empty."""
        workspace = builders.workspace_of("a:", "b:", "c:")

        assert workspace.matching_names(["a", "c"]) == {"a", "c"}
        assert workspace.matching_names([]) == frozenset()

    @pytest.mark.parametrize(
        ("pattern", "said"),
        [
            ("corr", "no workspace member matches corr; did you mean core?"),
            ("packages/none", "no workspace member matches packages/none"),
            ("zzz-*", "no workspace member matches zzz-*"),
        ],
    )
    def test_unmatched_member_pattern_is_refused(self, pattern: str, said: str) -> None:
        """A pattern without a match is refused, with the most similar name."""
        with pytest.raises(Refusal) as caught:
            builders.workspace_of("core:", "web:").matching_names(["web", pattern])

        assert (caught.value.code, caught.value.message) == (
            ErrorCode.WORKSPACE_UNKNOWN_PACKAGE,
            said,
        )

    @pytest.mark.parametrize("key", ["packages", "exclude"])
    def test_unmatched_pattern_in_settings_fails(self, key: str) -> None:
        """An outdated name in the settings is refused too. Otherwise the wrong packages could be published."""
        with pytest.raises(Refusal, match="did you mean core"):
            publishable(builders.documents_of("core:"), **{key: ("coer",)})


class TestVersions:
    """Where a version is declared."""

    def test_static_version_is_normalised(self) -> None:
        """A version in the project table is normalised as in PEP 440."""
        found = member('[project]\nname = "it"\nversion = "1.0-rc.1"\nrequires-python = ">=3.11"')

        assert (found.version, found.dynamic, found.version_file) == (Version("1.0rc1"), False, "")
        assert found.requires_python == ">=3.11"

    def test_invalid_declared_version_is_refused(self) -> None:
        """An invalid version is refused, with its file."""
        with pytest.raises(Refusal, match="'one' is not a PEP 440 version") as caught:
            member('[project]\nname = "it"\nversion = "one"')

        assert (caught.value.code, caught.value.location) == (
            ErrorCode.VERSION_INVALID,
            "packages/it/pyproject.toml",
        )

    def test_file_may_declare_the_version(self) -> None:
        """A file may declare the version of a package. Errors name that file."""
        pyproject = '[project]\nname = "it"\ndynamic = ["version"]'

        found = member(pyproject, declared=DeclaredVersion("1.2.3", "src/it/about.py"))

        assert (found.version, found.dynamic, found.version_file) == (
            Version("1.2.3"),
            True,
            "src/it/about.py",
        )
        with pytest.raises(Refusal, match="'one' is not a PEP 440 version") as caught:
            member(pyproject, declared=DeclaredVersion("one", "about.py"))
        assert caught.value.location == "packages/it/about.py"

    def test_dynamic_version_needs_a_tag(self) -> None:
        """A dynamic version without a file is unknown: only a tag has it."""
        found = member('[project]\nname = "it"\ndynamic = ["version"]')

        assert (found.version, found.dynamic, found.version_file) == (None, True, "")
