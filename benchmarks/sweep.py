"""Release the example workspace under one odd setting after the other, and compare the files on the index.

`python -m benchmarks.sweep [NAME...]` rehearses once without any setting, then once under each (or under those whose
name contains a NAME). Each rehearsal must give the same files, byte by byte, or be refused by name before its first
build. `--list` shows the names, `--packages NAME,NAME` rehearses fewer packages.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uv

from examples.orchard_repository import make

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOMENT = "2026-01-02T03:04:05Z"
"""The time of the release commit. It is in the files of some build backends."""

PATIENCE = 300
"""Seconds that one rehearsal may take."""

NO_LINKS = """
#include <errno.h>
int link(const char *a, const char *b) { errno = EPERM; return -1; }
int linkat(int a, const char *b, int c, const char *d, int e) { errno = EPERM; return -1; }
"""
NO_SYMBOLIC_LINKS = """
#include <errno.h>
int symlink(const char *a, const char *b) { errno = EPERM; return -1; }
int symlinkat(const char *a, int b, const char *c) { errno = EPERM; return -1; }
"""
NO_LOCKS = """
#include <errno.h>
int flock(int a, int b) { errno = ENOLCK; return -1; }
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that another machine has otherwise.

    *variables* are set (None: unset), and *config* goes into the user's git configuration. *script* runs in a shell
    before the release, in its directory. *directory* is the name of the directory with the repository.
    """

    name: str
    variables: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    config: Sequence[tuple[str, str]] = ()
    script: str = ""
    directory: str = "work"


def variable(name: str, value: str | None) -> Setting:
    """Return the setting of one environment variable."""
    shown = "unset" if value is None else value
    return Setting(f"{name}={shown}", variables={name: value})


def configured(key: str, value: str) -> Setting:
    """Return one setting of the user's git."""
    return Setting(f"git {key}={value}", config=((key, value),))


def path(directory: str) -> Setting:
    """Return the setting that the repository is in *directory*."""
    return Setting(f"path {os.fsencode(directory)!r}", directory=directory)


def preloaded(name: str, source: str) -> Setting:
    """Return the setting of a file system that refuses the calls in *source*."""
    script = f"""cat > "$BOX/shim.c" <<'END'\n{source}END
cc -shared -fPIC -o "$BOX/shim.so" "$BOX/shim.c" && export LD_PRELOAD="$BOX/shim.so" """
    return Setting(name, script=script)


