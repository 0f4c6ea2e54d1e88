"""The versions of members in the text of a uv.lock."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.workspace.uv_lock import lock_versions

LOCK = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "packages/app" }
dependencies = [
    { name = "core" },
    { name = "other", version = "0.1.0", source = { registry = "https://index.invalid/simple" } },
]

[package.metadata]
requires-dist = [{ name = "core", editable = "packages/core" }]

[[package]]
name = "core"
version = "0.1.0"
source = { editable = "packages/core" }

[[package]]
name = "dynamic"
source = { editable = "packages/dynamic" }

[[package]]
name = "other"
version = "0.1.0"
source = { registry = "https://index.invalid/simple" }
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_only_member_versions_change(line_end: str) -> None:
    """Members get their versions; packages from elsewhere, other members and all other lines stay."""
    names = ("app", "core", "dynamic", "other", "absent")
    lock = LOCK.replace("\n", line_end)

    text = lock_versions(lock, dict.fromkeys(names, Version("1.0rc1")))

    changed = [
        (before.strip(), after.strip())
        for before, after in zip(lock.split("\n"), text.split("\n"), strict=True)
        if before != after
    ]
    assert changed == [('version = "0.1.0"', 'version = "1.0rc1"')] * 2
    assert text.startswith(lock.partition('version = "0.1.0"')[0])
    assert lock_versions(lock, {"core": Version("2")}).count('"0.1.0"') == lock.count('"0.1.0"') - 1
    assert lock_versions(lock, {}) == lock
