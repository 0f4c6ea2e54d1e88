"""Where a release goes."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.release.target import IndexAddress, Target, recorded_targets

PRIVATE = Target("private/simple", "private/upload")


@pytest.mark.parametrize(
    ("target", "install_indexes", "is_pypi"),
    [
        (Target("default/simple", "", is_default=True), (), True),
        (PRIVATE, ("private/simple",), False),
        (Target("private/simple", "private/upload", "private", is_default=True), (), False),
        (Target("mirror/simple", ""), ("mirror/simple",), True),
        (
            Target("throwaway/simple", "throwaway", falls_back_to=PRIVATE),
            ("throwaway/simple", "private/simple"),
            False,
        ),
        (
            Target("throwaway/simple", "throwaway", falls_back_to=Target("", "", is_default=True)),
            ("throwaway/simple",),
            False,
        ),
    ],
)
def test_install_index_is_never_default(
    target: Target, install_indexes: tuple[str, ...], is_pypi: bool
) -> None:
    """An installer is told of an index that it would not look at by itself; without an address, uploads go to PyPI."""
    assert (target.install_indexes, target.is_pypi) == (install_indexes, is_pypi)


@pytest.mark.parametrize(
    ("check_url", "publish_url", "page"),
    [
        ("https://index.example/simple", "", "https://index.example/project/core/1.0/"),
        (
            "https://index.example/simple/",
            "https://upload.index.example/legacy/",
            "https://index.example/project/core/1.0/",
        ),
        (
            "https://test.index.example/simple/",
            "https://test.index.example/legacy/",
            "https://test.index.example/project/core/1.0/",
        ),
        (
            "http://127.0.0.1:80/simple/",
            "http://127.0.0.1:80/legacy/",
            "http://127.0.0.1:80/simple/core/",
        ),
        (
            "https://127.0.0.1/simple/",
            "https://127.0.0.1/legacy/",
            "https://127.0.0.1/simple/core/",
        ),
        ("https://index/simple/", "https://index/legacy/", "https://index/simple/core/"),
        (
            "https://a.example:8443/simple/",
            "https://a.example:8443/legacy/",
            "https://a.example:8443/simple/core/",
        ),
        (
            "https://a.example/simple/",
            "https://b.example/legacy/",
            "https://a.example/simple/core/",
        ),
        ("https://a.example/pypi/simple/", "", "https://a.example/pypi/simple/core/"),
        ("http://127.0.0.1:7001/simple/", "", "http://127.0.0.1:7001/simple/core/"),
        (
            "https://ada:pw@a.example:1/x/simple?t=1",
            "https://a.example:1/x",
            "https://a.example:1/x/simple/core/",
        ),
    ],
)
def test_package_page_depends_on_index(check_url: str, publish_url: str, page: str) -> None:
    """Only PyPI and Test PyPI have pages for people; of any other index the simple page is shown, with its port."""
    assert Target(check_url, publish_url).package_url("core", Version("1.0")) == page


def test_recorded_address_has_no_secrets() -> None:
    """What is put on record holds no user, password or query, whatever the addresses hold."""
    target = Target(
        "https://ada:hunter2@a.example:8443/simple/?t=hunter2",
        "https://bea@a.example/up#hunter2",
        "own",
    )

    assert target.address == IndexAddress(
        name="own", check_url="https://a.example:8443/simple/", publish_url="https://a.example/up"
    )


def test_only_known_targets_get_credentials() -> None:
    """An index that the workspace knows is asked with its credentials; one that somebody else wrote gets none."""
    known = Target("https://ada:hunter2@a.example/simple/", "https://a.example/up", "own")
    recorded = [
        IndexAddress(
            name="own", check_url="https://a.example/simple", publish_url="https://a.example/up"
        ),
        IndexAddress(name="own", check_url="http://a.example/simple"),
        IndexAddress(name="own", check_url="https://b.example/simple"),
    ]

    assert recorded_targets(recorded, [known]) == (
        known,
        Target("http://a.example/simple", ""),
        Target("https://b.example/simple", ""),
    )
