"""Print figures that show how easy the source is to read: density, names, import circles, tests, documents.

`python benchmarks/readability.py [--list] [ROOT]`. It parses the files and imports nothing of the program.
`--list` also prints each finding. `tests/test_readability.py` asserts the limits on names.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
SOURCES = ("flows", "tasks", "releasekit")
TESTS = ("tests",)
COMMANDS = "releasekit/cli/commands/"
"""Files here are named after the command that a user types, so they may share a name with other modules."""

MAX_FUNCTION_LINES = 55
VAGUE_NAMES = frozenset(
    {
        "each",
        "found",
        "given",
        "kept",
        "known",
        "made",
        "place",
        "said",
        "shown",
        "there",
        "told",
        "what",
    }
)
"""Names that say nothing about the value of a variable."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_DECISIONS = (
    *(ast.If, ast.IfExp, ast.match_case, ast.ExceptHandler),
    *(ast.For, ast.AsyncFor, ast.While),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
    ast.BoolOp,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed file. *path* is relative to the root of the repository."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The dotted name that imports this file."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a name is defined."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        """Return it in the form that editors open."""
        return f"{self.path}:{self.line}: {self.name}"


def read_sources(root: Path = ROOT, directories: Iterable[str] = SOURCES) -> list[Source]:
    """Parse all Python files under *directories*. A missing directory counts as empty."""
    paths = sorted(path for directory in directories for path in (root / directory).rglob("*.py"))
    texts = ((path.relative_to(root).as_posix(), path.read_text("utf-8")) for path in paths)
    return [Source(path, text, ast.parse(text)) for path, text in texts]


# Functions: their density and length


def functions(source: Source) -> Iterator[FunctionNode]:
    """Yield all functions and methods, nested ones too."""
    return (node for node in ast.walk(source.tree) if isinstance(node, FunctionNode))


def _code_lines(source: Source) -> set[int]:
    """Return the lines that hold code: neither blank nor only a comment or a docstring."""
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.difference_update(_span(node))
    return lines


def _span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def count_decisions(source: Source) -> tuple[int, int]:
    """Return how many decisions the functions take, and on how many lines of code in their bodies.

    A decision is a branch, a loop, a handler, a comprehension or a chain of `and` or `or`.
    """
    lines: set[int] = set()
    decisions: set[ast.AST] = set()
    for function in functions(source):
        lines.update(range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1))
        decisions.update(node for node in ast.walk(function) if isinstance(node, _DECISIONS))
    return len(decisions), len(lines & _code_lines(source))


def long_functions(sources: Iterable[Source], limit: int = MAX_FUNCTION_LINES) -> list[Location]:
    """Return the functions of more than *limit* lines."""
    return [
        Location(source.path, node.lineno, f"{node.name} ({len(_span(node))} lines)")
        for source in sources
        for node in functions(source)
        if len(_span(node)) > limit
    ]


# Names: functions by a bare participle, vague variables, names that occur twice


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PAST_PARTICIPLES = _words(
    """
    arisen beaten been begun bent bitten born bought bound bred broken brought built caught chosen dealt done drawn
    driven eaten fallen fed felt fled flown forbidden forgotten found frozen given gone got gotten grown heard held
    hidden hung kept known laid lain led left lent lost made meant met mistaken overridden overwritten paid proven
    redone ridden risen rewritten said seen sent shaken shot shown slept sold sought spent spoken spun stolen stood
    struck stuck sung sunk sworn swept taken taught thought thrown told torn undone understood withdrawn woken won worn
    woven written
    """
)
"""Irregular ones, without those that look like the verb itself, such as `read`, `run` and `set`."""

NOT_PARTICIPLES = _words(
    """
    bed embed hundred kindred naked red sacred shed shred sled
    bring building ceiling during encoding engineering evening everything fling heading king listing logging mapping
    meaning morning naming nothing packaging ping pricing ranking rating ring scheduling sing sling something spelling
    spring sting string swing thing timing training warning wing wording wring
    """
)
"""Verbs, nouns and adjectives that end in -ed or -ing."""

_PARTICLES = _words(
    """
    afresh again ahead all along alone anew apart as at away back before behind beside by down elsewhere first for from
    go here in into last later of off on once only out over so than then there to together up upon via with within
    without yet
    """
)

PARTICIPLES_ALLOWED: Mapping[str, str] = {"found": "plugins call Package.found to make a finding"}
"""Functions that keep such a name, and why: for example, because a library calls them by it."""


def is_participle(word: str) -> bool:
    """Return whether *word* is a participle, past or present."""
    if word in NOT_PARTICIPLES or word.endswith("eed"):
        return False
    return (
        word in PAST_PARTICIPLES
        or word.removeprefix("un") in PAST_PARTICIPLES
        or word.endswith(("ed", "ing"))
    )


def is_bare_participle(name: str) -> bool:
    """Return whether *name* is a participle that describes no noun: `made`, `_told`, `planned_at`, `raised_by_file`.

    `merged_tags` has its noun.
    """
    first, *others = name.strip("_").split("_")
    return is_participle(first) and (not others or others[0] in _PARTICLES)


def _is_property(node: FunctionNode) -> bool:
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("property", ".setter", ".deleter")) for name in names)


def participle_functions(sources: Iterable[Source]) -> list[Location]:
    """Return the functions that are named by a bare participle. Properties are values, so they may be."""
    return [
        Location(source.path, node.lineno, node.name)
        for source in sources
        for node in functions(source)
        if is_bare_participle(node.name)
        and not _is_property(node)
        and node.name not in PARTICIPLES_ALLOWED
    ]


def variables(source: Source) -> Iterator[Location]:
    """Yield all variables, fields and parameters where they are bound, without `self` and `cls`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield Location(source.path, node.lineno, node.id)
        elif isinstance(node, ast.arg) and node.arg not in {"self", "cls"}:
            yield Location(source.path, node.lineno, node.arg)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield Location(source.path, node.lineno, node.name)


