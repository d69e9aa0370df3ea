"""One process that speaks the protocols of all sources on the loopback address, over HTTP and HTTPS."""

import json
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from deployments.sandbox.block_pages import blocked
from deployments.sandbox.faults import Faults, Kind, draw, parse_faults
from deployments.sandbox.protocol import SECRET_NAMES, Answer, Ask, Service, digest
from deployments.sandbox.request_log import RequestLog

HOST = "127.0.0.1"
_FORM_BYTES = 1 << 20  # no client of ours sends more


class Sandbox:
    """A running sandbox; use it as a context manager, or call `close`."""

    def __init__(
        self, services: Mapping[str, Service], faults: Faults, *, port: int = 0, log: Path | None = None
    ) -> None:
        self.services = services
        self.faults = faults
        self.log = RequestLog(log)
        self._days_skipped = 0
        self._folder = tempfile.TemporaryDirectory(prefix="mediateca-sandbox-")
        self.ca_file = Path(self._folder.name) / "ca.pem"
        self._plain = _Server((HOST, port), self, "http")
        self._secure = _Server((HOST, port and port + 1), self, "https")
        self._secure.socket = _tls(self.ca_file).wrap_socket(
            self._secure.socket, server_side=True, do_handshake_on_connect=False
        )
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
            for server in (self._plain, self._secure)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is reached without TLS."""
        return f"http://{HOST}:{self._plain.server_address[1]}"

    @property
    def secure_url(self) -> str:
        """Where it is reached over TLS, with the certificate authority of `ca_file`."""
        return f"https://{HOST}:{self._secure.server_address[1]}"

    @property
    def day(self) -> int:
        """The number of the day that quotas count by."""
        return int(time.time() / self.faults.day_s) + self._days_skipped

    def next_day(self) -> None:
        """Renew all quotas, as midnight does."""
        self._days_skipped += 1

    def day_left_s(self) -> int:
        """Whole seconds until quotas are renewed."""
        return int(self.faults.day_s - time.time() % self.faults.day_s) + 1

    def close(self) -> None:
        """Stop serving."""
        for server in (self._plain, self._secure):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()
        self.log.close()
        self._folder.cleanup()


def _tls(ca_file: Path) -> ssl.SSLContext:
    """A certificate for the loopback address; its authority, made for this run alone, is written to `ca_file`."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(ca_file))
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Sandbox, scheme: str) -> None:
        self.sandbox = sandbox
        self.scheme = scheme
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or do not trust the certificate, are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # headers and body leave together
    timeout = 120  # of a connection that nobody uses

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request line may hold a key, and `RequestLog` counts without."""

    @property
    def _home(self) -> Sandbox:
        return cast("_Server", self.server).sandbox

    def _respond(self) -> None:
        home = self._home
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, _FORM_BYTES))
        url = urlsplit(self.path)
        name, _, rest = url.path.lstrip("/").partition("/")
        if name == "sandbox":
            self._send(_manage(home, self.command, rest, body))
            return
        service = home.services.get(name)
        if service is None:
            self._send(Answer(status=404, payload={"error": f"no service '{name}'", "known": sorted(home.services)}))
            return
        headers = {key.lower(): value for key, value in self.headers.items()}
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            query |= parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        root = f"{cast('_Server', self.server).scheme}://{headers.get('host', HOST)}"
        ask = Ask(
            method=self.command,
            path=f"/{rest}",
            query=query,
            headers=headers,
            root=root,
            switches=home.faults.switches(),
        )
        self._serve(home, service, ask)

    def _serve(self, home: Sandbox, service: Service, ask: Ask) -> None:
        """Answer, or do what a fault says in place of it."""
        faults, label = home.faults, service.label(ask)
        limits, credential = faults.of(service.name), digest(service.credential(ask))
        if over := home.log.admit(service.name, credential, home.day, limits.per_day, limits.per_second):
            answer = service.refuse(ask, 429, {"Retry-After": "1" if over == "second" else str(home.day_left_s())})
            self._send(answer, service.name, label, "over_quota")
            return
        question = _question(service.name, ask)
        fault, vary = draw(faults, service.name, question, home.log.attempt(question))
        time.sleep(faults.latency_s)
        if fault == "timeout":
            home.log.add(service.name, label, 0, fault, 0)
            time.sleep(faults.timeout_s)
            self.close_connection = True
            return
        answer = _answer(service, ask, faults, fault, vary)
        self._send(answer, service.name, label, fault)

    def _send(self, answer: Answer, service: str = "sandbox", label: str = "", fault: str = "none") -> None:
        content = answer.content()
        with suppress(OSError):  # who hangs up is no news
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(content)))
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if fault == "truncated" else content)
            self.wfile.flush()
        if fault == "truncated":
            self.close_connection = True
        if service != "sandbox":
            self._home.log.add(service, label, answer.status, fault, len(content))


def _question(service: str, ask: Ask) -> str:
    """The request as text, without secrets: the same question is the same text."""
    query = sorted((key, value) for key, value in ask.query.items() if key not in SECRET_NAMES)
    asked = ask.headers.get("range", "")
    return f"{service} {ask.method} {ask.path} {json.dumps(query)} {asked}"


def _answer(service: Service, ask: Ask, faults: Faults, fault: Kind, vary: float) -> Answer:
    match fault:
        case "error":
            return service.refuse(ask, (500, 502, 503)[int(3 * vary)], {})
        case "limited":
            return service.refuse(ask, 429, {"Retry-After": str(faults.retry_after_s)})
        case "limited_bare":
            return service.refuse(ask, 429, {})
        case "blocked":
            return blocked(service.name, vary)
        case "drift":
            said = service.answer(ask)
            return replace(said, payload=drifted(said.payload, service.drifting)) if said.body is None else said
        case "wrong":
            return service.answer(replace(ask, wrong=True))
        case _:
            return service.answer(ask)


def drifted(payload: Any, names: tuple[str, ...]) -> Any:
    """A copy in which these fields have other names, beside one that nobody knows."""
    if isinstance(payload, dict):
        fields = cast("dict[str, Any]", payload)
        said = {f"{key}_v2" if key in names else key: drifted(value, names) for key, value in fields.items()}
        return {**said, "sandbox_new_field": True} if said.keys() != fields.keys() else said
    if isinstance(payload, list):
        return [drifted(value, names) for value in cast("list[Any]", payload)]
    return payload


def _manage(home: Sandbox, method: str, path: str, body: bytes) -> Answer:
    """Look at the sandbox, or change it, over HTTP: `GET log`, `POST faults`, `POST day`, `POST clear`."""
    match (method, path):
        case ("GET", "log"):
            return Answer(payload={**home.log.report(), "day": home.day})
        case ("GET", "faults"):
            return Answer(payload=home.faults.model_dump(mode="json"))
        case ("POST", "faults"):
            try:
                home.faults = parse_faults(body.decode("utf-8", "replace"), "the posted faults")
            except ValueError as bad:
                return Answer(status=400, payload={"error": str(bad)})
            return Answer(payload=home.faults.model_dump(mode="json"))
        case ("POST", "day"):
            home.next_day()
            return Answer(payload={"day": home.day})
        case ("POST", "clear"):
            home.log.clear()
            return Answer(payload={})
        case _:
            return Answer(status=404, payload={"error": "GET log, GET faults, POST faults, POST day, POST clear"})
