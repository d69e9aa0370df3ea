"""What the sandbox was asked: counts that prove what a client did, without a secret or a question in them."""

import json
import threading
import time
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO


class RequestLog:
    """Counts of requests by service, endpoint and outcome; safe for threads."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file: TextIO | None = file.open("a", encoding="utf-8") if file else None
        self.clear()

    def clear(self) -> None:
        """Forget everything but the file."""
        with self._lock:
            self._counts: Counter[tuple[str, str, int, str]] = Counter()
            self._asked: Counter[str] = Counter()
            self._days: Counter[tuple[str, str, int]] = Counter()
            self._over: Counter[str] = Counter()
            self._recent: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
            self._busiest: Counter[str] = Counter()

    def attempt(self, question: str) -> int:
        """How often this very question was asked before."""
        with self._lock:
            self._asked[question] += 1
            return self._asked[question] - 1

    def admit(self, service: str, credential: str, day: int, per_day: int | None, per_second: int | None) -> str:
        """Count a request against its credential's quota: "" within it, else which is used up: "day" or "second"."""
        now = time.monotonic()
        with self._lock:
            self._days[service, credential, day] += 1
            recent = self._recent[service, credential]
            recent.append(now)
            while recent[0] <= now - 1.0:
                recent.popleft()
            self._busiest[service] = max(self._busiest[service], len(recent))
            over = "second" if per_second is not None and len(recent) > per_second else ""
            over = "day" if per_day is not None and self._days[service, credential, day] > per_day else over
            self._over[service] += bool(over)
            return over

    def add(self, service: str, endpoint: str, status: int, fault: str, size_bytes: int) -> None:
        """Count an answer; status 0 is none at all."""
        with self._lock:
            self._counts[service, endpoint, status, fault] += 1
            if self._file is not None:
                at = datetime.now(UTC).isoformat(timespec="milliseconds")
                said = {"at": at, "service": service, "endpoint": endpoint, "status": status, "fault": fault}
                self._file.write(json.dumps({**said, "size_bytes": size_bytes}) + "\n")
                self._file.flush()

    def report(self) -> dict[str, Any]:
        """All counts, as JSON holds them."""
        with self._lock:
            rows = [
                {"service": service, "endpoint": endpoint, "status": status, "fault": fault, "count": count}
                for (service, endpoint, status, fault), count in sorted(self._counts.items())
            ]
            days = [
                {"service": service, "credential": credential, "day": day, "count": count}
                for (service, credential, day), count in sorted(self._days.items())
            ]
            return {
                "requests": sum(self._counts.values()),
                "answers": rows,
                "quota": days,
                "over_quota": {service: count for service, count in self._over.items() if count},
                "busiest_second": dict(self._busiest),
            }

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
