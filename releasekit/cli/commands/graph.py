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
    from releasekit.cli.render import terminal
    from releasekit.operations import show_graph

    view, warnings = show_graph.select_subgraph(options.directory, deps, rdeps, group, kind)
    log_warnings(warnings)
    terminal.write_stdout(show_graph.render_graph(view, format))
    return DONE
