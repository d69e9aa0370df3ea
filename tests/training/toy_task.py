"""A task for tests of the loop: a network with dropout, three batches of eight rows per epoch.

    python -m tests.training.toy_task FOLDER [--kill-at STEP] [--dropout P]

trains it, and with `--kill-at` kills its own process in the middle. Runs alone or under torchrun.
"""

import argparse
import os
import signal
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.loop import LoopSettings, parts, processes, train

Batch = tuple[Tensor, Tensor, Tensor]  # features, answers, share
TOY_SETTINGS = LoopSettings(epochs=3, checkpoint_every_steps=2, clip=1.0)


class Toy:
    def __init__(self, *, dropout: float = 0.0, accumulation: int = 1, scores: list[float] | None = None) -> None:
        torch.manual_seed(7)
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))
        self.accumulation, self.scores = accumulation, scores
        self.step, self.kill_at = 0, -1
        self.kept: list[float] = []

    def batches(self, epoch: int) -> list[Batch]:
        dice = np.random.default_rng([3, epoch])
        found = []
        for _ in range(3):
            x = torch.tensor(dice.normal(size=(8, 4)), dtype=torch.float32)
            for rows in parts(np.arange(8)[: 8 - epoch % 2], self.accumulation):  # every other epoch an odd number
                share = torch.tensor(processes() * self.accumulation / (8 - epoch % 2))
                found.append((x[rows], x[rows].sum(1), share))
        return found

    def loss(self, batch: Batch) -> Tensor:
        self.step += 1
        if self.step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        x, y, share = batch
        return ((self.module(x)[:, 0].float() - y) ** 2).sum() * share

    def validate(self) -> float | None:
        if self.scores is None:
            return None
        self.kept.append(next(iter(self.module.parameters())).sum().item())
        return self.scores[len(self.kept) - 1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at", type=int, default=-1)
    parser.add_argument("--dropout", type=float, default=0.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    toy = Toy(dropout=args.dropout)
    toy.kill_at = args.kill_at
    train(toy, TOY_SETTINGS, folder=args.folder)
