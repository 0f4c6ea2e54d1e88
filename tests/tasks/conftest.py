"""Fixtures of the tests of steps."""

from tests.support.git_scene import empty_scene, plain_git

__all__ = ["empty_scene", "plain_git"]
