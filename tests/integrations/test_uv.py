"""uv as it is: what it says of workspaces, and what its calls do."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.process import Command, run
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.uv import Uv, failure, find_uv, trusted_publishing
from tasks.read_workspace import read_workspace
from tests.support.fault_index import ALL, PAGE, QUOTA, RESET, fault_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from releasekit.core.release.upload_response import UploadResponse
    from releasekit.integrations.peryx import EmbeddedIndex
    from tests.support.fault_index import FaultIndex

UV = replace(find_uv(), python=sys.executable)

LOCK = f"""\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "a"
version = "1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "b" }}]

[package.metadata]
requires-dist = [{{ name = "b" }}]

[[package]]
name = "b"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [{{ url = "https://index.example/b-1.0-py3-none-any.whl", hash = "sha256:{"0" * 64}" }}]
"""

HOOKS = """\
import tarfile, zipfile

def build_sdist(directory, config_settings=None):
    with tarfile.open(f"{directory}/grown-1.0.tar.gz", "w:gz") as archive:
        archive.add("pyproject.toml", "grown-1.0/pyproject.toml")
    return "grown-1.0.tar.gz"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{directory}/grown-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("grown.py", "")
        archive.writestr("grown-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: grown\\nVersion: 1.0\\n")
        archive.writestr("grown-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\n")
        archive.writestr("grown-1.0.dist-info/RECORD", "")
    return "grown-1.0-py3-none-any.whl"
