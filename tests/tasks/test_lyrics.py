"""Lyrics: the text of the accepted link's page, or why there is none, as long as that is so."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from storage.store import Store
from tasks.lyrics import lyrics_stages
from tasks.run_stage import run_stage
from tasks.settings import Catalogue
from tests.tasks.plant import plant

PAGE = "<div data-lyrics-container='true'>One line<br>two lines<br>three lines of it</div>"
LINK = {"item_id": "i", "source": "genius", "source_id": "7", "probability": 0.95, "method": "search"}
INPUT = {"source": "genius", "entity": "page", "part": "7"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "store"))
    store.create()
    plant(store, "items", {"item_id": "i", "kind": "track", "title": "Luna", "language": "en"})
    return store


def told(store: Store) -> tuple[Any, Any]:
    said = {"catalogue": "c", "store": store.url, "sources": {"genius": {"connector": "genius", "items": False}}}
    (stage,) = lyrics_stages(Catalogue.model_validate(said))
    run_stage(store, stage, build_id="b")
    ((value, reason),) = store.database().sql("select value, reason from texts where kind = 'lyrics'").fetchall()
    return value, reason


def page(html: str) -> dict[str, Any]:
    body = json.dumps({"html": html}).encode()
    named = {"source": "genius", "entity": "page", "request_key": "7", "status": 200}
    return named | {"body": body, "value_hash": 11, "fetched_at": datetime.now(UTC)}


def test_a_text_is_the_accepted_links_page(store: Store) -> None:
    plant(store, "links", LINK | {"state": "accepted"})
    plant(store, "inputs", INPUT | {"value_hash": 11})
    plant(store, "raw", page(PAGE))
    assert told(store) == ("One line\ntwo lines\nthree lines of it", None)


def test_a_link_that_is_taken_back_leaves_no_quota_behind(store: Store) -> None:
    plant(store, "links", LINK | {"state": "accepted"})
    plant(store, "inputs", INPUT | {"reason": "quota"})
    assert told(store) == (None, "quota")
    plant(store, "links", LINK | {"state": "review"})
    assert told(store) == (None, "not_found")


def test_a_reason_that_changes_is_told(store: Store) -> None:
    plant(store, "links", LINK | {"state": "accepted"})
    plant(store, "inputs", INPUT | {"reason": "quota"})
    assert told(store) == (None, "quota")
    plant(store, "inputs", INPUT | {"reason": "blocked_page"})
    assert told(store) == (None, "blocked_page")
