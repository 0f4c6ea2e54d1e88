"""Values of settings that are found to be wrong when the workspace is read, each with the place where it is written."""

from __future__ import annotations

from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from releasekit.core.config.settings import variable
from releasekit.core.errors import ErrorCode, Excerpt, Refusal
from releasekit.core.history.counted_paths import compile_excluded
from releasekit.core.history.tags import TagScheme, formats_of, in_directory, uses_directory
from releasekit.core.picking import drop, drop_keys, group_by, true_keys
from releasekit.core.planning.first_releases import ALL
from releasekit.core.text import summarize

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.workspace.workspace import Workspace


def refuse_unknown_names(
    workspace: Workspace, settings: Settings, overrides: Container[str] = ()
) -> None:
    """Refuse a name or pattern in the settings that matches no member of *workspace*.

    *overrides* are the keys that an option or a variable sets, not the file. Raises Refusal
    RK-WORKSPACE-UNKNOWN-PACKAGE.
    """
    for key, pattern in _patterns(settings):
        with _place_of_refusals("pyproject.toml", key, pattern, overrides):
            workspace.matching_names([pattern])


def _patterns(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the key and the text of each name or pattern in the settings."""
    groups = {f"groups.{title}": group.packages for title, group in settings.groups.items()}
    patterns_by_key: dict[str, Iterable[str]] = {
        "packages": settings.packages,
        "exclude": settings.exclude,
        "allow_new": (pattern for pattern in settings.allow_new if pattern != ALL),
        "lead": filter(None, [settings.lead]),
        **groups,
    }
    for key, patterns in patterns_by_key.items():
        for pattern in patterns:
            yield key, pattern
    for destination in settings.publish_to:
        for pattern in destination.packages:
            if pattern != ALL:
                yield "publish_to", pattern


def choose_indexes(settings: Settings, overrides: Container[str]) -> Settings:
    """Return the settings of a release that either goes to several indexes, or to the one that other keys name.

    An option or variable among *overrides* that names one index replaces those in the file. Raises Refusal
    RK-CONFIG-INVALID-VALUE if the file has both.
    """
    given = list(true_keys({key: getattr(settings, key) for key in _ONE_INDEX}))
    if not (given and settings.publish_to):
        return settings
    in_file = drop(given, overrides)
    if in_file:
        message = f"{in_file[0]} names one index and publish_to several: only one of the two keys can be set"
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, "pyproject.toml, [tool.releasekit]")
    return settings.model_copy(update={"publish_to": ()})


_ONE_INDEX = ("index", "publish_url", "check_url")
"""The keys that name the only index of a release."""


def refuse_unreadable_tags(
    settings: Settings, own: Mapping[str, Mapping[str, Any]], overrides: Container[str] = ()
) -> None:
    """Refuse a tag format that git does not accept, or from which no version can be read.

    *own* has the keys that members set, by the path of the member. *overrides* as for `refuse_unknown_names`.
    Raises Refusal RK-TAG-INVALID.
    """
    root_keys = ("tag_format", "root_tag_format", "umbrella_tag_format")
    formats = [("pyproject.toml", key, getattr(settings, key)) for key in root_keys]
    formats += [
        ("pyproject.toml", f"groups.{title}.tag_format", group.tag_format)
        for title, group in settings.groups.items()
        if group.tag_format is not None
    ]
    formats += [
        (f"{path}/pyproject.toml", "tag_format", keys["tag_format"])
        for path, keys in drop_keys(own, (".",)).items()
        if "tag_format" in keys
    ]
    for file, key, value in formats:
        for pattern in formats_of(value):
            is_used = pattern or key.rpartition(".")[2] == "tag_format"
            is_of_package = key != "umbrella_tag_format"
            with _place_of_refusals(file, key, pattern, overrides):
                if is_used:
                    in_one = in_directory(pattern, "directory", "") if is_of_package else pattern
                    TagScheme(in_one, settings.label)


def refuse_equal_directories(
    workspace: Workspace, settings: Settings, own: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse a `tag_format` with {directory} that gives two packages the same tags.

    *own* is as for `refuse_unreadable_tags`. Raises Refusal RK-TAG-INVALID.
    """
    written, *_ = formats_of(settings.tag_format)
    if "{name}" in written or not uses_directory(written):
        return
    paths = {member.name: member.path for member in workspace.publishable}
    formats = {name: formats_of(own[path]["tag_format"])[0] for name, path in paths.items()}
    usual = {name: in_directory(written, path, name)[0] for name, path in paths.items()}
    by_directory = dict(sorted(formats.items() & usual.items()))
    for names in group_by(by_directory, by_directory.__getitem__).values():
        if len(names) > 1:
            message = f"{' and '.join(names)} would have the same tags, because their directories have one name"
            hint = f"Set `tag_format` in {paths[names[-1]]}/pyproject.toml."
            raise Refusal(ErrorCode.TAG_INVALID, message, "pyproject.toml, tag_format", hint)


def refuse_excluded_members(
    workspace: Workspace,
    settings: Settings,
    own: Mapping[str, Mapping[str, Any]],
    overrides: Container[str] = (),
) -> None:
    """Refuse a path in `exclude_paths` that excludes all files of a published member: it would never be released.

    *own* and *overrides* are as for `refuse_unreadable_tags`. Raises Refusal RK-CONFIG-INVALID-VALUE.
    """
    stated = {path: keys.get("exclude_paths", ()) for path, keys in own.items()}
    members = [member.path for member in workspace.publishable]
    for directory, patterns in {**stated, ".": settings.exclude_paths}.items():
        file = f"{directory}/pyproject.toml".removeprefix("./")
        for pattern in patterns:
            with _place_of_refusals(file, "exclude_paths", pattern, overrides):
                matches = compile_excluded({directory: [pattern]}).fullmatch
                _refuse_members(pattern, list(filter(matches, members)))


def refuse_mixed_changelog(
    workspace: Workspace, settings: Settings, own: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse a `workspace_changelog` for packages with different versions, or one that is a package's own changelog.

    *own* is as for `refuse_unreadable_tags`. Raises Refusal RK-CONFIG-INVALID-VALUE.
    """
    path = settings.workspace_changelog
    if not path:
        return
    group_versions = map(attrgetter("versioning"), settings.groups.values())
    if settings.versioning == "independent" or any(group_versions):
        hint = 'Set versioning = "fixed" or "linked", without groups that set it; or remove workspace_changelog.'
        raise _changelog_refusal("needs one version for all packages", hint)
    for member in workspace.publishable:  # a changelog is found in any letter case
        defaults = {"changelog": settings.changelog, "changelog_path": settings.changelog_path}
        keys = {**defaults, **own.get(member.path, {})}
        own_path = f"{member.path}/{keys['changelog_path']}".removeprefix("./")
        if keys["changelog"] and own_path.lower() == path.lower():
            hint = "Set changelog = false, so that packages have none; or give one of them another path."
            raise _changelog_refusal(f"is the changelog of {member.name} too", hint)


def _changelog_refusal(problem: str, hint: str) -> Refusal:
    message = f"workspace_changelog {problem}"
    location = "pyproject.toml, workspace_changelog in [tool.releasekit]"
    return Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, location, hint)


def _refuse_members(pattern: str, members: Sequence[str]) -> None:
    if members:
        message = f"{pattern} in `exclude_paths` excludes all files of {summarize(members)}"
        hint = (
            "Remove it: files of a member never count for the package around it. "
            "To never publish a member, use `exclude`."
        )
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, hint=hint)


@contextmanager
def _place_of_refusals(
    file: str, key: str, text: str, overrides: Container[str]
) -> Generator[None]:
    """Give refusals inside the block the place of *text*: the *key* in *file*, or one of the *overrides*."""
    try:
        yield
    except Refusal as error:
        raise _refusal_at(error, file, key, text, overrides) from None


def _refusal_at(
    error: Refusal, file: str, key: str, text: str, overrides: Container[str]
) -> Refusal:
    if key in overrides:
        return Refusal(error.code, error.message, f"{variable(key)}, or an option", error.hint)
    location = f"{file}, {key} in [tool.releasekit]"
    return Refusal(error.code, error.message, location, error.hint, excerpt=Excerpt(file, 0, text))
