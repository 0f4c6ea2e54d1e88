"""A hatchling build hook that writes down what was built, and with what."""

from importlib.metadata import version

__all__ = ["build_info"]


def build_info(name: str, built: str) -> str:
    """Return the text of a module that tells about the build of *name* in the version *built*."""
    return f'''"""Written by orchard-hatch."""

NAME = "{name}"
VERSION = "{built}"
BUILT_WITH = "orchard-hatch {version("orchard-hatch")}"
'''
