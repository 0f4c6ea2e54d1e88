"""Chooses tag formats by the evidence for each form of tags, and says which tags stay unread."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import chain, filterfalse
from operator import methodcaller
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.adoption.findings import UnreadTags
from releasekit.core.adoption.form_evidence import last_by_package
from releasekit.core.adoption.tag_forms import with_literal_label
from releasekit.core.history.tags import (
    DEFAULT_TAG_FORMAT,
    TagScheme,
    common_formats,
    formats_of,
    in_directory,
)
from releasekit.core.picking import drop, group_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.adoption.form_evidence import DatedTag, FormEvidence, FormTags
    from releasekit.core.config.settings import Settings
    from releasekit.core.workspace.workspace import Member

_MIN_LOCKSTEP_RELEASES = 2


@dataclass(frozen=True, slots=True)
class Tagging:
    """The tag formats of a workspace: the first of *patterns* is written, all are read.

    *own* are the formats of single packages, by name. *usual* are those that *patterns* mean for each package, by name,
    if they contain its directory. *lockstep* are packages that share one version; *is_fixed* says
    that these are all packages. *why_lockstep* is the reason for either.
    """

    patterns: tuple[str, ...] = (DEFAULT_TAG_FORMAT,)
    label: str = ""
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    usual: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    lockstep: tuple[str, ...] = ()
    is_fixed: bool = False
    why_lockstep: str = ""

    def own_formats(self, name: str) -> tuple[str, ...]:
        """Return the formats of the package *name* that only it has."""
        return self.formats_by_package.get(name, ())

    @property
    def formats_by_package(self) -> dict[str, tuple[str, ...]]:
        """The formats that only one package has, by its name."""
        return {**self.usual, **self.own}


class _TagFacts(NamedTuple):
    """The facts of a choice: the supported forms, what these say each package released last, and declared versions."""

    evidence: Sequence[FormEvidence]
    last: Mapping[str, tuple[FormEvidence, DatedTag]]
    versions: Mapping[str, Version | None]

    def versions_agree(self, names: Iterable[str]) -> bool:
        """Return whether the packages *names* declare the same version now, or none declares any."""
        chosen = frozenset(names)
        distinct = {version for name, version in self.versions.items() if name in chosen}
        return len(distinct) == 1

    def last_in(self, weighed: FormEvidence) -> list[str]:
        """Return the packages whose last release has this form."""
        return sorted(name for name, (form, _) in self.last.items() if form is weighed)

    def shared_forms(self) -> list[FormEvidence]:
        """Return the forms whose tags are for all packages: none of them declared another version there."""
        nameless = [weighed for weighed in self.evidence if not weighed.form.name]
        undisputed = [
            weighed
            for weighed in nameless
            if weighed.opposed.isdisjoint(self.versions)
            and weighed.form.may_be_for(self.versions.keys())
        ]
        return list(filter(self.last_in, undisputed))

    def common_forms(self, shared: Sequence[FormEvidence]) -> list[FormTags]:
        """Return the forms that one tag format reads for several packages: *shared* ones, and those with their name."""
        return [
            weighed.form
            for weighed in self.evidence
            if weighed.form.kind == "name" or weighed in shared
        ]


def choose_tagging(
    evidence: Sequence[FormEvidence],
    members: Sequence[Member],
    settings: Settings,
    *,
    is_configured: bool,
) -> Tagging:
    """Return the tag formats that the *evidence* supports for *members*.

    If *is_configured*, `tag_format` of the root is set and stays as it is.
    """
    supported = [weighed for weighed in evidence if weighed.is_supported]
    label = settings.label or _common_label(supported)
    fitting = [weighed for weighed in supported if weighed.form.fits_label(label)]
    usable = _without_removed_packages(fitting)
    choice = _TagFacts(
        evidence=usable,
        last=last_by_package(usable),
        versions={member.name: member.version for member in members},
    )
    shared = choice.shared_forms()
    common = choice.common_forms(shared)
    own = _own_formats(choice, common)
    if is_configured:
        patterns = formats_of(settings.tag_format)
        scheme = TagScheme(common_formats(patterns), label)
        own = {
            name: formats for name, formats in own.items() if not _reads(scheme, *choice.last[name])
        }
    else:
        patterns = _common_formats(choice, common, own)
    written_label = label if uses_label(patterns) else settings.label
    tagging = _with_lockstep(Tagging(patterns, written_label, own), choice, shared)
    return tagging if is_configured else _with_directories(tagging, choice, members)


def _with_directories(tagging: Tagging, choice: _TagFacts, members: Sequence[Member]) -> Tagging:
    """Return *tagging* with one format for all, if most packages are tagged with the names of their directories."""
    template, count = _directory_format(tagging, members)
    usual = {member.name: in_directory(template, member.path, member.name) for member in members}
    conditions = (
        not tagging.lockstep,
        not tagging.is_fixed,
        count >= _MIN_DIRECTORIES,
        count * 2 > len(choice.last),
        len(set(usual.values())) == len(usual),
    )
    if not all(conditions):
        return tagging
    former = tuple(map(methodcaller("replace", "{label}", tagging.label), tagging.patterns))
    own = {**dict.fromkeys(choice.last, former), **tagging.own}
    unusual = sorted(own.items() - usual.items())
    return Tagging((template,), own=dict(unusual), usual=usual)


def _directory_format(tagging: Tagging, members: Iterable[Member]) -> tuple[str, int]:
    """Return the format that, with the names of their directories, most *members* have, and how many these are."""
    templates: Counter[str] = Counter()
    for member in members:
        directory, *_ = in_directory("{directory}", member.path, member.name)
        newest, *_ = tagging.own.get(member.name, ("",))
        literal, version, rest = newest.partition("{version}")
        if literal.count(directory) == 1:
            templates[literal.replace(directory, "{directory}") + version + rest] += 1
    return next(iter(templates.most_common(1)), ("", 0))


_MIN_DIRECTORIES = 3
"""How many packages must be tagged with the name of their directory, so that this is the usual format."""


def _without_removed_packages(evidence: Sequence[FormEvidence]) -> list[FormEvidence]:
    """Return *evidence* without the tags of packages that are gone, where tags name packages.

    Several packages may have declared the versions of such tags because they shared them. If only one did, it was
    renamed.
    """
    if not any(weighed.form.name for weighed in evidence):
        return list(evidence)
    return [
        weighed
        for weighed in evidence
        if not weighed.form.names_stranger or len(weighed.owners) == 1
    ]


def _common_label(evidence: Iterable[FormEvidence]) -> str:
    """Return the label of most tags; empty if none has a label."""
    counts: Counter[str] = Counter()
    for weighed in evidence:
        counts[weighed.form.label] += len(weighed.form.tags)
    del counts[""]
    return max(counts, key=counts.__getitem__, default="")


def uses_label(patterns: Iterable[str]) -> bool:
    """Return whether one of the tag formats *patterns* contains the label."""
    return any(map(_has_label, patterns))


def _has_label(pattern: str) -> bool:
    return "{label}" in pattern


def _reads(scheme: TagScheme, weighed: FormEvidence, tag: DatedTag) -> bool:
    """Return whether *scheme* reads the last release of a package already."""
    reading = (weighed.form.name, tag.parsed.version)
    return reading in scheme.readings(tag.parsed.tag)


def _own_formats(choice: _TagFacts, common: Iterable[FormTags]) -> dict[str, tuple[str, ...]]:
    """Return the formats of packages whose last release has a form that the other packages do not have."""
    common_patterns = {form.pattern for form in common}
    own: dict[str, tuple[str, ...]] = {}
    for name, (weighed, _) in choice.last.items():
        newest = weighed.form.pattern
        if newest in common_patterns:
            continue
        formats = [newest, *_formats_without_label(choice, name)]
        together = choice.last_in(weighed)
        if not choice.versions_agree(together):
            formats.insert(0, DEFAULT_TAG_FORMAT)  # one tag cannot have two versions
        own[name] = tuple(dict.fromkeys(formats))
    return own


def _formats_without_label(choice: _TagFacts, name: str) -> list[str]:
    """Return the formats in which the package *name* was released, without those that contain the label.

    Tags with the name of another package are left out, because they are releases of that one.
    """
    patterns = [
        weighed.form.pattern
        for weighed in choice.evidence
        if name in weighed.owners and not (weighed.form.names_stranger or weighed.form.sharers)
    ]
    return list(filterfalse(_has_label, patterns))


def _common_formats(
    choice: _TagFacts, common: Iterable[FormTags], own: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Return the formats of packages without own ones: those of the last releases first, the most frequent first."""
    used = Counter(
        weighed.form.pattern for name, (weighed, _) in choice.last.items() if name not in own
    )
    ever: Counter[str] = Counter()
    for form in common:
        ever[form.pattern] += len(form.tags)
    counts = [*used.most_common(), *ever.most_common()]
    patterns = list(dict(counts)) or [DEFAULT_TAG_FORMAT]
    named = [pattern for pattern in patterns if "{name}" in pattern]
    still_named = not used.keys().isdisjoint(named)
    have_separate_versions = still_named or own or not choice.versions_agree(choice.versions)
    if have_separate_versions:
        # New tags must name the packages, so a format with their name comes first.
        patterns.insert(0, next(iter(named), DEFAULT_TAG_FORMAT))
    return tuple(dict.fromkeys(patterns))


