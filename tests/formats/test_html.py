"""The page of a plan or a release: one file that loads nothing."""

from __future__ import annotations

from html.parser import HTMLParser

from packaging.version import Version

from releasekit.core.changelog.note_entries import NoteChange, PackageNotes
from releasekit.core.release.progress import PackageStage
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.core.release.timeline import StageSpan
from releasekit.formats.html import plan_html, report_html
from tests.support import builders

STAGES = (PackageStage.PINNING, PackageStage.BUILDING, PackageStage.VERIFYING, PackageStage.PROVING,
          PackageStage.UPLOADING, PackageStage.CONFIRMING, PackageStage.TESTING)  # fmt: skip


class Page(HTMLParser):
    """What a browser would see: open elements, texts, link targets and places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember links and places, and which elements are open."""
        values = {name: value or "" for name, value in attrs}
        self.links += [values["href"]] if "href" in values else []
        self.loads += [tag] if tag in {"script", "link", "img", "iframe"} or "src" in values else []
        self.places |= {values["id"]} if "id" in values else set()
        if tag not in {"meta", "br", "path", "rect", "i"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that elements close in the order of their nesting."""
        if tag not in {"path", "rect", "i"}:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember the text."""
        self.texts.append(data.strip())


def notes_of(*texts: str) -> PackageNotes:
    changes = [NoteChange(sha="0" * 40, heading="Features", text=text) for text in texts]
    return PackageNotes(since="core-v1", changes=tuple(changes))


def test_plan_page_links_its_packages() -> None:
    """Each link leads to a package on the page; nothing is loaded, and every element is closed."""
    plan = builders.plan_of(
        "web: core",
        "app: web core",
        "idle:",
        changes=dict.fromkeys(("web", "app", "core"), "fix: it"),
    )
    page = Page(plan_html(plan, ["core is new"]))

    assert page.open == []
    assert page.places == {"web", "app", "core"}
    assert set(page.links) == {"#web", "#app", "#core"}
    assert page.loads == []
    assert "core is new" in page.texts
    assert "release-2026.11.22: 3 packages to release" in page.texts


def test_titles_cannot_inject_html() -> None:
    """What a commit, an error or a file says is text, also in attributes and in the pictures."""
    hostile = '</pre><script>alert(1)</script><img src=x onerror="x">&amp;'
    plan = builders.plan_of("core:", changes={"core": f"feat: {hostile}"})
    plan = plan.model_copy(update={"tales": {"core": notes_of(hostile)}, "warnings": (hostile,)})
    report = report_of("core").model_copy(update={"problems": (hostile,)})
    failed = report.packages[0].model_copy(
        update={"outcome": PackageOutcome.FAILED, "error": hostile, "output": hostile}
    )
    page = Page(report_html(report.model_copy(update={"packages": (failed,)}), plan))

    assert page.loads == []
    assert page.open == []
    assert sum(hostile in text for text in page.texts) >= 4


def test_release_page_shows_what_waited() -> None:
    """A released package has its outcome, the timeline its stages, and a sentence says what the end waited for."""
    plan = builders.plan_of("app: core", "core:")
    text = report_html(report_of("core", "app"), plan)
    page = Page(text)

    assert page.texts.count("confirmed") == 2
    assert "The end of the release waited for:" in page.texts
    assert "app: 7.0 s of work, waited 3.0 s for core" in page.texts


def test_large_pages_stay_small() -> None:
    """The page of a release of 500 packages with long histories takes less than 500 kB."""
    names = [f"package-{number:03}" for number in range(500)]
    lines = [
        f"{name}: {' '.join(names[max(0, number - 3) : number])}"
        for number, name in enumerate(names)
    ]
    plan = builders.plan_of(*lines)
    tales = {
        name: notes_of(*["a change that somebody described in a whole sentence"] * 40)
        for name in names
    }
    page = report_html(report_of(*names), plan.model_copy(update={"tales": tales}))

    assert len(page.encode()) < 500_000
    assert page.count("40 changes") == 500


def report_of(*names: str) -> ReleaseReport:
    """Return a report of packages that took a second in each stage, and were uploaded one after the other."""
    packages = [
        PackageReport(
            name=name, version=Version("1.1"), tag=f"{name}-v1.1", outcome=PackageOutcome.CONFIRMED
        )
        for name in names
    ]
    spans: list[StageSpan] = []
    for number, name in enumerate(names):
        starts = [*range(4), *(4 + 3 * number + late for late in range(3))]
        spans += [
            StageSpan(package=name, stage=stage, start=start, end=start + 1)
            for stage, start in zip(STAGES, starts, strict=True)
        ]
    return ReleaseReport(
        release="1", title="release-1", packages=tuple(packages), timeline=tuple(spans)
    )
