"""How far chroma similarity parts one recording from others: real ones, and those of a world.

    MEDIATECA_REAL_DATA=... python -m benchmarks.acoustic [--world FOLDER] [--songs 14]

A window of 30 s, cut up to 12 s beside 00:30, against a minute of the recording: as it is, as a noisy MP3 at 16 kHz,
played faster or slower; and against every other recording. Of a world (a folder that `mediateca sandbox world` made),
each kind of video against a right one of its song, in another codec. Prints rows of the table in docs/linking.md.
"""

import argparse
import csv
import io
import os
import random
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from deployments.sandbox.sounds import Sounds
from deployments.sandbox.tables import VideoRow, read_table
from featurizers.acoustic import RATE_HZ, chroma_frames, similarity
from featurizers.audio import decode_window

LEAST_S = 45.0  # shorter recordings have no window beside another
SPEEDS = {"0.3 % faster": 1.003, "1 % faster": 1.01, "3 % slower": 0.97, "6 % faster": 1.06}
RIGHT = ("topic", "official", "audio", "lyrics")
Found = dict[str, list[float]]


def real(folder: Path) -> Found:
    """Similarities of real recordings, by what is compared."""
    dice = random.Random(1)
    found: Found = defaultdict(list)
    minutes: dict[Path, Any] = {}
    windows: dict[Path, Any] = {}
    for path in _music(folder):
        length = soundfile.info(path).duration
        if length < LEAST_S:
            continue
        start = min(max(0.0, 30 + dice.uniform(-12, 12)), length - 31)
        wave = decode_window(path, start_s=start, length_s=30).wave
        minutes[path], windows[path] = _frames(decode_window(path, start_s=15, length_s=60).wave), _frames(wave)
        found["the same"].append(_alike(windows[path], minutes[path]))
        found["the same, as a noisy MP3 at 16 kHz"].append(_alike(_frames(_worn(wave)), minutes[path]))
        for what, speed in SPEEDS.items():
            faster = soxr.resample(wave, RATE_HZ * speed, RATE_HZ)
            found[f"the same, {what}"].append(_alike(_frames(faster), minutes[path]))
    found["another recording"] = [_alike(windows[a], minutes[b]) for a in windows for b in minutes if a != b]
    return found


def _music(folder: Path) -> list[Path]:
    """The files of music that `manifest.csv` names: not speech, nor whales."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        return [folder / row["file"] for row in csv.DictReader(lines) if row["kind"] == "music"]


def generated(world: Path, songs: int) -> Found:
    """Similarities of a world's videos to a right one of their song, by kind."""
    sounds = Sounds(world)
    found: Found = defaultdict(list)
    videos: dict[int, dict[str, VideoRow]] = defaultdict(dict)
    for video in read_table(world, "videos", VideoRow):
        if video.recording is not None:
            videos[video.recording].setdefault(video.kind, video)
    chosen = [place for place, kinds in videos.items() if set(kinds) & set(RIGHT)]
    random.Random(2).shuffle(chosen)
    minutes: dict[int, Any] = {}
    windows: dict[int, Any] = {}
    for place in chosen[:songs]:
        right = next(video for kind, video in videos[place].items() if kind in RIGHT)
        minutes[place] = _streamed(sounds, right, "251", 15, 60)
        for kind, video in videos[place].items():
            window = _streamed(sounds, video, "139", 30, 30)
            found["world: " + ("the same" if kind in RIGHT else kind)].append(_alike(window, minutes[place]))
            windows[place] = window if video is right else windows.get(place)
    found["world: another song"] = [_alike(windows[a], minutes[b]) for a in windows for b in minutes if a != b]
    return found


def _streamed(sounds: Sounds, video: VideoRow, form: str, start_s: float, length_s: float) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".webm" if form == "251" else ".m4a") as file:
        file.write(sounds.stream(video.sound, form) or b"")
        file.flush()
        return _frames(decode_window(file.name, start_s=start_s, length_s=length_s).wave)


def _frames(wave: Any) -> Any:
    return chroma_frames(np.asarray(wave, np.float32), RATE_HZ)


def _alike(window: Any, minute: Any) -> float:
    found = similarity(window, minute)
    return 0.0 if found is None else found[0]


def _worn(wave: Any) -> Any:
    """The clip as an MP3 at 16 kHz, with noise 20 dB below it."""
    noise = np.random.default_rng(0).normal(0, 0.1 * np.sqrt(np.square(wave).mean()), len(wave))
    coded = io.BytesIO()
    soundfile.write(coded, soxr.resample(0.6 * wave + noise, RATE_HZ, 16_000), 16_000, format="MP3")
    coded.seek(0)
    return soxr.resample(soundfile.read(coded, dtype="float32")[0], 16_000, RATE_HZ)


def main() -> None:
    """Measure, and print a row per kind of pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path)
    parser.add_argument("--songs", type=int, default=14)
    chosen = parser.parse_args()
    found: Found = {}
    if data := os.environ.get("MEDIATECA_REAL_DATA"):
        found |= real(Path(data) / "music-audio")
    if chosen.world:
        found |= generated(chosen.world, chosen.songs)
    for what, values in found.items():
        shares = np.percentile(values, (0, 5, 50, 95, 100))
        print(f"| {what} | {len(values)} | " + " | ".join(f"{share:.2f}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
