"""The catalogue that `mediateca init` writes."""

import re
from pathlib import Path

_ONLY_ADDS = {"tmdb_files": "movielens"}  # adds to the other's items when both are given
_NUMERIC = {
    "movielens": ("year",),
    "tmdb_files": ("year", "duration_ms", "budget"),
    "spotify_tracks": ("danceability", "energy", "loudness", "acousticness", "instrumentalness", "valence", "tempo"),
    "mpd": ("duration_ms",),
}


def catalogue_text(path: Path, sources: dict[str, Path]) -> str:
    """YAML of a catalogue named after the file, with these sources.

    Args:
        path: The file to be written.
        sources: Connector name to its files.

    Raises:
        ValueError: No source is given, files are not there, or the file's name makes no catalogue name.
    """
    name = re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_")
    if path.suffix not in (".yaml", ".yml") or not name:
        raise ValueError(f"{path}: a catalogue is a .yaml file named after it, such as my-films.yaml")
    if not sources:
        raise ValueError("name at least one source: --movielens, --tmdb, --spotify, --mpd or --lastfm")
    if missing := [folder for folder in sources.values() if not folder.exists()]:
        raise ValueError(f"{missing[0]}: no such file or folder")
    lines = [f"catalogue: {name}", "sources:"]
    for connector, folder in sources.items():
        lines += [f"  {connector.replace('_', '-')}:", f"    connector: {connector}", f"    path: {folder.resolve()}"]
        if _ONLY_ADDS.get(connector) in sources:
            lines.append("    items: false # adds to MovieLens' films, makes none of its own")
    numeric = list(dict.fromkeys(n for connector in sources for n in _NUMERIC.get(connector, ())))
    lines += ["featurizers:", "  minilm: {}"]
    lines += ["  tabular:", f"    numeric: [{', '.join(numeric)}]"] if numeric else []
    return "\n".join(lines) + "\n"
