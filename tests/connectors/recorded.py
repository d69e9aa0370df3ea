"""A policy that answers from recordings: the network of the connector tests."""

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
import yaml
from requests.adapters import BaseAdapter
from yt_dlp import YoutubeDL
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError

from connectors.errors import AuthError, NotFound, PermanentError, QuotaExceeded, TransientError

CASSETTES = Path(__file__).parent / "cassettes"
SECRET = re.compile(r"((?:api_key|access_token|client_secret)=)[^&\s]+")


@dataclass
class Recorded:
    """Answers by method and address (query parameters in any order, keys left out); what is not recorded fails."""

    name: str
    said: dict[tuple[str, str], list[tuple[int, bytes]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # every address, as it went out
    headers: list[Mapping[str, str]] = field(default_factory=list)
    rest: tuple[int, bytes] | None = None  # the answer to everything that is not recorded

    def answer(self, method: str, url: str, status: int, body: Any) -> "Recorded":
        raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.said.setdefault((method, _bare(url)), []).append((status, raw))
        return self

    def play(self, method: str, url: str) -> tuple[int, bytes]:
        """The next answer; the last one stays."""
        self.asked.append(url)
        answers = self.said.get((method, _bare(url)))
        if not answers and self.rest:
            return self.rest
        if not answers:
            raise LookupError(f"{self.name}: nothing recorded for {method} {_bare(url)}; known: {sorted(self.said)}")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    # --- the policy's own face

    def adapter(self) -> BaseAdapter:
        return _Adapter(self)

    def get_json(
        self, url: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, str]:
        self.headers.append(dict(headers or {}))
        full = f"{url}?{urlencode(params)}" if params else url
        status, body = self.play("GET", full)
        return status, json.loads(body), self.redact(full)

    def youtube_dl(self, options: dict[str, Any]) -> YoutubeDL:
        return _Downloader(options, self)

    def download(self, url: str) -> bytes:
        return self.play("GET", url)[1]

    def redact(self, text: str) -> str:
        return SECRET.sub(r"\1REDACTED", text)

    def close(self) -> None:
        self.said.clear()


def cassette(name: str) -> Recorded:
    """The recordings of one service: `cassettes/NAME.yaml`, a list of method, url, status, body."""
    policy = Recorded(name)
    for one in yaml.safe_load((CASSETTES / f"{name}.yaml").read_text(encoding="utf-8")):
        policy.answer(one.get("method", "GET"), one["url"], one["status"], one["body"])
    return policy


def _bare(url: str) -> str:
    parts = urlsplit(url)
    query = sorted((k, v) for k, v in parse_qsl(parts.query) if k not in ("api_key", "prettyPrint", "key"))
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{urlencode(query)}" if query else "")


def _raised(name: str, status: int, url: str) -> None:
    """As the policy does."""
    kinds: dict[int, Callable[..., Exception]] = {401: AuthError, 403: AuthError, 404: NotFound, 429: QuotaExceeded}
    if status >= 400:
        kind = kinds.get(status, TransientError if status >= 500 else PermanentError)
        raise kind(f"{name}: HTTP {status}", source=name, url=url, status=status)


class _Adapter(BaseAdapter):
    def __init__(self, policy: Recorded) -> None:
        super().__init__()
        self.policy = policy

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.policy.headers.append(dict(request.headers))
        status, body = self.policy.play(request.method or "GET", request.url or "")
        _raised(self.policy.name, status, self.policy.redact(request.url or ""))
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url or "", request
        response.raw = io.BytesIO(body)
        response.headers["Content-Type"] = "text/html" if body.lstrip()[:1] == b"<" else "application/json"
        return response

    def close(self) -> None:
        pass


class Silence:
    def debug(self, message: str) -> None:
        pass

    info = warning = error = debug


class _Downloader(YoutubeDL):
    def __init__(self, options: dict[str, Any], policy: Recorded) -> None:
        self.policy = policy
        super().__init__({"quiet": True, "logger": Silence(), **options}, auto_init=False)

    def urlopen(self, req: Any) -> Response:
        method = "GET" if isinstance(req, str) else req.method
        url = req if isinstance(req, str) else req.url
        asked = json.loads(req.data) if not isinstance(req, str) and req.data else {}
        told = asked.get("videoId") or asked.get("query")  # what a POST asks for is in its body
        status, body = self.policy.play(method, f"{url.split('?')[0]}?{urlencode({'asks': told})}" if told else url)
        headers = {"Content-Length": str(len(body))}
        response = Response(io.BytesIO(body), url, headers, status=status)
        if status >= 400:
            raise HTTPError(response)
        return response
