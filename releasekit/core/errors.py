"""Every error a user can meet: a code, what is wrong and where, and what to do next."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping


class ErrorCode(StrEnum):
    """The name of an error; stable, so that scripts may rely on it."""

    USAGE = "RK-USAGE"
    UNKNOWN_CODE = "RK-UNKNOWN-CODE"
    UNEXPECTED = "RK-UNEXPECTED"

    SECRET_UNKNOWN = "RK-SECRET-UNKNOWN"  # noqa: S105  a code
    REPOSITORY_UNREACHABLE = "RK-REPOSITORY-UNREACHABLE"

    WORKSPACE_NOT_FOUND = "RK-WORKSPACE-NOT-FOUND"
    WORKSPACE_INVALID = "RK-WORKSPACE-INVALID"
    WORKSPACE_TOML = "RK-WORKSPACE-TOML"
    WORKSPACE_DUPLICATE = "RK-WORKSPACE-DUPLICATE"
    WORKSPACE_OUTSIDE = "RK-WORKSPACE-OUTSIDE"
    WORKSPACE_REQUIREMENT = "RK-WORKSPACE-REQUIREMENT"
    WORKSPACE_UNKNOWN_PACKAGE = "RK-WORKSPACE-UNKNOWN-PACKAGE"

    CONFIG_INVALID_KEY = "RK-CONFIG-INVALID-KEY"
    CONFIG_INVALID_VALUE = "RK-CONFIG-INVALID-VALUE"

    CHECK_UNKNOWN = "RK-CHECK-UNKNOWN"
    CHECK_PLUGIN = "RK-CHECK-PLUGIN"
    CHECK_FIX = "RK-CHECK-FIX"

    GRAPH_CYCLE = "RK-GRAPH-CYCLE"
    GRAPH_SELF_DEPENDENCY = "RK-GRAPH-SELF-DEPENDENCY"

    VERSION_UNKNOWN = "RK-VERSION-UNKNOWN"
    VERSION_INVALID = "RK-VERSION-INVALID"
    VERSION_UNHEARD = "RK-VERSION-UNHEARD"
    PIN_OLD = "RK-PIN-OLD"
    PIN_CONFLICT = "RK-PIN-CONFLICT"
    SIBLING_MISSING = "RK-SIBLING-MISSING"
    PIN_RESTORE_FAILED = "RK-PIN-RESTORE-FAILED"
    VERSION_PLACE = "RK-VERSION-PLACE"
    BASELINE_INDEX = "RK-BASELINE-INDEX"
    BASELINE_UNKNOWN = "RK-BASELINE-UNKNOWN"
    TAG_INVALID = "RK-TAG-INVALID"
    TAG_EXISTS = "RK-TAG-EXISTS"

    GIT_MISSING = "RK-GIT-MISSING"
    GIT_NOT_A_REPOSITORY = "RK-GIT-NOT-A-REPOSITORY"
    GIT_NO_COMMIT = "RK-GIT-NO-COMMIT"
    GIT_IDENTITY = "RK-GIT-IDENTITY"
    GIT_LOCKED = "RK-GIT-LOCKED"
    SIGNING_FAILED = "RK-SIGNING-FAILED"
    UV_MISSING = "RK-UV-MISSING"
    UV_VERSION = "RK-UV-VERSION"

    PREFLIGHT_DIRTY_WORKTREE = "RK-PREFLIGHT-DIRTY-WORKTREE"
    PREFLIGHT_SHALLOW_CLONE = "RK-PREFLIGHT-SHALLOW-CLONE"
    PREFLIGHT_DETACHED_HEAD = "RK-PREFLIGHT-DETACHED-HEAD"
    PREFLIGHT_LOCK_STALE = "RK-PREFLIGHT-LOCK-STALE"
    PREFLIGHT_VERSION_EXISTS = "RK-PREFLIGHT-VERSION-EXISTS"
    PREFLIGHT_NO_REMOTE = "RK-PREFLIGHT-NO-REMOTE"
    REMOTE_UNREACHABLE = "RK-REMOTE-UNREACHABLE"
    PREFLIGHT_VULNERABLE = "RK-PREFLIGHT-VULNERABLE"
    PREFLIGHT_NEW_PROJECTS = "RK-PREFLIGHT-NEW-PROJECTS"
    PREFLIGHT_CONCURRENT_RELEASE = "RK-PREFLIGHT-CONCURRENT-RELEASE"
    LOCK_ACQUISITION_FAILED = "RK-LOCK-ACQUISITION-FAILED"
    NOT_CONFIRMED = "RK-NOT-CONFIRMED"
    RUN_NOT_WAITING = "RK-RUN-NOT-WAITING"
    FILE_SYSTEM = "RK-FILE-SYSTEM"

    INDEX_UNKNOWN = "RK-INDEX-UNKNOWN"
    INDEX_UNREACHABLE = "RK-INDEX-UNREACHABLE"
    INDEX_CREDENTIALS = "RK-INDEX-CREDENTIALS"
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

    COMMAND_FAILED = "RK-COMMAND-FAILED"
    COMMAND_TIMEOUT = "RK-COMMAND-TIMEOUT"
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
    RESOLVE_FAILED = "RK-RESOLVE-FAILED"
    STAGED_IMPORT_FAILED = "RK-STAGED-IMPORT-FAILED"
    UPLOAD_FAILED = "RK-UPLOAD-FAILED"
    UPLOAD_LIMITED = "RK-UPLOAD-LIMITED"
    UPLOAD_REFUSED = "RK-UPLOAD-REFUSED"
    UPLOAD_CLOSED = "RK-UPLOAD-CLOSED"
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
    """What the catalogue says of a code: its meaning, and the step that usually helps."""

    meaning: str
    hint: str


ERRORS: Mapping[ErrorCode, ErrorInfo] = {
    ErrorCode.USAGE: ErrorInfo(
        "The command line asks for something that does not exist or does not fit together.",
        "`releasekit --help` lists the commands, `releasekit COMMAND --help` the options of one.",
    ),
    ErrorCode.SECRET_UNKNOWN: ErrorInfo(
        "A secret that the configuration names, or --git-token, is not there.",
        "Set the environment variable where the release runs; or make the block: "
        "Secret(value=...).save(NAME) from prefect.blocks.system, or on the page Blocks of Prefect's UI.",
    ),
    ErrorCode.REPOSITORY_UNREACHABLE: ErrorInfo(
        "The repository that --workspace names cannot be cloned, or does not have --ref.",
        "Check the address, and that this machine may read it: --git-token names a secret, ssh takes a key.",
    ),
    ErrorCode.UNKNOWN_CODE: ErrorInfo(
        "No error has this code.",
        "Codes have the form RK-AREA-PROBLEM, as printed in the first line of an error.",
    ),
    ErrorCode.UNEXPECTED: ErrorInfo(
        "releasekit met something it was not written for. Nothing is lost: a release that had begun is on record.",
        "Run again with -v to see where it happened, and report it with that output.",
    ),
    ErrorCode.WORKSPACE_NOT_FOUND: ErrorInfo(
        "There is no pyproject.toml here or in any directory above, or it belongs to no uv project.",
        "Go to the workspace, or name it: --workspace PATH.",
    ),
    ErrorCode.WORKSPACE_INVALID: ErrorInfo(
        "uv itself does not accept the workspace; what uv says is shown.",
        "Make `uv workspace list` work first.",
    ),
    ErrorCode.WORKSPACE_TOML: ErrorInfo("A pyproject.toml is not valid TOML.", "Mend the line that is named."),
    ErrorCode.WORKSPACE_DUPLICATE: ErrorInfo(
        "Two members have the same name once normalised (PEP 503: case, '-', '_' and '.' do not count).",
        "Rename one of them, or exclude its directory in [tool.uv.workspace].",
    ),
    ErrorCode.WORKSPACE_OUTSIDE: ErrorInfo(
        "A member directory lies outside the workspace root. releasekit writes only below the root.",
        "Move the member below the root, or take it out of [tool.uv.workspace] members.",
    ),
    ErrorCode.WORKSPACE_REQUIREMENT: ErrorInfo(
        "A requirement is not PEP 508; or, as a warning, the workspace's own version does not satisfy it, or it names "
        "a member that is never published, or was not yet and is left out.",
        "Mend the requirement that is named, or release what it names too.",
    ),
    ErrorCode.WORKSPACE_UNKNOWN_PACKAGE: ErrorInfo(
        "A name or pattern fits no member of the workspace.", "`releasekit discover` lists the members."
    ),
    ErrorCode.CONFIG_INVALID_KEY: ErrorInfo(
        "There is no key of this name in [tool.releasekit], and no option that a variable could stand for.",
        "`releasekit config` lists every key; mend or remove this one.",
    ),
    ErrorCode.CONFIG_INVALID_VALUE: ErrorInfo(
        "A value in [tool.releasekit], or in the variable of a key, has the wrong type or is not one of those allowed.",
        "Give the key a value of the kind that is named.",
    ),
    ErrorCode.CHECK_UNKNOWN: ErrorInfo(
        "There is no check of this name, neither here nor in another package.",
        "The README lists all checks; mend or remove this name.",
    ),
    ErrorCode.CHECK_PLUGIN: ErrorInfo(
        "A check that another package offers as an entry point of the group `releasekit.checks` could not be loaded, "
        "or failed.",
        "Mend or uninstall the package that offers it; --ignore leaves out one that fails.",
    ),
    ErrorCode.CHECK_FIX: ErrorInfo(
        "What `check --fix` would write into a pyproject.toml cannot be put where it belongs, for the way in which the "
        "file is written. Nothing was changed.",
        "Mend it by hand, and leave the check out of --fix with --ignore.",
    ),
    ErrorCode.GRAPH_CYCLE: ErrorInfo(
        "Packages need each other at run time or to build, so none of them can be published first.",
        'Break the cycle, or release its members together: cycles = "batch" in [tool.releasekit].',
    ),
    ErrorCode.GRAPH_SELF_DEPENDENCY: ErrorInfo("A package requires itself.", "Remove the requirement that is named."),
    ErrorCode.VERSION_UNKNOWN: ErrorInfo(
        "The package's version is dynamic, and neither a tag nor a file says what it is now.",
        "Tag the last released commit in the configured tag_format; for a first release, set first_version or change "
        "the package in a commit with a `Release-As: X.Y.Z` footer. `releasekit init` finds tags of other forms.",
    ),
    ErrorCode.VERSION_INVALID: ErrorInfo(
        "A version is not valid PEP 440, would be a step back, or is one that no index takes.",
        "Write it as PEP 440 has it, such as 1.2.3 or 1.2.3rc1.",
    ),
    ErrorCode.VERSION_UNHEARD: ErrorInfo(
        "A `Release-As:` footer is for the packages that its commit touches. This commit touches none, or is a merge, "
        "so the footer counts for nobody.",
        "Commit the footer together with a change in the package, such as a line in its README.",
    ),
    ErrorCode.PIN_OLD: ErrorInfo(
        "A package that is not released now was published with a requirement that excludes a new version, such as an "
        "exact pin on the version before. It can still be installed, with that older version.",
        "Nothing, or release it too, with the command that is shown. `pins` says what built packages require of their "
        "siblings, `propagate` which packages are released along with others.",
    ),
    ErrorCode.PIN_CONFLICT: ErrorInfo(
        "Nobody could install a package of this release, or one of its extras: it needs the new version of another "
        "package and, through a package that is not released now, an older version as well.",
        "Release the package in between too, with the command that is shown.",
    ),
    ErrorCode.SIBLING_MISSING: ErrorInfo(
        "A package of this release requires another package of the workspace that is not released now, and no index "
        "has a version of it that fits. Nobody could install the package.",
        "Release what it requires too, with the command that is shown.",
    ),
    ErrorCode.PIN_RESTORE_FAILED: ErrorInfo(
        "A file that `releasekit pin` had changed could not be put back as it was: somebody has edited it meanwhile, "
        "or its backup is damaged. All others were restored, and no backup was removed.",
        "Compare the file with its backup, keep what you want, remove the directory of the backups.",
    ),
    ErrorCode.VERSION_PLACE: ErrorInfo(
        "A file does not hold the package's version, or holds it more than once, or nobody knows which file does.",
        "Mend the `bump` of the package, or name the place there: "
        'bump = [{ path = "src/pkg/__init__.py", pattern = \'__version__ = "{version}"\' }] in its '
        "[tool.releasekit].",
    ),
    ErrorCode.BASELINE_INDEX: ErrorInfo(
        "A package has no tag. What the index has of it, up to the declared version, counts as its last release, made "
        "from the last commit that set that version; where no index is asked, it counts as never released.",
        "`git fetch --tags` if there are tags elsewhere; `releasekit init` shows what it finds, and with "
        "--tag-baselines makes the tags that are missing.",
    ),
    ErrorCode.BASELINE_UNKNOWN: ErrorInfo(
        "The index has a release of a package, and neither a tag nor a commit says what it was made from, so nobody "
        "can tell what has changed since.",
        "`git fetch --tags` if there are tags elsewhere; else tag the commit that it was made from. `releasekit init` "
        "shows what it finds, and in which form.",
    ),
    ErrorCode.TAG_INVALID: ErrorInfo(
        "A tag format makes names that git refuses, or that say too little.",
        "Mend tag_format or umbrella_tag_format; see `git check-ref-format`.",
    ),
    ErrorCode.TAG_EXISTS: ErrorInfo(
        "A tag of this release already exists on another commit. Tags are never moved.",
        "Delete the tag if it is a mistake, or release another version with a `Release-As: X.Y.Z` footer.",
    ),
    ErrorCode.GIT_MISSING: ErrorInfo("git is not installed.", "Install git."),
    ErrorCode.GIT_NOT_A_REPOSITORY: ErrorInfo(
        "The workspace is not in a git repository; versions come from its history.", "Run `git init` and commit."
    ),
    ErrorCode.GIT_NO_COMMIT: ErrorInfo("The git repository has no commit yet.", "Commit the workspace."),
    ErrorCode.GIT_IDENTITY: ErrorInfo(
        "git does not know who commits.",
        "Set user.name and user.email with `git config`; on a worker, GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, "
        "GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL.",
    ),
    ErrorCode.GIT_LOCKED: ErrorInfo(
        "Another git process works on the repository; or one was killed, and left its lock file behind.",
        "Wait for it to end; if none runs, remove the lock file that git names. Then run again: it carries on.",
    ),
    ErrorCode.SIGNING_FAILED: ErrorInfo(
        "git is told to sign commits or tags (commit.gpgSign, tag.gpgSign), and cannot.",
        "Mend user.signingkey or gpg.program, or turn signing off for this repository with `git config`.",
    ),
    ErrorCode.UV_MISSING: ErrorInfo(
        "uv was not found.", "Install uv, or install releasekit together with it: `pip install uv`."
    ),
    ErrorCode.UV_VERSION: ErrorInfo(
        "The workspace or releasekit needs another version of uv than the one that runs.",
        "Install the version that is named, with `uv self update` or your package manager.",
    ),
    ErrorCode.PREFLIGHT_DIRTY_WORKTREE: ErrorInfo(
        "There are uncommitted changes; a release is made from a commit.",
        "Commit or stash, then run again; if `releasekit pin --apply` made them, `releasekit pin --restore`.",
    ),
    ErrorCode.PREFLIGHT_SHALLOW_CLONE: ErrorInfo(
        "The clone is shallow: tags and commits are missing, so every version would be a guess.",
        "Run `git fetch --unshallow --tags`; in GitHub Actions give actions/checkout `fetch-depth: 0`.",
    ),
    ErrorCode.PREFLIGHT_DETACHED_HEAD: ErrorInfo(
        "HEAD is detached, so there is no branch to bring the release commit to.",
        "Check out a branch. In CI (the variable CI is set) a detached HEAD is accepted.",
    ),
    ErrorCode.PREFLIGHT_LOCK_STALE: ErrorInfo(
        "uv.lock does not fit the pyproject.toml files.", "Run `uv lock` and commit the result."
    ),
    ErrorCode.PREFLIGHT_VERSION_EXISTS: ErrorInfo(
        "The index already has this version or a later one. Published files cannot be replaced.",
        "Fetch the tags (`git fetch --tags`); or choose a later version, in pyproject.toml or by a `Release-As: X.Y.Z` "
        "footer. If it is the half of a release whose record is lost: `releasekit publish --resume-from-registry`.",
    ),
    ErrorCode.PREFLIGHT_NO_REMOTE: ErrorInfo(
        "The repository has no remote to push the release to.", "Add one, or pass --no-push."
    ),
    ErrorCode.REMOTE_UNREACHABLE: ErrorInfo(
        "The git remote does not answer, is no repository, or does not let you in.",
        "See that `git ls-remote` works with it, then run again: a release that has begun is carried on.",
    ),
    ErrorCode.PREFLIGHT_VULNERABLE: ErrorInfo(
        "`uv audit` found known vulnerabilities in the locked dependencies, and --strict-audit was given.",
        "Update the packages that are named, or run without --strict-audit.",
    ),
    ErrorCode.PREFLIGHT_NEW_PROJECTS: ErrorInfo(
        "More projects are new to the index than PyPI lets one user create in a day; uploads beyond are refused.",
        "Run publish again on the next day: it carries on. Or ask PyPI for a higher limit first.",
    ),
    ErrorCode.PREFLIGHT_CONCURRENT_RELEASE: ErrorInfo(
        "The forge has a draft of a release: it is being made, or was interrupted.",
        "Wait until it is announced; `releasekit publish --manifest TAG` goes on with it, `releasekit rollback TAG` "
        "gives it up.",
    ),
    ErrorCode.LOCK_ACQUISITION_FAILED: ErrorInfo(
        "Another release of this repository is running.", "Wait for it to end, or stop the process that is named."
    ),
    ErrorCode.NOT_CONFIRMED: ErrorInfo(
        "A release needs a yes: of somebody at a terminal, by --yes, or by `releasekit approve`.",
        "Run again with --yes, or on a terminal; with --approve, once whoever said no would say yes.",
    ),
    ErrorCode.RUN_NOT_WAITING: ErrorInfo(
        "No run waits for approval under that name or id, or the answer does not fit its question.",
        "`releasekit approve` alone lists the runs that wait.",
    ),
    ErrorCode.FILE_SYSTEM: ErrorInfo(
        "A file could not be read or written: the disk is full, or read-only, or the permission is missing.",
        "Free space or give permission, then run again: a release that had begun is carried on.",
    ),
    ErrorCode.INDEX_UNKNOWN: ErrorInfo(
        "No [[tool.uv.index]] with a publish-url has this name.",
        "Add one with `name`, `url` and `publish-url`, or give --publish-url and --check-url.",
    ),
    ErrorCode.INDEX_UNREACHABLE: ErrorInfo(
        "The package index does not answer.",
        "Check the address and the network, then run again. With --offline, plans and dry runs ask nobody.",
    ),
    ErrorCode.INDEX_CREDENTIALS: ErrorInfo(
        "The package index refuses the credentials.",
        "Set UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD.",
    ),
    ErrorCode.INDEX_RESPONSE: ErrorInfo(
        "The package index answered with something that is no Simple API page (PEP 503, PEP 691).",
        "Check that the address is the simple root of the index, such as https://host/simple.",
    ),
    ErrorCode.FORGE_UNKNOWN: ErrorInfo(
        "The remote is on no forge that is known by its address, so there is nowhere to make a release.",
        'Say what it is: forge = "github" or "gitlab" in [tool.releasekit], and forge_url if its API is elsewhere.',
    ),
    ErrorCode.FORGE_NO_TOKEN: ErrorInfo(
        "There is no token for the forge.",
        "Set GITHUB_TOKEN or GH_TOKEN, or log in with `gh auth login`; for GitLab set GITLAB_TOKEN.",
    ),
    ErrorCode.FORGE_CREDENTIALS: ErrorInfo(
        "The forge refuses the token, or does not show it the repository.",
        "Make a token that may write the contents of this repository.",
    ),
    ErrorCode.FORGE_READ_ONLY: ErrorInfo(
        "The token may read the repository, and write nothing.",
        "Give it the right to write: `contents: write` in a GitHub workflow or token, the scope `api` on GitLab.",
    ),
    ErrorCode.FORGE_UNREACHABLE: ErrorInfo(
        "The forge does not answer, or answers with an error of its own.", "Run again."
    ),
    ErrorCode.FORGE_RATE_LIMIT: ErrorInfo(
        "The forge has had too many requests of this token, and asks to wait for longer than a release should.",
        "Run again when the time that is named has passed.",
    ),
    ErrorCode.FORGE_REFUSED: ErrorInfo(
        "The forge did not do what it was asked to; what it says is shown.", "Read what it says."
    ),
    ErrorCode.NOTES_TEMPLATE: ErrorInfo(
        "The template of the release notes cannot be read or rendered.",
        "Mend it and look at the outcome with `releasekit notes`; or take notes_template out of [tool.releasekit].",
    ),
    ErrorCode.NOTES_COMMAND: ErrorInfo(
        "The command that rewrites the release notes failed, so they are as the template has them.",
        "Run `releasekit notes` to see what it says.",
    ),
    ErrorCode.COMMAND_FAILED: ErrorInfo("A command failed; its last lines are shown.", "Read what the command says."),
    ErrorCode.COMMAND_TIMEOUT: ErrorInfo(
        "A command took longer than it may, and was killed with all its children.",
        "Run again; if it recurs, run the command by hand.",
    ),
    ErrorCode.RECORD_INVALID: ErrorInfo(
        "The record of a release is damaged, lost, or of a newer format.",
        "If a newer releasekit wrote it, use that. `releasekit publish --resume-from-registry` goes on from the copy "
        "that the remote or git holds; `releasekit rollback` gives the release up.",
    ),
    ErrorCode.COMMIT_MISSING: ErrorInfo(
        "A manifest names the commit that a release is made from, and this clone does not have it: it was not fetched, "
        "it is only in the clone that made the manifest, or it is of another repository.",
        "Fetch the branch that holds it, with its whole history (in a workflow: `fetch-depth: 0`); or put the "
        "`commit.bundle` beside the manifest that was written with it.",
    ),
    ErrorCode.RELEASE_UNKNOWN: ErrorInfo(
        "There is no such release on record, neither here nor on the remote.",
        "The directories in .git/releasekit are named after them; without a name the unfinished one is meant.",
    ),
    ErrorCode.RELEASE_ELSEWHERE: ErrorInfo(
        "Another clone of this repository is in the middle of a release: the remote's refs/releasekit/running says so.",
        "Wait until it has ended. If that clone is lost, `releasekit publish --resume-from-registry` goes on with its "
        "release from here, and `releasekit rollback RELEASE` gives it up.",
    ),
    ErrorCode.RELEASE_TAKEN_OVER: ErrorInfo(
        "This clone had begun a release, but the remote does not hold it for this clone any longer: another one has "
        "taken it over since, and ended it or given it up.",
        "`git fetch --tags` shows whether it was ended; `releasekit rollback` clears away what is left of it here.",
    ),
    ErrorCode.RELEASE_NOT_HELD: ErrorInfo(
        "The remote does not take refs/releasekit/running, so other clones cannot see that a release is running, and "
        "nobody could go on with it if this machine were lost.",
        "Nothing must be done; or let the remote take that reference (a hook or a permission refuses it).",
    ),
    ErrorCode.ROLLBACK_UNFINISHED: ErrorInfo(
        "A release is being rolled back, and that has not ended.", "Run `releasekit rollback` again: it goes on."
    ),
    ErrorCode.FILES_LOST: ErrorInfo(
        "Files of a release that has begun to be public are missing or damaged on this machine, and the index does not "
        "have them. They are not built again by themselves: other bytes could come out.",
        "`releasekit publish --resume-from-registry` builds them again and compares; `releasekit rollback` gives the "
        "release up.",
    ),
    ErrorCode.REBUILD_DIFFERS: ErrorInfo(
        "A package is on the index in part, and building it again makes other bytes than those that were recorded. "
        "Whoever has the recorded files can end the release; nobody else can.",
        "Copy the release's directory from the machine that built it; or `releasekit rollback`, and release the next "
        "version.",
    ),
    ErrorCode.BUILD_FAILED: ErrorInfo(
        "A package did not build.",
        "Mend what its last lines say (`uv build --package NAME` builds it by hand), commit that, and run again.",
    ),
    ErrorCode.VERIFY_FAILED: ErrorInfo(
        "A built file is not what the plan says. Nothing of this package was uploaded.",
        "Mend the package's build configuration.",
    ),
    ErrorCode.RESOLVE_FAILED: ErrorInfo(
        "A built package, or one of its extras, cannot be installed from the built files and the index. Nothing was "
        "uploaded.",
        "Fix the requirements that uv names, or release the packages that they name too; `releasekit graph` shows who "
        "needs whom.",
    ),
    ErrorCode.STAGED_IMPORT_FAILED: ErrorInfo(
        "A built package cannot be installed and imported. Nothing was uploaded, so no version is lost.",
        "Fix what its last lines say, commit that, and run again. If it cannot be imported on this machine, set "
        "smoke_test = false in the package's own [tool.releasekit].",
    ),
    ErrorCode.UPLOAD_FAILED: ErrorInfo(
        "The index did not answer an upload, or answered with an error of its own, however often it was tried.",
        "Run publish again when the index is well: it asks what is there and carries on.",
    ),
    ErrorCode.UPLOAD_LIMITED: ErrorInfo(
        "The index takes no uploads for now: you sent too many in too short a time, or too many new projects, or it is "
        "away and says for how long.",
        "Run publish again later: it carries on. `rate_limit` makes it slower from the start.",
    ),
    ErrorCode.UPLOAD_REFUSED: ErrorInfo(
        "The index refuses a file for what it is; the same file would be refused again.",
        "Mend what the index names, `releasekit rollback` this release, and release the next version.",
    ),
    ErrorCode.UPLOAD_CLOSED: ErrorInfo(
        "A version is on the index in part, and the index takes new files for a version only for some time after its "
        "first file: PyPI for 14 days. After that the version cannot be completed.",
        "Before that day, run publish again: it completes the version. After it, `releasekit rollback` this release, "
        "commit a `fix:` to the package, and run publish: it goes on with the next version.",
    ),
    ErrorCode.PUBLISH_TIMEOUT: ErrorInfo(
        "The files were uploaded, but the index has not listed them in time.",
        "Run publish again in a while: it looks again, and sends what the index then still does not list.",
    ),
    ErrorCode.PUBLISH_CHECKSUM_MISMATCH: ErrorInfo(
        "The index lists a file under this name with other content than was built here.",
        "Find out who uploaded it. If it is not yours, yank that version; then release the next one.",
    ),
    ErrorCode.SMOKE_TEST_FAILED: ErrorInfo(
        "The published package cannot be installed from the index and imported.",
        "Run publish again if that was the network. Otherwise `releasekit rollback` gives the release up, and says "
        "which versions come next; consider yanking this one.",
    ),
    ErrorCode.BLOCKED: ErrorInfo(
        "A package it needs was not published, so this one was not either.",
        "Mend the package that failed, then run publish again.",
    ),
    ErrorCode.PUSH_REJECTED: ErrorInfo(
        "The remote did not take the release commit or its tags. The packages are out and nothing is lost.",
        "Read what git says (protected branch, hook, moved tag). Let the remote take it, or bring the release commit "
        "there by a pull request that is merged, not squashed; then run publish again: only the push is left.",
    ),
    ErrorCode.BRANCH_MOVED: ErrorInfo(
        "The branch has new commits since the release began, so it was not moved to the release commit.",
        "Merge the release commit that is named and push; then run publish again: it ends the release.",
    ),
    ErrorCode.BRANCH_UNPUSHED: ErrorInfo(
        "The commit that the release is to be made from is not on the remote's branch, so no pull request fits on it.",
        "Push it first, or check out what the remote has.",
    ),
    ErrorCode.PULL_EMPTY: ErrorInfo(
        "The release changes no file (all versions come from tags, no changelog is kept): there is nothing to merge.",
        "Keep changelogs (changelog = true), or release with --publish-from=local.",
    ),
    ErrorCode.PULL_MOVED: ErrorInfo(
        "Somebody else has pushed to the branch of the release pull request, and their commits are not thrown away.",
        "Merge the pull request as it is; or delete its branch, and run prepare again.",
    ),
    ErrorCode.PULL_STALE: ErrorInfo(
        "What was merged is not the release that its pull request showed: what landed beside it, or an edit of it, "
        "asks for other versions.",
        "Run prepare again: it makes a new release pull request, with the right versions.",
    ),
    ErrorCode.SERVER_UNREACHABLE: ErrorInfo(
        "The Prefect API that PREFECT_API_URL or the active profile names does not answer, or no longer does.",
        "Start that server; or unset PREFECT_API_URL, and a server is started for the time of the release. Then run "
        "again: a release that has begun is on record, and is carried on.",
    ),
    ErrorCode.SERVER_START: ErrorInfo(
        "Prefect's server did not start in time.",
        "Run again; or start one (`prefect server start`) and set PREFECT_API_URL.",
    ),
}


class ReleaseError(Exception):
    """Something ran and failed: exit code 1.

    *message* says what is wrong, *location* names the place (a file, a package, a command), *hint* replaces the
    catalogue's next step, *output* holds the last lines of a command, *excerpt* the line of a file that is meant.
    All are positional, so that the error survives pickling.
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
    ) -> None:
        super().__init__(code, message, location, hint, output, excerpt)
        self.code, self.message, self.location, self.output, self.excerpt = code, message, location, output, excerpt
        self.hint = hint or ERRORS[code].hint

    @property
    def meaning(self) -> str:
        """What the catalogue says of its code."""
        return ERRORS[self.code].meaning

    @property
    def full_text(self) -> str:
        """The error, and what to do next on a line of its own."""
        return f"{self}\n{self.hint}"

    def __str__(self) -> str:
        suffix = f" ({self.location})" if self.location else ""
        return f"{self.code}: {self.message}{suffix}"


