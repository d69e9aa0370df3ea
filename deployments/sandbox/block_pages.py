"""Pages that come in place of an answer: captchas, consent walls, unusual traffic. Written for the sandbox."""

from deployments.sandbox.protocol import Answer, page

CHALLENGE = """<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title>
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8"><meta name="robots" content="noindex,nofollow">
</head><body><div class="main-wrapper" role="main"><div class="main-content"><h1>{host}</h1>
<p>Checking if the site connection is secure. Enable JavaScript and cookies to continue</p>
<div id="challenge-error-text"></div></div></div><script>(function(){{window._cf_chl_opt={{cvId:'3',cZone:'{host}'}};
var a=document.createElement('script');a.src='/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1';}}());</script>
</body></html>"""
ROBOT = """<!DOCTYPE html><html><head><title>Access denied</title></head><body><h1>Are you a robot?</h1>
<p>Please complete the captcha to go on.</p><div class="g-recaptcha" data-sitekey="sandbox"></div></body></html>"""
TRAFFIC = """<html><head><title>Sorry...</title></head><body><div><b>Our systems have detected unusual traffic from
your computer network.</b> This page checks to see if it's really you sending the requests, and not a robot.
<form id="captcha-form" action="index" method="post"><div id="recaptcha" class="g-recaptcha"></div></form></div>
</body></html>"""
HOSTS = {
    "spotify": "api.spotify.com",
    "lastfm": "ws.audioscrobbler.com",
    "genius": "genius.com",
    "tmdb": "themoviedb.org",
}


def blocked(service: str, vary: float) -> Answer:
    """A block page of that service: with the status of an error, or, for half of `vary` in [0, 1), with HTTP 200."""
    quiet = vary < 0.5
    if service == "youtube":
        return page(200 if quiet else 429, TRAFFIC)
    if service == "media":
        return page(200 if quiet else 403, ROBOT)
    challenge = CHALLENGE.format(host=HOSTS.get(service, "sandbox"))
    if quiet:
        return page(200, challenge)
    return page(403, challenge, **{"cf-mitigated": "challenge", "Server": "cloudflare"})
