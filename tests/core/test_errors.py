"""Errors and warnings, and the catalogue of their codes."""

from __future__ import annotations

import copy
import pickle
import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import (
    ERRORS,
    ErrorCode,
    Excerpt,
    Refusal,
    ReleaseError,
    ReleaseWarning,
    did_you_mean,
    warning_hints,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[2]


_NAMED = re.compile(r"\bErrorCode\.([A-Z_]+)\b|\bRK-([A-Z]+(?:-[A-Z]+)*)")


def _codes_in(texts: Iterable[str]) -> frozenset[str]:
    """Return the names of the codes that occur in *texts*, as members or as text."""
    matches = chain.from_iterable(map(_NAMED.findall, texts))
    return frozenset((member or code.replace("-", "_")) for member, code in matches)


@cache
def _codes_of_program() -> frozenset[str]:
    """Return the codes in the files of the program, without the tables that name every code."""
    files = (
        file for room in ("flows", "tasks", "releasekit") for file in (ROOT / room).rglob("*.py")
    )
    catalogue = re.compile(r"^_TABLE.*?^\)$|^    [A-Z_]+ = \"RK-.*?$", re.DOTALL | re.MULTILINE)
    return _codes_in(catalogue.sub("", file.read_text("utf-8")) for file in files)


@cache
def _codes_of_tests() -> frozenset[str]:
    """Return the codes in the test files that do not test the catalogue itself."""
    own = (Path(__file__).name, "test_error_pages.py")
    files = (file for file in (ROOT / "tests").rglob("*.py") if file.name not in own)
    return _codes_in(file.read_text("utf-8") for file in files)


class TestCatalogue:
    """Every code has a meaning and a next step."""

    def test_each_code_has_one_entry(self) -> None:
        """Each code has one entry, and no entry is left of a code that is gone."""
        assert set(ERRORS) == set(ErrorCode)
        assert all(info.code == code for code, info in ERRORS.items())

    @pytest.mark.parametrize("code", ErrorCode)
    def test_error_entry_has_whole_sentences(self, code: ErrorCode) -> None:
        """An entry says in sentences what the code means, and what to do."""
        entry = ERRORS[code]

        assert entry.meaning.endswith(".")
        assert entry.hint.endswith((".", "`"))
        assert entry.meaning != entry.hint

    @pytest.mark.parametrize("code", ErrorCode)
    def test_each_code_has_a_test(self, code: ErrorCode) -> None:
        """Each code is raised or used in a warning by the program, and is met by a test."""
        assert code.name in _codes_of_program()
        assert code is ErrorCode.UNKNOWN_CODE or code.name in _codes_of_tests()

    def test_error_codes_have_one_form(self) -> None:
        """Codes have the form RK-AREA-PROBLEM, match the names of their members, and are unique."""
        assert all(re.fullmatch(r"RK(-[A-Z]+)+", code) for code in ErrorCode)
        assert all(
            code == f"RK-{name.replace('_', '-')}" for name, code in ErrorCode.__members__.items()
        )
        assert len(ErrorCode.__members__) == len(set(ErrorCode))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("coer", "; did you mean core?"),
        ("core-web", "; did you mean core-we or core?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_suggestion_names_two_similar_words(word: str, said: str) -> None:
    """At most two known words are named, the most similar first, and only similar ones."""
    assert did_you_mean(word, ["core", "core-we", "db"]) == said


EXCERPT = Excerpt("pyproject.toml", 7, "push = 3", 7, 1)
SAMPLE_ERRORS = [
    error
    for kind in (ReleaseError, Refusal)
    for error in (
        kind(ErrorCode.BUILD_FAILED, "it failed"),
        kind(ErrorCode.BUILD_FAILED, "it failed", "core", "Fix it.", "line\nline", EXCERPT),
    )
]


def pickled(error: ReleaseError) -> ReleaseError:
    return pickle.loads(pickle.dumps(error))  # noqa: S301


class TestError:
    """An error that people and programs understand."""

    @pytest.mark.parametrize("error", SAMPLE_ERRORS)
    @pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickled])
    def test_copied_error_is_complete(
        self, error: ReleaseError, way: Callable[[ReleaseError], ReleaseError]
    ) -> None:
        """Copies and pickled errors, as Prefect makes them, are complete."""
        other = way(error)

        assert type(other) is type(error)
        assert vars(other) == vars(error)
        assert (other.args, str(other), other.status) == (error.args, str(error), error.status)

    def test_error_text_includes_its_location(self) -> None:
        """The text has the code, the message, and the location if there is one."""
        assert str(ReleaseError(ErrorCode.BUILD_FAILED, "no luck")) == "RK-BUILD-FAILED: no luck"
        assert (
            str(ReleaseError(ErrorCode.BUILD_FAILED, "no luck", "core"))
            == "RK-BUILD-FAILED: no luck (core)"
        )

    def test_own_hint_replaces_catalogue_hint(self) -> None:
        """The hint is that of the catalogue, unless the error brings its own."""
        assert (
            ReleaseError(ErrorCode.BUILD_FAILED, "it").hint == ERRORS[ErrorCode.BUILD_FAILED].hint
        )
        assert ReleaseError(ErrorCode.BUILD_FAILED, "it", "", "Fix it.").hint == "Fix it."

    def test_refusal_has_its_exit_code(self) -> None:
        """A failure and a refusal have different exit codes, and one handler catches both."""
        assert (ReleaseError.status, Refusal.status) == (1, 2)
        assert issubclass(Refusal, ReleaseError)

    def test_warning_reads_like_an_error(self) -> None:
        """A warning reads like an error."""
        assert str(ReleaseWarning(ErrorCode.TAG_EXISTS, "it exists")) == "RK-TAG-EXISTS: it exists"
        assert (
            str(ReleaseWarning(ErrorCode.TAG_EXISTS, "it exists", "core"))
            == "RK-TAG-EXISTS: it exists (core)"
        )

    def test_warnings_end_with_their_hint(self) -> None:
        """The first warning with a code has the next step of the catalogue, unless its text ends with a command."""
        warnings = [
            "RK-TAG-STRAY: a-v1 does not count",
            "RK-TAG-STRAY: b-v1 does not count",
            "RK-PIN-OLD: a still requires b==1 (`releasekit publish -p a` releases it)",
            "uv audit: a code of another program",
        ]

        assert warning_hints(warnings) == [ERRORS[ErrorCode.TAG_STRAY].hint, "", "", ""]


class TestExcerpt:
    """An excerpt of a file."""

    def test_excerpt_marks_part_with_carets(self) -> None:
        """The line is between two margins, with carets below the marked part."""
        assert EXCERPT.render(80) == ("  |", "7 | push = 3", "  |        ^")
        assert EXCERPT.position == "pyproject.toml:7:8"

    @pytest.mark.parametrize("column", [0, 3, 30, 60, 94])
    @pytest.mark.parametrize("width", [30, 60])
    def test_long_excerpt_line_is_cut(self, column: int, width: int) -> None:
        """A long line is cut around the marked part, and no line is wider than the limit."""
        text = f"{'a' * column}xyz{'b' * 100}"
        above, line, below = Excerpt("f", 12, text, column, 3).render(width)

        assert max(map(len, (above, line, below))) <= width
        assert line[below.index("^") :].startswith("xyz")
        assert below.count("^") == 3
