"""Changelogs and release notes."""
