"""Descriptors of signals whose truth is known, and librosa's numbers where it has the same ones."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from featurizers.audio import decode_window
from featurizers.audio_descriptors import NAMES, UNITS, describe
from featurizers.base import MediaError
from featurizers.flac import encode_flac
from featurizers.mel import log_mel
from featurizers.registry import featurizer
from storage.reasons import Reason
from tests.featurizers.sounds import RATE_HZ, chord, clicks, music, noise, sine

C, CIS, D, E, FIS, G, A, B = 0, 1, 2, 4, 6, 7, 9, 11


@pytest.mark.parametrize("bpm", [66.0, 90.0, 100.5, 120.0, 128.0, 140.0, 174.0])
def test_a_click_track_has_its_tempo_and_its_onsets(bpm: float) -> None:
    found = describe(clicks(bpm, 30), RATE_HZ)
    assert found["tempo"] == pytest.approx(bpm, abs=0.3)
    assert found["pulse_clarity"] > 0.8
    assert found["onset_rate"] == pytest.approx(bpm / 60, rel=0.05)


def test_what_has_no_beat_has_no_tempo() -> None:
    found = describe(sine(440, 10), RATE_HZ)
    assert "tempo" not in found
    assert found["onset_rate"] <= 0.1
    assert describe(noise(10), RATE_HZ)["pulse_clarity"] < 0.2


@pytest.mark.parametrize(
    ("notes", "tonic", "mode"),
    [
        ((60, 64, 67), C, 1),
        ((57, 60, 64), A, 0),
        ((66, 70, 73), FIS, 1),
        ((62, 65, 69), D, 0),
        ((55, 59, 62, 67), G, 1),
        ((52, 55, 59), E, 0),
    ],
)
@pytest.mark.parametrize("tuning", [0.0, 0.3, -0.4])
def test_a_chord_has_its_key_in_any_tuning(notes: tuple[int, ...], tonic: int, mode: int, tuning: float) -> None:
    found = describe(chord(notes, 6, tuning=tuning), RATE_HZ)
    assert (found["key"], found["mode"]) == (tonic, mode)
    assert found["key_strength"] > 0.7


def test_a_scale_has_its_key_and_noise_has_hardly_any() -> None:
    scale = np.concatenate([chord((note,), 0.5) for note in (60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60)])
    found = describe(scale, RATE_HZ)
    assert (found["key"], found["mode"]) == (C, 1)
    assert describe(noise(10), RATE_HZ)["key_strength"] < 0.6


def test_a_sine_of_minus_20_dbfs_is_minus_23_lufs() -> None:
    found = describe(sine(997, 10, peak=0.1), RATE_HZ)
    assert found["loudness"] == pytest.approx(-23.0, abs=0.1)  # ITU-R BS.1770: 0 dBFS at 997 Hz is -3.01 LUFS
    assert found["peak"] == pytest.approx(-20.0, abs=0.01)
    assert found["rms"] == pytest.approx(-23.01, abs=0.01)
    assert found["loudness_range"] == pytest.approx(0.0, abs=0.01)
    assert found["dynamic_range"] == pytest.approx(0.0, abs=0.1)


def test_loudness_range_and_dynamic_range_are_the_step_between_two_halves() -> None:
    """EBU Tech 3342, minimum requirements 1: -20 dBFS for 20 s, then -30 dBFS for 20 s, is 10 LU."""
    steps = np.concatenate([sine(1000, 20, peak=0.1), sine(1000, 20, peak=0.1 * 10**-0.5)])
    found = describe(steps, RATE_HZ)
    assert found["loudness_range"] == pytest.approx(10.0, abs=1.0)
    assert found["dynamic_range"] == pytest.approx(10.0, abs=0.1)


def test_peaks_beyond_full_scale_are_told() -> None:
    assert describe(sine(1000, 2, peak=2.0), RATE_HZ)["peak"] == pytest.approx(6.02, abs=0.01)


def test_the_spectrum_of_a_sine_is_at_its_frequency() -> None:
    found = describe(sine(1000, 10), RATE_HZ)
    for name in ("centroid_mean", "rolloff_mean"):
        assert found[name] == pytest.approx(1000, abs=20), name
    assert found["bandwidth_mean"] < 60
    assert found["flatness_mean"] < 1e-3
    assert found["zero_crossing_rate"] == pytest.approx(2000, abs=2)


def test_white_noise_is_flat_and_in_the_middle() -> None:
    found = describe(noise(10), RATE_HZ)
    assert found["centroid_mean"] == pytest.approx(RATE_HZ / 4, rel=0.02)
    assert found["rolloff_mean"] == pytest.approx(0.85 * RATE_HZ / 2, rel=0.02)
    assert found["flatness_mean"] > 0.5
    assert found["zero_crossing_rate"] == pytest.approx(RATE_HZ / 2, rel=0.02)
    assert found["flux_mean"] > 10 * describe(sine(1000, 10), RATE_HZ)["flux_mean"]


def test_an_offset_hides_no_zero_crossings() -> None:
    assert describe(sine(1000, 3) + np.float32(0.9), RATE_HZ)["zero_crossing_rate"] == pytest.approx(2000, abs=5)


@pytest.mark.parametrize("seed", [0, 1])
def test_spectral_numbers_are_librosas(seed: int) -> None:
    wave = music(8, seed=seed) + noise(8, peak=0.01, seed=seed)
    wave -= wave.mean()
    found, same = describe(wave, RATE_HZ), {"y": wave, "sr": RATE_HZ}
    for name, values in {
        "centroid": librosa.feature.spectral_centroid(**same),
        "bandwidth": librosa.feature.spectral_bandwidth(**same),
        "rolloff": librosa.feature.spectral_rolloff(**same),
        "flatness": librosa.feature.spectral_flatness(y=wave),
    }.items():
        assert found[f"{name}_mean"] == pytest.approx(values.mean(), rel=5e-3), name
        assert found[f"{name}_std"] == pytest.approx(values.std(), rel=2e-2), name
    rate = librosa.feature.zero_crossing_rate(wave).mean() * RATE_HZ
    assert found["zero_crossing_rate"] == pytest.approx(rate, rel=1e-2)


def test_timbre_is_librosas_mfcc_of_the_same_mel() -> None:
    wave = music(6)
    series, found = librosa.feature.mfcc(S=log_mel(wave, RATE_HZ), n_mfcc=20), describe(wave, RATE_HZ)
    for i in range(20):
        assert found[f"timbre_mean_{i:02d}"] == pytest.approx(series[i].mean(), abs=1e-3)
        assert found[f"timbre_std_{i:02d}"] == pytest.approx(series[i].std(), abs=1e-3)


def test_pauses_do_not_count_in_the_spectrum() -> None:
    tone = sine(3000, 4)
    alone, paused = describe(tone, RATE_HZ), describe(np.concatenate([tone, np.zeros_like(tone)]), RATE_HZ)
    assert paused["centroid_mean"] == pytest.approx(alone["centroid_mean"], rel=0.02)


@pytest.mark.parametrize("samples", [1, 2, 100, 2048, 8000, 22_050, 70_000])
def test_clips_of_any_length_have_numbers_and_a_mask(samples: int) -> None:
    batch = featurizer("audio_descriptors")([encode_flac(music(4)[1000 : 1000 + samples], RATE_HZ)])
    assert batch.errors == (None,)
    assert batch.values.shape == batch.mask.shape == (1, len(NAMES))
    assert np.isfinite(batch.values).all()
    seen = dict(zip(NAMES, batch.mask[0], strict=True))
    assert seen["peak"]
    assert seen["loudness"] == (samples >= 0.4 * RATE_HZ)
    assert seen["loudness_range"] == (samples >= 3 * RATE_HZ)
    assert (batch.values[~batch.mask] == 0).all()


def test_silence_is_a_reason() -> None:
    with pytest.raises(MediaError) as caught:
        describe(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    assert caught.value.reason is Reason.SILENT


def test_every_descriptor_has_a_name_a_unit_and_a_line_in_the_docs() -> None:
    assert len(NAMES) == len(UNITS) == len(set(NAMES)) == featurizer("audio_descriptors").spec.shape[0]
    text = (Path(__file__).parents[2] / "docs" / "audio-descriptors.md").read_text(encoding="utf-8")
    told = {name if "timbre" not in name else name[:-2] + "00" for name in NAMES}
    assert {name for name in told if f"`{name}`" not in text} == set()


@pytest.mark.real_data
def test_recordings_have_plausible_numbers(real_data: Path) -> None:
    names = ("jamendo", "cdogs", "opensurge")
    paths = [p for name in names for p in sorted((real_data / "music-audio" / name).glob("*.*"))]
    clips = [encode_flac(decode_window(path).wave, RATE_HZ) for path in paths if "silence" not in path.name]
    batch = featurizer("audio_descriptors")(clips)
    assert set(batch.errors) == {None}
    column = {name: batch.values[:, i] for i, name in enumerate(NAMES)}
    assert ((column["tempo"] >= 30) & (column["tempo"] <= 300)).all()
    assert ((column["loudness"] > -40) & (column["loudness"] < 0)).all()
    assert ((column["centroid_mean"] > 200) & (column["centroid_mean"] < 6000)).all()
    assert set(column["key"]) <= set(range(12))
    assert batch.mask.all()
