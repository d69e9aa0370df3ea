"""What the live services say of a track, in our columns; as `tasks.entities` does for bulk files."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from connectors.errors import SchemaDrift
from connectors.lastfm_answers import listed, name_of, number_of, object_of
from connectors.matching import normalise
from connectors.registry import LIVE, connect
from connectors.spotify_answers import isrc_of, year_of
from tasks.readers import as_flag, as_milliseconds, as_number, as_positive, as_text, as_texts

Bodies = Mapping[str, Mapping[str, Any]]  # raw entity -> payload
Row = dict[str, Any]

LEAST_COUNT = 10  # of 100: what a tenth of those say who gave the tag given most often
MOST_TAGS = 10
# What listeners tag that is no genre: the first three are in the recordings, the others a guess.
_NO_GENRES = frozenset(
    {"seen live", "favorites", "awesome", "favourites", "favorite", "favourite", "love", "spotify", "beautiful", "cool",
     "favorite songs", "favourite songs", "loved", "best", "amazing", "my favorites", "good", "albums i own"}
)  # fmt: skip


def from_spotify_api(source_id: str, bodies: Bodies) -> Row:
    """A track of Spotify's Web API, from a look-up, a search or a playlist; `popularity` where the app is told it."""
    track = bodies["track"]
    album, linked = object_of(track.get("album")), object_of(track.get("linked_from"))
    isrc, popularity = isrc_of(track), as_number(track.get("popularity"))
    others = [f"spotify:{linked['id']}"] if linked.get("id") else []  # the same recording, in another country
    return {
        "kind": "track",
        "title": as_text(track.get("name")),
        "creators": as_texts([artist.get("name") for artist in listed(track.get("artists"))]),
        "album": as_text(album.get("name")),
        "year": year_of(album),
        "duration_ms": as_milliseconds(track.get("duration_ms")),
        "isrc": isrc,
        "explicit": as_flag(track.get("explicit")),
        "attributes": {} if popularity is None else {"popularity": popularity},
        "ids": [f"spotify:{source_id}", *others, *([f"isrc:{isrc}"] if isrc else [])],
    }


def from_candidate(connector: str, source_id: str, bodies: Bodies) -> Row:
    """A track or film of a source without a reader of its own here: its candidate, and what its connector adds."""
    live, said = LIVE[connector], _mute(connector)
    payload = bodies[live.described_by]
    with suppress(SchemaDrift, AttributeError, LookupError, TypeError, ValueError):  # strangers' shapes
        for found in said.candidates(live.described_by, payload)[:1]:
            more = said.describe(payload) if hasattr(said, "describe") else {}
            row = {
                "kind": live.finds,
                "title": as_text(found.title),
                "creators": as_texts(list(found.artists)),
                "album": as_text(found.album),
                "year": found.year,
                "duration_ms": as_milliseconds(found.duration_ms),
                "isrc": as_text(found.isrc),
            }
            own = f"{live.ids or connector}:{source_id}"
            return row | more | {"ids": list(dict.fromkeys([own, *more.get("ids", ())]))}
    return {"title": None}


@cache
def _mute(connector: str) -> Any:
    """The connector as one that is asked nothing: `candidates` and `describe` read answers that lie here."""
    return connect(connector)


def from_lastfm_api(source_id: str, bodies: Bodies) -> Row:
    """A track of Last.fm's web service: what track.getInfo says, else a history or the chart; tags become genres."""
    info = object_of(bodies.get("track_info", {}).get("track"))
    seen = bodies.get("track", {})
    mbid = as_text(info.get("mbid")) or as_text(seen.get("mbid"))
    title = name_of(info) or name_of(seen)
    artist = name_of(info.get("artist")) or name_of(seen.get("artist"))
    numbers = {name: as_positive(info.get(name) or seen.get(name)) for name in ("listeners", "playcount")}
    # Milliseconds in track.getInfo, seconds in charts (recorded 2025-11: 376 in a list, 238000 there).
    length = as_milliseconds(info.get("duration")) or as_milliseconds(seen.get("duration"), 1_000)
    tags = listed(object_of(bodies.get("track_tags", {}).get("toptags")).get("tag"))
    return {
        "kind": "track",
        "title": as_text(title),
        "creators": as_texts(artist),
        "album": as_text(name_of(info.get("album")) or name_of(seen.get("album"))),
        "duration_ms": length,
        "mbid": mbid,
        "genres": genres_of(tags or listed(object_of(info.get("toptags")).get("tag")), (artist, title)),
        "attributes": {name: value for name, value in numbers.items() if value is not None},
        "ids": [f"mbid:{mbid}"] if mbid else [],
    }


def genres_of(tags: list[Mapping[str, Any]], names: tuple[str, ...]) -> list[str]:
    """Lower-case names of the tags given most often, sorted; none that is the track's or the artist's name.

    track.getInfo gives five tags and no counts, track.getTopTags a hundred with counts of 0 to 100.
    """
    own = {normalise(name) for name in names}
    often = [tag for tag in tags if "count" not in tag or number_of(tag["count"]) >= LEAST_COUNT]
    found = [name_of(tag).lower() for tag in often[:MOST_TAGS]]
    return sorted({name for name in found if name and name not in _NO_GENRES and normalise(name) not in own})


def profile_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A user's profile with `gender`, `age`, `country`, `registered`; what Last.fm writes for "not given" is None.

    Bulk files' profiles, which stand for themselves, come back as they are.
    """
    user = body.get("user")
    if not isinstance(user, Mapping):
        return body
    said = {name: user.get(name) for name in ("gender", "age", "country")}
    said["registered"] = object_of(user.get("registered")).get("unixtime") or user.get("registered")
    empty = {"gender": ("n", ""), "country": ("None", ""), "age": ("0", "", 0)}
    return {name: None if value in empty.get(name, ()) else value for name, value in said.items()}
