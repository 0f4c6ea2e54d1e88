"""The navigation of the documentation site: every page, in the order in which the index of its section links it."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = {
    "tutorials": "Tutorials",
    "guides": "Guides",
    "reference": "Reference",
    "explanation": "Explanation",
    "migration": "Migration",
    "contributing": "Contributing",
}


def nav() -> str:
    """Return the entries of `nav`, as YAML."""
    lines = ["nav:", "  - Home: index.md"]
    for directory, title in SECTIONS.items():
        if pages := _entries(DOCS / directory, "      "):
            lines += [f"  - {title}:", *pages]
    return "\n".join(lines)


def pages() -> set[str]:
    """Return every page of the site, relative to docs/."""
    return {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def _entries(directory: Path, indent: str) -> list[str]:
    """Return the entries of *directory*: its index, pages as that lists them, other pages, collections."""
    if not directory.is_dir():
        return []
    index = directory / "index.md"
    listed = index.read_text(encoding="utf-8") if index.exists() else ""
    others = sorted(
        (path for path in directory.glob("*.md") if path != index),
        key=lambda path: _sort_key(path, listed),
    )
    lines = [
        f"{indent}- {path.relative_to(DOCS).as_posix()}" for path in ([index] if listed else [])
    ]
    lines += [f"{indent}- {_title(path)}: {path.relative_to(DOCS).as_posix()}" for path in others]
    # Such as decisions: the index links every page.
    collections = sorted(directory.glob("*/index.md"))
    lines += [
        f"{indent}- {_title(path)}: {path.relative_to(DOCS).as_posix()}" for path in collections
    ]
    return lines


def _sort_key(path: Path, listed: str) -> tuple[int, str]:
    place = listed.find(f"({path.name}")
    return (place if place >= 0 else len(listed), _title(path).lower())


def _title(path: Path) -> str:
    """Return the first heading of a page, quoted where YAML needs it."""
    heading = (
        path.read_text(encoding="utf-8")
        .partition("# ")[2]
        .partition("\n")[0]
        .strip()
        .replace("`", "")
    )
    return f'"{heading}"' if set(heading) & set(":#'&*[]{}") else heading
