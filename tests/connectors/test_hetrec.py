"""The connector hetrec: play counts, artists, tags and friends, as published and as copies have them."""

import pytest

from connectors.hetrec import FIELDS, connect

ARTISTS = "id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://x\t\n52\tMorcheeba\t\t\n"
PLAYS = "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n3\t51\t7\n"


@pytest.fixture
def hetrec(tmp_path):
    def write(**files):
        given = {"artists": ARTISTS, "user_artists": PLAYS, **files}
        for name, text in given.items():
            (tmp_path / f"{name}.dat").write_bytes(text if isinstance(text, bytes) else text.encode())
        return connect(path=str(tmp_path))

    return write


def plays(content):
    return [(event["user"], event["item"], event["value"]) for event in content.events]


def test_a_play_count_is_an_event_without_a_time(hetrec, read):
    content = read(hetrec(), "play")
    assert plays(content) == [("2", "51", 13883.0), ("2", "52", 11690.0), ("3", "51", 7.0)]
    assert [event["line"] for event in content.events] == [2, 3, 4]
    assert {(event["kind"], event["at"], event["position"]) for event in content.events} == {("play", None, None)}


def test_a_copy_without_a_header_loses_no_row(hetrec, read):
    bare = PLAYS.partition("\n")[2]
    content = read(hetrec(user_artists=bare.replace("\n", "\r\n")), "play")
    assert plays(content) == [("2", "51", 13883.0), ("2", "52", 11690.0), ("3", "51", 7.0)]
    assert [event["line"] for event in content.events] == [1, 2, 3]


def test_blanks_around_a_number_are_no_part_of_it(hetrec, read):
    content = read(hetrec(user_artists="61\t65  \t170\n61\t065\t3\n"), "play")
    assert plays(content) == [("61", "65", 170.0)]
    assert content.refused() == [(2, "duplicate")]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("2\t51", "bad_row", "2 fields, expected 3"),
        ("2\t51\t0", "bad_value", "weight is not a count above 0"),
        ("2\t51\tmany", "bad_value", "weight is not a count above 0"),
        ("x\t51\t1", "bad_value", "userID is not a whole number"),
        ("2\t\t1", "bad_value", "artistID is not a whole number"),
        ("2\t51\t13883", "duplicate", "the same user and artist were given before"),
    ],
)
def test_a_bad_row_is_refused_and_its_neighbours_go_on(hetrec, read, row, reason, detail):
    content = read(hetrec(user_artists=f"{PLAYS}{row}\n4\t51\t1\n"), "play")
    assert [(each.line, each.reason, each.detail) for each in content.rejects] == [(5, reason, detail)]
    assert plays(content)[-1] == ("4", "51", 1.0)


def test_a_last_line_without_newline_may_have_been_cut(hetrec, read):
    assert read(hetrec(user_artists=PLAYS + "4\t51\t1"), "play").refused() == [(5, "bad_value")]


def test_artists_tags_and_friends_are_records(hetrec, read):
    connector = hetrec(
        tags=b"tagID\ttagValue\r\n1\tbj\xf6rk\r\n",
        user_friends="userID\tfriendID\n2\t275\n",
        user_taggedartists="userID\tartistID\ttagID\tday\tmonth\tyear\n2\t52\t1\t1\t4\t2009\n",
    )
    assert read(connector, "artist").payloads("artist")["51"]["name"] == "Duran Duran"
    assert read(connector, "tag_name").payloads("tag_name")["1"]["tagValue"] == "björk"
    assert sorted(read(connector, "friend").payloads("friend")) == ["2/275"]
    assert read(connector, "tag").payloads("tag")["2/52/2"]["year"] == "2009"


def test_tags_come_from_the_file_with_times_where_there_are_both(hetrec):
    rows = {name.removesuffix(".dat"): "\t".join(FIELDS[name]) + "\n" for name in FIELDS if "tagged" in name}
    files = [part.file for part in hetrec(**rows).parts() if part.entity == "tag"]
    assert files == ["user_taggedartists-timestamps.dat"]


def test_one_file_may_be_the_path_and_another_is_refused(hetrec, tmp_path, read):
    hetrec()
    assert len(read(connect(path=str(tmp_path / "artists.dat")), "artist").records) == 2
    (tmp_path / "other.dat").write_text("1\t2\n")
    with pytest.raises(ValueError, match=r"hetrec: 'other\.dat' is none of its files, expected artists\.dat"):
        connect(path=str(tmp_path / "other.dat")).parts()


@pytest.mark.real_data
def test_the_real_copy(real_data, read):
    connector = connect(path=str(real_data / "lastfm-hetrec"))
    content = read(connector, "play")
    assert len(content.events) == 92_834  # as published; the copy has no header, so its first line counts too
    assert len({event["user"] for event in content.events}) == 1_892
    assert not content.rejects
    artists = read(connector, "artist").payloads("artist")
    assert len(artists) == len({event["item"] for event in content.events}) == 17_632
    assert {event["item"] for event in content.events} == set(artists)
    assert len(read(connector, "tag_name").records) == 11_946
    assert len(read(connector, "friend").records) == 25_434
