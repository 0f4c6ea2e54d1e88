"""The checks of a workspace: for each, a scene in which it fires, and one in which it does not."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from releasekit.core.artifacts.archive_facts import Archive, ArchiveMember
from releasekit.core.checks.contents import modules_of
from releasekit.core.checks.facts import (
    Check,
    CheckReport,
    Finding,
    Found,
    Package,
    Severity,
    WorkspaceFacts,
)
from releasekit.core.checks.fixes import (
    AddItem,
    AddVersionFile,
    DropItem,
    Fix,
    NewFile,
    SetKey,
    fixed_texts,
)
from releasekit.core.checks.registry import CHECKS, collect_findings, select_checks, with_plugins
from releasekit.core.config.settings import Settings
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.toml_lines import line_of
from releasekit.core.workspace.workspace import workspace_of
from releasekit.formats.markdown import check_markdown
from releasekit.formats.sarif import sarif_text

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = {
    "name": '"{name}"',
    "version": '"0.1.0"',
    "description": '"What {name} is for"',
    "readme": '"README.md"',
    "requires-python": '">=3.11"',
    "license": '"MIT"',
    "license-files": '["LICENSE"]',
    "authors": '[{{ name = "Ada" }}]',
    "urls": '{{ Source = "somewhere" }}',
    "classifiers": "[]",
    "dependencies": "[]",
}
"""The [project] of a healthy package, in the order of its lines: `name` is on line 2, `dependencies` on line 12."""
FILES = (
    "README.md",
    "LICENSE",
    "src/{module}/__init__.py",
    "src/{module}/py.typed",
    "pyproject.toml",
)


class Drawn(NamedTuple):
    """A package: its directory, its pyproject.toml, and the facts around it."""

    path: str
    text: str
    around: dict[str, Any]


def pkg(name: str, *, path: str = "", rest: str = "", lacks: str = "", **given: Any) -> Drawn:
    """Draw a healthy package, but for what is *given*: keys of [project] as TOML (None: left out), or facts.

    *rest* comes after [project], *lacks* are files that are not there.
    """
    around = {
        key: given.pop(key)
        for key in tuple(given)
        if key in ("ignored", "built", "texts", "rendering", "more", "tree")
    }
    keys = {**KEYS, **{key.replace("_", "-"): value for key, value in given.items()}}
    lines = [
        f"{key} = {value.format(name=name)}" for key, value in keys.items() if value is not None
    ]
    build = (
        ""
        if "[build-system]" in rest
        else '[build-system]\nrequires = []\nbuild-backend = "hatchling.build"\n'
    )
    files = {file.format(module=name.replace("-", "_").lower()) for file in FILES} - set(
        lacks.split()
    )
    around["files"] = frozenset(files) | frozenset(around.pop("more", ()))
    return Drawn(
        path or f"packages/{name}", "\n".join(["[project]", *lines, "", build + rest, ""]), around
    )


def scene(*packages: Drawn, table: dict[str, Any] | None = None, **more: Any) -> WorkspaceFacts:
    """Make the facts of a workspace of *packages*; *table* is its [tool.releasekit]."""
    settings = Settings.model_validate(table or {})
    documents = {drawn.path: tomllib.loads(drawn.text) for drawn in packages}
    workspace = workspace_of(documents, settings)
    by_path = {drawn.path: drawn for drawn in packages}
    found: dict[str, Package] = {}
    for member in workspace:
        drawn = by_path[member.path]
        around = dict(drawn.around)
        around |= {key: frozenset(around[key]) for key in ("ignored", "built") if key in around}
        found[member.name] = Package(member, drawn.text, documents[member.path], **around)
    return WorkspaceFacts(workspace, settings, found, **more)


def is_anything(_check: str, _package: str) -> bool:
    """Want every finding."""
    return True


def seen(name: str, facts: WorkspaceFacts) -> list[Finding]:
    """Return what the check *name* finds."""
    return list(collect_findings(facts, [CHECKS[name]], is_anything))


class Row(NamedTuple):
    """A scene, and what is found in it: severity, place and words of each finding."""

    check: str
    facts: WorkspaceFacts
    found: list[str]
    fix: Fix | None = None


CORE, APP, XAPP = (f"packages/{name}/pyproject.toml" for name in ("core", "app", "x-app"))
CORE_AT, DIST, LEFT = "packages/core", "packages/core/dist", "build/lib/a.py, x.egg-info/PKG-INFO"
GENERATED = "src/core/_version.py"
UNTAGGED = "there are no release tags, but these versions are probably not the first"
BUILT = frozenset({"core-0.1.0-py3-none-any.whl", "core-0.0.9.tar.gz", "notes.txt"})
SOURCES = {
    "tool": {"uv": {"sources": {"Left_Pad": {"git": "somewhere"}, "right-pad": {"index": "inner"}}}}
}
HOOKED = """\
[tool.hatch.build.hooks.vcs]
version-file = "src/core/_version.py"
[tool.hatch.build]
artifacts = ["*.css"]
"""
PRIVATE = '["Private :: Do Not Upload"]'
ALSO_IN_CODE = "core has its version in its code too, where releases do not change it"
IN_CODE = '"""Core."""\n__version__: str = "0.1"\n'
BUMPED = """\
[tool.releasekit]
bump = [{ path = "src/core/version.py", pattern = '__version__: str = "{version}"' }]
"""
BUMP_ITEM = """{ path = "src/core/version.py", pattern = '__version__ = "{version}"' }"""
BUMP_LINE = f"bump = [{BUMP_ITEM}]"


def tree(*secret: str, **modules: str) -> Archive:
    """Draw the source of core: its *modules* by name, and files with a *secret*."""
    paths = {f"src/core/{name}.py": text.encode() for name, text in modules.items()}
    members = [ArchiveMember(path, size=1) for path in ("src/core/__init__.py", *paths)]
    members += [ArchiveMember(path, secrets=("private key",)) for path in secret]
    return Archive("source", members=tuple(members), contents=paths)


def modules(sources: Mapping[str, str]) -> Archive:
    """Draw the source of a package from its modules, by path."""
    contents = {path: text.encode() for path, text in sources.items()}
    return Archive("source", members=tuple(map(ArchiveMember, contents)), contents=contents)


EXTRA = '[project.optional-dependencies]\nall = ["middle"]\n'
SHELF = "src/{0}/__init__.py src/{0}/py.typed"
# None of these fails if core is not there, or it is no import at all.
LATE_IMPORTS = """\
'''
from core import parts
'''
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import core
try:
    from core import parts
