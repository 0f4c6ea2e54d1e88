"""How tags are written, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.baselines import find_baselines, package_tags
from releasekit.core.history.tags import (
    Baseline,
    TagScheme,
    TagSchemes,
    baseline_on_index,
    common_formats,
    dated_umbrellas,
    in_directory,
    push_batches,
    umbrella_candidates,
    umbrella_tag,
    umbrellas_among,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMES = [
    "{name}-v{version}",
    "{name}=={version}",
    "{name}@{version}",
    "{name}/v{version}",
    "{name}-{version}",
    "{label}-{name}-{version}",
    "{label}/{name}/{version}",
    "v{version}-{name}",
    "{version}/{name}",
]

NAMED = TagSchemes(TagScheme("{name}-v{version}"))

versions = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "1!"]),
    st.lists(st.integers(0, 2100).map(str), min_size=1, max_size=5).map(".".join),
    st.sampled_from(["", "a1", "b0", "rc12"]),
    st.sampled_from(["", ".post3"]),
    st.sampled_from(["", ".dev4"]),
    st.sampled_from(["", "+g1a2b3c4", "+5"]),
).map(Version)
names = st.from_regex(r"[a-z0-9]+(-(v?[0-9]{1,2}|rc1|[a-z0-9]+)){0,3}", fullmatch=True)


def last_releases(
    tags: Mapping[str, str],
    schemes: TagScheme | TagSchemes,
    declared: Mapping[str, Version | None],
    reachable: set[str] | None = None,
    umbrellas: Iterable[str] = (),
) -> dict[str, Baseline]:
    """Return the last release of each package if every tag is what it looks like."""
    all_schemes = schemes if isinstance(schemes, TagSchemes) else TagSchemes(schemes)
    baselines, unread = find_baselines(
        package_tags(tags, all_schemes, declared, set(umbrellas)), None, reachable
    )
    assert not unread
    return baselines


@given(st.sampled_from(SCHEMES), names, versions)
def test_written_tag_reads_back(pattern: str, name: str, version: Version) -> None:
    """What a scheme writes it reads again, for every name and version."""
    scheme = TagScheme(pattern, "python")

    assert scheme.read(scheme.tag(name, version)) == (name, version)


@pytest.mark.parametrize(
    ("pattern", "tag", "expected"),
    [
        ("{name}-v{version}", "core-v1.2.3", ("core", "1.2.3")),
        ("{name}-v{version}", "Fps_Auth-v1.0", ("fps-auth", "1.0")),
        ("{name}-v{version}", "core-v2-v1.0", ("core-v2", "1.0")),
        ("{name}-v{version}", "core-v1.0-rc.1", ("core", "1.0rc1")),
        ("{name}-v{version}", "core-1.0", None),
        ("{name}-v{version}", "v1.0", None),
        ("{name}-v{version}", "core-vnext", None),
        ("{name}-v{version}", "core-v1.x", None),
        ("{name}-v{version}", "old/core-v1.0", None),
        ("{name}-v{version}", "core-v1.0/final", None),
        ("{label}-{name}-{version}", "python-core-1.0.0a260723", ("core", "1.0.0a260723")),
        ("{label}-{name}-{version}", "dotnet-core-1.0", None),
        ("v{version}", "v3.1.0", ("", "3.1.0")),
        ("{version}", "v3.1.0", ("", "3.1.0")),
        ("{version}", "release-2026.11.22", None),
        ("a.c-{name}-{version}", "abc-core-1.0", None),
    ],
)
def test_only_exact_tags_are_read(pattern: str, tag: str, expected: tuple[str, str] | None) -> None:
    """Only tags of this very form are read; names are normalised."""
    assert TagScheme(pattern, "python").read(tag) == (
        expected and (expected[0], Version(expected[1]))
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "{name}",
        "",
        "{name}-{versions}-{version}",
        "{name}-{}-{version}",
        "{name}-{version",
        "{name}-{version}}",
        "{{name}}-{version}",
        "{name!r}-{version}",
        "{name.upper}-{version}",
        "{version}-{version}",
        "{name}-{name}-{version}",
    ],
)
def test_tag_format_needs_one_version(pattern: str) -> None:
    """A format must hold the version once, may hold name and label, and nothing else in braces."""
    with pytest.raises(
        Refusal,
        match=r"must contain \{version\}, and may contain \{name\}, \{directory\} and \{label\}",
    ) as caught:
        TagScheme(pattern)

    assert caught.value.code is ErrorCode.TAG_INVALID


@pytest.mark.parametrize("pattern", ["{name}{version}", "{name}.{version}", "{version}.{name}"])
def test_ambiguous_tag_format_is_refused(pattern: str) -> None:
    """A format is refused from which nobody can tell where the name ends."""
    with pytest.raises(Refusal, match="from which the version cannot be read") as caught:
        TagScheme(pattern)

    assert caught.value.code is ErrorCode.TAG_INVALID


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "-{version}",
            ".{version}",
            "/{version}",
            "{version}.",
            "{version}/",
            "{version}.lock",
            "a.lock/{version}",
        ),
        *(
            "a/.{version}",
            "a//{version}",
            "a..{version}",
            "a@{{label}{version}",
            "a b-{version}",
            "a~{version}",
        ),
        *(
            "a^{version}",
            "a:{version}",
            "a?{version}",
            "a*{version}",
            "a[{version}",
            "a\\{version}",
            "a\x7f{version}",
        ),
        *("a\t{version}", "{label}-{version}", "{label}/{version}"),
    ],
)
def test_format_invalid_for_git_fails(pattern: str) -> None:
    """A format is refused at once if git would refuse its tags (git-check-ref-format, and a leading hyphen)."""
    with pytest.raises(Refusal) as caught:
        TagScheme(pattern)

    assert caught.value.code is ErrorCode.TAG_INVALID


def test_format_valid_for_git_passes() -> None:
    """What looks odd but is fine for git is fine."""
    assert TagScheme("@{name}@/é,'{version}!").tag("core", Version("1.0")) == "@core@/é,'1.0!"


def test_label_characters_are_literal() -> None:
    """A label means itself, neither a pattern nor a placeholder."""
    scheme = TagScheme("{label}-{name}-{version}", "c++(x)")

    assert scheme.tag("core", Version("1.0")) == "c++(x)-core-1.0"
    assert scheme.read("c++(x)-core-1.0") == ("core", Version("1.0"))
    assert scheme.read("ccc(x)-core-1.0") is None


class TestBaselines:
    """The last release of each package."""

    SCHEME = TagScheme("{name}-v{version}")

    def found(self, tags: str, **declared: str | None) -> dict[str, str]:
        """Return the tag of each package, where the declared versions are as given."""
        limits = {name: Version(version) if version else None for name, version in declared.items()}
        found = last_releases(
            {tag: f"commit of {tag}" for tag in tags.split()}, self.SCHEME, limits
        )
        assert all(item.commit == f"commit of {item.tag}" for item in found.values())
        return {name: item.tag for name, item in found.items()}

    def test_highest_version_is_the_baseline(self) -> None:
        """It is the highest version, not the last tag in the alphabet."""
        assert self.found(
            "core-v1.9 core-v1.10 core-v1.10rc1 web-v0.1", core="1.10", web="0.1"
        ) == {
            "core": "core-v1.10",
            "web": "web-v0.1",
        }

    def test_tags_above_declared_are_ignored(self) -> None:
        """Above the declared version there are only other branches' tags."""
        assert self.found("core-v1.4 core-v2.0", core="1.5.dev0") == {"core": "core-v1.4"}
        assert self.found("core-v2.0", core="1.5") == {}

    def test_dynamic_version_takes_highest_tag(self) -> None:
        """A version that only the tags know is the highest of them."""
        assert self.found("core-v1.4 core-v2.0rc1", core=None) == {"core": "core-v2.0rc1"}

    def test_foreign_tags_are_no_baseline(self) -> None:
        """Tags of other forms, and of packages that are no members, mean nothing."""
        assert self.found("v3.0 core-1.0 gone-v1.0 core-vx", core="9.0") == {}

    def test_baseline_lists_taken_versions(self) -> None:
        """It says tag, version and commit; the last stable one besides, and all versions that are taken."""
        tags = {"core-v1.0": "c0ffee", "core-v1.1rc1": "cafe", "core-v2.0": "babe"}

        (found,) = last_releases(tags, self.SCHEME, {"core": Version("1.1rc1")}).values()

        assert (found.tag, found.version, found.commit) == (
            "core-v1.1rc1",
            Version("1.1rc1"),
            "cafe",
        )
        assert found.stable == Baseline("core-v1.0", Version("1.0"), "c0ffee")
        assert found.taken == {Version("1.0"), Version("1.1rc1"), Version("2.0")}

    def test_prerelease_tag_is_not_stable(self) -> None:
        """Before the first stable release there is none to begin at."""
        (found,) = last_releases(
            {"core-v1.0rc1": "c0ffee"}, self.SCHEME, {"core": Version("1.0rc1")}
        ).values()

        assert (found.tag, found.stable) == ("core-v1.0rc1", None)

    def test_history_begins_at_last_stable(self) -> None:
        """A stable release tells all since the last stable one, or since the first prerelease where there is none."""
        tags = {"core-v1.0b1": "a", "core-v1.0rc1": "b", "web-v0.9": "c", "web-v1.0rc1": "d"}

        found = last_releases(
            tags, self.SCHEME, {"core": Version("1.0rc1"), "web": Version("1.0rc1")}
        )

        assert {name: (last.tag, last.begin.tag) for name, last in found.items()} == {
            "core": ("core-v1.0rc1", "core-v1.0b1"),
            "web": ("web-v1.0rc1", "web-v0.9"),
        }

    def test_own_format_has_own_baseline(self) -> None:
        """A package with a format of its own has those tags and no others, and nobody else has them."""
        schemes = TagSchemes(self.SCHEME, {"web": TagScheme("v{version}")})
        tags: dict[str, str] = dict.fromkeys(("core-v1.0", "v2.0", "web-v3.0"), "c0ffee")

        declared: dict[str, Version | None] = dict.fromkeys(("core", "web", "new"), Version("9.0"))
        found = last_releases(tags, schemes, declared)

        assert {name: last.tag for name, last in found.items()} == {
            "core": "core-v1.0",
            "web": "v2.0",
        }

    def test_shared_tags_come_before_directories(self) -> None:
        """Where each package has the format with its directory, tags without a name are from the time before."""
        formats = ("py/{directory}-v{version}", "v{version}")
        own = {
            name: TagScheme(in_directory(formats, f"libs/{name}", name)) for name in ("core", "web")
        }
        schemes = TagSchemes(TagScheme(common_formats(formats)), own)
        tags: dict[str, str] = dict.fromkeys(("py/core-v1.0", "v2.0"), "c0ffee")
        declared: dict[str, Version | None] = dict.fromkeys(("core", "web"), Version("9.0"))

        found = last_releases(tags, schemes, declared)

        assert {name: last.tag for name, last in found.items()} == {
            "core": "py/core-v1.0",
            "web": "v2.0",
        }

    def test_umbrella_tag_is_no_baseline(self) -> None:
        """The tag of a release as a whole is no package's, unless the format that is written names no package."""
        tags: dict[str, str] = dict.fromkeys(("v1.0", "core-v0.9"), "c0ffee")
        declared: dict[str, Version | None] = dict.fromkeys(("core", "new"), Version("9.0"))

        def last(*formats: str) -> dict[str, str]:
            found = last_releases(
                tags, TagSchemes(TagScheme(formats)), declared, umbrellas={"v1.0"}
            )
            return {name: each.tag for name, each in found.items()}

        assert last("{name}-v{version}", "v{version}") == {"core": "core-v0.9"}
        assert last("all-{version}", "v{version}", "{name}-v{version}") == {"core": "core-v0.9"}
        assert last("v{version}", "{name}-v{version}") == {"core": "v1.0", "new": "v1.0"}

    def test_index_version_replaces_missing_tag(self) -> None:
        """Without a tag it is the highest version on the index that is not above the declared one."""
        versions = [Version("1.0"), Version("1.1rc1"), Version("2.0")]

        found = baseline_on_index(versions, Version("1.1.dev0"))
        assert found == Baseline(
            "", Version("1.0"), "", Baseline("", Version("1.0"), ""), frozenset(versions)
        )
        found = baseline_on_index(versions, Version("1.1"))
        assert found
        assert list(map(str, (found.version, found.begin.version))) == ["1.1rc1", "1.0"]
        assert baseline_on_index(versions, Version("0.9")) is None
        assert baseline_on_index((), None) is None

    def test_dynamic_version_prefers_reachable_tags(self) -> None:
        """Where only tags know the version, HEAD's own come first; a declared version knows better than branches."""
        tags = {"core-v1.4": "a", "core-v2.0": "b", "web-v3.0": "c"}
        declared = {"core": None, "web": None}

        found = last_releases(tags, self.SCHEME, declared, reachable={"core-v1.4"})
        assert {name: item.tag for name, item in found.items()} == {
            "core": "core-v1.4",
            "web": "web-v3.0",
        }

        found = last_releases(tags, self.SCHEME, {"core": Version("2.0")}, reachable={"core-v1.4"})
        assert found["core"].tag == "core-v2.0"


