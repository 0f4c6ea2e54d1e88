"""Pure thinking: no Prefect, disk, network or clock."""
