"""Batches for models that learn the next item at every place of a sequence."""

# B rows, T places, N targets

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import Ragged
from training.loop import parts, processes


class NextItems(NamedTuple):
    """One part of a global batch; rows are padded on the right with item 0, which no real place sees."""

    items_BT: Tensor
    places_N: Tensor  # of items_BT.flatten(): where a target follows
    targets_N: Tensor  # the item that does
    share: Tensor  # (): parts / targets of the global batch; the sum of losses times it is what the loop averages


class Epochs:
    """Windows of histories in an order that depends on seed and epoch alone."""

    def __init__(
        self, histories: Ragged, *, length: int, whole: bool, batch_size: int, accumulation: int, seed: int
    ) -> None:
        """Of every history that has two or more items the last `length` + 1; if `whole`, those before them, too.

        Windows of one history share an item, which is the last target of the one and begins the other: every item but
        the first is a target once.
        """
        pairs = np.maximum(histories.lengths - 1, 0)
        windows = -(-pairs // length) if whole else np.minimum(pairs, 1)
        rows = np.repeat(np.arange(len(histories)), windows)
        dropped = (np.arange(len(rows)) - np.repeat(np.cumsum(windows) - windows, windows)) * length
        self.ends = histories.starts[rows + 1] - dropped
        self.used = np.minimum(histories.lengths[rows] - dropped, length + 1)
        self.values, self.batch_size, self.accumulation, self.seed = histories.values, batch_size, accumulation, seed
        if not len(self.ends):
            raise ValueError("no history has two items: there is nothing to learn a sequence from")

    def of(self, epoch: int) -> Sequence[NextItems]:
        """This process's parts; made one by one, when they are asked for."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.ends))
        return _Lazy(self, order)

    def part(self, order: NDArray[np.int64], number: int) -> NextItems:
        """The n-th of this process."""
        at, within = divmod(number, self.accumulation)
        whole = order[at * self.batch_size : (at + 1) * self.batch_size]
        rows = parts(whole, self.accumulation)[within]
        share = processes() * self.accumulation / int((self.used[whole] - 1).sum())
        return self._cut(rows, share)

    def _cut(self, rows: NDArray[np.int64], share: float) -> NextItems:
        if not len(rows):  # a process without rows still takes the step
            nothing = torch.zeros(0, dtype=torch.int64)
            return NextItems(torch.zeros(1, 1, dtype=torch.int64), nothing, nothing, torch.tensor(share))
        known = self.used[rows] - 1  # the last item is a target alone
        steps = np.arange(known.max())
        real_BT = steps < known[:, None]
        at_BT = (self.ends[rows] - self.used[rows])[:, None] + steps
        items_BT = np.where(real_BT, self.values[np.where(real_BT, at_BT, 0)], 0)
        return NextItems(
            torch.from_numpy(items_BT.astype(np.int64)),
            torch.from_numpy(np.flatnonzero(real_BT)),
            torch.from_numpy(self.values[at_BT[real_BT] + 1].astype(np.int64)),
            torch.tensor(share, dtype=torch.float32),
        )


class _Lazy(Sequence[NextItems]):
    def __init__(self, epochs: Epochs, order: NDArray[np.int64]) -> None:
        self.epochs, self.order = epochs, order

    def __len__(self) -> int:
        return -(-len(self.order) // self.epochs.batch_size) * self.epochs.accumulation

    @overload
    def __getitem__(self, index: int) -> NextItems: ...
    @overload
    def __getitem__(self, index: slice) -> list[NextItems]: ...
    def __getitem__(self, index: int | slice) -> NextItems | list[NextItems]:
        if isinstance(index, slice):
            return [self.epochs.part(self.order, n) for n in range(len(self))[index]]
        return self.epochs.part(self.order, range(len(self))[index])


def known(histories: Ragged, items: int) -> Ragged:
    """The same without items that came after training, whose numbers are higher."""
    kept = histories.values < items
    if kept.all():
        return histories
    before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    until = None if histories.until is None else before[histories.until]
    return Ragged(values=histories.values[kept], starts=before[histories.starts], until=until)


def padded(histories: Ragged, rows: NDArray[np.int64], length: int) -> tuple[Tensor, Tensor]:
    """The last `length` items of these rows, (B, T), padded on the right with 0, and how many each has, (B,)."""
    known = np.minimum(histories.lengths[rows], length)
    steps = np.arange(max(int(known.max(initial=0)), 1))
    real_BT = steps < known[:, None]
    at_BT = (histories.ends[rows] - known)[:, None] + steps
    items_BT = np.zeros(real_BT.shape, np.int64)
    items_BT[real_BT] = histories.values[at_BT[real_BT]]
    return torch.from_numpy(items_BT), torch.from_numpy(known)
