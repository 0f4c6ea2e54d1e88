"""Chooses tag formats by the evidence for each form of tags, and says which tags stay unread."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.adoption.findings import UnreadTags
from releasekit.core.adoption.form_evidence import last_by_package
from releasekit.core.adoption.tag_forms import formats_of, most_common_label, with_literal_label
from releasekit.core.history.tags import TagScheme

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.adoption.form_evidence import DatedTag, FormEvidence
    from releasekit.core.adoption.tag_forms import ParsedTag
    from releasekit.core.config.settings import Settings
    from releasekit.core.workspace.workspace import Member

DEFAULT_TAG_FORMAT = "{name}-v{version}"
_MIN_LOCKSTEP_RELEASES = 2


@dataclass(frozen=True, slots=True)
class Tagging:
    """The tag formats of a workspace: the first of *patterns* is written, all are read.

    *own* are the formats of single packages, by name. *lockstep* are packages that share one version; *is_fixed* says
    that these are all packages. *why_lockstep* is the reason for either.
    """

    patterns: tuple[str, ...] = (DEFAULT_TAG_FORMAT,)
    label: str = ""
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    lockstep: tuple[str, ...] = ()
    is_fixed: bool = False
    why_lockstep: str = ""


def is_lockstep(members: Iterable[Member]) -> bool:
    """Return whether all *members* declare the same version, or none declares any."""
    return len({member.version for member in members}) == 1


class _TagFacts(NamedTuple):
    """The facts of a choice: the evidence for each form, what it says each package released last, and the packages."""

    evidence: Sequence[FormEvidence]
    last: Mapping[str, tuple[FormEvidence, DatedTag]]
    members: Sequence[Member]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(member.name for member in self.members)

    def versions_agree(self, names: Iterable[str]) -> bool:
        """Return whether the packages *names* declare the same version now."""
        chosen = set(names)
        return is_lockstep(member for member in self.members if member.name in chosen)

    def is_shared(self, weighed: FormEvidence) -> bool:
        """Return whether the tags of a form are for all packages: none of them declared another version there."""
        is_nameless = not weighed.form.name and weighed.form.kind == "none"
        return is_nameless and weighed.is_supported and not (weighed.opposed & self.names)

    def last_in(self, weighed: FormEvidence) -> list[str]:
        """Return the packages whose last release has this form."""
        return sorted(name for name, (form, _) in self.last.items() if form is weighed)


def choose_tagging(
    evidence: Sequence[FormEvidence], members: Sequence[Member], settings: Settings, *, is_configured: bool
) -> Tagging:
    """Return the tag formats that the *evidence* supports for *members*.

    If *is_configured*, `tag_format` of the root is set and stays as it is.
    """
    label = settings.label or most_common_label(_supported_tags(evidence))
    usable = [weighed for weighed in evidence if weighed.form.label in ("", label)]
    choice = _TagFacts(usable, last_by_package(usable), members)
    shared = [weighed for weighed in usable if choice.is_shared(weighed) and choice.last_in(weighed)]
    own = _own_formats(choice, shared)
    if is_configured:
        patterns = formats_of(settings.tag_format)
        read = TagScheme(patterns, label)
        own = {name: formats for name, formats in own.items() if not _reads(read, *choice.last[name])}
    else:
        patterns = _common_formats(choice, shared, own)
    uses_label = any("{label}" in pattern for pattern in patterns)
    tagging = Tagging(patterns, label if uses_label else settings.label, own)
    return _with_lockstep(tagging, choice, shared)


def _supported_tags(evidence: Iterable[FormEvidence]) -> list[ParsedTag]:
    return [tag.parsed for weighed in evidence if weighed.is_supported for tag in weighed.form.tags]


def _reads(scheme: TagScheme, weighed: FormEvidence, tag: DatedTag) -> bool:
    """Return whether *scheme* reads the last release of a package already."""
    return (weighed.form.name, tag.parsed.version) in scheme.readings(tag.parsed.tag)


def _own_formats(choice: _TagFacts, shared: Sequence[FormEvidence]) -> dict[str, tuple[str, ...]]:
    """Return the formats of packages whose last release has a form that the other packages do not have."""
    common = {weighed.form.pattern for weighed in shared}
    own: dict[str, tuple[str, ...]] = {}
    for name, (weighed, _) in choice.last.items():
        form = weighed.form
        if form.kind == "name" or form.pattern in common:
            continue
        together = choice.last_in(weighed)
        formats = [form.pattern]
        if not choice.versions_agree(together):
            formats.insert(0, DEFAULT_TAG_FORMAT)  # one tag cannot have two versions
        formats += _older_formats(choice, name, form.pattern)
        own[name] = tuple(dict.fromkeys(formats))
    return own


def _older_formats(choice: _TagFacts, name: str, newest: str) -> list[str]:
    """Return the other supported formats in which the package *name* was released."""
    formats: list[str] = []
    for weighed in choice.evidence:
        is_own = name in weighed.owners and weighed.is_supported
        if is_own and weighed.form.pattern != newest and "{label}" not in weighed.form.pattern:
            formats.append(weighed.form.pattern)
    return formats


def _common_formats(
    choice: _TagFacts, shared: Sequence[FormEvidence], own: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Return the formats of packages without own ones: those of the last releases first, the most frequent first."""
    used: Counter[str] = Counter()
    for name, (weighed, _) in choice.last.items():
        if name not in own:
            used[weighed.form.pattern] += 1
    ever: Counter[str] = Counter()
    for weighed in choice.evidence:
        is_common = weighed in shared or (weighed.form.kind == "name" and weighed.is_supported)
        if is_common:
            ever[weighed.form.pattern] += len(weighed.form.tags)
    counts = [*used.most_common(), *ever.most_common()]
    patterns = list(dict(counts))
    if patterns and "{name}" not in patterns[0]:
        named = [pattern for pattern in patterns if "{name}" in pattern]
        still_named = not used.keys().isdisjoint(named)
        if still_named or own or not is_lockstep(choice.members):
            # The packages have separate versions now, so their new tags must name them.
            patterns.insert(0, next(iter(named), DEFAULT_TAG_FORMAT))
    return tuple(dict.fromkeys(patterns)) or (DEFAULT_TAG_FORMAT,)


