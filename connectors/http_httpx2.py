"""pylast's way under the policy: a transport for httpx2 whose requests are sent by the policy's own session."""

from typing import TYPE_CHECKING

import httpx2

from connectors.http_requests import PolicySession

if TYPE_CHECKING:
    from connectors.http import Policy

_OURS = ("host", "connection", "accept-encoding", "content-length", "transfer-encoding")


class PolicyTransport(httpx2.BaseTransport):
    """Last.fm says what went wrong in bodies under 400, 403 and 404, which pylast reads: those it gets as they came.

    `close` does nothing: pylast makes a client, and closes it, for each request.
    """

    def __init__(self, policy: "Policy") -> None:
        self.session = PolicySession(policy, passes=lambda status: 400 <= status < 500 and status != 429)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; redirects are the client's to follow.

        Raises:
            ConnectorError: As `Policy` says; pylast wraps it (`connectors.errors.cause_of` finds it again).
        """
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OURS}
        body = request.read() or None
        response = self.session.request(
            request.method, str(request.url), data=body, headers=headers, allow_redirects=False
        )
        return httpx2.Response(
            response.status_code, headers=dict(response.headers), content=response.content, request=request
        )