VARIABLES: Mapping[str, Sequence[str | None]] = {
    "UV_COMPILE_BYTECODE": ("1",),
    "UV_CONCURRENT_BUILDS": ("1",),
    "UV_CONFIG_FILE": (os.devnull,),
    "UV_CONSTRAINT": ("/nowhere/constraints.txt",),
    "UV_ENV_FILE": ("/nowhere/.env",),
    "UV_EXCLUDE_NEWER": ("2025-11-01T00:00:00Z",),
    "UV_FROZEN": ("1",),
    "UV_INDEX_STRATEGY": ("unsafe-best-match",),
    "UV_KEYRING_PROVIDER": ("subprocess",),
    "UV_LINK_MODE": ("copy", "symlink"),
    "UV_LOCKED": ("1",),
    "UV_NO_BUILD": ("1",),
    "UV_NO_BUILD_ISOLATION": ("1",),
    "UV_NO_CACHE": ("1",),
    "UV_NO_CONFIG": ("1",),
    "UV_NO_SOURCES": ("1",),
    "UV_OFFLINE": ("1",),
    "UV_OVERRIDE": ("/nowhere/overrides.txt",),
    "UV_PRERELEASE": ("allow",),
    "UV_PREVIEW": ("1",),
    "UV_PROJECT": ("/nowhere",),
    "UV_PROJECT_ENVIRONMENT": ("/nowhere",),
    "UV_PUBLISH_INDEX": ("nowhere",),
    "UV_PUBLISH_TOKEN": ("pypi-of-somebody",),
    "UV_PUBLISH_URL": ("https://upload.example/legacy/",),
    "UV_PYTHON": ("3.12",),
    "UV_PYTHON_DOWNLOADS": ("never",),
    "UV_REQUIRE_HASHES": ("1",),
    "UV_RESOLUTION": ("lowest",),
    "UV_SYSTEM_PYTHON": ("1",),
    "UV_WORKING_DIRECTORY": ("/",),
    "GIT_CEILING_DIRECTORIES": ("/",),
    "GIT_CONFIG_PARAMETERS": ("'log.date=raw'",),
    "GIT_DEFAULT_HASH": ("sha256",),
    "GIT_DIR": ("/nowhere/.git",),
    "GIT_EDITOR": ("false",),
    "GIT_EXTERNAL_DIFF": ("false",),
    "GIT_INDEX_FILE": ("/nowhere/index",),
    "GIT_LITERAL_PATHSPECS": ("1",),
    "GIT_NAMESPACE": ("elsewhere",),
    "GIT_OBJECT_DIRECTORY": ("/nowhere/objects",),
    "GIT_PAGER": ("false",),
    "GIT_QUARANTINE_PATH": ("/nowhere/quarantine",),
    "GIT_TRACE": ("1",),
    "GIT_WORK_TREE": ("/nowhere",),
    "LANG": ("de_DE.ISO-8859-1", "ja_JP.eucJP", ""),
    "LANGUAGE": ("de:fr",),
    "LC_ALL": ("C", "POSIX", "tr_TR.UTF-8", "no_such_locale"),
    "PIP_INDEX_URL": ("https://index.example/simple/",),
    "PIP_NO_BINARY": (":all:",),
    "PIP_REQUIRE_VIRTUALENV": ("1",),
    "PYTHONDEVMODE": ("1",),
    "PYTHONDONTWRITEBYTECODE": (None, "1"),
    "PYTHONHASHSEED": ("0", "4711"),
    "PYTHONIOENCODING": ("ascii", "cp1252", "utf-16"),
    "PYTHONNOUSERSITE": ("1",),
    "PYTHONOPTIMIZE": ("2",),
    "PYTHONPYCACHEPREFIX": ("/nowhere/cache",),
    "PYTHONSAFEPATH": ("1",),
    "PYTHONUTF8": ("0", "1"),
    "PYTHONWARNINGS": ("error",),
    "VIRTUAL_ENV": ("/nowhere",),
    "CONDA_PREFIX": ("/nowhere",),
    "SETUPTOOLS_SCM_PRETEND_VERSION": ("9.9.9",),
    "SOURCE_DATE_EPOCH": ("0", "not a number"),
    "HATCH_BUILD_HOOKS_ENABLE": ("1",),
    "CI": ("true",),
    "EDITOR": ("false",),
    "COLUMNS": ("1",),
    "FORCE_COLOR": ("1",),
    "NO_COLOR": ("1",),
    "TERM": ("dumb", None),
    "TZ": ("Pacific/Kiritimati", "Pacific/Niue", ":nowhere"),
    "HTTP_PROXY": ("http://127.0.0.1:9",),
    "ALL_PROXY": ("socks5://127.0.0.1:9",),
    "NO_PROXY": ("*",),
    "NETRC": ("/nowhere/netrc",),
    "XDG_CACHE_HOME": ("/proc/nowhere",),
    "XDG_CONFIG_HOME": ("relative",),
    "XDG_DATA_HOME": ("/proc/nowhere",),
    "TMPDIR": ("/nowhere",),
    "HOME": (None, "/nowhere", "/dev/null", ""),
    "USER": (None,),
}

