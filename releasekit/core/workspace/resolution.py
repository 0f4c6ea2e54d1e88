"""Whether a release can be installed if the latest packages do not fit together, according to resolvelib."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.specifiers import SpecifierSet
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, Resolver

from releasekit.core.workspace.candidates import (
    Candidate,
    Candidates,
    Node,
    allows,
    internal_requirements,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class _WantedRequirement(NamedTuple):
    """A requirement in the form that the resolver uses: a package or one of its extras."""

    name: str
    extra: str
    specifier: SpecifierSet


class _Choice(NamedTuple):
    candidate: Candidate
    extra: str


def can_be_installed(candidate: Candidate, extra: str, candidates: Candidates) -> bool:
    """Return whether *candidate* can be installed with its *extra* (normalised; "" for none)."""
    exactly = SpecifierSet(f"=={candidate.version}")
    extras = dict.fromkeys(("", extra))
    wanted = [_WantedRequirement(candidate.name, wanted_extra, exactly) for wanted_extra in extras]
    reporter: BaseReporter[_WantedRequirement, _Choice, Node] = BaseReporter()
    resolver = Resolver(_Provider(candidates), reporter)
    try:
        resolver.resolve(wanted, max_rounds=_MAX_ROUNDS)
    except ResolutionImpossible:
        return False
    return True


_MAX_ROUNDS = 100_000


class _Provider(AbstractProvider[_WantedRequirement, _Choice, Node]):
    """Answers the questions of resolvelib about packages. An extra requires its own package in the same version."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates

    def identify(self, requirement_or_candidate: _WantedRequirement | _Choice) -> Node:
        match requirement_or_candidate:
            case _WantedRequirement(name, extra, _):
                return name, extra
            case _Choice(candidate, extra):
                return candidate.name, extra

    def get_preference(self, identifier: Node, *_: object, **__: object) -> Node:
        return identifier

    def find_matches(
        self,
        identifier: Node,
        requirements: Mapping[Node, Iterator[_WantedRequirement]],
        incompatibilities: Mapping[Node, Iterator[_Choice]],
    ) -> list[_Choice]:
        name, extra = identifier
        specifiers = [wanted.specifier for wanted in requirements[identifier]]
        rejected = {choice.candidate.version for choice in incompatibilities[identifier]}
        untried = [
            candidate for candidate in self._candidates[name] if candidate.version not in rejected
        ]
        return [
            _Choice(candidate, extra) for candidate in untried if self._allow(specifiers, candidate)
        ]

    def _allow(self, specifiers: Iterable[SpecifierSet], candidate: Candidate) -> bool:
        return all(allows(specifier, candidate, self._candidates) for specifier in specifiers)

    def is_satisfied_by(self, requirement: _WantedRequirement, candidate: _Choice) -> bool:
        return allows(requirement.specifier, candidate.candidate, self._candidates)

    def get_dependencies(self, candidate: _Choice) -> Iterator[_WantedRequirement]:
        chosen, extra = candidate
        if extra:
            yield _WantedRequirement(chosen.name, "", SpecifierSet(f"=={chosen.version}"))
        for required in internal_requirements(chosen, extra, self._candidates):
            for name, required_extra in required.nodes:
                yield _WantedRequirement(name, required_extra, required.requirement.specifier)
