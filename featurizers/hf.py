"""What text, image and audio encoders of the transformers library share: settings, weights, pooling."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from safetensors import SafetensorError

from featurizers.base import FeatureSpec, NoDevice, NoWeights
from featurizers.encoders import Precision, usual_precision
from featurizers.weights import Weights, check_weights, weights_digest, weights_folder
from storage.hashing import digest_of
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pooling = Literal["cls", "mean", "last", "pooler", "projection"]
_PROJECTED = ("text_embeds", "image_embeds", "audio_embeds")
# How configurations call the width of the last layer: BERT and ResNet; T5; DistilBERT; GPT-2.
_WIDTHS = ("hidden_size", "hidden_sizes", "d_model", "dim", "n_embd")
_UNUSABLE = (AttributeError, ImportError, LookupError, OSError, RuntimeError, SafetensorError, TypeError, ValueError)
_AHEAD = 2  # batches that are prepared while the model has one


class HfEncoder:
    """A frozen encoder; a subclass reads its kind of input."""

    _tower: ClassVar[str]  # where a configuration of two towers has this one's
    code_version: ClassVar[str]  # raised whenever the subclass would give other bytes from the same weights

    def __init__(
        self,
        *,
        name: str,
        model: str,
        revision: str | None = None,
        architecture: str = "AutoModel",
        pooling: Pooling = "mean",
        layer: int = -1,
        normalise: bool = False,
        batch_size: int = 32,
        device: str = "cpu",
        precision: Precision | None = None,
        compile: bool = False,
    ) -> None:
        """What a catalogue says of an encoder (`tasks.settings_encoders`).

        Args:
            name: Of the feature, for messages.
            model: A name of the hub, or a folder.
            revision: Commit on the hub; None: the known one, or a folder.
            architecture: Class of the transformers library, such as CLIPTextModelWithProjection.
            pooling: How the places of a layer become one vector; `projection` is the model's own joint space.
            layer: Which layer's output is pooled; -1 is the last, 0 the embeddings.
            normalise: To length 1.
            batch_size: Inputs at a time, at most.
            device: torch's (cpu, cuda, cuda:1, mps); no part of the version: it moves the last digits only.
            precision: Of the computation; None: bf16 on a GPU, else fp32. Weights stay in fp32 but for int8.
            compile: By torch, for batches of any size; no part of the version: it, too, moves the last digits only.

        Raises:
            ValueError: `model` comes from the hub without a commit.
        """
        self.name = name
        self._weights = Weights(model, revision)
        self._architecture = architecture
        self._pooling: Pooling = pooling
        self._layer = layer
        self._normalise = normalise
        self._batch_size = batch_size
        self._device = device
        self._precision: Precision = precision or usual_precision(device)
        self._compile = compile

    @property
    def version(self) -> str:
        """Code version, digest of the settings that change bytes, revision, digest of the weights (or `no_weights`)."""
        said = f"{self.code_version}-{digest_of(self._changes_bytes())[:6]}-{self._weights.commit[:7] or 'folder'}"
        try:
            return f"{said}-{weights_digest(self._weights)}"
        except NoWeights:
            return f"{said}-no_weights"

    def _changes_bytes(self) -> list[Any]:
        computed = "int8 by openvino" if self._precision == "int8" else self._precision
        return [self._architecture, self._pooling, self._layer, self._normalise, computed]

    @property
    def spec(self) -> FeatureSpec:
        """As wide as the model's last layer, or as its projection.

        Raises:
            NoWeights: Its configuration is not here.
            ValueError: It cannot be read, names no width, or has no projection, and that is what is asked for.
        """
        unit = "unit-norm" if self._normalise else "activation"
        return FeatureSpec(shape=(self._width(self.config()),), dtype="float32", unit=unit)

    def config(self) -> dict[str, Any]:
        """What `config.json` beside the weights says.

        Raises:
            NoWeights: It is not here.
            ValueError: It is no JSON.
        """
        with self.loading():
            return dict(json.loads((weights_folder(self._weights) / "config.json").read_text(encoding="utf-8")))

    def _width(self, config: dict[str, Any]) -> int:
        if self._pooling == "projection":
            if "projection_dim" not in config:
                raise ValueError(self._without("projection"))
            return int(config["projection_dim"])
        tower = config.get(self._tower) or config
        width = next((tower[name] for name in _WIDTHS if name in tower), None)
        if width is None:
            raise ValueError(f"{self.name}: config.json of {self._weights.model} has none of {', '.join(_WIDTHS)}")
        return int(width[-1] if isinstance(width, list) else width)

    @contextmanager
    def loading(self) -> Generator[None]:
        """What a model's files are refused for, as one line that names them.

        Raises:
            ValueError: transformers, or json, cannot make of them what is asked for.
        """
        try:
            yield
        except _UNUSABLE as exc:
            # Its words on code that comes with a model are how to run it, which is never done.
            code = "it needs code of its own, and none is run" if "trust_remote_code" in str(exc) else ""
            said = code or f"{type(exc).__name__}: {' '.join(str(exc).split())[:200]}"
            raise ValueError(
                f"{self.name}: {self._weights.model} cannot be loaded as {self._architecture}: {said}; save it anew by "
                "`save_pretrained` with its tokenizer or processor, or correct `family`, `model` and `architecture`"
            ) from exc

    @cached_property
    def model(self) -> Any:
        """The model, on its device, ready to run.

        Raises:
            NoWeights: The weights are not here.
            ValueError: The file is not the pinned one, or lacks a part that is needed.
            NoDevice: A GPU was asked for and there is none, or the machine cannot compute in this precision.
        """
        folder = weights_folder(self._weights)
        check_weights(self._weights, folder)
        # Imported here: torch and transformers cost seconds, and a plan needs neither.
        import torch
        import transformers
        from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

        there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
        if not there.get(self._device.partition(":")[0], lambda: True)():
            by = "by MEDIATECA_DEVICE" if os.environ.get("MEDIATECA_DEVICE") else "by the catalogue"
            said = f"device '{self._device}' was asked for {by} and torch finds no GPU"
            raise NoDevice(f"{self.name}: {said}; write cpu")
        disable_progress_bar()  # of loading: the stage has a bar of its own
        before = get_verbosity()
        set_verbosity_error()  # a classifier's head that is left out is no news
        try:
            with self.loading():
                model, found = getattr(transformers, self._architecture).from_pretrained(
                    folder,
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=False,
                    dtype=torch.float32,
                    output_loading_info=True,
                )
        finally:
            set_verbosity(before)
        self._check_tower(model)
        self._check_whole(found)
        self._check_precision(model.config.model_type)
        model = model.eval().to(self._device)
        if self._precision == "int8":
            from featurizers.hf_int8 import Int8Text

            return Int8Text(model, layers=self._layer != -1)
        if self._compile:
            model.compile(dynamic=True)  # in place, and not before its first batch
        return model

    def _check_tower(self, model: Any) -> None:
        """A model of two towers, such as CLIP, asks for the inputs of both; ViTMAE draws what it leaves out."""
        if getattr(model.config, "mask_ratio", 0):
            raise ValueError(
                f"{self.name}: {self._weights.model} leaves out places at random (`mask_ratio` in config.json is "
                f"{model.config.mask_ratio}), so that no vector would come twice; write 0 there"
            )
        if not hasattr(model, "get_text_features"):
            return
        import transformers

        side = self._tower.removesuffix("_config")
        joint = f"{type(model).__name__.removesuffix('Model')}{side.capitalize()}ModelWithProjection"
        named = f"`architecture: {joint}` and `pooling: projection`, or " if hasattr(transformers, joint) else ""
        raise ValueError(
            f"{self.name}: {self._weights.model} has two towers; write {named}the folder of one as `model`: "
            f"`AutoModel.from_pretrained(...).{side}_model.save_pretrained(folder)`, beside its tokenizer or processor"
        )

    def _check_precision(self, kind: str) -> None:
        import torch

        if self._precision == "int8" and self._tower != "text_config":
            raise ValueError(f"{self.name}: `precision: int8` is of encoders of texts; write fp32")
        if self._precision == "int8" and kind.startswith("deberta"):  # OpenVINO cannot type its relative positions
            raise ValueError(f"{self.name}: DeBERTa cannot be computed in int8; write `precision: bf16` or fp32")
        if self._precision == "fp16" and kind.startswith("deberta"):
            raise ValueError(f"{self.name}: DeBERTa gives no numbers in fp16; write `precision: bf16` or fp32")
        if self._precision == "bf16" and self._device.startswith("cuda") and not torch.cuda.is_bf16_supported():
            # Not another precision in silence: it is part of the version.
            raise NoDevice(f"{self.name}: this GPU has no bf16; write `precision: fp16` or fp32")

    def _check_whole(self, found: dict[str, Any]) -> None:
        """Weights that the file lacks are drawn at random: every run would give other numbers."""
        lost = sorted(key for key in found["missing_keys"] if self._pooling == "pooler" or "pooler" not in key)
        if odd := lost or sorted(str(key) for key in found["mismatched_keys"]):
            raise ValueError(f"{self.name}: {self._weights.model} lacks {len(odd)} weights, such as {odd[0]}")

    def run(self, **inputs: Any) -> Any:
        """The model's output for tensors.

        Raises:
            NoDevice: It was to be compiled, and this machine cannot.
            ValueError: It wants more than these, or other ones.
        """
        import torch

        with torch.inference_mode(), self._autocast(), self._compiling(), self._taking(inputs):
            moved = {name: tensor.to(self._device, non_blocking=True) for name, tensor in inputs.items()}
            return self.model(**moved, **({"output_hidden_states": True} if self._layer != -1 else {}))

    @contextmanager
    def _taking(self, inputs: dict[str, Any]) -> Generator[None]:
        """A model of another kind says so in its own words, which name nothing that a catalogue has."""
        try:
            yield
        except (AttributeError, TypeError, ValueError) as exc:
            said = f"{type(exc).__name__}: {' '.join(str(exc).split())[:200]}"
            raise ValueError(
                f"{self.name}: {self._weights.model}, loaded as {self._architecture}, does not take "
                f"{', '.join(inputs)} alone: {said}; correct `family` or `architecture` (T5EncoderModel, say)"
            ) from exc

    @contextmanager
    def _compiling(self) -> Generator[None]:
        if not self._compile:
            yield
            return
        from torch._dynamo.exc import BackendCompilerFailed  # torch has no public name for it

        try:
            yield
        except BackendCompilerFailed as exc:
            why = str(exc.inner_exception).strip().partition("\n")[0][:200]
            raise NoDevice(
                f"{self.name}: `compile: true`, and torch cannot compile here ({why}); it needs Triton and a C++ "
                "compiler (apt-get install g++); install them, or leave `compile` out"
            ) from exc

    def _autocast(self) -> AbstractContextManager[Any]:
        """Products in half precision, norms and sums in fp32."""
        import torch

        if self._precision not in ("bf16", "fp16"):
            return nullcontext()
        half = torch.bfloat16 if self._precision == "bf16" else torch.float16
        return torch.autocast(self._device.partition(":")[0], half)

    def layer(self, output: Any) -> Any:
        """The places of the layer that is pooled, such as (B, T, D).

        Raises:
            ValueError: The model has no such layer, or one of another width than its last.
        """
        if self._layer == -1:
            return output.last_hidden_state.float()
        try:
            found = output.hidden_states[self._layer].float()
        except IndexError:
            most = len(output.hidden_states) - 1
            raise ValueError(
                f"{self.name}: layer {self._layer}; {self._weights.model} has 0 (embeddings) to {most}"
            ) from None
        wide, (last,) = found.shape[1 if found.ndim == 4 else -1], self.spec.shape
        if wide != last:
            raise ValueError(f"{self.name}: layer {self._layer} gives {wide} numbers, the last {last}; leave it out")
        return found

    def pooler(self, output: Any) -> Any:
        """What the model's own pooler or projection gives, (B, D).

        Raises:
            ValueError: The model has none.
        """
        names = _PROJECTED if self._pooling == "projection" else ("pooler_output",)
        pooled = next((found for name in names if (found := getattr(output, name, None)) is not None), None)
        if pooled is None:
            raise ValueError(self._without(self._pooling))
        return pooled.flatten(1)

    def _without(self, pooling: str) -> str:
        return f"{self.name}: {self._weights.model} has no {pooling}; write `pooling: mean`"

    def fill(
        self, values: NDArray[np.float32], rows: list[int], encode: Callable[[list[int]], Any], size: int
    ) -> list[int]:
        """Write the vectors that `encode` gives of `rows` into `values` (N, D); the rows that do not fit into memory.

        Their reason is `internal_error`, as for an input that ends its process: another machine, or a GPU that nobody
        else uses, has room for them.
        """
        lost: list[int] = []
        for part, found in shrinking(encode, rows, size):
            if found is None:
                lost += part
            else:
                values[part] = found
        return lost

    def finished(self, values: NDArray[np.float32], errors: list[str | None]) -> NDArray[np.float32]:
        """The vectors (B, D) as they are stored; one that is not finite becomes a reason (DeBERTa in float16)."""
        for i in np.flatnonzero(~np.isfinite(values).all(axis=1)):
            values[i], errors[i] = 0, Reason.NOT_FINITE.value
        if self._normalise:
            length = np.linalg.norm(values, axis=1, keepdims=True)
            values = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
        return values


def as_float32(tensor: Any) -> NDArray[np.float32]:
    """A tensor of any device and precision as an array."""
    return tensor.float().cpu().numpy()


def ahead(prepare: Callable[[Any], Any], batch: Sequence[Any], size: int) -> Iterator[tuple[int, list[Any]]]:
    """First place and what `prepare` gives of every `size` inputs; threads prepare the next while the model runs."""
    if not batch:
        return
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
        waiting: list[tuple[int, Any]] = []
        for start in range(0, len(batch), size):
            waiting.append((start, pool.map(prepare, batch[start : start + size])))
            if len(waiting) > _AHEAD:
                first, found = waiting.pop(0)
                yield first, list(found)
        for first, found in waiting:
            yield first, list(found)


def shrinking(run: Any, rows: list[int], size: int) -> Iterator[tuple[list[int], Any]]:
    """`run` over slices of `rows`, (B, D) each; where memory does not suffice the slices are halved, down to one.

    One that does not fit alone gives None.
    """
    start = 0
    while start < len(rows):
        part = rows[start : start + size]
        try:
            found = run(part)
        except (MemoryError, RuntimeError) as exc:
            if not _out_of_memory(exc):
                raise
            if len(part) > 1:
                size = len(part) // 2
                continue
            found = None
        start += len(part)
        yield part, found


def _out_of_memory(exc: Exception) -> bool:
    # CUDA has a class of its own (torch.OutOfMemoryError); on CPU torch raises RuntimeError with these words.
    said = str(exc)
    return isinstance(exc, MemoryError) or "out of memory" in said or "can't allocate memory" in said
