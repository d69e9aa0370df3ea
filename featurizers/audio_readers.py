"""Samples out of audio files: libsndfile where it can read the format, FFmpeg's libraries for the rest."""

# Annotations stay text: numpy, soundfile and PyAV are imported at their first use.
from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurizers.audio_holes import Part, sound_end
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Samples of one read. Files of 64 channels at 768 kHz are read in pieces of 32 MB; a stereo window is one read.
_BLOCK_SAMPLES = 1 << 23
# FFmpeg's command line goes on after a packet that does not decode. So do we, but not for ever.
_BAD_PACKETS = 100
# Whoever claims a second in fewer is wrong, or says in his library's way that he does not know (libsndfile: 2^63 - 1).
# The thinnest speech codec takes 300, Opus 750; digital silence in FLAC 150, and where it takes less nothing is lost.
_BYTES_PER_S = 100
# Containers that PyAV may open. Playlists (hls, concat, dash) are not among them: they name other files and addresses.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,ircam,loas,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,nut,ogg,oma,qoa,rm,shn,tak,truehd,tta,voc,vqf,w64,wav,wv,xwma"
)


@dataclass(kw_only=True)
class Take:
    """Frames `first` to `first + count` of a file, as decoded."""

    first: int
    mono: list[NDArray[np.float32]] = field(default_factory=list)
    native: list[NDArray[np.float32]] | None = None  # (frames, channels) each; None where they are not kept
    count: int = 0

    def add(self, block: NDArray[np.float32], mono: NDArray[np.float32]) -> None:
        """One more stretch: `block` of shape (frames, channels), and the mean over its channels."""
        self.mono.append(mono)
        self.count += len(mono)
        if self.native is not None:
            self.native.append(block)

    def part(self, first: int, count: int) -> Take:
        """Frames `first` to `first + count` of it."""
        got = Take(first=first, native=None if self.native is None else [])
        at = self.first
        for i, mono in enumerate(self.mono):
            inside = slice(max(0, first - at), max(0, first + count - at))
            if len(mono[inside]):
                got.add(mono if self.native is None else self.native[i][inside], mono[inside])
            at += len(mono)
        return got


def believed(claimed_s: float, path: Path) -> bool:
    """Whether a file of that size can last as long as it claims."""
    return claimed_s * _BYTES_PER_S <= path.stat().st_size


class Unreadable(Exception):
    """This library cannot make anything of the file; the message is its own."""


