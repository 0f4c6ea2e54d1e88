"""Every error that a user can meet: its code, its message and location, and what to do next."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from datetime import datetime


class ErrorCode(StrEnum):
    """The name of an error; stable, so that scripts may rely on it."""

    USAGE = "RK-USAGE"
    UNKNOWN_CODE = "RK-UNKNOWN-CODE"
    UNEXPECTED = "RK-UNEXPECTED"

    SECRET_UNKNOWN = "RK-SECRET-UNKNOWN"  # noqa: S105  a code
    REPOSITORY_UNREACHABLE = "RK-REPOSITORY-UNREACHABLE"
    NETWORK_SETTING = "RK-NETWORK-SETTING"

    WORKSPACE_NOT_FOUND = "RK-WORKSPACE-NOT-FOUND"
    WORKSPACE_INVALID = "RK-WORKSPACE-INVALID"
    WORKSPACE_TOML = "RK-WORKSPACE-TOML"
    WORKSPACE_DUPLICATE = "RK-WORKSPACE-DUPLICATE"
    WORKSPACE_OUTSIDE = "RK-WORKSPACE-OUTSIDE"
    WORKSPACE_REQUIREMENT = "RK-WORKSPACE-REQUIREMENT"
    WORKSPACE_UNKNOWN_PACKAGE = "RK-WORKSPACE-UNKNOWN-PACKAGE"

    CONFIG_FOREIGN = "RK-CONFIG-FOREIGN"
    CONFIG_INVALID_KEY = "RK-CONFIG-INVALID-KEY"
    CONFIG_INVALID_VALUE = "RK-CONFIG-INVALID-VALUE"

    CHECK_UNKNOWN = "RK-CHECK-UNKNOWN"
    CHECK_PLUGIN = "RK-CHECK-PLUGIN"
    CHECK_FIX = "RK-CHECK-FIX"

    GRAPH_CYCLE = "RK-GRAPH-CYCLE"
    GRAPH_SELF_DEPENDENCY = "RK-GRAPH-SELF-DEPENDENCY"

    CHANGE_INVALID = "RK-CHANGE-INVALID"
    CHANGE_MISSING = "RK-CHANGE-MISSING"

    VERSION_UNKNOWN = "RK-VERSION-UNKNOWN"
    VERSION_INVALID = "RK-VERSION-INVALID"
    VERSION_LOW = "RK-VERSION-LOW"
    VERSION_UNHEARD = "RK-VERSION-UNHEARD"
    VERSION_AHEAD = "RK-VERSION-AHEAD"
    VERSION_CALENDAR = "RK-VERSION-CALENDAR"
    PIN_OLD = "RK-PIN-OLD"
    PIN_CONFLICT = "RK-PIN-CONFLICT"
    SIBLING_MISSING = "RK-SIBLING-MISSING"
    PIN_RESTORE_FAILED = "RK-PIN-RESTORE-FAILED"
    VERSION_PLACE = "RK-VERSION-PLACE"
    BASELINE_INDEX = "RK-BASELINE-INDEX"
    BASELINE_UNKNOWN = "RK-BASELINE-UNKNOWN"
    TAG_INVALID = "RK-TAG-INVALID"
    TAG_EXISTS = "RK-TAG-EXISTS"
    TAG_NOT_FETCHED = "RK-TAG-NOT-FETCHED"
    TAG_STRAY = "RK-TAG-STRAY"
    TAG_UNREAD = "RK-TAG-UNREAD"

    GIT_MISSING = "RK-GIT-MISSING"
    GIT_NOT_A_REPOSITORY = "RK-GIT-NOT-A-REPOSITORY"
    GIT_UNTRUSTED = "RK-GIT-UNTRUSTED"
    GIT_NO_COMMIT = "RK-GIT-NO-COMMIT"
    GIT_IDENTITY = "RK-GIT-IDENTITY"
    GIT_LOCKED = "RK-GIT-LOCKED"
    SIGNING_FAILED = "RK-SIGNING-FAILED"
    UV_MISSING = "RK-UV-MISSING"
    UV_VERSION = "RK-UV-VERSION"

    CHECKOUT_INCOMPLETE = "RK-CHECKOUT-INCOMPLETE"
    PREFLIGHT_DIRTY_WORKTREE = "RK-PREFLIGHT-DIRTY-WORKTREE"
    PREFLIGHT_SHALLOW_CLONE = "RK-PREFLIGHT-SHALLOW-CLONE"
    PREFLIGHT_DETACHED_HEAD = "RK-PREFLIGHT-DETACHED-HEAD"
    BRANCH_NOT_ALLOWED = "RK-BRANCH-NOT-ALLOWED"
    CHANGELOG_IGNORED = "RK-CHANGELOG-IGNORED"
    PREFLIGHT_LOCK_STALE = "RK-PREFLIGHT-LOCK-STALE"
    PREFLIGHT_VERSION_EXISTS = "RK-PREFLIGHT-VERSION-EXISTS"
    PREFLIGHT_NO_REMOTE = "RK-PREFLIGHT-NO-REMOTE"
    REMOTE_UNREACHABLE = "RK-REMOTE-UNREACHABLE"
    PREFLIGHT_VULNERABLE = "RK-PREFLIGHT-VULNERABLE"
    PREFLIGHT_NEW_PROJECTS = "RK-PREFLIGHT-NEW-PROJECTS"
    PREFLIGHT_PROJECT_NAME = "RK-PREFLIGHT-PROJECT-NAME"
    PREFLIGHT_CONCURRENT_RELEASE = "RK-PREFLIGHT-CONCURRENT-RELEASE"
    LOCK_ACQUISITION_FAILED = "RK-LOCK-ACQUISITION-FAILED"
    NOT_CONFIRMED = "RK-NOT-CONFIRMED"
    FIRST_RELEASE = "RK-FIRST-RELEASE"
    RUN_NOT_WAITING = "RK-RUN-NOT-WAITING"
    FILE_SYSTEM = "RK-FILE-SYSTEM"

    INDEX_UNKNOWN = "RK-INDEX-UNKNOWN"
    INDEX_UNREACHABLE = "RK-INDEX-UNREACHABLE"
    INDEX_CREDENTIALS = "RK-INDEX-CREDENTIALS"
    INDEX_NO_PUBLISHER = "RK-INDEX-NO-PUBLISHER"
    INDEX_STORED_TOKEN = "RK-INDEX-STORED-TOKEN"  # noqa: S105  a code
    INDEX_UNENCRYPTED = "RK-INDEX-UNENCRYPTED"
    INDEX_RESPONSE = "RK-INDEX-RESPONSE"

    FORGE_UNKNOWN = "RK-FORGE-UNKNOWN"
    FORGE_NO_TOKEN = "RK-FORGE-NO-TOKEN"  # noqa: S105  a name
    FORGE_CREDENTIALS = "RK-FORGE-CREDENTIALS"
    FORGE_READ_ONLY = "RK-FORGE-READ-ONLY"
    FORGE_UNREACHABLE = "RK-FORGE-UNREACHABLE"
    FORGE_RATE_LIMIT = "RK-FORGE-RATE-LIMIT"
    FORGE_REFUSED = "RK-FORGE-REFUSED"
    NOTES_TEMPLATE = "RK-NOTES-TEMPLATE"
    NOTES_COMMAND = "RK-NOTES-COMMAND"
    PRE_RELEASE_COMMAND = "RK-PRE-RELEASE-COMMAND"

    COMMAND_FAILED = "RK-COMMAND-FAILED"
    COMMAND_TIMEOUT = "RK-COMMAND-TIMEOUT"
    TOOL_USAGE = "RK-TOOL-USAGE"
    RECORD_INVALID = "RK-RECORD-INVALID"
    COMMIT_MISSING = "RK-COMMIT-MISSING"
    RELEASE_UNKNOWN = "RK-RELEASE-UNKNOWN"
    RELEASE_ELSEWHERE = "RK-RELEASE-ELSEWHERE"
    RELEASE_TAKEN_OVER = "RK-RELEASE-TAKEN-OVER"
    RELEASE_NOT_HELD = "RK-RELEASE-NOT-HELD"
    ROLLBACK_UNFINISHED = "RK-ROLLBACK-UNFINISHED"
    FILES_LOST = "RK-FILES-LOST"
    REBUILD_DIFFERS = "RK-REBUILD-DIFFERS"
    BUILD_FAILED = "RK-BUILD-FAILED"
    VERIFY_FAILED = "RK-VERIFY-FAILED"
    VERIFY_LOST_IMPORT = "RK-VERIFY-LOST-IMPORT"
    VERIFY_LOST_SCRIPT = "RK-VERIFY-LOST-SCRIPT"
    VERIFY_LOST_ENTRY_POINT = "RK-VERIFY-LOST-ENTRY-POINT"
    VERIFY_LOST_EXTRA = "RK-VERIFY-LOST-EXTRA"
    VERIFY_LOST_TYPES = "RK-VERIFY-LOST-TYPES"
    VERIFY_RAISED_PYTHON = "RK-VERIFY-RAISED-PYTHON"
    VERIFY_LOST_FILES = "RK-VERIFY-LOST-FILES"
    VERIFY_LOST_BYTES = "RK-VERIFY-LOST-BYTES"
    VERIFY_NOT_REPRODUCIBLE = "RK-VERIFY-NOT-REPRODUCIBLE"
    VERIFY_API_BREAK = "RK-VERIFY-API-BREAK"
    COMPARE_SKIPPED = "RK-COMPARE-SKIPPED"
    WHEEL_TAG = "RK-WHEEL-TAG"
    WHEELS_MISSING = "RK-WHEELS-MISSING"
    PLATFORM_MISSING = "RK-PLATFORM-MISSING"
    PARTS_DIFFER = "RK-PARTS-DIFFER"
    STAGE_ON_FAILED = "RK-STAGE-ON-FAILED"
    STAGE_STORAGE = "RK-STAGE-STORAGE"
    TASK_RUNNER = "RK-TASK-RUNNER"
    VERIFY_ARCHIVE = "RK-VERIFY-ARCHIVE"
    VERIFY_BYTES = "RK-VERIFY-BYTES"
    VERIFY_CHANGED = "RK-VERIFY-CHANGED"
    VERIFY_CLASSIFIER = "RK-VERIFY-CLASSIFIER"
    VERIFY_COMMON = "RK-VERIFY-COMMON"
    VERIFY_DUPLICATE = "RK-VERIFY-DUPLICATE"
    VERIFY_EMPTY = "RK-VERIFY-EMPTY"
    VERIFY_ENTRY_POINT = "RK-VERIFY-ENTRY-POINT"
    VERIFY_FILES = "RK-VERIFY-FILES"
    VERIFY_FILE_NAME = "RK-VERIFY-FILE-NAME"
    VERIFY_HIDDEN = "RK-VERIFY-HIDDEN"
    VERIFY_LEFTOVER = "RK-VERIFY-LEFTOVER"
    VERIFY_LICENSE = "RK-VERIFY-LICENSE"
    VERIFY_LOST = "RK-VERIFY-LOST"
    VERIFY_MEMBER = "RK-VERIFY-MEMBER"
    VERIFY_METADATA = "RK-VERIFY-METADATA"
    VERIFY_MISSING = "RK-VERIFY-MISSING"
    VERIFY_MODE = "RK-VERIFY-MODE"
    VERIFY_NAME = "RK-VERIFY-NAME"
    VERIFY_PATH = "RK-VERIFY-PATH"
    VERIFY_PKG_INFO = "RK-VERIFY-PKG-INFO"
    VERIFY_PLATFORM = "RK-VERIFY-PLATFORM"
    VERIFY_POINTER = "RK-VERIFY-POINTER"
    VERIFY_PORTABLE = "RK-VERIFY-PORTABLE"
    VERIFY_PRIVATE = "RK-VERIFY-PRIVATE"
    VERIFY_README = "RK-VERIFY-README"
    VERIFY_RECORD = "RK-VERIFY-RECORD"
    VERIFY_REQUIREMENT = "RK-VERIFY-REQUIREMENT"
    VERIFY_SECRET = "RK-VERIFY-SECRET"  # noqa: S105  a code
    VERIFY_SIBLING = "RK-VERIFY-SIBLING"
    VERIFY_SIZE = "RK-VERIFY-SIZE"
    VERIFY_STARTUP = "RK-VERIFY-STARTUP"
    VERIFY_SYNTAX = "RK-VERIFY-SYNTAX"
    VERIFY_TOP = "RK-VERIFY-TOP"
    VERIFY_URL = "RK-VERIFY-URL"
    VERIFY_WAIVER = "RK-VERIFY-WAIVER"
    VERIFY_WHEEL = "RK-VERIFY-WHEEL"
    SBOM_NEEDS_LOCK = "RK-SBOM-NEEDS-LOCK"
    RESOLVE_FAILED = "RK-RESOLVE-FAILED"
    STAGED_IMPORT_FAILED = "RK-STAGED-IMPORT-FAILED"
    UPLOAD_FAILED = "RK-UPLOAD-FAILED"
    UPLOAD_LIMITED = "RK-UPLOAD-LIMITED"
    UPLOAD_REFUSED = "RK-UPLOAD-REFUSED"
    UPLOAD_CLOSED = "RK-UPLOAD-CLOSED"
    YANK_REFUSED = "RK-YANK-REFUSED"
    PUBLISH_TIMEOUT = "RK-PUBLISH-TIMEOUT"
    PUBLISH_CHECKSUM_MISMATCH = "RK-PUBLISH-CHECKSUM-MISMATCH"
    SMOKE_TEST_FAILED = "RK-SMOKE-TEST-FAILED"
    BLOCKED = "RK-BLOCKED"
    PUSH_REJECTED = "RK-PUSH-REJECTED"
    BRANCH_MOVED = "RK-BRANCH-MOVED"
    BRANCH_UNPUSHED = "RK-BRANCH-UNPUSHED"
    PULL_EMPTY = "RK-PULL-EMPTY"
    PULL_MOVED = "RK-PULL-MOVED"
    PULL_STALE = "RK-PULL-STALE"
    SERVER_START = "RK-SERVER-START"
    SERVER_UNREACHABLE = "RK-SERVER-UNREACHABLE"


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What an error with this *code* means, and what to do next.

    Causes and an example are in `error_pages`, which only `explain` and the documentation read.
    """

    code: ErrorCode
    meaning: str
    hint: str


