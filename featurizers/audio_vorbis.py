"""Windows of Ogg Vorbis files through FFmpeg's own decoder, where it gives the samples that libsndfile gives.

libvorbis, which libsndfile decodes with, takes most of the time that a window costs: 34 to 110 ms of 30 s in stereo,
where FFmpeg's native decoder takes 26 to 72 (2026-11). Over the 26 Vorbis windows of a real set its samples are within
1e-6 of libsndfile's, which is rounding. Where a stream begins or loses a page the two may count frames differently, so
both ends of every window are compared with libsndfile's samples, which then are taken instead.
"""

# Annotations stay text: numpy and PyAV are imported at their first use.
from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from featurizers.audio_readers import AvReader, SndfileReader, Unreadable
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A Vorbis block has 8,192 frames at most and overlaps its neighbour: this far before the window all is settled.
_RUN_UP = 1 << 14
_PROBE = 1 << 11  # frames compared at either end of a window: 0.6 ms each, most of it opening the file anew
# Samples per second of all channels from which it pays: PyAV takes 8 us a packet whatever is in it, so that 30 s of
# mono at 22,050 Hz take 18 ms where libsndfile takes 11, and of stereo at 44,100 Hz 26 where it takes 34 (2026-11).
_WORTHWHILE = 64_000
_AGREE = 1e-4  # of full scale; a shift by one frame shows as 0.01 and more in anything but silence


def vorbis_window(
    path: Path, reader: SndfileReader, first: int, count: int, *, until: int
) -> NDArray[np.float32] | None:
    """The `count` frames from `first` on, downmixed: what `reader.take` would give, to 1e-4, in half the time.

    None where that is not certain: another codec, more than 2 channels, a damaged packet, other positions, or nothing
    to be had up to frame `until`.
    """
    if reader.format != "ogg/vorbis" or reader.channels > 2 or count < 2 * _PROBE:
        return None
    if reader.channels * reader.rate_hz < _WORTHWHILE:
        return None
    try:
        with closing(AvReader(path)) as quick:
            if (quick.format, quick.rate_hz, quick.channels) != (reader.format, reader.rate_hz, reader.channels):
                return None
            mono = quick.stretch(first, count, run_up=_RUN_UP, until=until)
    except Unreadable:
        return None
    if mono is None:
        return None
    ends = ((first, mono[:_PROBE]), (first + count - _PROBE, mono[-_PROBE:]))
    return mono if all(_agrees(reader, at, samples) for at, samples in ends) else None


def _agrees(reader: SndfileReader, first: int, samples: NDArray[np.float32]) -> bool:
    told = reader.take(first, len(samples), keep_native=False, seek=True)
    if told.count != len(samples):
        return False
    return float(np.abs(np.concatenate(told.mono) - samples).max()) <= _AGREE
