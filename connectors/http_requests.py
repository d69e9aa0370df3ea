"""The engine under all clients: one request with requests, counted, read to its end, judged, and tried again."""

import os
import ssl
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy
from urllib3 import Timeout
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import SSLError as Urllib3SSLError
from urllib3.exceptions import TimeoutError as Urllib3Timeout
from urllib3.util import parse_url

from connectors.errors import ConnectorError, PermanentError, TooLarge, TransientError
from connectors.http_answers import Answer, inflated
from connectors.http_hosts import refusal

if TYPE_CHECKING:
    from connectors.http import Policy

_BLOCK = 1 << 16
_AS_IT_COMES: Any = {"redirect": False, "assert_same_host": False, "preload_content": False, "decode_content": False}
_POOL = 32  # connections kept open to one host


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trusts the authorities of the system, certifi, REQUESTS_CA_BUNDLE and `ca_file`; one for all that trust the same.

    Raises:
        OSError: `ca_file` cannot be read.
    """
    return _tls_context(ca_file, os.stat(ca_file).st_mtime_ns if ca_file else 0)


@cache  # loading the authorities took 0.3 s on two busy cores (2026-11), and a connector has several adapters
def _tls_context(ca_file: str | None, changed_ns: int) -> ssl.SSLContext:
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")  # a company's proxy has its own
    for file in (bundle, ca_file):
        if file and (file == ca_file or os.path.isfile(file)):
            context.load_verify_locations(cafile=file)
    return context


class PolicyAdapter(HTTPAdapter):
    """Sends what a `requests.Session` asks for, by the policy's rules; raises `ConnectorError` only.

    Args:
        policy: Whose rules.
        passes: Which failures, by status, the client library reads for itself.
    """

    def __init__(self, policy: "Policy", passes: Callable[[int], bool] | None = None) -> None:
        self._policy, self._passes = policy, passes or (lambda status: False)
        self._tls = tls_context(policy.settings.ca_file)
        super().__init__(pool_connections=_POOL, pool_maxsize=_POOL, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As the base class does, with our authorities."""
        super().init_poolmanager(*args, **options, ssl_context=self._tls)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """As the base class does, with our authorities."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self._tls)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection to its TLS context, which always verifies, whatever a library asks for."""

    def send(self, request: PreparedRequest, stream: bool = False, timeout: Any = None, *args: Any, **kw: Any) -> Any:
        """The response, its body read and decompressed.

        Raises:
            ConnectorError: As `Policy` says, after its retries.
        """
        proxies = kw.get("proxies")
        request.headers["Accept-Encoding"] = "gzip, deflate"
        self._policy.learn(request.headers)
        # Everything here reads: a POST is a question too (pylast, InnerTube, a token), safe to ask twice.
        safe = request.method in ("GET", "HEAD", "OPTIONS", "POST") and isinstance(request.body, bytes | str | None)
        return self._policy.persist(lambda: self._once(request, proxies), safe=safe)

    def _once(self, request: PreparedRequest, proxies: Any) -> Response:
        self._policy.count(request.url or "")
        response = self.open(request, proxies)
        body = b"" if request.method == "HEAD" else b"".join(self.read(response))
        answer = Answer(
            method=request.method or "GET",
            url=response.url,
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
        )
        error = self._policy.judge(answer)
        if error is not None and not (isinstance(error, PermanentError) and self._passes(answer.status)):
            raise error
        response._content, response._content_consumed = body, True  # type: ignore[attr-defined]
        response.headers.pop("Content-Encoding", None)
        if request.method != "HEAD":
            response.headers["Content-Length"] = str(len(body))
        return response

    def open(self, request: PreparedRequest, proxies: Any = None) -> Response:
        """Send once; the response's body is not read.

        Raises:
            TransientError: It could not be reached, or no answer came in time.
            PermanentError: The request cannot be sent at all, or TLS refuses the host.
        """
        settings = self._policy.settings
        if settings.proxy:
            proxies = {"http": settings.proxy, "https": settings.proxy}
        try:
            # Not None: yt-dlp, once imported, puts its own `select_proxy` in requests, and that one wants a mapping.
            return super().send(request, stream=True, timeout=settings.timeout_s, proxies=proxies or {})
        except (requests.RequestException, Urllib3Error, OSError, ValueError) as exc:
            fault = exc
        # Outside of the handler: an error raised in it would carry the library's, whose text holds the whole URL.
        raise self._fault(request.method or "GET", request.url or "", fault)

    def open_media(self, url: str, headers: dict[str, str]) -> Response:
        """As `open`, a GET without cookies and proxies: what requests adds to urllib3 is a quarter of a cover's time.

        Raises:
            TransientError, PermanentError: As `open`.
        """
        wait = Timeout(self._policy.settings.timeout_s)
        try:
            said = parse_url(url)
            pool = self.poolmanager.connection_from_host(said.host, said.port, said.scheme)
            raw = pool.urlopen("GET", said.request_uri, headers=headers, timeout=wait, retries=False, **_AS_IT_COMES)
        except (Urllib3Error, OSError, ValueError) as exc:
            fault = exc
        else:
            response, request = Response(), PreparedRequest()
            request.method, request.url = "GET", url
            response.status_code, response.url, response.request = raw.status, url, request
            response.raw, response.headers = raw, CaseInsensitiveDict(raw.headers)
            return response
        raise self._fault("GET", url, fault)

    def _fault(self, method: str, url: str, fault: Exception) -> ConnectorError:
        policy, kind, todo = self._policy, TransientError, "try again later"
        if isinstance(fault, requests.Timeout | Urllib3Timeout) and not isinstance(fault, NewConnectionError):
            what = f"did not answer within {policy.settings.timeout_s:g} s"
        elif isinstance(fault, requests.exceptions.SSLError | Urllib3SSLError):
            kind, what, todo = PermanentError, "has no certificate that we trust", "set ca_file if it is your own"
        elif isinstance(fault, requests.ConnectionError | Urllib3Error | OSError) and not isinstance(fault, ValueError):
            what = f"could not be reached ({_innermost(fault)})"
        else:
            kind, what, todo = PermanentError, f"cannot be asked ({type(fault).__name__})", "look at its address"
        return policy.error(kind, f"{method} {policy.redact(url)} {what}; {todo}", url)

    def read(self, response: Response) -> Generator[bytes]:
        """The body, decompressed, piece by piece; the connection is given back at its end.

        Raises:
            TransientError: It ended too early, came too slowly, or is broken.
            TooLarge: It is larger than the policy takes.
        """
        fault, whole = None, False
        limit, encoding = self._policy.settings.size_bytes, response.headers.get("Content-Encoding", "")
        try:
            if int(response.headers.get("Content-Length") or 0) > limit:
                raise OverflowError
            yield from inflated(self._raw(response), encoding, limit)
            whole = True
        except (Urllib3Error, OSError, EOFError, OverflowError, ValueError, zlib.error) as exc:
            fault = exc
        finally:
            # A connection whose answer was not read to its end cannot serve another request.
            response.raw.release_conn() if whole else response.raw.close()
        if fault is not None:
            raise self._cut(response, fault)

    def _raw(self, response: Response) -> Iterator[bytes]:
        deadline = time.monotonic() + self._policy.settings.total_s
        # `read1` gives what is there; `stream` would wait for a whole block, however slowly it drips in.
        while chunk := response.raw.read1(_BLOCK, decode_content=False):
            yield chunk
            if time.monotonic() > deadline:
                raise TimeoutError

    def _cut(self, response: Response, fault: Exception) -> ConnectorError:
        policy, method = self._policy, response.request.method
        said = f"{method} {policy.redact(response.url)}"
        if isinstance(fault, OverflowError):
            limit = policy.settings.size_bytes
            return policy.error(TooLarge, f"{said} is larger than {limit:,} bytes; nothing was kept", response.url)
        what = "took too long" if isinstance(fault, TimeoutError) else f"was cut off or is broken ({_innermost(fault)})"
        return policy.error(TransientError, f"the answer to {said} {what}; try again later", response.url)


