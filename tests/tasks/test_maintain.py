"""What is taken down is gone from every row and file, and stays out; what is kept stays readable."""

from pathlib import Path
from typing import Any

import pytest

from storage.hashing import entity_id
from storage.releases import find_release, publish, releases, rollback
from storage.store import Store
from tasks import maintain
from tasks.maintain import compact, drop_old_releases, take_down, vacuum
from tests.tasks.shelf import Shelf, track_id
from tests.tasks.traces import files_with

SECRET = "Unwanted"


def log_lines_with(store: Store, word: str) -> list[str]:
    """Commit logs in which the word stands: they keep the smallest and largest value of a column."""
    logs = sorted(Path(store.url, "tables").rglob("_delta_log/*.json"))
    return [path.name for path in logs if word in path.read_text(encoding="utf-8")]


def deletions(store: Store) -> list[str]:
    """What the commit logs say of rows that were deleted."""
    commits = [commit for name in store.tables() for commit in store.open(name).history()]
    return [str(commit["operationParameters"]) for commit in commits if commit["operation"] == "DELETE"]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """One track that three sources know, one that is only called alike, and a film of the same number as a user."""
    made = Shelf(tmp_path, "spotify", "mpd", "lastfm")
    unwanted = {"id": track_id(1), "name": SECRET, "artist": "Bo"}
    made.spotify({"id": track_id(2), "name": "Luna", "artist": "Bo"}, unwanted | {"playlist_id": "p1"})
    made.mpd([unwanted, {"id": track_id(2), "name": "Luna", "artist": "Bo"}])
    made.lastfm(("u1", "Bo", SECRET), ("u1", "BO", SECRET.upper()), ("u2", "Bo", "Luna"))
    return made


def test_a_taken_down_item_is_in_no_row_and_no_file_and_never_comes_back(shelf: Shelf) -> None:
    """v1 never held it and is kept, v2 did and is retired, v3 is built from files that have it still."""
    sources, luna_1 = shelf.sources, {"id": track_id(2), "name": "Luna", "artist": "Bo"}
    unwanted = {"id": track_id(1), "name": SECRET, "artist": "Bo"}
    shelf.sources = {"mpd": sources["mpd"]}
    shelf.mpd([luna_1])
    shelf.build(until="items")
    shelf.sources = sources
    shelf.mpd([unwanted, luna_1])
    held = shelf.build()
    item, luna = shelf.item(SECRET), shelf.item("Luna")
    for model, release in (("m1", "v1"), ("m2", "v2")):
        facts = {"kind": "recommender", "name": "x", "config": "{}", "parameters": "{}"}
        shelf.store.log("models", model_id=model, release_id=release, **facts)
    assert len(files_with(shelf.store, SECRET)) >= 4
    done = take_down(shelf.store, [item], note="asked for")
    assert done["rows"] > 10
    assert done | {"rows": 0} == {"items": [item], "rows": 0, "retired": ["v2"], "models": ["m2"]}
    assert files_with(shelf.store, SECRET, item, track_id(1)) == []
    assert not any(f"/_/{SECRET}" in line for line in deletions(shelf.store))
    assert shelf.sql("select count(*) from interactions") == [2]
    assert shelf.sql("select item_id from items") == [luna]
    assert releases(shelf.store)[1].note == "take-down: asked for"
    kept = find_release(shelf.store)
    assert (kept.release_id, kept.current) == ("v1", True)
    assert shelf.store.database(kept.tables).sql("select title from items").fetchall() == [("Luna",)]

    shelf.lastfm(("u1", "Bo", SECRET), ("u2", "Bo", "Luna"), ("u2", "Bo", "Luna"))
    shelf.mpd([unwanted])
    new = shelf.build(until="items")
    assert (new.release_id, new.counts["items"]) == ("v3", held.counts["items"] - 1)
    assert files_with(shelf.store, SECRET, item, track_id(1)) == []
    assert shelf.sql("select distinct item_id from interactions") == [luna]


def test_commit_logs_do_not_remember_what_was_taken_down(shelf: Shelf) -> None:
    shelf.run(until="entities")
    shelf.run(until="items")
    take_down(shelf.store, [shelf.item(SECRET)])
    assert log_lines_with(shelf.store, SECRET) == []


