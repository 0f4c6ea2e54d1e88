"""Fixtures of the tests in this directory."""

from tests.support.git_scene import empty_scene, plain_git, scene, workspace

__all__ = ["empty_scene", "plain_git", "scene", "workspace"]
