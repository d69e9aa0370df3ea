"""Members of tar and zip archives, in memory and one at a time; nothing is unpacked to disk.

Archives come from strangers: members with absolute names, `..` or links are passed over, one of more than
`LIMIT_BYTES` is not read, and a damaged archive gives what was readable before it says so.
"""

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import PurePosixPath
from typing import Any, NamedTuple

LIMIT_BYTES = 1 << 30  # a slice of the Million Playlist Dataset has 33 MB; more than 1 GiB is a decompression bomb

_SKIP_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_SYMBOLIC_LINK = 0o12  # the file type in the upper bits of a zip member's attributes

# What the modules raise on damaged or encrypted archives (seen in tests with random bytes).
_UNPACK_ERRORS = (EOFError, OSError, zlib.error)
_TAR_ERRORS = (tarfile.TarError, ValueError, OverflowError)
_ZIP_ERRORS = (
    *_UNPACK_ERRORS,
    zipfile.BadZipFile,
    lzma.LZMAError,
    struct.error,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


class Damaged(Exception):
    """An archive cannot be read, or not further."""


class Member(NamedTuple):
    """A file in an archive."""

    name: str
    data: bytes  # up to `LIMIT_BYTES`
    size_bytes: int  # as the archive declares it


def is_inside(name: str) -> bool:
    """Whether a member's name stays in the archive's own folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts


def tar_members(stream: BufferedReader, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """The wanted members of a tar archive, gzipped or not, in its order.

    The data come from the stream itself, not from tarfile's own reader: what is left of a cut member is kept.

    Raises:
        Damaged: At the end, if the archive is cut or cannot be read to its end.
    """
    source: Any = _Unpacked(stream)
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            yield from _tar_members(tar, wanted)
            end = _end_fault(tar)  # reads on, and may so find the fault of the source
            fault = source.fault or end
    except _TAR_ERRORS as exc:
        fault = source.fault or str(exc)
    if fault:
        raise Damaged(f"the archive is cut or damaged: {fault}")


def _tar_members(tar: tarfile.TarFile, wanted: Callable[[str], bool]) -> Iterator[Member]:
    for member in tar:
        if member.isreg() and not member.issparse() and is_inside(member.name) and wanted(member.name):
            data = _take(tar, member.size) if member.size <= LIMIT_BYTES else b""
            yield Member(member.name, data, member.size)
        if not _skip_to(tar, tar.offset):
            return


class _Unpacked:
    """The bytes of a tar archive, packed or not. Where they cannot be read further they end, and `fault` says why."""

    def __init__(self, stream: BufferedReader) -> None:
        packed = stream.peek(2).startswith(_GZIP_MAGIC)
        self._stream = gzip.GzipFile(fileobj=stream) if packed else stream
        self.fault = ""

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read1(size)
        except _UNPACK_ERRORS as exc:
            self.fault = str(exc) or type(exc).__name__
            return b""


def _take(tar: tarfile.TarFile, size: int) -> bytes:
    return tar.fileobj.read(size) if tar.fileobj else b""


def _skip_to(tar: tarfile.TarFile, offset: int) -> bool:
    """Read on to an offset; False if the archive ends before.

    tarfile itself would go on reading nothing, for hours if the size in a made-up header says so.
    """
    while (left := offset - (tar.fileobj.tell() if tar.fileobj else offset)) > 0:
        if not _take(tar, min(left, _SKIP_BYTES)):
            return False
    return True


def _end_fault(tar: tarfile.TarFile) -> str:
    """Why this is not the end of an archive: tarfile takes a cut or broken header for the end without a word."""
    if not _skip_to(tar, tar.offset + 1):
        return "the end mark is missing"
    return "a header cannot be read" if _take(tar, _SKIP_BYTES).strip(b"\0") else ""


def zip_ranges(stream: BufferedReader, wanted: Callable[[str], bool]) -> list[tuple[int, int]]:
    """First byte of each wanted member of a zip archive, and that of the next or of the directory.

    Raises:
        Damaged: The directory cannot be read.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            starts, directory = sorted(_zip_infos(archive, wanted)), archive.start_dir
    except _ZIP_ERRORS as exc:
        raise Damaged(f"the zip archive cannot be read: {exc}") from exc
    if starts and not 0 <= starts[0] <= starts[-1] < directory:
        raise Damaged("the zip archive cannot be read: a member lies outside of the file")
    return list(zip(starts, [*starts, directory][1:], strict=True))


def zip_member(stream: BufferedReader, start: int, wanted: Callable[[str], bool]) -> Member:
    """The member of a zip archive that starts at a byte.

    Raises:
        Damaged: It cannot be read, or there is none.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            info = _zip_infos(archive, wanted)[start]
            if info.file_size > LIMIT_BYTES:
                return Member(info.filename, b"", info.file_size)
            with archive.open(info) as member:
                return Member(info.filename, member.read(LIMIT_BYTES), info.file_size)
    except KeyError as exc:
        raise Damaged("no slice starts here any more: the archive has changed") from exc
    except _ZIP_ERRORS as exc:
        raise Damaged(f"the zip archive cannot be read: {exc}") from exc


def _zip_infos(archive: zipfile.ZipFile, wanted: Callable[[str], bool]) -> dict[int, zipfile.ZipInfo]:
    """The wanted members by their first byte."""
    return {
        info.header_offset: info
        for info in archive.infolist()
        if (info.external_attr >> 28) != _SYMBOLIC_LINK and is_inside(info.filename) and wanted(info.filename)
    }
