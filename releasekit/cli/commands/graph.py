"""`releasekit graph`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from releasekit.cli.command_types import DONE, LOOK, Flatten, RunModeOption, log_warnings
from releasekit.cli.help import examples
from releasekit.options import (
    PACKAGES,
    GraphFormat,
    Groups,
    Members,
    WorkspaceOptions,
)

command = App(
    name="graph",
    group=LOOK,
    help_epilogue=examples(
        "releasekit graph",
        "releasekit graph --rdeps core",
        "releasekit graph --format mermaid",
    ),
)


@command.default
def graph(
    *,
    options: Annotated[WorkspaceOptions, Flatten] = WorkspaceOptions(),  # noqa: B008  a frozen value
    deps: Members = (),
    rdeps: Members = (),
    group: Groups = (),
    kind: Annotated[tuple[str, ...], Parameter(negative="", group=PACKAGES)] = (),
    format: Annotated[GraphFormat, RunModeOption] = "levels",  # noqa: A002
) -> int:
    """Show the dependency graph.

    Parameters
    ----------
    deps
        Only these packages and the packages that they need, transitively (names, patterns or paths).
    rdeps
        Only these packages and the packages that need them, transitively. With `--deps`: the paths from
        the packages of `--deps` to these.
    group
        Only the packages of these groups.
    kind
        Only requirements of these kinds, separated by commas: `runtime`, `build`, `extra`. Default: all three; with
        `--deps` or `--rdeps` only the first two, because an extra is installed only on request.
    format
        `levels`: one line for each level; `ascii`: a tree, inverted with `--rdeps`; `json`: nodes, edges, levels and
        cycles; `csv`: one edge a line; `dot`, `mermaid`, `d2`: for these tools; `svg`: by Graphviz if it is installed.
    """
    from releasekit.cli.render import terminal
    from releasekit.operations import show_graph

    view, warnings = show_graph.select_subgraph(options.directory, deps, rdeps, group, kind)
    log_warnings(warnings)
    write = terminal.write_json if format == "json" else terminal.write_stdout
    write(show_graph.render_graph(view, format))
    return DONE
