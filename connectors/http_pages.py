"""Pages that come in place of an answer: captchas, consent forms, "are you a robot". They are never data."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

# Said by block pages; a usual page may say one too (Genius loads reCAPTCHA for its comments), hence `_FEW_WORDS`.
_SIGNS: dict[str, tuple[str, ...]] = {
    "captcha": ("captcha", "are you a robot", "not a robot", "verify you are human", "verifying you are human"),
    "Cloudflare": ("_cf_chl_opt", "cf-chl", "cf-browser-verification", "attention required! | cloudflare", "cf-error-"),
    "a check of the browser": ("just a moment", "checking your browser", "ddos-guard", "enable javascript and cookies"),
    "unusual traffic": ("unusual traffic", "automated queries", "automated requests", "/sorry/index"),
    "consent": ("consent.youtube", "consent.google", "before you continue", "cookie consent required"),
    "a bot wall": ("px-captcha", "captcha-delivery.com", "incapsula", "imperva", "perimeterx", "akamai reference"),
    "a refusal": ("access denied", "access to this page has been denied", "you have been blocked", "request blocked"),
}
# Only in answers themselves. YouTube's pages show no words at all before their scripts run, Genius' pages of
# instrumentals show few, and both speak of captchas in their scripts.
_ANSWERS = (b"lyricsplaceholder__", b"data-lyrics-container", b"lyrics__container", b'class="lyrics"', b"ytinitialdata")
_FEW_WORDS = 4_000  # characters that a reader sees; a page with an article, lyrics or a list has more
_CONSENT_HOSTS = ("consent.youtube.com", "consent.google.com")
_UNSEEN = re.compile(rb"(?is)<(script|style|noscript|template|svg)\b.*?(</\1\s*>|\Z)|<!--.*?-->|<[^>]*>")
_HTML = re.compile(
    rb"(?is)\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b"
)


def is_html(content_type: str, start: bytes) -> bool:
    """Whether a body is a web page, by its first bytes or, failing these, by what its header says."""
    return bool(_HTML.match(start[:2_000])) or content_type.partition(";")[0].strip().lower() == "text/html"


def block_of(url: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """Why this answer is a block page, in a few words; None where it is none.

    Args:
        url: Where the answer came from, after redirects.
        headers: Of the answer; names in any case.
        body: Of the answer, decoded.
    """
    parts, said = urlsplit(url), {name.lower(): value for name, value in headers.items()}
    if "cf-mitigated" in said:  # Cloudflare's own word, on every challenge (developers.cloudflare.com, 2026-11)
        return "Cloudflare"
    if (parts.hostname or "") in _CONSENT_HOSTS:
        return "consent"
    if (parts.hostname or "").endswith("google.com") and parts.path.startswith("/sorry/"):
        return "unusual traffic"
    if not is_html(said.get("content-type", ""), body):
        return None
    text = body.lower()
    if any(mark in text for mark in _ANSWERS):
        return None
    text = text[:400_000]
    for name, signs in _SIGNS.items():
        if any(sign.encode() in text for sign in signs):
            return name if _seen(body) < _FEW_WORDS else None
    return None


def _seen(body: bytes) -> int:
    """How many characters of a page a reader sees."""
    return len(b" ".join(_UNSEEN.sub(b" ", body).split()))
