"""What files of one's own, and data sets of other fields, say of an item, in our words."""

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote_to_bytes

from tasks.readers import as_milliseconds, as_text, as_texts, as_year

Bodies = Mapping[str, Mapping[str, Any]]  # raw entity -> payload
Row = dict[str, Any]

# By the names that RecBole's own data sets use (https://github.com/RUCAIBox/RecSysDatasets, 2026-11); the first wins.
TITLES = ("title", "movie_title", "track_name", "item_name", "product_name", "name", "artist_name")
CREATORS = ("creators", "artist_name", "artist", "author", "director", "brand")
GENRES = ("genres", "genre", "class", "categories", "category", "tags")
YEARS = ("release_year", "year", "release_date", "publication_year")
OVERVIEWS = ("overview", "description")

_ISRC = re.compile("[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_MBID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CONTROL = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")


def from_hetrec(source_id: str, bodies: Bodies) -> Row:
    """An artist of HetRec-2011."""
    return {"kind": "artist", "title": as_text(bodies["artist"].get("name")), "ids": []}


def from_recbole(source_id: str, bodies: Bodies) -> Row:
    """An item of RecBole's atomic files, as far as its fields have common names; its numbers are `attributes`."""
    item = bodies["item"]
    fields: Mapping[str, Any] = item["fields"]
    title = _sentence(fields, TITLES)
    return {
        "kind": item["kind"],
        "title": title,
        "creators": [name for name in [_sentence(fields, CREATORS)] if name and name != title],
        "album": _sentence(fields, ("album_name", "album")),
        "year": as_year(_sentence(fields, YEARS)),
        "genres": sorted({genre.lower() for genre in as_texts(_first(fields, GENRES))}),
        "overview": _sentence(fields, OVERVIEWS),
        "attributes": {name: value for name, value in sorted(fields.items()) if isinstance(value, float)},
        "ids": [],
    }


def from_music(source_id: str, bodies: Bodies) -> Row:
    """A recording of a music folder: what its tags say, else its name, as `Artist - Title` or as a title alone."""
    track = bodies["track"]
    artist, title = _named(track["file"])
    isrc, mbid = _isrc(_tag(track, "isrc")), _mbid(_tag(track, "musicbrainz_trackid"))
    artists = [name for name in map(_clean, as_texts(track.get("artist"))) if name]
    return {
        "kind": "track",
        "title": _tag(track, "title") or title or source_id,
        "creators": artists or ([artist] if artist and not _tag(track, "title") else []),
        "album": _tag(track, "album"),
        "year": as_year(_tag(track, "date")),
        "duration_ms": as_milliseconds(track.get("duration_s"), 1_000),
        "isrc": isrc,
        "mbid": mbid,
        "genres": sorted({genre.lower() for genre in map(_clean, as_texts(track.get("genre"))) if genre}),
        "ids": [*track["ids"], *([f"isrc:{isrc}"] if isrc else []), *([f"mbid:{mbid}"] if mbid else [])],
    }


def from_image(source_id: str, bodies: Bodies) -> Row:
    """A picture, titled by its file's name."""
    image = bodies["image"]
    return {"kind": "picture", "title": _stem(image["file"]) or source_id, "ids": list(image["ids"])}


def _named(file: str) -> tuple[str, str]:
    """Artist and title by a file's name; an artist only where there is exactly one " - ".

    >>> _named("x/Ann - Blue.mp3"), _named("01 - Ann - Blue.mp3")
    (('Ann', 'Blue'), ('', '01 - Ann - Blue'))
    """
    stem = _stem(file)
    artist, _, title = stem.partition(" - ")
    return (
        (artist.strip(), title.strip()) if stem.count(" - ") == 1 and artist.strip() and title.strip() else ("", stem)
    )


def _stem(file: str) -> str:
    """A file's name without extension, as people read it: no escapes, no line ends, "�" for what is no UTF-8."""
    return _clean(os.fsdecode(unquote_to_bytes(PurePosixPath(file).stem)))


def _clean(text: str) -> str:
    """The text on one line, without control characters."""
    return _CONTROL.sub(" ", text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")).strip()


def _tag(track: Mapping[str, Any], name: str) -> str | None:
    """The first value of a tag that may have several."""
    return next((text for text in map(_clean, as_texts(track.get(name))) if text), None)


def _isrc(text: str | None) -> str | None:
    """An ISRC as the registry writes it; None for what is none, for one "0" would join all files that have it."""
    code = re.sub("[-. ]", "", text or "").upper()
    return code if _ISRC.fullmatch(code) else None


def _mbid(text: str | None) -> str | None:
    code = (text or "").lower()
    return code if _MBID.fullmatch(code) else None


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name)), None)


def _sentence(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these fields that has something, the words of a sequence put together."""
    found = _first(fields, names)
    return as_text(" ".join(as_texts(found)) if isinstance(found, list) else found)
