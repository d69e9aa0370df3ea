"""What `mediateca doctor` looks at for sources that are asked over the network."""

import os
from collections.abc import Collection, Mapping
from typing import Any

from connectors.registry import LIVE
from tasks.prepare import stored_as

KEYS: Mapping[str, tuple[str, ...]] = {name: live.keys for name, live in LIVE.items() if live.keys}
"""The environment variables that hold each live connector's keys."""

_PAGES = {
    "lastfm": "https://www.last.fm/api/account/create",
    "spotify": "https://developer.spotify.com/dashboard",
    "genius": "https://genius.com/api-clients",
    "tmdb": "https://www.themoviedb.org/settings/api",
}


def live_checks(stored: Collection[str] = ()) -> list[dict[str, Any]]:
    """One row per service that takes a key, one for what YouTube needs, one per quota that is being used up.

    Args:
        stored: Those of `KEYS` that a Prefect server keeps in Secret blocks.
    """
    return [*(_keys(name, variables, stored) for name, variables in KEYS.items()), _javascript(), *_quotas()]


def _row(check: str, state: str, found: str, hint: str = "") -> dict[str, Any]:
    return {"check": check, "state": state, "found": found, "hint": hint}


def _keys(name: str, variables: tuple[str, ...], stored: Collection[str]) -> dict[str, Any]:
    missing = [variable for variable in variables if not os.environ.get(variable) and variable not in stored]
    if missing:
        where = f"get one at {_PAGES[name]}, then " if name in _PAGES else ""
        hint = f"only the real {name} asks for it, demo does not; {where}`export {missing[0]}=...`"
        return _row(f"keys {name}", "warn", f"{' and '.join(missing)} not set", hint)
    found = (f"{v} set" if os.environ.get(v) else f"{v} in the Secret block {stored_as(v)}" for v in variables)
    return _row(f"keys {name}", "ok", ", ".join(found))


def _javascript() -> dict[str, Any]:
    from connectors.youtube import javascript_runtime

    found = javascript_runtime()
    hint = "install deno 2.3 or newer: without one yt-dlp reads few of YouTube's formats; demo needs none"
    return _row(
        "javascript runtime", "ok" if found else "warn", found or "none that yt-dlp can use", "" if found else hint
    )


def _quotas() -> list[dict[str, Any]]:
    """Those that have a limit and count now."""
    from connectors.http_ledger import LedgerError, ledger_rows

    try:
        counted = [said for said in ledger_rows() if said["limit"] is not None and said["renews_at"] is not None]
    except LedgerError as exc:
        return [_row("quota", "warn", "the ledger cannot be read", str(exc))]
    rows: list[dict[str, Any]] = []
    for said in counted:
        used = f"{said['requests']:,} of {said['limit']:,} requests"
        hint = "" if said["left"] else f"builds ask it again at {said['renews_at']}"
        rows.append(_row(f"quota {said['source']}", "ok" if said["left"] else "warn", used, hint))
    return rows
