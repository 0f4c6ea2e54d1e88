"""Names in the source are verbs or nouns, and each has one meaning.

`python benchmarks/readability.py --list` shows more.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

import pytest

from benchmarks import readability

if TYPE_CHECKING:
    from pathlib import Path


@cache
def sources() -> list[readability.Source]:
    """Return the parsed files of the program."""
    return readability.read_sources()


def source_of(text: str, path: str = "flows/plan.py") -> readability.Source:
    """Return *text* as a file of the program."""
    return readability.Source(path, text, ast.parse(text))


def test_functions_have_verbs_or_nouns() -> None:
    """No function is named by a participle alone. Use a verb for what it does, or a noun for what it returns."""
    assert [str(location) for location in readability.participle_functions(sources())] == []


def test_class_names_are_unique() -> None:
    """Each class name has one meaning in the whole program."""
    assert readability.repeated_classes(sources()) == {}


def test_module_names_are_unique() -> None:
    """Each file name has one meaning. Only the files of commands are named after what a user types."""
    assert readability.repeated_modules(sources()) == {}


def test_variables_say_what_they_hold() -> None:
    """At most one variable in a hundred has a name that says nothing, such as `found` or `what`."""
    variables = [variable for source in sources() for variable in readability.variables(source)]

    assert len(readability.vague_variables(sources())) * 100 <= len(variables)


def test_functions_fit_a_screen() -> None:
    """No function is longer than 55 lines."""
    assert [str(location) for location in readability.long_functions(sources())] == []


def test_functions_do_not_grow_denser() -> None:
    """At most 30 of 100 lines decide: no tree of branches and comprehensions."""
    pairs = [readability.count_decisions(source) for source in sources()]

    assert 100 * sum(decisions for decisions, _ in pairs) <= 30 * sum(lines for _, lines in pairs)


def test_names_of_tests_are_unique() -> None:
    """A test is named by its rule, in three words or more, and no other test has that name."""
    tests = readability.find_tests(readability.read_sources(directories=readability.TESTS))

    assert [str(test) for test in tests if test.name.count("_") < 3] == []
    assert readability.repeated(tests) == {}


@pytest.mark.parametrize(
    "name",
    [
        "made",
        "_told",
        "announced",
        "unheard",
        "overridden",
        "planned_at",
        "raised_by_file",
        "waiting",
    ],
)
def test_bare_participles_are_refused(name: str) -> None:
    """Regular, irregular, negated and present participles count, with or without a preposition."""
    assert readability.is_bare_participle(name)
    assert readability.participle_functions([source_of(f"def {name}(): ...")])


@pytest.mark.parametrize(
    "name", ["is_made", "merged_tags", "embed", "need", "bring", "warning", "read", "as_told"]
)
def test_verbs_and_nouns_are_accepted(name: str) -> None:
    """A predicate, a noun with a participle before it, and words that only end like participles are fine."""
    assert not readability.is_bare_participle(name)


def test_properties_may_be_participles() -> None:
    """A property is a value that is read, not an act."""
    assert not readability.participle_functions(
        [source_of("class Step:\n    @property\n    def made(self): ...")]
    )


def test_vague_variables_are_counted() -> None:
    """Parameters, targets and fields count where they are bound."""
    text = (
        "def f(told, *, name):\n    for each in told:\n        found = [each for given in each]\n"
    )

    assert [variable.name for variable in readability.vague_variables([source_of(text)])] == [
        "told",
        "each",
        "found",
        "given",
    ]


def test_nested_decisions_count_once() -> None:
    """Decisions in a nested function belong to one body, and docstrings are no code."""
    text = 'def f(a):\n    """Do."""\n    def g():\n        return 1 if a and a else 2\n\n    return g\n'

    assert readability.count_decisions(source_of(text)) == (2, 3)


def test_late_imports_close_circles() -> None:
    """An import in a function closes a circle when late imports count, an import for types only when types count."""
    plan = source_of("import flows.check")
    check = source_of("def f():\n    from flows import plan\n", "flows/check.py")
    types = source_of("if TYPE_CHECKING:\n    from . import plan\n", "flows/check.py")
    circle = [("flows.check", "flows.plan")]

    assert readability.read_imports([plan, check]).circles() == []
    assert readability.read_imports([plan, check]).circles(late=True) == circle
    assert readability.read_imports([plan, types]).circles(late=True) == []
    assert readability.read_imports([plan, types]).circles(late=True, types=True) == circle


def test_list_shows_each_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has figures and limits, and `--list` shows where to look."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/plan.py").write_text(
        "def told():\n    return 1 if told else 2\n\n\ndef tell(): ...\n"
    )
    (tmp_path / "README.md").write_text("two words\n")

    readability.main(["--list", str(tmp_path)])

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "functions named by a bare participle 50.0% (1 of 2) 0" in lines
    assert "flows/plan.py:1: told" in lines
    assert "decisions in 100 lines of functions 50.0 30" in lines
    assert "words in README.md 2" in lines
