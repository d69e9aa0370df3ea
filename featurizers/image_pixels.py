"""Any of Pillow's pixel modes as 8-bit RGB on white."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS = 1 << 22  # pixels scaled at a time, so that the floats in between stay small


def to_rgb(image: Any) -> Any:
    """A loaded picture in mode RGB: flattened on white, deep pixels scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Any) -> Any:
    from PIL import Image

    clear = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(clear, mask=clear.getchannel("A"))
    return white


def _from_deep(image: Any) -> Any:
    from PIL import Image

    grey = Image.fromarray(scaled(np.asarray(image), image.mode))
    clear = image.info.get("transparency")  # the one grey value of a 16-bit PNG that is not seen
    if isinstance(clear, int):
        grey.paste(255, mask=Image.fromarray(np.asarray(image) == clear))
    return grey.convert("RGB")


def scaled(values: NDArray[Any], mode: str) -> NDArray[np.uint8]:
    """Deep pixels as 0 to 255.

    Args:
        values: Shape (height, width), of any integer or float type; not-a-number counts as the smallest.
        mode: Pillow's; the I;16 family declares 0 to 65535, I is read so where it fits, F has no declared range.
    """
    low, high = _range(values, mode)
    out = np.empty(values.shape, np.uint8)
    step = max(1, _ROWS // max(1, values.shape[1]))
    for top in range(0, len(values), step):
        part = np.nan_to_num(values[top : top + step].astype(np.float64), nan=low, posinf=high, neginf=low)
        out[top : top + step] = np.rint(np.clip((part - low) * (255.0 / (high - low)), 0, 255))
    return out


def _range(values: NDArray[Any], mode: str) -> tuple[float, float]:
    if mode.startswith("I;16"):
        return 0.0, 65535.0
    finite = values[np.isfinite(values)] if mode == "F" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    for most in (1.0, 255.0, 65535.0) if mode == "F" else (65535.0,):
        if low >= 0 and high <= most:
            return 0.0, most
    return (low, high) if high > low else (low, low + 1.0)
