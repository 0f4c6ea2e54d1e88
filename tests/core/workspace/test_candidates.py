"""Which version of a package an installer accepts."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from releasekit.core.workspace.candidates import Candidate, allows, release_requirements


@pytest.mark.parametrize(
    ("specifier", "version", "others", "allowed"),
    [
        (">=1", "1.0", "", True),
        (">=2", "1.0", "", False),
        (">=1", "2.0rc1", "1.0", False),
        (">=2.0rc1", "2.0rc1", "1.0", True),
        (">=1", "2.0rc1", "", True),
        (">=1", "2.0rc2", "2.0rc1", True),
    ],
)
def test_stable_version_hides_the_prerelease(
    specifier: str, version: str, others: str, allowed: bool
) -> None:
    """A prerelease counts if the specifier names one, or if the package has no stable version."""
    versions = [version, *others.split()]
    candidates = {"core": [Candidate("core", Version(number)) for number in versions]}

    assert allows(SpecifierSet(specifier), candidates["core"][0], candidates) is allowed


def test_requirement_belongs_to_marker_extras() -> None:
    """A requirement belongs to each extra that its marker names, or to none."""
    metadata = ["core", 'web; extra == "Fast_IO" or extra == "all"', 'db; os_name == "nt"']

    requirements = release_requirements(map(Requirement, metadata))

    assert [(required.requirement.name, required.extra) for required in requirements] == [
        ("core", ""),
        ("web", "fast-io"),
        ("web", "all"),
        ("db", ""),
    ]
