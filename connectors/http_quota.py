"""The ledger of requests: how many each credential has made today, shared by all processes and runs.

The day's count is a row, raised in one transaction before each request: 20 µs, exact across processes, and readable as
it stands. A day's window in pyrate-limiter's log would take a row per request and count them all at each one; its
bucket paces the requests of a second, which is what it is made for.
"""

import os
import re
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrate_limiter import SQLiteBucket

_TABLES = """
create table if not exists requests (source text, credential text, day text, requests integer not null,
    day_limit integer, primary key (source, credential, day)) without rowid;
create table if not exists holds (source text, credential text, until real not null,
    primary key (source, credential)) without rowid;
"""
# Near midnight a request may count for either day: clocks differ, and an answer takes its time. It counts for both.
_EDGE = timedelta(seconds=5)
_LEAK_EVERY = 100


def ledger_path() -> Path:
    """Where the ledger lies: `quota.sqlite` in MEDIATECA_HOME, or in ./.mediateca."""
    return Path(os.environ.get("MEDIATECA_HOME") or ".mediateca").expanduser().resolve() / "quota.sqlite"


def credential_digest(secrets: "Sequence[str]") -> str:
    """A name for the credential that does not tell it: 12 hexadecimal digits, or `anonymous` without secrets."""
    given = [secret for secret in secrets if secret]
    return sha256("\n".join(given).encode()).hexdigest()[:12] if given else "anonymous"


def now() -> datetime:
    """The time; a function, so that tests can be at midnight."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one credential may do."""

    per_second: float | None = None
    per_day: int | None = None  # from midnight to midnight UTC
    wait_s: float = 60.0  # a longer Retry-After is not waited for


