"""A release in progress: what is built, uploaded and finished."""
