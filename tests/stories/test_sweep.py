"""The same files on the index, whatever this machine says: a sample of `benchmarks/sweep.py`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from benchmarks.sweep import CONFIG, DIRECTORIES, Setting, rehearse
from examples.orchard_repository import make

if TYPE_CHECKING:
    from pathlib import Path

HARMLESS = {
    "GIT_DIR": "/nowhere/.git",
    "GIT_EXTERNAL_DIFF": "false",
    "GIT_INDEX_FILE": "/nowhere/index",
    "LC_ALL": "POSIX",
    "NETRC": "/nowhere/netrc",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PYTHONHASHSEED": "4711",
    "PYTHONIOENCODING": "ascii",
    "PYTHONOPTIMIZE": "2",
    "SETUPTOOLS_SCM_PRETEND_VERSION": "9.9.9",
    "SOURCE_DATE_EPOCH": "0",
    "TZ": "Pacific/Kiritimati",
    "UV_COMPILE_BYTECODE": "1",
    "UV_FROZEN": "1",
    "UV_LINK_MODE": "copy",
    "UV_NO_SOURCES": "1",
    "UV_PROJECT_ENVIRONMENT": "/nowhere",
    "UV_PUBLISH_URL": "https://upload.example/legacy/",
    "UV_REQUIRE_HASHES": "1",
    "UV_RESOLUTION": "lowest",
}
"""Variables under which `benchmarks/sweep.py` has seen the same files, one at a time."""

SIGNED = {"commit.gpgSign", "tag.gpgSign"}
"""Settings that need a key."""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux")
def test_settings_change_no_file(tmp_path: Path) -> None:
    """Variables, git settings, file modes, an odd path and closed input together change no byte of a built file."""
    make(tmp_path)
    packages = ["orchard-cache", "orchard-hatch"]
    odd = Setting(
        "all",
        variables=HARMLESS,
        config=[(key, value) for key, value in CONFIG if key not in SIGNED],
        script="umask 077; exec <&-; cd packages/core",
        directory=DIRECTORIES[0] + DIRECTORIES[1],
    )

    expected = rehearse(Setting("none"), tmp_path, packages)
    seen = rehearse(odd, tmp_path, packages)

    assert expected.code == 0, expected.messages
    assert len(expected.files) == 4
    assert seen.code == 0, seen.messages
    assert seen.files == expected.files