_TABLE = (
    ErrorInfo(
        ErrorCode.USAGE,
        "The command line has an unknown command, option or value, or options that contradict each other.",
        "`releasekit --help` lists the commands, `releasekit COMMAND --help` the options of one.",
    ),
    ErrorInfo(
        ErrorCode.UNKNOWN_CODE,
        "No error has this code.",
        "Codes have the form RK-AREA-PROBLEM, as printed in the first line of an error.",
    ),
    ErrorInfo(
        ErrorCode.UNEXPECTED,
        "Unexpected error: a bug in releasekit. A release that has begun is recorded, so nothing is lost.",
        "Run again with -v to see where it happens, and report it with that output.",
    ),
    ErrorInfo(
        ErrorCode.SECRET_UNKNOWN,
        "A secret that `secrets` or --git-token names does not exist.",
        "Set the environment variable where the release runs. Or create the Prefect Secret block: "
        "Secret(value=...).save(NAME) from prefect.blocks.system, or the page Blocks of Prefect's UI.",
    ),
    ErrorInfo(
        ErrorCode.REPOSITORY_UNREACHABLE,
        "The repository that --workspace names cannot be cloned, or it does not have --ref.",
        "Check the address, and that this machine may read it: --git-token names a secret for https, ssh needs a key.",
    ),
    ErrorInfo(
        ErrorCode.NETWORK_SETTING,
        "A variable of the environment names certificates or a proxy that cannot be used.",
        "Correct the variable, or unset it: SSL_CERT_FILE, SSL_CERT_DIR, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY.",
    ),
    ErrorInfo(
        ErrorCode.WORKSPACE_NOT_FOUND,
        "No pyproject.toml with a project or a workspace is in this directory or above it, or uv does not manage it.",
        "Go to the workspace, or name it: --workspace PATH.",
    ),
    ErrorInfo(
        ErrorCode.WORKSPACE_INVALID,
        "uv does not accept the workspace; the output of uv is shown.",
        "Make `uv workspace list` work first.",
    ),
    ErrorInfo(
        ErrorCode.WORKSPACE_TOML,
        "A pyproject.toml is not valid TOML.",
        "Fix the line that is shown.",
    ),
    ErrorInfo(
        ErrorCode.WORKSPACE_DUPLICATE,
        "Two members have the same name after normalization (PEP 503: case, '-', '_' and '.' do not count).",
        "Rename one of them, or exclude its directory in [tool.uv.workspace].",
    ),
    ErrorInfo(
        ErrorCode.WORKSPACE_OUTSIDE,
        "A member directory is outside the workspace root. releasekit writes only below the root.",
        "Move the member below the root, or remove it from [tool.uv.workspace] members.",
    ),
    ErrorInfo(
        ErrorCode.WORKSPACE_REQUIREMENT,
        "A requirement is not valid (PEP 508), or the release cannot edit it. As a warning: the workspace's version of "
        "a sibling does not satisfy it, or it names a member that is never published, or one that was never released "
        "and is left out.",
        "Fix the requirement that is named, or release what it names too.",
    ),
    ErrorInfo(
        ErrorCode.WORKSPACE_UNKNOWN_PACKAGE,
        "A name, pattern or path matches no member of the workspace, or no group has this name.",
        "`releasekit discover` lists the members.",
    ),
    ErrorInfo(
        ErrorCode.CONFIG_FOREIGN,
        "The configuration of another release tool, which `init --from` reads, is broken or is not there.",
        "Fix the line that is named, or name another tool with --from.",
    ),
    ErrorInfo(
        ErrorCode.CONFIG_INVALID_KEY,
        "[tool.releasekit] has no key of this name here, or no option belongs to this environment variable.",
        "`releasekit config` lists every key; fix or remove this one.",
    ),
    ErrorInfo(
        ErrorCode.CONFIG_INVALID_VALUE,
        "A value in [tool.releasekit], or in the environment variable of a key, has the wrong type or is not allowed.",
        "Give the key a value of the kind that is named.",
    ),
    ErrorInfo(
        ErrorCode.CHECK_UNKNOWN,
        "No check has this name, neither in releasekit nor in an installed plugin.",
        "docs/reference/checks.md lists all checks; fix or remove this name.",
    ),
    ErrorInfo(
        ErrorCode.CHECK_PLUGIN,
        "A check of another package (entry point group `releasekit.checks`) cannot be loaded, or it failed.",
        "Fix or uninstall the package that offers it. --ignore leaves out a check that fails.",
    ),
    ErrorInfo(
        ErrorCode.CHECK_FIX,
        "`check --fix` cannot edit a pyproject.toml, because of the way in which it is written. Nothing was changed.",
        "Make the change by hand, or leave the check out with --ignore.",
    ),
    ErrorInfo(
        ErrorCode.GRAPH_CYCLE,
        "Packages need each other at run time or to build, so none of them can be published first.",
        'Break the cycle, or release its members together: cycles = "batch" in [tool.releasekit].',
    ),
    ErrorInfo(
        ErrorCode.GRAPH_SELF_DEPENDENCY,
        "A package requires itself.",
        "Remove the requirement that is named.",
    ),
    ErrorInfo(
        ErrorCode.CHANGE_INVALID,
        "A change file cannot be read, or it names a package that is not in the workspace.",
        "Fix the line that is shown. `releasekit change add` writes a correct file.",
    ),
    ErrorInfo(
        ErrorCode.CHANGE_MISSING,
        "Packages have changed, and no change file of this branch names them.",
        "Run `releasekit change add` and commit the file; --bump none says that a change needs no release.",
    ),
    ErrorInfo(
        ErrorCode.VERSION_UNKNOWN,
        "The version of a package is dynamic, and neither a tag nor a file says what it is now.",
        "Tag the last released commit in the configured tag_format. For a first release, set first_version, or change "
        "the package in a commit with a `Release-As: X.Y.Z` footer. `releasekit init` finds tags of other forms.",
    ),
    ErrorInfo(
        ErrorCode.VERSION_INVALID,
        "A version is not valid (PEP 440), is not above the last release, or is one that no index accepts.",
        "Write a version as in PEP 440, such as 1.2.3 or 1.2.3rc1.",
    ),
    ErrorInfo(
        ErrorCode.VERSION_LOW,
        "A version that a file declares, or that you request with an option, covers less than the commits ask for, for "
        "example 1.3.0 with a breaking change since 1.2.3. It is released as you decided.",
        "Do nothing if you mean it. Else write a higher version, or request one with --bump or --set-version.",
    ),
    ErrorInfo(
        ErrorCode.VERSION_UNHEARD,
        "A `Release-As:` footer has no effect. It applies to the packages that its commit changes, and this commit "
        "changes none, or it is a merge.",
        "Commit the footer together with a change in the package, such as a line in its README.",
    ),
    ErrorInfo(
        ErrorCode.VERSION_CALENDAR,
        "The last version looks like a date, such as 2024.12.1, and the next one is computed by the rules of semantic "
        "versions. They do not know months: a feature leads from 2024.12.1 to 2024.13.0.",
        "Request the version that you mean: `releasekit publish --set-version core=2025.1.0`, or a footer `Release-As: "
        '2025.1.0`. Or let the date decide: `versioning_scheme = "calver:YYYY.MM.MICRO"`.',
    ),
    ErrorInfo(
        ErrorCode.VERSION_AHEAD,
        "A package declares a later version than its last known release. No index was asked whether that version is "
        "released already, or this plan does not release it.",
        "`git fetch --tags`, or run without --offline. To release that version, use --force-unchanged.",
    ),
    ErrorInfo(
        ErrorCode.PIN_OLD,
        "The published version of a package that is not released now excludes a version of this release, for example "
        "by an exact pin on the version before. It can still be installed, with that older version.",
        "Do nothing, or release it too, with the command that is shown. `pins` decides what built packages require of "
        "their siblings, `propagate` which packages are released together with others.",
    ),
    ErrorInfo(
        ErrorCode.PIN_CONFLICT,
        "A package of this release, or one of its extras, could not be installed. It needs the new version of another "
        "package and, through a package that is not released now, an older version as well.",
        "Release the package in between too, with the command that is shown.",
    ),
    ErrorInfo(
        ErrorCode.SIBLING_MISSING,
        "A package of this release could not be installed. It requires another package of the workspace that is not "
        "released now, and the index has no version of it that fits.",
        "Release what it requires too, with the command that is shown.",
    ),
    ErrorInfo(
        ErrorCode.PIN_RESTORE_FAILED,
        "A file that `releasekit pin` changed cannot be restored: it was edited since, or its backup is damaged. All "
        "other files are restored, and every backup is kept.",
        "Compare the file with its backup, keep what you want, then remove the directory of the backups.",
    ),
    ErrorInfo(
        ErrorCode.VERSION_PLACE,
        "A file does not contain the package's version, or contains it more than once, or the file with the version is "
        "not known.",
        "Fix the `bump` of the package, or name the location there: "
        'bump = [{ path = "src/pkg/__init__.py", pattern = \'__version__ = "{version}"\' }] in its '
        "[tool.releasekit].",
    ),
    ErrorInfo(
        ErrorCode.BASELINE_INDEX,
        "The last release of a package has no tag. Its latest version on the index, up to the declared one, counts as "
        "its last release, made from the last commit that set that version; if there is none, the changes count from "
        "the last tag. If no index is asked, a package without a tag counts as never released.",
        "`git fetch --tags` if there are tags elsewhere. `releasekit init` shows what it finds, and with "
        "--tag-baselines creates the missing tags.",
    ),
    ErrorInfo(
        ErrorCode.BASELINE_UNKNOWN,
        "The index has a release of a package, but neither a tag nor a commit shows its source. So the changes since "
        "then are not known.",
        "`git fetch --tags` if there are tags elsewhere. A tag counts only at a commit where the package declares that "
        "version. If there is none, commit that version: the changes count from this commit on.",
    ),
    ErrorInfo(
        ErrorCode.TAG_INVALID,
        "A tag format makes names that git refuses, or that do not identify one version.",
        "Fix tag_format or umbrella_tag_format; `git check-ref-format` has the rules of git.",
    ),
    ErrorInfo(
        ErrorCode.TAG_EXISTS,
        "A tag of this release already exists on another commit. releasekit never moves a tag.",
        "Delete the tag if it is a mistake, or release another version with a `Release-As: X.Y.Z` footer.",
    ),
    ErrorInfo(
        ErrorCode.TAG_NOT_FETCHED,
        "The remote has tags of earlier releases, on commits of this branch, that this clone does not have. A plan "
        "without them would release the same changes, or the same version, again.",
        "Run `git fetch --tags`, then run again; in CI let the checkout fetch all tags.",
    ),
    ErrorInfo(
        ErrorCode.TAG_STRAY,
        "A tag looks like a later release of a package than its last one, but it does not count: at its commit, the "
        "package declared another version, or did not exist.",
        "Nothing, if the tag is no release. Otherwise move the tag to the commit that set the version.",
    ),
    ErrorInfo(
        ErrorCode.TAG_UNREAD,
        "The build of a package is set up to read its version from other tags than those that tag_format makes. A "
        "release tells the build its version; every other build of the tagged commit gets a wrong one.",
        "Give the package a tag_format that its build reads, or change the setting of the build.",
    ),
    ErrorInfo(
        ErrorCode.GIT_MISSING,
        "git is not installed.",
        "Install git.",
    ),
    ErrorInfo(
        ErrorCode.GIT_NOT_A_REPOSITORY,
        "The workspace is not in a git repository, but releasekit decides versions from git history.",
        "Run `git init` and commit.",
    ),
    ErrorInfo(
        ErrorCode.GIT_UNTRUSTED,
        "git does not open the repository, or the repository names a work tree elsewhere. A repository of somebody "
        "else can make git run programs.",
        "Look at the repository. If you trust it, name it in the git setting safe.directory, or clone it yourself.",
    ),
    ErrorInfo(
        ErrorCode.GIT_NO_COMMIT,
        "The git repository has no commits yet.",
        "Commit the workspace.",
    ),
    ErrorInfo(
        ErrorCode.GIT_IDENTITY,
        "git does not know who commits.",
        "Set user.name and user.email with `git config`; on a worker, set GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, "
        "GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL.",
    ),
    ErrorInfo(
        ErrorCode.GIT_LOCKED,
        "Another git process is using the repository, or a killed one left its lock file behind.",
        "Wait until it ends. If no git process runs, remove the lock file that git names. Then run again: it resumes.",
    ),
    ErrorInfo(
        ErrorCode.SIGNING_FAILED,
        "git is configured to sign commits or tags (commit.gpgSign, tag.gpgSign), and cannot.",
        "Fix user.signingkey or gpg.program, or turn signing off for this repository with `git config`.",
    ),
    ErrorInfo(
        ErrorCode.UV_MISSING,
        "uv was not found, or only a version that is too old.",
        "Install uv, or install releasekit together with it: `pip install uv`.",
    ),
    ErrorInfo(
        ErrorCode.UV_VERSION,
        "The workspace requires another version of uv than the one that runs.",
        "Install the version that is named, with `uv self update` or your package manager.",
    ),
    ErrorInfo(
        ErrorCode.CHECKOUT_INCOMPLETE,
        "The checkout leaves out files that the commit has, and a package would be released without them.",
        "Run `git submodule update --init --recursive`, `git lfs pull` or `git sparse-checkout disable`; in GitHub "
        "Actions give actions/checkout `submodules: recursive` and `lfs: true`.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_DIRTY_WORKTREE,
        "There are uncommitted changes; a release is made from a commit.",
        "Commit or stash, then run again. If `releasekit pin --apply` made the changes: `releasekit pin --restore`.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_SHALLOW_CLONE,
        "The clone is shallow: tags and commits are missing, so no version can be decided reliably.",
        "Run `git fetch --unshallow --tags`; in GitHub Actions give actions/checkout `fetch-depth: 0`.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_DETACHED_HEAD,
        "HEAD is detached, so there is no branch for the release commit.",
        "Check out a branch. In CI (the variable CI is set) a detached HEAD is accepted.",
    ),
    ErrorInfo(
        ErrorCode.BRANCH_NOT_ALLOWED,
        "The branch that you have checked out is not one that is released, such as a feature branch.",
        "Check out the branch to release, or add this one to allow_branches in [tool.releasekit].",
    ),
    ErrorInfo(
        ErrorCode.CHANGELOG_IGNORED,
        "Git ignores the changelog of a package, so the release commit does not contain it.",
        "Remove the pattern from .gitignore, add the file with `git add --force`, or set changelog = false.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_LOCK_STALE,
        "uv.lock does not match the pyproject.toml files.",
        "Run `uv lock` and commit the result.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_VERSION_EXISTS,
        "The index already has this version or a later one. Published files cannot be replaced.",
        "Fetch the tags (`git fetch --tags`); or choose a later version, in pyproject.toml or by a `Release-As: X.Y.Z` "
        "footer. If it is part of a release whose record is lost: `releasekit publish --resume-from-registry`.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_NO_REMOTE,
        "The repository has no remote to push the release to.",
        "Add one, or pass --no-push.",
    ),
    ErrorInfo(
        ErrorCode.REMOTE_UNREACHABLE,
        "The git remote does not answer, is not a repository, or refuses you access.",
        "Make `git ls-remote` work with it, then run again: a release that has begun resumes.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_VULNERABLE,
        "`uv audit` found known vulnerabilities in the locked dependencies, or could not look for them. With "
        "--strict-audit that stops the release; otherwise it is a warning.",
        "Update the packages that are named; if the audit failed, make its service reachable. Or run without "
        "--strict-audit.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_NEW_PROJECTS,
        "More projects are new to the index than PyPI lets one user create in a day; PyPI refuses the uploads beyond "
        "that.",
        "Run publish again on the next day: it resumes. A deployment does that by itself. Or ask PyPI for more first.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_PROJECT_NAME,
        "PyPI would refuse the name of a new project: a module of the standard library has it, or it is too similar to "
        "another project. Names count as equal without separators, and with 1, l and i, or 0 and o, exchanged.",
        "Give the package another name. If the other project is yours, release under its name.",
    ),
    ErrorInfo(
        ErrorCode.PREFLIGHT_CONCURRENT_RELEASE,
        "The forge has a draft of a release: that release is running, or it was interrupted.",
        "Wait until it is announced. `releasekit publish --manifest TAG` resumes it, `releasekit rollback TAG` "
        "abandons it.",
    ),
    ErrorInfo(
        ErrorCode.LOCK_ACQUISITION_FAILED,
        "Another release of this repository is running.",
        "Wait until it ends, or stop the process that is named.",
    ),
    ErrorInfo(
        ErrorCode.NOT_CONFIRMED,
        "The command needs a yes, and did not get one: from you at a terminal, by --yes, or by `releasekit approve`.",
        "Run again and answer yes, or pass --yes. With --approve, run again when the reason for the no is gone.",
    ),
    ErrorInfo(
        ErrorCode.FIRST_RELEASE,
        "A package would be released for the first time: neither a tag nor the index has a version of it. This needs a "
        "yes of its own, and --yes does not give it.",
        "Pass --allow-new NAME, or set allow_new in [tool.releasekit]. If the package is internal, add it to exclude.",
    ),
    ErrorInfo(
        ErrorCode.RUN_NOT_WAITING,
        "No run waits for approval under that name or id, several do, or the server does not accept the answer.",
        "`releasekit approve` without a name lists the runs that wait.",
    ),
    ErrorInfo(
        ErrorCode.FILE_SYSTEM,
        "A file cannot be read or written: the disk is full or read-only, or you lack the permission.",
        "Free space or give permission, then run again: a release that has begun resumes.",
    ),
    ErrorInfo(
        ErrorCode.INDEX_UNKNOWN,
        "releasekit does not know where to upload, or where to confirm uploads: for example, no [[tool.uv.index]] with "
        "a publish-url has this name.",
        "Add an index with `name`, `url` and `publish-url`, or give --publish-url and --check-url.",
    ),
    ErrorInfo(
        ErrorCode.INDEX_UNREACHABLE,
        "The package index does not answer.",
        "Check the address and the network, then run again. With --offline, plans and dry runs contact nobody.",
    ),
    ErrorInfo(
        ErrorCode.INDEX_CREDENTIALS,
        "The package index refuses the credentials, or there are none, or they contradict each other.",
        "Set UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD.",
    ),
    ErrorInfo(
        ErrorCode.INDEX_NO_PUBLISHER,
        "The CI job would upload by trusted publishing, and the index gives it no token, or one for fewer projects.",
        "Add a trusted publisher with the values of this job to each project on the index.",
    ),
    ErrorInfo(
        ErrorCode.INDEX_STORED_TOKEN,
        "A CI job uploads with a token or password that somebody has stored. Anyone who reads it can upload, too.",
        "Add a trusted publisher to each project on the index, then delete the stored token. Until then, do nothing.",
    ),
    ErrorInfo(
        ErrorCode.INDEX_UNENCRYPTED,
        "Uploads would go over http: everybody between this machine and the index could read the credentials and "
        "change the files.",
        "Use an address that begins with https. Only an index on this machine may have one with http.",
    ),
    ErrorInfo(
        ErrorCode.INDEX_RESPONSE,
        "The answer of the package index is not a Simple API page (PEP 503, PEP 691).",
        "Check that the address is the simple root of the index, such as https://host/simple.",
    ),
    ErrorInfo(
        ErrorCode.FORGE_UNKNOWN,
        "The address of the remote does not show whether it is on GitHub, GitLab or Gitea, so there is no place to "
        "create a release.",
        'Set forge = "github", "gitlab" or "gitea" in [tool.releasekit], and forge_url if its API is elsewhere.',
    ),
    ErrorInfo(
        ErrorCode.FORGE_NO_TOKEN,
        "There is no token for GitHub, GitLab or Gitea.",
        "Set GITHUB_TOKEN or GH_TOKEN, or log in with `gh auth login`; for GitLab set GITLAB_TOKEN, for Gitea "
        "GITEA_TOKEN.",
    ),
    ErrorInfo(
        ErrorCode.FORGE_CREDENTIALS,
        "GitHub, GitLab or Gitea refuses the token, or the token cannot see the repository.",
        "Create a token that may write the contents of this repository.",
    ),
    ErrorInfo(
        ErrorCode.FORGE_READ_ONLY,
        "The token may read the repository, but not write to it.",
        "Give it the right to write: `contents: write` in a GitHub workflow or token, the scope `api` on GitLab, "
        "`write:repository` on Gitea.",
    ),
    ErrorInfo(
        ErrorCode.FORGE_UNREACHABLE,
        "GitHub, GitLab or Gitea does not answer, or answers with a server error.",
        "Run again.",
    ),
    ErrorInfo(
        ErrorCode.FORGE_RATE_LIMIT,
        "GitHub, GitLab or Gitea received too many requests with this token, and asks for a longer wait than "
        "releasekit accepts.",
        "Run again after the time that is named.",
    ),
    ErrorInfo(
        ErrorCode.FORGE_REFUSED,
        "GitHub, GitLab or Gitea refused a request; its answer is shown.",
        "Read the answer.",
    ),
    ErrorInfo(
        ErrorCode.NOTES_TEMPLATE,
        "The template of the release notes cannot be read or rendered.",
        "Fix it and check the result with `releasekit notes`; or remove notes_template from [tool.releasekit].",
    ),
    ErrorInfo(
        ErrorCode.NOTES_COMMAND,
        "The command that rewrites the release notes failed, so the notes stay as the template renders them.",
        "Run `releasekit notes` to see its output.",
    ),
    ErrorInfo(
        ErrorCode.PRE_RELEASE_COMMAND,
        "A command of `pre_release` failed, or did what only releasekit does. Nothing is public, and the release is "
        "discarded.",
        "Run the command in a clean checkout and fix it, or take it out of pre_release in [tool.releasekit].",
    ),
    ErrorInfo(
        ErrorCode.COMMAND_FAILED,
        "A command failed; its last lines are shown.",
        "Read the output of the command.",
    ),
    ErrorInfo(
        ErrorCode.COMMAND_TIMEOUT,
        "A command took longer than its time limit, and was killed with all its children.",
        "Run again; if it happens again, run the command by hand.",
    ),
    ErrorInfo(
        ErrorCode.TOOL_USAGE,
        "uv or git does not understand a command of releasekit, so the two versions do not fit. No index and no remote "
        "was asked.",
        "Update releasekit, or install the version of uv or git that worked before; report it if both are current.",
    ),
    ErrorInfo(
        ErrorCode.RECORD_INVALID,
        "The record of a release, or its manifest, is damaged, lost, or of a newer format.",
        "If a newer releasekit wrote it, use that. `releasekit publish --resume-from-registry` continues from the copy "
        "on the remote or in git; `releasekit rollback` abandons the release.",
    ),
    ErrorInfo(
        ErrorCode.COMMIT_MISSING,
        "This clone does not have the commit of a release that a manifest names: it was not fetched, it exists only in "
        "the clone that made the manifest, or it belongs to another repository.",
        "Fetch its branch with the whole history (in a workflow: `fetch-depth: 0`). Or put the `commit.bundle` "
        "next to the manifest that it was written with.",
    ),
    ErrorInfo(
        ErrorCode.RELEASE_UNKNOWN,
        "No release with this name is recorded here or on the remote, or several match the name.",
        "The directories in .git/releasekit are named after releases; without a name, the command takes the unfinished "
        "one.",
    ),
    ErrorInfo(
        ErrorCode.RELEASE_ELSEWHERE,
        "Another release of this repository has begun and not ended, usually in another clone: "
        "refs/releasekit/running on the remote shows it.",
        "Wait until it ends. If that clone is lost, `releasekit publish --resume-from-registry` continues its release "
        "from here, and `releasekit rollback RELEASE` abandons it.",
    ),
    ErrorInfo(
        ErrorCode.RELEASE_TAKEN_OVER,
        "This clone began a release, but the lock on the remote is no longer its own: another clone took the release "
        "over, and finished or abandoned it.",
        "`git fetch --tags` shows whether it was finished; `releasekit rollback` removes what is left of it here.",
    ),
    ErrorInfo(
        ErrorCode.RELEASE_NOT_HELD,
        "The remote does not accept refs/releasekit/running. So other clones cannot see that a release is running, and "
        "nobody can continue it if this machine is lost.",
        "You can ignore this; or allow that reference on the remote (a hook or a permission refuses it).",
    ),
    ErrorInfo(
        ErrorCode.ROLLBACK_UNFINISHED,
        "The rollback of a release has begun and not ended.",
        "Run `releasekit rollback` again: it continues.",
    ),
    ErrorInfo(
        ErrorCode.FILES_LOST,
        "Files of a release that may be partly public are missing or damaged on this machine, and the index does not "
        "have them. releasekit does not rebuild them without being asked: the result could have other bytes.",
        "`releasekit publish --resume-from-registry` rebuilds and compares them; `releasekit rollback` abandons the "
        "release.",
    ),
    ErrorInfo(
        ErrorCode.REBUILD_DIFFERS,
        "The index has a part of a package, and a rebuild gives other bytes than the recorded ones. Only somebody who "
        "has the recorded files can finish the release.",
        "Copy the release's directory from the machine that built it; or run `releasekit rollback`, and release the "
        "next version.",
    ),
    ErrorInfo(
        ErrorCode.BUILD_FAILED,
        "A package did not build.",
        "Fix what its last lines say (`uv build --package NAME` builds it by hand), commit that, and run again.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_FAILED,
        "A built file is not the one that was verified. Nothing of this package was uploaded.",
        "Run `releasekit rollback`, then release again: this builds and verifies new files.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_ARCHIVE,
        "A built wheel or sdist cannot be read as a whole, or not by every installer.",
        "Build it again. If the problem stays, let the build backend write zip files with deflate and tar files with "
        "gzip.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_BYTES,
        "A built archive contains bytes that belong to no member, so that two programs can see two different contents.",
        "Let the build backend write the archive in one go, and let nothing append to it or rewrite it.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_CHANGED,
        "A module has another content in the wheel than in the sdist, so the sdist does not show what runs.",
        "Find the step of the build that changes the module. Waive the rule if it is meant to.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_CLASSIFIER,
        "A trove classifier of a built package does not exist, is no longer accepted, or forbids the upload.",
        "Fix or remove the classifier in [project]; PyPI lists all that exist.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_COMMON,
        "A wheel puts something at the top of site-packages that many packages would share.",
        "Move it into the import package, or exclude it from the wheel.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_DUPLICATE,
        "An archive has two members for one path or module. Which one counts depends on the program that reads it.",
        "Make sure that the build includes each file once.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_EMPTY,
        "A wheel has nothing to import, or lacks the module that the package is named for.",
        "Tell the build backend where the modules are; most of them look for a directory named like the project.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_ENTRY_POINT,
        "An entry point of a wheel cannot work, such as a command whose module does not exist.",
        "Fix [project.scripts] or [project.entry-points], or include the module that is named.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_FILES,
        "The build left something else than one sdist and its wheels.",
        "Let the build backend write one .tar.gz and at least one .whl, and nothing else.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_FILE_NAME,
        "The name of a built file is not that of the planned package and version, in the one normalized form.",
        "Update the build backend: current ones write normalized names. Check that it reads the version that you "
        "release.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_HIDDEN,
        "A field, a module or the name of a file has characters that are invisible or look like other ones.",
        "Write the text again by hand. Such characters can make a text read differently from what it says.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LEFTOVER,
        "A built file contains caches, files of an editor, or what an earlier build or merge has left.",
        "Exclude the files in the settings of the build backend, and let git ignore them.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LICENSE,
        "The license of a built package is not an SPDX expression, or a license file is missing or outside.",
        "Write `license` as an SPDX expression, and make `license-files` match files inside the package (PEP 639).",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST,
        "The sdist has modules, types or data beside the modules of the wheel, and the wheel lacks them.",
        "Include them in the wheel, or exclude them from the sdist.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_MEMBER,
        "An archive has members that are neither files nor directories, or links that lead out.",
        "Replace links by copies of the files, and exclude devices, pipes and sockets from the build.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_METADATA,
        "A field of the metadata is not valid, or PyPI does not accept it.",
        "Fix the key of [project] that the field comes from, or update the build backend.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_MISSING,
        "A built archive lacks a file that its format requires.",
        "Update the build backend, or the build hook that removes the file.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_MODE,
        "A built archive has files with setuid, setgid or sticky bits.",
        "Remove the bits: `chmod u-s,g-s,-t FILE`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_NAME,
        "A built file has another name or version than planned, or a version that PyPI refuses.",
        "Check where the build backend takes the name and the version from: see the guide to dynamic versions.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_PATH,
        "A path in an archive leads out of the directory where it is unpacked, or deceives its reader.",
        "Rename the file, or find out which part of the build writes such a path.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_PKG_INFO,
        "A field of PKG-INFO in the sdist differs from METADATA in the wheel, and is not declared as dynamic.",
        "Declare the key in `dynamic`, or let wheel and sdist get the same value.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_PLATFORM,
        "The tags of a wheel do not fit to its content or its Requires-Python, or PyPI does not accept them.",
        "Build wheels with compiled code for each platform (`auditwheel repair` names the platform on Linux).",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_POINTER,
        "A built archive has a pointer of Git LFS in place of a file.",
        "Fetch the files before the release: `git lfs pull`, or `lfs: true` in the checkout step of the workflow.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_PORTABLE,
        "A path in an archive does not exist on every system.",
        "Rename the file.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_PRIVATE,
        "A built archive has a file that usually holds passwords or keys, or the history of the repository.",
        "Exclude it in the settings of the build backend, for uv_build with `source-exclude`. If it was public before, "
        "change the passwords in it.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_README,
        "An index cannot render the description of a package, and refuses the upload.",
        "Fix the markup: `python -m readme_renderer README.rst` shows the errors. Or write the README in Markdown.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_RECORD,
        "RECORD in a wheel does not list exactly the files of the wheel, with their sizes and strong hashes.",
        "Let nothing change the wheel after the backend has written RECORD, or write it again (`python -m wheel "
        "pack`).",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_REQUIREMENT,
        "A requirement in the metadata is not as planned, is not valid, or names a URL.",
        "Check what the build changes in the requirements: PyPI accepts no URL, and siblings must have the planned "
        "pins.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_SECRET,
        "A file in a built archive contains a private key or a token.",
        "Remove it from the package. If it was public before, revoke it: everybody can read released files.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_SIBLING,
        "A wheel contains a module that belongs to another package of the workspace, by its name.",
        "Exclude the module, and require the other package instead.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_SIZE,
        "A built archive is too big, has too many members, or unpacks to far more than its size.",
        "Leave large data out of the package, or ask the index for a higher limit.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_STARTUP,
        "A wheel has a file that Python reads each time it starts, in every project that installs the package.",
        "Remove it, unless this is the purpose of the package.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_SYNTAX,
        "A module in a wheel has a syntax error, so nobody can import it.",
        "Fix the module. If it is a template, give it another suffix than .py.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_TOP,
        "An sdist has members outside of the one directory that is named like the file.",
        "Update the build backend, or the build hook that adds the files.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_URL,
        "A link of the project is not an address of the web, has a password, or its label is too long.",
        "Fix [project.urls]: labels have at most 32 characters, and addresses begin with https:// or http://.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_WAIVER,
        "A waiver names a package, and no file of it breaks the rule, or the workspace has no such package.",
        "Remove the waiver, or fix the name of its rule.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_WHEEL,
        "The file WHEEL is not one that installers accept, or it contradicts the name of the wheel.",
        "Update the build backend. To change tags of a wheel, use `wheel tags`: it changes both places.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST_IMPORT,
        "A module that the last release has can no longer be imported. The new version promises that it still can.",
        "Put the module back. Otherwise commit a breaking change, or accept the loss with a reason in `verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST_SCRIPT,
        "A command that the last release installs is gone. The new version promises that it still exists.",
        "Put it back into [project.scripts]. Otherwise commit a breaking change, or accept the loss with a "
        "reason in `verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST_ENTRY_POINT,
        "An entry point that other programs look up in the last release is gone.",
        "Put it back into [project.entry-points]. Otherwise commit a breaking change, or accept the loss with "
        "a reason in `verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST_EXTRA,
        "An extra of the last release is gone. `pip install package[extra]` then installs less, and only warns.",
        "Put it back into [project.optional-dependencies]; it may be empty. Otherwise commit a breaking "
        "change, or accept the loss with a reason in `verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST_TYPES,
        "The marker py.typed of the last release is gone, so type checkers ignore the types of the package.",
        "Put py.typed back beside __init__.py. Otherwise commit a breaking change, or accept the loss with a "
        "reason in `verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_RAISED_PYTHON,
        "The package no longer supports a version of Python that the last release supports. Installers there "
        "keep the last release.",
        "Release it as a minor or major version, so that users expect it, or lower `requires-python` again.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST_FILES,
        "Files of the last release are missing. It is an error if it is more than half of them, or if they "
        "are still in the source: then the build leaves them out.",
        "Compare the wheel with the last one, and fix the build configuration. If the files should be gone, "
        "accept it with a reason in `verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_LOST_BYTES,
        "The files of the package have less than half of the bytes of the last release.",
        "Compare the wheel with the last one, and fix the build configuration. If the files should be "
        "smaller, accept it with a reason in `verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_NOT_REPRODUCIBLE,
        "Two builds of a package in two directories give different files. So nobody can check that the files on the "
        "index come from the source.",
        "Make the build independent of time, directory and order of files. Until then, accept it with a reason in "
        "`verify_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.VERIFY_API_BREAK,
        "A public name of the package has changed in a way that breaks users, and the version promises that "
        "it has not.",
        "Keep the old name or signature, or commit a breaking change. If nobody uses the name, accept it with "
        "a reason in `api_ignore`.",
    ),
    ErrorInfo(
        ErrorCode.COMPARE_SKIPPED,
        "A built package is not compared with its last release on the index, so nothing shows what it has lost.",
        "Look at the reason. If the index was down, you can stage the release again.",
    ),
    ErrorInfo(
        ErrorCode.WHEEL_TAG,
        "The name of a wheel says that it is for another kind of machine than it should be. PyPI refuses wheels that "
        "are for one Linux machine (`linux_x86_64`): they work only where the same libraries are installed.",
        "Let `build_command` build the wheels with cibuildwheel, or with maturin, or repair them with auditwheel: then "
        "they get a manylinux or musllinux tag.",
    ),
    ErrorInfo(
        ErrorCode.WHEELS_MISSING,
        "A package had wheels in its last release for which there is none now. Users of these machines or Pythons "
        "would have to compile it.",
        "Build the missing wheels. If you no longer support them, name the package in --allow-missing-wheels.",
    ),
    ErrorInfo(
        ErrorCode.PLATFORM_MISSING,
        "A package names platforms on which its wheels are built, and the wheels of one of them are not there.",
        "Build them on a machine of that platform with `releasekit publish --stage-only --platform NAME --manifest "
        "FILE`, and put the parts together with `releasekit merge`.",
    ),
    ErrorInfo(
        ErrorCode.PARTS_DIFFER,
        "The directories are not parts of one staged release, or two of them have different files under one name.",
        "Stage the release once, and give its manifest.json to each `publish --stage-only --platform`.",
    ),
    ErrorInfo(
        ErrorCode.STAGE_ON_FAILED,
        "A Prefect worker did not build the wheels of its platform. Nothing was uploaded.",
        "Fix what the flow run says, commit that, and run again. If workers were lost, start new ones.",
    ),
    ErrorInfo(
        ErrorCode.STAGE_STORAGE,
        "The place where builds on other machines leave their files cannot be read or written.",
        "Correct `stage_storage`, or give this machine access to it. S3 needs `releasekit[s3]`.",
    ),
    ErrorInfo(
        ErrorCode.TASK_RUNNER,
        "The task runner that is to run the builds does not exist here, does not start, or has lost a build.",
        "Install its package beside releasekit, such as prefect-dask, and correct `task_runner` and "
        "`task_runner_options`.",
    ),
    ErrorInfo(
        ErrorCode.SBOM_NEEDS_LOCK,
        "`sbom` is set, but git does not track uv.lock, which says what an SBOM lists.",
        "Commit uv.lock, or set `sbom = false`.",
    ),
    ErrorInfo(
        ErrorCode.RESOLVE_FAILED,
        "A built package, or one of its extras, cannot be installed from the built files and the index. Nothing was "
        "uploaded.",
        "Fix the requirements that uv names, or release the packages that they name too; `releasekit graph` shows the "
        "requirements.",
    ),
    ErrorInfo(
        ErrorCode.STAGED_IMPORT_FAILED,
        "A built package cannot be installed and imported. Nothing was uploaded, so no version is lost.",
        "Fix what its last lines say, commit that, and run again. If it cannot be imported on this machine, set "
        "smoke_test = false in the package's own [tool.releasekit].",
    ),
    ErrorInfo(
        ErrorCode.UPLOAD_FAILED,
        "The index did not answer an upload, or answered with a server error, at every attempt.",
        "Run publish again when the index works: it checks what is there and resumes.",
    ),
    ErrorInfo(
        ErrorCode.UPLOAD_LIMITED,
        "The index accepts no uploads for now: you sent too many in a short time, or created too many new projects, or "
        "the index is down and says for how long.",
        "Run publish again later: it resumes. `rate_limit` makes it slower from the start.",
    ),
    ErrorInfo(
        ErrorCode.UPLOAD_REFUSED,
        "The index refuses a file, and would refuse the same file again.",
        "Fix what the index names, `releasekit rollback` this release, and release the next version.",
    ),
    ErrorInfo(
        ErrorCode.YANK_REFUSED,
        "The index refuses to yank a version.",
        "Use credentials that may upload the package, and run `releasekit yank` again; or yank it on the page of the "
        "version.",
    ),
    ErrorInfo(
        ErrorCode.UPLOAD_CLOSED,
        "The index has a part of a version, and accepts new files for a version only for some time after its first "
        "file: PyPI for 14 days. After that the version cannot be completed.",
        "Before that day, run publish again: it completes the version. After it, `releasekit rollback` this release, "
        "commit a `fix:` to the package, and run publish: it releases the next version.",
    ),
    ErrorInfo(
        ErrorCode.PUBLISH_TIMEOUT,
        "The files were uploaded, but the index did not list them in time.",
        "Run publish again in a while: it looks again, and uploads what the index then still does not list.",
    ),
    ErrorInfo(
        ErrorCode.PUBLISH_CHECKSUM_MISMATCH,
        "The index lists a file under this name with other content than the one built here.",
        "Find out who uploaded it. If it is not yours, yank that version; then release the next one.",
    ),
    ErrorInfo(
        ErrorCode.SMOKE_TEST_FAILED,
        "The published package cannot be installed from the index and imported.",
        "Run publish again if the network was the cause. Otherwise `releasekit rollback` abandons the release and says "
        "which versions come next; consider yanking this one.",
    ),
    ErrorInfo(
        ErrorCode.BLOCKED,
        "This package was not published, because a package that it needs was not, or because all uploads stopped.",
        "Fix the package that failed, then run publish again.",
    ),
    ErrorInfo(
        ErrorCode.PUSH_REJECTED,
        "The remote does not accept the release commit or its tags. Packages that are published stay published, and "
        "nothing is lost.",
        "Read what git says (protected branch, hook, moved tag). Allow the push, or bring the release commit there by "
        "a pull request that is merged, not squashed. Then run publish again: only the push is left.",
    ),
    ErrorInfo(
        ErrorCode.BRANCH_MOVED,
        "The branch has new commits since the release began, so it was not moved to the release commit.",
        "Merge the release commit that is named and push; then run publish again: it finishes the release.",
    ),
    ErrorInfo(
        ErrorCode.BRANCH_UNPUSHED,
        "The release would be made from a commit that is not on the remote's branch, so a pull request cannot build on "
        "it.",
        "Push it first, or check out what the remote has.",
    ),
    ErrorInfo(
        ErrorCode.PULL_EMPTY,
        "The release changes no file (all versions come from tags, and no changelog is kept), so there is nothing to "
        "merge.",
        "Keep changelogs (changelog = true), or release with --publish-from=local.",
    ),
    ErrorInfo(
        ErrorCode.PULL_MOVED,
        "Somebody else pushed to the branch of the release pull request. releasekit does not discard their commits.",
        "Merge the pull request as it is; or delete its branch, and run prepare again.",
    ),
    ErrorInfo(
        ErrorCode.PULL_STALE,
        "The merged commit is not the release that its pull request showed: other changes that were merged, or an edit "
        "of the pull request, lead to other versions.",
        "Run prepare again: it makes a new release pull request, with the right versions.",
    ),
    ErrorInfo(
        ErrorCode.SERVER_UNREACHABLE,
        "The Prefect API that PREFECT_API_URL or the active profile names does not answer, or stopped answering.",
        "Start that server; or unset PREFECT_API_URL, and releasekit starts a server for the time of the release. Then "
        "run again: a release that has begun is recorded, and resumes.",
    ),
    ErrorInfo(
        ErrorCode.SERVER_START,
        "Prefect's server did not start in time.",
        "Run again; or start one (`prefect server start`) and set PREFECT_API_URL.",
    ),
)
ERRORS: Mapping[ErrorCode, ErrorInfo] = {info.code: info for info in _TABLE}


