"""Reads release-please: `release-please-config.json` and `.release-please-manifest.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.config.settings import CHANGELOG
from releasekit.core.migration.bump_entries import (
    has_version,
    lines_with_key,
    locate_file,
)
from releasekit.core.migration.foreign_setup import (
    ForeignKey,
    ForeignSetup,
    LeftOut,
    OptionGuide,
    major_on_zero_key,
    merge_keys,
    stated_keys,
    tag_keys,
    version_of,
    with_own_name,
)
from releasekit.core.migration.foreign_texts import as_list, read_table, tables_in
from releasekit.core.picking import pick, values_at
from releasekit.core.workspace.dynamic_version import table_at, texts_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import Places, VersionFile
    from releasekit.core.workspace.dynamic_version import Table

CONFIG = "release-please-config.json"
MANIFEST = ".release-please-manifest.json"
FILES = (CONFIG, MANIFEST)
_LINKED = "linked-versions"
_MARKER = "x-release-please-"
_NO_MEMBER = "It is no published member of this workspace"

ADVICE = {
    "bootstrap-sha": "A tag on the commit of the last release says where commits begin to count.",
    "changelog-type": "The form of the changelog is fixed.",
    "draft": "Releases are drafts until their packages are public.",
    "last-release-sha": "A tag on the commit of the last release says where commits begin to count.",
    "plugins": "Requirements between the packages and uv.lock are kept up to date without a plugin.",
    "prerelease": "Release with `--prerelease rc`, or set the key `prerelease`.",
    "prerelease-type": "Release with `--prerelease rc`, or set the key `prerelease`.",
    "release-as": "Write a footer `Release-As: VERSION` in a commit message.",
    "separate-pull-requests": "One pull request releases all packages.",
    "versioning": "Commits decide the bump. A footer `Release-As: VERSION` sets a version.",
}
"""The keys of release-please that have no counterpart, and what to do instead."""
_GUIDE = OptionGuide(
    read=frozenset(
        (
            "$schema",
            "bump-minor-pre-major",
            "bump-patch-for-minor-pre-major",
            "changelog-path",
            "changelog-sections",
            "component",
            "exclude-paths",
            "extra-files",
            "include-component-in-tag",
            "include-v-in-tag",
            "package-name",
            "packages",
            "release-type",
            "skip-changelog",
            "tag-separator",
        )
    ),
    advice=ADVICE,
    general_advice=(
        "Nothing in [tool.releasekit] corresponds to it; remove it, or see docs/migration/release-please.md."
    ),
)


def read_release_please(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the files of release-please in *texts*, by path, say about the packages at *places*."""
    config = read_table(CONFIG, texts.get(CONFIG, "{}"))
    manifest = read_table(MANIFEST, texts.get(MANIFEST, "{}"))
    ours = _our_packages(config, places)
    baselines = _baselines(manifest, places)
    formats = {name: _tag_format(name, options) for name, options in ours.items()}
    root_tags, member_tags = tag_keys(formats, "release-please")
    root_keys = list(root_tags)
    if "packages" in config:
        root_keys += _root_keys(config, ours)
    own_keys: dict[str, tuple[ForeignKey, ...]] = {}
    for name, options in ours.items():
        last = baselines.get(name)
        excluded = ForeignKey(
            "exclude_paths",
            value=_excluded_paths(name, options, places),
            comment="The `exclude-paths` of release-please.",
        )
        own_keys[name] = stated_keys([*_member_keys(options, config, last), excluded])
    return ForeignSetup(
        tool="release-please",
        baselines=baselines,
        root_keys=stated_keys(root_keys),
        member_keys=merge_keys(member_tags, own_keys),
        not_taken_over=tuple(_leftovers(config, manifest, places)),
        removable=tuple(pick(FILES, texts)),
        version_files=tuple(_version_files(config, places)),
    )


def _our_packages(config: Table, places: Places) -> dict[str, Table]:
    """Return the options of the packages of this workspace, by name: those for all packages, and its own ones."""
    ours: dict[str, Table] = {}
    for path, own_options in table_at(config, "packages").items():
        name = places.at(path)
        if name:
            ours[name] = {**config, **table_at(own_options)}
    return ours


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
    has_component = options.get("include-component-in-tag", True)
    if not has_component:
        return version
    component = _component(options)
    if not isinstance(component, str):
        return ""
    separator = options.get("tag-separator", "-")
    return with_own_name(name, component, f"{separator}{version}")


def _component(options: Table) -> object:
    """Return the name of a package in release-please; its value is empty if the configuration names none."""
    return options.get("component") or options.get("package-name")


def _root_keys(config: Table, ours: Mapping[str, Table]) -> Iterator[ForeignKey]:
    if not config.get("bump-minor-pre-major"):
        yield major_on_zero_key("release-please")
    groups = dict(_linked_groups(config, ours))
    yield ForeignKey(
        "changelog_sections",
        value=_sections(config),
        comment="The `changelog-sections` of release-please.",
    )
    yield ForeignKey("groups", value=groups, comment="The `linked-versions` of release-please.")


def _sections(options: Table) -> dict[str, str]:
    """Return the heading of each type of commits; empty for a hidden one."""
    sections: dict[str, str] = {}
    for section in tables_in(options.get("changelog-sections")):
        commit_type = section.get("type")
        heading = "" if section.get("hidden") else section.get("section", "")
        if isinstance(commit_type, str):
            sections[commit_type] = str(heading)
    return sections


