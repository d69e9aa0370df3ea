"""Which hosts may be asked: media only from those a source names, private addresses only where they are named."""

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit


def named(host: str, hosts: Sequence[str]) -> bool:
    """Whether the host is in the list; an entry with a leading dot stands for the domain and all below it."""
    host = host.lower().rstrip(".")
    return any(
        host == (entry := allowed.lower()).lstrip(".") or (entry.startswith(".") and host.endswith(entry))
        for allowed in hosts
    )


def refusal(url: str, hosts: Sequence[str], *, any_public: bool) -> str | None:
    """Why nothing is fetched from there, in a few words; None where it may be.

    Args:
        url: With its scheme.
        hosts: Allowed by name or address, private ones too.
        any_public: Whether a host that is not listed may be asked if all its addresses are public.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # "http://[bad": what an answer names as its cover may be anything
        return "it is no address"
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        return f"'{parts.scheme}' is no address of the web"
    if named(host, hosts):
        return None
    if not any_public:
        return f"host '{host}' is not allowed; allowed: {', '.join(hosts)}"
    if private := _private(host):
        return f"host '{host}' has the private address {private}"
    return None


def _private(host: str) -> str | None:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return None  # it cannot be reached either, or only the proxy knows it
    for text in sorted(found):
        address = ipaddress.ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if not address.is_global or address.is_multicast:
            return text
    return None
