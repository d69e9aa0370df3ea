"""Folders of recordings and pictures: every file ends as records or as one refusal, whatever it is called."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from connectors import folders
from connectors.errors import NotFound
from connectors.folders import claimed_id, decode_name, encode_name, path_of
from connectors.registry import connect

TONE = np.sin(np.arange(800) / 10).astype(np.float32)
ODD_NAMES = [
    b"a song.flac", "Füchse – 狐.flac".encode(), b'say "hi".flac', b"it's.flac", b"50%.flac", b"50%25.flac",
    b"take [1].flac", b"two\nlines.flac", b"tab\tbed.flac", b"not utf-8 \xff\xfe.flac", b"back\\slash.flac",
    b"UPPER.FLAC", b"many.dots.in.it.flac", b"-rf.flac", b"semi;colon.flac", b"${HOME}.flac", b" .flac", b"a:b#c.flac",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "music"


def put(folder, name, data=b""):
    """A file of that name (bytes), and the folders it needs."""
    path = os.path.join(os.fsencode(folder), name if isinstance(name, bytes) else name.encode())
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return Path(os.fsdecode(path))


def song(path, **tags):
    """A tenth of a second of a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for name, text in tags.items():
            setattr(file, name, text)
        file.write(TONE)


def music(folder, **options):
    return connect("music_folder", path=str(folder), **options)


def refused(content):
    return {reject.file: (str(reject.reason), reject.line) for reject in content.rejects}


# --- names


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
@example(b"%25")
@example(b"\xc3\xa9 \xe9")
def test_a_name_comes_back_as_it_was_and_is_printable_text(name):
    encoded = encode_name(os.fsdecode(name))
    assert os.fsencode(decode_name(encoded)) == name
    encoded.encode("utf-8")
    assert not set(encoded) & set(map(chr, [*range(32), *range(127, 160), 0x2028, 0x2029]))


def test_files_of_any_name_are_tracks_that_can_be_opened_by_their_record(folder, read):
    for name in ODD_NAMES:
        put(folder, b"sub [x]/" + name, b"not really audio")
    content = read(music(folder), "file")
    tracks = content.payloads("track")
    assert not content.rejects
    assert len(tracks) == len(content.payloads("audio")) == len(ODD_NAMES)
    found = {os.fsencode(path_of(folder, payload["file"]).name) for payload in tracks.values()}
    assert found == set(ODD_NAMES)
    assert all(path_of(folder, file).read_bytes() == b"not really audio" for file in tracks)


def test_parts_come_in_the_order_of_names_below_the_folder(folder):
    for name in ("b/2.mp3", "a.mp3", "b/10.mp3", "B.mp3", "b.mp3", "c/d/e.mp3"):
        put(folder, name)
    assert [part.file for part in music(folder).parts()] == [
        "B.mp3", "a.mp3", "b/10.mp3", "b/2.mp3", "b.mp3", "c/d/e.mp3",
    ]  # fmt: skip


# --- what is no media, or cannot be read


def test_what_is_no_recording_is_refused_once_and_named(folder, read):
    for name in ("song.mp3", "cover.jpg", "README", ".hidden.mp3", "._song.mp3", ".trash/x.mp3", "list.m3u", "mp3"):
        put(folder, name, b"x")
    content = read(music(folder), "file")
    assert [record.entity for record in content.records] == ["track", "audio"]
    assert refused(content) == dict.fromkeys(
        ["cover.jpg", "README", ".hidden.mp3", "._song.mp3", ".trash/x.mp3", "list.m3u", "mp3"], ("not_media", 0)
    )
    details = {reject.file: reject.detail for reject in content.rejects}
    assert "hidden" in details["._song.mp3"]
    assert details["cover.jpg"] == "extension 'jpg' is none of recordings"