"""


@pytest.fixture(autouse=True)
def plain_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the uv settings of the machine; nobody out there is asked."""
    for name in os.environ:
        if name.startswith("UV_") and not name.startswith(("UV_CACHE", "UV_PYTHON")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.fixture
def only_index(index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> EmbeddedIndex:
    """Let uv ask the throwaway index, and no other."""
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple_url)
    return index


def project(name: str, rest: str = "") -> str:
    """Return a pyproject.toml that locks without any index."""
    return f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n{rest}'


def found_by_us(path: Path) -> dict[str, str]:
    """Return the members that releasekit finds, name to path."""
    return {member.name: member.path for member in read_workspace(path, {}).workspace}


def locked_by_uv(root: Path) -> dict[str, str]:
    """Return the members that uv locks, name to path."""
    run(UV.command("lock", "--quiet", "--python", sys.executable, cwd=root))
    lock = tomllib.loads((root / "uv.lock").read_text())
    places: dict[str, str] = {}
    for package in lock.get("package", ()):
        (kind,) = package["source"].keys() & {"editable", "virtual", "directory"}
        places[package["name"]] = package["source"][kind]
    if "manifest" in lock:
        assert sorted(lock["manifest"]["members"]) == sorted(places)
    return places


def refused(path: Path) -> Refusal:
    """Return the refusal of the workspace in *path*."""
    with pytest.raises(Refusal) as caught:
        UV.workspace(path)
    return caught.value


class TestDiscovery:
    """Our workspace is uv's workspace."""

    @pytest.mark.parametrize(
        ("table", "members", "expected"),
        [
            (
                'members = ["packages/*"]',
                ["packages/a", "packages/b", "packages/a/deep", "other"],
                "a b",
            ),
            ('members = ["*"]', ["a", ".b/c"], "a"),
            ('members = ["packages/**"]', ["packages/a", "packages/a/deep"], "a deep"),
            (
                'members = ["packages/*"]\nexclude = ["packages/a*"]',
                ["packages/a", "packages/ab", "packages/b"],
                "b",
            ),
            (
                'members = ["x/*", "x/*/*"]\nexclude = ["x/*c"]',
                ["x/a", "x/a/c", "x/a/b", "x/c"],
                "a b",
            ),
            ('members = ["x/*", "x/c/d"]\nexclude = ["x/c"]', ["x/a", "x/c", "x/c/d"], "a d"),
            ('members = ["x/*", "x/c/d"]\nexclude = ["x/c*"]', ["x/a", "x/c", "x/c/d"], "a"),
            ('members = ["x/*"]', ["x/a", "x/.hidden/", "x/empty/"], "a"),
            ('members = ["x/*"]', ["x/a", "x/.hidden"], "a hidden"),
            ('members = ["x/a", "x/nothing-*"]', ["x/a"], "a"),
            ('members = ["x/[ab]", "x/{c,d}", "x/?e"]', ["x/a", "x/b", "x/c", "x/ee"], "a b ee"),
            ('members = ["x/*"]\nexclude = ["!x/a"]', ["x/a", "x/b"], "a b"),
            ('members = ["./x/a/", "x/../x/b"]', ["x/a", "x/b"], "a b"),
            ('members = ["x/*"]', ["x/with space", "x/ä"], ""),
            ("members = []", ["a"], ""),
            ("", ["a"], ""),
        ],
    )
    def test_members_match_those_of_uv(
        self, workspace: Callable[..., Path], table: str, members: list[str], expected: str
    ) -> None:
        """Whatever globs say, uv and we find the same members in the same places."""
        root = workspace(table, *members)
        for number, path in enumerate(root.glob("x/*[ ä]*")):
            (path / "pyproject.toml").write_text(project(f"odd{number}"))
            expected += f" odd{number}"

        found = found_by_us(root)

        assert sorted(found) == sorted(expected.split())
        assert found == locked_by_uv(root)

    @pytest.mark.parametrize(
        "table", ['members = ["."]', 'members = [".", "x/*"]', 'members = ["x/*"]', "members = []"]
    )
    def test_root_project_is_a_member(self, workspace: Callable[..., Path], table: str) -> None:
        """A root with a project is a member, at ".", named in the table or not."""
        root = workspace(table, "x/a", root=project("top"))

        found = found_by_us(root)

        assert found["top"] == "."
        assert set(found) == {"top"} | ({"a"} if "x/" in table else set())
        assert found == locked_by_uv(root)

    def test_plain_project_is_a_workspace(self, tmp_path: Path) -> None:
        """A single project without a workspace table is a workspace of one."""
        (tmp_path / "pyproject.toml").write_text(project("Alone_Project"))

        assert found_by_us(tmp_path) == {"alone-project": "."} == locked_by_uv(tmp_path)

    def test_linked_member_keeps_its_place(
        self, workspace: Callable[..., Path], tmp_path: Path
    ) -> None:
        """A link to a directory counts where it lies; a way to the root through a link leads to the same members."""
        root = workspace('members = ["x/*"]', "x/a", "real")
        (root / "x" / "link").symlink_to(root / "real")
        (tmp_path / "alias").symlink_to(root)

        assert found_by_us(root) == {"a": "x/a", "real": "x/link"} == locked_by_uv(root)
        assert found_by_us(tmp_path / "alias" / "x") == found_by_us(root)

    def test_workspace_is_found_from_below(
        self, workspace: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From a member and from any directory the whole workspace is found; so it is by a relative path."""
        root = workspace('members = ["x/*"]', "x/a", "x/b")
        (root / "x" / "a" / "src").mkdir()
        whole = UV.workspace(root)

        assert whole == (root, (root / "x" / "a", root / "x" / "b"))
        for path in ("x/a", "x/a/src", "x"):
            assert UV.workspace(root / path) == whole
        monkeypatch.chdir(root / "x")
        assert UV.workspace(Path()) == UV.workspace(Path("a")) == whole

    def test_unmanaged_project_is_no_member(self, workspace: Callable[..., Path]) -> None:
        """A member that uv is told not to manage is none."""
        root = workspace('members = ["x/*"]', "x/a", "x/b")
        (root / "x" / "b" / "pyproject.toml").write_text(
            project("b", "[tool.uv]\nmanaged = false\n")
        )

        assert found_by_us(root) == {"a": "x/a"} == locked_by_uv(root)

    def test_foreign_workspace_is_not_read(self, workspace: Callable[..., Path]) -> None:
        """A directory that is no member is not read, be it a workspace itself or broken."""
        root = workspace('members = ["x/*"]', "x/a", "y/b")
        (root / "y" / "b" / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []\n")
        (root / "pyproject.toml.orig").write_text("= broken =")
        (root / "z").mkdir()
        (root / "z" / "pyproject.toml").write_text("= broken =")

        assert found_by_us(root) == {"a": "x/a"} == locked_by_uv(root)

    def test_workspace_sources_are_found(self, workspace: Callable[..., Path]) -> None:
        """Packages, virtual members and sources between them are found as uv locks them."""
        root = workspace('members = ["x/*"]', "x/a", "x/b", "x/c")
        build = '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
        sources = "[tool.uv.sources]\nb = { workspace = true }\nc = { workspace = true, editable = false }\n"
        needs = 'dependencies = ["b", "c"]\n'
        (root / "x" / "a" / "pyproject.toml").write_text(project("A.A", f"{needs}{sources}{build}"))

        assert found_by_us(root) == {"a-a": "x/a", "b": "x/b", "c": "x/c"} == locked_by_uv(root)


class TestRefusals:
    """What uv does not accept, in our words and codes."""

    def test_missing_workspace_directory_is_named(self, tmp_path: Path) -> None:
        """A directory that is not there, or is a file, is named."""
        (tmp_path / "file").write_text("")

        for path in (tmp_path / "nowhere", tmp_path / "file"):
            error = refused(path)
            assert (error.code, error.location) == (ErrorCode.WORKSPACE_NOT_FOUND, str(path))

    def test_directory_outside_projects_is_refused(self, tmp_path: Path) -> None:
        """Outside any project there is nothing to release."""
        error = refused(tmp_path)

        assert error.code is ErrorCode.WORKSPACE_NOT_FOUND
        assert error.location == str(tmp_path)
        assert "pyproject.toml" in error.message

    def test_unmanaged_root_is_refused(self, tmp_path: Path) -> None:
        """A project that uv is told not to manage is no uv project."""
        (tmp_path / "pyproject.toml").write_text(project("a", "[tool.uv]\nmanaged = false\n"))

        assert refused(tmp_path).code is ErrorCode.WORKSPACE_NOT_FOUND

    @pytest.mark.parametrize("path", ["pyproject.toml", "x/a/pyproject.toml"])
    @pytest.mark.parametrize(
        ("text", "code", "place", "why"),
        [
            ("[project]\nname = = 1\n", ErrorCode.WORKSPACE_TOML, "2:8", "extra `=`"),
            (
                '[project]\nname = "a"\nversion = 1\n',
                ErrorCode.WORKSPACE_INVALID,
                "3:11",
                "invalid type: integer `1`",
            ),
        ],
    )
    def test_invalid_workspace_toml_is_located(
        self,
        workspace: Callable[..., Path],
        path: str,
        text: str,
        code: ErrorCode,
        place: str,
        why: str,
    ) -> None:
        """The refusal names file, line and column, and what is wrong there, wherever one looks from.

        A value that uv refuses is no mistake in the syntax of TOML.
        """
        root = workspace('members = ["x/*"]', "x/a")
        (root / path).write_text(text)

        for start in (root, (root / path).parent):
            error = refused(start)

            assert error.code is code
            assert error.location == f"{root / path}:{place}"
            assert error.message.startswith(why)

    def test_duplicate_members_are_both_named(self, workspace: Callable[..., Path]) -> None:
        """Two members of one normalised name are both named."""
        root = workspace('members = ["x/*"]', "x/a_b", "x/A-B")

        error = refused(root)

        assert error.code is ErrorCode.WORKSPACE_DUPLICATE
        assert "x/a_b" in error.message
        assert "x/A-B" in error.message

    def test_member_above_root_is_refused(
        self, workspace: Callable[..., Path], tmp_path: Path
    ) -> None:
        """A member above the root is refused: nothing outside is ever written."""
        root = workspace('members = ["../aside", "x/*"]', "x/a")
        (tmp_path / "aside").mkdir()
        (tmp_path / "aside" / "pyproject.toml").write_text(project("aside"))

        error = refused(root)

        assert (error.code, error.location) == (ErrorCode.WORKSPACE_OUTSIDE, "../aside")

    def test_linked_member_outside_is_refused(
        self, workspace: Callable[..., Path], tmp_path: Path
    ) -> None:
        """So is one that only a link puts below the root."""
        root = workspace('members = ["x/*"]', "x/a")
        (tmp_path / "aside").mkdir()
        (tmp_path / "aside" / "pyproject.toml").write_text(project("aside"))
        (root / "x" / "link").symlink_to(tmp_path / "aside")

        error = refused(root)

        assert (error.code, error.location) == (ErrorCode.WORKSPACE_OUTSIDE, "x/link")

    @pytest.mark.parametrize(
        ("required", "helps"),
        [
            (">=999", "Install"),
            ("~=999.1", "Install"),
            ("==999.*", "Install"),
            (">=0.9.0, <0.11.0", "allow it in"),
            ("0.10.2", "allow it in"),
            ("<0.13", "allow it in"),
        ],
    )
    def test_required_uv_version_is_named(
        self, workspace: Callable[..., Path], required: str, helps: str
    ) -> None:
        """A workspace for another uv says which it needs. If all of these are too old for us, no other one helps."""
        root = workspace("members = []", root=f'[tool.uv]\nrequired-version = "{required}"')

        error = refused(root)

        assert error.code is ErrorCode.UV_VERSION
        assert required.partition(",")[0] in error.message
        assert helps in error.hint

    def test_member_without_project(self, workspace: Callable[..., Path]) -> None:
        """A matched directory without pyproject.toml is what uv calls it."""
        root = workspace('members = ["x/*"]', "x/a", "x/notes/")
        (root / "x" / "notes" / "README.md").write_text("")

        error = refused(root)

        assert error.code is ErrorCode.WORKSPACE_INVALID
        assert "x/notes" in error.message
        assert "missing a `pyproject.toml`" in error.message

    def test_uv_warning_is_no_error(self, workspace: Callable[..., Path]) -> None:
        """What uv warns of before is not taken for the error."""
        root = workspace(
            'members = ["x/*"]', "x/a_b", "x/A-B", root="[tool.uv]\nno-such-setting = 1"
        )

        assert refused(root).message.startswith("Two workspace members are both named")


class TestLock:
    """uv.lock."""

    def test_lock_check_finds_stale_lock(self, workspace: Callable[..., Path]) -> None:
        """A lock file that fits is told from one that does not; looking changes neither."""
        root = workspace('members = ["x/*"]', "x/a")
        run(UV.lock_command(root, []))
        assert UV.lock_is_current(root)

        (root / "x" / "a" / "pyproject.toml").write_text(project("a").replace("1.0", "2.0"))
        before = (root / "uv.lock").read_text()
        assert not UV.lock_is_current(root)
        assert (root / "uv.lock").read_text() == before

        run(UV.lock_command(root, ["a"]))
        assert UV.lock_is_current(root)
        assert 'version = "2.0"' in (root / "uv.lock").read_text()

    @pytest.mark.parametrize("with_lock", [False, True])
    def test_unsolvable_lock_is_refused(
        self, workspace: Callable[..., Path], with_lock: bool
    ) -> None:
        """What uv cannot tell is a refusal with its reason, not a stale lock."""
        root = workspace('members = ["x/*"]', "x/a")
        if with_lock:
            run(UV.lock_command(root, []))
        needs = 'dependencies = ["rk-never-heard-of>=1"]\n'
        (root / "x" / "a" / "pyproject.toml").write_text(project("a", needs if with_lock else ""))

        with pytest.raises(Refusal) as caught:
            UV.lock_is_current(root)

        assert caught.value.code is ErrorCode.WORKSPACE_INVALID
        assert "`uv lock --check`" in caught.value.hint
        assert (
            "rk-never-heard-of" if with_lock else "Unable to find lockfile"
        ) in caught.value.output

    def test_lock_check_needs_a_project(self, tmp_path: Path) -> None:
        """A usage error of uv is not taken for an answer."""
        with pytest.raises(ReleaseError) as caught:
            UV.lock_is_current(tmp_path)

        assert caught.value.code is ErrorCode.WORKSPACE_INVALID

    def test_one_lock_call_upgrades_all(self, tmp_path: Path) -> None:
        """However many packages have a new version, uv is called once."""
        argv = UV.lock_command(tmp_path, ["a", "b"]).argv

        assert argv[1:] == (
            "lock",
            "--python",
            UV.python,
            "--upgrade-package",
            "a",
            "--upgrade-package",
            "b",
        )


class TestQuestions:
    """What uv itself knows."""

    def test_found_python_is_executable(self, workspace: Callable[..., Path]) -> None:
        """The interpreter fits the project."""
        root = workspace("members = []", root=project("a"))

        python = Path(UV.find_python(root))

        assert python.is_absolute()
        assert os.access(python, os.X_OK)

    def test_wanted_python_is_found(
        self, workspace: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """UV_PYTHON, which workflows set, counts before `.python-version`, as in other commands of uv."""
        root = workspace("members = []", root=project("a"))
        (root / ".python-version").write_text("3.99\n")
        run(Command((UV.executable, "venv", "--quiet", str(tmp_path / "other")), tmp_path))
        wanted = str(tmp_path / "other/bin/python")
        monkeypatch.setenv("UV_PYTHON", wanted)

        assert UV.find_python(root) == wanted

    def test_unfit_python_is_an_error(self, workspace: Callable[..., Path]) -> None:
        """A project that no interpreter fits is an error, not an empty name."""
        root = workspace(
            "members = []", root='[project]\nname = "a"\nversion = "1"\nrequires-python = ">=4"'
        )

        with pytest.raises(ReleaseError, match="RK-COMMAND-FAILED"):
            UV.find_python(root)

    def test_default_index_follows_uv(
        self, workspace: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is the one that uv would ask: from the environment, from the project, or uv's own."""
        root = workspace("members = []")
        assert urlsplit(UV.default_index(root)).scheme == "https"

        index = (
            '[[tool.uv.index]]\nname = "ours"\nurl = "http://127.0.0.1:2/simple"\ndefault = true\n'
        )
        (root / "pyproject.toml").write_text(project("a", index))
        assert UV.default_index(root) == "http://127.0.0.1:2/simple"

        monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
        assert UV.default_index(root) == "http://127.0.0.1:1/simple"

    def test_missing_cache_is_refused(
        self, workspace: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A uv that can write its cache nowhere is refused before anything changes, in its own words."""
        monkeypatch.setenv("UV_CACHE_DIR", f"{os.devnull}/cache")

        with pytest.raises(Refusal) as refused:
            UV.default_index(workspace("members = []"))

        assert refused.value.code is ErrorCode.COMMAND_FAILED
        assert f"{os.devnull}/cache" in refused.value.output

    def test_default_publish_url_is_encrypted(self) -> None:
        """It is what uv's own help says, and encrypted."""
        address = urlsplit(UV.default_publish_url())

        assert address.scheme == "https"
        assert address.hostname

    def test_failed_audit_is_an_error(
        self, workspace: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing to look at is nothing found; that it could not look is an error, without secrets."""
        root = workspace("members = []", root=project("a"))
        run(UV.lock_command(root, []))
        monkeypatch.delenv("UV_OFFLINE")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        assert UV.audit(root) == ""

        monkeypatch.setenv("UV_PUBLISH_TOKEN", "uv.lock")
        (root / "uv.lock").write_text("broken = = ")
        with pytest.raises(ReleaseError) as caught:
            UV.audit(root)
        assert "TOML parse error" in caught.value.output
        assert "uv.lock" not in caught.value.output

    def test_silent_network_ends_the_audit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy that accepts connections and never answers costs seconds, not a minute."""
        (tmp_path / "pyproject.toml").write_text(project("a", 'dependencies = ["b"]\n'))
        (tmp_path / "uv.lock").write_text(LOCK)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.delenv("UV_OFFLINE")
            monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
            started = time.monotonic()
            with pytest.raises(ReleaseError) as caught:
                UV.audit(tmp_path)

        assert "timed out" in caught.value.output
        assert time.monotonic() - started < 10


class TestBuild:
    """One package, as if there were no workspace."""

    def package(self, directory: Path, name: str, module: str = "", rest: str = "") -> Path:
        """Write a package that uv builds by itself."""
        (directory / "src" / name).mkdir(parents=True)
        (directory / "src" / name / "__init__.py").write_text(module)
        build = '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
        (directory / "pyproject.toml").write_text(project(name, rest + build))
        return directory

    def test_build_writes_only_to_dist(
        self, workspace: Callable[..., Path], tmp_path: Path
    ) -> None:
        """Sdist and wheel appear where they were asked for, and nothing else changes in the package."""
        root = workspace('members = ["x/*"]', "x/b")
        needs = 'dependencies = ["b"]\n[tool.uv.sources]\nb = { workspace = true }\n'
        package = self.package(root / "x" / "plain", "plain", rest=needs)
        before = sorted(package.rglob("*"))

        run(UV.build_command(package, tmp_path / "dist", [], {}, 120))

        built = {path.name for path in (tmp_path / "dist").iterdir()}
        assert built - {".gitignore"} == {"plain-1.0.tar.gz", "plain-1.0-py3-none-any.whl"}
        assert sorted(package.rglob("*")) == before
        assert not (root / "dist").exists()

    def test_only_uploads_get_credentials(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Builds, installs and imports run other people's code without what it could upload with."""
        tokens = (
            "UV_PUBLISH_TOKEN",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "PYPI_ID_TOKEN",
            "GITHUB_TOKEN",
            "GITLAB_TOKEN",
            "GITEA_TOKEN",
            "FORGEJO_TOKEN",
        )
        for name in tokens:
            monkeypatch.setenv(name, "a-secret")

        build = UV.build_command(tmp_path, tmp_path, [], {}, 60).environment()
        publish = UV.publish_command(
            [tmp_path / "a.whl"], "", "http://127.0.0.1/simple"
        ).environment()

        assert build.keys().isdisjoint(tokens)
        assert [publish[name] for name in tokens] == ["a-secret"] * len(tokens)

    def test_build_uses_new_sibling_backend(
        self, workspace: Callable[..., Path], tmp_path: Path
    ) -> None:
        """A build backend that is a sibling is taken from where it has just been built."""
        root = workspace('members = ["x/*"]')
        tool = self.package(root / "x" / "hooks", "rk_hooks", HOOKS)
        build = '[build-system]\nrequires = ["rk_hooks==1.0"]\nbuild-backend = "rk_hooks"\n'
        (root / "x" / "grown").mkdir()
        (root / "x" / "grown" / "pyproject.toml").write_text(
            project("grown", f"{build}[tool.uv.sources]\nrk_hooks = {{ workspace = true }}\n")
        )
        run(UV.build_command(tool, tmp_path / "dist" / "hooks", [], {}, 120))

        with pytest.raises(ReleaseError) as caught:
            run(UV.build_command(root / "x" / "grown", tmp_path / "dist" / "grown", [], {}, 120))
        assert "rk-hooks" in caught.value.output
        links = [tmp_path / "dist" / "hooks"]
        run(UV.build_command(root / "x" / "grown", tmp_path / "dist" / "grown", links, {}, 120))

        assert (tmp_path / "dist" / "grown" / "grown-1.0-py3-none-any.whl").is_file()

    def test_build_command_carries_its_timeout(self, tmp_path: Path) -> None:
        """What a build is told, and how long it may take, is in its command."""
        command = UV.build_command(tmp_path, tmp_path / "dist", [], {"SOURCE_DATE_EPOCH": "1"}, 7)

        assert command.environment()["SOURCE_DATE_EPOCH"] == "1"
        assert command.timeout == 7
        assert command.cwd == tmp_path
        assert command.argv[:3] == (UV.executable, "build", "--no-sources")
        assert "--python" not in Uv("uv").build_command(tmp_path, tmp_path, [], {}, 7).argv


class TestPublish:
    """Uploads, and what installers then see."""

    def test_repeated_upload_sends_nothing(
        self, only_index: EmbeddedIndex, built: Callable[..., tuple[Path, ...]]
    ) -> None:
        """The files themselves are uploaded; once more is no error and uploads nothing."""
        files = built("rk-upload")
        upload = UV.publish_command(
            files, only_index.publish_url, only_index.simple_url, _token(only_index)
        )

        run(upload)
        before = len(only_index.requests())
        run(upload)

        uploaded = [
            request.uploaded_file
            for request in only_index.requests()
            if request.uploaded_file.startswith("rk_upload")
        ]
        assert sorted(uploaded) == sorted(file.name for file in files)
        assert "POST" not in {request.method for request in only_index.requests()[before:]}

    def test_upload_command_hides_the_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The token goes through the environment; an address is left out where uv knows it."""
        monkeypatch.setenv("UV_PUBLISH_TOKEN", "opensesame")

        command = UV.publish_command([Path("a.whl")], "", "http://127.0.0.1:1/simple")

        assert "opensesame" not in " ".join(command.argv)
        assert "--publish-url" not in command.argv
        assert command.argv[-1] == "a.whl"

    def test_command_hides_address_credentials(self, tmp_path: Path) -> None:
        """Everybody on the machine may read the words of a command, so an address with credentials is none of them."""
        publish, check = (
            "http://ada:swordfish@127.0.0.1:1/upload/",
            "http://ada:swordfish@127.0.0.1:1/simple",
        )
        upload = UV.publish_command([Path("a.whl")], publish, check)
        resolve = UV.resolve_command(tmp_path, ["a"], [], (check,), ())

        assert "swordfish" not in f"{upload.argv}{resolve.argv}"
        assert upload.environment()["UV_PUBLISH_URL"] == publish
        assert upload.environment()["UV_PUBLISH_CHECK_URL"] == check
        assert resolve.environment()["UV_INDEX"] == check

    def test_upload_answer_quotes_the_index(
        self, built: Callable[..., tuple[Path, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the index says is heard in its own words, with its headers; what nobody says is told apart."""
        monkeypatch.delenv("UV_OFFLINE")
        monkeypatch.setenv("UV_PUBLISH_TOKEN", "opensesame")
        files = built("rk-answer")

        with fault_index() as index:
            index.on_upload(ALL, [QUOTA, PAGE, RESET])
            index.gone = True
            nobody = publish(files, index)
            index.gone = False
            answers = [publish(files, index) for _ in range(4)]

        assert answers[3] is None
        assert [(a.status, a.message[:40], a.file == files[0].name) for a in answers[:2] if a] == [
            (429, "429 Too many new projects created", True),
            (502, "Bad Gateway", True),
        ]
        assert answers[0]
        assert (
            answers[0].headers["ratelimit"]
            == '"project.create.ip";r=3;t=60, "project.create.user";r=0;t=55569'
        )
        assert all(
            answer and (answer.status, answer.no_response) == (0, True)
            for answer in (answers[2], nobody)
        )
        assert len(index.uploads) == 5, "uv sent by itself what may have arrived"

    def test_missing_credentials_send_no_upload(
        self, built: Callable[..., tuple[Path, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What uv itself does not want to do was not asked of the index."""
        monkeypatch.setenv("NETRC", os.devnull)
        monkeypatch.delenv("UV_OFFLINE")
        with fault_index() as index:
            answer = publish(built("rk-answer"), index)

        assert answer
        assert (answer.status, answer.no_response, index.uploads) == (0, False, [])
        assert "Missing credentials" in answer.message

    @pytest.mark.parametrize(
        "settings", ["", 'exclude-newer = "2020-01-01T00:00:00Z"', 'exclude-newer = "7 days"']
    )
    def test_smoke_test_imports_fresh_release(
        self,
        workspace: Callable[..., Path],
        only_index: EmbeddedIndex,
        built: Callable[..., tuple[Path, ...]],
        settings: str,
    ) -> None:
        """What is out installs and imports, with its sibling that is as new, whatever age the workspace asks for."""
        root = workspace("members = []", root=f"[tool.uv]\n{settings}")
        fresh = ("rk-smoke", "rk-smoke-base")
        for files in (built("rk-smoke", needs=("rk-smoke-base==1.0.0",)), built("rk-smoke-base")):
            run(
                UV.publish_command(
                    files, only_index.publish_url, only_index.simple_url, _token(only_index)
                )
            )

        def smoke(
            requirement: str,
            imports: tuple[str, ...],
            *,
            indexes: tuple[str, ...] = (only_index.simple_url,),
        ) -> None:
            asyncio.run(UV.smoke_test(root, requirement, imports, indexes, fresh))

        smoke("rk-smoke==1.0.0", ("rk_smoke", "rk_smoke_base"))
        smoke("rk-smoke==1.0.0", ("rk_smoke",), indexes=())  # from the default index
        if not settings:
            with pytest.raises(ReleaseError, match="exit code 1") as caught:
                smoke("rk-smoke==1.0.0", ("rk_smoke", "rk_no_such_module"))
            assert "rk_no_such_module" in caught.value.output
            with pytest.raises(ReleaseError) as caught:
                smoke("rk-smoke==2.0.0", ("rk_smoke",))
            assert "rk-smoke==2.0.0" in caught.value.output

    def test_resolution_uses_built_files(
        self,
        workspace: Callable[..., Path],
        only_index: EmbeddedIndex,
        built: Callable[..., tuple[Path, ...]],
    ) -> None:
        """A set fits if each is among the built files or on the index, and does not if one asks for another version."""
        root = workspace("members = []", root='[tool.uv]\nexclude-newer = "2020-01-01T00:00:00Z"')
        base = built("rk-fit-base")
        run(
            UV.publish_command(
                base, only_index.publish_url, only_index.simple_url, _token(only_index)
            )
        )
        links = [
            built("rk-fit", needs=("rk-fit-base==1.0.0", "rk-fit-other"))[0].parent,
            built("rk-fit-other")[0].parent,
        ]
        wrong = [built("rk-unfit", needs=("rk-fit-other==2",))[0].parent, *links]
        fresh = ("rk-fit", "rk-fit-base", "rk-fit-other")
        target = Path(UV.resolve_command(root, [], [], (), ()).argv[-1])

        for indexes in ((), (only_index.simple_url,)):
            said = run(UV.resolve_command(root, ["rk-fit==1.0.0"], links, indexes, fresh)).stderr
            assert "rk-fit-base==1.0.0" in said
        with pytest.raises(ReleaseError) as caught:
            run(UV.resolve_command(root, ["rk-fit==1.0.0", "rk-unfit==1.0.0"], wrong, (), fresh))

        assert "rk-fit-other==2" in caught.value.output
        assert {path.name for path in target.iterdir()} <= {".lock"}

    def test_built_file_wins_over_index(
        self, workspace: Callable[..., Path], only_index: EmbeddedIndex, tmp_path: Path
    ) -> None:
        """Of two files of one version, on the index and just built, the built one is installed and imported.

        uv finds it in a place whose path has what it takes for the end of a path.
        """
        root = workspace("members = []")
        links: list[Path] = []
        for where in ("index", "a,b#c d"):
            source = tmp_path / where / "source"
            (source / "src" / "rk_twice").mkdir(parents=True)
            (source / "src" / "rk_twice" / "__init__.py").write_text("")
            (source / "src" / "rk_twice" / f"of_{where[0]}.py").write_text("")
            (source / "pyproject.toml").write_text(
                project(
                    "rk-twice",
                    '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n',
                )
            )
            links.append(tmp_path / where / "dist")
            run(UV.build_command(source, links[-1], [], {}, 60))
        files = sorted(links[0].glob("rk_twice*"))
        run(
            UV.publish_command(
                files, only_index.publish_url, only_index.simple_url, _token(only_index)
            )
        )

        on_index = (only_index.simple_url,)

        def test(module: str, *built: Path) -> None:
            imports, fresh = (f"rk_twice.{module}",), ("rk-twice",)
            asyncio.run(UV.smoke_test(root, "rk-twice==1.0", imports, on_index, fresh, built))

        test("of_i")
        test("of_a", links[1])
        with pytest.raises(ReleaseError):
            test("of_i", links[1])
        place = ([links[1]], on_index, ("rk-twice",))
        assert asyncio.run(UV.find_conflict(root, ["rk-twice==1.0"], *place)) == ""
        both = ["rk-twice==1.0", "rk-twice==2.0"]
        assert "rk-twice==2.0" in asyncio.run(UV.find_conflict(root, both, *place))


class TestFindUv:
    """Which uv is called."""

    def fake(self, directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> str:
        """Put a program called uv first on the PATH."""
        directory.mkdir()
        (directory / "uv").write_text(f"#!/bin/sh\n{script}\n")
        (directory / "uv").chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
        return str(directory / "uv")

    def test_uv_on_path_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The user's own uv is preferred, if it is new enough."""
        fake = self.fake(tmp_path / "bin", "echo uv 99.0 '(somewhere)'", monkeypatch)

        assert find_uv() == Uv(fake)

    @pytest.mark.parametrize(
        "script",
        ["echo uv 0.1.0", "echo command not found >&2; exit 127", "true", "echo uv of some kind"],
    )
    def test_unusable_path_uv_is_skipped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
    ) -> None:
        """Where the one on the PATH is too old, or a shim that leads nowhere, the one installed with us is taken."""
        fake = self.fake(tmp_path / "bin", script, monkeypatch)

        found = find_uv()

        assert found.executable != fake
        assert run(found.command("--version")).stdout.startswith("uv ")

    def test_installed_uv_replaces_missing_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So it is where there is none."""
        monkeypatch.setenv("PATH", str(tmp_path))

        assert Path(find_uv().executable).is_file()

    def test_old_uv_is_refused(self) -> None:
        """Where all are too old, the refusal says what is needed."""
        with pytest.raises(Refusal, match=r"uv 999 or later") as caught:
            find_uv("999")

        assert caught.value.code is ErrorCode.UV_MISSING


class TestTrustedPublishing:
    """Whether uv shall ask the CI for a token."""

    @pytest.mark.parametrize(
        ("variables", "expected"),
        [
            ({}, "never"),
            ({"UV_PUBLISH_TOKEN": "t"}, "never"),
            ({"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}, "automatic"),
            ({"PYPI_ID_TOKEN": "x"}, "automatic"),
            ({"TESTPYPI_ID_TOKEN": "x"}, "automatic"),
            ({"PYPI_ID_TOKEN": "x", "UV_PUBLISH_TOKEN": "t"}, "never"),
            ({"PYPI_ID_TOKEN": "x", "UV_PUBLISH_PASSWORD": "p"}, "never"),
            ({"PYPI_ID_TOKEN": "x", "UV_PUBLISH_TOKEN": ""}, "automatic"),
        ],
    )
    def test_credentials_turn_off_trusted_publishing(
        self, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only where the CI offers one and no credentials are given: asking in vain takes up to 50 s."""
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        assert trusted_publishing(Secrets()) == expected
        argv = UV.publish_command([], "", "http://127.0.0.1:1/simple").argv
        assert argv[argv.index("--trusted-publishing") + 1] == expected


def test_step_error_keeps_command_output() -> None:
    """A failed command becomes the step's own error, its output kept; a time-out stays one, and a full disk is one."""
    failed = failure(
        ErrorCode.BUILD_FAILED,
        ReleaseError(ErrorCode.COMMAND_FAILED, "exit code 1", output="why"),
        "a",
        "b",
    )
    late = failure(
        ErrorCode.BUILD_FAILED,
        ReleaseError(ErrorCode.COMMAND_TIMEOUT, "late", output="why"),
        "a",
        "b",
    )

    assert (failed.code, failed.message, failed.location, failed.output) == (
        ErrorCode.BUILD_FAILED,
        "a",
        "b",
        "why",
    )
    assert late.code is ErrorCode.COMMAND_TIMEOUT
    said = "cause: failed to write archive output\ncause: No space left on device (os error 28)"
    full = failure(
        ErrorCode.BUILD_FAILED,
        ReleaseError(ErrorCode.COMMAND_FAILED, "exit code 2", output=said),
        "a",
        "b",
    )
    assert (full.code, full.output) == (ErrorCode.FILE_SYSTEM, said)


def publish(files: tuple[Path, ...], index: FaultIndex) -> UploadResponse | None:
    """Upload *files* and return the answer."""
    return asyncio.run(UV.publish(files[0].parent, files, index.publish_url, index.simple_url, 20))


def _token(index: EmbeddedIndex) -> dict[str, str]:
    return {"UV_PUBLISH_TOKEN": str(index.environment["UV_PUBLISH_TOKEN"])}
