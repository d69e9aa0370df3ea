"""No recorded answer is left out: each file of `api-responses` is read by a test, each answer a record or its error.

Spotify's and Last.fm's are in test_recorded_music.py; here are TMDb's, Genius', YouTube's, and the list of all files.
"""

import base64
import builtins
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from connectors import genius, tmdb, youtube
from connectors.base import Request
from connectors.drift import drift_of
from connectors.errors import AuthError, ConnectorError, NotFound, PermanentError, QuotaExceeded, SchemaDrift
from connectors.errors import TransientError as Transient
from tests.connectors.cassette import SECRET, Cassette
from tests.connectors.recorded import Recorded
from tests.connectors.test_recorded_music import outcome, recorded_of_lastfm, recorded_of_spotify

pytestmark = pytest.mark.real_data

# What is no answer: who recorded what, which values are invented, what another parser makes of the answers beside it.
NO_ANSWERS = ("README.md", "MANIFEST.tsv", "synthetic.txt", "expected_output/", ".txt", "pages_index.json")
OF_STATUS = {401: AuthError, 404: NotFound, 410: NotFound, 429: QuotaExceeded}


class Said(NamedTuple):
    """One answer."""

    where: str
    asked: str  # the address, as far as it is known
    status: int
    body: str


class Tape(Cassette):
    """Whatever is asked, the one answer."""

    said: Said

    def answer(self, method: str, url: str, form: str) -> tuple[int, dict[str, str], bytes]:
        kind = "text/html" if self.said.body.lstrip()[:1] == "<" else "application/json"
        return self.said.status, {"Content-Type": kind}, self.said.body.encode()


def said_in(file: Path) -> Iterator[Said]:
    """The answers in a file of any of the forms in which people record them."""
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8", "replace")
    name = file.name.removesuffix(".gz")
    if name.endswith((".yaml", ".yml")):
        for one in yaml.load(text, Loader=yaml.CSafeLoader).get("interactions", ()):
            yield _exchange(file.name, one.get("request", {}), one["response"])
    elif name.endswith(".jsonl"):
        for line in text.splitlines():
            yield _exchange(file.name, json.loads(line), json.loads(line))
    elif name.endswith(".json"):
        found = json.loads(text)
        rows = found if file.name == "errors_quoted.json" else [found]
        for row in rows:
            whole = isinstance(row, dict) and (("response" in row and "request" in row) or "reply" in row)
            quoted = isinstance(row, dict) and "http_status" in row
            if whole or quoted:
                yield _exchange(file.name, row.get("request", row), row.get("response", row) if whole else row)
            else:
                yield Said(file.name, file.name, 200, json.dumps(row))
    else:
        yield Said(file.name, file.name, 200, text)


def _exchange(where: str, asked: Any, answer: Any) -> Said:
    status = next((answer[key] for key in ("code", "responseCode", "http_status", "status") if answer.get(key)), 200)
    status = status.get("code", 200) if isinstance(status, dict) else int(status)
    body = next((answer[key] for key in ("body", "reply", "responseBody") if answer.get(key) is not None), "")
    if "reply" in answer:
        body = base64.b64decode(body)
    body = body.get("string", body) if isinstance(body, dict) else body
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    url = str(asked.get("uri") or asked.get("url") or where)
    return Said(where, url, status, text if isinstance(text, str) else json.dumps(text))


def files_of(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not any(mark in path.relative_to(folder).as_posix() for mark in NO_ANSWERS)]


def checked(got: Any, said: Said, counted: Counter[str]) -> bool:
    """Whether it is a record; an error must be the one that its status is."""
    if not isinstance(got, ConnectorError):
        assert said.status < 400, said.where
        return True
    expected = OF_STATUS.get(said.status, Transient if said.status >= 500 else PermanentError)
    assert said.status < 400 or isinstance(got, expected | QuotaExceeded | AuthError), (said.where, got)
    counted[f"{said.status} {type(got).__name__}"] += 1
    return False


# --- TMDb


def entity_of(asked: str) -> str:
    path = asked.split("?")[0]
    if "/find/" in path or "find" in path.split("/")[-1].lower():
        return "find"
    if "/search/movie" in path:
        return "search"
    return "configuration" if path.rstrip("/").endswith("/configuration") else "film"