def downmix(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over channels of shape (frames, channels): the same samples as `librosa.to_mono`, to the last bit."""
    if block.shape[1] == 1:
        return block[:, 0]
    if block.shape[1] == 2:
        # Half the sum of two floats is their mean exactly; np.mean over so short an axis takes 20 ms for 30 s.
        mono = block[:, 0] + block[:, 1]
        mono *= np.float32(0.5)
        return mono
    return np.asarray(np.mean(block, axis=1), np.float32)


# --- libsndfile


class SndfileReader:
    """One file through libsndfile: seeks exactly, as far as its claims are true."""

    def __init__(self, path: Path) -> None:
        """Raises `Unreadable` where libsndfile does not know the format or refuses the header."""
        import soundfile

        # As bytes: names that are not UTF-8 stay openable. A name ending in .raw raises TypeError (no rate given).
        try:
            end = sound_end(path)
            self._open = lambda: _stream_class()(os.fsencode(path) if end is None else Part(path, end))
            self._file = self._open()
        except (soundfile.SoundFileError, TypeError, ValueError, OSError) as exc:
            raise Unreadable(str(getattr(exc, "error_string", exc))) from exc
        self._failures, self._used = (soundfile.SoundFileError, RuntimeError), False
        self.rate_hz, self.channels = int(self._file.samplerate), int(self._file.channels)
        frames = max(0, int(self._file.frames))
        # None: the header does not say (FLAC from a pipe, chained Ogg), or says what cannot be.
        self.claimed = frames if believed(frames / max(1, self.rate_hz), path) else None
        self.format = _sndfile_format(self._file.format, self._file.subtype)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def take(self, first: int, count: int, *, keep_native: bool, seek: bool) -> Take:
        """What decodes of the `count` frames from `first` on, by seeking there or by decoding up to there."""
        got = Take(first=first, native=[] if keep_native else None)
        if self._go_to(first, seek=seek):
            for block in self._blocks(count):
                got.add(block, downmix(block))
        return got

    def skip(self, count: int) -> int:
        """Decode `count` frames from here on; how many there were."""
        return sum(len(block) for block in self._blocks(count))

    def count_from_start(self, limit: int) -> int:
        """How many frames decode from the first one on, up to `limit`."""
        return self.skip(limit) if self._go_to(0, seek=False) else 0

    def _go_to(self, first: int, *, seek: bool) -> bool:
        try:
            if self._used:
                # Anew: after an error the state of a decoder is not defined, and where a seek in an MP3 file leads to
                # depends, in the last bits, on what was decoded before.
                self._file.close()
                self._file = self._open()
            self._used = True
            if seek and first:  # seeking to 0 changes the last bits of an MP3 file's first frames
                return self._file.seek(first) == first
        except self._failures:
            return False
        return self.skip(first) == first

    def _blocks(self, count: int) -> Iterator[NDArray[np.float32]]:
        step = max(1, _BLOCK_SAMPLES // self.channels)
        left = count
        while left > 0:
            try:
                block = self._file.read(min(step, left), dtype="float32", always_2d=True)
            except self._failures:
                return  # what came before counts
            if not len(block):
                return
            left -= len(block)
            yield block


@lru_cache(maxsize=1)
def _stream_class() -> Any:
    import soundfile

    class Stream(soundfile.SoundFile):
        """Reads on without asking for its position: soundfile seeks after every read of a seekable file.

        That costs a search of the pages in Vorbis, and fails on files whose index is broken.
        """

        def seekable(self) -> bool:
            return False

    return Stream


def _sndfile_format(container: str, codec: str) -> str:
    if container == "MP3":
        return {"MPEG_LAYER_I": "mp1", "MPEG_LAYER_II": "mp2"}.get(codec, "mp3")
    return "flac" if container == "FLAC" else f"{container}/{codec}".lower()


# --- FFmpeg's libraries, through PyAV


class AvReader:
    """One file through FFmpeg's libraries: always decoded from its first sample on, so that positions are true."""

    def __init__(self, path: Path) -> None:
        """Raises `Unreadable` where there is no audio stream with a decoder."""
        import av
        from av.error import FFmpegError

        # A file object and no protocol: what a file refers to is never opened.
        options = {"protocol_whitelist": "none", "format_whitelist": _CONTAINERS}
        # Fuzzed files also make PyAV's own Python layer trip: streams that appear late, rates of 0, unknown formats.
        self._failures = (FFmpegError, OSError, RuntimeError, ValueError, TypeError, AttributeError)
        self._failures += (LookupError, ArithmeticError)
        try:
            end = sound_end(path)
            self._bytes = path.open("rb") if end is None else Part(path, end)
        except OSError as exc:
            raise Unreadable(exc.strerror or "cannot be read") from exc
        try:
            self._file = av.open(self._bytes, mode="r", container_options=options, metadata_errors="ignore")
        except self._failures as exc:
            self._bytes.close()
            raise Unreadable(getattr(exc, "strerror", None) or str(exc)) from exc
        self._stream: Any = next(iter(self._file.streams.audio), None)
        if self._stream is None or self._stream.codec_context is None:
            self.close()
            raise Unreadable("no audio stream with a codec that it knows")
        codec = self._stream.codec_context
        self.rate_hz, self.channels = int(codec.sample_rate or 0), int(codec.channels or 0)
        claimed_s = (self._file.duration or 0) / 1e6
        self.claimed_s = claimed_s if believed(claimed_s, path) else 0.0
        self.format = _av_format(self._file.format.name, self._stream.codec.canonical_name)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._bytes.close()

    def take(self, accept: Callable[[int, int], int], *, keep_native: bool) -> Take:
        """What decodes from the first frame on, up to as many frames as `accept(rate_hz, channels)` says."""
        got, limit = Take(first=0, native=[] if keep_native else None), 0
        for rate_hz, block in self._decoded():
            # Rate and channels are those of the first frame: headers of some codecs do not know them.
            if not got.count:
                self.rate_hz, self.channels = rate_hz, block.shape[1]
                limit = accept(rate_hz, block.shape[1])
            if (rate_hz, block.shape[1]) != (self.rate_hz, self.channels):
                break
            block = block[: limit - got.count]
            got.add(block, downmix(block))
            if got.count >= limit:
                break
        return got

    def stretch(self, first: int, count: int, *, run_up: int, until: int) -> NDArray[np.float32] | None:
        """Frames `first` to `first + count` of a mono or stereo stream of planar floats, downmixed, by seeking.

        Decodes from `run_up` frames before the first on to frame `until`. None where a packet does not decode, the
        layout changes, or the stream ends before. Positions are counted from the first one found: later ones are off
        by up to a block where block sizes change.
        """
        mono, at, end = np.empty(count, np.float32), None, first + count
        try:
            if first > run_up:
                self._file.seek(first - run_up, stream=self._stream)
            for frame in self._file.decode(self._stream):  # about 2,000 frames of 6 us each: little may happen in here
                if at is None:
                    at = frame.pts if frame.format.name == "fltp" and frame.pts <= first else None
                planes, samples = frame.planes, frame.samples
                if at is None or len(planes) != self.channels:
                    return None
                if at + samples > first and at < end:
                    part = slice(max(0, first - at), min(samples, end - at))
                    left, right = (np.frombuffer(plane, np.float32, samples) for plane in (planes[0], planes[-1]))
                    np.add(left[part], right[part], out=mono[at + part.start - first : at + part.stop - first])
                at += samples
                if at >= until:
                    mono *= np.float32(0.5)
                    return mono
        except self._failures:
            pass
        return None

    def _decoded(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        bad = 0
        for packet in self._packets():
            try:
                blocks = [(int(frame.sample_rate), _samples(frame)) for frame in packet.decode() if frame.samples]
            except self._failures:
                bad += 1
                if bad > _BAD_PACKETS:
                    return
                continue
            yield from blocks

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._file.demux(self._stream)
        except self._failures:
            return


def _samples(frame: Any) -> NDArray[np.float32]:
    """Shape (frames, channels), full scale at 1, as libsndfile scales integers."""
    raw, kind = frame.to_ndarray(), frame.format.name
    block = raw.T if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels)
    if kind.startswith("u8"):
        return (block.astype(np.float32) - 128) * np.float32(1 / 128)
    if block.dtype.kind == "i":
        return (block * (0.5 ** (8 * block.dtype.itemsize - 1))).astype(np.float32)
    return block.astype(np.float32)


def _av_format(containers: str, codec: str) -> str:
    known = {"mov,mp4,m4a,3gp,3g2,mj2": "m4a", "matroska,webm": "webm", "asf": "wma"}
    container = known.get(containers, containers.split(",")[0])
    return container if container == codec else f"{container}/{codec}"
