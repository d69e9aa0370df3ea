"""A causal Transformer over sequences of items; shorter rows are padded on the right, which no real place can see."""

# B rows, T places, Q places that are wanted, D width, H heads

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class TransformerShape:
    """How a stack of blocks is built."""

    dimension: int = 64
    heads: int = 2
    blocks: int = 2
    hidden: int = 256  # of the feed-forward part
    dropout: float = 0.2
    attention_dropout: float = 0.0  # above 0, attention holds all of its weights and takes longer
    norm: Literal["pre", "post"] = "pre"
    activation: Literal["gelu", "relu"] = "gelu"
    positions: Literal["learned", "sinusoidal"] = "learned"
    length: int = 50

    def __post_init__(self) -> None:
        """Refuse what attention cannot divide."""
        if self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} is no multiple of heads {self.heads}: change one of them")


class Block(nn.Module):
    """Attention to places before, then a feed-forward part; as torch's TransformerEncoderLayer with a causal mask."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        width, self.shape = shape.dimension, shape
        self.attend_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, shape.hidden), nn.Linear(shape.hidden, width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x_BTD: Tensor, last_B: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D), or (B, 1, D) at the places `last_B` alone; a place depends on those up to it."""
        kept_BQD = x_BTD if last_B is None else _picked(x_BTD, last_B)
        if self.shape.norm == "pre":
            kept_BQD = kept_BQD + self._attend(self.attend_norm(x_BTD), last_B)
            return kept_BQD + self._feed(self.feed_norm(kept_BQD))
        kept_BQD = self.attend_norm(kept_BQD + self._attend(x_BTD, last_B))
        return self.feed_norm(kept_BQD + self._feed(kept_BQD))

    def _attend(self, x_BTD: Tensor, last_B: Tensor | None) -> Tensor:
        rate = self.shape.attention_dropout if self.training else 0.0
        if last_B is None:
            query, key, value = self._heads(self.into(x_BTD), 3)
            mixed_BHQd = F.scaled_dot_product_attention(query, key, value, is_causal=True, dropout_p=rate)
        else:
            width, (weight, bias) = self.shape.dimension, (self.into.weight, self.into.bias)
            (query,) = self._heads(F.linear(_picked(x_BTD, last_B), weight[:width], bias[:width]), 1)
            key, value = self._heads(F.linear(x_BTD, weight[width:], bias[width:]), 2)
            known_BT = torch.arange(x_BTD.shape[1], device=last_B.device) <= last_B[:, None]
            mixed_BHQd = F.scaled_dot_product_attention(query, key, value, known_BT[:, None, None], dropout_p=rate)
        return self.dropout(self.out(mixed_BHQd.transpose(1, 2).flatten(2)))

    def _heads(self, x_BTD: Tensor, count: int) -> Tensor:
        """(B, T, count x D) -> (count, B, H, T, D / H)."""
        return x_BTD.unflatten(-1, (count, self.shape.heads, -1)).permute(2, 0, 3, 1, 4)

    def _feed(self, x_BTD: Tensor) -> Tensor:
        active = F.gelu if self.shape.activation == "gelu" else F.relu
        return self.dropout(self.down(self.dropout(active(self.up(x_BTD)))))


class Transformer(nn.Module):
    """Positions are added, then the blocks; places count from the first item a row still has."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.dropout = nn.Dropout(shape.dropout)
        # Pre-norm blocks leave their sum as it is; post-norm ones have normed it.
        self.last_norm = nn.LayerNorm(shape.dimension) if shape.norm == "pre" else nn.Identity()
        if shape.positions == "learned":
            self.places_LD = nn.Parameter(torch.empty(shape.length, shape.dimension))
        else:
            self.register_buffer("places_LD", sinusoids(shape.length, shape.dimension), persistent=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)

    def forward(self, x_BTD: Tensor, last_B: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D), T at most `length`; (B, 1, D) where the places `last_B` alone are wanted."""
        x_BTD = self.dropout(x_BTD + self.places_LD[: x_BTD.shape[1]])
        *before, last = self.blocks
        for block in before:
            x_BTD = block(x_BTD)
        return self.last_norm(last(x_BTD, last_B))


def _picked(x_BTD: Tensor, last_B: Tensor) -> Tensor:
    """(B, 1, D)."""
    # Not len(): an export would take the number of rows for fixed.
    return x_BTD[torch.arange(x_BTD.shape[0], device=last_B.device), last_B][:, None]


def sinusoids(length: int, dimension: int) -> Tensor:
    """(length, dimension): sine and cosine in turns, wavelengths from 2 pi to 20,000 pi (Vaswani et al. 2017)."""
    rates = torch.exp(torch.arange(0, dimension, 2) * (-math.log(10_000.0) / dimension))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :dimension]
