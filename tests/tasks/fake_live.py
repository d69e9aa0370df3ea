"""A live source without a network: answers, refusals, and a count of what it was asked."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

import tasks.entities
from connectors import registry
from connectors.base import Page, Record, Reject, Request, Wanted, event_schema
from connectors.candidates import Candidate
from connectors.errors import NotFound
from connectors.registry import Live
from storage.lazy import pa
from tests.tasks.shelf import Shelf, track_id

LUNA = {"id": "L", "title": "Luna", "artists": ["Bo"], "duration_ms": 200_000}
LIVE_LUNA = {"id": "V", "title": "Luna (Live)", "artists": ["Bo"], "duration_ms": 260_000}
LIVE = Live(
    made_by="tests.tasks.fake_live:connect",
    details=("track",),
    described_by="track",
    media=("image", "audio"),
    finds="track",
    reads=("plays", "playlist", "chart"),
    changing=("track",),
    batched=("track",),
    whole_in=(("track", "search"),),
)


class Answer(BaseModel):
    """A search's answer."""

    model_config = ConfigDict(extra="allow")

    hits: list[dict[str, Any]]


@dataclass
class World:
    """What the source has, and what it was asked."""

    hits: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    tracks: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    pictures: dict[str, bytes] = field(default_factory=dict[str, bytes])
    plays: dict[str, list[tuple[str, int]]] = field(default_factory=dict[str, list[tuple[str, int]]])
    page: int = 100  # plays of a page
    playlists: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # id -> ids of tracks
    chart: list[str] = field(default_factory=list[str])
    sounds: dict[str, bytes] = field(default_factory=dict[str, bytes])
    failing: dict[str, BaseException] = field(default_factory=dict[str, BaseException])  # key -> what is raised
    asked: Counter[str] = field(default_factory=Counter[str])


WORLD = World()


def record(entity: str, key: str, payload: Any) -> Record:
    return Record(entity=entity, source_id=key, payload=payload, url="fake://", fetched_at=datetime.now(UTC))


def track_record(id_: str) -> Record:
    return record("track", id_, WORLD.tracks[id_])


def gone(id_: str) -> Reject:
    return Reject(file=id_, line=0, reason="not_found", detail="nothing with this id", text="")


def clock_at(seconds: int) -> Any:
    """In the place of `storage.clock`: a time that stands still."""
    return SimpleNamespace(now=lambda: datetime.fromtimestamp(seconds, UTC))


def described(source_id: str, bodies: Any) -> dict[str, Any]:
    """A track of it in our columns."""
    track = bodies["track"]
    return {"kind": "track", "title": track["title"], "creators": track["artists"], "isrc": track.get("isrc")}


