"""Media from a source's own hosts: whole, or an error."""

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from requests import Response

from connectors.errors import BlockedPage, PermanentError, TransientError
from connectors.http_answers import Answer
from connectors.http_hosts import refusal
from connectors.http_pages import is_html

if TYPE_CHECKING:
    from connectors.http import Policy
    from connectors.http_requests import PolicySession

_HOPS = 5


def download(policy: "Policy", session: "PolicySession", url: str) -> bytes:
    """One try of `Policy.download`."""
    response, final = _followed(policy, session, url)
    body = b"".join(session.policy_adapter.read(response))
    if response.status_code >= 400:
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(method="GET", url=final, status=response.status_code, headers=headers, body=body)
        raise policy.judge(answer) or policy.error(PermanentError, f"{policy.redact(final)} failed", final)
    if is_html(response.headers.get("Content-Type", ""), body):
        raise policy.error(BlockedPage, f"{policy.redact(final)} is a web page, not media; try again tomorrow", final)
    if not body:
        raise policy.error(TransientError, f"{policy.redact(final)} came empty; try again later", final)
    return body


def _followed(policy: "Policy", session: "PolicySession", url: str) -> tuple[Response, str]:
    """The response after redirects, each to a host that is allowed."""
    hosts = policy.settings.hosts
    for _ in range(_HOPS):
        if why := refusal(url, hosts, any_public=not hosts):
            raise policy.error(PermanentError, f"{policy.redact(url)} is not fetched: {why}", url)
        policy.count(url, media=True)
        # Media are compressed as they are; a size that is known lets a cut file be seen.
        response = session.open_media(url, {"Accept-Encoding": "identity", "User-Agent": policy.user_agent})
        target = response.headers.get("Location") if response.is_redirect else None
        if target is None:
            return response, url
        response.raw.close()
        try:
            url = urljoin(url, target)
        except ValueError:
            url = target  # no address: refused above
    raise policy.error(PermanentError, f"{policy.redact(url)} redirects more than {_HOPS} times", url)