def _linked_groups(
    config: Table, ours: Mapping[str, Table]
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the name and the value of a group for each plugin `linked-versions`."""
    by_component = {str(_component(options) or name): name for name, options in ours.items()}
    for plugin in tables_in(config.get("plugins")):
        components = texts_in(plugin.get("components"))
        packages = values_at(by_component, components)
        is_group = bool(packages) and plugin.get("type") == _LINKED
        if is_group:
            title = str(plugin.get("groupName") or "linked")
            name = canonicalize_name(title.replace(" ", "-"))
            yield name, {"packages": packages, "versioning": "fixed"}


def _member_keys(options: Table, config: Table, last: Version | None) -> Iterator[ForeignKey]:
    """Yield the keys of a package with these *options*, where they differ from those of *config*."""
    stays_below_one = bool(options.get("bump-minor-pre-major"))
    usually_stays = bool(config.get("bump-minor-pre-major"))
    if stays_below_one != usually_stays:
        comment = "The `bump-minor-pre-major` of release-please."
        yield ForeignKey("major_on_zero", value=not stays_below_one, comment=comment)
    is_below_one = last is None or last.major == 0
    if options.get("bump-patch-for-minor-pre-major") and is_below_one:
        yield ForeignKey(
            "types",
            value={"feat": "patch"},
            comment="Until 1.0: `bump-patch-for-minor-pre-major` of release-please.",
        )
    if options.get("skip-changelog"):
        yield ForeignKey(
            "changelog", value=False, comment="The `skip-changelog` of release-please."
        )
    path = options.get("changelog-path", CHANGELOG)
    if path != CHANGELOG:
        yield ForeignKey(
            "changelog_path", value=path, comment="The `changelog-path` of release-please."
        )


def _version_files(config: Table, places: Places) -> Iterator[VersionFile]:
    """Yield the `extra-files`. A package that is no member, such as one at the root, may name files of members."""
    for package, options in table_at(config, "packages").items():
        files = table_at(options).get("extra-files") or config.get("extra-files")
        for file in as_list(files):
            path = str(table_at(file).get("path", file))
            key = _key_of(file)
            directory = "." if path.startswith("/") else package
            find_parts = lines_with_key(key) if key else _marked_lines
            what = f"extra-files: {path} of {package}"
            yield from locate_file(places, directory, path, key, find_parts, what)


def _key_of(file: object) -> str:
    """Return the last key of the JSONPath in an entry of `extra-files`; empty if it has none."""
    return str(table_at(file).get("jsonpath", "")).rpartition(".")[2]


def _marked_lines(text: str, version: Version) -> Iterator[str]:
    """Yield the lines with a version that comments mark; if none does, the lines with the key `version`."""
    start, *blocks = text.split(f"{_MARKER}start-")
    marked = [line for line in start.splitlines() if _MARKER in line]
    for block in blocks:
        inside, _, behind = block.partition(f"{_MARKER}end")
        marked += filter(has_version, inside.splitlines()[1:])
        marked += [line for line in behind.splitlines() if _MARKER in line]
    yield from marked or lines_with_key("version")(text, version)


def _excluded_paths(name: str, options: Table, places: Places) -> list[str]:
    """Return the `exclude-paths` of the package *name*, relative to it.

    Those outside of it have no effect. Those that contain members have none either: a member's files are its own.
    """
    excluded: list[str] = []
    for path in texts_in(options.get("exclude-paths")):
        owner, own_path = places.owner(path.rstrip("/"))
        if owner == name and not places.has_members_in(path):
            excluded.append(own_path)
    return excluded


def _leftovers(config: Table, manifest: Table, places: Places) -> Iterator[LeftOut]:
    packages = table_at(config, "packages")
    yield from _leftover_options(config)
    for path, value in packages.items():
        options = table_at(value)
        if not places.at(path):
            release_type = options.get("release-type") or config.get("release-type") or "python"
            advice = f"{_NO_MEMBER} (release-type {release_type})."
            yield LeftOut(what=f'packages: "{path}"', advice=advice)
            continue
        yield from _leftover_options(options, f" of {path}")
        if _sections(options):
            yield LeftOut(
                what=f"changelog-sections of {path}",
                advice="One `changelog_sections` is for all packages.",
            )
    for path in manifest.keys() - packages.keys():
        if not places.at(path):
            yield LeftOut(what=f"{MANIFEST}: {path}", advice=f"{_NO_MEMBER}.")


def _leftover_options(options: Table, place: str = "") -> Iterator[LeftOut]:
    """Yield the *options* that are not taken over; of the plugins only those that have no counterpart."""
    plugins = map(_plugin_name, as_list(options.get("plugins")))
    others = [name for name in plugins if name != _LINKED]
    for left_out in _GUIDE.leftovers({**options, "plugins": others}, place):
        if left_out.what == f"plugins{place}":
            yield LeftOut(what=f"plugins: {', '.join(others)}", advice=left_out.advice)
        else:
            yield left_out


def _plugin_name(plugin: object) -> str:
    """Return the name of *plugin*, which is a text, or a table with its type."""
    return str(table_at(plugin).get("type", plugin))
