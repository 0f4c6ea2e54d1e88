"""`releasekit init`: detect earlier releases, ask what only you know, and write the missing configuration."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from releasekit.core.adoption import configuration, setup_steps
from releasekit.core.adoption.calendar_evidence import find_calendar_scheme
from releasekit.core.adoption.commit_types import has_few_types
from releasekit.core.adoption.findings import Adoption, FormFinding, Question
from releasekit.core.adoption.internal_packages import describe_internal, find_released
from releasekit.core.adoption.tag_forms import with_literal_label
from releasekit.core.adoption.tagging import find_unread
from releasekit.core.changelog.changelog import versions_in
from releasekit.core.config.settings import CHANGELOG
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.build_tags import unread_tag_warnings
from releasekit.core.history.web_links import repository_urls
from releasekit.core.picking import by_name, drop_named, names_of, pick_keys
from releasekit.core.text import summarize
from releasekit.core.workspace.pins import text_diff
from releasekit.core.workspace.workspace import is_only_virtual, lacks_only_build_system
from releasekit.integrations.filesystem import (
    changelog_path,
    find_changelog_problem,
    make_directory,
    read_text,
    read_text_if_exists,
    write_atomic,
)
from releasekit.integrations.git import Repo
from releasekit.operations.adoption_report import apply_keys, collect_rows
from releasekit.operations.ci_workflows import ci_texts
from releasekit.operations.confirmation import Proposal
from releasekit.operations.draft import open_index
from releasekit.operations.inspect_repository import decide_tagging, inspect_repository
from releasekit.operations.take_over import apply_take_over, read_take_over
from tasks import ask_index, read_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from releasekit.core.adoption.configuration import MissingKey
    from releasekit.core.adoption.findings import InternalPackage, SetupStep, UnreadTags
    from releasekit.core.adoption.form_evidence import FormEvidence
    from releasekit.core.adoption.setup_steps import CiSystem
    from releasekit.core.adoption.tagging import Tagging
    from releasekit.core.errors import ReleaseWarning
    from releasekit.core.history.web_links import RepositoryUrls
    from releasekit.core.migration.foreign_setup import ForeignTool
    from releasekit.core.workspace.workspace import Member
    from releasekit.operations.confirmation import Interview
    from releasekit.operations.inspect_repository import Inspection, PublishedVersions
    from releasekit.operations.take_over import TakeOver
    from releasekit.options import InitOptions
    from tasks.project import Project

log = logging.getLogger("releasekit")


@dataclass(frozen=True, slots=True)
class Answers:
    """What you answer: the packages that are not published, and whether commits without a type ask for a patch.

    *ci* is the system for which workflows are written; None writes none. *index* is the name of the index to publish
    to; empty leaves it as it is.
    """

    excluded: tuple[InternalPackage, ...] = ()
    counts_untyped: bool = False
    ci: CiSystem | None = None
    index: str = ""


@dataclass(frozen=True, slots=True)
class InitDraft:
    """The *adoption* to show, and the new texts of files by path."""

    adoption: Adoption
    texts: Mapping[str, str]


async def init_workspace(
    options: InitOptions,
    interview: Interview,
    *,
    tag_baselines: bool,
    ci: CiSystem | None = None,
    tool: ForeignTool | None = None,
) -> Adoption:
    """Find earlier releases and missing configuration, show it, and write it after a yes; return everything found.

    *tool* is another release tool, whose configuration is taken over.
    """
    project = read_workspace.read_workspace(options.directory, options.overrides())
    repo = Repo(project.root)
    take_over = read_take_over(repo, project, tool)
    project = apply_take_over(project, take_over)
    published, notes = await _read_published(project, offline=options.offline)
    inspection = replace(inspect_repository(repo, project, published, notes), take_over=take_over)
    proposed = propose_answers(inspection, ci)
    draft = make_draft(repo, project, inspection, proposed)
    await interview.show(draft.adoption)
    answers = await _ask(interview, repo, project, inspection, proposed)
    if answers != proposed:
        draft = make_draft(repo, project, inspection, answers)
    await interview.show_changes(draft.adoption, tag_baselines=tag_baselines)
    return await _write_after_yes(interview, repo, project, draft, tag_baselines=tag_baselines)


async def _write_after_yes(
    interview: Interview, repo: Repo, project: Project, draft: InitDraft, *, tag_baselines: bool
) -> Adoption:
    """Write the files and tags of *draft* after a yes; return its adoption with what was written."""
    adoption, texts = draft.adoption, draft.texts
    tags = adoption.missing if tag_baselines else {}
    if not (texts or tags):
        log.info("nothing to write")
        return adoption
    names = _enumerate([*texts, *_tag_names(tags)])
    answer = await interview.ask(Proposal(f"Write {names}?", adoption))
    if not answer.accepted:
        if not answer.was_asked:
            log.info("nothing was written; pass --yes to write %s", names)
        return adoption
    _write_files_and_tags(repo, project, texts, tags)
    next_step = "; commit it, then run `releasekit check`" if texts else ""
    log.info("written: %s%s", ", ".join([*texts, *_tag_names(tags)]), next_step)
    return adoption.model_copy(update={"written": bool(texts), "made": tuple(tags)})


_MAX_NAMED_TAGS = 3


def _tag_names(tags: Collection[str]) -> list[str]:
    """Return the names of *tags* for a sentence; only their number if there are many."""
    if len(tags) > _MAX_NAMED_TAGS:
        return [f"{len(tags)} tags"]
    return [f"the tag {tag}" for tag in tags]


def _write_files_and_tags(
    repo: Repo, project: Project, texts: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    if tags:
        repo.committer()  # refuse a missing identity now, before anything is written
    for path, text in texts.items():
        file = project.root / path
        make_directory(file.parent)
        write_atomic(file, text)
    for tag, commit in tags.items():
        repo.make_tag(tag, commit)


async def _read_published(
    project: Project, *, offline: bool
) -> tuple[PublishedVersions | None, tuple[str, ...]]:
    """Return the versions on the index, and a note if it cannot be reached: then only tags count."""
    if offline:
        return None, ()
    left_out = {
        note: _members_left_out(project, is_left_out)
        for note, is_left_out in _REASONS_TO_LEAVE_OUT.items()
    }
    asked = names_of(chain.from_iterable(left_out.values()))
    names = project.workspace.publishable_names
    try:
        async with open_index(project, read_workspace.target_of(project)) as index:
            on_index = await ask_index.ask_index(index, [*names, *asked])
    except Refusal as error:
        if error.code is not ErrorCode.INDEX_UNREACHABLE:
            raise
        return None, (
            f"{error.code}: no index was reached, so the last releases are from tags alone",
        )
    released = {note: find_released(members, on_index) for note, members in left_out.items()}
    notes = [note.format(summarize(found)) for note, found in released.items() if found]
    return pick_keys(on_index, names), tuple(notes)


def _members_left_out(
    project: Project, is_left_out: Callable[[Mapping[str, Any]], bool]
) -> list[Member]:
    """Return the members that are not published because of their pyproject.toml, and for no other reason."""
    if project.settings.packages:
        return []
    excluded = project.workspace.matching_names(project.settings.exclude)
    return [
        member
        for member in drop_named(project.workspace, excluded)
        if is_left_out(project.manifests[member.path][0])
    ]


_REASONS_TO_LEAVE_OUT: Mapping[str, Callable[[Mapping[str, Any]], bool]] = MappingProxyType(
    {
        "{}: the index has the declared version, but there is no [build-system]. "
        "To release it, add one to its pyproject.toml": lacks_only_build_system,
        "{}: the index has the declared version, but [tool.uv] has `package = false`. "
        "To release it, remove that, or name all packages to publish in `packages`": is_only_virtual,
    }
)
"""Each note about members that are published, but not from here, with the condition for such a member."""


# ---- what only you know ---------------------------------------------------------------------------------------------


def propose_answers(inspection: Inspection, ci: CiSystem | None) -> Answers:
    """Return the answers for which the repository has evidence. They apply with --yes and without a terminal."""
    return Answers(inspection.internal, has_few_types(inspection.commits), ci)


async def _ask(
    interview: Interview, repo: Repo, project: Project, inspection: Inspection, proposed: Answers
) -> Answers:
    """Return the answers to the questions that the repository cannot answer."""
    table = project.settings_table
    answers = proposed
    if proposed.excluded:
        answers = replace(answers, excluded=await _ask_excluded(interview, proposed.excluded))
    if proposed.counts_untyped and "unconventional" not in table:
        commits = inspection.commits
        text = f"Only {commits.share} of the {commits.total} newest commits have a Conventional Commits type. "
        text += "Let each commit without a type ask for a patch release?"
        answer = await interview.choose(Question("unconventional", text, ("yes", "no")))
        answers = replace(answers, counts_untyped=answer == "yes")
    urls = _urls(repo, project)
    if urls.base and urls.kind != "gitea" and not proposed.ci and "publish_from" not in table:
        text = "Who uploads: this machine (`local`), or a workflow after a release pull request (`ci`)?"
        answer = await interview.choose(Question("publish_from", text, ("local", "ci")))
        if answer == "ci":
            answers = replace(answers, ci="gitlab" if urls.is_gitlab else "github")
    names = names_of(read_workspace.named_targets(project))
    if names and not project.settings.index and not project.settings.publish_url:
        answer = await interview.choose(
            Question("index", "Which index do you publish to?", ("default", *names))
        )
        answers = replace(answers, index="" if answer == "default" else answer)
    return answers


async def _ask_excluded(
    interview: Interview, internal: Sequence[InternalPackage]
) -> tuple[InternalPackage, ...]:
    """Return those of the *internal* packages that are not published."""
    lines = "\n".join(f"  {line}" for line in describe_internal(internal))
    text = f"These packages look internal:\n{lines}\nLeave them unpublished?"
    answer = await interview.choose(Question("exclude", text, ("yes", "no", "each")))
    if answer != "each":
        return tuple(internal) if answer == "yes" else ()
    left_out: list[InternalPackage] = []
    for package in internal:
        question = Question(
            "exclude", f"Leave {package.name} unpublished ({package.reason})?", ("yes", "no")
        )
        if await interview.choose(question) == "yes":
            left_out.append(package)
    return tuple(left_out)


def _urls(repo: Repo, project: Project) -> RepositoryUrls:
    settings = project.settings
    return repository_urls(repo.address(settings.remote), settings.forge)


# ---- the draft ------------------------------------------------------------------------------------------------------


def make_draft(repo: Repo, project: Project, inspection: Inspection, answers: Answers) -> InitDraft:
    """Return what `init` shows and writes after these *answers*. Changes nothing.

    Raises Refusal as `read_history` does, and RK-CONFIG-INVALID-VALUE.
    """
    excluded = set(names_of(answers.excluded))
    tagging, evidence = decide_tagging(project, inspection, excluded)
    is_configured = "tag_format" in project.settings_table
    unread = find_unread(evidence, tagging, is_configured=is_configured)
    scheme = find_calendar_scheme(evidence, tagging)
    keys = _root_keys(project, tagging, inspection, answers, scheme)
    configured = apply_keys(project, keys, tagging, excluded)
    take_over = inspection.take_over
    rows = collect_rows(repo, configured, inspection.published, evidence, take_over.baselines)
    before, after = _config_texts(project, keys, tagging, unread, take_over)
    if answers.ci:
        before_ci, after_ci = ci_texts(
            repo, project, answers.ci, read_workspace.target_of(configured)
        )
        before, after = {**before, **before_ci}, {**after, **after_ci}
    texts, diffs = _changed_texts(before, after)
    adoption = Adoption(
        tag_format=tagging.patterns,
        label=tagging.label,
        own_tag_formats=dict(tagging.own),
        packages=rows.packages,
        forms=tuple(_describe_form(weighed, unread) for weighed in evidence),
        unread=unread,
        unexplained=tuple(
            sorted(tag for tag in inspection.tags if not configured.schemes.readings(tag))
        ),
        internal=inspection.internal,
        commit_types=inspection.commits,
        missing=dict(rows.missing),
        diffs=diffs,
        setup_steps=_setup_steps(repo, configured, inspection, answers),
        notes=(*inspection.notes, *rows.notes, *map(str, _unread_tags(configured))),
        other_tools=take_over.tools,
        not_taken_over=take_over.setup.not_taken_over if take_over.setup else (),
        removable=take_over.setup.removable if take_over.setup else (),
    )
    return InitDraft(adoption, texts)


def _unread_tags(project: Project) -> Iterator[ReleaseWarning]:
    """Yield a warning for each package whose build would not read its tags."""
    documents = {path: document for path, (document, _) in project.manifests.items()}
    return unread_tag_warnings(project.workspace, project.schemes, documents)


def _root_keys(
    project: Project, tagging: Tagging, inspection: Inspection, answers: Answers, scheme: str
) -> list[MissingKey]:
    """Return the keys that the root's [tool.releasekit] lacks; *scheme* is the `versioning_scheme` of its tags."""
    workspace = project.workspace
    excluded = set(names_of(answers.excluded))
    names = set(names_of(workspace.publishable)) - excluded
    paths = [workspace[name].path for name in names]
    is_shared = tagging.is_fixed and "." not in paths
    shared_changelog = _current_changelog(project, ".") if is_shared else ""
    own_changelogs = map(partial(_current_changelog, project), paths)
    proposals = configuration.Proposals(
        tagging=tagging,
        scheme=scheme,
        pins=configuration.choose_pins(workspace, names),
        cycles=configuration.find_batches(workspace, names),
        excluded=answers.excluded,
        commits=inspection.commits,
        counts_untyped=answers.counts_untyped,
        publish_from="ci" if answers.ci else "",
        index=answers.index,
        workspace_changelog=shared_changelog,
        keeps_changelogs=not shared_changelog or any(own_changelogs),
    )
    return configuration.root_keys(project.settings_table, proposals, workspace)


