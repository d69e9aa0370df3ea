"""What every live connector of the registry must do; nothing is asked over the network."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from requests import PreparedRequest, Response
from urllib3 import HTTPResponse

from connectors import registry
from connectors.base import Request, Wanted
from connectors.errors import (
    AuthError,
    BlockedPage,
    ConnectorError,
    NotFound,
    QuotaExceeded,
    SchemaDrift,
    TransientError,
)
from connectors.http_requests import PolicyAdapter

KEYS = tuple(key for live in registry.LIVE.values() for key in live.keys)
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
def test_an_unknown_setting_is_refused_without_its_value(name: str) -> None:
    with pytest.raises(ValueError, match="api_keey") as caught:
        registry.connect(name, api_keey=SECRET)
    assert SECRET not in str(caught.value)


@EVERY
def test_an_answer_without_anything_offers_nothing_or_is_drift(name: str, opened: Any) -> None:
    for question in opened.questions(FILM if registry.LIVE[name].finds == "film" else TRACK):
        with suppress(SchemaDrift):
            assert opened.candidates(question.entity, {}) == []


@EVERY
def test_without_its_key_nothing_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not registry.LIVE[name].keys:
        pytest.skip(f"{name} takes no key")
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    connector = registry.connect(name)
    question = connector.questions(FILM if registry.LIVE[name].finds == "film" else TRACK)[0]
    with pytest.raises(AuthError, match=r"set \w+"):
        connector.lookup(question)
    connector.close()


@EVERY
def test_what_describes_an_item_is_among_what_is_asked_for(name: str, opened: Any) -> None:
    live = registry.LIVE[name]
    assert set(dict(live.by_way_of)) | set(dict(live.by_way_of).values()) <= set(live.details)
    assert live.described_by in ("", *live.details)
    assert set(live.media) <= {"image", "audio"}
    if "image" in live.media:
        assert live.described_by
        assert callable(opened.fetch_picture)


@EVERY
def test_secrets_are_in_no_representation(name: str, opened: Any) -> None:
    assert SECRET not in repr(vars(opened))


# --- what goes wrong, under the real policy: only the wire is ours

Said = tuple[int, dict[str, str], Any]
OF_ALL: dict[type[ConnectorError], Said] = {
    TransientError: (503, {}, ""),
    QuotaExceeded: (429, {"Retry-After": "7200"}, ""),
    BlockedPage: (200, {"Content-Type": "text/html"}, "<!doctype html><html><body>Are you a robot?</body></html>"),
}
IN_OWN_WORDS: dict[tuple[str, type[ConnectorError]], Said] = {
    ("lastfm", AuthError): (403, {}, {"error": 10, "message": "Invalid API key"}),
    ("lastfm", NotFound): (200, {}, {"error": 6, "message": "Track not found"}),
    ("spotify", AuthError): (401, {}, {"error": {"status": 401, "message": "Invalid access token"}}),
    ("spotify", NotFound): (404, {}, {"error": {"status": 404, "message": "Resource not found"}}),
    ("genius", AuthError): (401, {}, {"error": "invalid_token", "error_description": "The access token is invalid."}),
    ("genius", NotFound): (404, {}, {"meta": {"status": 404, "message": "Not found"}}),
    ("musicbrainz", NotFound): (
        404,
        {},
        {"error": "Not Found", "help": "For usage, please see: https://musicbrainz.org/"},
    ),
    ("musicbrainz", QuotaExceeded): (503, {}, {"error": "Your requests are exceeding the allowable rate limit."}),
    ("tmdb", AuthError): (401, {}, {"status_code": 7, "status_message": "Invalid API key", "success": False}),
    ("tmdb", NotFound): (404, {}, {"status_code": 34, "status_message": "The resource could not be found."}),
}
WRONG = [((name, kind), said) for name in sorted(registry.LIVE) for kind, said in OF_ALL.items()]
WRONG += [(case, said) for case, said in IN_OWN_WORDS.items() if case[0] in registry.LIVE]
PLAIN = {"retries": 1, "backoff_s": 0.0, "requests_per_second": None}


def answer_all(monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    """Every request but that for a token gets this answer."""

    def play(adapter: PolicyAdapter, request: PreparedRequest, proxies: Any = None) -> Response:
        status, headers, body = said
        if "/api/token" in str(request.url):
            status, headers, body = 200, {}, {"access_token": SECRET + "-token", "expires_in": 3600}
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        raw = HTTPResponse(io.BytesIO(data), headers=headers, status=status, preload_content=False)
        return adapter.build_response(request, raw)

    monkeypatch.setattr(PolicyAdapter, "open", play)


@pytest.mark.parametrize(
    ("case", "said"), WRONG, ids=lambda value: "" if len(value) == 3 else f"{value[0]}-{value[1].__name__}"
)
def test_what_goes_wrong_is_one_of_our_errors_and_tells_no_secret(
    case: tuple[str, type[ConnectorError]],
    said: Said,
    secrets: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name, kind = case
    caplog.set_level(logging.DEBUG)
    answer_all(monkeypatch, said)
    connector = registry.connect(name, policy=PLAIN)
    question = connector.questions(FILM if registry.LIVE[name].finds == "film" else TRACK)[0]
    source = "youtube" if name == "trailers" else name  # they are its videos
    with pytest.raises(kind, match=f"{source}: ") as caught:
        connector.lookup(question)
    assert type(caught.value) is kind
    assert caught.value.source == source
    chain: list[BaseException] = [caught.value]
    for shown in chain:
        assert SECRET not in str(shown) + repr(vars(shown))
        inner = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
        if inner is not None and not any(inner is other for other in chain):  # yt-dlp's errors hold each other
            chain.append(inner)
    assert SECRET not in caplog.text
    assert SECRET not in repr(vars(connector))
    connector.close()


@EVERY
def test_a_quota_says_when_it_is_renewed(name: str, secrets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_all(monkeypatch, OF_ALL[QuotaExceeded])
    connector = registry.connect(name, policy=PLAIN)
    question = connector.questions(FILM if registry.LIVE[name].finds == "film" else TRACK)[0]
    with pytest.raises(QuotaExceeded) as caught:
        connector.lookup(question)
    assert caught.value.retry_at is not None
    connector.close()
