"""What every bulk connector of the registry must do."""

import builtins
import io
import json
import os
import tarfile
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import bulk, lines, registry
from connectors.base import event_schema
from connectors.errors import ConnectorError
from storage.reasons import Reason

LASTFM = "userid-timestamp-artid-artname-traid-traname.tsv"
SLICE = "mpd.slice.0-999.json"
SONG = f"{'A' * 22},Song,Ann,P,p,pop,x,0.5,6\n"


def _slice():
    row = {"track_uri": "spotify:track:" + "1" * 22, "track_name": "é"}
    return json.dumps({"playlists": [{"pid": pid, "tracks": [row, {**row, "pos": 1}]} for pid in range(3)]}).encode()


def _tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(SLICE)
        info.size = len(_slice())
        archive.addfile(info, io.BytesIO(_slice()))
    return buffer.getvalue()


def _zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SLICE, _slice())
        archive.writestr("mpd.slice.1000-1999.json", _slice())
    return buffer.getvalue()


def _parquet():
    buffer = io.BytesIO()
    names = {name: ["x", "y"] for name in ("name", "job", "department", "character")}
    pq.write_table(pa.table({"movie_id": [1, 2], "person_id": [3, 4], "cast_order": [0, None], **names}), buffer)
    return buffer.getvalue()


def sound(container):
    """A tenth of a second with a title in its tags, where the format has any."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8_000, 1, format=container) as file:
        if container != "WAV":
            file.title = "A Title"
        file.write(np.zeros(800))
    return buffer.getvalue()


SOURCES: dict[str, dict[str, bytes]] = {
    "movielens": {
        "movies.csv": b'movieId,title,genres\n1,"A, ""b""",x\n2,B,y\n',
        "ratings.csv": b"userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,3.5,964982703\n",
        "links.csv": b"movieId,imdbId,tmdbId\n1,0114709,862\n",
        "tags.dat": b"1::1::fun::964982703\n",
        "users.dat": b"1::F::1::10::48067\n",
    },
    "tmdb_files": {
        "films.jsonl": b'{"id": 1, "title": "A"}\n{"id": 2, "title": "B"}\n',
        "movies.csv": b'id,title,overview,genres\n1,A,x,"[{""id"": 1}]"\n2,B,y,[]\n',
        "credits.csv": b"movie_id,title,cast,crew\n1,A,[],[]\n",
        "credits.parquet": _parquet(),
    },
    "spotify_tracks": {
        "songs.csv": b"track_id,track_name,track_artist,playlist_name,playlist_id,playlist_genre,playlist_subgenre,"
        b"danceability,key\n" + SONG.encode() * 2
    },
    "mpd": {SLICE: _slice(), "a.tar.gz": _tar(), "b.zip": _zip()},
    "hetrec": {
        "artists.dat": b"id\tname\turl\tpictureURL\n1\tA\tx\ty\n2\tB\t\t\n",
        "user_artists.dat": b"userID\tartistID\tweight\r\n2\t1\t13883\r\n2\t2\t1\r\n",
        "user_taggedartists.dat": b"2\t1\t13\t1\t4\t2009\r\n",
        "tags.dat": b"tagID\ttagValue\r\n1\tmetal\r\n",
        "user_friends.dat": b"userID\tfriendID\n2\t275\n",
    },
    "recbole_atomic": {
        "a.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\ti\t3\t881250949\nu\tj\t2\t1\n",
        "a.item": b"item_id:token\tmovie_title:token_seq\tprice:float\ni\tToy Story\t1.5\nj\tHeat\t\n",
        "a.user": b"user_id:token\tage:token\nu\t24\n",
    },
    "music_folder": {"a.wav": sound("WAV"), "b.ogg": sound("OGG"), "c.flac": sound("FLAC"), "d.mp3": sound("MP3")},
    "image_folder": {"a.png": b"\x89PNG", "b.JPG": b"\xff\xd8"},
    "lastfm_1k": {
        LASTFM: b"u\t2009-05-04T23:08:57Z\t\tA\t\tT\nu\t2009-05-04T23:09:57Z\tx\tA\ty\tT\n",
        "userid-profile.tsv": b"#id\tgender\tage\tcountry\tregistered\nu\tm\t\tJapan\tAug 13, 2006\n",
    },
}
# A line that each of the files that are read by lines can grow by.
GROWTH = {
    "movielens": ("rating", "ratings.csv", b"7,1,4.0,964982703\n"),
    "tmdb_files": ("film", "films.jsonl", b'{"id": 7, "title": "C"}\n'),
    "spotify_tracks": ("track", "songs.csv", SONG.encode()),
    "mpd": ("playlist", SLICE, b" "),
    "hetrec": ("play", "user_artists.dat", b"3\t1\t5\n"),
    "recbole_atomic": ("inter", "a.inter", b"v\ti\t3\t881250949\n"),
    "music_folder": ("file", "a.wav", b"\x00"),
    "image_folder": ("file", "a.png", b"\x00"),
    "lastfm_1k": ("play", LASTFM, b"u\t2009-05-04T23:08:57Z\t\tA\t\tU\n"),
}
# A new connector brings a folder of samples: `samples/NAME`, small files as they are read.
SAMPLES = Path(__file__).with_name("samples")
SOURCES |= {folder.name: {file.name: file.read_bytes() for file in folder.iterdir()} for folder in SAMPLES.glob("*/")}
EVERY = pytest.mark.parametrize("name", sorted(registry.CONNECTORS))
FILES = [(name, file) for name in sorted(SOURCES) for file in SOURCES[name]]


