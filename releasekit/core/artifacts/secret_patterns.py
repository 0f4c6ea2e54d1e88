"""Secrets in the content of files: private keys, and tokens by the forms that their issuers give them."""

from __future__ import annotations

import re
from typing import NamedTuple

OVERLAP = 4096
"""How many bytes of a piece are read again with the next one, so that no secret hides on the border."""


UNCERTAIN_KIND = "JSON web token"
"""The kind that is often no secret: it may have expired, or be meant for everyone."""


class SecretPattern(NamedTuple):
    """A kind of secret. Only content with one of *anchors* is searched for the slower *pattern*.

    If it *is_token*, the anchors are in a long run of word characters: these are a tenth of usual content.
    """

    kind: str
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    is_token: bool = False


def _token(kind: str, pattern: str, *anchors: str) -> SecretPattern:
    """Return the pattern of a token that no other word character touches."""
    whole = rf"(?<![A-Za-z0-9_-]){pattern}(?![A-Za-z0-9_-])"
    return SecretPattern(
        kind=kind,
        anchors=tuple(anchor.encode() for anchor in anchors),
        pattern=re.compile(whole.encode()),
        is_token=True,
    )


_BREAK = rb"[ \t]*(?:\r?\n|\r|\\r\\n|\\n)"
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    + _BREAK
    + rb"(?:[\"' \t]*(?:[A-Za-z-]{1,30}: ?[^\r\n\\]{0,200})?"
    + _BREAK
    + rb"[\"' \t]*){0,6}[\"' \t]*(?:[A-Za-z0-9+/=]{16}|[A-Za-z0-9+/=]{4,15}"
    + _BREAK
    + rb"[\"' \t]*-----END)"
)
_SSH_KEY = re.compile(rb"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----" + _BREAK)
_PUTTY_KEY = re.compile(rb"PuTTY-User-Key-File-\d: ")
_REGISTRY_PASSWORD = re.compile(
    rb"//[^\s/]{1,200}/\S{0,200}:_(?:authToken|auth|password)=(?![\"']?[$%{<])(\S{8,})"
)
_ENCODED_KEY = re.compile(
    rb"LS0tLS1CRUdJTi[A-Za-z0-9+/]{1,24}(?:UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)"
    rb"[A-Za-z0-9+/]{4,20}(?:[A-Za-z0-9+/]|\\?\r?\n[\"' \t]*){60}"
)
"""A private key in base64, as a kubeconfig has it: the words PRIVATE KEY have three forms there."""
_AWS_SECRET = re.compile(
    rb"(?i:aws_?secret_?(?:access_?)?key)[\"']?[ \t]{0,9}[=:][ \t]{0,9}[\"']?"
    rb"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
_NETRC_LINE = re.compile(
    rb"\bmachine[ \t\r\n]{1,9}\S{1,200}[ \t\r\n]{1,9}login[ \t\r\n]{1,9}\S{1,200}[ \t\r\n]{1,9}"
    rb"password[ \t\r\n]{1,9}(?![$%{<])(\S{8,200})"
)
_ADDRESS_PASSWORD = re.compile(
    rb"://[A-Za-z0-9_.%+-]{1,100}:([A-Za-z0-9_.%+!*~=-]{12,200})@"
    rb"(?!localhost|127\.|0\.0|\[|[a-z0-9.-]{0,100}example)[a-zA-Z0-9]"
)

PATTERNS = (
    SecretPattern("private key", (b"PRIVATE KEY",), _PRIVATE_KEY),
    SecretPattern("private key", (b"PRIVATE KEY",), _SSH_KEY),
    SecretPattern("private key", (b"PuTTY-User-Key-File-",), _PUTTY_KEY, is_token=True),
    _token("private key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}", "AGE-SECRET-KEY-1"),
    _token("PyPI token", r"pypi-AgE[A-Za-z0-9_-]{40,}", "pypi-AgE"),
    _token("GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,255}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _token("GitHub token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", "github_pat_"),
    _token("GitLab token", r"gl(?:pat|dt|rt|ptt|agent|soat|cbt|ft|imt)-[A-Za-z0-9_-]{20,}",
           "glpat-", "gldt-", "glrt-", "glptt-", "glagent-", "glsoat-", "glcbt-", "glft-", "glimt-"),
    _token("AWS access key", r"(?:AKIA|ASIA)[A-Z2-7]{16}", "AKIA", "ASIA"),
    _token("Google API key", r"AIza[A-Za-z0-9_-]{35}", "AIza"),
    _token("Google OAuth secret", r"GOCSPX-[A-Za-z0-9_-]{28}", "GOCSPX-"),
    _token("Slack token", r"xox[abeoprs]-[0-9A-Za-z-]{20,}", *(f"xox{letter}-" for letter in "abeoprs")),
    _token("Slack token", r"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}", "xapp-"),
    SecretPattern("Slack webhook", (b"hooks.slack.com/services/",),
                  re.compile(rb"hooks\.slack\.com/services/T[A-Z0-9]{7,}/B[A-Z0-9]{7,}/[A-Za-z0-9]{20,}")),
    SecretPattern("Discord webhook", (b"/api/webhooks/",),
                  re.compile(rb"discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_-]{60,}")),
    _token("Stripe key", r"[sr]k_live_[A-Za-z0-9]{20,}", "sk_live_", "rk_live_"),
    _token("npm token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _token("SendGrid key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", "SG."),
    _token("Anthropic key", r"sk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{80,}", "sk-ant-"),
    _token("OpenAI key", r"sk-[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,}", "T3BlbkFJ"),
    _token("Hugging Face token", r"hf_[A-Za-z]{34}", "hf_"),
    _token("Docker token", r"dckr_[po]at_[A-Za-z0-9_-]{27,}", "dckr_pat_", "dckr_oat_"),
    _token("DigitalOcean token", r"do[opr]_v1_[a-f0-9]{64}", "dop_v1_", "doo_v1_", "dor_v1_"),
    _token("Databricks token", r"dapi[a-f0-9]{32}(?:-\d)?", "dapi"),
    _token("Shopify token", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", "shpat_", "shpca_", "shppa_", "shpss_"),
    _token("Vault token", r"hv[sb]\.[A-Za-z0-9_-]{24,}", "hvs.", "hvb."),
    _token("Terraform token", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}", ".atlasv1."),
    _token("Grafana token", r"gl(?:sa|c)_[A-Za-z0-9+/=_]{32,}", "glsa_", "glc_"),
    _token("New Relic key", r"NRAK-[A-Z0-9]{27}", "NRAK-"),
    _token("RubyGems key", r"rubygems_[a-f0-9]{48}", "rubygems_"),
    _token("Pulumi token", r"pul-[a-f0-9]{40}", "pul-"),
    _token("Linear key", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}", "lin_api_", "lin_oauth_"),
    _token("Postman key", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", "PMAK-"),
    _token("Square token", r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}", "sq0atp-", "sq0csp-"),
    _token("OpenRouter key", r"sk-or-v1-[a-f0-9]{64}", "sk-or-v1-"),
    _token("Groq key", r"gsk_[A-Za-z0-9]{52}", "gsk_"),
    _token("xAI key", r"xai-[A-Za-z0-9]{80}", "xai-"),
    _token("Perplexity key", r"pplx-[A-Za-z0-9]{48}", "pplx-"),
    _token("Replicate token", r"r8_[A-Za-z0-9]{37}", "r8_"),
    _token("NVIDIA key", r"nvapi-[A-Za-z0-9_-]{60,70}", "nvapi-"),
    _token("LangSmith key", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}", "lsv2_pt_", "lsv2_sk_"),
    _token("Langfuse key", r"sk-lf-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}", "sk-lf-"),
    _token("Tavily key", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}", "tvly-"),
    _token("Pinecone key", r"pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{60,70}", "pcsk_"),
    _token("Notion token", r"ntn_\d{11}[A-Za-z0-9]{35}", "ntn_"),
    _token("Atlassian token", r"ATATT3[A-Za-z0-9_-]{180,200}=[A-F0-9]{8}", "ATATT3"),
    _token("Sentry token", r"sntry[us]_[A-Za-z0-9+/=_-]{40,400}", "sntrys_", "sntryu_"),
    _token("Supabase token", r"sbp_[a-f0-9]{40}", "sbp_"),
    _token("Figma token", r"figd_[A-Za-z0-9_-]{40}", "figd_"),
    _token("Doppler token", r"dp\.pt\.[A-Za-z0-9]{43}", "dp.pt."),
    _token("PlanetScale token", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{32,64}", "pscale_"),
    _token("PostHog key", r"phx_[A-Za-z0-9]{40,60}", "phx_"),
    _token("HubSpot token", r"pat-(?:na|eu)\d-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}", "pat-na", "pat-eu"),
    _token("CircleCI token", r"CCIPAT_[A-Za-z0-9]{22}_[a-f0-9]{40}", "CCIPAT_"),
    _token("Buildkite token", r"bkua_[a-f0-9]{40}", "bkua_"),
    _token("Netlify token", r"nfp_[A-Za-z0-9]{36}", "nfp_"),
    _token("Twilio key", r"SK[0-9a-f]{32}", *(f"SK{digit}" for digit in "0123456789abcdef")),
    SecretPattern("Telegram token", (b":AA",), re.compile(rb"(?<!\d)\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])")),
    SecretPattern("Azure storage key", (b"AccountKey=",), re.compile(rb"AccountKey=[A-Za-z0-9+/]{86}==")),
    SecretPattern("private key", (b"LS0tLS1CRUdJTi",), _ENCODED_KEY),
    SecretPattern("AWS secret key", (b"ecret", b"SECRET"), _AWS_SECRET),
    SecretPattern("password of a netrc", (b"machine",), _NETRC_LINE),
    SecretPattern("password in an address", (b"://",), _ADDRESS_PASSWORD),
    SecretPattern("registry password", (b":_password=", b":_auth"), _REGISTRY_PASSWORD),
    _token(UNCERTAIN_KIND, r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1000}", "eyJ"),
)  # fmt: skip

_ANCHORS = [(anchor, pattern) for pattern in PATTERNS for anchor in pattern.anchors]
_OF_TOKENS = [(anchor, pattern) for anchor, pattern in _ANCHORS if pattern.is_token]
_OF_OTHERS = [(anchor, pattern) for anchor, pattern in _ANCHORS if not pattern.is_token]

_PLACEHOLDER = re.compile(
    rb"example|xxxx|your[-_]|\.{3}|Eby8vdM02xNOcqFlqUwJ|C2y6yDjf5/R\+ob0N8A7C", re.IGNORECASE
)
"""The last two begin the keys of Azure's emulators. Microsoft documents them, and tests contain them."""
_LETTER_AND_DIGIT = re.compile(rb"(?=.*[A-Za-z])(?=.*[0-9])", re.DOTALL)
"""Passwords of samples, such as `postgres:postgres`, rarely have both."""
_MIN_DISTINCT = 8
"""Fewer different characters are a placeholder, too, such as `ghp_000`."""


def find_secrets(content: bytes) -> set[str]:
    """Return the kinds of secrets in *content*. What is obviously a placeholder does not count."""
    runs = _long_runs(content)
    candidates = {pattern for anchor, pattern in _OF_TOKENS if anchor in runs}
    candidates.update(pattern for anchor, pattern in _OF_OTHERS if anchor in content)
    return {pattern.kind for pattern in candidates if _has_secret(pattern, content)}


_RUN_LENGTH, _LAST_ASCII = 20, 0x7F
_RUN = b"x" * _RUN_LENGTH
_MASK = bytes(
    ord("x") if (chr(code).isalnum() and code <= _LAST_ASCII) or chr(code) in "._-" else ord(" ")
    for code in range(256)
)


def _long_runs(content: bytes) -> bytes:
    """Return the runs of word characters in *content* that are long enough for a token, with spaces between them.

    A search for one long text takes a tenth of the time of a search for each of the many short anchors.
    """
    mask = content.translate(_MASK)
    runs: list[bytes] = []
    end = 0
    while (hit := mask.find(_RUN, end)) >= 0:
        end = mask.find(b" ", hit)
        end = len(mask) if end < 0 else end
        runs.append(content[hit:end])
    return b" ".join(runs)


def _has_secret(pattern: SecretPattern, content: bytes) -> bool:
    secrets = (match[match.lastindex or 0] for match in pattern.pattern.finditer(content))
    return any(_is_credible(secret, pattern.kind) for secret in secrets)


def _is_credible(secret: bytes, kind: str) -> bool:
    if kind == "private key":
        return True
    if kind == "password in an address" and not _LETTER_AND_DIGIT.match(secret):
        return False
    has_variety = len(set(secret)) >= _MIN_DISTINCT
    return has_variety and not _PLACEHOLDER.search(secret)
