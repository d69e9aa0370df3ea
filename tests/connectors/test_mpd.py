"""The connector mpd: what it reads, what it refuses."""

import io
import json
import re
import tarfile
import zipfile
from datetime import UTC, datetime

import pytest

from connectors import archives
from connectors.mpd import connect

SLICE = "mpd.slice.0-999.json"
T1, T2 = "1" * 22, "2" * 22


def row(track, **fields):
    return {"track_uri": f"spotify:track:{track}", "track_name": track[0], **fields}


def playlist(pid, *rows, **fields):
    return {"name": f"n{pid}", "pid": pid, **fields, "tracks": list(rows)}


def slice_bytes(*playlists):
    return json.dumps({"info": {"slice": "0-999"}, "playlists": list(playlists)}, indent=4).encode()


PLAIN = slice_bytes(playlist(0, row(T1), row(T2)), playlist(1, row(T1)))


@pytest.fixture
def folder(tmp_path):
    def write(data, name=SLICE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
        return connect(path=str(tmp_path))

    return write


def tar(members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def rows(content):
    return [(event["user"], event["item"], event["position"], event["line"]) for event in content.events]


def test_a_slice_gives_playlists_tracks_and_one_event_per_row(folder, read):
    first = playlist(0, row(T2, pos=1, artist_name="B"), row(T1, pos=0), modified_at=1493424000)
    content = read(folder(slice_bytes(first, playlist(1, row(T1), row(T1)))), "playlist")
    assert content.payloads("playlist") == {
        "0": {"name": "n0", "pid": 0, "modified_at": 1493424000},
        "1": {"name": "n1", "pid": 1},
    }
    assert content.payloads("track")[T2] == row(T2, artist_name="B")
    assert rows(content) == [("0", T2, 1, 1), ("0", T1, 0, 2), ("1", T1, 0, 3), ("1", T1, 1, 4)]
    assert {event["kind"] for event in content.events} == {"playlist"}
    assert content.events[0]["at"] == datetime(2017, 4, 29, tzinfo=UTC)
    assert content.events[2]["at"] is None


def test_slices_are_found_in_folders_in_their_order(folder):
    folder(PLAIN, "data/mpd.slice.10000-10999.json")
    folder(PLAIN, "data/mpd.slice.2000-2999.json")
    folder(PLAIN, "data/challenge_set.json")
    folder(PLAIN, f"data/._{SLICE}")
    connector = folder(b"", "README.md")
    assert [part.file for part in connector.parts()] == [
        "data/mpd.slice.2000-2999.json",
        "data/mpd.slice.10000-10999.json",
    ]


@pytest.mark.parametrize(
    ("bad", "reason", "detail"),
    [
        ({"name": "x", "tracks": []}, "bad_value", "pid is not"),
        ({"pid": True, "tracks": []}, "bad_value", "pid is not"),
        ({"pid": 9}, "bad_value", "tracks is not a list"),
        ({"pid": 9, "tracks": {}}, "bad_value", "tracks is not a list"),
        ({"pid": 9, "tracks": [], "modified_at": "x"}, "bad_value", "modified_at is not"),
        (7, "bad_value", "a playlist is not"),
        ({"pid": 0, "tracks": []}, "duplicate", "pid 0 was given before"),
        ({"pid": 9, "name": "\ud800", "tracks": []}, "bad_encoding", "characters"),
    ],
)
def test_a_bad_playlist_is_refused_and_its_neighbours_go_on(folder, read, bad, reason, detail):
    content = read(folder(slice_bytes(playlist(0, row(T1)), bad, playlist(1, row(T2)))), "playlist")
    assert rows(content) == [("0", T1, 0, 1), ("1", T2, 0, 3)]
    assert content.refused() == [(2, reason)]
    assert detail in content.rejects[0].detail


@pytest.mark.parametrize(
    "bad",
    [
        {"track_uri": "spotify:local:x"},
        {"track_uri": f"spotify:track:{T1}x"},
        {"track_name": "no uri"},
        {"track_uri": None},
        "text",
        row(T2, pos=-1),
        row(T2, pos=1 << 40),
        row(T2, pos="1"),
    ],
)
def test_a_bad_row_is_refused_and_keeps_its_number_and_place(folder, read, bad):
    content = read(folder(slice_bytes(playlist(0, row(T1), bad, row(T2)))), "playlist")
    assert rows(content) == [("0", T1, 0, 1), ("0", T2, 2, 3)]
    assert content.refused() == [(2, "bad_value")]


def test_the_playlists_before_a_cut_are_kept(folder, read):
    cut = PLAIN[: PLAIN.index(b'"n1"') + 30]
    content = read(folder(cut), "playlist")
    assert list(content.payloads("playlist")) == ["0"]
    assert content.refused() == [(3, "decode_error")]
    assert re.search(r"not JSON at character \d+; 1 playlists before it", content.rejects[0].detail)
    assert '"n1"' in content.rejects[0].text


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"[]", b'{"playlists": 5}', b"[" * 100_000])
def test_a_file_that_is_no_slice_is_one_refusal(folder, read, data):
    assert read(folder(data), "playlist").refused() == [(0, "decode_error")]


