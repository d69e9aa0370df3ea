"""RecTools' SASRec, run by `benchmarks.sasrec` in an environment of its own, where nothing of this project is.

    python sasrec_peer.py JOB.json

JOB names the sequences (npz: values, starts; the last two items of each are held out), loss, epochs, seed, threads and
where vectors and seconds per epoch go.
"""

# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportPrivateUsage=false

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

WIDE = {"n_blocks": 2, "n_factors": 64, "session_max_len": 50, "batch_size": 128}


class Clock(Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.began = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Clock":
        """Itself: the model trains with a copy of its trainer."""
        return self

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin."""
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """End."""
        self.seconds.append(time.perf_counter() - self.began)


def interactions(sequences: list[np.ndarray], held_out: int) -> pd.DataFrame:
    """All but the last so many items of each; time is the place."""
    kept = [row[: len(row) - held_out] for row in sequences]
    return pd.DataFrame(
        {
            Columns.User: np.repeat(np.arange(len(kept)), [len(row) for row in kept]),
            Columns.Item: np.concatenate(kept),
            Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(np.concatenate([np.arange(len(row)) for row in kept]), unit="s"),
        }
    )


def vectors(model: SASRecModel, sequences: list[np.ndarray], held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Of users, in the order of `sequences`, after all but the last so many items; of items, in the model's order."""
    asked = Dataset.construct(interactions(sequences, held_out))
    users = np.arange(len(sequences))
    known = model.data_preparator.transform_dataset_u2i(asked, users)
    loader = model.data_preparator.get_dataloader_recommend(known, model.recommend_batch_size)
    of_users, of_items = model.lightning_model._get_user_item_embeddings(loader, "cpu")
    order = known.user_id_map.convert_to_internal(users)
    return of_users.numpy()[order], of_items.numpy()


def run(job: dict[str, Any]) -> None:
    """Fit and write."""
    torch.set_num_threads(job["threads"])
    seed_everything(job["seed"])
    given, clock = np.load(job["sequences"]), Clock()
    sequences = np.split(given["values"], given["starts"][1:-1])

    def trainer() -> Trainer:
        return Trainer(
            max_epochs=job["epochs"],
            min_epochs=job["epochs"],
            deterministic=True,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            logger=False,
            devices=1,
            accelerator="cpu",
            callbacks=[clock],
        )

    loss = {"softmax": {"loss": "softmax"}, "bce": {"loss": "BCE", "n_negatives": 1}}[job["loss"]]
    model = SASRecModel(**WIDE, **loss, get_trainer_func=trainer)
    model.fit(Dataset.construct(interactions(sequences, 2)))
    ids = model.data_preparator.item_id_map.external_ids[model.data_preparator.n_item_extra_tokens :].astype(np.int64)
    validation, of_items = vectors(model, sequences, 2)
    test, _ = vectors(model, sequences, 1)
    items = np.full((job["items"], of_items.shape[1]), np.nan, np.float32)  # NaN: not in training, so not known here
    items[ids] = of_items[model.data_preparator.n_item_extra_tokens :]
    np.savez(job["out"], validation=validation, test=test, items=items, seconds=clock.seconds)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        run(json.load(file))
