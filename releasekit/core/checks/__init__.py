"""What `releasekit check` looks for: `registry.py` lists all checks, `facts.py` has what they are given."""
