"""Each command: options in, an answer out, and the exit code."""

from __future__ import annotations

import logging
import sys
from pathlib import Path  # noqa: TC003  cyclopts reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from releasekit.cli.help import Help, examples
from releasekit.core.errors import CATALOGUE, Code, Refusal, explain
from releasekit.options import (
    HERE,
    PACKAGES,
    PORT,
    Anywhere,
    CheckOptions,
    Environment,
    GraphFormat,
    Groups,
    InitOptions,
    Members,
    Options,
    Place,
    PlanOptions,
    PrepareOptions,
    PublishOptions,
    RollbackOptions,
    Selected,
    StatusOptions,
    complete_packages,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.planning.model import Obstacle

log = logging.getLogger("releasekit")

DONE, FAILED, REFUSED = 0, 1, 2

Flat = Parameter(name="*")
Printed = Parameter(group=HERE)
Format = Annotated[Literal["table", "json"], Printed]
Tables = Annotated[Literal["table", "json", "csv", "markdown"], Printed]
Packages = Annotated[str, Parameter(completer=complete_packages)]
Switched = Annotated[bool, Parameter(group=HERE)]
Yes = Annotated[bool, Parameter(alias="-y", group=HERE)]


def _version() -> str:
    from releasekit import __version__

    return __version__


app = App(
    name="releasekit",
    version=_version,
    help_format="plaintext",
    help_formatter=Help(),
    config=Environment(),
    help="Release a uv workspace: every changed package on the index, dependencies first, with exact internal pins.",
    help_epilogue="An option that is not given has the value of its variable, else that of its key in "
    "[tool.releasekit], else its default: `releasekit config` shows which. Every switch has its opposite, as in "
    "--no-dry-run.",
)


@app.command(
    help_epilogue=examples(
        "releasekit publish --dry-run              # the plan, and what would be run",
        'releasekit publish -p core -p "plugin-*"  # these, and what they need',
        "releasekit publish --rehearse             # for real, on a throwaway index",
    )
)
def publish(
    *,
    options: Annotated[PublishOptions, Flat] = PublishOptions(),  # noqa: B008  a frozen value
    yes: Yes = False,
    format: Tables = "table",  # noqa: A002  the name of the flag
) -> int:
    """Release every changed package: build, verify, upload, confirm and smoke-test it, then tag and push.

    Parameters
    ----------
    yes
        Don't ask before the release begins.
    format
        How the plan of a dry run, or the report, is printed: csv for spreadsheets, markdown for pull requests.
    """
    options.refuse_contradictions()
    if options.approve and yes:
        raise Refusal(Code.USAGE, "--approve leaves the yes to somebody else, and --yes does not")
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import console
    from releasekit.core.release.pr_status import ReleasePull
    from releasekit.formats.csv import plan_csv, report_csv
    from releasekit.formats.markdown import COMMENT_LIMIT, plan_markdown, report_markdown

    if options.dry_run:
        decided = asyncio.run(runner.dry_run(options))
        if isinstance(decided, ReleasePull):
            console.answer_with(format, decided, console.pull_table(decided))
            return _status(decided.obstacles)
        console.answer_with(
            format,
            decided.plan,
            console.plan_table(decided.plan),
            csv=lambda: plan_csv(decided.plan),
            markdown=lambda: plan_markdown(decided.plan, limit=COMMENT_LIMIT),
        )
        if format == "table" and decided.commands:
            console.answer("would run:\n" + "\n".join(f"  {command}" for command in decided.commands))
        return _status(decided.plan.obstacles)
    released = asyncio.run(runner.publish(options, yes=yes))
    if isinstance(released, ReleasePull):
        console.answer_with(format, released, console.pull_table(released))
        return DONE
    console.answer_with(
        format,
        released.report,
        console.report_table(released.report),
        console.pins_table(released.pins),
        csv=lambda: report_csv(released.report),
        markdown=lambda: report_markdown(released.report),
    )
    if options.rehearse:
        log.info("that was a rehearsal: index, clone and tags are gone; `publish` does it for real")
    return DONE if released.report.done else FAILED


@app.command(
    help_epilogue=examples(
        "releasekit prepare --dry-run",
        "releasekit prepare --prerelease rc",
    )
)
def prepare(
    *,
    options: Annotated[PrepareOptions, Flat] = PrepareOptions(),  # noqa: B008
    format: Format = "table",  # noqa: A002
) -> int:
    """Make the pull request that releases what has changed when it is merged, or bring it up to date.

    Parameters
    ----------
    format
        How it is printed.
    """
    if options.offline and not options.dry_run:
        raise Refusal(Code.USAGE, "--offline goes with --dry-run")
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import console

    found = asyncio.run(runner.prepare(options))
    console.answer_with(format, found, console.pull_table(found))
    return _status(found.obstacles, "prepare")


@app.command(
    help_epilogue=examples(
        "releasekit plan --offline",
        "releasekit plan --prerelease rc --format json",
        "releasekit plan --since-last            # what has changed since",
    )
)
def plan(
    *,
    options: Annotated[PlanOptions, Flat] = PlanOptions(),  # noqa: B008  a frozen value
    comment: Switched = False,
    since_last: Switched = False,
    diff: Annotated[Path | None, Printed] = None,
    format: Tables = "table",  # noqa: A002
) -> int:
    """Show what would be released, why, and what stands in the way (exit code 2); changes nothing.

    Parameters
    ----------
    comment
        In a CI, show it as a comment on the pull request too, or in the job's summary.
    since_last
        Tell what has changed since the last plan: that on the Prefect server where plans are recorded, else the one
        that the last `--since-last` has left in the git directory.
    diff
        Tell what has changed since the plan in this file, which is the output of `plan --format json`.
    format
        How the plan is printed: csv for spreadsheets, markdown for pull requests.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import console
    from releasekit.formats.csv import plan_csv
    from releasekit.formats.markdown import COMMENT_LIMIT, plan_markdown
    from releasekit.operations import preview

    if since_last and diff:
        raise Refusal(Code.USAGE, "one of --since-last and --diff")
    decided = asyncio.run(runner.plan(options, since_last=since_last, diff=diff))
    since = decided.since
    console.answer_with(
        format,
        decided,
        console.plan_table(decided),
        *([console.difference_list(since)] if since else []),
        json=lambda: decided.model_dump_json(indent=1, exclude=None if since_last or diff else {"since"}),
        csv=lambda: plan_csv(decided, since.by_package if since else None),
        markdown=lambda: plan_markdown(decided, since.sentences if since else None, limit=COMMENT_LIMIT),
    )
    if comment:
        where = asyncio.run(preview.comment(options, decided))
        log.info("%s", f"shown in {where}" if where else "no CI that is known: it is shown nowhere else")
    return _status(decided.obstacles)


def _status(obstacles: Sequence[Obstacle], command: str = "publish") -> int:
    """Show *obstacles*, which *command* would refuse, and return the exit code of a command that only looks."""
    from releasekit.cli.render import console

    console.explain_all(obstacles, f"{command} would refuse")
    return REFUSED if obstacles else DONE


@app.command(
    help_epilogue=examples(
        "releasekit manifest --output release/manifest.json",
        "releasekit manifest v0.6.0",
    )
)
def manifest(
    release: str = "draft",
    /,
    *,
    options: Annotated[Place, Flat] = Place(),  # noqa: B008
    output: Annotated[Path | None, Printed] = None,
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

    from releasekit.cli.render import console
    from releasekit.integrations.filesystem import make_directory, replace_text
    from releasekit.operations import preview

    text = asyncio.run(preview.manifest_of(options, release))
    if output:
        make_directory(output.parent)
        replace_text(output, text)
    else:
        console.answer(text.rstrip("\n"))
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit approve                      # those that wait",
        "releasekit approve brave-otter --drop plugin-x",
        'releasekit approve brave-otter --reject "after the holidays"',
    )
)
def approve(run: str = "", /, *, reject: Annotated[str | None, Printed] = None, drop: Members = ()) -> int:
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

    from releasekit.cli import runner
    from releasekit.cli.render import console

    if not run and (drop or reject is not None):
        raise Refusal(Code.USAGE, "which run? `releasekit approve` lists those that wait")
    if drop and reject is not None:
        raise Refusal(Code.USAGE, "one of --drop and --reject")
    if run:
        name = asyncio.run(runner.approve(run, reject=reject, drop=drop))
        log.info("%s: %s", name, "approved" if reject is None else "rejected")
    else:
        console.show(console.waiting_table(asyncio.run(runner.waiting())))
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit status",
        "releasekit status --offline --format json",
    )
)
def status(
    *,
    options: Annotated[StatusOptions, Flat] = StatusOptions(),  # noqa: B008
    format: Format = "table",  # noqa: A002
) -> int:
    """Show which releases are unfinished, here and on the remote, how far they are, and what to run next.

    It changes nothing, takes no lock, and can be asked while a release runs.

    Parameters
    ----------
    format
        How the status is printed.
    """
    import asyncio

    from releasekit.cli.render import console
    from releasekit.operations import preview

    found = asyncio.run(preview.release_status(options))
    console.answer_with(format, found, console.status_table(found))
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit rollback --dry-run           # what would be undone",
        "releasekit rollback v0.6.0 --no-push",
    )
)
def rollback(
    release: str = "",
    /,
    *,
    options: Annotated[RollbackOptions, Flat] = RollbackOptions(),  # noqa: B008
    yes: Yes = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Abandon a release: delete its tags, worktree and record, and show how to continue.

    Tags of packages that are on the index stay.

    Parameters
    ----------
    release
        Its id, or the beginning of it, or its title; none: the one that has not ended.
    yes
        Don't ask before anything is removed.
    format
        How the answer is printed.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import console

    found = asyncio.run(runner.rollback(options.model_copy(update={"release": release}), yes=yes))
    console.answer_with(format, found, console.rollback_table(found))
    return DONE


@app.command(
    name="version",
    help_epilogue=examples(
        "releasekit version",
        'releasekit version core "plugin-*" --explain',
    ),
)
def next_versions(
    *packages: Packages,
    options: Annotated[Selected, Flat] = Selected(),  # noqa: B008  a frozen value
    explain: Switched = False,
    format: Tables = "table",  # noqa: A002
) -> int:
    """Show which version each package goes to, and why; asks no index.

    Parameters
    ----------
    packages
        Only these packages (names, patterns or paths).
    explain
        Show each commit since the last release with the rule that it met, or why it does not count; JSON always does.
    format
        How the versions are printed.
    """
    from releasekit.cli.render import console
    from releasekit.formats.csv import versions_csv
    from releasekit.formats.explained import explanation_text
    from releasekit.formats.markdown import versions_markdown
    from releasekit.operations.preview import explained

    if explain and format in {"csv", "markdown"}:
        raise Refusal(Code.USAGE, f"--explain goes with table and JSON; {format} has no room for commits")
    found, warnings = explained(options, packages)
    _warn(warnings)
    if format == "table" and explain:
        console.answer(explanation_text(found))
    else:
        console.answer_with(
            format,
            found,
            console.versions_table(found),
            csv=lambda: versions_csv(found),
            markdown=lambda: versions_markdown(found),
        )
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit init",
        "releasekit init --yes --tag-baselines",
    )
)
def init(
    *,
    options: Annotated[InitOptions, Flat] = InitOptions(),  # noqa: B008  a frozen value
    yes: Yes = False,
    tag_baselines: Switched = False,
    ci: Annotated[Literal["github", "gitlab"] | None, Printed] = None,
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

    from releasekit.cli.render import console
    from releasekit.operations.init_workspace import adopt

    found = asyncio.run(adopt(options, tag_baselines=tag_baselines, ci=ci, yes=yes, show=format == "table"))
    if format == "json":
        console.answer_with(format, found)
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit discover",
        "releasekit discover --format json",
    )
)
def discover(
    *,
    options: Annotated[Place, Flat] = Place(),  # noqa: B008  a frozen value
    format: Annotated[Literal["table", "json", "csv"], Printed] = "table",  # noqa: A002
) -> int:
    """List the members of the workspace, as uv sees them.

    Parameters
    ----------
    format
        How the list is printed.
    """
    from releasekit.cli.render import console
    from releasekit.formats.csv import members_csv
    from releasekit.formats.json import discover_json
    from tasks.survey import read_workspace

    workspace = read_workspace(options.directory, {}).workspace
    if format == "table":
        console.show(console.members_table(workspace))
    else:
        console.answer({"json": discover_json, "csv": members_csv}[format](workspace))
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit graph",
        "releasekit graph --rdeps core",
        "releasekit graph --format mermaid",
    )
)
def graph(
    *,
    options: Annotated[Place, Flat] = Place(),  # noqa: B008  a frozen value
    deps: Members = (),
    rdeps: Members = (),
    group: Groups = (),
    kind: Annotated[tuple[str, ...], Parameter(negative="", group=PACKAGES)] = (),
    format: Annotated[GraphFormat, Printed] = "levels",  # noqa: A002
) -> int:
    """Print who needs whom.

    Parameters
    ----------
    deps
        Only these packages and what they need, near and far (names, patterns or paths).
    rdeps
        Only these packages and what needs them, near and far; with `--deps`, the ways from those to these.
    group
        Only the packages of these groups.
    kind
        Only requirements of these kinds, separated by commas: `runtime`, `build`, `extra`. By default all three; with
        `--deps` and `--rdeps` the first two, for an extra is installed by who asks for it.
    format
        `levels`, one line each; `ascii`, a tree, with `--rdeps` turned round; `json` with nodes, edges, levels and
        cycles; `csv`, an edge a line; `dot`, `mermaid`, `d2` for what draws them; `svg`, by Graphviz if there is one.
    """
    from releasekit.cli.render import console
    from releasekit.operations import show_graph

    view, warnings = show_graph.view_of(options.directory, deps, rdeps, group, kind)
    _warn(warnings)
    console.answer(show_graph.drawn(view, format))
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit check",
        "releasekit check --select cycles --select stale_lock",
        "releasekit check --fix",
    )
)
def check(
    *,
    options: Annotated[CheckOptions, Flat] = CheckOptions(),  # noqa: B008  a frozen value
    fix: Switched = False,
    yes: Yes = False,
    format: Annotated[Literal["table", "json", "sarif"], Printed] = "table",  # noqa: A002
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

    from releasekit.cli import runner
    from releasekit.cli.render import console
    from releasekit.formats.sarif import sarif
    from releasekit.operations import run_checks

    if fix:
        _ = options.directory  # there is nothing to mend in a clone that is thrown away
    found = asyncio.run(runner.check(options))
    if fix and run_checks.mend(found, yes=yes):
        found = run_checks.examine(options)
    if format == "sarif":
        console.answer(sarif(found.report, found.checks, _version(), found.prefix))
    else:
        console.answer_with(format, found.report, console.findings_list(found.report))
    return FAILED if found.report.failed else DONE


@app.command(
    help_epilogue=examples(
        "releasekit changelog",
        "releasekit changelog core --format json",
    )
)
def changelog(
    *packages: Packages,
    options: Annotated[Selected, Flat] = Selected(),  # noqa: B008
    format: Annotated[Literal["markdown", "json"], Printed] = "markdown",  # noqa: A002
) -> int:
    """Print what the changelogs would gain in a release now; asks no index and changes nothing.

    Parameters
    ----------
    packages
        Only these packages (names, patterns or paths).
    format
        As Markdown, or as JSON with each change.
    """
    from releasekit.cli.render import console
    from releasekit.formats.json import changelog_json
    from releasekit.operations import preview

    told, warnings = preview.unreleased(options, packages)
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


@app.command(
    help_epilogue=examples(
        "releasekit notes --offline",
    )
)
def notes(
    *,
    options: Annotated[Options, Flat] = Options(),  # noqa: B008
    format: Annotated[Literal["markdown", "json"], Printed] = "markdown",  # noqa: A002
) -> int:
    """Print the notes that a release made now would have on the forge; asks no index and changes nothing.

    The forge is asked for pull requests, unless it is told not to (--offline).

    Parameters
    ----------
    format
        As Markdown, through template and command; or as the JSON of what a template is given.
    """
    import asyncio

    from releasekit.cli.render import console
    from releasekit.operations import preview

    found, text = asyncio.run(preview.notes(options))
    if not found.packages:
        log.info("nothing is unreleased")
    elif format == "json":
        console.answer(found.model_dump_json(indent=1))
    else:
        console.answer(text)
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit pin                          # the difference",
        "releasekit pin --apply -- uv build --package core",
        "releasekit pin --restore",
    )
)
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
    from releasekit.cli.render import console
    from releasekit.operations.pinning import pinned_tree

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


@app.command(
    help_epilogue=examples(
        "releasekit server start",
        "releasekit server status --port 4201",
    )
)
def server(
    action: Literal["start", "status", "stop"],
    /,
    *,
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535), group=HERE)] = PORT,
) -> int:
    """Keep a Prefect server on this machine: releases and plans are then recorded there, with pages to look at.

    Parameters
    ----------
    action
        `start`; `status`, with exit code 1 if there is none; or `stop`.
    port
        Where it listens.
    """
    from releasekit.cli.render import console
    from releasekit.integrations.prefect_server import configured_api, kept_server, start_server, stop_server
    from releasekit.integrations.process import mask

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
    elif action == "start":
        log.info("releasekit finds it by itself; for `prefect`: export PREFECT_API_URL=%s", kept.url)
    return DONE


@app.command(
    help_epilogue=examples(
        "releasekit config",
        "releasekit config publish --no-push     # as that would have it",
        "releasekit config --schema > releasekit.schema.json",
    )
)
def config(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    options: Annotated[Place, Flat] = Place(),  # noqa: B008
    schema: Switched = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Show what each setting is, and where that comes from: option, variable, file or default.

    Parameters
    ----------
    command
        As that command with its options would have it, such as `publish --no-push`.
    schema
        Print the JSON schema of [tool.releasekit] instead, for editors.
    format
        How the settings are printed.
    """
    from releasekit.cli.render import console
    from releasekit.operations.show_config import configuration, schema_text

    if schema:
        console.answer(schema_text())
        return DONE
    given = _overrides(command) if command else {}
    console.answer_with(format, found := configuration(options.directory, given), console.settings_table(found))
    return DONE


def _overrides(words: Sequence[str]) -> dict[str, Any]:
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    told = bound.arguments.get("options")
    return told.overrides() if isinstance(told, (Anywhere, InitOptions)) else {}


@app.command(
    help_epilogue=examples(
        'eval "$(releasekit completion bash)"',
        "releasekit completion zsh > ~/.zfunc/_cyclopts_releasekit",
        "releasekit completion fish > ~/.config/fish/completions/releasekit.fish",
    )
)
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print what makes a shell complete our commands and options.

    Parameters
    ----------
    shell
        Whose language it is written in.
    """
    from releasekit.cli.render import console

    console.answer(app.generate_completion(shell=shell))
    return DONE


def _codes(_: object) -> dict[str, str]:
    return {code: entry.meaning for code, entry in CATALOGUE.items()}


@app.command(
    name=["explain", "--explain"],
    help_epilogue=examples(
        "releasekit explain RK-GRAPH-CYCLE",
    ),
)
def explain_code(code: Annotated[str, Parameter(completer=_codes)], /) -> int:
    """Say more about an error code, such as RK-GRAPH-CYCLE."""
    sys.stdout.write(explain(code))
    return DONE
