"""The members of a workspace, what they require of each other, and their files as text."""