def test_bytes_that_are_not_text_cost_their_row_only(folder, read):
    content = read(folder(slice_bytes(playlist(0, row(T1, album="@"), row(T2))).replace(b"@", b"\xe9")), "playlist")
    assert rows(content) == [("0", T2, 1, 2)]
    assert content.refused() == [(1, "bad_encoding")]


@pytest.mark.parametrize(("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w")])
def test_a_tar_archive_is_one_part_with_a_page_per_slice(folder, read, name, mode):
    members = [("d/mpd.slice.0-999.json", PLAIN), ("d/mpd.slice.1000-1999.json", slice_bytes(playlist(1000, row(T2))))]
    connector = folder(tar(members, mode), name)
    content = read(connector, "playlist")
    assert [part.key for part in connector.parts()] == [f"{name}@0"]
    assert len(content.pages) == 2
    assert [line for *_, line in rows(content)] == [1, 2, 3, 4]
    assert content.records[0].url == f"{name}!d/mpd.slice.0-999.json:1"
    assert not content.rejects


def test_a_zip_archive_has_a_part_per_slice(folder, read):
    other = slice_bytes(playlist(1000, row(T2)))
    connector = folder(zipped([("README", b"x"), (SLICE, PLAIN), ("d/mpd.slice.1000-1999.json", other)]), "a.zip")
    parts = connector.parts()
    assert [part.file for part in parts] == ["a.zip", "a.zip"]
    assert len({part.key for part in parts}) == 2
    assert rows(read(connector, "playlist", keys=parts[1:])) == [("1000", T2, 0, 1)]
    digests = [connector.digest(part) for part in parts]
    folder(zipped([("README", b"x"), (SLICE, PLAIN), ("d/mpd.slice.1000-1999.json", PLAIN)]), "a.zip")
    assert [connector.digest(part) == old for part, old in zip(connector.parts(), digests, strict=True)] == [
        True,
        False,
    ]


def test_members_that_leave_the_archive_or_are_no_slices_are_passed_over(folder, read, tmp_path):
    names = [f"/{SLICE}", f"../{SLICE}", f"a/../../{SLICE}", f"._{SLICE}", "README", "__MACOSX/._x", "a\\..\\" + SLICE]
    members = [(name, PLAIN) for name in names] + [(f"ok/{SLICE}", PLAIN)]
    folder(tar(members), "a.tar.gz")
    connector = folder(zipped(members), "b.zip")
    content = read(connector, "playlist")
    assert len(content.pages) == 2
    assert len(content.events) == 6
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.tar.gz", "b.zip"]


def test_links_and_folders_in_an_archive_are_passed_over(folder, read):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(SLICE)
            info.type, info.linkname = kind, "/etc/hostname"
            archive.addfile(info)
    content = read(folder(buffer.getvalue(), "a.tar"), "playlist")
    assert not content.records
    assert not content.rejects


@pytest.mark.parametrize(
    ("mode", "keep"), [("w:gz", 0.3), ("w:gz", 0.9), ("w:gz", 0.999), ("w", 0.3), ("w", 0.5), ("w", 0.8)]
)
def test_a_cut_tar_archive_keeps_what_was_readable(folder, read, keep, mode):
    names = [f"mpd.slice.{start}-{start + 999}.json" for start in range(0, 20_000, 1000)]
    members = [
        (name, slice_bytes(*(playlist(at * 9 + n, row(T1, n=at * n)) for n in range(9))))
        for at, name in enumerate(names)
    ]
    data = tar(members, mode)
    content = read(folder(data[: int(len(data) * keep)], "a.tar"), "playlist")
    assert keep * 0.7 * 180 < len(content.events) <= 180
    assert content.rejects[-1].reason == "decode_error"
    assert "cut or damaged" in content.rejects[-1].detail


