"""The training loop of every model with gradients: one process or many (torchrun), any precision, resumed after a kill.

A model says what it learns as a `Task`; `train` reads: restore, then per epoch step, log; validate, save; stop?
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, gather_object, send_to_device, set_seed
from torch import Tensor, nn

from training.checkpoint import (
    Counters,
    Epoch,
    State,
    copied,
    load_optimizer,
    optimizer_tensors,
    random_state,
    restore,
    save,
    set_random_state,
)
from training.task import LoopSettings, Progress, Task, learning_rate, parts, processes

__all__ = ["LoopSettings", "Progress", "Task", "learning_rate", "parts", "processes", "train"]


def train(
    task: Task[Any],
    settings: LoopSettings,
    *,
    folder: Path | None = None,
    report: Callable[[Progress], None] | None = None,
) -> tuple[Epoch, ...]:
    """Train the task's module in place and leave it with its best weights, in evaluation mode; return the history.

    Args:
        task: What is learnt.
        settings: How; a run is resumed under the settings it began with, but for the number of epochs.
        folder: Where checkpoints (`checkpoints/`) and TensorBoard logs (`logs/`) are kept, by all processes; training
            goes on from the checkpoint found there. None: nothing is kept.
        report: Is told the progress, in the main process.

    Raises:
        ValueError: The loss or the score is not finite, or the checkpoint is of other settings or processes.
    """
    run = _Run(task, settings, folder, report)
    run.restore()
    while not run.over():
        for batch in run.rest_of_epoch():
            run.step(batch)
            run.log()
        run.validate()
        run.save()
    return run.finish()


class _Step(nn.Module):
    """The loss as a forward pass: what DDP and autocast are wrapped around."""

    def __init__(self, task: Task[Any]) -> None:
        super().__init__()
        self.module, self._loss = task.module, task.loss

    def forward(self, batch: Any) -> Tensor:
        return self._loss(batch)


class _Run:
    """One call of `train`."""

    def __init__(
        self,
        task: Task[Any],
        settings: LoopSettings,
        folder: Path | None,
        report: Callable[[Progress], None] | None,
    ) -> None:
        # Else a second run in the process could have no other precision (accelerate 1.15).
        AcceleratorState._reset_state()  # pyright: ignore[reportPrivateUsage]
        self.task, self.settings, self.folder = task, settings, folder
        self.tell = report or (lambda _: None)
        self.accelerator = Accelerator(mixed_precision=settings.precision)
        set_seed(settings.seed, device_specific=True)
        self.step_module = self.accelerator.prepare_model(_Step(task))
        self.raw_optimizer = torch.optim.AdamW(
            [p for p in task.module.parameters() if p.requires_grad],
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=self.accelerator.device.type in {"cpu", "cuda"},
        )
        self.optimizer = self.accelerator.prepare_optimizer(self.raw_optimizer)
        self.now, self.best = Counters(), dict[str, Tensor]()
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.accelerator.device)
        self.steps, self.began = 0, time.perf_counter()
        self._writer: Any = None

    def restore(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        state = None if self.folder is None else restore(self.folder / "checkpoints")
        if state is None:
            return
        self._check(state)
        self.now, self.best = state.counters, state.best
        self.task.module.load_state_dict(state.weights)
        load_optimizer(self.raw_optimizer, self.task.module, state.optimizer)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(dict(state.scaler))
        self.loss_sum.fill_(state.counters.loss_sum)
        set_random_state(state.random[self.accelerator.process_index])

    def _check(self, state: State) -> None:
        written, wanted = dict(state.settings), _comparable(self.settings)
        if other := [f"{k} {written.get(k)!r}, now {wanted[k]!r}" for k in wanted if written.get(k) != wanted[k]]:
            raise ValueError(f"{self.folder}: the checkpoint is of {'; '.join(other)}: train in an empty folder")
        if len(state.random) != (count := self.accelerator.num_processes):
            raise ValueError(
                f"{self.folder}: the checkpoint is of {len(state.random)} processes, now {count}: "
                "train with as many, or in an empty folder"
            )

    def over(self) -> bool:
        """All epochs are done, or none has improved enough for too long."""
        patience = self.settings.patience
        return self.now.epoch >= self.settings.epochs or (patience is not None and self.now.waited >= patience)

    def rest_of_epoch(self) -> Iterator[list[Any]]:
        """Global batches that are still to come, each as this process's parts."""
        every, size = self.task.batches(self.now.epoch), self.settings.gradient_accumulation
        self.steps, odd = divmod(len(every), size)
        if not self.steps or odd:
            raise ValueError(f"epoch {self.now.epoch}: {len(every)} batches, expected a positive multiple of {size}")
        self.began = time.perf_counter()
        self.step_module.train()
        for at in range(self.now.step, self.steps):
            yield [every[at * size + n] for n in range(size)]

    def step(self, batch: list[Any]) -> None:
        """Learn from one global batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.now.steps)
        for n, part in enumerate(batch):
            last = n == len(batch) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.step_module):
                loss = self.step_module(send_to_device(part, self.accelerator.device)) / len(batch)
                self.accelerator.backward(loss)
            self.loss_sum += loss.detach().double()
        if self.settings.clip is not None:
            self.accelerator.clip_grad_norm_(self.task.module.parameters(), self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.now.step += 1
        self.now.steps += 1

    def log(self) -> None:
        """Tell where the run stands, and keep a checkpoint, when it is time."""
        if self.now.steps % self.settings.log_every_steps == 0:
            self._tell(self._mean_loss())
        every = self.settings.checkpoint_every_steps
        if every is not None and self.now.steps % every == 0 and self.now.step < self.steps:
            self.save()

    def validate(self) -> None:
        """Close the epoch with its score."""
        loss, seconds = self._mean_loss(), time.perf_counter() - self.began
        score = self._score()
        self.now.history.append(Epoch(epoch=self.now.epoch, loss=loss, score=score, seconds=seconds))
        if score is not None:
            self._judge(score)
            self._write("score", score)
        self._tell(loss)
        self.now.epoch, self.now.step = self.now.epoch + 1, 0
        self.loss_sum.zero_()

    def _score(self) -> float | None:
        """The main process's, in every process."""
        self.step_module.eval()
        found = torch.tensor([0.0, 0.0], dtype=torch.float64, device=self.accelerator.device)  # is there one; which
        if self.accelerator.is_main_process:
            with torch.no_grad():
                score = self.task.validate()
            if score is not None:
                found = found.new_tensor([1.0, score])
        everyone: Any = broadcast(found)
        there, value = everyone.tolist()
        if there and not math.isfinite(value):
            raise ValueError(f"epoch {self.now.epoch}: validation gives {value}, expected a number: lower the rate")
        return value if there else None

    def _judge(self, score: float) -> None:
        if self.now.best is None or score > self.now.best:
            self.now.best, self.best = score, copied(self.task.module.state_dict())
        if self.now.bar is None or score > self.now.bar + self.settings.least_improvement * abs(self.now.bar):
            self.now.bar, self.now.waited = score, 0
        else:
            self.now.waited += 1

    def _mean_loss(self) -> float:
        """Of the epoch so far and of all processes."""
        mean = float(self._over_processes(self.loss_sum)) / max(self.now.step, 1)
        if not math.isfinite(mean):
            raise ValueError(
                f"epoch {self.now.epoch}, step {self.now.step}: the loss is {mean}, expected a number: "
                "lower learning_rate, or set clip"
            )
        return mean

    def _over_processes(self, value: Tensor) -> Tensor:
        mean: Any = self.accelerator.reduce(value.clone(), reduction="mean")
        return mean

    def _tell(self, loss: float) -> None:
        if not self.accelerator.is_main_process:
            return
        self._write("loss", loss)
        self._write("learning_rate", learning_rate(self.settings, self.now.steps - 1))
        now, last = self.now, self.now.history[-1:]
        score = last[0].score if last else None
        epochs = self.settings.epochs
        self.tell(Progress(epoch=now.epoch, epochs=epochs, step=now.step, steps=self.steps, loss=loss, score=score))

    def _write(self, name: str, value: float) -> None:
        """To TensorBoard, by steps; points that a killed run wrote after its checkpoint are dropped."""
        if self.folder is None or not self.accelerator.is_main_process:
            return
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder / "logs"), purge_step=self.now.steps)
        self._writer.add_scalar(name, value, self.now.steps)

    def save(self) -> None:
        """Keep a checkpoint, if any are kept."""
        if self.folder is None:
            return
        self.loss_sum = self._over_processes(self.loss_sum)
        self.now.loss_sum = float(self.loss_sum)
        generators = gather_object([random_state()])
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            state = State(
                counters=self.now,
                weights=copied(self.task.module.state_dict()),
                best=self.best,
                optimizer=optimizer_tensors(self.raw_optimizer, self.task.module),
                scaler={} if scaler is None else scaler.state_dict(),
                random=generators,
                settings=_comparable(self.settings),
            )
            save(self.folder / "checkpoints", state)
        self.accelerator.wait_for_everyone()

    def finish(self) -> tuple[Epoch, ...]:
        """Put the best weights back."""
        if self.best:
            self.task.module.load_state_dict(self.best)
        self.task.module.eval()
        if self._writer is not None:
            self._writer.close()
        return tuple(self.now.history)


def _comparable(settings: LoopSettings) -> dict[str, Any]:
    """What must not change between a run and its resumption; a tuple is a list in JSON."""
    free = {"epochs", "patience", "checkpoint_every_steps", "log_every_steps"}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items() if k not in free}
