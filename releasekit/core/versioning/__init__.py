"""The next versions of packages and groups."""
