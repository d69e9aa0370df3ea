"""Pictures: proven by one full decode, and as upright RGB arrays; a picture that cannot be used is a `MediaError`.

What is proven: the file is of a known raster format, within the limits, and its first frame decodes to the last bit.
Colour profiles are not applied: numbers are read as sRGB, CMYK by Pillow's plain formula.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from featurizers.base import MediaError
from featurizers.image_files import FORMATS, count_frames, image_format, opened, quiet, webp_size
from featurizers.image_pixels import to_rgb
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 1 << 26  # 8,192 x 8,192; decoders need up to 20 bytes per pixel, and a worker has 2 GB
MAX_BYTES = 1 << 26  # 64 MiB
_SLOW_PIXELS = 1 << 22  # for decoders written in Python (plain PPM, BMP with run lengths): 1 us per pixel
_MOST_SCANS = 32  # full-size passes over a JPEG; each scan of a progressive one walks all of its blocks
_TEXT_BOMBS = ("Decompressed data too large", "Too much memory used in text chunks")
_PNG_END = b"IEND\xaeB`\x82"
_UPRIGHT: dict[int | None, Any] = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF orientation to PIL.Image.Transpose


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What decoding a picture showed; the columns of `media` have the same names."""

    format: str  # one of `image_files.FORMATS`
    width: int  # pixels as stored, before EXIF orientation
    height: int
    mode: str  # Pillow's: RGB, L, P, CMYK, I;16, ...
    orientation: int | None  # EXIF, 1 to 8; None where the file does not say
    frames: int  # as the file lists them; the first one was decoded


