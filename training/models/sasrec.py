"""Self-attention over what somebody met, for the next item (SASRec, Kang & McAuley 2018, arXiv 1808.09781)."""

# B queries, T places, N targets, V items, D width

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from training.checkpoint import Epoch, copied
from training.data import Cases, Queries, Ragged, TrainingSet
from training.evaluation import evaluate
from training.loop import LoopSettings, Progress
from training.loop import train as learn
from training.losses import chunked_cross_entropy, gbce, negatives, sampled_softmax
from training.models.files import read_model, write_model
from training.sequences import Epochs, NextItems, known, padded
from training.transformer import Transformer, TransformerShape
from training.user_tower import export_user_tower

AT_A_TIME = 512
"""Queries, when asked."""
EVENTS_AT_A_TIME = 2**22
"""Of histories, when validated: 16 MB."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is learnt; the default is the strong configuration for short catalogues."""

    dimension: int = 64
    heads: int = 2
    blocks: int = 2
    hidden: int = 256
    dropout: float = 0.2
    attention_dropout: float = 0.0
    norm: Literal["pre", "post"] = "pre"
    activation: Literal["gelu", "relu"] = "gelu"
    positions: Literal["learned", "sinusoidal"] = "learned"
    length: int = 50  # the last so many items are seen
    whole_histories: bool = False  # also what came before the last `length` + 1 items is learnt from, in windows
    # Items enter times the root of the dimension, as in the authors' own code. What begins near zero is drowned by the
    # positions otherwise: ml-1m, validation NDCG@10, softmax, 30 epochs: .161 for .156; BCE, 12 epochs: .075 for .037.
    scaled: bool = True
    tied: bool = True  # one vector per item, where it enters and where it is scored
    bias: bool = False  # one number per item, learnt, added to its score
    loss: Literal["softmax", "sampled_softmax", "gbce"] = "softmax"
    negatives: int = 256  # per target; shared by all of a batch in sampled_softmax
    popularity_power: float = 0.0  # sampled_softmax draws by (1 + count) to this power
    calibration: float = 0.75  # t of gbce; with 0 and one negative it is SASRec's own loss
    batch_size: int = 128  # sequences, of all processes and parts together
    validate_by: Literal["loss", "ndcg"] = "loss"  # of the first item held out; NDCG@10 of all, in the full ranking
    loop: LoopSettings = field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        """Settings of the loop may come as a mapping, as a file has them."""
        object.__setattr__(self, "loop", LoopSettings.of(self.loop))

    @property
    def shape(self) -> TransformerShape:
        """Of the Transformer alone."""
        return TransformerShape(**{name: getattr(self, name) for name in TransformerShape.__dataclass_fields__})


SPACE: dict[str, tuple[Any, ...]] = {
    "dimension": (32, 64, 128),
    "blocks": (1, 2, 3),
    "dropout": (0.1, 0.2, 0.5),
    "loop.learning_rate": (0.0005, 0.001, 0.002),
}


WIDE = Config(
    dimension=512,
    heads=8,
    hidden=2048,
    dropout=0.1,
    attention_dropout=0.1,
    norm="post",
    activation="relu",
    positions="sinusoidal",
    length=90,
    tied=False,
    bias=True,
    loop=LoopSettings(learning_rate=1e-4),
)
"""As Transformers for films are built: post-norm, sinusoidal positions, a head of its own."""


class Network(nn.Module):
    """Vectors of items, the Transformer over them, and what scores are made of."""

    def __init__(self, config: Config, items: int) -> None:
        super().__init__()
        self.config = config
        self.items_VD = nn.Parameter(torch.randn(items, config.dimension) * 0.02)  # as BERT and GPT-2 begin
        self.transformer = Transformer(config.shape)
        self.head_VD = None if config.tied else nn.Parameter(torch.randn(items, config.dimension) * 0.02)
        self.bias_V = nn.Parameter(torch.zeros(items)) if config.bias else None

    @property
    def scored_VD(self) -> Tensor:
        """What hidden states are multiplied with."""
        return self.items_VD if self.head_VD is None else self.head_VD

    def forward(self, items_BT: Tensor, last_B: Tensor | None = None) -> Tensor:
        """(B, T) items -> (B, T, D); place t knows items up to t. (B, 1, D) at `last_B` alone takes half as long."""
        x_BTD = F.embedding(items_BT, self.items_VD)
        return self.transformer(x_BTD * self.config.dimension**0.5 if self.config.scaled else x_BTD, last_B)


