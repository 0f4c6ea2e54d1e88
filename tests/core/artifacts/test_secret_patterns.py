"""Secrets: each kind of token is found in its usual form, and nothing that only begins like it."""

from __future__ import annotations

from itertools import cycle, islice

import pytest

from releasekit.core.artifacts.secret_patterns import PATTERNS, find_secrets

MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ"
HEX = "0f3a9c1d7e5b2846"
UPPER = "Q3EGRT7MPL2XVBN5"
LETTERS = "aBcDeFgHiJkLmNoPqRsTuVwXyZ"
DIGITS = "1234567890"


def run(alphabet: str, length: int) -> str:
    """Return *length* characters of *alphabet*."""
    return "".join(islice(cycle(alphabet), length))


def uuid() -> str:
    return "-".join(run(HEX, length) for length in (8, 4, 4, 4, 12))


# A prefix stands apart from the rest, because a scanner must not find them in this file.
SAMPLES = [
    ("AWS access key", "AKIA", UPPER),
    ("Anthropic key", "sk-ant-api03-", run(MIXED, 95)),
    ("Atlassian token", "ATATT3", run(MIXED, 186) + "=" + run("0123ABCD", 8)),
    ("Buildkite token", "bkua_", run(HEX, 40)),
    ("CircleCI token", "CCIPAT_", run(MIXED, 22) + "_" + run(HEX, 40)),
    ("Databricks token", "dapi", run(HEX, 32)),
    ("DigitalOcean token", "dop_v1_", run(HEX, 64)),
    ("Docker token", "dckr_pat_", run(MIXED, 27)),
    ("Doppler token", "dp.pt.", run(MIXED, 43)),
    ("Figma token", "figd_", run(MIXED, 40)),
    ("GitHub token", "ghp_", run(MIXED, 36)),
    ("GitLab token", "glpat-", run(MIXED, 20)),
    ("Google API key", "AIza", run(MIXED, 35)),
    ("Google OAuth secret", "GOCSPX-", run(MIXED, 28)),
    ("Grafana token", "glsa_", run(MIXED, 41)),
    ("Groq key", "gsk_", run(MIXED, 52)),
    ("HubSpot token", "pat-na1-", uuid()),
    ("Hugging Face token", "hf_", run(LETTERS, 34)),
    ("LangSmith key", "lsv2_pt_", run(HEX, 32) + "_" + run(HEX, 10)),
    ("Langfuse key", "sk-lf-", uuid()),
    ("Linear key", "lin_api_", run(MIXED, 40)),
    ("NVIDIA key", "nvapi-", run(MIXED, 64)),
    ("Netlify token", "nfp_", run(MIXED, 36)),
    ("New Relic key", "NRAK-", run(UPPER, 27)),
    ("Notion token", "ntn_", run(DIGITS, 11) + run(MIXED, 35)),
    ("OpenAI key", "sk-proj-" + run(MIXED, 74) + "T3Blbk", "FJ" + run(MIXED, 74)),
    ("OpenRouter key", "sk-or-v1-", run(HEX, 64)),
    ("Perplexity key", "pplx-", run(MIXED, 48)),
    ("Pinecone key", "pcsk_", run(MIXED, 6) + "_" + run(MIXED, 63)),
    ("PlanetScale token", "pscale_tkn_", run(MIXED, 43)),
    ("PostHog key", "phx_", run(MIXED, 43)),
    ("Postman key", "PMAK-", run(HEX, 24) + "-" + run(HEX, 34)),
    ("Pulumi token", "pul-", run(HEX, 40)),
    ("PyPI token", "pypi-AgE", run(MIXED, 60)),
    ("Replicate token", "r8_", run(MIXED, 37)),
    ("RubyGems key", "rubygems_", run(HEX, 48)),
    ("SendGrid key", "SG.", run(MIXED, 22) + "." + run(MIXED, 43)),
    ("Sentry token", "sntrys_", run(MIXED, 60)),
    ("Shopify token", "shpat_", run(HEX, 32)),
    ("Slack token", "xoxb-", run(DIGITS, 12) + "-" + run(MIXED, 24)),
    ("Square token", "sq0atp-", run(MIXED, 22)),
    ("Stripe key", "sk_live_", run(MIXED, 24)),
    ("Supabase token", "sbp_", run(HEX, 40)),
    ("Tavily key", "tvly-dev-", run(MIXED, 32)),
    ("Terraform token", run(MIXED, 14) + ".atlasv1.", run(MIXED, 67)),
    ("Twilio key", "SK", run(HEX, 32)),
    ("Vault token", "hvs.", run(MIXED, 24)),
    ("npm token", "npm_", run(MIXED, 36)),
    ("xAI key", "xai-", run(MIXED, 80)),
]


@pytest.mark.parametrize(("kind", "prefix", "rest"), SAMPLES, ids=[row[0] for row in SAMPLES])
def test_token_is_found_in_its_form(kind: str, prefix: str, rest: str) -> None:
    assert find_secrets(f'KEY = "{prefix}{rest}"\n'.encode()) == {kind}
    assert find_secrets(f"# {prefix}{rest[:8]}\n".encode()) == set(), "too short"
    assert find_secrets(f'KEY = "{prefix}{"x" * len(rest)}"\n'.encode()) == set()


def test_each_kind_of_token_has_a_sample() -> None:
    shown = {kind for kind, _, _ in SAMPLES} | {"private key", "JSON web token"}

    assert {pattern.kind for pattern in PATTERNS if pattern.is_token} == shown
