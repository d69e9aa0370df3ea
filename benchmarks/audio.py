"""Audio windows and Mel spectrograms against librosa, and two processes against one.

    python -m benchmarks.audio [--folder DIR] [--rounds 7] [--processes 2] [--json]

Per clip of 30 s, interleaved after warm-up, on one core: decode + window + FLAC + Mel of ours against librosa.load +
melspectrogram + power_to_db, which writes no FLAC. Times are processor time, the least of the rounds: what else the
machine does only adds to them. Runs over recordings that it synthesises, and over those of a folder.
"""

# One core: set before numpy loads its BLAS.
# ruff: noqa: E402
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from featurizers.audio import RATE_HZ, AudioWindow, decode_window
from featurizers.base import MediaError
from featurizers.flac import encode_flac
from featurizers.mel import log_mel

_SUFFIXES = {".mp3", ".ogg", ".flac", ".wav", ".aif", ".aiff"}


# --- what is timed


def ours(path: Path, window: AudioWindow) -> Any:
    """Decode, window, FLAC and Mel of one file."""
    wave = decode_window(path).wave
    encode_flac(wave, RATE_HZ)
    return log_mel(wave, RATE_HZ)


def librosas(path: Path, window: AudioWindow) -> Any:
    """The same window by librosa, without FLAC."""
    import librosa

    wave, _ = librosa.load(path, sr=RATE_HZ, offset=window.offset_s, duration=window.duration_s)
    return librosas_mel(wave)


def librosas_mel(wave: Any) -> Any:
    """The same Mel spectrogram by librosa."""
    import librosa

    power = librosa.feature.melspectrogram(y=wave, sr=RATE_HZ, n_fft=2048, hop_length=512, n_mels=128)
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=80)


TIMED: dict[str, Callable[[Path, AudioWindow], Any]] = {
    "ours": ours,
    "librosa": librosas,
    "decode_window": lambda path, window: decode_window(path),
    "encode_flac": lambda path, window: encode_flac(window.wave, RATE_HZ),
    "mel": lambda path, window: log_mel(window.wave, RATE_HZ),
    "librosa_mel": lambda path, window: librosas_mel(window.wave),
}


def least_ms(path: Path, rounds: int) -> dict[str, float] | None:
    """Least milliseconds of each for one file, by turns; None where the file has no window of 30 s."""
    try:
        window = decode_window(path)
    except MediaError:
        return None
    if window.duration_s < 30:
        return None
    found = {name: float("inf") for name in TIMED}
    for _ in range(rounds):
        for name, run in TIMED.items():
            began = time.process_time()
            run(path, window)
            found[name] = min(found[name], 1e3 * (time.process_time() - began))
    return found


# --- two processes against one


def clips(paths: Sequence[Path]) -> int:
    """Ours over some files; how many."""
    for path in paths:
        wave = decode_window(path).wave
        encode_flac(wave, RATE_HZ)
        log_mel(wave, RATE_HZ)
    return len(paths)


def scaling(paths: Sequence[Path], processes: int, rounds: int) -> dict[str, Any]:
    """How many times faster several processes are than one, by turns."""
    work = [list(paths)] * processes
    ratios: list[float] = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(clips, work))  # starts and warms every process
        for _ in range(rounds):
            began = time.perf_counter()
            pool.submit(clips, paths).result()
            alone = time.perf_counter() - began
            began = time.perf_counter()
            list(pool.map(clips, work))
            ratios.append(processes * alone / (time.perf_counter() - began))
    return {"processes": processes, "speed_up": spread(ratios)}


# --- recordings


def synthesise(folder: Path, seconds: float = 70.0) -> list[Path]:
    """Chords, beats and noise as Vorbis, MP3, FLAC and WAV, two of each."""
    import soundfile

    rng, rate_hz = np.random.default_rng(0), 44_100
    kinds = {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III", "flac": "PCM_16", "wav": "PCM_16"}
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    paths: list[Path] = []
    for take in range(2):
        notes = 220 * 2 ** (rng.integers(0, 24, 6) / 12)
        chord = sum(np.sin(2 * np.pi * note * times) for note in notes) / 12
        beat = rng.standard_normal(len(times)) * np.exp(-((times * 2) % 1) * 12) / 6
        stereo = np.stack([chord + beat, 0.8 * chord + beat[::-1]], axis=1)
        for ending, codec in kinds.items():
            paths.append(folder / f"take{take}.{ending}")
            # In pieces: libsndfile's Vorbis encoder overflows its stack on a minute at once.
            with soundfile.SoundFile(paths[-1], "w", rate_hz, 2, codec, format=ending.upper()) as file:
                for first in range(0, len(stereo), rate_hz):
                    file.write(stereo[first : first + rate_hz])
    return paths


# --- the report


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def measure(paths: Sequence[Path], rounds: int, processes: int) -> dict[str, Any]:
    """Milliseconds of each step, the ratios per clip, and the speed-up."""
    least_ms(paths[0], 1)  # librosa's first calls take seconds
    timed = {path: found for path in paths if (found := least_ms(path, rounds))}
    every = list(timed.values())
    if not every:
        return {"clips": 0}
    sums = {name: sum(found[name] for found in every) for name in TIMED}
    return {
        "clips": len(every),
        "ms": {name: round(total / len(every), 2) for name, total in sums.items()},
        "ratio": round(sums["librosa"] / sums["ours"], 3),
        "ratio_per_clip": spread([found["librosa"] / found["ours"] for found in every]),
        "mel_ratio": round(sums["librosa_mel"] / sums["mel"], 3),
        "mel_ratio_per_clip": spread([found["librosa_mel"] / found["mel"] for found in every]),
        "scaling": scaling(list(timed), processes, max(3, rounds // 2)) if processes > 1 else None,
    }


def main() -> None:
    """Print milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="recordings of one's own, any depth")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"synthesised": measure(synthesise(Path(folder)), args.rounds, args.processes)}
    if args.folder:
        paths = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not paths:
            sys.exit(f"no recordings ({', '.join(sorted(_SUFFIXES))}) in {args.folder}")
        found["folder"] = measure(paths, args.rounds, args.processes)
    print(json.dumps(found) if args.json else table(found))


def table(found: dict[str, Any]) -> str:
    """A few lines per set of recordings."""
    lines: list[str] = []
    for name, result in found.items():
        lines.append(f"{name}: {result['clips']} clips of 30 s")
        for what, ms in result.get("ms", {}).items():
            lines.append(f"  {what:14} {ms:8.2f} ms")
        for what in ("ratio", "mel_ratio"):
            if what in result:
                per = result[f"{what}_per_clip"]
                lines.append(f"  {what:14} {result[what]:8.2f}x (per clip {per['min']:.2f} to {per['max']:.2f})")
        if scaled := result.get("scaling"):
            by = scaled["speed_up"]
            told = f"{by['median']:8.2f}x ({by['min']:.2f} to {by['max']:.2f})"
            lines.append(f"  {scaled['processes']} processes    {told}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
