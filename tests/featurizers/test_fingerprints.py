"""Fingerprints of sound, pictures and words: copies are near, others far, odd input is no crash."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featurizers.acoustic import chroma_frames, chroma_keys
from featurizers.audio_fingerprint import audio_fingerprint, bit_error_rate, from_bytes
from featurizers.base import MediaError
from featurizers.duplicates import limits
from featurizers.image_fingerprint import image_fingerprint, image_similarity
from featurizers.text_identity import plain_words, text_key

RATE_HZ = 22_050


def music(seed: int, seconds: int = 40) -> Any:
    """Chords that change every 0.4 s, with noise beneath."""
    dice = np.random.default_rng(seed)
    at = np.arange(int(0.4 * RATE_HZ)) / RATE_HZ
    chords = [
        sum(np.sin(2 * np.pi * hz * n * at) / n for hz in 220 * 2 ** (dice.integers(0, 30, 2) / 12) for n in (1, 2, 3))
        for _ in range(int(seconds / 0.4))
    ]
    wave = 0.1 * np.concatenate(chords) + dice.normal(0, 0.002, len(at) * len(chords))
    return wave.astype(np.float32)


def coloured(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (9, 6, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((240, 360), Image.Resampling.BICUBIC)


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_window_that_begins_later_is_found_with_its_offset() -> None:
    wave = music(1)
    early, late = (audio_fingerprint(wave[at * RATE_HZ :][: 30 * RATE_HZ], RATE_HZ) for at in (0, 7))
    found = bit_error_rate(late.to_bytes(), early.to_bytes())
    assert found is not None
    assert found[0] < limits().recording / 2
    assert found[1] == pytest.approx(7.0, abs=0.1)
    assert np.intersect1d(early.keys, late.keys).size > 10


def test_another_recording_differs_in_nearly_half_of_the_bits_and_shares_no_keys() -> None:
    one, other = (audio_fingerprint(music(seed), RATE_HZ) for seed in (1, 2))
    found = bit_error_rate(one.to_bytes(), other.to_bytes())
    assert found is not None
    assert found[0] > 0.4
    assert np.intersect1d(one.keys, other.keys).size <= 1


def test_loudness_does_not_count() -> None:
    one, other = (audio_fingerprint(music(1) * np.float32(gain), RATE_HZ) for gain in (1, 0.25))
    found = bit_error_rate(one.to_bytes(), other.to_bytes())
    assert found is not None
    assert found[0] < 0.001


@pytest.mark.parametrize("samples", [0, 1, 511, 8_192, 22_050])
def test_short_or_silent_sound_is_like_nothing(samples: int) -> None:
    short = audio_fingerprint(np.zeros(samples, np.float32), RATE_HZ)
    assert short.keys.size == 0
    assert bit_error_rate(short.to_bytes(), short.to_bytes()) is None
    assert chroma_keys(chroma_frames(np.zeros(samples, np.float32), RATE_HZ)).size <= 1
    silent = audio_fingerprint(np.zeros(30 * RATE_HZ, np.float32), RATE_HZ)
    assert bit_error_rate(silent.to_bytes(), silent.to_bytes()) is None


def test_another_rate_and_damaged_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="22050 Hz expected"):
        audio_fingerprint(np.zeros(9, np.float32), 48_000)
    with pytest.raises(ValueError, match="no whole number of rows"):
        from_bytes(b"abcdef")


def test_bytes_bring_back_every_bit() -> None:
    made = audio_fingerprint(music(3, 12), RATE_HZ)
    bits, sounds = from_bytes(made.to_bytes())
    assert (bits == made.bits).all()
    assert (sounds == made.sounds).all()


def test_a_cropped_and_a_marked_copy_are_the_picture_and_another_is_not() -> None:
    whole = coloured(1)
    marked = whole.copy()
    marked.paste((255, 255, 255), (150, 320, 235, 350))
    one = image_fingerprint(png(whole))
    for copy in (whole.crop((12, 8, 238, 340)), marked, whole.resize((80, 120)), whole.convert("L")):
        other = image_fingerprint(png(copy))
        assert image_similarity(one.thumbnail, other.thumbnail) >= limits().picture
        assert np.intersect1d(one.keys, other.keys).size
    other = image_fingerprint(png(coloured(2)))
    assert image_similarity(one.thumbnail, other.thumbnail) < limits().picture


def test_a_blank_picture_is_like_nothing_and_a_text_is_no_picture() -> None:
    blank = image_fingerprint(png(Image.new("RGB", (50, 70), "white")))
    assert blank.keys.size == 0
    assert image_similarity(blank.thumbnail, blank.thumbnail) == 0
    with pytest.raises(MediaError):
        image_fingerprint(b"no picture")


def test_words_count_and_how_they_are_written_does_not() -> None:
    text = "Am Ende des Tages – sagt Zoë – bleibt nur “das Lied”, und sonst gar nichts."
    for other in (text.upper(), text.replace(" ", "\n  "), text.replace("ë", "e\u0308"), f"<p>{text}</p>&nbsp;"):
        assert text_key(other) == text_key(text)
    assert text_key(text.replace("nur", "nie")) != text_key(text)
    assert text_key("No overview found.") is None
    assert plain_words("हिन्दी गीत") != plain_words("हनद गत")
