"""Whether two clips are the same recording, by chroma: which tones sound when, whatever the codec, level or equaliser.

A frame every 93 ms says how strong each of the twelve pitch classes is; two clips are laid over each other at every
offset, and the best agreement counts. So a few seconds of another intro do not matter; another key, tempo or
performance does. An instrumental of the very recording has its tones, and is told apart by its title or not at all.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from featurizers.spectrum import fourier
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 22_050
VERSION = "1"
"""Raise it whenever a similarity may change."""
_FFT, _HOP = 8_192, 2_048  # 2.7 Hz a bin tells semitones apart from 55 Hz on; 93 ms a frame
_LOW_HZ, _HIGH_HZ = 55.0, 2_100.0  # A1 to C7: above, mostly overtones
LEAST_S = 10.0  # of overlap: less is too little to tell
_FRAME_S = _HOP / RATE_HZ
_SMOOTH, _STEP, _APART, _KEYS = 8, 1, 16, 96  # frames of `chroma_keys`


def chroma_frames(wave: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Pitch classes (C is 0) over time, shape (n_frames, 12).

    The clip's mean is taken off, so that a common key is no agreement; rows have length 1, or 0 where nothing sounds.

    Raises:
        ValueError: Another rate than 22,050, or more than one channel.
    """
    if rate_hz != RATE_HZ or wave.ndim != 1:
        raise ValueError(f"acoustic: a mono clip at {RATE_HZ} Hz expected, got {wave.ndim} axes at {rate_hz} Hz")
    if len(wave) < _FFT:
        return np.zeros((0, 12), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, _FFT)[::_HOP]
    low, high = (round(hz * _FFT / RATE_HZ) for hz in (_LOW_HZ, _HIGH_HZ))
    folded = np.empty((len(frames), 12), np.float32)
    for first in range(0, len(frames), 64):  # 64 frames of float32 are 2 MB
        block = fourier().rfft(frames[first : first + 64] * _window(), axis=1)[:, low:high]
        folded[first : first + 64] = np.abs(block) @ _fold(low, high)
    tones = np.log1p(folded / max(float(folded.mean()), 1e-9))
    centred = tones - tones.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)  # louder is no other tone
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(norms > 1e-3, centred / np.maximum(norms, 1e-9), 0.0).astype(np.float32)


def similarity(mine: NDArray[np.float32], theirs: NDArray[np.float32]) -> tuple[float, float] | None:
    """Agreement of two clips' `chroma_frames` where they fit best, about 0 to 1, and `theirs`' lead there in seconds.

    Offsets at which less than 10 s overlap do not count; None where there is no other.
    """
    least = round(LEAST_S / _FRAME_S)
    if min(len(mine), len(theirs)) < least:
        return None
    size = fourier().next_fast_len(len(mine) + len(theirs))
    product = fourier().rfft(theirs, size, axis=0) * np.conj(fourier().rfft(mine, size, axis=0))
    sums = fourier().irfft(product, size, axis=0).sum(axis=1)
    lags = np.arange(least - len(mine), len(theirs) - least + 1)
    overlap = np.minimum(len(mine), len(theirs) - lags) - np.maximum(0, -lags)
    agreement = sums[lags] / overlap
    best = int(np.argmax(agreement))
    return float(agreement[best]), float(lags[best] * _FRAME_S)


def chroma_keys(frames: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where `chroma_frames` can be looked up: performances with the same tones at the same pace share some keys.

    A key is which pitch classes are stronger than on average now and 1.5 s later, each a mean over 0.75 s; of all
    of them the 96 whose weakest sign is the clearest.
    """
    if len(frames) < _SMOOTH + _APART:
        return np.zeros(0, np.int64)
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(frames, axis=0, dtype=np.float64)])
    smooth = (sums[_SMOOTH:] - sums[:-_SMOOTH])[::_STEP]
    pairs = np.concatenate([smooth[: -_APART // _STEP], smooth[_APART // _STEP :]], axis=1)
    clear = np.abs(pairs).min(axis=1) / np.maximum(np.abs(pairs).mean(axis=1), 1e-9)
    codes = ((pairs > 0) << np.arange(24)).sum(axis=1)
    rank = np.argsort(-clear, kind="stable")
    _, at = np.unique(codes[rank], return_index=True)  # the clearest of each code
    return np.sort(codes[rank[np.sort(at)[:_KEYS]]]).astype(np.int64)


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)


@lru_cache(maxsize=1)
def _fold(low: int, high: int) -> NDArray[np.float32]:
    """Share of each bin in each pitch class, shape (bins, 12): the two nearest semitones, by distance."""
    pitch = 69 + 12 * np.log2(np.arange(low, high) * RATE_HZ / _FFT / 440)
    near = np.floor(pitch).astype(int)
    share = pitch - near
    fold = np.zeros((high - low, 12), np.float32)
    rows = np.arange(high - low)
    fold[rows, near % 12] += (1 - share).astype(np.float32)
    fold[rows, (near + 1) % 12] += share.astype(np.float32)
    return fold
