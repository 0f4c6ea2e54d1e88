"""The checks of `releasekit check`: `registry.py` lists them all, `facts.py` defines their input and output."""
