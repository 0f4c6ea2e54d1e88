"""Decisions as plain functions over values: no Prefect, disk, network or clock."""
