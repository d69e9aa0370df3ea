"""What two towers are trained on: pairs of a history and what came next, and what is known of the items in them.

B pairs, L history, K different items of a batch, N uniform negatives, V items, U users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.contrastive import NO_ITEM
from training.data import Feature, Ragged, TrainingSet
from training.loop import parts, processes
from training.scaling import Scale
from training.towers import ItemInputs


class ItemTable:
    """The items' frozen vectors as a tower reads them."""

    def __init__(self, features: Mapping[str, Feature], scales: Mapping[str, Scale], seen: NDArray[np.bool_]) -> None:
        """Of n items; `seen` is (n,)."""
        self.values = {name: torch.from_numpy(scale(features[name].values)) for name, scale in scales.items()}
        self.present = {name: torch.from_numpy(features[name].present) for name in scales}
        self.seen = torch.from_numpy(seen)

    def __len__(self) -> int:
        return len(self.seen)

    def take(self, places: Tensor) -> ItemInputs:
        """Of these items, (K,)."""
        return ItemInputs(
            values={name: values[places] for name, values in self.values.items()},
            present={name: present[places] for name, present in self.present.items()},
            items=places,
            seen=self.seen[places],
        )


class Batch(NamedTuple):
    """This process's part of the pairs of a step, and each item in them once."""

    users: Tensor  # (B,)
    history: Tensor  # (B, L) item numbers, oldest first, NO_ITEM behind
    lengths: Tensor  # (B,)
    profile: Tensor  # (B, 2)
    inputs: ItemInputs  # of K items
    chosen: Tensor  # (B,) place of the target among the K
    drawn: Tensor  # (N,) of the uniform negatives
    before: Tensor  # (B, L) of the history; (0, L) where the user tower does not read the item tower
    user_share: Tensor  # (B,) of all positives of an epoch
    item_share: Tensor  # (K,) likewise


@dataclass(frozen=True, kw_only=True)
class PairSampler:
    """Pairs in batches of one size, the same for the same (seed, epoch).

    Raises:
        ValueError: A batch, or its uniform negatives, cannot be dealt equally to the processes.
    """

    train: TrainingSet
    table: ItemTable
    seed: int
    batch_size: int
    history_length: int
    targets_per_user: int | None  # per epoch, drawn anew; None is all
    uniform_negatives: int
    items_in_history: bool

    def __post_init__(self) -> None:
        for name, count in (("batch_size", self.size), ("uniform_negatives", self.uniform_negatives)):
            if count % processes():
                raise ValueError(f"two_tower: {name} is {count}, expected a multiple of the {processes()} processes")

    @cached_property
    def size(self) -> int:
        """Pairs of a step, of all processes; fewer than `batch_size` where an epoch has no more."""
        return min(self.batch_size, int(self.targets.sum()) // processes() * processes())

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """(U,): positives of an epoch, per user."""
        events = np.bincount(self.train.events.user, minlength=self.train.users)
        return events if self.targets_per_user is None else np.minimum(events, self.targets_per_user)

    @cached_property
    def user_share(self) -> NDArray[np.float32]:
        """(U,)."""
        return (self.targets / self.targets.sum()).astype(np.float32)

    @cached_property
    def item_share(self) -> NDArray[np.float32]:
        """(V,): expected, where not all of a user's events become targets."""
        events = self.train.events
        weight = (self.targets / np.maximum(np.bincount(events.user, minlength=self.train.users), 1))[events.user]
        share = np.bincount(events.item, weights=weight, minlength=self.train.items) / weight.sum()
        return share.astype(np.float32)

    @cached_property
    def drawable(self) -> NDArray[np.int64]:
        """Items that uniform negatives are drawn of: what nobody has met yet is no evidence against itself."""
        return np.flatnonzero(self.train.popularity())

    def batches(self, epoch: int) -> Sequence[Batch]:
        """All steps of an epoch; pairs that fill no batch wait for another epoch's order."""
        return _Lazy(self, epoch, self._order(epoch))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Events in random order, of each user at most so many."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.train.events))
        if self.targets_per_user is None:
            return order
        users = self.train.events.user[order]
        grouped = np.argsort(users, kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[grouped] = np.arange(len(order)) - self.train.events.bounds(self.train.users)[users[grouped]]
        return order[rank < self.targets_per_user]

    def part(self, order: NDArray[np.int64], epoch: int, step: int) -> Batch:
        """This process's part of a step."""
        dice = np.random.default_rng([self.seed, epoch, step])
        (targets,) = parts(order[step * self.size : (step + 1) * self.size])
        (negatives,) = parts(dice.choice(self.drawable, self.uniform_negatives))
        return self._batch(targets, negatives)

    def _batch(self, targets: NDArray[np.int64], negatives: NDArray[np.int64]) -> Batch:
        events = self.train.events
        users = events.user[targets].astype(np.int64)
        history, lengths = before(events.item, self._starts[users], targets, self.history_length)
        items = [events.item[targets], negatives, *([history.ravel()] if self.items_in_history else [])]
        different, place = np.unique(np.concatenate(items), return_inverse=True)
        absent = int(different[0] == NO_ITEM)  # sorted first; what stands at its places is not looked at
        different, place = different[absent:].astype(np.int64), np.maximum(place - absent, 0)
        chosen, drawn, earlier = np.split(place, [len(targets), len(targets) + len(negatives)])
        return Batch(
            users=torch.from_numpy(users),
            history=torch.from_numpy(history),
            lengths=torch.from_numpy(lengths),
            profile=torch.from_numpy(self.train.profiles[users].astype(np.int64)),
            inputs=self.table.take(torch.from_numpy(different)),
            chosen=torch.from_numpy(chosen),
            drawn=torch.from_numpy(drawn),
            before=torch.from_numpy(earlier).reshape(-1, self.history_length),
            user_share=torch.from_numpy(self.user_share[users]),
            item_share=torch.from_numpy(self.item_share[different]),
        )

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return self.train.events.bounds(self.train.users)


class _Lazy(Sequence[Batch]):
    """Batches made when they are asked for."""

    def __init__(self, sampler: PairSampler, epoch: int, order: NDArray[np.int64]) -> None:
        self.sampler, self.epoch, self.order = sampler, epoch, order

    def __len__(self) -> int:
        return len(self.order) // max(self.sampler.size, 1)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Batch]: ...
    def __getitem__(self, index: int | slice) -> Batch | list[Batch]:
        if isinstance(index, slice):
            return [self[n] for n in range(len(self))[index]]
        return self.sampler.part(self.order, self.epoch, range(len(self))[index])


def before(
    items: NDArray[np.int32], starts: NDArray[np.int64], ends: NDArray[np.int64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The last items of items[starts:ends] per row, padded behind: (B, length) with NO_ITEM, and how many, (B,)."""
    lengths = np.minimum(ends - starts, length)
    places = (ends - lengths)[:, None] + np.arange(length)
    there = np.arange(length) < lengths[:, None]
    found = np.where(there, items[np.where(there, places, 0)], NO_ITEM) if len(items) else np.full(there.shape, NO_ITEM)
    return found.astype(np.int64), lengths


def newest(history: Ragged, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same of each row of histories."""
    return before(history.values, history.starts[:-1], history.ends, length)