class TestFormatsOverTime:
    """A list of formats: the first is written, all are read."""

    FORMATS = (
        "{name}-v{version}",
        "{name}=={version}",
        "{name}@{version}",
        "{label}/{name}/v{version}",
        "v{version}",
    )

    def last(self, tags: str, formats: tuple[str, ...] = FORMATS) -> dict[str, str]:
        """Return the tag of the last release of core and web, both declared at 3.0."""
        scheme = TagScheme(formats, "py")
        found = last_releases(
            dict.fromkeys(tags.split(), "c0ffee"),
            scheme,
            {"core": Version("3.0"), "web": Version("3.0")},
        )
        return {name: item.tag for name, item in found.items()}

    @pytest.mark.parametrize(
        "tag", ["core-v2.0", "core==2.0", "core@2.0", "py/core/v2.0", "Core@2.0"]
    )
    def test_every_listed_format_is_read(self, tag: str) -> None:
        """A tag of any of the formats is a release."""
        assert self.last(f"core-v1.0 core==1.1 {tag}") == {"core": tag}

    def test_first_listed_format_is_written(self) -> None:
        """The first is what new tags look like."""
        scheme = TagScheme(self.FORMATS, "py")

        assert (scheme.tag("core", Version("1.0")), scheme.names_packages) == ("core-v1.0", True)

    def test_own_tag_beats_lockstep_tag(self) -> None:
        """Tags of a time when all had one version count for those that have had none of their own since."""
        assert self.last("v1.0 v2.0 core-v1.5") == {"core": "core-v1.5", "web": "v2.0"}

    def test_highest_of_both_formats_counts(self) -> None:
        """Where tags without a name are written, they are everybody's, and the highest is the last."""
        formats = ("v{version}", "{name}-v{version}")

        assert self.last("core-v1.0 v1.5 web-v2.0 v3.1", formats) == {
            "core": "v1.5",
            "web": "web-v2.0",
        }
        assert not TagScheme(formats).names_packages

    def test_tag_matches_an_existing_member(self) -> None:
        """A tag that several formats fit is a release of whoever exists."""
        formats = ("{name}-{version}", "{label}-{name}-{version}")

        assert self.last("py-core-1.0", formats) == {"core": "py-core-1.0"}

    def test_empty_format_list_is_refused(self) -> None:
        """No format at all is refused."""
        with pytest.raises(Refusal, match="no tag format") as caught:
            TagScheme(())

        assert caught.value.code is ErrorCode.TAG_INVALID


