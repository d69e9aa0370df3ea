"""The loss of two towers: which of the batch's items did this listener choose, and which listener this item?

B pairs of this process, G pairs of all processes, N uniform negatives of all processes, D width, L history, V items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as collective
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_TEMPERATURE = 0.01
"""Below it one pair's logit swallows all others, and float32 exponentials of 1 / tau approach overflow."""
NO_ITEM = -1
"""Fills the places of a history that are empty."""


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """What is compared with what; the defaults are those of the source document."""

    objective: Literal["infonce", "triplet"] = "infonce"
    temperature: float = 0.07
    learn_temperature: bool = True
    log_q: bool = True
    mask_history: bool = True
    uniform_negatives: int = 0
    margin: float = 0.2  # of the triplet loss, in cosines

    def __post_init__(self) -> None:
        if self.objective not in ("infonce", "triplet"):
            raise ValueError(f"contrastive: objective is '{self.objective}', expected 'infonce' or 'triplet'")
        least = LEAST_TEMPERATURE
        if self.temperature < least or (self.learn_temperature and self.temperature == least):
            raise ValueError(
                f"contrastive: temperature is {self.temperature}, expected at least {least}, more where it is learnt"
            )
        if self.uniform_negatives < 0:
            raise ValueError(f"contrastive: uniform_negatives is {self.uniform_negatives}, expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Row i: users[i] chose items[i]. Every process has as many rows and as many negatives as every other."""

    user_vectors: Tensor  # (B, D), normalised
    item_vectors: Tensor  # (B, D), normalised
    users: Tensor  # (B,) int64
    items: Tensor  # (B,) int64
    history: Tensor  # (B, L) int64, NO_ITEM where there is none
    user_share: Tensor  # (B,) of all training positives, those that are of the row's user
    item_share: Tensor  # (B,) likewise of the row's item
    negative_vectors: Tensor  # (N, D), normalised; N may be 0
    negatives: Tensor  # (N,) int64
    negative_share: Tensor  # (N,)

    def of_all_processes(self) -> Pairs:
        """The same rows of all processes, by rank; gradients flow back to the process that has the vectors."""
        if processes() == 1:
            return self
        return Pairs(**{name: _gathered(value) for name, value in vars(self).items()})


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _gathered(values: Tensor) -> Tensor:
    if not values.numel():
        return values  # nowhere is any
    if values.is_floating_point():
        return torch.cat(collective.all_gather(values))  # `dist.all_gather` would cut the gradient
    parts = [torch.empty_like(values) for _ in range(processes())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


class Contrastive(nn.Module):
    """The loss with its temperature; uniform negatives are drawn of `drawable` items."""

    def __init__(self, config: ContrastiveConfig, *, drawable: int) -> None:
        super().__init__()
        self.config, self.drawable = config, drawable
        # tau = least + exp(free): never below, and unlike a clamp never without a gradient.
        start = math.log(max(config.temperature - LEAST_TEMPERATURE, 1e-12))
        learnt = config.learn_temperature and config.objective == "infonce"
        self.free = nn.Parameter(torch.tensor(start), requires_grad=learnt)

    @property
    def temperature(self) -> Tensor:
        """(), at least LEAST_TEMPERATURE."""
        return LEAST_TEMPERATURE + self.free.exp()

    def forward(self, mine: Pairs) -> Tensor:
        """(): the mean over this process's rows; the mean over processes is that of one with all rows."""
        everyone = mine.of_all_processes()
        first = dist.get_rank() * len(mine.users) if processes() > 1 else 0
        places_B = torch.arange(len(mine.users), device=mine.users.device) + first
        vectors_CD = torch.cat([everyone.item_vectors, everyone.negative_vectors])
        forth_BC, back_BG = mine.user_vectors @ vectors_CD.T, mine.item_vectors @ everyone.user_vectors.T
        barred_BC, barred_BG = (
            self._barred_items(mine, everyone, places_B),
            self._barred_users(mine, everyone, places_B),
        )
        forth = self._direction(forth_BC, self._item_share(everyone), barred_BC, places_B)
        return (forth + self._direction(back_BG, everyone.user_share, barred_BG, places_B)) / 2

    def _direction(self, cosines_BC: Tensor, share_C: Tensor, barred_BC: Tensor, places_B: Tensor) -> Tensor:
        if self.config.objective == "triplet":
            return triplet(cosines_BC, barred_BC, places_B, self.config.margin)
        logits_BC = cosines_BC / self.temperature
        if self.config.log_q:
            logits_BC = logits_BC - share_C.log()
        return F.cross_entropy(logits_BC.masked_fill(barred_BC, -math.inf), places_B)

    def _item_share(self, everyone: Pairs) -> Tensor:
        """(G + N,): the chance that a column is this item. With uniform negatives the columns are a mixture of draws.

        Source: mixed negative sampling, Yang et al., WWW 2020.
        """
        share_C = torch.cat([everyone.item_share, everyone.negative_share])
        pairs, uniform = len(everyone.items), len(everyone.negatives)
        return (pairs * share_C + uniform / self.drawable) / (pairs + uniform)

    def _barred_items(self, mine: Pairs, everyone: Pairs, places_B: Tensor) -> Tensor:
        """(B, G + N): columns that are no negatives of the row's user; never the pair itself."""
        columns_C = torch.cat([everyone.items, everyone.negatives])
        barred_BC = mine.items[:, None] == columns_C[None]
        pairs = len(everyone.items)
        barred_BC[:, :pairs] |= mine.users[:, None] == everyone.users[None]
        if self.config.mask_history:
            barred_BC |= among(mine.history, columns_C)
        return barred_BC.scatter(1, places_B[:, None], False)

    def _barred_users(self, mine: Pairs, everyone: Pairs, places_B: Tensor) -> Tensor:
        """(B, G): the same pairs, seen from the row's item."""
        barred_BG = (mine.items[:, None] == everyone.items[None]) | (mine.users[:, None] == everyone.users[None])
        if self.config.mask_history:
            barred_BG |= among(everyone.history, mine.items).T
        return barred_BG.scatter(1, places_B[:, None], False)


def triplet(cosines_BC: Tensor, barred_BC: Tensor, places_B: Tensor, margin: float) -> Tensor:
    """(): mean over rows of the mean over a row's negatives of max(0, margin - its pair's cosine + the negative's)."""
    own_B1 = cosines_BC.gather(1, places_B[:, None])
    negative_BC = ~barred_BC.scatter(1, places_B[:, None], True)
    hinge_BC = (margin - own_B1 + cosines_BC).clamp(min=0) * negative_BC
    return (hinge_BC.sum(1) / negative_BC.sum(1).clamp(min=1)).mean()


def among(history_BL: Tensor, items_C: Tensor) -> Tensor:
    """(B, C): is the column's item in the row's history? Memory B (L + C), never B L C."""
    known_K, column_C = torch.unique(items_C, return_inverse=True)
    place_BL = torch.searchsorted(known_K, history_BL).clamp(max=len(known_K) - 1)
    found_BL = known_K[place_BL] == history_BL
    seen_BK = torch.zeros(len(history_BL), len(known_K) + 1, dtype=torch.bool, device=items_C.device)
    seen_BK.scatter_(1, torch.where(found_BL, place_BL, len(known_K)), True)  # the last column takes what is not asked
    return seen_BK[:, column_C]
