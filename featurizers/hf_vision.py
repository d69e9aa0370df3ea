"""Image encoders of the Hugging Face hub, frozen: one vector per picture; torchvision is not needed."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from featurizers.base import FeatureBatch, MediaError
from featurizers.hf import HfEncoder, ahead, as_float32
from featurizers.hf_pixels import Preparation, TooLong, by_processor, preparation
from featurizers.weights import weights_folder
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray


class HfVision(HfEncoder):
    """An encoder over pictures, prepared as its own `preprocessor_config.json` says, by Pillow, ahead of the model.

    Of a picture more than 8 times as long as wide the middle counts: scaling the shorter side of 1 x 9,000 pixels up to
    256 would take gigabytes.
    """

    code_version: ClassVar[str] = "image4"
    _tower: ClassVar[str] = "vision_config"

    @cached_property
    def processor(self) -> Any:
        """The processor beside the weights; `pil`, as torchvision would give other bytes where it is installed."""
        from transformers import AutoImageProcessor

        folder = weights_folder(self._weights)
        with self.loading():
            return AutoImageProcessor.from_pretrained(
                folder, backend="pil", local_files_only=True, trust_remote_code=False
            )

    @cached_property
    def _preparation(self) -> Preparation | None:
        return preparation(self.processor)

    def __call__(self, batch: Sequence[bytes]) -> FeatureBatch:
        """Vectors of shape (B, D) of files as stored; one that is no picture has the reason it was refused for.

        Raises:
            NoWeights: The weights are not here.
        """
        values = np.zeros((len(batch), *self.spec.shape), np.float32)
        errors: list[str | None] = [None] * len(batch)
        _ = self._preparation if batch else None  # once, before there are threads
        for start, prepared in ahead(self._prepared, batch, self._batch_size):
            for i, found in enumerate(prepared, start):
                errors[i] = found.reason.value if isinstance(found, MediaError) else None
            rows = [i for i in range(start, start + len(prepared)) if errors[i] is None]
            encode = partial(self._encode_of, prepared, start)
            for i in self.fill(values, rows, encode, len(rows)):
                errors[i] = Reason.INTERNAL_ERROR.value
        return FeatureBatch(values=self.finished(values, errors), errors=tuple(errors))

    def _prepared(self, data: bytes) -> NDArray[np.float32] | MediaError:
        """One picture as the model's tensor, (3, H, W), or why it is none."""
        try:
            if self._preparation is not None:
                try:
                    return self._preparation(data)
                except TooLong:
                    pass
            return by_processor(self.processor, data)
        except MediaError as exc:
            return exc

    def _encode_of(self, prepared: list[Any], start: int, rows: list[int]) -> NDArray[np.float32]:
        return self._encode([prepared[i - start] for i in rows])

    def _encode(self, pixels: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        import torch

        tensor = torch.from_numpy(np.stack(pixels))
        if self._device.startswith("cuda"):
            tensor = tensor.pin_memory()
        output = self.run(pixel_values=tensor.to(self.model.dtype))
        if self._pooling in ("pooler", "projection"):
            return as_float32(self.pooler(output))
        hidden = self.layer(output)
        if hidden.ndim == 4:  # a convolutional net: (B, D, H, W)
            if self._pooling != "mean":
                raise ValueError(self._without(f"{self._pooling} token"))
            return as_float32(hidden.mean((2, 3)))
        if self._pooling == "last":
            return as_float32(hidden[:, -1])
        before = self._before_patches(hidden, tensor)
        if self._pooling == "mean":
            after = getattr(self.model.config, "num_detection_tokens", 0)  # of YOLOS, behind the patches
            return as_float32(hidden[:, before - after : hidden.shape[1] - after].mean(1))
        if not before:
            raise ValueError(self._without("cls token"))
        return as_float32(hidden[:, 0])

    def _before_patches(self, hidden: Any, pixels: Any) -> int:
        """Places before those of the patches: ViT's cls token, DINOv2's registers, DeiT's second token.

        SigLIP has none, nor has Swin, whose patches are merged: it has fewer places than patches.
        """
        config = self.model.config
        side = getattr(config, "patch_size", None)
        if side is None:
            return 1 + getattr(config, "num_register_tokens", 0)
        high, wide = (side, side) if isinstance(side, int) else side
        return max(0, hidden.shape[1] - (pixels.shape[2] // high) * (pixels.shape[3] // wide))
