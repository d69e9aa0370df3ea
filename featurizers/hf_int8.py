"""Text encoders in int8 on CPU, by OpenVINO: a scale per channel of the weights, and per token of what goes in.

A token's scales are of its own numbers (in groups as wide as the narrowest layer), so no other text of the batch moves
its vector and nothing is calibrated: on all-MiniLM-L6-v2 the mean cosine to fp32 is .997. What lies between two layers
stays in fp32, fused into them. `benchmarks.int8` has what else was tried, and how fast each is.
"""

import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from math import gcd
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from featurizers.base import NoDevice

RUNTIME = "openvino"
_OUTPUTS = ("last_hidden_state", "pooler_output", "text_embeds")
_vnni: Any = torch.cpu._is_vnni_supported  # pyright: ignore[reportPrivateUsage]  # no public name; torch is pinned
_TINY = 1e-12  # a channel of zeros has the scale of this, not of 0


class Int8Text:
    """An encoder of texts with its linear layers in int8: takes and gives tensors as the model of transformers does."""

    def __init__(self, model: Any, *, layers: bool) -> None:
        """The model in fp32; `layers`: every layer's output is wanted, not the last one's alone.

        Raises:
            NoDevice: The processor has no VNNI instructions, or OpenVINO is not installed.
        """
        _check_machine()
        self.config = model.config
        self._named = Named(model, layers=layers)
        graph = traced(self._named)
        group = gcd(*(_in_int8(graph, matmul) for matmul in list(_linear(graph))))
        how = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": group}
        how |= {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        self._run = import_module(RUNTIME).Core().compile_model(graph, "CPU", how)

    def __call__(self, *, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> SimpleNamespace:
        """The outputs that the model has, by their names in transformers; (B, T) to (B, T, D) or (B, D)."""
        found = self._run({"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()})
        tensors = [torch.from_numpy(np.array(found[i])) for i in range(len(found))]
        names = self._named.names
        return SimpleNamespace(**dict(zip(names, tensors, strict=False)), hidden_states=tensors[len(names) :])


class Named(nn.Module):
    """The model with a flat tuple of tensors as its output: those of `names`, then every layer's."""

    def __init__(self, model: Any, *, layers: bool) -> None:
        super().__init__()
        self._model, self._layers = model, layers
        self.names: list[str] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs, (B, T, D) or (B, D); tokens and mask are (B, T)."""
        found = self._model(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=self._layers or None
        )
        self.names = [name for name in _OUTPUTS if found.get(name) is not None]
        return *(found[name] for name in self.names), *(found.hidden_states if self._layers else ())


def traced(named: Named) -> Any:
    """The model as a graph of OpenVINO, for any number of texts of any length.

    By the parts of `openvino.convert_model`, which would also report its use to its makers.
    """
    ids = torch.ones((2, 7), dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0  # or what is made for padding would not be in the graph
    decoder: Any = import_module(f"{RUNTIME}.frontend.pytorch.ts_decoder").TorchScriptPythonDecoder
    frontend: Any = import_module(f"{RUNTIME}.frontend").FrontEndManager().load_by_framework("pytorch")
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what a graph takes for constant; tests compare vectors
        example = decoder(named.eval(), example_input={"input_ids": ids, "attention_mask": mask})
        return frontend.convert(frontend.load(example))


def _linear(graph: Any) -> Iterator[Any]:
    """The products with weights, not those of attention."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "MatMul" and node.input_value(1).get_node().get_type_name() == "Constant":
            yield node


def _in_int8(graph: Any, matmul: Any) -> int:
    """Put int8 weights and their scales in the place of (N, K) ones, which OpenVINO then multiplies as int8; K."""
    weights = matmul.input_value(1).get_node().get_data()
    scale = np.maximum(np.abs(weights).max(1, keepdims=True), _TINY).astype(np.float32) / np.float32(127)
    ops: Any = import_module(f"{RUNTIME}.opset13")
    levels = ops.convert(ops.constant(np.rint(weights / scale).astype(np.int8)), "f32")
    matmul.input(1).replace_source_output(ops.multiply(levels, ops.constant(scale)).output(0))
    return int(weights.shape[1])


def _check_machine() -> None:
    if not has_vnni():
        raise NoDevice("`precision: int8` needs a processor with VNNI instructions (AVX-512 or AVX); write fp32")
    if find_spec(RUNTIME) is None:
        raise NoDevice("`precision: int8` needs OpenVINO; pip install 'mediateca[int8]', or write fp32")


def has_vnni() -> bool:
    """Whether the processor multiplies int8 four at a time into int32; without, nothing would be faster."""
    return bool(torch.backends.mkldnn.is_available() and _vnni())


def can_int8() -> bool:
    """Whether this machine computes in int8: by its processor, and by what is installed."""
    return has_vnni() and find_spec(RUNTIME) is not None
