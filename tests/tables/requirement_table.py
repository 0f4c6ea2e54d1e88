"""The documented table of requirement forms: what a release makes of each, in the source and in what it builds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """The requirement *written* on core, which goes to *next*; what `raise` and `always` write, and what is built.

    A value that is empty is the same as before: `always` as `raise`, `keep` as `raise`.
    """

    written: str
    next: str
    raised: str
    compatible: str
    always: str = ""

    @property
    def name(self) -> str:
        """How the test is called."""
        return f"{self.written} at {self.next}"


ROWS = (
    Row("core", "1.3.0", "core", "core>=1.3.0,<2"),
    Row("core>=1.2", "1.3.0", "core>=1.2", "core>=1.3.0,<2", "core>=1.3.0"),
    Row("core>=1.2,<2", "1.3.0", "core>=1.2,<2", "core>=1.3.0,<2", "core>=1.3.0,<2"),
    Row("core>=1.2,<2", "2.0.0", "core>=2.0.0,<3", "core>=2.0.0,<3"),
    Row("core>=1.2,<1.3", "1.3.0", "core>=1.3.0,<1.4", "core>=1.3.0,<1.4"),
    Row("core>1.1,<=1.2.3", "1.3.0", "core>=1.3.0,<=1.3.0", "core>=1.3.0,<=1.3.0,<2"),
    Row("core==1.2.3", "1.3.0", "core==1.3.0", "core>=1.3.0,<2"),
    Row("core===1.2.3", "1.3.0", "core===1.3.0", "core>=1.3.0,<2"),
    Row("core==1.2.*", "1.3.0", "core==1.3.*", "core>=1.3.0,<1.4"),
    Row("core==1.*", "1.3.0", "core==1.*", "core>=1.3.0,<2"),
    Row("core==1.*", "2.0.0", "core==2.*", "core>=2.0.0,<3"),
    Row("core~=1.2", "1.3.0", "core~=1.2", "core>=1.3.0,<2", "core~=1.3"),
    Row("core~=1.2", "2.1.0", "core~=2.1", "core>=2.1.0,<3"),
    Row("core~=0.3.0", "0.4.0", "core~=0.4.0", "core>=0.4.0,<0.5"),
    Row("core!=1.2.1", "1.3.0", "core!=1.2.1", "core!=1.2.1,>=1.3.0,<2"),
    Row("core!=1.3.0,>=1.2", "1.3.0", "core>=1.3.0", "core>=1.3.0,<2"),
    Row("core<2", "2.0.0rc1", "core<3", "core>=2.0.0rc1,<3"),
    Row("core>=1.2,<2", "2.0.0rc1", "core>=2.0.0rc1,<3", "core>=2.0.0rc1,<3"),
    Row("core>=1.2,<2.0.0a0", "2.0.0", "core>=2.0.0,<3.0.0a0", "core>=2.0.0,<3.0.0a0"),
    Row('Core[fast] ~= 1.2.0 ; os_name == "nt"', "1.3.0", 'Core[fast] ~= 1.3.0 ; os_name == "nt"',
        'Core[fast]>=1.3.0,<1.4; os_name == "nt"'),
)  # fmt: skip


def table() -> str:
    """Return the table as the documentation should have it."""
    heads = (
        "In your source",
        "Next version of core",
        "`raise`, and `keep`",
        "`always`",
        "`compatible`",
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in ROWS:
        cells = (row.written, row.next, row.raised, row.always or row.raised, row.compatible)
        lines.append(f"| {' | '.join(f'`{cell}`' for cell in cells)} |")
    return "\n".join(lines)
