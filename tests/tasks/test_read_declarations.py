"""What packages declared at earlier commits, in all the forms in which files say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.integrations.git import Repo
from tasks.read_declarations import DeclarationReader, member_directories
from tasks.read_workspace import read_workspace
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.core.workspace.declarations import Declaration

DYNAMIC = '[project]\nname = "core"\ndynamic = ["version"]\n'
FORMS = {
    "static": ({"pyproject.toml": '[project]\nname = "Core"\nversion = "1.2"\n'}, "1.2"),
    "poetry": ({"pyproject.toml": '[tool.poetry]\nname = "core"\nversion = "1.2"\n'}, "1.2"),
    "poetry, from tags": (
        {
            "pyproject.toml": '[tool.poetry]\nname = "core"\nversion = "0.0.0"\n'
            "[tool.poetry-dynamic-versioning]\nenable = true\n"
        },
        None,
    ),
    "hatch": (
        {
            "pyproject.toml": f'{DYNAMIC}[tool.hatch.version]\npath = "core/__about__.py"\n',
            "core/__about__.py": '__version__ = "1.2"\n',
        },
        "1.2",
    ),
    "setuptools attr": (
        {
            "pyproject.toml": f'{DYNAMIC}[tool.setuptools.dynamic]\nversion = {{ attr = "core.__version__" }}\n',
            "src/core/__init__.py": '__version__ = "1.2"\n',
        },
        "1.2",
    ),
    "setuptools file": (
        {
            "pyproject.toml": f'{DYNAMIC}[tool.setuptools.dynamic]\nversion = {{ file = "VERSION" }}\n',
            "VERSION": "1.2\n",
        },
        "1.2",
    ),
    "our own key": (
        {
            "pyproject.toml": f"{DYNAMIC}[tool.releasekit]\n"
            'bump = [{ path = "v.txt", pattern = "at {version}" }]\n',
            "v.txt": "at 1.2\n",
        },
        "1.2",
    ),
    "setup.cfg": ({"setup.cfg": "[metadata]\nname = core\nversion = 1.2\n"}, "1.2"),
    "setup.cfg beside a build system": (
        {
            "pyproject.toml": "[build-system]\nrequires = []\n",
            "setup.cfg": "[metadata]\nname = core\nversion = 1.2\n",
        },
        "1.2",
    ),
    "setup.cfg that refers": (
        {"setup.cfg": "[metadata]\nname = core\nversion = attr: core.__version__\n"},
        None,
    ),
    "setup.py": ({"setup.py": 'setup(name="core", version="1.2")\n'}, "1.2"),
    "setup.py that computes": ({"setup.py": 'setup(name="core", version=read())\n'}, None),
    "vcs": ({"pyproject.toml": f'{DYNAMIC}[tool.hatch.version]\nsource = "vcs"\n'}, None),
    "no version": ({"pyproject.toml": '[project]\nname = "core"\n'}, None),
}
ABSENT = {
    "nothing": {},
    "another name": {"pyproject.toml": '[project]\nname = "other"\nversion = "1.2"\n'},
    "another name in setup.py": {"setup.py": 'setup(name="other", version="1.2")\n'},
    "no TOML": {"pyproject.toml": "<<<<<<<\n"},
    "a requirement of this name": {
        "pyproject.toml": '[project]\nname = "other"\ndependencies = ["core==1.2"]\n'
    },
}


class History:
    """A workspace of core, app and lone, with an earlier commit that a test makes up."""

    def __init__(self, directory: Path) -> None:
        self.world: World = make_world(directory, "core; app; lone")
        self.after = self.world.git("rev-parse", "HEAD")

    def commit(self, directory: str, files: dict[str, str]) -> str:
        """Return a commit in which core has left its directory, and *directory* has *files*; then go back."""
        self.world.git("rm", "-r", "--quiet", "packages/core")
        prefix = f"{directory}/" if directory else ""
        commit = self.world.commit("old", {f"{prefix}{path}": text for path, text in files.items()})
        self.world.git("checkout", "--quiet", self.after)
        return commit

    def read(self, *places: tuple[str, str]) -> dict[tuple[str, str], Declaration | None]:
        """Return what the reader says about *places*."""
        project = read_workspace(self.world.root, {})
        repo = Repo(self.world.root)
        return DeclarationReader(repo, project, member_directories(repo, project)).read(places)


@pytest.mark.parametrize(
    "directory", ["packages/core", "old/place", ""], ids=["here", "moved", "at the root"]
)
@pytest.mark.parametrize("form", FORMS)
def test_declared_version_is_read(tmp_path: Path, form: str, directory: str) -> None:
    """The version is read in each form, in the directory of now and wherever the name was."""
    files, version = FORMS[form]
    history = History(tmp_path)
    place = (history.commit(directory, files), "core")

    declaration = history.read(place)[place]

    assert declaration is not None
    assert declaration.version == (version and Version(version))


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        ("setup.py that computes", "1.2"),
        ("setup.py", "1.2"),
        ("static", "1.2"),
        ("vcs", None),
    ],
)
def test_file_of_now_has_older_versions(tmp_path: Path, old: str, expected: str | None) -> None:
    """Where the old files don't say the version, the file that has it now does; not if the build read tags then."""
    history = History(tmp_path)
    files, own_version = FORMS[old]
    about = "9.9" if own_version else "1.2"
    version_file = {"core/__about__.py": f'__version__ = "{about}"\n'}
    place = (history.commit("packages/core", {**files, **version_file}), "core")
    manifest = history.world.root / "packages/core/pyproject.toml"
    manifest.write_text(FORMS["hatch"][0]["pyproject.toml"])

    declaration = history.read(place)[place]

    assert declaration is not None
    assert declaration.version == (expected and Version(expected))


