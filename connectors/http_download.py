"""Media from a source's own hosts, streamed to a file that appears whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin
from uuid import uuid4

from requests import Response

from connectors.errors import BlockedPage, PermanentError, TransientError
from connectors.http_answers import Answer
from connectors.http_hosts import refusal
from connectors.http_pages import is_html

if TYPE_CHECKING:
    from connectors.http import Policy
    from connectors.http_requests import PolicySession

_HOPS = 5


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that came whole."""

    path: Path
    sha256: str
    size_bytes: int
    content_type: str  # as the server says, without parameters; not checked
    url: str  # where it was in the end, secrets removed


def download(policy: "Policy", session: "PolicySession", url: str, path: Path) -> Download:
    """One try of `Policy.download`."""
    response, final = _followed(policy, session, url)
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.status_code >= 400:
        body = b"".join(session.policy_adapter.read(response))
        answer = Answer(method="GET", url=final, status=response.status_code, headers=headers, body=body)
        raise policy.judge(answer) or policy.error(PermanentError, f"{policy.redact(final)} failed", final)
    pieces = session.policy_adapter.read(response)
    start = next(pieces, b"")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if is_html(kind, start):
        pieces.close()
        raise policy.error(BlockedPage, f"{policy.redact(final)} is a web page, not media; try again tomorrow", final)
    if not start:
        raise policy.error(TransientError, f"{policy.redact(final)} came empty; try again later", final)
    digest, size = _written(chain([start], pieces), path)
    return Download(path=path, sha256=digest, size_bytes=size, content_type=kind, url=policy.redact(final))


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


def _written(pieces: Iterator[bytes], path: Path) -> tuple[str, int]:
    digest, size = sha256(), 0
    half = os.path.join(path.parent, f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with _opened(half) as file:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
        os.replace(half, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(half)
        raise
    return digest.hexdigest(), size


def _opened(file: str) -> BinaryIO:
    """The new file, in a folder that is there nearly always: to ask for it each time took as long as the writing."""
    try:
        return open(file, "xb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        return open(file, "xb")
