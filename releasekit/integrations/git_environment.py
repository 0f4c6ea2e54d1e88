"""What our git gets from outside: the variables that it keeps, and the settings of a user that it does not follow."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEPT_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "GIT_ALLOW_PROTOCOL": "a restriction of the user",
        "GIT_ASKPASS": "credentials",
        "GIT_AUTHOR_*": "who commits",
        "GIT_CEILING_DIRECTORIES": "a restriction of the user",
        "GIT_COMMITTER_*": "who commits",
        "GIT_CONFIG_*": "settings, in CI also credentials",
        "GIT_CURL_VERBOSE": "traces, on standard error",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM": "where a repository is looked for",
        "GIT_EXEC_PATH": "the installation of git",
        "GIT_HTTP_*": "the network",
        "GIT_LFS_*": "large files",
        "GIT_NO_LAZY_FETCH": "a restriction of the user",
        "GIT_PROTOCOL_FROM_USER": "a restriction of the user",
        "GIT_PROXY_*": "the network",
        "GIT_SSH": "the network",
        "GIT_SSH_*": "the network",
        "GIT_SSL_*": "certificates",
        "GIT_TEMPLATE_DIR": "the installation of git",
        "GIT_TRACE*": "traces, on standard error or in a file",
    }
)
"""The variables of git that we pass on, each with the reason. Every other GIT_* variable is dropped.

A hook or an outer git that runs us sets variables that would redirect our git to another repository, index or object
store; others change what it prints.
"""

_SET_VARIABLES: Mapping[str, str | None] = MappingProxyType(
    {
        "GIT_TERMINAL_PROMPT": "0",  # no git may wait for a password
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",  # we read its messages
        "LANGUAGE": None,  # counts before LC_ALL
    }
)

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # Programs that a repository could start. Filters stay on: without them files are not what users build from.
        "core.fsmonitor": "false",
        "safe.bareRepository": "explicit",
        # What our reads print.
        "color.ui": "false",
        "core.quotePath": "false",
        "diff.autoRefreshIndex": "true",
        "diff.ignoreSubmodules": "untracked",
        "diff.orderFile": "/dev/null",
        "diff.relative": "false",
        "diff.renames": "true",
        "i18n.logOutputEncoding": "UTF-8",
        "log.decorate": "false",
        "log.follow": "false",
        "log.showRoot": "true",
        "log.showSignature": "false",
        "status.renames": "true",
        "status.showUntrackedFiles": "normal",
        "submodule.recurse": "false",
        # What our commits, fetches and pushes do.
        "clone.defaultRemoteName": "origin",
        "commit.cleanup": "whitespace",
        "fetch.all": "false",
        "fetch.prune": "false",
        "fetch.pruneTags": "false",
        "fetch.recurseSubmodules": "false",
        "gc.auto": "0",  # it would run on behind us
        "i18n.commitEncoding": "UTF-8",
        "maintenance.auto": "false",
        "merge.autoStash": "false",
        "merge.verifySignatures": "false",
        "push.followTags": "false",
        "push.recurseSubmodules": "no",
    }
)
"""The settings of a user that our git does not follow, because we rely on another value."""


FILES_OF_COMMIT = ("-c", "core.autocrlf=false", "-c", "core.eol=lf")
"""Options for work trees that are built from: their line ends are those of the commit, whatever the user's git makes.

The `.gitattributes` of the repository count: they are the same on every machine.
"""


def git_variables(names: Iterable[str] | None = None) -> dict[str, str | None]:
    """Return the changes to an environment with the variables *names* (by default our own) for a call of git.

    They give it SETTINGS, too, after the settings that the environment has already.
    """
    ours = os.environ if names is None else names
    dropped = (name for name in ours if name.startswith("GIT_") and not _is_kept(name))
    return {
        **dict.fromkeys(dropped),
        **_SET_VARIABLES,
        **config_variables(SETTINGS.items(), _count_of_user()),
    }


def config_variables(
    settings: Iterable[tuple[str, str]], first: int | None = None
) -> dict[str, str]:
    """Return the variables that give *settings* to git, numbered from *first*, by default after all of ours."""
    number = _count_of_user() + len(SETTINGS) if first is None else first
    variables: dict[str, str] = {}
    for name, value in settings:
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        number += 1
    return {**variables, "GIT_CONFIG_COUNT": str(number)}


def _count_of_user() -> int:
    """Return how many settings the environment has already."""
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    return int(count) if count.isdecimal() else 0


def _is_kept(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in KEPT_VARIABLES)