def _with_lockstep(tagging: Tagging, choice: _TagFacts, shared: Sequence[FormEvidence]) -> Tagging:
    """Return *tagging* with the packages that are released together, with one version."""
    why_fixed = _why_fixed(tagging, choice, shared)
    if why_fixed:
        return replace(tagging, is_fixed=True, why_lockstep=why_fixed)
    unshared = drop(choice.evidence, shared)
    for weighed in unshared:
        together = choice.last_in(weighed)
        is_group = len(together) > 1 and choice.versions_agree(together)
        if is_group:
            return replace(
                tagging, lockstep=tuple(together), why_lockstep=_describe_shared(weighed)
            )
    return tagging


def _why_fixed(tagging: Tagging, choice: _TagFacts, shared: Sequence[FormEvidence]) -> str:
    """Return why all packages share one version; empty if they do not."""
    has_several_packages = len(choice.versions) > 1
    if not (has_several_packages and choice.versions_agree(choice.versions)):
        return ""
    if shared and "{name}" not in tagging.patterns[0]:
        return _describe_shared(shared[0])
    releases = _recent_releases(choice)
    have_one_version = all(_is_joint_release(versions, choice) for versions in releases)
    if have_one_version and len(releases) >= _MIN_LOCKSTEP_RELEASES:
        return f"At each of the last {len(releases)} releases, all packages had one version."
    return ""


