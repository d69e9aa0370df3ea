"""Block pages are told from pages of data."""

import pytest

from connectors.http_pages import block_of, is_html
from deployments.sandbox.block_pages import blocked

URL = "https://genius.com/ada-somnia-lyrics"
CLOUDFLARE = """<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body>
<noscript>Enable JavaScript and cookies to continue</noscript>
<script>(function(){window._cf_chl_opt = {cvId: '3'};}());</script></body></html>"""
CONSENT = """<!doctype html><html><head><title>Before you continue to YouTube</title></head><body>
<form action="https://consent.youtube.com/save"><button>Accept all</button></form></body></html>"""
SORRY = """<html><head><title>https://www.google.com/search</title></head><body>
<div>Our systems have detected unusual traffic from your computer network.</div></body></html>"""
LYRICS = "<div>" + "A line of a song that was made up for this test.<br>" * 200 + "</div>"


def kind(body: str, url: str = URL, **headers: str) -> str | None:
    said = {"Content-Type": "text/html; charset=utf-8"} | {n.replace("_", "-"): v for n, v in headers.items()}
    return block_of(url, said, body.encode())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (CLOUDFLARE, "Cloudflare"),
        (CONSENT, "consent"),
        (SORRY, "unusual traffic"),
        ("<html><title>Are you a robot?</title>Please verify", "captcha"),
        ("<html><body><div class='h-captcha'></div></body></html>", "captcha"),
        ("<html><script src='https://geo.captcha-delivery.com/c.js'></script>", "captcha"),
        ("<html><title>Access Denied</title>You don't have permission", "a refusal"),
        ("\n<!-- x --><html><title>Attention Required! | Cloudflare</title>", "Cloudflare"),
    ],
)
def test_block_pages_are_seen(body: str, said: str) -> None:
    assert kind(body) == said
    assert block_of(URL, {}, body.encode()) == said  # whatever the header says, or does not


@pytest.mark.parametrize(
    "body",
    [
        "<!doctype html><title>Ada - Captcha (Are You a Robot) Lyrics</title><script src='/recaptcha.js'></script>"
        + LYRICS,
        "<!doctype html><title>Ada - Before You Continue</title>" + LYRICS,
        "<html><head><script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script></head><p>Hi",
        "<html><body>Nothing of the kind</body></html>",
    ],
)
def test_pages_that_mention_them_are_data(body: str) -> None:
    assert kind(body) is None


def test_an_answer_that_is_no_page_is_data() -> None:
    body = b'{"title": "Captcha", "lyrics": "just a moment, are you a robot"}'
    assert block_of(URL, {"content-type": "application/json"}, body) is None
    assert not is_html("application/json", body)


def test_where_an_answer_comes_from_may_be_enough() -> None:
    assert kind("<html>Hallo", url="https://consent.youtube.com/m?continue=x") == "consent"
    assert kind("<html>Hallo", url="https://www.google.com/sorry/index?q=x") == "unusual traffic"
    assert kind("{}", cf_mitigated="challenge") == "Cloudflare"


@pytest.mark.parametrize("service", ["spotify", "lastfm", "genius", "tmdb", "youtube", "media"])
@pytest.mark.parametrize("vary", [0.1, 0.9])
def test_the_sandbox_s_block_pages_are_seen(service: str, vary: float) -> None:
    page = blocked(service, vary)
    assert block_of(URL, {"content-type": page.kind, **page.headers}, page.content())