def test_loops_broken_links_and_folders_that_are_read_anyway_are_refused_and_end(folder, tmp_path, read):
    song(folder / "a" / "song.wav")
    (folder / "a" / "up").symlink_to("..")
    (folder / "z").symlink_to("a")
    (folder / "self.mp3").symlink_to("self.mp3")
    (folder / "gone.mp3").symlink_to("nowhere.mp3")
    (folder / "above").symlink_to(tmp_path)
    content = read(music(folder), "file")
    assert sorted(content.payloads("audio")) == ["a/song.wav"]
    assert refused(content) == dict.fromkeys(["a/up", "above", "gone.mp3", "self.mp3", "z"], ("unreadable", 0))


def test_a_link_to_a_folder_elsewhere_is_followed_once(folder, tmp_path, read):
    song(tmp_path / "elsewhere" / "song.wav")
    folder.mkdir()
    (folder / "first").symlink_to(tmp_path / "elsewhere")
    (folder / "second").symlink_to(tmp_path / "elsewhere")
    content = read(music(folder), "file")
    assert sorted(content.payloads("audio")) == ["first/song.wav"]
    assert refused(content) == {"second": ("unreadable", 0)}


def test_pipes_and_sockets_are_refused_and_not_waited_for(folder, read):
    folder.mkdir()
    os.mkfifo(folder / "pipe.mp3")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s.mp3"))
        connector = music(folder)
        assert all(connector.digest(part) for part in connector.parts())
        assert refused(read(connector, "file")) == dict.fromkeys(["pipe.mp3", "s.mp3"], ("not_media", 0))


def test_a_file_without_permission_is_refused_until_it_has_it(folder, read, monkeypatch):
    song(folder / "song.wav")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("song.wav") and real(path, mode))
    connector = music(folder)  # the tests may run as root, who may read everything
    (before,) = connector.parts()
    digest = connector.digest(before)
    assert refused(read(connector, "file")) == {"song.wav": ("unreadable", 0)}
    monkeypatch.undo()
    (after,) = connector.parts()
    assert after.stat != before.stat
    assert connector.digest(after) != digest
    assert sorted(read(connector, "file").payloads("audio")) == ["song.wav"]


