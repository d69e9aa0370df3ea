"""Image encoders of the Hugging Face hub, frozen: one vector per picture; torchvision is not needed."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from featurizers.base import FeatureBatch, MediaError
from featurizers.hf import HfEncoder, as_float32
from featurizers.images import middle, normalise
from featurizers.weights import weights_folder
from storage.lazy import np


class HfVision(HfEncoder):
    """An encoder over pictures, prepared as its own `preprocessor_config.json` says, by Pillow.

    Of a picture more than 8 times as long as wide the middle counts: scaling the shorter side of 1 x 9,000 pixels up to
    256 would take gigabytes.
    """

    code_version: ClassVar[str] = "1"

    @cached_property
    def processor(self) -> Any:
        """The processor beside the weights; `pil`, as torchvision would give other bytes where it is installed."""
        from transformers import AutoImageProcessor

        return AutoImageProcessor.from_pretrained(
            weights_folder(self._weights), backend="pil", local_files_only=True, trust_remote_code=False
        )

    def __call__(self, batch: Sequence[bytes]) -> FeatureBatch:
        """Vectors of shape (B, D) of files as stored; one that is no picture has the reason `normalise` gives.

        Raises:
            NoWeights: The weights are not here.
        """
        values = np.zeros((len(batch), *self.spec.shape), np.float32)
        errors: list[str | None] = [None] * len(batch)
        for start in range(0, len(batch), self._batch_size):
            rows, pixels = [], []
            for i in range(start, min(start + self._batch_size, len(batch))):
                try:
                    pixels.append(self._prepared(batch[i]))
                    rows.append(i)
                except MediaError as exc:
                    errors[i] = exc.reason.value
            if rows:
                values[rows] = self._encode(pixels)
        return FeatureBatch(values=values, errors=tuple(errors))

    def _prepared(self, data: bytes) -> Any:
        """One picture as the model's tensor, (1, 3, H, W)."""
        picture = middle(normalise(data))
        return self.processor(images=[picture], input_data_format="channels_last", return_tensors="pt")["pixel_values"]

    def _encode(self, pixels: list[Any]) -> Any:
        import torch

        output = self.run(pixel_values=torch.cat(pixels).to(self.model.dtype))
        if self._pooling == "pooler":
            return as_float32(self.pooler(output))
        hidden = output.last_hidden_state.float()
        if hidden.ndim == 4:  # a convolutional net: (B, D, H, W)
            if self._pooling == "cls":
                raise ValueError(
                    f"{self.name}: {self._weights.model} has no cls token; write `pooling: mean` or `pooler`"
                )
            return as_float32(hidden.mean((2, 3)))
        if self._pooling == "cls":
            return as_float32(hidden[:, 0])
        # Patches only: behind the cls token, and the registers of those that have some.
        return as_float32(hidden[:, 1 + getattr(self.model.config, "num_register_tokens", 0) :].mean(1))


class Resnet18(HfVision):
    """ResNet-18 trained on ImageNet: 512 numbers behind its average pool."""

    name: ClassVar[str] = "resnet18"

    def __init__(self, *, model: str = "microsoft/resnet-18", pooling: Any = "pooler", **settings: Any) -> None:
        """`settings` are those of `HfEncoder`."""
        super().__init__(model=model, pooling=pooling, **settings)