class TestUmbrella:
    """The tag of the release as a whole."""

    @pytest.mark.parametrize(
        ("version", "taken", "expected"),
        [
            ("1.2", "", "v1.2"),
            ("", "", "release-2026.11.22"),
            ("", "release-2026.11.22", "release-2026.11.22.2"),
            ("", "release-2026.11.22 release-2026.11.22.2", "release-2026.11.22.3"),
            ("1.3", "v1.3", "release-2026.11.22"),
            ("1.2", "v1.2 release-2026.11.22", "release-2026.11.22.2"),
        ],
    )
    def test_umbrella_tag_has_version_or_date(
        self, version: str, taken: str, expected: str
    ) -> None:
        """It has the version of the release, or the date; a number follows if that tag exists."""
        of_release = Version(version) if version else None

        assert (
            umbrella_tag("v{version}", NAMED, of_release, "2026.11.22", taken.split()) == expected
        )

    def test_umbrella_tag_includes_the_label(self) -> None:
        """The label stands in it as it does in a package's tag."""
        schemes = TagSchemes(TagScheme("{name}@{version}", "py"))

        assert (
            umbrella_tag("{label}@{version}", schemes, Version("1.0"), "2026.11.22", ()) == "py@1.0"
        )

    @pytest.mark.parametrize(
        "schemes",
        [
            TagSchemes(TagScheme(("{name}-v{version}", "v{version}"))),
            TagSchemes(TagScheme("{name}-v{version}"), {"core": TagScheme("v{version}")}),
        ],
    )
    def test_umbrella_never_imitates_package_tag(self, schemes: TagSchemes) -> None:
        """A tag that would be read as one package's, or as everybody's, is not taken for the release as a whole."""
        assert (
            umbrella_tag("v{version}", schemes, Version("1.0"), "2026.11.22", ())
            == "release-2026.11.22"
        )
        assert umbrella_tag("all/{version}", schemes, Version("1.0"), "2026.11.22", ()) == "all/1.0"

    def test_invalid_umbrella_format_is_refused(self) -> None:
        """A format that makes no tag is refused; a release as a whole has no name to put in."""
        for pattern in ("all", "{name}-v{version}"):
            with pytest.raises(Refusal) as caught:
                umbrella_tag(pattern, NAMED, Version("1.0"), "2026.11.22", ())
            assert caught.value.code is ErrorCode.TAG_INVALID


