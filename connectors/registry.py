"""Which connectors there are. Strings, so that listing them imports none."""

import difflib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from connectors import PLUGINS

REGISTRY_FILE = "registry.json"
"""In a folder of plug-ins: name -> the fields of `Live`."""

CONNECTORS: dict[str, str] = {
    "hetrec": "connectors.hetrec:connect",
    "image_folder": "connectors.image_folder:connect",
    "lastfm_1k": "connectors.lastfm_1k:connect",
    "movielens": "connectors.movielens:connect",
    "mpd": "connectors.mpd:connect",
    "music_folder": "connectors.music_folder:connect",
    "recbole_atomic": "connectors.recbole_atomic:connect",
    "spotify_tracks": "connectors.spotify_tracks:connect",
    "tmdb_files": "connectors.tmdb_files:connect",
}
"""Sources that are folders of files."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """What the pipeline needs to know of a live source before it is imported."""

    made_by: str  # module:function
    finds: str = "track"  # the kind of item it is searched for
    details: tuple[str, ...] = ()  # what is asked of an entity that an item was linked to
    by_way_of: tuple[tuple[str, str], ...] = ()  # a detail, and the one that says how to ask for it (`request_from`)
    described_by: str = ""  # the answer that says what it is, and where its picture lies
    media: tuple[str, ...] = ()  # `image`, `audio`: what files it has
    page: str = ""  # where a person finds the entity; `{id}` stands for its id
    keys: tuple[str, ...] = ()  # environment variables that hold what it asks with
    ids: str = ""  # whose ids its own are, where other sources give the same ones; else its own name
    reads: tuple[str, ...] = ()  # `plays`, `playlist`, `chart`: what a catalogue may name to be read by pages
    changing: tuple[str, ...] = ()  # details that are other ones after some months: popularity, tags
    batched: tuple[str, ...] = ()  # details that `pages` gives for many ids at once, where the app may
    whole_in: tuple[tuple[str, str], ...] = ()  # a detail, and an answer that may hold it whole (`part_of`)


_VIDEO = "https://www.youtube.com/watch?v={id}"
LIVE: dict[str, Live] = {
    "genius": Live(
        made_by="connectors.genius:connect",
        details=("song", "page"),
        by_way_of=(("page", "song"),),
        keys=("GENIUS_ACCESS_TOKEN",),
        page="https://genius.com/songs/{id}",
    ),
    "lastfm": Live(
        made_by="connectors.lastfm:connect",
        details=("track_info", "track_tags"),
        described_by="track_info",
        keys=("LASTFM_API_KEY",),
        reads=("plays", "chart"),
        changing=("track_info", "track_tags"),
    ),
    "musicbrainz": Live(
        made_by="connectors.musicbrainz:connect",
        details=("recording",),
        described_by="recording",
        ids="mbid",
        page="https://musicbrainz.org/recording/{id}",
    ),
    "spotify": Live(
        made_by="connectors.spotify:connect",
        details=("track",),
        described_by="track",
        media=("image",),
        keys=("SPOTIFY_CLIENT_ID", "SPOTIFY_CLIENT_SECRET"),
        page="https://open.spotify.com/track/{id}",
        reads=("playlist",),
        changing=("track",),
        batched=("track",),
        whole_in=(("track", "search"),),
    ),
    "tmdb": Live(
        made_by="connectors.tmdb:connect",
        finds="film",
        details=("film",),
        described_by="film",
        media=("image",),
        keys=("TMDB_API_KEY",),
        page="https://www.themoviedb.org/movie/{id}",
        changing=("film",),
    ),
    "trailers": Live(made_by="connectors.youtube:trailers", finds="film", media=("audio",), ids="youtube", page=_VIDEO),
    "youtube": Live(made_by="connectors.youtube:connect", media=("audio",), page=_VIDEO),
}
"""Sources that are asked over the network."""


def plugins(folder: str | None) -> dict[str, Live]:
    """The live sources that a folder of plug-ins registers; none where there is no folder.

    Raises:
        ValueError: Its registry cannot be read, or names one of ours.
    """
    file = Path(folder).expanduser() / REGISTRY_FILE if folder else None
    if file is None or not file.exists():
        return {}
    try:
        said: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        found = {name: Live(**{key: _frozen(value) for key, value in live.items()}) for name, live in said.items()}
    except (OSError, ValueError, TypeError, AttributeError) as exc:
        known = ", ".join(field.name for field in fields(Live))
        raise ValueError(f"{file}: expected {{name: {{{known}}}}} as JSON ({exc}); mend it or unset {PLUGINS}") from exc
    for name in found:
        if name in LIVE or name in CONNECTORS:
            raise ValueError(f"{file}: mediateca has a connector '{name}' itself; give yours another name")
    return found


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def connect(connector: str, **settings: Any) -> Any:
    """The connector of that name, made with the settings of its catalogue entry.

    Raises:
        ValueError: No connector has that name, or a setting is not one of its own.
    """
    every = CONNECTORS | {name: live.made_by for name, live in LIVE.items()}
    if connector not in every:
        near = difflib.get_close_matches(connector, every, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"unknown connector '{connector}'{hint}; known: {', '.join(sorted(every))}")
    make = _made_by(every[connector])
    if _is_live(make):
        return make(**settings)  # its settings class says what it knows
    for name, said in unknown_options(connector, settings.keys() - {"path"}).items():
        raise ValueError(f"{connector}: unknown option '{name}'; {said}")
    return make(**settings)


def unknown_options(connector: str, options: Iterable[str]) -> dict[str, str]:
    """The options that a source of files does not know, each with the nearest it knows, and all of them.

    Those of a live source are told when it is made: importing its client's library would take a second.
    """
    if connector not in CONNECTORS:
        return {}
    known = [name for name in signature(_made_by(CONNECTORS[connector])).parameters if name != "path"]
    every = f"known: {', '.join(known)}" if known else f"'{connector}' has none"
    found: dict[str, str] = {}
    for name in sorted(set(options) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        found[name] = f"did you mean '{near[0]}'? {every}" if near else every
    return found


def _made_by(place: str) -> Any:
    module, function = place.split(":")
    return getattr(import_module(module), function)


def _is_live(make: Any) -> bool:
    return any(p.kind is Parameter.VAR_KEYWORD for p in signature(make).parameters.values())


LIVE.update(plugins(os.environ.get(PLUGINS)))
