"""Films through the pipeline from the sandbox's TMDb: found by IMDb id, described, with posters and trailers' sound."""

from pathlib import Path
from typing import Any

import pytest

from deployments.sandbox.serve import endpoints, serve
from deployments.sandbox.tables import FilmRow, read_table
from tests.tasks.shelf import Shelf

LIMITS: dict[str, Any] = {"requests_per_second": None, "backoff_s": 0.0, "hosts": ["127.0.0.1", "localhost"]}
EXTRACTORS = [
    f"deployments.sandbox.youtube_extractor:{name}" for name in ("SandboxYoutubeSearchIE", "SandboxYoutubeIE")
]


@pytest.mark.slow
def test_films_are_described_and_have_posters_and_the_sound_of_their_trailers(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMDB_API_KEY", "sandbox")
    shelf = Shelf(tmp_path)
    known = {str(row.movielens): row for row in read_table(small_world, "films", FilmRow) if row.movielens}
    with serve(small_world) as sandbox:
        where = endpoints(sandbox)
        films = {"api_root": where["SANDBOX_TMDB_API"], "policy": LIMITS}
        videos = {"endpoint": where["SANDBOX_YOUTUBE"], "extractors": EXTRACTORS, "pause_s": 0, "policy": LIMITS}
        shelf.sources = {
            "movielens": {"connector": "movielens", "path": str(small_world / "movielens")},
            "tmdb": {"connector": "tmdb", "items": False, "options": films},
            "trailers": {"connector": "trailers", "items": False, "options": videos},
        }
        shelf.run(until="images")
    linked = shelf.sql(
        "select m.source_id, t.source_id, t.probability from links m join links t using (item_id) "
        "where m.source = 'movielens' and t.source = 'tmdb' and t.state = 'accepted'"
    )
    by_id = [(film, found) for film, found, p in linked if p == 1.0]
    assert len(by_id) > 40
    assert all(str(known[film].id) == found for film, found in by_id)
    trailers = {
        film: video
        for film, video in shelf.sql(
            "select m.source_id, t.source_id from links m join links t using (item_id) "
            "where m.source = 'movielens' and t.source = 'trailers' and t.state = 'accepted'"
        )
    }
    assert trailers
    assert all(known[film].trailer == video for film, video in trailers.items())
    described = shelf.sql("select count(*) from items where len(creators) > 0")[0]
    assert described >= len(by_id) * 0.9
    reasons = shelf.sql("select source, reason, count(*) from matches where reason is not null group by all")
    assert {reason for _, reason, _ in reasons} <= {"not_found", "missing_input"}, reasons  # no trailer, not in TMDb
    pictures = shelf.sql("select count(*) from media where kind = 'image' and reason is null")[0]
    sounds = shelf.sql("select count(*) from media where kind = 'audio_window' and reason is null")[0]
    assert pictures >= sum(known[film].poster is not None for film, _ in by_id)
    assert sounds >= len(trailers) * 0.9