class Quota:
    """Counts the requests of one source and credential, and refuses those over its limits."""

    def __init__(self, source: str, credential: str, limits: Limits, path: Path) -> None:
        self.source, self.credential, self.limits, self.path = source, credential, limits, path
        self._lock = threading.Lock()
        self._pid = 0
        self._paced = 0
        self._ledger: sqlite3.Connection | None = None
        self._bucket: SQLiteBucket | None = None

    def take(self, url: str = "") -> None:
        """Count one request; waits for its turn within the second, and while a short Retry-After lasts.

        Raises:
            QuotaExceeded: The day's quota is used up, or the source asked for a longer wait; nothing was counted.
        """
        while True:
            with self._lock:
                self._open()
                wait_s = self._pace()
            if not wait_s:
                with self._lock:
                    wait_s = self._count(url)
                if not wait_s:
                    return
            time.sleep(wait_s)

    def hold(self, until: datetime) -> None:
        """No request of this credential before then, in no process."""
        with self._lock:
            self._open().execute(
                "insert into holds values (?, ?, ?) on conflict do update set until = max(until, excluded.until)",
                (self.source, self.credential, until.timestamp()),
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._ledger and self._pid == os.getpid():
                self._ledger.close()
                if self._bucket:
                    self._bucket.close()
            self._ledger = self._bucket = None

    def _open(self) -> sqlite3.Connection:
        if self._ledger is None or self._pid != os.getpid():  # a connection does not survive a fork
            self._ledger, self._pid = connect(self.path), os.getpid()
            self._bucket = self._made_bucket()
        return self._ledger

    def _made_bucket(self) -> "SQLiteBucket | None":
        rate = self.limits.per_second
        if rate is None:
            return None
        from pyrate_limiter import Rate, SQLiteBucket

        # 5 a second are any 5 within it; 2.5 a second are one each 400 ms.
        limit, interval_ms = (int(rate), 1_000) if rate >= 1 and rate == int(rate) else (1, -int(-1_000 // rate))
        table = re.sub(r"\W", "_", f"rate_{self.source}_{self.credential}")
        bucket = SQLiteBucket.init_from_file(
            [Rate(limit, interval_ms)], table=table, db_path=str(self.path), use_file_lock=True
        )
        # At the default of 50 ms, three processes starve each other: one got 20 of 240 turns (measured 2026-11).
        bucket.lock.poll_interval = 0.005  # type: ignore[attr-defined]
        return bucket

    def _pace(self) -> float:
        """Seconds until the next turn within the second; 0 where it was taken."""
        if self._bucket is None:
            return 0.0
        from pyrate_limiter import RateItem

        # `put`, not Limiter.try_acquire: that answers False both over the limit and when the lock was busy.
        item = RateItem(self.source, int(self._bucket.now()))
        self._paced += 1
        if self._paced % _LEAK_EVERY == 0:
            self._bucket.leak(item.timestamp)
        if self._bucket.put(item):
            return 0.0
        wait_ms = self._bucket.waiting(item)
        return max(int(wait_ms), 1) / 1_000  # type: ignore[arg-type]

    def _count(self, url: str) -> float:
        """Seconds for which the credential is held; 0 where the request was counted."""
        ledger, moment = self._open(), now()
        ledger.execute("begin immediate")
        try:
            if wait_s := self._held(ledger, moment, url):
                return wait_s
            for day in sorted({(moment - _EDGE).date(), (moment + _EDGE).date()}):
                self._count_day(ledger, day, url)
            ledger.execute("commit")
        finally:
            if ledger.in_transaction:
                ledger.execute("rollback")
        return 0.0

    def _held(self, ledger: sqlite3.Connection, moment: datetime, url: str) -> float:
        key = (self.source, self.credential)
        row = ledger.execute("select until from holds where source = ? and credential = ?", key).fetchone()
        wait_s = row[0] - moment.timestamp() if row else 0.0
        if wait_s > self.limits.wait_s:
            until = datetime.fromtimestamp(row[0], UTC)
            raise self._refused(f"asked to wait until {until.isoformat(timespec='seconds')}", until, url)
        return max(wait_s, 0.0)

    def _count_day(self, ledger: sqlite3.Connection, day: date, url: str) -> None:
        key, limit = (self.source, self.credential, day.isoformat()), self.limits.per_day
        where = "where source = ? and credential = ? and day = ?"
        row = ledger.execute(f"select requests from requests {where}", key).fetchone()
        if limit is not None and (row[0] if row else 0) >= limit:
            renews = midnight_after(day)
            raise self._refused(
                f"the quota of {limit:,} requests a day is used up, renewed at {renews:%Y-%m-%dT%H:%MZ}", renews, url
            )
        ledger.execute(
            "insert into requests values (?, ?, ?, 1, ?)"
            " on conflict do update set requests = requests + 1, day_limit = excluded.day_limit",
            (*key, limit),
        )

    def _refused(self, what: str, retry_at: datetime, url: str) -> QuotaExceeded:
        return QuotaExceeded(
            f"{self.source}: {what}; run the same command again then", source=self.source, url=url, retry_at=retry_at
        )


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


def midnight_after(day: date) -> datetime:
    """The end of that day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def ledger_rows(path: Path | None = None) -> list[dict[str, Any]]:
    """The ledger as rows, today's first: source, credential (its digest), day, requests, limit, left, renews_at."""
    path = path or ledger_path()
    if not path.is_file():
        return []
    with closing(sqlite3.connect(path, timeout=30)) as ledger:
        found = ledger.execute(
            "select source, credential, day, requests, day_limit, until from requests"
            " left join holds using (source, credential) order by day desc, source, credential"
        ).fetchall()
    moment = now()
    return [_told(row, moment) for row in found]


def _told(row: tuple[Any, ...], moment: datetime) -> dict[str, Any]:
    source, credential, day, requests, limit, until = row
    renews = midnight_after(date.fromisoformat(day)) if limit is not None else None
    if until is not None and until > moment.timestamp() and day == moment.date().isoformat():
        held = datetime.fromtimestamp(until, UTC)
        renews = max(renews, held) if renews is not None and requests >= limit else held
    return {
        "source": source,
        "credential": credential,
        "day": day,
        "requests": requests,
        "limit": limit,
        "left": None if limit is None else max(limit - requests, 0),
        "renews_at": renews.isoformat(timespec="seconds") if renews and renews > moment else None,
    }
