"""The choice of the package manager. Today every workspace is one of uv; another one needs nothing but a line here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from releasekit.integrations.uv import Uv, find_uv

if TYPE_CHECKING:
    from releasekit.integrations.protocols import PackageManager


def find_package_manager(executable: str = "") -> PackageManager:
    """Return the package manager, with the program *executable* if this machine has it.

    Raises Refusal RK-UV-MISSING if there is none.
    """
    is_here = executable and Path(executable).is_file()
    return Uv(executable) if is_here else find_uv()
