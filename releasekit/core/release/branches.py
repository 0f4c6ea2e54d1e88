"""Which branches may be released."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAINTENANCE = re.compile(
    r"""
    (?:.*[/_-])? v?\d+ (?:\.(?:\d+|x))* (?:[.-]x)?            # 1.x, v2, release-1.2, backport/3.0.x
    | (?:release|releases|maint|maintenance|stable|support|hotfix) [/_-] .+
    """,
    re.VERBOSE,
)
"""The names that maintenance branches usually have."""


def branch_refusal(branch: str, patterns: Sequence[str], default: str) -> Refusal | None:
    """Return why *branch* may not be released; None if it may.

    *patterns* are those of `allow_branches`. Without them, the *default* branch of the remote and maintenance branches
    may be released; any branch if the default is unknown.
    """
    if patterns:
        is_allowed = any(fnmatchcase(branch, pattern) for pattern in patterns)
        rule = f"allow_branches is {', '.join(patterns)}"
    else:
        is_allowed = not default or branch == default or bool(_MAINTENANCE.fullmatch(branch))
        rule = f"the default branch is {default}"
    return (
        None
        if is_allowed
        else Refusal(ErrorCode.BRANCH_NOT_ALLOWED, f"{branch} is not released: {rule}")
    )
