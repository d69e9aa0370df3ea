"""The policy against the sandbox with everything going wrong: days of a small quota end in what one good day gives."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from connectors.errors import BlockedPage, QuotaExceeded, TransientError
from connectors.http import Policy, PolicySettings
from deployments.sandbox.faults import Faults, ServiceFaults
from deployments.sandbox.serve import serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import FilmRow, read_table

KEY = "a-key-that-nobody-may-read"
ROUGH = ServiceFaults(
    error=0.1, timeout=0.05, truncated=0.03, blocked=0.02, limited=0.01, limited_bare=0.02, per_day=45, per_second=40
)


def asking(policy: Policy, sandbox: Sandbox, answers: dict[int, Any], refused: list[str]) -> Callable[[int], None]:
    def ask(film: int) -> None:
        try:
            answers[film] = policy.get_json(f"{sandbox.url}/tmdb/3/movie/{film}", params={"api_key": KEY})[1]
        except (QuotaExceeded, BlockedPage, TransientError) as exc:
            refused.append(f"{type(exc).__name__}: {exc}")

    return ask


def a_day(sandbox: Sandbox, films: list[int], answers: dict[int, Any], ledger: Path, **settings: Any) -> list[str]:
    """Ask for all films without an answer, from two policies at once, as two processes would; what was refused."""
    limits = PolicySettings(backoff_s=0.01, timeout_s=0.5, hosts=("127.0.0.1",), **settings)
    policies = [Policy("tmdb", limits, secrets=[KEY], ledger=ledger) for _ in range(2)]
    refused: list[str] = []
    with ThreadPoolExecutor(6) as pool:
        pending = [film for film in films if film not in answers]
        for i, film in enumerate(pending):
            pool.submit(asking(policies[i % 2], sandbox, answers, refused), film)
    for policy in policies:
        policy.close()
    return refused


def test_bad_days_end_in_what_one_good_day_gives(small_world: Path, tmp_path: Path) -> None:
    films = [film.id for film in read_table(small_world, "films", FilmRow)]
    good: dict[int, Any] = {}
    with serve(small_world) as sandbox:
        assert a_day(sandbox, films, good, tmp_path / "good.sqlite") == []
    answers: dict[int, Any] = {}
    refused: list[str] = []
    with serve(small_world, Faults(services={"tmdb": ROUGH}, timeout_s=1.0)) as sandbox:
        for day in range(12):
            ledger = tmp_path / f"{day}.sqlite"  # a new day: the ledger's count starts anew
            refused += a_day(sandbox, films, answers, ledger, requests_per_day=45, requests_per_second=20)
            if len(answers) == len(films):
                break
            requests.post(f"{sandbox.url}/sandbox/day", timeout=5)
        over = requests.get(f"{sandbox.url}/sandbox/log", timeout=5).json()["over_quota"]
    assert {film: answer["id"] for film, answer in answers.items()} == {film: film for film in films}
    assert [answer.keys() for answer in answers.values()] == [good[film].keys() for film in answers]
    assert over == {}
    assert any("QuotaExceeded" in said for said in refused)
    assert KEY not in str(refused)
