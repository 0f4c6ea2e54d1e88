"""Exact pins of siblings."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.workspace.pins import Pins, pin_requirement, pin_requirements

VERSIONS = {"core": Version("2.0"), "fps-auth": Version("0.5.1"), "next": Version("3.0rc1")}
OLDER = frozenset(
    {
        "core<2",
        "core==1.*",
        "core!=2.0",
        "next>=3.0rc2",
        "next>3",
        "next<3",
        "fps-auth!=0.5.1,>=0.1",
    }
)
PINS = Pins("exact", VERSIONS, older=OLDER)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("core", "core==2.0"),
        ("core>=1,<3", "core==2.0"),
        ("core ~= 2.0", "core==2.0"),
        ("core==2.0", "core==2.0"),
        # the name as written, extras and marker stay
        (
            "Fps_Auth[b,a]>=0.5 ; python_version < '3.13'",
            'Fps_Auth[a,b]==0.5.1; python_version < "3.13"',
        ),
        (
            'core; extra == "x" and sys_platform == "win32"',
            'core==2.0; extra == "x" and sys_platform == "win32"',
        ),
        # prereleases of the workspace count
        ("next", "next==3.0rc1"),
        ("next>=2", "next==3.0rc1"),
        # and their final version may be what is required
        ("next>=3,<4", "next==3.0rc1"),
        ("next==3.*", "next==3.0rc1"),
        ("next>=3.0rc2", "next>=3.0rc2"),
        ("next>3", "next>3"),
        ("next<3", "next<3"),
        # not changed: an older release, a URL, packages outside the workspace
        ("core<2", "core<2"),
        ("core==1.*", "core==1.*"),
        ("core!=2.0", "core!=2.0"),
        ("core @ file:///core.whl", "core@ file:///core.whl"),
        ("httpx>=0.27", "httpx>=0.27"),
    ],
)
def test_pin_changes_only_the_specifier(written: str, expected: str) -> None:
    """Only the specifier changes, and only if the requirement is for the version in the workspace."""
    requirement = Requirement(written)

    assert str(pin_requirement(requirement, PINS)) == expected.replace("core@ ", "core @ ")
    assert str(requirement) == str(Requirement(written))


def test_pinning_keeps_the_file_layout() -> None:
    """Comments, order, line endings and all other tables stay. Groups are never published, so they stay too."""
    before = """\
# Top.
[build-system]
requires = ["hatchling", 'core>=1']  # quoted in its own way
build-backend = "hatchling.build"\r
[project]
name = "app"    # spaced
version = "1.0"
dependencies = [
    # the core of it
    "core>=1",  # why
    "httpx>=0.27",
    'Fps_Auth[b] ~= 0.5',
]
[dependency-groups]
dev = ["core>=1"]
[project.optional-dependencies]
"all in" = ["app[fast]", "core<2"]
fast = ["core>=1", "next"]
[tool.uv.sources]
core = { workspace = true }
"""
    after = (
        before.replace("'core>=1'", "'core==2.0'")
        .replace('    "core>=1",', '    "core==2.0",')
        .replace("'Fps_Auth[b] ~= 0.5'", "'Fps_Auth[b]==0.5.1'")
        .replace('fast = ["core>=1", "next"]', 'fast = ["core==2.0", "next==3.0rc1"]')
    )

    assert pin_requirements(before, PINS) == after


@pytest.mark.parametrize(
    "form",
    [
        'project.name = "a"\nproject.dependencies = ["core"]\n',
        '[project]\nname = "a"\n[tool.x]\n[project.optional-dependencies]\nx = ["core"]\n',
        '[project]\nname = "a"\noptional-dependencies = { x = ["core"] }\n',
        '[project]\nname = "a"\noptional-dependencies.x = ["core"]\n',
        'build-system = { requires = ["core"] }\n',
        'project = { name = "a", dependencies = ["core"] }\n',
        '[project]\nname = "a"\n[tool.x]\n[build-system]\nrequires = ["core"]\n[project.urls]\na = "b"\n',
    ],
)
def test_pinning_handles_every_table_form(form: str) -> None:
    """Requirements are pinned in every form of TOML tables."""
    assert pin_requirements(form, PINS) == form.replace('"core"', '"core==2.0"')


@pytest.mark.parametrize(
    "text", ["", '[project]\nname = "a"\ndynamic = ["version"]\n', "[tool.uv]\npackage = true\n"]
)
def test_file_without_requirements_stays_unchanged(text: str) -> None:
    """A file without requirements stays as it is."""
    assert pin_requirements(text, PINS) == text


def test_pinning_covers_the_hatch_hook() -> None:
    """Requirements of a build hook are pinned too: the hook's version may differ from the sibling's."""
    hook = "[tool.hatch.metadata.hooks.uv-dynamic-versioning]\n"
    before = (
        hook
        + 'dependencies = ["core[x]=={{ version }}", "httpx", "other=={{ version }}", "core>=1"]\n'
    )
    after = hook + 'dependencies = ["core[x]==2.0", "httpx", "other=={{ version }}", "core==2.0"]\n'

    assert pin_requirements(before, PINS) == after


names = st.sampled_from(["core", "Core", "fps_auth", "FPS.auth", "next", "httpx", "next-up"])
extras = st.sampled_from(["", "[a]", "[b,a]"])
specifiers = st.sampled_from(["", ">=1", "<2", "==2.0", "~=0.5", "==3.*", " >= 0.1 , != 0.5.1"])
markers = st.sampled_from(["", "; python_version >= '3.12'", ' ; sys_platform == "win32"'])
requirements = st.lists(
    st.builds("{}{}{}{}".format, names, extras, specifiers, markers), max_size=4
)


@given(requirements, requirements, requirements)
def test_pinning_is_idempotent_and_minimal(
    runtime: list[str], extra: list[str], build: list[str]
) -> None:
    """Pinning is idempotent. It keeps the requirements and their order, and changes nothing else."""
    text = "\n".join(
        [
            "[project] # a",
            'name = "app"',
            f"dependencies = [ # b\n{''.join(f'  {item!r}, # {n}{chr(10)}' for n, item in enumerate(runtime))}]",
            f"[project.optional-dependencies]\nx = {[*extra]!r} # c",
            f"[build-system]\nrequires = {[*build]!r}\n",
        ]
    )

    once = pin_requirements(text, PINS)

    assert pin_requirements(once, PINS) == once
    assert [line.partition("#")[2] for line in text.splitlines()] == [
        line.partition("#")[2] for line in once.splitlines()
    ]
    before, after = (tomllib.loads(version) for version in (text, once))
    for one, other in zip(_requirements(before), _requirements(after), strict=True):
        assert str(pin_requirement(Requirement(one), PINS)) == str(Requirement(other))
        assert _all_but_version(one) == _all_but_version(other)
    assert _without_requirements(before) == _without_requirements(after)


def _requirements(document: dict[str, Any]) -> list[str]:
    project = document["project"]
    return [
        *project["dependencies"],
        *project["optional-dependencies"]["x"],
        *document["build-system"]["requires"],
    ]


def _all_but_version(written: str) -> tuple[str, frozenset[str], str]:
    requirement = Requirement(written)
    return (
        canonicalize_name(requirement.name),
        frozenset(requirement.extras),
        str(requirement.marker),
    )


def _without_requirements(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document["project"].items() if "dependencies" not in key}
