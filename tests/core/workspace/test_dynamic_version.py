"""The source of a dynamic version, for each build backend."""

from __future__ import annotations

import tomllib

import pytest

from releasekit.core.workspace.dynamic_version import (
    is_dynamic,
    version_environment,
    version_source,
)

DYNAMIC = '[project]\nname = "my-pkg"\ndynamic = ["version"]\n'


def paths(table: str) -> list[str]:
    return [place.path for place in version_source(tomllib.loads(DYNAMIC + table)).locations]


def find(table: str, text: str) -> str:
    """Return the version that the last location finds in *text*."""
    return version_source(tomllib.loads(DYNAMIC + table)).locations[-1].find(text)


def told(table: str) -> dict[str, str]:
    return version_environment(tomllib.loads(DYNAMIC + table), "my-pkg", "1.2")


HATCH = "[tool.hatch.version]\n"


class TestFiles:
    """The version is in a file that the build backend reads."""

    @pytest.mark.parametrize(
        "line",
        [
            '__version__ = "1.2.3"',
            "VERSION = '1.2.3'",
            '__version__: str = "v1.2.3"',
            "__version__='1.2.3'",
        ],
    )
    def test_hatch_path_finds_version_line(self, line: str) -> None:
        """`path` names the file, and all forms that hatch reads are found."""
        assert paths(f'{HATCH}path = "src/it/about.py"') == ["src/it/about.py"]
        assert find(f'{HATCH}path = "it.py"', f'"""It."""\n{line}\n') == "1.2.3"

    def test_hatch_ignores_similar_lines(self) -> None:
        """Only a line that begins with the name declares the version."""
        assert find(f'{HATCH}path = "it.py"', '# __version__ = "1.0"\nMIN_VERSION = "2.0"\n') == ""

    def test_hatch_pattern_is_case_sensitive(self) -> None:
        """A pattern from the configuration is used. It is case-sensitive, as in hatch."""
        table = f"{HATCH}path = 'it.h'\npattern = '^#define V (?P<version>[\\d.]+)'"

        assert find(table, "// top\n#define V 3.1\n") == "3.1"
        assert find(table, "#define v 3.1\n") == ""

    @pytest.mark.parametrize("pattern", ["(", "V = (.*)"])
    def test_bad_version_pattern_finds_nothing(self, pattern: str) -> None:
        """An invalid pattern, or one without a group for the version, finds nothing."""
        assert find(f"{HATCH}path = 'it.h'\npattern = '{pattern}'", "V = 1.0") == ""

    @pytest.mark.parametrize(
        ("expression", "found"), [("", "1.0"), ('expression = "RELEASE"', "2.0")]
    )
    def test_hatch_code_finds_version_assignment(self, expression: str, found: str) -> None:
        """Source `code` finds the line that assigns the version to a name."""
        table = f'{HATCH}source = "code"\npath = "it.py"\n{expression}'

        assert find(table, '__version__: str = "1.0"\nRELEASE = "2.0"\n') == found

    def test_hatch_expression_has_no_location(self) -> None:
        """An expression that needs evaluation has no location."""
        assert paths(f'{HATCH}source = "code"\npath = "it.py"\nexpression = "version()"') == []

    @pytest.mark.parametrize("source", ["regex", "code"])
    def test_hatch_without_path_finds_nothing(self, source: str) -> None:
        """Without a path there is no location."""
        assert paths(f'{HATCH}source = "{source}"') == []

    def test_uv_dynamic_versioning_reads_file(self) -> None:
        """`from-file` of uv-dynamic-versioning names the file. Its whole text or a pattern is the version."""
        table = f'{HATCH}source = "uv-dynamic-versioning"\n[tool.uv-dynamic-versioning.from-file]\nsource = "V"\n'

        assert paths(table) == ["V"]
        assert find(table, "1.0\n") == "1.0"
        assert find(f"{table}pattern = 'v=(.*)'", "a\nv=2.0\n") == "2.0"

    @pytest.mark.parametrize("module", ["pkg.sub", "pkg"])
    def test_setuptools_attr_tries_module_files(self, module: str) -> None:
        """An attribute may be in the module's file or package, in src or in the package root."""
        file = module.replace(".", "/")

        found = paths(f'[tool.setuptools.dynamic]\nversion = {{ attr = "{module}.__version__" }}')

        assert found == [
            f"src/{file}.py",
            f"src/{file}/__init__.py",
            f"{file}.py",
            f"{file}/__init__.py",
        ]

    def test_configured_setuptools_directories_come_first(self) -> None:
        """Configured directories come first."""
        attr = '[tool.setuptools]\ndynamic.version = { attr = "pkg.sub.V" }\n'

        assert paths(f'{attr}package-dir = {{ pkg = "lib" }}')[:2] == [
            "lib/sub.py",
            "lib/sub/__init__.py",
        ]
        assert paths(f'{attr}package-dir = {{ "pkg.sub" = "lib/x" }}')[:2] == [
            "lib/x.py",
            "lib/x/__init__.py",
        ]
        assert paths(f'{attr}package-dir = {{ "" = "python" }}')[0] == "python/pkg/sub.py"
        assert paths(f'{attr}packages.find.where = ["python"]')[0] == "python/pkg/sub.py"
        assert paths(f'{attr}packages = ["pkg"]')[0] == "src/pkg/sub.py"
        assert find(f"{attr}", "V = '1.0'  # here") == "1.0"

    @pytest.mark.parametrize("file", ['"VERSION"', '["VERSION"]'])
    def test_setuptools_file_is_only_version(self, file: str) -> None:
        """A file that setuptools reads has only the version."""
        table = f"[tool.setuptools.dynamic]\nversion = {{ file = {file} }}"

        assert paths(table) == ["VERSION"]
        assert find(table, "\n1.0\r\n") == "1.0"
        assert find(table, "version 1.0\n") == ""

    def test_several_setuptools_files_find_nothing(self) -> None:
        """Several files that setuptools joins have no location."""
        assert paths('[tool.setuptools.dynamic]\nversion = { file = ["A", "B"] }') == []

    def test_flit_tries_files_in_order(self) -> None:
        """The files of the module, in the order of flit."""
        flit = '[build-system]\nrequires = []\nbuild-backend = "flit_core.buildapi"\n'

        assert paths(flit)[:5] == [
            "my_pkg/version.py",
            "my_pkg/_version.py",
            "my_pkg/__version__.py",
            "my_pkg/__init__.py",
            "my_pkg.py",
        ]
        assert paths(flit)[-1] == "src/my_pkg.py"
        assert paths(f'{flit}[tool.flit.module]\nname = "ns.it"')[3] == "ns/it/__init__.py"
        assert find(flit, '"""It."""\n__version__ = "1.0"\n') == "1.0"
        assert find(flit, '__version__: typing.Final[str] = "1.0"\n') == "1.0"

    @pytest.mark.parametrize("source", ['source = "file"\n', ""])
    def test_pdm_path_finds_the_version(self, source: str) -> None:
        """The file of pdm, with pdm's pattern or a configured one."""
        table = f'[tool.pdm.version]\n{source}path = "it.py"\n'

        assert paths(table) == ["it.py"]
        assert find(table, "VERSION = '1.0'  # here\n") == "1.0"
        assert find(f"{table}pattern = 'V is (.*)'", "V is 2.0\n") == "2.0"