def test_a_broken_header_does_not_end_a_tar_archive_in_silence(folder, read):
    data = bytearray(tar([(SLICE, PLAIN), ("mpd.slice.1000-1999.json", PLAIN)], "w"))
    second = data.index(b"mpd.slice.1000")
    data[second : second + 200] = b"\xff" * 200
    content = read(folder(bytes(data), "a.tar"), "playlist")
    assert len(content.events) == 3
    assert content.refused() == [(4, "decode_error")]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_an_archive_that_is_none_is_one_refusal(folder, read, name):
    assert read(folder(b"nothing of the kind" * 50, name), "playlist").refused() == [(0, "decode_error")]


def test_a_damaged_member_of_a_zip_archive_costs_its_own_part_only(folder, read):
    data = bytearray(zipped([(SLICE, PLAIN), ("mpd.slice.1000-1999.json", PLAIN)]))
    data[60:80] = b"\x00" * 20
    content = read(folder(bytes(data), "a.zip"), "playlist")
    assert len(content.events) == 3
    assert content.refused() == [(0, "decode_error")]


def test_a_member_of_more_than_the_limit_is_not_read(folder, read, monkeypatch):
    monkeypatch.setattr(archives, "LIMIT_BYTES", len(PLAIN))
    members = [(SLICE, b" " * 100_000), ("mpd.slice.1000-1999.json", PLAIN)]
    folder(tar(members), "a.tar.gz")
    folder(zipped(members), "b.zip")
    content = read(folder(b" " * 100_000), "playlist")
    assert len(content.events) == 6
    assert [reject.reason for reject in content.rejects] == ["decode_error"] * 3
    assert all("100000 bytes, expected at most" in reject.detail for reject in content.rejects)


def test_names_of_members_that_are_not_text_are_made_printable(folder, read):
    data = tar([(f"d@/{SLICE}", PLAIN)], "w").replace(b"d@/", b"d\xff/")
    header = bytearray(data[:512])
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content = read(folder(bytes(header) + data[512:], "a.tar"), "playlist")
    assert len(content.events) == 3
    assert content.records[0].url.startswith("a.tar!d\\udcff/mpd.slice")


def test_a_made_up_size_does_not_hold_the_reader(folder, read):
    info = tarfile.TarInfo("big.bin")
    info.size = 1 << 50
    content = read(folder(info.tobuf() + b"x" * 5_000, "a.tar"), "playlist")
    assert content.refused() == [(0, "decode_error")]


def test_one_slice_can_be_the_path(folder, read, tmp_path):
    folder(PLAIN, "any.json")
    assert len(read(connect(path=str(tmp_path / "any.json")), "playlist").events) == 3
    folder(PLAIN, "any.txt")
    with pytest.raises(ValueError, match=r"'any.txt' is no slice; expected .json or .tar.gz"):
        connect(path=str(tmp_path / "any.txt")).parts()


def test_a_folder_without_slices_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mpd: no mpd.slice.\*.json and no archive"):
        connect(path=str(tmp_path)).parts()


@pytest.mark.real_data
def test_real_slice_with_all_fields_has_the_counted_rows(real_data, read):
    content = read(connect(path=str(real_data / "mpd" / "full_fields_29")), "playlist")
    assert len(content.payloads("playlist")) == 29
    assert len(content.events) == 1_448
    assert all(event["at"] for event in content.events)
    assert not content.rejects


@pytest.mark.real_data
def test_real_archive_is_read_whole_and_a_cut_slice_keeps_its_playlists(real_data, read, tmp_path):
    (archive,) = (real_data / "mpd").glob("*.tar.gz")
    content = read(connect(path=str(archive)), "playlist")
    with tarfile.open(archive) as members:
        slices = [json.load(members.extractfile(member)) for member in members if member.name.endswith(".json")]
    found = [each for one in slices for each in one["playlists"]]
    assert len(content.pages) == len(slices)
    assert len(content.payloads("playlist")) == len({each["pid"] for each in found})
    assert len(content.events) == sum(len(each["tracks"]) for each in found)
    assert not content.rejects
    whole = (real_data / "mpd" / "full_fields_29" / SLICE).read_bytes()
    (tmp_path / SLICE).write_bytes(whole[: len(whole) // 2])
    cut = read(connect(path=str(tmp_path)), "playlist")
    assert 5 < len(cut.payloads("playlist")) < 29
    assert [reject.reason for reject in cut.rejects] == ["decode_error"]
