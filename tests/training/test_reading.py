"""A release, its export and texts of sequences, read as datasets."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from storage.errors import MixedVersions
from storage.releases import find_release
from tasks.export import export_release
from tasks.release import publish_release
from tests.tasks.plant import plant
from tests.tasks.shelf import Shelf, track_id
from tests.training.worlds import lists
from training.data import NO_TIME, Dataset
from training.known_at import of_cell
from training.protocols import Loo, Temporal
from training.reading import Wanted, lend, read_export, read_release, read_sequences, read_tables, select_items
from training.splits import build
from training.tables import ReleaseTables

A, B, C = ({"id": track_id(n), "name": f"Song {n}", "artist": f"Band {n % 2}"} for n in (1, 2, 3))
FEATURES = ("tabular", "tabular_fetched")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Films, tracks, playlists and plays; two of the tracks are one recording."""
    numbers = {"numeric": ["year", "popularity", "danceability"]}
    made = Shelf(
        tmp_path_factory.mktemp("shelf"), "movielens", "spotify", "mpd", "lastfm", featurizers={"tabular": numbers}
    )
    films = [(1, "Fire (1999)", "Drama"), (2, "Ice (2004)", "Drama|War")]
    made.movielens(films, ratings=[(7, 1, 4.0, 100), (7, 2, 2.5, 100), (3, 2, 5.0, 50)])
    made.spotify(A | {"track_popularity": "90"}, B | {"danceability": "0.9"})
    made.mpd([A, B, C, A], [C, B])
    made.lastfm(("kim", "Band 1", "Song 1"), ("kim", "Band 0", "Song 2"), profiles="kim\tF\t30\tPeru\tMay 2, 2006\n")
    made.run(until="duplicates")
    items = [f"{item}" for item in made.sql("select item_id from items where kind = 'track' order by title limit 2")]
    item_a, item_b = sorted(items)
    pair = {"item_a": item_a, "item_b": item_b, "relation": "same_recording", "component": item_a, "component_size": 2}
    plant(made.store, "duplicates", pair | {"state": "accepted"})
    publish_release(made.catalogue, made.store, partial=False)
    return made


@pytest.fixture(scope="module")
def exported(shelf: Shelf) -> Path:
    folder = shelf.folder / "out"
    export_release(shelf.store, find_release(shelf.store), folder)
    return folder


@pytest.fixture(scope="module", params=["release", "export"])
def read(request: pytest.FixtureRequest, shelf: Shelf, exported: Path) -> Any:
    if request.param == "release":
        return lambda wanted: read_release(shelf.store, wanted)
    return lambda wanted: read_export(exported, wanted)


def test_ratings_in_the_order_of_time_and_file(read: Any) -> None:
    data: Dataset = read(Wanted(events="rating", items="film"))
    assert data.name == "shelf-v1"
    assert list(data.item_ids) == sorted(data.item_ids)
    assert [user.split(":")[-1] for user in data.user_ids] == ["3", "7"]
    titles = [[data.titles[item] for item in row] for row in data.events.histories(2)]
    assert titles == [["Ice"], ["Fire", "Ice"]]  # of one time: as in the file
    assert data.events.at.tolist() == [50_000, 100_000, 100_000]
    assert data.events.value.tolist() == [5.0, 4.0, 2.5]
    assert data.years is not None
    assert sorted(data.years.tolist()) == [1999, 2004]
    assert sorted(map(len, lists(data.genres))) == [1, 2]
    assert not data.honest_time
    assert data.met == "rating"


def test_times_of_ratings_are_never_honest_whatever_is_said(read: Any) -> None:
    with pytest.raises(ValueError, match="honest_time is True for ratings, whose times say when they were typed in"):
        read(Wanted(events="rating", honest_time=True))
    with pytest.raises(ValueError, match="a cut in time means nothing; use loo or user_holdout"):
        build(read(Wanted(events="rating")), Temporal())


def test_playlists_keep_the_order_of_their_entries(read: Any) -> None:
    data: Dataset = read(Wanted(events="playlist", sources=("mpd",), items="track"))
    titles = [[data.titles[item] for item in row] for row in data.events.histories(2)]
    assert titles == [["Song 1", "Song 2", "Song 3", "Song 1"], ["Song 3", "Song 2"]]
    assert np.isnan(data.events.value).all()


