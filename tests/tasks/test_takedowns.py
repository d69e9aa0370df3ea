"""What is taken down is in no answer of a live source either, and no later answer brings it back."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tasks.entities
from connectors import registry
from connectors.lastfm_answers import track_path
from connectors.registry import LIVE
from storage.hashing import entity_id
from storage.store import Store
from tasks.maintain import take_down
from tasks.takedowns import without
from tests.tasks import fake_live
from tests.tasks.fake_live import WORLD, World, clock_at, described
from tests.tasks.shelf import Shelf
from tests.tasks.traces import files_with

SECRET = "Unwanted"
ID = "id-of-what-nobody-wants"


def track(id_: str, title: str) -> dict[str, Any]:
    return {"id": id_, "title": title, "artists": ["Bo"], "duration_ms": 200_000}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Plays and a playlist of two tracks, one of them unwanted; both are offered in a search for either."""
    monkeypatch.setitem(registry.LIVE, "fake", fake_live.LIVE)
    monkeypatch.setitem(tasks.entities.DESCRIBING, "fake", ("track",))
    monkeypatch.setitem(tasks.entities._PARSERS, "fake", described)  # pyright: ignore[reportPrivateUsage]
    for name, value in vars(World()).items():
        setattr(WORLD, name, value)
    made = Shelf(tmp_path)
    made.sources["lists"] = {"connector": "fake", "live": {"users": ["ann"], "playlists": ["p", "q"]}}
    made.sources["fake"] = {"connector": "fake", "items": False}
    WORLD.tracks |= {ID: track(ID, SECRET), "L": track("L", "Luna"), "S": track("S", "Sol")}
    WORLD.hits |= {SECRET: [WORLD.tracks[ID], WORLD.tracks["L"]], "Luna": [WORLD.tracks["L"], WORLD.tracks[ID]]}
    WORLD.tracks["B"] = track("B", "Rain")
    WORLD.hits["Rain"] = [WORLD.tracks[ID]]  # all that is offered: the evidence of each link tells its title
    WORLD.playlists["q"] = ["B"]
    WORLD.hits["Sol"] = [WORLD.tracks["S"], WORLD.tracks[ID]]
    WORLD.playlists["p"], WORLD.plays["ann"] = [ID, "L"], [(ID, 1_000), ("L", 2_000)]
    for n, (id_, colour) in enumerate({ID: "red", "L": "blue"}.items()):
        file = io.BytesIO()
        Image.new("RGB", (30 + n, 20), colour).save(file, "PNG")
        WORLD.pictures[id_] = file.getvalue()
    return made


def media_files(store: Store) -> int:
    return len([path for path in Path(store.url, "media").rglob("*") if path.is_file()])


def test_nothing_of_it_is_left_and_nothing_brings_it_back(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.build(until="images")
    item, luna, store = shelf.item(SECRET), shelf.item("Luna"), shelf.store
    store.log("decisions", item_id=luna, source="fake", source_id=ID, state="rejected")
    store.log("drifts", source="fake", entity="search", request_key=SECRET)
    holding = {name.split("/")[0] for name in files_with(store, SECRET, ID)}
    assert holding >= {"raw", "entities", "links", "matches", "items", "inputs", "decisions", "drifts", "media"}
    assert media_files(store) == 2
    assert take_down(store, [item])["retired"] == ["v1"]
    assert files_with(store, SECRET, ID, item) == []
    assert media_files(store) == 1
    kept = "select entity, request_key from raw where entity in ('search', 'plays', 'playlist') order by all"
    assert [entity for entity, _ in shelf.sql(kept)] == ["playlist", "playlist", "plays", "search", "search"]
    assert shelf.sql("select count(*) from interactions") == [3]

    asked = WORLD.asked.copy()
    WORLD.playlists["p"].append("S")
    WORLD.plays["ann"] += [(ID, 3_000_000_000)]
    for stage in ("histories", "listings"):
        monkeypatch.setattr(f"tasks.{stage}.period_of", lambda _: "later")
    monkeypatch.setattr("tasks.histories.clock", clock_at(4_000_000_000))
    shelf.build(until="images")
    assert files_with(store, SECRET, ID, item) == []
    assert shelf.sql("select title from items order by all") == ["Luna", "Rain", "Sol"]
    assert shelf.sql("select state from links where source = 'fake' and source_id <> ''") == ["accepted", "accepted"]
    assert WORLD.asked["search:Luna"] == asked["search:Luna"] == 1
    assert shelf.item("Luna") == luna


def test_elements_of_lists_go_and_people_of_the_same_number_stay() -> None:
    taken = {entity_id("genius", "7")}
    hit = {"result": {"id": 7, "primary_artist": {"id": 3}}}
    other = {"result": {"id": 8, "primary_artist": {"id": 7}, "featured_artists": [{"id": 7}]}}
    assert without({"hits": [hit, other]}, "genius", taken) == {"hits": [other]}
    said = {"hits": [other], "meta": {"status": 200}}
    assert without(said, "genius", taken) is said
    play = {"name": "Luna", "artist": {"#text": "Bo"}}
    path = {entity_id("lastfm", track_path("Bo", "Luna"))}
    for played in ([play], play):
        left = without({"recenttracks": {"track": played, "@attr": {"total": "1"}}}, "lastfm", path)
        assert "Luna" not in str(left)
        assert left["recenttracks"]["@attr"] == {"total": "1"}
    row = {"added_at": "x", "track": {"id": "a"}}
    assert without({"tracks": {"items": [row]}}, "spotify", {entity_id("spotify", "a")}) == {"tracks": {"items": []}}


def test_every_answer_that_lists_items_is_known() -> None:
    """A new connector's answers that list items belong to `LISTINGS`, or a take-down would leave them."""
    from tasks.takedowns import LISTINGS

    about_one = {"track", "track_info", "track_tags", "artist_tags", "album", "artist", "user", "film", "song", "page"}
    about_one |= {"video", "recording", "configuration"}
    for name in LIVE:
        entities = registry.connect(name).entities if name != "fake" else frozenset[str]()
        assert entities <= LISTINGS | about_one, name
