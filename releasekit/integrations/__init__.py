"""One module for each outside tool or service; no other module calls it."""
