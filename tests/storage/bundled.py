"""A toy retriever, and a store with a release to publish it for."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import onnx
import pyarrow as pa
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

from storage.bundles import Bundle
from storage.releases import Release, publish
from storage.schemas import table_of
from storage.store import Store
from tasks.publish import Publishing, publish_bundle
from tests.storage.test_store import FACTS, versions_of
from training.data import NO_TIME, Dataset, Events, Feature, Queries, TrainingSet

D, LENGTH, COUNTRIES = 16, 8, ("", "NO", "SE")


class Toy:
    """Random item vectors; a query is linear in the mean of the last 8 items, plus a vector of the country."""

    name: ClassVar[str] = "toy"

    def __init__(self, items: int, seed: int = 0, d: int = D) -> None:
        dice = np.random.default_rng(seed)
        vectors = dice.standard_normal((items, d)).astype(np.float32)
        self.parts = {
            "items": vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            "weights": (np.eye(d) + 0.1 * dice.standard_normal((d, d))).astype(np.float32),
            "country": 0.1 * dice.standard_normal((len(COUNTRIES), d)).astype(np.float32),
        }

    def fit(self, train: TrainingSet) -> Self:
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        return self.query_vectors(queries) @ self.item_vectors().T

    def item_vectors(self) -> NDArray[np.float32]:
        return self.parts["items"]

    def query_vectors(self, queries: Queries) -> NDArray[np.float32]:
        means = [self.parts["items"][row[-LENGTH:]].mean(axis=0) for row in queries.history]
        return np.stack(means) @ self.parts["weights"] + self.parts["country"][queries.profile[:, 1]]

    def save(self, folder: Path) -> None:
        save_file(self.parts, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"name": self.name}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        made = cls(1)
        made.parts = load_file(folder / "model.safetensors")
        return made

    def export_onnx(self, path: Path) -> None:
        """By hand, as exporting by torch takes seconds: mask = position < length."""
        given = {
            "items": helper.make_tensor_value_info("items", TensorProto.INT64, [1, LENGTH]),
            "lengths": helper.make_tensor_value_info("lengths", TensorProto.INT64, [1]),
            "profile": helper.make_tensor_value_info("profile", TensorProto.INT64, [1, 2]),
        }
        constants = {name.replace("items", "vectors"): part for name, part in self.parts.items()} | {
            "positions": np.arange(LENGTH, dtype=np.int64)[None],
            "one": np.array([1], np.int64),
            "last": np.array([-1], np.int64),
        }
        nodes = [
            helper.make_node("Gather", ["vectors", "items"], ["met"]),
            helper.make_node("Less", ["positions", "lengths"], ["real"]),
            helper.make_node("Cast", ["real"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
            helper.make_node("Mul", ["met", "mask3"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "one"], ["sum"], keepdims=0),
            helper.make_node("Cast", ["lengths"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["sum", "count"], ["mean"]),
            helper.make_node("MatMul", ["mean", "weights"], ["bare"]),
            helper.make_node("Gather", ["profile", "one"], ["code2"], axis=1),
            helper.make_node("Squeeze", ["code2", "one"], ["code"]),
            helper.make_node("Gather", ["country", "code"], ["where"]),
            helper.make_node("Add", ["bare", "where"], ["vector"]),
        ]
        out = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, None])
        held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "toy", list(given.values()), [out], held)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def dataset(items: int = 200, users: int = 60, seed: int = 0, version: str = "1") -> Dataset:
    """Listeners of Norway and, from the 41st, of Sweden, with 12 items each; the last ten items are met by nobody."""
    dice = np.random.default_rng([seed, items])
    user = np.repeat(np.arange(users), 12).astype(np.int32)
    met = np.concatenate([dice.choice(items - 10, 12, replace=False) for _ in range(users)]).astype(np.int32)
    feature = Feature(
        name="minilm",
        values=np.ones((items, 2), np.float32),
        present=np.ones(items, bool),
        known_at="static",
        version=version,
    )
    return Dataset(
        name="toy",
        item_ids=tuple(f"i{n:05d}" for n in range(items)),
        user_ids=tuple(f"u{n:03d}" for n in range(users)),
        events=Events(
            user=user,
            item=met,
            at=np.full(len(user), NO_TIME),
            value=np.full(len(user), np.nan, np.float32),
        ),
        titles=tuple(f"Title {n}" for n in range(items)),
        profiles=np.stack([np.zeros(users), 1 + (np.arange(users) >= 40)], 1).astype(np.int32),
        countries=COUNTRIES,
        features={"minilm": feature},
    )


def released(store: Store, data: Dataset) -> Release:
    """A release with these items, and a feature of one version."""
    store.create(["features/minilm"])
    now = datetime.now(UTC)
    common = {"input_hash": 0, "value_hash": 0, "version": "1", "attempt": 1, "computed_at": now}
    for table, extra in (("items", {"title": "T", "kind": "film"}), ("features/minilm", {"value": [1.0, 0.0]})):
        values = common | extra
        columns = {
            f.name: pa.array(data.item_ids if f.name == "item_id" else [values.get(f.name)] * data.items, f.type)
            for f in table_of(table).schema
        }
        store.append(table, pa.table(columns))
    return publish(store, versions_of(store), partial=False, **FACTS)


SLOT = "film"


def published(
    url: str, *, items: int = 200, seed: int = 0, model_id: str | None = None, keep: int = 3, slot: str = SLOT
) -> Bundle:
    """A store at the URL with a bundle of a toy; the release is made where it is not there."""
    from storage.releases import current_release

    store, data = Store(url), dataset(items)
    release = current_release(store) or released(store, data)
    how = Publishing(keep=keep)
    model_id = model_id or f"toy-{seed}"
    return publish_bundle(store, release, Toy(items, seed), slot=slot, model_id=model_id, data=data, how=how)
