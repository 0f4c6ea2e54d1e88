"""Which files of a source tree a build installs and packs, as far as the settings of its backend tell."""

from __future__ import annotations

import tomllib
from pathlib import PurePosixPath

import pytest

from releasekit.core.artifacts.package_facts import files_to_pack, missing_sources, source_facts

FILES = [
    *("README.md", "pyproject.toml", "Makefile", "scripts/scrub.py", "docs/conf.py"),
    *("tests/test_shop.py", "tests/data.json"),
    *("shop/__init__.py", "shop/cli.py", "shop/notes/secret.txt"),
    *("other/__init__.py", "src/lib/__init__.py"),
]
WHEEL, SDIST = "[tool.hatch.build.targets.wheel]", "[tool.hatch.build.targets.sdist]"
DOCUMENTS = {"README.md", "pyproject.toml"}


def installed(settings: str, files: list[str] = FILES) -> str:
    """Return the paths in the wheel of a package with these *settings*, sorted."""
    document = tomllib.loads(settings)
    sizes = dict.fromkeys(files, 1)
    return " ".join(sorted(source_facts(sizes, {"name": "shop"}, document).files))


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        (f"{WHEEL}\npackages = ['shop']", "shop/__init__.py shop/cli.py shop/notes/secret.txt"),
        (f"{WHEEL}\npackages = ['src/lib']", "lib/__init__.py"),
        (f"{WHEEL}\nonly-include = ['other']", "other/__init__.py"),
        (f"{WHEEL}\nbypass-selection = true", "other/__init__.py shop/__init__.py shop/cli.py shop/notes/secret.txt"),
        (f"{WHEEL}\npackages = []", ""),
        ("[tool.setuptools]\npackages = []", ""),
        (f"{WHEEL}\npackages = ['shop']\nexclude = ['/shop/notes']", "shop/__init__.py shop/cli.py"),
        ("[tool.uv.build-backend]\nmodule-root = 'src'", "lib/__init__.py"),
    ],
)  # fmt: skip
def test_settings_select_what_is_installed(settings: str, paths: str) -> None:
    """Packages that hatchling is told to take are all that a wheel gets; their parents are no part of the path."""
    files = FILES if "src" in settings else FILES[:-1]

    assert installed(settings, files) == paths


def test_bypass_without_module_installs_nothing() -> None:
    """`bypass-selection` means an empty wheel only where no module has the name of the project."""
    files = [path for path in FILES[:-1] if not path.startswith("shop/")]

    assert installed(f"{WHEEL}\nbypass-selection = true", files) == ""
    assert installed(WHEEL, files) == "other/__init__.py"


@pytest.mark.parametrize(
    ("backend", "settings", "left_out"),
    [
        ("setuptools.build_meta", "", ""),
        ("hatchling.build", "", ""),
        ("hatchling.build", f"{SDIST}\nexclude = ['/tests']", "tests/data.json tests/test_shop.py"),
        ("hatchling.build", "[tool.hatch.build]\nexclude = ['scripts']", "scripts/scrub.py"),
        # The module is in the sdist all the same.
        ("hatchling.build", f"{WHEEL}\nexclude = ['/shop/notes']", ""),
        (
            "hatchling.build",
            f"{WHEEL}\npackages = ['shop']\n{SDIST}\ninclude = ['/Makefile']",
            "docs/conf.py other/__init__.py scripts/scrub.py tests/data.json tests/test_shop.py",
        ),
        (
            "hatchling.build",
            f"{WHEEL}\nforce-include = {{ 'scripts/scrub.py' = 'shop/scrub.py' }}\n{SDIST}\ninclude = ['/shop']",
            "Makefile docs/conf.py tests/data.json tests/test_shop.py",
        ),
        (
            "uv_build",
            "[tool.uv.build-backend]\nmodule-root = ''\nsource-include = ['tests/**']",
            "Makefile docs/conf.py scripts/scrub.py",
        ),
    ],
)  # fmt: skip
def test_settings_select_what_is_packed(backend: str, settings: str, left_out: str) -> None:
    """What no build packs is not verified: hatchling and uv_build say what they pack, others may pack everything."""
    document = tomllib.loads(f"{settings}\n[build-system]\nbuild-backend = '{backend}'\n")
    files = FILES[:-1]

    packed = files_to_pack(files, document, "shop")

    assert " ".join(sorted(set(files) - packed)) == left_out
    assert packed >= DOCUMENTS


@pytest.mark.parametrize(
    ("path", "is_needed"),
    [
        ("packages/core/src/core/vendored", True),
        ("packages/core/docs/theme", False),
        ("packages/core/LICENSES", True),
        ("packages/core", True),
        ("packages", True),
        ("packages/core-extra/x", False),
        ("docs/theme", False),
    ],
)
def test_missing_submodule_matters_if_it_is_packed(path: str, is_needed: bool) -> None:
    """uv_build packs the module. A submodule around the package matters too; one beside its module does not."""
    document = {"build-system": {"build-backend": "uv_build"}}
    package = PurePosixPath("packages/core")

    assert missing_sources([path], [("core", package, document)]) == [path] * is_needed


@pytest.mark.parametrize("backend", ["hatchling.build", "setuptools.build_meta", "own_backend"])
def test_other_backends_may_pack_everything(backend: str) -> None:
    """The package at the root has every path, and its sdist may have it too."""
    document = {"build-system": {"build-backend": backend}}

    assert missing_sources(["docs/theme"], [("core", PurePosixPath(), document)]) == ["docs/theme"]


def test_missing_file_matters_if_it_is_included() -> None:
    """A file that Git LFS has not fetched counts as submodules do."""
    backend = {"source-include": ["models/*.bin"]}
    document = {
        "build-system": {"build-backend": "uv_build"},
        "tool": {"uv": {"build-backend": backend}},
    }
    files = ["models/a.bin", "figures/a.png", "src/core/b.bin"]

    needed = missing_sources(files, [("core", PurePosixPath(), document)])

    assert needed == ["models/a.bin", "src/core/b.bin"]


def test_submodule_in_two_packages_is_named_once() -> None:
    """A member is in the directory of the package at the root, too."""
    document = {"build-system": {"build-backend": "hatchling.build"}}
    packages = [("top", PurePosixPath(), document), ("core", PurePosixPath("core"), document)]

    assert missing_sources(["core/vendored"], packages) == ["core/vendored"]
