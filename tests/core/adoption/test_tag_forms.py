"""The forms of tags that `init` knows."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.adoption.tag_forms import package_words, parse_tags, unclaimed_tags
from releasekit.core.history.tags import TagScheme

PATHS = {
    "core": "packages/core",
    "my-core": "packages/my-core",
    "core-2": "packages/core-2",
    "acme-app": "packages/application",
}


@pytest.mark.parametrize(
    ("tag", "pattern", "name", "version"),
    [
        ("core-v1.2", "{name}-v{version}", "core", "1.2"),
        ("core==1.2", "{name}=={version}", "core", "1.2"),
        ("core@1.2", "{name}@{version}", "core", "1.2"),
        ("core@v1.2", "{name}@v{version}", "core", "1.2"),
        ("core/v1.2", "{name}/v{version}", "core", "1.2"),
        ("core/1.2", "{name}/{version}", "core", "1.2"),
        ("core_v1.2", "{name}_v{version}", "core", "1.2"),
        ("core-1.2", "{name}-{version}", "core", "1.2"),
        ("My_Core-v1.2rc1", "{name}-v{version}", "my-core", "1.2rc1"),
        ("core-2-1.0", "{name}-{version}", "core-2", "1.0"),
        ("py/core-v1.2", "{label}/{name}-v{version}", "core", "1.2"),
        ("py/core/v1.2", "{label}/{name}/v{version}", "core", "1.2"),
        ("py-my-core-1.0.0a260723", "{label}-{name}-{version}", "my-core", "1.0.0a260723"),
        ("application-v1.2", "application-v{version}", "acme-app", "1.2"),
        ("py/application@1.2", "py/application@{version}", "acme-app", "1.2"),
        ("v1.2", "v{version}", "", "1.2"),
        ("V1.2", "V{version}", "", "1.2"),
        ("1.2", "{version}", "", "1.2"),
        ("release-1.2", "release-{version}", "", "1.2"),
        ("python-v1.2.0", "python-v{version}", "", "1.2.0"),
        ("2024.01.15", "{version}", "", "2024.1.15"),
        ("gone-v1.0", "gone-v{version}", "", "1.0"),
    ],
)
def test_common_tag_formats_are_recognized(tag: str, pattern: str, name: str, version: str) -> None:
    """Each known form is read by names, directories, or as a version alone, and its pattern reads the tag again."""
    (parsed,) = parse_tags([tag], package_words(PATHS)).values()

    assert (parsed.pattern, parsed.name, parsed.version) == (pattern, name, Version(version))
    scheme = TagScheme(pattern, parsed.label)
    assert scheme.read(tag) == (name if "{name}" in pattern else "", Version(version))


def test_short_names_need_common_prefix() -> None:
    """The name without the first word counts only if all packages share that word."""
    acme = package_words({"acme": ".", "acme-core": "libs/one", "acme-app": "libs/two"})
    (parsed,) = parse_tags(["core-v1.0"], acme).values()
    assert (parsed.name, parsed.pattern, parsed.kind) == ("acme-core", "core-v{version}", "short")

    mixed = package_words({"acme-core": "libs/one", "other-app": "libs/two"})
    (parsed,) = parse_tags(["core-v1.0"], mixed).values()
    assert parsed.name == ""


def test_ambiguous_directory_names_nobody() -> None:
    """A directory that two packages have is no word for either."""
    words = package_words({"a-one": "x/lib", "b-two": "y/lib"})

    (parsed,) = parse_tags(["lib-v1.0"], words).values()

    assert parsed.name == ""


def test_tags_without_version_are_ignored() -> None:
    """A tag whose end is no version is not read."""
    tags = ["core-vnext", "nightly", "v1.x", "python-v0.4.9-website", "{a}-1.0", "core"]

    assert parse_tags(tags, package_words(PATHS)) == {}


def test_own_formats_claim_their_tags() -> None:
    """Tags of packages that have formats of their own explain nothing about the others."""
    own = {"app": TagScheme("a-{version}"), "web": TagScheme("{name}@{version}")}

    assert unclaimed_tags(["a-1.0", "web@1.0", "core@1.0", "v1.0"], own) == ("core@1.0", "v1.0")
