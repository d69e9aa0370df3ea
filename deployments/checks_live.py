"""What `mediateca doctor` looks at for sources that are asked over the network."""

import os
from collections.abc import Mapping
from typing import Any

from connectors.registry import LIVE

KEYS: Mapping[str, tuple[str, ...]] = {name: live.keys for name, live in LIVE.items() if live.keys}
"""The environment variables that hold each live connector's keys."""


def live_checks() -> list[dict[str, Any]]:
    """One row per service that takes a key, one for what YouTube needs, one per quota that is being used up."""
    return [*(_keys(name, variables) for name, variables in KEYS.items()), _javascript(), *_quotas()]


def _row(check: str, state: str, found: str, hint: str = "") -> dict[str, Any]:
    return {"check": check, "state": state, "found": found, "hint": hint}


def _keys(name: str, variables: tuple[str, ...]) -> dict[str, Any]:
    missing = [variable for variable in variables if not os.environ.get(variable)]
    if not missing:
        return _row(f"keys {name}", "ok", f"{' and '.join(variables)} set")
    return _row(
        f"keys {name}", "warn", f"{' and '.join(missing)} not set", f"needed to ask the real {name}; demo needs none"
    )


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
