"""Clips prepared as an audio encoder's own feature extractor would, but without its chance and its loop over frames.

The extractor of CLAP takes 10 s at random out of what is longer, and a Python call per frame; here a longer clip is
read in pieces, and the frames of a piece are one transform.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurizers.audio import RATE_HZ, SILENCE, resample
from featurizers.audio_readers import downmix
from featurizers.base import MediaError
from featurizers.flac import decode_flac
from featurizers.spectrum import fourier
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_S = 0.1  # HuBERT's first place takes 17 ms at 24 kHz; windows are a second at least
# Of a piece: what a clip is longer than its pieces by rounding of the resampled length makes no further piece.
_SLACK = 0.01


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a feature extractor does with a mono clip."""

    rate_hz: int
    longest: int | None  # samples that it takes without cutting; None: as many as there are
    argument: str  # of the model
    apply: Callable[[NDArray[np.float32]], NDArray[np.float32]]  # one piece to the model's input, without batch axis

    def pieces(self, wave: NDArray[np.float32], piece_s: float | None) -> list[NDArray[np.float32]]:
        """Stretches of one length that together are the clip, the last ending where it does; short ones are whole."""
        size = round(piece_s * self.rate_hz) if piece_s else self.longest
        if size is None or len(wave) <= size:
            return [wave]
        count = max(1, math.ceil(len(wave) / size - _SLACK))
        starts = [round(i * (len(wave) - size) / (count - 1)) for i in range(count)] if count > 1 else [0]
        return [wave[start : start + size] for start in starts]


def preparation(extractor: Any) -> Preparation:
    """What the feature extractor does.

    Raises:
        ValueError: It is none that is known, or the model was trained on crops that are drawn at random.
    """
    kind = type(extractor).__name__
    if kind == "Wav2Vec2FeatureExtractor":
        apply = _standardised if extractor.do_normalize else _as_is
        return Preparation(rate_hz=extractor.sampling_rate, longest=None, argument="input_values", apply=apply)
    if kind != "ClapFeatureExtractor":
        raise ValueError(f"unknown feature extractor {kind}; known: ClapFeatureExtractor, Wav2Vec2FeatureExtractor")
    if extractor.truncation == "fusion":
        raise ValueError("a fused CLAP takes crops drawn at random; take one that was trained without (unfused)")
    return Preparation(
        rate_hz=extractor.sampling_rate,
        longest=extractor.nb_max_samples,
        argument="input_features",
        apply=lambda wave: _log_mel(_padded(wave, extractor), extractor)[None],
    )


def decode_clip(data: bytes, rate_hz: int, *, bandlimited: bool) -> NDArray[np.float32]:
    """A stored window as mono at the model's rate, shape (n_samples,).

    Args:
        data: A FLAC file: a clip at 22,050 Hz where `bandlimited`, else a window as the recording had it.
        rate_hz: The model's.
        bandlimited: Which of the two it must be.

    Raises:
        MediaError: `decode_error`, `silent` (no sample above -80 dBFS) or `too_short`.
    """
    wave, from_hz = decode_flac(data)
    if bandlimited and (from_hz != RATE_HZ or wave.ndim != 1):
        raise MediaError(Reason.DECODE_ERROR, f"a clip at {from_hz:,} Hz; mono at {RATE_HZ:,} Hz expected")
    mono = wave if wave.ndim == 1 else downmix(wave)
    if len(mono) < _LEAST_S * from_hz:
        raise MediaError(Reason.TOO_SHORT, f"{len(mono) / from_hz:.3f} s; {_LEAST_S:g} s at least expected")
    if np.abs(mono).max() < SILENCE:
        raise MediaError(Reason.SILENT, f"no sample beyond {SILENCE:g}")
    return resample(mono, from_hz, rate_hz)


def _as_is(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    return wave


def _standardised(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and variance 1, as Wav2Vec2FeatureExtractor does with a clip on its own."""
    return (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)


def _padded(wave: NDArray[np.float32], extractor: Any) -> NDArray[np.float32]:
    """As long as the model takes: repeated and then followed by zeros, repeated and cut, or followed by zeros only."""
    most = extractor.nb_max_samples
    if extractor.padding == "repeat":
        return np.resize(wave, most)
    if extractor.padding == "repeatpad":
        wave = np.tile(wave, most // len(wave))
    return np.pad(wave, (0, most - len(wave)))


def _log_mel(wave: NDArray[np.float32], extractor: Any) -> NDArray[np.float32]:
    """Mel energies in dB, (n_frames, bands), in double precision as ClapFeatureExtractor computes them."""
    size, hop = extractor.fft_window_size, extractor.hop_length
    padded = np.pad(wave.astype(np.float64), size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    spectrum = fourier().rfft(frames * hann, axis=1).astype(np.complex64)  # it rounds there, too
    power = np.abs(spectrum).astype(np.float64) ** 2
    energies = np.maximum(power @ extractor.mel_filters_slaney, 1e-10)
    return (10 * np.log10(energies)).astype(np.float32)
