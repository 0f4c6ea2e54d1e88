"""Tags that the remote has and this clone lacks."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.history.remote_tags import later_releases
from releasekit.core.history.tags import schemes_of
from tests.support.builders import settings_of

LAST = {"core": Version("1.2.0"), "new": None}


@pytest.mark.parametrize(
    ("tag_format", "tag", "counts"),
    [
        ("{name}-v{version}", "core-v1.3.0", True),
        ("{name}-v{version}", "core-v1.2.0", True),
        ("{name}-v{version}", "core-v1.1.9", False),
        ("{name}-v{version}", "core-v1.2.0rc1", False),
        ("{name}-v{version}", "new-v0.0.1", True),
        ("{name}-v{version}", "other-v9.0", False),
        ("{name}-v{version}", "nightly", False),
        ("{name}@{version}", "core@1.3.0", True),
        ("v{version}", "v0.0.1", True),
    ],
)
def test_only_later_releases_count(tag_format: str, tag: str, counts: bool) -> None:
    """A tag counts if it may be a release that is not older than the last one known here."""
    schemes = schemes_of(settings_of(tag_format=tag_format), {})

    assert later_releases({tag: "a" * 40}, schemes, LAST) == ({tag: "a" * 40} if counts else {})


def test_version_alone_is_of_any_package() -> None:
    """A tag without a name counts only if it is later than the last release of some package."""
    schemes = schemes_of(settings_of(tag_format="v{version}"), {})
    last = {"core": Version("1.2.0"), "app": Version("1.4.0")}

    assert later_releases({"v1.1.0": "a", "v1.3.0": "b"}, schemes, last) == {"v1.3.0": "b"}
