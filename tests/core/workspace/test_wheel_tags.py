"""What the file names of wheels say."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.config.platforms import fits_platform, system_and_machine
from releasekit.core.workspace.wheel_tags import (
    last_release_files,
    missing_wheels,
    plain_linux_wheels,
    runs_on,
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("linux-x86_64", ("linux", "x86_64")),
        ("manylinux_2_17_x86_64", ("linux", "x86_64")),
        ("musllinux_1_2_aarch64", ("linux", "arm64")),
        ("linux_arm64", ("linux", "arm64")),
        ("macosx_11_0_arm64", ("macos", "arm64")),
        ("macos-14", ("macos", "")),
        ("windows-amd64", ("windows", "x86_64")),
        ("win32", ("windows", "x86")),
        ("win_arm64", ("windows", "arm64")),
        ("manylinux2014_i686", ("linux", "x86")),
        ("gpu-box", ("", "")),
        ("darwin-arm64", ("macos", "arm64")),
    ],
)
def test_name_says_system_and_machine(words: str, expected: tuple[str, str]) -> None:
    """Names of platforms and tags of wheels are read alike; a name that says nothing is allowed."""
    assert system_and_machine(words) == expected


@pytest.mark.parametrize(
    ("tag", "platform", "expected"),
    [
        ("manylinux_2_28_x86_64", "linux-x86_64", True),
        ("musllinux_1_2_x86_64", "linux-x86_64", True),
        ("linux_x86_64", "linux-x86_64", True),
        ("manylinux_2_28_aarch64", "linux-x86_64", False),
        ("macosx_11_0_arm64", "linux-arm64", False),
        ("macosx_10_12_universal2", "macos-arm64", True),
        ("macosx_10_9_intel", "macos-arm64", False),
        ("win_amd64", "windows", True),
        ("win_amd64", "gpu-box", True),
        ("any", "linux-x86_64", True),
    ],
)
def test_tag_fits_the_platform(tag: str, platform: str, expected: bool) -> None:
    """A wheel may come from a platform unless their names contradict each other."""
    assert fits_platform(tag, platform) is expected


def _wheel(tags: str) -> str:
    return f"core-1.0-{tags}.whl"


@pytest.mark.parametrize(
    ("before", "now", "missing"),
    [
        (["cp311-cp311-manylinux_2_17_x86_64"], ["cp311-cp311-manylinux_2_28_x86_64"], []),
        (["cp311-cp311-manylinux_2_17_x86_64"], ["cp311-cp311-musllinux_1_2_x86_64"], [0]),
        (
            ["cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"],
            ["cp311-abi3-manylinux_2_28_x86_64"],
            [],
        ),
        (["cp313-cp313t-win_amd64"], ["cp311-abi3-win_amd64"], [0]),
        (["cp310-cp310-win_amd64", "cp311-cp311-win_amd64"], ["cp311-cp311-win_amd64"], [0]),
        (["cp39-cp39-win_amd64"], ["cp311-abi3-win_amd64"], [0]),
        (["cp311-cp311-win_amd64"], ["py3-none-any"], []),
        (["py3-none-win_amd64"], ["py3-none-win_amd64"], []),
        (["py3-none-any"], ["cp311-cp311-win_amd64"], []),
        (["cp311-cp311-macosx_10_9_universal2"], ["cp311-cp311-macosx_11_0_arm64"], [0]),
        (
            ["cp311-cp311-macosx_10_9_universal2"],
            ["cp311-cp311-macosx_11_0_arm64", "cp311-cp311-macosx_10_12_x86_64"],
            [],
        ),
        (["cp311-cp311-macosx_10_12_x86_64"], ["cp311-cp311-macosx_10_9_universal2"], []),
        (["cp311-cp311-win_amd64"], [], [0]),
    ],
)
def test_wheels_of_last_release_count(
    before: list[str], now: list[str], missing: list[int]
) -> None:
    """What could install a wheel of the last release must find one that serves it now."""
    names = [_wheel(tags) for tags in before]
    assert missing_wheels(names, map(_wheel, now)) == [names[position] for position in missing]


def test_last_release_is_below_this() -> None:
    """The files of the highest earlier version count, whatever else an index lists."""
    names = [
        "core-0.9.tar.gz",
        "core-1.0.tar.gz",
        "core-2.0.tar.gz",
        "core-1.1rc1-py3-none-any.whl",
        "readme.html",
    ]
    assert last_release_files(names, Version("1.1")) == ["core-1.1rc1-py3-none-any.whl"]
    assert last_release_files(names, Version("1.0")) == ["core-0.9.tar.gz"]
    assert last_release_files(names, Version("0.1")) == []


def test_plain_linux_wheels_are_named() -> None:
    """Only the tags that PyPI refuses are meant, not those of auditwheel."""
    names = [
        _wheel("cp311-cp311-linux_x86_64"),
        _wheel("cp311-cp311-manylinux_2_17_x86_64"),
        "core-1.0.tar.gz",
    ]
    assert plain_linux_wheels(names) == names[:1]
    assert [runs_on(name, {"linux_x86_64"}) for name in names] == [True, False, False]
