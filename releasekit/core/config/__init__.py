"""What you can set: the keys of [tool.releasekit]."""
