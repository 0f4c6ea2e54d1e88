"""One file for each command: its options, its output and its exit code."""
