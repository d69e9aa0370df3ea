"""A training run on disk: enough to go on, after a kill, as if nothing had happened.

A folder per checkpoint, `step-000000123`: weights.safetensors, best.safetensors, optimizer.safetensors,
random.safetensors, state.json. It is written under another name and renamed, so it is whole or not there.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Tensors = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch came to."""

    epoch: int  # from 0
    loss: float  # mean of its steps
    score: float | None  # None: nothing to validate on
    seconds: float  # of training, without validation; after a kill, of the last process alone


@dataclass(kw_only=True)
class Counters:
    """Where a run stands."""

    epoch: int = 0  # whole epochs done
    step: int = 0  # steps done of the epoch after them
    steps: int = 0  # steps in all
    loss_sum: float = 0.0  # of the steps of this epoch
    best: float | None = None  # highest score; its weights are kept
    bar: float | None = None  # last score that was enough of an improvement
    waited: int = 0  # epochs since the bar rose
    history: list[Epoch] = field(default_factory=list[Epoch])


@dataclass(frozen=True, kw_only=True)
class State:
    """All that a resumed run needs."""

    counters: Counters
    weights: Tensors
    best: Tensors  # empty until a score is known
    optimizer: Tensors  # "exp_avg/blocks.0.weight"
    scaler: Mapping[str, Any]  # of fp16; else empty
    random: Sequence[Tensors]  # per process: "python", "numpy", "torch", "cuda" as bytes
    settings: Mapping[str, Any]


def save(folder: Path, state: State) -> None:
    """Write a checkpoint, then remove the older ones."""
    name = f"step-{state.counters.steps:09d}-{state.counters.epoch:05d}"
    draft = folder / f".draft-{name}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    save_file(state.weights, draft / "weights.safetensors")
    save_file(state.best, draft / "best.safetensors")
    save_file(state.optimizer, draft / "optimizer.safetensors")
    named = {f"{process}/{key}": value for process, each in enumerate(state.random) for key, value in each.items()}
    save_file(named, draft / "random.safetensors")
    told = {"counters": asdict(state.counters), "scaler": dict(state.scaler), "settings": dict(state.settings)}
    (draft / "state.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    for path in draft.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(folder / name, ignore_errors=True)  # of a run that was resumed from an older one
    draft.rename(folder / name)
    for old in folder.glob("step-*"):
        if old.name != name:
            shutil.rmtree(old)


def restore(folder: Path) -> State | None:
    """The newest checkpoint of a folder; None where there is none."""
    newest = max(folder.glob("step-*"), default=None)
    if newest is None:
        return None
    told = json.loads((newest / "state.json").read_text(encoding="utf-8"))
    history = [Epoch(**row) for row in told["counters"].pop("history")]
    processes: dict[int, Tensors] = {}
    for key, value in load_file(newest / "random.safetensors").items():
        process, _, name = key.partition("/")
        processes.setdefault(int(process), {})[name] = value
    return State(
        counters=Counters(**told["counters"], history=history),
        weights=load_file(newest / "weights.safetensors"),
        best=load_file(newest / "best.safetensors"),
        optimizer=load_file(newest / "optimizer.safetensors"),
        scaler=told["scaler"],
        random=[processes[process] for process in sorted(processes)],
        settings=told["settings"],
    )


def copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies in main memory, which later steps leave alone."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def optimizer_tensors(optimizer: torch.optim.Optimizer, module: nn.Module) -> Tensors:
    """What the optimizer remembers, by the names of parameters."""
    named = {f"{key}/{name}": parameter for name, parameter in module.named_parameters() for key in _keys(optimizer)}
    found = {name: optimizer.state[p].get(name.partition("/")[0]) for name, p in named.items() if p in optimizer.state}
    return copied({name: value for name, value in found.items() if value is not None})


def _keys(optimizer: torch.optim.Optimizer) -> list[str]:
    return sorted({key for state in optimizer.state.values() for key in state})


def load_optimizer(optimizer: torch.optim.Optimizer, module: nn.Module, tensors: Tensors) -> None:
    """Give it back what `optimizer_tensors` took."""
    places = {id(p): i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    state: dict[int, Tensors] = {}
    for name, parameter in module.named_parameters():
        mine = {key.partition("/")[0]: value for key, value in tensors.items() if key.partition("/")[2] == name}
        if mine:
            state[places[id(parameter)]] = mine
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_state() -> Tensors:
    """The generators of this process, as bytes."""
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)  # type: ignore[misc]
    found = {
        "python": _bytes(random.getstate()),
        "numpy": _bytes([name, np.asarray(keys).tolist(), place, has_gauss, gauss]),
        "torch": torch.get_rng_state(),
    }
    return found | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def set_random_state(state: Tensors) -> None:
    """Set the generators to what `random_state` found."""
    version, keys, gauss = json.loads(bytes(state["python"].numpy()))
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(tuple(json.loads(bytes(state["numpy"].numpy()))))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _bytes(value: object) -> Tensor:
    return torch.from_numpy(np.frombuffer(json.dumps(value).encode(), np.uint8).copy())
