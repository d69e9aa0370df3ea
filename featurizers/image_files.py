"""What picture files say before a pixel is decoded: format, declared size, frames; and Pillow without its globals."""

import ctypes
import re
import struct
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from io import BytesIO
from threading import Lock
from typing import Any

# A closed list: EPS would run ghostscript, PDF and PSD are documents, ICO and JPEG 2000 are no covers.
_PLUGINS = {
    "jpeg": "JpegImagePlugin",
    "png": "PngImagePlugin",
    "gif": "GifImagePlugin",
    "webp": "WebPImagePlugin",
    "avif": "AvifImagePlugin",
    "bmp": "BmpImagePlugin",
    "tiff": "TiffImagePlugin",
    "ppm": "PpmImagePlugin",
}
FORMATS = tuple(_PLUGINS)
"""The formats that are read, as they name files; a JPEG with more pictures behind it (MPO, gain map) is a jpeg."""

MOST_FRAMES = 2**31 - 1  # what the column holds; APNG may declare more


def image_format(head: bytes) -> str | None:
    """The format by the first 16 bytes; None when it is none of `FORMATS`."""
    for name, (_, accept) in _openers().items():
        if accept(head[:16]) is True:
            return name
    return None


def opened(data: bytes, format: str) -> Any:
    """Pillow's image of that format, headers read; not by `Image.open`, whose size limit is a global.

    Raises:
        Exception: Whatever Pillow makes of a bad header.
    """
    factory, _ = _openers()[format]
    try:
        return factory(BytesIO(data), "")
    except Exception:
        if format != "jpeg":
            raise
        # A bad index of further pictures says nothing of the first one.
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(BytesIO(data), "")


@cache
def _openers() -> dict[str, tuple[Any, Any]]:
    """Per format how Pillow opens it, and by which prefix it knows it."""
    from PIL import Image

    for module in _PLUGINS.values():
        import_module(f"PIL.{module}")
    _hush_libtiff(Image.core.__file__)
    return {name: (Image.OPEN[name.upper()][0], Image.OPEN[name.upper()][1] or bool) for name in _PLUGINS}


def _hush_libtiff(core: str) -> None:
    """Pillow's libtiff writes straight to stderr, hundreds of lines for one bad file; the errors themselves still come.

    Its handlers are one per process, so this is done once; where the library cannot be reached it stays as it is.
    """
    try:
        library = ctypes.CDLL(core)
        for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
            setter = getattr(library, name)
            setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            setter(None)
    except (OSError, AttributeError):
        return


# --- Pillow's warnings

_LOCK = Lock()
_inside: list[Any] = []  # one entry per thread that decodes: the filter that is in force
_FROM_PILLOW = re.compile(r"PIL\.(?#mediateca)")  # a pattern of its own: no filter of anybody else is equal to it


@contextmanager
def quiet() -> Generator[None]:
    """Pillow's warnings are ignored while any thread is in here, also under `-W error`; those of others are not.

    `warnings.catch_warnings` is not for threads: the last one to leave would restore what another one had set.
    """
    with _LOCK:
        rule = ("ignore", None, Warning, _FROM_PILLOW, 0)
        if not _inside:
            warnings.filters.insert(0, rule)  # type: ignore[attr-defined]
        _inside.append(rule)
    try:
        yield
    finally:
        with _LOCK:
            rule = _inside.pop()
            if not _inside and rule in warnings.filters:
                warnings.filters.remove(rule)  # type: ignore[attr-defined]


# --- read from the bytes themselves


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a WebP file declares; Pillow allocates two canvases of that size before it tells."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def count_frames(image: Any, data: bytes, format: str) -> int:
    """How many pictures the file lists; at least 1.

    Pillow counts those of GIF and TIFF by parsing each one, for a hostile TIFF in quadratic time.

    Raises:
        ValueError: A GIF or TIFF is cut short.
    """
    count = {"gif": _gif_frames, "tiff": _tiff_frames}.get(format)
    found = count(data) if count else int(getattr(image, "n_frames", 1))
    return min(max(found, 1), MOST_FRAMES)


def _gif_frames(data: bytes) -> int:
    """Image blocks; a file that ends between two blocks lacks its end mark only, and counts as whole.

    Raises:
        ValueError: The file ends within a block.
    """
    frames, at = 0, 13 + _gif_table(data[10])
    try:
        while at < len(data) and (block := data[at]) != 0x3B:
            if block not in (0x21, 0x2C):  # junk
                at += 1
                continue
            frames += block == 0x2C
            # An extension has a label, an image block a descriptor, perhaps colours, and a code size.
            at += 2 if block == 0x21 else 11 + _gif_table(data[at + 9])
            while step := data[at]:
                at += step + 1
            at += 1
    except IndexError as exc:
        raise ValueError(f"cut short in frame {frames}") from exc
    return frames


def _gif_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff_frames(data: bytes) -> int:
    """Directories in the chain.

    Raises:
        ValueError: One of them lies behind the end of the file.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    count, entry, pointer = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}L")
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(pointer, data, 8 if big else 4)
        while at and at not in seen:
            (entries,) = struct.unpack_from(count, data, at)
            seen.add(at)
            (at,) = struct.unpack_from(pointer, data, at + struct.calcsize(count) + entry * entries)
    except (struct.error, OverflowError) as exc:
        raise ValueError(f"cut short: picture {len(seen) + 1} lies behind the end of the file") from exc
    return len(seen)
