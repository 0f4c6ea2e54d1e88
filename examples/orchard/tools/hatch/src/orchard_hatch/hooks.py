"""What hatchling finds by the entry point; hatchling is there because it is asking."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

from orchard_hatch import build_info


class BuildInfoHook(BuildHookInterface):
    """Write the module named `path`, and ship it although git ignores it."""

    PLUGIN_NAME = "orchard-build-info"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before each build of an sdist, a wheel or an editable."""
        path = self.config["path"]
        text = build_info(self.metadata.name, self.metadata.version)
        (Path(self.root) / path).write_text(text, encoding="utf-8")
        build_data["artifacts"].append(f"/{path}")


@hookimpl
def hatch_register_build_hook() -> type[BuildInfoHook]:
    """Tell hatchling which hook there is."""
    return BuildInfoHook
