"""Chroma similarity: the same recording through a codec and at another offset, others, and what has no sound."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from featurizers.acoustic import RATE_HZ, chroma_frames, similarity


def tune(seed: int, seconds: int = 30) -> Any:
    """Chords of three random notes, half a second each."""
    notes = np.random.default_rng(seed).integers(48, 72, (2 * seconds, 3))
    at = np.arange(RATE_HZ // 2) / RATE_HZ
    chords = [np.sin(2 * np.pi * 440 * 2 ** ((chord[:, None] - 69) / 12) * at).sum(axis=0) for chord in notes]
    return (0.2 * np.concatenate(chords)).astype(np.float32)


def alike(mine: Any, theirs: Any) -> tuple[float, float]:
    found = similarity(chroma_frames(mine, RATE_HZ), chroma_frames(theirs, RATE_HZ))
    assert found is not None
    return found


def test_a_codec_a_level_and_an_offset_do_not_matter() -> None:
    wave = tune(1, 40)
    coded = io.BytesIO()
    soundfile.write(coded, 0.2 * wave[: 25 * RATE_HZ], RATE_HZ, format="OGG")
    coded.seek(0)
    found, lead_s = alike(soundfile.read(coded, dtype="float32")[0], np.concatenate([tune(9, 5), wave]))
    assert found > 0.9
    assert lead_s == pytest.approx(5.0, abs=0.1)


def test_others_are_not_alike() -> None:
    assert max(alike(tune(1), tune(seed))[0] for seed in range(2, 8)) < 0.4


def test_too_little_overlap_and_silence_say_nothing() -> None:
    assert similarity(chroma_frames(tune(1, 6), RATE_HZ), chroma_frames(tune(1), RATE_HZ)) is None
    assert alike(np.zeros(30 * RATE_HZ, np.float32), tune(1))[0] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="a mono clip at 22050 Hz expected"):
        chroma_frames(tune(1), 44_100)
