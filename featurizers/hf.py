"""What text and image encoders of the transformers library share: settings, weights, pooling."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from featurizers.base import FeatureSpec, NoWeights
from featurizers.weights import Weights, check_weights, weights_digest, weights_folder
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pooling = Literal["cls", "mean", "pooler"]
Dtype = Literal["float32", "float16", "bfloat16"]


class HfEncoder:
    """A frozen encoder; a subclass reads its kind of input."""

    name: ClassVar[str]
    code_version: ClassVar[str]  # raised whenever the subclass would give other bytes from the same weights

    def __init__(
        self,
        *,
        model: str,
        revision: str | None = None,
        pooling: Pooling,
        batch_size: int = 32,
        device: str = "cpu",
        dtype: Dtype = "float32",
    ) -> None:
        """`device` is torch's (cpu, cuda, cuda:1) and no part of the version: it moves the last digits only.

        Raises:
            ValueError: `model` comes from the hub without a commit.
        """
        self._weights = Weights(model, revision)
        self._pooling: Pooling = pooling
        self._batch_size = batch_size
        self._device = device
        self._dtype: Dtype = dtype

    @property
    def version(self) -> str:
        """Code version, settings that change bytes, digest of the weights; `no_weights` while they are not here."""
        said = f"{self.code_version}-{self._pooling}-{self._dtype}"
        try:
            return f"{said}-{weights_digest(self._weights)}"
        except NoWeights:
            return f"{said}-no_weights"

    @property
    def spec(self) -> FeatureSpec:
        """As wide as the model's last layer.

        Raises:
            NoWeights: Its configuration is not here.
        """
        config = json.loads((weights_folder(self._weights) / "config.json").read_text(encoding="utf-8"))
        width = config.get("hidden_size") or config["hidden_sizes"][-1]
        return FeatureSpec(shape=(int(width),), dtype="float32", unit="activation")

    @cached_property
    def model(self) -> Any:
        """The model, on its device, ready to run.

        Raises:
            NoWeights: The weights are not here.
            ValueError: The file is not the pinned one, or lacks a part that is needed.
            RuntimeError: A GPU was asked for and there is none.
        """
        folder = weights_folder(self._weights)
        check_weights(self._weights, folder)
        # Imported here: torch and transformers cost seconds, and a plan needs neither.
        import torch
        from transformers import AutoModel
        from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

        if self._device.startswith("cuda") and not torch.cuda.is_available():
            raise RuntimeError(f"{self.name}: device '{self._device}' was asked for and torch finds no GPU; write cpu")
        disable_progress_bar()  # of loading: the stage has a bar of its own
        before = get_verbosity()
        set_verbosity_error()  # a classifier's head that is left out is no news
        try:
            model, found = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=getattr(torch, self._dtype),
                output_loading_info=True,
            )
        finally:
            set_verbosity(before)
        self._check_whole(found)
        return model.eval().to(self._device)

    def _check_whole(self, found: dict[str, Any]) -> None:
        """Weights that the file lacks are drawn at random: every run would give other numbers."""
        lost = sorted(key for key in found["missing_keys"] if self._pooling == "pooler" or "pooler" not in key)
        if odd := lost or sorted(str(key) for key in found["mismatched_keys"]):
            raise ValueError(f"{self.name}: {self._weights.model} lacks {len(odd)} weights, such as {odd[0]}")

    def run(self, **inputs: Any) -> Any:
        """The model's output for tensors."""
        import torch

        with torch.inference_mode():
            return self.model(**{name: tensor.to(self._device) for name, tensor in inputs.items()})

    def pooler(self, output: Any) -> Any:
        """What the model's own pooler gives, (B, D).

        Raises:
            ValueError: The model has none.
        """
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            raise ValueError(f"{self.name}: {self._weights.model} has no pooler; write `pooling: mean` or `cls`")
        return pooled.flatten(1)


def as_float32(tensor: Any) -> NDArray[np.float32]:
    """A tensor of any device and precision as an array."""
    return tensor.float().cpu().numpy()