def vague_variables(sources: Iterable[Source]) -> list[Location]:
    """Return the variables and parameters whose names say nothing about their values."""
    return [
        variable
        for source in sources
        for variable in variables(source)
        if variable.name in VAGUE_NAMES
    ]


def repeated(locations: Iterable[Location]) -> dict[str, list[Location]]:
    """Return the names that occur more than once, and where."""
    by_name: dict[str, list[Location]] = defaultdict(list)
    for location in locations:
        by_name[location.name].append(location)
    return {name: group for name, group in sorted(by_name.items()) if len(group) > 1}


def repeated_classes(sources: Iterable[Source]) -> dict[str, list[Location]]:
    """Return the class names that several classes have."""
    return repeated(
        Location(source.path, node.lineno, node.name)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    )


def repeated_modules(sources: Iterable[Source]) -> dict[str, list[Location]]:
    """Return the file names, without suffix, that several modules have."""
    stems = (
        (source.path, Path(source.path).stem)
        for source in sources
        if not source.path.startswith(COMMANDS)
    )
    return repeated(
        Location(path, 1, stem) for path, stem in stems if stem not in {"__init__", "__main__"}
    )


# Imports: who imports whom, and circles of it


@dataclass(frozen=True, slots=True)
class Imports:
    """What each module imports of the program: when it is imported, in functions, and for type checkers alone."""

    early: Mapping[str, set[str]]
    late: Mapping[str, set[str]]
    types: Mapping[str, set[str]]

    def circles(self, *, late: bool = False, types: bool = False) -> list[tuple[str, ...]]:
        """Return the groups of modules that import each other."""
        kinds = [self.early, *([self.late] if late else []), *([self.types] if types else [])]
        return find_circles(
            {module: set[str]().union(*(kind[module] for kind in kinds)) for module in self.early}
        )


def _imported(node: ast.Import | ast.ImportFrom, source: Source) -> Iterator[tuple[str, str]]:
    """Yield what *node* imports: a module, and the name that is taken from it, if any."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in node.names)
        return
    package = source.module.split(".")
    if not source.path.endswith("/__init__.py"):
        package.pop()
    above = package[: len(package) - node.level + 1] if node.level else []
    module = ".".join([*above, *([node.module] if node.module else [])])
    yield from ((module, alias.name) for alias in node.names)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def read_imports(sources: Iterable[Source]) -> Imports:
    """Return who imports whom."""
    by_module = {source.module: source for source in sources}
    imports = Imports(*({module: set[str]() for module in by_module} for _ in range(3)))

    def visit(node: ast.AST, source: Source, kind: Mapping[str, set[str]]) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for module, name in _imported(node, source):
                target = f"{module}.{name}" if f"{module}.{name}" in by_module else module
                if target in by_module and target != source.module:
                    kind[source.module].add(target)
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.If) and _is_type_checking(node) and child in node.body:
                visit(child, source, imports.types)
            elif isinstance(node, FunctionNode) and kind is imports.early:
                visit(child, source, imports.late)
            else:
                visit(child, source, kind)

    for source in by_module.values():
        visit(source.tree, source, imports.early)
    return imports


def find_circles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Return the strongly connected components of more than one node, by Tarjan."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles: list[tuple[str, ...]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], index[target])
        if lowest[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                circles.append(tuple(sorted(component)))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(circles)


# Commands, tests, documents


def commands_by_file(sources: Iterable[Source]) -> dict[str, list[str]]:
    """Return the commands of the command line by the file that defines them: functions that an `App` decorates."""
    commands: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        if "cyclopts" not in source.text:
            continue
        for node in functions(source):
            decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
            if any(
                isinstance(d, ast.Attribute) and d.attr in {"command", "default"}
                for d in decorators
            ):
                commands[source.path].append(node.name)
    return dict(commands)


def find_tests(sources: Iterable[Source]) -> list[Location]:
    """Return all tests."""
    return [
        Location(source.path, node.lineno, node.name)
        for source in sources
        for node in functions(source)
        if node.name.startswith("test_")
    ]


def count_words(path: Path) -> int:
    """Return how many words a text has. A missing file has none."""
    return len(path.read_text("utf-8").split()) if path.exists() else 0


# The table


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table. *limit* is empty where there is none; *findings* are what `--list` prints."""

    title: str
    value: str
    limit: str = ""
    findings: Sequence[object] = ()


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f}% ({part} of {whole})"


