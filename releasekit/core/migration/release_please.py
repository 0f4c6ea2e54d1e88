"""Reads release-please: `release-please-config.json` and `.release-please-manifest.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.migration.foreign_setup import (
    ForeignKey,
    ForeignSetup,
    LeftOut,
    merge_keys,
    tag_keys,
    version_of,
    with_own_name,
)
from releasekit.core.migration.foreign_texts import as_list, as_table, as_texts, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import Places
    from releasekit.core.migration.foreign_texts import Table

CONFIG = "release-please-config.json"
MANIFEST = ".release-please-manifest.json"
FILES = (CONFIG, MANIFEST)

ADVICE = {
    "bootstrap-sha": "A tag on the commit of the last release says where commits begin to count.",
    "changelog-type": "The form of the changelog is fixed.",
    "draft": "Releases are drafts until their packages are public.",
    "exclude-paths": "A change below a package counts for it. `changelog_exclude` leaves out commits by their text.",
    "extra-files": "Set `bump` in the [tool.releasekit] of the package: a path, and the text around the version.",
    "last-release-sha": "A tag on the commit of the last release says where commits begin to count.",
    "plugins": "Requirements between the packages and uv.lock are kept up to date without a plugin.",
    "prerelease": "Release with `--prerelease rc`, or set the key `prerelease`.",
    "prerelease-type": "Release with `--prerelease rc`, or set the key `prerelease`.",
    "release-as": "Write a footer `Release-As: VERSION` in a commit message.",
    "separate-pull-requests": "One pull request releases all packages.",
    "versioning": "Commits decide the bump. A footer `Release-As: VERSION` sets a version.",
}
"""The keys of release-please that have no counterpart, and what to do instead."""
_ANOTHER_PLACE = "Nothing in [tool.releasekit] corresponds to it; remove it, or see docs/migration/release-please.md."
_READ = frozenset(
    (
        "$schema",
        "bump-minor-pre-major",
        "bump-patch-for-minor-pre-major",
        "changelog-path",
        "changelog-sections",
        "component",
        "include-component-in-tag",
        "include-v-in-tag",
        "package-name",
        "packages",
        "release-type",
        "skip-changelog",
        "tag-separator",
    )
)


def read_release_please(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the files of release-please in *texts*, by path, say about the packages at *places*."""
    config = read_table(CONFIG, texts.get(CONFIG, "{}"))
    manifest = read_table(MANIFEST, texts.get(MANIFEST, "{}"))
    packages = {path: config | as_table(own) for path, own in as_table(config.get("packages")).items()}
    ours = {name: options for path, options in packages.items() if (name := places.at(path))}
    baselines = _baselines(manifest, places)
    formats = {name: form for name, options in ours.items() if (form := _tag_format(name, options))}
    root_tags, member_tags = tag_keys(formats, "The tags of release-please.")
    root_options = config if "packages" in config else {}
    own_keys = {name: tuple(_member_keys(options, config, baselines.get(name))) for name, options in ours.items()}
    return ForeignSetup(
        tool="release-please",
        baselines=baselines,
        root_keys=(*root_tags, *_root_keys(root_options, ours)),
        member_keys=merge_keys(member_tags, own_keys),
        not_taken_over=tuple(_leftovers(config, manifest, places)),
        removable=tuple(path for path in FILES if path in texts),
    )


def _baselines(manifest: Table, places: Places) -> dict[str, Version]:
    baselines: dict[str, Version] = {}
    for path, value in manifest.items():
        name, version = places.at(path), version_of(value)
        if name and version:
            baselines[name] = version
    return baselines


def _tag_format(name: str, options: Table) -> str:
    """Return the form of a package's tags; empty if the configuration does not say which name they contain."""
    version = "v{version}" if options.get("include-v-in-tag", True) else "{version}"
    if not options.get("include-component-in-tag", True):
        return version
    component = options.get("component") or options.get("package-name")
    if not isinstance(component, str):
        return ""
    separator = options.get("tag-separator", "-")
    return with_own_name(name, component, f"{separator}{version}")


