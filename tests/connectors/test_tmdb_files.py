"""The connector tmdb_files: what it reads, what it refuses."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import tmdb_files
from connectors.errors import SchemaDrift
from connectors.tmdb_files import connect

MOVIES = "id,title,overview,genres,budget\n"
GENRES = '"[{""id"": 28, ""name"": ""Action""}]"'


@pytest.fixture
def files(tmp_path):
    def write(name, text):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return connect(path=str(tmp_path))

    return write


def write_credits(path, rows, **types):
    columns = ("movie_id", "person_id", "name", "job", "department", "cast_order", "character")
    table = pa.table({name: pa.array([row[at] for row in rows], types.get(name)) for at, name in enumerate(columns)})
    pq.write_table(table, path / "credits.parquet", row_group_size=2)
    return connect(path=str(path))


CREDITS = [
    (5, 1, "Ann", "Director", "Directing", None, None),
    (6, 1, "Ann", "Actor", "Acting", 0, "Herself"),
    (5, 2, "Bob", "Actor", "Acting", 1, "A man"),
    (7, 3, "Cy", "Editor", "Editing", None, None),
]


def test_a_line_of_json_is_a_film(files, read):
    film = {"id": 5, "title": "Four Rooms", "genre_ids": [35], "overview": "É", "poster_path": None}
    content = read(files("films.jsonl", json.dumps(film) + "\r\n\n" + json.dumps({**film, "id": "6"})), "film")
    assert content.payloads("film") == {"5": film, "6": {**film, "id": "6"}}
    assert content.records[0].url == "films.jsonl:1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"title": "x"}', "bad_value"),
        (b'{"id": "5a", "title": "x"}', "bad_value"),
        (b'{"id": true, "title": "x"}', "bad_value"),
        (b'{"id": 5, "title": ""}', "bad_value"),
        (b"[1]", "bad_value"),
        (b'{"id": 5, "title": "x', "bad_row"),
        (b'{"id": 5, "title": "x", "vote": NaN}', "bad_row"),
        (b'{"id": 5, "title": "x", "vote": 1e999}', "bad_row"),
        (b"[" * 100_000, "bad_row"),
        (b'{"id": ' + b"9" * 5_000 + b"}", "bad_row"),
        (b'{"id": 5, "title": "\xff"}', "bad_encoding"),
        (b'{"id": 5, "title": "\\ud800"}', "bad_encoding"),
        (b'{"id": 1, "title": "again"}', "duplicate"),
        (b"\x00", "bad_row"),
    ],
)
def test_a_bad_line_is_refused_and_its_neighbours_go_on(files, read, line, reason):
    content = read(files("films.jsonl", b'{"id": 1, "title": "a"}\n' + line + b'\n{"id": 2, "title": "b"}\n'), "film")
    assert sorted(content.payloads("film")) == ["1", "2"]
    assert content.refused() == [(2, reason)]
    assert len(content.rejects[0].text) <= 500


def test_credits_are_grouped_by_movie_whatever_the_order_of_the_file(tmp_path, read, monkeypatch):
    monkeypatch.setattr(tmdb_files, "CREDITS_A_PAGE", 2)
    content = read(write_credits(tmp_path, CREDITS), "credits")
    names = {key: [row["name"] for row in payload["credits"]] for key, payload in content.payloads("credits").items()}
    assert names == {"5": ["Ann", "Bob"], "6": ["Ann"], "7": ["Cy"]}
    assert len(content.pages) > 1
    assert content.payloads("credits")["6"] == {
        "id": 6,
        "credits": [
            {
                "person_id": 1,
                "name": "Ann",
                "job": "Actor",
                "department": "Acting",
                "cast_order": 0,
                "character": "Herself",
            }
        ],
    }


def test_credits_without_a_movie_are_refused_and_numbers_with_gaps_are_whole(tmp_path, read):
    rows = [*CREDITS, (None, 9, "Dee", "Actor", "Acting", 2, "x")]
    connector = write_credits(tmp_path, rows, movie_id=pa.float64(), cast_order=pa.float64())
    content = read(connector, "credits")
    assert content.refused() == [(5, "bad_value")]
    assert content.payloads("credits")["6"]["credits"][0]["cast_order"] == 0
    assert content.payloads("credits")["5"]["id"] == 5


def test_a_parquet_file_without_a_column_is_named(tmp_path, read):
    pq.write_table(pa.table({"movie_id": [1], "person_id": [1]}), tmp_path / "c.parquet")
    with pytest.raises(SchemaDrift, match=r"'c.parquet' has no column 'name'"):
        read(connect(path=str(tmp_path)), "credits")


def test_a_parquet_file_that_is_cut_is_refused_as_a_whole(tmp_path, read):
    connector = write_credits(tmp_path, CREDITS)
    data = (tmp_path / "credits.parquet").read_bytes()
    (tmp_path / "credits.parquet").write_bytes(data[: len(data) // 2])
    assert read(connector, "credits").refused() == [(0, "decode_error")]


def test_kaggle_rows_keep_strings_and_get_lists(files, read):
    rows = f'19995,Avatar,"In the 22nd, ""far"" century",{GENRES},237000000\n2,B,,,\n'
    content = read(files("movies_metadata.csv", MOVIES + rows), "film")
    assert content.payloads("film")["19995"] == {
        "id": "19995",
        "title": "Avatar",
        "overview": 'In the 22nd, "far" century',
        "genres": [{"id": 28, "name": "Action"}],
        "budget": "237000000",
    }
    assert content.payloads("film")["2"]["genres"] == []


def test_lists_in_the_notation_of_python_are_read_too(files, read):
    content = read(
        files("movies_metadata.csv", MOVIES + "1,A,x,\"[{'id': 1, 'name': \"\"O'Neill\"\", 'x': None}]\",0\n"), "film"
    )
    assert content.payloads("film")["1"]["genres"] == [{"id": 1, "name": "O'Neill", "x": None}]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('1,A,x,"[{""id"": 28",0', "bad_value"),
        ("1,A,x,5,0", "bad_value"),
        ("1,A,x,__import__('os'),0", "bad_value"),
        ("1997-08-20,A,x,[],0", "bad_value"),
        ("1,,x,[],0", "bad_value"),
        ("1,A,x,[]", "bad_row"),
    ],
)
def test_a_bad_row_of_kaggle_is_refused(files, read, row, reason):
    content = read(files("movies.csv", f"{MOVIES}{row}\n2,B,,[],\n"), "film")
    assert list(content.payloads("film")) == ["2"]
    assert content.refused() == [(2, reason)]


def test_kaggle_credits_are_told_by_their_columns(files, read):
    files("x.csv", 'movie_id,title,cast,crew\n1,A,"[{""id"": 2}]",[]\n2,B,[],oops\n')
    connector = files("movies.csv", MOVIES)
    assert [(part.entity, part.file) for part in connector.parts()] == [("film", "movies.csv"), ("credits", "x.csv")]
    content = read(connector, "credits")
    assert content.payloads("credits") == {"1": {"movie_id": "1", "title": "A", "cast": [{"id": 2}], "crew": []}}
    assert content.rejects[0].detail == "crew is not a list in JSON"


def test_tables_of_other_things_are_passed_over(files):
    files("ratings.csv", "userId,movieId,rating,timestamp\n")
    files("movies_of_movielens.csv", "movieId,title,genres\n")
    pq.write_table(pa.table({"id": [1]}), files("films.jsonl", "").root / "films.parquet")
    assert [part.file for part in connect(path=str(files("empty.csv", "").root)).parts()] == ["films.jsonl"]


def test_a_folder_without_films_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"tmdb_files: no file of films or credits in .*; expected \*.jsonl"):
        connect(path=str(tmp_path)).parts()


@pytest.mark.real_data
def test_real_films_and_credits_have_the_counted_rows(real_data, read):
    connector = connect(path=str(real_data / "tmdb-films"))
    films = read(connector, "film")
    assert len(films.records) == 14_466
    assert sum(1 for record in films.records if record.payload["overview"]) == 14_457
    credits = read(connector, "credits")
    assert len(credits.records) == 15_178
    assert sum(len(record.payload["credits"]) for record in credits.records) == 184_350
    assert not films.rejects + credits.rejects


@pytest.mark.real_data
def test_real_kaggle_films_have_the_published_count(real_data, read):
    content = read(connect(path=str(real_data / "tmdb-5000")), "film")
    assert len(content.records) == 4_803
    assert sum(1 for record in content.records if record.payload["keywords"]) == 4_391
    assert not content.rejects