def test_every_recorded_answer_of_tmdb_is_a_record_or_its_error(real_data: Path) -> None:
    found: Counter[str] = Counter()
    tape = Tape("tmdb", retries=0)
    connector = tmdb.connect(policy=tape, api_key=SECRET)
    for file in files_of(real_data / "api-responses" / "tmdb"):
        answers = list(said_in(file))
        assert answers, file
        for tape.said in answers:
            entity = entity_of(tape.said.asked)
            got = outcome(connector.lookup, Request(entity=entity, key="1"))
            if not checked(got, tape.said, found):
                # What is no object is a list of countries, languages, jobs: nothing that is asked for.
                assert tape.said.status >= 400 or '"status_code"' in tape.said.body or tape.said.body[0] == "["
                continue
            found[entity] += 1
            offered = outcome(connector.candidates, entity, got.payload) if entity != "configuration" else []
            assert not isinstance(offered, ConnectorError) or isinstance(offered, SchemaDrift), tape.said.where
            drifted = drift_of(connector.models[entity], got.payload).missing
            assert not (drifted and isinstance(offered, list) and offered), (tape.said.where, drifted)
            found["offered"] += 0 if isinstance(offered, ConnectorError) else len(offered)
    print(dict(found))
    least = {"film": 8, "search": 1, "configuration": 1, "429 QuotaExceeded": 2, "200 SchemaDrift": 3}
    assert {name: found[name] for name in least if found[name] < least[name]} == {}


# --- Genius


def test_every_recorded_answer_of_genius_is_a_record_or_its_error(real_data: Path) -> None:
    found: Counter[str] = Counter()
    tape = Tape("genius", retries=0)
    connector = genius.connect(policy=tape, access_token=SECRET)
    for file in files_of(real_data / "api-responses" / "genius"):
        answers = list(said_in(file))
        assert answers, file
        for tape.said in answers:
            page = tape.said.body.lstrip()[:1] == "<"
            body: Any = {} if page else json.loads(tape.said.body or "{}")
            entity = "page" if page else "song" if "song" in (body.get("response") or body) else "search"
            got = outcome(connector.lookup, Request(entity=entity, key="1"))
            if not checked(got, tape.said, found):
                assert page or tape.said.status >= 400, (tape.said.where, got)
                continue
            found[entity] += 1
            found["offered"] += 0 if page else len(connector.candidates(entity, got.payload))
    print(dict(found))
    least = {"search": 1, "song": 1, "offered": 11}
    assert {name: found[name] for name in least if found[name] < least[name]} == {}


# --- YouTube


def test_every_recorded_answer_of_youtube_is_a_record_or_its_error(real_data: Path) -> None:
    found: Counter[str] = Counter()
    address = "https://www.youtube.com/youtubei/v1/search?asks=x"
    for file in files_of(real_data / "api-responses" / "youtube"):
        answers = list(said_in(file))
        assert answers, file
        for said in answers:
            policy = Recorded("youtube")
            policy.answer("POST", address, said.status, said.body)
            connector = youtube.connect(policy=policy)
            body = json.loads(said.body or "null")
            if isinstance(body, list):  # what youtube-dl made of thirteen searches
                found["candidates"] += sum(len(connector.candidates("search", one)) for one in body)
                continue
            got = outcome(connector.lookup, Request(entity="search", key="x"))
            if checked(got, said, found):
                found["search"] += 1
                found["candidates"] += len(connector.candidates("search", got.payload))
    print(dict(found))
    assert found["search"] >= 13
    assert found["candidates"] >= 40


# --- all of them


def test_no_recorded_file_is_left_out(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, opened, really = real_data / "api-responses", set[str](), io.open

    def noted(file: Any, *args: Any, **options: Any) -> Any:
        opened.add(str(file))
        return really(file, *args, **options)

    monkeypatch.setattr(io, "open", noted)
    monkeypatch.setattr(builtins, "open", noted)
    answers = Counter(spotify=sum(1 for _ in recorded_of_spotify(folder / "spotify")))
    answers["lastfm"] = sum(1 for _ in recorded_of_lastfm(folder / "lastfm"))
    for service in ("tmdb", "genius", "youtube"):
        answers[service] = sum(1 for file in files_of(folder / service) for _ in said_in(file))
    every = files_of(folder)
    print(len(every), "files", dict(answers), "answers")
    assert [str(path) for path in every if str(path) not in opened] == []
    assert answers.total() >= len(every) >= 150
    assert min(answers[name] for name in ("spotify", "lastfm", "tmdb", "genius", "youtube")) > 0
