"""What all services of the sandbox speak: a question that came over HTTP, and its answer."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

SECRET_NAMES = frozenset({"api_key", "api_sig", "access_token", "client_secret", "sk", "key", "token"})
"""Query and form fields that are never logged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One request to one service."""

    method: str
    path: str  # beneath the service's prefix, starts with "/"
    query: Mapping[str, str]  # of the URL and of a form in the body
    headers: Mapping[str, str]  # names in lower case
    root: str  # where the caller reached the sandbox: "http://127.0.0.1:8123"
    wrong: bool = False  # answer a search with something else
    switches: Mapping[str, Any] = field(default_factory=dict[str, Any])  # what `Faults.switches` says

    def number(self, name: str, default: int) -> int | None:
        """A whole number of the query; None where it is none."""
        said = self.query.get(name, "")
        if not said:
            return default
        return int(said) if said.lstrip("-").isdigit() else None

    @property
    def bearer(self) -> str:
        """The token of the Authorization header; empty without one."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One response: `payload` as JSON, or `body` as it is."""

    status: int = 200
    payload: Any = None
    body: bytes | None = None
    render: Callable[[Any], bytes] | None = None  # how the payload is written, if not as JSON
    kind: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def content(self) -> bytes:
        """The bytes to send."""
        if self.body is not None:
            return self.body
        if self.render is not None:
            return self.render(self.payload)
        return json.dumps(self.payload, ensure_ascii=False, separators=(",", ":")).encode()


class Service(Protocol):
    """One source of the sandbox."""

    name: str
    drifting: tuple[str, ...]
    """Fields that schema drift renames."""

    def label(self, ask: Ask) -> str:
        """The endpoint's name in the request log: never an id, a question or a key."""
        ...

    def credential(self, ask: Ask) -> str:
        """What the service counts a quota by: the key or token, empty where there is none."""
        ...

    def answer(self, ask: Ask) -> Answer:
        """What the service says; `payload` may be shared and must not be changed."""
        ...

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """The service's own body of a 429, a 500 or another status that a fault asks for."""
        ...


def digest(secret: str) -> str:
    """A name for a secret that tells nothing of it."""
    return hashlib.sha256(b"sandbox " + secret.encode()).hexdigest()[:12] if secret else "none"


def page(status: int, html: str, **headers: str) -> Answer:
    """A web page."""
    return Answer(status=status, body=html.encode(), kind="text/html; charset=utf-8", headers=headers)


def unknown_key(key: str) -> bool:
    """Whether a key is one that the sandbox rejects: none, or one that says `invalid`; it takes every other."""
    return not key or "invalid" in key.lower()
