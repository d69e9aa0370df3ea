"""Two towers: an item by what it is, a listener by what came before, met in one space that an index serves."""

# B queries, L history, K different items of a batch, D width, V items

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.checkpoint import Epoch
from training.contrastive import Contrastive, ContrastiveConfig, Pairs
from training.data import NOBODY, Feature, Queries, TrainingSet
from training.evaluation import evaluate
from training.loop import LoopSettings, Progress
from training.loop import train as run
from training.scaling import Scale, scales
from training.sequences import known
from training.tower_batches import Batch, ItemTable, PairSampler, newest
from training.towers import ItemTower, ServedUserTower, TowerConfig, UserTower, hidden_share
from training.user_tower import export_user_tower

AT_A_TIME = 512
"""Queries or items, when vectors are computed."""
ENOUGH = 20_000
"""Items, to find the main directions of all content."""


@dataclass(frozen=True, kw_only=True)
class Config(TowerConfig, ContrastiveConfig):
    """What is learnt: towers, loss and loop."""

    modalities: tuple[str, ...] = ()  # features by name; with id_embedding alone it is a model of ids
    batch_size: int = 512  # of all processes: a pair's negatives are the other pairs
    targets_per_user: int | None = None  # per epoch; None: every event is a target once
    loop: LoopSettings = field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        """Settings may come as a file has them: lists for tuples, a mapping for the loop."""
        super().__post_init__()
        object.__setattr__(self, "modalities", tuple(self.modalities))
        object.__setattr__(self, "loop", LoopSettings.of(self.loop))
        if self.loop.gradient_accumulation != 1:
            raise ValueError(
                f"two_tower: gradient_accumulation is {self.loop.gradient_accumulation}, expected 1: parts of a batch "
                "that do not see each other have fewer negatives; take a larger batch_size, or more processes"
            )


SPACE: dict[str, tuple[Any, ...]] = {
    "dimension": (32, 64, 128),
    "pooling": ("mean", "gru", "attention"),
    "dropout": (0.1, 0.3, 0.5),
    "input_dropout": (None, 0.0),
    "temperature": (0.05, 0.07, 0.1, 0.2),
    "loop.learning_rate": (0.0003, 0.001, 0.003),
}


class Network(nn.Module):
    """Both towers and the loss between them."""

    def __init__(self, config: Config, *, widths: Mapping[str, int], seen: Tensor, codes: tuple[int, int]) -> None:
        """For modalities of these widths, items with training events, (V,), and so many genders and countries."""
        super().__init__()
        if config.input_dropout is None:
            config = replace(config, input_dropout=hidden_share(sum(widths.values()), int(seen.sum())))
        self.item_tower = ItemTower(config, modalities=widths, items=len(seen))
        self.user_tower = UserTower(config, genders=codes[0], countries=codes[1])
        self.history = None if config.history_inputs == "items" else nn.Embedding(len(seen), config.dimension)
        if self.history is not None:
            # What no history had is never trained: zeros, not chance.
            self.history.weight.data.normal_(std=0.02).mul_(seen[:, None])
        self.loss = Contrastive(config, drawable=int(seen.sum()))

    @torch.no_grad()
    def begin(self, table: ItemTable) -> None:
        """Put items and histories where their content is, in its main directions, as content neighbours do."""
        shortcut = self.item_tower.shortcut
        if shortcut is None:
            return
        met = torch.nonzero(table.seen)[:, 0]
        some_Kd = table.take(met[torch.randperm(len(met))[:ENOUGH]]).content()
        directions_dD = torch.svd_lowrank(some_Kd, q=min(len(shortcut.weight), *some_Kd.shape), niter=8)[2]
        shortcut.weight.zero_()[: directions_dD.shape[1]] = directions_dD.T
        if self.history is None:
            return
        for places in met.split(AT_A_TIME):
            start_KD = F.normalize(shortcut(table.take(places).content()), dim=1)
            described = start_KD.any(1)
            self.history.weight[places[described]] = start_KD[described]

    def forward(self, batch: Batch) -> Tensor:
        """(): the loss of a batch."""
        items_KD = self.item_tower(batch.inputs)
        read_BLD = self.history(batch.history.clamp(min=0)) if self.history is not None else items_KD[batch.before]
        users_BD = self.user_tower(read_BLD, batch.lengths, batch.profile)
        with torch.autocast(users_BD.device.type, enabled=False):
            return self.loss(_pairs(batch, users_BD.float(), items_KD.float()))


