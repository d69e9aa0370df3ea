"""SASRec: batches, the Transformer, what is learnt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from training.data import NO_TIME, Cases, Events, Queries, Ragged, TrainingSet
from training.evaluation import evaluate
from training.loop import LoopSettings
from training.models.registry import model
from training.models.sasrec import WIDE, Config, Network, Sasrec
from training.sequences import Epochs
from training.tower_batches import newest
from training.transformer import Transformer, TransformerShape, sinusoids

TINY = Config(dimension=8, hidden=16, length=5, batch_size=4, dropout=0.0, loop=LoopSettings(epochs=2))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def training_set(histories: list[list[int]], items: int, validation: Cases | None = None) -> TrainingSet:
    rows = Ragged.of(histories)
    count = len(rows.values)
    at, value = np.full(count, NO_TIME), np.full(count, np.nan, np.float32)
    events = Events(user=rows.rows.astype(np.int32), item=rows.values, at=at, value=value)
    profiles = np.zeros((len(rows), 2), np.int32)
    return TrainingSet(events=events, items=items, users=len(rows), profiles=profiles, validation=validation)


def chains(users: int, items: int = 12, length: int = 9) -> list[list[int]]:
    """Item i is followed by i + 1, round and round."""
    return [[(user * 5 + step) % items for step in range(length)] for user in range(users)]


def test_the_exported_user_tower_answers_as_the_trained_one(tmp_path: Path) -> None:
    """The number that an item has of its own is the last one of its vector, so the index counts it, too."""
    config = replace(WIDE, dimension=8, heads=2, hidden=16, length=5, loop=LoopSettings(epochs=1))
    model = Sasrec(config).fit(training_set(chains(6), 12))
    assert model.network.bias_V is not None
    model.network.bias_V.data = torch.linspace(-1, 1, 12)
    model.export_onnx(tmp_path / "user_tower.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "user_tower.onnx")
    for histories in ([[0, 1, 2], [5], [1, 2, 3, 4, 5, 6, 7, 8]], [[3]]):
        asked = Queries.of(histories)
        items, lengths = newest(asked.history, 5)
        given = {"items": items, "lengths": lengths.astype(np.int64), "profile": asked.profile.astype(np.int64)}
        (vectors,) = session.run(["vector"], given)
        np.testing.assert_allclose(vectors, model.query_vectors(asked), atol=1e-5)
        states = model.network(torch.from_numpy(items).clamp(min=0), torch.from_numpy(lengths) - 1)[:, 0]
        wanted = states @ model.network.scored_VD.T + model.network.bias_V
        np.testing.assert_allclose(vectors @ model.item_vectors().T, wanted.detach(), atol=1e-5)


def test_windows_are_the_last_items_and_every_place_predicts_the_next() -> None:
    epochs = Epochs(
        Ragged.of([[7], [1, 2], [3, 4, 5, 6, 8]]), length=3, whole=False, batch_size=2, accumulation=1, seed=0
    )
    (batch,) = epochs.of(0)
    rows = {tuple(row) for row in batch.items_BT.tolist()}
    assert rows == {(1, 0, 0), (4, 5, 6)}  # 8 is a target alone, 3 is too old; padded on the right
    follows = dict(zip(batch.items_BT.flatten()[batch.places_N].tolist(), batch.targets_N.tolist(), strict=True))
    assert follows == {1: 2, 4: 5, 5: 6, 6: 8}
    assert batch.share.item() == 1 / 4


def test_windows_of_whole_histories_have_every_pair_once() -> None:
    rows = Ragged.of([[7], [], [1, 2], [3, 4, 5, 6, 8], [9, 10, 11, 12]])
    epochs = Epochs(rows, length=3, whole=True, batch_size=9, accumulation=1, seed=0)
    (batch,) = epochs.of(0)
    assert {tuple(row) for row in batch.items_BT.tolist()} == {(1, 0, 0), (4, 5, 6), (3, 0, 0), (9, 10, 11)}
    pairs = zip(batch.items_BT.flatten()[batch.places_N].tolist(), batch.targets_N.tolist(), strict=True)
    assert sorted(pairs) == [(1, 2), (3, 4), (4, 5), (5, 6), (6, 8), (9, 10), (10, 11), (11, 12)]


def test_epochs_differ_and_come_again_the_same() -> None:
    def targets(epoch: int) -> list[int]:
        epochs = Epochs(Ragged.of(chains(8)), length=5, whole=False, batch_size=4, accumulation=1, seed=0)
        return torch.cat([batch.targets_N for batch in epochs.of(epoch)]).tolist()

    assert targets(1) == targets(1) != targets(2)
    assert sorted(targets(1)) == sorted(targets(2))


def test_parts_of_a_batch_sum_to_the_whole() -> None:
    def one_step(accumulation: int) -> Sasrec:
        loop = LoopSettings(epochs=1, gradient_accumulation=accumulation)
        return Sasrec(replace(TINY, loop=loop)).fit(training_set(histories, 12))

    histories = [[1, 2], [3, 4, 5, 6, 7], [8, 9, 10]]  # 1, 4 and 2 targets; the fourth part has no row
    whole, cut = one_step(1), one_step(4)
    np.testing.assert_allclose(cut.item_vectors(), whole.item_vectors(), rtol=0, atol=1e-5)
    assert cut.history[0].loss == pytest.approx(whole.history[0].loss, rel=1e-6)


def test_nothing_to_learn_is_told() -> None:
    with pytest.raises(ValueError, match="no history has two items"):
        Sasrec(TINY).fit(training_set([[1], [2]], 3))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_is_torchs_layer_with_a_causal_mask(norm: str) -> None:
    torch.manual_seed(0)
    shape = TransformerShape(dimension=8, heads=2, blocks=1, hidden=16, norm=norm, activation="relu", length=6)  # type: ignore[arg-type]
    ours = Transformer(shape).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_()
    block, peer = ours.blocks[0], nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm == "pre")
    pairs = {"self_attn.in_proj_": "into.", "self_attn.out_proj.": "out.", "linear1.": "up.", "linear2.": "down."}
    pairs |= {"norm1.": "attend_norm.", "norm2.": "feed_norm."}
    ends = ("weight", "bias")
    state = {theirs + end: block.state_dict()[mine + end] for theirs, mine in pairs.items() for end in ends}
    peer.load_state_dict(state)
    x = torch.randn(3, 6, 8)
    expected = peer.eval()(x, src_mask=nn.Transformer.generate_square_subsequent_mask(6))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_sinusoids_by_hand() -> None:
    expected = [[0, 1, 0, 1], [np.sin(1), np.cos(1), np.sin(0.01), np.cos(0.01)]]
    torch.testing.assert_close(sinusoids(2, 4), torch.tensor(expected, dtype=torch.float32))


def test_heads_that_do_not_divide_the_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match="dimension 64 is no multiple of heads 3"):
        Network(Config(heads=3), 4)


@pytest.mark.parametrize("config", [TINY, replace(WIDE, dimension=8, hidden=16, length=5)], ids=["strong", "wide"])
def test_later_items_and_other_rows_change_nothing(config: Config) -> None:
    torch.manual_seed(0)
    network = Network(config, 20).eval()
    with torch.no_grad():
        short, longer = network(torch.tensor([[3, 4]])), network(torch.tensor([[3, 4, 9, 0], [5, 6, 7, 8]]))
    torch.testing.assert_close(longer[:1, :2], short, rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", [TINY, replace(WIDE, dimension=8, hidden=16, length=5)], ids=["strong", "wide"])
def test_last_places_alone_are_as_among_all(config: Config) -> None:
    torch.manual_seed(0)
    network, last = Network(config, 20).eval(), torch.tensor([1, 3])
    items = torch.tensor([[3, 4, 0, 0], [5, 6, 7, 8]])
    with torch.no_grad():
        whole, alone = network(items), network(items, last)
    torch.testing.assert_close(alone[:, 0], whole[torch.arange(2), last], rtol=0, atol=1e-5)


LEARNERS = {
    "softmax": {},
    "sampled_softmax": {"loss": "sampled_softmax", "negatives": 20, "popularity_power": 0.5},
    "gbce": {"loss": "gbce", "negatives": 10},
    "wide": {"norm": "post", "positions": "sinusoidal", "scaled": True, "tied": False, "bias": True},
}


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_what_follows(name: str) -> None:
    loop = LoopSettings(epochs=300 if name == "gbce" else 120, learning_rate=0.01)
    fitted = Sasrec(replace(TINY, batch_size=6, loop=loop, **LEARNERS[name])).fit(training_set(chains(12), 12))  # type: ignore[arg-type]
    queries = Queries.of([[2, 3, 4], [9, 10, 11], [7]])
    assert fitted.score(queries).argmax(1).tolist() == [5, 0, 8]


def test_the_bias_of_an_item_is_one_more_dimension(tmp_path: Path) -> None:
    fitted = model("sasrec", dimension=8, length=5, bias=True, loop={"epochs": 1}).fit(training_set(chains(8), 12))
    with torch.no_grad():
        fitted.network.bias_V.copy_(torch.arange(12.0))
        hidden = fitted.network(torch.tensor([[4, 5]]))[:, -1]
    expected = (hidden @ fitted.network.items_VD.T + torch.arange(12.0)).detach().numpy()
    np.testing.assert_allclose(fitted.score(Queries.of([[4, 5]])), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fitted.score(Queries.of([[]]))[0], np.arange(12.0), rtol=0, atol=1e-6)


def test_only_the_last_items_of_a_long_history_count_and_an_empty_one_has_no_preference() -> None:
    fitted = Sasrec(TINY).fit(training_set(chains(8), 12))
    vectors = fitted.query_vectors(Queries.of([[9, 9, 9, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5], []]))
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=0, atol=1e-6)
    assert not vectors[2].any()


@pytest.fixture
def cases() -> Cases:
    return Cases(
        queries=Queries.of([[2, 3], [7, 8, 9]]),
        targets=Ragged.of([[4], [10]]),
        candidates=np.ones(12, np.bool_),
        filter_seen=True,
    )


def test_validation_is_the_loss_of_the_item_held_out(cases: Cases) -> None:
    loop = LoopSettings(epochs=1)
    fitted = Sasrec(replace(TINY, loop=loop)).fit(training_set(chains(8), 12, validation=cases))
    scores = fitted.score(cases.queries).astype(np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = np.log([chances[0, 4], chances[1, 10]]).mean()
    assert fitted.history[0].score == pytest.approx(expected, rel=1e-5)


def test_validation_by_ndcg_is_that_of_the_evaluator(cases: Cases) -> None:
    given = training_set(chains(8), 12, validation=cases)
    fitted = Sasrec(replace(TINY, validate_by="ndcg", loop=LoopSettings(epochs=1))).fit(given)
    assert fitted.history[0].score == evaluate(fitted, cases, train=given, ks=(10,)).means["ndcg@10"]


def test_a_fit_goes_on_from_its_folder(tmp_path: Path) -> None:
    given = training_set(chains(8), 12)
    whole = Sasrec(replace(TINY, dropout=0.3)).fit(given)
    half = replace(TINY, dropout=0.3, loop=LoopSettings(epochs=1))
    Sasrec(half, folder=tmp_path / "run").fit(given)
    resumed = Sasrec(replace(TINY, dropout=0.3), folder=tmp_path / "run").fit(given)
    queries = Queries.of([[1, 2], [5]])
    np.testing.assert_array_equal(resumed.score(queries), whole.score(queries))
