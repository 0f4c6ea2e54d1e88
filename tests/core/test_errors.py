"""What a user is told when something goes wrong."""

from __future__ import annotations

import copy
import pickle
import re
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
    explain,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _without_catalogue(text: str) -> str:
    return re.sub(r"^ERRORS.*?^}$|^    [A-Z_]+ = \"RK-.*?$", "", text, flags=re.DOTALL | re.MULTILINE)


class TestCatalogue:
    """Every code is explained."""

    def test_complete(self) -> None:
        """Each code has an entry, and no entry is left of a code that is gone."""
        assert set(ERRORS) == set(ErrorCode)

    @pytest.mark.parametrize("code", ErrorCode)
    def test_entry(self, code: ErrorCode) -> None:
        """An entry says in sentences what the code means, and what to do."""
        entry = ERRORS[code]

        assert entry.meaning.endswith(".")
        assert entry.hint.endswith((".", "`"))
        assert entry.meaning != entry.hint

    @pytest.mark.parametrize("code", ErrorCode)
    def test_reached(self, code: ErrorCode) -> None:
        """Some line raises it, or warns of it, and some test meets it: none is there for show."""
        named = re.compile(rf"\bErrorCode\.{code.name}\b|\b{code}(?![A-Z-])")
        here = Path(__file__)
        sources = (file for room in ("flows", "tasks", "releasekit") for file in (here.parents[2] / room).rglob("*.py"))
        raised = [file for file in sources if named.search(_without_catalogue(file.read_text("utf-8")))]
        tests = (file for file in here.parents[1].rglob("*.py") if file != here)

        assert raised
        assert code is ErrorCode.UNKNOWN_CODE or any(named.search(file.read_text("utf-8")) for file in tests)

    def test_form(self) -> None:
        """Codes have the form RK-AREA-PROBLEM, say what their names say, and none stands for two things."""
        assert all(re.fullmatch(r"RK(-[A-Z]+)+", code) for code in ErrorCode)
        assert all(code == f"RK-{name.replace('_', '-')}" for name, code in ErrorCode.__members__.items())
        assert len(ErrorCode.__members__) == len(set(ErrorCode))


class TestExplain:
    """`releasekit explain CODE`."""

    @pytest.mark.parametrize("written", ["RK-GRAPH-CYCLE", "rk-graph-cycle"])
    def test_known(self, written: str) -> None:
        """It says meaning and next step, in whatever case one asks."""
        entry = ERRORS[ErrorCode.GRAPH_CYCLE]

        assert explain(written) == f"RK-GRAPH-CYCLE\n\n{entry.meaning}\n\nWhat to do: {entry.hint}\n"

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("RK-GRAPH-CYCEL", "no error has the code RK-GRAPH-CYCEL; did you mean RK-GRAPH-CYCLE?"),
            ("rk-git-mising", "no error has the code rk-git-mising; did you mean RK-GIT-MISSING or RK-COMMIT-MISSING?"),
            ("42", "no error has the code 42"),
        ],
    )
    def test_unknown(self, written: str, said: str) -> None:
        """An unknown code is refused, with those most like it."""
        with pytest.raises(Refusal) as caught:
            explain(written)

        assert (caught.value.code, caught.value.message) == (ErrorCode.UNKNOWN_CODE, said)


@pytest.mark.parametrize(
    ("word", "said"),
    [("coer", "; did you mean core?"), ("core-web", "; did you mean core-we or core?"), ("zzz", ""), ("", "")],
)
def test_nearest(word: str, said: str) -> None:
    """At most two known words are named, the nearest first, and none that is not alike."""
    assert did_you_mean(word, ["core", "core-we", "db"]) == said


EXCERPT = Excerpt("pyproject.toml", 7, "push = 3", 7, 1)
SAMPLE_ERRORS = [
    error
    for kind in (ReleaseError, Refusal)
    for error in (
        kind(ErrorCode.BUILD_FAILED, "it failed"),
        kind(ErrorCode.BUILD_FAILED, "it failed", "core", "Mend it.", "line\nline", EXCERPT),
    )
]


def pickled(error: ReleaseError) -> ReleaseError:
    return pickle.loads(pickle.dumps(error))  # noqa: S301


class TestError:
    """An error that people and programs understand."""

    @pytest.mark.parametrize("error", SAMPLE_ERRORS)
    @pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickled])
    def test_survives(self, error: ReleaseError, way: Callable[[ReleaseError], ReleaseError]) -> None:
        """It survives copying and pickling, which Prefect does with it, whole."""
        other = way(error)

        assert type(other) is type(error)
        assert vars(other) == vars(error)
        assert (other.args, str(other), other.status) == (error.args, str(error), error.status)

    def test_text(self) -> None:
        """It says code, what is wrong, and where, if it is somewhere."""
        assert str(ReleaseError(ErrorCode.BUILD_FAILED, "no luck")) == "RK-BUILD-FAILED: no luck"
        assert str(ReleaseError(ErrorCode.BUILD_FAILED, "no luck", "core")) == "RK-BUILD-FAILED: no luck (core)"

    def test_hint(self) -> None:
        """What to do next is the catalogue's word, unless the place knows better."""
        assert ReleaseError(ErrorCode.BUILD_FAILED, "it").hint == ERRORS[ErrorCode.BUILD_FAILED].hint
        assert ReleaseError(ErrorCode.BUILD_FAILED, "it", "", "Mend it.").hint == "Mend it."

    def test_status(self) -> None:
        """The exit code tells a failure from a refusal, and one handler catches both."""
        assert (ReleaseError.status, Refusal.status) == (1, 2)
        assert issubclass(Refusal, ReleaseError)

    def test_warning(self) -> None:
        """A warning reads like an error."""
        assert str(ReleaseWarning(ErrorCode.TAG_EXISTS, "so it is")) == "RK-TAG-EXISTS: so it is"
        assert str(ReleaseWarning(ErrorCode.TAG_EXISTS, "so it is", "core")) == "RK-TAG-EXISTS: so it is (core)"


class TestExcerpt:
    """The line of a file that is meant."""

    def test_drawn(self) -> None:
        """It stands between two margins, with carets below the part that is meant."""
        assert EXCERPT.render(80) == ("  |", "7 | push = 3", "  |        ^")
        assert EXCERPT.position == "pyproject.toml:7:8"

    @pytest.mark.parametrize("column", [0, 3, 30, 60, 94])
    @pytest.mark.parametrize("width", [30, 60])
    def test_long(self, column: int, width: int) -> None:
        """Of a line that is too long the part that is meant is shown, and no line is wider than there is room."""
        text = f"{'a' * column}xyz{'b' * 100}"
        above, line, below = Excerpt("f", 12, text, column, 3).render(width)

        assert max(map(len, (above, line, below))) <= width
        assert line[below.index("^") :].startswith("xyz")
        assert below.count("^") == 3
