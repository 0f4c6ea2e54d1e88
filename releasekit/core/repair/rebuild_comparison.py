"""Compare the published files of a version with those that its tag gives when it is built again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.text import count_as

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.core.artifacts.reproduction import PackedMember

FileVerdict = Literal["same", "differs", "not_rebuilt", "not_published"]
Evidence = Literal["same", "differs", "absent", "unasked"]
"""Whether another source names the file with the sha256 that is published; absent: it does not name the file."""


class MemberDifference(BaseModel):
    """A member of an archive that differs between the published file and the rebuilt one, and in what."""

    model_config = ConfigDict(frozen=True)

    member: str
    kind: Literal["content", "packing", "only_published", "only_rebuilt", "order"]
    text: str


class FileComparison(BaseModel):
    """One file: its sha256 as published and as rebuilt, empty where it is missing, and the members that differ.

    *sums* compares it with SHA256SUMS or the manifest of the release, *attestations* with those on the index.
    *publishers* are the identities that the index names for them. *problems* say what contradicts the file.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    published: str = ""
    rebuilt: str = ""
    members: tuple[MemberDifference, ...] = ()
    sums: Evidence = "unasked"
    attestations: Evidence = "absent"
    publishers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def with_problems(self, problems: Sequence[str]) -> FileComparison:
        """Return the comparison with more *problems*."""
        return self.model_copy(update={"problems": (*self.problems, *problems)})

    @property
    def verdict(self) -> FileVerdict:
        """How the published file and the rebuilt one compare."""
        if not self.rebuilt:
            return "not_rebuilt"
        if not self.published:
            return "not_published"
        return "same" if self.published == self.rebuilt else "differs"

    @property
    def is_contradicted(self) -> bool:
        """Whether the rebuilt file, the sums or an attestation contradicts the published file."""
        evidence = (self.verdict, self.sums, self.attestations)
        return "differs" in evidence or bool(self.problems)


class Verification(BaseModel):
    """The result of `releasekit verify`: the *files* of one version, and the commit that was built.

    *unasked* names the services that were not asked, with the reason.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.verify/1"] = Field(default="releasekit.verify/1", alias="schema")
    package: str
    version: str
    tag: str
    commit: str
    files: tuple[FileComparison, ...]
    unasked: tuple[str, ...] = ()

    @property
    def is_contradicted(self) -> bool:
        """Whether something contradicts a published file."""
        return any(file.is_contradicted for file in self.files)

    @property
    def is_incomplete(self) -> bool:
        """Whether a published file was not compared, because it was not built again."""
        return any(file.verdict == "not_rebuilt" for file in self.files)

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        subject = f"{self.package} {self.version}"
        same = [file for file in self.files if file.verdict == "same"]
        compared = (
            f"{len(same)} of {count_as('file', self.files)} built again with the same content"
        )
        if self.is_contradicted:
            return f"{subject} differs from what {self.tag} gives: {compared}"
        if self.is_incomplete:
            return f"{subject} is not compared completely: {compared}"
        return f"{subject} is what {self.tag} gives: {compared}"


def compare_members(
    published: Mapping[str, PackedMember], rebuilt: Mapping[str, PackedMember]
) -> tuple[MemberDifference, ...]:
    """Return in which members two archives of one file differ; they do differ in something."""
    differences: list[MemberDifference] = []
    for name in sorted(published.keys() | rebuilt.keys()):
        first, second = published.get(name), rebuilt.get(name)
        if second is None:
            differences.append(
                MemberDifference(
                    member=name, kind="only_published", text="only the published file has it"
                )
            )
        elif first is None:
            differences.append(
                MemberDifference(
                    member=name, kind="only_rebuilt", text="only the rebuilt file has it"
                )
            )
        elif first.sha256 != second.sha256:
            text = f"sha256 {first.sha256[:12]} published, {second.sha256[:12]} rebuilt"
            differences.append(MemberDifference(member=name, kind="content", text=text))
        elif first.packing != second.packing:
            text = f"{first.packing} published, {second.packing} rebuilt"
            differences.append(MemberDifference(member=name, kind="packing", text=text))
    if differences:
        return tuple(differences)
    text = "the members are in another order, or compressed differently"
    return (MemberDifference(member="", kind="order", text=text),)


def compare_sum(sums: Mapping[str, str] | None, name: str, sha256: str) -> Evidence:
    """Return how the *sums* of a release (sha256 by file name, None: not asked) name this file."""
    if sums is None:
        return "unasked"
    if name not in sums:
        return "absent"
    return "same" if sums[name] == sha256 else "differs"
