"""The window of a recording that features are computed from: 30 s of mono at 22,050 Hz, as decoded, not as claimed."""

# Annotations stay text: numpy, soundfile and PyAV are imported at their first use.
from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from featurizers.audio_readers import AvReader, SndfileReader, Take, Unreadable
from featurizers.audio_vorbis import vorbis_window
from featurizers.base import MediaError
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 22_050
# -80 dBFS. Dither of 16-bit silence peaks at 2 steps (-84 dBFS) and what lossy codecs leave of silence below that;
# the quietest passage of the recordings at hand peaks at -51 dBFS (2026-11).
SILENCE = 1e-4
# Float files hold any number: 32,768 where somebody forgot to scale is still music; beyond this the Mel overflows.
_LOUDEST = 1e6


@dataclass(frozen=True, kw_only=True)
class AudioLimits:
    """What is refused before decoding as `too_large`: nobody's track is like this, and workers have 2 GB."""

    size_bytes: int = 4 << 30
    declared_s: float = 24 * 3600.0  # the longest audiobooks; only the window and what leads to it is decoded
    native_bytes: int = 256 << 20  # of a window kept at its native rate: 8 channels at 192 kHz fit


@dataclass(frozen=True, kw_only=True, eq=False)
class AudioWindow:
    """A stretch of a recording, and where it was found."""

    wave: NDArray[np.float32]  # (n_samples,), mono at `rate_hz`; beyond [-1, 1] where the decoder goes beyond
    rate_hz: int
    native: NDArray[np.float32] | None  # (n_frames, channels) before downmix and resampling; None unless asked for
    native_rate_hz: int
    offset_s: float  # where it begins in the source, as decoded
    duration_s: float  # n_frames / native_rate_hz
    source_format: str  # mp3, flac, ogg/vorbis, wav/pcm_16, m4a/aac, ...
    source_rate_hz: int
    source_channels: int
    source_duration_s: float | None  # None where the source was not decoded to its end


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    start_s: float
    length_s: float
    least_s: float
    keep_native: bool
    limits: AudioLimits

    def frames(self, rate_hz: int) -> tuple[int, int]:
        """First frame and number of frames of the window in a long enough source, as librosa rounds them."""
        return int(self.start_s * rate_hz), int(self.length_s * rate_hz)

    def plan(self, total: int, rate_hz: int) -> tuple[int, int]:
        """First frame and number of frames of the window in a source of `total` frames."""
        first, count = self.frames(rate_hz)
        if total >= first + count:
            return first, count
        return ((total - count) // 2, count) if total >= count else (0, total)


def decode_window(
    path: Path | str,
    *,
    start_s: float = 30.0,
    length_s: float = 30.0,
    rate_hz: int = RATE_HZ,
    least_s: float = 1.0,
    keep_native: bool = False,
    limits: AudioLimits | None = None,
) -> AudioWindow:
    """The window of one audio file: `length_s` from `start_s`, else its middle, else all of it.

    What libsndfile reads is sample-identical to `librosa.load(path, sr=rate_hz, offset=offset_s, duration=duration_s)`,
    but for rounding (1e-6) in Vorbis, which FFmpeg's decoder reads faster (`audio_vorbis`). PyAV reads the rest (m4a,
    aac, webm, wma, ...), decoding from the first sample on. A claimed length decides nothing but `too_large`, and that
    only where the file has bytes enough for it: where less decodes than was claimed, or nothing is known, the window
    is planned by what decodes.

    Raises:
        MediaError: `decode_error`, `too_short` (less than `least_s`), `silent` (no sample above -80 dBFS) or
            `too_large` (see `AudioLimits`).

    Source: design 5.4; parity in tests/featurizers/test_audio.py.
    """
    path, limits = Path(path), limits or AudioLimits()
    _check_size(path, limits)
    wanted = _Wanted(start_s=start_s, length_s=length_s, least_s=least_s, keep_native=keep_native, limits=limits)
    with _hushed(), np.errstate(all="ignore"):  # what is no level in a float file is refused below
        taken, info = _decode(path, wanted)
    return _finished(taken, info, rate_hz, wanted)


@contextmanager
def _hushed() -> Generator[None]:
    """Worker processes: what libmpg123 says of damaged files, a line per kilobyte, does not go to stderr.

    It writes to the descriptor itself, which all threads share: elsewhere they would lose what they have to say.
    """
    if multiprocessing.parent_process() is None:
        yield
        return
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@dataclass(frozen=True, kw_only=True)
class _Info:
    rate_hz: int
    channels: int
    format: str
    claims: bool  # whether the header says that there are samples, or does not say
    total: int | None  # frames of the whole source, where its end was seen

    @property
    def seconds(self) -> float:
        return math.inf if self.total is None else self.total / self.rate_hz


def _check_size(path: Path, limits: AudioLimits) -> None:
    try:
        size = path.stat().st_size
        readable = os.access(path, os.R_OK) and path.is_file()
    except OSError as exc:
        raise MediaError(Reason.DECODE_ERROR, f"the file cannot be read: {exc.strerror}") from exc
    if not readable:
        raise MediaError(Reason.DECODE_ERROR, "the file cannot be read: not a file, or no permission")
    if size == 0:
        raise MediaError(Reason.DECODE_ERROR, "the file is empty (0 bytes)")
    if size > limits.size_bytes:
        raise MediaError(Reason.TOO_LARGE, f"{size:,} bytes; {limits.size_bytes:,} at most")


def _decode(path: Path, wanted: _Wanted) -> tuple[Take, _Info]:
    """By libsndfile, or by PyAV where that cannot open the file or gets nothing out of it."""
    try:
        with closing(SndfileReader(path)) as reader:
            taken, info = _quickly(path, reader, wanted) or _by_sndfile(reader, wanted)
            # libsndfile stops at the end of the first of several chained Ogg streams, and then knows no length.
            all_of_it = reader.claimed is not None or info.total is None
        if taken.count and all_of_it:
            return taken, info
        refused = "opens, but no sample decodes"
    except Unreadable as exc:
        taken, info, refused = None, None, str(exc)
    try:
        with closing(AvReader(path)) as reader:
            again, told = _by_av(reader, wanted)
        if info is None or taken is None or (again.count and not taken.count):
            return again, told
        # A header that says that there is nothing in it is right if nobody gets anything out of it. And delays of
        # codecs are far below a second: they are no reason to leave libsndfile.
        return (again, told) if told.seconds > info.seconds + 1 else (taken, info)
    except Unreadable as exc:
        if taken is not None and info is not None:
            return taken, info
        raise MediaError(Reason.DECODE_ERROR, f"libsndfile: {refused}; FFmpeg: {exc}") from exc


def _quickly(path: Path, reader: SndfileReader, wanted: _Wanted) -> tuple[Take, _Info] | None:
    """Ogg Vorbis with no doubt about it, by a faster decoder; None for anything else."""
    if wanted.keep_native or reader.claimed is None:
        return None
    _check_header(reader.rate_hz, reader.channels, reader.claimed / max(1, reader.rate_hz), wanted)
    enough = sum(wanted.frames(reader.rate_hz))
    first, count = wanted.plan(reader.claimed, reader.rate_hz)
    mono = vorbis_window(path, reader, first, count, until=min(reader.claimed, enough))
    if mono is None:
        return None
    taken = Take(first=first)
    taken.add(mono, mono)
    return taken, _info(reader, reader.claimed, enough, claims=True)


def _by_sndfile(reader: SndfileReader, wanted: _Wanted) -> tuple[Take, _Info]:
    _check_header(reader.rate_hz, reader.channels, (reader.claimed or 0) / max(1, reader.rate_hz), wanted)
    enough, seek = sum(wanted.frames(reader.rate_hz)), True
    total = enough if reader.claimed is None else reader.claimed
    while True:
        first, count = wanted.plan(total, reader.rate_hz)
        taken = reader.take(first, count, keep_native=wanted.keep_native, seek=seek)
        end = first + taken.count
        if taken.count == count and total < enough:
            end += reader.skip(total - end)  # the window's place depends on the end: see whether it is there
        if end >= min(total, enough) or not seek:
            break
        # Less than was claimed. If from the first frame on as many decode as were claimed, it is seeking that fails.
        total, claimed = reader.count_from_start(min(total, enough)), total
        seek = total < min(claimed, enough)
    return taken, _info(reader, total, enough, claims=reader.claimed != 0)


def _by_av(reader: AvReader, wanted: _Wanted) -> tuple[Take, _Info]:
    _check_header(reader.rate_hz or 1_000, reader.channels or 1, reader.claimed_s, wanted)

    def accept(rate_hz: int, channels: int) -> int:
        _check_header(rate_hz, channels, 0.0, wanted)
        return sum(wanted.frames(rate_hz))

    every = reader.take(accept, keep_native=wanted.keep_native)
    enough = sum(wanted.frames(reader.rate_hz))
    first, count = wanted.plan(every.count, reader.rate_hz)
    return every.part(first, count), _info(reader, every.count, enough, claims=True)


def _info(reader: SndfileReader | AvReader, total: int, enough: int, *, claims: bool) -> _Info:
    seen = total if total < enough else None
    return _Info(rate_hz=reader.rate_hz, channels=reader.channels, format=reader.format, claims=claims, total=seen)


def _check_header(rate_hz: int, channels: int, declared_s: float, wanted: _Wanted) -> None:
    """Refuse what no recording has: it would take memory without end."""
    if not 1_000 <= rate_hz <= 768_000:
        raise MediaError(Reason.DECODE_ERROR, f"{rate_hz:,} samples per second; 1,000 to 768,000 expected")
    if not 1 <= channels <= 64:
        raise MediaError(Reason.DECODE_ERROR, f"{channels} channels; 1 to 64 expected")
    if declared_s > wanted.limits.declared_s:
        limit = wanted.limits.declared_s
        raise MediaError(Reason.TOO_LARGE, f"declared to last {declared_s:,.0f} s; {limit:,.0f} s at most")
    native = int(wanted.length_s * rate_hz) * channels * 4
    if wanted.keep_native and native > wanted.limits.native_bytes:
        limit = wanted.limits.native_bytes
        raise MediaError(Reason.TOO_LARGE, f"a native window of {native:,} bytes; {limit:,} at most")


def _finished(taken: Take, info: _Info, rate_hz: int, wanted: _Wanted) -> AudioWindow:
    if not taken.count and info.claims:
        raise MediaError(Reason.DECODE_ERROR, f"opens as {info.format}, but no sample decodes")
    if taken.count < max(1, math.ceil(wanted.least_s * info.rate_hz)):
        found = math.floor(taken.count / info.rate_hz * 1000) / 1000  # 0.9999 s is not "1.000 s"
        raise MediaError(Reason.TOO_SHORT, f"{found:.3f} s decode; {wanted.least_s:g} s at least expected")
    mono = _joined(taken.mono)
    _check_samples(mono)
    return AudioWindow(
        wave=resample(mono, info.rate_hz, rate_hz),
        rate_hz=rate_hz,
        native=None if taken.native is None else _joined(taken.native),
        native_rate_hz=info.rate_hz,
        offset_s=_seconds(taken.first, info.rate_hz),
        duration_s=_seconds(taken.count, info.rate_hz),
        source_format=info.format,
        source_rate_hz=info.rate_hz,
        source_channels=info.channels,
        source_duration_s=None if info.total is None else info.total / info.rate_hz,
    )


def _check_samples(mono: NDArray[np.float32]) -> None:
    peak = max(abs(float(mono.min())), abs(float(mono.max())))  # NaN if any sample is: both ends are
    if not peak <= _LOUDEST:
        raise MediaError(Reason.DECODE_ERROR, f"a sample of {peak:g}; finite ones about [-1, 1] expected")
    if peak < SILENCE:
        raise MediaError(Reason.SILENT, f"no sample beyond {peak:.2g}; {SILENCE:g} (-80 dBFS) expected")


def _joined(blocks: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.ascontiguousarray(blocks[0]) if len(blocks) == 1 else np.concatenate(blocks)


def _seconds(frames: int, rate_hz: int) -> float:
    """Seconds from which `int(seconds * rate_hz)` makes the same frames again: librosa reckons so."""
    seconds = frames / rate_hz
    return seconds if int(seconds * rate_hz) == frames else math.nextafter(seconds, math.inf)


def resample(mono: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """The same sound at another rate, by soxr HQ; length and samples as of `librosa.resample`."""
    if from_hz == to_hz:
        return mono
    import soxr

    made = soxr.resample(mono, from_hz, to_hz, quality="HQ")
    length = math.ceil(len(mono) * (float(to_hz) / from_hz))
    return made[:length] if len(made) >= length else np.pad(made, (0, length - len(made)))
