"""Image encoders of the Hugging Face hub, frozen: one vector per picture; torchvision is not needed."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from featurizers.base import FeatureBatch, MediaError
from featurizers.hf import HfEncoder, ahead, as_float32, shrinking
from featurizers.hf_pixels import Preparation, TooLong, by_processor, preparation
from featurizers.weights import weights_folder
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class HfVision(HfEncoder):
    """An encoder over pictures, prepared as its own `preprocessor_config.json` says, by Pillow, ahead of the model.

    Of a picture more than 8 times as long as wide the middle counts: scaling the shorter side of 1 x 9,000 pixels up to
    256 would take gigabytes.
    """

    code_version: ClassVar[str] = "image3"
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
            MemoryError: One picture alone does not fit.
        """
        values = np.zeros((len(batch), *self.spec.shape), np.float32)
        errors: list[str | None] = [None] * len(batch)
        _ = self._preparation if batch else None  # once, before there are threads
        for start, prepared in ahead(self._prepared, batch, self._batch_size):
            for i, found in enumerate(prepared, start):
                errors[i] = found.reason.value if isinstance(found, MediaError) else None
            rows = [i for i in range(start, start + len(prepared)) if errors[i] is None]
            pixels = {i: prepared[i - start] for i in rows}
            for part, found in shrinking(lambda part, p=pixels: self._encode([p[i] for i in part]), rows, len(rows)):
                values[part] = found
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
                odd = f"{self.name}: {self._weights.model} has no {self._pooling} token"
                raise ValueError(f"{odd}; write `pooling: mean` or `pooler`")
            return as_float32(hidden.mean((2, 3)))
        if self._pooling in ("cls", "last"):
            return as_float32(hidden[:, 0 if self._pooling == "cls" else -1])
        # Patches only: behind the cls token, and the registers of those that have some.
        return as_float32(hidden[:, 1 + getattr(self.model.config, "num_register_tokens", 0) :].mean(1))
