"""The members of a workspace, the requirements between them, and edits of their files."""
