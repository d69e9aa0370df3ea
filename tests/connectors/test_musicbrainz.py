"""MusicBrainz: what is asked, what comes back, and what its refusals mean; its cassette says what it was made from."""

import pytest

from connectors.base import Request, Wanted
from connectors.drift import Drift, drift_of
from connectors.errors import ConnectorError, NotFound, PermanentError, QuotaExceeded, SchemaDrift
from connectors.musicbrainz import Musicbrainz, connect
from connectors.scoring import decide, score
from tests.connectors.cassette import Cassette

LANTERNS, LIVE, GONE = (f"0b5e4c4e-6f1a-4c0f-8a3b-3f2a1d9c7e5{n}" for n in (5, 6, 7))
QUERY = 'recording:(lanterns) AND artist:"vela norte"'
WANTED = Wanted(title="Lanterns (feat. Ohm)", creators=("Vela Norte", "Ohm"), duration_ms=201_000, year=2016)


@pytest.fixture
def tape() -> Cassette:
    return Cassette.of("musicbrainz/recordings")


@pytest.fixture
def musicbrainz(tape: Cassette) -> Musicbrainz:
    return connect(policy=tape, contact="me@example.org")


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (WANTED, [("search", QUERY)]),
        (Wanted(title="", ids={"mbid": LANTERNS}), [("recording", LANTERNS)]),
        (Wanted(title="Lanterns", isrc="DEAAA1600001"), [("isrc", "DEAAA1600001")]),
        (
            Wanted(title="Lanterns", creators=("Vela Norte",), ids={"mbid": LIVE, "isrc": "DEAAA1600001"}),
            [("recording", LIVE), ("isrc", "DEAAA1600001"), ("search", QUERY)],
        ),
        (
            Wanted(title='What? "AND" (Live)', creators=("AC/DC",)),
            [("search", r'recording:(what\? \"and\" \(live\)) AND artist:"ac\/dc"')],
        ),
        (Wanted(title="Lanterns"), []),
    ],
)
def test_exact_ids_are_asked_first_and_names_hold_no_signs_of_the_query_language(
    musicbrainz: Musicbrainz, wanted: Wanted, asked: list[tuple[str, str]]
) -> None:
    assert [(question.entity, question.key) for question in musicbrainz.questions(wanted)] == asked


def test_every_answer_has_the_shape_we_know(musicbrainz: Musicbrainz) -> None:
    for entity, key in (("recording", LANTERNS), ("isrc", "DEAAA1600001"), ("search", QUERY)):
        record = musicbrainz.lookup(Request(entity=entity, key=key))
        assert drift_of(musicbrainz.models[entity], record.payload) == Drift()
        assert (record.entity, record.source_id) == (entity, key)


def test_a_search_offers_recordings_and_says_which_are_other_performances(musicbrainz: Musicbrainz) -> None:
    said = musicbrainz.lookup(Request(entity="search", key=QUERY)).payload
    studio, live, other = musicbrainz.candidates("search", said)
    assert (studio.id, studio.artists, studio.album) == (LANTERNS, ("Vela Norte", "Ohm"), "Quiet Machines")
    assert (studio.year, studio.duration_ms, studio.isrc) == (2016, 201_333, "DEAAA1600001")
    assert live.title == "Lanterns (live, 2017-11-02: Bergen, Norway)"
    assert (other.year, other.album, other.duration_ms) == (None, None, None)
    scored = score(WANTED, [live, other, studio], "musicbrainz")
    assert (decide(scored).best, decide(scored).state) == (LANTERNS, "accept")
    assert {one.id: one.probability < 0.3 for one in scored} == {LANTERNS: False, LIVE: True, GONE: True}


def test_an_isrc_names_its_recording_and_one_that_nobody_has_offers_nothing(musicbrainz: Musicbrainz) -> None:
    def offered(code: str) -> list[str]:
        said = musicbrainz.lookup(Request(entity="isrc", key=code)).payload
        return [candidate.id for candidate in musicbrainz.candidates("isrc", said)]

    assert offered("DEAAA1600001") == [LANTERNS]
    assert offered("DEAAA9999999") == []


def test_an_item_takes_mbid_isrcs_and_the_genres_that_more_give_than_take_back(musicbrainz: Musicbrainz) -> None:
    said = musicbrainz.lookup(Request(entity="recording", key=LANTERNS)).payload
    ids = ["isrc:DEAAA1600001", "isrc:DEAAA1600099"]
    genres = ["dream pop", "electronic"]
    assert musicbrainz.describe(said) == {"title": "Lanterns", "mbid": LANTERNS, "genres": genres, "ids": ids}
    assert musicbrainz.describe({**said, "genres": []})["genres"] == [*genres, "my 2016"]
    assert musicbrainz.candidates("recording", said)[0].artists == ("Vela Norte", "Ohm")


@pytest.mark.parametrize(
    ("mbid", "kind", "said"),
    [
        (GONE, NotFound, "Not Found"),
        ("not-an-mbid", PermanentError, "Invalid mbid"),
        (LIVE, QuotaExceeded, "rate limit"),
    ],
)
def test_a_refusal_is_the_right_error(
    musicbrainz: Musicbrainz, tape: Cassette, mbid: str, kind: type[ConnectorError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        musicbrainz.lookup(Request(entity="recording", key=mbid))
    assert type(caught.value) is kind
    assert len(tape.asked) == (1 + tape.settings.retries if kind is QuotaExceeded else 1)


def test_an_answer_without_recordings_is_drift(musicbrainz: Musicbrainz) -> None:
    with pytest.raises(SchemaDrift, match="without a list"):
        musicbrainz.candidates("search", {"count": 0})
    with pytest.raises(SchemaDrift, match="artist-credit"):
        musicbrainz.candidates("search", {"recordings": [{"id": LANTERNS, "title": "Lanterns"}]})


def test_they_are_asked_once_a_second_under_our_name(musicbrainz: Musicbrainz) -> None:
    assert connect().credentials()[1]["User-Agent"].startswith("mediateca/")
    assert musicbrainz.credentials()[1]["User-Agent"].endswith("( me@example.org )")
    assert connect()._policy.settings.requests_per_second == 1.0