CONFIG: Sequence[tuple[str, str]] = (
    ("branch.autoSetupMerge", "false"),
    ("branch.sort", "-committerdate"),
    ("clone.defaultRemoteName", "upstream"),
    ("color.ui", "always"),
    ("column.ui", "always"),
    ("commit.gpgSign", "true"),
    ("commit.template", "/nowhere/template"),
    ("commit.verbose", "true"),
    ("core.abbrev", "4"),
    ("core.autocrlf", "input"),
    ("core.autocrlf", "true"),
    ("core.commentChar", "auto"),
    ("core.eol", "crlf"),
    ("core.fileMode", "false"),
    ("core.fsmonitor", "true"),
    ("core.ignoreCase", "true"),
    ("core.logAllRefUpdates", "false"),
    ("core.pager", "false"),
    ("core.precomposeUnicode", "true"),
    ("core.quotePath", "true"),
    ("core.sharedRepository", "group"),
    ("core.symlinks", "false"),
    ("core.untrackedCache", "true"),
    ("core.whitespace", "cr-at-eol"),
    ("diff.external", "false"),
    ("diff.mnemonicPrefix", "true"),
    ("diff.noprefix", "true"),
    ("diff.renames", "copies"),
    ("feature.experimental", "true"),
    ("feature.manyFiles", "true"),
    ("fetch.prune", "true"),
    ("fetch.writeCommitGraph", "true"),
    ("format.pretty", "oneline"),
    ("grep.lineNumber", "true"),
    ("i18n.commitEncoding", "ISO-8859-1"),
    ("init.defaultBranch", "trunk"),
    ("log.date", "relative"),
    ("log.decorate", "full"),
    ("log.mailmap", "false"),
    ("log.showSignature", "true"),
    ("merge.conflictStyle", "zdiff3"),
    ("merge.ff", "only"),
    ("protocol.file.allow", "user"),
    ("protocol.version", "0"),
    ("pull.rebase", "true"),
    ("push.default", "nothing"),
    ("push.followTags", "true"),
    ("push.gpgSign", "if-asked"),
    ("receive.denyCurrentBranch", "refuse"),
    ("remote.pushDefault", "nowhere"),
    ("rerere.enabled", "true"),
    ("safe.bareRepository", "explicit"),
    ("status.short", "true"),
    ("status.showUntrackedFiles", "no"),
    ("submodule.recurse", "true"),
    ("tag.gpgSign", "true"),
    ("tag.sort", "-version:refname"),
    ("transfer.fsckObjects", "true"),
    ("user.useConfigOnly", "true"),
    ("versionsort.suffix", "-rc"),
)

SHELLS: Mapping[str, str] = {
    "umask 000": "umask 000",
    "umask 027": "umask 027",
    "umask 077": "umask 077",
    "ulimit -n 64": "ulimit -n 64",
    "ulimit -n 256": "ulimit -n 256",
    "ulimit -f 8": "ulimit -f 8",
    "ulimit -s 1024": "ulimit -s 1024",
    "ulimit -c 0": "ulimit -c 0",
    "standard input closed": "exec <&-",
    "standard error closed": "exec 2>&-",
    "broken pipes ignored": "trap '' PIPE",
    "interrupts ignored": "trap '' INT",
    "hang-ups ignored": "trap '' HUP",
    "no git on PATH": 'mkdir "$BOX/bin"; export PATH="$BOX/bin"',
    "no uv on PATH": 'PATH=$(dirname "$(command -v git)"):/bin; export PATH',
    "lowest priority": "renice -n 19 -p $$ > /dev/null",
    "temporary directory: full": 'mount -t tmpfs -o size=64k none "$BOX/tmp"',
    "temporary directory: read-only": 'mount -t tmpfs -o ro none "$BOX/tmp"',
    "temporary directory: not executable": 'mount -t tmpfs -o noexec none "$BOX/tmp"',
    "temporary directory: link": 'ln -s tmp "$BOX/other"; export TMPDIR="$BOX/other"',
    "temporary directory: relative": "mkdir ../scratch; export TMPDIR=../scratch",
    "temporary directory: a file": 'touch "$BOX/file"; export TMPDIR="$BOX/file"',
    "home: read-only": 'mount --bind "$HOME" "$HOME"; mount -o remount,ro,bind "$HOME"',
    "checkout: read-only": 'mount --bind . .; mount -o remount,ro,bind .; cd "$REPO"',
    "checkout: detached": "git checkout --quiet --detach",
    "checkout: linked": "git worktree add --quiet ../linked -b other; cd ../linked",
    "checkout: of a bare clone": """\
git clone --quiet --bare . ../bare.git
git -C ../bare.git worktree add --quiet ../a main
cd ../a""",
    "checkout: shallow": 'git clone --quiet --depth 1 "file://$PWD" ../shallow; cd ../shallow',
    "checkout: partial": """\
git config uploadpack.allowFilter true
git clone --quiet --filter=blob:none "file://$PWD" ../partial
cd ../partial""",
    "checkout: borrowed objects": "git clone --quiet --shared . ../shared; cd ../shared",
    "checkout: packed": "git gc --quiet; git pack-refs --all",
    "checkout: through a link": "ln -s orchard ../link; cd ../link",
    "checkout: from a member": "cd packages/core",
    "checkout: ignored files": "mkdir packages/core/build; touch packages/core/build/x.py",
    "checkout: old build files": "mkdir dist; echo x > dist/orchard_core-9.tar.gz",
    "checkout: hooks that fail": """\
printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/pre-commit
chmod +x .git/hooks/pre-commit""",
    "hooks of the user that fail": """\
mkdir "$BOX/hooks"
for hook in pre-commit commit-msg pre-push post-checkout; do
    printf '#!/bin/sh\\nexit 1\\n' > "$BOX/hooks/$hook"
done
chmod +x "$BOX"/hooks/*
git config --global core.hooksPath "$BOX/hooks" """,
    "in a hook": "export GIT_DIR=.git GIT_INDEX_FILE=.git/index GIT_PREFIX= GIT_EXEC_PATH=",
    "a user with the files of another": """\
chmod -R a+rX "$BOX"
mkdir -m 777 "$BOX/h"
export HOME="$BOX/h"
chmod 1777 "$BOX/tmp"
AS="setpriv --reuid 12345 --regid 12345 --clear-groups" """,
    "a user without a name": """\
export UV_CACHE_DIR="$BOX/cache"
chown -R 12345:12345 "$BOX"
AS="setpriv --reuid 12345 --regid 12345 --clear-groups" """,
    "a user without a name or a home": """\
export UV_CACHE_DIR="$BOX/cache"
unset HOME
chown -R 12345:12345 "$BOX"
AS="setpriv --reuid 12345 --regid 12345 --clear-groups" """,
    "a user without a name, in a container": 'AS="unshare --user"',
    "modules that hide the standard library": "echo 1/0 > logging.py; echo 1/0 > packaging.py",
    "a site customization": 'echo 1/0 > sitecustomize.py; export PYTHONPATH="$PWD"',
    "pip configured by the user": """\
mkdir -p "$HOME/.config/pip"
printf '[install]\\nuser = true\\ntarget = /nowhere\\n' > "$HOME/.config/pip/pip.conf" """,
    "uv configured by the user": """\
mkdir -p "$HOME/.config/uv"
printf 'resolution = "lowest"\\nprerelease = "allow"\\n' > "$HOME/.config/uv/uv.toml" """,
    "a netrc in Latin-1": """\
printf 'machine a login m\\351 password x\\n' > "$HOME/.netrc" """,
    "a setup.cfg above": """\
printf '[metadata]\\nname = x\\n' > ../setup.cfg
printf '[bdist_wheel]\\nuniversal = 1\\n' > "$HOME/.pydistutils.cfg" """,
    "a pyproject.toml above": "printf '[tool.uv]\\nmanaged = false\\n' > ../pyproject.toml",
    "a .python-version above": "echo 3.12 > ../.python-version",
    "a .env file": "echo UV_FROZEN=1 > .env",
    "another remote for pushes": """\
git clone --quiet --bare . ../push.git
git remote set-url --push origin ../push.git""",
}