def _current_changelog(project: Project, directory: str) -> str:
    """Return the name of the changelog in *directory* if it lists a version that a package declares; else empty.

    It is also empty if a release could not write the file, because it is a link, for example.
    """
    base = (project.root / directory).resolve()
    path = changelog_path(base, CHANGELOG)
    declared = set(map(attrgetter("version"), project.workspace.publishable))
    is_current = declared.intersection(versions_in(read_text_if_exists(path)))
    return path.name if is_current and not find_changelog_problem(base, path) else ""


def _config_texts(
    project: Project,
    keys: Sequence[MissingKey],
    tagging: Tagging,
    unread: Collection[UnreadTags],
    take_over: TakeOver,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of the files to configure by path, before and after."""
    by_path = {
        configuration.ROOT_FILE: keys,
        **configuration.member_keys(tagging, project.workspace, project.settings_table),
    }
    for path, foreign_keys in take_over.keys_by_path(project).items():
        taken = {
            key.name: configuration.MissingKey(key.name, key.value, key.comment)
            for key in foreign_keys
        }
        missing_by_name = {**taken, **by_name(by_path.get(path, ()))}
        # In a new file, a table below [tool.releasekit] comes after the plain keys.
        by_path[path] = sorted(
            missing_by_name.values(), key=lambda key: isinstance(key.value, dict)
        )
    before = {path: read_text(project.root / path) for path in by_path}
    after: dict[str, str] = {}
    for path, missing in by_path.items():
        after[path] = configuration.configured_text(before[path], missing, path, fits=not unread)
    return before, after


def _changed_texts(
    before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of *after* that differ from those *before*, and the diffs, both by path."""
    texts: dict[str, str] = {}
    diffs: dict[str, str] = {}
    for path, text in after.items():
        diff = text_diff(before[path], text, path)
        if diff:
            texts[path] = text
            diffs[path] = diff
    return texts, diffs


def _describe_form(weighed: FormEvidence, unread: Collection[UnreadTags]) -> FormFinding:
    form = weighed.form
    literal = with_literal_label(form.tags[0].parsed).pattern
    return FormFinding(
        form=literal,
        tags=len(form.tags),
        recent=weighed.recent,
        matching=weighed.matching,
        newest=form.tags[0].parsed.tag,
        packages=tuple(sorted(weighed.owners)),
        is_read=all(literal != tags.form for tags in unread),
    )


def _setup_steps(
    repo: Repo, project: Project, inspection: Inspection, answers: Answers
) -> tuple[SetupStep, ...]:
    """Return what you set up by hand for CI; nothing without CI."""
    if not answers.ci:
        return ()
    published = inspection.published or {}
    projects = {
        member.name: bool(published.get(member.name)) for member in project.workspace.publishable
    }
    target = read_workspace.target_of(project)
    workflow = project.settings.publish_workflow
    return setup_steps.setup_steps(answers.ci, _urls(repo, project), target, projects, workflow)


def _enumerate(things: list[str]) -> str:
    *first, last = things
    return f"{', '.join(first)} and {last}" if first else last
