"""Commits, tags, and which commit changed which package."""
