"""The parsers that read what strangers have written, each as a function of bytes.

A parser raises ReleaseError, or returns. Another exception is a fault, and so is a time that does not fit the length.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx
from packaging.version import Version

from releasekit.core.adoption.tag_forms import PackageWords, package_words, parse_tags
from releasekit.core.artifacts.attestations import attestation_problem
from releasekit.core.artifacts.entry_points import parse_entry_points
from releasekit.core.artifacts.secret_patterns import find_secrets
from releasekit.core.artifacts.verification import verify_artifacts
from releasekit.core.changelog.changelog import Section, escape, insert_section, versions_in
from releasekit.core.config.settings import settings_of
from releasekit.core.errors import ReleaseError
from releasekit.core.history.change_files import ChangeDirectory, parse_change_file
from releasekit.core.history.commits import Commit, parse
from releasekit.core.history.tags import TagScheme
from releasekit.core.history.web_links import repository_urls
from releasekit.core.markdown_spans import without_code
from releasekit.core.migration.foreign_setup import Places
from releasekit.core.migration.foreign_tools import FILE_NAMES, detect_tools, read_foreign
from releasekit.core.release.release_manifest import (
    parse_manifest,
    parse_plan,
    parse_staged_manifest,
)
from releasekit.core.release.upload_response import classify_response
from releasekit.core.repair.compared_scope import parse_sums
from releasekit.core.toml_lines import excerpt_of
from releasekit.core.workspace.declarations import parse_document
from releasekit.core.workspace.pins import Pins
from releasekit.core.workspace.workspace import parse_workspace
from releasekit.integrations.built_artifacts import built_paths, read_built
from releasekit.integrations.index import SimpleIndex
from releasekit.integrations.uv import parse_response
from tests.support.artifacts import Draft

Parser = Callable[[bytes], object]

WORDS: PackageWords = package_words({"packages/core": "core", "packages/shop-web": "shop-web"})
CHANGES = ChangeDirectory(".changes", ".md")
URLS = repository_urls("https://github.com/owner/name")
SECTION = Section(text="## 1.0\n\n- one\n", link="https://link.example", replaces=("0.9",))
PLACES = Places(MappingProxyType({"packages/core": "core", ".": "root"}))


def as_text(parser: Callable[[str], object]) -> Parser:
    """Return *parser* for the bytes of a text."""
    return lambda content: parser(content.decode("utf-8", "replace"))


def read_commit(text: str) -> None:
    """Read a message, and write it into a changelog."""
    change = parse(Commit("a" * 40, (), text, ()))
    escape(change.description, URLS)
    for note in change.notes:
        escape(note, URLS)


def read_changelog(text: str) -> None:
    """Read a changelog, and add a section twice: the second time nothing changes."""
    versions_in(text)
    once = insert_section(text, Version("1.0"), SECTION)
    assert insert_section(once, Version("1.0"), SECTION) == once


def read_document(text: str) -> None:
    """Read a pyproject.toml as that of the root and of a member."""
    document = parse_document(text)
    settings_of(document, text)
    parse_workspace({"packages/core": document})
    excerpt_of(text, "pyproject.toml", ("tool", "releasekit", "types"), "feat")


def read_tags(text: str) -> None:
    """Read each line as a tag."""
    parse_tags(text.splitlines(), WORDS)
    scheme = TagScheme("{name}-v{version}", "")
    for line in text.splitlines():
        list(scheme.readings(line))


def read_foreign_file(text: str) -> None:
    """Read the text as each of the files of other tools."""
    for name in FILE_NAMES:
        texts = {name: text}
        for tool in detect_tools(texts):
            with suppress(ReleaseError):
                read_foreign(tool, texts, PLACES)


def read_page(content: bytes) -> None:
    """Read a page of an index, in both forms."""
    import asyncio

    async def read(kind: str) -> None:
        def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=content, headers={"Content-Type": kind})

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            index = SimpleIndex("https://index.example/simple", client)
            with suppress(ReleaseError):
                await index.files("core")
            with suppress(ReleaseError):
                await index.versions("core")

    for kind in ("application/vnd.pypi.simple.v1+json", "text/html"):
        asyncio.run(read(kind))


def verify(change: Callable[[Draft], None]) -> None:
    """Verify a wheel and an sdist that *change* spoils."""
    draft = Draft()
    change(draft)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "dist"
        draft.write(directory)
        version = Version("1.2.0")
        pins = Pins("exact", {"base": Version("1.0"), "shop-core": version})
        built = read_built("shop-core", version, built_paths(directory), pins, {})
        verify_artifacts(built)


def verify_member(path: str) -> Parser:
    """Return the parser that verifies a wheel with these bytes as the member *path*."""
    return lambda content: verify(lambda draft: draft.more.append((path, content)))


def verify_with(name: str) -> Parser:
    """Return the parser that verifies archives whose attribute *name* gives these bytes, whatever it gave before."""

    def parse_whole(content: bytes) -> None:
        def give(_: bytes) -> bytes:
            return content

        verify(lambda draft: setattr(draft, name, give))

    return parse_whole


INFO = "shop_core-1.2.0.dist-info"
PARSERS: Mapping[str, Parser] = {
    "commit": as_text(read_commit),
    "changelog": as_text(read_changelog),
    "change-file": as_text(lambda text: parse_change_file(CHANGES, "a.md", text, ["core"])),
    "markdown": as_text(without_code),
    "pyproject": as_text(read_document),
    "foreign-configuration": as_text(read_foreign_file),
    "tags": as_text(read_tags),
    "address": as_text(repository_urls),
    "manifest": as_text(lambda text: parse_manifest(text, "manifest.json")),
    "staged-manifest": as_text(lambda text: parse_staged_manifest(text, "manifest.json")),
    "plan": as_text(lambda text: parse_plan(text, "plan.json")),
    "checksums": as_text(parse_sums),
    "index-page": read_page,
    "upload-answer": as_text(lambda text: classify_response(parse_response(text))),
    "attestation": lambda content: attestation_problem(content, "core-1.0.tar.gz", "0" * 64),
    "entry-points": as_text(parse_entry_points),
    "secrets": find_secrets,
    "wheel": verify_with("raw_wheel"),
    "sdist": verify_with("raw_sdist"),
    "tar": verify_with("raw_tar"),
    "metadata": verify_with("metadata"),
    "module": verify_member("shop_core/more.py"),
    "wheel-entry-points": verify_member(f"{INFO}/entry_points.txt"),
}
"""Every parser of foreign bytes, by name. Its corpus is the directory of this name."""

SECONDS_PER_MEGABYTE, SECONDS_AT_LEAST = 60.0, 5.0
"""CPU time that a parser may take. Linear ones take a hundredth of it."""


@dataclass(frozen=True)
class Trial:
    """What a parser has made of some bytes: CPU seconds, and an error of ours, if it raised one."""

    seconds: float
    error: ReleaseError | None = None


def run_parser(name: str, content: bytes) -> Trial:
    """Run the parser *name* on *content*. Raises what it raises, unless it is a ReleaseError; TimeoutError if slow."""
    begun = time.process_time()
    error: ReleaseError | None = None
    try:
        PARSERS[name](content)
    except ReleaseError as raised:
        error = raised
    seconds = time.process_time() - begun
    limit = max(SECONDS_AT_LEAST, SECONDS_PER_MEGABYTE * len(content) / 1e6)
    if seconds > limit:
        raise TimeoutError(f"{name}: {seconds:.1f} CPU-seconds for {len(content)} bytes")
    return Trial(seconds, error)