def lay(folder, name):
    for file, data in SOURCES[name].items():
        (folder / file).write_bytes(data)
    return registry.connect(name, path=str(folder))


def test_every_connector_of_the_registry_is_checked_here():
    assert set(SOURCES) == set(registry.CONNECTORS)
    assert set(GROWTH) <= set(SOURCES)


def test_an_unknown_connector_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown connector 'movilens'; did you mean 'movielens'"):
        registry.connect("movilens", path="x")


@EVERY
def test_the_name_is_the_registry_key_and_parts_are_of_known_entities(name, tmp_path):
    connector = lay(tmp_path, name)
    assert connector.name == name
    assert {part.entity for part in connector.parts()} == connector.entities
    keys = [(part.entity, part.key) for part in connector.parts()]
    assert len(set(keys)) == len(keys)
    connector.close()


@EVERY
def test_two_connectors_of_the_same_settings_list_the_same_parts(name, tmp_path):
    assert lay(tmp_path, name).parts() == registry.connect(name, path=str(tmp_path)).parts()


@EVERY
def test_pages_are_whole_and_events_have_the_schema(name, tmp_path, read):
    connector = lay(tmp_path, name)
    for entity in connector.entities:
        content = read(connector, entity)
        assert content.records or content.events
        assert not content.rejects
        for page in content.pages:
            assert page.events.schema.equals(event_schema(), check_metadata=True)
            page.events.validate(full=True)
        for record in content.records:
            json.dumps(record.payload, allow_nan=False)
            assert record.source_id
            assert record.url.startswith(tuple(SOURCES[name]))
            assert record.fetched_at.utcoffset().total_seconds() == 0


@EVERY
def test_the_cursor_resumes_at_the_first_part_that_is_not_finished(name, tmp_path, read, monkeypatch):
    monkeypatch.setattr(bulk, "PART_BYTES", 40)
    connector = lay(tmp_path, name)
    for entity in connector.entities:
        parts = [part for part in connector.parts() if part.entity == entity]
        pages = read(connector, entity, keys=parts).pages
        assert [page.part for page in pages] == sorted((page.part for page in pages), key=parts.index)
        assert {page.part for page in pages} == set(parts)
        assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]
        for page, following in pairwise(pages):
            assert parts[int(page.cursor)] == following.part
            resumed = read(connector, entity, keys=parts, cursor=page.cursor)
            assert resumed.pages[0].part == following.part


@EVERY
def test_reading_a_part_alone_gives_what_reading_all_gives(name, tmp_path, read):
    connector = lay(tmp_path, name)
    for entity in connector.entities:
        parts = [part for part in connector.parts() if part.entity == entity]
        alone = [read(connector, entity, keys=[part]) for part in parts]
        assert [record for content in alone for record in content.records] == read(connector, entity).records


