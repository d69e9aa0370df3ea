"""Chunked against whole cross-entropy over a large catalogue: memory, time, equality.

    python -m benchmarks.loss_memory [--targets 6400] [--items 100000] [--dimension 128] [--rounds 3] [--json]

Each loss, with its gradients, runs in a fresh process; memory is the most it ever had (VmHWM) above what it had when
its inputs were made. Times are the best of the rounds, in turns of both. In float64, over 2,000 items, both are
compared too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.losses import chunked_cross_entropy, cross_entropy

LOSSES: dict[str, Callable[..., Tensor]] = {"whole": cross_entropy, "chunked": chunked_cross_entropy}
WANTED = {"memory": 1 / 5, "loss": 1e-4, "cosine": 0.9999, "time": 1.3, "float64": 1e-6}


def inputs(targets: int, items: int, dimension: int, kind: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vectors of targets and items, a bias, targets: scores spread as a trained model's do, over several units."""
    dice = torch.Generator().manual_seed(0)
    hidden = torch.randn(targets, dimension, generator=dice, dtype=kind)
    vectors = torch.randn(items, dimension, generator=dice, dtype=kind) * 3 / dimension**0.5
    bias = torch.randn(items, generator=dice, dtype=kind)
    return hidden, vectors, bias, torch.randint(items, (targets,), generator=dice)


def once(name: str, hidden: Tensor, vectors: Tensor, bias: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Mean loss and its gradients."""
    asked = [tensor.requires_grad_() for tensor in (hidden, vectors, bias)]
    loss = LOSSES[name](hidden, vectors, targets, bias) / len(targets)
    gradients = torch.autograd.grad(loss, asked)
    return {"loss": loss.detach()} | dict(zip(("hidden", "items", "bias"), gradients, strict=True))


def _memory_mb(line: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(row for row in status.splitlines() if row.startswith(line)).split()[1]) / 1024


def step(name: str, size: tuple[int, int, int], out: str) -> None:
    """One loss, in this process; results go to a file."""
    given = inputs(*size, torch.float32)
    once(name, *inputs(8, 16, 8, given[0].dtype))  # libraries allocate what they need once
    before, began = _memory_mb("VmRSS:"), time.perf_counter()
    found = once(name, *given)
    told = {"mb": _memory_mb("VmHWM:") - before, "s": time.perf_counter() - began}
    save_file({key: value.contiguous() for key, value in found.items()}, out, {"told": json.dumps(told)})
    print(json.dumps(told))


def measure(targets: int, items: int, dimension: int, rounds: int) -> dict[str, Any]:
    """Both losses, in turns, and how they differ."""
    told: dict[str, list[dict[str, float]]] = {name: [] for name in LOSSES}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for name in sorted(LOSSES, reverse=bool(turn % 2)):
                given = json.dumps([name, [targets, items, dimension], f"{folder}/{name}"])
                command = [sys.executable, "-m", "benchmarks.loss_memory", "--step", given]
                told[name].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
        whole, chunked = (load_file(f"{folder}/{name}") for name in LOSSES)
    mb = {name: max(row["mb"] for row in rows) for name, rows in told.items()}
    seconds = {name: min(row["s"] for row in rows) for name, rows in told.items()}
    gradients = [key for key in whole if key != "loss"]
    return {
        "targets": targets,
        "items": items,
        "dimension": dimension,
        "mb": {name: round(value, 1) for name, value in mb.items()},
        "s": {name: round(value, 2) for name, value in seconds.items()},
        "memory": round(mb["chunked"] / mb["whole"], 4),
        "time": round(seconds["chunked"] / seconds["whole"], 3),
        "loss": abs(float(whole["loss"] - chunked["loss"])),
        "cosine": min(_cosine(whole[key], chunked[key]) for key in gradients),
        "float64": exact(),
    }


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))


def exact() -> float:
    """Largest difference of loss and gradients in float64, 300 targets over 2,000 items, several chunks."""
    whole = once("whole", *inputs(300, 2_000, 64, torch.float64))
    chunked = once("chunked", *inputs(300, 2_000, 64, torch.float64))
    return max(float((whole[key] - chunked[key]).abs().max()) for key in whole)


def main() -> None:
    """Print what both took and how they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=6_400)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        step(*args.step)
        return
    found = measure(args.targets, args.items, args.dimension, args.rounds)
    if args.json:
        print(json.dumps(found))
        return
    print(f"{found['targets']:,} targets x {found['items']:,} items, {found['dimension']} wide")
    for name in LOSSES:
        print(f"  {name:<8} {found['mb'][name]:>9,.1f} MB above the start, {found['s'][name]:>7.2f} s")
    print(
        f"  memory {found['memory']:.3f} of the whole's ({WANTED['memory']} wanted), time {found['time']:.2f} x (1.3)"
    )
    print(f"  loss differs by {found['loss']:.1e} (at most {WANTED['loss']})")
    print(f"  cosine of gradients {found['cosine']:.7f} (at least {WANTED['cosine']})")
    print(f"  in float64, over 2,000 items, all differ by {found['float64']:.1e} (at most {WANTED['float64']})")


if __name__ == "__main__":
    main()