except ImportError:
    parts = None


def run():
    import core
"""
SCRIPTS = '[project.scripts]\ncore = "core.app:main"\n'
HOME = '{{ Home = "https://example.org" }}'

OUTSIDE = """\
[tool.hatch.build.targets.wheel.force-include]
"../../shared" = "core/shared"
"data" = "core/data"
[tool.maturin]
manifest-path = "../../rust/Cargo.toml"
"""
CARGO = (
    '[dependencies]\nfast = { path = "../../crates/fast" }\nown = { path = "own" }\nserde = "1"\n'
)
HATCH_LICENSE = (
    '[tool.hatch.build.force-include]\n"../../LICENSE" = "LICENSE"\n"../../docs/a.md" = "a.md"\n'
)
MADE = '[project.scripts]\ncore = "core.made:main"\n'
UNRELEASED = "whose changes do not release it"

FIRES = [
    Row(
        "outside_sources",
        scene(
            pkg("core", rest=OUTSIDE, texts={"Cargo.toml": CARGO}),
            pkg("app", rest='[tool.setuptools.package-dir]\n"" = "../lib"\n'),
            table={
                "pre_build": [["cp", "-r", "{root}/proto/api", "."]],
                "include_paths": ["crate"],
            },
        ),
        [
            f"note {APP}:2 app is built with ../../proto/api, {UNRELEASED}",
            f"note {APP}:17 app is built with ../lib, {UNRELEASED}",
            f"note {CORE}:2 core is built with ../../crates/fast, {UNRELEASED}",
            f"note {CORE}:2 core is built with ../../proto/api, {UNRELEASED}",
            f"note {CORE}:17 core is built with ../../shared, {UNRELEASED}",
            f"note {CORE}:21 core is built with ../../rust/Cargo.toml, {UNRELEASED}",
        ],
    ),
    Row(
        "verification",
        scene(pkg("core", tree=tree(app="main = 1"), rest=MADE, urls=HOME)),
        [
            (
                f"error {CORE}:17 core breaks RK-VERIFY-ENTRY-POINT: the entry point core = core.made:main: "
                "the module core.made is not in the wheel"
            )
        ],
    ),
    Row(
        "cycles",
        scene(
            pkg("app", dependencies='["core"]'),
            pkg("core", dependencies='[\n  "rich",\n  "app>=0",\n]'),
        ),
        [f"error {APP}:12 app -> core -> app"],
    ),
    Row(
        "cycles",
        scene(
            pkg("app", dependencies='["core"]'),
            pkg("core", rest='[build-system]\nrequires = ["app"]'),
            table={"cycles": "batch"},
        ),
        [f"error {APP}:12 app -> core -> app"],
    ),
    Row(
        "self_deps",
        scene(pkg("app", dependencies='[\n  "rich",\n  "App>=0.1",\n]')),
        [f"error {APP}:14 app requires itself: App>=0.1"],
        DropItem(APP, ("project", "dependencies"), "App>=0.1"),
    ),
    Row(
        "orphan_deps",
        scene(pkg("app", dependencies='["core"]'), pkg("core", classifiers=PRIVATE)),
        [f"error {APP}:12 app requires core, which is never published"],
    ),
    Row(
        "orphan_deps",
        scene(
            pkg("app", rest='[project.optional-dependencies]\nall = [\n "core",\n]'),
            pkg("core", classifiers=PRIVATE),
        ),
        [f"warning {APP}:19 app requires core, which is never published"],
    ),
    Row(
        "orphan_deps",
        scene(pkg("x-app", dependencies='["x-cor"]'), pkg("x-core")),
        [
            f"warning {XAPP}:12 x-app requires x-cor, which is named like a sibling but does not exist"
        ],
    ),
    Row(
        "internal_specifiers",
        scene(pkg("app", dependencies='["core>=2"]'), pkg("core")),
        [f"warning {APP}:12 app requires core>=2, but the workspace has 0.1.0"],
    ),
    Row(
        "python_ranges",
        scene(pkg("app", dependencies='["core"]', requires_python='">=3.9"'), pkg("core")),
        [f"warning {APP}:6 app allows Python 3.9 to 3.10, but core does not (>=3.11)"],
    ),
    Row(
        "undeclared_imports",
        scene(
            pkg("core"),
            pkg("app", dependencies='["core"]'),
            pkg(
                "lone",
                more=["src/lone/late.py"],
                tree=modules(
                    {
                        "src/lone/__init__.py": "import os\nimport core.parts\n",
                        "src/lone/late.py": "from app import run\nfrom core import parts\n",
                    }
                ),
            ),
        ),
        [
            "warning packages/lone/src/lone/__init__.py:2 lone imports core, but does not require core",
            "warning packages/lone/src/lone/late.py:1 lone imports app, but does not require app",
        ],
    ),
    Row(
        "undeclared_imports",
        scene(
            pkg(
                "shelf-core", lacks=SHELF.format("shelf_core"), more=["src/shelf/core/__init__.py"]
            ),
            pkg(
                "shelf-app",
                lacks=SHELF.format("shelf_app"),
                more=["src/shelf/app/__init__.py", "src/shelf/app/run.py"],
                tree=modules(
                    {
                        "src/shelf/app/__init__.py": "from . import run\n",
                        "src/shelf/app/run.py": "from ..core import books\n",
                    }
                ),
            ),
        ),
        [
            (
                "warning packages/shelf-app/src/shelf/app/run.py:1 "
                "shelf-app imports shelf.core, but does not require shelf-core"
            )
        ],
    ),
    Row(
        "python_ranges",
        scene(pkg("app", dependencies='["core"]', requires_python='"==3.10.*"'), pkg("core")),
        [f"error {APP}:6 app allows Python 3.10, but core does not (>=3.11)"],
    ),
    Row(
        "verification",
        scene(pkg("core", tree=tree("src/core/key.txt", app="main = 1"), rest=SCRIPTS, urls=HOME)),
        [f"error {CORE}:2 core breaks RK-VERIFY-SECRET: secrets: private key in src/core/key.txt"],
    ),
    Row(
        "verification",
        scene(pkg("core", tree=tree(), rest=SCRIPTS, urls='{{ Home = "ftp://a" }}')),
        [
            (
                f"error {CORE}:10 core breaks RK-VERIFY-URL: Project-URL Home, ftp://a: "
                "it is not an address of the web"
            ),
            (
                f"error {CORE}:17 core breaks RK-VERIFY-ENTRY-POINT: the entry point core = core.app:main: "
                "the module core.app is not in the wheel"
            ),
        ],
    ),
    Row(
        "verification",
        scene(pkg("core", tree=tree(app="def f(:"), urls=HOME, classifiers='["Topic :: Tools"]')),
        [
            f"error {CORE}:2 core breaks RK-VERIFY-SYNTAX: core/app.py: line 1: invalid syntax",
            (
                f"error {CORE}:11 core breaks RK-VERIFY-CLASSIFIER: classifiers that do not exist: "
                "Topic :: Tools"
            ),
        ],
    ),
    Row(
        "missing_license",
        scene(pkg("core", license=None, license_files=None, lacks="LICENSE")),
        [f"error {CORE}:2 core has no license"],
    ),
    Row(
        "missing_license",
        scene(
            pkg("core", license_files=None, lacks="LICENSE"),
            document={"project": {"license": "MIT"}},
            license_file="LICENSE",
            license_text="Be nice.\n",
        ),
        [f"warning {CORE}:7 core names its license, but the license text is missing"],
        NewFile("packages/core/LICENSE", "Be nice.\n"),
    ),
    Row(
        "missing_license",
        scene(
            pkg("core", license_files=None, lacks="LICENSE"),
            document={"project": {"license": "ISC"}},
            license_file="LICENSE",
            license_text="Another one.\n",
        ),
        [f"warning {CORE}:7 core names its license, but the license text is missing"],
    ),
    Row(
        "missing_license",
        scene(pkg("core", lacks="LICENSE")),
        [f"error {CORE}:8 no file matches the license-files of core: LICENSE"],
    ),
    Row(
        "license_expression",
        scene(pkg("core", license='"Apache License 2"')),
        [f"error {CORE}:7 'Apache License 2' is not a license expression"],
    ),
    Row(
        "license_expression",
        scene(pkg("core", license='"BSD"')),
        [f"error {CORE}:7 'BSD' is not a license expression: Unknown license: 'bsd'"],
    ),
    Row(
        "license_expression",
        scene(pkg("core", license='"mit or apache-2.0"')),
        [
            f"note {CORE}:7 the canonical form of the license expression 'mit or apache-2.0' is MIT OR Apache-2.0"
        ],
        SetKey(CORE, ("project", "license"), "MIT OR Apache-2.0"),
    ),
    Row(
        "license_expression",
        scene(pkg("core", classifiers='[\n "Typing :: Typed",\n "License :: OSI Approved",\n]')),
        [
            f"warning {CORE}:13 core has both a license expression and the classifier License :: OSI Approved"
        ],
        DropItem(CORE, ("project", "classifiers"), "License :: OSI Approved"),
    ),
    Row(
        "license_expression",
        scene(pkg("core", license='{{ text = "MIT" }}')),
        [f"note {CORE}:7 core has its license in a table, which PEP 639 deprecates"],
    ),
    Row(
        "missing_readme",
        scene(pkg("core", readme=None, lacks="README.md")),
        [f"error {CORE}:2 core has no README"],
    ),
    Row(
        "missing_readme",
        scene(pkg("core", lacks="README.md")),
        [f"error {CORE}:5 the readme of core is README.md, which is not in its directory"],
    ),
    Row(
        "missing_readme",
        scene(pkg("core", readme=None, lacks="README.md", more=["Readme.rst"])),
        [
            f'error {CORE}:2 core has a Readme.rst that no index shows: `readme = "Readme.rst"` is missing'
        ],
        SetKey(CORE, ("project", "readme"), "Readme.rst"),
    ),
    Row(
        "readme_rendering",
        scene(pkg("core", rendering="3: (WARNING/2) Title underline too short.")),
        [f"error {CORE}:5 README.md cannot be rendered: 3: (WARNING/2) Title underline too short."],
    ),
    Row(
        "readme_rendering",
        scene(pkg("app", readme='"README.rst"', rendering=None)),
        [f"note {APP}:5 not checked: whether an index can render the README of app"],
    ),
    Row(
        "readme_rendering",
        scene(pkg("core", readme='"README.adoc"')),
        [f"error {CORE}:5 no index can show the readme of core: README.adoc"],
    ),
    Row(
        "readme_rendering",
        scene(
            pkg(
                "core", readme='{{ file = "README.md", content-type = "text/html; charset=UTF-8" }}'
            )
        ),
        [f"error {CORE}:5 no index can show the readme of core: text/html"],
    ),
    Row(
        "readme_rendering",
        scene(
            pkg(
                "core",
                texts={
                    "README.md": '# Core\n`![](code.png)`\n![a](docs/a.png)\n<img src="b.png">\n'
                },
            )
        ),
        [
            "warning packages/core/README.md:3 no index shows docs/a.png and 1 more in the README of core"
        ],
    ),
    Row(
        "metadata_completeness",
        scene(pkg("core", description=None, authors=None, requires_python=None, license=None)),
        [f"warning {CORE}:2 core lacks description, requires-python, authors, license"],
    ),
    Row("metadata_completeness", scene(pkg("core", urls=None)), [f"note {CORE}:2 core lacks urls"]),
    Row(
        "metadata_completeness",
        scene(pkg("core", description='"Add your description here"')),
        [f'warning {CORE}:4 the description of core is "Add your description here"'],
    ),
    Row(
        "normalized_names",
        scene(pkg("My_Core")),
        ["note packages/My_Core/pyproject.toml:2 indexes and installers call My_Core my-core"],
        SetKey("packages/My_Core/pyproject.toml", ("project", "name"), "my-core"),
    ),
    Row(
        "normalized_names",
        # No fix: flit's module has this name.
        scene(
            pkg(
                "My_Core",
                rest='[build-system]\nrequires = []\nbuild-backend = "flit_core.buildapi"',
            )
        ),
        ["note packages/My_Core/pyproject.toml:2 indexes and installers call My_Core my-core"],
    ),
    Row(
        "naming_convention",
        scene(
            *(pkg(f"x-{name}", path=f"plugins/{name}") for name in ("a", "b", "c")),
            pkg("y-d", path="plugins/d"),
        ),
        [
            "warning plugins/d/pyproject.toml:2 y-d is in d; the pattern of most names in plugins gives x-d"
        ],
    ),
    Row(
        "direct_references",
        scene(pkg("core", dependencies='["a @ git+file:///a"]')),
        [f"error {CORE}:12 core requires a URL: a @ git+file:///a"],
    ),
    Row(
        "direct_references",
        scene(pkg("core", dependencies='["left.pad", "right-pad"]'), document=SOURCES),
        [
            f"warning {CORE}:12 core uses left-pad from git in development, but its users get it from the index"
        ],
    ),
    Row(
        "private_classifier",
        scene(pkg("demo", path="samples/demo")),
        ["warning samples/demo/pyproject.toml:2 demo looks like a sample, but would be published"],
    ),
    Row(
        "private_classifier",
        scene(pkg("demo", path="samples/demo"), table={"exclude": ["demo"]}),
        [
            "note samples/demo/pyproject.toml:2 only the settings exclude demo; a manual upload would succeed"
        ],
        AddItem(
            "samples/demo/pyproject.toml", ("project", "classifiers"), "Private :: Do Not Upload"
        ),
    ),
    Row(
        "stale_artifacts",
        scene(pkg("core", built=BUILT)),
        [
            f"warning {DIST}/core-0.0.9.tar.gz:1 core has builds of other versions in dist/: core-0.0.9.tar.gz"
        ],
    ),
    Row(
        "stale_artifacts",
        scene(pkg("core", more=["build/lib/a.py", "x.egg-info/PKG-INFO", "pyproject.toml.bak"])),
        [
            f"warning {CORE_AT}/build/lib/a.py:1 core has build output that git does not ignore: {LEFT}",
            "warning packages/core/pyproject.toml.bak:1 core has leftover backup files: pyproject.toml.bak",
        ],
    ),
    Row(
        "type_markers",
        scene(pkg("core", classifiers='["Typing :: Typed"]', lacks="src/core/py.typed")),
        [f"warning {CORE}:11 core declares that it is typed, but has no py.typed"],
        NewFile("packages/core/src/core/py.typed"),
    ),
    Row(
        "type_markers",
        scene(pkg("a"), pkg("b"), pkg("core", lacks="src/core/py.typed")),
        [f"note {CORE}:2 core has no py.typed, but most of its siblings have one"],
    ),
    Row(
        "version_consistency",
        scene(
            pkg("core", texts={"src/core/__init__.py": '"""Core."""\n\n__version__ = "0.0.9"\n'})
        ),
        [
            "warning packages/core/src/core/__init__.py:3 core has version 0.1.0, but its code says 0.0.9"
        ],
    ),
    Row(
        "version_consistency",
        scene(pkg("core", texts={"src/core/version.py": IN_CODE})),
        [f"warning {CORE_AT}/src/core/version.py:2 {ALSO_IN_CODE}"],
        AddVersionFile(CORE, "src/core/version.py", '__version__: str = "{version}"'),
    ),
    Row(
        "version_consistency",
        scene(pkg("core", texts={"src/core/__init__.py": f"{IN_CODE}else:\n{IN_CODE}"})),
        [f"warning {CORE_AT}/src/core/__init__.py:2 {ALSO_IN_CODE}"],
    ),
    Row(
        "version_consistency",
        scene(pkg("a"), pkg("b"), pkg("core", version='"0.2"'), table={"versioning": "fixed"}),
        [
            f'warning {CORE}:3 core has version 0.2, but the common version is 0.1.0 (versioning = "fixed")'
        ],
    ),
    Row(
        "ignored_files",
        scene(pkg("core", ignored=["src/core/lib/", "src/core/__pycache__/", GENERATED, ".venv/"])),
        [
            f"error {CORE_AT}/{GENERATED}:1 git ignores files that core needs: {GENERATED}, src/core/lib/"
        ],
    ),
    Row(
        "ignored_files",
        scene(pkg("core", ignored=["src/core/data/"])),
        [
            "warning packages/core/src/core/data/:1 git ignores files that core needs: src/core/data/"
        ],
    ),
    Row(
        "ignored_files",
        scene(pkg("core", lacks="README.md LICENSE", ignored=["README.md", "LICENSE"])),
        ["error packages/core/LICENSE:1 git ignores files that core needs: LICENSE, README.md"],
    ),
    Row(
        "ignored_files",
        scene(pkg("app"), pkg("core"), ignored_changelogs={"core": f"{CORE_AT}/LOG", "": "NEWS"}),
        [
            "warning NEWS:1 git ignores this changelog, so release commits do not contain it",
            f"warning {CORE_AT}/LOG:1 git ignores this changelog, so release commits do not contain it",
        ],
    ),
    Row(
        "build_tags",
        scene(
            pkg("app"),
            pkg("core"),
            unread_tags={"core": "its build does not read tags such as v1.2.3"},
        ),
        [f"warning {CORE_AT}/pyproject.toml:1 core: its build does not read tags such as v1.2.3"],
    ),
    Row(
        "lock_stale",
        scene(pkg("core"), lock="stale"),
        ["error uv.lock:1 uv.lock does not match the pyproject.toml files"],
    ),
    Row(
        "lock_stale",
        scene(pkg("core"), lock="no such thing"),
        ["error uv.lock:1 uv cannot check whether uv.lock is current: no such thing"],
    ),
    Row(
        "tag_baseline",
        scene(pkg("app", version='"0.5"'), pkg("core"), tagged=frozenset({"core"})),
        [f"warning {APP}:3 app has version 0.5, but no tag marks its last release"],
    ),
    Row(
        "tag_baseline",
        scene(
            *(pkg(name, version='"0.5"') for name in ("app", "b", "c", "core")), tagged=frozenset()
        ),
        [f"warning {APP}:3 {UNTAGGED}: app, b, c and 1 more"],
    ),
]

MODULE = "src/shop/__init__.py src/shop/py.typed"
AROUND = ("helpers/core/__init__.py",)
# A package for others to require: all code and the command are in core, which the build hook requires.
FRONT = """\
[project.scripts]
shop = "core.app:main"
[tool.hatch.build.targets.wheel]
bypass-selection = true
[tool.hatch.metadata.hooks.uv-dynamic-versioning]
dependencies = ["core=={{ version }}"]
"""

SILENT = [
    Row(
        "outside_sources",
        scene(
            pkg(
                "core",
                rest=OUTSIDE
                + '[tool.releasekit]\ninclude_paths = ["../../shared", "../../crates/*"]\n',
                texts={"Cargo.toml": CARGO},
            ),
            table={"include_paths": ["rust/Cargo.toml"]},
        ),
        [],
    ),
    Row(
        "outside_sources",
        scene(
            pkg("core", rest=HATCH_LICENSE, texts={"Cargo.toml": "not TOML"}),
            table={"pre_build": [["cp", "{root}/LICENSE", "{root}/docs/index.md", "."]]},
        ),
        [],
    ),
    Row(
        "missing_license",
        scene(pkg("core", lacks="LICENSE"), prepared=frozenset({"core"})),
        [],
    ),
    Row(
        "missing_readme",
        scene(pkg("core", lacks="README.md"), prepared=frozenset({"core"})),
        [],
    ),
    Row(
        "ignored_files",
        scene(
            pkg("core", lacks="README.md", ignored=["README.md", "src/core/made.py"]),
            prepared=frozenset({"core"}),
        ),
        [],
    ),
    Row(
        "version_consistency",
        scene(
            pkg("core", texts={"src/core/version.py": '__version__ = "0.0.0"\n'}),
            prepared=frozenset({"core"}),
        ),
        [],
    ),
    Row(
        "verification",
        scene(
            pkg("core", tree=tree(app="main = 1"), rest=MADE, urls=HOME),
            prepared=frozenset({"core"}),
        ),
        [],
    ),
    *(
        Row(
            "undeclared_imports",
            scene(
                pkg("core"),
                pkg("middle", dependencies='["core"]'),
                pkg(
                    "app",
                    dependencies=dependencies,
                    rest=rest,
                    tree=modules({path: text}),
                    more=[path],
                ),
            ),
            [],
        )
        for path, text, dependencies, rest in (
            ("src/app/run.py", "import core", '["middle"]', ""),
            ("src/app/run.py", "import core", "[]", EXTRA),
            ("src/app/run.py", LATE_IMPORTS, "[]", ""),
            ("src/app/run.py", "import core_parts\nfrom .core import x\n", "[]", ""),
            ("src/app/run.py", "import core\nx = (", "[]", ""),
            ("src/app/tests/run.py", "import core", "[]", ""),
            ("src/app/.templates/run.py", "import core", "[]", ""),
            ("src/app/run.pyi", "import core", "[]", ""),
        )
    ),
    Row(
        "undeclared_imports",  # a build hook writes the requirements
        scene(
            pkg("core"),
            pkg(
                "app",
                dependencies=None,
                dynamic='["dependencies"]',
                tree=modules({"src/app/__init__.py": "import core"}),
            ),
        ),
        [],
    ),
    Row(
        "undeclared_imports",  # two packages have the module
        scene(
            pkg("core"),
            pkg("core-fast", lacks=SHELF.format("core_fast"), more=["src/core/__init__.py"]),
            pkg("app", tree=modules({"src/app/__init__.py": "import core"})),
        ),
        [],
    ),
    *(
        Row(
            name,
            scene(
                pkg(
                    "shop",
                    path=".",
                    rest=FRONT,
                    urls=HOME,
                    tree=Archive("source"),
                    more=AROUND,
                    lacks=MODULE,
                ),
                pkg("core", urls=HOME, tree=tree(app="def main(): ...")),
            ),
            [],
        )
        for name in ("verification", "type_markers")
    ),
    Row(
        "verification",  # `license_expression` finds it
        scene(
            pkg(
                "core",
                urls=HOME,
                tree=tree(app=""),
                classifiers='["License :: OSI Approved :: MIT License"]',
            )
        ),
        [],
    ),
    Row(
        "verification",
        scene(
            pkg("core", tree=tree("tmp/key.txt", app="def main(): ..."), rest=SCRIPTS, urls=HOME),
            table={"verify_ignore": [{"rule": "secret", "package": "core", "reason": "a sample"}]},
        ),
        [],
    ),
    Row(
        "verification",
        scene(
            pkg(
                "core",
                tree=tree("tmp/key.txt", app="def main(): ..."),
                rest='[build-system]\nrequires = []\nbuild-backend = "uv_build"\n',
                urls=HOME,
                authors='[{{ name = "Ada, B.", email = "ada@example.org" }}, {{ name = "Cy" }}, {{ name = "Di" }}, '
                '{{ email = "ed@example.org" }}]',
            ),
        ),
        [],
    ),
    *(Row(name, scene(pkg("app", dependencies='["core"]'), pkg("core")), []) for name in CHECKS),
    Row(
        "cycles",
        scene(
            pkg("app", dependencies='["core"]'),
            pkg("core", dependencies='["app"]'),
            table={"cycles": "batch"},
        ),
        [],
    ),
    Row("cycles", scene(pkg("app", dependencies='["app"]')), []),  # that is self_deps' business
    Row(
        "self_deps", scene(pkg("app", rest='[project.optional-dependencies]\nall = ["app[x]"]')), []
    ),
    Row(
        "orphan_deps",
        scene(
            pkg("app", classifiers=PRIVATE, dependencies='["core"]'),
            pkg("core", classifiers=PRIVATE),
        ),
        [],
    ),
    Row(
        "orphan_deps",  # the lock file has it, so it exists
        scene(
            pkg("x-app", dependencies='["x-old"]'),
            pkg("x-core"),
            locked='[[package]]\nname = "x-old"\nversion = "1"\n',
        ),
        [],
    ),
    Row(
        "internal_specifiers",
        scene(pkg("app", dependencies='["core>=0.1"]'), pkg("core", version='"0.1rc1"')),
        [],
    ),
    Row(
        "python_ranges",  # asked for only where it installs
        scene(
            pkg(
                "app",
                requires_python='">=3.9"',
                dependencies="['core; python_version >= \"3.11\"']",
            ),
            pkg("core"),
        ),
        [],
    ),
    Row(
        "python_ranges",
        scene(pkg("app", requires_python=None, dependencies='["core"]'), pkg("core")),
        [],
    ),
    Row(
        "missing_license",
        scene(
            pkg(
                "core",
                license=None,
                license_files='["**/COPY*"]',
                lacks="LICENSE",
                more=["COPYING"],
            )
        ),
        [],
    ),
    Row(
        "missing_license",
        scene(pkg("core", license='{{ file = "MY" }}', license_files=None, lacks="LICENSE")),
        [],
    ),
    Row("missing_license", scene(pkg("core", license=None, license_files=None)), []),
    Row("license_expression", scene(pkg("core", license='"LicenseRef-Own"')), []),
    Row(
        "license_expression",
        scene(pkg("core", license=None, classifiers='["License :: OSI Approved"]')),
        [],
    ),
    Row(
        "missing_readme",
        scene(
            pkg(
                "core",
                readme='{{ text = "Hello", content-type = "text/plain" }}',
                lacks="README.md",
            )
        ),
        [],
    ),
    Row(
        "missing_readme",
        scene(pkg("core", readme=None, lacks="README.md", dynamic='["readme"]')),
        [],
    ),
    Row(
        "missing_readme",
        scene(pkg("core", classifiers=PRIVATE, readme=None, lacks="README.md")),
        [],
    ),
    Row(
        "missing_readme",
        scene(pkg("demo", path="samples/demo", readme=None, lacks="README.md")),
        [],
    ),
    Row(
        "readme_rendering",
        scene(
            pkg(
                "core",
                readme='{{ file = "README", content-type = "text/markdown" }}',
                more=["README"],
            )
        ),
        [],
    ),
    Row(
        "readme_rendering",
        scene(pkg("core", texts={"README.md": "```\n![](a.png)\n```\n![](data:x) [a](b.md)\n"})),
        [],
    ),
    Row(
        "metadata_completeness",
        scene(
            pkg(
                "core",
                description=None,
                authors=None,
                maintainers="[]",
                dynamic='["description", "authors"]',
            )
        ),
        [],
    ),
    Row("naming_convention", scene(pkg("a"), pkg("b"), pkg("other", path="packages/c")), []),
    Row(
        "direct_references",
        scene(pkg("core", rest='[build-system]\nrequires = ["a @ git+file:///a"]')),
        [],
    ),
    Row(
        "private_classifier",
        scene(pkg("demo", path="samples/demo"), table={"packages": ["demo"]}),
        [],
    ),
    Row(
        "private_classifier",
        scene(pkg("demo", path="samples/demo", rest="[tool.uv]\npackage = false")),
        [],
    ),
    Row("private_classifier", scene(pkg("demo", path="samples/demo", classifiers=PRIVATE)), []),
    Row(
        "stale_artifacts",
        scene(pkg("core", built=["core-0.1.0.tar.gz", ".gitignore"], ignored=["dist/"])),
        [],
    ),
    Row(
        "type_markers",
        scene(pkg("a", lacks="src/a/py.typed"), pkg("b", lacks="src/b/py.typed")),
        [],
    ),
    Row(
        "version_consistency",
        scene(
            pkg(
                "core",
                texts={"src/core/_version.py": '__version__ = "0.0.9"\n', "README.md": IN_CODE},
                rest=HOOKED,
            )
        ),
        [],
    ),
    Row(
        "version_consistency",
        scene(pkg("core", texts={"src/core/version.py": IN_CODE}, rest=BUMPED)),
        [],
    ),
    Row(
        "version_consistency",
        scene(
            pkg("core", texts={"src/core/version.py": IN_CODE}),
            table={"pre_release": ["python write_versions.py"]},
        ),
        [],
    ),
    Row(
        "version_consistency",
        scene(pkg("core", version=None, dynamic='["version"]', texts={"src/core/a.py": IN_CODE})),
        [],
    ),
    Row(
        "ignored_files",
        scene(
            pkg(
                "core",
                rest=HOOKED,
                ignored=["src/core/_version.py", "src/core/a.css", "src/core/a.so"],
            )
        ),
        [],
    ),
    Row(
        "ignored_files",
        scene(
            pkg(
                "core",
                rest='[tool.setuptools_scm]\nwrite_to = "src/core/v.py"',
                ignored=["src/core/v.py"],
            )
        ),
        [],
    ),
    Row(
        "ignored_files",
        scene(
            pkg(
                "core", rest='[tool.pdm.version]\nwrite_to = "core/v.py"', ignored=["src/core/v.py"]
            )
        ),
        [],
    ),
    Row("tag_baseline", scene(pkg("core", version='"0.5"')), []),  # nobody looked
    Row("tag_baseline", scene(pkg("core", version='"1.0.0"'), tagged=frozenset()), []),
    Row(
        "tag_baseline",
        scene(
            pkg("a", version='"0.5"'),
            pkg("b", version='"0.5"'),
            table={"versioning": "fixed"},
            tagged=frozenset("a"),
        ),
        [],
    ),
]


def row_id(row: Row) -> str:
    return f"{row.check}: {row.found[0].split(' ', 2)[2] if row.found else 'nothing'}"


@pytest.mark.parametrize("row", FIRES, ids=row_id)
def test_each_check_reports_its_problem(row: Row) -> None:
    """The check says what is wrong, how bad that is, where it stands, and how it is mended if that is clear."""
    found = seen(row.check, row.facts)

    assert [f"{each.severity} {each.path}:{each.line} {each.what}" for each in found] == row.found
    assert [each.fix for each in found if each.fix] == ([row.fix] if row.fix else [])
    assert all(each.hint.endswith((".", "`")) for each in found)


@pytest.mark.parametrize("row", SILENT, ids=row_id)
def test_each_check_accepts_correct_facts(row: Row) -> None:
    """The check leaves alone what is right, or none of its business."""
    assert seen(row.check, row.facts) == []


def test_every_check_is_tested() -> None:
    """There is a scene of both kinds for each check."""
    assert {row.check for row in FIRES} == {row.check for row in SILENT} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_checks_explain_themselves_in_sentences(check: Check) -> None:
    """A check says in sentences what it finds and what to do."""
    assert check.summary.endswith(".")
    assert check.hint.endswith((".", "`"))


# ---- which checks, which findings ----------------------------------------------------------------------------------


def boom(_: WorkspaceFacts) -> list[Found]:
    raise ValueError("no")


def misspelt(_: WorkspaceFacts) -> list[Found]:
    return [Found("app", "teh", "README.md", 7)]


OTHER = Check("spelling", Severity.NOTE, "A word is wrong.", "Mend it.", misspelt)
BAD = replace(OTHER, name="bad", find=boom)


def test_checks_are_selected_or_ignored() -> None:
    """All are made, or those that are selected; never those that are ignored."""
    assert list(select_checks(CHECKS, (), ())) == list(CHECKS)
    assert list(select_checks(CHECKS, ("self_deps", "cycles"), ("self_deps",))) == ["cycles"]
    with pytest.raises(Refusal, match="there is no check cycels; did you mean cycles") as caught:
        select_checks(CHECKS, (), ("cycels",))
    assert caught.value.code == ErrorCode.CHECK_UNKNOWN


def test_checks_of_other_packages_run() -> None:
    """Checks of other packages are made like ours; what is no check, takes a name or fails is refused by its name."""
    facts = scene(pkg("app"))
    known = with_plugins([("speller", OTHER), ("two", [BAD])])

    assert list(known)[-2:] == ["spelling", "bad"]
    assert [
        (each.what, each.line) for each in collect_findings(facts, [known["spelling"]], is_anything)
    ] == [("teh", 7)]
    for offered, said in (
        (42, "int is not a Check"),
        (CHECKS["cycles"], "a check named cycles already exists"),
    ):
        with pytest.raises(Refusal, match=said):
            with_plugins([("speller", offered)])
    with pytest.raises(Refusal, match="the check bad failed: ValueError: no"):
        collect_findings(facts, [BAD], is_anything)
    broken = replace(CHECKS["cycles"], find=boom)
    # Ours don't fail; if one does, that is a mistake of ours.
    with pytest.raises(ValueError, match="no"):
        collect_findings(facts, [broken], is_anything)


def test_worst_findings_come_first() -> None:
    """The worst comes first, then checks and places by their names; what is not wanted is left out."""
    facts = scene(pkg("Core", urls=None, readme=None, lacks="README.md"), pkg("app", authors=None))

    def is_wanted(check: str, _: str) -> bool:
        return check != "normalized_names"

    assert [each.check for each in collect_findings(facts, CHECKS.values(), is_wanted)] == [
        "missing_readme",
        "metadata_completeness",
        "metadata_completeness",
    ]


# ---- lines ---------------------------------------------------------------------------------------------------------

TOML = '''\
# [project] is not here
[build-system]
requires = ["hatchling"]

[project]
name = "core"  # name = "x"
description = """
[tool.releasekit]
license = "not this"
"""
dependencies = [
    # "rich" is not here
    'rich; extra == "x"',
    "b\\"c",
]
urls.Source = "there"
"readme" = { file = "README.md" }

[project.optional-dependencies]
fast = ["uvloop"]

[[tool.uv.index]]
name = "inner"
'''


@pytest.mark.parametrize(
    ("path", "item", "line"),
    [
        ("project", "", 5),
        ("project.name", "", 6),
        ("project.license", "", 5),  # is not there: the table around it
        ("project.dependencies", "", 11),
        ("project.dependencies", 'rich; extra == "x"', 13),
        ("project.dependencies", 'b"c', 14),
        ("project.dependencies", "gone", 11),
        ("project.urls", "", 16),
        ("project.readme.file", "", 17),
        ("project.optional-dependencies.fast", "uvloop", 20),
        ("tool.uv.index.name", "", 23),
        ("tool.uv", "", 22),
        ("tool.releasekit", "", 22),
        ("dependency-groups", "", 1),
    ],
)
def test_line_of_finds_exact_key(path: str, item: str, line: int) -> None:
    """Keys, items and tables are found where they stand, not where a comment or a text looks like them."""
    assert line_of(TOML, path.split("."), item) == line


def test_line_of_accepts_broken_toml() -> None:
    """What is no TOML does no harm."""
    assert line_of('[a\nb = [\n"c"', ["a", "b"], "c") == 1


# ---- fixes ---------------------------------------------------------------------------------------------------------

BEFORE = """\
[project]
name = "Core"  # the name
classifiers = [
    "Typing :: Typed",  # yes
    "License :: OSI Approved",
]

