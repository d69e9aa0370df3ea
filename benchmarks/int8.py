"""Ways to compute text encoders in fewer bits on CPU: how fast each is against fp32, and how near its vectors stay.

    python -m benchmarks.int8 FILE.jsonl [FILE.jsonl ...] [--texts 300] [--rounds 5] [--threads 2] [--json]

FILEs are as for `benchmarks.texts`, and so is what is measured of the vectors. `int8` is what `precision: int8` does;
the others are what was tried instead, with the same weights (`minilm`), texts, batches and pooling. Sorted by length
the texts are cut into slices, over which the sides take turns. A ratio above 1 is faster than torch in fp32: by the
clock, and in seconds of the processor, for a machine that others use, too. What is not installed is left out.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.texts import ALONE, NAME, quality, read_texts, spread
from featurizers import hf_int8
from featurizers.registry import featurizer

SLICES = 6
CALIBRATION = 100  # texts, for static scales
NEEDS = {
    "int8": "openvino",
    "onnxruntime int8, scale per batch": "onnxruntime",
    "onnxruntime fp32": "onnxruntime",
    "openvino fp32": "openvino",
    "openvino bf16": "openvino",
    "openvino int8, static scales": "nncf",
}
_int_mm: Any = torch._int_mm  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]


class PerToken(nn.Module):
    """A linear layer of torch, (..., K) to (..., N), in int8 with a scale per channel and per token."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        self.scale = linear.weight.abs().amax(1) / 127
        self.levels = (linear.weight / self.scale[:, None]).round().to(torch.int8).t().contiguous()
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output, in fp32."""
        tokens = x.reshape(-1, x.shape[-1])
        scale = tokens.abs().amax(1, keepdim=True).clamp_(min=1e-12).div_(127)
        product = _int_mm(tokens.div(scale).round_().to(torch.int8), self.levels)
        return product.float().mul_(scale).mul_(self.scale).add_(self.bias).view(*x.shape[:-1], -1)


def in_torch() -> Any:
    """The model with its linear layers replaced."""
    model = featurizer(NAME).model
    with torch.inference_mode():
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Linear) and "pooler" not in name:
                model.set_submodule(name, PerToken(module))
    return model


def in_onnxruntime(folder: Path, *, dynamic: bool) -> Any:
    """The exported model; `dynamic`: its products in int8, with one scale for all that goes in."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    named, path = hf_int8.Named(featurizer(NAME).model, layers=False), folder / "fp32.onnx"
    ids, names = torch.ones((2, 7), dtype=torch.int64), ["input_ids", "attention_mask"]
    axes = {name: {0: "texts", 1: "tokens"} for name in names}
    torch.onnx.export(named, (ids, ids), str(path), input_names=names, dynamic_axes=axes, dynamo=False)
    if dynamic:
        whole, path = path, folder / "int8.onnx"
        quantize_dynamic(whole, path, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda **given: _output(session.run(None, {name: given[name].numpy() for name in names})[0])


def in_openvino(precision: str, calibration: list[str] | None = None) -> Any:
    """The model as it is, or with scales that these texts fix; what is not int8 is computed in `precision`."""
    import openvino  # pyright: ignore[reportMissingImports]

    encode = featurizer(NAME)
    graph = hf_int8.traced(hf_int8.Named(encode.model, layers=False))
    if calibration:
        import nncf  # pyright: ignore[reportMissingImports]

        given = [dict(encode.tokenizer(t, truncation=True, max_length=256, return_tensors="np")) for t in calibration]
        feeds = [{name: g[name] for name in ("input_ids", "attention_mask")} for g in given]
        graph = nncf.quantize(graph, nncf.Dataset(feeds), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(feeds))
    how = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": 1}
    run = openvino.Core().compile_model(graph, "CPU", how)
    return lambda **given: _output(np.array(run({k: v.numpy() for k, v in given.items() if k != "token_type_ids"})[0]))


def _output(hidden: Any) -> SimpleNamespace:
    return SimpleNamespace(last_hidden_state=torch.from_numpy(hidden))


def sides(calibration: list[str], folder: Path) -> dict[str, Any]:
    """The encoders, by what computes them; those whose scales are per token take texts of one length at a time."""
    made: dict[str, Callable[[], Any]] = {
        "torch int8, scale per token": in_torch,
        "onnxruntime fp32": lambda: in_onnxruntime(folder, dynamic=False),
        "onnxruntime int8, scale per batch": lambda: in_onnxruntime(folder, dynamic=True),
        "openvino fp32": lambda: in_openvino("f32"),
        "openvino bf16": lambda: in_openvino("bf16"),
        "openvino int8, static scales": lambda: in_openvino("f32", calibration),
    }
    found: dict[str, Any] = {"fp32": featurizer(NAME), "bf16": featurizer(NAME, precision="bf16")}
    if hf_int8.can_int8():
        found["int8"] = featurizer(NAME, precision="int8")
    for name, make in made.items():
        if find_spec(NEEDS.get(name, "torch")) is not None:
            found[name] = featurizer(NAME, precision="int8" if "per token" in name else "fp32")
            found[name].tokenizer  # noqa: B018 - it asks the model for its configuration
            found[name].__dict__["model"] = make()
    return found


def measure(texts: list[str], calibration: list[str], rounds: int) -> dict[str, Any]:
    """Per side: ratios to fp32 round by round, and how near its vectors are."""
    with tempfile.TemporaryDirectory() as folder:
        encoders = sides(calibration, Path(folder))
    found: dict[str, Any] = {"left out": [name for name in NEEDS if name not in encoders]}
    exact = encoders["fp32"](texts).values
    for name, encode in encoders.items():
        alone = np.vstack([encode([text]).values for text in texts[:ALONE]])
        found[name] = {k.removeprefix("int8_"): v for k, v in quality(exact, encode(texts).values, alone).items()}
    slices = [list(part) for part in np.array_split(np.array(sorted(texts, key=len), dtype=object), SLICES)]
    took = np.array(
        [_round(list(encoders.values()), slices, turn) for turn in range(rounds)]
    )  # (rounds, sides, clocks)
    for at, name in enumerate(encoders):
        for clock, kind in enumerate(("clock", "cpu")):
            found[name][f"{kind}_over_fp32"] = spread((took[:, 0, clock] / took[:, at, clock]).tolist())
    return found


def _round(encoders: list[Any], slices: list[list[str]], turn: int) -> list[list[float]]:
    """Seconds by the clock and of the processor, per side."""
    took = [[0.0, 0.0] for _ in encoders]
    for number, texts in enumerate(slices):
        for place in range(len(encoders)):
            at = (place + turn + number) % len(encoders)
            began, cpu = time.perf_counter(), time.process_time()
            encoders[at](texts)
            took[at][0] += time.perf_counter() - began
            took[at][1] += time.process_time() - cpu
    return took


def main() -> None:
    """Print a line per side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    texts = read_texts(args.files, args.texts + CALIBRATION)
    found = measure(texts[:-CALIBRATION], texts[-CALIBRATION:], args.rounds)
    if args.json:
        print(json.dumps(found))
        return
    print(f"not installed or no VNNI, left out: {', '.join(found.pop('left out')) or 'none'}")
    for name, values in found.items():
        print(name, *(f"  {key}: {value}" for key, value in values.items()), sep="\n")


if __name__ == "__main__":
    main()
