"""A release is made when something changed, holds what it was made of, and is refused when there is nothing in it."""

from pathlib import Path

import pytest

from storage.releases import current_release, releases, rollback
from tasks.release import ReleaseBlocked, code_version
from tests.tasks.shelf import Shelf


def test_unchanged_tables_are_released_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "movielens")
    shelf.movielens([(1, "Heat (1995)", "Crime")])
    first = shelf.build()
    assert (first.release_id, first.current, first.partial) == ("v1", True, False)
    assert (first.counts["items"], first.counts["texts"], first.counts["interactions"]) == (1, 2, 1)
    steps = {"ingest", "entities", "links", "items", "users", "texts", "index", "validate", "report"}
    found = {"fingerprints.sound", "fingerprints.pictures", "fingerprints.words", "fingerprints.titles"}
    assert first.stages.keys() == steps | found | {"lookalikes", "duplicates"}
    assert first.catalogue["sources"]["movielens"]["connector"] == "movielens"
    assert first.code_version == code_version()
    assert shelf.build() == first
    shelf.store.rewrite("items")
    assert shelf.build() == first  # compaction changes no row

    shelf.movielens([(1, "Heat (1995)", "Crime|Drama")])
    second = shelf.build()
    assert (second.release_id, second.current) == ("v2", True)
    rollback(shelf.store, "v1")
    assert shelf.build().release_id == "v1"  # what was rolled back on purpose stays so until something changes
    assert len(releases(shelf.store)) == 2


def test_an_empty_catalogue_of_items_is_not_released(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "movielens")
    shelf.movielens([("one", "Heat (1995)", "Crime")])
    with pytest.raises(ReleaseBlocked, match=r"no release: the table 'items' is empty; look at .* quarantine"):
        shelf.build()
    assert current_release(shelf.store) is None
    assert shelf.sql("select detail from quarantine") == ["movieId is not a whole number"]
