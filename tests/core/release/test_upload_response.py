"""What an index's answer to an upload means."""

from __future__ import annotations

import pytest

from releasekit.core.release.upload_response import UploadOutcome, UploadResponse, classify_response


@pytest.mark.parametrize(
    ("status", "said", "meaning"),
    [
        (
            400,
            "File already exists ('a.whl', with blake2_256 hash 'ab'). See /help/#file-name-reuse",
            UploadOutcome.ALREADY_EXISTS,
        ),
        (400, "File already exists: a.whl", UploadOutcome.ALREADY_EXISTS),  # peryx
        # Pypiserver.
        (
            409,
            "Package 'a.whl' already exists! You may want to force an overwrite.",
            UploadOutcome.ALREADY_EXISTS,
        ),
        (409, "a.whl already exists in non-volatile index", UploadOutcome.ALREADY_EXISTS),  # devpi
        (
            400,
            "This filename has already been used, use a different version.",
            UploadOutcome.REJECTED,
        ),
        (400, "The description failed to render for 'text/x-rst'.", UploadOutcome.REJECTED),
        (
            400,
            "Uploading new files to releases older than 14 days is not allowed.",
            UploadOutcome.VERSION_CLOSED,
        ),
        (400, "Filename and version in the metadata do not match.", UploadOutcome.REJECTED),
        (
            400,
            "The digest supplied does not match a digest calculated from the file.",
            UploadOutcome.TRANSIENT,
        ),
        (
            0,
            "Local file and index file do not match for a.whl. Local: sha256=ab",
            UploadOutcome.DIFFERENT_FILE,
        ),
        (409, "no", UploadOutcome.REJECTED),
        (404, "no such page", UploadOutcome.REJECTED),
        (413, "too large", UploadOutcome.REJECTED),
        (401, "", UploadOutcome.UNAUTHORIZED),
        (403, "Invalid or non-existent authentication information.", UploadOutcome.UNAUTHORIZED),
        (
            403,
            "The user 'ada' isn't allowed to upload to project 'core'.",
            UploadOutcome.FORBIDDEN_PROJECT,
        ),
        (
            403,
            "Invalid API Token: project-scoped token is not valid for project: 'core'",
            UploadOutcome.FORBIDDEN_PROJECT,
        ),
        (429, "429 Too many new projects created", UploadOutcome.NEW_PROJECT_QUOTA),
        (429, "Too many requests", UploadOutcome.RATE_LIMITED),
        (408, "", UploadOutcome.TRANSIENT),
        (500, "", UploadOutcome.TRANSIENT),
        (599, "", UploadOutcome.TRANSIENT),
        (0, "Missing credentials for http://127.0.0.1/", UploadOutcome.UNAUTHORIZED),
        (0, "Failed to read metadata", UploadOutcome.REJECTED),
    ],
)
def test_upload_response_has_one_outcome(status: int, said: str, meaning: UploadOutcome) -> None:
    """The status decides, and where many things have the same, the words do."""
    assert classify_response(UploadResponse(status, said)) is meaning


def test_upload_without_response_is_transient() -> None:
    """What was not answered may be tried again, whatever the connection died of."""
    assert (
        classify_response(
            UploadResponse(0, "error sending request: password expired", no_response=True)
        )
        is UploadOutcome.TRANSIENT
    )
