"""What a world's tables promise: one truth, distractors beside it, and known shares of what is wrong or missing."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from deployments.sandbox.service_music import make_music
from deployments.sandbox.service_videos import RIGHT, make_videos
from deployments.sandbox.songs import make_songs
from deployments.sandbox.tables import (
    TABLES,
    AlbumRow,
    ArtistRow,
    FanRow,
    FilmRow,
    LastfmTrackRow,
    PictureRow,
    PlaylistRow,
    SongRow,
    SoundRow,
    TrackRow,
    TrackTruth,
    VideoRow,
    read_table,
)

SEED, MANY = 5, 1_500


def test_every_table_is_there_and_ids_are_no_twice(small_world: Path) -> None:
    keys = {"artists": "id", "albums": "spotify", "tracks": "spotify", "songs": "id", "videos": "id", "films": "id"}
    keys |= {"sounds": "id", "pictures": "id", "playlists": "id", "fans": "name"}
    for name, kind in TABLES.items():
        rows = read_table(small_world, name, kind)
        assert rows
        if name in keys:
            found = [getattr(row, keys[name]) for row in rows]
            assert len(set(found)) == len(found)


def test_rows_refer_to_rows_that_are_there(small_world: Path) -> None:
    artists = {row.id for row in read_table(small_world, "artists", ArtistRow)}
    albums = {row.spotify: row for row in read_table(small_world, "albums", AlbumRow)}
    tracks = {row.spotify: row for row in read_table(small_world, "tracks", TrackRow)}
    pictures = {row.id for row in read_table(small_world, "pictures", PictureRow)}
    sounds = {row.id for row in read_table(small_world, "sounds", SoundRow)}
    lastfm = read_table(small_world, "lastfm_tracks", LastfmTrackRow)
    videos = {row.id: row for row in read_table(small_world, "videos", VideoRow)}
    assert all(set(row.artists) <= artists and row.album in albums for row in tracks.values())
    assert all(row.picture in pictures for row in (*albums.values(), *videos.values(), *lastfm))
    assert all(row.sound in sounds for row in videos.values())
    assert all(place < len(lastfm) for fan in read_table(small_world, "fans", FanRow) for _, place in fan.plays)
    assert all(set(row.tracks) <= set(tracks) for row in read_table(small_world, "playlists", PlaylistRow))
    films = read_table(small_world, "films", FilmRow)
    assert all(film.trailer is None or videos[film.trailer].kind == "trailer" for film in films)
    assert any(film.trailer for film in films)


def test_truth_names_all_that_is_the_recording_and_nothing_else(small_world: Path) -> None:
    tracks = read_table(small_world, "tracks", TrackRow)
    videos = read_table(small_world, "videos", VideoRow)
    songs = read_table(small_world, "songs", SongRow)
    for true in read_table(small_world, "truth_tracks", TrackTruth):
        own = true.recording
        assert set(true.spotify) == {row.spotify for row in tracks if row.recording == own and row.kind == "song"}
        assert set(true.youtube) == {row.id for row in videos if row.recording == own and row.kind in RIGHT}
        assert set(true.genius) == {row.id for row in songs if row.recording == own and row.kind == "song"}
        assert bool(true.genius) == (true.lyrics != "absent")


def test_two_percent_of_the_recordings_have_a_wrong_field_and_it_differs_from_the_truth() -> None:
    songs = make_songs(SEED, MANY)
    music = make_music(SEED, songs)
    wrong = [row for row in music.tracks if row.wrong]
    assert 0.01 <= len(wrong) / MANY <= 0.03
    assert {row.wrong for row in wrong} == {"duration_ms", "isrc", "title", "artists", "released"}
    for row in wrong:
        assert row.recording is not None
        song = songs[row.recording]
        said = {
            "duration_ms": row.duration_ms != song.duration_ms,
            "isrc": row.isrc != music.isrcs[row.recording],
            "title": row.title != song.title,
            "artists": music.ids[song.artist.name] not in row.artists,
            "released": music.albums[row.album].released != song.album.released,
        }
        assert said[row.wrong or ""]


def test_distractors_of_every_kind_stand_beside_the_recordings() -> None:
    songs = make_songs(SEED, MANY)
    tracks = Counter(row.kind for row in make_music(SEED, songs).tracks)
    videos = Counter(row.kind for row in make_videos(SEED, songs).videos)
    assert all(tracks[kind] > 30 for kind in ("live", "remix", "cover", "karaoke", "sped_up", "instrumental"))
    assert all(videos[kind] > 100 for kind in ("live", "cover", "remix", "karaoke", "sped_up", "reaction", "loop"))
    without = {row.recording for row in make_videos(SEED, songs).videos if row.kind in RIGHT}
    assert 0.02 <= 1 - len(without) / MANY <= 0.08


def test_a_cover_has_the_name_and_not_the_artist_or_the_code_of_the_original() -> None:
    songs = make_songs(SEED, MANY)
    music = make_music(SEED, songs)
    covers = [row for row in music.tracks if row.kind == "cover"]
    for row in covers:
        assert row.recording is not None
        song = songs[row.recording]
        assert row.title == song.title.split(" (feat. ")[0]
        assert music.ids[song.artist.name] not in row.artists
        assert row.isrc != music.isrcs[row.recording]


def test_names_are_written_in_many_scripts() -> None:
    names = "".join({song.artist.name + song.title for song in make_songs(SEED, MANY)})
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in names if letter.isalpha()}
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "DEVANAGARI", "CJK", "HIRAGANA", "HANGUL"} <= scripts


def test_listeners_have_countries_and_genders_and_some_hide_them(small_world: Path) -> None:
    fans = read_table(small_world, "fans", FanRow)
    assert {fan.gender for fan in fans} <= {"m", "f", "n"}
    assert len({fan.country for fan in fans}) > 3
    assert all(list(fan.plays) == sorted(fan.plays, reverse=True) for fan in fans)


def test_a_broken_table_is_named_with_its_line(small_world: Path, tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    good = (small_world / "services/artists.jsonl").read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "services/artists.jsonl").write_text(f'{good}\n{{"id": 1}}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"artists\.jsonl, line 2: not a row of 'artists'"):
        read_table(tmp_path, "artists", ArtistRow)
