"""What an index's answer to an upload means."""

from __future__ import annotations

import pytest

from releasekit.core.release.upload_response import Answer, Meaning, meaning_of


@pytest.mark.parametrize(
    ("status", "said", "meaning"),
    [
        (400, "File already exists ('a.whl', with blake2_256 hash 'ab'). See /help/#file-name-reuse", Meaning.THERE),
        (400, "File already exists: a.whl", Meaning.THERE),  # peryx
        (409, "Package 'a.whl' already exists! You may want to force an overwrite.", Meaning.THERE),  # pypiserver
        (409, "a.whl already exists in non-volatile index", Meaning.THERE),  # devpi
        (400, "This filename has already been used, use a different version.", Meaning.REFUSED),
        (400, "The description failed to render for 'text/x-rst'.", Meaning.REFUSED),
        (400, "Uploading new files to releases older than 14 days is not allowed.", Meaning.CLOSED),
        (409, "no", Meaning.REFUSED),
        (404, "no such page", Meaning.REFUSED),
        (413, "too large", Meaning.REFUSED),
        (401, "", Meaning.DENIED),
        (403, "Invalid or non-existent authentication information.", Meaning.DENIED),
        (403, "The user 'ada' isn't allowed to upload to project 'core'.", Meaning.DENIED_HERE),
        (403, "Invalid API Token: project-scoped token is not valid for project: 'core'", Meaning.DENIED_HERE),
        (429, "429 Too many new projects created", Meaning.QUOTA),
        (429, "Too many requests", Meaning.LIMITED),
        (408, "", Meaning.PASSING),
        (500, "", Meaning.PASSING),
        (599, "", Meaning.PASSING),
        (0, "Missing credentials for http://127.0.0.1/", Meaning.DENIED),
        (0, "Failed to read metadata", Meaning.REFUSED),
    ],
)
def test_meaning(status: int, said: str, meaning: Meaning) -> None:
    """The status decides, and where many things have the same, the words do."""
    assert meaning_of(Answer(status, said)) is meaning


def test_silence() -> None:
    """What was not answered may be tried again, whatever the connection died of."""
    assert meaning_of(Answer(0, "error sending request: password expired", is_silence=True)) is Meaning.PASSING
