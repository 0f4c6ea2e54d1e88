"""Weighs the forms of tags: which packages declared the versions of the newest tags of each form.

A form is proposed only for packages that declared the version of all its newest tags, or of all but one. Somebody may
have tagged the commit before the one that sets the version.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.adoption.tag_forms import parse_nameless
from releasekit.core.history.baselines import is_placeholder
from releasekit.core.history.tag_evidence import TagReading, objection
from releasekit.core.picking import group_by, pick
from releasekit.core.workspace.declarations import Declaration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from packaging.version import Version

    from releasekit.core.adoption.tag_forms import ParsedTag, WordKind
    from releasekit.core.history.tag_evidence import Declarations

RECENT_TAGS = 5
"""How many of the newest tags of a form decide."""
_MIN_MATCHES = 3
"""How many of the newest tags must be releases if one is none."""
_MAX_LEADS = 3
"""How many packages, those with the newest tags, may be the main one of a workspace."""
_BARE = re.compile(r"(?i)(?:releases?[-/_])?v?\{version\}")
_STRANGER = re.compile(r"\w(?:@|==)v?\{version\}")


class DatedTag(NamedTuple):
    """A parsed tag with its commit and the time of that commit.

    *is_ahead* says that it is on another branch, and above all versions that this branch declares.
    """

    parsed: ParsedTag
    commit: str
    time: int
    is_ahead: bool = False

    @property
    def age_key(self) -> tuple[int, Version]:
        """The key to sort by: newer commits are higher, and at one time higher versions."""
        return self.time, self.parsed.version


class FormTags(NamedTuple):
    """The tags of one form, newest first. *name* is the package that they name, empty if they name none.

    *sharers* are the only packages that the tags may be for; empty if they may be for all of them.
    """

    pattern: str
    label: str
    name: str
    kind: WordKind
    tags: tuple[DatedTag, ...]
    sharers: frozenset[str] = frozenset()

    def fits_label(self, label: str) -> bool:
        """Return whether these tags have *label*, or no label at all."""
        return self.label in ("", label)

    @property
    def names_stranger(self) -> bool:
        """Whether they seem to name a package, but none of the workspace, such as one that was removed."""
        is_for_anybody = not self.name and not self.sharers
        return is_for_anybody and _STRANGER.search(self.pattern) is not None

    def may_be_for(self, names: AbstractSet[str]) -> bool:
        """Return whether the tags, which name no package, may be for all of *names*."""
        return not self.sharers or names <= self.sharers

    @property
    def recent(self) -> tuple[DatedTag, ...]:
        """The newest tags, which decide; if there are others, those that are ahead of this branch do not."""
        here = tuple(tag for tag in self.tags if not tag.is_ahead)
        deciding = here or self.tags
        return deciding[:RECENT_TAGS]

    def readings(self, names: Sequence[str]) -> list[TagReading]:
        """Return the newest tags, each read for its package, or without a package's name for all of *names*."""
        return [reading for tag in self.recent for reading in self.readings_of(tag, names)]

    def readings_of(self, tag: DatedTag, names: Sequence[str]) -> list[TagReading]:
        """Return one *tag* of this form, read for its package, or without a package's name for all of *names*."""
        parsed = tag.parsed
        is_own = bool(self.name)
        sharing = pick(names, self.sharers) if self.sharers else names
        owners = (self.name,) if is_own else sharing
        return [TagReading(name, parsed.tag, parsed.version, tag.commit, is_own) for name in owners]


def tags_by_form(tags: Iterable[DatedTag]) -> list[FormTags]:
    """Return *tags* by form and package, the form with the newest tag first."""
    by_form: defaultdict[tuple[str, str, str], list[DatedTag]] = defaultdict(list)
    for tag in sorted(tags, key=_age, reverse=True):
        parsed = tag.parsed
        by_form[parsed.pattern, parsed.label, parsed.name].append(tag)
    forms: list[FormTags] = []
    for (pattern, label, name), dated in by_form.items():
        kind = dated[0].parsed.kind
        forms.append(FormTags(pattern, label, name, kind, tuple(dated)))
    return forms


def _age(tag: DatedTag) -> tuple[int, Version]:
    return tag.age_key


def find_lead_forms(forms: Sequence[FormTags], names: Sequence[str]) -> list[FormTags]:
    """Return the newest *forms* that name a package, as tags also of those *names* that had no tags of their own then.

    A workspace with one version for all packages often has only tags with the name of its main package.
    """
    newest = {form.name: form.recent[0] for form in reversed(forms)}
    shared: list[FormTags] = []
    leads = [form for form in forms if form.name in names and len(form.recent) > 1]
    for form in leads[:_MAX_LEADS]:
        begin = _age(form.recent[-1])
        untagged = {name for name in names if name not in newest or _age(newest[name]) < begin}
        if untagged:
            shared += _as_shared(form, frozenset({form.name, *untagged}))
    return shared


def _as_shared(form: FormTags, sharers: frozenset[str]) -> list[FormTags]:
    """Return *form* with the name of its package as literal text, if its newest tag can be read so."""
    tags = [
        tag._replace(parsed=parsed)
        for tag in form.tags
        if (parsed := parse_nameless(tag.parsed.tag))
    ]
    by_pattern = group_by(tags, _pattern_of)
    return [
        FormTags(pattern, "", "", "none", tuple(alike), sharers)
        for pattern, alike in islice(by_pattern.items(), 1)
    ]


def _pattern_of(tag: DatedTag) -> str:
    return tag.parsed.pattern


