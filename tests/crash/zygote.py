"""Run the program again and again, each time in a child that begins where all imports are done.

Reads one JSON object a line: `argv cwd env output today` and, to be killed, `at` (before its effect of that number,
counted from 1) and `after` (that many seconds later instead). Answers with one: `code`, negative if killed by a signal,
and `effects`, one line each, with the seconds since the start.

An effect is whatever changes something outside of the process: a program that is started, a file that is written,
renamed or removed. Python itself announces them (PEP 578), so that none can be forgotten.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flows.started_release
from releasekit.cli.app import main
from releasekit.integrations import peryx, prefect_server
from tasks import decide

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "shutil.rmtree",
}
TEMPORARY = tempfile.gettempdir()  # once: it looks for one, by writing
LOADED = (flows.started_release, peryx, prefect_server)  # by the program, late


class Effects:
    """Counts effects, writes each into *log*, and dies at the one of number *at* (0: never)."""

    def __init__(self, log: Path, at: int, after: float) -> None:
        self.log, self.at, self.after = log.open("a", buffering=1), at, after
        self.count = 0
        self.started = time.monotonic()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hear of an audit *event*."""
        if not (effect := described(event, arguments)):
            return
        self.count += 1
        self.log.write(f"{time.monotonic() - self.started:.4f} {effect}\n")
        if self.count == self.at:
            if not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(self.after, os.kill, (os.getpid(), signal.SIGKILL)).start()


def described(event: str, arguments: tuple[Any, ...]) -> str:
    """Return what an audit event does outside of the process; nothing if it only looks."""
    if event == "subprocess.Popen":
        return f"run {' '.join(map(os.fsdecode, arguments[1]))[:150]!r}"
    if event in CHANGES:
        return f"{event} {arguments[0]!r}"
    if event == "open" and writes(*arguments):
        return f"write {arguments[0]!r}"
    return ""


def writes(path: object, mode: str | None, flags: int) -> bool:
    """Tell whether a file that is opened so may change."""
    if not isinstance(path, (str, bytes)) or os.fsdecode(path).startswith(("/dev/", "/proc/")):
        return False
    if os.fsdecode(path) == TEMPORARY:
        return False  # a file without a name
    return bool(set(mode or "") & set("wax+")) or (
        mode is None and bool(flags & (os.O_WRONLY | os.O_RDWR))
    )


class Clock(datetime):
    """The clock that plans are dated by; it stands still, for the tests go on past midnight."""

    today_is = ""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        """Return noon of that day."""
        return cls.fromisoformat(f"{cls.today_is}T12:00:00").replace(tzinfo=tz)


def run(job: Mapping[str, Any]) -> int:
    """Run the program as *job* says, in this process."""
    os.setsid()
    Clock.today_is = job["today"]
    setattr(decide, "datetime", Clock)  # noqa: B010  its type is another
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    silence = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((silence, 0), (output, 1), (output, 2)):
        os.dup2(here, there)
    effects = Effects(Path(job["output"] + ".effects"), job["at"], job["after"])
    sys.addaudithook(effects)
    return main(job["argv"])


def serve() -> None:
    """Answer what is asked, until nothing is."""
    for line in sys.stdin:
        job = json.loads(line)
        log = Path(job["output"] + ".effects")
        log.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            code = run(job)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "effects": log.read_text().splitlines(),
        }
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
