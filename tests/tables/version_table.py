"""The documented table of how versions are decided: each row makes a real history."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from releasekit.integrations.process import Command, run
from tests.support.world import GIT, World, empty_world

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A history of the package core, which is out as 1.2.3, and what is decided: *next*, "-" for no release.

    *others* are the decisions about other packages; *argv* and *settings* are what the user asks for.
    """

    history: str
    decision: str
    next: str
    make: Callable[[World], object]
    argv: tuple[str, ...] = ()
    settings: str = ""
    start: str = "1.2.3"
    others: Mapping[str, str] = field(default_factory=dict[str, str])


def table() -> str:
    """Return the table as the documentation should have it."""
    lines = ["| History | Decision | Example |", "|---|---|---|"]
    lines += [f"| {row.history} | {row.decision} | {_example(row)} |" for row in ROWS]
    return "\n".join(lines)


def _example(row: Row) -> str:
    return f"{row.start}, no release" if row.next == "-" else f"{row.start} -> {row.next}"


# ---- scenes ---------------------------------------------------------------------------------------------------------

LIB = "packages/core/lib.py"


def scene(directory: Path, start: str = "1.2.3", settings: str = "") -> World:
    """Make a workspace of core, of app, which needs it, and of util, all released as *start*."""
    world = empty_world(directory)
    root = '[project]\nname = "top"\nversion = "1.2.3"\n\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    world.write(
        {
            "pyproject.toml": f"{root}\n[tool.releasekit]\n{settings}\n",
            LIB: text("core"),
            "packages/app/app.py": text("app"),
        }
    )
    for name, needs in (("core", ""), ("app", '"core"'), ("util", "")):
        world.write({f"packages/{name}/pyproject.toml": project(name, start, needs)})
    world.commit("feat!: begin")
    for name in ("core", "app", "util"):
        world.git("tag", f"{name}-v{start}")
    return world


def text(name: str) -> str:
    """Return a text by which git knows a file again where it was moved."""
    return "".join(f"{name.upper()}_{number} = {number}\n" for number in range(20))


def project(name: str, version: str, needs: str = "") -> str:
    """Return a pyproject.toml."""
    source = "\n[tool.uv.sources]\ncore = { workspace = true }\n" if needs else ""
    return (
        f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = ">=3.11"\ndependencies = [{needs}]\n'
        f'\n[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n{source}'
    )


def change(world: World, message: str, path: str = LIB) -> str:
    """Commit a change of a file."""
    file = world.root / path
    return world.commit(
        message, {path: (file.read_text() if file.exists() else "") + f"# {message[:40]!r}\n"}
    )


def exact_pin(world: World) -> None:
    """Require core exactly in app, in a commit of no consequence; then break something in core."""
    world.commit(
        "chore: pin", {"packages/app/pyproject.toml": project("app", "1.2.3", '"core==1.2.3"')}
    )
    change(world, "feat!: a")


def release(world: World, version: str, *names: str) -> None:
    """Do to the repository what a release of *names*, or of core, does."""
    for name in names or ("core",):
        path = f"packages/{name}/pyproject.toml"
        lines = (world.root / path).read_text().splitlines(keepends=True)
        text = "".join(
            f'version = "{version}"\n' if line.startswith("version = ") else line for line in lines
        )
        world.write({path: text})
    world.commit(f"chore(release): v{version}")
    for name in names or ("core",):
        world.git("tag", f"{name}-v{version}")


def changes(*messages: str) -> Callable[[World], object]:
    """Return what commits *messages*, the oldest first."""
    return lambda world: [change(world, message) for message in messages]


def nothing(_: World) -> None:
    """Leave it as it is."""


def reverted(world: World) -> None:
    """Add something and take it back."""
    sha = change(world, "feat: x")
    world.git("revert", "--no-edit", sha)


def reapplied(world: World) -> None:
    """Take the taking back back."""
    reverted(world)
    world.git("revert", "--no-edit", "HEAD")


def reverted_later(world: World) -> None:
    """Take back what is out."""
    sha = change(world, "feat: x")
    release(world, "1.3.0")
    world.git("revert", "--no-edit", f"{sha}")


def merged(world: World) -> None:
    """Merge a branch with a merge commit."""
    world.git("checkout", "--quiet", "-b", "side")
    change(world, "feat: on a branch")
    world.git("checkout", "--quiet", "main")
    change(world, "docs: beside it", "packages/app/app.py")
    world.git("merge", "--quiet", "--no-ff", "--message", "feat!: merge it", "side")


