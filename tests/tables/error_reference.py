"""The reference of errors: one heading a code, with its meaning, causes, an example and what to do."""

from __future__ import annotations

import os.path
from pathlib import Path

from releasekit.core.error_pages import PAGES, REFERENCE, ErrorPage
from releasekit.core.errors import ErrorCode

ROOT = Path(__file__).parents[2]


def errors() -> str:
    """Return a section for each error code, in alphabetical order."""
    return "\n\n".join(_section(PAGES[code]) for code in sorted(ErrorCode))


def example_language(example: str) -> str:
    """Return what *example* is written in, as a code block names it: console, toml, yaml or text."""
    if "$ " in example:
        return "console"
    if example.startswith("["):
        return "toml"
    return "yaml" if example.startswith("permissions:") else "text"


def _section(page: ErrorPage) -> str:
    info = page.info
    parts = [
        f"## {page.code}",
        _prose(info.meaning),
        "**Causes:**",
        "\n".join(f"- {_prose(cause)}" for cause in page.causes),
        "**Example:**",
        f"```{example_language(page.example)}\n{page.example}\n```",
        f"**What to do:** {_prose(info.hint)}",
    ]
    if page.guide:
        parts.append(f"**See:** {_guide_link(page.guide)}")
    return "\n\n".join(parts)


def _guide_link(guide: str) -> str:
    title = (ROOT / guide).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    target = os.path.relpath(guide, Path(REFERENCE).parent)
    return f"[{title}]({target})"


def _prose(text: str) -> str:
    """Return *text* with everything that Markdown would read as HTML or a link kept literal."""
    return "".join(
        part if index % 2 else part.replace("<", "&lt;").replace("[", "\\[")
        for index, part in enumerate(_split(text))
    )


def _split(text: str) -> list[str]:
    """Split *text* into prose and code spans; code spans have an odd index."""
    parts = text.split("`")
    return [f"`{part}`" if index % 2 else part for index, part in enumerate(parts)]
