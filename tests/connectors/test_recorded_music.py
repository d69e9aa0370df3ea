"""Every recorded answer of Spotify and Last.fm becomes records, or the error that it is; none does anything else."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from connectors import lastfm, lastfm_answers, spotify, spotify_answers
from connectors.base import Page, Record, Request
from connectors.drift import drift_of
from connectors.errors import AuthError, ConnectorError, NotFound, PermanentError, QuotaExceeded, TransientError
from connectors.lastfm_answers import number_of
from tasks.entities_live import from_lastfm_api, from_spotify_api, profile_of
from tests.connectors.cassette import SECRET, Cassette

pytestmark = pytest.mark.real_data


class Recorded(NamedTuple):
    """One recorded answer."""

    where: str  # file and place in it
    asked: str  # path or method
    status: int
    headers: dict[str, str]
    body: str


class Tape(Cassette):
    """Answers the token, and anything else with one recorded answer, as often as it is asked."""

    recorded: Recorded

    def answer(self, method: str, url: str, form: str) -> tuple[int, dict[str, str], bytes]:
        if "/api/token" in url:
            token = {"access_token": "made-up", "token_type": "Bearer", "expires_in": 3600}
            return 200, {"Content-Type": "application/json"}, json.dumps(token).encode()
        return self.recorded.status, self.recorded.headers, self.recorded.body.encode()


def rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    opened = gzip.open(file, "rt") if file.suffix == ".gz" else file.open()
    with opened as lines:
        yield from enumerate(map(json.loads, lines))


# --- Spotify


def recorded_of_spotify(folder: Path) -> Iterator[Recorded]:
    for file in sorted(folder.glob("*/*.json")):
        body = file.read_text()
        error = json.loads(body).get("error") if body.lstrip().startswith("{") else None
        yield Recorded(f"{file.parent.name}/{file.name}", "", error["status"] if error else 200, {}, body)
    for said in json.loads((folder / "errors_quoted_in_issues.json").read_text()):
        yield Recorded(said["source"], said["endpoint"], said["http_status"], {}, json.dumps(said["body"]))
    for file in sorted(folder.glob("spotdl/*.jsonl.gz")):
        for number, row in rows(file):
            body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"]) if row["body"] else ""
            headers = {str(k): str(v[0] if isinstance(v, list) else v) for k, v in (row.get("headers") or {}).items()}
            kept = {k: v for k, v in headers.items() if k.lower() == "retry-after"}
            yield Recorded(f"{file.name}:{number}", row["uri"], row["status"], kept, body)


KINDS = {401: AuthError, 403: AuthError, 404: NotFound, 429: QuotaExceeded}


def ask_spotify(connector: Any, recorded: Recorded) -> list[Record | Page]:
    """What we would have asked for to get this answer, by what it is."""
    connector.policy.recorded = recorded
    try:
        said = json.loads(recorded.body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    if "audio_features" not in recorded.where and said.get("type") in ("track", "album", "artist"):
        return [connector.lookup(Request(entity=said["type"], key=said["id"]))]
    if said.get("type") == "playlist":
        return [next(connector.pages("playlist", keys=[said["id"]]))]
    for name in ("tracks", "albums", "artists"):
        if isinstance(said.get(name), list):  # many at once
            return list(connector.pages(name.removesuffix("s"), keys=[entry["id"] for entry in said[name] if entry]))
    if "added_at" in json.dumps(said.get("items") or "")[:400]:
        return [next(connector.pages("playlist", keys=["1" * 22], cursor="0/100"))]
    return [connector.lookup(Request(entity="search", key="x"))]


def outcome(ask: Any, *args: Any) -> Any:
    """What asking gives, or the error of ours that it raises; any other error is let through."""
    try:
        return ask(*args)
    except ConnectorError as exc:
        return exc


def test_every_recorded_answer_of_spotify_is_a_record_or_its_error(real_data, tmp_path):
    found: Counter[str] = Counter()
    keys = {"client_id": "id", "client_secret": SECRET, "search_limit": 1}
    connector = spotify.connect(policy=Tape("spotify", judge=spotify_answers.judge), **keys)
    for number, recorded in enumerate(recorded_of_spotify(real_data / "api-responses" / "spotify")):
        asked = connector
        if recorded.headers:  # its Retry-After holds back whoever shares the ledger
            tape = Tape(
                "spotify", judge=spotify_answers.judge, ledger=tmp_path / f"{number}.sqlite", retry_after_cap_s=0
            )
            asked = spotify.connect(policy=tape, **keys)
        got = outcome(ask_spotify, asked, recorded)
        if isinstance(got, ConnectorError):
            kind = KINDS.get(recorded.status, TransientError if recorded.status >= 500 else PermanentError)
            is_list = recorded.status == 200 and recorded.body.lstrip().startswith("[")
            assert is_list or recorded.status >= 400, (recorded.where, got)
            assert isinstance(got, kind), (recorded.where, got)
            assert got.source == "spotify"
            found[f"{recorded.status} {type(got).__name__}"] += 1
            continue
        assert recorded.status == 200, recorded.where
        for answer in got:
            records = [answer] if isinstance(answer, Record) else list(answer.records)
            found += check_spotify(connector, records, recorded)
            found["events"] += 0 if isinstance(answer, Record) else len(answer.events)
    print(dict(found))
    # Of the part without spotDL's recordings, which add 2,436 where they are at hand.
    least = {"track": 29, "album": 7, "artist": 5, "playlist": 5, "playlist_rows": 2, "search": 16, "events": 17}
    least |= {"candidates": 56, "403 AuthError": 3, "400 PermanentError": 1, "404 NotFound": 2}
    least |= {"429 QuotaExceeded": 2, "200 SchemaDrift": 1}
    assert {name: found[name] for name in least if found[name] < least[name]} == {}


def check_spotify(connector: Any, records: list[Record], recorded: Recorded) -> Counter[str]:
    """Every record's drift, candidates and rows against what came; how many of each there were."""
    found = Counter(record.entity for record in records)
    for record in records:
        tracks = record.payload.get("tracks") if record.entity == "search" else {"items": [record.payload]}
        if record.entity == "search" and not isinstance(tracks, dict):
            continue  # albums, artists, categories: kept, and offering nothing
        drift = drift_of(connector.models[record.entity], record.payload)
        if "jsonl" in recorded.where:  # from 2020 on
            found["new or gone fields"] += len(drift.unknown) + len(drift.missing)
        else:  # beets shortened two of its recordings
            assert drift.unknown == (), recorded.where
            assert set(drift.missing) <= {"tracks.items[].album.release_date"}, recorded.where
        if record.entity in ("search", "track"):
            named = [track for track in tracks["items"] if track and track.get("id") and track.get("name")]
            candidates = connector.candidates(record.entity, record.payload)
            assert [(c.id, c.title, c.duration_ms or 0) for c in candidates] == [
                (track["id"], track["name"], track["duration_ms"]) for track in named
            ], recorded.where
            found["candidates"] += len(candidates)
        if record.entity == "track":
            said, row = record.payload, from_spotify_api(record.source_id, {"track": record.payload})
            assert row["title"] == (said["name"].strip() or None), recorded.where
            assert row["creators"] == [a["name"].strip() for a in said["artists"] if a["name"].strip()], recorded.where
            assert str(row["year"] or "0000") == (said["album"].get("release_date") or "0000")[:4], recorded.where
            assert row["duration_ms"] == (said["duration_ms"] or None), recorded.where
            assert row["explicit"] is said["explicit"], recorded.where
    return found


