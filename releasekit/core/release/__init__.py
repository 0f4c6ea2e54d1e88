"""A release on its way: what is built, uploaded, finished."""
