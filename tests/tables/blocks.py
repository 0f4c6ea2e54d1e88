"""The generated blocks of the documentation: where each one stands, and the function that makes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.tables import (
    command_reference,
    error_reference,
    fault_table,
    key_reference,
    migration_table,
    navigation,
    requirement_table,
    rule_table,
    version_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


@dataclass(frozen=True)
class Block:
    """The text between `<!-- NAME -->` and `<!-- /NAME -->` in a file; in YAML, the markers are comments."""

    name: str
    path: Path
    generated: Callable[[], str]

    def documented(self) -> str:
        """Return the text that stands in the file now."""
        return self._match()[2]

    def write(self) -> None:
        """Replace the text in the file with the generated one."""
        text, match = self.path.read_text(encoding="utf-8"), self._match()
        self.path.write_text(
            text[: match.start(2)] + self.generated() + text[match.end(2) :], encoding="utf-8"
        )

    def _match(self) -> re.Match[str]:
        opening, closing = rf"<!-- {self.name} -->\n", rf"\n<!-- /{self.name} -->"
        if self.path.suffix == ".yml":
            opening, closing = rf"# {self.name},[^\n]*\n", rf"\n# /{self.name}"
        match = re.search(
            rf"({opening})(.*?){closing}", self.path.read_text(encoding="utf-8"), re.DOTALL
        )
        assert match, f"{self.path} has no markers for {self.name}"
        return match


BLOCKS = (
    Block("commands", REFERENCE / "command-line.md", command_reference.commands),
    Block("keys", REFERENCE / "configuration.md", key_reference.keys_table),
    Block("checks", REFERENCE / "checks.md", key_reference.checks_table),
    Block("errors", REFERENCE / "errors.md", error_reference.errors),
    Block("faults", REFERENCE / "index-faults.md", fault_table.table),
    Block("versions", REFERENCE / "version-rules.md", version_table.table),
    Block("requirements", REFERENCE / "requirement-forms.md", requirement_table.table),
    Block("rules", REFERENCE / "verification.md", rule_table.rules),
    Block("migration", DOCS / "migration" / "index.md", migration_table.migration_table),
    Block("nav", ROOT / "mkdocs.yml", navigation.nav),
)
