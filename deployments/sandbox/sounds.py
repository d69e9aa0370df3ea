"""Recordings as YouTube streams them: files of the world, or synthesised when they are first asked for.

A few bars are encoded once and their packets repeated, so that a song of four minutes costs a tenth of a second.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import io
import threading
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deployments.sandbox import clips
from deployments.sandbox.dice import Dice
from deployments.sandbox.tables import SoundRow, read_table
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT = 64  # encoded recordings kept in memory, one to four MB each


class Format(NamedTuple):
    """One way to stream a recording."""

    id: str  # YouTube's number of it
    ext: str
    container: str
    codec: str
    name: str  # as players name the codec
    rate_hz: int
    frame: int  # samples of a packet
    bit_rate: int


FORMATS = {
    form.id: form
    for form in (
        Format("139", "m4a", "mp4", "aac", "mp4a.40.5", 22_050, 1024, 48_000),
        Format("140", "m4a", "mp4", "aac", "mp4a.40.2", 44_100, 1024, 128_000),
        Format("249", "webm", "webm", "libopus", "opus", 24_000, 1_440, 40_000),
        Format("251", "webm", "webm", "libopus", "opus", 48_000, 2_880, 128_000),
    )
}


class Sounds:
    """The recordings of a world; safe for threads."""

    def __init__(self, world: Path) -> None:
        self._world = world
        self._rows = {row.id: row for row in read_table(world, "sounds", SoundRow)}
        self._made: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._encoding = threading.Lock()  # one at a time: two would only share the cores that the client needs

    def formats(self, sound: str) -> list[Format]:
        """How it can be streamed: a file as it is, another in every format."""
        row = self._rows[sound]
        if row.file is None:
            return list(FORMATS.values())
        ext = row.file.rsplit(".", maxsplit=1)[-1]
        return [Format("file", ext, ext, ext, {"ogg": "vorbis"}.get(ext, ext), 44_100, 0, 160_000)]

    def stream(self, sound: str, form: str) -> bytes | None:
        """The recording, encoded; None where there is no such recording or format."""
        row = self._rows.get(sound)
        if row is None or (form not in FORMATS and form != "file"):
            return None
        if row.file is not None:
            return (self._world / row.file).read_bytes() if form == "file" else None
        if form == "file":
            return None
        key = (sound, form)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        with self._encoding:
            made = encode(row, FORMATS[form])
        with self._lock:
            self._made[key] = made
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return made


def encode(row: SoundRow, form: Format) -> bytes:
    """A synthesised recording in that format, as long as the row says (to a packet)."""
    import av

    score = clips.Score(row.genre, row.key, row.mode, row.tempo_bpm, row.energy)
    notes, drums = clips.make_bars(Dice(row.seed), score)
    beaten = drums if row.part == "all" else drums * 0
    parts = [clips.mix(notes, drums * 0, row.energy), clips.mix(notes, beaten, row.energy)]
    quiet, full = (_fitted(part, form) for part in parts)
    heard = np.concatenate([quiet, full, full])  # the second time is what a repetition sounds like
    once = len(full) // form.frame
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form.container) as out:
        stream: Any = out.add_stream(form.codec, rate=form.rate_hz, layout="mono")
        stream.bit_rate = form.bit_rate
        if form.codec == "libopus":  # 60 ms a packet and the quickest search: a third of the time, and nobody compares
            stream.options = {"frame_duration": "60", "compression_level": "0"}
        packets = _packets(stream, heard, form)
        intro, loop = packets[: 2 * once], packets[2 * once : 3 * once]
        base = Fraction(1, form.rate_hz)
        count = max(1, int(row.seconds * form.rate_hz / form.frame))
        for place in range(count):
            source = intro[place] if place < len(intro) else loop[(place - len(intro)) % len(loop)]
            packet: Any = av.Packet(source)
            packet.stream, packet.time_base = stream, base
            packet.pts = packet.dts = place * form.frame
            packet.duration = form.frame
            out.mux(packet)
    return buffer.getvalue()


def _fitted(samples: NDArray[np.int16], form: Format) -> NDArray[np.int16]:
    """The bars at the format's rate, cut to whole packets."""
    import soxr

    said: Any = samples
    if form.rate_hz != clips.RATE_HZ:
        # As floats: into integers soxr 1.1 dithers, and the ends of two calls over the same samples differ (2026-11).
        said = soxr.resample(samples.astype(np.float32), clips.RATE_HZ, form.rate_hz).round().clip(-32_768, 32_767)
    return np.asarray(said[: len(said) // form.frame * form.frame], np.int16)


def _packets(stream: Any, samples: NDArray[np.int16], form: Format) -> list[bytes]:
    """The samples encoded, packet by packet; the last ones fill up what the encoder holds back."""
    import av

    context, kind = stream.codec_context, "fltp" if form.codec == "aac" else "s16"
    found: list[bytes] = []
    base = Fraction(1, form.rate_hz)
    padded = np.concatenate([samples, samples[: 4 * form.frame]])
    for start in range(0, len(padded), form.frame):
        part = padded[start : start + form.frame].reshape(1, -1)
        wave: Any = (part / 32_768).astype(np.float32) if kind == "fltp" else part
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), format=kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = form.rate_hz, start, base
        found.extend(bytes(packet) for packet in context.encode(frame))
    found.extend(bytes(packet) for packet in context.encode(None))
    return found
