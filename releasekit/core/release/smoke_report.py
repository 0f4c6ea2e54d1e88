"""The result of smoke tests that run outside the release: which packages can be installed from the index."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.version_numbers import PyVersion


class SmokeOutcome(StrEnum):
    """What became of one smoke test. It is SKIPPED where the settings switch it off."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class SmokeTest(BaseModel):
    """The smoke test of one package: what was imported, and for a failed one the error and the output of the tool.

    *index* is the name of the index if the release goes to several.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    outcome: SmokeOutcome
    index: str = ""
    imports: tuple[str, ...] = ()
    error: str = ""
    output: str = ""


class SmokeReport(BaseModel):
    """The smoke tests of the release *release*, in the order of its plan; *index* is the address of the first index."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.smoke-test/1"] = Field(
        default="releasekit.smoke-test/1", alias="schema"
    )
    release: str
    index: str
    packages: tuple[SmokeTest, ...]

    @property
    def has_failures(self) -> bool:
        """Whether a package cannot be installed or imported."""
        return any(package.outcome is SmokeOutcome.FAILED for package in self.packages)
