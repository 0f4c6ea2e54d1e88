"""Render release notes with the template of a workspace, in a process of its own: time and memory have a limit there.

Jinja's sandbox keeps a template from Python, but not from loops of loops and texts that double.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_notes import ReleaseNotes, render
from releasekit.integrations.process import Command, run
from releasekit.integrations.tool_environment import build_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_RENDERING = 20
"""Seconds that a template may take."""
_MEMORY = 1 << 30


def render_apart(notes: ReleaseNotes, template: str, limit: int, display_path: str) -> str:
    """Return *notes* as `render` does, in another process; raises Refusal RK-NOTES-TEMPLATE as it does.

    It is also raised for a template that takes too long or needs too much memory.
    """
    request = {
        "notes": notes.model_dump(mode="json"),
        "template": template,
        "limit": limit,
        "path": display_path,
    }
    argv = (sys.executable, "-P", "-m", "releasekit.integrations.notes_renderer")
    stdin = json.dumps(request).encode("utf-8", "surrogatepass")
    try:
        answer = run(
            Command(
                argv, env=build_variables(("PYTHON*",), ()), timeout=LONGEST_RENDERING, stdin=stdin
            )
        ).stdout
    except ReleaseError as error:
        is_slow = error.code is ErrorCode.COMMAND_TIMEOUT
        message = (
            f"it takes longer than {LONGEST_RENDERING} s" if is_slow else "it cannot be rendered"
        )
        raise Refusal(
            ErrorCode.NOTES_TEMPLATE, message, display_path, output=error.output
        ) from None
    result: Mapping[str, str] = json.loads(answer)
    if "refusal" in result:
        raise Refusal(ErrorCode.NOTES_TEMPLATE, result["refusal"], result["location"])
    return result["text"]


def _answer(request: Mapping[str, object]) -> dict[str, str]:
    """Return the answer to the *request* of `render_apart`."""
    path = str(request["path"])
    try:
        notes = ReleaseNotes.model_validate(request["notes"])
        return {"text": render(notes, str(request["template"]), int(str(request["limit"])), path)}
    except Refusal as refusal:
        return {"refusal": refusal.message, "location": refusal.location}
    except MemoryError:
        return {"refusal": f"it needs more than {_MEMORY >> 20} MB of memory", "location": path}
    except RecursionError:
        return {"refusal": "it is nested too deeply", "location": path}


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    _limit_memory()
    sys.stdout.write(json.dumps(_answer(json.load(sys.stdin))))
