"""The commands of a release, for a dry run. The code that would run them builds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from releasekit.core.config.command_lines import command_texts, rooted_commands, wheel_command
from releasekit.core.history.tags import push_batches
from releasekit.core.history.web_links import repository_urls
from releasekit.core.picking import names_of
from releasekit.core.planning.release_messages import commit_message, tag_message
from releasekit.core.release.platform_parts import platform_outline
from releasekit.core.text import count_packages, summarize
from releasekit.integrations.filesystem import changelog_path
from releasekit.integrations.git import LOCK_REF, display_command
from tasks.read_workspace import later_indexes, target_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.later_index import LaterIndex
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Repo
    from releasekit.operations.planning import PendingRelease
    from releasekit.options import PublishOptions
    from tasks.project import Project

RELEASE, VENV = Path("RELEASE"), Path("VENV")
TREE, DIST = RELEASE / "tree", RELEASE / "dist"
COMMIT, LOCK_COMMIT = "COMMIT", "LOCK"


def release_commands(
    project: Project, repo: Repo, pending: PendingRelease, options: PublishOptions
) -> list[tuple[str, ...]]:
    """Return the commands of a release, by phase and in order; other effects are comments.

    RELEASE stands for the directory of the release, COMMIT for the release commit, LOCK for the commit that locks the
    release on the remote and contains plan and manifest for other clones, and VENV for a new environment each time.
    """
    plan, bundle = pending.plan, pending.manifest_bundle
    if not plan.steps:
        return []
    commit = bundle.manifest.release_commit if bundle else COMMIT
    release = _CommandOutline(
        project, repo, plan, target_of(project), commit, options.output, options.stage_only
    )
    start = f"# {RELEASE}: {repo.common_dir / 'releasekit' / plan.release}"
    if bundle:
        check = "# verify that the release commit changes only what a release changes"
        first_phase = (start, check, release.check_out(commit))
    else:
        first_phase = (start, release.check_out(plan.commit), *release.prepare())
    phases: list[tuple[str, ...]] = [first_phase]
    if options.version_only:
        return [*phases, (*release.fast_forward(), release.clean_up())]
    has_files = bundle is not None and bool(bundle.manifest.packages)
    if not has_files:
        phases += [tuple(release.build()), tuple(release.prove())]
    if options.stage_only:
        return [*phases, tuple(release.export_staged())]
    phases += [tuple(release.lock_remote()), tuple(release.publish()), tuple(release.announce())]
    return [*phases, (*release.fast_forward(), release.clean_up())]


@dataclass(frozen=True, slots=True)
class _CommandOutline:
    """One release; each method yields the commands of one phase."""

    project: Project
    repo: Repo
    plan: Plan
    target: Target
    commit: str
    output: Path
    stage_only: bool

    @property
    def settings(self) -> Settings:
        return self.project.settings

    @property
    def root(self) -> Path:
        """The workspace in the temporary worktree."""
        return TREE / self.project.root.relative_to(self.repo.top)

    def check_out(self, commit: str) -> str:
        return display_command(self.repo.add_worktree_command(TREE, commit))

    def prepare(self) -> Iterator[str]:
        names = names_of(self.plan.steps)
        yield f"# write the new versions of {count_packages(names)} into the files of {TREE}"
        for requirement in self.plan.raises:
            yield f"# raise {requirement}"
        if self.plan.changelogs:
            yield f"# write the changelog entries of {count_packages(self.plan.changelogs)}"
        if self.plan.workspace_changelog:
            yield f"# write the changelog entry of the workspace into {self.plan.workspace_changelog.path}"
        for file in self.plan.consumes:
            yield f"# {file}"
        new_changelogs = self._new_changelogs()
        if new_changelogs:
            yield display_command(self.repo.add_command(TREE, new_changelogs))
        lock_name = self.project.uv.lock_name
        if self.repo.is_tracked(self.project.root / lock_name):
            yield f"# write these versions into {lock_name}; lock anew only if it does not fit then:"
            yield str(self.project.uv.lock_command(self.root, names))
        yield from self.plan.pre_release
        message = commit_message(self.plan, self.settings.commit_templates[0])
        commands = self.repo.commit_commands(TREE, message, (), hooks=self.settings.hooks)
        yield from map(display_command, commands)

    def _new_changelogs(self) -> list[str]:
        """Return the changelogs that do not exist yet, as paths in the repository."""
        paths: list[str] = []
        for directory, _, section in self.plan.sections:
            path = changelog_path(self.project.root / directory, section.path)
            if not path.exists():
                paths.append(path.relative_to(self.repo.top).as_posix())
        return paths

    def build(self) -> Iterator[str]:
        seconds = self.settings.build_timeout
        yield f"# pin the packages of the workspace to each other in {TREE}; this is not committed"
        for step in self.plan.steps:
            links = [DIST / name for name in step.build_needs]
            own_command = self.project.effective_setting(step.name, "build_command")
            only = "sdist" if step.platforms or own_command else ""
            package, out = self.root / step.path, DIST / step.name
            pre_build = self.project.effective_setting(step.name, "pre_build")
            if pre_build:
                yield f"# in {package}:"
                yield from command_texts(rooted_commands(pre_build, str(self.root)))
            yield str(self.project.uv.build_command(package, out, links, {}, seconds, only=only))
            if own_command and not step.platforms:
                words = wheel_command(own_command, str(RELEASE / "wheels" / step.name), "")
                yield str(self.project.uv.own_build_command(words, package, links, {}, seconds))
        for line in platform_outline(self.plan, self.settings, stage_only=self.stage_only):
            yield f"# {line}"
        yield "# compare name, version, metadata, pins and contents of the built files with the plan"
        if self.settings.sbom:
            for step in self.plan.steps:
                yield str(self.project.uv.sbom_command(self.root, step.name))

    def prove(self) -> Iterator[str]:
        """Yield the commands that prove, before the first upload, that the staged files can be installed."""
        if self.settings.overlay == "off":
            return
        yield self._resolve(self.plan, self.target)
        yield "# with all extras; if they cannot be installed together: each package alone, and with each extra"
        if self.settings.overlay == "install":
            yield from self._prove_imports()
        for later, part in self._later_parts():
            yield f"# from {later.name} too, which gets {summarize(names_of(part.steps))}"
            yield self._resolve(part, later.target)

    def _resolve(self, plan: Plan, target: Target) -> str:
        links = [DIST / step.name for step in plan.steps]
        requirements = list(map(_exact_requirement, plan.steps))
        indexes, fresh = target.install_indexes, tuple(plan.versions)
        uv = self.project.uv
        return str(uv.resolve_command(self.root, requirements, links, indexes, fresh))

    def _prove_imports(self) -> Iterator[str]:
        links = [DIST / step.name for step in self.plan.steps]
        indexes, fresh = self.target.install_indexes, tuple(self.plan.versions)
        for step in self.plan.steps:
            if step.is_smoke_tested(default=self.settings.smoke_test):
                yield from self._smoke_test(step, fresh, links, indexes=indexes)

    def _later_parts(self) -> Iterator[tuple[LaterIndex, Plan]]:
        """Yield the later indexes that get something, each with its part of the plan."""
        for later in later_indexes(self.project):
            part = later.part_of(self.plan)
            if part.steps:
                yield later, part

    def lock_remote(self) -> Iterator[str]:
        """Yield the command that locks the release on the remote, before the first upload."""
        if self.settings.push:
            refs, lease = [f"{LOCK_COMMIT}:{LOCK_REF}"], {LOCK_REF: ""}
            yield display_command(self.repo.push_command(self.settings.remote, refs, leases=lease))

    def publish(self) -> Iterator[str]:
        yield from self._publish_to(self.target, self.plan)
        for later, part in self._later_parts():
            yield f"# {later.name}: once {later.after} has all of these packages"
            if later.needs_approval:
                yield f"# stop here until somebody allows {later.name}"
            yield from self._publish_to(later.target, part)

    def _publish_to(self, target: Target, plan: Plan) -> Iterator[str]:
        for step in plan.steps:
            yield self._upload(step, target)
            yield f"# wait until the index lists the files of {step.name} {step.version}, with the sha256 of each"
            if step.is_smoke_tested(default=self.settings.smoke_test):
                fresh = plan.install_closure(step.name)
                yield from self._smoke_test(step, fresh, indexes=target.install_indexes)

    def _upload(self, step: Step, target: Target) -> str:
        stem = f"{step.name.replace('-', '_')}-{step.version}"
        files = [DIST / step.name / f"{stem}{end}" for end in (".tar.gz", "-*.whl")]
        command = self.project.uv.publish_command(
            files,
            target.publish_url,
            target.check_url,
            attestations=self.settings.attestations,
        )
        return str(command)

    def _smoke_test(
        self,
        step: Step,
        fresh: Sequence[str],
        links: Sequence[Path] = (),
        *,
        indexes: tuple[str, ...],
    ) -> Iterator[str]:
        """Yield the commands that install and import the package of *step*."""
        uv = self.project.uv
        requirement = _exact_requirement(step)
        yield str(uv.venv_command(VENV))
        yield str(uv.install_command(self.root, VENV, requirement, indexes, fresh, links))
        yield f"# import the modules of {step.name} in {VENV}"

    def announce(self) -> Iterator[str]:
        tags = self.plan.all_tags if self.settings.tag else ()
        for tag in tags:
            message = tag_message(self.plan, tag, self.settings.tag_message)
            yield display_command(self.repo.tag_command(tag, self.commit, message))
        if self.settings.push:
            yield from self._pushes(tags)
        if self.settings.creates_forge_release:
            yield from self._create_forge_release()

    def _create_forge_release(self) -> Iterator[str]:
        urls = repository_urls(self.repo.address(self.settings.remote), self.settings.forge)
        if not urls.base:
            return
        yield f"# the release {self.plan.title} on {urls.base}"
        if self.settings.commit_back:
            yield f"# a pull request for the next development versions on {urls.base}"

    def _pushes(self, tags: tuple[str, ...]) -> Iterator[str]:
        """Yield the pushes of commit and *tags*; the last one also unlocks the release on the remote."""
        batches = push_batches(tags, self.plan.tags)
        pushes = [list(map(_tag_refspec, batch)) for batch in batches] or [[]]
        if self.repo.branch:
            pushes[0].insert(0, f"{self.commit}:refs/heads/{self.repo.branch}")
        *first, last = pushes
        remote = self.settings.remote
        for refs in first:
            yield display_command(self.repo.push_command(remote, refs, leases={}))
        last.append(f":{LOCK_REF}")
        leases = {LOCK_REF: LOCK_COMMIT}
        yield display_command(self.repo.push_command(remote, last, leases=leases))

    def fast_forward(self) -> Iterator[str]:
        if self.repo.branch:
            yield display_command(self.repo.fast_forward_command(self.commit))

    def export_staged(self) -> Iterator[str]:
        if self.output.name:
            yield f"# write the files, SHA256SUMS and manifest.json into {self.output}"
            yield self.clean_up()

    def clean_up(self) -> str:
        return display_command(self.repo.remove_worktree_command(TREE))


def _tag_refspec(tag: str) -> str:
    return f"refs/tags/{tag}:refs/tags/{tag}"


def _exact_requirement(step: Step) -> str:
    return f"{step.name}=={step.version}"
