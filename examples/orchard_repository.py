"""Make a git repository with a history out of the workspace in `orchard/`.

`python examples/orchard_repository.py DIRECTORY` leaves DIRECTORY/orchard, a clean checkout of `main`, and
DIRECTORY/orchard.git, the bare remote that it follows. What a release makes of it stands in `orchard.expected.json`.

Authors, dates and texts are fixed, so the same `uv.lock` gives the same commits.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uv

WORKSPACE = Path(__file__).with_name("orchard")
LEFTOVERS = shutil.ignore_patterns(
    ".venv", "dist", "__pycache__", "uv.lock", "_build_info.py", ".*_cache"
)
START = datetime(2025, 3, 3, 9, tzinfo=UTC)

# orchard-cache and orchard-cider have never been released.
RELEASED = (
    "orchard-almanac-v0.4.2",
    "orchard-core-v1.2.0",
    "orchard-graft-v0.5.0",
    "orchard-hatch-v0.2.0",
    "orchard-market-v0.9.0",
    "orchard-press-v1.0.0",
    "orchard-scarecrow-v2.0.0",
    "orchard-store-v0.3.1",
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Put *new* where *old* stands; without *old*, at the end of the file."""

    path: str
    new: str
    old: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """Some edits and what is said of them."""

    message: str
    edits: tuple[Edit, ...]


BEFORE = (
    Commit(
        "feat(store)!: shelves hand fruits out one by one",
        (
            Edit(
                "packages/store/src/orchard_store/shelf.py",
                old='''\
    def take(self, kind: str) -> list[Fruit]:
        """Return all fruits of a kind."""
        return [fruit for fruit in self._fruits if fruit.kind == kind]
''',
                new='''\
    def take(self, kind: str) -> Fruit | None:
        """Hand out one fruit of a kind, or none if there is none left."""
        for fruit in self._fruits:
            if fruit.kind == kind:
                self._fruits.remove(fruit)
                if self._memory:
                    self._memory.forget()
                return fruit
        return None
''',
            ),
        ),
    ),
)

BRANCH = "late-frost"
ON_BRANCH = (
    Commit(
        "fix(graft): a grafted fruit weighs at least a gram",
        (
            Edit(
                "packages/graft/src/orchard_graft/__init__.py",
                old="(stock.grams + scion.grams) // 2)",
                new="max(1, (stock.grams + scion.grams) // 2))",
            ),
        ),
    ),
    Commit(
        "feat: tell frost-bitten fruits from sound ones\n\nOne commit for two packages.",
        (
            Edit(
                "packages/core/src/orchard_core/fruit.py",
                old="grams: int = 150\n",
                new="grams: int = 150\n    sound: bool = True\n",
            ),
            Edit(
                "packages/almanac/src/orchard_almanac/__init__.py",
                old='__all__ = ["season"]',
                new='__all__ = ["frost", "season"]',
            ),
            Edit(
                "packages/almanac/src/orchard_almanac/__init__.py",
                '''

def frost(fruit: Fruit, month: int) -> Fruit:
    """Return *fruit* as it is when it hangs until *month*."""
    return Fruit(fruit.kind, fruit.grams, sound=month <= max(10, season(fruit)))
''',
            ),
        ),
    ),
)
BESIDE_BRANCH = (
    Commit(
        "perf(market): look at each kind once",
        (
            Edit(
                "packages/market/src/orchard_market/stall.py",
                old="""\
        kinds = []
        for fruit in self.shelf.basket().fruits:
            if fruit.kind not in kinds:
                kinds.append(fruit.kind)
""",
                new="""\
        kinds = dict.fromkeys(fruit.kind for fruit in self.shelf.basket().fruits)
""",
            ),
        ),
    ),
)

REVERTED = Commit(
    "feat(market): sell on credit",
    (
        Edit(
            "packages/market/src/orchard_market/stall.py",
            '''
    def credit(self, kind: str, litres: float) -> str:
        """Return what to write on the slate."""
        return f"owes {self.price(kind) * litres:.2f} for {kind}"
''',
        ),
    ),
)
BEFORE_REVERT = (
    Commit(
        "docs: say what is kept, and what to bring",
        (
            Edit("packages/cache/README.md", "\nNothing is kept beyond the life of a `Memory`.\n"),
            Edit("samples/picnic/README.md", "\nBring a blanket.\n"),
        ),
    ),
)

AFTER = (
    Commit(
        "test(graft): the kind of a grafted fruit names both parents",
        (
            Edit(
                "packages/graft/tests/test_graft.py",
                '''

def test_kind() -> None:
    """A grafted fruit is called after stock and scion."""
    assert graft(Fruit("quince"), Fruit("pear")).kind == "quince-pear"
''',
            ),
        ),
    ),
    Commit(
        "fix(hatch): quote names as Python does",
        (
            Edit(
                "tools/hatch/src/orchard_hatch/__init__.py",
                old="""\
NAME = "{name}"
VERSION = "{built}"
""",
                new="""\
NAME = {name!r}
VERSION = {built!r}
""",
            ),
        ),
    ),
    Commit(
        "fix(press): fruits hold less juice than we said\n\n"
        "Two thirds is what runs out of a real press.\n\n"
        "BREAKING CHANGE: `press` gives less juice for the same fruits.",
        (
            Edit(
                "packages/press/src/orchard_press/juice.py",
                old="* 0.7 / 1000",
                new="* 2 / 3 / 1000",
            ),
        ),
    ),
    Commit(
        "feat(samples): something for children",
        (
            Edit(
                "samples/kiosk/src/orchard_kiosk/__init__.py",
                '''

def small_glasses(litres: float) -> int:
    """Return how many small glasses of juice so much juice fills."""
    return int(litres / 0.1)
''',
            ),
            Edit(
                "samples/picnic/src/orchard_picnic/__init__.py",
                '''

def games() -> list[str]:
    """Return what to play after the meal."""
    return ["sack race", "apple bobbing"]
''',
            ),
        ),
    ),
)


