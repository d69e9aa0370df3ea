"""Log-Mel spectrograms, as librosa computes them, kept as bytes; and the views that models take of them."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from featurizers.base import FeatureSpec, MediaError, MelBatch, QuantisedMel
from featurizers.flac import decode_flac
from featurizers.spectrum import AMIN, BANDS, TOP_DB, frame_count, mel_power
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 22_050
FRAMES = frame_count(30 * RATE_HZ)  # 1,292
PATCH, STRIDE = 128, 89  # 14 patches cover 1,285 of the 1,292 frames

View = Literal["patches", "thumbnail", "crop"]


class Mel:
    """FLAC windows to quantised log-Mel spectrograms."""

    name: ClassVar[str] = "mel"
    version: ClassVar[str] = "1"
    spec: ClassVar[FeatureSpec] = FeatureSpec(
        shape=(BANDS, FRAMES), dtype="uint8", unit="(dB - db_lo) / (db_hi - db_lo) * 255, dB re 1"
    )

    def __call__(self, batch: Sequence[bytes]) -> MelBatch:
        """One spectrogram or reason per FLAC file; shorter clips have fewer frames than `spec` says."""
        done = [_one(data) for data in batch]
        return MelBatch(
            values=tuple(one if isinstance(one, QuantisedMel) else None for one in done),
            errors=tuple(one.value if isinstance(one, Reason) else None for one in done),
        )


def _one(data: bytes) -> QuantisedMel | Reason:
    try:
        wave, rate_hz = decode_flac(data)
        return quantise(log_mel(wave, rate_hz))
    except MediaError as exc:
        return exc.reason


def log_mel(wave: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Log-Mel energies of one mono clip in dB re 1, at most 80 dB below the loudest cell.

    Args:
        wave: Samples, shape (n_samples,).
        rate_hz: Samples per second; must be 22_050.

    Returns:
        Shape (128, n_frames): Mel band, frame; n_frames = 1 + n_samples // 512.

    Raises:
        MediaError: `decode_error`: more than one channel, or another rate.

    Source: power_to_db(melspectrogram(y=wave, sr=22050, n_fft=2048, hop_length=512, n_mels=128), ref=1.0, amin=1e-10,
    top_db=80) of librosa; within 1e-3 dB in tests/featurizers/test_mel.py.
    """
    if wave.ndim != 1 or rate_hz != RATE_HZ or not len(wave):
        shape = "x".join(map(str, wave.shape))
        raise MediaError(Reason.DECODE_ERROR, f"{shape} samples at {rate_hz} Hz; mono at {RATE_HZ} Hz expected")
    levels = mel_power(wave, rate_hz)
    np.maximum(levels, np.float32(AMIN), out=levels)
    np.log10(levels, out=levels)
    levels *= np.float32(10)
    np.maximum(levels, levels.max() - np.float32(TOP_DB), out=levels)
    return np.ascontiguousarray(levels.T)


def quantise(levels: NDArray[np.float32]) -> QuantisedMel:
    """Levels in dB as bytes between their least and their largest; off by (db_hi - db_lo) / 510 at most.

    Raises:
        MediaError: `silent`: all levels are the same.
    """
    low, high = float(levels.min()), float(levels.max())
    if not high > low:
        raise MediaError(Reason.SILENT, f"a Mel spectrogram of {low:g} dB throughout")
    scaled = (levels - np.float32(low)) * np.float32(255 / (high - low))
    return QuantisedMel(q=np.rint(scaled).astype(np.uint8), db_lo=low, db_hi=high)


def dequantise(mel: QuantisedMel) -> NDArray[np.float32]:
    """Levels in dB, shape (128, n_frames)."""
    step = (mel.db_hi - mel.db_lo) / 255
    return mel.q.astype(np.float32) * np.float32(step) + np.float32(mel.db_lo)


def view(mel: NDArray[np.generic], kind: View, *, at: int | None = None) -> NDArray[np.generic]:
    """A view of fixed size of a spectrogram of shape (128, n_frames), in whatever numbers it has.

    - `patches`: shape (n, 128, 128): 128 frames at every 89th, none padded; 14 of them at 1,292 frames.
    - `thumbnail`: shape (128, 128) float32: column i is the mean over frames floor(i T / 128) to ceil((i + 1) T / 128).
    - `crop`: shape (128, 128): 128 frames from `at` on, the middle ones by default.

    A clip of fewer than 128 frames (3 s) is repeated until it has 128 for `patches` (one) and `crop`; its thumbnail
    repeats frames by the formula above. Padding with silence would add an edge that no recording has.

    Raises:
        ValueError: Not 128 bands or no frame, or `at` leaves fewer than 128 frames.
    """
    if mel.ndim != 2 or len(mel) != BANDS or not mel.shape[1]:
        raise ValueError(f"a spectrogram of shape {mel.shape}; (128, n_frames) expected")
    if kind == "thumbnail":
        return _thumbnail(mel)
    whole = _at_least(mel, PATCH)
    if kind == "crop":
        return _crop(whole, at)
    windows = np.lib.stride_tricks.sliding_window_view(whole, PATCH, axis=1)[:, ::STRIDE]
    return np.ascontiguousarray(windows.transpose(1, 0, 2))


def _at_least(mel: NDArray[np.generic], frames: int) -> NDArray[np.generic]:
    times = -(-frames // mel.shape[1])
    return mel if times == 1 else np.tile(mel, (1, times))[:, :frames]


def _crop(mel: NDArray[np.generic], at: int | None) -> NDArray[np.generic]:
    last = mel.shape[1] - PATCH
    first = last // 2 if at is None else at
    if not 0 <= first <= last:
        raise ValueError(f"a crop at frame {first}; 0 to {last} expected")
    return np.ascontiguousarray(mel[:, first : first + PATCH])


def _thumbnail(mel: NDArray[np.generic]) -> NDArray[np.float32]:
    frames = mel.shape[1]
    edges = [(i * frames // PATCH, -(-(i + 1) * frames // PATCH)) for i in range(PATCH)]
    sums = np.zeros((BANDS, frames + 1))
    np.cumsum(mel, axis=1, dtype=np.float64, out=sums[:, 1:])
    low, high = np.array(edges).T
    return ((sums[:, high] - sums[:, low]) / (high - low)).astype(np.float32)