DIRECTORIES = (
    "a b",
    "a#b",
    "a,b",
    "a%20b",
    "a;b",
    "a'b",
    'a"b',
    "a[b]",
    "a$HOME",
    "a*b",
    "a\\b",
    "-a",
    "~",
    "é ü",
    "e\u0301",
    os.fsdecode(b"a\xffb"),
    "a:b",
    "a@b",
    "a=b",
    "a{b}",
    "a\nb",
    "d" * 200,
)

SETTINGS: Sequence[Setting] = (
    *(variable(name, value) for name, values in VARIABLES.items() for value in values),
    *(configured(key, value) for key, value in CONFIG),
    *(Setting(name, script=script) for name, script in SHELLS.items()),
    *(path(directory) for directory in DIRECTORIES),
    preloaded("a file system without hard links", NO_LINKS),
    preloaded("a file system without symbolic links", NO_SYMBOLIC_LINKS),
    preloaded("a file system without locks", NO_LOCKS),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one rehearsal: the sha256 by file, and its messages."""

    code: int
    files: Mapping[str, str]
    messages: str

    def verdict(self, expected: Mapping[str, str]) -> str:
        """Return "same", "refused" with the code, or what is wrong."""
        if "Traceback (most recent call last)" in self.messages:
            return "FAULT: a traceback"
        if self.code == 0:
            return self._compare(expected)
        error = re.search(r"^error: (RK-[A-Z0-9-]+)", self.messages, re.MULTILINE)
        has_begun = re.search(r"^building ", self.messages, re.MULTILINE)
        if error is None or error[1] == "RK-UNEXPECTED" or has_begun:
            return f"FAULT: exit code {self.code}"
        return f"refused: {error[1]}"

    def _compare(self, expected: Mapping[str, str]) -> str:
        if self.files == expected:
            return "same"
        names = sorted(
            name for name in {*expected, *self.files} if expected.get(name) != self.files.get(name)
        )
        return f"FAULT: other files: {' '.join(names)}"


def rehearse(setting: Setting, model: Path, packages: Sequence[str] = ()) -> Outcome:
    """Return the result of a rehearsal under *setting* of a copy of the repository *model*."""
    box = Path(tempfile.mkdtemp(prefix="sweep-"))
    try:
        repository = _prepare(setting, model, box)
        namespace = ("unshare", "--mount") if "mount" in setting.script else ()
        script = f'AS=\n{setting.script}\nexec $AS "$PYTHON" -m releasekit publish "$@"'
        selected = [word for name in packages for word in ("--package", name)]
        options = ["--rehearse", "--skip-audit", "--format", "json", *selected]
        done = subprocess.run(
            [*namespace, "sh", "-c", script, "sh", *options],
            env=_overlay(_environment(box, repository), setting.variables),
            cwd=repository,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        shutil.rmtree(box, ignore_errors=True)
    messages = done.stderr.decode("utf-8", "backslashreplace")
    files = _built_files(done.stdout) if done.returncode == 0 else {}
    return Outcome(done.returncode, files, messages)


def _prepare(setting: Setting, model: Path, box: Path) -> Path:
    """Copy *model* into *box*, with an empty home and temporary directory; return the repository."""
    work = box / setting.directory
    shutil.copytree(model, work, symlinks=True)
    for name in ("home", "tmp"):
        (box / name).mkdir()
    repository = work / "orchard"
    identity = (("user.name", "Ada"), ("user.email", "ada@example.invalid"))
    calls = [("remote", "set-url", "origin", f"{repository}.git")]
    calls += [("config", "--global", *pair) for pair in (*identity, *setting.config)]
    for arguments in calls:
        command = ["git", "-C", str(repository), *arguments]
        subprocess.run(command, env=_environment(box, repository), check=True)
    return repository


def _environment(box: Path, repository: Path) -> dict[str, str]:
    """Return an environment with nothing of the user who runs the sweep, apart from programs and uv's cache."""
    kept = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "BOX": str(box),
        "GIT_AUTHOR_DATE": MOMENT,
        "GIT_COMMITTER_DATE": MOMENT,
        "HOME": str(box / "home"),
        "PREFECT_HOME": str(box / "prefect"),
        "PYTHON": sys.executable,
        "RELEASEKIT_RECORD": "never",
        "REPO": str(repository),
        "TMPDIR": str(box / "tmp"),
        "USER": "ada",
        "UV_CACHE_DIR": _uv_cache(),
    }