def _pairs(batch: Batch, users_BD: Tensor, items_KD: Tensor) -> Pairs:
    return Pairs(
        user_vectors=users_BD,
        item_vectors=items_KD[batch.chosen],
        users=batch.users,
        items=batch.inputs.items[batch.chosen],
        history=batch.history,
        user_share=batch.user_share,
        item_share=batch.item_share[batch.chosen],
        negative_vectors=items_KD[batch.drawn],
        negatives=batch.inputs.items[batch.drawn],
        negative_share=batch.item_share[batch.drawn],
    )


class _Task:
    """Every event of the training part is what came after the events before it."""

    def __init__(self, owner: TwoTower, given: TrainingSet, table: ItemTable) -> None:
        config = owner.config
        self.owner, self.module, self.given = owner, owner.network, given
        self.sampler = PairSampler(
            train=given,
            table=table,
            seed=config.loop.seed,
            batch_size=config.batch_size,
            history_length=config.history_length,
            targets_per_user=config.targets_per_user,
            uniform_negatives=config.uniform_negatives,
            items_in_history=config.history_inputs == "items",
        )

    def batches(self, epoch: int) -> Sequence[Batch]:
        return self.sampler.batches(epoch)

    def loss(self, batch: Batch) -> Tensor:
        return self.module(batch)

    def validate(self) -> float | None:
        """NDCG@10 of what is held out for it."""
        if self.given.validation is None:
            return None
        self.owner.settle(self.sampler.table)
        return evaluate(self.owner, self.given.validation, train=self.given, ks=(10,)).means["ndcg@10"]


