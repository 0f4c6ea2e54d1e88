"""The reference of errors: one heading a code, with its meaning and what to do."""

from __future__ import annotations

from releasekit.core.errors import ERRORS, ErrorCode


def errors() -> str:
    """Return a section for each error code, in alphabetical order."""
    return "\n\n".join(_section(code) for code in sorted(ErrorCode))


def _section(code: ErrorCode) -> str:
    entry = ERRORS[code]
    return f"## {code}\n\n{_prose(entry.meaning)}\n\n**What to do:** {_prose(entry.hint)}"


def _prose(text: str) -> str:
    """Return *text* with everything that Markdown would read as HTML or a link kept literal."""
    return "".join(
        part if index % 2 else part.replace("<", "&lt;").replace("[", "\\[") for index, part in enumerate(_split(text))
    )


def _split(text: str) -> list[str]:
    """Split *text* into prose and code spans; code spans have an odd index."""
    parts = text.split("`")
    return [f"`{part}`" if index % 2 else part for index, part in enumerate(parts)]