@pytest.mark.parametrize(
    ("tags", "umbrella", "pushes"),
    [
        ("a b c d v1", "v1", "a b c|d|v1"),
        ("a b v1", "v1", "a b|v1"),
        ("v1 a", "v1", "a|v1"),
        ("v1", "v1", "v1"),
        ("a b c", "v1", "a b c"),
        ("", "v1", ""),
    ],
)
def test_tags_push_in_threes(tags: str, umbrella: str, pushes: str) -> None:
    """Tags are pushed by threes, that of the whole release last and alone."""
    assert "|".join(map(" ".join, push_batches(tags.split(), [umbrella]))) == pushes


def test_umbrella_needs_its_release_commit() -> None:
    """It has the form of one, stands beside a package's tag, and its commit says that it made that release."""
    tags = {
        "v1.0": "a",
        "core-v1.0": "a",
        "v1.1": "b",
        "v1": "b",
        "release-2026.01.01": "c",
        "web-1.0": "c",
    }
    tags |= {"core-v2.0": "d", "web-v2.0": "d", "latest": "b", "all/2.0": "e", "web-v3.0": "e"}

    candidates = umbrella_candidates(tags, "v{version}")

    assert candidates == {"v1.0": "a", "release-2026.01.01": "c"}
    assert umbrella_candidates(tags, "{label}/{version}", "all") == {**candidates, "all/2.0": "e"}
    titles = {"a": {"v1.0"}, "c": {"release-2026.01.02"}}
    assert umbrellas_among(candidates, titles) == {"v1.0"}


