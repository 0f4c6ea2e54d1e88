"""In what two builds of one file differ."""

from __future__ import annotations

import os
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from releasekit.core.artifacts.reproduction import PackedMember, describe_mismatch
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.packed_members import read_members

if TYPE_CHECKING:
    from pathlib import Path

TIME = 1_600_000_000
MEMBERS = {"a": PackedMember("1", "time 1"), "b": PackedMember("2", "time 1")}


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (MEMBERS | {"a": PackedMember("3", "time 2")}, "other content in a"),
        ({"a": MEMBERS["a"]}, "only one of two builds has b"),
        (MEMBERS | {"b": PackedMember("2", "time 2")}, "b: time 1, then time 2"),
        (MEMBERS, "the members are in another order, or compressed differently"),
    ],
)
def test_difference_names_its_members(second: dict[str, PackedMember], text: str) -> None:
    """Content counts first, then missing members, then how they are packed."""
    assert describe_mismatch(MEMBERS, second) == text


def test_archives_give_their_members(tmp_path: Path) -> None:
    """A wheel and an sdist are read alike: content, time and mode. A broken file has a code."""
    wheel, sdist, source = (
        tmp_path / "a-1-py3-none-any.whl",
        tmp_path / "a-1.tar.gz",
        tmp_path / "a.py",
    )
    source.write_text("x = 1\n")
    source.chmod(0o644)
    os.utime(source, (TIME, TIME))
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.py", (2020, 2, 2, 0, 0, 0)), "x = 1\n")
    with tarfile.open(sdist, "w:gz") as packed:
        packed.add(source, "a-1/a.py")

    (in_wheel,), (in_sdist,) = read_members(wheel).values(), read_members(sdist).values()

    assert in_wheel.sha256 == in_sdist.sha256
    assert in_wheel.packing.startswith("time (2020, 2, 2, 0, 0, 0), attributes")
    assert in_sdist.packing.startswith(f"time {TIME}, mode 644, owner ")
    sdist.write_bytes(b"no archive")
    with pytest.raises(ReleaseError) as caught:
        read_members(sdist)
    assert caught.value.code is ErrorCode.VERIFY_FAILED