def unmerged(world: World) -> None:
    """Merge a branch with a merge commit, then take the whole merge back."""
    merged(world)
    world.git("revert", "--no-edit", "--mainline", "1", "HEAD")


def octopus(world: World) -> None:
    """Merge three branches at once."""
    for number, kind in enumerate(("docs", "fix", "feat")):
        world.git("checkout", "--quiet", "-b", f"side{number}", "main")
        change(world, f"{kind}: {number}", f"packages/core/{number}.py")
    world.git("checkout", "--quiet", "main")
    world.git("merge", "--quiet", "--message", "all", "side0", "side1", "side2")


def empty_merge(world: World) -> None:
    """Merge a branch and take nothing of it; then commit nothing at all."""
    world.git("checkout", "--quiet", "-b", "side")
    change(world, "docs: gone")
    world.git("checkout", "--quiet", "main")
    change(world, "docs: beside it", "packages/app/app.py")
    world.git("merge", "--quiet", "--strategy", "ours", "--message", "feat: merge nothing", "side")
    world.commit("feat!: nothing at all")


def moved(world: World, *places: str) -> None:
    """Change core, then move it, from one place to the next."""
    here = "packages/core"
    for number, place in enumerate(places):
        change(
            world,
            "feat: before it moved" if number == len(places) - 1 else "docs: it",
            f"{here}/lib.py",
        )
        (world.root / place).parent.mkdir(parents=True, exist_ok=True)
        world.git("mv", here, place)
        world.commit("refactor: move it")
        here = place


def swapped(world: World) -> None:
    """Change core, then let core and app change places, then change app, where core was."""
    change(world, "feat: of core")
    for source, target in (("core", "x"), ("app", "core"), ("x", "app")):
        world.git("mv", f"packages/{source}", f"packages/{target}")
    world.commit("refactor: change places")
    change(world, "fix: of app", "packages/core/app.py")


def swapped_beside(world: World) -> None:
    """Change core on a branch on which core and app have not changed places."""
    world.git("checkout", "--quiet", "-b", "side")
    change(world, "feat: of core")
    world.git("checkout", "--quiet", "main")
    for source, target in (("core", "x"), ("app", "core"), ("x", "app")):
        world.git("mv", f"packages/{source}", f"packages/{target}")
    world.commit("refactor: change places")
    world.git("merge", "--quiet", "--no-ff", "--message", "merge", "side")


def left_to_another(world: World) -> None:
    """Change core, move it, and let a new package stand where it was, which is released before core is."""
    moved(world, "packages/kernel")
    world.commit("feat: a new package", {"packages/core/pyproject.toml": project("fresh", "1.2.3")})
    world.git("tag", "fresh-v1.2.3")


def nested(world: World) -> None:
    """Change a package that stands inside core."""
    text = (
        (world.root / "pyproject.toml")
        .read_text()
        .replace('"packages/*"', '"packages/*", "packages/core/inner"')
    )
    world.commit(
        "chore: add it",
        {"pyproject.toml": text, "packages/core/inner/pyproject.toml": project("inner", "1.2.3")},
    )
    world.git("tag", "inner-v1.2.3")
    change(world, "feat: of inner", "packages/core/inner/lib.py")


def top(world: World) -> None:
    """Make the root a package, and change what stands beside the members."""
    text = (world.root / "pyproject.toml").read_text() + "\n[build-system]\nrequires = []\n"
    world.commit("chore: a package", {"pyproject.toml": text})
    world.git("tag", "top-v1.2.3")
    change(world, "feat: of the root", "src/top.py")


def lock_alone(world: World) -> None:
    """Make the root a package, and change nothing but the lock file."""
    top(world)
    world.git("tag", "--force", "top-v1.2.3")
    change(world, "fix: newer dependencies", "uv.lock")


def excluded_alone(world: World) -> None:
    """Change files of core and of app that do not count: core says so for itself, the root for all."""
    path = "packages/core/pyproject.toml"
    own = '\n[tool.releasekit]\nexclude_paths = ["bench"]\n'
    world.commit("chore: set", {path: (world.root / path).read_text() + own})
    change(world, "feat: measure", "packages/core/bench/run.py")
    change(world, "fix: sooner", "packages/core/tests/test_core.py")
    change(world, "fix: sooner", "packages/app/tests/test_app.py")
    change(world, "fix: measure app", "packages/app/bench/run.py")