[tool.x]
y = 1
"""
AFTER = """\
[project]
name = "core"  # the name
classifiers = [
    "Typing :: Typed",  # yes
    "Private :: Do Not Upload",
]
readme = "README.md"

[tool.x]
y = 1
"""
FIXES: list[Fix] = [
    SetKey("p", ("project", "name"), "core"),
    DropItem("p", ("project", "classifiers"), "License :: OSI Approved"),
    AddItem("p", ("project", "classifiers"), "Private :: Do Not Upload"),
    SetKey("p", ("project", "readme"), "README.md"),
]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_fixes_of_file_are_combined(ends: str) -> None:
    """All fixes of a file go into one text; comments, order and line ends stay."""
    assert fixed_texts({"p": BEFORE.replace("\n", ends)}, FIXES) == {"p": AFTER.replace("\n", ends)}


OWN = f"[tool.releasekit]\n{BUMP_LINE}\n"
COMMENTED = '[tool.releasekit]\nbump = [ # here\n    { path = "a", pattern = "b {version}" },\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[project]\n", f"[project]\n\n{OWN}"),
        ("[tool.hatch]\nx = 1\n\n[other]\n", f"[tool.hatch]\nx = 1\n\n[other]\n\n{OWN}"),
        ("[tool.releasekit]\npins = 'keep'\n", f"[tool.releasekit]\npins = 'keep'\n{BUMP_LINE}\n"),
        (f"{COMMENTED}]\n", f"{COMMENTED}    {BUMP_ITEM},\n]\n"),
    ],
    ids=["no table", "other tables", "other keys", "other files"],
)
def test_version_file_is_added_to_bump(before: str, after: str) -> None:
    """A file with the version is added to the table of the package, which is made if it is missing."""
    fix = AddVersionFile("p", "src/core/version.py", '__version__ = "{version}"')

    assert fixed_texts({"p": before}, [fix]) == {"p": after}


def test_new_file_fix_keeps_existing() -> None:
    """A file that is there is left alone, an array that is not is begun."""
    fixes = [NewFile("a", "text"), NewFile("b"), AddItem("c", ("project", "classifiers"), "x")]

    after = fixed_texts({"a": None, "b": "there", "c": "[project]\nname = 'c'\n"}, fixes)
    assert after == {"a": "text", "c": "[project]\nname = 'c'\nclassifiers = [\"x\"]\n"}


# ---- what is said --------------------------------------------------------------------------------------------------

REPORT = CheckReport(
    checks=("cycles", "missing_readme"),
    packages=2,
    findings=(
        Finding(
            check="cycles", severity=Severity.ERROR, package="app", what="app -> b | c", path="a b/pyproject.toml",
            line=3, hint="Break it.",
        ),
        Finding(
            check="missing_readme", severity=Severity.NOTE, package="b", what="none", path="b/pyproject.toml",
            line=1, hint="Write one.", fix=NewFile("b/README.md"),
        ),
    ),
)  # fmt: skip


def test_check_report_json_has_fields() -> None:
    """As JSON each finding has check, severity, package, place, hint, and whether --fix fixes it."""
    said = json.loads(REPORT.model_dump_json())

    assert (said["schema"], said["packages"]) == ("releasekit.check/1", 2)
    assert said["findings"][0] == {
        "check": "cycles",
        "severity": "error",
        "package": "app",
        "what": "app -> b | c",
        "path": "a b/pyproject.toml",
        "line": 3,
        "hint": "Break it.",
        "fixable": False,
    }
    assert said["findings"][1]["fixable"] is True


def test_sarif_has_rules_and_results() -> None:
    """SARIF has a rule for each check that was made, and each finding beside its line, from the repository's top."""
    said = json.loads(sarif_text(REPORT, [CHECKS[name] for name in REPORT.checks], "1.0", "py"))

    (run,) = said["runs"]
    assert (said["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "releasekit")
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["cycles", "missing_readme"]
    assert run["results"][0] == {
        "ruleId": "cycles",
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": "app -> b | c. Break it."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "py/a%20b/pyproject.toml"},
                    "region": {"startLine": 3},
                }
            }
        ],
    }
    assert (
        json.loads(sarif_text(REPORT, CHECKS.values(), "1.0"))["runs"][0]["results"][1]["level"]
        == "note"
    )


def test_check_markdown_has_a_table() -> None:
    """As Markdown it is a table below its summary."""
    assert check_markdown(REPORT).splitlines() == [
        "# 2 packages, 2 checks: 1 error, 1 note; --fix fixes 1",
        "",
        "| severity | check | where | finding | next step |",
        "| --- | --- | --- | --- | --- |",
        r"| error | cycles | a b/pyproject.toml:3 | app -> b \| c | Break it. |",
        "| note | missing_readme | b/pyproject.toml:1 | none | Write one. |",
    ]
    nothing = REPORT.model_copy(update={"packages": 1, "findings": ()})
    assert check_markdown(nothing) == "# 1 package, 2 checks: no findings\n\n"


def test_modules_are_outermost_packages() -> None:
    """What is imported is the outermost package, also in a namespace; not tests and the like."""
    files = [
        "src/a/__init__.py",
        "src/a/b/__init__.py",
        "src/ns/c/__init__.py",
        "tests/__init__.py",
        "setup.py",
    ]

    assert modules_of(files) == ("src/a", "src/ns/c")