def test_rows_of_former_runs_and_former_ids_go_too(shelf: Shelf) -> None:
    """Superseded rows, rows of a source that left the catalogue, and rows under an id that was merged away."""
    shelf.changes["separate"] = [f"lastfm:Bo/_/{SECRET}", f"lastfm:BO/_/{SECRET.upper()}"]
    shelf.build(until="items")
    alias = entity_id("lastfm", f"Bo/_/{SECRET}")
    assert alias in shelf.sql("select item_id from items")
    shelf.changes["separate"] = []
    shelf.sources.pop("spotify")
    shelf.build(until="items")
    assert alias not in shelf.sql("select item_id from items")
    done = take_down(shelf.store, [alias])
    assert done["items"] == [entity_id("spotify", track_id(1))]
    assert done["retired"] == ["v1", "v2"]
    assert files_with(shelf.store, SECRET, alias) == []


@pytest.fixture
def films(tmp_path: Path) -> Shelf:
    """Two films that name one TMDb film, a user of the first one's number, tags."""
    made = Shelf(tmp_path, "movielens", "tmdb")
    made.write("films/movies.dat", f"1::{SECRET} (1995)::Crime\n2::M (1931)::Crime\n")
    made.write("films/users.dat", "1::F::25::10::48067\n")
    made.write("films/ratings.dat", "1::1::5::978300760\n1::2::5::978300761\n")
    made.csv("films/links.csv", "movieId,imdbId,tmdbId", [(1, "", 9), (2, "", 9)])
    made.csv("films/tags.csv", "userId,movieId,tag,timestamp", [(2, 1, "heist", 978300762), (1, 2, "city", 978300763)])
    made.tmdb({"id": 9, "title": "M", "overview": "Shared."})
    made.run(until="items")
    return made


class Killed(BaseException):
    """The process ends here."""


def test_a_film_goes_with_its_tags_and_without_what_it_shares(films: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the take-down is killed on the way and asked for again."""
    item, store = films.item(SECRET), films.store
    before = {name: store.version(name) for name in store.tables()}
    with pytest.raises(ValueError, match=r"no item 'it's nothing' in .*; find ids with `mediateca sql"):
        take_down(store, [item, "it's nothing"])
    assert {name: store.version(name) for name in store.tables()} == before

    def killed(*_: Any, **__: Any) -> int:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(maintain, "vacuum", killed)
        with pytest.raises(Killed):
            take_down(store, [item])
    assert films.sql("select title from items") == ["M"]
    assert files_with(store, SECRET)
    assert take_down(store, [item]) == {"items": [item], "rows": 0, "retired": [], "models": []}
    assert files_with(store, SECRET, "heist") == []
    left = films.sql("select entity, request_key from raw order by all")
    assert left == [("film", "9"), ("link", "2"), ("movie", "2"), ("tag", "1/2/3"), ("user", "1")]
    assert films.sql("select item_id <> entity_id, value from interactions") == [(False, 5.0)]


def test_old_releases_go_but_never_the_current_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "mpd")
    facts: dict[str, Any] = {n: {} for n in ("counts", "stages", "catalogue", "libraries", "weights")}
    for n in range(3):
        shelf.mpd([{"id": track_id(1), "name": f"Luna {n}", "artist": "Bo"}])
        shelf.run(until="entities")
        versions = {name: shelf.store.version(name) for name in shelf.store.tables()}
        publish(shelf.store, versions, partial=False, code_version="1", catalogue_hash="x", **facts)
    rollback(shelf.store, "v1")
    assert drop_old_releases(shelf.store, 10) == []
    assert drop_old_releases(shelf.store, 1) == ["v2"]
    assert drop_old_releases(shelf.store, 1) == []
    assert vacuum(shelf.store, retention_hours=0) > 0
    for release in ("v1", "v3"):
        con = shelf.store.database(find_release(shelf.store, release).tables)
        assert con.sql("select title from entities").fetchall() == [(f"Luna {int(release[1]) - 1}",)]
        assert con.sql("select count(*) from interactions").fetchall() == [(1,)]
    assert files_with(shelf.store, "Luna 1") == []
    assert files_with(shelf.store, "Luna 0")


def test_files_of_today_outlive_a_nightly_vacuum(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "mpd")
    shelf.mpd([{"id": track_id(1), "name": "Luna", "artist": "Bo"}])
    shelf.run(until="items")
    shelf.store.rewrite("items")
    assert vacuum(shelf.store) == 0
    assert compact(shelf.store) == []
    shelf.run(until="items")
    assert {result.status for result in shelf.results.values()} == {"up_to_date"}


def test_of_two_folders_with_a_file_of_one_name_only_the_one_named_is_taken_down(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "music", "more-music")
    shelf.write("music/01.mp3", SECRET)
    shelf.write("more/01.mp3", "wanted")
    shelf.build()
    unwanted = shelf.linked()["music:01.mp3"]
    take_down(shelf.store, [unwanted])
    shelf.build()
    assert shelf.members() == {frozenset({"more-music:01.mp3"})}
    assert shelf.sql("select distinct source from raw") == ["more-music"]
