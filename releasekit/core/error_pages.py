"""What `releasekit explain CODE` and the documentation add to an error: causes, an example and links.

These texts are long, so nothing else imports this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import ERRORS, ErrorCode, ErrorInfo, Refusal, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE = "docs/reference/errors.md"
PREFIX = "RK-"


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """The explanation of an error.

    *causes* says in sentences when it happens. *example* has one to four lines: TOML, or commands (after "$ ") and
    what the program prints. *guide* is the page that helps, as a path in the repository; empty if there is none.
    """

    code: ErrorCode
    causes: tuple[str, ...]
    example: str
    guide: str = ""

    @property
    def info(self) -> ErrorInfo:
        """What the error itself prints: its meaning, and what to do."""
        return ERRORS[self.code]

    @property
    def links(self) -> tuple[str, ...]:
        """The section of the reference, and the guide, as paths in the repository."""
        return tuple(filter(None, (f"{REFERENCE}#{self.code.lower()}", self.guide)))


def find_page(code: str) -> ErrorPage:
    """Return the page of *code*, written in any case, with or without its prefix.

    Raises Refusal RK-UNKNOWN-CODE with the most similar codes if there is none.
    """
    name = PREFIX + code.strip().upper().replace("_", "-").removeprefix(PREFIX)
    try:
        return PAGES[ErrorCode(name)]
    except ValueError:
        message = f"no error has the code {code}{did_you_mean(name, list(ErrorCode))}"
        raise Refusal(ErrorCode.UNKNOWN_CODE, message) from None


_ADOPT = "docs/guides/adopt-a-repository.md"
_APPROVAL = "docs/guides/approval.md"
_CHANGELOGS = "docs/guides/changelogs.md"
_CHANGE_FILES = "docs/guides/change-files.md"
_CHECKS = "docs/guides/checks.md"
_COMPANY_NETWORK = "docs/guides/company-network.md"
_CREDENTIALS = "docs/guides/credentials.md"
_DYNAMIC_VERSIONS = "docs/guides/dynamic-versions.md"
_GITHUB = "docs/guides/github.md"
_INDEX_FAULTS = "docs/reference/index-faults.md"
_MACHINES = "docs/guides/several-machines.md"
_NATIVE = "docs/guides/native-wheels.md"
_PINS = "docs/guides/pins.md"
_PREFECT_SERVER = "docs/guides/prefect-server.md"
_PULL_REQUESTS = "docs/guides/pull-requests.md"
_DIFFERENCES = "docs/guides/compare-releases.md"
_RECOVERY = "docs/guides/recovery.md"
_RELEASE_NOTES = "docs/guides/release-notes.md"
_REQUIREMENTS = "docs/guides/requirements.md"
_SELECT = "docs/guides/select-packages.md"
_STAGED = "docs/guides/staged-builds.md"
_VERIFICATION = "docs/guides/verification.md"
_VERSION_RULES = "docs/reference/version-rules.md"

_TABLE = (
    ErrorPage(
        ErrorCode.USAGE,
        (
            "A command, an option or a value is misspelt, or a required argument is missing.",
            "Two options contradict each other, such as --offline without --dry-run, or --approve with --yes.",
            "An option needs something else: --ref needs the address of a repository, --output needs --stage-only.",
            "A variable such as RELEASEKIT_FORMAT has a value that its option does not accept.",
        ),
        (
            "$ releasekit publish --offline\n"
            "error: RK-USAGE: --offline needs --dry-run\n"
            "$ releasekit publish --offline --dry-run"
        ),
        "docs/reference/command-line.md",
    ),
    ErrorPage(
        ErrorCode.UNKNOWN_CODE,
        ("You asked `explain` for a code that no error has, for example with a spelling mistake.",),
        (
            "$ releasekit explain RK-GRAPH-CYCEL\n"
            "error: RK-UNKNOWN-CODE: no error has the code RK-GRAPH-CYCEL; did you mean RK-GRAPH-CYCLE?"
        ),
    ),
    ErrorPage(
        ErrorCode.UNEXPECTED,
        (
            "An exception that releasekit does not expect reached the command, or ended the release of one package.",
            "The message has the type and the text of the exception; --verbose shows where it was raised.",
        ),
        "$ releasekit --verbose publish 2> releasekit.log\n$ releasekit status",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.SECRET_UNKNOWN,
        (
            "`secrets` or --git-token names an environment variable (upper case) that is not set or is empty.",
            "It names a Prefect Secret block (lower case) that does not exist on the server.",
            "It names a Secret block, and no Prefect API is configured.",
        ),
        (
            "[tool.releasekit]\n"
            'secrets.UV_PUBLISH_TOKEN = "upload-token"   # a Secret block\n'
            'secrets.GITHUB_TOKEN = "RELEASE_BOT_TOKEN"     # an environment variable'
        ),
        _CREDENTIALS,
    ),
    ErrorPage(
        ErrorCode.REPOSITORY_UNREACHABLE,
        (
            "--workspace is the address of a repository that git cannot clone: wrong address, no access, no network.",
            "The repository has no branch, tag or commit with the name that --ref gives.",
        ),
        (
            "$ releasekit plan --workspace https://git.example/team/project.git --ref mian\n"
            "error: RK-REPOSITORY-UNREACHABLE: no branch, tag or commit is called mian\n"
            "$ releasekit plan --workspace https://git.example/team/project.git --ref main --git-token READ_TOKEN"
        ),
        _CREDENTIALS,
    ),
    ErrorPage(
        ErrorCode.NETWORK_SETTING,
        (
            "SSL_CERT_FILE or SSL_CERT_DIR names a file or a directory that does not exist or has no certificates.",
            "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not the address of a proxy: http://, https:// or socks5://.",
            "A netrc file is not UTF-8, so uv ignores its credentials.",
        ),
        (
            "$ SSL_CERT_FILE=/etc/ssl/company.pem releasekit plan\n"
            "$ HTTPS_PROXY=http://proxy.example:3128 NO_PROXY=.example.com,10.0.0.0/8 releasekit plan"
        ),
        _COMPANY_NETWORK,
    ),
    ErrorPage(
        ErrorCode.WORKSPACE_NOT_FOUND,
        (
            "You run the command outside of a uv project, and do not name one with --workspace.",
            "The packages of the repository are not in a uv workspace. The help of the message says how to make one.",
            "--workspace names a directory that does not exist.",
            "The pyproject.toml that uv finds says `managed = false` in [tool.uv].",
        ),
        (
            "$ cd ~\n"
            "$ releasekit plan                          # no pyproject.toml here\n"
            "$ releasekit plan --workspace ~/src/shop   # or: releasekit -C ~/src/shop plan"
        ),
    ),
    ErrorPage(
        ErrorCode.WORKSPACE_INVALID,
        (
            "A pattern in [tool.uv.workspace] members matches a directory without a pyproject.toml.",
            "A pyproject.toml is valid TOML, but uv rejects its content, such as a project without a name.",
            "uv refuses the workspace for another reason; its own message says which.",
        ),
        (
            "$ uv workspace list        # shows the same problem\n"
            "$ git clean -ndX packages  # lists left-over directories that match a pattern"
        ),
    ),
    ErrorPage(
        ErrorCode.WORKSPACE_TOML,
        (
            "A pyproject.toml has a syntax error. The message shows the line.",
            "It is not encoded as UTF-8, or it begins with a byte order mark.",
        ),
        '[project]\nname = "core"          # without the second quote: an error in this line\nversion = "1.3.0"',
    ),
    ErrorPage(
        ErrorCode.WORKSPACE_DUPLICATE,
        (
            "Two members have names that differ only in case, or in '-', '_' and '.'.",
            "A copy or a template of a package lies in a directory that [tool.uv.workspace] members matches.",
        ),
        '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/core-copy"]   # it is named "core" too',
        _SELECT,
    ),
    ErrorPage(
        ErrorCode.WORKSPACE_OUTSIDE,
        (
            '[tool.uv.workspace] members has a path that leads out of the workspace, such as "../shared".',
            "A member is a symbolic link to a directory outside of the workspace.",
        ),
        '[tool.uv.workspace]\nmembers = ["packages/*"]   # not: "../shared"',
    ),
    ErrorPage(
        ErrorCode.WORKSPACE_REQUIREMENT,
        (
            (
                "As an error: a requirement is not valid, or the release must change one that it cannot edit, or one "
                "in a file that git does not track."
            ),
            (
                "As a warning: a package requires an older version of a sibling than the one in the workspace. The "
                "index must have that version."
            ),
            (
                "As a warning: a released package requires a member that is never published, or one that was never "
                "released and that you left out."
            ),
        ),
        '[project]\ndependencies = ["core >= 1.3"]   # not: "core >> 1.3", and not: "core < 1" if core is 1.3.0',
        _REQUIREMENTS,
    ),
    ErrorPage(
        ErrorCode.WORKSPACE_UNKNOWN_PACKAGE,
        (
            "--package, --exclude or an argument has a name, a pattern or a path that matches no member.",
            "`packages`, `exclude` or a group in [tool.releasekit] still names a package that was renamed or removed.",
            "--group names a group that [tool.releasekit.groups] does not have.",
        ),
        '$ releasekit discover\n$ releasekit plan -p core -p "plugin-*" -p "packages/web/*"',
        _SELECT,
    ),
    ErrorPage(
        ErrorCode.CONFIG_FOREIGN,
        (
            "A file of the other tool is no valid JSON, TOML or INI. The error names the line.",
            "The workspace has no configuration of the tool after --from.",
        ),
        (
            "$ releasekit init --from changesets\n"
            "error: RK-CONFIG-FOREIGN: there is no configuration of changesets\n"
            "$ releasekit init --from release-please"
        ),
        "docs/migration/index.md",
    ),
    ErrorPage(
        ErrorCode.CONFIG_INVALID_KEY,
        (
            "A key in [tool.releasekit] is misspelt.",
            "A member sets a key that only the pyproject.toml of the root may have.",
            (
                "An environment variable that starts with RELEASEKIT_ resembles an option, but is none. One that "
                "resembles nothing gives a warning."
            ),
        ),
        (
            "error: RK-CONFIG-INVALID-KEY: unknown key propagat; did you mean propagate?\n"
            "  --> pyproject.toml:7:1 [tool.releasekit]"
        ),
        "docs/reference/configuration.md",
    ),
    ErrorPage(
        ErrorCode.CONFIG_INVALID_VALUE,
        (
            "A value has the wrong type, is not one of the allowed ones, or is too small.",
            "A variable such as RELEASEKIT_CONCURRENCY has a text that is not a value of its key.",
            "A package is in two groups that both decide its versions, or that have different `pins`.",
            "publish_url or check_url contains a user name or a password.",
        ),
        '[tool.releasekit]\nconcurrency = 5        # not: "many", and not: 0\npropagate = "patch"    # not: "always"',
        "docs/reference/configuration.md",
    ),
    ErrorPage(
        ErrorCode.CHECK_UNKNOWN,
        (
            "--select, --ignore, `check_select` or `check_ignore` has a misspelt name.",
            "The check belongs to a plugin that is not installed in the environment of releasekit.",
        ),
        (
            "$ releasekit check --select cycels\n"
            "error: RK-CHECK-UNKNOWN: there is no check cycels; did you mean cycles?\n"
            "$ releasekit check --select cycles"
        ),
        _CHECKS,
    ),
    ErrorPage(
        ErrorCode.CHECK_PLUGIN,
        (
            "An installed package has an entry point in the group `releasekit.checks` that cannot be imported.",
            "The entry point is not a Check, or its name is already taken.",
            "The check itself raised an exception.",
        ),
        (
            '[project.entry-points."releasekit.checks"]\n'
            'license_header = "our_checks:LICENSE_HEADER"   # a releasekit Check'
        ),
        "docs/contributing/add-a-check.md",
    ),
    ErrorPage(
        ErrorCode.CHECK_FIX,
        (
            (
                "The table or array that `check --fix` must change is written in a form that it cannot edit safely, "
                "such as an array with commas at the beginning of lines and comments after them."
            ),
        ),
        '[project]\nclassifiers = [\n    "Typing :: Typed",   # commas after each item\n]',
        _CHECKS,
    ),
    ErrorPage(
        ErrorCode.GRAPH_CYCLE,
        (
            (
                "Two or more packages require each other, directly or through others, in `dependencies` or "
                "`build-system.requires`. The message shows the way round."
            ),
            "Requirements in extras and dependency groups never make a cycle an error.",
            'With cycles = "batch" only a cycle that is needed to build is an error.',
        ),
        '[tool.releasekit]\ncycles = "batch"   # publish the members of a cycle together',
        "docs/explanation/order-and-the-graph.md",
    ),
    ErrorPage(
        ErrorCode.GRAPH_SELF_DEPENDENCY,
        (
            "A package lists its own name in `dependencies` or `build-system.requires`.",
            'An extra may name its own package: `all = ["core[a,b]"]` is fine.',
        ),
        "error: RK-GRAPH-SELF-DEPENDENCY: core requires itself\n  --> packages/core/pyproject.toml",
        _CHECKS,
    ),
    ErrorPage(
        ErrorCode.CHANGE_INVALID,
        (
            "A file in .changes or .changeset does not begin with the packages between two lines `---`.",
            "A line there is not of the form `name: bump`, or the bump is not major, minor, patch or none.",
            "A file in .changes names a package that was renamed or removed, or has a spelling mistake.",
            "A JSON file in a next-release directory is damaged, or has an unknown type.",
        ),
        (
            "$ releasekit plan\n"
            "error: RK-CHANGE-INVALID: big is not one of major, minor, patch, none\n"
            "where: .changes/blue-cat.md:2"
        ),
        _CHANGE_FILES,
    ),
    ErrorPage(
        ErrorCode.CHANGE_MISSING,
        (
            "A commit of this branch changes files of a package, and the branch adds no change file for it.",
            "The change file names another package.",
            "`change status` compares with the wrong commit: --since names the one to use.",
        ),
        (
            "$ releasekit change status --since origin/main\n"
            '$ releasekit change add -p core --bump minor --message "Add streaming"'
        ),
        _CHANGE_FILES,
    ),
    ErrorPage(
        ErrorCode.VERSION_UNKNOWN,
        (
            (
                'A package has `dynamic = ["version"]`, its version comes from tags, and no tag in the configured '
                "format is in the history."
            ),
            "The tags have another format than tag_format, or were not fetched.",
        ),
        (
            "[tool.releasekit]\n"
            'first_version = "0.1.0"   # for packages that were never released\n'
            'tag_format = ["{name}-v{version}", "{name}/{version}"]   # the first is written, all are read'
        ),
        _DYNAMIC_VERSIONS,
    ),
    ErrorPage(
        ErrorCode.VERSION_INVALID,
        (
            "`version` in a pyproject.toml, or a `Release-As:` footer, is not a version as in PEP 440.",
            "A `Release-As:` footer, --bump or --set-version leads to a version that is not above the last release.",
            "A prerelease of an earlier kind would follow: for example --prerelease a after 1.3.0rc1.",
            "The version is a local one, such as 1.3.0+linux.",
        ),
        '$ git commit -m "fix: read empty files" -m "Release-As: 1.4.0"   # not: 1.4-final',
        _VERSION_RULES,
    ),
    ErrorPage(
        ErrorCode.VERSION_LOW,
        (
            "A version that somebody wrote into the files is the version, and later commits ask for a larger bump.",
            "--bump or --set-version requests less than the commits ask for.",
        ),
        "warning RK-VERSION-LOW: core 1.3.0 (1.3.0 is declared): its commits ask for 2.0.0 (packages/core)",
        _VERSION_RULES,
    ),
    ErrorPage(
        ErrorCode.VERSION_UNHEARD,
        (
            "The commit with the footer is empty, changes only files outside of all packages, or is a merge commit.",
        ),
        "warning RK-VERSION-UNHEARD: Release-As: 2.0.0 (3f2c1ab) touches no package",
        _VERSION_RULES,
    ),
    ErrorPage(
        ErrorCode.VERSION_CALENDAR,
        (
            "The versions of the package are dates, and a commit asks for a minor or a major bump.",
            "The first number of the version is between 1990 and 2100 for another reason.",
        ),
        "warning RK-VERSION-CALENDAR: core 2024.12.1 -> 2024.13.0 (minor): 2024.12.1 looks like a date",
        _VERSION_RULES,
    ),
    ErrorPage(
        ErrorCode.VERSION_AHEAD,
        (
            "Somebody raised the version in the file.",
            "The version was released without a tag, or its tag is not in this clone.",
        ),
        "$ git fetch --tags\n$ releasekit plan --force-unchanged",
        _VERSION_RULES,
    ),
    ErrorPage(
        ErrorCode.PIN_OLD,
        (
            'With pins = "exact" or "compatible", a published package requires the versions that it was built with.',
            "You release a new version of such a sibling, but not the package: it has no changes, or you left it out.",
        ),
        '[tool.releasekit]\npropagate = "patch"   # always release what needs a released package',
        _REQUIREMENTS,
    ),
    ErrorPage(
        ErrorCode.PIN_CONFLICT,
        (
            (
                "A released package needs the new version of a sibling. It also needs a package that was published "
                "with a pin on the old version, and that is not released now."
            ),
            (
                "releasekit usually adds that package to the release. It cannot if you chose packages with -p or "
                '--exclude, or if propagate = "none".'
            ),
        ),
        (
            "$ releasekit plan -p app -p core          # app needs core and web; web is pinned to the old core\n"
            "$ releasekit publish --force-unchanged -p app -p core -p web"
        ),
        _REQUIREMENTS,
    ),
    ErrorPage(
        ErrorCode.SIBLING_MISSING,
        (
            (
                "A released package requires a sibling that has a tag, but that the index does not have in a version "
                "that fits: for example because its upload failed, or it went to another index."
            ),
            "The required sibling was never released, and you left it out with -p or --exclude.",
        ),
        (
            "$ releasekit plan -p app            # app needs core 1.3.0, which is not on the index\n"
            "$ releasekit publish --force-unchanged -p app -p core"
        ),
        _REQUIREMENTS,
    ),
    ErrorPage(
        ErrorCode.PIN_RESTORE_FAILED,
        (
            "You edited a file after `releasekit pin --apply` changed it.",
            "A backup was deleted or changed, or the list of the backups is damaged.",
        ),
        (
            "$ releasekit pin --apply\n"
            "$ git diff             # compare with the backup that the message names\n"
            "$ releasekit pin --restore"
        ),
        _PINS,
    ),
    ErrorPage(
        ErrorCode.VERSION_PLACE,
        (
            "The pattern of a `bump` entry matches nowhere in its file, or more than once.",
            "The file does not exist, is outside of the package, or is not tracked by git.",
            "The build backend takes a dynamic version from a file that releasekit does not know.",
        ),
        '[tool.releasekit]\nbump = [{ path = "src/core/__init__.py", pattern = \'__version__ = "{version}"\' }]',
        _DYNAMIC_VERSIONS,
    ),
    ErrorPage(
        ErrorCode.BASELINE_INDEX,
        (
            "The package was released before without a tag, or its tags have another format or were not fetched.",
            "The last release was made by hand: the index has it, and the tags end before it.",
            "With --offline, a package has no tag, so an earlier release on the index is not seen.",
        ),
        "$ git fetch --tags\n$ releasekit init --tag-baselines",
        _ADOPT,
    ),
    ErrorPage(
        ErrorCode.BASELINE_UNKNOWN,
        (
            (
                "The package is on the index without a tag here, and no commit ever set that version: for example "
                "because the version is dynamic, or the package came from another repository."
            ),
            "Another project on the index has the same name.",
        ),
        "$ git fetch --tags\n$ git tag core-v1.2.0 3f2c1ab   # a commit where core declares 1.2.0, in any branch",
        _ADOPT,
    ),
    ErrorPage(
        ErrorCode.TAG_INVALID,
        (
            "tag_format does not contain {version} exactly once, or contains an unknown placeholder.",
            "The format makes a name that git refuses, or one from which the version cannot be read again.",
            "Two packages would get the same tag, because {name} is missing.",
        ),
        (
            "[tool.releasekit]\n"
            'tag_format = "{name}-v{version}"    # not: "v{version}" if packages have own versions\n'
            'umbrella_tag_format = "v{version}"'
        ),
        "docs/reference/configuration.md",
    ),
    ErrorPage(
        ErrorCode.TAG_EXISTS,
        (
            "Somebody created the tag by hand, or an earlier release of the same version failed elsewhere.",
            "The tag exists on the remote, on another commit than the one that this release tags.",
        ),
        (
            "$ git show core-v1.3.0             # a mistake?\n"
            "$ git tag --delete core-v1.3.0\n"
            "$ git push --delete origin core-v1.3.0"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.TAG_NOT_FETCHED,
        (
            "A CI job fetches only the commit that it builds: `git fetch origin SHA`, or a checkout without tags.",
            "Somebody else has released since your last `git pull`, which fetches only the tags of new commits.",
        ),
        "$ git fetch --tags\n$ releasekit plan",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.TAG_STRAY,
        (
            "The tag was made on the commit before the version was raised, or by mistake.",
            "The tag is older than the package, or belongs to something else, such as a website.",
        ),
        "$ git show core-v1.3.0:packages/core/pyproject.toml   # which version does it declare?",
        _VERSION_RULES,
    ),
    ErrorPage(
        ErrorCode.TAG_UNREAD,
        (
            "The package's own tag_format does not begin with the `pattern-prefix` of uv-dynamic-versioning.",
            "A regular expression, such as `tag_regex` of setuptools-scm, does not match the tags of the package.",
        ),
        (
            '[tool.releasekit]\ntag_format = "core-v{version}"\n[tool.uv-dynamic-versioning]\npattern-prefix = "core-"'
        ),
        "docs/guides/dynamic-versions.md",
    ),
    ErrorPage(
        ErrorCode.GIT_MISSING,
        ("There is no command `git` on the PATH, for example in a slim container image.",),
        "$ git --version\n$ apt-get install git   # on Debian and Ubuntu",
    ),
    ErrorPage(
        ErrorCode.GIT_NOT_A_REPOSITORY,
        (
            "The workspace directory has no .git, and neither has a directory above it.",
            "The repository is bare, so it has no files.",
        ),
        '$ git init\n$ git add .\n$ git commit -m "feat: begin"',
    ),
    ErrorPage(
        ErrorCode.GIT_UNTRUSTED,
        (
            "The repository belongs to another user, as in a container that mounts a directory of its host.",
            "core.worktree in .git/config names a directory that does not contain the workspace.",
            "The directory .git is damaged, or its format is newer than this git.",
        ),
        "$ git config --global --add safe.directory /builds/orchard",
        "docs/explanation/security.md",
    ),
    ErrorPage(
        ErrorCode.GIT_NO_COMMIT,
        ("You ran `git init`, but have not committed anything yet.",),
        '$ git add .\n$ git commit -m "feat: begin"',
    ),
    ErrorPage(
        ErrorCode.GIT_IDENTITY,
        (
            (
                "user.name or user.email is not set, as in a fresh container or on a CI runner, and releasekit must "
                "make a commit or a tag."
            ),
        ),
        '$ git config user.name "Release bot"\n$ git config user.email "bot@example.com"',
    ),
    ErrorPage(
        ErrorCode.GIT_LOCKED,
        (
            "An editor, another terminal or a background fetch runs git in this repository at the same moment.",
            "A git process was killed and left a file such as .git/index.lock.",
        ),
        "$ rm .git/index.lock        # the file that git names, if no git process runs\n$ releasekit publish",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.SIGNING_FAILED,
        (
            "commit.gpgSign or tag.gpgSign is set, and the key does not exist, has expired, or cannot be read here.",
            "gpg needs a passphrase, and there is no terminal or agent to ask.",
        ),
        (
            "$ git config user.signingkey 0A46826A\n"
            "$ git config commit.gpgSign false   # or do not sign in this repository"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.UV_MISSING,
        (
            "There is no uv on the PATH or next to releasekit.",
            "Both are older than releasekit needs, or they do not run on this machine.",
        ),
        "$ uv --version\n$ uv self update",
    ),
    ErrorPage(
        ErrorCode.UV_VERSION,
        ("`required-version` in [tool.uv] excludes the uv that releasekit found.",),
        '[tool.uv]\nrequired-version = ">=0.13"',
    ),
    ErrorPage(
        ErrorCode.CHECKOUT_INCOMPLETE,
        (
            "The checkout is sparse, and leaves out members of the workspace. uv then takes them for removed.",
            "A package contains a git submodule that is not initialised here.",
            "Files are in Git LFS, and here are only pointers to them: git-lfs is not installed, or cannot fetch them.",
        ),
        "$ git sparse-checkout disable\n$ git submodule update --init --recursive\n$ git lfs pull\n$ releasekit plan",
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_DIRTY_WORKTREE,
        (
            "Files are changed, staged or untracked. releasekit does not leave them out silently.",
            "`releasekit pin --apply` has changed requirements, and they are not restored yet.",
        ),
        "$ git status --short\n$ git stash --include-untracked\n$ releasekit publish",
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_SHALLOW_CLONE,
        (
            (
                "A CI job cloned the repository with a limited depth, which is the default of GitHub Actions and "
                "GitLab CI."
            ),
            "You cloned with `git clone --depth`.",
        ),
        "$ git fetch --unshallow --tags\n$ releasekit plan",
        _GITHUB,
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_DETACHED_HEAD,
        (
            "You checked out a tag or a commit instead of a branch.",
            "publish --version-only needs a branch for the commit with the versions, in CI too.",
            "prepare does not know which branch to release: HEAD is detached, and the CI does not name a branch.",
        ),
        "$ git switch main\n$ releasekit publish",
    ),
    ErrorPage(
        ErrorCode.BRANCH_NOT_ALLOWED,
        (
            "You released from a feature branch. Its commits are not on the default branch yet.",
            "You maintain an older version on a branch whose name does not look like 1.x or release/1.2.",
            "allow_branches has patterns, and none of them matches the branch.",
        ),
        '[tool.releasekit]\nallow_branches = ["main", "lts-*"]',
        _SELECT,
    ),
    ErrorPage(
        ErrorCode.CHANGELOG_IGNORED,
        (
            "A pattern in .gitignore, .git/info/exclude or your own excludes file matches the changelog.",
        ),
        "$ git check-ignore --verbose packages/core/CHANGELOG.md",
        _CHANGELOGS,
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_LOCK_STALE,
        ("A pyproject.toml was changed, and uv.lock, which git tracks, was not updated.",),
        '$ uv lock\n$ git commit -m "chore: update uv.lock" uv.lock',
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_VERSION_EXISTS,
        (
            "The version was released from another clone, and its tags were not fetched.",
            "An earlier release stopped after the upload, and its record is lost.",
            "You release from a maintenance branch, and the index has a later version.",
        ),
        "$ git fetch --tags\n$ releasekit plan",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_NO_REMOTE,
        (
            "The repository has no remote with the name in `remote` (default: origin).",
            "prepare always needs a remote, because the pull request is made there.",
        ),
        "$ git remote add origin https://git.example/team/project.git\n$ releasekit publish",
    ),
    ErrorPage(
        ErrorCode.REMOTE_UNREACHABLE,
        (
            "There is no network, or the host of the remote is down.",
            "The address of the remote is wrong, or the repository was moved or deleted.",
            "git has no credentials for the remote, or they are refused.",
        ),
        "$ git ls-remote origin\n$ git remote get-url origin",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_VULNERABLE,
        (
            "A locked dependency has a known vulnerability. Without strict_audit it is a warning.",
            "strict_audit is set, or you passed --strict-audit.",
            "With strict_audit: the audit itself failed, for example because its service cannot be reached.",
        ),
        "$ uv audit\n$ uv lock --upgrade-package jinja2   # the package that is named",
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_NEW_PROJECTS,
        (
            "It is a warning. More than 4 packages of this plan have never been on PyPI.",
            "releasekit publishes what PyPI accepts, and says when the rest can follow.",
            "A deployment schedules its next run for that time. Elsewhere you run publish again.",
        ),
        "$ releasekit publish     # today: the first new projects\n$ releasekit publish     # tomorrow: the rest",
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_PROJECT_NAME,
        (
            "A package has the name of a module of the standard library, such as `types`.",
            "The index has a project with almost the same name, such as `shopcore` beside `shop-core`.",
            "Two new packages of the workspace have almost the same name.",
        ),
        "RK-PREFLIGHT-PROJECT-NAME: shop-core is too similar to shopcore, which the index has",
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.PREFLIGHT_CONCURRENT_RELEASE,
        (
            "A workflow is publishing the same release at this moment.",
            "A merged release pull request is drafted, but its publishing workflow failed or never ran.",
            "Somebody staged a release and handed it to CI, so its draft contains a manifest.",
        ),
        "$ releasekit status\n$ releasekit publish --manifest v1.3.0   # the tag of the draft",
        _PULL_REQUESTS,
    ),
    ErrorPage(
        ErrorCode.LOCK_ACQUISITION_FAILED,
        (
            "Another `releasekit publish`, `prepare` or `rollback` runs in this clone, in another terminal or job.",
            "A Prefect worker on this machine is releasing the same repository.",
        ),
        (
            "$ releasekit status      # works while a release runs\n"
            "$ releasekit publish     # when the other one has ended"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.NOT_CONFIRMED,
        (
            "You answered no, or pressed Enter without an answer.",
            "There is no terminal, as in CI, and you did not pass --yes.",
            "Somebody rejected the release with `releasekit approve`, or nobody answered within approval_timeout.",
        ),
        "$ releasekit publish --yes",
        _APPROVAL,
    ),
    ErrorPage(
        ErrorCode.FIRST_RELEASE,
        (
            "You added a package to the workspace, and this is its first release.",
            "A package is internal, such as tests or examples, and `exclude` does not name it.",
            "You ran publish with --yes or without a terminal, or prepare, and nothing permits the first release.",
            "The tags of earlier releases are not in this clone, or have another form than tag_format.",
        ),
        "$ releasekit publish --yes --allow-new core",
        _SELECT,
    ),
    ErrorPage(
        ErrorCode.RUN_NOT_WAITING,
        (
            "The name or the id is misspelt, or the beginning of an id matches several runs.",
            "The run was answered already, was cancelled, or has ended.",
            "You ask another Prefect server than the one that the release runs on.",
        ),
        "$ releasekit approve\n$ releasekit approve crimson-otter",
        _APPROVAL,
    ),
    ErrorPage(
        ErrorCode.FILE_SYSTEM,
        (
            "The disk is full, a quota is reached, or the file system is read-only.",
            "A file belongs to another user, for example because an earlier run used sudo.",
        ),
        "error: RK-FILE-SYSTEM: No space left on device\n$ df -h .\n$ releasekit publish",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.INDEX_UNKNOWN,
        (
            "`index` or --index names an index that [[tool.uv.index]] does not have, or one without a publish-url.",
            "You set publish_url without check_url, so uploads could not be confirmed.",
            "uv has no default index, or does not say where it uploads to.",
        ),
        (
            "[[tool.uv.index]]\n"
            'name = "internal"\n'
            'url = "https://packages.example/simple/"\n'
            'publish-url = "https://upload.example/legacy/"'
        ),
        _CREDENTIALS,
    ),
    ErrorPage(
        ErrorCode.INDEX_UNREACHABLE,
        (
            "There is no network, a proxy blocks the connection, or the name of the host is wrong.",
            "The index answers 429 or a server error again and again.",
            "With --rehearse: the throwaway index did not start.",
        ),
        "$ curl --head https://packages.example/simple/\n$ releasekit plan --offline   # a plan from git alone",
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.INDEX_CREDENTIALS,
        (
            "UV_PUBLISH_TOKEN is missing, wrong or expired, or may not upload to this project.",
            "UV_PUBLISH_TOKEN is set together with a user name or a password, or the publish URL has other ones.",
            "The index wants credentials for reading too: UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD.",
            "In CI, nothing is set, and the index has no trusted publishing: an index of your own, for example.",
        ),
        '$ export UV_PUBLISH_TOKEN="$(cat token.txt)"\n$ releasekit publish',
        _CREDENTIALS,
    ),
    ErrorPage(
        ErrorCode.INDEX_NO_PUBLISHER,
        (
            "A project has no trusted publisher, or one with another repository, workflow file or environment.",
            "The job runs in another workflow file than the one that starts it: PyPI compares the file that starts it.",
            "Several projects are new, and PyPI takes one pending publisher at a time for a workflow.",
            "On GitLab, the job has no entry for the index in `id_tokens`.",
        ),
        "$ UV_PUBLISH_TOKEN=pypi-… releasekit publish --publish-from local   # once, for several new projects",
        _CREDENTIALS,
    ),
    ErrorPage(
        ErrorCode.INDEX_STORED_TOKEN,
        (
            "UV_PUBLISH_TOKEN is a secret of the repository, from the time before trusted publishing.",
            "The job has the permission `id-token: write`, but the token is set too, and then it is used.",
        ),
        "$ gh secret delete UV_PUBLISH_TOKEN   # after each project on the index has a trusted publisher",
        _CREDENTIALS,
    ),
    ErrorPage(
        ErrorCode.INDEX_UNENCRYPTED,
        (
            "publish_url, UV_PUBLISH_URL or the publish-url of an index begins with http:// and names another machine.",
            "An index in your network has no certificate yet.",
        ),
        '[tool.releasekit]\npublish_url = "https://packages.example.com/legacy/"',
        _CREDENTIALS,
    ),
    ErrorPage(
        ErrorCode.INDEX_RESPONSE,
        (
            "The URL is the upload address or the web page of the index, not the root of its simple pages.",
            "A login page or a proxy answers instead of the index.",
            "The index answers with an unexpected status, or with a page that cannot be read.",
        ),
        (
            "[tool.releasekit]\n"
            'publish_url = "https://upload.example/legacy/"\n'
            'check_url = "https://packages.example/simple/"   # the simple root'
        ),
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.FORGE_UNKNOWN,
        (
            "The name of the remote's host shows no forge that releasekit knows, or the remote is a directory.",
            "It stops the release only with forge_required. Otherwise the release has no page with notes.",
        ),
        '[tool.releasekit]\nforge = "gitlab"\nforge_url = "https://git.example/api/v4"',
        _RELEASE_NOTES,
    ),
    ErrorPage(
        ErrorCode.FORGE_NO_TOKEN,
        (
            "Neither the variable nor `secrets` has a token, and `gh` is not logged in.",
            "It stops the release only with forge_required, and `prepare` always.",
        ),
        "$ gh auth login\n$ releasekit publish",
        _RELEASE_NOTES,
    ),
    ErrorPage(
        ErrorCode.FORGE_CREDENTIALS,
        (
            "The token has expired, was revoked, or is not complete.",
            "The token belongs to an account that cannot see this private repository.",
            "The remote still has the old address of a repository that was renamed or moved.",
        ),
        "$ gh auth status\n$ git remote get-url origin",
        _RELEASE_NOTES,
    ),
    ErrorPage(
        ErrorCode.FORGE_READ_ONLY,
        (
            "In GitHub Actions, the workflow does not give its token `contents: write`.",
            "A fine-grained token has no write access to the contents, or your role does not allow releases.",
            "On GitLab, the token has no scope `api`, or a role below Developer.",
            "On Gitea, the token has no permission `write:repository`.",
        ),
        "permissions:\n  contents: write         # releases and tags\n  pull-requests: write    # prepare",
        _GITHUB,
    ),
    ErrorPage(
        ErrorCode.FORGE_UNREACHABLE,
        (
            "There is no network, or the forge is down: it answered with a server error at every attempt.",
            "forge_url is not the address of its API.",
        ),
        "$ releasekit publish     # only what is missing is done again",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.FORGE_RATE_LIMIT,
        (
            "Many requests used the same token in a short time, for example other jobs of your organization.",
            "releasekit waits for short limits itself. This limit is longer.",
        ),
        "$ gh api rate_limit     # shows when the limit ends\n$ releasekit publish",
        _RELEASE_NOTES,
    ),
    ErrorPage(
        ErrorCode.FORGE_REFUSED,
        (
            "A rule of the repository forbids the change, such as a protected tag or a release that is immutable.",
            "The request does not fit the repository: pull requests are disabled, or a branch does not exist.",
        ),
        "$ releasekit --verbose publish     # logs every request and its answer",
        _RELEASE_NOTES,
    ),
    ErrorPage(
        ErrorCode.NOTES_TEMPLATE,
        (
            "The file that notes_template names does not exist or is not UTF-8.",
            "It has a syntax error of Jinja2, or uses a variable that does not exist.",
            "It is outside the workspace, or a link leads there.",
            "It takes longer than 20 seconds, or more than 1 GB of memory.",
        ),
        "$ releasekit notes      # renders the template, and releases nothing",
        _RELEASE_NOTES,
    ),
    ErrorPage(
        ErrorCode.NOTES_COMMAND,
        (
            "The program in notes_command is not installed, fails, or takes too long.",
            "It printed nothing.",
        ),
        (
            "[tool.releasekit]\n"
            'notes_command = ["python", "tools/rewrite_notes.py"]   # reads the notes, prints new ones'
        ),
        _RELEASE_NOTES,
    ),
    ErrorPage(
        ErrorCode.PRE_RELEASE_COMMAND,
        (
            "The program is not installed, ends with an error, or takes longer than `build_timeout`.",
            "It needs credentials, which no command gets, or files that git does not track.",
            "It changes the version of a package, or makes a commit.",
        ),
        (
            '[tool.releasekit]\npre_release = ["uv run --frozen scripts/docs.py", ["npm", "run", "build"]]   # no shell'
        ),
        "docs/guides/release-commit.md",
    ),
    ErrorPage(
        ErrorCode.COMMAND_FAILED,
        (
            "A program that releasekit runs, mostly git or uv, ended with an error, and no other code describes it.",
            "The program could not be started.",
        ),
        "$ releasekit --verbose plan     # logs every command that is run",
    ),
    ErrorPage(
        ErrorCode.COMMAND_TIMEOUT,
        (
            "A build or another command hangs, for example because it waits for input or for the network.",
            "The build is slow, and build_timeout is too short for it.",
        ),
        "[tool.releasekit]\nbuild_timeout = 3600   # seconds for one build; default 1800",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.TOOL_USAGE,
        (
            "The uv or git on the PATH is much newer or older than those that releasekit knows.",
            "A variable of uv contradicts an option, and releasekit does not know it yet.",
        ),
        "$ uv --version\n$ releasekit --version",
    ),
    ErrorPage(
        ErrorCode.RECORD_INVALID,
        (
            "A file below .git/releasekit was deleted, edited or cut off, for example by a full disk.",
            "A newer releasekit wrote the record or the manifest.",
            (
                "With --manifest: a file is missing or has other bytes than recorded, or the release commit contains "
                "changes that a release does not make."
            ),
        ),
        "$ releasekit status\n$ releasekit publish --resume-from-registry",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.COMMIT_MISSING,
        (
            "The job that publishes has a shallow clone, or has another branch checked out than the staging job.",
            "The staging job did not push the release commit, and `commit.bundle` is not next to the manifest.",
            "The manifest belongs to another repository.",
        ),
        "$ git fetch --unshallow --tags\n$ releasekit publish --manifest release/manifest.json",
        _STAGED,
    ),
    ErrorPage(
        ErrorCode.RELEASE_UNKNOWN,
        (
            "The name that you gave to rollback or manifest is misspelt, or the release was removed already.",
            "The beginning of an id matches several releases.",
            "The release on the forge does not exist, or has no manifest.",
            "There is no tag or no file of the version that you gave to verify, repair or yank.",
        ),
        "$ releasekit status\n$ releasekit rollback v1.3.0",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.RELEASE_ELSEWHERE,
        (
            "Another machine or CI job is releasing this repository, or stopped in the middle of it.",
            "This clone has an unfinished release, and you ask for another one with --manifest or --version-only.",
            "Another clone has finished the same release; its tags are not here yet.",
        ),
        (
            "$ releasekit status                          # who releases, where and since when\n"
            "$ releasekit publish --resume-from-registry  # only if that machine is lost"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.RELEASE_TAKEN_OVER,
        (
            (
                "The release of this clone was interrupted, and somebody continued it elsewhere with "
                "--resume-from-registry."
            ),
            "Somebody abandoned it from another clone with `rollback`.",
        ),
        "$ git fetch --tags\n$ releasekit rollback",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.RELEASE_NOT_HELD,
        (
            "It is a warning. A server-side hook or a rule allows only branches and tags.",
            "The token may push to branches, but not to other references.",
        ),
        "warning RK-RELEASE-NOT-HELD: ! [remote rejected] refs/releasekit/running (hook declined) (origin)",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.ROLLBACK_UNFINISHED,
        (
            "A `releasekit rollback` was interrupted, or failed in the middle. Until it ends, publish refuses.",
        ),
        "$ releasekit rollback\n$ releasekit publish",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.FILES_LOST,
        (
            "The directory `dist` of the record was deleted, or a file in it has changed.",
            "A CI job resumes a release without the files of the job before.",
        ),
        "$ releasekit status\n$ releasekit publish --resume-from-registry",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.REBUILD_DIFFERS,
        (
            "The build is not reproducible: setuptools, for example, writes the time of the build into sdists.",
            "This machine has another version of the build backend than the one that built the files.",
        ),
        "$ scp -r laptop:shop/.git/releasekit/84cb28c44dac .git/releasekit/\n$ releasekit publish",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.BUILD_FAILED,
        (
            "`uv build` or a `pre_build` command fails. They do not see your working tree, only what is committed.",
            "A build requirement or a program is missing, or cannot be installed on this machine.",
            "The wheel is built from the sdist, and the sdist lacks a file, such as one from another directory.",
            "The package builds only with [tool.uv.sources]. A release builds without them, as users do.",
        ),
        (
            "$ uv build --package core --no-sources\n"
            '$ git commit -am "fix: declare the build requirement"\n'
            "$ releasekit publish"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.VERIFY_FAILED,
        (
            "A built file was changed on this disk after it was verified.",
            "The files of a staged release were replaced before they were published.",
        ),
        "$ releasekit status\n$ releasekit rollback\n$ releasekit publish",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_ARCHIVE,
        (
            "The file is empty, cut off or damaged, or a member does not match its checksum.",
            "A member is encrypted, or compressed with something else than deflate.",
            "The sdist is not compressed with gzip.",
        ),
        (
            "RK-VERIFY-ARCHIVE: core-1.3.0-py3-none-any.whl: core/a.py is compressed with method 12;\n"
            "    installers read deflate only"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_BYTES,
        (
            "A script or another archive is in front of the archive, behind it or between its members.",
            "The header of a member contradicts the directory of the archive, or its sizes are behind its content.",
            "The end of the archive says another number of members than the archive has.",
        ),
        "RK-VERIFY-BYTES: core-1.3.0-py3-none-any.whl: has bytes after its end, which PyPI refuses",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_CHANGED,
        (
            "A build hook writes into modules, and the sdist was built without it.",
            "The wheel was built from a checkout with changes that the sdist does not have.",
        ),
        "RK-VERIFY-CHANGED: core-1.3.0-py3-none-any.whl: not the same as in core-1.3.0.tar.gz: core/app.py",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_CLASSIFIER,
        (
            "A classifier is misspelt, or PyPI has replaced it.",
            "The package has `Private :: Do Not Upload`, but is released.",
            "As a warning: a license classifier is beside a license expression.",
        ),
        "RK-VERIFY-CLASSIFIER: core-1.3.0.tar.gz: classifiers that do not exist: Framework :: Djagno",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_COMMON,
        (
            "The backend takes every directory of the project, so that `tests` or `docs` is installed, too.",
            "A top-level module has the name of a module of the standard library.",
        ),
        "RK-VERIFY-COMMON: core-1.3.0-py3-none-any.whl: names at the top that other packages use, too: tests",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_DUPLICATE,
        (
            "The settings of the backend include a file twice, for example by `force-include`.",
            "A file has the path of a directory that has files, too.",
            "As a warning: `core.py` beside `core/__init__.py`, which Python prefers.",
        ),
        "RK-VERIFY-DUPLICATE: core-1.3.0-py3-none-any.whl: members that occur more than once: core/mod.py",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_EMPTY,
        (
            "The import package has another name than the project, and the backend does not find it.",
            "A generated module was not generated.",
            "A package of requirements only is fine: then the sdist has no code either.",
        ),
        "RK-VERIFY-EMPTY: core-1.3.0-py3-none-any.whl: has no module",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_ENTRY_POINT,
        (
            "The module or function of a command was renamed, or the module is not in the wheel.",
            "As a warning: the module does not define the function. Only its syntax is read; nothing is imported.",
            "The name of a command has other signs than letters, digits, `.`, `_` and `-`, which PyPI refuses.",
            "entry_points.txt cannot be read.",
        ),
        (
            "RK-VERIFY-ENTRY-POINT: core-1.3.0-py3-none-any.whl: the entry point shop = core.app:main:\n"
            "    core.app does not define main"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_FILES,
        (
            "The backend writes an sdist as .zip, or none.",
            "A build hook leaves other files in the output directory.",
        ),
        "RK-VERIFY-FILES: expected one sdist (.tar.gz) and a wheel, found: core-1.3.0.zip",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_FILE_NAME,
        (
            (
                "The backend is old, and writes `My.Core-1.3.0` instead of `my_core-1.3.0`. uv does not upload such "
                "a file."
            ),
            "The backend derives another version from git.",
            "A build hook renames the file.",
        ),
        (
            "RK-VERIFY-FILE-NAME: my.core-1.3.0-py3-none-any.whl: the normalized name begins with\n"
            "    my_core-1.3.0; uv does not upload other names"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_HIDDEN,
        (
            "A text was copied from a page or a document, together with a right-to-left mark.",
            "The summary has escape sequences of a terminal.",
            "A module has characters that change the order in which editors show it (CVE-2021-42574).",
            "The name of a file has a letter of another alphabet, such as a Cyrillic o, among Latin ones.",
        ),
        "RK-VERIFY-HIDDEN: core-1.3.0.tar.gz: fields with control or invisible characters: Summary",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LEFTOVER,
        (
            "The backend includes everything in a directory, not only what git tracks.",
            "A file such as `core/mod.py.orig` is committed.",
        ),
        "RK-VERIFY-LEFTOVER: core-1.3.0.tar.gz: left-over files: core-1.3.0/.venv/pyvenv.cfg",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LICENSE,
        (
            "`license` has free text.",
            "The metadata has both `License` and `License-Expression`, which PyPI refuses.",
            "`License-File` names a file that the archive does not have.",
            "A path of `license-files` leads out of the package.",
        ),
        "RK-VERIFY-LICENSE: core-1.3.0-py3-none-any.whl: License-File names files that are missing: LICENSE",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST,
        (
            "The settings of the backend list the packages, and a new one is not in the list.",
            "`py.typed` is not listed as package data.",
        ),
        "RK-VERIFY-LOST: core-1.3.0-py3-none-any.whl: "
        "in core-1.3.0.tar.gz, but not in the wheel:\n    core/extra.py",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_MEMBER,
        (
            "A symbolic link of the project leads to a file outside of it.",
            "A wheel has a link: installers write its target as the text of a file.",
        ),
        "RK-VERIFY-MEMBER: core-1.3.0.tar.gz: links that lead out: core-1.3.0/data -> ../../shared/data",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_METADATA,
        (
            "The summary has more than 512 characters or several lines.",
            "PyPI does not accept an e-mail address: it is incomplete, or ends with `.local`, `.test` or `.invalid`.",
            "The backend writes a version of the metadata that PyPI does not know yet.",
            "METADATA, WHEEL or RECORD is not encoded as UTF-8.",
        ),
        "RK-VERIFY-METADATA: core-1.3.0.tar.gz: Summary has 600 characters, and PyPI accepts 512",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_MISSING,
        (
            "A wheel has no METADATA, WHEEL or RECORD, or more than one .dist-info directory.",
            "An sdist has no PKG-INFO or no pyproject.toml.",
        ),
        "RK-VERIFY-MISSING: core-1.3.0-py3-none-any.whl: RECORD is missing",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_MODE,
        ("The file has these bits in your checkout, and the backend keeps them.",),
        "RK-VERIFY-MODE: core-1.3.0.tar.gz: files with setuid, setgid or sticky bits: core-1.3.0/run.sh",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_NAME,
        (
            "The version comes from git, and the backend does not see the tag or the release.",
            "The .dist-info directory is named for another project or version, or spells them in another way.",
            "The version has a local part, such as `1.3.0+cuda`.",
            "As a warning: the `__version__` in the code is another one. `releasekit check --fix` adds it to `bump`.",
        ),
        "RK-VERIFY-NAME: core-1.3.0-py3-none-any.whl: METADATA has the version 1.2.9, but 1.3.0 is planned",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_PATH,
        (
            "A path is absolute, has `..`, `//` or a backslash.",
            "A name has escape sequences, a right-to-left override or other invisible characters.",
        ),
        "RK-VERIFY-PATH: core-1.3.0-py3-none-any.whl: paths that lead out of the archive: core/../../evil.py",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_PKG_INFO,
        (
            "A build hook changes the requirements of the wheel only.",
            "As a warning: a field that installers do not read differs, such as the author.",
        ),
        (
            "RK-VERIFY-PKG-INFO: core-1.3.0.tar.gz: fields of PKG-INFO that differ from\n"
            "    core-1.3.0-py3-none-any.whl: Requires-Dist"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_PLATFORM,
        (
            "A wheel for any platform has compiled modules.",
            "PyPI refuses the platform: `linux_x86_64`, which manylinux replaces, or `macosx_13_3`, not `macosx_13_0`.",
            "As a warning: a wheel for one platform has no compiled code.",
            "As a warning: the wheel is for versions of Python that its Requires-Python excludes.",
        ),
        (
            "RK-VERIFY-PLATFORM: core-1.3.0-cp311-cp311-linux_x86_64.whl: platform tags that PyPI refuses:\n"
            "    linux_x86_64"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_POINTER,
        ("The machine that builds has no git-lfs, or the checkout does not fetch the files.",),
        (
            "RK-VERIFY-POINTER: core-1.3.0-py3-none-any.whl: pointers of Git LFS instead of the files:\n"
            "    core/model.bin"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_PORTABLE,
        (
            "Two names differ only in case: Windows and macOS keep one of them.",
            "A name has a colon, ends with a dot, or is reserved on Windows, such as `aux.py`.",
            "A path is longer than many systems allow.",
        ),
        (
            "RK-VERIFY-PORTABLE: core-1.3.0.tar.gz: paths that differ only in case or accents: core/A.py and\n"
            "    core/a.py"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_PRIVATE,
        (
            "The backend includes everything in the directory, also `.env`, `.pypirc` or `.git`.",
            "The package has a submodule: uv_build, flit, Poetry and PDM pack its `.git`. Exclude it from the sdist.",
            "As a warning: such a file is in a directory of tests or documentation, where it is probably a sample.",
        ),
        (
            "RK-VERIFY-PRIVATE: core-1.3.0.tar.gz: files that usually hold secrets or the history:\n    core-1.3.0/.env"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_README,
        (
            "A README in reStructuredText has a syntax error, or a directive that an index does not run.",
            "The content type is not text/markdown, text/x-rst or text/plain.",
            "A README in Markdown is declared as reStructuredText.",
        ),
        (
            "RK-VERIFY-README: core-1.3.0.tar.gz: the description cannot be rendered: 7: (ERROR/3) Unexpected\n"
            "    indentation."
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_RECORD,
        (
            "A build hook adds, changes or removes a file of the finished wheel.",
            "A hash is missing, or of a kind that is too weak, such as md5.",
            "uv_build before 0.8.13 writes hashes as hexadecimal digits: a warning, because PyPI accepts them.",
        ),
        "RK-VERIFY-RECORD: core-1.3.0-py3-none-any.whl: not in RECORD: core/late.py",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_REQUIREMENT,
        (
            "A requirement on a sibling comes from a place that the release does not pin.",
            "A requirement has the form `name @ https://…`, which PyPI refuses.",
        ),
        "RK-VERIFY-REQUIREMENT: core-1.3.0-py3-none-any.whl: requires base>=1, but ==1.3.0 is planned",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_SECRET,
        (
            "A token is written in the code or in a configuration file.",
            "A key is in a directory that the backend includes.",
            (
                "As a warning: the file is in a directory of tests or documentation, where the secret is probably a "
                "sample."
            ),
        ),
        "RK-VERIFY-SECRET: core-1.3.0-py3-none-any.whl: secrets: PyPI token in core/conf.py",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_SIBLING,
        (
            "The backend finds the modules of a neighbour, for example because both packages share a directory `src`.",
        ),
        "RK-VERIFY-SIBLING: web-1.3.0-py3-none-any.whl: modules that belong to another package: core of core",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_SIZE,
        (
            "The file has more than 100 MiB, the usual limit of PyPI.",
            "It unpacks to more than 64 MiB and to more than 50 times its size.",
        ),
        (
            "RK-VERIFY-SIZE: core-1.3.0-py3-none-any.whl: unpacks to more than 50 times its size, which PyPI\n"
            "    refuses"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_STARTUP,
        ("The wheel has a .pth file, a sitecustomize.py or a usercustomize.py at its top.",),
        "RK-VERIFY-STARTUP: core-1.3.0-py3-none-any.whl: files that Python reads at each start: core.pth",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_SYNTAX,
        (
            "A merge left its markers in the file.",
            "The module needs a later Python than `requires-python` says.",
            "As a warning: the file is a template or in a directory of tests.",
        ),
        "RK-VERIFY-SYNTAX: core-1.3.0-py3-none-any.whl: core/mod.py: line 3: invalid syntax",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_TOP,
        (
            "The directory is named for another version or another form of the name.",
            "A build hook adds files at the top of the archive.",
        ),
        "RK-VERIFY-TOP: core-1.3.0.tar.gz: everything must be in core-1.3.0/, and these are not: notes.txt",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_URL,
        (
            "An address has no scheme, or one such as `javascript:` or `git+ssh:`.",
            "A label is longer than PyPI accepts.",
            "An address has a user name and a password: `https://ada:secret@example.com`.",
            "An address has `[` or `]` in its path or query.",
        ),
        "RK-VERIFY-URL: core-1.3.0.tar.gz: Project-URL Home, example.com: it is not an address of the web",
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_WAIVER,
        (
            "The problem that the waiver was made for is gone.",
            "The name of the package is misspelt, or the package was renamed.",
        ),
        (
            "[tool.releasekit]\n"
            "verify_ignore = [\n"
            '    { rule = "startup", package = "core", reason = "it is the purpose of core" },\n'
            "]"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_WHEEL,
        (
            "A build hook renames the wheel, and the tags in WHEEL stay.",
            "Wheel-Version is not 1.0.",
            "As a warning: Root-Is-Purelib is false in a wheel for any platform.",
        ),
        (
            "RK-VERIFY-WHEEL: core-1.3.0-py3-none-any.whl: the tags in WHEEL differ from those in the file\n"
            "    name: cp311-cp311-linux_x86_64"
        ),
        _VERIFICATION,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST_IMPORT,
        (
            "A module was moved or deleted in a release that is no major one.",
            "The build configuration no longer includes the module.",
        ),
        (
            '[tool.releasekit]\nverify_ignore = [{ rule = "LOST-IMPORT", package = "shop", reason = "nobody uses it" }]'
        ),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST_SCRIPT,
        (
            "A line of [project.scripts] was deleted or renamed in a release that is no major one.",
            "The build backend no longer writes entry_points.txt.",
        ),
        ('[project.scripts]\nshop = "shop.cli:main"   # the command that the last release has'),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST_ENTRY_POINT,
        (
            "A line of [project.entry-points] was deleted or renamed in a release that is no major one.",
        ),
        (
            '[project.entry-points."shop.plugins"]\n'
            'card = "shop_card:Card"   # the entry point that the last release has'
        ),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST_EXTRA,
        (
            "A line of [project.optional-dependencies] was deleted or renamed in a release that is no major one.",
        ),
        ("[project.optional-dependencies]\nfast = []   # the package no longer needs more for it"),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST_TYPES,
        (
            "The file was deleted.",
            "The build configuration includes only files that end with .py.",
        ),
        (
            '[tool.releasekit]\nverify_ignore = [{ rule = "LOST-TYPES", package = "shop", reason = "nobody uses it" }]'
        ),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_RAISED_PYTHON,
        ("`requires-python` was raised.",),
        "$ releasekit publish --bump shop=minor",
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST_FILES,
        (
            "The build configuration no longer includes data files, such as templates.",
            "A build step that generates files did not run.",
            "The files were deleted, which is only a warning.",
        ),
        (
            '[tool.releasekit]\nverify_ignore = [{ rule = "LOST-FILES", package = "shop", reason = "nobody uses it" }]'
        ),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_LOST_BYTES,
        (
            "A build step wrote empty or shortened files.",
            "Large files were removed on purpose.",
        ),
        (
            '[tool.releasekit]\nverify_ignore = [{ rule = "LOST-BYTES", package = "shop", reason = "nobody uses it" }]'
        ),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_NOT_REPRODUCIBLE,
        (
            "The build backend writes the time of the build: setuptools does so in sdists.",
            "The build writes a path, a random number or the order of a set into a file.",
        ),
        (
            "[tool.releasekit]\n"
            'reproducible = "check"\n'
            'verify_ignore = [{ rule = "NOT-REPRODUCIBLE", package = "shop", reason = "setuptools" }]'
        ),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.VERIFY_API_BREAK,
        (
            "A public function, class or attribute was removed or renamed.",
            "A parameter was removed, or a new one has no default.",
            "A name is public that should not be. Begin it with an underscore, or list the public names in `__all__`.",
        ),
        (
            '[tool.releasekit]\napi_ignore = [{ path = "shop.cart.total", reason = "only we call it" }]'
        ),
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.COMPARE_SKIPPED,
        (
            "The index does not answer, or does not give the file.",
            "All files of the last release are yanked or removed.",
            "The last release has no wheel.",
        ),
        "$ releasekit publish --stage-only --output dist/release   # stage it again",
        _DIFFERENCES,
    ),
    ErrorPage(
        ErrorCode.WHEEL_TAG,
        (
            "setuptools, meson-python and others tag a wheel with the machine that built it, such as `linux_x86_64`.",
            "The wheels of `--platform linux-x86_64` are tagged for another machine: the job runs on a wrong runner.",
        ),
        '[tool.releasekit]\nbuild_command = "cibuildwheel --output-dir {output}"',
        _NATIVE,
    ),
    ErrorPage(
        ErrorCode.WHEELS_MISSING,
        (
            "A build failed on one platform, and its job was not required.",
            "The package no longer supports a Python version or a machine.",
        ),
        "$ releasekit publish --manifest merged/manifest.json --allow-missing-wheels core",
        _NATIVE,
    ),
    ErrorPage(
        ErrorCode.PLATFORM_MISSING,
        (
            "The part of one platform was not given to `releasekit merge`.",
            "`releasekit publish` on one machine cannot build wheels for another one.",
        ),
        "$ releasekit publish --stage-only --output base\n"
        "$ releasekit publish --stage-only --platform linux --manifest base/manifest.json --output part\n"
        "$ releasekit merge base part --output merged",
        _NATIVE,
    ),
    ErrorPage(
        ErrorCode.PARTS_DIFFER,
        (
            "Each job has staged the release for itself, so each has another release commit.",
            "A wheel for every machine (`py3-none-any`) was built on two platforms, with different bytes.",
        ),
        "$ releasekit merge base part-linux part-macos --output merged",
        _NATIVE,
    ),
    ErrorPage(
        ErrorCode.STAGE_ON_FAILED,
        (
            "The package does not build on this platform: its compiler or a library is missing.",
            "Three workers of the queue ended, one after the other, while they built.",
        ),
        "$ prefect worker start --pool releasekit --work-queue linux-x86_64",
        _NATIVE,
    ),
    ErrorPage(
        ErrorCode.STAGE_STORAGE,
        (
            "The variables with the credentials of the bucket are not set on this machine.",
            "The package that fsspec needs for this kind of URL is not installed.",
        ),
        '[tool.releasekit]\nstage_storage = "s3://bucket/wheels"',
        _NATIVE,
    ),
    ErrorPage(
        ErrorCode.TASK_RUNNER,
        (
            "`task_runner` names Dask or Ray, and the package that connects them with Prefect is not installed.",
            "`task_runner_options` has an argument that the task runner does not know.",
            "Nothing answers at the address of the scheduler.",
        ),
        "$ uv run --with prefect-dask releasekit publish --task-runner dask",
        _MACHINES,
    ),
    ErrorPage(
        ErrorCode.SBOM_NEEDS_LOCK,
        ("`.gitignore` has uv.lock, as in many repositories of libraries.",),
        "[tool.releasekit]\nsbom = false",
        "docs/guides/staged-builds.md",
    ),
    ErrorPage(
        ErrorCode.RESOLVE_FAILED,
        (
            "A package requires a version of a dependency that does not exist on the index.",
            "Two packages of the release require versions that exclude each other.",
            "`requires-python` of a dependency excludes a Python version that the package allows.",
        ),
        "$ releasekit graph --deps app\n$ releasekit plan -p app -p core   # release both together",
        _REQUIREMENTS,
    ),
    ErrorPage(
        ErrorCode.STAGED_IMPORT_FAILED,
        (
            "A module is missing in the wheel, or a dependency is not declared.",
            "The package needs something that this machine lacks, such as a system library or a GPU.",
        ),
        (
            "[tool.releasekit]      # in the pyproject.toml of the package\n"
            "smoke_test = false     # it cannot be imported on a build machine"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.UPLOAD_FAILED,
        (
            "The index answered with a server error, or not at all, and repeating did not help.",
            "The upload of a large file took longer than upload_timeout.",
        ),
        "[tool.releasekit]\nupload_timeout = 1800   # seconds for the files of one package; default 600",
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.UPLOAD_LIMITED,
        (
            "The index answered 429: too many uploads in a short time.",
            "PyPI refuses more new projects of your account today.",
            "The index announced a wait that is longer than releasekit waits.",
        ),
        "[tool.releasekit]\nrate_limit = 30   # files a minute",
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.UPLOAD_REFUSED,
        (
            (
                "The metadata is not valid for this index, for example an unknown classifier or a description that "
                "does not render."
            ),
            "The file is too large, or the index has a limit for the project.",
            "A deleted file had the same name: PyPI never accepts that name again.",
        ),
        '$ releasekit rollback\n$ git commit -am "fix(core): remove the unknown classifier"\n$ releasekit publish',
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.YANK_REFUSED,
        (
            "The credentials are missing, or may not change this package.",
            "The index serves the package from another index, which it does not change.",
        ),
        '$ releasekit yank core 1.3.0 --reason "it deletes files"',
        "docs/guides/yank.md",
    ),
    ErrorPage(
        ErrorCode.UPLOAD_CLOSED,
        (
            (
                "A release was interrupted after it uploaded some files of a version, and you continue it after the "
                "time limit of the index."
            ),
            "As a warning, from 10 days on: the time limit is near.",
        ),
        (
            "$ releasekit publish      # before the day that is named\n"
            "$ releasekit rollback     # after it; then commit a `fix:` and publish"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.PUBLISH_TIMEOUT,
        (
            "The index works through uploads slowly, or a cache in front of it shows old pages.",
            "check_url belongs to another index than publish_url.",
        ),
        "[tool.releasekit]\nconfirm_timeout = 1800   # seconds until the index must list a file; default 600",
        _INDEX_FAULTS,
    ),
    ErrorPage(
        ErrorCode.PUBLISH_CHECKSUM_MISMATCH,
        (
            "Somebody uploaded the same version from another machine or by hand.",
            "An earlier release built the version, its record was lost, and the rebuild has other bytes.",
            "A mirror or a cache changes files.",
        ),
        (
            "$ releasekit rollback     # then yank the version if it is not yours\n"
            '$ git commit -am "fix(core): state the license"   # any change in core\n'
            "$ releasekit publish"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.SMOKE_TEST_FAILED,
        (
            "A dependency on the index changed, was yanked, or does not fit together with the package.",
            "The index was not reachable during the test.",
            "The package cannot be imported on this machine: set smoke_test = false for it.",
        ),
        "$ uv run --isolated --no-project --with core==1.3.0 python -c 'import core'\n$ releasekit publish",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.BLOCKED,
        (
            "A package that this one requires failed. Packages that do not need it are still published.",
            "The index refused the credentials or all uploads, so the remaining uploads were not tried.",
        ),
        "$ releasekit status       # which package failed, and why\n$ releasekit publish",
        "docs/explanation/order-and-the-graph.md",
    ),
    ErrorPage(
        ErrorCode.PUSH_REJECTED,
        (
            "The branch is protected, or a hook refuses the commit. The tags are then pushed without the branch.",
            "Before the release: the branch on the remote has commits that you do not have.",
            "The remote has a tag of the same name on another commit.",
        ),
        (
            "$ git pull --rebase       # if the branch is ahead on the remote, before a release begins\n"
            "$ releasekit publish"
        ),
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.BRANCH_MOVED,
        (
            "Somebody pushed to the branch while the release ran. The tags are pushed, because they are true.",
            "With --version-only: the branch of this clone moved while the versions were written.",
        ),
        "$ git pull --no-rebase\n$ git push\n$ releasekit publish",
        _RECOVERY,
    ),
    ErrorPage(
        ErrorCode.BRANCH_UNPUSHED,
        (
            "You have local commits that are not pushed.",
            "The remote has no branch with this name.",
        ),
        "$ git push --set-upstream origin main\n$ releasekit prepare",
        _PULL_REQUESTS,
    ),
    ErrorPage(
        ErrorCode.PULL_EMPTY,
        (
            "All versions are dynamic and come from tags, and changelog = false. So the release commit would be empty.",
        ),
        "[tool.releasekit]\nchangelog = true",
        _PULL_REQUESTS,
    ),
    ErrorPage(
        ErrorCode.PULL_MOVED,
        (
            "Somebody pushed a commit to the release branch, or merged another branch into it.",
            "release_branch names a branch that you use for something else. It must belong to releasekit alone.",
        ),
        (
            "$ git push --delete origin releasekit/release   # discards the commits of others on it\n"
            "$ releasekit prepare"
        ),
        _PULL_REQUESTS,
    ),
    ErrorPage(
        ErrorCode.PULL_STALE,
        (
            "A commit was merged before the release pull request, after its last update, and it changes the versions.",
            "Somebody edited a version in the pull request.",
        ),
        "$ git pull\n$ releasekit prepare",
        _PULL_REQUESTS,
    ),
    ErrorPage(
        ErrorCode.SERVER_UNREACHABLE,
        (
            "The Prefect server is not running, or PREFECT_API_URL has a wrong address.",
            "The server stopped, or the network broke, while the release ran.",
        ),
        "$ prefect config view\n$ unset PREFECT_API_URL\n$ releasekit publish",
        _PREFECT_SERVER,
    ),
    ErrorPage(
        ErrorCode.SERVER_START,
        (
            "The first start of Prefect creates a database, which is slow on a busy machine.",
            "As a warning: the release runs without a server and is not recorded there. With --approve it is an error.",
            "Another program uses the port, or Prefect's database is damaged.",
        ),
        "$ releasekit server start\n$ releasekit publish",
        _PREFECT_SERVER,
    ),
)
PAGES: Mapping[ErrorCode, ErrorPage] = {page.code: page for page in _TABLE}
