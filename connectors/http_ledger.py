"""The ledger's file: how many requests each credential made, by day, and until when it is held."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage import clock

DAY_S = 86_400.0
_TABLES = """
create table if not exists days (source text, credential text, ends real, length_s real not null,
    requests integer not null, day_limit integer, primary key (source, credential, ends)) without rowid;
create table if not exists holds (source text, credential text, until real not null,
    primary key (source, credential)) without rowid;
"""


class LedgerError(Exception):
    """The ledger's file cannot be used: a fault of this machine, not of a source."""


def ledger_path() -> Path:
    """Where the ledger lies: `quota.sqlite` in MEDIATECA_HOME, or in ./.mediateca."""
    return Path(os.environ.get("MEDIATECA_HOME") or ".mediateca").expanduser().resolve() / "quota.sqlite"


def now() -> datetime:
    """The time; a function, so that tests can be at midnight."""
    return clock.now()


def connect(path: Path) -> sqlite3.Connection:
    """The ledger's file, made where it is missing; every statement commits by itself."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that turn WAL on at once: one gets `database is locked`, whatever its time-out (measured 2026-11).
    with FileLock(f"{path}.lock"):
        ledger = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        ledger.execute("pragma journal_mode = wal")
        ledger.execute("pragma synchronous = normal")
        ledger.executescript(_TABLES)
    return ledger


def ledger_rows(path: Path | None = None) -> list[dict[str, Any]]:
    """The ledger as rows, the latest day first: source, credential (its digest), day, requests, limit, left, renews_at.

    `day` is a date, or the moment it began where the source's day is shorter.

    Raises:
        LedgerError: The file cannot be read.
    """
    path = path or ledger_path()
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=30)) as ledger:
            found = ledger.execute(
                "select source, credential, ends, length_s, requests, day_limit, until from days"
                " left join holds using (source, credential) order by ends desc, source, credential"
            ).fetchall()
    except sqlite3.Error as exc:
        raise LedgerError(f"ledger {path}: {exc}; if it is no ledger of mediateca, move it away") from exc
    at = now().timestamp()
    return [_told(row, at) for row in found]


def _told(row: tuple[Any, ...], at: float) -> dict[str, Any]:
    source, credential, ends, length_s, requests, limit, held = row
    began = datetime.fromtimestamp(ends - length_s, UTC)
    today = ends - length_s <= at < ends
    renews = ends if today and limit is not None else None
    if today and held is not None and held > at:  # a pause that the source asked for
        renews = held if renews is None or requests < limit else max(held, renews)
    return {
        "source": source,
        "credential": credential,
        "day": began.date().isoformat() if length_s == DAY_S else began.isoformat(timespec="seconds"),
        "requests": requests,
        "limit": limit,
        "left": None if limit is None else max(limit - requests, 0),
        "renews_at": None if renews is None else datetime.fromtimestamp(renews, UTC).isoformat(timespec="seconds"),
    }
