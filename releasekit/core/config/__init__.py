"""The settings: the keys of [tool.releasekit]."""
