"""The ledger: no request too many, in several processes and runs, and a page that says so."""

import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from connectors import http_ledger
from connectors.errors import QuotaExceeded
from connectors.http import Policy, PolicySettings
from connectors.http_ledger import LedgerError, ledger_path, ledger_rows
from connectors.http_quota import Limits, Quota, credential_digest
from tests.connectors.web import reply, served


def ask(url: str, ledger: Path, settings: dict[str, Any], tries: int, granted: Any) -> None:
    policy = Policy("tmdb", PolicySettings(**settings), secrets=["the-same-key"], ledger=ledger)
    count = 0
    for _ in range(tries):
        try:
            policy.get_json(url)
            count += 1
        except QuotaExceeded:
            pass
    policy.close()
    granted.put(count)


def in_processes(n: int, *args: Any) -> int:
    context = multiprocessing.get_context("spawn")
    granted = context.Queue()
    processes = [context.Process(target=ask, args=(*args, granted)) for _ in range(n)]
    for process in processes:
        process.start()
    total = sum(granted.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return total


def test_processes_and_runs_share_the_day_s_quota(tmp_path: Path) -> None:
    ledger = tmp_path / "quota.sqlite"
    with served() as web:
        url = web.says("/thing", reply("{}"))
        first = in_processes(3, url, ledger, {"requests_per_day": 100}, 60)
        second = in_processes(1, url, ledger, {"requests_per_day": 100}, 5)
        assert (first, second, web.times("/thing")) == (100, 0, 100)
    (row,) = ledger_rows(ledger)
    assert (row["requests"], row["limit"], row["left"]) == (100, 100, 0)


def test_processes_share_the_second(tmp_path: Path) -> None:
    came: list[float] = []
    with served() as web:

        def step(handler: Any) -> None:
            came.append(time.monotonic())
            reply("{}")(handler)

        url = web.says("/thing", step)
        assert in_processes(3, url, tmp_path / "q.sqlite", {"requests_per_second": 10}, 10) == 30
    # A permit is given at most 10 times in any second; what the way to the server takes is not ours to count.
    assert came[-1] - came[0] > 1.8
    assert max(sum(t <= other < t + 0.9 for other in came) for t in came) <= 11


def test_a_killed_process_leaves_no_request_uncounted(tmp_path: Path) -> None:
    ledger, context = tmp_path / "quota.sqlite", multiprocessing.get_context("spawn")
    granted = context.Queue()
    with served() as web:
        url = web.says("/thing", reply("{}"))
        process = context.Process(target=ask, args=(url, ledger, {}, 1_000_000, granted))
        process.start()
        deadline = time.monotonic() + 60
        while web.times("/thing") < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.join()
        time.sleep(0.05)
        came = web.times("/thing")
        assert came >= 20
        (row,) = ledger_rows(ledger)
        assert came <= row["requests"] <= came + 1
        assert in_processes(1, url, ledger, {"requests_per_day": row["requests"] + 3}, 5) == 3


def test_threads_share_the_day_s_quota(tmp_path: Path) -> None:
    quota = Quota("tmdb", "c", Limits(per_day=50), tmp_path / "q.sqlite")
    taken: list[int] = []

    def take() -> None:
        for _ in range(20):
            try:
                quota.take()
            except QuotaExceeded:
                continue
            taken.append(1)

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 50


def test_a_used_up_quota_answers_at_once(tmp_path: Path) -> None:
    quota = Quota("tmdb", "c", Limits(per_day=0, per_second=5), tmp_path / "q.sqlite")
    began = time.monotonic()
    with pytest.raises(QuotaExceeded):
        quota.take()
    assert time.monotonic() - began < 2


def test_the_quota_is_renewed_at_midnight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = Quota("tmdb", "c", Limits(per_day=2), tmp_path / "q.sqlite")
    clock = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    monkeypatch.setattr(http_ledger, "now", lambda: clock[0])
    quota.take()
    quota.take()
    with pytest.raises(QuotaExceeded, match="renewed at 2026-11-23T00:00:00Z") as raised:
        quota.take()
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    assert raised.value.retry_at == midnight
    clock[0] = midnight + timedelta(seconds=2)  # the server's clock may still say yesterday
    with pytest.raises(QuotaExceeded):
        quota.take()
    clock[0] = midnight + timedelta(seconds=6)
    quota.take()
    days = {row["day"]: (row["requests"], row["left"]) for row in ledger_rows(tmp_path / "q.sqlite")}
    assert days == {"2026-11-22": (2, 0), "2026-11-23": (1, 1)}


def test_a_request_at_midnight_counts_for_both_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_ledger, "now", lambda: datetime(2026, 11, 22, 23, 59, 58, tzinfo=UTC))
    quota = Quota("tmdb", "c", Limits(per_day=2), tmp_path / "q.sqlite")
    quota.take()
    assert [row["requests"] for row in ledger_rows(tmp_path / "q.sqlite")] == [1, 1]


