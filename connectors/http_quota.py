"""The count of requests: how many each credential has made today, shared by all processes and runs.

The day's count is a row of the ledger, raised in one transaction before each request: 20 µs, exact across processes,
and readable as it stands. A day's window in pyrate-limiter's log would take a row per request and count them all at
each one; its bucket paces the requests of a second, which is what it is made for.
"""

import os
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from connectors import http_ledger
from connectors.errors import QuotaExceeded
from connectors.http_ledger import DAY_S, LedgerError, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrate_limiter import SQLiteBucket

# Near midnight a request may count for either day: clocks differ, and an answer takes its time. It counts for both.
_EDGE_S = 5.0
# Requests that start a second apart may arrive closer: the first one on its way may have to open a connection.
_JITTER_MS = 100
_LEAK_EVERY = 100
_COUNT_EACH_S = 0.2


def credential_digest(secrets: "Sequence[str]") -> str:
    """A name for the credential that does not tell it: 12 hexadecimal digits, or `anonymous` without secrets."""
    given = [secret for secret in secrets if secret]
    return sha256("\n".join(given).encode()).hexdigest()[:12] if given else "anonymous"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one credential may do."""

    per_second: float | None = None
    per_day: int | None = None  # from midnight to midnight UTC, where a day is one
    day_s: float = DAY_S  # days are counted from 1970 on
    wait_s: float = 60.0  # a longer Retry-After is not waited for
    # Whether each request is counted before it is sent, and asks whether others were told to wait. Else, where no day
    # is limited, those of 0.2 s are one: a transaction per cover was a tenth of its time (2026-11).
    exact: bool = True


class Quota:
    """Counts the requests of one source and credential, and refuses those over its limits."""

    def __init__(self, source: str, credential: str, limits: Limits, path: Path) -> None:
        self.source, self.credential, self.limits, self.path = source, credential, limits, path
        self._lock = threading.Lock()
        self._pid = 0
        self._paced = 0
        self._uncounted: Counter[float] = Counter()  # end of the day to requests
        self._counted_at = 0.0
        self._ledger: sqlite3.Connection | None = None
        self._bucket: SQLiteBucket | None = None

    def take(self) -> None:
        """Count one request; waits for its turn within the second, and while a short Retry-After lasts.

        Raises:
            QuotaExceeded: The day's quota is used up, or the source asked for a longer wait; nothing was counted.
            LedgerError: The file cannot be written.
        """
        while True:
            with self._lock, self._told():
                self._open()
                wait_s = self._pace() or self._count()
            if not wait_s:
                return
            time.sleep(wait_s)

    def hold(self, until: datetime) -> None:
        """No request of this credential before then, in no process."""
        with self._lock, self._told():
            self._counted_at = 0.0
            self._open().execute(
                "insert into holds values (?, ?, ?) on conflict do update set until = max(until, excluded.until)",
                (self.source, self.credential, until.timestamp()),
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._ledger and self._pid == os.getpid():
                with suppress(sqlite3.Error):  # the work is done; a second's count of media is not worth an error
                    self._flush(self._ledger)
                self._ledger.close()
                if self._bucket:
                    self._bucket.close()
            self._ledger = self._bucket = None

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise LedgerError(
                f"ledger {self.path}: {exc}; without it no quota can be kept: free the disk, make the file writable, or"
                " set MEDIATECA_HOME to another folder"
            ) from exc

    def _open(self) -> sqlite3.Connection:
        if self._ledger is None or self._pid != os.getpid():  # a connection does not survive a fork
            self._ledger, self._pid = connect(self.path), os.getpid()
            self._uncounted.clear()  # the parent's, after a fork
            self._bucket = self._made_bucket()
        return self._ledger

    def _made_bucket(self) -> "SQLiteBucket | None":
        rate = self.limits.per_second
        if rate is None:
            return None
        from pyrate_limiter import Rate, SQLiteBucket

        # 5 a second are any 5 within it; 2.5 a second are one each 400 ms.
        limit, interval_ms = (int(rate), 1_000) if rate >= 1 and rate == int(rate) else (1, -int(-1_000 // rate))
        interval_ms += _JITTER_MS
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

    def _count(self) -> float:
        """Seconds for which the credential is held; 0 where the request was counted."""
        ledger, moment = self._open(), http_ledger.now()
        if self.limits.per_day is None:  # nothing to be exact about: one statement in place of a transaction
            recent = not self.limits.exact and 0 <= moment.timestamp() - self._counted_at < _COUNT_EACH_S
            if not recent and (wait_s := self._held(ledger, moment)):
                return wait_s
            self._uncounted.update(self._days(moment.timestamp()))
            if not recent:
                self._counted_at = moment.timestamp()
                self._flush(ledger)
            return 0.0
        ledger.execute("begin immediate")
        try:
            if wait_s := self._held(ledger, moment):
                return wait_s
            for ends in self._days(moment.timestamp()):
                self._count_day(ledger, ends)
            ledger.execute("commit")
        finally:
            if ledger.in_transaction:
                ledger.execute("rollback")
        return 0.0

    def _held(self, ledger: sqlite3.Connection, moment: datetime) -> float:
        key = (self.source, self.credential)
        row = ledger.execute("select until from holds where source = ? and credential = ?", key).fetchone()
        wait_s = row[0] - moment.timestamp() if row else 0.0
        if wait_s > self.limits.wait_s:
            until = datetime.fromtimestamp(row[0], UTC)
            raise self._refused(f"asked to wait until {until.isoformat(timespec='seconds')}", until)
        return max(wait_s, 0.0)

    def _days(self, at: float) -> list[float]:
        """When the days end that a request counts for: one, or two where one ends."""
        day_s = self.limits.day_s
        edge_s = min(_EDGE_S, day_s / 20)
        return sorted({((at + near) // day_s + 1) * day_s for near in (-edge_s, edge_s)})

    def _count_day(self, ledger: sqlite3.Connection, ends: float) -> None:
        key, limit = (self.source, self.credential, ends), self.limits.per_day
        where = "where source = ? and credential = ? and ends = ?"
        row = ledger.execute(f"select requests from days {where}", key).fetchone()
        if limit is not None and (row[0] if row else 0) >= limit:
            renews = datetime.fromtimestamp(ends, UTC)
            raise self._refused(
                f"the quota of {limit:,} requests a day is used up, renewed at {renews:%Y-%m-%dT%H:%M:%SZ}", renews
            )
        self._add(ledger, ends)

    def _flush(self, ledger: sqlite3.Connection) -> None:
        for ends, requests in self._uncounted.items():
            self._add(ledger, ends, requests)
        self._uncounted.clear()

    def _add(self, ledger: sqlite3.Connection, ends: float, requests: int = 1) -> None:
        ledger.execute(
            "insert into days values (?, ?, ?, ?, ?, ?) on conflict do update"
            " set requests = requests + excluded.requests, day_limit = excluded.day_limit",
            (self.source, self.credential, ends, self.limits.day_s, requests, self.limits.per_day),
        )

    def _refused(self, what: str, retry_at: datetime) -> QuotaExceeded:
        return QuotaExceeded(
            f"{self.source}: {what}; run the same command again then", source=self.source, retry_at=retry_at
        )
