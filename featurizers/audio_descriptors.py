"""What can be said of a clip in numbers: tempo, loudness, key, timbre. They stand in for Spotify's closed endpoint."""

# Annotations stay text: numpy, scipy and pyloudnorm are imported at their first use.
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from featurizers import audio_music
from featurizers.base import FeatureBatch, FeatureSpec, MediaError
from featurizers.flac import decode_flac
from featurizers.mel import log_mel
from featurizers.spectrum import N_FFT, fourier, frames_of, spectra
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPECTRAL = {"centroid": "Hz", "bandwidth": "Hz", "rolloff": "Hz", "flatness": "0 to 1", "flux": "0 to 1"}
_TIMBRES = 20
_QUIET = 1e-4  # frames 80 dB below the clip's loudest are pauses: their spectrum is rounding
# One entry per number, in the order of the vector; what each is stands in docs/audio-descriptors.md.
_DESCRIPTORS: dict[str, str] = {
    "tempo": "BPM",
    "pulse_clarity": "0 to 1",
    "onset_rate": "1/s",
    "loudness": "LUFS",
    "loudness_range": "LU",
    "peak": "dBFS",
    "rms": "dBFS",
    "dynamic_range": "dB",
    "key": "pitch class, C is 0",
    "mode": "1 major, 0 minor",
    "key_strength": "correlation",
    "zero_crossing_rate": "1/s",
    **{f"{name}_{kind}": unit for name, unit in _SPECTRAL.items() for kind in ("mean", "std")},
    **{f"timbre_mean_{i:02d}": "dB" for i in range(_TIMBRES)},
    **{f"timbre_std_{i:02d}": "dB" for i in range(_TIMBRES)},
}
NAMES: tuple[str, ...] = tuple(_DESCRIPTORS)
UNITS: tuple[str, ...] = tuple(_DESCRIPTORS.values())


class AudioDescriptors:
    """FLAC windows to vectors of named numbers; where one is undefined it is 0 with a False in the mask."""

    name: ClassVar[str] = "audio_descriptors"
    version: ClassVar[str] = "1"
    spec: ClassVar[FeatureSpec] = FeatureSpec(shape=(len(NAMES),), dtype="float32", unit="of each: UNITS", mixed=True)

    def __call__(self, batch: Sequence[bytes]) -> FeatureBatch:
        """Vectors of shape (B, D), in the order of NAMES."""
        values, mask = np.zeros((len(batch), len(NAMES)), np.float32), np.zeros((len(batch), len(NAMES)), bool)
        errors: list[str | None] = []
        for row, data in enumerate(batch):
            try:
                found = describe(*decode_flac(data))
            except MediaError as exc:
                errors.append(exc.reason.value)
                continue
            errors.append(None)
            numbers = np.array([found.get(name, np.nan) for name in NAMES], np.float32)
            mask[row] = np.isfinite(numbers)
            values[row] = np.where(mask[row], numbers, 0.0)
        return FeatureBatch(values=values, errors=tuple(errors), mask=mask)


