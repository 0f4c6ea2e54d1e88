"""The documented table of what an index may do to a release: each row is done, by a real index, to a real upload."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import ErrorCode
from tests.support import fault_index as it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.support.fault_index import Fault, FaultIndex

AGAIN = "run `publish` again"
LATER = "run `publish` again at the time in the message"
OTHER = "find out who uploaded it; release the next version"
NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """A fault of the index in a release of *graph*, and what comes of it.

    *code* is what the package core ends with, empty if it is out; *others* are the outcomes of the other packages.
    *sent* is how often core's first file is sent, *gap* how many seconds lie between the first two times at least.
    *said* stands in the error or in the next step. *heals* tells that running publish again, when the index is well,
    ends the release. *also* are other faults of which the same is true.
    """

    fault: str
    does: str
    next: str
    make: Callable[[FaultIndex], object]
    code: ErrorCode | None = None
    sent: int = 1
    gap: float = 0
    said: str = ""
    graph: str = "core:"
    others: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    heals: bool = True
    also: tuple[Callable[[FaultIndex], object], ...] = ()

    @property
    def says(self) -> str:
        """What the documentation says is reported."""
        return f"`{self.code}`" if self.code else "done"


def table() -> str:
    """Return the table as the documentation should have it."""
    lines = ["| The index | What releasekit does | Result | What to do |", "|---|---|---|---|"]
    lines += [f"| {row.fault} | {row.does} | {row.says} | {row.next} |" for row in ROWS]
    return "\n".join(lines)


def on_upload(
    *faults: Fault, project: str = "core", forever: bool = False
) -> Callable[[FaultIndex], object]:
    """Let the next uploads go so."""
    return lambda index: index.on_upload(project, _script(faults, forever=forever))


def on_page(*faults: Fault, forever: bool = False) -> Callable[[FaultIndex], object]:
    """Let the next looks at the page of core go so."""
    return lambda index: index.on_page("core", _script(faults, forever=forever))


def both(*made: Callable[[FaultIndex], object]) -> Callable[[FaultIndex], object]:
    """Do all of *made*."""
    return lambda index: [make(index) for make in made]


def stored(file: str) -> Callable[[FaultIndex], object]:
    """Let the index have a file of that name already."""
    return lambda index: index.files.update({file.partition("-")[0]: {file: b"something else"}})


def once_stored(*faults: Fault) -> Callable[[FaultIndex], object]:
    """Let the page of core be well until an upload has come, and go so from then on."""

    def pages(index: FaultIndex) -> Iterable[Fault]:
        while not index.uploads:
            yield it.HIDDEN
        yield from faults

    return lambda index: index.on_page("core", pages(index))


def _script(faults: Iterable[Fault], *, forever: bool) -> Iterable[Fault]:
    return (fault for _ in repeat(0) for fault in faults) if forever else faults


FOUR = "tries again, after about 2, 10, 30 and 60 s"
ASKS = f"asks what the index has, {FOUR}"
WELL = {"app": "confirmed", "lone": "confirmed"}
ALONE = {"app": "blocked", "lone": "confirmed"}
SHUT = {"app": "blocked", "lone": "blocked"}
THREE = "app: core; lone:"

ROWS = (
    Row("refuses the connection", FOUR, AGAIN, lambda index: setattr(index, "gone", True), ErrorCode.UPLOAD_FAILED, 0),
    Row("resets the connection before it has stored a file", ASKS, NOTHING, on_upload(it.RESET), sent=2),
    Row("resets the connection after it has stored the file", "asks what the index has, and does not send it again",
        NOTHING, on_upload(it.RESET_STORED)),
    Row("does not answer an upload within `upload_timeout`", ASKS, NOTHING, on_upload(it.SILENT), sent=2,
        settings={"upload_timeout": 1.0}),
    Row("stores a file and does not answer", "asks what the index has, and does not send it again", NOTHING,
        on_upload(it.SILENT_STORED), settings={"upload_timeout": 1.0}),
    Row("answers 500, 502 (also with a page of HTML) or 503", ASKS, NOTHING,
        on_upload(it.ERROR, it.PAGE, it.AWAY), sent=4),
    Row("keeps doing so", "gives up after the fifth attempt; packages that need it are blocked, all others continue",
        AGAIN, on_upload(it.PAGE, forever=True), ErrorCode.UPLOAD_FAILED, 5, said="502 Bad Gateway", graph=THREE,
        others=ALONE),
    Row("answers 429 or 503 with a `Retry-After` of up to a minute",
        "starts no upload before that time, then tries again", NOTHING, on_upload(it.BUSY.after(1)),
        sent=2, gap=1, also=(on_upload(it.AWAY.after(1)),)),
    Row("answers 429 without `Retry-After`", FOUR, NOTHING, on_upload(it.BUSY, it.BUSY), sent=3),
    Row("answers 429 or 503 with a longer `Retry-After`", "does not wait; starts no other upload", LATER,
        on_upload(it.BUSY.after(7200), project=it.ALL), ErrorCode.UPLOAD_LIMITED, said="Run publish again after 20",
        graph=THREE, others=SHUT, settings={"concurrency": 1},
        also=(on_upload(it.AWAY.after(7200), project=it.ALL),)),
    Row("accepts no more new projects from you today (PyPI accepts 4)", "does not try it or other new projects "
        "again; existing projects continue", LATER,
        both(stored("lone-1.0.tar.gz"), on_upload(it.QUOTA)), ErrorCode.UPLOAD_LIMITED,
        said="Run publish again after 20", graph=THREE, others=ALONE),
    Row("refuses your credentials (401, 403)", "does not try again; starts no other upload",
        "set the credentials, then " + AGAIN, on_upload(it.WHO, project=it.ALL), ErrorCode.INDEX_CREDENTIALS,
        said="UV_PUBLISH_TOKEN", graph=THREE, others=SHUT, settings={"concurrency": 1},
        also=(on_upload(it.FORBIDDEN, project=it.ALL),)),
    Row("refuses your upload to this project (403)", "does not try again; packages that need it are blocked",
        "get permission, then " + AGAIN, on_upload(it.NOT_YOURS), ErrorCode.INDEX_CREDENTIALS,
        said="right to upload to core", graph=THREE, others=ALONE),
    Row("says that the file already exists (400, 409), and it is equal", "counts it as uploaded", NOTHING,
        both(on_upload(it.EXISTS_STORED), on_page(*[it.HIDDEN] * 6))),
    Row("says that the file already exists, and it is different",
        "does not try again; uploads nothing more of this package", OTHER,
        both(on_upload(it.EXISTS_STORED), once_stored(*[it.WRONG] * 99)),
        ErrorCode.PUBLISH_CHECKSUM_MISMATCH, heals=False),
    Row("lists a file of this name with another sha256", "uploads nothing of this package",
        OTHER, stored("core-1.1.tar.gz"),
        ErrorCode.PUBLISH_CHECKSUM_MISMATCH, 0, heals=False),
    Row("refuses the file itself (400, 413), or its name was used and deleted", "does not try again",
        "fix it, `releasekit rollback`, release the next version", on_upload(it.INVALID), ErrorCode.UPLOAD_REFUSED,
        heals=False, also=(on_upload(it.TOO_LARGE), on_upload(it.RETIRED))),
    Row("accepts no new file for a version that is older than 14 days (PyPI)", "does not try again; packages that "
        "need it are blocked", "`releasekit rollback`, commit a `fix:`, run `publish`: it releases the next version",
        on_upload(it.STORED, it.CLOSED), ErrorCode.UPLOAD_CLOSED, said="commit a `fix:` to packages/core", graph=THREE,
        others=ALONE, heals=False),
    Row("answers with errors when releasekit asks what it has", "sends nothing, and " + FOUR, AGAIN,
        on_page(it.AWAY, forever=True), ErrorCode.INDEX_UNREACHABLE, 0, said="keeps answering 503"),
    Row("lists an upload late", "asks again, less and less often, for `confirm_timeout` seconds", NOTHING,
        once_stored(*[it.HIDDEN] * 4)),
    Row("has not listed it by then", "reports that it is uploaded and not visible", AGAIN,
        once_stored(*[it.HIDDEN] * 999), ErrorCode.PUBLISH_TIMEOUT, said="is uploaded, but not visible",
        settings={"confirm_timeout": 0.7}),
    Row("answers with errors, foreign HTML or half a page instead of the list", "asks again in the same way",
        NOTHING, once_stored(it.AWAY, it.CUT, it.TORN, it.LOGIN)),
    Row("needs other credentials for the list (401, 403)", "does not ask again", "set them, then " + AGAIN,
        once_stored(*[it.WHO] * 99), ErrorCode.INDEX_CREDENTIALS, said="UV_INDEX_"),
    Row("sends the list one byte at a time", "waits for it, within `confirm_timeout`", NOTHING, once_stored(it.SLOW)),
    Row("serves no JSON", "reads its HTML", NOTHING, lambda index: setattr(index, "html", True)),
)  # fmt: skip

CASES = [(row, make) for row in ROWS for make in (row.make, *row.also)]