def included_alone(world: World) -> None:
    """Change files outside of all packages: core includes some, the root includes others for all packages."""
    change(world, "feat: shared", "crates/shared/lib.rs")
    change(world, "feat: nobody's", "crates/other/lib.rs")
    path = "packages/core/pyproject.toml"
    own = '\n[tool.releasekit]\ninclude_paths = ["../../crates/shared"]\n'
    world.commit("chore: set", {path: (world.root / path).read_text() + own})
    change(world, "fix: protocol", "proto/api/a.proto")


def excluded_beside(world: World) -> None:
    """Change a file that does not count and another one, in one commit."""
    world.commit(
        "fix: a", {"packages/core/tests/test_core.py": "", "packages/core/core.py": "A = 1\n"}
    )


def submodule(world: World) -> None:
    """Put a submodule into core, and move it on."""
    other = world.root.parent / "other"
    run(Command(("git", "init", "--quiet", str(other)), env=GIT))
    theirs = World(other, world.remote)
    for name, value in (("user.name", "Ada"), ("user.email", "ada@example.invalid")):
        theirs.git("config", name, value)
    theirs.commit("first", {"a": "1"})
    world.git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(other),
        "packages/core/vendor",
    )
    world.commit("chore: a submodule")
    release(world, "1.2.4")
    run(
        Command(
            ("git", "commit", "--quiet", "--allow-empty", "-m", "next"),
            world.root / "packages/core/vendor",
            WHO,
        )
    )
    world.commit("fix: newer vendored code")