def test_a_refusal_counts_for_no_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    monkeypatch.setattr(http_ledger, "now", lambda: clock[0])
    quota = Quota("tmdb", "c", Limits(per_day=1), tmp_path / "q.sqlite")
    quota.take()
    clock[0] = datetime(2026, 11, 23, 0, 0, 2, tzinfo=UTC)
    with pytest.raises(QuotaExceeded):
        quota.take()
    assert [row["day"] for row in ledger_rows(tmp_path / "q.sqlite")] == ["2026-11-22"]


def test_a_day_may_be_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)]
    monkeypatch.setattr(http_ledger, "now", lambda: clock[0])
    quota = Quota("sandbox", "c", Limits(per_day=1, day_s=60), tmp_path / "q.sqlite")
    quota.take()
    with pytest.raises(QuotaExceeded) as raised:
        quota.take()
    assert raised.value.retry_at == datetime(2026, 11, 22, 12, 1, tzinfo=UTC)
    (row,) = ledger_rows(tmp_path / "q.sqlite")
    assert (row["day"], row["renews_at"]) == ("2026-11-22T12:00:00+00:00", "2026-11-22T12:01:00+00:00")
    clock[0] += timedelta(seconds=34)
    quota.take()


def test_a_ledger_that_cannot_be_written_is_no_fault_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "q.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(LedgerError, match=r"q\.sqlite: file is not a database; without it"):
        Quota("tmdb", "c", Limits(), tmp_path / "q.sqlite").take()
    with pytest.raises(LedgerError, match="move it away"):
        ledger_rows(tmp_path / "q.sqlite")


def test_credentials_have_quotas_of_their_own(tmp_path: Path) -> None:
    first = Quota("tmdb", credential_digest(["one"]), Limits(per_day=1), tmp_path / "q.sqlite")
    other = Quota("tmdb", credential_digest(["two"]), Limits(per_day=1), tmp_path / "q.sqlite")
    first.take()
    other.take()
    assert len({row["credential"] for row in ledger_rows(tmp_path / "q.sqlite")}) == 2


def test_a_digest_does_not_tell_the_secret() -> None:
    assert credential_digest([]) == credential_digest([""]) == "anonymous"
    digest = credential_digest(["id", "secret"])
    assert len(digest) == 12
    assert digest != credential_digest(["idsecret"])
    assert "secret" not in digest


def test_the_ledger_lies_in_the_home(home: Path) -> None:
    assert ledger_path() == home / "quota.sqlite"
    assert ledger_rows() == []
    Quota("tmdb", "c", Limits(), ledger_path()).take()
    (row,) = ledger_rows()
    assert row | {"day": ""} == {
        "source": "tmdb",
        "credential": "c",
        "day": "",
        "requests": 1,
        "limit": None,
        "left": None,
        "renews_at": None,
    }


def test_a_hold_shows_in_the_ledger(tmp_path: Path) -> None:
    quota = Quota("tmdb", "c", Limits(per_day=10, wait_s=1), tmp_path / "q.sqlite")
    quota.take()
    until = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    quota.hold(until)
    assert ledger_rows(tmp_path / "q.sqlite")[0]["renews_at"] == until.isoformat()
