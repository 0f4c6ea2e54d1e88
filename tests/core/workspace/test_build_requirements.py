"""Which packages may share the environment of their builds."""

from __future__ import annotations

import tomllib

import pytest

from releasekit.core.workspace.build_requirements import shareable_requirements

HATCHLING = '[build-system]\nrequires = ["hatchling>=1.27"]\nbuild-backend = "hatchling.build"\n'


def test_equal_requirements_share_an_environment() -> None:
    """The order in which they are written does not count."""
    one = HATCHLING.replace('"hatchling>=1.27"', '"hatch-vcs", "hatchling"')
    other = HATCHLING.replace('"hatchling>=1.27"', '"hatchling", "hatch-vcs"')

    requirements = [shareable_requirements(tomllib.loads(text), {}, ()) for text in (one, other)]

    assert requirements == [("hatch-vcs", "hatchling")] * 2


@pytest.mark.parametrize(
    ("package", "of_root"),
    [
        pytest.param(HATCHLING.replace(">=1.27", " @ file:///hatchling.whl"), "", id="direct URL"),
        pytest.param(HATCHLING.replace(">=1.27", " not a requirement"), "", id="unreadable"),
        pytest.param(f'{HATCHLING}backend-path = ["."]\n', "", id="backend in the source"),
        pytest.param(
            '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n',
            "",
            id="uv_build",
        ),
        pytest.param("", "", id="no build system"),
        pytest.param(
            HATCHLING,
            '[tool.uv]\nbuild-constraint-dependencies = ["hatchling<2"]\n',
            id="constraints",
        ),
        pytest.param(
            f"{HATCHLING}[tool.uv]\nconfig-settings = {{ a = 'b' }}\n",
            "",
            id="settings of the package",
        ),
    ],
)
def test_special_builds_get_an_own_environment(package: str, of_root: str) -> None:
    """A shared environment would give them other requirements, or none that they need."""
    assert shareable_requirements(tomllib.loads(package), tomllib.loads(of_root), ()) == ()


def test_siblings_in_builds_are_not_shared() -> None:
    """The files of the sibling are new in each release."""
    assert shareable_requirements(tomllib.loads(HATCHLING), {}, ["plugin"]) == ()