class Refusal(ReleaseError):
    """Refused before anything changed: exit code 2."""

    status = 2


@contextmanager
def as_refusal() -> Generator[None]:
    """Make every error inside the block a refusal: it only looks."""
    try:
        yield
    except ReleaseError as error:
        raise error if isinstance(error, Refusal) else Refusal(*error.args) from None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line of a file, and the part of it that is meant.

    *line* counts from 1, *column* from 0; as long as the line is 0, only the words in *text* are known.
    """

    file: str
    line: int
    text: str
    column: int = 0
    length: int = 0

    @property
    def position(self) -> str:
        """File, line and column, as editors take them."""
        return f"{self.file.removeprefix('./')}:{self.line}:{self.column + 1}"

    def render(self, width: int) -> tuple[str, ...]:
        """Return the line with carets below the part that is meant, no wider than *width* columns.

        A line that is too long is shown from near that part on.
        """
        margin = f"{self.line} | "
        room = max(width - len(margin), 20)
        text, column = self.text.replace("\t", " "), self.column
        if len(text) > room and column + self.length > room:
            cut = min(column - 4, len(text) - room) if column > 4 else 0  # noqa: PLR2004  a little of what is before
            text, column = f"…{text[cut + 1 :]}", column - cut
        if len(text) > room:
            text = f"{text[: room - 1]}…"
        carets = "^" * max(1, min(self.length, len(text) - column))
        empty = " " * (len(margin) - 2)
        return f"{empty}|", f"{margin}{text}", f"{empty}| {' ' * column}{carets}"


@dataclass(frozen=True, slots=True)
class ReleaseWarning:
    """Something a maintainer should know that stops nothing; of the same shape as an error."""

    code: ErrorCode
    message: str
    location: str = ""

    def __str__(self) -> str:
        suffix = f" ({self.location})" if self.location else ""
        return f"{self.code}: {self.message}{suffix}"


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return "; did you mean …?" with the known words most like *word*, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(candidates), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def explain(code: str) -> str:
    """Return the catalogue's text for *code*.

    Raises Refusal (RK-UNKNOWN-CODE) with the nearest codes if there is none.
    """
    try:
        error_code = ErrorCode(code.upper())
    except ValueError:
        raise Refusal(
            ErrorCode.UNKNOWN_CODE, f"no error has the code {code}{did_you_mean(code.upper(), list(ErrorCode))}"
        ) from None
    info = ERRORS[error_code]
    return f"{error_code}\n\n{info.meaning}\n\nWhat to do: {info.hint}\n"