class ServedStates(nn.Module):
    """What a bundle stores of a fitted network: from a history to what is multiplied with item vectors."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, items: Tensor, lengths: Tensor, profile: Tensor) -> Tensor:
        """(B, D), or (B, D + 1) with 1 behind where items have a bias.

        Args:
            items: (B, L) int64, the oldest first, padded behind with -1, which no real place sees.
            lengths: (B,) int64, 1 to L.
            profile: (B, 2) int64; a sequence model reads none.
        """
        state_BD = self.network(items.clamp(min=0), lengths - 1)[:, 0]
        if self.network.bias_V is not None:
            state_BD = F.pad(state_BD, (0, 1), value=1.0)
        return state_BD


class _NextItemTask:
    """Every place of every window predicts the item after it."""

    def __init__(self, model: Sasrec, given: TrainingSet) -> None:
        self.model, self.module, self.config, self.given = model, model.network, model.config, given
        config = self.config
        self.epochs = Epochs(
            given.events.histories(given.users),
            length=config.length,
            whole=config.whole_histories,
            batch_size=config.batch_size,
            accumulation=config.loop.gradient_accumulation,
            seed=config.loop.seed,
        )
        drawn = torch.from_numpy((1.0 + given.popularity()) ** config.popularity_power)
        self.log_q_V = (drawn / drawn.sum()).log().float()

    def batches(self, epoch: int) -> Sequence[NextItems]:
        return self.epochs.of(epoch)

    def loss(self, batch: NextItems) -> Tensor:
        hidden_ND = self.module(batch.items_BT).flatten(0, 1)[batch.places_N]
        return self._sum(hidden_ND, batch.targets_N) * batch.share

    def _sum(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Over targets."""
        network, config = self.module, self.config
        vectors_VD, bias_V = network.scored_VD, network.bias_V
        if config.loss == "softmax":
            return chunked_cross_entropy(hidden_ND, vectors_VD, targets_N, bias_V)
        if config.loss == "gbce":
            drawn_NK = negatives(targets_N, len(vectors_VD), config.negatives)
            return gbce(hidden_ND, vectors_VD, targets_N, drawn_NK, config.calibration, bias_V)
        log_q_V = self.log_q_V.to(hidden_ND.device)
        drawn_K = torch.multinomial(log_q_V.exp(), config.negatives, replacement=True)
        return sampled_softmax(hidden_ND, vectors_VD, targets_N, drawn_K, log_q_V, bias_V)

    def validate(self) -> float | None:
        """As `validate_by` says; a loss is negated."""
        cases = self.given.validation
        if cases is None:
            return None
        if self.config.validate_by == "ndcg":
            return evaluate(self.model, cases, train=self.given, ks=(10,)).means["ndcg@10"]
        return -self._loss_of_first(cases)

    def _loss_of_first(self, cases: Cases) -> float:
        runs = cases.queries.parts(EVENTS_AT_A_TIME)
        states = [_last_states(self.module, cases.queries.history.take(rows)) for rows in runs]
        hidden_BD = torch.from_numpy(np.concatenate(states))
        targets_B = torch.from_numpy(cases.targets.values[cases.targets.starts[:-1]].astype(np.int64))
        vectors_VD, bias_V = self.module.scored_VD, self.module.bias_V
        device = vectors_VD.device
        loss = chunked_cross_entropy(hidden_BD.to(device), vectors_VD, targets_B.to(device), bias_V)
        return float(loss) / len(cases)


def _last_states(network: Network, histories: Ragged) -> NDArray[np.float32]:
    """(B, D): the state after the last item; zeros where there is none. Rows of like length go together."""
    device, histories = network.items_VD.device, known(histories, len(network.items_VD))
    found = np.zeros((len(histories), network.config.dimension), np.float32)
    there = np.flatnonzero(histories.lengths)
    order = there[np.argsort(np.minimum(histories.lengths[there], network.config.length), kind="stable")]
    for at in range(0, len(order), AT_A_TIME):
        rows = order[at : at + AT_A_TIME]
        items_BT, lengths_B = padded(histories, rows, network.config.length)
        states_B1D = network(items_BT.to(device), lengths_B.to(device) - 1)
        found[rows] = states_B1D[:, 0].float().cpu().numpy()
    return found


class Sasrec:
    """Learns every next item of every history; a query is the state after its last item."""

    name: ClassVar[str] = "sasrec"

    def __init__(
        self, config: Config, *, folder: Path | None = None, report: Callable[[Progress], None] | None = None
    ) -> None:
        """Checkpoints are kept in `folder`, if given; `report` is told the progress."""
        self.config, self.folder, self.report = config, folder, report
        self.history: tuple[Epoch, ...] = ()
        self._network: Network | None = None

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
        """Learn; returns itself."""
        torch.manual_seed(self.config.loop.seed)
        self._network = Network(self.config, train.items)
        task = _NextItemTask(self, train)
        self.history = learn(task, self.config.loop, folder=self.folder, report=self.report)
        return self

    def item_vectors(self) -> NDArray[np.float32]:
        """(V, D), or (V, D + 1) where items have a bias: it is the last number."""
        network = self.network
        vectors = [network.scored_VD] if network.bias_V is None else [network.scored_VD, network.bias_V[:, None]]
        return torch.cat(vectors, 1).detach().cpu().numpy()

    def query_vectors(self, queries: Queries) -> NDArray[np.float32]:
        """(B, D), or (B, D + 1) where items have a bias: 1 is the last number; zeros for an empty history."""
        with torch.no_grad():
            states = _last_states(self.network.eval(), queries.history)
        return states if self.network.bias_V is None else np.pad(states, ((0, 0), (0, 1)), constant_values=1)

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        return self.query_vectors(queries) @ self.item_vectors().T

    def export_onnx(self, path: Path) -> None:
        """Write what gives `query_vectors`: see `ServedStates.forward`; L is `length`."""
        export_user_tower(ServedStates(self.network), path, length=self.config.length)

    def save(self, folder: Path) -> None:
        """model.json and weights.safetensors."""
        arrays = {name: value.numpy() for name, value in copied(self.network.state_dict()).items()}
        write_model(folder, self.name, asdict(self.config), arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        settings, arrays = read_model(folder, cls.name)
        found = cls(Config(**settings))
        found._network = Network(found.config, len(arrays["items_VD"])).eval()
        found._network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return found