def test_a_file_that_cannot_be_read_after_all_is_refused(folder, read, monkeypatch):
    song(folder / "song.wav")

    def broken(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(folders, "fingerprint", broken)
    connector = music(folder)
    (reject,) = read(connector, "file").rejects
    assert (reject.reason, reject.detail) == ("unreadable", "cannot be read: Input/output error")
    assert "Input/output error" in connector.digest(connector.parts()[0])


def test_a_file_that_went_away_while_its_folder_was_walked_is_no_part(folder, monkeypatch):
    for name in ("a.mp3", "b.mp3"):
        put(folder, name)
    real = os.stat

    def stat(path, **options):
        if str(path).endswith("b.mp3"):
            raise FileNotFoundError(2, "No such file")
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert [part.file for part in music(folder).parts()] == ["a.mp3"]


def test_a_time_that_no_calendar_has_is_no_obstacle(folder, read):
    put(folder, "future.mp3")
    os.utime(folder / "future.mp3", ns=(0, 2**62))
    put(folder, "past.mp3")
    os.utime(folder / "past.mp3", ns=(0, -(10**18)))
    years = [record.fetched_at.year for record in read(music(folder), "file").records]
    assert set(years) <= {1970, 2100, 2116}


def test_one_file_may_be_the_path(folder, read):
    song(folder / "song.wav")
    song(folder / "other.wav")
    content = read(music(folder / "song.wav"), "file")
    assert sorted(content.payloads("audio")) == ["song.wav"]
    assert path_of(folder / "song.wav", "song.wav") == folder / "song.wav"


# --- digests


def test_the_digest_is_of_size_and_both_ends_and_reads_no_more(folder):
    big = bytes(1 << 20)
    path = put(folder, "a.mp3", big)
    connector = music(folder)
    (part,) = connector.parts()
    assert part.size_bytes == 2 * folders.END_BYTES
    before = connector.digest(part)
    for at, changed in ((0, True), (len(big) - 1, True), (len(big) // 2, False)):
        path.write_bytes(big[:at] + b"x" + big[at + 1 :])
        assert (connector.digest(part) != before) == changed
    path.write_bytes(big + b"\0")
    assert connector.digest(part) != before


def test_a_touched_file_is_the_same_and_a_changed_one_has_another_audio_record(folder, read):
    path = put(folder, "a.mp3", b"one")
    first = read(music(folder), "file").payloads("audio")
    os.utime(path, ns=(1, 1))
    assert read(music(folder), "file").payloads("audio") == first
    path.write_bytes(b"two")
    assert read(music(folder), "file").payloads("audio") != first


def test_a_file_that_is_gone_is_told(folder):
    path = put(folder, "a.mp3", b"one")
    connector = music(folder)
    (part,) = connector.parts()
    path.unlink()
    with pytest.raises(NotFound, match=r"cannot read 'a\.mp3' \(No such file"):
        connector.digest(part)


# --- ids


@pytest.mark.parametrize(
    ("ids", "file", "claimed"),
    [
        ("file", "Ann/Blue.mp3", "file:Ann/Blue"),
        ("file", "many.dots.flac", "file:many.dots"),
        ("movielens", "posters/862.jpg", "movielens:862"),
        ("movielens", "00862.jpg", "movielens:862"),
        ("tmdb", "862_poster.jpg", "tmdb:862"),
        ("tmdb", "862 (1).jpg", "tmdb:862"),
        ("tmdb", "862poster.jpg", None),
        ("tmdb", "tt0114709.jpg", None),
        ("tmdb", "poster.jpg", None),
        ("imdb", "tt0114709.jpg", "imdb:tt0114709"),
        ("imdb", "114709-big.jpg", "imdb:tt0114709"),
        ("imdb", "tt10151854.jpg", "imdb:tt10151854"),
        ("spotify", f"{'a' * 22}.jpg", f"spotify:{'a' * 22}"),
        ("spotify", f"{'a' * 23}.jpg", None),
        ("mbid", "0a1b-2c.jpg", "mbid:0a1b-2c"),
    ],
)
def test_the_name_of_a_file_claims_an_id(ids, file, claimed):
    assert claimed_id(ids, file) == claimed


def test_a_namespace_that_can_be_none_is_refused():
    with pytest.raises(ValueError, match="option ids is 'a b', expected whose ids the names are, such as file, movie"):
        connect("image_folder", path=".", ids="a b")


def test_pictures_carry_what_their_name_claims(folder, read):
    for name in ("862.jpg", "poster.jpg", "sub/7.PNG", "song.mp3"):
        put(folder, name, b"x")
    content = read(connect("image_folder", path=str(folder), ids="tmdb"), "file")
    assert {file: image["ids"] for file, image in content.payloads("image").items()} == {
        "862.jpg": ["tmdb:862"],
        "poster.jpg": [],
        "sub/7.PNG": ["tmdb:7"],
    }
    assert refused(content) == {"song.mp3": ("not_media", 0)}


def test_recordings_carry_their_path_beside_another_id(folder, read):
    put(folder, "sub/12.mp3")
    assert read(music(folder), "file").payloads("track")["sub/12.mp3"]["ids"] == ["file:sub/12"]
    assert read(music(folder, ids="tmdb"), "file").payloads("track")["sub/12.mp3"]["ids"] == ["tmdb:12", "file:sub/12"]


# --- tags


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "wav", "aiff"])
def test_tags_are_read_in_every_format(folder, read, suffix):
    tags = {"title": "Blue", "artist": "Ann", "album": "First", "date": "2001"}
    song(folder / f"a.{suffix}", **tags if suffix in ("flac", "ogg", "mp3") else {})
    if suffix in ("wav", "aiff"):
        _write_id3(folder / f"a.{suffix}", tags)
    track = read(music(folder), "file").payloads("track")[f"a.{suffix}"]
    assert {name: track[name] for name in tags} == {name: [text] for name, text in tags.items()}
    assert track["duration_s"] == pytest.approx(0.1, abs=0.1)


def _write_id3(path, tags):
    import mutagen
    from mutagen import id3

    file = mutagen.File(path)
    file.add_tags()
    frames = {"title": id3.TIT2, "artist": id3.TPE1, "album": id3.TALB, "date": id3.TDRC}
    for name, text in tags.items():
        file.tags.add(frames[name](encoding=3, text=[text]))
    file.save()


def test_ids_and_several_artists_are_read_from_id3_and_mp4_and_vorbis(folder, read):
    import mutagen
    from mutagen import id3

    recording = "0b5e4c4e-6f1a-4c0f-8a3b-3f2a1d9c7e55"
    song(folder / "a.mp3")
    file = mutagen.File(folder / "a.mp3")
    if file.tags is None:
        file.add_tags()
    file.tags.add(id3.UFID(owner="http://musicbrainz.org", data=recording.encode()))
    file.tags.add(id3.TSRC(encoding=3, text=["GBAYE0601498"]))
    file.tags.add(id3.TPE1(encoding=3, text=["Ann", "Bo"]))
    file.tags.add(id3.TCON(encoding=3, text=["(17)"]))
    file.save()
    song(folder / "b.ogg")
    file = mutagen.File(folder / "b.ogg")
    file["MUSICBRAINZ_TRACKID"], file["isrc"], file["artist"] = recording, "GBAYE0601498", ["Ann", "Bo"]
    file["genre"] = "Rock"
    file.save()
    for name, track in read(music(folder), "file").payloads("track").items():
        assert (track["musicbrainz_trackid"], track["isrc"]) == ([recording], ["GBAYE0601498"]), name
        assert (track["artist"], track["genre"]) == (["Ann", "Bo"], ["Rock"]), name


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"ID3", b"fLaC" + b"\xff" * 60, b"OggS" * 20, b"RIFF\xff\xff\xff\xffWAVE"]
)
@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "wav", "m4a", "wma", "opus", "ape", "aiff", "dsf"])
def test_a_recording_without_tags_or_without_a_byte_is_a_track(folder, read, data, suffix):
    put(folder, f"Ann - Blue.{suffix}", data)
    track = read(music(folder), "file").payloads("track")[f"Ann - Blue.{suffix}"]
    assert track["size_bytes"] == len(data)
    assert "title" not in track


@pytest.mark.real_data
def test_real_folders(real_data, read):
    content = read(music(real_data / "music-audio"), "file")
    assert len(content.payloads("audio")) == len(content.payloads("track")) == 36
    assert set(refused(content)) == {"README.md", "manifest.csv"}
    assert all(track["duration_s"] > 0 for track in content.payloads("track").values())
    assert sum("title" in track for track in content.payloads("track").values()) == 8
    posters = read(connect("image_folder", path=str(real_data / "posters"), ids="movielens"), "file")
    assert len(posters.payloads("image")) == 1_000
    assert posters.payloads("image")["1.jpg"]["ids"] == ["movielens:1"]


@pytest.mark.real_data
@pytest.mark.parametrize("folder_name", ["audio-awkward", "images-awkward"])
def test_every_awkward_file_ends_as_records_or_as_one_refusal(real_data, read, folder_name):
    top = real_data / folder_name
    connector = connect("music_folder" if folder_name.startswith("audio") else "image_folder", path=str(top))
    content = read(connector, "file")
    files = {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}
    taken = {record.source_id for record in content.records}
    assert taken | set(refused(content)) == files
    assert not taken & set(refused(content))
    assert len(content.rejects) == len(refused(content))