def _uv_cache() -> str:
    command = [uv.find_uv_bin(), "cache", "dir"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _overlay(environment: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**environment, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _built_files(report: bytes) -> dict[str, str]:
    packages = json.loads(report)["packages"]
    return {file["name"]: file["sha256"] for package in packages for file in package["files"]}


def sweep(settings: Iterable[Setting], packages: Sequence[str]) -> int:
    """Print the verdict of each setting; return how many faults there are."""
    faults = 0
    with tempfile.TemporaryDirectory(prefix="sweep-model-") as scratch:
        model = Path(scratch) / "model"
        make(model)
        expected = rehearse(Setting("none"), model, packages)
        if expected.code:
            sys.exit(expected.messages)
        print(f"no setting: {len(expected.files)} files", flush=True)
        for setting in settings:
            start = time.monotonic()
            outcome = rehearse(setting, model, packages)
            verdict = outcome.verdict(expected.files)
            print(f"{setting.name!r}: {verdict} ({time.monotonic() - start:.0f} s)", flush=True)
            if verdict.startswith("FAULT"):
                faults += 1
                print(textwrap.indent(outcome.messages[-3000:], "    | "), flush=True)
    print(f"{faults} faults")
    return faults


def main(argv: Sequence[str]) -> int:
    """Run the sweep that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of settings")
    parser.add_argument("--list", action="store_true", help="show the names, and run nothing")
    parser.add_argument("--packages", default="", help="rehearse these packages, not all")
    arguments = parser.parse_args(argv)
    names = arguments.names or [""]
    settings = [setting for setting in SETTINGS if any(name in setting.name for name in names)]
    if arguments.list:
        print(*(repr(setting.name) for setting in settings), sep="\n")
        return 0
    return min(sweep(settings, arguments.packages.split(",") if arguments.packages else ()), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
