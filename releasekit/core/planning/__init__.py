"""The plan of a release."""
