"""The connector movielens: what it reads, what it refuses."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import bulk, lines
from connectors.errors import SchemaDrift
from connectors.movielens import connect

HEADER = "userId,movieId,rating,timestamp\n"
MOVIES = "movieId,title,genres\n1,Toy Story (1995),Comedy\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "movies.csv").write_text(MOVIES)
    (tmp_path / "ratings.csv").write_text(HEADER + "1,1,4.0,964982703\n")
    return tmp_path


def ratings(folder, text, name="ratings.csv"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return connect(path=str(folder))


def test_a_rating_becomes_an_event(folder, read):
    content = read(connect(path=str(folder)), "rating")
    assert content.events == [
        {
            "user": "1",
            "item": "1",
            "kind": "rating",
            "value": 4.0,
            "at": datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC),
            "position": None,
            "line": 2,
        }
    ]


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("1,1,0.0,964982703", "rating is not"),
        ("1,1,5.5,964982703", "rating is not"),
        ("1,1,nan,964982703", "rating is not"),
        ("1,1,inf,964982703", "rating is not"),
        ("1,1,,964982703", "rating is not"),
        ("1,1,4.0,0", "timestamp is not"),
        ("1,1,4.0,-5", "timestamp is not"),
        ("1,1,4.0,964982703000", "timestamp is not"),
        ("1,1,4.0,964982703.5", "timestamp is not"),
        ("1,1,4.0,99999999999999999999999", "timestamp is not"),
        (",1,4.0,964982703", "userId is not"),
        ("x,1,4.0,964982703", "userId is not"),
        ("1,-1,4.0,964982703", "movieId is not"),
    ],
)
def test_a_value_out_of_range_is_refused_and_its_neighbours_go_on(folder, read, row, detail):
    content = read(ratings(folder, f"{HEADER}1,1,4.0,964982703\n{row}\n2,1,4.0,964982703\n"), "rating")
    assert [event["line"] for event in content.events] == [2, 4]
    assert content.refused() == [(3, "bad_value")]
    assert content.rejects[0].detail.startswith(detail)
    assert content.rejects[0].text == row
    assert content.rejects[0].file == "ratings.csv"


def test_a_line_cut_short_is_a_bad_row(folder, read):
    content = read(ratings(folder, HEADER + "1,1,4.0,964982703\n1,2,4.\n1,3,4.0,964982703\n1,4"), "rating")
    assert content.refused() == [(3, "bad_row"), (5, "bad_row")]
    assert len(content.events) == 2


def test_a_timestamp_cut_at_the_end_of_the_file_is_refused(folder, read):
    content = read(ratings(folder, HEADER + "1,1,4.0,96498270\n1,2,4.0,96498"), "rating")
    assert [event["line"] for event in content.events] == [2]
    assert content.refused() == [(3, "bad_value")]


def test_a_whole_last_line_needs_no_newline(folder, read):
    content = read(ratings(folder, HEADER + "1,1,4.0,964982703"), "rating")
    assert len(content.events) == 1
    assert not content.rejects


def test_the_second_of_two_equal_rows_is_a_duplicate(folder, read):
    rows = "1,1,4.0,964982703\n1,1,4.0,964982704\n1,1,3.0,964982703\n"
    content = read(ratings(folder, HEADER + rows), "rating")
    assert [event["line"] for event in content.events] == [2, 3]
    assert content.refused() == [(4, "duplicate")]


def test_bom_crlf_mixed_line_ends_and_blank_lines_are_taken(folder, read):
    data = b"\xef\xbb\xbfuserId,movieId,rating,timestamp\r\n1,1,4.0,964982703\r\n\r\n\n2,1,4.0,964982703\n \n"
    content = read(ratings(folder, data), "rating")
    assert [event["line"] for event in content.events] == [2, 5]
    assert not content.rejects


def test_bytes_that_are_not_text_cost_their_line_only(folder, read):
    data = (
        HEADER.encode() + b"1,1,4.0,964982703\n1,\xff,4.0,964982703\n\x00\x00\n3,1,\x00,964982703\n4,1,4.0,964982703\n"
    )
    content = read(ratings(folder, data), "rating")
    assert [event["line"] for event in content.events] == [2, 6]
    assert content.refused() == [(3, "bad_encoding"), (4, "bad_row"), (5, "bad_value")]


def test_columns_are_found_by_name_and_may_be_quoted(folder, read):
    text = 'timestamp,note,"movieId",userId,rating\n"964982703",x,"7","5","4.5"\n964982704,,8,5,4\n'
    content = read(ratings(folder, text), "rating")
    assert [(event["user"], event["item"], event["value"]) for event in content.events] == [
        ("5", "7", 4.5),
        ("5", "8", 4),
    ]


def test_a_renamed_column_is_named_with_the_nearest(folder, read):
    with pytest.raises(
        SchemaDrift, match=r"'ratings.csv' has no column 'movieId' \(nearest: 'movie_id'\); found: userId"
    ):
        read(ratings(folder, "userId,movie_id,rating,timestamp\n"), "rating")


def test_an_empty_file_lacks_its_header(folder, read):
    with pytest.raises(SchemaDrift, match="expected a header"):
        read(ratings(folder, ""), "rating")


@pytest.mark.parametrize(
    ("encoding", "newline", "said"), [("utf-16", "\n", "is UTF-16"), ("utf-8", "\r", "carriage return alone")]
)
def test_a_file_of_another_encoding_or_line_ending_says_so(folder, read, encoding, newline, said):
    connector = ratings(folder, "")
    text = f"{HEADER.strip()}\n1,2,3.5,900000000\n".replace("\n", newline)
    (folder / "ratings.csv").write_bytes(text.encode(encoding))
    with pytest.raises(SchemaDrift, match=said):
        read(connector, "rating")


def test_a_file_with_a_header_only_gives_one_empty_page(folder, read):
    content = read(ratings(folder, HEADER.strip()), "rating")
    assert len(content.pages) == 1
    assert content.pages[0].cursor is None
    assert not content.events


def test_titles_may_hold_commas_quotes_and_newlines(folder, read):
    rows = '2,"American President, The","A|B"\r\n3,"a ""b"" c",x\r\n4,"two\r\nlines",x\r\n5,say "hi",x\r\n'
    (folder / "movies.csv").write_bytes(b"movieId,title,genres\r\n" + rows.encode())
    content = read(connect(path=str(folder)), "movie")
    titles = {key: payload["title"] for key, payload in content.payloads("movie").items()}
    assert titles == {"2": "American President, The", "3": 'a "b" c', "4": "two\r\nlines", "5": 'say "hi"'}
    assert content.records[-1].url == "movies.csv:6"
    assert not content.rejects


def test_a_quote_that_is_never_closed_costs_its_own_line_only(folder, read):
    (folder / "movies.csv").write_text(MOVIES + '2,"open,x\n3,C,x\n4,"D, E",x\n')
    content = read(connect(path=str(folder)), "movie")
    assert sorted(content.payloads("movie")) == ["1", "3", "4"]
    assert content.refused() == [(3, "bad_row")]


def test_a_film_title_that_is_not_utf8_is_refused_in_csv(folder, read):
    (folder / "movies.csv").write_bytes(MOVIES.encode() + b"2,Les Mis\xe9rables,x\n3,C,x\n2x,D,y\n")
    content = read(connect(path=str(folder)), "movie")
    assert content.refused() == [(3, "bad_encoding"), (5, "bad_value")]
    assert content.rejects[0].text == "2,Les Mis\\udce9rables,x"


def test_the_second_film_of_an_id_is_a_duplicate(folder, read):
    (folder / "movies.csv").write_text(MOVIES + "1,Another,x\n")
    assert read(connect(path=str(folder)), "movie").refused() == [(3, "duplicate")]


def test_links_and_tags_are_records(folder, read):
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n1,0114709,\n")
    (folder / "tags.csv").write_text('userId,movieId,tag,timestamp\n2,1,"funny, very",1445714994\n2,1,x,soon\n')
    connector = connect(path=str(folder))
    assert read(connector, "link").payloads("link") == {"1": {"movieId": "1", "imdbId": "0114709", "tmdbId": ""}}
    tags = read(connector, "tag")
    assert tags.payloads("tag")["2/1/2"]["tag"] == "funny, very"
    assert tags.refused() == [(3, "bad_value")]


def test_dat_files_have_no_header_and_may_be_latin_1(tmp_path, read):
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n1::661::3::978302109\n2::1::x::978300760\n1::2\n")
    (tmp_path / "movies.dat").write_bytes(
        "1::Misérables, Les (1995)::Drama\n".encode("latin-1") + "2::Amélie::x\n".encode()
    )
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n")
    connector = connect(path=str(tmp_path))
    ratings = read(connector, "rating")
    assert [event["item"] for event in ratings.events] == ["1193", "661"]
    assert [(reject.line, reject.text) for reject in ratings.rejects] == [(3, "2::1::x::978300760"), (4, "1::2")]
    titles = [payload["title"] for payload in read(connector, "movie").payloads("movie").values()]
    assert titles == ["Misérables, Les (1995)", "Amélie"]
    user = {"userId": "1", "gender": "F", "age": "1", "occupation": "10", "zipCode": "48067"}
    assert read(connector, "user").payloads("user") == {"1": user}


def test_another_ratings_file_can_be_named(folder, read):
    (folder / "more.csv").write_text(HEADER + "9,9,4.0,964982703\n")
    content = read(connect(path=str(folder), ratings="more.csv"), "rating")
    assert content.events[0]["user"] == "9"
    with pytest.raises(ValueError, match=r"no none\.csv in"):
        connect(path=str(folder), ratings="none.csv").parts()


def test_a_folder_without_ratings_is_refused(tmp_path):
    (tmp_path / "movies.csv").write_text(MOVIES)
    with pytest.raises(ValueError, match=r"movielens: no ratings.csv or ratings.dat in .*; give the unpacked folder"):
        connect(path=str(tmp_path)).parts()


def test_one_file_can_be_the_path(folder, read):
    connector = connect(path=str(folder / "ratings.csv"))
    assert [part.file for part in connector.parts()] == ["ratings.csv"]
    assert len(read(connector, "rating").events) == 1
    (folder / "other.txt").write_text("x")
    with pytest.raises(ValueError, match=r"'other.txt' is no file of MovieLens"):
        connect(path=str(folder / "other.txt")).parts()


def test_parts_read_one_by_one_give_what_the_whole_file_gives(folder, read, monkeypatch):
    rows = "".join(f"{user},{user * 7 % 50},4.0,{964982703 + user}\r\n" + "\n" * (user % 3) for user in range(1, 200))
    connector = ratings(folder, HEADER + rows + "1,2\n")
    whole = read(connector, "rating")
    monkeypatch.setattr(bulk, "PART_BYTES", 333)
    monkeypatch.setattr(lines, "PAGE_BYTES", 100)
    monkeypatch.setattr(lines, "_READ_BYTES", 7)
    split = read(connector, "rating")
    assert len(connector.parts()) > 10
    assert split.events == whole.events
    assert split.rejects == whole.rejects


def test_a_line_longer_than_a_page_is_refused_and_not_held(folder, read, monkeypatch):
    monkeypatch.setattr(lines, "PAGE_BYTES", 64)
    content = read(ratings(folder, HEADER + "x" * 1000 + "\n1,1,4.0,964982703\n" + "y" * 1000), "rating")
    assert [event["line"] for event in content.events] == [3]
    assert content.refused() == [(2, "bad_row"), (4, "bad_row")]
    assert "64 bytes" in content.rejects[0].detail


def test_pages_have_a_bounded_number_of_lines(folder, read, monkeypatch):
    monkeypatch.setattr(lines, "PAGE_LINES", 3)
    content = read(ratings(folder, HEADER + "1,1,4.0,964982703\n1\n" * 20), "rating")
    assert len(content.pages) > 10
    assert len(content.events) + len(content.rejects) == 40


LINES = st.sampled_from(
    [
        *(b"1,1,4.0,964982703", b"2,3,0.5,1445714994", b"2,3,0.0,1445714994", b"1,2", b"", b"a,b,c,d", b"1,1,4.0,5,6"),
        *(b'"', b"\xff,1,2,3", b"\x00", b",,,", b'"1","1","4.0","964982703"', b"\r", b"1,1,4.0,96498\r2703"),
    ]
)


@given(rows=st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])), max_size=30), part_bytes=st.integers(20, 400))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_line_is_an_event_or_a_refusal_with_its_number(folder, read, rows, part_bytes):
    connector = ratings(folder, HEADER.encode() + b"".join(line + end for line, end in rows))
    expected = [number for number, (line, _) in enumerate(rows, 2) if line.strip(b"\r")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "PART_BYTES", part_bytes)
        content = read(connector, "rating")
    assert sorted([event["line"] for event in content.events] + [item.line for item in content.rejects]) == expected


@pytest.mark.real_data
def test_real_ml_latest_small_has_the_published_counts(real_data, read):
    connector = connect(path=str(real_data / "movielens-small"))
    counts = {entity: len(read(connector, entity).records) for entity in ("movie", "link", "tag")}
    assert counts == {"movie": 9742, "link": 9742, "tag": 3683}
    content = read(connector, "rating")
    assert len(content.events) == 100_836
    assert len({event["user"] for event in content.events}) == 610
    assert not content.rejects


@pytest.mark.real_data
def test_real_ratings_with_appended_rows_are_all_accounted_for(real_data, read):
    name = "ratings.as-found-with-appended-rows.csv"
    content = read(connect(path=str(real_data / "movielens-small"), ratings=name), "rating")
    assert len(content.events) + len(content.rejects) == 100_908
    assert {reject.text for reject in content.rejects} >= {"567,122904,0.0,1544531749", "614,7153,0.0,1544706141"}
