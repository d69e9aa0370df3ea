"""Signals whose truth is known, and files of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 22_050


def sine(hz: float, seconds: float, *, peak: float = 0.5, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def noise(seconds: float, *, peak: float = 0.5, rate_hz: int = RATE_HZ, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-peak, peak, round(seconds * rate_hz)).astype(np.float32)


def music(seconds: float, *, peak: float = 0.5, rate_hz: int = RATE_HZ, seed: int = 0) -> NDArray[np.float32]:
    """Tones that come and go over noise that fades, and a pause: cells of all levels."""
    rng, times = np.random.default_rng(seed), np.arange(round(seconds * rate_hz)) / rate_hz
    tones = sum(np.sin(2 * np.pi * hz * times) * np.sin(times * hz / 900) ** 2 for hz in (110, 277.2, 659.3, 2093))
    wave = tones + rng.standard_normal(len(times)) * np.exp(-((times * 2) % 1) * 20) / 4
    wave[(times % 7) > 6.7] *= 1e-4
    return (wave * (peak / np.abs(wave).max())).astype(np.float32)


def clicks(bpm: float, seconds: float) -> NDArray[np.float32]:
    wave, burst = np.zeros(round(seconds * RATE_HZ), np.float32), noise(0.03)
    burst *= np.exp(-np.arange(len(burst), dtype=np.float32) / 200)
    for beat in np.arange(0.1, seconds - 0.1, 60 / bpm):
        at = round(beat * RATE_HZ)
        wave[at : at + len(burst)] += burst
    return wave


def chord(midi: Sequence[int], seconds: float, *, tuning: float = 0.0) -> NDArray[np.float32]:
    """Notes with two overtones each; `tuning` in semitones."""
    hz = [440 * 2 ** ((note + tuning - 69) / 12) for note in midi]
    return np.sum([sine(over * f, seconds, peak=0.1 / over) for f in hz for over in (1, 2, 3)], axis=0)


def write(path: Path, wave: NDArray[Any], rate_hz: int = RATE_HZ, subtype: str | None = None) -> Path:
    """A file by libsndfile, in pieces: its Vorbis encoder overflows its stack on minutes at once."""
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    with soundfile.SoundFile(path, "w", rate_hz, channels, subtype) as file:
        for first in range(0, len(wave), 1 << 15):
            file.write(wave[first : first + (1 << 15)])
    return path


def encode(path: Path, wave: NDArray[np.float32], rate_hz: int, codec: str) -> Path:
    """A file by FFmpeg's encoders; `wave` of shape (n_frames, channels)."""
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream(codec, rate=rate_hz)
        known = {kind.name for kind in stream.codec_context.codec.audio_formats}
        kind = next(name for name in ("fltp", "flt", "s16p", "s16", "s32p", "s32") if name in known)
        stream.format, stream.layout, stream.bit_rate = kind, {1: "mono", 2: "stereo"}[wave.shape[1]], 128_000
        full_scale, number = {"flt": (1, np.float32), "s16": (32767, np.int16), "s32": (2**31 - 1, np.int32)}[kind[:3]]
        samples = (wave.astype(np.float64) * full_scale).astype(number)
        shaped = np.ascontiguousarray(samples.T) if kind.endswith("p") else samples.reshape(1, -1)
        frame: Any = av.AudioFrame.from_ndarray(shaped, format=kind, layout=stream.layout.name)
        frame.rate = rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            if packet.size:  # FLAC's last one is empty
                file.mux(packet)
    return path