# --- Last.fm


def recorded_of_lastfm(folder: Path) -> Iterator[Recorded]:
    for file in sorted((folder / "pylast-xml-vcr").rglob("*.yaml")):
        for number, said in enumerate(yaml.safe_load(file.read_text())["interactions"]):
            method = re.search(r"method=([\w.]+)", str(said["request"]["body"]))
            body = said["response"]["body"]["string"]
            text = body if isinstance(body, str) else body.decode()
            status = said["response"]["status"]["code"]
            yield Recorded(f"{file.name}:{number}", method[1] if method else "", status, {}, text)
    for number, said in rows(folder / "lastfm-docs-examples" / "examples.jsonl"):
        text = json.dumps(said["body"]) if said["body"] is not None else said["body_text"]
        yield Recorded(f"examples:{number}", said["method"], number_of(said["http_status"][:3]) or 200, {}, text)
    for file in sorted([*folder.glob("LastFM.swift-json/*/*.json"), *folder.glob("lastfm_archive-json/*.json")]):
        yield Recorded(file.name, file.name.split("_")[0].removesuffix(".json"), 200, {}, file.read_text())
    for file in sorted(folder.glob("ruby-lastfm-xml/**/*.xml")):
        yield Recorded(file.name, "", 200, {}, file.read_text(errors="replace"))
    for said in json.loads((folder / "errors_quoted_in_issues.json").read_text()):
        body = said.get("body_text") or json.dumps(said.get("body") or {"error": said["code"], "message": "quoted"})
        yield Recorded(said["source"], "", said["http_status"] or 200, {}, body)


