"""The public names to write your own checks with, for the entry point group `releasekit.checks`.

A check is a value: `Check(name, severity, summary, hint, find)`. Its function `find` gets the `WorkspaceFacts`: all
packages, already read. It yields one `Found` for each problem. It must not read anything itself.
"""

from releasekit.core.checks.facts import Check, Found, Package, Severity, WorkspaceFacts, Written

__all__ = ["Check", "Found", "Package", "Severity", "WorkspaceFacts", "Written"]
