"""For tests of live connectors, ours and yours: what is asked is matched, what is answered is played back.

A cassette is a JSON file of exchanges `{"ask": "GET /v1/tracks/x?market=SE", "status": 200, "headers": {}, "body": x}`;
`body` is JSON, or text as it is. Asks are compared by method, path and parameters (of query and form together, without
keys and tokens). An exchange answers once, the last of those with the same ask as often as it is asked. Its first
exchange may say in `provenance` where the answers are from.
"""

import io
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from requests import PreparedRequest, Response
from urllib3 import HTTPResponse

from connectors.errors import ConnectorError
from connectors.http import Policy, PolicySettings
from connectors.http_answers import Answer
from connectors.http_httpx2 import PolicyTransport
from connectors.http_requests import PolicyAdapter, PolicySession

SECRET = "s3cr3t-0123456789abcdef"
"""A key to connect with; no test should find it in an error, an address or a log."""
Judge = Callable[[Answer], ConnectorError | None]
UNTOLD = {"api_key", "client_secret"}


class Unrecorded(BaseException):
    """A question that the cassette does not know; no `except Exception` of a client library turns it into another."""


class Cassette(Policy):
    """A policy whose wire is a list of exchanges; all the rest of it is real."""

    def __init__(
        self,
        source: str,
        exchanges: Sequence[Mapping[str, Any]] = (),
        judge: Judge | None = None,
        ledger: Path | None = None,
        **limits: Any,
    ) -> None:
        if ledger is None:  # not the user's own: what is asked here reaches nobody
            folder = tempfile.mkdtemp(prefix="mediateca-cassette-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            ledger = Path(folder) / "quota.sqlite"
        super().__init__(source, PolicySettings(backoff_s=0, **limits), secrets=[SECRET], judge=judge, ledger=ledger)
        self.left = list(exchanges)
        self.asked: list[str] = []
        self.last: dict[str, Mapping[str, Any]] = {}

    @classmethod
    def read(cls, source: str, path: Path, judge: Judge | None = None) -> Self:
        """The cassette in a file."""
        return cls(source, json.loads(path.read_text(encoding="utf-8")), judge)

    def answer(self, method: str, url: str, form: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for what was asked; `Unrecorded` where no exchange matches."""
        parts = urlsplit(url)
        pairs = sorted((k, v) for k, v in parse_qsl(parts.query, True) + parse_qsl(form, True) if k not in UNTOLD)
        ask = f"{method} {unquote(parts.path)}{'?' if pairs else ''}{unquote(urlencode(pairs)).replace('+', ' ')}"
        self.asked.append(ask)
        found = next((e for e in self.left if _plain(e["ask"]) == ask), None)
        if found is not None:
            self.left.remove(found)
        found = self.last[ask] = found or self.last.get(ask) or {}
        if not found:
            raise Unrecorded(f"nothing was recorded for '{ask}'; left: {[e['ask'] for e in self.left]}")
        body = found.get("body", "")
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/plain" if isinstance(body, str) else "application/json"
        return found.get("status", 200), {"Content-Type": kind, **found.get("headers", {})}, data

    def session(self) -> PolicySession:
        """As the base class, over the exchanges."""
        return self._wired(PolicySession(self))

    def adapter(self) -> PolicyAdapter:
        """As the base class, over the exchanges."""
        return self.session().policy_adapter

    def transport(self) -> PolicyTransport:
        """As the base class, over the exchanges."""
        transport = PolicyTransport(self)
        self._wired(transport.session)
        return transport

    def _own(self) -> PolicySession:
        return self._wired(super()._own())

    def _wired(self, session: PolicySession) -> PolicySession:
        adapter = session.policy_adapter

        def play(request: PreparedRequest, proxies: Any = None) -> Response:
            form = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
            status, headers, body = self.answer(str(request.method), str(request.url), form)
            raw = HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)
            return adapter.build_response(request, raw)

        adapter.open = play  # type: ignore[method-assign]
        return session


def _plain(ask: str) -> str:
    """The ask with its parameters in order."""
    path, _, query = ask.partition("?")
    return path + ("?" + "&".join(sorted(query.split("&"))) if query else "")
