"""Pictures prepared as an image encoder's own processor would, in one pass of Pillow.

The processors of the transformers library take an array that was decoded in full, make it an image again, and then an
array of doubles; here the decoder's image is resized. On JPEGs of 1000 x 1500 that is most of the time.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurizers.base import MediaError
from featurizers.images import LONGEST, middle, normalise, resized
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So 1000 x 1500 for 256 x 384 is decoded by half; with 2 it was decoded in full, and preparing it took twice as long.
# ResNet-18 drawn at random gives posters that were decoded so a cosine above .999 to those decoded in full.
_SPARE = 1.5
_WARPS = 384  # from this size on a ConvNeXT processor stretches, below it crops


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a processor does: resize, cut out the middle, scale."""

    side: int  # pixels: of both sides where `square`, else of the shorter one
    square: bool
    crop: tuple[int, int] | None  # height, width
    resample: int
    scale: NDArray[np.float32]  # value = level * scale + shift, per channel
    shift: NDArray[np.float32]

    def target(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) after resizing."""
        if self.square:
            return self.side, self.side
        short, long = min(size), max(size)
        longer = int(self.side * long / short)  # as the processors round
        return (self.side, longer) if size[0] <= size[1] else (longer, self.side)

    def __call__(self, data: bytes) -> NDArray[np.float32]:
        """One file as the model's input, (3, H, W).

        Raises:
            MediaError: It is no picture; `decode_error` or `too_large`.
        """
        picture = resized(data, self._bounded, self.resample, spare=_SPARE)
        if self.crop:
            top, left = (max(0, (side - want) // 2) for side, want in zip(picture.shape, self.crop, strict=False))
            picture = picture[top : top + self.crop[0], left : left + self.crop[1]]
        return (picture * self.scale + self.shift).transpose(2, 0, 1)

    def _bounded(self, size: tuple[int, int]) -> tuple[int, int]:
        if max(size) > LONGEST * min(size):
            raise TooLong(Reason.TOO_LARGE, f"{size[0]} x {size[1]} pixels: its middle counts")
        return self.target(size)


class TooLong(MediaError):
    """A line: scaling the shorter side of 1 x 9,000 pixels up to 256 would take gigabytes."""


def preparation(processor: Any) -> Preparation | None:
    """What the processor does, where that is known; None where it must do it itself."""
    said = processor.to_dict()
    steps = ("do_resize", "do_rescale", "do_normalize")
    if not all(said.get(step) for step in steps) or said.get("do_pad") or not processor.image_mean:
        return None
    shape = _shape(said)
    if shape is None:
        return None
    side, square, crop = shape
    std = np.array(processor.image_std, np.float64)
    return Preparation(
        side=side,
        square=square,
        crop=crop,
        resample=int(said.get("resample", 2)),
        scale=(said["rescale_factor"] / std).astype(np.float32),
        shift=(-np.array(processor.image_mean, np.float64) / std).astype(np.float32),
    )


def _shape(said: dict[str, Any]) -> tuple[int, bool, tuple[int, int] | None] | None:
    """Side, whether both sides are that long, and what is cut out; None where the processor has rules of its own."""
    size, kind = dict(said.get("size") or {}), said.get("image_processor_type", "").removesuffix("Fast")
    crop = said.get("crop_size") if said.get("do_center_crop") else None
    cut = (int(crop["height"]), int(crop["width"])) if crop else None
    if kind == "ConvNextImageProcessor" and set(size) == {"shortest_edge"}:
        side = int(size["shortest_edge"])
        if side >= _WARPS:
            return side, True, cut
        return int(side / said["crop_pct"]), False, (side, side)
    if kind in ("BitImageProcessor", "CLIPImageProcessor") and set(size) == {"shortest_edge"}:
        side = int(size["shortest_edge"])
        return None if cut and max(cut) > side else (side, False, cut)  # a larger cut would be padded
    if kind in ("ViTImageProcessor", "DeiTImageProcessor") and set(size) == {"height", "width"}:
        return (int(size["height"]), True, cut) if size["height"] == size["width"] else None
    return None


def by_processor(processor: Any, data: bytes) -> NDArray[np.float32]:
    """One file by the processor itself, (3, H, W); of a line its middle.

    Raises:
        MediaError: As for `Preparation`.
    """
    picture = middle(normalise(data))
    found = processor(images=[picture], input_data_format="channels_last", return_tensors="np")
    return found["pixel_values"][0].astype(np.float32)
