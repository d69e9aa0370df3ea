"""The shipped catalogues on the real data, without the text encoder: counts, links, refused rows."""

from pathlib import Path

import pytest

from storage.releases import find_release
from storage.store import Store
from tasks.media_sources import media_path, media_roots, wanted_media
from tasks.neighbors import find_neighbors
from tasks.pending import last_runs
from tasks.plan import all_stages, make_plan
from tasks.release import publish_release
from tasks.run_stage import run_stage
from tasks.settings import Catalogue, load_catalogue

pytestmark = pytest.mark.real_data


def build(catalogue: Catalogue) -> Store:
    """All stages but the text encoder in the plain loop, and a release."""
    store = Store(catalogue.store_url)
    store.create(stage.writes for stage in all_stages(catalogue, store))
    last = last_runs(store)
    for stage in all_stages(catalogue, store):
        run_stage(store, stage, build_id="b", last=last.get(stage.name))
    publish_release(catalogue, store, partial=False)
    return store


def without_encoder(name: str, **changes: object) -> Catalogue:
    found = load_catalogue(name)
    return found.model_copy(update={"featurizers": found.featurizers.model_copy(update={"minilm": None}), **changes})


def one(store: Store, sql: str) -> object:
    return store.database().sql(sql).fetchall()[0][0]


def test_films(real_data: Path) -> None:
    catalogue = without_encoder("films")
    store = build(catalogue)
    assert one(store, "select count(*) from items") == 9_742
    assert one(store, "select count(*) from interactions") == 100_836
    assert one(store, "select count(*) from users") == 610
    assert one(store, "select count(*) from texts where kind = 'overview' and value is not null") == 6_657
    assert one(store, "select count(*) from texts where kind = 'document' and value is not null") == 9_742
    assert one(store, "select count(*) from features_tabular") == 9_742
    assert one(store, "select count(*) from interactions anti join items using (item_id)") == 0
    refused = store.database().sql("select source, file, reason from quarantine order by 2").fetchall()
    assert refused == [("posters", name, "not_media") for name in ("README.md", "manifest.csv")]
    posters = wanted_media(catalogue, "image")
    found = store.database().sql(posters).fetchall()
    roots = media_roots(catalogue, "image")
    assert len(found) == len({file for _, _, file, _ in found}) == 1_000
    assert all(media_path(roots, source, file).is_file() for _, source, file, _ in found)
    overviews = "select item_id from texts where kind = 'overview' and value is not null"
    whole = f"select count(distinct item_id) from interactions join ({posters}) p using (item_id)"
    assert one(store, f"{whole} where item_id in ({overviews})") >= 784
    film = store.database().sql("select * from items where title = 'The Godfather'").to_arrow_table().to_pylist()[0]
    assert (film["year"], film["creators"], film["language"]) == (1972, ["Francis Ford Coppola"], "en")
    indexed = "select (kind, count, recall_at_10) from indexes where feature = 'tabular'"
    assert one(store, indexed) == ("flat", 9_735, 1.0)
    godfather = find_neighbors(store, find_release(store), "the godfather", feature="tabular", k=1_000)
    assert godfather.item["item_id"] == film["item_id"]
    assert "The Godfather: Part II" in [row["title"] for row in godfather.rows[:100]]
    assert all(row["up_to_date"] for row in make_plan(catalogue, store))


def test_dirty_copy_of_the_ratings(real_data: Path) -> None:
    dirty = {"ratings": "ratings.as-found-with-appended-rows.csv"}
    films = load_catalogue("films")
    movielens = films.sources["movielens"].model_copy(update={"options": dirty})
    store = build(without_encoder("films", catalogue="dirty", sources={"movielens": movielens}))
    assert one(store, "select count(*) from interactions") == 100_906
    bad = store.database().sql("select file, line, reason, text from quarantine order by line").fetchall()
    assert [(row[1], row[2]) for row in bad] == [(100_854, "bad_value"), (100_896, "bad_value")]
    assert all(",0.0," in row[3] for row in bad)


def test_music(real_data: Path) -> None:
    store = build(without_encoder("music"))
    con, audio = store.database(), wanted_media(load_catalogue("music"), "audio")
    assert one(store, f"select count(*) from ({audio})") == 36
    counted = dict(con.sql("select source, count(*) from interactions group by 1").fetchall())
    assert counted == {"spotify-songs": 32_828, "mpd": 226_518, "mpd-full-fields": 1_448, "lastfm-1k": 5_000}
    assert one(store, "select count(distinct user_id) from interactions where source = 'mpd'") == 2_316
    entities = dict(con.sql("select source, count(*) from entities where reason is null group by 1").fetchall())
    assert (entities["spotify-songs"], entities["mpd"]) == (28_352, 93_660)
    assert one(store, "select count(*) from interactions anti join items using (item_id)") == 0
    assert one(store, "select count(*) from items where title is null") == 0
    nameless = "select count(*) from items where coalesce(len(creators), 0) = 0"
    assert one(store, nameless) == one(store, f"{nameless} and item_id in (select item_id from ({audio}))") == 25
    # A Spotify id is one item in whichever sources it stands.
    twice = "select entity_id from links where state = 'accepted' group by 1 having count(distinct item_id) > 1"
    assert con.sql(twice).fetchall() == []
    assert one(store, "select count(*) from links where source = 'lastfm-1k' and method = 'title_creator'") >= 40


def test_hetrec_and_movielens_100k_and_awkward_folders(real_data: Path) -> None:
    sources: dict[str, dict[str, object]] = {
        "hetrec": {"connector": "hetrec", "path": "lastfm-hetrec"},
        "ml-100k": {"connector": "recbole_atomic", "path": "movielens-100k", "options": {"kind": "film"}},
        "audio-awkward": {"connector": "music_folder", "path": "audio-awkward"},
        "images-awkward": {"connector": "image_folder", "path": "images-awkward"},
    }
    given = {name: source | {"path": str(real_data / str(source["path"]))} for name, source in sources.items()}
    store = build(Catalogue.model_validate({"catalogue": "others", "sources": given}))
    con = store.database()
    rows = con.sql("select source, kind, count(*), count(distinct user_id) from interactions group by all order by 1")
    assert rows.fetchall() == [("hetrec", "play", 92_834, 1_892), ("ml-100k", "rating", 100_000, 943)]
    kinds = dict(con.sql("select kind, count(*) from items group by 1").fetchall())
    assert (kinds["artist"], kinds["film"]) == (17_632, 1_682)
    assert one(store, "select count(*) from interactions anti join items using (item_id)") == 0
    assert one(store, "select count(*) from users where gender is not null") == 943
    for name in ("audio-awkward", "images-awkward"):
        files = sum(path.is_file() for path in (real_data / name).rglob("*"))
        taken = f"select source_id from links where source = '{name}' and state = 'accepted'"
        refused = f"select file from quarantine where source = '{name}'"
        assert one(store, f"select count(*) from ({taken} union all {refused})") == files
