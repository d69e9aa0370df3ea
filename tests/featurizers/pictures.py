"""Drawn pictures for tests, as files of every format that is read."""

from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image


def saved(image: Any, format: str, **options: Any) -> bytes:
    """The picture as a file."""
    file = BytesIO()
    image.save(file, format.upper(), **options)
    return file.getvalue()


def corners(width: int = 64, height: int = 48) -> Any:
    """Red, green, blue and white quarters: top left, top right, bottom left, bottom right."""
    image = Image.new("RGB", (width, height), "white")
    for colour, x, y in ((("red"), 0, 0), ("lime", width // 2, 0), ("blue", 0, height // 2)):
        image.paste(colour, (x, y, x + width // 2, y + height // 2))
    return image


def frames() -> list[Any]:
    """Three frames of an animation."""
    return [corners().rotate(turn) for turn in (0, 90, 180)]


@cache
def files() -> dict[str, bytes]:
    """One file per kind."""
    rgb, moving = corners(), frames()
    grey = rgb.convert("L")
    more: dict[str, Any] = {"save_all": True, "append_images": moving[1:]}
    deep = grey.convert("I").point(lambda value: value * 257)
    found = {f"jpeg {mode}": saved(rgb.convert(mode), "jpeg") for mode in ("L", "RGB", "CMYK")}
    found |= {f"png {mode}": saved(rgb.convert(mode), "png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")}
    found |= {
        f"tiff {name}": saved(rgb, "tiff", compression=name)
        for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    }
    return found | {
        "jpeg progressive": saved(rgb, "jpeg", progressive=True),
        "png I;16": saved(deep.convert("I;16"), "png"),
        "png animated": saved(moving[0], "png", **more),
        "gif": saved(rgb, "gif"),
        "gif animated": saved(moving[0], "gif", **more),
        "webp": saved(rgb, "webp", quality=90),
        "webp lossless": saved(rgb, "webp", lossless=True),
        "webp animated": saved(moving[0], "webp", lossless=True, **more),
        "avif": saved(rgb, "avif", quality=90),
        "avif alpha": saved(rgb.convert("RGBA"), "avif", quality=90),
        "avif animated": saved(moving[0], "avif", **more),
        "bmp": saved(rgb, "bmp"),
        "ppm": saved(rgb, "ppm"),
        "tiff I;16": saved(deep.convert("I;16"), "tiff"),
        "tiff I": saved(deep, "tiff"),
        "tiff F": saved(grey.convert("F"), "tiff"),
        "tiff pages": saved(moving[0], "tiff", **more),
    }
