"""The first release of a package, which needs a yes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.picking import drop
from releasekit.core.text import count_packages, join_texts, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from releasekit.core.planning.model import Step
    from releasekit.core.planning.plan_inputs import PlanBasis, PlanInputs
    from releasekit.core.workspace.workspace import Workspace

ALL = "all"
"""The value of `allow_new` that permits the first release of every package."""


def first_releases_to_allow(basis: PlanBasis, released: Iterable[Step]) -> tuple[str, ...]:
    """Return the *released* packages that neither a tag nor the index knows, and that `allow_new` does not name.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for a pattern in `allow_new` that matches no package.
    """
    untagged = [step.name for step in released if step.name not in basis.baselines]
    new_names = [name for name in untagged if not basis.inputs.published_versions(name)]
    return without_allowed(new_names, basis.settings.allow_new, basis.workspace)


def packages_new_to_index(inputs: PlanInputs, released: Iterable[Step]) -> Iterator[str]:
    """Yield the *released* packages of which the index has no version; none if no index was asked."""
    on_index = inputs.published or {}
    return (step.name for step in released if on_index.get(step.name) == frozenset())


def without_allowed(
    names: Sequence[str], allow_new: Iterable[str], workspace: Workspace
) -> tuple[str, ...]:
    """Return *names* without the packages that *allow_new* permits."""
    patterns = set(allow_new)
    if ALL in patterns:
        return ()
    allowed = workspace.matching_names(patterns)
    return tuple(drop(names, allowed))


def first_release_question(names: Sequence[str]) -> str:
    """Return the question for the yes to the first release of *names*."""
    return f"Release {count_packages(names)} for the first time: {', '.join(names)}?"


def first_release_refusal(names: Sequence[str], command: str, reason: str = "") -> Refusal:
    """Return the refusal of the first release of *names*; *command* is the one to run again, with permission."""
    options = " ".join(f"--allow-new {name}" for name in names)
    message = join_texts(": ", f"{_summary(names)}, and nothing allows it", reason)
    hint = (
        f"To publish, run `releasekit {command} {options}`, or set allow_new in [tool.releasekit]. "
        "To keep a package internal, add it to exclude."
    )
    return Refusal(ErrorCode.FIRST_RELEASE, message, hint=hint)


def first_release_warnings(names: Sequence[str]) -> Iterator[ReleaseWarning]:
    """Warn once about the first release of *names*, which `publish` asks about."""
    if names:
        hint = "`publish` asks about it; --yes does not answer this, but --allow-new and `allow_new` do"
        yield ReleaseWarning(ErrorCode.FIRST_RELEASE, _summary(names), hint)


def _summary(names: Sequence[str]) -> str:
    return f"first release of {count_packages(names)}: {summarize(names)}"