def test_plays_have_profiles_and_honest_times(read: Any) -> None:
    data: Dataset = read(Wanted(events="play"))
    assert data.profiles is not None
    assert [data.genders[data.profiles[0, 0]], data.countries[data.profiles[0, 1]]] == ["f", "peru"]
    assert data.honest_time
    assert set(data.kinds) == {"film", "track"}
    assert not read(Wanted(events="play", honest_time=False)).honest_time


def test_accepted_pairs_are_one_recording_and_one_work(read: Any) -> None:
    data: Dataset = read(Wanted(events="playlist", items="track"))
    assert data.recordings is not None
    assert data.works is not None
    group = dict(zip(data.titles, data.recordings.tolist(), strict=True))
    assert group["Song 1"] == group["Song 2"] != group["Song 3"]
    assert len(set(data.works.tolist())) < len(data.titles)


def test_numbers_that_grow_are_a_feature_of_their_own(read: Any) -> None:
    data: Dataset = read(Wanted(events="playlist", items="track", features=FEATURES))
    early, late = (data.features[name] for name in FEATURES)
    assert early.cells[:2] == ("year", "danceability")
    assert (early.known_at, early.fetched_at) == ("release", None)
    assert (late.cells, late.known_at) == (("popularity",), "fetched")
    assert late.fetched_at is not None
    assert (late.fetched_at > 1_600_000_000_000).all()
    has = [title in ("Song 1", "Song 2") for title in data.titles]  # the third is in no table of Spotify's
    assert late.present.tolist() == has
    split = build(data, Loo(filter_seen=False))
    assert not split.train.features["tabular_fetched"].present.any()
    assert split.train.features["tabular"].present.any()


def test_events_of_other_kinds_of_items_are_left_out_and_told(read: Any) -> None:
    with pytest.raises(ValueError, match="no event of kind 'rating' of tracks"):
        read(Wanted(events="rating", items="track"))
    with pytest.raises(ValueError, match="no item of kind 'book'"):
        read(Wanted(events="rating", items="book"))
    with pytest.raises(ValueError, match="no vectors 'clip'; it has tabular"):
        read(Wanted(events="rating", features=("clip",)))
    with pytest.raises(ValueError, match="events 'listen': unknown kind"):
        Wanted(events="listen")  # type: ignore[arg-type]


