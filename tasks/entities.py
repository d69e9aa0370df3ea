"""What each source says of a track or film, turned into our columns; one row per source and id."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from connectors.matching import match_key
from connectors.registry import LIVE
from connectors.tmdb_answers import trailer_of
from storage.hashing import entity_id
from storage.lazy import pa
from storage.reasons import Reason
from storage.store import Store
from tasks.entities_live import from_candidate, from_lastfm_api, from_spotify_api
from tasks.entities_media import from_hetrec, from_image, from_music, from_recbole
from tasks.readers import (
    as_flag,
    as_id,
    as_imdb,
    as_milliseconds,
    as_number,
    as_positive,
    as_text,
    as_texts,
    as_year,
)
from tasks.settings import Catalogue
from tasks.stage import Stage, per_item, rows_table

VERSION = "4"
Bodies = Mapping[str, Mapping[str, Any]]  # raw entity -> payload
Row = dict[str, Any]

# https://developer.themoviedb.org/reference/genre-movie-list (2026-11)
TMDB_GENRES = {
    28: "action", 12: "adventure", 16: "animation", 35: "comedy", 80: "crime", 99: "documentary", 18: "drama",
    10751: "family", 14: "fantasy", 36: "history", 27: "horror", 10402: "music", 9648: "mystery", 10749: "romance",
    878: "science fiction", 10770: "tv movie", 53: "thriller", 10752: "war", 37: "western",
}  # fmt: skip
_YEAR = re.compile(r"\s*\((\d{4})(?:[-–]\d{0,4})?\)\s*$")
_ARTICLE = re.compile(r"^(.*), (The|A|An|Le|La|Les|L'|Il|El|Los|Las|Der|Die|Das|Den|Det|En|Un|Une|I|O|Os|As)$")
# MovieLens adds other names in parentheses, up to three of them. "Frontière(s)" is one word, and "Birdman: Or (The
# Unexpected Virtue of Ignorance)" one title.
_ALSO_KNOWN = re.compile(r"(?<!:)(?<!\bOr)(?:\s+\([^()]*(?:\([^()]*\)[^()]*)*\))+$", re.IGNORECASE)
_AUDIO_FEATURES = (
    "danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness",
    "liveness", "valence", "tempo", "time_signature",
)  # fmt: skip


def film_title(title: str) -> tuple[str, int | None]:
    """MovieLens' title as people say it, and the year.

    >>> film_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    ('The City of Lost Children', 1995)
    """
    found = _YEAR.search(title)
    bare = _YEAR.sub("", title)
    main = _ALSO_KNOWN.sub("", bare) or bare
    moved = _ARTICLE.match(main)
    if moved:
        main = f"{moved[2]}{'' if moved[2].endswith(chr(39)) else ' '}{moved[1]}"
    return main.strip(), int(found[1]) if found else None


def from_movielens(source_id: str, bodies: Bodies) -> Row:
    """A MovieLens film with its links."""
    movie, link = bodies["movie"], bodies.get("link", {})
    title, year = film_title(movie["title"])
    genres = [g.lower() for g in (movie.get("genres") or "").split("|") if g and not g.startswith("(")]
    imdb, tmdb = as_imdb(link.get("imdbId")), as_id(link.get("tmdbId"))
    ids = [f"movielens:{source_id}"] + ([f"imdb:{imdb}"] if imdb else []) + ([f"tmdb:{tmdb}"] if tmdb else [])
    return {"kind": "film", "title": title, "year": year, "genres": sorted(set(genres)), "ids": ids}


def from_tmdb(source_id: str, bodies: Bodies) -> Row:
    """A TMDb film: the API's form or the Kaggle table's, with credits where there are any, beside it or within."""
    film = bodies["film"]
    people = _credits(bodies.get("credits") or _object(film.get("credits")))
    imdb = as_imdb(film.get("imdb_id") or _object(film.get("external_ids")).get("imdb_id"))
    trailer = trailer_of(film)  # no id of the film, but one by which its sound is found
    numbers = {
        name: as_positive(film.get(name)) for name in ("budget", "revenue", "popularity", "vote_average", "vote_count")
    }
    return {
        "kind": "film",
        "title": as_text(film.get("title")),
        "creators": _jobs(people, "Director"),
        "actors": list(dict.fromkeys(p["name"] for p in sorted(filter(_is_cast, people), key=_billing))),
        "year": as_year(film.get("release_date")),
        "duration_ms": as_milliseconds(film.get("runtime"), 60_000),
        "genres": _tmdb_genres(film),
        "language": as_text(film.get("original_language")),
        "adult": as_flag(film.get("adult")),
        "overview": as_text(film.get("overview")),
        "keywords": _names(film.get("keywords")),
        "attributes": {k: v for k, v in numbers.items() if v is not None},
        "ids": [f"tmdb:{source_id}"] + ([f"imdb:{imdb}"] if imdb else []) + ([f"youtube:{trailer}"] if trailer else []),
    }


def from_spotify_table(source_id: str, bodies: Bodies) -> Row:
    """A row of a Spotify track table, in either of the forms that circulate."""
    track = bodies["track"]
    artists = track.get("track_artist") or track.get("artists") or ""
    genres = [g for name in ("track_genre", "playlist_genre", "playlist_subgenre") for g in as_texts(track.get(name))]
    numbers = {name: as_number(track.get(name)) for name in _AUDIO_FEATURES}
    numbers["popularity"] = as_number(track.get("track_popularity") or track.get("popularity"))
    return {
        "kind": "track",
        "title": as_text(track.get("track_name")),
        "creators": as_texts(artists.split(";") if "artists" in track else artists),
        "album": as_text(track.get("track_album_name") or track.get("album_name")),
        "year": as_year(track.get("track_album_release_date")),
        "duration_ms": as_milliseconds(track.get("duration_ms")),
        "genres": sorted({g.lower() for g in genres}),
        "explicit": as_flag(track.get("explicit")),
        "attributes": {k: v for k, v in numbers.items() if v is not None},
        "ids": [f"spotify:{source_id}"],
    }


def from_mpd(source_id: str, bodies: Bodies) -> Row:
    """A track of the Million Playlist Dataset."""
    track = bodies["track"]
    return {
        "kind": "track",
        "title": as_text(track.get("track_name")),
        "creators": as_texts(track.get("artist_name")),
        "album": as_text(track.get("album_name")),
        "duration_ms": as_milliseconds(track.get("duration_ms")),
        "ids": [f"spotify:{source_id}"],
    }


def from_lastfm(source_id: str, bodies: Bodies) -> Row:
    """A track as Last.fm names it; its id is the name, so matching may join several of them."""
    track = bodies["track"]
    mbid = as_text(track.get("traid"))
    return {
        "kind": "track",
        "title": as_text(track.get("traname")),
        "creators": as_texts(track.get("artname")),
        "mbid": mbid,
        "ids": [f"mbid:{mbid}"] if mbid else [],
    }


NAMESPACES = {
    "movielens": "movielens",
    "tmdb_files": "tmdb",
    "spotify_tracks": "spotify",
    "mpd": "spotify",
    "lastfm_1k": "lastfm",
    "hetrec": "hetrec",
} | {name: live.ids or name for name, live in LIVE.items()}
"""Whose ids a connector's are: two sources of one namespace mean the same thing by the same id."""