@EVERY
def test_bad_arguments_are_refused_before_anything_is_read(name, tmp_path):
    connector = lay(tmp_path, name)
    entity = sorted(connector.entities)[0]
    with pytest.raises(ValueError, match=f"{name}: unknown entity 'nope'; known: {entity}"):
        connector.pages("nope")
    with pytest.raises(ValueError, match=f"{name}: cursor 'x' is not the number of a part"):
        connector.pages(entity, cursor="x")
    others = [part for part in connector.parts() if part.entity != entity]
    if others:
        with pytest.raises(ValueError, match=f"expected '{entity}'"):
            connector.pages(entity, keys=others)


@EVERY
def test_a_cursor_after_the_last_part_gives_nothing(name, tmp_path, read):
    connector = lay(tmp_path, name)
    for entity in connector.entities:
        assert read(connector, entity, keys=[]).pages == []
        assert read(connector, entity, cursor="99").pages == []


@EVERY
def test_a_path_that_does_not_exist_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=rf"{name}: there is no '.*gone'; expected a folder or a file; check `path`"):
        registry.connect(name, path=str(tmp_path / "gone"))


@EVERY
def test_an_empty_folder_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name}: no "):
        registry.connect(name, path=str(tmp_path)).parts()


@EVERY
def test_a_file_that_went_away_is_not_found(name, tmp_path):
    connector = lay(tmp_path, name)
    parts = connector.parts()
    for file in SOURCES[name]:
        (tmp_path / file).unlink()
    for part in parts:
        with pytest.raises(ConnectorError, match=rf"{name}: cannot read '{part.file}'"):
            connector.digest(part)
        with pytest.raises(ConnectorError, match=rf"{name}: cannot read '{part.file}'"):
            list(connector.pages(part.entity, keys=[part]))


@pytest.mark.parametrize(("name", "file"), FILES)
def test_an_empty_file_ends_or_is_a_clear_error(name, file, tmp_path, read):
    lay(tmp_path, name)
    (tmp_path / file).write_bytes(b"")
    connector = registry.connect(name, path=str(tmp_path))
    messages = [_error(read, connector, entity) for entity in connector.entities]
    assert {message[: len(name) + len(file) + 13] for message in messages} <= {"", f"{name}: '{file}' is empty"}


def _error(read, connector, entity):
    try:
        read(connector, entity)
    except ConnectorError as exc:
        return str(exc)
    return ""


@EVERY
def test_listing_parts_reads_no_more_than_a_header_or_a_directory(name, tmp_path, monkeypatch):
    connector = lay(tmp_path, name)
    opened, real = [], io.open
    monkeypatch.setattr(
        io, "open", lambda file, *args, **kwargs: opened.append(Path(file).name) or real(file, *args, **kwargs)
    )
    monkeypatch.setattr(builtins, "open", lambda *args, **kwargs: pytest.fail("opened a file"))
    connector.parts()
    allowed = {"mpd": {"b.zip"}, "tmdb_files": {"movies.csv", "credits.csv"}}
    assert set(opened) <= allowed.get(name, set())


@EVERY
def test_a_digest_changes_only_for_the_part_that_grew(name, tmp_path, monkeypatch):
    connector = lay(tmp_path, name)
    part = connector.parts()[0]
    its_last_line = SOURCES[name][part.file].splitlines(keepends=True)[-1]
    entity, file, more = GROWTH.get(name, (part.entity, part.file, its_last_line))
    data = SOURCES[name][file]
    (tmp_path / file).write_bytes(data + (b"" if name == "mpd" else more * 20))
    monkeypatch.setattr(bulk, "PART_BYTES", 200)
    before = {part.key: connector.digest(part) for part in connector.parts() if part.entity == entity}
    assert before == {part.key: connector.digest(part) for part in connector.parts() if part.entity == entity}
    with (tmp_path / file).open("ab") as stream:
        stream.write(more)
    grown = {part.key: connector.digest(part) for part in connector.parts() if part.entity == entity}
    changed = [key for key, digest in grown.items() if before.get(key) != digest]
    assert before.keys() <= grown.keys()
    assert len(changed) == 1
    assert changed[0].startswith(f"{file}@")
    assert changed[0] == list({key: None for key in grown if key.startswith(f"{file}@")})[-1]


