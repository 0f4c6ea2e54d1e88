"""The steps of a release; one file per stage."""
