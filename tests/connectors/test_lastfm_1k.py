"""The connector lastfm_1k: what it reads, what it refuses."""

import os
from datetime import UTC, datetime

import pytest

from connectors import bulk, lines
from connectors.lastfm_1k import connect

PLAYS = "userid-timestamp-artid-artname-traid-traname.tsv"
ROW = "user_1\t2009-05-04T23:08:57Z\tmbid-a\tSigur Rós\t\tIllgresi"


@pytest.fixture
def plays(tmp_path):
    def write(text, name=PLAYS):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return connect(path=str(tmp_path))

    return write


def test_a_play_points_to_the_track_by_lastfm_path(plays, read):
    content = read(plays(ROW + "\n"), "play")
    key = "Sigur+R%C3%B3s/_/Illgresi"
    event = content.events[0]
    assert (event["user"], event["item"], event["kind"], event["line"]) == ("user_1", key, "play", 1)
    assert event["at"] == datetime(2009, 5, 4, 23, 8, 57, tzinfo=UTC)
    payload = {"artname": "Sigur Rós", "artid": "mbid-a", "traname": "Illgresi", "traid": ""}
    assert content.payloads("track") == {key: payload}


def test_a_track_is_given_once_a_page_with_the_first_mbids_there_are(plays, read):
    text = (
        "u\t2009-05-04T23:08:57Z\t\tA\t\tT\nu\t2009-05-04T23:09:57Z\tx\tA\t\tT\nu\t2009-05-04T23:10:57Z\ty\tA\tz\tT\n"
    )
    content = read(plays(text), "play")
    assert content.payloads("track") == {"A/_/T": {"artname": "A", "artid": "x", "traname": "T", "traid": "z"}}
    assert len(content.events) == 3


def test_quotes_are_letters_like_any_other(plays, read):
    content = read(plays('u\t2009-05-04T23:08:57Z\t\t"A\t\t7" mix\n' + ROW + "\n"), "play")
    assert len(content.events) == 2
    assert "%22A/_/7%22+mix" in content.payloads("track")


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("u\t2009-05-04T23:08:57Z\t\t\t\tT", "bad_value", "artist name is empty"),
        ("u\t2009-05-04T23:08:57Z\t\tA\t\t ", "bad_value", "track name is empty"),
        ("\t2009-05-04T23:08:57Z\t\tA\t\tT", "bad_value", "userid is empty"),
        ("u\t2009-05-04 23:08:57\t\tA\t\tT", "bad_value", "timestamp is not like"),
        ("u\t2009-13-04T23:08:57Z\t\tA\t\tT", "bad_value", "timestamp is not like"),
        ("u\t1970-01-01T00:00:00Z\t\tA\t\tT", "bad_value", "timestamp before 2002"),
        ("u\t2031-01-01T00:00:00Z\t\tA\t\tT", "bad_value", "timestamp after the file"),
        ("u\t2009-05-04T23:08:57Z\t\tA", "bad_row", "4 fields, expected 6"),
        ("u\t2009-05-04T23:08:57Z\t\tA\t\tT\tmore", "bad_row", "7 fields, expected 6"),
    ],
)
def test_a_bad_row_is_refused_and_its_neighbours_go_on(plays, read, tmp_path, row, reason, detail):
    connector = plays(f"{ROW}\n{row}\n{ROW}\n")
    os.utime(tmp_path / PLAYS, (1_600_000_000, 1_600_000_000))
    content = read(connector, "play")
    assert [event["line"] for event in content.events] == [1, 3]
    assert content.refused() == [(2, reason)]
    assert content.rejects[0].detail.startswith(detail)
    assert content.rejects[0].text == row


def test_a_file_of_1970_says_nothing_of_the_future(plays, read, tmp_path):
    connector = plays(ROW + "\n")
    os.utime(tmp_path / PLAYS, (0, 0))
    assert len(read(connector, "play").events) == 1


def test_bytes_that_are_not_text_cost_their_line_only(plays, read):
    data = b"\xef\xbb\xbf" + ROW.encode() + b"\r\nu\t2009-05-04T23:08:57Z\t\t\xff\t\tT\n\n" + ROW.encode() + b"\n\x00\n"
    content = read(plays(data), "play")
    assert [event["line"] for event in content.events] == [1, 4]
    assert content.events[0]["user"] == "user_1"
    assert content.refused() == [(2, "bad_encoding"), (5, "bad_row")]


def test_profiles_are_given_as_found(plays, read):
    plays(ROW + "\n")
    text = "#id\tgender\tage\tcountry\tregistered\nu1\tm\t\tJapan\tAug 13, 2006\n\tf\t\t\t\nu3\tf\n"
    content = read(plays(text, "userid-profile.tsv"), "user")
    payload = {"gender": "m", "age": "", "country": "Japan", "registered": "Aug 13, 2006"}
    assert content.payloads("user") == {"u1": payload}
    assert content.refused() == [(3, "bad_value"), (4, "bad_row")]


def test_a_file_of_another_name_is_told_by_its_first_line(plays, read):
    connector = plays(ROW + "\n", "sample.tsv")
    plays("a\tb\n", "other.tsv")
    assert [(part.entity, part.file) for part in connector.parts()] == [("play", "sample.tsv")]
    assert len(read(connector, "play").events) == 1


def test_a_folder_without_plays_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lastfm_1k: no userid-timestamp-\*.tsv with 6 columns in"):
        connect(path=str(tmp_path)).parts()


def test_parts_read_one_by_one_give_what_the_whole_file_gives(plays, read, monkeypatch):
    connector = plays("".join(f"u\t2009-05-04T23:08:{n % 60:02}Z\t\tA{n % 9}\t\tTé{n % 7}\n" for n in range(200)))
    whole = read(connector, "play")
    monkeypatch.setattr(bulk, "PART_BYTES", 1_000)
    monkeypatch.setattr(lines, "PAGE_BYTES", 300)
    split = read(connector, "play")
    assert len(connector.parts()) > 5
    assert split.events == whole.events
    assert split.payloads("track") == whole.payloads("track")


@pytest.mark.real_data
def test_real_sample_has_the_counted_rows(real_data, read):
    connector = connect(path=str(real_data / "lastfm-1k-sample"))
    content = read(connector, "play")
    assert len(content.events) == 5_000
    assert not content.rejects
    assert len({record.payload["artname"] for record in content.records}) == 235
    assert {event["item"] for event in content.events} == {record.source_id for record in content.records}
    assert len(read(connector, "user").records) == 11