class ReleaseError(Exception):
    """Something ran and failed: exit code 1.

    *message* says what is wrong. *location* names a file, a package, an address or a command. *hint* replaces the next
    step of the table. *output* has the last lines of a command, *excerpt* the line of a file with the problem,
    *findings* those of verification. *retry_at* is when it may succeed, if that is known. All are positional, so that
    the error can be pickled.
    """

    status = 1

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        location: str = "",
        hint: str = "",
        output: str = "",
        excerpt: Excerpt | None = None,
        findings: tuple[Any, ...] = (),
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(code, message, location, hint, output, excerpt, findings, retry_at)
        self.code, self.message, self.location, self.output, self.excerpt = (
            code,
            message,
            location,
            output,
            excerpt,
        )
        self.hint = hint or ERRORS[code].hint
        self.findings = findings
        self.retry_at = retry_at

    @property
    def meaning(self) -> str:
        """What its code means."""
        return ERRORS[self.code].meaning

    @property
    def full_text(self) -> str:
        """The error, and what to do next on a second line."""
        return f"{self}\n{self.hint}"

    def __str__(self) -> str:
        suffix = f" ({self.location})" if self.location else ""
        return f"{self.code}: {self.message}{suffix}"


class Refusal(ReleaseError):
    """releasekit refused before anything changed: exit code 2."""

    status = 2


