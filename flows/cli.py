"""Flags to options, errors to exit codes: the front door."""

from __future__ import annotations

import logging
import sys
from pathlib import Path  # noqa: TC003  read by cyclopts
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError
from cyclopts.validators import Number

from flows.logs import start_logging
from flows.options import (
    CheckOptions,
    InitOptions,
    Options,
    Place,
    PlanOptions,
    PrepareOptions,
    PublishOptions,
    RollbackOptions,
)
from tasks.adapters.files import file_error, make_directory, replace_text
from tasks.adapters.process import mask
from tasks.adapters.server import PORT
from tasks.adapters.signals import heed_interrupts
from tasks.core.errors import Code, Refusal, ReleaseError, explain

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("releasekit")

DONE, FAILED, INTERRUPTED = 0, 1, 130

Flat = Parameter(name="*")
Format = Literal["table", "json"]
Switch = Parameter(negative="")
Switched = Annotated[bool, Switch]


def _version() -> str:
    from releasekit import __version__

    return __version__


app = App(name="releasekit", version=_version, help_format="plaintext", help=(
    "Release a uv workspace: every changed package on the index, dependencies first, with exact internal pins."
))  # fmt: skip
app.suppress_keyboard_interrupt = app.meta.suppress_keyboard_interrupt = False  # it is for `main` to say what to do


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 failed, 2 refused, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    heed_interrupts()
    try:
        result = app.meta(words, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        begun = "; a release that had begun is on record: run publish again to carry it on"
        log.warning("interrupted%s", begun if "publish" in words else "")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  the one place where nothing may get past
        return _explain(error)
    return result if isinstance(result, int) else DONE


def run_command(name: str) -> int:
    """Run the command *name* with the words of the command line: `python -m flows.NAME`."""
    return main([name, *sys.argv[1:]])


def _explain(error: Exception) -> int:
    from flows import console

    if isinstance(error, CycloptsError):
        error = Refusal(Code.USAGE, str(error).strip())
    if isinstance(error, OSError):
        error = file_error(error)
    if not isinstance(error, ReleaseError):
        log.debug("unexpected", exc_info=error)
        error = ReleaseError(Code.UNEXPECTED, f"{type(error).__name__}: {error}")
    console.explain(error)
    return error.status


@app.meta.default
def launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    verbose: Annotated[bool, Parameter(alias="-v", negative="")] = False,
    quiet: Annotated[bool, Parameter(alias="-q", negative="")] = False,
    log_format: Literal["text", "json"] = "text",
) -> object:
    """Set up what all commands share.

    Parameters
    ----------
    words
        The command and its options.
    verbose
        Log every command that is run, and every request.
    quiet
        Log warnings and errors alone.
    log_format
        Log lines as text, or as one JSON object a line.
    """
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    start_logging(level, log_format)
    return app(words, exit_on_error=False, print_error=False, result_action="return_value")


@app.command
def publish(
    *,
    options: Annotated[PublishOptions, Flat] = PublishOptions(),  # noqa: B008  a frozen value
    yes: Annotated[bool, Parameter(alias="-y", negative="")] = False,
    format: Format = "table",  # noqa: A002  the name of the flag
) -> int:
    """Release every changed package: build, verify, upload, confirm and smoke-test it, then tag and push.

    Parameters
    ----------
    yes
        Don't ask before the release begins.
    format
        How the plan of a dry run, or the report of a release, is printed.
    """
    options.refuse_contradictions()
    if options.approve and yes:
        raise Refusal(Code.USAGE, "--approve leaves the yes to somebody else, and --yes does not")
    import asyncio

    from flows import console, local
    from tasks.core.pull import ReleasePull

    if options.dry_run:
        decided = asyncio.run(local.dry_run(options))
        if isinstance(decided, ReleasePull):
            console.answer_with(format, decided, console.pull_table(decided))
            return DONE
        console.answer_with(format, decided.plan, console.plan_table(decided.plan))
        if format == "table" and decided.commands:
            console.answer("would run:\n" + "\n".join(f"  {command}" for command in decided.commands))
        return DONE
    released = asyncio.run(local.publish(options, yes=yes))
    if isinstance(released, ReleasePull):
        console.answer_with(format, released, console.pull_table(released))
        return DONE
    console.answer_with(
        format, released.report, console.report_table(released.report), console.pins_table(released.pins)
    )
    return DONE if released.report.done else FAILED