def _root_keys(config: Table, ours: Mapping[str, Table]) -> Iterator[ForeignKey]:
    if config and not config.get("bump-minor-pre-major"):
        yield ForeignKey("major_on_zero", True, "release-please makes 1.0.0 of a breaking change on 0.x.")  # noqa: FBT003
    sections = _sections(config)
    if sections:
        yield ForeignKey("changelog_sections", sections, "The `changelog-sections` of release-please.")
    groups = dict(_linked_groups(config, ours))
    if groups:
        yield ForeignKey("groups", groups, "The `linked-versions` of release-please.")


def _sections(options: Table) -> dict[str, str]:
    sections: dict[str, str] = {}
    for section in map(as_table, as_list(options.get("changelog-sections"))):
        commit_type, heading = section.get("type"), section.get("section", "")
        if isinstance(commit_type, str):
            sections[commit_type] = "" if section.get("hidden") else str(heading)
    return sections


def _linked_groups(config: Table, ours: Mapping[str, Table]) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the name and the value of a group for each plugin `linked-versions`."""
    by_component = {str(options.get("component") or options.get("package-name") or name): name
                    for name, options in ours.items()}  # fmt: skip
    for plugin in map(as_table, as_list(config.get("plugins"))):
        if plugin.get("type") != "linked-versions":
            continue
        components = as_texts(plugin.get("components"))
        packages = [by_component[component] for component in components if component in by_component]
        if packages:
            name = canonicalize_name(str(plugin.get("groupName") or "linked").replace(" ", "-"))
            yield name, {"packages": packages, "versioning": "fixed"}


def _member_keys(options: Table, config: Table, last: Version | None) -> Iterator[ForeignKey]:
    """Yield the keys of a package with these *options*, where they differ from those of *config*."""
    stays_below_one = bool(options.get("bump-minor-pre-major"))
    if stays_below_one != bool(config.get("bump-minor-pre-major")):
        yield ForeignKey("major_on_zero", not stays_below_one, "The `bump-minor-pre-major` of release-please.")
    is_below_one = last is None or last.major == 0
    if options.get("bump-patch-for-minor-pre-major") and is_below_one:
        yield ForeignKey("types", {"feat": "patch"}, "Until 1.0: `bump-patch-for-minor-pre-major` of release-please.")
    if options.get("skip-changelog"):
        yield ForeignKey("changelog", False, "The `skip-changelog` of release-please.")  # noqa: FBT003
    path = options.get("changelog-path", "CHANGELOG.md")
    if path != "CHANGELOG.md":
        yield ForeignKey("changelog_path", path, "The `changelog-path` of release-please.")


def _leftovers(config: Table, manifest: Table, places: Places) -> Iterator[LeftOut]:
    packages = as_table(config.get("packages"))
    yield from _leftover_keys("", config)
    for path, options in packages.items():
        release_type = as_table(options).get("release-type") or config.get("release-type") or "python"
        if not places.at(path):
            advice = f"It is no published member of this workspace (release-type {release_type})."
            yield LeftOut(what=f"packages: {path}", advice=advice)
            continue
        yield from _leftover_keys(f" of {path}", as_table(options))
        if _sections(as_table(options)):
            yield LeftOut(what=f"changelog-sections of {path}", advice="One `changelog_sections` is for all packages.")
    for path in manifest.keys() - packages.keys():
        if not places.at(path):
            yield LeftOut(what=f"{MANIFEST}: {path}", advice="It is no published member of this workspace.")


def _leftover_keys(place: str, options: Table) -> Iterator[LeftOut]:
    for key, value in options.items():
        if key in _READ or value in (False, [], {}, None, ""):
            continue
        if key == "plugins":
            names = [str(as_table(plugin).get("type", plugin)) for plugin in as_list(value)]
            others = [name for name in names if name != "linked-versions"]
            if others:
                yield LeftOut(what=f"plugins: {', '.join(others)}", advice=ADVICE[key])
            continue
        yield LeftOut(what=f"{key}{place}", advice=ADVICE.get(key, _ANOTHER_PLACE))
