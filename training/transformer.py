"""A causal Transformer over sequences of items; shorter rows are padded on the right, which no real place can see."""

# B rows, T places, D width, H heads

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

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D); place t depends on places up to t alone."""
        if self.shape.norm == "pre":
            x_BTD = x_BTD + self._attend(self.attend_norm(x_BTD))
            return x_BTD + self._feed(self.feed_norm(x_BTD))
        x_BTD = self.attend_norm(x_BTD + self._attend(x_BTD))
        return self.feed_norm(x_BTD + self._feed(x_BTD))

    def _attend(self, x_BTD: Tensor) -> Tensor:
        query, key, value = self.into(x_BTD).unflatten(-1, (3, self.shape.heads, -1)).permute(2, 0, 3, 1, 4)
        rate = self.shape.attention_dropout if self.training else 0.0
        mixed_BHTd = F.scaled_dot_product_attention(query, key, value, is_causal=True, dropout_p=rate)
        return self.dropout(self.out(mixed_BHTd.transpose(1, 2).flatten(2)))

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

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), T at most `length`."""
        x_BTD = self.dropout(x_BTD + self.places_LD[: x_BTD.shape[1]])
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.last_norm(x_BTD)


def sinusoids(length: int, dimension: int) -> Tensor:
    """(length, dimension): sine and cosine in turns, wavelengths from 2 pi to 20,000 pi (Vaswani et al. 2017)."""
    rates = torch.exp(torch.arange(0, dimension, 2) * (-math.log(10_000.0) / dimension))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :dimension]