WHO: dict[str, str | None] = {
    **GIT,
    **{
        f"GIT_{who}_{what}": "ada@example.invalid"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def own_settings(world: World) -> None:
    """Let core say for itself that documentation counts."""
    path = "packages/core/pyproject.toml"
    own = '\n[tool.releasekit]\ntypes = { docs = "minor" }\n'
    world.commit("chore: set", {path: (world.root / path).read_text() + own})
    change(world, "docs: a")
    change(world, "docs: a", "packages/app/app.py")


def other_branch(world: World) -> None:
    """Release 2.0.0 on another branch."""
    world.git("checkout", "--quiet", "-b", "next")
    change(world, "feat!: new times")
    release(world, "2.0.0")
    world.git("checkout", "--quiet", "main")
    change(world, "fix: old times")


def release_branch(world: World) -> None:
    """Release 1.3.0 on a branch that is never merged; main says what it works on."""
    change(world, "feat: x")
    world.git("checkout", "--quiet", "-b", "release-1.3")
    release(world, "1.3.0")
    world.git("checkout", "--quiet", "main")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text().replace('version = "1.2.3"', 'version = "1.4.0.dev0"')
    world.commit("chore: go on", {path: text})
    change(world, "fix: y")


def other_formats(world: World) -> None:
    """Have tags of several forms, of which the newest was written last."""
    for version, tag in (
        ("1.2.4", "core==1.2.4"),
        ("1.2.5", "py/core/v1.2.5"),
        ("1.2.6", "core@1.2.6"),
    ):
        change(world, "feat!: x")
        release(world, version)
        world.git("tag", tag)
        world.git("tag", "--delete", f"core-v{version}")
    change(world, "fix: x")


def lockstep_tags(world: World) -> None:
    """Have had one tag for all, until now."""
    for name in ("core", "app", "util"):
        world.git("tag", "--delete", f"{name}-v1.2.3")
    world.git("tag", "v1.2.3")
    change(world, "fix: x")


def dynamic(world: World) -> None:
    """Leave the version to tags."""
    text = project("core", "1.2.3").replace('version = "1.2.3"', 'dynamic = ["version"]')
    text = text.replace('requires = ["uv_build"]', 'requires = ["setuptools-scm"]')
    world.commit("feat: from now on", {"packages/core/pyproject.toml": text})


def untagged(world: World) -> None:
    """Never have been released."""
    world.git("tag", "--delete", "core-v1.2.3")
    change(world, "feat!: x")


def first_in_development(world: World) -> None:
    """Never have been released, with a development version in the file."""
    by_hand("1.2.3.dev0", "feat: x")(world)
    world.git("tag", "--delete", "core-v1.2.3")


def first_as(world: World) -> None:
    """Never have been released, and begin with a prerelease."""
    untagged(world)
    change(world, "docs: x\n\nRelease-As: 1.2.0rc1")


def by_hand(version: str, *messages: str) -> Callable[[World], object]:
    """Return what commits *messages* and then writes a later version into the file."""

    def make(world: World) -> None:
        changes(*messages)(world)
        path = "packages/core/pyproject.toml"
        lines = (world.root / path).read_text().splitlines(keepends=True)
        text = "".join(
            f'version = "{version}"\n' if line.startswith("version = ") else line for line in lines
        )
        world.commit("Bump the version", {path: text})

    return make


def beta_by_hand(world: World) -> None:
    """Release a beta, change something, and write the next beta into the file."""
    candidate("feat: y")(world)
    by_hand("1.3.0rc5")(world)


def odd_message(world: World) -> None:
    """Commit a message that is no UTF-8, with a footer."""
    (world.root / LIB).write_text("odd\n")
    world.git("add", "--all")
    message = "fix: gr\u00fc\u00dfe\n\nBREAKING CHANGE: \u00e4\n".encode("latin-1")
    command = ("git", "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "--quiet", "--file", "-")
    run(Command(command, world.root, {**GIT, "PATH": os.environ["PATH"]}, stdin=message))


def described(bump: str, *messages: str) -> Callable[[World], object]:
    """Return what commits *messages* and then a change file for core."""

    def make(world: World) -> None:
        changes(*messages)(world)
        world.commit(
            "describe it", {".changes/blue-cat.md": f"---\ncore: {bump}\n---\n\nSort the shelves\n"}
        )

    return make


def candidate(*messages: str) -> Callable[[World], object]:
    """Return what releases a feature as 1.3.0rc1 and then commits *messages*."""

    def make(world: World) -> None:
        change(world, "feat: x")
        release(world, "1.3.0rc1")
        changes(*messages)(world)

    return make


def after(kind: str) -> Callable[[World], object]:
    """Return what releases a feature as 1.3.0 *kind* and then commits a fix."""

    def make(world: World) -> None:
        change(world, "feat: x")
        release(world, f"1.3.0{kind}")
        change(world, "fix: y")

    return make


RC = ("--prerelease", "rc")

ROWS = (
    Row("`feat`", "minor", "1.3.0", changes("fix: a", "feat: b", "docs: c")),
    Row("`fix`, `perf`", "patch", "1.2.4", changes("perf: a", "fix: b")),
    Row("other types, other messages", "nothing", "-", changes("docs: a", "chore(x): b", "whatever")),
    Row("types in upper case", "the same as in lower case", "1.3.0", changes("FEAT: a", "Fix: b")),
    Row('a type of your own, `types = { docs = "patch" }`', "the bump that you configure", "1.2.4",
        changes("docs: a", "feat: b"), settings='types = { docs = "patch" }'),
    Row("the same in the `[tool.releasekit]` of the package's own `pyproject.toml`", "for that package only", "1.3.0",
        own_settings, others={"app": "-"}),
    Row("`!` after the type, whatever the type", "major", "2.0.0", changes("chore!: a", "fix: b")),
    Row("a footer `BREAKING CHANGE:` or `BREAKING-CHANGE:`, after any number of paragraphs", "major", "2.0.0",
        changes("fix: a\n\nfirst\n\nsecond\n\nBREAKING-CHANGE: gone\nwith a second line")),
    Row("the same on 0.x", "minor", "0.6.0", changes("feat!: a"), start="0.5.0"),
    Row("the same on 0.x with `major_on_zero`", "major", "1.0.0", changes("feat!: a"), start="0.5.0",
        settings="major_on_zero = true"),
    Row("a message that is not UTF-8", "the readable parts count", "2.0.0", odd_message),
    Row("a commit and its revert, both unreleased", "nothing; neither counts", "-", reverted),
    Row("a revert of a revert", "the change counts again", "1.3.0", reapplied),
    Row("a revert of something released, here as 1.3.0", "patch", "1.3.1", reverted_later),
    Row('`Revert "feat: x"`, `revert: feat: x`, without a sha', "the newest unreleased commit of that title", "-",
        changes("feat: x", 'Revert "feat: x"', "fix: y", "revert: fix: y")),
    Row("a merge commit", "the merged commits count, the merge itself does not", "1.3.0", merged),
    Row("a merge commit and its revert", "nothing; the reverted side does not count (`git revert --mainline`)", "-",
        unmerged),
    Row("a merge of several branches", "all of them count", "1.3.0", octopus),
    Row("a merge without changes; an empty commit", "nothing", "-", empty_merge),
    Row("a squash merge", "the title decides", "1.3.0", changes("feat: it (#12)\n\n* fix: a\n\n* chore!: b")),
    Row("a footer in a squash merge", "counts", "2.0.0",
        changes("feat: it (#12)\n\n* fix: a\n\nBREAKING CHANGE: gone\n\n* chore: b")),
    Row("a change before the package's directory was renamed", "counts: a directory belongs to the package that its "
        "`pyproject.toml` named then", "1.3.0", lambda world: moved(world, "packages/kernel")),
    Row("a change between two renames", "counts", "1.3.0",
        lambda world: moved(world, "packages/middle", "packages/kernel")),
    Row("two packages that swap directories", "each keeps its own history", "1.3.0", swapped, others={"app": "1.2.4"}),
    Row("the same, and an older branch that is merged later", "each keeps its own history", "1.3.0", swapped_beside,
        others={"app": "-"}),
    Row("a change before another package took over the directory", "counts for the package that had it then", "1.3.0",
        left_to_another, others={"fresh": "-"}),
    Row("a package inside the directory of the package", "has its own changes", "-", nested, others={"inner": "1.3.0"}),
    Row("the root as a package", "owns the files that no member owns", "-", top, others={"top": "1.3.0"}),
    Row("only the lock file", "nothing, also for the root", "-", lock_alone, others={"top": "-"}),
    Row("only files in `exclude_paths`, of the root or of the package", "nothing", "-", excluded_alone,
        settings='exclude_paths = ["*/tests", "docs"]', others={"app": "1.2.4"}),
    Row("such a file and another one", "the commit counts", "1.2.4", excluded_beside,
        settings='exclude_paths = ["*/tests", "docs"]'),
    Row("files elsewhere, in `include_paths` of the package", "count, and those of the root count for all packages",
        "1.3.0", included_alone, settings='include_paths = ["proto/*.proto"]', others={"app": "1.2.4"}),
    Row("an updated submodule in the package (after 1.2.4)", "counts like any other change", "1.2.5", submodule),
    Row("2.0.0 on another branch, while the files say 1.2.3", "does not count here", "1.2.4", other_branch),
    Row("1.3.0 on a branch that is never merged, while the files say 1.4.0.dev0", "is the last release", "1.4.0",
        release_branch),
    Row("tags of other forms, with `tag_format` a list, up to `core@1.2.6`", "all are read, the first is written",
        "1.2.7", other_formats,
        settings='tag_format = ["{name}-v{version}", "{name}=={version}", "{name}@{version}", '
        '"{label}/{name}/v{version}"]\nlabel = "py"'),
    Row("one tag for all packages, `v1.2.3`, from the time before each had its own", "is the last release of each",
        "1.2.4", lockstep_tags, settings='tag_format = ["{name}-v{version}", "v{version}"]', others={"app": "-"}),
    Row("a dynamic version that only a tag contains", "counted from the tag; nothing is written", "1.3.0", dynamic),
    Row("no tag yet", "first release, with the version in `pyproject.toml`", "1.2.3", untagged),
    Row("no tag yet, and `1.2.3.dev0` in the file", "first release of the version that it leads to", "1.2.3",
        first_in_development),
    Row("no tag yet, with `--prerelease rc`", "first candidate of that version", "1.2.3rc1", untagged, RC),
    Row("no tag yet, and `Release-As: 1.2.0rc1`, below the version in the file", "exactly that version",
        "1.2.0rc1", first_as),
    Row("`Release-As: 2.0.0` in a footer", "that version, for the packages that the commit touches; the newest footer "
        "wins", "2.0.0",
        changes("fix: a\n\nRelease-As: 3.0.0", "docs: b\n\nRelease-As: 2.0.0", "feat: c")),
    Row("`Release-As: 1.2.3.post1`", "exactly that post-release", "1.2.3.post1",
        changes("docs: a\n\nRelease-As: 1.2.3.post1")),
    Row("a change file with `core: minor`, and `fix`", "the larger bump", "1.3.0", described("minor", "fix: a")),
    Row('the same with `changes = "files"`, and `feat!`', "only the file counts", "1.3.0",
        described("minor", "feat!: a"), settings='changes = "files"'),
    Row("a change file with `core: none`, and messages without a type", "nothing", "-", described("none", "whatever")),
    Row("a later version written into `pyproject.toml` by hand", "that version, with or without commits", "3.0.0",
        by_hand("3.0.0")),
    Row("the same, while the commits ask for more (`feat!`)", "that version; the plan warns", "1.3.0",
        by_hand("1.3.0", "feat!: a")),
    Row("a prerelease written by hand", "that version", "2.0.0b2", by_hand("2.0.0b2", "feat: a")),
    Row("1.3.0rc5 written by hand after 1.3.0rc1", "that version", "1.3.0rc5", beta_by_hand),
    Row("a development version written by hand, 1.4.0.dev0, and `fix`", "the least version that comes next", "1.4.0",
        by_hand("1.4.0.dev0", "fix: a")),
    Row("the same, and `feat!`", "the changes ask for more", "2.0.0", by_hand("1.4.0.dev0", "feat!: a")),
    Row("the same, without commits that count", "nothing", "-", by_hand("1.4.0.dev0", "docs: a")),
    Row("a local version written by hand, `1.4.0+here`", "only a marker: the commits decide", "1.2.4",
        by_hand("1.4.0+here", "fix: a")),
    Row('messages without a type, with `unconventional = "patch"`', "patch", "1.2.4", changes("Repair the shelves"),
        settings='unconventional = "patch"'),
    Row("the same, where only the documentation of the package is changed", "nothing", "-",
        lambda world: change(world, "Tell more", "packages/core/docs/more.md"), settings='unconventional = "patch"'),
    Row("`--bump core=minor`, with any commits or none", "that bump; on 0.x, `major` leads to 1.0.0", "1.3.0", nothing,
        ("--bump", "core=minor")),
    Row("`--bump core=patch`, and `feat!`", "that bump; the plan warns", "1.2.4", changes("feat!: a"),
        ("--bump", "core=patch")),
    Row("`--bump core=none`", "held back", "-", changes("feat: a"), ("--bump", "core=none")),
    Row("`--set-version core=1.9.0`", "exactly that version", "1.9.0", changes("fix: a"),
        ("--set-version", "core=1.9.0")),
    Row("nothing since the tag", "skipped", "-", nothing),
    Row("nothing since the tag, with `--force-unchanged`", "patch", "1.2.4", nothing, ("--force-unchanged",)),
    Row("`--prerelease rc`", "a candidate of the version that the changes lead to", "1.3.0rc1", changes("feat: a"), RC),
    Row("the same after 1.3.0rc1", "the next free number", "1.3.0rc2", candidate("fix: y"), RC),
    Row("the same with a breaking change since", "counted from the last stable release", "2.0.0rc1",
        candidate("fix!: y"), RC),
    Row("the same with nothing since", "skipped", "-", candidate(), RC),
    Row("`--prerelease rc` after 1.3.0b1 (the order of kinds is dev, a, b, rc)", "the later kind, even without changes",
        "1.3.0rc1", after("b1"), RC),
    Row("`fix` after 1.3.0rc1", "the next prerelease: a package stays in prereleases until you promote it", "1.3.0rc2",
        candidate("fix: y")),
    Row("nothing after 1.3.0rc1", "skipped", "-", candidate()),
    Row("`--promote core` after 1.3.0rc1", "the stable version, even without changes", "1.3.0", candidate(),
        ("--promote", "core")),
    Row('`prerelease = "none"` after 1.3.0rc1, and `fix`', "the stable version, with the next change", "1.3.0",
        candidate("fix: y"), settings='prerelease = "none"'),
    Row("1.3.0 written by hand after 1.3.0rc1", "that version", "1.3.0", lambda world: [candidate()(world),
        by_hand("1.3.0")(world)]),
    Row("a dependency was released, and the requirement on it allows the new version",
        "nothing; the plan warns about older exact pins", "-",
        lambda world: change(world, "feat!: a", "packages/util/a.py"), others={"util": "2.0.0", "app": "-"}),
    Row("`app` requires `core==1.2.3`, and `core` is released", "patch for `app`: its requirement is raised", "2.0.0",
        exact_pin, others={"app": "1.2.4", "util": "-"}),
    Row('`propagate = "patch"`: `app` needs `core`, in any form', "patch for `app`, whatever the bump of `core`",
        "2.0.0", changes("feat!: a"), settings='propagate = "patch"', others={"app": "1.2.4", "util": "-"}),
    Row('`versioning = "fixed"`: `util` has a feature', "all packages, or all of a group, get one version", "1.3.0",
        lambda world: change(world, "feat: a", "packages/util/a.py"), settings='versioning = "fixed"',
        others={"app": "1.3.0", "util": "1.3.0"}),
    Row('`versioning = "linked"`: `util` has a feature, `core` a fix', "the released packages get one version",
        "1.3.0", lambda world: [change(world, "feat: a", "packages/util/a.py"), change(world, "fix: b")],
        settings='versioning = "linked"', others={"app": "-", "util": "1.3.0"}),
)  # fmt: skip
