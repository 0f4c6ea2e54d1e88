"""The tag formats that the evidence supports, and the tags that stay unread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.adoption.form_evidence import (
    DatedTag,
    find_lead_forms,
    tags_by_form,
    weigh_form,
)
from releasekit.core.adoption.tag_forms import package_words, parse_tags
from releasekit.core.adoption.tagging import Tagging, choose_tagging, find_unread
from releasekit.core.workspace.declarations import Declaration
from tests.support.builders import settings_of
from tests.support.builders import workspace_of as workspace_of_lines

if TYPE_CHECKING:
    from releasekit.core.adoption.findings import UnreadTags
    from releasekit.core.adoption.form_evidence import FormEvidence

LINES = ("app:", "core:", "web:")


def evidence_of(history: dict[str, str], *lines: str) -> list[FormEvidence]:
    """Return the evidence for tags, oldest first: each maps to what packages declared there: "app 1.0, core 1.1".

    A package that is not named was not there; "app ?" has a version that only a build knows.
    """
    workspace = workspace_of_lines(*lines)
    names = sorted(workspace.members)
    words = package_words({member.name: member.path for member in workspace})
    parsed = parse_tags(history, words)
    times = {tag: time for time, tag in enumerate(history)}
    declarations: dict[tuple[str, str], Declaration | None] = {}
    for tag, declared in history.items():
        for text in filter(None, declared.split(", ")):
            name, version = text.split(" ")
            declarations[tag, name] = Declaration(None if version == "?" else Version(version))
    forms = tags_by_form(DatedTag(reading, tag, times[tag]) for tag, reading in parsed.items())
    forms += find_lead_forms(forms, names)
    return [weigh_form(form, names, declarations) for form in forms]


def tagging_of(history: dict[str, str], *lines: str, now: str = "") -> Tagging:
    """Return the tag formats for *history*, see `evidence_of`; *now* is the configured format."""
    members = list(workspace_of_lines(*lines))
    settings = settings_of(**({"tag_format": now} if now else {}))
    return choose_tagging(evidence_of(history, *lines), members, settings, is_configured=bool(now))


def unread_of(history: dict[str, str], *lines: str, now: str = "") -> dict[str, UnreadTags]:
    """Return the forms that stay unread, by pattern."""
    tagging = tagging_of(history, *lines, now=now)
    unread = find_unread(evidence_of(history, *lines), tagging, is_configured=bool(now))
    return {tags.form: tags for tags in unread}


def test_most_used_format_comes_first() -> None:
    """The form of most last releases is written from now on, and all others are read."""
    history = {
        "core-v0.7": "core 0.7",
        "core-v0.8": "core 0.8",
        "web==1.0": "web 1.0",
        "core@1.0": "core 1.0",
        "app@1.0": "app 1.0",
    }

    assert tagging_of(history, *LINES).patterns == (
        "{name}@{version}",
        "{name}=={version}",
        "{name}-v{version}",
    )


def test_default_format_applies_without_tags() -> None:
    """Without tags, the default applies."""
    assert tagging_of({}, "core:") == Tagging()


def test_configured_format_is_never_changed() -> None:
    """A configured format stays as it is, and what it does not read is listed with the way to read it."""
    history = {"core@1.0": "core 1.0"}

    assert tagging_of(history, "core:", now="{name}-{version}").patterns == ("{name}-{version}",)
    (unread,) = unread_of(history, "core:", now="{name}-{version}").values()
    assert unread.advice == 'Add "{name}@{version}" to `tag_format`.'
    assert unread_of(history, "core:", now="{name}@{version}") == {}


def test_undeclared_tag_supports_nothing() -> None:
    """A form is proposed only if a package declared the version of each of its newest tags."""
    history = {"core_v0.9": "core 0.9", "core_v1.0": "core 0.9"}

    assert tagging_of(history, "core:").patterns == ("{name}-v{version}",)
    (unread,) = unread_of(history, "core:").values()
    assert (unread.form, unread.count, unread.newest) == ("{name}_v{version}", 2, "core_v1.0")
    assert unread.reason == "at core_v1.0, core declared 0.9"


def test_old_undeclared_tags_are_outweighed() -> None:
    """Only the newest tags of a form decide."""
    history = {"core_v0.1": "core 9.9"} | {
        f"core_v1.{number}": f"core 1.{number}" for number in range(5)
    }

    assert tagging_of(history, "core:").patterns == ("{name}_v{version}",)


def test_post_release_tag_decides_nothing() -> None:
    """A post-release that nobody declared does not speak against its form."""
    history = {"v1.0": "app 1.0, core 1.0, web 1.0", "v1.0.post1": "app 1.0, core 1.0, web 1.0"}

    assert tagging_of(history, *LINES).patterns == ("v{version}",)


def test_shared_tags_mean_fixed_versions() -> None:
    """A form without a name belongs to all packages if all declared its versions."""
    history = {"v0.9": "app 0.9, core 0.9", "v1.0": "app 1.0, core 1.0, web 1.0"}

    tagging = tagging_of(history, *LINES)

    assert (tagging.patterns, tagging.is_fixed, tagging.own) == (("v{version}",), True, {})
    assert (
        tagging.why_lockstep
        == "They had one version at each of the 2 newest such tags, up to v1.0."
    )


def test_separate_versions_get_named_tags() -> None:
    """If packages with shared tags have different versions now, new tags have names, and the old ones are read."""
    history = {"v1.0": "app 1.0, core 1.0"}

    tagging = tagging_of(history, "app==1.0:", "core==1.1:")

    assert (tagging.patterns, tagging.is_fixed) == (("{name}-v{version}", "v{version}"), False)


def test_bare_tag_has_single_owner() -> None:
    """A form without a name belongs to the one package that declared its versions."""
    history = {"app-v0.2": "app 0.2, core 0.9", "v1.0": "app 0.2, core 1.0"}

    tagging = tagging_of(history, "app:", "core:")

    assert (tagging.patterns, tagging.own) == (("{name}-v{version}",), {"core": ("v{version}",)})


def test_several_owners_form_fixed_group() -> None:
    """If several packages, but not all, declared the versions of a form, they share it and their version."""
    history = {
        "python-v1.0": "app 1.0, core 1.0, web 0.2",
        "python-v1.1": "app 1.1, core 1.1, web 0.2",
    }

    tagging = tagging_of(history, *LINES)

    assert tagging.own == {"app": ("python-v{version}",), "core": ("python-v{version}",)}
    assert (tagging.patterns, tagging.lockstep, tagging.is_fixed) == (
        ("{name}-v{version}",),
        ("app", "core"),
        False,
    )


def test_main_package_tags_its_group() -> None:
    """Packages without tags of their own that follow the versions of a tagged one are released with it.

    Tags of a package that is gone, and a tag that somebody made once, are for nobody.
    """
    history = {
        "web@0.9": "app 0.9, core 0.9, web 0.9, own 0.1",
        "gone@1.0": "app 1.0, core 1.0, web 1.0, own 0.1",
        "gone@1.1": "app 1.1, core 1.1, web 1.1, own 0.1",
        "core@1.1": "app 1.1, core 1.1, web 1.1, own 0.1",
        "own@0.1": "app 1.1, core 1.1, web 1.1, own 0.1",
        "ada/docs@1.2": "app 1.2, core 1.2, web 1.2, own 0.1",
        "core@1.2": "app 1.2, core 1.2, web 1.2, own 0.1",
        "core@1.3": "app 1.3, core 1.3, web 1.3, new 1.3, own 0.1",
    }
    lines = ("app: 1.3", "core: 1.3", "web: 1.3", "new: 1.3", "own: 0.1")

    tagging = tagging_of(history, *lines)

    assert tagging.patterns == ("{name}@{version}",)
    assert tagging.own == {
        "app": ("core@{version}",),
        "core": ("core@{version}", "{name}@{version}"),
        "new": ("core@{version}",),
        "web": ("core@{version}", "{name}@{version}"),
    }
    assert tagging.lockstep == ("app", "core", "new", "web")
    assert set(unread_of(history, *lines)) == {"gone@{version}", "ada/docs@{version}"}
    independent = {**history, "core@1.4": "app 1.3, core 1.4, web 1.3, new 1.3, own 0.1"}
    assert tagging_of(independent, *lines).lockstep == ()
    assert set(unread_of(independent, *lines)) == {"gone@{version}", "ada/docs@{version}"}


def test_one_wrong_tag_hides_no_format() -> None:
    """A tag on the commit before the new version does not make the other tags useless; the newest one must be right."""
    history = {f"v{number}": f"core {number}" for number in (1, 2, 3, 5)}
    slip = {**dict(list(history.items())[:3]), "v4": "core 3", "v5": "core 5"}

    assert tagging_of(slip, "core: 5").patterns == ("v{version}",)
    assert tagging_of({**history, "v6": "core 5"}, "core: 6").patterns == ("{name}-v{version}",)
    two_slips = {"v1": "core 1", "v2": "core 2", "v3": "core 2", "v4": "core 3", "v5": "core 5"}
    assert tagging_of(two_slips, "core: 5").patterns == ("{name}-v{version}",)


def test_renamed_package_keeps_its_tags() -> None:
    """Tags with a name that no package has any more are for the only package that declared their versions."""
    history = {"old@1.0": "core 1.0, app 3.0", "app@3.0": "core 1.0, app 3.0"}

    assert tagging_of(history, "core: 1.0", "app: 3.0").own == {"core": ("old@{version}",)}


def test_umbrella_tag_is_no_release() -> None:
    """A tag without a name is not proposed where each package has a tag of its own."""
    history = {"app-v1.0": "app 1.0", "core-v1.1": "core 1.1", "v7.0": "app 1.0, core 1.1"}

    assert tagging_of(history, "app:", "core:").patterns == ("{name}-v{version}",)
    (unread,) = unread_of(history, "app:", "core:").values()
    assert unread.reason == "no package declared 7.0 at v7.0"


def test_short_tags_get_own_format() -> None:
    """A package whose tags use another word than its name gets a tag format of its own."""
    history = {"core-v1.0": "acme-core 1.0", "acme-app-v1.0": "acme-app 1.0"}

    tagging = tagging_of(history, "acme-app:", "acme-core:")

    assert (tagging.patterns, tagging.own) == (
        ("{name}-v{version}",),
        {"acme-core": ("core-v{version}",)},
    )


def test_common_label_is_chosen() -> None:
    """Of labels, that of most tags with evidence is chosen; tags of others are listed."""
    history = {"js/core-v9.0": "core 1.0", "js/core-v9.1": "core 1.0", "py/core-v1.0": "core 1.0"}

    tagging = tagging_of(history, "core:")

    assert (tagging.patterns, tagging.label) == (("{label}/{name}-v{version}",), "py")
    assert unread_of(history, "core:").keys() == {"js/{name}-v{version}"}