@contextmanager
def as_refusal() -> Generator[None]:
    """Turn every error inside the block into a refusal, because the block changes nothing."""
    try:
        yield
    except ReleaseError as error:
        raise error if isinstance(error, Refusal) else Refusal(*error.args) from None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line of a file, and the part of it that has the problem.

    *line* counts from 1, *column* from 0. If the line is 0, only the words in *text* are known.
    """

    file: str
    line: int
    text: str
    column: int = 0
    length: int = 0

    @property
    def position(self) -> str:
        """File, line and column, in the form that editors open."""
        return f"{self.file.removeprefix('./')}:{self.line}:{self.column + 1}"

    def render(self, width: int) -> tuple[str, ...]:
        """Return the line with carets below the part that has the problem, at most *width* columns wide.

        A line that is too long is cut; the visible part begins shortly before the problem.
        """
        margin = f"{self.line} | "
        room = max(width - len(margin), 20)
        text, column = self._cut(room)
        length = min(self.length, len(text) - column)
        carets = " " * column + "^" * max(1, length)
        empty_margin = " " * (len(margin) - 2)
        return f"{empty_margin}|", f"{margin}{text}", f"{empty_margin}| {carets}"

    def _cut(self, room: int) -> tuple[str, int]:
        """Return the text in at most *room* columns, and the column of the problem in it."""
        text, column = self.text.replace("\t", " "), self.column
        is_visible = column + self.length <= room
        if len(text) > room and not is_visible:
            start = max(0, min(column - _CONTEXT, len(text) - room))
            text, column = f"…{text[start + 1 :]}", column - start
        if len(text) > room:
            text = f"{text[: room - 1]}…"
        return text, column


_CONTEXT = 4
"""Columns that stay visible before a problem in a line that is cut."""


@dataclass(frozen=True, slots=True)
class ReleaseWarning:
    """Something that a maintainer should know and that stops nothing. It has the same form as an error."""

    code: ErrorCode
    message: str
    location: str = ""

    def __str__(self) -> str:
        suffix = f" ({self.location})" if self.location else ""
        return f"{self.code}: {self.message}{suffix}"


_TELLS_NEXT_STEP = frozenset({ErrorCode.FIRST_RELEASE, ErrorCode.PIN_OLD})
"""Codes of warnings whose text already ends with the command to run."""


def warning_hints(warnings: Iterable[str]) -> list[str]:
    """Return the next step for each of *warnings*, "CODE: message", from the catalogue.

    It is empty if an earlier warning of the list has the same code, or if the text itself says it.
    """
    hints = {str(code): ERRORS[code].hint for code in ErrorCode if code not in _TELLS_NEXT_STEP}
    codes = (warning.partition(": ")[0] for warning in warnings)
    return [hints.pop(code, "") for code in codes]


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return "; did you mean …?" with the *candidates* that are most similar to *word*; empty if none is."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(candidates), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""
