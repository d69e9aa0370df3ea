"""The connector spotify_tracks: what it reads, what it refuses."""

import pytest

from connectors import lines, spotify_tracks
from connectors.errors import SchemaDrift
from connectors.spotify_tracks import connect

A, B, C = "A" * 22, "B" * 22, "C" * 22
TIDY = "track_id,track_name,track_artist,playlist_name,playlist_id,playlist_genre,playlist_subgenre,danceability,key\n"
KAGGLE = ",track_id,artists,album_name,track_name,popularity,explicit,tempo,track_genre\n"


@pytest.fixture
def table(tmp_path):
    def write(text, name="songs.csv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return connect(path=str(tmp_path))

    return write


def test_the_rows_of_a_track_become_one_record_with_lists_of_genres(table, read):
    rows = [
        f"{A},Song,Ann,P1,p1,pop,dance pop,0.5,6\n",
        f"{B},Other,Bob,P1,p1,pop,dance pop,0.1,1\n",
        f"{A},Song,Ann,P2,p2,rock,dance pop,0.5,6\n",
    ]
    content = read(table(TIDY + "".join(rows)), "track")
    assert content.payloads("track")[A] == {
        "track_id": A,
        "track_name": "Song",
        "track_artist": "Ann",
        "playlist_name": "P1",
        "playlist_id": "p1",
        "playlist_genre": ["pop", "rock"],
        "playlist_subgenre": ["dance pop"],
        "danceability": "0.5",
        "key": "6",
    }
    assert sorted(content.payloads("track")) == [A, B]


def test_each_row_with_a_playlist_is_an_event_without_place_and_time(table, read):
    content = read(table(TIDY + f"{A},Song,Ann,P1,p1,pop,x,0.5,6\n{A},Song,Ann,,,pop,x,0.5,6\n"), "track")
    event = {"user": "p1", "item": A, "kind": "playlist", "value": None, "at": None, "position": None, "line": 2}
    assert content.events == [event]


def test_the_kaggle_form_has_no_playlists_and_its_row_number_is_left_out(table, read):
    rows = f'0,{A},Ann;Bob,"Album, The",Song,7,False,87.9,acoustic\n1,{A},Ann;Bob,"Album, The",Song,7,False,87.9,pop\n'
    content = read(table(KAGGLE + rows), "track")
    payload = content.payloads("track")[A]
    assert "" not in payload
    assert (payload["artists"], payload["album_name"], payload["explicit"]) == ("Ann;Bob", "Album, The", "False")
    assert payload["track_genre"] == ["acoustic", "pop"]
    assert not content.events


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (f"{A[:-1]},S,Ann,P,p,g,s,0.5,6", "track_id is not 22"),
        (f"{A[:-1]}-,S,Ann,P,p,g,s,0.5,6", "track_id is not 22"),
        (",S,Ann,P,p,g,s,0.5,6", "track_id is not 22"),
        (f"{A},,Ann,P,p,g,s,0.5,6", "track_name is missing"),
        (f"{A},NA,Ann,P,p,g,s,0.5,6", "track_name is missing"),
        (f"{A},S,Ann,P,p,g,s,much,6", "danceability is not a number"),
        (f"{A},S,Ann,P,p,g,s,nan,6", "danceability is not a number"),
        (f"{A},S,Ann,P,p,g,s,0.5,1_0", "key is not a number"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_column(table, read, row, detail):
    content = read(table(f"{TIDY}{B},S,Ann,P,p,g,s,0.5,6\n{row}\n{C},S,Ann,P,p,g,s,-1.5e-3,NA\n"), "track")
    assert sorted(content.payloads("track")) == [B, C]
    assert content.refused() == [(3, "bad_value")]
    assert content.rejects[0].detail.startswith(detail)
    assert len(content.events) == 2


def test_a_track_far_down_the_file_joins_its_first_row(table, read, monkeypatch):
    monkeypatch.setattr(lines, "PAGE_BYTES", 100)
    monkeypatch.setattr(spotify_tracks, "PAGE_RECORDS", 2)
    rows = [f"{letter * 22},S,Ann,P,p,g{turn},s,0.5,6\n" for turn in (1, 2) for letter in "ABCDE"]
    content = read(table(TIDY + "".join(rows)), "track")
    assert len(content.records) == 5
    assert all(payload["playlist_genre"] == ["g1", "g2"] for payload in content.payloads("track").values())
    assert len(content.events) == 10
    assert max(len(page.records) for page in content.pages) == 2


def test_what_is_held_is_bounded(table, read, monkeypatch):
    monkeypatch.setattr(spotify_tracks, "HELD_BYTES", 100)
    rows = [f"{letter * 22},S,Ann,P,p,g,s,0.5,6\n" for letter in "ABCDEA"]
    content = read(table(TIDY + "".join(rows)), "track")
    assert [record.source_id[0] for record in content.records] == list("ABCDEA")


def test_of_several_files_those_with_track_ids_are_read(table):
    table("a,b\n1,2\n", "other.csv")
    table("", "empty.csv")
    assert [part.file for part in table(TIDY, "songs.csv").parts()] == ["songs.csv"]


def test_a_table_without_artists_is_refused(table, read):
    with pytest.raises(SchemaDrift, match=r"'songs.csv' has no column 'track_artist' \(nearest: 'track_artists'\)"):
        read(table("track_id,track_name,track_artists\n"), "track")


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match="spotify_tracks: no CSV file with a column 'track_id'"):
        connect(path=str(tmp_path)).parts()


@pytest.mark.real_data
def test_real_tidytuesday_table_is_all_accounted_for(real_data, read):
    content = read(connect(path=str(real_data / "spotify-songs")), "track")
    assert len(content.events) + len(content.rejects) == 32_833
    assert len(content.rejects) == 5
    tracks = {record.source_id for record in content.records}
    assert len(tracks) == len(content.records)
    assert len(tracks | {reject.text[:22] for reject in content.rejects}) == 28_356
    assert len({event["user"] for event in content.events}) == 471