class PolicySession(requests.Session):
    """A session whose every request goes through the policy; redirects to private addresses are refused."""

    def __init__(self, policy: "Policy", passes: Callable[[int], bool] | None = None) -> None:
        super().__init__()
        self._policy = policy
        self.policy_adapter = PolicyAdapter(policy, passes)
        self._around: dict[str, Any] = {}
        self._by_proxy: dict[str, bool] = {}  # scheme and host of media
        self.mount("https://", self.policy_adapter)
        self.mount("http://", self.policy_adapter)

    def open(self, request: PreparedRequest) -> Response:
        """Send once by the environment's proxies, as `PolicyAdapter.open`."""
        around: Any = self.merge_environment_settings(request.url or "", {}, None, None, None)
        return self.policy_adapter.open(request, around["proxies"])

    def open_media(self, url: str, headers: dict[str, str]) -> Response:
        """As `open`, for files that need no cookie."""
        host = "://".join(urlsplit(url)[:2])
        if host not in self._by_proxy:
            around: Any = self.merge_environment_settings(url, {}, None, None, None)
            self._by_proxy[host] = bool(self._policy.settings.proxy or select_proxy(url, around["proxies"]))
        if self._by_proxy[host]:
            return self.open(requests.Request("GET", url, headers=headers).prepare())
        return self.policy_adapter.open_media(url, headers)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """As the base class does, once a host: reading the environment took a quarter of a cover's time (2026-11)."""
        host = "://".join(urlsplit(str(url))[:2])
        if proxies or host not in self._around:
            found = super().merge_environment_settings(url, proxies or {}, stream, verify, cert)
            if proxies:
                return found
            self._around[host] = found["proxies"]
        return {"proxies": dict(self._around[host]), "stream": stream, "verify": verify, "cert": cert}

    def get_redirect_target(self, resp: Response) -> str | None:
        """Where a response sends us.

        Raises:
            PermanentError: To a private address that is not allowed by name, or to what is no address.
        """
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        url, here = _joined(resp.url, target), urlsplit(resp.url)
        if url is None:
            told = self._policy.redact(resp.url)
            raise self._policy.error(PermanentError, f"{told} redirects to no address; look at it", resp.url)
        same = (urlsplit(url).scheme, urlsplit(url).netloc) == (here.scheme, here.netloc)
        if not same and (why := refusal(url, self._policy.settings.hosts, any_public=True)):
            raise self._policy.error(PermanentError, f"{self._policy.redact(resp.url)} redirects: {why}", resp.url)
        return target

    def request(self, method: Any, url: Any, *args: Any, **kw: Any) -> Response:
        """As the base class does; its own errors, which hold URLs, become ours."""
        try:
            return super().request(method, url, *args, **kw)
        except requests.RequestException as exc:
            fault = exc
        what = f"{self._policy.redact(str(url))} cannot be asked ({type(fault).__name__})"
        raise self._policy.error(PermanentError, f"{what}; look at its address", str(url))


def _joined(url: str, target: str) -> str | None:
    try:
        return urljoin(url, target)
    except ValueError:  # "http://[nowhere"
        return None


def _innermost(fault: BaseException) -> str:
    """The name of the error at the bottom of a chain; its text may hold URLs."""
    seen: set[int] = set()
    while id(fault) not in seen:
        seen.add(id(fault))
        inner = [arg for arg in (*fault.args, getattr(fault, "reason", None)) if isinstance(arg, BaseException)]
        if not inner:
            break
        fault = inner[0]
    return type(fault).__name__