class TestTags:
    """If a tag has the version, the build gets only the variable that its backend reads."""

    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            (f'{HATCH}source = "vcs"', {"SETUPTOOLS_SCM_PRETEND_VERSION": "1.2"}),
            (f'{HATCH}source = "env"\nvariable = "MINE"', {"MINE": "1.2"}),
            (f'{HATCH}source = "uv-dynamic-versioning"', {"UV_DYNAMIC_VERSIONING_BYPASS": "1.2"}),
            ("[tool.setuptools_scm]", {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_PKG": "1.2"}),
            (
                '[build-system]\nrequires = ["setuptools>=80", "setuptools_scm[simple]>=9"]',
                {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_PKG": "1.2"},
            ),
            ('[tool.pdm.version]\nsource = "scm"', {"PDM_BUILD_SCM_VERSION": "1.2"}),
            ('[tool.pdm.version]\nsource = "call"', {}),
            (f'{HATCH}source = "nodejs"', {}),
            (f'{HATCH}path = "it.py"', {}),
            ("", {}),
        ],
    )
    def test_each_backend_has_its_variable(self, table: str, expected: dict[str, str]) -> None:
        """Each backend has its own variable."""
        assert told(table) == expected

    def test_uv_dynamic_hook_needs_variable(self) -> None:
        """The hook of uv-dynamic-versioning needs the variable, even if the version has another source."""
        table = f'{HATCH}path = "it.py"\n[tool.hatch.metadata.hooks.uv-dynamic-versioning]\ndependencies = []'

        assert told(table) == {"UV_DYNAMIC_VERSIONING_BYPASS": "1.2"}

    def test_static_version_needs_no_variable(self) -> None:
        """A static version needs no variable, even if the file still has settings for a dynamic one."""
        document = tomllib.loads('[project]\nname = "a"\nversion = "1.0"\n[tool.setuptools_scm]')

        assert not is_dynamic(document)
        assert version_environment(document, "a", "1.2") == {}


@pytest.mark.parametrize(
    "table",
    [
        "[tool]\nhatch = 3",
        "[tool.hatch]\nversion = 'x'\nmetadata = 3",
        f'{HATCH}source = "uv-dynamic-versioning"\n[tool]\nuv-dynamic-versioning = 3',
        "[tool.pdm]\nversion = 3",
        "[tool.setuptools.dynamic]\nversion = 'x'",
        "[tool.setuptools.dynamic.version]\nfile = 3",
        "[tool.setuptools]\npackage-dir = 3\npackages.find.where = 3\ndynamic.version = { attr = 'V' }",
        '[build-system]\nrequires = []\nbuild-backend = "flit_core.buildapi"\n[tool.flit]\nmodule = 3',
    ],
)
def test_wrongly_typed_table_is_empty(table: str) -> None:
    """A backend's table with a wrong type counts as empty. The backend itself reports the error."""
    document = tomllib.loads(DYNAMIC + table)

    assert all(place.find("3") == "" for place in version_source(document).locations)
    assert version_environment(document, "a", "1.2").keys() <= {"UV_DYNAMIC_VERSIONING_BYPASS"}


@pytest.mark.parametrize(
    ("table", "named"),
    [
        (f'{HATCH}source = "nodejs"', "[tool.hatch.version] source = 'nodejs'"),
        (
            '[build-system]\nrequires = ["meson-python"]\nbuild-backend = "mesonpy"',
            "build-backend = 'mesonpy'",
        ),
        ('[build-system]\nrequires = ["not one", "setuptools"]', "no known build backend"),
        ('[tool.pdm.version]\nsource = "call"', "[tool.pdm.version] source = 'call'"),
    ],
)
def test_description_names_unknown_version_source(table: str, named: str) -> None:
    """The description names an unknown source."""
    source = version_source(tomllib.loads(DYNAMIC + table))

    assert (source.locations, source.variables, source.description) == ((), (), named)
