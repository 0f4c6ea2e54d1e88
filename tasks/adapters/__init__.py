"""The outside world: one door to each tool."""