def _with_lockstep(tagging: Tagging, choice: _TagFacts, shared: Sequence[FormEvidence]) -> Tagging:
    """Return *tagging* with the packages that are released together, with one version."""
    if len(choice.members) > 1 and is_lockstep(choice.members):
        why = _why_fixed(tagging, choice, shared)
        if why:
            return Tagging(tagging.patterns, tagging.label, tagging.own, is_fixed=True, why_lockstep=why)
    for weighed in choice.evidence:
        together = choice.last_in(weighed)
        is_group = not weighed.form.name and weighed not in shared and len(together) > 1
        if is_group and choice.versions_agree(together):
            reason = _describe_shared(weighed)
            return Tagging(tagging.patterns, tagging.label, tagging.own, tuple(together), why_lockstep=reason)
    return tagging


def _why_fixed(tagging: Tagging, choice: _TagFacts, shared: Sequence[FormEvidence]) -> str:
    """Return why all packages share one version; empty if they do not."""
    if "{name}" not in tagging.patterns[0] and shared:
        return _describe_shared(shared[0])
    releases: defaultdict[str, dict[str, Version]] = defaultdict(dict)
    for weighed in choice.evidence:
        name = weighed.form.name
        if name in choice.names and weighed.is_supported:
            for tag in weighed.form.recent:
                releases[tag.commit].setdefault(name, tag.parsed.version)
    are_together = all(of_commit.keys() == choice.names for of_commit in releases.values())
    have_one_version = all(len(set(of_commit.values())) == 1 for of_commit in releases.values())
    if len(releases) >= _MIN_LOCKSTEP_RELEASES and are_together and have_one_version:
        return f"At each of the last {len(releases)} releases, all packages had one version."
    return ""


def _describe_shared(weighed: FormEvidence) -> str:
    """Return the reason why packages that share the tags of a form share one version."""
    newest = weighed.form.tags[0].parsed.tag
    count = weighed.recent
    tags = f"the tag {newest}" if count == 1 else f"each of the {count} newest such tags, up to {newest}"
    return f"They declared one version at {tags}."


# ---- what stays unread ----------------------------------------------------------------------------------------------


def find_unread(evidence: Sequence[FormEvidence], tagging: Tagging, *, is_configured: bool) -> tuple[UnreadTags, ...]:
    """Return the forms of tags that look like versions and that *tagging* does not read, those with new tags first."""
    by_pattern: dict[str, list[FormEvidence]] = {}
    for weighed in evidence:
        if not _is_read(weighed, tagging):
            literal = with_literal_label(weighed.form.tags[0].parsed).pattern
            by_pattern.setdefault(literal, []).append(weighed)
    return tuple(
        _describe_unread(pattern, forms, tagging, is_configured=is_configured) for pattern, forms in by_pattern.items()
    )


def _is_read(weighed: FormEvidence, tagging: Tagging) -> bool:
    form = weighed.form
    if not weighed.matching and weighed.objection:
        return False
    if form.pattern in tagging.patterns and form.label in ("", tagging.label):
        return True
    owners = weighed.owners or ([form.name] if form.name else [])
    if any(form.pattern in tagging.own.get(name, ()) for name in owners):
        return True
    scheme = TagScheme(tagging.patterns, tagging.label)
    newest = form.tags[0]
    return _reads(scheme, weighed, newest)


def _describe_unread(
    pattern: str, forms: Sequence[FormEvidence], tagging: Tagging, *, is_configured: bool
) -> UnreadTags:
    tags = [tag.parsed.tag for weighed in forms for tag in weighed.form.tags]
    newest = forms[0]
    owners = sorted({name for weighed in forms for name in weighed.owners})
    where = f"the pyproject.toml of {owners[0]}" if len(owners) == 1 else "the pyproject.toml of its package"
    advice = f'If they are releases, set `tag_format = "{pattern}"` in {where}.'
    if newest.objection:
        reason = newest.objection
        advice = "" if newest.form.pattern in tagging.patterns else advice
    elif newest.form.label not in ("", tagging.label):
        reason = f"most tags have the prefix {tagging.label}" if tagging.label else "their prefix is not `label`"
    elif newest.is_supported and is_configured:
        reason = "`tag_format` has no such form"
        advice = f'Add "{newest.form.pattern}" to `tag_format`.'
    else:
        reason, advice = "the packages have newer tags of their own", ""
    return UnreadTags(
        form=pattern, count=len(tags), newest=tags[0], tags=tuple(tags), packages=tuple(owners), reason=reason,
        advice=advice,
    )  # fmt: skip