@dataclass(frozen=True, slots=True)
class FormEvidence:
    """What the newest tags of a form say.

    *owners* are the packages that declared the version of each of them that they were there for, except one;
    *opposed* declared another version at one of them. Of the *recent* tags, *matching* have a version that a package
    declared. *objection* is the reason why the newest tag that matches nothing is no release; empty if there is no such
    tag.
    """

    form: FormTags
    owners: Mapping[str, DatedTag]
    opposed: frozenset[str]
    matching: int
    recent: int
    objection: str = ""

    @property
    def is_supported(self) -> bool:
        """Whether all the newest tags are releases of a package, or all but one."""
        slips = self.recent - self.matching
        all_match = not slips or (slips == 1 and self.matching >= _MIN_MATCHES)
        is_for_lead_alone = self.form.sharers and len(self.owners) == 1
        is_accident = self.form.names_stranger and self.recent == 1 and len(self.owners) > 1
        return all_match and bool(self.owners) and not (is_for_lead_alone or is_accident)


def weigh_form(form: FormTags, names: Sequence[str], declarations: Declarations) -> FormEvidence:
    """Return the evidence for *form* in a workspace of packages *names*; *declarations* are those at its tags.

    A tag of a post-release decides nothing: such versions are often tagged without being declared.
    """
    verdicts = [_judge(tag, form, names, declarations) for tag in form.recent]
    deciding = [verdict for verdict in verdicts if not verdict.is_repair]
    opposed = _opposed_names(deciding)
    owners: dict[str, DatedTag] = {}
    for verdict in deciding:
        for name in sorted(verdict.matches - opposed):
            owners.setdefault(name, verdict.tag)
    matching = [verdict for verdict in deciding if verdict.matches]
    objections = (verdict.objection for verdict in verdicts if not verdict.matches)
    return FormEvidence(
        form=form,
        owners=owners,
        opposed=opposed,
        matching=len(matching),
        recent=len(deciding),
        objection=next(objections, ""),
    )


def find_placeholders(
    declarations: Declarations,
    forms: Iterable[FormTags],
    declared_now: Mapping[str, Version | None],
    published: Mapping[str, AbstractSet[Version]],
) -> dict[tuple[str, str], Declaration]:
    """Return the version of the tag instead of each of *declarations* that is a placeholder; see `is_placeholder`.

    Only tags with a version that is *published* (by package) count. Tags with a word that names no package belong to
    something else, and tags without a name must be above what is *declared_now*.
    """
    placeholders: dict[tuple[str, str], Declaration] = {}
    for form in filter(_names_nothing_else, forms):
        undeclared = [
            tag
            for tag in form.readings(list(declared_now))
            if tag.version in published.get(tag.name, ())
            and objection(tag, declarations[tag.place])
        ]
        for name, tags in group_by(undeclared, _owner_of).items():
            limit = None if form.name else declared_now[name]
            is_above = limit is None or tags[0].version > limit
            if is_above and is_placeholder(tags, declarations):
                of_tags = {tag.place: Declaration(tag.version) for tag in tags}
                placeholders = of_tags | placeholders
    return placeholders


def _names_nothing_else(form: FormTags) -> bool:
    """Return whether the tags name a package of the workspace, or only a version."""
    return bool(form.name) or _BARE.fullmatch(form.pattern) is not None


def _owner_of(reading: TagReading) -> str:
    return reading.name


def _opposed_names(verdicts: Sequence[_Verdict]) -> frozenset[str]:
    """Return the packages that declared another version at one of the *verdicts*, newest first.

    One wrong tag does not count if the newest tag, and most of the others, have the version.
    """
    matches = Counter(chain.from_iterable(verdict.matches for verdict in verdicts))
    slips = Counter(chain.from_iterable(verdict.opposed for verdict in verdicts))
    newest = verdicts[0].matches if verdicts else frozenset[str]()
    return frozenset(
        name
        for name, count in slips.items()
        if not (count == 1 and name in newest and matches[name] >= _MIN_MATCHES)
    )


class _Verdict(NamedTuple):
    """Which packages declared the version of a tag, and which were there and declared another one."""

    tag: DatedTag
    matches: frozenset[str]
    opposed: frozenset[str]
    objection: str

    @property
    def is_repair(self) -> bool:
        version = self.tag.parsed.version
        return version.is_postrelease or bool(version.local)


def _judge(
    tag: DatedTag, form: FormTags, names: Sequence[str], declarations: Declarations
) -> _Verdict:
    matches: set[str] = set()
    opposed: set[str] = set()
    last_objection = ""
    for reading in form.readings_of(tag, names):
        declaration = declarations.get(reading.place)
        last_objection = objection(reading, declaration)
        if not last_objection:
            matches.add(reading.name)
        elif declaration is not None:
            opposed.add(reading.name)
    if form.name:
        text = f"at {tag.parsed.tag}, {last_objection}"
    else:
        text = f"no package declared {tag.parsed.version} at {tag.parsed.tag}"
    return _Verdict(tag, frozenset(matches), frozenset(opposed), text)


def last_by_package(evidence: Iterable[FormEvidence]) -> dict[str, tuple[FormEvidence, DatedTag]]:
    """Return the newest release of each package in *evidence*.

    Of equally new tags, those that it shares with certain packages come first, then those with its name.
    """
    last: dict[str, tuple[FormEvidence, DatedTag]] = {}
    for weighed in evidence:
        for name, tag in weighed.owners.items():
            is_newest = name not in last or _rank(weighed, tag) > _rank(*last[name])
            if is_newest:
                last[name] = (weighed, tag)
    return last


def _rank(evidence: FormEvidence, tag: DatedTag) -> tuple[int, Version, bool, bool]:
    is_shared = bool(evidence.form.sharers)
    names_package = bool(evidence.form.name)
    return (*tag.age_key, is_shared, names_package)
