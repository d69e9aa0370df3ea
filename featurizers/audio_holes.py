"""Recordings that end in zeros, as a download or a copy leaves them that broke off: where the sound in them ends."""

import io
import os
from pathlib import Path

# Made of frames that begin with a mark, so that zeros are no sound. Decoders look through them for the next mark:
# libmpg123 at 1 MB/s with a line on stderr for each kilobyte, libFLAC at 30 MB/s (2026-11).
_MARKS = (b"ID3", b"fLaC", b"OggS", b"\x1a\x45\xdf\xa3")
_STEP = 1 << 19  # bytes between two looks: 3 GB take 6,000 of them
_LOOK = 64
_ZEROS = bytes(_STEP)
_KEPT = 1 << 16  # zeros that may be the rest of the last frame


def sound_end(path: Path) -> int | None:
    """The byte from which on a file holds zeros: at least half a megabyte of them, or to its end; None: no such.

    What lies behind so large a hole is given up. Only files whose format is made of frames have holes: mp3, flac, ogg
    and webm, by their first bytes.
    """
    with path.open("rb", buffering=0) as file:
        head, size = file.read(4), path.stat().st_size
        if not (head.startswith(_MARKS) or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")):
            return None
        for at in (*range(_STEP, size - _LOOK, _STEP), max(0, size - _LOOK)):
            if _zeros(os.pread(file.fileno(), _LOOK, at)) and _zeros(os.pread(file.fileno(), _STEP, at)):
                first = max(0, at - _STEP)
                end = first + len(os.pread(file.fileno(), at - first, first).rstrip(b"\0")) + _KEPT
                return end if end < size else None
    return None


def _zeros(data: bytes) -> bool:
    return data == _ZEROS[: len(data)]


class Part(io.RawIOBase):
    """The first `end` bytes of a file, to be read and sought in."""

    def __init__(self, path: Path, end: int) -> None:
        """`end` may not lie behind the end of the file."""
        self._file, self._end = path.open("rb"), end

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill the buffer as far as there is something; how many bytes."""
        left = max(0, self._end - self._file.tell())
        data = self._file.read(min(len(buffer), left))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go there; positions beyond the end are kept at it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._end}[whence]
        return self._file.seek(min(max(0, base + offset), self._end))

    def tell(self) -> int:
        """Bytes from the beginning."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
