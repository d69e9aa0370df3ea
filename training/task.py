"""What a training loop is given: a task, settings, somebody to tell the progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = TypeVar("Batch")


class Task(Protocol[Batch]):
    """What is learnt.

    A step learns from one global batch, of which each process takes its parts (see `parts`), one after the other where
    gradients are accumulated. The loop AVERAGES the losses of all parts, so a part's loss is that part's share of the
    global loss times the number of parts: for a mean over N targets, sum over own targets x parts / N. The task knows N
    without asking the others, since it cuts global batches itself. Two processes then equal one.
    """

    @property
    def module(self) -> nn.Module:
        """The weights; made with a seed of the task's own."""
        ...

    def batches(self, epoch: int) -> Sequence[Batch]:
        """This process's parts of the epoch's global batches, `gradient_accumulation` successive ones per step.

        The same whenever it is called for that epoch, so a resumed run skips what is done. A batch is a tensor, a
        tuple, list or mapping of them, or has `to(device)`. Not empty, and as many for each process.
        """
        ...

    def loss(self, batch: Batch) -> Tensor:
        """Of one part, (); called in training mode under autocast, batch and module on one device."""
        ...

    def validate(self) -> float | None:
        """Higher is better; None: there is nothing to validate on, so all epochs run and the last weights are kept.

        Called in evaluation mode without gradients, in the main process alone: it talks to no other.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How it is learnt."""

    epochs: int = 100
    learning_rate: float = 1e-3  # of AdamW
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = None  # largest norm of all gradients together
    warmup_steps: int = 0  # the rate rises in a line from 0
    patience: int | None = 5  # epochs without enough improvement before it stops; None: all epochs run
    least_improvement: float = 0.01  # relative; the best weights are kept even where they improve by less
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0
    checkpoint_every_steps: int | None = None  # beside one after each epoch
    log_every_steps: int = 50
    gradient_accumulation: int = 1  # parts per process and step

    @classmethod
    def of(cls, told: LoopSettings | Mapping[str, Any]) -> LoopSettings:
        """From a mapping, as JSON and YAML have it: lists for tuples."""
        if isinstance(told, LoopSettings):
            return told
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
        return cls(**settings)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a progress bar can say; after every `log_every_steps` and every epoch."""

    epoch: int  # from 0
    epochs: int
    step: int  # of the epoch
    steps: int
    loss: float  # mean of the epoch so far
    score: float | None  # of the last validation


def parts(rows: NDArray[np.int64], accumulation: int = 1) -> list[NDArray[np.int64]]:
    """This process's parts of a global batch: row i belongs to part i % (processes x accumulation).

    A part may be empty, where a batch has fewer rows than there are parts.
    """
    state = PartialState()
    count = state.num_processes * accumulation
    return [rows[state.process_index + state.num_processes * n :: count] for n in range(accumulation)]


def processes() -> int:
    """How many processes train together."""
    return PartialState().num_processes


def learning_rate(settings: LoopSettings, step: int) -> float:
    """Of a step, counted from 0; it depends on nothing else, so there is no schedule to save."""
    return settings.learning_rate * min(1.0, (step + 1) / (settings.warmup_steps + 1))
