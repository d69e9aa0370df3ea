"""Worlds from real files: what they say is served as it is, and nothing of them is lost."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest
import requests
import soundfile
from PIL import Image

from deployments.sandbox import clips
from deployments.sandbox.importer import import_world
from deployments.sandbox.serve import serve
from deployments.sandbox.songs import make_songs
from deployments.sandbox.tables import FilmTruth, SoundRow, TrackTruth, VideoRow, read_table


@pytest.fixture
def films(tmp_path: Path) -> dict[str, Path]:
    """Two films of MovieLens, one of which TMDb knows; a third that only TMDb knows; one poster."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n1,0000011,21\n2,0000012,\n", encoding="utf-8")
    told = {"id": 21, "title": "One", "poster_path": "/one.jpg", "genre_ids": [18], "imdb_id": "tt0000011"}
    other = {"id": 99, "title": "Ninety-nine", "poster_path": "/other.jpg", "genre_ids": [], "overview": None}
    records = [{**told, "vote_count": 4, "release_date": "1999-01-02", "overview": "Somebody."}, other]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "films_overview_poster.jsonl").write_text(lines, encoding="utf-8")
    names = ("movie_id", "person_id", "name", "job", "department", "cast_order", "character")
    cast = [(21, 5, "B", "Actor", "Acting", 1, "Two"), (21, 4, "A", "Actor", "Acting", 0, None)]
    rows = [*cast, (21, 6, "C", "Director", "Directing", None, None)]
    pl.DataFrame(rows, schema=list(names), orient="row").write_parquet(folder / "credits.parquet")
    Image.new("RGB", (182, 268), (200, 10, 10)).save(folder / "1.jpg")
    return {"movielens": folder, "tmdb": folder, "posters": folder}


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Three recordings of 35 s, and a text."""
    folder = tmp_path / "music"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(("file", "kind", "title", "artist", "seconds"))
        for place, song in enumerate(make_songs(3, 3)):
            soundfile.write(folder / f"{place}.flac", clips.make_clip(3, place, song), clips.RATE_HZ)
            table.writerow((f"{place}.flac", "music", song.title, song.artist.name, clips.SECONDS))
        table.writerow(("speech.txt", "speech", "Talk", "Somebody", 9))
    return folder


def test_films_are_served_as_the_files_say(films: dict[str, Path], tmp_path: Path) -> None:
    rows = import_world(tmp_path / "world", **films)
    with serve(tmp_path / "world") as sandbox:
        root = f"{sandbox.url}/tmdb/3"
        film = requests.get(f"{root}/movie/21?append_to_response=credits&api_key=x", timeout=5).json()
        found = requests.get(f"{root}/find/tt0000011?external_source=imdb_id&api_key=x", timeout=5).json()
        poster = requests.get(f"{sandbox.url}/media/image.tmdb.org/t/p/original/one.jpg", timeout=5).content
        drawn = requests.get(f"{sandbox.url}/media/image.tmdb.org/t/p/w342/other.jpg", timeout=5)
    assert (film["title"], film["overview"], film["vote_count"]) == ("One", "Somebody.", 4)
    assert [person["name"] for person in film["credits"]["cast"]] == ["A", "B"]
    assert [person["job"] for person in film["credits"]["crew"]] == ["Director"]
    assert found["movie_results"][0]["id"] == 21
    assert poster == (films["posters"] / "1.jpg").read_bytes()
    assert drawn.headers["content-type"] == "image/jpeg"
    assert rows["films"] == 2
    truth = {row.movielens: row.tmdb for row in read_table(tmp_path / "world", "truth_films", FilmTruth)}
    assert truth == {1: 21, 2: None}


def test_right_videos_play_the_very_file_and_wrong_ones_do_not(music: Path, tmp_path: Path) -> None:
    world = tmp_path / "world"
    import_world(world, music=music, listeners=2)
    sounds = {row.id: row for row in read_table(world, "sounds", SoundRow)}
    right = {name for true in read_table(world, "truth_tracks", TrackTruth) for name in true.youtube}
    videos = read_table(world, "videos", VideoRow)
    with serve(world) as sandbox:
        for video in videos:
            said = requests.get(f"{sandbox.url}/youtube/videos/{video.id}", timeout=5).json()
            if said["playability"]["status"] != "OK":
                continue
            (form, *others) = said["video"]["formats"]
            if video.id in right:
                assert not others
                content = requests.get(form["url"], timeout=5).content
                assert content == (music / f"{video.recording}.flac").read_bytes()
                assert said["video"]["duration"] == clips.SECONDS
            else:
                assert sounds[video.sound].file is None
    assert len(read_table(world, "truth_tracks", TrackTruth)) == 3


def test_recordings_without_a_manifest_are_known_by_their_tags(music: Path, tmp_path: Path) -> None:
    (music / "manifest.csv").unlink()
    with soundfile.SoundFile(music / "0.flac", "w", 22_050, 1, subtype="PCM_16", format="FLAC") as file:
        file.title, file.artist = "Tagged", "Tagger"
        file.write(clips.make_clip(3, 0, make_songs(3, 1)[0]))
    import_world(tmp_path / "world", music=music, listeners=1)
    truth = read_table(tmp_path / "world", "truth_tracks", TrackTruth)
    assert ("Tagged", "Tagger") in {(true.title, true.artist) for true in truth}
    assert ("1", "Unknown") in {(true.title, true.artist) for true in truth}


def test_nothing_is_imported_over_a_folder_nor_left_behind_by_a_failure(films: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ValueError, match="is there already"):
        import_world(tmp_path / "there", **films)
    (films["tmdb"] / "credits.parquet").unlink()
    with pytest.raises(ValueError, match=r"credits\.parquet' is not there"):
        import_world(tmp_path / "world", **films)
    assert not [path for path in tmp_path.iterdir() if "world" in path.name]


@pytest.mark.parametrize(("given", "told"), [({}, "give films"), ({"movielens": Path("x")}, "need both")])
def test_half_of_what_is_needed_is_refused(given: dict[str, Path], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        import_world(tmp_path / "world", **given)


@pytest.mark.real_data
def test_movielens_small_and_the_real_recordings_make_a_world(real_data: Path, tmp_path: Path) -> None:
    rows = import_world(
        tmp_path / "world",
        movielens=real_data / "movielens-small",
        tmdb=real_data / "tmdb-films",
        posters=real_data / "posters",
        music=real_data / "music-audio",
    )
    truth = read_table(tmp_path / "world", "truth_films", FilmTruth)
    assert len({row.tmdb for row in truth} - {None}) == 6656  # as the README of the TMDb files counts
    assert rows["truth_tracks"] >= 31
    with serve(tmp_path / "world") as sandbox:
        found = requests.get(
            f"{sandbox.url}/tmdb/3/search/movie", params={"query": "Toy Story", "api_key": "x"}, timeout=5
        ).json()
    assert found["results"][0]["id"] == 862
