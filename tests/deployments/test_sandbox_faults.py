"""Faults by switches: as many as asked for, the same in any order, counted, and never with a secret in the log."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.base import Request
from connectors.errors import BlockedPage
from connectors.tmdb import connect
from deployments.sandbox.faults import PRESETS, Faults, ServiceFaults, draw, read_faults
from deployments.sandbox.serve import serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import FilmRow, read_table

SECRET = "a-key-that-nobody-may-read"


def ask(sandbox: Sandbox, path: str = "tmdb/3/configuration", **query: str) -> requests.Response:
    return requests.get(f"{sandbox.url}/{path}", params={"api_key": SECRET, **query}, timeout=5)


def log(sandbox: Sandbox) -> Any:
    return requests.get(f"{sandbox.url}/sandbox/log", timeout=5).json()


def test_as_many_answers_go_wrong_as_asked_for() -> None:
    faults = Faults(seed=3, all=ServiceFaults(error=0.1, timeout=0.05, truncated=0.03, blocked=0.02))
    found = Counter(draw(faults, "tmdb", f"question {number}", 0)[0] for number in range(20_000))
    shares = {kind: count / 20_000 for kind, count in found.items()}
    for kind, share in {"error": 0.1, "timeout": 0.05, "truncated": 0.03, "blocked": 0.02, "none": 0.8}.items():
        assert shares[kind] == pytest.approx(share, abs=0.01)


def test_a_question_asked_again_meets_another_fate_and_another_seed_too() -> None:
    faults = Faults(all=ServiceFaults(error=0.5))
    fates = [draw(faults, "tmdb", "the same", attempt)[0] for attempt in range(40)]
    other = [draw(Faults(seed=1, all=faults.all), "tmdb", "the same", attempt)[0] for attempt in range(40)]
    assert set(fates) == {"error", "none"}
    assert fates != other
    assert fates == [draw(faults, "tmdb", "the same", attempt)[0] for attempt in range(40)]


def test_the_same_requests_meet_the_same_faults_in_any_order(small_world: Path) -> None:
    films = [film.id for film in read_table(small_world, "films", FilmRow)]
    faults = Faults(all=ServiceFaults(error=0.3, blocked=0.2))

    def fates(order: list[int], threads: int) -> dict[int, tuple[int, str]]:
        with serve(small_world, faults) as sandbox, ThreadPoolExecutor(threads) as pool:
            said = list(pool.map(lambda film: ask(sandbox, f"tmdb/3/movie/{film}"), order))
        return {film: (one.status_code, one.headers["content-type"]) for film, one in zip(order, said, strict=True)}

    assert fates(films, 1) == fates(films[::-1], 6)


@pytest.mark.parametrize(("kind", "after"), [("limited", "1"), ("limited_bare", None)])
def test_too_many_requests_come_with_and_without_retry_after(small_world: Path, kind: str, after: str | None) -> None:
    with serve(small_world, Faults(all=ServiceFaults.model_validate({kind: 1.0}))) as sandbox:
        said = ask(sandbox)
    assert (said.status_code, said.headers.get("retry-after")) == (429, after)
    assert said.json()["status_code"] == 25


def test_a_truncated_answer_breaks_off_before_its_promised_length(small_world: Path) -> None:
    with (
        serve(small_world, Faults(all=ServiceFaults(truncated=1.0))) as sandbox,
        pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"),
    ):
        ask(sandbox)


def test_a_request_that_times_out_gets_no_answer_at_all(small_world: Path) -> None:
    with serve(small_world, Faults(all=ServiceFaults(timeout=1.0), timeout_s=0.05)) as sandbox:
        with pytest.raises(requests.exceptions.ConnectionError, match="without response"):
            ask(sandbox)
        assert log(sandbox)["answers"][0]["status"] == 0


@pytest.mark.parametrize("path", ["tmdb/3/configuration", "genius/web/Nothing-lyrics", "media/i.scdn.co/image/x"])
def test_block_pages_are_html_with_a_good_status_as_often_as_with_a_bad_one(small_world: Path, path: str) -> None:
    with serve(small_world, Faults(all=ServiceFaults(blocked=1.0))) as sandbox:
        said = [ask(sandbox, path, again=str(number)) for number in range(40)]
    assert {one.headers["content-type"] for one in said} == {"text/html; charset=utf-8"}
    assert 8 <= sum(one.status_code == 200 for one in said) <= 32


def test_a_daily_quota_ends_and_is_renewed_the_next_day(small_world: Path) -> None:
    faults = Faults(services={"tmdb": ServiceFaults(per_day=5)})
    with serve(small_world, faults) as sandbox:
        said = [ask(sandbox).status_code for _ in range(7)]
        other = requests.get(f"{sandbox.url}/tmdb/3/configuration?api_key=another", timeout=5)
        refused = ask(sandbox)
        over = log(sandbox)["over_quota"]
        requests.post(f"{sandbox.url}/sandbox/day", timeout=5)
        renewed = ask(sandbox).status_code
    assert said == [200] * 5 + [429] * 2
    assert other.status_code == 200
    assert 0 < int(refused.headers["retry-after"]) <= 86_401
    assert over == {"tmdb": 3}
    assert renewed == 200


def test_a_client_that_keeps_within_its_quota_is_over_it_zero_times(small_world: Path) -> None:
    with serve(small_world, Faults(all=ServiceFaults(per_day=5))) as sandbox:
        for _ in range(5):
            ask(sandbox)
        assert log(sandbox)["over_quota"] == {}


def test_drift_renames_needed_fields_and_adds_unknown_ones(small_world: Path) -> None:
    film = read_table(small_world, "films", FilmRow)[0].id
    with serve(small_world, PRESETS["drift"].model_copy(update={"all": ServiceFaults(drift=1.0)})) as sandbox:
        said = ask(sandbox, f"tmdb/3/movie/{film}").json()
    assert "poster_path" not in said
    assert {"poster_path_v2", "sandbox_new_field", "title"} <= said.keys()


def test_wrong_matches_find_another_film(small_world: Path) -> None:
    film = next(film for film in read_table(small_world, "films", FilmRow) if film.imdb)
    asked = {"path": f"tmdb/3/find/{film.imdb}", "external_source": "imdb_id"}
    with serve(small_world) as right, serve(small_world, Faults(all=ServiceFaults(wrong=1.0))) as wrong:
        found = [ask(sandbox, **asked).json()["movie_results"][0]["id"] for sandbox in (right, wrong)]
    assert found[0] == film.id
    assert found[1] != film.id


def test_neither_log_nor_counts_hold_a_secret_or_a_question(small_world: Path, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    with serve(small_world, log=file) as sandbox:
        ask(sandbox, "tmdb/3/search/movie", query="a private question")
        requests.get(f"{sandbox.url}/spotify/v1/search?q=x", headers={"Authorization": f"Bearer {SECRET}"}, timeout=5)
        requests.post(f"{sandbox.url}/lastfm/2.0/", data={"api_key": SECRET, "method": SECRET}, timeout=5)
        for path in (f"tmdb/3/{SECRET}", f"genius/api/{SECRET}", f"media/{SECRET}/x"):
            ask(sandbox, path)
        counted = json.dumps(log(sandbox))
    lines = file.read_text(encoding="utf-8")
    assert len(lines.splitlines()) == 6
    assert SECRET not in lines + counted
    assert "private" not in lines + counted


def test_faults_can_be_changed_while_it_serves(small_world: Path) -> None:
    with serve(small_world) as sandbox:
        before = ask(sandbox).status_code
        bad = requests.post(f"{sandbox.url}/sandbox/faults", json={"all": {"error": 2}}, timeout=5)
        requests.post(f"{sandbox.url}/sandbox/faults", json={"all": {"error": 1}}, timeout=5)
        after = ask(sandbox).status_code
    assert before == 200
    assert (bad.status_code, "all.error" in bad.json()["error"]) == (400, True)
    assert after in (500, 502, 503)


def test_faults_are_read_from_presets_and_files_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"seed": 4, "services": {"genius": {"blocked": 0.5}}}', encoding="utf-8")
    assert read_faults("rough") == PRESETS["rough"]
    assert read_faults(str(path)).of("genius").blocked == 0.5
    assert read_faults(str(path)).of("tmdb") == ServiceFaults()
    with pytest.raises(ValueError, match=r"presets: none, rough"):
        read_faults("rogh")
    path.write_text('{"sed": 4}', encoding="utf-8")
    with pytest.raises(ValueError, match="'sed': Extra inputs"):
        read_faults(str(path))


def test_our_connector_learns_the_same_through_faults_as_without(small_world: Path) -> None:
    asked = [Request(entity="film", key=str(film.id)) for film in read_table(small_world, "films", FilmRow)]
    shares = ServiceFaults(error=0.1, timeout=0.05, limited=0.1, limited_bare=0.1, truncated=0.1, blocked=0.05)
    rough = Faults(all=shares, timeout_s=0.01, retry_after_s=0)
    with serve(small_world) as calm, serve(small_world, rough) as stormy:
        plain = learnt(calm, asked)
        through, blocked = dict[str, Any](), 0
        for _ in range(5):  # as many runs as needed: who was answered with a block page asks again in the next
            through |= learnt(stormy, [one for one in asked if one.key not in through])
            blocked += len(asked) - len(through)
        met = {answer["fault"] for answer in log(stormy)["answers"]}
    assert through == plain
    assert blocked > 0
    assert {"error", "timeout", "truncated", "blocked", "limited", "limited_bare"} <= met


def learnt(sandbox: Sandbox, asked: list[Request]) -> dict[str, Any]:
    """What TMDb's connector is told, without what it is refused."""
    policy = {"requests_per_second": None, "retries": 6, "backoff_s": 0.001, "hosts": ("127.0.0.1",)}
    found: dict[str, Any] = {}
    with closing(connect(api_root=f"{sandbox.url}/tmdb/3/", api_key="sandbox", policy=policy)) as tmdb:
        for request in asked:
            with suppress(BlockedPage):
                found[request.key] = tmdb.lookup(request).payload
    return found
