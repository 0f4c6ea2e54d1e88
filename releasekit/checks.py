"""What you write checks of your own with, for the entry point group `releasekit.checks`.

A check is a value: `Check(name, severity, summary, hint, find)`. Its function `find` gets `WorkspaceFacts`, which is
all packages, and yields one `Found` for each thing that is wrong. It reads nothing itself.
"""

from releasekit.core.checks.facts import Check, Found, Package, Severity, WorkspaceFacts, Written

__all__ = ["Check", "Found", "Package", "Severity", "WorkspaceFacts", "Written"]
