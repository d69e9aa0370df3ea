"""Which connectors there are. Strings, so that listing them imports none."""

import difflib
from importlib import import_module
from inspect import signature
from typing import Any

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


def connect(connector: str, **settings: Any) -> Any:
    """The connector of that name, made with the settings of its catalogue entry.

    Raises:
        ValueError: No connector has that name, or a setting is not one of its own.
    """
    if connector not in CONNECTORS:
        near = difflib.get_close_matches(connector, CONNECTORS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"unknown connector '{connector}'{hint}; known: {', '.join(sorted(CONNECTORS))}")
    module, function = CONNECTORS[connector].split(":")
    make = getattr(import_module(module), function)
    known = signature(make).parameters
    if unknown := sorted(settings.keys() - known.keys()):
        raise ValueError(f"{connector}: unknown option '{unknown[0]}'; known: {', '.join(known)}")
    return make(**settings)