class Fake:
    """Entities: `search` (title), `track` (id)."""

    name: ClassVar[str] = "fake"
    entities: ClassVar[frozenset[str]] = frozenset({"search", "track"})
    models: ClassVar[Mapping[str, type[BaseModel]]] = {"search": Answer}

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        known = next((id_ for id_ in wanted.ids.values() if id_ in WORLD.tracks), None)
        exact = (Request(entity="track", key=known),) if known else ()
        return (*exact, Request(entity="search", key=wanted.title)) if wanted.title else exact

    def lookup(self, request: Request) -> Record:
        WORLD.asked[f"{request.entity}:{request.key}"] += 1
        if request.key in WORLD.failing:
            raise WORLD.failing[request.key]
        found: Any = WORLD.tracks.get(request.key)
        if request.entity == "search":
            found = {"hits": WORLD.hits[request.key]} if request.key in WORLD.hits else None
        if found is None:
            raise NotFound("fake: nothing", source="fake", status=404)
        return record(request.entity, request.key, found)

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        return [Candidate.of(dict(hit)) for hit in ([payload] if entity == "track" else payload["hits"])]

    def part_of(self, entity: str, key: str, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return next((hit for hit in payload.get("hits", ()) if hit["id"] == key and hit.get("isrc")), None)

    def request_from(self, entity: str, payload: Mapping[str, Any]) -> Request:
        raise ValueError(entity)

    def fetch_audio(self, id_: str, folder: Path) -> Path:
        WORLD.asked[f"sound:{id_}"] += 1
        if f"sound:{id_}" in WORLD.failing:
            raise WORLD.failing[f"sound:{id_}"]
        if id_ not in WORLD.sounds:
            raise NotFound("fake: private video", source="fake")
        path = folder / "sound.wav"
        path.write_bytes(WORLD.sounds[id_])
        return path

    def fetch_picture(self, payload: Mapping[str, Any]) -> bytes:
        WORLD.asked[f"picture:{payload['id']}"] += 1
        if payload["id"] not in WORLD.pictures:
            raise NotFound("fake: no picture", source="fake", status=404)
        return WORLD.pictures[payload["id"]]

    def pages(self, entity: str, *, keys: Sequence[Any] | None = None, cursor: str | None = None) -> Iterator[Page]:
        if entity == "plays":
            return self._plays(keys or (), cursor)
        if entity == "playlist":
            return self._playlists(keys or ())
        if entity == "track":
            return self._tracks(keys or ())
        return iter([Page(records=tuple(track_record(name) for name in WORLD.chart))])

    def _plays(self, keys: Sequence[Any], cursor: str | None) -> Iterator[Page]:
        """Newest first, `WORLD.page` a page; what a page is asked for is in `WORLD.asked`."""
        for request in keys:
            since = int(request.params.get("from", 0))
            _, to, number = map(int, (cursor or "0/0/1").split("/"))
            plays = sorted((at, item) for item, at in WORLD.plays.get(request.key, []) if since <= at < to)[::-1]
            while True:
                WORLD.asked[f"plays:{request.key}:{since or None}:{number}"] += 1
                for name in (request.key, f"{request.key}:{number}"):
                    if name in WORLD.failing:
                        raise WORLD.failing[name]
                here, more = plays[(number - 1) * WORLD.page :][: WORLD.page], len(plays) > number * WORLD.page
                rows = [
                    {
                        "user": request.key,
                        "item": item,
                        "kind": "play",
                        "line": at,
                        "at": datetime.fromtimestamp(at, UTC),
                    }
                    for at, item in here
                ]
                number += 1
                yield Page(
                    records=(
                        record("plays", f"{request.key}/{to}/{number}", {"tracks": [{"id": i} for _, i in here]}),
                    ),
                    events=pa.Table.from_pylist(rows, event_schema()),
                    cursor=f"0/{to}/{number}" if more else None,
                )
                if not more:
                    break

    def _tracks(self, ids: Sequence[str]) -> Iterator[Page]:
        """All in one answer; where the app may not ask so, one by one."""
        if "batch" in WORLD.failing:
            WORLD.asked["batch"] += 1
            for id_ in ids:
                WORLD.asked[f"track:{id_}"] += 1
                there = id_ in WORLD.tracks
                yield Page(records=(track_record(id_),) if there else (), rejects=() if there else (gone(id_),))
            return
        WORLD.asked[f"batch:{','.join(sorted(ids))}"] += 1
        missing = tuple(gone(id_) for id_ in ids if id_ not in WORLD.tracks)
        yield Page(records=tuple(track_record(id_) for id_ in ids if id_ in WORLD.tracks), rejects=missing)

    def _playlists(self, ids: Sequence[str]) -> Iterator[Page]:
        for id_ in ids:
            WORLD.asked[f"playlist:{id_}"] += 1
            if id_ in WORLD.failing:
                raise WORLD.failing[id_]
            found = WORLD.playlists[id_]
            rows = [
                {"user": id_, "item": item, "kind": "playlist", "position": at, "line": at + 1}
                for at, item in enumerate(found)
            ]
            page = record("playlist", id_, {"items": [{"track": WORLD.tracks[item]} for item in found]})
            tracks = tuple(map(track_record, found))
            yield Page(records=(page, *tracks), events=pa.Table.from_pylist(rows, event_schema()))

    def close(self) -> None:
        pass


def connect(**settings: Any) -> Fake:
    return Fake()


def searched_shelf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Two tracks in a file, and a live source that is searched for them."""
    monkeypatch.setitem(registry.LIVE, "fake", LIVE)
    monkeypatch.setitem(tasks.entities.DESCRIBING, "fake", ("track",))
    monkeypatch.setitem(tasks.entities._PARSERS, "fake", described)  # pyright: ignore[reportPrivateUsage]
    for name, value in vars(World()).items():
        setattr(WORLD, name, value)
    made = Shelf(folder, "spotify")
    made.sources["fake"] = {"connector": "fake", "items": False}
    made.spotify(
        {"id": track_id(1), "name": "Luna", "artist": "Bo"}, {"id": track_id(2), "name": "Sol", "artist": "Al"}
    )
    WORLD.hits["Luna"] = [LIVE_LUNA, LUNA]
    WORLD.tracks["L"] = LUNA | {"isrc": "GBAAA0000001"}
    return made
