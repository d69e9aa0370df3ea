"""A small invented world with known truth, in the exact file formats of the real sources.

    python -m deployments.sandbox.world FOLDER --films 300 --tracks 400 --listeners 60

The folder then holds `movielens/`, `tmdb/`, `spotify/`, `mpd/`, `lastfm/`, `audio/` and `images/`, which the connectors
read like the real data, and `truth.json`, which they do not: which ids are the same film or recording, who likes what,
which rows are bad and which recordings and pictures are broken. `services/` holds what the sandbox's servers answer
from (`deployments.sandbox.tables`), with truth tables of its own.
"""

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from deployments.sandbox.bad_rows import BadRow

WORLD = "mediateca sandbox world"
GENERATOR = 4
"""Raise it whenever a byte of any file may change for the same parameters: worlds of other versions are replaced."""

TRUTH = "truth.json"
DEFAULTS = {
    **{"seed": 7, "films": 300, "tracks": 400, "listeners": 60, "viewers": 150, "playlists": 80},
    **{"clips": 60, "posters": 200},
}
SMALLEST = {"films": 20, "tracks": 30, "listeners": 1, "viewers": 1, "playlists": 1, "clips": 0, "posters": 0}
_LEFT_S = 3600.0  # a world takes seconds to write
SOURCES = {
    "movielens": "movielens",
    "tmdb_files": "tmdb",
    "spotify_tracks": "spotify",
    "mpd": "mpd",
    "lastfm_1k": "lastfm",
    "music_folder": "audio",
    "image_folder": "images",
}
"""Folder of each connector's files, by the connector's name."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A world that lies in a folder."""

    folder: Path
    parameters: Mapping[str, int]
    bad_rows: tuple[BadRow, ...]
    written: bool  # False: it was there already

    def source(self, connector: str) -> Path:
        """The folder to give to that connector as `path`."""
        return self.folder / SOURCES[connector]

    def truth(self) -> dict[str, Any]:
        """What `truth.json` says."""
        return json.loads((self.folder / TRUTH).read_bytes())


def generate(
    folder: Path,
    *,
    seed: int = 7,
    films: int = 300,
    tracks: int = 400,
    listeners: int = 60,
    viewers: int = 150,
    playlists: int = 80,
    clips: int = 60,
    posters: int = 200,
) -> World:
    """The world of these parameters, in `folder`; nothing is done where it lies there already.

    Args:
        folder: Made if it is not there; a world of other parameters or of another generator version is replaced, at
            once and as a whole.
        seed: Another seed is another world; the same parameters give the same bytes everywhere (those of
            `credits.parquet`, recordings and pictures may differ between versions of the libraries that encode them).
        films: Films in MovieLens; TMDb knows about 85 % of them.
        tracks: Recordings; the Spotify table knows about 96 % of them.
        listeners: People who play tracks (Last.fm).
        viewers: People who rate films (MovieLens).
        playlists: Playlists of tracks (MPD).
        clips: Tracks with a recording and a cover, at most; the last recording is empty, the one before it silent.
        posters: Films with a poster, at most; the last one is cut short.

    Raises:
        ValueError: The folder is something else than a world, or holds files that are not the world's; or a number is
            too small.
    """
    parameters = {"seed": seed, "films": films, "tracks": tracks, "listeners": listeners}
    parameters |= {"viewers": viewers, "playlists": playlists, "clips": clips, "posters": posters}
    for name, least in SMALLEST.items():
        if parameters[name] < least:
            raise ValueError(f"sandbox world: {name} is {parameters[name]}, expected at least {least}")
    found = _find(folder, parameters)
    if found is not None:
        return found
    _check_replaceable(folder)
    bad_rows = _replace(folder.resolve(), parameters)
    return World(folder=folder, parameters=parameters, bad_rows=bad_rows, written=True)


def _read_truth(folder: Path) -> dict[str, Any] | None:
    """What the folder's `truth.json` says; None where it is not one of ours."""
    try:
        truth: Any = json.loads((folder / TRUTH).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(truth, dict):
        return None
    found = cast("dict[str, Any]", truth)
    return found if found.get("world") == WORLD else None


def _find(folder: Path, parameters: Mapping[str, int]) -> World | None:
    truth = _read_truth(folder)
    if truth is None or truth.get("generator") != GENERATOR or truth.get("parameters") != parameters:
        return None
    if not all((folder / file).is_file() for file in truth["files"]):
        return None  # somebody deleted a part of it
    bad = tuple(BadRow(**row) for row in truth["bad_rows"])
    return World(folder=folder, parameters=parameters, bad_rows=bad, written=False)


def _files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    )


def _check_replaceable(folder: Path) -> None:
    """Refuse whatever is not wholly ours: it would be deleted."""
    if not folder.exists() and not folder.is_symlink():
        return
    truth = _read_truth(folder)
    if truth is None:
        raise ValueError(
            f"sandbox world: '{folder}' exists and is not a world of this generator (no {TRUTH} of it inside), "
            "so it is left as it is; give another folder, or delete it yourself"
        )
    others = [file for file in _files(folder) if file not in (*truth.get("files", ()), TRUTH)]
    if others:
        raise ValueError(
            f"sandbox world: '{folder}' is a world of other parameters and also holds {len(others)} files that are not "
            f"its own (the first: {others[0]}), so it is not replaced; move them away, or give another folder"
        )


def _replace(folder: Path, parameters: Mapping[str, int]) -> tuple[BadRow, ...]:
    """Write the world beside the folder, then rename it; who looks sees the old one, the new one or, briefly, none."""
    # Here, for most calls find the world in place, and importing these takes longer than looking.
    import tempfile

    from deployments.sandbox.contents import write_contents

    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.????????"):  # by whoever was killed while he wrote
        if time.time() - left.stat().st_mtime > _LEFT_S:
            shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        new = beside / "new"
        new.mkdir()
        bad_rows, told = write_contents(new, parameters)
        head = {"world": WORLD, "generator": GENERATOR, "parameters": dict(parameters), "files": _files(new)}
        (new / TRUTH).write_bytes(json.dumps(head | told, ensure_ascii=False, indent=1).encode())
        _check_replaceable(folder)  # again: somebody may have come while we wrote
        _swap(new, folder, beside / "old")
    finally:
        shutil.rmtree(beside)
    return bad_rows


def _swap(new: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate a world from the command line; return the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m deployments.sandbox.world",
        description="Write a small invented world in the file formats of the real sources.",
        epilog="example: python -m deployments.sandbox.world demo-world --films 1000 --viewers 400",
    )
    parser.add_argument("folder", type=Path)
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    chosen = vars(parser.parse_args(arguments))
    try:
        world = generate(chosen.pop("folder"), **chosen)
    except ValueError as bad:
        print(bad, file=sys.stderr)
        return 2
    state = "written" if world.written else "there already"
    print(f"{world.folder}: {state}, {len(world.bad_rows)} bad rows on purpose")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