@app.command
def prepare(*, options: Annotated[PrepareOptions, Flat] = PrepareOptions(), format: Format = "table") -> int:  # noqa: A002, B008
    """Make the pull request that releases what has changed when it is merged, or bring it up to date.

    Parameters
    ----------
    format
        How it is printed.
    """
    if options.offline and not options.dry_run:
        raise Refusal(Code.USAGE, "--offline goes with --dry-run")
    import asyncio

    from flows import console, local

    found = asyncio.run(local.prepare(options))
    console.answer_with(format, found, console.pull_table(found))
    return DONE


@app.command
def plan(
    *,
    options: Annotated[PlanOptions, Flat] = PlanOptions(),  # noqa: B008
    comment: Switched = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Show what would be released, and why; changes nothing.

    Parameters
    ----------
    comment
        In a CI, show it as a comment on the pull request too, or in the job's summary.
    format
        How the plan is printed.
    """
    import asyncio

    from flows import console, draft, local

    decided = asyncio.run(local.plan(options))
    console.answer_with(format, decided, console.plan_table(decided))
    if comment:
        where = asyncio.run(draft.comment(options, decided))
        log.info("%s", f"shown in {where}" if where else "no CI that is known: it is shown nowhere else")
    return DONE


@app.command
def manifest(
    release: str = "draft",
    /,
    *,
    options: Annotated[Place, Flat] = Place(),  # noqa: B008
    output: Path | None = None,
) -> int:
    """Fetch the manifest of a release that is tagged and waits to be published, for `publish --manifest`.

    Only who may write to the repository sees a draft: so it can be fetched in a job that builds nothing.

    Parameters
    ----------
    release
        Its tag; none: the only draft that there is.
    output
        Write it to this file, instead of printing it.
    """
    import asyncio

    from flows import console, draft

    text = asyncio.run(draft.manifest_of(options, release))
    if output:
        make_directory(output.parent)
        replace_text(output, text)
    else:
        console.answer(text.rstrip("\n"))
    return DONE


@app.command
def approve(run: str = "", /, *, reject: str | None = None, drop: Annotated[tuple[str, ...], Switch] = ()) -> int:
    """Answer a release that waits for it (`publish --approve`) on a Prefect server; or list those that do.

    Parameters
    ----------
    run
        Its name, its id or the beginning of that; none: list the runs that wait.
    reject
        Say no, for this reason.
    drop
        Say yes, but release all but these packages; the plan is made again, and asked again if more has changed.
    """
    import asyncio

    from flows import console, local

    if not run and (drop or reject is not None):
        raise Refusal(Code.USAGE, "which run? `releasekit approve` lists those that wait")
    if drop and reject is not None:
        raise Refusal(Code.USAGE, "one of --drop and --reject")
    if run:
        name = asyncio.run(local.approve(run, reject=reject, drop=drop))
        log.info("%s: %s", name, "approved" if reject is None else "rejected")
    else:
        console.show(console.waiting_table(asyncio.run(local.waiting())))
    return DONE


@app.command
def rollback(
    release: str = "",
    /,
    *,
    options: Annotated[RollbackOptions, Flat] = RollbackOptions(),  # noqa: B008
    yes: Annotated[bool, Parameter(alias="-y", negative="")] = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Give a release up: remove its tags, its worktree and its record, and tell how to go forward from what is public.

    Parameters
    ----------
    release
        Its id, or the beginning of it, or its title; none: the one that has not ended, else the latest.
    yes
        Don't ask before anything is removed.
    format
        How that which is undone is printed.
    """
    import asyncio

    from flows import console, local

    found = asyncio.run(local.rollback(options.model_copy(update={"release": release}), yes=yes))
    console.answer_with(format, found, console.rollback_table(found))
    return DONE


@app.command(name="version")
def next_versions(
    *packages: str,
    options: Annotated[PlanOptions, Flat] = PlanOptions(),  # noqa: B008  a frozen value
    explain: Switched = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Show which version each package goes to, and why; asks no index.

    Parameters
    ----------
    packages
        Only these packages (names, patterns or paths).
    explain
        Show each commit since the last release with the rule that it met, or why it does not count.
    format
        How the versions are printed.
    """
    from flows import console
    from flows.draft import explained
    from tasks.core.formats.explained import explanation_text

    found, warnings = explained(options, packages, whole=explain)
    _warn(warnings)
    if format == "table" and explain:
        console.answer(explanation_text(found))
    else:
        console.answer_with(format, found, console.versions_table(found))
    return DONE


@app.command
def init(
    *,
    options: Annotated[InitOptions, Flat] = InitOptions(),  # noqa: B008  a frozen value
    yes: Annotated[bool, Parameter(alias="-y", negative="")] = False,
    tag_baselines: Switched = False,
    ci: Literal["github", "gitlab"] | None = None,
    format: Format = "table",  # noqa: A002
) -> int:
    """Take over a workspace: find its earlier releases, and write what is missing of [tool.releasekit].

    Parameters
    ----------
    yes
        Write without asking; without it, and without a terminal, nothing is written.
    tag_baselines
        Make the tags that the last releases lack too, in this repository alone; none is pushed.
    ci
        Write the workflows that release by pull request too, or bring them up to date.
    format
        How the findings are printed.
    """
    import asyncio

    from flows import console
    from flows.adopt import adopt

    found = asyncio.run(adopt(options, tag_baselines=tag_baselines, ci=ci, yes=yes, show=format == "table"))
    if format == "json":
        console.answer_with(format, found)
    return DONE


@app.command
def discover(*, options: Annotated[Place, Flat] = Place(), format: Format = "table") -> int:  # noqa: A002, B008
    """List the members of the workspace, as uv sees them.

    Parameters
    ----------
    format
        How the list is printed.
    """
    from flows import console
    from tasks.core.formats.json import discover_json
    from tasks.survey import read_workspace

    workspace = read_workspace(options.directory, {}).workspace
    if format == "json":
        console.answer(discover_json(workspace))
    else:
        console.show(console.members_table(workspace))
    return DONE


@app.command
def graph(*, options: Annotated[Place, Flat] = Place(), format: Literal["levels", "json"] = "levels") -> int:  # noqa: A002, B008
    """Print who needs whom.

    Parameters
    ----------
    format
        `levels`, one line each; or `json` with nodes, edges, levels and cycles.
    """
    from flows import console
    from tasks.core.formats.json import graph_json
    from tasks.core.formats.levels import levels_text
    from tasks.core.graph import graph_of, order
    from tasks.survey import read_workspace

    project = read_workspace(options.directory, {})
    whole, warnings = graph_of(project.workspace, {member.name: member.version for member in project.workspace})
    _warn([str(warning) for warning in warnings])
    if format == "json":
        console.answer(graph_json(project.workspace, whole, None if whole.cycles() else order(whole)))
    else:
        console.answer(levels_text(order(whole, project.settings.cycles)))
    return DONE


@app.command
def check(
    *,
    options: Annotated[CheckOptions, Flat] = CheckOptions(),  # noqa: B008  a frozen value
    fix: Switched = False,
    yes: Annotated[bool, Parameter(alias="-y", negative="")] = False,
    format: Literal["table", "json", "sarif"] = "table",  # noqa: A002
) -> int:
    """Look for what would go wrong in a release, or after it: exit code 1 if there are errors.

    Parameters
    ----------
    fix
        Mend what has one right answer; the difference is shown first.
    yes
        Mend without asking; without it, and without a terminal, nothing is written.
    format
        How the findings are printed; sarif is what code hosts read.
    """
    import asyncio

    from flows import checking, console, local
    from tasks.core.formats.sarif import sarif

    if fix:
        _ = options.directory  # there is nothing to mend in a clone that is thrown away
    found = asyncio.run(local.check(options))
    if fix and checking.mend(found, yes=yes):
        found = checking.examine(options)
    if format == "sarif":
        console.answer(sarif(found.report, found.checks, _version(), found.prefix))
    else:
        console.answer_with(format, found.report, console.findings_list(found.report))
    return FAILED if found.report.failed else DONE


@app.command
def changelog(
    *packages: str,
    options: Annotated[Options, Flat] = Options(),  # noqa: B008
    format: Literal["markdown", "json"] = "markdown",  # noqa: A002
) -> int:
    """Print what the changelogs would gain in a release now; asks no index and changes nothing.

    Parameters
    ----------
    packages
        Only these packages (names, patterns or paths).
    format
        As Markdown, or as JSON with each change.
    """
    from flows import console, draft
    from tasks.core.formats.json import changelog_json

    told, warnings = draft.unreleased(options, packages)
    _warn(warnings)
    if format == "json":
        console.answer(changelog_json((step, tell.entry, section) for step, tell, section in told))
    elif told:
        console.answer("\n".join(f"# {step.name}\n\n{section.text}" for step, _, section in told))
    else:
        log.info("nothing is unreleased")
    return DONE


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        log.warning("warning %s", warning)


@app.command
def notes(
    *,
    options: Annotated[Options, Flat] = Options(),  # noqa: B008
    format: Literal["markdown", "json"] = "markdown",  # noqa: A002
) -> int:
    """Print the notes that a release made now would have on the forge; asks no index and changes nothing.

    The forge is asked for pull requests, unless it is told not to (--offline).

    Parameters
    ----------
    format
        As Markdown, through template and command; or as the JSON of what a template is given.
    """
    import asyncio

    from flows import console, draft

    found, text = asyncio.run(draft.notes(options))
    if not found.packages:
        log.info("nothing is unreleased")
    elif format == "json":
        console.answer(found.model_dump_json(indent=1))
    else:
        console.answer(text)
    return DONE


@app.command
def pin(
    *command: str,
    options: Annotated[Place, Flat] = Place(),  # noqa: B008
    apply: Switched = False,
    restore: Switched = False,
) -> int:
    """Show the exact versions that internal requirements would be pinned to, in your own tree; or pin them.

    Parameters
    ----------
    command
        After `--apply --`: run this while the pins are in place, then put everything back, however it ends.
    apply
        Write the pins; without a command until `--restore`.
    restore
        Put back what `--apply` has changed.
    """
    from flows import console
    from flows.pinning import pinned_tree

    if (apply and restore) or (command and not apply):
        raise Refusal(Code.USAGE, "one of --apply [-- COMMAND] and --restore")
    with pinned_tree(options.directory) as tree:
        if command:
            return tree.run(command)
        if apply:
            tree.apply()
        elif not restore:  # which needs no more than that the tree was asked for
            console.answer(tree.diff())
    return DONE


@app.command
def server(
    action: Literal["start", "status", "stop"],
    /,
    *,
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))] = PORT,
) -> int:
    """Keep a Prefect server on this machine: releases and plans are then recorded there, with pages to look at.

    Parameters
    ----------
    action
        `start`; `status`, with exit code 1 if there is none; or `stop`.
    port
        Where it listens.
    """
    from flows import console
    from tasks.adapters.server import configured_api, kept_server, start_server, stop_server

    if action == "stop":
        stopped = stop_server()
        log.info("%s", f"stopped {stopped.page}" if stopped else "no server is running")
        return DONE
    kept = start_server(port) if action == "start" else kept_server()
    if not kept:
        log.info("no server is running")
        return FAILED
    kept.wait()
    console.answer(kept.page)
    if other := configured_api():
        log.warning("PREFECT_API_URL or the active profile names %s, and that is used instead", mask(other))
    return DONE


@app.command(name="explain")
def explain_code(code: str, /) -> int:
    """Say more about an error code, such as RK-GRAPH-CYCLE."""
    from flows import console

    console.answer(explain(code))
    return DONE
