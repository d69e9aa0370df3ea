"""The catalogue that `mediateca init` writes."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from connectors.registry import LIVE

_ONLY_ADDS = {"tmdb_files": "movielens"}  # adds to the other's items when both are given
_NUMERIC = {
    "movielens": ("year",),
    "tmdb_files": ("year", "duration_ms", "budget"),
    "spotify_tracks": ("danceability", "energy", "loudness", "acousticness", "instrumentalness", "valence", "tempo"),
    "mpd": ("duration_ms",),
    "music_folder": ("year", "duration_ms"),
    "spotify": ("year", "duration_ms"),
    "tmdb": ("year", "duration_ms"),
}
_OF_MEDIA = {
    "music_folder": ("  mel: {} # spectrograms", "  audio_descriptors: {} # tempo, loudness, key, timbre"),
    "image_folder": ("  image_descriptors: {} # colours, light, shape",),
}
_NAMES = {"music_folder": "music", "image_folder": "images"}
# What somebody with a folder of their own may want to change, beside what stands there.
_MORE = {
    "music_folder": (
        "    items: true # every recording is an item; false: they only add to the items of the other sources",
        "    options:",
        "      ids: file # the files' names are names; or whose ids they are: spotify, isrc, mbid",
    ),
    "image_folder": (
        "    items: true # a picture that belongs to no other item is an item of its own; false: it is left out",
        "    options:",
        "      ids: file # cover.jpg belongs to cover.mp3; or whose ids the names are: movielens, tmdb, imdb, spotify",
    ),
}
# In the order in which they are searched: what one says of an item helps to find it at the next.
_SEARCHED = {
    "lastfm": "tags",
    "spotify": "ISRC, album, length, cover",
    "youtube": "the recording",
    "genius": "lyrics",
    "tmdb": "credits, keywords, poster, which video is the trailer",
    "trailers": "the trailer's sound",
}
_FILMS = ("movielens", "tmdb_files")
_TRACKS = ("spotify_tracks", "mpd", "lastfm_1k", "music_folder")


def catalogue_text(path: Path, sources: dict[str, Path], *, listeners: Sequence[str] = (), live: bool = False) -> str:
    """YAML of a catalogue named after the file, with these sources.

    Args:
        path: The file to be written.
        sources: Connector name to its files.
        listeners: Users of Last.fm whose histories are read.
        live: Whether the live sources are searched for the films and tracks of the others.

    Raises:
        ValueError: No source is given, none has what the live ones could be searched for, files are not there or lie
            where a catalogue cannot name them, or the file's name makes no catalogue name.
    """
    name = re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_")
    if path.suffix not in (".yaml", ".yml") or not name:
        raise ValueError(f"{path}: a catalogue is a .yaml file named after it, such as my-films.yaml")
    if not sources and not listeners:
        raise ValueError(
            "name at least one source: --movielens, --tmdb, --spotify, --mpd, --lastfm, --music, --images or --listener"
        )
    searched = _searched(sources, listeners) if live else []
    if live and not searched:
        raise ValueError("--live searches for tracks or films, and no source here has any; name one more")
    if missing := [folder for folder in sources.values() if not folder.exists()]:
        raise ValueError(f"{missing[0]}: no such file or folder")
    lines = [
        "# What to build, from which files; docs/catalogues.md says what else can stand here.",
        f"catalogue: {name}",
        "sources: # in order of precedence",
    ]
    for connector, folder in sources.items():
        lines += [f"  {_NAMES.get(connector, connector.replace('_', '-'))}:", f"    connector: {connector}"]
        lines += [f"    path: {_quoted(folder.resolve())}", *_MORE.get(connector, ())]
        if _ONLY_ADDS.get(connector) in sources:
            lines.append("    items: false # adds to MovieLens' films, makes none of its own")
    if listeners:
        users = yaml.safe_dump(list(listeners), default_flow_style=True, allow_unicode=True, width=1 << 20).strip()
        lines += ["  lastfm: # tracks and plays", "    connector: lastfm", f"    live: {{users: {users}}}"]
    for name in searched:
        lines += [f"  {name}: # {_SEARCHED[name]}", f"    connector: {name}", "    items: false"]
    return "\n".join([*lines, *_featurizers(sources, searched)]) + "\n"


def _searched(sources: dict[str, Path], listeners: Sequence[str]) -> list[str]:
    """The live sources that have more to say of the tracks and films of the others."""
    kinds = {"film" for name in _FILMS if name in sources}
    kinds |= {"track" for name in _TRACKS if name in sources} | ({"track"} if listeners else set())
    return [name for name in _SEARCHED if LIVE[name].finds in kinds and not (name == "lastfm" and listeners)]


def _featurizers(sources: dict[str, Path], searched: Sequence[str]) -> list[str]:
    numeric = list(dict.fromkeys(n for name in (*sources, *searched) for n in _NUMERIC.get(name, ())))
    has = {"image_folder": "image", "music_folder": "audio"}
    media = {kind for name in searched for kind in LIVE[name].media}
    lines = ["featurizers:", "  minilm: {} # vectors of what is known of an item in words"]
    for connector, features in _OF_MEDIA.items():
        lines += features if connector in sources or has[connector] in media else ()
    return lines + (["  tabular: # numbers and genres", f"    numeric: [{', '.join(numeric)}]"] if numeric else [])


def _quoted(path: Path) -> str:
    """The path as YAML reads it back, whatever it is called.

    Raises:
        ValueError: No YAML file can hold it, or a catalogue would read a part of it as a variable.
    """
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ValueError(f"{text!r}: the name is not UTF-8, so no catalogue can hold it; rename the folder") from exc
    if "${" in text:
        raise ValueError(f"{text}: a catalogue reads '${{' as the start of a variable; rename the folder")
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1 << 20).strip()