def test_a_release_and_its_export_are_one_dataset(shelf: Shelf, exported: Path) -> None:
    wanted = Wanted(events="playlist", items="track", features=FEATURES)
    one, other = read_release(shelf.store, wanted), read_export(exported, wanted)
    for name in ("item_ids", "user_ids", "titles", "kinds", "genders", "countries", "honest_time", "notes"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("user", "item", "at"):
        assert getattr(one.events, name).tolist() == getattr(other.events, name).tolist()
    for name in FEATURES:
        assert one.features[name].values.tolist() == other.features[name].values.tolist()
        assert one.features[name].version == other.features[name].version
        assert one.features[name].observed.tolist() == other.features[name].observed.tolist()  # type: ignore[union-attr]
    assert lists(one.creators) == lists(other.creators)
    assert one.recordings.tolist() == other.recordings.tolist()  # type: ignore[union-attr]


def test_an_export_is_read_without_the_rest_of_the_project(exported: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from training.reading import Wanted, read_export\n"
        f"read_export(Path({str(exported)!r}), Wanted(events='rating'))\n"
        "print([m for m in ('duckdb', 'polars', 'prefect', 'torch', 'deltalake') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_mix_of_versions_is_refused(shelf: Shelf) -> None:
    tables = ReleaseTables(shelf.store, find_release(shelf.store))
    other = "select * replace ('2' as version) from features_tabular__rows where reason is null limit 1"
    tables._con.sql(f"create or replace temp view features_tabular as from features_tabular__rows union all ({other})")
    with pytest.raises(MixedVersions, match="its vectors are of 2 versions"):
        read_tables(tables, Wanted(events="rating", features=("tabular",)))


def test_an_export_out_of_order_is_refused(exported: Path, tmp_path: Path) -> None:
    for name in ("items", "interactions"):
        (tmp_path / name).mkdir()
        for file in (exported / name).glob("*.parquet"):
            table = pq.read_table(file)
            rows = list(range(table.num_rows))
            pq.write_table(table.take(rows[::-1] if name == "interactions" else rows), tmp_path / name / file.name)
    (tmp_path / "manifest.json").write_text((exported / "manifest.json").read_text())
    with pytest.raises(ValueError, match="interactions are not sorted by user and time"):
        read_export(tmp_path, Wanted(events="rating"))
    with pytest.raises(ValueError, match=r"no manifest\.json, so it is no export"):
        read_export(tmp_path / "items", Wanted(events="rating"))


def test_an_export_without_duplicates_says_so(exported: Path, tmp_path: Path) -> None:
    for name in ("items", "interactions", "manifest.json"):
        (tmp_path / name).symlink_to(exported / name)
    data = read_export(tmp_path, Wanted(events="rating"))
    assert data.recordings is None
    assert data.notes == ("shelf-v1 does not say which items are the same recording: nothing is kept together by it",)


def test_items_are_chosen_and_numbered_anew(shelf: Shelf) -> None:
    data = read_release(shelf.store, Wanted(events="playlist", items="track", features=("tabular",)))
    kept = np.array([title != "Song 2" for title in data.titles])
    less = select_items(data, kept)
    titles = [[less.titles[item] for item in row] for row in less.events.histories(2)]
    assert titles[0] == ["Song 1", "Song 3", "Song 1"]
    assert less.features["tabular"].values.tolist() == data.features["tabular"].values[kept].tolist()
    assert lists(less.creators) == [row for row, keep in zip(lists(data.creators), kept, strict=True) if keep]


def test_a_work_lends_its_feature(shelf: Shelf) -> None:
    data = read_release(shelf.store, Wanted(events="playlist", items="track", features=("tabular_fetched",)))
    feature = data.features["tabular_fetched"]
    group = np.where([t in ("Song 1", "Song 3") for t in data.titles], 0, 1).astype(np.int32)
    whole = lend(data, "tabular_fetched", group)
    lent = whole.features["tabular_fetched"]
    value = dict(zip(data.titles, lent.values[:, 0].tolist(), strict=True))
    assert lent.present.all()
    assert value["Song 3"] == value["Song 1"] != 0
    assert value["Song 2"] == feature.values[data.titles.index("Song 2"), 0]
    assert whole.recordings is not None
    assert whole.recordings.tolist() == [0, 0, 0]  # 1 and 3 share numbers, 1 and 2 are one recording


def test_a_line_is_a_user_and_the_order_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "toy.txt"
    path.write_text("10 2 10\n\n7 2\n")
    data = read_sequences(path)
    assert data.item_ids == ("10", "2", "7")
    assert data.user_ids == ("1", "2", "3")
    assert lists(data.events.histories(3)) == [[0, 1, 0], [], [2, 1]]
    assert (data.events.at == NO_TIME).all()
    assert not data.honest_time
    path.write_text("\n")
    with pytest.raises(ValueError, match="no line with an item"):
        read_sequences(path)


def test_a_number_that_nobody_declared_counts_as_fetched() -> None:
    assert [of_cell(name, {}) for name in ("year", "genre:war", "vote_count", "whatever")] == [
        "release", "release", "fetched", "fetched",
    ]  # fmt: skip
    assert of_cell("whatever", {"whatever": "release"}) == "release"


@pytest.mark.real_data
def test_ml1m_sequences(real_data: Path) -> None:
    data = read_sequences(real_data / "ml-1m-sequences" / "train_input.txt")
    assert (data.users, data.items, len(data.events)) == (6_040, 3_416, 987_019)
    split = build(data, Loo())
    assert len(split.test) == len(split.validation) == 6_040
    line = (real_data / "ml-1m-sequences" / "train_input.txt").read_text().splitlines()[1].split()
    assert [data.item_ids[item] for item in split.test.queries.history[1]] == line[:-1]
    assert data.item_ids[split.test.targets[1][0]] == line[-1]
    assert data.item_ids[split.validation.targets[1][0]] == line[-2]
    assert json.dumps(dict(split.protocol))
    assert split.notes