def make(directory: Path) -> Path:
    """Make the repository and its remote in *directory*; return the repository."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    repository = Repository(directory / "orchard")
    shutil.copytree(WORKSPACE, repository.path, ignore=LEFTOVERS)
    lock(repository.path)
    repository.start("chore: plant the orchard", RELEASED)
    write_history(repository)
    repository.publish(directory / "orchard.git")
    return repository.path


def write_history(repository: "Repository") -> None:
    """Add the commits since the last releases."""
    repository.commit(*BEFORE)
    repository.git("switch", "--quiet", "--create", BRANCH)
    repository.commit(*ON_BRANCH)
    repository.git("switch", "--quiet", "main")
    repository.commit(*BESIDE_BRANCH)
    repository.merge(BRANCH)
    repository.commit(REVERTED)
    mistake = repository.git("rev-parse", "HEAD")
    repository.commit(*BEFORE_REVERT)
    repository.revert(mistake)
    repository.commit(*AFTER)


def lock(workspace: Path) -> None:
    """Write the lock file."""
    command = [uv.find_uv_bin(), "lock", "--quiet", "--no-progress", "--python", sys.executable]
    subprocess.run(command, cwd=workspace, check=True)


class Repository:
    """A git repository in which an hour passes with every commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._now = START

    def start(self, message: str, tags: tuple[str, ...]) -> None:
        """Commit all there is, and tag what of it has been released."""
        self.git("init", "--quiet", "--template=", "--initial-branch=main")
        # For those who go on from here: a release commits, tags and must not wait for a signing key.
        for key, value in {
            "user.name": "Ada Orchard",
            "user.email": "ada@example.invalid",
            "commit.gpgSign": "false",
            "tag.gpgSign": "false",
        }.items():
            self.git("config", key, value)
        self.git("add", "--all")
        self._commit("commit", "--quiet", "--message", message)
        for tag in tags:
            self.git("tag", "--annotate", "--message", tag, tag)

    def commit(self, *commits: Commit) -> None:
        """Make the edits of each commit, and commit them."""
        for commit in commits:
            for edit in commit.edits:
                apply(edit, self.path / edit.path)
            self._commit("commit", "--quiet", "--all", "--message", commit.message)

    def merge(self, branch: str) -> None:
        """Merge *branch* and forget its name."""
        self._commit("merge", "--quiet", "--no-ff", "--message", f"Merge branch '{branch}'", branch)
        self.git("branch", "--quiet", "--delete", branch)

    def revert(self, sha: str) -> None:
        """Undo a commit, in the words that git has for it."""
        self._commit("revert", "--no-edit", sha)

    def publish(self, remote: Path) -> None:
        """Make a bare repository and push everything to it."""
        self.git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(remote))
        self.git("remote", "add", "origin", str(remote))
        self.git("push", "--quiet", "--set-upstream", "origin", "main", "refs/tags/*:refs/tags/*")

    def git(self, *arguments: str) -> str:
        """Run git as nobody has configured it; return what it prints."""
        command = [
            "git",
            "-c",
            f"core.hooksPath={os.devnull}",
            "-c",
            "core.autocrlf=false",
            *arguments,
        ]
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self._environment(),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    def _commit(self, *arguments: str) -> None:
        self.git(*arguments)
        self._now += timedelta(hours=1)

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("GIT_")
        }
        now = self._now.isoformat()
        return inherited | {
            "GIT_AUTHOR_NAME": "Ada Orchard",
            "GIT_AUTHOR_EMAIL": "ada@example.invalid",
            "GIT_AUTHOR_DATE": now,
            "GIT_COMMITTER_NAME": "Ada Orchard",
            "GIT_COMMITTER_EMAIL": "ada@example.invalid",
            "GIT_COMMITTER_DATE": now,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }


def apply(edit: Edit, path: Path) -> None:
    """Change one file; complain if it no longer reads as *edit* expects."""
    text = path.read_text(encoding="utf-8")
    if edit.old and text.count(edit.old) != 1:
        raise ValueError(f"{edit.path}: expected exactly once: {edit.old!r}")
    path.write_text(
        text.replace(edit.old, edit.new) if edit.old else text + edit.new, encoding="utf-8"
    )


def main() -> None:
    """Make the repository in the directory named on the command line."""
    parser = argparse.ArgumentParser(
        description="Make the example repository, with a history and a remote."
    )
    parser.add_argument("directory", type=Path, help="where orchard and orchard.git are put")
    try:
        print(make(parser.parse_args().directory))
    except FileExistsError as error:
        parser.error(f"already there: {error.filename}")


if __name__ == "__main__":
    main()