def name_figures(sources: Sequence[Source]) -> Iterator[Figure]:
    """Yield what the names are like."""
    total = sum(1 for source in sources for _ in functions(source))
    participles = participle_functions(sources)
    yield Figure(
        "functions named by a bare participle", _percent(len(participles), total), "0", participles
    )
    vague = vague_variables(sources)
    total = sum(1 for source in sources for _ in variables(source))
    counts = Counter(variable.path for variable in vague)
    by_file = [f"{path}: {count}" for path, count in counts.most_common()]
    yield Figure(
        "variables and parameters with a vague name", _percent(len(vague), total), "1.5%", by_file
    )
    for title, names in (
        ("class names that occur more than once", repeated_classes(sources)),
        ("module names that occur more than once", repeated_modules(sources)),
    ):
        yield Figure(
            title,
            str(len(names)),
            "0",
            [location for group in names.values() for location in group],
        )


def code_figures(sources: Sequence[Source]) -> Iterator[Figure]:
    """Yield what functions and imports are like."""
    density = {source.path: count_decisions(source) for source in sources}
    decisions, lines = (sum(pair[part] for pair in density.values()) for part in (0, 1))
    dense = sorted(
        ((100 * d / max(n, 1), path, n) for path, (d, n) in density.items() if n), reverse=True
    )
    by_file = [f"{path}: {share:.0f} (of {count} lines)" for share, path, count in dense]
    yield Figure(
        "decisions in 100 lines of functions",
        f"{100 * decisions / max(lines, 1):.1f}",
        "30",
        by_file,
    )
    long = long_functions(sources)
    yield Figure(f"functions of more than {MAX_FUNCTION_LINES} lines", str(len(long)), "0", long)
    imports = read_imports(sources)
    for title, circles, limit in (
        ("import circles", imports.circles(), "0"),
        ("import circles, late imports included", imports.circles(late=True), "0"),
        (
            "import circles, type-only imports included too",
            imports.circles(late=True, types=True),
            "",
        ),
    ):
        yield Figure(title, str(len(circles)), limit, [" ".join(circle) for circle in circles])
    count = sum(len(targets) for targets in imports.late.values())
    yield Figure("late imports of own modules", str(count))
    commands = commands_by_file(sources)
    listed = [f"{path}: {' '.join(names)}" for path, names in sorted(commands.items())]
    most = max(map(len, commands.values()), default=0)
    yield Figure(
        "commands, files, most in one file",
        f"{sum(map(len, commands.values()))}, {len(commands)}, {most}",
        "",
        listed,
    )


def text_figures(root: Path, tests: Sequence[Source]) -> Iterator[Figure]:
    """Yield what tests and documents are like."""
    functions_of_tests = find_tests(tests)
    total = len(functions_of_tests)
    single = [test for test in functions_of_tests if test.name.count("_") == 1]
    again = [test for group in repeated(functions_of_tests).values() for test in group]
    yield Figure("test names of one word", _percent(len(single), total), "", single)
    yield Figure("test names that occur more than once", _percent(len(again), total), "", again)
    for name in ("README.md", "CONTRIBUTING.md"):
        yield Figure(f"words in {name}", str(count_words(root / name)))
    pages = sorted((root / "docs").rglob("*.md"))
    yield Figure("pages in docs/, words", f"{len(pages)}, {sum(map(count_words, pages))}")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--list", action="store_true", help="print each finding under its figure")
    arguments = parser.parse_args(argv)
    sources = read_sources(arguments.root)
    tests = read_sources(arguments.root, TESTS)
    print(f"{'':48} {'figure':>22}  limit")
    for figure in (
        *code_figures(sources),
        *name_figures(sources),
        *text_figures(arguments.root, tests),
    ):
        print(f"{figure.title:48} {figure.value:>22}  {figure.limit}".rstrip())
        if arguments.list:
            print("".join(f"    {finding}\n" for finding in figure.findings), end="")


if __name__ == "__main__":
    main()
