"""The connector recbole_atomic: typed headers, interactions, and what it refuses."""

from datetime import UTC, datetime

import pytest

from connectors.errors import SchemaDrift
from connectors.registry import connect

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
ITEM = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tprice:float\tvector:float_seq"


@pytest.fixture
def atomic(tmp_path):
    def write(suffix, *lines, **options):
        (tmp_path / f"a.{suffix}").write_text("".join(f"{line}\n" for line in lines))
        return connect("recbole_atomic", path=str(tmp_path), **options)

    return write


def test_a_rating_is_an_event_with_its_time(atomic, read):
    content = read(atomic("inter", INTER, "196\t242\t3\t881250949.5"), "inter")
    event = content.events[0]
    assert (event["user"], event["item"], event["kind"], event["value"]) == ("196", "242", "rating", 3.0)
    assert event["at"] == datetime(1997, 12, 4, 15, 55, 49, 500_000, tzinfo=UTC)


def test_columns_are_found_by_name_and_kinds_follow_from_them(atomic, read):
    lines = ("weight:float\titem_id:token\tx:token_seq\tuser_id:token", "13\ti\ta b\tu")
    (event,) = read(atomic("inter", *lines), "inter").events
    assert (event["user"], event["item"], event["kind"], event["value"], event["at"]) == ("u", "i", "play", 13.0, None)
    (event,) = read(atomic("inter", *lines, event="click"), "inter").events
    assert event["kind"] == "click"


def test_the_same_again_is_a_double_with_a_time_and_a_return_without_one(atomic, read):
    timed = read(atomic("inter", INTER, "u\ti\t3\t881250949", "u\ti\t4\t881250949", "u\ti\t3\t881250950"), "inter")
    assert (len(timed.events), timed.refused()) == (2, [(3, "duplicate")])
    bare = read(atomic("inter", "user_id:token\titem_id:token", "u\ti", "u\ti"), "inter")
    assert (len(bare.events), bare.refused()) == (2, [])


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("u\ti\t3", "bad_row", "3 fields, expected 4"),
        ("\ti\t3\t1", "bad_value", "user_id is empty"),
        ("u\t \t3\t1", "bad_value", "item_id is empty"),
        ("u\ti\tgood\t1", "bad_value", "rating is not a number"),
        ("u\ti\tnan\t1", "bad_value", "rating is not a number"),
        ("u\ti\t3\tyesterday", "bad_value", "timestamp is not unix seconds between 1970 and 2100"),
        ("u\ti\t3\t881250949000", "bad_value", "timestamp is not unix seconds between 1970 and 2100"),
    ],
)
def test_a_bad_interaction_is_refused_and_its_neighbours_go_on(atomic, read, row, reason, detail):
    content = read(atomic("inter", INTER, "u\th\t1\t1", row, "u\tj\t\t"), "inter")
    assert [(each.line, each.reason, each.detail) for each in content.rejects] == [(3, reason, detail)]
    assert [(event["item"], event["value"]) for event in content.events] == [("h", 1.0), ("j", None)]


def test_an_item_keeps_its_fields_by_type(atomic, read):
    content = read(atomic("item", ITEM, "1\tToy Story\t1995\tAnimation Comedy\t1.5\t1 -2e1", "2\t\t\t\t\t"), "item")
    assert content.payloads("item")["1"] == {
        "kind": "other",
        "fields": {
            "item_id": "1",
            "movie_title": ["Toy", "Story"],
            "release_year": "1995",
            "class": ["Animation", "Comedy"],
            "price": 1.5,
            "vector": [1.0, -20.0],
        },
    }
    empty = content.payloads("item")["2"]["fields"]
    assert (empty["movie_title"], empty["release_year"], empty["price"]) == ([], None, None)


@pytest.mark.parametrize("price", ["cheap", "nan", "inf", "1_000", "1 2"])
def test_an_item_with_a_number_that_is_none_is_refused(atomic, read, price):
    assert read(atomic("item", ITEM, f"1\tA\t1995\tx\t{price}\t"), "item").refused() == [(2, "bad_value")]


def test_the_kind_of_the_items_is_an_option(atomic, read):
    content = read(atomic("item", "item_id:token\ttitle:token", "1\tHeat", kind="film"), "item")
    assert content.payloads("item")["1"]["kind"] == "film"
    with pytest.raises(ValueError, match="option kind is 'movie', expected one of film, track, artist, other"):
        atomic("item", kind="movie")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user_id:token\titem:token", "has no column 'item_id'"),
        ("user_id:token\titem_id:string", "has the field 'item_id:string', expected names like item_id:token"),
        ("user_id\titem_id", "has the field 'user_id', expected names like"),
        ("user_id:token\tuser_id:token", "has the field 'user_id:token', expected names like item_id:token, each once"),
    ],
)
def test_a_header_that_is_not_recboles_is_refused(atomic, read, header, message):
    with pytest.raises(SchemaDrift, match=message):
        read(atomic("inter", header, "u\ti"), "inter")


def test_users_keep_their_fields_where_profiles_are_read(atomic, read):
    content = read(atomic("user", "user_id:token\tage:token\tgender:token", "1\t24\tM"), "user")
    assert content.payloads("user") == {"1": {"user_id": "1", "age": "24", "gender": "M"}}


def test_several_files_of_interactions_are_all_read_and_others_left_alone(atomic, tmp_path, read):
    atomic("inter", INTER, "u\ti\t3\t1")
    connector = atomic("part2.inter", INTER, "v\ti\t3\t1")
    (tmp_path / "a.kg").write_text("head_id:token\n")
    assert [part.file for part in connector.parts()] == ["a.inter", "a.part2.inter"]
    assert len(read(connector, "inter").events) == 2


@pytest.mark.real_data
def test_the_real_movielens_100k(real_data, read):
    connector = connect("recbole_atomic", path=str(real_data / "movielens-100k"), kind="film")
    content = read(connector, "inter")
    assert (len(content.events), len({event["user"] for event in content.events})) == (100_000, 943)
    assert not content.rejects
    assert len(read(connector, "item").records) == 1_682
    assert len(read(connector, "user").records) == 943