class TwoTower:
    """Learns both towers together; a query is the user tower's vector, an item that of the item tower."""

    name: ClassVar[str] = "two_tower"

    def __init__(
        self, config: Config, *, folder: Path | None = None, report: Callable[[Progress], None] | None = None
    ) -> None:
        """Checkpoints are kept in `folder`, if given; `report` is told the progress."""
        self.config, self.folder, self.report = config, folder, report
        self.history: tuple[Epoch, ...] = ()
        self.scales: dict[str, Scale] = {}
        self._network: Network | None = None
        self._items_VD = torch.zeros(0, config.dimension)

    @property
    def network(self) -> Network:
        """The weights.

        Raises:
            ValueError: Nothing was fitted or loaded.
        """
        if self._network is None:
            raise ValueError(f"{self.name}: asked before it was fitted; call `fit` or `load` first")
        return self._network

    def fit(self, train: TrainingSet) -> Self:
        """Learn; returns itself.

        Raises:
            ValueError: A modality is no feature of the training set, or there is nothing to learn from.
        """
        if not len(train.events):
            raise ValueError(f"{self.name}: the training set has no events; expected pairs of a user and an item")
        torch.manual_seed(self.config.loop.seed)
        self.scales = scales(train, self.config.modalities)
        seen = train.popularity() > 0
        genders, countries = train.profiles.max(axis=0, initial=NOBODY) + 1
        widths = {name: len(scale.mean) for name, scale in self.scales.items()}
        codes = (int(genders), int(countries))
        self._network = Network(self.config, widths=widths, seen=torch.from_numpy(seen), codes=codes)
        table = ItemTable(train.features, self.scales, seen)
        self._network.begin(table)
        self.history = run(_Task(self, train, table), self.config.loop, folder=self.folder, report=self.report)
        self.settle(table)
        return self

    def settle(self, table: ItemTable) -> None:
        """Compute the vectors that are served, of all items of the training set."""
        self._items_VD = self._vectors(table)

    @torch.no_grad()
    def _vectors(self, table: ItemTable) -> Tensor:
        tower = self.network.item_tower.eval()
        device = next(tower.parameters()).device
        parts = [table.take(places).to(device) for places in torch.arange(len(table)).split(AT_A_TIME)]
        return torch.cat([tower(part).float().cpu() for part in parts])

    def embed(self, features: Mapping[str, Feature]) -> NDArray[np.float32]:
        """(n, D): vectors of n items that came after the training, by their content alone."""
        missing = [name for name in self.config.modalities if name not in features]
        if missing or not features:
            raise ValueError(
                f"{self.name}: no feature '{', '.join(missing)}' of the new items; the item tower reads it"
            )
        count = len(next(iter(features.values())).present)
        return self._vectors(ItemTable(features, self.scales, np.zeros(count, bool))).numpy()

    def item_vectors(self) -> NDArray[np.float32]:
        """(V, D), of unit length."""
        return self._items_VD.numpy()

    def user_tower(self) -> ServedUserTower:
        """What answers requests: the user tower with the table that histories are read from, where the weights are."""
        history, tower = self.network.history, self.network.user_tower.eval()
        table_VD = self._items_VD if history is None else history.weight.detach()
        return ServedUserTower(tower, table_VD.to(tower.nothing.device)).eval()

    @torch.no_grad()
    def query_vectors(self, queries: Queries) -> NDArray[np.float32]:
        """(B, D), of unit length."""
        tower = self.user_tower()
        history, lengths = newest(known(queries.history, len(self._items_VD)), self.config.history_length)
        asked = [torch.from_numpy(part.astype(np.int64)) for part in (history, lengths, queries.profile)]
        parts = zip(*(part.to(tower.table_VD.device).split(AT_A_TIME) for part in asked), strict=True)
        return torch.cat([tower(*part).float().cpu() for part in parts]).numpy()

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V), cosines."""
        return self.query_vectors(queries) @ self.item_vectors().T

    def export_onnx(self, path: Path) -> None:
        """Write the served user tower: see `ServedUserTower.forward`; L is `history_length`."""
        export_user_tower(self.user_tower(), path, length=self.config.history_length)

    def save(self, folder: Path) -> None:
        """model.json and weights.safetensors."""
        network = self.network
        told = {
            "model": self.name,
            "config": asdict(self.config),
            "items": len(self._items_VD),
            "codes": network.user_tower.codes,
            "widths": {name: len(scale.mean) for name, scale in self.scales.items()},
        }
        fits = {
            f"scale.{name}.{key}": torch.from_numpy(v) for name, s in self.scales.items() for key, v in vars(s).items()
        }
        weights = {f"network.{name}": value.cpu().contiguous() for name, value in network.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        save_file({**weights, **fits, "items": self._items_VD}, folder / "weights.safetensors")
        (folder / "model.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote.

        Raises:
            ValueError: The folder holds another model.
        """
        told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if told["model"] != cls.name:
            raise ValueError(f"{folder}: holds model '{told['model']}', expected '{cls.name}'; load it as what it is")
        weights = load_file(folder / "weights.safetensors")
        settings: dict[str, Any] = {"shortcut": False, **told["config"]}  # models that are older than it have none
        loaded = cls(Config(**settings))
        loaded.scales = {
            name: Scale(**{key: weights[f"scale.{name}.{key}"].numpy() for key in ("mean", "deviation")})
            for name in told["widths"]
        }
        seen = torch.ones(told["items"], dtype=torch.bool)  # only for the first values of weights that are read now
        network = Network(loaded.config, widths=told["widths"], seen=seen, codes=tuple(told["codes"]))
        network.load_state_dict({k.removeprefix("network."): v for k, v in weights.items() if k.startswith("network.")})
        loaded._network, loaded._items_VD = network.eval(), weights["items"]
        return loaded
