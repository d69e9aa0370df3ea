"""What every live connector of the registry must do; nothing is asked over the network."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from connectors import registry
from connectors.base import Request, Wanted
from connectors.errors import AuthError, SchemaDrift

KEYS = ("LASTFM_API_KEY", "SPOTIFY_CLIENT_ID", "SPOTIFY_CLIENT_SECRET", "GENIUS_ACCESS_TOKEN", "TMDB_API_KEY")
SECRET = "a-secret-that-is-never-told"
TRACK = Wanted(title="Paper Moons (Live)", creators=("Ann Example",), album="Night", year=2019, duration_ms=201_000)
FILM = Wanted(title="The Long Tide", year=1987, ids={"imdb": "tt0000001", "youtube": "ddddddddddd"})
EVERY = pytest.mark.parametrize("name", sorted(registry.LIVE))


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS:
        monkeypatch.setenv(key, SECRET)


@pytest.fixture
def opened(name: str, secrets: None) -> Iterator[Any]:
    connector = registry.connect(name)
    yield connector
    connector.close()


@EVERY
def test_the_name_is_the_registry_key_and_answers_have_shapes(name: str, opened: Any) -> None:
    assert opened.name == name
    assert opened.entities
    assert set(opened.models) <= opened.entities
    assert all(model.model_config.get("extra") == "allow" for model in opened.models.values())
    live = registry.LIVE[name]
    assert set(live.details) <= opened.entities


@EVERY
def test_questions_are_of_its_entities_and_hold_no_secret(name: str, opened: Any) -> None:
    wanted = FILM if registry.LIVE[name].finds == "film" else TRACK
    questions = opened.questions(wanted)
    assert questions
    assert len(set(map(repr, questions))) == len(questions)
    assert {question.entity for question in questions} <= opened.entities
    assert all(question.key.strip() for question in questions)
    assert SECRET not in repr(questions)
    assert opened.questions(Wanted(title="")) == ()


@EVERY
def test_what_it_is_not_asked_for_is_refused(name: str, opened: Any) -> None:
    with pytest.raises(ValueError, match=f"{name}: unknown entity 'nope'; known: {sorted(opened.entities)[0]}"):
        opened.lookup(Request(entity="nope", key="1"))
    with pytest.raises(ValueError, match="nope"):
        list(opened.pages("nope"))


@EVERY
def test_an_unknown_setting_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="sped"):
        registry.connect(name, sped=9)


@EVERY
def test_an_answer_without_anything_offers_nothing_or_is_drift(name: str, opened: Any) -> None:
    for question in opened.questions(FILM if registry.LIVE[name].finds == "film" else TRACK):
        with suppress(SchemaDrift):
            assert opened.candidates(question.entity, {}) == []


@EVERY
def test_without_its_key_nothing_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in ("trailers", "youtube"):
        pytest.skip("YouTube takes no key")
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    connector = registry.connect(name)
    question = connector.questions(FILM if registry.LIVE[name].finds == "film" else TRACK)[0]
    with pytest.raises(AuthError, match=r"set \w+"):
        connector.lookup(question)
    connector.close()


@EVERY
def test_secrets_are_in_no_representation(name: str, opened: Any) -> None:
    assert SECRET not in repr(vars(opened))
