"""Audio encoders, proven with tiny random weights: prepared as their own extractors would, alone as in a batch."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featurizers.audio import resample
from featurizers.base import NoWeights
from featurizers.encoders import PLANNED
from featurizers.flac import decode_flac, encode_flac
from featurizers.hf_audio import HfAudio
from featurizers.hf_waves import preparation
from featurizers.registry import featurizer
from tests.featurizers.sounds import RATE_HZ, clicks, music, noise, sine
from tests.featurizers.tiny import tiny_clap, tiny_hubert

WAVES = [music(3), noise(1), sine(440, 0.4), sine(2_000, 2.99) + music(2.99, peak=0.01), clicks(120, 3)]
CLIPS = [encode_flac(wave, RATE_HZ) for wave in WAVES]
ODD = [b"no sound", encode_flac(sine(440, 2, peak=1e-5), RATE_HZ), encode_flac(sine(440, 0.05), RATE_HZ)]


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return tiny_clap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return tiny_hubert(tmp_path_factory.mktemp("hubert"))


def encoders(clap: Path, hubert: Path, **settings: Any) -> list[HfAudio]:
    words = {"architecture": "ClapAudioModelWithProjection"}
    return [
        featurizer("clap", model=str(clap), **words, **settings),
        featurizer("mert", model=str(hubert), architecture="HubertModel", **({"piece_s": 1.0} | settings)),
    ]


def at_8_khz(data: bytes) -> NDArray[np.float32]:
    return resample(decode_flac(data)[0], RATE_HZ, 8_000)


# --- prepared as the model's own extractor does


@pytest.mark.parametrize("seconds", [1.0, 0.7, 0.45, 0.11])
@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
def test_a_clip_is_the_spectrogram_that_the_extractor_of_clap_makes(seconds: float, padding: str) -> None:
    from transformers import ClapFeatureExtractor

    for settings in ({}, {"sampling_rate": 8_000, "hop_length": 80, "fft_window_size": 256, "frequency_max": 4_000}):
        extractor = ClapFeatureExtractor(
            **({"feature_size": 64, "frequency_min": 50, "max_length_s": 1} | settings),
            truncation="rand_trunc",
            padding=padding,
        )
        rate_hz = extractor.sampling_rate
        for wave in (music(seconds, rate_hz=rate_hz), noise(seconds, peak=1e-3, rate_hz=rate_hz)):
            said = extractor(wave, sampling_rate=rate_hz, return_tensors="np")["input_features"][0]
            found = preparation(extractor).apply(wave)
            assert (found.shape, found.dtype) == (said.shape, np.float32)
            np.testing.assert_allclose(found, said, atol=1e-4)  # dB


def test_a_clip_is_levelled_as_the_extractor_of_hubert_does() -> None:
    from transformers import Wav2Vec2FeatureExtractor

    for normalise in (True, False):
        extractor = Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=normalise, return_attention_mask=True)
        wave = music(2, rate_hz=24_000) + np.float32(0.1)
        said = extractor(wave, sampling_rate=24_000, return_tensors="np")
        assert said["attention_mask"].all()
        np.testing.assert_allclose(preparation(extractor).apply(wave), said["input_values"][0], atol=1e-5)


def test_what_draws_its_crops_at_random_or_is_not_known_is_refused(tmp_path: Path) -> None:
    from transformers import WhisperFeatureExtractor

    folder = tiny_clap(tmp_path / "fused", truncation="fusion")
    with pytest.raises(ValueError, match="takes crops drawn at random; take one that was trained without"):
        featurizer("clap", model=str(folder), architecture="ClapAudioModelWithProjection")(CLIPS)
    with pytest.raises(ValueError, match="unknown feature extractor WhisperFeatureExtractor; known: Clap"):
        preparation(WhisperFeatureExtractor())


@pytest.mark.parametrize(("samples", "count"), [(720_000, 6), (720_001, 6), (120_000, 1), (130_000, 2), (119_999, 1)])
def test_a_long_clip_is_read_in_pieces_of_one_length_that_reach_its_ends(samples: int, count: int) -> None:
    from transformers import Wav2Vec2FeatureExtractor

    wave = np.arange(samples, dtype=np.float32)
    pieces = preparation(Wav2Vec2FeatureExtractor(sampling_rate=24_000)).pieces(wave, 5.0)
    assert [len(piece) for piece in pieces] == [min(samples, 120_000)] * count
    assert pieces[0][0] == 0
    assert samples - 1 - pieces[-1][-1] <= 1
    assert all(after[0] - before[-1] <= 2 for before, after in pairwise(pieces))


# --- vectors


def test_the_vector_of_a_short_clip_is_the_librarys_own(clap: Path, hubert: Path) -> None:
    import torch
    from transformers import AutoFeatureExtractor, ClapModel, HubertModel

    sound, music_only = encoders(clap, hubert, piece_s=1.0)
    for i in (1, 2):
        wave = at_8_khz(CLIPS[i])
        inputs = [
            AutoFeatureExtractor.from_pretrained(f)(wave, sampling_rate=8_000, return_tensors="pt")
            for f in (clap, hubert)
        ]
        with torch.inference_mode():
            found = ClapModel.from_pretrained(clap).eval().get_audio_features(**inputs[0])
            pooled = getattr(found, "pooler_output", found)[0].numpy()
            places = HubertModel.from_pretrained(hubert).eval()(**inputs[1]).last_hidden_state[0].numpy()
        np.testing.assert_allclose(sound(CLIPS).values[i], pooled / np.linalg.norm(pooled), atol=1e-5)
        np.testing.assert_allclose(music_only(CLIPS).values[i], places.mean(0), atol=1e-5)


def test_the_vector_of_a_long_clip_is_the_mean_over_its_pieces(clap: Path, hubert: Path) -> None:
    for encode, atol in zip(encoders(clap, hubert, normalise=False), (1e-4, 1e-5), strict=True):
        pieces = at_8_khz(CLIPS[0]).reshape(3, 8_000)
        expected = encode._encode([encode.preparation.apply(part) for part in pieces]).mean(0)
        np.testing.assert_allclose(encode(CLIPS).values[0], expected, atol=atol)


def test_half_precision_keeps_the_vectors_and_their_agreement(clap: Path, hubert: Path) -> None:
    for half, whole in zip(encoders(clap, hubert, precision="bf16"), encoders(clap, hubert), strict=True):
        found, expected = half(CLIPS).values, whole(CLIPS).values
        for i, clip in enumerate(CLIPS):
            for other, most in ((expected[i], 5e-3), (half([clip]).values[0], 1e-3)):
                assert 1 - found[i] @ other / np.linalg.norm(found[i]) / np.linalg.norm(other) <= most
        assert np.abs(found - expected).max() > 0


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_vector_is_the_same_alone_and_in_a_batch_and_what_is_no_clip_a_reason(
    clap: Path, hubert: Path, batch_size: int
) -> None:
    for encode in encoders(clap, hubert, batch_size=batch_size):
        batch = encode([*CLIPS, *ODD])
        assert batch.errors == (*[None] * 5, "decode_error", "silent", "too_short")
        assert (batch.values.shape[1:], batch.values.dtype) == (encode.spec.shape, np.float32)
        assert not batch.values[5:].any()
        unit = batch.values[:5] / np.linalg.norm(batch.values[:5], axis=1, keepdims=True)
        assert (unit @ unit.T)[~np.eye(5, dtype=bool)].max() < 0.99
        for clip, together in zip(CLIPS, batch.values[:5], strict=True):
            alone = encode([clip]).values[0]
            assert 1 - alone @ together / np.linalg.norm(alone) / np.linalg.norm(together) <= 1e-6
        assert encode(ODD).errors == batch.errors[5:]
        assert encode([]).values.shape == (0, *encode.spec.shape)


def test_layers_of_another_width_and_poolings_that_are_not_there_are_told(clap: Path, hubert: Path) -> None:
    words = {"model": str(clap), "architecture": "ClapAudioModelWithProjection"}
    with pytest.raises(ValueError, match="clap: layer 0 gives 8 numbers, the last 16; leave it out"):
        featurizer("clap", **words, pooling="mean", layer=0)(CLIPS)
    with pytest.raises(ValueError, match="has no cls place; write `pooling: mean` or `projection`"):
        featurizer("clap", **words, pooling="cls")(CLIPS)
    for pooling in ("projection", "pooler"):
        with pytest.raises(ValueError, match=rf"has no {pooling}; write `pooling: mean`$"):
            featurizer("mert", model=str(hubert), architecture="HubertModel", pooling=pooling)(CLIPS)


def test_a_layer_is_pooled_by_its_places(hubert: Path) -> None:
    import torch
    from transformers import AutoFeatureExtractor, HubertModel

    inputs = AutoFeatureExtractor.from_pretrained(hubert)(at_8_khz(CLIPS[1]), sampling_rate=8_000, return_tensors="pt")
    with torch.inference_mode():
        said = HubertModel.from_pretrained(hubert).eval()(**inputs, output_hidden_states=True).hidden_states[1][0]
    for pooling, expected in (("mean", said.mean(0)), ("cls", said[0]), ("last", said[-1])):
        encode = featurizer("mert", model=str(hubert), architecture="HubertModel", layer=1, pooling=pooling)
        np.testing.assert_allclose(encode(CLIPS[1:2]).values[0], expected.numpy(), atol=1e-5)


# --- two kinds of inputs


def test_windows_at_their_own_rate_and_clips_are_two_generations_of_one_sound(clap: Path, hubert: Path) -> None:
    stereo = np.stack([music(3, rate_hz=48_000), music(3, rate_hz=48_000, seed=1)], axis=1)
    native = encode_flac(stereo, 48_000)
    clip = encode_flac(resample(stereo.mean(1), 48_000, RATE_HZ), RATE_HZ)
    pairs = zip(encoders(clap, hubert, bandlimited=False), encoders(clap, hubert), strict=True)
    for of_native, of_clips in pairs:
        assert of_native.version == of_clips.version.replace("audio1-bandlimited-", "audio1-native-")
        assert "audio1-bandlimited-" in of_clips.version
        assert of_clips([native]).errors == ("decode_error",)  # not what the version says
        a, b = of_native([native]).values[0], of_clips([clip]).values[0]
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99  # the tiny models hear nothing above 4 kHz


def test_versions_differ_by_the_length_of_the_pieces(hubert: Path) -> None:
    versions = {featurizer("mert", model=str(hubert), piece_s=s).version for s in (None, 1.0, 5.0)}
    assert len(versions) == 3


# --- weights


def test_a_mert_is_loaded_as_the_hubert_it_is_and_one_that_is_more_is_refused(tmp_path: Path, hubert: Path) -> None:
    said = {"model_type": "mert_model", "auto_map": {"AutoModel": "modeling_MERT.MERTModel"}, "deepnorm": False}
    plain = featurizer("mert", model=str(tiny_hubert(tmp_path / "plain", **said)))
    (tmp_path / "plain" / "modeling_MERT.py").write_text("raise RuntimeError('ran')")
    expected = featurizer("mert", model=str(hubert), architecture="HubertModel")(CLIPS).values
    plain = featurizer("mert", model=str(tmp_path / "plain"), architecture="HubertModel")
    np.testing.assert_array_equal(plain(CLIPS).values, expected)
    more = tiny_hubert(tmp_path / "more", **said, feature_extractor_cqt=True)
    with pytest.raises(ValueError, match="has `feature_extractor_cqt`, which is code of its own; none is run"):
        featurizer("mert", model=str(more), architecture="HubertModel")(CLIPS)


def test_pieces_longer_than_the_model_takes_are_refused(clap: Path) -> None:
    with pytest.raises(ValueError, match=r"clap: piece_s 2; .* takes 1 s at once"):
        featurizer("clap", model=str(clap), architecture="ClapAudioModelWithProjection", piece_s=2.0)(CLIPS)


def test_weights_that_are_not_here_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("clap", "mert"):
        assert featurizer(name).version.endswith("-no_weights")
        with pytest.raises(NoWeights, match=f"mediateca models convert {name}"):
            featurizer(name)(CLIPS)


def test_a_name_that_is_kept_for_later_gives_no_vector() -> None:
    with pytest.raises(NoWeights, match=r"'melae', to be trained .*, is not there yet"):
        featurizer("melae")
    assert set(PLANNED) == {"melae"}