OF_CODE = {4: AuthError, 6: NotFound, 8: TransientError, 9: AuthError, 10: AuthError, 13: AuthError, 16: TransientError,
           17: NotFound, 26: AuthError, 29: QuotaExceeded}  # fmt: skip
ENTITIES = {method.lower(): entity for entity, method in lastfm.METHODS.items()}
KEYS = {"track_info": "a/_/b", "track_tags": "a/_/b", "chart": "1"}


def test_every_recorded_answer_of_lastfm_is_a_record_or_its_error(real_data):
    found: Counter[str] = Counter()
    tape = Tape("lastfm", judge=lastfm_answers.judge)
    connector = lastfm.connect(policy=tape, api_key=SECRET, profiles=False)
    for tape.recorded in recorded_of_lastfm(real_data / "api-responses" / "lastfm"):
        recorded, entity = tape.recorded, ENTITIES.get(tape.recorded.asked.lower(), "user")
        got = outcome(connector.lookup, Request(entity=entity, key=KEYS.get(entity, "a")))
        if isinstance(got, ConnectorError):
            code = re.search(r'"error":\s*(\d+)|<error code="(\d+)"', recorded.body)
            kind = OF_CODE[int(code[1] or code[2])] if code and recorded.status < 500 else TransientError
            assert type(got) is kind, (recorded.where, got)
            assert code or recorded.status >= 500 or not_whole(recorded.body), (recorded.where, got)
            found[f"{type(got).__name__} {code[1] or code[2] if code else ''}".strip()] += 1
            continue
        assert recorded.status == 200, recorded.where
        assert got.payload or "addTags" in recorded.asked, recorded.where  # which answers with nothing but "ok"
        if recorded.asked.lower() in ENTITIES:
            assert not drift_of(connector.models[entity], got.payload), recorded.where
        found[entity if recorded.asked.lower() in ENTITIES else "other"] += 1
        found["events"] += check_lastfm(connector, entity, got, recorded) if recorded.asked else 0
    print(dict(found))
    least = {"track_info": 15, "plays": 5, "events": 10, "chart": 2, "track_tags": 2, "user": 7, "other": 100}
    least |= {"NotFound 6": 25, "NotFound 17": 1, "QuotaExceeded 29": 1, "AuthError 10": 1}
    assert {name: found[name] for name in least if found[name] < least[name]} == {}


def not_whole(body: str) -> bool:
    """Whether a recording was shortened by those who made it, so that it parses no more."""
    try:
        return not isinstance(json.loads(body), dict)
    except ValueError:
        return not body.lstrip().startswith("<") or "</lfm>" not in body


def check_lastfm(connector: Any, entity: str, record: Record, recorded: Recorded) -> int:
    """What is made of an answer; how many plays it holds."""
    if entity == "track_info":
        (candidate,) = connector.candidates(entity, record.payload)
        row = from_lastfm_api(candidate.id, {"track_info": record.payload})
        assert row["title"] == candidate.title, recorded.where
        assert row["creators"] == [*candidate.artists], recorded.where
        assert row["duration_ms"] is None or row["duration_ms"] >= 20_000, recorded.where
    if entity == "user" and recorded.asked.lower() == "user.getinfo":
        profile = profile_of(record.payload)
        assert set(profile) == {"gender", "age", "country", "registered"}
        assert profile["registered"], recorded.where
        assert profile["country"] != "None", recorded.where
        assert profile["gender"] != "n", recorded.where
    if entity not in ("plays", "chart"):
        return 0
    page = next(iter(connector.pages(entity, cursor=None if entity == "chart" else "0/4000000000/1", keys=["a"])))
    tracks = {r.source_id: r.payload for r in page.records if r.entity == "track"}
    assert tracks or '"track":[]' in re.sub(r"\s", "", recorded.body), recorded.where
    for path, payload in tracks.items():
        assert from_lastfm_api(path, {"track": payload})["title"], recorded.where
    assert set(page.events.column("item").to_pylist()) <= set(tracks), recorded.where
    return len(page.events)
