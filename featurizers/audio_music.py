"""Tempo, onsets and key of a clip: what music has and noise has not, so each may be undefined."""

# Annotations stay text: numpy and scipy are imported at their first use.
from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from featurizers.spectrum import HOP, fourier
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BPM = (30.0, 300.0)  # beats are heard as such from 30 to 300 per minute
_USUAL_BPM = 120.0  # listeners tap near it where several tempi fit (Parncutt 1994; librosa's prior)
_CHROMA_FFT = 8_192  # 2.7 Hz at 22,050: tells semitones apart from 55 Hz on
_CHROMA_HZ = (55.0, 2_100.0)  # A1 to C7: below, bins are too wide; above, mostly overtones
# Krumhansl & Kessler 1982, ratings of the 12 degrees in a major and a minor key.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


# --- rhythm


def onset_envelope(levels: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much louder the bands of a log-Mel spectrogram (128, T) become from frame to frame, in dB; shape (T,)."""
    rises = np.maximum(np.diff(levels, axis=1, prepend=levels[:, :1]), 0.0)
    return rises.mean(axis=0, dtype=np.float64)


def tempo(envelope: NDArray[np.float64], rate_hz: int) -> tuple[float, float] | None:
    """Beats per minute, and in [0, 1] how much of the envelope repeats at that beat; None without onsets or beats."""
    frame_hz = rate_hz / HOP
    # Smoothed: a beat of 18.5 frames would else repeat less well after one beat than after two.
    centred = np.convolve(envelope - envelope.mean(), (0.25, 0.5, 0.25), mode="same")
    lags = np.arange(int(60 * frame_hz / _BPM[1]), int(60 * frame_hz / _BPM[0]) + 1)
    if len(centred) < 2 * lags[0] or envelope.max() < 1e-3:
        return None
    repeats = _autocorrelation(centred)
    lags = lags[lags < len(repeats) - 1]
    octaves = np.log2(60 * frame_hz / lags / _USUAL_BPM)
    peaks = (repeats[lags] >= repeats[lags - 1]) & (repeats[lags] >= repeats[lags + 1]) & (repeats[lags] > 0.05)
    if not peaks.any():
        return None
    best = int(lags[np.argmax(np.where(peaks, repeats[lags] * np.exp(-0.5 * octaves**2), -1.0))])
    return 60 * frame_hz / _refined_lag(repeats, best), float(min(1.0, repeats[best]))


def _autocorrelation(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    size = fourier().next_fast_len(2 * len(centred))
    products = fourier().irfft(np.abs(fourier().rfft(centred, size)) ** 2, size)[: len(centred)]
    # Not corrected for the shrinking overlap: long lags of short clips would be noise.
    return products / max(float(products[0]), 1e-12)


def _refined_lag(repeats: NDArray[np.float64], lag: int) -> float:
    """The lag in fractions of a frame, from the peaks at its multiples: a frame is 2 % of a beat at 120 BPM."""
    period = _vertex(repeats, lag)
    for times in (2, 4, 8):
        near = round(period * times)
        if near + 2 >= len(repeats):
            break
        around = np.arange(near - 1, near + 2)
        top = int(around[np.argmax(repeats[around])])
        if repeats[top] < 0.3 * repeats[lag] or repeats[top] < max(repeats[top - 1], repeats[top + 1]):
            break
        period = _vertex(repeats, top) / times
    return period


def _vertex(values: NDArray[np.float64], at: int) -> float:
    """Where the parabola through a peak and its neighbours is highest."""
    left, top, right = (float(v) for v in values[at - 1 : at + 2])
    bend = left - 2 * top + right
    return at + (0.5 * (left - right) / bend if bend < 0 else 0.0)


def onsets(envelope: NDArray[np.float64], rate_hz: int) -> int:
    """Number of onsets: local maxima of the envelope that stand out of their neighbourhood.

    Source: Böck et al. 2012, with librosa's parameters: a maximum of 30 ms, above the mean of 100 ms each side by
    0.07 of the largest. An envelope that never rises by 0.5 dB has none.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    if envelope.max() < 0.5:
        return 0
    scaled, frame_hz = envelope / envelope.max(), rate_hz / HOP
    wide, narrow = round(0.1 * frame_hz), max(1, round(0.03 * frame_hz))
    tops = scaled >= maximum_filter1d(scaled, 2 * narrow + 1, mode="constant")
    return int((tops & (scaled > uniform_filter1d(scaled, 2 * wide + 1, mode="nearest") + 0.07)).sum())


# --- key


def chroma(wave: NDArray[np.float32], rate_hz: int) -> NDArray[np.float64] | None:
    """Share of each pitch class (C is 0) in the clip's tones, shape (12,); None where there are no tones.

    Tones are local maxima of long spectra, with their place between bins by a parabola. The clip's tuning is taken
    off first: instruments tuned to 432 Hz, or a turntable a little fast, would fall between the classes.
    """
    pitches, weights = _tones(wave, rate_hz)
    if not len(pitches):
        return None
    off = np.angle(np.sum(weights * np.exp(2j * np.pi * pitches))) / (2 * np.pi)  # in [-0.5, 0.5] of a semitone
    classes = np.rint(pitches - off).astype(np.int64) % 12
    shares = np.bincount(classes, weights, minlength=12)
    return shares / shares.sum()


def _tones(wave: NDArray[np.float32], rate_hz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch (MIDI number, fractions of a semitone) and weight of every tone of every frame."""
    padded = np.pad(wave, (0, max(0, _CHROMA_FFT - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _CHROMA_FFT)[:: _CHROMA_FFT // 2]
    window = np.hanning(_CHROMA_FFT + 1)[:-1].astype(np.float32)
    heights = np.log(np.abs(fourier().rfft(frames * window, axis=1)) + np.float32(1e-9))
    first, last = (round(hz * _CHROMA_FFT / rate_hz) for hz in _CHROMA_HZ)
    middle = heights[:, first:last]
    left, right = heights[:, first - 1 : last - 1], heights[:, first + 1 : last + 1]
    # 40 dB below the frame's loudest bin and less is leakage and noise; 60 dB below the clip's loudest is a pause.
    high = np.maximum(middle.max(axis=1, keepdims=True) - np.log(100), middle.max() - np.log(1_000))
    frame, column = np.nonzero((middle > left) & (middle >= right) & (middle > high) & (middle > np.log(1e-4)))
    a, b, c = (part[frame, column].astype(np.float64) for part in (left, middle, right))
    bins = first + column + 0.5 * (a - c) / (a - 2 * b + c)
    return 69 + 12 * np.log2(bins * rate_hz / _CHROMA_FFT / 440.0), np.exp(b)


def key(shares: NDArray[np.float64]) -> tuple[int, int, float] | None:
    """Tonic (C is 0), mode (1 major, 0 minor) and correlation with that key; None where all classes are equal.

    Source: Krumhansl 1990, the key whose profile correlates best with the pitch classes.
    """
    spread = shares - shares.mean()
    length = float(np.linalg.norm(spread))
    if length < 1e-6:
        return None
    fits = _profiles() @ spread / length
    best = int(np.argmax(fits))
    return best % 12, 1 - best // 12, float(fits[best])


@lru_cache(maxsize=1)
def _profiles() -> NDArray[Any]:
    """All 24 keys, major first, centred and of length 1; shape (24, 12)."""
    rows = np.array([np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
