"""A small web server for tests: each request is answered by the next step of its path's script."""

import threading
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Step = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Web:
    """What the server was asked, and what it says; the last step of a script is repeated."""

    url: str = ""
    scripts: dict[str, list[Step]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # path and query of each request, in order
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def says(self, path: str, *steps: Step) -> str:
        self.scripts[path] = list(steps)
        return f"{self.url}{path}"

    def times(self, path: str) -> int:
        return sum(urlsplit(asked).path == path for asked in self.asked)


def reply(body: bytes | str = b"{}", status: int = 200, length: int | None = None, **headers: str) -> Step:
    data = body.encode() if isinstance(body, str) else body

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"content_type": "application/json"} | headers).items():
            handler.send_header(name.replace("_", "-").title(), value)
        handler.send_header("Content-Length", str(len(data) if length is None else length))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    return step


def page(text: str, status: int = 200, **headers: str) -> Step:
    return reply(text, status, **{"content_type": "text/html; charset=utf-8"} | headers)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


@contextmanager
def served(tls: Any = None) -> Generator[Web]:
    web, counts = Web(), defaultdict[str, int](int)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with web.lock:
                web.asked.append(self.path)
                web.headers.append({name.lower(): value for name, value in self.headers.items()})
                web.bodies.append(body)
                steps = web.scripts.get(path) or [reply(status=404)]
                step = steps[min(counts[path], len(steps) - 1)]
                counts[path] += 1
            try:
                step(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_GET = do_POST = do_HEAD = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hangs up is part of many tests

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    web.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
