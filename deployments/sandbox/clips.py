"""Synthesised recordings: timbre, drums and tempo follow the genre, key and mode the song.

All in whole numbers: sums and products of them are the same on every machine, those of sines are not.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from deployments.sandbox.dice import Dice
from deployments.sandbox.songs import Recording
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int32]

RATE_HZ = 22_050
SECONDS = 35
BARS = 4  # made anew; the rest of the clip repeats them
_TABLE = 4_096  # places of one turn of a sine
_FULL = 1 << 14  # its amplitude
_TURN = 1 << 32  # a phase is a part of it, and wraps around as 32 bits do
_MASK = ~15  # 12 bits are kept of 16: half the size as FLAC, and nobody hears it beneath the drums


class Timbre(NamedTuple):
    """How a genre sounds."""

    partials: tuple[int, ...]  # strength of each harmonic of a chord, in 64ths
    hold: int  # how long a note of the melody sounds, in 16ths of a bar; fewer is plucked
    bass: int  # strength of the bass, in 64ths
    kicks: str  # sixteen places of a bar, "x" is a beat
    snares: str
    hats: str
    chords: tuple[int, ...]  # scale degrees of the bars


TIMBRES = {
    "pop": Timbre((64, 32, 16, 8), 4, 40, "x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x.", (0, 4, 5, 3)),
    "rap": Timbre((64, 10), 2, 64, "x..x..x...x.....", "....x.......x..x", "xxx.xxx.xxxxx.xx", (0, 0, 5, 4)),
    "rock": Timbre((64, 8, 52, 6, 44, 4, 36, 3, 28), 6, 48, "x.x.....x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x.",
                   (0, 3, 0, 4)),
    "latin": Timbre((64, 48, 40, 24, 12), 1, 44, "x..x..x.x..x..x.", "...x..x....x..x.", "x.xxx.xxx.xxx.xx",
                    (0, 3, 4, 4)),
    "r&b": Timbre((64, 6, 3), 8, 52, "x.....x...x.....", "....x.......x...", "..x...x...x...x.", (0, 5, 1, 4)),
    "edm": Timbre((64, 58, 52, 46, 40, 34, 28, 22, 18, 14, 10), 3, 60, "x...x...x...x...", "....x.......x...",
                  "..x...x...x...x.", (5, 3, 0, 4)),
}  # fmt: skip
_SCALES = ((0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11))  # minor, major; semitones


class Score(NamedTuple):
    """What a piece is made of, beside the dice that choose its melody."""

    genre: str
    key: int  # 0 C to 11 B
    mode: int  # 1 major
    tempo_bpm: float
    energy: float  # [0, 1]: how loud, and how much of it drums


def score_of(song: Recording) -> Score:
    """The score of a song."""
    return Score(song.genre, song.key, song.mode, song.sound.tempo_bpm, song.sound.energy)


def make_clip(seed: int, place: int, song: Recording) -> NDArray[np.int16]:
    """The recording of a song: `SECONDS` of one channel at `RATE_HZ`; the first bars are without drums."""
    notes, drums = make_bars(Dice(seed, "clip", place), score_of(song))
    length = SECONDS * RATE_HZ
    sung, beaten = (np.resize(part, length) for part in (notes, drums))
    beaten[: len(drums)] = 0
    return mix(sung, beaten, song.sound.energy)


def mix(notes: Samples, drums: Samples, energy: float) -> NDArray[np.int16]:
    """Notes and drums together, as loud as the energy says."""
    mixed = (notes + (drums * int(30 + 60 * energy) >> 6)).astype(np.int64)
    loud = int(8_000 + 20_000 * energy)
    return (mixed * loud // max(1, int(np.abs(mixed).max())) & _MASK).astype(np.int16)


def make_bars(dice: Dice, score: Score) -> tuple[Samples, Samples]:
    """Chords, bass and melody of `BARS` bars at `RATE_HZ`, and their drums."""
    timbre, bar = TIMBRES[score.genre], int(240 * RATE_HZ / score.tempo_bpm)
    scale = _SCALES[score.mode]
    notes, drums = np.zeros(BARS * bar, np.int32), np.zeros(BARS * bar, np.int32)
    for at, degree in enumerate(timbre.chords):
        chord = [48 + score.key + _tone(scale, degree + third) for third in (0, 2, 4)]
        whole = notes[at * bar : (at + 1) * bar]
        for note in chord:
            whole += _sound(note, bar, timbre.partials) >> 2
        whole += _sound(chord[0] - 12, bar, (64, 24)) * timbre.bass >> 6
        for eighth in range(8):
            if dice.chance(0.7):
                pitch = 60 + score.key + _tone(scale, dice.whole(0, 8))
                note = _sound(pitch, bar * timbre.hold // 16, timbre.partials)
                _add(whole, eighth * bar // 8, note * _fade(len(note)) >> 10)
        _drum_bar(drums[at * bar : (at + 1) * bar], timbre)
    return notes, drums


def _add(bar: Samples, start: int, sound: Samples) -> None:
    """Mix a sound into a bar, in place; what lasts longer is cut."""
    part = bar[start : start + len(sound)]
    part += sound[: len(part)]


def _tone(scale: tuple[int, ...], degree: int) -> int:
    return scale[degree % len(scale)] + 12 * (degree // len(scale))


@cache
def _step(note: int) -> int:
    """How far the phase goes per sample for a MIDI note."""
    return round(440 * 2 ** ((note - 69) / 12) * _TURN / RATE_HZ)


@cache
def _table() -> Samples:
    return np.round(_FULL * np.sin(np.arange(_TABLE) * (2 * np.pi / _TABLE))).astype(np.int32)


def _sine(phase: NDArray[np.uint32]) -> Samples:
    return _table()[phase >> np.uint32(20)]


def _sound(note: int, length: int, partials: tuple[int, ...]) -> Samples:
    """A steady sound of these harmonics, without those above half the rate."""
    phase, step = np.arange(length, dtype=np.uint32) * np.uint32(_step(note)), _step(note)
    sound = np.zeros(length, np.int32)
    for n, weight in enumerate(partials, 1):
        if n * step < _TURN // 2:
            sound += _sine(phase * np.uint32(n)) * weight >> 6
    return sound


def _fade(length: int) -> Samples:
    """From 1024 to 0, fast at first."""
    left = (length - np.arange(length, dtype=np.int64)) * 1024 // max(length, 1)
    return (left * left >> 10).astype(np.int32)


@cache
def _noise(length: int) -> Samples:
    """White noise of full amplitude, the same each time."""
    mixed = np.arange(1, length + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(49)).astype(np.int32) - _FULL


def _drum_bar(bar: Samples, timbre: Timbre) -> None:
    """Add one bar of drums, in place."""
    sixteenth = len(bar) // 16
    kick = _sine(np.cumsum(_fade(3 * sixteenth) * 20_000 + 9_000_000, dtype=np.uint32)) * 2
    sounds = (
        (timbre.kicks, kick * _fade(len(kick)) >> 10),
        (timbre.snares, _noise(2 * sixteenth) * _fade(2 * sixteenth) >> 10),
        (timbre.hats, np.diff(_noise(sixteenth), prepend=0) * _fade(sixteenth) >> 12),
    )
    for places, sound in sounds:
        for at, mark in enumerate(places):
            if mark == "x":
                _add(bar, at * sixteenth, sound)