def _recent_releases(choice: _TagFacts) -> list[dict[str, Version]]:
    """Return the versions by package that the newest tags with a name say, a table for each commit."""
    releases: defaultdict[str, dict[str, Version]] = defaultdict(dict)
    named = [weighed.form for weighed in choice.evidence if weighed.form.name in choice.versions]
    for form in named:
        for tag in form.recent:
            versions = releases[tag.commit]
            versions.setdefault(form.name, tag.parsed.version)
    return list(releases.values())


def _is_joint_release(versions: Mapping[str, Version], choice: _TagFacts) -> bool:
    """Return whether all packages were released, with one version."""
    version = next(iter(versions.values()))
    return versions == dict.fromkeys(choice.versions, version)


def _describe_shared(weighed: FormEvidence) -> str:
    """Return the reason why packages that share the tags of a form share one version."""
    newest = weighed.form.tags[0].parsed.tag
    count = weighed.recent
    if count == 1:
        return f"They had one version at the tag {newest}."
    return f"They had one version at each of the {count} newest such tags, up to {newest}."


# ---- what stays unread ----------------------------------------------------------------------------------------------


def find_unread(
    evidence: Sequence[FormEvidence], tagging: Tagging, *, is_configured: bool
) -> tuple[UnreadTags, ...]:
    """Return the forms of tags that look like versions and that *tagging* does not read, those with new tags first."""
    unread = (weighed for weighed in evidence if not _is_read(weighed, tagging))
    return tuple(
        _describe_unread(pattern, forms, tagging, is_configured=is_configured)
        for pattern, forms in group_by(unread, _literal_pattern).items()
    )


def _literal_pattern(weighed: FormEvidence) -> str:
    """Return the tag format of a form, with its label as literal text."""
    newest = weighed.form.tags[0].parsed
    return with_literal_label(newest).pattern


def _is_read(weighed: FormEvidence, tagging: Tagging) -> bool:
    form = weighed.form
    if form.sharers:
        return True  # the same tags are there with the name of their package
    is_refuted = bool(weighed.objection) and not weighed.matching
    if is_refuted:
        return False
    if form.pattern in tagging.patterns and form.fits_label(tagging.label):
        return True
    owners = weighed.owners or (form.name,)
    own_formats = chain.from_iterable(map(tagging.own_formats, owners))
    if form.pattern in own_formats:
        return True
    newest = form.tags[0]
    scheme = TagScheme(common_formats(tagging.patterns), tagging.label)
    return _reads(scheme, weighed, newest)


def _describe_unread(
    pattern: str, forms: Sequence[FormEvidence], tagging: Tagging, *, is_configured: bool
) -> UnreadTags:
    tags = [tag.parsed.tag for weighed in forms for tag in weighed.form.tags]
    newest = forms[0]
    form = newest.form
    owners = sorted({name for weighed in forms for name in weighed.owners})
    advice = _advise_format(pattern, owners)
    if newest.objection:
        reason = newest.objection
        if form.pattern in tagging.patterns:
            advice = ""
    elif not (tagging.usual or form.fits_label(tagging.label)):
        reason = "their prefix is not `label`"
        if tagging.label:
            reason = f"most tags have the prefix {tagging.label}"
    elif newest.is_supported and is_configured:
        reason = "`tag_format` has no such form"
        advice = f'Add "{form.pattern}" to `tag_format`.'
    else:
        reason = "the packages have newer tags of their own"
        advice = ""
    return UnreadTags(
        form=pattern,
        count=len(tags),
        newest=tags[0],
        tags=tuple(tags),
        packages=tuple(owners),
        reason=reason,
        advice=advice,
    )


def _advise_format(pattern: str, owners: Sequence[str]) -> str:
    """Return how to read tags in the form *pattern*, which are those of the packages *owners*."""
    owner = owners[0] if len(owners) == 1 else "its package"
    return f'If they are releases, set `tag_format = "{pattern}"` in the pyproject.toml of {owner}.'
