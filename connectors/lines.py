"""Files as blocks of whole lines: a file is never read as a whole.

A line belongs to the part in whose byte range it starts, so parts can be cut at any byte without looking inside.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import BinaryIO

from connectors.base import Part
from storage.lazy import np

PAGE_BYTES = 16 << 20
PAGE_LINES = 1_000_000  # bounds the refusals of a file of lines of one byte
HEAD_BYTES = 2_000  # how much is kept of a line that is longer than a page
BOM = b"\xef\xbb\xbf"

_READ_BYTES = 4 << 20


@dataclass(frozen=True)
class Block:
    """Whole lines of a file, as bytes."""

    line: int  # 1-based number of the first line
    data: bytes
    oversize: bool = False  # the head of one line that is longer than a page; the rest was skipped

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines without their newlines; an empty one after the last newline is no line."""
        lines = self.data.split(b"\n")
        return lines if lines[-1] else lines[:-1]

    @property
    def unfinished_line(self) -> int | None:
        """The number of a last line without a newline: it may have been cut."""
        return None if self.data.endswith(b"\n") or not self.data else self.line + self.data.count(b"\n")

    def without_header(self) -> Block:
        """The block without the file's first line."""
        return Block(self.line + 1, self.data.partition(b"\n")[2]) if self.line == 1 else self


def line_span(stream: BinaryIO, part: Part) -> tuple[int, int]:
    """The bytes of the lines that start in the part's range: first byte, and the one after the last."""
    size = stream.seek(0, 2)
    return _line_start(stream, part.start, size), size if part.end is None else _line_start(stream, part.end, size)


def _line_start(stream: BinaryIO, at: int, size: int) -> int:
    if at <= 0:
        return 0
    position = min(at, size) - 1  # the byte before: a newline there means that a line starts at `at` itself
    stream.seek(max(position, 0))
    while chunk := stream.read(_READ_BYTES):
        newline = chunk.find(b"\n")
        if newline >= 0:
            return position + newline + 1
        position += len(chunk)
    return size


def _chunks(stream: BinaryIO, start: int, end: int, size: int) -> Iterator[bytes]:
    stream.seek(start)
    while start < end and (chunk := stream.read(min(size, end - start))):
        start += len(chunk)
        yield chunk


def hash_range(stream: BinaryIO, start: int, end: int | None) -> str:
    """blake2b of 16 bytes, in hex, of the bytes from `start` to `end`."""
    hasher = blake2b(digest_size=16)
    for chunk in _chunks(stream, start, stream.seek(0, 2) if end is None else end, _READ_BYTES):
        hasher.update(chunk)
    return hasher.hexdigest()


def count_newlines(data: bytes) -> int:
    """How many newlines there are; four times as fast as `bytes.count` (measured 2026-11: 8 against 2 GB/s)."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def blocks(stream: BinaryIO, part: Part) -> Iterator[Block]:
    """The part's lines, about `PAGE_BYTES` and at most `PAGE_LINES` at a time."""
    first, last = line_span(stream, part)
    line = 1 + sum(count_newlines(chunk) for chunk in _chunks(stream, 0, first, _READ_BYTES))
    for data, oversize in _whole_lines(_chunks(stream, first, last, PAGE_BYTES)):
        if line == 1:
            data = data.removeprefix(BOM)
        for piece in [data] if oversize else _few_lines(data):
            yield Block(line, piece, oversize)
            line += 1 if oversize else count_newlines(piece)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Chunks cut again at newlines; a line longer than a page is given as its head, marked True."""
    head, oversize = b"", False
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if cut == 0:
            head += chunk
            if oversize or len(head) > PAGE_BYTES:
                head, oversize = head[:HEAD_BYTES], True
            continue
        if oversize:
            yield head, True
            head, oversize, chunk = b"", False, chunk[chunk.find(b"\n") + 1 :]
            cut = chunk.rfind(b"\n") + 1
        if data := head + chunk[:cut]:
            yield data, False
        head = chunk[cut:]
    if head:
        yield head, oversize


def _few_lines(data: bytes) -> Iterator[bytes]:
    """Halves of halves, until each has at most `PAGE_LINES` lines."""
    cut = data.find(b"\n", len(data) // 2) + 1
    if not 0 < cut < len(data) or count_newlines(data) <= PAGE_LINES:
        yield data
        return
    yield from _few_lines(data[:cut])
    yield from _few_lines(data[cut:])
