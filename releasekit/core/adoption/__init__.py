"""Adopts a repository with earlier releases: which tags are releases, what is missing, what to configure."""