@pytest.mark.parametrize(
    ("tags", "umbrellas"),
    [
        ("release-2026.11.22 core-v1.0 web-v2.0", "release-2026.11.22"),
        ("release-2026.11.22.2 core@1.0b1 v2.0", "release-2026.11.22.2"),
        # one package released alone has no umbrella tag, and a tag without a version is no package's
        ("release-2026.11.22 core-v1.0", ""),
        ("release-2026.11.22 core-v1.0 latest", ""),
        ("release-2026.11.22 release-2026.11.22.2 core-v1.0", ""),
        ("release-2026.11.22", ""),
        # other forms need the title of a release commit
        ("release-2026.1.5 core-v1.0 web-v2.0", ""),
        ("v1.0 core-v1.0 web-v1.0", ""),
    ],
)
def test_dated_umbrella_needs_no_title(tags: str, umbrellas: str) -> None:
    """A dated tag on a commit with the tags of several packages is an umbrella tag, whatever the commit says."""
    elsewhere = {"cli-v1.0": "b", "docs-v1.0": "b"}

    assert dated_umbrellas({**dict.fromkeys(tags.split(), "a"), **elsewhere}) == set(
        umbrellas.split()
    )


def test_names_package_of_workspace() -> None:
    """The tag of a package has the form of its own, or the common form with the name of a package."""
    schemes = TagSchemes(TagScheme("{name}-{version}"), {"top": TagScheme("v{version}")})
    tags = ("core-1.0", "v1.0", "other-1.0", "release-2026.11.22", "all/1.0")

    assert [tag for tag in tags if schemes.names_package(tag, {"core", "top"})] == [
        "core-1.0",
        "v1.0",
    ]
