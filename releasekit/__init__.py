"""Release orchestration for uv workspaces; the code lives in `flows` and `tasks`."""

from importlib.metadata import version

__version__ = version("releasekit")
