"""What a CI job may upload: by trusted publishing, or with stored credentials."""

from __future__ import annotations

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.target import Target
from releasekit.core.release.upload_rights import (
    count_projects,
    describe_job,
    explain_missing_token,
    new_projects_refusal,
    token_warning,
    trusted_publishing_setup,
    uncovered_refusal,
)
from tests.support.trusted_index import identity, upload_token

PUBLIC = Target("https://index.example/simple/", "https://upload.index.example/legacy/", "public")
INTERNAL = Target("https://packages.example/team/simple/", "https://packages.example/team/")


@pytest.mark.parametrize(
    ("environ", "target", "step"),
    [
        ({"GITHUB_ACTIONS": "true"}, PUBLIC, "`id-token: write`"),
        ({"GITLAB_CI": "true"}, PUBLIC, "`PYPI_ID_TOKEN`"),
        ({"CI": "true"}, PUBLIC, ""),
        ({"GITHUB_ACTIONS": "true"}, INTERNAL, ""),
    ],
)
def test_token_in_ci_gets_advice(environ: dict[str, str], target: Target, step: str) -> None:
    """A stored token is a warning, and missing credentials have another hint, where the CI could give a token."""
    missing = Refusal(ErrorCode.INDEX_CREDENTIALS, "no credentials", "https://index.example")

    setup = trusted_publishing_setup(environ, target)

    assert (bool(setup), step in setup) == (bool(step), True)
    assert ("For trusted publishing" in explain_missing_token(missing, setup).hint) is bool(step)
    if setup:
        warning = str(token_warning(setup, target))
        assert warning.startswith(
            f"{ErrorCode.INDEX_STORED_TOKEN}: stored credentials upload to public (upload.index.example); "
        )
        assert step in warning


def test_other_index_errors_stay() -> None:
    """An index that does not answer needs another next step than missing credentials."""
    silent = Refusal(ErrorCode.INDEX_UNREACHABLE, "no answer", "https://index.example")

    assert explain_missing_token(silent, "give the job a token") is silent


@pytest.mark.parametrize(
    ("token", "count"),
    [
        (upload_token(["a"]), 1),
        (upload_token([str(number) for number in range(300)]), 300),
        (upload_token([]), 0),
        ("", None),
        ("pypi-", None),
        ("pypi-AgE", None),
        ("pypi-!!!", None),
        ("pypi-AgEIcHlwaS5vcmc", None),
        ("glpat-abcdefghij", None),
        (upload_token(["a"])[:60], None),
    ],
)
def test_token_says_how_many_projects(token: str, count: int | None) -> None:
    """A token of PyPI says for how many projects it is; any other text says nothing."""
    assert count_projects(token) == count


def test_token_for_fewer_projects_refused() -> None:
    """A token for fewer projects than the release has packages is a refusal; an unknown token is none."""
    token = upload_token(["1", "2"])

    refusal = uncovered_refusal(token, ["a", "b", "c"], PUBLIC)

    assert refusal
    assert refusal.code is ErrorCode.INDEX_NO_PUBLISHER
    assert (
        "covers 2 of the projects, and this release uploads 3 packages: a, b, c" in refusal.message
    )
    assert uncovered_refusal(token, ["a", "b"], PUBLIC) is None
    assert uncovered_refusal("opaque", ["a", "b", "c"], PUBLIC) is None


@pytest.mark.parametrize(
    ("new", "target", "refused"),
    [
        (["a"], PUBLIC, False),
        (["a", "b"], PUBLIC, True),
        (["a", "b"], INTERNAL, False),
    ],
)
def test_several_new_projects_need_token(new: list[str], target: Target, refused: bool) -> None:
    """PyPI makes one new project at a time for a CI job; other indexes have rules of their own."""
    refusal = new_projects_refusal(new, target)

    assert bool(refusal) is refused
    if refusal:
        assert "2 projects are new: a, b" in refusal.message
        assert "UV_PUBLISH_TOKEN" in refusal.hint


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (
            identity(
                {"project_path": "shelf/fruit", "ci_config_ref_uri": "x//.gitlab-ci.yml@main"}
            ),
            "; the job has the project shelf/fruit, the pipeline file x//.gitlab-ci.yml@main",
        ),
        (identity({"sub": "someone"}), ""),
        ("not a token", ""),
        ("a.b.c", ""),
        ("a.WzFd.c", ""),
    ],
)
def test_identity_describes_the_job(token: str, said: str) -> None:
    """What a publisher must name is read from the identity; anything else says nothing."""
    assert describe_job(token) == said
