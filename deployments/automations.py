"""Create the automations of automations.yaml on your Prefect server, or update them: they notify of deployed releases.

`uv run python -m deployments.automations slack-webhook/releases` sends the notifications with that block.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore

FILE = Path(__file__).with_name("automations.yaml")


async def create_automations(block: str) -> list[str]:
    """Create or update each automation, with the notification block *block* (TYPE/NAME); return their names."""
    entries: list[dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["automations"]
    async with get_client() as client:
        block_id = await find_block(client, block)
        for entry in entries:
            action = {
                "type": "send-notification",
                "block_document_id": block_id,
                **entry.pop("notification"),
            }
            await save_automation(
                client, AutomationCore.model_validate({**entry, "actions": [action]})
            )
    return [entry["name"] for entry in entries]


async def find_block(client: PrefectClient, block: str) -> str:
    """Return the id of the block TYPE/NAME."""
    kind, _, name = block.partition("/")
    document = await client.read_block_document_by_name(name, kind)
    return str(document.id)


async def save_automation(client: PrefectClient, automation: AutomationCore) -> None:
    """Create *automation*, or update those of its name."""
    existing = await client.read_automations_by_name(automation.name)
    if not existing:
        await client.create_automation(automation)
    for saved in existing:
        await client.update_automation(saved.id, automation)


if __name__ == "__main__":
    print("\n".join(asyncio.run(create_automations(sys.argv[1]))))
