"""Whether two windows are cut from one recording: 32 bits every 46 ms, whatever codec, rate, level or start.

After Haitsma and Kalker, A Highly Robust Audio Fingerprinting System, ISMIR 2002: the sign of how energy differs
between neighbouring bands and changes in time. Two windows are laid over each other at every offset; the least share of
bits that differ counts. Another take, tempo or key has other bits.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from featurizers.spectrum import HOP, fourier, mel_power
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "1"
"""Raise it whenever a bit may change."""
RATE_HZ = 22_050
BITS = 32
LEAST_S = 10.0  # of overlap: less is too little to tell
# 33 bands of two Mel bands each, 220 to 2,000 Hz, which telephones and codecs at 16 kbit/s keep as well.
_FIRST_MEL, _MELS = 8, 2
_SMOOTH = 16  # Mel frames of 23 ms: energies are means over 0.37 s, as in the paper
_STEP = 2  # Mel frames from one row of bits to the next
# Rows over which the change in time is taken, 0.37 s. 25 recordings, worst of 10 encodings: 1 row 0.23 of the bits
# differ, 4 rows 0.15, 8 rows 0.14; of other recordings at least 0.44 (2026-11).
_LAG = 8
_QUIET = 1e-6  # of the loudest row's energy: below that nothing sounds
FRAME_S = _STEP * HOP / RATE_HZ
_KEYS = 48  # of each group
_KEY_BITS = 22
_GROUPS = (0, 5, 10)  # first bit of each group


class AudioFingerprint(NamedTuple):
    """Rows of bits of one window, and where it can be looked up."""

    bits: NDArray[np.uint32]  # (n_rows,), one row every FRAME_S
    sounds: NDArray[np.bool_]  # (n_rows,): False where nothing sounds, so that the bits say nothing
    keys: NDArray[np.int64]  # sorted; copies of one recording share some of them

    def to_bytes(self) -> bytes:
        """Bits and sounds, without the keys."""
        return self.bits.astype("<u4").tobytes() + np.packbits(self.sounds).tobytes()


def from_bytes(data: bytes) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Bits and sounds of `AudioFingerprint.to_bytes`.

    Raises:
        ValueError: Not of that form.
    """
    rows = len(data) * 8 // 33
    if 4 * rows + -(-rows // 8) != len(data):
        raise ValueError(f"audio fingerprint: {len(data)} bytes are no whole number of rows")
    bits = np.frombuffer(data, "<u4", rows).astype(np.uint32)
    return bits, np.unpackbits(np.frombuffer(data, np.uint8, offset=4 * rows), count=rows).astype(bool)


def audio_fingerprint(wave: NDArray[np.float32], rate_hz: int) -> AudioFingerprint:
    """The fingerprint of one mono clip; of one shorter than a second it has no rows.

    Raises:
        ValueError: Another rate than 22,050, or more than one channel.
    """
    if rate_hz != RATE_HZ or wave.ndim != 1:
        raise ValueError(f"fingerprint: a mono clip at {RATE_HZ} Hz expected, got {wave.ndim} axes at {rate_hz} Hz")
    change, sounds = _changes(mel_power(wave, rate_hz)) if len(wave) else (np.zeros((0, BITS)), np.zeros(0, bool))
    bits = ((change > 0) << np.arange(BITS)).sum(axis=1).astype(np.uint32)
    return AudioFingerprint(bits, sounds, _keys(change, sounds))


def _changes(power: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How the difference of neighbouring bands changes, (n_rows, 32), and which rows sound."""
    used = power[:, _FIRST_MEL : _FIRST_MEL + _MELS * (BITS + 1)]
    sums = np.zeros((len(power) + 1, BITS + 1))
    np.cumsum(used.reshape(len(power), BITS + 1, _MELS).sum(axis=2, dtype=np.float64), axis=0, out=sums[1:])
    smooth = (sums[_SMOOTH:] - sums[:-_SMOOTH])[::_STEP] if len(power) >= _SMOOTH else sums[:0]
    energy = smooth.sum(axis=1)[_LAG:]
    # The root, as energies of loud notes would outweigh all else: 0.44 instead of 0.46 of the least similar.
    steps = np.diff(np.sqrt(np.maximum(smooth, 0)), axis=1)
    change = steps[:-_LAG] - steps[_LAG:] if len(steps) > _LAG else steps[:0]
    energy = energy[: len(change)]
    return change, (energy > _QUIET * energy.max()) & (energy > 0) if len(energy) else np.zeros(0, bool)


def _keys(change: NDArray[np.float64], sounds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Runs of 22 bits of the rows whose weakest bit of the run is the clearest: those survive an encoding."""
    found: list[NDArray[np.int64]] = []
    clear = np.abs(change) / np.maximum(np.abs(change).mean(axis=1, keepdims=True), 1e-30)
    for group, first in enumerate(_GROUPS):
        run = slice(first, first + _KEY_BITS)
        codes = ((change[:, run] > 0) << np.arange(_KEY_BITS)).sum(axis=1) + (group << 32)
        rank = np.argsort(-np.where(sounds, clear[:, run].min(axis=1), -1.0), kind="stable")
        _, at = np.unique(codes[rank[: int(sounds.sum())]], return_index=True)  # the clearest row of each code
        found.append(codes[rank[np.sort(at)[:_KEYS]]])
    return np.sort(np.concatenate(found)).astype(np.int64)


def bit_error_rate(mine: bytes, theirs: bytes) -> tuple[float, float] | None:
    """The share of bits that differ of two fingerprints where they fit best, and `theirs`' lead there in seconds.

    0 is the same, 0.5 chance. Offsets at which less than 10 s sound in both do not count; None where there is no other.
    """
    (a, hears_a), (b, hears_b) = _signs(mine), _signs(theirs)
    least = round(LEAST_S / FRAME_S)
    if min(len(a), len(b)) < least:
        return None
    size = fourier().next_fast_len(len(a) + len(b))
    lags = np.arange(least - len(a), len(b) - least + 1)
    agreement = _correlated(a, b, size).sum(axis=1)[lags]
    overlap = np.rint(_correlated(hears_a, hears_b, size)[lags])
    if not (counts := overlap >= least).any():
        return None
    rate = np.where(counts, 0.5 - agreement / (2 * BITS * np.maximum(overlap, 1)), 1.0)
    best = int(np.argmin(rate))
    return max(0.0, float(rate[best])), float(lags[best] * FRAME_S)


def _signs(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bits as -1 and 1, or 0 where nothing sounds, (n_rows, 32); and where it sounds, (n_rows,)."""
    bits, sounds = from_bytes(data)
    one = (bits[:, None] >> np.arange(BITS, dtype=np.uint32) & np.uint32(1)).astype(np.float32)
    return (2 * one - 1) * sounds[:, None], sounds.astype(np.float32)


def _correlated(a: NDArray[np.float32], b: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """At each lag the sum over rows of the product of `a` and the later row of `b`."""
    return fourier().irfft(fourier().rfft(b, size, axis=0) * np.conj(fourier().rfft(a, size, axis=0)), size, axis=0)
