"""The forms in which programs write a secret."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.core.secret_forms import secret_forms


@pytest.mark.parametrize(
    "form",
    [
        "pa/ss w\"o'rd+1", "pa%2Fss%20w%22o%27rd%2B1", "pa%2fss%20w%22o%27rd%2b1", "pa/ss%20w%22o%27rd%2B1",
        'pa/ss w\\"o\'rd+1', "pa/ss w&quot;o&#x27;rd+1", "cGEvc3Mgdyxv",
    ],
)  # fmt: skip
def test_encoded_secrets_are_known(form: str) -> None:
    """The percent-encoded, JSON and HTML forms of a secret are among its forms."""
    is_base64 = form == "cGEvc3Mgdyxv"

    assert (form in secret_forms("pa/ss w\"o'rd+1")) is not is_base64


@given(
    st.text(max_size=9),
    st.text(st.characters(codec="utf-8"), min_size=12, max_size=40),
    st.text(max_size=9),
)
def test_base64_secret_is_recognised(before: str, secret: str, after: str) -> None:
    """A secret is found in the base64 of a text around it, such as "user:secret", wherever it stands there."""
    encoded = base64.b64encode(f"{before}{secret}{after}".encode("utf-8", "surrogatepass")).decode()

    assert any(form in encoded for form in secret_forms(secret))
