"""The work of each command, with or without Prefect."""
