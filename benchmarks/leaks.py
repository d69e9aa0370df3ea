"""Looks for words in everything a build leaves behind: tables as they decode, databases, pages, logs, media files."""

import gzip
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

_SQLITE = b"SQLite format 3\x00"
_OVERLAP = 4_096  # a word may lie across two blocks
_BLOCK = 1 << 24


def find(folder: Path, words: Iterable[str]) -> dict[str, list[str]]:
    """Word -> files beneath the folder that hold it.

    Parquet is decoded, deleted and superseded rows too; databases are dumped, as a page may cut a value in two; gzip is
    unpacked; all else is read as it lies there.
    """
    needles = {word: word.encode() for word in words}
    found: dict[str, list[str]] = {word: [] for word in needles}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        left = dict(needles)
        for piece in _pieces(path):
            for word in [word for word, needle in left.items() if needle in piece]:
                found[word].append(str(path.relative_to(folder)))
                del left[word]
    return {word: files for word, files in found.items() if files}


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        head = file.read(16)
    if path.suffix == ".parquet":
        yield from _decoded(path)
    elif head == _SQLITE:
        yield from _dumped(path)
    elif head[:2] == b"\x1f\x8b":
        yield gzip.decompress(path.read_bytes())
    yield from _as_it_is(path)


def _as_it_is(path: Path) -> Iterator[bytes]:
    before = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield before + block
            before = block[-_OVERLAP:]


def _decoded(path: Path) -> Iterator[bytes]:
    """Arrow's buffers of each column: texts and bytes lie in them one after the other."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1_024):
            for column in batch.columns:
                found: list[Any] = column.buffers()
                yield from (buffer.to_pybytes() for buffer in found if buffer is not None)


def _dumped(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for line in database.iterdump():
            yield line.encode("utf-8", "surrogateescape")
