"""Two towers: what they read, what they must not, and that what is served is what was trained."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from training.contrastive import NO_ITEM
from training.data import NO_TIME, UNKNOWN, Cases, Events, Feature, Queries, Ragged, TrainingSet
from training.models.content_knn import Config as NeighboursConfig
from training.models.content_knn import ContentKnn
from training.models.two_tower import Config, Network, TwoTower
from training.scaling import Scale, content_vectors, scales
from training.tower_batches import ItemTable, PairSampler, newest
from training.towers import ItemInputs, ItemTower, TowerConfig, UserTower

COLD = (6, 13)
"""Items that nobody met; 0 to 6 are of one group, 7 to 13 of the other."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def training_set(rows: list[list[int]], features: dict[str, Feature] | None = None) -> TrainingSet:
    history, count = Ragged.of(rows), sum(map(len, rows))
    events = Events(
        user=history.rows.astype(np.int32),
        item=history.values,
        at=np.full(count, NO_TIME),
        value=np.full(count, np.nan, np.float32),
    )
    profiles = np.stack([np.arange(len(rows)) % 3, np.arange(len(rows)) // 2 % 2], 1).astype(np.int32)
    return TrainingSet(events=events, items=14, users=len(rows), profiles=profiles, features=features or {})


@cache
def groups() -> TrainingSet:
    """Listeners of one group or the other, in any order; the content says which group an item is of."""
    dice = np.random.default_rng(0)
    rows = [(dice.permutation(6)[:5] + 7 * (user % 2)).tolist() for user in range(24)]
    vectors = np.repeat(np.eye(2, dtype=np.float32), 7, axis=0)[:, [0, 1, 0]] + dice.normal(0, 0.1, (14, 3))
    there = np.arange(14) != 2
    content = Feature(
        name="content", values=(vectors * there[:, None]).astype(np.float32), present=there, known_at="static"
    )
    return training_set(rows, {"content": content})


TINY: dict[str, Any] = {
    "dimension": 16,
    "modality_dimension": 8,
    "modalities": ("content",),
    "history_length": 6,
    "heads": 2,
    "layers": 1,
    "batch_size": 24,
    "loop": {"epochs": 8, "learning_rate": 0.01, "patience": None},
}
HISTORIES = [[0, 1, 2], [], [8], [6, 99, 3, 4, 5, 1, 0, 2], [13, 9]]


@cache
def fitted(**settings: Any) -> TwoTower:
    return TwoTower(Config(**{**TINY, **settings})).fit(groups())


def test_an_item_that_nobody_met_is_found_by_its_content() -> None:
    scores = fitted().score(Queries.of([[0, 1, 3], [7, 9, 10]]))
    assert scores[0, COLD[0]] > scores[0, 7:].max()
    assert scores[1, COLD[1]] > scores[1, :7].max()


def test_what_is_hidden_of_a_batch_is_there_when_served() -> None:
    tower = ItemTower(TowerConfig(input_dropout=0.5, id_embedding=False, dropout=0.0), modalities={"a": 40}, items=3)
    there = torch.ones(3, dtype=torch.bool)
    inputs = ItemInputs({"a": torch.ones(3, 40)}, {"a": there}, torch.arange(3), there)
    hidden, served = tower(inputs), tower.eval()(inputs)
    assert not torch.allclose(hidden[0], hidden[1])
    torch.testing.assert_close(served[0], served[1])


@pytest.mark.parametrize("history_inputs", ["ids", "items"])
def test_before_anything_is_learnt_they_answer_as_content_neighbours(history_inputs: str) -> None:
    loop = {"epochs": 1, "learning_rate": 1e-9, "patience": None}
    settings = {**TINY, "history_inputs": history_inputs, "pooling": "mean", "loop": loop}
    model = TwoTower(Config(**settings)).fit(groups())
    described = np.arange(14) != 2
    items, content = model.item_vectors()[described], content_vectors(groups().features, model.scales)[described]
    np.testing.assert_allclose(items @ items.T, content @ content.T, atol=0.2)
    asked = Queries.of([[0, 1, 3], [7, 9, 10]])
    neighbours = ContentKnn(NeighboursConfig(modalities=("content",))).fit(groups()).score(asked)
    assert np.corrcoef(model.score(asked)[:, described].ravel(), neighbours[:, described].ravel())[0, 1] > 0.98


def test_half_is_hidden_where_there_are_twice_as_many_items_as_numbers() -> None:
    def hidden(**settings: Any) -> float:
        config = Config(**{**TINY, **settings})
        seen = torch.arange(14) < 6
        return Network(config, widths={"content": 3}, seen=seen, codes=(1, 1)).item_tower.input_dropout.p

    assert hidden() == 0.5
    assert hidden(input_dropout=0.0) == 0


def test_a_model_that_was_stored_before_there_were_shortcuts_answers_as_it_did(tmp_path: Path) -> None:
    model = fitted(shortcut=False)
    model.save(tmp_path)
    told = json.loads((tmp_path / "model.json").read_text())
    del told["config"]["shortcut"]
    (tmp_path / "model.json").write_text(json.dumps(told))
    asked = Queries.of(HISTORIES)
    np.testing.assert_array_equal(TwoTower.load(tmp_path).score(asked), model.score(asked))


def test_of_ids_alone_all_items_that_nobody_met_are_the_same() -> None:
    vectors = fitted(modalities=()).item_vectors()
    np.testing.assert_array_equal(vectors[COLD[0]], vectors[COLD[1]])
    assert not np.allclose(vectors[0], vectors[7])


def test_the_id_of_an_item_without_training_events_says_nothing() -> None:
    model, table = fitted(), table_of(groups())
    before = model.item_vectors().copy()
    assert model.network.item_tower.ids is not None
    kept = model.network.item_tower.ids.weight.data.clone()
    model.network.item_tower.ids.weight.data[list(COLD)] += 100.0
    model.settle(table)
    np.testing.assert_array_equal(model.item_vectors(), before)
    model.network.item_tower.ids.weight.data.copy_(kept)


def test_an_item_that_came_later_is_embedded_as_one_that_nobody_met() -> None:
    content = groups().features["content"]
    later = replace(content, values=content.values[list(COLD)], present=content.present[list(COLD)])
    np.testing.assert_allclose(fitted().embed({"content": later}), fitted().item_vectors()[list(COLD)], atol=1e-6)
    with pytest.raises(ValueError, match="two_tower: no feature 'content' of the new items"):
        fitted().embed({"other": later})


@pytest.mark.parametrize("pooling", ["mean", "gru", "attention"])
def test_what_stands_behind_the_length_changes_nothing(pooling: Any) -> None:
    torch.manual_seed(0)
    config = TowerConfig(dimension=8, heads=2, pooling=pooling, history_length=7)
    tower = UserTower(config, genders=2, countries=3).eval()
    history, lengths, profile = torch.randn(4, 7, 8), torch.tensor([0, 1, 5, 7]), torch.zeros(4, 2).long()
    given = tower(history, lengths, profile)
    other = history.clone()
    for row, length in enumerate(lengths):
        other[row, length:] = torch.nan
    torch.testing.assert_close(tower(other, lengths, profile), given, rtol=0, atol=1e-6)
    torch.testing.assert_close(tower(history[:3, :5], lengths[:3], profile[:3]), given[:3], rtol=0, atol=1e-5)
    assert torch.isfinite(given).all()


@pytest.mark.parametrize("pooling", ["gru", "attention"])
def test_the_order_of_a_history_matters(pooling: Any) -> None:
    torch.manual_seed(0)
    config = TowerConfig(dimension=8, heads=2, pooling=pooling, history_length=3)
    tower = UserTower(config, genders=1, countries=1).eval()
    history, lengths, profile = torch.randn(1, 3, 8), torch.tensor([3]), torch.zeros(1, 2).long()
    assert not torch.allclose(tower(history, lengths, profile), tower(history.flip(1), lengths, profile), atol=1e-4)


def test_unknown_codes_of_gender_and_country_are_those_of_nobody() -> None:
    tower = UserTower(TowerConfig(dimension=8, heads=2), genders=2, countries=3).eval()
    torch.nn.init.normal_(tower.mlp[-1].weight)
    history, lengths = torch.randn(3, 4, 8)[:1].expand(3, -1, -1), torch.tensor([2, 2, 2])
    given = tower(history, lengths, torch.tensor([[0, 0], [7, 9], [1, 2]]))
    assert torch.equal(given[0], given[1])
    assert not torch.allclose(given[0], given[2])


def test_a_missing_modality_is_what_was_learnt_for_it_whatever_stands_there() -> None:
    tower = ItemTower(TowerConfig(dimension=8, id_embedding=False), modalities={"text": 3}, items=2).eval()
    tower.missing["text"].data.normal_()
    inputs = ItemTable(
        {
            "text": Feature(
                name="text", values=np.ones((2, 3), np.float32), present=np.array([False, False]), known_at="static"
            )
        },
        {"text": Scale(mean=np.zeros(3, np.float32), deviation=np.ones(3, np.float32))},
        np.ones(2, bool),
    ).take(torch.arange(2))
    inputs.values["text"][1] = 50.0
    vectors = tower(inputs)
    torch.testing.assert_close(vectors[0], vectors[1])


def table_of(train: TrainingSet) -> ItemTable:
    return ItemTable(train.features, scales(train, tuple(train.features)), train.popularity() > 0)


def sampler(rows: list[list[int]], **settings: Any) -> PairSampler:
    train = training_set(rows)
    chosen: dict[str, Any] = {
        "seed": 0,
        "batch_size": 4,
        "history_length": 2,
        "targets_per_user": None,
        "uniform_negatives": 0,
        "items_in_history": True,
    }
    return PairSampler(train=train, table=table_of(train), **{**chosen, **settings})


def pairs_of(found: PairSampler, epoch: int = 0) -> list[tuple[int, tuple[int, ...], int]]:
    """User, history and target of every row."""
    return [
        (int(user), tuple(history[:length].tolist()), int(batch.inputs.items[place]))
        for batch in found.batches(epoch)
        for user, history, length, place in zip(batch.users, batch.history, batch.lengths, batch.chosen, strict=True)
    ]


def test_a_pair_is_what_came_before_an_event_and_the_event() -> None:
    pairs = pairs_of(sampler([[3, 1, 3, 2], [], [5], [4, 4, 9]]))
    assert sorted(pairs) == [
        (0, (), 3), (0, (1, 3), 2), (0, (3,), 1), (0, (3, 1), 3),
        (2, (), 5), (3, (), 4), (3, (4,), 4), (3, (4, 4), 9),
    ]  # fmt: skip


def test_places_of_a_batch_lead_back_to_its_items() -> None:
    found = sampler([[3, 1, 3, 2], [4, 4, 9]], uniform_negatives=3)
    for batch in found.batches(0):
        items = batch.inputs.items
        real = batch.history != NO_ITEM
        assert torch.equal(items[batch.before][real], batch.history[real])
        assert set(items[batch.drawn].tolist()) <= {1, 2, 3, 4, 9}
        assert len(batch.drawn) == 3


def test_an_epoch_is_the_same_again_and_no_two_are() -> None:
    found = sampler([[3, 1, 3, 2], [4, 4, 9, 5]])
    assert pairs_of(found, 1) == pairs_of(found, 1)
    assert pairs_of(found, 1) != pairs_of(found, 2)


def test_of_each_user_at_most_so_many_targets_and_shares_are_of_those() -> None:
    found = sampler([[3, 1, 3, 2], [5], [4, 4, 9]], targets_per_user=2, batch_size=5)
    drawn = [pair for epoch in range(400) for pair in pairs_of(found, epoch)]
    assert [sum(user == u for user, _, _ in drawn) / 400 for u in range(3)] == [2, 1, 2]
    np.testing.assert_allclose(found.user_share[:3], [0.4, 0.2, 0.4])
    # Item 3 has 2 of the 4 events of user 0, who has 2 of the 5 targets; item 4 has 2 of 3 of user 2.
    np.testing.assert_allclose(found.item_share[[3, 1, 4, 9, 5]], [0.2, 0.1, 2 / 3 * 0.4, 1 / 3 * 0.4, 0.2], rtol=1e-6)
    seen = np.bincount([item for _, _, item in drawn], minlength=14) / len(drawn)
    np.testing.assert_allclose(seen, found.item_share, atol=0.03)


def test_newest_keeps_the_end_of_each_history() -> None:
    items, lengths = newest(Ragged.of([[1, 2, 3], [], [4]]), 2)
    assert items.tolist() == [[2, 3], [NO_ITEM, NO_ITEM], [4, NO_ITEM]]
    assert lengths.tolist() == [2, 0, 1]


def test_a_scale_is_of_the_items_with_events_and_the_modality() -> None:
    train = groups()
    values = train.features["content"].values.copy()
    values[[2, *COLD]] = 1e6
    spoilt = replace(train, features={"content": replace(train.features["content"], values=values)})
    for scale, other in zip(scales(train, ("content",)).values(), scales(spoilt, ("content",)).values(), strict=True):
        np.testing.assert_array_equal(scale.mean, other.mean)
        np.testing.assert_array_equal(scale.deviation, other.deviation)


@pytest.mark.parametrize("pooling", ["gru", "attention"])
def test_the_exported_user_tower_answers_as_the_trained_one(pooling: str, tmp_path: Path) -> None:
    model = TwoTower(Config(**{**TINY, "pooling": pooling, "history_inputs": "items", "loop": {"epochs": 1}}))
    model.fit(groups())
    model.export_onnx(tmp_path / "user_tower.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "user_tower.onnx")
    for histories in (HISTORIES, HISTORIES[:1]):
        asked = replace(Queries.of(histories), profile=np.array([[2, 1]] * len(histories), np.int32))
        items, lengths = newest(asked.history, 6)
        given = {"items": items, "lengths": lengths.astype(np.int64), "profile": asked.profile.astype(np.int64)}
        (vectors,) = session.run(["vector"], given)
        np.testing.assert_allclose(vectors, model.query_vectors(asked), atol=1e-5)


def test_gradient_accumulation_is_refused() -> None:
    with pytest.raises(ValueError, match="gradient_accumulation is 2, expected 1: parts of a batch that do not see"):
        Config(loop={"gradient_accumulation": 2})  # type: ignore[arg-type]


def test_a_modality_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="no feature 'smell' in the training set; it has content"):
        TwoTower(Config(**{**TINY, "modalities": ("smell",)})).fit(groups())


def test_validation_is_the_ndcg_of_its_cases() -> None:
    cases = Cases(
        queries=replace(Queries.of([[0, 1], [7, 8]]), user=np.array([UNKNOWN, UNKNOWN], np.int32)),
        targets=Ragged.of([[3], [9]]),
        candidates=np.isin(np.arange(14), [3, 9]),
        filter_seen=True,
    )
    model = TwoTower(Config(**TINY)).fit(replace(groups(), validation=cases))
    # Two candidates: a target stands first, 1, or second, 1 / log2(3).
    possible = np.array([1.0, (1 + 1 / np.log2(3)) / 2, 1 / np.log2(3)])
    assert all(np.isclose(row.score, possible).any() for row in model.history)
    assert model.history[-1].score == pytest.approx(1.0)
