"""The keys that say where wheels are built: a table of platforms in the root, their names in a member."""

from __future__ import annotations

from typing import Any

import pytest

from releasekit.core.config.command_lines import PackageCommands, rooted_commands, wheel_command
from releasekit.core.config.platforms import refuse_unknown_platforms
from releasekit.core.config.settings import commands_of, parse_member_settings, settings_of
from releasekit.core.errors import ErrorCode, Refusal


def document(**keys: Any) -> dict[str, Any]:
    """Return a parsed pyproject.toml with *keys* of releasekit."""
    return {"tool": {"releasekit": keys}}


def test_root_defines_members_name() -> None:
    """The root has a table, a member the names or true, and an empty command stands for uv."""
    root = settings_of(
        document(platforms={"linux": {"queue": "fast", "packages": True}, "gpu": {}})
    )
    assert {name: (item.queue, item.packages) for name, item in root.platform_table.items()} == {
        "linux": ("fast", ("all",)),
        "gpu": ("", ()),
    }
    assert parse_member_settings(document(platforms=["linux"]), "core") == {"platforms": ("linux",)}
    assert parse_member_settings(document(platforms=True), "core") == {"platforms": ("all",)}
    assert parse_member_settings(document(platforms=False), "core") == {"platforms": ()}


@pytest.mark.parametrize(
    ("keys", "is_root", "said"),
    [
        ({"platforms": ["linux"]}, True, "the root has one table for each platform"),
        ({"platforms": {"linux": {}}}, False, "a member lists the names of its platforms"),
        ({"platforms": {"a b": {}}}, True, "should match pattern"),
        ({"platforms": {"linux": {"que": "x"}}}, True, "unknown key que; did you mean queue?"),
        ({"build_command": "cibuildwheel"}, False, "the command must contain {output}"),
        (
            {"build_command": "make {output} && true"},
            False,
            "no shell runs the command, so && has no effect",
        ),
    ],
)
def test_wrong_platform_keys_are_refused(keys: dict[str, Any], is_root: bool, said: str) -> None:
    """Each form belongs to its file, names fit into paths, and a command says where wheels go."""
    with pytest.raises(Refusal, match="RK-CONFIG") as caught:
        _ = (
            settings_of(document(**keys))
            if is_root
            else parse_member_settings(document(**keys), "core")
        )
    assert said in caught.value.message


def test_unknown_platform_suggests_names() -> None:
    """A package can only name platforms that the root has."""
    with pytest.raises(Refusal) as caught:
        refuse_unknown_platforms(("linux-x86-64",), ("linux-x86_64",), "packages/core")
    assert caught.value.code is ErrorCode.CONFIG_INVALID_VALUE
    assert (
        caught.value.message
        == "platforms: no platform is named linux-x86-64; did you mean linux-x86_64?"
    )
    refuse_unknown_platforms(("all",), (), "packages/core")


def test_own_commands_win_over_those_of_root() -> None:
    """Each command of the package comes before that of the root; placeholders are filled in every word."""
    root = PackageCommands(("make", "{output}"), (("make", "docs"),))
    own = document(build_command=["sh", "-c", "cp x-{platform}.whl {output}/"])

    commands = commands_of(root, own, "core", is_root=False)

    words = wheel_command(commands.build_command, "/out", "linux")
    assert words == ("sh", "-c", "cp x-linux.whl /out/")
    assert commands.pre_build == root.pre_build
    assert commands_of(root, document(), "core", is_root=False) == root
    assert commands_of(root, document(pre_build=["x"]), "core", is_root=True) == root
    none = document(build_command=(), pre_build=())
    assert commands_of(root, none, "core", is_root=False) == PackageCommands()
    copy = commands_of(root, document(pre_build=["cp {root}/A {root}/B ."]), "core", is_root=False)
    assert rooted_commands(copy.pre_build, "/w") == (("cp", "/w/A", "/w/B", "."),)