@EVERY
def test_the_stat_of_a_part_changes_when_its_file_is_touched(name, tmp_path):
    connector = lay(tmp_path, name)
    before = connector.parts()
    for file in SOURCES[name]:
        os.utime(tmp_path / file, ns=(1, 1))
    assert all(old.stat != new.stat for old, new in zip(before, connector.parts(), strict=True))
    assert all(part.stat == f"{(tmp_path / part.file).stat().st_size}-1" for part in connector.parts())


def exhaust(name, folder, read):
    """Reads all that is there; a connector may only refuse rows, or raise its own errors or a ValueError."""
    try:
        connector = registry.connect(name, path=str(folder))
        parts = connector.parts()
    except (ConnectorError, ValueError):
        return
    for part in parts:
        connector.digest(part)
        try:
            content = read(connector, part.entity, keys=[part])
        except ConnectorError:
            continue
        for reject in content.rejects:
            assert Reason(reject.reason)
            assert len(reject.text) <= 500
            json.dumps([reject.text, reject.detail], ensure_ascii=False).encode()
        for record in content.records:
            json.dumps([record.source_id, record.url, record.payload], ensure_ascii=False, allow_nan=False).encode()


EDIT = st.tuples(
    st.integers(0, 4_000),
    st.integers(0, 40),
    st.binary(max_size=24) | st.sampled_from([b'"', b"\n", b"\x00", b"\\ud800"]),
)


@pytest.mark.parametrize(("name", "file"), FILES)
@given(edits=st.lists(EDIT, max_size=4), keep=st.integers(0, 4_000))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_files_end_in_refusals_never_in_another_error(name, file, tmp_path, read, edits, keep):
    lay(tmp_path, name)
    data = bytearray(SOURCES[name][file])
    for at, length, new in edits:
        at %= len(data) + 1
        data[at : at + length] = new
    (tmp_path / file).write_bytes(bytes(data[: max(keep, 1) if keep < len(data) else None]))
    exhaust(name, tmp_path, read)


@pytest.mark.parametrize(("name", "file"), FILES)
@given(garbage=st.binary(max_size=400), after_header=st.booleans())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_garbage_ends_in_refusals_never_in_another_error(name, file, tmp_path, read, garbage, after_header):
    lay(tmp_path, name)
    header = SOURCES[name][file].partition(b"\n")[0] + b"\n" if after_header else b""
    (tmp_path / file).write_bytes(header + garbage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "PART_BYTES", 64)
        patch.setattr(lines, "PAGE_BYTES", 48)
        exhaust(name, tmp_path, read)


@pytest.mark.parametrize(
    ("name", "entity", "file"),
    [
        ("movielens", "rating", "ratings.csv"),
        ("movielens", "movie", "movies.csv"),
        ("tmdb_files", "film", "films.jsonl"),
        ("spotify_tracks", "track", "songs.csv"),
        ("lastfm_1k", "play", LASTFM),
        ("hetrec", "play", "user_artists.dat"),
        ("hetrec", "artist", "artists.dat"),
        ("recbole_atomic", "inter", "a.inter"),
        ("recbole_atomic", "item", "a.item"),
    ],
)
def test_good_and_refused_rows_make_up_the_file(name, entity, file, tmp_path, read):
    if name in ("movielens", "hetrec"):
        lay(tmp_path, name)
    good = SOURCES[name][file].splitlines(keepends=True)
    bad = [b"cut\n", b"\n", b"\xff\xfe\n", b"\x00\n", b"a,b,c\n"]
    (tmp_path / file).write_bytes(b"".join([*good, *bad]))
    content = read(registry.connect(name, path=str(tmp_path)), entity)
    header = 0 if name == "lastfm_1k" or file.endswith(".jsonl") else 1
    taken = len(content.events) or len(content.records)
    assert taken == len(good) - header
    assert [reject.line for reject in content.rejects] == [len(good) + at for at in (1, 3, 4, 5)]
