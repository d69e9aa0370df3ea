"""Tables are linked by blocking keys: what shares one is scored, the best stays, and batches make no difference."""

import pyarrow as pa
import pytest

from connectors import blocking
from connectors.blocking import link_tables

TRACKS = [
    {"id": "a", "title": "Paper Lanterns - Remastered 2019", "artists": ["Velvet Harbour"], "duration_ms": 213_000},
    {"id": "b", "title": "Paper Lanterns (Live)", "artists": ["Velvet Harbour"], "duration_ms": 260_000},
    {"id": "c", "title": "Paper Lanterns", "artists": ["Cardboard Kings"], "duration_ms": 213_000},
    {"id": "d", "title": "花火", "artists": ["深夜水族館"], "duration_ms": 180_000},
    {"id": "e", "title": "Последний трамвай", "artists": ["Тихий Океан"], "duration_ms": 200_000},
    {"id": "f", "title": "(No) Ice Cream", "artists": ["The Polite Foxes"], "duration_ms": 190_000},
    {"id": "g", "title": None, "artists": None, "duration_ms": None},
]
ROWS = [
    {"id": "1", "title": "paper lanterns (feat. Bo)", "artists": ["VELVET HARBOUR"]},
    {"id": "2", "title": "花火", "artists": ["深夜水族館"]},
    {"id": "3", "title": "Posledniy Tramvay", "artists": ["Tikhiy Okean"]},
    {"id": "4", "title": "No Ice Cream", "artists": ["Polite Foxes & Bo"]},
    {"id": "5", "title": "Something Else", "artists": ["Velvet Harbour"]},
    {"id": "6", "title": None, "artists": []},
]


def linked(size: int = 100, rows: list[dict[str, object]] | None = None) -> dict[str, str]:
    table = pa.Table.from_pylist(TRACKS)
    batches = [table.slice(start, size) for start in range(0, len(TRACKS), size)]
    links = link_tables(pa.Table.from_pylist(rows or ROWS), batches, source="spotify")
    return {row: scored.id for row, scored in links.best.items() if scored.probability > 0.5}


def test_rows_find_their_track_in_any_spelling_and_script() -> None:
    assert linked() == {"1": "a", "2": "d", "3": "e", "4": "f"}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_make_no_difference(size: int) -> None:
    assert linked(size) == linked()


def test_only_pairs_that_share_a_key_are_scored() -> None:
    links = link_tables(pa.Table.from_pylist(ROWS), [pa.Table.from_pylist(TRACKS)], source="spotify")
    assert 0 < links.pairs < len(ROWS) * len(TRACKS) / 4


def test_a_large_block_keeps_the_likest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "LARGEST_BLOCK", 1)
    rows = [{"id": "1", "title": "Paper Lanterns", "artists": ["Velvet Harbour"], "duration_ms": 212_000}]
    assert linked(rows=rows) == {"1": "a"}


def test_what_is_decided_follows_the_sources_thresholds() -> None:
    links = link_tables(pa.Table.from_pylist(ROWS), [pa.Table.from_pylist(TRACKS)], source="spotify")
    states = {row: decision.state for row, decision in links.decisions()}
    assert states["2"] == "accept"
    assert "6" not in states