def prove(data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> ImageFacts:
    """What the picture is, after decoding its first frame once in full.

    Args:
        data: The file as received.
        max_pixels: More are refused by the declared size, before anything is decoded.
        max_bytes: Larger files are refused unread.

    Raises:
        MediaError: `too_large` or `decode_error`; no other exception of a decoder comes through.
    """
    with _opened(data, max_pixels, max_bytes) as (image, format):
        return _decode(image, data, format, proof=True)


def normalise(
    data: bytes, size: int | None = None, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> NDArray[np.uint8]:
    """The first frame upright, in RGB, on white where it is transparent.

    16-bit and float pixels are scaled, not clipped: by the declared range where the format has one, else by the first
    of 0-1 (floats), 0-255 (floats), 0-65535 that holds all values, else from the smallest to the largest value.

    Args:
        data: The file as received.
        size: Pixels that the shorter side is scaled down to (never up; bicubic); None leaves all of them. A JPEG is
            then decoded at 1/2, 1/4 or 1/8 if that still has twice the pixels wanted per side: every bit is still
            read, the shape is that of a full decode, and pixels differ from it by 0.1 levels on average, 0.7 in the
            worst picture (500 posters at 64 pixels).
        max_pixels: As for `prove`.
        max_bytes: As for `prove`.

    Returns:
        Shape (height, width, 3).

    Raises:
        MediaError: As for `prove`.
    """
    return resized(data, partial(_smaller, size=size), max_pixels=max_pixels, max_bytes=max_bytes)


def resized(
    data: bytes,
    target_of: Callable[[tuple[int, int]], tuple[int, int]],
    resample: int | None = None,
    *,
    spare: float = 2,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> NDArray[np.uint8]:
    """As `normalise`, of the size that `target_of` gives for (width, height) as stored, by a filter of Pillow.

    Args:
        data: The file as received.
        target_of: The size wanted; that of a turned picture must be that of the picture, turned.
        resample: `PIL.Image.Resampling`; None: bicubic.
        spare: A JPEG is decoded at a fraction of its size that is at least so many times the size wanted.
        max_pixels: As for `prove`.
        max_bytes: As for `prove`.

    Returns:
        Shape (height, width, 3).

    Raises:
        MediaError: As for `prove`.
    """
    with _opened(data, max_pixels, max_bytes) as (image, format):
        target = target_of(image.size)
        box = None
        asked = (math.ceil(spare * target[0]), math.ceil(spare * target[1]))
        if format == "jpeg" and target != image.size and (draft := image.draft(None, asked)):
            box = draft[1]  # a side that 8 does not divide is decoded with a part of a pixel too much
        facts = _decode(image, data, format)
        picture = to_rgb(image)
        if picture.size != target:
            picture = picture.resize(target, resample, box=box)
        turn = None if format == "tiff" else _UPRIGHT.get(facts.orientation)  # Pillow turned a TIFF while loading it
        return np.array(picture if turn is None else picture.transpose(turn))


LONGEST = 8  # times the shorter side; of longer pictures the middle counts


def middle(picture: NDArray[np.uint8], longest: int = LONGEST) -> NDArray[np.uint8]:
    """The middle of a picture whose longer side is more than `longest` times the shorter one, else all of it."""
    height, width = picture.shape[:2]
    most = longest * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return picture[top : top + most, left : left + most]


def _smaller(shape: tuple[int, int], size: int | None) -> tuple[int, int]:
    """(width, height) with the shorter side `size`, or as it is where that would enlarge it."""
    shorter = min(shape)
    if size is None or shorter <= size:
        return shape
    width, height = (max(1, round(side * size / shorter)) for side in shape)
    return width, height


# --- decoding


@contextmanager
def _opened(data: bytes, max_pixels: int, max_bytes: int) -> Generator[tuple[Any, str]]:
    """Pillow's image with its headers read, within the limits; whatever goes wrong inside is a `MediaError`."""
    format = _checked_format(data, max_bytes)
    try:
        with quiet():
            if format == "webp" and (size := webp_size(data)):
                _check_size(size, max_pixels)
            image = opened(data, format)
            _check_image(image, data, format, max_pixels)
            yield image, format
    except MediaError:
        raise
    except MemoryError as exc:
        raise MediaError(Reason.TOO_LARGE, f"{format}: the decoder asks for more memory than there is") from exc
    except Exception as exc:  # Pillow's decoders raise nearly every type there is
        # The others are a PNG's compressed texts and profiles that unpack to more than Pillow's PngImagePlugin allows.
        bomb = type(exc).__name__ == "DecompressionBombError" or str(exc).startswith(_TEXT_BOMBS)
        reason = Reason.TOO_LARGE if bomb else Reason.DECODE_ERROR
        raise MediaError(reason, f"{format}: {type(exc).__name__}: {exc}"[:200]) from exc


def _checked_format(data: bytes, max_bytes: int) -> str:
    if not data:
        raise MediaError(Reason.DECODE_ERROR, "the file is empty (0 bytes)")
    if len(data) > max_bytes:
        raise MediaError(Reason.TOO_LARGE, f"{len(data):_} bytes; at most {max_bytes:_} are read")
    format = image_format(data[:16])
    if format is None:
        raise MediaError(
            Reason.DECODE_ERROR, f"begins with {data[:8].hex(' ')}: not a picture of {', '.join(sorted(FORMATS))}"
        )
    return format


def _check_image(image: Any, data: bytes, format: str, max_pixels: int) -> None:
    """Refuse what would take too much memory or time, by what the headers declare."""
    from PIL import Image

    _check_size(image.size, max_pixels)
    for codec, extents, *_ in image.tile:
        if codec in Image.DECODERS:
            _check_size(image.size, min(max_pixels, _SLOW_PIXELS))
        if extents:
            _check_size((extents[2] - extents[0], extents[3] - extents[1]), max_pixels)
    if format == "tiff":
        _check_size((int(image.tag_v2.get(322, 1)), int(image.tag_v2.get(323, 1))), max_pixels)  # a tile of it
    if format == "jpeg":
        _check_scans(data, image.size, _MOST_SCANS * max_pixels)


def _check_scans(data: bytes, size: tuple[int, int], most: int) -> None:
    width, height = size
    if len(data) // 8 * width * height <= most:  # a scan takes more bytes than that: need not be counted
        return
    scans = data.count(b"\xff\xda")  # within entropy-coded data FF is followed by 00 or a restart mark
    if scans * width * height > most:
        raise MediaError(Reason.TOO_LARGE, f"{scans} scans of {width} x {height} pixels")


def _check_size(size: tuple[int, int], most: int) -> None:
    width, height = size
    if width * height > most:
        raise MediaError(Reason.TOO_LARGE, f"declares {width} x {height} pixels; at most {most:_} are decoded")


def _decode(image: Any, data: bytes, format: str, *, proof: bool = False) -> ImageFacts:
    """Decode the first frame, for a proof no further than anything can fail; what the file is."""
    width, height = (image.tag_v2[256], image.tag_v2[257]) if format == "tiff" else image.size
    mode = image.mode
    orientation = _orientation(image) if format == "tiff" else None  # loading a TIFF drops it
    if format == "png" and data.rfind(_PNG_END) < 0:  # Pillow asks for the pixels of the first frame only
        raise MediaError(Reason.DECODE_ERROR, "png: cut short, its last chunk is missing")
    if proof and format == "jpeg":
        # Every bit of a JPEG is read at 1/8 of its size, too; what is left out is arithmetic that cannot fail, and took
        # half of the time. Over posters and awkward files, whole and cut, the verdicts are the same (2026-11).
        image.draft("L", (1, 1))
    image.load()
    return ImageFacts(
        format=format,
        width=width,
        height=height,
        mode=mode,
        orientation=orientation if format == "tiff" else _orientation(image),  # PNG may have it behind the pixels
        frames=count_frames(image, data, format),
    )


def _orientation(image: Any) -> int | None:
    try:
        found = image.getexif().get(0x0112)
    except Exception:  # a bad EXIF block does not spoil the picture
        return None
    return found if found in range(1, 9) else None
