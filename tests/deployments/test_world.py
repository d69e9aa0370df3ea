"""The invented world: the same bytes each time, never over somebody's files, and dirty where it says so."""

import csv
import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image

from benchmarks.synthetic import movielens_folder
from connectors.matching import match_key
from connectors.registry import connect
from deployments.sandbox import clips
from deployments.sandbox import world as sandbox
from deployments.sandbox.songs import make_songs
from deployments.sandbox.world import SMALLEST, SOURCES, World, generate, main
from storage.store import Store
from tasks.media_sources import media_path, media_roots, wanted_media
from tasks.plan import all_stages
from tasks.prepare import ensure_world
from tasks.run_stage import run_stage
from tasks.settings import load_catalogue

SMALL = {"films": 60, "tracks": 60, "listeners": 5, "viewers": 20, "playlists": 6, "clips": 5, "posters": 6}


def small(folder: Path, **others: int) -> World:
    return generate(folder, **{**SMALL, **others})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return small(tmp_path_factory.mktemp("worlds") / "small")


def content(folder: Path) -> dict[str, str]:
    """Digest of what each file holds, but for those whose bytes and content depend on the library that writes them."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".parquet", ".jpg"))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(held(path)).hexdigest() for path in files}


def held(path: Path) -> bytes:
    """Samples of a recording, pixels of a cover, bytes of any other file."""
    if path.suffix == ".flac" and path.stat().st_size:
        return soundfile.read(path, dtype="int16")[0].tobytes()
    return Image.open(path).tobytes() if path.suffix == ".png" else path.read_bytes()


def rows(world: World, file: str, separator: str = ",") -> list[list[str]]:
    """The rows of a file that truth does not call bad, its header included."""
    bad = {row.line for row in world.bad_rows if row.file == file}
    quoting = csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
    with (world.folder / file).open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator, quoting=quoting)
        return [row for line, row in enumerate(reader, 1) if line not in bad]


def films(world: World) -> list[dict[str, Any]]:
    bad = {row.line for row in world.bad_rows if row.file.startswith("tmdb/")}
    text = (world.folder / "tmdb/films_overview_poster.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for number, line in enumerate(text.splitlines(), 1) if number not in bad]


def test_the_same_parameters_give_the_same_bytes(world: World, tmp_path: Path) -> None:
    again = small(tmp_path / "again").folder
    files = [path.relative_to(again) for path in again.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert all((again / file).read_bytes() == (world.folder / file).read_bytes() for file in files)


def test_bytes_change_only_with_the_generator_version(world: World) -> None:
    """The digest of all files, from any machine; whoever changes it raises GENERATOR and writes the new one here."""
    together = hashlib.sha256(json.dumps(content(world.folder)).encode()).hexdigest()
    assert (sandbox.GENERATOR, together[:16]) == (4, "2139be299b255120")


def test_another_seed_is_another_world(world: World, tmp_path: Path) -> None:
    other = small(tmp_path / "other", seed=8)
    same = set(content(other.folder).values()) & set(content(world.folder).values())
    broken = [world.folder / file for file, fault in world.truth()["media"].items() if fault in ("empty", "silent")]
    assert same == {hashlib.sha256(held(path)).hexdigest() for path in [*broken, world.folder / "audio/about.txt"]}


def test_a_world_that_is_there_is_left_alone(tmp_path: Path) -> None:
    first = small(tmp_path / "w")
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    second = small(tmp_path / "w")
    assert first.written
    assert not second.written
    assert second.bad_rows == first.bad_rows
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before


def test_a_world_of_other_parameters_is_replaced(tmp_path: Path) -> None:
    small(tmp_path / "w")
    replaced = small(tmp_path / "w", films=80)
    assert replaced.written
    assert replaced.truth()["parameters"]["films"] == 80
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_a_world_of_another_generator_version_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(tmp_path / "w")
    monkeypatch.setattr(sandbox, "GENERATOR", sandbox.GENERATOR + 1)
    assert small(tmp_path / "w").written


def test_a_world_with_a_file_missing_is_made_again(tmp_path: Path) -> None:
    made = small(tmp_path / "w")
    (made.folder / "movielens/tags.csv").unlink()
    assert small(tmp_path / "w").written
    assert (made.folder / "movielens/tags.csv").exists()


@pytest.mark.parametrize("inside", [{}, {"notes.txt": "mine"}, {"truth.json": "{}"}, {"truth.json": "[not json"}])
def test_a_folder_that_is_no_world_is_refused(tmp_path: Path, inside: dict[str, str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in inside.items():
        (folder / name).write_text(text)
    with pytest.raises(ValueError, match="exists and is not a world"):
        small(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == inside


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not a world"):
        small(tmp_path / "file")


def test_a_world_with_foreign_files_is_not_replaced(tmp_path: Path) -> None:
    made = small(tmp_path / "w")
    (made.folder / "movielens/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"movielens/notes\.txt"):
        small(tmp_path / "w", films=80)
    assert (made.folder / "movielens/notes.txt").read_text() == "mine"
    assert made.truth()["parameters"]["films"] == SMALL["films"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("deployments.sandbox.contents.song_files.write_mpd", full)
    with pytest.raises(OSError, match="disk full"):
        small(tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    for name, hours in ((".world.abcd1234", 2), (".world.efgh5678", 0)):  # the second may be at work
        (tmp_path / name / "new").mkdir(parents=True)
        at = time.time() - 3600 * hours
        os.utime(tmp_path / name, (at, at))
    generate(tmp_path / "world", **SMALLEST)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".world.efgh5678", "world"]


def test_numbers_too_small_for_a_world_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="films is 3, expected at least 20"):
        small(tmp_path / "w", films=3)


@pytest.mark.parametrize("least", [{"films": 20, "tracks": 30, "listeners": 1, "viewers": 1, "playlists": 1}])
def test_the_smallest_world_can_be_made(tmp_path: Path, least: dict[str, int]) -> None:
    assert generate(tmp_path / "w", **least).written


def test_bad_rows_are_where_truth_says_and_nowhere_else(world: World) -> None:
    """The connectors refuse exactly them, for the reason that truth gives."""
    found: set[tuple[str, int, str]] = set()
    for name, folder in SOURCES.items():
        connector = connect(name, path=str(world.source(name)))
        for entity in connector.entities:
            for page in connector.pages(entity):
                found |= {(f"{folder}/{reject.file}", reject.line, str(reject.reason)) for reject in page.rejects}
    assert found == {(row.file, row.line, row.reason) for row in world.bad_rows}
    assert len(found) == 8


def test_truth_lists_the_bad_rows(world: World) -> None:
    told = world.truth()["bad_rows"]
    assert {(row["file"], row["line"], row["reason"]) for row in told} == {
        (row.file, row.line, row.reason) for row in world.bad_rows
    }


def test_movielens_files_are_laid_out_as_the_originals(world: World) -> None:
    for file in (world.folder / "movielens").iterdir():
        data = file.read_bytes()
        assert data.count(b"\n") == data.count(b"\r\n")
    movies, links = rows(world, "movielens/movies.csv"), rows(world, "movielens/links.csv")
    assert movies[0] == ["movieId", "title", "genres"]
    assert [row[0] for row in movies[1:]] == [row[0] for row in links[1:]]
    assert all(re.fullmatch(r".+ \((19|20)\d\d\)", title) for _, title, _ in movies[1:])
    assert any(", The" in title for _, title, _ in movies[1:])
    assert any("|" in genres for _, _, genres in movies[1:])
    assert all(re.fullmatch(r"\d{7}", imdb) for _, imdb, _ in links[1:])


def test_nobody_rates_a_film_twice(world: World) -> None:
    ratings = rows(world, "movielens/ratings.csv")[1:]
    pairs = [(user, movie) for user, movie, _, _ in ratings]
    assert len(set(pairs)) == len(pairs) > 100
    assert {stars for _, _, stars, _ in ratings} <= {f"{half / 2:.1f}" for half in range(1, 11)}


def test_viewers_prefer_the_genres_they_like(world: World) -> None:
    truth = world.truth()
    genre = {film["movielens"]: film["genres"][0] for film in truth["films"]}
    stars: dict[bool, list[float]] = {True: [], False: []}
    for user, movie, value, _ in rows(world, "movielens/ratings.csv")[1:]:
        stars[truth["viewers"][user][0]["genres"][genre[movie]] > 0.5].append(float(value))
    assert sum(stars[True]) / len(stars[True]) > sum(stars[False]) / len(stars[False]) + 0.5


def test_tmdb_covers_the_films_that_truth_says(world: World) -> None:
    truth = [film["tmdb"] for film in world.truth()["films"] if film["tmdb"]]
    credits = pl.read_parquet(world.folder / "tmdb/credits.parquet")
    assert sorted(str(film["id"]) for film in films(world)) == sorted(truth)
    assert sorted(str(movie) for movie in credits["movie_id"].unique()) == sorted(truth)
    assert 0.6 < len(truth) / SMALL["films"] < 1


def test_each_film_has_a_director_and_its_actors_in_order(world: World) -> None:
    credits = pl.read_parquet(world.folder / "tmdb/credits.parquet")
    assert credits.select("movie_id", "person_id", "job").is_unique().all()
    for _, people in credits.group_by("movie_id"):
        order = people.filter(pl.col("job") == "Actor")["cast_order"].to_list()
        assert order == list(range(len(order)))
        assert 3 <= len(order) <= 6
        assert (people["job"] == "Director").sum() == 1


def test_audio_features_tell_genres_apart(world: World) -> None:
    table = rows(world, "spotify/spotify_songs.csv")
    tracks = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    true = {spotify: song["genre"] for song in world.truth()["recordings"] for spotify in song["spotify"]}
    energy = {
        genre: [float(track["energy"]) for track in tracks if true[track["track_id"]] == genre]
        for genre in ("edm", "r&b")
    }
    assert sum(energy["edm"]) / len(energy["edm"]) > sum(energy["r&b"]) / len(energy["r&b"]) + 0.2
    assert all(re.fullmatch("[0-9A-Za-z]{22}", track["track_id"]) for track in tracks)


def test_playlists_count_what_they_hold(world: World) -> None:
    document = json.loads((world.folder / "mpd/mpd.slice.0-999.json").read_bytes())
    assert [playlist["pid"] for playlist in document["playlists"]] == list(range(SMALL["playlists"]))
    for playlist in document["playlists"]:
        tracks = playlist["tracks"]
        assert playlist["num_tracks"] == len(tracks) == len({track["track_uri"] for track in tracks})
        assert playlist["num_artists"] == len({track["artist_uri"] for track in tracks})
        assert playlist["duration_ms"] == sum(track["duration_ms"] for track in tracks)
        assert [track["pos"] for track in tracks] == list(range(len(tracks)))


def test_plays_come_newest_first_and_never_twice_at_once(world: World) -> None:
    plays = rows(world, "lastfm/userid-timestamp-artid-artname-traid-traname.tsv", "\t")
    times: dict[str, list[str]] = {}
    for user, at, *_ in plays:
        times.setdefault(user, []).append(at)
    assert list(times) == [f"user_{number:06d}" for number in range(1, SMALL["listeners"] + 1)]
    assert all(mine == sorted(set(mine), reverse=True) for mine in times.values())


def test_every_play_is_of_a_recording_that_truth_knows(world: World) -> None:
    known = {(how["artist"], how["title"]) for song in world.truth()["recordings"] for how in song["lastfm"]}
    plays = rows(world, "lastfm/userid-timestamp-artid-artname-traid-traname.tsv", "\t")
    assert {(row[3], row[5]) for row in plays} <= known


def test_only_typos_hide_a_recording_from_normalised_names(tmp_path: Path) -> None:
    songs = generate(tmp_path / "w", **{**SMALL, "tracks": 300, "listeners": 20}).truth()["recordings"]
    keys = [match_key([song["artist"]], song["title"]) for song in songs]
    assert len(set(keys)) == len(songs)
    lost: set[str] = set()
    ways: set[str] = set()
    for song, key in zip(songs, keys, strict=True):
        ways |= {how["how"] for how in song["lastfm"]}
        lost |= {how["how"] for how in song["lastfm"] if match_key([how["artist"]], how["title"]) != key}
    assert lost == {"typo"}
    assert {"same", "case", "accents", "guests", "the"} <= ways


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path / "w"), *(f"--{name}={value}" for name, value in SMALL.items())]
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "written, 8 bad rows on purpose",
        "there already, 8 bad rows on purpose",
    ]
    assert main([str(tmp_path)]) == 2
    assert "is not a world" in capsys.readouterr().err


def test_synthetic_films_have_distinct_titles_and_one_rating_a_user(tmp_path: Path) -> None:
    folder = movielens_folder(tmp_path / "many", films=20_000, ratings_per_film=3, users=7)
    connector = connect("movielens", path=str(folder))
    movies = [record.payload["title"] for page in connector.pages("movie") for record in page.records]
    assert len({title[: -len(" (1999)")] for title in movies}) == len(movies) == 20_000
    pages = list(connector.pages("rating"))
    assert sum(page.events.num_rows for page in pages) == 60_000
    assert not any(page.rejects for page in pages)
    ratings = pl.read_csv(folder / "ratings.csv")
    assert ratings.select("userId", "movieId").is_unique().all()


def test_synthetic_ratings_need_enough_users(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="8 ratings per film by 7 users"):
        movielens_folder(tmp_path, films=10, ratings_per_film=8, users=7)


# --- recordings and pictures


def test_recordings_and_pictures_are_whole_but_for_those_that_truth_calls_broken(world: World) -> None:
    media = world.truth()["media"]
    assert sorted(fault for fault in media.values() if fault) == ["empty", "silent", "truncated"]
    on_disk = {
        p.relative_to(world.folder).as_posix() for p in world.folder.rglob("*") if p.suffix in (".flac", ".png", ".jpg")
    }
    assert on_disk == set(media)
    for file, fault in media.items():
        path = world.folder / file
        if fault == "empty":
            assert path.stat().st_size == 0
        elif file.endswith(".flac"):
            samples, rate = soundfile.read(path, dtype="int16")
            assert (len(samples) / rate, bool(samples.any())) == (clips.SECONDS, fault is None)
        elif fault == "truncated":
            with pytest.raises(OSError, match="truncated"):
                Image.open(path).load()
        else:
            assert len(np.unique(np.asarray(Image.open(path)).reshape(-1, 3), axis=0)) > 50


def measured(samples: Any) -> tuple[float, float]:
    """Centre of the spectrum in Hz, and the period in seconds at which the loudness repeats best."""
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    centre = float((power * np.fft.rfftfreq(len(samples), 1 / clips.RATE_HZ)).sum() / power.sum())
    hop = 256
    loudness = np.abs(samples[: len(samples) // hop * hop].astype(float)).reshape(-1, hop).mean(axis=1)
    change = np.diff(loudness).clip(0)
    change -= change.mean()
    lags = range(int(0.2 * clips.RATE_HZ / hop), int(3.2 * clips.RATE_HZ / hop))
    best = max(lags, key=lambda lag: float((change[lag:] * change[:-lag]).mean()))
    return centre, best * hop / clips.RATE_HZ


def test_genres_differ_in_timbre_and_the_tempo_can_be_heard() -> None:
    songs, centres = make_songs(7, 40), dict[str, list[float]]()
    for place, song in enumerate(songs[:24]):
        centre, period = measured(clips.make_clip(7, place, song))
        centres.setdefault(song.genre, []).append(centre)
        beats = period * song.sound.tempo_bpm / 60
        assert abs(beats - round(2 * beats) / 2) < 0.06, (song.genre, beats)  # halves of beats: syncopation
    assert set(centres) == set(clips.TIMBRES)
    mean = {genre: sum(found) / len(found) for genre, found in centres.items()}
    assert min(mean["edm"], mean["rock"]) > 1.5 * max(mean["r&b"], mean["rap"])


def test_another_song_is_another_clip_and_the_same_one_the_same() -> None:
    first, second = make_songs(7, 30)[:2]
    assert (clips.make_clip(7, 0, first) == clips.make_clip(7, 0, first)).all()
    assert (clips.make_clip(7, 0, first) != clips.make_clip(7, 1, second)).any()
    assert int(np.abs(clips.make_clip(7, 0, first)).max()) < 2**15 - 1


def test_the_bulk_demo_hears_and_sees_its_tracks_and_films(home: Path) -> None:
    catalogue = load_catalogue("demo-files")
    ensure_world(catalogue)
    truth = json.loads((home / "worlds/demo-files/truth.json").read_bytes())
    store = Store(catalogue.store_url)
    store.create()
    for stage in all_stages(catalogue, store)[:4]:
        run_stage(store, stage, build_id="b")
    con = store.database()
    titles = dict(con.sql("select item_id, title from items").fetchall())
    named = {song["spotify"][0]: song["title"] for song in truth["recordings"]}
    named |= {film["movielens"]: film["title"] for film in truth["films"]}
    found: set[str] = set()
    for entity in ("audio", "image"):
        roots = media_roots(catalogue, entity)
        for item, source, file, _ in con.sql(wanted_media(catalogue, entity)).fetchall():
            path = media_path(roots, source, file)
            found.add(path.relative_to(home / "worlds/demo-files").as_posix())
            assert titles[item] == named[path.stem]
    assert found == set(truth["media"])
    assert len(found) == 60 + 60 + 200
    assert con.sql("select source, file, reason from quarantine where line = 0").fetchall() == [
        ("music-files", "about.txt", "not_media")
    ]
