"""A live source without a network: answers, refusals, and a count of what it was asked."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

import tasks.entities
from connectors import registry
from connectors.base import Page, Record, Request, Wanted, event_schema
from connectors.candidates import Candidate
from connectors.errors import ConnectorError, NotFound
from connectors.registry import Live
from storage.lazy import pa
from tests.tasks.shelf import Shelf, track_id

LUNA = {"id": "L", "title": "Luna", "artists": ["Bo"], "duration_ms": 200_000}
LIVE_LUNA = {"id": "V", "title": "Luna (Live)", "artists": ["Bo"], "duration_ms": 260_000}
LIVE = Live(
    made_by="tests.tasks.fake_live:connect", details=("track",), described_by="track", media=("image",), finds="track"
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
    failing: dict[str, ConnectorError] = field(default_factory=dict[str, ConnectorError])  # key -> what is raised
    asked: Counter[str] = field(default_factory=Counter[str])


WORLD = World()


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
        at = datetime.now(UTC)
        return Record(entity=request.entity, source_id=request.key, payload=found, url="fake://", fetched_at=at)

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        return [Candidate.of(dict(hit)) for hit in ([payload] if entity == "track" else payload["hits"])]

    def request_from(self, entity: str, payload: Mapping[str, Any]) -> Request:
        raise ValueError(entity)

    def fetch_picture(self, payload: Mapping[str, Any], folder: Path) -> Path:
        WORLD.asked[f"picture:{payload['id']}"] += 1
        if payload["id"] not in WORLD.pictures:
            raise NotFound("fake: no picture", source="fake", status=404)
        path = folder / "picture"
        path.write_bytes(WORLD.pictures[payload["id"]])
        return path

    def pages(self, entity: str, *, keys: Sequence[Any] | None = None, cursor: str | None = None) -> Iterator[Page]:
        for request in keys or ():
            WORLD.asked[f"plays:{request.key}:{request.params.get('from')}"] += 1
            if request.key in WORLD.failing:
                raise WORLD.failing[request.key]
            since, to = int(request.params.get("from", 0)), int((cursor or "0/0/1").split("/")[1])
            events = [(item, at) for item, at in WORLD.plays.get(request.key, []) if since <= at < to]
            rows = [
                {"user": request.key, "item": item, "kind": "play", "at": datetime.fromtimestamp(at, UTC), "line": at}
                for item, at in events
            ]
            yield Page(events=pa.Table.from_pylist(rows, event_schema()))

    def close(self) -> None:
        pass


def connect(**settings: Any) -> Fake:
    return Fake()


def described(source_id: str, bodies: Any) -> dict[str, Any]:
    """A track as `tasks.entities` reads it."""
    track = bodies["track"]
    return {"kind": "track", "title": track["title"], "creators": track["artists"], "isrc": track.get("isrc")}


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
