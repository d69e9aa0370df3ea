"""Invented recordings, covers and posters as files named by id, a few of them broken."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.sandbox import clips, drawings
from deployments.sandbox.bad_rows import BadRow
from deployments.sandbox.dice import Dice
from deployments.sandbox.film_files import is_known
from deployments.sandbox.films import Film
from deployments.sandbox.songs import Recording
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUDIO, COVERS, POSTERS = "audio", "images/covers", "images/posters"
NOTES = "about.txt"
EMPTY, SILENT, TRUNCATED = "empty", "silent", "truncated"
"""What is wrong with a file on purpose."""

Faults = dict[str, str | None]  # file, relative to the world, to what is wrong with it


def write_audio(folder: Path, seed: int, songs: Sequence[Recording], count: int) -> tuple[Faults, list[BadRow]]:
    """FLAC files of the first `count` songs, named by Spotify id; the last two of three or more are broken."""
    chosen = songs[:count]
    place = folder / AUDIO
    place.mkdir(parents=True)
    files: Faults = {}
    for at, song in enumerate(chosen):
        file = f"{AUDIO}/{song.spotify[0]}.flac"
        left = len(chosen) - at if len(chosen) > 2 else 3
        files[file] = {1: EMPTY, 2: SILENT}.get(left)
        if files[file] == EMPTY:
            (folder / file).write_bytes(b"")
            continue
        samples = clips.make_clip(seed, at, song)
        _write_flac(folder / file, song, samples * (files[file] is None))
    (place / NOTES).write_text("Synthesised: nobody sings here.\n", encoding="utf-8")
    return files, [BadRow(file=f"{AUDIO}/{NOTES}", line=0, reason="not_media", what="a text among the recordings")]


def _write_flac(path: Path, song: Recording, samples: NDArray[np.int16]) -> None:
    import soundfile

    with soundfile.SoundFile(path, "w", clips.RATE_HZ, 1, subtype="PCM_16", format="FLAC") as file:
        file.title, file.artist, file.album = song.title, song.artist.name, song.album.name
        file.write(samples)


def write_pictures(
    folder: Path, seed: int, songs: Sequence[Recording], films: Sequence[Film], *, covers: int, posters: int
) -> Faults:
    """PNG covers of the first songs, by Spotify id, and JPEG posters of films, by MovieLens id; the last is cut."""
    files: Faults = {}
    for at, song in enumerate(songs[:covers]):
        picture = drawings.draw(Dice(seed, "cover", at), song.genre, drawings.COVER)
        files[_save(folder, f"{COVERS}/{song.spotify[0]}.png", picture)] = None
    known = [film for film in films if is_known(film)][:posters]
    for film in known:
        picture = drawings.draw(Dice(seed, "poster", film.movielens), film.genres[0], drawings.POSTER)
        files[_save(folder, f"{POSTERS}/{film.movielens}.jpg", picture)] = None
    if len(known) > 2:
        last = folder / POSTERS / f"{known[-1].movielens}.jpg"
        last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
        files[f"{POSTERS}/{last.name}"] = TRUNCATED
    return files


def _save(folder: Path, file: str, picture: NDArray[np.uint8]) -> str:
    from PIL import Image

    kind = "PNG" if file.endswith(".png") else "JPEG"
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, quality=85)
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return file
