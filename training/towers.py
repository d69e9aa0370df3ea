"""Two towers over frozen vectors: what an item is, from its modalities; what a listener is, from what came before.

B rows, L history, K items, D width of both outputs, P width of one modality, V items of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pooling = Literal["mean", "gru", "attention"]
Norm = Literal["layer", "batch"]


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """Sizes; the defaults are those of the source document, but for LayerNorm (two processes then equal one)."""

    dimension: int = 256
    modality_dimension: int = 128
    id_embedding: bool = True
    id_dropout: float = 0.5
    input_dropout: float | None = None  # of the modalities' numbers; None: by how few items there are: `hidden_share`
    shortcut: bool = True  # content straight to the output, too, which then begins as that of content neighbours
    norm: Norm = "layer"
    dropout: float = 0.1
    history_length: int = 50
    history_inputs: Literal["ids", "items"] = "ids"
    pooling: Pooling = "attention"
    layers: int = 2
    heads: int = 4
    gender_dimension: int = 16
    country_dimension: int = 32


START = 0.16
"""Length of what is fused before anything is learnt, beside content of 1; not 0, for items that have no content."""


def hidden_share(numbers: int, items: int) -> float:
    """How much of what modalities tell is hidden where so many numbers of so many items are learnt from.

    Half where items are twice as many as numbers: what has more is learnt by heart. Measured: docs/two-tower.md.
    """
    return 2 * numbers / (2 * numbers + items)


class ItemInputs(NamedTuple):
    """What the item tower reads of K items."""

    values: dict[str, Tensor]  # modality: (K, d), standardised
    present: dict[str, Tensor]  # modality: (K,) bool
    items: Tensor  # (K,) int64
    seen: Tensor  # (K,) bool: training has events of it

    def to(self, device: torch.device) -> ItemInputs:
        """The same, there."""
        values = {name: part.to(device) for name, part in self.values.items()}
        present = {name: part.to(device) for name, part in self.present.items()}
        return ItemInputs(values, present, self.items.to(device), self.seen.to(device))

    def content(self) -> Tensor:
        """(K, d of all): as `training.scaling.content_vectors`, whose cosines content neighbours compare."""
        there = [F.normalize(part * self.present[name][:, None], dim=1) for name, part in self.values.items()]
        return F.normalize(torch.cat(there, 1), dim=1)


class ItemTower(nn.Module):
    """Each modality to P numbers, or to what is learnt for its absence; side by side through an MLP; unit length.

    With a shortcut all content is added to it through one matrix, which is the greater part before anything is learnt.
    """

    def __init__(self, config: TowerConfig, *, modalities: Mapping[str, int], items: int) -> None:
        super().__init__()
        width = config.modality_dimension
        self.id_dropout = config.id_dropout if modalities else 0.0  # nothing would be left
        self.input_dropout = nn.Dropout(config.input_dropout or 0.0)
        self.projections = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(d, width), nn.ReLU()) for name, d in modalities.items()}
        )
        parts = [*modalities, *(["id"] if config.id_embedding else [])]
        if not parts:
            raise ValueError("item tower: no modality and id_embedding is false, expected at least one of them")
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name in parts})
        self.ids = nn.Embedding(items, width) if config.id_embedding else None
        hidden = 2 * config.dimension
        norm = nn.LayerNorm(hidden) if config.norm == "layer" else nn.BatchNorm1d(hidden)
        self.fusion = nn.Sequential(
            nn.Linear(width * len(parts), hidden),
            norm,
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, config.dimension),
            (last := nn.LayerNorm(config.dimension)),
        )
        self.shortcut = None
        if config.shortcut and modalities:
            self.shortcut = nn.Linear(sum(modalities.values()), config.dimension, bias=False)
            nn.init.constant_(last.weight, START / config.dimension**0.5)

    def forward(self, inputs: ItemInputs) -> Tensor:
        """(K, D)."""
        inputs = inputs._replace(values={name: self.input_dropout(part) for name, part in inputs.values.items()})
        parts = [
            torch.where(inputs.present[name][:, None], project(inputs.values[name]), self.missing[name])
            for name, project in self.projections.items()
        ]
        if self.ids is not None:
            # An item without training events has an embedding of chance: it goes by what is learnt for "no id".
            known_K = inputs.seen
            if self.training:
                known_K = known_K & (torch.rand(len(known_K), device=known_K.device) >= self.id_dropout)
            ids_KP = self.ids(torch.where(known_K, inputs.items, 0))
            parts.append(torch.where(known_K[:, None], ids_KP, self.missing["id"]))
        fused_KD = self.fusion(torch.cat(parts, 1))
        return F.normalize(fused_KD if self.shortcut is None else fused_KD + self.shortcut(inputs.content()), dim=1)


class UserTower(nn.Module):
    """A pooled history beside gender and country, through an MLP; unit length."""

    positions_L: Tensor

    def __init__(self, config: TowerConfig, *, genders: int, countries: int) -> None:
        super().__init__()
        width = config.dimension
        self.pooling = config.pooling
        self.codes = (genders, countries)
        self.nothing = nn.Parameter(torch.randn(width) * 0.02)  # the history of who has none
        self.position = nn.Embedding(config.history_length, width)
        nn.init.normal_(self.position.weight, std=0.02)
        if config.pooling == "gru":
            self.gru = nn.GRU(width, width, batch_first=True)
        if config.pooling == "attention":
            self.blocks = nn.ModuleList(Block(width, config.heads, config.dropout) for _ in range(config.layers))
        self.gender = nn.Embedding(genders, config.gender_dimension)
        self.country = nn.Embedding(countries, config.country_dimension)
        self.mlp = nn.Sequential(
            nn.Linear(width + config.gender_dimension + config.country_dimension, 2 * width),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            (last := nn.Linear(2 * width, width)),
        )
        # A listener begins as the pooled history.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, history_BLD: Tensor, lengths_B: Tensor, profile_B2: Tensor) -> Tensor:
        """(B, D); the first `lengths` places of a row are its history, oldest first, the others are not looked at."""
        place_L = torch.arange(history_BLD.shape[1], device=lengths_B.device)
        empty_B1L = (lengths_B == 0)[:, None] & (place_L == 0)[None]
        lengths_B = lengths_B.clamp(min=1)
        valid_BL = place_L[None] < lengths_B[:, None]
        steps_BLD = torch.where(empty_B1L[..., None], self.nothing, history_BLD)
        # Counted from the newest: a history is the same with more room behind it.
        age_BL = (lengths_B[:, None] - 1 - place_L[None]).clamp(0, self.position.num_embeddings - 1)
        steps_BLD = torch.where(valid_BL[..., None], steps_BLD + self.position(age_BL), 0.0)
        pooled_BD = self._pooled(steps_BLD, valid_BL, lengths_B)
        gender, country = (
            torch.where((code >= 0) & (code < known), code, 0)
            for code, known in zip(profile_B2.unbind(1), self.codes, strict=True)
        )
        beside = [pooled_BD, self.gender(gender), self.country(country)]
        return F.normalize(pooled_BD + self.mlp(torch.cat(beside, 1)), dim=1)

    def _pooled(self, steps_BLD: Tensor, valid_BL: Tensor, lengths_B: Tensor) -> Tensor:
        if self.pooling == "mean":
            return steps_BLD.sum(1) / lengths_B[:, None]
        if self.pooling == "gru":
            steps_BLD = self.gru(steps_BLD)[0]
        else:
            for block in self.blocks:
                steps_BLD = block(steps_BLD, valid_BL)
        last_B1D = (lengths_B - 1)[:, None, None].expand(-1, 1, steps_BLD.shape[2])
        return steps_BLD.gather(1, last_B1D)[:, 0]


class Block(nn.Module):
    """One layer of a Transformer encoder, norm first."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, steps_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """(B, L, D): every step looks at all valid ones."""
        split = self.qkv(self.before_attention(steps_BLD)).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, heads, L, D / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=valid_BL[:, None, None])
        steps_BLD = steps_BLD + self.drop(self.out(mixed.transpose(1, 2).flatten(2)))
        return steps_BLD + self.drop(self.mlp(self.before_mlp(steps_BLD)))


class ServedUserTower(nn.Module):
    """The user tower with the table its histories are read from: what a bundle stores."""

    table_VD: Tensor

    def __init__(self, tower: UserTower, table_VD: Tensor) -> None:
        super().__init__()
        self.tower = tower
        self.register_buffer("table_VD", table_VD)

    def forward(self, items: Tensor, lengths: Tensor, profile: Tensor) -> Tensor:
        """(B, D) of (B, L) int64 item numbers, oldest first and padded to the right, (B,) and (B, 2) int64."""
        known_BL = (items >= 0) & (items < len(self.table_VD))
        history_BLD = torch.where(known_BL[..., None], self.table_VD[torch.where(known_BL, items, 0)], 0.0)
        return self.tower(history_BLD, lengths, profile)
