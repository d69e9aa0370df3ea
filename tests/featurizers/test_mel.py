"""Log-Mel spectrograms: librosa's to 0.001 dB, bytes to half a step, views as the design says."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from featurizers.base import MediaError
from featurizers.flac import encode_flac
from featurizers.mel import QuantisedMel, dequantise, log_mel, quantise, view
from featurizers.registry import featurizer
from featurizers.spectrum import mel_bank
from storage.reasons import Reason
from tests.featurizers.sounds import RATE_HZ, chord, clicks, music, noise, sine


def librosas(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    power = librosa.feature.melspectrogram(y=wave, sr=RATE_HZ, n_fft=2048, hop_length=512, n_mels=128)
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=80)


def test_the_filter_bank_is_librosas() -> None:
    for rate_hz in (22_050, 44_100, 16_000):
        assert np.allclose(mel_bank(rate_hz), librosa.filters.mel(sr=rate_hz, n_fft=2048, n_mels=128), atol=1e-8)


@pytest.mark.parametrize("seconds", [30.0, 7.77, 2048 / RATE_HZ, 2047 / RATE_HZ, 100 / RATE_HZ, 1 / RATE_HZ])
@pytest.mark.parametrize("peak", [1.0, 3.0, 0.01, 1e-4])
def test_levels_are_librosas(seconds: float, peak: float) -> None:
    for wave in (music(seconds, peak=peak), noise(seconds, peak=peak)):
        levels = log_mel(wave, RATE_HZ)
        assert (levels.shape, levels.dtype) == ((128, 1 + len(wave) // 512), np.float32)
        assert np.abs(levels - librosas(wave)).max() <= 1e-3


def test_loud_tones_over_silence_are_librosas() -> None:
    """Where single precision shows: a loud tone, and bands 80 dB below it."""
    rng = np.random.default_rng(0)
    for hz in (55, 440, 3_000, 7_000, 10_900):
        faint = 10 ** rng.uniform(-5, -4) * rng.standard_normal(5 * RATE_HZ)
        wave = (sine(hz, 5, peak=0.9) + 0.3 + faint).astype(np.float32)
        assert np.abs(log_mel(wave, RATE_HZ) - librosas(wave)).max() <= 1e-3


def test_30_s_are_128_by_1292() -> None:
    assert log_mel(noise(30), RATE_HZ).shape == (128, 1292) == featurizer("mel").spec.shape


def test_levels_take_mono_at_22050_hz_only() -> None:
    for wave, rate_hz in ((noise(1), 44_100), (np.zeros((10, 2), np.float32), RATE_HZ), (noise(0), RATE_HZ)):
        with pytest.raises(MediaError, match=r"mono at 22050 Hz expected"):
            log_mel(wave, rate_hz)


# --- bytes


@settings(max_examples=60, deadline=None)
@given(low=st.floats(-100, 40), width=st.floats(1e-3, 200), frames=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_bytes_are_off_by_half_a_step_at_most(low: float, width: float, frames: int, seed: int) -> None:
    levels = (low + width * np.random.default_rng(seed).random((128, frames))).astype(np.float32)
    kept = quantise(levels)
    assert (kept.db_lo, kept.db_hi) == (levels.min(), levels.max())
    assert (kept.q.dtype, kept.q.min(), kept.q.max()) == (np.uint8, 0, 255)
    bound = (kept.db_hi - kept.db_lo) / 510
    assert np.abs(dequantise(kept) - levels).max() <= bound * 1.001 + 1e-5  # 1e-5: float32 at 100 dB


def test_bytes_are_round_of_255_times_the_share_of_the_range() -> None:
    levels = log_mel(music(5), RATE_HZ)
    kept = quantise(levels)
    exact = 255 * (levels.astype(np.float64) - kept.db_lo) / (kept.db_hi - kept.db_lo)
    assert np.abs(kept.q - exact).max() <= 0.5 + 1e-4


def test_a_spectrogram_without_range_is_silent() -> None:
    with pytest.raises(MediaError) as caught:
        quantise(np.full((128, 5), -100, np.float32))
    assert caught.value.reason is Reason.SILENT


# --- views


def ramp(frames: int) -> NDArray[np.float32]:
    return np.arange(frames, dtype=np.float32) + 1000 * np.arange(128, dtype=np.float32)[:, None]


def test_30_s_have_14_patches_at_every_89th_frame_and_none_is_padded() -> None:
    mel = ramp(1292)
    patches = view(mel, "patches")
    assert patches.shape == (14, 128, 128)
    for i, patch in enumerate(patches):
        assert np.array_equal(patch, mel[:, 89 * i : 89 * i + 128])


@pytest.mark.parametrize(("frames", "expected"), [(128, 1), (216, 1), (217, 2), (127, 1), (1, 1), (300, 2)])
def test_shorter_clips_have_fewer_patches_but_one(frames: int, expected: int) -> None:
    assert view(ramp(frames), "patches").shape == (expected, 128, 128)


@pytest.mark.parametrize("frames", [1292, 128, 129, 127, 50, 1])
def test_a_thumbnail_is_the_mean_over_time_bins(frames: int) -> None:
    mel = ramp(frames) % 97
    thumbnail = view(mel, "thumbnail")
    assert (thumbnail.shape, thumbnail.dtype) == ((128, 128), np.float32)
    for i in range(128):
        first, last = int(np.floor(i * frames / 128)), int(np.ceil((i + 1) * frames / 128))
        assert np.allclose(thumbnail[:, i], mel[:, first:last].mean(axis=1), atol=1e-4)


def test_a_crop_is_128_frames_from_where_it_is_asked_or_the_middle() -> None:
    mel = ramp(1292)
    assert np.array_equal(view(mel, "crop"), mel[:, 582:710])
    assert np.array_equal(view(mel, "crop", at=0), mel[:, :128])
    assert np.array_equal(view(mel, "crop", at=1164), mel[:, 1164:])
    for at in (-1, 1165):
        with pytest.raises(ValueError, match=r"a crop at frame .*; 0 to 1164 expected"):
            view(mel, "crop", at=at)


def test_a_clip_shorter_than_a_patch_is_repeated() -> None:
    mel = ramp(50)
    for seen in (view(mel, "crop"), view(mel, "patches")[0]):
        assert np.array_equal(seen, np.hstack([mel, mel, mel])[:, :128])


def test_views_keep_the_numbers_they_are_given() -> None:
    kept = quantise(log_mel(music(10), RATE_HZ))
    assert view(kept.q, "patches").dtype == np.uint8
    assert np.allclose(
        view(kept.q, "thumbnail") * (kept.db_hi - kept.db_lo) / 255 + kept.db_lo,
        view(dequantise(kept), "thumbnail"),
        atol=1e-3,
    )


def test_a_view_of_something_else_is_refused() -> None:
    for mel in (np.zeros((1292, 128)), np.zeros((128, 0)), np.zeros(128)):
        with pytest.raises(ValueError, match="expected"):
            view(mel, "crop")


# --- the featurizer


def clips() -> list[bytes]:
    waves = [music(5), np.zeros(30_000, np.float32), clicks(120, 4), noise(1), chord((60, 64, 67), 2, tuning=0.1)]
    return [encode_flac(wave, RATE_HZ) for wave in waves] + [b"no flac", b""]


@pytest.mark.parametrize("name", ["mel", "audio_descriptors"])
def test_one_answer_per_clip_in_order_and_the_same_alone_or_in_a_batch(name: str) -> None:
    made, batch = featurizer(name), clips()
    together = made(batch)
    assert together.errors == (None, "silent", None, None, None, "decode_error", "decode_error")
    for i, data in enumerate(batch):
        alone = made([data])
        assert alone.errors == together.errors[i : i + 1]
        assert same(alone.values[0], together.values[i])
    assert len(made([]).values) == len(made([]).errors) == 0


def same(one: object, other: object) -> bool:
    if isinstance(one, QuantisedMel) and isinstance(other, QuantisedMel):
        return np.array_equal(one.q, other.q) and (one.db_lo, one.db_hi) == (other.db_lo, other.db_hi)
    return one is other if one is None else np.array_equal(np.asarray(one), np.asarray(other))


def test_the_featurizer_is_the_functions_in_a_row() -> None:
    wave = music(4)
    kept = featurizer("mel")([encode_flac(wave, RATE_HZ)]).values[0]
    expected = quantise(log_mel(wave, RATE_HZ))
    assert abs(kept.db_hi - expected.db_hi) <= 1e-3
    assert np.abs(kept.q.astype(int) - expected.q).max() <= 1