def describe(wave: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
    """The descriptors of one mono clip at 22,050 Hz by name; those that it does not have are left out.

    Raises:
        MediaError: `silent`: no sample but 0. `decode_error`: not mono, or another rate.
    """
    levels = log_mel(wave, rate_hz)
    if not wave.any():
        raise MediaError(Reason.SILENT, "no sample but 0")
    return {
        **_rhythm(levels, len(wave) / rate_hz, rate_hz),
        **_loudness(wave, rate_hz),
        **_key(wave, rate_hz),
        **_spectral(wave, rate_hz),
        **_timbre(levels),
        "zero_crossing_rate": zero_crossings(wave) * rate_hz / len(wave),
    }


def _rhythm(levels: NDArray[np.float32], seconds: float, rate_hz: int) -> dict[str, float]:
    envelope = audio_music.onset_envelope(levels)
    found = {"onset_rate": audio_music.onsets(envelope, rate_hz) / seconds}
    if (beat := audio_music.tempo(envelope, rate_hz)) is not None:
        found["tempo"], found["pulse_clarity"] = beat
    return found


def _key(wave: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
    shares = audio_music.chroma(wave, rate_hz)
    found = None if shares is None else audio_music.key(shares)
    return {} if found is None else dict(zip(("key", "mode", "key_strength"), found, strict=True))


def zero_crossings(wave: NDArray[np.float32]) -> int:
    """How often the clip crosses its mean: some recordings have an offset, and would never cross 0."""
    return int(np.count_nonzero(np.diff(np.signbit(wave - wave.mean(dtype=np.float64).astype(np.float32)))))


# --- loudness


def _loudness(wave: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
    levels = _levels(wave, N_FFT)
    found = {
        "peak": 20 * float(np.log10(np.abs(wave).max())),
        "rms": 10 * float(np.log10(np.mean(np.square(wave, dtype=np.float64)))),
        "dynamic_range": float(np.subtract(*np.percentile(levels, (95, 10)))),
    }
    if (whole := integrated_loudness(wave, rate_hz)) is not None:
        found["loudness"] = whole
    if (between := loudness_range(wave, rate_hz)) is not None:
        found["loudness_range"] = between
    return found


def _levels(wave: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """DBFS (RMS) of stretches of `size` samples, none taken as lower than -100; the rest at the end is left out."""
    whole = wave[: len(wave) // size * size].reshape(-1, size) if len(wave) >= size else wave[None]
    return 10 * np.log10(np.maximum(np.square(whole, dtype=np.float64).mean(axis=1), 1e-10))


def integrated_loudness(wave: NDArray[np.float32], rate_hz: int) -> float | None:
    """LUFS by ITU-R BS.1770-4 as one channel; None below 0.4 s, or where all of it is below -70 LUFS."""
    import pyloudnorm

    if len(wave) < 0.4 * rate_hz:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of no block: answered with None
        found = float(pyloudnorm.Meter(rate_hz).integrated_loudness(wave.astype(np.float64)))
    return found if np.isfinite(found) else None


def loudness_range(wave: NDArray[np.float32], rate_hz: int) -> float | None:
    """LU between the 10th and 95th percentile of 3 s loudness, by EBU Tech 3342; None below 3 s or below -70 LUFS."""
    from pyloudnorm.iirfilter import IIRfilter

    size, step = 3 * rate_hz, rate_hz // 10
    if len(wave) < size:
        return None
    weighted = wave.astype(np.float64)
    # K-weighting with pyloudnorm's own parameters, so that both numbers are of the same curve.
    for gain_db, q, hz, kind in ((4.0, 2**-0.5, 1500.0, "high_shelf"), (0.0, 0.5, 38.0, "high_pass")):
        weighted = IIRfilter(gain_db, q, hz, rate_hz, kind).apply_filter(weighted)
    sums = np.concatenate([[0.0], np.cumsum(np.square(weighted))])
    power = np.maximum((sums[size:] - sums[:-size])[::step] / size, 1e-20)
    loud = power[power > 10 ** ((-70 + 0.691) / 10)]
    if not len(loud):
        return None
    low, high = np.percentile(10 * np.log10(loud[loud > loud.mean() / 100]), (10, 95))
    return float(high - low)


# --- spectrum


def _spectral(wave: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
    frames = frames_of(wave)
    magnitudes = np.empty((len(frames), 1 + N_FFT // 2), np.float32)
    for where, spectrum in spectra(frames):
        np.abs(spectrum, out=magnitudes[where])
    series = spectral_series(magnitudes, rate_hz)
    return {
        f"{name}_{kind}": float(getattr(values, kind)(dtype=np.float64) if len(values) else 0.0)
        for name, values in series.items()
        for kind in ("mean", "std")
    }


def spectral_series(magnitudes: NDArray[np.float32], rate_hz: int) -> Mapping[str, NDArray[Any]]:
    """Centroid, bandwidth, rolloff (Hz), flatness and flux (0 to 1) of each sounding frame of magnitudes (T, bins).

    Source: the definitions of librosa.feature with its defaults (rolloff 85 %), parity in the tests. Flux is half the
    distance (L1) between the shapes of two successive spectra: 0 the same, 1 nothing in common.
    """
    totals = magnitudes.sum(axis=1)
    sounding = totals > _QUIET * totals.max()
    shapes = magnitudes[sounding] / totals[sounding, None]
    hz = (np.arange(shapes.shape[1]) * (rate_hz / (2 * (shapes.shape[1] - 1)))).astype(np.float32)
    centroid = shapes @ hz
    # In double precision: the second moment about 0 and the centroid's square all but cancel for a sine.
    second = shapes.astype(np.float64) @ np.square(hz, dtype=np.float64)
    bandwidth = np.sqrt(np.maximum(second - np.square(centroid, dtype=np.float64), 0))
    rolloff = hz[(np.cumsum(shapes, axis=1) < 0.85).sum(axis=1).clip(max=len(hz) - 1)]
    power = np.maximum(np.square(magnitudes[sounding]), np.float32(1e-10))
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    flux = 0.5 * np.abs(np.diff(shapes, axis=0)).sum(axis=1)
    return {"centroid": centroid, "bandwidth": bandwidth, "rolloff": rolloff, "flatness": flatness, "flux": flux}


def _timbre(levels: NDArray[np.float32]) -> dict[str, float]:
    """Mean and deviation of the first 20 cosine coefficients of the log-Mel spectrum (librosa.feature.mfcc)."""
    series = fourier().dct(levels, axis=0, norm="ortho")[:_TIMBRES]
    means, deviations = series.mean(axis=1), series.std(axis=1)
    found = {f"timbre_mean_{i:02d}": float(value) for i, value in enumerate(means)}
    return found | {f"timbre_std_{i:02d}": float(value) for i, value in enumerate(deviations)}