@pytest.mark.parametrize("form", ABSENT)
def test_absent_package_declares_nothing(tmp_path: Path, form: str) -> None:
    """A package that another one stands for, or that nothing names, was not there."""
    history = History(tmp_path)
    place = (history.commit("packages/core", ABSENT[form]), "core")

    assert history.read(place) == {place: None}


def test_packages_are_read_together(tmp_path: Path) -> None:
    """Several packages at several commits are one question; each answer belongs to its place."""
    history = History(tmp_path)
    old = history.commit(
        "lib/core", {"pyproject.toml": '[project]\nname = "core"\nversion = "0.1"\n'}
    )

    read = history.read((old, "core"), (old, "app"), (history.after, "core"))

    versions = {
        place: declaration and str(declaration.version) for place, declaration in read.items()
    }
    assert versions == {
        (old, "core"): "0.1",
        (old, "app"): "0.1.0",
        (history.after, "core"): "0.1.0",
    }


@pytest.mark.parametrize(
    ("keys", "prefix", "own", "expected"),
    [
        ("", "core-", "", "core-v1.0"),
        ("", "py/core/", "", "py/core/v1.0"),
        ('tag_format = "{name}-{version}"', "core-", "", "core-1.0"),
        ("", "py-", 'tag_format = "c{version}"', "c1.0"),
        ("", "", "", "core-v1.0"),
    ],
)
def test_build_prefix_decides_tag_format(
    tmp_path: Path, keys: str, prefix: str, own: str, expected: str
) -> None:
    """A build that reads tags with a prefix gets such tags, unless the format that is set fits, or is its own."""
    world = make_world(tmp_path, "core", keys)
    source = f'{DYNAMIC}[tool.hatch.version]\nsource = "uv-dynamic-versioning"\n[tool.uv-dynamic-versioning]\n'
    configured = f'{source}pattern-prefix = "{prefix}"\n[tool.releasekit]\n{own}\n'
    (world.root / "packages/core/pyproject.toml").write_text(configured)

    assert read_workspace(world.root, {}).schemes.of("core").tag("core", Version("1.0")) == expected