def namespace_of(source: str, connector: str) -> str:
    """Whose ids a source's are; paths and the numbers of RecBole's data sets mean something in their source alone.

    >>> namespace_of("ml", "movielens"), namespace_of("mine", "music_folder")
    ('movielens', 'music_folder.mine')
    """
    return NAMESPACES.get(connector, f"{connector}.{source}")


def is_of_source(entity_id_: str, source: str, source_id: str) -> bool:
    """Whether the entity is one whose id counts in its source alone, not one that other sources may have too."""
    return any(
        entity_id_ == entity_id(namespace_of(source, name), source_id) for name in DESCRIBING.keys() - NAMESPACES
    )


# Raw entities that describe an item: the one that must be there, then those that add to it.
DESCRIBING: dict[str, tuple[str, ...]] = {
    **{name: (live.described_by,) for name, live in LIVE.items() if live.described_by},
    "movielens": ("movie", "link"),
    "tmdb_files": ("film", "credits"),
    "spotify_tracks": ("track",),
    "mpd": ("track",),
    "lastfm_1k": ("track",),
    "hetrec": ("artist",),
    "recbole_atomic": ("item",),
    "music_folder": ("track", "audio"),
    "image_folder": ("image",),
    "lastfm": ("track", "track_info", "track_tags"),
}
# A track that was looked up but is in nobody's history is described as well.
_ENOUGH: dict[str, tuple[str, ...]] = {"lastfm": ("track", "track_info")}
DESCRIPTIONS = frozenset(name for names in DESCRIBING.values() for name in names)
# A live source that is not named here says itself what it offers (`from_candidate`).
_PARSERS: dict[str, Callable[[str, Bodies], Row]] = {
    "movielens": from_movielens,
    "tmdb": from_tmdb,
    "tmdb_files": from_tmdb,
    "spotify_tracks": from_spotify_table,
    "mpd": from_mpd,
    "lastfm_1k": from_lastfm,
    "hetrec": from_hetrec,
    "recbole_atomic": from_recbole,
    "music_folder": from_music,
    "image_folder": from_image,
    "spotify": from_spotify_api,
    "lastfm": from_lastfm_api,
}


def subject(entity: str, request_key: str) -> str | None:
    """The id of the track or film that a raw record speaks of; None for one of a person or a playlist.

    >>> subject("tag", "15/339/7"), subject("user", "339")
    ('339', None)
    """
    if entity in DESCRIPTIONS:
        return request_key
    return request_key.split("/")[1] if entity == "tag" else None


def entities_stage(catalogue: Catalogue) -> Stage:
    """Raw records to `entities`."""
    connectors = {source: settings.connector for source, settings in catalogue.sources.items()}
    pairs = ", ".join(f"('{s}', '{e}')" for s, c in connectors.items() for e in DESCRIBING.get(c, ())) or "('', '')"
    mine = f"(from raw where (source, entity) in ({pairs}) and body is not null)"
    return Stage(
        name="entities",
        version=VERSION,
        reads=("inputs", "raw"),
        writes="entities",
        inputs=(
            "select source, request_key as source_id, "
            f"(sum(value_hash::hugeint) % 9223372036854775807)::bigint as input_hash from {mine} group by all"
        ),
        load=(
            "select source, request_key as source_id, list(entity order by entity) as names, "
            # Asked here, as in `Members.rows`: else the bodies of all entities would be gathered first.
            f"list(body order by entity) as bodies from {mine} "
            "where (source, request_key) in (select (source, source_id) from pending) group by all"
        ),
        compute=partial(parse, connectors=connectors),
        chunk_keys=10_000,
        seconds_per_key=0.0001,
    )


def parse(rows: pa.Table, store: Store, *, connectors: Mapping[str, str]) -> pa.Table:
    """One row per entity; what lacks its title or its main record gets the reason `schema_drift` or `missing_input`."""
    return rows_table("entities", per_item(rows, ("source", "source_id"), partial(_one, connectors)))


def _one(connectors: Mapping[str, str], row: Row) -> Row:
    connector = connectors[row["source"]]
    bodies = {name: json.loads(body) for name, body in zip(row["names"], row["bodies"], strict=True)}
    needed = _ENOUGH.get(connector, DESCRIBING[connector][:1])
    if not any(name in bodies for name in needed):
        return {"reason": Reason.MISSING_INPUT, "detail": f"no '{needed[0]}' record for this id"}
    read = _PARSERS.get(connector) or partial(from_candidate, connector)
    said = read(row["source_id"], bodies)
    if not said["title"]:
        return {"reason": Reason.SCHEMA_DRIFT, "detail": "no title"}
    name = match_key(said.get("creators") or [], said["title"])
    key = f"{said['kind']}|{name}" if name else None
    namespace = namespace_of(row["source"], connector)
    if connector == "recbole_atomic":  # so that posters can be named by its ids
        said["ids"] = [f"{namespace}:{row['source_id']}"]
    return said | {"entity_id": entity_id(namespace, row["source_id"]), "match_key": key}


# --- small readers of fields as found


def _names(value: Any) -> list[str]:
    """Names in `[{"id": ..., "name": ...}]`, or in the `{"keywords": [...]}` of the API."""
    if isinstance(value, Mapping):
        value = value.get("keywords") or value.get("names")
    values = value if isinstance(value, list) else []
    return as_texts([v.get("name") for v in values if isinstance(v, Mapping)])


def _tmdb_genres(film: Mapping[str, Any]) -> list[str]:
    ids = map(as_id, as_texts(film.get("genre_ids")))
    return sorted(
        {name.lower() for name in _names(film.get("genres"))} | {TMDB_GENRES[i] for i in ids if i in TMDB_GENRES}
    )


def _credits(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """One list of people with jobs; the Kaggle form keeps `cast` and `crew` apart and counts billing in `order`."""
    cast = [{**p, "job": "Actor", "cast_order": p.get("order")} for p in _people(body.get("cast"))]
    return [*_people(body.get("credits")), *cast, *_people(body.get("crew"))]


def _object(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _people(found: Any) -> list[dict[str, Any]]:
    people = [p for p in found if isinstance(p, Mapping)] if isinstance(found, list) else []
    return [{**p, "name": name} for p in people if (name := as_text(p.get("name")))]


def _is_cast(person: Mapping[str, Any]) -> bool:
    return person.get("job") == "Actor"


def _billing(person: Mapping[str, Any]) -> tuple[float, str]:
    order = as_number(person.get("cast_order"))
    return (10_000 if order is None else order, person["name"])


def _jobs(people: Sequence[Mapping[str, Any]], job: str) -> list[str]:
    return sorted({p["name"] for p in people if p.get("job") == job})
